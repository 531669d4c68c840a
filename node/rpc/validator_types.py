"""Params and results of the methods about validators and links; node/rpc/types.py says what holds for all."""

from msgspec import Struct

from node.rpc.forms import Bytes, Count, Hash, Height, Limit, Milliseconds, Name
from node.rpc.types import Read, Result


class ListValidatorsParams(Read, frozen=True, kw_only=True):
    pass


class ValidatorView(Struct, frozen=True, kw_only=True):
    """A validator of this epoch; ``index`` is what certificates name it by."""

    index: Count
    name: Name
    consensus_key: Hash
    node_key: Hash
    weight: Count


class ListValidatorsResult(Result, frozen=True, kw_only=True):
    """The committee."""

    epoch: Count
    total_weight: Count
    quorum_weight: Count
    faulty_weight_max: Count
    validators: tuple[ValidatorView, ...]


class GetPeersParams(Read, frozen=True, kw_only=True):
    pass


class PeerView(Struct, frozen=True, kw_only=True):
    """A link to another node; ``height`` is its own word."""

    name: Name
    node_key: Hash
    connected: bool
    height: Height | None
    since_ms: Milliseconds | None


class GetPeersResult(Result, frozen=True, kw_only=True):
    """All nodes that this one may have links to."""

    peers: tuple[PeerView, ...]


class ListCommitteesParams(Read, frozen=True, kw_only=True):
    """``after`` is the epoch of the last committee that the caller knows; genesis' is that of epoch 0."""

    after: Count = 0
    limit: Limit = 20


class CommitteeMember(Struct, frozen=True, kw_only=True):
    """What a committee's hash covers."""

    consensus_key: Hash
    weight: Count


class CommitteeChange(Struct, frozen=True, kw_only=True):
    """A committee that validates from ``epoch`` on, and why: the last block of the epoch before names it, finally.

    ``header`` is that block's, ``certificate`` its finalization by the committee before. To check: docs/rpc.md.
    """

    epoch: Count
    validators: tuple[CommitteeMember, ...]
    header: Bytes
    certificate: Bytes


class ListCommitteesResult(Result, frozen=True, kw_only=True):
    """The changes of the committee after an epoch, ascending; ``more`` says that there are later ones."""

    changes: tuple[CommitteeChange, ...]
    more: bool
