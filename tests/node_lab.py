"""Whole networks of validators in this process: real nodes, real TLS on loopback, real LevelDB, short timers.

A node is stopped as a process is that dies: its task ends, and what it had not synced is gone.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

from consensus.crypto import SecretKey
from consensus.timing import Timing
from devnet.generate import (
    ISSUER,
    TREASURY,
    VALIDATORS,
    Place,
    bank_account,
    demo_accounts,
    key_of,
    make_genesis,
    write_network,
)
from devnet.processes import LOOPBACK, free_ports
from node.home import open_home, read_config
from node.ledger.account import SOM
from node.ledger.genesis import Genesis
from node.ledger.operations import Operation
from node.ledger.pay import Pay
from node.ledger.transaction import Transaction, make_transaction
from node.ledger.versions import NEWEST
from node.node import Node
from node.rpc.ports import Outcome, Submitted

PATIENCE_SECONDS: Final = 90.0  # a test fails after so long; none waits for it
LIFETIME_MS: Final = 5 * 60_000
QUICK: Final = Timing(
    leader_ms=500, view_ms=1_200, retry_ms=250, share_ms=50, skip_ms=2_500, idle_ms=400, view_ms_max=4_000
)
NAMES: Final = (*VALIDATORS, "bank-4", "bank-5", "bank-6")

_salts = count(1)


class Lab:
    """Homes of validators, and those that run now, by name."""

    def __init__(self, directory: Path, genesis: Genesis, names: Sequence[str], timing: Timing = QUICK) -> None:
        self.directory = directory
        self.genesis = genesis
        self.names = tuple(names)
        self.timing = timing
        self.nodes: dict[str, Node] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._open: dict[str, ExitStack] = {}

    # --- life and death ---

    async def start(self, *names: str) -> None:
        """Open homes and run their nodes."""
        for name in names:
            assert name not in self._runs
            home, resources = self.directory / name, ExitStack()
            config = read_config(home)
            try:
                self.nodes[name] = node = Node(config, open_home(home, config, None, resources), self.timing)
            except BaseException:
                resources.close()
                raise
            self._open[name] = resources
            self._runs[name] = asyncio.create_task(node.run())
        for name in names:
            starting = asyncio.create_task(self.nodes[name].started.wait())
            await asyncio.wait((starting, self._runs[name]), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await self._runs[name]

    async def stop(self, *names: str) -> None:
        """End nodes, all at once. What one of them raised is raised here."""
        runs = [self._runs.pop(name) for name in names]
        for run in runs:
            run.cancel()
        ended = await asyncio.gather(*runs, return_exceptions=True)
        for name in names:
            self.nodes.pop(name)
            self._open.pop(name).close()
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
                raise error

    def has_ended(self, name: str) -> bool:
        """Return whether a node has ended by itself."""
        return self._runs[name].done()

    async def gone(self, name: str) -> BaseException | None:
        """Wait until a node has ended by itself; return what it raised."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait((self._runs[name],))
        error = self._runs.pop(name).exception()
        self.nodes.pop(name)
        self._open.pop(name).close()
        return error

    @property
    def running(self) -> list[str]:
        return list(self._runs)

    def alive(self) -> None:
        """Assert that no node has ended by itself."""
        for name, run in self._runs.items():
            if run.done():
                raise AssertionError(f"{name} has ended") from run.exception()

    # --- what a test waits for ---

    async def until(self, holds: Callable[[], object], what: str = "") -> None:
        """Wait until ``holds()``, and fail at once if a node ends by itself."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        self.alive()
        while not holds():
            assert time.monotonic() < deadline, f"never came true: {what}; {'; '.join(self.describe())}"
            await asyncio.sleep(0.01)
            self.alive()

    async def height(self, height: int, *names: str) -> None:
        """Wait until these nodes, or all that run, have stored a height."""
        await self.until(
            lambda: all(self.nodes[name].store.tip.height >= height for name in names or self.running),
            f"height {height}",
        )

    async def linked(self, *names: str) -> None:
        """Wait until these nodes, or all that run, are linked with one another."""
        chosen = names or tuple(self.running)
        await self.until(
            lambda: all(len(self.nodes[name].links.connected()) >= len(chosen) - 1 for name in chosen), "links"
        )

    async def settled(self, *transactions: Transaction) -> None:
        """Wait until all nodes have stored these transactions."""
        await self.until(
            lambda: all(self.nodes[name].store.transaction(each.id) for each in transactions for name in self.running),
            f"{len(transactions)} transactions stored",
        )

    def describe(self) -> list[str]:
        return [
            f"{name}: height {node.store.tip.height} of {node.driver.core.committed.header.height}, "
            f"epoch {node.driver.core.epoch} view {node.driver.core.view}"
            for name, node in self.nodes.items()
        ]

    def same_chain(self) -> int:
        """Assert that all that run have one chain up to the lowest tip; return its height."""
        stores = [self.nodes[name].store for name in self.running]
        height = min(store.tip.height for store in stores)
        for each in range(1, height + 1):
            blocks = {store.block(each).block_hash for store in stores}  # type: ignore[union-attr]
            roots = {store.roots(each).root for store in stores}  # type: ignore[union-attr]
            assert len(blocks) == len(roots) == 1, f"height {each}"
        return height

    # --- money ---

    def transaction(
        self,
        operations: Sequence[Operation],
        signers: Iterable[SecretKey],
        account: int,
        lifetime_ms: int = LIFETIME_MS,
    ) -> Transaction:
        """Return a transaction of one account."""
        expires_ms = time.time_ns() // 1_000_000 + lifetime_ms
        keys = [(0, key) for key in signers]
        genesis = self.genesis
        return make_transaction(genesis.network, genesis.hash, expires_ms, next(_salts), [account], operations, keys)

    def pay(
        self, payer: int, to: int, amount: int, *signers: str, ref: bytes = b"", lifetime_ms: int = LIFETIME_MS
    ) -> Transaction:
        """Return a payment of som."""
        return self.transaction(
            [Pay(SOM, payer, ((to, amount, ref),))], [key_of(name) for name in signers], payer, lifetime_ms
        )

    def issue(self, amount: int = 1_000_000_00) -> Transaction:
        """Return an issue of money to the Treasury."""
        return self.pay(ISSUER, TREASURY, amount, "nbkr-board-1", "nbkr-board-2")

    def pension(self, amount: int = 1_00) -> Transaction:
        """Return a payment of the Treasury to a bank."""
        return self.pay(TREASURY, bank_account(1), amount, "treasury")

    async def submit(self, name: str, *transactions: Transaction) -> list[Submitted]:
        return await self.nodes[name].service.submit([transaction.raw for transaction in transactions])

    async def accept(self, name: str, *transactions: Transaction) -> None:
        """Submit transactions that must be taken."""
        for submitted in await self.submit(name, *transactions):
            assert submitted.code == 0, submitted

    async def outcome(self, name: str, transaction: Transaction) -> Outcome:
        return await self.nodes[name].outcomes.outcome(transaction.id, PATIENCE_SECONDS)

    async def fund(self, name: str | None = None) -> None:
        """Give the Treasury money, and wait until all have it."""
        issue = self.issue()
        await self.accept(name or self.running[0], issue)
        await self.settled(issue)

    def balance(self, name: str, number: int) -> int:
        account = self.nodes[name].ledger.account(number)
        assert account is not None
        return account.balance(SOM)


def make_lab(
    directory: Path,
    validators: int = 4,
    epoch_length: int = 1_000,
    timing: Timing = QUICK,
    workers: int = 0,
    version: int = NEWEST,
) -> Lab:
    """Make the homes of a new network."""
    names = NAMES[:validators]
    now_ms = time.time_ns() // 1_000_000
    genesis = replace(make_genesis(now_ms, names), tree_depth=2, epoch_length=epoch_length)
    genesis = replace(genesis, parameters=genesis.parameters._replace(protocol_version=version))
    ports = free_ports(validators)
    places = [Place(name, LOOPBACK, LOOPBACK, port, 0) for name, port in zip(names, ports, strict=True)]
    write_network(directory, places, genesis, workers)
    return Lab(directory, genesis, names, timing)


@asynccontextmanager
async def network(
    directory: Path, validators: int = 4, epoch_length: int = 1_000, timing: Timing = QUICK, workers: int = 0
) -> AsyncIterator[Lab]:
    """Run a network whose nodes are linked; at the end no node may have failed."""
    lab = make_lab(directory, validators, epoch_length, timing, workers)
    try:
        await lab.start(*lab.names)
        await lab.linked()
        yield lab
        lab.alive()
    finally:
        await lab.stop(*lab.running)


def demo_number(name: str) -> int:
    """Return the account of a demo person."""
    return next(demo.number for demo in demo_accounts() if demo.name == name)
