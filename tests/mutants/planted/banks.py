"""Mutants of what banks see: statements, notifications, imports, and national QR codes."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

TLV: Final = "node/qr/tlv.py"
LINK: Final = "node/qr/link.py"
QR_COMMAND: Final = "node/cli/qr.py"
CAMT: Final = "node/iso20022/camt.py"
STATEMENT: Final = "node/iso20022/camt053.py"
STATEMENT_COMMAND: Final = "node/cli/bank_statements.py"
NOTIFICATIONS: Final = "node/cli/notifications.py"
BATCHES: Final = "node/cli/batches.py"
IMPORTING: Final = "node/cli/importing.py"
CLIENT: Final = "node/client/client.py"

IN_QR: Final = suite("qr")
IN_QR_COMMAND: Final = suite("cli_qr")
IN_CAMT: Final = suite("iso20022_camt")
IN_BANK_STATEMENTS: Final = suite("cli_bank_statements")
IN_BATCHES: Final = suite("cli_batches")
IN_FILES: Final = suite("cli_files")
IN_LARGE: Final = suite("iso20022_large", only="another_import")

MUTANTS: Final[tuple[Mutant, ...]] = (
    one(
        *("a damaged code is read", "QR: the checksum", LINK),
        *("if told[0].lower() != checksum(body):", "if False:"),
        IN_QR,
    ),
    one(
        *("digits of upper case are damage", "QR: the checksum", LINK),
        *("if told[0].lower() != checksum(body):", "if told[0] != checksum(body):"),
        IN_QR,
    ),
    one(
        *("lengths count bytes", "QR: fields", TLV),
        *('return f"{tag}{len(value):02d}{value}"', 'return f"{tag}{len(value.encode()):02d}{value}"'),
        IN_QR,
    ),
    one(
        *("what is fixed may be changed", "QR: fields", LINK),
        *("return value == _YES", "return True"),
        IN_QR,
    ),
    one(
        *("no amount is an amount of nothing", "QR: fields", LINK),
        *("return int(value) or None", "return int(value)"),
        IN_QR,
    ),
    one(
        *("another provider's number is paid as an account", "QR: paying", QR_COMMAND),
        *("if link.provider != PROVIDER or len(text)", "if len(text)"),
        IN_QR_COMMAND,
    ),
    one(
        *("a fixed amount is paid as another", "QR: paying", QR_COMMAND),
        *("if tyiyn != link.amount and not link.amount_editable:", "if False:"),
        IN_QR_COMMAND,
    ),
    one(
        *("a code for one payment is paid again when the ledger has forgotten", "QR: paying", QR_COMMAND),
        *("if any(int(payment.to) == payee for payment in found.payments):", "if False:"),
        IN_QR_COMMAND,
    ),
    one(
        *("a statement need not add up", "bank statement: sums", STATEMENT),
        *("if self.closing + entry.amount != entry.balance:", "if False:"),
        IN_CAMT,
    ),
    one(
        *("a day has a moment of the next", "bank statement: days", STATEMENT),
        *("if entry.asset != SOM or entry.time_ms >= self", "if entry.asset != SOM or entry.time_ms > self"),
        IN_CAMT,
    ),
    one(
        *("other assets are som", "bank statement: sums", STATEMENT),
        *("if entry.asset != SOM or entry", "if entry"),
        IN_CAMT,
    ),
    one(
        *("what left came in", "bank statement: sums", CAMT),
        *("return DEBIT if amount < 0 else CREDIT", "return CREDIT"),
        IN_CAMT,
    ),
    one(
        *("payments that were skipped stand in a statement", "bank statement: bulk entries", STATEMENT_COMMAND),
        *("for index, leg in enumerate(operation.legs) if index not in skipped", "for leg in operation.legs"),
        IN_BANK_STATEMENTS,
    ),
    one(
        *("an open day has a final statement", "bank statement: days", STATEMENT_COMMAND),
        *("if not told.ended and not interim:", "if False:"),
        IN_BANK_STATEMENTS,
    ),
    one(
        *("a state of before the day's end proves the day", "bank statement: days", CLIENT),
        *("if proven.height >= passed:", "if True:"),
        IN_BANK_STATEMENTS,
    ),
    one(
        *("a reference stands twice in a table", "tables: a reference is paid once", BATCHES),
        *("    if ref in seen:", "    if False:"),
        IN_BATCHES,
    ),
    one(
        *("a longer table pays again", "tables: a reference is paid once", BATCHES),
        *("PaymentFile(_MESSAGE, ", "PaymentFile(str(len(rows)), "),
        IN_BATCHES,
    ),
    one(
        *("a crash loses a notification", "notifications: exactly once", NOTIFICATIONS),
        *("if self.cursor is not None and self.cursor.file and staged(", "if False and staged("),
        IN_BANK_STATEMENTS,
    ),
    one(
        *("what no cursor knows stays", "notifications: exactly once", NOTIFICATIONS),
        *("left.unlink()", "pass"),
        IN_BANK_STATEMENTS,
    ),
    one(
        *("blocks are told together", "notifications: by block", NOTIFICATIONS),
        *("waiting[-1].entry.height != line.entry.height", "False"),
        IN_BANK_STATEMENTS,
    ),
    one(
        *("an import knows only the window of the genesis", "import: within the window", IMPORTING),
        *(
            'window_institution_ms=set_ms["window_institution_ms"]',
            "window_institution_ms=DEFAULT.window_institution_ms",
        ),
        IN_FILES,
    ),
    one(
        *("two imports write one record", "import: one at a time", IMPORTING),
        *(
            "self._lock = lock(path.with_name(path.name + LOCK_SUFFIX))",
            'self._lock = os.open("/dev/null", os.O_RDONLY)',
        ),
        IN_FILES,
    ),
    one(
        *("the report is older than its answers", "import: the chain has the last word", IMPORTING),
        *("if any(isinstance(outcome, Rejected | Unsent) for outcome in outcomes.values()):", "if False:"),
        IN_LARGE,
    ),
)
