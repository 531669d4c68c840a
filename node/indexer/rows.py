"""The rows of the database, a named tuple for each table, in the order of its columns (schema.py).

One rule: whatever changes is replaced and never edited, so what was read stays what it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class BlockRow(NamedTuple):
    """A final block. ``transactions`` counts all that it carries."""

    height: int
    hash: bytes
    parent_hash: bytes
    root: bytes
    time_ms: int
    epoch: int
    view: int
    proposer: int
    version: int
    transactions: int


class TransactionRow(NamedTuple):
    """A transaction that has its one result. Failed envelopes have none and are counted by their blocks alone."""

    id: bytes
    height: int
    position: int
    code: int
    failed_op: int | None
    failed_leg: int | None
    skipped: int
    accounts: tuple[int, ...]
    operations: tuple[str, ...]
    expires_ms: int


class EntryRow(NamedTuple):
    """A booking: a line of an account's statement, as the ledger hashes it into the account's head."""

    account: int
    number: int
    height: int
    time_ms: int
    transaction: bytes
    op: int
    leg: int | None
    asset: int
    counterparty: int | None
    amount: int
    balance: int
    ref: bytes | None


class AccountRow(NamedTuple):
    """An account. ``entries`` is how many it has; times are heights, 0 the genesis."""

    number: int
    name: str | None
    kind: int
    tier: int
    bank: int
    category: int
    opened: int
    closed: int | None
    entries: int


class BalanceRow(NamedTuple):
    """What an account has of an asset, and how much of it waits in holds and arrests."""

    account: int
    asset: int
    balance: int
    held: int


class HoldRow(NamedTuple):
    """Money that waits, or waited. ``settler`` and ``payee`` may be 0; ``until_ms`` 0: an arrest, with its order."""

    id: bytes
    asset: int
    payer: int
    settler: int
    payee: int
    amount: int
    amount_left: int
    ref: bytes
    until_ms: int
    height: int
    transaction: bytes
    op: int
    leg: int
    secret_hash: bytes | None
    categories: tuple[int, ...]
    not_before_ms: int
    needs_schema: str | None
    needs_subject: str | None
    revocable: bool
    order_number: str | None
    ended: int | None  # height


class HoldChangeRow(NamedTuple):
    """How a hold grew or shrank: ``change`` is added to what is held, below 0 where it was paid or given back."""

    hold: bytes
    height: int
    position: int  # in the block
    what: str
    change: int
    transaction: bytes | None  # none: its time was over
    op: int | None


class AssetRow(NamedTuple):
    """An asset of the register, as it is now."""

    number: int
    code: str
    scale: int
    issuer: int
    status: int
    max_supply: int
    reserve_account: int | None
    reserve_asset: int | None
    attested_schema: str | None
    attested_ratio_bp: int | None
    attested_age_ms: int | None
    mint_to: int
    redeem_from: int
    basis: bytes
    height: int


class AssetChangeRow(NamedTuple):
    """A change of an asset's status; its registration is the first."""

    asset: int
    height: int
    position: int
    status: int
    author: int
    basis: bytes
    transaction: bytes


class OrderRow(NamedTuple):
    """What an authority ordered. ``lifted`` is the height at which it lifted that."""

    authority: int
    number: str
    act: str
    target: int
    basis: bytes
    asset: int | None
    amount: int | None
    payee: int | None
    incoming: bool
    hold: bytes | None
    height: int
    transaction: bytes
    lifted: int | None
    lifted_basis: bytes | None


class AttestationRow(NamedTuple):
    """What somebody with the right to say it said of a subject. ``revoked``: the height at which it was taken back."""

    id: bytes
    schema: str
    subject: str
    value: int
    as_of_ms: int
    until_ms: int
    evidence: bytes
    author: int
    height: int
    transaction: bytes
    revoked: int | None
    revoked_by: int | None


@dataclass(slots=True)
class Rows:
    """What blocks add (the first five), and the rows that they made or changed, as these are after them."""

    blocks: list[BlockRow] = field(default_factory=list)
    transactions: list[TransactionRow] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    hold_changes: list[HoldChangeRow] = field(default_factory=list)
    asset_changes: list[AssetChangeRow] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)
    balances: list[BalanceRow] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)
    assets: list[AssetRow] = field(default_factory=list)
    orders: list[OrderRow] = field(default_factory=list)
    attestations: list[AttestationRow] = field(default_factory=list)

    def tables(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield each table's name and its rows."""
        for name in self.__dataclass_fields__:
            yield name, getattr(self, name)

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.tables())
