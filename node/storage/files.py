"""The file operations that journal, guard and key files are made of.

One rule: journal and guard touch files through ``Disk`` only, so that a test can record the operations, rebuild every
state that a crash may leave, or keep the files in memory. A new, renamed or removed name is durable only after
``sync_directory``.

Every OSError that means "the disk failed" is raised as StorageFailed; a missing file stays FileNotFoundError.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from node.storage.errors import InUse, StorageError, StorageFailed

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
NEW_SUFFIX: Final = ".new"  # of a file that is not whole yet
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Unsafe(StorageError):
    """A file that others could have changed or can read: a link, another owner, or too wide permissions."""


class Disk:
    """The operations. A subclass may record them, or keep files elsewhere; this one has no state of its own."""

    def make_directory(self, directory: Path) -> None:
        """Make a directory, closed to others, and those above it, unless it is there."""
        try:
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise failed("mkdir", directory, error) from error

    def names(self, directory: Path) -> list[str]:
        """Return the names in a directory, in no order; none if there is no directory."""
        return os.listdir(directory) if directory.is_dir() else []

    def exists(self, path: Path) -> bool:
        """Return whether the name is there, be it a broken link."""
        return os.path.lexists(path)

    def lock(self, path: Path) -> int:
        """Take the exclusive lock on ``path``, as ``lock`` below."""
        return lock(path)

    def require_private_directory(self, directory: Path) -> None:
        """Raise Unsafe unless the directory is ours and closed to others."""
        require_private_directory(directory)

    def close(self, descriptor: int) -> None:
        """Let go of a file or a lock."""
        os.close(descriptor)

    def create(self, path: Path) -> int:
        """Create a new file, 0600, and return a descriptor that appends. Raises FileExistsError."""
        try:
            return os.open(path, _APPEND | os.O_CREAT | os.O_EXCL, FILE_MODE)
        except FileExistsError:
            raise
        except OSError as error:
            raise failed("create", path, error) from error

    def read(self, path: Path, most: int, *, private: bool = True) -> bytes:
        """Return the file's bytes, at most ``most``; if ``private``, of a file that no one else could have changed.

        Raises FileNotFoundError, StorageError if it is too big, Unsafe.
        """
        try:
            descriptor = os.open(path, _READ)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _cannot_open(path, error) from error
        try:
            if private:
                require_private(descriptor, path)
            return _read_all(descriptor, path, most)
        except OSError as error:
            raise failed("read", path, error) from error
        finally:
            os.close(descriptor)

    def write(self, descriptor: int, data: bytes) -> None:
        """Append all of ``data``."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError as error:
            raise failed("write", None, error) from error

    def sync(self, descriptor: int) -> None:
        """Make the file's bytes and length durable."""
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            raise failed("fdatasync", None, error) from error

    def rename(self, old: Path, new: Path) -> None:
        """Give ``old`` the name ``new``, replacing what was there."""
        try:
            os.rename(old, new)
        except OSError as error:
            raise failed("rename", old, error) from error

    def remove(self, path: Path) -> None:
        """Remove the name, if it is there."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise failed("remove", path, error) from error

    def sync_directory(self, directory: Path) -> None:
        """Make the names in ``directory`` durable."""
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise failed("fsync", directory, error) from error


DISK: Final = Disk()


def write_whole(disk: Disk, path: Path, parts: Iterable[bytes]) -> int:
    """Put ``parts`` under the name ``path``, durably; return a descriptor that appends to it.

    After a crash there is either what was there before or all of ``parts``.
    """
    fresh = path.with_name(path.name + NEW_SUFFIX)
    disk.remove(fresh)  # left by a crash
    descriptor = disk.create(fresh)
    try:
        for part in parts:
            disk.write(descriptor, part)
        disk.sync(descriptor)
        disk.rename(fresh, path)
        disk.sync_directory(path.parent)
    except BaseException:
        disk.close(descriptor)
        raise
    return descriptor


def write_file(path: Path, data: bytes) -> None:
    """Put ``data`` under the name ``path``, durably, and whole or not at all."""
    os.close(write_whole(DISK, path, (data,)))


def require_private(descriptor: int, path: Path) -> None:
    """Raise Unsafe unless the open file is a regular one, ours alone: owner, mode 0600, a single name."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise Unsafe(f"{path}: not a regular file")
    if status.st_uid != os.geteuid():
        raise Unsafe(f"{path}: belongs to user {status.st_uid}, not to {os.geteuid()}")
    if stat.S_IMODE(status.st_mode) & 0o177:
        raise Unsafe(f"{path}: mode {stat.S_IMODE(status.st_mode):04o}; expected 0600")
    if status.st_nlink != 1:
        raise Unsafe(f"{path}: has {status.st_nlink} names; expected one")


def require_private_directory(directory: Path) -> None:
    """Raise Unsafe unless the directory is ours and closed to others: mode 0700."""
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode):
        raise Unsafe(f"{directory}: not a directory")
    if status.st_uid != os.geteuid():
        raise Unsafe(f"{directory}: belongs to user {status.st_uid}, not to {os.geteuid()}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise Unsafe(f"{directory}: mode {stat.S_IMODE(status.st_mode):04o}; expected 0700")


def lock(path: Path) -> int:
    """Take the exclusive lock on ``path``, made if need be; it is held until the returned descriptor is closed.

    Raises InUse if anyone holds it, this process included.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise _cannot_open(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            raise InUse(f"{path}: was replaced while we took the lock")
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise InUse(f"{path}: held by another process, or twice by this one") from None
        raise failed("flock", path, error) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def failed(what: str, path: Path | None, error: OSError) -> StorageFailed:
    """Return the error to raise for an OSError."""
    return StorageFailed(f"{what}{f' {path}' if path else ''}: {error.strerror or error}")


def _cannot_open(path: Path, error: OSError) -> StorageError:
    if error.errno == errno.ELOOP:
        return Unsafe(f"{path}: a symbolic link")
    return failed("open", path, error)


def _read_all(descriptor: int, path: Path, most: int) -> bytes:
    size = os.fstat(descriptor).st_size
    if size > most:
        raise StorageError(f"{path}: {size} bytes; {most} at the most")
    parts: list[bytes] = []
    while part := os.read(descriptor, size + 1):
        parts.append(part)
    return b"".join(parts)
