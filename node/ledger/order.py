"""The operation `order`: an authority freezes an account, arrests money on it or seizes it, and lifts what it ordered.

One rule: the enforcer alone may stop money at once, all else needs the central bank's signature too. Nothing that an
account's owner does or did stands in an order's way: no limit, no cap, no flag, no hold.
"""

from typing import Final, NamedTuple

from consensus.encoding import DecodeError, as_bool, as_int, as_tuple, encode
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, ASSET_MAX, CLOSED, Account, Kind, kinds_mask
from node.ledger.assets import Asset, as_basis
from node.ledger.errors import Code, Refused
from node.ledger.holds import NUMBER_BYTES_MAX, Hold, find_hold, holds_of_payer, open_hold, reduce_hold, row_id
from node.ledger.orders import (
    ARREST,
    BLOCKED,
    FREEZE,
    SEIZE,
    Order,
    encode_order,
    find_order,
    index_key,
    order_key,
    standing_flags,
)
from node.ledger.readable import as_readable
from node.ledger.state import State
from node.ledger.step import Step

ORDER: Final = 7  # operation number
IMMUNE_KINDS: Final = kinds_mask((Kind.CENTRAL_BANK, Kind.ISSUER, Kind.RESERVE))  # suspend the asset instead
SEIZED_HOLDS_MAX: Final = 4_096  # that one seizure looks at: no more work than a transaction's legs


class Freeze(NamedTuple):
    """The enforcer ``by`` blocks payments from ``target``, with ``incoming`` also to it."""

    by: int
    number: str
    target: int
    basis: bytes
    incoming: bool

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class Unfreeze(NamedTuple):
    """``by`` lifts its freeze ``number``."""

    by: int
    number: str
    basis: bytes

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class Arrest(NamedTuple):
    """``by`` holds ``amount`` of what is free on ``target``, without an end."""

    by: int
    number: str
    target: int
    basis: bytes
    asset: int
    amount: int

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class Release(NamedTuple):
    """``by`` lifts its arrest ``number``."""

    by: int
    number: str
    basis: bytes

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class Seize(NamedTuple):
    """``by`` moves ``amount`` from ``target`` to ``to``, an account of the state or of a bank."""

    by: int
    number: str
    target: int
    basis: bytes
    asset: int
    amount: int
    to: int

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


OrderOperation = Freeze | Unfreeze | Arrest | Release | Seize


def decode_order_operation(fields: tuple[object, ...]) -> OrderOperation:
    """Return the act. Raises Refused (BASIS, AMOUNT, MALFORMED) or DecodeError."""
    if not fields:
        raise Refused(Code.MALFORMED)
    match as_int(fields[0]):
        case 1:
            _, by, number, target, basis, incoming = as_tuple(fields, 6)
            return Freeze(*_as_name(by, number), _as_account(target), as_basis(basis), as_bool(incoming))
        case 2:
            _, by, number, basis = as_tuple(fields, 4)
            return Unfreeze(*_as_name(by, number), as_basis(basis))
        case 3:
            _, by, number, target, basis, asset, amount = as_tuple(fields, 7)
            money = _as_money(asset, amount)
            return Arrest(*_as_name(by, number), _as_account(target), as_basis(basis), *money)
        case 4:
            _, by, number, basis = as_tuple(fields, 4)
            return Release(*_as_name(by, number), as_basis(basis))
        case 5:
            _, by, number, target, basis, asset, amount, to = as_tuple(fields, 8)
            money = _as_money(asset, amount)
            return Seize(*_as_name(by, number), _as_account(target), as_basis(basis), *money, _as_account(to))
        case _:
            raise Refused(Code.MALFORMED)


def _as_account(value: object) -> int:
    return as_int(value, 0, ACCOUNT_MAX)


def _as_name(by: object, number: object) -> tuple[int, str]:
    text = as_readable(number, NUMBER_BYTES_MAX)
    if len(text.encode()) > NUMBER_BYTES_MAX:
        raise DecodeError("an order's number is too long")
    return _as_account(by), text


def _as_money(asset: object, amount: object) -> tuple[int, int]:
    if type(amount) is int and not 1 <= amount <= AMOUNT_MAX:
        raise Refused(Code.AMOUNT)
    return as_int(asset, 0, ASSET_MAX), as_int(amount)


# --- applying ---


def apply_freeze(step: Step, operation: Freeze) -> None:
    """Block the target."""
    require_enforcer(step.state.require_account(operation.by))
    target = _require_new(step, operation)
    _write(step, operation, FREEZE, incoming=operation.incoming)
    _set_flags(step.state, target)


def apply_unfreeze(step: Step, operation: Unfreeze) -> None:
    """Unblock the target as far as no other freeze stands."""
    _require_two_authorities(step, operation.by)
    order = _lift(step, operation, FREEZE)
    _set_flags(step.state, step.state.require_account(order.target))


def apply_arrest(step: Step, operation: Arrest) -> None:
    """Hold free money of the target."""
    _require_two_authorities(step, operation.by)
    target = _require_new(step, operation)
    _require_asset(step.state, operation.asset)
    if operation.amount > target.available(operation.asset):
        raise Refused(Code.INSUFFICIENT)
    hold = Hold(
        asset=operation.asset,
        payer=operation.target,
        by=operation.by,
        to=0,
        left=operation.amount,
        ref=b"",
        until_ms=0,
        height=step.height,
        condition=None,
        order=operation.number,
    )
    hold_id = row_id(step.transaction_id, step.op, 0)
    open_hold(step.state, hold_id, hold)
    _write(step, operation, ARREST, asset=operation.asset, amount=operation.amount, hold=hold_id)


def apply_release(step: Step, operation: Release) -> None:
    """Free what is left of an arrest; other orders may have seized of it."""
    _require_two_authorities(step, operation.by)
    order = _lift(step, operation, ARREST)
    hold = find_hold(step.state.records, order.hold)
    if hold is not None:
        reduce_hold(step.state, order.hold, hold, hold.left)


def apply_seize(step: Step, operation: Seize) -> None:
    """Move money of the target, out of its holds where it must."""
    state, number = step.state, operation.asset
    _require_two_authorities(step, operation.by)
    target = _require_new(step, operation)
    asset = _require_asset(state, number)
    to = state.require_open(operation.to)
    if to is target:
        raise Refused(Code.SAME_ACCOUNT)
    if to.number == asset.issuer or to.limited:
        raise Refused(Code.FIELD)
    if operation.amount > target.balance(number):
        raise Refused(Code.INSUFFICIENT)
    for hold_id, hold, taken in _to_break(state, target, number, operation.amount - target.available(number)):
        reduce_hold(state, hold_id, hold, taken)
    _move(step, target, to, operation)
    _write(step, operation, SEIZE, asset=number, amount=operation.amount, to=operation.to)


def require_enforcer(account: Account) -> None:
    """Raise Refused(ROLE) unless the account may order."""
    if account.profile.kind != Kind.ENFORCER or account.flags & CLOSED:
        raise Refused(Code.ROLE)


def _require_two_authorities(step: Step, by: int) -> None:
    require_enforcer(step.state.require_account(by))
    if not step.central_bank_signed():
        raise Refused(Code.SECOND_APPROVAL)


def _require_new(step: Step, operation: Freeze | Arrest | Seize) -> Account:
    """Return the target."""
    if find_order(step.state.records, operation.by, operation.number) is not None:
        raise Refused(Code.ORDER_EXISTS)
    target = step.state.require_open(operation.target)
    if IMMUNE_KINDS >> target.profile.kind & 1:
        raise Refused(Code.IMMUNE)
    return target


def _require_asset(state: State, number: int) -> Asset:
    asset = state.assets.get(number)
    if asset is None:
        raise Refused(Code.NO_ASSET)
    return asset


def _write(
    step: Step,
    operation: Freeze | Arrest | Seize,
    act: int,
    asset: int = 0,
    amount: int = 0,
    to: int = 0,
    incoming: bool = False,
    hold: bytes = b"",
) -> None:
    order = Order(
        act, operation.target, operation.basis, asset, amount, to, incoming, hold,
        step.time_ms, step.height, step.transaction_id,
    )  # fmt: skip
    name = (operation.by, operation.number)
    step.state.records.put(order_key(*name), encode_order(order))
    if order.stands:
        step.state.records.put(index_key(name, order), encode(act))


def _lift(step: Step, operation: Unfreeze | Release, act: int) -> Order:
    records, name = step.state.records, (operation.by, operation.number)
    order = find_order(records, *name)
    if order is None or order.act != act or not order.stands:
        raise Refused(Code.NO_ORDER)
    lifted = order._replace(lifted_ms=step.time_ms, lifted_basis=operation.basis)
    records.put(order_key(*name), encode_order(lifted))
    records.put(index_key(name, order), None)
    return order


def _set_flags(state: State, target: Account) -> None:
    state.edit(target)
    flags = target.flags & ~BLOCKED | standing_flags(state.records, target.number)
    target.profile = target.profile._replace(flags=flags)


def _to_break(state: State, target: Account, asset: int, missing: int) -> list[tuple[bytes, Hold, int]]:
    """Return (id, hold, what is taken of it): the target's own holds first, then arrests, each the newest first."""
    taken: list[tuple[bytes, Hold, int]] = []
    arrests: list[tuple[bytes, Hold]] = []
    for seen, (hold_id, hold) in enumerate(holds_of_payer(state.records, target.number, asset) if missing > 0 else ()):
        if missing <= 0:
            return taken
        if seen == SEIZED_HOLDS_MAX:
            raise Refused(Code.OPEN_HOLD)
        if hold.order:
            arrests.append((hold_id, hold))
            continue
        taken.append((hold_id, hold, min(missing, hold.left)))
        missing -= hold.left
    for hold_id, hold in arrests:
        if missing <= 0:
            break
        taken.append((hold_id, hold, min(missing, hold.left)))
        missing -= hold.left
    assert missing <= 0, "the holds of an account are less than what it holds"
    return taken


def _move(step: Step, target: Account, to: Account, operation: Seize) -> None:
    number, amount, ref = operation.asset, operation.amount, operation.number.encode()
    for account, other, change in ((target, to, -amount), (to, target, amount)):
        step.state.edit(account)
        balance, held = account.holding(number)
        balance += change
        account.set_holding(number, balance, held)
        step.book(account, None, number, other.number, change, balance, ref)
