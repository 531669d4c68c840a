"""What statements (camt.053) and notifications (camt.054) share: an entry of an account, as ISO 20022 writes it.

One rule: an entry says what the ledger booked and nothing more: accounts, amount, time, references. No names, no
remittance text: the chain has none.

A pay of several legs is one entry of its payer. Where its payments are known, they stand in it one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.iso20022.fields import AMOUNT_MAX, CURRENCY, business_day, format_date_time, format_uetr, moment_of
from node.iso20022.plan import REF_BYTES, Ref
from node.iso20022.returns import original_of
from node.iso20022.xml import XmlWriter
from node.ledger.account import AccountNumber, format_account
from node.ledger.statement import Entry

CREDIT: Final = "CRDT"
DEBIT: Final = "DBIT"
BOOKED: Final = "BOOK"
DOMAIN: Final = "PMNT"
RECEIVED: Final = "RCDT"  # received credit transfers
ISSUED: Final = "ICDT"  # issued credit transfers
DOMESTIC: Final = "DMCT"  # a domestic credit transfer
RETURN: Final = "RRTN"  # a payment that is paid back
REASON_NARRATIVE: Final = "NARR"
NOT_PROVIDED: Final = "NOTPROVIDED"
ENTRY_DEPTH: Final = 3  # Document / message / statement


class Unwritable(Exception):
    """ISO 20022 has 18 digits for an amount; this one has more."""


@dataclass(frozen=True, slots=True)
class Part:
    """One payment of a bulk entry."""

    creditor: int
    amount: int  # tyiyn
    ref: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """An entry with its number in the account's statement, and the payments that a bulk entry is the sum of."""

    number: int
    entry: Entry
    parts: tuple[Part, ...] = ()


def write_entry(xml: XmlWriter, account: AccountNumber, line: Line) -> None:
    """Write one ``Ntry``. Raises Unwritable."""
    entry = line.entry
    day = business_day(moment_of(entry.time_ms))
    assert day is not None, "a block's time is no evening of the year 9999"
    with xml.element("Ntry"):
        xml.leaf("NtryRef", str(line.number))
        write_signed(xml, entry.amount)
        with xml.element("Sts"):
            xml.leaf("Cd", BOOKED)
        with xml.element("BookgDt"):
            xml.leaf("DtTm", format_date_time(entry.time_ms))
        with xml.element("ValDt"):
            xml.leaf("Dt", day.isoformat())
        _code(xml, entry.amount, entry.ref)
        parts = line.parts or _single(account, entry)
        if parts:
            with xml.element("NtryDtls"):
                if line.parts:
                    _batch(xml, line.parts)
                for part in parts:
                    _payment(xml, account, entry, part)
        xml.leaf(
            "AddtlNtryInf",
            f"tx {entry.transaction_id.hex()} op {entry.op} leg {'-' if entry.leg is None else entry.leg} "
            f"height {entry.height}",
        )


def write_signed(xml: XmlWriter, amount: int) -> None:
    """Write an amount and on which side it is. Raises Unwritable."""
    xml.money("Amt", written(abs(amount)))
    xml.leaf("CdtDbtInd", side(amount))


def side(amount: int) -> str:
    """Return the indicator of an amount."""
    return DEBIT if amount < 0 else CREDIT


def written(amount: int) -> int:
    """Return the amount. Raises Unwritable if it has more digits than the message."""
    if amount > AMOUNT_MAX:
        raise Unwritable(f"{amount} tyiyn: ISO 20022 writes {AMOUNT_MAX} at the most")
    return amount


def write_account(xml: XmlWriter, account: AccountNumber) -> None:
    """Write whose statement it is, and in which money."""
    with xml.element("Acct"):
        with xml.element("Id"), xml.element("Othr"):
            xml.leaf("Id", format_account(account))
        xml.leaf("Ccy", CURRENCY)


def _single(account: AccountNumber, entry: Entry) -> Sequence[Part]:
    """An entry with another side is one payment; one without is a bulk whose parts are not known here."""
    if entry.counterparty is None:
        return ()
    creditor = entry.counterparty if entry.amount < 0 else account
    return (Part(creditor, abs(entry.amount), entry.ref or b""),)


def _code(xml: XmlWriter, amount: int, ref: bytes | None) -> None:
    with xml.element("BkTxCd"), xml.element("Domn"):
        xml.leaf("Cd", DOMAIN)
        with xml.element("Fmly"):
            xml.leaf("Cd", ISSUED if amount < 0 else RECEIVED)
            xml.leaf("SubFmlyCd", DOMESTIC if ref is None or original_of(ref) is None else RETURN)


def _batch(xml: XmlWriter, parts: Sequence[Part]) -> None:
    with xml.element("Btch"):
        xml.leaf("NbOfTxs", str(len(parts)))
        xml.money("TtlAmt", written(sum(part.amount for part in parts)))
        xml.leaf("CdtDbtInd", DEBIT)


def _payment(xml: XmlWriter, account: AccountNumber, entry: Entry, part: Part) -> None:
    original = original_of(part.ref)
    debtor = account if entry.amount < 0 else entry.counterparty
    with xml.element("TxDtls"):
        _references(xml, part.ref if original is None else original)
        xml.money("Amt", written(part.amount))
        xml.leaf("CdtDbtInd", side(entry.amount))
        with xml.element("RltdPties"):
            if debtor is not None:
                xml.account("DbtrAcct", debtor)
            xml.account("CdtrAcct", part.creditor)
        if original is not None:
            with xml.element("RtrInf"):
                with xml.element("Rsn"):
                    xml.leaf("Cd", REASON_NARRATIVE)
                xml.leaf("AddtlInf", f"returns the payment {format_uetr(original)}")


def _references(xml: XmlWriter, ref: bytes) -> None:
    """A bank file's payment has a UETR, or what travels as one; other references are the payer's own text."""
    text = None if is_uetr(ref) else _text(ref)
    with xml.element("Refs"):
        if text is None and ref:
            xml.leaf("AcctSvcrRef", ref.hex()[:32])
        xml.leaf("EndToEndId", text or NOT_PROVIDED)
        if is_uetr(ref):
            xml.leaf("UETR", format_uetr(Ref(ref)))


def is_uetr(ref: bytes) -> bool:
    """Return whether these are the bytes of a version 4 UUID."""
    return len(ref) == REF_BYTES and ref[6] >> 4 == 4 and ref[8] >> 6 == 2


def _text(ref: bytes) -> str | None:
    try:
        text = ref.decode()
    except UnicodeDecodeError:
        return None
    return text if text.strip() and text.isprintable() else None
