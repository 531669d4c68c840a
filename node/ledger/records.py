"""Rows of the state other than accounts and parameters: holds, attestations, orders, recoveries and their indexes.

One rule: a row is bytes under a key, and everything that an operation writes can be undone. Who owns a kind of row
(holds.py, attest.py, order.py, ...) alone knows its form and keeps its index rows in step.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

from node.ledger.recent import Changes, Reader

FEW: Final = 64  # above it, a pass over all keys is cheaper than so many single moves

_ABSENT: Final = object()


class Records:
    """Rows over the stored state: those of the open block, those of the finished block that may not be stored yet."""

    __slots__ = ("_finished", "_fresh", "_keys", "_log", "_reader", "_recent", "_sealed")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._finished: Changes = {}
        self._sealed: Changes = {}  # of the open block, when it writes no more
        self._fresh: Changes = {}
        self._keys: list[bytes] = []  # of both, ascending
        self._recent: list[bytes] = []  # keys that no scan has asked for yet, as they came
        self._log: list[tuple[bytes, object]] = []  # what the open transaction has overwritten in _fresh

    def get(self, key: bytes) -> bytes | None:
        """Return the row as the open transaction sees it."""
        if key in self._fresh:
            return self._fresh[key]
        if key in self._sealed:
            return self._sealed[key]
        return self.before(key)

    def before(self, key: bytes) -> bytes | None:
        """Return the row as of the last finished block."""
        if key in self._finished:
            return self._finished[key]
        return self._reader.get(key)

    def put(self, key: bytes, row: bytes | None) -> None:
        """Write a row, or remove it where None."""
        if key not in self._fresh and self._is_new(key):
            self._recent.append(key)
        self._log.append((key, self._fresh.get(key, _ABSENT)))
        self._fresh[key] = row

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield rows with low <= key < high, ascending, as the open transaction sees them. Write nothing meanwhile."""
        self._sort()
        keys = self._keys
        at, end = bisect_left(keys, low), bisect_left(keys, high)
        for key, row in self._reader.scan(low, high):
            while at < end and keys[at] < key:
                yield from self._present(keys[at])
                at += 1
            if at < end and keys[at] == key:
                yield from self._present(key)
                at += 1
            else:
                yield key, row
        for key in keys[at:end]:
            yield from self._present(key)

    def changes(self) -> Changes:
        """Return what the open block has written so far, once sealed without trials; None removes."""
        return self._sealed or self._fresh

    def seal(self) -> Changes:
        """End the writing of the block: what is written from here on is a trial, to be undone.

        Return its changes, which no trial touches, so that they can be read in slices; the caller may add other rows.
        """
        self._sealed, self._fresh, self._log = self._fresh, {}, []
        return self._sealed

    def begin_block(self) -> None:
        """Start a block: the reader now has all of the last one."""
        self._finished = {}
        self._keys = []
        self._recent = []

    def begin_transaction(self) -> None:
        """Start a transaction."""
        self._log = []

    def undo(self) -> None:
        """Put everything back as it was when the transaction began."""
        gone: list[bytes] = []
        for key, row in reversed(self._log):
            if row is _ABSENT:
                del self._fresh[key]
                if self._is_new(key):
                    gone.append(key)
            else:
                self._fresh[key] = row  # type: ignore[assignment]
        self._log = []
        self._forget(gone)

    def close_block(self) -> None:
        """From here on readers see the block as finished."""
        self._finished, self._fresh, self._sealed = self.changes(), {}, {}

    def _is_new(self, key: bytes) -> bool:
        """Return whether only the open transaction or a trial has written it."""
        return key not in self._sealed and key not in self._finished

    def _sort(self) -> None:
        """Put the recent keys in their places: one by one if they are few, else all at once."""
        if len(self._recent) <= FEW:
            for key in self._recent:
                insort(self._keys, key)
        else:
            self._keys += self._recent
            self._keys.sort()
        self._recent = []

    def _forget(self, gone: list[bytes]) -> None:
        """Take out keys of the open transaction, the last first. Those since the last scan end the recent ones."""
        gone.reverse()
        while gone and self._recent and self._recent[-1] == gone[-1]:
            self._recent.pop()
            gone.pop()
        if len(gone) <= FEW:
            for key in gone:
                del self._keys[bisect_left(self._keys, key)]
        else:
            removed = frozenset(gone)
            self._keys = [key for key in self._keys if key not in removed]

    def _present(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        row = self.get(key)
        if row is not None:
            yield key, row


def after(prefix: bytes) -> bytes:
    """Return the least key above all keys that begin with ``prefix``, a table's letter first."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")
