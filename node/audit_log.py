"""Who did what by the admin methods, and who read whose account under which order: a log that shows if it was changed.

One rule: an entry is on disk before the call is carried out. Each one has the hash of the one before and the signature
of the node's key over its own hash, so that none can be changed, left out or put between without its showing. What was
cut off at the very end shows only against a copy: send the log elsewhere, daily.

The files are audit/audit.NNNNNN, one entry a line; a start begins a new one, and so does a full one.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import structlog

from consensus.crypto import SecretKey, verify
from consensus.encoding import digest, encode
from node.rpc.ports import AuditEntry
from node.storage.files import DISK, Disk

DIRECTORY: Final = "audit"
SEGMENT_BYTES_MAX: Final = 1024 * 1024
SEGMENTS_MAX: Final = 64  # the oldest is removed: at 300 bytes an entry, 200,000 are kept
LINE_BYTES_MAX: Final = 16 * 1024
TEXT_CHARS_MAX: Final = 512  # of one param
GENESIS: Final = bytes(32).hex()  # before the first entry
_TAG: Final = b"som-audit-1"

log = structlog.get_logger("audit")


class AuditBroken(Exception):
    """The log was changed, or a part of it is missing; the text says where."""


class AuditLog:
    """The log of a running node. Nothing is written until there is something to write."""

    def __init__(self, directory: Path, key: SecretKey, now_ms: Callable[[], int], disk: Disk = DISK) -> None:
        self._directory = directory
        self._key = key
        self._now_ms = now_ms
        self._disk = disk
        self._writing = asyncio.Lock()
        self._descriptor = -1
        self._size = 0
        self._number, self._hash = self._last()

    async def record(self, caller: str, method: str, params: dict[str, str], allowed: bool) -> None:
        """Write an entry, durably."""
        told = {name: value[:TEXT_CHARS_MAX] for name, value in params.items()}
        async with self._writing:
            entry = self._next(caller, method, told, allowed)
            await asyncio.to_thread(self._append, _line(entry))
            self._number, self._hash = entry.number, entry.hash
        log.info("audited", number=entry.number, caller=caller, method=method, allowed=allowed)

    def entries(self, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return the entries after a number, ascending, as they stand: ``verified`` says whether they can be right."""
        found: list[AuditEntry] = []
        for path in reversed(segments(self._directory, self._disk)):
            lines = [entry for entry in _entries(path, self._disk) if entry.number > after]
            found = [*lines, *found]
            if len(lines) == 0 or lines[0].number == after + 1:
                break
        return found[:limit]

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1

    def _next(self, caller: str, method: str, params: dict[str, str], allowed: bool) -> AuditEntry:
        number, time_ms = self._number + 1, self._now_ms()
        own = hash_of(number, time_ms, caller, method, params, allowed, self._hash)
        signature = self._key.sign(own)
        return AuditEntry(
            number, time_ms, caller, method, params, allowed, self._hash, own.hex(), bytes(signature).hex()
        )

    def _append(self, line: bytes) -> None:
        if self._descriptor < 0 or self._size + len(line) > SEGMENT_BYTES_MAX:
            self._begin()
        self._disk.write(self._descriptor, line)
        self._disk.sync(self._descriptor)
        self._size += len(line)

    def _begin(self) -> None:
        self.close()
        self._disk.make_directory(self._directory)
        paths = segments(self._directory, self._disk)
        number = 1 + (int(paths[-1].name.rpartition(".")[2]) if paths else 0)
        self._descriptor, self._size = self._disk.create(self._directory / f"audit.{number:06d}"), 0
        for path in paths[: max(0, len(paths) + 1 - SEGMENTS_MAX)]:
            self._disk.remove(path)
        self._disk.sync_directory(self._directory)

    def _last(self) -> tuple[int, str]:
        """Return number and hash of the last entry."""
        for path in reversed(segments(self._directory, self._disk)):
            entries = list(_entries(path, self._disk))
            if entries:
                return entries[-1].number, entries[-1].hash
        return 0, GENESIS


def segments(directory: Path, disk: Disk = DISK) -> list[Path]:
    """Return the files, oldest first."""
    names = [name for name in disk.names(directory) if name.startswith("audit.") and name[6:].isdigit()]
    return [directory / name for name in sorted(names)]


def verified(directory: Path, public: bytes, disk: Disk = DISK) -> Iterator[AuditEntry]:
    """Yield all entries, each checked. Raises AuditBroken. The first one kept is believed about what was before it."""
    before: AuditEntry | None = None
    paths = segments(directory, disk)
    for path in paths:
        for entry in _entries(path, disk, strict=True):
            where = f"{path.name}, entry {entry.number}"
            if before is not None and (entry.number, entry.before) != (before.number + 1, before.hash):
                raise AuditBroken(f"{where}: does not follow entry {before.number}")
            if before is None and entry.number == 1 and entry.before != GENESIS:
                raise AuditBroken(f"{where}: the first entry follows nothing")
            own = hash_of(
                entry.number, entry.time_ms, entry.caller, entry.method, entry.params, entry.allowed, entry.before
            )
            if own.hex() != entry.hash or not verify(public, own, bytes.fromhex(entry.signature)):
                raise AuditBroken(f"{where}: not what this node's key has signed")
            before = entry
            yield entry


def hash_of(
    number: int, time_ms: int, caller: str, method: str, params: dict[str, str], allowed: bool, before: str
) -> bytes:
    """Return the hash of an entry, which the node's key signs."""
    pairs = tuple(sorted(params.items()))
    return digest(_TAG, bytes.fromhex(before), encode((number, time_ms, caller, method, pairs, allowed)))


def _line(entry: AuditEntry) -> bytes:
    return json.dumps(asdict(entry), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _entries(path: Path, disk: Disk, strict: bool = False) -> Iterator[AuditEntry]:
    """Yield the entries of a file. A last line without its end is a write that a crash cut short, and is no entry."""
    lines = disk.read(path, 2 * SEGMENT_BYTES_MAX).split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            yield _entry(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            if strict:
                raise AuditBroken(f"{path.name}, line {number}: {error}") from None
            log.error("audit_log_damaged", file=path.name, line=number)


def _entry(value: Any) -> AuditEntry:
    """Return an entry. Raises ValueError, TypeError or KeyError."""
    entry = AuditEntry(**value)
    for name, kind in (("number", int), ("time_ms", int), ("allowed", bool), ("params", dict)):
        if type(getattr(entry, name)) is not kind:
            raise ValueError(f"{name} is no {kind.__name__}")
    if any(type(part) is not str for pair in entry.params.items() for part in pair):
        raise ValueError("a param is no text")
    for name, size in (("before", 32), ("hash", 32), ("signature", 64)):
        if len(bytes.fromhex(getattr(entry, name))) != size:
            raise ValueError(f"{name} has not {size} bytes")
    return entry
