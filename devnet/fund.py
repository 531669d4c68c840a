"""Give a devnet that runs elsewhere, as in containers, its first money, and say what to try.

One rule: it may be run again at any time; whatever was paid is not paid again.

    python -m devnet.fund --node http://nbkr:26657 [--node ...]
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Final

from devnet.banner import accounts_table, make_console, print_warning
from devnet.money import DevnetRefused, fund_people, issue
from node.client.client import Client
from node.client.errors import ClientError

COMPOSE: Final = "docker compose -f devnet/compose.yaml"
ACCOUNTS: Final = "/network/accounts.json"  # in the containers
OUTSIDE: Final = "http://127.0.0.1:26601"  # nbkr's port as compose.yaml publishes it
COMMANDS: Final = (
    f"{COMPOSE} run --rm som status",
    f"{COMPOSE} run --rm som pay --from aida --to bakyt 12.50",
    f"{COMPOSE} kill bank-2   # a validator dies; pay again: the chain goes on",
    f"{COMPOSE} start bank-2",
)


async def run(urls: Sequence[str], outside: str) -> None:
    """Pay the first money, unless it was paid, and print what there is."""
    console = make_console()
    async with Client(urls) as client:
        info = await client.info()
        if info.kind != "devnet":
            raise DevnetRefused(f"{info.name} is no devnet")
        paid = await issue(client) + await fund_people(client)
        console.print(f"First money: {paid} transactions." if paid else "First money was paid before.")
        console.print()
        console.print(await accounts_table(client))
    print_warning(console, f"{ACCOUNTS}, in the volume `accounts`")
    console.print("Try, in the project's root:\n")
    for command in COMMANDS:
        console.print(f"  {command}", soft_wrap=True, markup=False)
    console.print("\nOr with `som` outside the containers, after `make install`:\n")
    for command in outside_commands(outside):
        console.print(f"  {command}", soft_wrap=True, markup=False)


def outside_commands(url: str) -> list[str]:
    """Return commands for a `som` that is not in a container, and reaches a validator under ``url``."""
    return [
        f"mkdir -p .devnet && {COMPOSE} run --rm -T --entrypoint cat som {ACCOUNTS} > .devnet/accounts.json",
        f"export SOM_NODE={url} PATH=$PWD/.venv/bin:$PATH",
        "som account show aida",
        "som pay --from aida --to bakyt 12.50",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devnet.fund", description="Give a devnet its first money.")
    parser.add_argument("--node", action="append", metavar="URL", help="a validator; several are tried in turn")
    parser.add_argument("--outside", metavar="URL", default=OUTSIDE, help="how a validator is reached from elsewhere")
    given = parser.parse_args(arguments)
    urls = given.node or os.environ.get("SOM_NODE", "").split()
    if not urls:
        parser.error("--node URL, or SOM_NODE")
    try:
        asyncio.run(run(urls, given.outside))
    except (DevnetRefused, ClientError) as error:
        print(f"devnet: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
