"""Where a payment's microseconds go: the parts of its route, one after the other in one process, without a network.

One rule: signature checks are timed in every block beside the rest, and all is told as if a check took CHECK_US. So the
figures of a busy machine and of a quiet one can be compared: a neighbour slows both alike.

    python -m devnet.bench.stages [--accounts N] [--blocks N]
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from consensus.crypto import SecretKey, verify
from consensus.encoding import digest
from devnet.bench.prepare import link_data, prepared
from devnet.bench.show import Cells
from devnet.bench.sign import Chain, Job, Mix, request_of, transactions_of
from devnet.generate import VALIDATORS, key_of, seed_of
from node.batches import Batch, decode_batch, decode_transactions, make_batch
from node.config import Config
from node.home import create_home, open_home
from node.ledger.execute import Executed, Ledger
from node.ledger.genesis import Genesis
from node.ledger.transaction import Transaction, decode_transaction
from node.mempool import Mempool
from node.references import references
from node.rpc.jsonrpc import Request, parse
from node.rpc.methods import METHODS
from node.rpc.registry import check_params
from node.storage.records import BlockRecord, Placed, Roots
from node.storage.store import Store

CHECK_US: Final = 55.0
BLOCK_MS: Final = 300  # between block times
BLOCK_CALLS: Final = 10
CALL: Final = 100  # transactions of a call; a block has BLOCK_CALLS * CALL
BATCH: Final = 250  # single pays in 64 KiB, about
LIFETIME_MS: Final = 500_000
NAME: Final = "nbkr"
CHECKS: Final = "check its signature"
OWN_SHARE: Final = 1 / len(VALIDATORS)  # a validator serves so many of the clients, and gets the rest from its peers
PEER_SHARE: Final = 1 - OWN_SHARE


@dataclass(slots=True)
class Watch:
    """CPU microseconds a transaction, by part and block, as fractions of that block's signature check."""

    shares: dict[str, float] = field(default_factory=dict)  # part -> how many of the transactions it sees
    spent: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str, count: int, share: float = 1.0) -> Iterator[None]:
        """Time a part over ``count`` transactions, once a block."""
        began = time.thread_time()
        yield
        self.shares[name] = share
        self.spent.setdefault(name, []).append((time.thread_time() - began) / count * 1e6)

    def rows(self) -> list[tuple[str, float, float]]:
        """Return (part, microseconds when it sees a transaction, microseconds a transaction of the chain)."""
        checks = self.spent[CHECKS]
        found = []
        for name, spent in self.spent.items():
            scaled = statistics.median(each / check * CHECK_US for each, check in zip(spent, checks, strict=True))
            found.append((name, scaled, scaled * self.shares[name]))
        return found


class Stages:
    """One validator's parts, by hand."""

    def __init__(self, genesis: Genesis, key: SecretKey, store: Store) -> None:
        """Take a store of a prepared chain."""
        self._genesis = genesis
        self._key = key
        self._store = store
        self._ledger = Ledger(store, genesis)
        self._mempool = Mempool(50_000, 64_000_000, self._ledger.account)

    @property
    def now_ms(self) -> int:
        return self._ledger.timestamp_ms

    def run(self, accounts: int, blocks: int) -> Watch:
        """Take blocks of single pays through all parts."""
        watch = Watch()
        chain = Chain(self._genesis.network, self._genesis.hash)
        for number in range(blocks):
            job = Job(chain, self.now_ms + LIFETIME_MS, Mix(accounts, batch=CALL), number * BLOCK_CALLS, BLOCK_CALLS)
            calls = [raws for call in range(BLOCK_CALLS) for raws in transactions_of(job, job.first + call)]
            raws = [raw for call in calls for raw in call]
            self._submit(watch, calls)
            self._block(watch, raws)
        return watch

    def _submit(self, watch: Watch, calls: Sequence[Sequence[bytes]]) -> None:
        """What the validator does to which a client speaks."""
        count = sum(map(len, calls))
        bodies = [request_of(call).data.partition(b"\r\n\r\n")[2] for call in calls]
        many = METHODS["tx_submitMany"]
        with watch.part("JSON and hex of a call", count, OWN_SHARE):
            for body in bodies:
                requests = parse(body)
                assert isinstance(requests, list)
                assert isinstance(requests[0], Request)
                checked = check_params(many, requests[0].params)
                for transaction in msgspec.structs.asdict(checked)["txs"]:
                    bytes.fromhex(transaction)
        with watch.part("decode what a client sent", count, OWN_SHARE):
            transactions = [decode_transaction(raw, self._genesis.hash) for call in calls for raw in call]
        now = time.monotonic()
        with watch.part("admit to the mempool", count, OWN_SHARE):
            for transaction in transactions:
                self._mempool.admit(transaction, now)
                self._ledger.admit(transaction, self.now_ms)
        with watch.part("through the mempool", count, OWN_SHARE):
            for transaction in transactions:
                self._mempool.checked(transaction.id)
            while self._mempool.take(BATCH, 64 * 1024):
                pass
            self._mempool.forget([transaction.id for transaction in transactions])

    def _block(self, watch: Watch, raws: Sequence[bytes]) -> None:
        """What every validator does."""
        genesis_hash, count = self._genesis.hash, len(raws)
        height = self._ledger.height + 1
        with watch.part("batches, made or received", count):
            batches = [
                decode_batch(genesis_hash, self._batch(height, low, raws[low : low + BATCH]).encoded)
                for low in range(0, count, BATCH)
            ]
        with watch.part("decode what a peer sent", count, PEER_SHARE):
            transactions = [each for batch in batches for each in decode_transactions(genesis_hash, batch)]
        with watch.part(CHECKS, count):
            for each in transactions:
                for _, public, signature in each.signatures:
                    verify(public, each.id, signature)
        with watch.part("execute", count):
            self._ledger.begin(height, self.now_ms + BLOCK_MS, self._ledger.version)
            for each in transactions:
                self._ledger.apply(each)
        with watch.part("invariants and state root", count):
            executed = self._ledger.finish()
        assert all(receipt.applied for receipt in executed.receipts)
        with watch.part("rows of the block, and the write", count):
            self._store.commit(block_record(self._store, executed, transactions, batches))

    def _batch(self, height: int, sequence: int, raws: Sequence[bytes]) -> Batch:
        return make_batch(self._genesis.hash, self._key, sequence, height, raws)


def block_record(
    store: Store, executed: Executed, transactions: Sequence[Transaction], batches: Sequence[Batch]
) -> BlockRecord:
    """Return what a block on top of ``store`` leaves; its header and certificate do not matter here."""
    places = [(batch.digest, at) for batch in batches for at in range(len(batch.raw_transactions))]
    return BlockRecord(
        height=executed.height,
        block_hash=digest(b"som-devnet-block-1", executed.height.to_bytes(8, "big")),
        parent_hash=store.tip.block_hash,
        block_bytes=bytes(500),
        timestamp_ms=executed.timestamp_ms,
        certificate=bytes(300),
        roots=Roots(executed.state_tree_root, executed.outcomes_root, executed.root),
        transactions=[
            Placed(receipt.transaction_id, index, name, at, receipt.encoded, fresh=True)
            for index, (receipt, (name, at)) in enumerate(zip(executed.receipts, places, strict=True))
        ],
        outcome_leaves=b"".join(executed.outcomes),
        batches={batch.digest: batch.encoded for batch in batches},
        changes=executed.changes,
        entries=executed.entries,
        references=[
            row
            for transaction, receipt in zip(transactions, executed.receipts, strict=True)
            for row in references(transaction, receipt)
        ],
        roster=executed.roster,
    )


def measure(directory: Path, accounts: int, blocks: int, workers: int = 2) -> Watch:
    """Measure in a home of its own, made anew under ``directory``, with a prepared chain that ``workers`` sign."""
    shutil.rmtree(directory, ignore_errors=True)
    made = asyncio.run(prepared(VALIDATORS, accounts, workers, lambda _: None))
    config = Config(name=NAME)
    create_home(directory, config, made.genesis, seed_of(f"{NAME}-consensus"), seed_of(f"{NAME}-node"), passphrase=None)
    link_data(made, directory / config.data)
    with ExitStack() as resources:
        opened = open_home(directory, config, None, resources)
        return Stages(made.genesis, key_of(f"{NAME}-consensus"), opened.store).run(accounts, blocks)


def cells(watch: Watch) -> Cells:
    """Return the table of parts."""
    rows = [(name, f"{each:.1f}", f"{weighted:.1f}") for name, each, weighted in watch.rows()]
    total = sum(weighted for _, _, weighted in watch.rows())
    return Cells(
        ("part", "us when it sees one", "us a transaction of the chain"), (*rows, ("in all", "", f"{total:.1f}"))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m devnet.bench.stages", description="Where microseconds go.")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--directory", type=Path, default=Path(".devnet/stages"), help="made anew")
    given = parser.parse_args(arguments)
    watch = measure(given.directory, given.accounts, given.blocks)
    console = Console(highlight=False, width=100)
    check_us = statistics.median(watch.spent[CHECKS])
    console.print(f"A check took {check_us:.1f} us here; all is told as if it took {CHECK_US:.0f}.\n")
    console.print(cells(watch).table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
