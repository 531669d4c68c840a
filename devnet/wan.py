"""Distance between validators on one machine: TCP proxies that hold every byte back for a while.

One rule: what arrives is what was sent, in order, later. Nothing is lost on the way: that is the business of TCP below
us, and of the simulator, which loses messages too. A link may be cut, and then carries nothing until it is healed.

    python -m devnet.wan --delay-ms 80 --jitter-ms 5 --links 10001:26600,10002:26601

With --commands it reads lines from the standard input: `cut 10001,10002`, `heal 10001,10002`.
"""

import argparse
import asyncio
import signal
import sys
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

LOOPBACK: Final = "127.0.0.1"
CHUNK_BYTES: Final = 64 * 1024
IN_FLIGHT_BYTES_MAX: Final = 16 * 2**20  # of one direction: 1.6 Gbit/s at 80 ms; then the sender has to wait
CONNECT_SECONDS: Final = 5.0
DELAY_MS_MAX: Final = 5_000
JITTER_SEED: Final = 1
READY: Final = "ready"  # said on the standard output once all links listen


@dataclass(frozen=True, slots=True)
class Delay:
    """One way, as a packet would need; a byte is held back for ``ms`` and up to ``jitter_ms`` more."""

    ms: float
    jitter_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """Who dials ``listen`` gets to ``target``; both are ports of the loopback interface."""

    listen: int
    target: int


class Pipe:
    """One direction: bytes in, the same bytes out, none before its time and none before another that came before it."""

    def __init__(self, delay: Delay, lot: Random, now: Callable[[], float]) -> None:
        """``now`` is in seconds; ``lot`` draws the jitter."""
        self._delay = delay
        self._lot = lot
        self._now = now
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._last_due = 0.0
        self._bytes = 0
        self._changed = asyncio.Event()

    def put(self, data: bytes) -> None:
        """Take what came; no bytes say that no more will."""
        jitter_ms = self._lot.uniform(0.0, self._delay.jitter_ms)
        self._last_due = max(self._last_due, self._now() + (self._delay.ms + jitter_ms) / 1_000)
        self._waiting.append((self._last_due, data))
        self._bytes += len(data)
        self._changed.set()

    async def room(self) -> None:
        """Return when more may be taken."""
        while self._bytes >= IN_FLIGHT_BYTES_MAX:
            self._changed.clear()
            await self._changed.wait()

    async def get(self) -> bytes:
        """Return what is due next, once it is; no bytes at the end."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        due, data = self._waiting[0]
        await asyncio.sleep(max(0.0, due - self._now()))
        self._waiting.popleft()
        self._bytes -= len(data)
        self._changed.set()
        return data


class Proxy:
    """All links. ``start`` listens on them; ``close`` ends all."""

    def __init__(self, links: Sequence[Link], delay: Delay) -> None:
        self._links = links
        self._delay = delay
        self._lot = Random(JITTER_SEED)
        self._servers: list[asyncio.Server] = []
        self._serving: dict[asyncio.Task[None], Link] = {}
        self._cut: frozenset[int] = frozenset()

    async def start(self) -> None:
        """Listen. Raises OSError if a port is taken."""
        for link in self._links:
            self._servers.append(await asyncio.start_server(self._server_of(link), LOOPBACK, link.listen))

    async def close(self) -> None:
        """Stop listening and cut what is connected."""
        for server in self._servers:
            server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self, ports: Collection[int]) -> None:
        """Let nothing through the links that are dialled at these ports, until they are healed."""
        self._cut |= frozenset(ports)
        for task, link in self._serving.items():
            if link.listen in self._cut:
                task.cancel()

    def heal(self, ports: Collection[int]) -> None:
        """Let connections through again; who was cut off dials anew."""
        self._cut -= frozenset(ports)

    def _server_of(self, link: Link) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if link.listen in self._cut:
                writer.transport.abort()
                return
            task = asyncio.get_running_loop().create_task(self._serve(link, reader, writer))
            self._serving[task] = link
            task.add_done_callback(self._serving.pop)

        return serve

    async def _serve(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, both ways, until both have ended or one breaks."""
        writers = [writer]
        try:
            await asyncio.sleep(self._delay.ms / 1_000)  # a connection is there after a round trip, not at once
            async with asyncio.timeout(CONNECT_SECONDS):
                there, back = await asyncio.open_connection(LOOPBACK, link.target)
            writers.append(back)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._carry(reader, back))
                tasks.create_task(self._carry(there, writer))
        except* (OSError, TimeoutError):
            pass  # who dialled sees its connection end, as it would without us
        finally:
            for each in writers:
                each.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = Pipe(self._delay, self._lot, asyncio.get_running_loop().time)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_fill(pipe, reader))
            tasks.create_task(_drain(pipe, writer))


async def _fill(pipe: Pipe, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(CHUNK_BYTES):
        pipe.put(data)
        await pipe.room()
    pipe.put(b"")


async def _drain(pipe: Pipe, writer: asyncio.StreamWriter) -> None:
    while data := await pipe.get():
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def parse_links(text: str) -> list[Link]:
    """Return the links that ``listen:target,listen:target`` names. Raises ValueError."""
    links = []
    for pair in text.split(","):
        listen, _, target = pair.partition(":")
        links.append(Link(_port(listen), _port(target)))
    return links


def format_links(links: Sequence[Link]) -> str:
    """Return the text that ``parse_links`` reads."""
    return ",".join(f"{link.listen}:{link.target}" for link in links)


def obey(proxy: Proxy, line: str) -> None:
    """Do what a line of the standard input says. Raises ValueError."""
    word, _, ports = line.strip().partition(" ")
    act = {"cut": proxy.cut, "heal": proxy.heal}.get(word)
    if act is None:
        raise ValueError(f"{word!r} is no command: cut, heal")
    act([_port(each) for each in ports.split(",")])


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65_535:
        raise ValueError(f"{text!r} is no port")
    return int(text)


async def _listen(proxy: Proxy) -> None:
    """Obey the standard input to its end."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            obey(proxy, line.decode(errors="replace"))
        except ValueError as error:
            print(f"wan: {error}", file=sys.stderr)


async def run(links: Sequence[Link], delay: Delay, commands: bool = False) -> None:
    """Carry until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    proxy = Proxy(links, delay)
    listening = asyncio.create_task(_listen(proxy)) if commands else None
    try:
        await proxy.start()
        print(READY, flush=True)
        await stop.wait()
    finally:
        if listening is not None:
            listening.cancel()
        await proxy.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devnet.wan", description="Delay what goes through TCP links.")
    parser.add_argument("--delay-ms", type=float, required=True, help=f"one way, up to {DELAY_MS_MAX}")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="up to so much more, drawn for each read")
    parser.add_argument("--links", required=True, help="listen:target,listen:target,... ports of 127.0.0.1")
    parser.add_argument("--commands", action="store_true", help="cut and heal links as the standard input says")
    given = parser.parse_args(arguments)
    for value in (given.delay_ms, given.jitter_ms):
        if not 0 <= value <= DELAY_MS_MAX:
            parser.error(f"a delay is 0 to {DELAY_MS_MAX} ms")
    try:
        asyncio.run(run(parse_links(given.links), Delay(given.delay_ms, given.jitter_ms), given.commands))
    except (OSError, ValueError) as error:
        print(f"wan: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
