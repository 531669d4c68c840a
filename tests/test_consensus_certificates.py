"""Votes and certificates in the core: what is kept, what becomes final, and what stops everything."""

import pytest

from consensus.events import (
    BlockChecked,
    BlockFetched,
    BlocksSynced,
    Evidence,
    FetchBlock,
    Finalize,
    Halt,
    Persist,
    SignVote,
)
from consensus.messages import NO_HASH, Certificate, Hash, Kind
from tests.consensus_lab import EPOCH, FINALIZE, NOTARIZE, NULLIFY, Glass, World, cast, facts, of

WORLD = World(4)  # leaders of views 1 to 7: 2, 3, 0, 1, 2, 3, 0


def finals(glass: Glass) -> list[int]:
    return [block.header.height for effect in of(glass.effects, Finalize) for block in effect.blocks]


def test_a_quorum_of_votes_makes_the_certificate_that_goes_to_the_journal() -> None:
    """R22"""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(block))
    glass.votes(WORLD.vote(NOTARIZE, 1, block.hash, 1))
    assert glass.core.view == 1
    effects = glass.votes(WORLD.vote(NOTARIZE, 1, block.hash, 3))
    assert glass.core.view == 2
    certificates = [fact for fact in facts(e.record for e in of(effects, Persist)) if isinstance(fact, Certificate)]
    assert certificates == [WORLD.certificate(NOTARIZE, 1, block.hash, (1, 2, 3))], "the proposal carried the leader's"


def test_votes_count_without_the_proposal() -> None:
    """R22, R25: finalize votes first, the block last."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.votes(*(WORLD.vote(FINALIZE, 1, block.hash, signer) for signer in (1, 2, 3)))
    assert (glass.core.finalized_view, glass.core.view) == (1, 2)
    assert finals(glass) == []
    glass.feed(BlockFetched(block))
    assert finals(glass) == [1]


def test_every_new_certificate_is_kept_and_none_twice() -> None:
    """R22"""
    block = WORLD.block(1)
    given = [WORLD.notarization(block), WORLD.nullification(1), WORLD.finalization(block)]
    glass = Glass(WORLD)
    for certificate in (*given, *given):
        glass.certificates(certificate)
    assert [fact for fact in facts(glass.journal) if isinstance(fact, Certificate)] == given


def test_a_vote_that_is_late_or_far_ahead_is_dropped() -> None:
    """R21, R49"""
    glass = Glass(WORLD)
    glass.certificates(WORLD.finalization(WORLD.block(3)))
    before = len(glass.core.records())
    glass.votes(*(WORLD.vote(NULLIFY, view, signer=signer) for view in (1, 3, 21, 99) for signer in (1, 2, 3)))
    assert glass.core.view == 4
    assert len(glass.core.records()) == before
    glass.votes(*(WORLD.vote(NULLIFY, 20, signer=signer) for signer in (1, 2, 3)))
    assert glass.core.view == 21


def test_a_vote_under_our_own_name_is_not_counted() -> None:
    """R21: only the signer of this node makes its votes."""
    glass = Glass(WORLD)
    glass.votes(*(WORLD.vote(NULLIFY, 1, signer=signer) for signer in (0, 1, 3)))
    assert glass.core.view == 1


def test_equivocation_is_reported_once_and_stops_nothing() -> None:
    """R45"""
    block, other = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass = Glass(WORLD)
    for _ in range(3):
        glass.votes(WORLD.vote(NOTARIZE, 1, block.hash, 1), WORLD.vote(NOTARIZE, 1, other.hash, 1))
    assert len(of(glass.effects, Evidence)) == glass.core.counters.evidence == 1
    glass.votes(WORLD.vote(NOTARIZE, 1, block.hash, 2), WORLD.vote(NOTARIZE, 1, block.hash, 3))
    assert glass.core.view == 2


def test_nullify_and_finalize_of_one_signer_are_reported_and_both_count() -> None:
    """R45"""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.votes(WORLD.vote(NULLIFY, 1, signer=1), WORLD.vote(FINALIZE, 1, block.hash, 1))
    assert of(glass.effects, Evidence) == [
        Evidence(WORLD.vote(NULLIFY, 1, signer=1), WORLD.vote(FINALIZE, 1, block.hash, 1))
    ]
    glass.votes(WORLD.vote(FINALIZE, 1, block.hash, 2), WORLD.vote(FINALIZE, 1, block.hash, 3))
    assert glass.core.finalized_view == 1


def test_a_nullification_leads_on_and_nothing_is_finalized() -> None:
    """R24"""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(1))
    assert glass.core.view == 2
    assert cast(glass.effects) == []


def test_a_notarized_block_is_finalized_by_a_vote_even_if_we_notarized_another() -> None:
    """R25: who was misled by the leader follows the certificate."""
    ours, certified = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass = Glass(WORLD)
    glass.accept(ours)
    glass.certificates(WORLD.notarization(certified))
    assert of(glass.effects, SignVote)[-1] == SignVote(FINALIZE, EPOCH, 1, certified.hash)
    assert of(glass.effects, FetchBlock) == [FetchBlock(certified.hash, (1, 2))]
    glass.feed(BlockFetched(certified))
    glass.certificates(WORLD.finalization(certified))
    assert of(glass.effects, Finalize) == [Finalize((certified,), WORLD.finalization(certified))]


def test_a_view_far_behind_is_finalized_too() -> None:
    """R25: finality needs no chain of good views."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.certificates(*(WORLD.nullification(view) for view in range(2, 9)))
    glass.certificates(WORLD.notarization(block))
    assert (FINALIZE, 1) in cast(glass.effects)
    assert glass.core.view == 9


def test_both_certificates_of_a_view_can_be_held() -> None:
    """R25, R24: notarized and nullified; both are kept for those who ask."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(1), WORLD.notarization(block))
    assert (FINALIZE, 1) in cast(glass.effects), "we did not nullify it ourselves"
    kept = facts(glass.core.records())
    assert WORLD.nullification(1) in kept
    assert WORLD.notarization(block) in kept


def test_a_finalization_needs_no_notarization_and_forgets_what_lies_below() -> None:
    """R26"""
    glass = Glass(WORLD)
    glass.votes(WORLD.vote(NULLIFY, 3, signer=1))
    glass.certificates(WORLD.nullification(1), WORLD.notarization(WORLD.block(2)))
    final = WORLD.block(4)
    glass.certificates(WORLD.finalization(final))
    assert (glass.core.finalized_view, glass.core.view) == (4, 5)
    assert facts(glass.core.records()) == [WORLD.finalization(final)]
    assert glass.core.finalization == WORLD.finalization(final)


def test_the_highest_finalization_is_kept_when_later_views_are_notarized() -> None:
    """R26: it answers every request at or below it."""
    first, second = WORLD.chain((1, 2))
    glass = Glass(WORLD)
    glass.certificates(WORLD.finalization(first), WORLD.notarization(second))
    assert glass.core.finalization == WORLD.finalization(first)
    glass.certificates(WORLD.certificate(FINALIZE, 1, second.hash))
    assert glass.core.finalization == WORLD.finalization(first), "the floor does not move back or aside"


def test_a_final_block_brings_its_ancestors_in_order_under_one_certificate() -> None:
    """R27"""
    chain = WORLD.chain((1, 2, 4))
    glass = Glass(WORLD)
    for block in chain:
        glass.proposed(WORLD.proposal(block))
        glass.certificates(WORLD.notarization(block))
    assert finals(glass) == []
    glass.certificates(WORLD.finalization(chain[2]))
    assert of(glass.effects, Finalize) == [Finalize(tuple(chain), WORLD.finalization(chain[2]))]
    assert glass.core.committed == chain[2]
    glass.certificates(WORLD.finalization(chain[1]), WORLD.finalization(chain[2]))
    assert finals(glass) == [1, 2, 3], "once"


def test_nothing_is_delivered_on_a_notarization() -> None:
    """R27: it may still be abandoned."""
    glass = Glass(WORLD)
    for block in WORLD.chain((1, 2, 4, 5)):
        glass.proposed(WORLD.proposal(block))
        glass.certificates(WORLD.notarization(block))
    assert finals(glass) == []


def test_a_missing_ancestor_is_fetched_before_anything_is_delivered() -> None:
    """R27, R39"""
    first, second, third = WORLD.chain((1, 2, 3))
    glass = Glass(WORLD)
    glass.certificates(WORLD.finalization(third))
    for missing in (third, second, first):
        assert finals(glass) == []
        assert of(glass.effects, FetchBlock)[-1] == FetchBlock(missing.hash, (1, 2))
        glass.feed(BlockFetched(missing))
    assert finals(glass) == [1, 2, 3]
    assert len(of(glass.effects, Finalize)) == 1


def test_an_abandoned_block_is_dropped_when_the_chain_passes_it() -> None:
    """R27: notarized and nullified, and then passed over."""
    left, right = WORLD.block(1), WORLD.block(2, WORLD.root, 0)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(left))
    glass.certificates(WORLD.notarization(left), WORLD.nullification(1))
    assert glass.core.block(left.hash) == left
    glass.proposed(WORLD.proposal(right))
    glass.certificates(WORLD.finalization(right))
    assert of(glass.effects, Finalize)[-1].blocks == (right,)
    assert glass.core.block(left.hash) is None


def test_a_final_block_beside_the_committed_chain_stops_everything() -> None:
    """R28"""
    mine, other = WORLD.block(1), WORLD.block(2, WORLD.root, 0)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(mine))
    glass.certificates(WORLD.finalization(mine))
    glass.certificates(WORLD.finalization(other))
    glass.feed(BlockFetched(other))
    assert len(of(glass.effects, Halt)) == 1
    assert glass.core.halted
    assert finals(glass) == [1]
    block = WORLD.block(3, mine)
    assert glass.accept(block) == []
    assert glass.certificates(WORLD.notarization(block)) == []
    assert glass.until(60_000) == []


def test_a_final_block_whose_parent_is_not_the_committed_one_stops_everything() -> None:
    """R28: its height alone would fit."""
    mine, other = WORLD.block(1), WORLD.block(1, payload=b"y")
    child = WORLD.block(2, other)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(mine))
    glass.certificates(WORLD.finalization(mine), WORLD.finalization(child))
    glass.feed(BlockFetched(child))
    assert len(of(glass.effects, Halt)) == 1
    assert finals(glass) == [1]


def test_a_final_range_beside_the_committed_chain_stops_everything() -> None:
    """R28, R40"""
    mine = WORLD.block(1)
    other = WORLD.chain((2, 3))
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(mine))
    glass.certificates(WORLD.finalization(mine))
    glass.feed(BlocksSynced(tuple(other), WORLD.finalization(other[1])))
    assert len(of(glass.effects, Halt)) == 1
    assert finals(glass) == [1]


@pytest.mark.parametrize("field", [{"epoch": EPOCH + 1}, {"height": 1_001}])
def test_a_final_block_outside_of_the_epoch_stops_everything(field: dict[str, int]) -> None:
    """R28"""
    block = WORLD.changed(WORLD.block(1), **field)
    glass = Glass(WORLD, end_height=1_000)
    glass.certificates(WORLD.finalization(block))
    glass.feed(BlockFetched(block))
    assert len(of(glass.effects, Halt)) == 1
    assert finals(glass) == []


@pytest.mark.parametrize("kind", [NOTARIZE, FINALIZE])
@pytest.mark.parametrize("verdict_first", [True, False])
def test_a_quorum_for_what_the_application_found_invalid_stops_everything(kind: Kind, verdict_first: bool) -> None:
    """R28: one of the two is broken, and it may be us."""
    block = WORLD.block(1)
    certificate = WORLD.notarization(block) if kind is NOTARIZE else WORLD.finalization(block)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(block))
    if verdict_first:
        glass.feed(BlockChecked(1, block.hash, False))
        glass.certificates(certificate)
    else:
        glass.certificates(certificate)
        glass.feed(BlockChecked(1, block.hash, False))
    expected = verdict_first or kind is NOTARIZE
    assert bool(of(glass.effects, Halt)) is expected, "a final block is compared when it is executed"
    if verdict_first:
        assert cast(glass.effects) == [(NULLIFY, 1)]


def test_a_quorum_for_another_block_than_the_invalid_one_is_normal() -> None:
    """R25, R28"""
    bad, good = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(bad))
    glass.feed(BlockChecked(1, bad.hash, False))
    glass.certificates(WORLD.notarization(good))
    assert of(glass.effects, Halt) == []
    assert glass.core.view == 2


def test_what_a_faulty_minority_sends_does_not_accumulate() -> None:
    """R49"""
    glass = Glass(WORLD)
    for number in range(300):
        named = Hash(bytes([1 + number // 200, number % 200]) * 16)
        view = 1 + number % 17
        glass.votes(WORLD.vote(NOTARIZE, view, named, 1), WORLD.vote(FINALIZE, view, named, 1))
        glass.votes(WORLD.vote(NULLIFY, 10_000 + number, NO_HASH, 1))
    assert len(of(glass.effects, Evidence)) <= 2 * 17
    assert glass.core.records() == []
    assert glass.core.view == 1
