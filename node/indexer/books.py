"""From certain blocks to rows: what transactions did, worked out from what they ask for and from their receipts.

One rule: nothing is decided here. Whether a payment was good, the receipt says; what it moved, the payment says. What
the ledger does by itself (holds whose time is over, which holds a seizure breaks) follows the order that docs/ledger.md
sets down. Nobody has to believe this: proof.py compares the rows with proven records of the ledger.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, Final, Protocol

from node.client.chain import ChainBlock
from node.indexer.needs import Needs, needs_of
from node.indexer.rows import (
    AccountRow,
    AssetChangeRow,
    AssetRow,
    AttestationRow,
    BalanceRow,
    BlockRow,
    EntryRow,
    HoldChangeRow,
    HoldRow,
    OrderRow,
    Rows,
    TransactionRow,
)
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount, SetKeys
from node.ledger.asset import RegisterAsset, SetAssetStatus
from node.ledger.assets import Asset, AssetStatus, Attested, OnLedger
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.genesis import Genesis
from node.ledger.hold import MakeHold
from node.ledger.holds import ENDED_FACTOR, ENDED_MAX, row_id
from node.ledger.operations import Operation
from node.ledger.order import Arrest, Freeze, Release, Seize, Unfreeze
from node.ledger.param import ProveReady, SetParameter
from node.ledger.pay import Pay
from node.ledger.receipt import Receipt
from node.ledger.recovery import CancelRecovery, FinishRecovery, MoveAccount, RecoverAccount
from node.ledger.settle import SettleHold
from node.ledger.transaction import Transaction
from node.ledger.versions import VERSIONS

OPERATION_NAMES: Final[Mapping[type[Operation], str]] = {
    Pay: "pay",
    MakeHold: "hold",
    SettleHold: "settle",
    OpenAccount: "account open",
    SetAccount: "account set",
    SetKeys: "account keys",
    CloseAccount: "account close",
    RecoverAccount: "account recover",
    FinishRecovery: "account recovered",
    CancelRecovery: "account cancel",
    MoveAccount: "account move",
    RegisterAsset: "asset register",
    SetAssetStatus: "asset status",
    Attest: "attest",
    RevokeAttestation: "attest revoke",
    Freeze: "order freeze",
    Unfreeze: "order unfreeze",
    Arrest: "order arrest",
    Release: "order release",
    Seize: "order seize",
    SetParameter: "param set",
    ProveReady: "param ready",
}


class Unknown(Exception):
    """The chain has come to something that this software does not know."""


class Incomplete(Exception):
    """A row is missing that must be there: somebody has changed the database."""


class Reader(Protocol):
    """The rows as of the block before."""

    def orders(self, names: Iterable[tuple[int, str]]) -> list[OrderRow]:
        """Return the orders of these names, as far as they are there."""

    def holds(self, needs: Needs) -> list[HoldRow]:
        """Return the open holds that are named, those of payers, and the first ones whose time is over."""

    def accounts(self, numbers: Iterable[int]) -> list[AccountRow]:
        """Return the accounts of these numbers, as far as they are there."""

    def balances(self, numbers: Iterable[int]) -> list[BalanceRow]:
        """Return all balances of these accounts."""

    def assets(self, numbers: Iterable[int]) -> list[AssetRow]:
        """Return the assets of these numbers, as far as they are there."""

    def attestations(self, ids: Iterable[bytes]) -> list[AttestationRow]:
        """Return the attestations of these ids, as far as they are there."""


def genesis_rows(genesis: Genesis) -> Rows:
    """Return the rows that are there before block 1: accounts without money, and assets."""
    accounts = [
        AccountRow(
            row.number, row.name, row.profile.kind, row.profile.tier, row.profile.bank, row.profile.category, 0, None, 0
        )
        for row in genesis.accounts
    ]
    return Rows(accounts=accounts, assets=[asset_row(number, asset, 0) for number, asset in genesis.assets])


def rows_of(blocks: Sequence[ChainBlock], reader: Reader) -> Rows:
    """Return what these blocks add and change, the next ones after those of the reader. Raises Unknown, Incomplete."""
    books = _Books(blocks, reader)
    for block in blocks:
        books.block(block)
    return books.finish()


class _Books:
    """The rows that some blocks touch."""

    def __init__(self, blocks: Sequence[ChainBlock], reader: Reader) -> None:
        needs = needs_of(blocks)
        self._orders = {row[:2]: row for row in reader.orders(needs.orders)}
        needs.holds.update(row.hold for row in self._orders.values() if row.hold is not None)
        self._holds: dict[bytes, HoldRow] = {}
        self._ends: list[tuple[int, bytes]] = []  # a heap of (until_ms, id)
        for hold in reader.holds(needs):
            self._put_hold(hold)
            needs.accounts.update(number for number in (hold.payer, hold.payee) if number)
        self._accounts = {row.number: row for row in reader.accounts(needs.accounts)}
        self._balances = {row[:2]: (row.balance, row.held) for row in reader.balances(needs.accounts)}
        self._assets = {row.number: row for row in reader.assets(needs.assets)}
        self._attestations = {row.id: row for row in reader.attestations(needs.attestations)}
        self._changed: dict[str, set[Any]] = {
            name: set() for name in ("accounts", "balances", "holds", "assets", "orders", "attestations")
        }
        self._rows = Rows()
        self._height = 0
        self._time_ms = 0
        self._transaction = b""
        self._op = 0
        self._holds_made = 0
        self._position = 0  # of the next change of a hold or an asset in the block

    def block(self, block: ChainBlock) -> None:
        header = block.header
        if header.version not in VERSIONS:
            raise Unknown(f"block {header.height} stands under protocol version {header.version}")
        self._height, self._time_ms = header.height, header.timestamp_ms
        self._holds_made = self._position = 0
        for position, (transaction, receipt) in enumerate(zip(block.transactions, block.receipts, strict=True)):
            if receipt.consumed:
                self._rows.transactions.append(_transaction_row(header.height, position, transaction, receipt))
            if receipt.applied:
                self._apply(transaction, receipt)
        self._release_ended()
        self._rows.blocks.append(
            BlockRow(
                header.height,
                block.block_hash,
                header.parent_hash,
                block.root,
                header.timestamp_ms,
                header.epoch,
                header.view,
                header.proposer,
                header.version,
                len(block.transactions),
            )
        )

    def finish(self) -> Rows:
        rows, changed = self._rows, self._changed
        rows.accounts = [self._accounts[each] for each in changed["accounts"]]
        rows.balances = [
            BalanceRow(account, asset, *self._balances[account, asset]) for account, asset in changed["balances"]
        ]
        rows.holds = [self._holds[each] for each in changed["holds"]]
        rows.assets = [self._assets[each] for each in changed["assets"]]
        rows.orders = [self._orders[each] for each in changed["orders"]]
        rows.attestations = [self._attestations[each] for each in changed["attestations"]]
        return rows

    # --- one transaction ---

    def _apply(self, transaction: Transaction, receipt: Receipt) -> None:
        self._transaction = transaction.id
        for self._op, operation in enumerate(transaction.operations):
            if type(operation) is Pay:
                self._pay(operation, {leg for op, leg, _ in receipt.skipped if op == self._op})
            else:
                apply = _APPLY.get(type(operation))
                if apply is None:
                    raise Unknown(f"an operation {type(operation).__name__} in block {self._height}")
                apply(self, operation)

    def _pay(self, pay: Pay, skipped: set[int]) -> None:
        total = 0
        for index, (to, amount, ref) in enumerate(pay.legs):
            if index not in skipped:
                self._book(to, index, pay.asset, pay.payer, amount, ref)
                total += amount
        if len(pay.legs) == 1:
            to, _, ref = pay.legs[0]
            self._book(pay.payer, 0, pay.asset, to, -total, ref)
        else:
            self._book(pay.payer, None, pay.asset, None, -total, None)

    def _make_hold(self, made: MakeHold) -> None:
        condition = made.condition
        for index, (by, amount, ref) in enumerate(made.legs):
            self._open_hold(
                HoldRow(
                    id=row_id(self._transaction, self._op, index),
                    asset=made.asset,
                    payer=made.payer,
                    settler=by,
                    payee=made.to,
                    amount=amount,
                    amount_left=amount,
                    ref=ref,
                    until_ms=made.until_ms,
                    height=self._height,
                    transaction=self._transaction,
                    op=self._op,
                    leg=index,
                    secret_hash=condition.hash or None,
                    categories=condition.categories,
                    not_before_ms=condition.not_before_ms,
                    needs_schema=condition.schema or None,
                    needs_subject=condition.subject or None,
                    revocable=condition.revocable,
                    order_number=None,
                    ended=None,
                )
            )

    def _settle(self, settled: SettleHold) -> None:
        hold = self._open(settled.hold)
        if not settled.amount:
            self._reduce(hold, "voided", hold.amount_left)
            return
        rest = hold.amount_left - settled.amount
        self._reduce(hold, "settled", settled.amount)
        if settled.close and rest:
            self._reduce(self._holds[hold.id], "released", rest)
        to = hold.payee or settled.to
        self._book(to, None, hold.asset, hold.payer, settled.amount, hold.ref)
        self._book(hold.payer, None, hold.asset, to, -settled.amount, hold.ref)

    # --- accounts ---

    def _open_account(self, opened: OpenAccount) -> None:
        self._put_account(
            AccountRow(
                opened.number,
                None,
                opened.kind,
                opened.tier,
                opened.by,
                opened.category,
                self._height,
                None,
                0,
            )
        )

    def _set_account(self, changed: SetAccount) -> None:
        account = self._account(changed.number)
        self._put_account(account._replace(tier=changed.tier, category=changed.category))

    def _close_account(self, closed: CloseAccount) -> None:
        self._put_account(self._account(closed.number)._replace(closed=self._height))

    def _move_account(self, moved: MoveAccount) -> None:
        self._put_account(self._account(moved.number)._replace(bank=moved.bank))

    def _nothing(self, operation: Operation) -> None:
        """Keys, recoveries and parameters have no rows of their own; their transactions do."""

    # --- the register, attestations, orders ---

    def _register(self, made: RegisterAsset) -> None:
        status = int(AssetStatus.REGISTERED)
        asset = Asset(
            made.code,
            made.scale,
            made.issuer,
            status,
            made.max_supply,
            made.backing,
            made.mint_to,
            made.redeem_from,
            made.basis,
        )
        self._put_asset(asset_row(made.asset, asset, self._height), made.by, made.basis)

    def _status(self, changed: SetAssetStatus) -> None:
        asset = self._assets.get(changed.asset)
        if asset is None:
            raise Incomplete(f"asset {changed.asset} is missing")
        self._put_asset(asset._replace(status=changed.status), changed.by, changed.basis)

    def _attest(self, said: Attest) -> None:
        if said.revokes:
            self._revoke(said.revokes, said.by)
        attestation_id = row_id(self._transaction, self._op, 0)
        self._attestations[attestation_id] = AttestationRow(
            attestation_id,
            said.schema,
            said.subject,
            said.value,
            said.as_of_ms,
            said.until_ms,
            said.evidence,
            said.by,
            self._height,
            self._transaction,
            None,
            None,
        )
        self._changed["attestations"].add(attestation_id)

    def _take_back(self, taken: RevokeAttestation) -> None:
        self._revoke(taken.attestation, taken.by)

    def _revoke(self, attestation_id: bytes, by: int) -> None:
        attestation = self._attestations.get(attestation_id)
        if attestation is None:
            raise Incomplete(f"attestation {attestation_id.hex()} is missing")
        self._attestations[attestation_id] = attestation._replace(revoked=self._height, revoked_by=by)
        self._changed["attestations"].add(attestation_id)

    def _freeze(self, order: Freeze) -> None:
        self._put_order(self._new_order(order, "freeze")._replace(incoming=order.incoming))

    def _arrest(self, order: Arrest) -> None:
        hold_id = row_id(self._transaction, self._op, 0)
        self._open_hold(
            HoldRow(
                id=hold_id,
                asset=order.asset,
                payer=order.target,
                settler=order.by,
                payee=0,
                amount=order.amount,
                amount_left=order.amount,
                ref=b"",
                until_ms=0,
                height=self._height,
                transaction=self._transaction,
                op=self._op,
                leg=0,
                secret_hash=None,
                categories=(),
                not_before_ms=0,
                needs_schema=None,
                needs_subject=None,
                revocable=False,
                order_number=order.number,
                ended=None,
            )
        )
        row = self._new_order(order, "arrest")
        self._put_order(row._replace(asset=order.asset, amount=order.amount, hold=hold_id))

    def _lift(self, lifted: Unfreeze | Release) -> None:
        order = self._orders.get((lifted.by, lifted.number))
        if order is None:
            raise Incomplete(f"order {lifted.number} of {lifted.by} is missing")
        self._put_order(order._replace(lifted=self._height, lifted_basis=lifted.basis))
        hold = None if order.hold is None else self._holds.get(order.hold)
        if hold is not None and hold.amount_left:
            self._reduce(hold, "lifted", hold.amount_left)

    def _seize(self, order: Seize) -> None:
        balance, held = self._balances.get((order.target, order.asset), (0, 0))
        missing = order.amount - (balance - held)
        for hold in self._breakable(order.target, order.asset) if missing > 0 else ():
            if missing <= 0:
                break
            self._reduce(hold, "seized", min(missing, hold.amount_left))
            missing -= hold.amount_left
        ref = order.number.encode()
        self._book(order.target, None, order.asset, order.to, -order.amount, ref)
        self._book(order.to, None, order.asset, order.target, order.amount, ref)
        row = self._new_order(order, "seize")
        self._put_order(row._replace(asset=order.asset, amount=order.amount, payee=order.to))

    def _breakable(self, payer: int, asset: int) -> list[HoldRow]:
        """Return open holds in the order in which a seizure takes of them: own ones, then arrests; newest first."""
        holds = [
            hold for hold in self._holds.values() if hold.payer == payer and hold.asset == asset and hold.amount_left
        ]
        holds.sort(key=lambda hold: (hold.height, hold.id), reverse=True)
        return sorted(holds, key=lambda hold: hold.order_number is not None)

    # --- what the ledger does by itself at the end of a block ---

    def _release_ended(self) -> None:
        room = ENDED_MAX + ENDED_FACTOR * self._holds_made
        self._transaction = b""
        while room and self._ends and self._ends[0][0] <= self._time_ms:
            hold = self._holds[heappop(self._ends)[1]]
            if hold.amount_left:
                self._reduce(hold, "expired", hold.amount_left)
                room -= 1

    # --- writing ---

    def _book(
        self, account: int, leg: int | None, asset: int, counterparty: int | None, amount: int, ref: bytes | None
    ) -> None:
        row = self._account(account)
        key = (account, asset)
        balance, held = self._balances.get(key, (0, 0))
        balance += amount
        self._balances[key] = (balance, held)
        self._changed["balances"].add(key)
        self._rows.entries.append(
            EntryRow(
                account,
                row.entries,
                self._height,
                self._time_ms,
                self._transaction,
                self._op,
                leg,
                asset,
                counterparty,
                amount,
                balance,
                ref,
            )
        )
        self._put_account(row._replace(entries=row.entries + 1))

    def _open_hold(self, hold: HoldRow) -> None:
        self._put_hold(hold)
        self._holds_made += 1
        self._note(hold, "made", hold.amount)

    def _reduce(self, hold: HoldRow, what: str, amount: int) -> None:
        left = hold.amount_left - amount
        if left < 0:
            raise Incomplete(f"hold {hold.id.hex()} has less than it gave")
        self._holds[hold.id] = hold._replace(amount_left=left, ended=None if left else self._height)
        self._note(hold, what, -amount)

    def _note(self, hold: HoldRow, what: str, change: int) -> None:
        key = (hold.payer, hold.asset)
        balance, held = self._balances.get(key, (0, 0))
        self._balances[key] = (balance, held + change)
        self._changed["balances"].add(key)
        self._changed["holds"].add(hold.id)
        by = (self._transaction, self._op) if self._transaction else (None, None)
        self._rows.hold_changes.append(HoldChangeRow(hold.id, self._height, self._next(), what, change, *by))

    def _next(self) -> int:
        self._position += 1
        return self._position - 1

    def _put_hold(self, hold: HoldRow) -> None:
        if hold.id not in self._holds and hold.until_ms:
            heappush(self._ends, (hold.until_ms, hold.id))
        self._holds[hold.id] = hold

    def _open(self, hold_id: bytes) -> HoldRow:
        hold = self._holds.get(hold_id)
        if hold is None or not hold.amount_left:
            raise Incomplete(f"hold {hold_id.hex()} is missing")
        return hold

    def _account(self, number: int) -> AccountRow:
        row = self._accounts.get(number)
        if row is None:
            raise Incomplete(f"account {number} is missing")
        return row

    def _put_account(self, row: AccountRow) -> None:
        self._accounts[row.number] = row
        self._changed["accounts"].add(row.number)

    def _put_asset(self, row: AssetRow, by: int, basis: bytes) -> None:
        self._assets[row.number] = row
        self._changed["assets"].add(row.number)
        change = AssetChangeRow(row.number, self._height, self._next(), row.status, by, basis, self._transaction)
        self._rows.asset_changes.append(change)

    def _new_order(self, order: Freeze | Arrest | Seize, act: str) -> OrderRow:
        return OrderRow(
            order.by,
            order.number,
            act,
            order.target,
            order.basis,
            None,
            None,
            None,
            False,
            None,
            self._height,
            self._transaction,
            None,
            None,
        )

    def _put_order(self, row: OrderRow) -> None:
        self._orders[row[:2]] = row
        self._changed["orders"].add(row[:2])


_APPLY: Final[Mapping[type[Operation], Callable[[_Books, Any], None]]] = {
    MakeHold: _Books._make_hold,
    SettleHold: _Books._settle,
    OpenAccount: _Books._open_account,
    SetAccount: _Books._set_account,
    CloseAccount: _Books._close_account,
    MoveAccount: _Books._move_account,
    SetKeys: _Books._nothing,
    RecoverAccount: _Books._nothing,
    FinishRecovery: _Books._nothing,
    CancelRecovery: _Books._nothing,
    RegisterAsset: _Books._register,
    SetAssetStatus: _Books._status,
    Attest: _Books._attest,
    RevokeAttestation: _Books._take_back,
    Freeze: _Books._freeze,
    Unfreeze: _Books._lift,
    Arrest: _Books._arrest,
    Release: _Books._lift,
    Seize: _Books._seize,
    SetParameter: _Books._nothing,
    ProveReady: _Books._nothing,
}


def _transaction_row(height: int, position: int, transaction: Transaction, receipt: Receipt) -> TransactionRow:
    return TransactionRow(
        transaction.id,
        height,
        position,
        receipt.code,
        receipt.op,
        receipt.leg,
        len(receipt.skipped),
        transaction.accounts,
        tuple(OPERATION_NAMES[type(operation)] for operation in transaction.operations),
        transaction.expires_ms,
    )


def asset_row(number: int, asset: Asset, height: int) -> AssetRow:
    """Return the row of an asset whose record was made, or first seen, at a height."""
    reserve, attested = asset.backing, asset.backing
    on_ledger = reserve if isinstance(reserve, OnLedger) else None
    words = attested if isinstance(attested, Attested) else None
    return AssetRow(
        number,
        asset.code,
        asset.scale,
        asset.issuer,
        asset.status,
        asset.max_supply,
        on_ledger and on_ledger.reserve,
        on_ledger and on_ledger.asset,
        words and words.schema,
        words and words.ratio_bp,
        words and words.max_age_ms,
        asset.mint_to,
        asset.redeem_from,
        asset.basis,
        height,
    )
