"""The double-sign guard: the only way to a signature of the consensus key, and the memory that makes it safe.

One rule: check, append, sync, sign, return. What was signed is on disk before the signature exists, so no crash,
restart or restored backup of the data directory can make this key contradict itself. That is why the file lies beside
the key, and never in the data directory (docs/storage.md).

    header  128 bytes: magic, genesis hash, public key, generation, records copied, watermark, BLAKE2b-16
    record  128 bytes: magic, kind, sequence, durable, epoch, view, digest of the statement, zeros, BLAKE2b-16

All sums are keyed with genesis hash, public key and generation, so a record counts in its own file only. 128 divides a
disk's 512-byte sector: a record is written whole or not at all. ``durable`` is the last sequence number that was synced
when the record was appended: it tells an unsynced group, of which any part may be missing, from damage.

For a decree (node/decree.py) the guard is closed below its term: the watermark moves as in a rebase, and the record
keeps up to where the key had spoken. Only then does it sign a decree, and never two of one term.

Whenever the guard opens or fills up it is copied forward to a new file, with the last VIEWS_KEPT views; below these is
the watermark, under which nothing is signed any more.
"""

import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

import structlog

from consensus.crypto import PublicKey, Signature
from consensus.encoding import digest
from node.storage.errors import AlreadyInitialised, GuardError, GuardRefused, StorageError, StorageFailed
from node.storage.files import DISK, Disk, Unsafe, failed, write_whole

VIEWS_KEPT: Final = 1_024  # by copying forward; far more than are ever open at once
RECORDS_MAX: Final = 8_192  # in a file of 1 MiB; a view has two at most, so a copy leaves three quarters free
RECORD_BYTES: Final = 128
SUM_BYTES: Final = 16
STATEMENTS_MAX: Final = 64  # statements of one call
MAGIC: Final = b"SOMGRD1\n"
RECORD_MAGIC: Final = b"VOTE"
NUMBER_MAX: Final = 2**64 - 1

_HEADER = struct.Struct(">8s32s32sQQQQ8x16s")
_RECORD = struct.Struct(">4sB3xQQQQ32s40x16s")
_SPOKEN = struct.Struct(">QQ?15x")
assert _HEADER.size == _RECORD.size == RECORD_BYTES
assert _SPOKEN.size == 32

log = structlog.get_logger(__name__)


class Key(Protocol):
    """What signs: a key in memory, or in a device. The same statement gives the same signature."""

    @property
    def public(self) -> PublicKey:
        """The public half."""

    def sign(self, message: bytes) -> Signature:
        """Return the Ed25519 signature over ``message``."""


class Kind(IntEnum):
    """What is signed; the first three as votes number them."""

    NOTARIZE = 0
    NULLIFY = 1
    FINALIZE = 2
    REBASE = 3  # nothing is signed: the watermark moves
    CLOSE = 4  # nothing is signed: the watermark moves, for a decree that is to come
    DECREE = 5  # a decree; in view 0 of the epoch below which the guard was closed for it


@dataclass(frozen=True, slots=True)
class Said:
    """Digests of the statements signed in one view."""

    notarize: bytes | None = None
    nullify: bytes | None = None
    finalize: bytes | None = None
    closed: bytes | None = None  # in place of a digest: up to where the key had spoken before
    decree: bytes | None = None


View = tuple[int, int]  # epoch, view
Request = tuple[int, int, int, bytes]  # kind, epoch, view, statement
NOTHING_SAID: Final = Said()


@dataclass(frozen=True, slots=True)
class Spoken:
    """Up to where a key may have spoken when its guard was closed; ``based``: nobody knew what, even then."""

    newest: View
    based: bool


@dataclass(frozen=True, slots=True)
class _Record:
    kind: Kind
    sequence: int
    durable: int
    at: View
    digest: bytes


def after(said: Said, kind: Kind, statement: bytes) -> Said:
    """Return what is said once ``statement`` (a digest) is signed too. Raises GuardRefused. These are all the rules."""
    before = {
        Kind.NOTARIZE: said.notarize,
        Kind.NULLIFY: said.nullify,
        Kind.FINALIZE: said.finalize,
        Kind.CLOSE: said.closed,
        Kind.DECREE: said.decree,
    }[kind]
    if before == statement:
        return said  # the same bytes give the same signature
    if before is not None:
        raise GuardRefused(f"another {kind.name} was signed in this view")
    if kind is Kind.NOTARIZE:
        if said.nullify is not None:
            raise GuardRefused("NOTARIZE after NULLIFY")
        return replace(said, notarize=statement)
    if kind is Kind.NULLIFY:
        if said.finalize is not None:
            raise GuardRefused("NULLIFY after FINALIZE")
        return replace(said, nullify=statement)
    if kind is Kind.CLOSE:
        return replace(said, closed=statement)
    if kind is Kind.DECREE:
        if said.closed is None:
            raise GuardRefused("DECREE before the guard is closed for it")
        return replace(said, decree=statement)
    if said.nullify is not None:
        raise GuardRefused("FINALIZE after NULLIFY")
    return replace(said, finalize=statement)


class Guard:
    """An open guard; made by ``open``. Held exclusively: no second process signs with the same file."""

    def __init__(self, path: Path, public: bytes, genesis_hash: bytes, disk: Disk, lock_descriptor: int) -> None:
        """Take a locked path; ``open`` is the way in."""
        self._path = path
        self.public = public
        self._genesis_hash = genesis_hash
        self._disk = disk
        self._lock = lock_descriptor
        self._signing = threading.Lock()
        self._usable = True
        self._descriptor = -1
        self._generation = 0
        self._sequence = 0
        self._watermark: View = (0, 0)
        self._said: dict[View, Said] = {}

    @classmethod
    def create(
        cls, path: Path, public: bytes, genesis_hash: bytes, disk: Disk = DISK, watermark: View = (0, 0)
    ) -> None:
        """Make the guard of a key that has never signed. Raises AlreadyInitialised.

        For a key that may have signed before, ``watermark`` is above everything that it can have said. R43.
        """
        _require_numbers(*watermark)
        path = Path(path)
        disk.make_directory(path.parent)
        guard = cls._locked(path, public, genesis_hash, disk)
        try:
            if disk.exists(path):
                raise AlreadyInitialised(f"{path}: there is a guard already")
            guard._watermark = watermark
            guard._copy_forward()
        finally:
            guard.close()

    @classmethod
    def open(cls, path: Path, public: bytes, genesis_hash: bytes, disk: Disk = DISK) -> "Guard":
        """Open the guard of the key. Raises GuardError if it cannot be trusted, InUse, StorageFailed."""
        path = Path(path)
        if not disk.exists(path):
            raise GuardError(f"{path}: the guard is missing; nothing is signed without it")
        guard = cls._locked(path, public, genesis_hash, disk)
        try:
            guard._load()
            guard._copy_forward()
        except BaseException:
            guard.close()
            raise
        return guard

    @property
    def watermark(self) -> View:
        """(epoch, view) below which nothing is signed."""
        return self._watermark

    @property
    def newest(self) -> View:
        """(epoch, view) of the last view in which the key may have signed."""
        return max(self._said, default=self._watermark)

    @property
    def based(self) -> bool:
        """Whether the watermark was set by hand and nothing was signed since: what the key has said is not here."""
        return not self._said and self._watermark > (0, 0)

    def sign(self, secret: Key, kind: int, epoch: int, view: int, statement: bytes) -> Signature:
        """Return the signature over ``statement``, remembered durably first. Blocks for a sync: call it in a thread.

        Raises GuardRefused if it could contradict what was signed before, GuardError for another key, StorageFailed.
        """
        return self.sign_many(secret, ((kind, epoch, view, statement),))[0]

    def sign_many(self, secret: Key, requests: Sequence[Request]) -> tuple[Signature, ...]:
        """Sign several statements with one sync; all of them or, if one is refused, none."""
        assert len(requests) <= STATEMENTS_MAX, f"{len(requests)} statements at once"
        with self._signing:
            self._require_usable()
            if secret.public != self.public:
                raise GuardError("this guard belongs to another key")
            if self._sequence + len(requests) > RECORDS_MAX:
                self._copy_forward()
            said, records = self._checked(requests)
            self._append(records)
            self._said.update(said)
            return tuple(secret.sign(statement) for _, _, _, statement in requests)

    def rebase(self, epoch: int, view: int) -> None:
        """Move the watermark up to (epoch, view), durably. Raises GuardRefused if that is not up."""
        with self._signing:
            self._require_usable()
            _require_numbers(epoch, view)
            if (epoch, view) <= self._watermark:
                raise GuardRefused(f"the watermark is at {self._watermark} and only moves up")
            if self._sequence + 1 > RECORDS_MAX:
                self._copy_forward()
            self._append([_Record(Kind.REBASE, self._sequence + 1, self._sequence, (epoch, view), bytes(32))])
            self._raise_watermark((epoch, view))

    def close_below(self, epoch: int) -> Spoken:
        """Sign nothing of an epoch before ``epoch`` any more, durably; return up to where the key had spoken. R64

        Once closed it says the same again. Raises GuardRefused if the key may have spoken at or above ``epoch``.
        """
        at = (epoch, 0)
        with self._signing:
            self._require_usable()
            _require_numbers(*at)
            closed = self._said.get(at, NOTHING_SAID).closed
            if closed is None:
                if at <= max(self.newest, self._watermark):
                    raise GuardRefused(f"the key may have spoken up to {max(self.newest, self._watermark)}")
                closed = _SPOKEN.pack(*self.newest, self.based)
                if self._sequence + 1 > RECORDS_MAX:
                    self._copy_forward()
                record = _Record(Kind.CLOSE, self._sequence + 1, self._sequence, at, closed)
                self._append([record])
                self._replay(record)
            epoch, view, based = _SPOKEN.unpack(closed)
            return Spoken((epoch, view), based)

    def remember_decree(self, epoch: int, statement: bytes) -> None:
        """Follow the decree whose term begins with ``epoch`` and no other one. Raises GuardRefused, as sign_decree."""
        at = (epoch, 0)
        with self._signing:
            self._require_usable()
            before = self._said.get(at, NOTHING_SAID)
            said = after(before, Kind.DECREE, _digest(statement))
            if said is not before:
                if self._sequence + 1 > RECORDS_MAX:
                    self._copy_forward()
                self._append([_Record(Kind.DECREE, self._sequence + 1, self._sequence, at, _digest(statement))])
                self._said[at] = said

    def sign_decree(self, secret: Key, epoch: int, statement: bytes) -> Signature:
        """Return the signature over the decree whose term begins with ``epoch``. R64

        Raises GuardRefused if another one of that term was signed, and unless the guard is closed below ``epoch``.
        """
        if secret.public != self.public:
            raise GuardError("this guard belongs to another key")
        self.remember_decree(epoch, statement)
        return secret.sign(statement)

    def remembers(self, kind: int, epoch: int, view: int, statement: bytes) -> bool:
        """Return whether ``statement`` was signed, or lies below the watermark and so can never be contradicted.

        If the journal holds a vote of ours that the guard does not remember, an old copy of the guard was restored.
        """
        if (epoch, view) < self._watermark:
            return True
        said = self._said.get((epoch, view), NOTHING_SAID)
        try:
            return after(said, Kind(kind), _digest(statement)) is said
        except GuardRefused:
            return False

    def close(self) -> None:
        """Let go of the files. Nothing is signed any more."""
        with self._signing:
            self._usable = False
            for descriptor in (self._descriptor, self._lock):
                if descriptor >= 0:
                    self._disk.close(descriptor)
            self._descriptor = self._lock = -1

    # --- checking and appending ---

    def _checked(self, requests: Sequence[Request]) -> tuple[dict[View, Said], list[_Record]]:
        said: dict[View, Said] = {}
        records: list[_Record] = []
        for number, epoch, view, statement in requests:
            kind, at, name = _kind(number), (epoch, view), _digest(statement)
            _require_numbers(epoch, view)
            if at < self._watermark:
                raise GuardRefused(f"view {at} is below the watermark {self._watermark}")
            before = said.get(at) or self._said.get(at, NOTHING_SAID)
            said[at] = after(before, kind, name)
            if said[at] is not before:
                sequence = self._sequence + len(records) + 1
                records.append(_Record(kind, sequence, self._sequence, at, name))
        return said, records

    def _append(self, records: Sequence[_Record]) -> None:
        if not records:
            return
        with self._fatal():
            self._disk.write(self._descriptor, b"".join(self._encoded(record) for record in records))
            self._disk.sync(self._descriptor)
        self._sequence += len(records)

    def _raise_watermark(self, at: View) -> None:
        self._watermark = at
        self._said = {view: said for view, said in self._said.items() if view >= at}

    def _require_usable(self) -> None:
        if not self._usable:
            raise StorageFailed("the guard is closed, or an earlier write to it failed")

    @contextmanager
    def _fatal(self) -> Iterator[None]:
        # After an I/O error it is unknown what is durable: nothing is signed until a new process has read the disk.
        self._usable = False
        yield
        self._usable = True

    # --- the file ---

    @classmethod
    def _locked(cls, path: Path, public: bytes, genesis_hash: bytes, disk: Disk) -> "Guard":
        try:
            disk.require_private_directory(path.parent)
            return cls(path, bytes(public), bytes(genesis_hash), disk, disk.lock(path.with_name(path.name + ".lock")))
        except Unsafe as error:
            raise GuardError(str(error)) from None
        except OSError as error:
            raise failed("stat", path.parent, error) from error

    def _copy_forward(self) -> None:
        """Write a new file with the views that are kept, and go on in it. A crash leaves the old one or the new one."""
        kept = sorted(self._said)[-VIEWS_KEPT:]
        if len(kept) < len(self._said):
            self._raise_watermark(kept[0])
        self._generation += 1
        records = list(_as_records(self._said))
        with self._fatal():
            descriptor = write_whole(self._disk, self._path, (self._header(len(records)), *map(self._encoded, records)))
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
        self._descriptor = descriptor
        self._sequence = len(records)

    def _load(self) -> None:
        try:
            data = self._disk.read(self._path, RECORD_BYTES * (RECORDS_MAX + 1))
        except StorageFailed:
            raise
        except (StorageError, FileNotFoundError) as error:
            raise GuardError(str(error)) from None
        copied = self._load_header(data)
        slots = [data[at : at + RECORD_BYTES] for at in range(RECORD_BYTES, len(data), RECORD_BYTES)]
        count = 0
        for slot in slots:
            record = self._decoded(slot)
            if record is None or record.sequence != count + 1:
                break
            self._replay(record)
            count += 1
        if count < copied:
            raise GuardError(f"{self._path}: {copied} records were copied into it and {count} are left")
        self._require_torn(slots[count:], count)

    def _load_header(self, data: bytes) -> int:
        header = data[:RECORD_BYTES]
        if len(header) < RECORD_BYTES:
            raise GuardError(f"{self._path}: the guard is cut short")
        magic, genesis_hash, public, generation, copied, epoch, view, checksum = _HEADER.unpack(header)
        if magic != MAGIC:
            raise GuardError(f"{self._path}: not a guard")
        if public != self.public:
            raise GuardError(f"{self._path}: the guard of another key, {public.hex()[:16]}")
        if genesis_hash != self._genesis_hash:
            raise GuardError(f"{self._path}: the guard of another network, {genesis_hash.hex()[:16]}")
        self._generation = generation
        if self._checksum(header[:-SUM_BYTES]) != checksum:
            raise GuardError(f"{self._path}: the header is damaged")
        self._watermark = (epoch, view)
        return int(copied)

    def _replay(self, record: _Record) -> None:
        if record.kind in (Kind.REBASE, Kind.CLOSE):
            self._raise_watermark(record.at)
        if record.kind is Kind.REBASE:
            return
        try:
            self._said[record.at] = after(self._said.get(record.at, NOTHING_SAID), record.kind, record.digest)
        except GuardRefused as error:
            raise GuardError(f"{self._path}: record {record.sequence} breaks the rules: {error}") from None

    def _require_torn(self, slots: Sequence[bytes], count: int) -> None:
        """Raise GuardError unless what follows record ``count`` is what a crash may leave of an unsynced group."""
        for slot in slots:
            record = self._decoded(slot)
            unwritten = len(slot) < RECORD_BYTES or slot[-SUM_BYTES:] == bytes(SUM_BYTES)
            if not (unwritten or (record is not None and record.durable <= count)):
                raise GuardError(f"{self._path}: damaged after record {count}")
        if slots:
            log.warning("guard_tail_cut", records=len(slots))

    def _header(self, copied: int) -> bytes:
        fields = (MAGIC, self._genesis_hash, self.public, self._generation, copied, *self._watermark)
        return self._summed(_HEADER.pack(*fields, bytes(SUM_BYTES)))

    def _encoded(self, record: _Record) -> bytes:
        fields = (RECORD_MAGIC, record.kind, record.sequence, record.durable, *record.at, record.digest)
        return self._summed(_RECORD.pack(*fields, bytes(SUM_BYTES)))

    def _decoded(self, slot: bytes) -> _Record | None:
        if len(slot) < RECORD_BYTES or self._checksum(slot[:-SUM_BYTES]) != slot[-SUM_BYTES:]:
            return None
        magic, kind, sequence, durable, epoch, view, name, _ = _RECORD.unpack(slot)
        if magic != RECORD_MAGIC:
            return None
        return _Record(Kind(kind), sequence, durable, (epoch, view), name)

    def _summed(self, packed: bytes) -> bytes:
        body = packed[:-SUM_BYTES]
        return body + self._checksum(body)

    def _checksum(self, body: bytes) -> bytes:
        key = self._genesis_hash + self.public[:24] + self._generation.to_bytes(8, "big")
        return blake2b(body, digest_size=SUM_BYTES, key=key).digest()


def _as_records(said: Mapping[View, Said]) -> Iterator[_Record]:
    sequence = 0
    for at in sorted(said):
        # NOTARIZE before NULLIFY: the one order in which both are legal.
        kinds = (
            (Kind.CLOSE, said[at].closed),
            (Kind.DECREE, said[at].decree),
            (Kind.NOTARIZE, said[at].notarize),
            (Kind.NULLIFY, said[at].nullify),
            (Kind.FINALIZE, said[at].finalize),
        )
        for kind, name in kinds:
            if name is not None:
                sequence += 1
                yield _Record(kind, sequence, 0, at, name)


def _kind(number: int) -> Kind:
    if number not in (Kind.NOTARIZE, Kind.NULLIFY, Kind.FINALIZE):
        raise GuardRefused(f"unknown kind {number}")
    return Kind(number)


def _require_numbers(*numbers: int) -> None:
    if not all(type(number) is int and 0 <= number <= NUMBER_MAX for number in numbers):
        raise GuardRefused(f"not u64: {numbers}")


def _digest(statement: bytes) -> bytes:
    return digest(b"som-guard-1", statement)
