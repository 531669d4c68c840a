"""index: the chain as rows of a PostgreSQL database, and the proof that their sums are the chain's."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from node.cli.session import Exit, Session, SomCommand
from node.client.client import Client
from node.client.trust import Trust
from node.home import read_genesis
from node.ledger.genesis import Genesis

if TYPE_CHECKING:  # the extra `index`: only who calls the command needs it
    from node.indexer.follow import Progress
    from node.indexer.proof import Verdict

SAMPLE_DEFAULT: Final = 200  # accounts: some seconds


@click.command("index", cls=SomCommand)
@click.option(
    "--dsn",
    required=True,
    metavar="postgresql://…",
    envvar="SOM_DSN",
    help="The database. A password belongs into ~/.pgpass or PGPASSWORD.",
)
@click.option(
    "--genesis",
    "genesis_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your own copy of the network's genesis: from there on everything is proven.",
)
@click.option("--until", type=click.IntRange(1), metavar="HEIGHT", help="End when this height is indexed.")
@click.option("--verify", "verifies", is_flag=True, help="Prove that the sums equal the chain's, and end.")
@click.option(
    "--sample",
    type=click.IntRange(0),
    default=SAMPLE_DEFAULT,
    show_default=True,
    help="Of --verify: how many accounts, by chance; 0 compares all.",
)
@click.pass_obj
def index(session: Session, dsn: str, genesis_file: Path, until: int | None, verifies: bool, sample: int) -> None:
    """Follow the chain into a PostgreSQL database: blocks, transactions, entries, holds, assets, orders.

    Each block is there exactly once, whatever dies and when, and only when a quorum has certified what it did. One
    indexer writes a database; name several nodes with --node, and it goes on at the next one. docs/indexer.md has the
    tables, and questions that banks ask.
    """
    if find_spec("psycopg") is None:
        session.end(Exit.CONFIG, f"{session.say('error')}: pip install 'digital-som[index]'")
    genesis = read_genesis(genesis_file)
    if verifies:
        _verify(session, dsn, genesis, sample)
    else:
        _follow(session, dsn, genesis, until)


def _client(session: Session, genesis: Genesis, urls: Sequence[str]) -> Client:
    return Client(
        urls, trust=Trust.of(genesis), language=session.language, token=session.token(), reader=session.reader()
    )


def _follow(session: Session, dsn: str, genesis: Genesis, until: int | None) -> None:
    from node.indexer.books import Incomplete, Unknown
    from node.indexer.database import DatabaseError, Unavailable
    from node.indexer.follow import Indexer, Pruned

    indexer = Indexer(
        dsn,
        genesis,
        session.urls(),
        lambda urls: _client(session, genesis, urls),
        lambda progress: _report(session, progress),
        lambda why: session.words(f"{session.say('again')}: {why}"),
    )

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, task.cancel)
        with suppress(asyncio.CancelledError):
            await indexer.run(until)

    try:
        asyncio.run(work())
    except Unavailable as error:
        session.end(Exit.NOT_REACHABLE, f"{session.say('error')}: {error}")
    except Pruned as error:
        session.end(Exit.ERROR, f"{session.say('index_pruned')} ({error})")
    except DatabaseError as error:
        session.end(Exit.CONFIG, f"{session.say('error')}: {error}")
    except Incomplete as error:
        session.end(Exit.CONFIG, f"{session.say('index_incomplete')} ({error})")
    except Unknown as error:
        session.end(Exit.ERROR, f"{session.say('index_unknown')} ({error})")


def _report(session: Session, progress: "Progress") -> None:
    if session.as_json:
        click.echo(msgspec.json.encode(progress).decode())
        return
    say, seconds = session.say, max(progress.seconds, 0.001)
    session.words(
        f"{say('height')} {progress.height}  {say('lag')} {progress.lag}  "
        f"{say('transactions_a_second')} {progress.transactions / seconds:.0f}  "
        f"{say('rows_a_second')} {progress.rows / seconds:.0f}"
    )


def _verify(session: Session, dsn: str, genesis: Genesis, sample: int) -> None:
    from node.indexer.database import DatabaseError, Unavailable
    from node.indexer.proof import Behind, verify
    from node.indexer.view import view

    async def work() -> "Verdict":
        async with _client(session, genesis, session.urls()) as client:
            return await verify(client, lambda: view(dsn, genesis), sample)

    try:
        verdict = asyncio.run(work())
    except Unavailable as error:
        session.end(Exit.NOT_REACHABLE, f"{session.say('error')}: {error}")
    except DatabaseError as error:
        session.end(Exit.CONFIG, f"{session.say('error')}: {error}")
    except Behind as error:
        session.end(Exit.PENDING, f"{session.say('index_behind')} ({error})")
    _show(session, verdict)


def _show(session: Session, verdict: "Verdict") -> None:
    say = session.say
    rows: list[tuple[str, object]] = [
        (say("height"), verdict.height),
        (say("entries"), verdict.entries),
        (say("accounts"), verdict.accounts),
        (say("records"), verdict.records),
        *((say("supply"), session.money(each.amount, each.scale, each.code)) for each in verdict.supplies),
        (say("sums_equal"), say("no") if verdict.faults else say("yes")),
    ]
    value = {
        "height": verdict.height,
        "entries": verdict.entries,
        "accounts": verdict.accounts,
        "records": verdict.records,
        "supplies": [
            {"asset": each.asset, "code": each.code, "supply": str(each.amount), "height": each.height}
            for each in verdict.supplies
        ],
        "equal": not verdict.faults,
        "faults": verdict.faults,
    }
    session.data(value, lambda: session.pairs(rows))
    if verdict.faults:
        session.end(Exit.ERROR, "\n".join(verdict.faults))
