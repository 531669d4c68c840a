"""Virtual time: the next event happens now.

One rule: the order of events depends on the seed alone. Everything that happens is folded into one hash.
"""

import heapq
from collections.abc import Callable
from hashlib import sha256
from random import Random


class Runaway(Exception):
    """More events than any honest run has."""


class Loop:
    """Events in order of time, and among equals in order of scheduling. Times are integer milliseconds from 0."""

    def __init__(self, seed: int, trace: bool, events_max: int) -> None:
        self.now_ms = 0
        self.events = 0
        self.tracing = trace
        self._seed = seed
        self._events_max = events_max
        self._queue: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._sequence = 0
        self._hash = sha256()

    def random(self, name: str) -> Random:
        """Return the generator of one part: what one part draws does not shift what another draws."""
        return Random(f"{self._seed}/{name}")

    def at(self, when_ms: int, action: Callable[..., None], *arguments: object) -> None:
        """Call ``action`` at ``when_ms``, or now if that has passed."""
        self._sequence += 1
        heapq.heappush(self._queue, (max(when_ms, self.now_ms), self._sequence, action, arguments))

    def after(self, delay_ms: int, action: Callable[..., None], *arguments: object) -> None:
        """Call ``action`` in ``delay_ms``."""
        self._sequence += 1
        heapq.heappush(self._queue, (self.now_ms + max(delay_ms, 0), self._sequence, action, arguments))

    def run(self, until_ms: int, done: Callable[[], bool]) -> bool:
        """Let events happen until ``done`` or ``until_ms`` has come; return whether it is done."""
        queue = self._queue
        while queue and queue[0][0] <= until_ms:
            if done():
                return True
            self.now_ms, _, action, arguments = heapq.heappop(queue)
            self.count()
            action(*arguments)
        self.now_ms = max(self.now_ms, until_ms)
        return done()

    def count(self) -> None:
        """Count an event, or a step that one led to. Raises Runaway."""
        self.events += 1
        if self.events > self._events_max:
            raise Runaway(f"{self._events_max} events")

    def record(self, what: bytes) -> None:
        """Fold an event into the hash of the run."""
        self._hash.update(b"%d %b" % (self.now_ms, what))

    def trace(self, text: str) -> None:
        """Print a line of the story. The caller asks ``tracing`` first."""
        print(f"{self.now_ms:>7} ms  {text}")

    def digest(self) -> str:
        """Return the hash of all that happened."""
        return self._hash.hexdigest()
