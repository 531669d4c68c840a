"""The rows of the index are those of the ledger: random chains, executed by one and booked by the other."""

from collections.abc import Iterator
from random import Random

import pytest

from node.client.chain import ChainBlock
from node.indexer.rows import BalanceRow, HoldRow
from node.ledger.account import CLOSED, SOM, decode_account
from node.ledger.assets import decode_asset
from node.ledger.attestations import ATTESTATION, decode_attestation
from node.ledger.execute import Executed
from node.ledger.hold import MakeHold
from node.ledger.holds import ENDED_MAX, HOLD, Condition, decode_hold, row_id
from node.ledger.operations import Operation
from node.ledger.order import Arrest, Seize
from node.ledger.orders import ORDER, decode_order
from node.ledger.pay import Pay
from node.ledger.records import after
from node.ledger.settle import SettleHold
from node.ledger.statement import Entry, encode_entry
from node.ledger.transaction import Transaction, decode_transaction
from tests.index_lab import Tables, chain_block
from tests.ledger_model import chain
from tests.ledger_world import ALICE, BANK, BOB, CENTRAL, ENFORCER, ISSUER, SHOP, START_MS, TREASURY, World

TRANSACTIONS = 1_500
HOUR_MS = 3_600_000
BASIS = b"b" * 32
OPEN = Condition(b"", (), 0, "", "", False)


def blocks_of(world: World, seed: int, transactions: int) -> Iterator[tuple[ChainBlock, list[tuple[int, int, bytes]]]]:
    """Yield the blocks of a random chain and the entries that the ledger made in each."""
    for height, (time_ms, version, raws, roster) in enumerate(chain.run(seed, transactions).blocks, 1):
        batch = [decode_transaction(raw, world.genesis.hash) for raw in raws]
        executed = world.ledger.execute(height, time_ms, version, batch, roster)
        world.reader.store(executed.changes)
        yield chain_block(world.genesis, executed, batch, version), list(executed.entries)


def start(seed: int) -> tuple[World, Tables]:
    world = chain.start(seed)
    held = [
        BalanceRow(int.from_bytes(key[1:], "big"), *holding)
        for key, row in world.reader.scan(b"a", after(b"a"))
        for holding in decode_account(int.from_bytes(key[1:], "big"), row).holdings
    ]
    return world, Tables(world.genesis, held)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 7))
def test_random_chains_lead_to_the_rows_of_the_ledger(seed: int) -> None:
    world, tables = start(seed)
    random, waiting = Random(seed), []
    entries: dict[tuple[int, int], bytes] = {}
    for block, booked in blocks_of(world, seed, TRANSACTIONS):
        entries |= {(account, number): entry for account, number, entry in booked}
        waiting.append(block)
        if random.random() < 0.3:  # batches of any size: what they read in between must be enough
            tables.index(waiting)
            waiting = []
    tables.index(waiting)
    compare(world, tables, entries)


# What chance seldom meets


class Followed:
    """A small country whose blocks are booked one by one, or later all at once."""

    def __init__(self) -> None:
        self.world = World()
        self.tables = Tables(self.world.genesis)
        self._entries: dict[tuple[int, int], bytes] = {}
        self._waiting: list[ChainBlock] = []
        self.act(Pay(SOM, ISSUER, ((BANK, 100_000, b""),)))
        self.act(Pay(SOM, BANK, ((ALICE, 10_000, b""),)))

    def block(self, *transactions: Transaction, later_ms: int = 1_000) -> Executed:
        executed = self.world.block(transactions, later_ms)
        self._entries |= {(account, number): entry for account, number, entry in executed.entries}
        self._waiting.append(chain_block(self.world.genesis, executed, transactions, self.world.version))
        return executed

    def act(self, *operations: Operation, accounts: tuple[int, ...] | None = None) -> bytes:
        """Execute one transaction that applies; return its id."""
        transaction = self.world.transaction(operations, accounts)
        assert self.block(transaction).receipts[0].applied
        return transaction.id

    def booked(self) -> Tables:
        """Book what waits, and compare everything."""
        self.tables.index(self._waiting)
        self._waiting = []
        compare(self.world, self.tables, self._entries)
        return self.tables

    def left(self) -> list[int]:
        """Return what is left of the holds, in the order in which they were made."""
        rows = sorted(self.booked().all()["holds"], key=lambda row: (row.height, row.op, row.leg))
        return [row.amount_left for row in rows]


def promise(*amounts: int, until_ms: int = START_MS + HOUR_MS, payer: int = BANK) -> MakeHold:
    return MakeHold(SOM, payer, tuple((SHOP, amount, b"") for amount in amounts), 0, until_ms, OPEN)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_seizure_breaks_holds_in_the_ledgers_order(at_once: bool) -> None:
    country, approved = Followed(), (ENFORCER, CENTRAL)
    country.act(Arrest(ENFORCER, "old", BANK, BASIS, SOM, 10_000), accounts=approved)
    for amount in (20_000, 30_000):
        country.act(promise(amount))
    country.act(Arrest(ENFORCER, "new", BANK, BASIS, SOM, 15_000), accounts=approved)
    for number, amount in enumerate((14_900, 200, 30_000, 20_000, 15_000, 9_900)):  # free money is 15,000
        country.act(Seize(ENFORCER, f"{number}", BANK, BASIS, SOM, amount, TREASURY), accounts=approved)
        if not at_once:
            country.booked()
    assert country.left() == [0, 0, 0, 0]
    lifted = [row for row in country.tables.hold_changes if row.what == "seized"]
    assert [row.change for row in lifted] == [-100, -29_900, -100, -19_900, -100, -14_900, -100, -9_900]


@pytest.mark.parametrize("at_once", [True, False])
def test_holds_end_at_their_millisecond_and_not_before(at_once: bool) -> None:
    country = Followed()
    end = country.world.time_ms + 10_000
    country.act(promise(1, 2, until_ms=end), promise(3, until_ms=end + 1))
    for later_ms, left in ((8_999, [1, 2, 3]), (1, [0, 0, 3]), (1, [0, 0, 0])):
        country.block(later_ms=later_ms)
        if not at_once:
            assert country.left() == left
    assert country.left() == [0, 0, 0]
    assert [row.what for row in country.tables.hold_changes] == ["made"] * 3 + ["expired"] * 3
    assert all(row.transaction is None for row in country.tables.hold_changes[3:])


@pytest.mark.parametrize("at_once", [True, False])
def test_a_block_ends_no_more_holds_than_the_ledger_does(at_once: bool) -> None:
    country = Followed()
    end = country.world.time_ms + 60_000
    country.act(promise(*[1] * (ENDED_MAX + 150), until_ms=end))
    made = country.world.transaction([promise(*[1] * 20, until_ms=end + HOUR_MS)], expires_ms=end + 60_000)
    country.block(made, later_ms=70_000)
    if not at_once:
        assert sum(country.left()) == 150 - 2 * 20 + 20
    country.block()
    assert sum(country.left()) == 20


def test_holds_that_are_over_and_voided_take_no_place_among_those_that_end() -> None:
    """Nor those that a seizure breaks: a hold that goes on is not taken for what a thousand old ones leave."""
    country, goes_on = Followed(), 50_000
    end = country.world.time_ms + 60_000
    over = country.act(promise(*[1] * (ENDED_MAX + 100), until_ms=end))
    country.act(promise(goes_on, until_ms=end + HOUR_MS))
    country.booked()
    first = sorted(row_id(over, 0, leg) for leg in range(ENDED_MAX + 100))[:80]  # ends are taken in this order
    voids = [
        country.world.transaction(
            [SettleHold(SHOP, each, 0, 0, b"", True) for each in first[at : at + 16]], expires_ms=end + 60_000
        )
        for at in range(0, len(first), 16)
    ]
    receipts = country.block(*voids, later_ms=70_000).receipts
    assert all(receipt.applied for receipt in receipts)
    assert sum(country.left()) == 20 + goes_on
    free = 100_000 - 10_000 - 20 - goes_on
    country.act(Seize(ENFORCER, "1", BANK, BASIS, SOM, free, TREASURY), accounts=(ENFORCER, CENTRAL))
    country.block()
    assert sum(country.left()) == goes_on


def test_a_hold_is_paid_in_parts_voided_and_closed() -> None:
    country = Followed()
    tx_id = country.act(promise(100, 200, 300))
    first, second, third = (row_id(tx_id, 0, leg) for leg in range(3))
    country.act(SettleHold(SHOP, first, 40, SHOP, b"", False), SettleHold(SHOP, first, 60, SHOP, b"", False))
    country.act(SettleHold(SHOP, second, 50, SHOP, b"", True))
    country.act(SettleHold(SHOP, third, 0, 0, b"", True))
    assert country.left() == [0, 0, 0]
    assert [(row.what, row.change) for row in country.tables.hold_changes[3:]] == [
        *(("settled", -40), ("settled", -60), ("settled", -50), ("released", -150), ("voided", -300)),
    ]


def test_a_transaction_that_comes_again_or_too_late_has_no_row_of_its_own() -> None:
    country = Followed()
    pay = country.world.transaction([Pay(SOM, ALICE, ((BOB, 1, b""),))])
    late = country.world.transaction([Pay(SOM, ALICE, ((BOB, 2, b""),))], expires_ms=country.world.time_ms)
    poor = country.world.transaction([Pay(SOM, BOB, ((ALICE, 10**9, b""),))])
    receipts = country.block(pay, pay, late, poor).receipts
    assert [receipt.consumed for receipt in receipts] == [True, False, False, True]
    tables = country.booked()
    assert {pay.id, poor.id} <= tables.transactions
    assert late.id not in tables.transactions
    assert tables.blocks[-1].transactions == 4


# Comparing


def compare(world: World, tables: Tables, entries: dict[tuple[int, int], bytes]) -> None:
    found = tables.all()
    assert {key: encoded(row) for key, row in tables.entries.items()} == entries
    accounts = {}
    for key, record in world.reader.scan(b"a", after(b"a")):
        account = decode_account(int.from_bytes(key[1:], "big"), record)
        profile = account.profile
        accounts[account.number] = (
            *(profile.kind, profile.tier, profile.bank, profile.category),
            bool(profile.flags & CLOSED),
            account.length,
            {asset: (balance, held) for asset, balance, held in account.holdings},
        )
    balances: dict[int, dict[int, tuple[int, int]]] = {}
    for number, asset, *amounts in found["balances"]:
        if any(amounts):
            balances.setdefault(number, {})[asset] = (amounts[0], amounts[1])
    assert {
        row.number: (
            *(row.kind, row.tier, row.bank, row.category, row.closed is not None, row.entries),
            balances.get(row.number, {}),
        )
        for row in found["accounts"]
    } == accounts
    compare_holds(world, found["holds"])
    changes: dict[bytes, int] = {}
    for change in tables.hold_changes:
        changes[change.hold] = changes.get(change.hold, 0) + change.change
    assert changes == {row.id: row.amount_left for row in found["holds"]}
    orders = {key[1:]: decode_order(row) for key, row in world.reader.scan(ORDER, after(ORDER))}
    assert {row.authority.to_bytes(8, "big") + row.number.encode() for row in found["orders"]} == set(orders)
    for row in found["orders"]:
        order = orders[row.authority.to_bytes(8, "big") + row.number.encode()]
        assert (row.target, row.basis, row.incoming, row.hold or b"") == (
            *(order.target, order.basis, order.incoming, order.hold),
        )
        assert (row.asset or 0, row.amount or 0, row.payee or 0) == (order.asset, order.amount, order.to)
        assert (row.lifted is not None, row.lifted_basis or b"") == (order.lifted_ms > 0, order.lifted_basis)
    assets = {int.from_bytes(key[1:], "big"): decode_asset(row) for key, row in world.reader.scan(b"s", after(b"s"))}
    assert {row.number: (row.code, row.status, row.issuer, row.max_supply) for row in found["assets"]} == {
        number: (asset.code, asset.status, asset.issuer, asset.max_supply) for number, asset in assets.items()
    }
    said = {key[1:]: decode_attestation(row) for key, row in world.reader.scan(ATTESTATION, after(ATTESTATION))}
    assert {row.id: (row.subject, row.value, row.as_of_ms, row.revoked_by or 0) for row in found["attestations"]} == {
        name: (each.subject, each.value, each.as_of_ms, each.revoked_by) for name, each in said.items()
    }


def compare_holds(world: World, rows: list[HoldRow]) -> None:
    holds = {key[1:]: decode_hold(row) for key, row in world.reader.scan(HOLD, after(HOLD))}
    there = {row.id: row for row in rows if row.ended is None}
    assert set(there) == set(holds)
    for name, hold in holds.items():
        row, condition = there[name], hold.condition
        assert (row.asset, row.payer, row.settler, row.payee, row.amount_left, row.ref, row.until_ms, row.height) == (
            *(hold.asset, hold.payer, hold.by, hold.to, hold.left, hold.ref, hold.until_ms, hold.height),
        )
        assert (row.order_number or "") == hold.order
        if condition is not None:
            terms = (row.secret_hash or b"", row.categories, row.not_before_ms, row.needs_schema or "")
            assert terms == (condition.hash, condition.categories, condition.not_before_ms, condition.schema)
            assert (row.needs_subject or "", row.revocable) == (condition.subject, condition.revocable)


def encoded(row: tuple[object, ...]) -> bytes:
    """Return the entry as the ledger hashes it."""
    _, _, height, time_ms, *rest = row
    return encode_entry(Entry(time_ms, height, *rest))  # type: ignore[arg-type]
