"""The rows of the LevelDB store: every key prefix in one table, and what a key and a value look like.

One rule: no key is built and no value is sealed anywhere else. A key is one prefix byte and the fixed-width rest below;
integers in keys are u64 big-endian, so that rows stand in the order of their numbers. A value ends with SEAL_BYTES of
BLAKE2b over key and value: LevelDB's own checksums cover blocks of its files, ours the row, however it got there.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from hashlib import blake2b
from struct import Struct
from typing import Final

from node.storage.errors import Damaged

FORMAT: Final = 3  # of this table; a store of another format is refused
SEAL_BYTES: Final = 8
HASH_BYTES: Final = 32
NUMBER_MAX: Final = 2**64 - 1


class Table(bytes, Enum):
    """Prefix -> what its rows hold."""

    META = b"m"  # name -> see the names below
    BLOCK = b"b"  # height -> (block hash, parent hash, timestamp ms, block bytes)
    HEIGHT = b"h"  # block hash -> height
    CERTIFICATE = b"c"  # height -> finalization certificate; only heights that have one of their own
    ROOTS = b"r"  # height -> (header bytes, state tree root, outcomes root, root)
    OUTCOMES = b"o"  # height -> outcome leaf hashes, one after the other
    BATCH = b"p"  # batch digest -> batch bytes
    TRANSACTION = b"t"  # transaction id -> (height, index in block, batch digest, position in batch, receipt)
    STATE = b"s"  # ledger key -> ledger value
    ENTRY = b"e"  # account number, entry number -> statement entry
    REFERENCE = b"f"  # account number, ref length u8, ref, height, row u32 of the block -> what the node says of it
    EVIDENCE = b"v"  # key chosen by the node -> proof of misbehaviour
    ROSTER = b"n"  # height -> the validators' roster after it; only heights whose block changed it, and 0
    VERSION = b"w"  # height -> the protocol version u64 that is demanded after it; likewise


# A member's ``value`` costs as much as a whole key, and a block has thousands.
_BLOCK, _HEIGHT, _CERTIFICATE = Table.BLOCK.value, Table.HEIGHT.value, Table.CERTIFICATE.value
_ROOTS, _OUTCOMES, _BATCH, _TRANSACTION = (
    Table.ROOTS.value,
    Table.OUTCOMES.value,
    Table.BATCH.value,
    Table.TRANSACTION.value,
)
_STATE, _ENTRY, _EVIDENCE = Table.STATE.value, Table.ENTRY.value, Table.EVIDENCE.value
_REFERENCE = Table.REFERENCE.value
_pack_number = Struct(">Q").pack
_pack_entry = Struct(">cQQ").pack

Row = tuple[bytes, bytes | None]  # key, value; None removes

END: Final = b"\xff"  # behind the rows of all tables
GENESIS_KEY: Final = Table.META.value + b"genesis"  # -> (format, genesis hash)
TIP_KEY: Final = Table.META.value + b"tip"  # -> (height, block hash, root)
BASE_KEY: Final = Table.META.value + b"base"  # -> height at which the store begins (Reads.base); none: 0


def number(value: int) -> bytes:
    """Return ``value`` as it stands in keys: u64 big-endian."""
    return _pack_number(value)


def block_key(height: int) -> bytes:
    """Return the key of the block at ``height``."""
    return _BLOCK + number(height)


def height_key(block_hash: bytes) -> bytes:
    """Return the key of the height of the block with ``block_hash``."""
    return _HEIGHT + block_hash


def certificate_key(height: int) -> bytes:
    """Return the key of the certificate that finalizes ``height``."""
    return _CERTIFICATE + number(height)


def roots_key(height: int) -> bytes:
    """Return the key of the roots after ``height``."""
    return _ROOTS + number(height)


def outcomes_key(height: int) -> bytes:
    """Return the key of the outcome leaves of ``height``."""
    return _OUTCOMES + number(height)


def batch_key(digest: bytes) -> bytes:
    """Return the key of the batch with ``digest``."""
    return _BATCH + digest


def transaction_key(tx_id: bytes) -> bytes:
    """Return the key of the place and the receipt of the transaction."""
    return _TRANSACTION + tx_id


def state_key(key: bytes) -> bytes:
    """Return the key of the ledger's ``key``."""
    return _STATE + key


def entry_key(account: int, entry: int) -> bytes:
    """Return the key of statement entry number ``entry`` of ``account``."""
    return _pack_entry(_ENTRY, account, entry)


def reference_prefix(account: int, ref: bytes) -> bytes:
    """Return how the keys of all rows of one account and ref begin."""
    return _REFERENCE + number(account) + bytes((len(ref),)) + ref


def reference_key(account: int, ref: bytes, height: int, row: int) -> bytes:
    """Return the key of row ``row`` of a block in the index by reference."""
    return reference_prefix(account, ref) + number(height) + row.to_bytes(4, "big")


def evidence_key(key: bytes) -> bytes:
    """Return the key of the evidence that the node calls ``key``."""
    return _EVIDENCE + key


def roster_key(height: int) -> bytes:
    """Return the key of the roster that the block at ``height`` left behind."""
    return Table.ROSTER.value + number(height)


def version_key(height: int) -> bytes:
    """Return the key of the protocol version that the block at ``height`` demanded."""
    return Table.VERSION.value + number(height)


def table_end(table: Table) -> bytes:
    """Return the first key after all rows of ``table``."""
    return bytes([table.value[0] + 1])


def seal(key: bytes, value: bytes) -> bytes:
    """Return ``value`` as it is stored under ``key``."""
    return value + blake2b(key + value, digest_size=SEAL_BYTES).digest()


def put_sealed(rows: Iterable[Row], put: Callable[[bytes, bytes], None], delete: Callable[[bytes], None]) -> None:
    """Give the rows to ``put`` as they are stored, and to ``delete`` those to be removed: ``seal`` for thousands."""
    for key, value in rows:
        if value is None:
            delete(key)
        else:
            put(key, value + blake2b(key + value, digest_size=SEAL_BYTES).digest())


def unseal(key: bytes, stored: bytes) -> bytes:
    """Return the value that was stored under ``key``. Raises Damaged."""
    value = stored[:-SEAL_BYTES]
    if blake2b(key + value, digest_size=SEAL_BYTES).digest() != stored[-SEAL_BYTES:]:
        raise Damaged(f"row {key[:40].hex()}: the checksum does not fit")
    return value
