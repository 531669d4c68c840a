"""Params and results of the operator's methods; node/rpc/types.py says what holds for all."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from node.log import Level
from node.rpc.forms import LIMIT_DEFAULT, Count, Hash, Height, Limit, Milliseconds, Name, Signature
from node.rpc.types import Params, Result


class GetStatusParams(Params, frozen=True, kw_only=True):
    pass


class GetStatusResult(Result, frozen=True, kw_only=True):
    """``numbers`` are queues and sizes by name; ``missing`` are validators that have said nothing for 15 seconds."""

    node: Name
    version: Name
    started_ms: Milliseconds
    now_ms: Milliseconds
    ready: bool
    reasons: tuple[str, ...]
    log_level: Level
    access: Literal["open", "tokens"]
    numbers: dict[str, int]
    missing: tuple[Name, ...]


class SetLogLevelParams(Params, frozen=True, kw_only=True):
    level: Level


class SetLogLevelResult(Result, frozen=True, kw_only=True):
    """``before`` is what it was."""

    before: Level
    level: Level


class ListPeersParams(Params, frozen=True, kw_only=True):
    pass


class LinkView(Struct, frozen=True, kw_only=True):
    """A link. ``height`` is the peer's word; ``narrow``: it misbehaved and is heard less; times are durations in ms."""

    name: Name
    node_key: Hash
    address: str
    connected: bool
    dialled: bool
    height: Height | None
    since_ms: Milliseconds | None
    rtt_ms: Milliseconds | None
    score: Count
    narrow: bool
    blocked_ms: Milliseconds
    last_error: str


class ListPeersResult(Result, frozen=True, kw_only=True):
    """All nodes that this one may have links to."""

    peers: tuple[LinkView, ...]


class DisconnectPeerParams(Params, frozen=True, kw_only=True):
    name: Name


class DisconnectPeerResult(Result, frozen=True, kw_only=True):
    """``disconnected``: there was a link."""

    disconnected: bool


class DrainParams(Params, frozen=True, kw_only=True):
    """``on`` false takes clients' transactions again."""

    on: bool = True


class DrainResult(Result, frozen=True, kw_only=True):
    """``waiting`` is how many transactions of its own clients no block has executed yet: at 0 it may be stopped."""

    on: bool
    waiting: Count


class StopParams(Params, frozen=True, kw_only=True):
    pass


class StopResult(Result, frozen=True, kw_only=True):
    """It stops after this reply."""


class GetAuditLogParams(Params, frozen=True, kw_only=True):
    """``after`` is the number of the last entry that the caller has seen."""

    after: Count = 0
    limit: Limit = LIMIT_DEFAULT


class AuditEntryView(Struct, frozen=True, kw_only=True):
    """An entry. ``hash`` covers the rest and ``before``, the hash of the entry before; the node's key signs it."""

    number: Count
    time_ms: Milliseconds
    caller: Annotated[str, Meta(max_length=64, description="a token's name, or local: the socket in the home")]
    method: Name
    params: dict[str, str]
    allowed: bool
    before: Hash
    hash: Hash
    signature: Signature


class GetAuditLogResult(Result, frozen=True, kw_only=True):
    """Entries, ascending; ``more`` says that others follow."""

    entries: tuple[AuditEntryView, ...]
    more: bool
