"""When a block is built and when a proposal is judged: the pace, and the batches that are still on their way.

One rule: the core wants one of each at a time and gets its answer as an input. What may not be answered yet is looked
at again at a known moment or with the next event, and holds up nothing else.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

from consensus.events import BlockBuilt, BlockChecked, BuildBlock, CheckBlock, Input
from consensus.messages import Block
from node.batches import BatchDigest
from node.payloads import Payloads, Verdict

PACE_MS: Final = 50  # between two blocks, as we saw them: work that comes meanwhile shares a block
# The same while we have final blocks to execute: sooner would add blocks, and what each costs, not payments.
PACE_BEHIND_MS: Final = 250
UNFINAL_MS: Final = 250  # an unfinal parent is helped by an empty block after this
MISSING_MS: Final = 100  # a batch that a proposal names, and that is not here by then, is asked for
PROPOSAL_FETCHES: Final = 20  # rounds of asking for a proposal's batches; by then the view is over
PROPOSALS_FETCHED_MAX: Final = 8  # whose batches are asked for at once: a liar's, which nobody has, hold up no other's


class Blocks:
    """What the core wants built and checked now."""

    def __init__(
        self,
        payloads: Payloads,
        executing: Callable[[], int],
        committed: Callable[[], Block],
        idle_ms: int,
        clock_ms: Callable[[], int],
        now_ms: Callable[[], int],
        deliver: Callable[[Input], None],
        fetch: Callable[[Sequence[BatchDigest], int], Awaitable[None]],
        begin: Callable[[Coroutine[Any, Any, None]], object],
        wake: Callable[[], None],
    ) -> None:
        """``executing`` counts final blocks not executed yet; ``clock_ms`` is the core's time, ``now_ms`` Unix time.

        Answers go to ``deliver``. ``fetch`` asks for batches so many times, in a task that ``begin`` begins; ``wake``
        hears that it has ended.
        """
        self.payloads = payloads
        self._executing = executing
        self._committed = committed
        self._idle_ms = idle_ms
        self._clock_ms = clock_ms
        self._now_ms = now_ms
        self._deliver = deliver
        self._fetch = fetch
        self._begin = begin
        self._wake = wake
        self._building: tuple[BuildBlock, int] | None = None  # and since when
        self._checking: tuple[CheckBlock, int] | None = None
        self._last_block_at = 0  # when we last saw or made a proposal, monotonic ms
        self._asked: set[BatchDigest] = set()
        self._fetching = 0

    def begin_epoch(self) -> None:
        """Forget what the core of the last epoch wanted."""
        self._building = self._checking = None

    def build(self, effect: BuildBlock) -> None:
        """Have a block built, in place of one that was wanted before."""
        self._building = (effect, self._clock_ms())

    def check(self, effect: CheckBlock) -> None:
        """Have a proposal checked, in place of one before."""
        self._checking = (effect, self._clock_ms())
        self._last_block_at = self._clock_ms()

    def missing(self) -> Sequence[BatchDigest]:
        """Return the batches that the proposal under check names and that are not here."""
        return [] if self._checking is None else self.payloads.missing(self._checking[0].block)

    def try_build(self) -> int | None:
        """Build if it is time; return when to look again, None if only an event can make it time."""
        if self._building is None:
            return None
        effect, since = self._building
        now = self._clock_ms()
        paced = self._last_block_at + (PACE_BEHIND_MS if self._executing() else PACE_MS)
        if now < paced:
            return paced
        names = self.payloads.choose(effect.parent)
        due = self._empty_block_at(effect.parent, since)
        if not names and now < due:
            return due
        content = self.payloads.content(effect.parent, names, self._now_ms())
        if content is None:
            return None
        self._building = None
        self._last_block_at = now
        self._deliver(BlockBuilt(effect.view, content))
        return None

    def _empty_block_at(self, parent: Block, since: int) -> int:
        """Return when a block without batches is worth its while: to certify a root, to finalize, or as a heartbeat."""
        if parent.header.height > self._committed().header.height:
            return since + UNFINAL_MS
        if self.payloads.root_waits(parent):
            return since
        return since + self._idle_ms

    def try_check(self) -> None:
        """Judge the proposal if that can be done."""
        if self._checking is None:
            return
        effect, _ = self._checking
        verdict = self.payloads.verdict(effect.block, effect.parent, self._now_ms())
        if verdict is Verdict.UNKNOWN:
            self._ask_for_missing()
            return
        self._checking = None
        self._deliver(BlockChecked(effect.view, effect.block.hash, verdict is Verdict.VALID))

    def next_check(self) -> int | None:
        """Return when an undecided check deserves another look without an event: batches to ask for, or our clock."""
        if self._checking is None:
            return None
        effect, since = self._checking
        ahead_ms = effect.block.header.timestamp_ms - self._now_ms()
        return max(self._clock_ms() + max(ahead_ms // 2, PACE_MS), since + MISSING_MS)

    def _ask_for_missing(self) -> None:
        assert self._checking is not None
        _, since = self._checking
        if self._clock_ms() < since + MISSING_MS or self._fetching >= PROPOSALS_FETCHED_MAX:
            return
        missing = [name for name in self.missing() if name not in self._asked]
        if missing:
            self._asked.update(missing)
            self._fetching += 1
            self._begin(self._fetch_batches(missing))

    async def _fetch_batches(self, names: Sequence[BatchDigest]) -> None:
        await self._fetch(names, PROPOSAL_FETCHES)
        self._fetching -= 1
        self._asked.difference_update(names)
        self._wake()
