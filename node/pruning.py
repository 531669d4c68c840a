"""Pruning: old blocks, batches, receipts, entries and references are given up, and the disk gets their room back.

One rule: never what is still needed. The last blocks stay however few are to be kept, and all within the longest window
in which a transaction may come twice; so do the last blocks of the epochs that committees follow from, rosters and
evidence. It is off unless the node's own settings ask for it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

import structlog

from consensus.messages import decode_block
from node.batches import BATCH_LIFE_HEIGHTS, decode_batch, decode_payload, decode_transactions
from node.epochs import Epochs
from node.ledger.receipt import decode_receipt
from node.ledger.statement import decode_entry
from node.references import references
from node.slices import in_slices
from node.storage.pruning import old_entries, ranges_to_give_back, row_of_roots, rows_of_block, rows_of_content
from node.storage.records import StoredBlock
from node.storage.store import Store
from node.terms import begin_height

BLOCKS_MIN: Final = 4 * BATCH_LIFE_HEIGHTS  # are always kept: twice what a snapshot, its proof and the pool look back
DAY_MS: Final = 24 * 3_600_000
WINDOW_MS: Final = 7 * DAY_MS  # the longest window of a transaction (node/ledger/parameters.py): kept always
STEP_HEIGHTS: Final = 1_024  # fewer are not worth the copying
PAUSE_SECONDS: Final = 60.0  # between two looks
ROWS: Final = 2_000  # removed in one write

log = structlog.get_logger("pruning")


class Pruner:
    """Keeps so many blocks and days, whichever is more; both 0 keep everything."""

    def __init__(
        self,
        store: Store,
        epochs: Epochs,
        genesis_hash: bytes,
        keep_blocks: int,
        keep_days: int,
        needed_from: Callable[[], int | None],
        window_ms: int = WINDOW_MS,
        blocks_min: int = BLOCKS_MIN,
        step: int = STEP_HEIGHTS,
    ) -> None:
        """``needed_from`` gives the height of a snapshot that is being made."""
        self._store = store
        self._epochs = epochs
        self._genesis_hash = genesis_hash
        self._on = bool(keep_blocks or keep_days)
        self._keep_blocks = max(keep_blocks, blocks_min)
        self._keep_ms = max(keep_days * DAY_MS, window_ms)
        self._needed_from = needed_from
        self._step = step
        self._stop = threading.Event()
        self.blocks = 0  # given up by this process
        self.due = 0  # blocks that may go and were still here at the last look

    async def run(self) -> None:
        """Prune now and then until cancelled."""
        try:
            while self._on:
                base = self.base_wanted()
                self.due = base - self._store.base()
                if self.due >= self._step:
                    await self.prune(base)
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._stop.set()

    def base_wanted(self) -> int:
        """Return the height at which the store should begin."""
        tip = self._store.tip.height
        newest = tip - self._keep_blocks
        making = self._needed_from()
        if making is not None:
            newest = min(newest, making - 1)
        low, high = self._store.base(), newest
        if high <= low:
            return low
        limit = self._time(tip) - self._keep_ms
        while low < high:  # the last block before the days that are kept
            middle = (low + high + 1) // 2
            if self._time(middle) < limit:
                low = middle
            else:
                high = middle - 1
        return low

    async def prune(self, base: int) -> None:
        """Give up everything below ``base``, and what the block there brought."""
        began, before = time.monotonic(), self._store.base()
        if not await asyncio.to_thread(in_slices, self._removing(base), self._stop):
            return
        for low, high in ranges_to_give_back(base):
            await asyncio.to_thread(self._store.give_back, low, high)
        self.blocks, self.due = self.blocks + base - before, 0
        log.info("pruned", base=base, blocks=base - before, seconds=round(time.monotonic() - began, 1))

    def _removing(self, base: int) -> Iterator[None]:
        self._store.prune((), base)  # from here on nobody looks for what goes
        waiting: list[bytes] = []
        for keys in chain(self._old_blocks(base), self._old_entries(base)):
            waiting += keys
            if len(waiting) >= ROWS:
                self._store.prune(waiting, base)
                waiting = []
            yield
        self._store.prune(waiting, base)

    def _old_blocks(self, base: int) -> Iterator[list[bytes]]:
        tip = self._store.tip.height
        length, last = self._epochs.length, self._epochs.after_height(tip)
        kept = {begin_height(epoch, length) for epoch in self._epochs.trail(last)}
        for block in self._store.blocks_up_to(base + 1):
            yield from self._content(block)
            if block.height < base:
                yield [row_of_roots(block.height)]
                if block.height not in kept:
                    yield rows_of_block(block)

    def _content(self, block: StoredBlock) -> Iterator[list[bytes]]:
        """Yield what a block brought, all at once: one half could not be found without the other."""
        names = decode_payload(decode_block(block.block_bytes).payload)
        found: list[bytes] = []
        row = 0
        for name in names:
            data = self._store.batch(name)
            if data is None:
                continue
            for transaction in decode_transactions(self._genesis_hash, decode_batch(self._genesis_hash, data)):
                stored = self._store.transaction(transaction.id)
                if stored is None or stored.height != block.height:
                    continue
                paid = []
                for account, ref, _ in references(transaction, decode_receipt(transaction.id, stored.receipt)):
                    paid.append((account, ref, row))
                    row += 1
                found += rows_of_content(block.height, (), (transaction.id,), paid)
                yield []
        yield [*found, *rows_of_content(block.height, names, (), ())]

    def _old_entries(self, base: int) -> Iterator[list[bytes]]:
        for key in old_entries(self._store, lambda row: decode_entry(row).height <= base):
            yield [] if key is None else [key]

    def _time(self, height: int) -> int:
        block = self._store.block(height)
        assert block is not None, "above its base a store is whole"
        return block.timestamp_ms
