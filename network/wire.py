"""Frames: what goes through a link, byte for byte, and HELLO, the first of them.

One rule: nothing here trusts a length. Each frame is checked against the limit of its own type before a payload is
copied, and whatever is wrong raises Violation, never another exception. Pure: no clock, no sockets.

A frame is one binary WebSocket message; its first byte is its type (docs/network.md, "Wire"; integers big-endian):

    00        HELLO     encode((magic, oldest, newest, genesis_hash, node, nonce, wall_ms, opaque)), once, first, each
                        way; oldest and newest are the wire versions of who speaks
    01 .. EF  message   payload; the type is the number of the channel
    F0        WELCOME   empty, second, each way: from the larger id "I would take this connection", then from the
                        smaller id "it is our link"
    F1        REQUEST   id u32, method u8, deadline_ms u32, payload
    F2        RESPONSE  id u32, payload
    F3        FAILURE   id u32, code u8
    F4        BUNDLE    1 .. 512 times (length u16, frame): small frames in one TLS record; no bundle inside a bundle
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final, Literal, NamedTuple, NewType, TypeAlias

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, encode

PeerId = NewType("PeerId", bytes)  # the 32-byte Ed25519 node public key

WIRE_VERSIONS: Final = range(1, 2)  # spoken here: the newest, and the one before it as soon as there is one
VERSION_MAX: Final = 2**16 - 1
HELLO_FIELDS: Final = 8  # for ever; what a later version says in HELLO comes after them
MAGIC: Final = b"som-p2p"
ID_BYTES: Final = 32
NONCE_BYTES: Final = 16
GENESIS_HASH_BYTES: Final = 32

HELLO: Final = 0x00
CHANNEL_MIN: Final = 0x01
CHANNEL_MAX: Final = 0xEF
WELCOME: Final = 0xF0
REQUEST: Final = 0xF1
RESPONSE: Final = 0xF2
FAILURE: Final = 0xF3
BUNDLE: Final = 0xF4

PAYLOAD_BYTES_MAX: Final = 2**20  # of any frame: 1 MiB blocks the loop for about 3 ms under TLS
FRAME_BYTES_MAX: Final = PAYLOAD_BYTES_MAX + 64  # with room for the largest header
OPAQUE_BYTES_MAX: Final = 1024  # what the node says in HELLO
HELLO_BYTES_MAX: Final = OPAQUE_BYTES_MAX + 160  # the fixed fields take 126 bytes at the most
BUNDLE_BYTES_MAX: Final = 2**16  # four TLS records: more saves nothing and delays a vote behind it
BUNDLE_FRAMES_MAX: Final = 512  # so that one bundle keeps the loop for a few milliseconds at the most
BUNDLED_FRAME_BYTES_MAX: Final = 4096  # larger frames pay for their own record
REQUEST_ID_MAX: Final = 2**32 - 1
DEADLINE_MS_MAX: Final = 2**32 - 1

_REQUEST = Struct(">BIBI")
_RESPONSE = Struct(">BI")
_FAILURE = Struct(">BIB")
_LENGTH = Struct(">H")

Kind = Literal["malformed", "oversize", "unknown", "unsolicited"]


class Violation(ValueError):
    """The peer sent what no honest peer sends. ``kind`` is counted; the link ends."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind: Kind = kind


class WrongVersion(Violation):
    """HELLO has no version of this wire in common with us."""


class FailureCode(IntEnum):
    """Why a request got no response."""

    BUSY = 1  # as many as this peer may have are being served: ask another, or later
    REFUSED = 2  # the request itself is wrong, or not answered for this peer
    DEADLINE = 3  # not ready in time


class CloseCode(IntEnum):
    """WebSocket close codes (RFC 6455, section 7.4: 4000-4999 are private)."""

    GOING_AWAY = 1001
    VIOLATION = 4000
    WRONG_CHAIN = 4001
    WRONG_VERSION = 4002
    WRONG_NODE = 4003
    DUPLICATE = 4004
    REFUSED = 4005
    BLOCKED = 4006
    REMOVED = 4007
    TIMEOUT = 4008
    TOO_SLOW = 4009
    REPLACED = 4010


def code_word(code: int) -> str:
    """Return a close code as a label; a code that is not ours is the peer's word, and no label."""
    try:
        return CloseCode(code).name.lower()
    except ValueError:
        return "lost"


class Message(NamedTuple):
    """Payload on a channel. (A NamedTuple: made for every frame, and half the price of a frozen dataclass.)"""

    channel: int
    payload: bytes


class Request(NamedTuple):
    request: int
    method: int
    deadline_ms: int
    payload: bytes


class Response(NamedTuple):
    request: int
    payload: bytes


class Failure(NamedTuple):
    request: int
    code: FailureCode


Frame: TypeAlias = Message | Request | Response | Failure


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks, on which chain. ``nonce`` is drawn once per run of a mesh: it tells a restart from a second dial."""

    genesis_hash: bytes
    node: PeerId
    nonce: bytes
    wall_ms: int
    opaque: bytes
    versions: range = WIRE_VERSIONS


# The largest payload by frame type, -1 for a type that may not come.
Table: TypeAlias = tuple[int, ...]


def payload_table(channels: Sequence[tuple[int, int]], request_bytes_max: int, response_bytes_max: int) -> Table:
    """Return the table for ``channels``, pairs of (number, payload_bytes_max)."""
    table = [-1] * 256
    for number, most in channels:
        assert CHANNEL_MIN <= number <= CHANNEL_MAX, "a channel's number is 1..239"
        assert table[number] == -1, "channel numbers are unique"
        assert 0 < most <= PAYLOAD_BYTES_MAX
        table[number] = most
    assert 0 < request_bytes_max <= PAYLOAD_BYTES_MAX
    assert 0 < response_bytes_max <= PAYLOAD_BYTES_MAX
    table[REQUEST] = request_bytes_max
    table[RESPONSE] = response_bytes_max
    table[FAILURE] = 0
    return tuple(table)


def decode_frames(data: bytes, table: Table) -> list[Frame]:
    """Return the frames of one WebSocket message, at least one. Raises Violation."""
    if data and data[0] == BUNDLE:
        return _decode_bundle(data, table)
    return [_decode_frame(data, table)]


def message_frame(channel: int, payload: bytes) -> bytes:
    return channel.to_bytes(1, "big") + payload


def request_frame(request: int, method: int, deadline_ms: int, payload: bytes) -> bytes:
    return _REQUEST.pack(REQUEST, request, method, deadline_ms) + payload


def response_frame(request: int, payload: bytes) -> bytes:
    return _RESPONSE.pack(RESPONSE, request) + payload


def failure_frame(request: int, code: FailureCode) -> bytes:
    return _FAILURE.pack(FAILURE, request, code)


def welcome_frame() -> bytes:
    return bytes((WELCOME,))


def bundle_frame(frames: Sequence[bytes]) -> bytes:
    """Return one frame that carries ``frames``, each of BUNDLED_FRAME_BYTES_MAX at the most."""
    assert 0 < len(frames) <= BUNDLE_FRAMES_MAX
    parts = [bytes((BUNDLE,))]
    for frame in frames:
        parts.append(_LENGTH.pack(len(frame)))
        parts.append(frame)
    return b"".join(parts)


def hello_frame(hello: Hello) -> bytes:
    assert len(hello.opaque) <= OPAQUE_BYTES_MAX
    versions = (hello.versions[0], hello.versions[-1])
    fields = (MAGIC, *versions, hello.genesis_hash, hello.node, hello.nonce, hello.wall_ms, hello.opaque)
    return bytes((HELLO,)) + encode(fields)


def agreed_version(ours: range, theirs: range) -> int | None:
    """Return the newest version that both speak, which is that of the link; None if there is none."""
    newest = min(ours[-1], theirs[-1])
    return newest if newest in ours and newest in theirs else None


def decode_hello(data: bytes, ours: range = WIRE_VERSIONS) -> Hello:
    """Return HELLO. Raises WrongVersion, before it looks at the other fields, if there is no common version."""
    if len(data) > HELLO_BYTES_MAX:
        raise Violation("oversize", f"HELLO of {len(data)} bytes")
    if not data or data[0] != HELLO:
        raise Violation("malformed", "the first frame is not HELLO")
    try:
        fields = as_tuple(decode(data[1:]), most=16)
        if fields[:1] != (MAGIC,) or len(fields) < 3:
            raise DecodeError("no magic")
        oldest = as_int(fields[1], 1, VERSION_MAX)
        theirs = range(oldest, as_int(fields[2], oldest, VERSION_MAX) + 1)
        if agreed_version(ours, theirs) is None:
            raise WrongVersion("unknown", f"wire versions {oldest} to {theirs[-1]}, ours are {ours[0]} to {ours[-1]}")
        known = fields[:HELLO_FIELDS] if theirs[-1] > ours[-1] else fields
        _, _, _, genesis_hash, node, nonce, wall_ms, opaque = as_tuple(known, length=HELLO_FIELDS)
        return Hello(
            as_bytes(genesis_hash, GENESIS_HASH_BYTES),
            PeerId(as_bytes(node, ID_BYTES)),
            as_bytes(nonce, NONCE_BYTES),
            as_int(wall_ms),
            as_bytes(opaque, most=OPAQUE_BYTES_MAX),
            theirs,
        )
    except DecodeError as error:
        raise Violation("malformed", f"HELLO: {error}") from None


def is_welcome(data: bytes) -> bool:
    return len(data) == 1 and data[0] == WELCOME


def _decode_frame(data: bytes, table: Table) -> Frame:
    if not data:
        raise Violation("malformed", "an empty frame")
    kind = data[0]
    most = table[kind]
    if most < 0:
        raise Violation("unknown", f"frame type {kind:#04x}")
    if kind <= CHANNEL_MAX:
        _require_fits(kind, len(data) - 1, most)
        return Message(kind, data[1:])
    return _decode_call(kind, data, most)


def _decode_call(kind: int, data: bytes, most: int) -> Request | Response | Failure:
    shape = {REQUEST: _REQUEST, RESPONSE: _RESPONSE, FAILURE: _FAILURE}[kind]
    if len(data) < shape.size:
        raise Violation("malformed", f"frame type {kind:#04x} of {len(data)} bytes")
    _require_fits(kind, len(data) - shape.size, most)
    fields = shape.unpack_from(data)
    if kind == REQUEST:
        return Request(fields[1], fields[2], fields[3], data[shape.size :])
    if kind == RESPONSE:
        return Response(fields[1], data[shape.size :])
    try:
        return Failure(fields[1], FailureCode(fields[2]))
    except ValueError:
        raise Violation("malformed", f"failure code {fields[2]}") from None


def _decode_bundle(data: bytes, table: Table) -> list[Frame]:
    if len(data) > BUNDLE_BYTES_MAX:
        raise Violation("oversize", f"a bundle of {len(data)} bytes")
    frames: list[Frame] = []
    at, end = 1, len(data)
    while at < end:
        if len(frames) == BUNDLE_FRAMES_MAX:
            raise Violation("oversize", f"more than {BUNDLE_FRAMES_MAX} frames in a bundle")
        if end - at < _LENGTH.size:
            raise Violation("malformed", "a bundle ends inside a length")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length > end - at:
            raise Violation("malformed", "a bundle ends inside a frame")
        frames.append(_decode_frame(data[at : at + length], table))
        at += length
    if not frames:
        raise Violation("malformed", "an empty bundle")
    return frames


def _require_fits(kind: int, length: int, most: int) -> None:
    if length > most:
        raise Violation("oversize", f"frame type {kind:#04x} with {length} bytes of payload, {most} at the most")
