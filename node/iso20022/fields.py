"""The written forms of single fields: amounts, times, identifiers.

One rule: money is an integer of tyiyn; the decimal point exists only in the text. A form that XML Schema or the som
does not know is None here, and the reader says where it stood.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

CURRENCY: Final = "KGS"
TYIYN_PER_SOM: Final = 100
DECIMALS_MAX: Final = 2
AMOUNT_MAX: Final = 10**18 - 1  # tyiyn: ISO 20022 writes amounts and sums with 18 digits; the ledger could hold more
ZONE_OFFSET_MAX: Final = timedelta(hours=14)  # of xs:dateTime
# Bishkek has had no daylight saving time since 2005: the day is fixed at UTC+6, as it is for the ledger.
BUSINESS_ZONE: Final = timezone(timedelta(hours=6))

_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
_TIME_ZONE: Final = r"(?:Z|[+-][0-9]{2}:[0-9]{2})?"
_DATE: Final = re.compile(f"({_DAY}){_TIME_ZONE}")
_DATE_TIME: Final = re.compile(f"{_DAY}T{_TIME}{_TIME_ZONE}")
_UETR: Final = re.compile(r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}")


def parse_decimal(text: str) -> Decimal | None:
    """Return an ``xs:decimal``: ASCII digits, no exponent, no NaN, which Decimal alone would take."""
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def decimals(text: str) -> int:
    """Return the number of digits after the point, zeros too, of an ``xs:decimal``."""
    return len(text.partition(".")[2])


def to_tyiyn(som: Decimal) -> int:
    """Return whole tyiyn. The caller has checked that there are at most two decimals."""
    numerator, denominator = som.as_integer_ratio()
    tyiyn, rest = divmod(numerator * TYIYN_PER_SOM, denominator)
    assert rest == 0
    return tyiyn


def to_som(tyiyn: int) -> Decimal:
    """Return the exact value in som, with two decimals, whatever the decimal context says."""
    sign, digits = (1, str(-tyiyn)) if tyiyn < 0 else (0, str(tyiyn))
    return Decimal((sign, tuple(map(int, digits)), -DECIMALS_MAX))


def format_som(tyiyn: int) -> str:
    """Return som with a point and two decimals: 600000 is ``6000.00``."""
    assert tyiyn >= 0
    return f"{tyiyn // TYIYN_PER_SOM}.{tyiyn % TYIYN_PER_SOM:02d}"


def parse_date(text: str) -> date | None:
    """Return the day of an ``xs:date``; its time zone, if any, does not move it."""
    match = _DATE.fullmatch(text)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def parse_date_time(text: str) -> datetime | None:
    """Return an ``xs:dateTime``, with a time zone or without."""
    try:
        moment = datetime.fromisoformat(text) if _DATE_TIME.fullmatch(text) else None
    except ValueError:
        return None
    offset = moment.utcoffset() if moment else None
    return None if offset is not None and abs(offset) > ZONE_OFFSET_MAX else moment


def business_day(moment: datetime) -> date | None:
    """Return the UTC+6 calendar day; a time without a zone is taken as local."""
    if moment.tzinfo is None:
        return moment.date()
    try:
        return moment.astimezone(BUSINESS_ZONE).date()
    except OverflowError:  # the last evening of year 9999
        return None


def moment_of(time_ms: int) -> datetime:
    """Return milliseconds since 1970 as a time in UTC+6."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC) + timedelta(milliseconds=time_ms % 1000)
    return moment.astimezone(BUSINESS_ZONE)


def format_date_time(time_ms: int) -> str:
    """Return milliseconds since 1970 as an ``xs:dateTime`` in UTC+6."""
    return moment_of(time_ms).isoformat(timespec="milliseconds")


def parse_uetr(text: str) -> bytes | None:
    """Return the 16 bytes of a version 4 UUID in lower case, the only form that ISO 20022 allows."""
    return bytes.fromhex(text.replace("-", "")) if _UETR.fullmatch(text) else None


def format_uetr(uetr: bytes) -> str:
    """Return the UUID of 16 bytes in lower case."""
    text = uetr.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
