"""One link: what we and a peer say to each other after the handshake, until one of us ends it.

One rule: a link harms nothing but itself. It reads within the peer's rates, writes from a bounded outbox in a task of
its own, and whatever the peer does wrong ends this link and no other. Only the node's own mistakes pass through.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, assert_never

import aiohttp
from aiohttp import WSMsgType

from consensus.encoding import DecodeError
from network.calls import FAILED, Calls
from network.calls import PeerError as PeerError  # what callbacks raise and requests end with, found beside Link too
from network.calls import RequestFailed as RequestFailed
from network.connection import Connection
from network.counters import ChannelCounters, MeshCounters
from network.handshake import Greeting, wall_ms
from network.limits import OVER_RATE_POINTS, POINTS, Channel, Limits, TokenBucket
from network.outbox import LaneSpec, Outbox
from network.wire import (
    REQUEST,
    CloseCode,
    Failure,
    Frame,
    Message,
    PeerId,
    Request,
    Response,
    Table,
    Violation,
    decode_frames,
)

READ_TURN_FRAMES: Final = 256  # frames read before others get a turn: a flood must not keep the loop
WRITE_TURN_BYTES: Final = 2**18  # and bytes written
OVER_RATE_SECONDS: Final = 1.0  # points for being over a rate are given once in so long
_PING = Struct(">QQ")  # monotonic microseconds and wall milliseconds of the sender


@dataclass(frozen=True, slots=True)
class Rules:
    """What all links of a mesh share: the channels, their limits, and who is told."""

    channels: tuple[Channel, ...]
    limits: Limits
    table: Table
    counters: MeshCounters
    channel_counters: dict[int, ChannelCounters]
    on_message: Callable[[PeerId, int, bytes], None]
    on_request: Callable[[PeerId, int, bytes], Awaitable[bytes]]
    penalize: Callable[[PeerId, int, str], None]


@dataclass(frozen=True, slots=True)
class End:
    """Why a link ended, and who ended it."""

    code: int
    reason: str
    by_peer: bool


class _Ended(Exception):
    """Ends the tasks of a link."""


class Link:
    """A connection on which both sides agreed. `run` serves it and returns when it is closed."""

    def __init__(
        self, connection: Connection, greeting: Greeting, rules: Rules, narrow_until: float, first: bytes | None
    ) -> None:
        """Take what HELLO told, and ``first``, a frame to write before all others."""
        loop = asyncio.get_running_loop()
        self.peer = connection.peer
        self.dialled = connection.dialled
        self.hello = greeting.hello
        self.version = greeting.version  # of the wire
        self.since = loop.time()
        self.since_wall_ms = wall_ms()
        self.rtt_ms: float | None = None
        self.clock_offset_ms = greeting.clock_offset_ms  # their wall clock less ours
        self.bytes_in = 0
        self.bytes_out = 0
        self._connection = connection
        self._first = first
        self._rules = rules
        self._loop = loop
        self._outbox = Outbox(_lanes(rules), rules.channel_counters)
        self._inlets = {channel.number: _Inlet(channel, self.since, narrow_until) for channel in rules.channels}
        limits = rules.limits
        self._bytes = TokenBucket(limits.link_bytes_per_second, limits.link_bytes_burst, self.since)
        self._messages = TokenBucket(limits.link_messages_per_second, limits.link_messages_burst, self.since)
        self.calls = Calls(
            self.peer,
            limits,
            rules.counters,
            rules.channel_counters[REQUEST],
            rules.on_request,
            put=lambda frame: self.send(REQUEST, frame),
            blame=lambda points, reason: rules.penalize(self.peer, points, reason),
            narrow_until=narrow_until,
        )
        self._heard = True
        self._ping_sent: bytes | None = None
        self._ping_due: bytes | None = None
        self._pong_due: bytes | None = None
        self._is_writing = False
        self._work = asyncio.Event()  # the writer has something to write
        self._end: asyncio.Future[End] = loop.create_future()
        connection.on_unread(self._on_unread)
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def is_open(self) -> bool:
        return not self._end.done()

    @property
    def queue_bytes(self) -> int:
        return self._outbox.size

    @property
    def dropped(self) -> int:
        return self._outbox.dropped

    async def run(self) -> End:
        """Serve the link until it ends. What the node's callbacks raise passes through, and ends the mesh."""
        parts = (self._read, self._write, self._beat, self._wait_for_end)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for part in parts:
                    self._tasks.create_task(part())
        except* _Ended:
            pass
        finally:
            self.end(CloseCode.GOING_AWAY, "shutting down")
            end = self._end.result()
            self.calls.fail_pending()
            # In a task of its own: until Python 3.11.3 a group whose member failed leaves its parent marked as
            # cancelled, and no deadline in the parent holds any more.
            await asyncio.create_task(self._hang_up(end))
        return end

    async def _hang_up(self, end: End) -> None:
        if self._is_writing:
            # A write was cut short, so the peer takes no bytes now. (And aiohttp keeps the cancelled future of who
            # waited: its next write gets a cancellation that nobody asked for.)
            self._connection.abort()
        else:
            await self._connection.close(end.code if not end.by_peer else CloseCode.GOING_AWAY, end.reason)

    def send(self, channel: int, frame: bytes) -> bool:
        """Queue a frame of a channel, or of a call. Return whether it was queued; it may still be lost."""
        return self.is_open and self._put(channel, frame)

    def end(self, code: int, reason: str, by_peer: bool = False) -> None:
        """End the link; the first reason is the one that counts."""
        if not self._end.done():
            self._end.set_result(End(code, reason, by_peer))

    # Writing

    def _put(self, lane: int, frame: bytes) -> bool:
        put = self._outbox.put(lane, frame)
        if put == "overflow":
            self.end(CloseCode.TOO_SLOW, "its outbox is full")
        self._work.set()
        return put == "queued"

    async def _write(self) -> None:
        """Write what waits. Small frames go out in bundles, so there is one write and one deadline for hundreds."""
        turn = 0
        if self._first is not None:
            await self._within_deadline(self._connection.send, self._first)
        while True:
            if not await self._write_control() and (data := self._outbox.take()) is not None:
                await self._within_deadline(self._connection.send, data)
                self.bytes_out += len(data)
                turn += len(data)
                if turn >= WRITE_TURN_BYTES:
                    turn = 0
                    await asyncio.sleep(0)
            elif not self._has_work():
                self._work.clear()
                await self._work.wait()

    def _has_work(self) -> bool:
        return self._outbox.size > 0 or self._ping_due is not None or self._pong_due is not None

    async def _write_control(self) -> bool:
        """Write a pong or ping that is due, ahead of everything else. Return whether there was one."""
        if self._pong_due is not None:
            due, self._pong_due = self._pong_due, None
            await self._within_deadline(self._connection.pong, due)
        elif self._ping_due is not None:
            due, self._ping_due = self._ping_due, None
            await self._within_deadline(self._connection.ping, due)
        else:
            return False
        return True

    async def _within_deadline(self, write: Callable[[bytes], Awaitable[None]], data: bytes) -> None:
        self._is_writing = True
        try:
            async with asyncio.timeout(self._rules.limits.write_seconds):
                await write(data)
            self._is_writing = False
        except TimeoutError:
            self.end(CloseCode.TOO_SLOW, "takes no bytes")
            raise _Ended from None
        except (OSError, aiohttp.ClientError) as error:
            self.end(CloseCode.GOING_AWAY, type(error).__name__, by_peer=True)
            raise _Ended from None

    async def _beat(self) -> None:
        """Ping, and end the link when several in a row bring nothing back."""
        limits, silent = self._rules.limits, 0
        while silent < limits.pings_unanswered_max:
            self._ping_sent = self._ping_due = _PING.pack(int(self._loop.time() * 1e6), wall_ms())
            self._work.set()
            await asyncio.sleep(limits.ping_seconds)
            silent = 0 if self._heard else silent + 1
            self._heard = False
        self.end(CloseCode.TIMEOUT, "silent")

    async def _wait_for_end(self) -> None:
        await asyncio.shield(self._end)
        raise _Ended

    # Reading

    async def _read(self) -> None:
        turn = 0
        while self.is_open:
            message = await self._connection.receive()
            self._heard = True
            try:
                pause = self._take(message)
            except Violation as violation:
                self._on_violation(violation, message.data)
                return
            turn += 1
            if pause > 0.0:
                await asyncio.sleep(min(pause, self._rules.limits.read_pause_seconds_max))
            elif turn >= READ_TURN_FRAMES:
                turn = 0
                await asyncio.sleep(0)

    def _take(self, message: Any) -> float:
        """Take one WebSocket message. Return the seconds to pause before the next. Raises Violation."""
        data = message.data
        self._connection.took(len(data) if isinstance(data, bytes | bytearray) else 0)
        if message.type is WSMsgType.BINARY:
            return self._take_frames(data)
        if message.type is WSMsgType.PING:
            self._take_ping(data)
        elif message.type is WSMsgType.PONG:
            self._take_pong(data)
        elif message.type is WSMsgType.ERROR:
            self._take_error(data)
        elif message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
            self._take_close(message)
        else:
            raise Violation("malformed", f"a {message.type.name} message")
        return self._messages.force(1, self._loop.time())

    def _take_frames(self, data: bytes | bytearray) -> float:
        data = bytes(data)  # no copy when it is bytes already; a message that came in fragments is a bytearray
        frames = decode_frames(data, self._rules.table)
        now = self._loop.time()
        self.bytes_in += len(data)
        for frame in frames:
            self._take_frame(frame, now)
            if self._end.done():
                break
        return max(self._bytes.force(len(data), now), self._messages.force(len(frames), now))

    def _take_frame(self, frame: Frame, now: float) -> None:
        match frame:
            case Message(channel, payload):
                self._take_message(channel, payload, now)
            case Request():
                assert self._tasks is not None
                self.calls.take_request(frame, now, self._tasks)
            case Response(number, payload):
                self.calls.take_answer(number, payload)
            case Failure(number, code):
                self.calls.take_answer(number, FAILED[code])
            case _:
                assert_never(frame)

    def _take_message(self, channel: int, payload: bytes, now: float) -> None:
        counters = self._rules.channel_counters[channel]
        counters.messages_in += 1
        counters.bytes_in += len(payload)
        inlet = self._inlets[channel]
        if not inlet.admits(len(payload), now):
            counters.over_rate += 1
            self._penalize_over_rate(inlet, now)
            return
        try:
            self._rules.on_message(self.peer, channel, payload)
        except (PeerError, DecodeError) as error:
            counters.invalid += 1
            self.calls.blame_for(error)

    def _penalize_over_rate(self, inlet: "_Inlet", now: float) -> None:
        """Give points for a flood, not for a burst. What comes on a closed lane is only dropped: it may not know."""
        if not inlet.is_narrow(now) and now - inlet.blamed_at >= OVER_RATE_SECONDS:
            inlet.blamed_at = now
            self._rules.penalize(self.peer, OVER_RATE_POINTS, f"over the rate of channel {inlet.name}")

    def _take_ping(self, data: bytes) -> None:
        if len(data) != _PING.size:
            raise Violation("malformed", f"a ping of {len(data)} bytes")
        self._pong_due = bytes(data)
        self._work.set()
        _, theirs_ms = _PING.unpack(data)
        self.clock_offset_ms = theirs_ms + int((self.rtt_ms or 0.0) / 2) - wall_ms()

    def _take_pong(self, data: bytes) -> None:
        if self._ping_sent is not None and data == self._ping_sent:
            sent_us, _ = _PING.unpack(data)
            self.rtt_ms = max(0.0, self._loop.time() * 1e3 - sent_us / 1e3)
            self._ping_sent = None

    def _take_error(self, error: BaseException) -> None:
        """Tell a peer that breaks WebSocket's rules, or our frame limit, from a connection that broke."""
        if isinstance(error, aiohttp.WebSocketError):
            is_oversize = error.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
            raise Violation("oversize" if is_oversize else "malformed", str(error))
        self.end(CloseCode.GOING_AWAY, type(error).__name__, by_peer=True)

    def _take_close(self, message: Any) -> None:
        code = self._connection.close_code
        self.end(code if code is not None else CloseCode.GOING_AWAY, "closed by the peer", by_peer=True)

    def _on_unread(self) -> None:
        if self.is_open:
            self._on_violation(Violation("malformed", "fragments without an end"), None)

    def _on_violation(self, violation: Violation, data: Any) -> None:
        self._rules.counters.violations[violation.kind] += 1
        sample = bytes(data[:32]).hex() if isinstance(data, bytes | bytearray) else ""
        self.end(CloseCode.VIOLATION, str(violation))
        self._rules.penalize(self.peer, POINTS[violation.kind], f"{violation} [{sample}]")


class _Inlet:
    """What a peer may still send us on one channel."""

    __slots__ = ("_bytes", "_messages", "_narrow", "_narrow_until", "blamed_at", "name")

    def __init__(self, channel: Channel, now: float, narrow_until: float) -> None:
        burst = channel.messages_burst
        bytes_burst = channel.bytes_burst
        self.name = channel.name
        self.blamed_at = float("-inf")
        self._messages = TokenBucket(
            channel.messages_per_second, 2 * channel.messages_per_second if burst is None else burst, now
        )
        self._bytes = TokenBucket(
            channel.bytes_per_second,
            max(2 * channel.bytes_per_second if bytes_burst is None else bytes_burst, channel.payload_bytes_max),
            now,
        )
        narrow = channel.narrow_messages_per_second
        self._narrow = TokenBucket(narrow, 2 * narrow, now)
        self._narrow_until = narrow_until

    def admits(self, length: int, now: float) -> bool:
        if self.is_narrow(now) and not self._narrow.take(1, now):
            return False
        return self._messages.take(1, now) and self._bytes.take(length, now)

    def is_narrow(self, now: float) -> bool:
        return now < self._narrow_until


def _lanes(rules: Rules) -> list[LaneSpec]:
    limits = rules.limits
    lanes = [
        LaneSpec(channel.number, channel.outbox_bytes_max, channel.priority, channel.on_full)
        for channel in rules.channels
    ]
    lanes.append(LaneSpec(REQUEST, limits.request_outbox_bytes_max, limits.request_priority, "drop_new"))
    return lanes
