"""All links: one with each peer of the allowlist, made and made again for as long as the mesh runs.

One rule: at most one link with a peer, and one side decides which. Both sides dial. After HELLO the peer with the
larger id says WELCOME on each connection that suits it, and the peer with the smaller id answers WELCOME on the one
that it takes: only that one becomes the link, on both sides, so two dials at once end in one link and no flapping. Who
dials again after a restart (another nonce), or long after the link was made, has lost its end, and gets a new link at
once.

Nobody is banned for good: who misbehaved is disconnected, kept out for some seconds, and comes back on the narrow
lane. A faulty client on a third of the validators must not become a partition.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from consensus.encoding import DecodeError
from network.calls import PeerError, RequestFailed
from network.connection import Connection, DialFailed, Dialler, Listener
from network.counters import ChannelCounters, MeshCounters
from network.handshake import Greeting, Refused, greet, wall_ms
from network.identity import Contexts, Identity
from network.limits import MISBEHAVED_POINTS, POINTS, Channel, Limits, Score
from network.outbox import FRAME_OVERHEAD_BYTES
from network.peer import Link, Rules
from network.tasks import start
from network.wire import (
    NONCE_BYTES,
    REQUEST,
    WIRE_VERSIONS,
    CloseCode,
    Hello,
    PeerId,
    Table,
    Violation,
    code_word,
    message_frame,
    payload_table,
    welcome_frame,
)

LOG_SECONDS: Final = 60.0  # the same complaint about the same peer is logged once in so long
COMPLAINTS_MAX: Final = 1024
HANDSHAKES_PER_PEER_MAX: Final = 2  # at once, inbound: one more than an honest peer needs
_LASTING: Final = frozenset(  # refusals that a quick retry does not heal
    (CloseCode.WRONG_CHAIN, CloseCode.WRONG_VERSION, CloseCode.WRONG_NODE, CloseCode.REFUSED, CloseCode.REMOVED)
)

log = structlog.get_logger("network")


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer listens, and what people call it. Without a host it is not dialled: it dials us."""

    peer: PeerId
    name: str
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What is known of a peer now. Bytes and drops are since the mesh was made; a score fades by half in 10 minutes."""

    peer: PeerId
    name: str
    host: str
    port: int
    connected: bool
    dialled: bool  # by us
    since_ms: int | None  # wall clock
    wire_version: int | None  # of the link
    rtt_ms: float | None
    clock_offset_ms: int | None  # their wall clock less ours, good to about one round trip
    bytes_in: int
    bytes_out: int
    queue_bytes: int
    dropped: int
    score: float
    narrow: bool  # on the narrow lane
    blocked_seconds: float  # until it is let in again, 0 if it is
    backoff_seconds: float  # about what we wait before the next dial
    last_error: str


class _Slot:
    """One peer of the allowlist: its address, its link if there is one, and its record."""

    __slots__ = (
        "address",
        "backoff",
        "blocked_seconds",
        "blocked_until",
        "bytes_in",
        "bytes_out",
        "dial",
        "dialler",
        "dropped",
        "last_error",
        "link",
        "narrow_until",
        "score",
        "shaking",
        "vacant",
    )

    def __init__(self, address: PeerAddress) -> None:
        self.address = address
        self.score = Score()
        self.link: Link | None = None
        self.dialler: asyncio.Task[None] | None = None
        self.dial: asyncio.Task[None] | None = None  # until it became a link
        self.vacant = asyncio.Event()  # there is no link
        self.vacant.set()
        self.backoff = 0.0
        self.shaking = 0
        self.blocked_seconds = 0.0
        self.blocked_until = float("-inf")
        self.narrow_until = float("-inf")
        self.bytes_in = 0  # of links that are over
        self.bytes_out = 0
        self.dropped = 0
        self.last_error = ""

    @property
    def open_link(self) -> Link | None:
        return self.link if self.link is not None and self.link.is_open else None


class Mesh:
    """The links with all peers. `run` does the work; the other methods never wait, but for `request`.

    ``hello`` gives what the node tells in each handshake (1 KiB at the most), ``on_hello`` gets what the peer told and
    raises PeerError or DecodeError to refuse it. ``on_message`` and ``on_request`` may raise the same two, which counts
    against the peer. Whatever else they raise is a mistake of ours and ends `run`.
    """

    def __init__(
        self,
        identity: Identity,
        addresses: Sequence[PeerAddress],
        listen_host: str,
        listen_port: int,
        channels: Sequence[Channel],
        hello: Callable[[], bytes],
        on_hello: Callable[[PeerId, bytes], None],
        on_message: Callable[[PeerId, int, bytes], None],
        on_request: Callable[[PeerId, int, bytes], Awaitable[bytes]],
        on_connected: Callable[[PeerId], None],
        on_disconnected: Callable[[PeerId], None],
        limits: Limits | None = None,
        versions: range = WIRE_VERSIONS,
    ) -> None:
        """Take our own entry in ``addresses``, if it is there, as no peer. ``listen_host`` is an IP address."""
        self.identity = identity
        self.limits = limits if limits is not None else Limits()
        self.started = asyncio.Event()  # listening; `port` is known
        self.port = listen_port
        self.counters = MeshCounters()
        self.channel_counters = {channel.number: ChannelCounters() for channel in channels}
        self.channel_counters[REQUEST] = ChannelCounters()
        self._listen_host = listen_host
        self._hello = hello
        self._on_hello = on_hello
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._nonce = os.urandom(NONCE_BYTES)
        self._versions = versions
        self._payload_max = {channel.number: channel.payload_bytes_max for channel in channels}
        self._rules = Rules(
            channels=tuple(channels),
            limits=self.limits,
            table=_table(channels, self.limits),
            counters=self.counters,
            channel_counters=self.channel_counters,
            on_message=on_message,
            on_request=on_request,
            penalize=self.penalize,
        )
        self._slots: dict[PeerId, _Slot] = {}
        self._contexts: Contexts | None = None
        self._contexts_made_at = 0.0
        self._dialler = Dialler(identity, self.limits)
        self._listener = Listener(identity, self._fresh_contexts, self._on_arrival, self.limits, self.counters)
        self._tasks: asyncio.TaskGroup | None = None
        self._complaints: dict[tuple[str, str], float] = {}
        _require_room(channels)
        self.set_addresses(addresses)

    async def run(self) -> None:
        """Listen, dial and serve until cancelled. Raises OSError if the address cannot be listened on."""
        self.port = self._listener.bind(self._listen_host, self.port)
        try:
            async with self._dialler, asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._listener.serve())
                for slot in self._slots.values():
                    self._start_dialling(slot)
                log.info("listening", port=self.port, peers=len(self._slots))
                self.started.set()
        finally:
            self._tasks = None
            self.started.clear()

    def send(self, peer: PeerId, channel: int, payload: bytes) -> bool:
        """Queue ``payload`` for ``peer``. Return False if there is no link, or no room for what is new."""
        assert len(payload) <= self._payload_max[channel]
        link = self._link(peer)
        return link is not None and link.send(channel, message_frame(channel, payload))

    def broadcast(self, channel: int, payload: bytes) -> None:
        """Queue ``payload`` for every connected peer; all queues share the bytes."""
        assert len(payload) <= self._payload_max[channel]
        frame = message_frame(channel, payload)
        for slot in self._slots.values():
            if slot.link is not None:
                slot.link.send(channel, frame)

    async def request(self, peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        """Return what the peer's on_request returned. Raises RequestFailed, after the deadline at the latest."""
        assert len(payload) <= self.limits.request_bytes_max
        link = self._link(peer)
        self.counters.requests_sent += 1
        try:
            if link is None:
                raise RequestFailed("not_connected")
            return await link.calls.request(method, payload, deadline_seconds)
        except RequestFailed as failed:
            self.counters.requests_failed[failed.reason] += 1
            raise

    def connected(self) -> list[PeerId]:
        return [peer for peer, slot in self._slots.items() if slot.open_link is not None]

    def peers(self) -> list[PeerStatus]:
        now = asyncio.get_running_loop().time()
        return [_status(slot, now) for slot in self._slots.values()]

    def penalize(self, peer: PeerId, points: int, reason: str) -> None:
        """Add to the score of ``peer``; at MISBEHAVED_POINTS it is disconnected, and comes back on the narrow lane.

        What is still read of what it sent before that counts no more: a burst is one misbehaviour.
        """
        slot = self._slots.get(peer)
        now = asyncio.get_running_loop().time()
        if slot is None or now < slot.blocked_until:
            return
        score = slot.score.add(points, now)
        slot.last_error = reason
        if score >= MISBEHAVED_POINTS:
            self._put_on_narrow_lane(slot, now, reason)
        else:
            self._complain(slot, "peer_erred", reason=reason, score=round(score))

    def disconnect(self, peer: PeerId) -> bool:
        """End the link with ``peer`` and return whether there was one; it may come back at once."""
        link = self._link(peer)
        if link is not None:
            link.end(CloseCode.GOING_AWAY, "by the operator")
        return link is not None

    def set_addresses(self, addresses: Sequence[PeerAddress]) -> None:
        """Set the allowlist: dial the new, end the links of the gone; a changed address holds from the next dial."""
        wanted = {address.peer: address for address in addresses if address.peer != self.identity.peer}
        assert len(wanted) <= self.limits.peers_max
        for peer in [peer for peer in self._slots if peer not in wanted]:
            self._remove(self._slots.pop(peer))
        for peer, address in wanted.items():
            slot = self._slots.setdefault(peer, _Slot(address))
            slot.address = address
            self._start_dialling(slot)
        self._contexts = None

    # The allowlist

    def _remove(self, slot: _Slot) -> None:
        for task in (slot.dialler, slot.dial):
            if task is not None:
                task.cancel()
        if slot.link is not None:
            link = slot.link
            link.end(CloseCode.REMOVED, "no longer a peer")
            self._vacate(slot, link)

    def _fresh_contexts(self) -> Contexts:
        now = asyncio.get_running_loop().time()
        if self._contexts is None or now - self._contexts_made_at > self.limits.context_seconds:
            self._contexts = self.identity.contexts(self._slots)
            self._contexts_made_at = now
        return self._contexts

    def _link(self, peer: PeerId) -> Link | None:
        slot = self._slots.get(peer)
        return None if slot is None else slot.open_link

    def _put_on_narrow_lane(self, slot: _Slot, now: float, reason: str) -> None:
        again = now < slot.narrow_until
        longer = 2 * slot.blocked_seconds if again else 0.0
        slot.blocked_seconds = min(max(longer, self.limits.block_seconds_min), self.limits.block_seconds_max)
        slot.blocked_until = now + slot.blocked_seconds
        slot.narrow_until = now + self.limits.narrow_seconds
        slot.score.clear()
        self.counters.penalties += 1
        log.warning("peer_misbehaved", peer=slot.address.name, reason=reason, blocked_seconds=slot.blocked_seconds)
        if slot.link is not None:
            slot.link.end(CloseCode.BLOCKED, reason)

    # Dialling

    def _start_dialling(self, slot: _Slot) -> None:
        if self._tasks is not None and slot.dialler is None and slot.address.host:
            slot.dialler = start(self._tasks, self._keep_dialling(slot))

    async def _keep_dialling(self, slot: _Slot) -> None:
        assert self._tasks is not None
        while True:
            await slot.vacant.wait()
            await asyncio.sleep(self._dial_delay(slot))
            if not slot.address.host:  # it had one
                slot.dialler = None
                return
            if slot.link is None:
                slot.dial = self._tasks.create_task(self._dial(slot))
                await asyncio.wait((slot.dial,))
                slot.dial = None

    def _dial_delay(self, slot: _Slot) -> float:
        """Return seconds: jittered, or a network that came up together would retry together."""
        head_start = self.limits.head_start_seconds if slot.address.peer < self.identity.peer else 0.0
        blocked = slot.blocked_until - asyncio.get_running_loop().time()
        return max(blocked, head_start + slot.backoff * random.uniform(0.5, 1.0))

    async def _dial(self, slot: _Slot) -> None:
        address = slot.address
        self.counters.dialled += 1
        try:
            async with asyncio.timeout(self.limits.handshake_seconds):
                connection = await self._dialler.dial(
                    address.host, address.port, address.peer, self._fresh_contexts().client
                )
        except TimeoutError:
            self._on_dial_failed(slot, "unreachable", "no answer")
        except DialFailed as failed:
            self._on_dial_failed(slot, failed.kind, str(failed))
        else:
            await self._shake_hands(slot, connection)

    def _on_dial_failed(self, slot: _Slot, kind: str, reason: str) -> None:
        self.counters.dials_failed[kind] += 1
        self._back_off(slot, lasting=kind != "unreachable")
        slot.last_error = reason
        self._complain(slot, "dial_failed", kind=kind, reason=reason)

    def _back_off(self, slot: _Slot, lasting: bool) -> None:
        limits = self.limits
        longer = min(max(2 * slot.backoff, limits.backoff_seconds_min), limits.backoff_seconds_max)
        slot.backoff = limits.backoff_refused_seconds if lasting else longer

    # The handshake

    async def _on_arrival(self, connection: Connection) -> None:
        self.counters.accepted += 1
        slot = self._slots.get(connection.peer)
        if slot is None:
            await connection.close(CloseCode.REMOVED, "no longer a peer")
        elif asyncio.get_running_loop().time() < slot.blocked_until:
            await connection.close(CloseCode.BLOCKED, "later")
        elif slot.shaking >= HANDSHAKES_PER_PEER_MAX:
            await connection.close(CloseCode.DUPLICATE, "too many at once")
        else:
            slot.shaking += 1
            try:
                await self._shake_hands(slot, connection)
            finally:
                slot.shaking -= 1

    async def _shake_hands(self, slot: _Slot, connection: Connection) -> None:
        """Make the connection a link, or close it."""
        try:
            async with asyncio.timeout(self.limits.handshake_seconds):
                await self._agree(slot, connection)
        except Refused as refused:
            await self._refuse(slot, connection, refused)
        except TimeoutError:
            await self._refuse(slot, connection, Refused(CloseCode.TIMEOUT, "handshake took too long"))
        except BaseException:
            connection.abort()
            raise

    async def _refuse(self, slot: _Slot, connection: Connection, refused: Refused) -> None:
        word = code_word(refused.code)
        self.counters.handshakes_refused[word] += 1
        if connection.dialled:
            self._back_off(slot, lasting=refused.code in _LASTING)
        if refused.code != CloseCode.DUPLICATE:
            slot.last_error = str(refused)
            self._complain(slot, "handshake_refused", kind=word, reason=str(refused), by_peer=refused.by_peer)
        await connection.close(refused.code if not refused.by_peer else CloseCode.GOING_AWAY, str(refused))

    async def _agree(self, slot: _Slot, connection: Connection) -> None:
        """Exchange HELLO and WELCOME, and install the link. Nothing happens between the last word and the link."""
        try:
            greeting = await greet(connection, self._our_hello(), lambda hello: self._admit_hello(slot, hello))
        except Violation as violation:
            self.counters.violations[violation.kind] += 1
            self.penalize(slot.address.peer, POINTS[violation.kind], str(violation))
            raise Refused(CloseCode.VIOLATION, str(violation)) from None
        is_ours_to_decide = self.identity.peer < slot.address.peer
        if is_ours_to_decide and self._is_second(slot, greeting.hello):
            raise Refused(CloseCode.DUPLICATE, "we have a link")
        self._install(slot, connection, greeting, welcome_frame() if is_ours_to_decide else None)

    def _our_hello(self) -> Hello:
        identity = self.identity
        nonce, opaque = self._nonce, self._hello()
        return Hello(identity.genesis_hash, identity.peer, nonce, wall_ms(), opaque, self._versions)

    def _admit_hello(self, slot: _Slot, hello: Hello) -> None:
        try:
            self._on_hello(slot.address.peer, hello.opaque)
        except (PeerError, DecodeError) as error:
            raise Refused(CloseCode.REFUSED, str(error)) from None

    def _is_second(self, slot: _Slot, hello: Hello) -> bool:
        """Return whether the peer has an end of the link that we have, as far as we can know."""
        link = slot.open_link
        if link is None or link.hello.nonce != hello.nonce:
            return False
        return asyncio.get_running_loop().time() - link.since < self.limits.stale_seconds

    # Links

    def _install(self, slot: _Slot, connection: Connection, greeting: Greeting, first: bytes | None) -> None:
        if self._tasks is None or self._slots.get(slot.address.peer) is not slot:
            raise Refused(CloseCode.REMOVED, "no longer a peer")
        link = Link(connection, greeting, self._rules, slot.narrow_until, first)
        task = start(self._tasks, self._run_link(slot, link))
        if task is None:
            raise Refused(CloseCode.GOING_AWAY, "shutting down")
        task.add_done_callback(lambda _: connection.abort())  # cancelled before it begins, it hangs up on nobody
        if slot.link is not None:
            old = slot.link
            old.end(CloseCode.REPLACED, "a newer connection")
            self._vacate(slot, old)
        if slot.dial is not None and slot.dial is not asyncio.current_task():
            slot.dial.cancel()
        slot.link = link
        slot.vacant.clear()
        self.counters.links_opened += 1
        log.info("connected", peer=slot.address.name, dialled=connection.dialled)
        self._on_connected(link.peer)

    async def _run_link(self, slot: _Slot, link: Link) -> None:
        try:
            end = await link.run()
            self.counters.links_closed[code_word(end.code)] += 1
            log.info("disconnected", peer=slot.address.name, code=end.code, reason=end.reason, by_peer=end.by_peer)
        finally:
            slot.bytes_in += link.bytes_in
            slot.bytes_out += link.bytes_out
            slot.dropped += link.dropped
            self._vacate(slot, link)

    def _vacate(self, slot: _Slot, link: Link) -> None:
        """Take ``link`` out of its slot, if it is still there, and tell."""
        if slot.link is not link:
            return
        slot.link = None
        if asyncio.get_running_loop().time() - link.since >= self.limits.steady_seconds:
            slot.backoff = 0.0
        else:
            self._back_off(slot, lasting=False)
        slot.vacant.set()
        self._on_disconnected(link.peer)

    def _complain(self, slot: _Slot, event: str, **fields: object) -> None:
        now = asyncio.get_running_loop().time()
        key = (slot.address.name, event)
        if now - self._complaints.get(key, float("-inf")) < LOG_SECONDS:
            return
        if len(self._complaints) >= COMPLAINTS_MAX:
            self._complaints.clear()
        self._complaints[key] = now
        log.warning(event, peer=slot.address.name, **fields)


def _status(slot: _Slot, now: float) -> PeerStatus:
    link = slot.open_link
    return PeerStatus(
        peer=slot.address.peer,
        name=slot.address.name,
        host=slot.address.host,
        port=slot.address.port,
        connected=link is not None,
        dialled=link is not None and link.dialled,
        since_ms=None if link is None else link.since_wall_ms,
        wire_version=None if link is None else link.version,
        rtt_ms=None if link is None else link.rtt_ms,
        clock_offset_ms=None if link is None else link.clock_offset_ms,
        bytes_in=slot.bytes_in + (0 if link is None else link.bytes_in),
        bytes_out=slot.bytes_out + (0 if link is None else link.bytes_out),
        queue_bytes=0 if link is None else link.queue_bytes,
        dropped=slot.dropped + (0 if link is None else link.dropped),
        score=slot.score.at(now),
        narrow=now < slot.narrow_until,
        blocked_seconds=max(0.0, slot.blocked_until - now),
        backoff_seconds=slot.backoff,
        last_error=slot.last_error,
    )


def _table(channels: Sequence[Channel], limits: Limits) -> Table:
    sizes = [(channel.number, channel.payload_bytes_max) for channel in channels]
    return payload_table(sizes, limits.request_bytes_max, limits.response_bytes_max)


def _require_room(channels: Sequence[Channel]) -> None:
    for channel in channels:
        largest = channel.payload_bytes_max + 1 + FRAME_OVERHEAD_BYTES
        assert channel.outbox_bytes_max >= largest, f"the outbox of {channel.name} holds not one message"
