"""Terms: the spans of a chain between two decrees, and how an epoch's number says in which of them it lies.

    epoch = term * 10**12 + index     it covers the heights above index * length, up to (index + 1) * length

One rule: no epoch of one term has the number of an epoch of another, so no vote counts on both sides of a decree. A
chain begins in term 0; a decree (node/decree.py) begins the next one, at its base. R62
"""

from typing import Final

TERM_EPOCHS: Final = 10**12  # more than a chain ever has, and a number that people and JavaScript can read
TERMS_MAX: Final = 1_000  # of a chain: JavaScript's integers are exact below 2**53


def first_epoch(term: int) -> int:
    """Return the number from which the epochs of a term go up."""
    return term * TERM_EPOCHS


def term_of(epoch: int) -> int:
    """Return the term of an epoch."""
    return epoch // TERM_EPOCHS


def begin_height(epoch: int, length: int) -> int:
    """Return the height that an epoch's heights lie above; a decree may have it begin later."""
    return epoch % TERM_EPOCHS * length


def end_height(epoch: int, length: int) -> int:
    """Return the last height of an epoch; a decree may end it earlier."""
    return begin_height(epoch, length) + length


def epoch_above(height: int, length: int, term: int) -> int:
    """Return the epoch, in a term, of the block above ``height``."""
    return first_epoch(term) + height // length
