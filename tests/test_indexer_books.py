"""The rows of the index are those of the ledger: random chains, executed by one and booked by the other."""

from collections.abc import Iterator
from random import Random

import pytest

from node.client.chain import ChainBlock
from node.indexer.rows import BalanceRow, HoldRow
from node.ledger.account import CLOSED, decode_account
from node.ledger.assets import decode_asset
from node.ledger.attestations import ATTESTATION, decode_attestation
from node.ledger.holds import HOLD, decode_hold
from node.ledger.orders import ORDER, decode_order
from node.ledger.records import after
from node.ledger.statement import Entry, encode_entry
from node.ledger.transaction import decode_transaction
from tests.index_lab import Tables, chain_block
from tests.ledger_model import chain
from tests.ledger_world import World

TRANSACTIONS = 1_500


def blocks_of(world: World, seed: int, transactions: int) -> Iterator[tuple[ChainBlock, list[tuple[int, int, bytes]]]]:
    """Yield the blocks of a random chain and the entries that the ledger made in each."""
    for height, (time_ms, version, raws) in enumerate(chain.run(seed, transactions).blocks, 1):
        batch = [decode_transaction(raw, world.genesis.hash) for raw in raws]
        executed = world.ledger.execute(height, time_ms, version, batch)
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
