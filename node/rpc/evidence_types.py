"""Params and results of the methods about evidence; node/rpc/types.py says what holds for all."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from node.rpc.forms import Bytes, Count, Hash, Name
from node.rpc.types import Read, Result

EVIDENCE_LIMIT_MAX = 20  # a piece may be 384 kB on disk

EvidenceKind = Literal["conflicting_votes", "invalid_block", "invalid_payload", "invalid_batch"]


class ListEvidenceParams(Read, frozen=True, kw_only=True):
    """``after`` is the id of the last piece that the caller has seen."""

    after: Hash | None = None
    limit: Annotated[int, Meta(ge=1, le=EVIDENCE_LIMIT_MAX)] = EVIDENCE_LIMIT_MAX


class SignedVote(Struct, frozen=True, kw_only=True):
    """A vote that the accused signed; ``block_hash`` is null for NULLIFY."""

    kind: Literal["NOTARIZE", "NULLIFY", "FINALIZE"]
    block_hash: Hash | None


class EvidenceView(Struct, frozen=True, kw_only=True):
    """A proof that a validator signed what an honest one never signs, in the words of what it proves.

    Votes: two that conflict, or the leader's for an invalid block. ``leads`` says that the accused led the view: with
    two NOTARIZE it made two proposals. ``batch`` and ``transaction`` (its index there) are null but for a batch.
    """

    id: Hash
    kind: EvidenceKind
    validator: Name
    consensus_key: Hash
    epoch: Count
    view: Count | None
    leads: bool
    votes: tuple[SignedVote, ...]
    batch: Hash | None
    transaction: Count | None
    size: Count


class ListEvidenceResult(Result, frozen=True, kw_only=True):
    """Pieces in ascending order of their ids; ``more`` says that there are others after them."""

    evidence: tuple[EvidenceView, ...]
    more: bool


class GetEvidenceParams(Read, frozen=True, kw_only=True):
    id: Hash


class GetEvidenceResult(Result, frozen=True, kw_only=True):
    """A piece, and its bytes: whoever knows the genesis and the committee of its epoch can check them."""

    evidence: EvidenceView
    proof: Bytes
