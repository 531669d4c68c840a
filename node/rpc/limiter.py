"""How many calls one caller may make: a token bucket per address, token or participant.

One rule: what is not counted here is not carried out. Pure: the caller gives the time.
"""

from collections import OrderedDict
from typing import Final

ADDRESSES_MAX: Final = 10_000  # buckets kept; the longest unused is forgotten, which only fills it up
BURST_SECONDS: Final = 2  # of an own rate


class Limiter:
    """Buckets of ``burst`` calls that fill by ``calls_per_second``."""

    def __init__(self, calls_per_second: int, burst: int) -> None:
        """Take the rate and the most that may come at once, both >= 1."""
        self._rate = calls_per_second
        self._burst = burst * 1_000  # in thousandths of a call
        self._buckets: OrderedDict[str, tuple[int, int]] = OrderedDict()  # address -> level, at_ms

    def wait_ms(self, address: str, now_ms: int, cost: int = 1, rate: int | None = None) -> int:
        """Take ``cost`` calls out of the caller's bucket and return 0, or return how long to wait, taking nothing.

        ``rate`` is that of a caller who has its own; its burst is BURST_SECONDS of it.
        """
        each, burst = (self._rate, self._burst) if rate is None else (rate, rate * 1_000 * BURST_SECONDS)
        level, before_ms = self._buckets.pop(address, (burst, now_ms))
        level = min(burst, level + (now_ms - before_ms) * each)
        wanted = min(cost * 1_000, burst)
        lacking = max(0, wanted - level)
        self._buckets[address] = (level if lacking else level - wanted, now_ms)
        if len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)
        return -(-lacking // each)
