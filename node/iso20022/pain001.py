"""Read a customer credit transfer initiation, pain.001.001.09, from a stream of bytes.

One rule: either every byte of the file was read and everything agrees, and then there is a ``PaymentFile``, or
``FileRefused`` says in codes what is wrong, and nothing else escapes. Memory grows with the payments alone.
"""

from dataclasses import dataclass
from datetime import date
from typing import BinaryIO, Final

from node.iso20022.errors import FileCode, FileRefused, Original, Problem
from node.iso20022.fields import (
    AMOUNT_MAX,
    CURRENCY,
    DECIMALS_MAX,
    business_day,
    decimals,
    format_som,
    format_uetr,
    parse_date,
    parse_date_time,
    parse_decimal,
    parse_uetr,
    to_som,
    to_tyiyn,
)
from node.iso20022.walk import PROBLEMS_MAX, Frame, Walker
from node.ledger.account import ACCOUNT_DIGITS, AccountNumber, parse_account

PAYMENT_METHOD: Final = "TRF"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost us. A payment with names and addresses takes about 1,200 bytes."""

    file_bytes: int = 128 * 2**20
    payments: int = 100_000


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Payment:
    """One credit transfer. Texts are the bank's own identifiers, at most 35 characters."""

    end_to_end_id: str
    instruction_id: str | None
    uetr: bytes | None  # 16 bytes
    creditor: AccountNumber
    amount: int  # tyiyn, 1..AMOUNT_MAX


@dataclass(frozen=True, slots=True)
class PaymentInformation:
    """A batch of payments from one account, asked for one day."""

    id: str
    debtor: AccountNumber
    requested: date
    payments: tuple[Payment, ...]

    @property
    def total(self) -> int:
        """The sum of the amounts, in tyiyn."""
        return sum(payment.amount for payment in self.payments)


@dataclass(frozen=True, slots=True)
class PaymentFile:
    """A file that was read whole and agrees with itself."""

    message_id: str
    created: str  # an ISO 8601 date and time as written, perhaps without a zone
    payment_informations: tuple[PaymentInformation, ...]
    digest: bytes  # SHA-256 over FILE_TAG and every byte of the file

    @property
    def payments(self) -> int:
        """How many payments there are."""
        return sum(len(batch.payments) for batch in self.payment_informations)

    @property
    def total(self) -> int:
        """The sum of all amounts, in tyiyn; at most AMOUNT_MAX."""
        return sum(batch.total for batch in self.payment_informations)


def read_payments(source: BinaryIO, limits: Limits = LIMITS) -> PaymentFile:
    """Return the payments of the file. Raises FileRefused; errors of ``source`` itself (OSError) pass through."""
    return _Reader(limits).read(source)


def require_due(file: PaymentFile, today: date) -> None:
    """Refuse a file that asks for a day after ``today`` (UTC+6): to pay early is not what the payer ordered."""
    problems = tuple(
        Problem(FileCode.NOT_YET_DUE, f"PmtInf[{index}]/ReqdExctnDt", 0, str(today), str(batch.requested))
        for index, batch in enumerate(file.payment_informations, 1)
        if batch.requested > today
    )
    if problems:
        original = Original(file.message_id, file.created, file.payments, format_som(file.total))
        raise FileRefused(problems[:PROBLEMS_MAX], original)


class _Reader:
    """What the groups of the message mean, as they end."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._walker = Walker(self._start, self._end)
        self._header: Frame | None = None
        self._batches: list[PaymentInformation] = []
        self._payments: list[Payment] = []  # of the open payment information
        self._counted = 0  # payments seen in the file, good or not
        self._counted_before = 0  # of them, before the open payment information
        self._good = 0  # of them, those of which every field is good
        self._total = 0  # tyiyn, of the good ones
        self._information_ids: set[str] = set()
        self._end_to_end_ids: set[str] = set()
        self._uetrs: set[bytes] = set()

    def read(self, source: BinaryIO) -> PaymentFile:
        digest = self._walker.walk(source, self._limits.file_bytes)
        self._check_group()
        original = self._walker.original
        if self._walker.problems:
            raise FileRefused(tuple(self._walker.problems), original)
        assert original.message_id is not None
        assert original.created is not None
        return PaymentFile(original.message_id, original.created, tuple(self._batches), digest)

    def _start(self, name: str) -> None:
        if name == "CdtTrfTxInf":
            self._counted += 1
            self._require_payments(self._counted)

    def _end(self, frame: Frame) -> bool:
        match frame.name:
            case "GrpHdr":
                self._group_header(frame)
            case "CdtTrfTxInf":
                self._payment(frame)
            case "PmtInf":
                self._payment_information(frame)
            case _:
                return False
        return True

    def _require_payments(self, count: int) -> None:
        if count > self._limits.payments:
            self._walker.refuse(FileCode.TOO_MANY_PAYMENTS, expected=str(self._limits.payments))

    # The three parts of the message

    def _group_header(self, frame: Frame) -> None:
        self._header = frame
        count = self._count(frame)
        control_sum = self._control_sum(frame)
        created = frame.value("CreDtTm")
        if created is not None and parse_date_time(created.strip()) is None:
            self._problem(FileCode.FIELD_FORM, frame, "CreDtTm", "YYYY-MM-DDThh:mm:ss", created)
            created = None
        message_id = self._identifier(frame, "MsgId")
        self._walker.original = Original(message_id, created and created.strip(), count, control_sum)
        if count is not None:
            self._require_payments(count)

    def _payment(self, frame: Frame) -> None:
        end_to_end_id = self._identifier(frame, "PmtId", "EndToEndId")
        instruction_id = self._identifier(frame, "PmtId", "InstrId")
        uetr = self._uetr(frame)
        amount = self._amount(frame)
        creditor = self._account(frame, "CdtrAcct")
        self._unique(FileCode.DUPLICATE_END_TO_END, self._end_to_end_ids, end_to_end_id, frame, "PmtId/EndToEndId")
        if end_to_end_id is not None and amount is not None and creditor is not None:
            self._total += amount
            self._good += 1
            self._payments.append(Payment(end_to_end_id, instruction_id, uetr, creditor, amount))

    def _payment_information(self, frame: Frame) -> None:
        id_ = self._identifier(frame, "PmtInfId")
        self._unique(FileCode.DUPLICATE_INFORMATION, self._information_ids, id_, frame, "PmtInfId")
        method = frame.value("PmtMtd")
        if method is not None and method.strip() != PAYMENT_METHOD:
            self._problem(FileCode.PAYMENT_METHOD, frame, "PmtMtd", PAYMENT_METHOD, method)
        requested = self._requested(frame)
        debtor = self._account(frame, "DbtrAcct")
        declared, control_sum = self._count(frame), self._control_sum(frame)
        counted = self._counted - self._counted_before
        self._counted_before = self._counted
        if declared is not None and declared != counted:
            self._problem(FileCode.INFORMATION_COUNT, frame, "NbOfTxs", str(declared), str(counted))
        total = sum(payment.amount for payment in self._payments)
        if control_sum is not None and len(self._payments) == counted and parse_decimal(control_sum) != to_som(total):
            self._problem(FileCode.INFORMATION_SUM, frame, "CtrlSum", control_sum, format_som(total))
        if id_ is not None and debtor is not None and requested is not None:
            self._batches.append(PaymentInformation(id_, debtor, requested, tuple(self._payments)))
        self._payments = []

    def _check_group(self) -> None:
        header, original, total = self._header, self._walker.original, format_som(self._total)
        if header is None:
            return  # told as missing
        if original.payments is not None and original.payments != self._counted:
            self._problem(FileCode.GROUP_COUNT, header, "NbOfTxs", str(original.payments), str(self._counted))
        if self._good != self._counted:
            return  # with a payment missing, the sum says nothing
        if original.control_sum is not None and parse_decimal(original.control_sum) != to_som(self._total):
            self._problem(FileCode.GROUP_SUM, header, "CtrlSum", original.control_sum, total)
        elif self._total > AMOUNT_MAX:
            self._problem(FileCode.AMOUNT_TOO_LARGE, header, "CtrlSum", format_som(AMOUNT_MAX), total)

    # Fields

    def _identifier(self, frame: Frame, *path: str) -> str | None:
        """Blanks at the ends and control characters would make two identifiers that look like one."""
        text = frame.value(*path)
        if text is not None and (text != text.strip() or not text.isprintable()):
            self._problem(FileCode.FIELD_FORM, frame, "/".join(path), "Max35Text", text)
            return None
        return text

    def _uetr(self, frame: Frame) -> bytes | None:
        text = frame.value("PmtId", "UETR")
        if text is None:
            return None
        uetr = parse_uetr(text.strip())
        if uetr is None:
            self._problem(FileCode.UETR_FORM, frame, "PmtId/UETR", actual=text)
        elif uetr in self._uetrs:
            self._problem(FileCode.DUPLICATE_UETR, frame, "PmtId/UETR", actual=format_uetr(uetr))
        else:
            self._uetrs.add(uetr)
        return uetr

    def _unique(self, code: FileCode, seen: set[str], id_: str | None, frame: Frame, path: str) -> None:
        if id_ is None:
            return
        if id_ in seen:
            self._problem(code, frame, path, actual=id_)
        seen.add(id_)

    def _count(self, frame: Frame) -> int | None:
        text = frame.value("NbOfTxs")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()):
            self._problem(FileCode.FIELD_FORM, frame, "NbOfTxs", "Max15NumericText", text)
            return None
        return int(text)

    def _control_sum(self, frame: Frame) -> str | None:
        text = frame.value("CtrlSum")
        if text is None:
            return None
        if parse_decimal(text.strip()) is None:
            self._problem(FileCode.FIELD_FORM, frame, "CtrlSum", "DecimalNumber", text)
            return None
        return text.strip()

    def _requested(self, frame: Frame) -> date | None:
        day, moment = frame.value("ReqdExctnDt", "Dt"), frame.value("ReqdExctnDt", "DtTm")
        if day is not None:
            requested = parse_date(day.strip())
        elif moment is not None:
            parsed = parse_date_time(moment.strip())
            requested = parsed and business_day(parsed)
        else:
            return None
        if requested is None:
            self._problem(FileCode.FIELD_FORM, frame, "ReqdExctnDt", "YYYY-MM-DD", day or moment or "")
        return requested

    def _currency(self, frame: Frame, path: str, text: str) -> bool:
        if text.strip() == CURRENCY:
            return True
        self._problem(FileCode.CURRENCY, frame, path, CURRENCY, text)
        return False

    def _amount(self, frame: Frame) -> int | None:
        path = "Amt/InstdAmt"
        text = frame.value("Amt", "InstdAmt")
        if text is None:
            if frame.value("Amt", "EqvtAmt") is not None:
                self._problem(FileCode.CURRENCY, frame, "Amt", CURRENCY, "EqvtAmt")
            return None
        if not self._currency(frame, path, frame.value("Amt", "InstdAmt@Ccy") or ""):
            return None
        text = text.strip()
        som = parse_decimal(text)
        if som is None:
            self._problem(FileCode.AMOUNT_FORM, frame, path, actual=text)
        elif som < 0:
            self._problem(FileCode.AMOUNT_NEGATIVE, frame, path, actual=text)
        elif decimals(text) > DECIMALS_MAX:
            self._problem(FileCode.DECIMALS, frame, path, actual=text)
        elif som == 0:
            self._problem(FileCode.AMOUNT_ZERO, frame, path)
        elif to_tyiyn(som) > AMOUNT_MAX:
            self._problem(FileCode.AMOUNT_TOO_LARGE, frame, path, format_som(AMOUNT_MAX), text)
        else:
            return to_tyiyn(som)
        return None

    def _account(self, frame: Frame, path: str) -> AccountNumber | None:
        currency = frame.value(path, "Ccy")
        if currency is not None:
            self._currency(frame, f"{path}/Ccy", currency)
        iban = frame.value(path, "Id", "IBAN")
        if iban is not None:
            self._problem(FileCode.ACCOUNT_IBAN, frame, f"{path}/Id/IBAN", actual=iban)
            return None
        text = (frame.value(path, "Id", "Othr", "Id") or "").strip()
        place = f"{path}/Id/Othr/Id"
        if not text:
            self._problem(FileCode.ACCOUNT_MISSING, frame, path)
        elif len(text) != ACCOUNT_DIGITS or not (text.isascii() and text.isdigit()):
            self._problem(FileCode.ACCOUNT_FORM, frame, place, actual=text)
        else:
            try:
                return parse_account(text)
            except ValueError:
                self._problem(FileCode.ACCOUNT_CHECK_DIGITS, frame, place, actual=text)
        return None

    def _problem(self, code: FileCode, frame: Frame, below: str, expected: str = "", actual: str = "") -> None:
        self._walker.problem(code, frame, below, expected, actual)
