"""How many bytes are held for callers: bodies that come, and replies that are not read yet.

One rule: a byte counts while it is here, and no address has all the room. The first of each body or reply are free, so
that small calls get through when the room is used up: connections bound them. The operator's own are not counted.
"""

from collections import Counter
from types import TracebackType
from typing import Final, Self

FREE_BYTES: Final = 64 * 1024


class Room:
    """``bytes_max`` for all, ``share_max`` of them for one address."""

    def __init__(self, bytes_max: int, share_max: int) -> None:
        """Begin empty."""
        self._bytes_max = bytes_max
        self._share_max = share_max
        self._shares: Counter[str] = Counter()
        self.used = 0

    def hold(self, address: str | None) -> "Held":
        """Return what is to be held for an address; None: for the operator of this node."""
        return Held(self, address)

    def take(self, address: str, count: int) -> bool:
        """Count bytes, unless there is no room for them: then False."""
        if count and (self.used + count > self._bytes_max or self._shares[address] + count > self._share_max):
            return False
        self.used += count
        self._shares[address] += count
        return True

    def give_back(self, address: str, count: int) -> None:
        """Count them no more."""
        self.used -= count
        self._shares[address] -= count
        if not self._shares[address]:
            del self._shares[address]


class Held:
    """The bytes of one body, or of the replies to it; given back at the end of a ``with``."""

    def __init__(self, room: Room, address: str | None) -> None:
        """Begin with none."""
        self._room = room
        self._address = address
        self._size = 0
        self._counted = 0

    def grow(self, count: int) -> bool:
        """Hold so many more, and return whether there is room for them."""
        counted = max(0, self._size + count - FREE_BYTES)
        if self._address is not None and not self._room.take(self._address, counted - self._counted):
            return False
        self._size, self._counted = self._size + count, counted
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._address is not None:
            self._room.give_back(self._address, self._counted)
