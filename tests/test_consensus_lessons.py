"""Bugs that stopped or split other networks, as steps of one core. The list of them all: docs/known-bugs.md."""

from consensus.core import Timing
from consensus.events import (
    BlockBuilt,
    BlockChecked,
    BlockFetched,
    BlocksSynced,
    BuildBlock,
    CertificatesRequested,
    CheckBlock,
    Content,
    EpochEnded,
    FetchBlock,
    Finalize,
    Send,
    SignVote,
)
from consensus.messages import NO_HASH, Block, Certificate, CertificateRequest, Proposal
from consensus.verify import Verifier
from tests.consensus_lab import EPOCH, FINALIZE, GENESIS, NOTARIZE, NULLIFY, Glass, World, cast, facts, of, sent

WORLD = World(4)  # leaders of views 1 to 7: 2, 3, 0, 1, 2, 3, 0
NEXT = World(4, epoch=EPOCH + 1)


def test_a_proposal_and_a_certificate_without_any_vote_are_enough_to_fetch_what_they_rest_on() -> None:
    """R17, R25: who saw no vote for a block asks for it all the same (C3)."""
    first, second = WORLD.chain((1, 2))
    glass = Glass(WORLD)
    effects = glass.proposed(WORLD.proposal(second, justification=[WORLD.notarization(first)]))
    assert [fetch.hash for fetch in of(effects, FetchBlock)] == [first.hash]
    effects = glass.feed(BlockFetched(first))
    assert [check.block for check in of(effects, CheckBlock)] == [second]


def test_a_finalization_that_answers_a_request_settles_it() -> None:
    """R26, R36: a certificate counts the same whichever way it came (C5)."""
    first, fourth = WORLD.chain((1, 4))
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(3))
    effects = glass.proposed(WORLD.proposal(fourth))
    asked = {effect.message for effect in of(effects, Send)}
    assert CertificateRequest(EPOCH, 2, 2) in asked or CertificateRequest(EPOCH, 1, 1) in asked
    glass.certificates(WORLD.finalization(first))  # of a view at or below what was asked for
    glass.feed(BlockFetched(first))
    effects = glass.certificates(WORLD.nullification(2))
    assert [check.block for check in of(effects, CheckBlock)] == [fourth]


def test_who_nullified_and_then_sees_the_notarization_goes_on_and_does_not_finalize() -> None:
    """R7, R25: neither certificate waits for the other (C8)."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.until(glass.timing.leader_ms)
    assert cast(glass.effects) == [(NULLIFY, 1)]
    glass.certificates(WORLD.notarization(block))
    assert glass.core.view == 2
    glass.certificates(WORLD.nullification(1))
    assert glass.core.view == 2
    assert (FINALIZE, 1) not in cast(glass.effects)
    glass.feed(BlockFetched(block))
    glass.accept(WORLD.block(2, block))
    assert (NOTARIZE, 2) in cast(glass.effects), "the block may be built upon all the same"


def test_a_certificate_overrides_the_vote_of_an_earlier_life() -> None:
    """R25, R41: misled by its leader, restarted, it finalizes what the quorum notarized (C13, A8)."""
    mine, theirs = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass = Glass(WORLD)
    glass.accept(mine)
    again = glass.restarted()
    effects = again.certificates(WORLD.notarization(theirs))
    assert [(e.kind, e.hash) for e in of(effects, SignVote)] == [(FINALIZE, theirs.hash)]
    assert [fetch.hash for fetch in of(effects, FetchBlock)] == [theirs.hash]
    again.feed(BlockFetched(theirs))
    again.accept(WORLD.block(2, theirs))
    assert (NOTARIZE, 2) in cast(again.effects)


def test_one_block_under_another_parent_view_is_another_question() -> None:
    """R18, R19: what was found valid on one parent is not valid on another (C14)."""
    first, third = WORLD.chain((1, 3))
    glass = Glass(WORLD, me=1)
    glass.accept(first)
    glass.certificates(WORLD.notarization(first), WORLD.nullification(1), WORLD.nullification(2))
    effects = glass.proposed(WORLD.proposal(third, parent_view=0))  # its header says 1, which is nullified as well
    assert of(effects, CheckBlock) == []
    assert cast(effects) == [(NULLIFY, 3)]


def test_finalize_votes_count_before_anything_else_is_known_of_their_view() -> None:
    """R21, R22: three FINALIZE, no proposal and no NOTARIZE: final (C15)."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.votes(*(WORLD.vote(FINALIZE, 1, block.hash, signer) for signer in (1, 2, 3)))
    assert glass.core.finalized_view == 1
    effects = glass.feed(BlockFetched(block))
    assert [final.blocks for final in of(effects, Finalize)] == [(block,)]


def test_a_message_of_a_view_below_the_floor_is_harmless_after_a_rotation() -> None:
    """R26, R44: nothing is written for what was forgotten (C23)."""
    chain = WORLD.chain((1, 2, 3))
    glass = Glass(WORLD)
    for block in chain:
        glass.accept(block)
        glass.certificates(WORLD.notarization(block))
    glass.certificates(WORLD.finalization(chain[2]))
    again = glass.restarted(records=glass.core.records(), root=chain[2], floor=WORLD.finalization(chain[2]))
    before = list(again.journal)
    again.proposed(WORLD.proposal(chain[0]))
    again.certificates(WORLD.nullification(1), WORLD.notarization(chain[1]))
    again.votes(WORLD.vote(NULLIFY, 2, signer=1), WORLD.vote(FINALIZE, 1, chain[0].hash, 2))
    assert again.journal == before


def test_certificates_of_the_farthest_views_are_followed_and_nothing_is_counted_up_to_them() -> None:
    """R4, R22: its leader is a function of its number, and no loop runs over the views between (C27)."""
    far = 2**63
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(far))
    assert glass.core.view == far + 1
    glass.feed(CertificatesRequested(1, 1, 64), CertificatesRequested(1, far - 63, far))
    glass.until(20_000)
    glass.certificates(WORLD.nullification(far + 1))
    assert glass.core.view == far + 2
    assert len(glass.core.records()) < 20


def test_who_goes_on_by_a_range_starts_the_view_that_it_comes_to() -> None:
    """R9, R40: a view entered by synchronization has its deadlines, and its leader builds (A4)."""
    chain = WORLD.chain((1, 2))
    leader = WORLD.committee.leader(3)
    follower, leads = Glass(WORLD, me=1), Glass(WORLD, me=leader)
    synced = BlocksSynced(tuple(chain), WORLD.finalization(chain[1]))
    assert [e.parent for e in of(leads.feed(synced), BuildBlock)] == [chain[1]]
    follower.until(300)
    follower.feed(synced)
    follower.until(300 + follower.timing.leader_ms - 1)
    assert cast(follower.effects) == []
    follower.until(300 + follower.timing.leader_ms)
    assert cast(follower.effects) == [(NULLIFY, 3)]


def test_a_vote_with_a_bad_signature_does_not_take_the_place_of_a_good_one() -> None:
    """R21: garbage after or before the true vote changes nothing (A11)."""
    block = WORLD.block(1)
    glass, verifier = Glass(WORLD), Verifier(WORLD.committee, GENESIS)
    good = [WORLD.vote(NOTARIZE, 1, block.hash, signer) for signer in (1, 2, 3)]
    glass.votes(good[0])
    glass.votes(WORLD.vote(NOTARIZE, 1, WORLD.block(1, payload=b"y").hash, 1))  # its own, second: no replacement
    glass.votes(*good[1:])
    assert (FINALIZE, 1) in cast(glass.effects)
    certificates = [fact for fact in facts(glass.journal) if isinstance(fact, Certificate)]
    assert [verifier.verify_certificate(certificate) for certificate in certificates] == [True]


def test_a_flood_of_other_proposals_does_not_crowd_out_the_first() -> None:
    """R13: one proposal of a view is checked, whatever else its leader sends (A12)."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    effects = glass.proposed(WORLD.proposal(block))
    for number in range(50):
        effects += glass.proposed(WORLD.proposal(WORLD.block(1, payload=b"%d" % number)))
    assert [check.block for check in of(effects, CheckBlock)] == [block]
    glass.feed(BlockChecked(1, block.hash, True))
    assert cast(glass.effects) == [(NOTARIZE, 1)]


def test_evidence_that_a_restart_forgets_is_no_worse_than_none() -> None:
    """R45: the votes of others are not in the journal, so a second vote after a restart is a first one (C24)."""
    glass = Glass(WORLD)
    glass.votes(WORLD.vote(NOTARIZE, 1, WORLD.block(1).hash, 1))
    again = glass.restarted()
    again.votes(WORLD.vote(NOTARIZE, 1, WORLD.block(1, payload=b"y").hash, 1))
    assert again.core.counters.evidence == 0
    again.votes(WORLD.vote(NOTARIZE, 1, WORLD.block(1).hash, 1))
    assert again.core.counters.evidence == 1


def test_the_wait_of_a_view_never_grows_beyond_its_cap() -> None:
    """R30: after a long outage the next view does not last for hours (Besu)."""
    timing = Timing(idle_ms=0)
    glass = Glass(WORLD, timing=timing)
    glass.until(3_600_000)
    glass.certificates(WORLD.nullification(500))
    entered = glass.now
    before = len(glass.effects)
    glass.until(entered + timing.view_ms_max + 1)
    assert (NULLIFY, 501) in cast(glass.effects[before:])


# --- epochs: who leaves, who joins, who was away ---


def epoch_of(world: World, root: Block, views: tuple[int, ...], end: int) -> list[Block]:
    """The blocks of an epoch up to its last height."""
    blocks = [root]
    for view in views:
        parent_view = 0 if blocks[-1] is root else None
        blocks.append(world.block(view, blocks[-1], parent_view, end=end))
    return blocks[1:]


def test_a_validator_that_was_removed_still_helps_who_lacks_the_end() -> None:
    """R47: it belongs to no later committee, and its ended core answers."""
    first, last = epoch_of(WORLD, WORLD.root, (1, 2), 2)
    removed = Glass(WORLD, me=3, end_height=2)
    removed.feed(BlocksSynced((first, last), WORLD.finalization(last)))
    assert removed.core.ended
    assert removed.feed(CertificatesRequested(1, 1, 2)) == [Send(1, WORLD.finalization(last))]
    laggard = Glass(WORLD, me=1, end_height=2)
    laggard.certificates(WORLD.finalization(last))
    laggard.feed(BlockFetched(last), BlockFetched(first))
    assert laggard.core.ended


def test_who_joins_follows_to_the_boundary_and_votes_from_the_next_epoch_on() -> None:
    """R43, R48: an observer promises nothing in an epoch whose committee it is not in."""
    first, last = epoch_of(WORLD, WORLD.root, (1, 2), 2)
    observer = Glass(WORLD, me=None, end_height=2)
    observer.feed(BlocksSynced((first, last), WORLD.finalization(last)))
    assert of(observer.effects, SignVote) == []
    (ended,) = of(observer.effects, EpochEnded)
    joined = Glass(NEXT, me=NEXT.committee.leader(1), root=ended.block, end_height=4, records=observer.journal)
    joined.feed(BlockBuilt(1, Content(9, 0, NO_HASH, NO_HASH, b"first words", 1)))
    (proposal,) = [message for message in sent(joined.effects) if isinstance(message, Proposal)]
    assert proposal.vote.epoch == EPOCH + 1
    assert cast(joined.effects) == [(NOTARIZE, 1)]


def test_who_was_away_for_two_epochs_goes_through_each_with_its_own_committee() -> None:
    """R40, R48: a finalization of a later epoch proves nothing to the core of an earlier one."""
    worlds = [World(4), World(5, epoch=EPOCH + 1), World(7, epoch=EPOCH + 2)]
    roots, ranges = [worlds[0].root], []
    for number, world in enumerate(worlds):
        blocks = epoch_of(world, roots[-1], (1, 3), 2 * (number + 1))
        ranges.append(BlocksSynced(tuple(blocks), world.finalization(blocks[-1])))
        roots.append(blocks[-1])
    away = Glass(worlds[0], end_height=2)
    assert away.feed(ranges[1]) == away.feed(ranges[2]) == [], "what lies ahead does not follow our tip"
    for number, world in enumerate(worlds):
        assert away.core.epoch == world.epoch
        away.feed(ranges[number])
        (ended,) = of(away.effects, EpochEnded)
        assert ended.block == roots[number + 1]
        if number < 2:
            away = Glass(worlds[number + 1], me=1, root=ended.block, end_height=2 * (number + 2))
