"""pay, issue, redeem: money moves by a signed transaction that the outbox keeps.

One rule: a command that ends without knowing says so, with the line that finds out; "unknown" is never called "failed".
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from node.cli.amounts import parse_som
from node.cli.importing import replay_windows_ms
from node.cli.prepared import Prepared, file_of, signers_for, write_prepared
from node.cli.session import Exit, Session, SomCommand
from node.cli.signing import account_of, keys_for
from node.cli.values import TEXT
from node.client.client import LIFETIME_MS, Client, Settled, Signer
from node.client.outbox import State
from node.ledger.account import SOM, AccountNumber, format_account
from node.ledger.errors import Code
from node.ledger.errors import text as ledger_text
from node.ledger.operations import Operation
from node.ledger.pay import REF_BYTES_MAX, Pay

TIMEOUT_SECONDS = 30.0

KEY_FILES = click.Option(
    ["--key", "key_files"],
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Key file that signs; several for accounts that need more than one signature.",
)
PASSPHRASE_FILE = click.Option(
    ["--passphrase-file"],
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the passphrase of the key files here instead of asking.",
)
TIMEOUT = click.Option(
    ["--timeout", "timeout_seconds"],
    type=click.FloatRange(0, 3_600),
    default=TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the final result.",
)
ONCE_KEY = click.Option(
    ["--once", "purpose"],
    type=TEXT,
    metavar="NAME",
    help="Name the purpose (an invoice): under the same name nothing is paid twice from this computer.",
)
APPROVERS = click.Option(
    ["--with", "approvers"],
    multiple=True,
    metavar="ACCOUNT",
    help="An account that agrees, and signs too: a second authority.",
)
PREPARE = click.Option(
    ["--prepare", "prepared"],
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Send nothing: write a file that others sign (som tx sign) and one sends (som tx submit).",
)
LIFETIME = click.Option(
    ["--expires-in", "lifetime_minutes"],
    type=click.FloatRange(0, 7 * 24 * 60, min_open=True),
    default=LIFETIME_MS / 60_000,
    show_default=True,
    metavar="MINUTES",
    help="How long it may wait for signatures and a block: less than 10 for people, than 4320 for institutions.",
)

# Transaction id -> what the transaction makes, by name: the id of a hold.
Names = Callable[[bytes], Mapping[str, str]]
# Ends the command if the payment was made before; else returns the block time up to which it was not.
Unpaid = Callable[[Client], Awaitable[int]]


class SigningCommand(SomCommand):
    """A command that signs, sends and waits; or prepares what others sign."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [KEY_FILES, PASSPHRASE_FILE, TIMEOUT, ONCE_KEY, APPROVERS, PREPARE, LIFETIME]


@click.command(cls=SigningCommand)
@click.option("--from", "payer", required=True, metavar="ACCOUNT", help="16 digits, or a devnet's name.")
@click.option("--to", "payee", required=True, metavar="ACCOUNT")
@click.option(
    "--ref", type=TEXT, default="", help=f"What it is for, {REF_BYTES_MAX} bytes at most; then paid only once."
)
@click.argument("amount")
@click.pass_obj
def pay(session: Session, /, payer: str, payee: str, ref: str, amount: str, **signing: Any) -> None:
    """Pay AMOUNT som: som pay --from treasury --to 0011000000010057 1250.50"""
    _pay(session, account_of(session, payer), account_of(session, payee), amount, ref, signing)


@click.command(cls=SigningCommand)
@click.option("--from", "issuer", required=True, metavar="ACCOUNT", help="The issuer's account.")
@click.option("--to", "payee", required=True, metavar="ACCOUNT", help="A bank or the Treasury.")
@click.option("--ref", type=TEXT, default="")
@click.argument("amount")
@click.pass_obj
def issue(session: Session, /, issuer: str, payee: str, ref: str, amount: str, **signing: Any) -> None:
    """Issue AMOUNT som: a payment from the issuer's account, which its board signs."""
    _pay(session, account_of(session, issuer), account_of(session, payee), amount, ref, signing)


@click.command(cls=SigningCommand)
@click.option("--from", "payer", required=True, metavar="ACCOUNT", help="A bank or the Treasury.")
@click.option("--to", "issuer", required=True, metavar="ACCOUNT", help="The issuer's account.")
@click.option("--ref", type=TEXT, default="")
@click.argument("amount")
@click.pass_obj
def redeem(session: Session, /, payer: str, issuer: str, ref: str, amount: str, **signing: Any) -> None:
    """Redeem AMOUNT som: a payment to the issuer's account takes money out of circulation."""
    _pay(session, account_of(session, payer), account_of(session, issuer), amount, ref, signing)


COMMANDS = (pay, issue, redeem)


def sign_and_settle(
    session: Session,
    account: int,
    operation: Operation,
    signing: dict[str, Any],
    names: Names | None = None,
    unpaid: Unpaid | None = None,
) -> None:
    """Send one operation of ``account``, show what became of it, and end with the fitting code.

    Whoever else must be listed signs too: other actors of the operation, and --with. Under --prepare nothing is sent.
    ``unpaid`` is asked when the keys are open. What is signed then expires while the ledger still remembers all that
    was paid after that answer, so a payment with ``once`` is not made twice, however long anybody takes to sign
    (node/iso20022/resume.py has the argument).
    """
    approvers = [account_of(session, text) for text in signing["approvers"]]
    accounts = list(dict.fromkeys([account, *operation.actors, *approvers]))
    lifetime_ms = int(signing["lifetime_minutes"] * 60_000)
    if signing["prepared"] is not None:
        _prepare(session, accounts, operation, lifetime_ms, signing, unpaid)
        return

    async def talk(client: Client) -> Settled:
        info = await client.info()
        signers = await _signers(session, client, accounts, info.kind, signing)
        return await client.execute(
            accounts,
            [operation],
            signers,
            key=signing["purpose"],
            lifetime_ms=lifetime_ms,
            until_ms=await _until_ms(client, account, unpaid),
            timeout_seconds=signing["timeout_seconds"],
        )

    show_settled(session, [session.ask(talk, keeps=True)], names)


async def _signers(
    session: Session, client: Client, accounts: Sequence[int], kind: str, signing: dict[str, Any]
) -> list[Signer]:
    files, passphrase_file = signing["key_files"], signing["passphrase_file"]
    if len(accounts) == 1:  # its keys need not be asked for: the ledger says which of the files sign for it
        return [(0, key) for key in keys_for(session, accounts[0], files, passphrase_file, kind)]
    views = [await client.account(number) for number in accounts]
    return signers_for(session, views, files, passphrase_file, kind)


async def _until_ms(client: Client, payer: int, unpaid: Unpaid | None) -> int | None:
    if unpaid is None:
        return None
    number = AccountNumber(payer)
    return await unpaid(client) + (await replay_windows_ms(client, [number]))[number]


def _prepare(
    session: Session,
    accounts: Sequence[int],
    operation: Operation,
    lifetime_ms: int,
    signing: dict[str, Any],
    unpaid: Unpaid | None,
) -> None:
    async def talk(client: Client) -> Prepared:
        info = await client.info()
        views = [await client.account(number) for number in accounts]
        until_ms = await _until_ms(client, accounts[0], unpaid)
        body = await client.prepare(accounts, [operation], lifetime_ms, until_ms)
        keys = signers_for(session, views, signing["key_files"], signing["passphrase_file"], info.kind, needs_all=False)
        return file_of(info, body, views).signed(keys)

    write_prepared(session, signing["prepared"], session.ask(talk))


def show_settled(session: Session, settled: Sequence[Settled], names: Names | None = None) -> None:
    """Show results; the last word is the exit code. ``names``: what a transaction made, if it is applied."""
    say = session.say
    for one in settled:
        made = dict(names(one.tx_id)) if names is not None and one.state is State.APPLIED else {}
        value = {
            **made,
            "tx_id": one.tx_id.hex(),
            "status": one.state.value,
            "final": one.state is not State.PENDING,
            "height": one.height,
            "code": one.code,
            "name": one.name,
        }
        shown = [*_rows(session, one), *((say(name), text) for name, text in made.items())]
        session.data(value, lambda shown=shown: session.pairs(shown))  # type: ignore[misc]
    pending = [one for one in settled if one.state is State.PENDING]
    if pending:
        reasons = dict.fromkeys(one.message for one in pending if one.message)
        session.end_pending([one.tx_id for one in pending], list(reasons))
    failed = [one for one in settled if one.state is not State.APPLIED]
    if failed:
        texts = [f"{one.name}: {ledger_text(Code(one.code), session.language)}" for one in failed if one.code]
        session.end(Exit.REFUSED if len(failed) == len(settled) else Exit.PARTIAL, "\n".join(texts) or say("failed"))


def _rows(session: Session, one: Settled) -> list[tuple[str, object]]:
    say = session.say
    rows: list[tuple[str, object]] = [(say("transaction"), one.tx_id.hex()), (say("status"), say(one.state.value))]
    if one.height is not None:
        rows.append((say("height"), one.height))
    if one.code:
        rows.append((say("code"), f"{one.code} {one.name}"))
    return rows


def _pay(session: Session, payer: int, payee: int, amount: str, ref: str, signing: dict[str, Any]) -> None:
    try:
        tyiyn = parse_som(amount)
    except ValueError:
        raise click.BadParameter(f"{amount!r}: {session.say('bad_amount')}", param_hint="AMOUNT") from None
    reference = ref.encode()
    if len(reference) > REF_BYTES_MAX:
        raise click.BadParameter(f"{len(reference)} > {REF_BYTES_MAX} bytes", param_hint="--ref")
    session.words(f"{format_account(payer)} → {format_account(payee)}: {session.money(tyiyn)}")
    operation = Pay(SOM, payer, ((payee, tyiyn, reference),), once=bool(reference))
    sign_and_settle(session, payer, operation, signing)
