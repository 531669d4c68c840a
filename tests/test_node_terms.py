"""Epochs across decrees: who validates, what a block must name, what a joiner needs, what a node refuses."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consensus.messages import Block, Certificate, Hash, Kind
from devnet.generate import key_of
from node.decree import Authority, Decree, DecreeConflict, SignedDecree
from node.epochs import Boundary, Decreed, Epochs
from node.evidence import InvalidBatch, Network, epoch_of
from node.home import open_decrees, require_followed
from node.ledger.execute import Ledger
from node.ledger.state import ROSTER, parameter_key
from node.ledger.validators import Keys, Roster, Seat, encode_roster, members, roster_of
from node.members import Members
from node.storage.decrees import keep_decree
from node.storage.errors import AlreadyInitialised, Damaged
from node.storage.store import Store
from node.terms import first_epoch
from tests.node_parts import EPOCH_LENGTH, START_MS, batch_of, certify, chain_of, child, genesis, issue, make_store
from tests.test_node_members import grow

FOUNDERS = roster_of(genesis())
FRESH = tuple(
    Seat(name, 1, "", Keys(key_of(f"{name}-consensus").public, key_of(f"{name}-node").public), None)
    for name in ("fresh-1", "fresh-2")
)
NEW: Roster = tuple(sorted((*FOUNDERS[:2], *FRESH), key=lambda seat: seat.name))
BASE = EPOCH_LENGTH + 3
TERM = first_epoch(1)
AUTHORITY = Authority(42, ((b"k" * 32, 1),), 1)


def committee_hash(roster: Roster) -> Hash:
    return Hash(Members(0, members(roster), True, 1).committee.hash)


def decree_at(
    block: Block, roster: Roster = NEW, term: int = 1, certificate: Certificate | None = None
) -> SignedDecree:
    """Return a decree with a base: nobody has signed it, which epochs do not ask."""
    header = block.header
    decree = Decree(genesis().hash, term, header.height, block.hash, AUTHORITY, roster, "", 0)
    return SignedDecree(decree, header, certificate, ())


def above(parent: Block, term: int = 1, roster: Roster = NEW, executed: int | None = None, **fields: Any) -> Block:
    """Return a block of a later term on ``parent``."""
    height = parent.header.height + 1
    epoch = first_epoch(term) + (height - 1) // EPOCH_LENGTH
    seats = Members(epoch, members(roster), True, parent.header.version).committee
    view = 1 if parent.header.epoch != epoch else parent.header.view + 1
    values: dict[str, Any] = {
        "epoch": epoch,
        "view": view,
        "parent_view": view - 1,
        "proposer": seats.leader(view),
        "validators_hash": Hash(seats.hash),
        "next_validators_hash": Hash(seats.hash if height % EPOCH_LENGTH == 0 else bytes(32)),
        "executed_height": max(parent.header.executed_height, height - 2) if executed is None else executed,
    }
    return child(parent, **(values | fields))


def chain_across(count: int, base: int = BASE) -> tuple[list[Block], SignedDecree]:
    """Return ``count`` blocks, those above the base of term 1, and the decree."""
    blocks = chain_of(base)
    decree = decree_at(blocks[base])
    while len(blocks) <= count:
        blocks.append(above(blocks[-1]))
    return blocks, decree


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = make_store(tmp_path)
    yield store
    store.close()


def test_the_block_above_a_base_is_of_the_new_term_and_no_number_comes_twice(store: Store) -> None:
    """R62: a vote of one term counts in no other, whatever became of the epochs that the old one would have had."""
    _, decree = chain_across(30)
    epochs = Epochs(genesis(), store, (decree,))
    found = [epochs.after_height(height) for height in range(30)]
    assert found[:BASE] == [height // EPOCH_LENGTH for height in range(BASE)]
    assert found[BASE:] == [TERM + height // EPOCH_LENGTH for height in range(BASE, 30)]
    assert epochs.first_height(TERM + 1) == BASE + 1
    assert epochs.first_height(TERM + 2) == 2 * EPOCH_LENGTH + 1
    for asked, there in ((0, 0), (1, 1), (2, TERM + 1), (9, TERM + 1), (TERM + 1, TERM + 1), (TERM + 7, TERM + 7)):
        assert epochs.existing(asked) == there


@pytest.mark.parametrize("base", [BASE, EPOCH_LENGTH, EPOCH_LENGTH - 1, 0])
def test_the_decree_names_the_first_committee_of_its_term_and_the_state_the_later_ones(store: Store, base: int) -> None:
    """R65: also where the base is the last block of an epoch, the one before it, or block 0."""
    blocks, decree = chain_across(base + 2 * EPOCH_LENGTH + 2, base)
    grow(store, blocks, {base + 1: NEW})
    epochs = Epochs(genesis(), store, (decree,))
    first = TERM + base // EPOCH_LENGTH
    for epoch in (first, first + 1, first + 2):
        found = epochs.members(epoch)
        assert found is not None
        assert [row.name for row in found.rows] == [row.name for row in members(NEW)]
        assert found.version == genesis().parameters.protocol_version
    old = epochs.members(base // EPOCH_LENGTH if base % EPOCH_LENGTH or not base else base // EPOCH_LENGTH - 1)
    assert old is not None
    assert old.committee.hash == committee_hash(FOUNDERS)
    assert epochs.decree_after(first - TERM) == decree
    assert epochs.decree_after(first) is None


def test_a_last_block_that_has_not_executed_the_new_roster_names_it_all_the_same(store: Store) -> None:
    """R65: else the committee of the epoch after the decree's would be the one that is lost."""
    base = EPOCH_LENGTH - 1
    blocks = chain_of(base)
    decree = decree_at(blocks[base])
    blocks.append(above(blocks[-1], executed=base - 1))
    grow(store, blocks, {base + 1: NEW})
    epochs = Epochs(genesis(), store, (decree,))
    for executed in (0, base - 1, base, base + 1):
        named = epochs.next_validators_hash(EPOCH_LENGTH, executed)
        assert named == committee_hash(NEW)
    assert epochs.next_validators_hash(EPOCH_LENGTH - 1, 0) == Hash(bytes(32))
    following = epochs.after(blocks[-1])
    assert following is not None
    assert following.epoch == TERM + 1


def test_before_the_base_is_reached_a_node_is_in_the_term_before(store: Store) -> None:
    blocks, decree = chain_across(20)
    grow(store, blocks[: BASE - 1])
    epochs = Epochs(genesis(), store, (decree,))
    assert epochs.after_height(store.tip.height) == 1
    assert epochs.decree_after(1) == decree
    assert epochs.at_start(range(1, 9)).epoch == 1
    found = epochs.members(TERM + 1)
    assert found is not None, "who will validate is known, and may link"


def test_clients_are_told_of_a_decree_among_the_changes(store: Store) -> None:
    """R63: with all that shows that it stands; the state's own change to its roster is none besides."""
    blocks, decree = chain_across(4 * EPOCH_LENGTH)
    third = tuple(seat for seat in NEW if seat.name != "fresh-2")
    changed = {BASE + 1: NEW, 2 * EPOCH_LENGTH + 2: third}
    last = above(blocks[3 * EPOCH_LENGTH - 1], next_validators_hash=committee_hash(third))
    blocks = [*blocks[: 3 * EPOCH_LENGTH], last]
    for _ in range(EPOCH_LENGTH):
        blocks.append(above(blocks[-1], roster=third))
    grow(store, blocks, changed)
    epochs = Epochs(genesis(), store, (decree,))
    found = list(epochs.changes(0))
    assert [change.members.epoch for change in found] == [TERM + 1, TERM + 3]
    assert isinstance(found[0], Decreed)
    assert found[0].signed == decree
    assert isinstance(found[1], Boundary)
    assert list(epochs.changes(TERM + 1)) == found[1:]
    assert list(epochs.changes(TERM + 3)) == []
    assert list(Epochs(genesis(), store, (decree_at(blocks[-1]),)).changes(0))[-1].members.epoch == TERM + 4


def test_a_change_before_a_decree_that_no_epoch_counted_is_none(store: Store) -> None:
    """The roster had changed, and before an epoch ended the decree came."""
    blocks, decree = chain_across(3 * EPOCH_LENGTH)
    grow(store, blocks, {EPOCH_LENGTH + 1: FOUNDERS[:3], BASE + 1: NEW})
    found = list(Epochs(genesis(), store, (decree,)).changes(0))
    assert [change.members.epoch for change in found] == [TERM + 1]


def test_two_decrees_with_one_base_leave_no_epoch_between(store: Store) -> None:
    """A decree whose validators could not run is followed by another, with the same base."""
    blocks = chain_of(BASE)
    first = decree_at(blocks[BASE])
    second = decree_at(blocks[BASE], FOUNDERS, term=2)
    blocks.append(above(blocks[-1], term=2, roster=FOUNDERS))
    grow(store, blocks, {BASE + 1: FOUNDERS})
    epochs = Epochs(genesis(), store, (first, second))
    assert epochs.after_height(BASE) == 2 * TERM + 1
    assert epochs.decreed_roster(BASE + 1) == FOUNDERS
    assert [change.members.epoch for change in epochs.changes(0)] == [TERM + 1, 2 * TERM + 1]
    assert epochs.term_above(BASE - 1) == 0
    assert epochs.existing(2) == TERM + 1


def test_what_a_joiner_has_to_keep_are_last_blocks_with_certificates_of_both_terms(store: Store) -> None:
    blocks, decree = chain_across(4 * EPOCH_LENGTH, 2 * EPOCH_LENGTH)
    grow(store, blocks, {3: FOUNDERS[:3], 2 * EPOCH_LENGTH + 1: NEW})
    epochs = Epochs(genesis(), store, (decree,))
    trail = epochs.trail(TERM + 4)
    assert trail == [1, TERM + 3, TERM + 4], "the base is none: the decree has its header"
    for epoch in trail:
        assert epochs.boundary(epoch).header.height % EPOCH_LENGTH == 0
    assert not epochs.settled(2 * EPOCH_LENGTH)
    assert epochs.settled(2 * EPOCH_LENGTH + 1)
    assert epochs.ending(1) is not None
    assert epochs.ending(TERM + 2) is not None
    assert epochs.ending(2) is None, "no block of that epoch was ever final"


def test_the_first_block_of_a_term_puts_the_decrees_roster_into_the_state_and_no_other_block_does(
    store: Store,
) -> None:
    """R65: before its transactions, so that those may change it again."""
    ledger = Ledger(store, genesis())
    key = parameter_key(ROSTER)
    executed = ledger.execute(1, START_MS + 1, ledger.version, (), NEW)
    assert executed.roster == executed.changes[key] == encode_roster(NEW)
    assert ledger.roster == NEW
    plain = Ledger(store, genesis()).execute(1, START_MS + 1, ledger.version, ())
    assert plain.roster is None
    assert plain.root != executed.root


# --- homes ---


def test_what_is_final_in_a_store_and_what_a_decree_says_may_not_exclude_each_other(store: Store) -> None:
    """R63, R64: a node whose chain goes on beside the base stops, and keeps everything."""
    blocks, decree = chain_across(BASE + 3)
    grow(store, blocks[:BASE])
    require_followed(store, (decree,))
    grow(store, blocks[: BASE + 1])
    require_followed(store, (decree,))
    other = decree_at(replace(blocks[BASE], hash=Hash(b"x" * 32)))
    with pytest.raises(DecreeConflict, match="has another"):
        require_followed(store, (other,))
    grow(store, blocks)
    require_followed(store, (decree,))


def test_a_store_with_a_block_above_the_base_of_the_term_before_does_not_follow_the_decree(store: Store) -> None:
    blocks, decree = chain_across(BASE)
    grow(store, [*blocks, child(blocks[BASE])])
    with pytest.raises(DecreeConflict, match="drops it"):
        require_followed(store, (decree,))


def test_a_home_has_one_decree_of_a_term_and_none_is_missing(tmp_path: Path) -> None:
    """R63: a second one is never followed."""
    blocks = chain_of(BASE)
    decree = decree_at(blocks[BASE], certificate=certify(blocks[BASE]))
    keep_decree(tmp_path, 1, decree.encoded)
    assert open_decrees(tmp_path, genesis()) == (decree,)
    with pytest.raises(AlreadyInitialised):
        keep_decree(tmp_path, 1, decree_at(blocks[BASE], FOUNDERS).encoded)
    keep_decree(tmp_path, 3, decree.encoded)
    with pytest.raises(Damaged, match="missing"):
        open_decrees(tmp_path, genesis())


@pytest.mark.parametrize("change", [{"term": 2}, {"genesis_hash": b"x" * 32}])
def test_a_decree_file_of_another_term_or_network_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    decree = decree_at(chain_of(BASE)[BASE])
    other = replace(decree, decree=replace(decree.decree, **change))  # type: ignore[arg-type]
    keep_decree(tmp_path, 1, other.encoded)
    with pytest.raises(Damaged, match="another one"):
        open_decrees(tmp_path, genesis())


def test_an_invalid_batch_is_judged_by_the_committee_of_the_term_that_it_was_made_in(store: Store) -> None:
    _, decree = chain_across(20)
    epochs = Epochs(genesis(), store, (decree,))
    network = Network(genesis().hash, EPOCH_LENGTH, lambda _: None, epochs.term_above)
    for height, epoch in ((BASE - 1, 1), (BASE, TERM + 1)):
        assert epoch_of(InvalidBatch(batch_of(0, issue(), base_height=height), 0), network) == epoch


def test_the_certificate_of_a_base_may_be_a_notarization() -> None:
    """R62: nobody needs to have seen the block become final."""
    block = chain_of(BASE)[BASE]
    decree = decree_at(block, certificate=replace(certify(block), kind=Kind.NOTARIZE))
    assert decree.certificate is not None
    assert decree.certificate.kind is Kind.NOTARIZE
