"""Who comes back listens before it speaks: the fence, two copies of one home, and a signer that goes and comes."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from consensus.messages import NO_HASH, Hash, Kind, Vote, vote_statement
from devnet.generate import key_of
from devnet.processes import free_ports
from node.cli import main
from node.config import Signer
from node.config_text import format_config
from node.fence import FINALIZATIONS, NEAR_HEIGHTS, STALL_MS, Fence, Wall
from node.home import create_data, read_config
from node.storage.decrees import keep_decree
from node.storage.guard import Guard
from node.storage.suspension import Foreign, Suspension
from node.terms import first_epoch
from tests.decree_lab import certified, decreed, header
from tests.node_lab import Lab, make_lab, network
from tests.signer_lab import GENESIS, KEY, SignerProcess, make_signer, private

# --- the fence itself ---


def listening(*heights: tuple[int, int], ours: int = 10, faulty_max: int = 1) -> Fence:
    fence = Fence(alone=False)
    fence.heard(heights, faulty_max, ours, (0, 10), 0)
    return fence


@pytest.mark.parametrize(
    ("heights", "wall"),
    [
        ((), Wall.LISTENING),
        (((10, 1),), Wall.LISTENING),  # as much weight as may lie
        (((10, 1), (10, 1)), Wall.DOWN),
        (((10 + NEAR_HEIGHTS, 1), (99, 1)), Wall.DOWN),  # one liar is not believed
        (((11 + NEAR_HEIGHTS, 1), (99, 1)), Wall.AWAY),
        (((99, 2),), Wall.AWAY),
        (((3, 1), (4, 1)), Wall.DOWN),
    ],
)
def test_a_start_waits_for_the_word_of_more_than_can_lie(heights: tuple[tuple[int, int], ...], wall: Wall) -> None:
    assert listening(*heights).wall is wall


def test_who_validates_alone_waits_for_nobody() -> None:
    assert not Fence(alone=True).up


def test_it_falls_after_so_many_finalizations_above_what_is_known_and_no_earlier() -> None:
    fence = Fence(alone=False)
    fence.forgot((2, 7))
    for view in (5, 6, 7):
        fence.finalized((2, view), 0)
    fence.finalized((1, 99), 0)
    walls = []
    for at in [*((2, view) for view in range(8, 8 + FINALIZATIONS - 1)), (3, 1)]:
        fence.finalized(at, 0)
        fence.finalized(at, 0)  # the same again
        walls.append(fence.wall)
    assert walls == [Wall.FORGOT] * (FINALIZATIONS - 1) + [Wall.DOWN]


def test_who_was_only_away_gives_way_when_nothing_moves_and_who_forgot_does_not() -> None:
    fence = listening((99, 2))
    fence.finalized((0, 50), 1_000)
    fence.stalled(1_000 + STALL_MS)
    walls = [fence.wall]
    fence.stalled(1_001 + STALL_MS)
    walls.append(fence.wall)
    assert walls == [Wall.AWAY, Wall.DOWN]
    fence.forgot((0, 99))
    fence.stalled(10**9)
    assert fence.wall is Wall.FORGOT


def test_what_others_say_does_not_let_down_who_forgot() -> None:
    fence = Fence(alone=False)
    fence.forgot((0, 99))
    fence.heard(((10, 3),), 1, 10, (0, 10), 0)
    assert fence.wall is Wall.FORGOT


# --- whole validators ---


def reasons(lab: Lab, name: str) -> tuple[str, ...]:
    return lab.nodes[name].service.status().reasons


def nobody_is_accused(lab: Lab) -> None:
    for name in lab.running:
        assert not any(lab.nodes[name].evidence.counts().values()), name


def metric(lab: Lab, name: str, metric: str) -> float:
    lines = lab.nodes[name].metrics.render().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(metric + " "))


async def test_who_lost_its_data_is_fenced_until_the_chain_has_gone_on_without_its_key(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        name = lab.names[3]
        await lab.height(6)
        await lab.stop(name)
        home = lab.directory / name
        shutil.rmtree(home / "data")
        create_data(home, read_config(home), lab.genesis)
        await lab.start(name)
        node = lab.nodes[name]
        signed = node.opened.signer.memory
        assert signed is not None
        await lab.until(lambda: node.driver.voting.fence.wall is Wall.FORGOT, "fenced")
        assert "fenced" in reasons(lab, name)
        assert metric(lab, name, "som_fenced") == 1
        await lab.until(lambda: not node.driver.voting.fenced, "the fence falls")
        newest = node.driver.voting.known
        memory = node.opened.signer.memory
        assert memory is not None
        assert newest > signed.newest
        await votes_after(lab, name, memory.newest)
        assert node.driver.voting.votes.foreign == 0
        nobody_is_accused(lab)


async def test_of_two_copies_of_one_home_the_late_one_falls_silent_and_nobody_signs_twice(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        name, copy = lab.names[3], "copy"
        await lab.height(3)
        await lab.stop(name)
        shutil.copytree(lab.directory / name, lab.directory / copy, ignore=shutil.ignore_patterns("*.sock"))
        config = read_config(lab.directory / copy)
        (port,) = free_ports(1)
        listen = msgspec.structs.replace(config.listen, port=port)
        (lab.directory / copy / "config.toml").write_text(format_config(msgspec.structs.replace(config, listen=listen)))
        await lab.start(name)
        await lab.until(lambda: not lab.nodes[name].driver.voting.fenced, "the first one votes")
        height = lab.nodes[name].store.tip.height
        await lab.height(height + 12, name)
        await lab.start(copy)
        twin = lab.nodes[copy]
        before = twin.opened.signer.memory
        assert before is not None
        others = lab.names[:3]
        await lab.height(lab.nodes[others[0]].store.tip.height + 12, *others)
        after = twin.opened.signer.memory
        assert after is not None
        assert after.suspended or twin.driver.voting.fence.up
        assert after.newest == before.newest, "the copy has signed nothing"
        nobody_is_accused(lab)


async def test_a_vote_of_ours_that_we_did_not_make_silences_us_for_good(tmp_path: Path) -> None:
    """Somebody else has the key: it signs in a view to come, and the others count it."""
    async with network(tmp_path) as lab:
        name = lab.names[3]
        node = lab.nodes[name]
        await lab.height(2)
        core, key = node.driver.core, key_of(f"{name}-consensus")
        statement = vote_statement(lab.genesis.hash, Kind.NOTARIZE, core.epoch, core.view + 40, b"f" * 32)
        foreign = Vote(Kind.NOTARIZE, core.epoch, core.view + 40, Hash(b"f" * 32), 0, key.sign(statement))
        node.driver.voting.accused((foreign,))
        assert node.driver.voting.votes.foreign == 1
        assert "the signer is suspended" in reasons(lab, name)
        assert metric(lab, name, "som_signer_suspended") == 1
        newest = node.opened.signer.memory
        await lab.height(node.store.tip.height + 4)
        assert node.opened.signer.memory == newest, "it follows, and signs nothing"
        await lab.stop(name)
        await lab.start(name)
        await lab.until(lambda: "the signer is suspended" in reasons(lab, name), "after a restart as well")
        nobody_is_accused(lab)


def som(*arguments: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=typed, catch_exceptions=False)


def moved_out(lab: Lab, name: str, directory: Path) -> tuple[Path, Path]:
    """Give a validator that stands still a signer process; return the signer's home and its socket."""
    home, signer, path = lab.directory / name, directory / "signer", private(directory / "run") / "socket"
    done = som("signer", "init", "--home", signer, "--genesis", home / "genesis.json", "--adopt", home)
    assert done.exit_code == 0, done.output
    config = read_config(home)
    assert not (home / config.keys.consensus).exists()
    told = Signer(str(path), key_of(f"{name}-consensus").public.hex())
    (home / "config.toml").write_text(format_config(msgspec.structs.replace(config, signer=told)))
    return signer, path


@pytest.mark.processes
async def test_a_validator_follows_while_its_signer_is_away_and_votes_when_it_is_back(tmp_path: Path) -> None:
    async with network(tmp_path / "net") as lab:
        name, others = lab.names[3], lab.names[:3]
        await lab.stop(name)
        home, path = moved_out(lab, name, tmp_path)
        await lab.start(name)
        node = lab.nodes[name]
        await lab.height(lab.nodes[others[0]].store.tip.height + 2, name)
        assert "the signer is away" in reasons(lab, name)
        assert metric(lab, name, "som_signer_connected") == 0
        (turned_away,) = await lab.submit(name, lab.issue())
        assert turned_away.retry_after_ms is not None, "it could put nothing into a batch"
        process = SignerProcess(home, path)
        for _ in range(2):
            await lab.until(lambda: node.opened.signer.memory, "the signer is there")
            await lab.until(lambda: not node.driver.voting.fenced, "the fence falls")
            epoch, view = node.driver.voting.known
            await votes_after(lab, name, (epoch, view))
            process.kill()
            await lab.until(lambda: node.opened.signer.memory is None, "the signer has gone")
            await lab.height(node.store.tip.height + 2)
            process = SignerProcess(home, path)
        await lab.until(lambda: node.opened.signer.memory, "the signer is there")
        issue = lab.issue()
        await lab.accept(name, issue)
        await lab.settled(issue)  # in a batch that the signer process signed
        process.stop()
        nobody_is_accused(lab)


async def votes_after(lab: Lab, name: str, at: tuple[int, int]) -> None:
    """Wait until a validator has signed and sent a vote of a later view."""
    own = lab.nodes[name].driver.voting._own
    await lab.until(lambda: any((epoch, view) > at for _, epoch, view in own), "its votes count")


# --- by hand ---


def test_a_lost_guard_is_based_anew_only_confirmed_and_in_a_later_epoch(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, epoch_length=100)
    name = lab.names[1]
    home, key = lab.directory / name, key_of(f"{name}-consensus").public
    guard = home / "keys" / "guard"
    guard.unlink()
    words = som("signer", "rebase", "--home", home, "--height", "250", typed="yes\n")
    assert (words.exit_code, guard.exists()) == (2, False)
    assert som("signer", "rebase", "--home", home, typed=key.hex()[:8]).exit_code == 2, "where to?"
    done = som("signer", "rebase", "--home", home, "--height", "250", "--json", typed=f"{key.hex()[:8]}\n")
    assert done.exit_code == 0, done.output
    opened = Guard.open(guard, key, lab.genesis.hash)
    assert (opened.watermark, opened.newest, opened.based) == ((3, 0), (3, 0), True)
    statement = vote_statement(lab.genesis.hash, Kind.NULLIFY, 3, 1, NO_HASH)
    opened.sign(key_of(f"{name}-consensus"), Kind.NULLIFY, 3, 1, statement)
    assert not opened.based
    busy = som("signer", "rebase", "--home", home, "--epoch", "9", typed=f"{key.hex()[:8]}\n")
    assert busy.exit_code == 7, "it is in use"
    opened.close()
    assert som("signer", "rebase", "--home", home, "--epoch", "2", typed=f"{key.hex()[:8]}\n").exit_code == 2


def test_a_lost_guard_is_based_anew_above_the_term_that_a_decree_began(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, epoch_length=100)
    name = lab.names[1]
    home, public = lab.directory / name, key_of(f"{name}-consensus").public
    asked = ("signer", "rebase", "--home", home, "--height", "250")
    guard = home / "keys" / "guard"

    def based(*words: str | Path) -> tuple[int, int]:
        guard.unlink(missing_ok=True)
        done = som(*words, "--json", typed=f"{public.hex()[:8]}\n")
        assert done.exit_code == 0, done.output
        first, view = json.loads(done.stdout)["watermark"]
        return first, view

    assert based(*asked) == (3, 0)
    keep_decree(home, 1, decreed(header(5), certified(header(5)), genesis_hash=lab.genesis.hash).encoded)
    assert based(*asked) == (first_epoch(1) + 3, 0)
    assert based(*asked, "--term", "2") == (first_epoch(2) + 3, 0), "it may not have followed the last one"
    guard.unlink()
    for wrong in (("--term", "0"), ("--epoch", "9")):
        assert som(*asked, *wrong, typed=public.hex()[:8]).exit_code == 2
    assert som("signer", "rebase", "--home", home, "--epoch", "9", "--term", "1").exit_code == 2
    assert not guard.exists()


def test_a_signers_home_knows_no_decree_and_is_told_the_term(tmp_path: Path) -> None:
    home = make_signer(tmp_path / "signer")
    digits = KEY.public.hex()[:8]
    asked = ("signer", "rebase", "--home", home, "--height", "250")
    refused = som(*asked, typed=digits)
    assert (refused.exit_code, "--term" in refused.stderr) == (2, True)
    for words, epoch in (((*asked, "--term", "0"), 250 // GENESIS.epoch_length + 1), ((*asked, "--term", "1"), None)):
        done = som(*words, "--json", typed=f"{digits}\n")
        assert done.exit_code == 0, done.output
        expected = epoch or first_epoch(1) + 250 // GENESIS.epoch_length + 1
        assert json.loads(done.stdout)["watermark"] == [expected, 0]


def test_a_suspended_key_is_released_only_confirmed_and_into_a_later_epoch(tmp_path: Path) -> None:
    lab = make_lab(tmp_path)
    name = lab.names[1]
    home, key = lab.directory / name, key_of(f"{name}-consensus").public
    guard = home / "keys" / "guard"
    assert som("signer", "release", "--home", home, typed=f"{key.hex()[:8]}\n").exit_code == 2, "it is not suspended"
    Suspension(guard).begin(Foreign(0, 4, 9, "ab" * 32, "cd" * 64))
    assert "4" in som("signer", "status", "--home", home, "--json").stdout
    for typed, more in (("no", ()), (key.hex()[:8], ("--epoch", "4"))):
        assert som("signer", "release", "--home", home, *more, typed=f"{typed}\n").exit_code == 2
        assert Suspension(guard).foreign is not None
    done = som("signer", "release", "--home", home, "--json", typed=f"{key.hex()[:8]}\n")
    assert done.exit_code == 0, done.output
    assert Suspension(guard).foreign is None
    opened = Guard.open(guard, key, lab.genesis.hash)
    assert opened.watermark == (5, 0)
    opened.close()
