"""The operation hold: money that is promised, every reason to refuse it, and what becomes of it in the end."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.encoding import encode
from node.ledger.account import CLOSED, IN_BLOCKED, OUT_BLOCKED, RECOVERING, SOM
from node.ledger.account_ops import CloseAccount
from node.ledger.commitment import verify_proof
from node.ledger.errors import Code, InvariantViolation, Refused
from node.ledger.execute import Ledger
from node.ledger.hold import MakeHold
from node.ledger.holds import ENDED_MAX, HOLD, Condition, Hold, decode_hold, find_hold, holds_of_payer, row_id
from node.ledger.operations import operation_value
from node.ledger.pay import Pay
from node.ledger.records import Records, after
from node.ledger.settle import SettleHold
from node.ledger.transaction import Transaction, decode_transaction
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
    DEVICE,
    HALTED,
    HALTED_ISSUER,
    ISSUER,
    KGST_ISSUER,
    MINUTE_MS,
    NOBODY,
    PARAMETERS,
    SHOP,
    START_MS,
    Override,
    Rows,
    World,
)

FREE = Condition(b"", (), 0, "", "", revocable=False)
SECRET = b"a swap's secret"
LOCKED = FREE._replace(hash=sha256(SECRET).digest())
HOUR_MS = 60 * MINUTE_MS
SOON = START_MS + HOUR_MS


def hold(
    *legs: tuple[int, int, bytes],
    payer: int = ALICE,
    to: int = 0,
    asset: int = SOM,
    until_ms: int = SOON,
    condition: Condition = FREE,
    **terms: Any,
) -> MakeHold:
    """Return Alice's promise: of 100 tyiyn that Bob may settle within the hour, if nothing else is said."""
    return MakeHold(asset, payer, legs or ((BOB, 100, b"ref"),), to, until_ms, condition._replace(**terms))


def funded(overrides: dict[int, Override] | None = None, alice: int = 50_000) -> World:
    """Return a world where Alice has money, and the bank 1,000 som."""
    money = {
        ISSUER: Override(holdings=((SOM, -100_000 - alice, 0),)),
        BANK: Override(holdings=((SOM, 100_000, 0),)),
        ALICE: Override(holdings=((SOM, alice, 0),)),
    }
    return World(money | (overrides or {}), PARAMETERS)


def ids_of(transaction: Transaction, op: int = 0) -> list[bytes]:
    operation = transaction.operations[op]
    assert isinstance(operation, MakeHold)
    return [row_id(transaction.id, op, leg) for leg in range(len(operation.legs))]


def make(world: World, *operations: MakeHold) -> list[bytes]:
    """Make the holds, and return the ids of the first operation's."""
    transaction = world.transaction(operations)
    receipt = world.block([transaction]).receipts[0]
    assert receipt.applied, receipt
    return ids_of(transaction)


def read(world: World, hold_id: bytes) -> Hold | None:
    return find_hold(Records(world.reader), hold_id)


def held(world: World, number: int = ALICE, asset: int = SOM) -> tuple[int, int]:
    """Return (balance, held)."""
    return world.account(number).holding(asset)


def refused(world: World, *operations: MakeHold) -> tuple[Code, int | None]:
    """Return (code, leg) of a receipt, after which nothing is as before but the id is used up."""
    before = world.ledger.account(ALICE)
    receipt = world.run(*operations)
    assert world.ledger.account(ALICE) == before
    assert list(world.reader.scan(HOLD, after(HOLD))) == []
    return Code(receipt.code), receipt.leg


# --- making one ---


def test_a_hold_leaves_the_money_where_it_is_and_keeps_it_for_somebody() -> None:
    world = funded()
    (hold_id,) = make(world, hold((BOB, 100, b"rent"), to=SHOP, revocable=True))
    assert held(world) == (50_000, 100)
    condition = FREE._replace(revocable=True)
    assert read(world, hold_id) == Hold(SOM, ALICE, BOB, SHOP, 100, b"rent", SOON, 1, condition)
    assert world.entries == {}  # no balance has changed
    assert world.pay(ALICE, BOB, 49_901).code == Code.INSUFFICIENT
    assert world.pay(ALICE, BOB, 49_900).applied
    assert held(world) == (100, 100)
    world.ledger.audit()


def test_a_hold_is_proven_against_the_root_and_survives_a_restart() -> None:
    world = funded()
    (hold_id,) = make(world, hold())
    row = world.ledger.value(HOLD + hold_id)
    assert row is not None
    assert decode_hold(row).left == 100
    assert verify_proof(world.ledger.state_tree_root, HOLD + hold_id, row, world.ledger.prove(HOLD + hold_id))
    world.ledger = world.reopened()
    assert world.run(SettleHold(BOB, hold_id, 100, BOB, b"", close=False)).applied
    assert world.ledger.value(HOLD + hold_id) is None
    assert verify_proof(world.ledger.state_tree_root, HOLD + hold_id, None, world.ledger.prove(HOLD + hold_id))


def test_the_id_of_a_hold_is_a_hash_that_anybody_can_work_out() -> None:
    digest = sha256(b"som-row-1" + bytes(range(32)) + b"\x00\x02" + b"\x00\x00\x00\x03").digest()
    assert row_id(bytes(range(32)), 2, 3) == digest[:16]


def test_each_leg_is_a_hold_of_its_own_and_two_operations_never_share_one() -> None:
    world = funded()
    vouchers = hold((BOB, 5, b"1"), (CAROL, 6, b"2"), (BOB, 7, b"3"))
    transaction = world.transaction([vouchers, vouchers])
    assert world.block([transaction]).receipts[0].applied
    ids = [*ids_of(transaction), *ids_of(transaction, 1)]
    assert len(set(ids)) == 6
    rows = [read(world, each) for each in ids]
    assert [(row.by, row.left, row.ref) for row in rows if row] == [*vouchers.legs, *vouchers.legs]
    assert held(world) == (50_000, 36)


def test_the_holds_of_a_payer_come_newest_block_first_then_by_id_downwards() -> None:
    world = funded()
    first = make(world, hold((BOB, 1, b""), (BOB, 2, b"")))
    second = make(world, hold((BOB, 3, b""), (BOB, 4, b"")))
    make(world, hold((BOB, 1, b""), payer=BANK))
    listed = [each for each, _ in holds_of_payer(Records(world.reader), ALICE, SOM)]
    assert listed == [*sorted(second, reverse=True), *sorted(first, reverse=True)]
    assert list(holds_of_payer(Records(world.reader), ALICE, 2)) == []


# --- reasons to refuse, in the order of the checks: each case breaks its rule and all that come after it ---

ORDER: list[tuple[Code, dict[str, Any], dict[int, Override]]] = [
    (Code.NO_ASSET, {"asset": 77}, {}),
    (Code.ISSUER_HOLD, {"payer": ISSUER}, {ISSUER: Override(OUT_BLOCKED, ((SOM, -150_000, 0),))}),
    (Code.PAYER_BLOCKED, {}, {ALICE: Override(OUT_BLOCKED | RECOVERING)}),
    (Code.PAYER_BLOCKED, {}, {ALICE: Override(CLOSED)}),
    (Code.RECOVERING, {"asset": HALTED}, {ALICE: Override(RECOVERING)}),
    (Code.ASSET_SUSPENDED, {"asset": HALTED}, {}),
    (Code.ASSET_REVOKED, {"asset": DEAD}, {}),
    (Code.UNTIL, {"until_ms": START_MS + 1_000}, {}),
    (Code.UNTIL, {"until_ms": START_MS + 1_001 + PARAMETERS.hold_max_ms}, {}),
    (Code.UNTIL, {"not_before_ms": SOON}, {}),
    (Code.NO_ACCOUNT, {"to": NOBODY}, {}),
    (Code.NO_ACCOUNT, {"to": CAROL}, {CAROL: Override(CLOSED)}),
    (Code.SAME_ACCOUNT, {"to": ALICE}, {}),
    (Code.FIELD, {"schema": "unheard-of", "subject": "x"}, {}),
]


@pytest.mark.parametrize(("code", "terms", "overrides"), ORDER)
def test_the_terms_are_judged_in_one_order(code: Code, terms: dict[str, Any], overrides: dict[int, Override]) -> None:
    faults: dict[str, Any] = {"schema": "unheard-of", "subject": "x"}
    if code not in (Code.NO_ACCOUNT, Code.SAME_ACCOUNT, Code.FIELD):
        faults["to"] = NOBODY
        if code != Code.UNTIL:
            faults["until_ms"] = 1
    world = funded(overrides)
    receipt = world.run(hold((NOBODY, 10**9, b""), **(faults | terms)))
    assert (receipt.code, receipt.leg) == (code, None)
    assert list(world.reader.scan(HOLD, after(HOLD))) == []


@pytest.mark.parametrize(
    ("legs", "refusal"),
    [
        (((BOB, 1, b""), (NOBODY, 10**9, b"")), (Code.NO_ACCOUNT, 1)),
        (((BOB, 1, b""), (CAROL, 10**9, b"")), (Code.NO_ACCOUNT, 1)),
        (((BOB, 50_001, b""),), (Code.INSUFFICIENT, 0)),
        (((BOB, 30_000, b""), (BOB, 20_000, b""), (BOB, 1, b"")), (Code.INSUFFICIENT, 2)),
        (((BOB, 50_001, b""), (NOBODY, 1, b"")), (Code.INSUFFICIENT, 0)),
    ],
)
def test_one_bad_leg_fails_all_and_is_named(legs: tuple[Any, ...], refusal: tuple[Code, int]) -> None:
    assert refused(funded({CAROL: Override(CLOSED)}), hold(*legs)) == refusal


def test_a_failed_transaction_leaves_no_hold_behind() -> None:
    world = funded()
    receipt = world.run(hold(), Pay(SOM, ALICE, ((NOBODY, 1, b""),)))
    assert (receipt.code, receipt.op) == (Code.NO_ACCOUNT, 1)
    assert held(world) == (50_000, 0)
    assert not [key for key in world.reader.rows if key[:1] in b"hEPBY"]
    assert world.run(hold((BOB, 50_000, b""))).applied


@pytest.mark.parametrize(("number", "code"), [(ISSUER, Code.ISSUER_HOLD), (KGST_ISSUER, Code.INSUFFICIENT)])
def test_only_the_issuer_of_the_asset_itself_cannot_hold(number: int, code: Code) -> None:
    assert funded().run(hold(payer=number)).code == code


def test_a_payer_who_cannot_receive_may_promise() -> None:
    world = funded({ALICE: Override(IN_BLOCKED, ((SOM, 50_000, 0),))})
    assert world.run(hold()).applied


def test_the_end_lies_ahead_and_not_beyond_the_parameter() -> None:
    world = funded()
    assert world.run(hold(until_ms=START_MS + 1_001)).applied
    assert world.run(hold(until_ms=START_MS + 2_000 + PARAMETERS.hold_max_ms)).applied
    assert world.set("hold_max_ms", MINUTE_MS).applied
    assert world.run(hold(until_ms=world.time_ms + 1_001 + MINUTE_MS)).code == Code.UNTIL
    assert world.run(hold(until_ms=world.time_ms + 1_000 + MINUTE_MS)).applied


# --- limits count when the money is promised ---


def test_a_promise_counts_against_the_limits_and_a_void_gives_nothing_back() -> None:
    world = funded(alice=9_000_000)
    assert refused(world, hold((BOB, 1_500_000, b""), (BOB, 1, b""))) == (Code.LIMIT_TX, 1)
    (hold_id,) = make(world, hold((BOB, 1_500_000, b"")))
    receipt = world.run(hold((BOB, 1_000_000, b"")), Pay(SOM, ALICE, ((CAROL, 500_001, b""),)))
    assert (receipt.code, receipt.op, receipt.leg) == (Code.LIMIT_TX, 1, 0)
    assert world.run(hold((BOB, 1_000_000, b"")), Pay(SOM, ALICE, ((CAROL, 500_000, b""),))).applied
    assert world.account(ALICE).out_today == 3_000_000
    assert world.run(hold((BOB, 1, b""))).code == Code.LIMIT_DAY
    assert world.run(SettleHold(BOB, hold_id, 0, 0, b"", close=True)).applied
    assert world.run(hold((BOB, 1, b""))).code == Code.LIMIT_DAY


def test_yesterdays_promise_is_settled_without_a_limit_of_today() -> None:
    world = funded(alice=9_000_000)
    (hold_id,) = make(world, hold((BOB, 1_500_000, b""), until_ms=START_MS + 3 * DAY_MS))
    world.block([], DAY_MS)
    assert world.run(hold((BOB, 1_500_000, b""), until_ms=START_MS + 3 * DAY_MS)).applied
    assert world.run(hold((BOB, 1_500_000, b""), until_ms=START_MS + 3 * DAY_MS)).applied
    assert world.run(SettleHold(BOB, hold_id, 1_500_000, BOB, b"", close=False)).applied
    assert (world.account(ALICE).out_today, world.balance(BOB)) == (3_000_000, 1_500_000)


def test_institutions_and_other_assets_have_no_limits() -> None:
    world = funded({HALTED_ISSUER: Override(holdings=((HALTED, -(10**12), 0),)),
                    BANK: Override(holdings=((SOM, 100_000, 0), (HALTED, 10**12, 0)))})  # fmt: skip
    assert world.run(hold((BOB, 100_000, b""), payer=BANK)).applied
    assert world.account(BANK).out_today == 0


def test_a_reserve_promises_only_what_it_does_not_back() -> None:
    world = World(
        {
            ISSUER: Override(holdings=((SOM, -1_000, 0),)),
            CENTS_RESERVE: Override(holdings=((SOM, 1_000, 0),)),
            CENTS_ISSUER: Override(holdings=((CENTS, -6, 0),)),
            ALICE: Override(holdings=((CENTS, 6, 0),)),
        }
    )
    receipt = world.run(hold((BOB, 400, b""), (BOB, 1, b""), payer=CENTS_RESERVE))
    assert (receipt.code, receipt.leg) == (Code.RESERVE_FLOOR, 1)
    both = [make(world, hold((BOB, 400, b""), payer=CENTS_RESERVE))[0] for _ in range(2)]
    assert world.run(SettleHold(BOB, both[0], 400, BOB, b"", close=False)).applied
    assert world.run(SettleHold(BOB, both[1], 1, BOB, b"", close=False)).code == Code.RESERVE_FLOOR
    assert world.run(Pay(CENTS, ALICE, ((CENTS_ISSUER, 1, b""),))).applied  # what it backs falls
    assert world.run(SettleHold(BOB, both[1], 100, BOB, b"", close=False)).applied
    world.ledger.audit()


# --- holds that end ---


def test_what_nobody_settles_is_free_again_at_the_end_of_the_block_that_reaches_its_end() -> None:
    world = funded()
    (hold_id,) = make(world, hold())
    world.block([], HOUR_MS - 1_001)
    assert held(world) == (50_000, 100)
    late = world.transaction([SettleHold(BOB, hold_id, 100, BOB, b"", close=False)])
    promised = world.transaction([Pay(SOM, ALICE, ((BOB, 50_000, b""),))])
    assert [each.code for each in world.block([late, promised], 1).receipts] == [Code.HOLD_EXPIRED, Code.INSUFFICIENT]
    assert held(world) == (50_000, 0)
    assert read(world, hold_id) is None
    assert not [key for key in world.reader.rows if key[:1] in b"hEPBY"]
    assert world.entries == {}
    assert world.run(SettleHold(BOB, hold_id, 1, BOB, b"", close=False)).code == Code.NO_HOLD


@pytest.mark.parametrize("restart", [False, True])
def test_at_most_a_thousand_end_in_a_block_the_oldest_end_first_then_by_id(restart: bool) -> None:
    world = funded()
    later = make(world, hold(*[(BOB, 1, b"")] * 700, until_ms=SOON + 1))
    sooner = make(world, hold(*[(BOB, 1, b"")] * 700))
    assert held(world) == (50_000, 1_400)
    world.block([], 2 * HOUR_MS)
    if restart:
        world.ledger = world.reopened()
    left = sorted(key[1:] for key, _ in world.reader.scan(HOLD, after(HOLD)))
    assert left == sorted(later)[ENDED_MAX - len(sooner) :]
    assert held(world) == (50_000, 400)
    waiting = world.run(SettleHold(BOB, left[0], 1, BOB, b"", close=False))  # its block releases the rest
    assert waiting.code == Code.HOLD_EXPIRED
    assert held(world) == (50_000, 0)
    world.block([])
    world.ledger.audit()
    assert world.run(hold(until_ms=world.time_ms + 1_500)).applied
    world.block([])
    assert held(world) == (50_000, 0)


def test_one_voided_in_the_block_that_would_release_it_is_released_once() -> None:
    world = funded()
    first, second = make(world, hold((BOB, 100, b""), (CAROL, 50, b"")))
    void = world.transaction([SettleHold(BOB, first, 0, 0, b"", close=True)], expires_ms=SOON + MINUTE_MS)
    assert world.block([void], HOUR_MS).receipts[0].applied
    assert held(world) == (50_000, 0)
    assert read(world, first) is read(world, second) is None


def test_one_voided_in_its_last_block_takes_no_place_among_the_thousand() -> None:
    world = funded()
    ids = sorted(make(world, hold(*[(BOB, 1, b"")] * (ENDED_MAX + 3))))
    voids = [SettleHold(BOB, each, 0, 0, b"", close=True) for each in ids[:2]]
    assert world.block([world.transaction(voids, expires_ms=SOON + 1)], SOON - world.time_ms).receipts[0].applied
    assert [key[1:] for key, _ in world.reader.scan(HOLD, after(HOLD))] == ids[-1:]
    assert held(world) == (50_000, 1)


def release(ask: Callable[[World], None]) -> tuple[bytes, int]:
    """Let 90 holds end in one block, in whose pauses somebody asks; return its root and the number of pauses."""
    world = funded()
    make(world, hold(*[(BOB, 1, b"")] * 90))
    world.time_ms += HOUR_MS
    world.ledger.begin(2, world.time_ms, world.version)
    pauses = 0
    for _ in world.ledger.finishing():
        ask(world)
        pauses += 1
    world.store(world.ledger.finish())
    assert held(world) == (50_000, 0)
    world.ledger.audit()
    return world.ledger.root, pauses


def test_while_holds_are_released_readers_see_the_block_before_and_anybody_may_simulate() -> None:
    def ask(world: World) -> None:
        asked = hold(*[(CAROL, 1, b"")] * 70, until_ms=SOON + DAY_MS)
        transaction = world.transaction([asked], expires_ms=world.time_ms + 1, salt=7)
        assert world.ledger.simulate(transaction, world.time_ms).applied
        assert held(world) == (50_000, 90)

    root, pauses = release(ask)
    assert root == release(lambda world: None)[0]
    assert pauses > 5


# --- named by a hold ---


@pytest.mark.parametrize(("by", "to"), [(CAROL, 0), (BOB, CAROL)])
def test_who_is_named_by_a_hold_can_not_be_closed_but_can_void_it(by: int, to: int) -> None:
    world = funded()
    (hold_id,) = make(world, hold((by, 5, b""), to=to))
    assert world.run(CloseAccount(CAROL, CAROL)).code == Code.OPEN_HOLD
    receipt = world.run(SettleHold(CAROL, hold_id, 0, 0, b"", close=True), CloseAccount(CAROL, CAROL))
    assert receipt.applied
    assert held(world) == (50_000, 0)


# --- shape: what never enters a batch ---

SIGNED = (0, b"k" * 32, b"s" * 64)
SHAPE: tuple[Any, ...] = (2, SOM, ALICE, ((BOB, 5, b"r"), (BOB, 6, b"")), SHOP, SOON, LOCKED)


def shape_refusal(**changed: Any) -> tuple[Code, int | None] | None:
    """Return why a hold with other values is refused, or None. Names are those of its fields and its condition's."""
    fields = dict(zip(MakeHold._fields, SHAPE[1:], strict=True))
    condition = dict(zip(Condition._fields, LOCKED, strict=True))
    for name, value in changed.items():
        (condition if name in condition else fields)[name] = value
    if "condition" not in changed:
        fields["condition"] = tuple(condition.values())
    body = encode((1, 417, START_MS, 1, (ALICE,), ((2, *fields.values()),)))
    try:
        decode_transaction(encode((body, (SIGNED,))), bytes(32))
    except Refused as refusal:
        return refusal.code, refusal.leg
    return None


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, None),
        ({"asset": 65_536}, (Code.MALFORMED, None)),
        ({"payer": BOB}, (Code.NOT_SIGNED, None)),
        ({"legs": ()}, (Code.LEGS, None)),
        ({"legs": ((BOB, 1, b""),) * 4_096}, None),
        ({"legs": ((BOB, 1, b""),) * 4_097}, (Code.LEGS, None)),
        ({"legs": ((BOB, 1, b""), (BOB, 0, b""))}, (Code.AMOUNT, 1)),
        ({"legs": ((BOB, 2**63, b""),)}, (Code.AMOUNT, 0)),
        ({"legs": ((BOB, 1, b"r" * 36),)}, (Code.MALFORMED, 0)),
        ({"legs": ((10**16, 1, b""),)}, (Code.MALFORMED, 0)),
        ({"legs": ((BOB, 1),)}, (Code.MALFORMED, None)),
        ({"legs": ((0, 1, b""),)}, None),
        ({"legs": ((BOB, 1, b""), (0, 1, b"")), "to": 0}, (Code.FIELD, 1)),
        ({"legs": ((BOB, 1, b""), (0, 1, b"")), "hash": b""}, (Code.FIELD, 1)),
        ({"to": 0, "hash": b""}, None),
        ({"to": 10**16}, (Code.MALFORMED, None)),
        ({"until_ms": -1}, (Code.MALFORMED, None)),
        ({"until_ms": None}, (Code.MALFORMED, None)),
        ({"condition": None}, (Code.MALFORMED, None)),
        ({"condition": tuple(LOCKED)[:5]}, (Code.MALFORMED, None)),
        ({"hash": b"h" * 31}, (Code.MALFORMED, None)),
        ({"hash": b"h" * 33}, (Code.MALFORMED, None)),
        ({"hash": 0}, (Code.MALFORMED, None)),
        ({"categories": tuple(range(1, 17))}, None),
        ({"categories": tuple(range(1, 18))}, (Code.MALFORMED, None)),
        ({"categories": (0,)}, (Code.MALFORMED, None)),
        ({"categories": (10_000,)}, (Code.MALFORMED, None)),
        ({"categories": (5, 5)}, (Code.MALFORMED, None)),
        ({"categories": (6, 5)}, (Code.MALFORMED, None)),
        ({"not_before_ms": -1}, (Code.MALFORMED, None)),
        ({"schema": "delivered"}, (Code.FIELD, None)),
        ({"subject": "contract 7"}, (Code.FIELD, None)),
        ({"schema": "delivered", "subject": "s" * 64}, None),
        ({"schema": "delivered", "subject": "s" * 65}, (Code.MALFORMED, None)),
        ({"schema": "delivered", "subject": "a\nb"}, (Code.MALFORMED, None)),
        ({"schema": "Delivered", "subject": "s"}, (Code.MALFORMED, None)),
        ({"schema": "d" * 33, "subject": "s"}, (Code.MALFORMED, None)),
        ({"schema": 0, "subject": 0}, (Code.MALFORMED, None)),
        ({"revocable": 1}, (Code.MALFORMED, None)),
    ],
)
def test_a_hold_of_the_wrong_shape_is_refused_before_it_enters_a_batch(
    changed: dict[str, Any], expected: tuple[Code, int | None] | None
) -> None:
    assert shape_refusal(**changed) == expected


def test_the_bytes_of_a_hold_and_of_a_settlement_are_the_same_for_ever() -> None:
    number = bytes((0xCF,)) + int(ALICE).to_bytes(8, "big")
    condition = b"\x96\xc4\x00\x91\xcd\x15\x23\x05\xa9delivered\xa17\xc3"
    made = b"\x97\x02\x01" + number + b"\x91\x93" + number + b"\x64\xc4\x01r" + b"\x00\xcd\x03\xe8" + condition
    promise = MakeHold(SOM, ALICE, ((ALICE, 100, b"r"),), 0, 1_000, Condition(b"", (5411,), 5, "delivered", "7", True))
    assert encode(operation_value(promise)) == made
    settled = b"\x97\x03" + number + b"\xc4\x10" + b"h" * 16 + b"\x64" + number + b"\xc4\x01s" + b"\xc2"
    settlement = SettleHold(ALICE, b"h" * 16, 100, ALICE, b"s", close=False)
    assert encode(operation_value(settlement)) == settled


def test_legs_of_pays_and_holds_share_the_bound_of_a_transaction() -> None:
    world = funded()
    many = hold(*[(BOB, 1, b"")] * 4_095)
    assert world.run(many, Pay(SOM, ALICE, ((BOB, 1, b""),))).applied
    with pytest.raises(Refused) as refusal:
        world.transaction([many, Pay(SOM, ALICE, ((BOB, 1, b""), (CAROL, 1, b"")))])
    assert (refusal.value.code, refusal.value.op) == (Code.LEGS, 1)


# --- the door ---


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([hold()], None),
        ([hold(asset=77)], Code.NO_ASSET),
        ([hold(payer=ISSUER)], Code.ISSUER_HOLD),
        ([hold(payer=CAROL)], Code.PAYER_BLOCKED),
        ([hold(until_ms=START_MS)], Code.UNTIL),
        ([hold((BOB, 49_999, b""), (BOB, 2, b""))], Code.INSUFFICIENT),
        ([hold(to=NOBODY)], Code.NO_ACCOUNT),
        ([hold((NOBODY, 1, b""))], Code.NO_ACCOUNT),
        ([hold((0, 1, b""), to=BOB, condition=LOCKED)], None),
        ([Pay(SOM, BANK, ((ALICE, 100, b""),)), hold((BOB, 50_100, b""))], None),
        ([SettleHold(BOB, bytes(16), 1, BOB, b"", close=False)], Code.NO_HOLD),
    ],
)
def test_admission_keeps_out_what_cannot_succeed(operations: list[Any], code: Code | None) -> None:
    world = funded({CAROL: Override(CLOSED)})
    transaction = world.transaction(operations)
    if code is None:
        world.ledger.admit(transaction, world.time_ms)
    else:
        with pytest.raises(Refused) as refusal:
            world.ledger.admit(transaction, world.time_ms)
        assert (refusal.value.code, refusal.value.op) == (code, 0)
    receipt = world.block([transaction]).receipts[0]
    assert receipt.code == (code or 0)


def test_admission_of_a_settle_looks_at_the_hold() -> None:
    world = funded()
    (hold_id,) = make(world, hold())

    def admitted(amount: int, by: int = BOB, now_ms: int = START_MS, close: bool = False) -> Code:
        settle = SettleHold(by, hold_id, amount, 0 if close else BOB, b"", close)
        try:
            world.ledger.admit(world.transaction([settle], expires_ms=now_ms + 1_000), now_ms)
        except Refused as refusal:
            return refusal.code
        return Code.APPLIED

    assert admitted(100) == Code.APPLIED
    assert admitted(101) == Code.EXCEEDS_HOLD
    assert admitted(100, CAROL) == Code.ROLE
    assert admitted(100, now_ms=SOON) == Code.HOLD_EXPIRED
    assert admitted(0, CAROL, close=True) == Code.APPLIED  # who may void it is left to execution


# --- invariants ---


def damaged(change: Callable[[dict[bytes, bytes], bytes], None]) -> World:
    world = funded()
    (hold_id,) = make(world, hold((BOB, 100, b""), to=CAROL))
    world.ledger.audit()
    change(world.reader.rows, hold_id)
    return world


def other_amount(rows: dict[bytes, bytes], hold_id: bytes) -> None:
    rows[HOLD + hold_id] = encode(decode_hold(rows[HOLD + hold_id])._replace(left=99))


def other_payer(rows: dict[bytes, bytes], hold_id: bytes) -> None:
    rows[HOLD + hold_id] = encode(decode_hold(rows[HOLD + hold_id])._replace(payer=BANK))


def half_an_arrest(rows: dict[bytes, bytes], hold_id: bytes) -> None:
    rows[HOLD + hold_id] = encode(decode_hold(rows[HOLD + hold_id])._replace(order="7"))


def lost_from(table: bytes) -> Callable[[dict[bytes, bytes], bytes], None]:
    def lose(rows: dict[bytes, bytes], _: bytes) -> None:
        (key,) = [key for key in rows if key[:1] == table]
        del rows[key]

    return lose


def extra_in(table: bytes) -> Callable[[dict[bytes, bytes], bytes], None]:
    def add(rows: dict[bytes, bytes], _: bytes) -> None:
        (key,) = [key for key in rows if key[:1] == table]
        rows[key[:-1] + bytes((key[-1] ^ 1,))] = b""

    return add


def moved_in(table: bytes) -> Callable[[dict[bytes, bytes], bytes], None]:
    def move(rows: dict[bytes, bytes], hold_id: bytes) -> None:
        (key,) = [key for key in rows if key[:1] == table]
        extra_in(table)(rows, hold_id)
        del rows[key]

    return move


def of_nobody(rows: dict[bytes, bytes], hold_id: bytes) -> None:
    """Add a hold with its index of a payer who is not there."""
    rows[HOLD + bytes(16)] = encode(decode_hold(rows[HOLD + hold_id])._replace(payer=NOBODY, by=0, to=0))
    (key,) = [key for key in rows if key[:1] == b"P"]
    rows[b"P" + NOBODY.to_bytes(8, "big") + key[9:19] + b"\xff" * 16] = b""
    (end,) = [key for key in rows if key[:1] == b"E"]
    rows[end[:9] + bytes(16)] = b""


@pytest.mark.parametrize(
    "change",
    [
        other_amount,
        other_payer,
        half_an_arrest,
        of_nobody,
        *(lost_from(table) for table in (b"h", b"E", b"P", b"B", b"Y")),
        *(extra_in(table) for table in (b"E", b"P", b"B", b"Y")),
        *(moved_in(table) for table in (b"E", b"P", b"B", b"Y")),
    ],
)
def test_an_audit_finds_a_hold_that_is_not_what_accounts_and_indexes_say(
    change: Callable[[dict[bytes, bytes], bytes], None],
) -> None:
    with pytest.raises(InvariantViolation):
        damaged(change).ledger.audit()


# --- conservation, undo, and one result whatever the memory ---

PEOPLE = (ALICE, BOB, CAROL, SHOP, DEVICE)
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["hold", "settle", "void", "pay"]),
        st.sampled_from(PEOPLE),
        st.sampled_from([*PEOPLE, NOBODY]),
        st.sampled_from([1, 700, 40_000]),
        st.integers(0, 30),
    ),
    max_size=4,
)


def act(world: World, made: list[bytes], what: str, one: int, other: int, amount: int, pick: int) -> Any:
    hold_id = made[pick % len(made)] if made else bytes(16)
    match what:
        case "hold":
            until_ms = world.time_ms + 1_000 + pick * 500
            return hold((other, amount, b"r"), (one, 1, b""), payer=one, until_ms=until_ms, revocable=pick % 2 > 0)
        case "settle":
            return SettleHold(other, hold_id, amount, one, b"", pick % 2 > 0)
        case "void":
            return SettleHold(other, hold_id, 0, 0, b"", close=True)
        case _:
            return Pay(SOM, one, ((other, amount, b""),))


def money(reader: Rows) -> dict[bytes, bytes]:
    """Return accounts, holds and their indexes."""
    return {key: row for key, row in reader.rows.items() if key[:1] in b"ahEPBY"}


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS.filter(bool), min_size=1, max_size=12))
def test_whatever_comes_what_is_held_is_the_sum_of_the_holds_and_failures_leave_nothing(draws: list[Any]) -> None:
    world, other = funded(), funded()
    other.ledger = other.reopened(accounts_in_memory=0)
    made: list[bytes] = []
    for draw in draws:
        operations = [act(world, made, *each) for each in draw]
        accounts = tuple(dict.fromkeys(actor for operation in operations for actor in operation.actors))
        if NOBODY in accounts:
            continue
        twin = Rows(world.reader.rows)
        transaction = world.transaction(operations, expires_ms=world.time_ms + 2_000)
        receipt = world.block([transaction]).receipts[0]
        if receipt.applied:
            made += [each for op, operation in enumerate(operations) if isinstance(operation, MakeHold)
                     for each in ids_of(transaction, op)]  # fmt: skip
        else:
            twin.store(
                Ledger(twin, world.genesis).execute(world.ledger.height, world.time_ms, world.version, []).changes
            )
            assert money(twin) == money(world.reader)
        other.block([transaction])
        other.ledger = other.reopened()
        assert other.ledger.root == world.ledger.root
        world.ledger.audit()
    world.block([], DAY_MS)
    assert not [key for key in world.reader.rows if key[:1] in b"hEPBY"]
    assert sum(world.balance(number) for number in PEOPLE) == 50_000
