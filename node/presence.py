"""Which validators take part, as seen from here: for metrics and operators.

One rule: nothing here decides anything, and nobody is judged for a block whose quorum we have not seen ourselves.
Votes of a block come late as well as early: it is judged when SETTLED more are final.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from consensus.committee import Committee
from consensus.messages import Kind

SETTLED: Final = 8  # final blocks: by then whoever votes at all has voted
VIEWS_MAX: Final = 64  # views whose voters are kept
SILENT_MS: Final = 15_000  # three heartbeats of an idle network: whoever says nothing for so long is missing


class Presence:
    """What was heard of each validator. Names stay over epochs, indices do not."""

    def __init__(self) -> None:
        self.last_signed: dict[str, int] = {}  # the highest final block for which it voted
        self.missed: dict[str, int] = {}  # final blocks for which it did not
        self.late: dict[str, int] = {}  # votes after their quorum
        self._names: tuple[str, ...] = ()
        self._committee: Committee | None = None
        self._me: int | None = None
        self._heard_ms: dict[str, int] = {}
        self._voters: dict[int, set[int]] = {}  # by view of this epoch
        self._final: deque[tuple[int, int]] = deque()  # views and heights that are not judged yet

    def begin_epoch(self, committee: Committee, names: Sequence[str], me: int | None) -> None:
        """Take the validators of an epoch, by index."""
        self._committee, self._names, self._me = committee, tuple(names), me
        self._voters.clear()
        self._final.clear()
        for counted in (self.last_signed, self.missed, self.late):
            kept = {name: counted.get(name, 0) for name in names}
            counted.clear()
            counted.update(kept)
        self._heard_ms = {name: at for name, at in self._heard_ms.items() if name in names}

    def heard(self, index: int, now_ms: int) -> None:
        """Note that a validator spoke."""
        self._heard_ms[self._names[index]] = now_ms

    def voted(self, index: int, kind: Kind, view: int, late: bool) -> None:
        """Note a vote; ``late``: nobody needed it any more."""
        if kind is Kind.NULLIFY:
            return
        voters = self._voters.setdefault(view, set())
        if len(self._voters) > VIEWS_MAX:
            del self._voters[min(self._voters)]
        name = self._names[index]
        if late and index not in voters:
            self.late[name] += 1
        voters.add(index)
        for final_view, height in self._final:
            if final_view == view:
                self.last_signed[name] = max(self.last_signed[name], height)

    def finalized(self, view: int, height: int) -> None:
        """Note that a block of a view is final; judge an older one."""
        self._final.append((view, height))
        for index in sorted(self._voters.get(view, ())):
            self.last_signed[self._names[index]] = height
        if len(self._final) > SETTLED:
            settled, _ = self._final.popleft()
            self._judge(self._voters.pop(settled, set()))

    def _judge(self, voters: set[int]) -> None:
        assert self._committee is not None
        if self._committee.weight(sorted(voters)) < self._committee.quorum:
            return
        for index, name in enumerate(self._names):
            if index not in voters:
                self.missed[name] += 1

    def missing(self, now_ms: int) -> tuple[str, ...]:
        """Return whom we have not heard for SILENT_MS, since we first looked at least; never ourselves."""
        return tuple(
            name
            for index, name in enumerate(self._names)
            if index != self._me and now_ms - self._heard_ms.setdefault(name, now_ms) > SILENT_MS
        )

    def missing_weight(self, now_ms: int) -> int:
        """Return what those weigh together."""
        assert self._committee is not None
        silent = self.missing(now_ms)
        return self._committee.weight([index for index, name in enumerate(self._names) if name in silent])
