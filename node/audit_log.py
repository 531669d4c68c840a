"""Who did what by the admin methods, and who read whose account under which order: a log that shows if it was changed.

One rule: an entry is on disk before the call is carried out. Each one has the hash of the one before and the signature
of the node's key over its own hash, so that none can be changed, left out or put between without its showing. What was
cut off at the very end shows only against a copy: send the log elsewhere, daily.

The files are audit/audit.NNNNNN, one entry a line; a start begins a new one, and so does a full one. All that writes
runs in one thread of the log's own, a call after another and each to its end: a caller that goes away changes nothing.
"""

import asyncio
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from consensus.crypto import SecretKey, verify
from consensus.encoding import digest, encode
from node.rpc.ports import AuditEntry
from node.storage.errors import StorageError
from node.storage.files import DISK, Disk, write_whole

DIRECTORY: Final = "audit"
SEGMENT_BYTES_MAX: Final = 1024 * 1024
SEGMENTS_MAX: Final = 64  # the oldest is removed: at 300 bytes an entry, 200,000 are kept
TEXT_CHARS_MAX: Final = 512  # of one param; how many more it had is said
REFUSALS_MAX: Final = 5  # of one caller in a minute are written; how many more there were is said
REFUSALS_MS: Final = 60_000
MORE_REFUSED: Final = "refused"  # the method of an entry that says how many refusals of a caller are not in the log
GENESIS: Final = bytes(32).hex()  # before the first entry
_NO_NUMBER: Final = 2**63  # of a line that is no entry: above all others
_TAG: Final = b"som-audit-1"

log = structlog.get_logger("audit")


class AuditBroken(Exception):
    """The log was changed, or a part of it is missing; the text says where."""


@dataclass(slots=True)
class _Refused:
    """A caller's refusals since a moment."""

    since_ms: int
    count: int = 0


class AuditLog:
    """The log of a running node. Nothing is written until there is something to write."""

    def __init__(self, directory: Path, key: SecretKey, now_ms: Callable[[], int], disk: Disk = DISK) -> None:
        self._directory = directory
        self._key = key
        self._now_ms = now_ms
        self._disk = disk
        self._thread = ThreadPoolExecutor(1, "audit")
        self._descriptor = -1
        self._size = 0
        self._end: tuple[int, str] | None = self._read_end()  # number and hash of the last entry; None: see the disk
        self._refused: dict[str, _Refused] = {}

    async def record(self, caller: str, method: str, params: dict[str, str], allowed: bool) -> None:
        """Write an entry, durably. Of a caller that is refused again and again, the first of each minute."""
        told = {name: _shortened(value) for name, value in params.items()}
        work = partial(copy_context().run, self._record, caller, method, told, allowed)
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def entries(self, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return the entries after a number, ascending, as they stand: ``verified`` says whether they can be right.

        It reads a few files and few of their lines, however full the log is.
        """
        paths = segments(self._directory, self._disk)
        begin = bisect_right(paths, after + 1, key=lambda path: _number(*_lines(path, self._disk)[:1]))
        found: list[AuditEntry] = []
        for path in paths[max(0, begin - 1) :]:
            for entry in _entries(path, self._disk, after=after):
                if entry.number > after:
                    found.append(entry)
                if len(found) >= limit:
                    return found
        return found

    def close(self) -> None:
        """End what is being written, say what is still to be said, and let go of the file."""
        self._thread.shutdown()
        with suppress(StorageError):
            for caller in list(self._refused):
                self._sum_up(caller)
        self._let_go()

    # --- in the thread ---

    def _record(self, caller: str, method: str, params: dict[str, str], allowed: bool) -> None:
        now_ms = self._now_ms()
        for name, refused in list(self._refused.items()):
            if not 0 <= now_ms - refused.since_ms < REFUSALS_MS:
                self._sum_up(name)
        if not allowed:
            refused = self._refused.setdefault(caller, _Refused(now_ms))
            refused.count += 1
            if refused.count > REFUSALS_MAX:
                return
        self._write(caller, method, params, allowed)

    def _sum_up(self, caller: str) -> None:
        """Say how many refusals of a caller were not written, and count anew."""
        more = self._refused[caller].count - REFUSALS_MAX
        if more > 0:
            self._write(caller, MORE_REFUSED, {"more": str(more)}, False)
        del self._refused[caller]

    def _write(self, caller: str, method: str, params: dict[str, str], allowed: bool) -> None:
        try:
            number, before = self._take_up() if self._end is None else self._end
            entry = self._entry(number + 1, caller, method, params, allowed, before)
            line = _line(entry)
            if self._descriptor < 0 or self._size + len(line) > SEGMENT_BYTES_MAX:
                self._begin()
            self._disk.write(self._descriptor, line)
            self._disk.sync(self._descriptor)
        except BaseException:
            self._end = None
            self._let_go()
            raise
        self._size += len(line)
        self._end = entry.number, entry.hash
        log.info("audited", number=entry.number, caller=caller, method=method, allowed=allowed)

    def _entry(
        self, number: int, caller: str, method: str, params: dict[str, str], allowed: bool, before: str
    ) -> AuditEntry:
        time_ms = self._now_ms()
        own = hash_of(number, time_ms, caller, method, params, allowed, before)
        signature = bytes(self._key.sign(own)).hex()
        return AuditEntry(number, time_ms, caller, method, params, allowed, before, own.hex(), signature)

    def _take_up(self) -> tuple[int, str]:
        """Go on with what a write that failed has left; return the last entry's number and hash.

        The last file is written anew, without half a line: of a sync that failed nobody knows what is on disk.
        """
        paths = segments(self._directory, self._disk)
        if paths:
            whole = b"".join(line + b"\n" for line in _lines(paths[-1], self._disk))
            self._descriptor, self._size = write_whole(self._disk, paths[-1], (whole,)), len(whole)
        return self._read_end()

    def _begin(self) -> None:
        self._let_go()
        self._disk.make_directory(self._directory)
        paths = segments(self._directory, self._disk)
        number = 1 + (int(paths[-1].name.rpartition(".")[2]) if paths else 0)
        self._descriptor, self._size = self._disk.create(self._directory / f"audit.{number:06d}"), 0
        for path in paths[: max(0, len(paths) + 1 - SEGMENTS_MAX)]:
            self._disk.remove(path)
        self._disk.sync_directory(self._directory)

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._disk.close(descriptor)

    def _read_end(self) -> tuple[int, str]:
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


def _shortened(text: str) -> str:
    more = len(text) - TEXT_CHARS_MAX
    return text if more <= 0 else f"{text[:TEXT_CHARS_MAX]}… and {more} characters more"


def _line(entry: AuditEntry) -> bytes:
    return json.dumps(asdict(entry), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _lines(path: Path, disk: Disk) -> list[bytes]:
    """Return the lines of a file, none if it was removed. One without its end is a write that was cut short: none."""
    try:
        return disk.read(path, 2 * SEGMENT_BYTES_MAX).split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def _number(line: bytes = b"") -> int:
    try:
        return _entry(json.loads(line)).number
    except (ValueError, TypeError, KeyError):
        return _NO_NUMBER


def _entries(path: Path, disk: Disk, *, after: int = -1, strict: bool = False) -> Iterator[AuditEntry]:
    """Yield the entries of a file; of those up to the number ``after`` as few as a search leaves."""
    lines = _lines(path, disk)
    begin = 0 if after < 0 else bisect_right(lines, after, key=_number)
    for number, line in enumerate(lines[begin:], begin + 1):
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
