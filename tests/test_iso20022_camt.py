"""Statements and notifications: valid by the official schemas, and the sums always hold."""

import tracemalloc
from datetime import date
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from node.iso20022 import camt053, camt054
from node.iso20022.camt import NOT_PROVIDED, Line, Part, Unwritable, is_uetr
from node.iso20022.camt053 import Inconsistent, Period, Statement
from node.iso20022.fields import AMOUNT_MAX
from node.iso20022.plan import Ref, payment_ref
from node.iso20022.returns import original_of, return_ref
from node.ledger.account import AccountNumber, format_account
from node.ledger.statement import Entry
from tests.iso20022_files import TREASURY, one, package_file, read, wallet

DAY = date(2026, 9, 21)
PERIOD = Period(DAY, DAY)
GENESIS = b"\7" * 32
OWN: AccountNumber = wallet(1)
UETR = Ref(bytes.fromhex("8a562c67ca164b75b0fb4e5a1ec5a95f"))


def entry(
    amount: int,
    balance: int,
    time_ms: int = PERIOD.start_ms,
    ref: bytes | None = b"INV-42",
    other: int | None = TREASURY,
    asset: int = 1,
) -> Entry:
    return Entry(time_ms, 9, b"\1" * 32, 0, None if other is None else 0, asset, other, amount, balance, ref)


def lines(*entries: Entry) -> list[Line]:
    return [Line(number, each) for number, each in enumerate(entries)]


def statement(*added: Line, period: Period = PERIOD, ended: bool = True) -> etree._Element:
    with TemporaryFile() as spool:
        made = Statement(OWN, period, spool)
        for line in added:
            made.add(line)
        out = BytesIO()
        made.write(out, GENESIS, PERIOD.end_ms, ended, "note")
    return valid("053", out.getvalue())


def notification(*added: Line) -> etree._Element:
    out = BytesIO()
    camt054.write_notification(out, OWN, added, GENESIS)
    return valid("054", out.getvalue())


@cache
def schema_of(message: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(package_file("camt053", "xsd", f"camt.{message}.001.08.xsd"))))


def valid(message: str, data: bytes) -> etree._Element:
    schema = schema_of(message)
    root = etree.fromstring(data)
    assert schema.validate(root), schema.error_log
    return root


def texts(node: etree._Element, path: str) -> list[str | None]:
    namespace = str(etree.QName(node).namespace)
    return [found.text for found in node.iterfind("/".join(f"{{{namespace}}}{name}" for name in path.split("/")))]


STATEMENT = "BkToCstmrStmt/Stmt"
ENTRY = f"{STATEMENT}/Ntry"
DETAILS = f"{ENTRY}/NtryDtls/TxDtls"


def test_opening_balance_and_entries_make_the_closing_balance() -> None:
    before = entry(500_00, 500_00, PERIOD.start_ms - 1)
    root = statement(*lines(before, entry(100_05, 600_05), entry(-250_00, 350_05), entry(7, 350_12, PERIOD.end_ms)))
    assert texts(root, f"{STATEMENT}/Bal/Tp/CdOrPrtry/Cd") == ["OPBD", "CLBD"]
    assert texts(root, f"{STATEMENT}/Bal/Amt") == ["500.00", "350.05"]
    assert texts(root, f"{ENTRY}/Amt") == ["100.05", "250.00"]
    assert texts(root, f"{ENTRY}/CdtDbtInd") == ["CRDT", "DBIT"]
    assert texts(root, f"{ENTRY}/NtryRef") == ["1", "2"]
    assert texts(root, f"{STATEMENT}/TxsSummry/TtlCdtNtries/Sum") == ["100.05"]
    assert texts(root, f"{STATEMENT}/TxsSummry/TtlNtries/NbOfNtries") == ["2"]
    assert texts(root, f"{STATEMENT}/Acct/Id/Othr/Id") == [format_account(OWN)]


def test_a_day_begins_and_ends_at_midnight_in_bishkek() -> None:
    root = statement(*lines(entry(1, 1), entry(1, 2, PERIOD.end_ms - 1), entry(1, 3, PERIOD.end_ms)))
    assert texts(root, f"{STATEMENT}/FrToDt/FrDtTm") == ["2026-09-21T00:00:00.000+06:00"]
    assert texts(root, f"{STATEMENT}/FrToDt/ToDtTm") == ["2026-09-21T23:59:59.999+06:00"]
    booked = ["2026-09-21T00:00:00.000+06:00", "2026-09-21T23:59:59.999+06:00"]
    assert texts(root, f"{ENTRY}/BookgDt/DtTm") == booked
    assert texts(root, f"{ENTRY}/ValDt/Dt") == ["2026-09-21", "2026-09-21"]


def test_a_day_without_entries_has_a_statement_too() -> None:
    root = statement(*lines(entry(5, 5, PERIOD.start_ms - 1), entry(5, 10, PERIOD.end_ms)))
    assert texts(root, f"{STATEMENT}/Bal/Amt") == ["0.05", "0.05"]
    assert texts(root, ENTRY) == []


def test_an_issuers_balance_is_a_debit_one() -> None:
    root = statement(*lines(entry(-10_00, -10_00)))
    assert texts(root, f"{STATEMENT}/Bal/Amt") == ["0.00", "10.00"]
    assert texts(root, f"{STATEMENT}/Bal/CdtDbtInd") == ["CRDT", "DBIT"]


def test_other_assets_are_no_som() -> None:
    root = statement(*lines(entry(5, 5), entry(7, 7, asset=2), entry(5, 10)))
    assert texts(root, f"{ENTRY}/NtryRef") == ["0", "2"]
    assert texts(root, f"{STATEMENT}/Bal/Amt") == ["0.00", "0.10"]


def test_a_day_that_has_not_ended_has_an_interim_balance() -> None:
    assert texts(statement(ended=False), f"{STATEMENT}/Bal/Tp/CdOrPrtry/Cd") == ["OPBD", "ITBD"]


@pytest.mark.parametrize(
    ("ref", "end_to_end", "uetr", "servicer"),
    [
        (b"INV-42", "INV-42", None, None),
        ("Эсеп № 7".encode(), "Эсеп № 7", None, None),
        (None, NOT_PROVIDED, None, None),
        (bytes(UETR), NOT_PROVIDED, "8a562c67-ca16-4b75-b0fb-4e5a1ec5a95f", UETR.hex()),
        (b"\xff\xfe\1", NOT_PROVIDED, None, "fffe01"),
        (b"  ", NOT_PROVIDED, None, "2020"),
        ("\ufffe".encode(), NOT_PROVIDED, None, "efbfbe"),  # no character of XML
        (b"<&>", "<&>", None, None),
    ],
)
def test_references_are_those_of_the_payment(
    ref: bytes | None, end_to_end: str, uetr: str | None, servicer: str | None
) -> None:
    root = statement(*lines(entry(1, 1, ref=ref)))
    assert texts(root, f"{DETAILS}/Refs/EndToEndId") == [end_to_end]
    assert texts(root, f"{DETAILS}/Refs/UETR") == ([] if uetr is None else [uetr])
    assert texts(root, f"{DETAILS}/Refs/AcctSvcrRef") == ([] if servicer is None else [servicer])


def test_a_payment_of_a_file_has_the_reference_that_its_report_gave() -> None:
    file = read(one(end_to_end_id="E1"))
    (batch,) = file.payment_informations
    ref = payment_ref(file.message_id, batch.id, batch.payments[0])
    assert is_uetr(ref)
    assert texts(statement(*lines(entry(1, 1, ref=ref))), f"{DETAILS}/Refs/AcctSvcrRef") == [ref.hex()]


def test_debtor_and_creditor_are_on_their_sides() -> None:
    root = statement(*lines(entry(5, 5), entry(-5, 0)))
    assert texts(root, f"{DETAILS}/RltdPties/DbtrAcct/Id/Othr/Id") == [format_account(TREASURY), format_account(OWN)]
    assert texts(root, f"{DETAILS}/RltdPties/CdtrAcct/Id/Othr/Id") == [format_account(OWN), format_account(TREASURY)]
    assert texts(root, f"{ENTRY}/BkTxCd/Domn/Fmly/Cd") == ["RCDT", "ICDT"]


def test_a_bulk_entry_has_its_payments_one_by_one() -> None:
    parts = (Part(wallet(2), 30, bytes(UETR)), Part(wallet(3), 70, b"E-2"))
    bulk = Line(0, entry(-100, -100, ref=None, other=None), parts)
    root = statement(bulk)
    assert texts(root, f"{ENTRY}/Amt") == ["1.00"]
    assert texts(root, f"{ENTRY}/NtryDtls/Btch/NbOfTxs") == ["2"]
    assert texts(root, f"{DETAILS}/Amt") == ["0.30", "0.70"]
    assert texts(root, f"{DETAILS}/RltdPties/CdtrAcct/Id/Othr/Id") == [
        format_account(wallet(2)),
        format_account(wallet(3)),
    ]
    assert texts(notification(bulk), "BkToCstmrDbtCdtNtfctn/Ntfctn/Ntry/NtryDtls/TxDtls/Amt") == ["0.30", "0.70"]
    assert texts(statement(Line(0, bulk.entry)), f"{ENTRY}/NtryDtls") == []


def test_a_return_says_what_it_returns() -> None:
    root = statement(*lines(entry(5, 5, ref=return_ref(UETR))))
    assert texts(root, f"{ENTRY}/BkTxCd/Domn/Fmly/SubFmlyCd") == ["RRTN"]
    assert texts(root, f"{DETAILS}/Refs/UETR") == ["8a562c67-ca16-4b75-b0fb-4e5a1ec5a95f"]
    assert texts(root, f"{DETAILS}/RtrInf/Rsn/Cd") == ["NARR"]


@given(st.binary(max_size=40))
def test_the_reference_of_a_return_leads_back_and_nothing_else_does(ref: bytes) -> None:
    found = original_of(ref)
    assert found is None or return_ref(found) == ref
    if len(ref) == 16:
        assert original_of(return_ref(Ref(ref))) == ref


def test_entries_that_do_not_follow_from_each_other_make_no_statement() -> None:
    with pytest.raises(Inconsistent):
        statement(*lines(entry(5, 5), entry(5, 11)))
    with pytest.raises(Inconsistent):
        statement(*lines(entry(5, 5), entry(5, 10, PERIOD.start_ms - 1), entry(5, 15)))


def test_more_than_iso_20022_can_write_is_refused() -> None:
    statement(*lines(entry(AMOUNT_MAX, AMOUNT_MAX)))
    with pytest.raises(Unwritable):
        statement(*lines(entry(AMOUNT_MAX + 1, AMOUNT_MAX + 1)))


@pytest.mark.parametrize(
    ("first", "last"), [(DAY, date(2026, 9, 20)), (DAY, date(2027, 9, 22)), (date(1, 1, 1), date(1, 1, 1))]
)
def test_a_period_is_one_to_366_days(first: date, last: date) -> None:
    with pytest.raises(ValueError):
        Period(first, last)


AMOUNTS = st.lists(st.integers(-(10**9), 10**9).filter(bool), max_size=12)


@given(AMOUNTS, st.lists(st.binary(max_size=35), min_size=12, max_size=12), st.integers(0, 12))
def test_any_statement_is_valid_and_adds_up(amounts: list[int], refs: list[bytes], early: int) -> None:
    found, balance = [], 0
    for index, amount in enumerate(amounts):
        balance += amount
        found.append(entry(amount, balance, PERIOD.start_ms - (index < early), refs[index] or None))
    root = statement(*lines(*found))
    amounts_told = [round(float(str(text)) * 100) for text in texts(root, f"{ENTRY}/Amt")]
    signs = [1 if text == "CRDT" else -1 for text in texts(root, f"{ENTRY}/CdtDbtInd")]
    opening, closing = (
        round(float(str(amount)) * 100) * (1 if side == "CRDT" else -1)
        for amount, side in zip(
            texts(root, f"{STATEMENT}/Bal/Amt"), texts(root, f"{STATEMENT}/Bal/CdtDbtInd"), strict=True
        )
    )
    assert opening + sum(amount * sign for amount, sign in zip(amounts_told, signs, strict=True)) == closing == balance


@pytest.mark.slow
def test_a_statement_of_many_entries_takes_no_more_memory_than_a_short_one() -> None:
    def peak(entries: int) -> int:
        with TemporaryFile() as spool, Path("/dev/null").open("wb") as out:
            tracemalloc.start()
            made = Statement(OWN, PERIOD, spool)
            for number in range(entries):
                made.add(Line(number, entry(1, number + 1)))
            made.write(out, GENESIS, PERIOD.end_ms, True, "note")
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert made.closing == entries
        return found

    few = peak(1_000)
    assert peak(10_000) < few + 64 * 1024


def test_a_notification_has_its_entries_and_is_the_same_message_every_time() -> None:
    added = lines(entry(5, 5), entry(-2, 3))
    first, again = BytesIO(), BytesIO()
    camt054.write_notification(first, OWN, added, GENESIS)
    camt054.write_notification(again, OWN, added, GENESIS)
    assert first.getvalue() == again.getvalue()
    root = notification(*added)
    assert texts(root, "BkToCstmrDbtCdtNtfctn/Ntfctn/Ntry/Amt") == ["0.05", "0.02"]
    assert texts(root, "BkToCstmrDbtCdtNtfctn/Ntfctn/ElctrncSeqNb") == ["1"]


def test_names_of_notifications_are_in_the_order_of_booking() -> None:
    names = [camt054.notification_name(OWN, [Line(number, entry(1, 1))]) for number in (9, 10, 11, 100, 12_345_678)]
    assert names == sorted(names)
    assert len(set(names)) == len(names)


def test_the_namespaces_are_those_of_the_schemas() -> None:
    for module, message in ((camt053, "053"), (camt054, "054")):
        schema = etree.parse(str(package_file("camt053", "xsd", f"camt.{message}.001.08.xsd"))).getroot()
        assert schema.get("targetNamespace") == module.NAMESPACE
