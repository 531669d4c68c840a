"""The first frames of a connection: HELLO each way, then WELCOME each way.

One rule: nothing that a peer says here is believed beyond what TLS has proven; whatever is wrong ends the connection
with a code that tells the other side why.

    both           HELLO      who, which chain, which version, and the node's own word
    larger id      WELCOME    I would take this connection
    smaller id     WELCOME    it is our link (written by the link, as its first frame)
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from network.connection import Connection
from network.wire import (
    CloseCode,
    Hello,
    Violation,
    WrongVersion,
    agreed_version,
    decode_hello,
    hello_frame,
    is_welcome,
    welcome_frame,
)


class Refused(Exception):
    """The handshake ends with a close code, ours or theirs."""

    def __init__(self, code: int, reason: str, by_peer: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.by_peer = by_peer


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the peer said, its wall clock less ours at that moment, and the wire version of the link."""

    hello: Hello
    clock_offset_ms: int
    version: int


async def greet(connection: Connection, ours: Hello, admit: Callable[[Hello], None]) -> Greeting:
    """Do the handshake up to our last word: if our id is the smaller, WELCOME is still ours to say.

    ``admit`` raises Refused for a HELLO that the node does not want. Raises Refused, and Violation for what no honest
    peer sends. The caller sets the deadline.
    """
    try:
        await connection.send(hello_frame(ours))
        theirs = _decode(await _receive(connection), ours.versions)
        version = agreed_version(ours.versions, theirs.versions)
        assert version is not None, "decode_hello refuses what has none in common"
        greeting = Greeting(theirs, theirs.wall_ms - wall_ms(), version)
        _check(connection, ours, theirs)
        admit(theirs)
        if theirs.node < ours.node:
            await connection.send(welcome_frame())
        if not is_welcome(await _receive(connection)):
            raise Violation("malformed", "the second frame is not WELCOME")
    except OSError as error:
        raise Refused(CloseCode.GOING_AWAY, type(error).__name__, by_peer=True) from None
    return greeting


def wall_ms() -> int:
    """Return the wall clock, milliseconds since 1970. For people and metrics; nothing is decided by it."""
    return time.time_ns() // 1_000_000


def _decode(data: bytes, versions: range) -> Hello:
    try:
        return decode_hello(data, versions)
    except WrongVersion as wrong:
        raise Refused(CloseCode.WRONG_VERSION, str(wrong)) from None


def _check(connection: Connection, ours: Hello, theirs: Hello) -> None:
    if theirs.genesis_hash != ours.genesis_hash:
        raise Refused(CloseCode.WRONG_CHAIN, f"genesis {theirs.genesis_hash.hex()[:16]}")
    if theirs.node != connection.peer:
        raise Refused(CloseCode.WRONG_NODE, f"HELLO names {theirs.node.hex()[:8]}")


async def _receive(connection: Connection) -> bytes:
    """Return the next frame. Raises Refused when the peer closes, Violation for anything else."""
    message = await connection.receive()
    if isinstance(message.data, aiohttp.WebSocketError):
        raise Violation("malformed", str(message.data))
    if connection.close_code is not None:
        raise Refused(connection.close_code, "closed by the peer", by_peer=True)
    if message.type is not aiohttp.WSMsgType.BINARY:
        raise Violation("malformed", f"a {message.type.name} message in the handshake")
    return bytes(message.data)
