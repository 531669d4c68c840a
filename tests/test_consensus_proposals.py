"""Proposals: on which parent, with which proof, and what is checked before a vote."""

from dataclasses import replace

import pytest

from consensus.events import (
    BlockBuilt,
    BlockChecked,
    BlockFetched,
    BuildBlock,
    CheckBlock,
    Content,
    Evidence,
    FetchBlock,
)
from consensus.messages import NO_HASH, Block, CertificateRequest, Hash, Proposal
from consensus.place import follows
from consensus.records import Intent
from tests.consensus_lab import EPOCH, FINALIZE, GENESIS, NOTARIZE, NULLIFY, Glass, World, cast, facts, of, sent

WORLD = World(4)  # leaders of views 1 to 7: 2, 3, 0, 1, 2, 3, 0
CONTENT = Content(7, 0, NO_HASH, NO_HASH, b"mine", 1)


def requests(glass: Glass) -> set[tuple[int, int]]:
    asked = [effect.message for effect in glass.effects if hasattr(effect, "peer") and hasattr(effect, "message")]
    return {(message.low, message.high) for message in asked if isinstance(message, CertificateRequest)}


def builds(glass: Glass) -> list[BuildBlock]:
    return of(glass.effects, BuildBlock)


def proposals(glass: Glass) -> list[Proposal]:
    return [message for message in sent(glass.effects) if isinstance(message, Proposal)]


# the leader's side


def test_the_leader_of_the_first_view_builds_on_the_epochs_first_block() -> None:
    """R10, R11"""
    glass = Glass(WORLD, me=2)
    assert builds(glass) == [BuildBlock(1, WORLD.root, waiting=False)]
    glass.feed(BlockBuilt(1, CONTENT))
    (proposal,) = proposals(glass)
    assert proposal.block is not None
    assert proposal.block.header.parent_hash == WORLD.root.hash
    assert (proposal.parent_view, proposal.justification, proposal.finalization) == (0, (), None)


def test_who_does_not_lead_builds_nothing() -> None:
    """R11"""
    for me in (0, 1, 3):
        glass = Glass(WORLD, me=me)
        glass.feed(BlockBuilt(1, CONTENT))
        assert builds(glass) == []
        assert cast(glass.effects) == []


def test_a_leader_asks_for_a_block_once_and_makes_one_proposal() -> None:
    """R11"""
    glass = Glass(WORLD, me=2)
    for _ in range(3):
        glass.feed(BlockBuilt(1, CONTENT))
        glass.until(glass.now + 300)
    assert len(builds(glass)) == 1
    assert len({proposal.vote.hash for proposal in proposals(glass)}) == 1
    assert cast(glass.effects) == [(NOTARIZE, 1)]


def test_a_block_that_comes_after_its_view_is_dropped() -> None:
    """R11"""
    glass = Glass(WORLD, me=2)
    glass.certificates(WORLD.nullification(1))
    glass.feed(BlockBuilt(1, CONTENT))
    assert cast(glass.effects) == []


def test_a_leader_without_content_gives_its_view_up_at_once() -> None:
    """R12"""
    glass = Glass(WORLD, me=2)
    glass.feed(BlockBuilt(1, None))
    assert cast(glass.effects) == [(NULLIFY, 1)]
    assert len(builds(glass)) == 1


@pytest.mark.parametrize(
    "content",
    [
        Content(0, 0, NO_HASH, NO_HASH, b"", 1),  # not later than its parent
        Content(7, 1, NO_HASH, NO_HASH, b"", 1),  # executed before it is final
        Content(7, 0, NO_HASH, Hash(b"n" * 32), b"", 1),  # names a committee in the middle of an epoch
        Content(7, 0, NO_HASH, NO_HASH, bytes(64 * 1024 + 1), 1),
    ],
)
def test_a_leader_does_not_propose_what_peers_would_refuse(content: Content) -> None:
    """R12"""
    glass = Glass(WORLD, me=2)
    glass.feed(BlockBuilt(1, content))
    assert cast(glass.effects) == [(NULLIFY, 1)]
    assert glass.core.counters.own_blocks_unfit == 1


def test_the_parent_is_the_highest_certified_block_above_which_all_is_nullified() -> None:
    """R10"""
    first, second = WORLD.chain((1, 2))
    glass = Glass(WORLD, me=2)  # leads view 5
    glass.certificates(WORLD.notarization(first), WORLD.notarization(second))
    glass.feed(BlockFetched(second), BlockFetched(first))
    glass.certificates(WORLD.notarization(second), WORLD.nullification(3), WORLD.nullification(4))
    assert builds(glass)[-1] == BuildBlock(5, second, waiting=True)
    glass.feed(BlockBuilt(5, CONTENT))
    proposal = proposals(glass)[-1]
    assert proposal.parent_view == 2
    assert proposal.justification == (WORLD.notarization(second), WORLD.nullification(4), WORLD.nullification(3))


def test_a_notarized_view_whose_block_is_away_is_passed_over_only_if_it_is_nullified() -> None:
    """R10"""
    block = WORLD.block(1)
    glass = Glass(WORLD, me=3)  # leads view 2
    glass.certificates(WORLD.notarization(block))
    assert builds(glass) == []
    assert of(glass.effects, FetchBlock) == [FetchBlock(block.hash, (0, 1, 2))]
    glass.certificates(WORLD.nullification(1))
    assert builds(glass) == [BuildBlock(2, WORLD.root, waiting=False)]
    waiting = Glass(WORLD, me=3)
    waiting.certificates(WORLD.notarization(block))
    waiting.feed(BlockFetched(block))
    assert builds(waiting) == [BuildBlock(2, block, waiting=True)]


def test_a_notarized_block_that_is_here_is_the_parent_even_if_its_view_is_nullified_too() -> None:
    """R10: forced inclusion where possible; a later view above it still decides."""
    block = WORLD.block(1)
    glass = Glass(WORLD, me=3)
    glass.accept(block)
    glass.certificates(WORLD.notarization(block), WORLD.nullification(1))
    assert builds(glass) == [BuildBlock(2, block, waiting=True)]


def test_a_leader_that_jumped_asks_all_for_the_first_view_that_it_knows_nothing_of() -> None:
    """R10, R36"""
    glass = Glass(WORLD)  # leads view 7
    glass.certificates(WORLD.nullification(6))
    assert builds(glass) == []
    for peer in (1, 2, 3):
        assert CertificateRequest(EPOCH, 5, 5) in sent(glass.effects, peer)
    glass.certificates(WORLD.notarization(WORLD.block(5)))
    glass.feed(BlockFetched(WORLD.block(5)))
    assert builds(glass) == [BuildBlock(7, WORLD.block(5), waiting=True)]


def test_the_parent_is_what_was_certified_and_not_what_we_notarized() -> None:
    """R10, R25"""
    ours, certified = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass = Glass(WORLD, me=3)  # leads view 2
    glass.accept(ours)
    glass.certificates(WORLD.notarization(certified))
    assert builds(glass) == []
    glass.feed(BlockFetched(certified))
    assert builds(glass) == [BuildBlock(2, certified, waiting=True)]


def test_the_finalized_block_is_a_parent_without_a_notarization() -> None:
    """R10, R26"""
    block = WORLD.block(1)
    glass = Glass(WORLD, me=3)
    glass.proposed(WORLD.proposal(block))
    glass.certificates(WORLD.finalization(block))
    assert builds(glass) == [BuildBlock(2, block, waiting=False)]
    glass.feed(BlockBuilt(2, CONTENT))
    (proposal,) = proposals(glass)
    assert (proposal.justification, proposal.finalization) == ((), WORLD.finalization(block))


def test_a_proposal_carries_ten_certificates_at_the_most() -> None:
    """R11, R49: the newest nullifications; the rest is asked for."""
    block = WORLD.block(1)
    glass = Glass(WORLD, me=2)  # leads view 21
    glass.certificates(WORLD.notarization(block))
    glass.feed(BlockFetched(block))
    glass.certificates(*(WORLD.nullification(view) for view in range(2, 21)))
    glass.feed(BlockBuilt(21, CONTENT))
    proof = proposals(glass)[-1].justification
    assert proof == (WORLD.notarization(block), *(WORLD.nullification(view) for view in range(20, 11, -1)))
    assert len(proof) == 10


def test_a_restarted_leader_sends_the_promised_block_again_and_builds_no_other() -> None:
    """R11, R41"""
    glass = Glass(WORLD, me=2)
    glass.feed(BlockBuilt(1, CONTENT))
    again = glass.restarted()
    assert builds(again) == []
    assert proposals(again) == proposals(glass)
    again.feed(BlockBuilt(1, Content(8, 0, NO_HASH, NO_HASH, b"other", 1)))
    assert cast(again.effects) == [(NOTARIZE, 1)]
    assert len({proposal.vote.hash for proposal in proposals(again)}) == 1


def test_a_restarted_leader_that_lost_its_block_builds_no_other() -> None:
    """R11: its view ends by time."""
    glass = Glass(WORLD, me=2)
    glass.feed(BlockBuilt(1, CONTENT))
    kept = [record for record in glass.journal if not isinstance(facts([record])[0], Block)]
    again = glass.restarted(records=kept)
    assert builds(again) == []
    assert proposals(again) == []
    again.until(2_500)
    assert cast(again.effects) == [(NOTARIZE, 1), (NULLIFY, 1)]


def test_a_leader_that_crashed_between_the_block_and_its_vote_may_build_another() -> None:
    """R8, R11: nothing was promised."""
    glass = Glass(WORLD, me=2)
    glass.feed(BlockBuilt(1, CONTENT))
    kept = [record for record in glass.journal if not isinstance(facts([record])[0], Intent)]
    again = glass.restarted(records=kept)
    assert len(builds(again)) == 1
    again.feed(BlockBuilt(1, Content(8, 0, NO_HASH, NO_HASH, b"other", 1)))
    assert len(proposals(again)) == 1


# the voters' side


def test_a_good_proposal_is_checked_by_the_application_and_then_notarized() -> None:
    """R19, R20"""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    assert of(glass.proposed(WORLD.proposal(block)), CheckBlock) == [CheckBlock(1, block, WORLD.root)]
    assert cast(glass.effects) == []
    glass.feed(BlockChecked(1, block.hash, True))
    assert cast(glass.effects) == [(NOTARIZE, 1)]
    assert sent(glass.effects)[-1] == WORLD.vote(NOTARIZE, 1, block.hash, 0)


def test_the_block_is_checked_once_however_much_arrives() -> None:
    """R19"""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    for _ in range(3):
        glass.proposed(WORLD.proposal(block))
        glass.votes(WORLD.vote(NOTARIZE, 1, block.hash, 1))
        glass.until(glass.now + 500)
    assert len(of(glass.effects, CheckBlock)) == 1


def test_an_invalid_verdict_gives_the_view_up_at_once() -> None:
    """R20: without waiting for the timer."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(block))
    glass.feed(BlockChecked(1, block.hash, False))
    assert cast(glass.effects) == [(NULLIFY, 1)]
    assert glass.core.counters.proposals_invalid == 1


@pytest.mark.parametrize(("view", "same_hash"), [(1, False), (2, True), (3, True)])
def test_a_verdict_on_something_else_changes_nothing(view: int, same_hash: bool) -> None:
    """R19: stale verdicts and verdicts on a block that was replaced."""
    block, other = WORLD.block(1), WORLD.block(1, payload=b"y")
    for valid in (True, False):
        glass = Glass(WORLD)
        glass.proposed(WORLD.proposal(block))
        glass.feed(BlockChecked(view, block.hash if same_hash else other.hash, valid))
        assert cast(glass.effects) == []


def test_a_verdict_counts_once() -> None:
    """R19"""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.accept(block)
    glass.feed(BlockChecked(1, block.hash, False))
    assert cast(glass.effects) == [(NOTARIZE, 1)]


def test_a_verdict_that_comes_after_the_view_brings_no_vote() -> None:
    """R19, R20"""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(block))
    glass.certificates(WORLD.nullification(1))
    glass.feed(BlockChecked(1, block.hash, True))
    assert cast(glass.effects) == []


def test_a_proposal_is_wanted_while_it_is_its_views_first_or_convicts() -> None:
    """R13: votes of the view, and even its leader's own, do not make its first proposal superfluous."""
    block, other = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass = Glass(WORLD)
    assert glass.core.wants(WORLD.proposal(block))
    glass.votes(WORLD.vote(NOTARIZE, 1, block.hash, 2))
    assert glass.core.wants(WORLD.proposal(block))
    glass.proposed(WORLD.proposal(block))
    assert not glass.core.wants(WORLD.proposal(block))
    assert glass.core.wants(WORLD.proposal(other))
    glass.proposed(WORLD.proposal(other))
    assert not glass.core.wants(WORLD.proposal(other))


def test_the_first_proposal_of_a_view_stands_and_the_second_convicts_its_leader() -> None:
    """R13, R45"""
    block, other = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(block))
    effects = glass.proposed(WORLD.proposal(other))
    assert of(effects, CheckBlock) == []
    (evidence,) = of(effects, Evidence)
    assert {evidence.first, evidence.second} == {WORLD.vote(NOTARIZE, 1, b.hash, 2) for b in (block, other)}
    assert of(glass.proposed(WORLD.proposal(WORLD.block(1, payload=b"z"))), Evidence) == []


def test_a_proposal_waits_for_its_view() -> None:
    """R13"""
    glass = Glass(WORLD)
    later = WORLD.block(2)
    glass.proposed(WORLD.proposal(later))
    assert of(glass.effects, CheckBlock) == []
    glass.certificates(WORLD.nullification(1))
    assert of(glass.effects, CheckBlock) == [CheckBlock(2, later, WORLD.root)]


def test_a_proposal_alone_brings_who_lags_to_its_view() -> None:
    """R13, R22: it carries all that it rests on."""
    first = WORLD.block(1)
    block = WORLD.block(4, first, 1)
    glass = Glass(WORLD)
    proof = [WORLD.notarization(first), WORLD.nullification(3), WORLD.nullification(2)]
    glass.proposed(WORLD.proposal(block, justification=proof))
    assert glass.core.view == 4
    assert of(glass.effects, FetchBlock) == [FetchBlock(first.hash, (1, 2))]
    glass.feed(BlockFetched(first))
    assert of(glass.effects, CheckBlock) == [CheckBlock(4, block, first)]
    assert (FINALIZE, 1) in cast(glass.effects)


@pytest.mark.parametrize("view", [17, 18])
def test_a_proposal_more_than_sixteen_views_ahead_is_dropped_after_its_certificates(view: int) -> None:
    """R13, R49"""
    glass = Glass(WORLD)
    proposal = WORLD.proposal(WORLD.block(view))
    glass.proposed(proposal)
    held = glass.core.block(proposal.vote.hash) is not None
    assert held is (view == 17)
    glass.proposed(WORLD.proposal(WORLD.block(view), justification=[WORLD.nullification(view - 1)]))
    assert glass.core.view == view
    assert glass.core.block(proposal.vote.hash) is not None


def test_certificates_of_later_views_in_a_proposal_are_left_alone() -> None:
    """R13"""
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(WORLD.block(1), justification=[WORLD.nullification(1), WORLD.nullification(5)]))
    assert glass.core.view == 1
    glass.proposed(WORLD.proposal(WORLD.block(2), finalization=WORLD.finalization(WORLD.block(3))))
    assert glass.core.finalized_view == 3


def test_a_parent_below_the_floor_is_invalid() -> None:
    """R14: it forks around a final block and can never become valid."""
    final = WORLD.block(1)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(final))
    glass.certificates(WORLD.finalization(final))
    glass.proposed(WORLD.proposal(WORLD.block(2, WORLD.root, 0)))
    assert cast(glass.effects) == [(NULLIFY, 2)]


def test_a_parent_view_without_a_certificate_is_asked_for_and_waited_for() -> None:
    """R15, and a proposal without any vote is reason enough to ask."""
    first = WORLD.block(1)
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(1))
    block = WORLD.block(2, first, 1)
    glass.proposed(WORLD.proposal(block))
    assert requests(glass) == {(1, 1)}
    assert CertificateRequest(EPOCH, 1, 1) in sent(glass.effects, WORLD.committee.leader(2))
    assert cast(glass.effects) == []
    glass.certificates(WORLD.notarization(first))
    glass.feed(BlockFetched(first))
    assert of(glass.effects, CheckBlock) == [CheckBlock(2, block, first)]


def test_a_view_that_is_passed_over_without_its_nullification_is_asked_for_and_waited_for() -> None:
    """R16: a block on an earlier parent forks around what may be final."""
    block = WORLD.block(4)
    glass = Glass(WORLD)
    glass.certificates(WORLD.notarization(WORLD.block(1)), WORLD.nullification(3), WORLD.notarization(WORLD.block(2)))
    glass.proposed(WORLD.proposal(block))
    glass.feed(BlockChecked(4, block.hash, True))
    assert requests(glass) == {(1, 2)}
    assert (NOTARIZE, 4) not in cast(glass.effects)
    glass.certificates(WORLD.nullification(2))
    assert requests(glass) == {(1, 2), (1, 1)}
    assert of(glass.effects, CheckBlock) == []
    glass.certificates(WORLD.nullification(1))
    assert of(glass.effects, CheckBlock) == [CheckBlock(4, block, WORLD.root)]


def test_a_long_gap_is_asked_for_in_pieces() -> None:
    """R16, R36"""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(199))
    glass.proposed(WORLD.proposal(WORLD.block(200)))
    assert requests(glass) == {(135, 198)}


def test_the_ancestors_of_a_proposal_are_fetched_down_to_the_committed_tip() -> None:
    """R17"""
    first, second, third = WORLD.chain((1, 2, 3))
    block = WORLD.block(4, third)
    glass = Glass(WORLD)
    glass.certificates(WORLD.notarization(third))
    glass.proposed(WORLD.proposal(block))
    for missing in (third, second, first):
        assert of(glass.effects, CheckBlock) == []
        assert of(glass.effects, FetchBlock)[-1].hash == missing.hash
        glass.feed(BlockFetched(missing))
    assert of(glass.effects, CheckBlock) == [CheckBlock(4, block, third)]


BAD_HEADERS = {
    "view": 5,
    "proposer": 0,
    "parent_view": 0,
    "parent_hash": Hash(b"p" * 32),
    "height": 3,
    "validators_hash": Hash(b"v" * 32),
    "next_validators_hash": Hash(b"n" * 32),
    "timestamp_ms": 1,
    "executed_height": 2,
    "genesis_hash": Hash(b"another network, another genesis"),
    "epoch": EPOCH + 1,
}


@pytest.mark.parametrize("field", BAD_HEADERS)
def test_a_header_with_one_wrong_field_is_invalid(field: str) -> None:
    """R18"""
    first = WORLD.block(1)
    good = WORLD.block(2, first)
    for block, verdict in ((good, []), (WORLD.changed(good, **{field: BAD_HEADERS[field]}), [(NULLIFY, 2)])):
        glass = Glass(WORLD)
        glass.proposed(WORLD.proposal(first))
        glass.certificates(WORLD.notarization(first))
        glass.proposed(WORLD.proposal(block, view=2, parent_view=1))
        assert [vote for vote in cast(glass.effects) if vote[1] == 2] == verdict
        assert (2 in [check.view for check in of(glass.effects, CheckBlock)]) is not bool(verdict)


def test_the_same_height_on_another_hash_than_the_certified_one_is_invalid() -> None:
    """R18: the parent named is notarized nowhere."""
    certified, other = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(certified))
    glass.certificates(WORLD.notarization(certified))
    glass.proposed(WORLD.proposal(WORLD.block(2, other)))
    assert (NULLIFY, 2) in cast(glass.effects)


def test_executed_height_never_falls_behind_the_parents() -> None:
    """R18"""
    first = WORLD.block(1)
    second = WORLD.changed(WORLD.block(2, first), executed_height=1)
    third = WORLD.block(4, second)
    glass = Glass(WORLD)
    for block in (first, second):
        glass.proposed(WORLD.proposal(block))
        glass.certificates(WORLD.notarization(block))
    glass.certificates(WORLD.nullification(3))
    glass.proposed(WORLD.proposal(third))
    assert (NULLIFY, 4) in cast(glass.effects)


def test_a_proposal_without_a_block_is_invalid_in_the_middle_of_an_epoch() -> None:
    """R18, R46"""
    first = WORLD.block(1)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(first))
    glass.certificates(WORLD.notarization(first))
    glass.proposed(WORLD.proposal(first, view=2, parent_view=1, bare=True))
    assert (NULLIFY, 2) in cast(glass.effects)


def test_the_headers_of_a_block_name_this_network() -> None:
    """R18"""
    assert WORLD.block(1).header.genesis_hash == GENESIS


def test_the_version_is_the_parents_or_a_higher_one_where_an_epoch_begins() -> None:
    """R18"""
    before = replace(WORLD.block(1).header, version=3)
    after = replace(WORLD.block(2, WORLD.block(1)).header, version=3)
    later = replace(after, epoch=before.epoch + 1)
    assert follows(after, before)
    assert not follows(replace(after, version=2), before)
    assert not follows(replace(after, version=4), before)
    assert follows(later, before)
    assert follows(replace(later, version=5), before)
    assert not follows(replace(later, version=2), before)
