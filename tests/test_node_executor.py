"""node/executor.py: final blocks become receipts, roots and one synced write, in order, whatever is interrupted."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from consensus.messages import Block, Certificate, Hash, decode_block, decode_certificate
from devnet.generate import TREASURY, bank_account
from node.batches import Batch, BatchDigest, BatchPool, decode_transactions, encode_payload
from node.build import is_native
from node.executor import ROOTS_KEPT, Diverged, Executor, Stored
from node.ledger.account import SOM
from node.ledger.errors import Code
from node.ledger.execute import Ledger
from node.ledger.receipt import decode_receipt
from node.references import decode_reference
from node.storage.records import BlockRecord
from node.storage.store import Store
from tests.node_parts import (
    PEERS,
    batch_of,
    block_zero,
    certify,
    child,
    eventually,
    genesis,
    issue,
    make_store,
    members,
    passes,
    pay,
    running,
)

BANK = bank_account(1)


class Bench:
    """An executor over a real store and a real ledger. Batches that are ``away`` come when they are fetched."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ledger = Ledger(store, genesis())
        self.pool = BatchPool(members(), PEERS[0])
        self.away: dict[BatchDigest, Batch] = {}
        self.arrived = asyncio.Event()
        self.arrived.set()
        self.asked: list[BatchDigest] = []
        self.stored: list[Stored] = []
        self.executor = Executor(store, self.ledger, self.pool, self._fetch, self._on_stored)
        self.tip = block_zero() if store.tip.height == 0 else self._stored_tip()

    def _stored_tip(self) -> Block:
        stored = self.store.block(self.store.tip.height)
        assert stored is not None
        return decode_block(stored.block_bytes)

    async def _fetch(self, names: Sequence[BatchDigest]) -> None:
        self.asked.extend(names)
        await self.arrived.wait()
        for name in names:
            self.hold(self.away[name])

    def _on_stored(self, stored: Stored) -> None:
        height = stored.block.header.height
        assert self.store.tip.height == self.executor.height == height, "told before it was stored"
        assert self.store.tip.root == stored.executed.root
        self.stored.append(stored)

    def hold(self, *batches: Batch) -> None:
        for batch in batches:
            self.pool.add(batch, decode_transactions(genesis().hash, batch))

    def block(self, *batches: Batch, root: Hash | None = None) -> Block:
        """Return the next block; it names the root of the highest executed height."""
        height = min(self.executor.height, self.tip.header.height)
        known = self.executor.root_at(height)
        assert known is not None
        payload = encode_payload([batch.digest for batch in batches])
        self.tip = child(self.tip, payload, executed_height=height, state_root=root or known)
        self.pool.finalized([batch.digest for batch in batches], self.tip.header.height)
        return self.tip

    def finalize(self, *blocks: Block, certificate: Certificate | None = None) -> None:
        self.executor.finalized(blocks, certificate or certify(blocks[-1]))

    async def execute(self, *blocks: Block) -> None:
        """Execute blocks in a run of their own."""
        self.finalize(*blocks)
        async with running(self.executor.run()):
            await eventually(lambda: self.executor.height >= blocks[-1].header.height)

    def balance(self, number: int) -> int:
        account = self.ledger.account(number)
        assert account is not None
        return account.balance(SOM)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = make_store(tmp_path)
    yield store
    store.close()


@pytest.fixture
async def bench(store: Store) -> Bench:
    return Bench(store)


async def test_final_blocks_are_executed_in_order_and_stored_before_anyone_hears(bench: Bench) -> None:
    first, second = batch_of(0, issue(1_000)), batch_of(1, pay(amount=100), pay(amount=200))
    bench.hold(first, second)
    blocks = [bench.block(first), bench.block(second), bench.block()]
    await bench.execute(*blocks)
    assert [stored.block for stored in bench.stored] == blocks
    assert [len(stored.executed.receipts) for stored in bench.stored] == [1, 2, 0]
    assert all(receipt.applied for stored in bench.stored for receipt in stored.executed.receipts)
    assert (bench.balance(TREASURY), bench.balance(BANK)) == (700, 300)
    assert bench.store.tip.height == 3
    assert bench.store.batch(second.digest) == second.encoded
    assert len(bench.pool) == 0
    assert bench.executor.transactions == 3


async def test_the_order_is_that_of_the_payload_and_then_of_the_batch(bench: Bench) -> None:
    funds = batch_of(3, issue(100))
    spends = [batch_of(0, pay(amount=100), pay(amount=1)), batch_of(1, pay(amount=1))]
    bench.hold(*spends, funds)
    await bench.execute(bench.block(funds, *spends))
    codes = [receipt.code for receipt in bench.stored[0].executed.receipts]
    assert codes == [0, 0, Code.INSUFFICIENT, Code.INSUFFICIENT]


async def test_missing_batches_are_collected_and_nothing_overtakes_their_block(bench: Bench) -> None:
    here, away = batch_of(0, issue(1_000)), batch_of(1, pay(amount=10))
    bench.hold(here)
    bench.away[away.digest] = away
    bench.arrived.clear()
    blocks = [bench.block(here), bench.block(away), bench.block()]
    bench.finalize(*blocks)
    async with running(bench.executor.run()):
        await eventually(lambda: bench.asked and bench.executor.height == 1)
        await passes()
        assert bench.executor.queued() == 2
        assert [final.block for final in bench.executor.waiting()] == blocks[1:]
        bench.arrived.set()
        await eventually(lambda: bench.executor.height == 3)
    assert bench.asked == [away.digest]
    assert bench.balance(BANK) == 10


async def test_batches_of_blocks_that_wait_are_asked_for_before_their_turn(bench: Bench) -> None:
    away = [batch_of(0, issue(1_000)), batch_of(1, pay(amount=10)), batch_of(2, pay(amount=20))]
    bench.away |= {batch.digest: batch for batch in away}
    bench.arrived.clear()
    bench.finalize(*(bench.block(batch) for batch in away))
    async with running(bench.executor.run()):
        await eventually(lambda: len(bench.asked) == 3)
        assert bench.executor.height == 0
        bench.arrived.set()
        await eventually(lambda: bench.executor.height == 3)
    assert sorted(bench.asked) == sorted(batch.digest for batch in away)
    assert bench.balance(BANK) == 30


async def test_a_final_header_with_another_root_stops_everything_and_stores_nothing(bench: Bench) -> None:
    batch = batch_of(0, issue(1_000))
    bench.hold(batch)
    good, wrong = bench.block(batch), bench.block(root=Hash(b"x" * 32))
    bench.finalize(good, wrong)
    with pytest.raises(ExceptionGroup) as stopped:
        async with running(bench.executor.run()):
            await eventually(lambda: False)
    assert stopped.group_contains(Diverged, match=r"final block 2 names root 78.* for height 0")
    assert bench.store.tip.height == 1
    assert bench.store.block(2) is None


async def test_a_block_that_names_the_root_of_a_height_long_ago_is_compared_with_the_store(bench: Bench) -> None:
    root = bench.executor.root
    await bench.execute(*(bench.block(root=root) if number == 0 else bench.block() for number in range(3)))
    tip = bench.tip
    old = child(tip, executed_height=0, state_root=Hash(b"x" * 32))
    bench.finalize(old)
    with pytest.raises(ExceptionGroup):
        async with running(bench.executor.run()):
            await eventually(lambda: False)


async def test_what_was_paid_under_a_reference_is_found(bench: Bench) -> None:
    paid, unpaid = pay(amount=10, ref=b"INV-1"), pay(amount=10_000, ref=b"INV-2")
    batch = batch_of(0, issue(1_000), paid, unpaid)
    bench.hold(batch)
    await bench.execute(bench.block(batch))
    (row,) = bench.store.references(TREASURY, b"INV-1")
    assert decode_reference(row) == (paid.id, 0, 0)
    assert bench.store.references(TREASURY, b"INV-2") == ()


async def test_an_id_that_comes_again_keeps_its_first_receipt(bench: Bench) -> None:
    funds, one = issue(1_000), pay(amount=10)
    first = batch_of(0, funds, one)
    twins = batch_of(1, one), batch_of(2, one, pay(amount=1))
    bench.hold(first, *twins)
    await bench.execute(bench.block(first, twins[0]), bench.block(twins[1]))
    codes = [receipt.code for stored in bench.stored for receipt in stored.executed.receipts]
    assert codes == [0, 0, Code.DUPLICATE, Code.DUPLICATE, 0]
    found = bench.store.transaction(one.id)
    assert found is not None
    assert (found.height, found.index, found.batch_digest) == (1, 1, first.digest)
    assert decode_receipt(one.id, found.receipt).applied
    assert bench.balance(BANK) == 11


async def test_a_transaction_that_was_never_its_accounts_word_leaves_no_receipt_and_keeps_its_place(
    bench: Bench,
) -> None:
    late, funds = pay(amount=10, expires_ms=1), issue(1_000)
    batch = batch_of(0, late, funds)
    bench.hold(batch)
    await bench.execute(bench.block(batch))
    assert bench.stored[0].executed.receipts[0].code == Code.EXPIRED
    assert bench.store.transaction(late.id) is None
    found = bench.store.transaction(funds.id)
    assert found is not None
    assert (found.index, found.position) == (1, 1)


async def test_who_starts_again_goes_on_with_the_same_roots(tmp_path: Path) -> None:
    """Once in one life, once with a restart after every block: the same chain of roots."""
    batches = [batch_of(0, issue(1_000)), *(batch_of(1, pay(amount=number)) for number in range(1, 5))]
    whole, parts = make_store(tmp_path / "whole"), make_store(tmp_path / "parts")
    bench = Bench(whole)
    bench.hold(*batches)
    blocks = [bench.block(batch, root=bench.executor.root) for batch in batches]
    await bench.execute(*blocks)
    for batch, block in zip(batches, blocks, strict=True):
        again = Bench(parts)
        again.hold(batch)
        again.pool.finalized([batch.digest], block.header.height)
        assert again.executor.height == block.header.height - 1
        await again.execute(block)
        parts.close()
        parts = Store.open(tmp_path / "parts" / "data" / "store", genesis().hash)
    assert [whole.roots(height) for height in range(6)] == [parts.roots(height) for height in range(6)]
    assert list(whole.scan_all()) == list(parts.scan_all())
    whole.close()
    parts.close()


class Dying:
    """A store that dies instead of writing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commits: list[int] = []

    def commit(self, record: BlockRecord) -> None:
        self.commits.append(record.height)
        raise OSError("the power fails")

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.mark.skipif(is_native(), reason="what is compiled cannot be replaced")
async def test_a_crash_before_the_write_loses_nothing_that_the_journal_gives_again(store: Store) -> None:
    batches = [batch_of(0, issue(1_000)), batch_of(1, pay(amount=7))]
    dying = Bench(store)
    dying.hold(*batches)
    blocks = [dying.block(batches[0], root=dying.executor.root), dying.block(batches[1], root=dying.executor.root)]
    disk = Dying(store)
    dying.executor._store = disk  # type: ignore[assignment]
    dying.finalize(*blocks)
    with pytest.raises(ExceptionGroup):
        async with running(dying.executor.run()):
            await eventually(lambda: False)
    assert disk.commits == [1]
    assert dying.stored == []
    reborn = Bench(store)
    reborn.hold(*batches)
    await reborn.execute(*blocks)
    assert reborn.balance(BANK) == 7


async def test_what_is_finalized_twice_is_executed_once(bench: Bench) -> None:
    blocks = [bench.block(), bench.block(), bench.block()]
    bench.finalize(*blocks[:2])
    bench.finalize(*blocks)
    await bench.execute(*blocks)
    bench.finalize(*blocks)
    assert bench.executor.queued() == 0
    assert [stored.block.header.height for stored in bench.stored] == [1, 2, 3]


async def test_a_certificate_is_stored_with_the_block_that_it_finalizes_and_no_other(bench: Bench) -> None:
    blocks = [bench.block(), bench.block()]
    await bench.execute(*blocks)
    assert bench.store.certificate(1) is None
    stored = bench.store.certificate(2)
    assert stored is not None
    assert decode_certificate(stored).hash == blocks[1].hash
    assert bench.store.tip.certificate == stored


async def test_the_roots_of_all_heights_are_known_and_of_none_above(bench: Bench) -> None:
    zero = bench.executor.root
    for _ in range(4):
        await bench.execute(bench.block())
    roots = [bench.executor.root_at(height) for height in range(5)]
    assert roots[0] == zero
    assert None not in roots
    assert len(set(roots)) == 5
    assert bench.executor.root_at(5) is None
    bench.executor._roots.clear()
    assert [bench.executor.root_at(height) for height in range(5)] == roots
    assert ROOTS_KEPT > 16


async def test_only_blocks_with_transactions_leave_a_root_to_certify(bench: Bench) -> None:
    batch = batch_of(0, issue(1_000))
    bench.hold(batch)
    await bench.execute(bench.block(), bench.block(batch, root=bench.executor.root), bench.block())
    assert bench.executor.uncertified_height == 2
