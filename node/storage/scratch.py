"""A state of the ledger for a while: rows in a LevelDB that nobody relies on after a crash.

One rule: nothing here is synced, sealed or kept. Who needs rows to last uses the store.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import plyvel

from node.storage.errors import StorageFailed
from node.storage.files import failed
from node.storage.reads import translated, words

WRITE_BUFFER_BYTES: Final = 16 << 20  # several blocks of 2,000 payments


class Scratch:
    """Rows of a state: the ledger's reader, and what its blocks change."""

    def __init__(self, db: Any) -> None:
        """Take an open LevelDB; ``scratch`` is the way in."""
        self._db = db

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        return self._db.get(key)  # type: ignore[no-any-return]

    def get_ascending(self, keys: Sequence[bytes]) -> Iterator[bytes | None]:
        """Yield the value of each key, or None."""
        return map(self.get, keys)

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows with low <= key < high, ascending."""
        with self._db.iterator(start=low, stop=high) as rows:
            yield from rows

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Apply what a block changed; None removes."""
        try:
            with self._db.write_batch() as batch:
                for key, value in changes.items():
                    if value is None:
                        batch.delete(key)
                    else:
                        batch.put(key, value)
        except plyvel.Error as error:
            raise StorageFailed(f"LevelDB write: {words(error)}") from error


@contextmanager
def scratch(rows: Mapping[bytes, bytes], directory: Path | None = None) -> Iterator[Scratch]:
    """Give a state of these rows in a directory of its own under ``directory``, which is removed at the end."""
    try:
        path = Path(tempfile.mkdtemp(prefix="som-scratch-", dir=directory))
    except OSError as error:
        raise failed("create", directory or Path(tempfile.gettempdir()), error) from error
    try:
        db = plyvel.DB(str(path / "state"), create_if_missing=True, write_buffer_size=WRITE_BUFFER_BYTES)
        try:
            state = Scratch(db)
            state.write(rows)
            yield state
        finally:
            db.close()
    except plyvel.Error as error:
        raise translated(error) from error
    finally:
        shutil.rmtree(path, ignore_errors=True)
