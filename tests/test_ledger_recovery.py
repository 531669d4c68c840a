"""Accounts whose keys are lost, or said to be: the bank helps, the owner can stop it, nobody is stalled for ever."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.crypto import SecretKey
from node.ledger.account import CLOSED, IN_BLOCKED, OUT_BLOCKED, RECOVERING, SOM, AccountNumber, Kind, account_number
from node.ledger.account_ops import CloseAccount, SetAccount, SetKeys
from node.ledger.errors import Code, InvariantViolation, Refused
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition, row_id
from node.ledger.operations import APPLY, Operation
from node.ledger.order import Arrest, Freeze
from node.ledger.parameters import DEFAULT, Opener
from node.ledger.pay import Pay
from node.ledger.receipt import Receipt
from node.ledger.recovery import (
    CANCELLED_MS,
    CancelRecovery,
    FinishRecovery,
    MoveAccount,
    RecoverAccount,
    Recovery,
    encode_recovery,
    find_recovery,
    recovery_key,
)
from node.ledger.settle import SettleHold
from node.ledger.step import Step
from tests.ledger_world import (
    ALICE,
    AUDITOR,
    BANK,
    BOB,
    CENTRAL,
    DAY_MS,
    DEVICE,
    ENFORCER,
    ISSUER,
    OTHER_BANK,
    SHOP,
    TREASURY,
    Override,
    World,
    keys_of,
)

DELAY_MS: Final = DEFAULT.recovery_delay_ms
NEW: Final = SecretKey(b"n" * 32)
KEYS: Final = ((bytes(NEW.public), 5),)
RECOVER: Final = RecoverAccount(BANK, ALICE, KEYS, 3)
FINISH: Final = FinishRecovery(BANK, ALICE)
CANCEL: Final = CancelRecovery(ALICE)
NOT_THERE: Final = account_number(101, 77)


def start(overrides: dict[int, Override] | None = None) -> World:
    money: dict[int, Override] = {
        ALICE: Override(holdings=((SOM, 1_000, 0),)),
        BOB: Override(holdings=((SOM, 1_000, 0),)),
        ISSUER: Override(holdings=((SOM, -2_000, 0),)),
    }
    return World({**money, **(overrides or {})})


def with_central_bank(world: World, operation: Operation) -> Receipt:
    return world.block([world.transaction([operation], (*operation.actors, CENTRAL))]).receipts[0]


def by_new_key(world: World, operation: Operation) -> Receipt:
    """Let Alice sign with the key that the bank gave her."""
    return world.block([world.transaction([operation], (ALICE,), [(0, NEW)])]).receipts[0]


# --- recover, recovered ---


def test_who_lost_the_key_gets_the_account_back_through_the_bank() -> None:
    world = start()
    assert world.run(RECOVER).applied
    begun_ms = world.time_ms
    assert find_recovery(world.reader, ALICE) == Recovery(KEYS, 3, begun_ms + DELAY_MS)
    assert world.account(ALICE).flags == RECOVERING
    assert world.run(FINISH).code == Code.TOO_EARLY
    assert by_new_key(world, Pay(SOM, ALICE, ((SHOP, 1, b""),))).code == Code.NOT_SIGNED
    assert world.run(FINISH, later_ms=begun_ms + DELAY_MS - 1 - world.time_ms).code == Code.TOO_EARLY
    assert world.run(FINISH, later_ms=1).applied
    assert world.time_ms == begun_ms + DELAY_MS
    alice = world.account(ALICE)
    assert (alice.keys, alice.threshold, alice.flags, alice.balance()) == (KEYS, 3, 0, 1_000)
    assert find_recovery(world.reader, ALICE) is None
    assert world.pay(ALICE, SHOP, 1).code == Code.NOT_SIGNED  # the old key
    assert by_new_key(world, Pay(SOM, ALICE, ((SHOP, 1, b""),))).applied
    assert world.run(FINISH).code == Code.NO_RECOVERY
    assert world.run(RECOVER).applied  # a finished one is no reason to wait
    world.ledger.audit()


def test_meanwhile_nothing_goes_out_and_all_comes_in() -> None:
    world = start()
    anything = Condition(b"", (), 0, "", "", revocable=True)
    receipt = world.run(MakeHold(SOM, ALICE, ((SHOP, 300, b""),), SHOP, world.time_ms + DAY_MS, anything))
    assert world.run(RECOVER).applied
    assert world.pay(ALICE, SHOP, 1).code == Code.RECOVERING
    late = world.time_ms + DAY_MS
    assert world.run(MakeHold(SOM, ALICE, ((SHOP, 1, b""),), SHOP, late, anything)).code == Code.RECOVERING
    assert world.run(SettleHold(SHOP, row_id(receipt.transaction_id, 0, 0), 5, 0, b"", False)).code == Code.RECOVERING
    assert world.run(SetKeys(ALICE, KEYS, 1)).code == Code.RECOVERING
    for by in (ALICE, BANK):
        assert world.run(CloseAccount(by, ALICE)).code == Code.RECOVERING
    receipt = world.run(MakeHold(SOM, BOB, ((BOB, 7, b""),), ALICE, late, anything))
    assert world.run(SettleHold(BOB, row_id(receipt.transaction_id, 0, 0), 7, 0, b"", False)).applied
    assert world.pay(BOB, ALICE, 11).applied
    assert world.balance(ALICE) == 1_018
    assert world.run(CANCEL).applied
    assert world.pay(ALICE, SHOP, 700).applied
    world.ledger.audit()


def test_the_delay_is_that_of_the_day_on_which_it_began() -> None:
    world = start()
    assert world.run(RECOVER).applied
    begun_ms = world.time_ms
    assert world.set("recovery_delay_ms", 30 * DAY_MS).applied
    assert world.run(FINISH, later_ms=begun_ms + DELAY_MS - world.time_ms).applied
    assert world.run(RECOVER).applied
    assert world.run(FINISH, later_ms=29 * DAY_MS).code == Code.TOO_EARLY
    assert world.run(FINISH, later_ms=DAY_MS).applied


@pytest.mark.parametrize("by", [OTHER_BANK, CENTRAL, TREASURY, ENFORCER, BOB, ALICE])
def test_only_the_bank_of_the_account_recovers_it(by: AccountNumber) -> None:
    world = start()
    assert world.run(RECOVER._replace(by=by)).code == Code.ROLE
    assert world.run(RECOVER).applied
    assert world.run(RECOVER._replace(by=by)).code == Code.ROLE  # before PENDING
    assert world.run(FINISH._replace(by=by), later_ms=2 * DAY_MS).code == Code.ROLE


def test_the_central_bank_stands_in_for_a_bank_that_is_closed_or_never_was() -> None:
    world = start({BANK: Override(CLOSED), AUDITOR: Override(CLOSED, kind=Kind.CENTRAL_BANK)})
    assert world.run(RECOVER).code == Code.ROLE
    for operation in (RECOVER, RECOVER._replace(number=ENFORCER)):
        for by in (OTHER_BANK, TREASURY, AUDITOR):
            assert world.run(operation._replace(by=by)).code == Code.ROLE
        assert world.run(operation._replace(by=CENTRAL)).applied
    assert world.run(FINISH).code == Code.ROLE
    for number in (ALICE, ENFORCER):
        assert world.run(FinishRecovery(CENTRAL, number), later_ms=DELAY_MS).applied
        assert world.account(number).keys == KEYS


@pytest.mark.parametrize("operation", [RECOVER, FINISH], ids=lambda each: type(each).__name__)
def test_a_closed_or_unknown_account_is_not_recovered(operation: RecoverAccount | FinishRecovery) -> None:
    world = start({DEVICE: Override(CLOSED)})
    for number in (DEVICE, NOT_THERE, 0):
        assert world.run(operation._replace(number=number)).code == Code.NO_ACCOUNT


def test_one_recovery_is_open_at_a_time() -> None:
    world = start()
    assert world.run(FINISH).code == Code.NO_RECOVERY
    assert world.run(RECOVER).applied
    assert world.run(RECOVER).code == Code.PENDING
    assert with_central_bank(world, RECOVER).code == Code.PENDING
    assert world.run(RECOVER._replace(number=BOB)).applied


@pytest.mark.parametrize(
    ("keys", "threshold", "code"),
    [
        ((), 1, Code.KEYS),
        (KEYS, 6, Code.KEYS),
        (KEYS, 0, Code.KEYS),
        (((b"b" * 32, 1), (b"a" * 32, 1)), 1, Code.KEYS),
        (((b"a" * 32, 0),), 1, Code.KEYS),
        (((b"a" * 31, 1),), 1, Code.MALFORMED),
        (((b"a" * 32, 1_001),), 1, Code.MALFORMED),
        (KEYS, 16_001, Code.MALFORMED),
    ],
)
def test_new_keys_have_the_form_of_keys(keys: tuple[tuple[bytes, int], ...], threshold: int, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        World().transaction([RecoverAccount(BANK, ALICE, keys, threshold)])
    assert (refused.value.code, refused.value.op) == (code, 0)


@pytest.mark.parametrize("operation", [RECOVER, FINISH, CANCEL, MoveAccount(ALICE, OTHER_BANK)])
def test_who_acts_must_be_listed(operation: Operation) -> None:
    for missing in operation.actors:
        others = tuple(each for each in operation.actors if each != missing) or (BOB,)
        with pytest.raises(Refused) as refused:
            World().transaction([operation], others)
        assert refused.value.code == Code.NOT_SIGNED


# --- cancel ---


def test_the_owner_stops_a_recovery_that_is_false() -> None:
    world = start()
    assert world.run(CANCEL).code == Code.NO_RECOVERY
    assert world.run(RECOVER).applied
    assert by_new_key(world, CANCEL).code == Code.NOT_SIGNED
    assert world.run(CANCEL).applied
    assert find_recovery(world.reader, ALICE) == Recovery((), 0, 0, world.time_ms)
    assert world.account(ALICE).flags == 0
    assert world.run(CANCEL).code == Code.NO_RECOVERY
    assert world.run(FINISH, later_ms=2 * DAY_MS).code == Code.NO_RECOVERY
    assert world.pay(ALICE, SHOP, 1).applied
    assert world.run(SetKeys(ALICE, KEYS, 1)).applied
    world.ledger.audit()


def test_the_owner_stops_it_even_at_the_end_of_the_delay() -> None:
    world = start()
    assert world.run(RECOVER).applied
    assert world.run(CANCEL, later_ms=3 * DELAY_MS).applied


def test_a_bank_cannot_stall_its_customer_by_repeating() -> None:
    world = start({AUDITOR: Override(CLOSED, kind=Kind.CENTRAL_BANK)})
    assert world.run(RECOVER).applied
    assert world.run(CANCEL).applied
    cancelled_ms = world.time_ms
    for _ in range(3):
        assert world.run(RECOVER).code == Code.SECOND_APPROVAL
        assert world.pay(ALICE, SHOP, 1).applied
    last_ms = cancelled_ms + CANCELLED_MS - 1
    assert world.run(RECOVER, later_ms=last_ms - world.time_ms).code == Code.SECOND_APPROVAL
    for other in (TREASURY, AUDITOR):  # no central bank, and a closed one
        trial = world.transaction([RECOVER], (BANK, other), expires_ms=world.time_ms + 60_000)
        assert world.ledger.simulate(trial, last_ms).code == Code.SECOND_APPROVAL
    assert world.run(RECOVER, later_ms=1).applied
    assert world.time_ms == cancelled_ms + CANCELLED_MS


def test_within_thirty_days_the_central_bank_may_approve_another_recovery() -> None:
    world = start()
    assert world.run(RECOVER).applied
    assert world.run(CANCEL).applied
    assert with_central_bank(world, RECOVER).applied
    assert world.run(CANCEL).applied  # the owner can stop this one too
    assert world.run(RECOVER).code == Code.SECOND_APPROVAL
    assert with_central_bank(world, RECOVER).applied
    assert world.run(FINISH, later_ms=DELAY_MS).applied
    world.ledger.audit()


# --- orders and recovery do not undo one another ---


def test_a_freeze_outlives_a_recovery_and_a_recovery_a_freeze() -> None:
    world = start()
    assert world.run(Freeze(ENFORCER, "1", ALICE, b"b" * 32, incoming=True)).applied
    assert world.run(RECOVER).applied
    assert world.account(ALICE).flags == OUT_BLOCKED | IN_BLOCKED | RECOVERING
    assert world.run(FINISH, later_ms=DELAY_MS).applied
    assert world.account(ALICE).flags == OUT_BLOCKED | IN_BLOCKED
    assert world.run(RECOVER._replace(number=BOB)).applied
    assert world.run(Freeze(ENFORCER, "2", BOB, b"b" * 32, incoming=False)).applied
    assert world.run(CancelRecovery(BOB)).applied
    assert world.account(BOB).flags == OUT_BLOCKED
    world.ledger.audit()


# --- move ---


@pytest.mark.parametrize("number", [ALICE, SHOP, DEVICE])
def test_an_owner_moves_to_another_bank_and_keeps_the_number(number: AccountNumber) -> None:
    world = start()
    before = world.account(number)
    assert world.run(MoveAccount(number, OTHER_BANK)).applied
    after = world.account(number)
    assert after.profile == before.profile._replace(bank=OTHER_BANK)
    assert after.holdings == before.holdings
    category = after.profile.category
    assert world.run(SetAccount(BANK, number, 1, category, b"c" * 32)).code == Code.ROLE
    assert world.run(RECOVER._replace(number=number)).code == Code.ROLE
    assert world.run(SetAccount(OTHER_BANK, number, 1, category, b"c" * 32)).applied
    assert world.run(RecoverAccount(OTHER_BANK, number, KEYS, 1)).applied


@pytest.mark.parametrize(
    ("operation", "overrides", "code"),
    [
        (MoveAccount(ALICE, OTHER_BANK), {ALICE: Override(CLOSED)}, Code.NO_ACCOUNT),
        (MoveAccount(ALICE, OTHER_BANK), {OTHER_BANK: Override(CLOSED)}, Code.ROLE),
        (MoveAccount(ALICE, CENTRAL), {}, Code.ROLE),
        (MoveAccount(ALICE, TREASURY), {}, Code.ROLE),
        (MoveAccount(ALICE, BOB), {}, Code.ROLE),
        (MoveAccount(TREASURY, BANK), {}, Code.ROLE),  # whose kind may not open such an account
        (MoveAccount(ALICE, BANK), {ALICE: Override(RECOVERING | OUT_BLOCKED)}, Code.FIELD),
        (MoveAccount(ALICE, OTHER_BANK), {ALICE: Override(RECOVERING | OUT_BLOCKED)}, Code.RECOVERING),
        (MoveAccount(ALICE, OTHER_BANK), {ALICE: Override(OUT_BLOCKED)}, Code.UNDER_ORDER),
        (MoveAccount(ALICE, OTHER_BANK), {ALICE: Override(IN_BLOCKED)}, Code.UNDER_ORDER),
    ],
)
def test_who_moves_where(operation: MoveAccount, overrides: dict[int, Override], code: Code) -> None:
    assert start(overrides).run(operation).code == code


def test_a_bank_takes_over_what_banks_may_open_and_no_institution() -> None:
    everything = Opener(Kind.BANK, sum(1 << kind for kind in Kind))
    world = World(parameters=DEFAULT._replace(openers=(everything,)))
    assert world.run(MoveAccount(TREASURY, BANK)).code == Code.FIELD
    world = World(parameters=DEFAULT._replace(openers=(Opener(Kind.BANK, 1 << Kind.MERCHANT),)))
    assert world.run(MoveAccount(ALICE, OTHER_BANK)).code == Code.ROLE
    assert world.run(MoveAccount(SHOP, OTHER_BANK)).applied


def test_arrested_money_moves_with_its_account() -> None:
    world = start()
    arrest = Arrest(ENFORCER, "1", ALICE, b"b" * 32, SOM, 400)
    assert with_central_bank(world, arrest).applied
    assert world.run(MoveAccount(ALICE, OTHER_BANK)).applied
    assert world.account(ALICE).held() == 400
    assert world.run(CloseAccount(OTHER_BANK, ALICE)).code == Code.UNDER_ORDER
    world.ledger.audit()


# --- the state ---


def test_a_restart_finds_an_open_recovery() -> None:
    world = start()
    assert world.run(RECOVER).applied
    world.ledger = world.reopened()
    assert world.run(RECOVER).code == Code.PENDING
    assert world.run(FINISH, later_ms=DELAY_MS).applied


def test_a_recovery_that_is_refused_later_in_its_transaction_leaves_nothing() -> None:
    world = start()
    before = dict(world.reader.rows)
    assert world.run(RECOVER, FINISH).code == Code.TOO_EARLY
    assert world.run(RECOVER, RECOVER).code == Code.PENDING
    assert world.account(ALICE).flags == 0
    assert {key: row for key, row in world.reader.rows.items() if key[:1] in (b"a", b"y")} == {
        key: row for key, row in before.items() if key[:1] in (b"a", b"y")
    }


def flag_alone(step: Step, operation: RecoverAccount) -> None:
    account = step.state.require_account(operation.number)
    step.state.edit(account)
    account.profile = account.profile._replace(flags=RECOVERING)


def test_a_block_that_flags_an_account_without_a_recovery_stops_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(APPLY, RecoverAccount, flag_alone)
    with pytest.raises(InvariantViolation, match="without an open recovery"):
        start().run(RECOVER)


@pytest.mark.parametrize(
    ("number", "recovery", "violation"),
    [
        (ALICE, None, "without an open recovery"),
        (ALICE, Recovery((), 0, 0, 5), "without an open recovery"),
        (BOB, Recovery(KEYS, 1, 5), "without an open recovery"),
        (NOT_THERE, Recovery(KEYS, 1, 5), "of no account"),
    ],
)
def test_an_audit_finds_recoveries_that_do_not_fit(number: int, recovery: Recovery | None, violation: str) -> None:
    world = start()
    assert world.run(RECOVER).applied
    world.ledger.audit()
    world.reader.store({recovery_key(number): None if recovery is None else encode_recovery(recovery)})
    with pytest.raises(InvariantViolation, match=violation):
        world.ledger.audit()


# --- any sequence, against what it should come to ---

MOVES: Final = st.tuples(
    st.sampled_from(("recover", "approved", "finish", "cancel", "pay", "move", "keys")),
    st.sampled_from((1_000, DELAY_MS - 1, DELAY_MS, 12 * DAY_MS)),
)


@settings(max_examples=60)
@given(st.lists(MOVES, min_size=1, max_size=15))
def test_a_recovery_goes_its_one_way(moves: list[tuple[str, int]]) -> None:
    """Alice's account, whose new keys are her old ones, beside a model of three numbers and her bank."""
    world = start()
    keys = tuple((bytes(key.public), 1) for key in keys_of(ALICE))
    ready_ms = cancelled_ms = None
    bank = BANK
    for name, later_ms in moves:
        now_ms = world.time_ms + later_ms
        waits = cancelled_ms is not None and now_ms < cancelled_ms + 30 * DAY_MS
        expected = Code.APPLIED
        accounts: tuple[int, ...] = (ALICE,)
        match name:
            case "recover" | "approved":
                operation: Operation = RecoverAccount(bank, ALICE, keys, 1)
                accounts = (bank, CENTRAL) if name == "approved" else (bank,)
                if ready_ms is not None:
                    expected = Code.PENDING
                elif waits and name == "recover":
                    expected = Code.SECOND_APPROVAL
                else:
                    ready_ms, cancelled_ms = now_ms + DELAY_MS, None
            case "finish":
                operation, accounts = FinishRecovery(bank, ALICE), (bank,)
                if ready_ms is None:
                    expected = Code.NO_RECOVERY
                elif now_ms < ready_ms:
                    expected = Code.TOO_EARLY
                else:
                    ready_ms = None
            case "cancel":
                operation = CANCEL
                if ready_ms is None:
                    expected = Code.NO_RECOVERY
                else:
                    ready_ms, cancelled_ms = None, now_ms
            case "pay":
                operation = Pay(SOM, ALICE, ((SHOP, 1, b""),))
                expected = Code.APPLIED if ready_ms is None else Code.RECOVERING
            case "move":
                other = OTHER_BANK if bank == BANK else BANK
                operation, accounts = MoveAccount(ALICE, other), (ALICE, other)
                expected = Code.APPLIED if ready_ms is None else Code.RECOVERING
                bank = other if ready_ms is None else bank
            case _:
                operation = SetKeys(ALICE, keys, 1)
                expected = Code.APPLIED if ready_ms is None else Code.RECOVERING
        transaction = world.transaction([operation], accounts, expires_ms=now_ms + 60_000)
        assert world.block([transaction], later_ms).receipts[0].code == expected
        assert bool(world.account(ALICE).flags & RECOVERING) == (ready_ms is not None)
        assert world.account(ALICE).bank == bank
    assert world.ledger.audit()[SOM] == 2_000
