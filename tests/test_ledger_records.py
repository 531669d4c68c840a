"""Rows over the stored state, against a plain dict: reading, scanning, undoing, and what readers see meanwhile."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.ledger.records import FEW, Records, after
from tests.ledger_world import Rows

KEYS = st.binary(min_size=1, max_size=2).map(lambda tail: b"h" + bytes(byte % 4 for byte in tail))
ROWS = st.binary(max_size=2)
MANY = [b"h\xf0" + number.to_bytes(2, "big") for number in range(3 * FEW)]


def scanned(rows: dict[bytes, bytes], low: bytes, high: bytes) -> list[tuple[bytes, bytes]]:
    return sorted((key, row) for key, row in rows.items() if low <= key < high)


class RecordsMachine(RuleBasedStateMachine):
    """Three dicts say what is true: stored, as of the last finished block, as the open transaction sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = Rows({})
        self.finished: dict[bytes, bytes] = {}
        self.saved: dict[bytes, bytes] = {}  # when the transaction began
        self.now: dict[bytes, bytes] = {}
        self.open = False

    @initialize(rows=st.dictionaries(KEYS, ROWS, max_size=8))
    def start(self, rows: dict[bytes, bytes]) -> None:
        self.reader = Rows(rows)
        self.finished, self.saved, self.now = dict(rows), dict(rows), dict(rows)
        self.records = Records(self.reader)

    @precondition(lambda self: not self.open)
    @rule()
    def begin_block(self) -> None:
        self.undo()
        self.reader.rows = dict(self.finished)
        self.records.begin_block()
        self.open = True

    @rule()
    def begin_transaction(self) -> None:
        if not self.open:  # as when somebody simulates between blocks: all of it is undone
            self.undo()
        self.records.begin_transaction()
        self.saved = dict(self.now)

    @rule(key=KEYS, row=st.none() | ROWS)
    def put(self, key: bytes, row: bytes | None) -> None:
        self.records.put(key, row)
        if row is None:
            self.now.pop(key, None)
        else:
            self.now[key] = row

    @rule(first=st.integers(0, len(MANY)), count=st.integers(0, len(MANY)), row=ROWS)
    def put_many(self, first: int, count: int, row: bytes) -> None:
        for key in reversed(MANY[first : first + count]):
            self.put(key, row)

    @rule()
    def undo(self) -> None:
        self.records.undo()
        self.now = dict(self.saved)

    @precondition(lambda self: self.open)
    @rule(store_at_once=st.booleans())
    def close_block(self, store_at_once: bool) -> None:
        changes = dict(self.records.changes())
        self.records.begin_transaction()
        self.records.close_block()
        if store_at_once:
            self.reader.store(changes)
        self.finished, self.saved = dict(self.now), dict(self.now)
        self.open = False

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        assert self.records.get(key) == self.now.get(key)
        assert self.records.before(key) == self.finished.get(key)

    @rule(low=KEYS, high=KEYS)
    def scan(self, low: bytes, high: bytes) -> None:
        assert list(self.records.scan(low, high)) == scanned(self.now, low, high)

    @rule()
    def scan_all(self) -> None:
        assert list(self.records.scan(b"h", after(b"h"))) == scanned(self.now, b"h", b"i")

    @invariant()
    def the_changes_of_the_block_make_the_stored_rows_what_they_are(self) -> None:
        rows: dict[bytes, Any] = {**self.finished, **(self.records.changes() if hasattr(self, "records") else {})}
        assert {key: row for key, row in rows.items() if row is not None} == self.now


TestRecords = RecordsMachine.TestCase
TestRecords.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def opened(rows: dict[bytes, bytes]) -> Records:
    records = Records(Rows(rows))
    records.begin_block()
    records.begin_transaction()
    return records


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 3 * FEW])
def test_a_transaction_that_was_undone_can_be_done_again(count: int) -> None:
    records = opened({})
    records.put(b"h\x01", b"kept")
    records.begin_transaction()
    for _ in range(2):
        for key in reversed(MANY[:count]):
            records.put(key, b"row")
        assert list(records.scan(b"h", b"i")) == [(b"h\x01", b"kept"), *((key, b"row") for key in MANY[:count])]
        records.put(b"h\x02", b"after the scan")
        records.undo()
        assert list(records.scan(b"h", b"i")) == [(b"h\x01", b"kept")]


def test_a_row_of_an_earlier_transaction_is_put_back() -> None:
    records = opened({})
    records.put(b"h\x01", b"first")
    records.begin_transaction()
    records.put(b"h\x01", b"second")
    records.put(b"h\x01", None)
    records.undo()
    assert records.changes() == {b"h\x01": b"first"}


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_between_blocks_a_trial_leaves_the_finished_rows_that_are_not_stored_yet(count: int) -> None:
    records = opened({})
    for key in MANY[:count]:
        records.put(key, b"row")
    records.close_block()
    records.begin_transaction()
    for key in (b"h\x01", *MANY[:count]):
        records.put(key, None)
    assert list(records.scan(b"h", b"i")) == []
    records.undo()
    assert list(records.scan(b"h", b"i")) == [(key, b"row") for key in MANY[:count]]


def test_the_key_after_a_prefix_is_above_all_that_begin_with_it() -> None:
    assert after(b"h") == b"i"
    assert after(b"h\x00\xff") == b"h\x01\x00"
    assert after(b"h\x00\xff") > b"h\x00\xff" + b"\xff" * 40
