"""Executes final blocks, in order, and makes each durable: final blocks in, receipts and roots out.

One rule: a block is executed once its batches are here, stored with everything that follows from it in one synced
write, and only then spoken of. This is the seam behind which execution may move to a process of its own.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from consensus.messages import Block, Certificate, Hash, encode_certificate, encode_header
from node.batches import BatchDigest, BatchPool, Held, decode_payload
from node.ledger.execute import Executed, Ledger
from node.ledger.validators import Roster
from node.references import references
from node.storage.records import BlockRecord, Placed, Roots
from node.storage.store import Store
from node.tempo import Durations

SLICE_SECONDS: Final = 0.005  # the event loop belongs to others at least this often
AHEAD_BLOCKS: Final = 8  # whose missing batches are fetched while the blocks before them are executed
ROOTS_KEPT: Final = 256  # recent heights whose root headers may name; older ones are read from the store


class Diverged(Exception):
    """A final header names another state root than ours: we, or a quorum, executed wrongly. Stop, keep everything."""


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """A block that is irreversible. ``certificate`` finalizes it or a descendant of it; None: a decree does."""

    block: Block
    certificate: Certificate | None

    @property
    def facts(self) -> tuple[Block | Certificate, ...]:
        """What the journal has to keep of it until it is stored."""
        return (self.block,) if self.certificate is None else (self.block, self.certificate)


@dataclass(frozen=True, slots=True)
class Stored:
    """A block that was executed and is on disk."""

    block: Block
    executed: Executed
    batches: tuple[Held, ...]


class Executor:
    """One task that executes, and a queue before it."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        pool: BatchPool,
        fetch: Callable[[Sequence[BatchDigest]], Coroutine[Any, Any, None]],
        on_stored: Callable[[Stored], None],
        decreed_roster: Callable[[int], Roster | None] = lambda _: None,
    ) -> None:
        """``fetch`` returns when all batches are in the pool; ``on_stored`` hears of each block, in order.

        ``decreed_roster`` gives the validators with which the block of a height begins, if a decree names them.
        """
        self._store = store
        self._ledger = ledger
        self._pool = pool
        self._fetch = fetch
        self._on_stored = on_stored
        self._decreed_roster = decreed_roster
        self._queue: deque[FinalBlock] = deque()
        self._wake = asyncio.Event()
        self._fetching: dict[int, asyncio.Task[None]] = {}  # by height: batches of blocks that wait
        self._roots: OrderedDict[int, Hash] = OrderedDict()
        self.height = store.tip.height
        self.root = Hash(store.tip.root)
        self.uncertified_height = 0  # the highest executed height that held transactions
        self.transactions = 0
        self.execution = Durations()
        self.storing = Durations()

    def queued(self) -> int:
        """Return how many final blocks wait; the driver and sync slow down by it."""
        return len(self._queue)

    def missing(self) -> list[BatchDigest]:
        """Return the batches that the next final block names and that are not here."""
        if not self._queue:
            return []
        return [name for name in decode_payload(self._queue[0].block.payload) if name not in self._pool]

    def waiting(self) -> list[FinalBlock]:
        """Return the final blocks that are not stored yet, in ascending height."""
        return list(self._queue)

    def finalized(self, blocks: Sequence[Block], certificate: Certificate | None) -> None:
        """Take the next final blocks, in ascending height."""
        for block in blocks:
            if block.header.height > self.height + len(self._queue):
                self._queue.append(FinalBlock(block, certificate))
        self._wake.set()

    def root_at(self, height: int) -> Hash | None:
        """Return the state root after a height, or None if it is not executed."""
        if height > self.height:
            return None
        known = self._roots.get(height)
        if known is not None:
            return known
        if height == self.height:
            return self.root
        roots = self._store.roots(height)
        return None if roots is None else Hash(roots.root)

    async def run(self) -> None:
        """Execute until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    self._fetch_ahead()
                    await self._execute(self._queue[0])
        finally:
            for task in self._fetching.values():
                task.cancel()

    async def _execute(self, final: FinalBlock) -> None:
        block = final.block
        assert block.header.height == self.height + 1
        self._require_same_root(block)
        names = decode_payload(block.payload)
        held = await self._collect(block.header.height, names)
        executed, placed = await self._apply(block, held)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.to_thread(self._store.commit, record_of(final, held, executed, placed))
        self.storing.add(loop.time() - began)
        self._queue.popleft()
        self.height = block.header.height
        self.root = Hash(executed.root)
        self._remember(self.height, self.root)
        self.transactions += len(executed.receipts)
        if executed.receipts:
            self.uncertified_height = self.height
        self._pool.forget(names)
        self._on_stored(Stored(block, executed, tuple(held)))

    def _require_same_root(self, block: Block) -> None:
        header = block.header
        ours = self.root_at(header.executed_height)
        if ours is not None and ours != header.state_root:
            raise Diverged(
                f"final block {header.height} names root {header.state_root.hex()} "
                f"for height {header.executed_height}, ours is {ours.hex()}"
            )

    def _fetch_ahead(self) -> None:
        """Have the batches of the next blocks fetched at the same time, from whom it may be."""
        for final in islice(self._queue, AHEAD_BLOCKS):
            height = final.block.header.height
            if height not in self._fetching:
                missing = [name for name in decode_payload(final.block.payload) if name not in self._pool]
                if missing:
                    self._fetching[height] = asyncio.create_task(self._fetch(missing))

    async def _collect(self, height: int, names: Sequence[BatchDigest]) -> list[Held]:
        fetching = self._fetching.pop(height, None)
        if fetching is not None:
            await fetching
        missing = [name for name in names if name not in self._pool]
        if missing:
            await self._fetch(missing)
        held = [self._pool.get(name) for name in names]
        assert all(each is not None for each in held)
        return [each for each in held if each is not None]

    async def _apply(self, block: Block, held: Sequence[Held]) -> tuple[Executed, list[tuple[BatchDigest, int]]]:
        """Execute in slices, so that votes and batches are answered meanwhile."""
        loop = asyncio.get_running_loop()
        began = resumed = loop.time()
        places: list[tuple[BatchDigest, int]] = []
        header = block.header
        self._ledger.begin(header.height, header.timestamp_ms, header.version, self._decreed_roster(header.height))
        for each in held:
            for position, transaction in enumerate(each.transactions):
                self._ledger.apply(transaction)
                places.append((each.batch.digest, position))
                if loop.time() - resumed > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    resumed = loop.time()
        for _ in self._ledger.finishing():
            if loop.time() - resumed > SLICE_SECONDS:
                await asyncio.sleep(0)
                resumed = loop.time()
        executed = self._ledger.finish()
        self.execution.add(loop.time() - began)
        return executed, places

    def _remember(self, height: int, root: Hash) -> None:
        self._roots[height] = root
        if len(self._roots) > ROOTS_KEPT:
            self._roots.popitem(last=False)


def record_of(
    final: FinalBlock, held: Sequence[Held], executed: Executed, places: Sequence[tuple[BatchDigest, int]]
) -> BlockRecord:
    """Return the one write of a block. Only the one result of an id is found by it (``Receipt.consumed``)."""
    block, certificate = final.block, final.certificate
    transactions = [transaction for each in held for transaction in each.transactions]
    paid = [
        reference
        for transaction, receipt in zip(transactions, executed.receipts, strict=True)
        for reference in references(transaction, receipt)
    ]
    placed = [
        # Consumed means that the ledger has never seen the id: the store need not look whether it has.
        Placed(receipt.transaction_id, index, name, position, receipt.encoded, fresh=True)
        for index, (receipt, (name, position)) in enumerate(zip(executed.receipts, places, strict=True))
        if receipt.consumed
    ]
    return BlockRecord(
        height=block.header.height,
        block_hash=block.hash,
        parent_hash=block.header.parent_hash,
        block_bytes=block.encoded,
        timestamp_ms=block.header.timestamp_ms,
        certificate=encode_certificate(certificate) if certificate and certificate.hash == block.hash else b"",
        roots=Roots(executed.state_tree_root, executed.outcomes_root, executed.root, encode_header(block.header)),
        transactions=placed,
        outcome_leaves=b"".join(executed.outcomes),
        batches={each.batch.digest: each.batch.encoded for each in held},
        changes=executed.changes,
        entries=executed.entries,
        references=paid,
        roster=executed.roster,
        version=executed.next_version,
    )
