"""What waits to be written to one peer: a bounded queue for each channel, and which frame is next.

One rule: memory is bounded by bytes, and a full queue is settled here, at once, by the channel's own policy; who sends
never waits. Pure.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from network.counters import ChannelCounters
from network.limits import OnFull
from network.wire import BUNDLE_BYTES_MAX, BUNDLE_FRAMES_MAX, BUNDLED_FRAME_BYTES_MAX, bundle_frame

FRAME_OVERHEAD_BYTES: Final = 64  # what a waiting frame costs beside its bytes: or a million empty ones would be free
TURN_EVERY: Final = 8  # one in so many writes goes to the next queue in turn: priority delays, it does not starve
_LENGTH_BYTES: Final = 2

Put = Literal["queued", "dropped", "overflow"]


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """The bounds of one queue."""

    number: int
    bytes_max: int
    priority: int
    on_full: OnFull


class _Lane:
    __slots__ = ("counters", "frames", "size", "spec")

    def __init__(self, spec: LaneSpec, counters: ChannelCounters) -> None:
        self.spec = spec
        self.counters = counters
        self.frames: deque[bytes] = deque()
        self.size = 0

    def pop(self) -> bytes:
        frame = self.frames.popleft()
        self.size -= len(frame) + FRAME_OVERHEAD_BYTES
        return frame


class Outbox:
    """The queues of one link. ``size`` is the bytes that wait in all of them."""

    __slots__ = ("_by_number", "_lanes", "_taken", "_turn", "dropped", "size")

    def __init__(self, specs: list[LaneSpec], counters: dict[int, ChannelCounters]) -> None:
        self._lanes = [_Lane(spec, counters[spec.number]) for spec in sorted(specs, key=lambda spec: spec.priority)]
        self._by_number = {lane.spec.number: lane for lane in self._lanes}
        self._taken = 0
        self._turn = 0
        self.size = 0
        self.dropped = 0

    def put(self, number: int, frame: bytes) -> Put:
        """Queue ``frame``; "overflow" means that the link must end."""
        lane = self._by_number[number]
        cost = len(frame) + FRAME_OVERHEAD_BYTES
        if lane.size + cost > lane.spec.bytes_max:
            if lane.spec.on_full != "drop_oldest":
                self._count_dropped(lane)
                return "dropped" if lane.spec.on_full == "drop_new" else "overflow"
            self._make_room(lane, cost)
        lane.frames.append(frame)
        lane.size += cost
        self.size += cost
        return "queued"

    def take(self) -> bytes | None:
        """Return the next WebSocket message, a frame or a bundle of small ones; None when nothing waits."""
        lanes = self._in_order()
        if not lanes:
            return None
        first = self._pop(lanes[0])
        if len(first) > BUNDLED_FRAME_BYTES_MAX or self.size == 0:
            return first
        frames = self._with_more(first, lanes)
        return first if len(frames) == 1 else bundle_frame(frames)

    def _with_more(self, first: bytes, lanes: list[_Lane]) -> list[bytes]:
        frames = [first]
        room = BUNDLE_BYTES_MAX - 1 - _LENGTH_BYTES - len(first)
        for lane in lanes:
            while lane.frames:
                need = _LENGTH_BYTES + len(lane.frames[0])
                if need > room or len(lane.frames[0]) > BUNDLED_FRAME_BYTES_MAX or len(frames) == BUNDLE_FRAMES_MAX:
                    return frames
                room -= need
                frames.append(self._pop(lane))
        return frames

    def _in_order(self) -> list[_Lane]:
        waiting = [lane for lane in self._lanes if lane.frames]
        self._taken += 1
        if len(waiting) > 1 and self._taken % TURN_EVERY == 0:
            self._turn += 1
            return [waiting[self._turn % len(waiting)]]
        return waiting

    def _pop(self, lane: _Lane) -> bytes:
        frame = lane.pop()
        self.size -= len(frame) + FRAME_OVERHEAD_BYTES
        lane.counters.messages_out += 1
        lane.counters.bytes_out += len(frame)
        return frame

    def _make_room(self, lane: _Lane, cost: int) -> None:
        while lane.frames and lane.size + cost > lane.spec.bytes_max:
            self.size -= len(lane.pop()) + FRAME_OVERHEAD_BYTES
            self._count_dropped(lane)

    def _count_dropped(self, lane: _Lane) -> None:
        lane.counters.dropped += 1
        self.dropped += 1
