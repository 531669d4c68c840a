"""A core that comes back keeps every promise, forgets nothing that counts, and moves on."""

from itertools import permutations
from random import Random

import pytest

from consensus.encoding import DecodeError
from consensus.events import (
    BlockBuilt,
    BlockFetched,
    Broadcast,
    Content,
    EpochEnded,
    FetchBlock,
    Finalize,
    Replayed,
    SetTimer,
    SignVote,
    Started,
)
from consensus.messages import NO_HASH, Block, Certificate, Hash, Proposal, Status, Vote, encode_message
from consensus.records import Intent, Record, Reproposal, encode_record
from tests.consensus_lab import EPOCH, FINALIZE, NOTARIZE, NULLIFY, Glass, World, cast, facts, of, sent

WORLD = World(4)  # leaders of views 1 to 7: 2, 3, 0, 1, 2, 3, 0
LATER = World(4, epoch=EPOCH + 1)


def lived() -> Glass:
    """A life with all kinds of votes: view 1 final, 2 notarized, 3 nullified, 4 notarized by us."""
    first, second, fourth = WORLD.chain((1, 2, 4))
    glass = Glass(WORLD)
    glass.accept(first)
    glass.certificates(WORLD.notarization(first), WORLD.finalization(first))
    glass.accept(second)
    glass.certificates(WORLD.notarization(second))
    glass.until(2_500)
    glass.certificates(WORLD.nullification(3))
    glass.accept(fourth)
    assert cast(glass.effects) == [
        (NOTARIZE, 1),
        (FINALIZE, 1),
        (NOTARIZE, 2),
        (FINALIZE, 2),
        (NULLIFY, 3),
        (NOTARIZE, 4),
    ]
    return glass


def test_promises_above_the_floor_are_signed_again_and_sent_again() -> None:
    """R41: the signatures are the same bytes, so nobody sees two votes."""
    before = lived()
    again = before.restarted()
    assert cast(again.effects) == [(NOTARIZE, 2), (FINALIZE, 2), (NULLIFY, 3), (NOTARIZE, 4)]
    first_life = [message for message in sent(before.effects) if isinstance(message, Vote) and message.view > 1]
    second_life = [message for message in sent(again.effects) if isinstance(message, Vote)]
    assert {encode_message(vote) for vote in second_life} == {encode_message(vote) for vote in first_life}


def test_the_view_the_floor_and_the_committed_chain_come_back() -> None:
    """R41"""
    before = lived()
    again = before.restarted()
    assert again.core.view == before.core.view == 4
    assert again.core.finalized_view == 1
    assert again.core.committed == before.core.committed
    assert [e.blocks for e in of(again.effects, Finalize)] == [(before.core.committed,)]


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_the_journal_does_not_matter(seed: int) -> None:
    """R41: nothing is derived from the last record."""
    before = lived()
    straight = before.restarted()
    shuffled = list(before.journal)
    Random(seed).shuffle(shuffled)
    again = before.restarted(records=shuffled)
    assert sorted(again.core.records()) == sorted(straight.core.records())
    assert (again.core.view, again.core.committed) == (straight.core.view, straight.core.committed)
    assert cast(again.effects) == cast(straight.effects)


def test_every_prefix_of_the_journal_is_a_legal_past() -> None:
    """R41: cut anywhere, the promises in it are kept and the core goes on."""
    before = lived()
    for length in range(len(before.journal) + 1):
        again = before.restarted(records=before.journal[:length])
        promised = {fact for fact in facts(before.journal[:length]) if isinstance(fact, Intent)}
        again.until(30_000)
        for signing in of(again.effects, SignVote):
            for old in promised:
                if old.view == signing.view:
                    assert not (old.kind is signing.kind and old.hash != signing.hash)
                    assert {old.kind, signing.kind} != {NULLIFY, FINALIZE}


def test_a_second_restart_is_like_the_first() -> None:
    """R41, R42"""
    before = lived()
    once, twice = before.restarted(), before.restarted().restarted()
    assert once.core.records() == twice.core.records()
    assert cast(once.effects) == cast(twice.effects)


def test_a_notarize_is_not_forgotten() -> None:
    """R6, R41: a second block of the view gets no second vote."""
    glass = Glass(WORLD)
    glass.accept(WORLD.block(1))
    again = glass.restarted()
    again.accept(WORLD.block(1, payload=b"y"))
    assert [e.hash for e in of(again.effects, SignVote)] == [WORLD.block(1).hash]


def test_a_nullify_is_not_forgotten() -> None:
    """R7, R41: the notarization that comes later is not finalized."""
    glass = Glass(WORLD)
    glass.until(1_000)
    again = glass.restarted()
    again.certificates(WORLD.notarization(WORLD.block(1)))
    assert cast(again.effects) == [(NULLIFY, 1)]
    assert again.core.view == 2


def test_a_finalize_is_not_forgotten_even_without_its_certificate() -> None:
    """R7, R41: the promise alone keeps the view from being nullified."""
    glass = Glass(WORLD)
    glass.certificates(WORLD.notarization(WORLD.block(1)))
    promises = [record for record in glass.journal if isinstance(facts([record])[0], Intent)]
    again = glass.restarted(records=promises)
    assert again.core.view == 1
    again.until(60_000)
    assert cast(again.effects) == [(FINALIZE, 1)]


def test_a_notarization_in_the_journal_is_finalized_if_it_was_not() -> None:
    """R41, R25: a crash came between the certificate and the vote."""
    block = WORLD.block(1)
    again = Glass(WORLD, records=[encode_record(WORLD.notarization(block))])
    assert cast(again.effects) == [(FINALIZE, 1)]
    assert of(again.effects, FetchBlock) == [FetchBlock(block.hash, (1, 2))]


def test_both_certificates_of_one_view_come_back() -> None:
    """R41, R7: with our own nullify there is no finalize."""
    block = WORLD.block(1)
    records: list[Record] = [WORLD.notarization(block), WORLD.nullification(1), Intent(NULLIFY, EPOCH, 1, NO_HASH)]
    for order in permutations([encode_record(record) for record in records]):
        again = Glass(WORLD, records=order)
        assert cast(again.effects) == [(NULLIFY, 1)]
        assert again.core.view == 2
        assert set(facts(again.core.records())) == set(records)


def test_own_votes_count_once_and_count_again_after_a_restart() -> None:
    """R41, R22: two others complete the nullification; the same votes twice do not."""
    glass = Glass(WORLD)
    glass.until(1_000)
    again = glass.restarted()
    again.votes(WORLD.vote(NULLIFY, 1, signer=1), WORLD.vote(NULLIFY, 1, signer=1))
    assert again.core.view == 1
    again.votes(WORLD.vote(NULLIFY, 1, signer=3))
    assert again.core.view == 2


def test_a_restarted_core_has_all_its_deadlines() -> None:
    """R41, R9: a recovered view without timers once stopped a network."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.accept(block)
    again = glass.restarted()
    assert of(again.effects, SetTimer) != []
    again.until(1_000)
    assert (NULLIFY, 1) in cast(again.effects), "the proposal is not here any more, and its leader says nothing"


def test_a_view_nullified_before_the_restart_is_left_to_retries() -> None:
    """R9, R41"""
    glass = Glass(WORLD)
    glass.until(1_000)
    again = glass.restarted()
    for second in range(2, 6):
        assert WORLD.vote(NULLIFY, 1, signer=0) in sent(again.until(second * 1_000))
    assert cast(again.effects) == [(NULLIFY, 1)]


def test_a_core_says_where_it_is_when_it_joins() -> None:
    """R41"""
    glass = lived()
    again = glass.restarted()
    messages = sent(again.effects)
    assert [m for m in messages if isinstance(m, Certificate)] == [
        WORLD.finalization(again.core.committed),
        WORLD.nullification(3),
    ]
    assert Status(EPOCH, 4, 1, 1) in messages


def test_a_stored_block_ahead_of_the_journal_wins() -> None:
    """R42"""
    chain = WORLD.chain((1, 2, 3, 4))
    before = lived()
    floor = WORLD.finalization(chain[3])
    again = before.restarted(root=chain[3], floor=floor)
    assert (again.core.finalized_view, again.core.view) == (4, 5)
    assert cast(again.effects) == [], "promises at and below the floor are history"
    assert again.core.committed == chain[3]
    assert facts(again.core.records()) == [floor]


def test_a_floor_above_the_stored_block_asks_for_the_blocks_between() -> None:
    """R42, R27: the store was cut off while it took a range."""
    chain = WORLD.chain((1, 2, 3))
    again = Glass(WORLD, root=chain[0], floor=WORLD.finalization(chain[2]))
    assert (again.core.finalized_view, again.core.committed) == (3, chain[0])
    again.feed(BlockFetched(chain[2]))
    again.feed(BlockFetched(chain[1]))
    assert [e.blocks for e in of(again.effects, Finalize)] == [(chain[1], chain[2])]


def test_a_stored_block_without_a_certificate_of_its_own_is_a_floor_too() -> None:
    """R42"""
    chain = WORLD.chain((1, 2))
    again = Glass(WORLD, root=chain[1])
    assert (again.core.finalized_view, again.core.view) == (2, 3)
    again.accept(WORLD.block(3, chain[1]))
    glass = Glass(WORLD, me=1, root=chain[1])
    glass.accept(WORLD.block(3, chain[1]))
    assert cast(glass.effects) == [(NOTARIZE, 3)]


def test_records_of_another_epoch_and_below_the_floor_are_ignored() -> None:
    """R42, R48: votes of an earlier committee would count in this one."""
    foreign: list[Record] = [
        Intent(NULLIFY, EPOCH - 1, 5, NO_HASH),
        Intent(FINALIZE, EPOCH + 1, 5, Hash(b"h" * 32)),
        LATER.nullification(9),
        LATER.certificate(FINALIZE, 9, Hash(b"h" * 32)),
        LATER.block(9),
        Reproposal(EPOCH + 1, 9, 1),
        Intent(NULLIFY, EPOCH, 1, NO_HASH),
        WORLD.nullification(1),
    ]
    block = WORLD.block(1)
    again = Glass(
        WORLD, root=block, floor=WORLD.finalization(block), records=[encode_record(record) for record in foreign]
    )
    assert cast(again.effects) == []
    assert again.core.view == 2
    assert facts(again.core.records()) == [WORLD.finalization(block)]


def test_a_certificate_of_the_epoch_before_is_no_floor() -> None:
    """R42, R48: the first block of an epoch is stored with what ended the one before."""
    boundary = WORLD.block(9, end=1)
    next_epoch = Glass(LATER, root=boundary, floor=WORLD.finalization(boundary), end_height=5)
    assert (next_epoch.core.finalized_view, next_epoch.core.view) == (0, 1)
    assert next_epoch.core.finalization is None


@pytest.mark.parametrize(
    "records",
    [
        [Intent(NOTARIZE, EPOCH, 1, Hash(b"1" * 32)), Intent(NOTARIZE, EPOCH, 1, Hash(b"2" * 32))],
        [Intent(FINALIZE, EPOCH, 1, Hash(b"1" * 32)), Intent(FINALIZE, EPOCH, 1, Hash(b"2" * 32))],
        [Intent(FINALIZE, EPOCH, 1, Hash(b"1" * 32)), Intent(NULLIFY, EPOCH, 1, NO_HASH)],
    ],
)
def test_a_journal_that_contradicts_itself_stops_the_process(records: list[Intent]) -> None:
    """R41"""
    for order in permutations(records):
        with pytest.raises(AssertionError, match="the journal holds"):
            Glass(WORLD, records=[encode_record(record) for record in order])


@pytest.mark.parametrize("record", [b"", b"\x90", b"\x91\x09", b"\x95\x00\x07\x01\x01\xc4\x00", b"garbage"])
def test_a_damaged_record_is_not_taken_for_none(record: bytes) -> None:
    """R41"""
    with pytest.raises(DecodeError):
        Glass(WORLD, records=[record])


def test_records_come_before_the_start_and_the_start_comes_once() -> None:
    glass = Glass(WORLD)
    for event in (Replayed(encode_record(WORLD.nullification(1))), Started()):
        with pytest.raises(AssertionError):
            glass.core.step(0, event)


def test_nothing_is_done_before_the_start() -> None:
    """R41: replay is silent."""
    before = lived()
    silent = before.restarted(start=False)
    assert silent.effects == []


def test_an_observer_that_was_a_validator_signs_none_of_its_promises_again() -> None:
    """R43: who lost its guard does not vote in this epoch."""
    before = lived()
    observer = Glass(WORLD, me=None, records=before.journal)
    observer.until(60_000)
    assert of(observer.effects, SignVote) == []
    assert of(observer.effects, Broadcast) == []
    assert observer.core.view == 4


def test_a_rotated_journal_tells_the_same_story() -> None:
    """R44"""
    before = lived()
    whole, rotated = before.restarted(), before.restarted(records=before.core.records())
    assert sorted(rotated.core.records()) == sorted(whole.core.records())
    assert cast(rotated.effects) == [(NOTARIZE, 2), (FINALIZE, 2), (NULLIFY, 3), (NOTARIZE, 4)]
    assert (rotated.core.view, rotated.core.finalized_view) == (4, 1)


def test_the_rotated_journal_holds_what_is_above_the_floor_and_the_floor() -> None:
    """R44, R42: a journal cut before the floor is durable lets a finalized view be nullified."""
    kept = facts(lived().core.records())
    first, second, fourth = WORLD.chain((1, 2, 4))
    assert set(kept) == {
        WORLD.finalization(first),
        WORLD.notarization(second),
        WORLD.nullification(3),
        second,
        fourth,
        Intent(NOTARIZE, EPOCH, 2, second.hash),
        Intent(FINALIZE, EPOCH, 2, second.hash),
        Intent(NULLIFY, EPOCH, 3, NO_HASH),
        Intent(NOTARIZE, EPOCH, 4, fourth.hash),
    }
    assert len(kept) == 9


def test_a_rotation_between_a_promise_and_its_signature_keeps_the_promise() -> None:
    """R44, R8"""
    glass = Glass(WORLD, signs=False)
    glass.accept(WORLD.block(1))
    assert Intent(NOTARIZE, EPOCH, 1, WORLD.block(1).hash) in facts(glass.core.records())


def test_a_rotated_journal_keeps_the_parent_of_a_re_proposal() -> None:
    """R44, R46"""
    end = WORLD.block(1, end=1)
    glass = Glass(WORLD, me=3, end_height=1)
    glass.proposed(WORLD.proposal(end))
    glass.certificates(WORLD.notarization(end))
    assert Reproposal(EPOCH, 2, 1) in facts(glass.core.records())
    again = glass.restarted(records=glass.core.records())
    (proposal,) = [message for message in sent(again.effects) if isinstance(message, Proposal)]
    assert (proposal.parent_view, proposal.block, proposal.vote.hash) == (1, None, end.hash)


def test_a_block_of_ours_survives_until_it_is_committed() -> None:
    """R8, R44: a notarization proves that it is on disk."""
    glass = Glass(WORLD, me=2)
    glass.feed(BlockBuilt(1, Content(7, 0, NO_HASH, NO_HASH, b"mine", 1)))
    (mine,) = [fact for fact in facts(glass.core.records()) if isinstance(fact, Block)]
    again = glass.restarted()
    again.certificates(WORLD.notarization(mine), WORLD.finalization(mine))
    assert [e.blocks for e in of(again.effects, Finalize)] == [(mine,)]
    assert not [fact for fact in facts(again.core.records()) if isinstance(fact, Block)]
    assert of(again.effects, EpochEnded) == []
