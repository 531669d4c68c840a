"""Calls to a server by its bytes, for tests of what is on the wire."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from node.rpc.server import ServerLimits
from tests.solo_chain import SoloChain, serving, solo_chain


@dataclass(frozen=True, slots=True)
class Lab:
    """A chain, and a caller of its server."""

    chain: SoloChain
    url: str
    session: aiohttp.ClientSession

    async def reply(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the whole reply."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        async with self.post(body) as response:
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


@asynccontextmanager
async def rpc_lab(
    path: Path, limits: ServerLimits | None = None, hosts: tuple[str, ...] = (), acting: bool = False
) -> AsyncIterator[Lab]:
    """Serve a funded chain and give a caller of it; ``acting``: on which everything that examples name has happened."""
    async with (
        solo_chain(path, acting=acting) as chain,
        serving(chain, limits, hosts) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Lab(chain, url, session)
