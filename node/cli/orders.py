"""order: what an authority orders about an account. All but a freeze needs the central bank too (--with).

Several authorities sign one transaction, each on a machine of its own: --prepare, som tx sign, som tx submit.
"""

from typing import Any, Final

import click

from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Session, SomGroup
from node.cli.show import format_time
from node.cli.signing import account_of
from node.cli.values import ASSET, BASIS, CURSOR, LIMIT, amount_of, document_hash, tell_next, unit_of
from node.client.client import Client
from node.ledger.account import format_account
from node.ledger.holds import row_id
from node.ledger.order import Arrest, Freeze, Release, Seize, Unfreeze
from node.rpc import ledger_types as types

BY: Final = click.option("--by", "authority", required=True, metavar="ACCOUNT", help="The authority, which signs.")
NUMBER: Final = click.option("--number", required=True, help="The authority's own number of the order.")


@click.group(cls=SomGroup)
def order() -> None:
    """Orders of authorities: freeze, arrest, seize."""


@order.command("freeze", cls=SigningCommand)
@click.argument("target", metavar="ACCOUNT")
@BY
@NUMBER
@BASIS
@click.option("--incoming", is_flag=True, help="It may not be paid either.")
@click.pass_obj
def freeze(session: Session, /, target: str, **given: Any) -> None:
    """Block payments from an account at once."""
    by, number, basis = _order(session, given)
    operation = Freeze(by, number, account_of(session, target), basis, given["incoming"])
    sign_and_settle(session, by, operation, given)


@order.command("unfreeze", cls=SigningCommand)
@BY
@NUMBER
@BASIS
@click.pass_obj
def unfreeze(session: Session, /, **given: Any) -> None:
    """Lift a freeze by its number; the account is free when none stands."""
    by, number, basis = _order(session, given)
    sign_and_settle(session, by, Unfreeze(by, number, basis), given)


@order.command("arrest", cls=SigningCommand)
@click.argument("target", metavar="ACCOUNT")
@click.argument("amount")
@ASSET
@BY
@NUMBER
@BASIS
@click.pass_obj
def arrest(session: Session, /, target: str, amount: str, asset: str, **given: Any) -> None:
    """Hold AMOUNT of the free money of an account, without an end."""
    by, number, basis = _order(session, given)
    unit = unit_of(session, asset)
    units = amount_of(session, amount, unit)
    operation = Arrest(by, number, account_of(session, target), basis, unit.asset, units)
    sign_and_settle(session, by, operation, given, lambda tx_id: {"hold": row_id(tx_id, 0, 0).hex()})


@order.command("release", cls=SigningCommand)
@BY
@NUMBER
@BASIS
@click.pass_obj
def release(session: Session, /, **given: Any) -> None:
    """Lift an arrest by its number."""
    by, number, basis = _order(session, given)
    sign_and_settle(session, by, Release(by, number, basis), given)


@order.command("seize", cls=SigningCommand)
@click.argument("target", metavar="ACCOUNT")
@click.argument("amount")
@click.option("--to", "payee", required=True, metavar="ACCOUNT", help="An account of the state or of a bank.")
@ASSET
@BY
@NUMBER
@BASIS
@click.pass_obj
def seize(session: Session, /, target: str, amount: str, payee: str, asset: str, **given: Any) -> None:
    """Move AMOUNT from an account, out of its holds where it must."""
    by, number, basis = _order(session, given)
    unit = unit_of(session, asset)
    units = amount_of(session, amount, unit)
    to = account_of(session, payee)
    sign_and_settle(session, by, Seize(by, number, account_of(session, target), basis, unit.asset, units, to), given)


@order.command("count")
@click.pass_obj
def count(session: Session) -> None:
    """How many orders each authority has given: public."""

    async def question(client: Client) -> types.CountOrdersResult:
        return await client.request("order_getCounts", {}, types.CountOrdersResult)

    found = session.ask(question)
    heads = [session.say(name) for name in ("authority", "act", "given", "standing")]
    rows = [(each.authority, each.act, each.given, each.standing) for each in found.counts]
    session.data(found, lambda: session.rows(heads, rows, right=(2, 3)))


@order.command("list")
@click.option("--authority", metavar="ACCOUNT", help="All orders of this authority.")
@click.option("--target", metavar="ACCOUNT", help="The orders that stand against this account.")
@LIMIT
@CURSOR
@click.pass_obj
def list_orders(session: Session, authority: str | None, target: str | None, limit: int, cursor: str | None) -> None:
    """List orders. A node without open access wants a token with the scope orders, and --under-order."""
    if (authority is None) == (target is None):
        raise click.UsageError("--authority or --target")
    params: dict[str, Any] = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}
    for name, text in (("authority", authority), ("target", target)):
        if text is not None:
            params[name] = format_account(account_of(session, text))

    async def question(client: Client) -> types.ListOrdersResult:
        return await client.request("order_list", params, types.ListOrdersResult)

    page = session.ask(question)
    say = session.say
    rows = [
        (
            each.number,
            each.authority,
            each.act,
            each.target,
            "-" if each.amount is None else f"{each.amount} / {each.asset}",
            format_time(each.timestamp_ms),
            _state(session, each),
            each.basis,
        )
        for each in page.orders
    ]
    heads = [say(name) for name in ("number", "authority", "act", "target", "amount", "time", "status", "basis")]
    session.data(page, lambda: session.rows(heads, rows, right=(4,)))
    tell_next(session, page.next_cursor)


def _order(session: Session, given: dict[str, Any]) -> tuple[int, str, bytes]:
    """Return authority, number and basis."""
    basis = document_hash(session, given["basis"], "--basis")
    return account_of(session, given["authority"]), given["number"], basis


def _state(session: Session, found: types.OrderView) -> str:
    if found.lifted_ms:
        return f"{session.say('lifted')} {format_time(found.lifted_ms)}"
    return session.say("current") if found.stands else "-"
