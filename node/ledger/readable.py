"""Text on the ledger that people read and compare: names, subjects, numbers of orders.

One rule: what cannot be seen is not in it. The list of that is ours, because what Python calls printable changes with
its version, and all nodes must decide alike.
"""

from typing import Final

from consensus.encoding import DecodeError, as_str

SUBJECT_CHARS_MAX: Final = 64
SUBJECT_BYTES_MAX: Final = 128  # in UTF-8: it stands in keys of the state tree, whose length is a u8

# Controls, odd spaces, surrogates, what is invisible or turns the direction of a line.
_UNSEEN: Final = (
    (0x00, 0x1F), (0x7F, 0xA0), (0xAD, 0xAD), (0x61C, 0x61C), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x200F),
    (0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000), (0xD800, 0xF8FF), (0xFEFF, 0xFEFF), (0xFFF0, 0xFFFB),
    (0xFFFE, 0xFFFF), (0xE0000, 0xE00FF), (0xE01F0, 0x10FFFF),
)  # fmt: skip


def as_readable(value: object, most: int) -> str:
    """Return ``value`` if it is a str of 1 to ``most`` characters that can be seen. Raises DecodeError."""
    text = as_str(value, most)
    if not text or any(low <= ord(char) <= high for char in text for low, high in _UNSEEN):
        raise DecodeError("expected text that can be read")
    return text


def as_subject(value: object) -> str:
    """Return what an attestation is about, or names: a text of both bounds. Raises DecodeError."""
    subject = as_readable(value, SUBJECT_CHARS_MAX)
    if len(subject.encode()) > SUBJECT_BYTES_MAX:
        raise DecodeError(f"expected {SUBJECT_BYTES_MAX} bytes of UTF-8 at the most")
    return subject
