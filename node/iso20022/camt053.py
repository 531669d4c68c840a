"""Write a bank to customer statement, camt.053.001.08: what an account booked on some days, and its balances then.

One rule: opening balance + entries = closing balance, or there is no statement. The balances stand before the entries
in the file and are known after them, so entries go to a spool as they come: a statement of any length takes no memory.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import BinaryIO, Final

from consensus.encoding import digest, encode
from node.iso20022.camt import ENTRY_DEPTH, Line, write_account, write_entry, write_signed
from node.iso20022.fields import AMOUNT_MAX, BUSINESS_ZONE, format_date_time, format_som
from node.iso20022.xml import DECLARATION, XmlWriter
from node.ledger.account import SOM, AccountNumber

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
STATEMENT_TAG: Final = b"som-iso-statement-1"
MESSAGE_TAG: Final = b"som-iso-statement-message-1"
DAYS_MAX: Final = 366
YEAR_MIN: Final = 1970  # times are counted from there
OPENING: Final = "OPBD"
CLOSING: Final = "CLBD"
INTERIM: Final = "ITBD"  # of a day that has not ended
_DAY: Final = timedelta(days=1)
_COPY_BYTES: Final = 64 * 1024


class Inconsistent(Exception):
    """The entries do not add up: what a node showed is not an account's statement."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole business days, UTC+6."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if not 0 <= (self.last - self.first).days < DAYS_MAX or self.first.year < YEAR_MIN:
            raise ValueError(f"a statement is of 1 to {DAYS_MAX} days, from {YEAR_MIN} on")

    @property
    def start_ms(self) -> int:
        """Its first millisecond, Unix time."""
        return _day_ms(self.first)

    @property
    def end_ms(self) -> int:
        """The first millisecond after it."""
        return _day_ms(self.last) + _DAY // timedelta(milliseconds=1)


@dataclass(slots=True)
class Totals:
    """Entries of one side."""

    entries: int = 0
    sum: int = 0  # tyiyn


@dataclass(slots=True)
class Statement:
    """A statement in the making. Add entries in the order of booking, those before the period too as far as known."""

    account: AccountNumber
    period: Period
    spool: BinaryIO  # empty, readable, kept by the caller
    opening: int = 0
    closing: int = 0
    credits: Totals = field(default_factory=Totals)
    debits: Totals = field(default_factory=Totals)

    def wants(self, line: Line) -> bool:
        """Return whether an entry belongs into the statement: som, booked in the period."""
        return line.entry.asset == SOM and self.period.start_ms <= line.entry.time_ms < self.period.end_ms

    def add(self, line: Line) -> None:
        """Take the next entry. Raises Inconsistent, Unwritable."""
        entry = line.entry
        if entry.asset != SOM or entry.time_ms >= self.period.end_ms:
            return
        if not self.wants(line):
            if self.credits.entries or self.debits.entries:
                raise Inconsistent(f"entry {line.number} is older than one before it")
            self.opening = self.closing = entry.balance
            return
        if self.closing + entry.amount != entry.balance:
            raise Inconsistent(f"entry {line.number} does not follow from the balance before it")
        self.closing = entry.balance
        totals = self.debits if entry.amount < 0 else self.credits
        totals.entries += 1
        totals.sum += abs(entry.amount)
        write_entry(XmlWriter(self.spool, ENTRY_DEPTH), self.account, line)

    def write(self, out: BinaryIO, genesis_hash: bytes, created_ms: int, ended: bool, note: str) -> None:
        """Write the whole message. ``ended``: no block can book into the period any more. Raises Unwritable."""
        assert self.opening + self.credits.sum - self.debits.sum == self.closing
        named = digest(
            STATEMENT_TAG,
            encode((genesis_hash, int(self.account), self.period.first.isoformat(), self.period.last.isoformat())),
        )
        xml = XmlWriter(out)
        xml.line(DECLARATION)
        xml.open("Document", f' xmlns="{NAMESPACE}"')
        with xml.element("BkToCstmrStmt"):
            with xml.element("GrpHdr"):
                xml.leaf("MsgId", digest(MESSAGE_TAG, encode((named, created_ms)))[:16].hex())
                xml.leaf("CreDtTm", format_date_time(created_ms))
            with xml.element("Stmt"):
                xml.leaf("Id", named[:16].hex())
                xml.leaf("CreDtTm", format_date_time(created_ms))
                with xml.element("FrToDt"):
                    xml.leaf("FrDtTm", format_date_time(self.period.start_ms))
                    xml.leaf("ToDtTm", format_date_time(self.period.end_ms - 1))
                write_account(xml, self.account)
                _balance(xml, OPENING, self.opening, self.period.first)
                _balance(xml, CLOSING if ended else INTERIM, self.closing, self.period.last)
                self._summary(xml)
                _copy(self.spool, out.write)
                xml.leaf("AddtlStmtInf", note)
        xml.close("Document")

    def _summary(self, xml: XmlWriter) -> None:
        both = Totals(self.credits.entries + self.debits.entries, self.credits.sum + self.debits.sum)
        with xml.element("TxsSummry"):
            for name, totals in (("TtlNtries", both), ("TtlCdtNtries", self.credits), ("TtlDbtNtries", self.debits)):
                with xml.element(name):
                    xml.leaf("NbOfNtries", str(totals.entries))
                    if totals.sum <= AMOUNT_MAX:  # money that went round and round; the entries have it all
                        xml.leaf("Sum", format_som(totals.sum))


def _balance(xml: XmlWriter, kind: str, amount: int, day: date) -> None:
    with xml.element("Bal"):
        with xml.element("Tp"), xml.element("CdOrPrtry"):
            xml.leaf("Cd", kind)
        write_signed(xml, amount)
        with xml.element("Dt"):
            xml.leaf("Dt", day.isoformat())


def _copy(spool: BinaryIO, write: Callable[[bytes], int]) -> None:
    spool.seek(0)
    while chunk := spool.read(_COPY_BYTES):
        write(chunk)


def _day_ms(day: date) -> int:
    start = datetime(day.year, day.month, day.day, tzinfo=BUSINESS_ZONE)
    return int(start.timestamp()) * 1_000
