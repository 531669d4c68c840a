"""The files of journal and guard in memory, and what a loss of power leaves of them.

One rule: what was synced is there afterwards. Of what was written later each 512-byte sector is there or is zeros, cut
anywhere; of the names made, replaced or removed since their directory was synced any subset is there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from node.storage.errors import InUse, StorageError
from node.storage.files import Disk

SECTOR_BYTES: Final = 512

Names = dict[Path, int]


@dataclass(slots=True)
class _File:
    data: bytearray = field(default_factory=bytearray)
    synced: int = 0

    def torn(self, random: Random) -> bytes:
        """Draw what is left of it."""
        low, high = self.synced, len(self.data)
        left = bytearray(self.data[: random.choice((low, high, random.randint(low, high)))])
        for start in range(low - low % SECTOR_BYTES, len(left), SECTOR_BYTES):
            if random.random() < 0.3:
                first, last = max(low, start), min(len(left), start + SECTOR_BYTES)
                left[first:last] = bytes(last - first)
        return bytes(left)


class MemoryDisk(Disk):
    """One host's files. ``before`` is called before each operation that changes one."""

    def __init__(self, before: Callable[[], None]) -> None:
        self._before = before
        self._files: dict[int, _File] = {}
        self._names: Names = {}
        self._durable: Names = {}
        self._changes: list[tuple[Path, Callable[[Names], None]]] = []  # since the directory was synced
        self._open: dict[int, int] = {}
        self._locks: dict[Path, int] = {}
        self._next = 1_000

    # --- what may happen to it ---

    def process_ends(self) -> None:
        """Nobody holds a file or a lock any more; what was written is still in the kernel."""
        self._open.clear()
        self._locks.clear()

    def power_ends(self, random: Random) -> None:
        """Keep what was synced, and chance decides on the rest."""
        self.process_ends()
        for _, change in self._changes:
            if random.random() < 0.5:
                change(self._durable)
        self._changes.clear()
        self._names = dict(self._durable)
        kept = {number: self._files[number].torn(random) for number in sorted(self._names.values())}
        self._files = {number: _File(bytearray(data), len(data)) for number, data in kept.items()}

    # --- the operations ---

    def make_directory(self, directory: Path) -> None:
        pass

    def names(self, directory: Path) -> list[str]:
        return [path.name for path in self._names if path.parent == directory]

    def exists(self, path: Path) -> bool:
        return path in self._names

    def lock(self, path: Path) -> int:
        if path in self._locks:
            raise InUse(f"{path}: held")
        self._locks[path] = self._descriptor()
        return self._locks[path]

    def require_private_directory(self, directory: Path) -> None:
        pass

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        self._locks = {path: held for path, held in self._locks.items() if held != descriptor}

    def create(self, path: Path) -> int:
        self._before()
        if path in self._names:
            raise FileExistsError(path)
        number, descriptor = self._descriptor(), self._descriptor()
        self._files[number] = _File()
        self._open[descriptor] = number
        self._change(path, lambda names: names.__setitem__(path, number))
        return descriptor

    def read(self, path: Path, most: int, *, private: bool = True) -> bytes:
        if path not in self._names:
            raise FileNotFoundError(path)
        data = bytes(self._files[self._names[path]].data)
        if len(data) > most:
            raise StorageError(f"{path}: {len(data)} bytes; {most} at the most")
        return data

    def write(self, descriptor: int, data: bytes) -> None:
        self._before()
        self._files[self._open[descriptor]].data += data

    def sync(self, descriptor: int) -> None:
        self._before()
        file = self._files[self._open[descriptor]]
        file.synced = len(file.data)

    def rename(self, old: Path, new: Path) -> None:
        self._before()

        def change(names: Names) -> None:
            if old in names:
                names[new] = names.pop(old)

        self._change(new, change)

    def remove(self, path: Path) -> None:
        self._before()
        if path in self._names:
            self._change(path, lambda names: names.pop(path, None))

    def sync_directory(self, directory: Path) -> None:
        self._before()
        for path, change in self._changes:
            if path.parent == directory:
                change(self._durable)
        self._changes = [(path, change) for path, change in self._changes if path.parent != directory]

    def _change(self, path: Path, change: Callable[[Names], object]) -> None:
        change(self._names)
        self._changes.append((path, change))  # type: ignore[arg-type]

    def _descriptor(self) -> int:
        self._next += 1
        return self._next
