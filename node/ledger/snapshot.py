"""The state in pieces that check themselves: which rows go together, what a piece hashes to, what follows from it.

One rule: nothing is taken that the state tree does not commit to. Its own rows are hashed up to nodes of the tree; ids
and references within their window are hashed up to the chain of their minute, which is a row of the tree; indexes are
not taken at all, but made anew from the rows that they are of (docs/storage.md, section 9).
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import accumulate
from typing import Final, NamedTuple

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, digest, encode
from node.ledger.attestations import ATTESTATION, attestation_index
from node.ledger.commitment import BUCKET_TAG, FAN, NODE_TAG, bucket_index, leaf_hash
from node.ledger.holds import HOLD, hold_indexes
from node.ledger.orders import ORDER, order_indexes
from node.ledger.recent import (
    EMPTY_CHAIN,
    ONCE,
    ONCE_REF,
    ONCE_ROW,
    ONCE_TAG,
    SEEN,
    SEEN_ID,
    SEEN_TAG,
    Chain,
    Reader,
    minute_key,
)

ID_BYTES: Final = 32
PAIR_BYTES_MAX: Final = 8 + 35  # payer, ref

Rows = Sequence[tuple[bytes, bytes]]


class Node(NamedTuple):
    """A node of the state tree: ``place`` counts those of its level, which is 0 for buckets."""

    level: int
    place: int


# --- rows of the tree ---


def frontier(bucket_bytes: Sequence[int], depth: int, most: int) -> list[tuple[Node, int]]:
    """Return nodes that cover the tree once, in order, each with the bytes of its rows, which are ``most`` if it can.

    ``bucket_bytes`` are those of each bucket. The fewest nodes that do.
    """
    before = [0, *accumulate(bucket_bytes)]
    found: list[tuple[Node, int]] = []
    waiting = [Node(depth, 0)]
    while waiting:
        node = waiting.pop()
        span = FAN**node.level
        size = before[(node.place + 1) * span] - before[node.place * span]
        if size <= most or node.level == 0:
            found.append((node, size))
        else:
            waiting += [Node(node.level - 1, node.place * FAN + at) for at in reversed(range(FAN))]
    return found


def runs_of(nodes: Sequence[tuple[Node, int]], most: int) -> list[int]:
    """Return how many of the nodes, one after the other, go together so that their rows have ``most`` bytes."""
    runs: list[int] = []
    room = 0
    for _, size in nodes:
        if runs and size <= room:
            runs[-1] += 1
            room -= size
        else:
            runs.append(1)
            room = most - size
    return runs


def placed(levels: Sequence[int], depth: int) -> list[Node]:
    """Return the nodes of these levels, one after the other from the first bucket on. Raises DecodeError."""
    nodes: list[Node] = []
    bucket = 0
    for level in levels:
        span = FAN**level
        if bucket % span:
            raise DecodeError("a node where none of its level begins")
        nodes.append(Node(level, bucket // span))
        bucket += span
    if bucket != FAN**depth:
        raise DecodeError("the nodes do not cover the tree")
    return nodes


def folded(nodes: Sequence[tuple[Node, bytes]], depth: int) -> bytes:
    """Return the root over nodes that cover the tree (``placed``), each with its hash."""
    hashes = dict(nodes)
    for level in range(1, depth + 1):
        above: dict[int, list[bytes]] = {}
        for node, value in hashes.items():
            if node.level == level - 1:
                above.setdefault(node.place // FAN, []).append(value)
        for index, children in above.items():
            hashes[Node(level, index)] = sha256(NODE_TAG + b"".join(children)).digest()
        hashes = {node: value for node, value in hashes.items() if node.level >= level}
        hashes = dict(sorted(hashes.items(), key=lambda item: item[0].place << 4 * item[0].level))
    return hashes[Node(depth, 0)]


def sort_key(key: bytes, depth: int) -> tuple[int, int, bytes]:
    """Return by what rows are ordered in a piece: as the tree has them."""
    return bucket_index(key, depth), len(key), key


def node_hashes(nodes: Sequence[Node], rows: Rows, depth: int) -> list[bytes]:
    """Return the hash of each of the nodes, whose rows these are. Raises DecodeError for a row of another place."""
    buckets = _buckets(rows, depth)
    hashes: list[bytes] = []
    taken = 0
    for node in nodes:
        span = FAN**node.level
        low = node.place * span
        inside = {index: value for index, value in buckets.items() if low <= index < low + span}
        taken += len(inside)
        hashes.append(_node_hash(node.level, low, inside))
    if taken != len(buckets):
        raise DecodeError("a row of another place in the tree")
    return hashes


def _buckets(rows: Rows, depth: int) -> dict[int, bytes]:
    buckets: dict[int, bytearray] = {}
    last: tuple[int, int, bytes] = (-1, 0, b"")
    for key, value in rows:
        place = sort_key(key, depth)
        if place <= last:
            raise DecodeError("rows that do not ascend")
        last = place
        buckets.setdefault(place[0], bytearray(BUCKET_TAG)).extend(bytes((len(key),)) + key + leaf_hash(key, value))
    return {index: sha256(bucket).digest() for index, bucket in buckets.items()}


def _node_hash(level: int, first: int, hashes: dict[int, bytes]) -> bytes:
    empty = sha256(BUCKET_TAG).digest()
    low = first
    for _ in range(level):
        low //= FAN
        above: dict[int, bytes] = {}
        for index in sorted({each // FAN for each in hashes}):
            children = b"".join([hashes.get(index * FAN + at, empty) for at in range(FAN)])
            above[index] = sha256(NODE_TAG + children).digest()
        hashes, empty = above, sha256(NODE_TAG + empty * FAN).digest()
    return hashes.get(low, empty)


def indexes_of(key: bytes, row: bytes) -> list[tuple[bytes, bytes]]:
    """Return the rows beside the tree that a row of the tree is found by. Raises DecodeError."""
    table = key[:1]
    if table == HOLD:
        return hold_indexes(key, row)
    if table == ATTESTATION:
        return attestation_index(key, row)
    if table == ORDER:
        return order_indexes(key, row)
    return []


# --- ids and references within their window ---


def live_ids(reader: Reader) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (minute, ids in the order of their execution) of the minutes that live."""
    for minute, _ in read_chains(reader, SEEN):
        rows = reader.scan(minute_key(SEEN_ID, minute), minute_key(SEEN_ID, minute + 1))
        ordered = sorted((as_int(decode(row)), key[9:]) for key, row in rows)
        yield minute, [each for _, each in ordered]


def live_refs(reader: Reader) -> Iterator[tuple[int, list[tuple[bytes, bytes]]]]:
    """Yield (minute, [payer and ref as one, transaction id] in order) of the minutes that live."""
    for minute, _ in read_chains(reader, ONCE):
        found: list[tuple[bytes, bytes]] = []
        for _, pair in reader.scan(minute_key(ONCE_ROW, minute), minute_key(ONCE_ROW, minute + 1)):
            row = reader.get(ONCE_REF + pair)
            assert row is not None, "a once ref of a minute that lives has its row"
            _, transaction_id = as_tuple(decode(row), 2)
            found.append((pair, as_bytes(transaction_id, ID_BYTES)))
        yield minute, found


def read_chains(reader: Reader, table: bytes) -> Iterator[tuple[int, Chain]]:
    """Yield (minute, (count, chain)) of the minutes that live."""
    for key, row in reader.scan(table, bytes((table[0] + 1,))):
        yield decode_chain(key, row)


def decode_chain(key: bytes, row: bytes) -> tuple[int, Chain]:
    """Return the minute of a row of SEEN or ONCE, and its count and chain. Raises DecodeError."""
    count, chain = as_tuple(decode(row), 2)
    return int.from_bytes(key[1:], "big"), (as_int(count, 1), as_bytes(chain, 32))


class Minutes:
    """What is in a window, minute by minute in ascending order, held against what the tree says of each minute."""

    def __init__(self, chains: dict[int, Chain]) -> None:
        """``chains`` are those of the tree's rows of one table."""
        self._chains = dict(sorted(chains.items()))
        self._minute: int | None = None
        self._have: Chain = (0, EMPTY_CHAIN)

    def ids(self, minute: int, ids: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of the next ids. Raises DecodeError."""
        self._enter(minute)
        for each in ids:
            count, chain = self._have
            yield minute_key(SEEN_ID, minute) + each, encode(count)
            self._have = (count + 1, digest(SEEN_TAG, chain, each))

    def refs(self, minute: int, refs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of the next references. Raises DecodeError."""
        self._enter(minute)
        for pair, transaction_id in refs:
            count, chain = self._have
            yield ONCE_REF + pair, encode((minute, transaction_id))
            yield minute_key(ONCE_ROW, minute) + count.to_bytes(4, "big"), pair
            self._have = (count + 1, digest(ONCE_TAG, chain, transaction_id, pair))

    def close(self) -> None:
        """Raise DecodeError unless all minutes came, each whole."""
        self._leave()
        if self._chains:
            raise DecodeError("a minute is missing")

    def _enter(self, minute: int) -> None:
        if minute == self._minute:
            return
        self._leave()
        if next(iter(self._chains), None) != minute:
            raise DecodeError("a minute that is not the next one")
        self._minute = minute

    def _leave(self) -> None:
        if self._minute is not None and self._chains.pop(self._minute) != self._have:
            raise DecodeError("what came in a minute is not what the state has of it")
        self._minute, self._have = None, (0, EMPTY_CHAIN)
