"""Requests of one link, in both directions: what we asked and wait for, and what we are asked and work on.

One rule: every request ends, at its deadline at the latest, and both directions are bounded. An answer counts only on
the link, and so from the peer, that was asked.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from consensus.encoding import DecodeError
from network.counters import ChannelCounters, MeshCounters
from network.limits import Limits, TokenBucket
from network.wire import (
    DEADLINE_MS_MAX,
    REQUEST_ID_MAX,
    FailureCode,
    PeerId,
    Request,
    Violation,
    failure_frame,
    request_frame,
    response_frame,
)

UNREAD_POINTS: Final = 100  # bytes that the node could not decode
LATE_POINTS: Final = 1  # an answer that nobody waits for any more

FailedReason = Literal["not_connected", "disconnected", "full", "busy", "refused", "deadline"]
FAILED: Final[dict[FailureCode, FailedReason]] = {
    FailureCode.BUSY: "busy",
    FailureCode.REFUSED: "refused",
    FailureCode.DEADLINE: "deadline",
}


class PeerError(Exception):
    """The node says of what a peer sent: this is wrong. Raised in on_hello, on_message and on_request."""

    def __init__(self, reason: str, points: int = 0) -> None:
        super().__init__(reason)
        self.points = points


class RequestFailed(Exception):
    """No response. ``reason`` is a word from a closed set; after "busy" and "full" a later try makes sense."""

    def __init__(self, reason: FailedReason) -> None:
        super().__init__(reason)
        self.reason: FailedReason = reason


class Calls:
    """The requests of one link. ``put`` queues a frame, ``blame`` adds points for what the peer sent."""

    def __init__(
        self,
        peer: PeerId,
        limits: Limits,
        counters: MeshCounters,
        traffic: ChannelCounters,
        on_request: Callable[[PeerId, int, bytes], Awaitable[bytes]],
        put: Callable[[bytes], bool],
        blame: Callable[[int, str], None],
        narrow_until: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._peer = peer
        self._limits = limits
        self._counters = counters
        self._traffic = traffic
        self._on_request = on_request
        self._put = put
        self._blame = blame
        self._narrow_until = narrow_until
        self._rate = TokenBucket(limits.requests_per_second, limits.requests_burst, self._loop.time())
        self._pending: dict[int, asyncio.Future[bytes | FailedReason]] = {}
        self._last_request = 0
        self._serving = 0

    async def request(self, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        """Return the response. Raises RequestFailed."""
        if len(self._pending) >= self._limits.requests_pending_max:
            raise RequestFailed("full")
        number = self._next_request()
        deadline_ms = min(int(deadline_seconds * 1_000), DEADLINE_MS_MAX)
        if not self._put(request_frame(number, method, deadline_ms, payload)):
            raise RequestFailed("full")
        return await self._await_answer(number, deadline_seconds)

    def take_request(self, request: Request, now: float, tasks: asyncio.TaskGroup) -> None:
        """Work on a request of the peer's in ``tasks``, or answer that we are busy."""
        self._traffic.messages_in += 1
        self._traffic.bytes_in += len(request.payload)
        is_crowded = self._serving >= self._limits.requests_served_max
        if is_crowded or now < self._narrow_until or not self._rate.take(1, now):
            self._answer_failure(request.request, FailureCode.BUSY)
            return
        self._serving += 1
        tasks.create_task(self._serve(request))

    def take_answer(self, number: int, result: bytes | FailedReason) -> None:
        """Give an answer of the peer's to who waits for it. Raises Violation if we never asked."""
        self._traffic.messages_in += 1
        self._traffic.bytes_in += len(result) if isinstance(result, bytes) else 0
        if not 1 <= number <= self._last_request:
            raise Violation("unsolicited", f"an answer to request {number}, which we never made")
        answer = self._pending.get(number)
        if answer is not None and not answer.done():
            answer.set_result(result)
            return
        self._counters.responses_late += 1
        self._blame(LATE_POINTS, "an answer that came too late or twice")

    def fail_pending(self) -> None:
        """Tell all who wait that the link is over."""
        for answer in self._pending.values():
            if not answer.done():
                answer.set_result("disconnected")

    def blame_for(self, error: PeerError | DecodeError) -> None:
        """Add the points for what the node said of the peer's bytes."""
        points = error.points if isinstance(error, PeerError) else UNREAD_POINTS
        if points > 0:
            self._blame(points, str(error))

    async def _await_answer(self, number: int, deadline_seconds: float) -> bytes:
        answer = self._pending[number] = self._loop.create_future()
        try:
            async with asyncio.timeout(deadline_seconds):
                result = await answer
        except TimeoutError:
            raise RequestFailed("deadline") from None
        finally:
            del self._pending[number]
        if isinstance(result, bytes):
            return result
        raise RequestFailed(result)

    def _next_request(self) -> int:
        assert self._last_request < REQUEST_ID_MAX, "a link does not live for four billion requests"
        self._last_request += 1
        return self._last_request

    async def _serve(self, request: Request) -> None:
        seconds = min(request.deadline_ms / 1_000, self._limits.request_seconds_max)
        try:
            async with asyncio.timeout(seconds):
                payload = await self._on_request(self._peer, request.method, request.payload)
        except TimeoutError:
            self._answer_failure(request.request, FailureCode.DEADLINE)
        except (PeerError, DecodeError) as error:
            self.blame_for(error)
            self._answer_failure(request.request, FailureCode.REFUSED)
        else:
            assert len(payload) <= self._limits.response_bytes_max
            self._counters.requests_served += 1
            self._put(response_frame(request.request, payload))
        finally:
            self._serving -= 1

    def _answer_failure(self, number: int, code: FailureCode) -> None:
        self._counters.requests_refused[code.name.lower()] += 1
        self._put(failure_frame(number, code))
