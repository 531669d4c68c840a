"""Why a text is no national QR code. One rule: a code's name never changes its meaning."""

from enum import StrEnum, unique
from typing import Final, Literal, NamedTuple

Language = Literal["ky", "ru", "en"]


@unique
class QrCode(StrEnum):
    """What is wrong with a link, or with what was to become one."""

    TOO_LONG = "TOO_LONG"
    FORM = "FORM"
    EMV = "EMV"
    CHECKSUM = "CHECKSUM"
    MISSING = "MISSING"
    DUPLICATE = "DUPLICATE"
    VERSION = "VERSION"
    FIELD = "FIELD"
    CURRENCY = "CURRENCY"
    AMOUNT = "AMOUNT"


class Meaning(NamedTuple):
    """The texts of a code; {place} is the tag, {expected} what should be there."""

    ky: str
    ru: str
    en: str


TEXTS: Final[dict[QrCode, Meaning]] = {
    QrCode.TOO_LONG: Meaning(
        "Код өтө узун: эң көбү {expected} белги",
        "Код слишком длинный: не более {expected} знаков",
        "The code is too long: at most {expected} characters",
    ),
    QrCode.FORM: Meaning(
        "Бул улуттук QR-код эмес же бузулган ({place})",
        "Это не национальный QR-код, или он повреждён ({place})",
        "This is no national QR code, or a damaged one ({place})",
    ),
    QrCode.EMV: Meaning(
        "Бул башка өлкөнүн EMV QR-коду: улуттук кодго SHA-256 суммасы керек",
        "Это QR-код EMV (CRC-16), а не национальный: у того контрольная сумма SHA-256",
        "This is an EMV code (CRC-16), not a national one, whose checksum is by SHA-256",
    ),
    QrCode.CHECKSUM: Meaning(
        "Текшерүү суммасы туура келбейт: код бузулган",
        "Контрольная сумма не сходится: код повреждён",
        "The checksum does not fit: the code is damaged",
    ),
    QrCode.MISSING: Meaning("{place} талаасы жок", "Нет поля {place}", "Field {place} is missing"),
    QrCode.DUPLICATE: Meaning("{place} талаасы эки жолу", "Поле {place} повторяется", "Field {place} stands twice"),
    QrCode.VERSION: Meaning(
        "Белгисиз версия; {expected} күтүлгөн",
        "Неизвестная версия; ожидается {expected}",
        "An unknown version; expected {expected}",
    ),
    QrCode.FIELD: Meaning(
        "{place} талаасы туура эмес: {expected}",
        "Поле {place} неверно: {expected}",
        "Field {place} is not as it should be: {expected}",
    ),
    QrCode.CURRENCY: Meaning("Акча бирдиги сом (417) эмес", "Валюта не сом (417)", "The currency is not the som (417)"),
    QrCode.AMOUNT: Meaning(
        "Сумма туура эмес: тыйын менен, эң көбү 13 орун",
        "Неверная сумма: тыйыны, не более 13 цифр",
        "The amount is wrong: tyiyn, at most 13 digits",
    ),
}


class QrRefused(ValueError):
    """No national QR code. ``place`` is a tag such as 54 or 32/10; nothing of a stranger's text is repeated."""

    def __init__(self, code: QrCode, place: str = "", expected: str = "") -> None:
        super().__init__(code, place, expected)
        self.code = code
        self.place = place
        self.expected = expected

    def text(self, language: Language) -> str:
        """Return the sentence for people."""
        return str(getattr(TEXTS[self.code], language)).format(place=self.place, expected=self.expected)

    def __str__(self) -> str:
        return f"{self.code}: {self.text('en')}"
