"""What a devnet says of itself once it stands: who has what, and that its keys are everybody's."""

import sys
from typing import Final

from rich.console import Console
from rich.table import Table

from devnet.generate import WARNING, demo_accounts
from node.cli.amounts import SOM_SCALE, format_units
from node.client.client import Client
from node.ledger.account import SOM, format_account

WIDTH: Final = 160  # of what goes to a file, a pipe or a container's log: nothing there is cut


def make_console() -> Console:
    """Return where the devnet's words go: the standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def make_table(*columns: str) -> Table:
    """Return a table without lines."""
    return Table(*columns, box=None, pad_edge=False, header_style="dim")


async def accounts_table(client: Client) -> Table:
    """Return the demo accounts and their balances now."""
    table = make_table("account", "kind", "number", "balance, som")
    table.columns[3].justify = "right"
    for demo in demo_accounts():
        holdings = (await client.account(demo.number)).holdings
        balance = next((int(holding.balance) for holding in holdings if holding.asset == SOM), 0)
        table.add_row(demo.name, demo.kind.name.lower(), format_account(demo.number), format_units(balance, SOM_SCALE))
    return table


def print_warning(console: Console, accounts_file: str) -> None:
    """Say that the keys are public, and where they are."""
    console.print(f"\n[yellow]{WARNING}[/yellow] All of them: {accounts_file}\n", soft_wrap=True)
