"""One WebSocket under mutual TLS, from either end: dial, listen, and a face that hides which of the two it was.

One rule: nothing of a stranger's reaches HTTP. TLS is done, and the peer known, before aiohttp reads a byte; who is
slow, too many or unknown costs one of a bounded number of places for a bounded time.
"""

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp import web
from aiohttp.http_websocket import WebSocketWriter

from network.counters import MeshCounters
from network.identity import Contexts, Identity, NotAPeer
from network.limits import Limits, TokenBucket
from network.names import Resolver
from network.tasks import start
from network.wire import FRAME_BYTES_MAX, PeerId

PATH: Final = "/som-p2p/1"
# What may have come beyond whole messages: one that is on its way, and what is read ahead. Nobody honest sends
# fragments, and empty ones would cost a core and count as nothing.
UNREAD_BYTES_MAX: Final = 4 * FRAME_BYTES_MAX
HEADER_BYTES: Final = 14  # of a WebSocket frame, at the most
WRITE_BUFFER_BYTES: Final = 64 * 2**10  # in our process and again in the kernel: what a vote may have to wait behind
VISITORS_MAX: Final = 1024  # addresses whose rate is remembered
BACKLOG: Final = 128
ACCEPT_PAUSE_SECONDS: Final = 1.0  # when the system has no more sockets for us
CLOSE_REASON_BYTES_MAX: Final = 100  # a control frame carries 125 bytes at the most (RFC 6455, section 5.5)


class DialFailed(Exception):
    """No connection. ``kind`` is "unreachable", "not_the_peer" or "refused" (it spoke, but not our protocol)."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class _DialledSocket(aiohttp.ClientWebSocketResponse[Any]):
    """aiohttp's client side, with its transport in reach and a write buffer of our size."""

    def __init__(self, reader: Any, writer: WebSocketWriter, *args: Any, **kwargs: Any) -> None:
        self.transport = writer.transport
        writer = WebSocketWriter(writer.protocol, writer.transport, use_mask=True, limit=WRITE_BUFFER_BYTES)
        super().__init__(reader, writer, *args, **kwargs)

    def let_go(self) -> None:
        """Give up the HTTP connection below, which is gone: aiohttp complains of one that nobody closed."""
        self._response.close()


class Connection:
    """A WebSocket to ``peer``, whom TLS has proven. The methods of aiohttp that are hot are its own."""

    __slots__ = (
        "_close_seconds", "_socket", "_tap", "_transport", "_ws",
        "closed", "dialled", "peer", "ping", "pong", "receive", "send",
    )  # fmt: skip

    def __init__(
        self,
        ws: web.WebSocketResponse[Any] | _DialledSocket,
        transport: asyncio.WriteTransport,
        peer: PeerId,
        dialled: bool,
        close_seconds: float,
    ) -> None:
        self._ws = ws
        self._transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._close_seconds = close_seconds
        self.peer = peer
        self.dialled = dialled
        self.closed = asyncio.Event()
        self.receive: Callable[[], Awaitable[Any]] = ws.receive
        self.send: Callable[[bytes], Awaitable[None]] = ws.send_bytes
        self.ping: Callable[[bytes], Awaitable[None]] = ws.ping
        self.pong: Callable[[bytes], Awaitable[None]] = ws.pong
        _bound_buffers(transport)
        self._tap = _Tap(transport.get_protocol(), self.abort)
        transport.set_protocol(self._tap)

    def on_unread(self, ended: Callable[[], None]) -> None:
        """Have ``ended`` called, instead of being gone, when more than UNREAD_BYTES_MAX come beyond whole messages."""
        self._tap.ended = ended

    def took(self, length: int) -> None:
        """Count a whole message of so many bytes."""
        self._tap.allowed += length + HEADER_BYTES

    @property
    def close_code(self) -> int | None:
        return self._ws.close_code

    async def close(self, code: int, reason: str) -> None:
        """Say why, if the peer listens for ``close_seconds``, and be gone. Not while or after a write was cut short."""
        try:
            async with asyncio.timeout(self._close_seconds):
                await self._ws.close(code=code, message=reason.encode()[:CLOSE_REASON_BYTES_MAX])
        except (TimeoutError, OSError, aiohttp.ClientError):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Be gone at once."""
        try:
            self._transport.abort()
        except AttributeError:
            # Until Python 3.11.5 a TLS transport that is closing has let go of what it would abort. Its socket has not.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        if isinstance(self._ws, _DialledSocket):
            self._ws.let_go()
        self.closed.set()


class _Tap(asyncio.Protocol):
    """Between a transport and aiohttp: counts what comes, before anybody looks for messages in it."""

    def __init__(self, protocol: Any, ended: Callable[[], None]) -> None:
        self._protocol = protocol
        self._came = 0
        self.allowed = UNREAD_BYTES_MAX
        self.ended = ended

    def data_received(self, data: bytes) -> None:
        self._came += len(data)
        if self._came <= self.allowed:
            self._protocol.data_received(data)
        else:
            self.ended()

    def eof_received(self) -> bool | None:
        keeps: bool | None = self._protocol.eof_received()
        return keeps

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class Dialler:
    """Opens connections. An async context manager, for as long as any of them lives."""

    def __init__(self, identity: Identity, limits: Limits) -> None:
        self._identity = identity
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None
        self._resolver: Resolver | None = None

    async def __aenter__(self) -> Self:
        self._resolver = Resolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False, resolver=self._resolver),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            ws_response_class=_DialledSocket,
            middlewares=(_only_an_upgrade,),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        assert self._resolver is not None
        await self._session.close()
        await self._resolver.close()

    async def dial(self, host: str, port: int, peer: PeerId, context: ssl.SSLContext) -> Connection:
        """Return a connection to ``peer``. Raises DialFailed. The caller sets the deadline."""
        ws = await self._upgrade(f"wss://{f'[{host}]' if ':' in host else host}:{port}{PATH}", context)
        connection = Connection(ws, ws.transport, peer, True, self._limits.close_seconds)
        try:
            proven = self._identity.peer_of(ws.get_extra_info("ssl_object"))
            if proven != peer:
                raise NotAPeer(f"{proven.hex()[:8]} answers there")
        except NotAPeer as error:
            connection.abort()
            raise DialFailed("not_the_peer", str(error)) from None
        return connection

    async def _upgrade(self, url: str, context: ssl.SSLContext) -> _DialledSocket:
        assert self._session is not None
        try:
            ws = await self._session.ws_connect(
                url,
                ssl=context,
                compress=0,  # permessage-deflate makes a frame 15 times as dear
                autoping=False,
                max_msg_size=FRAME_BYTES_MAX,
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=self._limits.close_seconds),
            )
        except aiohttp.ClientConnectorCertificateError as error:
            raise DialFailed("not_the_peer", str(error.certificate_error)) from None
        except aiohttp.WSServerHandshakeError as error:
            raise DialFailed("refused", f"HTTP status {error.status}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise DialFailed("unreachable", f"{type(error).__name__}: {error}") from None
        assert isinstance(ws, _DialledSocket)
        return ws


class Listener:
    """Accepts connections. ``on_connection`` settles the handshake; whoever keeps the connection closes it later."""

    def __init__(
        self,
        identity: Identity,
        contexts: Callable[[], Contexts],
        on_connection: Callable[[Connection], Coroutine[Any, Any, None]],
        limits: Limits,
        counters: MeshCounters,
    ) -> None:
        self._identity = identity
        self._contexts = contexts
        self._on_connection = on_connection
        self._limits = limits
        self._counters = counters
        self._visitors: OrderedDict[str, _Visitor] = OrderedDict()
        self._arrivals: dict[object, asyncio.Event] = {}  # by protocol, until the handshake is settled
        self._socket: socket.socket | None = None
        self._tasks: asyncio.TaskGroup | None = None

    def bind(self, host: str, port: int) -> int:
        """Listen. Return the port, a free one if ``port`` is 0. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._socket.setblocking(False)
        bound: int = self._socket.getsockname()[1]
        return bound

    async def serve(self) -> None:
        """Accept until cancelled. Connections that were handed over are not closed here."""
        assert self._socket is not None
        server = _Server(self._upgrade, self._arrivals, access_log=None, keepalive_timeout=1.0, lingering_time=0.0)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                while True:
                    await self._accept(server, self._tasks)
        finally:
            self._tasks = None
            self._socket.close()
            await asyncio.create_task(server.shutdown(self._limits.close_seconds))

    async def _accept(self, server: "_Server", tasks: asyncio.TaskGroup) -> None:
        assert self._socket is not None
        await _readable(self._socket)
        try:
            # Not the loop's sock_accept: what it has accepted when it is cancelled is never closed.
            accepted, address = self._socket.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptors left, or the stranger is gone already
            await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
            return
        accepted.setblocking(False)
        visitor = self._admit(address[0])
        if visitor is None:
            self._counters.arrivals_refused["full"] += 1
            accepted.close()
            return
        visitor.arriving += 1
        unclaimed = [accepted]  # a task that is cancelled before it begins closes nothing
        arrival = tasks.create_task(self._arrive(server, unclaimed, visitor))
        arrival.add_done_callback(lambda _: _close_all(unclaimed))

    def _admit(self, ip: str) -> "_Visitor | None":
        """Return who comes, None when there is no place for it."""
        now = asyncio.get_running_loop().time()
        visitor = self._visitors.get(ip)
        if visitor is None:
            visitor = self._visitors[ip] = _Visitor(self._limits, now)
            if len(self._visitors) > VISITORS_MAX:
                self._forget_one()
        self._visitors.move_to_end(ip)
        is_full = len(self._arrivals) >= self._limits.handshakes_max
        is_crowding = visitor.arriving >= self._limits.handshakes_per_ip_max
        return None if is_full or is_crowding or not visitor.bucket.take(1, now) else visitor

    def _forget_one(self) -> None:
        idle = next(ip for ip, visitor in self._visitors.items() if visitor.arriving == 0)
        del self._visitors[idle]

    async def _arrive(self, server: "_Server", unclaimed: list[socket.socket], visitor: "_Visitor") -> None:
        """Hold a place until the handshake is settled, or its time is over."""
        accepted = unclaimed.pop()
        protocol = server()
        settled = self._arrivals[protocol] = asyncio.Event()
        transport: asyncio.WriteTransport | None = None
        try:
            async with asyncio.timeout(self._limits.handshake_seconds):
                transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: protocol,
                    accepted,
                    ssl=self._contexts().server,
                    ssl_handshake_timeout=self._limits.handshake_seconds,
                    ssl_shutdown_timeout=self._limits.close_seconds,
                )
                await settled.wait()
        except TimeoutError:
            self._refuse(transport, "deadline")
        except OSError:  # ssl.SSLError is one
            self._refuse(transport, "tls")
        finally:
            del self._arrivals[protocol]
            visitor.arriving -= 1

    def _refuse(self, transport: asyncio.WriteTransport | None, why: str) -> None:
        self._counters.arrivals_refused[why] += 1
        if transport is not None:
            transport.abort()

    async def _upgrade(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one HTTP request, which is an upgrade or nothing."""
        settled, transport = self._arrivals.get(request.protocol), request.transport
        if settled is None or transport is None or self._tasks is None or request.path != PATH:
            return web.Response(status=404)
        try:
            peer = self._identity.peer_of(transport.get_extra_info("ssl_object"))
        except NotAPeer:
            self._refuse(transport, "not_a_peer")
            return web.Response(status=403)
        ws: web.WebSocketResponse[Any] = web.WebSocketResponse(
            timeout=self._limits.close_seconds,
            compress=False,  # permessage-deflate makes a frame 15 times as dear
            autoping=False,
            max_msg_size=FRAME_BYTES_MAX,
            decode_text=False,
            writer_limit=WRITE_BUFFER_BYTES,
        )
        try:
            await ws.prepare(request)
        except ConnectionResetError:  # it dialled, and has gone: its other connection may have won
            return web.Response(status=400)
        connection = Connection(ws, transport, peer, False, self._limits.close_seconds)
        try:
            # In our group, not in aiohttp's task, which would log and swallow a mistake of ours.
            handshake = start(self._tasks, self._on_connection(connection))
            if handshake is not None:
                await asyncio.wait((handshake,))
                settled.set()
                await connection.closed.wait()
        finally:
            connection.abort()
        return ws


async def _readable(listening: socket.socket) -> None:
    """Return when somebody waits to be accepted."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(listening, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(listening)


def _close_all(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


class _Visitor:
    """What we remember of an address."""

    __slots__ = ("arriving", "bucket")

    def __init__(self, limits: Limits, now: float) -> None:
        self.arriving = 0
        self.bucket = TokenBucket(limits.handshakes_per_ip_per_second, limits.handshakes_per_ip_burst, now)


class _Server(web.Server):
    """aiohttp's server; a connection that is lost during the handshake gives its place back at once."""

    def __init__(self, handler: Any, arrivals: dict[object, asyncio.Event], **kwargs: Any) -> None:
        super().__init__(handler, **kwargs)
        self._arrivals = arrivals

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        settled = self._arrivals.get(handler)
        if settled is not None:
            settled.set()


async def _only_an_upgrade(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Answer 101 or nothing: a redirect would send us wherever the peer likes."""
    response = await handler(request)
    if response.status != 101:
        response.close()
        raise aiohttp.WSServerHandshakeError(
            response.request_info, response.history, status=response.status, message="no upgrade"
        )
    return response


def _bound_buffers(transport: asyncio.WriteTransport) -> None:
    """Keep little between the outbox and the wire: what is written can no longer be overtaken."""
    transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, WRITE_BUFFER_BYTES)
