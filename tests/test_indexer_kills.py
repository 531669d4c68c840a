"""kill -9 of the indexer, of PostgreSQL and of nodes, at any moment, while money moves: each block is there once."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

import psycopg
import pytest

from devnet.generate import bank_account, demo_accounts
from devnet.money import bank_key, fund_people, issue
from devnet.processes import LocalNetwork
from node.client.client import Client
from node.client.outbox import State
from node.client.trust import Trust
from node.indexer.proof import Verdict, verify
from node.indexer.view import view
from node.ledger.account import SOM, Kind
from node.ledger.genesis import Genesis, format_genesis
from node.ledger.pay import Pay
from tests.cli_lab import Som, som_lab
from tests.devnet_lab import ROOT, environment
from tests.postgres_lab import Cluster, cluster, needed
from tests.solo_chain import BOB, SoloChain

pytestmark = [needed(), pytest.mark.postgres, pytest.mark.slow, pytest.mark.processes]

PATIENCE_SECONDS: Final = 120.0
MOMENT_SECONDS: Final = 0.3  # the longest time by chance between a step of the index and a kill


class Indexing:
    """`som index` as a process, and the place in its database."""

    def __init__(self, folder: Path, dsn: str, genesis: Genesis, urls: list[str]) -> None:
        self.folder = folder
        self.dsn = dsn
        file = folder / "genesis-of-index.json"
        file.write_text(format_genesis(genesis))
        nodes = [part for url in urls for part in ("--node", url)]
        self._command = [sys.executable, "-m", "node.cli", "index", "--dsn", dsn, "--genesis", str(file), *nodes]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "index.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=environment(self.folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def end(self) -> int:
        """Ask it to end, as a supervisor does; return the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_SECONDS)

    @property
    def said(self) -> str:
        return (self.folder / "index.log").read_text()

    def height(self) -> int:
        """Return how far the database is, 0 while it does not answer."""
        try:
            with psycopg.connect(self.dsn, connect_timeout=2) as connection:
                found = connection.execute("SELECT height FROM som.chain").fetchone()
        except psycopg.Error:
            return 0
        return 0 if found is None else int(found[0])

    def comes_to(self, height: int) -> int:
        """Wait until the database is there; return where it is. The indexer itself may not end."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (there := self.height()) < height:
            assert self._process is not None
            assert self._process.poll() is None, self.said
            assert time.monotonic() < deadline, f"{there} < {height}\n{self.said}"
            time.sleep(0.05)
        return there

    async def verdict(self, urls: list[str], genesis: Genesis) -> Verdict:
        """Compare all accounts with the chain."""
        async with Client(urls, trust=Trust.of(genesis)) as client:
            return await verify(client, lambda: view(self.dsn, genesis), 0)


@pytest.fixture
def server() -> Iterator[Cluster]:
    with cluster() as found:
        yield found


@contextlib.contextmanager
def running(indexing: Indexing) -> Iterator[Indexing]:
    indexing.start()
    try:
        yield indexing
    finally:
        indexing.kill()


def kill_and_start(victim: Callable[[], None], again: Callable[[], None], random: Random) -> None:
    time.sleep(random.uniform(0, MOMENT_SECONDS))  # where in its work a kill finds it is up to chance
    victim()
    again()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1])
def test_whichever_side_is_killed_the_sums_are_those_of_the_chain(tmp_path: Path, server: Cluster, seed: int) -> None:
    random = Random(seed)
    with (
        som_lab(tmp_path) as som,
        running(Indexing(tmp_path, server.dsn(server.create()), som.chain.genesis, [som.url])) as index,
    ):
        kills = [(index.kill, index.start)] * 6 + [(server.kill, server.start)] * 6
        random.shuffle(kills)
        for victim, again in kills:
            before = index.comes_to(grow(som, random.randint(5, 60)) // 2)  # in its midst there is more to come
            kill_and_start(victim, again, random)
            assert index.comes_to(before) >= before
        top = grow(som, 1)
        index.comes_to(top - 1)
        verdict = asyncio.run(index.verdict([som.url], som.chain.genesis))
        assert index.end() == 0
    assert verdict.faults == ()
    assert verdict.entries > 12 * 5


def grow(som: Som, blocks: int) -> int:
    """Add blocks with payments; return the new height."""

    async def add(chain: SoloChain) -> int:
        for number in range(blocks):
            await chain.add_block([chain.pay("alice", BOB, number + 1), chain.pay("bank", BOB, 2)])
        await chain.add_block(())
        return chain.store.tip.height

    return som.on_chain(add)


@pytest.mark.timeout(900)
async def test_on_a_devnet_with_a_validator_that_dies_the_sums_are_those_of_the_chain(
    tmp_path: Path, server: Cluster
) -> None:
    random = Random(2)
    async with LocalNetwork(tmp_path / "net") as network, Client(network.urls()) as client:
        await issue(client)
        await fund_people(client)
        index = Indexing(tmp_path, server.dsn(server.create()), network.genesis, network.urls())
        with running(index):
            async with paying(client) as paid:
                first = network.names[0]  # that which the indexer asks
                kills = [(index.kill, index.start), (server.kill, server.start)] * 3
                kills.insert(2, (lambda: network.kill(first), lambda: network.start(first)))
                for victim, again in kills:
                    before = await asyncio.to_thread(index.comes_to, index.height() + random.randint(1, 3))
                    await asyncio.to_thread(kill_and_start, victim, again, random)
                    assert await asyncio.to_thread(index.comes_to, before) >= before
            await network.ready(network.names)
            top = (await client.info()).height
            await asyncio.to_thread(index.comes_to, top)  # idle blocks go on, and certify this one
            verdict = await index.verdict(network.urls(), network.genesis)
            assert index.end() == 0
        assert verdict.faults == ()
        assert verdict.accounts == len(network.genesis.accounts)
        assert sum(paid) > 0
        with psycopg.connect(index.dsn) as connection:
            found = connection.execute("SELECT count(*) FROM som.entries WHERE ref = 'load' AND amount < 0").fetchone()
        assert found == (sum(paid),)


@contextlib.asynccontextmanager
async def paying(client: Client) -> AsyncIterator[list[int]]:
    """Let a bank pay, in calls of 20, until the end; the list has how many each call paid."""
    bank, paid, stop = bank_account(1), list[int](), asyncio.Event()
    people = [demo.number for demo in demo_accounts() if demo.bank == bank and demo.kind is Kind.PERSON]

    async def pay() -> None:
        while not stop.is_set():
            operations = [Pay(SOM, bank, ((people[number % len(people)], 1, b"load"),)) for number in range(20)]
            transactions = [await client.sign([bank], [each], [(0, bank_key(1))]) for each in operations]
            settled = await client.submit_many(transactions)
            assert all(each.state is State.APPLIED for each in settled), settled
            paid.append(len(settled))

    task = asyncio.create_task(pay())
    try:
        yield paid
    finally:
        stop.set()
        await task
