"""WebSockets: the same methods as over HTTP, and events.

One rule: a client costs a bounded amount. What it does not read is waited for, for a while, and then it is closed with
the cursors to go on from; what it does not say for three heartbeats it says no more.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from aiohttp import WSMsgType, web

from node.ledger.errors import Language
from node.rpc.access import Caller
from node.rpc.dispatch import Dispatcher
from node.rpc.errors import OVERLOADED, SLOW_CONSUMER, STOPPING, UNAUTHORIZED, Fault, RpcError
from node.rpc.event_types import Closing
from node.rpc.jsonrpc import RETRY_AFTER_MS, Request, answer, failure
from node.rpc.ports import Ports
from node.rpc.room import Room
from node.rpc.subscriptions import HEARTBEAT_SECONDS, Subscriptions

PROTOCOL: Final = "som-rpc"  # of Sec-WebSocket-Protocol; a browser offers its token beside it, see server.py
MESSAGE_BYTES_MAX: Final = 1024 * 1024  # 1,000 transactions of the common 300 bytes are 600 kB in hex
UNSENT_BYTES_MAX: Final = 256 * 1024  # in the kernel; aiohttp and asyncio keep 64 KiB each
CALLS_AT_ONCE: Final = 8  # of one client; further messages wait in its socket
CLOSE_SECONDS: Final = 2.0  # for the last words to be read
SILENCE_SECONDS: Final = 3 * HEARTBEAT_SECONDS  # not even pongs: the client is gone
CLOSE_CODES: Final[dict[Fault, int]] = {UNAUTHORIZED: 4001, SLOW_CONSUMER: 4009, STOPPING: 1001}

_log = structlog.get_logger("rpc")
_encode = msgspec.json.Encoder().encode


class WebSockets:
    """The clients that are connected. ``events`` counts what was told to all."""

    def __init__(
        self,
        ports: Ports,
        dispatcher: Dispatcher,
        clients_max: int,
        write_seconds: float,
        bodies: Room,
        replies: Room,
    ) -> None:
        """``write_seconds``: how long a client may read nothing of what is sent to it."""
        self._ports = ports
        self._dispatcher = dispatcher
        self._clients_max = clients_max
        self._write_seconds = write_seconds
        self._bodies = bodies
        self._replies = replies
        self._clients: set[_Client] = set()
        self.events = 0
        self._slow = 0

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def slow(self) -> int:
        """Clients that were closed because they did not read."""
        return self._slow + sum(client.fault is SLOW_CONSUMER for client in self._clients)

    @property
    def subscriptions(self) -> int:
        """Of all clients."""
        return sum(len(client.subscriptions) for client in self._clients)

    async def serve(self, request: web.Request, who: Callable[[], Caller], language: Language) -> web.WebSocketResponse:
        """Serve a client until it goes. ``who`` looks it up anew, for tokens end. Raises RpcError (overloaded)."""
        if len(self._clients) >= self._clients_max:
            raise RpcError(OVERLOADED, expected=f"at most {self._clients_max} WebSockets")
        ws = web.WebSocketResponse(
            timeout=CLOSE_SECONDS, autoping=False, max_msg_size=MESSAGE_BYTES_MAX, protocols=(PROTOCOL,), compress=False
        )
        client = _Client(
            ws,
            self._ports,
            self._dispatcher,
            who,
            language,
            self._write_seconds,
            self._bodies,
            self._replies,
            self._told,
        )
        self._clients.add(client)
        if request.transport is not None:
            sending = request.transport.get_extra_info("socket")
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_BYTES_MAX)
        try:
            await ws.prepare(request)
            await client.run()
        finally:
            self._clients.discard(client)
            self._slow += client.fault is SLOW_CONSUMER
            if request.transport is not None and ws.prepared and not ws.closed:
                request.transport.abort()
        return ws

    def _told(self, method: str) -> None:
        self.events += method == "sub_event"

    async def stop(self) -> None:
        """Tell all that the node stops, and close."""
        for client in self._clients:
            client.end(STOPPING)


class _Client:
    def __init__(
        self,
        ws: web.WebSocketResponse,
        ports: Ports,
        dispatcher: Dispatcher,
        who: Callable[[], Caller],
        language: Language,
        write_seconds: float,
        bodies: Room,
        replies: Room,
        on_told: Callable[[str], None],
    ) -> None:
        self._ws = ws
        self._dispatcher = dispatcher
        self._who = who
        self._language = language
        self._write_seconds = write_seconds
        self._bodies = bodies
        self._replies = replies
        self._on_told = on_told
        self._writing = asyncio.Lock()
        self._room = asyncio.Semaphore(CALLS_AT_ONCE)
        self._calls: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.subscriptions = Subscriptions(ports, self._notify, self._failed)
        self.fault: Fault | None = None  # why we end it

    async def run(self) -> None:
        """Serve until the client goes, or we end it."""
        work = [asyncio.create_task(self._listen()), asyncio.create_task(self._beat())]
        for task in work:
            task.add_done_callback(self._done)
        try:
            await self._ended
            tasks = [*work, *self._calls]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.fault is not None:
                await self._say_why(self.fault)
        finally:
            for task in (*work, *self._calls):
                task.cancel()
            await self.subscriptions.close()

    def end(self, fault: Fault | None) -> None:
        """Have ``run`` come to its end."""
        if not self._ended.done():
            self.fault = fault
            self._ended.set_result(None)

    # --- hearing ---

    async def _listen(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    message = await self._ws.receive()
            except TimeoutError:
                return
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    data = message.data.encode() if isinstance(message.data, str) else message.data
                    await self._room.acquire()
                    call = asyncio.create_task(self._answer(data))
                    self._calls.add(call)
                    call.add_done_callback(self._answered)
                case WSMsgType.PING:
                    await self._write(lambda data=message.data: self._ws.pong(data))  # type: ignore[misc]
                case WSMsgType.PONG:
                    pass
                case _:  # closed, or no WebSocket any more: aiohttp has said why
                    return

    async def _answer(self, data: bytes) -> None:
        try:
            caller = self._who()
        except RpcError as error:
            self.end(error.fault)
            return

        begun: list[int] = []
        own = self.subscriptions.methods(begun)

        async def call(called: Request) -> msgspec.Raw:
            return await self._dispatcher.call(called, caller, own)

        address = None if caller.local else caller.address
        with self._bodies.hold(address) as body, self._replies.hold(address) as reply:
            if body.grow(len(data)):
                told = (await answer(data, call, _crashed, self._language, reply.grow)).body
            else:
                told = failure(None, RpcError(OVERLOADED, retry_after_ms=RETRY_AFTER_MS), self._language)
            if told is not None:
                text = told.decode()
                await self._write(lambda: self._ws.send_str(text))
        self.subscriptions.begin(begun)

    def _answered(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._room.release()
        self._done(call, ends=False)

    # --- telling ---

    async def _notify(self, method: str, params: msgspec.Struct) -> None:
        text = _encode({"jsonrpc": "2.0", "method": method, "params": params}).decode()
        await self._write(lambda: self._ws.send_str(text))
        self._on_told(method)

    async def _write(self, write: Callable[[], object]) -> None:
        """Write, and wait until the client has read enough. Raises TimeoutError, or OSError if it is gone."""
        async with asyncio.timeout(self._write_seconds), self._writing:
            await write()  # type: ignore[misc]

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self._who()
            await self._write(self._ws.ping)
            if len(self.subscriptions):
                await self.subscriptions.beat()

    async def _say_why(self, fault: Fault) -> None:
        closing = Closing(code=fault.code, name=fault.name, subscriptions=self.subscriptions.positions())
        text = _encode({"jsonrpc": "2.0", "method": "sub_closed", "params": closing}).decode()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._ws.send_str(text)
        except (TimeoutError, OSError):
            pass  # it stands in the socket, to be read before the end of the stream
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._ws.close(code=CLOSE_CODES[fault], message=fault.name.encode())
        except (TimeoutError, OSError):
            pass

    # --- ends ---

    def _done(self, task: asyncio.Task[None], ends: bool = True) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._failed(error)
        elif ends:
            self.end(None)

    def _failed(self, error: BaseException) -> None:
        match error:
            case RpcError():
                self.end(error.fault if error.fault in CLOSE_CODES else None)
            case TimeoutError():
                self.end(SLOW_CONSUMER)
            case OSError():
                self.end(None)
            case _:
                _log.error("subscription_failed", exc_info=error)
                self.end(None)


def _crashed(called: Request, error: Exception) -> None:
    _log.error("call_failed", method=called.method, exc_info=error)
