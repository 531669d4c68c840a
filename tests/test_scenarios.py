"""The scenarios, all at the same time on one network of four validators as processes, over JSON-RPC.

A test for each row asserts that its story came to its end and how: what was refused, by code, in the order told.
"""

import ast
import asyncio
import json
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from devnet.generate import GOLD_AUDITOR, TREASURY, VALIDATORS, bank_account
from devnet.processes import LocalNetwork
from devnet.scenarios.play import play_one, set_up
from devnet.scenarios.rows import SCENARIOS, Scenario, find_scenario, page
from devnet.scenarios.stage import Line, Stage, Unexpected, document, pay
from node.cli.main import main
from node.cli.texts import Words
from node.client.client import Client
from node.ledger.account import SOM
from node.ledger.attest import RevokeAttestation
from node.ledger.errors import Code
from tests.devnet_lab import paste, program

ROOT: Final = Path(__file__).parents[1]
SOON_MS: Final = 15_000  # what stories wait for; their steps before it must fit in, on a busy machine too
NAMES: Final = [scenario.name for scenario in SCENARIOS]
WORDS: Final = Words("ky", "ru", "en")

# What each story sees refused, in its order.
REFUSED: Final = {
    "issue": "NOT_SIGNED MINT_PAYEE REDEEM_PAYER",
    "tiers": "FIELD LIMIT_TX LIMIT_BALANCE",
    "pensions": "PAYEE_BLOCKED",
    "vouchers": "PURPOSE PURPOSE NO_HOLD",
    "budget": "NEEDS_ATTESTATION ROLE ROLE",
    "kgst": "UNBACKED UNBACKED RESERVE_FLOOR",
    "usdkg": "NO_ATTESTATION ATTESTATION_OLD UNBACKED",
    "register": "ROLE NO_ASSET ASSET_SUSPENDED STATUS",
    "reserve": "ROLE NO_ATTESTATION",
    "orders": "IMMUNE PAYER_BLOCKED SECOND_APPROVAL SECOND_APPROVAL UNDER_ORDER SECOND_APPROVAL EXCEEDS_HOLD",
    "recovery": "TOO_EARLY ROLE RECOVERING NO_RECOVERY SECOND_APPROVAL NOT_SIGNED",
    "delivery": "NOT_SIGNED INSUFFICIENT",
    "swap": "SECRET",
    "offline": "EXCEEDS_HOLD",
    "certificate": "ROLE",
}


@dataclass
class Played:
    """What became of the stories, and what the other validators say of them."""

    lines: dict[str, list[Line]] = field(default_factory=dict)
    failures: dict[str, BaseException] = field(default_factory=dict)
    outcomes: list[dict[str, str]] = field(default_factory=list)  # of each validator: transaction -> its status
    roots: set[str] = field(default_factory=set)  # after the last height
    surprises: list[str] = field(default_factory=list)  # what planted lies were answered with


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return asyncio.run(_play(tmp_path_factory.mktemp("scenarios") / "net"))


async def _play(directory: Path) -> Played:
    played = Played({name: [] for name in NAMES})

    def hear(scenario: Scenario, line: Line | None) -> None:
        assert line is not None
        played.lines[scenario.name].append(line)

    async def one(scenario: Scenario, client: Client) -> None:
        try:
            await play_one(scenario, client, hear, SOON_MS)
        except Exception as error:  # reported by the row's own test
            played.failures[scenario.name] = error

    async with LocalNetwork(directory) as network, Client(network.urls()) as client:
        await set_up(client)
        await asyncio.gather(*(one(scenario, client) for scenario in SCENARIOS))
        played.surprises = [surprise async for surprise in _lies(client)]
        height = (await client.info()).height
        for name in VALIDATORS:
            async with Client([network.url(name)]) as other:
                await _reach(other, height)
                played.roots.add((await other.block(height)).state_root_after)
                played.outcomes.append(await _outcomes(other, played))
    return played


async def _reach(client: Client, height: int) -> None:
    deadline = asyncio.get_running_loop().time() + 60
    while (await client.info()).height < height:
        assert asyncio.get_running_loop().time() < deadline, f"never reached {height}"
        await asyncio.sleep(0.05)


async def _outcomes(client: Client, played: Played) -> dict[str, str]:
    ids = [line.tx_id for lines in played.lines.values() for line in lines if line.tx_id]
    return {tx_id: (await client.transaction(bytes.fromhex(tx_id))).outcome.status for tx_id in ids}


async def _lies(client: Client) -> Any:
    """Yield how a stage answers a story that says what does not happen."""
    stage = Stage(client, lambda line: None)
    issue = pay(TREASURY, bank_account(1), 1)
    lies = (
        stage.applied(WORDS, RevokeAttestation(GOLD_AUDITOR, document("none")[:16])),
        stage.refused(WORDS, Code.INSUFFICIENT, issue),
        stage.refused(WORDS, Code.ROLE, RevokeAttestation(GOLD_AUDITOR, document("none")[:16])),
    )
    for lie in lies:
        try:
            await lie
        except Unexpected as error:
            yield str(error)
    try:
        stage.fact(WORDS, await stage.balance(bank_account(1), SOM), (0, 0))
    except Unexpected as error:
        yield str(error)


# --- the rows ---


@pytest.mark.processes
@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_seen_to_happen(played: Played, name: str) -> None:
    if name in played.failures:
        raise played.failures[name]
    lines = played.lines[name]
    assert [line.code.name for line in lines if line.kind == "refused" and line.code] == REFUSED[name].split()
    assert any(line.kind == "applied" for line in lines)
    assert lines[-1].kind == "fact"  # it ends by reading what has come of it


@pytest.mark.processes
def test_all_validators_agree_on_what_was_told(played: Played) -> None:
    assert len(played.roots) == 1
    first, *others = played.outcomes
    assert all(other == first for other in others)
    for lines in played.lines.values():
        for line in lines:
            if line.tx_id:
                allowed = (
                    {"applied"} if line.kind == "applied" else {"failed", "unknown"}
                )  # unknown: stopped at the door
                assert first[line.tx_id] in allowed, line


@pytest.mark.processes
def test_a_story_that_lies_is_stopped(played: Played) -> None:
    revoked, applied, other_code, fact = played.surprises
    assert revoked == "en: NO_ATTESTATION, not APPLIED"
    assert applied == "en: APPLIED, not INSUFFICIENT"
    assert other_code == "en: NO_ATTESTATION, not ROLE"
    assert fact.startswith("en: found (")
    assert fact.endswith("not (0, 0)")


@pytest.mark.processes
def test_every_line_is_told_in_three_languages(played: Played) -> None:
    for lines in played.lines.values():
        for line in lines:
            assert len({*line.words}) == 3, line.words
            assert not any("{" in text or "}" in text for text in line.words), line.words


# --- the command ---


@pytest.mark.processes
@pytest.mark.slow
def test_som_scenario_starts_its_own_validators_and_stops_them(tmp_path: Path) -> None:
    told = paste(["som scenario certificate --lang ky"], tmp_path)
    assert "15. Университеттин күбөлүгү" in told
    assert "✓ Университет" in told
    assert "✗ Студент" in told
    assert "204 ROLE: Бул эсептин мындай аракетке укугу жок" in told
    assert (tmp_path / ".devnet" / "scenario" / "nbkr.log").exists()
    assert _commands_with(str(tmp_path)) == []


def _commands_with(text: str) -> list[str]:
    """Return the running commands that name ``text``."""
    commands: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text in command:
            commands.append(command)
    return commands


@pytest.mark.processes
@pytest.mark.slow
def test_som_scenario_plays_on_a_devnet_that_runs_and_again(tmp_path: Path) -> None:
    with program(tmp_path, "-m", "devnet.local", "--directory", tmp_path / "net") as devnet:
        devnet.says("Ctrl-C stops it.")
        node = devnet.said.partition("export SOM_NODE=")[2].split()[0]
        for row in ("kgst", "usdkg", "9"):
            for _ in range(2):
                told = paste([f"som scenario {row} --json"], tmp_path, SOM_NODE=node)
                lines = [json.loads(line) for line in told.splitlines()]
                assert lines[-1]["kind"] == "fact", told
        assert devnet.interrupt() == 0, devnet.said


def test_som_scenario_lists_the_rows_in_the_language_asked_for() -> None:
    listed = CliRunner().invoke(main, ["scenario", "--lang", "ru", "--json"])
    assert listed.exit_code == 0, listed.output
    rows = json.loads(listed.stdout)
    assert [row["name"] for row in rows] == NAMES
    assert rows[5]["title"] == "KGST: против сомов в резерве"


def test_som_scenario_says_which_rows_there_are() -> None:
    unknown = CliRunner().invoke(main, ["scenario", "kgst2"])
    assert unknown.exit_code == 2
    assert "kgst, usdkg" in unknown.output


def test_som_scenario_says_that_no_node_answers() -> None:
    away = CliRunner().invoke(main, ["scenario", "kgst", "--node", "http://127.0.0.1:9"])
    assert away.exit_code == 5, away.output


# --- the texts ---


def test_the_page_is_of_the_scenarios_as_they_are() -> None:
    assert (ROOT / "docs" / "scenarios.md").read_text() == page(), "python -m devnet.scenarios > docs/scenarios.md"


def test_a_row_is_found_by_name_and_by_number() -> None:
    assert find_scenario("kgst") is SCENARIOS[5] is find_scenario("6")
    assert find_scenario("0") is find_scenario("16") is find_scenario("") is None
    assert len(set(NAMES)) == len(NAMES) == len(REFUSED)


def test_the_languages_of_a_line_say_the_same_values() -> None:
    found = list(_words())
    assert len(found) > 100
    for place, texts in found:
        assert len(texts) == 3, place
        fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in texts]
        assert fields[0] == fields[1] == fields[2], (place, texts)
        assert not any(letter in texts[2] for letter in "абвгдежз"), place


def _words() -> Iterator[tuple[str, list[str]]]:
    """Yield the texts of every Words(...) of the scenarios."""
    for path in sorted((ROOT / "devnet" / "scenarios").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Words" and len(node.args) == 3:
                yield f"{path.name}:{node.lineno}", [ast.literal_eval(each) for each in node.args]
