"""Who breaks a devnet from a page or a command: a small HTTP server of `make devnet`, on loopback.

One rule: whoever knows the address may act, and nobody finds it out. Its path is a secret of 256 bits; replies are
readable for the devnet's own pages only; and a request that names another host or another page is refused.
"""

import asyncio
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

from aiohttp import web

from devnet.generate import bank_account
from devnet.money import bank_key
from devnet.processes import LOOPBACK, LocalNetwork
from node.client.client import Client
from node.client.errors import ClientError, NotReachable
from node.ledger.account import SOM, parse_account
from node.ledger.pay import Pay
from node.rpc.types import SubmitResult

FAUCET_TYIYN_MAX: Final = 100_000_00  # of one wish; the bank has a hundred million som
SECRET_BYTES: Final = 32
BODY_BYTES_MAX: Final = 1_024
FAUCET_BANK: Final = 1
GOODBYE_SECONDS: Final = 1.0  # of a request that is still open when the devnet ends


class Wish(Enum):
    """What becomes of the whole devnet."""

    DOWN = "down"
    RESET = "reset"


class Control:
    """Serves ``network`` while it is ``standing``. ``start``, then ``stop``; ``url`` is whom to ask."""

    def __init__(self, network: LocalNetwork) -> None:
        self._network = network
        self._client: Client | None = None
        self._stands = asyncio.Event()
        self._wishes: asyncio.Queue[Wish] = asyncio.Queue(maxsize=1)
        self._secret = secrets.token_hex(SECRET_BYTES)
        self._held: set[str] = set()
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._acts: dict[str, Callable[[web.Request], Awaitable[dict[str, object]]]] = {
            "kill": self._kill,
            "restart": self._restart,
            "faucet": self._faucet,
            "down": self._down,
            "reset": self._reset,
        }
        if network.distant:
            self._acts |= {"partition": self._partition, "heal": self._heal}

    @property
    def url(self) -> str:
        """The address; it is a secret."""
        return f"http://{LOOPBACK}:{self._port}/{self._secret}"

    def lab_url(self, name: str) -> str:
        """Return the page of a validator's explorer that has the buttons."""
        return f"{self._network.url(name)}/explorer/#lab={self.url}"

    def held(self, name: str) -> bool:
        """Return whether somebody killed this validator here: then it is started again here, not by itself."""
        return name in self._held

    @contextmanager
    def standing(self, client: Client) -> Iterator[None]:
        """Do what is asked as long as this is open; ``client`` pays from the faucet."""
        self._client = client
        self._held.clear()
        self._stands.set()
        try:
            yield
        finally:
            self._client = None
            self._stands.clear()

    async def wish(self) -> Wish:
        """Return what somebody wants to become of the whole devnet, when it is wanted."""
        return await self._wishes.get()

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.add_routes(
            [
                web.get("/{secret}/status", self._status),
                web.post("/{secret}/{act}", self._act),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=GOODBYE_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, 0)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    # --- requests ---

    async def _status(self, request: web.Request) -> web.Response:
        if not self._may(request):
            return self._reply(request, 403, {"error": "not for you"})
        if not self._stands.is_set():
            return self._reply(request, 503, {"error": "the devnet is starting"})
        ended, cut = self._network.ended(), self._network.cut_off()
        validators = [
            {"name": name, "url": self._network.url(name), "running": name not in ended, "cut": name in cut}
            for name in self._network.names
        ]
        return self._reply(request, 200, {"pid": os.getpid(), "validators": validators, "acts": sorted(self._acts)})

    async def _act(self, request: web.Request) -> web.Response:
        if not self._may(request):
            return self._reply(request, 403, {"error": "not for you"})
        act = self._acts.get(request.match_info["act"])
        if act is None:
            return self._reply(request, 404, {"error": f"one of {', '.join(sorted(self._acts))}"})
        if not self._stands.is_set():
            return self._reply(request, 503, {"error": "the devnet is starting"})
        try:
            return self._reply(request, 200, await act(request))
        except ValueError as error:
            return self._reply(request, 400, {"error": str(error)})
        except NotReachable as error:
            return self._reply(request, 502, {"error": str(error)})
        except ClientError as error:
            return self._reply(request, 409, {"error": str(error)})

    def _may(self, request: web.Request) -> bool:
        origin = request.headers.get("Origin")
        return (
            secrets.compare_digest(request.match_info["secret"].encode(), self._secret.encode())
            and request.headers.get("Host") == f"{LOOPBACK}:{self._port}"
            and (origin is None or origin in self._pages())
        )

    def _pages(self) -> list[str]:
        """Return the origins of the devnet's own pages; before it has places there are none."""
        return [self._network.url(name) for name in self._network.places]

    def _reply(self, request: web.Request, status: int, body: dict[str, object]) -> web.Response:
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Origin"}
        origin = request.headers.get("Origin")
        if origin in self._pages():
            headers["Access-Control-Allow-Origin"] = origin or ""
        return web.Response(status=status, body=json.dumps(body), headers=headers, content_type="application/json")

    # --- acts ---

    async def _kill(self, request: web.Request) -> dict[str, object]:
        name = self._name(request)
        self._held.add(name)
        if name not in self._network.ended():
            await asyncio.to_thread(self._network.kill, name)
        return {}

    async def _restart(self, request: web.Request) -> dict[str, object]:
        name = self._name(request)
        self._held.add(name)  # so that nobody else starts it between its end and its start
        if name not in self._network.ended():
            await asyncio.to_thread(self._network.kill, name)
        if name in self._network.ended():
            self._network.start(name)
        self._held.discard(name)
        return {}

    async def _partition(self, request: web.Request) -> dict[str, object]:
        self._network.partition(self._name(request))
        return {}

    async def _heal(self, request: web.Request) -> dict[str, object]:
        self._network.heal(self._name(request))
        return {}

    async def _faucet(self, request: web.Request) -> dict[str, object]:
        """Pay from a bank, and answer as soon as a node has taken it: the page watches what becomes of it."""
        account = parse_account(request.query.get("account", ""))
        amount = request.query.get("amount", "")
        if not (amount.isascii() and amount.isdigit() and 0 < int(amount) <= FAUCET_TYIYN_MAX):
            raise ValueError(f"an amount of 1 to {FAUCET_TYIYN_MAX} tyiyn")
        payer = bank_account(FAUCET_BANK)
        pay = Pay(SOM, payer, ((account, int(amount), b"faucet"),))
        client = self._client
        assert client is not None, "only a network that stands is asked"
        transaction = await client.sign([payer], [pay], [(0, bank_key(FAUCET_BANK))])
        received_ms = time.time_ns() // 1_000_000
        await client.request("tx_submit", {"tx": transaction.raw.hex()}, SubmitResult)
        return {"tx_id": transaction.id.hex(), "received_ms": received_ms}

    async def _down(self, request: web.Request) -> dict[str, object]:
        """End the devnet, soon after the answer."""
        self._want(Wish.DOWN)
        return {}

    async def _reset(self, request: web.Request) -> dict[str, object]:
        """Begin anew from another genesis, and answer when that stands."""
        self._want(Wish.RESET)
        self._stands.clear()
        await self._stands.wait()
        return {}

    def _want(self, wish: Wish) -> None:
        if self._wishes.full():
            raise ValueError("it is about to end or to begin anew already")
        self._wishes.put_nowait(wish)

    def _name(self, request: web.Request) -> str:
        name = request.query.get("name", "")
        if name not in self._network.names:
            raise ValueError(f"name: one of {', '.join(self._network.names)}")
        return name
