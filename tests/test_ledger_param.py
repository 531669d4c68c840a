"""The operation param: who may set what, when it judges, how validators come, change keys and go; and what refuses."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey
from consensus.encoding import encode
from node.ledger.account import CLOSED, Kind, account_number, kinds_mask
from node.ledger.account_ops import OpenAccount
from node.ledger.assets import SCHEMA_CHARS_MAX
from node.ledger.checkpoints import CHECKPOINT, CHECKPOINT_HEIGHTS, CHECKPOINTS_MAX
from node.ledger.commitment import verify_proof
from node.ledger.errors import Code, Refused
from node.ledger.operations import Operation, operation_value
from node.ledger.param import Listed, ProveReady, SetParameter
from node.ledger.parameters import (
    ATTESTERS_MAX,
    DEFAULT,
    HOLD_MAX_MS,
    HOUR_MS,
    MINUTE_MS,
    RECOVERY_DELAY_MAX_MS,
    SCHEMAS_MAX,
    TIERS_MAX,
    Attesters,
    Opener,
    Parameters,
    Tier,
)
from node.ledger.pay import Pay
from node.ledger.state import parameter_key
from node.ledger.transaction import decode_transaction
from node.ledger.validators import Seat, decode_roster, encode_roster, members, roster_of
from node.ledger.versions import NEWEST, VERSION_MAX
from node.rpc.operation_views import operation_view
from tests.ledger_world import (
    ALICE,
    BANK,
    BOB,
    CENTRAL,
    ISSUER,
    NETWORK,
    NOBODY,
    TREASURY,
    Override,
    World,
    keys_at,
    keys_of,
    listed,
    listed_again,
    make_genesis,
)

SOM = 1
GENESIS = make_genesis()
SEEN = b"s" * 32  # where no state is asked


def hash_of(value: object) -> bytes:
    """Return how a change names the value that it is based on: docs/ledger.md, section 3."""
    return sha256(b"som-parameter-1" + encode(value)).digest()


def seats(world: World) -> dict[str, Seat]:
    return {seat.name: seat for seat in world.ledger.roster}


def expect(world: World, *operations: SetParameter | ProveReady, code: Code) -> None:
    """Refused with this code in its receipt, without a trace."""
    before = (world.ledger.roster, world.ledger.parameters, world.ledger.state_tree_root)
    transaction = world.transaction(operations)
    assert world.ledger.simulate(transaction, world.time_ms).code == code
    executed = world.block([transaction])
    receipt = executed.receipts[0]
    assert (receipt.code, receipt.op, executed.roster) == (code, len(operations) - 1, None)
    assert (world.ledger.roster, world.ledger.parameters) == before[:2]
    assert not [key for key in executed.changes if key[:1] == b"p"]


def admission(world: World, *operations: Any) -> Code:
    try:
        world.ledger.admit(world.transaction(operations), world.time_ms)
    except Refused as refused:
        return refused.code
    return Code.APPLIED


# --- parameters ---

CHANGES: dict[str, object] = {
    "window_person_ms": 5 * MINUTE_MS,
    "window_institution_ms": 24 * HOUR_MS,
    "day_offset_ms": -3 * HOUR_MS,
    "tiers": (Tier(0, 0, 0, 0), *DEFAULT.tiers[:2], Tier(3, 1, 2, 3)),
    "openers": (*DEFAULT.openers[:1], Opener(Kind.BANK, 0)),
    "attesters": (Attesters("certificate", (BANK, NOBODY)), Attesters("gold", ())),
    "recovery_delay_ms": 48 * HOUR_MS,
    "hold_max_ms": HOUR_MS,
    "protocol_version": NEWEST + 1,
}


def test_there_is_a_case_for_every_parameter() -> None:
    assert set(CHANGES) == set(Parameters._fields)


@pytest.mark.parametrize("key", CHANGES)
def test_the_central_bank_sets_a_parameter(key: str) -> None:
    world = World()
    executed = world.block([world.transaction([world.setting(key, CHANGES[key])])])
    assert executed.receipts[0].applied
    assert executed.roster is None
    assert world.ledger.parameters == DEFAULT._replace(**{key: CHANGES[key]})  # type: ignore[arg-type]
    row = world.ledger.value(parameter_key(key))
    assert row == encode(CHANGES[key])
    assert verify_proof(executed.state_tree_root, parameter_key(key), row, world.ledger.prove(parameter_key(key)))
    assert [name for name in executed.changes if name[:1] == b"p"] == [parameter_key(key)]
    assert executed.next_version == (CHANGES[key] if key == "protocol_version" else None)
    assert world.reopened().parameters == world.ledger.parameters
    world.ledger.audit()


@pytest.mark.parametrize("by", [ISSUER, BANK, TREASURY, ALICE])
@pytest.mark.parametrize("key", ["window_person_ms", "validators"])
def test_nobody_else_does(by: int, key: str) -> None:
    world = World()
    value: Any = 5 * MINUTE_MS if key != "validators" else tuple(map(listed_again, world.ledger.roster))
    operation = world.setting(key, value, by)
    assert admission(world, operation) == Code.ROLE
    expect(world, operation, code=Code.ROLE)
    closed = World({by: Override(flags=CLOSED, kind=Kind.CENTRAL_BANK)})
    expect(closed, operation, code=Code.ROLE)


def test_the_central_bank_needs_its_keys() -> None:
    world = World()
    operation = world.setting("window_person_ms", MINUTE_MS)
    one_key = world.transaction([operation], signers=[(0, keys_of(CENTRAL)[0])])
    assert world.block([one_key]).receipts[0].code == Code.NOT_SIGNED
    assert world.ledger.parameters == DEFAULT
    with pytest.raises(Refused) as refused:
        world.transaction([operation], accounts=[BANK])
    assert refused.value.code == Code.NOT_SIGNED


def test_a_block_stands_under_one_set_of_parameters_whatever_its_order() -> None:
    strict = tuple(Tier(tier.number, 10, 10, 10**9) for tier in DEFAULT.tiers)
    change = World().setting("tiers", strict)
    for first in (True, False):
        world = World()
        world.fund(ALICE)
        pay, setting = world.transaction([Pay(SOM, ALICE, ((BOB, 11, b""),))]), world.transaction([change])
        receipts = world.block([setting, pay] if first else [pay, setting]).receipts
        assert [receipt.code for receipt in receipts] == [0, 0]
        assert world.pay(ALICE, BOB, 11).code == Code.LIMIT_TX


def test_a_change_does_not_judge_its_own_transaction() -> None:
    world = World()
    world.fund(ALICE)
    strict = tuple(Tier(tier.number, 10, 10, 10**9) for tier in DEFAULT.tiers)
    assert world.run(world.setting("tiers", strict), Pay(SOM, ALICE, ((BOB, 11, b""),))).applied
    assert world.pay(ALICE, BOB, 11).code == Code.LIMIT_TX


def test_each_parameter_does_what_it_says_from_the_next_block_on() -> None:
    world = World()
    assert world.set("window_institution_ms", HOUR_MS).applied
    late = world.transaction([Pay(SOM, ISSUER, ((BANK, 5, b""),))], expires_ms=world.time_ms + 2 * HOUR_MS)
    assert world.block([late]).receipts[0].code == Code.EXPIRY_TOO_FAR
    number = account_number(101, 70)
    keys = tuple((bytes(key.public), 1) for key in keys_of(number))
    opening = OpenAccount(BANK, number, Kind.PERSON, 9, 0, keys, 1, bytes(32))
    assert world.run(opening).code == Code.FIELD
    assert world.set("tiers", (*DEFAULT.tiers, Tier(9, 1, 1, 1))).applied
    assert world.set("openers", (Opener(Kind.CENTRAL_BANK, kinds_mask(Kind)),)).applied
    assert world.run(opening).code == Code.ROLE
    assert world.set("openers", DEFAULT.openers).applied
    assert world.run(opening).applied


def test_a_day_begins_where_the_offset_says() -> None:
    world = World()  # at 00:00 in Bishkek, 18:00 UTC
    world.fund(ALICE, amount=6_000_000)
    for amount in (1_500_000, 1_500_000):
        assert world.pay(ALICE, BANK, amount).applied
    assert world.pay(ALICE, BANK, 1).code == Code.LIMIT_DAY
    assert world.set("day_offset_ms", 0).applied  # now it is still the day before
    assert world.pay(ALICE, BANK, 1).applied


def test_a_tier_is_never_taken_away() -> None:
    world = World()
    expect(world, world.setting("tiers", DEFAULT.tiers[1:]), code=Code.FIELD)
    added = (*DEFAULT.tiers, Tier(9, 1, 1, 1))
    both = [world.setting("tiers", added), SetParameter(CENTRAL, "tiers", hash_of(added), DEFAULT.tiers)]
    expect(world, *both, code=Code.FIELD)  # what the block has added counts, too


# --- no change is lost ---


@pytest.mark.parametrize("key", CHANGES)
def test_of_two_changes_of_one_value_the_later_is_refused(key: str) -> None:
    start = DEFAULT._replace(tiers=(Tier(0, 0, 0, 0), *DEFAULT.tiers))  # there and back again, for tiers too
    world = World(parameters=start)
    before = getattr(start, key)
    first = SetParameter(CENTRAL, key, hash_of(before), CHANGES[key])  # type: ignore[arg-type]
    second = first._replace(value=before)
    expect(world, first, second, code=Code.STALE)  # in one transaction: neither
    assert [r.code for r in world.block([world.transaction([each]) for each in (first, second)]).receipts] == [0, 612]
    expect(world, second, code=Code.STALE)  # and a block later
    assert getattr(world.ledger.parameters, key) == CHANGES[key]
    back = second._replace(based_on=hash_of(CHANGES[key]))
    assert world.run(back, first).applied  # each names what the one before left; what came back serves again
    assert getattr(world.ledger.parameters, key) == CHANGES[key]


def test_a_change_of_one_value_does_not_stand_in_the_way_of_another() -> None:
    world = World()
    operations = [world.setting(key, value) for key, value in CHANGES.items()]
    operations.append(world.setting("validators", tuple(map(listed_again, world.ledger.roster[:3]))))
    assert world.run(*operations).applied


def test_what_another_could_not_do_anyway_is_not_called_stale() -> None:
    world = World()
    expect(world, SetParameter(ALICE, "tiers", SEEN, DEFAULT.tiers), code=Code.ROLE)
    expect(world, SetParameter(CENTRAL, "tiers", SEEN, ()), code=Code.STALE)  # and then its value is not looked at
    expect(world, SetParameter(CENTRAL, "validators", SEEN, ()), code=Code.STALE)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda w: w.setting("validators", tuple(sorted([*map(listed_again, w.ledger.roster), listed("x", 9)]))),
        lambda w: w.setting("validators", tuple(listed_again(seat) for seat in w.ledger.roster if seat.name != "v3")),
        lambda w: w.setting("validators", tuple(listed_again(seat) for seat in w.ledger.roster if seat.name != "new")),
        lambda w: relisted(w, [("v1", None, 2)]),
        lambda w: relisted(w, [("new", 1, 2)]),
        lambda w: relisted(w, [("v1", 3, 1)]),
        lambda w: relisted(w, [("new", 3, 1)]),
        lambda w: w.setting("validators", tuple(listed_again(s)._replace(address="h:1") for s in w.ledger.roster)),
        lambda w: w.ready("new", 1),
    ],
    ids=["admitted", "removed", "withdrawn", "weight", "waiting weight", "new keys", "other keys", "address", "proof"],
)
def test_a_list_that_was_made_from_other_seats_is_refused(meanwhile: Callable[[World], Operation]) -> None:
    world = waiting()
    value = tuple(sorted([*map(listed_again, world.ledger.roster), listed("another", 5)]))
    late = world.setting("validators", value)
    assert late.based_on == hash_of(world.ledger.roster)
    world.block([world.transaction([meanwhile(world)])])
    changed = world.ledger.roster
    expect(world, late, code=Code.STALE)
    assert world.ledger.roster == changed
    assert world.list_validators(listed("another", 5)).applied  # who looks again loses nothing of either
    kept = {seat.name: seat for seat in world.ledger.roster if seat.name != "another"}
    assert kept == {seat.name: seat for seat in changed}


def test_a_proof_does_not_wait_for_the_list_that_it_was_made_under() -> None:
    world = waiting()
    proof = world.ready("new", 1)
    assert world.list_validators(listed_again(seats(world)["v1"])._replace(weight=2)).applied
    assert world.run(proof).applied


# --- the form ---


def refusal(*fields: object) -> Code:
    body = encode((1, NETWORK, 1_000, 7, (CENTRAL,), ((8, *fields),)))
    with pytest.raises(Refused) as refused:
        decode_transaction(encode((body, ((0, b"k" * 32, b"s" * 64),))), GENESIS.hash)
    assert refused.value.op == 0
    return refused.value.code


def test_the_greatest_values_are_allowed() -> None:
    accounts = tuple(range(1, ATTESTERS_MAX + 1))
    world = World()
    for key, value in (
        ("attesters", tuple(Attesters(f"s{i:0{SCHEMA_CHARS_MAX - 1}}", accounts) for i in range(SCHEMAS_MAX))),
        ("attesters", ()),
        ("recovery_delay_ms", RECOVERY_DELAY_MAX_MS),
        ("recovery_delay_ms", 1_000),
        ("hold_max_ms", HOLD_MAX_MS),
        ("hold_max_ms", MINUTE_MS),
    ):
        assert world.set(key, value).applied
        assert getattr(world.ledger.parameters, key) == value
        assert world.reopened().parameters == world.ledger.parameters


ROW = ("n", 1, "", b"k" * 32, b"l" * 32)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ((), Code.MALFORMED),
        ((1, CENTRAL, "tiers", None, ()), Code.MALFORMED),
        ((1, CENTRAL, "tiers", "s" * 32, ()), Code.MALFORMED),
        ((1, CENTRAL, "tiers", SEEN[1:], ()), Code.MALFORMED),
        ((1, "c", "tiers", SEEN, ()), Code.MALFORMED),
        ((1, CENTRAL, "tiers", ()), Code.MALFORMED),
        ((0, CENTRAL, "tiers", SEEN, ()), Code.MALFORMED),
        ((3, CENTRAL, "tiers", SEEN, ()), Code.MALFORMED),
        ((1, CENTRAL, "tiers", SEEN, (), 0), Code.MALFORMED),
        ((1, CENTRAL, b"tiers", SEEN, ()), Code.MALFORMED),
        ((1, CENTRAL, "k" * 65, SEEN, 0), Code.MALFORMED),
        ((1, CENTRAL, "", SEEN, 0), Code.KEY),
        ((1, CENTRAL, "quotas", SEEN, 0), Code.KEY),
        ((1, CENTRAL, "ready", SEEN, 0), Code.KEY),
        ((1, CENTRAL, "window_person_ms", SEEN, MINUTE_MS - 1), Code.FIELD),
        ((1, CENTRAL, "window_person_ms", SEEN, True), Code.FIELD),
        ((1, CENTRAL, "window_institution_ms", SEEN, 7 * 24 * HOUR_MS + 1), Code.FIELD),
        ((1, CENTRAL, "day_offset_ms", SEEN, 14 * HOUR_MS + 1), Code.FIELD),
        ((1, CENTRAL, "day_offset_ms", SEEN, -14 * HOUR_MS - 1), Code.FIELD),
        ((1, CENTRAL, "tiers", SEEN, 5), Code.FIELD),
        ((1, CENTRAL, "tiers", SEEN, ((1, 2, 3),)), Code.FIELD),
        ((1, CENTRAL, "tiers", SEEN, ((1, -1, 3, 4),)), Code.FIELD),
        ((1, CENTRAL, "tiers", SEEN, ((2, 1, 1, 1), (1, 1, 1, 1))), Code.FIELD),
        ((1, CENTRAL, "tiers", SEEN, tuple((i, 1, 1, 1) for i in range(TIERS_MAX + 1))), Code.FIELD),
        ((1, CENTRAL, "openers", SEEN, ((0, 1),)), Code.FIELD),
        ((1, CENTRAL, "openers", SEEN, ((4, 2**13),)), Code.FIELD),
        ((1, CENTRAL, "openers", SEEN, ((4, 2), (4, 4))), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, 5), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("gold",),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("", (BANK,)),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("Gold", (BANK,)),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("g" * (SCHEMA_CHARS_MAX + 1), (BANK,)),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("gold", BANK),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("gold", (0,)),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("gold", (10**16,)),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("gold", (BANK, BANK)),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("gold", (ALICE, BANK)),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("gold", ()), ("delivered", ()))), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("gold", ()), ("gold", ()))), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, (("gold", tuple(range(1, ATTESTERS_MAX + 2))),)), Code.FIELD),
        ((1, CENTRAL, "attesters", SEEN, tuple((f"s{i:03}", ()) for i in range(SCHEMAS_MAX + 1))), Code.FIELD),
        ((1, CENTRAL, "recovery_delay_ms", SEEN, 999), Code.FIELD),
        ((1, CENTRAL, "recovery_delay_ms", SEEN, RECOVERY_DELAY_MAX_MS + 1), Code.FIELD),
        ((1, CENTRAL, "hold_max_ms", SEEN, MINUTE_MS - 1), Code.FIELD),
        ((1, CENTRAL, "protocol_version", SEEN, 0), Code.FIELD),
        ((1, CENTRAL, "protocol_version", SEEN, VERSION_MAX + 1), Code.FIELD),
        ((1, CENTRAL, "hold_max_ms", SEEN, HOLD_MAX_MS + 1), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, 5), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (ROW[:4],)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, ((*ROW, 0),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (("", *ROW[1:]),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (("n" * 65, *ROW[1:]),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (("a\u202eb", *ROW[1:]),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (("n", 0, *ROW[2:]),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (("n", 2**32, *ROW[2:]),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (("n", 1, "host", *ROW[3:]),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (("n", 1, "h" * 254 + ":1", *ROW[3:]),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, ((*ROW[:3], b"k" * 31, ROW[4]),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, ((*ROW[:4], "l" * 32),)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (ROW, ROW)), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, (ROW, ("m", *ROW[1:]))), Code.FIELD),
        ((1, CENTRAL, "validators", SEEN, tuple((f"{i:02}", *ROW[1:]) for i in range(32))), Code.FIELD),
        ((2, CENTRAL, "n", 16, b"r" * 32), Code.MALFORMED),
        ((2, CENTRAL, "n", 16, b"r" * 32, b"s" * 64, 0), Code.MALFORMED),
        ((2, CENTRAL, "", 16, b"r" * 32, b"s" * 64), Code.MALFORMED),
        ((2, CENTRAL, "n", -1, b"r" * 32, b"s" * 64), Code.MALFORMED),
        ((2, CENTRAL, "n", 2**53, b"r" * 32, b"s" * 64), Code.MALFORMED),
        ((2, CENTRAL, "n", 16, b"r" * 31, b"s" * 64), Code.MALFORMED),
        ((2, CENTRAL, "n", 16, b"r" * 32, b"s" * 63), Code.MALFORMED),
    ],
)  # fmt: skip
def test_a_wrong_form_is_refused_before_it_can_enter_a_block(fields: tuple[object, ...], code: Code) -> None:
    assert refusal(*fields) == code


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.binary(max_size=32), st.text(max_size=5),
        st.binary(min_size=32, max_size=32), st.integers(0, 20),
    ),
    lambda inner: st.lists(inner, max_size=6).map(tuple),
    max_leaves=20,
)  # fmt: skip


@given(
    st.sampled_from([1, 2, 3]), st.sampled_from([*Parameters._fields, "validators", "x"]), st.lists(VALUES, max_size=5)
)
@example(1, "validators", [SEEN, (ROW,)])
def test_values_in_any_place_are_refused_or_read_back(act: int, key: str, values: list[object]) -> None:
    for fields in ((8, act, CENTRAL, key, *values), (8, act, CENTRAL, *values)):
        body = encode((1, NETWORK, 1_000, 7, (CENTRAL,), (fields,)))
        try:
            transaction = decode_transaction(encode((body, ((0, b"k" * 32, b"s" * 64),))), GENESIS.hash)
        except Refused:
            continue
        assert encode(operation_value(transaction.operations[0])) == encode(fields)
        assert operation_view(transaction.operations[0]).by is not None


# --- validators: who is listed ---


def test_a_new_validator_waits_and_does_not_count() -> None:
    world = World()
    before = members(world.ledger.roster)
    rows = [*map(listed_again, world.ledger.roster), listed("new", 1, 2, "new.kg:26600")]
    executed = world.block([world.transaction([world.setting("validators", tuple(sorted(rows)))])])
    assert executed.receipts[0].applied
    assert seats(world)["new"] == Seat("new", 2, "new.kg:26600", None, keys_at(1))
    assert members(world.ledger.roster) == before
    assert executed.roster is not None
    assert decode_roster(executed.roster) == world.ledger.roster
    key = parameter_key("validators")
    assert world.ledger.value(key) == executed.roster == encode_roster(world.ledger.roster)
    assert verify_proof(executed.state_tree_root, key, executed.roster, world.ledger.prove(key))


def test_new_keys_wait_beside_the_old_ones_which_go_on_counting() -> None:
    world = World()
    old = seats(world)["v1"]
    assert world.list_validators(listed("v1", 1, 1, "h:1")).applied
    assert seats(world)["v1"] == Seat("v1", 1, "h:1", old.current, keys_at(1))
    assert members(world.ledger.roster) == members(roster_of(world.genesis))
    assert world.list_validators(listed("v1", 2)).applied  # others in their place
    assert seats(world)["v1"].next == keys_at(2)
    assert world.list_validators(listed_again(old)).applied  # and never mind
    assert seats(world)["v1"] == old


def test_listing_again_changes_weight_and_address_alone() -> None:
    world = World()
    assert world.list_validators(listed("new", 1)).applied
    row = listed_again(seats(world)["v2"])._replace(weight=2, address="v2:1")
    assert world.list_validators(row).applied
    assert seats(world)["v2"] == Seat("v2", 2, "v2:1", row.keys, None)
    assert seats(world)["new"] == Seat("new", 1, "", None, keys_at(1))
    assert [member.weight for member in members(world.ledger.roster)] == [1, 1, 2, 1]


def test_who_is_not_listed_is_removed() -> None:
    world = World()
    assert world.list_validators(listed("new", 1)).applied
    rows = tuple(listed_again(seat) for seat in world.ledger.roster if seat.name not in ("v3", "new"))
    assert world.set("validators", rows).applied
    assert list(seats(world)) == ["v0", "v1", "v2"]
    assert [member.name for member in members(world.ledger.roster)] == ["v0", "v1", "v2"]


def test_a_block_that_leaves_the_roster_as_it_was_says_nothing() -> None:
    world = World()
    same = world.setting("validators", tuple(map(listed_again, world.ledger.roster)))
    there = world.setting("validators", tuple(sorted([*same.value, listed("new", 1)])))  # type: ignore[misc]
    more = tuple(sorted([*world.ledger.roster, Seat("new", 1, "", None, keys_at(1))]))
    for operations in ([same], [there, same._replace(based_on=hash_of(more))]):
        executed = world.block([world.transaction(operations)])
        assert executed.receipts[0].applied
        assert executed.roster is None


def test_several_changes_in_one_block_build_on_each_other() -> None:
    world = World()
    rows = tuple(map(listed_again, world.ledger.roster))
    more = tuple(sorted([*rows, listed("new", 1)]))
    again = tuple(sorted([*rows, listed("new", 2)]))
    v0, v1, v2, v3 = world.ledger.roster
    new = Seat("new", 1, "", None, keys_at(1))
    left: list[tuple[Seat, ...]] = [(v0, v1, v2, v3), (new, v0, v1, v2, v3), (v0, v1, v2)]
    operations = [
        SetParameter(CENTRAL, "validators", hash_of(before), value)
        for before, value in zip(left, (more, rows[:3], again), strict=True)
    ]
    executed = world.block([world.transaction([operation]) for operation in operations])
    assert [receipt.code for receipt in executed.receipts] == [0, 0, 0]
    assert seats(world)["v3"] == Seat("v3", 1, "", None, rows[3].keys)  # removed, and listed again: it waits
    assert seats(world)["new"].next == keys_at(2)
    assert executed.roster == encode_roster(world.ledger.roster)


def _v0(world: World) -> Listed:
    return listed_again(seats(world)["v0"])


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (lambda w: [listed("new", 1)._replace(consensus_key=_v0(w).consensus_key)], Code.KEYS),
        (lambda w: [listed("new", 1)._replace(node_key=_v0(w).node_key)], Code.KEYS),
        (lambda w: [listed("new", 1)._replace(node_key=_v0(w).consensus_key)], Code.KEYS),
        (lambda w: [listed("new", 1)._replace(consensus_key=_v0(w).node_key)], Code.KEYS),
        (lambda w: [listed("new", 1), listed("other", 1)], Code.KEYS),
        (lambda w: [listed("new", 1)._replace(node_key=keys_at(1).consensus_key)], Code.KEYS),
        (lambda w: [_v0(w)._replace(node_key=keys_at(1).node_key)], Code.KEYS),  # the consensus key would stay
        (lambda w: [_v0(w)._replace(name="new")], Code.KEYS),
        (lambda w: [listed("v1", 7), listed("waits", 1)], Code.KEYS),  # `taken` waits with 7
        (lambda w: [_v0(w)._replace(weight=3)], Code.COMMITTEE),  # dominant: 3 of 7
        (lambda w: [listed("new", 1, 4)], Code.COMMITTEE),  # dominant once it is ready: 4 of 9
    ],
)  # fmt: skip
def test_a_list_with_a_key_twice_or_without_a_safe_committee_is_refused(
    rows: Callable[[World], list[Listed]], code: Code
) -> None:
    world = World(kind="pilot")
    assert world.list_validators(listed("taken", 7)).applied
    given_ = {row.name: row for row in rows(world)}
    kept = {seat.name: listed_again(seat) for seat in world.ledger.roster}
    value = tuple(sorted((kept | given_).values()))
    expect(world, world.setting("validators", value), code=code)


def test_a_committee_is_never_empty() -> None:
    world = World()
    expect(world, world.setting("validators", ()), code=Code.COMMITTEE)
    strangers = tuple(listed(f"n{i}", i) for i in range(4))
    expect(world, world.setting("validators", strangers), code=Code.COMMITTEE)
    swapped = tuple(seat._replace(name=f"w{i}") for i, seat in enumerate(map(listed_again, world.ledger.roster)))
    expect(world, world.setting("validators", swapped), code=Code.COMMITTEE)


def test_on_a_devnet_one_may_outweigh_all_others() -> None:
    world = World(kind="devnet")
    assert world.list_validators(_v0(world)._replace(weight=100)).applied
    assert [member.weight for member in members(world.ledger.roster)] == [100, 1, 1, 1]


def test_a_failed_transaction_leaves_no_trace_of_what_it_set() -> None:
    world = World()
    world.fund(ALICE)
    rows = tuple(sorted([*map(listed_again, world.ledger.roster), listed("new", 1)]))
    change = world.setting("validators", rows)
    before = (world.ledger.roster, world.ledger.parameters)
    operations: list[Operation] = [change, world.setting("window_person_ms", MINUTE_MS)]
    operations += [Pay(SOM, ALICE, ((BOB, 10**9, b""),))]
    good = world.transaction([world.setting("day_offset_ms", 0)])
    executed = world.block([good, world.transaction(operations)])
    assert [receipt.code for receipt in executed.receipts] == [0, Code.INSUFFICIENT]
    assert (world.ledger.roster, world.ledger.parameters) == (before[0], DEFAULT._replace(day_offset_ms=0))
    assert executed.roster is None


def test_a_simulation_tells_and_changes_nothing() -> None:
    world = World()
    change = world.transaction([world.setting("validators", tuple(map(listed_again, world.ledger.roster[:3])))])
    window = world.transaction([world.setting("window_person_ms", MINUTE_MS)])
    assert [world.ledger.simulate(each, world.time_ms).code for each in (change, window)] == [0, 0]
    executed = world.block([])
    assert executed.roster is None
    assert world.ledger.parameters == DEFAULT
    assert len(world.ledger.roster) == 4


def test_readers_see_the_last_finished_block_while_one_is_open() -> None:
    world = World()
    change = world.setting("validators", tuple(map(listed_again, world.ledger.roster[:3])))
    both = world.transaction([change, world.setting("window_person_ms", MINUTE_MS)])
    ledger = world.ledger
    ledger.begin(1, world.time_ms + 1, world.version)
    assert ledger.apply(both).applied
    assert (len(ledger.roster), ledger.parameters) == (4, DEFAULT)
    for _ in ledger.finishing():
        assert (len(ledger.roster), ledger.parameters) == (4, DEFAULT)
    world.store(ledger.finish())
    assert (len(ledger.roster), ledger.parameters.window_person_ms) == (3, MINUTE_MS)


# --- validators: who is ready ---


def waiting(weight: int = 1, kind: Any = "devnet") -> World:
    """A world at the first checkpoint in which `new` waits with keys 1."""
    world = World(kind=kind)
    assert world.list_validators(listed("new", 1, weight)).applied
    world.reach(CHECKPOINT_HEIGHTS)
    return world


@pytest.mark.parametrize("by", [ALICE, BANK, CENTRAL])
def test_who_proves_ready_counts(by: int) -> None:
    world = waiting()
    operation = world.ready("new", 1, by=by)
    assert admission(world, operation) == Code.APPLIED
    executed = world.block([world.transaction([operation])])
    assert executed.receipts[0].applied
    assert seats(world)["new"] == Seat("new", 1, "", keys_at(1), None)
    assert keys_at(1).consensus_key in [member.consensus_key for member in members(world.ledger.roster)]
    assert executed.roster == encode_roster(world.ledger.roster)
    expect(world, operation, code=Code.NOT_AWAITED)


def test_new_keys_take_the_place_of_the_old_ones() -> None:
    world = World()
    assert world.list_validators(listed("v1", 1)).applied
    world.reach(CHECKPOINT_HEIGHTS)
    old = seats(world)["v1"].current
    assert world.run(world.ready("v1", 1)).applied
    assert seats(world)["v1"] == Seat("v1", 1, "", keys_at(1), None)
    assert old not in [seat.current for seat in world.ledger.roster]
    assert len(members(world.ledger.roster)) == 4


def test_a_list_and_its_proof_may_come_in_one_transaction() -> None:
    world = World()
    world.reach(CHECKPOINT_HEIGHTS)
    rows = tuple(sorted([*map(listed_again, world.ledger.roster), listed("new", 1)]))
    operations = (world.setting("validators", rows), world.ready("new", 1, by=CENTRAL))
    assert admission(world, *operations) == Code.APPLIED
    assert world.run(*operations).applied
    assert seats(world)["new"].current == keys_at(1)


def test_readiness_that_is_not_awaited_or_not_proven_is_refused() -> None:
    world = waiting()
    good = world.ready("new", 1)
    for bad, code in (
        (good._replace(name="nobody"), Code.NOT_AWAITED),
        (good._replace(name="v0"), Code.NOT_AWAITED),
        (good._replace(height=0), Code.CHECKPOINT),
        (good._replace(height=CHECKPOINT_HEIGHTS + 1), Code.CHECKPOINT),
        (good._replace(height=2 * CHECKPOINT_HEIGHTS), Code.CHECKPOINT),
        (good._replace(root=bytes(32)), Code.CHECKPOINT),
        (world.ready("new", 1, (0, World().ledger.root)), Code.CHECKPOINT),
        (world.ready("new", 1, (CHECKPOINT_HEIGHTS - 1, world.ledger.root_before)), Code.CHECKPOINT),
        (good._replace(signature=bytes(64)), Code.NOT_READY),
        (world.ready("new", 2), Code.NOT_READY),
        (good._replace(signature=world.ready("v0", 1).signature), Code.NOT_READY),
    ):
        assert admission(world, bad) == code
        expect(world, bad, code=code)
    with pytest.raises(Refused) as refused:
        world.transaction([good._replace(by=NOBODY)], accounts=[ALICE])
    assert refused.value.code == Code.NOT_SIGNED
    assert world.run(good).applied


def test_a_closed_account_carries_no_proof() -> None:
    world = World({BOB: Override(flags=CLOSED)})
    assert world.list_validators(listed("new", 1)).applied
    world.reach(CHECKPOINT_HEIGHTS)
    expect(world, world.ready("new", 1, by=BOB), code=Code.ROLE)


def test_a_proof_is_of_the_keys_that_wait_now() -> None:
    world = waiting()
    first = world.ready("new", 1)
    assert world.list_validators(listed("new", 2)).applied
    expect(world, first, code=Code.NOT_READY)
    assert world.run(world.ready("new", 2)).applied


def test_a_heavy_newcomer_waits_until_others_are_ready() -> None:
    world = World(kind="pilot")
    assert world.list_validators(listed("a", 1, 2), listed("b", 2, 2)).applied  # 4 + 2 + 2: none above 2 of 8
    world.reach(CHECKPOINT_HEIGHTS)
    expect(world, world.ready("a", 1), code=Code.COMMITTEE)  # 2 of 6
    doubled = [listed_again(seats(world)[f"v{i}"])._replace(weight=2) for i in range(4)]
    assert world.list_validators(*doubled).applied
    assert world.run(world.ready("a", 1), world.ready("b", 2)).applied
    assert [member.weight for member in members(world.ledger.roster)] == [2] * 6


def test_a_proof_is_good_for_four_thousand_heights() -> None:
    world = waiting()
    first = world.ready("new", 1)
    last = CHECKPOINT_HEIGHTS + CHECKPOINT_HEIGHTS * CHECKPOINTS_MAX
    assert last - CHECKPOINT_HEIGHTS == 4_096
    world.reach(last)
    assert world.ledger.simulate(world.transaction([first]), world.time_ms).applied
    assert CHECKPOINT + CHECKPOINT_HEIGHTS.to_bytes(8, "big") in world.reader.rows
    world.reach(last + 1)
    reopened = world.reopened()
    for ledger in (world.ledger, reopened):
        assert ledger.simulate(world.transaction([first]), world.time_ms).code == Code.CHECKPOINT
    rows = [key for key in world.reader.rows if key[:1] == CHECKPOINT]
    assert len(rows) == CHECKPOINTS_MAX
    assert CHECKPOINT + CHECKPOINT_HEIGHTS.to_bytes(8, "big") not in rows
    assert world.ledger.checkpoint == reopened.checkpoint
    assert world.run(world.ready("new", 1)).applied


def test_checkpoints_are_the_roots_of_their_heights_before_and_after_a_restart() -> None:
    world = World()
    assert world.ledger.checkpoint is None
    roots: dict[int, bytes] = {}
    for height in range(1, 3 * CHECKPOINT_HEIGHTS + 2):
        executed = world.block([])
        roots[height] = world.ledger.root
        newest = height - height % CHECKPOINT_HEIGHTS
        expected = (newest, roots[newest]) if newest else None
        assert world.ledger.checkpoint == expected
        assert world.reopened().checkpoint == expected
        written = {key: row for key, row in executed.changes.items() if key[:1] == CHECKPOINT}
        if height > 1 and height % CHECKPOINT_HEIGHTS == 1:
            key = CHECKPOINT + (height - 1).to_bytes(8, "big")
            assert written == {key: encode(roots[height - 1])}
            assert verify_proof(executed.state_tree_root, key, written[key], world.ledger.prove(key))
        else:
            assert written == {}


def test_a_restart_between_listing_and_proof_changes_nothing() -> None:
    straight, broken = waiting(), waiting()
    for world in (straight, broken):
        operation = world.ready("new", 1)
        if world is broken:
            world.ledger = world.reopened()
        assert world.run(operation).applied
        if world is broken:
            world.ledger = world.reopened()
        world.ledger.audit()
    assert straight.ledger.root == broken.ledger.root
    assert straight.ledger.roster == broken.ledger.roster


# --- whatever the central bank does, the next block has a committee ---

NAMES = ("v0", "v1", "v2", "v3", "a", "b", "c")
ROW_CHANGES = st.lists(  # name, whose keys (None: those that it has), weight (0: removed)
    st.tuples(st.sampled_from(NAMES), st.one_of(st.none(), st.integers(0, 6)), st.integers(0, 3)),
    max_size=4,
    unique_by=lambda row: row[0],
)


def relisted(world: World, changes: list[tuple[str, int | None, int]]) -> SetParameter:
    """Return the list that these changes make of the roster as it is."""
    rows = {seat.name: listed_again(seat) for seat in world.ledger.roster}
    for name, index, weight in changes:
        row = rows.get(name, listed(name, NAMES.index(name))) if index is None else listed(name, index)
        rows[name] = row._replace(weight=weight)
    kept = [row for row in rows.values() if row.weight]
    return world.setting("validators", tuple(sorted(kept)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ROW_CHANGES, st.sets(st.sampled_from(NAMES))), min_size=1, max_size=6), st.booleans())
def test_after_any_accepted_change_the_members_make_a_committee(changes: list[Any], devnet: bool) -> None:
    world = World(kind="devnet" if devnet else "pilot")
    world.reach(CHECKPOINT_HEIGHTS)
    secrets = {keys_at(index): index for index in range(len(NAMES))}
    for rows, ready in changes:
        world.block([world.transaction([relisted(world, rows)])])
        proofs = [
            world.ready(seat.name, secrets[seat.next])
            for seat in world.ledger.roster
            if seat.name in ready and seat.next in secrets
        ]
        world.block([world.transaction([proof]) for proof in proofs])
        voters = [Validator(PublicKey(row.consensus_key), row.weight) for row in members(world.ledger.roster)]
        Committee(1, voters, allow_dominant=devnet)  # raises unless they make one
        assert decode_roster(encode_roster(world.ledger.roster)) == world.ledger.roster
        world.ledger.audit()
    assert world.reopened().roster == world.ledger.roster


# --- the same for ever, and in words ---


def scripted() -> World:
    world = World(kind="pilot")
    assert world.list_validators(listed("new", 1, 1, "new.kg:1"), listed("v1", 2)).applied
    assert world.set("tiers", (*DEFAULT.tiers, Tier(9, 1, 2, 3))).applied
    world.reach(2 * CHECKPOINT_HEIGHTS)
    assert world.run(world.ready("new", 1), world.ready("v1", 2)).applied
    world.reach(3 * CHECKPOINT_HEIGHTS + 1)
    return world


def test_a_fixed_chain_of_changes_has_the_same_root_for_ever() -> None:
    # Changes only with a new version of the ledger's bytes or rules: docs/ledger.md.
    assert scripted().ledger.root.hex() == "7731d16d04adcf6d4303207333a4352d5b37baedf60d73d40afc00eeea040ce9"


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (SetParameter(CENTRAL, "day_offset_ms", SEEN, -5), {"milliseconds": -5}),
        (SetParameter(CENTRAL, "tiers", SEEN, (Tier(1, 2, 3, 4),)), {
            "tiers": [{"number": 1, "out_per_transaction": "2", "out_per_day": "3", "balance_max": "4"}]
        }),
        (SetParameter(CENTRAL, "openers", SEEN, (Opener(4, 1 << 11),)), {
            "openers": [{"kind": "bank", "kinds": ["person"]}]
        }),
        (SetParameter(CENTRAL, "openers", SEEN, ()), {"openers": []}),
        (SetParameter(CENTRAL, "hold_max_ms", SEEN, HOUR_MS), {"milliseconds": HOUR_MS}),
        (SetParameter(CENTRAL, "protocol_version", SEEN, 7), {"version": 7}),
        (SetParameter(CENTRAL, "attesters", SEEN, (Attesters("gold", (BANK,)),)), {
            "attesters": [{"schema": "gold", "accounts": [f"{BANK:016}"]}]
        }),
        (SetParameter(CENTRAL, "attesters", SEEN, ()), {"attesters": []}),
        (SetParameter(CENTRAL, "validators", SEEN, (Listed("n", 2, "h:1", b"k" * 32, b"l" * 32),)), {
            "validators": [
                {"name": "n", "weight": 2, "address": "h:1", "consensus_key": "6b" * 32, "node_key": "6c" * 32}
            ]
        }),
    ],
)  # fmt: skip
def test_a_change_is_shown_in_words(operation: SetParameter, expected: dict[str, object]) -> None:
    base = {"type": "set_parameter", "by": f"{CENTRAL:016}", "parameter": operation.key, "based_on": "73" * 32}
    assert json.loads(msgspec.json.encode(operation_view(operation))) == base | expected


def test_a_proof_is_shown_in_words() -> None:
    assert msgspec.to_builtins(operation_view(ProveReady(ALICE, "n", 16, b"r" * 32, b"s" * 64))) == {
        "type": "prove_ready", "by": f"{ALICE:016}", "validator": "n", "height": 16, "root": "72" * 32,
        "signature": "73" * 64,
    }  # fmt: skip
