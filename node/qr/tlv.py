"""Fields of a QR payload: two digits of tag, two of length, and so many characters.

One rule: lengths count characters, not bytes, and a text is its fields to the last character or nothing. Characters
outside the basic plane are refused: some count them once, some twice.
"""

from typing import Final

from node.qr.errors import QrCode, QrRefused

VALUE_CHARS_MAX: Final = 99  # two digits of length
HEAD_CHARS: Final = 4
_PLANE: Final = "\uffff"

Field = tuple[str, str]  # tag, value


def parse_fields(text: str, place: str = "") -> tuple[Field, ...]:
    """Return the fields in the order of the text. Raises QrRefused (FORM)."""
    fields: list[Field] = []
    at = 0
    while at < len(text):
        head = text[at : at + HEAD_CHARS]
        if len(head) < HEAD_CHARS or not (head.isascii() and head.isdigit()):
            raise QrRefused(QrCode.FORM, place or head_place(fields))
        end = at + HEAD_CHARS + int(head[2:])
        if end > len(text):
            raise QrRefused(QrCode.FORM, f"{place}/{head[:2]}" if place else head[:2])
        fields.append((head[:2], text[at + HEAD_CHARS : end]))
        at = end
    return tuple(fields)


def head_place(fields: list[Field]) -> str:
    """Say where a text stopped being fields."""
    return f"{fields[-1][0]}+" if fields else "0"


def format_field(tag: str, value: str, place: str = "") -> str:
    """Return a field as text. Raises QrRefused (FIELD) if it does not fit."""
    if not 1 <= len(value) <= VALUE_CHARS_MAX or not is_plain(value):
        raise QrRefused(QrCode.FIELD, place or tag, f"1..{VALUE_CHARS_MAX}")
    return f"{tag}{len(value):02d}{value}"


def is_plain(text: str) -> bool:
    """Return whether every character is one that all count alike and that can be seen."""
    return text.isprintable() and all(character <= _PLANE for character in text)
