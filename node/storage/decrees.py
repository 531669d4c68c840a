"""The decrees that a node follows, in files beside its keys: one for each term, and never two.

    decrees/000001.decree  decrees/000002.decree ...

One rule: they lie outside of the data directory, so that a chain that is fetched anew still ends where they say; and
what is here has been verified before it came here.
"""

import re
from pathlib import Path
from typing import Final

from node.storage.errors import AlreadyInitialised, Damaged
from node.storage.files import DISK, Disk, write_file

DIRECTORY: Final = "decrees"  # of a home
FILE_BYTES_MAX: Final = 64 * 1024
_NAME = re.compile(r"(\d{6})\.decree")


def read_decrees(home: Path, disk: Disk = DISK) -> list[bytes]:
    """Return the decrees of a home by term, from the first on. Raises Damaged if one is missing between."""
    directory = home / DIRECTORY
    terms = sorted(int(match[1]) for name in disk.names(directory) if (match := _NAME.fullmatch(name)))
    if terms != list(range(1, len(terms) + 1)):
        raise Damaged(f"{directory}: a decree is missing")
    return [disk.read(_path(home, term), FILE_BYTES_MAX, private=False) for term in terms]


def keep_decree(home: Path, term: int, data: bytes, disk: Disk = DISK) -> None:
    """Put the decree of a term where the next start finds it. Raises AlreadyInitialised if there is one."""
    path = _path(home, term)
    disk.make_directory(path.parent)
    if disk.exists(path):
        raise AlreadyInitialised(f"{path}: there is a decree of this term already")
    write_file(path, data)


def _path(home: Path, term: int) -> Path:
    return home / DIRECTORY / f"{term:06}.decree"
