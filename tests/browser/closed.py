"""A node that is not open: one validator of a devnet, with money in its accounts, which then wants tokens.

python -m tests.browser.closed DIRECTORY    prints its address when it stands, and runs until it is killed
"""

import asyncio
import sys
from pathlib import Path

from msgspec.structs import replace

from devnet.money import fund_people, issue
from devnet.processes import LocalNetwork
from node.client.client import Client
from node.config import CONFIG_NAME
from node.config_text import format_config
from node.home import read_config
from node.storage.files import write_file

NAME = "nbkr"


async def run(directory: Path) -> None:
    """Fund while everybody may ask, then start again with tokens."""
    async with LocalNetwork(directory, [NAME]) as network:
        async with Client(network.urls()) as client:
            await issue(client)
            await fund_people(client)
        network.kill(NAME)
        home = network.directory / NAME
        config = read_config(home)
        closed = replace(config, rpc=replace(config.rpc, access="tokens"))
        write_file(home / CONFIG_NAME, format_config(closed).encode())
        network.start(NAME)
        await network.ready([NAME])
        print("url", network.url(NAME), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
