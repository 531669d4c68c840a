"""The methods about what has been: (ports, params) -> result.

One rule: everything is counted from blocks and entries that are stored, so two nodes at one height answer the same.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from consensus.messages import Header, decode_block, decode_certificate
from node.ledger.assets import decode_asset
from node.ledger.state import asset_key
from node.ledger.statement import decode_entry
from node.members import Members
from node.rpc import history_types as types
from node.rpc.cursors import decode_cursor, encode_cursor
from node.rpc.errors import NOT_FOUND, RpcError
from node.rpc.ports import Ports
from node.rpc.reading import HASH_BYTES, block_at, name_at, signers_of, validator_names
from node.rpc.registry import Method
from node.rpc.views import header_view
from node.storage.records import StoredBlock
from node.storage.store import Snapshot

BLOCKS_AT_ONCE: Final = 32  # between two turns of the event loop, about 2 ms
VIEWS_MAX: Final = 10_000  # that one look back goes through: an outage leaves many
ENTRIES_READ_MAX: Final = 1_000  # of an issuer's statement for one page


async def get_blocks(ports: Ports, params: types.GetBlocksParams) -> types.GetBlocksResult:
    """A page of blocks, newest first unless asked otherwise: headers and who finalized them."""
    of = ("chain_getBlocks", params.order)
    with ports.store.snapshot() as store:
        tip, ascending = store.tip.height, params.order == "asc"
        start = decode_cursor(of, params.cursor)
        if start is None:
            start = params.start if params.start is not None else (0 if ascending else tip)
        if start > tip:
            raise RpcError(NOT_FOUND, path="start", expected=f"at most {tip}", actual=str(start))
        heights = range(start, tip + 1) if ascending else range(start, -1, -1)
        page = heights[: params.limit]
        shown = []
        for number, height in enumerate(page, 1):
            shown.append(summary_view(ports, store, block_at(store, height)))
            if number % BLOCKS_AT_ONCE == 0:
                await ports.turns.next()
        more = len(heights) > params.limit
        return types.GetBlocksResult(
            at_height=tip,
            blocks=tuple(shown),
            next_cursor=encode_cursor(of, heights[params.limit]) if more else None,
        )


async def get_stats(ports: Ports, params: types.GetStatsParams) -> types.GetStatsResult:
    """How much and how fast the latest blocks were."""
    with ports.store.snapshot() as store:
        tip = store.tip.height
        first = max(1, tip - params.blocks + 1)
        counts, times, passed = [], [block_at(store, min(first, tip + 1) - 1).timestamp_ms], 0
        async for step in _walk(ports, store, first, tip):
            counts.append(len(store.outcome_leaves(step.stored.height) or b"") // HASH_BYTES)
            times.append(step.stored.timestamp_ms)
            passed += len(step.passed)
        intervals = sorted(after - before for before, after in pairwise(times)) or [0]
        return types.GetStatsResult(
            at_height=tip,
            first_height=first,
            last_height=tip,
            blocks=len(counts),
            empty_blocks=counts.count(0),
            transactions=sum(counts),
            duration_ms=times[-1] - times[0],
            interval_p50_ms=_percentile(intervals, 50),
            interval_p99_ms=_percentile(intervals, 99),
            transactions_per_block_max=max(counts, default=0),
            views_passed=passed,
        )


async def get_supply_history(ports: Ports, params: types.GetSupplyHistoryParams) -> types.GetSupplyHistoryResult:
    """When an asset was issued and redeemed, and what was issued then: from its issuer's statement."""
    of = ("supply_getHistory", params.asset, params.order)
    start = decode_cursor(of, params.cursor)
    descending = params.order == "desc"
    found: list[types.SupplyChange] = []
    with ports.store.snapshot() as store:
        record = store.get(asset_key(params.asset))
        if record is None:
            raise RpcError(NOT_FOUND, path="asset", actual=str(params.asset))
        issuer = decode_asset(record).issuer
        rows = store.entries(issuer, start, ENTRIES_READ_MAX, descending=descending)
        following = rows[-1][0] + (-1 if descending else 1) if len(rows) == ENTRIES_READ_MAX else None
        for number, row in rows:
            entry = decode_entry(row)
            if entry.asset != params.asset:
                continue
            if len(found) == params.limit:
                following = number
                break
            found.append(
                types.SupplyChange(
                    height=entry.height,
                    timestamp_ms=entry.time_ms,
                    tx_id=entry.transaction_id.hex(),
                    change=str(-entry.amount),
                    supply=str(-entry.balance),
                )
            )
        return types.GetSupplyHistoryResult(
            at_height=store.tip.height,
            asset=params.asset,
            changes=tuple(found),
            next_cursor=None if following is None or following < 0 else encode_cursor(of, following),
        )


async def get_uptime(ports: Ports, params: types.GetUptimeParams) -> types.GetUptimeResult:
    """Whose votes the latest certificates hold, and whose turns to lead came to a block: a hint, not a verdict."""
    with ports.store.snapshot() as store:
        tip = store.tip.height
        first = max(1, tip - params.blocks + 1)
        epochs = ports.epochs(store)
        counts: dict[str, _Uptime] = {}
        async for step in _walk(ports, store, first, tip):
            header = step.header
            members = None if header is None else epochs.members(header.epoch)
            if header is None or members is None:
                continue
            _count(counts, members, header, step, store.certificate(step.stored.height))
        return types.GetUptimeResult(
            at_height=tip,
            first_height=first,
            last_height=tip,
            validators=tuple(
                types.UptimeView(
                    name=name, signed=each.signed, certificates=each.certificates, led=each.led, passed=each.passed
                )
                for name, each in sorted(counts.items())
            ),
        )


def summary_view(ports: Ports, store: Snapshot, stored: StoredBlock) -> types.BlockSummary:
    """Return a block without its transactions."""
    block = decode_block(stored.block_bytes) if stored.block_bytes else None
    header = None
    if block is not None:
        names = validator_names(ports, store, block.header.epoch)
        header = header_view(block.hash, block.header, name_at(names, block.header.proposer))
    return types.BlockSummary(
        height=stored.height,
        block_hash=stored.block_hash.hex(),
        timestamp_ms=stored.timestamp_ms,
        transaction_count=len(store.outcome_leaves(stored.height) or b"") // HASH_BYTES,
        header=header,
        signers=signers_of(ports, store, stored.height)[1],
    )


# --- steps ---


@dataclass(slots=True)
class _Uptime:
    signed: int = 0
    certificates: int = 0
    led: int = 0
    passed: int = 0


@dataclass(frozen=True, slots=True)
class _Step:
    """A block, and the views of its epoch between the block before and it."""

    stored: StoredBlock
    header: Header | None
    passed: range


async def _walk(ports: Ports, store: Snapshot, first: int, tip: int) -> AsyncIterator[_Step]:
    """Yield the blocks from ``first`` to ``tip``, ascending, in turns with the node's other work."""
    left = VIEWS_MAX
    before = _header(block_at(store, first - 1)) if first <= tip else None
    for number, height in enumerate(range(first, tip + 1), 1):
        stored = block_at(store, height)
        header = _header(stored)
        passed = range(0)
        if header is not None:
            begin = before.view if before is not None and before.epoch == header.epoch else 0
            passed = range(max(begin + 1, header.view - left), header.view)
            left -= len(passed)
        yield _Step(stored, header, passed)
        before = header
        if number % BLOCKS_AT_ONCE == 0:
            await ports.turns.next()


def _header(stored: StoredBlock) -> Header | None:
    return decode_block(stored.block_bytes).header if stored.block_bytes else None


def _count(
    counts: dict[str, _Uptime], members: Members, header: Header, step: _Step, certificate: bytes | None
) -> None:
    rows = [counts.setdefault(row.name, _Uptime()) for row in members.rows]
    rows[header.proposer].led += 1
    for view in step.passed:
        rows[members.committee.leader(view)].passed += 1
    if certificate:
        for row in rows:
            row.certificates += 1
        for signer, _ in decode_certificate(certificate).signatures:
            rows[signer].signed += 1


def _percentile(ordered: list[int], percent: int) -> int:
    return max(0, ordered[min(len(ordered) - 1, len(ordered) * percent // 100)])


METHODS: Final = (
    Method("chain_getBlocks", types.GetBlocksParams, types.GetBlocksResult, get_blocks, cost=20),
    Method("chain_getStats", types.GetStatsParams, types.GetStatsResult, get_stats, cost=50),
    Method("supply_getHistory", types.GetSupplyHistoryParams, types.GetSupplyHistoryResult, get_supply_history, cost=5),
    Method("validator_getUptime", types.GetUptimeParams, types.GetUptimeResult, get_uptime, cost=50),
)
