"""Which transactions a block has, in the order of execution.

One rule: who asks for a page of a block pays for the page. How many transactions each of its batches has is counted
once, in turns, and kept for the latest blocks that were asked for; ids are hashed for the page alone.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from consensus.encoding import DecodeError, as_bytes, as_tuple, decode
from consensus.messages import Block
from node.batches import decode_batch, decode_payload
from node.ledger.transaction import TRANSACTION_BYTES_MAX, transaction_id
from node.rpc.errors import PRUNED, RpcError
from node.rpc.turns import Turns
from node.storage.reads import Reads

BLOCKS_KEPT: Final = 256  # at most 10 kB each
BATCHES_AT_ONCE: Final = 2  # decoded in one turn: 1.5 ms for the largest
IDS_AT_ONCE: Final = 512  # hashed in one turn: 2 ms


class Contents:
    """How many transactions the batches of a block have, by the block's hash, for the latest that were asked for."""

    def __init__(self, turns: Turns) -> None:
        """``turns``: in which batches are read."""
        self._turns = turns
        self._sizes: OrderedDict[bytes, Sequence[int]] = OrderedDict()
        self._counting = asyncio.Lock()  # many who ask for one block have it counted once

    def __len__(self) -> int:
        return len(self._sizes)

    async def count(self, store: Reads, block: Block) -> int:
        """Return how many transactions a block has. Raises RpcError (pruned)."""
        return sum(await self._sizes_of(store, block))

    async def ids(self, store: Reads, block: Block, first: int, last: int) -> list[bytes]:
        """Return the ids of the transactions with first <= index < last. Raises RpcError (pruned)."""
        sizes = await self._sizes_of(store, block)
        genesis_hash = block.header.genesis_hash
        found: list[bytes] = []
        for name, begin, size in zip(decode_payload(block.payload), accumulate(sizes, initial=0), sizes, strict=False):
            low, high = max(first - begin, 0), min(last - begin, size)
            if low < high:
                await self._turns.next()
                raws = _batch(store, block, name)[low:high]
                for at in range(0, len(raws), IDS_AT_ONCE):
                    if at:
                        await self._turns.next()
                    found += (transaction_id_of(raw, genesis_hash) or b"" for raw in raws[at : at + IDS_AT_ONCE])
        return found

    async def _sizes_of(self, store: Reads, block: Block) -> Sequence[int]:
        if block.hash not in self._sizes:
            async with self._counting:
                if block.hash not in self._sizes:
                    self._sizes[block.hash] = await self._counted(store, block)
                    if len(self._sizes) > BLOCKS_KEPT:
                        self._sizes.popitem(last=False)
        self._sizes.move_to_end(block.hash)
        return self._sizes[block.hash]

    async def _counted(self, store: Reads, block: Block) -> Sequence[int]:
        sizes = []
        for number, name in enumerate(decode_payload(block.payload)):
            if number % BATCHES_AT_ONCE == 0:
                await self._turns.next()
            sizes.append(len(_batch(store, block, name)))
        return sizes


def transaction_id_of(raw: bytes, genesis_hash: bytes) -> bytes | None:
    """Return the id, None for bytes that are no transaction."""
    if len(raw) > TRANSACTION_BYTES_MAX:
        return None
    try:
        body, _ = as_tuple(decode(raw), 2)
        return transaction_id(genesis_hash, as_bytes(body))
    except DecodeError:
        return None


def _batch(store: Reads, block: Block, name: bytes) -> Sequence[bytes]:
    data = store.batch(name)
    if data is None:
        raise RpcError(PRUNED, path="height", actual=str(block.header.height))
    return decode_batch(block.header.genesis_hash, data).raw_transactions
