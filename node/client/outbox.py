"""The outbox: signed transactions on disk before they are on the wire.

One rule: a row is durable before its first byte is sent, and its bytes change only after the chain has said that they
can never take effect. A caller's key names a purpose ("invoice 42"): it is paid once, however often the caller crashes.
"""

import sqlite3
import threading
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from node.client.errors import OutboxError

FORMAT: Final = 1
BUSY_SECONDS: Final = 10.0  # another process of the same caller writes for milliseconds

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outbox (
    key TEXT NOT NULL PRIMARY KEY,
    tx_id BLOB NOT NULL UNIQUE,
    genesis_hash BLOB NOT NULL,
    raw BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    sends INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'pending',
    height INTEGER,
    code INTEGER,
    created_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_pending ON outbox (state) WHERE state = 'pending';
"""
_COLUMNS: Final = "key, tx_id, genesis_hash, raw, expires_ms, sends, state, height, code, created_ms"


class State(Enum):
    """What is known of a row. REFUSED: no node took it, and none was sent it before."""

    PENDING = "pending"
    APPLIED = "applied"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUSED = "refused"


# States after which the same key may stand for new bytes: nothing was paid and nothing of it can be any more.
REPLACEABLE: Final = (State.EXPIRED, State.FAILED, State.REFUSED)


@dataclass(frozen=True, slots=True)
class Row:
    """One transaction. ``sends`` counts attempts begun; ``height`` and ``code`` are None until it is executed."""

    key: str
    tx_id: bytes
    genesis_hash: bytes
    raw: bytes
    expires_ms: int
    sends: int
    state: State
    height: int | None
    code: int | None
    created_ms: int


class Outbox:
    """A sqlite3 file, or memory alone for ``:memory:``. Safe for several threads and processes."""

    def __init__(self, path: Path | str) -> None:
        """Open or create. Raises OutboxError if the file is something else."""
        self._lock = threading.Lock()
        self._begun: dict[bytes, None] = {}  # ids, in the order of their first send by this object
        try:
            if str(path) != ":memory:":
                Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
            # FULL does not sync the directory when a journal is deleted: a count of sends could be undone by a crash.
            self._db.execute("PRAGMA synchronous = EXTRA")
            self._require_format()
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"{path}: {error}") from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add(self, rows: list[Row]) -> None:
        """Write rows durably, all or none. A key that stands for other bytes must be REPLACEABLE, else OutboxError.

        A transaction that is there stays as it is, unless it was REFUSED: then it is tried as a new one.
        """
        with self._lock:
            self._run("BEGIN IMMEDIATE")
            try:
                for row in rows:
                    self._add(row)
            except BaseException:
                self._run("ROLLBACK")
                raise
            self._run("COMMIT")

    def sending(self, tx_ids: list[bytes]) -> dict[bytes, int]:
        """Note, durably, that a send begins: from now on they may take effect. Return the attempts before, by id."""
        before: dict[bytes, int] = {}
        with self._lock:
            self._run("BEGIN IMMEDIATE")
            for tx_id in tx_ids:
                found = self._run("SELECT sends FROM outbox WHERE tx_id = ?", (tx_id,)).fetchone()
                before[tx_id] = found[0]
                self._run("UPDATE outbox SET sends = sends + 1 WHERE tx_id = ?", (tx_id,))
            self._run("COMMIT")
            self._begun.update(dict.fromkeys(tx_ids))
        return before

    def under_way(self) -> list[Row]:
        """Return what was sent by this object and is paid, or may still be."""
        rows = [self.by_id(tx_id) for tx_id in self._begun]
        return [row for row in rows if row is not None and row.state not in REPLACEABLE]

    def settle(self, tx_id: bytes, state: State, height: int | None = None, code: int | None = None) -> None:
        """Note how a pending transaction ended; what is settled stays."""
        with self._lock:
            self._run(
                "UPDATE outbox SET state = ?, height = ?, code = ? WHERE tx_id = ? AND state = 'pending'",
                (state.value, height, code, tx_id),
            )

    def by_key(self, key: str) -> Row | None:
        """Return the row that stands for ``key`` now."""
        return self._one("key = ?", key)

    def by_id(self, tx_id: bytes) -> Row | None:
        """Return the row of a transaction."""
        return self._one("tx_id = ?", tx_id)

    def pending(self, genesis_hash: bytes, limit: int = 1_000) -> list[Row]:
        """Return what may still take effect on this network, oldest first."""
        where = "genesis_hash = ? AND state = 'pending' ORDER BY created_ms, key LIMIT ?"
        return [_row(found) for found in self._all(where, (genesis_hash, limit))]

    def _add(self, row: Row) -> None:
        known = self._find("tx_id = ?", row.tx_id)
        if known is not None and known.state is not State.REFUSED:
            return
        if known is not None:  # no node has it: it may have other signatures now, or there is money by now
            self._run("DELETE FROM outbox WHERE tx_id = ?", (row.tx_id,))
        before = self._find("key = ?", row.key)
        if before is not None:
            if before.state not in REPLACEABLE:
                raise OutboxError(f"{row.key!r} is {before.state.value} as transaction {before.tx_id.hex()}")
            self._run("DELETE FROM outbox WHERE key = ?", (row.key,))
        values = (row.key, row.tx_id, row.genesis_hash, row.raw, row.expires_ms, row.created_ms)
        self._run(
            "INSERT INTO outbox (key, tx_id, genesis_hash, raw, expires_ms, created_ms) VALUES (?, ?, ?, ?, ?, ?)",
            values,
        )

    def _one(self, where: str, value: object) -> Row | None:
        with self._lock:
            return self._find(where, value)

    def _find(self, where: str, value: object) -> Row | None:
        found = self._run(f"SELECT {_COLUMNS} FROM outbox WHERE {where}", (value,)).fetchone()
        return None if found is None else _row(found)

    def _all(self, where: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        with self._lock:
            return self._run(f"SELECT {_COLUMNS} FROM outbox WHERE {where}", values).fetchall()

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise OutboxError(f"outbox: {error}") from None

    def _require_format(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT):
            raise OutboxError(f"an outbox of format {version}; this program writes {FORMAT}")
        self._db.execute(f"PRAGMA user_version = {FORMAT}")


def _row(found: tuple[object, ...]) -> Row:
    *fields, state, height, code, created_ms = found
    return Row(*fields, State(state), height, code, created_ms)  # type: ignore[arg-type, call-arg]
