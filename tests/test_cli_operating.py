"""What an operator asks: why the chain stands, whether all is well, whether a validator may stop; and a bundle."""

import asyncio
import json
import re
import string
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from click.testing import CliRunner, Result

from devnet.generate import seed_of
from devnet.processes import free_ports
from node.cli import checks, main
from node.cli.checks import Check, Level
from node.cli.doctor import clock
from node.cli.doctor_texts import DO
from node.cli.draining import spare
from node.cli.stall_texts import TEXTS, told
from node.cli.stalls import MOVES_MS, OF_REASON, RUNBOOK, Cause, Facts, Voter, diagnose
from node.config import parse_config
from node.config_text import format_config
from node.ledger.errors import LANGUAGES
from tests.node_lab import make_lab, network

ROOT: Final = Path(__file__).parents[1]
DERIVED: Final = {"no block for 15 seconds", "no links to a quorum"}  # what the validators do explains them


def som(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, list(map(str, arguments)), catch_exceptions=False)


async def ask(*arguments: str | Path) -> Result:
    """Run a command beside the nodes of this process."""
    return await asyncio.to_thread(som, *arguments)


# why-stalled

ALL: Final = tuple(Voter(name, 1, True) for name in "abcd")
STANDS: Final = Facts("a", 9, 9, MOVES_MS + 1, 0, 12, "b", 3, 4, ALL)


def voters(**changes: dict[str, Any]) -> tuple[Voter, ...]:
    return tuple(replace(voter, **changes.get(voter.name, {})) for voter in ALL)


GONE: Final = {"connected": False, "why": "no route"}
NOTARIZED: Final = {"notarized": True}
SITUATIONS: Final = {
    "it moves": (replace(STANDS, block_age_ms=MOVES_MS), [Cause.MOVES], ()),
    "it moves, one is away": (
        replace(STANDS, block_age_ms=0, voters=voters(d=GONE)),
        [Cause.MOVES, Cause.SOME_AWAY],
        (),
    ),
    "the genesis' time has not come": (
        replace(
            STANDS, height=0, finalized_height=0, block_age_ms=-9_000_000, reasons=("the last block is of the future",)
        ),
        [Cause.FUTURE, Cause.PROPOSAL_AWAITED],
        (),
    ),
    "it moves, we are fenced": (replace(STANDS, block_age_ms=0, reasons=("fenced",)), [Cause.MOVES, Cause.FENCED], ()),
    "two of four are away": (replace(STANDS, voters=voters(c=GONE, d=GONE)), [Cause.NO_QUORUM], ("c", "d")),
    "one heavy is away": (
        replace(STANDS, total=8, quorum=6, voters=voters(d={**GONE, "weight": 3})),
        [Cause.NO_QUORUM],
        ("d",),
    ),
    "one light is away, the leader is silent": (
        replace(STANDS, voters=voters(d=GONE)),
        [Cause.PROPOSAL_AWAITED, Cause.SOME_AWAY],
        ("b",),
    ),
    "nobody is linked": (replace(STANDS, voters=voters(b=GONE, c=GONE, d=GONE)), [Cause.CUT_OFF], ("b", "c", "d")),
    "votes are missing": (
        replace(STANDS, voters=voters(a=NOTARIZED, b=NOTARIZED)),
        [Cause.VOTES_AWAITED],
        ("c", "d"),
    ),
    "who gave up has spoken": (
        replace(STANDS, voters=voters(a=NOTARIZED, b=NOTARIZED, c={"nullified": True})),
        [Cause.VOTES_AWAITED],
        ("d",),
    ),
    "all have spoken": (
        replace(STANDS, voters=voters(**dict.fromkeys("abcd", NOTARIZED))),
        [Cause.UNEXPLAINED],
        (),
    ),
    "batches are missing": (
        replace(STANDS, numbers={"batches_missing": 2}),
        [Cause.BATCHES_MISSING, Cause.PROPOSAL_AWAITED],
        (),
    ),
    "final blocks wait": (
        replace(STANDS, finalized_height=12),
        [Cause.EXECUTION_BEHIND, Cause.PROPOSAL_AWAITED],
        (),
    ),
    "the signer is away": (
        replace(STANDS, reasons=("the signer is away", "no block for 15 seconds")),
        [Cause.SIGNER_AWAY, Cause.PROPOSAL_AWAITED],
        (),
    ),
    "the software is old": (
        replace(STANDS, reasons=tuple(OF_REASON)[:1], version_next=2),
        [Cause.VERSION_UNKNOWN, Cause.PROPOSAL_AWAITED],
        (),
    ),
    "alone": (
        replace(STANDS, quorum=1, total=1, leader="a", voters=ALL[:1], reasons=("the disk is nearly full",)),
        [Cause.DISK_FULL, Cause.PROPOSAL_AWAITED],
        (),
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_situation_has_its_causes_and_names_who_is_missing(name: str) -> None:
    facts, causes, names = SITUATIONS[name]
    found = diagnose(facts)
    assert [finding.cause for finding in found] == causes
    assert found[0].names == names
    for finding in found:
        for language in LANGUAGES:
            assert all(told(finding, language))
        assert finding.cause is Cause.MOVES or (ROOT / finding.runbook).exists(), finding.runbook


def test_no_quorum_says_how_much_weight_is_lacking() -> None:
    (found,) = diagnose(replace(STANDS, voters=voters(b=GONE, d=GONE)))
    assert (found.figures["present"], found.figures["quorum"], found.figures["lacking"]) == (2, 3, 1)
    assert "d: no route" in str(found.figures["errors"])


def test_every_cause_has_a_text_with_the_same_figures_in_each_language() -> None:
    assert set(TEXTS) == set(Cause)
    assert set(RUNBOOK) == set(Cause) - {Cause.MOVES}
    for advice in TEXTS.values():
        for words in advice:
            fields = {tuple(sorted(name or "" for _, name, _, _ in string.Formatter().parse(text))) for text in words}
            assert len({tuple(name for name in each if name) for each in fields}) == 1, words
            assert len(set(words)) in (2, 3), "each language has its own words"


def test_every_reason_of_readyz_is_a_cause_or_follows_from_one() -> None:
    source = (ROOT / "node" / "service.py").read_text()
    assert set(re.findall(r'reasons\.append\("([^"]+)"\)', source)) == OF_REASON.keys() | DERIVED


# drain


@pytest.mark.parametrize(
    ("weights", "quorum", "present", "leaving", "safe"),
    [
        ((1, 1, 1, 1), 3, "abcd", "a", True),
        ((1, 1, 1, 1), 3, "abc", "a", False),
        ((1, 1, 1, 1), 3, "bcd", "a", True),  # whether it counts itself as there says nothing
        ((3, 1, 1, 1, 1, 1, 1, 1), 7, "abcdefgh", "a", True),
        ((4, 1, 1, 1, 1, 1, 1), 7, "abcdefg", "a", False),
        ((4, 1, 1, 1, 1, 1, 1), 7, "abcdefg", "b", True),
        ((4, 1, 1, 1, 1, 1, 1), 7, "abcdef", "b", True),
        ((4, 1, 1, 1, 1, 1, 1), 7, "abcd", "b", False),
        ((1,), 1, "a", "a", False),
        ((1, 1, 1, 1), 3, "", "x", True),  # it only follows
        ((1, 1, 1, 1), 3, "abx", "c", False),  # who is no validator has no weight
    ],
)
def test_a_validator_may_stop_only_if_the_others_are_a_quorum(
    weights: tuple[int, ...], quorum: int, present: str, leaving: str, safe: bool
) -> None:
    table = dict(zip("abcdefgh", weights, strict=False))
    assert spare(leaving, table, quorum, set(present)).safe is safe


# doctor


def test_a_home_is_examined_and_what_is_wrong_has_its_advice(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, 2)
    home = lab.directory / "nbkr"
    sound = som("doctor", "--home", home, "--offline", "--json")
    found = {each["name"]: each for each in json.loads(sound.stdout)}
    assert found.keys() == {
        "python", "leveldb", "uvloop", "config", "permissions", "keys", "disk", "sync", "listen", "rpc",
    }  # fmt: skip
    assert found["permissions"]["level"] == found["keys"]["level"] == found["leveldb"]["level"] == "ok"
    assert re.fullmatch(r"[\d.]+ ms", found["sync"]["detail"])
    assert sound.exit_code == int(any(each["level"] == "fail" for each in found.values()))

    (home / "keys" / "node.json").chmod(0o644)
    broken = som("doctor", "--home", home, "--offline", "--json")
    assert broken.exit_code == 1
    found = {each["name"]: each for each in json.loads(broken.stdout)}
    assert (found["permissions"]["level"], "node.json" in found["permissions"]["detail"]) == ("fail", True)
    assert "0600" in found["permissions"]["do"]
    said = {som("doctor", "--home", home, "--offline", "--lang", language).stdout for language in LANGUAGES}
    assert len(said) == 3
    settings = (home / "config.toml").read_text()
    for data, name in (("/proc", "sync"), ("nowhere", "disk"), ("config.toml", "disk")):  # nothing can be written there
        (home / "config.toml").write_text(re.sub(r"(?m)^#? ?data = .*$", f'data = "{data}"', settings, count=1))
        found = {each["name"]: each for each in json.loads(som("doctor", "--home", home, "--offline", "--json").stdout)}
        assert found[name]["level"] in {"warn", "fail"}
        assert {"python", "permissions", "rpc"} <= found.keys(), "the other checks say what they saw"
    nowhere = som("doctor", "--home", tmp_path / "nowhere", "--json")
    assert (nowhere.exit_code, json.loads(nowhere.stdout)[-1]["name"]) == (1, "home")


FED: Final = {
    "som_height": 50_000.0,
    "som_snapshot_height": 49_152.0,
    "som_snapshot_bytes": 5_000_000.0,
    "som_disk_free_bytes": 9_000_000.0,
    "som_snapshots_unproven_total": 0.0,
    "som_pruned_height": 0.0,
    "som_prune_due_blocks": 1_023.0,
}


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, set()),
        ({"som_snapshot_height": 16_384.0}, set()),
        ({"som_snapshot_height": 0.0}, {"snapshots"}),
        ({"som_snapshot_bytes": 9_000_001.0}, {"snapshots"}),
        ({"som_snapshots_unproven_total": 1.0}, {"snapshots"}),
        ({"som_prune_due_blocks": 3_073.0}, {"pruning"}),
    ],
)
def test_snapshots_that_are_missed_or_have_no_room_and_a_chain_that_is_not_pruned_are_seen(
    changes: dict[str, float], warned: set[str]
) -> None:
    config = parse_config('name = "x"\n')
    found = {check.name: check.level for check in checks.history(config, FED | changes)}
    assert found.keys() == {"snapshots", "pruning"}
    assert {name for name, level in found.items() if level is Level.WARN} == warned
    none = parse_config('name = "x"\n[snapshot]\nevery = 0\n')
    assert "snapshots" not in {check.name for check in checks.history(none, FED | changes)}


def test_odd_settings_lost_peers_taken_ports_and_mixed_homes_are_seen(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, 2)
    home = lab.directory / "nbkr"
    config = parse_config((home / "config.toml").read_text())
    genesis = lab.genesis

    def level(found: Iterator[Check]) -> Level:
        (check,) = found
        return check.level

    text = "\n".join(line for line in format_config(config).splitlines() if not line.startswith("#"))
    assert level(checks.settings(config, genesis)) is Level.OK
    for old, new in (
        ('[rpc]\nhost = "127.0.0.1"', '[rpc]\nhost = "0.0.0.0"'),
        ('name = "bank-1"\nhost = "127.0.0.1"', 'name = "bank-1"\nhost = "10.0.0.1"'),
        ('name = "bank-1"', 'name = "bank-9"'),
    ):
        assert old in text
        assert level(checks.settings(parse_config(text.replace(old, new)), genesis)) is Level.WARN
    assert level(checks.peers(config)) is Level.FAIL  # the only one does not run
    (home / "keys" / "node.json").write_bytes((lab.directory / "bank-1" / "keys" / "node.json").read_bytes())
    assert level(checks.identity(home, config, genesis)) is Level.FAIL
    port = free_ports(1)[0]
    free = parse_config(text.replace(f"port = {config.listen.port}", f"port = {port}"))
    assert [check.level for check in checks.ports(free, running=False)] == [Level.OK, Level.OK]
    assert next(iter(checks.ports(free, running=True))).level is Level.FAIL


@pytest.mark.parametrize(
    ("offsets", "level"),
    [
        ({"a": 0.1, "b": -0.1}, Level.OK),
        ({"a": 0.0, "b": 0.0, "c": 0.9}, Level.WARN),  # one peer's clock
        ({"a": 0.7, "b": 0.8, "c": 0.6}, Level.WARN),  # ours, a little
        ({"a": -3.0, "b": -3.1, "c": 0.0}, Level.FAIL),  # ours
    ],
)
def test_the_clock_is_judged_by_what_most_peers_show(offsets: dict[str, float], level: Level) -> None:
    (found,) = clock(offsets)
    assert found.level is level


def test_every_check_has_advice() -> None:
    source = "".join((ROOT / "node" / "cli" / f"{name}.py").read_text() for name in ("checks", "doctor"))
    named = set(re.findall(r'Check\("(\w+)"', source)) | {"listen", "rpc"}
    assert named == DO.keys()


# All of it, on a network whose validators die


@pytest.fixture
def log_on_stderr() -> Iterator[None]:
    """Keep the log of the nodes in this process out of what commands print."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("log_on_stderr")
async def test_an_operator_sees_who_died_and_may_stop_no_more_than_the_quorum_bears(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        home = lab.directory / "nbkr"
        moving = await ask("admin", "why-stalled", "--home", home, "--json")
        assert (moving.exit_code, json.loads(moving.stdout)["findings"][0]["cause"]) == (0, "moves")
        urls = [f"http://127.0.0.1:{node.rpc.port}" for node in lab.nodes.values()]
        nodes = [part for url in urls for part in ("--node", url)]

        # One more could be spared: its clients are turned away, it votes on, and can be undone.
        drained = await ask("admin", "drain", "--home", home, *nodes, "--json")
        assert drained.exit_code == 0, drained.output
        assert json.loads(drained.stdout)["remaining"] == 3
        assert "draining" in lab.nodes["nbkr"].service.status().reasons
        (refused,) = await lab.submit("nbkr", lab.pension())
        assert refused.code == -32_012, "its clients go to another validator"
        tip = lab.nodes["nbkr"].store.tip.height
        await lab.height(tip + 2)
        undone = await ask("admin", "drain", "--home", home, "--undo")
        assert undone.exit_code == 0, undone.output
        await lab.accept("nbkr", lab.pension())

        # One is dead: nobody else may stop, and nothing is changed by asking.
        await lab.stop("bank-3")
        await lab.until(lambda: all(len(node.links.connected()) == 2 for node in lab.nodes.values()), "it is gone")
        kept = await ask("admin", "drain", "--home", home, "--stop", "--lang", "ru")
        assert kept.exit_code == 1, kept.output
        assert "2 < 3; bank-3" in kept.output
        assert not lab.nodes["nbkr"].stopping.is_set()
        assert "draining" not in lab.nodes["nbkr"].service.status().reasons
        found = json.loads((await ask("admin", "why-stalled", "--home", home, "--json")).stdout)["findings"]
        assert [(each["cause"], each["names"]) for each in found] == [("moves", []), ("some-away", ["bank-3"])]

        # Two are dead: the chain stands, and both are named, in each language.
        await lab.stop("bank-2")
        node = lab.nodes["nbkr"]
        await lab.until(lambda: "no block for 15 seconds" in node.service.status().reasons, "it stands")
        stalled = await ask("admin", "why-stalled", "--home", home, "--json")
        assert stalled.exit_code == 1
        (finding,) = json.loads(stalled.stdout)["findings"]
        assert (finding["cause"], set(finding["names"])) == ("no-quorum", {"bank-2", "bank-3"})
        assert (finding["figures"]["present"], finding["figures"]["lacking"]) == (2, 1)
        said = {(await ask("admin", "why-stalled", "--home", home, "--lang", lang)).stdout for lang in LANGUAGES}
        assert len(said) == 3
        assert all("bank-2" in each and "docs/runbook/chain-stands-still.md" in each for each in said)
        remote = await ask("admin", "why-stalled", "--node", urls[0], "--json")
        assert json.loads(remote.stdout)["findings"][0]["cause"] == "no-quorum"

        # What the doctor and a bundle say of it, and what a bundle does not say.
        examined = await ask("doctor", "--home", home, "--json", *nodes[:2])
        levels = {each["name"]: each["level"] for each in json.loads(examined.stdout)}
        assert (levels["node"], levels["links"], levels["genesis"]) == ("warn", "warn", "ok")
        token = await ask("token", "new", "secret-reader", "--scope", "audit", "--home", home, "--json")
        log = tmp_path / "node.log"
        log.write_text("a line\nAuthorization: Bearer abcdef\n")
        out = tmp_path / "bundle.tar.gz"
        made = await ask("admin", "bundle", "--home", home, "--out", out, "--log", log)
        assert made.exit_code == 0, made.output
        assert_tells_no_secret(home, out, json.loads(token.stdout)["token"])
        assert (await ask("admin", "bundle", "--home", home, "--out", out)).exit_code == 7


def assert_tells_no_secret(home: Path, bundle: Path, token: str) -> None:
    with tarfile.open(bundle) as archive:
        members = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        content = {name: file.read() for name, file in members.items() if file is not None}
    assert content.keys() == {
        f"som/{name}"
        for name in (
            "config.toml consensus.json doctor.json files.json info.json log.txt metrics.txt peers.json status.json "
            "validators.json versions.json why-stalled.json"
        ).split()
    }
    whole = b"".join(content.values())
    assert b"a line" in content["som/log.txt"]
    assert parse_config(content["som/config.toml"].decode()).name == "nbkr"
    secrets = [b"abcdef", token.encode(), *(seed_of(f"nbkr-{use}") for use in ("consensus", "node"))]
    secrets += [secret.hex().encode() for secret in secrets[2:]]
    for file in ("keys/consensus.json", "keys/node.json", "tokens.json"):
        held = json.loads((home / file).read_text())
        secrets += [value.encode() for value in strings(held) if len(value) >= 32]
    public = {json.loads((home / f"keys/{use}.json").read_text())["pub"].encode() for use in ("consensus", "node")}
    told_of = [secret for secret in set(secrets) - public if secret in whole]
    assert len(set(secrets) - public) >= 6
    assert told_of == []


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


def test_a_bundle_of_a_node_that_does_not_run_says_what_there_is(tmp_path: Path) -> None:
    home = make_lab(tmp_path, 1).directory / "nbkr"
    out = tmp_path / "b.tar.gz"
    made = som("admin", "bundle", "--home", home, "--out", out)
    assert made.exit_code == 0, made.output
    with tarfile.open(out) as archive:
        names = {Path(name).name for name in archive.getnames()}
    assert {"config.toml", "doctor.json", "status.json"} <= names
    assert out.stat().st_mode & 0o077 == 0
