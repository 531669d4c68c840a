"""Events of one subscription, for ever: over whichever node answers, from the cursor of the last one that was yielded.

One rule: an event is yielded once and in its order. What a connection took with it, the next one replays.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

import aiohttp
import msgspec

from node.client.errors import NotReachable, ProofInvalid, RequestFailed
from node.client.transport import CONNECT_SECONDS, Error, Transport, failure_of
from node.rpc.event_types import Event, SubscribeResult
from node.rpc.types import GetInfoResult

PATIENCE_SECONDS: Final = 60.0  # without any node that answers
SILENCE_SECONDS: Final = 45.0  # three heartbeats: the connection is dead
PAUSES_SECONDS: Final = (0.0, 0.2, 0.5, 1.0, 2.0)
MESSAGE_BYTES_MAX: Final = 32 * 1024 * 1024  # the largest block whole, with its receipts, has half of it


class _Message(msgspec.Struct, frozen=True):
    id: int | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: Error | None = None


_decode = msgspec.json.Decoder(_Message).decode


class _Broken(Exception):
    """The connection is over; another one goes on."""


class Feed:
    """One subscription. ``genesis_hash`` is the network that is expected, if one is."""

    def __init__(
        self,
        transport: Transport,
        genesis_hash: bytes | None,
        params: dict[str, Any],
        entitled: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
        begun: Callable[[], object],
    ) -> None:
        """``entitled`` adds to params what proves that we may ask, each time anew; ``begun`` hears of beginnings."""
        self._transport = transport
        self._genesis_hash = genesis_hash
        self._params = params
        self._entitled = entitled
        self._begun = begun
        self._cursor: str | None = None
        self._answered = False  # a node has, since the last try

    async def events(self, cursor: str | None) -> AsyncGenerator[Event, None]:
        """Yield events from ``cursor`` or from now on. Raises RequestFailed, NotReachable, ProofInvalid."""
        self._cursor = cursor
        loop = asyncio.get_running_loop()
        tries, alive_at = 0, loop.time()
        while True:
            url = self._transport.urls[tries % len(self._transport.urls)]
            self._answered = False
            failure: Exception | None = None
            try:
                async with contextlib.aclosing(self._connected(url)) as events:
                    async for event in events:
                        self._cursor = event.cursor
                        yield event
            except (_Broken, aiohttp.ClientError, OSError, TimeoutError) as error:
                failure = error
            except RequestFailed as error:
                if not error.retryable:
                    raise
                failure = error
            if self._answered:
                tries, alive_at = 0 if len(self._transport.urls) == 1 else 1, loop.time()
            elif loop.time() - alive_at > PATIENCE_SECONDS:
                raise NotReachable(f"{url}: {type(failure).__name__}: {failure}")
            await asyncio.sleep(PAUSES_SECONDS[min(tries // len(self._transport.urls), len(PAUSES_SECONDS) - 1)])
            tries += 1

    async def _connected(self, url: str) -> AsyncGenerator[Event, None]:
        timeout = aiohttp.ClientWSTimeout(ws_close=CONNECT_SECONDS)
        async with asyncio.timeout(2 * CONNECT_SECONDS):
            ws = await self._transport.session.ws_connect(
                f"{url}/ws", protocols=("som-rpc",), max_msg_size=MESSAGE_BYTES_MAX, timeout=timeout
            )
        async with ws:
            if self._genesis_hash is not None:
                info = msgspec.json.decode(await _call(ws, 1, "chain_getInfo", {}), type=GetInfoResult)
                if bytes.fromhex(info.genesis_hash) != self._genesis_hash:
                    raise ProofInvalid("the node serves another network")
            params = await self._entitled(self._params)
            if self._cursor is not None:
                params = {**params, "from_cursor": self._cursor}
            begun = msgspec.json.decode(await _call(ws, 2, "sub_subscribe", params), type=SubscribeResult)
            self._cursor = begun.cursor  # what comes from here on is ours, be the next connection another one
            self._answered = True
            self._begun()
            while True:
                message = await _next(ws)
                if message.method == "sub_event":
                    yield msgspec.json.decode(message.params, type=Event)


async def _call(ws: aiohttp.ClientWebSocketResponse, number: int, method: str, params: dict[str, Any]) -> msgspec.Raw:
    text = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).decode()
    await ws.send_str(text)
    while True:
        message = await _next(ws)
        if message.id == number:
            if message.error is not None:
                raise failure_of(message.error)
            return message.result


async def _next(ws: aiohttp.ClientWebSocketResponse) -> _Message:
    async with asyncio.timeout(SILENCE_SECONDS):
        message = await ws.receive()
    if message.type is not aiohttp.WSMsgType.TEXT:
        raise _Broken(f"closed with {ws.close_code}")
    try:
        return _decode(message.data)
    except msgspec.DecodeError as error:
        raise _Broken(str(error)) from None
