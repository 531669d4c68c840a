"""A national QR code: the link that is drawn, and what it says.

One rule: the checksum comes first. It is the last four hex digits of SHA-256 over all other fields, as they were
received, in their order; nothing of a link is believed before it fits.
"""

from binascii import crc_hqx
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from node.qr.errors import QrCode, QrRefused
from node.qr.tlv import Field, format_field, is_plain, parse_fields

LINK_CHARS_MAX: Final = 2_048  # a QR code of bytes has room for 2,331 at level M
BASE_URL: Final = "https://pay.payqr.kg/"  # opens the payer's own app, whichever it is
VERSION: Final = "01"
CURRENCY: Final = "417"  # the som, by ISO 4217's number
AMOUNT_DIGITS_MAX: Final = 13  # tyiyn
NAME_CHARS_MAX: Final = 25
PART_CHARS_MAX: Final = 32
CHECKSUM_CHARS: Final = 4

_VERSION, _KIND, _ACCOUNT, _MERCHANT, _COMMENT = "00", "01", "32", "33", "34"
_CATEGORY, _CURRENCY, _AMOUNT, _NAME, _CHECKSUM = "52", "53", "54", "59", "63"
_PROVIDER, _SERVICE, _PAYEE, _TRANSACTION, _AMOUNT_EDITABLE, _PAYEE_EDITABLE = "00", "01", "10", "11", "12", "13"
_KNOWN: Final = (_VERSION, _KIND, _ACCOUNT, _MERCHANT, _COMMENT, _CATEGORY, _CURRENCY, _AMOUNT, _NAME, _CHECKSUM)
_YES, _NO = "11", "12"


class Kind(Enum):
    """STATIC is printed once and paid by many; DYNAMIC is made for one payment."""

    STATIC = "11"
    DYNAMIC = "12"


@dataclass(frozen=True, slots=True)
class Link:
    """What a code says. Texts are the provider's own; ``amount`` is in tyiyn, None if the payer names it."""

    kind: Kind
    provider: str
    name: str
    category: str  # four digits, ISO 18245
    service: str | None = None
    payee: str | None = None  # the provider's own number for it, of whatever form
    transaction_id: str | None = None
    amount_editable: bool = True
    payee_editable: bool = True
    merchant: str | None = None
    merchant_service: str | None = None
    comment: str | None = None
    amount: int | None = None
    others: tuple[Field, ...] = ()  # fields that are not read, in their order


def format_link(link: Link, base_url: str = BASE_URL) -> str:
    """Return the link as it is drawn. Raises QrRefused."""
    body = "".join(format_field(tag, value) for tag, value in _fields(link))
    text = f"{base_url}#{quote(body + format_field(_CHECKSUM, checksum(body)), safe=_SAFE)}"
    # What we draw, everybody can read: us too.
    if parse_link(text) != link:
        raise QrRefused(QrCode.FORM, "#")
    return text


def parse_link(text: str) -> Link:
    """Return what a link, or its part after ``#``, says. Raises QrRefused."""
    if len(text) > LINK_CHARS_MAX:
        raise QrRefused(QrCode.TOO_LONG, expected=str(LINK_CHARS_MAX))
    payload = _decoded(text.strip().rpartition("#")[2])
    fields = parse_fields(payload)
    _require_checksum(fields)
    root = _once(fields, "")
    _require_version(root)
    template = _once(parse_fields(_needed(root, _ACCOUNT), _ACCOUNT), f"{_ACCOUNT}/")
    merchant = _once(parse_fields(root.get(_MERCHANT, ""), _MERCHANT), f"{_MERCHANT}/")
    return Link(
        kind=_kind(_needed(root, _KIND)),
        provider=_text(_needed(template, _PROVIDER, _ACCOUNT), "32/00", PART_CHARS_MAX),
        name=_text(_needed(root, _NAME), _NAME, NAME_CHARS_MAX),
        category=_digits(_needed(root, _CATEGORY), _CATEGORY, 4),
        service=_optional(template, _SERVICE, "32/01"),
        payee=_optional(template, _PAYEE, "32/10"),
        transaction_id=_optional(template, _TRANSACTION, "32/11"),
        amount_editable=_flag(template, _AMOUNT_EDITABLE),
        payee_editable=_flag(template, _PAYEE_EDITABLE),
        merchant=_optional(merchant, _PROVIDER, "33/00"),
        merchant_service=_optional(merchant, _SERVICE, "33/01"),
        comment=_optional(root, _COMMENT, _COMMENT),
        amount=_amount(root),
        others=tuple((tag, value) for tag, value in fields if tag not in _KNOWN),
    )


def checksum(body: str) -> str:
    """Return the four digits over the other fields, as text in UTF-8."""
    return sha256(body.encode()).hexdigest()[-CHECKSUM_CHARS:]


_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"#%<>[\\]^`{|}')


def _decoded(fragment: str) -> str:
    """Return the payload of a URL's fragment: per cent signs stand for bytes of UTF-8."""
    try:
        payload = unquote_to_bytes(fragment).decode() if "%" in fragment else fragment
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise QrRefused(QrCode.FORM, "%") from None
    if not payload or not is_plain(payload):
        raise QrRefused(QrCode.FORM, "#")
    return payload


def _require_checksum(fields: tuple[Field, ...]) -> None:
    told = [value for tag, value in fields if tag == _CHECKSUM]
    if not told:
        raise QrRefused(QrCode.MISSING, _CHECKSUM)
    if len(told) > 1:
        raise QrRefused(QrCode.DUPLICATE, _CHECKSUM)
    body = "".join(f"{tag}{len(value):02d}{value}" for tag, value in fields if tag != _CHECKSUM)
    if told[0].lower() != checksum(body):
        emv = f"{crc_hqx(f'{body}{_CHECKSUM}{CHECKSUM_CHARS:02d}'.encode(), 0xFFFF):04x}"
        raise QrRefused(QrCode.EMV if told[0].lower() == emv else QrCode.CHECKSUM, _CHECKSUM)


def _once(fields: tuple[Field, ...], above: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag, value in fields:
        if tag in found and (above or tag in _KNOWN):
            raise QrRefused(QrCode.DUPLICATE, f"{above}{tag}")
        found[tag] = value
    return found


def _require_version(root: dict[str, str]) -> None:
    if _needed(root, _VERSION) != VERSION:
        raise QrRefused(QrCode.VERSION, _VERSION, VERSION)
    if _needed(root, _CURRENCY) != CURRENCY:
        raise QrRefused(QrCode.CURRENCY, _CURRENCY)


def _needed(fields: dict[str, str], tag: str, above: str = "") -> str:
    value = fields.get(tag)
    if value is None:
        raise QrRefused(QrCode.MISSING, f"{above}/{tag}" if above else tag)
    return value


def _text(value: str, place: str, most: int) -> str:
    if not 1 <= len(value) <= most:
        raise QrRefused(QrCode.FIELD, place, f"1..{most}")
    return value


def _optional(fields: dict[str, str], tag: str, place: str) -> str | None:
    return _text(fields[tag], place, PART_CHARS_MAX) if fields.get(tag) else None  # an empty one is none


def _digits(value: str, place: str, count: int) -> str:
    if len(value) != count or not (value.isascii() and value.isdigit()):
        raise QrRefused(QrCode.FIELD, place, "0" * count)
    return value


def _kind(value: str) -> Kind:
    try:
        return Kind(value)
    except ValueError:
        raise QrRefused(QrCode.FIELD, _KIND, f"{_YES}, {_NO}") from None


def _flag(template: dict[str, str], tag: str) -> bool:
    value = template.get(tag, _YES)  # what is not forbidden may be changed
    if value not in (_YES, _NO):
        raise QrRefused(QrCode.FIELD, f"{_ACCOUNT}/{tag}", f"{_YES}, {_NO}")
    return value == _YES


def _amount(root: dict[str, str]) -> int | None:
    """Some static codes have an amount of 0, which is none."""
    value = root.get(_AMOUNT)
    if value is None:
        return None
    if not 1 <= len(value) <= AMOUNT_DIGITS_MAX or not (value.isascii() and value.isdigit()):
        raise QrRefused(QrCode.AMOUNT, _AMOUNT)
    return int(value) or None


def _fields(link: Link) -> list[Field]:
    if link.amount is not None and not 1 <= link.amount < 10**AMOUNT_DIGITS_MAX:
        raise QrRefused(QrCode.AMOUNT, _AMOUNT)
    if any(tag in _KNOWN or len(tag) != 2 or not (tag.isascii() and tag.isdigit()) for tag, _ in link.others):
        raise QrRefused(QrCode.FIELD, "others")
    template = _joined(
        _ACCOUNT,
        (_PROVIDER, link.provider),
        (_SERVICE, link.service),
        (_PAYEE, link.payee),
        (_TRANSACTION, link.transaction_id),
        (_AMOUNT_EDITABLE, _YES if link.amount_editable else _NO),
        (_PAYEE_EDITABLE, _YES if link.payee_editable else _NO),
    )
    merchant = _joined(_MERCHANT, (_PROVIDER, link.merchant), (_SERVICE, link.merchant_service))
    found: list[tuple[str, str | None]] = [
        (_VERSION, VERSION),
        (_KIND, link.kind.value),
        (_ACCOUNT, template),
        (_MERCHANT, merchant or None),
        (_COMMENT, link.comment),
        (_CATEGORY, link.category),
        (_CURRENCY, CURRENCY),
        (_AMOUNT, None if link.amount is None else str(link.amount)),
        (_NAME, link.name),
        *link.others,
    ]
    return [(tag, value) for tag, value in found if value is not None]


def _joined(above: str, *parts: tuple[str, str | None]) -> str:
    return "".join(format_field(tag, value, f"{above}/{tag}") for tag, value in parts if value is not None)
