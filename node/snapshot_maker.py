"""Making snapshots: the state of a height in files that other nodes fetch, while this one goes on voting.

One rule: whatever is slow is done in slices with pauses, by a thread that reads one moment of the store. A slice holds
the interpreter for less than a switch of threads would.
"""

import asyncio
import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import accumulate
from struct import Struct
from typing import Final

import structlog

from consensus.encoding import encode
from node.batches import BATCH_LIFE_HEIGHTS
from node.epochs import Epochs
from node.ledger.commitment import FAN, bucket_index
from node.ledger.genesis import Genesis
from node.ledger.snapshot import frontier, live_ids, live_refs, node_hashes, runs_of, sort_key
from node.ledger.state import TREE_HIGH, TREE_LOW
from node.slices import in_slices
from node.snapshot_proof import CONTENTS, FIRST, PROOF, Contents, File, Kind, encode_contents, make_proof, name_of
from node.storage.errors import Damaged
from node.storage.snapshot_files import Draft, Shelf
from node.storage.store import Snapshot, Store

FILE_BYTES: Final = 400_000  # of rows in a file: it goes in one answer
ROW_BYTES: Final = 8  # of a row's form
IDS_IN_FILE: Final = 10_000
REFS_IN_FILE: Final = 5_000
HEAP_BYTES: Final = 16 << 20  # of rows that wait in memory for their files
PROOF_TRIES: Final = 2_000  # blocks after the snapshot is made within which its root must be certified

_lengths = Struct(">HI")

log = structlog.get_logger("snapshot")


class Maker:
    """Makes a snapshot of each height that is a multiple of ``every``; 0 makes none."""

    def __init__(self, store: Store, epochs: Epochs, genesis: Genesis, shelf: Shelf, every: int, keep: int) -> None:
        """``keep`` snapshots are there for others, the newest."""
        self._store = store
        self._epochs = epochs
        self._genesis = genesis
        self._shelf = shelf
        self._keep = keep
        self._wanted: asyncio.Queue[tuple[int, ExitStack, Snapshot]] = asyncio.Queue(1)
        self._stored = asyncio.Event()
        self._stop = threading.Event()
        self.making: int | None = None  # the height of the one under way
        self.every = every
        self.made = 0  # by this process
        self.skipped = 0
        self.unproven = 0
        self.seconds = 0.0  # that the last one took

    def on_stored(self, height: int, behind: bool) -> None:
        """Hear of a stored block. Who is behind makes none: its disk has better things to do."""
        self._stored.set()
        if not self.every or height % self.every or behind or self.making is not None:
            return
        if not self._epochs.settled(height):
            self.skipped += 1
            log.info("snapshot_skipped", height=height, why="validators have just changed")
            return
        resources = ExitStack()
        moment = resources.enter_context(self._store.snapshot())
        self.making = height
        self._wanted.put_nowait((height, resources, moment))

    async def run(self) -> None:
        """Make what is wanted until cancelled."""
        try:
            while True:
                height, resources, moment = await self._wanted.get()
                try:
                    await self._make(height, resources, moment)
                finally:
                    self.making = None
        finally:
            self._stop.set()

    async def _make(self, height: int, resources: ExitStack, moment: Snapshot) -> None:
        began = time.monotonic()
        draft = self._shelf.begin(height)
        # A cancelled thread goes on to its next slice: it alone closes what it reads.
        made = await asyncio.to_thread(self._work, resources, moment, draft)
        if not made:
            return
        for _ in range(PROOF_TRIES):
            self._stored.clear()
            proof = make_proof(self._store, self._epochs, height)
            if proof is not None:
                await asyncio.to_thread(self._publish, draft, proof)
                self.made, self.seconds = self.made + 1, time.monotonic() - began
                log.info("snapshot_made", height=height, seconds=round(self.seconds, 1))
                return
            await self._stored.wait()
        self.unproven += 1
        log.warning("snapshot_unproven", height=height, blocks=PROOF_TRIES)

    def _work(self, resources: ExitStack, moment: Snapshot, draft: Draft) -> bool:
        with resources:
            return in_slices(making(moment, self._genesis.hash, self._genesis.tree_depth, draft), self._stop)

    def _publish(self, draft: Draft, proof: bytes) -> None:
        draft.put(PROOF, proof)
        draft.publish()
        self._shelf.keep(self._keep)


def making(moment: Snapshot, genesis_hash: bytes, depth: int, draft: Draft) -> Iterator[None]:
    """Write all files but the proof, in slices. The same state gives the same bytes on every node."""
    files: list[File] = []

    def put(kind: Kind, value: object, count: int) -> None:
        data = encode(value)
        draft.put(FIRST + len(files), data)
        files.append(File(kind, name_of(data), len(data), count))

    sizes = array("Q", bytes(8 * FAN**depth))
    for key, value in moment.scan(TREE_LOW, TREE_HIGH):
        sizes[bucket_index(key, depth)] += len(key) + len(value) + ROW_BYTES
        yield
    covering = frontier(sizes, depth, FILE_BYTES)
    runs = runs_of(covering, FILE_BYTES)
    nodes = [node for node, _ in covering]
    firsts = [0, *accumulate(runs)]
    yield from _gathering(moment, depth, draft, [nodes[at].place * FAN ** nodes[at].level for at in firsts[:-1]])
    hashes: list[bytes] = []
    for number, (first, run) in enumerate(zip(firsts[:-1], runs, strict=True)):
        rows = _rows(draft.gathered(str(number)))
        rows.sort(key=lambda row: sort_key(row[0], depth))
        yield
        hashes += node_hashes(nodes[first : first + run], rows, depth)
        put(Kind.STATE, rows, run)
        yield
    yield from _window(moment, put)
    yield from _blocks(moment, put)
    height = moment.tip.height
    contents = Contents(genesis_hash, height, depth, tuple(nodes), tuple(hashes), tuple(files))
    roots = moment.roots(height)
    if roots is None or roots.state_tree_root != contents.state_tree_root:
        raise Damaged(f"the stored state does not have the root of height {height}")
    draft.put(CONTENTS, encode_contents(contents))


def _gathering(moment: Snapshot, depth: int, draft: Draft, first_buckets: list[int]) -> Iterator[None]:
    """Put each row of the tree on the heap of its file, the file being the one whose first bucket comes last before."""
    waiting: dict[int, bytearray] = {}
    size = 0
    for key, value in moment.scan(TREE_LOW, TREE_HIGH):
        row = _lengths.pack(len(key), len(value)) + key + value
        waiting.setdefault(bisect_right(first_buckets, bucket_index(key, depth)) - 1, bytearray()).extend(row)
        size += len(row)
        if size > HEAP_BYTES:
            yield from _flushing(waiting, draft)
            size = 0
        yield
    yield from _flushing(waiting, draft)


def _flushing(waiting: dict[int, bytearray], draft: Draft) -> Iterator[None]:
    for number, rows in waiting.items():
        draft.gather(str(number), bytes(rows))
        yield
    waiting.clear()


def _rows(heap: bytes) -> list[tuple[bytes, bytes]]:
    rows: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(heap):
        key_bytes, value_bytes = _lengths.unpack_from(heap, at)
        at += _lengths.size
        rows.append((heap[at : at + key_bytes], heap[at + key_bytes : at + key_bytes + value_bytes]))
        at += key_bytes + value_bytes
    return rows


def _window(moment: Snapshot, put: Callable[[Kind, object, int], None]) -> Iterator[None]:
    """Put what may not come twice: ids, then references, minute by minute."""
    for kind, minutes, most in (
        (Kind.IDS, live_ids(moment), IDS_IN_FILE),
        (Kind.REFS, live_refs(moment), REFS_IN_FILE),
    ):
        parts: list[tuple[int, Sequence[object]]] = []
        room = most
        for minute, items in minutes:
            for at in range(0, len(items), most):
                part = items[at : at + most]
                if len(part) > room:
                    put(kind, parts, len(parts))
                    parts, room = [], most
                parts.append((minute, part))
                room -= len(part)
            yield
        if parts:
            put(kind, parts, len(parts))


def _blocks(moment: Snapshot, put: Callable[[Kind, object, int], None]) -> Iterator[None]:
    """Put the blocks whose batches may not be named again, and the snapshot's own, which is the last."""
    height = moment.tip.height
    low = max(1, height - BATCH_LIFE_HEIGHTS + 1)
    while low <= height:
        found = moment.blocks(low, height - low + 1, FILE_BYTES)
        if not found or found[0].height != low:
            raise Damaged(f"block {low} is missing")
        put(Kind.BLOCKS, [each.block_bytes for each in found], len(found))
        low += len(found)
        yield
