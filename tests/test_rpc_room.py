"""Bytes that are held for callers: counted when they are here, bounded together and for each address."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any, Final

import pytest

from node.rpc.jsonrpc import REPLY_BYTES_MAX, REPLY_SMALL_BYTES
from node.rpc.room import FREE_BYTES, Room
from node.rpc.server import ServerLimits
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import BOB

INFO: Final = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "chain_getInfo"})
DISCOVER: Final = '{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}'
MANY: Final = "[" + ",".join([DISCOVER] * 50) + "]"
HEAD: Final = b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
KIB: Final = 1024


def port_of(lab: Lab) -> int:
    return int(lab.url.rpartition(":")[2])


async def name_of(response: Any) -> str:
    name: str = (await response.json())["error"]["data"]["name"]
    return name


async def until_refused(lab: Lab, body: str) -> tuple[int, str]:
    """Post until there is no room for it; what fills the room is under way."""
    async with asyncio.timeout(20):
        while True:
            async with lab.post(body) as response:
                if response.status != 200:
                    return response.status, await name_of(response)
            await asyncio.sleep(0.02)


async def until_overloaded(lab: Lab) -> None:
    """Ask for more than is left behind replies that nobody reads, which come in pieces of one document."""
    async with asyncio.timeout(20):
        while True:
            async with lab.post(f"[{DISCOVER},{DISCOVER},{DISCOVER}]") as response:
                replies = await response.json()
            if "overloaded" in [reply["error"]["data"]["name"] for reply in replies if "error" in reply]:
                return
            await asyncio.sleep(0.02)


async def until_answered(lab: Lab, body: str) -> None:
    async with asyncio.timeout(20):
        while True:
            async with lab.post(body) as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.02)


# The count


def test_all_together_and_each_address_have_a_bound_and_what_ended_is_given_back() -> None:
    room = Room(bytes_max=100, share_max=60)
    with room.hold("a") as first, room.hold("a") as second, room.hold("b") as third:
        assert first.grow(FREE_BYTES + 40)
        assert not second.grow(FREE_BYTES + 21)
        assert second.grow(FREE_BYTES + 20)
        assert not third.grow(FREE_BYTES + 41)
        assert third.grow(FREE_BYTES + 40)
        assert room.used == 100
        assert not third.grow(1)
    assert room.used == 0
    with room.hold("a") as first:
        assert first.grow(FREE_BYTES + 60)


def test_the_first_bytes_of_each_are_free() -> None:
    room = Room(bytes_max=1, share_max=1)
    with room.hold("a") as full, room.hold("a") as small:
        assert full.grow(FREE_BYTES + 1)
        assert small.grow(FREE_BYTES)
        assert not small.grow(1)


def test_the_operators_own_are_not_counted() -> None:
    room = Room(bytes_max=1, share_max=1)
    with room.hold(None) as held:
        assert held.grow(10 * FREE_BYTES)
        assert room.used == 0


# Bodies


async def test_bodies_that_are_announced_and_do_not_come_take_no_room(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path) as lab:
        opened = [await asyncio.open_connection("127.0.0.1", port_of(lab)) for _ in range(40)]
        for _, writer in opened:
            writer.write(HEAD % (4 * KIB * KIB))
        await asyncio.sleep(0.2)
        large = INFO + " " * (900 * KIB)
        async with lab.post(large) as response:
            assert response.status == 200
        assert (await lab.call("admin_getStatus"))["node"] == "solo"
        for _, writer in opened:
            writer.close()


async def test_bodies_that_came_are_bounded_together_and_small_calls_and_the_operator_get_through(
    tmp_path: Path,
) -> None:
    limits = ServerLimits(bodies_bytes_max=256 * KIB, bodies_per_address_bytes_max=128 * KIB)
    large = INFO + " " * (150 * KIB)  # 86 KiB of it count
    async with rpc_lab(tmp_path, limits) as lab:
        async with lab.post(large) as response:
            assert response.status == 200
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(lab))
        writer.write(HEAD % (200 * KIB) + b" " * (150 * KIB))
        assert await until_refused(lab, large) == (503, "overloaded")
        async with lab.post(large) as response:
            assert (response.headers["Retry-After"], response.headers["Connection"]) == ("1", "close")
        async with lab.post(INFO) as response:
            assert response.status == 200
        headers = {"Content-Type": "application/json"}
        async with lab.local.post("http://localhost/rpc", data=large, headers=headers) as response:
            assert response.status == 200
        writer.close()
        await until_answered(lab, large)


# Replies


async def test_the_replies_of_a_batch_are_bounded_and_the_rest_is_limit_exceeded(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path) as lab, lab.post(MANY) as response:
        body = await response.read()
    replies = json.loads(body)
    told = ["result" in reply for reply in replies]
    assert len(body) < REPLY_BYTES_MAX + 50 * REPLY_SMALL_BYTES
    assert told == sorted(told, reverse=True)
    assert 20 < sum(told) < 50
    assert {reply["error"]["data"]["name"] for reply in replies if "error" in reply} == {"limit_exceeded"}


async def test_what_became_of_a_payment_is_told_in_a_batch_whose_replies_are_full(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path) as lab:
        raw = lab.chain.pay("alice", BOB, 1).raw.hex()
        pay = {"jsonrpc": "2.0", "id": 2, "method": "tx_submit", "params": {"tx": raw, "wait": "final"}}
        async with lab.post(f"{MANY[:-1]},{json.dumps(pay)}]".replace(DISCOVER + ",", "", 1)) as response:
            replies = await response.json()
    assert replies[-2]["error"]["data"]["name"] == "limit_exceeded"
    assert replies[-1]["result"]["outcome"]["status"] == "applied"


async def test_replies_that_are_not_read_are_bounded_together_until_they_are_sent(tmp_path: Path) -> None:
    limits = ServerLimits(replies_bytes_max=4 * KIB * KIB, replies_per_address_bytes_max=3 * KIB * KIB)
    async with rpc_lab(tmp_path, limits) as lab:
        await until_answered(lab, DISCOVER)
        unread = socket.socket()
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        unread.setblocking(False)
        await asyncio.get_running_loop().sock_connect(unread, ("127.0.0.1", port_of(lab)))
        unread.send(HEAD % len(MANY) + MANY.encode())
        await until_overloaded(lab)
        async with lab.post(INFO) as response:
            assert response.status == 200
        async with lab.get("/explorer/") as response:
            assert response.status == 200
        headers = {"Content-Type": "application/json"}
        async with lab.local.post("http://localhost/rpc", data=DISCOVER, headers=headers) as response:
            assert response.status == 200
        unread.close()
        await until_answered(lab, DISCOVER)


async def test_a_lone_call_for_whose_reply_there_is_no_room_is_429(tmp_path: Path) -> None:
    limits = ServerLimits(replies_bytes_max=1, replies_per_address_bytes_max=1)
    async with rpc_lab(tmp_path, limits) as lab, lab.post(DISCOVER) as response:
        assert (response.status, await name_of(response), response.headers["Retry-After"]) == (429, "overloaded", "1")


async def test_a_page_for_which_there_is_no_room_is_503(tmp_path: Path) -> None:
    limits = ServerLimits(replies_bytes_max=1, replies_per_address_bytes_max=1)
    async with rpc_lab(tmp_path, limits) as lab:
        lab.server._render_metrics = lambda: b"#" * (FREE_BYTES + 2)
        async with lab.get("/metrics") as response:
            assert (response.status, await name_of(response)) == (503, "overloaded")


# Over a WebSocket


async def test_over_a_websocket_the_same_bounds_hold(tmp_path: Path) -> None:
    limits = ServerLimits(
        bodies_bytes_max=256 * KIB,
        bodies_per_address_bytes_max=128 * KIB,
        replies_bytes_max=5 * KIB * KIB,
        replies_per_address_bytes_max=4 * KIB * KIB,
    )
    async with rpc_lab(tmp_path, limits) as lab, lab.session.ws_connect(f"{lab.url}/ws", max_msg_size=0) as ws:
        await ws.send_str(MANY)
        replies = json.loads((await ws.receive(timeout=20)).data)
        assert {reply["error"]["data"]["name"] for reply in replies if "error" in reply} <= {
            "limit_exceeded",
            "overloaded",
        }
        assert 20 < sum("result" in reply for reply in replies) < 50
        await ws.send_str(INFO + " " * (300 * KIB))
        told = json.loads((await ws.receive(timeout=20)).data)
        assert told["error"]["data"]["name"] == "overloaded"
        await ws.send_str(INFO)
        assert "result" in json.loads((await ws.receive(timeout=20)).data)


async def test_replies_that_a_websocket_does_not_read_take_room_until_it_ends(tmp_path: Path) -> None:
    limits = ServerLimits(replies_bytes_max=4 * KIB * KIB, replies_per_address_bytes_max=3 * KIB * KIB)
    async with rpc_lab(tmp_path, limits) as lab:
        async with lab.session.ws_connect(f"{lab.url}/ws", max_msg_size=0) as ws:
            transport: Any = ws._response.connection.transport  # type: ignore[union-attr]
            transport.pause_reading()
            await ws.send_str(MANY)
            await ws.send_str(MANY)
            await until_overloaded(lab)
            transport.abort()
        await until_answered(lab, DISCOVER)


@pytest.mark.parametrize("share", [32 * KIB * KIB])
def test_one_address_has_half_of_the_room(share: int) -> None:
    limits = ServerLimits()
    assert limits.bodies_per_address_bytes_max == limits.replies_per_address_bytes_max == share
    assert limits.bodies_bytes_max == limits.replies_bytes_max == 2 * share
