"""The operation `asset`: the state register of digital assets. Register one; suspend it, let it move again, revoke it.

One rule: an asset's status is changed by who keeps the register, with a legal basis, and every change stays to be read.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final, NamedTuple

from consensus.encoding import as_bytes, as_int, as_tuple, decode, encode
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, ASSET_MAX, CLOSED, SOM, Account, Kind
from node.ledger.assets import (
    BASIS_BYTES_MAX,
    SCALE_MAX,
    Asset,
    AssetStatus,
    Attested,
    Backing,
    OnLedger,
    as_backing,
    as_basis,
    as_code,
    as_kinds,
    backing_value,
    encode_asset,
)
from node.ledger.errors import Code, InvariantViolation, Refused
from node.ledger.recent import Reader
from node.ledger.records import Records, after
from node.ledger.state import ASSET_PREFIX, State, asset_key
from node.ledger.step import Step

ASSET: Final = 5  # operation number
REGISTER, STATUS = 1, 2  # acts
CHANGE: Final = b"k"  # asset, number of the change -> the change                       in the tree
ASSETS_MAX: Final = 1_000  # all of them are in memory
CHANGES_MAX: Final = 2**32
TRANSACTION_ID_BYTES: Final = 32


class RegisterAsset(NamedTuple):
    """The registrar ``by`` adds ``asset``; the fields from ``code`` on are those of its record."""

    by: int
    asset: int
    code: str
    scale: int
    issuer: int
    max_supply: int
    backing: Backing
    mint_to: int
    redeem_from: int
    basis: bytes

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)

    @property
    def fields(self) -> tuple[object, ...]:
        """The fields as they are encoded."""
        return (*self[:6], backing_value(self.backing), *self[7:])


class SetAssetStatus(NamedTuple):
    """``by``, a registrar, or of som the central bank, changes an asset's status."""

    by: int
    asset: int
    status: int
    basis: bytes

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


AssetOperation = RegisterAsset | SetAssetStatus


class StatusChange(NamedTuple):
    """One row of an asset's history."""

    status: int
    by: int
    basis: bytes
    time_ms: int
    height: int
    transaction_id: bytes


def decode_asset_operation(fields: tuple[object, ...]) -> AssetOperation:
    """Return the act. Raises Refused (FIELD, AMOUNT, BASIS, MALFORMED) or DecodeError."""
    if not fields:
        raise Refused(Code.MALFORMED)
    match as_int(fields[0]):
        case 1:
            return _decode_register(as_tuple(fields, 11))
        case 2:
            _, by, asset, status, basis = as_tuple(fields, 5)
            return SetAssetStatus(
                _as_number(by), as_int(asset, 1, ASSET_MAX), as_int(status, 1, max(AssetStatus)), as_basis(basis)
            )
        case _:
            raise Refused(Code.MALFORMED)


def _decode_register(fields: tuple[object, ...]) -> RegisterAsset:
    _, by, asset, code, scale, issuer, max_supply, backing, mint_to, redeem_from, basis = fields
    if type(max_supply) is int and not 1 <= max_supply <= AMOUNT_MAX:
        raise Refused(Code.AMOUNT)
    return RegisterAsset(
        _as_number(by),
        as_int(asset, 1, ASSET_MAX),
        as_code(code),
        as_int(scale, 0, SCALE_MAX),
        _as_number(issuer),
        as_int(max_supply),
        as_backing(backing),
        as_kinds(mint_to),
        as_kinds(redeem_from),
        as_basis(basis),
    )


def _as_number(value: object) -> int:
    return as_int(value, 0, ACCOUNT_MAX)


# --- applying ---


def apply_register(step: Step, operation: RegisterAsset) -> None:
    """Register the asset: from here on it is issued, moved and redeemed."""
    state = step.state
    require_registrar(state.require_active(operation.by), operation.asset)
    codes = (asset.code for asset in state.assets.values())
    if operation.asset in state.assets or operation.code in codes:
        raise Refused(Code.ASSET_EXISTS)
    if len(state.assets) >= ASSETS_MAX:
        raise Refused(Code.FIELD)
    _require_issuer(state, operation.issuer)
    _require_backing(state, operation.backing)
    status = int(AssetStatus.REGISTERED)
    _, _, code, scale, issuer, max_supply, backing, mint_to, redeem_from, basis = operation
    asset = Asset(code, scale, issuer, status, max_supply, backing, mint_to, redeem_from, basis)
    state.set_asset(operation.asset, asset)
    _keep_change(step, operation.by, operation.asset, status, basis)


def apply_status(step: Step, operation: SetAssetStatus) -> None:
    """Change the status. What was suspended or revoked can be redeemed all the same (pay.py)."""
    state = step.state
    asset = state.assets.get(operation.asset)
    if asset is None:
        raise Refused(Code.NO_ASSET)
    require_registrar(state.require_active(operation.by), operation.asset)
    if asset.status == AssetStatus.REVOKED or asset.status == operation.status:
        raise Refused(Code.STATUS)
    state.set_asset(operation.asset, asset._replace(status=operation.status))
    _keep_change(step, operation.by, operation.asset, operation.status, operation.basis)


def require_registrar(account: Account, asset: int) -> None:
    """Raise Refused(ROLE) unless the account keeps the register of that asset: som is the central bank's."""
    if account.kind != (Kind.CENTRAL_BANK if asset == SOM else Kind.REGISTRAR):
        raise Refused(Code.ROLE)


def _require_issuer(state: State, number: int) -> None:
    issuer = _require_open(state, number)
    if issuer.kind != Kind.ISSUER:
        raise Refused(Code.FIELD)
    if any(asset.issuer == number for asset in state.assets.values()):
        raise Refused(Code.ISSUER_TAKEN)
    if issuer.holdings:
        raise Refused(Code.FIELD)  # its balance in the asset is to be what it issues, below 0, and nothing else


def _require_backing(state: State, backing: Backing) -> None:
    match backing:
        case None:
            pass
        case OnLedger(reserve, asset):
            if asset not in state.assets:
                raise Refused(Code.NO_ASSET)
            if _require_open(state, reserve).kind != Kind.RESERVE:
                raise Refused(Code.FIELD)
            if reserve in state.backed_by:
                raise Refused(Code.RESERVE_TAKEN)
        case Attested():
            if state.parameters.attesters_of(backing.schema) is None:
                raise Refused(Code.FIELD)


def _require_open(state: State, number: int) -> Account:
    account = state.require_account(number)
    if account.flags & CLOSED:
        raise Refused(Code.NO_ACCOUNT)
    return account


# --- the history ---


def change_key(asset: int, number: int) -> bytes:
    """Return the state key of an asset's n-th change of status, from 0."""
    return CHANGE + asset.to_bytes(2, "big") + number.to_bytes(4, "big")


def changes_so_far(records: Records, asset: int) -> int:
    """Return how many changes of status the asset has had on the ledger: 32 look-ups."""
    return bisect_left(range(CHANGES_MAX), True, key=lambda number: records.get(change_key(asset, number)) is None)


def _keep_change(step: Step, by: int, asset: int, status: int, basis: bytes) -> None:
    records = step.state.records
    change = StatusChange(status, by, basis, step.time_ms, step.height, step.transaction_id)
    records.put(change_key(asset, changes_so_far(records, asset)), encode_change(change))


def audit_register(rows: Reader, assets: Mapping[int, Asset]) -> None:
    """Check that the stored assets are these, and that each has the status of its last change."""
    stored = {asset_key(number): encode_asset(asset) for number, asset in assets.items()}
    if stored != dict(rows.scan(ASSET_PREFIX, after(ASSET_PREFIX))):
        raise InvariantViolation("a stored asset is another one")
    last: dict[int, tuple[int, int]] = {}  # asset -> number and status of its last change
    for key, row in rows.scan(CHANGE, after(CHANGE)):
        asset, number = int.from_bytes(key[1:3], "big"), int.from_bytes(key[3:], "big")
        status = decode_change(row).status
        number_before, status_before = last.get(asset, (-1, 0))
        if number != number_before + 1 or status_before in (status, AssetStatus.REVOKED):
            raise InvariantViolation("the changes of an asset's status do not follow each other")
        last[asset] = number, status
    if any(asset not in assets or assets[asset].status != status for asset, (_, status) in last.items()):
        raise InvariantViolation("an asset's status is not that of its last change")


def encode_change(change: StatusChange) -> bytes:
    """Return the row: the fields in order."""
    return encode(change)


def decode_change(row: bytes) -> StatusChange:
    """Return the change of a row that may come from a stranger. Raises DecodeError."""
    status, by, basis, time_ms, height, transaction_id = as_tuple(decode(row), 6)
    return StatusChange(
        as_int(status, 1, max(AssetStatus)),
        as_int(by, 1, ACCOUNT_MAX),
        as_bytes(basis, BASIS_BYTES_MAX),
        as_int(time_ms),
        as_int(height),
        as_bytes(transaction_id, TRANSACTION_ID_BYTES),
    )
