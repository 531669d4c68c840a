"""Params and results of the methods about what has been; node/rpc/types.py says what holds for all."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from node.rpc.forms import (
    LIMIT_DEFAULT,
    AssetId,
    Count,
    Cursor,
    Hash,
    Height,
    Limit,
    Milliseconds,
    Money,
    Name,
    Order,
    SignedMoney,
)
from node.rpc.types import HeaderView, Read, Result

WINDOW_BLOCKS_MAX: Final = 1_000  # of one look back: a certificate and a header each
WINDOW_BLOCKS_DEFAULT: Final = 100

Window = Annotated[int, Meta(ge=1, le=WINDOW_BLOCKS_MAX, description="how many of the latest blocks are looked at")]


class BlockSummary(Struct, frozen=True, kw_only=True):
    """A final block without its transactions. ``header`` is null for a block 0 that was founded without one."""

    height: Height
    block_hash: Hash
    timestamp_ms: Milliseconds
    transaction_count: Count
    header: HeaderView | None
    signers: tuple[Name, ...]


class GetBlocksParams(Read, frozen=True, kw_only=True):
    """Blocks from height ``start`` on, itself included; without it from the latest, or ascending from the first."""

    start: Height | None = None
    cursor: Cursor | None = None
    order: Order = "desc"
    limit: Limit = LIMIT_DEFAULT


class GetBlocksResult(Result, frozen=True, kw_only=True):
    """A page of blocks."""

    blocks: tuple[BlockSummary, ...]
    next_cursor: Cursor | None


class GetStatsParams(Read, frozen=True, kw_only=True):
    blocks: Window = WINDOW_BLOCKS_DEFAULT


class GetStatsResult(Result, frozen=True, kw_only=True):
    """What the latest blocks came to. ``views_passed`` led to no final block; intervals are of block times."""

    first_height: Height
    last_height: Height
    blocks: Count
    empty_blocks: Count
    transactions: Count
    duration_ms: Milliseconds
    interval_p50_ms: Milliseconds
    interval_p99_ms: Milliseconds
    transactions_per_block_max: Count
    views_passed: Count


class GetSupplyHistoryParams(Read, frozen=True, kw_only=True):
    """Changes of an asset's supply, newest first unless ``order`` is asc."""

    asset: AssetId = 1
    cursor: Cursor | None = None
    order: Order = "desc"
    limit: Limit = LIMIT_DEFAULT


class SupplyChange(Struct, frozen=True, kw_only=True):
    """``change`` was issued (or, below 0, redeemed), and ``supply`` was what had been issued then."""

    height: Height
    timestamp_ms: Milliseconds
    tx_id: Hash
    change: SignedMoney
    supply: Money


class GetSupplyHistoryResult(Result, frozen=True, kw_only=True):
    """A page of changes. It may hold fewer than ``limit`` and yet have a ``next_cursor``."""

    asset: AssetId
    changes: tuple[SupplyChange, ...]
    next_cursor: Cursor | None


class GetUptimeParams(Read, frozen=True, kw_only=True):
    blocks: Window = WINDOW_BLOCKS_DEFAULT


class UptimeView(Struct, frozen=True, kw_only=True):
    """What a validator did in the window, in the epochs of which it was a member.

    ``signed`` of ``certificates`` that finalize a block name it; a certificate holds a quorum and seldom all, so one
    that is missing now and then was late, not away. Of the views that it led ``led`` made a final block and ``passed``
    did not.
    """

    name: Name
    signed: Count
    certificates: Count
    led: Count
    passed: Count


class GetUptimeResult(Result, frozen=True, kw_only=True):
    """All validators of the window, by name."""

    first_height: Height
    last_height: Height
    validators: tuple[UptimeView, ...]
