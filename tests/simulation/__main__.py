"""Run the simulator: docs/simulator.md.

python -m tests.simulation --seeds 500 [--first 0] [--only committees] [--jobs 2] [--keep-going] [--hash]
python -m tests.simulation --seed 7 --trace
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from tests.simulation import twins
from tests.simulation.campaign import Failure, core_seconds, outcomes, seeds_that_draw
from tests.simulation.cluster import Result, run
from tests.simulation.plan import DRAWS, draw

SHOWN_EVERY: Final = 100  # seeds
INTERRUPTED: Final = 130  # the exit status of who was told to stop by Ctrl-C


def main(arguments: list[str]) -> int:
    """Run seeds; return 1 if one failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("--trace", action="store_true", help="tell the story of --seed")
    parser.add_argument("--hash", action="store_true", help="print the hash of all that happened in each seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    parser.add_argument("--only", choices=sorted(DRAWS), help="seeds that draw these only")
    parser.add_argument("--twins", action="store_true", help="run scripted Twins, from scenario --first")
    parser.add_argument("--scenarios", type=int, default=1_000, help="how many of them")
    options = parser.parse_args(arguments)
    if options.twins:
        return twins.report(options.first, options.scenarios, options.jobs, options.trace)
    if options.seed is not None:
        return _run_one(options.seed, options.trace)
    seeds = seeds_that_draw(draw, DRAWS.get(options.only), options.first, options.seeds)
    return _run_many(seeds, options.jobs, options.keep_going, options.hash)


def _run_one(seed: int, trace: bool) -> int:
    print(f"seed {seed}: {draw(seed).summary()}")
    try:
        result = run(seed, trace)
    except Failure as failure:
        print(failure)
        return 1
    print(
        f"seed {seed}: {result.heights} heights, {result.events} events, "
        f"{result.virtual_ms} virtual ms, {result.digest}"
    )
    return 0


def _run_many(seeds: Sequence[int], jobs: int, keep_going: bool, hashes: bool) -> int:
    started, used = time.monotonic(), core_seconds()
    results: list[Result] = []
    failures: list[Failure] = []
    status = 0
    try:
        with closing(outcomes(run, seeds, jobs)) as ended:
            for outcome in ended:
                if isinstance(outcome, Result):
                    results.append(outcome)
                    if hashes:
                        print(f"{outcome.seed} {outcome.digest}")
                else:
                    failures.append(outcome)
                    status = 1
                    print(outcome, flush=True)
                    if not keep_going:
                        break
                if (len(results) + len(failures)) % SHOWN_EVERY == 0:
                    print(_so_far(results, failures, time.monotonic() - started), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print(f"interrupted before the end of {len(seeds)} seeds")
        status = INTERRUPTED
    cores = core_seconds() - used
    print(
        f"{_so_far(results, failures, time.monotonic() - started)}, {cores:.1f} core-seconds: "
        f"{sum(result.heights for result in results) * 3600 / cores:.0f} heights per core-hour"
    )
    if failures:
        print("failed: " + ", ".join(f"{failure.seed} {failure.invariant}" for failure in failures))
    return status


def _so_far(results: list[Result], failures: list[Failure], seconds: float) -> str:
    return (
        f"{len(results)} seeds clean, {len(failures)} failed; {sum(result.heights for result in results)} heights, "
        f"{sum(result.events for result in results)} events in {seconds:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
