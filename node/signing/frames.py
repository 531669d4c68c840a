"""Frames on a Unix socket, and who is at its other end.

One rule: a length is checked before anything is read or kept for it.
"""

import asyncio
import socket
import struct
from typing import Final

from consensus.encoding import DecodeError
from node.signing.requests import LENGTH_BYTES

_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred of socket(7): process, user, group


async def read_frame(reader: asyncio.StreamReader, most: int, seconds: float | None = None) -> bytes:
    """Return the next frame's content. Once a frame has begun it must be whole within ``seconds``.

    Raises EOFError at the end, DecodeError for a length that is not allowed, TimeoutError.
    """
    first = await reader.readexactly(1)
    async with asyncio.timeout(seconds):
        length = int.from_bytes(first + await reader.readexactly(LENGTH_BYTES - 1), "big")
        if not 0 < length <= most:
            raise DecodeError(f"a frame of {length} bytes; 1 to {most} are allowed")
        return await reader.readexactly(length)


def write_frame(writer: asyncio.StreamWriter, content: bytes) -> None:
    """Send a frame, without waiting."""
    writer.write(len(content).to_bytes(LENGTH_BYTES, "big") + content)


def peer_user(link: socket.socket) -> int:
    """Return the user whose process is at the other end, as the kernel knows it."""
    _, user, _ = _CREDENTIALS.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)
