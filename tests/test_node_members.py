"""node/epochs.py and node/members.py: committees from what is executed; node/links.py: who may link."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.messages import NO_HASH, Block, Hash, encode_certificate
from consensus.records import Intent, Reproposal, encode_record
from devnet.generate import key_of
from network.wire import PeerId
from node.config import Peer
from node.epochs import Boundary, Epochs, epoch_of_message, epoch_of_record
from node.executor import Diverged
from node.ledger.genesis import Validator
from node.ledger.validators import Keys, Roster, Seat, encode_roster, members, roster_of
from node.ledger.versions import NEWEST
from node.links import PEERS_MAX, may_link
from node.members import Members
from node.storage.records import BlockRecord, Roots
from node.storage.store import Store
from tests.node_parts import EPOCH_LENGTH, PEERS, block_zero, certify, chain_of, child, genesis, make_store
from tests.node_parts import members as founders

OTHER = Keys(key_of("other-consensus").public, key_of("other-node").public)
ROSTER = roster_of(genesis())
WITH_NEXT = (*ROSTER[:3], ROSTER[3]._replace(next=OTHER, address="new.example:7"))
WITHOUT_LAST = ROSTER[:3]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = make_store(tmp_path)
    yield store
    store.close()


def grow(store: Store, blocks: Sequence[Block], rosters: dict[int, Roster] | None = None) -> None:
    """Store blocks above the tip; some leave another roster behind."""
    for block in blocks:
        height = block.header.height
        if height <= store.tip.height:
            continue
        roster = (rosters or {}).get(height)
        encoded = None if roster is None else encode_roster(roster)
        certificate = encode_certificate(certify(block))
        roots = Roots(*[bytes(32)] * 3)
        store.commit(
            BlockRecord(
                height, block.hash, block.header.parent_hash, block.encoded, 0, certificate, roots, roster=encoded
            )
        )


def committee_hash(roster: Roster) -> Hash:
    return Hash(Members(0, members(roster), True, NEWEST).committee.hash)


def boundary(executed: int, roster: Roster) -> list[Block]:
    """Return the blocks of epoch 0, the last of which names an executed height and the committee of a roster."""
    blocks = chain_of(EPOCH_LENGTH - 1)
    return [*blocks, child(blocks[-1], executed_height=executed, next_validators_hash=committee_hash(roster))]


# --- committees ---


def test_the_first_committee_is_that_of_the_genesis(store: Store) -> None:
    found = Epochs(genesis(), store).members(0)
    assert found is not None
    assert found.committee.hash == founders().committee.hash
    assert block_zero().header.next_validators_hash == found.committee.hash
    assert found.peers == PEERS


def test_a_committee_is_read_at_the_height_that_the_last_block_names_as_executed(store: Store) -> None:
    """R51"""
    for executed, roster in ((3, ROSTER), (4, WITHOUT_LAST), (6, WITHOUT_LAST)):
        blocks = boundary(executed, roster)
        epochs = Epochs(genesis(), store)
        grow(store, blocks[: executed + 1], {4: WITHOUT_LAST})
        found = epochs.after(blocks[-1])
        assert found is not None
        assert [row.name for row in found.rows] == [row.name for row in members(roster)]
        assert found.epoch == 1
        assert epochs.next_validators_hash(EPOCH_LENGTH, executed) == blocks[-1].header.next_validators_hash


def test_what_is_not_executed_here_is_not_known_yet(store: Store) -> None:
    """R51, R52"""
    blocks = boundary(5, ROSTER)
    epochs = Epochs(genesis(), store)
    grow(store, blocks[:5])
    assert epochs.after(blocks[-1]) is None
    assert epochs.next_validators_hash(EPOCH_LENGTH, 5) is None
    assert epochs.members(1) is None
    grow(store, blocks[:6])
    assert epochs.after(blocks[-1]) is not None
    assert epochs.next_validators_hash(EPOCH_LENGTH, 5) is not None


def test_only_the_last_block_of_an_epoch_names_a_committee(store: Store) -> None:
    epochs = Epochs(genesis(), store)
    for height in range(1, 3 * EPOCH_LENGTH + 1):
        named = epochs.next_validators_hash(height, 0)
        assert (named == NO_HASH) == (height % EPOCH_LENGTH != 0)


@pytest.mark.parametrize("epoch", [-1, 1, 2, 10**9, 2**63 - 1])
def test_an_epoch_that_a_stranger_names_is_unknown_and_no_more(store: Store, epoch: int) -> None:
    epochs = Epochs(genesis(), store)
    assert epochs.members(epoch) is None
    assert epochs.ending(epoch) is None


def test_a_final_block_that_names_another_committee_than_our_state_stops_us(store: Store) -> None:
    """R51"""
    blocks = boundary(0, WITHOUT_LAST)
    with pytest.raises(Diverged, match="committee of epoch 1"):
        Epochs(genesis(), store).after(blocks[-1])


def test_after_a_restart_a_committee_is_found_by_the_stored_last_block(store: Store) -> None:
    blocks = boundary(5, WITHOUT_LAST)
    grow(store, blocks, {5: WITHOUT_LAST, 7: ROSTER})
    epochs = Epochs(genesis(), store)
    found = epochs.members(1)
    assert found is not None
    assert len(found) == 3
    ending = epochs.ending(0)
    assert ending is not None
    assert ending.hash == blocks[-1].hash
    assert epochs.newest_roster() == ROSTER


def test_changes_are_the_epochs_whose_committee_is_another(store: Store) -> None:
    """R51: a change that is executed after what the last block names counts an epoch later; two may count at once."""
    rosters = {4: WITHOUT_LAST, 7: ROSTER, 18: WITH_NEXT, 27: ROSTER, 29: WITHOUT_LAST, 31: ROSTER}
    blocks = [block_zero()]
    now, committees = ROSTER, [committee_hash(ROSTER)]
    for height in range(1, 6 * EPOCH_LENGTH + 3):
        fields: dict[str, Any] = {"executed_height": max(0, height - 2), "validators_hash": committees[-1]}
        now = rosters.get(height - 2, now)
        if height % EPOCH_LENGTH == 0:
            committees.append(committee_hash(now))
            fields["next_validators_hash"] = committees[-1]
        blocks.append(child(blocks[-1], **fields))
    grow(store, blocks, rosters)
    changed = [epoch for epoch in range(1, 7) if committees[epoch] != committees[epoch - 1]]
    assert changed == [1, 2, 4, 5]
    for after in range(8):
        found = list(Epochs(genesis(), store).changes(after))
        assert [change.members.epoch for change in found] == [epoch for epoch in changed if epoch > after]
        for change in found:
            assert isinstance(change, Boundary)
            assert change.block == blocks[change.members.epoch * EPOCH_LENGTH]
            assert change.members.committee.hash == committees[change.members.epoch]
    for unknown in (-1, 7, 2**63 - 1):
        assert list(Epochs(genesis(), store).changes(unknown)) == []


def test_many_epochs_do_not_fill_the_memory(store: Store) -> None:
    grow(store, chain_of(10 * EPOCH_LENGTH))
    epochs = Epochs(genesis(), store)
    assert all(epochs.members(epoch) is not None for epoch in (*range(11), 0, 10))
    assert len(epochs._known) <= 4


def test_the_epoch_of_a_record_is_what_it_says() -> None:
    block = chain_of(EPOCH_LENGTH + 1)[-1]
    facts = (block, certify(block), Intent(certify(block).kind, 1, 1, block.hash), Reproposal(1, 2, 1))
    assert {epoch_of_record(encode_record(fact)) for fact in facts} == {1}
    assert epoch_of_message(certify(block)) == 1


# --- members ---


def test_a_member_is_two_keys_that_belong_together() -> None:
    known = founders()
    first, second = known.rows[:2]
    assert known.place(PEERS[0], first.consensus_key) == 0
    assert known.place(PEERS[0], second.consensus_key) is None
    assert known.place(PEERS[0], OTHER.consensus_key) is None
    assert known.place(PeerId(OTHER.node_key), OTHER.consensus_key) is None
    assert known.index(PeerId(OTHER.node_key)) is None
    assert known.weight(PeerId(OTHER.node_key)) == 0
    assert known.peer_of(second.consensus_key) == PEERS[1]


@given(st.permutations(range(4)))
def test_members_stand_in_the_committees_order_however_they_are_listed(order: list[int]) -> None:
    shuffled = Members(7, [founders().rows[index] for index in order], True, NEWEST)
    assert shuffled.peers == PEERS
    assert [member.public_key for member in shuffled.committee.validators] == [r.consensus_key for r in shuffled.rows]


# --- who may link ---


def named(addresses: Sequence[object]) -> dict[str, tuple[str, int]]:
    return {each.name: (each.host, each.port) for each in addresses}  # type: ignore[attr-defined]


def test_members_seats_and_those_of_the_epoch_before_may_link_and_nobody_else() -> None:
    """R56"""
    before = Members(0, [*founders().rows, Validator("gone", b"g" * 32, b"G" * 32, 1)], True, NEWEST)
    found = may_link(founders(1), before, WITH_NEXT, ())
    assert {each.peer for each in found} == {*PEERS, PeerId(OTHER.node_key), PeerId(b"G" * 32)}
    assert {each.peer for each in may_link(founders(1), None, ROSTER, ())} == set(PEERS)
    assert tuple(each.peer for each in found)[:4] == PEERS, "members first"


def test_our_own_configuration_says_better_than_the_chain_where_somebody_listens() -> None:
    """R56"""
    name = WITH_NEXT[3].name
    ours = Peer(WITH_NEXT[0].name, "ours.example", 1)
    by_key = Peer("any name", "second.example", 2, OTHER.node_key.hex())
    where = named(may_link(founders(), None, WITH_NEXT, (ours,)))
    assert where[ours.name] == ("ours.example", 1)
    assert where[f"{name} (next)"] == where[name] == ("new.example", 7)
    assert where[WITH_NEXT[1].name] == ("", 0), "it dials us"
    assert named(may_link(founders(), None, WITH_NEXT, (by_key,)))[f"{name} (next)"] == ("second.example", 2)


def test_who_is_pinned_by_key_may_link_whatever_the_roster_is() -> None:
    """R56"""
    pinned = Peer("friend", "friend.example", 3, OTHER.node_key.hex())
    stranger = Peer("stranger", "stranger.example", 4)
    where = named(may_link(founders(), None, ROSTER, (pinned, stranger)))
    assert where["friend"] == ("friend.example", 3)
    assert "stranger" not in where


def test_the_list_has_a_bound_and_never_at_the_cost_of_members() -> None:
    def seats(prefix: str, count: int) -> Roster:
        keys = [Keys(*(key_of(f"{prefix}{number}-{use}").public for use in "cn")) for number in range(2 * count)]
        return tuple(Seat(f"{prefix}{number}", 1, "", *keys[2 * number : 2 * number + 2]) for number in range(count))

    now = Members(1, members(seats("now", 31)), True, NEWEST)
    before = Members(0, members(seats("before", 31)), True, NEWEST)
    peers = [Peer(f"p{number}", "h", 1, number.to_bytes(32, "big").hex()) for number in range(1, 65)]
    found = may_link(now, before, seats("after", 31), peers)
    assert len(found) == 31 + 31 + 62 + 64
    assert len(found) <= PEERS_MAX
    many = [pin(number) for number in range(1, 100)]
    assert {each.peer for each in may_link(now, before, seats("after", 31), many)} >= set(now.peers)


def pin(number: int) -> Peer:
    return Peer(f"q{number}", "h", 1, (10_000 + number).to_bytes(32, "big").hex())
