"""`som` run in this process against a chain that lives in a thread of its own."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from devnet.generate import describe, make_genesis
from devnet.money import fund_people, issue
from node.cli import main
from node.client.client import Client
from node.ledger.genesis import Genesis, format_genesis
from node.storage.keystore import Cost, write_key
from tests.solo_chain import NUMBERS, START_MS, SoloChain, digits, key, serving, solo_chain, solo_genesis

T = TypeVar("T")

LATE_MS = 13 * 60_000  # more than a person's window
PASSPHRASE = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Som:
    """A user's home directory, and the network that it speaks with."""

    home: Path
    url: str
    chain: SoloChain
    loop: asyncio.AbstractEventLoop

    def run(self, *arguments: str, typed: str | None = None, url: str | None = None) -> Result:
        """Run a command; exceptions that it does not explain fail the test."""
        shared = {
            "SOM_NODE": url or self.url,
            "SOM_OUTBOX": str(self.home / "outbox.sqlite3"),
            "SOM_ACCOUNTS": str(self.home / "accounts.json"),
        }
        return CliRunner(env=shared).invoke(main, list(arguments), input=typed, catch_exceptions=False)

    def json(self, *arguments: str, typed: str | None = None) -> dict[str, Any]:
        """Run a command that succeeds; return its data."""
        result = self.run(*arguments, "--json", typed=typed)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def on_chain(self, work: Callable[[SoloChain], Awaitable[T]]) -> T:
        """Do something where the chain lives."""

        async def there() -> T:
            return await work(self.chain)

        return asyncio.run_coroutine_threadsafe(there(), self.loop).result(30)

    def balance(self, number: int) -> int:
        """Return what the ledger says."""
        account = self.chain.ledger.account(number)
        return 0 if account is None else account.balance()


@contextmanager
def som_lab(home: Path, demo: bool = False) -> Iterator[Som]:
    """Give a user a funded network, its genesis.json and its accounts.json; ``demo``: with the people of the devnet."""
    home.mkdir(parents=True, exist_ok=True)
    started = threading.Event()
    found: list[Som] = []
    failed: list[BaseException] = []

    async def live() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        genesis = demo_genesis() if demo else None
        async with solo_chain(home / "chain", not demo, genesis=genesis) as chain, serving(chain) as url:
            if demo:
                async with Client([url]) as client:
                    await issue(client)
                    await fund_people(client)
            found.append(Som(home, url, chain, loop))
            started.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            failed.append(error)
            started.set()

    stops: list[Callable[[], object]] = []
    thread = threading.Thread(target=run)
    thread.start()
    started.wait(30)
    try:
        if failed:
            raise failed[0]
        som = found[0]
        (home / "genesis.json").write_text(format_genesis(som.chain.genesis))
        people = describe((), som.chain.genesis) if demo else accounts()
        (home / "accounts.json").write_text(json.dumps(people))
        yield som
    finally:
        for stop in stops:
            stop()
        thread.join(30)


def demo_genesis() -> Genesis:
    """Return the devnet's genesis with the one validator of a chain in this process."""
    alone = solo_genesis()
    return replace(make_genesis(START_MS), validators=alone.validators, epoch_length=alone.epoch_length)


def accounts() -> dict[str, Any]:
    """Return the accounts.json of the chain, in the form of a devnet's."""
    rows = [
        {
            "name": name,
            "number": digits(number),
            "threshold": 1,
            "keys": [{"public": key(name).public.hex(), "seed": seed(name).hex()}],
        }
        for name, number in NUMBERS.items()
    ]
    return {"accounts": rows}


def seed(name: str) -> bytes:
    """Return the seed of ``solo_chain.key``."""
    return sha256(b"solo " + name.encode()).digest()


def prompt_left_open(som: Som, patch: pytest.MonkeyPatch, meanwhile: Callable[[SoloChain], Awaitable[object]]) -> str:
    """Return Alice's key file. While its passphrase is asked for, something happens, and then 13 minutes pass."""
    path = som.home / "keys" / "alice.json"
    write_key(path, seed("alice"), "operator", "*", PASSPHRASE.encode(), cost=Cost(3, 64 << 20))
    clock = time.time_ns

    async def pass_time(chain: SoloChain) -> None:
        await meanwhile(chain)
        chain.now_ms += LATE_MS
        for _ in range(2):
            await chain.add_block(())

    def prompt(*_: object, **__: object) -> str:
        som.on_chain(pass_time)
        patch.setattr("node.client.client.time", SimpleNamespace(time_ns=lambda: clock() + LATE_MS * 1_000_000))
        return PASSPHRASE

    patch.setattr("click.prompt", prompt)
    return str(path)
