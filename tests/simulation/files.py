"""The files of one validator, in memory: the real journal and the real guard write here, and the power may fail.

One rule: what a crash leaves is drawn from the one model of crashes (tests/storage_crashes.py). Between two crashes the
process sees what it wrote.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from node.storage.errors import InUse, StorageError, StorageFailed
from node.storage.files import Disk
from tests.storage_crashes import SECTOR_BYTES, Op, State

KEYS: Final = Path("keys")
DATA: Final = Path("data")


class PowerLost(Exception):
    """The power failed in the middle of an operation."""


class MemoryDisk(Disk):
    """Files by path. ``on_synced`` hears the path of each file that is durable now, ``before`` of what changes one."""

    def __init__(
        self, on_synced: Callable[[Path], None] = lambda path: None, before: Callable[[], None] = lambda: None
    ) -> None:
        self.full = False  # no room for another byte
        self.unreadable = False  # whatever is read fails
        self.power_for: int | None = None  # operations until the power fails
        self._on_synced = on_synced
        self._before = before
        self._state = State()
        self._live: dict[Path, int] = {}  # names as the process sees them
        self._open: dict[int, int] = {}  # descriptor -> file
        self._locks: dict[int, Path] = {}
        self._numbers = 0

    # --- what happens to it ---

    def lose_power(self, random: Random) -> None:
        """The process is gone, and with it what no sync made durable, or a part of that."""
        left = self._state.drawn(random, lambda name: KEYS.name not in Path(name).parts)
        self._begin_from(left)

    def end_process(self) -> None:
        """The process is gone; what it wrote is there."""
        self.power_for = None
        self._open.clear()
        self._locks.clear()

    def wipe(self, directory: Path) -> None:
        """Lose all files of a directory."""
        self.end_process()
        kept = [path for path in self._live if directory not in path.parents]
        self._begin_from({path.as_posix(): bytes(self._state.files[self._live[path]].data) for path in kept})

    def damage(self, directory: Path, random: Random) -> None:
        """Change some bytes of a directory's files, if it has any, which were durable, under a process that ended."""
        left = {path.as_posix(): bytearray(self._state.files[file].data) for path, file in self._live.items()}
        names = [name for name, data in sorted(left.items()) if data and directory in Path(name).parents]
        if not names:
            return  # it has never started
        data = left[random.choice(names)]
        start = random.randrange(len(data))
        match random.choice(("bit", "bit", "byte", "sector", "cut")):
            case "bit":
                data[start] ^= 1 << random.randrange(8)
            case "byte":
                data[start] ^= random.randint(1, 255)
            case "sector":
                low = start - start % SECTOR_BYTES
                data[low : low + SECTOR_BYTES] = random.randbytes(len(data[low : low + SECTOR_BYTES]))
            case _:
                del data[start:]
        self._begin_from({name: bytes(data) for name, data in left.items()})

    def _begin_from(self, left: dict[str, bytes]) -> None:
        self.end_process()
        self._state = State()
        self._live.clear()
        for name, content in left.items():
            self._numbers += 1
            self._state.do(Op("create", self._numbers, new=name))
            self._state.do(Op("write", self._numbers, content))
            self._state.do(Op("sync", self._numbers))
            self._live[Path(name)] = self._numbers
        self._state.do(Op("sync_directory"))

    def _do(self, op: Op) -> None:
        self._before()
        if self.power_for is not None:
            self.power_for -= 1
            if self.power_for <= 0:
                raise PowerLost
        self._state.do(op)

    # --- the operations ---

    def make_directory(self, directory: Path) -> None:
        pass

    def require_private_directory(self, directory: Path) -> None:
        pass

    def names(self, directory: Path) -> list[str]:
        return [path.name for path in self._live if path.parent == directory]

    def exists(self, path: Path) -> bool:
        return path in self._live

    def create(self, path: Path) -> int:
        if path in self._live:
            raise FileExistsError(path)
        number = self._next()
        self._do(Op("create", number, new=path.as_posix()))
        self._live[path] = self._open[number] = number
        return number

    def read(self, path: Path, most: int, *, private: bool = True) -> bytes:
        if path not in self._live:
            raise FileNotFoundError(path)
        if self.unreadable:
            raise StorageFailed(f"read {path}: input/output error")
        data = self._state.files[self._live[path]].data
        if len(data) > most:
            raise StorageError(f"{path}: {len(data)} bytes; {most} at the most")
        return bytes(data)

    def write(self, descriptor: int, data: bytes) -> None:
        if self.full:
            self._do(Op("write", self._open[descriptor], data[: len(data) // 2]))
            raise StorageFailed("write: no space left on device")
        self._do(Op("write", self._open[descriptor], data))

    def sync(self, descriptor: int) -> None:
        number = self._open[descriptor]
        self._do(Op("sync", number))
        for path, file in self._live.items():
            if file == number:
                self._on_synced(path)

    def rename(self, old: Path, new: Path) -> None:
        self._do(Op("rename", old=old.as_posix(), new=new.as_posix()))
        self._live[new] = self._live.pop(old)

    def remove(self, path: Path) -> None:
        if path in self._live:
            self._do(Op("remove", old=path.as_posix()))
            del self._live[path]

    def sync_directory(self, directory: Path) -> None:
        self._do(Op("sync_directory", old=f"{directory.as_posix()}/"))

    def lock(self, path: Path) -> int:
        if path in self._locks.values():
            raise InUse(f"{path}: held")
        number = self._next()
        self._locks[number] = path
        return number

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        self._locks.pop(descriptor, None)

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers
