"""The drill of docs/operations.md: lost and old data, a lost guard; roots agree and nothing is signed twice."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli import main as som
from node.storage.errors import GuardError
from tests.node_lab import Lab, network


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
        assert CliRunner().invoke(som, ["resync", "--home", str(home)]).exit_code == 7
        assert not (home / "keys" / "guard").exists()
        await goes_on(lab)
