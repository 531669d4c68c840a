"""tx get, wait, decode, submit: one transaction, from bytes to its final result."""

from pathlib import Path
from typing import Any

import click
import msgspec

from node.cli.payments import TIMEOUT_SECONDS, show_settled
from node.cli.session import Exit, Session, SomGroup
from node.cli.show import format_ref, format_time
from node.client.client import Client, Settled
from node.client.proofs import ProvenReceipt
from node.client.trust import Trust
from node.home import read_genesis
from node.ledger.transaction import decode_transaction, signatures_valid
from node.rpc import types
from node.rpc.views import transaction_view

LEGS_SHOWN_MAX = 20  # the rest is in --json


@click.group(cls=SomGroup)
def tx() -> None:
    """Transactions: what became of them."""


@tx.command("get")
@click.argument("tx_id")
@click.option(
    "--genesis",
    "genesis_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Verify the receipt from this genesis.",
)
@click.pass_obj
def get(session: Session, tx_id: str, genesis_file: Path | None) -> None:
    """Show a transaction and its receipt."""
    named = _id(session, tx_id)
    trust = None if genesis_file is None else Trust.of(read_genesis(genesis_file))

    async def question(client: Client) -> tuple[types.GetTransactionResult, ProvenReceipt | None]:
        found = await client.transaction(named, True)
        return found, await client.prove_transaction(named) if trust is not None and found.outcome.final else None

    found, proven = session.ask(question, trust=trust)
    if proven is not None:
        session.words(f"{session.say('verified')}: {proven.height} ≤ {proven.certified_by}")
    session.data(found, lambda: session.pairs(_rows(session, found)))


@tx.command("wait")
@click.argument("tx_id")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(0, 3_600), default=TIMEOUT_SECONDS)
@click.pass_obj
def wait(session: Session, tx_id: str, timeout_seconds: float) -> None:
    """Wait for the final result; what this computer sent is sent again if need be."""
    named = _id(session, tx_id)

    async def question(client: Client) -> Settled:
        return await client.wait(named, timeout_seconds)

    show_settled(session, [session.ask(question, keeps=True)])


@tx.command("decode")
@click.argument("source", metavar="HEX|FILE")
@click.pass_obj
def decode(session: Session, source: str) -> None:
    """Show what a signed transaction says, and whether its signatures hold for the node's network."""
    raw = _raw(session, source)

    async def question(client: Client) -> bytes:
        return bytes.fromhex((await client.info()).genesis_hash)

    transaction = decode_transaction(raw, session.ask(question))
    view = transaction_view(transaction)
    valid = signatures_valid(transaction)
    session.data(
        {"tx_id": transaction.id.hex(), "signatures_valid": valid, "transaction": view},
        lambda: session.pairs(
            [
                (session.say("transaction"), transaction.id.hex()),
                (session.say("valid"), session.say("yes" if valid else "no")),
                *_transaction_rows(session, view),
            ]
        ),
    )
    if not valid:
        session.end(Exit.REFUSED, "SIGNATURE")


@tx.command("submit")
@click.argument("source", metavar="HEX|FILE")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(0, 3_600), default=TIMEOUT_SECONDS)
@click.pass_obj
def submit(session: Session, source: str, timeout_seconds: float) -> None:
    """Send a signed transaction. Sending it again is harmless: the first receipt is shown."""
    raw = _raw(session, source)

    async def question(client: Client) -> Settled:
        genesis_hash = bytes.fromhex((await client.info()).genesis_hash)
        transaction = decode_transaction(raw, genesis_hash)
        return await client.submit(transaction, timeout_seconds=timeout_seconds)

    show_settled(session, [session.ask(question, keeps=True)])


def _id(session: Session, text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32 or value.hex() != text:
        raise click.BadParameter(f"{text!r}: {session.say('bad_hex')}, 64", param_hint="TX_ID")
    return value


def _raw(session: Session, source: str) -> bytes:
    """Return the bytes that hex digits are, or that a file holds, as they are or as hex digits."""
    found = _from_hex(source)
    if found is not None:
        return found
    try:
        data = Path(source).read_bytes()
    except (OSError, ValueError):
        raise click.BadParameter(session.say("bad_hex"), param_hint="HEX|FILE") from None
    return _from_hex(data.decode("ascii", errors="replace")) or data


def _from_hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        return None


def _rows(session: Session, found: types.GetTransactionResult) -> list[tuple[str, object]]:
    say = session.say
    rows: list[tuple[str, Any]] = [(say("transaction"), found.tx_id), (say("status"), say(found.outcome.status))]
    receipt = found.receipt
    if receipt is not None:
        rows += [
            (say("height"), f"{receipt.height} / {receipt.index}"),
            (say("time"), format_time(receipt.timestamp_ms)),
            (say("code"), f"{receipt.code} {receipt.name}"),
        ]
        rows += [(say("skipped"), f"{leg.op}/{leg.leg}: {leg.code} {leg.name}") for leg in receipt.skipped]
    if found.transaction is not None:
        rows += _transaction_rows(session, found.transaction)
    return rows


def _transaction_rows(session: Session, view: types.TransactionView) -> list[tuple[str, object]]:
    say = session.say
    rows: list[tuple[str, object]] = [(say("expires"), format_time(view.expires_ms))]
    for operation in view.operations:
        for leg in (operation.legs or ())[:LEGS_SHOWN_MAX]:
            text = f"{operation.payer} → {leg.to}  {session.money(int(leg.amount))}  {format_ref(leg.ref)}"
            rows.append((operation.type, text))
        if operation.legs is None:
            fields = msgspec.to_builtins(operation)
            rows.append(
                (operation.type, ", ".join(f"{name} {value}" for name, value in fields.items() if name != "type"))
            )
        elif len(operation.legs) > LEGS_SHOWN_MAX:
            rows.append((operation.type, f"… {len(operation.legs)}"))
    return rows
