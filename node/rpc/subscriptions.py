"""The methods of a WebSocket: what a client subscribes to, and what is told to it, in order.

One rule: nothing is left out. Who does not read is told so and closed with the cursors to go on from; nothing is kept
for anybody but the one event that is being sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgspec

from node.rpc import event_types as types
from node.rpc.errors import INVALID_REQUEST, LIMIT_EXCEEDED, NOT_FOUND, RpcError
from node.rpc.events import Place, Source, cursor_of, place_in, source_of
from node.rpc.ports import Ports
from node.rpc.registry import Method, Run

SUBSCRIPTIONS_MAX: Final = 5  # of one client
HEARTBEAT_SECONDS: Final = 15.0
THROTTLE_SECONDS: Final = 1.0  # between two looks at the view under way

Send = Callable[[str, msgspec.Struct], Awaitable[None]]  # method of the notification, params


@dataclass(slots=True)
class _Subscription:
    source: Source
    place: Place
    told: asyncio.Event  # that it exists: the reply goes before the first event
    task: asyncio.Task[None] | None = None

    @property
    def cursor(self) -> str:
        return cursor_of(self.source, self.place)


class Subscriptions:
    """What one client has subscribed to. ``send`` waits while the client does not read, and raises when it is gone."""

    def __init__(self, ports: Ports, send: Send, failed: Callable[[BaseException], None]) -> None:
        """``failed`` hears of what ended a subscription: the client is gone, or a mistake of ours."""
        self._ports = ports
        self._send = send
        self._failed = failed
        self._count = 0
        self._open: dict[int, _Subscription] = {}

    def __len__(self) -> int:
        return len(self._open)

    def methods(self, begun: list[int]) -> dict[str, Run]:
        """Return what the connection carries out for one message; ``begun`` gets the numbers of what begins."""

        async def subscribe(ports: Ports, params: types.SubscribeParams) -> types.SubscribeResult:
            result = self.subscribe(ports, params)
            begun.append(result.subscription)
            return result

        return {"sub_subscribe": subscribe, "sub_unsubscribe": self.unsubscribe}

    def subscribe(self, ports: Ports, params: types.SubscribeParams) -> types.SubscribeResult:
        """Begin. The events follow the reply."""
        if len(self._open) >= SUBSCRIPTIONS_MAX:
            raise RpcError(LIMIT_EXCEEDED, expected=f"at most {SUBSCRIPTIONS_MAX} subscriptions")
        number = self._count + 1
        source = source_of(ports, params, number)
        with ports.store.snapshot() as store:
            place = place_in(store, source, params)
        self._count = number
        self._open[number] = subscription = _Subscription(source, place, asyncio.Event())
        subscription.task = asyncio.create_task(self._feed(number, subscription, params.topic == "consensus"))
        return types.SubscribeResult(at_height=ports.store.tip.height, subscription=number, cursor=subscription.cursor)

    def begin(self, numbers: Iterable[int]) -> None:
        """Hear that the reply that names these is out: their events may follow."""
        for number in numbers:
            if number in self._open:
                self._open[number].told.set()

    async def unsubscribe(self, ports: Ports, params: types.UnsubscribeParams) -> types.UnsubscribeResult:
        """End one."""
        subscription = self._open.pop(params.subscription, None)
        if subscription is None:
            raise RpcError(NOT_FOUND, path="subscription")
        assert subscription.task is not None
        subscription.task.cancel()
        return types.UnsubscribeResult(at_height=ports.store.tip.height, cursor=subscription.cursor)

    def positions(self) -> tuple[types.Position, ...]:
        """Return where each one stands: what was sent, it need not have been read."""
        return tuple(types.Position(subscription=number, cursor=each.cursor) for number, each in self._open.items())

    async def beat(self) -> None:
        """Tell where all stand."""
        height = self._ports.store.tip.height
        await self._send("sub_heartbeat", types.Heartbeat(at_height=height, subscriptions=self.positions()))

    async def close(self) -> None:
        """End all."""
        tasks = [each.task for each in self._open.values() if each.task is not None]
        self._open.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self, number: int, subscription: _Subscription, throttled: bool) -> None:
        await subscription.told.wait()
        try:
            while True:
                await self._ports.turns.next()
                with self._ports.store.snapshot() as store:
                    tip = store.tip.height
                    before = subscription.place
                    told, after = await subscription.source.read(store, before)
                for place, event in told:
                    await self._send("sub_event", event)
                    subscription.place = place
                subscription.place = after
                if throttled:
                    await asyncio.sleep(THROTTLE_SECONDS)
                elif after == before or (not told and after[0] > tip):
                    await self._ports.reached(tip + 1, HEARTBEAT_SECONDS)
        except Exception as error:  # the connection's: it ends by this
            self._failed(error)


async def _elsewhere(ports: Ports, params: Any) -> NoReturn:
    raise RpcError(INVALID_REQUEST, expected="a WebSocket: /ws")


async def subscribe(ports: Ports, params: types.SubscribeParams) -> types.SubscribeResult:
    """Over a WebSocket: be told what happens, from a cursor or from now on, as sub_event notifications."""
    await _elsewhere(ports, params)


async def unsubscribe(ports: Ports, params: types.UnsubscribeParams) -> types.UnsubscribeResult:
    """Over a WebSocket: be told no more; the cursor says where to go on later."""
    await _elsewhere(ports, params)


METHODS: Final = (
    Method("sub_subscribe", types.SubscribeParams, types.SubscribeResult, subscribe, cost=5, websocket=True),
    Method("sub_unsubscribe", types.UnsubscribeParams, types.UnsubscribeResult, unsubscribe, websocket=True),
)
