"""Orders of an authority: their rows, and which of them stand.

One rule: an order is never deleted; lifting one is written into it. What blocks an account is the sum of the freezes
that stand against it, so that lifting one never lifts another. order.py decides who may order what.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from consensus.encoding import as_bool, as_bytes, as_int, as_tuple, decode, encode
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, ASSET_MAX, IN_BLOCKED, OUT_BLOCKED
from node.ledger.assets import BASIS_BYTES_MAX
from node.ledger.errors import InvariantViolation
from node.ledger.holds import HOLD, ROW_ID_BYTES, decode_hold
from node.ledger.recent import Reader
from node.ledger.records import after

ORDER: Final = b"r"  # authority, number -> the order                                    in the tree
BY_TARGET: Final = b"G"  # target, authority, number -> act, of freezes and arrests that stand    beside it

FREEZE, UNFREEZE, ARREST, RELEASE, SEIZE = 1, 2, 3, 4, 5  # acts; an order is a freeze, an arrest or a seizure
BLOCKED: Final = OUT_BLOCKED | IN_BLOCKED  # the flags that freezes set, and nothing else

Name = tuple[int, str]  # authority, number


class Order(NamedTuple):
    """What was ordered. ``lifted_ms`` 0: a freeze or an arrest that stands, or a seizure, which nothing lifts."""

    act: int
    target: int
    basis: bytes  # SHA-256
    asset: int  # 0 for a freeze
    amount: int
    to: int  # of a seizure
    incoming: bool  # of a freeze: the target may not be paid either
    hold: bytes  # of an arrest: its id; else empty
    time_ms: int
    height: int
    transaction_id: bytes
    lifted_ms: int = 0
    lifted_basis: bytes = b""

    @property
    def stands(self) -> bool:
        """Whether it binds its target now."""
        return self.act != SEIZE and not self.lifted_ms

    @property
    def flags(self) -> int:
        """The flags that it puts on its target while it stands."""
        if self.act != FREEZE:
            return 0
        return BLOCKED if self.incoming else OUT_BLOCKED


def order_key(authority: int, number: str) -> bytes:
    """Return the key of an order."""
    return ORDER + authority.to_bytes(8, "big") + number.encode()


def find_order(rows: Reader, authority: int, number: str) -> Order | None:
    """Return the order of that number."""
    row = rows.get(order_key(authority, number))
    return None if row is None else decode_order(row)


def orders_of(rows: Reader, authority: int) -> Iterator[tuple[str, Order]]:
    """Yield (number, order) of an authority, by number."""
    prefix = ORDER + authority.to_bytes(8, "big")
    for key, row in rows.scan(prefix, after(prefix)):
        yield key[len(prefix) :].decode(), decode_order(row)


def standing(rows: Reader, target: int) -> Iterator[Name]:
    """Yield the freezes and arrests that stand against an account."""
    prefix = BY_TARGET + target.to_bytes(8, "big")
    for key, _ in rows.scan(prefix, after(prefix)):
        yield _name_in(key)


def standing_flags(rows: Reader, target: int) -> int:
    """Return which flags the standing freezes of an account ask for."""
    flags = 0
    for authority, number in standing(rows, target):
        order = find_order(rows, authority, number)
        assert order is not None, "an index names an order that is not there"
        flags |= order.flags
        if flags == BLOCKED:
            break
    return flags


def index_key(name: Name, order: Order) -> bytes:
    """Return the key under which an order that stands is found by its target."""
    authority, number = name
    return BY_TARGET + order.target.to_bytes(8, "big") + authority.to_bytes(8, "big") + number.encode()


def order_indexes(key: bytes, row: bytes) -> list[tuple[bytes, bytes]]:
    """Return the index row of a stored order, if it stands. Raises DecodeError."""
    order = decode_order(row)
    name = int.from_bytes(key[1:9], "big"), key[9:].decode()
    return [(index_key(name, order), encode(order.act))] if order.stands else []


def _name_in(index: bytes) -> Name:
    return int.from_bytes(index[9:17], "big"), index[17:].decode()


def encode_order(order: Order) -> bytes:
    """Return the row: the fields in order."""
    return encode(order)


def decode_order(row: bytes) -> Order:
    """Return the order of a row that may come from a stranger. Raises DecodeError."""
    fields = as_tuple(decode(row), 13)
    return Order(
        as_int(fields[0], FREEZE, SEIZE),
        as_int(fields[1], 1, ACCOUNT_MAX),
        as_bytes(fields[2], BASIS_BYTES_MAX),
        as_int(fields[3], 0, ASSET_MAX),
        as_int(fields[4], 0, AMOUNT_MAX),
        as_int(fields[5], 0, ACCOUNT_MAX),
        as_bool(fields[6]),
        _as_some(fields[7], ROW_ID_BYTES),
        as_int(fields[8]),
        as_int(fields[9]),
        as_bytes(fields[10], 32),
        as_int(fields[11]),
        _as_some(fields[12], BASIS_BYTES_MAX),
    )


def _as_some(value: object, length: int) -> bytes:
    return as_bytes(value, length if value else 0)


# --- invariants ---


def audit_orders(rows: Reader) -> dict[int, int]:
    """Check all orders against their index and their holds; return target -> flags of its standing freezes."""
    flags: dict[int, int] = {}
    index: dict[bytes, bytes] = {}
    for key, row in rows.scan(ORDER, after(ORDER)):
        name, order = (int.from_bytes(key[1:9], "big"), key[9:].decode()), decode_order(row)
        if not order.stands:
            continue
        index[index_key(name, order)] = encode(order.act)
        flags[order.target] = flags.get(order.target, 0) | order.flags
        if order.act == ARREST:
            _require_arrest(rows, name, order)
    if index != dict(rows.scan(BY_TARGET, after(BY_TARGET))):
        raise InvariantViolation("the index of standing orders is not theirs")
    return {target: each for target, each in flags.items() if each}


def _require_arrest(rows: Reader, name: Name, order: Order) -> None:
    row = rows.get(HOLD + order.hold)
    if row is None:  # a later order seized all of it
        return
    hold = decode_hold(row)
    made = (hold.by, hold.order, hold.payer, hold.asset, hold.until_ms)
    if made != (*name, order.target, order.asset, 0) or hold.left > order.amount:
        raise InvariantViolation("the hold of an arrest is another one")
