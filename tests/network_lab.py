"""What the tests of network/ share: meshes that run, peers that speak the wire by hand, and a line that can be cut."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, Final

import aiohttp

from network.connection import PATH
from network.identity import Identity
from network.limits import Channel, Limits
from network.mesh import Mesh, PeerAddress, PeerStatus
from network.wire import (
    NONCE_BYTES,
    WIRE_VERSIONS,
    CloseCode,
    Hello,
    PeerId,
    decode_hello,
    hello_frame,
    is_welcome,
    welcome_frame,
)

CHAIN: Final = "som-test"
GENESIS: Final = sha256(b"genesis").digest()
VOTES: Final = Channel(1, "votes", 512, 64 * 2**10, 0, "drop_oldest", 1e5, 1e8, narrow_messages_per_second=20)
BATCHES: Final = Channel(2, "batches", 128 * 2**10, 2**20, 1, "drop_new", 1e5, 1e9)
STRICT: Final = Channel(3, "strict", 128 * 2**10, 2**20, 2, "disconnect", 1e5, 1e9)
CHANNELS: Final = (VOTES, BATCHES, STRICT)
PATIENCE_SECONDS: Final = 15.0  # a test fails after so long; none waits for it


def identity(number: int, chain: str = CHAIN, genesis_hash: bytes = GENESIS) -> Identity:
    return Identity(sha256(b"node %d" % number).digest(), chain, genesis_hash)


def identities(count: int) -> list[Identity]:
    """Return ``count`` identities, the smallest id first: the first of two decides about their link."""
    return sorted((identity(number) for number in range(count)), key=lambda one: one.peer)


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until ``holds()`` is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 (conditions of several meshes have no one event)
            await asyncio.sleep(0.002)


class Node:
    """A mesh and what it told its node."""

    def __init__(
        self,
        who: Identity,
        limits: Limits | None = None,
        channels: Sequence[Channel] = CHANNELS,
        port: int = 0,
        versions: range = WIRE_VERSIONS,
    ) -> None:
        self.identity = who
        self.peer = who.peer
        self.received: list[tuple[PeerId, int, bytes]] = []
        self.hellos: list[tuple[PeerId, bytes]] = []
        self.connected: list[PeerId] = []
        self.disconnected: list[PeerId] = []
        self.answer: Callable[[PeerId, int, bytes], Awaitable[bytes]] = self._echo
        self.take: Callable[[PeerId, int, bytes], None] = lambda peer, channel, payload: None
        self.meet: Callable[[PeerId, bytes], None] = lambda peer, opaque: None
        self.mesh = Mesh(
            who,
            [],
            "127.0.0.1",
            port,
            channels,
            lambda: b"hello from " + who.peer[:4],
            self._on_hello,
            self._on_message,
            lambda peer, method, payload: self.answer(peer, method, payload),
            self.connected.append,
            self.disconnected.append,
            limits=limits,
            versions=versions,
        )

    def address(self, port: int | None = None) -> PeerAddress:
        return PeerAddress(self.peer, self.peer.hex()[:4], "127.0.0.1", self.mesh.port if port is None else port)

    def status(self, peer: PeerId) -> PeerStatus:
        return next(status for status in self.mesh.peers() if status.peer == peer)

    def has_link(self, peer: PeerId) -> bool:
        return peer in self.mesh.connected()

    def _on_hello(self, peer: PeerId, opaque: bytes) -> None:
        self.hellos.append((peer, opaque))
        self.meet(peer, opaque)

    def _on_message(self, peer: PeerId, channel: int, payload: bytes) -> None:
        self.take(peer, channel, payload)
        self.received.append((peer, channel, payload))

    async def _echo(self, peer: PeerId, method: int, payload: bytes) -> bytes:
        return bytes((method,)) + payload


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    """Run the meshes, which do not know each other yet. What they raise is raised here."""
    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(node.mesh.run()) for node in nodes]
        try:
            for node in nodes:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await node.mesh.started.wait()
            yield
        finally:
            for run in runs:
                run.cancel()


def introduce(*nodes: Node) -> None:
    """Let each know all the others."""
    addresses = [node.address() for node in nodes]
    for node in nodes:
        node.mesh.set_addresses(addresses)


async def connect(*nodes: Node) -> None:
    introduce(*nodes)
    await eventually(lambda: all(len(node.mesh.connected()) == len(nodes) - 1 for node in nodes))


class ByHand:
    """A peer that speaks the wire by hand, over real TLS with its own identity."""

    def __init__(self, who: Identity, ws: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self.identity = who
        self.peer = who.peer
        self.ws = ws

    def hello(self, **changes: Any) -> Hello:
        fields: dict[str, Any] = {
            "genesis_hash": GENESIS,
            "node": self.peer,
            "nonce": self.peer[:NONCE_BYTES],
            "wall_ms": 1_800_000_000_000,
            "opaque": b"by hand",
        }
        return Hello(**(fields | changes))

    async def greet(self) -> Hello:
        """Do the handshake, whoever decides. Return the other side's HELLO."""
        await self.ws.send_bytes(hello_frame(self.hello()))
        theirs = decode_hello(await self.frame())
        if self.peer < theirs.node:
            assert is_welcome(await self.frame())
            await self.ws.send_bytes(welcome_frame())
        else:
            await self.ws.send_bytes(welcome_frame())
            assert is_welcome(await self.frame())
        return theirs

    async def frame(self) -> bytes:
        """Return the next frame. Pings go unanswered."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = await self.ws.receive()
                if message.type is aiohttp.WSMsgType.BINARY:
                    return bytes(message.data)
                assert message.type is aiohttp.WSMsgType.PING, f"{message.type.name} {message.data}"

    async def close_code(self) -> int:
        """Return the code with which the other side closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.ws.closed:
                await self.ws.receive()
        assert self.ws.close_code is not None
        return self.ws.close_code


@asynccontextmanager
async def by_hand(who: Identity, node: Node, **options: Any) -> AsyncIterator[ByHand]:
    """Connect to ``node`` as ``who``; the handshake is the test's to do."""
    context = who.contexts([node.peer]).client
    async with aiohttp.ClientSession() as session:
        ws: aiohttp.ClientWebSocketResponse[Any] = await session.ws_connect(
            f"wss://127.0.0.1:{node.mesh.port}{PATH}", ssl=context, autoping=False, **({"compress": 0} | options)
        )
        try:
            yield ByHand(who, ws)
        finally:
            await ws.close(code=CloseCode.GOING_AWAY)


def nowhere(who: Identity) -> PeerAddress:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as briefly:
        return PeerAddress(who.peer, who.peer.hex()[:4], "127.0.0.1", briefly.getsockname()[1])


class Line:
    """A TCP line to a port, that can be frozen (nothing passes, nothing is closed) or cut."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._open = asyncio.Event()
        self._open.set()
        self._writers: list[asyncio.StreamWriter] = []

    def freeze(self) -> None:
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers += [writer, far_writer]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._copy(reader, far_writer))
            tasks.create_task(self._copy(far_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(2**16):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            await self._open.wait()  # an end is held back as well
            writer.close()


@asynccontextmanager
async def line_to(target_port: int) -> AsyncIterator[Line]:
    line = Line(target_port)
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        line.thaw()
        line.cut()
        await server.wait_closed()
