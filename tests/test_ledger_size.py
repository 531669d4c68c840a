"""A ledger that holds fewer accounts in memory than there are: the same results, and never more than it may."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger.account import SOM, account_number
from node.ledger.account_ops import CloseAccount, OpenAccount
from node.ledger.errors import Code
from node.ledger.execute import Ledger
from node.ledger.pay import UNSORTED_LEGS_MAX, Pay
from node.ledger.state import EVICT_SHARE
from tests.ledger_world import BANK, ISSUER, World

WALLETS = 120
LEGS = UNSORTED_LEGS_MAX + 1  # the fewest that are read together


def wallet(index: int) -> int:
    return account_number(101, 1_000 + 3 * index)  # some share a bucket, some numbers between them are nobody's


def opening(index: int) -> OpenAccount:
    return OpenAccount(BANK, wallet(index), 11, 1, 0, ((b"k" * 32, 1),), 1, index.to_bytes(32, "big"))


def town(accounts_in_memory: int) -> World:
    """A bank with money, and its customers' wallets, every tenth of which is closed."""
    world = World(accounts_in_memory=accounts_in_memory)
    world.fund(BANK, amount=10**9)
    for low in range(0, WALLETS, 12):
        assert world.run(*[opening(index) for index in range(low, low + 12)]).applied
    for low in range(0, WALLETS, 120):
        assert world.run(*[CloseAccount(BANK, wallet(index)) for index in range(low, low + 120, 10)]).applied
    return world


def pension(first: int, last: int, amount: int, partial: bool = True, gap: int = 0) -> Pay:
    """A pay to all wallets from ``first`` to ``last`` and, of each, to the number ``gap`` serials on."""
    indices = range(first, min(WALLETS, last))
    numbers = {account_number(101, 1_000 + 3 * index + off) for index in indices for off in (0, gap)}
    return Pay(SOM, BANK, tuple((number, amount, b"ref") for number in sorted(numbers)), partial)


def in_memory(ledger: Ledger) -> int:
    return len(ledger._state._accounts)


PAYS = st.lists(
    st.lists(
        st.builds(
            lambda first, count, amount, partial, gap: pension(first, first + count, amount, partial, gap),
            st.integers(0, WALLETS - LEGS), st.integers(LEGS, WALLETS), st.integers(1, 10**8), st.booleans(),
            st.integers(0, 2),
        ),
        min_size=1, max_size=3,
    ),
    min_size=1, max_size=3,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(PAYS, st.sampled_from([1, 7, 64]))
def test_how_many_accounts_are_in_memory_changes_no_receipt_no_row_and_no_root(
    blocks: list[list[Pay]], accounts_in_memory: int
) -> None:
    roomy, tight = town(10_000), town(accounts_in_memory)
    tight.ledger = tight.reopened(accounts_in_memory)
    for pays in blocks:
        transactions = [roomy.transaction([pay], salt=10**9 + index) for index, pay in enumerate(pays)]
        assert tight.block(transactions) == roomy.block(transactions)
    assert tight.reader.rows == roomy.reader.rows
    assert tight.entries == roomy.entries
    tight.ledger.audit()


def test_what_a_bulk_pay_reads_together_is_what_it_would_read_one_by_one() -> None:
    world = town(1)
    world.block([])
    receipt = world.run(pension(0, WALLETS, 5, gap=1))
    codes = {leg: code for _, leg, code in receipt.skipped}
    for leg, (number, _, _) in enumerate(pension(0, WALLETS, 5, gap=1).legs):
        index, off = divmod(number // 100 % 10**10 - 1_000, 3)
        if off:
            assert codes[leg] == Code.NO_ACCOUNT
        elif index % 10 == 0:
            assert codes[leg] == Code.PAYEE_BLOCKED
        else:
            assert leg not in codes
            assert world.balance(number) == 5


@pytest.mark.parametrize("accounts_in_memory", [1, 10, 63])
def test_between_blocks_no_more_accounts_stay_than_the_bound(accounts_in_memory: int) -> None:
    world = town(accounts_in_memory)
    for amount in (1, 2, 3):
        world.run(pension(0, WALLETS, amount))
        world.ledger.begin(world.ledger.height + 1, world.time_ms, world.version)
        assert in_memory(world.ledger) <= accounts_in_memory
        world.store(world.ledger.finish())


def test_who_was_touched_last_stays_in_memory() -> None:
    bound = 64
    world = town(bound)
    for index in range(WALLETS):
        if index % 10:
            world.run(Pay(SOM, BANK, ((wallet(index), 1, b""),)))
        world.ledger.begin(world.ledger.height + 1, world.time_ms, world.version)
        if index >= bound:
            kept = list(world.ledger._state._accounts)
            assert BANK in kept  # it paid in every block
            assert len(kept) >= bound - bound // EVICT_SHARE - 1
        world.store(world.ledger.finish())


def test_a_trial_leaves_nothing_in_memory() -> None:
    world = town(1)
    world.block([])
    world.ledger.begin(world.ledger.height + 1, world.time_ms, world.version)
    world.store(world.ledger.finish())
    before = in_memory(world.ledger)
    receipt = world.ledger.simulate(world.transaction([pension(0, WALLETS, 5)]), world.time_ms)
    assert receipt.applied
    assert in_memory(world.ledger) == before


class Counting:
    """A reader that counts what is asked of it."""

    def __init__(self, world: World) -> None:
        self._reader = world.reader
        self.gets = 0
        self.together = 0

    def get(self, key: bytes) -> bytes | None:
        self.gets += key[:1] == b"a"
        return self._reader.get(key)

    def get_ascending(self, keys: Sequence[bytes]) -> Iterator[bytes | None]:
        assert list(keys) == sorted(set(keys))
        self.together += len(keys)
        return self._reader.get_ascending(keys)

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._reader.scan(low, high)


def test_a_bulk_pay_asks_for_its_payees_at_once_and_for_each_once() -> None:
    world = town(1)
    reader = Counting(world)
    ledger = Ledger(reader, world.genesis, accounts_in_memory=0)
    transactions = [world.transaction([pension(0, WALLETS, amount)]) for amount in (5, 6)]
    ledger.execute(ledger.height + 1, world.time_ms + 1, ledger.version, transactions)
    assert reader.together == WALLETS
    assert reader.gets <= 2  # the payer, the issuer
    assert ISSUER != BANK


@pytest.mark.parametrize("accounts_in_memory", [0, 1, 64, 10_000])
def test_a_ledger_that_starts_has_the_first_accounts_in_memory_and_no_more_than_stay(accounts_in_memory: int) -> None:
    world = town(10_000)
    reader = Counting(world)
    ledger = Ledger(reader, world.genesis, accounts_in_memory)
    all_numbers = [int.from_bytes(key[1:], "big") for key, _ in world.reader.scan(b"a", b"b")]
    numbers = list(ledger._state._accounts)
    assert min(accounts_in_memory, len(all_numbers)) - accounts_in_memory // EVICT_SHARE <= len(numbers)
    assert len(numbers) <= accounts_in_memory
    assert numbers == sorted(all_numbers)[: len(numbers)]
    if accounts_in_memory == 10_000:
        transaction = world.transaction([pension(0, WALLETS, 5)])
        assert ledger.execute(ledger.height + 1, world.time_ms + 1, ledger.version, [transaction]).receipts[0].applied
        assert reader.gets == reader.together == 0
    else:
        assert all(ledger.account(number) == world.ledger.account(number) for number in numbers)
