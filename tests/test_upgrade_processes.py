"""Old and new software in one network of real processes: rolled out one by one, held back, and what stands still.

An old validator is one that is held back at version 1 (``protocol.supported_max``): it does what software does that
knows no more (node/upgrades.py).
"""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from consensus.encoding import encode
from devnet.generate import CENTRAL_BANK, TREASURY, bank_account, key_of
from devnet.money import issue
from devnet.processes import LocalNetwork
from node.client.client import Client
from node.client.errors import RequestFailed
from node.client.outbox import State
from node.ledger.account import SOM
from node.ledger.param import SetParameter
from node.ledger.parameters import record_hash
from node.ledger.pay import Pay
from node.rpc.types import GetInfoResult, SubmitResult

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 120.0
EPOCH = 12
OLD, NEW = 1, 2


class Payer:
    """Pays a tyiyn again and again, so that blocks are made and epochs end; every payment must be applied."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.paid = 0

    async def run(self) -> None:
        while True:
            await self.pay()

    async def pay(self) -> None:
        operation = Pay(SOM, TREASURY, ((bank_account(1), 1, b"u"),))
        transaction = await self._client.sign([TREASURY], [operation], [(0, key_of("treasury"))])
        (settled,) = await self._client.submit_many([transaction], timeout_seconds=PATIENCE_SECONDS)
        assert settled.state is State.APPLIED
        self.paid += 1


@asynccontextmanager
async def old_network(directory: Path) -> AsyncIterator[LocalNetwork]:
    """Give four validators of old software."""
    async with LocalNetwork(directory, epoch_length=EPOCH, protocol_version=OLD, supported_max=OLD) as network:
        async with Client(network.urls()) as client:
            await issue(client)
        yield network


async def until(holds: Callable[[], Awaitable[object]], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await holds():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


async def ended(network: LocalNetwork, name: str) -> None:
    async def holds() -> bool:
        return name in network.ended()

    await until(holds, f"{name} never ended")


async def upgrade(network: LocalNetwork, name: str) -> None:
    """Install the new software on one validator: end it, hold it back no more, start it."""
    network.signal(name, signal.SIGTERM)
    await ended(network, name)
    path = network.directory / name / "config.toml"
    path.write_text(path.read_text().replace(f"supported_max = {OLD}", "supported_max = 0"))
    network.start(name)


async def demand(client: Client, version: int, now: int = OLD) -> None:
    """Let the central bank demand a version of the next epoch."""
    operation = SetParameter(CENTRAL_BANK, "protocol_version", record_hash(encode(now)), version)
    signers = [(0, key_of("nbkr-board-1")), (0, key_of("nbkr-board-2"))]
    settled = await client.execute([CENTRAL_BANK], [operation], signers, timeout_seconds=PATIENCE_SECONDS)
    assert settled.state is State.APPLIED


async def info(network: LocalNetwork, name: str) -> GetInfoResult:
    async with Client([network.url(name)]) as client:
        return await client.info()


def readiness(network: LocalNetwork, name: str) -> tuple[int, str]:
    try:
        with urlopen(f"{network.url(name)}/readyz", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def metric(network: LocalNetwork, name: str, metric_name: str) -> list[float]:
    with urlopen(f"{network.url(name)}/metrics", timeout=5) as reply:
        text = reply.read().decode()
    return [float(value) for value in re.findall(rf"^{metric_name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)]


async def require_standing(network: LocalNetwork, name: str) -> int:
    """Wait until a validator of old software stands still, and see that it says so everywhere; return its height."""
    reason = "the next protocol version is unknown to this node"

    async def stands() -> bool:
        return reason in (await asyncio.to_thread(readiness, network, name))[1]

    await until(stands, f"{name} never stood still")
    assert (await asyncio.to_thread(readiness, network, name))[0] == 503
    found = await info(network, name)
    assert found.height % EPOCH == 0, "the last block before the epoch"
    versions = (found.protocol_version, found.protocol_version_next, found.protocol_version_supported_max)
    assert versions == (OLD, NEW, OLD)
    for metric_name, value in (
        ("som_protocol_version", OLD),
        ("som_protocol_version_next", NEW),
        ("som_protocol_version_supported_max", OLD),
    ):
        assert await asyncio.to_thread(metric, network, name, metric_name) == [value]
    log = network.log_path(name).read_text()
    assert "protocol_version_unknown" in log
    assert not [word for word in ("Traceback", "peer_erred", "peer_misbehaved", "batch_invalid") if word in log], log
    async with Client([network.url(name)]) as client:
        transaction = await client.sign(
            [TREASURY], [Pay(SOM, TREASURY, ((bank_account(1), 1, b"n"),))], [(0, key_of("treasury"))]
        )
        with pytest.raises(RequestFailed, match="not_a_validator"):
            await client.request("tx_submit", {"tx": transaction.raw.hex()}, SubmitResult)
    return found.height


def require_shadow_agrees(home: Path) -> None:
    """The gate of docs/operations.md, section 7, on the home of a stopped validator."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli", "shadow", "--home", str(home), "--signatures", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["agrees"]
    assert told["transactions"] > 0


async def same_blocks(network: LocalNetwork, height: int) -> None:
    hashes = set()
    for name in network.names:
        async with Client([network.url(name)]) as client:
            hashes.add((await client.block(height)).block_hash)
    assert len(hashes) == 1


@pytest.mark.slow
async def test_all_upgraded_one_by_one_under_load_then_activated_and_the_chain_never_stands(tmp_path: Path) -> None:
    async with old_network(tmp_path / "net") as network, Client(network.urls()) as client:
        payer = Payer(client)
        paying = asyncio.create_task(payer.run())
        for name in network.names:
            before = payer.paid
            await upgrade(network, name)
            await network.ready([name])

            async def moves(before: int = before) -> bool:
                assert not paying.done(), paying.exception()
                return payer.paid > before + 3

            await until(moves, "no payment while one is upgraded")
        newest = await asyncio.to_thread(metric, network, "nbkr", "som_peer_protocol_version_supported_max")
        assert newest == [NEW] * 3
        assert (await client.info()).protocol_version == OLD
        await demand(client, NEW)

        async def active() -> bool:
            assert not paying.done(), paying.exception()
            return {(await info(network, name)).protocol_version for name in network.names} == {NEW}

        await until(active, "the new version never came")
        before = payer.paid

        async def goes_on() -> bool:
            assert not paying.done(), paying.exception()
            return payer.paid > before + EPOCH

        await until(goes_on, "the chain stands under the new version")
        paying.cancel()
        await asyncio.wait((paying,))
        await network.ready(network.names)
        await same_blocks(network, min([(await info(network, name)).height for name in network.names]))
        for name in network.names:
            log = network.log_path(name).read_text()
            assert not [word for word in ("protocol_version_unknown", "Traceback", "peer_erred") if word in log]
        network.stop()
        require_shadow_agrees(network.directory / "bank-2")


@pytest.mark.slow
async def test_old_software_stands_still_at_the_boundary_and_goes_on_when_it_is_upgraded(tmp_path: Path) -> None:
    """With two of four held back the chain stands; with one it goes on."""
    async with old_network(tmp_path / "net") as network, Client(network.urls()) as client:
        for name in ("nbkr", "bank-1"):
            await upgrade(network, name)
        await network.ready(network.names)
        payer = Payer(client)
        await demand(client, NEW)
        paying = asyncio.create_task(payer.run())
        heights = [await require_standing(network, name) for name in ("bank-2", "bank-3")]
        assert "protocol_version_ahead" in network.log_path("bank-2").read_text()
        assert heights[0] == heights[1]
        new = await info(network, "nbkr")
        assert (new.protocol_version, new.height) == (NEW, heights[0]), "a quorum is awaited in the new epoch"

        network.kill("bank-3")  # as held back as before, it comes back to where it stood
        network.start("bank-3")
        await upgrade(network, "bank-2")
        before = payer.paid

        async def goes_on() -> bool:
            assert not paying.done(), paying.exception()
            return payer.paid > before + EPOCH

        await until(goes_on, "three of four make no blocks")
        await network.ready(["nbkr", "bank-1", "bank-2"])
        assert await require_standing(network, "bank-3") == heights[0]

        await upgrade(network, "bank-3")
        await network.ready(["bank-3"])
        before = payer.paid
        await until(goes_on, "four make no blocks")
        paying.cancel()
        await asyncio.wait((paying,))
        assert (await info(network, "bank-3")).protocol_version == NEW
        await same_blocks(network, (await info(network, "bank-3")).height)


@pytest.mark.slow
async def test_a_home_of_newer_rules_is_refused_by_older_software(tmp_path: Path) -> None:
    async with LocalNetwork(tmp_path / "net", ["nbkr"], epoch_length=EPOCH, protocol_version=NEW) as network:
        network.signal("nbkr", signal.SIGTERM)
        await ended(network, "nbkr")
        path = network.directory / "nbkr" / "config.toml"
        path.write_text(path.read_text().replace("supported_max = 0", f"supported_max = {OLD}"))
        network.start("nbkr")
        await ended(network, "nbkr")
        assert network._processes["nbkr"].returncode == 7
        log = network.log_path("nbkr").read_text()
        assert f"needs protocol version {NEW}; known here: version {OLD}" in log
