"""Money as people type and read it: som with two decimals.

One rule: an amount is exact or refused. Nothing is rounded, and a comma is refused because it means two things.
"""

import re
from typing import Final

from node.ledger.account import AMOUNT_MAX

SOM_SCALE: Final = 2
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,18})(?:\.([0-9]{1,12}))?", re.ASCII)


def parse_som(text: str) -> int:
    """Return tyiyn, 1..AMOUNT_MAX. Raises ValueError."""
    return parse_units(text, SOM_SCALE)


def parse_units(text: str, scale: int) -> int:
    """Return minor units of an asset with ``scale`` decimals, 1..AMOUNT_MAX. Raises ValueError."""
    found = _AMOUNT.fullmatch(text)
    if found is None or len(found.group(2) or "") > scale:
        raise ValueError("not an amount of this asset")
    units = int(found.group(1) + (found.group(2) or "").ljust(scale, "0"))
    if not 1 <= units <= AMOUNT_MAX:
        raise ValueError("out of range")
    return units


def format_units(units: int, scale: int = SOM_SCALE) -> str:
    """Return minor units with ``scale`` decimals, in groups of three: -1234567 -> '-12 345.67'."""
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(scale + 1, "0")
    whole, part = (digits[:-scale], digits[-scale:]) if scale else (digits, "")
    grouped = f"{int(whole):,}".replace(",", " ")
    return f"{sign}{grouped}.{part}" if part else f"{sign}{grouped}"
