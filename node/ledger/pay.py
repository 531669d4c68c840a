"""The operation `pay`: move an asset from one account to others. From and to the issuer it issues and redeems.

One rule: all checks of a leg come before its first write, so a skipped leg leaves nothing to undo.
"""

from typing import Final, NamedTuple

from consensus.encoding import as_bool, as_int, as_tuple
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, ASSET_MAX, SOM, Account
from node.ledger.assets import Asset
from node.ledger.errors import Code, Refused
from node.ledger.receipt import Skipped
from node.ledger.step import Step
from node.ledger.transfer import (
    APPLIED,
    CANNOT_RECEIVE,
    STATUS_REFUSALS,
    balance_max,
    count_out,
    issue_caps,
    payer_caps,
    redeem_refusal,
    require_can_pay,
)

PAY: Final = 1  # operation number

LEGS_MAX: Final = 4_096  # legs of a whole transaction: 256 KiB of them
REF_BYTES_MAX: Final = 35  # ISO 20022 Max35Text
UNSORTED_LEGS_MAX: Final = 16  # more must ascend by payee: cheaper to apply, and no payee twice


class Leg(NamedTuple):
    """One payment. Decoded legs are plain tuples of the same three fields: a thousand of them cost half."""

    to: int
    amount: int
    ref: bytes


class Pay(NamedTuple):
    """``partial`` skips bad legs; ``once`` refuses a (payer, ref) that was paid before within the window."""

    asset: int
    payer: int
    legs: tuple[tuple[int, int, bytes], ...]
    partial: bool = False
    once: bool = False

    @property
    def actors(self) -> tuple[int, ...]:
        """The accounts that must be listed, and so must sign."""
        return (self.payer,)


def decode_pay(fields: tuple[object, ...]) -> Pay:
    """Return the operation. Raises Refused (AMOUNT, LEGS, FIELD with the leg) or DecodeError."""
    asset, payer, legs, partial, once = as_tuple(fields, 5)
    shape = as_tuple(legs)
    number, account = as_int(asset, 0, ASSET_MAX), as_int(payer, 0, ACCOUNT_MAX)
    skips, never_twice = as_bool(partial), as_bool(once)
    checked = require_legs(shape, ascending=len(shape) > UNSORTED_LEGS_MAX, with_refs=never_twice)
    return Pay(number, account, checked, skips, never_twice)


def require_legs(
    legs: tuple[object, ...], ascending: bool = False, with_refs: bool = False
) -> tuple[tuple[int, int, bytes], ...]:
    """Return the legs. Raise Refused with the leg unless they are legs, of a pay or of a hold.

    They are of no type before that: a compiled node would take ``True`` where an int is promised for 1.
    """
    if not 1 <= len(legs) <= LEGS_MAX:
        raise Refused(Code.LEGS)
    before = -1
    for index, leg in enumerate(legs):
        to, amount, ref = as_tuple(leg, 3)
        if type(to) is not int or type(amount) is not int or type(ref) is not bytes:
            raise Refused(Code.MALFORMED, leg=index)
        if not 0 <= to <= ACCOUNT_MAX or len(ref) > REF_BYTES_MAX:
            raise Refused(Code.MALFORMED, leg=index)
        if not 1 <= amount <= AMOUNT_MAX:
            raise Refused(Code.AMOUNT, leg=index)
        if ascending and to <= before:
            raise Refused(Code.LEGS, leg=index)
        if with_refs and not ref:
            raise Refused(Code.FIELD, leg=index)
        before = to
    return legs  # type: ignore[return-value]


# --- applying ---


class _Run:
    """One pay while it is applied: what holds for all legs, worked out once. A thousand legs: 5 us each."""

    __slots__ = (
        "asset", "caps", "headroom", "minting", "original", "pay", "payer", "redeem_refusal", "status_refusal", "total",
    )  # fmt: skip

    def __init__(self, step: Step, pay: Pay, asset: Asset, payer: Account) -> None:
        self.pay = pay
        self.asset = asset
        self.payer = payer
        self.minting = payer.number == asset.issuer
        self.status_refusal = STATUS_REFUSALS[asset.status]
        self.redeem_refusal = redeem_refusal(asset, payer)
        self.caps = issue_caps(step, pay.asset, asset) if self.minting else payer_caps(step, pay.asset, payer)
        self.headroom = min(self.caps)[0]
        self.total = 0  # moved so far
        self.original: bytes | None = None  # the first duplicate ref's transaction


def apply_pay(step: Step, pay: Pay) -> None:
    """Move the money. Raises Refused, with the leg if one leg is why; then the caller undoes the transaction."""
    asset = step.state.assets.get(pay.asset)
    if asset is None:
        raise Refused(Code.NO_ASSET)
    payer = step.state.require_account(pay.payer)
    require_can_pay(payer)
    run = _Run(step, pay, asset, payer)
    step.state.edit(payer)
    skipped = _apply_legs(step, run)
    if skipped:
        if len(skipped) == len(pay.legs):
            raise Refused(Code.ALL_LEGS_FAILED, original=run.original, skipped=tuple(skipped))
        step.skipped += skipped
        step.original = step.original or run.original
    _debit(step, run)


def _apply_legs(step: Step, run: _Run) -> list[Skipped]:
    """Credit each payee; return the legs that `partial` left out."""
    state, pay = step.state, run.pay
    skipped: list[Skipped] = []
    if len(pay.legs) > UNSORTED_LEGS_MAX:
        state.bring([to for to, _, _ in pay.legs])
    for index, (to, amount, ref) in enumerate(pay.legs):
        payee = state.account(to)
        code = _refusal(step, run, payee, amount, ref)
        if code:
            if not pay.partial:
                raise Refused(code, leg=index, original=run.original)
            skipped.append((step.op, index, int(code)))
            continue
        assert payee is not None
        state.edit(payee)
        balance, held = payee.holding(pay.asset)
        balance += amount
        payee.set_holding(pay.asset, balance, held)
        step.book(payee, index, pay.asset, pay.payer, amount, balance, ref)
        run.total += amount
        if pay.once:
            until_ms = step.time_ms + state.parameters.window_ms(run.payer.profile.kind)
            step.once.remember(pay.payer, ref, until_ms, step.transaction_id)
    return skipped


def _refusal(step: Step, run: _Run, payee: Account | None, amount: int, ref: bytes) -> Code:
    """Return why this leg may not be paid, or APPLIED. The order of the checks is part of the protocol."""
    if payee is None:
        return Code.NO_ACCOUNT
    if payee is run.payer:
        return Code.SAME_ACCOUNT
    if payee.profile.flags & CANNOT_RECEIVE:
        return Code.PAYEE_BLOCKED
    if payee.number == run.asset.issuer:
        if run.redeem_refusal:
            return run.redeem_refusal
    elif run.status_refusal:
        return run.status_refusal
    if run.minting and not run.asset.mint_to >> payee.profile.kind & 1:
        return Code.MINT_PAYEE
    if run.pay.once and (original := step.once.original(run.pay.payer, ref, step.time_ms)) is not None:
        run.original = run.original or original
        return Code.DUPLICATE_REF
    total = run.total + amount
    if total > run.headroom:
        return next(code for cap, code in run.caps if total > cap)
    if run.pay.asset == SOM and payee.limited and payee.balance(SOM) + amount > balance_max(step.state, payee):
        return Code.LIMIT_BALANCE
    return APPLIED


def _debit(step: Step, run: _Run) -> None:
    pay, payer = run.pay, run.payer
    balance, held = payer.holding(pay.asset)
    balance -= run.total
    payer.set_holding(pay.asset, balance, held)
    if len(pay.legs) == 1:
        to, _, ref = pay.legs[0]
        step.book(payer, 0, pay.asset, to, -run.total, balance, ref)
    else:
        step.book(payer, None, pay.asset, None, -run.total, balance, None)
    count_out(step, pay.asset, payer, run.total)
