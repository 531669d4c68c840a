"""How long a view may take, and when to try again. Integer milliseconds.

One rule: safety never depends on anything here; every wait has a cap.
"""

from dataclasses import dataclass
from typing import Final

from consensus.committee import Committee

NEVER: Final = 2**63 - 1  # a deadline that does not pass

_PIPELINE_VIEWS: Final = 4  # views that are open at once when nothing is wrong
_STEPS_MAX: Final = 40  # 1.3 ** 40 is 36,000: above any cap, and the integers stay small
_POWERS: Final[list[tuple[int, int]]] = [(13**steps, 10**steps) for steps in range(_STEPS_MAX + 1)]


@dataclass(frozen=True, slots=True)
class Timing:
    """Local policy, milliseconds. ``view_ms_max`` caps the scaled ``view_ms``; ``idle_ms`` 0 turns idle mode off."""

    leader_ms: int = 1_000  # until the leader's proposal is here: more than pace, build and two delays
    view_ms: int = 2_500  # until the view ends: more than leader_ms, a fetch of batches and two delays
    retry_ms: int = 1_000  # what was sent is sent again this often while nothing changes
    share_ms: int = 100  # after entering a view, until who has not left the one before is told: 1.5 delays
    skip_ms: int = 15_000  # a leader that was silent for so long is skipped
    idle_ms: int = 4_000  # a leader without work waits so long
    view_ms_max: int = 10_000

    def __post_init__(self) -> None:
        if not 0 < self.leader_ms < self.view_ms <= self.view_ms_max:
            raise ValueError("need 0 < leader_ms < view_ms <= view_ms_max")
        if not (self.retry_ms > 0 and self.share_ms > 0 and self.idle_ms >= 0):
            raise ValueError("retry_ms and share_ms are positive, idle_ms is not negative")
        if self.skip_ms <= max(self.view_ms, self.retry_ms) or self.skip_ms < 3 * self.idle_ms:
            raise ValueError("skip_ms exceeds view_ms and retry_ms and is at least three times idle_ms")

    def scaled(self, wait_ms: int, steps: int) -> int:
        """Return ``wait_ms`` times 1.3 ** steps, capped as ``view_ms`` is by ``view_ms_max``. R30."""
        grown, base = _POWERS[min(steps, _STEPS_MAX)]
        return min(wait_ms * grown // base, wait_ms * self.view_ms_max // self.view_ms)


def backoff_steps(committee: Committee, view: int, finalized_view: int) -> int:
    """Return how often the timers of ``view`` grow: they do when faulty leaders no longer explain the lag. R30."""
    return max(0, view - finalized_view - (len(committee) - 1) // 3 - _PIPELINE_VIEWS)


class Deadlines:
    """When something happens if nothing else does. Plain values: those of a view overwrite those of the one before."""

    __slots__ = ("_entered_at", "_steps", "_timing", "idle", "leader_at", "retry_at", "share_at", "view_at")

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._entered_at = 0
        self._steps = 0
        self.idle = False  # the view's leader is given longer, because nobody waits for a block. R32
        self.stop()

    def stop(self) -> None:
        """Let nothing happen any more."""
        self.leader_at = self.view_at = self.share_at = self.retry_at = NEVER

    def earliest(self) -> int:
        """Return the time of the next deadline."""
        return min(self.leader_at, self.view_at, self.share_at, self.retry_at)

    def enter(self, now_ms: int, steps: int, idle: bool, waits: bool) -> None:
        """Begin a view, backed off by ``steps``; ``waits`` says that its proposal is another's and not here. R9."""
        self._entered_at, self._steps, self.idle = now_ms, steps, idle
        self.leader_at = self._from_beginning(self._timing.leader_ms) if waits else NEVER
        self.view_at = self._from_beginning(self._timing.view_ms)
        self.share_at = now_ms + self._timing.share_ms

    def give_up(self) -> None:
        """Forget how long the view may take: we have nullified it. Retries take over."""
        self.leader_at = self.view_at = NEVER

    def proposed(self) -> None:
        """The view's proposal has come; ``pace`` then ends an idle view's patience. R29, R32."""
        self.leader_at = NEVER

    def pace(self, now_ms: int, idle: bool) -> None:
        """Lengthen or shorten what is left of a view when idleness begins or ends. R32.

        Lengthening counts from the view's beginning: work that comes and goes cannot put a deadline off for ever.
        """
        self.idle = idle
        if not idle:
            self._hasten(now_ms)
            return
        if self.leader_at != NEVER:
            self.leader_at = self._from_beginning(self._timing.leader_ms)
        if self.view_at != NEVER:
            self.view_at = self._from_beginning(self._timing.view_ms)

    def _from_beginning(self, wait_ms: int) -> int:
        return self._entered_at + self._timing.scaled(wait_ms, self._steps) + (self._timing.idle_ms if self.idle else 0)

    def _hasten(self, now_ms: int) -> None:
        timing = self._timing
        if self.leader_at != NEVER:
            self.leader_at = min(self.leader_at, now_ms + timing.scaled(timing.leader_ms, self._steps))
        if self.view_at != NEVER:
            self.view_at = min(self.view_at, now_ms + timing.scaled(timing.view_ms, self._steps))
