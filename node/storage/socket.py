"""A Unix socket that only our own user's processes can reach.

One rule: who has the lock beside the name owns the name; a socket that a killed process left is then safe to remove.
"""

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from node.storage.errors import StorageError
from node.storage.files import FILE_MODE, failed, lock, require_private_directory

BACKLOG: Final = 8  # connections that wait to be taken, or turned away


def private_socket(path: Path, resources: ExitStack) -> socket.socket:
    """Return a listening socket, 0600, in a directory that is ours and closed to others; ``resources`` removes it.

    Raises InUse if another process listens there, Unsafe, StorageError.
    """
    try:
        require_private_directory(path.parent)
        resources.callback(os.close, lock(path.with_name(path.name + ".lock")))
        path.unlink(missing_ok=True)
        link = resources.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        link.bind(str(path))
        resources.callback(path.unlink, missing_ok=True)
        path.chmod(FILE_MODE)
        link.listen(BACKLOG)
        link.setblocking(False)
    except OSError as error:
        if error.errno is None:  # a path too long for the kernel
            raise StorageError(f"{path}: {error}") from None
        raise failed("listen at", path, error) from error
    return link
