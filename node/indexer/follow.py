"""The indexer at work: blocks from whichever node answers, in batches, into the database.

One rule: the database alone knows how far it is. After any failure of a node, of the server or of this program the next
try asks it, and goes on from there.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.client.chain import ChainBlock
from node.client.client import Client
from node.client.errors import ClientError, NotReachable, ProofInvalid, RequestFailed
from node.client.following import follow_chain
from node.indexer.books import rows_of
from node.indexer.database import Database, Unavailable
from node.ledger.genesis import Genesis

BATCH_TRANSACTIONS: Final = 5_000  # of one commit, or one block if that has more
BATCH_BLOCKS: Final = 500
WAITING_BLOCKS: Final = 500  # read ahead of the database, with at most so many transactions and one block more
WAITING_TRANSACTIONS: Final = 20_000
PAUSES_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # between tries, the last one again and again
START_SECONDS: Final = 30.0  # that a server has to answer at first: both may be starting
REPORT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. ``lag`` is in blocks behind the node; the rest counts since the report before."""

    height: int
    lag: int
    blocks: int
    transactions: int
    rows: int
    seconds: float
    cpu_seconds: float


class Pruned(Exception):
    """No node that was named has kept the heights from which the index must go on."""


@dataclass(slots=True)
class _Count:
    blocks: int = 0
    transactions: int = 0
    rows: int = 0


class Indexer:
    """Follows the chain into one database until it is cancelled, or has come to a height."""

    def __init__(
        self,
        dsn: str,
        genesis: Genesis,
        urls: Sequence[str],
        connect: Callable[[Sequence[str]], Client],
        report: Callable[[Progress], None],
        trouble: Callable[[str], None],
    ) -> None:
        """``connect`` makes a client of nodes, asked in the order given; ``trouble`` hears why there is another try."""
        self._dsn = dsn
        self._genesis = genesis
        self._urls = tuple(urls)
        self._connect = connect
        self._report = report
        self._trouble = trouble
        self._count = _Count()
        self._reported_at = time.monotonic()
        self._cpu_at = time.process_time()
        self._caught_up = False

    async def run(self, until: int | None = None) -> int:
        """Follow; return the height if ``until`` is given and reached.

        Raises Unavailable if the server does not answer at first; DatabaseError, Unknown, Incomplete; Pruned,
        ProofInvalid or RequestFailed when that is what each of the nodes has answered.
        """
        database = await self._opened(0, time.monotonic() + START_SECONDS)
        tries = 0
        alone: tuple[str, ...] = ()  # who has still to be asked by itself, after some node was of no use
        while True:
            height = database.place.height
            urls = alone[:1] or self._urls
            why: Exception
            try:
                with contextlib.closing(database):
                    return await self._follow(database, until, urls)
            except Unavailable as error:
                why = error
            except NotReachable as error:
                why, alone = error, ()
            except (RequestFailed, ProofInvalid) as error:
                why = error
                alone = alone[1:] if alone and database.place.height == height else self._urls
                if not alone:
                    if _is_pruned(error):
                        raise Pruned(str(error)) from None
                    raise
            tries = 0 if database.place.height > height else tries + 1
            self._trouble(str(why))
            await _pause(tries)
            database = await self._opened(tries + 1, None)

    async def _opened(self, tries: int, deadline: float | None) -> Database:
        """Return the database once its server answers. Raises Unavailable after the deadline."""
        while True:
            try:
                return await asyncio.to_thread(Database.open, self._dsn, self._genesis)
            except Unavailable as error:
                if deadline is not None and time.monotonic() > deadline:
                    raise
                self._trouble(str(error))
            await _pause(tries)
            tries += 1

    async def _follow(self, database: Database, until: int | None, urls: Sequence[str]) -> int:
        if until is not None and database.place.height >= until:
            return database.place.height
        ahead = _Ahead()
        async with self._connect(urls) as client:
            place = database.place
            blocks = follow_chain(client, place.chain, from_cursor=place.cursor)
            reading = asyncio.create_task(ahead.read(blocks))
            try:
                while True:
                    batch = await ahead.batch()
                    rows = await asyncio.to_thread(_store, database, batch)
                    self._stored(batch, rows)
                    if until is not None and database.place.height >= until:
                        if self._count.blocks:
                            self._tell(batch[-1])
                        return database.place.height
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    def _stored(self, batch: Sequence[ChainBlock], rows: int) -> None:
        count, last = self._count, batch[-1]
        count.blocks += len(batch)
        count.transactions += sum(len(block.transactions) for block in batch)
        count.rows += rows
        caught_up = last.header.height + 1 >= last.tip  # the last block is certain only when the next one is final
        if time.monotonic() - self._reported_at >= REPORT_SECONDS or caught_up > self._caught_up:
            self._tell(last)
        self._caught_up = caught_up

    def _tell(self, last: ChainBlock) -> None:
        count, now, cpu = self._count, time.monotonic(), time.process_time()
        self._report(
            Progress(
                last.header.height,
                max(0, last.tip - last.header.height),
                count.blocks,
                count.transactions,
                count.rows,
                now - self._reported_at,
                cpu - self._cpu_at,
            )
        )
        self._count, self._reported_at, self._cpu_at = _Count(), now, cpu


class _Ahead:
    """Blocks that were read and are not stored yet, and what ended the reading."""

    def __init__(self) -> None:
        self._blocks: deque[ChainBlock] = deque()
        self._transactions = 0
        self._failure: Exception | None = None
        self._changed = asyncio.Condition()

    async def read(self, blocks: AsyncGenerator[ChainBlock, None]) -> None:
        """Take blocks as far ahead as there is room."""
        try:
            async with contextlib.aclosing(blocks):
                async for block in blocks:
                    async with self._changed:
                        await self._changed.wait_for(self._has_room)
                        self._blocks.append(block)
                        self._transactions += len(block.transactions)
                        self._changed.notify_all()
        except Exception as error:  # who takes the blocks raises it
            async with self._changed:
                self._failure = error
                self._changed.notify_all()

    async def batch(self) -> list[ChainBlock]:
        """Return what is there, at least one block. Raises what ended the reading, once all before it was returned."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._blocks or self._failure)
            if not self._blocks and self._failure is not None:
                raise self._failure
            batch: list[ChainBlock] = []
            transactions = 0
            while self._blocks and len(batch) < BATCH_BLOCKS and transactions < BATCH_TRANSACTIONS:
                batch.append(self._blocks.popleft())
                transactions += len(batch[-1].transactions)
            self._transactions -= transactions
            self._changed.notify_all()
            return batch

    def _has_room(self) -> bool:
        return len(self._blocks) < WAITING_BLOCKS and self._transactions < WAITING_TRANSACTIONS


async def _pause(tries: int) -> None:
    await asyncio.sleep(PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)])


def _is_pruned(error: ClientError) -> bool:
    return isinstance(error, RequestFailed) and error.name == "pruned"


def _store(database: Database, batch: Sequence[ChainBlock]) -> int:
    rows = rows_of(batch, database)
    database.write(rows, batch[-1].place, batch[-1].cursor)
    return len(rows)
