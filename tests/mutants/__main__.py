"""python -m tests.mutants [--only NAME] [--jobs 2] [--seeds N]: plant every mutant, or one, and see who notices.

Without --seeds the outcome becomes docs/mutants.md: the whole part of it, or with --only the rows of these mutants,
which the page then names. The exit status is 1 if a mutant survived without an argument, or was killed in spite of one,
or if the sound code did not pass.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.mutants.hunt import Kill
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.page import Outcome, write_planted
from tests.mutants.planted import MUTANTS, SOUND

SECONDS_MAX: Final = 900  # for one mutant, on a busy machine


class Undecided(Exception):
    """The hunt itself failed: no verdict."""


def main(arguments: Sequence[str]) -> int:
    """Hunt the mutants; return 1 if a verdict is not the one that the list claims."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these mutants only")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seeds", type=int, help="seeds of the simulator for each, instead of its own number")
    options = parser.parse_args(arguments)
    chosen = [mutant for mutant in (SOUND, *MUTANTS) if mutant.name in (options.only or [mutant.name])]
    unknown = set(options.only or ()) - {mutant.name for mutant in chosen}
    if unknown:
        parser.error(f"there is no mutant of this name: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    outcomes: list[Outcome] = []
    for outcome in _hunted(chosen, options.jobs, options.seeds):
        outcomes.append(outcome)
        print(_line(outcome), flush=True)
    wrong = [outcome for outcome in outcomes if not outcome.as_claimed]
    print(f"{len(outcomes)} in {time.monotonic() - began:.0f} s; not as claimed: {len(wrong)}")
    for outcome in wrong:
        print(f"  {_line(outcome)}")
    if not wrong and options.seeds is None:
        write_planted([outcome for outcome in outcomes if outcome.mutant is not SOUND], whole=options.only is None)
    return 1 if wrong else 0


def hunt_apart(mutant: Mutant, seeds: int | None = None) -> Kill | None:
    """Hunt a mutant in a process of its own. Raises Undecided."""
    command = [sys.executable, "-m", "tests.mutants.hunt", mutant.name, *([] if seeds is None else [str(seeds)])]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        raise Undecided(f"{mutant.name}: not decided in {SECONDS_MAX} s") from None
    if done.returncode:
        raise Undecided(f"{mutant.name}: {done.stdout[-2_000:]}{done.stderr[-2_000:]}")
    kill = json.loads(done.stdout.splitlines()[-1])
    return None if kill is None else Kill(*kill)


def _hunted(chosen: Sequence[Mutant], jobs: int, seeds: int | None) -> Iterator[Outcome]:
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda mutant: _outcome(mutant, seeds), chosen)


def _outcome(mutant: Mutant, seeds: int | None) -> Outcome:
    try:
        return Outcome(mutant, hunt_apart(mutant, seeds))
    except Undecided as error:
        return Outcome(mutant, None, str(error))


def _line(outcome: Outcome) -> str:
    kill = outcome.kill
    if outcome.trouble:
        how = f"undecided: {outcome.trouble}"
    elif kill is None:
        how = f"survives{': ' + outcome.mutant.equivalent if outcome.mutant.equivalent else ''}"
    else:
        how = f"{kill.killer}: {kill.saw}" + (f" ({kill.seeds} seeds)" if kill.seeds else "")
    return f"{outcome.mutant.name:60} {how}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
