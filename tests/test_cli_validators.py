"""`som validator`: a validator joins a running network of processes, another one leaves, and payments go on."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from devnet.generate import TREASURY, Place, bank_account, key_of
from devnet.money import issue
from devnet.processes import LOOPBACK, LocalNetwork, free_ports
from node.cli import main
from node.client.client import Client
from node.client.trust import Trust
from node.ledger.account import SOM, format_account
from node.ledger.pay import Pay

EPOCH: Final = 16
BLOCKS_MAX: Final = 40 * EPOCH  # to wait for anything


@dataclass
class World:
    """A devnet of four processes with short epochs, and somebody who types commands."""

    directory: Path
    network: LocalNetwork
    client: Client
    operators: int = 0

    async def run(self, *arguments: str, node: str = "nbkr") -> Result:
        shared = {
            "SOM_NODE": self.network.url(node),
            "SOM_OUTBOX": str(self.directory / "outbox.sqlite3"),
            "SOM_ACCOUNTS": str(self.network.directory / "accounts.json"),
        }
        runner = CliRunner(env=shared)
        return await asyncio.to_thread(runner.invoke, main, list(arguments), catch_exceptions=False)

    async def process(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start a command beside others, with an outbox of its own, as of another operator."""
        self.operators += 1
        own = {
            "SOM_NODE": self.network.url("nbkr"),
            "SOM_OUTBOX": str(self.directory / f"outbox-{self.operators}.sqlite3"),
            "SOM_ACCOUNTS": str(self.network.directory / "accounts.json"),
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "node.cli", *arguments), env={**os.environ, **own}, stdout=PIPE, stderr=PIPE
        )

    async def json(self, *arguments: str, node: str = "nbkr") -> dict[str, Any]:
        result = await self.run(*arguments, "--json", node=node)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    async def pay(self) -> None:
        """Pay once, so that there is a block."""
        pay = Pay(SOM, TREASURY, ((bank_account(1), 1_00, b"p"),))
        settled = await self.client.execute([TREASURY], [pay], [(0, key_of("treasury"))])
        assert settled.height is not None

    async def until_committee(self, names: set[str]) -> None:
        """Pay until these validate."""
        for _ in range(BLOCKS_MAX):
            await self.pay()
            found = await self.client.validators()
            if {row.name for row in found.validators} == names:
                return
        raise AssertionError(f"{names} do not validate")

    async def until_signs(self, name: str) -> None:
        """Pay until a final block is signed by this validator."""
        for _ in range(BLOCKS_MAX):
            await self.pay()
            if name in (await self.client.block()).signers:
                return
        raise AssertionError(f"{name} signs nothing")

    async def until_gone(self, name: str) -> None:
        """Wait until nbkr has no link to a validator."""
        async with Client([self.network.url("nbkr")]) as nbkr:
            for _ in range(BLOCKS_MAX):
                if name not in {peer.name for peer in (await nbkr.peers()).peers if peer.connected}:
                    return
                await asyncio.sleep(0.1)
        raise AssertionError(f"nbkr has a link to {name}")

    async def init(self, name: str, home: str) -> dict[str, Any]:
        """Make the home of a validator that the genesis does not name; it may be started as ``home``."""
        p2p, rpc = free_ports(2)
        peers = [f"{each}={LOOPBACK}:{place.p2p_port}" for each, place in self.network.places.items()]
        made = await self.json(
            "init", "--home", str(self.network.directory / home), "--name", name, "--joins", "--devnet",
            "--genesis", str(self.network.directory / "genesis.json"),
            "--listen", f"{LOOPBACK}:{p2p}", "--rpc", f"{LOOPBACK}:{rpc}",
            *[argument for peer in peers for argument in ("--peer", peer)],
        )  # fmt: skip
        self.network.places[home] = Place(name, LOOPBACK, LOOPBACK, p2p, rpc)
        return made

    async def admit(self, name: str, home: str) -> None:
        """Make a home, have the central bank admit it, start it, and carry its word that it is ready."""
        made = await self.init(name, home)
        address = f"{LOOPBACK}:{self.network.places[home].p2p_port}"
        await self.json(
            "validator", "set", "--from", "nbkr", "--name", name, "--address", address,
            "--consensus-key", made["consensus_key"], "--node-key", made["node_key"],
        )  # fmt: skip
        self.network.start(home)
        await self.network.ready([home])
        await self.json("validator", "ready", "--from", "bank-1", "--candidate", self.network.url(home))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with (
        LocalNetwork(tmp_path / "net", epoch_length=EPOCH) as network,
        Client(network.urls(), trust=None) as client,
    ):
        await issue(client)
        found = World(tmp_path, network, client)
        for _ in range(2 * EPOCH):  # a checkpoint, and an epoch behind us
            await found.pay()
        yield found
        for name in network.places:
            log = network.log_path(name).read_text() if network.log_path(name).exists() else ""
            assert "Traceback" not in log, log[-3_000:]
            assert "signature_refused" not in log, log[-3_000:]


@pytest.mark.processes
async def test_validators_join_take_new_keys_and_leave_while_payments_go_on(world: World) -> None:
    first = {"nbkr", "bank-1", "bank-2", "bank-3"}
    await world.admit("bank-4", "bank-4")
    await world.until_committee({*first, "bank-4"})
    await world.until_signs("bank-4")

    await world.json("validator", "remove", "--from", "nbkr", "--name", "bank-2")
    listed = await world.run("validator", "list", "--lang", "ru")
    assert "до конца эпохи" in listed.stdout
    await world.until_committee({"nbkr", "bank-1", "bank-3", "bank-4"})
    await world.until_gone("bank-2")
    world.network.kill("bank-2")

    keys = {row.consensus_key for row in (await world.client.validators()).validators}
    await world.admit("bank-3", "bank-3-new")
    await world.until_committee({"nbkr", "bank-1", "bank-3", "bank-4"})
    while {row.consensus_key for row in (await world.client.validators()).validators} == keys:
        await world.pay()
    world.network.kill("bank-3")
    await world.until_signs("bank-3")

    # Who knows only the genesis follows from committee to committee.
    async with Client([world.network.url("bank-4")], trust=Trust.of(world.network.genesis)) as stranger:
        proven = await stranger.prove_account(bank_account(1))
        assert proven.account is not None
        assert proven.account.balance() > 0
        assert len((await stranger.committees(0)).changes) == 3
    shown = await world.run(
        "account", "show", format_account(bank_account(1)), "--genesis", str(world.network.directory / "genesis.json")
    )
    assert shown.exit_code == 0, shown.output


@pytest.mark.processes
async def test_of_two_changes_at_once_none_undoes_the_other(world: World) -> None:
    changes = {"bank-1": "h:1", "bank-2": "h:2", "bank-3": "h:3"}
    running = [
        await world.process("validator", "set", "--from", "nbkr", "--name", name, "--address", address)
        for name, address in changes.items()
    ]
    said = [(await one.communicate())[1].decode() for one in running]
    applied = {name for name, one in zip(changes, running, strict=True) if one.returncode == 0}
    assert applied  # the others, if any began from the same seats, were refused and told why
    for name, one, words in zip(changes, running, said, strict=True):
        assert name in applied or (one.returncode, "STALE" in words) == (4, True), words
    seats = {seat.name: seat.address for seat in (await world.client.validators()).seats}
    assert {name: seats[name] for name in changes} == {
        name: address if name in applied else "" for name, address in changes.items()
    }
    for name in sorted(set(changes) - applied):  # who looks again is heard
        await world.json("validator", "set", "--from", "nbkr", "--name", name, "--address", changes[name])
    seats = {seat.name: seat.address for seat in (await world.client.validators()).seats}
    assert {name: seats[name] for name in changes} == changes


@pytest.mark.processes
async def test_what_can_not_be_is_refused_and_says_why(world: World) -> None:
    unknown = await world.run("validator", "remove", "--from", "nbkr", "--name", "bank-9")
    assert (unknown.exit_code, "bank-9" in unknown.output) == (1, True)
    without_keys = await world.run("validator", "set", "--from", "nbkr", "--name", "bank-9")
    assert without_keys.exit_code == 2
    nobody = await world.run("validator", "ready", "--from", "bank-1", "--timeout", "0")
    assert (nobody.exit_code, "no seat waits" in nobody.output) == (1, True)
    bank = await world.run("validator", "set", "--from", "bank-1", "--name", "bank-1", "--weight", "2")
    assert (bank.exit_code, "ROLE" in bank.output) == (4, True)
    made = await world.init("bank-4", "bank-4")
    keys = ["--consensus-key", made["consensus_key"], "--node-key", made["node_key"]]
    taken = ["--consensus-key", key_of("bank-1-consensus").public.hex(), "--node-key", made["node_key"]]
    twice = await world.run("validator", "set", "--from", "nbkr", "--name", "bank-4", *taken)
    assert (twice.exit_code, "KEYS" in twice.output) == (4, True)
    short = await world.run("validator", "set", "--from", "nbkr", "--name", "bank-4", *keys[:3], "abcd")
    assert short.exit_code == 2
