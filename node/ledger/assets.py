"""Assets: what may be held, who issues it, and what must back it.

One rule: an asset's supply is its issuer's balance, negated. It is stored nowhere else.
"""

from enum import IntEnum, unique
from typing import Final, NamedTuple

from consensus.encoding import DecodeError, as_bytes, as_int, as_str, as_tuple, decode, encode
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, ASSET_MAX, KIND_MAX, TIME_MAX_MS
from node.ledger.errors import Code, Refused

CODE_CHARS_MAX: Final = 12
SCALE_MAX: Final = 12  # decimal places
SCHEMA_CHARS_MAX: Final = 32
RATIO_UNIT: Final = 10_000  # basis points of one
RATIO_MAX: Final = 10 * RATIO_UNIT  # ten times the supply
BASIS_BYTES_MAX: Final = 32
KINDS_MASK_MAX: Final = (1 << (KIND_MAX + 1)) - 2


@unique
class AssetStatus(IntEnum):
    """Registered assets move; of the others holders can only redeem."""

    REGISTERED = 1
    SUSPENDED = 2
    REVOKED = 3


class OnLedger(NamedTuple):
    """Backed one to one by ``asset`` on the account ``reserve``, whole unit by whole unit (scales may differ)."""

    reserve: int
    asset: int


class Attested(NamedTuple):
    """Backed by attested units: value x 10,000 >= supply x ratio, the attestation no older than ``max_age_ms``."""

    schema: str
    ratio_bp: int
    max_age_ms: int


Backing = OnLedger | Attested | None

_CODE_CHARS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_SCHEMA_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_NONE, _ON_LEDGER, _ATTESTED = 0, 1, 2


class Asset(NamedTuple):
    """One asset. ``mint_to`` and ``redeem_from`` are bit sets of account kinds (``account.kinds_mask``)."""

    code: str
    scale: int
    issuer: int
    status: int
    max_supply: int
    backing: Backing
    mint_to: int
    redeem_from: int
    basis: bytes  # SHA-256 of the legal basis, or empty


def reserve_needed(supply: int, asset: Asset, reserve_asset: Asset) -> int:
    """Return the least reserve, in minor units of ``reserve_asset``, that backs ``supply`` (rounded up)."""
    unit: int = 10**asset.scale
    reserve_unit: int = 10**reserve_asset.scale
    return -(-supply * reserve_unit // unit)


def supply_backed(reserve: int, asset: Asset, reserve_asset: Asset) -> int:
    """Return the greatest supply that ``reserve`` backs (rounded down)."""
    unit: int = 10**asset.scale
    reserve_unit: int = 10**reserve_asset.scale
    return reserve * unit // reserve_unit


def encode_asset(asset: Asset) -> bytes:
    """Return the record: the fields in order, the backing as [0], [1, reserve, asset] or [2, schema, ratio, age]."""
    return encode((*asset[:5], backing_value(asset.backing), *asset[6:]))


def decode_asset(record: bytes) -> Asset:
    """Return the asset of a record. Raises DecodeError."""
    fields = as_tuple(decode(record), 9)
    return Asset(
        as_code(fields[0]),
        as_int(fields[1], 0, SCALE_MAX),
        as_int(fields[2], 1, ACCOUNT_MAX),
        as_int(fields[3], 1, max(AssetStatus)),
        as_int(fields[4], 1, AMOUNT_MAX),
        as_backing(fields[5]),
        as_kinds(fields[6]),
        as_kinds(fields[7]),
        as_bytes(fields[8], most=BASIS_BYTES_MAX),
    )


def as_code(value: object) -> str:
    """Return the code of an asset: 1 to 12 of A-Z and 0-9. Raises DecodeError."""
    code = as_str(value, CODE_CHARS_MAX)
    if not code or not set(code) <= _CODE_CHARS:
        raise DecodeError("expected an asset's code")
    return code


def as_kinds(value: object) -> int:
    """Return a set of account kinds, in which no bit has another meaning. Raises DecodeError."""
    kinds = as_int(value, 0, KINDS_MASK_MAX)
    if kinds & 1:
        raise DecodeError("no kind of account is 0")
    return kinds


def as_schema(value: object) -> str:
    """Return the name of a kind of attestation: 1 to 32 of a-z, 0-9 and the hyphen. Raises DecodeError."""
    schema = as_str(value, SCHEMA_CHARS_MAX)
    if not schema or not set(schema) <= _SCHEMA_CHARS:
        raise DecodeError("expected a schema's name")
    return schema


def as_basis(value: object) -> bytes:
    """Return the hash of a legal basis, which an act must have. Raises Refused(BASIS), DecodeError."""
    basis = as_bytes(value, most=BASIS_BYTES_MAX)
    if not basis:
        raise Refused(Code.BASIS)
    return as_bytes(basis, BASIS_BYTES_MAX)


def backing_value(backing: Backing) -> tuple[object, ...]:
    """Return [0] none, [1, reserve, asset] or [2, schema, ratio, age]."""
    match backing:
        case None:
            return (_NONE,)
        case OnLedger():
            return (_ON_LEDGER, *backing)
        case Attested():
            return (_ATTESTED, *backing)


def as_backing(value: object) -> Backing:
    """Return the backing of ``backing_value``. Raises DecodeError."""
    fields = as_tuple(value, most=4)
    match fields:
        case (0,) if type(fields[0]) is int:
            return None
        case (1, reserve, asset) if type(fields[0]) is int:
            return OnLedger(as_int(reserve, 1, ACCOUNT_MAX), as_int(asset, 1, ASSET_MAX))
        case (2, schema, ratio_bp, max_age_ms):
            return Attested(as_schema(schema), as_int(ratio_bp, 1, RATIO_MAX), as_int(max_age_ms, 1, TIME_MAX_MS))
        case _:
            raise DecodeError("no such backing")
