"""follow_chain: the whole chain, verified from the genesis; and no node can pass off another one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import pytest

from consensus.committee import Committee, Validator
from consensus.messages import PAYLOAD_BYTES_MAX, decode_block, decode_certificate, encode_certificate, make_block
from node.batches import BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, decode_batch
from node.client.chain import ChainBlock, ChainCheck, ChainPlace
from node.client.client import Client
from node.client.errors import ProofInvalid, RequestFailed
from node.client.following import follow_chain
from node.client.subscriptions import MESSAGE_BYTES_MAX
from node.client.trust import CommitteeUnknown, Trust
from node.ledger.commitment import outcome_leaf
from node.ledger.errors import Code
from node.ledger.receipt import Receipt, decode_receipt
from node.rpc.event_types import ExecutedBlock
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import BOB, key

WAIT_SECONDS: Final = 30.0


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A chain with failed transactions, and one whose envelope failed: it came twice."""
    async with rpc_lab(tmp_path, acting=True) as found:
        chain = found.chain
        again, poor = chain.pay("alice", BOB, 7), chain.pay("bob", BOB, 1)
        await chain.execute([again, poor, chain.pay("alice", BOB, 10**15)])
        await chain.execute([again, chain.pay("alice", BOB, 3)])
        yield found


async def shown(lab: Lab) -> list[ExecutedBlock]:
    """Return all blocks as a node shows them."""
    found: list[ExecutedBlock] = []
    async with Client([lab.url]) as client:
        async for event in client.subscribe("executed", from_height=1):
            assert event.executed is not None
            found.append(event.executed)
            if event.executed.height == lab.chain.store.tip.height:
                return found
    raise AssertionError


def check(lab: Lab, blocks: list[ExecutedBlock], place: ChainPlace | None = None) -> list[ChainBlock]:
    checking = ChainCheck(Trust.of(lab.chain.genesis), place)
    return [each for block in blocks for each in checking.add(block, "00", blocks[-1].height)]


async def test_every_block_comes_whole_once_a_later_one_certifies_what_it_did(lab: Lab) -> None:
    tip = lab.chain.store.tip.height
    seen: list[ChainBlock] = []
    async with Client([lab.url], trust=Trust.of(lab.chain.genesis)) as client, asyncio.timeout(WAIT_SECONDS):
        async for block in follow_chain(client):
            seen.append(block)
            if block.header.height == tip - 1:
                break
    assert [block.header.height for block in seen] == list(range(1, tip))
    for block in seen:
        roots = lab.chain.store.roots(block.header.height)
        assert roots is not None
        assert block.root == roots.root
        for transaction, receipt in zip(block.transactions, block.receipts, strict=True):
            stored = lab.chain.store.transaction(transaction.id)
            assert stored is not None
            if receipt.consumed:
                assert receipt == decode_receipt(transaction.id, stored.receipt)
    codes = [receipt.code for block in seen for receipt in block.receipts]
    assert codes.count(Code.DUPLICATE) == 1
    assert Code.INSUFFICIENT in codes


async def test_it_goes_on_from_a_place_by_cursor_or_by_height(lab: Lab) -> None:
    trust = Trust.of(lab.chain.genesis)
    async with Client([lab.url], trust=trust) as client, asyncio.timeout(WAIT_SECONDS):
        blocks = follow_chain(client)
        first = [await anext(blocks), await anext(blocks)]
        await blocks.aclose()
        by_cursor = await anext(follow_chain(client, first[0].place, from_cursor=first[0].cursor))
        by_height = await anext(follow_chain(client, first[0].place))
    assert by_cursor.place == by_height.place == first[1].place


async def test_a_place_of_another_chain_is_found_out_at_the_next_block(lab: Lab) -> None:
    trust = Trust.of(lab.chain.genesis)
    async with Client([lab.url], trust=trust) as client, asyncio.timeout(WAIT_SECONDS):
        with pytest.raises(ProofInvalid, match="does not follow"):
            await anext(follow_chain(client, ChainPlace(2, bytes(32), bytes(32))))


async def test_without_a_genesis_nothing_is_followed(lab: Lab) -> None:
    async with Client([lab.url]) as client:
        with pytest.raises(ProofInvalid, match="genesis"):
            await anext(follow_chain(client))


def changed(**fields: Any) -> Callable[[ExecutedBlock], ExecutedBlock]:
    return lambda block: msgspec.structs.replace(block, **fields)


def other_time(block: ExecutedBlock) -> ExecutedBlock:
    """Return the block with another header that nobody signed."""
    made = decode_block(bytes.fromhex(block.block))
    header = replace(made.header, timestamp_ms=made.header.timestamp_ms + 1)
    return msgspec.structs.replace(block, block=make_block(header, made.payload).encoded.hex())


def foreign_signature(block: ExecutedBlock) -> ExecutedBlock:
    assert block.certificate is not None
    certificate = decode_certificate(bytes.fromhex(block.certificate))
    signed = replace(certificate, signatures=((0, key("alice").sign(b"something else")),))
    return msgspec.structs.replace(block, certificate=encode_certificate(signed).hex())


def without_the_failed(block: ExecutedBlock) -> ExecutedBlock:
    """Return the block in which an executed transaction is passed off as one whose envelope failed."""
    tx_leaf = outcome_leaf(bytes(32), Receipt(bytes(32), 0).encoded)
    return msgspec.structs.replace(block, receipts=(None, *block.receipts[1:]), leaves=(tx_leaf.hex(), *block.leaves))


def other_signatures(block: ExecutedBlock) -> ExecutedBlock:
    """Return the block with a signature of a transaction changed, which changes no id."""
    data = bytearray.fromhex(block.batches[0])
    (raw, *_) = decode_batch(bytes(32), bytes(data)).raw_transactions
    data[data.index(raw) + len(raw) - 1] ^= 1
    return msgspec.structs.replace(block, batches=(data.hex(),))


LIES: Final = {
    "another signature of a transaction": other_signatures,
    "another time": other_time,
    "a signature by somebody else": foreign_signature,
    "no batches": changed(batches=()),
    "an applied transaction that failed": lambda block: msgspec.structs.replace(
        block, receipts=(Receipt(bytes(32), int(Code.INSUFFICIENT), 0).encoded.hex(), *block.receipts[1:])
    ),
    "a failed transaction that was applied": lambda block: msgspec.structs.replace(
        block, receipts=(*block.receipts[:-1], Receipt(bytes(32), 0).encoded.hex())
    ),
    "a receipt too few": lambda block: msgspec.structs.replace(block, receipts=block.receipts[1:]),
    "a transaction without its receipt": without_the_failed,
    "another state": changed(state_tree_root="00" * 32),
    "bytes that are no block": changed(block="c0"),
    "bytes that are no receipt": lambda block: msgspec.structs.replace(block, receipts=("c0", *block.receipts[1:])),
    "bytes that are no certificate": changed(certificate="c0"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_no_lie_is_passed_on(lab: Lab, lie: str) -> None:
    blocks = await shown(lab)
    at = next(index for index, block in enumerate(blocks) if len(block.receipts) == 3)
    honest = check(lab, blocks)
    assert [block.header.height for block in honest] == list(range(1, len(blocks)))
    blocks[at] = LIES[lie](blocks[at])
    checking = ChainCheck(Trust.of(lab.chain.genesis))
    told: list[ChainBlock] = []

    def take_all() -> None:
        for block in blocks:
            told.extend(checking.add(block, "00", len(blocks)))

    with pytest.raises(ProofInvalid):  # at once, or when the next header names the root; before it is handed on
        take_all()
    assert told == honest[: len(told)]
    assert len(told) <= at


async def test_bytes_by_chance_are_refused_or_change_nothing(lab: Lab) -> None:
    blocks, random = await shown(lab), Random(1)
    honest = {each.header.height: each for each in check(lab, blocks)}
    refused = 0
    for _ in range(300):
        at = random.randrange(len(blocks))
        checking = ChainCheck(Trust.of(lab.chain.genesis))
        told: list[ChainBlock] = []
        try:
            for block in (*blocks[:at], scrambled(blocks[at], random), *blocks[at + 1 :]):
                told += checking.add(block, "00", len(blocks))
        except ProofInvalid:
            refused += 1
        assert all(each == replace(honest[each.header.height], tip=each.tip) for each in told)
    assert refused > 250


def scrambled(block: ExecutedBlock, random: Random) -> ExecutedBlock:
    """Return the block with some bytes of one of its fields changed, added or gone."""
    name = random.choice(("block", "certificate", "state_tree_root", "batches", "receipts", "leaves"))
    there = getattr(block, name)
    if isinstance(there, tuple):
        if not there:
            return msgspec.structs.replace(block, **{name: ("00" * 32,)})
        at = random.randrange(len(there))
        return msgspec.structs.replace(block, **{name: (*there[:at], _bytes(there[at], random), *there[at + 1 :])})
    return msgspec.structs.replace(block, **{name: _bytes(there, random)})


def _bytes(text: str | None, random: Random) -> str:
    data = bytearray.fromhex(text or "")
    at = random.randrange(len(data) + 1)
    data[at : at + random.randint(0, 2)] = random.randbytes(random.randint(0, 3))
    return data.hex()


async def test_a_committee_that_is_not_known_yet_is_learned_and_nothing_is_lost(lab: Lab) -> None:
    blocks = await shown(lab)
    known = Trust.of(lab.chain.genesis)
    stranger = Committee(0, [Validator(key("alice").public, 1)], allow_dominant=True)
    checking = ChainCheck(replace(known, committees=(stranger,)))
    with pytest.raises(CommitteeUnknown):
        checking.add(blocks[0], "00", 1)
    with pytest.raises(CommitteeUnknown):
        checking.add(blocks[1], "00", 1)
    checking.trust = known
    assert [each.header.height for each in checking.certified()] == [1]


def test_the_largest_block_fits_into_an_event() -> None:
    event = ExecutedBlock(
        height=1,
        block="00" * PAYLOAD_BYTES_MAX,
        certificate="00" * 4_096,
        batches=("00" * BLOCK_BYTES_MAX,),
        # of each leg (at least 12 bytes of a batch) at most 10 bytes in a receipt, if it was skipped
        receipts=("00" * (BLOCK_BYTES_MAX * 10 // 12), *("00" * 48,) * BLOCK_TRANSACTIONS_MAX),
        leaves=(),
        state_tree_root="00" * 32,
    )
    assert len(msgspec.json.encode(event)) < MESSAGE_BYTES_MAX * 3 // 4


async def test_a_block_that_is_left_out_is_missed(lab: Lab) -> None:
    blocks = await shown(lab)
    with pytest.raises(ProofInvalid, match="after"):
        check(lab, [*blocks[:2], *blocks[3:]])


async def test_blocks_without_a_certificate_wait_for_one(lab: Lab) -> None:
    blocks = await shown(lab)
    bare = [*map(changed(certificate=None), blocks[:-1]), blocks[-1]]
    assert check(lab, bare[:-1]) == []
    assert [each.place for each in check(lab, bare)] == [each.place for each in check(lab, blocks)]


async def test_heights_that_a_node_has_not_kept_are_refused_with_the_first_that_it_has(lab: Lab) -> None:
    store = lab.chain.store
    store.prune([], 3)
    trust = Trust.of(lab.chain.genesis)
    async with Client([lab.url], trust=trust) as client, asyncio.timeout(WAIT_SECONDS):
        with pytest.raises(RequestFailed, match=r"pruned.*at least 4"):
            await anext(follow_chain(client))
