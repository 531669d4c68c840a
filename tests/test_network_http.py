"""Before the WebSocket there is HTTP, and a peer may say there what it likes: it costs a connection, never the mesh."""

import asyncio
import base64
import gc
import hashlib
import random
from typing import Final

from network.connection import PATH
from network.limits import Limits
from network.mesh import PeerAddress
from tests.network_lab import Node, connect, eventually, identities, nowhere, running

ANSWERS: Final = 150
# Nobody waits, and nobody stays away for what it did.
EAGER: Final = Limits(
    backoff_seconds_min=0.0001,
    backoff_seconds_max=0.0001,
    backoff_refused_seconds=0.0001,
    block_seconds_min=0.0001,
    block_seconds_max=0.0001,
    close_seconds=0.1,
    handshake_seconds=0.3,
    handshakes_per_ip_per_second=1e6,
    head_start_seconds=0.0,
)
WEBSOCKET_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
REQUEST: Final = (
    f"GET {PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()
STATUS_LINES: Final = (
    b"HTTP/1.0 101 x",
    b"HTTP/2.0 101 x",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 x",
    b"HTTP/1.1 103 Early\r\nLink: \xff\r\n\r\nHTTP/1.1 101 x",
    b"HTTP/1.1 99999 x",
    b"HTTP/1.1 -1 x",
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 304 OK",
    b"HTTP/1.1 302 OK",
    b"HTTP/1.1 407 x",
    b"HTTP/1.1 101 \xff\xfe",
    b"\x16\x03\x01",
    b"",
)
REQUEST_LINES: Final = (
    b"POST " + PATH.encode() + b" HTTP/1.1",
    b"HEAD " + PATH.encode() + b" HTTP/1.1",
    b"GET " + PATH.encode() + b" HTTP/1.0",
    b"GET " + PATH.encode() + b"?x=%ff HTTP/1.1",
    b"GET " + PATH.encode() + b"#x HTTP/1.1",
    b"GET http://x:99999999" + PATH.encode() + b" HTTP/1.1",
    b"GET http://[::1 HTTP/1.1",
    b"GET /%00 HTTP/1.1",
    b"CONNECT x:1 HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"",
)
HEADERS: Final = (
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Set-Cookie: a=\xff; Path=\x00\r\n",
    b"Location: http://x:99999999/\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n",
    b"Sec-WebSocket-Protocol: ,,,\r\n",
    b"Sec-WebSocket-Version: 99\r\n",
    b"Upgrade: h2c\r\n",
    b"X: " + b"a" * 9_000 + b"\r\n",
    b" folded\r\n",
    b": \r\n",
)


def accepted(request: bytes) -> bytes:
    """Return the answer that an honest peer gives to an upgrade."""
    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def spoilt(draw: random.Random, head: bytes, lines: tuple[bytes, ...]) -> bytes:
    """Return the head of a request or an answer, and perhaps more, with something wrong in it."""
    line, _, rest = head.partition(b"\r\n")
    more = draw.randbytes(draw.randrange(60))
    match draw.randrange(5):
        case 0:
            damaged = bytearray(head)
            for _ in range(draw.randint(1, 4)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            return bytes(damaged)
        case 1:
            return draw.choice(lines) + b"\r\n" + draw.choice((b"", *HEADERS)) + rest + more
        case 2:
            return line + b"\r\n" + draw.choice(HEADERS) + draw.choice(HEADERS) + rest
        case 3:
            return head[: draw.randrange(len(head))]
        case _:
            return head + more


async def hang_up(draw: random.Random, writer: asyncio.StreamWriter) -> None:
    """Go at once or after a moment, with or without a word."""
    await asyncio.sleep(draw.choice((0.0, 0.0, 0.005)))
    draw.choice((writer.close, writer.transport.abort))()


async def test_whatever_a_peer_answers_to_our_dial_the_mesh_goes_on() -> None:
    """Nothing that it says escapes the dial, and no connection is left to the garbage collector."""
    first, second, third = identities(3)
    node, good = Node(first, EAGER), Node(second)
    draw = random.Random(1)
    answers: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers.append(spoilt(draw, accepted(await reader.readuntil(b"\r\n\r\n")), STATUS_LINES))
            writer.write(answers[-1])
            await hang_up(draw, writer)
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()

    liar = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=third.contexts([first.peer]).server)
    async with liar, running(node, good):
        await connect(node, good)
        port = liar.sockets[0].getsockname()[1]
        node.mesh.set_addresses([good.address(), PeerAddress(third.peer, "liar", "127.0.0.1", port)])
        await eventually(lambda: len(answers) >= ANSWERS)
        assert node.connected == [good.peer]
        assert node.mesh.counters.dials_failed["refused"] > 0
        assert node.has_link(good.peer)
    gc.collect()  # what nobody closed is a warning, and so a failure


async def test_whatever_a_peer_asks_instead_of_an_upgrade_the_mesh_goes_on() -> None:
    """Nothing that it says escapes the arrival, and it gives its place back."""
    first, second, third = identities(3)
    node, good = Node(first, EAGER), Node(second)
    draw = random.Random(2)
    async with running(node, good):
        await connect(node, good)
        node.mesh.set_addresses([good.address(), nowhere(third)])
        context = third.contexts([first.peer]).client
        for _ in range(ANSWERS):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", node.mesh.port, ssl=context)
                writer.write(spoilt(draw, REQUEST, REQUEST_LINES))
                await hang_up(draw, writer)
            except OSError:
                pass
        await eventually(lambda: not node.mesh._listener._arrivals)
        assert node.connected == [good.peer]
        assert node.has_link(good.peer)
    gc.collect()
