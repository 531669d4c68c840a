"""account statement: all that an account ever booked, proven to be all."""

from pathlib import Path

import click

from node.cli.session import Session, SomCommand
from node.cli.show import format_ref, format_time
from node.cli.signing import account_of
from node.cli.values import Unit, all_assets
from node.client.client import Client
from node.client.proofs import ProvenStatement
from node.client.trust import Trust
from node.home import read_genesis
from node.ledger.account import SOM, format_account


@click.command(cls=SomCommand)
@click.argument("number", metavar="ACCOUNT")
@click.option(
    "--verify",
    "--genesis",
    "genesis_file",
    required=True,
    metavar="GENESIS",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your own copy of the network's genesis: from there on everything is proven.",
)
@click.pass_obj
def statement(session: Session, number: str, genesis_file: Path) -> None:
    """The whole statement of an account, oldest first, proven: nothing is missing, added or changed.

    The account's record, under a root that a quorum of validators certified, has the number of its entries and the head
    of their chain. (som account history shows pages, unproven.)
    """
    named, trust = account_of(session, number), Trust.of(read_genesis(genesis_file))

    async def question(client: Client) -> tuple[ProvenStatement, dict[int, Unit]]:
        proven = await client.statement(named)
        assets = await all_assets(client) if any(entry.asset != SOM for entry in proven.entries) else []
        return proven, {each.asset: Unit(each.asset, each.code, each.scale) for each in assets}

    proven, units = session.ask(question, trust=trust)
    session.words(f"{session.say('verified')}: {proven.height} ≤ {proven.certified_by}")
    _show(session, named, proven, units)


def _show(session: Session, number: int, proven: ProvenStatement, units: dict[int, Unit]) -> None:
    def money(amount: int, asset: int) -> str:
        unit = units.get(asset)
        return session.money(amount) if unit is None else session.money(amount, unit.scale, unit.code)

    say, holdings = session.say, () if proven.account is None else proven.account.holdings
    rows: list[tuple[object, ...]] = [
        (
            index,
            format_time(entry.time_ms),
            "*" if entry.counterparty is None else format_account(entry.counterparty),
            money(entry.amount, entry.asset),
            money(entry.balance, entry.asset),
            format_ref(None if entry.ref is None else entry.ref.hex()),
            entry.transaction_id.hex(),
        )
        for index, entry in enumerate(proven.entries)
    ]
    rows += [("", say("closing"), "", "", money(balance, asset), "", "") for asset, balance, _ in holdings]
    value = {
        "account": format_account(number),
        "proven": {"height": proven.height, "certified_by": proven.certified_by},
        "entries": [
            {
                "number": index,
                "height": entry.height,
                "timestamp_ms": entry.time_ms,
                "tx_id": entry.transaction_id.hex(),
                "op": entry.op,
                "leg": entry.leg,
                "asset": entry.asset,
                "amount": str(entry.amount),
                "balance": str(entry.balance),
                "other": None if entry.counterparty is None else format_account(entry.counterparty),
                "ref": None if entry.ref is None else entry.ref.hex(),
            }
            for index, entry in enumerate(proven.entries)
        ],
        "balances": {str(asset): str(balance) for asset, balance, _ in holdings},
    }
    heads = ["#", say("time"), say("other"), say("amount"), say("balance"), say("ref"), say("transaction")]
    session.data(value, lambda: session.rows(heads, rows, right=(0, 3, 4)))
