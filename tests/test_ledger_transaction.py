"""The envelope: one byte form, clear refusals, ids that cover the body alone."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consensus.crypto import verify
from consensus.encoding import encode
from node.ledger.account import SOM
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount, SetKeys
from node.ledger.errors import Code, Refused
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition
from node.ledger.operations import Operation, operation_value
from node.ledger.order import Arrest, Freeze, Release, Seize, Unfreeze
from node.ledger.param import Listed, ProveReady, SetParameter
from node.ledger.parameters import Opener, Tier
from node.ledger.pay import Pay
from node.ledger.recovery import CancelRecovery, FinishRecovery, MoveAccount, RecoverAccount
from node.ledger.settle import SettleHold
from node.ledger.transaction import (
    Transaction,
    add_signatures,
    assemble,
    decode_transaction,
    make_body,
    make_transaction,
    sign_body,
    signature_checks,
    signatures_valid,
)
from tests.ledger_world import ALICE, BANK, BOB, CAROL, ISSUER, NETWORK, keys_of, make_genesis

GENESIS = make_genesis().hash
(KEY,) = keys_of(ALICE)
SIGNED = (0, bytes(KEY.public), b"s" * 64)
PAY = (1, SOM, ALICE, ((BOB, 5, b"ref"),), False, False)


def paying(*operations: Operation) -> Transaction:
    return make_transaction(
        NETWORK, GENESIS, 1_000, 7, [ALICE], operations or [Pay(SOM, ALICE, ((BOB, 5, b"ref"),))], [(0, KEY)]
    )


def body(**fields: Any) -> bytes:
    values = {"version": 1, "network": 1, "expires": 1_000, "salt": 7, "accounts": (ALICE,), "ops": (PAY,)} | fields
    return encode(tuple(values.values()))


def refusal(raw: bytes) -> tuple[Code, int | None, int | None]:
    with pytest.raises(Refused) as refused:
        decode_transaction(raw, GENESIS)
    return refused.value.code, refused.value.op, refused.value.leg


def test_a_made_transaction_reads_back_and_is_signed() -> None:
    transaction = paying()
    assert decode_transaction(transaction.raw, GENESIS) == transaction
    assert (transaction.network, transaction.expires_ms, transaction.salt) == (NETWORK, 1_000, 7)
    assert transaction.accounts == (ALICE,)
    assert transaction.operations == (Pay(SOM, ALICE, ((BOB, 5, b"ref"),)),)
    assert signatures_valid(transaction)


def test_a_signature_counts_for_one_body_on_one_network() -> None:
    transaction = paying()
    assert not signatures_valid(decode_transaction(transaction.raw, b"another genesis hash" + bytes(12)))
    other = decode_transaction(assemble(body(salt=8), transaction.signatures), GENESIS)
    assert not signatures_valid(other)


def test_workers_get_the_same_checks_from_the_bytes_alone() -> None:
    transaction = paying()
    checks = signature_checks(transaction.raw, GENESIS)
    assert checks == [(KEY.public, transaction.id, transaction.signatures[0][2])]
    assert all(verify(*check) for check in checks)
    with pytest.raises(Refused):
        signature_checks(b"junk", GENESIS)
    with pytest.raises(Refused):
        signature_checks(bytes(300_000), GENESIS)


def test_several_people_sign_one_after_the_other_and_the_id_stays() -> None:
    keys = keys_of(ISSUER)
    unsigned = make_body(NETWORK, 1_000, 7, [ISSUER], [Pay(SOM, ISSUER, ((BANK, 5, b""),))])
    first = decode_transaction(assemble(unsigned, [sign_body(GENESIS, unsigned, 0, keys[2])]), GENESIS)
    second = add_signatures(first, GENESIS, [sign_body(GENESIS, unsigned, 0, keys[0])])
    assert second.id == first.id
    assert [public for _, public, _ in second.signatures] == [keys[0].public, keys[2].public]
    assert signatures_valid(second)
    assert add_signatures(second, GENESIS, first.signatures) == second


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"version": 2}, (Code.MALFORMED, None, None)),
        ({"version": True}, (Code.MALFORMED, None, None)),
        ({"network": 2**32}, (Code.MALFORMED, None, None)),
        ({"expires": -1}, (Code.MALFORMED, None, None)),
        ({"expires": 2**53}, (Code.MALFORMED, None, None)),
        ({"salt": -1}, (Code.MALFORMED, None, None)),
        ({"salt": "1"}, (Code.MALFORMED, None, None)),
        ({"accounts": ()}, (Code.MALFORMED, None, None)),
        ({"accounts": (ALICE, ALICE)}, (Code.MALFORMED, None, None)),
        ({"accounts": tuple(range(17))}, (Code.MALFORMED, None, None)),
        ({"accounts": (ALICE, -1)}, (Code.MALFORMED, None, None)),
        ({"extra": 0}, (Code.MALFORMED, None, None)),
        ({"ops": ()}, (Code.OPS, None, None)),
        ({"ops": (PAY,) * 17}, (Code.OPS, None, None)),
        ({"ops": (PAY, 5)}, (Code.MALFORMED, 1, None)),
        ({"ops": (PAY, ())}, (Code.MALFORMED, 1, None)),
        ({"ops": ((99, 1),)}, (Code.MALFORMED, 0, None)),
        ({"ops": ((True, *PAY[1:]),)}, (Code.MALFORMED, 0, None)),
        ({"ops": ((4,),)}, (Code.MALFORMED, 0, None)),
        ({"ops": ((4, 7, ALICE),)}, (Code.MALFORMED, 0, None)),
        ({"ops": ((4, 8, ALICE),)}, (Code.MALFORMED, 0, None)),
        ({"ops": ((*PAY, 1),)}, (Code.MALFORMED, 0, None)),
        ({"ops": ((1, SOM, BOB, ((ALICE, 5, b""),), False, False),)}, (Code.NOT_SIGNED, 0, None)),
        ({"ops": ((1, 65_536, *PAY[2:]),)}, (Code.MALFORMED, 0, None)),
        ({"ops": ((*PAY[:4], 0, False),)}, (Code.MALFORMED, 0, None)),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused_with_the_place(changed: dict[str, Any], expected: object) -> None:
    assert refusal(encode((body(**changed), (SIGNED,)))) == expected


@pytest.mark.parametrize(
    ("leg", "code"),
    [
        ((BOB, 0, b""), Code.AMOUNT),
        ((BOB, -1, b""), Code.AMOUNT),
        ((BOB, 2**63, b""), Code.AMOUNT),
        ((BOB, True, b""), Code.MALFORMED),
        ((BOB, "5", b""), Code.MALFORMED),
        ((True, 5, b""), Code.MALFORMED),
        ((10**16, 5, b""), Code.MALFORMED),
        ((BOB, 5, "ref"), Code.MALFORMED),
        ((BOB, 5, b"r" * 36), Code.MALFORMED),
    ],
)
def test_a_bad_leg_is_refused_with_its_number(leg: tuple[object, ...], code: Code) -> None:
    legs = ((BOB, 5, b""), leg)
    assert refusal(encode((body(ops=((1, SOM, ALICE, legs, False, False),)), (SIGNED,)))) == (code, 0, 1)


@pytest.mark.parametrize("leg", [(BOB, 5), (BOB, 5, b"", 0), 5])
def test_a_leg_has_three_fields(leg: object) -> None:
    raw = encode((body(ops=((1, SOM, ALICE, (leg,), False, False),)), (SIGNED,)))
    assert refusal(raw) == (Code.MALFORMED, 0, None)


def with_legs(*counts: int, ascending: bool = True, once: bool = False) -> bytes:
    orders = [range(count) if ascending else range(count - 1, -1, -1) for count in counts]
    ops = tuple((1, SOM, ALICE, tuple((to, 1, b"r") for to in order), False, once) for order in orders)
    return encode((body(ops=ops), (SIGNED,)))


def test_legs_are_bounded_and_more_than_sixteen_ascend() -> None:
    assert refusal(with_legs(0)) == (Code.LEGS, 0, None)
    assert refusal(with_legs(4_097)) == (Code.LEGS, 0, None)
    assert refusal(with_legs(4_000, 96, 1)) == (Code.LEGS, 2, None)
    assert refusal(with_legs(17, ascending=False)) == (Code.LEGS, 0, 1)
    for raw in (with_legs(4_096), with_legs(4_000, 96), with_legs(16, ascending=False), with_legs(17)):
        assert decode_transaction(raw, GENESIS).raw == raw
    twice = tuple((to, 1, b"") for to in (*range(17), 16))
    assert refusal(encode((body(ops=((1, SOM, ALICE, twice, False, False),)), (SIGNED,)))) == (Code.LEGS, 0, 17)


def test_once_needs_a_ref_in_every_leg() -> None:
    legs = ((BOB, 5, b"r"), (CAROL, 5, b""))
    assert refusal(encode((body(ops=((1, SOM, ALICE, legs, False, True),)), (SIGNED,)))) == (Code.FIELD, 0, 1)


@pytest.mark.parametrize(
    ("signatures", "code"),
    [
        ((), Code.NOT_SIGNED),
        ((SIGNED, SIGNED), Code.MALFORMED),
        (((1, *SIGNED[1:]),), Code.MALFORMED),
        (((-1, *SIGNED[1:]),), Code.MALFORMED),
        (((0, b"k" * 31, b"s" * 64),), Code.MALFORMED),
        (((0, b"k" * 32, b"s" * 63),), Code.MALFORMED),
        (((0, b"k" * 32),), Code.MALFORMED),
        (tuple((0, bytes((i,)) * 32, b"s" * 64) for i in range(33)), Code.MALFORMED),
        (tuple((0, bytes((i,)) * 32, b"s" * 64) for i in (1, 0)), Code.MALFORMED),
        (5, Code.MALFORMED),
    ],
)
def test_signatures_have_one_order_and_a_bound(signatures: object, code: Code) -> None:
    assert refusal(encode((body(), signatures))) == (code, None, None)


def test_what_is_too_large_is_refused_unread() -> None:
    assert refusal(b"\xc1" * (256 * 1024 + 1)) == (Code.TOO_LARGE, None, None)
    assert refusal(b"\xc1" * (256 * 1024)) == (Code.MALFORMED, None, None)


def test_bytes_that_are_not_canonical_are_refused() -> None:
    raw = paying().raw
    for other in (raw + b"\0", raw[:-1], b"", b"\xdc\x00\x02" + raw[1:], encode((body(), (SIGNED,), 0))):
        assert refusal(other)[0] == Code.MALFORMED
    loose = body().replace(b"\x07", b"\xcc\x07", 1)  # the salt in two bytes
    assert refusal(encode((loose, (SIGNED,))))[0] == Code.MALFORMED


LEGS = st.lists(
    st.tuples(st.integers(0, 10**16 - 1), st.integers(1, 2**63 - 1), st.binary(max_size=35)), min_size=1, max_size=16
).map(tuple)
KEYS = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=3, unique=True).map(
    lambda keys: tuple((key, 2) for key in sorted(keys))
)
HASHES = st.binary(min_size=32, max_size=32)
NUMBERS = st.text("7/№өA", min_size=1, max_size=11)
CONDITIONS = st.builds(
    Condition,
    st.sampled_from([b"", b"h" * 32]),
    st.lists(st.integers(1, 9_999), max_size=16, unique=True).map(lambda each: tuple(sorted(each))),
    st.integers(0, 2**53 - 1),
    st.just("delivered"),
    st.sampled_from(["contract 7", "келишим"]),
    st.booleans(),
)
PROMISED = LEGS.map(lambda legs: tuple((max(by, 1), amount, ref) for by, amount, ref in legs))
OPERATIONS = st.one_of(
    st.builds(Pay, st.integers(0, 65_535), st.just(int(ALICE)), LEGS, st.booleans(), st.just(False)),
    st.builds(MakeHold, st.integers(0, 65_535), st.just(int(ALICE)), PROMISED, st.integers(0, 10**16 - 1),
              st.integers(0, 2**53 - 1), CONDITIONS),
    st.builds(SettleHold, st.just(int(ALICE)), st.binary(min_size=16, max_size=16), st.integers(1, 2**63 - 1),
              st.integers(0, 10**16 - 1), st.binary(max_size=64), st.booleans()),
    st.builds(OpenAccount, st.just(int(ALICE)), st.sampled_from([int(BOB), int(CAROL)]), st.integers(1, 12),
              st.integers(0, 255), st.integers(0, 9_999), KEYS, st.just(2), HASHES),
    st.builds(SetAccount, st.just(int(ALICE)), st.integers(0, 10**16 - 1), st.integers(0, 255),
              st.integers(0, 9_999), HASHES),
    st.builds(SetKeys, st.just(int(ALICE)), KEYS, st.just(1)),
    st.builds(CloseAccount, st.just(int(ALICE)), st.integers(0, 10**16 - 1)),
    st.builds(RecoverAccount, st.just(int(ALICE)), st.integers(0, 10**16 - 1), KEYS, st.just(2)),
    st.builds(FinishRecovery, st.just(int(ALICE)), st.integers(0, 10**16 - 1)),
    st.just(CancelRecovery(ALICE)),
    st.just(MoveAccount(ALICE, ALICE)),
    st.builds(Freeze, st.just(int(ALICE)), NUMBERS, st.integers(0, 10**16 - 1), HASHES, st.booleans()),
    st.builds(Unfreeze, st.just(int(ALICE)), NUMBERS, HASHES),
    st.builds(Arrest, st.just(int(ALICE)), NUMBERS, st.integers(0, 10**16 - 1), HASHES, st.integers(0, 65_535),
              st.integers(1, 2**63 - 1)),
    st.builds(Release, st.just(int(ALICE)), NUMBERS, HASHES),
    st.builds(Seize, st.just(int(ALICE)), NUMBERS, st.integers(0, 10**16 - 1), HASHES, st.integers(0, 65_535),
              st.integers(1, 2**63 - 1), st.integers(0, 10**16 - 1)),
    st.builds(SetParameter, st.just(int(ALICE)), st.just("day_offset_ms"), HASHES, st.integers(-1_000, 1_000)),
    st.builds(SetParameter, st.just(int(ALICE)), st.just("tiers"), HASHES,
              st.lists(st.builds(Tier, *[st.integers(0, 255)] * 4), max_size=1).map(tuple)),
    st.builds(SetParameter, st.just(int(ALICE)), st.just("openers"), HASHES,
              st.lists(st.builds(Opener, st.integers(1, 12), st.integers(0, 8_190)), max_size=1).map(tuple)),
    st.builds(SetParameter, st.just(int(ALICE)), st.just("validators"), HASHES,
              st.lists(st.builds(Listed, st.just("n"), st.integers(1, 9), st.just("h:1"), HASHES, HASHES),
                       max_size=1).map(tuple)),
    st.builds(ProveReady, st.just(int(ALICE)), st.just("n"), st.integers(0, 2**53 - 1), HASHES,
              st.binary(min_size=64, max_size=64)),
)  # fmt: skip


@given(st.lists(OPERATIONS, min_size=1, max_size=4), st.lists(OPERATIONS, min_size=1, max_size=4))
def test_operations_read_back_and_two_never_share_bytes(one: list[Operation], other: list[Operation]) -> None:
    first, second = paying(*one), paying(*other)
    assert first.operations == tuple(one)
    assert (first.body == second.body) == (one == other) == (first.id == second.id)


def taken_or_refused(raw: bytes) -> None:
    try:
        transaction = decode_transaction(raw, GENESIS)
    except Refused:
        return
    again = tuple(operation_value(operation) for operation in transaction.operations)
    fields = (1, transaction.network, transaction.expires_ms, transaction.salt, transaction.accounts, again)
    assert encode((encode(fields), transaction.signatures)) == raw == transaction.raw


@given(st.binary(max_size=300))
@example(b"\x92\xc4\x00\x90")
def test_bytes_from_anywhere_are_refused_or_read_back_identical(raw: bytes) -> None:
    taken_or_refused(raw)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.binary(max_size=40), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=9).map(tuple),
    max_leaves=30,
)


@given(VALUES, VALUES, st.integers(0, 6), st.integers(0, 9))
def test_values_in_any_place_are_refused_or_read_back(value: object, other: object, place: int, field: int) -> None:
    fields: list[object] = [1, 1, 1_000, 7, (ALICE,), [list(PAY)]]
    if place < 6:
        fields[place] = value
    else:
        fields[5] = [[PAY[i] if i != field % 6 else value for i in range(6)], other]
    taken_or_refused(encode((encode(fields), (SIGNED,))))
    taken_or_refused(encode((body(), value)))


@settings(max_examples=400)
@given(OPERATIONS, VALUES, st.integers(0, 11))
def test_any_value_in_any_field_of_any_operation_is_refused_or_read_back(
    operation: Operation, value: object, field: int
) -> None:
    fields = list(operation_value(operation))
    fields[field % len(fields)] = value
    taken_or_refused(encode((body(ops=(tuple(fields),)), (SIGNED,))))


@given(st.data())
def test_one_changed_byte_is_refused_or_another_transaction(data: st.DataObject) -> None:
    transaction = paying()
    raw = bytearray(transaction.raw)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_transaction(bytes(raw), GENESIS)
    except Refused:
        return
    assert other != transaction
    assert other.id != transaction.id or other.signatures != transaction.signatures
    assert not signatures_valid(other)


@pytest.mark.parametrize("filler", [b"\x90", b"\xc0", b"\x91", b"\xc4\x00", b"\x80", b"\xcb"])
def test_a_parser_bomb_is_only_refused(filler: bytes) -> None:
    bomb = (filler * (256 * 1024))[: 256 * 1024]
    assert refusal(bomb)[0] == Code.MALFORMED
    assert refusal(encode((bomb[:200_000], (SIGNED,))))[0] == Code.MALFORMED
    assert refusal(b"\xdd\x00\x03\x00\x00" + bomb[:200_000])[0] == Code.MALFORMED
