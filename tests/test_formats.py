"""What is signed and hashed, byte by byte: made anew with hashlib and msgpack alone, as another implementation would.

A change of any of these bytes is a change of the protocol.
"""

from collections.abc import Iterator
from hashlib import sha256

import msgpack

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey, SecretKey
from consensus.messages import Hash, Header, Kind, header_hash, payload_hash, vote_statement
from node.batches import make_batch
from node.ledger.commitment import (
    EMPTY,
    FAN,
    bucket_index,
    chain_root,
    leaf_hash,
    outcome_leaf,
    outcomes_root,
)
from node.ledger.recent import Changes, OnceRefs, SeenIds
from node.ledger.statement import next_head
from node.ledger.transaction import transaction_id
from node.ledger.tree import Tree

GENESIS = b"g" * 32
SEED = b"s" * 32
ID, ROOT = b"i" * 32, b"r" * 32


def digest(tag: bytes, *parts: bytes) -> bytes:
    return sha256(tag + b"".join(parts)).digest()


def pack(*items: object) -> bytes:
    packed: bytes = msgpack.packb(items)
    return packed


def test_what_a_vote_signs() -> None:
    """R2"""
    assert vote_statement(GENESIS, Kind.FINALIZE, 3, 4, ROOT) == b"som-vote-1" + pack(GENESIS, 2, 3, 4, ROOT)


def test_what_names_a_block() -> None:
    """R2"""
    payload = payload_hash(b"payload")
    assert payload == digest(b"som-payload-1", b"payload")
    hashes = [Hash(bytes((number,)) * 32) for number in range(5)]
    header = Header(hashes[0], 1, 2, 3, 4, hashes[1], 5, 6, hashes[2], hashes[3], 7, hashes[4], payload, 9)
    fields = (9, hashes[0], 1, 2, 3, 4, hashes[1], 5, 6, hashes[2], hashes[3], 7, hashes[4], payload)
    assert header_hash(header) == digest(b"som-block-1", pack(*fields))


def test_what_names_a_committee() -> None:
    low, high = PublicKey(b"a" * 32), PublicKey(b"b" * 32)
    committee = Committee(7, [Validator(high, 2), Validator(low, 3)], allow_dominant=True)
    assert committee.hash == digest(b"som-committee-1", pack((low, 3), (high, 2)))


def test_what_a_transaction_and_a_batch_sign() -> None:
    assert transaction_id(GENESIS, b"body") == digest(b"som-tx-1", GENESIS, b"body")
    key = SecretKey(SEED)
    body = pack(key.public, 5, 6, (b"one", b"two"))
    batch = make_batch(GENESIS, key, 5, 6, (b"one", b"two"))
    assert batch.digest == digest(b"som-batch-1", GENESIS, body)
    assert batch.encoded == key.sign(batch.digest) + body


def test_the_root_of_outcomes() -> None:
    leaves = [outcome_leaf(bytes((number,)) * 32, b"receipt") for number in range(3)]
    assert leaves[2] == digest(b"som-outcome-1", b"\2" * 32, b"receipt")
    pair = digest(b"som-outcome-node-1", leaves[0], leaves[1])
    top = digest(b"som-outcome-node-1", pair, leaves[2])
    assert outcomes_root(leaves) == digest(b"som-outcomes-1", (3).to_bytes(4, "big"), top)
    assert outcomes_root(leaves[:1]) == digest(b"som-outcomes-1", (1).to_bytes(4, "big"), leaves[0])
    assert outcomes_root(()) == digest(b"som-outcomes-1", bytes(4), EMPTY)


def test_the_root_of_the_state() -> None:
    key, value = b"pname", b"value"
    leaf = digest(b"som-leaf-1", bytes((len(key),)), key, value)
    assert leaf_hash(key, value) == leaf
    index = int.from_bytes(digest(b"som-place-1", key)[:8], "big") % FAN
    assert bucket_index(key, 1) == index
    buckets = [b""] * FAN
    buckets[index] = bytes((len(key),)) + key + leaf
    level = [digest(b"som-bucket-1", bucket) for bucket in buckets]
    assert Tree(1, [(key, value)]).root == digest(b"som-node-1", *level)


def test_where_accounts_lie_in_the_tree() -> None:
    spread = 0x9E3779B97F4A7C15
    for participant, serial in ((1, 0), (101, 7), (101, 8), (9_999, 9_999_999_999)):
        first = participant * 10**10 + serial
        key = b"a" + (first * 100 + first % 97).to_bytes(8, "big")
        assert bucket_index(key, 3) == (participant * spread + serial // 8) % FAN**3


def test_the_chain_of_roots_and_of_statements() -> None:
    assert chain_root(ROOT, 9, ID, GENESIS) == digest(b"som-root-1", ROOT, (9).to_bytes(8, "big"), ID, GENESIS)
    assert next_head(ROOT, b"entry") == digest(b"som-entry-1", ROOT, b"entry")


class _Nothing:
    def get(self, key: bytes) -> bytes | None:
        return None

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(())


def test_the_chains_of_what_may_not_come_twice() -> None:
    """One record for each minute in the tree: how many, and a chain over them in order."""
    minute = 60_000
    seen, once = SeenIds(_Nothing()), OnceRefs(_Nothing())
    changes: Changes = {}
    for transaction in (ID, ROOT):
        seen.remember(transaction, 5 * minute + 1)
        once.remember(7, transaction[:3], 6 * minute, transaction)
    for _ in (*seen.finishing(0, changes), *once.finishing(0, changes)):
        pass
    pairs = [(7).to_bytes(8, "big") + transaction[:3] for transaction in (ID, ROOT)]
    ids = digest(b"som-seen-1", digest(b"som-seen-1", bytes(32), ID), ROOT)
    refs = digest(b"som-once-1", digest(b"som-once-1", bytes(32), ID, pairs[0]), ROOT, pairs[1])
    at_5, at_6 = (number.to_bytes(8, "big") for number in (5, 6))
    assert changes == {
        b"w" + at_5: pack(2, ids),
        b"o" + at_6: pack(2, refs),
        **{b"I" + at_5 + transaction: msgpack.packb(place) for place, transaction in enumerate((ID, ROOT))},
        **{b"R" + pair: pack(6, transaction) for pair, transaction in zip(pairs, (ID, ROOT), strict=True)},
        **{b"Q" + at_6 + place.to_bytes(4, "big"): pair for place, pair in enumerate(pairs)},
    }
