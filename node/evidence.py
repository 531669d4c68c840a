"""Proofs of misbehaviour, of every kind, each of which convinces whoever knows the genesis and the committees.

    kind                what it holds                                             at the most
    conflicting_votes   two votes of one validator in one view                    400 bytes
    invalid_block       the leader's vote, the header, and the parent's header    1.3 kB
    invalid_payload     the leader's vote, the header, a payload that is none     65 kB
    invalid_batch       an author's batch, and which transaction in it is bad     384 kB

One rule: nobody honest can be named, in any of its lives: what honest code checks before it signs is what is checked
here, and nothing else is. Two batches with one sequence are no evidence: a sequence starts from the clock, which may go
back between two lives, and nothing hangs on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, assert_never

from consensus.committee import Committee
from consensus.crypto import PublicKey
from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, digest, encode
from consensus.events import Evidence, ProposalRefused
from consensus.evidence import (
    InvalidBlock,
    accuse,
    decode_evidence,
    decode_invalid_block,
    decode_proposed,
    encode_evidence,
    encode_invalid_block,
    evidence_valid,
    invalid_block_valid,
    proposed,
)
from consensus.messages import (
    PAYLOAD_BYTES_MAX,
    Hash,
    Header,
    Vote,
    encode_header,
    encode_message,
    payload_hash,
)
from consensus.place import Place
from node.batches import BATCH_BYTES_MAX, BATCH_TRANSACTIONS_MAX, Batch, author_signed, decode_batch, decode_payload
from node.ledger.errors import Refused
from node.ledger.transaction import decode_transaction, signatures_valid
from node.terms import end_height, epoch_above

EVIDENCE_BYTES_MAX: Final = BATCH_BYTES_MAX + 64
ID_BYTES: Final = 32


class Kind(IntEnum):
    """What is proven."""

    CONFLICTING_VOTES = 0
    INVALID_BLOCK = 1
    INVALID_PAYLOAD = 2
    INVALID_BATCH = 3


@dataclass(frozen=True, slots=True)
class InvalidPayload:
    """A leader's ``vote``, NOTARIZE, for a block of its own whose ``payload`` is no list of distinct batches."""

    vote: Vote
    header: Header
    payload: bytes


@dataclass(frozen=True, slots=True)
class InvalidBatch:
    """A batch under its author's signature whose transaction ``index`` is malformed or has a bad signature."""

    batch: Batch
    index: int


Proof = Evidence | InvalidBlock | InvalidPayload | InvalidBatch


@dataclass(frozen=True, slots=True)
class Network:
    """What proofs are checked against. ``committee_of`` gives None for an epoch that is not known yet.

    ``term_above`` gives the term of the block above a height.
    """

    genesis_hash: bytes
    epoch_length: int
    committee_of: Callable[[int], Committee | None]
    term_above: Callable[[int], int] = lambda _: 0

    def place(self, epoch: int) -> Place | None:
        """Return where the blocks of an epoch stand."""
        committee = self.committee_of(epoch)
        if committee is None:
            return None
        return Place(committee, Hash(self.genesis_hash), end_height(epoch, self.epoch_length))


@dataclass(frozen=True, slots=True)
class Charge:
    """Who is accused of what: a validator by its consensus key, in an epoch of which it was a member."""

    kind: Kind
    epoch: int
    validator: PublicKey


def evidence_id(encoded: bytes) -> bytes:
    """Return the 32 bytes that name evidence."""
    return digest(b"som-evidence-1", encoded)


def kind_of(proof: Proof) -> Kind:
    """Return the kind of a proof."""
    match proof:
        case Evidence():
            return Kind.CONFLICTING_VOTES
        case InvalidBlock():
            return Kind.INVALID_BLOCK
        case InvalidPayload():
            return Kind.INVALID_PAYLOAD
        case InvalidBatch():
            return Kind.INVALID_BATCH
        case _:
            assert_never(proof)


# --- the making ---


def from_proposal(refused: ProposalRefused, network: Network) -> Proof | None:
    """Return what the bytes of a refused block prove against its leader, None if it takes the state to see it."""
    place = network.place(refused.vote.epoch)
    if place is None:
        return None
    proof = accuse(refused, place)
    header, payload = refused.block.header, refused.block.payload
    if proof is None and header.view == refused.vote.view and not _is_payload(payload):
        return InvalidPayload(refused.vote, header, payload)
    return proof


def epoch_of(proof: Proof, network: Network) -> int:
    """Return the epoch whose committee judges a proof: a batch's is that of the first height that may name it. R57"""
    match proof:
        case Evidence():
            return proof.first.epoch
        case InvalidBlock() | InvalidPayload():
            return proof.vote.epoch
        case InvalidBatch():
            base = proof.batch.base_height
            return epoch_above(base, network.epoch_length, network.term_above(base))
        case _:
            assert_never(proof)


# --- the check ---


def verify_proof(proof: Proof, network: Network) -> Charge | None:
    """Return whom a proof convicts of what, or None if it convicts nobody. R45."""
    epoch = epoch_of(proof, network)
    place = network.place(epoch)
    if place is None:
        return None
    committee = place.committee
    match proof:
        case Evidence():
            valid, signer = evidence_valid(proof, committee, network.genesis_hash), proof.first.signer
        case InvalidBlock():
            valid, signer = invalid_block_valid(proof, place), proof.vote.signer
        case InvalidPayload():
            valid, signer = _payload_invalid(proof, place), proof.vote.signer
        case InvalidBatch():
            author = committee.index(proof.batch.author)
            valid = author is not None and _batch_invalid(proof, network.genesis_hash)
            signer = author or 0
        case _:
            assert_never(proof)
    return Charge(kind_of(proof), epoch, committee.validators[signer].public_key) if valid else None


def _payload_invalid(proof: InvalidPayload, place: Place) -> bool:
    return (
        proposed(proof.vote, proof.header, place.committee, place.genesis_hash)
        and payload_hash(proof.payload) == proof.header.payload_hash
        and not _is_payload(proof.payload)
    )


def _is_payload(payload: bytes) -> bool:
    try:
        decode_payload(payload)
    except DecodeError:
        return False
    return True


def _batch_invalid(proof: InvalidBatch, genesis_hash: bytes) -> bool:
    batch = decode_batch(genesis_hash, proof.batch.encoded)  # its digest, which the author signs, is of this network
    raws = batch.raw_transactions
    return proof.index < len(raws) and author_signed(batch) and not transaction_good(raws[proof.index], genesis_hash)


def transaction_good(raw: bytes, genesis_hash: bytes) -> bool:
    """Return whether bytes may stand in a batch: well-formed, with signatures that hold, whatever the state."""
    try:
        return signatures_valid(decode_transaction(raw, genesis_hash))
    except Refused:
        return False


# --- bytes ---


def encode_proof(proof: Proof) -> bytes:
    """Return the stored and sent form."""
    match proof:
        case Evidence():
            body = encode_evidence(proof)
        case InvalidBlock():
            body = encode_invalid_block(proof)
        case InvalidPayload():
            body = encode((encode_message(proof.vote), encode_header(proof.header), proof.payload))
        case InvalidBatch():
            body = encode((proof.batch.encoded, proof.index))
        case _:
            assert_never(proof)
    return bytes((kind_of(proof),)) + body


def votes_of(proof: Proof) -> tuple[Vote, ...]:
    """Return the votes of the accused that a proof holds."""
    match proof:
        case Evidence():
            return proof.first, proof.second
        case InvalidBlock() | InvalidPayload():
            return (proof.vote,)
        case InvalidBatch():
            return ()
        case _:
            assert_never(proof)


def decode_proof(data: bytes, genesis_hash: bytes) -> Proof:
    """Return the proof that ``data`` encodes. Raise DecodeError. Nothing is verified here."""
    if not 1 < len(data) <= EVIDENCE_BYTES_MAX:
        raise DecodeError(f"evidence has at most {EVIDENCE_BYTES_MAX} bytes")
    body = data[1:]
    match data[0]:
        case Kind.CONFLICTING_VOTES:
            return decode_evidence(body)
        case Kind.INVALID_BLOCK:
            return decode_invalid_block(body)
        case Kind.INVALID_PAYLOAD:
            vote, header, payload = as_tuple(decode(body), 3)
            return InvalidPayload(*decode_proposed(vote, header), as_bytes(payload, most=PAYLOAD_BYTES_MAX))
        case Kind.INVALID_BATCH:
            batch, index = as_tuple(decode(body), 2)
            return InvalidBatch(
                decode_batch(genesis_hash, as_bytes(batch, most=BATCH_BYTES_MAX)),
                as_int(index, 0, BATCH_TRANSACTIONS_MAX - 1),
            )
        case _:
            raise DecodeError("unknown kind of evidence")
