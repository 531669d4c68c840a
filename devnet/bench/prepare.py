"""A chain whose wallets are open and filled, made once (offline.py), for all validators of a bench to start from.

A prepared chain is kept under .devnet/prepared, by what it holds and by the source that made it.
"""

import asyncio
import fcntl
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from devnet.bench.sign import BANKS, FIRST_SERIAL, Chain, wallet
from devnet.generate import ISSUER, TREASURY, TREE_DEPTH, bank_account, key_of, make_genesis
from devnet.money import BANK_TYIYN, TREASURY_TYIYN, bank_key
from devnet.offline import Openings, making, signed, signed_ahead
from devnet.processes import place_store, worker_pool
from node.config import Config
from node.home import create_data, read_genesis
from node.ledger.account import SOM
from node.ledger.genesis import Genesis, format_genesis
from node.ledger.pay import LEGS_MAX, Pay
from node.ledger.transaction import OPERATIONS_MAX

PREPARED: Final = Path(".devnet/prepared")
STORE: Final = "store"  # the part of a node's data that LevelDB keeps
WALLET_TYIYN_MAX: Final = 1_000_00
LIFETIME_MS: Final = 60_000  # of the transactions; all blocks together take less than a second of chain time
OPENINGS_A_JOB: Final = 1_000  # transactions that a worker signs at a time, of OPERATIONS_MAX wallets each
JOBS_AHEAD: Final = 4  # of the executor, by worker
BIG_STATE: Final = 1_000_000  # accounts beyond which the tree gets another level
TOLD_SECONDS: Final = 10.0  # between two words on how far it is
LOCK_SECONDS: Final = 0.2  # between two looks whether another process has finished preparing

# What decides the bytes of a prepared chain.
SOURCES: Final = (
    *("consensus", "node/ledger", "node/storage", "node/batches.py", "node/executor.py", "node/home.py"),
    *("node/epochs.py", "node/references.py", "devnet/bench/prepare.py", "devnet/bench/sign.py", "devnet/generate.py"),
    *("devnet/money.py", "devnet/offline.py"),
)
ROOT: Final = Path(__file__).parents[2]


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
            await _make(fresh / "data" / STORE, genesis, accounts, workers, told)
            (fresh / "genesis.json").write_text(format_genesis(genesis))
            os.rename(fresh, kept)
    return Prepared(read_genesis(kept / "genesis.json"), kept / "data")


def link_data(made: Prepared, data: Path) -> None:
    """Give a home the chain in place of its empty one: a hundred validators take no more room than one."""
    shutil.rmtree(data)
    shutil.copytree(made.data, data, ignore=shutil.ignore_patterns(STORE))
    (data / STORE).mkdir()
    place_store(made.data / STORE, data / STORE)


def bench_genesis(names: Sequence[str], accounts: int) -> Genesis:
    """Return the devnet's genesis, with a tree that so many accounts fit into."""
    genesis = make_genesis(time.time_ns() // 1_000_000, names)
    return replace(genesis, tree_depth=TREE_DEPTH + (accounts > BIG_STATE))


def wallet_tyiyn(accounts: int) -> int:
    """Return what each wallet gets: half of the banks' money, or what a wallet likes to have."""
    return min(WALLET_TYIYN_MAX, BANKS * BANK_TYIYN // (2 * accounts))


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
    said = time.monotonic()
    with worker_pool(workers) as pool:
        async with making(path, genesis) as maker:
            async for height in maker.add_all(_transactions(genesis, accounts, pool, workers)):
                if time.monotonic() - said > TOLD_SECONDS:
                    said = time.monotonic()
                    told(f"height {height} on the way to {accounts:,} wallets ...")


# --- what is executed ---


def _transactions(genesis: Genesis, accounts: int, pool: ProcessPoolExecutor, workers: int) -> Iterator[bytes]:
    """Yield the issue, the openings, which workers sign in the meantime, and the first money."""
    chain = Chain(genesis.network, genesis.hash)
    expires_ms = genesis.time_ms + LIFETIME_MS
    legs = [(TREASURY, TREASURY_TYIYN, b""), *((bank_account(bank), BANK_TYIYN, b"") for bank in range(1, BANKS + 1))]
    board = (key_of("nbkr-board-1"), key_of("nbkr-board-2"))
    yield signed(chain, expires_ms, 0, ISSUER, [Pay(SOM, ISSUER, tuple(sorted(legs)))], board)
    for _, raws in signed_ahead(pool, _opening_jobs(chain, expires_ms, accounts), workers * JOBS_AHEAD):
        yield from raws
    yield from _first_money(chain, expires_ms, accounts)


def _opening_jobs(chain: Chain, expires_ms: int, accounts: int) -> Iterator[Openings]:
    step = OPENINGS_A_JOB * OPERATIONS_MAX
    for low in range(0, accounts, step):
        for bank in range(BANKS):
            mine = range(low + (bank - low) % BANKS, min(low + step, accounts), BANKS)
            if mine:
                first = FIRST_SERIAL + mine.start // BANKS
                yield Openings(chain, expires_ms, bank + 1, first, first + len(mine))


def _first_money(chain: Chain, expires_ms: int, accounts: int) -> Iterator[bytes]:
    amount = wallet_tyiyn(accounts)
    for bank in range(BANKS):
        payer = bank_account(bank + 1)
        for first in range(bank, accounts, BANKS * LEGS_MAX):
            indices = range(first, min(first + BANKS * LEGS_MAX, accounts), BANKS)
            legs = tuple((wallet(index).number, amount, b"") for index in indices)
            yield signed(chain, expires_ms, first, payer, [Pay(SOM, payer, legs)], (bank_key(bank + 1),))
