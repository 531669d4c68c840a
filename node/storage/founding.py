"""A store that begins at a snapshot or an archive instead of genesis: built beside the one that is there, then put in
its place.

One rule: a founded store has its name only when it is whole, verified and synced; it replaces the old one in a step
that a crash can interrupt anywhere, because the next start finishes it.

    store          the store in use
    store.founding one that is being built
    store.founded  one that waits to be put in the place of ``store``
    store.before   what it has replaced, about to be removed
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import plyvel

from consensus.encoding import encode
from node.storage import schema
from node.storage.files import DIRECTORY_MODE, DISK, failed
from node.storage.reads import translated
from node.storage.records import Roots, StoredBlock, Tip
from node.storage.store import WRITE_BUFFER_BYTES, block_rows, roots_row, sync_files

BATCH_BYTES: Final = 1 << 20  # of rows in one write: bounds memory
BLOOM_BITS: Final = 10


class Founding:
    """A store under construction. ``finish`` gives it the name under which ``install`` finds it."""

    def __init__(self, store: Path, genesis_hash: bytes) -> None:
        """``store`` is the path of the store that it will replace."""
        self._path = _founding(store)
        self._founded = _founded(store)
        self._rows: list[schema.Row] = []
        self._bytes = 0
        try:
            shutil.rmtree(self._path, ignore_errors=True)  # left by a crash
            shutil.rmtree(self._founded, ignore_errors=True)
            self._path.mkdir(mode=DIRECTORY_MODE, parents=True)
            self._db: Any = plyvel.DB(
                os.fspath(self._path),
                create_if_missing=True,
                error_if_exists=True,
                paranoid_checks=True,
                write_buffer_size=WRITE_BUFFER_BYTES,
                bloom_filter_bits=BLOOM_BITS,
            )
        except plyvel.Error as error:
            raise translated(error) from error
        except OSError as error:
            raise failed("create", self._path, error) from error
        self.add([(schema.GENESIS_KEY, encode((schema.FORMAT, genesis_hash)))])

    @property
    def path(self) -> Path:
        """Where it is built; once closed it can be opened there as a store."""
        return self._path

    def add(self, rows: Iterable[schema.Row]) -> None:
        """Put rows, of keys of the schema."""
        for key, value in rows:
            assert value is not None
            self._rows.append((key, value))
            self._bytes += len(key) + len(value)
        if self._bytes > BATCH_BYTES:
            self._flush()

    def add_block(self, block: StoredBlock, certificate: bytes = b"") -> None:
        """Put a block, and its own certificate if it has one."""
        self.add(block_rows(block))
        if certificate:
            self.add([(schema.certificate_key(block.height), certificate)])

    def add_roots(self, height: int, roots: Roots) -> None:
        """Put the roots after a height."""
        self.add([roots_row(height, roots)])

    def add_roster(self, height: int, roster: bytes) -> None:
        """Put the roster that a block has left behind."""
        self.add([(schema.roster_key(height), roster)])

    def add_version(self, height: int, version: int) -> None:
        """Put the protocol version that is demanded after a block."""
        self.add([(schema.version_key(height), schema.number(version))])

    def add_state(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Put rows of the ledger."""
        self.add((schema.state_key(key), value) for key, value in rows)

    def add_executed_before(self, transaction_ids: Iterable[bytes]) -> None:
        """Note that these were executed before the store begins, so that nobody takes them for new."""
        value = encode((0, 0, b"", 0, b""))
        self.add((schema.transaction_key(each), value) for each in transaction_ids)

    def close(self, tip: Tip, base: int) -> None:
        """Say where it begins and ends, and make it durable."""
        self.add(
            [
                (schema.BASE_KEY, encode(base)),
                (schema.TIP_KEY, encode((tip.height, tip.block_hash, tip.root))),
            ]
        )
        self._flush()
        self._db.close()
        sync_files(self._path)

    def finish(self) -> None:
        """Give what has been closed, and verified, its name."""
        try:
            os.rename(self._path, self._founded)
        except OSError as error:
            raise failed("rename", self._path, error) from error
        DISK.sync_directory(self._path.parent)

    def abandon(self) -> None:
        """Remove it."""
        self._db.close()
        shutil.rmtree(self._path, ignore_errors=True)

    def _flush(self) -> None:
        try:
            with self._db.write_batch(transaction=True) as batch:
                schema.put_sealed(self._rows, batch.put, batch.delete)
        except plyvel.Error as error:
            raise translated(error) from error
        self._rows, self._bytes = [], 0


def install(store: Path) -> bool:
    """Put a founded store that waits in the place of ``store``, before that is opened; return whether there was one."""
    founded, before = _founded(store), store.with_name(store.name + ".before")
    try:
        shutil.rmtree(_founding(store), ignore_errors=True)
        waiting = founded.exists()
        if waiting:
            if store.exists():
                shutil.rmtree(before, ignore_errors=True)
                os.rename(store, before)
            os.rename(founded, store)
            DISK.sync_directory(store.parent)
        shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        raise failed("install", store, error) from error
    return waiting


def discard(store: Path) -> None:
    """Remove a founded store that waits."""
    shutil.rmtree(_founded(store), ignore_errors=True)


def _founding(store: Path) -> Path:
    return store.with_name(store.name + ".founding")


def _founded(store: Path) -> Path:
    return store.with_name(store.name + ".founded")
