"""`make devnet`: four validators as processes until Ctrl-C, with demo accounts that have something to spend.

One rule: a validator that ends is started again; Ctrl-C ends all, at any moment, and leaves nothing running.

    python -m devnet.local [--directory .devnet/local] [--delay-ms 80]
"""

import argparse
import asyncio
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from devnet.banner import accounts_table, make_console, make_table, print_warning
from devnet.control import Control, Wish
from devnet.money import DevnetRefused, fund_people, issue
from devnet.processes import DevnetError, LocalNetwork
from devnet.wan import DELAY_MS_MAX, Delay
from node.client.client import Client
from node.client.errors import ClientError
from node.storage.files import write_file

ACCOUNTS: Final = Path(".devnet/accounts.json")
CONTROL: Final = Path(".devnet/control")  # the address of who kills and restarts, for this user alone
RESTART_SECONDS: Final = 5.0  # a validator that somebody killed comes back after this, for all to see both
LOOK_SECONDS: Final = 0.5

console = make_console()


async def run(directory: Path, delay: Delay | None = None) -> None:
    """Run the devnet until a signal comes, whatever it is doing then."""
    devnet = asyncio.create_task(_run(directory, delay))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, devnet.cancel)
    try:
        await devnet
    except asyncio.CancelledError:
        console.print("Stopped.")


async def _run(directory: Path, delay: Delay | None) -> None:
    distance = "" if delay is None else f", {delay.ms:g} ms from each other"
    console.print(f"Starting four validators{distance} ...")
    # Through proxies even without a distance, so that a validator can be cut off.
    network = LocalNetwork(directory, delay=delay or Delay(0.0))
    control = Control(network)
    try:
        await control.start()
        while await _live(network, control) is Wish.RESET:
            console.print("Beginning anew ...")
        console.print("Stopped.")
    finally:
        if CONTROL.exists() and CONTROL.read_text() == f"{control.url}\n":  # not that of another devnet
            CONTROL.unlink()
        await control.stop()


async def _live(network: LocalNetwork, control: Control) -> Wish:
    """Run one chain until somebody wants it to end; return how to go on."""
    async with network, Client(network.urls()) as client:
        await issue(client)
        await fund_people(client)
        ACCOUNTS.parent.mkdir(exist_ok=True)
        shutil.copyfile(network.directory / "accounts.json", ACCOUNTS)
        write_file(CONTROL, f"{control.url}\n".encode())
        with control.standing(client):
            await _banner(network, client, control)
            supervision = asyncio.create_task(_supervise(network, control))
            wish = asyncio.create_task(control.wish())
            try:
                await asyncio.wait((supervision, wish), return_when=asyncio.FIRST_COMPLETED)
                return wish.result() if wish.done() else await supervision
            finally:
                supervision.cancel()
                wish.cancel()


async def _banner(network: LocalNetwork, client: Client, control: Control) -> None:
    console.print(await accounts_table(client))
    print_warning(console, str(ACCOUNTS))
    validators = make_table("validator", "RPC", "process", "log")
    for name in network.names:
        validators.add_row(name, network.url(name), str(network.pid(name)), str(network.log_path(name)))
    console.print(validators)
    console.print(
        "\nThe explorer, with buttons that kill, restart and cut off (the address is a secret of this devnet):\n"
    )
    console.print(f"  {control.lab_url('nbkr')}", soft_wrap=True, markup=False)
    console.print("\nTry, in another terminal:\n")
    for command in commands(network):
        console.print(f"  {command}", soft_wrap=True, markup=False)
    console.print("\nCtrl-C stops it.")


def commands(network: LocalNetwork) -> list[str]:
    """Return commands that work when pasted into a shell in the project's root."""
    return [
        f"export SOM_NODE={network.url('nbkr')} PATH=$PWD/.venv/bin:$PATH",
        "som status",
        "som account show aida",
        "som pay --from aida --to bakyt 12.50",
        "som account history bakyt",
        "som rpc chain_getBlock",
        "som devnet faucet aida 100",
        "som devnet status",
        f"kill -9 {network.pid('bank-2')}   # a validator dies; pay again: the chain goes on",
    ]


async def _supervise(network: LocalNetwork, control: Control) -> NoReturn:
    """Start again whoever ended, after a while, but those that were killed by ``control``; for ever."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        ended = [name for name in network.ended() if not control.held(name)]
        if ended:
            names = ", ".join(ended)
            console.print(f"Ended: {names}. The rest goes on if it is a quorum. Again in {RESTART_SECONDS:.0f} s.")
            await asyncio.sleep(RESTART_SECONDS)
            ended = [name for name in network.ended() if name in ended and not control.held(name)]
            for name in ended:
                network.start(name)
            try:
                await network.ready(ended)
                console.print(f"Back, with all that was missed: {names}.")
            except DevnetError as error:
                console.print(str(error), soft_wrap=True, markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devnet.local", description="Four validators until Ctrl-C.")
    parser.add_argument("--directory", type=Path, default=Path(".devnet/local"), help="made anew at each start")
    parser.add_argument("--delay-ms", type=float, help="how long a byte is on its way from one validator to another")
    given = parser.parse_args(arguments)
    if given.delay_ms is not None and not 0 <= given.delay_ms <= DELAY_MS_MAX:
        parser.error(f"--delay-ms: 0 to {DELAY_MS_MAX}")
    try:
        asyncio.run(run(given.directory, None if given.delay_ms is None else Delay(given.delay_ms)))
    except (DevnetError, DevnetRefused, ClientError) as error:
        print(f"devnet: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
