"""The operation `settle`: pay from a hold, or void it.

One rule: who made the hold has agreed to everything that its terms allow, so it neither signs again nor is its limit
counted again; whatever the terms do not say is checked as for a payment.
"""

from hashlib import sha256
from typing import Final, NamedTuple

from consensus.encoding import DecodeError, as_bool, as_bytes, as_int, as_tuple
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, SOM, Account, Kind
from node.ledger.attestations import valid
from node.ledger.errors import Code, Refused
from node.ledger.holds import ROW_ID_BYTES, Condition, Hold, find_hold, reduce_hold
from node.ledger.step import Step
from node.ledger.transfer import (
    APPLIED,
    CANNOT_RECEIVE,
    STATUS_REFUSALS,
    balance_max,
    floor_cap,
    redeem_refusal,
    require_can_pay,
)

SETTLE: Final = 3  # operation number
SECRET_BYTES_MAX: Final = 64


class SettleHold(NamedTuple):
    """``by`` pays ``amount`` from the hold; ``close`` releases the rest. Amount 0 voids the hold."""

    by: int
    hold: bytes  # 16 bytes
    amount: int
    to: int  # 0 = whom the hold names
    secret: bytes
    close: bool

    @property
    def actors(self) -> tuple[int, ...]:
        """The accounts that must be listed, and so must sign."""
        return (self.by,)


def decode_settle_hold(fields: tuple[object, ...]) -> SettleHold:
    """Return the operation. Raises Refused (AMOUNT, FIELD) or DecodeError."""
    by, hold, amount, to, secret, close = as_tuple(fields, 6)
    if type(amount) is not int:
        raise DecodeError("expected an amount")
    settle = SettleHold(
        as_int(by, 0, ACCOUNT_MAX),
        as_bytes(hold, ROW_ID_BYTES),
        amount,
        as_int(to, 0, ACCOUNT_MAX),
        as_bytes(secret, most=SECRET_BYTES_MAX),
        as_bool(close),
    )
    if not 0 <= amount <= AMOUNT_MAX:
        raise Refused(Code.AMOUNT)
    if not amount and (settle.to or settle.secret or not settle.close):
        raise Refused(Code.FIELD)
    return settle


# --- applying ---


def apply_settle_hold(step: Step, operation: SettleHold) -> None:
    """Pay from the hold, or void it. Raises Refused; then the caller undoes the transaction."""
    state = step.state
    hold = find_hold(state.records, operation.hold)
    if hold is None:
        raise Refused(Code.NO_HOLD)
    state.require_active(operation.by)
    condition = hold.condition
    if condition is None:
        raise Refused(Code.UNDER_ORDER)  # of arrests alone
    if operation.amount:
        _pay(step, operation, hold, condition)
    else:
        _require_may_void(step.time_ms, operation.by, hold, condition)
        reduce_hold(state, operation.hold, hold, hold.left)


def _require_may_void(time_ms: int, by: int, hold: Hold, condition: Condition) -> None:
    if by in (hold.by, hold.to):
        return
    if by != hold.payer or not (condition.revocable or time_ms >= hold.until_ms):
        raise Refused(Code.ROLE)


def _pay(step: Step, operation: SettleHold, hold: Hold, condition: Condition) -> None:
    _require_terms(step, operation, hold, condition)
    payer, payee = _parties(step, operation, hold)
    _require_payable(step, operation.amount, hold, condition, payer, payee)
    state, amount = step.state, operation.amount
    reduce_hold(state, operation.hold, hold, hold.left if operation.close else amount)
    state.edit(payee)
    for account, change, other in ((payee, amount, payer), (payer, -amount, payee)):
        balance, held = account.holding(hold.asset)
        balance += change
        account.set_holding(hold.asset, balance, held)
        step.book(account, None, hold.asset, other.number, change, balance, hold.ref)


def _require_terms(step: Step, operation: SettleHold, hold: Hold, condition: Condition) -> None:
    """Raise Refused unless the hold lets ``by`` pay so much now. The order of the checks is part of the protocol."""
    if hold.by not in (0, operation.by):
        raise Refused(Code.ROLE)
    if step.time_ms >= hold.until_ms:
        raise Refused(Code.HOLD_EXPIRED)
    if step.time_ms < condition.not_before_ms:
        raise Refused(Code.TOO_EARLY)
    if not _opens(operation.secret, condition.hash):
        raise Refused(Code.SECRET)
    if condition.schema and valid(step.state.records, condition.schema, condition.subject, step.time_ms) is None:
        raise Refused(Code.NEEDS_ATTESTATION)
    if operation.amount > hold.left:
        raise Refused(Code.EXCEEDS_HOLD)


def _opens(secret: bytes, hash_: bytes) -> bool:
    return sha256(secret).digest() == hash_ if hash_ else not secret


def _parties(step: Step, operation: SettleHold, hold: Hold) -> tuple[Account, Account]:
    """Return payer and payee. Raises Refused (PAYEE, NO_ACCOUNT)."""
    if not (hold.to or operation.to) or (hold.to and operation.to not in (0, hold.to)):
        raise Refused(Code.PAYEE)
    payer = step.state.require_account(hold.payer)
    return payer, step.state.require_account(hold.to or operation.to)


def _require_payable(step: Step, amount: int, hold: Hold, condition: Condition, payer: Account, payee: Account) -> None:
    """Raise Refused unless the two may pay and be paid. The order of the checks is part of the protocol."""
    state, asset = step.state, step.state.assets[hold.asset]
    require_can_pay(payer)
    if payee is payer:
        raise Refused(Code.SAME_ACCOUNT)
    if payee.flags & CANNOT_RECEIVE:
        raise Refused(Code.PAYEE_BLOCKED)
    if condition.categories and not _fits(payee, condition):
        raise Refused(Code.PURPOSE)
    redeems = payee.number == asset.issuer
    refusal = redeem_refusal(asset, payer) if redeems else STATUS_REFUSALS[asset.status]
    if refusal != APPLIED:
        raise Refused(refusal)
    if amount > floor_cap(state, hold.asset, payer):
        raise Refused(Code.RESERVE_FLOOR)
    if hold.asset == SOM and payee.limited and payee.balance(SOM) + amount > balance_max(state, payee):
        raise Refused(Code.LIMIT_BALANCE)


def _fits(payee: Account, condition: Condition) -> bool:
    return payee.kind == Kind.MERCHANT and payee.profile.category in condition.categories
