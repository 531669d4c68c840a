"""What every movement of money is measured by, be it a pay, a promise (hold) or a promise kept (settle).

One rule: nothing here writes but ``count_out``; each operation asks in the order that is its protocol.
"""

from typing import Final

from node.ledger.account import CLOSED, IN_BLOCKED, OUT_BLOCKED, RECOVERING, SOM, Account
from node.ledger.assets import Asset, AssetStatus, Attested, OnLedger, reserve_needed, supply_backed
from node.ledger.attestations import attested_supply, current
from node.ledger.errors import Code, Refused
from node.ledger.state import State
from node.ledger.step import Step

CANNOT_PAY: Final = OUT_BLOCKED | CLOSED
CANNOT_RECEIVE: Final = IN_BLOCKED | CLOSED
APPLIED: Final = Code.APPLIED

Cap = tuple[int, Code]  # what may move in all, and why not more

STATUS_REFUSALS: Final = {
    int(AssetStatus.REGISTERED): APPLIED,
    int(AssetStatus.SUSPENDED): Code.ASSET_SUSPENDED,
    int(AssetStatus.REVOKED): Code.ASSET_REVOKED,
}


def require_can_pay(payer: Account) -> None:
    """Raise Refused (PAYER_BLOCKED, RECOVERING) if nothing may leave the account."""
    flags = payer.profile.flags
    if flags & CANNOT_PAY:
        raise Refused(Code.PAYER_BLOCKED)
    if flags & RECOVERING:
        raise Refused(Code.RECOVERING)


def redeem_refusal(asset: Asset, payer: Account) -> Code:
    """Return why the payer may not give the asset back to its issuer, or APPLIED."""
    return APPLIED if asset.redeem_from >> payer.profile.kind & 1 else Code.REDEEM_PAYER


def balance_max(state: State, payee: Account) -> int:
    """Return how much som a payee of a limited kind may have."""
    tier = state.parameters.tier(payee.profile.tier)
    return 0 if tier is None else tier.balance_max


def payer_caps(step: Step, number: int, payer: Account) -> list[Cap]:
    """Return the caps of who is not the issuer, in the order in which they are named when several are broken."""
    balance, held = payer.holding(number)
    caps: list[Cap] = [(balance - held, Code.INSUFFICIENT)]
    backed = step.state.backed_by.get(payer.number)
    if backed is not None:
        caps.append((balance - _floor(step.state, backed, number), Code.RESERVE_FLOOR))
    if number == SOM and payer.limited:
        caps += _tier_caps(step, payer)
    return caps


def floor_cap(state: State, number: int, payer: Account) -> int:
    """Return what may leave the payer's balance before it falls below what it backs."""
    backed = state.backed_by.get(payer.number)
    balance = payer.balance(number)
    return balance if backed is None else balance - _floor(state, backed, number)


def issue_caps(step: Step, number: int, asset: Asset) -> list[Cap]:
    """Return the caps of the issuer."""
    state = step.state
    supply = state.supply(number)
    caps: list[Cap] = [(asset.max_supply - supply, Code.MAX_SUPPLY)]
    match asset.backing:
        case None:
            pass
        case OnLedger(reserve, reserve_asset):
            account = state.account(reserve)
            balance = 0 if account is None else account.balance(reserve_asset)
            caps.append((supply_backed(balance, asset, state.assets[reserve_asset]) - supply, Code.UNBACKED))
        case Attested():
            backed = attested_supply(state.records, asset, step.time_ms)
            caps.append((0, _why_none_counts(step, asset)) if backed is None else (backed - supply, Code.UNBACKED))
    return caps


def _why_none_counts(step: Step, asset: Asset) -> Code:
    assert isinstance(asset.backing, Attested)
    there = current(step.state.records, asset.backing.schema, asset.code) is not None
    return Code.ATTESTATION_OLD if there and step.rules.names_old_attestations else Code.NO_ATTESTATION


def count_out(step: Step, number: int, payer: Account, amount: int) -> None:
    """Count what the payer, already saved by ``edit``, pays or promises against its limits."""
    if number == SOM and payer.limited:
        payer.out_today = amount + (payer.out_today if payer.day == step.day else 0)
        payer.day = step.day
        step.spent[payer.number] = step.spent.get(payer.number, 0) + amount


def _tier_caps(step: Step, payer: Account) -> list[Cap]:
    tier = step.state.parameters.tier(payer.profile.tier)
    if tier is None:
        return [(0, Code.LIMIT_TX)]
    out_today = payer.out_today if payer.day == step.day else 0
    return [
        (tier.out_per_transaction - step.spent.get(payer.number, 0), Code.LIMIT_TX),
        (tier.out_per_day - out_today, Code.LIMIT_DAY),
    ]


def _floor(state: State, backed: int, reserve_asset: int) -> int:
    """Return what a reserve account must keep of an asset."""
    asset = state.assets[backed]
    assert isinstance(asset.backing, OnLedger)
    if asset.backing.asset != reserve_asset:
        return 0
    return reserve_needed(state.supply(backed), asset, state.assets[reserve_asset])
