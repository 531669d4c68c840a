"""The chain of a country: every wallet opened in real blocks, made once, without a network, and kept.

One rule: nothing is put into the state by hand. Banks sign openings, all four validators sign each block, and the
node's own executor and store execute and keep it: a validator that starts on the result finds the chain that it
would have if it had been there, and checks it as any other at its start.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec

from consensus.crypto import Signature
from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    Hash,
    Header,
    Kind,
    make_block,
    payload_hash,
    vote_statement,
)
from devnet.bench_sign import BANKS, wallet
from devnet.generate import ISSUER, TREASURY, VALIDATORS, bank_account, key_of, make_genesis
from devnet.money import bank_key, open_wallet
from devnet.processes import Chain
from node.batches import (
    BATCH_BYTES_MAX,
    BLOCK_BYTES_MAX,
    Batch,
    BatchPool,
    decode_transactions,
    encode_payload,
    make_batch,
)
from node.config import Config
from node.epochs import Epochs
from node.executor import Executor, Stored
from node.home import create_data, read_genesis
from node.ledger.account import SOM, account_number
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis, format_genesis
from node.ledger.operations import Operation
from node.ledger.pay import Pay
from node.ledger.transaction import OPERATIONS_MAX, assemble, make_body, sign_body
from node.members import Members
from node.storage import schema
from node.storage.files import write_file
from node.storage.store import Store

ACCOUNTS_MAX: Final = 20_000_000
EPOCH_LENGTH: Final = 10**6  # the whole chain lies in the first epoch
SMALL_TREE: Final = 4  # depths of the state tree: at 8 accounts a bucket, for half a million accounts ...
LARGE_TREE: Final = 5  # ... and for eight million
SMALL_ACCOUNTS: Final = 500_000
JOB_ACCOUNTS: Final = 3_200  # opened by the transactions of one batch
JOBS_AHEAD: Final = 8  # batches signed and not executed: 3 MB
BLOCK_JOBS: Final = BLOCK_BYTES_MAX // BATCH_BYTES_MAX
BLOCK_MS: Final = 1_000  # between block times
LIFETIME_MS: Final = 60 * 60_000
LOWEST_SOM: Final = 6_000  # pensions
DIFFERENT_PENSIONS: Final = 9_001
RESERVE_TYIYN: Final = 1_000_000_00  # what the Treasury has beside the pensions


class Made(msgspec.Struct, frozen=True):
    """What a kept chain says of itself."""

    accounts: int
    height: int
    root: str
    seconds: float
    store_format: int = schema.FORMAT


@dataclass(frozen=True, slots=True)
class Country:
    """A kept chain."""

    directory: Path
    genesis: Genesis
    made: Made

    @property
    def chain(self) -> Chain:
        return Chain(self.genesis, self.directory / "data" / "store")


def pension(serial: int) -> int:
    """Return what a wallet with this serial at its bank is paid, in tyiyn."""
    return (LOWEST_SOM + serial % DIFFERENT_PENSIONS) * 100


def serials(bank: int, accounts: int) -> range:
    """Return the serials of a bank's wallets: ``bench_sign.wallet`` deals them out in turn."""
    return range(1, 1 + (accounts - bank + BANKS) // BANKS)


def recipients(accounts: int) -> Iterator[tuple[int, int]]:
    """Yield (account number, pension), ascending by number."""
    for bank in range(1, BANKS + 1):
        for serial in serials(bank, accounts):
            yield account_number(100 + bank, serial), pension(serial)


def supply(accounts: int) -> int:
    """Return what the National Bank has issued: to the Treasury, for all pensions."""
    return RESERVE_TYIYN + sum(amount for _, amount in recipients(accounts))


def kept(directory: Path, accounts: int) -> Country | None:
    """Return the chain that was made before, if it is whole and of the form that stores have now."""
    with suppress(OSError, msgspec.DecodeError):
        made = msgspec.json.decode((directory / "made.json").read_bytes(), type=Made)
        if (made.accounts, made.store_format) == (accounts, schema.FORMAT):
            return Country(directory, read_genesis(directory / "genesis.json"), made)
    return None


def prepare(directory: Path, accounts: int, told: Callable[[int], None]) -> Country:
    """Make the chain in a directory that is made anew. ``told`` hears how many wallets are open."""
    shutil.rmtree(directory, ignore_errors=True)
    began = time.monotonic()
    depth = SMALL_TREE if accounts <= SMALL_ACCOUNTS else LARGE_TREE
    genesis = replace(make_genesis(_now_ms()), tree_depth=depth, epoch_length=EPOCH_LENGTH)
    create_data(directory, Config("country"), genesis)
    store = Store.open(directory / "data" / "store", genesis.hash)
    try:
        asyncio.run(_Founding(genesis, store).run(accounts, told))
        height, root = store.tip.height, store.tip.root.hex()
    finally:
        store.close()
    made = Made(accounts, height, root, time.monotonic() - began)
    write_file(directory / "genesis.json", format_genesis(genesis).encode())
    write_file(directory / "made.json", msgspec.json.encode(made))  # last: with it the chain is whole
    return Country(directory, genesis, made)


class _Founding:
    """Blocks, one after the other, each executed before the next is made."""

    def __init__(self, genesis: Genesis, store: Store) -> None:
        self._genesis = genesis
        self._store = store
        members = Epochs(genesis, store).members(0)
        assert members is not None
        self._members: Members = members
        self._keys = [key_of(f"{name}-consensus") for name in VALIDATORS]
        self._keys.sort(key=lambda key: key.public)  # in committee order
        self._pool = BatchPool(members, members.peers[0])
        self._ledger = Ledger(store, genesis)
        self._executor = Executor(store, self._ledger, self._pool, self._fetch, self._on_stored)
        self._stored = asyncio.Event()
        self._sequence = 0

    async def run(self, accounts: int, told: Callable[[int], None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            executing = tasks.create_task(self._executor.run())
            await self._block([[self._issue(accounts)]])
            done = 0
            for group in _grouped(_signed(self._genesis, accounts), BLOCK_JOBS):
                await self._block([raws for raws, _ in group])
                done += sum(count for _, count in group)
                told(done)
            await self._block([])
            executing.cancel()

    def _issue(self, accounts: int) -> bytes:
        board = [key_of("nbkr-board-1"), key_of("nbkr-board-2")]
        pay = Pay(SOM, ISSUER, ((TREASURY, supply(accounts), b"first money"),))
        body = make_body(self._genesis.network, self._genesis.time_ms + LIFETIME_MS, 0, [ISSUER], [pay])
        return assemble(body, [sign_body(self._genesis.hash, body, 0, key) for key in board])

    async def _block(self, batches: Sequence[Sequence[bytes]]) -> None:
        tip = self._store.tip
        view = tip.height + 1
        leader = self._members.committee.leader(view)
        held = [self._batch(leader, raws) for raws in batches]
        payload = encode_payload([batch.digest for batch in held])
        members_hash = Hash(self._members.committee.hash)
        block = make_block(
            Header(
                genesis_hash=Hash(self._genesis.hash),
                version=self._ledger.version,
                epoch=0,
                view=view,
                height=view,
                parent_view=tip.height,
                parent_hash=Hash(tip.block_hash),
                proposer=leader,
                timestamp_ms=max(self._ledger.timestamp_ms + 1, min(_now_ms(), self._ledger.timestamp_ms + BLOCK_MS)),
                validators_hash=members_hash,
                next_validators_hash=NO_HASH,
                executed_height=tip.height,
                state_root=Hash(tip.root),
                payload_hash=payload_hash(payload),
            ),
            payload,
        )
        self._stored.clear()
        self._executor.finalized([block], self._certificate(block))
        await self._stored.wait()

    def _batch(self, author: int, raws: Sequence[bytes]) -> Batch:
        self._sequence += 1
        genesis_hash = self._genesis.hash
        batch = make_batch(genesis_hash, self._keys[author], self._sequence, self._store.tip.height, raws)
        self._pool.add(batch, decode_transactions(genesis_hash, batch))
        return batch

    def _certificate(self, block: Block) -> Certificate:
        header = block.header
        statement = vote_statement(self._genesis.hash, Kind.FINALIZE, header.epoch, header.view, block.hash)
        votes = tuple((index, Signature(key.sign(statement))) for index, key in enumerate(self._keys))
        return Certificate(Kind.FINALIZE, header.epoch, header.view, block.hash, votes)

    async def _fetch(self, names: Sequence[bytes]) -> None:
        raise AssertionError("a block names only batches that are here")

    def _on_stored(self, stored: Stored) -> None:
        assert all(receipt.applied for receipt in stored.executed.receipts)
        self._stored.set()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _grouped(jobs: Iterator[tuple[list[bytes], int]], count: int) -> Iterator[list[tuple[list[bytes], int]]]:
    group: list[tuple[list[bytes], int]] = []
    for job in jobs:
        group.append(job)
        if len(group) == count:
            yield group
            group = []
    if group:
        yield group


def _signed(genesis: Genesis, accounts: int) -> Iterator[tuple[list[bytes], int]]:
    """Yield batches of opening transactions and how many wallets they open, made by another process meanwhile."""
    expires_ms = genesis.time_ms + LIFETIME_MS
    jobs = [
        (genesis.network, genesis.hash, expires_ms, bank, each.start, each.stop)
        for bank in range(1, BANKS + 1)
        for low in range(0, len(serials(bank, accounts)), JOB_ACCOUNTS)
        for each in [serials(bank, accounts)[low : low + JOB_ACCOUNTS]]
    ]
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as worker:
        ahead: list[Future[list[bytes]]] = [worker.submit(openings, *job) for job in jobs[:JOBS_AHEAD]]
        for at, (*_, first, stop) in enumerate(jobs):
            raws = ahead.pop(0).result()
            if at + JOBS_AHEAD < len(jobs):
                ahead.append(worker.submit(openings, *jobs[at + JOBS_AHEAD]))
            yield raws, stop - first


def openings(network: int, genesis_hash: bytes, expires_ms: int, bank: int, first: int, stop: int) -> list[bytes]:
    """Return signed transactions in which a bank opens the wallets with these serials. Runs in a worker."""
    payer, signer = bank_account(bank), bank_key(bank)
    raws = []
    for low in range(first, stop, OPERATIONS_MAX):
        opened: list[Operation] = [
            open_wallet(wallet((serial - 1) * BANKS + bank - 1))
            for serial in range(low, min(stop, low + OPERATIONS_MAX))
        ]
        body = make_body(network, expires_ms, low, [payer], opened)
        raws.append(assemble(body, [sign_body(genesis_hash, body, 0, signer)]))
    return raws
