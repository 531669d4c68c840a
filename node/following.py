"""The way up to a decree's base, for a node that is in the term before.

One rule: the base's hash makes all blocks below it final, so nobody's votes are waited for and nobody's are counted
beside it. When the base is stored this life of the node ends, and the next one begins the term. R65
"""

from collections.abc import Callable
from typing import Protocol

import structlog

from consensus.core import Core
from consensus.messages import Block, Hash
from network.wire import PeerId
from node.batches import BatchPool, decode_payload
from node.decree import Decree, DecreeConflict, TermBegins
from node.epochs import Epochs
from node.executor import Executor
from node.members import Members
from node.storage.store import Store
from node.sync_descent import DESCENT_BLOCKS_MAX

log = structlog.get_logger("emergency")


class Sync(Protocol):
    """What this room asks of who fetches."""

    def fetch_block(self, block_hash: Hash, holders: tuple[PeerId, ...]) -> None:
        """Ask for a block."""

    def committed(self) -> None:
        """Hear that the final height rose."""


class Following:
    """What is known of the blocks between our tip and the base."""

    def __init__(
        self,
        epochs: Epochs,
        store: Store,
        pool: BatchPool,
        executor: Executor,
        sync: Callable[[], Sync],
        retry_ms: int,
    ) -> None:
        self._epochs = epochs
        self._store = store
        self._pool = pool
        self._executor = executor
        self._sync = sync
        self._retry_ms = retry_ms
        self._down: list[Block] = []  # from the base down, as far as they are here
        self._asked: Hash | None = None
        self._asked_ms = 0
        self._reached = False  # the base is final here, and perhaps not stored yet

    def decree(self, epoch: int) -> Decree | None:
        """Return the decree that ends the term of an epoch: nobody votes in that term any more. R64"""
        signed = self._epochs.decree_after(epoch)
        return None if signed is None else signed.decree

    def place(self, members: Members, peer: PeerId, key: bytes) -> int | None:
        """Return our place in a committee, None in one of a term that is over. R64"""
        return members.place(peer, key) if self.decree(members.epoch) is None else None

    def ends(self, boundary: Block) -> bool:
        """Return whether no epoch of the same term follows this last block of an epoch: it is the base."""
        decree = self.decree(boundary.header.epoch)
        return decree is not None and decree.base_height == boundary.header.height

    def require_within(self, block: Block) -> None:
        """Raise DecreeConflict if a final block is one that the decree leaves out."""
        decree, header = self.decree(block.header.epoch), block.header
        if decree is not None and header.height >= decree.base_height and block.hash != decree.base_hash:
            raise DecreeConflict(f"block {header.height} is final, and the decree of term {decree.term} drops it")

    def take(self, block: Block, core: Core) -> None:
        """Keep a fetched block if it is the next one on the way down."""
        decree = self.decree(core.epoch)
        if decree is not None and block.hash == self._missing(decree, core):
            self._down.append(block)

    def step(self, core: Core, now_ms: int) -> None:
        """Take what lies between our tip and the base for final, once it is all here. Raises as ``way``."""
        blocks = self.way(core, now_ms)
        if blocks:
            for block in blocks:
                self._pool.finalized(decode_payload(block.payload), block.header.height)
            self._executor.finalized(blocks, None)
            self._sync().committed()
            log.warning("decree_followed", base=blocks[-1].header.height, blocks=len(blocks))

    def way(self, core: Core, now_ms: int) -> list[Block]:
        """Return the blocks from the committed tip up to the base, once, when all are here; else nothing.

        The next one that lacks is asked for at once, and again after a while: so many as one certificate may finalize.
        Raises TermBegins when the base is stored, DecreeConflict if it is not above what is final here.
        """
        decree = self.decree(core.epoch)
        if decree is None:
            return []
        tip, committed = self._store.tip, core.committed.header
        if tip.height >= decree.base_height:
            if tip.block_hash != decree.base_hash:
                raise DecreeConflict(f"block {tip.height} is final, and the decree of term {decree.term} drops it")
            raise TermBegins(f"term {decree.term} begins above height {decree.base_height}")
        if self._reached or committed.height >= decree.base_height:
            return []
        path = self._path(decree, core, now_ms)
        if path and path[0].header.parent_hash != core.committed.hash:
            raise DecreeConflict(f"the base of term {decree.term} is not above block {committed.height}, final here")
        self._reached = bool(path)
        return path

    def _path(self, decree: Decree, core: Core, now_ms: int) -> list[Block]:
        low = core.committed.header.height
        if decree.base_height - low > DESCENT_BLOCKS_MAX:
            return []
        name = self._missing(decree, core)
        if name is None:
            return [block for block in reversed(self._down) if block.header.height > low]
        if name != self._asked or now_ms - self._asked_ms >= self._retry_ms:
            self._asked, self._asked_ms = name, now_ms
            self._sync().fetch_block(name, ())
        return []

    def _missing(self, decree: Decree, core: Core) -> Hash | None:
        """Return the hash of the first block on the way down from the base that is not here; None if all are."""
        while not self._down or self._down[-1].header.height > core.committed.header.height + 1:
            name = self._down[-1].header.parent_hash if self._down else decree.base_hash
            block = core.block(name)
            if block is None:
                return name
            self._down.append(block)
        return None
