"""What the central bank can tune without a new release: windows, tiers, who may open which accounts.

One rule: parameters are state. Every node reads them from the state of the height that it executes.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from consensus.encoding import DecodeError, as_int, as_tuple, decode, digest, encode
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, KIND_MAX, TIER_MAX, Kind, kinds_mask
from node.ledger.assets import KINDS_MASK_MAX, as_schema
from node.ledger.versions import NEWEST, VERSION_MAX

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
WINDOW_MAX_MS: Final = 7 * DAY_MS  # bounds `seen`
DAY_OFFSET_MAX_MS: Final = 14 * HOUR_MS  # UTC+14 is the easternmost time zone
TIERS_MAX: Final = 32
RECOVERY_DELAY_MIN_MS: Final = SECOND_MS  # no shield: a network for money sets a day, one for teaching seconds
RECOVERY_DELAY_MAX_MS: Final = 30 * DAY_MS
HOLD_MAX_MS: Final = 10 * 366 * DAY_MS
SCHEMAS_MAX: Final = 32
ATTESTERS_MAX: Final = 64  # accounts of one schema: ten universities, some inspectors
RECORD_TAG: Final = b"som-parameter-1"


class Tier(NamedTuple):
    """What a wallet of a limited kind may do in som, in tyiyn."""

    number: int
    out_per_transaction: int
    out_per_day: int
    balance_max: int


class Opener(NamedTuple):
    """Accounts of ``kind`` may open accounts of the ``kinds`` (bit set)."""

    kind: int
    kinds: int


class Attesters(NamedTuple):
    """The ``accounts``, ascending, whose word counts under ``schema``."""

    schema: str
    accounts: tuple[int, ...]


class Parameters(NamedTuple):
    """All parameters. Tables ascend by their first column."""

    window_person_ms: int
    window_institution_ms: int
    day_offset_ms: int
    tiers: tuple[Tier, ...]
    openers: tuple[Opener, ...]
    attesters: tuple[Attesters, ...]
    recovery_delay_ms: int  # between a bank's word that a key is lost and its new keys
    hold_max_ms: int  # how far ahead the end of a hold may lie
    protocol_version: int  # demanded of the next epoch; blocks say which one is in force (versions.py)

    def window_ms(self, kind: int) -> int:
        """Return how far ahead a transaction of this kind of account may expire; its `once` refs live as long.

        A device has as long as an institution: what it signs offline is settled when its payee is online again.
        """
        return self.window_person_ms if _SOON >> kind & 1 else self.window_institution_ms

    def day(self, time_ms: int) -> int:
        """Return the calendar day of a block time."""
        return (time_ms + self.day_offset_ms) // DAY_MS

    def tier(self, number: int) -> Tier | None:
        """Return the tier's row."""
        for tier in self.tiers:
            if tier.number == number:
                return tier
        return None

    def may_open(self, opener: int, kind: int) -> bool:
        """Return whether an account of kind ``opener`` may open one of ``kind``."""
        return any(row.kind == opener and row.kinds >> kind & 1 for row in self.openers)

    def attesters_of(self, schema: str) -> tuple[int, ...] | None:
        """Return the accounts whose word counts, or None for an unknown schema."""
        for row in self.attesters:
            if row.schema == schema:
                return row.accounts
        return None


_ALL_KINDS: Final = kinds_mask(Kind)
_SOON: Final = kinds_mask((Kind.MERCHANT, Kind.PERSON))
_WALLETS: Final = kinds_mask((Kind.MERCHANT, Kind.PERSON, Kind.DEVICE))

# Our own first figures for the pilot, not the law's.
DEFAULT: Final = Parameters(
    window_person_ms=10 * MINUTE_MS,
    window_institution_ms=72 * HOUR_MS,
    day_offset_ms=6 * HOUR_MS,  # Bishkek
    tiers=(
        Tier(1, 1_500_000, 3_000_000, 10_000_000),
        Tier(2, 10_000_000, 30_000_000, 100_000_000),
        Tier(3, 100_000_000, 300_000_000, 1_000_000_000),
    ),
    openers=(Opener(Kind.CENTRAL_BANK, _ALL_KINDS), Opener(Kind.BANK, _WALLETS)),
    attesters=(),  # a genesis names them
    recovery_delay_ms=DAY_MS,
    hold_max_ms=366 * DAY_MS,
    protocol_version=NEWEST,
)


def encode_parameters(parameters: Parameters) -> dict[str, bytes]:
    """Return each parameter's record by name."""
    return {name: encode(getattr(parameters, name)) for name in Parameters._fields}


def decode_parameters(records: Mapping[str, bytes]) -> Parameters:
    """Return the parameters of a full set of records. Raises DecodeError."""
    if set(records) != set(Parameters._fields):
        raise DecodeError("not the known parameters")
    return Parameters(**{name: READERS[name](decode(records[name])) for name in Parameters._fields})  # type: ignore[arg-type]


def record_hash(record: bytes) -> bytes:
    """Return the 32 bytes by which a change names the record, of a parameter or the roster, that it is based on."""
    return digest(RECORD_TAG, record)


def _as_window(value: object) -> int:
    return as_int(value, MINUTE_MS, WINDOW_MAX_MS)


def _as_day_offset(value: object) -> int:
    return as_int(value, -DAY_OFFSET_MAX_MS, DAY_OFFSET_MAX_MS)


def _as_tiers(value: object) -> tuple[Tier, ...]:
    rows = tuple(_as_tier(row) for row in as_tuple(value, most=TIERS_MAX))
    _require_ascending([row.number for row in rows])
    return rows


def _as_tier(value: object) -> Tier:
    number, per_transaction, per_day, balance_max = as_tuple(value, 4)
    return Tier(
        as_int(number, 0, TIER_MAX),
        as_int(per_transaction, 0, AMOUNT_MAX),
        as_int(per_day, 0, AMOUNT_MAX),
        as_int(balance_max, 0, AMOUNT_MAX),
    )


def _as_openers(value: object) -> tuple[Opener, ...]:
    rows: list[Opener] = []
    for row in as_tuple(value, most=KIND_MAX):
        kind, kinds = as_tuple(row, 2)
        rows.append(Opener(as_int(kind, 1, KIND_MAX), as_int(kinds, 0, KINDS_MASK_MAX)))
    _require_ascending([row.kind for row in rows])
    return tuple(rows)


def _as_attesters(value: object) -> tuple[Attesters, ...]:
    rows: list[Attesters] = []
    for row in as_tuple(value, most=SCHEMAS_MAX):
        schema, accounts = as_tuple(row, 2)
        numbers = [as_int(number, 1, ACCOUNT_MAX) for number in as_tuple(accounts, most=ATTESTERS_MAX)]
        _require_ascending(numbers)
        rows.append(Attesters(as_schema(schema), tuple(numbers)))
    _require_ascending([row.schema for row in rows])
    return tuple(rows)


def _as_recovery_delay(value: object) -> int:
    return as_int(value, RECOVERY_DELAY_MIN_MS, RECOVERY_DELAY_MAX_MS)


def _as_hold_max(value: object) -> int:
    return as_int(value, MINUTE_MS, HOLD_MAX_MS)


def _as_protocol_version(value: object) -> int:
    return as_int(value, 1, VERSION_MAX)


def _require_ascending(numbers: list[int] | list[str]) -> None:
    if any(high <= low for low, high in pairwise(numbers)):  # type: ignore[operator]
        raise DecodeError("rows do not ascend")


# How the value of each is read; raises DecodeError.
Table = tuple[Tier, ...] | tuple[Opener, ...] | tuple[Attesters, ...]
READERS: Final[Mapping[str, Callable[[object], int | Table]]] = {
    "window_person_ms": _as_window,
    "window_institution_ms": _as_window,
    "day_offset_ms": _as_day_offset,
    "tiers": _as_tiers,
    "openers": _as_openers,
    "attesters": _as_attesters,
    "recovery_delay_ms": _as_recovery_delay,
    "hold_max_ms": _as_hold_max,
    "protocol_version": _as_protocol_version,
}
