"""Receipts: what became of a transaction, and their bytes, which the outcomes tree of a block commits to.

One rule: who holds a receipt with a proof needs nobody's word. So it says all: code, place, skipped legs, the original.
"""

from typing import Final, NamedTuple

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, encode
from node.ledger.errors import Code

Skipped = tuple[int, int, int]  # operation, leg, code

_PLAIN: Final = (0, None, None, (), None)  # nearly every receipt: applied, and nothing else to say
_PLAIN_BYTES: Final = encode(_PLAIN)

_OPERATION_MAX: Final = 255
_LEG_MAX: Final = 65_535
_CODE_MAX: Final = 999
_ID_BYTES: Final = 32


class Receipt(NamedTuple):
    """``code`` 0 = applied. ``op`` and ``leg`` count from 0 and say where it failed.

    ``op`` None with a code other than 0: the envelope failed. Then the transaction was never its accounts' word (or not
    at this time), its id is not consumed, and this receipt must not replace another one of the same id.
    ``skipped``: the legs left out of pays with `partial`, as (op, leg, code).
    """

    transaction_id: bytes
    code: int
    op: int | None = None
    leg: int | None = None
    skipped: tuple[Skipped, ...] = ()
    original: bytes | None = None  # DUPLICATE_REF: the id that paid first

    @property
    def applied(self) -> bool:
        """Whether the transaction changed balances or accounts."""
        return self.code == 0

    @property
    def consumed(self) -> bool:
        """Whether this is the one result of the id, to be kept and answered for ever."""
        return self.code == 0 or self.op is not None

    @property
    def encoded(self) -> bytes:
        """The bytes that the outcomes tree commits to."""
        fields = self[1:]
        return _PLAIN_BYTES if fields == _PLAIN else encode(fields)


def encode_receipt(receipt: Receipt) -> bytes:
    """Return [code, op, leg, skipped, original]; the id stands beside it."""
    return receipt.encoded


def decode_receipt(transaction_id: bytes, data: bytes) -> Receipt:
    """Return the receipt. Raises DecodeError."""
    code, op, leg, skipped, original = as_tuple(decode(data), 5)
    return Receipt(
        transaction_id,
        _as_code(code),
        None if op is None else as_int(op, 0, _OPERATION_MAX),
        None if leg is None else as_int(leg, 0, _LEG_MAX),
        tuple(_as_skipped(item) for item in as_tuple(skipped, most=_LEG_MAX)),
        None if original is None else as_bytes(original, _ID_BYTES),
    )


def _as_skipped(value: object) -> Skipped:
    op, leg, code = as_tuple(value, 3)
    return as_int(op, 0, _OPERATION_MAX), as_int(leg, 0, _LEG_MAX), _as_code(code)


def _as_code(value: object) -> int:
    code = as_int(value, 0, _CODE_MAX)
    if code not in Code._value2member_map_:
        raise DecodeError("no such code")
    return code
