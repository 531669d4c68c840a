"""iso return: pay a payment of a bank's file back.

One rule: what is final is not undone; a return is a payment of its own. It has the amount and the two accounts of the
payment that it returns, and a reference that names it, so it is made once.
"""

from typing import Any

import click

from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Exit, Session
from node.cli.signing import account_of
from node.client.client import Client
from node.iso20022.fields import format_uetr, parse_uetr
from node.iso20022.plan import REF_BYTES, Ref
from node.iso20022.returns import return_ref
from node.ledger.account import SOM, format_account
from node.ledger.pay import Pay


@click.command("return", cls=SigningCommand)
@click.argument("reference", metavar="UETR")
@click.option("--of", "payer", required=True, metavar="ACCOUNT", help="Who paid, and gets it back.")
@click.option("--from", "payee", required=True, metavar="ACCOUNT", help="Who was paid, and pays back; it signs.")
@click.pass_obj
def return_command(session: Session, /, reference: str, payer: str, payee: str, **signing: Any) -> None:
    """Pay back a payment of a file. UETR: as a statement has it, or the report's AcctSvcrRef, its 32 hex digits."""
    original = _reference(session, reference)
    debtor, creditor = account_of(session, payer), account_of(session, payee)

    async def look(client: Client) -> tuple[int, int]:
        """Return the amount to pay back, and the block time up to which it was not."""
        paid = await client.paid(debtor, [original])
        returned = await client.paid(creditor, [return_ref(original)])
        found = [payment for payment in paid.payments if payment.asset == SOM and int(payment.to) == creditor]
        if not found:
            session.end(Exit.REFUSED, session.say("no_such_payment"))
        if returned.payments:
            session.end(Exit.REFUSED, session.say("returned_already"))
        first = found[-1]  # they come latest first, and the first payment of a reference is the one
        return int(first.amount), returned.block_time_ms

    async def unpaid(client: Client) -> int:
        return (await look(client))[1]

    amount, _ = session.ask(look)
    session.words(f"{format_account(creditor)} → {format_account(debtor)}: {session.money(amount)}")
    operation = Pay(SOM, creditor, ((debtor, amount, return_ref(original)),), once=True)
    session.words(f"{session.say('ref')}: {format_uetr(original)}")
    sign_and_settle(session, creditor, operation, signing, unpaid=unpaid)


def _reference(session: Session, text: str) -> Ref:
    uetr = parse_uetr(text.lower())
    if uetr is None and len(text) == 2 * REF_BYTES:
        try:
            uetr = bytes.fromhex(text)
        except ValueError:
            uetr = None
    if uetr is None or len(uetr) != REF_BYTES:
        raise click.BadParameter(f"{text[:40]!r}: {session.say('bad_hex')}, {2 * REF_BYTES}", param_hint="UETR")
    return Ref(uetr)
