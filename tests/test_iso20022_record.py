"""The import record keeps refusals and what was sent, and a torn end does not hide the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.iso20022.plan import Ref
from node.iso20022.record import (
    LINE_BYTES_MAX,
    Begun,
    Entry,
    RecordDamaged,
    Refused,
    Sent,
    encode_entry,
    read_entries,
    refusals,
    whole_bytes,
)
from node.iso20022.resume import Rejected
from node.ledger.errors import Code

FILE, OTHER_FILE, GENESIS, OTHER_GENESIS = (bytes([number]) * 32 for number in range(4))
REF = Ref(bytes(range(16)))
ENTRIES: list[Entry] = [
    Begun(FILE, "Пенсия 2026-09", GENESIS, 1_788_000_000_000),
    Sent(0, bytes(32), 1_788_000_900_000, 0),
    Refused(REF, Code.PAYEE_BLOCKED),
]


def lines() -> list[bytes]:
    return [encode_entry(entry) for entry in ENTRIES]


def test_entries_are_read_as_they_were_written() -> None:
    assert list(read_entries(lines())) == ENTRIES


def test_a_line_is_one_line_and_bounded() -> None:
    line = encode_entry(Begun(FILE, "Ү" * 35, GENESIS, 2**63 - 1))
    assert line.count(b"\n") == 1
    assert len(line) <= LINE_BYTES_MAX


def test_a_last_line_torn_anywhere_is_left_out() -> None:
    *whole, last = lines()
    for end in range(len(last)):
        assert list(read_entries([*whole, last[:end]])) == ENTRIES[:-1]


def test_a_record_goes_on_behind_its_last_whole_line() -> None:
    *whole, last = lines()
    torn = b"".join(whole) + last[:-1]
    kept = torn[: whole_bytes(torn.splitlines(keepends=True))]
    assert list(read_entries((kept + last).splitlines(keepends=True))) == ENTRIES


def test_a_damaged_line_before_the_last_is_told() -> None:
    first, second, third = lines()
    with pytest.raises(RecordDamaged):
        list(read_entries([first, second.replace(b"900000", b"900001"), third]))


@given(st.integers(0, 60), st.binary(min_size=1, max_size=1))
def test_a_changed_line_is_never_read_as_another(place: int, byte: bytes) -> None:
    line = lines()[2]
    changed = line[:place] + byte + line[place + 1 :]
    for entry in read_entries([changed]):
        assert entry == ENTRIES[2]


def test_refusals_are_those_of_the_file_and_the_network() -> None:
    entries: list[Entry] = [
        *ENTRIES,
        Begun(OTHER_FILE, "M", GENESIS, 0),
        Refused(Ref(bytes(16)), Code.INSUFFICIENT),
        Begun(FILE, "M", OTHER_GENESIS, 0),
        Refused(Ref(bytes(16)), Code.INSUFFICIENT),
    ]
    assert refusals(entries, FILE, GENESIS) == {REF: Rejected(Code.PAYEE_BLOCKED)}
