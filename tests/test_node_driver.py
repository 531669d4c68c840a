"""node/driver.py: the loop around the core. What is durable before what, time, epochs, pace, the journal's turn."""

import asyncio
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

import node.driver
from consensus.events import BlocksSynced, CheckBlock, Input, SignVote, Started, StatusReceived, TimerFired, VoteSigned
from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    Header,
    Kind,
    Status,
    decode_block,
    decode_certificate,
    encode_message,
)
from consensus.records import Intent, decode_record
from network.wire import PeerId
from node.batches import AUTHOR_BYTES_MAX, Batch, decode_payload
from node.blocks import PACE_BEHIND_MS, PACE_MS
from node.driver import BATCH_RECORD, CONSENSUS_RECORD, LATE_MS
from node.fence import Wall
from node.inbox import INBOX_MAX
from node.payloads import Verdict
from node.storage.journal import Journal
from tests.driver_lab import QUICK, Cluster, Seat, cluster
from tests.node_parts import EPOCH_LENGTH, PEERS, batch_of, block_zero, child, eventually, issue, passes, pay, running


def header_at(seat: Seat, height: int) -> Header:
    stored = seat.store.block(height)
    assert stored is not None
    return decode_block(stored.block_bytes).header


def gaps_ms(seat: Seat, low: int, high: int) -> list[int]:
    """Return the times between the blocks from ``low`` to ``high``."""
    times = [header_at(seat, height).timestamp_ms for height in range(low, high + 1)]
    return [after - before for before, after in pairwise(times)]


def height_of(seat: Seat, batch: Batch) -> int | None:
    """Return the height of the stored block that names a batch."""
    for height in range(1, seat.store.tip.height + 1):
        stored = seat.store.block(height)
        assert stored is not None
        if batch.digest in decode_payload(decode_block(stored.block_bytes).payload):
            return height
    return None


# --- durability ---


async def test_what_is_signed_or_sent_rests_on_what_is_durable(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        for _ in range(3):
            four.spread(issue(1_000))
            four.spread(pay(amount=1))
        await four.height(8)
        for seat in four.seats:
            unsynced = 0
            for note in seat.notes:
                if note == "sync":
                    unsynced = 0
                elif note in ("record", "batch"):
                    unsynced += 1
                else:
                    assert unsynced == 0, f"{note} before the sync"
            assert {"sign", "send", "record", "batch", "sync"} <= set(seat.notes)
        assert four.same_chain() >= 8
        assert four.blamed == []


async def test_a_vote_for_a_block_is_preceded_by_its_batches_in_the_journal(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        batch = four.spread(issue(1_000))
        await four.until(lambda: height_of(four.seats[0], batch))
        for seat in four.running:
            await seat.stop()
        for seat in four.seats:
            journal, records = Journal.open(seat.directory / "data" / "journal")
            journal.close()
            held = [
                place for place, (kind, data) in enumerate(records) if (kind, data) == (BATCH_RECORD, batch.encoded)
            ]
            named = [place for place, (kind, data) in enumerate(records) if _names(kind, data, batch)]
            assert held
            assert named
            assert held[0] < named[0]


def _names(kind: int, data: bytes, batch: Batch) -> bool:
    if kind != CONSENSUS_RECORD:
        return False
    fact = decode_record(data)
    return isinstance(fact, Block) and batch.digest in decode_payload(fact.payload)


async def test_batches_that_nobody_votes_on_do_not_pile_up_unsynced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.driver, "UNSYNCED_BYTES_MAX", 5_000)
    seat = Cluster(tmp_path).seats[0]
    seat.open()
    for _ in range(100):
        seat.driver.keep(batch_of(1, pay()))
        assert seat.journal._pending_bytes < 7_000
    assert seat.notes.count("sync") < 50
    seat.close()


async def test_a_refusal_of_the_guard_keeps_the_validator_mute_but_alive(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        await four.height(1)
        mute = four.seats[2]
        mute.guard.refusing = True
        mute.notes.clear()
        before = mute.store.tip.height
        four.spread(issue(1_000))
        await four.height(before + 4)
        assert "sign" not in mute.notes
        assert four.blamed == [], "nothing unsigned is sent in its place"
        assert mute.driver.voting.votes.refused > 0
        mute.guard.refusing = False
        await four.until(lambda: "sign" in mute.notes)
        four.same_chain()


# --- time ---


class Watched:
    """Notes what a driver's core is told."""

    def __init__(self, seat: Seat) -> None:
        self.told: list[Input] = []
        step = seat.driver._step

        def noted(event: Input) -> None:
            self.told.append(event)
            step(event)

        seat.driver._step = noted  # type: ignore[method-assign]


def status_of(seat: Seat) -> bytes:
    return encode_message(Status(0, 1, 0, 0))


async def test_after_a_stall_messages_go_before_the_timer(tmp_path: Path) -> None:
    seat = Cluster(tmp_path).seats[0]
    seat.open()
    watched = Watched(seat)
    driver = seat.driver
    driver._timer_at = driver.clock_ms() - LATE_MS - 1
    asyncio.get_running_loop().call_later(LATE_MS / 5_000, driver.on_message, PEERS[1], status_of(seat))
    await driver._fire_timer()
    assert [type(event) for event in watched.told] == [StatusReceived, TimerFired]
    assert driver.counters.late_timers == 1
    seat.close()


async def test_a_timer_in_time_fires_at_once(tmp_path: Path) -> None:
    seat = Cluster(tmp_path).seats[0]
    seat.open()
    watched = Watched(seat)
    seat.driver._timer_at = seat.driver.clock_ms()
    await seat.driver._fire_timer()
    assert [type(event) for event in watched.told] == [TimerFired]
    seat.driver._timer_at = seat.driver.clock_ms() + 60_000
    await seat.driver._fire_timer()
    assert len(watched.told) == 1
    assert seat.driver.counters.late_timers == 0
    seat.close()


async def test_a_flood_is_dropped_beyond_the_inbox_and_does_not_put_off_the_timer(tmp_path: Path) -> None:
    seat = Cluster(tmp_path).seats[0]
    seat.open()
    watched = Watched(seat)
    driver = seat.driver
    for _ in range(INBOX_MAX + 5):
        driver.on_message(PEERS[1], b"nonsense")
    assert driver.counters.dropped == 5
    take = driver._take

    def endless(event: object) -> None:
        take(event)  # type: ignore[arg-type]
        driver.on_message(PEERS[1], b"nonsense")

    driver._take = endless  # type: ignore[method-assign]
    driver._timer_at = driver.clock_ms()
    async with asyncio.timeout(30):
        await driver._turn()
    assert TimerFired in {type(event) for event in watched.told}
    seat.close()


async def test_an_idle_network_makes_heartbeats_and_no_more(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        await four.height(7)
        seat = four.seats[0]
        assert all(gap >= QUICK.idle_ms * 9 // 10 for gap in gaps_ms(seat, 2, 7))
        assert seat.driver.core.counters.views_nullified == 0


async def test_work_is_built_after_the_pace_and_not_after_the_idle_time(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        await four.height(1)
        seat = four.seats[0]
        start = seat.store.tip.height
        while seat.store.tip.height < start + 8:
            four.spread(issue(1))
            before = seat.store.tip.height
            await four.until(lambda before=before: seat.store.tip.height > before)  # type: ignore[misc]
        gaps = gaps_ms(seat, start + 1, start + 8)
        assert min(gaps) >= PACE_MS - 5
        assert sorted(gaps)[len(gaps) // 2] < QUICK.idle_ms


async def test_who_has_final_blocks_to_execute_builds_fewer_and_larger_ones(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        await four.height(1)
        for seat in four.seats:
            seat.executor.queued = lambda: 1  # type: ignore[method-assign]
        seat = four.seats[0]
        start = seat.store.tip.height
        while seat.store.tip.height < start + 4:
            four.spread(issue(1))
            before = seat.store.tip.height
            await four.until(lambda before=before: seat.store.tip.height > before)  # type: ignore[misc]
        assert min(gaps_ms(seat, start + 1, start + 4)) >= PACE_BEHIND_MS - 5


async def test_the_root_of_a_payment_is_certified_within_two_empty_blocks(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        seat = four.seats[0]
        await four.height(2)
        batch = four.spread(issue(1_000))
        await four.until(lambda: height_of(seat, batch))
        height = height_of(seat, batch)
        assert height is not None
        await four.height(height + 3)
        assert header_at(seat, height + 2).executed_height >= height
        assert sum(gaps_ms(seat, height, height + 1)) < QUICK.idle_ms  # nobody waited for a heartbeat
        assert gaps_ms(seat, height + 2, height + 3)[0] >= QUICK.idle_ms * 9 // 10  # and then it is quiet again


async def test_a_batch_based_on_a_height_to_come_does_not_cost_the_leaders_their_views(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        batch = four.batch(issue(1_000), base_height=60)
        for seat in four.seats:
            seat.hold(batch)
        await four.height(5)
        assert four.seats[0].driver.core.counters.views_nullified == 0


# --- batches of proposals ---


async def test_a_missing_batch_is_asked_for_and_the_block_gets_its_vote(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        await four.height(1)
        lacking = four.seats[3]
        batch = four.batch(issue(1_000), base_height=1)
        for seat in four.seats[:3]:
            seat.hold(batch)
        await four.until(lambda: height_of(lacking, batch))
        four.same_chain()


async def test_batches_that_nobody_has_hold_up_no_other_proposals_batches(tmp_path: Path) -> None:
    """A liar's proposal names what does not exist; the next one names what can be fetched."""
    four = Cluster(tmp_path)
    seat = four.seats[0]
    seat.open()
    asked: list[Sequence[bytes]] = []
    never = asyncio.Event()

    async def fetch(names: Sequence[bytes], rounds: int) -> None:
        asked.append(names)
        await never.wait()

    seat.sync.fetch_batches = fetch  # type: ignore[method-assign,assignment]
    driver = seat.driver
    async with asyncio.TaskGroup() as driver._tasks:
        for number in range(3):
            missing = [batch_of(1, pay()).digest]
            driver.blocks._checking = (_check_of(number), driver.clock_ms() - 1_000)
            driver.blocks.payloads = _Lacking(missing)  # type: ignore[assignment]
            driver.blocks.try_check()
            driver.blocks.try_check()
            await passes()
        assert len(asked) == 3
        never.set()
    seat.close()


class _Lacking:
    def __init__(self, names: Sequence[bytes]) -> None:
        self._names = names

    def verdict(self, *_: object) -> Verdict:
        return Verdict.UNKNOWN

    def missing(self, _: object) -> list[bytes]:
        return list(self._names)


def _check_of(number: int) -> CheckBlock:
    return CheckBlock(number, child(block_zero()), block_zero())


# --- epochs ---


async def test_epochs_follow_one_another(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        for number in range(3 * EPOCH_LENGTH + 1):
            four.spread(issue(1))
            await four.height(number + 1)
        await four.until(lambda: all(seat.driver.core.epoch == 3 for seat in four.seats))
        seat = four.seats[0]
        for height in range(1, 3 * EPOCH_LENGTH + 1):
            header = header_at(seat, height)
            assert header.epoch == (height - 1) // EPOCH_LENGTH
            assert any(header.next_validators_hash) == (height % EPOCH_LENGTH == 0)
        assert four.blamed == []
        four.same_chain()


async def test_a_validator_in_an_earlier_epoch_is_helped_out_of_it(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        await four.height(1)
        late, *others = four.seats[3], *four.seats[:3]
        late.cut_off = True
        while min(seat.store.tip.height for seat in others) < 2 * EPOCH_LENGTH + 3:
            before = min(seat.store.tip.height for seat in others)
            four.spread(issue(1))
            await four.height(before + 1, *others)
        assert late.driver.core.epoch == 0
        late.cut_off = False
        await four.height(2 * EPOCH_LENGTH + 3)
        await four.until(lambda: late.driver.core.epoch == others[0].driver.core.epoch)
        four.same_chain()


async def test_who_was_cut_off_at_the_last_blocks_of_an_epoch_follows(tmp_path: Path) -> None:
    """So few blocks behind that no range is asked for."""
    async with cluster(tmp_path) as four:
        late, *others = four.seats[3], *four.seats[:3]
        while min(seat.store.tip.height for seat in four.seats) < EPOCH_LENGTH - 2:
            before = min(seat.store.tip.height for seat in four.seats)
            four.spread(issue(1))
            await four.height(before + 1)
        late.cut_off = True
        await four.height(EPOCH_LENGTH + 2, *others)
        late.cut_off = False
        await four.height(EPOCH_LENGTH + 3)
        four.same_chain()


async def test_a_status_from_an_earlier_epoch_is_answered_with_what_ends_it_but_not_each_time(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        while min(seat.store.tip.height for seat in four.seats) < EPOCH_LENGTH + 1:
            before = min(seat.store.tip.height for seat in four.seats)
            four.spread(issue(1))
            await four.height(before + 1)
        seat = four.seats[0]
        sent: list[tuple[PeerId, bytes]] = []
        seat.send_consensus = lambda peer, payload: sent.append((peer, payload))  # type: ignore[method-assign]
        seat.driver._answered_at.clear()
        for _ in range(5):
            seat.driver._on_earlier_epoch(PEERS[3], 0)
        boundary = seat.driver._boundary_certificate(0)
        assert boundary is not None
        assert sent[0] == (PEERS[3], encode_message(boundary))
        assert len(sent) == 2
        seat.driver._on_earlier_epoch(PEERS[2], 10**9)
        assert len(sent) == 3  # where we are, and no certificate


# --- the journal ---


async def test_the_journal_turns_and_a_restart_of_all_at_once_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.driver, "ROTATE_BYTES", 6_000)
    async with cluster(tmp_path) as four:
        for seat in four.seats:
            seat.driver._rotate_at = 6_000
        for _ in range(10):
            before = four.seats[0].store.tip.height
            four.spread(issue(1))
            await four.height(before + 1)
        assert all(seat.journal.rotations for seat in four.seats)
        assert all(seat.driver.journal_bytes() < 40_000 for seat in four.seats)
        heights = []
        for seat in four.seats:
            await seat.stop()
            heights.append(seat.executor.height)
        for seat in four.seats:
            seat.start()
        assert all(seat.store.tip.height >= height for seat, height in zip(four.seats, heights, strict=True))
        four.spread(issue(1))
        await four.height(max(heights) + 3)
        assert [seat.driver.voting.votes.refused for seat in four.seats] == [0] * 4
        four.same_chain()


async def test_a_journal_full_of_batches_that_wait_is_not_rewritten_at_every_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.driver, "ROTATE_BYTES", 10_000)
    seat = Cluster(tmp_path).seats[0]
    seat.open()
    seat.driver._rotate_at = 10_000
    for _ in range(100):
        seat.hold(batch_of(1, pay()), ())
        seat.driver._rotate_journal()
    assert 1 <= len(seat.journal.rotations) <= 4
    assert AUTHOR_BYTES_MAX * 31 + 2 * 64 * 2**20 < 2**30  # the longest that must be held fits in a segment
    seat.close()


async def test_batches_that_wait_outlive_a_turn_of_the_journal_and_a_crash(tmp_path: Path) -> None:
    seat = Cluster(tmp_path).seats[0]
    seat.open()
    waiting = [batch_of(1, pay()) for _ in range(3)]
    for batch in waiting:
        seat.hold(batch, ())
    seat.driver._sync_journal()
    seat.journal.rotate(seat.driver._needed_records())
    seat.close()
    seat.open()
    assert all(batch.digest in seat.pool for batch in waiting)
    seat.close()


async def test_what_is_final_and_not_stored_outlives_a_turn_of_the_journal_and_a_crash(tmp_path: Path) -> None:
    """Execution stands still over the end of an epoch; then the journal turns, and the power fails everywhere.

    What is final must be final again from the journal alone: here one validator comes back with nobody to ask.
    """
    async with cluster(tmp_path) as four:
        seat, *others = four.seats
        while seat.driver.core.committed.header.height < EPOCH_LENGTH - 2:
            before = seat.store.tip.height
            four.spread(issue(1))
            await four.height(before + 1)
        seat.executor._wake = asyncio.Event()  # nothing wakes it any more
        seat.executor._wake.set = lambda: None  # type: ignore[method-assign]
        await four.until(lambda: seat.executor.queued() == 0 or seat.executor.queued() > 3)
        await four.until(
            lambda: seat.driver.core.epoch == 1 and seat.driver.core.committed.header.height > EPOCH_LENGTH
        )
        final = seat.driver.core.committed
        assert seat.store.tip.height < EPOCH_LENGTH
        seat.journal.rotate(seat.driver._needed_records())
        await seat.stop()
        for other in others:
            await other.stop()
        seat.start()
        await four.until(lambda: seat.store.tip.height >= final.header.height)
        stored = seat.store.block(final.header.height)
        assert stored is not None
        assert stored.block_hash == final.hash
        assert seat.driver.voting.votes.refused == 0


async def test_promises_of_an_epoch_that_begins_after_the_start_are_not_forgotten(tmp_path: Path) -> None:
    """A validator voted in epoch 1; its store was behind, and the blocks in between it must fetch from others."""
    async with cluster(tmp_path) as four:
        seat = four.seats[0]
        await four.height(EPOCH_LENGTH - 3)
        await seat.stop()
        shutil.copytree(seat.directory / "data" / "store", tmp_path / "old")
        seat.start()
        await four.height(EPOCH_LENGTH + 2)
        for each in four.running:
            await each.stop()
        shutil.rmtree(seat.directory / "data" / "store")
        shutil.move(tmp_path / "old", seat.directory / "data" / "store")
        _forget_blocks(seat)
        donor = four.seats[1]
        donor.open()
        blocks = tuple(decode_block(stored.block_bytes) for stored in donor.store.blocks(EPOCH_LENGTH - 3, 4))
        stored_certificate = donor.store.certificate(EPOCH_LENGTH)
        assert stored_certificate is not None
        certificate: Certificate = decode_certificate(stored_certificate)
        donor.close()
        seat.open()
        low = seat.store.tip.height + 1
        driver = seat.driver
        driver._step(Started())
        assert driver.core.epoch == 0
        promised = [fact for fact in map(decode_record, driver._later) if isinstance(fact, Intent)]
        assert promised
        kept = {data for kind, data in driver._needed_records() if kind == CONSENSUS_RECORD}
        assert set(driver._later) <= kept
        driver._step(BlocksSynced(tuple(block for block in blocks if block.header.height >= low), certificate))
        driver._begin_next_epoch()
        assert (driver.core.epoch, driver.core.ended) == (0, True)  # its last block speaks of a height to be executed
        async with running(seat.executor.run()):
            await eventually(lambda: not seat.executor.queued())
        driver._begin_next_epoch()
        assert driver.core.epoch == 1
        remembered = {
            (fact.kind, fact.view) for fact in map(decode_record, driver.core.records()) if isinstance(fact, Intent)
        }
        floor = driver.core.finalized_view
        assert remembered >= {(fact.kind, fact.view) for fact in promised if fact.view > floor}
        assert driver.voting.votes.refused == 0
        seat.close()


def _forget_blocks(seat: Seat) -> None:
    """Rewrite a journal as if all blocks of it had come by fetching, which leaves no record."""
    journal, records = Journal.open(seat.directory / "data" / "journal")
    journal.rotate(
        (kind, data) for kind, data in records if kind != CONSENSUS_RECORD or not isinstance(decode_record(data), Block)
    )
    journal.close()


async def test_votes_are_counted_in_the_order_in_which_they_were_promised(tmp_path: Path) -> None:
    """At the end of an epoch a leader votes again at once: its newer votes must not keep the older ones waiting."""
    seat = Cluster(tmp_path).seats[0]
    seat.open()
    watched = Watched(seat)
    driver = seat.driver
    driver.voting.fence.wall = Wall.DOWN
    for view in (1, 2, 3):
        driver.voting.sign(SignVote(Kind.NULLIFY, 0, view, NO_HASH), 0)
    driver.on_message(PEERS[1], b"nonsense")
    while driver._inbox:
        try:
            driver._take_next()
        except AssertionError:  # the core promised none of these
            pass
    assert [event.vote.view for event in watched.told if isinstance(event, VoteSigned)] == [1, 2, 3]
    assert driver.counters.invalid == 1
    seat.close()
