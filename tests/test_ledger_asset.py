"""The register of assets: who registers, in which order what is refused, what a status stops, and the history."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.encoding import DecodeError, encode
from node.ledger.account import ASSET_MAX, CLOSED, Kind, kinds_mask
from node.ledger.account_ops import CloseAccount
from node.ledger.asset import (
    ASSETS_MAX,
    RegisterAsset,
    SetAssetStatus,
    StatusChange,
    change_key,
    changes_so_far,
    decode_change,
    encode_change,
)
from node.ledger.assets import Asset, AssetStatus, Attested, Backing, OnLedger, encode_asset
from node.ledger.commitment import verify_proof
from node.ledger.errors import Code, InvariantViolation, Refused
from node.ledger.execute import Executed
from node.ledger.operations import Operation, operation_value
from node.ledger.pay import Pay
from node.ledger.records import Records
from node.ledger.state import asset_key
from node.ledger.transaction import decode_transaction
from tests.ledger_world import (
    ALICE,
    AUDITOR,
    BANK,
    BOB,
    CENTRAL,
    CENTS,
    DEAD,
    ENFORCER,
    GOLD,
    GOLD_ISSUER,
    HALTED,
    ISSUER,
    KGST,
    KGST_ISSUER,
    KGST_RESERVE,
    NETWORK,
    NOBODY,
    PARAMETERS,
    REGISTRAR,
    SPARE_ISSUER,
    SPARE_RESERVE,
    TREASURY,
    Override,
    World,
    make_genesis,
)

SOM = 1
NEW = 40  # an id that no asset has
ALL = kinds_mask(Kind)
BASIS = b"l" * 32
HASH = b"h" * 32
REGISTERED, SUSPENDED, REVOKED = (int(status) for status in AssetStatus)
GENESIS_HASH = make_genesis().hash


def a_world(overrides: dict[int, Override] | None = None) -> World:
    return World(overrides, PARAMETERS)


def registration(**changes: Any) -> RegisterAsset:
    """Return one that is allowed."""
    sound = RegisterAsset(REGISTRAR, NEW, "NEW1", 3, SPARE_ISSUER, 1_000, None, ALL, ALL, BASIS)
    return sound._replace(**changes)


def status(asset: int, new: int, by: int = REGISTRAR, basis: bytes = BASIS) -> SetAssetStatus:
    return SetAssetStatus(by, asset, new, basis)


def written(executed: Executed) -> set[bytes]:
    """Return the tables that a block wrote, but for those that every block writes."""
    return {key[:1] for key in executed.changes} - {b"w", b"I", b"M", b"c"}


def expect(world: World, *operations: Operation, code: Code) -> None:
    """Refused with this code by its last operation, without a trace."""
    assets = world.ledger.assets()
    transaction = world.transaction(operations)
    assert world.ledger.simulate(transaction, world.time_ms).code == code
    executed = world.block([transaction])
    assert (executed.receipts[0].code, executed.receipts[0].op) == (code, len(operations) - 1)
    assert written(executed) == set()
    assert world.ledger.assets() == assets


def admission(world: World, *operations: Any) -> Code:
    try:
        world.ledger.admit(world.transaction(operations), world.time_ms)
    except Refused as refused:
        return refused.code
    return Code.APPLIED


def history(world: World, asset: int) -> list[StatusChange]:
    records = Records(world.reader)
    rows = [records.get(change_key(asset, number)) for number in range(changes_so_far(records, asset))]
    return [decode_change(row) for row in rows if row is not None]


# --- register ---


def test_a_registered_asset_is_issued_moved_and_redeemed() -> None:
    world = a_world()
    operation = registration()
    assert admission(world, operation) == Code.APPLIED
    transaction = world.transaction([operation])
    executed = world.block([transaction])
    assert executed.receipts[0].applied
    asset = Asset("NEW1", 3, SPARE_ISSUER, REGISTERED, 1_000, None, ALL, ALL, BASIS)
    assert world.ledger.asset(NEW) == asset
    assert world.reopened().asset(NEW) == asset
    for key in (asset_key(NEW), change_key(NEW, 0)):
        row = world.ledger.value(key)
        assert row is not None
        assert verify_proof(executed.state_tree_root, key, row, world.ledger.prove(key))
    change = StatusChange(REGISTERED, REGISTRAR, BASIS, world.time_ms, 1, transaction.id)
    assert history(world, NEW) == [change]
    assert world.pay(SPARE_ISSUER, ALICE, 1_000, NEW).applied
    assert world.pay(SPARE_ISSUER, ALICE, 1, NEW).code == Code.MAX_SUPPLY
    assert world.pay(ALICE, BOB, 400, NEW).applied
    assert world.pay(BOB, SPARE_ISSUER, 400, NEW).applied
    assert world.ledger.supply(NEW) == 600
    assert world.ledger.audit()[NEW] == 600


@pytest.mark.parametrize("by", [CENTRAL, ISSUER, TREASURY, BANK, ENFORCER, AUDITOR, ALICE])
def test_only_a_registrar_registers(by: int) -> None:
    world = a_world()
    assert admission(world, registration(by=by)) == Code.ROLE
    expect(world, registration(by=by), code=Code.ROLE)
    expect(a_world({REGISTRAR: Override(flags=CLOSED)}), registration(), code=Code.ROLE)


def test_a_registrar_does_not_register_som() -> None:
    world = a_world()
    expect(world, registration(asset=SOM), code=Code.ROLE)
    expect(world, registration(asset=SOM, by=CENTRAL), code=Code.ASSET_EXISTS)


CLOSED_ISSUER: dict[int, Override] = {SPARE_ISSUER: Override(flags=CLOSED)}
CLOSED_RESERVE: dict[int, Override] = {SPARE_RESERVE: Override(flags=CLOSED)}
RICH_ISSUER: dict[int, Override] = {SPARE_ISSUER: Override(holdings=((HALTED, 1, 0),))}

# In the order of the rules: each case breaks its own rule and all that come after it.
UNKNOWN = Attested("silver", 10_000, 1)
REFUSALS: list[tuple[dict[int, Override], dict[str, Any], Code]] = [
    ({}, {"by": BANK, "asset": KGST, "issuer": NOBODY, "backing": UNKNOWN}, Code.ROLE),
    ({}, {"asset": KGST, "issuer": NOBODY, "backing": UNKNOWN}, Code.ASSET_EXISTS),
    ({}, {"code": "KGST", "issuer": NOBODY, "backing": UNKNOWN}, Code.ASSET_EXISTS),
    ({}, {"code": "DEAD", "issuer": NOBODY}, Code.ASSET_EXISTS),  # a code is never given again
    ({}, {"issuer": NOBODY, "backing": UNKNOWN}, Code.NO_ACCOUNT),
    (CLOSED_ISSUER, {"backing": UNKNOWN}, Code.NO_ACCOUNT),
    ({}, {"issuer": BANK, "backing": OnLedger(NOBODY, 99)}, Code.FIELD),
    ({}, {"issuer": KGST_RESERVE}, Code.FIELD),
    ({}, {"issuer": ISSUER, "backing": UNKNOWN}, Code.ISSUER_TAKEN),
    ({}, {"issuer": KGST_ISSUER, "backing": OnLedger(NOBODY, 99)}, Code.ISSUER_TAKEN),
    (RICH_ISSUER, {"backing": OnLedger(NOBODY, 99)}, Code.FIELD),
    ({}, {"backing": OnLedger(NOBODY, 99)}, Code.NO_ASSET),
    ({}, {"backing": OnLedger(NOBODY, NEW)}, Code.NO_ASSET),
    ({}, {"backing": OnLedger(NOBODY, SOM)}, Code.NO_ACCOUNT),
    (CLOSED_RESERVE, {"backing": OnLedger(SPARE_RESERVE, SOM)}, Code.NO_ACCOUNT),
    ({}, {"backing": OnLedger(BANK, SOM)}, Code.FIELD),
    ({}, {"backing": OnLedger(SPARE_ISSUER, SOM)}, Code.FIELD),
    ({}, {"backing": OnLedger(KGST_RESERVE, SOM)}, Code.RESERVE_TAKEN),
    ({}, {"backing": UNKNOWN}, Code.FIELD),
]


@pytest.mark.parametrize(("overrides", "changes", "code"), REFUSALS)
def test_the_first_rule_that_is_broken_is_named(
    overrides: dict[int, Override], changes: dict[str, Any], code: Code
) -> None:
    expect(a_world(overrides), registration(**changes), code=code)


def test_two_of_one_code_issuer_or_reserve_do_not_pass_in_one_block() -> None:
    first = registration(backing=OnLedger(SPARE_RESERVE, SOM))
    for second, code in (
        (registration(), Code.ASSET_EXISTS),
        (registration(asset=41), Code.ASSET_EXISTS),
        (registration(asset=41, code="NEW2"), Code.ISSUER_TAKEN),
    ):
        expect(a_world(), first, second, code=code)
        world = a_world()
        receipts = world.block([world.transaction([first]), world.transaction([second])]).receipts
        assert [receipt.code for receipt in receipts] == [Code.APPLIED, code]


def test_an_attested_asset_needs_a_schema_of_the_parameters() -> None:
    world = a_world()
    assert world.run(registration(backing=Attested("crypto-reserve", 15_000, 1))).applied
    assert world.pay(SPARE_ISSUER, ALICE, 1, NEW).code == Code.NO_ATTESTATION


def test_an_asset_backed_on_the_ledger_is_held_to_it() -> None:
    world = a_world()
    world.fund(BANK, amount=1_000)
    assert world.run(registration(backing=OnLedger(SPARE_RESERVE, SOM))).applied  # scale 3: 10 for each tyiyn
    assert world.pay(SPARE_ISSUER, BANK, 1, NEW).code == Code.UNBACKED
    deposit, issue = Pay(SOM, BANK, ((SPARE_RESERVE, 20, b""),)), Pay(NEW, SPARE_ISSUER, ((BANK, 200, b""),))
    assert world.run(deposit, issue).applied
    assert world.pay(SPARE_ISSUER, BANK, 1, NEW).code == Code.UNBACKED
    assert world.pay(SPARE_RESERVE, BANK, 1).code == Code.RESERVE_FLOOR
    assert world.pay(BANK, SPARE_ISSUER, 10, NEW).applied
    assert world.pay(SPARE_RESERVE, BANK, 1).applied
    world.ledger.audit()
    world.ledger = world.reopened()
    assert world.pay(SPARE_RESERVE, BANK, 1).code == Code.RESERVE_FLOOR


def test_an_issuer_and_a_reserve_stay_open_from_the_registration_on() -> None:
    world = a_world()
    register = registration(backing=OnLedger(SPARE_RESERVE, SOM))
    for number in (SPARE_ISSUER, SPARE_RESERVE):
        expect(world, register, CloseAccount(number, number), code=Code.NOT_EMPTY)
        assert world.ledger.simulate(world.transaction([CloseAccount(number, number)]), world.time_ms).applied


def test_there_are_a_thousand_assets_at_the_most() -> None:
    world = a_world()
    asset = Asset("X", 0, NOBODY, REVOKED, 1, None, 0, 0, b"")
    for number in range(1_000, 1_000 + ASSETS_MAX - len(world.ledger.assets()) - 1):
        world.ledger._state.set_asset(number, asset._replace(code=f"X{number}"))
    assert world.run(registration()).applied
    assert len(world.ledger.assets()) == ASSETS_MAX
    expect(world, registration(asset=41, code="NEW2", issuer=NOBODY), code=Code.FIELD)


# --- status ---


def test_som_is_the_central_banks_all_others_are_the_registrars() -> None:
    world = a_world()
    for asset, by in ((SOM, REGISTRAR), (KGST, CENTRAL), (KGST, KGST_ISSUER), (SOM, ISSUER), (SOM, ALICE)):
        assert admission(world, status(asset, SUSPENDED, by)) == Code.ROLE
        expect(world, status(asset, SUSPENDED, by), code=Code.ROLE)
    assert world.run(status(SOM, SUSPENDED, CENTRAL)).applied
    assert world.pay(ISSUER, BANK, 1).code == Code.ASSET_SUSPENDED
    assert world.run(status(SOM, REGISTERED, CENTRAL)).applied
    world.fund(BANK)
    for by, asset in ((REGISTRAR, KGST), (CENTRAL, SOM)):
        expect(a_world({by: Override(flags=CLOSED)}), status(asset, SUSPENDED, by), code=Code.ROLE)


@pytest.mark.parametrize(
    ("asset", "new", "allowed"),
    [
        (KGST, REGISTERED, False),
        (KGST, SUSPENDED, True),
        (KGST, REVOKED, True),
        (HALTED, REGISTERED, True),
        (HALTED, SUSPENDED, False),
        (HALTED, REVOKED, True),
        (DEAD, REGISTERED, False),
        (DEAD, SUSPENDED, False),
        (DEAD, REVOKED, False),
    ],
)
def test_which_status_follows_which(asset: int, new: int, allowed: bool) -> None:
    world = a_world()
    if not allowed:
        return expect(world, status(asset, new), code=Code.STATUS)
    before = world.ledger.asset(asset)
    assert before is not None
    assert world.run(status(asset, new)).applied
    assert world.ledger.asset(asset) == before._replace(status=new)
    assert world.reopened().assets() == world.ledger.assets()


def test_the_order_of_the_rules_of_a_status() -> None:
    world = a_world()
    expect(world, status(NEW, REGISTERED, BANK), code=Code.NO_ASSET)
    expect(world, status(DEAD, REGISTERED, BANK), code=Code.ROLE)
    expect(world, status(DEAD, REGISTERED), code=Code.STATUS)


@pytest.mark.parametrize(("new", "code"), [(SUSPENDED, Code.ASSET_SUSPENDED), (REVOKED, Code.ASSET_REVOKED)])
def test_what_is_suspended_or_revoked_can_only_be_redeemed(new: int, code: Code) -> None:
    world = a_world()
    world.fund(BANK, amount=10_000)
    deposit, issue = Pay(SOM, BANK, ((KGST_RESERVE, 500, b""),)), Pay(KGST, KGST_ISSUER, ((ALICE, 500, b""),))
    assert world.run(deposit, issue).applied
    stop, move = status(KGST, new), Pay(KGST, ALICE, ((BOB, 100, b""),))
    expect(world, stop, move, code=code)  # in one transaction, at once
    receipts = world.block([world.transaction([stop]), world.transaction([move])]).receipts
    assert [receipt.code for receipt in receipts] == [Code.APPLIED, code]
    assert world.pay(KGST_ISSUER, BOB, 1, KGST).code == code
    redeem, payout = Pay(KGST, ALICE, ((KGST_ISSUER, 500, b""),)), Pay(SOM, KGST_RESERVE, ((ALICE, 500, b""),))
    assert world.run(redeem, payout).applied
    assert world.ledger.supply(KGST) == 0
    assert world.balance(ALICE) == 500
    world.ledger.audit()


def test_every_change_is_kept_with_its_basis() -> None:
    world = a_world()
    assert history(world, KGST) == []  # genesis is where it comes from
    expected = []
    for new, basis in ((SUSPENDED, b"1" * 32), (REGISTERED, b"2" * 32), (SUSPENDED, b"3" * 32), (REVOKED, b"4" * 32)):
        transaction = world.transaction([status(KGST, new, basis=basis)])
        assert world.block([transaction]).receipts[0].applied
        height = world.ledger.height
        expected.append(StatusChange(new, REGISTRAR, basis, world.time_ms, height, transaction.id))
    expect(world, status(KGST, REGISTERED), code=Code.STATUS)
    assert history(world, KGST) == expected
    assert history(world, GOLD) == []
    asset = world.ledger.asset(KGST)
    assert asset is not None
    assert asset.basis == b""  # that of its registration


def test_several_changes_of_one_block_are_kept_in_order() -> None:
    world = a_world()
    changes = [status(KGST, SUSPENDED), status(KGST, REGISTERED), status(CENTS, REVOKED), status(KGST, REVOKED)]
    assert world.run(*changes).applied
    assert [change.status for change in history(world, KGST)] == [SUSPENDED, REGISTERED, REVOKED]
    assert [change.status for change in history(world, CENTS)] == [REVOKED]


# --- the audit ---


@pytest.mark.parametrize(
    ("key", "row"),
    [
        (change_key(KGST, 1), None),
        (change_key(KGST, 0), None),
        (change_key(KGST, 3), encode_change(StatusChange(SUSPENDED, REGISTRAR, BASIS, 1, 1, HASH))),
        (change_key(KGST, 2), encode_change(StatusChange(REVOKED, REGISTRAR, BASIS, 1, 1, HASH))),
        (change_key(99, 0), encode_change(StatusChange(SUSPENDED, REGISTRAR, BASIS, 1, 1, HASH))),
        (asset_key(KGST), None),
        (asset_key(99), encode_asset(Asset("X", 0, NOBODY, REVOKED, 1, None, 0, 0, b""))),
    ],
)
def test_the_audit_sees_a_register_that_is_not_its_history(key: bytes, row: bytes | None) -> None:
    world = a_world()
    assert world.run(status(KGST, SUSPENDED), status(KGST, REGISTERED), status(KGST, SUSPENDED)).applied
    world.ledger.audit()
    world.reader.store({key: row})
    with pytest.raises(InvariantViolation, match="asset"):
        world.ledger.audit()


# --- undo ---

BACKINGS: tuple[Backing, ...] = (None, OnLedger(SPARE_RESERVE, SOM), Attested("gold", 10_000, 1))
SOME_OPERATIONS = st.one_of(
    st.builds(
        registration,
        asset=st.sampled_from((NEW, 41, KGST)),
        code=st.sampled_from(("NEW1", "NEW2")),
        issuer=st.sampled_from((SPARE_ISSUER, GOLD_ISSUER)),
        backing=st.sampled_from(BACKINGS),
    ),
    st.builds(status, st.sampled_from((KGST, HALTED, NEW)), st.sampled_from((REGISTERED, SUSPENDED, REVOKED))),
    st.builds(lambda amount: Pay(NEW, SPARE_ISSUER, ((ALICE, amount, b""),)), st.integers(1, 600)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(SOME_OPERATIONS, min_size=1, max_size=4), max_size=6))
def test_what_fails_leaves_no_trace(transactions: list[list[Operation]]) -> None:
    """Each transaction is tried, too, with a last operation that fails; the ledger is as if that never came."""
    world, calm = a_world(), a_world()
    failing = status(99, REGISTERED)
    for operations in transactions:
        executed = world.block([world.transaction([*operations, failing])])
        assert not executed.receipts[0].applied
        assert written(executed) == set()
        both = [world.run(*operations).code, world.ledger.assets(), world.ledger._state.backed_by]
        world.ledger = world.reopened()  # what is in memory is what is stored
        assert [world.ledger.assets(), world.ledger._state.backed_by] == both[1:]
        assert [calm.run(*operations).code, calm.ledger.assets(), calm.ledger._state.backed_by] == both
    histories = [
        [[change[:3] for change in history(each, asset)] for asset in (NEW, 41, KGST, HALTED)] for each in (world, calm)
    ]
    assert histories[0] == histories[1]
    world.ledger.audit()


# --- the form ---


def decoded(*fields: object) -> Operation:
    body = encode((1, NETWORK, 1_000, 7, (REGISTRAR,), ((5, *fields),)))
    return decode_transaction(encode((body, ((0, b"k" * 32, b"s" * 64),))), GENESIS_HASH).operations[0]


SOUND = operation_value(registration())[1:]
STATUS_SOUND = (2, REGISTRAR, KGST, 2, BASIS)


def but(place: int, value: object, of: tuple[object, ...] = SOUND) -> tuple[object, ...]:
    return (*of[:place], value, *of[place + 1 :])


@pytest.mark.parametrize("backing", [*BACKINGS, Attested("a-1", 100_000, 2**53 - 1)])
def test_what_is_written_is_read_back(backing: Backing) -> None:
    operation = registration(backing=backing)
    assert decoded(*operation_value(operation)[1:]) == operation
    assert decoded(*STATUS_SOUND) == SetAssetStatus(*STATUS_SOUND[1:])


def test_the_bytes_of_a_registration_and_of_a_status_are_the_same_for_ever() -> None:
    by, issuer = (bytes((0xCF,)) + int(number).to_bytes(8, "big") for number in (REGISTRAR, SPARE_ISSUER))
    basis = b"\xc4\x20" + BASIS
    backing = b"\x94\x02\xa4gold\xcd\x27\x10\x05"
    kinds = b"\xcd\x1f\xfe\x10"
    registered = b"\x9c\x05\x01" + by + b"\x28\xa4NEW1\x03" + issuer + b"\xcd\x03\xe8" + backing + kinds + basis
    operation = registration(backing=Attested("gold", 10_000, 5), redeem_from=16)
    assert encode(operation_value(operation)) == registered
    assert encode(operation_value(status(KGST, SUSPENDED))) == b"\x96\x05\x02" + by + b"\x02\x02" + basis


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ((), Code.MALFORMED),
        ((0, *SOUND[1:]), Code.MALFORMED),
        ((3, *SOUND[1:]), Code.MALFORMED),
        (SOUND[:-1], Code.MALFORMED),
        ((*SOUND, 0), Code.MALFORMED),
        (but(2, 0), Code.MALFORMED),
        (but(2, ASSET_MAX + 1), Code.MALFORMED),
        (but(2, True), Code.MALFORMED),
        (but(3, ""), Code.MALFORMED),
        (but(3, "kgst"), Code.MALFORMED),
        (but(3, "СОМ"), Code.MALFORMED),
        (but(3, "A" * 13), Code.MALFORMED),
        (but(3, b"NEW1"), Code.MALFORMED),
        (but(4, 13), Code.MALFORMED),
        (but(4, -1), Code.MALFORMED),
        (but(5, 10**16), Code.MALFORMED),
        (but(6, 0), Code.AMOUNT),
        (but(6, 2**63), Code.AMOUNT),
        (but(6, -1), Code.AMOUNT),
        (but(6, True), Code.MALFORMED),
        (but(7, ()), Code.MALFORMED),
        (but(7, None), Code.MALFORMED),
        (but(7, (0, 0)), Code.MALFORMED),
        (but(7, (False,)), Code.MALFORMED),
        (but(7, (1, 0, SOM)), Code.MALFORMED),
        (but(7, (1, SPARE_RESERVE, 0)), Code.MALFORMED),
        (but(7, (True, SPARE_RESERVE, 1)), Code.MALFORMED),
        (but(7, (2, "gold", 0, 1)), Code.MALFORMED),
        (but(7, (2, "gold", 100_001, 1)), Code.MALFORMED),
        (but(7, (2, "gold", 1, 0)), Code.MALFORMED),
        (but(7, (2, "gold", 1, 2**53)), Code.MALFORMED),
        (but(7, (2, "Gold", 1, 1)), Code.MALFORMED),
        (but(7, (2, "g" * 33, 1, 1)), Code.MALFORMED),
        (but(7, (3,)), Code.MALFORMED),
        (but(8, 1), Code.MALFORMED),
        (but(8, 2**13), Code.MALFORMED),
        (but(9, ALL + 1), Code.MALFORMED),
        (but(10, b""), Code.BASIS),
        (but(10, b"b" * 31), Code.MALFORMED),
        (but(10, b"b" * 33), Code.MALFORMED),
        (but(10, "b" * 32), Code.MALFORMED),
        (STATUS_SOUND[:-1], Code.MALFORMED),
        (but(3, 0, STATUS_SOUND), Code.MALFORMED),
        (but(3, 4, STATUS_SOUND), Code.MALFORMED),
        (but(2, ASSET_MAX + 1, STATUS_SOUND), Code.MALFORMED),
        (but(2, 0, STATUS_SOUND), Code.MALFORMED),
        (but(4, b"", STATUS_SOUND), Code.BASIS),
        (but(1, ALICE), Code.NOT_SIGNED),
    ],
)
def test_a_wrong_form_is_refused_before_it_can_enter_a_block(fields: tuple[object, ...], code: Code) -> None:
    with pytest.raises(Refused) as refused:
        decoded(*fields)
    assert refused.value.code == code


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.binary(max_size=33), st.text(max_size=13),
        st.sampled_from((1, 2, 3, REGISTRAR, SPARE_RESERVE, "gold", "NEW1", BASIS)),
    ),
    lambda inner: st.lists(inner, max_size=12).map(tuple),
    max_leaves=24,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(VALUES, st.tuples(st.integers(0, len(SOUND) - 1), VALUES).map(lambda pair: but(*pair))))
def test_any_value_is_an_operation_or_refused(value: object) -> None:
    fields = value if isinstance(value, tuple) else (value,)
    try:
        operation = decoded(*fields)
    except Refused:
        return
    assert operation_value(operation) == (5, *fields)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_any_row_of_the_history_is_a_change_or_refused(value: object) -> None:
    row = encode(value)
    try:
        change = decode_change(row)
    except DecodeError:
        return
    assert encode(change) == row
