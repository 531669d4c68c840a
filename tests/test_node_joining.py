"""Real networks: who comes late begins at a snapshot, and has the roots that the others have."""

from pathlib import Path

import msgspec
import pytest

import node.snapshot_fetch
from devnet.generate import bank_account
from node.client.trust import Trust
from node.config import Snapshot, format_config
from node.home import create_data, read_config
from node.snapshot_fetch import SnapshotReady
from tests.node_lab import Lab, network


def settings(lab: Lab, name: str, **changes: object) -> None:
    """Change a node's own settings, while it does not run."""
    home = lab.directory / name
    config = msgspec.structs.replace(read_config(home), **changes)
    (home / "config.toml").write_text(format_config(config))


def renewed(lab: Lab, name: str, by_blocks: bool = False) -> None:
    """Take a node's chain away: what `som resync` leaves."""
    home = lab.directory / name
    (home / "data").rename(home / "data.1")
    create_data(home, read_config(home), lab.genesis, by_blocks)


async def restarted(lab: Lab, name: str) -> None:
    """Start a node that takes a snapshot, and start it again with it, as node.main does."""
    await lab.start(name)
    error = await lab.gone(name)
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(SnapshotReady) is not None
    assert error.split(SnapshotReady)[1] is None
    await lab.start(name)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.snapshot_fetch, "LISTEN_SECONDS", 0.3)


async def test_a_validator_that_lost_its_data_begins_at_a_snapshot_and_votes_again(tmp_path: Path) -> None:
    async with network(tmp_path, epoch_length=10) as lab:
        for name in lab.names:
            await lab.stop(name)
            settings(lab, name, snapshot=Snapshot(every=8, keep=2, fetch_behind=12))
            await lab.start(name)
        await lab.linked()
        await lab.fund()
        late = lab.names[3]
        await lab.stop(late)
        renewed(lab, late)
        others = [lab.nodes[name] for name in lab.names[:3]]
        await lab.accept(lab.names[0], *(lab.pension() for _ in range(20)))
        await lab.until(lambda: all(node.snapshots.heights()[-1:] >= [32] for node in others), "snapshots")
        await restarted(lab, late)
        joined = lab.nodes[late]
        base = joined.store.base()
        assert base >= 16
        assert base % 8 == 0
        await lab.linked()
        pension = lab.pension()
        await lab.accept(lab.names[0], pension)
        await lab.settled(pension)
        height = min(lab.nodes[name].store.tip.height for name in lab.names)
        assert {lab.nodes[name].store.roots(height).root for name in lab.names} == {joined.store.roots(height).root}  # type: ignore[union-attr]
        assert len({lab.balance(name, bank_account(1)) for name in lab.names}) == 1
        # With another one away there is no quorum without it.
        await lab.stop(lab.names[0])
        await lab.height(joined.store.tip.height + 3)
        # What it has is enough to start again, and to follow the committees from genesis.
        await lab.stop(late)
        await lab.start(late)
        await lab.height(joined.store.tip.height + 2)
        trust = Trust.of(lab.genesis)
        assert trust.epoch == 0


async def test_who_is_to_have_all_blocks_takes_no_snapshot(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        for name in lab.names:
            await lab.stop(name)
            settings(lab, name, snapshot=Snapshot(every=8, keep=2, fetch_behind=12))
            await lab.start(name)
        await lab.fund()
        late = lab.names[3]
        await lab.stop(late)
        renewed(lab, late, by_blocks=True)
        others = [lab.nodes[name] for name in lab.names[:3]]
        await lab.until(lambda: all(node.snapshots.heights()[-1:] >= [16] for node in others), "snapshots")
        await lab.start(late)
        await lab.height(24, late)
        assert lab.nodes[late].store.base() == 0
        assert lab.nodes[late].store.block(1) is not None
        lab.same_chain()
