"""What waits for a peer: bounded by bytes, settled by the channel's policy, urgent first."""

from hypothesis import given
from hypothesis import strategies as st

from network.counters import ChannelCounters
from network.limits import MISBEHAVED_POINTS, SCORE_HALVES_SECONDS, OnFull, Score, TokenBucket
from network.outbox import FRAME_OVERHEAD_BYTES, TURN_EVERY, LaneSpec, Outbox
from network.wire import (
    BUNDLE,
    BUNDLE_BYTES_MAX,
    BUNDLED_FRAME_BYTES_MAX,
    Frame,
    Message,
    decode_frames,
    message_frame,
    payload_table,
)

ROOM = 10 * (100 + FRAME_OVERHEAD_BYTES)  # for ten frames of 100 bytes
TABLE = payload_table([(1, 2**20), (2, 2**20), (3, 2**20)], 1, 1)


def outbox(on_full: OnFull = "drop_new", bytes_max: int = ROOM, lanes: int = 3) -> Outbox:
    specs = [LaneSpec(number, bytes_max, number, on_full) for number in range(lanes, 0, -1)]
    return Outbox(specs, {number: ChannelCounters() for number in range(1, lanes + 1)})


def drain(box: Outbox) -> list[Frame]:
    frames: list[Frame] = []
    while (data := box.take()) is not None:
        frames += decode_frames(data, TABLE)
    return frames


def numbered(number: int, length: int = 100) -> bytes:
    return message_frame(1, number.to_bytes(2, "big") + bytes(length - 3))


def numbers(frames: list[Frame]) -> list[int]:
    return [int.from_bytes(frame.payload[:2], "big") for frame in frames if isinstance(frame, Message)]


def test_a_full_channel_drops_what_is_new() -> None:
    box = outbox("drop_new")
    assert [box.put(1, numbered(n)) for n in range(12)] == ["queued"] * 10 + ["dropped"] * 2
    assert numbers(drain(box)) == list(range(10))
    assert box.dropped == 2


def test_a_full_channel_drops_what_is_oldest() -> None:
    box = outbox("drop_oldest")
    assert [box.put(1, numbered(n)) for n in range(12)] == ["queued"] * 12
    assert numbers(drain(box)) == list(range(2, 12))
    assert box.dropped == 2


def test_a_full_channel_says_that_the_link_must_end() -> None:
    box = outbox("disconnect")
    assert [box.put(1, numbered(n)) for n in range(11)] == ["queued"] * 10 + ["overflow"]


def test_a_full_channel_leaves_the_others_their_room() -> None:
    box = outbox("drop_new")
    for n in range(20):
        box.put(2, numbered(n))
    assert box.put(1, numbered(0)) == "queued"


def test_empty_frames_are_not_free() -> None:
    box = outbox("drop_new")
    for _ in range(1_000):
        box.put(1, message_frame(1, b""))
    assert len(drain(box)) <= ROOM // FRAME_OVERHEAD_BYTES


def test_the_urgent_channel_goes_first() -> None:
    box = outbox(bytes_max=2**24)
    large = bytes(2 * BUNDLED_FRAME_BYTES_MAX)
    for _ in range(3):
        box.put(3, message_frame(3, large))
    box.put(1, message_frame(1, b"vote"))
    assert box.take() == message_frame(1, b"vote")


def test_priority_delays_and_does_not_starve() -> None:
    box = outbox(bytes_max=2**24)
    large = bytes(2 * BUNDLED_FRAME_BYTES_MAX)
    for number in (2, 3):
        box.put(number, message_frame(number, large))
    seen = []
    for _ in range(3 * TURN_EVERY):
        box.put(1, message_frame(1, large))
        data = box.take()
        assert data is not None
        seen.append(data[0])
    assert {2, 3} <= set(seen)
    assert seen.count(1) >= len(seen) - 4


def test_small_frames_share_a_bundle_and_large_ones_travel_alone() -> None:
    box = outbox(bytes_max=2**24)
    for n in range(100):
        box.put(1, numbered(n))
    box.put(2, message_frame(2, bytes(BUNDLED_FRAME_BYTES_MAX)))
    first, second, third = box.take(), box.take(), box.take()
    assert first is not None
    assert first[0] == BUNDLE
    assert len(decode_frames(first, TABLE)) == 100
    assert second == message_frame(2, bytes(BUNDLED_FRAME_BYTES_MAX))
    assert third is None


def test_a_bundle_is_as_long_as_a_peer_reads_and_no_longer() -> None:
    box = outbox(bytes_max=2**24)
    for n in range(100):
        box.put(1, numbered(n, BUNDLED_FRAME_BYTES_MAX))
    first = box.take()
    assert first is not None
    assert BUNDLE_BYTES_MAX - BUNDLED_FRAME_BYTES_MAX < len(first) <= BUNDLE_BYTES_MAX
    assert numbers(decode_frames(first, TABLE) + drain(box)) == list(range(100))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 6_000)), max_size=200))
def test_each_channel_keeps_its_order_and_nothing_is_lost_or_too_large(puts: list[tuple[int, int]]) -> None:
    box = outbox(bytes_max=2**24)
    sent: dict[int, list[bytes]] = {1: [], 2: [], 3: []}
    for index, (number, length) in enumerate(puts):
        payload = index.to_bytes(4, "big") + bytes(length)
        sent[number].append(payload)
        box.put(number, message_frame(number, payload))
    got: dict[int, list[bytes]] = {1: [], 2: [], 3: []}
    while (data := box.take()) is not None:
        assert data[0] != BUNDLE or len(data) <= BUNDLE_BYTES_MAX
        for frame in decode_frames(data, TABLE):
            assert isinstance(frame, Message)
            got[frame.channel].append(frame.payload)
    assert got == sent
    assert box.size == 0


@given(
    st.lists(st.one_of(st.none(), st.tuples(st.integers(1, 3), st.integers(0, 500))), max_size=300),
    st.sampled_from(["drop_oldest", "drop_new", "disconnect"]),
)
def test_the_size_is_right_and_bounded_after_every_step(steps: list[tuple[int, int] | None], on_full: OnFull) -> None:
    box = outbox(on_full)
    waiting = 0
    for step in steps:
        if step is None:
            box.take()
        else:
            box.put(step[0], message_frame(step[0], bytes(step[1])))
        assert 0 <= box.size <= 3 * ROOM
        waiting = box.size
    left = drain(box)
    assert waiting == sum(len(message_frame(1, m.payload)) + FRAME_OVERHEAD_BYTES for m in left if type(m) is Message)


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = TokenBucket(rate=10.0, burst=5.0, now=0.0)
    assert [bucket.take(1, 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert not bucket.take(1, 0.05)
    assert bucket.take(1, 0.15)
    assert [bucket.take(1, 100.0) for _ in range(6)] == [True] * 5 + [False]


def test_a_bucket_survives_a_clock_that_stands_or_goes_back() -> None:
    bucket = TokenBucket(rate=10.0, burst=1.0, now=50.0)
    assert bucket.take(1, 50.0)
    assert not bucket.take(1, 49.0)
    assert not bucket.take(1, 49.05)
    assert bucket.take(1, 49.1), "from then on it fills as ever: an hour back is no hour of waiting"


def test_a_forced_bucket_says_how_long_the_debt_lasts() -> None:
    bucket = TokenBucket(rate=100.0, burst=50.0, now=0.0)
    assert bucket.force(50, 0.0) == 0.0
    assert bucket.force(200, 0.0) == 2.0
    assert bucket.force(0, 1.0) == 1.0
    assert bucket.force(0, 2.0) == 0.0


def test_a_score_halves_so_old_slips_are_forgotten() -> None:
    score = Score()
    assert score.add(80, 0.0) == 80
    assert score.at(SCORE_HALVES_SECONDS) == 40
    assert score.add(60, SCORE_HALVES_SECONDS) == MISBEHAVED_POINTS
    score.clear()
    assert score.at(SCORE_HALVES_SECONDS) == 0
