"""Whom the signer's server serves, in this process: one node, of its own network, of its own user."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consensus.crypto import SecretKey
from node.signing.frames import read_frame, write_frame
from node.signing.requests import ANSWER_BYTES_MAX, Memory, decode_welcome, encode_hello
from node.signing.server import SignerServer
from node.signing.signer import OwnSigner
from node.storage.guard import Guard
from node.storage.suspension import Suspension
from tests.node_parts import genesis
from tests.storage_crashes import UnsyncedDisk

KEY = SecretKey(b"k" * 32)
GENESIS = genesis().hash
SECONDS = 30.0  # a busy machine's patience


@asynccontextmanager
async def serving(directory: Path, user: int) -> AsyncIterator[Path]:
    """Serve a fresh signer on a socket in ``directory``."""
    guard, disk = directory / "guard", UnsyncedDisk()
    Guard.create(guard, KEY.public, GENESIS, disk)
    signer = OwnSigner(KEY, Guard.open(guard, KEY.public, GENESIS, disk), Suspension(guard, disk), GENESIS)
    path = directory / "socket"
    server = await asyncio.start_unix_server(SignerServer(signer, GENESIS, user).serve, path)
    try:
        yield path
    finally:
        server.close()
        signer.guard.close()


async def welcomed(path: Path, genesis_hash: bytes = GENESIS) -> tuple[Memory | str, asyncio.StreamWriter]:
    """Return what the server says to a node of this network, and the link. Raises EOFError if it says nothing."""
    reader, writer = await asyncio.open_unix_connection(path)
    write_frame(writer, encode_hello(genesis_hash))
    async with asyncio.timeout(SECONDS):
        return decode_welcome(await read_frame(reader, ANSWER_BYTES_MAX)), writer


async def test_a_second_node_is_turned_away_while_the_first_is_linked(tmp_path: Path) -> None:
    async with serving(tmp_path, os.geteuid()) as path:
        first, link = await welcomed(path)
        assert isinstance(first, Memory)
        second, other = await welcomed(path)
        assert second == "another node has this signer"
        other.close()
        link.close()


async def test_a_node_of_another_network_is_turned_away(tmp_path: Path) -> None:
    async with serving(tmp_path, os.geteuid()) as path:
        said, link = await welcomed(path, bytes(32))
        assert "another network" in str(said)
        link.close()


async def test_another_users_process_hears_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, os.geteuid() + 1) as path:
        with pytest.raises((EOFError, ConnectionError)):
            await welcomed(path)
