"""shadow: does this software get from a stored chain what is stored?"""

import time
from pathlib import Path
from typing import Final

import click

from node.cli.nodes import HomeCommand
from node.cli.session import Exit, Session
from node.home import open_decrees, read_config, read_genesis
from node.ledger.execute import genesis_changes
from node.shadow import Difference, replay
from node.storage.scratch import scratch
from node.storage.store import Store

TOLD_SECONDS: Final = 2.0  # between two words of progress


@click.command(cls=HomeCommand)
@click.option("--from", "low", default=0, metavar="HEIGHT", help="Below it, compare roots only. [default: 0]")
@click.option("--signatures", is_flag=True, help="Check all signatures too: of transactions, batches, certificates.")
@click.option(
    "--scratch",
    "directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the state is built that is thrown away at the end. [default: where temporary files go]",
)
@click.pass_obj
def shadow(session: Session, home: Path, low: int, signatures: bool, directory: Path | None) -> None:
    """Execute a stored chain anew with this software, and compare. The validator must not run.

    The gate before an upgrade: install the new software beside the old one and shadow a copy of a home. All roots,
    receipts, committees and protocol versions must be those that are stored; else the first difference is named, and
    the exit code is 1. Nothing of the home is changed.
    """
    config = read_config(home)
    genesis = read_genesis(home / config.genesis)
    store = Store.open(home / config.data / "store", genesis.hash)
    tip = store.tip.height
    told = time.monotonic()

    def heard(height: int) -> None:
        nonlocal told
        if time.monotonic() - told >= TOLD_SECONDS:
            told = time.monotonic()
            session.words(f"{session.say('height')} {height:,} / {tip:,} ({100 * height // tip} %)")

    try:
        with scratch(genesis_changes(genesis), directory) as state:
            done = replay(store, genesis, state, low, signatures, heard, open_decrees(home, genesis))
    except Difference as difference:
        if session.as_json:
            session.data({"agrees": False, **vars(difference)}, lambda: session.pairs([]))
        session.end(Exit.ERROR, f"{session.say('differs')}: {difference}")
    finally:
        store.close()
    value = {"agrees": True, "height": done.height, "root": done.root.hex(), "transactions": done.transactions}
    session.data(
        value,
        lambda: session.pairs(
            [
                (session.say("height"), done.height),
                (session.say("transactions"), done.transactions),
                (session.say("agrees"), done.root.hex()),
            ]
        ),
    )
