"""A small chain of plain bytes, for the tests of the store: every row of a block follows from its height."""

from hashlib import sha256
from pathlib import Path

from consensus.encoding import digest
from node.storage.records import BlockRecord, Placed, Roots
from node.storage.store import Store

GENESIS = sha256(b"genesis").digest()
ACCOUNTS = 5
GENESIS_STATE = {b"account %d" % account: b"opened" for account in range(ACCOUNTS)}


def block_hash(height: int) -> bytes:
    return sha256(block_bytes(height)).digest() if height else GENESIS


def block_bytes(height: int) -> bytes:
    return b"block %d " % height + block_hash(height - 1)


def identify(block: bytes) -> tuple[bytes, bytes]:
    """Return hash and parent hash, as the node recomputes them from a block's bytes."""
    if len(block) < 40:
        raise ValueError("not a block")
    return sha256(block).digest(), block[-32:]


def chain_root(before: bytes, height: int, tree: bytes, outcomes: bytes) -> bytes:
    return digest(b"som-root-1", before, height.to_bytes(8, "big"), tree, outcomes)


def roots(height: int) -> Roots:
    if not height:
        return Roots(bytes(32), bytes(32), bytes(32))
    tree, outcomes = digest(b"tree", b"%d" % height), digest(b"outcomes", b"%d" % height)
    return Roots(tree, outcomes, chain_root(roots(height - 1).root, height, tree, outcomes), b"header %d" % height)


def tx_id(height: int, index: int) -> bytes:
    return digest(b"tx", b"%d.%d" % (height, index))


def batch(height: int) -> tuple[bytes, bytes]:
    content = digest(b"content", b"%d" % height) * 8
    return sha256(content).digest(), content


def changes(height: int) -> dict[bytes, bytes | None]:
    gone: dict[bytes, bytes | None] = {b"seen %d" % (height - 1): None} if height > 1 else {}
    return {
        b"account %d" % (height % ACCOUNTS): b"at %d" % height,
        b"seen %d" % height: b"",
        b"height": b"%d" % height,
    } | gone


def state(height: int) -> dict[bytes, bytes]:
    """Return the whole state after ``height``."""
    result = dict(GENESIS_STATE)
    for below in range(1, height + 1):
        for key, value in changes(below).items():
            if value is None:
                result.pop(key)
            else:
                result[key] = value
    return result


def last_roster(height: int) -> int:
    """Return the newest height at or below ``height`` that left another roster behind; 0 for that of genesis."""
    return height // 7 * 7


def roster(height: int) -> bytes:
    return b"roster %d" % last_roster(height)


def last_version(height: int) -> int:
    """Return the newest height at or below ``height`` that demanded another protocol version; 0 for that of genesis."""
    return height // 11 * 11


def version(height: int) -> int:
    return 1 + last_version(height)


def record(height: int, transactions: int = 2) -> BlockRecord:
    name, content = batch(height)
    return BlockRecord(
        height=height,
        block_hash=block_hash(height),
        parent_hash=block_hash(height - 1),
        block_bytes=block_bytes(height),
        timestamp_ms=1_000 * height,
        certificate=b"certificate %d" % height,
        roots=roots(height),
        transactions=[
            Placed(tx_id(height, at), at, name, at, b"receipt %d.%d" % (height, at), at == 0)
            for at in range(transactions)
        ],
        outcome_leaves=b"".join(tx_id(height, at) for at in range(transactions)),
        batches={name: content},
        changes=changes(height),
        entries=[(height % ACCOUNTS, height, b"entry %d" % height)],
        evidence={b"evidence %d" % height: b"proof"} if height % 50 == 0 else {},
        roster=roster(height) if height == last_roster(height) else None,
        version=version(height) if height == last_version(height) else None,
    )


def grown(path: Path, height: int) -> None:
    """Create a store with ``height`` blocks."""
    Store.create(path, GENESIS, GENESIS_STATE, roots=roots(0), roster=roster(0))
    store = Store.open(path, GENESIS)
    for at in range(1, height + 1):
        store.commit(record(at))
    store.close()


def require_whole(store: Store) -> int:
    """Read everything and assert that it is exactly the chain up to the tip. Return the tip's height."""
    height = store.tip.height
    for at in range(1, height + 1):
        expected = record(at)
        block = store.block(at)
        assert block is not None, f"block {at} of {height} is missing"
        assert (block.block_hash, block.parent_hash) == (expected.block_hash, expected.parent_hash)
        assert (block.block_bytes, block.timestamp_ms) == (expected.block_bytes, expected.timestamp_ms)
        assert store.block_by_hash(expected.block_hash) == block
        assert store.certificate(at) == expected.certificate
        assert store.roots(at) == expected.roots
        assert store.outcome_leaves(at) == expected.outcome_leaves
        assert store.roster_at(at) == roster(at)
        assert store.version_at(at) == version(at)
        for name, content in expected.batches.items():
            assert store.batch(name) == content
        for index, placed in enumerate(expected.transactions):
            found = store.transaction(placed.tx_id)
            assert found is not None
            assert (found.height, found.index, found.position) == (at, index, placed.position)
            assert (found.batch_digest, found.receipt) == (placed.batch_digest, placed.receipt)
    assert dict(store.scan_all()) == state(height)
    for key, value in state(height).items():
        assert store.get(key) == value
    for account in range(ACCOUNTS):
        expected_entries = [(at, b"entry %d" % at) for at in range(1, height + 1) if at % ACCOUNTS == account]
        assert list(store.entries(account, limit=1_000)) == expected_entries
    assert [key for key, _ in store.evidence()] == sorted(b"evidence %d" % at for at in range(50, height + 1, 50))
    assert store.block(height + 1) is None
    store.check(identify=identify, chain_root=chain_root)
    return height
