"""qr draw, read, pay: national QR codes (docs/qr.md).

One rule: what a code fixes is paid as it says or not at all, and a code of another provider is never paid here: its
payee is that provider's number, whatever it looks like.
"""

import sys
from pathlib import Path
from typing import Any, Final

import click

from node.cli.amounts import format_units, parse_som
from node.cli.drawing import draw_code
from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Exit, Session, SomGroup
from node.cli.signing import account_of
from node.cli.values import TEXT
from node.client.client import Client
from node.ledger.account import ACCOUNT_DIGITS, SOM, AccountNumber, format_account, parse_account
from node.ledger.pay import REF_BYTES_MAX, Pay
from node.qr.errors import QrRefused
from node.qr.link import BASE_URL, LINK_CHARS_MAX, Kind, Link, format_link, parse_link

PROVIDER: Final = "digital-som"  # ours: no provider's domain, so nobody else's code can be taken for one of ours
SERVICE: Final = "pay"
CATEGORY_UNKNOWN: Final = "0000"


@click.group(cls=SomGroup)
def qr() -> None:
    """National QR codes: draw one for an account, read any, pay one of ours."""


@qr.command("draw")
@click.option("--to", "payee", required=True, metavar="ACCOUNT")
@click.option("--name", type=TEXT, required=True, help="What the payer is shown: 25 characters at most.")
@click.option("--amount", metavar="SOM", help="Without it the payer names the amount.")
@click.option("--editable", is_flag=True, help="The payer may pay another amount.")
@click.option(
    "--invoice", type=TEXT, metavar="ID", help="For one payment only (a dynamic code); the payment's reference."
)
@click.option("--category", default=CATEGORY_UNKNOWN, metavar="MCC", help="The merchant's category, four digits.")
@click.option("--comment", type=TEXT)
@click.option("--base-url", default=BASE_URL, show_default=True, help="Which app the link opens.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="FILE.svg or FILE.png.")
@click.pass_obj
def draw(session: Session, /, payee: str, name: str, amount: str | None, invoice: str | None, **given: Any) -> None:
    """Draw a code that pays ACCOUNT; prints its link."""
    tyiyn = None if amount is None else _amount(session, amount)
    if invoice is not None and len(invoice.encode()) > REF_BYTES_MAX:
        raise click.BadParameter(f"> {REF_BYTES_MAX} bytes", param_hint="--invoice")
    if invoice is not None and tyiyn is None:
        raise click.UsageError("--invoice needs --amount")
    link = Link(
        Kind.STATIC if invoice is None else Kind.DYNAMIC,
        PROVIDER,
        name,
        given["category"],
        SERVICE,
        format_account(account_of(session, payee)),
        invoice,
        amount_editable=tyiyn is None or given["editable"],
        payee_editable=False,
        comment=given["comment"],
        amount=tyiyn,
    )
    try:
        text = format_link(link, given["base_url"])
    except QrRefused as refused:
        raise click.BadParameter(refused.text(session.language), param_hint=refused.place) from None
    draw_code(session, text, given["out"], "--out")
    _show(session, link, text)


@qr.command("read")
@click.argument("text", metavar="LINK|-")
@click.pass_obj
def read(session: Session, text: str) -> None:
    """Read the link of a code, of any provider, and check it. - reads standard input. Pictures are not read."""
    link = _read(session, text)
    _show(session, link, text if text != "-" else None)


@qr.command("pay", cls=SigningCommand)
@click.argument("text", metavar="LINK")
@click.option("--from", "payer", required=True, metavar="ACCOUNT", help="Whose money it is; it signs.")
@click.option("--amount", metavar="SOM", help="Where the code has none, or lets it be another.")
@click.pass_obj
def pay(session: Session, /, text: str, payer: str, amount: str | None, **signing: Any) -> None:
    """Pay what a code of this network asks for."""
    link = _read(session, text)
    payee = payee_of(link)
    if payee is None:
        session.end(Exit.REFUSED, session.say("other_provider"))
    tyiyn = _to_pay(session, link, amount)
    number = account_of(session, payer)
    ref = (link.transaction_id or "").encode()
    session.words(f"{format_account(number)} → {format_account(payee)} ({link.name}): {session.money(tyiyn)}")
    if len(ref) > REF_BYTES_MAX:
        session.end(Exit.REFUSED, f"{session.say('ref')}: {len(ref)} > {REF_BYTES_MAX}")

    async def unpaid(client: Client) -> int:
        found = await client.paid(number, [ref])
        if any(int(payment.to) == payee for payment in found.payments):
            session.end(Exit.REFUSED, session.say("already_paid"))
        return found.block_time_ms

    if ref:
        session.ask(unpaid)
    operation = Pay(SOM, number, ((payee, tyiyn, ref),), once=bool(ref))
    sign_and_settle(session, number, operation, signing, unpaid=unpaid if ref else None)


def payee_of(link: Link) -> AccountNumber | None:
    """Return the account that a code of ours pays; None for every other code."""
    text = link.payee or ""
    if link.provider != PROVIDER or len(text) != ACCOUNT_DIGITS:
        return None
    try:
        return parse_account(text)
    except ValueError:
        return None


def _to_pay(session: Session, link: Link, amount: str | None) -> int:
    if amount is None and link.amount is not None:
        return link.amount
    if amount is None:
        if not sys.stdin.isatty():
            raise click.UsageError(session.say("amount_needed"))
        amount = str(click.prompt(session.say("amount"), err=True))
    tyiyn = _amount(session, amount)
    if tyiyn != link.amount and not link.amount_editable:
        fixed = "?" if link.amount is None else format_units(link.amount)
        raise click.BadParameter(f"{session.say('amount_fixed')}: {fixed}", param_hint="--amount")
    return tyiyn


def _amount(session: Session, text: str) -> int:
    try:
        return parse_som(text)
    except ValueError:
        raise click.BadParameter(f"{text!r}: {session.say('bad_amount')}", param_hint="--amount") from None


def _read(session: Session, text: str) -> Link:
    given = sys.stdin.read(LINK_CHARS_MAX + 1) if text == "-" else text
    try:
        return parse_link(given)
    except QrRefused as refused:
        session.end(Exit.REFUSED, f"{refused.code}: {refused.text(session.language)}")


def _show(session: Session, link: Link, text: str | None) -> None:
    say, account = session.say, payee_of(link)
    value = {
        "link": text,
        "kind": link.kind.name.lower(),
        "provider": link.provider,
        "service": link.service,
        "payee": link.payee,
        "account": None if account is None else format_account(account),
        "transaction_id": link.transaction_id,
        "amount": None if link.amount is None else str(link.amount),
        "amount_editable": link.amount_editable,
        "payee_editable": link.payee_editable,
        "name": link.name,
        "merchant": link.merchant,
        "merchant_service": link.merchant_service,
        "category": link.category,
        "comment": link.comment,
        "others": dict(link.others),
    }
    editable = say("yes") if link.amount_editable else say("no")
    rows: list[tuple[str, object]] = [
        (say("name"), link.name),
        (say("provider"), link.provider),
        (say("payee"), link.payee if account is None else format_account(account)),
        (say("kind"), say(link.kind.name.lower())),
        (say("amount"), "-" if link.amount is None else session.money(link.amount)),
        (say("editable"), editable),
        (say("ref"), link.transaction_id or "-"),
        (say("category"), link.category),
    ]
    if text is not None:
        rows.append((say("link"), text))
    session.data(value, lambda: session.pairs(rows))
