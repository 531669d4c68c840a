"""Many chains: what they agreed on, how often each code was seen, and that nothing but the blocks decides the roots."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from node.ledger.errors import Code
from tests.ledger_model.chain import Result, replay, run

ROOT = Path(__file__).parents[2]
CHAIN = 4_000  # transactions: long enough for states far from the start, short enough for an account to stay open
IN_MEMORY = (1, 10)  # accounts, beside the default
HASH_SEEDS = ("0", "1", "4242")

# Codes that no decoded transaction can end with: the node's own, of signatures, sizes and queues.
ELSEWHERE = (Code.SIGNATURE, Code.OPS, Code.TOO_LARGE, Code.QUOTA)


def seeds_of(seed: int, transactions: int) -> list[int]:
    """Return the seeds of a campaign's chains."""
    return [seed * 1_000_000 + chain for chain in range(-(-transactions // CHAIN))]


def outcomes(seeds: list[int], transactions: int, jobs: int) -> Iterator[Result]:
    """Give what became of each chain, in order. Raises Disagreement."""
    if jobs == 1:
        yield from (run_and_replay(seed, transactions) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(partial(run_and_replay, transactions=transactions), seeds)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def run_and_replay(seed: int, transactions: int) -> Result:
    """Run a chain, and its blocks again with restarts and little memory. Raises Disagreement."""
    result = run(seed, transactions)
    for accounts_in_memory in IN_MEMORY:
        replay(result, accounts_in_memory, seed + accounts_in_memory)
    result.blocks = []  # they are large, and done with
    return result


def digests(seed: int, transactions: int) -> list[str]:
    """Return what processes with other hashes of strings make of one chain: all the same."""
    command = (sys.executable, "-m", "tests.ledger_model", "--chain", str(seed), "--transactions", str(transactions))
    found = []
    for hashes in HASH_SEEDS:
        environment = {**os.environ, "PYTHONHASHSEED": hashes}
        done = subprocess.run(
            (*command, "--hash"), env=environment, cwd=ROOT, check=True, capture_output=True, text=True
        )
        found.append(done.stdout.strip())
    return found


class Table:
    """How often each code came: as a receipt's, as a skipped leg's, and for a wrong shape."""

    def __init__(self) -> None:
        self.receipts: Counter[int] = Counter()
        self.skipped: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self.applied: Counter[tuple[int, ...]] = Counter()
        self.transactions = 0
        self.blocks = 0

    def add(self, result: Result) -> None:
        self.receipts += result.codes
        self.skipped += result.skipped
        self.refused += result.refused
        self.applied += result.applied
        self.transactions += result.transactions
        self.blocks += len(result.roots)

    @property
    def failing(self) -> float:
        """Return the share of executed transactions that failed."""
        return 1 - self.receipts[0] / max(1, self.receipts.total())

    def unseen(self) -> list[str]:
        """Return the names of the codes that were never seen and could have been."""
        seen = self.receipts + self.skipped + self.refused
        return [code.name for code in Code if code not in ELSEWHERE and not seen[code]]

    def text(self) -> str:
        """Return the table as lines."""
        lines = [f"{'code':<24}{'receipts':>10}{'skipped':>10}{'shape':>10}"]
        for code in Code:
            counts = (self.receipts[code], self.skipped[code], self.refused[code])
            lines.append(f"{int(code):>3} {code.name:<20}" + "".join(f"{count:>10,}" for count in counts))
        acts = ", ".join(f"{'.'.join(map(str, act))}: {count:,}" for act, count in sorted(self.applied.items()))
        lines.append(f"operations applied, by number and act: {acts}")
        return "\n".join(lines)
