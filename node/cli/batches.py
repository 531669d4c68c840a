"""batch plan, submit, status: many payments of one payer, from a table of accounts, amounts and references (CSV).

One rule: a reference is paid once by its payer, whichever table it stands in and however often it is submitted. It goes
the way of a bank's file (importing.py): looked up on the chain, signed with ``once``, looked up again.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from consensus.encoding import digest, encode
from node.cli.amounts import parse_som
from node.cli.files import IMPORT_TIMEOUT_SECONDS, end_with_summary, look_at_file, send_file, show_plan
from node.cli.importing import Imported
from node.cli.payments import KEY_FILES, PASSPHRASE_FILE
from node.cli.publishing import write_published
from node.cli.session import Exit, Session, SomCommand, SomGroup
from node.cli.signing import account_of, demo_accounts
from node.iso20022.pain001 import Payment, PaymentFile, PaymentInformation
from node.iso20022.plan import Ref, payment_ref, plan
from node.iso20022.resume import Conflict, Outcome, Rejected, Settled, Unsent
from node.ledger.account import AMOUNT_MAX, AccountNumber, format_account, parse_account
from node.ledger.errors import Code

COLUMNS: Final = ("account", "amount", "ref")  # others are read past: names stay on this computer
FILE_BYTES_MAX: Final = 16 * 2**20
PAYMENTS_MAX: Final = 100_000  # as of a bank's file
REF_CHARS_MAX: Final = 35  # as of an EndToEndId
PROBLEMS_SHOWN_MAX: Final = 20
RESULT_SUFFIX: Final = ".result.csv"
_MESSAGE: Final = "som-batch"  # in the place of a message's id: the reference alone tells payments apart
_FILE_TAG: Final = b"som-batch-file-1"

Account = Callable[[str], int]  # 16 digits, or a devnet's name -> number; raises ValueError


class Malformed(Exception):
    """The table is not paid: what is wrong, each with its line, which is 0 for the file."""

    def __init__(self, problems: Sequence[tuple[int, str, str]]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Row:
    """A payment as the table has it."""

    account: AccountNumber
    amount: int  # tyiyn
    ref: str


class BatchCommand(SomCommand):
    """A command about a table and its payer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        payer = click.Option(
            ["--from", "payer"], required=True, metavar="ACCOUNT", help="Who pays all of it, and signs."
        )
        file = click.Argument(["file"], type=click.Path(path_type=Path, dir_okay=False, exists=True))
        self.params[:0] = [file, payer]


_RESULT = click.option(
    "--result",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Where it is written what became of each payment. [default: FILE{RESULT_SUFFIX}]",
)


@click.group(cls=SomGroup)
def batch() -> None:
    """Many payments of one payer from a table (CSV) with the columns account, amount and ref."""


@batch.command("plan", cls=BatchCommand)
@click.pass_obj
def plan_command(session: Session, file: Path, payer: str) -> None:
    """Check the table and show the transactions that it would be. No node is asked, nothing is sent."""
    payments, _ = _read(session, file, payer)
    show_plan(session, plan(payments))


@batch.command("submit", cls=BatchCommand)
@click.option("--retry", is_flag=True, help="Try again what the ledger refused before.")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(0, 86_400), default=IMPORT_TIMEOUT_SECONDS)
@_RESULT
@click.pass_obj
def submit(session: Session, /, file: Path, payer: str, result: Path | None, **given: Any) -> None:
    """Pay what of the table is not paid yet, wait until it is final, and write what became of each payment."""
    payments, rows = _read(session, file, payer)
    imported, _ = send_file(session, payments, given)
    _finish(session, payments, rows, imported, result or file.with_name(file.name + RESULT_SUFFIX))


submit.params += [KEY_FILES, PASSPHRASE_FILE]


@batch.command("status", cls=BatchCommand)
@_RESULT
@click.pass_obj
def status(session: Session, file: Path, payer: str, result: Path | None) -> None:
    """Say what became of the table, and write it down. Nothing is sent."""
    payments, rows = _read(session, file, payer)
    imported, _ = look_at_file(session, payments)
    _finish(session, payments, rows, imported, result or file.with_name(file.name + RESULT_SUFFIX))


# --- the table ---


def read_rows(data: bytes, account: Account) -> list[Row]:
    """Return the payments of a table. Raises Malformed; the words are names in texts.py."""
    if len(data) > FILE_BYTES_MAX:
        raise Malformed([(0, "batch_too_large", "")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Malformed([(0, "batch_not_utf8", "")]) from None
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head else ",", strict=True)
    try:
        return _rows(reader, account)
    except csv.Error as error:
        raise Malformed([(reader.line_num, "batch_no_table", str(error))]) from None


def _rows(reader: Any, account: Account) -> list[Row]:
    names = [name.strip().lower() for name in next(reader, [])]
    if any(names.count(name) != 1 for name in COLUMNS):
        raise Malformed([(1, "batch_columns", ", ".join(COLUMNS))])
    places = [names.index(name) for name in COLUMNS]
    rows: list[Row] = []
    problems: list[tuple[int, str, str]] = []
    seen: set[str] = set()
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) == PAYMENTS_MAX:
            raise Malformed([(reader.line_num, "batch_too_large", str(PAYMENTS_MAX))])
        if len(cells) != len(names):
            found: Row | tuple[str, str] = ("batch_cells", f"{len(cells)} ≠ {len(names)}")
        else:
            number, amount, ref = (cells[place].strip() for place in places)
            found = _row(number, amount, ref, account, seen)
        if isinstance(found, Row):
            rows.append(found)
            seen.add(found.ref)
        else:
            problems.append((reader.line_num, *found))
            if len(problems) == PROBLEMS_SHOWN_MAX:
                break
    if not rows and not problems:
        problems.append((0, "batch_empty", ""))
    if not problems and sum(row.amount for row in rows) > AMOUNT_MAX:
        problems.append((0, "bad_amount", ""))
    if problems:
        raise Malformed(problems)
    return rows


def _row(number: str, amount: str, ref: str, account: Account, seen: set[str]) -> Row | tuple[str, str]:
    """Return the row, or the name of what is wrong and with what."""
    try:
        payee = account(number)
    except ValueError:
        return "bad_account", number
    try:
        tyiyn = parse_som(amount)
    except ValueError:
        return "bad_amount", amount
    if not 1 <= len(ref) <= REF_CHARS_MAX:
        return "batch_ref", ref
    if ref in seen:
        return "batch_ref_twice", ref
    return Row(AccountNumber(payee), tyiyn, ref)


def payments_of(payer: AccountNumber, rows: Sequence[Row], data: bytes) -> PaymentFile:
    """Return the table as what is planned, signed and looked up."""
    number = format_account(payer)
    payments = tuple(Payment(row.ref, None, None, row.account, row.amount) for row in rows)
    information = PaymentInformation(number, payer, date.min, payments)
    return PaymentFile(_MESSAGE, "", (information,), digest(_FILE_TAG, encode((number, data))))


def ref_of(payer: AccountNumber, row: Row) -> Ref:
    """Return the 16 bytes that the chain has for a row's reference."""
    return payment_ref(_MESSAGE, format_account(payer), Payment(row.ref, None, None, row.account, row.amount))


def _read(session: Session, file: Path, payer: str) -> tuple[PaymentFile, list[Row]]:
    number, known = AccountNumber(account_of(session, payer)), demo_accounts(session)

    def account(text: str) -> int:
        return known[text].number if text in known else parse_account(text)

    with file.open("rb") as source:
        data = source.read(FILE_BYTES_MAX + 1)
    try:
        rows = read_rows(data, account)
    except Malformed as malformed:
        for line, name, detail in malformed.problems:
            session.words(f"{file}:{line}: {session.say(name)}{f': {detail[:80]!r}' if detail else ''}")
        session.end(Exit.REFUSED, session.say("refused"))
    return payments_of(number, rows, data), rows


# --- what became of it ---


def _finish(session: Session, payments: PaymentFile, rows: Sequence[Row], imported: Imported, result: Path) -> None:
    payer = payments.payment_informations[0].debtor
    write_published(result, lambda out: write_result(out, payer, rows, imported.outcomes))
    end_with_summary(session, payments, imported, result)


def write_result(out: BinaryIO, payer: AccountNumber, rows: Sequence[Row], outcomes: Mapping[Ref, Outcome]) -> None:
    """Write the table again with what became of each payment, and the reference that it has on the chain."""
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    table = csv.writer(text)
    table.writerow((*COLUMNS, "status", "code", "chain_ref"))
    for row in rows:
        ref = ref_of(payer, row)
        told = f"{row.amount // 100}.{row.amount % 100:02d}"
        table.writerow((format_account(row.account), told, row.ref, *_words(outcomes[ref]), ref.hex()))
    text.detach()


def _words(outcome: Outcome) -> tuple[str, str]:
    match outcome:
        case Settled():
            return "paid", ""
        case Rejected(code):
            return "rejected", code.name
        case Conflict():
            return "rejected", Code.DUPLICATE_REF.name
        case Unsent(code):
            return "unsent", code.name
    return "pending", ""
