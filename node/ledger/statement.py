"""Statements: each account's own chain of entries, whose length and head stand in its record.

One rule: an account's head commits to every entry it ever had, so a statement that ends at a proven head is whole.
A pay of several legs is one entry for the payer (`counterparty` None: the transaction has the details) and one for each
payee.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from consensus.encoding import as_bytes, as_int, as_tuple, decode, encode
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, ASSET_MAX, EMPTY_HEAD

_TAG: Final = b"som-entry-1"
_REF_BYTES_MAX: Final = 35


class Entry(NamedTuple):
    """One booking. ``amount`` is negative where money left; ``balance`` is that of the asset afterwards."""

    time_ms: int
    height: int
    transaction_id: bytes
    op: int
    leg: int | None
    asset: int
    counterparty: int | None
    amount: int
    balance: int
    ref: bytes | None


def encode_entry(entry: Entry) -> bytes:
    """Return the fields in order."""
    return encode(entry)


def decode_entry(data: bytes) -> Entry:
    """Return the entry. Raises DecodeError."""
    fields = as_tuple(decode(data), 10)
    return Entry(
        as_int(fields[0]),
        as_int(fields[1]),
        as_bytes(fields[2], 32),
        as_int(fields[3], 0, 255),
        None if fields[4] is None else as_int(fields[4], 0, 65_535),
        as_int(fields[5], 1, ASSET_MAX),
        None if fields[6] is None else as_int(fields[6], 0, ACCOUNT_MAX),
        as_int(fields[7], -AMOUNT_MAX, AMOUNT_MAX),
        as_int(fields[8], -AMOUNT_MAX, AMOUNT_MAX),
        None if fields[9] is None else as_bytes(fields[9], most=_REF_BYTES_MAX),
    )


def next_head(head: bytes, entry: bytes) -> bytes:
    """Return the head after one more encoded entry."""
    return sha256(_TAG + head + entry).digest()  # twice in every payment: ``digest`` costs a third more


def statement_head(entries: Iterable[bytes], head: bytes = EMPTY_HEAD) -> bytes:
    """Return the head after all encoded entries, oldest first, to compare with the account's record."""
    for entry in entries:
        head = next_head(head, entry)
    return head
