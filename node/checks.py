"""Signature checks: each transaction's once, never one call at a time beside a busy loop.

Two lanes: batches of other validators go first, because blocks wait for them; our own clients' transactions fill the
rest, so that a flood of clients slows itself. With no workers the checks run in slices of the event loop; with workers,
in processes, whole chunks at a time (a thread per check starves beside a busy loop: docs/performance.md).
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from enum import IntEnum
from typing import Final

from consensus.crypto import verify
from node.ledger.transaction import Transaction

SLICE_CHECKS: Final = 64  # about 5 ms of the event loop
CHUNK_CHECKS: Final = 256  # a task for a worker: its way there and back costs less than 1 % of it
QUEUED_CHECKS_MAX: Final = 65_536  # a few seconds of work; beyond it our clients are told to come later

Check = tuple[bytes, bytes, bytes]  # public key, message, signature


class Lane(IntEnum):
    """Who waits for a check."""

    VALIDATORS = 0
    CLIENTS = 1


class SignatureChecks:
    """Checks the signatures of transactions, in order of their lanes."""

    def __init__(self, workers: int) -> None:
        """Use ``workers`` processes, or the event loop if 0."""
        self._lanes: tuple[deque[_Job], deque[_Job]] = (deque(), deque())
        self._queued = [0, 0]
        self._wake = asyncio.Event()
        self._workers = workers
        self.checked = 0

    def queued(self, lane: Lane) -> int:
        """Return how many checks wait in a lane."""
        return self._queued[lane]

    async def valid(self, transactions: Sequence[Transaction], lane: Lane) -> list[bool]:
        """Return for each transaction whether all its signatures are valid."""
        job = _Job(transactions, lane)
        self._lanes[lane].append(job)
        self._queued[lane] += len(job.checks)
        self._wake.set()
        return await job.done

    async def run(self) -> None:
        """Check what is asked until cancelled."""
        if self._workers == 0:
            await self._run_in_line()
            return
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(self._workers, mp_context=context, initializer=_end_with_parent) as pool:
            await self._run_in(pool)

    async def _run_in_line(self) -> None:
        while True:
            lane = await self._first_lane()
            job = lane[0]
            done = len(job.results)
            job.results.extend(check_all(job.checks[done : done + SLICE_CHECKS]))
            if len(job.results) == len(job.checks):
                lane.popleft()
                self._finish(job)
            await asyncio.sleep(0)  # and then a slice for whoever goes first

    async def _run_in(self, pool: ProcessPoolExecutor) -> None:
        room = asyncio.Semaphore(self._workers + 1)  # one chunk waits while each worker has one
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await room.acquire()  # first: whoever is chosen before there is room lets nobody pass
                job = await self._next()
                chunks = [job.checks[i : i + CHUNK_CHECKS] for i in range(0, len(job.checks), CHUNK_CHECKS)]

                async def work(job: _Job = job, chunks: list[list[Check]] = chunks) -> None:
                    try:
                        for chunk in chunks:
                            job.results.extend(await loop.run_in_executor(pool, check_all, chunk))
                        self._finish(job)
                    finally:
                        room.release()

                tasks.create_task(work())

    async def _next(self) -> "_Job":
        return (await self._first_lane()).popleft()

    async def _first_lane(self) -> "deque[_Job]":
        """Return the first lane in which somebody waits."""
        while True:
            for lane in self._lanes:
                if lane:
                    return lane
            self._wake.clear()
            await self._wake.wait()

    def _finish(self, job: "_Job") -> None:
        self._queued[job.lane] -= len(job.checks)
        self.checked += len(job.checks)
        if not job.done.done():
            job.done.set_result(job.verdicts())


class _Job:
    __slots__ = ("checks", "counts", "done", "lane", "results")

    def __init__(self, transactions: Sequence[Transaction], lane: Lane) -> None:
        self.lane = lane
        self.checks: list[Check] = [
            (public, transaction.id, signature)
            for transaction in transactions
            for _, public, signature in transaction.signatures
        ]
        self.counts = [len(transaction.signatures) for transaction in transactions]
        self.results: list[bool] = []
        self.done: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()

    def verdicts(self) -> list[bool]:
        results = iter(self.results)
        return [all(tuple(next(results) for _ in range(count))) for count in self.counts]


def check_all(checks: Sequence[Check]) -> list[bool]:
    """Return for each check whether the signature is valid. Runs in a worker, or in line."""
    return [verify(public, message, signature) for public, message, signature in checks]


def _end_with_parent() -> None:
    """Runs first in a worker. Nobody else tells it when the node is killed; and Ctrl-C is the node's to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, name="wait for parent", daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
