"""Holds: money that waits in its payer's balance until somebody settles, voids or releases it.

One rule: the open holds of an account and asset add up to what its record calls `held`. Rows and their indexes are
written here alone; who may open and settle a hold is the business of hold.py, settle.py and order.py.
"""

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Final, NamedTuple

from consensus.encoding import DecodeError, as_bool, as_bytes, as_int, as_str, as_tuple, decode, digest, encode
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, ASSET_MAX, CATEGORY_MAX, TIME_MAX_MS
from node.ledger.assets import as_schema
from node.ledger.errors import InvariantViolation
from node.ledger.readable import as_subject
from node.ledger.recent import Reader
from node.ledger.records import Records, after
from node.ledger.state import NO_END_MS, State

HOLD: Final = b"h"  # id -> the hold                                                    in the tree
BY_END: Final = b"E"  # until_ms, id                                                    beside it
BY_PAYER: Final = b"P"  # payer, asset, newest block first, greatest id first
BY_SETTLER: Final = b"B"  # by, id
BY_PAYEE: Final = b"Y"  # to, id

ROW_ID_BYTES: Final = 16
HASH_BYTES: Final = 32
CATEGORIES_MAX: Final = 16
REF_BYTES_MAX: Final = 35
NUMBER_BYTES_MAX: Final = 35  # of an order
ENDED_MAX: Final = 1_000  # holds that an empty block releases
ENDED_FACTOR: Final = 2  # and for each hold that the block made this many more, so that ended ones cannot pile up
SLICE: Final = 20  # of them between two yields, about 0.5 ms

_ROW_TAG: Final = b"som-row-1"
_U64_MAX: Final = 2**64 - 1
_ID_MAX: Final = 2**128 - 1


class Condition(NamedTuple):
    """What must be so before a hold is settled; empty fields ask for nothing."""

    hash: bytes  # SHA-256 of a secret
    categories: tuple[int, ...]  # of the merchants that may be paid, ascending
    not_before_ms: int
    schema: str  # with ``subject``: an attestation that must be valid
    subject: str
    revocable: bool  # the payer may void it before its end


class Hold(NamedTuple):
    """``left`` minor units of ``payer``'s balance. ``by`` and ``to`` may be 0; ``order``: of an arrest, its number."""

    asset: int
    payer: int
    by: int
    to: int
    left: int
    ref: bytes
    until_ms: int  # 0 = no end
    height: int  # of the block that made it
    condition: Condition | None
    order: str = ""


def row_id(transaction_id: bytes, op: int, leg: int) -> bytes:
    """Return the 16 bytes that name what a transaction's operation (and leg) made."""
    return digest(_ROW_TAG, transaction_id, op.to_bytes(2, "big"), leg.to_bytes(4, "big"))[:ROW_ID_BYTES]


def find_hold(records: Records, hold_id: bytes) -> Hold | None:
    """Return the open hold of that id."""
    row = records.get(HOLD + hold_id)
    return None if row is None else decode_hold(row)


def open_hold(state: State, hold_id: bytes, hold: Hold) -> None:
    """Add a hold, and to what its payer holds."""
    put = state.records.put
    put(HOLD + hold_id, encode_hold(hold))
    for key in _index_keys(hold_id, hold):
        put(key, b"")
    state.holds_made += 1
    if hold.until_ms:
        state.first_end_ms = min(state.first_end_ms, hold.until_ms)
    _add_held(state, hold, hold.left)


def reduce_hold(state: State, hold_id: bytes, hold: Hold, amount: int) -> None:
    """Take ``amount`` out of the hold and out of what its payer holds; an empty one disappears. No balance changes."""
    assert 0 < amount <= hold.left
    put = state.records.put
    if amount < hold.left:
        put(HOLD + hold_id, encode_hold(hold._replace(left=hold.left - amount)))
    else:
        put(HOLD + hold_id, None)
        for key in _index_keys(hold_id, hold):
            put(key, None)
    _add_held(state, hold, -amount)


def holds_of_payer(records: Records, payer: int, asset: int) -> Iterator[tuple[bytes, Hold]]:
    """Yield (id, hold), the newest block first, then the greatest id. Collect before writing."""
    prefix = BY_PAYER + payer.to_bytes(8, "big") + asset.to_bytes(2, "big")
    for key, _ in records.scan(prefix, after(prefix)):
        hold_id = id_of_payers_row(key)
        hold = find_hold(records, hold_id)
        assert hold is not None, "an index names a hold that is not there"
        yield hold_id, hold


def id_of_payers_row(key: bytes) -> bytes:
    """Return the id of the hold that a key of BY_PAYER names."""
    return (_ID_MAX - int.from_bytes(key[-ROW_ID_BYTES:], "big")).to_bytes(ROW_ID_BYTES, "big")


def named_by_a_hold(records: Records, account: int) -> bool:
    """Return whether the account is `by` or `to` of an open hold."""
    for table in (BY_SETTLER, BY_PAYEE):
        prefix = table + account.to_bytes(8, "big")
        if next(records.scan(prefix, after(prefix)), None) is not None:
            return True
    return False


class EndedHolds:
    """The sweep: gives back to payers what nobody settled in time."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader  # of the block before: one that the open block makes does not end in it
        self._from = BY_END  # nothing is left below: a new hold ends after the time of its block
        self._first_ms = _first_end_ms(reader, BY_END)  # no hold ends before it; what is not there is not looked for

    def releasing(self, state: State, time_ms: int) -> Iterator[None]:
        """Release the holds that have ended, the oldest end first, then by id, as many as a block may; in slices."""
        self._first_ms = min(self._first_ms, state.first_end_ms)
        if time_ms < self._first_ms:
            return
        end = BY_END + (time_ms + 1).to_bytes(8, "big")
        room = ENDED_MAX + ENDED_FACTOR * state.holds_made
        while room:
            state.begin_transaction()
            keys = [key for key, _ in islice(self._reader.scan(self._from, end), min(SLICE, room))]
            if not keys:
                self._from = end
                self._first_ms = min(_first_end_ms(self._reader, end), state.first_end_ms)
                return
            for key in keys:
                room -= self._release(state, key[-ROW_ID_BYTES:])
            self._from = keys[-1] + b"\0"
            yield

    def _release(self, state: State, hold_id: bytes) -> bool:
        hold = find_hold(state.records, hold_id)
        if hold is None:  # voided, or seized, in this block
            return False
        reduce_hold(state, hold_id, hold, hold.left)
        return True


def _first_end_ms(reader: Reader, low: bytes) -> int:
    """Return when the first hold ends whose key is not below ``low``; if there is none, never."""
    first = next(reader.scan(low, after(BY_END)), None)
    return NO_END_MS if first is None else int.from_bytes(first[0][1:9], "big")


# --- invariants ---


def held_changes(records: Records) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield ((payer, asset), by how much more is held) for each hold that the open block, sealed, has written."""
    for key, row in records.changes().items():
        if key[:1] == HOLD:
            for each, sign in ((records.before(key), -1), (row, 1)):
                if each is not None:
                    hold = decode_hold(each)
                    yield (hold.payer, hold.asset), sign * hold.left


def audit_holds(rows: Reader) -> dict[tuple[int, int], int]:
    """Check all holds against their indexes; return (payer, asset) -> what is held."""
    held: dict[tuple[int, int], int] = {}
    indexed = 0
    for key, row in rows.scan(HOLD, after(HOLD)):
        hold = decode_hold(row)
        if not (hold.condition is None) == bool(hold.order) == (hold.until_ms == 0):
            raise InvariantViolation("a hold is half an arrest")
        held[hold.payer, hold.asset] = held.get((hold.payer, hold.asset), 0) + hold.left
        keys = _index_keys(key[1:], hold)
        if any(rows.get(each) != b"" for each in keys):
            raise InvariantViolation("a hold is not in its indexes")
        indexed += len(keys)
    if indexed != sum(1 for table in (BY_END, BY_PAYER, BY_SETTLER, BY_PAYEE) for _ in rows.scan(table, after(table))):
        raise InvariantViolation("an index names a hold that is not there")
    return held


# --- rows ---


def _index_keys(hold_id: bytes, hold: Hold) -> list[bytes]:
    height = (_U64_MAX - hold.height).to_bytes(8, "big")
    descending = (_ID_MAX - int.from_bytes(hold_id, "big")).to_bytes(ROW_ID_BYTES, "big")
    keys = [BY_PAYER + hold.payer.to_bytes(8, "big") + hold.asset.to_bytes(2, "big") + height + descending]
    if hold.until_ms:
        keys.append(BY_END + hold.until_ms.to_bytes(8, "big") + hold_id)
    if hold.by:
        keys.append(BY_SETTLER + hold.by.to_bytes(8, "big") + hold_id)
    if hold.to:
        keys.append(BY_PAYEE + hold.to.to_bytes(8, "big") + hold_id)
    return keys


def _add_held(state: State, hold: Hold, amount: int) -> None:
    payer = state.require_account(hold.payer)
    state.edit(payer)
    balance, held = payer.holding(hold.asset)
    payer.set_holding(hold.asset, balance, held + amount)


def hold_indexes(key: bytes, row: bytes) -> list[tuple[bytes, bytes]]:
    """Return the index rows of a stored hold. Raises DecodeError."""
    return [(index, b"") for index in _index_keys(key[1:], decode_hold(row))]


def encode_hold(hold: Hold) -> bytes:
    """Return the row: the fields in order."""
    return encode(hold)


def decode_hold(row: bytes) -> Hold:
    """Return the hold of a row that may come from a stranger. Raises DecodeError."""
    asset, payer, by, to, left, ref, until_ms, height, condition, order = as_tuple(decode(row), 10)
    return Hold(
        as_int(asset, 1, ASSET_MAX),
        as_int(payer, 1, ACCOUNT_MAX),
        as_int(by, 0, ACCOUNT_MAX),
        as_int(to, 0, ACCOUNT_MAX),
        as_int(left, 1, AMOUNT_MAX),
        as_bytes(ref, most=REF_BYTES_MAX),
        as_int(until_ms),
        as_int(height),
        None if condition is None else as_condition(condition),
        as_str(order, NUMBER_BYTES_MAX),
    )


def as_condition(value: object) -> Condition:
    """Return the shape of a condition. Raises DecodeError."""
    hash_, categories, not_before_ms, schema, subject, revocable = as_tuple(value, 6)
    return Condition(
        as_bytes(hash_, HASH_BYTES if hash_ else 0),
        _as_categories(categories),
        as_int(not_before_ms, 0, TIME_MAX_MS),
        as_schema(schema) if schema else as_str(schema, 0),
        as_subject(subject) if subject else as_str(subject, 0),
        as_bool(revocable),
    )


def _as_categories(value: object) -> tuple[int, ...]:
    categories = tuple(as_int(each, 1, CATEGORY_MAX) for each in as_tuple(value, most=CATEGORIES_MAX))
    if any(high <= low for low, high in pairwise(categories)):
        raise DecodeError("categories do not ascend")
    return categories
