"""iso statement: what an account booked on some days, as a file for its bank.

One rule: the file appears whole or not at all, and only after everything in it was checked.
"""

import tempfile
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from node.cli.publishing import write_published
from node.cli.session import Exit, Session, SomCommand
from node.cli.show import unix_ms
from node.cli.signing import account_of
from node.client.client import Client
from node.client.errors import ProofInvalid, RequestFailed
from node.client.history import balance_before, first_since, read_page
from node.client.proofs import ProvenAccount, entry_of
from node.client.trust import Trust
from node.home import read_genesis
from node.iso20022.camt import Line, Part, Unwritable
from node.iso20022.camt053 import DAYS_MAX, Inconsistent, Period, Statement
from node.ledger.account import SOM, AccountNumber, format_account
from node.ledger.errors import Refused
from node.ledger.pay import Pay
from node.ledger.statement import Entry
from node.ledger.transaction import decode_transaction

_DAY: Final = click.DateTime(["%Y-%m-%d"])
_NOT_PROVEN: Final = "as one node told it; not proven"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a statement says of itself besides its entries."""

    ended: bool
    note: str
    proven: ProvenAccount | None


@click.command("statement", cls=SomCommand)
@click.argument("number", metavar="ACCOUNT")
@click.option("--day", "first", type=_DAY, required=True, metavar="YYYY-MM-DD", help="The business day, in Bishkek.")
@click.option("--to", "last", type=_DAY, metavar="YYYY-MM-DD", help=f"The last of several days; {DAYS_MAX} at most.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="[default: camt053-ACCOUNT-DAY.xml]")
@click.option(
    "--genesis",
    "genesis_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Prove from this genesis that nothing is missing, added or changed. It reads the account's whole history.",
)
@click.option("--interim", is_flag=True, help="Of a day that has not ended too: the closing balance is an interim one.")
@click.pass_obj
def statement(session: Session, /, number: str, genesis_file: Path | None, interim: bool, **given: Any) -> None:
    """Write a bank statement (camt.053.001.08): opening balance, entries, closing balance, of som."""
    account = AccountNumber(account_of(session, number))
    period = _period(given["first"], given["last"])
    out: Path = given["out"] or Path(f"camt053-{format_account(account)}-{period.first.isoformat()}.xml")
    trust = None if genesis_file is None else Trust.of(read_genesis(genesis_file))

    async def talk(client: Client, made: Statement) -> tuple[_Answer, bytes]:
        genesis_hash = bytes.fromhex((await client.info()).genesis_hash)
        told = await (_walk_proven if trust is not None else _walk)(client, genesis_hash, made, interim)
        return told, genesis_hash

    with tempfile.TemporaryFile() as spool:
        made = Statement(account, period, spool)
        try:
            told, genesis_hash = session.ask(lambda client: talk(client, made), trust=trust)
            if not told.ended and not interim:
                session.end(Exit.REFUSED, session.say("day_open"))
            write_published(out, lambda file: made.write(file, genesis_hash, unix_ms(), told.ended, told.note))
        except (Unwritable, Inconsistent) as error:
            session.end(Exit.ERROR, f"{session.say('error')}: {error}")
    _show(session, made, told, out)


def _period(first: datetime, last: datetime | None) -> Period:
    try:
        return Period(first.date(), (last or first).date())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--to") from None


async def _walk(client: Client, genesis_hash: bytes, made: Statement, interim: bool) -> _Answer:
    """Add the period's entries, found by their times; the node is believed."""
    info = await client.info()  # later reads are of its height or a later one
    ended = info.block_time_ms >= made.period.end_ms
    if ended or interim:
        first = await first_since(client, made.account, made.period.start_ms)
        before = await balance_before(client, made.account, first, SOM)
        if before is not None:
            made.add(Line(before.number, entry_of(before)))
        while True:
            page = await read_page(client, made.account, first)
            for shown in page.entries:
                if shown.timestamp_ms >= made.period.end_ms:
                    return _Answer(ended, _NOT_PROVEN, None)
                await _add(client, genesis_hash, made, shown.number, entry_of(shown))
            if not page.more:
                break
            first += len(page.entries)
    return _Answer(ended, _NOT_PROVEN, None)


async def _walk_proven(client: Client, genesis_hash: bytes, made: Statement, interim: bool) -> _Answer:
    """Add all entries there are, verified from the genesis on. Raises ProofInvalid."""
    proven = await client.prove_account_after(made.account, made.period.end_ms)
    ended = proven is not None
    if proven is None:
        if not interim:
            return _Answer(False, "", None)
        proven = await client.prove_account(made.account)
    number = 0
    async with aclosing(client.walk_statement(proven)) as entries:  # type: ignore[type-var]
        async for entry in entries:
            await _add(client, genesis_hash, made, number, entry)
            number += 1
    note = f"proven from genesis {genesis_hash.hex()} at height {proven.height}, certified by {proven.certified_by}"
    return _Answer(ended, note, proven)


async def _add(client: Client, genesis_hash: bytes, made: Statement, number: int, entry: Entry) -> None:
    line = Line(number, entry)
    made.add(await with_parts(client, genesis_hash, line) if made.wants(line) else line)


async def with_parts(client: Client, genesis_hash: bytes, line: Line) -> Line:
    """Return a bulk entry with its payments, as the signed transaction and its receipt say them.

    Without them where the node no longer keeps the transaction. Raises ProofInvalid if they are not the entry's.
    """
    entry = line.entry
    if entry.counterparty is not None or entry.amount >= 0:
        return line
    try:
        found = await client.transaction(entry.transaction_id, transaction=True)
    except RequestFailed as failed:
        if failed.name == "pruned":
            return line
        raise
    if found.transaction is None or found.receipt is None:
        return line
    try:
        transaction = decode_transaction(bytes.fromhex(found.transaction.raw), genesis_hash)
    except Refused:
        raise ProofInvalid("a transaction that does not decode") from None
    if transaction.id != entry.transaction_id or entry.op >= len(transaction.operations):
        raise ProofInvalid("another transaction than the entry's")
    operation = transaction.operations[entry.op]
    if not isinstance(operation, Pay):
        return line
    skipped = {leg.leg for leg in found.receipt.skipped if leg.op == entry.op}
    parts = tuple(Part(*leg) for index, leg in enumerate(operation.legs) if index not in skipped)
    if sum(part.amount for part in parts) != -entry.amount:
        raise ProofInvalid("the payments of a bulk entry do not add up to it")
    return Line(line.number, entry, parts)


def _show(session: Session, made: Statement, told: _Answer, out: Path) -> None:
    say, proven = session.say, told.proven
    value = {
        "account": format_account(made.account),
        "from": made.period.first.isoformat(),
        "to": made.period.last.isoformat(),
        "opening": str(made.opening),
        "closing": str(made.closing),
        "credits": {"entries": made.credits.entries, "sum": str(made.credits.sum)},
        "debits": {"entries": made.debits.entries, "sum": str(made.debits.sum)},
        "ended": told.ended,
        "proven": None if proven is None else {"height": proven.height, "certified_by": proven.certified_by},
        "file": str(out),
    }
    rows: list[tuple[str, object]] = [
        (say("account"), format_account(made.account)),
        (say("opening"), session.money(made.opening)),
        (say("credits"), f"{made.credits.entries}, {session.money(made.credits.sum)}"),
        (say("debits"), f"{made.debits.entries}, {session.money(made.debits.sum)}"),
        (say("closing"), session.money(made.closing)),
        (say("written"), out),
    ]
    if proven is not None:
        session.words(f"{say('verified')}: {proven.height} ≤ {proven.certified_by}")
    session.data(value, lambda: session.pairs(rows))
