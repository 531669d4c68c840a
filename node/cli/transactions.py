"""tx get, wait, decode, simulate, sign, submit: one transaction, from bytes to its final result."""

from pathlib import Path
from typing import Any

import click
import msgspec

from node.cli.payments import KEY_FILES, PASSPHRASE_FILE, TIMEOUT_SECONDS, show_settled
from node.cli.prepared import Prepared, parse_prepared, read_prepared, signers_for, write_prepared
from node.cli.session import Exit, Session, SomGroup
from node.cli.show import format_ref, format_time
from node.client.client import Client, Settled
from node.client.proofs import ProvenReceipt
from node.client.trust import Trust
from node.home import read_genesis
from node.ledger.account import SOM
from node.ledger.errors import Code
from node.ledger.errors import text as ledger_text
from node.ledger.transaction import decode_transaction, signatures_valid
from node.rpc import ledger_types, types
from node.rpc.views import transaction_view

LEGS_SHOWN_MAX = 20  # where nothing is signed; the rest is in --json


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
    """Show what a transaction says, and whether its signatures hold for the node's network.

    Of a file that others sign (--prepare), whether all that are needed are there: no node is asked.
    """
    raw = _raw(session, source)
    prepared = parse_prepared(raw)
    if prepared is None:
        transaction = decode_transaction(raw, session.ask(_genesis_hash))
        valid = signatures_valid(transaction)
    else:
        transaction, valid = prepared.trial(), not prepared.missing()
    view = transaction_view(transaction)
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


@tx.command("simulate")
@click.argument("source", metavar="HEX|FILE")
@click.pass_obj
def simulate(session: Session, source: str) -> None:
    """Ask what would become of a transaction now, signed or not. Nothing is sent."""
    raw = _raw(session, source)
    prepared = parse_prepared(raw)
    tried = raw if prepared is None else prepared.trial().raw

    async def question(client: Client) -> ledger_types.SimulateResult:
        return await client.simulate(tried)

    found = session.ask(question)
    rows: list[tuple[str, object]] = [
        (session.say("transaction"), found.tx_id),
        (session.say("code"), f"{found.code} {found.name}"),
        *((session.say("skipped"), f"{leg.op}/{leg.leg}: {leg.code} {leg.name}") for leg in found.skipped),
    ]
    session.data(found, lambda: session.pairs(rows))
    if found.code:
        place = "" if found.op is None else f" ({found.op}{'' if found.leg is None else f'/{found.leg}'})"
        session.end(Exit.REFUSED, f"{found.name}{place}: {ledger_text(Code(found.code), session.language)}")


@tx.command("sign")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--genesis",
    "genesis_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your own copy: refuse what is of another network.",
)
@click.option("--yes", is_flag=True, help="Do not ask whether to sign what is shown.")
@click.pass_obj
def sign(session: Session, /, file: Path, genesis_file: Path | None, yes: bool, **given: Any) -> None:
    """Add signatures to a file that --prepare wrote. No node is asked, nothing is sent."""
    prepared = read_prepared(file)
    if genesis_file is not None and prepared.genesis_hash != read_genesis(genesis_file).hash.hex():
        session.end(Exit.CONFIG, session.say("other_network"))
    transaction = prepared.trial()
    rows = [(session.say("transaction"), transaction.id.hex()), (session.say("genesis"), prepared.genesis_hash)]
    for name, text in (*rows, *_transaction_rows(session, transaction_view(transaction), legs_max=None)):
        session.words(f"{name}: {text}")
    if not yes and not click.confirm(session.say("sign_this"), err=True):
        session.end(Exit.ERROR, session.say("not_signed"))
    keys = signers_for(
        session, prepared.accounts, given["key_files"], given["passphrase_file"], prepared.network_kind, needs_all=False
    )
    write_prepared(session, file, prepared.signed(keys))


sign.params += [KEY_FILES, PASSPHRASE_FILE]


@tx.command("submit")
@click.argument("source", metavar="HEX|FILE")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(0, 3_600), default=TIMEOUT_SECONDS)
@click.pass_obj
def submit(session: Session, source: str, timeout_seconds: float) -> None:
    """Send a signed transaction. Sending it again is harmless: the first receipt is shown."""
    raw = _raw(session, source)
    prepared = parse_prepared(raw)
    if prepared is not None:
        raw = _complete(session, prepared)

    async def question(client: Client) -> Settled:
        transaction = decode_transaction(raw, await _genesis_hash(client))
        return await client.submit(transaction, timeout_seconds=timeout_seconds)

    show_settled(session, [session.ask(question, keeps=True)])


def _complete(session: Session, prepared: Prepared) -> bytes:
    missing = prepared.missing()
    if missing:
        listed = ", ".join(f"{account}: {weight}" for account, weight in missing.items())
        session.end(Exit.REFUSED, f"{session.say('missing')}: {listed}")
    return prepared.transaction().raw


async def _genesis_hash(client: Client) -> bytes:
    return bytes.fromhex((await client.info()).genesis_hash)


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


def _transaction_rows(
    session: Session, view: types.TransactionView, legs_max: int | None = LEGS_SHOWN_MAX
) -> list[tuple[str, object]]:
    """Return all that the operations say, with the count and the total of legs, of which ``legs_max`` are shown."""
    say = session.say
    rows: list[tuple[str, object]] = [(say("expires"), format_time(view.expires_ms))]
    for operation in view.operations:
        legs = operation.legs
        fields = msgspec.to_builtins(operation)
        told = [f"{name} {value}" for name, value in fields.items() if name not in ("type", "legs")]
        if legs is None:
            rows.append((operation.type, ", ".join(told)))
            continue
        total = _money(session, operation.asset, sum(int(leg.amount) for leg in legs))
        told += [f"{say('payments')}: {len(legs)}", f"{say('total')}: {total}"]
        rows.append((operation.type, ", ".join(told)))
        for leg in legs[:legs_max]:
            money = _money(session, operation.asset, int(leg.amount))
            rows.append((operation.type, f"{operation.payer} → {leg.to}  {money}  {format_ref(leg.ref)}"))
        if legs_max is not None and len(legs) > legs_max:
            rows.append((operation.type, f"… {len(legs)}"))
    return rows


def _money(session: Session, asset: int | None, units: int) -> str:
    """Return an amount. How many decimals another asset has is not in the bytes, and who signs asks no node."""
    return session.money(units) if asset == SOM else session.say("units_of_asset").format(units=units, asset=asset)
