"""Client.subscribe: each event once and in order, whatever connection breaks and whichever node goes on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from node.client.client import Client
from node.client.errors import NotReachable, ProofInvalid, RequestFailed
from node.client.history import Page, SubscribedHistory
from node.client.trust import Trust
from node.rpc import types
from node.rpc.event_types import Event
from node.rpc.server import RpcServer
from tests.rpc_lab import rpc_lab
from tests.solo_chain import ALICE, BOB, SoloChain, digits, running, solo_chain

WAIT_SECONDS = 30.0
QUIET_SECONDS = 1.5  # who asked once a second would have asked


def url_of(server: RpcServer) -> str:
    return f"http://127.0.0.1:{server.port}"


async def test_events_go_on_at_another_node_without_gap_or_double(tmp_path: Path) -> None:
    async with solo_chain(tmp_path) as chain, running(chain) as first, running(chain) as second:
        heights: list[int] = []
        begin = chain.store.tip.height
        async with Client([url_of(first), url_of(second)], trust=Trust.of(chain.genesis)) as client:
            adding = asyncio.create_task(add(chain, first, 40))
            async with asyncio.timeout(WAIT_SECONDS):
                async for event in client.subscribe("blocks", from_cursor=None):
                    assert event.block is not None
                    heights.append(event.block.height)
                    if len(heights) == 30:
                        break
            await adding
        assert heights == list(range(heights[0], heights[0] + 30))
        assert heights[0] > begin


async def add(chain: SoloChain, dying: RpcServer, count: int) -> None:
    """Make blocks; in their midst one node stops."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not dying.websockets.subscriptions:  # noqa: ASYNC110  a count of the server's, which tells nobody
            await asyncio.sleep(0.01)
    for number in range(count):
        await chain.add_block(())
        if number == 10:
            await dying.stop()
        await asyncio.sleep(0.01)


async def test_a_cursor_goes_on_in_another_life_of_the_client(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path) as lab:
        cursor, amounts = None, []
        for _ in range(3):
            async with Client([lab.url]) as client:
                events = client.subscribe("account", account=digits(ALICE), from_cursor=cursor)
                if cursor is None:
                    task = asyncio.create_task(first(events))
                    await until_subscribed(lab.server)
                    await lab.chain.execute([lab.chain.pay("alice", BOB, amount) for amount in (1, 2, 3)])
                    event = await task
                else:
                    event = await anext(events)
                assert event.entry is not None
                amounts.append(event.entry.amount)
                cursor = event.cursor
        assert amounts == ["-1", "-2", "-3"]


async def first(events: AsyncIterator[Event]) -> Event:
    return await anext(events)


async def until_subscribed(server: RpcServer) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not server.websockets.subscriptions:  # noqa: ASYNC110  a count of the server's, which tells nobody
            await asyncio.sleep(0.01)


async def test_what_no_node_will_ever_answer_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rpc_lab(tmp_path) as lab:
        async with Client([lab.url]) as client:
            with pytest.raises(RequestFailed, match="from_cursor"):
                await anext(client.subscribe("blocks", from_cursor="00"))
            with pytest.raises(RequestFailed, match="account"):
                await anext(client.subscribe("account"))
        async with solo_chain(tmp_path / "other") as other:
            foreign = Trust.of(other.genesis)
            object.__setattr__(foreign, "genesis_hash", bytes(32))
            async with Client([lab.url], trust=foreign) as client:
                with pytest.raises(ProofInvalid, match="another network"):
                    await anext(client.subscribe("blocks"))
    monkeypatch.setattr("node.client.subscriptions.PATIENCE_SECONDS", 0.1)
    async with Client([lab.url]) as client:
        with pytest.raises(NotReachable):
            await anext(client.subscribe("blocks"))


# --- an account's entries, as a bank follows them ---


@dataclass
class Asked:
    """A client that counts the pages of an account that it asks for."""

    client: Client
    pages: int = 0

    async def history_page(self, *given: Any, **named: Any) -> types.GetHistoryResult:
        self.pages += 1
        return await self.client.history_page(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


async def entries(pages: AsyncIterator[Page], count: int) -> list[str]:
    """Return the amounts of the next ``count`` entries."""
    found: list[str] = []
    async with asyncio.timeout(WAIT_SECONDS):
        while len(found) < count:
            found += [entry.amount for entry in (await anext(pages)).entries]
    return found


async def test_entries_come_when_they_are_booked_and_nothing_is_asked_while_none_is(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path) as lab, Client([lab.url]) as client:
        await lab.chain.execute([lab.chain.pay("alice", BOB, 1)])
        length = (await client.history_page(ALICE, limit=1)).length
        asked = Asked(client)
        async with aclosing(SubscribedHistory(cast(Client, asked), ALICE).after(length - 1)) as pages:  # type: ignore[type-var]
            assert await entries(pages, 1) == ["-1"]
            waiting = asyncio.create_task(entries(pages, 3))
            await until_subscribed(lab.server)
            await lab.chain.execute([lab.chain.pay("alice", BOB, amount) for amount in (2, 3, 4)])
            assert await waiting == ["-2", "-3", "-4"]
            waiting = asyncio.create_task(entries(pages, 1))
            for _ in range(20):
                await lab.chain.add_block(())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiting), QUIET_SECONDS)
            # Twice at the start, and once for each ring: three entries of a block ring three times at the most.
            assert asked.pages <= 5
            await lab.chain.execute([lab.chain.pay("alice", BOB, 5)])
            assert await waiting == ["-5"]
        async with asyncio.timeout(WAIT_SECONDS):
            while lab.server.websockets.subscriptions:  # noqa: ASYNC110  a count of the server's, which tells nobody
                await asyncio.sleep(0.01)


async def test_what_is_booked_between_the_page_and_the_subscription_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rpc_lab(tmp_path) as lab, Client([lab.url]) as client:
        length = (await client.history_page(ALICE, limit=1)).length
        subscribe = client.subscribe

        async def late(*given: Any, **named: Any) -> AsyncGenerator[Event, None]:
            await lab.chain.execute([lab.chain.pay("alice", BOB, 9)])
            async with aclosing(subscribe(*given, **named)) as events:
                async for event in events:
                    yield event

        monkeypatch.setattr(client, "subscribe", late)
        async with aclosing(SubscribedHistory(client, ALICE).after(length)) as pages:  # type: ignore[type-var]
            assert await entries(pages, 1) == ["-9"]


async def test_entries_go_on_at_another_node_without_gap_or_double(tmp_path: Path) -> None:
    async with solo_chain(tmp_path) as chain, running(chain) as first, running(chain) as second:
        client = Client([url_of(first), url_of(second)])
        async with client, aclosing(SubscribedHistory(client, ALICE).after(0)) as pages:  # type: ignore[type-var]
            booked = (await client.history_page(ALICE, limit=1)).length
            await entries(pages, booked)
            waiting = asyncio.create_task(entries(pages, 20))
            await until_subscribed(first)
            for amount in range(1, 21):
                await chain.execute([chain.pay("alice", BOB, amount)])
                if amount == 10:
                    await first.stop()
            assert await waiting == [f"-{amount}" for amount in range(1, 21)]


async def test_a_clock_ticks_between_entries_for_who_asks_for_it(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path) as lab, Client([lab.url]) as client:
        length = (await client.history_page(ALICE, limit=1)).length
        asked = Asked(client)
        source = SubscribedHistory(cast(Client, asked), ALICE, tick_seconds=0.01)
        async with aclosing(source.after(length)) as pages, asyncio.timeout(WAIT_SECONDS):  # type: ignore[type-var]
            assert [(await anext(pages)) for _ in range(20)] == [Page((), False)] * 20
        assert asked.pages <= 2


async def test_a_subscription_that_is_refused_ends_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rpc_lab(tmp_path) as lab, Client([lab.url]) as client:

        async def refused(*_: Any, **__: Any) -> AsyncGenerator[Event, None]:
            for event in list[Event]():
                yield event
            raise RequestFailed(-32_002, "forbidden", "not for you")

        monkeypatch.setattr(client, "subscribe", refused)
        async with aclosing(SubscribedHistory(client, ALICE).after(0)) as pages:  # type: ignore[type-var]
            with pytest.raises(RequestFailed, match="not for you"):
                await entries(pages, 1_000)
