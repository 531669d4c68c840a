"""What a crash may leave of files: records the operations of ``node.storage.files.Disk``, rebuilds every legal state.

The model is stricter than any real file system. After a crash at some operation
- a file holds what was synced, and of each later 512-byte sector either what was written or zeros, cut anywhere;
- of the names that were made, replaced or removed since the directory was synced any subset is there; each leads to the
  file to which it was given.

``crash_states`` yields them all, or a fair sample; ``State.drawn`` draws one, for a simulator that goes on from there.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from node.storage.files import Disk

SECTOR_BYTES = 512
SUBSETS_MAX = 2**6  # of one kind at one moment; more are sampled


@dataclass(frozen=True)
class Op:
    """One operation, or a note of what has been promised by then."""

    what: str  # create, write, sync, rename, remove, sync_directory, note
    file: int = 0  # State finds out which one a rename or remove is of
    data: bytes = b""
    old: str = ""
    new: str = ""


class RecordingDisk(Disk):
    """Does the operations and records them. ``forgetful`` names operations that it does not do for real.

    Names are those in their directory, or with ``root`` the paths below it.
    """

    def __init__(self, forgetful: str = "", root: Path | None = None) -> None:
        self.ops: list[Op] = []
        self._forgetful = forgetful
        self._root = root
        self._file_of: dict[int, int] = {}
        self._files = 0

    def note(self, what: str) -> None:
        self.ops.append(Op("note", new=what))

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self._files += 1
        self._file_of[descriptor] = self._files
        self.ops.append(Op("create", self._files, new=self._name(path)))
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        super().write(descriptor, data)
        self.ops.append(Op("write", self._file_of[descriptor], bytes(data)))

    def sync(self, descriptor: int) -> None:
        if self._forgetful != "sync":
            self.ops.append(Op("sync", self._file_of[descriptor]))

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self.ops.append(Op("rename", old=self._name(old), new=self._name(new)))

    def remove(self, path: Path) -> None:
        if path.exists():
            super().remove(path)
            self.ops.append(Op("remove", old=self._name(path)))

    def sync_directory(self, directory: Path) -> None:
        if self._forgetful != "sync_directory":
            self.ops.append(Op("sync_directory", old=self._name(directory) + "/" if self._root else ""))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix() if self._root else path.name


class UnsyncedDisk(Disk):
    """Does all but the syncs, which take most of the time."""

    def sync(self, descriptor: int) -> None:
        pass

    def sync_directory(self, directory: Path) -> None:
        pass


@dataclass
class _File:
    synced: int = 0
    data: bytearray = field(default_factory=bytearray)

    def states(self, random: Random) -> Iterator[bytes]:
        """Yield what may be left, the whole first."""
        yield bytes(self.data)
        if self.synced == len(self.data):
            return
        low, high = self.synced, len(self.data)
        for cut in sorted({low, low + 1, (low + high) // 2, high - 1}):
            yield bytes(self.data[:cut])
        sectors = range(low // SECTOR_BYTES, (high - 1) // SECTOR_BYTES + 1)
        for lost in _subsets(sectors, random):
            left = bytearray(self.data)
            for sector in lost:
                start = max(low, sector * SECTOR_BYTES)
                end = min(high, (sector + 1) * SECTOR_BYTES)
                left[start:end] = bytes(end - start)
            yield bytes(left)

    def drawn(self, random: Random, torn: bool) -> bytes:
        """Return one of them at random; if ``torn``, a sector may also hold only the beginning of what was written."""
        left, low = bytearray(self.data), self.synced
        for sector in range(low - low % SECTOR_BYTES, len(left), SECTOR_BYTES):
            start, end = max(low, sector), min(len(left), sector + SECTOR_BYTES)
            fate = random.random()
            if fate < 0.3:
                left[start:end] = bytes(end - start)
            elif torn and fate < 0.5:
                start = random.randint(start, end)
                left[start:end] = bytes(end - start)
        return bytes(left[: random.choice((len(left), random.randint(low, len(left))))])


@dataclass
class State:
    """Files and names at one moment, the durable and the others."""

    files: dict[int, _File] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)  # durable
    pending: list[Op] = field(default_factory=list)  # changes of names since the directory was synced
    notes: list[str] = field(default_factory=list)

    def do(self, op: Op) -> None:
        """Let an operation happen."""
        if op.what == "note":
            self.notes.append(op.new)
        elif op.what == "write":
            self.files[op.file].data += op.data
        elif op.what == "sync":
            self.files[op.file].synced = len(self.files[op.file].data)
        elif op.what == "sync_directory":
            durable = [change for change in self.pending if (change.new or change.old).startswith(op.old)]
            self.names = _named(self.names, durable)
            self.pending = [change for change in self.pending if change not in durable]
        else:
            if op.what == "create":
                self.files[op.file] = _File()
            else:
                op = replace(op, file=_named(self.names, self.pending).get(op.old, 0))
            self.pending.append(op)

    def drawn(self, random: Random, torn: Callable[[str], bool]) -> dict[str, bytes]:
        """Return name -> content of one state that a crash now may leave; ``torn`` names files whose sectors may be."""
        names = _named(self.names, [change for change in self.pending if random.random() < 0.5])
        return {name: self.files[number].drawn(random, torn(name)) for name, number in names.items()}


def crash_states(ops: Iterable[Op], seed: int = 0) -> Iterator[tuple[list[str], dict[str, bytes]]]:
    """Yield (what was promised, name -> content) for every state that a crash between two operations may leave."""
    random = Random(seed)
    state = State()
    yield [], {}
    for op in ops:
        state.do(op)  # a note too makes new states: a promise is kept from the very moment on
        yield from _left(state, random)


def lay_out(directory: Path, files: dict[str, bytes]) -> None:
    """Put the files into an empty directory."""
    directory.mkdir(mode=0o700)
    for name, content in files.items():
        (directory / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, content)
        os.close(descriptor)


def _left(state: State, random: Random) -> Iterator[tuple[list[str], dict[str, bytes]]]:
    notes = list(state.notes)
    for done in _subsets(range(len(state.pending)), random):
        names = _named(state.names, [state.pending[index] for index in done])
        numbers = sorted(set(names.values()))
        unsynced = [number for number in numbers if state.files[number].synced < len(state.files[number].data)]
        whole = {name: bytes(state.files[number].data) for name, number in names.items()}
        yield notes, whole
        for number in unsynced:
            for content in state.files[number].states(random):
                yield notes, {name: content if names[name] == number else data for name, data in whole.items()}


def _named(names: dict[str, int], changes: Iterable[Op]) -> dict[str, int]:
    result = dict(names)
    for op in changes:
        if op.what != "create" and result.get(op.old) == op.file:  # else a change that was lost had given the name
            del result[op.old]
        if op.what != "remove" and op.file:
            result[op.new] = op.file
    return result


def _subsets(items: Iterable[int], random: Random) -> Iterator[tuple[int, ...]]:
    pool = list(items)
    if 2 ** len(pool) <= SUBSETS_MAX:
        for size in range(len(pool), -1, -1):
            yield from itertools.combinations(pool, size)
        return
    yield tuple(pool)
    yield ()
    for _ in range(SUBSETS_MAX - 2):
        yield tuple(item for item in pool if random.random() < 0.5)
