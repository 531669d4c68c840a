"""HTTP: who may knock, how long we listen, and which status line goes out.

One rule: no stranger costs more than a bounded connection. Idle and half-sent requests are closed by the clock, bodies
and replies are bounded alone and together, and a reader that does not read is cut off. What a call means is in
methods.py.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, cast

import msgspec
import structlog
from aiohttp import web

from node.explorer.pages import headers_of, load_pages
from node.ledger.errors import LANGUAGES, Language
from node.rpc.access import Caller
from node.rpc.dispatch import Dispatcher, Observe
from node.rpc.errors import (
    FORBIDDEN,
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    NOT_FOUND,
    OVERLOADED,
    RATE_LIMITED,
    SYNCING,
    UNAUTHORIZED,
    RpcError,
)
from node.rpc.jsonrpc import BODY_BYTES_MAX, RETRY_AFTER_MS, Answer, Request, answer, failure
from node.rpc.ports import Ports
from node.rpc.room import Held, Room
from node.rpc.websocket import PROTOCOL, WebSockets

SHUTDOWN_SECONDS: Final = 2.0  # for calls under way when the node stops
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
DEVNET: Final = "devnet"
EXPLORER: Final = "/explorer/"
LINGER_SECONDS: Final = 1.0  # what still comes of a body is read past so long, else a reset would overtake our reply
JSON: Final = "application/json"
METRICS_SECONDS: Final = 1.0  # what was rendered is served for so long
METRICS_COST: Final = 5  # in calls: 100 kB, and 10 ms a second for the rendering
PAGE_COST: Final = 1  # of any other GET

TOKEN_PROTOCOL: Final = "som-token."  # before a token in Sec-WebSocket-Protocol: pages can set no other header

_STATUS: Final = {UNAUTHORIZED: 401, FORBIDDEN: 403, RATE_LIMITED: 429, OVERLOADED: 429, SYNCING: 503}

_log = structlog.get_logger("rpc")


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What strangers may use. The defaults fit an observer behind a proxy as well as a bank's own node."""

    connections_max: int = 500
    connections_per_address_max: int = 250  # one address never takes all; a proxy in front needs more
    body_seconds: float = 10.0  # for the whole body: aiohttp itself would wait for ever
    keepalive_seconds: float = 15.0  # also for a request line or headers that do not end
    write_seconds: float = 10.0  # for a reply that the caller does not read
    header_bytes_max: int = 8_190
    headers_max: int = 64
    bodies_bytes_max: int = 64 * 1024 * 1024  # of all bodies that came and are not answered: 16 of the largest
    bodies_per_address_bytes_max: int = 32 * 1024 * 1024
    replies_bytes_max: int = 64 * 1024 * 1024  # of all replies that are not sent
    replies_per_address_bytes_max: int = 32 * 1024 * 1024
    calls_per_second: int = 5_000  # per address; above what one core answers, so it binds only the greedy
    calls_burst: int = 10_000
    websockets_max: int = 100


class RpcServer:
    """Serves ``ports`` over HTTP. ``start``, then ``stop``; ``port`` is what was bound."""

    def __init__(
        self,
        ports: Ports,
        render_metrics: Callable[[], bytes],
        *,
        allowed_hosts: Collection[str] = (),
        limits: ServerLimits | None = None,
        observe: Observe | None = None,
    ) -> None:
        """``allowed_hosts`` are accepted in the Host header beside loopback names, without port."""
        self._ports = ports
        self._render_metrics = render_metrics
        self._limits = limits or ServerLimits()
        self._hosts = frozenset(name.lower() for name in (*LOOPBACK_NAMES, *allowed_hosts))
        self._dispatcher = Dispatcher(
            ports,
            self._limits.calls_per_second,
            self._limits.calls_burst,
            observe or (lambda method, outcome, seconds: None),
        )
        self._bodies = Room(self._limits.bodies_bytes_max, self._limits.bodies_per_address_bytes_max)
        self._replies = Room(self._limits.replies_bytes_max, self._limits.replies_per_address_bytes_max)
        self._websockets = WebSockets(
            ports,
            self._dispatcher,
            self._limits.websockets_max,
            self._limits.write_seconds,
            self._bodies,
            self._replies,
        )
        self._pages = load_pages()
        self._rendered: tuple[float, bytes] | None = None
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._local: asyncio.Server | None = None
        self._at_stop: list[Callable[[], Awaitable[None]]] = []

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Open connections, for metrics."""
        return 0 if self._runner is None or self._runner.server is None else len(self._runner.server.connections)

    @property
    def websockets(self) -> WebSockets:
        """The clients that are told events, for metrics."""
        return self._websockets

    @property
    def denied(self) -> Mapping[str, int]:
        """Refusals by name, for metrics."""
        return self._dispatcher.denied

    def at_stop(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Have ``stop`` wait for work that answers began."""
        self._at_stop.append(wait)

    async def start(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, local: socket.socket | None = None
    ) -> None:
        """Listen on ``host``:``port`` (0: any free port), and on ``local``, a Unix socket whose callers may do all.

        Raises OSError if the port is taken.
        """
        app = web.Application()
        app.add_routes(
            [
                web.post("/rpc", self._rpc),
                web.post("/", self._rpc),
                web.get("/ws", self._websocket),
                web.get("/healthz", self._health),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._metrics),
                web.get("/", self._to_explorer),
                web.get("/explorer", self._to_explorer),
                web.get(EXPLORER + "{path:.*}", self._explorer),
            ]
        )
        limits = self._limits
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,  # a caller that has gone waits for nothing
            keepalive_timeout=limits.keepalive_seconds,
            lingering_time=LINGER_SECONDS,
            max_line_size=limits.header_bytes_max,
            max_field_size=limits.header_bytes_max,
            max_headers=limits.headers_max,
            auto_decompress=False,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._door, host, port, ssl=tls, backlog=128)
        if local is not None:
            self._local = await loop.create_unix_server(self._door, sock=local)

    async def stop(self) -> None:
        """Stop listening, let calls under way end for SHUTDOWN_SECONDS, close everything. Safe to call twice."""
        for listener in (self._listener, self._local):
            if listener is not None:
                listener.close()
        await self._websockets.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        for wait in self._at_stop:
            await wait()

    # --- connections ---

    def _door(self) -> asyncio.Protocol:
        return _Door(self._admit)

    def _admit(self, transport: asyncio.Transport) -> asyncio.Protocol | None:
        """Return who serves a new connection; None if there is no room."""
        server = self._runner.server if self._runner else None
        if server is None:
            return None
        if _is_local(transport):
            return server()  # who can open the socket owns the node: strangers take no room from its operator
        if len(server.connections) >= self._limits.connections_max:
            return None
        address = _address(transport.get_extra_info("peername"))
        same = sum(1 for open_ in server.connections if _address(open_.peername) == address)
        return server() if same < self._limits.connections_per_address_max else None

    # --- requests ---

    async def _rpc(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return await self._send(request, refusal)
        if request.content_length is not None and request.content_length > BODY_BYTES_MAX:
            return await self._send(request, _too_large(request.content_length))
        address = _address_of(request)
        with self._bodies.hold(address) as body, self._replies.hold(address) as reply:
            return await self._send(request, await self._answered(request, body, reply))

    async def _answered(self, request: web.Request, held: Held, reply: Held) -> web.Response:
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await _read(request, held)
        except TimeoutError:
            return _plain(408, RpcError(INVALID_REQUEST, expected="the whole body in time"))
        except RpcError as error:
            return _too_large(None) if error.fault is LIMIT_EXCEEDED else _closing(_plain(503, error))
        except (web.HTTPException, ValueError):  # chunks that are none
            return _plain(400, RpcError(INVALID_REQUEST, expected="a body as HTTP says"))
        try:
            caller = self._caller(request)
        except RpcError as error:
            return _plain(401, error)

        async def call(called: Request) -> msgspec.Raw:
            return await self._dispatcher.call(called, caller)

        language = _language(request.headers.get("Accept-Language", ""))
        return _response(await answer(body, call, _crashed, language, reply.grow))

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        refusal = self._host_refusal(request) or self._page_refusal(request, PAGE_COST)
        if refusal is not None:
            return await self._send(request, refusal)
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            return await self._send(request, _plain(400, RpcError(INVALID_REQUEST, expected="a WebSocket")))
        if PROTOCOL not in (_offered(request.headers) or (PROTOCOL,)):  # aiohttp would log what is offered: a token
            error = RpcError(INVALID_REQUEST, path="Sec-WebSocket-Protocol", expected=PROTOCOL)
            return await self._send(request, _plain(400, error))
        try:
            self._caller(request)
            language = _language(request.headers.get("Accept-Language", ""))
            return await self._websockets.serve(request, lambda: self._caller(request), language)
        except RpcError as error:
            return await self._send(request, _plain(_status(error), error))

    def _caller(self, request: web.Request) -> Caller:
        """Return who calls. Raises RpcError (unauthorized) for a token that grants nothing."""
        address = _address_of(request)
        if address is None:
            return Caller("local", local=True)
        token = _token(request.headers)
        if token is None:
            return Caller(address)
        grant = self._ports.grant_of(token)
        if grant is None:
            self._dispatcher.denied[UNAUTHORIZED.name] += 1
            raise RpcError(UNAUTHORIZED, expected="a token that this node knows and that is not over")
        return Caller(address, grant)

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, _json(200, {"alive": True}))

    async def _ready(self, request: web.Request) -> web.StreamResponse:
        refusal = self._page_refusal(request, PAGE_COST)
        if refusal is not None:
            return await self._send(request, refusal)
        status = self._ports.status()
        body = {"ready": status.ready, "reasons": status.reasons, "height": status.height}
        return await self._send(request, _json(200 if status.ready else 503, body))

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        refusal = self._host_refusal(request) or self._page_refusal(request, METRICS_COST)
        if refusal is not None:
            return await self._send(request, refusal)
        now = asyncio.get_running_loop().time()
        if self._rendered is None or now >= self._rendered[0] + METRICS_SECONDS:
            self._rendered = now, self._render_metrics()
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return await self._send_page(request, web.Response(body=self._rendered[1], headers=headers))

    async def _to_explorer(self, request: web.Request) -> web.StreamResponse:
        refusal = self._host_refusal(request) or self._page_refusal(request, PAGE_COST)
        return await self._send(request, refusal or web.Response(status=302, headers={"Location": EXPLORER}))

    async def _explorer(self, request: web.Request) -> web.StreamResponse:
        refusal = self._host_refusal(request) or self._page_refusal(request, PAGE_COST)
        if refusal is not None:
            return await self._send(request, refusal)
        page = self._pages.get(request.match_info["path"])
        if page is None:
            return await self._send(request, _plain(404, RpcError(NOT_FOUND, path="path")))
        headers = headers_of(page, self._ports.network.kind == DEVNET)
        if request.headers.get("If-None-Match") == page.tag:
            return await self._send(request, web.Response(status=304, headers=headers))
        return await self._send_page(request, web.Response(body=page.body, headers=headers))

    def _refusal(self, request: web.Request) -> web.Response | None:
        refusal = self._host_refusal(request)
        if refusal is not None:
            return refusal
        if request.content_type != JSON:  # a form of a foreign page cannot set it without asking first
            return _plain(415, RpcError(INVALID_REQUEST, path="Content-Type", expected=JSON))
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return _plain(415, RpcError(INVALID_REQUEST, path="Content-Encoding", expected="identity"))
        return None

    def _host_refusal(self, request: web.Request) -> web.Response | None:
        if _host_name(request.headers.get("Host", "")) not in self._hosts:
            return _plain(403, RpcError(FORBIDDEN, path="Host", expected="a name of this node"))
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
            return _plain(403, RpcError(FORBIDDEN, path="Origin", expected="this node's own pages"))
        return None

    def _page_refusal(self, request: web.Request, cost: int) -> web.Response | None:
        address = _address_of(request)
        try:
            if address is not None:
                self._dispatcher.admit(address, cost)
        except RpcError as error:
            return _plain(429, error)
        return None

    async def _send_page(self, request: web.Request, response: web.Response) -> web.StreamResponse:
        with self._replies.hold(_address_of(request)) as reply:
            assert isinstance(response.body, bytes)
            if not reply.grow(len(response.body)):
                response = _plain(503, RpcError(OVERLOADED, retry_after_ms=RETRY_AFTER_MS))
            return await self._send(request, response)

    async def _send(self, request: web.Request, response: web.Response) -> web.StreamResponse:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        if response.status in (403, 408, 413, 415):
            response.force_close()  # what is left of the body is not worth reading
        try:
            async with asyncio.timeout(self._limits.write_seconds):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        return response


class _Door(asyncio.Protocol):
    """Hands a connection to HTTP, or says 503 and closes."""

    def __init__(self, admit: Callable[[asyncio.Transport], asyncio.Protocol | None]) -> None:
        self._admit = admit

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, base)  # uvloop's is one by its methods only
        served_by = self._admit(transport)
        if served_by is None:
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\r\n")
            transport.close()
            return
        transport.set_protocol(served_by)
        served_by.connection_made(transport)


def _is_local(transport: asyncio.BaseTransport) -> bool:
    return bool(transport.get_extra_info("socket").family == socket.AF_UNIX)


def _address_of(request: web.Request) -> str | None:
    """Return whom a request is counted for; None for the node's operator, who came by the socket in its home."""
    transport = request.transport
    if transport is not None and _is_local(transport):
        return None
    return _address(transport.get_extra_info("peername") if transport else None)


async def _read(request: web.Request, held: Held) -> bytes:
    """Return the body. Raises RpcError (limit_exceeded, overloaded), or what aiohttp does for chunks that are none."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        if len(body) + len(chunk) > BODY_BYTES_MAX:
            raise RpcError(LIMIT_EXCEEDED)
        if not held.grow(len(chunk)):
            raise RpcError(OVERLOADED, retry_after_ms=RETRY_AFTER_MS)
        body += chunk
    return bytes(body)


def _closing(response: web.Response) -> web.Response:
    response.force_close()  # what is left of the body is not worth reading
    return response


def _response(answered: Answer) -> web.Response:
    if answered.body is None:
        return web.Response(status=204)
    error = answered.error
    status = 400 if answered.malformed else 200 if error is None else _status(error)
    return _with_body(status, answered.body, error)


def _status(error: RpcError) -> int:
    """Return the status line of a lone call that was refused."""
    return _STATUS.get(error.fault, 200)


def _plain(status: int, error: RpcError) -> web.Response:
    return _with_body(status, failure(None, error, "en"), error)


def _too_large(size: int | None) -> web.Response:
    actual = None if size is None else str(size)
    return _plain(413, RpcError(LIMIT_EXCEEDED, expected=f"at most {BODY_BYTES_MAX} bytes", actual=actual))


def _with_body(status: int, body: bytes, error: RpcError | None) -> web.Response:
    response = web.Response(status=status, body=body, content_type=JSON)
    if error is not None and status in (429, 503):
        wait_ms = error.details.retry_after_ms or RETRY_AFTER_MS
        response.headers["Retry-After"] = str(-(-wait_ms // 1_000))
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _json(status: int, value: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type=JSON)


def _crashed(called: Request, error: Exception) -> None:
    _log.error("call_failed", method=called.method, exc_info=error)


def _token(headers: Mapping[str, str]) -> str | None:
    """Return the token that a request presents: in Authorization, or as a WebSocket's protocol."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    if kind:
        return token if kind.lower() == "bearer" and token.isascii() else ""  # no token has other characters
    for protocol in _offered(headers):
        if protocol.startswith(TOKEN_PROTOCOL):
            token = protocol.removeprefix(TOKEN_PROTOCOL)
            return token if token.isascii() else ""
    return None


def _offered(headers: Mapping[str, str]) -> list[str]:
    """Return the protocols that a WebSocket offers to speak."""
    offered = headers.get("Sec-WebSocket-Protocol")
    return [] if offered is None else [protocol.strip() for protocol in offered.split(",")]


def _address(peername: object) -> str:
    return str(peername[0]) if isinstance(peername, tuple) and peername else "local"


def _host_name(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def _language(accepted: str) -> Language:
    """Return the first of our languages that an Accept-Language header names."""
    for part in accepted[:256].lower().split(","):
        name = part.partition(";")[0].strip()[:2]
        for language in LANGUAGES:
            if name == language:
                return language
    return "en"
