"""The index without a server: its tables as dicts, and blocks as a node would show them, executed by the ledger."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from consensus.messages import Hash, Header
from node.client.chain import ChainBlock
from node.indexer.books import genesis_rows, rows_of
from node.indexer.needs import Needs
from node.indexer.rows import (
    AccountRow,
    AssetRow,
    AttestationRow,
    BalanceRow,
    BlockRow,
    EntryRow,
    HoldChangeRow,
    HoldRow,
    OrderRow,
    Rows,
)
from node.ledger.execute import Executed
from node.ledger.genesis import Genesis
from node.ledger.transaction import Transaction


class Tables:
    """The rows of an index, and its reader."""

    def __init__(self, genesis: Genesis, balances: Iterable[BalanceRow] = ()) -> None:
        self.entries: dict[tuple[int, int], EntryRow] = {}
        self.blocks: list[BlockRow] = []
        self.transactions: set[bytes] = set()
        self.hold_changes: list[HoldChangeRow] = []
        self._accounts: dict[int, AccountRow] = {}
        self._balances: dict[tuple[int, int], BalanceRow] = {row[:2]: row for row in balances}
        self._holds: dict[bytes, HoldRow] = {}
        self._assets: dict[int, AssetRow] = {}
        self._orders: dict[tuple[int, str], OrderRow] = {}
        self._attestations: dict[bytes, AttestationRow] = {}
        self.add(genesis_rows(genesis))

    def index(self, blocks: Sequence[ChainBlock]) -> None:
        self.add(rows_of(blocks, self))

    def add(self, rows: Rows) -> None:
        for entry in rows.entries:
            assert entry[:2] not in self.entries
            self.entries[entry[:2]] = entry
        for row in rows.transactions:
            assert row.id not in self.transactions
            self.transactions.add(row.id)
        self.blocks += rows.blocks
        self.hold_changes += rows.hold_changes
        self._accounts |= {row.number: row for row in rows.accounts}
        self._balances |= {row[:2]: row for row in rows.balances}
        self._holds |= {row.id: row for row in rows.holds}
        self._assets |= {row.number: row for row in rows.assets}
        self._orders |= {row[:2]: row for row in rows.orders}
        self._attestations |= {row.id: row for row in rows.attestations}

    def all(self) -> dict[str, list[Any]]:
        """Return the rows that change, by table."""
        return {
            "accounts": list(self._accounts.values()),
            "balances": list(self._balances.values()),
            "holds": list(self._holds.values()),
            "assets": list(self._assets.values()),
            "orders": list(self._orders.values()),
            "attestations": list(self._attestations.values()),
        }

    def statement(self, account: int) -> Iterator[EntryRow]:
        yield from (self.entries[account, number] for number in range(self._accounts[account].entries))

    # --- books.Reader ---

    def orders(self, names: Iterable[tuple[int, str]]) -> list[OrderRow]:
        return [self._orders[name] for name in names if name in self._orders]

    def holds(self, needs: Needs) -> list[HoldRow]:
        there = [row for row in self._holds.values() if row.ended is None]
        named = [row for row in there if row.id in needs.holds or row.payer in needs.payers]
        others = sorted(set(there).difference(named), key=lambda row: (row.until_ms, row.id))
        return named + [row for row in others if 0 < row.until_ms <= needs.until_ms][: needs.ended_max]

    def accounts(self, numbers: Iterable[int]) -> list[AccountRow]:
        return [self._accounts[number] for number in numbers if number in self._accounts]

    def balances(self, numbers: Iterable[int]) -> list[BalanceRow]:
        wanted = set(numbers)
        return [row for row in self._balances.values() if row.account in wanted]

    def assets(self, numbers: Iterable[int]) -> list[AssetRow]:
        return [self._assets[number] for number in numbers if number in self._assets]

    def attestations(self, ids: Iterable[bytes]) -> list[AttestationRow]:
        return [self._attestations[name] for name in ids if name in self._attestations]


def chain_block(genesis: Genesis, executed: Executed, transactions: Sequence[Transaction], version: int) -> ChainBlock:
    """Return a block as the client hands it on; what only agreement needs in its header is empty."""
    empty = Hash(bytes(32))
    header = Header(
        genesis_hash=Hash(genesis.hash),
        epoch=0,
        view=executed.height,
        height=executed.height,
        parent_view=executed.height - 1,
        parent_hash=Hash((executed.height - 1).to_bytes(32, "big")),
        proposer=0,
        timestamp_ms=executed.timestamp_ms,
        validators_hash=empty,
        next_validators_hash=empty,
        executed_height=executed.height - 1,
        state_root=empty,
        payload_hash=empty,
        version=version,
    )
    name = executed.height.to_bytes(32, "big")
    return ChainBlock(
        header, name, executed.root, tuple(transactions), executed.receipts, f"{executed.height:02x}", executed.height
    )
