"""Params and results of the methods about validators and links; node/rpc/types.py says what holds for all."""

from typing import Annotated

from msgspec import Meta, Struct

from node.ledger.validators import ADDRESS_CHARS_MAX
from node.rpc.forms import Bytes, Count, Hash, Height, Limit, Milliseconds, Name, Signature
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


class KeysView(Struct, frozen=True, kw_only=True):
    """The two public keys of a validator: of its votes, and of its links."""

    consensus_key: Hash
    node_key: Hash


class SeatView(Struct, frozen=True, kw_only=True):
    """A place among the validators. ``current`` counts from the next epoch on; ``next`` waits until it proves ready."""

    name: Name
    weight: Count
    address: Annotated[str, Meta(max_length=ADDRESS_CHARS_MAX, description="host:port, or empty")]
    current: KeysView | None
    next: KeysView | None


class ListValidatorsResult(Result, frozen=True, kw_only=True):
    """The committee of this epoch, and the seats of which the next one will be made.

    ``seats_hash`` is what a change of the seats names as the ``based_on`` of set_parameter.
    """

    epoch: Count
    epoch_ends: Height
    total_weight: Count
    quorum_weight: Count
    faulty_weight_max: Count
    validators: tuple[ValidatorView, ...]
    seats: tuple[SeatView, ...]
    seats_hash: Hash


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

    ``header`` is that block's, ``certificate`` its finalization by the committee before. To check: docs/rpc.md. Where
    ``decree`` is there, a decree names the committee, and the header and the certificate are of its base, which may
    only be notarized, or be block 0 without a certificate (docs/emergency.md).
    """

    epoch: Count
    validators: tuple[CommitteeMember, ...]
    header: Bytes
    certificate: Bytes
    decree: Bytes | None = None


class ListCommitteesResult(Result, frozen=True, kw_only=True):
    """The changes of the committee after an epoch, ascending; ``more`` says that there are later ones."""

    changes: tuple[CommitteeChange, ...]
    more: bool


class GetReadinessParams(Read, frozen=True, kw_only=True):
    pass


class GetReadinessResult(Result, frozen=True, kw_only=True):
    """The word of this node's consensus key that it is ready, for `som validator ready`."""

    name: Name
    node_key: Hash
    height: Height
    root: Hash
    signature: Signature
