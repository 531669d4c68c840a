"""How long things took, for metrics and operators.

One rule: nothing here decides anything; a duration that nobody asks for costs two additions.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from consensus.core import Core
from consensus.messages import Kind

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # bounds of classes
VOTES_MAX: Final = 1_024  # of our own whose quorum is awaited; a chain that stands still makes many


class Durations:
    """How often something took how long, in classes up to SECONDS and one above."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(SECONDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Note one."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._counts)

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Yield each bound and how many took no longer, as Prometheus wants them."""
        so_far = 0
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self._counts, strict=True):
            so_far += count
            yield bound, so_far


class Tempo:
    """The durations of one driver: steps of the core, views, quorums, syncs of the journal."""

    __slots__ = ("_asked", "_at", "_notarized", "_since", "quorums", "steps", "syncs", "views")

    def __init__(self) -> None:
        self.steps = Durations()
        self.syncs = Durations()
        self.views = {"notarized": Durations(), "nullified": Durations()}
        self.quorums = {Kind.NOTARIZE: Durations(), Kind.FINALIZE: Durations()}
        self._at = (-1, 0)  # epoch and view of the core when it was last looked at
        self._since = 0
        self._notarized = 0
        self._asked: dict[tuple[Kind, int], int] = {}  # our votes of this epoch, and when

    def asked(self, kind: Kind, view: int, now_ms: int) -> None:
        """Note that we vote: how long until a quorum does?"""
        if kind in self.quorums and len(self._asked) < VOTES_MAX:
            self._asked.setdefault((kind, view), now_ms)

    def stepped(self, core: Core, now_ms: int, seconds: float) -> None:
        """Note a step of the core, and what it moved."""
        self.steps.add(seconds)
        epoch, view = self._at
        if epoch != core.epoch:
            self._asked.clear()
        elif core.view == view + 1 and view > 0:  # who jumps is only catching up
            notarized = core.counters.views_notarized > self._notarized
            self.views["notarized" if notarized else "nullified"].add((now_ms - self._since) / 1_000)
            if notarized:
                self._reached(Kind.NOTARIZE, view, now_ms)
        if self._at != (core.epoch, core.view):
            self._at, self._since = (core.epoch, core.view), now_ms
            self._notarized = core.counters.views_notarized
        final = core.finalized_view
        if any(view <= final for _, view in self._asked):
            self._reached(Kind.FINALIZE, final, now_ms)
            self._asked = {vote: at for vote, at in self._asked.items() if vote[1] > final}

    def _reached(self, kind: Kind, view: int, now_ms: int) -> None:
        at = self._asked.get((kind, view))
        if at is not None:
            self.quorums[kind].add((now_ms - at) / 1_000)
