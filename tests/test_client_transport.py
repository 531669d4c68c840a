"""A client keeps a connection for its next call, but not until the node ends it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

import devnet.bench.load
import node.client.transport
from devnet.bench.load import Nodes
from node.client.transport import IDLE_SECONDS, Transport
from node.rpc.server import ServerLimits

PROMPT, LONG = 0.0, 0.3  # seconds between two calls
KEPT = 0.15


@dataclass
class Server:
    """Answers every request, and counts connections."""

    url: str = ""
    connections: int = 0
    ended: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError):  # the end
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: (\d+)", head.lower())
                assert length is not None
                number = re.search(rb'"id":(\d+)', await reader.readexactly(int(length[1])))
                reply = b'{"jsonrpc":"2.0","id":%s,"result":{}}' % (number[1] if number else b"0")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(reply), reply))
        writer.close()
        await writer.wait_closed()
        self.ended.release()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    async with await asyncio.start_server(server.take, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server
        for _ in range(server.connections):
            await server.ended.acquire()


def test_a_client_lets_go_of_a_connection_well_before_a_node_does() -> None:
    assert ServerLimits().keepalive_seconds > IDLE_SECONDS + 2.0


@pytest.mark.parametrize(("pause", "connections"), [(PROMPT, 1), (LONG, 2)])
async def test_a_call_takes_a_new_connection_when_the_last_one_was_idle_for_long(
    pause: float, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.client.transport, "IDLE_SECONDS", KEPT)
    async with serving() as server, Transport([server.url]) as transport:
        await transport.raw("chain_status", {})
        await asyncio.sleep(pause)
        await transport.raw("chain_status", {})
        assert server.connections == connections


@pytest.mark.parametrize(("pause", "connections"), [(PROMPT, 1), (LONG, 2)])
async def test_so_does_the_load_of_the_bench(pause: float, connections: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devnet.bench.load, "IDLE_SECONDS", KEPT)
    request = b"POST /rpc HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"
    async with serving() as server:
        nodes = Nodes([server.url])
        await nodes.post(0, request)
        await asyncio.sleep(pause)
        await nodes.post(0, request)
        nodes.close()
        assert server.connections == connections
