"""The topic `executed`: whole blocks, for who may see everything, and nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from node.client.client import Client
from node.client.errors import RequestFailed
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import ALICE, BANK, digits
from tests.test_rpc_access import grant
from tests.test_rpc_websocket import socket

INDEXING, BANKS = ("a" * 64, "b" * 64)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path, open_access=False) as found:
        found.chain.tokens |= {
            INDEXING: grant("indexer", "index"),
            BANKS: grant("bank", "accounts", "orders", "audit", "admin", "submit", participant=BANK),
        }
        yield found


async def test_only_a_token_for_it_takes_the_whole_chain_and_each_beginning_is_written_down(lab: Lab) -> None:
    async with Client([lab.url], token=INDEXING) as client:
        event = await anext(client.subscribe("executed", from_height=1))
        assert event.executed is not None
        assert event.executed.height == 1
        assert (await client.account(ALICE)).account == digits(ALICE)  # what it has it may also ask for
    told = ("sub_subscribe", {"topic": "executed", "from": "1"})
    assert lab.chain.recorded == [("indexer", *told, True)]
    for token in (BANKS, None):
        async with Client([lab.url], token=token) as client:
            with pytest.raises(RequestFailed, match="a token with the scope index"):
                await anext(client.subscribe("executed", from_height=1))
    assert lab.chain.recorded[1:] == [("bank", *told, False)]  # a stranger's tries are not written down


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"topic": "account", "account": digits(ALICE), "from_height": 1}, "from_height"),
        ({"topic": "validators", "from_height": 1}, "from_height"),
        ({"topic": "blocks", "from_height": 0}, "from_height"),
        ({"topic": "executed", "tx_ids": ["00" * 32]}, "tx_ids"),
    ],
)
async def test_a_height_begins_only_what_has_heights(tmp_path: Path, params: dict[str, Any], path: str) -> None:
    async with rpc_lab(tmp_path) as lab, socket(lab) as client:
        error = (await client.call("sub_subscribe", **params))["error"]
        assert (error["data"]["name"], error["data"]["path"]) == ("invalid_params", path)


async def test_blocks_and_transactions_begin_at_a_height_too(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path) as lab, socket(lab) as client:
        begun = await client.subscribe("blocks", from_height=2)
        both = await client.call("sub_subscribe", topic="blocks", from_height=2, from_cursor=begun["cursor"])
        assert both["error"]["data"]["path"] == "from_height"
        await client.subscribe("transactions", from_height=3)
        told = await client.events(lab.chain.store.tip.height - 1 + 1)
    assert min(event["block"]["height"] for event in told if event["topic"] == "blocks") == 2
    assert [event["transaction"]["height"] for event in told if event["topic"] == "transactions"] == [3]
