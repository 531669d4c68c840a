"""Random transactions for the ledger and for its model, which must agree on every receipt and every row.

python -m tests.ledger_model --transactions 200000 --seed 1 [--jobs 2]
python -m tests.ledger_model --chain 1000017 [--transactions 4000] [--hash]
"""

import argparse
import sys
import time

from tests.ledger_model.campaign import CHAIN, HASH_SEEDS, Table, digests, outcomes, run_and_replay, seeds_of
from tests.ledger_model.chain import Disagreement, run

FAILING_MIN = 0.3  # of the transactions; bounds are where mistakes are


def main(arguments: list[str]) -> int:
    """Run chains; return 1 if one failed, or if a code was never seen that can be."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.ledger_model", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--transactions", type=int, help="how many (200000, or a chain's 4000)")
    parser.add_argument("--seed", type=int, default=1, help="of the campaign")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--chain", type=int, help="the chain of this seed only")
    parser.add_argument("--hash", action="store_true", help="print what must be the same everywhere, and nothing else")
    options = parser.parse_args(arguments)
    try:
        if options.chain is None:
            return _campaign(options.seed, options.transactions or 200_000, options.jobs)
        return _one(options.chain, options.transactions or CHAIN, options.hash)
    except Disagreement as disagreement:
        print(disagreement)
        return 1


def _one(seed: int, transactions: int, hash_only: bool) -> int:
    if hash_only:
        print(run(seed, transactions).digest)
        return 0
    table = Table()
    table.add(run_and_replay(seed, transactions))
    print(table.text())
    return 0


def _campaign(seed: int, transactions: int, jobs: int) -> int:
    started = time.monotonic()
    table = Table()
    seeds = seeds_of(seed, transactions)
    length = min(CHAIN, transactions)
    for result in outcomes(seeds, length, jobs):
        table.add(result)
        print(
            f"chain {result.seed}: {table.transactions:,} transactions, {time.monotonic() - started:.0f} s", flush=True
        )
    print(table.text())
    print(f"{table.transactions:,} transactions in {table.blocks:,} blocks, {table.failing:.0%} of them failed")
    problems = [f"never seen: {', '.join(table.unseen())}"] if table.unseen() else []
    if table.failing < FAILING_MIN:
        problems.append(f"only {table.failing:.0%} failed")
    if len(set(digests(seeds[0], length))) > 1:
        problems.append("another hash of strings, other roots")
    print("; ".join(problems) or f"the model agrees; the same roots under {len(HASH_SEEDS)} hashes of strings")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
