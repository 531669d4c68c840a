"""The last block of an epoch: proposed again until it is final, and nothing after it."""

import pytest

from consensus.events import (
    BlockBuilt,
    BlockChecked,
    BlockFetched,
    BlocksSynced,
    Broadcast,
    BuildBlock,
    CertificatesRequested,
    CheckBlock,
    Content,
    EpochEnded,
    Finalize,
    PeerHeard,
    Persist,
    Send,
    SetTimer,
    SignVote,
    StatusReceived,
    VoteSigned,
)
from consensus.messages import NO_HASH, Block, Hash, Proposal, Status
from consensus.records import Intent, Reproposal
from tests.consensus_lab import EPOCH, FINALIZE, NOTARIZE, NULLIFY, Glass, World, cast, facts, of, sent

WORLD = World(4)  # leaders of views 1 to 7: 2, 3, 0, 1, 2, 3, 0
LATER = World(4, epoch=EPOCH + 1)
NEXT = Hash(b"n" * 32)
LAST = WORLD.block(1, end=1)  # an epoch of one block


def proposals(glass: Glass) -> list[Proposal]:
    return [message for message in sent(glass.effects) if isinstance(message, Proposal)]


def notarized(me: int | None = 0) -> Glass:
    """The epoch's last block is notarized in view 1."""
    glass = Glass(WORLD, me=me, end_height=1)
    glass.accept(LAST) if me != 2 else None
    glass.certificates(WORLD.notarization(LAST))
    glass.feed(BlockFetched(LAST))
    return glass


def ended(me: int | None = 0) -> Glass:
    glass = notarized(me)
    glass.certificates(WORLD.finalization(LAST))
    return glass


# the boundary


@pytest.mark.parametrize(("names", "fits"), [(NEXT, True), (NO_HASH, False)])
def test_the_last_block_names_the_next_committee(names: Hash, fits: bool) -> None:
    """R18, R46"""
    glass = Glass(WORLD, me=2, end_height=1)
    glass.feed(BlockBuilt(1, Content(7, 0, NO_HASH, names, b"", 1)))
    assert cast(glass.effects) == [(NOTARIZE if fits else NULLIFY, 1)]


def test_after_the_last_block_its_leader_proposes_it_again_without_its_body() -> None:
    """R46"""
    glass = notarized(me=3)  # leads view 2
    assert of(glass.effects, BuildBlock) == []
    (proposal,) = proposals(glass)
    assert (proposal.parent_view, proposal.block) == (1, None)
    assert proposal.vote == WORLD.vote(NOTARIZE, 2, LAST.hash, 3)
    assert proposal.justification == (WORLD.notarization(LAST),)


def test_the_parent_of_a_re_proposal_is_durable_before_its_vote() -> None:
    """R46, R8"""
    glass = notarized(me=3)
    before = of(glass.effects[: glass.effects.index(SignVote(NOTARIZE, EPOCH, 2, LAST.hash))], Persist)
    records = facts(effect.record for effect in before)
    for needed in (LAST, Reproposal(EPOCH, 2, 1), Intent(NOTARIZE, EPOCH, 2, LAST.hash)):
        assert needed in records


def test_a_restarted_leader_re_proposes_the_same() -> None:
    """R46, R41"""
    glass = notarized(me=3)
    assert proposals(glass.restarted()) == proposals(glass)


def test_the_last_block_is_accepted_again_without_another_check() -> None:
    """R46"""
    glass = notarized(me=0)
    effects = glass.proposed(WORLD.proposal(LAST, view=2, parent_view=1, bare=True))
    assert of(effects, CheckBlock) == []
    assert cast(effects) == [(NOTARIZE, 2)]
    assert [e.block for e in of(effects, Persist) if e.block] == [LAST], "it is on disk before the vote"


def test_a_re_proposal_may_go_over_several_views() -> None:
    """R46: each names the view that certified the block last, or an earlier one with all between nullified."""
    glass = notarized(me=0)
    glass.certificates(WORLD.notarization(LAST, view=2))
    glass.certificates(WORLD.nullification(3))
    glass.proposed(WORLD.proposal(LAST, view=4, parent_view=2, bare=True))
    assert (NOTARIZE, 4) in cast(glass.effects)
    assert (FINALIZE, 2) in cast(glass.effects)


def test_a_block_above_the_last_height_is_invalid() -> None:
    """R46: random search hardly ever finds this one."""
    glass = notarized(me=0)
    beyond = WORLD.block(2, LAST)
    for block in (beyond, WORLD.changed(beyond, next_validators_hash=NEXT)):
        again = glass.restarted()
        effects = again.proposed(WORLD.proposal(block, parent_view=1))
        assert of(effects, CheckBlock) == []
        assert cast(effects) == [(NULLIFY, 2)]


def test_another_last_block_on_the_last_block_is_invalid() -> None:
    """R46"""
    glass = notarized(me=0)
    other = WORLD.block(1, payload=b"y", end=1)
    assert cast(glass.proposed(WORLD.proposal(other, view=2, parent_view=1))) == [(NULLIFY, 2)]


def test_of_two_competing_last_blocks_the_rules_pick_one() -> None:
    """R46: the first was notarized and nullified, the second builds beside it."""
    rival = WORLD.block(2, WORLD.root, 0, payload=b"y", end=1)
    glass = Glass(WORLD, me=0, end_height=1)
    glass.proposed(WORLD.proposal(LAST))
    glass.certificates(WORLD.notarization(LAST), WORLD.nullification(1))
    glass.proposed(WORLD.proposal(rival))
    glass.feed(BlockChecked(2, rival.hash, True))
    assert (NOTARIZE, 2) in cast(glass.effects)
    glass.certificates(WORLD.notarization(rival), WORLD.finalization(rival))
    assert [(e.block, e.certificate) for e in of(glass.effects, EpochEnded)] == [(rival, WORLD.finalization(rival))]


def test_a_leader_with_two_last_blocks_re_proposes_the_higher_certified_one() -> None:
    """R10, R46"""
    rival = WORLD.block(2, WORLD.root, 0, payload=b"y", end=1)
    glass = Glass(WORLD, me=0, end_height=1)  # leads view 3
    for block in (LAST, rival):
        glass.proposed(WORLD.proposal(block))
        glass.certificates(WORLD.notarization(block), WORLD.nullification(block.header.view))
    assert [(p.parent_view, p.vote.hash) for p in proposals(glass)] == [(2, rival.hash)]


# the end


def test_a_notarized_last_block_does_not_end_the_epoch() -> None:
    """R47"""
    glass = notarized(me=0)
    glass.certificates(WORLD.notarization(LAST, view=2))
    assert of(glass.effects, EpochEnded) == []
    assert not glass.core.ended


@pytest.mark.parametrize("view", [1, 2, 5])
def test_any_finalization_of_the_last_block_ends_the_epoch_after_its_delivery(view: int) -> None:
    """R46, R47"""
    glass = notarized(me=0)
    certificate = WORLD.finalization(LAST, view)
    effects = glass.certificates(certificate)
    assert [e for e in effects if isinstance(e, Finalize | EpochEnded)] == [
        Finalize((LAST,), certificate),
        EpochEnded(LAST, certificate),
    ]
    assert glass.core.ended


def test_the_end_waits_for_the_blocks() -> None:
    """R47: only a committed block ends the epoch."""
    first = WORLD.block(1)
    last = WORLD.block(2, first, end=2)
    glass = Glass(WORLD, end_height=2)
    glass.certificates(WORLD.finalization(last))
    assert not glass.core.ended
    glass.feed(BlockFetched(last))
    assert not glass.core.ended
    glass.feed(BlockFetched(first))
    assert glass.core.ended


def test_a_range_up_to_the_last_block_ends_the_epoch() -> None:
    """R40, R47"""
    glass = Glass(WORLD, end_height=1)
    glass.feed(BlocksSynced((LAST,), WORLD.finalization(LAST)))
    assert glass.core.ended
    assert glass.feed(BlocksSynced((LAST,), WORLD.finalization(LAST))) == []


def test_after_the_end_nothing_is_promised_and_no_timer_runs() -> None:
    """R47, R5"""
    glass = ended()
    before = len(glass.effects)
    beyond = WORLD.block(2, LAST)
    glass.accept(beyond)
    glass.certificates(WORLD.notarization(beyond), WORLD.nullification(3))
    glass.votes(WORLD.vote(NULLIFY, 2, signer=WORLD.committee.leader(2)))
    glass.until(100_000)
    later = glass.effects[before:]
    assert of(later, SignVote) + of(later, SetTimer) + of(later, Persist) + of(later, Broadcast) == []
    for message in (WORLD.nullification(5), WORLD.vote(NULLIFY, 5, signer=1), WORLD.proposal(WORLD.block(5))):
        assert not glass.core.wants(message)


def test_a_vote_that_was_being_signed_at_the_end_still_goes_out() -> None:
    """R47, R8: who lacks the finalization can use it."""
    glass = Glass(WORLD, end_height=1, signs=False)
    glass.accept(LAST)
    glass.certificates(WORLD.notarization(LAST), WORLD.finalization(LAST))
    vote = WORLD.vote(FINALIZE, 1, LAST.hash, 0)
    assert sent(glass.feed(VoteSigned(vote))) == [vote]
    assert glass.core.ended


def test_after_the_end_who_lacks_it_gets_it() -> None:
    """R47: also a validator whose view is beyond that of the finalization."""
    certificate = WORLD.finalization(LAST)
    for stuck in (
        PeerHeard(1, EPOCH, 1, True),
        PeerHeard(1, EPOCH, 9, True),
        StatusReceived(1, Status(EPOCH, 1, 0, 0)),
        StatusReceived(1, Status(EPOCH, 9, 0, 0)),
        CertificatesRequested(1, 1, 3),
    ):
        assert ended().feed(stuck) == [Send(1, certificate)]
    assert ended().feed(PeerHeard(1, EPOCH, 2, False)) == [], "late votes are normal"


def test_a_restart_after_the_end_ends_it_again() -> None:
    """R41, R47"""
    again = Glass(WORLD, root=LAST, floor=WORLD.finalization(LAST), end_height=1)
    assert of(again.effects, EpochEnded) == [EpochEnded(LAST, WORLD.finalization(LAST))]
    assert again.core.ended
    assert of(again.effects, SignVote) == []


def test_a_restart_between_the_finalization_and_its_delivery_delivers_it() -> None:
    """R41, R47"""
    again = ended().restarted()
    assert [type(e) for e in again.effects if isinstance(e, Finalize | EpochEnded)] == [Finalize, EpochEnded]


# the next epoch


def test_the_next_epoch_starts_from_the_last_block_as_its_view_zero() -> None:
    """R48"""
    leader = LATER.committee.leader(1)
    glass = Glass(LATER, me=leader, root=LAST, end_height=3)
    assert of(glass.effects, BuildBlock) == [BuildBlock(1, LAST, waiting=False)]
    glass.feed(BlockBuilt(1, Content(7, 1, NO_HASH, NO_HASH, b"", 1)))
    (proposal,) = proposals(glass)
    assert proposal.block is not None
    assert (proposal.block.header.parent_view, proposal.block.header.height) == (0, 2)
    assert (proposal.justification, proposal.finalization) == ((), None)


def test_promises_of_one_epoch_bind_in_no_other() -> None:
    """R48, R2: the same view may be nullified here and finalized there."""
    old = Glass(WORLD, end_height=1)
    old.until(1_000)
    new = Glass(LATER, root=LAST, end_height=3, records=old.journal)
    block = LATER.block(1, LAST, 0)
    new.certificates(LATER.notarization(block))
    assert cast(old.effects) == [(NULLIFY, 1)]
    assert cast(new.effects) == [(FINALIZE, 1)]


def test_a_vote_signed_for_the_epoch_before_is_dropped() -> None:
    """R48: its core is gone."""
    new = Glass(LATER, root=LAST, end_height=3)
    assert new.feed(VoteSigned(WORLD.vote(FINALIZE, 1, LAST.hash, 0))) == []


def test_certificates_of_another_epoch_change_nothing() -> None:
    """R48"""
    new = Glass(LATER, root=LAST, end_height=3)
    assert new.certificates(WORLD.nullification(1), WORLD.finalization(LAST)) == []
    assert (new.core.view, new.core.finalized_view) == (1, 0)


def test_to_a_later_epoch_we_say_where_we_are_and_an_earlier_one_we_leave_to_its_own_core() -> None:
    """R48"""
    mine = Status(EPOCH, 1, 0, 0)
    for ahead in (PeerHeard(1, EPOCH + 1, 1, False), StatusReceived(1, Status(EPOCH + 1, 1, 0, 7))):
        assert Glass(WORLD).feed(ahead) == [Send(1, mine)]
    for behind in (PeerHeard(1, EPOCH - 1, 9, True), StatusReceived(1, Status(EPOCH - 1, 9, 0, 7))):
        assert Glass(WORLD).feed(behind) == []


def test_the_view_of_a_peer_in_another_epoch_is_no_hint() -> None:
    """R48, R34: it is still told why to leave the last view."""
    glass = Glass(WORLD)
    glass.feed(PeerHeard(1, EPOCH - 1, 500, False), StatusReceived(2, Status(EPOCH - 1, 500, 0, 0)))
    glass.certificates(WORLD.nullification(1))
    effects = glass.until(100)
    assert [e.peer for e in of(effects, Send)] == [1, 2]


def test_an_observer_follows_to_the_end() -> None:
    """R43, R47: a validator of the next epoch only."""
    glass = ended(me=None)
    assert glass.core.ended
    assert isinstance(of(glass.effects, EpochEnded)[0].block, Block)
    assert of(glass.effects, SignVote) == []
