"""The roster of validators: one byte form, names that can be read, and the same committees as consensus would take."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consensus import committee
from consensus.committee import WEIGHT_MAX, Committee
from consensus.committee import Validator as Voter
from consensus.crypto import PublicKey
from consensus.encoding import DecodeError, digest, encode
from node.ledger.genesis import VALIDATOR_WEIGHT_MAX, VALIDATORS_MAX
from node.ledger.validators import (
    Keys,
    Roster,
    Seat,
    as_address,
    as_name,
    decode_roster,
    encode_roster,
    members,
    readiness_statement,
    roster_of,
    safe_committee,
)
from tests.ledger_world import make_genesis

A, B, C, D = (Keys(bytes((i,)) * 32, bytes((i + 100,)) * 32) for i in range(4))


def seat(name: str = "n", current: Keys | None = A, after: Keys | None = None) -> Seat:
    return Seat(name, 1, "", current, after)


NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64)


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    seats = []
    for name in sorted(draw(st.sets(NAMES, max_size=8))):
        pairs = [
            Keys(digest(b"vote", name.encode(), b"%d" % i), digest(b"link", name.encode(), b"%d" % i)) for i in (0, 1)
        ]
        current, after = draw(st.sampled_from([(pairs[0], None), (None, pairs[1]), tuple(pairs)]))
        weight, address = (
            draw(st.integers(1, VALIDATOR_WEIGHT_MAX)),
            draw(st.sampled_from(["", "a.kg:1", "[::1]:65535"])),
        )
        seats.append(Seat(name, weight, address, current, after))
    return tuple(seats)


@given(rosters())
def test_a_roster_reads_back(roster: Roster) -> None:
    assert decode_roster(encode_roster(roster)) == roster


@pytest.mark.parametrize(
    "value",
    [
        (),
        (seat("a"), seat("b", B, C)),
        (seat("a", None, B), seat("Ё"), seat("Ө", D)),
        tuple(seat(f"{i:02}", Keys(bytes((i,)) * 32, bytes((i + 100,)) * 32)) for i in range(31)),
    ],
)
def test_rosters_of_the_right_form_are_read(value: Roster) -> None:
    assert decode_roster(encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        5,
        None,
        (5,),
        ((),),
        (seat()[:4],),
        ((*seat(), 0),),
        (seat(""),),
        (seat("n" * 65),),
        (seat("a\nb"),),
        ((b"n", 1, "", A, None),),
        (("n", 0, "", A, None),),
        (("n", True, "", A, None),),
        (("n", 2**32, "", A, None),),
        (("n", 1, "nowhere", A, None),),
        (("n", 1, None, A, None),),
        (("n", 1, "", None, None),),
        (("n", 1, "", A[0], None),),
        (("n", 1, "", (*A, A[0]), None),),
        (("n", 1, "", (A[0], A[1][:31]), None),),
        (seat("b"), seat("a", B)),
        (seat("a"), seat("a", B)),
        (seat("a"), seat("b", A)),
        (seat("a"), seat("b", B, A)),
        (seat("a", A, A),),
        (seat("a"), seat("b", Keys(A.node_key, B.node_key))),
        (seat("a", Keys(A.node_key, A.node_key)),),
        tuple(seat(f"{i:02}", Keys(bytes((i,)) * 32, bytes((i + 100,)) * 32)) for i in range(32)),
    ],
)  # fmt: skip
def test_rosters_of_a_wrong_form_are_refused(value: object) -> None:
    with pytest.raises(DecodeError):
        decode_roster(encode(value))


@given(st.binary(max_size=200))
@example(b"")
def test_bytes_from_anywhere_are_refused_or_read_back_identical(data: bytes) -> None:
    try:
        roster = decode_roster(data)
    except DecodeError:
        return
    assert encode_roster(roster) == data


@given(rosters(), st.data())
def test_a_changed_byte_is_refused_or_another_roster(roster: Roster, data: st.DataObject) -> None:
    record = bytearray(encode_roster(roster))
    record[data.draw(st.integers(0, len(record) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_roster(bytes(record))
    except DecodeError:
        return
    assert encode_roster(other) == record
    assert other != roster


def test_every_name_that_a_genesis_may_have_is_a_name_here() -> None:
    """The genesis reader asks Python what is printable; here the answer must not change with Python's version."""
    printable = [char for char in map(chr, range(0x110000)) if char.isprintable()]
    names = ["".join(printable[at : at + 64]) for at in range(0, len(printable), 64)]
    assert [name for name in names if as_name(name) != name] == []


@pytest.mark.parametrize(
    "char", ["\0", "\n", "\x7f", "\x85", "\xa0", "\xad", "\u200b", "\u2028", "\u202e", "\u2066", "\ufeff"]
)
def test_a_name_hides_nothing(char: str) -> None:
    with pytest.raises(DecodeError):
        as_name(f"a{char}b")


@pytest.mark.parametrize(
    "address", ["", "h:1", "node.bank.kg:26600", "[2001:db8::1]:443", "h:65535", "h" * 249 + ":65535"]
)
def test_an_address_is_empty_or_a_host_and_a_port(address: str) -> None:
    assert as_address(address) == address


@pytest.mark.parametrize(
    "address",
    ["h", ":1", "h:", "h:0", "h:01", "h:65536", "h:100000", "h:-1", "h:+1", "h:١", "h:1 ", "a b:1", "ё:1",
     "h" * 250 + ":65535", 5],
)  # fmt: skip
def test_another_text_is_no_address(address: Any) -> None:
    with pytest.raises(DecodeError):
        as_address(address)


@given(
    st.lists(st.one_of(st.integers(1, 4), st.integers(1, WEIGHT_MAX)), max_size=33),
    st.booleans(),
)
@example([1] * 31, False)
@example([1] * 32, True)
@example([3], False)
@example([4], False)
@example([1, 1, 2], False)
@example([1, 1, 1, 2, 2, 3], False)
def test_a_safe_committee_is_one_that_consensus_takes(weights: list[int], allow_dominant: bool) -> None:
    voters = [Voter(PublicKey(bytes((i,)) * 32), weight) for i, weight in enumerate(weights)]
    try:
        Committee(0, voters, allow_dominant)
    except ValueError:
        assert not safe_committee(weights, allow_dominant)
    else:
        assert safe_committee(weights, allow_dominant)


def test_the_bounds_are_those_of_consensus() -> None:
    assert (VALIDATORS_MAX, VALIDATOR_WEIGHT_MAX) == (committee.VALIDATORS_MAX, committee.WEIGHT_MAX)


def test_the_members_of_a_genesis_roster_are_its_validators() -> None:
    genesis = make_genesis()
    roster = roster_of(genesis)
    assert [each.name for each in roster] == sorted(row.name for row in genesis.validators)
    assert members(roster) == genesis.validators


def test_members_are_those_who_count_in_the_order_of_committees() -> None:
    rows = members((seat("a", D), seat("b", None, C), seat("c", A, B)))
    assert [(row.name, row.consensus_key, row.node_key) for row in rows] == [("c", *A), ("a", *D)]


def test_a_statement_is_of_one_chain_validator_key_height_and_root() -> None:
    given_: list[Any] = [b"g" * 32, "n", b"k" * 32, 16, b"r" * 32]
    changed = [b"h" * 32, "m", b"l" * 32, 32, b"s" * 32]
    statements = {readiness_statement(*given_)}
    for place, other in enumerate(changed):
        statements.add(readiness_statement(*[*given_[:place], other, *given_[place + 1 :]]))
    assert len(statements) == 6
    statement = readiness_statement(b"g" * 32, "n", b"k" * 32, 16, b"r" * 32)
    assert statement == digest(b"som-ready-1", b"g" * 32, encode(("n", b"k" * 32, 16, b"r" * 32)))
