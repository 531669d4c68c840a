"""Files of snapshots: those that we made and show to others, and the pieces of one that we fetch.

One rule: what stands under its name is whole. A snapshot appears as a directory that is renamed, a fetched piece under
its own hash, so that after a crash what is there can be used, and what is half made is made anew.

    snapshots/HEIGHT/NUMBER     a snapshot; its files are numbered
    snapshots/HEIGHT.new/       one that is being made
    snapshot.fetch/SHA256       pieces that came from peers
"""

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Final

from node.storage.disk import bytes_in
from node.storage.errors import StorageError
from node.storage.files import DISK, NEW_SUFFIX, failed, write_file

FILE_BYTES_MAX: Final = 32 << 20  # of one file of a snapshot; pieces of the state have a fiftieth as a rule


class Shelf:
    """The snapshots that a node keeps for others."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is made with the first snapshot."""
        self._directory = directory
        self._sizes: dict[int, int] = {}  # of those that are whole: they never change

    def heights(self) -> list[int]:
        """Return the heights of the snapshots that are whole, ascending."""
        return sorted(int(name) for name in DISK.names(self._directory) if name.isdecimal())

    def sizes(self) -> dict[int, int]:
        """Return how many bytes each of them has, by height, ascending."""
        self._sizes = {
            height: self._sizes.get(height) or bytes_in(self._directory / str(height)) for height in self.heights()
        }
        return self._sizes

    def read(self, height: int, number: int, offset: int, most: int) -> bytes | None:
        """Return at most so many bytes of a file, from an offset on; None if there is no such file."""
        try:
            with (self._directory / str(height) / str(number)).open("rb") as file:
                file.seek(offset)
                return file.read(most)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed("read", self._directory, error) from error

    def begin(self, height: int) -> "Draft":
        """Begin a snapshot; what a crash has left of others is removed."""
        try:
            for name in DISK.names(self._directory):
                if name.endswith(NEW_SUFFIX):
                    shutil.rmtree(self._directory / name)
            draft = self._directory / f"{height}{NEW_SUFFIX}"
            DISK.make_directory(draft)
        except OSError as error:
            raise failed("begin", self._directory, error) from error
        return Draft(draft)

    def keep(self, count: int) -> None:
        """Remove all but the newest ``count``."""
        try:
            for height in self.heights()[: -count or None]:
                shutil.rmtree(self._directory / str(height))
        except OSError as error:
            raise failed("remove", self._directory, error) from error


class Draft:
    """A snapshot that is being made."""

    def __init__(self, directory: Path) -> None:
        """Take an empty directory."""
        self._directory = directory

    def gather(self, name: str, data: bytes) -> None:
        """Append to a heap, from which a file will be made."""
        try:
            with (self._directory / f"heap-{name}").open("ab") as file:
                file.write(data)
        except OSError as error:
            raise failed("append", self._directory, error) from error

    def gathered(self, name: str) -> bytes:
        """Return a heap and remove it."""
        path = self._directory / f"heap-{name}"
        try:
            data = path.read_bytes()
            path.unlink()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise failed("read", path, error) from error
        return data

    def put(self, number: int, data: bytes) -> None:
        """Write one file of the snapshot, durably."""
        if len(data) > FILE_BYTES_MAX:
            raise StorageError(f"a file of a snapshot has {len(data)} bytes; {FILE_BYTES_MAX} at the most")
        write_file(self._directory / str(number), data)

    def publish(self) -> None:
        """Give the whole snapshot its name."""
        path = self._directory.with_name(self._directory.name.removesuffix(NEW_SUFFIX))
        DISK.sync_directory(self._directory)
        try:
            shutil.rmtree(path, ignore_errors=True)
            os.rename(self._directory, path)
        except OSError as error:
            raise failed("rename", path, error) from error
        DISK.sync_directory(path.parent)


class Fetched:
    """Pieces that came from peers, each under its SHA-256. They survive a crash."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is made with the first piece."""
        self._directory = directory

    def has(self, name: bytes) -> bool:
        """Return whether a piece is here; ``get`` finds out whether it is sound."""
        return DISK.exists(self._directory / name.hex())

    def get(self, name: bytes) -> bytes | None:
        """Return a piece; None if it is not here, or damaged: then it is removed."""
        path = self._directory / name.hex()
        try:
            data = DISK.read(path, FILE_BYTES_MAX)
        except FileNotFoundError:
            return None
        if sha256(data).digest() != name:
            DISK.remove(path)
            return None
        return data

    def put(self, data: bytes) -> None:
        """Keep a piece."""
        DISK.make_directory(self._directory)
        write_file(self._directory / sha256(data).hexdigest(), data)

    def keep_only(self, names: frozenset[bytes]) -> None:
        """Remove what another snapshot has left."""
        for name in DISK.names(self._directory):
            if name not in {each.hex() for each in names}:
                DISK.remove(self._directory / name)

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self._directory, ignore_errors=True)
