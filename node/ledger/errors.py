"""Every reason for which the ledger refuses, with a stable number and a text in Kyrgyz, Russian and English.

One rule: a number never changes its meaning and is never used again. The ledger knows only the number; texts are for
faces (docs/ledger.md, section 8).
"""

from enum import IntEnum, unique
from typing import Final, Literal, NamedTuple

Language = Literal["ky", "ru", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ky", "ru", "en")


@unique
class Code(IntEnum):
    """The result of a transaction: 0 applied, else the first digit names the family."""

    APPLIED = 0
    # 1xx: the envelope
    MALFORMED = 101
    NETWORK = 102
    SIGNATURE = 103
    NOT_SIGNED = 104
    EXPIRED = 105
    EXPIRY_TOO_FAR = 106
    DUPLICATE = 107
    OPS = 108
    LEGS = 109
    TOO_LARGE = 110
    QUOTA = 111
    DUPLICATE_REF = 112
    # 2xx: accounts
    NO_ACCOUNT = 201
    EXISTS = 202
    KEYS = 203
    ROLE = 204
    PAYER_BLOCKED = 205
    PAYEE_BLOCKED = 206
    RECOVERING = 207
    PENDING = 208
    TOO_EARLY = 209
    NOT_EMPTY = 210
    SAME_ACCOUNT = 211
    FIELD = 212
    NO_RECOVERY = 213
    # 3xx: money
    AMOUNT = 301
    INSUFFICIENT = 302
    LIMIT_TX = 303
    LIMIT_DAY = 304
    LIMIT_BALANCE = 305
    ALL_LEGS_FAILED = 306
    # 4xx: assets
    NO_ASSET = 401
    ASSET_SUSPENDED = 402
    ASSET_REVOKED = 403
    STATUS = 404
    MINT_PAYEE = 405
    REDEEM_PAYER = 406
    MAX_SUPPLY = 407
    UNBACKED = 408
    RESERVE_FLOOR = 409
    ISSUER_TAKEN = 410
    ASSET_EXISTS = 411
    RESERVE_TAKEN = 412
    # 5xx: holds
    NO_HOLD = 501
    OPEN_HOLD = 502
    ISSUER_HOLD = 503
    UNTIL = 504
    HOLD_EXPIRED = 505
    EXCEEDS_HOLD = 506
    SECRET = 507
    PAYEE = 508
    PURPOSE = 509
    NEEDS_ATTESTATION = 510
    UNDER_ORDER = 511
    # 6xx: public acts
    ATTEST = 601
    NO_ATTESTATION = 602
    SECOND_APPROVAL = 603
    BASIS = 604
    NO_ORDER = 605
    IMMUNE = 606
    KEY = 607
    COMMITTEE = 608
    NOT_AWAITED = 609
    CHECKPOINT = 610
    NOT_READY = 611
    STALE = 612
    ORDER_EXISTS = 613
    ATTESTATION_OLD = 614


class Refused(Exception):
    """What was asked may not be done. ``op`` and ``leg`` count from 0; ``original`` is the id of an earlier payment."""

    def __init__(
        self,
        code: Code,
        op: int | None = None,
        leg: int | None = None,
        original: bytes | None = None,
        skipped: tuple[tuple[int, int, int], ...] = (),
    ) -> None:
        super().__init__(code, op, leg)
        self.code = code
        self.op = op
        self.leg = leg
        self.original = original
        self.skipped = skipped

    def __str__(self) -> str:
        place = "" if self.op is None else f" in operation {self.op}"
        place += "" if self.leg is None else f", leg {self.leg}"
        return f"{self.code.name}{place}: {text(self.code, 'en')}"


class InvariantViolation(AssertionError):
    """The ledger itself is wrong: the node stops, nothing is repaired."""


class Texts(NamedTuple):
    ky: str
    ru: str
    en: str


def text(code: Code, language: Language) -> str:
    """Return the sentence for people."""
    texts = TEXTS[code]
    match language:
        case "ky":
            return texts.ky
        case "ru":
            return texts.ru
        case "en":
            return texts.en


TEXTS: Final[dict[Code, Texts]] = {
    Code.APPLIED: Texts("Аткарылды", "Исполнено", "Applied"),
    Code.MALFORMED: Texts(
        "Транзакциянын түзүлүшү туура эмес", "Неверная структура транзакции", "The transaction is not well formed"
    ),
    Code.NETWORK: Texts(
        "Транзакция башка тармак үчүн түзүлгөн",
        "Транзакция предназначена для другой сети",
        "The transaction is for another network",
    ),
    Code.SIGNATURE: Texts("Кол тамга туура эмес", "Подпись недействительна", "A signature is not valid"),
    Code.NOT_SIGNED: Texts(
        "Эсептин талап кылынган кол тамгалары жетишсиз",
        "Не хватает требуемых подписей счёта",
        "An account's required signatures are missing",
    ),
    Code.EXPIRED: Texts(
        "Транзакциянын мөөнөтү өтүп кеткен", "Срок действия транзакции истёк", "The transaction has expired"
    ),
    Code.EXPIRY_TOO_FAR: Texts(
        "Транзакциянын мөөнөтү өтө алыс коюлган",
        "Срок действия транзакции слишком далёкий",
        "The transaction's expiry is too far ahead",
    ),
    Code.DUPLICATE: Texts(
        "Бул транзакция мурда кабыл алынган", "Эта транзакция уже была принята", "The transaction was taken before"
    ),
    Code.OPS: Texts(
        "Операциялардын саны уруксат берилгенден башка",
        "Недопустимое число операций",
        "The number of operations is not allowed",
    ),
    Code.LEGS: Texts(
        "Төлөмдөрдүн саны же ирети туура эмес",
        "Недопустимое число или порядок платежей",
        "The number or the order of the legs is not allowed",
    ),
    Code.TOO_LARGE: Texts("Транзакция өтө чоң", "Транзакция слишком большая", "The transaction is too large"),
    Code.QUOTA: Texts(
        "Кезектеги транзакциялардын чеги толду",
        "Превышена квота транзакций в очереди",
        "The quota of waiting transactions is used up",
    ),
    Code.DUPLICATE_REF: Texts(
        "Мындай шилтеме менен төлөм мурда жүргүзүлгөн",
        "Платёж с таким референсом уже проведён",
        "A payment with this reference was made before",
    ),
    Code.NO_ACCOUNT: Texts("Мындай эсеп жок", "Такого счёта нет", "There is no such account"),
    Code.EXISTS: Texts(
        "Мындай номердеги эсеп бар", "Счёт с таким номером уже есть", "An account with this number exists"
    ),
    Code.KEYS: Texts(
        "Ачкычтар, салмактар же босого туура эмес",
        "Неверные ключи, веса или порог",
        "The keys, weights or threshold are not allowed",
    ),
    Code.ROLE: Texts(
        "Бул эсептин мындай аракетке укугу жок",
        "У счёта нет права на это действие",
        "The account's role does not allow this",
    ),
    Code.PAYER_BLOCKED: Texts(
        "Төлөөчүнүн эсебинен чыгым жабык", "Списание со счёта плательщика закрыто", "The payer's account may not pay"
    ),
    Code.PAYEE_BLOCKED: Texts(
        "Алуучунун эсебине кирим жабык",
        "Зачисление на счёт получателя закрыто",
        "The payee's account may not receive",
    ),
    Code.RECOVERING: Texts(
        "Эсеп калыбына келтирилүүдө", "Счёт находится в восстановлении", "The account is being recovered"
    ),
    Code.PENDING: Texts("Калыбына келтирүү мурда башталган", "Восстановление уже начато", "A recovery is already open"),
    Code.TOO_EARLY: Texts("Мөөнөтү келе элек", "Срок ещё не наступил", "It is too early for this"),
    Code.NOT_EMPTY: Texts(
        "Эсепте каражат же милдеттенме бар",
        "На счёте есть средства или обязательства",
        "The account still has money or obligations",
    ),
    Code.SAME_ACCOUNT: Texts(
        "Төлөөчү менен алуучу бир эсеп", "Плательщик и получатель — один счёт", "Payer and payee are the same account"
    ),
    Code.FIELD: Texts("Талаанын мааниси туура эмес", "Недопустимое значение поля", "A field's value is not allowed"),
    Code.NO_RECOVERY: Texts(
        "Эсепти калыбына келтирүү башталган эмес",
        "Восстановление счёта не начато",
        "No recovery of the account is open",
    ),
    Code.AMOUNT: Texts("Сумма туура эмес", "Недопустимая сумма", "The amount is not allowed"),
    Code.INSUFFICIENT: Texts("Каражат жетишсиз", "Недостаточно средств", "There is not enough money"),
    Code.LIMIT_TX: Texts(
        "Бир транзакциянын чегинен ашат", "Превышен лимит одной транзакции", "Over the limit for one transaction"
    ),
    Code.LIMIT_DAY: Texts("Күндүк чектен ашат", "Превышен дневной лимит", "Over the limit for one day"),
    Code.LIMIT_BALANCE: Texts(
        "Алуучунун калдыгы чектен ашат",
        "Превышен предельный остаток получателя",
        "Over the limit of the payee's balance",
    ),
    Code.ALL_LEGS_FAILED: Texts(
        "Бир да төлөм өткөн жок", "Ни один платёж не прошёл", "None of the payments could be made"
    ),
    Code.NO_ASSET: Texts("Мындай актив жок", "Такого актива нет", "There is no such asset"),
    Code.ASSET_SUSPENDED: Texts(
        "Активдин жүгүртүүсү токтотулган", "Обращение актива приостановлено", "The asset is suspended"
    ),
    Code.ASSET_REVOKED: Texts("Актив каттоодон чыгарылган", "Регистрация актива отозвана", "The asset is revoked"),
    Code.STATUS: Texts(
        "Активдин абалын мындай өзгөртүүгө болбойт",
        "Такая смена статуса актива недопустима",
        "The asset's status may not change like this",
    ),
    Code.MINT_PAYEE: Texts(
        "Эмиссия мындай алуучуга берилбейт",
        "Такой получатель не может принять эмиссию",
        "The asset may not be issued to this payee",
    ),
    Code.REDEEM_PAYER: Texts(
        "Мындай төлөөчү активди кайтара албайт",
        "Такой плательщик не может погасить актив",
        "This payer may not redeem the asset",
    ),
    Code.MAX_SUPPLY: Texts(
        "Эң көп эмиссиядан ашат", "Превышен предельный объём эмиссии", "Over the asset's maximum supply"
    ),
    Code.UNBACKED: Texts("Эмиссиянын камсыздоосу жетишсиз", "Эмиссия не обеспечена", "The issue is not backed"),
    Code.RESERVE_FLOOR: Texts(
        "Резерв камсыздоо чегинен төмөн түшөт",
        "Резерв опустится ниже обеспечения",
        "The reserve would fall below what it backs",
    ),
    Code.ISSUER_TAKEN: Texts(
        "Эмитенттин эсеби башка активге бекитилген",
        "Счёт эмитента уже закреплён за активом",
        "The issuer account already has an asset",
    ),
    Code.ASSET_EXISTS: Texts(
        "Мындай номердеги же коддогу актив бар",
        "Актив с таким номером или кодом уже есть",
        "An asset with this number or code exists",
    ),
    Code.RESERVE_TAKEN: Texts(
        "Резерв эсеби башка активди камсыздайт",
        "Счёт резерва уже обеспечивает другой актив",
        "The reserve account already backs another asset",
    ),
    Code.NO_HOLD: Texts("Мындай кармалган сумма жок", "Такого удержания нет", "There is no such hold"),
    Code.OPEN_HOLD: Texts("Ачык кармалган сумма бар", "Есть открытое удержание", "There is an open hold in the way"),
    Code.ISSUER_HOLD: Texts(
        "Эмитенттин эсебинде сумма кармалбайт",
        "На счёте эмитента удержание невозможно",
        "An issuer's account cannot hold",
    ),
    Code.UNTIL: Texts(
        "Кармоонун мөөнөтү туура эмес", "Недопустимый срок удержания", "The hold's end time is not allowed"
    ),
    Code.HOLD_EXPIRED: Texts("Кармоонун мөөнөтү бүткөн", "Срок удержания истёк", "The hold has expired"),
    Code.EXCEEDS_HOLD: Texts("Кармалган суммадан ашат", "Превышает удержанную сумму", "More than the hold has left"),
    Code.SECRET: Texts("Сыр дал келбейт", "Секрет не подходит", "The secret does not fit"),
    Code.PAYEE: Texts(
        "Бул алуучуга кармоодон төлөнбөйт",
        "Этому получателю платить из удержания нельзя",
        "The hold may not pay this payee",
    ),
    Code.PURPOSE: Texts(
        "Төлөм максатка ылайык эмес",
        "Платёж не соответствует назначению",
        "The payment does not fit the hold's purpose",
    ),
    Code.NEEDS_ATTESTATION: Texts(
        "Талап кылынган ырастоо жок", "Нет требуемого подтверждения", "A required attestation is missing"
    ),
    Code.UNDER_ORDER: Texts(
        "Сумма чечим боюнча камакта", "Сумма арестована по постановлению", "The money is under an order"
    ),
    Code.ATTEST: Texts(
        "Ырастоонун мазмуну туура эмес", "Недопустимое содержание подтверждения", "The attestation is not allowed"
    ),
    Code.NO_ATTESTATION: Texts("Мындай ырастоо жок", "Такого подтверждения нет", "There is no such attestation"),
    Code.SECOND_APPROVAL: Texts(
        "Экинчи органдын макулдугу керек",
        "Нужно согласие второго органа",
        "A second authority must approve",
    ),
    Code.BASIS: Texts("Негиздеме көрсөтүлгөн эмес", "Не указано основание", "The legal basis is missing"),
    Code.NO_ORDER: Texts("Мындай чечим жок", "Такого постановления нет", "There is no such order"),
    Code.IMMUNE: Texts(
        "Бул эсепке чечим колдонулбайт", "К этому счёту постановление неприменимо", "The account is immune to orders"
    ),
    Code.KEY: Texts("Мындай параметр жок", "Такого параметра нет", "There is no such parameter"),
    Code.COMMITTEE: Texts(
        "Валидаторлордун мындай курамы коопсуз эмес",
        "Такой состав валидаторов небезопасен",
        "These validators would not make a safe committee",
    ),
    Code.NOT_AWAITED: Texts(
        "Бул валидатордон жаңы ачкычтар күтүлбөйт",
        "От этого валидатора не ждут новых ключей",
        "No new keys of this validator are awaited",
    ),
    Code.CHECKPOINT: Texts(
        "Көрсөтүлгөн бийиктик же анын абалы туура эмес",
        "Указана неверная высота или состояние на ней",
        "The height is no recent checkpoint, or its root is another",
    ),
    Code.NOT_READY: Texts(
        "Валидатордун даярдыгы далилденген жок",
        "Готовность валидатора не доказана",
        "The validator's readiness is not proven",
    ),
    Code.STALE: Texts(
        "Бул маани окулгандан бери өзгөрдү, аны кайра карап чыгыңыз",
        "Это значение изменилось после того, как его прочли, посмотрите его снова",
        "This value has changed since it was read, look at it again",
    ),
    Code.ORDER_EXISTS: Texts(
        "Мындай номердеги чечим бар", "Постановление с таким номером уже есть", "An order with this number exists"
    ),
    Code.ATTESTATION_OLD: Texts(
        "Ырастоонун мөөнөтү өтүп кеткен", "Подтверждение устарело", "The attestation is out of date"
    ),
}
