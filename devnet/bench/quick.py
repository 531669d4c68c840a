"""`make bench-quick`: has the code become slower? Parts of a payment's route and a short saturation, beside a baseline.

One rule: what is compared holds on a busy machine too: parts as fractions of a signature check that was timed beside
them, CPU time in checks, throughput by the bound that was measured in the same run. It informs, and fails nothing.

    python -m devnet.bench.quick [--write-baseline]
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from devnet.bench.measure import Machine, machine
from devnet.bench.results import Run, mean_cost
from devnet.bench.run import run
from devnet.bench.scenarios import ONE_LOAD, SCENARIOS
from devnet.bench.show import OTHERS_MAX, Cells, machine_line
from devnet.bench.stages import CHECK_US, measure
from devnet.processes import DevnetError
from node.client.errors import ClientError

BASELINE: Final = Path("docs/performance/baseline.json")
FORMAT: Final = 1
FILE_BYTES_MAX: Final = 2**20
ACCOUNTS: Final = 2_000
BLOCKS: Final = 6
WINDOW_SECONDS: Final = 5.0
RUN_SECONDS_MAX: Final = 100.0  # on a very busy machine there is no saturation, only the parts
SLOWER: Final = 1.15  # runs of the same code differ by less than this
QUICK: Final = replace(SCENARIOS["usual"], name="quick", accounts=ACCOUNTS, seconds=WINDOW_SECONDS, loads=ONE_LOAD)

console = Console(highlight=False, width=110)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is compared. ``parts``: us a transaction of the chain, as if a check took CHECK_US."""

    format: int
    machine: Machine
    parts: dict[str, float]
    bound_ratio: float | None  # over the CPU that others left
    checks_a_transaction: float | None  # CPU time of a validator for one, in signature checks


class BaselineError(Exception):
    """The baseline can not be read; the text says why."""


def read_baseline(path: Path) -> Figures | None:
    """Return the baseline, or None if there is none. Raises BaselineError."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BaselineError(f"{path}: more than {FILE_BYTES_MAX} bytes")
        found = msgspec.json.decode(path.read_bytes(), type=Figures)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise BaselineError(f"{path}: {error}") from None
    if found.format != FORMAT:
        raise BaselineError(f"{path}: format {found.format}, this reads {FORMAT}")
    return found


def compare(before: Figures | None, now: Figures) -> Cells:
    """Return the table: baseline, now, how much more, and a word where that is much."""
    rows = [
        _row(name, before.parts.get(name) if before else None, us, f"us of {CHECK_US:.0f}")
        for name, us in now.parts.items()
    ]
    rows.append(
        _row(
            "CPU of a transaction",
            before.checks_a_transaction if before else None,
            now.checks_a_transaction,
            "checks",
        )
    )
    rows.append(_row("bound ratio", before.bound_ratio if before else None, now.bound_ratio, "of rest", good=True))
    return Cells(("figure", "unit", "baseline", "now", "times", ""), tuple(rows))


def _row(name: str, before: float | None, now: float | None, unit: str, good: bool = False) -> tuple[str, ...]:
    """Return a row; more of what is ``good`` is faster."""
    times = now / before if before and now else None
    worse = times is not None and (1 / times if good else times) > SLOWER
    return (
        name,
        unit,
        "-" if before is None else f"{before:.2f}",
        "-" if now is None else f"{now:.2f}",
        "-" if times is None else f"{times:.2f}",
        "slower" if worse else "",
    )


def figures_of(parts: Sequence[tuple[str, float]], done: Run | None) -> Figures:
    """Return what is compared of a measurement of parts and a run, if there was one and others left it the cores."""
    stage = done.stages[0] if done and done.stages[0].others_share <= OTHERS_MAX else None
    return Figures(
        FORMAT,
        machine(),
        dict(parts),
        stage.bound_ratio_of_rest if stage else None,
        mean_cost(stage).cpu_us_per_transaction / done.verify_us if stage and done else None,
    )


async def _saturation(directory: Path) -> Run | None:
    """Return a short saturation, or None if this machine has no time for it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            return await run(QUICK, directory, 2, lambda _: None)
    except TimeoutError:
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and compare; return 0, or 1 if nothing could be measured or a payment was lost."""
    parser = argparse.ArgumentParser(prog="python -m devnet.bench.quick", description=__doc__.split("\n")[0])
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    parser.add_argument("--write-baseline", action="store_true", help="these figures are the baseline from now on")
    parser.add_argument("--directory", type=Path, default=Path(".devnet/quick"), help="made anew")
    given = parser.parse_args(arguments)
    try:
        before = read_baseline(given.baseline)
        watch = measure(given.directory.with_name(f"{given.directory.name}-parts"), ACCOUNTS, BLOCKS)
        done = asyncio.run(_saturation(given.directory))
    except (BaselineError, DevnetError, ClientError) as error:
        print(f"bench-quick: {error}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        print("bench-quick: stopped", file=sys.stderr)
        return 130
    rows = [(name, weighted) for name, _, weighted in watch.rows()]
    now = figures_of([*rows, ("in all", sum(us for _, us in rows))], done)
    console.print(machine_line(now.machine))
    if before is None:
        console.print(f"There is no {given.baseline} yet; --write-baseline makes it, on a machine that is quiet.")
    elif before.machine.cpu != now.machine.cpu:
        console.print(f"The baseline is of another machine: {machine_line(before.machine)}")
    console.print(compare(before, now).table())
    if done is None:
        console.print(f"No saturation within {RUN_SECONDS_MAX:.0f} s: the machine is too busy.")
    elif now.bound_ratio is None:
        console.print("Others took more than half of the cores: of the saturation nothing can be told.")
    for fault in done.faults if done else ():
        console.print(fault, style="red", markup=False)
    if given.write_baseline:
        given.baseline.parent.mkdir(parents=True, exist_ok=True)
        given.baseline.write_bytes(msgspec.json.format(msgspec.json.encode(now)) + b"\n")
    return 1 if done and done.faults else 0


if __name__ == "__main__":
    sys.exit(main())
