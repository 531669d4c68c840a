"""Write a customer payment status report, pain.002.001.12: what became of a file, for the bank that sent it.

One rule: a report says only what is final. ACSC is paid in a finalized block; RJCT was refused and will not be paid by
this file. RCVD is not paid and not under way, and the file may be imported again; everything else is PDNG, and a later
report settles it. The report repeats the identifiers, amounts and
accounts of the original and no names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from consensus.encoding import digest, encode
from node.iso20022.errors import FILE_CODES, FileRefused, Problem, clipped, ledger_reason
from node.iso20022.fields import CURRENCY, format_date_time, format_som, format_uetr
from node.iso20022.pain001 import PAYMENT_METHOD, Payment, PaymentFile, PaymentInformation
from node.iso20022.plan import Ref, payment_ref
from node.iso20022.resume import PENDING, Conflict, Outcome, Pending, Rejected, Settled, Unsent
from node.iso20022.shape import MESSAGE_NAME as ORIGINAL_MESSAGE_NAME
from node.iso20022.xml import DECLARATION, XmlWriter
from node.ledger.account import format_account
from node.ledger.errors import Language, text

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.12"
MESSAGE_ID_TAG: Final = b"som-iso-report-1"
LINE_CHARS_MAX: Final = 105  # Max105Text: one line of additional information
NOT_PROVIDED: Final = "NOTPROVIDED"  # the custom for a mandatory identifier that could not be read

ACSC: Final = "ACSC"  # settlement completed
PDNG: Final = "PDNG"  # pending
RCVD: Final = "RCVD"  # received, and not sent
RJCT: Final = "RJCT"  # rejected
PART: Final = "PART"  # of a group: some so, some otherwise
STATUSES: Final = (ACSC, PDNG, RCVD, RJCT)

REASON_CONFLICT: Final = "AM05"  # duplication: the reference has paid something else
_CONFLICT_TEXTS: Final[Mapping[Language, str]] = {
    "ky": "Бул шилтеме менен мурда башка төлөм жүргүзүлгөн",
    "ru": "С этим референсом ранее проведён другой платёж",
    "en": "Another payment was made under this reference before",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """How many payments have a status, and their sum in tyiyn."""

    payments: int
    total: int


def status(outcome: Outcome) -> str:
    """Return the transaction status."""
    match outcome:
        case Settled():
            return ACSC
        case Rejected() | Conflict():
            return RJCT
        case Unsent():
            return RCVD
        case Pending():
            return PDNG


def group_status(outcomes: Iterable[Outcome]) -> str:
    """Return the status of a group: that of all its payments, or PART."""
    found = {status(outcome) for outcome in outcomes}
    return found.pop() if len(found) == 1 else PART


def tally(batches: Iterable[PaymentInformation], message_id: str, outcomes: Mapping[Ref, Outcome]) -> dict[str, Tally]:
    """Return the tally of each status that occurs, in the order of STATUSES."""
    counts = dict.fromkeys(STATUSES, 0)
    totals = dict.fromkeys(STATUSES, 0)
    for batch in batches:
        for payment in batch.payments:
            name = status(_outcome(message_id, batch, payment, outcomes))
            counts[name] += 1
            totals[name] += payment.amount
    return {name: Tally(counts[name], totals[name]) for name in STATUSES if counts[name]}


def write_status(
    out: BinaryIO, file: PaymentFile, outcomes: Mapping[Ref, Outcome], created_ms: int, language: Language = "en"
) -> None:
    """Write the report of a file that was planned. A payment without an outcome is pending."""
    xml = XmlWriter(out)
    _begin(xml, digest(MESSAGE_ID_TAG, file.digest, encode(created_ms)), created_ms)
    tallies = tally(file.payment_informations, file.message_id, outcomes)
    with_all = group_status(_outcomes(file.payment_informations, file.message_id, outcomes))
    with xml.element("OrgnlGrpInfAndSts"):
        xml.leaf("OrgnlMsgId", file.message_id)
        xml.leaf("OrgnlMsgNmId", ORIGINAL_MESSAGE_NAME)
        xml.leaf("OrgnlCreDtTm", file.created)
        xml.leaf("OrgnlNbOfTxs", str(file.payments))
        xml.leaf("OrgnlCtrlSum", format_som(file.total))
        xml.leaf("GrpSts", with_all)
        _tallies(xml, tallies)
    for batch in file.payment_informations:
        _payment_information(xml, file.message_id, batch, outcomes, language)
    _end(xml)


def write_refusal(out: BinaryIO, refused: FileRefused, created_ms: int, language: Language = "en") -> None:
    """Write the report of a file that was refused as a whole: group status RJCT and every problem found."""
    original = refused.original
    message_id = original.message_id or NOT_PROVIDED
    xml = XmlWriter(out)
    problems = [tuple(problem) for problem in refused.problems]
    _begin(xml, digest(MESSAGE_ID_TAG, encode((message_id, problems, created_ms))), created_ms)
    with xml.element("OrgnlGrpInfAndSts"):
        xml.leaf("OrgnlMsgId", message_id)
        xml.leaf("OrgnlMsgNmId", ORIGINAL_MESSAGE_NAME)
        if original.created is not None:
            xml.leaf("OrgnlCreDtTm", original.created)
        if original.payments is not None:
            xml.leaf("OrgnlNbOfTxs", str(original.payments))
        xml.leaf("GrpSts", RJCT)
        for problem in refused.problems:
            _reason(xml, FILE_CODES[problem.code].reason, (_place(problem), problem.text(language)))
    _end(xml)


def _payment_information(
    xml: XmlWriter, message_id: str, batch: PaymentInformation, outcomes: Mapping[Ref, Outcome], language: Language
) -> None:
    with xml.element("OrgnlPmtInfAndSts"):
        xml.leaf("OrgnlPmtInfId", batch.id)
        xml.leaf("OrgnlNbOfTxs", str(len(batch.payments)))
        xml.leaf("OrgnlCtrlSum", format_som(batch.total))
        xml.leaf("PmtInfSts", group_status(_outcomes((batch,), message_id, outcomes)))
        _tallies(xml, tally((batch,), message_id, outcomes))
        for payment in batch.payments:
            with xml.element("TxInfAndSts"):
                ref = payment_ref(message_id, batch.id, payment)
                _payment(xml, batch, payment, ref, outcomes.get(ref, PENDING), language)


def _payment(
    xml: XmlWriter, batch: PaymentInformation, payment: Payment, ref: Ref, outcome: Outcome, language: Language
) -> None:
    if payment.instruction_id is not None:
        xml.leaf("OrgnlInstrId", payment.instruction_id)
    xml.leaf("OrgnlEndToEndId", payment.end_to_end_id)
    if payment.uetr is not None:
        xml.leaf("OrgnlUETR", format_uetr(payment.uetr))
    xml.leaf("TxSts", status(outcome))
    match outcome:
        case Rejected(code) | Unsent(code):
            _reason(xml, ledger_reason(code), (f"{int(code)} {code.name}", text(code, language)))
        case Conflict(paid):
            other = f"REF_CONFLICT {format_account(paid.creditor)} {format_som(paid.amount)} {CURRENCY}"
            _reason(xml, REASON_CONFLICT, (other, _CONFLICT_TEXTS[language]))
        case Settled() | Pending():
            pass
    xml.leaf("AcctSvcrRef", ref.hex())  # under this reference the payment stands on the chain
    with xml.element("OrgnlTxRef"):
        with xml.element("Amt"):
            xml.money("InstdAmt", payment.amount)
        with xml.element("ReqdExctnDt"):
            xml.leaf("Dt", batch.requested.isoformat())
        xml.leaf("PmtMtd", PAYMENT_METHOD)
        xml.account("DbtrAcct", batch.debtor)
        xml.account("CdtrAcct", payment.creditor)


def _tallies(xml: XmlWriter, tallies: Mapping[str, Tally]) -> None:
    for name, found in tallies.items():
        with xml.element("NbOfTxsPerSts"):
            xml.leaf("DtldNbOfTxs", str(found.payments))
            xml.leaf("DtldSts", name)
            xml.leaf("DtldCtrlSum", format_som(found.total))


def _reason(xml: XmlWriter, code: str, lines: Iterable[str]) -> None:
    with xml.element("StsRsnInf"):
        with xml.element("Rsn"):
            xml.leaf("Cd", code)
        for line in lines:
            for start in range(0, len(line), LINE_CHARS_MAX):
                xml.leaf("AddtlInf", line[start : start + LINE_CHARS_MAX])


def _place(problem: Problem) -> str:
    return clipped(f"{problem.code} line {problem.line}") + (f" {problem.path}" if problem.path else "")


def _outcome(message_id: str, batch: PaymentInformation, payment: Payment, outcomes: Mapping[Ref, Outcome]) -> Outcome:
    return outcomes.get(payment_ref(message_id, batch.id, payment), PENDING)


def _outcomes(
    batches: Iterable[PaymentInformation], message_id: str, outcomes: Mapping[Ref, Outcome]
) -> Iterable[Outcome]:
    return (_outcome(message_id, batch, payment, outcomes) for batch in batches for payment in batch.payments)


def _begin(xml: XmlWriter, message_digest: bytes, created_ms: int) -> None:
    xml.line(DECLARATION)
    xml.open("Document", f' xmlns="{NAMESPACE}"')
    xml.open("CstmrPmtStsRpt")
    with xml.element("GrpHdr"):
        xml.leaf("MsgId", message_digest[:16].hex())
        xml.leaf("CreDtTm", format_date_time(created_ms))


def _end(xml: XmlWriter) -> None:
    xml.close("CstmrPmtStsRpt")
    xml.close("Document")
