"""Long work for callers: one piece of it in each pass of the event loop, and of a block no more than is asked for."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from consensus.messages import decode_block
from node.batches import decode_batch
from node.ledger.commitment import prove_outcome
from node.rpc import contents
from node.rpc.contents import Contents, transaction_id_of
from node.rpc.errors import RpcError
from node.rpc.outcome_proofs import prove_outcome_in_turns
from node.rpc.turns import Turns
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import BOB


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path) as found:
        yield found


async def passes_of(work: Awaitable[Any]) -> int:
    """Return how many passes of the loop go by until ``work`` has ended."""
    task = asyncio.ensure_future(work)
    count = 0
    while not task.done():
        await asyncio.sleep(0)
        count += 1
    await task
    return count


# Turns


async def test_one_piece_is_done_in_each_pass_first_come_first_served() -> None:
    turns, done = Turns(), []
    now = 0

    async def pieces(name: str) -> None:
        for _ in range(3):
            await turns.next()
            done.append((now, name))

    working = asyncio.gather(*(pieces(name) for name in "abc"))
    while not working.done():
        await asyncio.sleep(0)
        now += 1
    assert [name for _, name in done] == list("abcabcabc")
    assert len({at for at, _ in done}) == 9


async def test_who_has_gone_takes_no_turn_and_the_turns_go_on_after_a_rest() -> None:
    turns = Turns()
    gone, stays = asyncio.ensure_future(turns.next()), asyncio.ensure_future(turns.next())
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(5):
        await stays
        await asyncio.sleep(0.01)
        await turns.next()


# A page of a block


def count_ids(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    hashed: list[bytes] = []

    def counted(raw: bytes, genesis_hash: bytes) -> bytes | None:
        hashed.append(raw)
        return transaction_id_of(raw, genesis_hash)

    monkeypatch.setattr(contents, "transaction_id_of", counted)
    return hashed


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_page_of_a_block_hashes_the_ids_of_the_page_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    sent = [lab.chain.pay("bank", BOB, amount) for amount in range(1, 41)]
    await lab.chain.execute(sent)
    hashed = count_ids(monkeypatch)
    page = await lab.call("chain_getBlock", height=5, limit=3, order=order)
    following = await lab.call("chain_getBlock", height=5, limit=3, order=order, cursor=page["next_cursor"])
    told = [row["tx_id"] for row in (*page["transactions"], *following["transactions"])]
    assert told == [each.id.hex() for each in (sent if order == "asc" else sent[::-1])[:6]]
    assert len(hashed) == 6


async def test_the_topic_of_all_transactions_hashes_each_id_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [lab.chain.pay("bank", BOB, amount) for amount in range(1, 101)]
    await lab.chain.execute(sent)
    hashed = count_ids(monkeypatch)
    async with lab.session.ws_connect(f"{lab.url}/ws") as ws:
        params = {"topic": "transactions", "from_height": 5}
        await ws.send_json({"jsonrpc": "2.0", "id": 1, "method": "sub_subscribe", "params": params})
        assert (await ws.receive_json())["result"]["subscription"] == 1
        told = [(await ws.receive_json(timeout=20))["params"]["transaction"]["tx_id"] for _ in sent]
    assert told == [each.id.hex() for each in sent]
    assert len(hashed) == len(sent)


async def test_the_batches_of_a_block_are_counted_once_for_all_who_ask_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.chain.execute([lab.chain.pay("bank", BOB, 1)])
    stored = lab.chain.store.block(5)
    assert stored is not None
    block, kept = decode_block(stored.block_bytes), Contents(Turns())
    monkeypatch.setattr(contents, "decode_batch", counted := Counted(decode_batch))
    assert await asyncio.gather(*(kept.count(lab.chain.store, block) for _ in range(9))) == [1] * 9
    assert counted.calls == 1


class Counted:
    def __init__(self, wrapped: Callable[..., Any]) -> None:
        self.wrapped = wrapped
        self.calls = 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self.wrapped(*args)


async def test_what_is_kept_of_blocks_is_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "BLOCKS_KEPT", 2)
    kept = Contents(Turns())
    for height in (1, 2, 3, 4):
        stored = lab.chain.store.block(height)
        assert stored is not None
        await kept.count(lab.chain.store, decode_block(stored.block_bytes))
    assert len(kept) == 2


async def test_of_a_block_whose_batches_are_gone_nothing_is_told_from_memory(lab: Lab) -> None:
    await lab.chain.execute([lab.chain.pay("bank", BOB, 1)])
    stored = lab.chain.store.block(5)
    assert stored is not None
    block, kept = decode_block(stored.block_bytes), Contents(Turns())
    assert len(await kept.ids(lab.chain.store, block, 0, 10)) == 1

    class Emptied:
        def batch(self, name: bytes) -> None:
            return None

    emptied: Any = Emptied()
    with pytest.raises(RpcError, match="pruned"):
        await kept.ids(emptied, block, 0, 10)


# Proofs of outcomes


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100])
async def test_a_proof_made_in_turns_is_the_ledgers(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.rpc.outcome_proofs.LEAVES_AT_ONCE", 4)
    leaves = [sha256(b"%d" % number).digest() for number in range(size)]
    for index in range(size):
        assert await prove_outcome_in_turns(Turns(), b"".join(leaves), index) == prove_outcome(leaves, index)


async def test_the_tree_of_a_large_block_lets_the_loop_live() -> None:
    assert await passes_of(prove_outcome_in_turns(Turns(), bytes(32) * 8_192, 5_000)) >= 4


# A batch of calls


@pytest.mark.parametrize("method", ["chain_getBlock", "tx_getProof", "chain_getInfo"])
async def test_between_the_calls_of_a_batch_the_loop_lives(lab: Lab, method: str) -> None:
    sent = lab.chain.pay("bank", BOB, 1)
    await lab.chain.execute([sent])
    params = {"chain_getBlock": {"height": 5, "limit": 1}, "tx_getProof": {"tx_id": sent.id.hex()}}.get(method, {})
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    async def post() -> None:
        async with lab.post(json.dumps([call] * 50)) as response:
            assert ["result" in reply for reply in await response.json()] == [True] * 50

    assert await passes_of(post()) >= 50
