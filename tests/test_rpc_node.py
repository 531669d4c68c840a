"""A real validator as its users meet it: every method fuzzed over HTTP and WebSocket while the chain goes on, tokens,
the operator's socket, events, each by the commands of the page."""

import asyncio
import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from click.testing import CliRunner, Result

from devnet.generate import TREASURY, VALIDATORS, bank_account, key_of, seed_of
from devnet.money import issue
from devnet.processes import LocalNetwork
from node.cli import main
from node.client.client import Client
from node.client.trust import Trust
from node.ledger.account import SOM, format_account
from node.ledger.pay import Pay
from node.rpc.history_types import GetUptimeResult
from node.rpc.websocket import MESSAGE_BYTES_MAX
from node.storage.keystore import ANY_CHAIN, write_key
from tests.rpc_fuzz import Fuzz

AT_ONCE: Final = 8
WAIT_SECONDS: Final = 60.0
ONE: Final = VALIDATORS[:1]
WINDOW: Final = 9  # blocks, in which each of four validators has led
EACH: Final = int(os.environ.get("FUZZ_EACH", "3"))


pytestmark = [pytest.mark.processes, pytest.mark.slow]


class User:
    """Who sits at the machine of one validator, which is not open to everybody."""

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network
        self.home = network.directory / ONE[0]
        self.url = network.url(ONE[0])

    def run(self, *arguments: str, **environment: str) -> Result:
        shared = {"SOM_NODE": self.url, "SOM_ACCOUNTS": str(self.network.directory / "accounts.json"), **environment}
        return CliRunner(env=shared).invoke(main, list(arguments), catch_exceptions=False)

    def json(self, *arguments: str, **environment: str) -> Any:
        """Run a command that succeeds, with its home where it takes one; return its data."""
        done = self.run(*arguments, "--json", **environment)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def home_json(self, *arguments: str) -> Any:
        return self.json(*arguments, "--home", str(self.home))

    def token(self, name: str, *arguments: str) -> Path:
        """Make a token; return the file that it was put into."""
        made = self.home_json("token", "new", name, *arguments)
        path = self.network.directory / f"{name}.token"
        path.write_text(made["token"] + "\n")
        return path

    @property
    def log(self) -> str:
        return self.network.log_path(ONE[0]).read_text()


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    network = LocalNetwork(tmp_path_factory.mktemp("rpc") / "net", ONE)
    asyncio.run(network.__aenter__())
    try:
        found = User(network)
        assert "access_open" in found.log, "a devnet says that it is open"
        network.kill(ONE[0])
        config = found.home / "config.toml"
        config.write_text(config.read_text().replace('access = "auto"', 'access = "tokens"'))
        network.start(ONE[0])
        asyncio.run(network.ready(ONE))
        yield found
    finally:
        network.stop()


# Fuzz


@pytest.mark.parametrize("road", ["http", "websocket"])
def test_whatever_comes_the_node_answers_or_refuses_and_the_chain_goes_on(user: User, road: str) -> None:
    """From the document that the node itself gives: no 5xx, no -32603, nothing in its log, height advancing."""
    token = user.token(f"fuzz-{road}", "--scope", "submit", "--scope", "orders", "--scope", "audit").read_text().strip()
    pid = user.network.pid(ONE[0])
    before = user.json("rpc", "chain_getInfo")["height"]
    counted = asyncio.run(_fuzz(user.url, road, token))
    assert counted["ok"] > 40, counted
    assert counted["invalid_params"] > 1_000, counted
    assert counted.keys() >= {"invalid_request", "method_not_found", "parse_error", "limit_exceeded", "not_found"}, (
        counted
    )
    assert user.network.ended() == []
    assert user.network.pid(ONE[0]) == pid
    assert "call_failed" not in user.log
    assert "Traceback" not in user.log
    following = user.json("watch", "blocks", "--count", "1")["block"]["height"]
    assert following > before
    sound = user.run("admin", "audit-log", "--verify", "--home", str(user.home))
    assert sound.exit_code == 0, sound.output


async def _fuzz(url: str, road: str, token: str) -> dict[str, int]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    counted: dict[str, int] = {}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{url}/rpc", data='{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}') as response:
            document = (await response.json())["result"]
        bodies = Fuzz(document, seed=20_263).bodies(EACH)
        if road == "http":
            work = [asyncio.create_task(_post_all(session, url, bodies, counted)) for _ in range(AT_ONCE)]
        else:
            work = [asyncio.create_task(_talk(session, url, bodies, counted)) for _ in range(AT_ONCE)]
        await asyncio.gather(*work)
    return counted


async def _post_all(session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes], counted: dict[str, int]) -> None:
    for body in bodies:
        async with session.post(f"{url}/rpc", data=io.BytesIO(body)) as response:
            received = await response.read()
            assert response.status < 500, (body[:300], received[:300])
            _count(body, received, counted)


async def _talk(session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes], counted: dict[str, int]) -> None:
    """Say each body over a WebSocket, a new one every 50: a client may have 5 subscriptions only."""
    exhausted = False
    while not exhausted:
        async with await _connect(session, url) as ws:
            exhausted = True
            for said, body in enumerate(bodies, 1):
                if len(body) > MESSAGE_BYTES_MAX:
                    continue
                await ws.send_str(body.decode())
                received = await _reply(ws, body)
                _count(body, received, counted)
                if said == 50:
                    exhausted = False
                    break


async def _connect(session: aiohttp.ClientSession, url: str) -> aiohttp.ClientWebSocketResponse:
    """Come again as the node says: what was asked before may have used up what one address may ask in a second."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                return await session.ws_connect(f"{url}/ws", max_msg_size=0)
            except aiohttp.WSServerHandshakeError as error:
                if error.status != 429 or error.headers is None:
                    raise
                await asyncio.sleep(float(error.headers["Retry-After"]))


async def _reply(ws: aiohttp.ClientWebSocketResponse, body: bytes) -> bytes:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            message = await ws.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, (message, ws.close_code, body[:300])
            if '"method":"sub_' not in message.data[:60]:
                return bytes(message.data.encode())


def _count(body: bytes, received: bytes, counted: dict[str, int]) -> None:
    replies = json.loads(received)
    for reply in replies if isinstance(replies, list) else [replies]:
        assert ("result" in reply) != ("error" in reply), (body[:300], reply)
        name = reply["error"]["data"]["name"] if "error" in reply else "ok"
        assert name != "internal_error", (body[:300], reply)
        counted[name] = counted.get(name, 0) + 1


# Tokens and the operator


def test_who_has_no_reason_is_told_nothing_and_who_has_one_is(user: User) -> None:
    number = format_account(bank_account(1))
    assert user.json("status")["info"]["access"] == "tokens"
    refused = user.run("account", "show", "bank-1")
    assert refused.exit_code == 1
    assert "unauthorized" in refused.output
    bank = user.token("bank-1", "--scope", "accounts", "--participant", number, "--calls", "500")
    given = {"SOM_TOKEN_FILE": str(bank)}
    assert user.json("account", "show", "bank-1", **given)["account"]["account"] == number
    assert user.json("account", "show", "aida", **given)["account"]["bank"] == number
    assert "forbidden" in user.run("account", "show", "treasury", **given).output
    enforcer = {"SOM_TOKEN_FILE": str(user.token("enforcer", "--scope", "orders"))}
    assert "forbidden" in user.run("account", "show", "aida", **enforcer).output
    assert user.json("account", "show", "aida", "--under-order", "17/26", **enforcer)["account"]["bank"] == number
    entry = user.home_json("admin", "audit-log")[-1]
    assert (entry["caller"], entry["method"], entry["params"]["under_order"]) == ("enforcer", "account_get", "17/26")
    listed = user.home_json("token", "list")
    assert {"bank-1", "enforcer"} <= {row["name"] for row in listed}
    assert "hash" not in listed[0]
    assert user.home_json("token", "revoke", "bank-1") == {"revoked": 1}
    assert "unauthorized" in user.run("account", "show", "bank-1", **given).output
    secret = bank.read_text().strip()
    assert secret not in user.log
    assert secret not in (user.home / "tokens.json").read_text()
    assert user.run("token", "revoke", "nobody", "--home", str(user.home)).exit_code == 1


def test_an_owner_asks_about_itself_with_its_key(user: User) -> None:
    number = format_account(bank_account(2))
    path = user.network.directory / "reader" / "treasurer.json"
    write_key(path, seed_of("bank-2-treasurer"), "operator", ANY_CHAIN, None)
    reader = ("--reader", number, "--reader-key", str(path))
    assert user.json("account", "show", "bank-2", *reader)["account"]["account"] == number
    assert user.json("account", "show", "bakyt", *reader)["account"]["bank"] == number
    assert "unauthorized" in user.run("account", "show", "aida", *reader).output
    assert user.run("account", "show", "bank-2", "--reader", number).exit_code == 7


def test_the_operator_is_heard_at_the_socket_and_all_of_it_is_in_the_log(user: User) -> None:
    assert (user.home / "admin.sock").stat().st_mode & 0o777 == 0o600
    patience = time.monotonic() + WAIT_SECONDS
    while user.home_json("admin", "status")["numbers"]["height"] == 0:
        assert time.monotonic() < patience
    begin = len(user.home_json("admin", "audit-log"))
    status = user.home_json("admin", "status")
    assert (status["ready"], status["access"], status["log_level"]) == (True, "tokens", "info")
    assert status["numbers"]["height"] > 0
    assert user.home_json("admin", "peers") == []
    assert user.home_json("admin", "log-level", "debug")["before"] == "info"
    assert user.home_json("admin", "log-level", "info")["before"] == "debug"
    assert user.run("admin", "disconnect", "bank-9", "--home", str(user.home)).exit_code == 1
    for language, text in (("ky", "Убакыт"), ("ru", "Время"), ("en", "Time")):
        assert text in user.run("admin", "status", "--home", str(user.home), "--lang", language).stdout
    entries = user.home_json("admin", "audit-log", "--verify")
    methods = [entry["method"].removeprefix("admin_") for entry in entries[begin:]]
    expected = "getStatus listPeers setLogLevel setLogLevel disconnectPeer getStatus getStatus getStatus"
    assert methods == expected.split()
    assert {entry["caller"] for entry in entries[begin:]} == {"local"}
    files = sorted((user.home / "audit").iterdir())
    whole = files[0].read_bytes()
    files[0].write_bytes(whole.replace(b'"allowed":true', b'"allowed":false', 1))
    broken = user.run("admin", "audit-log", "--verify", "--home", str(user.home))
    files[0].write_bytes(whole)
    assert broken.exit_code == 1
    assert "changed" in broken.output


def test_events_are_printed_with_cursors_that_go_on(user: User) -> None:
    done = user.run("watch", "blocks", "--count", "3", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    heights = [event["block"]["height"] for event in told]
    assert heights == list(range(heights[0], heights[0] + 3))
    again = user.json("watch", "blocks", "--count", "1", "--from", told[0]["cursor"])
    assert again["block"] == told[1]["block"]
    for arguments in (("watch", "validators", "--count", "1"), ("watch", "payments", "--count", "1")):
        cursor = told[0]["cursor"]  # of another topic
        assert user.run(*arguments, "--from", cursor).exit_code == 2
    plain = user.run("watch", "blocks", "--count", "1", "--from", told[0]["cursor"]).stdout
    assert told[1]["cursor"] in plain


def test_the_operator_ends_the_node_cleanly(user: User) -> None:
    """The last one of this file: nothing runs after it."""
    assert user.home_json("admin", "stop")["at_height"] > 0
    deadline = asyncio.run(_ended(user))
    assert deadline == [ONE[0]]
    assert user.log.rstrip().rpartition("\n")[2].find("stopped") >= 0
    assert user.run("admin", "status", "--home", str(user.home)).exit_code == 5


async def _ended(user: User) -> list[str]:
    async with asyncio.timeout(WAIT_SECONDS):
        while not user.network.ended():  # noqa: ASYNC110  a process tells nobody
            await asyncio.sleep(0.05)
    return user.network.ended()


# Several validators


async def _pay(client: Client) -> None:
    while True:
        pay = Pay(SOM, TREASURY, ((bank_account(1), 1, b""),))
        await client.submit(await client.sign([TREASURY], [pay], [(0, key_of("treasury"))]))


async def test_events_go_on_when_the_node_that_told_them_is_killed_and_its_uptime_shows_it(tmp_path: Path) -> None:
    async with LocalNetwork(tmp_path / "net") as network:
        dying, *others = network.names
        urls = [network.url(dying), *(network.url(name) for name in others)]
        heights: list[int] = []
        async with (
            Client(urls, trust=Trust.of(network.genesis)) as client,
            Client(urls[1:]) as payer,
            asyncio.timeout(4 * WAIT_SECONDS),
        ):
            await issue(payer)
            paying = asyncio.create_task(_pay(payer))  # an idle network takes seconds for a block
            async for event in client.subscribe("blocks"):
                assert event.block is not None
                heights.append(event.block.height)
                if len(heights) == 2:
                    network.kill(dying)
                if len(heights) == 2 + WINDOW:
                    break
            paying.cancel()
            await asyncio.gather(paying, return_exceptions=True)
            assert heights == list(range(heights[0], heights[0] + len(heights)))
            found = await client.request("validator_getUptime", {"blocks": WINDOW - 1}, GetUptimeResult)
        rows = {row.name: row for row in found.validators}
        assert rows[dying].signed == rows[dying].led == 0
        assert rows[dying].passed > 0
        assert all(rows[name].led > 0 and rows[name].signed == rows[name].certificates > 0 for name in others)
