"""Account numbers and records, and the operation account: open, set, keys, close."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.encoding import DecodeError
from node.ledger.account import (
    _FIELDS,
    AMOUNT_MAX,
    CLOSED,
    IN_BLOCKED,
    OUT_BLOCKED,
    RECOVERING,
    SOM,
    Account,
    Kind,
    Profile,
    account_number,
    decode_account,
    encode_account,
    format_account,
    is_account_number,
    own_account,
    parse_account,
    participant_of,
    serial_of,
)
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount, SetKeys
from node.ledger.errors import Code, Refused
from node.ledger.pay import Pay
from tests.ledger_world import (
    ALICE,
    BANK,
    BOB,
    CAROL,
    CENTRAL,
    ENFORCER,
    ISSUER,
    KGST_RESERVE,
    NOBODY,
    OTHER_BANK,
    SHOP,
    TREASURY,
    Override,
    World,
    keys_of,
)

NEW = account_number(101, 77)


def opening(
    by: int = BANK, number: int = NEW, kind: int = Kind.PERSON, tier: int = 1, category: int = 0
) -> OpenAccount:
    keys = tuple((bytes(key.public), 1) for key in keys_of(number))
    return OpenAccount(by, number, kind, tier, category, keys, 1, b"c" * 32)


@given(st.integers(0, 9_999), st.integers(1, 9_999_999_999))
def test_a_number_shows_its_parts_and_reads_back(participant: int, serial: int) -> None:
    number = account_number(participant, serial)
    assert parse_account(format_account(number)) == number
    assert (participant_of(number), serial_of(number)) == (participant, serial)
    assert int(format_account(number)[:14]) % 97 == int(format_account(number)[14:])


@given(st.integers(0, 9_999), st.integers(1, 9_999_999_999), st.integers(0, 15), st.integers(1, 9))
def test_one_wrong_digit_is_noticed(participant: int, serial: int, place: int, change: int) -> None:
    digits = list(format_account(account_number(participant, serial)))
    digits[place] = str((int(digits[place]) + change) % 10)
    with pytest.raises(ValueError):
        parse_account("".join(digits))


@pytest.mark.parametrize(
    "text", ["", "1", "0" * 15, "0" * 17, "00000000000000a0", " 000000000000101", "٠" * 16, "+000000000000101"]
)
def test_what_is_no_account_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_account(text)


def test_a_number_outside_its_range_is_not_made() -> None:
    for participant, serial in ((-1, 0), (10_000, 0), (0, -1), (0, 10**10), (0, 0)):
        with pytest.raises(ValueError):
            account_number(participant, serial)
    assert not is_account_number(0)
    assert not is_account_number(10**16 * 100)


KEYS = st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(1, 1_000)), max_size=4).map(tuple)
PROFILES = st.builds(
    Profile,
    st.integers(1, 12), st.integers(0, 255), st.integers(0, 15), st.integers(0, 10**16 - 1), st.integers(0, 9_999),
    KEYS, st.integers(1, 16_000), st.binary(min_size=32, max_size=32),
)  # fmt: skip
HOLDINGS = st.dictionaries(
    st.integers(1, 65_535), st.tuples(st.integers(-AMOUNT_MAX, AMOUNT_MAX), st.integers(0, AMOUNT_MAX)), max_size=4
).map(lambda rows: tuple((asset, *row) for asset, row in sorted(rows.items())))
ACCOUNTS = st.builds(
    Account, st.just(int(ALICE)), PROFILES, st.integers(0, 10**6), st.integers(0, AMOUNT_MAX),
    st.integers(0, 2**40), st.binary(min_size=32, max_size=32), HOLDINGS,
)  # fmt: skip


@given(ACCOUNTS, ACCOUNTS)
def test_a_record_reads_back_and_two_accounts_never_share_one(one: Account, other: Account) -> None:
    assert decode_account(ALICE, encode_account(one)) == own_account(ALICE, encode_account(one)) == one
    assert (encode_account(one) == encode_account(other)) == (one == other)


@given(ACCOUNTS)
def test_a_record_of_our_own_reads_back_in_the_same_types(account: Account) -> None:
    """The ledger compares, encodes and unpacks them: a list where a tuple was would not be the same."""
    one, other = decode_account(ALICE, encode_account(account)), own_account(ALICE, encode_account(account))
    assert repr([getattr(one, name) for name in _FIELDS]) == repr([getattr(other, name) for name in _FIELDS])
    assert type(one.profile) is type(other.profile)


@given(ACCOUNTS, st.data())
def test_a_damaged_record_is_refused_or_is_another_account(account: Account, data: st.DataObject) -> None:
    record = bytearray(encode_account(account))
    place = data.draw(st.integers(0, len(record) - 1))
    record[place] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_account(ALICE, bytes(record))
    except DecodeError:
        return
    assert decoded != account
    assert encode_account(decoded) == bytes(record)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_holdings_ascend_and_none_is_empty(puts: list[tuple[int, int, int]]) -> None:
    account = Account(ALICE, Profile(11, 1, 0, 0, 0, (), 1, b"c" * 32))
    model: dict[int, tuple[int, int]] = {}
    for asset, balance, held in puts:
        account.set_holding(asset, balance, held)
        model[asset] = (balance, held)
    expected = tuple((asset, *row) for asset, row in sorted(model.items()) if row != (0, 0))
    assert account.holdings == expected
    assert all(account.holding(asset) == model.get(asset, (0, 0)) for asset in range(1, 6))


# --- open ---


def test_a_bank_opens_a_wallet_that_can_receive_and_pay() -> None:
    world = World()
    assert world.run(opening()).applied
    account = world.account(NEW)
    assert (account.kind, account.tier, account.bank, account.flags) == (Kind.PERSON, 1, BANK, 0)
    world.fund(BANK)
    assert world.pay(BANK, NEW, 100).applied
    assert world.pay(NEW, ALICE, 40).applied
    assert world.balance(NEW) == 60


def test_an_account_is_opened_paid_and_closed_within_one_transaction() -> None:
    world = World()
    world.fund(BANK)
    pay, back = Pay(SOM, BANK, ((NEW, 5, b""),)), Pay(SOM, NEW, ((BANK, 5, b""),))
    assert world.run(opening(), pay, CloseAccount(BANK, NEW)).code == Code.NOT_EMPTY
    assert world.ledger.account(NEW) is None
    # The new account does not stand in the list: it exists only after the envelope is checked.
    receipt = world.run(opening(), pay, back)
    assert (receipt.code, receipt.op) == (Code.NO_ACCOUNT, None)
    assert world.run(opening(), CloseAccount(BANK, NEW)).applied
    assert world.account(NEW).flags == CLOSED


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (opening(number=ALICE), Code.EXISTS),
        (opening(number=account_number(102, 77)), Code.FIELD),
        (opening(tier=9), Code.FIELD),
        (opening(category=5411), Code.FIELD),
        (opening(kind=Kind.MERCHANT), Code.FIELD),
        (opening(kind=Kind.BANK), Code.ROLE),
        (opening(kind=Kind.ISSUER), Code.ROLE),
        (opening(by=ALICE), Code.ROLE),
        (opening(by=TREASURY), Code.ROLE),
        (opening(kind=Kind.MERCHANT, category=5411), Code.APPLIED),
        (opening(kind=Kind.DEVICE), Code.APPLIED),
        (opening(by=CENTRAL, kind=Kind.BANK, number=account_number(300, 0), tier=0), Code.APPLIED),
        (opening(by=CENTRAL, kind=Kind.RESERVE, tier=0), Code.APPLIED),
    ],
)
def test_who_opens_what(operation: OpenAccount, code: Code) -> None:
    assert World().run(operation).code == code


def test_a_closed_bank_opens_nothing() -> None:
    assert World({BANK: Override(CLOSED)}).run(opening()).code == Code.ROLE


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (opening()._replace(number=NEW + 1), Code.FIELD),
        (opening()._replace(keys=()), Code.KEYS),
        (opening()._replace(threshold=0), Code.KEYS),
        (opening()._replace(threshold=2), Code.KEYS),
        (opening()._replace(keys=((b"k" * 32, 0),)), Code.KEYS),
        (opening()._replace(keys=((b"k" * 32, 1), (b"k" * 32, 1))), Code.KEYS),
        (opening()._replace(keys=((b"k" * 32, 1), (b"a" * 32, 1))), Code.KEYS),
        (opening()._replace(keys=((b"k" * 31, 1),)), Code.MALFORMED),
        (opening()._replace(commitment=b"short"), Code.MALFORMED),
        (opening()._replace(kind=13), Code.MALFORMED),
        (SetKeys(ALICE, ((b"k" * 32, 1),), 2), Code.KEYS),
    ],
)
def test_fields_that_can_never_be_right_are_refused_before_a_block(
    operation: OpenAccount | SetKeys, code: Code
) -> None:
    with pytest.raises(Refused) as refused:
        World().transaction([operation])
    assert (refused.value.code, refused.value.op) == (code, 0)


# --- set, keys, close ---


def test_only_its_bank_or_the_central_bank_says_what_an_account_is() -> None:
    world = World()
    assert world.run(SetAccount(BANK, ALICE, 2, 0, b"n" * 32)).applied
    assert (world.account(ALICE).tier, world.account(ALICE).profile.commitment) == (2, b"n" * 32)
    assert world.run(SetAccount(CENTRAL, ALICE, 3, 0, b"n" * 32)).applied
    for by in (OTHER_BANK, ALICE, ENFORCER):
        assert world.run(SetAccount(by, ALICE, 1, 0, b"n" * 32)).code == Code.ROLE
    assert world.account(ALICE).tier == 3
    assert world.run(SetAccount(BANK, ALICE, 9, 0, b"n" * 32)).code == Code.FIELD
    assert world.run(SetAccount(BANK, SHOP, 2, 0, b"n" * 32)).code == Code.FIELD
    assert world.run(SetAccount(BANK, SHOP, 2, 5812, b"n" * 32)).applied
    assert world.run(SetAccount(BANK, account_number(101, 500), 2, 0, b"n" * 32)).code == Code.NO_ACCOUNT


def test_new_keys_hold_from_the_next_transaction_and_old_ones_no_more() -> None:
    world = World()
    (new,) = keys_of(NOBODY)
    assert world.run(SetKeys(ALICE, ((bytes(new.public), 3),), 2)).applied
    old = world.transaction([CloseAccount(ALICE, ALICE)])
    assert world.block([old]).receipts[0].code == Code.NOT_SIGNED
    assert world.block([world.transaction([CloseAccount(ALICE, ALICE)], signers=[(0, new)])]).receipts[0].applied


def test_keys_rest_while_an_account_is_recovered_or_closed() -> None:
    world = World({ALICE: Override(RECOVERING), BOB: Override(CLOSED)})
    keys = ((b"k" * 32, 1),)
    assert world.run(SetKeys(ALICE, keys, 1)).code == Code.RECOVERING
    assert world.run(SetKeys(BOB, keys, 1)).code == Code.NO_ACCOUNT


@pytest.mark.parametrize(
    ("by", "number", "override", "code"),
    [
        (BANK, ALICE, Override(), Code.APPLIED),
        (ALICE, ALICE, Override(), Code.APPLIED),
        (OTHER_BANK, ALICE, Override(), Code.ROLE),
        (BANK, CAROL, Override(), Code.ROLE),
        (CENTRAL, ALICE, Override(), Code.ROLE),
        (CENTRAL, CENTRAL, Override(), Code.ROLE),
        (BANK, NOBODY, None, Code.NO_ACCOUNT),
        (BANK, ALICE, Override(CLOSED), Code.NO_ACCOUNT),
        (ALICE, ALICE, Override(CLOSED), Code.ROLE),
        (BANK, ALICE, Override(OUT_BLOCKED), Code.UNDER_ORDER),
        (BANK, ALICE, Override(IN_BLOCKED), Code.UNDER_ORDER),
        (BANK, ALICE, Override(RECOVERING), Code.RECOVERING),
        (BANK, ALICE, Override(holdings=((2, 1, 0),)), Code.NOT_EMPTY),
        (ISSUER, ISSUER, Override(), Code.NOT_EMPTY),
        (KGST_RESERVE, KGST_RESERVE, Override(), Code.NOT_EMPTY),
    ],
)
def test_who_closes_what(by: int, number: int, override: Override | None, code: Code) -> None:
    world = World({} if override is None else {number: override})
    assert world.run(CloseAccount(by, number)).code == code


def test_a_closed_number_is_never_given_again() -> None:
    world = World()
    assert world.run(CloseAccount(BANK, ALICE)).applied
    assert world.run(opening(number=ALICE)).code == Code.EXISTS
