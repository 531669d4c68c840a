"""Promises: what is cast, in which order with the disk, and never against an earlier promise."""

import pytest

from consensus.events import (
    BlockBuilt,
    BlockChecked,
    Broadcast,
    CheckBlock,
    Content,
    Persist,
    SignVote,
    StatusReceived,
    VoteSigned,
)
from consensus.messages import NO_HASH, Kind, Proposal, Status, Vote
from consensus.records import Intent
from consensus.rounds import Rounds
from tests.consensus_lab import EPOCH, FINALIZE, NOTARIZE, NULLIFY, Glass, World, cast, facts, of, sent

WORLD = World(4)  # validator 0 leads views 3, 7, 11, …
CONTENT = Content(1, 0, NO_HASH, NO_HASH, b"mine", 1)


def test_a_vote_is_durable_before_it_is_signed_and_signed_before_it_is_sent() -> None:
    """R8"""
    glass = Glass(WORLD)
    glass.accept(WORLD.block(1))
    glass.certificates(WORLD.notarization(WORLD.block(1)))
    glass.until(20_000)
    effects = glass.effects
    assert {kind for kind, _ in cast(effects)} == {NOTARIZE, FINALIZE, NULLIFY}
    for signing in of(effects, SignVote):
        intent = Intent(signing.kind, signing.epoch, signing.view, signing.hash)
        before = of(effects[: effects.index(signing)], Persist)
        assert intent in facts(effect.record for effect in before)
        vote = glass.sign(signing)
        assert effects.index(Broadcast(vote)) > effects.index(signing)


def test_a_block_is_durable_before_its_notarize_is_signed() -> None:
    """R8"""
    block = WORLD.block(1)
    effects = Glass(WORLD).accept(block)
    stored = next(i for i, effect in enumerate(effects) if isinstance(effect, Persist) and effect.block == block)
    assert stored < effects.index(SignVote(NOTARIZE, EPOCH, 1, block.hash))


def test_a_notarization_is_durable_before_its_finalize_is_signed() -> None:
    """R8, R25"""
    block = WORLD.block(1)
    notarization = WORLD.notarization(block)
    effects = Glass(WORLD).certificates(notarization)
    before = of(effects[: effects.index(SignVote(FINALIZE, EPOCH, 1, block.hash))], Persist)
    assert notarization in facts(effect.record for effect in before)


def test_a_vote_that_the_signer_refuses_is_never_sent_and_its_promise_stands() -> None:
    """R8"""
    glass = Glass(WORLD, signs=False)
    glass.accept(WORLD.block(1))
    assert cast(glass.effects) == [(NOTARIZE, 1)]
    glass.until(1_900)
    assert not [message for message in sent(glass.effects) if isinstance(message, Vote | Proposal)]
    glass.accept(WORLD.block(1, payload=b"y"))
    assert cast(glass.effects) == [(NOTARIZE, 1)]


def test_a_vote_that_is_not_signed_does_not_count() -> None:
    """R8: two others and a promise of ours are no quorum."""
    glass = Glass(WORLD, signs=False)
    block = WORLD.block(1)
    glass.accept(block)
    glass.votes(WORLD.vote(NOTARIZE, 1, block.hash, 2), WORLD.vote(NOTARIZE, 1, block.hash, 3))
    assert glass.core.view == 1
    glass.feed(VoteSigned(WORLD.vote(NOTARIZE, 1, block.hash, 0)))
    assert glass.core.view == 2


def test_the_second_block_of_a_view_is_not_notarized() -> None:
    """R6"""
    glass = Glass(WORLD)
    glass.accept(WORLD.block(1))
    glass.accept(WORLD.block(1, payload=b"y"))
    assert cast(glass.effects) == [(NOTARIZE, 1)]


def test_after_nullify_nothing_is_notarized_in_that_view() -> None:
    """R6"""
    glass = Glass(WORLD)
    glass.until(1_000)
    assert cast(glass.effects) == [(NULLIFY, 1)]
    glass.accept(WORLD.block(1))
    assert cast(glass.effects) == [(NULLIFY, 1)]


def test_notarize_then_nullify_is_normal() -> None:
    """R7"""
    glass = Glass(WORLD)
    glass.accept(WORLD.block(1))
    glass.until(2_500)
    assert cast(glass.effects) == [(NOTARIZE, 1), (NULLIFY, 1)]


def test_after_nullify_the_notarization_is_not_finalized() -> None:
    """R7, R25: and yet the view is left."""
    glass = Glass(WORLD)
    glass.until(1_000)
    glass.certificates(WORLD.notarization(WORLD.block(1)))
    assert (FINALIZE, 1) not in cast(glass.effects)
    assert glass.core.view == 2


def test_a_view_that_was_finalized_is_never_nullified() -> None:
    """R7: neither by a timer of an earlier view, nor by its leader's nullify, nor by a late verdict."""
    glass = Glass(WORLD)
    block = WORLD.block(1)
    glass.proposed(WORLD.proposal(block))
    glass.certificates(WORLD.notarization(block))
    glass.now = 2_600
    glass.votes(WORLD.vote(NULLIFY, 1, signer=WORLD.committee.leader(1)))
    glass.feed(BlockChecked(1, block.hash, True))
    glass.until(60_000)
    assert (FINALIZE, 1) in cast(glass.effects)
    assert (NULLIFY, 1) not in cast(glass.effects)


@pytest.mark.parametrize("kind", [NOTARIZE, NULLIFY, FINALIZE])
def test_nothing_is_promised_at_or_below_the_floor(kind: Kind) -> None:
    """R5"""
    glass = Glass(WORLD)
    block = WORLD.block(5)
    glass.certificates(WORLD.finalization(block))
    before = len(cast(glass.effects))
    if kind is NOTARIZE:
        glass.accept(WORLD.block(4))
        glass.accept(block)
    elif kind is FINALIZE:
        glass.certificates(WORLD.notarization(WORLD.block(4)), WORLD.notarization(block))
    else:
        glass.votes(*(WORLD.vote(NULLIFY, view, signer=WORLD.committee.leader(view)) for view in (4, 5)))
    assert len(cast(glass.effects)) == before


def test_each_promise_is_made_once_however_often_its_reason_comes() -> None:
    """R6, R7: a second record for one view was a bug elsewhere."""
    glass = Glass(WORLD)
    block = WORLD.block(1)
    for _ in range(3):
        glass.accept(block)
        glass.certificates(WORLD.notarization(block))
    glass.until(10_000)
    for _ in range(3):
        glass.until(glass.now + 3_000)
    promised = cast(glass.effects)
    assert len(promised) == len(set(promised))


def test_a_leader_promises_its_block_before_it_proposes_it() -> None:
    """R8, R11: block, promise, signature, then one proposal that carries the vote."""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(2))
    glass.certificates(WORLD.nullification(1))
    effects = glass.feed(BlockBuilt(3, CONTENT))
    block = next(effect.block for effect in of(effects, Persist) if effect.block is not None)
    order = [type(effect) for effect in effects if isinstance(effect, Broadcast | SignVote | Persist)]
    assert order == [Persist, Persist, SignVote, Broadcast]
    (proposal,) = sent(effects)
    assert isinstance(proposal, Proposal)
    assert proposal.block == block
    assert proposal.vote == WORLD.vote(NOTARIZE, 3, block.hash, 0)


def test_an_observer_promises_nothing_and_never_speaks_first() -> None:
    """R5, R43"""
    glass = Glass(WORLD, me=None)
    block = WORLD.block(1)
    glass.accept(block)
    glass.certificates(WORLD.notarization(block), WORLD.nullification(2))
    glass.until(60_000)
    assert of(glass.effects, SignVote) == []
    assert of(glass.effects, Broadcast) == []
    assert of(glass.effects, CheckBlock) == [], "it follows what a quorum checked"
    assert glass.core.view == 3


@pytest.mark.parametrize("kind", [NOTARIZE, NULLIFY, FINALIZE])
def test_the_floor_itself_refuses_promises(kind: Kind) -> None:
    """R5: whatever rule asks, and also after the epoch's end."""
    rounds = Rounds(WORLD.committee, 0, WORLD.root.hash)
    block = WORLD.block(3)
    rounds.certify(WORLD.finalization(block))
    assert [view for view in range(6) if rounds.promise(kind, view, block.hash)] == [4, 5]
    rounds.close()
    assert not rounds.promise(kind, 6, block.hash)


@pytest.mark.parametrize("kind", [NOTARIZE, NULLIFY, FINALIZE])
@pytest.mark.parametrize("before", [NOTARIZE, NULLIFY, FINALIZE])
def test_the_promises_of_a_view_exclude_each_other_whoever_asks(before: Kind, kind: Kind) -> None:
    """R6, R7: of the nine orders these alone are legal."""
    legal = {(NOTARIZE, NULLIFY), (NOTARIZE, FINALIZE), (FINALIZE, NOTARIZE)}
    block = WORLD.block(3)
    rounds = Rounds(WORLD.committee, 0, WORLD.root.hash)
    assert rounds.promise(before, 3, NO_HASH if before is NULLIFY else block.hash)
    taken = (before, kind) in legal
    assert rounds.promise(kind, 3, NO_HASH if kind is NULLIFY else block.hash) is taken
    assert {promised for promised, _ in rounds.at(3).promised()} == ({before, kind} if taken else {before})


def test_an_observer_tells_nobody_where_it_is() -> None:
    """R35: a peer that is ahead, in this epoch or the next, is told by validators only."""
    ahead = [Status(EPOCH, 9, 8, 8), Status(EPOCH + 1, 1, 0, 1_001)]
    for me, answers in ((None, 0), (0, 1)):
        for status in ahead:
            answered = sent(Glass(WORLD, me=me).feed(StatusReceived(2, status)), 2)
            assert [type(message) for message in answered] == [Status] * answers
