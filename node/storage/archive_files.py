"""Segments of an archive: files of frames, each of which names the SHA-256 of the one before.

One rule: a segment has its name only when it is whole and synced. What a frame says is none of this room's business.

    frame    u32 length, bytes
    segment  NNNNNN-FIRST-LAST.archive, in the order of the numbers
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from node.storage.errors import Damaged, StorageError
from node.storage.files import DISK, NEW_SUFFIX, failed

FRAME_BYTES_MAX: Final = 64 << 20
SUFFIX: Final = ".archive"
SYNC_BYTES: Final = 8 << 20


class SegmentWriter:
    """Writes one segment."""

    def __init__(self, directory: Path, number: int, first: int) -> None:
        """Begin it under a name that nobody reads."""
        self._directory = directory
        self._name = f"{number:06d}-{first:012d}"
        DISK.make_directory(directory)
        self._path = directory / f"{self._name}{NEW_SUFFIX}"
        DISK.remove(self._path)
        self._file = DISK.create(self._path)
        self._digest = sha256()
        self._waiting = bytearray()
        self.size = 0

    def write(self, frame: bytes) -> None:
        """Append a frame."""
        if len(frame) > FRAME_BYTES_MAX:
            raise StorageError(f"a frame of {len(frame)} bytes; {FRAME_BYTES_MAX} at the most")
        data = len(frame).to_bytes(4, "big") + frame
        self._digest.update(data)
        self._waiting += data
        self.size += len(data)
        if len(self._waiting) > SYNC_BYTES:
            self._flush()

    def close(self, last: int) -> bytes:
        """Give the whole segment its name; return its SHA-256."""
        self._flush()
        DISK.sync(self._file)
        DISK.close(self._file)
        DISK.rename(self._path, self._directory / f"{self._name}-{last:012d}{SUFFIX}")
        DISK.sync_directory(self._directory)
        return self._digest.digest()

    def _flush(self) -> None:
        DISK.write(self._file, bytes(self._waiting))
        self._waiting.clear()


def segments(directory: Path) -> list[Path]:
    """Return the segments of a directory, in order."""
    return sorted(directory / name for name in DISK.names(directory) if name.endswith(SUFFIX))


def frames(path: Path) -> Iterator[bytes]:
    """Yield the frames of a segment. Raises Damaged."""
    try:
        with path.open("rb") as file:
            while length := file.read(4):
                size = int.from_bytes(length, "big")
                if len(length) < 4 or size > FRAME_BYTES_MAX:
                    raise Damaged(f"{path}: a frame that is cut or too long")
                frame = file.read(size)
                if len(frame) < size:
                    raise Damaged(f"{path}: a frame that is cut")
                yield frame
    except OSError as error:
        raise failed("read", path, error) from error
