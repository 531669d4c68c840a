"""From the ledger's and consensus' own types to what is on the wire.

One rule: pure, and nothing is left out that the source says.
"""

from collections.abc import Sequence
from typing import Final, Literal

from consensus.messages import Header
from node.ledger.account import (
    CLOSED,
    IN_BLOCKED,
    OUT_BLOCKED,
    RECOVERING,
    Account,
    Kind,
    format_account,
    mask_kinds,
)
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount, SetKeys
from node.ledger.assets import Asset, AssetStatus, Attested
from node.ledger.errors import Code
from node.ledger.operations import Operation
from node.ledger.param import Listed, ProveReady, SetParameter
from node.ledger.parameters import Opener, Tier
from node.ledger.pay import Pay
from node.ledger.receipt import Receipt
from node.ledger.statement import Entry
from node.ledger.transaction import Transaction
from node.rpc import types
from node.rpc.operation_types import KeyView, LegView, ListedValidator, OpenerView, OperationView, TierView

Flag = Literal["out_blocked", "in_blocked", "closed", "recovering"]
_FLAGS: Final[tuple[tuple[int, Flag], ...]] = (
    (OUT_BLOCKED, "out_blocked"),
    (IN_BLOCKED, "in_blocked"),
    (CLOSED, "closed"),
    (RECOVERING, "recovering"),
)


def receipt_view(receipt: Receipt, height: int, index: int, timestamp_ms: int) -> types.Receipt:
    """Return a receipt and where it stands in the chain."""
    return types.Receipt(
        height=height,
        index=index,
        timestamp_ms=timestamp_ms,
        code=receipt.code,
        name=Code(receipt.code).name,
        op=receipt.op,
        leg=receipt.leg,
        skipped=tuple(
            types.SkippedLeg(op=op, leg=leg, code=code, name=Code(code).name) for op, leg, code in receipt.skipped
        ),
        original=None if receipt.original is None else receipt.original.hex(),
    )


def transaction_view(transaction: Transaction) -> types.TransactionView:
    """Return a transaction in words."""
    return types.TransactionView(
        raw=transaction.raw.hex(),
        network=transaction.network,
        expires_ms=transaction.expires_ms,
        salt=str(transaction.salt),
        accounts=tuple(format_account(number) for number in transaction.accounts),
        operations=tuple(operation_view(operation) for operation in transaction.operations),
        signatures=tuple(
            types.SignatureView(account=format_account(transaction.accounts[index]), key=public.hex())
            for index, public, _ in transaction.signatures
        ),
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
        case OpenAccount():
            return OperationView(
                type="open_account",
                account=format_account(operation.number),
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
                account=format_account(operation.number),
                by=format_account(operation.by),
                tier=operation.tier,
                category=operation.category,
                commitment=operation.commitment.hex(),
            )
        case SetKeys():
            return OperationView(
                type="set_keys",
                account=format_account(operation.number),
                keys=key_views(operation.keys),
                threshold=operation.threshold,
            )
        case CloseAccount():
            return OperationView(
                type="close_account",
                account=format_account(operation.number),
                by=format_account(operation.by),
            )
        case SetParameter():
            return parameter_view(operation)
        case ProveReady():
            return OperationView(
                type="prove_ready",
                by=format_account(operation.by),
                validator=operation.name,
                height=operation.height,
                root=operation.root.hex(),
                signature=operation.signature.hex(),
            )


def parameter_view(operation: SetParameter) -> OperationView:
    """Return a parameter's change in words, its value by the kind of its rows."""
    value = operation.value
    rows = () if isinstance(value, int) else value
    tiers = tuple(
        TierView(
            number=row.number,
            out_per_transaction=str(row.out_per_transaction),
            out_per_day=str(row.out_per_day),
            balance_max=str(row.balance_max),
        )
        for row in rows
        if isinstance(row, Tier)
    )
    openers = tuple(
        OpenerView(kind=kind_name(row.kind), kinds=tuple(kind.name.lower() for kind in mask_kinds(row.kinds)))
        for row in rows
        if isinstance(row, Opener)
    )
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
        milliseconds=value if isinstance(value, int) else None,
        tiers=tiers if operation.key == "tiers" else None,
        openers=openers if operation.key == "openers" else None,
        validators=validators if operation.key == "validators" else None,
    )


def account_view(account: Account, assets: dict[int, Asset]) -> types.AccountView:
    """Return an account in words. ``assets`` has every asset that it holds."""
    return types.AccountView(
        account=format_account(account.number),
        kind=kind_name(account.kind),
        tier=account.tier,
        flags=tuple(name for bit, name in _FLAGS if account.flags & bit),
        bank=format_account(account.bank) if account.bank else None,
        category=account.profile.category,
        keys=key_views(account.keys),
        threshold=account.threshold,
        commitment=account.profile.commitment.hex(),
        out_today=str(account.out_today),
        statement_length=account.length,
        statement_head=account.head.hex(),
        holdings=tuple(
            types.HoldingView(
                asset=asset,
                code=assets[asset].code,
                scale=assets[asset].scale,
                balance=str(balance),
                held=str(held),
                available=str(balance - held),
            )
            for asset, balance, held in account.holdings
        ),
    )


def key_views(keys: Sequence[tuple[bytes, int]]) -> tuple[KeyView, ...]:
    """Return public keys with their weights."""
    return tuple(KeyView(key=public.hex(), weight=weight) for public, weight in keys)


def kind_name(kind: int) -> str:
    """Return the name of an account's kind; a number that is none as it stands, for refused transactions."""
    return Kind(kind).name.lower() if kind in Kind._value2member_map_ else str(kind)


def entry_view(number: int, entry: Entry) -> types.Entry:
    """Return one line of a statement."""
    return types.Entry(
        number=number,
        height=entry.height,
        timestamp_ms=entry.time_ms,
        tx_id=entry.transaction_id.hex(),
        op=entry.op,
        leg=entry.leg,
        asset=entry.asset,
        amount=str(entry.amount),
        balance=str(entry.balance),
        other=None if entry.counterparty is None else format_account(entry.counterparty),
        ref=None if entry.ref is None else entry.ref.hex(),
    )


def asset_view(number: int, asset: Asset, supply: int) -> types.AssetView:
    """Return a row of the register."""
    backing: Literal["none", "on_ledger", "attested"] = "none"
    if asset.backing is not None:
        backing = "attested" if isinstance(asset.backing, Attested) else "on_ledger"
    return types.AssetView(
        asset=number,
        code=asset.code,
        scale=asset.scale,
        issuer=format_account(asset.issuer),
        status=AssetStatus(asset.status).name.lower(),
        supply=str(supply),
        max_supply=str(asset.max_supply),
        backing=backing,
        mint_to=tuple(kind.name.lower() for kind in mask_kinds(asset.mint_to)),
        redeem_from=tuple(kind.name.lower() for kind in mask_kinds(asset.redeem_from)),
        basis=asset.basis.hex(),
    )


def header_view(block_hash: bytes, header: Header, proposer: str) -> types.HeaderView:
    """Return a header in words."""
    return types.HeaderView(
        hash=block_hash.hex(),
        height=header.height,
        epoch=header.epoch,
        view=header.view,
        parent_hash=header.parent_hash.hex(),
        proposer=proposer,
        timestamp_ms=header.timestamp_ms,
        executed_height=header.executed_height,
        state_root=header.state_root.hex(),
        payload_hash=header.payload_hash.hex(),
    )
