"""The devnet in containers, end to end: real images, real faults. Run by `make test-docker` alone.

The tests share one network and follow one another: each leaves it whole. The compose project, its ports and its image
are of this run, so that a devnet which somebody is using goes on beside it.
"""

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from devnet.fund import COMMANDS, outside_commands
from devnet.generate import VALIDATORS, demo_accounts, key_of
from devnet.money import BANK_TYIYN, PERSON_TYIYN, TREASURY_TYIYN
from devnet.processes import LOOPBACK, free_ports
from node.client.client import Client, Settled
from node.client.outbox import State
from node.ledger.account import SOM, Kind
from node.ledger.pay import Pay
from tests.devnet_lab import ROOT, paste

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

BASE: Final = re.findall(r"^FROM (\S+)", (ROOT / "devnet" / "Dockerfile").read_text(), flags=re.MULTILINE)[-1]
PATIENCE_SECONDS: Final = 90.0
STOP_SECONDS: Final = 10.0
MEMORY_BYTES_MAX: Final = 300 * 2**20  # of a validator with nothing to do
UID: Final = 10_001
OBSERVER: Final = "observer"
AIDA, BAKYT = (next(demo.number for demo in demo_accounts() if demo.name == name) for name in ("aida", "bakyt"))

# Inside a container: kill the validator itself, under the container's first process, as a crash would.
KILL: Final = """
import os, signal
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    if pid not in (1, os.getpid()) and b"start" in open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0"):
        os.kill(pid, signal.SIGKILL)
"""


def run(*command: str, check: bool = True, environment: dict[str, str] | None = None) -> str:
    """Run a command in the project's root; return its standard output."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def works(*command: str, timeout: float = 20) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=timeout, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def compose_tool() -> list[str]:
    """Return `docker compose`, or `docker-compose`; skip, and say why, where containers can not run."""
    if not works("docker", "version", "--format", "{{.Server.Version}}"):
        pytest.skip("no docker engine answers: the devnet in containers was NOT tested")
    if not works("docker", "image", "inspect", BASE) and not works("docker", "pull", BASE, timeout=120):
        pytest.skip(f"the image {BASE} is neither here nor to be had: the devnet in containers was NOT tested")
    for tool in (["docker", "compose"], ["docker-compose"]):
        if works(*tool, "version"):
            return tool
    pytest.skip("there is no docker compose: the devnet in containers was NOT tested")


@dataclass(frozen=True, slots=True)
class Containers:
    """A devnet of containers: one compose project."""

    tool: list[str]
    project: str
    ports: dict[str, int]

    @property
    def environment(self) -> dict[str, str]:
        ports = {f"SOM_PORT_{name.upper().replace('-', '_')}": str(port) for name, port in self.ports.items()}
        return {"COMPOSE_PROJECT_NAME": self.project, "SOM_IMAGE": "digital-som:test", **ports}

    def compose(self, *arguments: str) -> str:
        return run(*self.tool, "-f", "devnet/compose.yaml", *arguments, environment=self.environment)

    def container(self, service: str) -> str:
        """Return a container's id, also of one that has ended."""
        labels = ("com.docker.compose.project", self.project), ("com.docker.compose.service", service)
        filters = [f"--filter=label={name}={value}" for name, value in labels]
        found = run("docker", "ps", "--all", "--quiet", *filters).split()
        assert len(found) == 1, f"{service}: {found}"
        return found[0]

    def inspect(self, service: str) -> dict[str, Any]:
        (found,) = json.loads(run("docker", "inspect", self.container(service)))
        assert isinstance(found, dict)
        return found

    def url(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def readiness(self, name: str) -> dict[str, Any]:
        """Return what /readyz says; nothing if nobody answers."""
        try:
            with urlopen(f"{self.url(name)}/readyz", timeout=5) as reply:
                body = reply.read()
        except HTTPError as error:
            with error:
                body = error.read()
        except (URLError, OSError):
            return {}
        found = json.loads(body)
        assert isinstance(found, dict)
        return found

    def ready(self, *names: str) -> None:
        """Wait until these validators, or all, are ready."""
        for name in names or (*VALIDATORS, OBSERVER):
            until(lambda name=name: self.readiness(name).get("ready"), f"{name} is ready")  # type: ignore[misc]

    def same_height(self, name: str) -> None:
        """Wait until a validator has what nbkr has now."""
        height = self.readiness("nbkr")["height"]
        until(lambda: self.readiness(name).get("height", 0) >= height, f"{name} has height {height}")

    def up(self) -> None:
        self.compose("up", "-d")
        self.ready()
        until(lambda: self.inspect("fund")["State"]["Status"] == "exited", "the first money is paid")
        assert self.inspect("fund")["State"]["ExitCode"] == 0, run("docker", "logs", self.container("fund"))

    def ask(self, name: str = "nbkr") -> dict[str, Any]:
        """Return what one validator says of the money and the chain."""

        async def question() -> dict[str, Any]:
            async with Client([self.url(name)]) as client:
                info = await client.info()
                accounts = {demo.name: await client.account(demo.number) for demo in demo_accounts()}
                return {
                    "genesis": info.genesis_hash,
                    "height": info.height,
                    "supply": int((await client.supply()).supply),
                    "entries": {name: account.statement_length for name, account in accounts.items()},
                    "balances": {
                        name: sum(int(holding.balance) for holding in account.holdings)
                        for name, account in accounts.items()
                    },
                }

        return asyncio.run(question())

    def pay(self, amount: int = 1_00) -> None:
        """Let aida pay bakyt through nbkr; it must become final."""

        async def payment() -> Settled:
            async with Client([self.url("nbkr")]) as client:
                pay = Pay(SOM, AIDA, ((BAKYT, amount, b""),))
                return await client.execute([AIDA], [pay], [(0, key_of("aida"))], timeout_seconds=PATIENCE_SECONDS)

        before = self.ask()["balances"]["bakyt"]
        assert asyncio.run(payment()).state is State.APPLIED
        assert self.ask()["balances"]["bakyt"] == before + amount


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def containers() -> Iterator[Containers]:
    tool = compose_tool()
    names = (*VALIDATORS, OBSERVER)
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    made = Containers(tool, f"somtest{os.getpid()}", ports)
    try:
        made.compose("build")
        made.up()
        yield made
    finally:
        made.compose("--profile", "tools", "down", "--volumes", "--remove-orphans", "--timeout", "20")


@pytest.mark.timeout(420)  # the first test waits for the image to be built
def test_four_validators_come_up_with_the_accounts_and_the_money_of_make_devnet(containers: Containers) -> None:
    for name in VALIDATORS:
        assert containers.inspect(name)["State"]["Health"]["Status"] == "healthy"
        found = containers.ask(name)
        assert found["supply"] == TREASURY_TYIYN + 3 * BANK_TYIYN
        assert found["balances"]["treasury"] == TREASURY_TYIYN
        for demo in demo_accounts():
            if demo.kind in (Kind.PERSON, Kind.MERCHANT):
                assert found["balances"][demo.name] == PERSON_TYIYN
            if demo.kind is Kind.BANK:
                customers = sum(each.bank == demo.number and each.kind is not Kind.DEVICE for each in demo_accounts())
                assert found["balances"][demo.name] == BANK_TYIYN - customers * PERSON_TYIYN
    height = containers.ask()["height"]
    until(lambda: containers.ask()["height"] > height, "the chain moves")


def test_the_log_of_fund_says_where_the_accounts_are_and_what_to_try(containers: Containers) -> None:
    said = run("docker", "logs", containers.container("fund"))
    commands = (*COMMANDS, *outside_commands(containers.url("nbkr")))
    assert [command for command in commands if f"  {command}\n" not in said] == []
    assert "/network/accounts.json" in said
    assert "These keys are public" in said


def test_the_commands_of_the_log_work_when_pasted(containers: Containers, tmp_path: Path) -> None:
    """Those in the containers first, then those outside, in one shell each; in a folder of the same shape."""
    (tmp_path / "devnet").symlink_to(ROOT / "devnet")
    before = containers.ask()["balances"]["bakyt"]
    for commands in (COMMANDS, outside_commands(containers.url("nbkr"))):
        tool = " ".join(containers.tool)
        pasted = [command.replace("docker compose", tool) for command in commands]
        paste(pasted, tmp_path, **containers.environment)
    assert containers.ask()["balances"]["bakyt"] == before + 2 * 12_50
    containers.ready()


def test_an_observer_follows_and_answers_and_sends_who_pays_to_a_validator(containers: Containers) -> None:
    containers.pay()
    containers.same_height(OBSERVER)
    assert containers.ask(OBSERVER)["supply"] == containers.ask()["supply"]

    async def question() -> str:
        async with Client([containers.url(OBSERVER)]) as client:
            votes = {row.name for row in (await client.validators()).validators}
            assert OBSERVER not in votes
            return (await client.info()).node

    assert asyncio.run(question()) == OBSERVER


def test_up_again_pays_nothing_more(containers: Containers) -> None:
    before = containers.ask()
    containers.up()
    after = containers.ask()
    assert (after["genesis"], after["supply"], after["entries"]) == (
        before["genesis"],
        before["supply"],
        before["entries"],
    )
    assert "paid before" in run("docker", "logs", containers.container("fund"))


def test_a_validator_that_is_killed_comes_back_by_itself(containers: Containers) -> None:
    victim = containers.container("bank-2")
    restarts = containers.inspect("bank-2")["RestartCount"]
    run("docker", "exec", victim, "python", "-c", KILL, check=False)
    containers.pay()
    until(lambda: containers.inspect("bank-2")["RestartCount"] > restarts, "bank-2 was restarted")
    containers.ready("bank-2")
    containers.same_height("bank-2")


def test_a_validator_that_stands_still_is_waited_for_by_nobody(containers: Containers) -> None:
    sleeper = containers.container("bank-3")
    run("docker", "pause", sleeper)
    try:
        containers.pay()
    finally:
        run("docker", "unpause", sleeper)
    containers.ready("bank-3")
    containers.same_height("bank-3")


def test_a_validator_that_is_cut_off_says_so_and_heals(containers: Containers) -> None:
    network, lonely = f"{containers.project}_peer", containers.container("bank-1")
    run("docker", "network", "disconnect", network, lonely)
    try:
        containers.pay()
        until(lambda: containers.readiness("bank-1").get("ready") is False, "bank-1 is not ready")
        assert containers.readiness("bank-1")["reasons"]
    finally:
        run("docker", "network", "connect", "--alias", "bank-1", network, lonely)
    containers.ready("bank-1")
    containers.same_height("bank-1")


def test_a_validator_stops_in_time_with_exit_code_0(containers: Containers) -> None:
    began = time.monotonic()
    run("docker", "stop", "--time", "30", containers.container("bank-1"))
    assert time.monotonic() - began < STOP_SECONDS
    assert containers.inspect("bank-1")["State"]["ExitCode"] == 0
    run("docker", "start", containers.container("bank-1"))
    containers.ready("bank-1")


def test_a_validator_is_nobody_special_and_small(containers: Containers) -> None:
    for name in VALIDATORS:
        container = containers.container(name)
        assert run("docker", "exec", container, "id", "-u").strip() == str(UID)
        assert containers.inspect(name)["HostConfig"]["ReadonlyRootfs"]
        assert "Read-only" in run("docker", "exec", container, "sh", "-c", "touch /x 2>&1; true")
        status = run("docker", "exec", container, "cat", "/proc/1/status")
        assert re.search(r"^CapBnd:\s+0+$", status, flags=re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\s+1$", status, flags=re.MULTILINE)
        used = run("docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", container).split(" / ")[0]
        assert size(used) < MEMORY_BYTES_MAX, f"{name}: {used}"


def size(text: str) -> float:
    """Return bytes of what docker calls 49.25MiB."""
    number, unit = re.fullmatch(r"([0-9.]+)([kMG]?i?B)\s*", text).groups()  # type: ignore[union-attr]
    return float(number) * {"B": 1, "kB": 1e3, "KiB": 2**10, "MB": 1e6, "MiB": 2**20, "GB": 1e9, "GiB": 2**30}[unit]


def test_down_keeps_the_chain_and_down_with_volumes_forgets_it(containers: Containers) -> None:
    containers.pay()
    before = containers.ask()
    containers.compose("down", "--timeout", "20")
    containers.up()
    after = containers.ask()
    assert (after["genesis"], after["balances"]) == (before["genesis"], before["balances"])
    assert after["height"] >= before["height"]

    containers.compose("--profile", "tools", "down", "--volumes", "--timeout", "20")
    label = f"--filter=label=com.docker.compose.project={containers.project}"
    assert run("docker", "volume", "ls", "--quiet", label) == ""
    containers.up()
    assert containers.ask()["genesis"] != before["genesis"]
