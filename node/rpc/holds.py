"""The methods about holds: (ports, params) -> result."""

from typing import Final

from node.ledger.account import format_account
from node.ledger.holds import (
    BY_PAYEE,
    BY_PAYER,
    BY_SETTLER,
    HOLD,
    ROW_ID_BYTES,
    Hold,
    decode_hold,
    id_of_payers_row,
)
from node.rpc import ledger_types as types
from node.rpc.cursors import page_of_rows
from node.rpc.errors import INVALID_PARAMS, RpcError
from node.rpc.operation_views import condition_view
from node.rpc.ports import Ports
from node.rpc.reading import checked_number
from node.rpc.registry import Method
from node.storage.reads import Reads

_TABLES: Final = {"payer": BY_PAYER, "settler": BY_SETTLER, "payee": BY_PAYEE}


async def get_hold(ports: Ports, params: types.GetHoldParams) -> types.GetHoldResult:
    """An open hold by its id, or that none is open."""
    with ports.store.snapshot() as store:
        return types.GetHoldResult(at_height=store.tip.height, hold=_view(store, bytes.fromhex(params.id)))


async def list_holds(ports: Ports, params: types.ListHoldsParams) -> types.ListHoldsResult:
    """The open holds that an account made, may settle, or is to be paid from."""
    prefix = _TABLES[params.role] + checked_number(params.account).to_bytes(8, "big")
    if params.asset is not None:
        if params.role != "payer":
            raise RpcError(INVALID_PARAMS, path="asset", expected="role payer", actual=params.role)
        prefix += params.asset.to_bytes(2, "big")
    of = ("hold_list", prefix)
    with ports.store.snapshot() as store:
        rows, next_cursor = page_of_rows(store, of, prefix, params.cursor, params.limit)
        ids = (id_of_payers_row(key) if params.role == "payer" else key[-ROW_ID_BYTES:] for key, _ in rows)
        views = (_view(store, name) for name in ids)
        return types.ListHoldsResult(
            at_height=store.tip.height,
            holds=tuple(view for view in views if view is not None),
            next_cursor=next_cursor,
        )


def hold_view(name: bytes, hold: Hold) -> types.HoldView:
    """Return a hold in words."""
    return types.HoldView(
        id=name.hex(),
        asset=hold.asset,
        payer=format_account(hold.payer),
        by=format_account(hold.by) if hold.by else None,
        to=format_account(hold.to) if hold.to else None,
        left=str(hold.left),
        ref=hold.ref.hex(),
        until_ms=hold.until_ms or None,
        height=hold.height,
        condition=None if hold.condition is None else condition_view(hold.condition),
        order=hold.order or None,
    )


def _view(store: Reads, name: bytes) -> types.HoldView | None:
    row = store.get(HOLD + name)
    return None if row is None else hold_view(name, decode_hold(row))


METHODS: Final = (
    Method("hold_get", types.GetHoldParams, types.GetHoldResult, get_hold),
    Method("hold_list", types.ListHoldsParams, types.ListHoldsResult, list_holds, cost=5),
)
