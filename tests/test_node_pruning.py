"""Pruning: what is old goes and the disk has room again; what is needed stays, and nobody is told half the truth."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from node.epochs import Epochs
from node.ledger.execute import Ledger
from node.pruning import BLOCKS_MIN, DAY_MS, WINDOW_MS, Pruner
from node.rpc import types
from node.rpc.chain import get_info
from node.rpc.errors import PRUNED, RpcError
from node.rpc.methods import get_by_ref, get_history, get_transaction, submit, submit_many
from node.storage.schema import Table, table_end
from node.storage.snapshot_files import Shelf
from node.storage.store import Store
from tests.node_parts import eventually, running
from tests.snapshot_lab import Joiner, joins, made
from tests.solo_chain import ALICE, BANK, SHOP, SoloChain, digits, solo_chain

BLOCKS = 30


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[SoloChain]:
    async with solo_chain(tmp_path / "chain") as chain:
        for number in range(BLOCKS):
            await chain.add_block([chain.pay("bank", SHOP, 1, b"REF-%d" % number), chain.pay("alice", SHOP, 1)])
        yield chain


def pruner(chain: SoloChain, keep_blocks: int = 10, **given: Any) -> Pruner:
    options: dict[str, Any] = {
        "keep_days": 0,
        "window_ms": 0,
        "blocks_min": 2,
        "step": 1,
        "needed_from": lambda: None,
    } | given
    epochs = Epochs(chain.genesis, chain.store)
    return Pruner(chain.store, epochs, chain.genesis.hash, keep_blocks, **options)


def heights_of(store: Store, table: Table) -> list[int]:
    return [int.from_bytes(key[1:9], "big") for key, _ in store.rows(table.value, table_end(table))]


def rows_of(store: Store) -> dict[bytes, bytes]:
    return dict(store.rows(b"", None))


async def test_what_is_old_goes_and_what_is_above_stays_as_it_was(chain: SoloChain) -> None:
    tip = chain.store.tip.height
    before = rows_of(chain.store)
    one = pruner(chain)
    base = one.base_wanted()
    assert base == tip - 10
    await one.prune(base)
    assert (one.blocks, one.due) == (base, 0)
    after = rows_of(chain.store)
    assert chain.store.base() == base
    assert heights_of(chain.store, Table.BLOCK) == [0, *range(base, tip + 1)]
    assert heights_of(chain.store, Table.ROOTS) == [0, *range(base, tip + 1)]
    assert heights_of(chain.store, Table.OUTCOMES) == list(range(base + 1, tip + 1))
    assert heights_of(chain.store, Table.CERTIFICATE) == list(range(base, tip + 1))
    for table in (Table.STATE, Table.ROSTER, Table.VERSION, Table.EVIDENCE):
        span = [key for key in before if key[:1] == table.value]
        assert [key for key in after if key[:1] == table.value] == span
    for table, each in ((Table.BATCH, 1), (Table.TRANSACTION, 2), (Table.REFERENCE, 1), (Table.ENTRY, 4)):
        assert sum(1 for key in after if key[:1] == table.value) == 10 * each, table
    gone = {key[:1] for key in before.keys() - after.keys()}
    assert gone == {table.value for table in Table} - {Table.META.value, Table.STATE.value, b"n", b"v", b"w"}
    assert {key: row for key, row in after.items() if key[1:] != b"base"}.items() <= before.items()
    chain.store.check()
    assert Ledger(chain.store, chain.genesis).root == chain.ledger.root
    await chain.add_block([chain.pay("alice", SHOP, 1)])


async def test_a_run_that_was_cut_short_is_ended_by_the_next(chain: SoloChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.pruning.ROWS", 3)
    base = chain.store.tip.height - 10
    for steps in (1, 2, 7, 40, 100):
        work = pruner(chain)._removing(base)
        for _ in range(steps):
            next(work, None)
        assert chain.store.base() == base
        chain.store.check()
    for _ in pruner(chain)._removing(base):
        pass
    assert heights_of(chain.store, Table.BLOCK)[:2] == [0, base]
    assert sum(1 for _ in chain.store.rows(b"t", b"u")) == 20
    assert sum(1 for _ in chain.store.rows(b"f", b"g")) == 10


async def test_the_disk_gets_the_room_back(tmp_path: Path) -> None:
    async with solo_chain(tmp_path / "chain") as chain:
        for number in range(60):
            pays = [chain.pay("bank", SHOP, 1, b"%030d" % (1_000 * number + at)) for at in range(40)]
            await chain.add_block(pays)
        chain.store.give_back(b"", b"\xff")  # from the log into tables, which is what can be measured
        full = chain.store.stats().directory_bytes
        await pruner(chain).prune(chain.store.tip.height - 3)
        assert chain.store.stats().directory_bytes < full // 3


async def test_days_blocks_the_window_and_a_snapshot_under_way_hold_it_back(chain: SoloChain) -> None:
    tip = chain.store.tip.height
    assert pruner(chain, blocks_min=5, keep_blocks=1).base_wanted() == tip - 5
    assert pruner(chain, needed_from=lambda: tip - 20).base_wanted() == tip - 21
    assert pruner(chain, keep_days=1).base_wanted() == 0
    assert pruner(chain, window_ms=WINDOW_MS).base_wanted() == 0
    step = chain.store.block(tip).timestamp_ms - chain.store.block(tip - 1).timestamp_ms  # type: ignore[union-attr]
    assert pruner(chain, window_ms=15 * step).base_wanted() == tip - 16
    assert (BLOCKS_MIN, WINDOW_MS) == (4 * 1_024, 7 * DAY_MS)


async def test_nothing_is_pruned_unless_it_is_asked_for(chain: SoloChain) -> None:
    await pruner(chain, keep_blocks=0).run()
    assert chain.store.base() == 0


async def test_what_may_go_and_is_not_worth_a_step_yet_is_counted(chain: SoloChain) -> None:
    waiting = pruner(chain, step=100)
    async with running(waiting.run()):
        await eventually(lambda: waiting.due)
    assert (waiting.due, waiting.blocks, chain.store.base()) == (chain.store.tip.height - 10, 0, 0)


async def test_who_asks_for_what_is_gone_is_told_so(chain: SoloChain) -> None:
    ports = chain.ports()
    tip = chain.store.tip.height
    newest = chain.pay("bank", SHOP, 1, b"NEW")
    oldest = chain.store.transaction(next(iter(chain.store.scan(b"I", b"J")))[0][9:])
    assert oldest is not None
    await pruner(chain).prune(tip - 10)
    await chain.execute([newest])
    assert (await get_info(ports, types.GetInfoParams())).first_height == tip - 10
    asks = types.GetByRefParams(account=digits(BANK), refs=(b"NEW".hex(),))
    with pytest.raises(RpcError) as told:
        await get_by_ref(ports, asks)
    assert told.value.fault is PRUNED
    since = types.GetByRefParams(account=digits(BANK), refs=(b"NEW".hex(), b"REF-0".hex()), since_height=tip - 9)
    assert [paid.tx_id for paid in (await get_by_ref(ports, since)).payments] == [newest.id.hex()]
    cursor, seen = None, 0
    while seen < 10:
        page = await get_history(ports, types.GetHistoryParams(account=digits(ALICE), limit=4, cursor=cursor))
        seen += len(page.entries)
        cursor = page.next_cursor
        assert cursor is not None
    with pytest.raises(RpcError) as told:
        await get_history(ports, types.GetHistoryParams(account=digits(ALICE), limit=4, cursor=cursor))
    assert told.value.fault is PRUNED
    assert seen == 10
    with pytest.raises(RpcError) as told:
        await get_history(ports, types.GetHistoryParams(account=digits(ALICE), order="asc"))
    assert told.value.fault is PRUNED


async def test_an_id_from_before_the_snapshot_is_neither_unknown_nor_paid_again(
    chain: SoloChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = chain.pay("alice", SHOP, 7)
    await chain.execute([old])
    shelf = Shelf(tmp_path / "shelf")
    await made(chain, shelf)
    joiner = Joiner(chain, tmp_path / "joiner", [shelf])
    monkeypatch.setattr("node.snapshot_fetch.LISTEN_SECONDS", 0.001)
    await joins(joiner)
    chain.store.close()
    chain.store = joiner.opened()
    chain.ledger = Ledger(chain.store, chain.genesis)
    ports = chain.ports()
    for call in (
        get_transaction(ports, types.GetTransactionParams(tx_id=old.id.hex())),
        submit(ports, types.SubmitParams(tx=old.raw.hex())),
    ):
        with pytest.raises(RpcError) as told:
            await call
        assert told.value.fault is PRUNED
    fresh = chain.pay("alice", SHOP, 8)
    many = await submit_many(ports, types.SubmitManyParams(txs=(old.raw.hex(), fresh.raw.hex())))
    assert many.items[0].refused is not None
    assert many.items[0].refused.name == "pruned"
    assert many.items[1].refused is None
