"""The chain and the ledger's state in LevelDB.

One rule: a block is one synced atomic batch, and nothing but blocks moves the tip. After any crash the store holds
exactly the blocks up to some tip, each whole.

Threads: one thread commits, any thread reads. LevelDB itself allows that; what this class adds is a lock around writing
and a tip that is replaced in one step after the sync. Close it when no reader is left. For several reads that must
belong to one height take a ``snapshot``.
"""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import plyvel

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, encode
from node.storage import schema
from node.storage.disk import bytes_in
from node.storage.errors import (
    AlreadyInitialised,
    Damaged,
    InUse,
    NotInitialised,
    NotLinked,
    StorageError,
    StorageFailed,
    WrongNetwork,
)
from node.storage.files import DIRECTORY_MODE, DISK, Disk, failed
from node.storage.reads import Reads, translated, words
from node.storage.records import NO_ROOTS, ZERO_HASH, BlockRecord, Roots, StoredBlock, StoreStats, Tip
from node.storage.schema import HASH_BYTES, Table

CHECKED_BLOCKS: Final = 1_000  # at start; what is older is left to the scrub
EVIDENCE_MAX: Final = 10_000  # rows: a liar can make one a view; the first ones prove enough
# The more is gathered before it is merged, the less often the same rows are merged again, and a small table shares few
# keys with those below it. With 8 MiB, and tables of 16: a quarter fewer pensions a second. It is replayed in 3 s.
WRITE_BUFFER_BYTES: Final = 64 << 20
TABLE_BYTES_MAX: Final = 8 << 20  # of LevelDB's own 2 MiB, 10 GB were 5,000 files, most of them closed
CACHE_BYTES: Final = 64 << 20
OPEN_FILES_MAX: Final = 1_000
# Tables are not compressed: rows are hashes for the most part and shrink by a fifth, and a look-up that need not unpack
# a block, nor keep it unpacked in a cache, takes a third of the time. Blocks from before are read all the same.
BLOOM_BITS: Final = 10  # a row: 1 % of look-ups of absent keys read the disk

Identify = Callable[[bytes], tuple[bytes, bytes]]  # block bytes -> (block hash, parent hash); raises ValueError
ChainRoot = Callable[[bytes, int, bytes, bytes], bytes]  # root before, height, state tree root, outcomes root -> root


class Snapshot(Reads):
    """The store at one moment. ``tip`` is what it held then."""

    def __init__(self, source: Any) -> None:
        """Read the tip of ``source``, a plyvel snapshot."""
        super().__init__(source)
        self.tip = self._stored_tip()


class Store(Reads):
    """An open store; made by ``open``."""

    def __init__(self, db: Any, path: Path, disk: Disk) -> None:
        """Take an open LevelDB; ``open`` is the way in."""
        super().__init__(db)
        self._db = db
        self._path = path
        self._disk = disk
        self._writing = threading.Lock()
        self._failed = False
        self._tip = self._stored_tip()
        self._evidence_count = self._count_evidence()

    @classmethod
    def create(
        cls,
        path: Path,
        genesis_hash: bytes,
        genesis_state: Mapping[bytes, bytes],
        *,
        block_hash: bytes | None = None,
        block_bytes: bytes = b"",
        timestamp_ms: int = 0,
        roots: Roots = NO_ROOTS,
        roster: bytes = b"",
        version: int = 1,
    ) -> None:
        """Create the store with its state at height 0; for `som init` only. It appears under ``path`` whole or not.

        ``block_hash`` is the parent hash that block 1 will have; left out, it is the genesis hash.
        ``roster`` is that of the validators at height 0, ``version`` the protocol's. Raises AlreadyInitialised if
        ``path`` holds anything.
        """
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise AlreadyInitialised(f"{path} is not empty")
        fresh = path.with_name(path.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)  # left by a crash
        try:
            fresh.mkdir(mode=DIRECTORY_MODE, parents=True)
            genesis = StoredBlock(0, block_hash or genesis_hash, ZERO_HASH, timestamp_ms, block_bytes)
            _fill(fresh, genesis_hash, genesis, roots, genesis_state, (roster, version))
            os.rename(fresh, path)
            DISK.sync_directory(path.parent)
        except plyvel.Error as error:
            raise translated(error) from error
        except OSError as error:
            raise failed("create", path, error) from error

    @classmethod
    def open(cls, path: Path, genesis_hash: bytes, disk: Disk = DISK) -> "Store":
        """Open an existing store. Raises NotInitialised, WrongNetwork, InUse, Damaged or StorageFailed."""
        path = Path(path)
        _require_present(path)
        return cls._opened(path, genesis_hash, True, disk)

    @classmethod
    def salvage(cls, path: Path, genesis_hash: bytes, floor: int, verify: "Callable[[Store], None]") -> int:
        """Replace a damaged store by a copy in which nothing but a torn tail was lost; return the tip's height.

        The copy is opened leniently, and accepted only if its tip is at ``floor`` (what this validator is known to have
        had) or above, every row is sound, the whole chain is linked, and ``verify`` (hashes, roots, the state's root)
        does not raise. Raises Damaged if it is not accepted: then ``set_aside``, create anew and fetch from peers.
        Never LevelDB's own repair, which keeps wrong values. The damaged directory stays beside it as ``.damaged``.
        """
        path = Path(path)
        copy = path.with_name(path.name + ".salvage")
        try:
            _finish_set_aside(path)
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(path, copy)
            cls._require_sound(copy, genesis_hash, False, floor, verify)
            # The lenient opening has rewritten what it kept: now it must pass as any store.
            height = cls._require_sound(copy, genesis_hash, True, floor, verify)
            sync_files(copy)
            cls.set_aside(path)
            os.rename(copy, path)
            DISK.sync_directory(path.parent)
        except OSError as error:
            raise failed("salvage", path, error) from error
        return height

    @classmethod
    def set_aside(cls, path: Path) -> Path:
        """Move a damaged store to ``.damaged`` beside it, in place of an older one there, and return that path."""
        path = Path(path)
        damaged = _damaged(path)
        try:
            shutil.rmtree(damaged, ignore_errors=True)
            os.rename(path, damaged)
            DISK.sync_directory(path.parent)
        except OSError as error:
            raise failed("set aside", path, error) from error
        return damaged

    @classmethod
    def _opened(cls, path: Path, genesis_hash: bytes, paranoid: bool, disk: Disk = DISK) -> "Store":
        db = _open(path, paranoid)
        try:
            _require_genesis(Reads(db), genesis_hash)
            return cls(db, path, disk)
        except BaseException:
            db.close()
            raise

    @property
    def tip(self) -> Tip:
        """The highest block whose batch is synced."""
        return self._tip

    def close(self) -> None:
        """Close LevelDB. Readers have stopped; a commit under way ends first."""
        with self._writing:
            self._db.close()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Give the store as of now, for reads that belong together."""
        try:
            source = self._db.snapshot()
        except plyvel.Error as error:
            raise translated(error) from error
        with source:
            yield Snapshot(source)

    def commit(self, record: BlockRecord) -> None:
        """Write the block and all that follows from it, durably. Blocks for milliseconds: call it in a thread.

        Raises NotLinked, with nothing written, if it does not follow the tip; StorageFailed on any I/O error, after
        which the store takes no more blocks.
        """
        with self._writing:
            self._require_linked(record)
            self._write(self._rows_of(record))
            self._tip = Tip(record.height, record.block_hash, record.roots.root, record.certificate)
            self._evidence_count = self._count_evidence() if record.evidence else self._evidence_count

    def put_evidence(self, key: bytes, value: bytes) -> bool:
        """Keep evidence that came outside a block, durably; return whether there was room or it was known."""
        with self._writing:
            if self.row(schema.evidence_key(key)) is not None:
                return True
            if self._evidence_count >= EVIDENCE_MAX:
                return False
            self._write([(schema.evidence_key(key), value)])
            self._evidence_count += 1
            return True

    def prune(self, keys: Iterable[bytes], base: int) -> None:
        """Remove rows, and note where the store begins now; together and durably. Blocks: call it in a thread."""
        assert base <= self._tip.height
        removed: list[schema.Row] = [(key, None) for key in keys]
        with self._writing:
            self._write([*removed, (schema.BASE_KEY, encode(base))])

    def give_back(self, low: bytes, high: bytes) -> None:
        """Return to the disk what rows of a range took that are gone. Blocks for as long as copying the rest takes."""
        try:
            self._db.compact_range(start=low, stop=high)
        except plyvel.Error as error:
            raise StorageFailed(f"LevelDB compaction: {words(error)}") from error

    def check(
        self, depth: int = CHECKED_BLOCKS, identify: Identify | None = None, chain_root: ChainRoot | None = None
    ) -> int:
        """Verify the last ``depth`` blocks: present, linked, found by hash, and ended by the tip. Return how many.

        Below its base a store has no chain to verify.

        ``identify`` recomputes hashes from block bytes, ``chain_root`` the roots. Raises Damaged.
        """
        low = max(self.base(), self._tip.height - depth)
        parent = self._checked_block(low, identify)
        for height in range(low + 1, self._tip.height + 1):
            block = self._checked_block(height, identify)
            if block.parent_hash != parent.block_hash:
                raise Damaged(f"block {height} does not follow block {height - 1}")
            if chain_root:
                self._check_root(height, chain_root)
            parent = block
        if parent.block_hash != self._tip.block_hash:
            raise Damaged("the highest block is not the tip")
        if self.block(self._tip.height + 1) is not None:
            raise Damaged("there is a block above the tip")
        return self._tip.height - low

    def stats(self) -> StoreStats:
        """Return sizes, for metrics. Reads the directory: not for every block."""
        free, total = self.disk_usage()
        tables = {table.name.lower(): self.approximate_bytes(table) for table in Table}
        return StoreStats(self._tip.height, tables, bytes_in(self._path), free, total)

    def disk_usage(self) -> tuple[int, int]:
        """Return the free and all bytes of the file system that the store is on."""
        try:
            disk = shutil.disk_usage(self._path)
        except OSError as error:
            raise failed("stat", self._path, error) from error
        return disk.free, disk.total

    def approximate_bytes(self, table: Table) -> int:
        """Return LevelDB's estimate of a table's size in its files; what is only in the log is left out."""
        return int(self._db.approximate_size(table.value, schema.table_end(table)))

    # --- writing ---

    def _require_linked(self, record: BlockRecord) -> None:
        if record.height != self._tip.height + 1:
            raise NotLinked(f"height {record.height} after {self._tip.height}")
        if record.parent_hash != self._tip.block_hash:
            raise NotLinked(f"block {record.height} has parent {record.parent_hash.hex()[:16]}")
        hashes = (record.block_hash, record.roots.state_tree_root, record.roots.outcomes_root, record.roots.root)
        if any(len(value) != HASH_BYTES for value in hashes):
            raise NotLinked(f"block {record.height}: a hash is not {HASH_BYTES} bytes long")

    def _write(self, rows: list[schema.Row]) -> None:
        if self._failed:
            raise StorageFailed("an earlier write failed")
        self._failed = True  # until the sync has returned
        try:
            # Without transaction=True plyvel writes even when this block raises.
            with self._db.write_batch(transaction=True, sync=True) as batch:
                schema.put_sealed(rows, batch.put, batch.delete)
        except plyvel.Error as error:
            raise StorageFailed(f"LevelDB write: {words(error)}") from error
        # LevelDB syncs its log but not the name of a log that it has just begun.
        self._disk.sync_directory(self._path)
        self._failed = False

    def _rows_of(self, record: BlockRecord) -> list[schema.Row]:
        height = record.height
        stored = StoredBlock(height, record.block_hash, record.parent_hash, record.timestamp_ms, record.block_bytes)
        rows: list[schema.Row] = list(_block_rows(stored, record.roots))
        if record.certificate:
            rows.append((schema.certificate_key(height), record.certificate))
        rows.append((schema.outcomes_key(height), record.outcome_leaves))
        if record.roster is not None:
            rows.append((schema.roster_key(height), record.roster))
        if record.version is not None:
            rows.append((schema.version_key(height), schema.number(record.version)))
        rows += self._new_batches(record)
        rows += self._new_transactions(record)
        state, entry = schema.state_key, schema.entry_key
        rows += [(state(key), value) for key, value in record.changes.items()]
        rows += [(entry(account, number), value) for account, number, value in record.entries]
        rows += (
            (schema.reference_key(account, ref, height, row), value)
            for row, (account, ref, value) in enumerate(record.references)
        )
        rows += self._new_evidence(record)
        return rows

    def _new_batches(self, record: BlockRecord) -> Iterator[tuple[bytes, bytes]]:
        for digest, batch in record.batches.items():
            key = schema.batch_key(digest)
            if self.row(key) is None:
                yield key, batch

    def _new_transactions(self, record: BlockRecord) -> Iterator[tuple[bytes, bytes]]:
        # The first place stays: a validator that has an old transaction proposed again, which the ledger refuses,
        # must not replace the receipt of the payment that was made.
        seen: set[bytes] = set()
        height = record.height
        for placed in record.transactions:
            key = schema.transaction_key(placed.tx_id)
            if not placed.fresh and (key in seen or self.row(key) is not None):
                continue
            seen.add(key)
            yield key, encode((height, placed.index, placed.batch_digest, placed.position, placed.receipt))

    def _new_evidence(self, record: BlockRecord) -> Iterator[tuple[bytes, bytes]]:
        room = EVIDENCE_MAX - self._evidence_count
        for name, value in record.evidence.items():
            key = schema.evidence_key(name)
            if room > 0 and self.row(key) is None:
                room -= 1
                yield key, value

    # --- checking ---

    @classmethod
    def _require_sound(
        cls, path: Path, genesis_hash: bytes, paranoid: bool, floor: int, verify: "Callable[[Store], None]"
    ) -> int:
        store = cls._opened(path, genesis_hash, paranoid)
        try:
            height = store.tip.height
            if height < floor:
                raise Damaged(f"the tip is at {height}, and was at {floor} at least")
            store.check(depth=height)
            store.scrub(limit=sys.maxsize)
            verify(store)
            return height
        finally:
            store.close()

    def _checked_block(self, height: int, identify: Identify | None) -> StoredBlock:
        block = self.block(height)
        if block is None:
            raise Damaged(f"block {height} is missing below the tip")
        if self.height_of(block.block_hash) != height:
            raise Damaged(f"block {height} is not found by its hash")
        if identify and height > 0:
            try:
                same = identify(block.block_bytes) == (block.block_hash, block.parent_hash)
            except ValueError as error:
                raise Damaged(f"block {height}: {error}") from None
            if not same:
                raise Damaged(f"block {height} has another hash than it is stored under")
        return block

    def _check_root(self, height: int, chain_root: ChainRoot) -> None:
        before, roots = self.roots(height - 1), self.roots(height)
        if before is None or roots is None:
            raise Damaged(f"the roots of block {height} are missing")
        if chain_root(before.root, height, roots.state_tree_root, roots.outcomes_root) != roots.root:
            raise Damaged(f"the root of block {height} does not follow")

    def _count_evidence(self) -> int:
        return sum(1 for _ in self.rows(Table.EVIDENCE.value, schema.table_end(Table.EVIDENCE)))


def _fill(
    path: Path,
    genesis_hash: bytes,
    block: StoredBlock,
    roots: Roots,
    state: Mapping[bytes, bytes],
    rules: tuple[bytes, int],
) -> None:
    roster, version = rules
    db = plyvel.DB(
        os.fspath(path), create_if_missing=True, error_if_exists=True, paranoid_checks=True, compression=None
    )
    try:
        with db.write_batch(transaction=True, sync=True) as batch:
            for key, value in (
                (schema.GENESIS_KEY, encode((schema.FORMAT, genesis_hash))),
                *_block_rows(block, roots),
                (schema.roster_key(0), roster),
                (schema.version_key(0), schema.number(version)),
                *((schema.state_key(name), value) for name, value in state.items()),
            ):
                batch.put(key, schema.seal(key, value))
    finally:
        db.close()
    sync_files(path)


def sync_files(path: Path) -> None:
    """Make a closed store's files durable."""
    for entry in _listed(path):
        descriptor = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    DISK.sync_directory(path)


def _block_rows(block: StoredBlock, roots: Roots) -> Iterator[tuple[bytes, bytes]]:
    yield from block_rows(block)
    yield roots_row(block.height, roots)
    yield schema.TIP_KEY, encode((block.height, block.block_hash, roots.root))


def block_rows(block: StoredBlock) -> Iterator[tuple[bytes, bytes]]:
    """Yield the rows of a block itself."""
    value = encode((block.block_hash, block.parent_hash, block.timestamp_ms, block.block_bytes))
    yield schema.block_key(block.height), value
    yield schema.height_key(block.block_hash), encode(block.height)


def roots_row(height: int, roots: Roots) -> tuple[bytes, bytes]:
    """Return the row of a height's roots."""
    return schema.roots_key(height), encode((roots.header, roots.state_tree_root, roots.outcomes_root, roots.root))


def _open(path: Path, paranoid: bool) -> Any:
    try:
        return plyvel.DB(
            os.fspath(path),
            create_if_missing=False,
            paranoid_checks=paranoid,
            write_buffer_size=WRITE_BUFFER_BYTES,
            max_file_size=TABLE_BYTES_MAX,
            lru_cache_size=CACHE_BYTES,
            max_open_files=OPEN_FILES_MAX,
            bloom_filter_bits=BLOOM_BITS,
            compression=None,
        )
    except plyvel.IOError as error:
        if "lock" in words(error).lower():
            raise InUse(f"{path}: {words(error)}") from None
        if "no such file" in words(error).lower():  # a table that the manifest names
            raise Damaged(words(error)) from error
        raise StorageFailed(words(error)) from error
    except plyvel.Error as error:  # CorruptionError, and InvalidArgument for what is no database
        raise Damaged(words(error)) from error


def _damaged(path: Path) -> Path:
    return path.with_name(path.name + ".damaged")


def _finish_set_aside(path: Path) -> None:
    """Undo what a crash in the middle of ``salvage`` left: the store set aside and no other in its place."""
    if not path.exists() and _damaged(path).exists():
        os.rename(_damaged(path), path)


def _require_present(path: Path) -> None:
    if not path.exists() and _damaged(path).exists():
        raise Damaged(f"{path} was set aside and nothing has replaced it")
    # LevelDB leaves LOCK and LOG behind wherever it looked for a database.
    if not path.is_dir() or {entry.name for entry in _listed(path)} <= {"LOCK", "LOG", "LOG.old"}:
        raise NotInitialised(f"{path}: there is no store; `som init` creates one")
    if not (path / "CURRENT").exists():
        raise Damaged(f"{path}: the file CURRENT is missing")


def _require_genesis(reads: Reads, genesis_hash: bytes) -> None:
    try:
        stored = reads.row(schema.GENESIS_KEY)
        if stored is None:
            raise Damaged("there is no genesis marker")
        version, found = as_tuple(decode(stored), 2)
        as_int(version, schema.FORMAT, schema.FORMAT)
        network = as_bytes(found, HASH_BYTES)
    except DecodeError as error:
        raise StorageError(f"a store of another format: {error}") from None
    if network != genesis_hash:
        raise WrongNetwork(f"the store belongs to the network {network.hex()[:16]}, not {genesis_hash.hex()[:16]}")


def _listed(path: Path) -> list[Path]:
    return [Path(entry.path) for entry in os.scandir(path) if entry.is_file(follow_symlinks=False)]
