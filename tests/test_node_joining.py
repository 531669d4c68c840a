"""Real networks: who comes late begins at a snapshot, and has the roots that the others have."""

from pathlib import Path

import msgspec
import pytest

import node.snapshot_fetch
from consensus.encoding import as_tuple, decode, encode
from devnet.generate import bank_account
from network.wire import PeerId
from node.client.errors import ProofInvalid
from node.config import Snapshot
from node.config_text import format_config
from node.epochs import Boundary, Epochs
from node.home import create_data, read_config
from node.node import Node
from node.pruning import Pruner
from node.snapshot_fetch import Chosen, Shown, SnapshotReady, found_store
from node.snapshot_proof import CONTENTS, FIRST, PROOF, decode_contents, verify_proof
from node.storage.founding import install
from node.storage.snapshot_files import FILE_BYTES_MAX, Fetched, Shelf
from node.storage.store import Store
from tests.committee_lab import committees, listed
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


def metric(node: Node, name: str) -> float:
    """Return what a node tells Prometheus under a name."""
    (line,) = [line for line in node.metrics.render().decode().splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


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
        assert [metric(node, "som_snapshot_sent_bytes_total") for node in others] == [0] * 3
        for node in others:
            heights, sizes = node.snapshots.heights(), node.snapshots.sizes()
            assert metric(node, "som_snapshot_height") == heights[-1]
            assert metric(node, "som_snapshots_made_total") >= len(heights) == 2
            assert metric(node, "som_snapshot_bytes") == sizes[heights[-1]] > 1_000
            assert metric(node, "som_snapshots_bytes") == sum(sizes.values()) > sizes[heights[-1]]
            assert metric(node, "som_snapshot_seconds") > 0
        await restarted(lab, late)
        assert sum(metric(node, "som_snapshot_sent_bytes_total") for node in others) > 1_000
        joined = lab.nodes[late]
        base = joined.store.base()
        assert metric(joined, "som_pruned_height") == base
        assert (metric(joined, "som_snapshot_height"), metric(joined, "som_snapshot_every")) == (0, 8)
        assert base >= 16
        assert base % 8 == 0
        await lab.linked()
        pension = lab.pension()
        await lab.accept(lab.names[0], pension)
        await lab.settled(pension)
        height = min(lab.nodes[name].store.tip.height for name in lab.names)
        assert {lab.nodes[name].store.roots(height).root for name in lab.names} == {joined.store.roots(height).root}  # type: ignore[union-attr]
        assert len({lab.balance(name, bank_account(1)) for name in lab.names}) == 1
        # Once its fence has fallen it votes: with another one away there is no quorum without it.
        await lab.until(lambda: not joined.driver.voting.fenced, "the fence falls")
        await lab.stop(lab.names[0])
        await lab.height(joined.store.tip.height + 3)
        # What it has is enough to start again.
        await lab.stop(late)
        await lab.start(late)
        await lab.height(lab.nodes[late].store.tip.height + 2)


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


async def test_committees_are_followed_from_genesis_whatever_a_snapshot_or_pruning_has_left(tmp_path: Path) -> None:
    async with committees(tmp_path, epoch_length=8) as change:
        lab = change.lab
        for weight in (2, 3):
            await change.order(*(listed(name, weight=weight) for name in sorted(lab.names)))
            await change.next_epoch()
            await change.next_epoch()
        server = lab.nodes["nbkr"]
        server.maker.every = 1
        await lab.until(server.snapshots.heights, "a snapshot")
        server.maker.every = 0
        await lab.until(lambda: server.maker.making is None)
        height = server.snapshots.heights()[-1]
    shelf = Shelf(tmp_path / "nbkr" / "data" / "snapshots")
    contents = decode_contents(shelf.read(height, CONTENTS, 0, FILE_BYTES_MAX) or b"")
    proof = shelf.read(height, PROOF, 0, FILE_BYTES_MAX) or b""
    proven = verify_proof(lab.genesis, contents, proof)
    assert [len(row) for _, row in proven.rosters] == [len(proven.rosters[0][1])] * 3
    for left_out in range(len(proven.trail) - 2):
        fields = list(as_tuple(decode(proof)))
        trail = list(as_tuple(fields[5]))
        del trail[left_out]
        with pytest.raises(ProofInvalid):
            verify_proof(lab.genesis, contents, encode((*fields[:5], trail, *fields[6:])))
    fetched = Fetched(tmp_path / "fetched")
    for number in range(len(contents.files)):
        fetched.put(shelf.read(height, FIRST + number, 0, FILE_BYTES_MAX) or b"")
    chosen = Chosen(Shown(height, b"", 0, 0), contents, proven, (), PeerId(bytes(32)))
    found_store(lab.genesis, tmp_path / "joined" / "store", chosen, fetched)
    assert install(tmp_path / "joined" / "store")
    whole = Store.open(tmp_path / "nbkr" / "data" / "store", lab.genesis.hash)
    joined = Store.open(tmp_path / "joined" / "store", lab.genesis.hash)
    last = height // lab.genesis.epoch_length
    known, changes = _committees(lab, whole, last), _changes(lab, whole, height)
    assert len(set(known)) == len(changes) + 1 == 3
    assert _committees(lab, joined, last) == known
    assert _changes(lab, joined, height) == changes
    epochs = Epochs(lab.genesis, whole)
    pruner = Pruner(whole, epochs, lab.genesis.hash, 2, 0, lambda: None, window_ms=0, blocks_min=2, step=1)
    await pruner.prune(whole.tip.height - 2)
    assert whole.block(1) is None
    assert _committees(lab, whole, last) == known
    assert _changes(lab, whole, height) == changes
    joined.close()
    whole.close()


def _committees(lab: Lab, store: Store, last: int) -> list[bytes]:
    """Return the hash of each epoch's committee, asked for in no order that a cache would like."""
    found = {}
    for epoch in (*range(last, -1, -2), *range(last - 1, -1, -2)):
        members = Epochs(lab.genesis, store).members(epoch)
        assert members is not None
        found[epoch] = members.committee.hash
    return [found[epoch] for epoch in range(last + 1)]


def _changes(lab: Lab, store: Store, height: int) -> list[tuple[int, bytes]]:
    """Return the changes as clients follow them, the last block of the epoch before each."""
    changes = [change for change in Epochs(lab.genesis, store).changes(0) if isinstance(change, Boundary)]
    return [
        (change.block.header.height, change.members.committee.hash)
        for change in changes
        if change.block.header.height <= height
    ]
