"""Orders: who may stop, arrest and take money, what stands in their way (nothing of the owner's), and what remains."""

from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.encoding import encode
from node.ledger.account import (
    AMOUNT_MAX,
    CLOSED,
    IN_BLOCKED,
    OUT_BLOCKED,
    RECOVERING,
    SOM,
    AccountNumber,
    Kind,
    account_number,
)
from node.ledger.account_ops import CloseAccount, SetKeys
from node.ledger.errors import Code, InvariantViolation, Refused
from node.ledger.hold import MakeHold
from node.ledger.holds import HOLD, Condition, Hold, encode_hold, find_hold, row_id
from node.ledger.operations import APPLY, Operation
from node.ledger.order import Arrest, Freeze, OrderOperation, Release, Seize, Unfreeze
from node.ledger.orders import (
    ARREST,
    FREEZE,
    SEIZE,
    Order,
    decode_order,
    encode_order,
    find_order,
    index_key,
    order_key,
    orders_of,
    standing,
)
from node.ledger.pay import Pay
from node.ledger.receipt import Receipt
from node.ledger.recovery import CancelRecovery, MoveAccount, RecoverAccount
from node.ledger.settle import SettleHold
from node.ledger.statement import decode_entry
from node.ledger.step import Step
from tests.ledger_world import (
    ALICE,
    AUDITOR,
    BANK,
    BOB,
    CAROL,
    CENTRAL,
    DAY_MS,
    DEAD,
    DEAD_ISSUER,
    DEVICE,
    ENFORCER,
    HALTED,
    HALTED_ISSUER,
    INSPECTOR,
    ISSUER,
    KGST,
    KGST_ISSUER,
    KGST_RESERVE,
    NOBODY,
    OTHER_BANK,
    REGISTRAR,
    SHOP,
    SPARE_RESERVE,
    TREASURY,
    Override,
    World,
    keys_of,
)

BASIS: Final = b"b" * 32
LIFTED: Final = b"l" * 32
ANYTHING: Final = Condition(b"", (), 0, "", "", revocable=False)
ACTS: Final[tuple[OrderOperation, ...]] = (
    Freeze(ENFORCER, "1", ALICE, BASIS, incoming=False),
    Unfreeze(ENFORCER, "1", BASIS),
    Arrest(ENFORCER, "1", ALICE, BASIS, SOM, 5),
    Release(ENFORCER, "1", BASIS),
    Seize(ENFORCER, "1", ALICE, BASIS, SOM, 5, TREASURY),
)


def start(overrides: dict[int, Override] | None = None, alice: int = 1_000) -> World:
    money: dict[int, Override] = {
        ALICE: Override(holdings=((SOM, alice, 0),)),
        ISSUER: Override(holdings=((SOM, -alice, 0),)),
    }
    return World({**money, **(overrides or {})})


def run(world: World, operations: Sequence[Operation], accounts: Sequence[int], later_ms: int = 1_000) -> Receipt:
    expires_ms = world.time_ms + later_ms + 60_000
    return world.block([world.transaction(operations, accounts, expires_ms=expires_ms)], later_ms).receipts[0]


def both(world: World, *operations: Operation) -> Receipt:
    """Let the enforcer and the central bank sign."""
    return run(world, operations, (ENFORCER, CENTRAL))


def hold(world: World, amount: int, payer: int = ALICE, by: int = SHOP, asset: int = SOM) -> bytes:
    """Make a hold in a block of its own; return its id."""
    until_ms = world.time_ms + DAY_MS
    receipt = world.run(MakeHold(asset, payer, ((by, amount, b""),), SHOP, until_ms, ANYTHING))
    assert receipt.applied
    return row_id(receipt.transaction_id, 0, 0)


def left(world: World, hold_id: bytes) -> int:
    row = find_hold(world.ledger._state.records, hold_id)
    return 0 if row is None else row.left


def money(world: World, number: int, asset: int = SOM) -> tuple[int, int]:
    return world.account(number).holding(asset)


# --- shape ---


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (ACTS[0]._replace(basis=b""), Code.BASIS),
        (ACTS[0]._replace(basis=b"b" * 31), Code.MALFORMED),
        (ACTS[0]._replace(basis=b"b" * 33), Code.MALFORMED),
        (ACTS[0]._replace(number=""), Code.MALFORMED),
        (ACTS[0]._replace(number="n" * 36), Code.MALFORMED),
        (ACTS[0]._replace(number="ө" * 18), Code.MALFORMED),
        (ACTS[0]._replace(number="1\u200b"), Code.MALFORMED),
        (ACTS[0]._replace(number="1\n"), Code.MALFORMED),
        (Freeze(ENFORCER, "1", 10**16, BASIS, incoming=False), Code.MALFORMED),
        (Freeze(ENFORCER, "1", ALICE, BASIS, incoming=1), Code.MALFORMED),  # type: ignore[arg-type]
        (Unfreeze(ENFORCER, "1", b""), Code.BASIS),
        (Release(ENFORCER, "1", b""), Code.BASIS),
        (Arrest(ENFORCER, "1", ALICE, b"", SOM, 1), Code.BASIS),
        (Arrest(ENFORCER, "1", ALICE, BASIS, SOM, 0), Code.AMOUNT),
        (Arrest(ENFORCER, "1", ALICE, BASIS, SOM, -1), Code.AMOUNT),
        (Arrest(ENFORCER, "1", ALICE, BASIS, SOM, AMOUNT_MAX + 1), Code.AMOUNT),
        (Arrest(ENFORCER, "1", ALICE, BASIS, SOM, True), Code.MALFORMED),
        (Arrest(ENFORCER, "1", ALICE, BASIS, 65_536, 1), Code.MALFORMED),
        (Seize(ENFORCER, "1", ALICE, b"", SOM, 1, TREASURY), Code.BASIS),
        (Seize(ENFORCER, "1", ALICE, BASIS, SOM, 0, TREASURY), Code.AMOUNT),
        (Seize(ENFORCER, "1", ALICE, BASIS, SOM, 1, -1), Code.MALFORMED),
    ],
)
def test_what_can_never_be_right_is_refused_before_a_block(operation: Operation, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        World().transaction([operation], (ENFORCER,))
    assert (refused.value.code, refused.value.op) == (code, 0)


def test_a_number_has_35_bytes_in_whatever_alphabet() -> None:
    world = start()
    for number in ("n" * 35, "ө" * 17 + "1", "УД № 7-24/1"):
        assert world.run(Freeze(ENFORCER, number, ALICE, BASIS, incoming=False)).applied
    assert [number for number, _ in orders_of(world.reader, ENFORCER)] == ["n" * 35, "УД № 7-24/1", "ө" * 17 + "1"]


@pytest.mark.parametrize("operation", ACTS, ids=lambda each: type(each).__name__)
def test_the_authority_must_be_listed(operation: OrderOperation) -> None:
    with pytest.raises(Refused) as refused:
        World().transaction([operation], (CENTRAL,))
    assert refused.value.code == Code.NOT_SIGNED


# --- who ---


@pytest.mark.parametrize("operation", ACTS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("by", [CENTRAL, ISSUER, TREASURY, BANK, REGISTRAR, AUDITOR, SHOP, ALICE])
def test_only_an_enforcer_orders(by: AccountNumber, operation: OrderOperation) -> None:
    world = start()
    wrong = operation._replace(by=by)
    assert run(world, [wrong], tuple(dict.fromkeys((by, CENTRAL, ENFORCER)))).code == Code.ROLE
    with pytest.raises(Refused) as refused:  # and no batch carries it
        world.ledger.admit(world.transaction([wrong], tuple(dict.fromkeys((by, CENTRAL)))), world.time_ms)
    assert (refused.value.code, refused.value.op) == (Code.ROLE, 0)


@pytest.mark.parametrize("operation", ACTS, ids=lambda each: type(each).__name__)
def test_a_closed_enforcer_orders_nothing(operation: OrderOperation) -> None:
    assert both(start({ENFORCER: Override(CLOSED)}), operation).code == Code.ROLE


@pytest.mark.parametrize("operation", ACTS[1:], ids=lambda each: type(each).__name__)
def test_all_but_a_freeze_need_the_central_bank(operation: OrderOperation) -> None:
    world = start()
    assert world.run(operation).code == Code.SECOND_APPROVAL
    assert run(world, [operation], (ENFORCER, TREASURY, BANK)).code == Code.SECOND_APPROVAL
    assert both(start({CENTRAL: Override(CLOSED)}), operation).code == Code.SECOND_APPROVAL
    board = start({AUDITOR: Override(kind=Kind.CENTRAL_BANK)})  # any account of that kind
    assert run(board, [operation], (AUDITOR, ENFORCER)).code in (Code.APPLIED, Code.NO_ORDER)


def test_the_central_bank_must_sign_and_not_only_be_listed() -> None:
    world = start()
    (key,) = keys_of(ENFORCER)
    transaction = world.transaction([ACTS[2]], (ENFORCER, CENTRAL), signers=[(0, key)])
    assert world.block([transaction]).receipts[0].code == Code.NOT_SIGNED


# --- the order of the checks ---


NOT_THERE: Final = account_number(101, 77)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (Freeze(ENFORCER, "old", NOT_THERE, BASIS, incoming=True), Code.ORDER_EXISTS),
        (Freeze(ENFORCER, "new", NOT_THERE, BASIS, incoming=True), Code.NO_ACCOUNT),
        (Freeze(ENFORCER, "new", 0, BASIS, incoming=True), Code.NO_ACCOUNT),
        (Freeze(ENFORCER, "new", BOB, BASIS, incoming=True), Code.NO_ACCOUNT),
        (Freeze(ENFORCER, "new", CENTRAL, BASIS, incoming=True), Code.IMMUNE),
        (Arrest(ENFORCER, "old", NOT_THERE, BASIS, 99, 9_999), Code.ORDER_EXISTS),
        (Arrest(ENFORCER, "new", NOT_THERE, BASIS, 99, 9_999), Code.NO_ACCOUNT),
        (Arrest(ENFORCER, "new", BOB, BASIS, 99, 9_999), Code.NO_ACCOUNT),
        (Arrest(ENFORCER, "new", ISSUER, BASIS, 99, 9_999), Code.IMMUNE),
        (Arrest(ENFORCER, "new", ALICE, BASIS, 99, 9_999), Code.NO_ASSET),
        (Arrest(ENFORCER, "new", ALICE, BASIS, SOM, 1_001), Code.INSUFFICIENT),
        (Arrest(ENFORCER, "new", ALICE, BASIS, KGST, 1), Code.INSUFFICIENT),
        (Arrest(ENFORCER, "new", ALICE, BASIS, SOM, 1_000), Code.APPLIED),
        (Seize(ENFORCER, "old", NOT_THERE, BASIS, 99, 9_999, NOBODY), Code.ORDER_EXISTS),
        (Seize(ENFORCER, "new", NOT_THERE, BASIS, 99, 9_999, NOBODY), Code.NO_ACCOUNT),
        (Seize(ENFORCER, "new", SPARE_RESERVE, BASIS, 99, 9_999, NOBODY), Code.IMMUNE),
        (Seize(ENFORCER, "new", ALICE, BASIS, 99, 9_999, NOBODY), Code.NO_ASSET),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 9_999, NOBODY), Code.NO_ACCOUNT),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 9_999, 0), Code.NO_ACCOUNT),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 9_999, BOB), Code.NO_ACCOUNT),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 9_999, ALICE), Code.SAME_ACCOUNT),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 9_999, ISSUER), Code.FIELD),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 9_999, CAROL), Code.FIELD),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 9_999, SHOP), Code.FIELD),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 9_999, DEVICE), Code.FIELD),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 1_001, TREASURY), Code.INSUFFICIENT),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 1_000, TREASURY), Code.APPLIED),
        (Seize(ENFORCER, "new", ALICE, BASIS, SOM, 1, KGST_ISSUER), Code.APPLIED),  # an issuer, but not of som
        (Unfreeze(ENFORCER, "new", BASIS), Code.NO_ORDER),
        (Unfreeze(ENFORCER, "old", BASIS), Code.NO_ORDER),  # a seizure
        (Release(ENFORCER, "new", BASIS), Code.NO_ORDER),
        (Release(ENFORCER, "old", BASIS), Code.NO_ORDER),
    ],
)
def test_the_first_reason_counts(operation: OrderOperation, code: Code) -> None:
    world = start({BOB: Override(CLOSED), TREASURY: Override(holdings=((SOM, 7, 0),))}, alice=1_000)
    assert both(world, Seize(ENFORCER, "old", TREASURY, BASIS, SOM, 7, BANK)).applied
    assert both(world, operation).code == code


@pytest.mark.parametrize("target", [CENTRAL, ISSUER, KGST_ISSUER, KGST_RESERVE, SPARE_RESERVE])
def test_what_backs_the_money_of_others_is_immune(target: AccountNumber) -> None:
    world = start({KGST_RESERVE: Override(holdings=((SOM, 500, 0),))})
    for operation in (
        Freeze(ENFORCER, "1", target, BASIS, incoming=True),
        Arrest(ENFORCER, "1", target, BASIS, SOM, 5),
        Seize(ENFORCER, "1", target, BASIS, SOM, 5, TREASURY),
    ):
        assert both(world, operation).code == Code.IMMUNE
    assert list(orders_of(world.reader, ENFORCER)) == []


# --- freezes ---


def test_the_enforcer_alone_stops_what_goes_out_and_if_it_says_so_what_comes_in() -> None:
    world = start({BANK: Override(holdings=((SOM, 1_000, 0),)), ISSUER: Override(holdings=((SOM, -2_000, 0),))})
    assert world.run(Freeze(ENFORCER, "out", ALICE, BASIS, incoming=False)).applied
    assert world.account(ALICE).flags == OUT_BLOCKED
    assert world.pay(ALICE, SHOP, 1).code == Code.PAYER_BLOCKED
    assert world.pay(BANK, ALICE, 1).applied
    assert world.run(Freeze(ENFORCER, "in", ALICE, BASIS, incoming=True)).applied
    assert world.account(ALICE).flags == OUT_BLOCKED | IN_BLOCKED
    assert world.pay(BANK, ALICE, 1).code == Code.PAYEE_BLOCKED
    assert world.run(SetKeys(ALICE, world.account(ALICE).keys, 1)).applied  # it blocks money, not the owner
    assert world.ledger.audit()[SOM] == 2_000


def test_an_account_is_free_when_every_freeze_is_lifted() -> None:
    world = start()
    for number, incoming in (("a", False), ("b", True), ("c", True)):
        assert world.run(Freeze(ENFORCER, number, ALICE, BASIS, incoming)).applied
    flags = []
    for number in ("b", "a", "c"):
        assert both(world, Unfreeze(ENFORCER, number, LIFTED)).applied
        flags.append(world.account(ALICE).flags)
        world.ledger.audit()
    assert flags == [OUT_BLOCKED | IN_BLOCKED, OUT_BLOCKED | IN_BLOCKED, 0]
    assert world.pay(ALICE, SHOP, 1).applied


def test_lifting_the_incoming_freeze_leaves_the_outgoing_one() -> None:
    world = start()
    assert world.run(
        Freeze(ENFORCER, "a", ALICE, BASIS, incoming=False), Freeze(ENFORCER, "b", ALICE, BASIS, incoming=True)
    ).applied
    assert both(world, Unfreeze(ENFORCER, "b", LIFTED)).applied
    assert world.account(ALICE).flags == OUT_BLOCKED


def test_what_stands_beside_a_freeze_takes_nothing_from_it() -> None:
    world = start()
    assert both(world, Arrest(ENFORCER, "b", ALICE, BASIS, SOM, 100)).applied
    assert world.run(Freeze(ENFORCER, "a", ALICE, BASIS, incoming=False)).applied
    assert world.account(ALICE).flags == OUT_BLOCKED


def test_a_freeze_and_its_lifting_in_one_transaction_leave_only_the_log() -> None:
    world = start()
    assert both(world, ACTS[0], ACTS[1]).applied
    assert world.account(ALICE).flags == 0
    assert list(standing(world.reader, ALICE)) == []
    order = find_order(world.reader, ENFORCER, "1")
    assert order is not None
    assert order.lifted_ms == order.time_ms == world.time_ms


def test_authorities_share_neither_numbers_nor_orders() -> None:
    world = start({INSPECTOR: Override(kind=Kind.ENFORCER)})
    for by in (ENFORCER, INSPECTOR):
        assert world.run(Freeze(by, "1", ALICE, BASIS, incoming=False)).applied
    assert both(world, Unfreeze(ENFORCER, "1", LIFTED)).applied
    assert both(world, Unfreeze(ENFORCER, "1", LIFTED)).code == Code.NO_ORDER
    assert world.account(ALICE).flags == OUT_BLOCKED
    assert list(standing(world.reader, ALICE)) == [(INSPECTOR, "1")]
    assert run(world, [Unfreeze(INSPECTOR, "1", LIFTED)], (INSPECTOR, CENTRAL)).applied
    assert world.account(ALICE).flags == 0


@pytest.mark.parametrize("first", [ACTS[0], ACTS[2], ACTS[4]], ids=lambda each: type(each).__name__)
def test_a_number_is_used_once_and_lifted_by_its_own_act_alone(first: OrderOperation) -> None:
    world = start()
    assert both(world, first).applied
    for act, lifting in ((Freeze, Unfreeze), (Arrest, Release)):
        for code in (Code.APPLIED if type(first) is act else Code.NO_ORDER, Code.NO_ORDER):
            assert both(world, lifting(ENFORCER, "1", LIFTED)).code == code
    for again in (ACTS[0], ACTS[2], ACTS[4]):
        assert both(world, again).code == Code.ORDER_EXISTS


# --- arrests ---


def test_arrested_money_stays_and_cannot_be_paid_settled_or_voided() -> None:
    world = start()
    receipt = both(world, Arrest(ENFORCER, "7/24", ALICE, BASIS, SOM, 600))
    assert receipt.applied
    assert money(world, ALICE) == (1_000, 600)
    hold_id = row_id(receipt.transaction_id, 0, 0)
    expected = Hold(SOM, ALICE, ENFORCER, 0, 600, b"", 0, world.ledger.height, None, "7/24")
    assert find_hold(world.ledger._state.records, hold_id) == expected
    assert world.pay(ALICE, SHOP, 401).code == Code.INSUFFICIENT
    assert world.pay(ALICE, SHOP, 400).applied
    assert world.run(SettleHold(ENFORCER, hold_id, 5, TREASURY, b"", False)).code == Code.UNDER_ORDER
    for by in (ENFORCER, ALICE):
        assert world.run(SettleHold(by, hold_id, 0, 0, b"", True)).code == Code.UNDER_ORDER
    world.block([], later_ms=400 * DAY_MS)  # no end
    assert money(world, ALICE) == (600, 600)
    assert both(world, Arrest(ENFORCER, "8", ALICE, BASIS, SOM, 1)).code == Code.INSUFFICIENT
    assert both(world, Release(ENFORCER, "7/24", LIFTED)).applied
    assert money(world, ALICE) == (600, 0)
    assert world.pay(ALICE, SHOP, 600).applied
    world.ledger.audit()


def test_an_arrest_takes_no_limit_of_the_day() -> None:
    world = start(alice=10_000_000)
    assert both(world, Arrest(ENFORCER, "1", ALICE, BASIS, SOM, 9_000_000)).applied  # six times what she may pay
    assert both(world, Release(ENFORCER, "1", LIFTED)).applied
    assert world.account(ALICE).out_today == 0
    assert world.pay(ALICE, SHOP, 1_500_000).applied


def test_a_release_frees_what_a_seizure_left() -> None:
    world = start()
    assert both(world, Arrest(ENFORCER, "a", ALICE, BASIS, SOM, 900)).applied
    assert both(world, Seize(ENFORCER, "s", ALICE, BASIS, SOM, 400, TREASURY)).applied
    assert money(world, ALICE) == (600, 600)
    assert both(world, Release(ENFORCER, "a", LIFTED)).applied
    assert money(world, ALICE) == (600, 0)
    world.ledger.audit()


@pytest.mark.parametrize("asset", [HALTED, DEAD])
def test_a_suspended_or_revoked_asset_can_be_arrested_and_seized(asset: int) -> None:
    issuer = HALTED_ISSUER if asset == HALTED else DEAD_ISSUER
    world = start({BOB: Override(holdings=((asset, 50, 0),)), issuer: Override(holdings=((asset, -50, 0),))})
    assert both(world, Arrest(ENFORCER, "1", BOB, BASIS, asset, 20)).applied
    assert both(world, Seize(ENFORCER, "2", BOB, BASIS, asset, 45, TREASURY)).applied
    assert money(world, BOB, asset) == (5, 5)
    assert world.balance(TREASURY, asset) == 45
    world.ledger.audit()


# --- seizures ---


def test_a_seizure_takes_free_money_then_holds_the_newest_first_then_arrests() -> None:
    world = start()
    assert both(world, Arrest(ENFORCER, "old", ALICE, BASIS, SOM, 100)).applied
    older, newer = hold(world, 200), hold(world, 300)
    assert both(world, Arrest(ENFORCER, "new", ALICE, BASIS, SOM, 150)).applied
    arrests = [order.hold for order in (find_order(world.reader, ENFORCER, each) for each in ("old", "new")) if order]

    def after(amount: int) -> list[int]:
        """Return the free money and what is left of the holds after one more seizure."""
        assert both(world, Seize(ENFORCER, f"s{amount}", ALICE, BASIS, SOM, amount, TREASURY)).applied
        world.ledger.audit()
        held = [left(world, each) for each in (newer, older, arrests[1], arrests[0])]
        assert money(world, ALICE)[1] == sum(held)
        return [world.account(ALICE).available(SOM), *held]

    assert after(249) == [1, 300, 200, 150, 100]
    assert after(2) == [0, 299, 200, 150, 100]
    assert after(300) == [0, 0, 199, 150, 100]
    assert after(200) == [0, 0, 0, 149, 100]
    assert after(150) == [0, 0, 0, 0, 99]
    assert both(world, Seize(ENFORCER, "all", ALICE, BASIS, SOM, 100, TREASURY)).code == Code.INSUFFICIENT
    assert after(99) == [0, 0, 0, 0, 0]
    assert world.balance(TREASURY) == 1_000
    for number in ("old", "new"):  # the arrests stand until they are released, with nothing left of them
        assert both(world, Release(ENFORCER, number, LIFTED)).applied
    world.ledger.audit()
    settle = SettleHold(SHOP, newer, 1, 0, b"", False)
    assert world.run(settle).code == Code.NO_HOLD


def test_holds_of_one_block_go_the_greatest_id_first() -> None:
    world = start()
    legs = tuple((SHOP, 100, b"") for _ in range(5))
    receipt = world.run(MakeHold(SOM, ALICE, legs, SHOP, world.time_ms + DAY_MS, ANYTHING))
    ids = sorted((row_id(receipt.transaction_id, 0, leg) for leg in range(5)), reverse=True)
    assert both(world, Seize(ENFORCER, "1", ALICE, BASIS, SOM, 750, TREASURY)).applied
    assert [left(world, each) for each in ids] == [0, 0, 50, 100, 100]


def test_nothing_of_the_owners_vetoes_a_seizure() -> None:
    """Blocked both ways, in recovery, over the limits of a payment and of a day; the payee blocked too."""
    amount = 50_000_000
    issued: dict[int, Override] = {
        TREASURY: Override(holdings=((SOM, 5, 0),)),
        ISSUER: Override(holdings=((SOM, -amount - 5, 0),)),
    }
    world = start(issued, amount)
    assert world.run(
        Freeze(ENFORCER, "f", ALICE, BASIS, incoming=True), Freeze(ENFORCER, "t", TREASURY, BASIS, incoming=True)
    ).applied
    keys = ((b"k" * 32, 1),)
    assert world.run(RecoverAccount(BANK, ALICE, keys, 1)).applied
    assert world.account(ALICE).flags == OUT_BLOCKED | IN_BLOCKED | RECOVERING
    assert both(world, Seize(ENFORCER, "s", ALICE, BASIS, SOM, amount, TREASURY)).applied
    assert (money(world, ALICE), world.balance(TREASURY)) == ((0, 0), amount + 5)
    assert world.account(ALICE).out_today == 0
    world.ledger.audit()


def test_both_sides_of_a_seizure_find_its_number_in_their_statements() -> None:
    world = start()
    receipt = both(world, Seize(ENFORCER, "Иш №7", ALICE, BASIS, SOM, 400, TREASURY))
    place = (world.time_ms, world.ledger.height, receipt.transaction_id, 0, None, SOM)
    ref = "Иш №7".encode()
    assert tuple(decode_entry(world.entries[ALICE][-1])) == (*place, TREASURY, -400, 600, ref)
    assert tuple(decode_entry(world.entries[TREASURY][-1])) == (*place, ALICE, 400, 400, ref)


def test_a_seizure_looks_at_a_bounded_number_of_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.ledger.order.SEIZED_HOLDS_MAX", 3)
    world = start(alice=50)
    holds = [hold(world, 10) for _ in range(5)]
    assert both(world, Seize(ENFORCER, "1", ALICE, BASIS, SOM, 31, TREASURY)).code == Code.OPEN_HOLD
    assert both(world, Seize(ENFORCER, "1", ALICE, BASIS, SOM, 30, TREASURY)).applied
    assert [left(world, each) for each in holds] == [10, 10, 0, 0, 0]
    assert both(world, Seize(ENFORCER, "2", ALICE, BASIS, SOM, 20, TREASURY)).applied  # bit by bit
    assert money(world, ALICE) == (0, 0)


# --- closing ---


def test_an_account_under_an_order_is_not_closed() -> None:
    world = start(alice=10)
    assert both(world, Arrest(ENFORCER, "a", ALICE, BASIS, SOM, 10)).applied
    assert both(world, Seize(ENFORCER, "s", ALICE, BASIS, SOM, 10, TREASURY)).applied
    assert world.account(ALICE).holdings == ()
    assert world.run(CloseAccount(BANK, ALICE)).code == Code.UNDER_ORDER  # the arrest stands, with nothing left
    assert both(world, Release(ENFORCER, "a", LIFTED)).applied
    assert world.run(Freeze(ENFORCER, "f", ALICE, BASIS, incoming=False)).applied
    assert world.run(CloseAccount(BANK, ALICE)).code == Code.UNDER_ORDER
    assert both(world, Unfreeze(ENFORCER, "f", LIFTED)).applied
    assert world.run(CloseAccount(BANK, ALICE)).applied
    world.ledger.audit()


def test_an_enforcer_stays_open_because_it_alone_lifts_its_orders() -> None:
    assert World().run(CloseAccount(ENFORCER, ENFORCER)).code == Code.ROLE


def test_who_may_settle_or_be_paid_from_a_hold_is_not_closed() -> None:
    world = start()
    open_hold = hold(world, 10, by=CAROL)
    assert world.run(CloseAccount(OTHER_BANK, CAROL)).code == Code.OPEN_HOLD
    assert world.run(CloseAccount(BANK, SHOP)).code == Code.OPEN_HOLD
    assert world.run(SettleHold(CAROL, open_hold, 0, 0, b"", True)).applied
    assert world.run(CloseAccount(OTHER_BANK, CAROL)).applied
    assert world.run(CloseAccount(BANK, SHOP)).applied


# --- the log ---


def test_the_log_counts_every_order_and_tells_all_of_it() -> None:
    world = start()
    transactions, times = [], []
    for operation in (
        Freeze(ENFORCER, "a", ALICE, BASIS, incoming=True),
        Arrest(ENFORCER, "b", ALICE, BASIS, SOM, 30),
        Seize(ENFORCER, "c", ALICE, BASIS, SOM, 40, TREASURY),
    ):
        transactions.append(both(world, operation))
        times.append((world.time_ms, world.ledger.height, transactions[-1].transaction_id))
    assert both(world, Unfreeze(ENFORCER, "a", LIFTED)).applied
    lifted_ms = world.time_ms
    hold_id = row_id(transactions[1].transaction_id, 0, 0)
    log = dict(orders_of(world.reader, ENFORCER))
    assert log == {
        "a": Order(FREEZE, ALICE, BASIS, 0, 0, 0, True, b"", *times[0], lifted_ms, LIFTED),
        "b": Order(ARREST, ALICE, BASIS, SOM, 30, 0, False, hold_id, *times[1]),
        "c": Order(SEIZE, ALICE, BASIS, SOM, 40, TREASURY, False, b"", *times[2]),
    }
    assert list(standing(world.reader, ALICE)) == [(ENFORCER, "b")]
    assert list(orders_of(world.reader, INSPECTOR)) == []
    row = world.ledger.value(order_key(ENFORCER, "c"))
    assert row is not None
    assert decode_order(row) == log["c"]
    assert world.ledger.prove(order_key(ENFORCER, "c"))  # it lies in the state tree


def test_a_restart_finds_orders_and_holds() -> None:
    world = start()
    assert both(world, Freeze(ENFORCER, "f", ALICE, BASIS, incoming=False), ACTS[2]).applied
    world.ledger = world.reopened()
    assert world.ledger.audit()[SOM] == 1_000
    assert both(world, Unfreeze(ENFORCER, "f", LIFTED), Release(ENFORCER, "1", LIFTED)).applied
    assert (world.account(ALICE).flags, money(world, ALICE)) == (0, (1_000, 0))


# --- invariants ---


def flag_without_an_order(step: Step, operation: Freeze) -> None:
    account = step.state.require_account(operation.target)
    step.state.edit(account)
    account.profile = account.profile._replace(flags=OUT_BLOCKED)


def test_a_block_that_blocks_an_account_without_an_order_stops_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    world = start()
    monkeypatch.setitem(APPLY, Freeze, flag_without_an_order)
    with pytest.raises(InvariantViolation, match="not those of its freezes"):
        world.run(ACTS[0])


def spoilt(world: World, what: str) -> dict[bytes, bytes | None]:
    """Return rows that do not fit the others."""
    frozen, arrest = find_order(world.reader, ENFORCER, "f"), find_order(world.reader, ENFORCER, "a")
    assert frozen is not None
    assert arrest is not None
    match what:
        case "an arrest that the index has not":
            return {index_key((ENFORCER, "a"), arrest): None}
        case "an arrest that only the index has":
            return {index_key((ENFORCER, "x"), arrest): encode(ARREST)}
        case "a freeze that blocks less than it says":
            return {order_key(ENFORCER, "f"): encode_order(frozen._replace(incoming=True))}
        case "an arrest of less than its hold":
            return {order_key(ENFORCER, "a"): encode_order(arrest._replace(amount=4))}
        case "a freeze of nobody":
            lost = frozen._replace(target=NOT_THERE)
            return {order_key(ENFORCER, "z"): encode_order(lost), index_key((ENFORCER, "z"), lost): encode(FREEZE)}
        case _:
            hold_row = find_hold(world.ledger._state.records, arrest.hold)
            assert hold_row is not None
            return {HOLD + arrest.hold: encode_hold(hold_row._replace(order="f"))}


@pytest.mark.parametrize(
    ("what", "violation"),
    [
        ("an arrest that the index has not", "index of standing"),
        ("an arrest that only the index has", "index of standing"),
        ("a freeze that blocks less than it says", "not those of its freezes"),
        ("an arrest of less than its hold", "hold of an arrest"),
        ("a freeze of nobody", "of no account"),
        ("another arrest's hold", "hold of an arrest"),
    ],
)
def test_an_audit_finds_orders_that_do_not_fit(what: str, violation: str) -> None:
    world = start()
    freeze = Freeze(ENFORCER, "f", ALICE, BASIS, incoming=False)
    assert both(world, freeze, Arrest(ENFORCER, "a", ALICE, BASIS, SOM, 5)).applied
    world.ledger.audit()
    world.reader.store(spoilt(world, what))
    with pytest.raises(InvariantViolation, match=violation):
        world.ledger.audit()


# --- any sequence ---

PAYERS: Final = (ALICE, SHOP, TREASURY)
TARGETS: Final = (ALICE, SHOP, TREASURY, ISSUER, NOT_THERE)
NUMBERS: Final = tuple("12345678")
AMOUNTS: Final = st.sampled_from((1, 7, 50, 100, 400))
NAME: Final = st.sampled_from(NUMBERS)
TARGET: Final = st.sampled_from((*PAYERS, *TARGETS))
NEW_KEYS: Final = ((b"k" * 32, 1),)
ACT: Final = st.one_of(
    st.builds(Freeze, st.just(ENFORCER), NAME, TARGET, st.just(BASIS), st.booleans()),
    st.builds(Unfreeze, st.just(ENFORCER), NAME, st.just(LIFTED)),
    st.builds(Arrest, st.just(ENFORCER), NAME, TARGET, st.just(BASIS), st.just(int(SOM)), AMOUNTS),
    st.builds(Release, st.just(ENFORCER), NAME, st.just(LIFTED)),
    st.builds(
        Seize, st.just(ENFORCER), NAME, TARGET, st.just(BASIS), st.just(int(SOM)), AMOUNTS,
        st.sampled_from((TREASURY, BANK)),
    ),
    st.builds(
        Pay, st.just(int(SOM)), st.sampled_from(PAYERS), st.tuples(st.tuples(TARGET, AMOUNTS, st.just(b""))),
        st.booleans(), st.just(False),
    ),
    st.builds(
        MakeHold, st.just(int(SOM)), st.sampled_from(PAYERS),
        st.lists(st.tuples(st.just(int(BANK)), AMOUNTS, st.just(b"")), min_size=1, max_size=3).map(tuple),
        st.just(int(BANK)), st.just(0), st.just(ANYTHING),
    ),
    st.builds(
        SettleHold, st.just(BANK), st.binary(min_size=1, max_size=1), AMOUNTS, st.just(0), st.just(b""), st.booleans()
    ),
    st.builds(RecoverAccount, st.just(BANK), st.sampled_from((ALICE, SHOP)), st.just(NEW_KEYS), st.just(1)),
    st.builds(CancelRecovery, st.sampled_from((ALICE, SHOP))),
    st.builds(MoveAccount, st.just(ALICE), st.sampled_from((BANK, OTHER_BANK))),
    st.builds(CloseAccount, st.just(BANK), st.just(SHOP)),
)  # fmt: skip
EVERYBODY: Final = (ENFORCER, CENTRAL, BANK, OTHER_BANK, ALICE, SHOP, TREASURY)
LASTING: Final = frozenset(b"aspherkytGPBYEF")  # tables that only operations write


def resolved(world: World, operation: Operation) -> Operation:
    """Put in what only a run knows: times, ids of open holds."""
    match operation:
        case MakeHold():
            return operation._replace(until_ms=world.time_ms + DAY_MS)
        case SettleHold():
            holds = sorted(key[1:] for key in world.reader.rows if key[:1] == HOLD) or [bytes(16)]
            return operation._replace(hold=holds[operation.hold[0] % len(holds)])
        case _:
            return operation


def lasting(world: World) -> dict[bytes, bytes]:
    return {key: row for key, row in world.reader.rows.items() if key[0] in LASTING}


@settings(max_examples=60)
@given(st.lists(st.lists(ACT, min_size=1, max_size=3), min_size=10, max_size=20))
def test_whatever_is_ordered_money_is_kept_and_what_fails_leaves_nothing(acts: list[list[Operation]]) -> None:
    shares: dict[int, Override] = {number: Override(holdings=((SOM, 1_000, 0),)) for number in PAYERS}
    world = World({**shares, ISSUER: Override(holdings=((SOM, -3_000, 0),))})
    for operations in acts:
        transaction = world.transaction([resolved(world, each) for each in operations], EVERYBODY)
        before, entries = lasting(world), {number: len(each) for number, each in world.entries.items()}
        foretold = world.ledger.simulate(transaction, world.time_ms + 1_000)
        receipt = world.block([transaction]).receipts[0]
        assert receipt == foretold
        assert receipt.consumed
        if not receipt.applied:
            assert lasting(world) == before
            assert {number: len(each) for number, each in world.entries.items()} == entries
        assert world.ledger.audit()[SOM] == -world.balance(ISSUER)
        assert world.reopened().root == world.ledger.root
