"""How many calls one caller may make: a token bucket per address.

One rule: what is not counted here is not carried out. Pure: the caller gives the time.
"""

from collections import OrderedDict
from typing import Final

ADDRESSES_MAX: Final = 10_000  # buckets kept; the longest unused is forgotten, which only fills it up


class Limiter:
    """Buckets of ``burst`` calls that fill by ``calls_per_second``."""

    def __init__(self, calls_per_second: int, burst: int) -> None:
        """Take the rate and the most that may come at once, both >= 1."""
        self._rate = calls_per_second
        self._burst = burst * 1_000  # in thousandths of a call
        self._buckets: OrderedDict[str, tuple[int, int]] = OrderedDict()  # address -> level, at_ms

    def wait_ms(self, address: str, now_ms: int, cost: int = 1) -> int:
        """Take ``cost`` calls out of the caller's bucket and return 0, or return how long to wait, taking nothing."""
        level, before_ms = self._buckets.pop(address, (self._burst, now_ms))
        level = min(self._burst, level + (now_ms - before_ms) * self._rate)
        wanted = min(cost * 1_000, self._burst)
        lacking = max(0, wanted - level)
        self._buckets[address] = (level if lacking else level - wanted, now_ms)
        if len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)
        return -(-lacking // self._rate)
