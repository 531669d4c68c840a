"""The operation settle: paying from a hold and voiding it, every reason to refuse, and what holds are for."""

from hashlib import sha256
from typing import Any

import pytest

from consensus.encoding import encode
from node.ledger.account import CLOSED, SOM, Kind, account_number
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount
from node.ledger.asset import SetAssetStatus
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.errors import Code, Refused
from node.ledger.holds import row_id
from node.ledger.order import Arrest, Freeze
from node.ledger.pay import Pay
from node.ledger.recovery import RecoverAccount
from node.ledger.settle import SettleHold
from node.ledger.statement import decode_entry, statement_head
from node.ledger.transaction import Transaction, decode_transaction
from tests.ledger_world import (
    ALICE,
    AUDITOR,
    BANK,
    BOB,
    CAROL,
    CENTRAL,
    CENTS,
    CENTS_ISSUER,
    CENTS_RESERVE,
    DAY_MS,
    DEVICE,
    ENFORCER,
    INSPECTOR,
    ISSUER,
    MINUTE_MS,
    NOBODY,
    PARAMETERS,
    REGISTRAR,
    SHOP,
    START_MS,
    TREASURY,
    Override,
    World,
    keys_of,
)
from tests.test_ledger_hold import HOUR_MS, LOCKED, SECRET, SOON, funded, held, hold, make, read

BASIS = b"b" * 32
GROCERIES, BOOKS = 5411, 5942
LIBRARY = account_number(101, 77)  # a merchant of books


def settle(hold_id: bytes, amount: int = 100, **fields: Any) -> SettleHold:
    """Return Bob's settlement of all of it to himself, if nothing else is said."""
    return SettleHold(BOB, hold_id, amount, BOB, b"", close=False)._replace(**fields)


def with_cents() -> World:
    """Return a world where Alice has ten units, each backed by 100 tyiyn, beside her som."""
    return funded(
        {
            ISSUER: Override(holdings=((SOM, -151_000, 0),)),
            CENTS_RESERVE: Override(holdings=((SOM, 1_000, 0),)),
            CENTS_ISSUER: Override(holdings=((CENTS, -10, 0),)),
            ALICE: Override(holdings=((SOM, 50_000, 0), (CENTS, 10, 0))),
        }
    )


def void(hold_id: bytes, by: int = BOB) -> SettleHold:
    return SettleHold(by, hold_id, 0, 0, b"", close=True)


# --- paying ---


def test_a_settlement_pays_part_after_part_and_closes() -> None:
    world = funded()
    (hold_id,) = make(world, hold((BOB, 100, b"rent")))
    assert world.run(settle(hold_id, 30)).applied
    assert (held(world), world.balance(BOB)) == ((49_970, 70), 30)
    assert world.run(settle(hold_id, 71)).code == Code.EXCEEDS_HOLD
    assert world.run(settle(hold_id, 50, to=CAROL, close=True)).applied
    assert (held(world), world.balance(CAROL)) == ((49_920, 0), 50)
    assert read(world, hold_id) is None
    assert world.run(settle(hold_id, 1)).code == Code.NO_HOLD
    world.ledger.audit()


def test_a_hold_with_nothing_left_is_gone() -> None:
    world = funded()
    (hold_id,) = make(world, hold())
    receipt = world.run(settle(hold_id, 60), settle(hold_id, 40))
    assert receipt.applied
    assert not [key for key in world.reader.rows if key[:1] in b"hEPBY"]
    receipt = world.run(settle(hold_id, 1))
    assert (receipt.code, receipt.op, receipt.leg) == (Code.NO_HOLD, 0, None)


def test_payer_and_payee_get_an_entry_each_with_the_ref_of_the_hold() -> None:
    world = funded()
    make(world, hold((BOB, 7, b"other")))
    (hold_id,) = make(world, hold((BOB, 100, b"invoice 9")))
    transaction = world.transaction([settle(hold_id, 30, to=CAROL)])
    world.block([transaction])
    (paid,), (got,) = (list(map(decode_entry, world.entries[number])) for number in (ALICE, CAROL))
    assert BOB not in world.entries
    for entry in (paid, got):
        assert (entry.transaction_id, entry.op, entry.leg) == (transaction.id, 0, None)
        assert (entry.asset, entry.ref) == (SOM, b"invoice 9")
    assert (paid.counterparty, paid.amount, paid.balance) == (CAROL, -30, 49_970)
    assert (got.counterparty, got.amount, got.balance) == (ALICE, 30, 30)
    assert statement_head(world.entries[ALICE]) == world.account(ALICE).head


def test_a_failed_transaction_puts_the_hold_back() -> None:
    world = funded()
    (hold_id,) = make(world, hold())
    before = dict(world.reader.rows)
    receipt = world.run(settle(hold_id, 100), Pay(SOM, BOB, ((NOBODY, 1, b""),)))
    assert (receipt.code, receipt.op) == (Code.NO_ACCOUNT, 1)
    assert {key: row for key, row in before.items() if key[:1] in b"ahEPBY"}.items() <= world.reader.rows.items()
    assert world.run(settle(hold_id, 100)).applied


# --- reasons to refuse, in the order of the checks ---

# What is wrong with the hold, and with its settlement. Each row is tried with the faults of all rows below it.
RULES: list[tuple[Code, dict[str, Any], dict[str, Any]]] = [
    (Code.ROLE, {}, {"by": CAROL}),
    (Code.HOLD_EXPIRED, {"until_ms": START_MS + 1_500, "not_before_ms": 0}, {}),
    (Code.TOO_EARLY, {"not_before_ms": SOON - 1}, {}),
    (Code.SECRET, {}, {"secret": b"guess"}),
    (Code.NEEDS_ATTESTATION, {"schema": "delivered", "subject": "7"}, {}),
    (Code.EXCEEDS_HOLD, {}, {"amount": 101}),
    (Code.PAYEE, {"to": SHOP}, {"to": NOBODY}),
    (Code.NO_ACCOUNT, {}, {"to": NOBODY}),
]


@pytest.mark.parametrize("place", range(len(RULES)), ids=[row[0].name for row in RULES])
def test_the_terms_of_a_hold_are_judged_in_one_order(place: int) -> None:
    code = RULES[place][0]
    promise: dict[str, Any] = {}
    settlement: dict[str, Any] = {}
    for _, wrong_promise, wrong_settlement in reversed(RULES[place:]):
        promise |= wrong_promise
        settlement |= wrong_settlement
    world = funded()
    (hold_id,) = make(world, hold(**promise))
    frozen, receipt = world.block(
        [world.transaction([freeze(ALICE)]), world.transaction([settle(hold_id, **settlement)])]
    ).receipts
    assert (frozen.code, receipt.code, receipt.op, receipt.leg) == (0, code, 0, None)
    assert world.entries == {}


def freeze(target: int, incoming: bool = False) -> Freeze:
    return Freeze(ENFORCER, f"{target}-{incoming}", target, BASIS, incoming)


RECOVER = RecoverAccount(BANK, ALICE, ((b"k" * 32, 1),), 1)


@pytest.mark.parametrize(
    ("meanwhile", "code"),
    [
        ((freeze(ALICE), RECOVER, freeze(SHOP, incoming=True)), Code.PAYER_BLOCKED),
        ((RECOVER, freeze(SHOP, incoming=True)), Code.RECOVERING),
        ((freeze(SHOP, incoming=True),), Code.PAYEE_BLOCKED),
        ((CloseAccount(SHOP, SHOP),), Code.PAYEE_BLOCKED),
        ((freeze(SHOP), SetAssetStatus(REGISTRAR, CENTS, 2, BASIS)), Code.PURPOSE),
        ((SetAssetStatus(REGISTRAR, CENTS, 2, BASIS),), Code.PURPOSE),
    ],
)
def test_the_parties_are_judged_in_one_order(meanwhile: tuple[Any, ...], code: Code) -> None:
    world = with_cents()
    (hold_id,) = make(world, hold((BOB, 10, b""), asset=CENTS, categories=(BOOKS,)))
    for operation in meanwhile:
        assert world.run(operation).applied
    assert world.run(settle(hold_id, 10, to=SHOP)).code == code
    assert held(world, asset=CENTS) == (10, 10)
    world.ledger.audit()


def test_nobody_is_paid_from_his_own_hold() -> None:
    world = funded()
    (hold_id,) = make(world, hold((ALICE, 100, b""), categories=(BOOKS,)))
    assert world.run(settle(hold_id, by=ALICE, to=ALICE)).code == Code.SAME_ACCOUNT


def test_who_settles_need_not_be_free_to_pay() -> None:
    world = funded()
    (hold_id,) = make(world, hold())
    assert world.run(freeze(BOB, incoming=True)).applied
    assert world.run(settle(hold_id)).code == Code.PAYEE_BLOCKED
    assert world.run(settle(hold_id, to=CAROL)).applied


@pytest.mark.parametrize(
    ("named", "said", "code"),
    [(0, 0, Code.PAYEE), (CAROL, BOB, Code.PAYEE), (CAROL, 0, Code.APPLIED), (0, CAROL, Code.APPLIED),
     (CAROL, CAROL, Code.APPLIED)],
)  # fmt: skip
def test_the_payee_is_named_once_by_the_hold_or_by_who_settles_it(named: int, said: int, code: Code) -> None:
    world = funded()
    (hold_id,) = make(world, hold(to=named))
    assert world.run(settle(hold_id, to=said)).code == code
    assert world.balance(CAROL) == (0 if code else 100)


def test_a_settler_who_was_closed_has_no_role() -> None:
    world = funded({CAROL: Override(CLOSED)})
    (hold_id,) = make(world, hold((0, 100, b""), to=BOB, condition=LOCKED))
    assert world.run(settle(hold_id, by=CAROL, secret=SECRET)).code == Code.ROLE
    assert world.run(settle(bytes(16), by=CAROL)).code == Code.NO_HOLD
    assert world.run(void(hold_id, CAROL)).code == Code.ROLE


def test_nobody_settles_or_voids_an_arrest() -> None:
    world = funded()
    transaction = world.transaction([Arrest(ENFORCER, "12-34", ALICE, BASIS, SOM, 100)], (ENFORCER, CENTRAL))
    assert world.block([transaction]).receipts[0].applied
    (hold_id,) = [key[1:] for key in world.reader.rows if key[:1] == b"h"]
    for by in (ENFORCER, ALICE, BOB):
        assert world.run(settle(hold_id, by=by)).code == Code.UNDER_ORDER
        assert world.run(void(hold_id, by)).code == Code.UNDER_ORDER
    assert held(world) == (50_000, 100)


@pytest.mark.parametrize(("asset", "code"), [(SOM, Code.REDEEM_PAYER), (CENTS, Code.APPLIED)])
def test_a_settlement_to_the_issuer_redeems(asset: int, code: Code) -> None:
    world = with_cents()
    (hold_id,) = make(world, hold((BOB, 10, b""), asset=asset))
    issuer = ISSUER if asset == SOM else CENTS_ISSUER
    assert world.run(settle(hold_id, 10, to=issuer)).code == code
    assert world.ledger.supply(CENTS) == (0 if code == Code.APPLIED else 10)


@pytest.mark.parametrize("status", [2, 3])
def test_an_asset_that_was_halted_since_can_only_be_redeemed_from_a_hold(status: int) -> None:
    world = with_cents()
    first, second = make(world, hold((BOB, 5, b""), (BOB, 5, b""), asset=CENTS))
    assert world.run(SetAssetStatus(REGISTRAR, CENTS, status, BASIS)).applied
    assert world.run(settle(first, 5)).code == (Code.ASSET_SUSPENDED if status == 2 else Code.ASSET_REVOKED)
    assert world.run(settle(first, 5, to=CENTS_ISSUER)).applied
    assert world.run(void(second)).applied


def test_a_payee_gets_no_more_than_its_tier_allows() -> None:
    world = funded(
        {BOB: Override(holdings=((SOM, 9_999_950, 0),)), ISSUER: Override(holdings=((SOM, -10_149_950, 0),))}
    )
    (hold_id,) = make(world, hold())
    assert world.run(settle(hold_id, 51)).code == Code.LIMIT_BALANCE
    assert world.run(settle(hold_id, 50)).applied
    assert world.run(settle(hold_id, 50, to=TREASURY)).applied


# --- voiding ---


@pytest.mark.parametrize(
    ("by", "revocable", "ended", "code"),
    [
        (BOB, False, False, Code.APPLIED),
        (CAROL, False, False, Code.APPLIED),
        (ALICE, False, False, Code.ROLE),
        (ALICE, True, False, Code.APPLIED),
        (ALICE, False, True, Code.APPLIED),
        (SHOP, True, True, Code.ROLE),
        (BANK, True, False, Code.ROLE),
    ],
)
def test_who_voids_a_hold(by: int, revocable: bool, ended: bool, code: Code) -> None:
    world = funded()
    (hold_id,) = make(world, hold(to=CAROL, revocable=revocable, condition=LOCKED))
    transaction = world.transaction([void(hold_id, by)], expires_ms=SOON + MINUTE_MS - 1_000)
    later_ms = SOON - world.time_ms if ended else SOON - world.time_ms - 1
    assert world.block([transaction], later_ms).receipts[0].code == code
    if not ended:
        assert held(world) == (50_000, 0 if code == Code.APPLIED else 100)
    assert world.entries == {}


def test_money_comes_back_to_a_payer_who_cannot_receive() -> None:
    world = funded()
    first, _ = make(world, hold((BOB, 5, b""), (BOB, 6, b"")))
    assert world.run(freeze(ALICE, incoming=True)).applied
    assert world.run(RECOVER).applied
    assert world.run(void(first)).applied
    assert held(world) == (50_000, 6)
    world.block([], HOUR_MS)
    assert held(world) == (50_000, 0)
    world.ledger.audit()


# --- what holds are for ---


def test_a_swap_of_two_assets_happens_as_a_whole_or_not_at_all() -> None:
    world = with_cents()
    world.fund(BOB, amount=2_000)
    (cents,) = make(world, hold((0, 10, b"swap"), asset=CENTS, to=BOB, until_ms=SOON + HOUR_MS, condition=LOCKED))
    lock = LOCKED._replace(hash=read_hash(world, cents))
    (money,) = make(world, hold((0, 1_000, b"swap"), payer=BOB, to=ALICE, condition=lock))
    assert world.run(settle(money, 1_000, by=ALICE, to=0, secret=b"wrong")).code == Code.SECRET
    assert world.run(settle(money, 1_000, by=ALICE, to=0)).code == Code.SECRET
    taken = world.transaction([settle(money, 1_000, by=ALICE, to=0, secret=SECRET)])
    assert world.block([taken]).receipts[0].applied
    told = taken.operations[0]
    assert isinstance(told, SettleHold)  # Alice's secret is on the ledger now, for Bob to use in his turn
    assert world.run(settle(cents, 10, to=0, secret=told.secret)).applied
    assert (world.balance(ALICE), world.balance(BOB)) == (51_000, 1_000)
    assert (world.balance(ALICE, CENTS), world.balance(BOB, CENTS)) == (0, 10)
    assert held(world) == (51_000, 0)
    world.ledger.audit()


def read_hash(world: World, hold_id: bytes) -> bytes:
    found = read(world, hold_id)
    assert found is not None
    assert found.condition is not None
    return found.condition.hash


def test_a_swap_that_one_side_leaves_gives_both_their_money_back() -> None:
    world = with_cents()
    world.fund(BOB, amount=2_000)
    make(world, hold((0, 10, b""), asset=CENTS, to=BOB, until_ms=SOON + HOUR_MS, condition=LOCKED))
    make(world, hold((0, 1_000, b""), payer=BOB, to=ALICE, condition=LOCKED))
    world.block([], HOUR_MS)
    assert (held(world, BOB), held(world, ALICE, CENTS)) == ((2_000, 0), (10, 10))
    world.block([], HOUR_MS)
    assert held(world, ALICE, CENTS) == (10, 0)


@pytest.mark.parametrize("secret", [b"", b"s" * 64])
def test_a_secret_may_be_empty_or_long_and_a_hold_without_a_hash_takes_none(secret: bytes) -> None:
    world = funded()
    locked, free = make(world, hold(hash=sha256(secret).digest()))[0], make(world, hold())[0]
    assert world.run(settle(locked, secret=secret)).applied
    assert world.run(settle(free, secret=secret)).code == (Code.SECRET if secret else Code.APPLIED)


def test_a_voucher_for_food_buys_food() -> None:
    library = OpenAccount(BANK, LIBRARY, int(Kind.MERCHANT), 1, BOOKS, ((keys_of(LIBRARY)[0].public, 1),), 1, bytes(32))
    world = funded()
    assert world.run(library).applied
    (voucher,) = make(world, hold((BOB, 500, b"food"), payer=BANK, categories=(GROCERIES, 5_499), revocable=True))
    assert world.run(settle(voucher, 100, to=LIBRARY)).code == Code.PURPOSE
    assert world.run(settle(voucher, 100, to=CAROL)).code == Code.PURPOSE
    assert world.run(settle(voucher, 100)).code == Code.PURPOSE
    assert world.run(settle(voucher, 100, to=SHOP)).applied
    assert world.run(SetAccount(BANK, LIBRARY, 1, GROCERIES, bytes(32))).applied
    assert world.run(settle(voucher, 100, to=LIBRARY)).applied
    assert world.run(void(voucher, BANK)).applied  # the benefit is withdrawn
    assert (held(world, BANK), world.balance(SHOP), world.balance(LIBRARY)) == ((99_800, 0), 100, 100)


def test_budget_money_waits_for_an_attestation_that_is_valid() -> None:
    world = funded()
    (budget,) = make(world, hold((BOB, 500, b"7"), payer=BANK, schema="delivered", subject="contract 7"))

    def delivered(subject: str, until_ms: int = 0, revokes: bytes = b"") -> Attest:
        return Attest(AUDITOR, "delivered", subject, 1, START_MS, until_ms, bytes(32), revokes)

    assert world.run(delivered("contract 8")).applied
    assert world.run(settle(budget)).code == Code.NEEDS_ATTESTATION
    brief = world.transaction([delivered("contract 7", until_ms=world.time_ms + 3_000)])
    assert world.block([brief]).receipts[0].applied
    assert world.run(settle(budget)).applied
    assert world.run(settle(budget)).code == Code.NEEDS_ATTESTATION  # its own end has come
    first = row_id(brief.id, 0, 0)
    again = world.transaction([delivered("contract 7", revokes=first)])
    assert world.block([again]).receipts[0].applied
    assert world.run(settle(budget)).applied
    assert world.run(RevokeAttestation(INSPECTOR, row_id(again.id, 0, 0))).applied
    assert world.run(settle(budget)).code == Code.NEEDS_ATTESTATION
    assert held(world, BANK) == (99_800, 300)


def test_a_payment_of_tomorrow_is_not_settled_today() -> None:
    world = funded()
    tomorrow = START_MS + DAY_MS
    (hold_id,) = make(world, hold(not_before_ms=tomorrow, until_ms=tomorrow + 1))
    world.block([], tomorrow - world.time_ms - 1_001)
    assert world.run(settle(hold_id)).code == Code.TOO_EARLY
    assert world.run(settle(hold_id), later_ms=1).applied


def test_a_promise_is_kept_until_the_last_moment() -> None:
    world = funded()
    first, second = make(world, hold((BOB, 100, b""), (BOB, 100, b"")))
    in_time, late = (world.transaction([settle(each)], expires_ms=SOON + 1) for each in (first, second))
    assert world.block([in_time], SOON - world.time_ms - 1).receipts[0].applied
    assert world.block([late], 1).receipts[0].code == Code.HOLD_EXPIRED


# --- the device: paying without a network ---


def purse(amount: int = 1_000) -> tuple[World, bytes]:
    """Return a world where Alice has put money into her device for two days, and the id of that hold."""
    world = funded()
    return world, make(world, hold((DEVICE, amount, b"purse"), until_ms=START_MS + 2 * DAY_MS))[0]


def offline(world: World, hold_id: bytes, amount: int, to: int = SHOP, **fields: Any) -> Transaction:
    """Return what the device signs and the merchant keeps: it expires as late as an institution's may."""
    paying = settle(hold_id, amount, by=DEVICE, to=to, **fields)
    return world.transaction([paying], expires_ms=world.time_ms + PARAMETERS.window_institution_ms)


def test_a_merchant_sends_the_receipts_of_a_device_a_day_later() -> None:
    world, hold_id = purse()
    receipts = [offline(world, hold_id, amount) for amount in (100, 250)]
    world.block([], DAY_MS)
    for receipt in receipts:
        world.ledger.admit(receipt, world.time_ms)
    assert [each.code for each in world.block([*receipts, receipts[0]]).receipts] == [0, 0, Code.DUPLICATE]
    assert (held(world), world.balance(SHOP)) == ((49_650, 650), 350)
    early = world.transaction([settle(hold_id, 1, by=DEVICE)],
                              expires_ms=world.time_ms + 1_001 + PARAMETERS.window_institution_ms)  # fmt: skip
    assert world.block([early]).receipts[0].code == Code.EXPIRY_TOO_FAR


def test_a_device_that_spends_twice_spends_its_purse_and_no_more() -> None:
    world, hold_id = purse(1_000)
    receipts = [offline(world, hold_id, 400, to) for to in (SHOP, CAROL, BOB, SHOP)]
    world.block([], DAY_MS)
    codes = [world.block([receipt]).receipts[0].code for receipt in receipts]
    assert codes == [0, 0, Code.EXCEEDS_HOLD, Code.EXCEEDS_HOLD]
    assert (held(world), world.balance(SHOP), world.balance(CAROL)) == ((49_200, 200), 400, 400)


def test_a_device_gives_the_rest_back_and_a_lost_one_costs_the_purse_at_most() -> None:
    world, hold_id = purse(1_000)
    assert world.block([offline(world, hold_id, 400, close=True)]).receipts[0].applied
    assert held(world) == (49_600, 0)
    world, hold_id = purse(1_000)
    lost = offline(world, hold_id, 1_000, BOB)
    assert world.run(void(hold_id, ALICE)).code == Code.ROLE  # a merchant may have its receipt already
    world.block([], 2 * DAY_MS)
    assert held(world) == (50_000, 0)
    assert world.block([lost]).receipts[0].code == Code.NO_HOLD


def test_only_the_device_signs_for_its_purse() -> None:
    world, hold_id = purse()
    for by in (ALICE, SHOP, BANK):
        assert world.run(settle(hold_id, 1, by=by, to=SHOP)).code == Code.ROLE


# --- shape: what never enters a batch ---


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, None),
        ({"by": ALICE}, Code.NOT_SIGNED),
        ({"by": 10**16}, Code.MALFORMED),
        ({"hold": bytes(15)}, Code.MALFORMED),
        ({"hold": bytes(17)}, Code.MALFORMED),
        ({"amount": -1}, Code.AMOUNT),
        ({"amount": 2**63}, Code.AMOUNT),
        ({"amount": 2**63 - 1}, None),
        ({"amount": True}, Code.MALFORMED),
        ({"amount": "1"}, Code.MALFORMED),
        ({"to": -1}, Code.MALFORMED),
        ({"to": 10**16}, Code.MALFORMED),
        ({"secret": bytes(64)}, None),
        ({"secret": bytes(65)}, Code.MALFORMED),
        ({"secret": "text"}, Code.MALFORMED),
        ({"close": 1}, Code.MALFORMED),
        ({"amount": 0, "to": 0, "close": True}, None),
        ({"amount": 0, "to": 0, "close": False}, Code.FIELD),
        ({"amount": 0, "to": BOB, "close": True}, Code.FIELD),
        ({"amount": 0, "to": 0, "close": True, "secret": b"s"}, Code.FIELD),
    ],
)
def test_a_settlement_of_the_wrong_shape_is_refused_before_it_enters_a_batch(
    changed: dict[str, Any], expected: Code | None
) -> None:
    fields = (3, *settle(bytes(16))._replace(**changed))
    raw = encode((encode((1, 417, START_MS, 1, (BOB,), (fields,))), ((0, b"k" * 32, b"s" * 64),)))
    if expected is None:
        assert decode_transaction(raw, bytes(32)).raw == raw
        return
    with pytest.raises(Refused) as refusal:
        decode_transaction(raw, bytes(32))
    assert (refusal.value.code, refusal.value.op, refusal.value.leg) == (expected, 0, None)
