"""The chain of a country: every wallet opened in real blocks, made once (devnet/offline.py), and kept.

One rule: a validator that starts on it finds the chain that it would have if it had been there, and checks it as any
other at its start.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from devnet.bench import sign
from devnet.bench.sign import BANKS, FIRST_SERIAL
from devnet.generate import ISSUER, TREASURY, key_of, make_genesis
from devnet.offline import Openings, making, signed, signed_ahead
from devnet.processes import Chain, worker_pool
from node.config import Config
from node.home import create_data, read_genesis
from node.ledger.account import SOM, account_number
from node.ledger.genesis import Genesis, format_genesis
from node.ledger.pay import Pay
from node.storage import schema
from node.storage.files import write_file

ACCOUNTS_MAX: Final = 20_000_000
EPOCH_LENGTH: Final = 10**6  # the whole chain lies in the first epoch
SMALL_TREE: Final = 4  # depths of the state tree: at 8 accounts a bucket, for half a million accounts ...
LARGE_TREE: Final = 5  # ... and for eight million
SMALL_ACCOUNTS: Final = 500_000
JOB_ACCOUNTS: Final = 3_200  # opened by the transactions of one batch
JOBS_AHEAD: Final = 8  # batches signed and not executed: 3 MB
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
    first_serial: int
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
    """Return the serials of a bank's wallets: ``sign.wallet`` deals them out in turn."""
    return range(FIRST_SERIAL, FIRST_SERIAL + (accounts - bank + BANKS) // BANKS)


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
        if (made.accounts, made.first_serial, made.store_format) == (accounts, FIRST_SERIAL, schema.FORMAT):
            return Country(directory, read_genesis(directory / "genesis.json"), made)
    return None


def prepare(directory: Path, accounts: int, told: Callable[[int], None]) -> Country:
    """Make the chain in a directory that is made anew. ``told`` hears how many wallets are open."""
    shutil.rmtree(directory, ignore_errors=True)
    began = time.monotonic()
    depth = SMALL_TREE if accounts <= SMALL_ACCOUNTS else LARGE_TREE
    genesis = replace(make_genesis(_now_ms()), tree_depth=depth, epoch_length=EPOCH_LENGTH)
    create_data(directory, Config("country"), genesis)
    height, root = asyncio.run(_make(directory / "data" / "store", genesis, accounts, told))
    made = Made(accounts, height, root, time.monotonic() - began, FIRST_SERIAL)
    write_file(directory / "genesis.json", format_genesis(genesis).encode())
    write_file(directory / "made.json", msgspec.json.encode(made))  # last: with it the chain is whole
    return Country(directory, genesis, made)


async def _make(path: Path, genesis: Genesis, accounts: int, told: Callable[[int], None]) -> tuple[int, str]:
    """Execute all blocks in the store under ``path``; return the last height and its root."""
    with worker_pool(1) as pool:
        async with making(path, genesis) as maker:
            async for _ in maker.add_all(_transactions(genesis, accounts, pool, told)):
                pass
            return maker.tip.height, maker.tip.root.hex()


def _transactions(
    genesis: Genesis, accounts: int, pool: ProcessPoolExecutor, told: Callable[[int], None]
) -> Iterator[bytes]:
    """Yield the issue, and the openings, which another process signs in the meantime."""
    chain = sign.Chain(genesis.network, genesis.hash)
    expires_ms = genesis.time_ms + LIFETIME_MS
    pay = Pay(SOM, ISSUER, ((TREASURY, supply(accounts), b"first money"),))
    yield signed(chain, expires_ms, 0, ISSUER, [pay], (key_of("nbkr-board-1"), key_of("nbkr-board-2")))
    jobs = (
        Openings(chain, expires_ms, bank, each.start, each.stop)
        for bank in range(1, BANKS + 1)
        for low in range(0, len(serials(bank, accounts)), JOB_ACCOUNTS)
        for each in [serials(bank, accounts)[low : low + JOB_ACCOUNTS]]
    )
    done = 0
    for job, raws in signed_ahead(pool, jobs, JOBS_AHEAD):
        yield from raws
        done += job.stop - job.first
        told(done)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
