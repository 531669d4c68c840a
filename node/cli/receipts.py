"""receipt: what an offline purse gives a merchant, and what the merchant makes of it when there is a network again.

One rule: a receipt is the device's signed transaction itself (docs/receipts.md). It is made without a network, can be
read and checked without one, and settling it twice pays once.
"""

import secrets
from pathlib import Path
from typing import Any, Final, Protocol

import click

from node.cli.amounts import parse_som
from node.cli.drawing import draw_code
from node.cli.payments import PASSPHRASE_FILE, TIMEOUT_SECONDS, show_settled
from node.cli.session import Exit, Session, SomGroup
from node.cli.show import format_time, unix_ms
from node.cli.signing import account_of, keys_for
from node.cli.values import bytes_of
from node.client.client import Client, Settled
from node.home import read_genesis
from node.ledger.account import format_account
from node.ledger.errors import Refused
from node.ledger.holds import ROW_ID_BYTES
from node.ledger.settle import SettleHold
from node.ledger.transaction import Transaction, decode_transaction, make_transaction, signatures_valid
from node.storage.files import write_file

PREFIX: Final = "SOM1"
NETWORK_CHARS: Final = 8  # of the genesis hash: which network, for people and programs that serve several
TEXT_CHARS_MAX: Final = 4_096
LIFETIME_HOURS: Final = 71  # a device's transaction may wait 72, and its clock may be ahead
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_GENESIS: Final = click.option(
    "--genesis", "genesis_file", type=_FILE, required=True, help="The network's genesis; no node is asked."
)


class Chain(Protocol):
    """Which network a receipt is of: what a genesis says, or a node of it."""

    @property
    def network(self) -> int: ...

    @property
    def hash(self) -> bytes: ...


@click.group(cls=SomGroup)
def receipt() -> None:
    """Receipts of an offline purse: a device pays a merchant without a network."""


@receipt.command("make")
@click.argument("hold_id", metavar="HOLD")
@click.option("--device", required=True, metavar="ACCOUNT", help="The purse, which may settle the hold.")
@click.option("--to", "merchant", required=True, metavar="ACCOUNT")
@click.argument("amount")
@_GENESIS
@click.option("--key", "key_files", multiple=True, metavar="FILE", type=_FILE, help="The purse's key file.")
@click.option("--expires-in", "hours", type=click.IntRange(1, 7 * 24), default=LIFETIME_HOURS, show_default=True)
@click.option("--out", type=_FILE, help="Write the receipt here too.")
@click.option("--qr", type=_FILE, help="Draw its QR code: FILE.svg or FILE.png. Without, in the terminal.")
@click.pass_obj
def make(session: Session, /, hold_id: str, device: str, merchant: str, amount: str, **given: Any) -> None:
    """Pay AMOUNT som from HOLD without a network: prints the receipt for the merchant."""
    genesis, number = read_genesis(given["genesis_file"]), account_of(session, device)
    try:
        tyiyn = parse_som(amount)
    except ValueError:
        raise click.BadParameter(f"{amount!r}: {session.say('bad_amount')}", param_hint="AMOUNT") from None
    name = bytes_of(session, hold_id, ROW_ID_BYTES, "HOLD")
    operation = SettleHold(number, name, tyiyn, account_of(session, merchant), b"", False)
    keys = keys_for(session, number, given["key_files"], given["passphrase_file"], genesis.kind)
    expires_ms = unix_ms() + given["hours"] * 3_600_000
    transaction = make_transaction(
        genesis.network,
        genesis.hash,
        expires_ms,
        secrets.randbits(64),
        [number],
        [operation],
        [(0, key) for key in keys],
    )
    text = format_receipt(transaction, genesis.hash)
    if given["out"] is not None:
        write_file(given["out"], text.encode() + b"\n")
    draw_code(session, text, given["qr"], "--qr")
    _show(session, transaction, text)


make.params += [PASSPHRASE_FILE]


@receipt.command("show")
@click.argument("source", metavar="RECEIPT|FILE")
@_GENESIS
@click.option("--qr", type=_FILE, help="Draw its QR code: FILE.svg or FILE.png.")
@click.pass_obj
def show(session: Session, source: str, genesis_file: Path, qr: Path | None) -> None:
    """Check a receipt without a network: its form, its network, its signatures. Whether the hold has so much, only the
    ledger knows.
    """
    text = _text(source)
    transaction = parse_receipt(text, read_genesis(genesis_file))
    if transaction is None:
        session.end(Exit.REFUSED, session.say("bad_receipt"))
    if qr is not None:
        draw_code(session, text, qr, "--qr")
    _show(session, transaction, text)
    if transaction.expires_ms <= unix_ms():
        session.end(Exit.REFUSED, session.say("expired"))


@receipt.command("settle")
@click.argument("source", metavar="RECEIPT|FILE")
@_GENESIS
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(0, 3_600), default=TIMEOUT_SECONDS)
@click.pass_obj
def settle(session: Session, source: str, genesis_file: Path, timeout_seconds: float) -> None:
    """Turn a receipt into money. Settling it again is harmless: the first result is shown."""
    transaction = parse_receipt(_text(source), read_genesis(genesis_file))
    if transaction is None:
        session.end(Exit.REFUSED, session.say("bad_receipt"))

    async def question(client: Client) -> Settled:
        return await client.submit(transaction, timeout_seconds=timeout_seconds)

    show_settled(session, [session.ask(question, keeps=True)])


def format_receipt(transaction: Transaction, genesis_hash: bytes) -> str:
    """Return the text of a receipt: SOM1:<8 digits of the genesis hash>:<transaction>, all hex in upper case."""
    return f"{PREFIX}:{genesis_hash.hex()[:NETWORK_CHARS].upper()}:{transaction.raw.hex().upper()}"


def parse_receipt(text: str, genesis: Chain) -> Transaction | None:
    """Return the transaction of a receipt of this network whose signatures hold; None for anything else."""
    prefix, _, rest = text.partition(":")
    network, _, digits = rest.partition(":")
    if prefix != PREFIX or network != genesis.hash.hex()[:NETWORK_CHARS].upper() or len(text) > TEXT_CHARS_MAX:
        return None
    try:
        raw = bytes.fromhex(digits)
        transaction = decode_transaction(raw, genesis.hash)
    except (ValueError, Refused):
        return None
    if raw.hex().upper() != digits or not _is_receipt(transaction, genesis):
        return None
    return transaction if signatures_valid(transaction) else None


def _is_receipt(transaction: Transaction, genesis: Chain) -> bool:
    """Return whether it is one payment from one hold by its settler alone, which names the payee and has no secret."""
    operation = transaction.operations[0]
    return (
        transaction.network == genesis.network
        and len(transaction.operations) == 1
        and isinstance(operation, SettleHold)
        and transaction.accounts == (operation.by,)
        and operation.amount > 0
        and operation.to > 0
        and not operation.secret
    )


def _text(source: str) -> str:
    """Return the receipt that ``source`` is or that the file of that name holds."""
    if source.startswith(f"{PREFIX}:"):
        return source
    with Path(source).open("rb") as file:
        return file.read(TEXT_CHARS_MAX + 1).decode("ascii", errors="replace").strip()


def _show(session: Session, transaction: Transaction, text: str) -> None:
    operation = transaction.operations[0]
    assert isinstance(operation, SettleHold)
    value = {
        "receipt": text,
        "tx_id": transaction.id.hex(),
        "device": format_account(operation.by),
        "hold": operation.hold.hex(),
        "to": format_account(operation.to),
        "amount": str(operation.amount),
        "expires_ms": transaction.expires_ms,
    }
    say = session.say
    rows: list[tuple[str, object]] = [
        (say("transaction"), value["tx_id"]),
        (say("payer"), value["device"]),
        (say("hold"), value["hold"]),
        (say("payee"), value["to"]),
        (say("amount"), session.money(operation.amount)),
        (say("expires"), format_time(transaction.expires_ms)),
        (say("receipt"), text),
    ]
    session.data(value, lambda: session.pairs(rows))
