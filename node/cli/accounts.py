"""account show, history, new, open: who has what, and opening wallets."""

from hashlib import sha256
from hmac import new as hmac_new
from pathlib import Path
from typing import Any

import click

from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Session, SomGroup
from node.cli.show import format_ref, format_time
from node.cli.signing import account_of, key_header
from node.client.client import Client
from node.client.proofs import ProvenAccount
from node.client.trust import Trust
from node.config import ConfigError
from node.home import read_genesis
from node.ledger.account import (
    PARTICIPANT_MAX,
    SERIAL_MAX,
    SOM,
    Kind,
    account_number,
    format_account,
)
from node.ledger.account_ops import OpenAccount
from node.rpc import types
from node.rpc.forms import LIMIT_MAX

HISTORY_DEFAULT = 20
SECRET_BYTES_MIN = 32


@click.group(cls=SomGroup)
def account() -> None:
    """Accounts: balances, statements, opening."""


@account.command("show")
@click.argument("number", metavar="ACCOUNT")
@click.option(
    "--genesis",
    "genesis_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Verify the answer from this genesis: no node needs to be believed.",
)
@click.pass_obj
def show(session: Session, number: str, genesis_file: Path | None) -> None:
    """Show an account: kind, limits, keys, balances."""
    named = account_of(session, number)
    trust = None if genesis_file is None else Trust.of(read_genesis(genesis_file))

    async def question(client: Client) -> tuple[types.AccountView, ProvenAccount | None]:
        return await client.account(named), None if trust is None else await client.prove_account(named)

    found, proven = session.ask(question, trust=trust)
    value: dict[str, Any] = {"account": found}
    if proven is not None:
        balance = 0 if proven.account is None else proven.account.balance(SOM)
        value["proven"] = {"height": proven.height, "certified_by": proven.certified_by, "balance": str(balance)}
        session.words(f"{session.say('verified')}: {proven.height} ≤ {proven.certified_by}, {session.money(balance)}")
    session.data(value, lambda: session.pairs(_rows(session, found)))


@account.command("history")
@click.argument("number", metavar="ACCOUNT")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=HISTORY_DEFAULT, show_default=True)
@click.option("--order", type=click.Choice(["desc", "asc"]), default="desc", show_default=True)
@click.option("--cursor", help="Go on where the last page ended.")
@click.pass_obj
def history(session: Session, number: str, limit: int, order: str, cursor: str | None) -> None:
    """List an account's statement, newest first."""
    named = account_of(session, number)

    async def question(client: Client) -> types.GetHistoryResult:
        return await client.history_page(named, cursor, order, limit)

    page = session.ask(question)
    say = session.say
    rows = [
        (
            entry.number,
            format_time(entry.timestamp_ms),
            entry.other or "*",
            session.money(int(entry.amount)),
            session.money(int(entry.balance)),
            format_ref(entry.ref),
            entry.tx_id,
        )
        for entry in page.entries
    ]
    heads = ["#", say("time"), say("other"), say("amount"), say("balance"), say("ref"), say("transaction")]
    session.data(page, lambda: session.rows(heads, rows, right=(0, 3, 4)))
    if page.next_cursor and not session.as_json:
        session.words(f"--cursor {page.next_cursor}")


@account.command("new")
@click.option("--participant", type=click.IntRange(0, PARTICIPANT_MAX), required=True, help="The bank's four digits.")
@click.option("--serial", type=click.IntRange(0, SERIAL_MAX), required=True, help="Ten digits, given by the bank.")
@click.pass_obj
def new(session: Session, participant: int, serial: int) -> None:
    """Make an account number: participant, serial, check digits. Nothing is sent."""
    number = format_account(account_number(participant, serial))
    session.data({"account": number}, lambda: session.pairs([(session.say("account"), number)]))


@account.command("open", cls=SigningCommand)
@click.argument("number", metavar="ACCOUNT")
@click.option("--by", "opener", required=True, metavar="ACCOUNT", help="The bank that opens it, and signs.")
@click.option("--kind", type=click.Choice([kind.name.lower() for kind in Kind]), default="person", show_default=True)
@click.option("--tier", type=click.IntRange(0, 255), default=1, show_default=True)
@click.option("--category", type=click.IntRange(0, 9_999), default=0, help="A merchant's category code.")
@click.option("--owner", "owners", multiple=True, required=True, metavar="KEY", help="Public key, hex, or a key file.")
@click.option("--threshold", type=click.IntRange(1, 16), default=1, show_default=True, help="Keys that must sign.")
@click.option(
    "--identity",
    metavar="TEXT",
    prompt=True,
    prompt_required=False,
    hide_input=True,
    help="The person's number; only its keyed hash goes on the chain. Without a value it is asked for.",
)
@click.option("--secret-file", type=click.Path(path_type=Path, dir_okay=False), help="The bank's secret for the hash.")
@click.option("--commitment", metavar="HEX", help="The 32 bytes themselves, in place of --identity.")
@click.pass_obj
def open_account(session: Session, /, number: str, opener: str, **given: Any) -> None:
    """Open an account: a bank does it for a customer, by its own signature."""
    by = account_of(session, opener)
    keys = tuple(sorted((public_key(session, text), 1) for text in given["owners"]))
    operation = OpenAccount(
        by,
        account_of(session, number),
        int(Kind[given["kind"].upper()]),
        given["tier"],
        given["category"],
        keys,
        given["threshold"],
        _commitment(session, given["commitment"], given["identity"], given["secret_file"]),
    )
    sign_and_settle(session, by, operation, given)


def _commitment(session: Session, commitment: str | None, identity: str | None, secret_file: Path | None) -> bytes:
    if commitment is not None:
        return _hex(session, commitment, "--commitment")
    if identity is None or secret_file is None:
        raise click.UsageError("--commitment, or --identity with --secret-file")
    secret = secret_file.read_bytes().strip()
    if len(secret) < SECRET_BYTES_MIN:  # a short one could be guessed, and then every person's number
        raise ConfigError(f"{secret_file}: {SECRET_BYTES_MIN} bytes at least")
    return hmac_new(secret, identity.encode(), sha256).digest()


def public_key(session: Session, text: str) -> bytes:
    """Return the public key that hex digits are, or that a key file names. Raises click.BadParameter, ConfigError."""
    path = Path(text)
    return _hex(session, key_header(path)["pub"] if path.is_file() else text, "--owner")


def _hex(session: Session, text: str, option: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32 or value.hex() != text:
        raise click.BadParameter(f"{text!r}: {session.say('bad_hex')}, 64", param_hint=option)
    return value


def _rows(session: Session, found: types.AccountView) -> list[tuple[str, object]]:
    say = session.say
    rows: list[tuple[str, object]] = [
        (say("account"), found.account),
        (say("kind"), found.kind),
        (say("tier"), found.tier),
        (say("bank"), found.bank or "-"),
        (say("flags"), ", ".join(found.flags) or "-"),
        (say("keys"), f"{found.threshold}/{len(found.keys)}: " + ", ".join(key.key for key in found.keys)),
        (say("entries"), found.statement_length),
    ]
    for holding in found.holdings:
        rows.append((say("balance"), session.money(int(holding.balance), holding.scale, holding.code)))
        if int(holding.held):
            rows.append((say("held"), session.money(int(holding.held), holding.scale, holding.code)))
            rows.append((say("available"), session.money(int(holding.available), holding.scale, holding.code)))
    if not found.holdings:
        rows.append((say("balance"), session.money(0)))
    return rows
