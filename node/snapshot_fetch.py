"""Joining by a snapshot: which one, from whom, piece by piece, and the store that is made of it.

One rule: a height that a peer claims is a hint, and so is the list of its snapshots. A proof is verified before the
first piece is asked for, a piece when it comes, all of it together before the store is put in place. Whatever fails,
the node goes on by blocks after a while; whoever or whatever has failed comes after the others.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, encode
from consensus.messages import HASH_BYTES, Block, Hash, decode_block, encode_header, header_hash
from network.wire import PeerId
from node.batches import BATCH_LIFE_HEIGHTS
from node.client.errors import ProofInvalid
from node.decree import SignedDecree
from node.home import genesis_block
from node.ledger.errors import InvariantViolation
from node.ledger.execute import META_KEY, Ledger, encode_meta, genesis_changes, read_meta
from node.ledger.genesis import Genesis
from node.ledger.recent import ONCE, SEEN, Chain
from node.ledger.snapshot import Minutes, decode_chain, indexes_of, node_hashes
from node.ledger.state import ROSTER, TREE_HIGH, TREE_LOW, parameter_key
from node.snapshot_proof import (
    CONTENTS,
    CONTENTS_BYTES_MAX,
    FIRST,
    PROOF,
    PROOF_BYTES_MAX,
    Contents,
    File,
    Kind,
    Proven,
    decode_contents,
    name_of,
    require_linked,
    verify_proof,
)
from node.storage.founding import Founding, discard
from node.storage.records import Roots, StoredBlock, Tip
from node.storage.snapshot_files import Fetched
from node.storage.store import Store
from node.sync import Links, RequestFailed

LIST, PIECE = 32, 33  # request methods on the wire; node/sync.py and node/evidence_pool.py have the others
PIECE_BYTES: Final = 512 * 1024  # of one answer
SHOWN_MAX: Final = 8  # snapshots in one answer
DEADLINE_SECONDS: Final = 10.0  # for one piece
FILE_SECONDS: Final = 120.0  # for contents, a proof, or a file, from one peer
HOLD_SECONDS: Final = 300.0  # without blocks, for a snapshot; each file that is here adds what it takes at this pace:
HOLD_BYTES_PER_SECOND: Final = 64 * 1024
FAILED_MAX: Final = 256  # snapshots whose failures are remembered
FETCHERS_MAX: Final = 4  # peers that are asked at the same time, one piece each
FAILURES_MAX: Final = 3  # unanswered requests after which a peer is left alone
LISTEN_SECONDS: Final = 2.0  # to hear where the others are
ATTEMPTS: Final = 3  # one after the other: the snapshots of peers may have been replaced while we fetched
STALL_SECONDS: Final = 60.0  # without one more piece: on by blocks
BLOCKS_SECONDS: Final = 120.0  # of trying by blocks; if not one has come then, again by a snapshot


log = structlog.get_logger("snapshot")


class SnapshotReady(Exception):
    """A store made of a snapshot waits to be put in place: the node ends, and begins again with it."""


class Unusable(Exception):
    """This snapshot, or these peers: try others."""


class FalseContents(Unusable):
    """All files of the contents are here, and are not what the state commits to: who made them lies."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A snapshot that a peer says it has. Those of one name have the same files, but for the proof."""

    height: int
    name: bytes  # of its contents
    contents_bytes: int
    proof_bytes: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """A snapshot that is proven, and who has it."""

    shown: Shown
    contents: Contents
    proven: Proven
    peers: tuple[PeerId, ...]
    shown_by: PeerId  # who gave contents and proof


class Fetch:
    """Brings a node that has hardly begun to a snapshot, if it is far behind."""

    def __init__(
        self,
        genesis: Genesis,
        store_path: Path,
        fetched: Fetched,
        links: Links,
        height: Callable[[], int],
        claims: Callable[[], Sequence[int]],
        behind_min: int,
        decrees: Sequence[SignedDecree] = (),
        keep_decree: Callable[[int, bytes], None] = lambda _term, _data: None,
    ) -> None:
        """``height`` is our own, final; ``claims`` are those of peers; so far ahead of us a snapshot is worth it.

        ``decrees`` are followed here; ``keep_decree`` keeps one that a snapshot brings, by its term.
        """
        self._genesis = genesis
        self._store_path = store_path
        self._fetched = fetched
        self._links = links
        self._height = height
        self._claims = claims
        self._behind_min = behind_min
        self._decrees = decrees
        self._keep_decree = keep_decree
        self._progress = 0.0
        self._hold_until = float("inf")  # from when on blocks are asked for, whatever is on its way
        self._failures: Counter[PeerId | bytes] = Counter()  # of peers, and of snapshots by their names
        self._false: set[bytes] = set()  # names of contents
        self.wanted = True
        self.received_bytes = 0  # of snapshots, from peers
        self.unusable = 0  # attempts in vain

    async def run(self) -> None:
        """Return when this node goes on by blocks; raise SnapshotReady when a store waits."""
        try:
            while True:
                await asyncio.sleep(LISTEN_SECONDS)
                if not self._links.connected():
                    continue
                if not self._behind():
                    return
                self._hold_until = self._now() + HOLD_SECONDS
                for attempt in range(ATTEMPTS):
                    if attempt:
                        await asyncio.sleep(LISTEN_SECONDS)
                    if self._behind():
                        await self._attempt()
                self.wanted, before = False, self._height()
                await asyncio.sleep(BLOCKS_SECONDS)
                if self._height() > before:
                    return
                self.wanted = True
        finally:
            self.wanted = False

    def holds(self) -> bool:
        """Return whether no blocks are to be asked for, because a snapshot is on its way."""
        return self.wanted and self._behind() and self._now() < self._hold_until

    def _behind(self) -> bool:
        return max(self._claims(), default=0) - self._height() >= self._behind_min

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _attempt(self) -> None:
        chosen: Chosen | None = None
        try:
            chosen = await self._choose()
            log.info("snapshot_chosen", height=chosen.shown.height, files=len(chosen.contents.files))
            await self._fetch_all(chosen)
            for signed in chosen.proven.decrees[len(self._decrees) :]:  # first: without them the store is none of ours
                self._keep_decree(signed.decree.term, signed.encoded)
            tip = await asyncio.to_thread(found_store, self._genesis, self._store_path, chosen, self._fetched)
        except Unusable as error:
            self.unusable += 1
            log.warning("snapshot_unusable", why=str(error))
            if chosen is not None:
                self._failed(chosen, isinstance(error, FalseContents))
            return
        if self._height() >= tip.height:  # the core has its own ways to blocks
            discard(self._store_path)
            self.unusable += 1
            log.warning("snapshot_unusable", why="blocks came meanwhile")
            return
        raise SnapshotReady(f"height {tip.height}")

    def _failed(self, chosen: Chosen, false: bool) -> None:
        name, peer = chosen.shown.name, chosen.shown_by
        if len(self._failures) >= FAILED_MAX:
            self._failures.clear()
        self._failures[name] += 1
        if false:
            if len(self._false) >= FAILED_MAX:
                self._false.clear()
            self._false.add(name)
            self._failures[peer] += 1
            self._links.blame(peer, 100, "files of a snapshot that are not what the state commits to")

    # --- which one ---

    async def _choose(self) -> Chosen:
        """Return the newest snapshot that is proven, of those that have failed least. Raises Unusable."""
        connected = self._links.connected()
        lists = await asyncio.gather(*map(self._list_of, connected))
        waiting = {
            (shown, peer)
            for peer, those in zip(connected, lists, strict=True)
            for shown in those
            if shown.height - self._height() >= self._behind_min // 2 and shown.name not in self._false
        }
        # Those of one name have the same files; only their proofs may differ in length.
        holders = {shown.name: {peer for other, peer in waiting if other.name == shown.name} for shown, _ in waiting}
        while waiting:
            shown, peer = min(
                waiting,
                key=lambda each: (
                    self._failures[each[0].name] + self._failures[each[1]],
                    -each[0].height,
                    each[0].name,
                    connected.index(each[1]),
                ),
            )
            waiting.remove((shown, peer))
            found = await self._proven(peer, shown)
            if found is not None:
                others = sorted(holders[shown.name], key=lambda each: (self._failures[each], connected.index(each)))
                return Chosen(shown, *found, tuple(others), peer)
        raise Unusable("no peer has a snapshot that is worth it, and proves it")

    async def _list_of(self, peer: PeerId) -> list[Shown]:
        try:
            data = await self._links.request(peer, LIST, b"", DEADLINE_SECONDS)
            rows = [as_tuple(each, 4) for each in as_tuple(decode(data), most=SHOWN_MAX)]
            return [
                Shown(
                    as_int(height, 1),
                    as_bytes(name, HASH_BYTES),
                    as_int(contents_bytes, 1, CONTENTS_BYTES_MAX),
                    as_int(proof_bytes, 1, PROOF_BYTES_MAX),
                )
                for height, name, contents_bytes, proof_bytes in rows
            ]
        except RequestFailed:
            return []
        except DecodeError as error:
            self._links.blame(peer, 100, f"snapshots: {error}")
            return []

    async def _proven(self, peer: PeerId, shown: Shown) -> tuple[Contents, Proven] | None:
        try:
            data = await self._file(peer, shown.height, CONTENTS, shown.contents_bytes)
            if name_of(data) != shown.name:
                raise DecodeError("other contents than it said")
            contents = decode_contents(data)
            if contents.height != shown.height:
                raise DecodeError("contents of another height")
            proof = await self._file(peer, shown.height, PROOF, shown.proof_bytes)
            return contents, verify_proof(self._genesis, contents, proof, self._decrees)
        except RequestFailed:
            self._failures[peer] += 1
            return None
        except (DecodeError, ProofInvalid) as error:
            self._failures[peer] += 1
            self._links.blame(peer, 100, f"snapshot: {error}")
            return None

    # --- its files ---

    async def _fetch_all(self, chosen: Chosen) -> None:
        """Return when all files are here. Raises Unusable."""
        files = chosen.contents.files
        self._fetched.keep_only(frozenset(file.name for file in files))
        missing = [number for number, file in enumerate(files) if not self._fetched.has(file.name)]
        missing.reverse()
        self._progress = self._now()
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(self._fetch_from(peer, chosen, missing)) for peer in chosen.peers[:FETCHERS_MAX]
            ]
            spare = list(chosen.peers[FETCHERS_MAX:])
            while not all(worker.done() for worker in workers):
                await asyncio.wait(workers, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                ended = [worker for worker in workers if worker.done()]
                workers = [worker for worker in workers if not worker.done()]
                for _ in ended:
                    if missing and spare:
                        workers.append(tasks.create_task(self._fetch_from(spare.pop(), chosen, missing)))
                if self._now() - self._progress > STALL_SECONDS:
                    for worker in workers:
                        worker.cancel()
        if any(not self._fetched.has(file.name) for file in files):
            raise Unusable("nobody gives us the rest of its files")

    async def _fetch_from(self, peer: PeerId, chosen: Chosen, missing: list[int]) -> None:
        """Fetch what is missing from one peer, one file after the other, while it gives what it should."""
        failures = 0
        while missing and failures < FAILURES_MAX:
            number = missing.pop()
            file = chosen.contents.files[number]
            try:
                data = await self._file(peer, chosen.shown.height, FIRST + number, file.size)
            except RequestFailed:
                failures += 1
                missing.append(number)
                await asyncio.sleep(0.1 * failures)
                continue
            except BaseException:
                missing.append(number)
                raise
            if name_of(data) != file.name:
                missing.append(number)
                self._links.blame(peer, 100, "another file of a snapshot than it said")
                return
            await asyncio.to_thread(self._fetched.put, data)
            self._progress = self._now()
            self._hold_until += file.size / HOLD_BYTES_PER_SECOND

    async def _file(self, peer: PeerId, height: int, number: int, size: int) -> bytes:
        """Return a file of so many bytes from one peer. Raises RequestFailed, also if it has less or takes long."""
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(FILE_SECONDS):
                for have in range(0, size, PIECE_BYTES):
                    part = await self._links.request(peer, PIECE, encode((height, number, have)), DEADLINE_SECONDS)
                    if len(part) != min(PIECE_BYTES, size - have):
                        raise RequestFailed("a piece of another length")
                    parts.append(part)
                    self.received_bytes += len(part)
        except TimeoutError:
            raise RequestFailed("a file takes too long") from None
        return b"".join(parts)


# --- the store that is made of it ---


def found_store(genesis: Genesis, store_path: Path, chosen: Chosen, fetched: Fetched) -> Tip:
    """Make the store that begins at the snapshot, verify it, and leave it to be put in place. Raises Unusable."""
    founding = Founding(store_path, genesis.hash)
    try:
        tip = _filled(founding, genesis, chosen, fetched)
        store = Store.open(founding.path, genesis.hash)
        try:
            Ledger(store, genesis)  # builds the whole tree, and compares its root
            store.check()
        finally:
            store.close()
    except (DecodeError, InvariantViolation) as error:
        founding.abandon()
        raise FalseContents(f"the snapshot of height {chosen.shown.height}: {error}") from None
    except BaseException:
        founding.abandon()
        raise
    founding.finish()
    fetched.clear()
    return tip


def _filled(founding: Founding, genesis: Genesis, chosen: Chosen, fetched: Fetched) -> Tip:
    contents, proven = chosen.contents, chosen.proven
    _put_genesis(founding, genesis)
    chains = _put_state(founding, contents, proven, fetched)
    ids, refs = Minutes(chains[SEEN]), Minutes(chains[ONCE])
    parent: Hash | None = None
    for file in contents.files:
        if file.kind is Kind.STATE:
            continue
        items = as_tuple(decode(_read(fetched, file)), file.count)
        if file.kind is Kind.IDS:
            for minute, part in _parts(items):
                each = [as_bytes(tx_id, HASH_BYTES) for tx_id in part]
                founding.add_state(ids.ids(minute, each))
                founding.add_executed_before(each)
        elif file.kind is Kind.REFS:
            for minute, part in _parts(items):
                founding.add_state(refs.refs(minute, [_as_ref(ref) for ref in part]))
        else:
            blocks = [decode_block(as_bytes(item)) for item in items]
            # Who lacks one of them could name a batch again that was executed, and be accused for it.
            if parent is None and blocks[0].header.height != max(1, contents.height - BATCH_LIFE_HEIGHTS + 1):
                raise DecodeError("the blocks do not begin where batches may still be named")
            parent = require_linked(blocks, parent)
            for block in blocks:
                founding.add_block(stored_block(block))
    ids.close()
    refs.close()
    if parent != header_hash(proven.header):
        raise DecodeError("the blocks do not end at the snapshot's own")
    for boundary in proven.trail:
        if boundary.block.header.height <= contents.height:
            founding.add_block(stored_block(boundary.block), boundary.certificate)
    meta = proven.meta
    founding.add_state([(META_KEY, encode_meta(meta))])
    founding.add_roots(
        contents.height, Roots(meta.state_tree_root, meta.outcomes_root, meta.root, encode_header(proven.header))
    )
    for height, roster in proven.rosters:
        founding.add_roster(height, roster)
    for height, version in proven.versions:
        founding.add_version(height, version)
    tip = Tip(contents.height, header_hash(proven.header), meta.root, b"")
    founding.close(tip, contents.height)
    return tip


def _put_genesis(founding: Founding, genesis: Genesis) -> None:
    meta = read_meta(genesis_changes(genesis)[META_KEY], genesis)
    founding.add_block(stored_block(genesis_block(genesis, meta)))
    founding.add_roots(0, Roots(meta.state_tree_root, meta.outcomes_root, meta.root))


def _put_state(
    founding: Founding, contents: Contents, proven: Proven, fetched: Fetched
) -> dict[bytes, dict[int, Chain]]:
    """Put the rows of the tree and their indexes; return the chains of the minutes that live, by table."""
    chains: dict[bytes, dict[int, Chain]] = {SEEN: {}, ONCE: {}}
    at = 0
    for file in contents.files:
        if file.kind is not Kind.STATE:
            continue
        rows = [_as_row(each) for each in as_tuple(decode(_read(fetched, file)))]
        run = slice(at, at + file.count)
        if node_hashes(contents.nodes[run], rows, contents.depth) != list(contents.hashes[run]):
            raise DecodeError("rows that are not those of their nodes")
        at += file.count
        founding.add_state(rows)
        for key, row in rows:
            founding.add_state(indexes_of(key, row))
            if key[:1] in chains:
                minute, chain = decode_chain(key, row)
                chains[key[:1]][minute] = chain
            if key == parameter_key(ROSTER) and row != proven.rosters[-1][1]:
                raise DecodeError("the last of the rosters is not that of the state")
            if key == parameter_key("protocol_version") and row != encode(proven.versions[-1][1]):
                raise DecodeError("the last of the versions is not that of the state")
    return chains


def _read(fetched: Fetched, file: File) -> bytes:
    data = fetched.get(file.name)
    if data is None:
        raise Unusable("a file that was fetched is gone or damaged")
    return data


def _parts(items: Sequence[object]) -> list[tuple[int, Sequence[object]]]:
    pairs = [as_tuple(item, 2) for item in items]
    return [(as_int(minute), as_tuple(part)) for minute, part in pairs]


def _as_ref(value: object) -> tuple[bytes, bytes]:
    pair, transaction_id = as_tuple(value, 2)
    return as_bytes(pair, most=8 + 35), as_bytes(transaction_id, HASH_BYTES)


def _as_row(value: object) -> tuple[bytes, bytes]:
    key, row = as_tuple(value, 2)
    found = as_bytes(key, most=255)
    if not TREE_LOW <= found < TREE_HIGH:
        raise DecodeError("a row beside the tree")
    return found, as_bytes(row)


def stored_block(block: Block) -> StoredBlock:
    """Return a block as the store has it."""
    header = block.header
    return StoredBlock(header.height, block.hash, header.parent_hash, header.timestamp_ms, block.encoded)
