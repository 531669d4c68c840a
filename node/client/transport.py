"""Calls to one of several nodes over HTTP: the next one is asked when one does not answer.

One rule: a call says what happened to it. NotReachable means that the node may or may not have carried it out.
"""

import io
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp
import msgspec

from node.client.errors import NotReachable, Refused, RequestFailed
from node.rpc.types import Result

CONNECT_SECONDS: Final = 5.0
REPLY_SECONDS: Final = 15.0  # beyond what the call itself waits for
REPLY_BYTES_MAX: Final = 64 * 1024 * 1024  # the largest page of decoded transactions is far below
IDLE_CONNECTIONS_MAX: Final = 16
IDLE_SECONDS: Final = 10.0  # a node ends what was idle for 15: who calls at that moment would get no reply

R = TypeVar("R", bound=msgspec.Struct)


class Error(msgspec.Struct, frozen=True):
    """The error of a reply."""

    code: int
    message: str
    data: dict[str, Any] = {}


class _Reply(msgspec.Struct, frozen=True):
    jsonrpc: str
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: Error | None = None


_decode = msgspec.json.Decoder(_Reply).decode


class Transport:
    """An HTTP session with nodes that serve the same network. Use it as an async context manager."""

    def __init__(
        self, urls: Sequence[str], language: str = "en", token: str | None = None, socket: str | None = None
    ) -> None:
        """``urls`` are tried in this order; each is the node's root, such as http://127.0.0.1:26657.

        ``token`` is presented with each call; ``socket`` is a Unix socket to use instead of the network.
        """
        if not urls:
            raise ValueError("at least one URL")
        self.urls = tuple(url.rstrip("/") for url in urls)
        self._preferred = 0
        self._language = language
        self._token = token
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None
        self._count = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=IDLE_CONNECTIONS_MAX, keepalive_timeout=IDLE_SECONDS)
            if self._socket is None
            else aiohttp.UnixConnector(self._socket, keepalive_timeout=IDLE_SECONDS),
            headers=self._headers(),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def preferred(self) -> str:
        """The node that answered last, and is asked first."""
        return self.urls[self._preferred]

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Language": self._language}
        return headers if self._token is None else {**headers, "Authorization": f"Bearer {self._token}"}

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session, for what is no call."""
        assert self._session is not None, "use it as a context manager"
        return self._session

    async def call(
        self, method: str, params: dict[str, Any], result: type[R], wait_seconds: float = 0.0, url: str | None = None
    ) -> R:
        """Return the result of one call to ``url``, or to the first node that answers and is not behind.

        Only for calls that may be made twice. Raises NotReachable, Refused or RequestFailed.
        """
        received = await self._raw(method, params, wait_seconds, url)
        try:
            return msgspec.json.decode(received, type=result)
        except msgspec.DecodeError as error:
            raise NotReachable(f"{method}: not a result of this method: {error}") from None

    async def raw(self, method: str, params: dict[str, Any]) -> msgspec.Raw:
        """As ``call``, with the result as JSON."""
        return await self._raw(method, params, 0.0, None)

    async def _raw(self, method: str, params: dict[str, Any], wait_seconds: float, url: str | None) -> msgspec.Raw:
        if url is not None:
            return await self._call(url, method, params, wait_seconds)
        failure: NotReachable | RequestFailed | None = None
        for step in range(len(self.urls)):
            index = (self._preferred + step) % len(self.urls)
            try:
                found = await self._call(self.urls[index], method, params, wait_seconds)
            except (NotReachable, RequestFailed) as error:
                if isinstance(error, RequestFailed) and not error.retryable:
                    raise
                failure = error
            else:
                self._preferred = index
                return found
        assert failure is not None
        raise failure

    async def _call(self, url: str, method: str, params: dict[str, Any], wait_seconds: float) -> msgspec.Raw:
        assert self._session is not None, "use it as a context manager"
        self._count += 1
        named = self._count
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": named, "method": method, "params": params})
        status, received = await self._post(url, body, wait_seconds)
        try:
            reply = _decode(received)
            if reply.error is not None:
                raise failure_of(reply.error)
            if reply.id != named or not bytes(reply.result):
                raise NotReachable(f"{url}: not the reply to the call")
            return reply.result
        except msgspec.DecodeError as error:
            raise NotReachable(f"{url}: HTTP {status}, no JSON-RPC reply: {error}") from None

    async def _post(self, url: str, body: bytes, wait_seconds: float) -> tuple[int, bytes]:
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=wait_seconds + REPLY_SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            async with self._session.post(
                f"{url}/rpc",
                data=io.BytesIO(body),  # as bytes a large body would be copied, with a warning
                headers={"Content-Type": "application/json"},
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                received = await response.content.read(REPLY_BYTES_MAX)
                while not response.content.at_eof():
                    received += await response.content.read(REPLY_BYTES_MAX)
                    if len(received) > REPLY_BYTES_MAX:
                        raise NotReachable(f"{url}: the reply is too large")
                return response.status, received
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotReachable(f"{url}: {type(error).__name__}: {error}") from None


def failure_of(error: Error) -> Refused | RequestFailed:
    name = str(error.data.get("name", "error"))
    if error.code > 0:
        tx_id = error.data.get("tx_id")
        return Refused(error.code, name, error.message, None if tx_id is None else str(tx_id))
    return RequestFailed(error.code, name, error.message, bool(error.data.get("retryable")), error.data)


def height_of(result: msgspec.Struct) -> int:
    """Return the height that a result is of; 0 if it says none."""
    return result.at_height if isinstance(result, Result) else 0
