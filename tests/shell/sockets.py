"""Connections between validators without a socket: what ``network.connection`` is to the mesh, on virtual time.

One rule: a connection is TCP's. Bytes arrive in order, late, or the connection breaks; a partition holds them back, and
whoever does not read stops, in the end, whoever writes. The mesh above, with its handshakes, outboxes, deadlines and
scores, is the real one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from math import exp, log
from types import TracebackType
from typing import Any, Final, Self, cast

import aiohttp
from aiohttp import WSMessage, WSMsgType

from network.connection import WRITE_BUFFER_BYTES, Connection, DialFailed
from network.identity import Contexts
from network.limits import Limits
from network.mesh import Mesh
from network.tasks import start
from network.wire import NONCE_BYTES, PeerId
from tests.shell.loop import LIFE, VirtualLoop
from tests.simulation.network import Weather

FIRST_PORT: Final = 20_000
WINDOW_BYTES: Final = 4 * WRITE_BUFFER_BYTES  # sent and not read, in both processes and kernels: then writing waits
RETRY_SECONDS: Final = 1.0  # of a dial that nobody answers
DIALS_MAX: Final = 60
RESENT_SECONDS: Final = (0.2, 0.9)  # what a lost segment costs
BREAKS_SHARE: Final = 50  # one lost segment in so many breaks the connection: a middlebox, a cable
GAP_SECONDS: Final = 1e-6  # between two arrivals: nothing overtakes
LOST: Final = None  # the last word of a connection that breaks
Shape = Callable[[int, int], bool]  # (from, to) -> blocked


class Network:
    """All connections of a run, and the weather on them. Validators are known by index."""

    def __init__(self, loop: VirtualLoop, weather: Weather, size: int, bytes_per_second: Sequence[float]) -> None:
        """``bytes_per_second`` is what each validator's line takes, in each connection."""
        self.loop = loop
        self.size = size
        self.neutral: Context = copy_context()  # of nobody's life
        self.random = loop.random("network")
        self.sockets: list[Socket] = []
        self.unpowered: set[int] = set()  # a host without power says nothing, not even that nobody listens
        self.on_write: Callable[[int], None] = lambda _: None
        self._listeners: dict[int, _Listener] = {}
        self._weather = weather
        self._rates = bytes_per_second
        self._blocked: Shape = _open
        self._calm: frozenset[int] = frozenset()
        self._links = {  # they differ: some are three times slower than others
            (a, b): exp(self.random.uniform(-0.5, 0.5)) for a in range(size) for b in range(size)
        }

    # --- weather ---

    def heal(self, healed: frozenset[int]) -> None:
        """Between these validators the storm is over."""
        self._calm = healed
        self._release()

    def change_partition(self) -> None:
        """Draw who hears whom from now on."""
        self._blocked = self._draw_partition()
        self._release()

    def blocked(self, sender: int, receiver: int) -> bool:
        """Return whether nothing gets from one to the other now."""
        return not self._is_calm(sender, receiver) and self._blocked(sender, receiver)

    def delay(self, sender: int, receiver: int) -> float:
        """Draw how long something takes, in seconds."""
        random, weather = self.random, self._weather
        if self._is_calm(sender, receiver):
            return random.uniform(weather.calm_low_ms, weather.calm_ms) / 1e3
        if random.random() < weather.near_timeout:
            return random.choice(weather.timeouts_ms) * random.uniform(0.7, 1.3) / 1e3
        delay = exp(random.uniform(log(weather.low_ms), log(weather.high_ms))) / 1e3
        return max(0.001, delay * self._links[sender, receiver])

    def transfer_seconds(self, sender: int, receiver: int, size: int) -> float:
        """Return how long a line is busy with so many bytes."""
        return size / min(self._rates[sender], self._rates[receiver])

    def loses(self, sender: int, receiver: int) -> bool:
        """Draw whether a segment is lost."""
        share = self._weather.calm_loss if self._is_calm(sender, receiver) else self._weather.loss
        return bool(share) and self.random.random() < share

    def break_one(self, among: Sequence[int]) -> None:
        """Break a connection of one of these."""
        open_ones = [socket for socket in self.sockets if socket.is_open and socket.me in among]
        if open_ones:
            self.random.choice(open_ones).lose()

    def _is_calm(self, sender: int, receiver: int) -> bool:
        return sender in self._calm and receiver in self._calm

    def _release(self) -> None:
        self.sockets = [socket for socket in self.sockets if socket.is_open or socket.far.is_open]
        for socket in self.sockets:
            socket.lane.release()

    def _draw_partition(self) -> Shape:
        random, everyone = self.random, range(self.size)
        match random.choice(("none", "none", "halves", "isolate", "one-way", "pairs")):
            case "halves":
                side = frozenset(random.sample(everyone, self.size // 2))
                return lambda a, b: (a in side) != (b in side)
            case "isolate":
                alone = random.randrange(self.size)
                return lambda a, b: alone in (a, b)
            case "one-way":
                deaf = frozenset(random.sample(everyone, random.randint(1, max(1, self.size // 2))))
                return lambda a, b: b in deaf and a not in deaf
            case "pairs":
                cut = frozenset((a, b) for a in everyone for b in everyone if random.random() < 0.3)
                return lambda a, b: (a, b) in cut
            case _:
                return _open

    # --- hosts ---

    def cut_off(self, index: int, power_lost: bool) -> None:
        """A process is gone. Without power nobody hears of it; else its kernel ends its connections."""
        self._listeners.pop(index, None)
        if power_lost:
            self.unpowered.add(index)
        for socket in self.sockets:
            if socket.me == index and socket.is_open:
                socket.vanish(silently=power_lost)

    def power_on(self, index: int) -> None:
        """A host answers again, if only to say that it knows of no connection."""
        self.unpowered.discard(index)

    def listen(self, index: int, listener: "_Listener") -> None:
        self._listeners[index] = listener

    def listen_no_more(self, index: int, listener: "_Listener") -> None:
        if self._listeners.get(index) is listener:
            del self._listeners[index]

    async def dial(self, me: int, other: int, limits: Limits, ids: Sequence[PeerId]) -> "Socket":
        """Return our end of a new connection. Raises DialFailed, after a minute where nobody answers."""
        await asyncio.sleep(self.delay(me, other))
        for _ in range(DIALS_MAX):
            if other not in self.unpowered and not self.blocked(me, other) and not self.blocked(other, me):
                break
            await asyncio.sleep(RETRY_SECONDS)
        else:
            raise DialFailed("unreachable", "no answer")
        await asyncio.sleep(self.delay(other, me))
        listener = self._listeners.get(other)
        if listener is None:
            raise DialFailed("unreachable", "nobody listens")
        ours = Socket(self, me, other, ids[other], True, limits)
        theirs = Socket(self, other, me, ids[me], False, limits)
        ours.far, theirs.far = theirs, ours
        self.sockets += (ours, theirs)
        listener.arrive(theirs)
        return ours


def _open(_: int, __: int) -> bool:
    return False


class _Lane:
    """One direction of a connection: in order, delayed, held back by a partition."""

    def __init__(self, network: Network, source: "Socket") -> None:
        self._network = network
        self._source = source
        self._free_at = 0.0  # when the line has taken what was written before
        self._last_at = 0.0
        self._held: deque[WSMessage | None] = deque()
        self.is_dead = False  # something was lost: nothing that follows may arrive

    def put(self, message: WSMessage | None, size: int) -> None:
        if self.is_dead:
            return
        network, a, b = self._network, self._source.me, self._source.other
        now = network.loop.now()
        self._free_at = max(self._free_at, now) + network.transfer_seconds(a, b, size)
        delay = network.delay(a, b)
        if network.loses(a, b):
            if network.random.randrange(BREAKS_SHARE) == 0:
                self._source.lose()
                return
            delay += network.random.uniform(*RESENT_SECONDS)
        self._last_at = max(self._last_at + GAP_SECONDS, self._free_at + delay)
        network.loop.call_at(self._last_at, self._arrive, message, context=network.neutral)

    def release(self) -> None:
        """Let what a partition held back go on, if it is over; what follows goes behind it."""
        if self._held:
            network, a, b = self._network, self._source.me, self._source.other
            network.loop.call_later(network.delay(a, b), self._flush, context=network.neutral)

    def _flush(self) -> None:
        while self._held and not self.is_dead and not self._network.blocked(self._source.me, self._source.other):
            self._source.far.take(self._held.popleft())

    def _arrive(self, message: WSMessage | None) -> None:
        network, a, b = self._network, self._source.me, self._source.other
        if self.is_dead:
            return
        if self._held or network.blocked(a, b):
            self._held.append(message)
        else:
            self._source.far.take(message)


class Socket:
    """One end of a connection: what ``network.connection.Connection`` is."""

    def __init__(self, network: Network, me: int, other: int, peer: PeerId, dialled: bool, limits: Limits) -> None:
        self.me = me
        self.other = other
        self.peer = peer
        self.dialled = dialled
        self.closed = asyncio.Event()
        self.close_code: int | None = None
        self.is_open = True
        self.far: Socket
        self.lane = _Lane(network, self)
        self._network = network
        self._limits = limits
        self._inbox: deque[WSMessage] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._unread = 0  # bytes that we sent and the other process has not read
        self._moved = asyncio.Event()  # room to write, or the end

    def on_unread(self, ended: Callable[[], None]) -> None:
        """Messages are whole here: nothing comes beyond them."""

    def took(self, length: int) -> None:
        """See ``on_unread``."""

    async def receive(self) -> WSMessage:
        while not self._inbox:
            if not self.is_open:
                return WSMessage(WSMsgType.CLOSED, None, None)
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        message = self._inbox.popleft()
        if message.type is WSMsgType.CLOSE:
            self.close_code = message.data
            self._end(tell=True)
        else:
            self.far.has_been_read(len(message.data))
        return message

    async def send(self, data: bytes) -> None:
        await self._write(WSMsgType.BINARY, data)

    async def ping(self, data: bytes) -> None:
        await self._write(WSMsgType.PING, data)

    async def pong(self, data: bytes) -> None:
        await self._write(WSMsgType.PONG, data)

    async def close(self, code: int, reason: str) -> None:
        """Say why, if the peer listens for a while, and be gone."""
        if self.is_open:
            self.lane.put(WSMessage(WSMsgType.CLOSE, code, reason), len(reason))
            try:
                async with asyncio.timeout(self._limits.close_seconds):
                    while self.is_open:
                        self._moved.clear()
                        await self._moved.wait()
            except TimeoutError:
                pass
        self.abort()

    def abort(self) -> None:
        """Be gone at once."""
        self._end(tell=True)
        self.closed.set()

    # --- what the network does to it ---

    def take(self, message: WSMessage | None) -> None:
        """Something has arrived."""
        if not self.is_open:
            if self.me not in self._network.unpowered and message is not LOST:
                self.lane.put(LOST, 0)  # nobody here knows this connection
        elif message is LOST:
            self._end(tell=False)
        else:
            self._inbox.append(message)
            self._wake_reader()

    def has_been_read(self, size: int) -> None:
        """The other process took so many bytes."""
        self._unread -= size
        self._moved.set()

    def lose(self) -> None:
        """The connection breaks: each end finds out for itself."""
        self.lane.is_dead = self.far.lane.is_dead = True
        for end in (self, self.far):
            delay = self._network.delay(end.other, end.me)
            self._network.loop.call_later(delay, end.take_loss, context=self._network.neutral)

    def take_loss(self) -> None:
        if self.is_open:
            self._end(tell=False)

    def vanish(self, silently: bool) -> None:
        """Our process is gone, and the kernel says so, or nobody does."""
        self.is_open = False
        if not silently:
            self.lane.put(LOST, 0)

    async def _write(self, kind: WSMsgType, data: bytes) -> None:
        if not self.is_open:
            raise aiohttp.ClientConnectionResetError("closed")
        life = LIFE.get()
        self._network.on_write(self.me)
        if life is not None and not life.alive:
            await asyncio.get_running_loop().create_future()  # it ended just before this write
        self._unread += len(data)
        self.lane.put(WSMessage(kind, data, None), len(data))
        while self._unread > WINDOW_BYTES and self.is_open:
            self._moved.clear()
            await self._moved.wait()
        if not self.is_open:
            raise aiohttp.ClientConnectionResetError("lost")

    def _end(self, tell: bool) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if self.close_code is None:
            self.close_code = aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        if tell:
            self.lane.put(LOST, 0)
        self._wake_reader()
        self._moved.set()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class _Dialler:
    """Stands where ``network.connection.Dialler`` does."""

    def __init__(self, network: Network, me: int, limits: Limits, ids: Sequence[PeerId]) -> None:
        self._network = network
        self._me = me
        self._limits = limits
        self._ids = ids

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def dial(self, host: str, port: int, peer: PeerId, context: object) -> Connection:
        socket = await self._network.dial(self._me, port - FIRST_PORT, self._limits, self._ids)
        if socket.peer != peer:
            socket.abort()
            raise DialFailed("not_the_peer", "another answers there")
        return cast(Connection, socket)


class _Listener:
    """Stands where ``network.connection.Listener`` does."""

    def __init__(
        self, network: Network, me: int, on_connection: Callable[[Connection], Coroutine[Any, Any, None]]
    ) -> None:
        self._network = network
        self._me = me
        self._on_connection = on_connection
        self._arrived: asyncio.Queue[Socket] = asyncio.Queue()

    def bind(self, host: str, port: int) -> int:
        self._network.listen(self._me, self)
        return port

    def arrive(self, socket: Socket) -> None:
        self._arrived.put_nowait(socket)

    async def serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    start(tasks, self._on_connection(cast(Connection, await self._arrived.get())))
        finally:
            self._network.listen_no_more(self._me, self)
            while not self._arrived.empty():
                self._arrived.get_nowait().abort()


class ShellMesh(Mesh):
    """The mesh over these sockets. Who dials is who it says it is: TLS has tests of its own."""

    def __init__(
        self,
        network: Network,
        me: int,
        ids: Sequence[PeerId],
        on_sent: Callable[[int, bytes], None],
        on_blame: Callable[[PeerId, int, str], None],
        *arguments: Any,
        **named: Any,
    ) -> None:
        """``on_sent`` hears each message with its channel once, ``on_blame`` all that peers are blamed for."""
        super().__init__(*arguments, **named)
        self._dialler = cast(Any, _Dialler(network, me, self.limits, ids))
        self._listener = cast(Any, _Listener(network, me, self._on_arrival))
        self._nonce = network.random.randbytes(NONCE_BYTES)
        self._on_sent = on_sent
        self._on_blame = on_blame

    def send(self, peer: PeerId, channel: int, payload: bytes) -> bool:
        self._on_sent(channel, payload)
        return super().send(peer, channel, payload)

    def broadcast(self, channel: int, payload: bytes) -> None:
        self._on_sent(channel, payload)
        super().broadcast(channel, payload)

    def penalize(self, peer: PeerId, points: int, reason: str) -> None:
        self._on_blame(peer, points, reason)
        super().penalize(peer, points, reason)

    def queue_bytes(self) -> int:
        """Return what waits in all outboxes."""
        return sum(status.queue_bytes for status in self.peers())

    def _fresh_contexts(self) -> Contexts:
        return _NO_TLS


_NO_TLS: Final = Contexts(cast(Any, None), cast(Any, None))
