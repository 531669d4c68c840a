"""Validators as processes: killed, stopped for seconds, ended, started where something is in the way.

One network of four serves most tests, as its start is the dear part; each test leaves all four running and ready.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from devnet.generate import TREASURY, Place, bank_account, key_of, make_genesis, write_network
from devnet.money import issue
from devnet.processes import LOOPBACK, LocalNetwork, free_ports
from node.client.client import Client, Settled
from node.client.outbox import State
from node.ledger.account import SOM
from node.ledger.pay import Pay
from node.ledger.transaction import Transaction
from tests.node_parts import START_MS

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 90.0
QUIET_WORDS = ("signature_refused", "Traceback", "equivocation", "diverged", "Damaged", "GuardError")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes") / "net"


@pytest.fixture(scope="module")
def network(directory: Path) -> Any:
    """Run four validators for all tests of this file."""
    local = LocalNetwork(directory)

    async def start() -> None:
        await local.__aenter__()
        async with Client(local.urls()) as client:
            await issue(client)

    asyncio.run(start())
    yield local
    local.stop()


@pytest.fixture
async def client(network: LocalNetwork) -> AsyncIterator[Client]:
    """Give a client of all four, and see afterwards that they are as before."""
    async with Client(network.urls()) as client:
        yield client
    await network.ready(network.names)
    for name in network.names:
        log = network.log_path(name).read_text()
        assert not [word for word in QUIET_WORDS if word in log], log[-3_000:]


async def signed(client: Client, count: int) -> list[Transaction]:
    pays = [Pay(SOM, TREASURY, ((bank_account(1), 1_00, b"p"),)) for _ in range(count)]
    return [await client.sign([TREASURY], [pay], [(0, key_of("treasury"))]) for pay in pays]


async def paid(client: Client, count: int = 20) -> list[Settled]:
    """Pay, and wait until all is final."""
    settled = await client.submit_many(await signed(client, count), timeout_seconds=PATIENCE_SECONDS)
    assert {each.state for each in settled} == {State.APPLIED}
    return settled


async def everywhere(network: LocalNetwork, settled: list[Settled]) -> None:
    """Wait until each validator has these payments, at the same heights; and then the same roots."""
    heights = {each.tx_id: each.height for each in settled}
    top = max(height for height in heights.values() if height is not None)
    roots = set()
    for name in network.names:
        async with Client([network.url(name)]) as one:
            await until_height(one, top)
            for tx_id, height in heights.items():
                found = await one.transaction(tx_id)
                assert (found.outcome.status, found.outcome.height) == ("applied", height), name
            roots.add((await one.block(top)).block_hash)
    assert len(roots) == 1


async def until_height(client: Client, height: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (await client.info()).at_height < height:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


SECRET: Final = "c2VjcmV0LXRva2Vu"
BROKEN: Final = {
    "a header": f"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\x00\r\n\r\n",
    "a request line": f"GET /explorer/{SECRET}\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length": f"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: {SECRET}\r\n\r\n",
    "a chunk": f"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
    "what follows a request": f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n{SECRET}\x00",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_nothing_of_a_request_that_is_no_http_stands_in_the_log(
    network: LocalNetwork, client: Client, name: str
) -> None:
    url = urlsplit(network.url("bank-1"))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(BROKEN[name].encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert b" 400 " in await reader.read()
    writer.close()
    assert SECRET not in network.log_path("bank-1").read_text()


async def test_a_validator_that_is_killed_comes_back_and_has_everything(network: LocalNetwork, client: Client) -> None:
    before = await paid(client)
    network.kill("bank-3")
    during = await paid(client)
    network.start("bank-3")
    await network.ready(["bank-3"])
    await everywhere(network, before + during + await paid(client))


@pytest.mark.slow
async def test_all_killed_at_once_come_back_and_have_lost_no_payment_that_was_told(
    network: LocalNetwork, client: Client
) -> None:
    told: list[Settled] = []

    async def keep_paying() -> None:
        while True:
            told.extend(await paid(client, 5))

    paying = asyncio.create_task(keep_paying())
    for _ in range(2):
        reached = len(told) + 10
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(told) < reached:
            assert not paying.done(), paying.exception()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        for name in network.names:
            os.kill(network.pid(name), signal.SIGKILL)
        for name in network.names:
            network.kill(name)
            network.start(name)
        await network.ready(network.names)
    paying.cancel()
    await asyncio.wait((paying,))
    await everywhere(network, [*told, *await paid(client)])


async def test_a_validator_that_stands_still_for_seconds_goes_on_as_if_nothing_was(
    network: LocalNetwork, client: Client
) -> None:
    network.signal("bank-2", signal.SIGSTOP)
    began = time.monotonic()
    during = []
    while time.monotonic() - began < 4.0:
        during += await paid_without(network, "bank-2")
    network.signal("bank-2", signal.SIGCONT)
    await network.ready(["bank-2"])
    await everywhere(network, during + await paid(client))


async def paid_without(network: LocalNetwork, name: str) -> list[Settled]:
    async with Client([network.url(other) for other in network.names if other != name]) as client:
        return await paid(client, 5)


async def test_a_validator_that_is_told_to_end_ends_at_once_with_code_0(network: LocalNetwork, client: Client) -> None:
    before = await paid(client)
    for number in (signal.SIGTERM, signal.SIGINT):
        began = time.monotonic()
        network.signal("bank-1", number)
        while network.ended() != ["bank-1"]:
            assert time.monotonic() - began < 10.0
            await asyncio.sleep(0.02)
        assert network._processes["bank-1"].returncode == 0
        assert time.monotonic() - began < 8.0
        network.start("bank-1")
        await network.ready(["bank-1"])
    await everywhere(network, before)
    assert "stopped" in network.log_path("bank-1").read_text()


async def test_a_second_process_on_a_home_in_use_is_refused_and_disturbs_nobody(
    network: LocalNetwork, client: Client, directory: Path
) -> None:
    code, said = start(directory / "nbkr")
    assert code == 74
    assert "held by another process" in said
    await paid(client, 3)


async def test_the_workers_of_a_killed_validator_die_with_it(tmp_path: Path) -> None:
    async with LocalNetwork(tmp_path / "net", ["nbkr"], signature_workers=2) as alone:
        async with Client(alone.urls()) as client:
            await issue(client)  # a check has started the workers
        pid = alone.pid("nbkr")
        family = descendants(pid)
        assert len(family) >= 3, "two workers and what forks them"
        alone.kill("nbkr")
        await gone(family)


async def test_the_workers_of_a_validator_that_is_told_to_end_end_with_it(tmp_path: Path) -> None:
    async with LocalNetwork(tmp_path / "net", ["nbkr"], signature_workers=2) as alone:
        async with Client(alone.urls()) as client:
            await issue(client)
        family = descendants(alone.pid("nbkr"))
        alone.signal("nbkr", signal.SIGTERM)
        await gone(family)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while alone.ended() != ["nbkr"]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert alone._processes["nbkr"].returncode == 0
        assert "Traceback" not in alone.log_path("nbkr").read_text()


def descendants(pid: int) -> list[int]:
    """Return the processes below one, by the kernel's list."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue  # it has ended meanwhile
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family[1:]


async def gone(pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# --- starts that fail ---


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home of a lone validator that has never run."""
    genesis = replace(make_genesis(START_MS, ["nbkr"]), tree_depth=1)
    p2p, rpc = free_ports(2)
    write_network(tmp_path, [Place("nbkr", LOOPBACK, LOOPBACK, p2p, rpc)], genesis)
    return tmp_path / "nbkr"


def start(home: Path) -> tuple[int, str]:
    """Start a validator that must end by itself; return its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli", "start", "--home", str(home)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


def port_of(home: Path, section: str) -> int:
    text = (home / "config.toml").read_text().split(f"[{section}]")[1]
    return int(text.split("port = ")[1].splitlines()[0])


@pytest.mark.parametrize("section", ["listen", "rpc"])
def test_a_busy_port_is_named(home: Path, section: str) -> None:
    port = port_of(home, section)
    with socket.create_server((LOOPBACK, port)):
        code, said = start(home)
    assert code == 74
    assert str(port) in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("what", "spoil", "code", "says"),
    [
        ("config", lambda home: (home / "config.toml").unlink(), 7, "config.toml"),
        ("genesis", lambda home: (home / "genesis.json").unlink(), 7, "genesis.json"),
        ("key", lambda home: (home / "keys" / "node.json").unlink(), 7, "node.json"),
        ("guard", lambda home: (home / "keys" / "guard").unlink(), 7, "guard"),
        ("data", lambda home: shutil.rmtree(home / "data"), 7, "no store"),
        ("store", lambda home: (home / "data" / "store" / "CURRENT").unlink(), 74, "CURRENT"),
    ],
)
def test_a_start_that_fails_gives_its_code_and_says_what_is_missing(
    home: Path, what: str, spoil: Callable[[Path], None], code: int, says: str
) -> None:
    spoil(home)
    found, said = start(home)
    assert (found, "Traceback" in said) == (code, False), f"{what}: {said}"
    assert says in said
