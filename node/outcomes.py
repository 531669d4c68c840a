"""Who waits for a transaction hears how it ended.

One rule: EXECUTED is said after the block is on disk, EXPIRED when no block can execute it any more.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from node.rpc.ports import Outcome

WAITING_MAX: Final = 100_000  # clients that wait at once; more are told PENDING at once


class Outcomes:
    """Futures by transaction id."""

    def __init__(self, executed: Callable[[bytes], bool], height: int) -> None:
        """``executed`` asks the store; ``height`` is its tip's."""
        self._height = height
        self._heights: dict[int, list[asyncio.Future[None]]] = {}
        self._executed = executed
        self._waiting: dict[bytes, list[asyncio.Future[Outcome]]] = {}
        self._count = 0

    async def outcome(self, transaction_id: bytes, timeout_seconds: float) -> Outcome:
        """Return how the transaction ended, or PENDING after ``timeout_seconds``."""
        if self._executed(transaction_id):
            return Outcome.EXECUTED
        if timeout_seconds <= 0 or self._count >= WAITING_MAX:
            return Outcome.PENDING
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(transaction_id, []).append(future)
        self._count += 1
        try:
            async with asyncio.timeout(timeout_seconds):
                return await future
        except TimeoutError:
            return Outcome.PENDING
        finally:
            self._count -= 1
            self._leave(transaction_id, future)

    def ended(self, transaction_ids: Iterable[bytes], outcome: Outcome) -> None:
        """Tell all who wait for one of these."""
        for transaction_id in transaction_ids:
            for future in self._waiting.get(transaction_id, ()):
                if not future.done():
                    future.set_result(outcome)

    async def reached(self, height: int, timeout_seconds: float) -> bool:
        """Return whether ``height`` is stored, waiting for it so long."""
        if self._height >= height:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heights.setdefault(height, []).append(future)
        try:
            async with asyncio.timeout(timeout_seconds):
                await future
        except TimeoutError:
            return False
        finally:
            waiting = self._heights.get(height, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._heights.pop(height, None)
        return True

    def stored(self, height: int) -> None:
        """Hear that a height is stored."""
        self._height = height
        for waited in [each for each in self._heights if each <= height]:
            for future in self._heights[waited]:
                if not future.done():
                    future.set_result(None)

    def _leave(self, transaction_id: bytes, future: asyncio.Future[Outcome]) -> None:
        futures = self._waiting.get(transaction_id, [])
        if future in futures:
            futures.remove(future)
        if not futures:
            self._waiting.pop(transaction_id, None)
