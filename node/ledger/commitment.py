"""What a block header commits to: the tree over the state, the tree over outcomes, and the chain of roots.

One rule: everything below `verify_*` needs bytes only, so a client that holds a header needs nobody's word.

The state tree has 16**depth buckets. A bucket is the concatenation of its entries [key length u8, key, leaf hash],
ascending; its hash is over all of them, so that a proof shows a key's presence and its absence alike. Above the buckets
each node is the hash of its 16 children, level by level, in flat arrays. Neighbouring account serials share a bucket:
blocks that pay people in order touch few nodes (docs/ledger.md, section 6). tree.py keeps it.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from consensus.encoding import as_bytes, as_int, as_tuple, decode, digest, encode

HASH_BYTES: Final = 32
DEPTH_BITS: Final = 4
FAN: Final = 1 << DEPTH_BITS
NODE_BYTES: Final = FAN * HASH_BYTES
DEPTH_MAX: Final = 6
KEY_BYTES_MAX: Final = 255
BUCKET_BYTES_MAX: Final = 1 << 20  # of a proof: 25,000 accounts where 8 are usual

ACCOUNT_KEY: Final = 0x61  # b"a", the first byte of an account's state key
ACCOUNT_KEY_BYTES: Final = 9
ACCOUNTS_PER_BUCKET: Final = 8
SPREAD: Final = 0x9E3779B97F4A7C15  # odd (2**64 / golden ratio): spreads participants over the buckets

PLACE_TAG: Final = b"som-place-1"
LEAF_TAG: Final = b"som-leaf-1"
BUCKET_TAG: Final = b"som-bucket-1"
NODE_TAG: Final = b"som-node-1"
OUTCOME_TAG: Final = b"som-outcome-1"
OUTCOME_NODE_TAG: Final = b"som-outcome-node-1"
OUTCOMES_TAG: Final = b"som-outcomes-1"
ROOT_TAG: Final = b"som-root-1"

EMPTY: Final = bytes(HASH_BYTES)
OUTCOMES_MAX: Final = 2**32 - 1
OUTCOME_PATH_MAX: Final = 32  # levels


class Proof(NamedTuple):
    """That a state key has a value or is absent: its bucket, and from the bottom up the 15 siblings of each node."""

    bucket: bytes
    path: tuple[bytes, ...]  # depth times 480 bytes


class OutcomeProof(NamedTuple):
    """That a receipt is at ``position`` of a block with ``size`` outcomes; siblings from the bottom up."""

    position: int
    size: int
    path: tuple[bytes, ...]


def leaf_hash(key: bytes, value: bytes) -> bytes:
    """Return the hash of one state row."""
    return sha256(b"%b%c%b%b" % (LEAF_TAG, len(key), key, value)).digest()


def bucket_index(key: bytes, depth: int) -> int:
    """Return the bucket of a state key: by participant and serial for accounts, by hash for the few others."""
    assert 0 < len(key) <= KEY_BYTES_MAX
    if key[0] == ACCOUNT_KEY and len(key) == ACCOUNT_KEY_BYTES:
        first = int.from_bytes(key[1:], "big") // 100  # without the check digits
        place = first // 10**10 * SPREAD + first % 10**10 // ACCOUNTS_PER_BUCKET
    else:
        place = int.from_bytes(digest(PLACE_TAG, key)[:8], "big")
    return place & (1 << DEPTH_BITS * depth) - 1


# --- proofs of the state ---


def verify_proof(state_tree_root: bytes, key: bytes, value: bytes | None, proof: Proof) -> bool:
    """Return whether the state of that root has ``value`` under ``key``, or nothing if None. Never raises."""
    if not 0 < len(key) <= KEY_BYTES_MAX or not 1 <= len(proof.path) <= DEPTH_MAX:
        return False
    entries = _entries(proof.bucket)
    if entries is None or entries.get(key) != (None if value is None else leaf_hash(key, value)):
        return False
    index = bucket_index(key, len(proof.path))
    node = sha256(BUCKET_TAG + proof.bucket).digest()
    for siblings in proof.path:
        if len(siblings) != NODE_BYTES - HASH_BYTES:
            return False
        at = index % FAN * HASH_BYTES
        node = sha256(NODE_TAG + siblings[:at] + node + siblings[at:]).digest()
        index //= FAN
    return node == state_tree_root


def _entries(bucket: bytes) -> dict[bytes, bytes] | None:
    """Return key -> leaf hash, or None unless the bucket's form is right: whole entries that ascend strictly."""
    entries: dict[bytes, bytes] = {}
    at, before = 0, b""
    while at < len(bucket):
        stop = at + 1 + bucket[at]
        head = bucket[at:stop]
        if head <= before or stop + HASH_BYTES > len(bucket):
            return None
        entries[head[1:]] = bucket[stop : stop + HASH_BYTES]
        at, before = stop + HASH_BYTES, head
    return entries


def encode_proof(proof: Proof) -> bytes:
    """Return [bucket, [siblings ...]]."""
    return encode(proof)


def decode_proof(data: bytes) -> Proof:
    """Return the proof. Raises DecodeError."""
    bucket, path = as_tuple(decode(data), 2)
    levels = as_tuple(path, most=DEPTH_MAX)
    return Proof(
        as_bytes(bucket, most=BUCKET_BYTES_MAX), tuple(as_bytes(level, NODE_BYTES - HASH_BYTES) for level in levels)
    )


# --- outcomes: a binary tree as in RFC 6962, section 2.1, under our own tags ---


def outcome_leaf(transaction_id: bytes, receipt: bytes) -> bytes:
    """Return the leaf hash of one outcome; ``receipt`` as encoded."""
    return sha256(b"%b%b%b" % (OUTCOME_TAG, transaction_id, receipt)).digest()


def outcomes_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over the leaf hashes of a block, in order."""
    level = list(leaves)
    while len(level) > 1:
        level = _paired(level)
    return _counted(len(leaves), level[0] if level else EMPTY)


def prove_outcome(leaves: Sequence[bytes], index: int) -> OutcomeProof:
    """Return the proof of the outcome at ``index``."""
    assert 0 <= index < len(leaves)
    path: list[bytes] = []
    level, at = list(leaves), index
    while len(level) > 1:
        if at ^ 1 < len(level):
            path.append(level[at ^ 1])
        level, at = _paired(level), at // 2
    return OutcomeProof(index, len(leaves), tuple(path))


def verify_outcome(root: bytes, transaction_id: bytes, receipt: bytes, proof: OutcomeProof) -> bool:
    """Return whether the block of that outcomes root gave this receipt. Never raises."""
    at, width = proof.position, proof.size
    if not 0 <= at < width <= OUTCOMES_MAX:
        return False
    node = outcome_leaf(transaction_id, receipt)
    used = 0
    while width > 1:
        if at ^ 1 < width:
            if used == len(proof.path):
                return False
            other = proof.path[used]
            node = _pair(other, node) if at & 1 else _pair(node, other)
            used += 1
        at, width = at // 2, (width + 1) // 2
    return used == len(proof.path) and _counted(proof.size, node) == root


def encode_outcome_proof(proof: OutcomeProof) -> bytes:
    """Return [position, size, [siblings ...]]."""
    return encode(proof)


def decode_outcome_proof(data: bytes) -> OutcomeProof:
    """Return the proof. Raises DecodeError."""
    position, size, path = as_tuple(decode(data), 3)
    levels = as_tuple(path, most=OUTCOME_PATH_MAX)
    return OutcomeProof(
        as_int(position, 0, OUTCOMES_MAX),
        as_int(size, 0, OUTCOMES_MAX),
        tuple(as_bytes(level, HASH_BYTES) for level in levels),
    )


def _paired(level: list[bytes]) -> list[bytes]:
    pairs = [_pair(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return [*pairs, level[-1]] if len(level) % 2 else pairs


def _pair(left: bytes, right: bytes) -> bytes:
    return sha256(OUTCOME_NODE_TAG + left + right).digest()


def _counted(count: int, root: bytes) -> bytes:
    return digest(OUTCOMES_TAG, count.to_bytes(4, "big"), root)


# --- the chain of roots ---


def chain_root(before: bytes, height: int, state_tree_root: bytes, outcomes: bytes) -> bytes:
    """Return the root that headers carry for ``height``; ``before`` is that of height - 1, for 0 it is zeros."""
    return digest(ROOT_TAG, before, height.to_bytes(8, "big"), state_tree_root, outcomes)


def extend_root(root: bytes, height: int, later: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the root of a later height from that of ``height`` and the (state tree, outcomes) roots in between."""
    for state_tree_root, outcomes in later:
        height += 1
        root = chain_root(root, height, state_tree_root, outcomes)
    return root
