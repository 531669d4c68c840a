"""The load: calls over HTTP to local validators, as fast as answers come (closed loop) or at given times (open loop).

One rule: a latency is counted from when the call was meant to go out, and ends when the client knows that the call's
last transaction is final. An open loop's call that finds no connection free has been waiting since its time.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final
from urllib.parse import urlsplit

import msgspec

from devnet.bench.sign import Call
from node.client.transport import IDLE_SECONDS

CONNECTIONS_A_NODE_MAX: Final = 200  # a node takes 250 of one address
REPLY_SECONDS: Final = 75.0  # beyond the longest wait of a call
REPLY_HEAD_BYTES_MAX: Final = 16 * 1024
ARRIVALS_SEED: Final = 1
APPLIED: Final = "applied"


class _Refusal(msgspec.Struct):
    name: str


class _Item(msgspec.Struct):
    refused: _Refusal | None = None


class _Outcome(msgspec.Struct):
    status: str


class _Result(msgspec.Struct):
    items: list[_Item] = []
    outcome: _Outcome | None = None


class _ErrorData(msgspec.Struct):
    name: str = "unnamed"


class _Error(msgspec.Struct):
    message: str
    data: _ErrorData = msgspec.field(default_factory=_ErrorData)


class _Reply(msgspec.Struct):
    result: _Result | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(list[_Reply]).decode


@dataclass(slots=True)
class Tally:
    """What came of calls. ``samples``: when a call's last transaction was known to be final, and its latency in s."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # transactions by the name of the refusal
    outcomes: Counter[str] = field(default_factory=Counter)  # of the transactions waited for, by status
    failed_calls: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[float, float]] = field(default_factory=list)

    def latencies(self, low: float, high: float) -> list[float]:
        """Return the latencies of calls that were meant to go out in this time, however late they ended."""
        return [latency for at, latency in self.samples if low <= at - latency <= high]

    def take(self, reply: bytes, transactions: int) -> bool:
        """Note the reply to a request of so many transactions; return whether the last of them was applied."""
        try:
            many, last = _decode(reply)
        except (msgspec.DecodeError, ValueError):
            self.failed_calls[reply[:200].decode(errors="replace")] += 1
            return False
        if many.result is None:
            self.refused["unnamed" if many.error is None else many.error.data.name] += transactions - 1
        else:
            names = [item.refused.name for item in many.result.items if item.refused is not None]
            self.refused.update(names)
            self.accepted += len(many.result.items) - len(names)
        if last.result is None or last.result.outcome is None:
            self.refused["unnamed" if last.error is None else last.error.data.name] += 1
            return False
        self.accepted += 1
        self.outcomes[last.result.outcome.status] += 1
        return last.result.outcome.status == APPLIED


class Nodes:
    """Connections to validators, opened when needed and used again."""

    def __init__(self, urls: Sequence[str]) -> None:
        """``urls`` as http://127.0.0.1:port."""
        self._addresses = [(parts.hostname or "", parts.port or 0) for parts in map(urlsplit, urls)]
        self._idle: list[deque[_Connection]] = [deque() for _ in urls]
        self._room = [asyncio.Semaphore(CONNECTIONS_A_NODE_MAX) for _ in urls]

    def __len__(self) -> int:
        return len(self._addresses)

    async def post(self, node: int, request: bytes) -> bytes:
        """Return the body of the reply. Raises OSError, EOFError or TimeoutError."""
        async with self._connection(node) as connection, asyncio.timeout(REPLY_SECONDS):
            return await connection.post(request)

    @asynccontextmanager
    async def _connection(self, node: int) -> AsyncIterator["_Connection"]:
        async with self._room[node]:
            connection = self._take(node)
            if connection is None:
                host, port = self._addresses[node]
                connection = _Connection(*await asyncio.open_connection(host, port, limit=REPLY_HEAD_BYTES_MAX))
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle[node].append(connection)

    def _take(self, node: int) -> "_Connection | None":
        while self._idle[node]:
            connection = self._idle[node].pop()
            if connection.is_open():
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close all connections."""
        for idle in self._idle:
            while idle:
                idle.pop().close()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._used_at = 0.0

    def is_open(self) -> bool:
        fresh = asyncio.get_running_loop().time() - self._used_at < IDLE_SECONDS
        return fresh and not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        self._writer.close()

    async def post(self, request: bytes) -> bytes:
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, _, rest = head.partition(b"content-length:")
        body = await self._reader.readexactly(int(rest.partition(b"\r\n")[0]))
        self._used_at = asyncio.get_running_loop().time()
        return body


async def closed_loop(nodes: Nodes, calls: Iterator[Call], in_flight: int, tally: Tally, stop: asyncio.Event) -> None:
    """Keep ``in_flight`` calls open, spread over the nodes, until told to stop or out of calls; then await them."""

    async def caller(node: int) -> None:
        while not stop.is_set() and (call := next(calls, None)) is not None:
            await _call(nodes, node, call, asyncio.get_running_loop().time(), tally)
        stop.set()

    async with asyncio.TaskGroup() as tasks:
        for index in range(in_flight):
            tasks.create_task(caller(index % len(nodes)))


async def open_loop(
    nodes: Nodes, calls: Iterator[Call], calls_per_second: float, tally: Tally, stop: asyncio.Event
) -> None:
    """Send calls at times drawn as by people who do not know of each other, until told to stop; then await them."""
    loop = asyncio.get_running_loop()
    lot = Random(ARRIVALS_SEED)
    meant = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for index, call in enumerate(calls):
            meant += lot.expovariate(calls_per_second)
            await asyncio.sleep(max(0.0, meant - loop.time()))
            if stop.is_set():
                break
            tasks.create_task(_call(nodes, index % len(nodes), call, meant, tally))
    stop.set()


async def _call(nodes: Nodes, node: int, call: Call, meant: float, tally: Tally) -> None:
    """Make the requests of a call, each when the one before is final; all of them make one latency."""
    try:
        for request in call:
            if not tally.take(await nodes.post(node, request.data), request.transactions):
                return
    except (OSError, EOFError, TimeoutError) as error:
        tally.failed_calls[type(error).__name__] += 1
        return
    now = asyncio.get_running_loop().time()
    tally.samples.append((now, now - meant))
