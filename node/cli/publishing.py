"""Files that others pick up: written beside their place, synced, and put there under their name.

One rule: whoever looks sees the whole file or none. Staged and published are two steps, so that what must be remembered
in between can be.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

STAGED_SUFFIX: Final = ".new"
FILE_MODE: Final = 0o600


def staged(path: Path) -> Path:
    """Return where ``path`` is until it is published."""
    return path.with_name(path.name + STAGED_SUFFIX)


def stage(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write the file beside its place, durably. It takes no more memory than ``write`` does."""
    descriptor = os.open(staged(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        staged(path).unlink(missing_ok=True)
        raise


def publish(path: Path) -> None:
    """Put the staged file in its place, durably."""
    staged(path).replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_published(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file that is whole or not there."""
    stage(path, write)
    publish(path)
