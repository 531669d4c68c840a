"""python -m tests.hostile [--minutes 10] [--first 1] [--only network|ledger] · --seed 17"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from tests.hostile import campaign, transactions

RUNS: Final[Mapping[str, Callable[[int], object]]] = {"network": campaign.run, "ledger": transactions.run}


def main(arguments: list[str]) -> int:
    """Run one seed, or seeds until the time is up; a failure ends it with a traceback that names the seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long")
    parser.add_argument("--first", type=int, default=int(time.time()), help="the first seed; by default a new one")
    parser.add_argument("--only", choices=sorted(RUNS), help="only these runs")
    parser.add_argument("--seed", type=int, help="this seed only, and tell what it did")
    options = parser.parse_args(arguments)
    runs = [run for name, run in RUNS.items() if options.only in (None, name)]
    if options.seed is not None:
        for run in runs:
            print(run(options.seed))
        return 0
    ends, seed = time.monotonic() + 60 * options.minutes, options.first
    while time.monotonic() < ends:
        for run in runs:
            run(seed)
        seed += 1
    print(f"seeds {options.first} to {seed - 1} clean")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
