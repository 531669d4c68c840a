"""Proof that a validator signed what an honest one never signs.

One rule: evidence convinces whoever knows the committee, and nobody honest can be named by it. So it holds two signed
statements and nothing else: no hint, no timing, no lateness. NOTARIZE with NULLIFY is normal, and so is NOTARIZE of one
block with FINALIZE of another (a misled validator finalizes the block that was certified).
"""

from enum import IntEnum

from consensus.committee import Committee
from consensus.crypto import verify
from consensus.encoding import DecodeError, as_bytes, as_tuple, decode, encode
from consensus.events import Evidence
from consensus.messages import Kind, Vote, decode_message, encode_message, vote_statement

VOTE_BYTES_MAX = 192  # a vote of any kind, with room


class Offence(IntEnum):
    """What two votes of one validator in one view prove."""

    CONFLICTING_NOTARIZE = 0  # covers a leader with two proposals: each carries the leader's NOTARIZE
    CONFLICTING_FINALIZE = 1
    NULLIFY_AND_FINALIZE = 2


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
    first, second = (_vote(as_bytes(item, most=VOTE_BYTES_MAX)) for item in as_tuple(decode(data), 2))
    try:
        evidence = make_evidence(first, second)
    except ValueError as error:
        raise DecodeError(str(error)) from None
    if evidence.first is not first:
        raise DecodeError("the votes are out of order")
    return evidence


def evidence_valid(evidence: Evidence, committee: Committee, genesis_hash: bytes) -> bool:
    """Return whether a member of ``committee``, that of the votes' epoch, signed both votes and they conflict."""
    votes = (evidence.first, evidence.second)
    return (
        offence(*votes) is not None
        and evidence.first.epoch == committee.epoch
        and evidence.first.signer < len(committee)
        and all(_signed(vote, committee, genesis_hash) for vote in votes)
    )


def _signed(vote: Vote, committee: Committee, genesis_hash: bytes) -> bool:
    statement = vote_statement(genesis_hash, vote.kind, vote.epoch, vote.view, vote.hash)
    return verify(committee.validators[vote.signer].public_key, statement, vote.signature)


def _vote(data: bytes) -> Vote:
    message = decode_message(data)
    if not isinstance(message, Vote):
        raise DecodeError("evidence holds votes")
    return message
