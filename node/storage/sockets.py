"""The Unix socket in a node's home, by which its operator speaks with it.

One rule: it is 0600 from its first moment. Who can open it is who can read the node's keys.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from node.storage.errors import StorageFailed
from node.storage.files import DISK, failed

PATH_BYTES_MAX: Final = 107  # of an address, unix(7)
BACKLOG: Final = 16
_OTHERS: Final = 0o177


def listen_locally(path: Path) -> socket.socket:
    """Return a socket that listens at ``path``, in the place of one that an earlier process left. Raises StorageFailed.

    The store's lock sees to it that no other node has it open.
    """
    DISK.remove(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(_OTHERS)
    try:
        with reachable(path) as address:
            listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise failed("listen at", path, error) from error
    finally:
        os.umask(mask)
    return listening


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Give an address of the socket that is short enough, whatever the path. Raises StorageFailed without its home."""
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        yield os.fspath(path)
        return
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageFailed(f"{path.parent}: {error.strerror}") from None
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
