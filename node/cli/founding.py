"""The description of a network that does not exist yet, as its founders write it: names in place of numbers.

One rule: here names become numbers, and keys are put in order; whether the genesis is allowed is asked where every
genesis is read.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from consensus.encoding import digest
from node.config import ConfigError
from node.ledger.account import Kind, Profile, account_number, kinds_mask
from node.ledger.assets import Asset, AssetStatus, Attested, Backing, OnLedger
from node.ledger.genesis import Genesis, GenesisAccount, GenesisError, Validator, format_genesis, parse_genesis
from node.ledger.parameters import DAY_MS, DEFAULT, Attesters

FOUNDING_BYTES_MAX: Final = 4 << 20
COMMITMENT_TAG: Final = b"som-founder-1"  # an institution has no identity to hide: its name is in the genesis

Value = TypeVar("Value")
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # what is allowed is asked by parse_genesis
_Days = Annotated[int, msgspec.Meta(ge=1, le=36_600)]
_Hex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_KindName = Literal[
    "central_bank", "issuer", "treasury", "bank", "distributor", "reserve", "registrar", "auditor", "enforcer"
]
_KIND_NAMES: Final = {kind.name.lower(): kind for kind in Kind}


class Founder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An institution's account: any ``threshold`` of its ``keys`` act for it."""

    name: str
    kind: _KindName
    participant: Annotated[int, msgspec.Meta(ge=0, le=9_999)]
    keys: tuple[_Hex, ...]
    threshold: _Count = 1
    serial: Annotated[int, msgspec.Meta(ge=0, le=9_999_999_999)] = 0


class Seat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A validator, as `som init` shows its keys."""

    name: str
    consensus_key: _Hex
    node_key: _Hex
    weight: _Count = 1


class Reserve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Backing on the ledger: whole units of the ``asset`` on an account."""

    account: str
    asset: str


class Attestation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Attested backing."""

    schema: str
    ratio_bp: _Count
    max_age_days: _Days


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An asset. ``holders`` are the kinds that it is issued to and redeemed from; amounts are minor units."""

    id: _Count
    code: str
    scale: _Count
    issuer: str
    max_supply: _Count
    holders: tuple[str, ...]
    basis: str = ""
    reserve: Reserve | None = None
    attested: Attestation | None = None


class Founding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole description. Parameters other than the attesters begin as the defaults."""

    name: str
    kind: Literal["pilot", "production"]
    network: _Count
    time: datetime
    validators: tuple[Seat, ...]
    accounts: tuple[Founder, ...]
    assets: tuple[Listed, ...]
    attesters: dict[str, tuple[str, ...]] = {}
    tree_depth: _Count = 5  # a million buckets: eight million accounts
    epoch_length: _Count = 1_024


def read_founding(path: Path) -> Genesis:
    """Return the genesis that a description makes. Raises ConfigError that says what is wrong, and where."""
    try:
        if path.stat().st_size > FOUNDING_BYTES_MAX:
            raise ConfigError(f"{path}: larger than {FOUNDING_BYTES_MAX} bytes")
        return found(msgspec.toml.decode(path.read_bytes(), type=Founding))
    except (OSError, msgspec.DecodeError, ValueError) as error:  # GenesisError and wrong TOML are ValueErrors
        raise ConfigError(f"{path}: {error}") from None


def found(founding: Founding) -> Genesis:
    """Return the genesis. Raises GenesisError."""
    if founding.time.tzinfo is None:
        raise GenesisError("time: expected an offset, such as +06:00")
    numbers = {row.name: account_number(row.participant, row.serial) for row in founding.accounts}
    assets = {row.code: row.id for row in founding.assets}
    genesis = Genesis(
        network=founding.network,
        name=founding.name,
        kind=founding.kind,
        time_ms=int(founding.time.timestamp()) * 1_000,
        tree_depth=founding.tree_depth,
        epoch_length=founding.epoch_length,
        validators=tuple(_validator(row) for row in founding.validators),
        parameters=DEFAULT._replace(attesters=_attesters(founding, numbers)),
        assets=tuple((row.id, _asset(row, numbers, assets)) for row in founding.assets),
        accounts=tuple(_account(row, numbers[row.name]) for row in founding.accounts),
    )
    return parse_genesis(format_genesis(genesis))


def _validator(row: Seat) -> Validator:
    return Validator(row.name, bytes.fromhex(row.consensus_key), bytes.fromhex(row.node_key), row.weight)


def _account(row: Founder, number: int) -> GenesisAccount:
    keys = tuple(sorted((bytes.fromhex(key), 1) for key in row.keys))
    commitment = digest(COMMITMENT_TAG, row.name.encode())
    profile = Profile(_KIND_NAMES[row.kind], 0, 0, 0, 0, keys, row.threshold, commitment)
    return GenesisAccount(row.name, number, profile)


def _asset(row: Listed, numbers: Mapping[str, int], assets: Mapping[str, int]) -> Asset:
    path = f"assets[code={row.code}]"
    kinds = kinds_mask(_named(f"{path}.holders", row.holders, _KIND_NAMES))
    [issuer] = _named(f"{path}.issuer", [row.issuer], numbers)
    return Asset(
        row.code,
        row.scale,
        issuer,
        int(AssetStatus.REGISTERED),
        row.max_supply,
        _backing(row, path, numbers, assets),
        kinds,
        kinds,
        _basis(path, row.basis),
    )


def _basis(path: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise GenesisError(f"{path}.basis: expected a SHA-256 in hex") from None


def _backing(row: Listed, path: str, numbers: Mapping[str, int], assets: Mapping[str, int]) -> Backing:
    if row.reserve is not None and row.attested is not None:
        raise GenesisError(f"{path}: expected a reserve or an attestation, not both")
    if row.reserve is not None:
        [account] = _named(f"{path}.reserve.account", [row.reserve.account], numbers)
        [asset] = _named(f"{path}.reserve.asset", [row.reserve.asset], assets)
        return OnLedger(account, asset)
    if row.attested is not None:
        return Attested(row.attested.schema, row.attested.ratio_bp, row.attested.max_age_days * DAY_MS)
    return None


def _attesters(founding: Founding, numbers: Mapping[str, int]) -> tuple[Attesters, ...]:
    return tuple(
        Attesters(schema, tuple(sorted(_named(f"attesters.{schema}", names, numbers))))
        for schema, names in sorted(founding.attesters.items())
    )


def _named(path: str, names: Sequence[str], known: Mapping[str, Value]) -> list[Value]:
    """Return what the names stand for."""
    for name in names:
        if name not in known:
            raise GenesisError(f"{path}: there is no {name!r}")
    return [known[name] for name in names]
