"""Client.subscribe: each event once and in order, whatever connection breaks and whichever node goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.client.client import Client
from node.client.errors import NotReachable, ProofInvalid, RequestFailed
from node.client.trust import Trust
from node.rpc.event_types import Event
from node.rpc.server import RpcServer
from tests.rpc_lab import rpc_lab
from tests.solo_chain import ALICE, BOB, SoloChain, digits, running, solo_chain

WAIT_SECONDS = 30.0


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
