"""The methods about orders of authorities: (ports, params) -> result.

One rule: how many there are is public; what they say is told to whom access.py lets in.
"""

from collections import Counter
from typing import Final, Literal

from node.ledger.account import format_account
from node.ledger.orders import ARREST, BY_TARGET, FREEZE, ORDER, SEIZE, Order, decode_order, find_order
from node.ledger.records import after
from node.rpc import ledger_types as types
from node.rpc.cursors import page_of_rows
from node.rpc.errors import INVALID_PARAMS, NOT_FOUND, RpcError
from node.rpc.ports import Ports
from node.rpc.reading import checked_number
from node.rpc.registry import Method

COUNTED_AT_ONCE: Final = 256  # orders between two turns of the event loop, about 1 ms

_ACTS: Final[dict[int, Literal["freeze", "arrest", "seize"]]] = {FREEZE: "freeze", ARREST: "arrest", SEIZE: "seize"}


async def count_orders(ports: Ports, params: types.CountOrdersParams) -> types.CountOrdersResult:
    """How many orders each authority has given, by act: public. All are counted, so ask seldom."""
    given: Counter[tuple[int, int]] = Counter()
    standing: Counter[tuple[int, int]] = Counter()
    with ports.store.snapshot() as store:
        for number, (key, row) in enumerate(store.scan(ORDER, after(ORDER)), 1):
            order = decode_order(row)
            kind = (int.from_bytes(key[1:9], "big"), order.act)
            given[kind] += 1
            standing[kind] += order.stands
            if number % COUNTED_AT_ONCE == 0:
                await ports.turns.next()
        return types.CountOrdersResult(
            at_height=store.tip.height,
            counts=tuple(
                types.OrderCount(
                    authority=format_account(authority),
                    act=_ACTS[act],
                    given=count,
                    standing=standing[authority, act],
                )
                for (authority, act), count in sorted(given.items())
            ),
        )


async def get_order(ports: Ports, params: types.GetOrderParams) -> types.GetOrderResult:
    """An order by its authority and number, for those who act on orders."""
    authority = checked_number(params.authority, "authority")
    with ports.store.snapshot() as store:
        order = find_order(store, authority, params.number)
        if order is None:
            raise RpcError(NOT_FOUND, path="number")
        return types.GetOrderResult(at_height=store.tip.height, order=order_view(authority, params.number, order))


async def list_orders(ports: Ports, params: types.ListOrdersParams) -> types.ListOrdersResult:
    """All orders of an authority, or those that stand against an account, for those who act on orders."""
    if (params.authority is None) == (params.target is None):
        raise RpcError(INVALID_PARAMS, path="authority", expected="authority or target")
    with ports.store.snapshot() as store:
        if params.authority is not None:
            prefix = ORDER + checked_number(params.authority, "authority").to_bytes(8, "big")
        else:
            prefix = BY_TARGET + checked_number(params.target or "", "target").to_bytes(8, "big")
        rows, next_cursor = page_of_rows(store, ("order_list", prefix), prefix, params.cursor, params.limit)
        names = [_name_of(prefix, key) for key, _ in rows]
        found = [(name, find_order(store, *name)) for name in names]
        return types.ListOrdersResult(
            at_height=store.tip.height,
            orders=tuple(order_view(*name, order) for name, order in found if order is not None),
            next_cursor=next_cursor,
        )


def order_view(authority: int, number: str, order: Order) -> types.OrderView:
    """Return an order in words."""
    return types.OrderView(
        authority=format_account(authority),
        number=number,
        act=_ACTS[order.act],
        target=format_account(order.target),
        basis=order.basis.hex(),
        asset=order.asset or None,
        amount=str(order.amount) if order.act != FREEZE else None,
        to=format_account(order.to) if order.to else None,
        incoming=order.incoming if order.act == FREEZE else None,
        hold=order.hold.hex() or None,
        timestamp_ms=order.time_ms,
        height=order.height,
        tx_id=order.transaction_id.hex(),
        stands=order.stands,
        lifted_ms=order.lifted_ms or None,
        lifted_basis=order.lifted_basis.hex() or None,
    )


def _name_of(prefix: bytes, key: bytes) -> tuple[int, str]:
    """Return authority and number: the rest of a key after an authority, or after a target."""
    if prefix[:1] == ORDER:
        return int.from_bytes(prefix[1:9], "big"), key.decode()
    return int.from_bytes(key[:8], "big"), key[8:].decode()


METHODS: Final = (
    Method("order_getCounts", types.CountOrdersParams, types.CountOrdersResult, count_orders, cost=100),
    Method("order_get", types.GetOrderParams, types.GetOrderResult, get_order),
    Method("order_list", types.ListOrdersParams, types.ListOrdersResult, list_orders, cost=5),
)
