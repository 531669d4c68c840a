"""Hunts one mutant in this process, which is its own: plant it, then try its killers in order.

    python -m tests.mutants.hunt NAME [SEEDS]

The last line of the output is [killer, what it saw, seeds], or null if nobody noticed.
"""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.mutants.mutant import ROOT, Killer, Mutant, Storms, Suite, plant

if TYPE_CHECKING:  # the tools of the tests come in after the fault is planted
    import pytest

TEST_SECONDS_MAX: Final = 100  # a mutant that hangs a test is killed by it
WORDS_MAX: Final = 100  # characters of what a failing test says


class Kill(NamedTuple):
    """Who noticed: the simulator or a test; which invariant or what error; after how many seeds (0 for a test)."""

    killer: str
    saw: str
    seeds: int


def hunt(mutant: Mutant, seeds: int | None = None) -> Kill | None:
    """Plant the mutant, here and for good, and return who notices. ``seeds`` replaces those of all Storms."""
    plant(mutant.edits)
    for killer in mutant.killers:
        kill = _try(killer, seeds)
        if kill is not None:
            return kill
    return None


def _try(killer: Killer, seeds: int | None) -> Kill | None:
    if isinstance(killer, Storms):
        return _storm(killer.seeds if seeds is None else seeds)
    return _test(killer)


def _storm(seeds: int) -> Kill | None:
    from tests.simulation.campaign import Failure
    from tests.simulation.cluster import run

    for seed in range(seeds):
        try:
            run(seed)
        except Failure as failure:
            return Kill("simulator", failure.invariant, seed + 1)
    return None


def _test(killer: Suite) -> Kill | None:
    import pytest

    first = _FirstFailure()
    options = ("-n0", "-x", "-q", "--no-header", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS_MAX}")
    outcome = pytest.main([*options, *killer.paths, *(("-k", killer.only) if killer.only else ())], plugins=[first])
    if outcome == pytest.ExitCode.OK:
        return None
    if outcome != pytest.ExitCode.TESTS_FAILED or first.kill is None:
        raise RuntimeError(f"pytest ended with {outcome!r}: the tests did not run")
    return first.kill


class _FirstFailure:
    """A plugin of pytest that remembers the first test that failed, and how."""

    def __init__(self) -> None:
        self.kill: Kill | None = None

    def pytest_runtest_logreport(self, report: "pytest.TestReport") -> None:
        if report.failed and self.kill is None:
            crash = getattr(report.longrepr, "reprcrash", None)
            words = (crash.message if crash is not None else str(report.longrepr)).splitlines() or [""]
            self.kill = Kill(report.nodeid.removeprefix("tests/"), words[0][:WORDS_MAX], 0)


def main(arguments: Sequence[str]) -> None:
    """Hunt the mutant that is named first."""
    from tests.mutants.planted import MUTANTS, SOUND

    name, *seeds = arguments
    sys.path[:0] = [str(ROOT)]
    mutant = next(mutant for mutant in (SOUND, *MUTANTS) if mutant.name == name)
    print(json.dumps(hunt(mutant, int(seeds[0]) if seeds else None)))


if __name__ == "__main__":
    main(sys.argv[1:])
