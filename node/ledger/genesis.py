"""Genesis: what all nodes agree on before block 1. JSON text for people, canonical MessagePack for the hash.

One rule: the hash covers the meaning, not the text: white space and the order of rows do not matter, every value does.
Balances are zero: money comes only by issue. Whether the validators make a safe committee is checked where committees
are made.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn, TypeVar

from consensus.crypto import PUBLIC_KEY_BYTES
from consensus.encoding import DecodeError, digest, encode
from node.ledger.account import (
    AMOUNT_MAX,
    ASSET_MAX,
    CATEGORY_MAX,
    COMMITMENT_BYTES,
    KEYS_MAX,
    TIER_MAX,
    TIME_MAX_MS,
    WEIGHT_MAX,
    Account,
    Key,
    Kind,
    Profile,
    format_account,
    keys_allowed,
    kinds_mask,
    mask_kinds,
    parse_account,
)
from node.ledger.assets import (
    BASIS_BYTES_MAX,
    RATIO_MAX,
    SCALE_MAX,
    Asset,
    AssetStatus,
    Attested,
    Backing,
    OnLedger,
    as_code,
    as_schema,
    encode_asset,
)
from node.ledger.parameters import (
    ATTESTERS_MAX,
    DAY_OFFSET_MAX_MS,
    HOLD_MAX_MS,
    MINUTE_MS,
    RECOVERY_DELAY_MAX_MS,
    RECOVERY_DELAY_MIN_MS,
    SCHEMAS_MAX,
    TIERS_MAX,
    WINDOW_MAX_MS,
    Attesters,
    Opener,
    Parameters,
    Tier,
    encode_parameters,
)
from node.ledger.versions import VERSION_MAX

NetworkKind = Literal["devnet", "pilot", "production"]
NETWORK_KINDS: Final[tuple[NetworkKind, ...]] = ("devnet", "pilot", "production")

TREE_DEPTH_MAX: Final = 6  # 16**6 buckets: 128 million accounts at 8 a bucket
EPOCH_LENGTH_MAX: Final = 10**9  # blocks
NAME_CHARS_MAX: Final = 64
VALIDATORS_MAX: Final = 31  # as many as a committee has (consensus/committee.py, which this room may not import)
GENESIS_ACCOUNTS_MAX: Final = 10_000
GENESIS_ASSETS_MAX: Final = 100
VALIDATOR_WEIGHT_MAX: Final = 2**32 - 1

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Validator:
    """One validator: votes are signed by ``consensus_key``, links by ``node_key``."""

    name: str
    consensus_key: bytes
    node_key: bytes
    weight: int


@dataclass(frozen=True, slots=True)
class GenesisAccount:
    """An account that is there from the start, with no money."""

    name: str
    number: int
    profile: Profile

    def account(self) -> Account:
        return Account(self.number, self.profile)


@dataclass(frozen=True, slots=True)
class Genesis:
    """Everything that is agreed. Rows are sorted: validators by consensus key, accounts by number, assets by id."""

    network: int
    name: str
    kind: NetworkKind
    time_ms: int
    tree_depth: int
    epoch_length: int
    validators: tuple[Validator, ...]
    parameters: Parameters
    assets: tuple[tuple[int, Asset], ...]
    accounts: tuple[GenesisAccount, ...]
    hash: bytes = field(init=False)  # 32 bytes

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the dataclass is frozen
        set_field(self, "validators", tuple(sorted(self.validators, key=lambda row: row.consensus_key)))
        set_field(self, "accounts", tuple(sorted(self.accounts, key=lambda row: row.number)))
        set_field(self, "assets", tuple(sorted(self.assets)))
        set_field(self, "hash", digest(b"som-genesis-1", encode(_canonical(self))))


class GenesisError(ValueError):
    """The genesis is wrong; the message begins with the path of the value, such as ``accounts[3].keys``."""


def parse_genesis(text: str) -> Genesis:
    """Return the genesis of a JSON text. Raises GenesisError naming the path."""
    try:
        value = json.loads(text, object_pairs_hook=_unique_names, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise GenesisError(f"not JSON: {error}") from None
    genesis = _read_genesis(_Node("", value))
    _check_rows(genesis)
    return genesis


def format_genesis(genesis: Genesis) -> str:
    """Return the JSON text, one value a line. ``parse_genesis`` gives back the same genesis."""
    return json.dumps(_json(genesis), indent=2, ensure_ascii=False) + "\n"


# --- reading ---


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return names


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text} is no integer")


@dataclass(frozen=True, slots=True)
class _Node:
    """A JSON value and the path to it."""

    path: str
    value: object

    def fail(self, why: str) -> NoReturn:
        raise GenesisError(f"{self.path or 'genesis'}: {why}")

    def fields(self, *names: str) -> tuple["_Node", ...]:
        if not isinstance(self.value, dict):
            self.fail("expected an object")
        unknown = sorted(set(self.value) - set(names))
        if unknown:
            self.fail(f"unknown field {unknown[0]!r}")
        missing = [name for name in names if name not in self.value]
        if missing:
            self.fail(f"missing field {missing[0]!r}")
        prefix = f"{self.path}." if self.path else ""
        return tuple(_Node(prefix + name, self.value[name]) for name in names)

    def rows(self, read: Callable[["_Node"], Row], most: int) -> tuple[Row, ...]:
        if not isinstance(self.value, list):
            self.fail("expected a list")
        if len(self.value) > most:
            self.fail(f"expected {most} rows at the most, got {len(self.value)}")
        return tuple(read(_Node(f"{self.path}[{index}]", item)) for index, item in enumerate(self.value))

    def integer(self, low: int, high: int) -> int:
        if type(self.value) is not int:
            self.fail("expected an integer")
        if not low <= self.value <= high:
            self.fail(f"expected {low}..{high}, got {self.value}")
        return self.value

    def amount(self) -> int:
        """Money is a string of decimal minor units, because JSON readers round large numbers."""
        if type(self.value) is not str or not (self.value.isascii() and self.value.isdigit()) or len(self.value) > 19:
            self.fail("expected an amount: a string of decimal digits")
        if int(self.value) > AMOUNT_MAX or str(int(self.value)) != self.value:
            self.fail(f"expected 0..{AMOUNT_MAX} without leading zeros")
        return int(self.value)

    def string(self, most: int, least: int = 1) -> str:
        if type(self.value) is not str or not least <= len(self.value) <= most or not self.value.isprintable():
            self.fail(f"expected a printable string of {least}..{most} characters")
        return self.value

    def hex(self, length: int) -> bytes:
        if (
            type(self.value) is not str
            or len(self.value) != 2 * length
            or not set(self.value) <= set("0123456789abcdef")
        ):
            self.fail(f"expected {2 * length} lower-case hex digits")
        return bytes.fromhex(self.value)

    def account(self) -> int:
        try:
            return parse_account(self.value if type(self.value) is str else "")
        except ValueError as error:
            self.fail(str(error))

    def schema(self) -> str:
        return self._as(as_schema)

    def code(self) -> str:
        return self._as(as_code)

    def _as(self, read: Callable[[object], Row]) -> Row:
        try:
            return read(self.value)
        except DecodeError as error:
            self.fail(str(error))

    def choice(self, choices: Mapping[str, Row]) -> Row:
        if type(self.value) is not str or self.value not in choices:
            self.fail(f"expected one of {', '.join(choices)}")
        return choices[self.value]


_KINDS: Final = {kind.name.lower(): kind for kind in Kind}
_STATUSES: Final = {status.name.lower(): status for status in AssetStatus}
_NETWORK_KINDS: Final[dict[str, NetworkKind]] = {kind: kind for kind in NETWORK_KINDS}


def _read_genesis(node: _Node) -> Genesis:
    network, name, kind, time_ms, depth, epoch, validators, parameters, assets, accounts = node.fields(
        "network", "name", "kind", "time_ms", "tree_depth", "epoch_length", "validators", "parameters", "assets",
        "accounts",
    )  # fmt: skip
    return Genesis(
        network.integer(1, 2**32 - 1),
        name.string(NAME_CHARS_MAX),
        kind.choice(_NETWORK_KINDS),
        time_ms.integer(0, TIME_MAX_MS),
        depth.integer(1, TREE_DEPTH_MAX),
        epoch.integer(1, EPOCH_LENGTH_MAX),
        validators.rows(_read_validator, VALIDATORS_MAX),
        _read_parameters(parameters),
        assets.rows(_read_asset, GENESIS_ASSETS_MAX),
        accounts.rows(_read_account, GENESIS_ACCOUNTS_MAX),
    )


def _read_validator(node: _Node) -> Validator:
    name, consensus_key, node_key, weight = node.fields("name", "consensus_key", "node_key", "weight")
    return Validator(
        name.string(NAME_CHARS_MAX),
        consensus_key.hex(PUBLIC_KEY_BYTES),
        node_key.hex(PUBLIC_KEY_BYTES),
        weight.integer(1, VALIDATOR_WEIGHT_MAX),
    )


def _read_parameters(node: _Node) -> Parameters:
    person, institution, offset, tiers, openers, attesters, delay, hold_max, version = node.fields(*Parameters._fields)
    parameters = Parameters(
        person.integer(MINUTE_MS, WINDOW_MAX_MS),
        institution.integer(MINUTE_MS, WINDOW_MAX_MS),
        offset.integer(-DAY_OFFSET_MAX_MS, DAY_OFFSET_MAX_MS),
        tuple(sorted(tiers.rows(_read_tier, TIERS_MAX))),
        tuple(sorted(openers.rows(_read_opener, len(Kind)))),
        tuple(sorted(attesters.rows(_read_attesters, SCHEMAS_MAX))),
        delay.integer(RECOVERY_DELAY_MIN_MS, RECOVERY_DELAY_MAX_MS),
        hold_max.integer(MINUTE_MS, HOLD_MAX_MS),
        version.integer(1, VERSION_MAX),
    )
    _require_unique(tiers, [row.number for row in parameters.tiers])
    _require_unique(openers, [row.kind for row in parameters.openers])
    _require_unique(attesters, [row.schema for row in parameters.attesters])
    return parameters


def _read_tier(node: _Node) -> Tier:
    number, per_transaction, per_day, balance_max = node.fields(*Tier._fields)
    return Tier(number.integer(0, TIER_MAX), per_transaction.amount(), per_day.amount(), balance_max.amount())


def _read_opener(node: _Node) -> Opener:
    kind, kinds = node.fields("kind", "kinds")
    return Opener(int(kind.choice(_KINDS)), _read_kinds(kinds))


def _read_attesters(node: _Node) -> Attesters:
    schema, accounts = node.fields("schema", "accounts")
    numbers = tuple(sorted(accounts.rows(_Node.account, ATTESTERS_MAX)))
    _require_unique(accounts, list(numbers))
    return Attesters(schema.schema(), numbers)


def _read_kinds(node: _Node) -> int:
    return kinds_mask(node.rows(lambda row: row.choice(_KINDS), len(Kind)))


def _read_asset(node: _Node) -> tuple[int, Asset]:
    asset_id, code, scale, issuer, status, max_supply, backing, mint_to, redeem_from, basis = node.fields(
        "id", *Asset._fields
    )
    asset = Asset(
        code.code(),
        scale.integer(0, SCALE_MAX),
        issuer.account(),
        int(status.choice(_STATUSES)),
        max_supply.amount(),
        _read_backing(backing),
        _read_kinds(mint_to),
        _read_kinds(redeem_from),
        basis.hex(BASIS_BYTES_MAX) if basis.value != "" else b"",
    )
    if asset.max_supply == 0:
        max_supply.fail("expected more than 0")
    return asset_id.integer(1, ASSET_MAX), asset


def _read_backing(node: _Node) -> Backing:
    if node.value is None:
        return None
    if isinstance(node.value, dict) and "reserve" in node.value:
        reserve, asset = node.fields("reserve", "asset")
        return OnLedger(reserve.account(), asset.integer(1, ASSET_MAX))
    schema, ratio_bp, max_age_ms = node.fields("schema", "ratio_bp", "max_age_ms")
    return Attested(schema.schema(), ratio_bp.integer(1, RATIO_MAX), max_age_ms.integer(1, TIME_MAX_MS))


def _read_account(node: _Node) -> GenesisAccount:
    name, number, kind, tier, bank, category, keys, threshold, commitment = node.fields(
        "name", "number", "kind", "tier", "bank", "merchant_category", "keys", "threshold", "commitment"
    )
    key_rows = tuple(sorted(keys.rows(_read_key, KEYS_MAX)))
    profile = Profile(
        int(kind.choice(_KINDS)),
        tier.integer(0, TIER_MAX),
        0,
        0 if bank.value is None else bank.account(),
        category.integer(0, CATEGORY_MAX),
        key_rows,
        threshold.integer(1, KEYS_MAX * WEIGHT_MAX),
        commitment.hex(COMMITMENT_BYTES),
    )
    if not keys_allowed(key_rows, profile.threshold):
        keys.fail("expected keys, none twice, whose weights reach the threshold")
    return GenesisAccount(name.string(NAME_CHARS_MAX), number.account(), profile)


def _read_key(node: _Node) -> Key:
    key, weight = node.fields("key", "weight")
    return key.hex(PUBLIC_KEY_BYTES), weight.integer(1, WEIGHT_MAX)


def _require_unique(node: _Node, values: list[int] | list[str]) -> None:
    if len(set(values)) != len(values):
        node.fail("a row stands twice")


# --- rows that name each other ---


def _check_rows(genesis: Genesis) -> None:
    kinds = {row.number: row.profile.kind for row in genesis.accounts}
    _unique("validators", [row.name for row in genesis.validators])
    _unique("validators", [key for row in genesis.validators for key in (row.consensus_key, row.node_key)])
    _unique("accounts", [row.number for row in genesis.accounts])
    _unique("accounts", [row.name for row in genesis.accounts])
    _unique("assets", [number for number, _ in genesis.assets])
    _unique("assets", [asset.code for _, asset in genesis.assets])
    _unique("assets", [asset.issuer for _, asset in genesis.assets])
    _unique("assets", [asset.backing.reserve for _, asset in genesis.assets if isinstance(asset.backing, OnLedger)])
    for row in genesis.accounts:
        _check_account(row, kinds, genesis.parameters)
    for attesters in genesis.parameters.attesters:
        if not set(attesters.accounts) <= set(kinds):
            raise GenesisError(f"parameters.attesters[schema={attesters.schema}].accounts: no such account")
    for number, asset in genesis.assets:
        _check_asset(number, asset, kinds, genesis)


def _check_account(row: GenesisAccount, kinds: Mapping[int, int], parameters: Parameters) -> None:
    path = f"accounts[number={format_account(row.number)}]"
    if row.profile.bank and row.profile.bank not in kinds:
        raise GenesisError(f"{path}.bank: no such account")
    if row.account().limited and parameters.tier(row.profile.tier) is None:
        raise GenesisError(f"{path}.tier: no such tier")


def _check_asset(number: int, asset: Asset, kinds: Mapping[int, int], genesis: Genesis) -> None:
    path = f"assets[id={number}]"
    if kinds.get(asset.issuer) != Kind.ISSUER:
        raise GenesisError(f"{path}.issuer: expected an account of kind issuer")
    if isinstance(asset.backing, Attested) and genesis.parameters.attesters_of(asset.backing.schema) is None:
        raise GenesisError(f"{path}.backing.schema: nobody attests it")
    if isinstance(asset.backing, OnLedger):
        if kinds.get(asset.backing.reserve) != Kind.RESERVE:
            raise GenesisError(f"{path}.backing.reserve: expected an account of kind reserve")
        if asset.backing.asset == number or asset.backing.asset not in dict(genesis.assets):
            raise GenesisError(f"{path}.backing.asset: expected another asset")


def _unique(path: str, values: list[str] | list[int] | list[bytes]) -> None:
    if len(set(values)) != len(values):
        twice = next(value for index, value in enumerate(values) if value in values[:index])
        raise GenesisError(f"{path}: {twice.hex() if isinstance(twice, bytes) else twice} stands twice")


# --- writing ---


def canonical_form(genesis: Genesis) -> bytes:
    """Return the bytes that the genesis hash is over."""
    return encode(_canonical(genesis))


def _canonical(genesis: Genesis) -> tuple[object, ...]:
    return (
        genesis.network,
        genesis.name,
        genesis.kind,
        genesis.time_ms,
        genesis.tree_depth,
        genesis.epoch_length,
        tuple((row.name, row.consensus_key, row.node_key, row.weight) for row in genesis.validators),
        tuple(sorted(encode_parameters(genesis.parameters).items())),
        tuple((number, encode_asset(asset)) for number, asset in genesis.assets),
        tuple((row.name, row.number, row.profile) for row in genesis.accounts),
    )


def _json(genesis: Genesis) -> dict[str, object]:
    return {
        "network": genesis.network,
        "name": genesis.name,
        "kind": genesis.kind,
        "time_ms": genesis.time_ms,
        "tree_depth": genesis.tree_depth,
        "epoch_length": genesis.epoch_length,
        "validators": [
            {
                "name": row.name,
                "consensus_key": row.consensus_key.hex(),
                "node_key": row.node_key.hex(),
                "weight": row.weight,
            }
            for row in genesis.validators
        ],
        "parameters": _json_parameters(genesis.parameters),
        "assets": [_json_asset(number, asset) for number, asset in genesis.assets],
        "accounts": [_json_account(row) for row in genesis.accounts],
    }


def _json_parameters(parameters: Parameters) -> dict[str, object]:
    return {
        "window_person_ms": parameters.window_person_ms,
        "window_institution_ms": parameters.window_institution_ms,
        "day_offset_ms": parameters.day_offset_ms,
        "tiers": [
            {"number": row.number, **{name: str(getattr(row, name)) for name in Tier._fields[1:]}}
            for row in parameters.tiers
        ],
        "openers": [
            {"kind": Kind(row.kind).name.lower(), "kinds": _json_kinds(row.kinds)} for row in parameters.openers
        ],
        "attesters": [
            {"schema": row.schema, "accounts": [format_account(number) for number in row.accounts]}
            for row in parameters.attesters
        ],
        "recovery_delay_ms": parameters.recovery_delay_ms,
        "hold_max_ms": parameters.hold_max_ms,
        "protocol_version": parameters.protocol_version,
    }


def _json_asset(number: int, asset: Asset) -> dict[str, object]:
    return {
        "id": number,
        "code": asset.code,
        "scale": asset.scale,
        "issuer": format_account(asset.issuer),
        "status": AssetStatus(asset.status).name.lower(),
        "max_supply": str(asset.max_supply),
        "backing": _json_backing(asset.backing),
        "mint_to": _json_kinds(asset.mint_to),
        "redeem_from": _json_kinds(asset.redeem_from),
        "basis": asset.basis.hex(),
    }


def _json_backing(backing: Backing) -> dict[str, object] | None:
    match backing:
        case None:
            return None
        case OnLedger():
            return {"reserve": format_account(backing.reserve), "asset": backing.asset}
        case Attested():
            return {"schema": backing.schema, "ratio_bp": backing.ratio_bp, "max_age_ms": backing.max_age_ms}


def _json_account(row: GenesisAccount) -> dict[str, object]:
    profile = row.profile
    return {
        "name": row.name,
        "number": format_account(row.number),
        "kind": Kind(profile.kind).name.lower(),
        "tier": profile.tier,
        "bank": format_account(profile.bank) if profile.bank else None,
        "merchant_category": profile.category,
        "keys": [{"key": key.hex(), "weight": weight} for key, weight in profile.keys],
        "threshold": profile.threshold,
        "commitment": profile.commitment.hex(),
    }


def _json_kinds(mask: int) -> list[str]:
    return [kind.name.lower() for kind in mask_kinds(mask)]
