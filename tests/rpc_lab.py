"""Calls to a server by its bytes, for tests of what is on the wire."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from node.rpc.access import Scope
from node.rpc.methods import METHODS
from node.rpc.server import RpcServer, ServerLimits
from node.storage.sockets import reachable
from tests.solo_chain import SoloChain, running, solo_chain


@dataclass(frozen=True, slots=True)
class Lab:
    """A chain, and a caller of its server."""

    chain: SoloChain
    server: RpcServer
    url: str
    session: aiohttp.ClientSession
    local: aiohttp.ClientSession  # by the socket in the node's home

    async def reply(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the whole reply, by the road that the method is for."""
        called = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        known = METHODS.get(method)
        if known is not None and known.websocket:
            async with self.session.ws_connect(f"{self.url}/ws") as ws:
                await ws.send_json({**called, "id": 0, "method": "sub_subscribe", "params": {"topic": "blocks"}})
                assert (await ws.receive_json())["result"]["subscription"] == 1
                await ws.send_json(called)
                return await _reply_of(ws)
        headers = {"Content-Type": "application/json"}
        admin = known is not None and known.scope in (Scope.ADMIN, Scope.AUDIT)
        session, url = (self.local, "http://localhost") if admin else (self.session, self.url)
        async with session.post(f"{url}/rpc", data=json.dumps(called), headers=headers) as response:
            found: dict[str, Any] = await response.json()
            return found

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the result."""
        found = await self.reply(method, **params)
        assert "error" not in found, found
        result: dict[str, Any] = found["result"]
        return result

    async def error(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the error."""
        found = await self.reply(method, **params)
        assert "result" not in found, found
        error: dict[str, Any] = found["error"]
        return error

    def post(self, body: str | bytes | io.BytesIO, **headers: str) -> Any:
        """Send a body to /rpc."""
        sent = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        return self.session.post(f"{self.url}/rpc", data=body, headers=sent)

    def get(self, path: str, **headers: str) -> Any:
        """Ask for a path."""
        return self.session.get(f"{self.url}{path}", headers=headers)


async def _reply_of(ws: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Return the reply to call 1, past what is told meanwhile."""
    while True:
        found: dict[str, Any] = await ws.receive_json()
        if found.get("id") == 1:
            return found


@asynccontextmanager
async def rpc_lab(
    path: Path,
    limits: ServerLimits | None = None,
    hosts: tuple[str, ...] = (),
    acting: bool = False,
    open_access: bool = True,
) -> AsyncIterator[Lab]:
    """Serve a funded chain and give a caller of it; ``acting``: on which everything that examples name has happened."""
    async with solo_chain(path, acting=acting) as chain:
        chain.open_access = open_access
        with reachable(path / "admin.sock") as address:
            async with (
                running(chain, limits, hosts, path / "admin.sock") as server,
                aiohttp.ClientSession() as session,
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(address)) as local,
            ):
                yield Lab(chain, server, f"http://127.0.0.1:{server.port}", session, local)
