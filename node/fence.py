"""Whether this validator keeps silent for now, because its key may have said more than it knows of.

One rule: who comes back listens before it speaks. A vote that we have forgotten, or that a copy of us casts, stands in
the certificates of the others; so a validator whose disk is behind its guard, or behind the network, votes again only
after it has seen the chain go on without its key.

It is up at every start until more weight than can lie has said where the network is. If that is no further than we are,
it falls at once: all may restart together. Otherwise it counts finalizations.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from node.storage.guard import View

# Finalizations above all that we know of, under no signature of our key. A quorum signs each, so one that our key
# takes part in has its signature with two chances in three, and four have none of them once in eighty times.
FINALIZATIONS: Final = 4
NEAR_HEIGHTS: Final = 2  # a network so little ahead has not gone on without us: its last blocks are on their way
# Who was only away, and whose guard and journal are whole, does not hold up a network that stands because of it.
STALL_MS: Final = 5_000


class Wall(Enum):
    """Why the fence is up, if it is."""

    DOWN = auto()
    LISTENING = auto()  # just started: where is the network?
    AWAY = auto()  # the network went on without us; journal and guard agree
    FORGOT = auto()  # the guard remembers, or was told to expect, more than journal and store know


class Fence:
    """Up, or not. It is told what was heard and what became final."""

    def __init__(self, alone: bool) -> None:
        """Begin a life; who validates ``alone`` has nobody to listen to."""
        self.wall = Wall.DOWN if alone else Wall.LISTENING
        self._above: View = (0, 0)
        self._left = 0
        self._moved_at = 0

    @property
    def up(self) -> bool:
        """Whether nothing is to be signed."""
        return self.wall is not Wall.DOWN

    def forgot(self, newest: View) -> None:
        """Raise it: the key may have spoken up to ``newest``, and nothing here says what."""
        self.wall = Wall.FORGOT
        self._begin(max(newest, self._above))

    def heard(self, heights: Sequence[tuple[int, int]], faulty_max: int, ours: int, known: View, now_ms: int) -> None:
        """Take what members say, (height, weight) each: more weight than ``faulty_max`` is believed."""
        if self.wall is not Wall.LISTENING:
            return
        weight = 0
        for height, each in sorted(heights, reverse=True):
            weight += each
            if weight > faulty_max:
                if height <= ours + NEAR_HEIGHTS:
                    self.wall = Wall.DOWN
                else:
                    self.wall = Wall.AWAY
                    self._moved_at = now_ms
                    self._begin(known)
                return

    def finalized(self, at: View, now_ms: int) -> None:
        """Take a finalization that is new here, of the view ``at``."""
        self._moved_at = now_ms
        if self._left and at > self._above:
            self._above = at
            self._left -= 1
            if not self._left:
                self.wall = Wall.DOWN

    def stalled(self, now_ms: int) -> None:
        """Look at the time: who was only away gives way when nothing moves."""
        if self.wall is Wall.AWAY and now_ms - self._moved_at > STALL_MS:
            self.wall, self._left = Wall.DOWN, 0

    def _begin(self, above: View) -> None:
        self._above, self._left = above, FINALIZATIONS
