"""Snapshots of a chain of one validator: made as a node makes them, and what peers say who have them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from network.wire import PeerId
from node.epochs import Epochs
from node.snapshot_fetch import Fetch, SnapshotReady
from node.snapshot_maker import making
from node.snapshot_proof import PROOF, make_proof
from node.snapshots import Snapshots
from node.storage.founding import install
from node.storage.snapshot_files import Fetched, Shelf
from node.storage.store import Store
from tests.node_parts import Wire
from tests.solo_chain import SoloChain

PEERS = tuple(PeerId(bytes([fill]) * 32) for fill in (1, 2, 3))


async def made(chain: SoloChain, shelf: Shelf) -> int:
    """Make a snapshot of the tip, and the blocks that prove it; return its height."""
    height = chain.store.tip.height
    with chain.store.snapshot() as moment:
        draft = shelf.begin(height)
        for _ in making(moment, chain.genesis.hash, chain.genesis.tree_depth, draft):
            pass
    for _ in range(3):
        await chain.add_block(())
    proof = make_proof(chain.store, Epochs(chain.genesis, chain.store), height)
    assert proof is not None
    draft.put(PROOF, proof)
    draft.publish()
    return height


class Joiner:
    """A node at height 0 that fetches; ``wire`` answers for its peers."""

    def __init__(self, chain: SoloChain, folder: Path, shelves: Sequence[Shelf], claims: Sequence[int] = (40,)) -> None:
        self.chain = chain
        self.folder = folder
        self.wire = Wire(PEERS[: len(shelves)])
        for peer, shelf in zip(PEERS, shelves, strict=False):
            self.wire.answers[peer] = Snapshots(shelf).serve
        self.height = 0
        self.path = folder / "store"
        self.fetch = Fetch(
            chain.genesis,
            self.path,
            Fetched(folder / "snapshot.fetch"),
            self.wire,
            lambda: self.height,
            lambda: list(claims),
            2,
        )

    def opened(self) -> Store:
        """Put the founded store in place and open it."""
        assert install(self.path)
        return Store.open(self.path, self.chain.genesis.hash)


async def joins(joiner: Joiner) -> None:
    """Let it fetch until a store waits."""
    async with asyncio.timeout(60):
        with pytest.raises(SnapshotReady):
            await joiner.fetch.run()
