"""python -m tests.hostile [--minutes 10] [--first 1] · --seed 17"""

import argparse
import sys
import time

from tests.hostile import campaign


def main(arguments: list[str]) -> int:
    """Run one seed, or seeds until the time is up; a failure ends it with a traceback that names the seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long")
    parser.add_argument("--first", type=int, default=int(time.time()), help="the first seed; by default one of its own")
    parser.add_argument("--seed", type=int, help="this one only")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        print(campaign.run(options.seed))
        return 0
    ends, seed, lies = time.monotonic() + 60 * options.minutes, options.first, 0
    while time.monotonic() < ends:
        lies += campaign.run(seed).lies
        seed += 1
    print(f"seeds {options.first} to {seed - 1} clean: {lies:,} lies")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
