"""`make bench`: signed payments over the real JSON-RPC against local validators, and what came of them.

One rule: everything is bounded in time, loads the loopback interface only, and leaves no process behind, however it
ends. At the end the stores are opened and every balance is added up. docs/performance.md says how to read the figures.

    python -m devnet.bench [--scenario NAME ...] [--all] [--runs N] [--quick] [--list] [--accounts N] [--json FILE]
"""

import argparse
import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from devnet.bench.measure import machine
from devnet.bench.results import FORMAT, Result, write_result
from devnet.bench.run import run
from devnet.bench.scenarios import PAYLOADS, SCENARIOS, Load, Scenario
from devnet.bench.show import show
from devnet.bench.sign import ACCOUNTS_MAX, ACCOUNTS_MIN
from devnet.processes import DevnetError
from node.client.errors import ClientError

RUNS_MAX: Final = 20
QUICK_ACCOUNTS: Final = 2_000
QUICK_SECONDS: Final = 5.0
CALL_MIN: Final = 2
RESULTS: Final = Path("docs/performance")
INTERRUPTED: Final = 130

console = Console(highlight=False, width=140)


async def run_scenario(scenario: Scenario, runs: int, directory: Path, workers: int) -> Result:
    """Run a scenario several times."""
    where = machine()
    done = []
    for number in range(runs):
        console.print(f"[bold]{scenario.name}[/bold], run {number + 1} of {runs}: {scenario.question}")
        done.append(await run(scenario, directory, workers, console.print))
    return Result(FORMAT, where, _commit(), scenario, tuple(done))


async def run_all(given: argparse.Namespace, scenarios: Sequence[Scenario]) -> list[str]:
    """Run scenarios one after the other, show and write what came of each; return what was wrong."""
    wrong: list[str] = []
    for scenario in scenarios:
        result = await run_scenario(scenario, given.runs, given.directory, given.workers)
        show(console, result)
        wrong += [f"{scenario.name}: {fault}" for each in result.runs for fault in each.faults]
        if given.json:
            write_result(given.json, result)
        if given.results:
            write_result(given.results / f"{scenario.name}.json", result)
    return wrong


async def _until_signal(given: argparse.Namespace, scenarios: Sequence[Scenario]) -> list[str]:
    """Run; a signal ends it in order, whatever it is doing then."""
    task = asyncio.create_task(run_all(given, scenarios))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[Scenario]]:
    """Return what to run; ends the program on what cannot be."""
    parser = argparse.ArgumentParser(prog="python -m devnet.bench", description=__doc__.split("\n")[0])
    parser.add_argument("--scenario", action="append", default=[], choices=SCENARIOS, metavar="NAME")
    parser.add_argument("--all", action="store_true", help="every scenario, one after the other")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--runs", type=int, default=1, help="of each scenario; the tables show medians")
    parser.add_argument("--quick", action="store_true", help="2,000 accounts, windows of 5 s: under a minute")
    parser.add_argument("--accounts", type=int, help=f"wallets that pay each other, up to {ACCOUNTS_MAX:,}")
    parser.add_argument("--seconds", type=float, help="of each measured window")
    parser.add_argument("--rate", type=float, action="append", default=[], help="only an open loop at so many tx/s")
    parser.add_argument("--validators", type=int)
    parser.add_argument("--workers", type=int, default=2, help="processes that sign before the load")
    parser.add_argument("--batch", type=int, help="transactions in one call")
    parser.add_argument("--in-flight", type=int, help="transactions not final, closed loop")
    parser.add_argument("--signature-workers", type=int, help="of each validator")
    parser.add_argument("--profile", action="store_true", help="tell where CPU time goes (py-spy)")
    parser.add_argument("--directory", type=Path, default=Path(".devnet/bench"), help="made anew")
    parser.add_argument("--json", type=Path, help="where to write all figures of one scenario")
    parser.add_argument("--results", type=Path, help=f"a folder for a JSON by scenario, such as {RESULTS}")
    given = parser.parse_args(arguments)
    names = list(SCENARIOS) if given.all else given.scenario or ["usual"]
    scenarios = [_changed(SCENARIOS[name], given) for name in dict.fromkeys(names)]
    if given.json and len(scenarios) > 1:
        parser.error("--json takes one scenario; --results a folder for many")
    for name, value, low, high in (
        ("--runs", given.runs, 1, RUNS_MAX),
        ("--workers", given.workers, 1, 64),
        *(bound for scenario in scenarios for bound in _bounds(scenario)),
    ):
        if not low <= value <= high:
            parser.error(f"{name}: {low:,} to {high:,}")
    return given, scenarios


def _changed(scenario: Scenario, given: argparse.Namespace) -> Scenario:
    """Return the scenario with what the command line says instead."""
    if given.quick:
        scenario = replace(scenario, accounts=QUICK_ACCOUNTS, seconds=QUICK_SECONDS)
    names = ("accounts", "seconds", "validators", "batch", "in_flight", "signature_workers")
    said = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    if given.rate:
        said["loads"] = tuple(Load(f"{rate:,.0f} tx/s", rate=rate) for rate in given.rate)
    return replace(scenario, **said, profile=scenario.profile or given.profile)


def _bounds(scenario: Scenario) -> list[tuple[str, float, float, float]]:
    batch = scenario.batch or PAYLOADS[scenario.payload].batch
    in_flight = scenario.in_flight or PAYLOADS[scenario.payload].in_flight
    return [
        ("--accounts", scenario.accounts, ACCOUNTS_MIN, ACCOUNTS_MAX),
        ("--seconds", scenario.seconds, 1, 120),
        ("--validators", scenario.validators, 1, 31),
        ("--batch", batch, 2 * CALL_MIN if scenario.payload == "holds" else CALL_MIN, 1_000),
        ("--in-flight", in_flight, batch, 40_000),
        ("--signature-workers", scenario.signature_workers, 0, 64),
        *(("--rate", load.rate, 1, 20_000) for load in scenario.loads if load.rate is not None),
    ]


def _commit() -> str:
    """Return the name of the source that ran, if it is known."""
    root = Path(__file__).parents[2]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 0, or 1 if anything is wrong."""
    given, scenarios = parse(arguments)
    if given.list:
        for scenario in SCENARIOS.values():
            console.print(f"{scenario.name:16} {scenario.question}", soft_wrap=True)
        return 0
    try:
        wrong = asyncio.run(_until_signal(given, scenarios))
    except (DevnetError, ClientError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        print("bench: stopped", file=sys.stderr)
        return INTERRUPTED
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
