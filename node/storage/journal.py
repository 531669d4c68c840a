"""The journal of consensus: what this validator said and must not forget, appended and synced before it is sent.

One rule: a record that ``sync`` has covered is replayed by every later ``open``, or ``open`` raises Damaged.

A journal is one segment file; ``rotate`` copies what is still needed into a new one. ``open`` rotates too: after a
failed sync the kernel may show bytes that never reached the disk, and a fresh synced copy is the one way to be sure.

    segment  magic, u64 number, salt (16 random bytes), BLAKE2b-8 of these
    record   u32 length, u8 type, payload, BLAKE2b-8 keyed with the salt over u64 offset, length, type, payload
    mark     a record of type 255 whose payload is its own offset, written after each sync: all before it was durable

The marks tell a torn tail from damage. After a power cut the records of the last, unsynced group may be there in part
and in any order: that is legal and cut off. But where a record is bad and a mark stands behind it, durable bytes have
changed. Nobody can forge a mark inside a payload: the salt is secret to this disk, and the offset is part of the sum.
"""

import os
import re
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog

from node.storage.errors import AlreadyInitialised, Damaged, NotInitialised, StorageError, StorageFailed
from node.storage.files import DISK, Disk, write_whole

RECORD_BYTES_MAX: Final = 1 << 20  # of a payload: a flipped length must not allocate more
PENDING_BYTES_MAX: Final = 8 << 20  # appended and not synced; more is synced at once
SEGMENT_BYTES_MAX: Final = 1 << 30  # it is read into memory at start; the node rotates long before
MARK: Final = 255  # the record type that is ours; all others are the caller's
MAGIC: Final = b"SOMJRNL1"
SALT_BYTES: Final = 16
SUM_BYTES: Final = 8
CHUNK_BYTES: Final = 1 << 20  # written at a time by rotate

_SEGMENT = struct.Struct(f">8sQ{SALT_BYTES}s")
_RECORD = struct.Struct(">IB")
_OFFSET = struct.Struct(">Q")
_NAME = re.compile(r"(\d{16})\.journal")
_HEADER_BYTES: Final = _SEGMENT.size + SUM_BYTES
_MARK_START: Final = _RECORD.pack(_OFFSET.size, MARK)

Record = tuple[int, bytes]  # type 0..254, payload

log = structlog.get_logger(__name__)


class Journal:
    """An open journal; made by ``open``. ``append`` and ``sync`` may run in different threads."""

    def __init__(self, directory: Path, disk: Disk, lock_descriptor: int) -> None:
        """Take a locked directory; ``open`` is the way in."""
        self._directory = directory
        self._disk = disk
        self._lock = lock_descriptor
        self._syncing = threading.Lock()  # held over I/O
        self._appending = threading.Lock()  # held for moments only
        self._pending: list[Record] = []
        self._pending_bytes = 0
        self._failed = False
        self._number = 0
        self._salt = b""
        self._descriptor = -1
        self._end = 0
        self.torn_bytes = 0  # cut off when it was opened

    @classmethod
    def create(cls, directory: Path, disk: Disk = DISK) -> None:
        """Make an empty journal: for `som init`, and for who lost its own and is held by its guard alone."""
        directory = Path(directory)
        disk.make_directory(directory)
        if _segments(disk, directory):
            raise AlreadyInitialised(f"{directory}: there is a journal already")
        journal = cls(directory, disk, disk.lock(directory / "lock"))
        try:
            journal.rotate(())
            disk.sync_directory(directory.parent)
        finally:
            journal.close()

    @classmethod
    def open(cls, directory: Path, disk: Disk = DISK) -> "tuple[Journal, list[Record]]":
        """Return the journal and its records, oldest first. Raises NotInitialised, InUse, Damaged, StorageFailed."""
        directory = Path(directory)
        if not _segments(disk, directory):
            raise NotInitialised(f"{directory}: there is no journal")
        journal = cls(directory, disk, disk.lock(directory / "lock"))
        try:
            return journal, journal._replay()
        except BaseException:
            journal.close()
            raise

    @property
    def size_bytes(self) -> int:
        """The size of the segment and of what waits to be written to it."""
        return self._end + self._pending_bytes

    def append(self, record_type: int, payload: bytes) -> None:
        """Take a record for the next ``sync``. Does no I/O, unless so much waits that it syncs by itself.

        Raises StorageError when the segment is full: nobody rotated it.
        """
        assert 0 <= record_type < MARK, f"record type {record_type}"
        assert len(payload) <= RECORD_BYTES_MAX, f"a record of {len(payload)} bytes"
        with self._appending:
            self._require_usable()
            size = _RECORD.size + len(payload) + SUM_BYTES
            if self.size_bytes + size > SEGMENT_BYTES_MAX:
                raise StorageError(f"the journal is full: {self.size_bytes} bytes; rotate it")
            self._pending.append((record_type, payload))
            self._pending_bytes += size
            waiting = self._pending_bytes
        if waiting > PENDING_BYTES_MAX:
            self.sync()

    def sync(self) -> None:
        """Make all records durable that were appended before this call. Blocks; call it in a thread."""
        with self._syncing:
            self._require_usable()
            records = self._take()
            if not records:
                return
            with self._fatal():
                data = b"".join(_encoded(records, self._salt, self._end))
                self._disk.write(self._descriptor, data)
                self._disk.sync(self._descriptor)
                self._end += len(data)
                self._write_mark()

    def rotate(self, records: Iterable[Record]) -> None:
        """Begin a new segment that holds just ``records``; what was appended and not synced follows in it.

        A crash at any moment leaves the old segment or the new one, whole.
        """
        with self._syncing:
            self._require_usable()
            with self._fatal():
                old, old_path = self._descriptor, self._path
                self._number += 1
                self._salt = os.urandom(SALT_BYTES)
                self._end = 0
                self._descriptor = write_whole(self._disk, self._path, self._segment(records))
                self._write_mark()
                if old >= 0:
                    self._disk.close(old)
                    self._disk.remove(old_path)

    def close(self) -> None:
        """Let go of the files. What was appended and not synced is lost, as in a crash."""
        with self._syncing, self._appending:
            self._failed = True
            for descriptor in (self._descriptor, self._lock):
                if descriptor >= 0:
                    self._disk.close(descriptor)
            self._descriptor = self._lock = -1

    # --- the parts ---

    @property
    def _path(self) -> Path:
        return self._directory / f"{self._number:016}.journal"

    def _replay(self) -> list[Record]:
        numbers = _segments(self._disk, self._directory)
        self._number = numbers[-1]
        data = self._disk.read(self._path, SEGMENT_BYTES_MAX, private=False)
        salt = _opened(data, self._number)
        records, end = _decoded(data, salt)
        _require_torn(data, end, salt)
        self.torn_bytes = len(data) - end
        if self.torn_bytes:
            log.warning("journal_tail_cut", bytes=self.torn_bytes, records=len(records))
        self.rotate(records)
        for stale in numbers:  # the one just replayed, and any that a crash left
            self._disk.remove(self._directory / f"{stale:016}.journal")
        return records

    def _segment(self, records: Iterable[Record]) -> Iterator[bytes]:
        fields = _SEGMENT.pack(MAGIC, self._number, self._salt)
        header = fields + blake2b(fields, digest_size=SUM_BYTES).digest()
        self._end = len(header)
        yield header
        for part in _chunked(_encoded(records, self._salt, self._end)):
            self._end += len(part)
            yield part

    def _write_mark(self) -> None:
        # Not synced itself: it is the next sync, or the kernel in its own time, that makes it durable.
        mark = _sealed(MARK, _OFFSET.pack(self._end), self._salt, self._end)
        self._disk.write(self._descriptor, mark)
        self._end += len(mark)

    def _take(self) -> list[Record]:
        with self._appending:
            records, self._pending, self._pending_bytes = self._pending, [], 0
        return records

    def _require_usable(self) -> None:
        if self._failed:
            raise StorageFailed("the journal is closed, or an earlier write to it failed")

    @contextmanager
    def _fatal(self) -> Iterator[None]:
        # Failed unless the block ends well: after an I/O error nothing may be appended or tried again.
        self._failed = True
        yield
        self._failed = False


def _segments(disk: Disk, directory: Path) -> list[int]:
    """Return the numbers of the segments, ascending."""
    return sorted(int(match[1]) for name in disk.names(directory) if (match := _NAME.fullmatch(name)))


def _opened(data: bytes, number: int) -> bytes:
    """Return the salt of a segment. Its header was durable before it got its name: any flaw is damage."""
    fields, checksum = data[: _SEGMENT.size], data[_SEGMENT.size : _HEADER_BYTES]
    if blake2b(fields, digest_size=SUM_BYTES).digest() != checksum:
        raise Damaged(f"journal segment {number}: the header is damaged")
    magic, found, salt = _SEGMENT.unpack(fields)
    if magic != MAGIC or found != number:
        raise Damaged(f"journal segment {number}: it is not what its name says")
    return bytes(salt)


def _decoded(data: bytes, salt: bytes) -> tuple[list[Record], int]:
    """Return the records up to the first flaw, and where that is."""
    records: list[Record] = []
    offset = _HEADER_BYTES
    while (record := _record_at(data, offset, salt)) is not None:
        if record[0] != MARK:
            records.append(record)
        offset += _RECORD.size + len(record[1]) + SUM_BYTES
    return records, offset


def _record_at(data: bytes, offset: int, salt: bytes) -> Record | None:
    start = offset + _RECORD.size
    if start > len(data):
        return None
    length, record_type = _RECORD.unpack_from(data, offset)
    end = start + length
    if length > RECORD_BYTES_MAX or end + SUM_BYTES > len(data):
        return None
    payload = data[start:end]
    if data[end : end + SUM_BYTES] != _checksum(record_type, payload, salt, offset):
        return None
    return record_type, payload


def _require_torn(data: bytes, end: int, salt: bytes) -> None:
    """Raise Damaged if anything behind ``end`` proves that the bytes at ``end`` were durable once."""
    offset = data.find(_MARK_START, end)
    while offset >= 0:
        if _record_at(data, offset, salt) == (MARK, _OFFSET.pack(offset)):
            raise Damaged(f"the journal is damaged at byte {end}: it was whole up to {offset} once")
        offset = data.find(_MARK_START, offset + 1)


def _encoded(records: Iterable[Record], salt: bytes, offset: int) -> Iterator[bytes]:
    for record_type, payload in records:
        sealed = _sealed(record_type, payload, salt, offset)
        offset += len(sealed)
        yield sealed


def _sealed(record_type: int, payload: bytes, salt: bytes, offset: int) -> bytes:
    head = _RECORD.pack(len(payload), record_type)
    return b"".join((head, payload, _checksum(record_type, payload, salt, offset)))


def _checksum(record_type: int, payload: bytes, salt: bytes, offset: int) -> bytes:
    checksum = blake2b(_OFFSET.pack(offset) + _RECORD.pack(len(payload), record_type), digest_size=SUM_BYTES, key=salt)
    checksum.update(payload)
    return checksum.digest()


def _chunked(parts: Iterable[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for part in parts:
        chunk += part
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)
