"""account recover, recovered, cancel-recovery, move, recovery: an owner who lost the keys, or leaves the bank."""

from typing import Any, Final

import click

from node.cli.accounts import public_key
from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Session, SomCommand
from node.cli.show import format_time
from node.cli.signing import account_of
from node.client.client import Client
from node.ledger.account import KEYS_MAX, format_account
from node.ledger.recovery import CancelRecovery, FinishRecovery, MoveAccount, RecoverAccount
from node.rpc import ledger_types as types

BY: Final = click.option("--by", "keeper", required=True, metavar="ACCOUNT", help="The account's bank, which signs.")


@click.command(cls=SigningCommand)
@click.argument("number", metavar="ACCOUNT")
@BY
@click.option("--owner", "owners", multiple=True, required=True, metavar="KEY", help="New key: hex or a key file.")
@click.option(
    "--threshold", type=click.IntRange(1, KEYS_MAX), default=1, show_default=True, help="Keys that must sign."
)
@click.pass_obj
def recover(session: Session, /, number: str, keeper: str, **given: Any) -> None:
    """Begin to give an account new keys. Until then it can be paid and can not pay; its old keys can stop it."""
    by = account_of(session, keeper)
    keys = tuple(sorted((public_key(session, text), 1) for text in given["owners"]))
    operation = RecoverAccount(by, account_of(session, number), keys, given["threshold"])
    sign_and_settle(session, by, operation, given)


@click.command(cls=SigningCommand)
@click.argument("number", metavar="ACCOUNT")
@BY
@click.pass_obj
def recovered(session: Session, /, number: str, keeper: str, **signing: Any) -> None:
    """Put the new keys in force, when the delay is over."""
    by = account_of(session, keeper)
    sign_and_settle(session, by, FinishRecovery(by, account_of(session, number)), signing)


@click.command("cancel-recovery", cls=SigningCommand)
@click.argument("number", metavar="ACCOUNT")
@click.pass_obj
def cancel(session: Session, /, number: str, **signing: Any) -> None:
    """Stop a recovery, by the keys that were said to be lost."""
    named = account_of(session, number)
    sign_and_settle(session, named, CancelRecovery(named), signing)


@click.command(cls=SigningCommand)
@click.argument("number", metavar="ACCOUNT")
@click.option("--to", "bank", required=True, metavar="ACCOUNT", help="The new bank, which signs too.")
@click.pass_obj
def move(session: Session, /, number: str, bank: str, **signing: Any) -> None:
    """Give an account to another bank; its number stays."""
    named = account_of(session, number)
    sign_and_settle(session, named, MoveAccount(named, account_of(session, bank)), signing)


@click.command(cls=SomCommand)
@click.argument("number", metavar="ACCOUNT")
@click.pass_obj
def recovery(session: Session, number: str) -> None:
    """Whether an account waits for new keys, and which."""
    params = {"account": format_account(account_of(session, number))}

    async def question(client: Client) -> types.GetRecoveryResult:
        return await client.request("account_getRecovery", params, types.GetRecoveryResult)

    found = session.ask(question)
    say, shown = session.say, found.recovery
    rows: list[tuple[str, object]] = [(say("account"), found.account)]
    if shown is None:
        rows.append((say("recovery"), "-"))
    elif shown.cancelled_ms:
        rows.append((say("cancelled"), format_time(shown.cancelled_ms)))
    else:
        rows.append((say("keys"), f"{shown.threshold}/{len(shown.keys)}: " + ", ".join(key.key for key in shown.keys)))
        rows.append((say("ready_at"), format_time(shown.ready_ms or 0)))
    session.data(found, lambda: session.pairs(rows))


COMMANDS: Final = (recover, recovered, cancel, move, recovery)
