"""Money as people type and read it: som with two decimals.

One rule: an amount is exact or refused. Nothing is rounded, and a comma is refused because it means two things.
"""

import re
from typing import Final

from node.ledger.account import AMOUNT_MAX

SOM_SCALE: Final = 2
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,16})(?:\.([0-9]{1,2}))?", re.ASCII)


def parse_som(text: str) -> int:
    """Return tyiyn, 1..AMOUNT_MAX. Raises ValueError."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError("not an amount in som")
    tyiyn = int(found.group(1)) * 100 + int((found.group(2) or "").ljust(SOM_SCALE, "0"))
    if not 1 <= tyiyn <= AMOUNT_MAX:
        raise ValueError("out of range")
    return tyiyn


def format_units(units: int, scale: int = SOM_SCALE) -> str:
    """Return minor units with ``scale`` decimals, in groups of three: -1234567 -> '-12 345.67'."""
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(scale + 1, "0")
    whole, part = (digits[:-scale], digits[-scale:]) if scale else (digits, "")
    grouped = f"{int(whole):,}".replace(",", " ")
    return f"{sign}{grouped}.{part}" if part else f"{sign}{grouped}"
