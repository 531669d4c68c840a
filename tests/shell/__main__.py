"""python -m tests.shell --seeds 50 [--first 0] [--only committees] [--jobs 2] · --seed 7 --trace"""

import argparse
import sys
import time
from collections.abc import Sequence

from tests.shell.plan import DRAWS, draw
from tests.shell.story import Result, run
from tests.simulation.campaign import Failure, outcomes, seeds_that_draw


def main(arguments: list[str]) -> int:
    """Run seeds; return 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.shell", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("--trace", action="store_true", help="tell the story of --seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    parser.add_argument("--only", choices=sorted(DRAWS), help="seeds that draw these only")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return _run_one(options.seed, options.trace)
    seeds = seeds_that_draw(draw, DRAWS.get(options.only), options.first, options.seeds)
    return _run_many(seeds, options.jobs, options.keep_going)


def _run_one(seed: int, trace: bool) -> int:
    print(f"seed {seed}: {draw(seed).summary()}")
    try:
        result = run(seed, trace)
    except Failure as failure:
        print(failure)
        return 1
    print(
        f"seed {seed}: {result.heights} heights, {result.transactions} transactions, {result.lives} lives, "
        f"{result.virtual_ms} virtual ms, {result.digest}"
    )
    return 0


def _run_many(seeds: Sequence[int], jobs: int, keep_going: bool) -> int:
    started = time.monotonic()
    results: list[Result] = []
    failures: list[Failure] = []
    for outcome in outcomes(run, seeds, jobs):
        if isinstance(outcome, Result):
            results.append(outcome)
            continue
        failures.append(outcome)
        print(outcome, flush=True)
        if not keep_going:
            break
    print(
        f"{len(results)} seeds clean, {len(failures)} failed; {sum(result.heights for result in results)} heights, "
        f"{sum(result.transactions for result in results)} transactions, {sum(result.lives for result in results)} "
        f"lives of nodes in {time.monotonic() - started:.1f} s"
    )
    if failures:
        print("failed: " + ", ".join(f"{failure.seed} {failure.invariant}" for failure in failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
