"""Views: how they are entered, how long they last, and when they are given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.core import Timing
from consensus.events import (
    BlockChecked,
    BuildBlock,
    CertificateReceived,
    Input,
    PeerConnected,
    PeerDisconnected,
    PeerHeard,
    SetTimer,
    Started,
    StatusReceived,
    TimerFired,
    VoteReceived,
    WorkChanged,
)
from consensus.messages import Certificate, Kind, Status
from consensus.timing import NEVER, Deadlines, backoff_steps
from tests.consensus_lab import EPOCH, FINALIZE, NOTARIZE, NULLIFY, Glass, World, cast, of, sent

WORLD = World(4)  # validator 0 leads views 3, 7, 11, …
IDLE = Timing()


def nullifications(low: int, high: int) -> list[Certificate]:
    return [WORLD.nullification(view) for view in range(low, high + 1)]


# entering


@pytest.mark.parametrize("kind", list(Kind))
def test_any_certificate_of_a_view_leads_to_the_next(kind: Kind) -> None:
    """R4, R24, R25, R26: without the block, and whatever was voted."""
    glass = Glass(WORLD)
    assert glass.core.view == 1
    glass.certificates(
        WORLD.certificate(kind, 1, WORLD.block(1).hash if kind is not NULLIFY else WORLD.nullification(1).hash)
    )
    assert glass.core.view == 2
    assert glass.core.finalized_view == (1 if kind is FINALIZE else 0)


def test_a_view_may_be_jumped_over_and_never_comes_back() -> None:
    """R4, R22: a certificate proves itself however far ahead."""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(1_000_000))
    assert glass.core.view == 1_000_001
    glass.certificates(*nullifications(1, 3))
    assert glass.core.view == 1_000_001


def test_one_certificate_enters_one_view_once() -> None:
    """R4: two certificates of one view do not count twice."""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(1), WORLD.notarization(WORLD.block(1)), WORLD.nullification(1))
    assert glass.core.view == 2


def test_own_votes_complete_a_certificate_that_leads_on() -> None:
    """R22, R24"""
    glass = Glass(WORLD)
    glass.votes(WORLD.vote(NULLIFY, 1, signer=1), WORLD.vote(NULLIFY, 1, signer=3))
    assert glass.core.view == 1
    glass.until(1_000)
    assert glass.core.view == 2


def test_entering_a_view_overwrites_the_deadlines_of_the_one_before() -> None:
    """R9: else a timer armed for view 1 nullifies view 2."""
    glass = Glass(WORLD)
    glass.until(900)
    glass.certificates(WORLD.nullification(1))
    glass.until(1_899)
    assert (NULLIFY, 2) not in cast(glass.effects)
    glass.until(1_900)
    assert (NULLIFY, 2) in cast(glass.effects)


def test_there_is_always_a_next_timer() -> None:
    """R9, R37: also after nullify, and after the share."""
    glass = Glass(WORLD)
    for now in range(0, 30_000, 500):
        glass.until(now)
        assert glass.timer_at is not None
        assert glass.timer_at <= now + 1_000


def test_a_timer_that_fires_too_early_does_nothing() -> None:
    """R9"""
    glass = Glass(WORLD)
    glass.now = 50
    (again,) = glass.feed(TimerFired())
    assert again == SetTimer(100)


# giving up


def test_a_view_is_given_up_when_its_leader_sends_nothing() -> None:
    """R29"""
    glass = Glass(WORLD)
    glass.until(999)
    assert cast(glass.effects) == []
    glass.until(1_000)
    assert cast(glass.effects) == [(NULLIFY, 1)]
    assert glass.core.counters.leader_timeouts == 1


def test_a_proposal_ends_only_the_wait_for_the_leader() -> None:
    """R29: also one that cannot be judged yet."""
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(WORLD.block(1)))
    glass.until(2_499)
    assert cast(glass.effects) == []
    glass.until(2_500)
    assert cast(glass.effects) == [(NULLIFY, 1)]
    assert glass.core.counters.view_timeouts == 1


def test_a_proposal_that_came_before_its_view_counts() -> None:
    """R29, R13"""
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(WORLD.block(2)))
    glass.certificates(WORLD.nullification(1))
    glass.until(2_499)
    assert (NULLIFY, 2) not in cast(glass.effects)


def test_a_leader_without_a_block_gives_its_own_view_up_in_time() -> None:
    """R29: it does not wait for its own proposal, only for the view's end."""
    glass = Glass(WORLD, me=2)
    glass.until(2_499)
    assert cast(glass.effects) == []
    glass.until(2_500)
    assert cast(glass.effects) == [(NULLIFY, 1)]


def test_the_leaders_nullify_ends_the_view_for_all() -> None:
    """R23"""
    glass = Glass(WORLD)
    glass.votes(WORLD.vote(NULLIFY, 1, signer=1))
    assert cast(glass.effects) == []
    glass.votes(WORLD.vote(NULLIFY, 1, signer=WORLD.committee.leader(1)))
    assert cast(glass.effects) == [(NULLIFY, 1)]


def test_the_leaders_nullify_is_remembered_until_its_view() -> None:
    """R23: also when a proposal is buffered or the leader looked silent before."""
    glass = Glass(WORLD)
    glass.votes(WORLD.vote(NULLIFY, 2, signer=WORLD.committee.leader(2)))
    glass.proposed(WORLD.proposal(WORLD.block(2)))
    glass.certificates(WORLD.nullification(1))
    assert cast(glass.effects) == [(NULLIFY, 2)]


def test_what_arrived_before_the_timer_counts_when_the_timer_comes_late() -> None:
    """R33: the driver delivers it first, and then a stall of ours nullifies nothing."""
    late, rude = Glass(WORLD), Glass(WORLD)
    late.now = rude.now = 1_800
    late.proposed(WORLD.proposal(WORLD.block(1)))
    late.until(1_800)
    assert cast(late.effects) == []
    rude.until(1_800)
    assert cast(rude.effects) == [(NULLIFY, 1)]


# back-off


@pytest.mark.parametrize(("n", "free"), [(1, 4), (4, 5), (7, 6), (31, 14)])
def test_faulty_leaders_in_a_row_do_not_start_the_backoff(n: int, free: int) -> None:
    """R30"""
    committee = World(n).committee
    assert [backoff_steps(committee, view, 0) for view in range(1, free + 4)] == [0] * free + [1, 2, 3]
    assert backoff_steps(committee, 1_000 + free, 1_000) == 0


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_backoff_grows_by_three_tenths_up_to_its_cap_in_integers(steps: int, wait_ms: int) -> None:
    """R30, R50"""
    timing = Timing()
    scaled = timing.scaled(wait_ms, steps)
    assert type(scaled) is int
    assert wait_ms <= scaled <= wait_ms * 4
    assert scaled == min(wait_ms * 13 ** min(steps, 40) // 10 ** min(steps, 40), wait_ms * 4)
    assert timing.scaled(2_500, steps) <= timing.view_ms_max


def test_views_without_a_finalization_last_longer_and_a_finalization_resets_them() -> None:
    """R30: notarizations do not."""
    glass = Glass(WORLD)
    waits = []
    for view in range(1, 20):
        entered = glass.now
        if glass.core.leader != 0:
            while (NULLIFY, view) not in cast(glass.effects):
                assert glass.timer_at is not None
                glass.until(glass.timer_at)
            waits.append(glass.now - entered)
        glass.certificates(WORLD.nullification(view), WORLD.notarization(WORLD.block(view)))
    assert waits[:4] == [1_000] * 4
    assert waits == sorted(waits)
    assert waits[-1] == 4_000, "the cap of view_ms, a quarter of which is leader_ms' share"
    glass.certificates(WORLD.finalization(WORLD.block(20)))
    glass.until(glass.now + 1_000)
    assert (NULLIFY, 21) in cast(glass.effects)


@pytest.mark.parametrize(
    "wrong",
    [
        {"leader_ms": 0},
        {"leader_ms": 2_500},
        {"view_ms_max": 2_000},
        {"retry_ms": 0},
        {"share_ms": 0},
        {"idle_ms": -1},
        {"skip_ms": 2_500, "idle_ms": 0},
        {"skip_ms": 11_999},
    ],
)
def test_waits_that_contradict_one_another_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        Timing(**wrong)


# silent leaders


def silent_but(*heard: int) -> Glass:
    """Sixteen seconds in which only these are heard."""
    glass = Glass(WORLD)
    glass.until(16_000)
    glass.feed(*(PeerHeard(peer, EPOCH, 1, False) for peer in heard))
    return glass


def test_a_leader_that_was_silent_is_skipped_at_once() -> None:
    """R31"""
    glass = silent_but(2, 3)
    glass.certificates(WORLD.nullification(3))
    assert (glass.core.view, glass.core.leader) == (4, 1)
    assert (NULLIFY, 4) in cast(glass.effects)
    assert glass.core.counters.leaders_skipped == 1


@pytest.mark.parametrize(
    "said",
    [
        PeerHeard(1, EPOCH, 1, False),
        StatusReceived(1, Status(EPOCH, 1, 0, 0)),
        VoteReceived(WORLD.vote(NULLIFY, 1, signer=1)),
        CertificateReceived(1, WORLD.nullification(1)),
    ],
    ids=["what is not wanted", "a status", "a vote", "a certificate"],
)
def test_whoever_says_anything_is_not_skipped(said: Input) -> None:
    """R31, R21: a validator whose votes always come last is alive."""
    glass = silent_but(2, 3)
    glass.feed(said)
    glass.certificates(WORLD.nullification(3))
    assert (glass.core.view, glass.core.leader) == (4, 1)
    assert (NULLIFY, 4) not in cast(glass.effects)


def test_without_an_active_quorum_nobody_is_skipped() -> None:
    """R31"""
    glass = silent_but()
    glass.certificates(WORLD.nullification(3))
    assert (NULLIFY, 4) not in cast(glass.effects)


def test_a_silent_leader_whose_proposal_is_here_is_not_skipped() -> None:
    """R31"""
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(WORLD.block(4)))
    glass.until(16_000)
    glass.feed(PeerHeard(2, EPOCH, 1, False), PeerHeard(3, EPOCH, 1, False))
    assert glass.core.wants(WORLD.vote(NULLIFY, 4, signer=1))
    glass.certificates(WORLD.nullification(3))
    assert (NULLIFY, 4) not in cast(glass.effects)


def test_all_count_as_heard_at_the_start() -> None:
    """R31"""
    glass = Glass(WORLD, start=False)
    glass.now = 1_000_000
    glass.feed(Started())
    glass.certificates(WORLD.nullification(3))
    assert (NULLIFY, 4) not in cast(glass.effects)


def test_a_leader_whose_link_goes_down_is_given_up_at_once() -> None:
    """R31: in the view that it leads now, and in those to come."""
    glass = Glass(WORLD)
    leader = glass.core.leader
    assert leader != glass.core.me
    glass.feed(PeerDisconnected(leader))
    assert (NULLIFY, 1) in cast(glass.effects)
    glass.certificates(*(WORLD.nullification(view) for view in range(1, 5)))
    assert (glass.core.view, glass.core.leader) == (5, leader)
    assert (NULLIFY, 5) in cast(glass.effects)
    assert glass.core.counters.leaders_skipped == 2


def test_a_leader_whose_link_came_back_is_waited_for() -> None:
    """R31"""
    glass = Glass(WORLD)
    leader = glass.core.committee.leader(4)
    glass.feed(PeerDisconnected(leader), PeerConnected(leader))
    glass.certificates(WORLD.nullification(3))
    assert (glass.core.view, glass.core.leader) == (4, leader)
    assert (NULLIFY, 4) not in cast(glass.effects)


def test_a_view_whose_proposal_came_before_the_link_went_down_is_not_given_up() -> None:
    """R31"""
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(WORLD.block(1)))
    glass.feed(PeerDisconnected(glass.core.leader))
    assert (NULLIFY, 1) not in cast(glass.effects)


def test_when_too_many_links_are_down_nobody_is_skipped() -> None:
    """R31"""
    glass = Glass(WORLD)
    others = [peer for peer in range(4) if peer not in (glass.core.me, glass.core.leader)]
    glass.feed(PeerDisconnected(others[0]), PeerDisconnected(glass.core.leader))
    assert (NULLIFY, 1) not in cast(glass.effects)


# idle mode


def test_an_idle_view_waits_longer_for_its_leader() -> None:
    """R32"""
    glass = Glass(WORLD, timing=IDLE)
    glass.until(4_999)
    assert cast(glass.effects) == []
    glass.until(5_000)
    assert cast(glass.effects) == [(NULLIFY, 1)]


def test_work_that_comes_shortens_the_wait_to_that_of_a_busy_view() -> None:
    """R32"""
    glass = Glass(WORLD, timing=IDLE)
    glass.until(3_000)
    glass.feed(WorkChanged(True))
    glass.until(3_999)
    assert cast(glass.effects) == []
    glass.until(4_000)
    assert cast(glass.effects) == [(NULLIFY, 1)]


def test_work_that_comes_late_does_not_lengthen_the_wait() -> None:
    """R32"""
    glass = Glass(WORLD, timing=IDLE)
    glass.until(4_900)
    glass.feed(WorkChanged(True))
    glass.until(5_000)
    assert cast(glass.effects) == [(NULLIFY, 1)]


def test_work_that_comes_and_goes_puts_nothing_off_for_ever() -> None:
    """R32"""
    glass = Glass(WORLD, timing=IDLE)
    for now in range(0, 10_000, 100):
        glass.until(now)
        glass.feed(WorkChanged(now % 200 == 0))
        assert cast(glass.effects) == ([(NULLIFY, 1)] if now >= 5_000 else [])
    assert cast(glass.effects) == [(NULLIFY, 1)]
    assert glass.core.counters.leader_timeouts == 1


def test_a_tip_that_is_not_final_is_no_time_to_be_idle() -> None:
    """R32: until its finalization comes; then the same view is an idle one."""
    block = WORLD.block(1)
    glass = Glass(WORLD, timing=IDLE)
    glass.proposed(WORLD.proposal(block))
    glass.certificates(WORLD.notarization(block))
    glass.until(999)
    assert (NULLIFY, 2) not in cast(glass.effects)
    calm = Glass(WORLD, timing=IDLE)
    calm.proposed(WORLD.proposal(block))
    calm.certificates(WORLD.notarization(block))
    calm.until(500)
    calm.certificates(WORLD.finalization(block))
    glass.until(1_000)
    calm.until(4_999)
    assert (NULLIFY, 2) in cast(glass.effects)
    assert (NULLIFY, 2) not in cast(calm.effects)
    calm.until(5_000)
    assert (NULLIFY, 2) in cast(calm.effects)


def test_a_view_after_a_nullified_one_is_idle_too() -> None:
    """R32: only a notarized tip waits for somebody."""
    glass = Glass(WORLD, timing=IDLE)
    glass.certificates(WORLD.nullification(1))
    glass.until(4_999)
    assert cast(glass.effects) == []
    glass.until(5_000)
    assert cast(glass.effects) == [(NULLIFY, 2)]


def test_a_proposal_ends_the_idleness_of_its_view() -> None:
    """R32"""
    glass = Glass(WORLD, timing=IDLE)
    glass.until(100)
    glass.proposed(WORLD.proposal(WORLD.block(1)))
    glass.until(2_599)
    assert cast(glass.effects) == []
    glass.until(2_600)
    assert cast(glass.effects) == [(NULLIFY, 1)]


def test_the_builder_knows_whether_the_parent_waits_for_finality() -> None:
    """R32"""
    glass = Glass(WORLD, me=3, timing=IDLE)
    block = WORLD.block(1)
    glass.proposed(WORLD.proposal(block))
    (build,) = of(glass.certificates(WORLD.notarization(block)), BuildBlock)
    assert build == BuildBlock(2, block, waiting=True)
    other = Glass(WORLD, me=3, timing=IDLE)
    (build,) = of(other.certificates(WORLD.nullification(1)), BuildBlock)
    assert build == BuildBlock(2, WORLD.root, waiting=False)


def test_who_only_waits_says_only_where_it_is() -> None:
    """R32, R37"""
    block = WORLD.block(1)
    glass = Glass(WORLD, timing=IDLE)
    glass.proposed(WORLD.proposal(block))
    glass.feed(BlockChecked(1, block.hash, True))
    glass.certificates(WORLD.notarization(block), WORLD.finalization(block))
    glass.until(1_000)
    assert sent(glass.until(4_000)) == [Status(EPOCH, 2, 1, 1)] * 3
    glass.until(5_000)
    again = sent(glass.until(8_000))
    assert WORLD.finalization(block) in again
    assert WORLD.vote(NULLIFY, 2, signer=0) in again


@given(st.lists(st.tuples(st.integers(0, 3_000), st.booleans()), max_size=30))
def test_a_deadline_is_never_later_than_the_beginning_allows(steps: list[tuple[int, bool]]) -> None:
    """R32"""
    deadlines = Deadlines(IDLE)
    deadlines.enter(0, 0, False, True)
    now = 0
    for wait_ms, idle in steps:
        now += wait_ms
        deadlines.pace(now, idle)
        assert deadlines.leader_at <= IDLE.leader_ms + IDLE.idle_ms
        assert deadlines.view_at <= IDLE.view_ms + IDLE.idle_ms
    deadlines.give_up()
    deadlines.pace(now, True)
    deadlines.pace(now, False)
    assert deadlines.leader_at == deadlines.view_at == NEVER


def test_votes_of_the_current_view_tell_what_it_waits_for() -> None:
    glass = Glass(WORLD)
    block = WORLD.block(1)
    glass.accept(block)
    glass.votes(WORLD.vote(NULLIFY, 1, signer=3))
    assert glass.core.votes() == {NOTARIZE: (0, 2), NULLIFY: (3,), FINALIZE: ()}
