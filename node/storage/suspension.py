"""Why a consensus key signs nothing any more: a file beside the guard, there until a person takes it away.

One rule: a key that was seen to sign what this guard has not is silent, over every restart, whatever else is well.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from node.storage.errors import GuardError, StorageError
from node.storage.files import DISK, Disk, write_whole

SUFFIX: Final = ".suspended"
FILE_BYTES_MAX: Final = 4_096  # it has about 400


@dataclass(frozen=True, slots=True)
class Foreign:
    """A vote under our key that is not ours: what it says, and the signature that proves it, in hex."""

    kind: int
    epoch: int
    view: int
    hash: str
    signature: str


class Suspension:
    """The file beside one guard."""

    def __init__(self, guard: Path, disk: Disk = DISK) -> None:
        """Take the guard's path, and read what stands beside it. Raises GuardError if that cannot be read."""
        self.path = guard.with_name(guard.name + SUFFIX)
        self._disk = disk
        self.foreign = self._read()

    def begin(self, foreign: Foreign) -> None:
        """Suspend, durably: nothing is signed after this. A second reason changes nothing."""
        if self.foreign is None:
            self.foreign = foreign  # first: even if the disk fails, this process signs nothing more
            text = json.dumps(asdict(foreign), indent=1).encode() + b"\n"
            self._disk.close(write_whole(self._disk, self.path, (text,)))

    def end(self) -> None:
        """Take the file away, durably."""
        self._disk.remove(self.path)
        self._disk.sync_directory(self.path.parent)
        self.foreign = None

    def _read(self) -> Foreign | None:
        if not self._disk.exists(self.path):
            return None
        try:
            content = json.loads(self._disk.read(self.path, FILE_BYTES_MAX))
            found = Foreign(**content)
        except (StorageError, OSError, ValueError, TypeError) as error:
            raise GuardError(f"{self.path}: {error}") from None
        numbers = (found.kind, found.epoch, found.view)
        if not all(type(number) is int for number in numbers) or not isinstance(found.hash, str):
            raise GuardError(f"{self.path}: not what suspends a key")
        return found
