"""How full the disk is, and may get. One rule: the node stops by itself while it still can stop cleanly.

The ballast is a file of nothing that an operator deletes when the disk is full, to have room for the way out.
"""

import os
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

from node.storage.files import DISK, FILE_MODE, failed

ALARM_PERCENT: Final = 20  # free; below: an operator is called
BALLAST_BYTES: Final = 256 << 20


class RoomLimits(NamedTuple):
    """Free space below which less is done; percent of the file system, and bytes."""

    refuse_percent: int = 10  # no new transactions, but we vote on
    stop_percent: int = 5  # end while LevelDB can still compact
    stop_bytes: int = 2 << 30  # the same


class Room(IntEnum):
    """What is still done at this much free space; higher is worse."""

    ENOUGH = 0
    ALARM = 1
    NO_TRANSACTIONS = 2
    STOP = 3


def room(free_bytes: int, total_bytes: int, limits: RoomLimits = RoomLimits()) -> Room:  # noqa: B008  # immutable
    """Return what the free space still allows."""
    if free_bytes < limits.stop_bytes or free_bytes * 100 < total_bytes * limits.stop_percent:
        return Room.STOP
    if free_bytes * 100 < total_bytes * limits.refuse_percent:
        return Room.NO_TRANSACTIONS
    if free_bytes * 100 < total_bytes * ALARM_PERCENT:
        return Room.ALARM
    return Room.ENOUGH


def bytes_in(directory: Path) -> int:
    """Return the bytes of the files in a directory that others may be writing to; none if there is no directory."""
    total = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed since it was listed: LevelDB does that at any time
                    total += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise failed("stat", directory, error) from error
    return total


def make_ballast(path: Path, size: int = BALLAST_BYTES) -> None:
    """Reserve ``size`` bytes of disk under ``path``, unless the file is there. Raises StorageFailed, e.g. if full."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError:
        return
    except OSError as error:
        raise failed("create", path, error) from error
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        DISK.remove(path)
        raise failed("allocate", path, error) from error
    finally:
        os.close(descriptor)
