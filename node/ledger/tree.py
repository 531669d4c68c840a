"""The state tree, whole in memory: built by a scan of the state, kept up to date block by block, asked for proofs.

One rule: what the tree is depends on the rows alone, never on the order in which they came (commitment.py says what
it commits to). Work is done by bucket: rows that come in the order of their keys are put eight at a time.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final

from node.ledger.commitment import (
    ACCOUNT_KEY,
    ACCOUNT_KEY_BYTES,
    ACCOUNTS_PER_BUCKET,
    BUCKET_TAG,
    DEPTH_MAX,
    FAN,
    HASH_BYTES,
    LEAF_TAG,
    NODE_BYTES,
    NODE_TAG,
    Proof,
    bucket_index,
)

SLICE: Final = 64  # rows or nodes between two yields, about 0.2 ms
NEIGHBOURS: Final = 100 * ACCOUNTS_PER_BUCKET  # account numbers end in two check digits
ALONE: Final = -1  # no neighbourhood: a key whose bucket nothing tells but its own hash

_ACCOUNT_HEAD: Final = bytes((ACCOUNT_KEY_BYTES,))

Entries = dict[bytes, bytes]  # length and key -> length, key and leaf hash; nothing where the row is removed


class Tree:
    """The tree. For each account 42 bytes; for each bucket 34, and 33 more where it is not empty; docs/performance.md.

    An update may be taken in slices; until its end ``root`` and ``prove`` speak of the state before it.
    """

    __slots__ = ("_buckets", "_depth", "_levels", "_old_buckets", "_old_nodes")

    def __init__(self, depth: int, rows: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Build from (key, value) rows in any order; in ascending order in a third of the time."""
        assert 1 <= depth <= DEPTH_MAX
        self._depth = depth
        self._buckets: list[bytes] = [b""] * FAN**depth
        # What the update in progress has overwritten: by bucket, and by level and node.
        self._old_buckets: dict[int, bytes] = {}
        self._old_nodes: list[dict[int, bytes]] = [{} for _ in range(depth + 1)]
        for index, entries in _by_bucket(rows, depth):
            self._buckets[index] = _merged(self._buckets[index], entries)
        self._levels = _levels_over(self._buckets, depth)

    @property
    def root(self) -> bytes:
        """The hash of the whole state."""
        return self._node(self._depth, 0)

    @property
    def depth(self) -> int:
        return self._depth

    def update(self, changes: Mapping[bytes, bytes | None]) -> bytes:
        """Put values, remove where None, and return the new root."""
        for _ in self.updating(changes.items()):
            pass
        return self.root

    def updating(self, changes: Iterable[tuple[bytes, bytes | None]]) -> Iterator[None]:
        """Update in slices: yield every few hundred microseconds. To be run to its end before the next update."""
        old, buckets = self._old_buckets, self._buckets
        done = 0
        for index, entries in _by_bucket(changes, self._depth):
            bucket = buckets[index]
            old.setdefault(index, bucket)
            buckets[index] = _merged(bucket, entries)
            done += len(entries)
            if done >= SLICE:
                done = 0
                yield
        yield from self._rehash(dict.fromkeys(old))
        self._old_buckets = {}
        self._old_nodes = [{} for _ in self._levels]

    def prove(self, key: bytes) -> Proof:
        """Return the proof of what ``key`` has, or that it is absent."""
        index = bucket_index(key, self._depth)
        bucket = self._old_buckets.get(index, self._buckets[index])
        path: list[bytes] = []
        for height in range(self._depth):
            first = index - index % FAN
            path.append(b"".join([self._node(height, first + at) for at in range(FAN) if first + at != index]))
            index //= FAN
        return Proof(bucket, tuple(path))

    def _node(self, height: int, index: int) -> bytes:
        old = self._old_nodes[height].get(index)
        return bytes(self._levels[height][index * HASH_BYTES : (index + 1) * HASH_BYTES]) if old is None else old

    def _rehash(self, dirty: dict[int, None]) -> Iterator[None]:
        buckets, level, old = self._buckets, self._levels[0], self._old_nodes[0]
        for count, index in enumerate(dirty, 1):
            place = slice(index * HASH_BYTES, (index + 1) * HASH_BYTES)
            old[index] = bytes(level[place])
            level[place] = sha256(BUCKET_TAG + buckets[index]).digest()
            if count % SLICE == 0:
                yield
        for above, old in zip(self._levels[1:], self._old_nodes[1:], strict=True):
            dirty = dict.fromkeys([index // FAN for index in dirty])
            for count, index in enumerate(dirty, 1):
                place = slice(index * HASH_BYTES, (index + 1) * HASH_BYTES)
                old[index] = bytes(above[place])
                above[place] = sha256(NODE_TAG + level[index * NODE_BYTES : (index + 1) * NODE_BYTES]).digest()
                if count % SLICE == 0:
                    yield
            level = above


def _by_bucket(rows: Iterable[tuple[bytes, bytes | None]], depth: int) -> Iterator[tuple[int, Entries]]:
    """Yield (bucket, entries) of the rows, those together that come together and are neighbours."""
    neighbourhood, index = ALONE, 0
    entries: Entries = {}
    for key, value in rows:
        if key[0] == ACCOUNT_KEY and len(key) == ACCOUNT_KEY_BYTES:
            head = _ACCOUNT_HEAD + key
            found = int.from_bytes(key[1:], "big") // NEIGHBOURS
        else:
            head = bytes((len(key),)) + key
            found = ALONE
        if found != neighbourhood or found == ALONE:
            if entries:
                yield index, entries
                entries = {}
            neighbourhood, index = found, bucket_index(key, depth)
        entries[head] = b"" if value is None else head + sha256(LEAF_TAG + head + value).digest()
    if entries:
        yield index, entries


def _merged(bucket: bytes, entries: Entries) -> bytes:
    """Return the bucket with the entries put in their places."""
    if len(entries) == 1 and bucket:
        ((head, entry),) = entries.items()
        return _replaced(bucket, head, entry)
    if bucket:
        entries = {**_split(bucket), **entries}
    return b"".join([entries[head] for head in sorted(entries)])


def _replaced(bucket: bytes, head: bytes, entry: bytes) -> bytes:
    """Return the bucket with one entry put, or removed where it is empty."""
    at = 0
    while at < len(bucket):
        stop = at + 1 + bucket[at]
        found = bucket[at:stop]
        if found >= head:
            rest = stop + HASH_BYTES if found == head else at
            return bucket[:at] + entry + bucket[rest:]
        at = stop + HASH_BYTES
    return bucket + entry


def _split(bucket: bytes) -> Entries:
    entries: Entries = {}
    at = 0
    while at < len(bucket):
        stop = at + 1 + bucket[at]
        end = stop + HASH_BYTES
        entries[bucket[at:stop]] = bucket[at:end]
        at = end
    return entries


def _levels_over(buckets: list[bytes], depth: int) -> list[bytearray]:
    """Return the hashes of the buckets and, level by level, of the nodes above them."""
    node = sha256(BUCKET_TAG).digest()
    level = bytearray(node * FAN**depth)
    for index, bucket in enumerate(buckets):
        if bucket:
            level[index * HASH_BYTES : (index + 1) * HASH_BYTES] = sha256(BUCKET_TAG + bucket).digest()
    levels = [level]
    for height in range(1, depth + 1):
        empty = node * FAN
        node = sha256(NODE_TAG + empty).digest()
        above = bytearray(node * FAN ** (depth - height))
        for index in range(FAN ** (depth - height)):
            children = level[index * NODE_BYTES : (index + 1) * NODE_BYTES]
            if children != empty:
                above[index * HASH_BYTES : (index + 1) * HASH_BYTES] = sha256(NODE_TAG + children).digest()
        levels.append(above)
        level = above
    return levels
