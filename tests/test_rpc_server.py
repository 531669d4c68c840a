"""HTTP: status codes, who may knock, and what a stranger can cost."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from node.rpc.jsonrpc import BODY_BYTES_MAX
from node.rpc.limiter import ADDRESSES_MAX, Limiter
from node.rpc.ports import Grant
from node.rpc.server import METRICS_COST, PAGE_COST, RpcServer, ServerLimits
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import BOB, running, solo_chain

INFO = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "chain_getInfo"})
HEAD = b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: %b\r\nSec-WebSocket-Key: %b\r\n"
)
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
QUICK = ServerLimits(
    connections_max=8, connections_per_address_max=4, body_seconds=0.3, keepalive_seconds=0.3, write_seconds=0.3
)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path) as found:
        yield found


# Status codes


async def test_any_well_formed_reply_is_200(lab: Lab) -> None:
    for method in ("chain_getInfo", "no_such", "tx_get"):
        async with lab.post(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method})) as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            assert response.headers["Cache-Control"] == "no-store"


async def test_notifications_are_answered_with_204_and_nothing(lab: Lab) -> None:
    async with lab.post('{"jsonrpc":"2.0","method":"chain_getInfo"}') as response:
        assert (response.status, await response.read()) == (204, b"")


@pytest.mark.parametrize("body", ["", "{", "[]", "[" * 100, "[" + ",".join([INFO] * 51) + "]"])
async def test_what_is_no_json_rpc_is_400_with_an_error(lab: Lab, body: str) -> None:
    async with lab.post(body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] < 0


async def test_a_body_above_the_limit_is_413(lab: Lab) -> None:
    async with lab.post(io.BytesIO(b" " * (BODY_BYTES_MAX + 1))) as response:
        assert response.status == 413
        assert (await response.json())["error"]["data"]["name"] == "limit_exceeded"


async def test_a_chunked_body_above_the_limit_is_413(lab: Lab) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 65_536 + 2):
            yield b" " * 65_536

    async with lab.session.post(
        f"{lab.url}/rpc", data=chunks(), headers={"Content-Type": "application/json"}
    ) as response:
        assert response.status == 413


async def test_a_full_node_is_429_with_retry_after(lab: Lab) -> None:
    lab.chain.full = True
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tx_submit",
        "params": {"tx": lab.chain.pay("alice", BOB, 1).raw.hex()},
    }
    async with lab.post(json.dumps(call)) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "2")


async def test_a_caller_above_the_rate_is_429_with_retry_after(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, ServerLimits(calls_per_second=1, calls_burst=3)) as lab:
        for _ in range(3):
            async with lab.post(INFO) as response:
                assert response.status == 200
        async with lab.post(INFO) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "1")


async def test_each_call_of_a_batch_is_counted(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, ServerLimits(calls_per_second=1, calls_burst=3)) as lab:
        async with lab.post("[" + ",".join([INFO] * 5) + "]") as response:
            replies = await response.json()
        names = [reply["error"]["data"]["name"] for reply in replies if "error" in reply]
        assert names == ["rate_limited", "rate_limited"]


async def test_a_read_of_the_future_is_503(lab: Lab) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "chain_getInfo", "params": {"min_height": 99}}
    async with lab.post(json.dumps(call)) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")


async def test_errors_speak_the_language_of_the_request(lab: Lab) -> None:
    async with lab.post('{"jsonrpc":"2.0","id":1,"method":"x"}', Accept_Language="fr, ky;q=0.8, en") as response:
        assert (await response.json())["error"]["message"] == "Мындай ыкма жок"


# Browsers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:26657", "127.0.0.1.evil.example", "", "localhost@evil"])
async def test_a_foreign_host_name_is_refused(lab: Lab, host: str) -> None:
    async with lab.post(INFO, Host=host) as response:
        assert response.status in (400, 403)
    async with lab.get("/metrics", Host=host) as response:
        assert response.status in (400, 403)


async def test_a_configured_host_name_is_served(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, hosts=("Bank-1",)) as lab, lab.post(INFO, Host="bank-1:26657") as response:
        assert response.status == 200


async def test_no_page_of_another_origin_is_served(lab: Lab) -> None:
    async with lab.post(INFO, Origin="https://evil.example") as response:
        assert response.status == 403
        assert not any(name.lower().startswith("access-control") for name in response.headers)
    async with lab.post(INFO, Origin=lab.url) as response:
        assert response.status == 200
    async with lab.session.options(f"{lab.url}/rpc", headers={"Origin": "https://evil.example"}) as response:
        assert response.status == 405
        assert not any(name.lower().startswith("access-control") for name in response.headers)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_form_is_no_call(lab: Lab, kind: str) -> None:
    async with lab.post(INFO, Content_Type=kind) as response:
        assert response.status == 415


async def test_a_compressed_body_is_refused_unread(lab: Lab) -> None:
    async with lab.post(INFO, Content_Encoding="gzip") as response:
        assert response.status == 415


async def test_a_question_by_get_is_refused(lab: Lab) -> None:
    async with lab.get("/rpc") as response:
        assert response.status == 405


# Health


async def test_alive_is_not_ready(lab: Lab) -> None:
    lab.chain.ready = False
    async with lab.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"alive": True})
    async with lab.get("/readyz") as response:
        assert response.status == 503
        assert (await response.json())["reasons"] == ["no block for 15 seconds"]


async def test_ready_is_200_with_the_height(lab: Lab) -> None:
    async with lab.get("/readyz") as response:
        assert (response.status, await response.json()) == (200, {"ready": True, "reasons": [], "height": 4})


async def test_metrics_are_what_the_node_renders(lab: Lab) -> None:
    async with lab.get("/metrics") as response:
        assert (response.status, await response.text()) == (200, "som_up 1\n")
        assert response.content_type == "text/plain"


async def test_metrics_are_rendered_once_a_second_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[bytes] = []

    def render() -> bytes:
        rendered.append(b"som_up %d\n" % len(rendered))
        return rendered[-1]

    async with solo_chain(tmp_path) as chain, aiohttp.ClientSession() as session:
        server = RpcServer(chain.ports(), render)
        await server.start("127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.port}/metrics"
        try:
            for _ in range(5):
                async with session.get(url) as response:
                    assert await response.text() == "som_up 0\n"
            monkeypatch.setattr("node.rpc.server.METRICS_SECONDS", 0.0)
            async with session.get(url) as response:
                assert await response.text() == "som_up 1\n"
        finally:
            await server.stop()


async def test_pages_are_counted_as_calls_but_the_sign_of_life_is_not(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, ServerLimits(calls_per_second=1, calls_burst=METRICS_COST + PAGE_COST)) as lab:
        for path, status in (("/metrics", 200), ("/readyz", 200), ("/readyz", 429), ("/metrics", 429)):
            async with lab.get(path) as response:
                assert response.status == status, path
        for path in ("/", "/explorer/", "/ws"):
            async with lab.get(path, allow="") as response:
                assert (response.status, response.headers["Retry-After"]) == (429, "1"), path
        assert lab.server.denied["rate_limited"] == 5
        async with lab.get("/healthz") as response:
            assert response.status == 200
        async with lab.local.get("http://localhost/metrics") as response:
            assert response.status == 200


# Tokens that are none


class Strict(dict[str, Grant]):
    """Tokens that are looked up by the hash of their bytes, as a node does."""

    def get(self, token: str, default: Any = None) -> Any:
        token.encode()
        return super().get(token, default)


async def test_a_token_of_other_bytes_than_text_is_refused_as_unauthorized(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with solo_chain(tmp_path) as chain:
        chain.tokens = Strict()
        async with running(chain) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(HEAD + b"Authorization: Bearer \xff\xfe\r\nContent-Length: 2\r\n\r\n{}")
            assert b" 401 " in await reader.readline()
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(UPGRADE % (b"13", KEY) + b"Sec-WebSocket-Protocol: som-rpc, som-token.\xff\r\n\r\n")
            assert b" 401 " in await reader.readline()
            writer.close()
            assert server.denied["unauthorized"] == 2
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_no_log_has_the_token_of_a_page_that_offers_no_protocol_of_ours(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lab.chain.tokens["5ecre7"] = Grant("page", frozenset(), 0, 0, 0, 0, 0)
    for offered in ("som-token.5ecre7", "som-token.5ecre7, graphql-ws", "som-token.5ecre7, SOM-RPC"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await lab.session.ws_connect(f"{lab.url}/ws", headers={"Sec-WebSocket-Protocol": offered})
        assert refused.value.status == 400
    assert "5ecre7" not in caplog.text
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


@pytest.mark.parametrize(("version", "key"), [(b"99", KEY), (b"13", b"bGlu")], ids=["version", "key"])
async def test_a_handshake_that_is_none_is_told_so(lab: Lab, version: bytes, key: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(lab.url.rpartition(":")[2]))
    writer.write(UPGRADE % (version, key) + b"\r\n")
    async with asyncio.timeout(5):
        assert b" 400 " in await reader.readline()
    writer.close()
    assert len(lab.server.websockets) == 0


# What a stranger can cost


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes; a reset is a close."""
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /rpc HT",
        b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nX: ",
        HEAD + b"Content-Length: 100\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["nothing", "half a line", "half a header", "half a body", "no chunk"],
)
async def test_a_request_that_does_not_end_is_closed_by_the_clock(tmp_path: Path, sent: bytes) -> None:
    async with rpc_lab(tmp_path, QUICK) as lab:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(lab.url.rpartition(":")[2]))
        writer.write(sent)
        received = await until_closed(reader)
        assert b" 200 " not in received
        writer.close()


async def test_a_body_that_drips_is_cut_off_in_time(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, QUICK) as lab:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(lab.url.rpartition(":")[2]))
        head = (
            b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        )
        writer.write(head)

        async def drip() -> None:
            for _ in range(1_000):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(5):
            assert b"408" in await reader.readline()
        await until_closed(reader)
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()


async def test_connections_of_one_address_are_bounded(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, QUICK) as lab:
        port = int(lab.url.rpartition(":")[2])
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        assert b"503" in await until_closed(opened[-1][0])
        for _, writer in opened:
            writer.close()


async def test_strangers_take_no_room_from_the_operators_socket(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, ServerLimits(connections_max=2)) as lab:
        port = int(lab.url.rpartition(":")[2])
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert b"503" in await until_closed(opened[-1][0])
        assert (await lab.call("admin_getStatus"))["node"] == "solo"
        for _, writer in opened:
            writer.close()


async def test_headers_are_bounded(lab: Lab) -> None:
    async with lab.post(INFO, X="y" * 10_000) as response:
        assert response.status == 400
    async with lab.session.post(f"{lab.url}/rpc", data=INFO, headers={f"x-{i}": "y" for i in range(100)}) as response:
        assert response.status == 400


async def test_the_server_still_answers_after_all_this(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, QUICK) as lab:
        port = int(lab.url.rpartition(":")[2])
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        for reader, writer in opened:
            await until_closed(reader)
            writer.close()
        async with lab.post(INFO) as response:
            assert response.status == 200


async def test_a_caller_that_hangs_up_waits_for_nothing(lab: Lab) -> None:
    lab.chain.hold = True
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tx_submit",
        "params": {"tx": lab.chain.pay("alice", BOB, 1).raw.hex(), "wait": "final", "timeout_ms": 60_000},
    }
    body = json.dumps(call).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", int(lab.url.rpartition(":")[2]))
    writer.write(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await lab.chain.waited.wait()
    writer.close()
    async with asyncio.timeout(5):
        await lab.chain.left.wait()


# The limiter


def test_a_bucket_fills_with_time_and_never_above_its_burst() -> None:
    limiter = Limiter(calls_per_second=10, burst=5)
    assert [limiter.wait_ms("a", 0) for _ in range(6)] == [0, 0, 0, 0, 0, 100]
    assert limiter.wait_ms("b", 0) == 0
    assert limiter.wait_ms("a", 99) == 1
    assert limiter.wait_ms("a", 100) == 0
    assert [limiter.wait_ms("a", 1_000_000) for _ in range(6)] == [0, 0, 0, 0, 0, 100]


def test_a_call_dearer_than_the_burst_is_possible_with_a_full_bucket() -> None:
    limiter = Limiter(calls_per_second=1, burst=3)
    assert limiter.wait_ms("a", 0, cost=10) == 0
    assert limiter.wait_ms("a", 0) == 1_000


def test_addresses_are_bounded() -> None:
    limiter = Limiter(calls_per_second=1, burst=1)
    for number in range(ADDRESSES_MAX + 10):
        limiter.wait_ms(str(number), 0)
    assert limiter.wait_ms(str(ADDRESSES_MAX + 9), 0) == 1_000
    assert limiter.wait_ms("0", 0) == 0
