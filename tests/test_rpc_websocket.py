"""WebSockets: the same methods, and events that are replayed and live without a gap or a double."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from node.rpc.server import ServerLimits
from node.rpc.subscriptions import SUBSCRIPTIONS_MAX
from node.rpc.websocket import CALLS_AT_ONCE
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import ALICE, BANK, BOB, digits

WAIT_SECONDS = 20.0


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path) as found:
        yield found


class Socket:
    """A client that keeps what is told to it."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.told: list[dict[str, Any]] = []
        self._count = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the reply; what comes before it is kept."""
        self._count += 1
        await self.ws.send_json({"jsonrpc": "2.0", "id": self._count, "method": method, "params": params})
        while True:
            message = await self.next_message()
            if message.get("id") == self._count:
                return message
            self.told.append(message)

    async def subscribe(self, topic: str, **params: Any) -> dict[str, Any]:
        result: dict[str, Any] = (await self.call("sub_subscribe", topic=topic, **params))["result"]
        return result

    async def next_message(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_SECONDS):
            message = await self.ws.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.ws.close_code)
        found: dict[str, Any] = json.loads(message.data)
        return found

    async def event(self) -> dict[str, Any]:
        """Return the params of the next event."""
        message = self.told.pop(0) if self.told else await self.next_message()
        assert message["method"] == "sub_event", message
        found: dict[str, Any] = message["params"]
        return found

    async def events(self, count: int) -> list[dict[str, Any]]:
        return [await self.event() for _ in range(count)]


@asynccontextmanager
async def socket(lab: Lab, **headers: str) -> AsyncIterator[Socket]:
    async with lab.session.ws_connect(f"{lab.url}/ws", headers=headers, max_msg_size=0) as ws:
        yield Socket(ws)


# The same methods


async def test_every_call_of_http_can_be_made_here(lab: Lab) -> None:
    async with socket(lab) as client:
        assert (await client.call("chain_getInfo"))["result"] == await lab.call("chain_getInfo")
        assert (await client.call("tx_get"))["error"]["data"]["path"] == "tx_id"
        assert (await client.call("no_such"))["error"]["code"] == -32601
        await client.ws.send_str('[{"jsonrpc":"2.0","id":7,"method":"chain_getInfo"},1]')
        batch: Any = await client.next_message()
        assert batch[0]["id"] == 7
        assert batch[1]["error"]["code"] == -32600
        await client.ws.send_str("{")
        assert (await client.next_message())["error"]["code"] == -32700


async def test_many_calls_at_once_are_all_answered(lab: Lab) -> None:
    async with socket(lab) as client:
        for number in range(5 * CALLS_AT_ONCE):
            await client.ws.send_json({"jsonrpc": "2.0", "id": number, "method": "chain_getInfo"})
        ids = {(await client.next_message())["id"] for _ in range(5 * CALLS_AT_ONCE)}
        assert ids == set(range(5 * CALLS_AT_ONCE))


async def test_over_http_nobody_subscribes(lab: Lab) -> None:
    async with lab.post('{"jsonrpc":"2.0","id":1,"method":"sub_subscribe","params":{"topic":"blocks"}}') as response:
        told = (await response.json())["error"]
        assert (told["code"], told["data"]["expected"]) == (-32600, "a WebSocket: /ws")


# Replay and live


async def test_blocks_are_told_from_a_cursor_and_then_live_without_gap_or_double(lab: Lab) -> None:
    async with socket(lab) as client:
        begun = await client.subscribe("blocks")
        for _ in range(5):
            await lab.chain.add_block(())
        first = await client.events(5)
    before = lab.chain.store.tip.height
    for _ in range(70):  # more than one look at the store
        await lab.chain.add_block(())
    async with socket(lab) as client:
        again = await client.subscribe("blocks", from_cursor=first[1]["cursor"])
        adding = asyncio.create_task(add_blocks(lab, 20))
        told = await client.events(3 + 70 + 20)
        await adding
    heights = [event["block"]["height"] for event in (*first[:2], *told)]
    assert heights == list(range(before - 4, before + 91))
    assert begun["subscription"] == again["subscription"] == 1
    assert again["cursor"] == first[1]["cursor"]
    whole = await lab.call("chain_getBlocks", start=before, limit=1)
    assert told[2]["block"] == whole["blocks"][0]


async def add_blocks(lab: Lab, count: int) -> None:
    for _ in range(count):
        await lab.chain.add_block(())
        await asyncio.sleep(0)


async def test_no_event_comes_before_the_reply_that_names_its_subscription(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.rpc.registry.MIN_HEIGHT_WAIT_SECONDS", 0.5)
    subscribing = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "sub_subscribe",
        "params": {"topic": "blocks", "from_height": 1},
    }
    waiting = {"jsonrpc": "2.0", "id": 2, "method": "chain_getInfo", "params": {"min_height": 99}}
    async with socket(lab) as client:
        await client.ws.send_json([subscribing, waiting])
        await until(lambda: lab.server.websockets.subscriptions == 1)
        await client.ws.send_json({"jsonrpc": "2.0", "id": 3, "method": "chain_getInfo"})
        assert (await client.next_message())["id"] == 3
        batch: Any = await client.next_message()
        assert [reply["id"] for reply in batch] == [1, 2]
        assert (await client.event())["subscription"] == batch[0]["result"]["subscription"]


async def test_who_subscribes_without_asking_for_a_reply_is_told_events(lab: Lab) -> None:
    async with socket(lab) as client:
        params = {"topic": "blocks", "from_height": 1}
        await client.ws.send_json({"jsonrpc": "2.0", "method": "sub_subscribe", "params": params})
        assert (await client.event())["block"]["height"] == 1


async def test_an_account_hears_of_each_entry_once_as_its_statement_has_it(lab: Lab) -> None:
    async with socket(lab) as client:
        await client.subscribe("account", account=digits(ALICE))
        for amount in range(1, 8):
            await lab.chain.execute([lab.chain.pay("alice", BOB, amount)])
        told = await client.events(7)
    history = await lab.call("account_getHistory", account=digits(ALICE), order="asc")
    assert [event["entry"] for event in told] == history["entries"][1:]
    async with socket(lab) as client:
        await client.subscribe("account", account=digits(ALICE), from_cursor=told[3]["cursor"])
        await lab.chain.execute([lab.chain.pay("alice", BOB, 99)])
        again = await client.events(4)
    assert [event["entry"] for event in again[:3]] == [event["entry"] for event in told[4:]]
    assert again[3]["entry"]["amount"] == "-99"


async def test_transactions_are_told_in_the_order_of_execution_across_looks(lab: Lab) -> None:
    sent = [lab.chain.pay("alice", BOB, 1) for _ in range(80)]
    async with socket(lab) as client:
        await client.subscribe("transactions")
        await lab.chain.execute(sent)
        told = await client.events(80)
    assert [event["transaction"]["tx_id"] for event in told] == [each.id.hex() for each in sent]
    assert {event["transaction"]["outcome"]["status"] for event in told} == {"applied"}
    async with socket(lab) as client:
        await client.subscribe("transactions", from_cursor=told[40]["cursor"])
        again = await client.events(39)
    assert [event["transaction"] for event in again] == [event["transaction"] for event in told[41:]]


async def test_named_transactions_are_told_once_each_also_those_that_are_final_already(lab: Lab) -> None:
    old, new, other = (lab.chain.pay("alice", BOB, amount) for amount in (1, 2, 3))
    poor = lab.chain.pay("alice", BOB, 10**9)
    await lab.chain.execute([old])
    async with socket(lab) as client:
        await client.subscribe("transactions", tx_ids=[each.id.hex() for each in (new, poor, old)])
        first = await client.event()
        await lab.chain.execute([other, poor])
        await lab.chain.execute([new])
        rest = await client.events(2)
        assert (await client.call("sub_unsubscribe", subscription=1))["result"]["cursor"]
        assert client.told == []
    told = [(event["transaction"]["tx_id"], event["transaction"]["outcome"]["status"]) for event in (first, *rest)]
    assert told == [(old.id.hex(), "applied"), (poor.id.hex(), "failed"), (new.id.hex(), "applied")]
    async with socket(lab) as client:
        again = [each.id.hex() for each in (old, new, poor)]  # in any order
        await client.subscribe("transactions", tx_ids=again, from_cursor=first["cursor"])
        assert [event["transaction"] for event in await client.events(2)] == [event["transaction"] for event in rest]


async def test_the_view_under_way_and_the_committee_are_told(lab: Lab) -> None:
    async with socket(lab) as client:
        await client.subscribe("consensus")
        seen = await client.event()
        assert seen["consensus"] == await lab.call("chain_getConsensus")
        await client.subscribe("validators")


async def test_a_cursor_fits_its_own_subscription_only(lab: Lab) -> None:
    async with socket(lab) as client:
        cursor = (await client.subscribe("account", account=digits(ALICE)))["cursor"]
        for params in (
            {"topic": "account", "account": digits(BOB)},
            {"topic": "blocks"},
            {"topic": "transactions"},
        ):
            told = await client.call("sub_subscribe", from_cursor=cursor, **params)
            assert told["error"]["data"]["path"] == "from_cursor", told
        for wrong in ({"topic": "blocks", "account": digits(ALICE)}, {"topic": "account"}, {"topic": "x"}):
            assert (await client.call("sub_subscribe", **wrong))["error"]["code"] == -32602
        told = await client.call("sub_subscribe", topic="blocks", tx_ids=["00" * 32])
        assert told["error"]["data"]["path"] == "tx_ids"


async def test_a_cursor_ahead_of_this_node_waits_until_it_has_caught_up(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path / "a") as ahead, rpc_lab(tmp_path / "b") as behind:
        for _ in range(6):
            await ahead.chain.add_block(())
        async with socket(ahead) as client:
            cursor = (await client.subscribe("blocks"))["cursor"]
        async with socket(behind) as client:
            await client.subscribe("blocks", from_cursor=cursor)
            for _ in range(7):
                await behind.chain.add_block(())
            assert (await client.event())["block"]["height"] == ahead.chain.store.tip.height + 1


# Bounds


async def test_subscriptions_and_clients_are_bounded(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, ServerLimits(websockets_max=2)) as lab, socket(lab) as first, socket(lab):
        for _ in range(SUBSCRIPTIONS_MAX):
            await first.subscribe("blocks")
        assert (await first.call("sub_subscribe", topic="blocks"))["error"]["data"]["name"] == "limit_exceeded"
        assert "result" in await first.call("sub_unsubscribe", subscription=2)
        assert (await first.call("sub_unsubscribe", subscription=2))["error"]["data"]["name"] == "not_found"
        assert (await first.subscribe("blocks"))["subscription"] == SUBSCRIPTIONS_MAX + 1
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with socket(lab):
                pass
        assert refused.value.status == 429


async def test_who_does_not_read_is_closed_with_the_cursor_to_go_on_from(tmp_path: Path) -> None:
    limits = ServerLimits(write_seconds=0.5)
    async with rpc_lab(tmp_path, limits) as lab:
        for _ in range(20):
            await lab.chain.execute([lab.chain.pay("alice", BOB, 1) for _ in range(200)])
        async with lab.session.ws_connect(f"{lab.url}/ws", max_msg_size=0) as ws:
            client = Socket(ws)
            transport: Any = ws._response.connection.transport  # type: ignore[union-attr]
            begun = await client.subscribe("transactions")
            assert begun["subscription"] == 1
            transport.pause_reading()
            adding = asyncio.create_task(pay_much(lab, 40))
            await until(lambda: lab.server.websockets.slow == 1)
            transport.resume_reading()
            told: list[dict[str, Any]] = []
            while True:
                message = await ws.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                told.append(json.loads(message.data))
            await adding
        events = [message["params"] for message in told if message["method"] == "sub_event"]
        assert events, "what stood in the socket was read"
        async with socket(lab) as client:  # nothing is lost: the last cursor that was read goes on
            await client.subscribe("transactions", from_cursor=events[-1]["cursor"])
            after = await client.event()
        places = [(event["transaction"]["height"], event["transaction"]["index"]) for event in (*events, after)]
        assert places == sorted(set(places))
        assert places[-1] in ((places[-2][0], places[-2][1] + 1), (places[-2][0] + 2, 0))


async def pay_much(lab: Lab, blocks: int) -> None:
    for _ in range(blocks):
        await lab.chain.execute([lab.chain.pay("alice", BOB, 1) for _ in range(200)])
        await asyncio.sleep(0)


async def until(holds: Any) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not holds():  # noqa: ASYNC110  a count of the server's, which tells nobody
            await asyncio.sleep(0.01)


async def test_a_page_of_another_origin_or_host_gets_no_socket(lab: Lab) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with socket(lab, **headers):
                pass
        assert refused.value.status == 403
    async with socket(lab, Origin=lab.url) as client:
        assert "result" in await client.call("chain_getInfo")
    async with lab.get("/ws") as response:
        assert response.status == 400


async def test_a_message_that_is_too_large_ends_the_connection_and_not_the_node(lab: Lab) -> None:
    async with lab.session.ws_connect(f"{lab.url}/ws") as ws:
        await ws.send_str(" " * (2 * 1024 * 1024))
        assert (await ws.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert ws.close_code == 1009
    assert await lab.call("chain_getInfo")


async def test_heartbeats_tell_where_all_stand(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.rpc.websocket.HEARTBEAT_SECONDS", 0.05)
    async with socket(lab) as client:
        cursor = (await client.subscribe("account", account=digits(BANK)))["cursor"]
        beat = await client.next_message()
        assert beat["method"] == "sub_heartbeat"
        assert beat["params"]["subscriptions"] == [{"subscription": 1, "cursor": cursor}]


async def test_a_client_that_is_not_heard_not_even_by_a_pong_is_let_go(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.rpc.websocket.SILENCE_SECONDS", 0.2)
    async with socket(lab) as client:
        assert "result" in await client.call("chain_getInfo")
        await until(lambda: len(lab.server.websockets) == 0)
    assert lab.server.websockets.slow == 0


async def test_a_stopping_node_says_so_with_the_cursors(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session, rpc_lab(tmp_path) as lab:
        ws = await session.ws_connect(f"{lab.url}/ws")
        client = Socket(ws)
        cursor = (await client.subscribe("blocks"))["cursor"]
        stopping = asyncio.create_task(lab.server.stop())
        told = await client.next_message()
        assert told["method"] == "sub_closed"
        assert told["params"]["name"] == "stopping"
        assert told["params"]["subscriptions"] == [{"subscription": 1, "cursor": cursor}]
        assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 1001
        await stopping


async def test_a_client_that_goes_leaves_nothing_behind(lab: Lab) -> None:
    async with socket(lab) as client:
        await client.subscribe("blocks")
        assert (len(lab.server.websockets), lab.server.websockets.subscriptions) == (1, 1)
    await until(lambda: len(lab.server.websockets) == 0)
    await lab.chain.add_block(())
    assert lab.server.websockets.subscriptions == 0
