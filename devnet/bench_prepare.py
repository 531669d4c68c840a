"""A chain whose wallets are open and filled, made once without a network, for all validators of a bench to start from.

One rule: it is a chain like any other. Banks open the wallets in transactions that they sign; the node's own executor
executes and stores each block; the validators, whose keys are all public here, sign it. Only agreeing is left out.

A prepared chain is kept under .devnet/prepared, by what it holds and by the source that made it.
"""

import asyncio
import fcntl
import gc
import os
import shutil
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
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
from devnet.bench_sign import BANKS, Chain, wallet
from devnet.generate import ISSUER, TREASURY, TREE_DEPTH, bank_account, key_of, make_genesis
from devnet.money import BANK_TYIYN, TREASURY_TYIYN, bank_key, open_wallet
from devnet.processes import worker_pool
from node.batches import Batch, BatchPool, decode_transactions, encode_payload, make_batch
from node.config import Config
from node.epochs import Epochs
from node.executor import Executor, Stored
from node.home import create_data, read_genesis
from node.ledger.account import SOM
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis, format_genesis
from node.ledger.operations import Operation
from node.ledger.pay import LEGS_MAX, Pay
from node.ledger.transaction import OPERATIONS_MAX, assemble, make_body, sign_body
from node.node import GARBAGE_THRESHOLDS
from node.storage.store import Store

PREPARED: Final = Path(".devnet/prepared")
WALLET_TYIYN_MAX: Final = 1_000_00
BATCH_BYTES: Final = 192 * 1024  # of transactions, at the least one
BLOCK_BYTES: Final = 3 * 2**20  # of batches
LIFETIME_MS: Final = 60_000  # of the transactions; all blocks together take less than a second of chain time
OPENINGS_A_JOB: Final = 1_000  # transactions that a worker signs at a time, of OPERATIONS_MAX wallets each
JOBS_AHEAD: Final = 4  # of the executor, by worker
BIG_STATE: Final = 1_000_000  # accounts beyond which the tree gets another level
TOLD_SECONDS: Final = 10.0  # between two words on how far it is
LOCK_SECONDS: Final = 0.2  # between two looks whether another process has finished preparing

# What decides the bytes of a prepared chain.
SOURCES: Final = (
    *("consensus", "node/ledger", "node/storage", "node/batches.py", "node/executor.py", "node/home.py"),
    *("node/epochs.py", "node/references.py", "devnet/bench_prepare.py", "devnet/bench_sign.py", "devnet/generate.py"),
    "devnet/money.py",
)
ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chain that stands on disk: ``data`` is what a validator's home has under that name."""

    genesis: Genesis
    data: Path


async def prepared(names: Sequence[str], accounts: int, workers: int, told: Callable[[str], None]) -> Prepared:
    """Return the chain of these validators with so many wallets, made if it is not there; ``told`` hears of progress.

    Older chains of the same size, which another source made, are removed.
    """
    PREPARED.mkdir(parents=True, exist_ok=True)
    kept = PREPARED / f"{len(names)}-{accounts}-{_source_digest()}"
    async with _lock():
        if not kept.exists():
            for old in PREPARED.glob(f"{len(names)}-{accounts}-*"):
                shutil.rmtree(old)
            fresh = kept.with_name(kept.name + ".new")
            genesis = bench_genesis(names, accounts)
            create_data(fresh, Config(name=names[0]), genesis)
            await _make(fresh / "data" / "store", genesis, accounts, workers, told)
            (fresh / "genesis.json").write_text(format_genesis(genesis))
            os.rename(fresh, kept)
    return Prepared(read_genesis(kept / "genesis.json"), kept / "data")


def link_data(made: Prepared, data: Path) -> None:
    """Give a home the chain in place of its empty one.

    LevelDB never writes to a table again, so tables are linked: a hundred validators take no more room than one. Its
    log and its manifest grow, and are copied.
    """
    shutil.rmtree(data)
    shutil.copytree(made.data, data, copy_function=_link_or_copy)


def bench_genesis(names: Sequence[str], accounts: int) -> Genesis:
    """Return the devnet's genesis, with a tree that so many accounts fit into."""
    genesis = make_genesis(time.time_ns() // 1_000_000, names)
    return replace(genesis, tree_depth=TREE_DEPTH + (accounts > BIG_STATE))


def wallet_tyiyn(accounts: int) -> int:
    """Return what each wallet gets: half of the banks' money, or what a wallet likes to have."""
    return min(WALLET_TYIYN_MAX, BANKS * BANK_TYIYN // (2 * accounts))


def _link_or_copy(source: str, target: str) -> None:
    if source.endswith((".ldb", ".sst")):
        with suppress(OSError):  # another file system
            os.link(source, target)
            return
    shutil.copyfile(source, target)


@asynccontextmanager
async def _lock() -> AsyncIterator[None]:
    """Let one process at a time prepare."""
    descriptor = os.open(PREPARED / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(descriptor):  # noqa: ASYNC110 (another process holds it)
            await asyncio.sleep(LOCK_SECONDS)
        for unfinished in PREPARED.glob("*.new"):
            shutil.rmtree(unfinished)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _source_digest() -> str:
    """Return a name of the source that decides what a chain looks like."""
    digest = sha256()
    for name in SOURCES:
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


# --- making ---


async def _make(path: Path, genesis: Genesis, accounts: int, workers: int, told: Callable[[str], None]) -> None:
    """Execute all blocks in the store under ``path``."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    store = Store.open(path, genesis.hash)
    try:
        with worker_pool(workers) as pool:
            chain = Maker(genesis, store)
            executing = asyncio.create_task(chain.executor.run())
            try:
                await _add_all(chain, _transactions(genesis, accounts, pool, workers), accounts, told)
            finally:
                executing.cancel()
                await asyncio.gather(executing, return_exceptions=True)
    finally:
        store.close()
        gc.set_threshold(*thresholds)


async def _add_all(chain: "Maker", transactions: Iterator[bytes], accounts: int, told: Callable[[str], None]) -> None:
    """Put all transactions into full blocks."""
    raws: list[bytes] = []
    size, said = 0, time.monotonic()
    for raw in transactions:
        if raws and size + len(raw) > BLOCK_BYTES:
            await chain.add_block(raws)
            raws, size = [], 0
            if time.monotonic() - said > TOLD_SECONDS:
                said = time.monotonic()
                told(f"height {chain.executor.height} on the way to {accounts:,} wallets ...")
        raws.append(raw)
        size += len(raw)
    await chain.add_block(raws)
    await chain.add_block([])  # it certifies the results of the last


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
            if part and size + len(raw) > BATCH_BYTES:
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

    def _on_stored(self, _: Stored) -> None:
        self._stored.set()


async def _nothing_is_missing(_: object) -> None:
    raise AssertionError("a block names a batch that was not made")


# --- what is executed ---


@dataclass(frozen=True, slots=True)
class _Openings:
    """Transactions that open the wallets of a bank with serials from ``first`` on."""

    chain: Chain
    expires_ms: int
    bank: int
    first: int
    wallets: int


def _transactions(genesis: Genesis, accounts: int, pool: ProcessPoolExecutor, workers: int) -> Iterator[bytes]:
    """Yield the issue, the openings, which workers sign in the meantime, and the first money."""
    chain = Chain(genesis.network, genesis.hash)
    expires_ms = genesis.time_ms + LIFETIME_MS
    legs = [(TREASURY, TREASURY_TYIYN, b""), *((bank_account(bank), BANK_TYIYN, b"") for bank in range(1, BANKS + 1))]
    board = (key_of("nbkr-board-1"), key_of("nbkr-board-2"))
    yield _signed(chain, expires_ms, 0, ISSUER, [Pay(SOM, ISSUER, tuple(sorted(legs)))], board)
    running: deque[Future[list[bytes]]] = deque()
    for job in _opening_jobs(chain, expires_ms, accounts):
        running.append(pool.submit(_open, job))
        if len(running) > workers * JOBS_AHEAD:
            yield from running.popleft().result()
    while running:
        yield from running.popleft().result()
    yield from _first_money(chain, expires_ms, accounts)


def _opening_jobs(chain: Chain, expires_ms: int, accounts: int) -> Iterator[_Openings]:
    step = OPENINGS_A_JOB * OPERATIONS_MAX
    for first in range(0, accounts, step):
        for bank in range(BANKS):
            mine = range(first + (bank - first) % BANKS, min(first + step, accounts), BANKS)
            if mine:
                yield _Openings(chain, expires_ms, bank, mine.start, len(mine))


def _open(job: _Openings) -> list[bytes]:
    """Return a job's transactions. Runs in a worker."""
    payer = bank_account(job.bank + 1)
    raws = []
    for low in range(0, job.wallets, OPERATIONS_MAX):
        indices = range(low, min(low + OPERATIONS_MAX, job.wallets))
        opened = [open_wallet(wallet(job.first + BANKS * index)) for index in indices]
        salt = job.first + BANKS * low
        raws.append(_signed(job.chain, job.expires_ms, salt, payer, opened, (bank_key(job.bank + 1),)))
    return raws


def _first_money(chain: Chain, expires_ms: int, accounts: int) -> Iterator[bytes]:
    amount = wallet_tyiyn(accounts)
    for bank in range(BANKS):
        payer = bank_account(bank + 1)
        for first in range(bank, accounts, BANKS * LEGS_MAX):
            indices = range(first, min(first + BANKS * LEGS_MAX, accounts), BANKS)
            legs = tuple((wallet(index).number, amount, b"") for index in indices)
            yield _signed(chain, expires_ms, first, payer, [Pay(SOM, payer, legs)], (bank_key(bank + 1),))


def _signed(
    chain: Chain,
    expires_ms: int,
    salt: int,
    account: int,
    operations: Sequence[Operation],
    keys: Sequence[SecretKey],
) -> bytes:
    body = make_body(chain.network, expires_ms, salt, [account], operations)
    return assemble(body, [sign_body(chain.genesis_hash, body, 0, key) for key in keys])
