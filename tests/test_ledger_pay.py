"""The operation pay: every rule of it, and every reason to refuse it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.account import CLOSED, IN_BLOCKED, OUT_BLOCKED, RECOVERING, SOM, Holding
from node.ledger.assets import Asset, reserve_needed, supply_backed
from node.ledger.errors import Code
from node.ledger.pay import Pay
from node.ledger.statement import decode_entry, statement_head
from tests.ledger_world import (
    ALICE,
    BANK,
    BOB,
    CAROL,
    CENTS,
    CENTS_ISSUER,
    CENTS_RESERVE,
    DAY_MS,
    DEAD,
    DEAD_ISSUER,
    GOLD,
    GOLD_ISSUER,
    HALTED,
    HALTED_ISSUER,
    ISSUER,
    KGST,
    KGST_ISSUER,
    KGST_RESERVE,
    MINUTE_MS,
    NOBODY,
    SHOP,
    TREASURY,
    Override,
    World,
)


def som(balance: int, held: int = 0) -> tuple[Holding, ...]:
    return ((SOM, balance, held),)


def funded(**flags: int) -> World:
    """Return a world where the bank has 1,000 som and Alice 500; ``flags`` are Alice's and Bob's."""
    return World(
        {
            ISSUER: Override(holdings=som(-150_000)),
            BANK: Override(holdings=som(100_000)),
            ALICE: Override(flags.get("alice", 0), som(50_000)),
            BOB: Override(flags.get("bob", 0)),
        }
    )


def test_a_payment_moves_exactly_its_amount() -> None:
    world = funded()
    receipt = world.pay(ALICE, BOB, 12_345, ref=b"rent")
    assert (receipt.code, receipt.op, receipt.leg, receipt.skipped) == (0, None, None, ())
    assert (world.balance(ALICE), world.balance(BOB)) == (37_655, 12_345)


def test_everything_can_be_paid_away_and_not_a_tyiyn_more() -> None:
    world = funded()
    assert world.pay(ALICE, BOB, 50_001).code == Code.INSUFFICIENT
    assert world.pay(ALICE, BOB, 50_000).applied
    assert world.account(ALICE).holdings == ()
    assert world.pay(ALICE, BOB, 1).code == Code.INSUFFICIENT


def test_held_money_cannot_be_paid() -> None:
    world = World({ISSUER: Override(holdings=som(-100)), ALICE: Override(holdings=som(100, 60))})
    assert world.pay(ALICE, BOB, 41).code == Code.INSUFFICIENT
    assert world.pay(ALICE, BOB, 40).applied
    assert world.account(ALICE).holdings == ((SOM, 60, 60),)


def test_issue_and_redeem_are_payments_from_and_to_the_issuer() -> None:
    world = World()
    assert world.pay(ISSUER, BANK, 700).applied
    assert world.pay(ISSUER, TREASURY, 300).applied
    assert (world.ledger.supply(SOM), world.balance(ISSUER)) == (1_000, -1_000)
    assert world.pay(BANK, ISSUER, 600).applied
    assert world.ledger.supply(SOM) == 400


def test_som_is_issued_only_to_and_redeemed_only_by_banks_and_the_treasury() -> None:
    world = funded()
    assert world.pay(ISSUER, ALICE, 1).code == Code.MINT_PAYEE
    assert world.pay(ALICE, ISSUER, 1).code == Code.REDEEM_PAYER


def test_the_supply_never_passes_its_maximum() -> None:
    world = World()
    assert world.pay(ISSUER, BANK, 10**15 + 1).code == Code.MAX_SUPPLY
    assert world.pay(ISSUER, BANK, 10**15).applied
    assert world.pay(ISSUER, BANK, 1).code == Code.MAX_SUPPLY
    assert world.pay(BANK, ISSUER, 5).applied
    assert world.pay(ISSUER, BANK, 6).code == Code.MAX_SUPPLY
    assert world.pay(ISSUER, BANK, 5).applied


@pytest.mark.parametrize(
    ("payer", "to", "asset", "code"),
    [
        (NOBODY, BOB, SOM, Code.NO_ACCOUNT),
        (ALICE, NOBODY, SOM, Code.NO_ACCOUNT),
        (ALICE, ALICE, SOM, Code.SAME_ACCOUNT),
        (ALICE, BOB, 77, Code.NO_ASSET),
        (ALICE, BOB, 0, Code.NO_ASSET),
        (ALICE, BOB, KGST, Code.INSUFFICIENT),
    ],
)
def test_what_does_not_exist_cannot_be_paid(payer: int, to: int, asset: int, code: Code) -> None:
    assert funded().pay(payer, to, 1, asset).code == code


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        (OUT_BLOCKED, Code.PAYER_BLOCKED),
        (CLOSED, Code.PAYER_BLOCKED),
        (RECOVERING, Code.RECOVERING),
        (OUT_BLOCKED | RECOVERING, Code.PAYER_BLOCKED),
        (IN_BLOCKED, Code.APPLIED),
    ],
)
def test_a_blocked_payer_does_not_pay(flag: int, code: Code) -> None:
    assert funded(alice=flag).pay(ALICE, BOB, 1).code == code


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        (IN_BLOCKED, Code.PAYEE_BLOCKED),
        (CLOSED, Code.PAYEE_BLOCKED),
        (OUT_BLOCKED, Code.APPLIED),
        (RECOVERING, Code.APPLIED),
    ],
)
def test_a_blocked_payee_does_not_receive(flag: int, code: Code) -> None:
    assert funded(bob=flag).pay(ALICE, BOB, 1).code == code


@pytest.mark.parametrize(
    ("asset", "issuer", "code"),
    [(HALTED, HALTED_ISSUER, Code.ASSET_SUSPENDED), (DEAD, DEAD_ISSUER, Code.ASSET_REVOKED)],
)
def test_a_suspended_or_revoked_asset_can_only_be_redeemed(asset: int, issuer: int, code: Code) -> None:
    world = World({issuer: Override(holdings=((asset, -10, 0),)), ALICE: Override(holdings=((asset, 10, 0),))})
    assert world.pay(ALICE, BOB, 1, asset).code == code
    assert world.pay(issuer, BOB, 1, asset).code == code
    assert world.pay(ALICE, issuer, 10, asset).applied
    assert world.ledger.supply(asset) == 0


# --- tiers: 15,000 som a transaction, 30,000 a day, 100,000 to keep ---


def rich(number: int = ALICE, amount: int = 9_000_000) -> World:
    return World({ISSUER: Override(holdings=som(-amount)), number: Override(holdings=som(amount))})


def test_a_person_stays_below_the_limit_of_a_transaction() -> None:
    world = rich()
    assert world.pay(ALICE, BOB, 1_500_001).code == Code.LIMIT_TX
    assert world.pay(ALICE, BOB, 1_500_000).applied


def test_the_limit_of_a_transaction_covers_all_its_operations_and_legs() -> None:
    world = rich()
    half = Pay(SOM, ALICE, ((BOB, 750_000, b""),))
    more = Pay(SOM, ALICE, ((BOB, 750_000, b""), (CAROL, 1, b"")))
    receipt = world.run(half, more)
    assert (receipt.code, receipt.op, receipt.leg) == (Code.LIMIT_TX, 1, 1)
    assert world.balance(ALICE) == 9_000_000
    assert world.run(half, half).applied


def test_the_limit_of_a_day_ends_with_the_day_in_bishkek() -> None:
    world = rich()
    assert world.pay(ALICE, BOB, 1_500_000).applied
    assert world.pay(ALICE, BOB, 1_500_000).applied
    assert world.pay(ALICE, BOB, 1).code == Code.LIMIT_DAY
    last = Pay(SOM, ALICE, ((BOB, 1, b""),))
    until_midnight = DAY_MS - (world.time_ms - world.genesis.time_ms)
    world.block([], until_midnight - 2_000)
    assert world.run(last, later_ms=1_999).code == Code.LIMIT_DAY
    assert world.run(last, later_ms=1).applied
    assert world.account(ALICE).out_today == 1


def test_a_wallet_does_not_hold_more_than_its_tier_allows() -> None:
    world = World({ISSUER: Override(holdings=som(-9_000_010)), ALICE: Override(holdings=som(9_000_000)),
                   BOB: Override(holdings=som(10))})  # fmt: skip
    world.fund(BANK, amount=20_000_000)
    assert world.pay(BANK, BOB, 10_000_000).code == Code.LIMIT_BALANCE
    assert world.pay(BANK, BOB, 9_999_990).applied
    assert world.pay(ALICE, BOB, 1).code == Code.LIMIT_BALANCE


def test_institutions_have_no_tier_limits() -> None:
    world = World()
    world.fund(BANK, amount=10**14)
    assert world.pay(BANK, TREASURY, 10**14).applied
    assert world.account(BANK).out_today == 0


def test_tier_limits_count_som_alone() -> None:
    world = World(
        {HALTED_ISSUER: Override(holdings=((HALTED, -(10**12), 0),)), ALICE: Override(holdings=((HALTED, 10**12, 0),))}
    )
    assert world.pay(ALICE, HALTED_ISSUER, 10**12, HALTED).applied


def test_a_wallet_whose_tier_is_gone_neither_pays_nor_receives() -> None:
    world = World(
        {ISSUER: Override(holdings=som(-100)), ALICE: Override(holdings=som(100)), TREASURY: Override(kind=11)}
    )
    assert world.pay(ALICE, TREASURY, 1).code == Code.LIMIT_BALANCE
    world.fund(BANK)
    assert world.pay(BANK, TREASURY, 1).code == Code.LIMIT_BALANCE
    assert world.pay(TREASURY, BANK, 1).code == Code.INSUFFICIENT


# --- legs ---


def test_one_bad_leg_fails_the_whole_pay_and_is_named() -> None:
    world = funded()
    receipt = world.run(Pay(SOM, BANK, ((ALICE, 1, b""), (BOB, 2, b""), (NOBODY, 3, b""))))
    assert (receipt.code, receipt.op, receipt.leg) == (Code.NO_ACCOUNT, 0, 2)
    assert world.balance(BANK) == 100_000
    assert world.entries == {}


def test_a_partial_pay_skips_bad_legs_and_lists_them() -> None:
    world = funded(bob=CLOSED)
    legs = ((NOBODY, 1, b""), (ALICE, 2, b""), (BOB, 3, b""), (BANK, 4, b""), (CAROL, 200_000, b""), (SHOP, 5, b""))
    receipt = world.run(Pay(SOM, BANK, legs, partial=True))
    assert receipt.applied
    assert receipt.skipped == (
        (0, 0, Code.NO_ACCOUNT),
        (0, 2, Code.PAYEE_BLOCKED),
        (0, 3, Code.SAME_ACCOUNT),
        (0, 4, Code.INSUFFICIENT),
    )
    assert (world.balance(BANK), world.balance(ALICE), world.balance(SHOP)) == (99_993, 50_002, 5)


def test_a_partial_pay_of_which_nothing_is_left_fails_and_says_why() -> None:
    world = funded()
    receipt = world.run(Pay(SOM, BANK, ((NOBODY, 1, b""), (BANK, 4, b"")), partial=True))
    assert (receipt.code, receipt.op, receipt.leg) == (Code.ALL_LEGS_FAILED, 0, None)
    assert receipt.skipped == ((0, 0, Code.NO_ACCOUNT), (0, 1, Code.SAME_ACCOUNT))


def test_a_pension_run_of_a_thousand_legs_books_once_for_the_payer() -> None:
    world = funded()
    numbers = sorted([ALICE, BOB, CAROL, SHOP])
    world.run(Pay(SOM, BANK, tuple((to, 10, b"p") for to in numbers)))
    (entry,) = [decode_entry(each) for each in world.entries[BANK]]
    assert (entry.counterparty, entry.amount, entry.balance, entry.leg) == (None, -40, 99_960, None)
    (credit,) = [decode_entry(each) for each in world.entries[BOB]]
    assert (credit.counterparty, credit.amount, credit.balance, credit.ref) == (BANK, 10, 10, b"p")


def test_a_statement_adds_up_and_ends_at_the_head_in_the_record() -> None:
    world = funded()
    world.pay(ALICE, BOB, 30)
    world.pay(BOB, ALICE, 10)
    world.run(Pay(SOM, ALICE, ((BOB, 5, b""), (CAROL, 6, b""))))
    for number, opening in ((ALICE, 50_000), (BOB, 0), (CAROL, 0)):
        account = world.account(number)
        entries = [decode_entry(each) for each in world.entries[number]]
        assert opening + sum(entry.amount for entry in entries) == account.balance() == entries[-1].balance
        assert account.length == len(entries)
        assert statement_head(world.entries[number]) == account.head
    assert statement_head(world.entries[ALICE][:-1]) != world.account(ALICE).head


# --- once ---


def test_a_resigned_retry_with_once_cannot_pay_twice() -> None:
    world = funded()
    pay = Pay(SOM, BANK, ((ALICE, 5, b"E2E-1"),), once=True)
    first = world.transaction([pay])
    world.block([first])
    retry = world.transaction([pay])
    receipt = world.block([retry]).receipts[0]
    assert retry.id != first.id
    assert (receipt.code, receipt.leg, receipt.original) == (Code.DUPLICATE_REF, 0, first.id)
    assert world.balance(ALICE) == 50_005


def test_once_is_per_payer_and_asks_for_it() -> None:
    world = funded()
    assert world.pay(BANK, ALICE, 1, ref=b"x", once=True).applied
    assert world.pay(ALICE, BOB, 1, ref=b"x", once=True).applied
    assert world.pay(BANK, ALICE, 1, ref=b"x").applied


def test_a_ref_twice_in_one_pay_with_once_is_refused() -> None:
    world = funded()
    transaction = world.transaction([Pay(SOM, BANK, ((ALICE, 1, b"x"), (BOB, 1, b"x")), once=True)])
    receipt = world.block([transaction]).receipts[0]
    assert (receipt.code, receipt.leg, receipt.original) == (Code.DUPLICATE_REF, 1, transaction.id)


def test_a_failed_pay_leaves_its_refs_free() -> None:
    world = funded()
    assert world.run(Pay(SOM, BANK, ((ALICE, 1, b"x"), (NOBODY, 1, b"y")), once=True)).code == Code.NO_ACCOUNT
    assert world.pay(BANK, ALICE, 1, ref=b"x", once=True).applied


def test_a_file_sent_again_with_partial_and_once_pays_only_what_was_not_paid() -> None:
    world = funded()
    first = world.transaction([Pay(SOM, BANK, ((ALICE, 1, b"a"), (NOBODY, 1, b"n")), True, True)])
    world.block([first])
    receipt = world.run(Pay(SOM, BANK, ((ALICE, 1, b"a"), (BOB, 1, b"b")), True, True))
    assert (receipt.applied, receipt.skipped) == (True, ((0, 0, Code.DUPLICATE_REF),))
    assert receipt.original == first.id
    receipt = world.run(Pay(SOM, BANK, ((ALICE, 1, b"a"), (BOB, 1, b"b")), True, True))
    assert (receipt.code, receipt.original) == (Code.ALL_LEGS_FAILED, first.id)


def test_the_original_is_of_a_leg_that_the_receipt_names() -> None:
    world = funded()
    assert world.pay(BANK, ALICE, 1, ref=b"a", once=True).applied
    again = Pay(SOM, BANK, ((ALICE, 1, b"a"), (BOB, 1, b"b")), True, True)
    receipt = world.run(again, Pay(SOM, BANK, ((BOB, 10**15, b""),)))
    assert (receipt.code, receipt.op, receipt.skipped, receipt.original) == (Code.INSUFFICIENT, 1, (), None)
    receipt = world.run(again, Pay(SOM, BANK, ((BOB, 10**15, b""),), partial=True))
    assert (receipt.code, receipt.original) == (Code.ALL_LEGS_FAILED, None)


@pytest.mark.parametrize(("payer", "window_ms"), [(ALICE, 10 * MINUTE_MS), (BANK, 72 * 60 * MINUTE_MS)])
def test_a_ref_is_free_again_after_the_window_of_its_payer(payer: int, window_ms: int) -> None:
    world = funded()
    pay = Pay(SOM, payer, ((BOB, 1, b"x"),), once=True)
    assert world.run(pay).applied
    assert world.run(pay, later_ms=window_ms - 1_000).code == Code.DUPLICATE_REF
    world.ledger = world.reopened()
    assert world.run(pay, later_ms=1_000).code == Code.DUPLICATE_REF
    assert world.run(pay, later_ms=MINUTE_MS).applied
    assert world.run(pay).code == Code.DUPLICATE_REF


# --- backing ---


def test_deposit_and_issue_in_one_transaction_and_never_unbacked() -> None:
    world = World()
    world.fund(BANK)
    deposit, issue = Pay(SOM, BANK, ((KGST_RESERVE, 500, b""),)), Pay(KGST, KGST_ISSUER, ((BANK, 500, b""),))
    assert world.run(issue).code == Code.UNBACKED
    assert world.run(issue, deposit).code == Code.UNBACKED
    assert world.run(deposit, issue).applied
    assert world.pay(KGST_ISSUER, BANK, 1, KGST).code == Code.UNBACKED
    assert world.ledger.supply(KGST) == world.balance(KGST_RESERVE) == 500


def test_a_reserve_pays_only_what_it_does_not_back() -> None:
    world = World()
    world.fund(BANK)
    world.run(Pay(SOM, BANK, ((KGST_RESERVE, 600, b""),)), Pay(KGST, KGST_ISSUER, ((BANK, 500, b""),)))
    receipt = world.run(Pay(SOM, KGST_RESERVE, ((BANK, 60, b""), (TREASURY, 41, b""))))
    assert (receipt.code, receipt.leg) == (Code.RESERVE_FLOOR, 1)
    assert world.pay(KGST_RESERVE, BANK, 100).applied
    redeem = Pay(KGST, BANK, ((KGST_ISSUER, 200, b""),))
    assert world.run(redeem, Pay(SOM, KGST_RESERVE, ((BANK, 200, b""),))).applied
    assert world.balance(KGST_RESERVE) == world.ledger.supply(KGST) == 300


def test_backing_compares_whole_units_when_scales_differ() -> None:
    world = World()
    world.fund(BANK)
    assert world.pay(BANK, CENTS_RESERVE, 1_099).applied
    assert world.pay(CENTS_ISSUER, ALICE, 11, CENTS).code == Code.UNBACKED
    assert world.pay(CENTS_ISSUER, ALICE, 10, CENTS).applied
    assert world.pay(CENTS_RESERVE, BANK, 100).code == Code.RESERVE_FLOOR
    assert world.pay(CENTS_RESERVE, BANK, 99).applied


def test_an_asset_backed_by_attestation_is_not_issued_without_one() -> None:
    assert World().pay(GOLD_ISSUER, BANK, 1, GOLD).code == Code.NO_ATTESTATION


def test_an_account_keeps_several_assets_apart() -> None:
    world = World()
    world.fund(BANK)
    world.run(Pay(SOM, BANK, ((KGST_RESERVE, 600, b""),)), Pay(KGST, KGST_ISSUER, ((BANK, 500, b""),)))
    assert world.pay(BANK, ALICE, 70, KGST).applied
    assert world.pay(BANK, ALICE, 30).applied
    assert world.account(ALICE).holdings == ((SOM, 30, 0), (KGST, 70, 0))
    assert world.pay(ALICE, BANK, 30).applied
    assert world.account(ALICE).holdings == ((KGST, 70, 0),)


@given(st.integers(0, 10**15), st.integers(0, 12), st.integers(0, 12))
def test_the_least_reserve_and_the_greatest_supply_agree_for_all_scales(amount: int, scale: int, other: int) -> None:
    asset = Asset("A", scale, 1, 1, 10**15, None, 0, 0, b"")
    reserve_asset = asset._replace(scale=other)
    needed, backed = reserve_needed(amount, asset, reserve_asset), supply_backed(amount, asset, reserve_asset)
    assert needed * 10**scale >= amount * 10**other
    assert needed == 0 or (needed - 1) * 10**scale < amount * 10**other
    assert backed * 10**other <= amount * 10**scale < (backed + 1) * 10**other
