"""Attestations: who may say what, in which order what is refused, what is current, valid and backs an issue."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.encoding import DecodeError, encode
from node.ledger.account import CLOSED
from node.ledger.asset import RegisterAsset, SetAssetStatus
from node.ledger.assets import AssetStatus, Attested
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.attestations import (
    ATTESTATION,
    BY_SUBJECT,
    CURRENT,
    Attestation,
    attestations_of,
    current,
    decode_attestation,
    valid,
)
from node.ledger.commitment import verify_proof
from node.ledger.errors import Code, InvariantViolation, Refused
from node.ledger.execute import Executed
from node.ledger.holds import row_id
from node.ledger.operations import Operation, operation_value
from node.ledger.parameters import Attesters
from node.ledger.pay import Pay
from node.ledger.records import Records
from node.ledger.transaction import Transaction, decode_transaction
from tests.ledger_world import (
    ALICE,
    AUDITOR,
    BANK,
    BOB,
    CENTRAL,
    DAY_MS,
    GOLD,
    GOLD_ISSUER,
    INSPECTOR,
    MINUTE_MS,
    NETWORK,
    PARAMETERS,
    REGISTRAR,
    SPARE_ISSUER,
    START_MS,
    Override,
    World,
    make_genesis,
)

SCHEMA, SUBJECT = "delivered", "contract 7"
EVIDENCE = b"e" * 32
GENESIS_HASH = make_genesis().hash


def a_world(overrides: dict[int, Override] | None = None) -> World:
    return World(overrides, PARAMETERS)


def saying(**changes: Any) -> Attest:
    """Return one that is allowed at the start, of a contract."""
    return Attest(AUDITOR, SCHEMA, SUBJECT, 1, START_MS, 0, EVIDENCE, b"")._replace(**changes)


def gold(world: World, value: int, revokes: bytes = b"", **changes: Any) -> Attest:
    """Return the word of now that there is so much gold, in minor units of USDKG."""
    return saying(schema="gold", subject="USDKG", value=value, as_of_ms=world.time_ms, revokes=revokes, **changes)


def written(executed: Executed) -> set[bytes]:
    """Return the tables that a block wrote, but for those that every block writes."""
    return {key[:1] for key in executed.changes} - {b"w", b"I", b"M", b"c"}


def expect(world: World, *operations: Operation, code: Code) -> None:
    """Refused with this code by its last operation, without a trace."""
    transaction = world.transaction(operations)
    assert world.ledger.simulate(transaction, world.time_ms).code == code
    executed = world.block([transaction], later_ms=0)
    assert (executed.receipts[0].code, executed.receipts[0].op) == (code, len(operations) - 1)
    assert written(executed) == set()


def admission(world: World, *operations: Any) -> Code:
    try:
        world.ledger.admit(world.transaction(operations), world.time_ms)
    except Refused as refused:
        return refused.code
    return Code.APPLIED


def say(world: World, operation: Attest) -> bytes:
    """Let it be said; return the attestation's id."""
    transaction = world.transaction([operation])
    assert world.block([transaction]).receipts[0].applied
    return attestation_id(transaction)


def attestation_id(transaction: Transaction, op: int = 0) -> bytes:
    return row_id(transaction.id, op, 0)


def stored(world: World) -> Records:
    """Return the rows as they are stored."""
    return Records(world.reader)


# --- who may say it, and what then is so ---


@pytest.mark.parametrize("by", [AUDITOR, INSPECTOR])
def test_what_is_said_is_a_row_that_can_be_proven(by: int) -> None:
    world = a_world()
    operation = saying(by=by, until_ms=START_MS + DAY_MS)
    assert admission(world, operation) == Code.APPLIED
    transaction = world.transaction([operation])
    executed = world.block([transaction])
    assert executed.receipts[0].applied
    assert written(executed) == {ATTESTATION, CURRENT, BY_SUBJECT}
    expected = Attestation(*operation[1:7], by, world.time_ms, 1, transaction.id)
    name = attestation_id(transaction)
    assert current(stored(world), SCHEMA, SUBJECT) == (name, expected)
    assert list(attestations_of(stored(world), SCHEMA, SUBJECT)) == [(name, expected)]
    row = world.ledger.value(ATTESTATION + name)
    assert row == encode(expected)
    assert verify_proof(executed.state_tree_root, ATTESTATION + name, row, world.ledger.prove(ATTESTATION + name))
    assert BY_SUBJECT not in {key[:1] for key in executed.changes if key[:1].islower()}


def test_only_those_whom_the_schema_lists() -> None:
    world = a_world()
    for operation in (saying(by=CENTRAL), saying(by=ALICE), saying(by=INSPECTOR, schema="gold")):
        assert admission(world, operation) == Code.ROLE
        expect(world, operation, code=Code.ROLE)
    assert admission(world, saying(schema="weather")) == Code.ATTEST
    expect(world, saying(schema="weather"), code=Code.ATTEST)
    expect(world, saying(schema="weather", by=ALICE), code=Code.ATTEST)
    expect(a_world({AUDITOR: Override(flags=CLOSED)}), saying(), code=Code.ROLE)


def test_a_new_list_judges_from_the_next_block_on() -> None:
    world = a_world()
    table = (*PARAMETERS.attesters[:1], Attesters(SCHEMA, (ALICE,)), PARAMETERS.attesters[2])
    first = say(world, saying())
    assert world.set("attesters", table).applied
    expect(world, saying(revokes=first), code=Code.ROLE)
    expect(world, RevokeAttestation(AUDITOR, first), code=Code.ROLE)
    second = say(world, saying(by=ALICE, revokes=first))
    assert world.set("attesters", table[:1]).applied
    expect(world, saying(by=ALICE, revokes=second), code=Code.ATTEST)
    expect(world, RevokeAttestation(ALICE, second), code=Code.ROLE)
    assert valid(stored(world), SCHEMA, SUBJECT, world.time_ms) is not None  # what was said counts on


# --- compare and set ---


def test_who_attests_names_what_it_replaces() -> None:
    world = a_world()
    expect(world, saying(revokes=b"x" * 16), code=Code.NO_ATTESTATION)
    first = say(world, saying())
    expect(world, saying(), code=Code.NO_ATTESTATION)
    expect(world, saying(revokes=b"x" * 16), code=Code.NO_ATTESTATION)
    second = say(world, saying(by=INSPECTOR, value=2, revokes=first))
    expect(world, saying(revokes=first), code=Code.NO_ATTESTATION)
    found = current(stored(world), SCHEMA, SUBJECT)
    assert found is not None
    assert (found[0], found[1].value) == (second, 2)
    old = decode_attestation(world.reader.rows[ATTESTATION + first])
    assert (old.value, old.revoked_ms, old.revoked_by) == (1, world.time_ms, INSPECTOR)
    assert [name for name, _ in attestations_of(stored(world), SCHEMA, SUBJECT)] == [first, second]


def test_two_that_attest_at_once_cannot_undo_each_other() -> None:
    world = a_world()
    first = say(world, saying())
    pair = [world.transaction([saying(by=by, value=5, revokes=first)]) for by in (AUDITOR, INSPECTOR)]
    assert [receipt.code for receipt in world.block(pair).receipts] == [Code.APPLIED, Code.NO_ATTESTATION]
    found = current(stored(world), SCHEMA, SUBJECT)
    assert found is not None
    assert found[1].by == AUDITOR


def test_subjects_and_schemas_do_not_touch_each_other() -> None:
    world = a_world()
    one = say(world, saying(subject="a"))
    two = say(world, saying(subject="ab"))
    three = say(world, saying(subject="a", schema="gold"))
    for schema, subject, name in ((SCHEMA, "a", one), (SCHEMA, "ab", two), ("gold", "a", three)):
        found = current(stored(world), schema, subject)
        assert found is not None
        assert found[0] == name
        assert [each for each, _ in attestations_of(stored(world), schema, subject)] == [name]
    assert current(stored(world), SCHEMA, "b") is None


def test_a_schema_and_a_subject_cannot_be_read_as_another_pair() -> None:
    table = (Attesters("ab", (AUDITOR,)), Attesters("abc", (AUDITOR,)))
    world = World(parameters=PARAMETERS._replace(attesters=table))
    say(world, saying(schema="ab", subject="cd"))
    assert current(stored(world), "abc", "d") is None
    say(world, saying(schema="abc", subject="d"))


# --- times ---


def test_the_times_of_an_attestation() -> None:
    world = a_world()
    now = world.time_ms
    for bad in (
        saying(as_of_ms=now + 1),
        saying(until_ms=now),
        saying(until_ms=1),
        saying(as_of_ms=now - 5, until_ms=now - 1),
    ):
        expect(world, bad, code=Code.ATTEST)
        assert admission(world, bad) == Code.APPLIED  # its time may still come
    first = say(world, saying(as_of_ms=now - 5, until_ms=now + 1_001))
    world.time_ms = now + 1_000
    expect(world, saying(as_of_ms=now - 6, revokes=first), code=Code.ATTEST)
    assert world.ledger.simulate(world.transaction([saying(as_of_ms=now - 5, revokes=first)]), 0).applied
    expect(world, saying(as_of_ms=now - 6, revokes=b""), code=Code.NO_ATTESTATION)  # the order of the rules


def test_an_attestation_ends() -> None:
    world = a_world()
    say(world, saying(until_ms=START_MS + DAY_MS))
    assert valid(stored(world), SCHEMA, SUBJECT, START_MS + DAY_MS - 1) is not None
    assert valid(stored(world), SCHEMA, SUBJECT, START_MS + DAY_MS) is None
    assert current(stored(world), SCHEMA, SUBJECT) is not None  # it is still what a new one replaces
    assert valid(stored(world), SCHEMA, "another", START_MS) is None


def test_one_without_an_end_is_valid_until_it_is_revoked() -> None:
    world = a_world()
    name = say(world, saying())
    assert valid(stored(world), SCHEMA, SUBJECT, 2**53) is not None
    assert world.run(RevokeAttestation(INSPECTOR, name)).applied
    assert valid(stored(world), SCHEMA, SUBJECT, world.time_ms) is None


# --- revoke ---


def test_revoked_is_not_deleted() -> None:
    world = a_world()
    name = say(world, saying())
    expect(world, RevokeAttestation(AUDITOR, b"x" * 16), code=Code.NO_ATTESTATION)
    expect(world, RevokeAttestation(ALICE, b"x" * 16), code=Code.NO_ATTESTATION)
    expect(world, RevokeAttestation(ALICE, name), code=Code.ROLE)
    executed = world.block([world.transaction([RevokeAttestation(INSPECTOR, name)])])
    assert executed.receipts[0].applied
    assert current(stored(world), SCHEMA, SUBJECT) is None
    [(found, row)] = attestations_of(stored(world), SCHEMA, SUBJECT)
    assert (found, row.revoked_ms, row.revoked_by) == (name, world.time_ms, INSPECTOR)
    expect(world, RevokeAttestation(INSPECTOR, name), code=Code.NO_ATTESTATION)
    expect(world, RevokeAttestation(ALICE, name), code=Code.ROLE)
    expect(world, saying(revokes=name), code=Code.NO_ATTESTATION)
    say(world, saying(as_of_ms=1))  # nothing to compare with: an older day may be told of
    closed = a_world({INSPECTOR: Override(flags=CLOSED)})
    expect(closed, RevokeAttestation(INSPECTOR, say(closed, saying())), code=Code.ROLE)


def test_what_was_replaced_cannot_be_revoked() -> None:
    world = a_world()
    first = say(world, saying())
    second = say(world, saying(revokes=first))
    expect(world, RevokeAttestation(AUDITOR, first), code=Code.NO_ATTESTATION)
    assert world.run(RevokeAttestation(AUDITOR, second)).applied


# --- attested backing ---


def test_gold_is_issued_as_far_as_it_is_attested() -> None:
    world = a_world()
    assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).code == Code.NO_ATTESTATION
    say(world, gold(world, 1_000))
    assert world.pay(GOLD_ISSUER, ALICE, 1_001, GOLD).code == Code.UNBACKED
    assert world.pay(GOLD_ISSUER, ALICE, 600, GOLD).applied
    assert world.pay(GOLD_ISSUER, BOB, 401, GOLD).code == Code.UNBACKED
    assert world.pay(GOLD_ISSUER, BOB, 400, GOLD).applied
    assert world.pay(GOLD_ISSUER, BOB, 10**15, GOLD).code == Code.MAX_SUPPLY
    assert world.pay(GOLD_ISSUER, BOB, 1, GOLD).code == Code.UNBACKED
    assert world.ledger.audit()[GOLD] == 1_000


def test_another_subject_or_schema_backs_nothing() -> None:
    world = a_world()
    say(world, gold(world, 1_000)._replace(subject="usdkg"))
    say(world, gold(world, 1_000)._replace(schema=SCHEMA))
    assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).code == Code.NO_ATTESTATION


@pytest.mark.parametrize("ratio", [1, 9_999, 10_000, 10_001, 15_000, 100_000])
@pytest.mark.parametrize("value", [0, 1, 999, 1_000_003])
def test_the_ratio_is_kept_to_the_last_unit(ratio: int, value: int) -> None:
    world = a_world()
    basis, everybody = b"b" * 32, 2**13 - 2
    backing = Attested("gold", ratio, DAY_MS)
    operation = RegisterAsset(REGISTRAR, 9, "TEST", 0, SPARE_ISSUER, 2**62, backing, everybody, everybody, basis)
    assert world.run(operation, gold(world, value)._replace(subject="TEST")).applied
    most = max(supply for supply in (value * 10_000 // ratio, 0) if supply * ratio <= value * 10_000)
    assert (most + 1) * ratio > value * 10_000
    assert world.pay(SPARE_ISSUER, ALICE, most + 1, 9).code == Code.UNBACKED
    assert most == 0 or world.pay(SPARE_ISSUER, ALICE, most, 9).applied
    world.ledger.audit()


def redeemed(world: World, payer: int = ALICE) -> bool:
    return world.pay(payer, GOLD_ISSUER, 1, GOLD).applied


@pytest.mark.parametrize(
    ("after_ms", "until_ms", "code"),
    [
        (DAY_MS, 0, Code.APPLIED),
        (DAY_MS + 1, 0, Code.ATTESTATION_OLD),  # older than the asset's max age
        (MINUTE_MS, MINUTE_MS, Code.ATTESTATION_OLD),  # ended
        (MINUTE_MS - 1, MINUTE_MS, Code.APPLIED),
    ],
)
def test_an_attestation_that_is_too_old_stops_issue_and_nothing_else(after_ms: int, until_ms: int, code: Code) -> None:
    world = a_world()
    said_ms = world.time_ms
    say(world, gold(world, 1_000, until_ms=until_ms and said_ms + until_ms))
    assert world.pay(GOLD_ISSUER, ALICE, 100, GOLD).applied
    world.time_ms = said_ms + after_ms
    issue = world.transaction([Pay(GOLD, GOLD_ISSUER, ((ALICE, 1, b""),))])
    assert world.ledger.simulate(issue, world.time_ms).code == code
    assert world.block([issue], later_ms=0).receipts[0].code == code
    assert world.pay(ALICE, BOB, 2, GOLD).applied
    assert redeemed(world)
    assert redeemed(world, BOB)
    world.ledger.audit()


def test_a_fall_of_the_gold_stops_issue_until_it_is_enough_again() -> None:
    world = a_world()
    first = say(world, gold(world, 1_000))
    assert world.pay(GOLD_ISSUER, ALICE, 1_000, GOLD).applied
    fall = gold(world, 998, first)
    expect(world, fall, Pay(GOLD, GOLD_ISSUER, ((ALICE, 1, b""),)), code=Code.UNBACKED)
    second = say(world, fall)
    assert redeemed(world)
    assert redeemed(world)
    assert world.ledger.supply(GOLD) == 998
    assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).code == Code.UNBACKED
    assert redeemed(world)
    assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).applied
    assert world.run(RevokeAttestation(AUDITOR, second)).applied
    assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).code == Code.NO_ATTESTATION
    assert redeemed(world)
    world.ledger.audit()


def test_a_suspended_asset_is_redeemed_without_an_attestation() -> None:
    world = a_world()
    name = say(world, gold(world, 10))
    assert world.pay(GOLD_ISSUER, ALICE, 10, GOLD).applied
    status = SetAssetStatus(REGISTRAR, GOLD, int(AssetStatus.REVOKED), b"b" * 32)
    assert world.run(RevokeAttestation(AUDITOR, name), status).applied
    assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).code == Code.ASSET_REVOKED
    assert world.pay(ALICE, BOB, 1, GOLD).code == Code.ASSET_REVOKED
    assert redeemed(world)


def test_a_block_may_issue_and_then_hear_that_there_is_less() -> None:
    """What was backed when it was issued breaks no invariant, whatever is said later in the block."""
    issue = Pay(GOLD, GOLD_ISSUER, ((ALICE, 1_000, b""),))
    world = a_world()
    first = say(world, gold(world, 1_000))
    receipts = world.block([world.transaction([each]) for each in (issue, RevokeAttestation(AUDITOR, first))]).receipts
    assert [receipt.code for receipt in receipts] == [Code.APPLIED, Code.APPLIED]

    world = a_world()
    said = world.transaction([gold(world, 1_000)])
    revoke = RevokeAttestation(AUDITOR, attestation_id(said))
    less = gold(world, 1)
    transactions = [said, *(world.transaction([each]) for each in (issue, revoke, less))]
    assert [receipt.code for receipt in world.block(transactions).receipts] == [Code.APPLIED] * 4
    assert world.ledger.supply(GOLD) == 1_000
    assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).code == Code.UNBACKED
    world.ledger.audit()


# --- whatever is said, in whatever order ---

WORDS = st.lists(
    st.tuples(
        st.sampled_from(("attest", "revoke", "issue", "redeem")),
        st.sampled_from((AUDITOR, INSPECTOR, ALICE)),
        st.sampled_from(("gold", "delivered")),
        st.sampled_from(("USDKG", "Нарын ГЭС")),
        st.integers(0, 3),
        st.booleans(),  # name what is current, or nothing
    ),
    max_size=5,
)


def operation_of(world: World, word: tuple[str, int, str, str, int, bool]) -> Operation:
    act, by, schema, subject, value, names = word
    found = current(stored(world), schema, subject)
    name = found[0] if names and found is not None else b""
    match act:
        case "attest":
            return Attest(by, schema, subject, value, world.time_ms, 0, EVIDENCE, name)
        case "revoke":
            return RevokeAttestation(by, name or b"x" * 16)
        case "issue":
            return Pay(GOLD, GOLD_ISSUER, ((ALICE, value + 1, b""),))
        case _:
            return Pay(GOLD, ALICE, ((GOLD_ISSUER, value + 1, b""),))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(WORDS, st.booleans()), max_size=5))
def test_at_most_one_is_current_and_what_fails_leaves_no_trace(blocks: list[tuple[Any, bool]]) -> None:
    world = a_world()
    failing = RevokeAttestation(AUDITOR, b"y" * 16)
    for words, reopen in blocks:
        operations = [operation_of(world, word) for word in words]
        doomed = [world.transaction([operation, failing]) for operation in operations]
        executed = world.block(doomed, later_ms=0)
        assert not any(receipt.applied for receipt in executed.receipts)
        assert written(executed) == set()
        executed = world.block([world.transaction([operation]) for operation in operations])
        if reopen:
            world.ledger = world.reopened()
        said = [key for key in executed.changes if key[:1] == BY_SUBJECT]
        applied = zip(operations, executed.receipts, strict=True)
        assert len(said) == sum(type(operation) is Attest and receipt.applied for operation, receipt in applied)
        require_consistent(world)
    world.ledger.audit()


def require_consistent(world: World) -> None:
    """Every attestation that is not revoked is the current one of its pair, and no other is."""
    rows = world.reader.rows
    all_rows = {key[1:]: decode_attestation(row) for key, row in rows.items() if key[:1] == ATTESTATION}
    standing = {name for name, row in all_rows.items() if not row.revoked_by}
    assert standing == {row for key, row in rows.items() if key[:1] == CURRENT}
    pairs = [(all_rows[name].schema, all_rows[name].subject) for name in standing]
    assert len(set(pairs)) == len(pairs)
    everywhere = {(row.schema, row.subject) for row in all_rows.values()}
    listed = [name for pair in everywhere for name, _ in attestations_of(stored(world), *pair)]
    assert sorted(listed) == sorted(all_rows)


# --- the audit ---


def test_the_audit_sees_attestations_that_are_not_as_they_are_listed() -> None:
    world = a_world()
    first = say(world, saying())
    second = say(world, saying(revokes=first))
    other = say(world, saying(subject="another"))
    world.ledger.audit()
    rows = world.reader.rows
    named = {key: row for key, row in rows.items() if key[:1] == CURRENT}
    [mine] = [key for key, row in named.items() if row == second]
    listed = next(key for key in rows if key[:1] == BY_SUBJECT)
    revoked, current_row = decode_attestation(rows[ATTESTATION + first]), rows[ATTESTATION + other]
    for key, row in (
        (mine, None),
        (mine, first),
        (mine + b"x", second),
        (listed, None),
        (listed + b"x", b""),
        (ATTESTATION + first, None),
        (ATTESTATION + other, None),
        (ATTESTATION + first, encode(revoked._replace(revoked_ms=0, revoked_by=0))),
        (ATTESTATION + bytes(16), current_row),
    ):
        before = rows.get(key)
        world.reader.store({key: row})
        with pytest.raises(InvariantViolation):
            world.ledger.audit()
        world.reader.store({key: before})
        world.ledger.audit()


# --- the form ---


def decoded(*fields: object) -> Operation:
    body = encode((1, NETWORK, 1_000, 7, (AUDITOR,), ((6, *fields),)))
    return decode_transaction(encode((body, ((0, b"k" * 32, b"s" * 64),))), GENESIS_HASH).operations[0]


SOUND = operation_value(saying())[1:]


def but(place: int, value: object) -> tuple[object, ...]:
    return (*SOUND[:place], value, *SOUND[place + 1 :])


def test_the_bytes_of_an_attestation_and_of_its_end_are_the_same_for_ever() -> None:
    by, row = bytes((0xCF,)) + int(AUDITOR).to_bytes(8, "big"), b"\xc4\x10" + b"r" * 16
    said = b"\x9a\x06\x01" + by + b"\xa4gold\xa5USDKG\x05\x06\x00\xc4\x20" + EVIDENCE + row
    operation = Attest(AUDITOR, "gold", "USDKG", 5, 6, 0, EVIDENCE, b"r" * 16)
    assert encode(operation_value(operation)) == said
    assert encode(operation_value(RevokeAttestation(AUDITOR, b"r" * 16))) == b"\x94\x06\x02" + by + row


@pytest.mark.parametrize("subject", ["a", "Ж" * 64, "€" * 42, "😀" * 32, "x" * 64])
def test_what_is_written_is_read_back_and_every_subject_fits_the_tree(subject: str) -> None:
    operation = saying(schema="s" * 32, subject=subject, value=2**63 - 1, until_ms=2**53 - 1, revokes=b"r" * 16)
    assert decoded(*operation_value(operation)[1:]) == operation
    table = (Attesters("s" * 32, (AUDITOR,)),)
    world = World(parameters=PARAMETERS._replace(attesters=table))
    say(world, operation._replace(revokes=b""))
    world.ledger = world.reopened()
    assert current(stored(world), "s" * 32, subject) is not None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ((), Code.MALFORMED),
        ((0, *SOUND[1:]), Code.MALFORMED),
        (SOUND[:-1], Code.MALFORMED),
        ((*SOUND, 0), Code.MALFORMED),
        (but(2, ""), Code.MALFORMED),
        (but(2, "Gold"), Code.MALFORMED),
        (but(2, "g" * 33), Code.MALFORMED),
        (but(2, b"gold"), Code.MALFORMED),
        (but(3, ""), Code.MALFORMED),
        (but(3, "a" * 65), Code.MALFORMED),
        (but(3, "a\u200bb"), Code.MALFORMED),
        (but(3, "€" * 43), Code.MALFORMED),
        (but(3, "😀" * 33), Code.MALFORMED),
        (but(4, -1), Code.MALFORMED),
        (but(4, 2**63), Code.MALFORMED),
        (but(4, True), Code.MALFORMED),
        (but(5, -1), Code.MALFORMED),
        (but(5, 2**53), Code.MALFORMED),
        (but(6, 2**53), Code.MALFORMED),
        (but(6, -1), Code.MALFORMED),
        (but(7, b""), Code.MALFORMED),
        (but(7, b"e" * 31), Code.MALFORMED),
        (but(8, b"r" * 15), Code.MALFORMED),
        (but(8, b"r" * 32), Code.MALFORMED),
        (but(8, ""), Code.MALFORMED),
        (but(8, None), Code.MALFORMED),
        ((2, AUDITOR, b""), Code.MALFORMED),
        ((2, AUDITOR, b"r" * 17), Code.MALFORMED),
        ((2, AUDITOR, b"r" * 16, 0), Code.MALFORMED),
        ((3, AUDITOR, b"r" * 16), Code.MALFORMED),
        ((2, ALICE, b"r" * 16), Code.NOT_SIGNED),
        (but(1, BANK), Code.NOT_SIGNED),
    ],
)
def test_a_wrong_form_is_refused_before_it_can_enter_a_block(fields: tuple[object, ...], code: Code) -> None:
    with pytest.raises(Refused) as refused:
        decoded(*fields)
    assert refused.value.code == code


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.binary(max_size=33), st.text(max_size=65),
        st.sampled_from((1, 2, AUDITOR, SCHEMA, SUBJECT, EVIDENCE, b"r" * 16)),
    ),
    lambda inner: st.lists(inner, max_size=10).map(tuple),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(VALUES, st.tuples(st.integers(0, len(SOUND) - 1), VALUES).map(lambda pair: but(*pair))))
def test_any_value_is_an_operation_or_refused(value: object) -> None:
    fields = value if isinstance(value, tuple) else (value,)
    try:
        operation = decoded(*fields)
    except Refused:
        return
    assert operation_value(operation) == (6, *fields)


ROW = Attestation(SCHEMA, SUBJECT, 1, 2, 3, EVIDENCE, AUDITOR, 4, 5, b"t" * 32, 6, 7)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(ROW) - 1), VALUES)
def test_any_row_is_an_attestation_or_refused(place: int, value: object) -> None:
    row = encode((*ROW[:place], value, *ROW[place + 1 :]))
    try:
        attestation = decode_attestation(row)
    except DecodeError:
        return
    assert encode(attestation) == row
