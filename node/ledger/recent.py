"""What must not come twice within a window: transaction ids until they expire, and (payer, ref) of `once` pays.

One rule: each minute of expiry has one record in the state tree, (count, hash chain over its rows in order); the rows
themselves lie outside the tree and can be checked against the chain. A minute dies as one when block time passes it;
its rows are removed later, a bounded number a block, in key order, so that all nodes remove the same.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, Protocol

from consensus.encoding import as_bytes, as_int, as_tuple, decode, digest, encode
from node.ledger.errors import InvariantViolation
from node.ledger.parameters import MINUTE_MS

SEEN: Final = b"w"  # minute -> (count, chain)                       in the tree
ONCE: Final = b"o"  # minute -> (count, chain)                       in the tree
SEEN_ID: Final = b"I"  # minute, id -> position in the minute
ONCE_REF: Final = b"R"  # payer, ref -> (minute, transaction id)
ONCE_ROW: Final = b"Q"  # minute, position u32 -> (payer, ref)

IDS_IN_MEMORY: Final = 2_000_000  # about 200 MB; further minutes are asked of the store
SWEEP_ROWS: Final = 1_000  # dead rows that an empty block removes
SWEEP_FACTOR: Final = 2  # and for each new row this many more, so that dead rows cannot pile up

SLICE: Final = 64  # rows between two yields, about 0.2 ms

SEEN_TAG: Final = b"som-seen-1"
ONCE_TAG: Final = b"som-once-1"
EMPTY_CHAIN: Final = bytes(32)

Changes = dict[bytes, bytes | None]
Chain = tuple[int, bytes]  # count, head


class Reader(Protocol):
    """The state of the last stored block."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield rows with low <= key < high, ascending."""


class SeenIds:
    """The ids of executed transactions, until they expire. Ids of the open block count at once."""

    def __init__(self, reader: Reader, bound: int = IDS_IN_MEMORY) -> None:
        self._reader = reader
        self._bound = bound
        self._chains = _read_chains(reader, SEEN)
        self._ids: dict[int, set[bytes]] = {}  # whole minutes; others are asked of the reader
        self._count = 0
        self._fresh: dict[bytes, int] = {}  # id -> minute, of the block that is open or not yet stored
        self._dead = _DeadRows(reader, SEEN_ID)
        for minute, (count, _) in self._chains.items():
            if self._count + count <= bound:
                self._ids[minute] = {key[9:] for key, _ in reader.scan(*_minute_range(SEEN_ID, minute))}
                self._count += count

    def known(self, transaction_id: bytes, expires_ms: int) -> bool:
        """Return whether the id was executed before."""
        if transaction_id in self._fresh:
            return True
        minute = expires_ms // MINUTE_MS
        ids = self._ids.get(minute)
        if ids is not None:
            return transaction_id in ids
        return minute in self._chains and self._reader.get(_seen_key(minute, transaction_id)) is not None

    def remember(self, transaction_id: bytes, expires_ms: int) -> None:
        """Take an id that is not known."""
        if transaction_id in self._fresh:
            raise InvariantViolation("an id is executed twice")  # invariant 6
        self._fresh[transaction_id] = expires_ms // MINUTE_MS

    def begin(self) -> None:
        """Start a block: the reader now has all of the last one."""
        for transaction_id, minute in self._fresh.items():
            if minute in self._ids:
                self._ids[minute].add(transaction_id)
                self._count += 1
        self._fresh = {}
        while self._count > self._bound:
            fullest = max(self._ids, key=lambda minute: (len(self._ids[minute]), minute))
            self._count -= len(self._ids.pop(fullest))

    def finishing(self, time_ms: int, changes: Changes) -> Iterator[None]:
        """Add the changes of the block, in the tree and beside it, in slices."""
        for done, (transaction_id, minute) in enumerate(self._fresh.items(), 1):
            if minute not in self._chains:
                self._ids[minute] = set()
            count, chain = self._chains.get(minute, (0, EMPTY_CHAIN))
            changes[_seen_key(minute, transaction_id)] = encode(count)
            self._chains[minute] = (count + 1, digest(SEEN_TAG, chain, transaction_id))
            if done % SLICE == 0:
                yield
        for minute in dict.fromkeys(self._fresh.values()):
            changes[minute_key(SEEN, minute)] = encode(self._chains[minute])
        for minute, count in _drop_dead(self._chains, time_ms, SEEN, changes):
            self._count -= len(self._ids.pop(minute, ()))
            self._dead.add(count)
        for done, (key, _) in enumerate(self._dead.take(len(self._fresh), time_ms), 1):
            changes[key] = None
            if done % SLICE == 0:
                yield


class OnceRefs:
    """The (payer, ref) pairs of `once` pays, each with the transaction that paid."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._chains = _read_chains(reader, ONCE)
        self._fresh: dict[bytes, tuple[int, bytes]] = {}  # ref key -> (minute, id), of the block not yet stored
        self._dead = _DeadRows(reader, ONCE_ROW)

    def original(self, payer: int, ref: bytes, time_ms: int) -> bytes | None:
        """Return the id of the transaction that paid this ref within the window, or None."""
        found = self._find(_ref_key(payer, ref))
        return found[1] if found is not None and found[0] >= time_ms // MINUTE_MS else None

    def remember(self, payer: int, ref: bytes, until_ms: int, transaction_id: bytes) -> None:
        """Take a pair that has no original."""
        key = _ref_key(payer, ref)
        if key in self._fresh:
            raise InvariantViolation("a ref is paid twice")
        self._fresh[key] = (until_ms // MINUTE_MS, transaction_id)

    def mark(self) -> int:
        """Return a mark for ``undo``."""
        return len(self._fresh)

    def undo(self, mark: int) -> None:
        """Forget what was remembered since the mark."""
        while len(self._fresh) > mark:
            self._fresh.popitem()

    def begin(self) -> None:
        """Start a block: the reader now has all of the last one."""
        self._fresh = {}

    def finishing(self, time_ms: int, changes: Changes) -> Iterator[None]:
        """Add the changes of the block, in the tree and beside it, in slices."""
        changed: dict[int, None] = {}
        for done, (key, (minute, transaction_id)) in enumerate(list(self._fresh.items()), 1):
            count, chain = self._chains.get(minute, (0, EMPTY_CHAIN))
            changes[key] = encode((minute, transaction_id))
            changes[minute_key(ONCE_ROW, minute) + count.to_bytes(4, "big")] = key[1:]
            self._chains[minute] = (count + 1, digest(ONCE_TAG, chain, transaction_id, key[1:]))
            changed[minute] = None
            if done % SLICE == 0:
                yield
        for minute in changed:
            changes[minute_key(ONCE, minute)] = encode(self._chains[minute])
        for _, count in _drop_dead(self._chains, time_ms, ONCE, changes):
            self._dead.add(count)
        for done, (key, pair) in enumerate(self._dead.take(len(self._fresh), time_ms), 1):
            found = self._find(ONCE_REF + pair)
            if found is not None and found[0] < time_ms // MINUTE_MS:  # else the pair was paid again after its window
                changes[ONCE_REF + pair] = None
            changes[key] = None
            if done % SLICE == 0:
                yield

    def _find(self, key: bytes) -> tuple[int, bytes] | None:
        fresh = self._fresh.get(key)
        if fresh is not None:
            return fresh
        row = self._reader.get(key)
        if row is None:
            return None
        minute, transaction_id = as_tuple(decode(row), 2)
        return as_int(minute), as_bytes(transaction_id, 32)


class _DeadRows:
    """The rows of dead minutes that are still there.

    They are counted, and what is not there is not looked for: LevelDB keeps a mark for each row that was removed, and
    whoever looks beyond the last one steps over the marks of all rows that follow, of other minutes and other tables.
    """

    def __init__(self, reader: Reader, table: bytes) -> None:
        """The keys of ``table`` go on with the minute."""
        self._reader = reader
        self._table = table
        self._from = table
        self._left: int | None = None  # None: as many as there are, until a look finds the last one

    def add(self, count: int) -> None:
        """Hear of a minute that has died with so many rows."""
        if self._left is not None:
            self._left += count

    def take(self, fresh: int, time_ms: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows that a block of this time with so many new ones removes, in key order."""
        most = SWEEP_ROWS + SWEEP_FACTOR * fresh
        room = most if self._left is None else min(most, self._left)
        if not room:
            return
        taken = 0
        end = minute_key(self._table, time_ms // MINUTE_MS)
        for key, row in islice(self._reader.scan(self._from, end), room):
            taken += 1
            self._from = key + b"\0"
            yield key, row
        if taken < room:
            self._left = 0
        elif self._left is not None:
            self._left -= taken


def _read_chains(reader: Reader, prefix: bytes) -> dict[int, Chain]:
    chains: dict[int, Chain] = {}
    for key, row in reader.scan(prefix, bytes((prefix[0] + 1,))):
        count, chain = as_tuple(decode(row), 2)
        chains[int.from_bytes(key[1:], "big")] = (as_int(count), as_bytes(chain, 32))
    return chains


def _drop_dead(chains: dict[int, Chain], time_ms: int, prefix: bytes, changes: Changes) -> list[tuple[int, int]]:
    """Drop the minutes that lie wholly before block time; return each with its count."""
    dead = [(minute, count) for minute, (count, _) in chains.items() if minute < time_ms // MINUTE_MS]
    for minute, _ in dead:
        del chains[minute]
        changes[minute_key(prefix, minute)] = None
    return dead


def minute_key(prefix: bytes, minute: int) -> bytes:
    """Return the key of a minute's row, with which the keys of its rows beside the tree begin."""
    return prefix + minute.to_bytes(8, "big")


def _minute_range(prefix: bytes, minute: int) -> tuple[bytes, bytes]:
    return minute_key(prefix, minute), minute_key(prefix, minute + 1)


def _seen_key(minute: int, transaction_id: bytes) -> bytes:
    return minute_key(SEEN_ID, minute) + transaction_id


def _ref_key(payer: int, ref: bytes) -> bytes:
    return ONCE_REF + payer.to_bytes(8, "big") + ref
