"""node/mempool.py: who has room, what goes into a batch, and that nothing is counted that is not there."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

import node.mempool
from devnet.generate import CENTRAL_BANK, ENFORCER, ISSUER, TREASURY, bank_account, demo_accounts
from node.ledger.account import Account
from node.ledger.transaction import Transaction
from node.mempool import (
    FULL,
    OVER_QUOTA,
    PAYER_TRANSACTIONS_MAX,
    QUEUE_GRACE_SECONDS,
    QUEUE_SECONDS_MAX,
    STALE_MAX,
    Mempool,
    Stage,
)
from tests.node_lab import demo_number
from tests.node_parts import START_MS, genesis, pay

ACCOUNTS = {row.number: row.account() for row in genesis().accounts}
AIDA, BAKYT, MARKET = demo_number("aida"), demo_number("bakyt"), demo_number("market")
LATER_MS = START_MS + 60_000
ROOM = 10_000_000
NOW = 100.0  # seconds


def account(number: int) -> Account | None:
    return ACCOUNTS.get(number)


def mempool(transactions_max: int = 1_000, bytes_max: int = ROOM) -> Mempool:
    return Mempool(transactions_max, bytes_max, account)


def payments(payer: int, count: int) -> list[Transaction]:
    return [pay(payer, TREASURY, 1, "aida") for _ in range(count)]


def admit_all(pool: Mempool, transactions: list[Transaction]) -> None:
    for transaction in transactions:
        assert pool.admit(transaction, NOW) is None


def make_ready(pool: Mempool, transactions: list[Transaction]) -> None:
    for transaction in transactions:
        assert pool.admit(transaction, NOW) is None
        pool.checked(transaction.id)


def test_a_payer_has_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.mempool, "PAYER_TRANSACTIONS_MAX", 5)
    pool = mempool()
    admit_all(pool, payments(AIDA, 5))
    assert pool.admit(payments(AIDA, 1)[0], NOW) is OVER_QUOTA
    admit_all(pool, payments(BAKYT, 5))
    assert pool.refused == 1
    assert PAYER_TRANSACTIONS_MAX > 5


def test_the_customers_of_one_bank_take_half_of_the_room() -> None:
    pool = mempool(100)
    admit_all(pool, payments(MARKET, 25) + payments(demo_number("jyldyz"), 25))  # both at bank 3
    for payer in (MARKET, bank_account(3)):
        assert pool.admit(payments(payer, 1)[0], NOW) is OVER_QUOTA
    assert pool.admit(payments(AIDA, 1)[0], NOW) is None


def test_the_last_tenth_of_the_room_is_for_the_treasury_and_the_central_bank() -> None:
    pool = mempool(100)
    admit_all(pool, payments(AIDA, 45) + payments(BAKYT, 45))
    assert pool.admit(payments(MARKET, 1)[0], NOW) is FULL
    privileged = [pay(payer) for payer in (TREASURY, CENTRAL_BANK, ISSUER, ENFORCER, *[TREASURY] * 6)]
    admit_all(pool, privileged)
    assert pool.admit(pay(TREASURY), NOW) is FULL
    assert len(pool) == 100


def test_the_room_is_bounded_in_bytes_too() -> None:
    one = payments(AIDA, 1)[0]
    pool = mempool(1_000, 10 * len(one.raw))
    admit_all(pool, payments(AIDA, 4) + payments(BAKYT, 5))
    assert pool.admit(one, NOW) is FULL
    assert pool.admit(pay(TREASURY, TREASURY), NOW) is None


def test_a_queue_that_takes_too_long_takes_nobody_in_but_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = payments(AIDA, 4)
    monkeypatch.setattr(node.mempool, "QUEUE_BYTES_MIN", 4 * len(first.raw))
    pool, late = mempool(), NOW + QUEUE_GRACE_SECONDS
    assert pool.admit(first, NOW) is None
    for transaction in others:
        assert pool.admit(transaction, late) is None  # not much waits
    assert pool.admit(payments(BAKYT, 1)[0], late) is FULL
    assert pool.refused == 1
    assert pool.admit(pay(TREASURY), late) is None
    assert pool.admit(pay(ENFORCER), late) is None
    pool.forget([first.id])
    assert pool.admit(payments(BAKYT, 1)[0], late) is None  # who waits longest has just come


def test_much_may_wait_that_has_just_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.mempool, "QUEUE_BYTES_MIN", 1)
    pool = mempool()
    assert pool.admit(payments(AIDA, 1)[0], NOW) is None
    assert pool.admit(payments(AIDA, 1)[0], NOW + QUEUE_GRACE_SECONDS - 0.01) is None
    assert pool.admit(payments(AIDA, 1)[0], NOW + QUEUE_GRACE_SECONDS) is FULL


def test_as_much_may_wait_as_was_executed_in_three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.mempool, "QUEUE_BYTES_MIN", 1)
    pool, late = mempool(), NOW + QUEUE_GRACE_SECONDS
    waiting = payments(AIDA, 5)
    admit_all(pool, waiting)
    pool.executed([each.id for each in waiting[:2]], late)
    assert pool.admit(payments(BAKYT, 1)[0], late) is FULL  # three wait, two were executed
    pool.executed([waiting[2].id, b"another validator's"], late)
    assert pool.admit(payments(BAKYT, 1)[0], late) is None
    assert pool.admit(payments(BAKYT, 1)[0], late) is None
    assert pool.admit(payments(BAKYT, 1)[0], late) is FULL
    over = late + QUEUE_SECONDS_MAX
    pool.executed([waiting[3].id], over)  # what was executed before is long ago
    assert pool.admit(payments(BAKYT, 1)[0], over) is FULL


def test_who_comes_back_waits_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.mempool, "QUEUE_BYTES_MIN", 1)
    pool, late = mempool(), NOW + QUEUE_GRACE_SECONDS
    first, second = payments(AIDA, 2)
    assert pool.admit(first, NOW) is None
    pool.forget([first.id])
    assert pool.admit(first, late) is None
    assert pool.admit(second, late) is None


def test_payers_that_nobody_knows_share_one_banks_part() -> None:
    pool = mempool(100)
    admit_all(pool, payments(999, 25) + payments(998, 25))
    assert pool.admit(payments(997, 1)[0], NOW) is OVER_QUOTA
    assert pool.admit(payments(AIDA, 1)[0], NOW) is None


def test_what_is_not_checked_goes_into_no_batch() -> None:
    pool = mempool()
    first, second = payments(AIDA, 2)
    admit_all(pool, [first, second])
    assert not pool.has_ready()
    assert pool.take(10, 10_000) == []
    pool.checked(second.id)
    assert pool.has_ready()
    assert pool.take(10, 10_000) == [second]
    assert not pool.has_ready()


def test_a_batch_takes_the_oldest_up_to_its_bounds_and_one_at_least() -> None:
    pool = mempool()
    transactions = payments(AIDA, 6)
    make_ready(pool, transactions)
    size = len(transactions[0].raw)
    assert pool.take(2, 100 * size) == transactions[:2]
    assert pool.take(100, sum(len(each.raw) for each in transactions[2:4]) + 1) == transactions[2:4]
    assert pool.take(100, 1) == transactions[4:5]
    assert pool.take(100, 100 * size) == transactions[5:]
    assert pool.ready_bytes == 0


def test_orders_and_the_central_bank_go_before_payments() -> None:
    pool = mempool()
    waiting = [pay(payer) for payer in (AIDA, TREASURY, ENFORCER, BAKYT, CENTRAL_BANK, ISSUER, ENFORCER)]
    make_ready(pool, waiting)
    urgent, others = [waiting[place] for place in (2, 4, 6)], [waiting[place] for place in (0, 1, 3, 5)]
    assert pool.take(2, ROOM) == urgent[:2]
    pool.give_back([urgent[0].id])
    assert pool.take(100, len(urgent[2].raw) + len(urgent[0].raw)) == [urgent[2], urgent[0]]
    assert pool.take(100, ROOM) == others
    assert not pool.has_ready()


def test_what_an_unused_batch_held_is_ready_again() -> None:
    pool = mempool()
    transactions = payments(AIDA, 3)
    make_ready(pool, transactions)
    pool.take(3, ROOM)
    pool.forget([transactions[0].id])
    pool.give_back(each.id for each in transactions)
    assert pool.take(10, ROOM) == transactions[1:]


def test_giving_back_does_not_make_ready_what_was_never_checked() -> None:
    pool = mempool()
    one = payments(AIDA, 1)[0]
    make_ready(pool, [one])
    pool.take(1, ROOM)
    pool.forget([one.id])
    assert pool.admit(one, NOW) is None  # perhaps with other signatures: an id does not cover them
    pool.give_back([one.id])
    assert not pool.has_ready()


def test_a_check_that_ends_late_does_not_take_a_transaction_out_of_its_batch() -> None:
    pool = mempool()
    one = payments(AIDA, 1)[0]
    make_ready(pool, [one])
    assert pool.take(1, ROOM) == [one]
    pool.checked(one.id)
    assert pool.take(1, ROOM) == []


def test_what_expires_is_let_go_of_and_told() -> None:
    pool = mempool()
    early = [pay(AIDA, TREASURY, 1, "aida", expires_ms=START_MS + number) for number in (3, 1, 2)]
    make_ready(pool, early)
    assert pool.expire(START_MS) == []
    assert pool.expire(START_MS + 2) == [early[1].id, early[2].id]
    assert len(pool) == 1
    assert pool.take(10, ROOM) == early[:1]


def test_ids_of_what_is_gone_do_not_pile_up() -> None:
    pool = mempool()
    one = payments(AIDA, 1)[0]
    order = pay(ENFORCER)
    for _ in range(2 * STALE_MAX):
        make_ready(pool, [one, order])
        pool.forget([one.id, order.id])
    assert len(pool._ready) <= STALE_MAX + 1
    assert len(pool._urgent) <= STALE_MAX + 1
    assert len(pool._expiries) <= STALE_MAX + 1


class Traffic(RuleBasedStateMachine):
    """Anything that can happen to a mempool, in any order; every counter equals a recount."""

    admitted = Bundle("admitted")

    def __init__(self) -> None:
        super().__init__()
        self.pool = mempool(60, 20_000)
        self.time_ms = START_MS

    @rule(
        target=admitted, payer=st.sampled_from([AIDA, BAKYT, MARKET, TREASURY, ENFORCER, 999]), life=st.integers(1, 50)
    )
    def admit(self, payer: int, life: int) -> object:
        transaction = pay(payer, TREASURY, 1, "aida", expires_ms=self.time_ms + life)
        if self.pool.admit(transaction, NOW) is None:
            return transaction
        assert transaction.id not in self.pool
        return multiple()

    @rule(target=admitted, transaction=consumes(admitted))
    def admit_again(self, transaction: Transaction) -> object:
        alive = transaction.id not in self.pool and transaction.expires_ms > self.time_ms
        return multiple() if alive and self.pool.admit(transaction, NOW) is not None else transaction

    @rule(transaction=admitted)
    def check(self, transaction: Transaction) -> None:
        self.pool.checked(transaction.id)

    @rule(target=admitted, count=st.integers(1, 10), size=st.integers(1, 3_000), back=st.booleans())
    def batch(self, count: int, size: int, back: bool) -> object:
        ready = self.pool.has_ready()
        taken = self.pool.take(count, size)
        assert bool(taken) == ready
        assert len(taken) <= count
        assert len(taken) == 1 or sum(len(each.raw) for each in taken) <= size
        if back:
            self.pool.give_back(each.id for each in taken)
        return multiple()

    @rule(transaction=consumes(admitted))
    def forget(self, transaction: Transaction) -> None:
        self.pool.forget([transaction.id, transaction.id])
        assert transaction.id not in self.pool

    @rule(later_ms=st.integers(0, 20))
    def expire(self, later_ms: int) -> None:
        self.time_ms += later_ms
        for transaction_id in self.pool.expire(self.time_ms):
            assert transaction_id not in self.pool

    @invariant()
    def every_counter_equals_a_recount(self) -> None:
        pool = self.pool
        waiting = list(pool._waiting.values())
        ready = [each for each in waiting if each.stage is Stage.READY]
        assert pool.bytes == sum(len(each.transaction.raw) for each in waiting) <= 20_000
        assert pool.ready_bytes == sum(len(each.transaction.raw) for each in ready)
        assert len(pool) == len(waiting) <= 60
        for counts, of in ((pool._payers, "payer"), (pool._banks, "bank")):
            recount: dict[int, int] = {}
            for each in waiting:
                recount[getattr(each, of)] = recount.get(getattr(each, of), 0) + 1
            assert counts == recount
        assert {each.transaction.id for each in ready} <= {*pool._urgent, *pool._ready}
        assert {each.transaction.id for each in waiting} <= {transaction_id for _, transaction_id in pool._expiries}
        assert all(each.transaction.expires_ms > self.time_ms for each in waiting)


TestTraffic = Traffic.TestCase


def test_the_demo_accounts_are_what_the_quotas_are_about() -> None:
    assert {demo.number for demo in demo_accounts()} == set(ACCOUNTS)
