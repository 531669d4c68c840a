"""python -m tests.model [--views 3] [--end-height H] · --mutant NAME · --mutants · --plain"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from tests.model import plain
from tests.model.chain import Findings, check
from tests.model.rules import AGREEMENT, MUTANTS, PROTOCOL, STEPS, Rules
from tests.model.story import tell


def main(arguments: list[str]) -> int:
    """Check the protocol, or show what a planted fault does; return 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--views", type=int, default=3, help="how many views")
    parser.add_argument("--end-height", type=int, help="the epoch's last height")
    parser.add_argument(
        "--mutant", choices=sorted(MUTANTS), help="plant this fault in the rules and tell what it breaks"
    )
    parser.add_argument("--mutants", action="store_true", help="plant every fault and tell its worst")
    parser.add_argument(
        "--plain", action="store_true", help="count the states of two views without reduction (a minute)"
    )
    options = parser.parse_args(arguments)
    if options.plain:
        return _compare()
    if options.mutant is not None:
        return _show(options.mutant, worst_only=False)
    if options.mutants:
        return max(_show(name, worst_only=True) for name in MUTANTS)
    return _check(replace(PROTOCOL, end_height=options.end_height), options.views)


def placements(views: int) -> Iterator[frozenset[int]]:
    """Give every set of views with honest leaders; none first, which allows all that the others do."""
    for count in range(views + 1):
        yield from map(frozenset, combinations(range(1, views + 1), count))


def _check(rules: Rules, views: int) -> int:
    print(f"{rules.validators} validators, {rules.liars} liar, quorum {rules.quorum}, {views} views")
    broken = 0
    for honest in placements(views):
        started = time.monotonic()
        findings = check(rules, views, honest)
        led = ", ".join(str(view) for view in range(1, views + 1) if view not in honest) or "none"
        print(f"liar leads {led}: {_summary(findings)}; {time.monotonic() - started:.1f} s", flush=True)
        for found in findings.broken.values():
            print(tell(found))
        broken += len(findings.broken)
    return 1 if broken else 0


def _summary(findings: Findings) -> str:
    return (
        f"{findings.states:,} states in {findings.runs:,} kinds of run, {findings.finalizing:,} of them finalize, "
        f"up to height {findings.deepest}; {len(findings.broken) or 'nothing'} broken"
    )


def _show(name: str, worst_only: bool) -> int:
    mutant = MUTANTS[name]
    findings = check(mutant.rules, mutant.views, steps=STEPS if mutant.breaks else None)
    print(f"{name}: {mutant.why}")
    shown = [AGREEMENT] if worst_only and AGREEMENT in findings.broken else sorted(findings.broken)
    for broken in shown:
        print(tell(findings.broken[broken]))
    if not shown:
        print(f"  breaks nothing in {mutant.views} views")
    print(flush=True)
    return 0 if frozenset(findings.broken) == mutant.breaks else 1


def _compare() -> int:
    counted = len(plain.reachable(2, "ab"))
    by_views = check(PROTOCOL, 2).states
    print(f"two views: {counted:,} states one by one, {by_views:,} by views")
    return 0 if counted == by_views else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
