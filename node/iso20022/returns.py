"""Payments that are paid back: the reference of a return names the payment that it returns.

One rule: a return is a payment of its own, from the payee of old to the payer of old, and the reference is all that
ties the two together. It is the original's 16 bytes behind a mark, so both statements can say what came back.
"""

from typing import Final

from node.iso20022.plan import REF_BYTES, Ref

RETURN_MARK: Final = b"RTN:"


def return_ref(original: Ref) -> bytes:
    """Return the reference under which a payment is paid back. There is one: under ``once`` it is paid back once."""
    return RETURN_MARK + original


def original_of(ref: bytes) -> Ref | None:
    """Return the reference of the payment that this one returns; None if it returns none."""
    if len(ref) != len(RETURN_MARK) + REF_BYTES or not ref.startswith(RETURN_MARK):
        return None
    return Ref(ref[len(RETURN_MARK) :])
