"""Rows of the index as the ledger's own records: what a state proof shows is these bytes, or other ones.

One rule: a record is written anew from columns alone, so a column that is wrong makes other bytes.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from node.indexer.rows import AttestationRow, HoldRow, OrderRow
from node.ledger.attestations import ATTESTATION, Attestation, encode_attestation
from node.ledger.holds import HOLD, Condition, Hold, encode_hold
from node.ledger.orders import ARREST, FREEZE, SEIZE, Order, encode_order, order_key

ACTS: Final = {"freeze": FREEZE, "arrest": ARREST, "seize": SEIZE}


class Record(NamedTuple):
    """A key of the state tree and its row; None: nothing is to be there."""

    key: bytes
    row: bytes | None


class Kind(NamedTuple):
    """Rows of a table that the state tree has too: their columns (of `row`), and how a record is made of them."""

    table: str
    query: str
    record: Callable[[tuple[Any, ...]], Record]
    where: str  # what finds one by the parts of its key
    parts: Callable[[bytes], tuple[object, ...]]

    def find(self, key: bytes) -> tuple[str, tuple[object, ...]]:
        """Return the query, with its values, for the row of a key."""
        return f"{self.query} WHERE {self.where}", self.parts(key)


def _hold(found: tuple[Any, ...]) -> Record:
    hold = HoldRow(*found)
    condition = Condition(
        hold.secret_hash or b"",
        tuple(hold.categories),
        hold.not_before_ms,
        hold.needs_schema or "",
        hold.needs_subject or "",
        hold.revocable,
    )
    made = Hold(
        hold.asset,
        hold.payer,
        hold.settler,
        hold.payee,
        hold.amount_left,
        hold.ref,
        hold.until_ms,
        hold.height,
        None if hold.order_number is not None else condition,
        hold.order_number or "",
    )
    return Record(HOLD + hold.id, encode_hold(made) if hold.ended is None else None)


def _order(found: tuple[Any, ...]) -> Record:
    *columns, time_ms, lifted_ms = found
    order = OrderRow(*columns)
    made = Order(
        ACTS[order.act],
        order.target,
        order.basis,
        order.asset or 0,
        order.amount or 0,
        order.payee or 0,
        order.incoming,
        order.hold or b"",
        time_ms,
        order.height,
        order.transaction,
        lifted_ms or 0,
        order.lifted_basis or b"",
    )
    return Record(order_key(order.authority, order.number), encode_order(made))


def _attestation(found: tuple[Any, ...]) -> Record:
    *columns, time_ms, revoked_ms = found
    said = AttestationRow(*columns)
    made = Attestation(
        *(said.schema, said.subject, said.value, said.as_of_ms, said.until_ms, said.evidence, said.author),
        *(time_ms, said.height, said.transaction, revoked_ms or 0, said.revoked_by or 0),
    )
    return Record(ATTESTATION + said.id, encode_attestation(made))


def _id(key: bytes) -> tuple[object, ...]:
    return (key[1:],)


def _name(key: bytes) -> tuple[object, ...]:
    return int.from_bytes(key[1:9], "big"), key[9:].decode()


def _with_times(table: str, row: type[Any], ends: str) -> str:
    columns = ", ".join(f"row.{name}" for name in row._fields)
    return (
        f"SELECT {columns}, made.time_ms, over.time_ms FROM som.{table} row "
        f"JOIN som.blocks made ON made.height = row.height LEFT JOIN som.blocks over ON over.height = row.{ends}"
    )


KINDS: Final = (
    Kind(
        "holds",
        f"SELECT {', '.join(f'row.{name}' for name in HoldRow._fields)} FROM som.holds row",
        _hold,
        "row.id = %s",
        _id,
    ),
    Kind("orders", _with_times("orders", OrderRow, "lifted"), _order, "row.authority = %s AND row.number = %s", _name),
    Kind("attestations", _with_times("attestations", AttestationRow, "revoked"), _attestation, "row.id = %s", _id),
)
