"""Frames: every frame survives the wire, and nothing else gets past the decoder."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consensus.encoding import encode
from network.wire import (
    BUNDLE,
    BUNDLE_BYTES_MAX,
    BUNDLE_FRAMES_MAX,
    FAILURE,
    HELLO_BYTES_MAX,
    OPAQUE_BYTES_MAX,
    REQUEST,
    WELCOME,
    Failure,
    FailureCode,
    Frame,
    Hello,
    Message,
    PeerId,
    Request,
    Response,
    Violation,
    WrongVersion,
    agreed_version,
    bundle_frame,
    decode_frames,
    decode_hello,
    failure_frame,
    hello_frame,
    is_welcome,
    message_frame,
    payload_table,
    request_frame,
    response_frame,
    welcome_frame,
)

TABLE = payload_table([(1, 64), (2, 4000), (0xEF, 100_000)], 128, 256)
U32 = st.integers(0, 2**32 - 1)

frames = st.one_of(
    st.builds(Message, st.just(1), st.binary(max_size=64)),
    st.builds(Message, st.just(2), st.binary(max_size=200)),
    st.builds(Request, U32, st.integers(0, 255), U32, st.binary(max_size=128)),
    st.builds(Response, U32, st.binary(max_size=256)),
    st.builds(Failure, U32, st.sampled_from(FailureCode)),
)
hellos = st.builds(
    Hello,
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32).map(PeerId),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**63 - 1),
    st.binary(max_size=OPAQUE_BYTES_MAX),
)


def encoded(frame: Frame) -> bytes:
    match frame:
        case Message(channel, payload):
            return message_frame(channel, payload)
        case Request(number, method, deadline_ms, payload):
            return request_frame(number, method, deadline_ms, payload)
        case Response(number, payload):
            return response_frame(number, payload)
        case Failure(number, code):
            return failure_frame(number, code)


@given(frames)
def test_a_frame_survives_the_wire(frame: Frame) -> None:
    assert decode_frames(encoded(frame), TABLE) == [frame]


@given(st.lists(frames, min_size=1, max_size=20))
def test_a_bundle_is_its_frames_in_order(several: list[Frame]) -> None:
    assert decode_frames(bundle_frame([encoded(frame) for frame in several]), TABLE) == several


@given(st.binary(max_size=600))
@example(bytes((BUNDLE,)))
@example(bytes((BUNDLE, 0)))
@example(bytes((BUNDLE, 0, 0)))
@example(bytes((BUNDLE, 0, 9, 1)))
@example(bytes((REQUEST, 0, 0, 0, 1)))
@example(bytes((FAILURE, 0, 0, 0, 1, 77)))
def test_bytes_of_a_stranger_are_frames_or_a_violation(data: bytes) -> None:
    try:
        several = decode_frames(data, TABLE)
    except Violation:
        return
    written = [encoded(frame) for frame in several]
    assert data == (bundle_frame(written) if data[0] == BUNDLE else written[0])


@given(st.lists(frames, min_size=1, max_size=5), st.data())
def test_a_damaged_bundle_is_frames_or_a_violation(several: list[Frame], data: st.DataObject) -> None:
    damaged = bytearray(bundle_frame([encoded(frame) for frame in several]))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode_frames(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]), TABLE)
    except Violation:
        pass


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "malformed"),
        (b"\x00", "unknown"),  # HELLO comes once, and not here
        (b"\x03", "unknown"),
        (bytes((WELCOME,)), "unknown"),
        (b"\xff", "unknown"),
        (message_frame(1, bytes(65)), "oversize"),
        (request_frame(1, 1, 1, bytes(129)), "oversize"),
        (response_frame(1, bytes(257)), "oversize"),
        (failure_frame(1, FailureCode.BUSY) + b"\x00", "oversize"),
        (bundle_frame([bundle_frame([message_frame(1, b"")])]), "unknown"),
        (bundle_frame([b""]), "malformed"),
        (bundle_frame([message_frame(1, bytes(65))]), "oversize"),
        (bytes((BUNDLE,)) + bytes(BUNDLE_BYTES_MAX), "oversize"),
        (bytes((BUNDLE,)) + b"\x00\x01\x01" * (BUNDLE_FRAMES_MAX + 1), "oversize"),
    ],
)
def test_a_frame_beyond_its_bounds_is_a_violation_of_its_kind(data: bytes, kind: str) -> None:
    with pytest.raises(Violation) as caught:
        decode_frames(data, TABLE)
    assert caught.value.kind == kind


def test_frames_at_their_bounds_pass() -> None:
    for frame in (Message(1, bytes(64)), Message(0xEF, bytes(100_000)), Request(1, 1, 1, bytes(128))):
        assert decode_frames(encoded(frame), TABLE) == [frame]
    full = [message_frame(1, b"")] * BUNDLE_FRAMES_MAX
    assert len(decode_frames(bundle_frame(full), TABLE)) == BUNDLE_FRAMES_MAX


@given(hellos)
def test_hello_survives_the_wire_and_is_small(hello: Hello) -> None:
    data = hello_frame(hello)
    assert decode_hello(data) == hello
    assert len(data) <= HELLO_BYTES_MAX


@given(st.binary(max_size=HELLO_BYTES_MAX + 10).flatmap(lambda tail: st.sampled_from([tail, b"\x00" + tail])))
def test_bytes_of_a_stranger_are_hello_or_a_violation(data: bytes) -> None:
    try:
        assert hello_frame(decode_hello(data)) == data
    except Violation:
        pass


@given(hellos, st.data())
def test_one_flipped_bit_in_hello_is_another_hello_or_a_violation(hello: Hello, data: st.DataObject) -> None:
    frame = bytearray(hello_frame(hello))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert decode_hello(bytes(frame)) != hello
    except Violation:
        pass


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (7,),
        (b"som-p2p",),
        (b"other", 1),
        (b"som-p2p", "1"),
        (b"som-p2p", 1, 1, b""),
        (b"som-p2p", 2, 1),
        (b"som-p2p", 0, 1),
    ],
)
def test_hello_of_another_shape_is_malformed(fields: tuple[object, ...]) -> None:
    with pytest.raises(Violation) as caught:
        decode_hello(b"\x00" + encode(fields))
    assert caught.value.kind == "malformed"


def test_a_hello_beyond_its_bounds_is_not_read() -> None:
    with pytest.raises(Violation) as caught:
        decode_hello(b"\x00" + bytes(HELLO_BYTES_MAX))
    assert caught.value.kind == "oversize"


def test_hello_of_another_version_is_told_from_a_broken_one_whatever_its_fields_are() -> None:
    with pytest.raises(WrongVersion):
        decode_hello(b"\x00" + encode((b"som-p2p", 2, 3, "fields", "of the", "future")))


def test_welcome_is_one_byte() -> None:
    assert is_welcome(welcome_frame())
    assert not is_welcome(welcome_frame() + b"\x00")
    assert not is_welcome(b"")


def test_channel_numbers_are_unique_and_in_range() -> None:
    for channels in ([(1, 10), (1, 10)], [(0, 10)], [(0xF0, 10)], [(1, 0)], [(1, 2**20 + 1)]):
        with pytest.raises(AssertionError):
            payload_table(channels, 1, 1)


@pytest.mark.parametrize(
    ("ours", "theirs", "agreed"),
    [
        (range(1, 2), range(1, 2), 1),
        (range(1, 3), range(1, 2), 1),  # N and N - 1
        (range(1, 3), range(2, 4), 2),
        (range(2, 4), range(2, 4), 3),
        (range(2, 4), range(1, 2), None),  # two apart
    ],
)
def test_a_link_has_the_newest_version_that_both_ends_speak(ours: range, theirs: range, agreed: int | None) -> None:
    assert agreed_version(ours, theirs) == agreed_version(theirs, ours) == agreed


def test_hello_of_newer_software_may_say_more_behind_what_we_know_and_ours_may_not() -> None:
    newer = (b"som-p2p", 1, 2, b"g" * 32, b"n" * 32, b"o" * 16, 5, b"", "more", 7)
    assert decode_hello(b"\x00" + encode(newer)).versions == range(1, 3)
    with pytest.raises(Violation) as caught:
        decode_hello(b"\x00" + encode((b"som-p2p", 1, 1, *newer[3:])))
    assert caught.value.kind == "malformed"
    with pytest.raises(Violation):
        decode_hello(b"\x00" + encode(newer), range(1, 3))
