"""The drill of docs/operations.md: lost and old data, a lost guard; roots agree and nothing is signed twice."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli import main as som
from node.fence import Wall
from node.storage.errors import GuardError
from tests.emergency_lab import Lives, applied, planned, report_of, seat, signed_by, signed_by_bank
from tests.node_lab import Lab, make_lab, network


async def goes_on(lab: Lab) -> None:
    """Pay, see that all have it with one root, and that nobody was refused a signature or is accused."""
    pension = lab.pension()
    await lab.accept(lab.names[0], pension)
    await lab.settled(pension)
    height = min(lab.nodes[name].store.tip.height for name in lab.running)
    roots = {lab.nodes[name].store.roots(height).root for name in lab.running}  # type: ignore[union-attr]
    assert len(roots) == 1
    for name in lab.running:
        assert lab.nodes[name].store.evidence() == ()


async def test_the_drill(tmp_path: Path) -> None:
    async with network(tmp_path, epoch_length=8) as lab:
        await lab.fund()
        subject = lab.names[3]
        home, copy = tmp_path / subject, tmp_path / "copy"
        # A copy of a stopped node's data, which is then old.
        await lab.stop(subject)
        shutil.copytree(home / "data", copy)
        await lab.start(subject)
        await goes_on(lab)
        await lab.height(lab.nodes[subject].store.tip.height + 10)
        # The old copy in its place: the guard, which was not copied, remembers.
        await lab.stop(subject)
        shutil.rmtree(home / "data")
        shutil.copytree(copy, home / "data")
        await lab.start(subject)
        await goes_on(lab)
        # No data at all.
        await lab.stop(subject)
        shutil.rmtree(home / "data")
        assert CliRunner().invoke(som, ["resync", "--home", str(home)]).exit_code == 0
        await lab.start(subject)
        await goes_on(lab)
        assert lab.nodes[subject].store.base() == 0
        lab.same_chain()
        # It votes again once its fence has fallen: without another one there is no quorum without it.
        await lab.until(lambda: not lab.nodes[subject].driver.voting.fenced, "the fence falls")
        await lab.stop(lab.names[0])
        await lab.height(lab.nodes[subject].store.tip.height + 2)
        await lab.start(lab.names[0])
        # The guard: no start, whatever else is there, and no other one is made.
        await lab.stop(subject)
        (home / "keys" / "guard").unlink()
        with pytest.raises(GuardError):
            await lab.start(subject)
        genesis = str(home / "genesis.json")
        for command in (["resync"], ["init", "--name", subject, "--genesis", genesis]):
            assert CliRunner().invoke(som, [*command, "--home", str(home)]).exit_code == 7
        shutil.rmtree(home / "data")
        assert (
            CliRunner().invoke(som, ["init", "--name", subject, "--genesis", genesis, "--home", str(home)]).exit_code
            == 7
        )
        assert not (home / "keys" / "guard").exists()
        await goes_on(lab)


async def test_the_drill_of_data_that_is_lost_everywhere(tmp_path: Path) -> None:
    """Keys, guards and an archive in two parts are there: a decree of all that were brings the chain back."""
    lab = make_lab(tmp_path / "homes", epoch_length=8)
    lives = Lives(lab)
    try:
        await lab.start(*lab.names)
        await lab.linked()
        await lab.fund()
        await lab.height(19)
        await lab.stop(*lab.names)
        days = [tmp_path / f"{first:012}" for first in (1, 10)]
        for directory, last in zip(days, ("9", "17"), strict=True):
            command = ["archive", "export", "--home", str(lab.directory / lab.names[0]), "--out", str(directory)]
            shown = CliRunner().invoke(som, [*command, "--from", str(int(directory.name)), "--to", last, "--json"])
            assert shown.exit_code == 0, shown.output
            assert json.loads(shown.stdout)["last"] == int(last)
        for name in lab.names:
            shutil.rmtree(lab.directory / name / "data")
            for words in (["resync"], *(["archive", "import", str(directory)] for directory in days)):
                done = CliRunner().invoke(som, [*words, "--home", str(lab.directory / name)])
                assert done.exit_code == 0, done.output
        # Their guards know of votes that no disk has: they stay silent, all of them.
        await lab.start(*lab.names)
        assert all(lab.nodes[name].driver.voting.fence.wall is Wall.FORGOT for name in lab.names)
        await lab.stop(*lab.names)
        reports = [report_of(lab, name) for name in lab.names]
        assert [(report.tip_height, report.whole) for report in reports] == [(17, False)] * 4
        made = planned(lab, lab.names[0], reports, [seat(name) for name in lab.names])
        assert not made.certain, "it takes --may-lose"
        signed = signed_by_bank(made.signed)
        for name in lab.names:
            signed = signed_by(lab, name, signed, may_lose=True)
        for name in lab.names:
            assert applied(lab, name, signed)
        await lives.start(*lab.names)
        await lives.until(lambda: all(lab.nodes[name].store.tip.height > 24 for name in lab.names), "it goes on")
        await goes_on(lab)
        assert lab.same_chain() > 24
    finally:
        await lab.stop(*lab.running)
