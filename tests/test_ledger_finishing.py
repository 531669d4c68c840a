"""The end of a block: how many holds it releases, and that its work is cut into slices however much there is."""

import pytest

from node.ledger.account import SOM
from node.ledger.errors import Code
from node.ledger.execute import META_KEY, SLICE
from node.ledger.hold import MakeHold
from node.ledger.holds import ENDED_FACTOR, ENDED_MAX, HOLD, Condition, row_id
from node.ledger.order import Arrest
from node.ledger.pay import LEGS_MAX, Pay
from node.ledger.records import Records, after
from node.ledger.settle import SettleHold
from node.ledger.state import account_key
from node.ledger.transaction import Transaction
from tests.ledger_world import BANK, BOB, CENTRAL, ENFORCER, ISSUER, MINUTE_MS, Override, Rows, World

MONEY = 10**9
ANY = Condition(b"", (), 0, "", "", True)
END_MS = 10 * MINUTE_MS


def rich() -> World:
    return World({ISSUER: Override(holdings=((SOM, -MONEY, 0),)), BANK: Override(holdings=((SOM, MONEY, 0),))})


def holds(world: World, count: int, later_ms: int, *also: Pay) -> Transaction:
    """Return the bank's promise of so many times one tyiyn."""
    legs = ((BOB, 1, b""),) * count
    until_ms = world.time_ms + later_ms
    return world.transaction(
        [MakeHold(SOM, BANK, legs, 0, until_ms, ANY), *also], expires_ms=world.time_ms + 2 * END_MS
    )


def left(world: World) -> int:
    return sum(1 for _ in world.reader.scan(HOLD, after(HOLD)))


def waiting() -> tuple[World, int]:
    """Return a world in which more holds end with the next block than any block releases, and their number."""
    world = rich()
    world.block([holds(world, LEGS_MAX, END_MS)])
    return world, LEGS_MAX


@pytest.mark.parametrize("made", [0, 1, 400])
def test_a_block_releases_two_more_ended_holds_for_each_that_it_makes(made: int) -> None:
    world, count = waiting()
    transactions = [holds(world, made, 3 * END_MS)] if made else []
    assert all(receipt.applied for receipt in world.block(transactions, END_MS).receipts)
    assert left(world) == count - ENDED_MAX - ENDED_FACTOR * made + made
    world.ledger.audit()


def test_those_that_are_gone_again_and_arrests_count_and_those_of_a_failed_transaction_do_not() -> None:
    world, count = waiting()
    made = holds(world, 5, 3 * END_MS)
    voids = [SettleHold(BOB, row_id(made.id, 0, leg), 0, 0, b"", close=True) for leg in range(5)]
    arrest = Arrest(ENFORCER, "1", BOB, b"b" * 32, SOM, 1)
    pay = Pay(SOM, BANK, ((BOB, 1, b""),))
    failed = holds(world, 300, 3 * END_MS, Pay(SOM, BANK, ((BOB, MONEY, b""),)))
    transactions = [
        made,
        world.transaction(voids, expires_ms=world.time_ms + END_MS + 1),
        world.transaction(
            [pay, arrest], accounts=[BANK, ENFORCER, CENTRAL], expires_ms=world.time_ms + END_MS + MINUTE_MS
        ),
        failed,
    ]
    receipts = world.block(transactions, END_MS).receipts
    assert [receipt.code for receipt in receipts] == [0, 0, 0, Code.INSUFFICIENT]
    assert left(world) == count + 1 - ENDED_MAX - ENDED_FACTOR * 6
    world.ledger.audit()
    world.block([])
    assert left(world) == count + 1 - 2 * ENDED_MAX - ENDED_FACTOR * 6


def test_the_end_of_a_large_block_is_cut_into_slices_between_which_anybody_may_simulate() -> None:
    world, count = waiting()
    trial = holds(world, 100, 3 * END_MS)
    transactions = [holds(world, count, 4 * END_MS) for _ in range(2)]
    world.time_ms += END_MS
    world.ledger.begin(2, world.time_ms, world.version)
    assert all(world.ledger.apply(transaction).applied for transaction in transactions)
    pauses = 0
    for _ in world.ledger.finishing():
        pauses += 1
        if pauses % 50 == 0:
            assert world.ledger.simulate(trial, world.time_ms).applied
    executed = world.ledger.finish()
    world.store(executed)
    assert left(world) == 2 * count
    assert pauses > len(executed.changes) // (4 * SLICE)
    assert executed.changes.keys() >= {META_KEY, account_key(BANK)}
    world.ledger.audit()
    assert world.reopened().root == world.ledger.root


def test_trials_leave_the_rows_of_a_sealed_block_alone() -> None:
    records = Records(Rows({b"h1": b"stored", b"h2": b"stored"}))
    records.begin_block()
    records.begin_transaction()
    records.put(b"h1", b"new")
    records.put(b"h3", b"new")
    rows = records.seal()
    assert rows == {b"h1": b"new", b"h3": b"new"}
    records.begin_transaction()
    for key in (b"h1", b"h2", b"h3"):
        records.put(key, None)
    records.put(b"h4", b"trial")
    assert list(records.scan(b"h", b"i")) == [(b"h4", b"trial")]
    assert records.before(b"h1") == b"stored"
    assert records.changes() is rows
    records.undo()
    seen = [(b"h1", b"new"), (b"h2", b"stored"), (b"h3", b"new")]
    assert list(records.scan(b"h", b"i")) == seen
    assert rows == {b"h1": b"new", b"h3": b"new"}
    records.close_block()
    assert [(key, records.before(key)) for key, _ in seen] == seen
