"""The operation `hold`: promise an asset to who may settle it later, leg by leg, without paying yet.

One rule: money that is promised passes the checks of a payment when it is promised, so that who holds the promise need
not fear them; those of the payee come when it is settled (settle.py), because only then it is known.
"""

from typing import Final, NamedTuple

from consensus.encoding import as_int, as_tuple
from node.ledger.account import ACCOUNT_MAX, ASSET_MAX, CLOSED, TIME_MAX_MS, Account
from node.ledger.assets import Asset
from node.ledger.errors import Code, Refused
from node.ledger.holds import Condition, Hold, as_condition, open_hold, row_id
from node.ledger.pay import require_legs
from node.ledger.state import State
from node.ledger.step import Step
from node.ledger.transfer import STATUS_REFUSALS, count_out, payer_caps, require_can_pay

HOLD: Final = 2  # operation number


class MakeHold(NamedTuple):
    """One hold for each leg (by, amount, ref): ``by`` may settle it, or with 0 anybody who has the secret.

    ``to`` 0: who settles it names the payee.
    """

    asset: int
    payer: int
    legs: tuple[tuple[int, int, bytes], ...]
    to: int
    until_ms: int
    condition: Condition

    @property
    def actors(self) -> tuple[int, ...]:
        """The accounts that must be listed, and so must sign."""
        return (self.payer,)


def decode_make_hold(fields: tuple[object, ...]) -> MakeHold:
    """Return the operation. Raises Refused (AMOUNT, LEGS, FIELD, with the leg if one is why) or DecodeError."""
    asset, payer, legs, to, until_ms, condition = as_tuple(fields, 6)
    shape = as_tuple(legs)
    number, account = as_int(asset, 0, ASSET_MAX), as_int(payer, 0, ACCOUNT_MAX)
    payee, end_ms, terms = as_int(to, 0, ACCOUNT_MAX), as_int(until_ms, 0, TIME_MAX_MS), as_condition(condition)
    hold = MakeHold(number, account, require_legs(shape), payee, end_ms, terms)
    if bool(hold.condition.schema) != bool(hold.condition.subject):
        raise Refused(Code.FIELD)
    if not (hold.to and hold.condition.hash):
        for index, (by, _, _) in enumerate(hold.legs):
            if not by:
                raise Refused(Code.FIELD, leg=index)  # else it is anybody's money
    return hold


# --- applying ---


def apply_make_hold(step: Step, operation: MakeHold) -> None:
    """Promise the money. Raises Refused, with the leg if one leg is why; then the caller undoes the transaction."""
    state = step.state
    asset = state.assets.get(operation.asset)
    if asset is None:
        raise Refused(Code.NO_ASSET)
    payer = state.require_account(operation.payer)
    _require_holder(asset, payer)
    _require_terms(step, operation)
    _open_legs(step, operation, payer)


def _require_holder(asset: Asset, payer: Account) -> None:
    if payer.number == asset.issuer:
        raise Refused(Code.ISSUER_HOLD)
    require_can_pay(payer)
    if refusal := STATUS_REFUSALS[asset.status]:
        raise Refused(refusal)


def _require_terms(step: Step, operation: MakeHold) -> None:
    state, condition = step.state, operation.condition
    latest_ms = step.time_ms + state.parameters.hold_max_ms
    if not step.time_ms < operation.until_ms <= latest_ms or condition.not_before_ms >= operation.until_ms:
        raise Refused(Code.UNTIL)
    if operation.to:
        _require_there(state, operation.to)
        if operation.to == operation.payer:
            raise Refused(Code.SAME_ACCOUNT)
    if condition.schema and state.parameters.attesters_of(condition.schema) is None:
        raise Refused(Code.FIELD)


def _open_legs(step: Step, operation: MakeHold, payer: Account) -> None:
    state, (number, _, legs, to, until_ms, condition) = step.state, operation
    caps = payer_caps(step, number, payer)
    headroom = min(caps)[0]
    total = 0
    for index, (by, amount, ref) in enumerate(legs):
        if by:
            _require_there(state, by, index)
        total += amount
        if total > headroom:
            raise Refused(next(code for cap, code in caps if total > cap), leg=index)
        hold = Hold(number, payer.number, by, to, amount, ref, until_ms, step.height, condition)
        open_hold(state, row_id(step.transaction_id, step.op, index), hold)
    count_out(step, number, payer, total)


def _require_there(state: State, number: int, leg: int | None = None) -> None:
    account = state.account(number)
    if account is None or account.flags & CLOSED:
        raise Refused(Code.NO_ACCOUNT, leg=leg)
