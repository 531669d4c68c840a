"""iso import, iso status: bank files.

One rule: a file is checked whole before anything of it is signed, and importing it again pays nothing more.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from node.cli.importing import Imported, Record, import_file, look, read_record
from node.cli.payments import PASSPHRASE_FILE
from node.cli.prepared import signers_for
from node.cli.progress import reported
from node.cli.publishing import write_published
from node.cli.session import Exit, Session, SomGroup
from node.cli.show import business_date, unix_ms
from node.client.client import Client
from node.iso20022.errors import FileRefused
from node.iso20022.pain001 import PaymentFile, read_payments, require_due
from node.iso20022.pain002 import ACSC, PDNG, RCVD, RJCT, status, write_refusal, write_status
from node.iso20022.plan import Plan, Ref, plan
from node.iso20022.resume import Outcome, Unsent
from node.ledger.account import format_account
from node.ledger.errors import text as ledger_text

IMPORT_TIMEOUT_SECONDS: Final = 300.0
STATUS_SUFFIX: Final = ".pain002.xml"
_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
_REPORT = click.option(
    "--status",
    "report",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Where the status report (pain.002.001.12) goes. [default: FILE{STATUS_SUFFIX}]",
)


@click.group(cls=SomGroup)
def iso() -> None:
    """Bank files (ISO 20022): pain.001.001.09 in; pain.002.001.12, camt.053.001.08 and camt.054.001.08 out."""


@iso.command("import")
@_FILE
@click.option("--dry-run", is_flag=True, help="Check and plan; send nothing.")
@click.option("--retry", is_flag=True, help="Try again what the ledger refused before.")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(0, 86_400), default=IMPORT_TIMEOUT_SECONDS)
@_REPORT
@click.pass_obj
def import_command(session: Session, /, file: Path, **given: Any) -> None:
    """Pay a payment file: plan, sign per debtor, send, wait for final, write the status report.

    A debtor's keys are key files (--debtor-key) or, on a devnet, public ones. Each signs for its debtor.
    """
    report = given["report"] or file.with_name(file.name + STATUS_SUFFIX)
    payments = _read(session, file, report, given["dry_run"])
    if given["dry_run"]:
        show_plan(session, plan(payments))
        return
    try:
        imported, now_ms = send_file(session, payments, given)
    except FileRefused as refused:
        _refuse(session, refused, report)
    _write_report(session, payments, imported.outcomes, now_ms, report)
    end_with_summary(session, payments, imported, report)


import_command.params += [
    click.Option(
        ["--debtor-key", "--key", "key_files"],
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Key file of a debtor; several for several debtors, or signatures.",
    ),
    PASSPHRASE_FILE,
]


@iso.command("status")
@_FILE
@_REPORT
@click.pass_obj
def status_command(session: Session, file: Path, report: Path | None) -> None:
    """Say what became of a file, and write the status report. Nothing is sent."""
    target = report or file.with_name(file.name + STATUS_SUFFIX)
    payments = _read(session, file, target, dry_run=False)
    imported, now_ms = look_at_file(session, payments)
    _write_report(session, payments, imported.outcomes, now_ms, target)
    end_with_summary(session, payments, imported, target)


# --- what every list of payments goes through, whatever its form ---


def send_file(session: Session, payments: PaymentFile, given: Mapping[str, Any]) -> tuple[Imported, int]:
    """Pay what is not paid yet; return what is known, and the node's time. Raises FileRefused if it is not due."""

    async def talk(client: Client) -> tuple[Imported, int]:
        info = await client.info()
        require_due(payments, business_date(info.now_ms))
        debtors = list(dict.fromkeys(batch.debtor for batch in payments.payment_informations))
        views = [await client.account(debtor) for debtor in debtors]
        # A missing key, or one of no debtor, ends the command before anything is sent.
        signers = signers_for(session, views, given["key_files"], given["passphrase_file"], info.kind)
        keys = {debtor: [key for index, key in signers if index == at] for at, debtor in enumerate(debtors)}
        with Record(_record_path(session, payments, info.genesis_hash)) as record, reported(session) as progress:
            imported = await import_file(
                client,
                payments,
                record,
                keys.__getitem__,
                partial(progress, "settled"),
                looked_up=partial(progress, "looked_up"),
                timeout_seconds=given["timeout_seconds"],
                retry=given["retry"],
            )
        return imported, (await client.info()).now_ms

    return session.ask(talk, keeps=True)


def look_at_file(session: Session, payments: PaymentFile) -> tuple[Imported, int]:
    """Return what became of the payments, and the node's time. Nothing is sent."""

    async def talk(client: Client) -> tuple[Imported, int]:
        info = await client.info()
        entries = read_record(_record_path(session, payments, info.genesis_hash))
        return await look(client, payments, entries), info.now_ms

    return session.ask(talk)


def _read(session: Session, file: Path, report: Path, dry_run: bool) -> PaymentFile:
    try:
        with file.open("rb") as source:
            payments = read_payments(source)
        plan(payments)
    except FileRefused as refused:
        _refuse(session, refused, None if dry_run else report)
    return payments


def _refuse(session: Session, refused: FileRefused, report: Path | None) -> NoReturn:
    for problem in refused.problems:
        place = f"{problem.line}: {problem.path or session.say('file')}"
        session.words(f"{problem.code}  {place}  {problem.text(session.language)}")
    if report is not None:
        write_published(report, lambda out: write_refusal(out, refused, unix_ms(), session.language))
    session.end(Exit.REFUSED, f"{session.say('refused')}: {refused.code}")


def show_plan(session: Session, planned: Plan) -> None:
    say = session.say
    rows = [(pay.index, format_account(pay.debtor), len(pay.legs), session.money(pay.total)) for pay in planned.pays]
    value = {
        "file_digest": planned.file_digest.hex(),
        "payments": planned.legs,
        "total": str(planned.total),
        "pays": [
            {"index": pay.index, "debtor": format_account(pay.debtor), "legs": len(pay.legs), "total": str(pay.total)}
            for pay in planned.pays
        ],
    }
    heads = ["#", say("account"), say("payments"), say("total")]
    session.data(value, lambda: session.rows(heads, rows, right=(0, 2, 3)))
    session.words(say("planned"))


def _write_report(
    session: Session, payments: PaymentFile, outcomes: Mapping[Ref, Outcome], now_ms: int, report: Path
) -> None:
    write_published(report, lambda out: write_status(out, payments, outcomes, now_ms, session.language))


def end_with_summary(session: Session, payments: PaymentFile, imported: Imported, report: Path) -> None:
    """Show the summary and end: 0 all paid, 3 some not, 4 none, 6 some open."""
    say = session.say
    counts = Counter(status(outcome) for outcome in imported.outcomes.values())
    paid, rejected, unsent, open_ = counts[ACSC], counts[RJCT], counts[RCVD], counts[PDNG]
    codes = dict.fromkeys(outcome.code for outcome in imported.outcomes.values() if isinstance(outcome, Unsent))
    value = {
        "message_id": payments.message_id,
        "payments": payments.payments,
        "total": str(payments.total),
        "paid": paid,
        "rejected": rejected,
        "unsent": unsent,
        "pending": open_,
        "report": str(report),
    }
    rows: list[tuple[str, object]] = [
        (say("file"), payments.message_id),
        (say("payments"), f"{payments.payments}, {session.money(payments.total)}"),
        (say("paid"), paid),
        (say("rejected"), rejected),
        (say("unsent"), unsent),
        (say("open"), open_),
        (say("written"), report),
    ]
    session.data(value, lambda: session.pairs(rows))
    for code in codes:
        session.words(f"{say('unsent')}: {code.name}: {ledger_text(code, session.language)}")
    if open_:
        session.end(Exit.PENDING, f"{say('open')}: {open_}")
    if unsent or rejected:
        told = f"{say('rejected')}: {rejected}" if rejected else f"{say('unsent')}: {unsent}"
        session.end(Exit.PARTIAL if paid else Exit.REFUSED, told)


def _record_path(session: Session, payments: PaymentFile, genesis_hash: str) -> Path:
    return session.outbox_path.parent / "imports" / f"{payments.digest.hex()[:32]}-{genesis_hash[:16]}.record"
