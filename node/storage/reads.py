"""The reading half of the store, over LevelDB itself or over one moment of it.

One rule: every read verifies LevelDB's block checksum and the row's own seal. A wrong value is never returned: the
error is Damaged, and after an I/O error StorageFailed.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import plyvel

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode
from node.storage import schema
from node.storage.errors import Damaged, StorageError, StorageFailed
from node.storage.records import Roots, StoredBlock, StoredTransaction, Tip
from node.storage.schema import HASH_BYTES, NUMBER_MAX, Table

PAGE_MAX: Final = 1_000  # rows of one answer; keeps a request's memory and its time off the loop bounded
RANGE_BYTES_MAX: Final = 8 << 20  # of blocks in one answer to a peer that catches up
RANGE_BLOCKS_MAX: Final = 1_024
STEPS_MAX: Final = 8  # rows passed on the way to the one that is looked for, before a jump costs less

_PAST_ALL: Final = (schema.END, b"")

T = TypeVar("T")


class Reads:
    """Read access. Safe from any thread, also while a block is committed."""

    def __init__(self, source: Any) -> None:
        """``source`` is a plyvel DB or Snapshot: both have get and iterator."""
        self._source = source

    # --- the ledger's state ---

    def get(self, key: bytes) -> bytes | None:
        """Return the ledger's value, or None."""
        return self.row(schema.state_key(key))

    def get_ascending(self, keys: Sequence[bytes]) -> Iterator[bytes | None]:
        """Yield the ledger's value of each key, or None, all as of the first step. The keys ascend strictly.

        A step to the next row costs a tenth of a ``get``, a jump as much as one: whoever is near is stepped to.
        """
        try:
            with self._source.iterator(verify_checksums=True, fill_cache=False) as rows:
                row, stored, steps = b"", b"", STEPS_MAX
                for key in map(schema.state_key, keys):
                    while row < key:
                        if steps == STEPS_MAX:
                            rows.seek(key)
                        row, stored = next(rows, _PAST_ALL)
                        steps = steps + 1 if row < key else 0
                    yield schema.unseal(key, stored) if row == key else None
        except (plyvel.Error, OSError) as error:
            raise translated(error) from error

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the ledger's rows with low <= key < high, ascending, all as of the first step."""
        for key, value in self.rows(schema.state_key(low), schema.state_key(high)):
            yield key[1:], value

    def scan_all(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all of the ledger's rows, ascending, as of the first step."""
        for key, value in self.rows(Table.STATE.value, schema.table_end(Table.STATE)):
            yield key[1:], value

    # --- the chain ---

    def base(self) -> int:
        """Return the height at which the store begins: of genesis, of a snapshot, or where pruning has left off.

        Above it all is whole. At it there are the block and its roots. Below it there are only the blocks from which
        committees are read and, after a snapshot, those that say which batches are final.
        """
        return self._parsed(schema.BASE_KEY, lambda value: as_int(value, 0, NUMBER_MAX)) or 0

    def block(self, height: int) -> StoredBlock | None:
        """Return the block at ``height``; height 0 is what genesis was created with."""
        key = schema.block_key(height)
        return self._parsed(key, partial(_as_block, height))

    def block_by_hash(self, block_hash: bytes) -> StoredBlock | None:
        """Return the block with that hash."""
        height = self.height_of(block_hash)
        return None if height is None else self.block(height)

    def height_of(self, block_hash: bytes) -> int | None:
        """Return the height of the block with that hash."""
        return self._parsed(schema.height_key(block_hash), lambda value: as_int(value, 0, NUMBER_MAX))

    def blocks(
        self, low: int, count: int = RANGE_BLOCKS_MAX, bytes_max: int = RANGE_BYTES_MAX
    ) -> tuple[StoredBlock, ...]:
        """Return blocks from height ``low`` upwards: at most ``count``, and ``bytes_max`` of block bytes.

        The first block is returned whatever its size, so that a reader always gets on.
        """
        found: list[StoredBlock] = []
        size = 0
        stop = schema.block_key(min(low + min(count, RANGE_BLOCKS_MAX), NUMBER_MAX))
        for key, value in self.rows(schema.block_key(low), stop):
            block = _parse(key, value, partial(_as_block, _number(key)))
            size += len(block.block_bytes)
            if found and size > min(bytes_max, RANGE_BYTES_MAX):
                break
            found.append(block)
        return tuple(found)

    def blocks_down_from(self, height: int) -> Iterator[StoredBlock]:
        """Yield the blocks that are here at ``height`` and below, descending."""
        low, high = schema.block_key(0), schema.block_key(height)
        for key, value in self.rows(low, high, include_stop=True, reverse=True):
            yield _parse(key, value, partial(_as_block, _number(key)))

    def blocks_up_to(self, height: int) -> Iterator[StoredBlock]:
        """Yield the blocks that are here above genesis and below ``height``, ascending."""
        for key, value in self.rows(schema.block_key(1), schema.block_key(height)):
            yield _parse(key, value, partial(_as_block, _number(key)))

    def certificate(self, height: int) -> bytes | None:
        """Return the certificate that finalizes the block at ``height`` itself."""
        return self.row(schema.certificate_key(height))

    def certificate_from(self, height: int) -> tuple[int, bytes] | None:
        """Return the first certificate at ``height`` or above, and its height: it finalizes all blocks below too."""
        for key, value in self.rows(schema.certificate_key(height), schema.table_end(Table.CERTIFICATE)):
            return _number(key), value
        return None

    def roots(self, height: int) -> Roots | None:
        """Return the roots after the block at ``height``."""
        return self._parsed(schema.roots_key(height), _as_roots)

    def roster_at(self, height: int) -> bytes:
        """Return the roster of validators after ``height``: the newest one at or below it. Never pruned."""
        low, high = schema.roster_key(0), schema.roster_key(height)
        for _, value in self.rows(low, high, include_stop=True, reverse=True):
            return value
        raise Damaged("there is no roster")

    def roster_heights(self, low: int) -> Iterator[int]:
        """Yield the heights from ``low`` on whose blocks changed the roster, ascending."""
        for key, _ in self.rows(schema.roster_key(low), schema.table_end(schema.Table.ROSTER)):
            yield int.from_bytes(key[1:], "big")

    def versions(self, low: int = 0) -> Iterator[tuple[int, int]]:
        """Yield (height, protocol version) of the heights from ``low`` on whose blocks changed what is demanded."""
        for key, value in self.rows(schema.version_key(low), schema.table_end(schema.Table.VERSION)):
            yield int.from_bytes(key[1:], "big"), int.from_bytes(value, "big")

    def version_at(self, height: int) -> int:
        """Return the protocol version that the state after ``height`` demands of the next epoch. Never pruned."""
        low, high = schema.version_key(0), schema.version_key(height)
        for _, value in self.rows(low, high, include_stop=True, reverse=True):
            return int.from_bytes(value, "big")
        raise Damaged("there is no protocol version")

    def outcome_leaves(self, height: int) -> bytes | None:
        """Return the leaf hashes of the outcomes at ``height``, as they were committed."""
        return self.row(schema.outcomes_key(height))

    def batch(self, digest: bytes) -> bytes | None:
        """Return the batch's bytes."""
        return self.row(schema.batch_key(digest))

    def transaction(self, tx_id: bytes) -> StoredTransaction | None:
        """Return where the transaction was first executed, and its receipt."""
        return self._parsed(schema.transaction_key(tx_id), _as_transaction)

    def entries(
        self, account: int, start: int | None = None, limit: int = 200, *, descending: bool = False
    ) -> tuple[tuple[int, bytes], ...]:
        """Return (entry number, value) of ``account``, from entry number ``start`` on (itself included).

        Without ``start`` from the first entry, or when descending from the last.
        """
        low, high = schema.entry_key(account, 0), schema.entry_key(account, NUMBER_MAX)
        if start is not None:
            bound = schema.entry_key(account, start)
            low, high = (low, bound) if descending else (bound, high)
        found: list[tuple[int, bytes]] = []
        for key, value in self.rows(low, high, include_stop=True, reverse=descending):
            if len(found) == min(limit, PAGE_MAX):
                break
            found.append((_number(key[8:]), value))
        return tuple(found)

    def references(self, account: int, ref: bytes, limit: int = 200) -> tuple[bytes, ...]:
        """Return the values stored under ``account`` and ``ref``, latest first."""
        found: list[bytes] = []
        low = schema.reference_prefix(account, ref)
        for _, value in self.rows(low, low + b"\xff" * 13, reverse=True):  # a height and a row have 12 bytes
            if len(found) == min(limit, PAGE_MAX):
                break
            found.append(value)
        return tuple(found)

    def evidence(self, after: bytes = b"", limit: int = 200) -> tuple[tuple[bytes, bytes], ...]:
        """Return (key, value) of the evidence with a key above ``after``, ascending."""
        found: list[tuple[bytes, bytes]] = []
        start, stop = schema.evidence_key(after), schema.table_end(Table.EVIDENCE)
        for key, value in self.rows(start, stop, include_start=not after):
            if len(found) == min(limit, PAGE_MAX):
                break
            found.append((key[1:], value))
        return tuple(found)

    def evidence_at(self, key: bytes) -> bytes | None:
        """Return the evidence with this key."""
        return self.row(schema.evidence_key(key))

    def scrub(self, after: bytes = b"", limit: int = 10_000) -> bytes | None:
        """Verify up to ``limit`` rows above the stored key ``after``; return where to go on, None at the end.

        For the slow background check of everything. Raises Damaged.
        """
        last: bytes | None = None
        count = 0
        for key, _ in self.rows(after, None, include_start=False):
            last, count = key, count + 1
            if count == limit:
                return last
        return None

    # --- rows ---

    def _stored_tip(self) -> Tip:
        tip = self._parsed(schema.TIP_KEY, _as_tip)
        if tip is None:
            raise Damaged("there is no tip")
        height, block_hash, root = tip
        return Tip(height, block_hash, root, self.certificate(height) or b"")

    def _parsed(self, key: bytes, shape: Callable[[object], T]) -> T | None:
        value = self.row(key)
        return None if value is None else _parse(key, value, shape)

    def row(self, key: bytes) -> bytes | None:
        """Return what is stored under a key of the schema, or None."""
        try:
            stored = self._source.get(key, verify_checksums=True)
        except (plyvel.Error, OSError) as error:
            raise translated(error) from error
        return None if stored is None else schema.unseal(key, stored)

    def rows(self, start: bytes, stop: bytes | None, **options: bool) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of the schema's rows from ``start`` up to ``stop``; ``options`` are the iterator's."""
        try:
            # A scan reads each row once: it must not push what payments need out of the cache.
            # Backwards plyvel misses a row that is alone in its range and equal to ``start``: we look at the start.
            first = None if options.get("reverse") else start
            with self._source.iterator(
                start=first, stop=stop, verify_checksums=True, fill_cache=False, **options
            ) as rows:
                for key, stored in rows:
                    if key < start:
                        return
                    yield key, schema.unseal(key, stored)
        except (plyvel.Error, OSError) as error:
            raise translated(error) from error


def translated(error: Exception) -> StorageError:
    """Return our error for one of LevelDB's."""
    if isinstance(error, plyvel.CorruptionError):
        return Damaged(words(error))
    return StorageFailed(words(error))


def words(error: Exception) -> str:
    """Return what LevelDB says; plyvel passes it on as bytes."""
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _parse(key: bytes, value: bytes, shape: Callable[[object], T]) -> T:
    try:
        return shape(decode(value))
    except DecodeError as error:
        raise Damaged(f"row {key[:40].hex()}: {error}") from None


def _number(key: bytes) -> int:
    return int.from_bytes(key[1:9], "big")


def _as_hash(value: object) -> bytes:
    return as_bytes(value, HASH_BYTES)


def _as_tip(value: object) -> tuple[int, bytes, bytes]:
    height, block_hash, root = as_tuple(value, 3)
    return as_int(height, 0, NUMBER_MAX), _as_hash(block_hash), _as_hash(root)


def _as_block(height: int, value: object) -> StoredBlock:
    block_hash, parent_hash, timestamp_ms, block_bytes = as_tuple(value, 4)
    return StoredBlock(height, _as_hash(block_hash), _as_hash(parent_hash), as_int(timestamp_ms), as_bytes(block_bytes))


def _as_roots(value: object) -> Roots:
    header, tree, outcomes, root = as_tuple(value, 4)
    return Roots(_as_hash(tree), _as_hash(outcomes), _as_hash(root), as_bytes(header))


def _as_transaction(value: object) -> StoredTransaction:
    height, index, digest, position, receipt = as_tuple(value, 5)
    return StoredTransaction(as_int(height), as_int(index), as_bytes(digest), as_int(position), as_bytes(receipt))
