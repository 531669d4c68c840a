"""iso notify: follow an account and write a notification file for what each final block booked.

One rule: every entry is in exactly one published file. A file is staged, then the cursor says "published, go on after
it", then the file appears. Whatever a crash leaves behind, the next start knows from the cursor which step it was.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from node.cli.bank_statements import with_parts
from node.cli.publishing import publish, stage, staged
from node.cli.session import Exit, Session, SomCommand
from node.cli.signing import account_of
from node.client.client import Client
from node.client.errors import NotReachable, RequestFailed
from node.client.history import EntrySource, Page, SubscribedHistory
from node.client.proofs import entry_of
from node.config import ConfigError
from node.iso20022.camt import Line, Unwritable
from node.iso20022.camt054 import notification_name, write_notification
from node.ledger.account import SOM, AccountNumber, format_account
from node.storage.files import lock, write_file

ENTRIES_DEFAULT: Final = 1_000  # of one file: about 1.2 MB
ENTRIES_MAX: Final = 10_000  # they are in memory together
CURSOR_BYTES_MAX: Final = 4_096
CURSOR_SUFFIX: Final = ".cursor"
LOCK_SUFFIX: Final = ".lock"
RETRY_SECONDS: Final = 2.0
TICK_SECONDS_MAX: Final = 1.0  # so much later than meant a file may come


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an account was told: all entries before ``next_entry``, the last of them in ``file``."""

    genesis_hash: str
    next_entry: int
    file: str = ""


@dataclass(frozen=True, slots=True)
class Grouping:
    """What goes into one file: what one block booked, or what some seconds brought; ``entries_max`` at the most."""

    entries_max: int = ENTRIES_DEFAULT
    every_seconds: float = 0.0

    @property
    def tick_seconds(self) -> float | None:
        """How often to look at the clock; never, if a file is what a block booked."""
        return min(self.every_seconds, TICK_SECONDS_MAX) or None


class Outbox:
    """The directory of an account's notifications."""

    def __init__(self, directory: Path, account: AccountNumber, genesis_hash: bytes) -> None:
        """Open, and finish what a crash cut off. Raises ConfigError."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._account = account
        self._genesis_hash = genesis_hash
        self._path = directory / f"camt054-{format_account(account)}{CURSOR_SUFFIX}"
        self.cursor = self._read()
        if self.cursor is not None and self.cursor.file and staged(directory / self.cursor.file).exists():
            publish(directory / self.cursor.file)
        for left in directory.glob(staged(Path(f"camt054-{format_account(account)}-*.xml")).name):
            left.unlink()  # the cursor never said that it is published

    def put(self, lines: Sequence[Line], next_entry: int) -> Path | None:
        """Publish a notification of ``lines``, if any, and remember that all before ``next_entry`` is told."""
        name = notification_name(self._account, lines) if lines else ""
        if lines:
            stage(
                self._directory / name,
                lambda out: write_notification(out, self._account, lines, self._genesis_hash),
            )
        self.cursor = Cursor(self._genesis_hash.hex(), next_entry, name)
        fields = {"genesis": self.cursor.genesis_hash, "next_entry": next_entry, "file": name}
        write_file(self._path, json.dumps(fields).encode() + b"\n")
        if not lines:
            return None
        publish(self._directory / name)
        return self._directory / name

    def _read(self) -> Cursor | None:
        try:
            with self._path.open("rb") as file:
                data = file.read(CURSOR_BYTES_MAX)
        except FileNotFoundError:
            return None
        try:
            value = json.loads(data)
            cursor = Cursor(str(value["genesis"]), value["next_entry"], str(value["file"]))
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"{self._path}: damaged") from None
        if type(cursor.next_entry) is not int or cursor.next_entry < 0 or "/" in cursor.file:
            raise ConfigError(f"{self._path}: damaged")
        if cursor.genesis_hash != self._genesis_hash.hex():
            raise ConfigError(f"{self._path}: of another network")
        return cursor


@click.command("notify", cls=SomCommand)
@click.argument("number", metavar="ACCOUNT")
@click.option(
    "--out-dir",
    "directory",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where files and the cursor go.",
)
@click.option(
    "--from",
    "start",
    metavar="NUMBER|end",
    default="0",
    show_default=True,
    help="The first entry to tell, or only what comes from now on. A cursor in the directory goes before.",
)
@click.option("--entries", "entries_max", type=click.IntRange(1, ENTRIES_MAX), default=ENTRIES_DEFAULT)
@click.option(
    "--every",
    "every_seconds",
    type=click.FloatRange(0, 3_600),
    default=0.0,
    metavar="SECONDS",
    help="One file for what came in so many seconds. [default: one for each block]",
)
@click.option("--once", is_flag=True, help="End when all that is final was told.")
@click.pass_obj
def notify(session: Session, /, number: str, directory: Path, start: str, once: bool, **given: Any) -> None:
    """Follow an account: a debit and credit notification (camt.054.001.08) for each final block that books in som.

    Ends with Ctrl-C, and goes on there when it is started again: every entry is told exactly once.
    """
    account = AccountNumber(account_of(session, number))
    if start != "end" and not (start.isascii() and start.isdigit() and len(start) < 16):
        raise click.BadParameter(start, param_hint="--from")
    grouping = Grouping(given["entries_max"], given["every_seconds"])

    def tell(path: Path | None, lines: Sequence[Line], next_entry: int) -> None:
        if path is None:
            return
        value = {"file": str(path), "entries": len(lines), "next_entry": next_entry}
        rows = [(session.say("written"), path), (session.say("entries"), len(lines))]
        session.data(value, lambda: session.pairs(rows))

    async def talk(client: Client) -> None:
        genesis_hash = bytes.fromhex((await client.info()).genesis_hash)
        outbox = Outbox(directory, account, genesis_hash)
        if outbox.cursor is None:
            first = (await client.history_page(account, limit=1)).length if start == "end" else int(start)
            outbox.put((), first)
        while True:
            try:
                source = SubscribedHistory(client, account, grouping.tick_seconds)
                await follow(client, source, outbox, genesis_hash, grouping, tell, once=once)
            except (NotReachable, RequestFailed) as error:
                if once or (isinstance(error, RequestFailed) and not error.retryable):
                    raise
                session.words(f"{session.say('not_reachable')}: {error}")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    directory.mkdir(parents=True, exist_ok=True)
    held = lock(directory / f"camt054-{format_account(account)}{LOCK_SUFFIX}")
    try:
        session.ask(talk)
    except KeyboardInterrupt:
        return
    except Unwritable as error:
        session.end(Exit.ERROR, f"{session.say('error')}: {error}")
    finally:
        os.close(held)


async def follow(
    client: Client,
    source: EntrySource,
    outbox: Outbox,
    genesis_hash: bytes,
    grouping: Grouping,
    tell: Callable[[Path | None, Sequence[Line], int], None],
    *,
    once: bool,
) -> None:
    """Put what the source brings into the outbox, from its cursor on; without end unless ``once``."""
    assert outbox.cursor is not None
    async with aclosing(groups(source, outbox.cursor.next_entry, grouping, once=once)) as found:  # type: ignore[type-var]
        async for group in found:
            lines = [await with_parts(client, genesis_hash, line) for line in group if line.entry.asset == SOM]
            following = group[-1].number + 1
            tell(outbox.put(lines, following), lines, following)


async def groups(source: EntrySource, first: int, grouping: Grouping, *, once: bool) -> AsyncIterator[list[Line]]:
    """Yield the entries from ``first`` on, by what goes into one file.

    A block books at once, so its entries are complete where one of another block follows, or nothing.
    """
    clock = asyncio.get_running_loop().time
    waiting: list[Line] = []
    began = clock()
    async with aclosing(source.after(first)) as pages:  # type: ignore[type-var]
        async for page in pages:
            for line in _lines(page):
                full = len(waiting) == grouping.entries_max
                by_block = not grouping.every_seconds
                if waiting and (full or (by_block and waiting[-1].entry.height != line.entry.height)):
                    yield waiting
                    waiting, began = [], clock()
                waiting.append(line)
            ended = once and not page.more
            if waiting and not page.more and (ended or clock() - began >= grouping.every_seconds):
                yield waiting
                waiting, began = [], clock()
            if not waiting:
                began = clock()
            if ended:
                return


def _lines(page: Page) -> list[Line]:
    return [Line(shown.number, entry_of(shown)) for shown in page.entries]
