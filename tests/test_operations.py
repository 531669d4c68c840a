"""docs/operations.md and its unit file against the program: an operator at night reads what is there, or nothing."""

import asyncio
import configparser
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

import node.storage.errors as storage_errors
from devnet.generate import make_genesis
from devnet.processes import free_ports
from node.cli import main as som
from node.cli.session import Exit
from node.ledger.genesis import Validator, format_genesis
from node.node import EXIT_CODES
from node.storage.errors import StorageError
from tests.devnet_lab import paste, program
from tests.node_lab import make_lab, network

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = (ROOT / "docs" / "operations.md").read_text()
UNIT: Final = ROOT / "docs" / "som-node.service"
SIGNER_UNIT: Final = ROOT / "docs" / "som-signer.service"
INDEX_UNIT: Final = ROOT / "docs" / "som-index.service"
# These never end a node: creating is for `som init`, a refusal is counted, a block out of turn is a mistake of ours.
NEVER_FATAL: Final = {"AlreadyInitialised", "GuardRefused", "NotLinked"}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading."""
    part = PAGE.split(f"\n## {heading}", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", part, flags=re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|\n ").split(" | ")] for line in table[0].splitlines()[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


# --- settings ---


def test_the_page_names_every_variable_of_the_environment() -> None:
    sources = (ROOT / "node" / "config.py", *(ROOT / "node" / "cli").glob("*.py"))
    read = {name for path in sources for name in re.findall(r'"(SOM_[A-Z_]+)"', path.read_text())}
    assert len(read) >= 9
    assert read == {name for name in quoted(PAGE) if re.fullmatch(r"SOM_[A-Z_]+", name)}


# --- health and ends ---


def test_the_page_explains_every_reason_of_readyz() -> None:
    source = (ROOT / "node" / "service.py").read_text()
    reasons = re.findall(r'reasons\.append\("([^"]+)"\)', source)
    assert len(reasons) >= 3
    assert [quoted(row[0])[0] for row in rows("4. Health")] == reasons


def test_the_page_gives_each_end_its_exit_code() -> None:
    listed = {quoted(row[0])[0]: int(row[1]) for row in rows("5. How it ends")[1:]}
    fatal = {kind.__name__: kind for kinds, _ in EXIT_CODES for kind in kinds}
    for name, kind in vars(storage_errors).items():
        if isinstance(kind, type) and issubclass(kind, StorageError) and name not in NEVER_FATAL:
            fatal[name] = kind
    assert set(listed) == set(fatal)
    for name, kind in fatal.items():
        code = next(code for kinds, code in EXIT_CODES if issubclass(kind, kinds))
        assert listed[name] == code, name


def test_the_page_explains_every_line_of_the_log() -> None:
    event = r'(?:log\.(?:info|warning|error)\(|_complain\(\w+,)\s*"(\w+)"'
    files = [path for room in ("node", "network") for path in (ROOT / room).rglob("*.py")]
    written = {name for path in files for name in re.findall(event, path.read_text())}
    assert {"started", "ended", "dial_failed", "evidence"} <= written
    assert written - set(quoted(PAGE)) == set()


# --- metrics ---


async def test_the_page_explains_every_metric_and_no_other(tmp_path: Path) -> None:
    async with network(tmp_path, validators=2) as lab:
        text = await asyncio.to_thread(fetch, f"http://127.0.0.1:{lab.nodes['nbkr'].rpc.port}/metrics")
    served = set()
    for family in text_string_to_metric_families(text):
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        served.add(family.name + ("" if family.name.endswith(suffix) else suffix))
        assert family.documentation, family.name
    own = {name for name in served if not name.startswith("process_")}
    listed = {name for row in rows("8. Metrics") for name in quoted(row[0])}
    assert {name for name in own if not name.endswith("_created")} == listed - {"process_*"}
    assert {"process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"} <= served


def fetch(url: str) -> str:
    with urlopen(url, timeout=10) as reply:
        return str(reply.read().decode())


# --- a validator of a network that is no devnet ---


@pytest.mark.processes
@pytest.mark.slow
def test_a_validator_with_sealed_keys_is_made_checked_started_and_stopped_as_the_page_says(tmp_path: Path) -> None:
    phrase, home, port = tmp_path / "passphrase", tmp_path / "home", free_ports(1)[0]
    phrase.write_text("correct horse battery\n")
    init = f"som init --home {home} --name bank-3 --passphrase-file {phrase}"
    keys = json.loads(paste([f"{init} --json"], tmp_path))

    founded = make_genesis(1_790_000_000_000)
    ours = Validator("bank-3", bytes.fromhex(keys["consensus_key"]), bytes.fromhex(keys["node_key"]), 1)
    others = [row for row in founded.validators if row.name != ours.name]
    genesis = replace(founded, kind="pilot", name="som-pilot", validators=(*others, ours))
    (tmp_path / "genesis.json").write_text(format_genesis(genesis))
    peers = " ".join(f"--peer {row.name}=127.0.0.1:1" for row in others)
    addresses = f"--listen 127.0.0.1:0 --rpc 127.0.0.1:{port}"
    said = paste(
        [
            "som genesis hash genesis.json",
            f"{init} --genesis genesis.json {addresses} {peers}",
            f"som config check --home {home}",
        ],
        tmp_path,
    )
    assert said.count(genesis.hash.hex()) == 2

    with program(tmp_path, "-m", "node.cli", "start", "--home", home, "--passphrase-file", phrase) as node:
        node.says("started")
        assert json.loads(fetch(f"http://127.0.0.1:{port}/healthz")) == {"alive": True}
        with pytest.raises(HTTPError) as unready:
            fetch(f"http://127.0.0.1:{port}/readyz")
        with unready.value as reply:
            assert (reply.status, "no links to a quorum" in json.loads(reply.read())["reasons"]) == (503, True)
        node.process.terminate()
        assert node.ends() == 0, node.said
        assert "stopped" in node.said.splitlines()[-1]

    phrase.write_text("another horse battery\n")
    with program(tmp_path, "-m", "node.cli", "start", "--home", home, "--passphrase-file", phrase) as node:
        assert node.ends() == 7, node.said
        assert "wrong passphrase" in node.said


# --- resync ---


async def test_a_resynced_validator_fetches_the_chain_and_signs_nothing_twice(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        refused = CliRunner().invoke(som, ["resync", "--home", str(tmp_path / "bank-2")])
        assert refused.exit_code == 7, refused.output  # it runs
        await lab.stop("bank-2")
        journal = tmp_path / "bank-2" / "data" / "journal"
        for segment in journal.glob("*.journal"):
            segment.write_bytes(b"damage")
        done = CliRunner().invoke(som, ["resync", "--home", str(tmp_path / "bank-2")])
        assert done.exit_code == 0, done.output
        assert (tmp_path / "bank-2" / "data.1" / "store").is_dir()

        pension = lab.pension()
        await lab.accept("nbkr", pension)
        await lab.start("bank-2")
        await lab.settled(pension)
        await lab.height(lab.nodes["nbkr"].store.tip.height + 3)
        assert lab.same_chain() >= 3
        assert all(node.evidence.counts().total() == 0 for node in lab.nodes.values())


def test_a_resync_needs_the_guard_and_keeps_what_it_finds(tmp_path: Path) -> None:
    home = make_lab(tmp_path, 1).directory / "nbkr"
    guard = home / "keys" / "guard"
    guard.rename(guard.with_name("lost"))
    refused = CliRunner().invoke(som, ["resync", "--home", str(home)])
    assert (refused.exit_code, "guard is missing" in refused.output) == (7, True)
    assert (home / "data" / "store").is_dir()
    guard.with_name("lost").rename(guard)
    for number in (1, 2):
        assert CliRunner().invoke(som, ["resync", "--home", str(home)]).exit_code == 0
        assert (home / f"data.{number}" / "store").is_dir()
    shutil.rmtree(home / "data")  # a resync that was cut short
    assert CliRunner().invoke(som, ["resync", "--home", str(home)]).exit_code == 0


# --- systemd ---


def unit(path: Path = UNIT) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return parser


def test_the_signers_unit_starts_it_closed_to_all_but_its_socket() -> None:
    service = unit(SIGNER_UNIT)["Service"]
    command = service["ExecStart"].split()[1:]
    start = som.commands[command[0]].commands[command[1]]  # type: ignore[attr-defined]
    options = {option for parameter in start.params for option in parameter.opts}
    assert {word for word in command if word.startswith("--")} <= options
    assert service["RestartPreventExitStatus"] == "7"
    assert (service["RestrictAddressFamilies"], service["PrivateNetwork"]) == ("AF_UNIX", "yes")
    assert (service["RuntimeDirectoryMode"], service["LimitCORE"]) == ("0700", "0")


def test_the_indexers_unit_starts_it_with_settings_that_it_has() -> None:
    service = unit(INDEX_UNIT)["Service"]
    command = service["ExecStart"].split()[1:]
    start = som.commands[command[0]]
    assert {word for word in command if word.startswith("--")} <= {
        each for param in start.params for each in param.opts
    }
    settings = {param.envvar for param in start.params}
    assert set(re.findall(r"SOM_[A-Z_]+", INDEX_UNIT.read_text())) <= settings
    assert service["RestartPreventExitStatus"] == str(int(Exit.CONFIG))


def test_the_unit_restarts_what_a_restart_may_mend_and_nothing_else() -> None:
    service = unit()["Service"]
    hopeless = {code for _, code in EXIT_CODES} - {74}
    assert {int(code) for code in service["RestartPreventExitStatus"].split()} == hopeless
    assert service["Restart"] == "on-failure"
    command = service["ExecStart"].split()[1:]
    start = som.commands[command[0]]
    options = {option for parameter in start.params for option in parameter.opts}
    assert {word for word in command if word.startswith("--")} <= options


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("path", [UNIT, SIGNER_UNIT, INDEX_UNIT], ids=lambda path: path.stem)
def test_systemd_understands_the_unit(tmp_path: Path, path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_text(path.read_text().replace("/opt/som/bin/som", shutil.which("true") or "/bin/true"))
    checked = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if path.name in line]) == (0, [])
