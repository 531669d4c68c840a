"""The methods about the register of assets: (ports, params) -> result.

One rule: what is issued and what covers it come from one moment of the store, so that they can be compared.
"""

from typing import Final, Literal

from node.ledger.account import format_account
from node.ledger.asset import StatusChange, change_key, changes_so_far, decode_change
from node.ledger.assets import (
    RATIO_UNIT,
    Asset,
    AssetStatus,
    Attested,
    OnLedger,
    decode_asset,
    supply_backed,
)
from node.ledger.attestations import attested_supply, current
from node.ledger.records import Records, after
from node.ledger.state import ASSET_PREFIX, asset_key
from node.rpc import ledger_types, types
from node.rpc.attestations import attestation_view
from node.rpc.cursors import decode_cursor, encode_cursor
from node.rpc.errors import NOT_FOUND, RpcError
from node.rpc.forms import INTEGER_MAX
from node.rpc.operation_views import backing_view, kind_names
from node.rpc.ports import Ports
from node.rpc.reading import balance_at, supply_at, time_of
from node.rpc.registry import Method
from node.storage.reads import Reads

_STATUSES: Final[dict[int, Literal["registered", "suspended", "revoked"]]] = {
    AssetStatus.REGISTERED: "registered",
    AssetStatus.SUSPENDED: "suspended",
    AssetStatus.REVOKED: "revoked",
}


async def get_supply(ports: Ports, params: types.GetSupplyParams) -> types.GetSupplyResult:
    """What is issued of an asset and not redeemed."""
    with ports.store.snapshot() as store:
        asset = _asset_at(store, params.asset)
        return types.GetSupplyResult(
            at_height=store.tip.height,
            asset=params.asset,
            code=asset.code,
            scale=asset.scale,
            supply=str(supply_at(store, asset.issuer, params.asset)),
            max_supply=str(asset.max_supply),
        )


async def get_asset(ports: Ports, params: ledger_types.GetAssetParams) -> ledger_types.GetAssetResult:
    """An asset of the register: status, supply, what must back it and what does."""
    with ports.store.snapshot() as store:
        asset = _asset_at(store, params.asset)
        return ledger_types.GetAssetResult(
            at_height=store.tip.height, asset=asset_view(store, params.asset, asset, time_of(store))
        )


async def list_assets(ports: Ports, params: ledger_types.ListAssetsParams) -> ledger_types.ListAssetsResult:
    """A page of the register of assets."""
    of = ("asset_list", params.order)
    start = decode_cursor(of, params.cursor)
    with ports.store.snapshot() as store:
        rows = [(int.from_bytes(key[1:], "big"), row) for key, row in store.scan(ASSET_PREFIX, after(ASSET_PREFIX))]
        if params.order == "desc":
            rows.reverse()
        if start is not None:
            rows = [row for row in rows if (row[0] >= start if params.order == "asc" else row[0] <= start)]
        time_ms = time_of(store)
        return ledger_types.ListAssetsResult(
            at_height=store.tip.height,
            assets=tuple(asset_view(store, number, decode_asset(row), time_ms) for number, row in rows[: params.limit]),
            next_cursor=encode_cursor(of, rows[params.limit][0]) if len(rows) > params.limit else None,
        )


async def get_asset_history(
    ports: Ports, params: ledger_types.GetAssetHistoryParams
) -> ledger_types.GetAssetHistoryResult:
    """The changes of an asset's status: who, when, on what basis."""
    of = ("asset_getHistory", params.asset, params.order)
    start = decode_cursor(of, params.cursor)
    with ports.store.snapshot() as store:
        _asset_at(store, params.asset)
        count = changes_so_far(Records(store), params.asset)
        numbers = range(count) if params.order == "asc" else range(count - 1, -1, -1)
        first = 0 if start is None else (start if params.order == "asc" else count - 1 - start)
        page = numbers[max(0, first) : max(0, first) + params.limit + 1]
        return ledger_types.GetAssetHistoryResult(
            at_height=store.tip.height,
            changes=tuple(_change_view(store, params.asset, number) for number in page[: params.limit]),
            next_cursor=encode_cursor(of, page[params.limit]) if len(page) > params.limit else None,
        )


def asset_view(store: Reads, number: int, asset: Asset, time_ms: int) -> ledger_types.AssetView:
    """Return a row of the register, and what covers it."""
    supply = supply_at(store, asset.issuer, number)
    backing: Literal["none", "on_ledger", "attested"] = "none"
    if asset.backing is not None:
        backing = "attested" if isinstance(asset.backing, Attested) else "on_ledger"
    return ledger_types.AssetView(
        asset=number,
        code=asset.code,
        scale=asset.scale,
        issuer=format_account(asset.issuer),
        status=_STATUSES[asset.status],
        supply=str(supply),
        max_supply=str(asset.max_supply),
        backing=backing,
        terms=backing_view(asset.backing),
        cover=_cover_view(store, asset, supply, time_ms),
        mint_to=kind_names(asset.mint_to),
        redeem_from=kind_names(asset.redeem_from),
        basis=asset.basis.hex(),
    )


def _cover_view(store: Reads, asset: Asset, supply: int, time_ms: int) -> ledger_types.CoverView | None:
    match asset.backing:
        case None:
            return None
        case OnLedger(reserve, number):
            balance = balance_at(store, reserve, number)
            allowed = supply_backed(balance, asset, _asset_at(store, number))
            return _cover(asset, supply, balance, allowed, None)
        case Attested(schema):
            records = Records(store)
            found = current(records, schema, asset.code)
            if found is None:
                return _cover(asset, supply, None, None, None)
            view = attestation_view(*found, time_ms)
            return _cover(asset, supply, found[1].value, attested_supply(records, asset, time_ms), view)


def _cover(
    asset: Asset, supply: int, value: int | None, allowed: int | None, attestation: ledger_types.AttestationView | None
) -> ledger_types.CoverView:
    coverage = None if not supply else (allowed or 0) * RATIO_UNIT // supply
    return ledger_types.CoverView(
        value=None if value is None else str(value),
        supply_max=None if allowed is None else str(min(allowed, asset.max_supply)),
        coverage_bp=None if coverage is None else min(coverage, INTEGER_MAX),
        attestation=attestation,
    )


def _asset_at(store: Reads, number: int) -> Asset:
    """Return an asset. Raises RpcError (not_found)."""
    record = store.get(asset_key(number))
    if record is None:
        raise RpcError(NOT_FOUND, path="asset", actual=str(number))
    return decode_asset(record)


def _change_view(store: Reads, asset: int, number: int) -> ledger_types.StatusChangeView:
    row = store.get(change_key(asset, number))
    assert row is not None, "changes are numbered without a gap"
    change: StatusChange = decode_change(row)
    return ledger_types.StatusChangeView(
        number=number,
        status=_STATUSES[change.status],
        by=format_account(change.by),
        basis=change.basis.hex(),
        timestamp_ms=change.time_ms,
        height=change.height,
        tx_id=change.transaction_id.hex(),
    )


METHODS: Final = (
    Method("supply_get", types.GetSupplyParams, types.GetSupplyResult, get_supply),
    Method("asset_get", ledger_types.GetAssetParams, ledger_types.GetAssetResult, get_asset),
    Method("asset_list", ledger_types.ListAssetsParams, ledger_types.ListAssetsResult, list_assets, cost=5),
    Method(
        "asset_getHistory",
        ledger_types.GetAssetHistoryParams,
        ledger_types.GetAssetHistoryResult,
        get_asset_history,
        cost=5,
    ),
)
