"""Why a bank file is refused, and how the ledger's refusals are told to a bank.

One rule: a code's name never changes its meaning; the ISO reasons are members of the external code set
``ExternalStatusReason1Code``. A refused file has paid nothing.
"""

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final, NamedTuple

from node.ledger.errors import Code, Language

ARGUMENT_CHARS_MAX: Final = 80  # what a stranger's file may put into our log and our answer
REASON_NARRATIVE: Final = "NARR"  # the reason is in the additional information


@unique
class FileCode(StrEnum):
    """What is wrong with a file."""

    # The bytes
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    ENCODING = "ENCODING"
    DTD = "DTD"
    NOT_WELL_FORMED = "NOT_WELL_FORMED"
    # The message
    WRONG_MESSAGE = "WRONG_MESSAGE"
    UNEXPECTED_ELEMENT = "UNEXPECTED_ELEMENT"
    MISSING_ELEMENT = "MISSING_ELEMENT"
    FIELD_TOO_LONG = "FIELD_TOO_LONG"
    FIELD_FORM = "FIELD_FORM"
    TOO_MANY_PAYMENTS = "TOO_MANY_PAYMENTS"
    # Counts and sums
    GROUP_COUNT = "GROUP_COUNT"
    GROUP_SUM = "GROUP_SUM"
    INFORMATION_COUNT = "INFORMATION_COUNT"
    INFORMATION_SUM = "INFORMATION_SUM"
    # One payment
    PAYMENT_METHOD = "PAYMENT_METHOD"
    CURRENCY = "CURRENCY"
    DECIMALS = "DECIMALS"
    AMOUNT_FORM = "AMOUNT_FORM"
    AMOUNT_ZERO = "AMOUNT_ZERO"
    AMOUNT_NEGATIVE = "AMOUNT_NEGATIVE"
    AMOUNT_TOO_LARGE = "AMOUNT_TOO_LARGE"
    ACCOUNT_MISSING = "ACCOUNT_MISSING"
    ACCOUNT_IBAN = "ACCOUNT_IBAN"
    ACCOUNT_FORM = "ACCOUNT_FORM"
    ACCOUNT_CHECK_DIGITS = "ACCOUNT_CHECK_DIGITS"
    UETR_FORM = "UETR_FORM"
    # The payments together
    DUPLICATE_INFORMATION = "DUPLICATE_INFORMATION"
    DUPLICATE_END_TO_END = "DUPLICATE_END_TO_END"
    DUPLICATE_UETR = "DUPLICATE_UETR"
    # The calendar
    NOT_YET_DUE = "NOT_YET_DUE"


class Problem(NamedTuple):
    """One thing that is wrong: its place in the file and what the text speaks of."""

    code: FileCode
    path: str  # such as PmtInf[1]/CdtTrfTxInf[7]/Amt/InstdAmt, below CstmrCdtTrfInitn; "" = the file
    line: int  # of the file, from 1; 0 = no line
    expected: str = ""
    actual: str = ""

    def text(self, language: Language) -> str:
        """Return the sentence for people, without the place."""
        meaning = FILE_CODES[self.code]
        return meaning.text(language).format(expected=self.expected, actual=self.actual)


class Original(NamedTuple):
    """What the group header of a refused file said of itself, as far as it was read."""

    message_id: str | None = None
    created: str | None = None  # an ISO 8601 date and time as written
    payments: int | None = None
    control_sum: str | None = None


class FileRefused(Exception):
    """The file may not be paid. ``problems`` has at least one; ``code``, ``path`` and ``line`` are the first one's."""

    def __init__(self, problems: tuple[Problem, ...], original: Original = Original()) -> None:  # noqa: B008
        assert problems
        super().__init__(problems, original)
        self.problems = problems
        self.original = original
        self.code = problems[0].code
        self.path = problems[0].path
        self.line = problems[0].line

    def __str__(self) -> str:
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"{first.code} at line {first.line}, {first.path or 'file'}: {first.text('en')}{more}"


class Meaning(NamedTuple):
    """A code's ISO reason and its texts; {expected} and {actual} are the problem's."""

    reason: str
    ky: str
    ru: str
    en: str

    def text(self, language: Language) -> str:
        match language:
            case "ky":
                return self.ky
            case "ru":
                return self.ru
            case "en":
                return self.en


def clipped(text: str) -> str:
    """Return text from a stranger, on one line and short enough to be shown."""
    line = "".join(character if character.isprintable() else "?" for character in text[: ARGUMENT_CHARS_MAX + 1])
    return line if len(line) <= ARGUMENT_CHARS_MAX else line[: ARGUMENT_CHARS_MAX - 1] + "…"


FILE_CODES: Final[Mapping[FileCode, Meaning]] = {
    FileCode.FILE_TOO_LARGE: Meaning(
        "FF01",
        "Файл өтө чоң: эң көбү {expected} байт",
        "Файл слишком большой: не более {expected} байт",
        "The file is too large: at most {expected} bytes",
    ),
    FileCode.ENCODING: Meaning(
        "RR10",
        "Файлдын коддоосу UTF-8 болушу керек, ал эми мында {actual}",
        "Кодировка файла должна быть UTF-8, а здесь {actual}",
        "The file must be encoded in UTF-8, but this is {actual}",
    ),
    FileCode.DTD: Meaning(
        "FF01",
        "Файлда DTD же объект (entity) бар: андай файлдар кабыл алынбайт",
        "В файле есть DTD или сущность (entity): такие файлы не принимаются",
        "The file has a DTD or an entity: such files are not accepted",
    ),
    FileCode.NOT_WELL_FORMED: Meaning(
        "FF02",
        "Файл туура түзүлгөн XML эмес: {actual}",
        "Файл не является правильным XML: {actual}",
        "The file is not well-formed XML: {actual}",
    ),
    FileCode.WRONG_MESSAGE: Meaning(
        "FF01",
        "{expected} билдирүүсү күтүлгөн, ал эми мында {actual}",
        "Ожидалось сообщение {expected}, а здесь {actual}",
        "Expected the message {expected}, but this is {actual}",
    ),
    FileCode.UNEXPECTED_ELEMENT: Meaning(
        "CH17",
        "Бул жерде {actual} болбошу керек",
        "Здесь не должно быть {actual}",
        "There must be no {actual} here",
    ),
    FileCode.MISSING_ELEMENT: Meaning(
        "CH21",
        "Милдеттүү {expected} элементи жок",
        "Нет обязательного элемента {expected}",
        "The mandatory element {expected} is missing",
    ),
    FileCode.FIELD_TOO_LONG: Meaning(
        "CH16",
        "Талаа өтө узун: эң көбү {expected} белги",
        "Поле слишком длинное: не более {expected} знаков",
        "The field is too long: at most {expected} characters",
    ),
    FileCode.FIELD_FORM: Meaning(
        "CH16",
        "Талаанын мааниси туура эмес: {expected} күтүлгөн, ал эми мында {actual}",
        "Неверное значение поля: ожидалось {expected}, а здесь {actual}",
        "The field's value is wrong: expected {expected}, but this is {actual}",
    ),
    FileCode.TOO_MANY_PAYMENTS: Meaning(
        "FF01",
        "Файлда төлөмдөр өтө көп: эң көбү {expected}",
        "В файле слишком много платежей: не более {expected}",
        "The file has too many payments: at most {expected}",
    ),
    FileCode.GROUP_COUNT: Meaning(
        "AM19",
        "Файлдын төлөмдөрүнүн саны {expected} деп жазылган, ал эми чыныгысы {actual}",
        "Заявленное число платежей файла {expected}, а на деле {actual}",
        "The file states {expected} payments, but it has {actual}",
    ),
    FileCode.GROUP_SUM: Meaning(
        "AM16",
        "Файлдын контролдук суммасы {expected}, ал эми төлөмдөрдүн суммасы {actual}",
        "Контрольная сумма файла {expected}, а сумма платежей {actual}",
        "The file's control sum is {expected}, but the payments add up to {actual}",
    ),
    FileCode.INFORMATION_COUNT: Meaning(
        "AM20",
        "Топтомдун төлөмдөрүнүн саны {expected} деп жазылган, ал эми чыныгысы {actual}",
        "Заявленное число платежей пакета {expected}, а на деле {actual}",
        "The batch states {expected} payments, but it has {actual}",
    ),
    FileCode.INFORMATION_SUM: Meaning(
        "AM17",
        "Топтомдун контролдук суммасы {expected}, ал эми төлөмдөрдүн суммасы {actual}",
        "Контрольная сумма пакета {expected}, а сумма платежей {actual}",
        "The batch's control sum is {expected}, but the payments add up to {actual}",
    ),
    FileCode.PAYMENT_METHOD: Meaning(
        "FF03",
        "Төлөм ыкмасы {expected} болушу керек, ал эми мында {actual}",
        "Способ платежа должен быть {expected}, а здесь {actual}",
        "The payment method must be {expected}, but this is {actual}",
    ),
    FileCode.CURRENCY: Meaning(
        "AM03",
        "Валюта {expected} болушу керек, ал эми мында {actual}",
        "Валюта должна быть {expected}, а здесь {actual}",
        "The currency must be {expected}, but this is {actual}",
    ),
    FileCode.DECIMALS: Meaning(
        "CH20",
        "Суммада үтүрдөн кийин экиден көп сан бар: {actual}",
        "В сумме больше двух знаков после запятой: {actual}",
        "The amount has more than two decimals: {actual}",
    ),
    FileCode.AMOUNT_FORM: Meaning(
        "AM12", "Бул сумма эмес: {actual}", "Это не сумма: {actual}", "This is not an amount: {actual}"
    ),
    FileCode.AMOUNT_ZERO: Meaning("AM01", "Сумма нөлгө барабар", "Сумма равна нулю", "The amount is zero"),
    FileCode.AMOUNT_NEGATIVE: Meaning(
        "AM12", "Сумма терс: {actual}", "Сумма отрицательная: {actual}", "The amount is negative: {actual}"
    ),
    FileCode.AMOUNT_TOO_LARGE: Meaning(
        "AM02",
        "Сумма өтө чоң: {actual}, эң көбү {expected}",
        "Сумма слишком большая: {actual}, не более {expected}",
        "The amount is too large: {actual}, at most {expected}",
    ),
    FileCode.ACCOUNT_MISSING: Meaning(
        "AC01", "Эсептин номери жок", "Номер счёта отсутствует", "The account number is missing"
    ),
    FileCode.ACCOUNT_IBAN: Meaning(
        "AC01",
        "IBAN кабыл алынбайт ({actual}): санарип сомдун эсебинин 16 саны Othr/Id ичинде берилет",
        "IBAN не принимается ({actual}): 16 цифр счёта цифрового сома указываются в Othr/Id",
        "An IBAN is not accepted ({actual}): the 16 digits of a digital som account go into Othr/Id",
    ),
    FileCode.ACCOUNT_FORM: Meaning(
        "AC01",
        "Эсептин номери 16 сандан турат, ал эми мында {actual}",
        "Номер счёта состоит из 16 цифр, а здесь {actual}",
        "An account number has 16 digits, but this is {actual}",
    ),
    FileCode.ACCOUNT_CHECK_DIGITS: Meaning(
        "AC01",
        "Эсептин текшерүү сандары туура эмес: {actual}",
        "Неверные контрольные цифры счёта: {actual}",
        "The account's check digits are wrong: {actual}",
    ),
    FileCode.UETR_FORM: Meaning(
        "CH16",
        "UETR туура эмес: кичине тамгалар менен жазылган UUID 4-версиясы күтүлгөн, ал эми мында {actual}",
        "Неверный UETR: ожидался UUID версии 4 строчными буквами, а здесь {actual}",
        "The UETR is wrong: expected a version 4 UUID in lower case, but this is {actual}",
    ),
    FileCode.DUPLICATE_INFORMATION: Meaning(
        "DU02",
        "PmtInfId файлда экинчи жолу кездешет: {actual}",
        "PmtInfId встречается в файле повторно: {actual}",
        "The PmtInfId occurs twice in the file: {actual}",
    ),
    FileCode.DUPLICATE_END_TO_END: Meaning(
        "DU04",
        "EndToEndId файлда экинчи жолу кездешет: {actual}",
        "EndToEndId встречается в файле повторно: {actual}",
        "The EndToEndId occurs twice in the file: {actual}",
    ),
    FileCode.DUPLICATE_UETR: Meaning(
        "DU03",
        "UETR файлда экинчи жолу кездешет: {actual}",
        "UETR встречается в файле повторно: {actual}",
        "The UETR occurs twice in the file: {actual}",
    ),
    FileCode.NOT_YET_DUE: Meaning(
        "DT04",
        "Төлөө күнү {actual}, ал эми бүгүн {expected}",
        "Дата исполнения {actual}, а сегодня {expected}",
        "The requested execution date is {actual}, but today is {expected}",
    ),
}

# What a bank is told when the ledger refuses a payment. The ledger's own code and text follow in AddtlInf, so a code
# without an ISO counterpart is told as narrative.
LEDGER_REASONS: Final[Mapping[Code, str]] = {
    Code.MALFORMED: "FF10",
    Code.NETWORK: "DS28",
    Code.SIGNATURE: "DS0B",
    Code.NOT_SIGNED: "DS0A",
    Code.EXPIRED: "AB03",
    Code.EXPIRY_TOO_FAR: "FF10",
    Code.DUPLICATE: "DUPL",
    Code.OPS: "FF10",
    Code.LEGS: "FF10",
    Code.TOO_LARGE: "FF10",
    Code.QUOTA: "ED06",
    Code.DUPLICATE_REF: "AM05",
    Code.NO_ACCOUNT: "AC01",
    Code.KEYS: "DS0H",
    Code.ROLE: "AG01",
    Code.PAYER_BLOCKED: "AC06",
    Code.PAYEE_BLOCKED: "AC06",
    Code.RECOVERING: "AC06",
    Code.SAME_ACCOUNT: "AG12",
    Code.AMOUNT: "AM12",
    Code.INSUFFICIENT: "AM04",
    Code.LIMIT_TX: "AM14",
    Code.LIMIT_DAY: "AM14",
    Code.LIMIT_BALANCE: "AM21",
    Code.NO_ASSET: "AM11",
    Code.ASSET_SUSPENDED: "RR04",
    Code.ASSET_REVOKED: "RR04",
    Code.MINT_PAYEE: "AG03",
    Code.REDEEM_PAYER: "AG03",
    Code.MAX_SUPPLY: "AM13",
    Code.UNBACKED: "AM13",
    Code.RESERVE_FLOOR: "AM23",
    Code.UNDER_ORDER: "AM07",
}


def ledger_reason(code: Code) -> str:
    """Return the ISO status reason for a refusal by the ledger."""
    assert code is not Code.APPLIED, "not a refusal"
    return LEDGER_REASONS.get(code, REASON_NARRATIVE)
