"""The PostgreSQL database: who may write it, what is read from it, and the one transaction in which it grows.

One rule: rows and the place in the chain move together or not at all, and only from the place that the writer knows. So
whatever dies, and whenever, every block is there once. The only importer of psycopg, which is the extra ``index``.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import psycopg

from node.client.chain import ChainPlace
from node.indexer.books import genesis_rows
from node.indexer.needs import Needs
from node.indexer.rows import (
    AccountRow,
    AssetChangeRow,
    AssetRow,
    AttestationRow,
    BalanceRow,
    BlockRow,
    EntryRow,
    HoldChangeRow,
    HoldRow,
    OrderRow,
    Rows,
    TransactionRow,
)
from node.indexer.schema import LEASE, STEPS, VERSION
from node.ledger.account import Kind
from node.ledger.genesis import Genesis

CONNECT_SECONDS: Final = 10
LEASE_SECONDS: Final = 15.0  # for the server to notice that the indexer before is gone
LEASE_PAUSE_SECONDS: Final = 0.2


class DatabaseError(Exception):
    """The database cannot be used; the message says why and what to do."""


class Unavailable(Exception):
    """The server does not answer now, or has ended the connection: whatever was under way may be done or not."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far the database is. ``chain`` None: nothing but the genesis."""

    height: int
    chain: ChainPlace | None
    cursor: str | None


class _Table(NamedTuple):
    row: type[Any]
    key: tuple[str, ...]  # empty: rows are only ever added


_TABLES: Final = {
    "blocks": _Table(BlockRow, ()),
    "transactions": _Table(TransactionRow, ()),
    "entries": _Table(EntryRow, ()),
    "hold_changes": _Table(HoldChangeRow, ()),
    "asset_changes": _Table(AssetChangeRow, ()),
    "accounts": _Table(AccountRow, ("number",)),
    "balances": _Table(BalanceRow, ("account", "asset")),
    "holds": _Table(HoldRow, ("id",)),
    "assets": _Table(AssetRow, ("number",)),
    "orders": _Table(OrderRow, ("authority", "number")),
    "attestations": _Table(AttestationRow, ("id",)),
}

T = TypeVar("T")


class Database:
    """An open database of which this process is the one writer; made by ``open``."""

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", place: Place) -> None:
        self._connection = connection
        self.place = place

    @classmethod
    def open(cls, dsn: str, genesis: Genesis) -> "Database":
        """Connect, become the writer, make or grow the schema. Raises DatabaseError, Unavailable."""

        def prepared() -> Database:
            connection = psycopg.connect(
                dsn, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="som index"
            )
            try:
                _take_lease(connection)
                with connection.transaction():
                    _grow(connection, genesis)
                _stage(connection)
                return Database(connection, read_place(connection, genesis))
            except BaseException:
                connection.close()
                raise

        return translated(prepared)

    def close(self) -> None:
        """End the connection, and with it the lease."""
        self._connection.close()

    def write(self, rows: Rows, place: ChainPlace, cursor: str) -> None:
        """Add the rows of the next blocks up to ``place``, in one transaction. Raises DatabaseError, Unavailable."""

        def written() -> None:
            with self._connection.transaction():
                moved = self._connection.execute(
                    "UPDATE som.chain SET height = %s, block_hash = %s, root = %s, event_cursor = %s WHERE height = %s",
                    (place.height, place.block_hash, place.root, cursor, self.place.height),
                )
                if moved.rowcount != 1:
                    raise DatabaseError("another indexer has moved this database on")
                _put(self._connection, rows)

        translated(written)
        self.place = Place(place.height, place, cursor)

    # --- books.Reader ---

    def orders(self, names: Iterable[tuple[int, str]]) -> list[OrderRow]:
        wanted = list(names)
        where = "(authority, number) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))"
        return self._read("orders", where, [each[0] for each in wanted], [each[1] for each in wanted])

    def holds(self, needs: Needs) -> list[HoldRow]:
        found: list[HoldRow] = []
        if needs.holds:
            found += self._read("holds", "ended IS NULL AND id = ANY(%s)", list(needs.holds))
        if needs.payers:
            found += self._read("holds", "ended IS NULL AND payer = ANY(%s)", list(needs.payers))
        ended = (
            "ended IS NULL AND until_ms > 0 AND until_ms <= %s"
            " AND NOT id = ANY(%s::bytea[]) AND NOT payer = ANY(%s::bigint[]) ORDER BY until_ms, id LIMIT %s"
        )
        found += self._read("holds", ended, needs.until_ms, list(needs.holds), list(needs.payers), needs.ended_max)
        holds = {row.id: row._replace(categories=tuple(row.categories)) for row in found}
        return list(holds.values())

    def accounts(self, numbers: Iterable[int]) -> list[AccountRow]:
        return self._read("accounts", "number = ANY(%s)", list(numbers))

    def balances(self, numbers: Iterable[int]) -> list[BalanceRow]:
        return self._read("balances", "account = ANY(%s)", list(numbers))

    def assets(self, numbers: Iterable[int]) -> list[AssetRow]:
        return self._read("assets", "number = ANY(%s)", list(numbers))

    def attestations(self, ids: Iterable[bytes]) -> list[AttestationRow]:
        return self._read("attestations", "id = ANY(%s)", list(ids))

    def _read(self, table: str, where: str, *params: object) -> list[Any]:
        if params and params[0] == []:
            return []
        row = _TABLES[table].row
        query = f"SELECT {', '.join(row._fields)} FROM som.{table} WHERE {where}".encode()
        return translated(lambda: [row(*found) for found in self._connection.execute(query, params)])


def translated(work: Callable[[], T]) -> T:
    """Return what ``work`` returns; what psycopg raises is said in our words."""
    try:
        return work()
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unavailable(_first_line(error)) from error
    except psycopg.Error as error:
        raise DatabaseError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return f"PostgreSQL: {str(error).strip().partition(chr(10))[0] or type(error).__name__}"


def read_place(connection: "psycopg.Connection[tuple[Any, ...]]", genesis: Genesis) -> Place:
    """Return how far the database is. Raises DatabaseError if it is of another network or version."""
    if connection.execute("SELECT to_regclass('som.chain')").fetchone() == (None,):
        raise DatabaseError("there is no index in this database")
    found = connection.execute(
        "SELECT genesis_hash, network, schema_version, height, block_hash, root, event_cursor FROM som.chain"
    ).fetchone()
    if found is None:
        raise DatabaseError("there is no index in this database")
    genesis_hash, network, version, height, block_hash, root, cursor = found
    if genesis_hash != genesis.hash:
        raise DatabaseError(f"this database is of another network: {network}, genesis {genesis_hash.hex()}")
    if version > VERSION:
        raise DatabaseError(f"this database has schema version {version}, and this software knows {VERSION}: update it")
    chain = None if block_hash is None else ChainPlace(height, block_hash, root)
    return Place(height, chain, cursor)


class Reading(NamedTuple):
    """A connection on which one only reads."""

    connection: "psycopg.Connection[tuple[Any, ...]]"

    def rows(self, query: str, params: Any = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Raises DatabaseError, Unavailable."""
        return translated(lambda: self.connection.execute(query.encode(), params).fetchall())


@contextmanager
def reading(dsn: str, genesis: Genesis) -> Iterator[tuple[Reading, Place]]:
    """Give one moment of the database, of which the place is told. Raises DatabaseError, Unavailable."""

    def begun() -> "psycopg.Connection[tuple[Any, ...]]":
        connection = psycopg.connect(dsn, connect_timeout=CONNECT_SECONDS, application_name="som index --verify")
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return connection

    connection = translated(begun)
    try:
        yield Reading(connection), translated(lambda: read_place(connection, genesis))
    finally:
        connection.close()


# --- steps ---


def _take_lease(connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """Become the one writer, for as long as the connection lasts."""
    deadline = time.monotonic() + LEASE_SECONDS
    while connection.execute("SELECT pg_try_advisory_lock(%s)", (LEASE,)).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise DatabaseError("another indexer writes this database")
        time.sleep(LEASE_PAUSE_SECONDS)


def _grow(connection: "psycopg.Connection[tuple[Any, ...]]", genesis: Genesis) -> None:
    """Make the schema, or take it to our version, by the steps that it has not seen."""
    if connection.execute("SELECT to_regnamespace('som')").fetchone() == (None,):
        connection.execute("CREATE SCHEMA som")  # takes a right over the whole database, which its owner need not have
    there = connection.execute("SELECT to_regclass('som.chain')").fetchone() != (None,)
    version = 0
    if there:
        read_place(connection, genesis)
        row = connection.execute("SELECT schema_version FROM som.chain").fetchone()
        assert row is not None
        (version,) = row
    for step in STEPS[version:]:
        connection.execute(step.encode())
    if there:
        connection.execute("UPDATE som.chain SET schema_version = %s", (VERSION,))
        return
    connection.execute(
        "INSERT INTO som.chain (genesis_hash, network, schema_version, height) VALUES (%s, %s, %s, 0)",
        (genesis.hash, genesis.name, VERSION),
    )
    for kind in Kind:
        connection.execute("INSERT INTO som.kinds VALUES (%s, %s)", (int(kind), kind.name.lower()))
    rows = genesis_rows(genesis)
    _copy(connection, "som.accounts", AccountRow, rows.accounts)
    _copy(connection, "som.assets", AssetRow, rows.assets)


def _stage(connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """Make the tables through which changed rows come in, which are this connection's own."""
    for name, table in _TABLES.items():
        if table.key:
            connection.execute(f"CREATE TEMP TABLE new_{name} (LIKE som.{name}) ON COMMIT DELETE ROWS".encode())


def _put(connection: "psycopg.Connection[tuple[Any, ...]]", rows: Rows) -> None:
    for name, added in rows.tables():
        if not added:
            continue
        table = _TABLES[name]
        columns = ", ".join(table.row._fields)
        if not table.key:
            _copy(connection, f"som.{name}", table.row, added)
            continue
        _copy(connection, f"new_{name}", table.row, added)
        changed = ", ".join(f"{each} = excluded.{each}" for each in table.row._fields if each not in table.key)
        connection.execute(
            f"INSERT INTO som.{name} ({columns}) SELECT {columns} FROM new_{name} "
            f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changed}".encode()
        )


def _copy(
    connection: "psycopg.Connection[tuple[Any, ...]]", table: str, row: type[Any], rows: Sequence[tuple[Any, ...]]
) -> None:
    arrays = [index for index, name in enumerate(row._fields) if name in ("accounts", "operations", "categories")]
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({', '.join(row._fields)}) FROM STDIN".encode()) as copy,
    ):
        for each in rows:
            copy.write_row(_with_lists(each, arrays) if arrays else each)


def _with_lists(row: tuple[Any, ...], arrays: Sequence[int]) -> list[Any]:
    """Return a row whose arrays are lists, as the driver wants them."""
    values = list(row)
    for index in arrays:
        values[index] = list(values[index])
    return values
