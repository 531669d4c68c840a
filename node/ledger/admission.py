"""Whether an operation can succeed as things stand: asked at a node's door, where junk should be turned away cheaply.

One rule: what is refused here would be refused in a block. Of the operations of a transaction only the first is judged
by money, accounts and holds: later ones may rest on what those before them do.
"""

from typing import Final

from node.ledger.account import CLOSED, Account
from node.ledger.asset import RegisterAsset, SetAssetStatus, require_registrar
from node.ledger.assets import Asset
from node.ledger.attest import Attest, require_attester
from node.ledger.checkpoints import Checkpoints
from node.ledger.errors import Code, Refused
from node.ledger.genesis import Genesis
from node.ledger.hold import MakeHold
from node.ledger.holds import find_hold
from node.ledger.operations import Operation
from node.ledger.order import Arrest, Freeze, Release, Seize, Unfreeze, require_enforcer
from node.ledger.param import ProveReady, SetParameter, ready_roster, require_central_bank
from node.ledger.pay import Pay
from node.ledger.settle import SettleHold
from node.ledger.state import State

LEGS_MAX: Final = 16  # payees and settlers that are looked up; the rest is left to execution


def require_role(state: State, operation: Operation) -> None:
    """Raise Refused if who acts never may."""
    match operation:
        case Pay() | MakeHold() | SettleHold():
            pass  # nearly all that comes, and open to everybody
        case SetParameter():
            require_central_bank(_there(state, operation.by))
        case RegisterAsset() | SetAssetStatus():
            require_registrar(_there(state, operation.by), operation.asset)
        case Attest():
            require_attester(state.parameters, operation.schema, operation.by)
        case Freeze() | Unfreeze() | Arrest() | Release() | Seize():
            require_enforcer(_there(state, operation.by))


def require_plausible(
    state: State, checkpoints: Checkpoints, genesis: Genesis, operation: Operation, now_ms: int
) -> None:
    """Raise Refused if the first operation of a transaction fails as things stand."""
    match operation:
        case Pay():
            _require_payment(state, operation)
        case MakeHold():
            _require_promise(state, operation, now_ms)
        case SettleHold():
            _require_settlement(state, operation, now_ms)
        case ProveReady():
            ready_roster(state.roster, operation, checkpoints, genesis)


def _require_payment(state: State, pay: Pay) -> None:
    asset, payer = _payer_of(state, pay.asset, pay.payer)
    if pay.partial:
        return
    if payer.number != asset.issuer:
        _require_funds(payer, pay)
    for index, (to, _, _) in enumerate(pay.legs[:LEGS_MAX]):
        _there(state, to, index)


def _require_promise(state: State, hold: MakeHold, now_ms: int) -> None:
    asset, payer = _payer_of(state, hold.asset, hold.payer)
    if payer.number == asset.issuer:
        raise Refused(Code.ISSUER_HOLD)
    if hold.until_ms <= now_ms:
        raise Refused(Code.UNTIL)
    _require_funds(payer, hold)
    if hold.to:
        _there(state, hold.to)
    for index, (by, _, _) in enumerate(hold.legs[:LEGS_MAX]):
        if by:
            _there(state, by, index)


def _require_settlement(state: State, settle: SettleHold, now_ms: int) -> None:
    hold = find_hold(state.records, settle.hold)
    if hold is None:
        raise Refused(Code.NO_HOLD)
    if hold.condition is None:
        raise Refused(Code.UNDER_ORDER)
    if not settle.amount:
        return
    if hold.by not in (0, settle.by):
        raise Refused(Code.ROLE)
    if now_ms >= hold.until_ms:
        raise Refused(Code.HOLD_EXPIRED)
    if settle.amount > hold.left:
        raise Refused(Code.EXCEEDS_HOLD)


def _payer_of(state: State, number: int, payer: int) -> tuple[Asset, Account]:
    asset = state.assets.get(number)
    if asset is None:
        raise Refused(Code.NO_ASSET)
    account = _there(state, payer)
    if account.flags & CLOSED:
        raise Refused(Code.PAYER_BLOCKED)
    return asset, account


def _require_funds(payer: Account, operation: Pay | MakeHold) -> None:
    if sum([amount for _, amount, _ in operation.legs]) > payer.available(operation.asset):
        raise Refused(Code.INSUFFICIENT)


def _there(state: State, number: int, leg: int | None = None) -> Account:
    account = state.peek(number)
    if account is None:
        raise Refused(Code.NO_ACCOUNT, leg=leg)
    return account
