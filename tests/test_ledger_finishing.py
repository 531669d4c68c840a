"""The end of a block: how many holds it releases, and that its work is cut into slices however much there is."""

from collections.abc import Iterator, Mapping

import pytest

from node.build import is_native
from node.ledger.account import SOM
from node.ledger.errors import Code
from node.ledger.execute import META_KEY, SLICE
from node.ledger.hold import MakeHold
from node.ledger.holds import BY_END, ENDED_FACTOR, ENDED_MAX, HOLD, Condition, row_id
from node.ledger.order import Arrest
from node.ledger.pay import LEGS_MAX, Pay
from node.ledger.recent import ONCE_REF, ONCE_ROW, SEEN_ID
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


class Watched(Rows):
    """Rows that remember which tables were scanned."""

    def __init__(self, rows: Mapping[bytes, bytes]) -> None:
        super().__init__(rows)
        self.scanned: list[bytes] = []

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        self.scanned.append(low[:1])
        return super().scan(low, high)


def watched(world: World) -> Watched:
    """Start the ledger of a world anew over rows that are watched from its next block on."""
    world.reader = rows = Watched(world.reader.rows)
    world.ledger = world.reopened()
    world.block([])  # after a start it looks whether anything is dead
    rows.scanned.clear()
    return rows


def once(world: World, ref: bytes) -> Transaction:
    return world.transaction([Pay(SOM, BANK, ((BOB, 1, ref),), once=True)])


def test_a_block_in_which_nothing_ends_or_dies_looks_for_nothing() -> None:
    """LevelDB steps over all rows that were removed behind what it finds: a million of them in each block."""
    world = rich()
    world.block([holds(world, 3, END_MS), once(world, b"1")])
    rows = watched(world)
    for number in range(3):
        assert all(receipt.applied for receipt in world.block([once(world, b"a%d" % number)]).receipts)
    assert rows.scanned == []
    world.block([], END_MS)
    assert left(world) == 0
    assert {BY_END, SEEN_ID} <= set(rows.scanned)
    rows.scanned.clear()
    world.block([])
    assert rows.scanned == []


def test_a_hold_that_ends_before_all_others_is_not_overlooked() -> None:
    world = rich()
    for minutes in (30, 10, 20):
        world.block([holds(world, 1, minutes * MINUTE_MS)])
    watched(world)
    world.block([holds(world, 1, 5 * MINUTE_MS), holds(world, 1, 40 * MINUTE_MS)])
    for minutes, count in ((4, 5), (1, 4), (5, 3), (10, 2), (10, 1), (10, 0)):
        world.block([], minutes * MINUTE_MS)
        assert left(world) == count, minutes
        assert left(world) == sum(1 for _ in world.reader.scan(BY_END, after(BY_END)))
    world.ledger.audit()


def test_a_hold_of_the_block_that_releases_the_last_one_is_not_overlooked() -> None:
    world = rich()
    world.block([holds(world, 1, 10 * MINUTE_MS)])
    world.block([holds(world, 1, 15 * MINUTE_MS)], 10 * MINUTE_MS)
    assert left(world) == 1
    world.block([], 5 * MINUTE_MS)
    assert left(world) == 0


@pytest.mark.parametrize("lasting", [0, 1, 2, 3, 4])
def test_dead_rows_are_removed_in_order_whenever_a_node_was_started(
    lasting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.ledger.recent.SWEEP_ROWS", 3)
    histories: list[list[dict[bytes, bytes]]] = []
    for restarts in (False, True):
        world, history = rich(), []
        world.block([once(world, b"%d" % number) for number in range(10)])
        for number in range(5):
            if restarts and number == lasting:
                world.ledger = world.reopened()
            world.block([], (10 if number else 10 * 24 * 60) * MINUTE_MS)
            history.append(dict(world.reader.rows))
        assert not [key for key in world.reader.rows if key[:1] in (SEEN_ID, ONCE_REF, ONCE_ROW)]
        histories.append(history)
    assert histories[0] == histories[1]


@pytest.mark.skipif(is_native(), reason="what is compiled cannot be replaced")
def test_an_empty_block_removes_no_more_dead_rows_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.ledger.recent.SWEEP_ROWS", 3)
    world = rich()
    world.block([once(world, b"%d" % number) for number in range(10)])
    lefts = []
    for _ in range(5):
        world.block([], 2 * MINUTE_MS)
        lefts.append(sum(1 for _ in world.reader.scan(SEEN_ID, after(SEEN_ID))))
    assert lefts == [7, 4, 1, 0, 0]


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
