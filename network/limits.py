"""How much: channels and their bounds, the limits of a mesh, token buckets and scores.

One rule: pure. Time is an argument, monotonic seconds.
"""

from dataclasses import dataclass
from math import exp2
from typing import Final, Literal

OnFull = Literal["drop_oldest", "drop_new", "disconnect"]

MISBEHAVED_POINTS: Final = 100  # at this score a peer is disconnected and comes back on the narrow lane
SCORE_HALVES_SECONDS: Final = 600.0  # an old slip is forgotten, steady misbehaviour is not
POINTS: Final = {"malformed": 100, "oversize": 20, "unknown": 20, "unsolicited": 20}  # by kind of violation
OVER_RATE_POINTS: Final = 5  # at most once a second for each channel: 20 s of flooding, not one burst


@dataclass(frozen=True, slots=True)
class Channel:
    """A numbered stream of messages with bounds of its own. Channels with a smaller ``priority`` are written first.

    ``on_full`` says what happens when the outbox of a slow peer is full: lose the oldest messages, lose the new one,
    or end the link (when a gap would be worse than a reconnect). Rates bound what one peer may send us.
    """

    number: int  # 1..239
    name: str
    payload_bytes_max: int
    outbox_bytes_max: int
    priority: int
    on_full: OnFull
    messages_per_second: float
    bytes_per_second: float
    messages_burst: float | None = None  # None: two seconds' worth
    bytes_burst: float | None = None  # None: two seconds' worth, and never less than one largest message
    narrow_messages_per_second: float = 0.0  # what is left to a peer on the narrow lane; 0: nothing


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a mesh. The defaults are for 4 to 64 validators on a wide area network."""

    # Members now and of the epoch before, seats with two keys each, and some of our own: each may cost its outboxes.
    peers_max: int = 192
    handshakes_max: int = 32  # at once, inbound: each holds a socket and a TLS state
    handshakes_per_ip_max: int = 16  # at once: one stranger cannot take all places
    handshakes_per_ip_per_second: float = 8.0  # a TLS handshake costs about 3 ms of a core
    handshakes_per_ip_burst: float = 64.0  # a whole network behind one address may come back at once
    handshake_seconds: float = 5.0  # TCP, TLS, upgrade, HELLO and WELCOME together
    ping_seconds: float = 5.0
    pings_unanswered_max: int = 3  # dead after 15 s of silence; counted, so that our own pause kills no link
    write_seconds: float = 5.0  # a peer that takes no bytes for so long is too slow
    close_seconds: float = 1.0  # courtesy for the closing frame
    link_bytes_per_second: float = 32 * 2.0**20  # all channels; beyond it we stop reading, TCP slows the peer down
    link_bytes_burst: float = 16 * 2.0**20
    link_messages_per_second: float = 20_000.0  # about a third of what a core can read
    link_messages_burst: float = 20_000.0
    read_pause_seconds_max: float = 1.0  # the longest single pause in reading
    requests_pending_max: int = 64  # of ours, with one peer
    requests_served_max: int = 4  # of theirs, at once
    requests_per_second: float = 50.0
    requests_burst: float = 100.0
    request_bytes_max: int = 64 * 2**10
    response_bytes_max: int = 2**20
    request_seconds_max: float = 30.0  # we work no longer on any request
    request_outbox_bytes_max: int = 8 * 2**20  # requests and responses: twice the responses that can be in service
    request_priority: int = 1_000  # after every channel
    backoff_seconds_min: float = 0.1
    backoff_seconds_max: float = 5.0
    backoff_refused_seconds: float = 60.0  # other chain, other version, not the node we dialled, refused
    steady_seconds: float = 5.0  # a link that lived so long resets the backoff
    head_start_seconds: float = 0.25  # the smaller id dials first, so that most pairs make one handshake, not two
    stale_seconds: float = 15.0  # longer than a dial with its handshake: who dials us when a link is older, lost it
    block_seconds_min: float = 5.0  # after a misbehaviour; doubles up to the next figure
    block_seconds_max: float = 60.0
    narrow_seconds: float = 600.0
    context_seconds: float = 86_400.0  # TLS contexts and the leaf in them are renewed daily, the leaf holds 30 days


class TokenBucket:
    """At most ``burst`` at once and ``rate`` a second for ever."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take ``amount`` if there is as much. Return whether there was."""
        self._refill(now)
        if amount > self._tokens:
            return False
        self._tokens -= amount
        return True

    def force(self, amount: float, now: float) -> float:
        """Take ``amount`` in any case. Return the seconds until the debt is paid, 0 without debt."""
        self._refill(now)
        self._tokens -= amount
        return 0.0 if self._tokens >= 0.0 else -self._tokens / self._rate

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now


class Score:
    """Points for misbehaviour that halve every SCORE_HALVES_SECONDS."""

    __slots__ = ("_at", "_points")

    def __init__(self) -> None:
        self._points = 0.0
        self._at = 0.0

    def add(self, points: float, now: float) -> float:
        """Return the score after ``points`` more."""
        self._points = self.at(now) + points
        self._at = now
        return self._points

    def at(self, now: float) -> float:
        return self._points * exp2(-max(0.0, now - self._at) / SCORE_HALVES_SECONDS)

    def clear(self) -> None:
        self._points = 0.0
