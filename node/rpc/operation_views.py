"""Operations in words: what a transaction asks for, as faces show it.

One rule: nothing is left out that the operation says. What is none there (an account 0, an empty id) is not there here.
"""

from collections.abc import Sequence

from node.ledger.account import Kind, format_account, mask_kinds
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount, SetKeys
from node.ledger.asset import RegisterAsset, SetAssetStatus
from node.ledger.assets import AssetStatus, Backing, OnLedger
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition
from node.ledger.operations import Operation
from node.ledger.order import Arrest, Freeze, OrderOperation, Release, Seize, Unfreeze
from node.ledger.param import VERSION, Listed, ProveReady, SetParameter
from node.ledger.parameters import Attesters, Opener, Tier
from node.ledger.pay import Pay
from node.ledger.recovery import CancelRecovery, FinishRecovery, MoveAccount, RecoverAccount
from node.ledger.settle import SettleHold
from node.rpc.operation_types import (
    AttestersView,
    BackingView,
    ConditionView,
    HoldLegView,
    KeyView,
    LegView,
    ListedValidator,
    OpenerView,
    OperationView,
    TierView,
)


def operation_view(operation: Operation) -> OperationView:
    """Return an operation in words."""
    match operation:
        case Pay():
            return OperationView(
                type="pay",
                asset=operation.asset,
                payer=format_account(operation.payer),
                legs=tuple(
                    LegView(to=format_account(to), amount=str(amount), ref=ref.hex())
                    for to, amount, ref in operation.legs
                ),
                partial=operation.partial,
                once=operation.once,
            )
        case MakeHold():
            return OperationView(
                type="make_hold",
                asset=operation.asset,
                payer=format_account(operation.payer),
                holds=tuple(
                    HoldLegView(by=_account(by), amount=str(amount), ref=ref.hex())
                    for by, amount, ref in operation.legs
                ),
                to=_account(operation.to),
                until_ms=operation.until_ms,
                condition=condition_view(operation.condition),
            )
        case SettleHold():
            return OperationView(
                type="settle_hold",
                by=format_account(operation.by),
                hold=operation.hold.hex(),
                amount=str(operation.amount),
                to=_account(operation.to),
                secret=operation.secret.hex(),
                close=operation.close,
            )
        case RegisterAsset() | SetAssetStatus():
            return _asset_view(operation)
        case Attest() | RevokeAttestation():
            return _attest_view(operation)
        case Freeze() | Unfreeze() | Arrest() | Release() | Seize():
            return _order_view(operation)
        case SetParameter():
            return _parameter_view(operation)
        case ProveReady():
            return OperationView(
                type="prove_ready",
                by=format_account(operation.by),
                validator=operation.name,
                height=operation.height,
                root=operation.root.hex(),
                signature=operation.signature.hex(),
            )
        case _:
            return _account_view(operation)


def key_views(keys: Sequence[tuple[bytes, int]]) -> tuple[KeyView, ...]:
    """Return public keys with their weights."""
    return tuple(KeyView(key=public.hex(), weight=weight) for public, weight in keys)


def kind_name(kind: int) -> str:
    """Return the name of an account's kind; a number that is none as it stands, for refused transactions."""
    return Kind(kind).name.lower() if kind in Kind._value2member_map_ else str(kind)


def kind_names(mask: int) -> tuple[str, ...]:
    """Return the names of a set of kinds."""
    return tuple(kind.name.lower() for kind in mask_kinds(mask))


def _account(number: int) -> str | None:
    return format_account(number) if number else None


def _account_view(
    operation: OpenAccount
    | SetAccount
    | SetKeys
    | CloseAccount
    | RecoverAccount
    | FinishRecovery
    | CancelRecovery
    | MoveAccount,
) -> OperationView:
    account = format_account(operation.number)
    match operation:
        case OpenAccount():
            return OperationView(
                type="open_account",
                account=account,
                by=format_account(operation.by),
                kind=kind_name(operation.kind),
                tier=operation.tier,
                category=operation.category,
                keys=key_views(operation.keys),
                threshold=operation.threshold,
                commitment=operation.commitment.hex(),
            )
        case SetAccount():
            return OperationView(
                type="set_account",
                account=account,
                by=format_account(operation.by),
                tier=operation.tier,
                category=operation.category,
                commitment=operation.commitment.hex(),
            )
        case SetKeys():
            return OperationView(
                type="set_keys", account=account, keys=key_views(operation.keys), threshold=operation.threshold
            )
        case CloseAccount():
            return OperationView(type="close_account", account=account, by=format_account(operation.by))
        case RecoverAccount():
            return OperationView(
                type="recover_account",
                account=account,
                by=format_account(operation.by),
                keys=key_views(operation.keys),
                threshold=operation.threshold,
            )
        case FinishRecovery():
            return OperationView(type="finish_recovery", account=account, by=format_account(operation.by))
        case CancelRecovery():
            return OperationView(type="cancel_recovery", account=account)
        case MoveAccount():
            return OperationView(type="move_account", account=account, bank=format_account(operation.bank))


def condition_view(condition: Condition) -> ConditionView:
    """Return what must be so before a hold is settled."""
    return ConditionView(
        hash=condition.hash.hex() or None,
        categories=condition.categories,
        not_before_ms=condition.not_before_ms,
        schema=condition.schema or None,
        subject=condition.subject or None,
        revocable=condition.revocable,
    )


def _asset_view(operation: RegisterAsset | SetAssetStatus) -> OperationView:
    match operation:
        case RegisterAsset():
            return OperationView(
                type="register_asset",
                by=format_account(operation.by),
                asset=operation.asset,
                code=operation.code,
                scale=operation.scale,
                issuer=format_account(operation.issuer),
                max_supply=str(operation.max_supply),
                backing=backing_view(operation.backing),
                mint_to=kind_names(operation.mint_to),
                redeem_from=kind_names(operation.redeem_from),
                basis=operation.basis.hex(),
            )
        case SetAssetStatus():
            return OperationView(
                type="set_asset_status",
                by=format_account(operation.by),
                asset=operation.asset,
                status=AssetStatus(operation.status).name.lower(),
                basis=operation.basis.hex(),
            )


def backing_view(backing: Backing) -> BackingView | None:
    """Return what must back an asset; None if nothing."""
    if backing is None:
        return None
    if isinstance(backing, OnLedger):
        return BackingView(reserve=format_account(backing.reserve), asset=backing.asset)
    return BackingView(schema=backing.schema, ratio_bp=backing.ratio_bp, max_age_ms=backing.max_age_ms)


def _attest_view(operation: Attest | RevokeAttestation) -> OperationView:
    match operation:
        case Attest():
            return OperationView(
                type="attest",
                by=format_account(operation.by),
                schema=operation.schema,
                subject=operation.subject,
                value=str(operation.value),
                as_of_ms=operation.as_of_ms,
                until_ms=operation.until_ms or None,
                evidence=operation.evidence.hex(),
                revokes=operation.revokes.hex() or None,
            )
        case RevokeAttestation():
            return OperationView(
                type="revoke_attestation", by=format_account(operation.by), attestation=operation.attestation.hex()
            )


def _order_view(operation: OrderOperation) -> OperationView:
    by, number, basis = format_account(operation.by), operation.number, operation.basis.hex()
    match operation:
        case Unfreeze():
            return OperationView(type="unfreeze", by=by, number=number, basis=basis)
        case Release():
            return OperationView(type="release", by=by, number=number, basis=basis)
        case Freeze():
            return OperationView(
                type="freeze",
                by=by,
                number=number,
                basis=basis,
                target=format_account(operation.target),
                incoming=operation.incoming,
            )
        case Arrest() | Seize():
            return OperationView(
                type="arrest" if isinstance(operation, Arrest) else "seize",
                by=by,
                number=number,
                basis=basis,
                target=format_account(operation.target),
                asset=operation.asset,
                amount=str(operation.amount),
                to=format_account(operation.to) if isinstance(operation, Seize) else None,
            )


def tier_view(row: Tier) -> TierView:
    """Return a tier in words."""
    return TierView(
        number=row.number,
        out_per_transaction=str(row.out_per_transaction),
        out_per_day=str(row.out_per_day),
        balance_max=str(row.balance_max),
    )


def opener_view(row: Opener) -> OpenerView:
    """Return who may open what, in words."""
    return OpenerView(kind=kind_name(row.kind), kinds=kind_names(row.kinds))


def attesters_view(row: Attesters) -> AttestersView:
    """Return whose word counts under a schema."""
    return AttestersView(schema=row.schema, accounts=tuple(format_account(number) for number in row.accounts))


def _parameter_view(operation: SetParameter) -> OperationView:
    """Return a parameter's change in words, its value by the kind of its rows."""
    value = operation.value
    rows = () if isinstance(value, int) else value
    tiers = tuple(tier_view(row) for row in rows if isinstance(row, Tier))
    openers = tuple(opener_view(row) for row in rows if isinstance(row, Opener))
    attesters = tuple(attesters_view(row) for row in rows if isinstance(row, Attesters))
    validators = tuple(
        ListedValidator(
            name=row.name,
            weight=row.weight,
            address=row.address,
            consensus_key=row.consensus_key.hex(),
            node_key=row.node_key.hex(),
        )
        for row in rows
        if isinstance(row, Listed)
    )
    return OperationView(
        type="set_parameter",
        by=format_account(operation.by),
        parameter=operation.key,
        based_on=operation.based_on.hex(),
        milliseconds=value if isinstance(value, int) and operation.key != VERSION else None,
        tiers=tiers if operation.key == "tiers" else None,
        openers=openers if operation.key == "openers" else None,
        attesters=attesters if operation.key == "attesters" else None,
        validators=validators if operation.key == "validators" else None,
        version=value if isinstance(value, int) and operation.key == VERSION else None,
    )
