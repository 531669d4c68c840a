"""Who breaks a devnet from a page: only those who know its address may, and it says what it cannot do."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from devnet.control import FAUCET_TYIYN_MAX, Control, Wish
from devnet.generate import VALIDATORS, Place, demo_accounts
from devnet.processes import LOOPBACK, LocalNetwork, free_ports
from node.client.client import Client
from node.ledger.account import format_account

AIDA: Final = next(format_account(demo.number) for demo in demo_accounts() if demo.name == "aida")


@dataclass(frozen=True, slots=True)
class Desk:
    """A control, its network of which nothing runs, and who asks."""

    control: Control
    network: LocalNetwork
    client: Client
    session: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str, base: str | None = None, **headers: str
    ) -> tuple[int, dict[str, object]]:
        async with self.session.request(method, f"{base or self.control.url}/{path}", headers=headers) as response:
            return response.status, await response.json()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    network = LocalNetwork(tmp_path / "net")
    for name, port in zip(VALIDATORS, free_ports(len(VALIDATORS)), strict=True):
        network.places[name] = Place(name, LOOPBACK, LOOPBACK, port, port)
    async with Client(network.urls()) as client, aiohttp.ClientSession() as session:
        control = Control(network)
        await control.start()
        try:
            with control.standing(client):
                yield Desk(control, network, client, session)
        finally:
            await control.stop()


async def test_its_address_leads_a_validators_page_to_it(desk: Desk) -> None:
    assert desk.control.lab_url("nbkr") == f"{desk.network.url('nbkr')}/explorer/#lab={desk.control.url}"
    status, body = await desk.ask("GET", "status")
    assert status == 200
    listed = body["validators"]
    assert isinstance(listed, list)
    assert [each["name"] for each in listed] == list(VALIDATORS)
    assert body["acts"] == ["down", "faucet", "kill", "reset", "restart"]  # without proxies nothing can be cut off


async def test_the_secret_is_another_each_time_and_none_does_without(desk: Desk) -> None:
    assert Control(desk.network).url.rpartition("/")[2] != desk.control.url.rpartition("/")[2]
    base, _, secret = desk.control.url.rpartition("/")
    assert len(secret) == 64
    for wrong in ("0" * 64, secret[:-1], secret + "0", "%D0%BA"):
        assert (await desk.ask("GET", "status", f"{base}/{wrong}"))[0] == 403
        assert (await desk.ask("POST", "kill?name=nbkr", f"{base}/{wrong}"))[0] == 403
    assert not desk.control.held("nbkr")


async def test_a_page_of_another_origin_or_host_may_not_even_with_the_secret(desk: Desk) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        assert (await desk.ask("POST", "kill?name=nbkr", **headers))[0] == 403
        assert (await desk.ask("GET", "status", **headers))[0] == 403
    assert not desk.control.held("nbkr")


async def test_only_the_devnets_own_pages_may_read_the_reply(desk: Desk) -> None:
    own = desk.network.url("bank-1")
    async with desk.session.get(f"{desk.control.url}/status", headers={"Origin": own}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == own
    async with desk.session.get(f"{desk.control.url}/status", headers={"Origin": "https://evil.example"}) as response:
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("path", ["kill", "kill?name=", "restart?name=bank-9", "kill?name=../nbkr"])
async def test_who_is_no_validator_is_not_killed(desk: Desk, path: str) -> None:
    status, body = await desk.ask("POST", path)
    assert (status, body) == (400, {"error": "name: one of nbkr, bank-1, bank-2, bank-3"})


async def test_what_it_cannot_do_it_says(desk: Desk) -> None:
    assert await desk.ask("POST", "partition?name=nbkr") == (
        404,
        {"error": "one of down, faucet, kill, reset, restart"},
    )


async def test_while_it_starts_it_says_so_and_does_nothing(tmp_path: Path) -> None:
    network = LocalNetwork(tmp_path / "net")
    async with Client([f"http://{LOOPBACK}:1"]) as client, aiohttp.ClientSession() as session:
        control = Control(network)
        await control.start()
        try:
            starting = Desk(control, network, client, session)
            for method, path in (("GET", "status"), ("POST", "kill?name=nbkr"), ("POST", "down"), ("POST", "reset")):
                assert await starting.ask(method, path) == (503, {"error": "the devnet is starting"})
        finally:
            await control.stop()


async def test_it_ends_or_begins_anew_once(desk: Desk) -> None:
    assert await desk.ask("POST", "down") == (200, {})
    assert (await desk.ask("POST", "reset"))[0] == 400
    assert await desk.control.wish() is Wish.DOWN


async def test_a_reset_is_answered_when_the_new_network_stands(desk: Desk) -> None:
    asked = asyncio.create_task(desk.ask("POST", "reset"))
    assert await desk.control.wish() is Wish.RESET
    assert (await desk.ask("GET", "status"))[0] == 503
    assert not asked.done()
    with desk.control.standing(desk.client):
        assert await asked == (200, {})


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("account=0011000000010058&amount=1", 400),
        *((f"account={AIDA}&amount={amount}", 400) for amount in ("0", "-1", "1.5", "٣", str(FAUCET_TYIYN_MAX + 1))),
        (f"account={AIDA}&amount=1", 502),  # as it should be, but no validator answers
    ],
)
async def test_the_faucet_says_why_it_gives_nothing(desk: Desk, query: str, status: int) -> None:
    answered, body = await desk.ask("POST", f"faucet?{query}")
    assert (answered, bool(body["error"])) == (status, True)
