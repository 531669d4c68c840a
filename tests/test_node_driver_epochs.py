"""node/driver.py where a committee changes: between two epochs, who speaks under which index, what is worth nothing."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from consensus.events import (
    BlockBuilt,
    BlocksSynced,
    Content,
    Input,
    PeerConnected,
    PeerDisconnected,
    PeerHeard,
    Started,
    StatusReceived,
    VoteReceived,
)
from consensus.messages import NO_HASH, Block, Hash, Kind, Status, Vote, encode_message, vote_statement
from consensus.records import Intent, encode_record
from node.driver import CONSENSUS_RECORD
from node.epochs import Epochs
from node.ledger.genesis import Validator
from node.ledger.validators import encode_roster, roster_of
from node.ledger.versions import NEWEST
from node.members import Members
from node.storage import schema
from tests.driver_lab import Cluster, Seat
from tests.node_parts import (
    EPOCH_LENGTH,
    PEERS,
    certify,
    chain_of,
    child,
    eventually,
    genesis,
    key_at,
    members,
    running,
)

LATER = members().rows[1:]  # without the first: everybody's index is one less


@pytest.fixture
async def seat(tmp_path: Path) -> AsyncIterator[Seat]:
    """Return a validator that has not begun; the others are not there."""
    seat = Cluster(tmp_path).seats[1]
    seat.open()
    seat.driver._step(Started())
    yield seat
    seat.close()


class Told:
    """Notes what a driver's core is told, and what is sent to whom."""

    def __init__(self, seat: Seat) -> None:
        self.inputs: list[Input] = []
        self.sent: list[tuple[bytes, bytes]] = []
        step = seat.driver._step

        def noted(event: Input) -> None:
            self.inputs.append(event)
            step(event)

        seat.driver._step = noted  # type: ignore[method-assign]
        seat.send_consensus = lambda peer, payload: self.sent.append((peer, payload))  # type: ignore[method-assign]


def leave_roster(seat: Seat, rows: Sequence[Validator]) -> Members:
    """Make the roster another one at the height that the epoch's last block will name; return who follows from it."""
    names = {row.name for row in rows}
    roster = tuple(each for each in roster_of(genesis()) if each.name in names)
    seat.store._write([(schema.roster_key(0), encode_roster(roster))])
    return Members(1, rows, True, NEWEST)


def first_epoch(after: Members) -> tuple[Block, ...]:
    """Return the blocks of epoch 0, the last of which names another committee."""
    blocks = chain_of(EPOCH_LENGTH - 1)
    return (*blocks[1:], child(blocks[-1], next_validators_hash=Hash(after.committee.hash)))


def end(seat: Seat, blocks: Sequence[Block]) -> None:
    seat.driver._step(BlocksSynced(tuple(blocks), certify(blocks[-1])))
    seat.driver._begin_next_epoch()


def vote(epoch: int, view: int, index: int, signer: int) -> Vote:
    """Return a NULLIFY by the validator ``signer`` of the genesis, under an index."""
    signature = key_at(signer).sign(vote_statement(genesis().hash, Kind.NULLIFY, epoch, view, NO_HASH))
    return Vote(Kind.NULLIFY, epoch, view, NO_HASH, index, signature)


def take_all(seat: Seat) -> None:
    while seat.driver._inbox:
        seat.driver._take_next()


# --- between two epochs ---


async def test_the_next_epoch_waits_for_the_height_that_the_last_block_names(seat: Seat) -> None:
    """R52: the old core answers meanwhile; then one epoch begins, however often anybody looks."""
    begun: list[int] = []
    seat.driver._on_epoch = lambda now: begun.append(now.epoch)
    told = Told(seat)
    blocks = chain_of(EPOCH_LENGTH)
    seat.driver._epochs = _Lagging(seat.driver._epochs)  # type: ignore[assignment]
    end(seat, blocks[1:])
    assert (seat.driver.core.epoch, seat.driver.core.ended, begun) == (0, True, [])
    seat.driver.on_message(PEERS[2], encode_message(Status(0, 1, 0, 0)))
    take_all(seat)
    assert told.sent == [(PEERS[2], encode_message(certify(blocks[-1])))], "it helps"
    for _ in range(3):
        seat.driver._begin_next_epoch()
    assert begun == []
    seat.driver._epochs.known = True  # type: ignore[attr-defined]
    for _ in range(3):
        seat.driver._begin_next_epoch()
    assert (seat.driver.core.epoch, seat.driver.core.ended, begun) == (1, False, [1])


class _Lagging:
    """Epochs of a node whose execution is behind."""

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs
        self.known = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._epochs, name)

    def after(self, boundary: Block) -> Members | None:
        return self._epochs.after(boundary) if self.known else None


async def test_a_restart_between_two_epochs_begins_the_next_one_from_the_journal(seat: Seat) -> None:
    """R52: the journal has the first epoch's blocks and promises of the second, the store has nothing yet."""
    blocks = chain_of(EPOCH_LENGTH)
    promise = encode_record(Intent(Kind.NULLIFY, 1, 3, NO_HASH))
    facts = [*map(encode_record, blocks[1:]), encode_record(certify(blocks[-1])), promise]
    for fact in facts:
        seat.journal.append(CONSENSUS_RECORD, fact)
    seat.journal.sync()
    seat.close()
    for _ in range(2):  # the second time after another crash
        seat.open()
        assert seat.store.tip.height == 0
        seat.driver._step(Started())
        assert seat.driver.core.ended
        assert (CONSENSUS_RECORD, promise) in seat.driver._needed_records(), "a turn of the journal keeps it"
        seat.driver._begin_next_epoch()
        assert seat.driver.core.epoch == 1
        assert promise in seat.driver.core.records()
        assert seat.driver.voting.votes.refused == 0
        seat.close()
    seat.open()
    seat.driver._step(Started())


# --- who speaks ---


async def test_what_came_under_an_index_of_the_epoch_before_is_not_taken_as_another_members(seat: Seat) -> None:
    """R53: the same index, the same view; only the node key tells the two apart."""
    after = leave_roster(seat, LATER)
    blocks = first_epoch(after)
    mine = vote(1, 1, index=2, signer=3)  # validator 3 has index 2 in epoch 1
    seat.driver.on_message(PEERS[3], encode_message(mine))
    seat.driver.on_message(PEERS[2], encode_message(mine))  # who had index 2 when this came
    end(seat, blocks)
    told = Told(seat)
    take_all(seat)
    assert [event for event in told.inputs if isinstance(event, VoteReceived)] == [VoteReceived(mine)]
    assert [(at, reason) for _, at, reason in seat.cluster.blamed] == [(2, "relayed vote")]


async def test_links_are_told_to_the_core_under_the_indices_of_its_epoch(seat: Seat) -> None:
    """R53"""
    after = leave_roster(seat, LATER)
    driver = seat.driver
    driver.on_connected(PEERS[3])
    driver.on_connected(PEERS[0])
    driver.on_disconnected(PEERS[2])
    end(seat, first_epoch(after))
    told = Told(seat)
    take_all(seat)
    assert told.inputs == [PeerConnected(2), PeerDisconnected(1)], "the first is no member any more"


async def test_votes_of_the_epoch_before_are_worth_nothing(seat: Seat) -> None:
    """R48, R52: its sender learns that the epoch is over, and is not blamed for an index that it has no more."""
    after = leave_roster(seat, LATER)
    blocks = first_epoch(after)
    end(seat, blocks)
    told = Told(seat)
    for signer in (2, 3):
        seat.driver.on_message(PEERS[signer], encode_message(vote(0, 1, index=signer, signer=signer)))
    take_all(seat)
    assert not any(isinstance(event, VoteReceived) for event in told.inputs)
    assert {event.epoch for event in told.inputs if isinstance(event, PeerHeard)} == {0}
    assert (PEERS[2], encode_message(certify(blocks[-1]))) in told.sent
    assert seat.driver.core.votes()[Kind.NULLIFY] == ()
    assert seat.cluster.blamed == []


async def test_what_was_asked_for_in_an_epoch_is_dropped_in_the_next(seat: Seat) -> None:
    """R52: a block that was built for a view of the epoch before."""
    told = Told(seat)
    content = Content(1, 0, NO_HASH, NO_HASH, b"", 1)
    seat.driver.deliver(BlockBuilt(1, content))
    end(seat, chain_of(EPOCH_LENGTH)[1:])
    told.inputs.clear()
    take_all(seat)
    assert told.inputs == []


async def test_who_is_no_member_is_heard_only_on_where_it_is(seat: Seat) -> None:
    """R53"""
    after = leave_roster(seat, LATER)
    blocks = first_epoch(after)
    end(seat, blocks)
    told = Told(seat)
    outsider = PEERS[0]
    for message in (vote(1, 1, index=0, signer=0), Status(1, 9, 8, 77), Status(0, 1, 0, 0)):
        seat.driver.on_message(outsider, encode_message(message))
    take_all(seat)
    assert not any(isinstance(event, (VoteReceived, StatusReceived, PeerHeard)) for event in told.inputs)
    assert seat.sync.height_of(outsider) == 0
    assert told.sent[0] == (outsider, encode_message(certify(blocks[-1]))), "what ends its epoch"
    assert seat.cluster.blamed == []
    seat.driver.on_message(outsider, b"\xc1 garbage")
    take_all(seat)
    assert [at for _, at, _ in seat.cluster.blamed] == [0]


async def test_who_is_removed_follows_and_signs_nothing(tmp_path: Path) -> None:
    """R53, R43"""
    seat = Cluster(tmp_path).seats[0]
    seat.open()
    seat.driver._step(Started())
    after = leave_roster(seat, LATER)
    end(seat, first_epoch(after))
    assert seat.driver.core.me is None
    seat.notes.clear()
    seat.driver._timer_at = None
    for signer in (1, 2, 3):
        seat.driver.on_message(PEERS[signer], encode_message(vote(1, 1, index=signer - 1, signer=signer)))
    take_all(seat)
    assert seat.driver.core.view == 2, "it follows"
    assert not {"sign", "send"} & set(seat.notes)
    seat.close()


async def test_an_epoch_begins_when_execution_has_caught_up(seat: Seat) -> None:
    """R52, with the real executor."""
    real = seat.ledger.root
    blocks = chain_of(EPOCH_LENGTH - 1)
    last = child(blocks[-1], executed_height=0, state_root=Hash(real))
    seat.driver._step(BlocksSynced((*blocks[1:], last), certify(last)))
    async with running(seat.executor.run()):
        await eventually(lambda: seat.store.tip.height == EPOCH_LENGTH)
    seat.driver._begin_next_epoch()
    assert seat.driver.core.epoch == 1
    assert seat.epochs.ending(0) == certify(last)
