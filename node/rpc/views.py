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
    format_account,
)
from node.ledger.assets import Asset
from node.ledger.errors import Code
from node.ledger.receipt import Receipt
from node.ledger.statement import Entry
from node.ledger.transaction import Transaction
from node.rpc import types
from node.rpc.operation_views import key_views, kind_name, operation_view

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
        skipped=skipped_views(receipt.skipped),
        original=None if receipt.original is None else receipt.original.hex(),
    )


def skipped_views(skipped: Sequence[tuple[int, int, int]]) -> tuple[types.SkippedLeg, ...]:
    """Return the legs that pays left out."""
    return tuple(types.SkippedLeg(op=op, leg=leg, code=code, name=Code(code).name) for op, leg, code in skipped)


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
        version=header.version,
    )
