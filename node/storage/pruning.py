"""Which rows of the store go when old heights are given up.

One rule: what a row's key does not say, its block or the row itself does; nothing is guessed, and a second run finds
what the first one left.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from node.storage import schema
from node.storage.records import StoredBlock
from node.storage.schema import Table
from node.storage.store import Store

PARTS: Final = 16  # of a table whose rows are in no order of time: a compaction copies one part at a time
BY_HEIGHT: Final = (Table.BLOCK, Table.CERTIFICATE, Table.ROOTS, Table.OUTCOMES)
BY_NAME: Final = (Table.HEIGHT, Table.BATCH, Table.TRANSACTION)


def rows_of_content(
    height: int, batches: Sequence[bytes], transactions: Sequence[bytes], references: Sequence[tuple[int, bytes, int]]
) -> list[bytes]:
    """Return the keys of what a block brought: its batches, transactions, references (account, ref, row), outcomes."""
    return [
        schema.outcomes_key(height),
        *map(schema.batch_key, batches),
        *map(schema.transaction_key, transactions),
        *(schema.reference_key(account, ref, height, row) for account, ref, row in references),
    ]


def rows_of_block(block: StoredBlock) -> list[bytes]:
    """Return the keys of a block itself."""
    return [schema.block_key(block.height), schema.height_key(block.block_hash), schema.certificate_key(block.height)]


def row_of_roots(height: int) -> bytes:
    """Return the key of a height's roots."""
    return schema.roots_key(height)


def old_entries(store: Store, is_old: Callable[[bytes], bool]) -> Iterator[bytes | None]:
    """Yield the keys of statement entries that are old, and None between. An account's old entries are its first."""
    start, end = schema.entry_key(0, 0), schema.table_end(Table.ENTRY)
    while True:
        following: bytes | None = None
        for key, value in store.rows(start, end):
            if not is_old(value):
                following = schema.entry_key(int.from_bytes(key[1:9], "big") + 1, 0)
                break
            yield key
        yield None
        if following is None:
            return
        start = following


def ranges_to_give_back(base: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield ranges of keys, which together hold all that pruning up to ``base`` removes."""
    for table in BY_HEIGHT:
        yield table.value, table.value + schema.number(base)
    for table in (*BY_NAME, Table.ENTRY, Table.REFERENCE):
        for part in range(PARTS):
            step = 256 // PARTS
            high = table.value + bytes((step * (part + 1),)) if part + 1 < PARTS else schema.table_end(table)
            yield table.value + bytes((step * part,)), high
