"""Times and references as people read them: numeric dates, in Bishkek, because no library here knows Kyrgyz months."""

import time
from datetime import date, datetime, timedelta, timezone
from typing import Final

BISHKEK: Final = timezone(timedelta(hours=6))


def format_time(time_ms: int) -> str:
    """Return date and time in Bishkek."""
    return datetime.fromtimestamp(time_ms / 1_000, BISHKEK).strftime("%d.%m.%Y %H:%M:%S")


def business_date(time_ms: int) -> date:
    """Return the calendar day in Bishkek."""
    return datetime.fromtimestamp(time_ms / 1_000, BISHKEK).date()


def unix_ms() -> int:
    """Return this computer's clock: for words only, never for what is signed."""
    return time.time_ns() // 1_000_000


def format_ref(ref: str | None) -> str:
    """Return a reference as text if it is printable, else as hex."""
    if not ref:
        return ""
    data = bytes.fromhex(ref)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ref
    return text if text.isprintable() else ref
