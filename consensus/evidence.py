"""Proof that a validator signed what an honest one never signs.

One rule: evidence convinces whoever knows the committee, and nobody honest can be named by it. So it holds signed
statements and what they commit to, and nothing else: no hint, no timing, no lateness. NOTARIZE with NULLIFY is normal,
and so is NOTARIZE of one block with FINALIZE of another (a misled validator finalizes the block that was certified).
"""

from dataclasses import dataclass
from enum import IntEnum

from consensus.committee import Committee
from consensus.crypto import verify
from consensus.encoding import DecodeError, as_bytes, as_tuple, decode, encode
from consensus.events import Evidence, ProposalRefused
from consensus.messages import (
    Header,
    Kind,
    Vote,
    decode_header,
    decode_message,
    encode_header,
    encode_message,
    header_hash,
    vote_statement,
)
from consensus.place import Place, follows

VOTE_BYTES_MAX = 192  # a vote of any kind, with room
HEADER_BYTES_MAX = 512


class Offence(IntEnum):
    """What two votes of one validator in one view prove."""

    CONFLICTING_NOTARIZE = 0  # covers a leader with two proposals: each carries the leader's NOTARIZE
    CONFLICTING_FINALIZE = 1
    NULLIFY_AND_FINALIZE = 2


@dataclass(frozen=True, slots=True)
class InvalidBlock:
    """A leader's ``vote``, NOTARIZE, for a block of its own whose ``header`` no honest leader makes.

    ``parent`` is the header of its parent if it is wrong beside that, None if it is wrong by itself.
    """

    vote: Vote
    header: Header
    parent: Header | None


# --- conflicting votes ---


def offence(first: Vote, second: Vote) -> Offence | None:
    """Return what the two votes prove, or None. R45. Signatures are not looked at."""
    if (first.signer, first.epoch, first.view) != (second.signer, second.epoch, second.view):
        return None
    kinds = {first.kind, second.kind}
    if kinds == {Kind.NULLIFY, Kind.FINALIZE}:
        return Offence.NULLIFY_AND_FINALIZE
    if len(kinds) == 2 or first.hash == second.hash:
        return None
    return Offence.CONFLICTING_NOTARIZE if first.kind is Kind.NOTARIZE else Offence.CONFLICTING_FINALIZE


def make_evidence(first: Vote, second: Vote) -> Evidence:
    """Return the evidence of the two votes, which have one order. Raise ValueError if they prove nothing."""
    if offence(first, second) is None:
        raise ValueError("these votes prove nothing")
    if (first.kind, first.hash) > (second.kind, second.hash):
        first, second = second, first
    return Evidence(first, second)


def encode_evidence(evidence: Evidence) -> bytes:
    """Return the stored and sent form of evidence."""
    return encode((encode_message(evidence.first), encode_message(evidence.second)))


def decode_evidence(data: bytes) -> Evidence:
    """Return the evidence that ``data`` encodes. Raise DecodeError if it proves nothing or is out of order."""
    first, second = (_vote(item) for item in as_tuple(decode(data), 2))
    try:
        evidence = make_evidence(first, second)
    except ValueError as error:
        raise DecodeError(str(error)) from None
    if evidence.first is not first:
        raise DecodeError("the votes are out of order")
    return evidence


def evidence_valid(evidence: Evidence, committee: Committee, genesis_hash: bytes) -> bool:
    """Return whether a member of ``committee``, that of the votes' epoch, signed both votes and they conflict."""
    return offence(evidence.first, evidence.second) is not None and all(
        _signed(vote, committee, genesis_hash) for vote in (evidence.first, evidence.second)
    )


# --- invalid blocks ---


def accuse(refused: ProposalRefused, place: Place) -> InvalidBlock | None:
    """Return what the header of a refused block proves, or None if it takes more than headers to see the fault. R45."""
    header, parent = refused.block.header, refused.parent
    if header.view != refused.vote.view:
        return None
    if not place.stands(header):
        return InvalidBlock(refused.vote, header, None)
    if header.parent_hash == parent.hash and not follows(header, parent.header):
        return InvalidBlock(refused.vote, header, parent.header)
    return None


def encode_invalid_block(proof: InvalidBlock) -> bytes:
    """Return the stored and sent form."""
    parent = None if proof.parent is None else encode_header(proof.parent)
    return encode((encode_message(proof.vote), encode_header(proof.header), parent))


def decode_invalid_block(data: bytes) -> InvalidBlock:
    """Return the proof that ``data`` encodes. Raise DecodeError. Nothing is verified here."""
    vote, header, parent = as_tuple(decode(data), 3)
    return InvalidBlock(_vote(vote), _header(header), None if parent is None else _header(parent))


def invalid_block_valid(proof: InvalidBlock, place: Place) -> bool:
    """Return whether the leader of the vote's view signed a block that cannot stand. R45.

    ``place`` is that of the vote's epoch. A parent is shown only if the header is right by itself: one form for each.
    """
    header, parent = proof.header, proof.parent
    if not proposed(proof.vote, header, place.committee, place.genesis_hash):
        return False
    if parent is None:
        return not place.stands(header)
    return header_hash(parent) == header.parent_hash and place.stands(header) and not follows(header, parent)


def proposed(vote: Vote, header: Header, committee: Committee, genesis_hash: bytes) -> bool:
    """Return whether ``vote`` is the signed NOTARIZE of its view's leader for the block of that view with ``header``.

    A block of an earlier view is an epoch's last one, proposed again on a quorum's word (R46): it proves nothing.
    """
    return (
        vote.kind is Kind.NOTARIZE
        and header.view == vote.view
        and vote.signer == committee.leader(vote.view)
        and header_hash(header) == vote.hash
        and _signed(vote, committee, genesis_hash)
    )


def decode_proposed(vote: object, header: object) -> tuple[Vote, Header]:
    """Return the vote and the header of a proof that is more than headers. Raise DecodeError."""
    return _vote(vote), _header(header)


def _signed(vote: Vote, committee: Committee, genesis_hash: bytes) -> bool:
    if vote.epoch != committee.epoch or vote.signer >= len(committee):
        return False
    statement = vote_statement(genesis_hash, vote.kind, vote.epoch, vote.view, vote.hash)
    return verify(committee.validators[vote.signer].public_key, statement, vote.signature)


def _vote(value: object) -> Vote:
    message = decode_message(as_bytes(value, most=VOTE_BYTES_MAX))
    if not isinstance(message, Vote):
        raise DecodeError("evidence holds votes")
    return message


def _header(value: object) -> Header:
    return decode_header(as_bytes(value, most=HEADER_BYTES_MAX))
