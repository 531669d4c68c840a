"""Chains made without a network, for devnets that begin with more than a genesis: a bench's and a country's.

One rule: such a chain is like any other. Nothing is put into the state by hand: banks open the wallets in transactions
that they sign; the node's own executor executes and stores each block; the validators, whose keys are all public here,
sign it. Only agreeing is left out.
"""

import asyncio
import gc
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consensus.crypto import SecretKey, Signature
from consensus.messages import (
    Block,
    Certificate,
    Hash,
    Header,
    Kind,
    decode_block,
    make_block,
    payload_hash,
    vote_statement,
)
from devnet.bench.sign import BANKS, FIRST_SERIAL, Chain, wallet
from devnet.generate import bank_account, key_of
from devnet.money import bank_key, open_wallet
from node.batches import BATCH_TRANSACTIONS_MAX, Batch, BatchPool, decode_transactions, encode_payload, make_batch
from node.epochs import Epochs
from node.executor import Executor, Stored
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis
from node.ledger.operations import Operation
from node.ledger.transaction import OPERATIONS_MAX, assemble, make_body, sign_body
from node.node import GARBAGE_THRESHOLDS
from node.storage import schema
from node.storage.records import Tip
from node.storage.store import Store

BATCH_BYTES: Final = 192 * 1024  # of transactions, at the least one
BLOCK_BYTES: Final = 3 * 2**20  # of batches


@asynccontextmanager
async def making(path: Path, genesis: Genesis) -> AsyncIterator["Maker"]:
    """Open the store under ``path``, to which blocks are added."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    store = Store.open(path, genesis.hash)
    try:
        maker = Maker(genesis, store)
        async with asyncio.TaskGroup() as tasks:  # whoever waits for a block hears that the executor has failed
            executing = tasks.create_task(maker.executor.run())
            yield maker
            executing.cancel()
        # As in a store that has grown in time: whoever starts from it has no year of merging before him.
        await asyncio.to_thread(store.give_back, b"", schema.END)
    finally:
        store.close()
        gc.set_threshold(*thresholds)


class Maker:
    """Adds blocks to a chain whose validators all agree."""

    def __init__(self, genesis: Genesis, store: Store) -> None:
        self._genesis = genesis
        self._store = store
        self._epochs = Epochs(genesis, store)
        members = self._epochs.members(0)
        assert members is not None, "the first committee is the genesis's"
        self._committee = members.committee
        keys = {bytes(key.public): key for key in (key_of(f"{row.name}-consensus") for row in genesis.validators)}
        self._keys = [keys[bytes(member.public_key)] for member in self._committee.validators]
        self._pool = BatchPool(members, members.peers[0])
        self._stored = asyncio.Event()
        self.executor = Executor(store, Ledger(store, genesis), self._pool, _nothing_is_missing, self._on_stored)
        self._sequence = 0

    @property
    def tip(self) -> Tip:
        """The last block."""
        return self._store.tip

    async def add_all(self, transactions: Iterable[bytes]) -> AsyncIterator[int]:
        """Put all transactions into full blocks; yield each height. The last, empty, certifies the results."""
        raws: list[bytes] = []
        size = 0
        for raw in transactions:
            if raws and size + len(raw) > BLOCK_BYTES:
                await self.add_block(raws)
                yield self.tip.height
                raws, size = [], 0
            raws.append(raw)
            size += len(raw)
        await self.add_block(raws)
        await self.add_block([])
        yield self.tip.height

    async def add_block(self, raws: Sequence[bytes]) -> None:
        """Add the next block, with a certificate of its own; return when it is stored."""
        stored = self._store.block(self._store.tip.height)
        assert stored is not None, "the tip is stored"
        parent = decode_block(stored.block_bytes)
        batches = list(self._batches(raws, parent.header.height))
        for batch in batches:
            self._pool.add(batch, decode_transactions(self._genesis.hash, batch))
        block = self._block(parent, encode_payload([batch.digest for batch in batches]))
        self._stored.clear()
        self._pool.finalized([batch.digest for batch in batches], block.header.height)
        self.executor.finalized([block], self._certificate(block))
        await self._stored.wait()

    def _batches(self, raws: Sequence[bytes], height: int) -> Iterator[Batch]:
        part: list[bytes] = []
        size = 0
        for raw in raws:
            if part and (size + len(raw) > BATCH_BYTES or len(part) == BATCH_TRANSACTIONS_MAX):
                yield self._batch(part, height)
                part, size = [], 0
            part.append(raw)
            size += len(raw)
        if part:
            yield self._batch(part, height)

    def _batch(self, raws: Sequence[bytes], height: int) -> Batch:
        """Return a batch; the validators make one in turn."""
        self._sequence += 1
        return make_batch(
            self._genesis.hash, self._keys[self._sequence % len(self._keys)], self._sequence, height, raws
        )

    def _block(self, parent: Block, payload: bytes) -> Block:
        """Return the block above ``parent``, which each view of its epoch brought one of."""
        above, committee = parent.header, self._committee
        height = above.height + 1
        epoch, before = divmod(above.height, self._genesis.epoch_length)
        following = self._epochs.next_validators_hash(height, above.height)
        assert following is not None, "the parent is executed"
        view = before + 1
        header = Header(
            genesis_hash=Hash(self._genesis.hash),
            epoch=epoch,
            view=view,
            height=height,
            parent_view=before,
            parent_hash=parent.hash,
            proposer=(epoch + view) % len(committee),
            timestamp_ms=above.timestamp_ms + 1,
            validators_hash=Hash(committee.hash),
            next_validators_hash=following,
            executed_height=above.height,
            state_root=Hash(self._store.tip.root),
            payload_hash=payload_hash(payload),
            version=above.version,
        )
        return make_block(header, payload)

    def _certificate(self, block: Block) -> Certificate:
        """Return the word of all validators that the block is final."""
        header = block.header
        statement = vote_statement(self._genesis.hash, Kind.FINALIZE, header.epoch, header.view, block.hash)
        signatures = tuple((index, Signature(key.sign(statement))) for index, key in enumerate(self._keys))
        return Certificate(Kind.FINALIZE, header.epoch, header.view, block.hash, signatures)

    def _on_stored(self, stored: Stored) -> None:
        assert all(receipt.applied for receipt in stored.executed.receipts), "what is prepared is good"
        self._stored.set()


async def _nothing_is_missing(_: object) -> None:
    raise AssertionError("a block names a batch that was not made")


# --- what is executed ---


@dataclass(frozen=True, slots=True)
class Openings:
    """Transactions in which a bank (1, 2, ...) opens the wallets with these serials."""

    chain: Chain
    expires_ms: int
    bank: int
    first: int
    stop: int


def openings(job: Openings) -> list[bytes]:
    """Return a job's transactions. Runs in a worker."""
    payer, signer = bank_account(job.bank), bank_key(job.bank)
    raws = []
    for low in range(job.first, job.stop, OPERATIONS_MAX):
        opened: list[Operation] = [
            open_wallet(wallet((serial - FIRST_SERIAL) * BANKS + job.bank - 1))
            for serial in range(low, min(job.stop, low + OPERATIONS_MAX))
        ]
        raws.append(signed(job.chain, job.expires_ms, low, payer, opened, (signer,)))
    return raws


def signed_ahead(
    pool: ProcessPoolExecutor, jobs: Iterable[Openings], ahead: int
) -> Iterator[tuple[Openings, list[bytes]]]:
    """Yield each job with its transactions, while workers are at work on the next."""
    running: deque[tuple[Openings, Future[list[bytes]]]] = deque()
    for job in jobs:
        running.append((job, pool.submit(openings, job)))
        if len(running) > ahead:
            done, future = running.popleft()
            yield done, future.result()
    for done, future in running:
        yield done, future.result()


def signed(
    chain: Chain,
    expires_ms: int,
    salt: int,
    account: int,
    operations: Sequence[Operation],
    keys: Sequence[SecretKey],
) -> bytes:
    """Return a transaction of an account that these keys may act for."""
    body = make_body(chain.network, expires_ms, salt, [account], operations)
    return assemble(body, [sign_body(chain.genesis_hash, body, 0, key) for key in keys])
