"""Whose turn it is: long work for callers goes in pieces, one of them in each pass of the event loop.

One rule: consensus waits for one piece, never for as many as there are callers. First come, first served.
"""

import asyncio
from collections import deque


class Turns:
    """The pieces that wait."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._passing = False

    async def next(self) -> None:
        """Wait for a turn. What follows, up to the next wait, is a piece: about 2 ms at the most."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if not self._passing:
            self._passing = True
            loop.call_soon(self._pass, loop)
        await turn

    def _pass(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the turn to the first who still waits, and come again in the loop's next pass."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                break
        self._passing = bool(self._waiting)
        if self._passing:
            loop.call_soon(self._pass, loop)
