"""The devnet: what it generates, how its processes live and die, what its commands do when pasted, and the demo."""

import asyncio
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from click.testing import CliRunner

from consensus.crypto import SecretKey
from devnet import local
from devnet.demo import Mismatch, check_balance
from devnet.demo import main as demo_main
from devnet.generate import (
    VALIDATORS,
    Place,
    bank_account,
    demo_accounts,
    key_of,
    make_genesis,
    write_network,
)
from devnet.money import PERSON_TYIYN, bank_key, fund_people, issue
from devnet.pensions import Run, pensions, write_pensions
from devnet.processes import LOOPBACK, DevnetError, LocalNetwork, free_ports
from node.cli import main as som
from node.client.client import Client
from node.client.errors import NotReachable, RequestFailed
from node.client.outbox import State
from node.config import CONFIG_NAME, Peer
from node.config_text import format_config
from node.home import read_config, read_genesis
from node.ledger.account import SOM, Kind, format_account, parse_account
from node.ledger.pay import Pay
from node.rpc.errors import NOT_A_VALIDATOR
from node.storage.errors import AlreadyInitialised, KeyFileError
from node.storage.keystore import read_key
from tests.devnet_lab import Program, environment, paste, program, runs, until
from tests.node_lab import Lab

TIME_MS: Final = 1_790_000_000_000
RECIPIENTS: Final = 60


def places(names: Sequence[str] = VALIDATORS) -> list[Place]:
    return [Place(name, LOOPBACK, LOOPBACK, 26_600 + index, 27_600 + index) for index, name in enumerate(names)]


# --- what is generated ---


def test_a_devnet_is_the_same_every_time_but_for_its_time() -> None:
    first, second = make_genesis(TIME_MS), make_genesis(TIME_MS + 1)
    assert first.hash != second.hash
    assert replace(second, time_ms=TIME_MS) == first
    assert replace(second, time_ms=TIME_MS).hash == first.hash


def test_two_networks_of_one_time_have_the_same_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_network(tmp_path / folder, places(), make_genesis(TIME_MS))
    names = ["genesis.json", "accounts.json"]
    for validator in VALIDATORS:
        files = (CONFIG_NAME, "genesis.json", "keys/consensus.json", "keys/node.json")
        names += [f"{validator}/{file}" for file in files]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_accounts_json_says_what_the_genesis_says(tmp_path: Path) -> None:
    write_network(tmp_path / "net", places(), make_genesis(TIME_MS))
    genesis = read_genesis(tmp_path / "net" / "genesis.json")
    said: dict[str, Any] = json.loads((tmp_path / "net" / "accounts.json").read_text())
    assert (said["genesis_hash"], said["network"]) == (genesis.hash.hex(), genesis.network)
    assert {row["name"] for row in said["validators"]} == {row.name for row in genesis.validators}
    accounts = {account.number: account for account in genesis.accounts}
    assert {parse_account(row["number"]) for row in said["accounts"]} == set(accounts)
    for row in said["accounts"]:
        account = accounts[parse_account(row["number"])]
        assert (row["kind"], row["threshold"]) == (Kind(account.profile.kind).name.lower(), account.profile.threshold)
        keys = sorted(bytes(SecretKey(bytes.fromhex(key["seed"])).public) for key in row["keys"])
        assert keys == [key for key, _ in account.profile.keys]
        assert keys == sorted(bytes.fromhex(key["public"]) for key in row["keys"])


def test_a_network_is_never_written_over_another(tmp_path: Path) -> None:
    write_network(tmp_path / "net", places(), make_genesis(TIME_MS))
    before = {path: path.read_bytes() for path in (tmp_path / "net").rglob("*") if path.is_file()}
    with pytest.raises(AlreadyInitialised):
        write_network(tmp_path / "net", places(), make_genesis(TIME_MS + 1))
    assert {path: path.read_bytes() for path in (tmp_path / "net").rglob("*") if path.is_file()} == before


def test_a_devnets_keys_open_on_a_devnet_only(tmp_path: Path) -> None:
    write_network(tmp_path / "net", places(), make_genesis(TIME_MS))
    path = tmp_path / "net" / "nbkr" / "keys" / "consensus.json"
    assert read_key(path, "consensus", None, devnet=True).public == key_of("nbkr-consensus").public
    with pytest.raises(KeyFileError, match="public to all"):
        read_key(path, "consensus", None, devnet=False)


def test_free_ports_are_free_and_all_different() -> None:
    ports = free_ports(16)
    assert len(set(ports)) == 16
    with socket.create_server((LOOPBACK, 0)) as given:
        assert max(ports) < given.getsockname()[1]  # the kernel gives them to no outgoing connection
    for port in ports:
        with socket.socket() as listener:
            listener.bind((LOOPBACK, port))


def test_a_free_port_is_given_out_once_to_all_processes_of_a_user() -> None:
    ports = free_ports(3)
    assert not set(ports) & set(free_ports(3))
    code = (
        "import random, sys, devnet.processes as p; "
        "random.sample = lambda *_: [int(port) for port in sys.argv[1:]]; p.free_ports(1)"
    )
    ended = subprocess.run([sys.executable, "-c", code, *map(str, ports)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "DevnetError: no 1 free ports" in ended.stderr


@pytest.mark.processes
def test_a_validator_with_a_devnets_keys_does_not_start_on_another_network(tmp_path: Path) -> None:
    write_network(tmp_path / "net", places(), replace(make_genesis(TIME_MS), kind="production"))
    ended = subprocess.run(
        [sys.executable, "-m", "node.cli", "start", "--home", tmp_path / "net" / "nbkr"],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 7, ended.stderr
    assert "it is a devnet's key, public to all; this network is no devnet" in ended.stderr
    assert "Traceback" not in ended.stderr


# --- processes ---


async def test_a_directory_that_no_devnet_had_is_left_as_it_is(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "thesis.txt").write_text("years of work")
    for _ in range(2):
        with pytest.raises(DevnetError, match="is not empty, and no devnet's"):
            async with LocalNetwork(work):
                pass
    assert (work / "thesis.txt").read_text() == "years of work"


async def test_a_devnet_that_is_refused_leaves_the_one_that_runs_its_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    local.CONTROL.parent.mkdir()
    local.CONTROL.write_text("http://127.0.0.1:1/of-the-one-that-runs\n")
    lock = os.open("net.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(DevnetError, match="in use by another devnet"):
        await local.run(Path("net"))
    os.close(lock)
    assert local.CONTROL.read_text() == "http://127.0.0.1:1/of-the-one-that-runs\n"


@pytest.mark.processes
@pytest.mark.slow
async def test_one_network_has_a_directory_and_first_money_is_paid_once(tmp_path: Path) -> None:
    async with LocalNetwork(tmp_path / "net") as network:
        with pytest.raises(DevnetError, match="in use by another devnet"):
            async with LocalNetwork(tmp_path / "net"):
                pass
        assert network.ended() == []
        async with Client(network.urls()) as client:
            assert (await issue(client), await fund_people(client)) == (1, 3)
            supply = (await client.supply()).supply
            assert (await issue(client), await fund_people(client)) == (0, 0)
            assert (await client.supply()).supply == supply
            aida = next(demo.number for demo in demo_accounts() if demo.name == "aida")
            await check_balance(client, "nbkr", aida, PERSON_TYIYN)
            with pytest.raises(
                Mismatch, match=f"nbkr: account {format_account(aida)} has 10000.00 som, expected 9999.99"
            ):
                await check_balance(client, "nbkr", aida, PERSON_TYIYN - 1)
    # The lock is free, and what was there is gone.
    async with LocalNetwork(tmp_path / "net") as again, Client(again.urls()) as client:
        assert int((await client.supply()).supply) == 0


LAUNCHER: Final = """
import asyncio, sys
from pathlib import Path
from devnet.processes import LocalNetwork

async def main():
    async with LocalNetwork(Path(sys.argv[1])) as network:
        print("pids", *(network.pid(name) for name in network.names), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.processes
@pytest.mark.slow
def test_no_validator_outlives_a_launcher_that_is_killed(tmp_path: Path) -> None:
    with program(tmp_path, "-c", LAUNCHER, tmp_path / "net") as launcher:
        launcher.says("pids")
        found = re.search(r"pids ([\d ]+)\n", launcher.said)
        assert found is not None
        pids = [int(pid) for pid in found[1].split()]
        assert len(pids) == len(VALIDATORS)
        assert all(map(runs, pids))
        launcher.process.kill()
        launcher.process.wait()
        until(lambda: not any(map(runs, pids)), lambda: f"gone: {pids}")


# --- make devnet ---


def pasted(devnet: Program) -> list[str]:
    """Return the commands that the banner shows."""
    block = devnet.said.split("Try, in another terminal:\n\n")[1].split("\n\n")[0]
    return [line.strip() for line in block.splitlines()]


@pytest.mark.processes
@pytest.mark.slow
def test_the_devnet_shows_accounts_and_commands_that_work_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    with program(tmp_path, "-m", "devnet.local", "--directory", tmp_path / "net") as devnet:
        devnet.says("Ctrl-C stops it.")
        for demo in demo_accounts():
            assert format_account(demo.number) in devnet.said
        assert "These keys are public" in devnet.said
        assert json.loads((tmp_path / ".devnet" / "accounts.json").read_text())["accounts"]
        pids = devnet.pids()
        assert len(pids) == len(VALIDATORS)

        export, *commands, kill = pasted(devnet)
        assert kill.startswith("kill -9 ")
        for command in commands:
            assert paste([export, command], tmp_path), command
        assert "10 012.50" in paste([export, "som account show bakyt"], tmp_path).replace("\N{NO-BREAK SPACE}", " ")
        paste([kill], tmp_path)
        devnet.says("Ended: bank-2.")
        paste([export, "som pay --from aida --to bakyt 1"], tmp_path)  # three go on
        devnet.says("Back, with all that was missed: bank-2.")

        assert devnet.interrupt() == 0, devnet.said
        assert "Traceback" not in devnet.said
        until(lambda: not any(map(runs, pids)), lambda: f"gone: {pids}")


@pytest.mark.processes
@pytest.mark.slow
def test_ctrl_c_ends_a_devnet_that_is_only_starting_and_the_next_one_starts(tmp_path: Path) -> None:
    with program(tmp_path, "-m", "devnet.local", "--directory", tmp_path / "net") as devnet:
        until((tmp_path / "net" / "nbkr.log").exists, lambda: devnet.said)
        assert devnet.interrupt() == 0, devnet.said
        assert "Traceback" not in devnet.said
    with program(tmp_path, "-m", "devnet.local", "--directory", tmp_path / "net") as devnet:
        devnet.says("Ctrl-C stops it.")
        assert devnet.interrupt() == 0, devnet.said


# --- make demo ---


def run_demo(folder: Path, file: Path) -> tuple[str, ...]:
    return (
        "-m",
        "devnet.demo",
        "--file",
        str(file),
        "--directory",
        str(folder / "net"),
        "--status",
        str(folder / "s.xml"),
    )


@pytest.fixture
def pension_file(tmp_path: Path) -> Path:
    path = tmp_path / "pensions.xml"
    with path.open("wb") as out:
        write_pensions(out, Run(recipients=RECIPIENTS))
    return path


@pytest.mark.processes
@pytest.mark.slow
def test_the_demo_pays_a_file_while_a_validator_dies_and_checks_all(tmp_path: Path, pension_file: Path) -> None:
    with program(tmp_path, *run_demo(tmp_path, pension_file)) as demo:
        assert demo.ends() == 0, demo.said
        assert "kill -9 bank-2" in demo.said
        assert "starts again" in demo.said
        assert re.search(rf"pensions paid +{RECIPIENTS} in 20 transactions", demo.said), demo.said
        assert "All agree." in demo.said
    status = (tmp_path / "s.xml").read_text()
    assert "pain.002.001.12" in status
    assert "<GrpSts>ACSC</GrpSts>" in status


@pytest.mark.processes
@pytest.mark.slow
async def test_the_demo_fails_and_names_the_account_when_a_balance_is_not_the_files(
    tmp_path: Path, pension_file: Path
) -> None:
    """A bank pays a pensioner a tyiyn that no file knows of, while the demo runs."""
    pensioner = next(pension.wallet for pension in pensions(Run(recipients=RECIPIENTS)))
    with program(tmp_path, *run_demo(tmp_path, pension_file)) as demo:
        await asyncio.to_thread(until, (tmp_path / "net" / "accounts.json").exists, lambda: demo.said)
        config = read_config(tmp_path / "net" / "nbkr")
        async with Client([f"http://{LOOPBACK}:{config.rpc.port}"]) as client:
            await opened(client, pensioner)
            pay = Pay(SOM, bank_account(1), ((pensioner, 1, b"stray"),))
            settled = await client.execute([bank_account(1)], [pay], [(0, bank_key(1))])
            assert settled.state is State.APPLIED
        assert await asyncio.to_thread(demo.ends) == 1, demo.said
    assert f"demo failed: nbkr: account {format_account(pensioner)} has" in demo.said
    assert "All agree." not in demo.said


async def opened(client: Client, number: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            await client.account(number)
            return
        except (NotReachable, RequestFailed):
            await asyncio.sleep(0.02)
    raise AssertionError(f"{format_account(number)} was never opened")


@pytest.mark.parametrize("content", [None, "<Document/>"])
def test_the_demo_says_in_a_line_what_is_wrong_with_its_file(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file.xml"
    if content is not None:
        file.write_text(content)
    assert demo_main(["--file", str(file), "--directory", str(tmp_path / "net")]) == 1
    assert "demo failed" in capsys.readouterr().out
    assert not (tmp_path / "net").exists()


async def test_an_observer_follows_without_being_admitted_and_sends_clients_on(tmp_path: Path) -> None:
    names = VALIDATORS[:2]
    ports = free_ports(3)
    genesis = replace(make_genesis(time.time_ns() // 1_000_000, names), tree_depth=2)
    where = [Place(name, LOOPBACK, LOOPBACK, port, 0) for name, port in zip((*names, "observer"), ports, strict=True)]
    write_network(tmp_path, where[:2], genesis, observers=where[2:])
    lab = Lab(tmp_path, genesis, names)
    made = ["init", "--observer", "--home", str(tmp_path / "made"), "--name", "made", "--devnet", "--json"]
    made += ["--genesis", str(tmp_path / "genesis.json"), "--listen", "127.0.0.1:0", "--rpc", "127.0.0.1:0"]
    made += [f"--peer={place.name}={place.host}:{place.p2p_port}" for place in where[:2]]
    shown = json.loads(CliRunner().invoke(som, made, catch_exceptions=False).stdout)
    home = tmp_path / "nbkr"
    told = Peer("made", LOOPBACK, 1, shown["node_key"])
    config = read_config(home)
    (home / "config.toml").write_text(format_config(msgspec.structs.replace(config, peers=(*config.peers, told))))
    try:
        await lab.start(*names, "observer", "made")
        await lab.fund("nbkr")
        for name in ("observer", "made"):
            assert sorted(path.name for path in (tmp_path / name / "keys").iterdir()) == ["node.json"], name
            assert lab.nodes[name].driver.core.me is None
        (refused,) = await lab.submit("observer", lab.pension())
        assert refused.code == NOT_A_VALIDATOR.code
        await lab.until(lambda: lab.nodes["observer"].service.status().ready, "the observer is ready")
        # This one is linked with one validator of two: it has the whole chain, by its own execution.
        paid = lab.pension()
        await lab.accept("nbkr", paid)
        await lab.settled(paid)
        assert lab.nodes["made"].links.connected() == [lab.nodes["nbkr"].mesh.identity.peer]
        await lab.until(lambda: lab.nodes["made"].service.status().ready, "which is all that it needs")
        assert lab.same_chain() >= 2
    finally:
        await lab.stop(*lab.running)
