"""Looks at the free disk space, and says what may still be done.

One rule: a validator that runs out of disk ends by itself before it must, while every file is whole; before that it
turns clients away and votes on.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from node.storage.disk import Room, RoomLimits, room
from node.storage.errors import DiskFull

LOOK_SECONDS: Final = 5.0  # at full load a validator writes some 20 MB in so long

log = structlog.get_logger("disk")


class DiskWatch:
    """``room`` is what was seen last."""

    def __init__(self, usage: Callable[[], tuple[int, int]], limits: RoomLimits) -> None:
        """``usage`` returns the free and all bytes of the file system that holds the store."""
        self._usage = usage
        self._limits = limits
        self.room = Room.ENOUGH

    async def run(self) -> None:
        """Look until cancelled. Raise DiskFull when it is time to stop."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Look once."""
        free, total = self._usage()
        now = room(free, total, self._limits)
        if now is not self.room:
            (log.info if now is Room.ENOUGH else log.warning)("disk_room", room=now.name.lower(), free_bytes=free)
        self.room = now
        if now is Room.STOP:
            raise DiskFull(f"{free} bytes of {total} are free")

    def accepts(self) -> bool:
        """Return whether new transactions may come in."""
        return self.room < Room.NO_TRANSACTIONS
