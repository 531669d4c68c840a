"""What validators send one another beside votes: nothing when all is well, enough when it is not."""

import pytest

from consensus.chain import FETCH_HEIGHTS_MAX, FETCHES_MAX
from consensus.events import (
    BlockBuilt,
    BlockFetched,
    BlocksSynced,
    Broadcast,
    CertificatesRequested,
    Content,
    FetchBlock,
    Finalize,
    PeerConnected,
    PeerHeard,
    Send,
    SignVote,
    StatusReceived,
    VoteReceived,
)
from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    CertificateRequest,
    Hash,
    Message,
    Proposal,
    Status,
    Vote,
)
from consensus.peers import ANSWERS_MAX
from consensus.rounds import RESENT_MAX
from tests.consensus_lab import EPOCH, FINALIZE, NOTARIZE, NULLIFY, Glass, World, cast, of, sent

WORLD = World(4)  # leaders of views 1 to 7: 2, 3, 0, 1, 2, 3, 0


def certificates(messages: list[Message]) -> list[Certificate]:
    return [message for message in messages if isinstance(message, Certificate)]


def shared(glass: Glass, until_ms: int) -> dict[int, list[Message]]:
    effects = glass.until(until_ms)
    return {peer: messages for peer in range(4) if (messages := sent(effects, peer))}


# share


def test_who_was_not_seen_leaving_the_last_view_gets_the_reason_to_leave_it() -> None:
    """R34: a FINALIZE shows that its signer left, and so does what is not wanted any more."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.accept(block)
    glass.certificates(WORLD.notarization(block))  # from the link of 3, which has it then
    assert shared(glass, 100) == {1: [WORLD.notarization(block)], 2: [WORLD.notarization(block)]}
    calm = Glass(WORLD)
    calm.accept(block)
    calm.certificates(WORLD.notarization(block))
    calm.votes(WORLD.vote(FINALIZE, 1, block.hash, 1))
    calm.feed(PeerHeard(2, EPOCH, 2, False))
    assert shared(calm, 100) == {}


def test_it_is_shared_once_and_only_for_the_view_we_are_in() -> None:
    """R34"""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(1))
    glass.certificates(WORLD.nullification(2))
    assert shared(glass, 100) == {peer: [WORLD.nullification(2)] for peer in (1, 2)}
    assert shared(glass, 900) == {}


def test_what_is_shared_is_the_finalization_else_the_notarization_else_the_nullification() -> None:
    """R34"""
    block = WORLD.block(1)
    both = Glass(WORLD)
    both.certificates(WORLD.nullification(1), WORLD.notarization(block))
    assert shared(both, 100)[1] == [WORLD.notarization(block)]
    final = Glass(WORLD)
    final.certificates(WORLD.notarization(block), WORLD.finalization(block))
    assert shared(final, 100)[1] == [WORLD.finalization(block)]


# help


def test_a_validator_that_gives_up_a_view_we_left_is_helped() -> None:
    """R35: with or without its signature checked."""
    block = WORLD.block(1)
    for stuck in (VoteReceived(WORLD.vote(NULLIFY, 2, signer=1)), PeerHeard(1, EPOCH, 2, True)):
        glass = Glass(WORLD)
        glass.certificates(WORLD.finalization(block), WORLD.nullification(3))
        assert sent(glass.feed(stuck), 1) == [WORLD.nullification(3)]


def test_who_lacks_the_finalization_gets_it_too() -> None:
    """R35"""
    block = WORLD.block(1)
    for behind in (
        PeerHeard(1, EPOCH, 1, True),
        StatusReceived(1, Status(EPOCH, 1, 0, 0)),
        StatusReceived(1, Status(EPOCH, 3, 0, 0)),
    ):
        glass = Glass(WORLD)
        glass.certificates(WORLD.finalization(block), WORLD.nullification(3))
        assert sent(glass.feed(behind), 1) == [WORLD.finalization(block), WORLD.nullification(3)]


def test_late_votes_that_are_normal_get_no_answer() -> None:
    """R35"""
    glass = Glass(WORLD)
    glass.certificates(WORLD.finalization(WORLD.block(1)), WORLD.nullification(3))
    effects = glass.feed(PeerHeard(1, EPOCH, 1, False)) + glass.votes(WORLD.vote(NOTARIZE, 2, Hash(b"h" * 32), 1))
    assert of(effects, Send) == []


def test_a_status_like_ours_gets_no_answer() -> None:
    """R35"""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(1))
    assert of(glass.feed(StatusReceived(1, Status(EPOCH, 2, 0, 0))), Send) == []


def test_who_is_behind_says_so_to_who_is_ahead() -> None:
    """R35: then it is helped."""
    glass = Glass(WORLD)
    assert sent(glass.feed(StatusReceived(1, Status(EPOCH, 9, 8, 7))), 1) == [Status(EPOCH, 1, 0, 0)]
    assert sent(glass.feed(StatusReceived(2, Status(EPOCH, 1, 5, 7))), 2) == [Status(EPOCH, 1, 0, 0)]


def test_who_lacks_only_blocks_is_told_who_has_them() -> None:
    """R35, R40: its driver asks for a range from whoever says that it is ahead."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(block))
    glass.certificates(WORLD.finalization(block))
    assert sent(glass.feed(StatusReceived(1, Status(EPOCH, 2, 1, 0))), 1) == [Status(EPOCH, 2, 1, 1)]
    assert of(glass.feed(StatusReceived(2, Status(EPOCH, 2, 1, 1))), Send) == []
    assert of(glass.feed(StatusReceived(3, Status(EPOCH, 2, 1, 99))), Send) == [], "a claim of height is a hint"


def test_who_lacks_blocks_says_so_at_every_retry_even_while_views_move() -> None:
    """R37, R40: certificates alone would keep it in step, and without a parent it could never vote again."""
    chain = WORLD.chain(range(1, 70))
    glass = Glass(WORLD)
    glass.certificates(WORLD.finalization(chain[-1]))
    glass.feed(BlockFetched(chain[-1]))
    for second in range(1, 4):
        glass.certificates(WORLD.nullification(glass.core.view))
        said = [message for message in sent(glass.until(second * 1_000)) if isinstance(message, Status)]
        assert said == [Status(EPOCH, 70 + second, 69, 0)]
    glass.feed(BlocksSynced(tuple(chain), WORLD.finalization(chain[-1])))
    glass.certificates(WORLD.nullification(glass.core.view))
    assert [message for message in sent(glass.until(4_000)) if isinstance(message, Status)] == []


def test_nobody_is_helped_more_than_four_times_in_a_retry() -> None:
    """R35, R49: two that help each other must not set the wire on fire."""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(1))
    glass.until(150)
    answers = 0
    for now in range(150, 1_150, 10):
        glass.now = now
        answers += len(glass.feed(PeerHeard(1, EPOCH, 1, True)))
    assert answers == 4


# requests


def test_a_request_is_answered_with_all_that_is_held_the_newest_first() -> None:
    """R36: both certificates of a view, and the finalization for what lies below it."""
    final, later = WORLD.block(1), WORLD.block(3)
    held = [WORLD.finalization(final), WORLD.nullification(2), WORLD.notarization(later), WORLD.nullification(3)]
    glass = Glass(WORLD)
    glass.certificates(*held)
    answer = sent(glass.feed(CertificatesRequested(1, 1, 9)), 1)
    assert answer == [held[0], held[2], held[3], held[1]]
    assert sent(glass.feed(CertificatesRequested(1, 2, 2)), 1) == [held[1]]
    assert sent(glass.feed(CertificatesRequested(1, 5, 9)), 1) == []


def test_one_validator_cannot_drain_us_with_requests() -> None:
    """R36, R49"""
    glass = Glass(WORLD)
    glass.certificates(*(WORLD.nullification(view) for view in range(1, 70)))
    answers = [len(of(glass.feed(CertificatesRequested(1, 1, 64)), Send)) for _ in range(10)]
    assert answers == [64] * (ANSWERS_MAX // 64) + [0] * (10 - ANSWERS_MAX // 64)
    assert len(of(glass.feed(CertificatesRequested(2, 1, 64)), Send)) == 64, "others are served"
    glass.until(1_000)
    assert len(of(glass.feed(CertificatesRequested(1, 1, 64)), Send)) == 64


def test_a_question_is_asked_again_at_every_retry_until_it_is_settled() -> None:
    """R36: an answer that does not settle it changes nothing."""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(3))
    glass.proposed(WORLD.proposal(WORLD.block(4, WORLD.block(2), 2)))
    question = CertificateRequest(EPOCH, 2, 2)

    def asked(effects: list[object]) -> int:
        return len([e for e in effects if isinstance(e, Send) and e.message == question])

    assert asked(list(glass.effects)) == 3
    assert asked(list(glass.certificates(WORLD.nullification(1)))) == 0
    assert asked(list(glass.certificates(WORLD.nullification(2)))) == 0
    assert asked(list(glass.until(1_000))) == 3
    assert asked(list(glass.until(2_000))) == 3
    glass.certificates(WORLD.notarization(WORLD.block(2)))
    glass.feed(BlockFetched(WORLD.block(2)))
    assert asked(list(glass.until(5_000))) == 0


def test_others_are_asked_at_the_next_retry() -> None:
    """R36: whoever was asked first may be gone, or lie."""
    world = World(7)
    glass = Glass(world)
    glass.certificates(world.nullification(3))
    glass.proposed(world.proposal(world.block(4, world.block(2), 2)))

    def asked(effects: list[object]) -> list[int]:
        return [e.peer for e in effects if isinstance(e, Send) and isinstance(e.message, CertificateRequest)]

    rounds = [asked(list(glass.effects)), asked(list(glass.until(1_000))), asked(list(glass.until(2_000)))]
    leader = world.committee.leader(4)
    assert all(leader in peers and len(peers) == 3 for peers in rounds)
    assert len({peer for peers in rounds for peer in peers}) == 6, "everybody but ourselves"


# retry


def test_nothing_is_repeated_while_things_move() -> None:
    """R37: every view ends here before the second tick that would find it unchanged."""
    glass = Glass(WORLD)
    for view in range(1, 8):
        glass.until(view * 900)
        glass.certificates(WORLD.nullification(view))
    assert certificates(sent(glass.effects)) == []
    assert glass.core.counters.retries == 0


def test_what_may_have_been_lost_is_sent_again() -> None:
    """R37: the finalization, the entry, own votes, where we are; every second, for ever."""
    final, block = WORLD.chain((1, 4))
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(final))
    glass.certificates(WORLD.finalization(final), WORLD.nullification(2), WORLD.nullification(3))
    glass.accept(block)
    glass.until(3_000)
    for second in range(4, 10):
        messages = sent(glass.until(second * 1_000))
        assert messages == [
            WORLD.finalization(final),
            WORLD.nullification(3),
            WORLD.vote(NULLIFY, 4, signer=0),
            WORLD.vote(NOTARIZE, 4, block.hash, 0),
            Status(EPOCH, 4, 1, 1),
        ]


def test_a_leader_repeats_its_proposal() -> None:
    """R37"""
    glass = Glass(WORLD, me=2)
    glass.feed(BlockBuilt(1, Content(7, 0, NO_HASH, NO_HASH, b"mine", 1)))
    first = [message for message in sent(glass.effects) if isinstance(message, Proposal)]
    assert [m for m in sent(glass.until(2_000)) if isinstance(m, Proposal)] == first


def test_a_retry_promises_nothing() -> None:
    """R37, R7: a retry that made votes once forked a chain."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.until(1_000)
    glass.certificates(WORLD.notarization(block))
    glass.until(1_500)
    glass.certificates(WORLD.nullification(2))  # view 3 is ours: no deadline of others
    before = cast(glass.effects)
    assert before == [(NULLIFY, 1)]
    late = glass.until(3_900)
    assert of(late, SignVote) == []
    votes = {(m.kind, m.view) for m in sent(late) if isinstance(m, Vote)}
    assert votes == {(NULLIFY, 1)}


def test_a_nullify_is_not_sent_again_once_its_nullification_is_here() -> None:
    """R37, R38, R36: views without a finalization cost no more the more they are. Who lacks their certificates asks."""
    glass = Glass(WORLD)
    for view in range(1, 30):
        glass.until(glass.now + 12_000)  # longer than any view
        glass.certificates(WORLD.nullification(view if view != 5 else 6))  # of view 5 the votes are all that we have
    late = [message for message in sent(glass.until(glass.now + 12_000)) if isinstance(message, Vote)]
    assert {kind for kind, _ in cast(glass.effects)} == {NULLIFY}
    assert {view for _, view in cast(glass.effects)} == set(range(1, 31)) - {6}
    assert {(vote.kind, vote.view) for vote in late} == {(NULLIFY, 30), (NULLIFY, 5)}
    greeting = [message for message in sent(glass.feed(PeerConnected(3)), 3) if isinstance(message, Vote)]
    assert [(vote.kind, vote.view) for vote in greeting] == [(NULLIFY, 30), (NULLIFY, 5)]
    answer = sent(glass.feed(CertificatesRequested(1, 1, 7)), 1)
    assert answer == [WORLD.nullification(view) for view in (7, 6, 4, 3, 2, 1)]


def test_a_retry_is_bounded() -> None:
    """R37, R49"""
    glass = Glass(WORLD)
    for view in range(1, 200):
        block = WORLD.block(view)
        glass.certificates(WORLD.notarization(block))
    glass.until(1_000)
    again = sent(glass.until(2_000))
    votes = [message for message in again if isinstance(message, Vote)]
    assert len(votes) == RESENT_MAX
    assert votes == sorted(votes, key=lambda vote: -vote.view), "the newest first"
    assert len(certificates(again)) == 1


# connection


def test_a_new_link_gets_our_status_and_our_votes() -> None:
    """R38"""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.accept(block)
    assert sent(glass.feed(PeerConnected(3)), 3) == [Status(EPOCH, 1, 0, 0), WORLD.vote(NOTARIZE, 1, block.hash, 0)]


def test_an_observer_helps_and_answers_but_does_not_greet() -> None:
    """R43"""
    glass = Glass(WORLD, me=None)
    glass.certificates(WORLD.nullification(1))
    assert glass.feed(PeerConnected(3)) == []
    assert sent(glass.feed(PeerHeard(1, EPOCH, 1, True)), 1) == [WORLD.nullification(1)]
    assert sent(glass.feed(CertificatesRequested(1, 1, 1)), 1) == [WORLD.nullification(1)]


# blocks


def test_a_notarized_block_is_taken_from_its_proposal_or_fetched_from_its_signers() -> None:
    """R39, R25"""
    block = WORLD.block(1)
    certificate = WORLD.certificate(NOTARIZE, 1, block.hash, (0, 2, 3))
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(block))
    assert of(glass.certificates(certificate), FetchBlock) == []
    other = Glass(WORLD)
    assert of(other.certificates(certificate), FetchBlock) == [FetchBlock(block.hash, (2, 3))]


def test_a_wanted_block_is_asked_for_again_at_every_retry_until_it_comes() -> None:
    """R39"""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.certificates(WORLD.notarization(block))
    for second in (1, 2, 3):
        assert of(glass.until(second * 1_000), FetchBlock) == [FetchBlock(block.hash, (1, 2))]
    glass.feed(BlockFetched(block))
    assert of(glass.until(5_000), FetchBlock) == []


def test_a_proposal_may_bring_a_block_that_is_wanted() -> None:
    """R39: also one of a view that is over."""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    glass.certificates(WORLD.finalization(block))
    assert glass.core.wants(WORLD.proposal(block))
    glass.proposed(WORLD.proposal(block))
    assert [e.blocks for e in of(glass.effects, Finalize)] == [(block,)]


def test_a_block_that_nobody_wants_is_dropped() -> None:
    """R39, R49"""
    block = WORLD.block(1)
    glass = Glass(WORLD)
    assert glass.feed(BlockFetched(block)) == []
    assert glass.core.block(block.hash) is None


def test_every_block_at_hand_is_served() -> None:
    """R39: the committed tip, certified ones, and proposals that are not judged yet."""
    first, second, third = WORLD.chain((1, 2, 4))
    glass = Glass(WORLD)
    for block in (first, second, third):
        glass.proposed(WORLD.proposal(block))
    glass.certificates(WORLD.finalization(first), WORLD.notarization(second))
    assert [glass.core.block(block.hash) for block in (first, second, third)] == [first, second, third]
    assert glass.core.block(WORLD.root.hash) is None, "below the tip the store serves"


def far_chain(length: int) -> list[Block]:
    return WORLD.chain(range(1, length + 1))


@pytest.mark.parametrize(("length", "by_hash"), [(FETCH_HEIGHTS_MAX, True), (FETCH_HEIGHTS_MAX + 1, False)])
def test_a_short_gap_is_fetched_block_by_block_and_a_long_one_by_range(length: int, by_hash: bool) -> None:
    """R39"""
    chain = far_chain(length)
    glass = Glass(WORLD)
    glass.certificates(WORLD.finalization(chain[-1]))
    assert [e.hash for e in of(glass.effects, FetchBlock)] == [chain[-1].hash]
    glass.feed(BlockFetched(chain[-1]))
    assert [e.hash for e in of(glass.effects, FetchBlock)] == [b.hash for b in (chain[-1], chain[-2])[: 1 + by_hash]]
    assert of(glass.until(5_000), FetchBlock) == ([FetchBlock(chain[-2].hash, (1, 2))] * 5 if by_hash else [])
    glass.feed(BlocksSynced(tuple(chain[:-1]), WORLD.finalization(chain[-2])))
    assert glass.core.committed == chain[-1]


def test_who_is_far_behind_still_takes_part_by_certificates() -> None:
    """R39, R25: blocks are not needed to finalize what is notarized."""
    chain = far_chain(FETCH_HEIGHTS_MAX + 10)
    glass = Glass(WORLD)
    glass.certificates(WORLD.finalization(chain[-2]), WORLD.notarization(chain[-1]))
    assert cast(glass.effects) == [(FINALIZE, len(chain))]


def test_the_blocks_asked_for_in_one_retry_are_bounded() -> None:
    """R49"""
    glass = Glass(WORLD)
    glass.certificates(*(WORLD.notarization(WORLD.block(view)) for view in range(1, FETCHES_MAX + 20)))
    assert len(of(glass.until(1_000), FetchBlock)) == FETCHES_MAX


# ranges


def test_a_range_of_the_final_chain_is_committed() -> None:
    """R40"""
    chain = WORLD.chain((1, 2, 5))
    glass = Glass(WORLD)
    effects = glass.feed(BlocksSynced(tuple(chain), WORLD.finalization(chain[-1])))
    assert of(effects, Finalize) == [Finalize(tuple(chain), WORLD.finalization(chain[-1]))]
    assert (glass.core.view, glass.core.finalized_view) == (6, 5)
    assert glass.core.committed == chain[-1]


def test_a_range_below_the_known_floor_is_committed_and_the_floor_stays() -> None:
    """R40, R42"""
    chain = WORLD.chain((1, 2, 3, 4))
    glass = Glass(WORLD)
    glass.certificates(WORLD.finalization(chain[3]))
    glass.feed(BlocksSynced(tuple(chain[:2]), WORLD.finalization(chain[1])))
    assert glass.core.committed == chain[1]
    assert glass.core.finalized_view == 4
    glass.feed(BlockFetched(chain[3]))
    glass.feed(BlockFetched(chain[2]))
    assert glass.core.committed == chain[3]


def test_a_range_that_overlaps_what_is_committed_adds_the_rest() -> None:
    """R40"""
    chain = WORLD.chain((1, 2, 5))
    glass = Glass(WORLD)
    glass.feed(BlocksSynced(tuple(chain[:1]), WORLD.finalization(chain[0])))
    glass.feed(BlocksSynced(tuple(chain), WORLD.finalization(chain[2])))
    assert [e.blocks for e in of(glass.effects, Finalize)] == [(chain[0],), (chain[1], chain[2])]
    assert glass.feed(BlocksSynced(tuple(chain), WORLD.finalization(chain[2]))) == []


@pytest.mark.parametrize("case", ["gap", "unlinked", "another certificate", "notarized", "empty", "another epoch"])
def test_a_range_that_does_not_continue_the_chain_is_ignored(case: str) -> None:
    """R40"""
    chain = WORLD.chain((1, 2, 5))
    good = WORLD.finalization(chain[-1])
    blocks, certificate = {
        "gap": (chain[1:], good),
        "unlinked": ([chain[0], WORLD.block(2, WORLD.block(1, payload=b"y")), chain[2]], good),
        "another certificate": (chain[:2], good),
        "notarized": (chain, WORLD.notarization(chain[-1])),
        "empty": ([], good),
        "another epoch": (chain, World(4, epoch=EPOCH + 1).certificate(FINALIZE, 5, chain[-1].hash)),
    }[case]
    glass = Glass(WORLD)
    assert glass.feed(BlocksSynced(tuple(blocks), certificate)) == []
    assert (glass.core.view, glass.core.committed) == (1, WORLD.root)


def test_in_a_quiet_view_nothing_but_votes_is_broadcast() -> None:
    """R34: 2(n - 1) messages for each block, and no certificate."""
    glass = Glass(WORLD)
    blocks = WORLD.chain((1, 2))
    for block in blocks:
        others = [s for s in (1, 2, 3) if s != WORLD.committee.leader(block.header.view)]
        glass.accept(block)
        glass.votes(*(WORLD.vote(NOTARIZE, block.header.view, block.hash, s) for s in others))
        for signer in (1, 2, 3):
            vote = WORLD.vote(FINALIZE, block.header.view, block.hash, signer)
            late = not glass.core.wants(vote)
            glass.feed(PeerHeard(signer, EPOCH, vote.view + 1, False)) if late else glass.votes(vote)
    messages = of(glass.until(500), Broadcast) + of(glass.effects, Broadcast)
    assert [type(m.message) for m in messages] == [Status] + [Vote] * 4
    assert of(glass.effects, Send) == []
