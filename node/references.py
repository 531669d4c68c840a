"""The index of payments by reference: (payer, ref) -> where it was paid, for ever.

One rule: only what was paid is listed. A skipped leg and a failed transaction leave no row, so that a row says "paid",
and no row, at a height, says "not paid up to there".

Beside the ledger, not in it: the ledger itself remembers references for a window only (``once``), and bulk pays stand
in their payer's statement as one entry. What is settled from a hold is not listed: its transaction names neither payer
nor reference, a hold may be settled in parts, and both statements have an entry for each part.
"""

from collections.abc import Iterator
from typing import NamedTuple

from consensus.encoding import as_bytes, as_int, as_tuple, decode, encode
from node.ledger.pay import LEGS_MAX, Pay
from node.ledger.receipt import Receipt
from node.ledger.transaction import ID_BYTES, OPERATIONS_MAX, Transaction


class Reference(NamedTuple):
    """One paid leg: leg ``leg`` of operation ``op`` of a transaction."""

    transaction_id: bytes
    op: int
    leg: int


def references(transaction: Transaction, receipt: Receipt) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (payer, ref, row) of each leg with a reference that was paid."""
    if not receipt.applied:
        return
    skipped = frozenset((op, leg) for op, leg, _ in receipt.skipped)
    for op, operation in enumerate(transaction.operations):
        if isinstance(operation, Pay):
            for leg, (_, _, ref) in enumerate(operation.legs):
                if ref and (op, leg) not in skipped:
                    yield operation.payer, ref, encode((transaction.id, op, leg))


def decode_reference(row: bytes) -> Reference:
    """Return what a row of the index says. Raises DecodeError."""
    transaction_id, op, leg = as_tuple(decode(row), 3)
    return Reference(
        as_bytes(transaction_id, ID_BYTES), as_int(op, 0, OPERATIONS_MAX - 1), as_int(leg, 0, LEGS_MAX - 1)
    )
