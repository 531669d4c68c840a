"""`som emergency`: a whole ceremony at the command line, and what it refuses on the way."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from consensus.crypto import SecretKey
from devnet.generate import CENTRAL_BANK, seed_of
from node.cli import main
from node.config import Signer
from node.config_text import format_config
from node.decree import decode_decree
from node.emergency import decode_report
from node.home import create_data, read_config
from node.ledger.account import format_account
from node.ledger.genesis import format_genesis
from node.storage.keystore import write_key
from tests.committee_lab import BOARD, Committees, keys_of
from tests.emergency_lab import lose
from tests.node_lab import Lab, make_lab

BANK = format_account(CENTRAL_BANK)


@dataclass(frozen=True, slots=True)
class Desk:
    """A network of four that stands, two of them destroyed, and a command line beside it."""

    lab: Lab
    folder: Path

    def run(self, *arguments: str | Path, typed: str | None = None) -> Result:
        words = [str(each) for each in arguments]
        return CliRunner().invoke(main, ["emergency", *words], input=typed, catch_exceptions=False)

    def home(self, name: str) -> Path:
        return self.lab.directory / name

    def report(self, name: str) -> Path:
        """Have a validator report, and say that it may."""
        out = self.folder / f"{name}.report"
        digits = keys_of(name).consensus_key.hex()[:8]
        result = self.run("report", "--home", self.home(name), "--out", out, typed=digits)
        assert result.exit_code == 0, result.output
        return out

    def plan(self, *more: str | Path, out: str = "decree") -> Result:
        fixed = ("--home", self.home("nbkr"), "--from", BANK, "--reason", "two banks burnt down")
        return self.run("plan", *fixed, "--admit", self.seat("fresh-1"), "--out", self.folder / out, *more)

    def seat(self, name: str) -> Path:
        """Write what `som init --json` shows of a new validator."""
        path = self.folder / f"{name}.json"
        keys = keys_of(name)
        shown = {
            "name": name,
            "consensus_key": keys.consensus_key.hex(),
            "node_key": keys.node_key.hex(),
            "weight": 1,
        }
        path.write_text(json.dumps(shown))
        return path

    def key(self, name: str) -> Path:
        """Write a key file of the central bank's board."""
        path = self.folder / "keys" / f"{name}.json"
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_key(path, seed_of(name), "operator", "*", None)
        return path

    def sign(self, decree: Path, out: str, *how: str | Path, typed: str = "") -> Result:
        digits = decode_decree(decree.read_bytes()).decree.digest.hex()[:8]
        return self.run("sign", decree, "--out", self.folder / out, *how, typed=typed or digits)

    def planned(self) -> Path:
        """Return a decree that nobody has signed."""
        result = self.plan(self.report("nbkr"), self.report("bank-1"))
        assert result.exit_code == 0, result.output
        return self.folder / "decree"

    def by_bank(self, decree: Path, *names: str) -> tuple[str | Path, ...]:
        genesis = self.folder / "genesis.json"
        genesis.write_text(format_genesis(self.lab.genesis))
        keys = [word for name in names for word in ("--key", self.key(name))]
        return ("--genesis", genesis, *keys)


@pytest.fixture
async def lab(tmp_path: Path) -> Lab:
    """Return a network that has stopped after some blocks, and has lost two validators."""
    made = make_lab(tmp_path / "homes", epoch_length=10)
    await made.start(*made.names)
    await made.linked()
    await made.fund()
    await made.height(5)
    await made.stop(*made.names)
    lose(made, *made.names[2:])
    return made


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Desk:
    folder = tmp_path / "desk"
    folder.mkdir()
    return Desk(lab, folder)


def shown(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.stdout)
    return value


async def test_a_whole_ceremony_at_the_command_line(desk: Desk) -> None:
    assert desk.lab.names[:2] == ("nbkr", "bank-1")
    decree = desk.planned()
    unsigned = shown(desk.run("show", decree, "--home", desk.home("bank-1"), "--json"))
    assert [row["name"] for row in unsigned["validators"]] == ["bank-1", "fresh-1", "nbkr"]
    assert unsigned["standing"] == {"bank": [0, 2], "validators": [[0, 2]]}
    # The bank's keys sign on two machines, the validators on two others: the copies are put together.
    assert desk.sign(decree, "1", *desk.by_bank(decree, BOARD[0])).exit_code == 0
    assert desk.sign(decree, "2", *desk.by_bank(decree, BOARD[1])).exit_code == 0
    assert desk.sign(decree, "3", "--home", desk.home("nbkr")).exit_code == 0
    assert desk.sign(decree, "4", "--home", desk.home("bank-1")).exit_code == 0
    copies = [desk.folder / str(number) for number in range(1, 5)]
    whole = desk.folder / "whole"
    assert desk.run("merge", *copies, "--out", whole).exit_code == 0
    standing = shown(desk.run("show", whole, "--home", desk.home("nbkr"), "--json"))["standing"]
    assert standing == {"bank": [2, 2], "validators": [[2, 2]]}
    for fresh in (True, False):  # the second time there is nothing to do
        for name in ("nbkr", "bank-1"):
            assert shown(desk.run("apply", whole, "--home", desk.home(name), "--json"))["applied"] is fresh
    # A new validator has no chain yet: it takes the digest that the bank has published.
    Committees(desk.lab).add_home("fresh-1")
    new = desk.home("fresh-1")
    digest = standing and decode_decree(whole.read_bytes()).decree.digest.hex()
    assert desk.run("apply", whole, "--home", new, "--digest", "0" * 64).exit_code == 1
    assert shown(desk.run("apply", whole, "--home", new, "--digest", digest, "--json"))["applied"] is True


async def test_nothing_is_bound_without_typing_what(desk: Desk) -> None:
    out = desk.folder / "out"
    assert desk.run("report", "--home", desk.home("nbkr"), "--out", out, typed="deadbeef").exit_code == 2
    assert not out.exists()
    decree = desk.planned()
    assert desk.sign(decree, "out", *desk.by_bank(decree, *BOARD), typed="deadbeef").exit_code == 2
    assert desk.sign(decree, "out", "--home", desk.home("nbkr"), typed="deadbeef").exit_code == 2
    assert not out.exists()


async def test_a_plan_that_may_lose_payments_says_so_and_is_written_only_on_demand(desk: Desk) -> None:
    only = desk.report("nbkr")
    result = desk.plan(only)
    assert result.exit_code == 1
    assert "acknowledged payments may be lost" in result.stderr
    assert "two chains" in result.stderr
    assert not (desk.folder / "decree").exists()
    assert desk.plan(only, "--may-lose").exit_code == 0
    # It takes a person on every home, by the digest: nobody else will believe it.
    decree = desk.folder / "decree"
    assert desk.sign(decree, "1", *desk.by_bank(decree, *BOARD)).exit_code == 0
    assert desk.sign(desk.folder / "1", "2", "--home", desk.home("nbkr")).exit_code == 0
    short = desk.folder / "2"
    refused = desk.run("apply", short, "--home", desk.home("bank-1"))
    assert refused.exit_code == 1
    assert "too little weight" in refused.stderr
    digest = decode_decree(short.read_bytes()).decree.digest.hex()
    assert desk.run("apply", short, "--home", desk.home("bank-1"), "--digest", digest).exit_code == 0
    # What it follows its guard remembers, whatever becomes of the file.
    shutil.rmtree(desk.home("bank-1") / "decrees")
    assert desk.plan(only, "--may-lose", "--without", "nbkr", out="other").exit_code == 0
    second = desk.sign(desk.folder / "other", "3", "--home", desk.home("bank-1"))
    assert second.exit_code == 7
    assert "another DECREE" in second.stderr


async def test_a_home_whose_data_is_lost_is_closed_and_not_whole(desk: Desk) -> None:
    home = desk.home("bank-1")
    (home / "data").rename(home / "data.1")
    create_data(home, read_config(home), desk.lab.genesis)
    lost = desk.report("bank-1")
    assert not decode_report(lost.read_bytes()).whole, "its guard knows"
    result = desk.plan(desk.report("nbkr"), lost)
    assert result.exit_code == 1
    assert "acknowledged payments may be lost" in result.stderr
    assert "two chains" not in result.stderr


async def test_a_validator_whose_data_is_lost_signs_once_it_has_the_chain_of_another_one(tmp_path: Path) -> None:
    """The committee of the decree's epoch is no guess: without the blocks of the epoch before it is not known."""
    lab = make_lab(tmp_path / "homes", epoch_length=5)
    await lab.start(*lab.names)
    await lab.linked()
    await lab.fund()
    await lab.height(7)
    await lab.stop(*lab.names)
    lose(lab, *lab.names[2:])
    (tmp_path / "desk").mkdir()
    desk = Desk(lab, tmp_path / "desk")
    home, archive = desk.home("bank-1"), tmp_path / "archive"

    def som(*arguments: str | Path) -> None:
        done = CliRunner().invoke(main, [str(each) for each in arguments])
        assert done.exit_code == 0, done.output

    shutil.rmtree(home / "data")
    som("resync", "--home", home)
    reports = (desk.report("nbkr"), desk.report("bank-1"))
    assert desk.plan(*reports, "--may-lose").exit_code == 0
    decree = desk.folder / "decree"
    refused = desk.sign(decree, "1", "--home", home, "--may-lose")
    assert (refused.exit_code, "not known here yet" in refused.stderr) == (1, True)
    som("archive", "export", "--home", desk.home("nbkr"), "--out", archive)
    som("archive", "import", "--home", home, archive)
    assert desk.sign(decree, "1", "--home", home, "--may-lose").exit_code == 0


async def test_too_few_signatures_bring_no_home_to_follow(desk: Desk) -> None:
    decree = desk.planned()
    assert desk.sign(decree, "bank", *desk.by_bank(decree, BOARD[0])).exit_code == 0
    assert desk.sign(desk.folder / "bank", "one", "--home", desk.home("nbkr")).exit_code == 0
    assert desk.sign(desk.folder / "one", "two", "--home", desk.home("bank-1")).exit_code == 0
    digest = decode_decree(decree.read_bytes()).decree.digest.hex()
    for more in ((), ("--digest", digest)):
        result = desk.run("apply", desk.folder / "two", "--home", desk.home("nbkr"), *more)
        assert result.exit_code == 1
        assert "central bank" in result.stderr
    assert not (desk.home("nbkr") / "decrees").exists()


async def test_a_validator_signs_one_decree_of_a_term_and_none_before_it_has_reported(desk: Desk) -> None:
    one = desk.report("nbkr")
    assert desk.plan(one, "--may-lose").exit_code == 0
    decree = desk.folder / "decree"
    not_closed = desk.sign(decree, "1", "--home", desk.home("bank-1"))
    assert not_closed.exit_code == 7
    assert "before the guard is closed" in not_closed.stderr
    assert desk.sign(decree, "1", "--home", desk.home("nbkr")).exit_code == 0
    assert desk.plan(one, "--may-lose", "--without", "nbkr", out="other").exit_code == 0
    second = desk.sign(desk.folder / "other", "2", "--home", desk.home("nbkr"))
    assert second.exit_code == 7
    assert "another DECREE" in second.stderr
    merged = desk.run("merge", desk.folder / "1", desk.folder / "other", "--out", desk.folder / "3")
    assert merged.exit_code == 1
    assert "two decrees" in merged.stderr


async def test_files_and_keys_that_are_not_what_they_must_be_are_refused(desk: Desk) -> None:
    decree = desk.planned()
    junk = desk.folder / "junk"
    junk.write_bytes(b"junk")
    assert desk.run("show", junk).exit_code == 1
    assert desk.run("show", desk.folder / "nowhere").exit_code == 7
    assert desk.plan(junk, out="x").exit_code == 1
    assert desk.plan(desk.folder / "nbkr.report", "--admit", junk, out="x").exit_code == 7
    twice = desk.plan(desk.folder / "nbkr.report", desk.folder / "nbkr.report", out="x")
    assert twice.exit_code == 1
    assert "two reports of one validator" in twice.stderr
    stranger = desk.folder / "keys" / "stranger.json"
    desk.key(BOARD[0])
    write_key(stranger, bytes(SecretKey(b"s" * 32).public), "operator", "*", None)
    wrong = desk.sign(decree, "x", *desk.by_bank(decree)[:2], "--key", stranger)
    assert wrong.exit_code == 1
    assert "not the central bank's" in wrong.stderr
    assert desk.sign(decree, "x").exit_code == 2, "as whom?"
    assert (
        desk.run(
            "plan",
            "--home",
            desk.home("nbkr"),
            "--from",
            "0011000000010057",
            "--reason",
            "r",
            "--out",
            desk.folder / "x",
            desk.folder / "nbkr.report",
            desk.folder / "bank-1.report",
        ).exit_code
        == 1
    )
    assert not (desk.folder / "x").exists()


async def test_a_validator_signs_no_decree_that_leaves_out_what_it_has(tmp_path: Path) -> None:
    """Planned on an old copy of a home, or with the reports of others alone: whoever knows of more refuses."""
    lab = make_lab(tmp_path / "homes", epoch_length=10)
    await lab.start(*lab.names)
    await lab.linked()
    await lab.fund()
    await lab.stop(*lab.names)
    old = tmp_path / "old"
    shutil.copytree(lab.directory / "bank-1" / "data", old)
    await lab.start(*lab.names)
    await lab.linked()
    await lab.fund()
    await lab.stop(*lab.names)
    lose(lab, *lab.names[2:])
    folder = tmp_path / "desk"
    folder.mkdir()
    desk = Desk(lab, folder)
    ahead = desk.report("nbkr")
    shutil.rmtree(desk.home("bank-1") / "data")
    old.rename(desk.home("bank-1") / "data")
    behind = desk.report("bank-1")
    fixed = ("--home", desk.home("bank-1"), "--from", BANK, "--reason", "r", "--admit", desk.seat("fresh-1"))
    assert desk.run("plan", *fixed, "--out", folder / "low", "--may-lose", behind).exit_code == 0
    for more in ((), ("--may-lose",)):
        refused = desk.sign(folder / "low", "x", "--home", desk.home("nbkr"), *more)
        assert refused.exit_code == 1
        assert "above the decree's base" in refused.stderr or "drops it" in refused.stderr
    # Its home is older than its guard: it closes, and does not make the others certain.
    both = desk.run("plan", *fixed, "--out", folder / "both", ahead, behind)
    assert both.exit_code == 1
    assert "acknowledged payments may be lost" in both.stderr
    assert "two chains" not in both.stderr


async def test_an_observer_without_a_key_to_vote_with_reports_what_it_has_and_applies_a_decree(desk: Desk) -> None:
    """It weighs nothing, and may be the only one who has what the lost had."""
    home = desk.home("nbkr")
    watcher = desk.home("watcher")
    shutil.copytree(home, watcher, ignore=shutil.ignore_patterns("*.sock"))
    for name in ("consensus.json", "guard", "guard.lock"):
        (watcher / "keys" / name).unlink()
    config = read_config(watcher)
    (watcher / "config.toml").write_text(format_config(msgspec.structs.replace(config, observer=True)))
    out = desk.folder / "watcher.report"
    assert desk.run("report", "--home", watcher, "--out", out).exit_code == 0
    alone = desk.plan(out)
    assert alone.exit_code == 1
    assert "two chains" in alone.stderr
    assert desk.plan(desk.report("nbkr"), desk.report("bank-1"), out).exit_code == 0
    decree = desk.folder / "decree"
    signed = desk.sign(decree, "1", "--home", watcher)
    assert signed.exit_code == 7, "it has nothing to sign with"
    assert desk.sign(decree, "1", *desk.by_bank(decree, *BOARD)).exit_code == 0
    assert desk.sign(desk.folder / "1", "2", "--home", home).exit_code == 0
    assert desk.sign(desk.folder / "2", "3", "--home", desk.home("bank-1")).exit_code == 0
    assert shown(desk.run("apply", desk.folder / "3", "--home", watcher, "--json"))["applied"] is True


async def test_a_key_that_a_signer_process_has_reports_and_signs_from_the_signers_home(desk: Desk) -> None:
    home, apart = desk.home("nbkr"), desk.folder / "signer"
    desk.by_bank(Path())  # writes the genesis
    adopted = CliRunner().invoke(
        main,
        ["signer", "init", "--home", str(apart), "--genesis", str(desk.folder / "genesis.json"), "--adopt", str(home)],
        catch_exceptions=False,
    )
    assert adopted.exit_code == 0, adopted.output
    public = keys_of("nbkr").consensus_key.hex()
    config = msgspec.structs.replace(read_config(home), signer=Signer("signer.sock", public))
    (home / "config.toml").write_text(format_config(config))
    out = desk.folder / "nbkr.report"
    elsewhere = desk.run("report", "--home", home, "--out", out, typed=public[:8])
    assert elsewhere.exit_code == 7
    assert "its key is with the signer" in elsewhere.stderr
    done = desk.run("report", "--home", home, "--signer-home", apart, "--out", out, typed=public[:8])
    assert done.exit_code == 0, done.output
    assert desk.plan(out, desk.report("bank-1")).exit_code == 0
    assert desk.sign(desk.folder / "decree", "1", "--home", home, "--signer-home", apart).exit_code == 0


async def test_two_validators_with_one_key_make_no_decree(desk: Desk) -> None:
    twin = desk.seat("fresh-1")
    value = json.loads(twin.read_text()) | {"consensus_key": keys_of("bank-1").consensus_key.hex(), "name": "twin"}
    (desk.folder / "twin.json").write_text(json.dumps(value))
    result = desk.plan(desk.report("nbkr"), desk.report("bank-1"), "--admit", desk.folder / "twin.json")
    assert result.exit_code == 1
    assert "twice" in result.stderr
    assert not (desk.folder / "decree").exists()
