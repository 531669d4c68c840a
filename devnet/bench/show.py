"""The tables of a result, for a terminal and for a page.

One rule: both are the same cells; a table is a head and rows of text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from devnet.bench.measure import Machine
from devnet.bench.results import Result, Run, Stage, mean_cost, median_stage

OTHERS_MAX = 0.5  # of the cores: where others took more, what is told of the rest is chance


@dataclass(frozen=True, slots=True)
class Cells:
    """A table. The first column is text, the others are figures."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> list[str]:
        """Return the lines of a page."""
        rules = ("---", *("---:" for _ in self.head[1:]))
        return [f"| {' | '.join(row)} |" for row in (self.head, rules, *self.rows)]

    def table(self) -> Table:
        """Return it for a terminal."""
        table = Table(*self.head, box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in self.rows:
            table.add_row(*row)
        return table


LOADS = (
    *("load", "offered", "committed tx/s", "bound ratio", "p50 ms", "p95", "p99", "p99.9", "blocks/s", "block ms"),
    *("nullified", "refused"),
)
COSTS = (
    *("load", "CPU us/tx", "of a core", "RSS MB", "written B/tx", "sent B/tx", "generator", "others"),
    "ratio of rest",
)


def loads(stages: Sequence[Stage]) -> Cells:
    """Return what clients see."""
    return Cells(LOADS, tuple(_load_row(stage) for stage in stages))


def costs(stages: Sequence[Stage]) -> Cells:
    """Return what a validator spends, the mean of all that are well."""
    return Cells(COSTS, tuple(_cost_row(stage) for stage in stages))


def cpu_parts(stages: Sequence[Stage]) -> Cells:
    """Return where CPU time goes, by stage that was profiled."""
    profiled = [stage for stage in stages if stage.cpu_parts]
    names = {part: 0.0 for stage in profiled for part in stage.cpu_parts}
    for stage in profiled:
        for part, share in stage.cpu_parts.items():
            names[part] += share
    ordered = sorted(names, key=lambda part: (-names[part], part))
    head = ("part", *(f"{stage.name}, us/tx" for stage in profiled), *(f"{stage.name}, share" for stage in profiled))
    rows = [
        (
            part,
            *(f"{stage.cpu_parts.get(part, 0) * mean_cost(stage).cpu_us_per_transaction:.1f}" for stage in profiled),
            *(f"{stage.cpu_parts.get(part, 0):.0%}" for stage in profiled),
        )
        for part in ordered
    ]
    return Cells(head, tuple(rows))


def medians(result: Result) -> list[Stage]:
    """Return each stage's medians over all runs."""
    names = dict.fromkeys(stage.name for run in result.runs for stage in run.stages)
    return [stage for name in names if (stage := median_stage(result.runs, name)) is not None]


def machine_line(machine: Machine) -> str:
    """Return where it ran."""
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, Linux {machine.kernel}, "
        f"Python {machine.python}; load average before the run {machine.load_average}"
    )


def show(console: Console, result: Result) -> None:
    """Print a result: the medians, if it has several runs."""
    runs = len(result.runs)
    console.print(f"\n{machine_line(result.machine)}")
    for run in result.runs:
        console.print(_check_line(run))
    stages = medians(result)
    console.print(f"\n{result.scenario.name}: {result.scenario.question}{f'; medians of {runs} runs' * (runs > 1)}\n")
    console.print(loads(stages).table())
    console.print("\nA validator (the mean of all that are well), and who else used the cores:\n")
    console.print(costs(stages).table())
    if any(stage.cpu_parts for stage in stages):
        console.print("\nWhere a validator's CPU time goes:\n")
        console.print(cpu_parts(stages).table())
    wrong = [fault for run in result.runs for fault in run.faults]
    for fault in wrong:
        console.print(fault, style="red", markup=False)
    if not wrong:
        console.print("\nAll stores: whole, the same roots, the supply is what was issued, nothing accepted was lost.")
    console.print(f"{sum(run.seconds for run in result.runs):.0f} s in all.")


def _check_line(run: Run) -> str:
    return (
        f"One signature check: {run.verify_us_before:.1f} us before, {run.verify_us_after:.1f} us after; "
        f"the bound for those that run on these cores: {run.bound_per_second:,.0f} tx/s"
    )


def _load_row(stage: Stage) -> tuple[str, ...]:
    latency = stage.latency
    return (
        stage.name,
        "closed loop" if stage.offered_per_second is None else f"{stage.offered_per_second:,.0f}",
        f"{stage.committed_per_second:,.0f}",
        f"{stage.bound_ratio:.2f}",
        *(figure(ms) for ms in (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.p999_ms)),
        f"{stage.blocks_per_second:.1f}",
        f"{stage.block_ms:,.0f}",
        str(stage.views_nullified),
        ", ".join(f"{count:,} {name}" for name, count in stage.refused.items()) or "0",
    )


def _cost_row(stage: Stage) -> tuple[str, ...]:
    cost = mean_cost(stage)
    return (
        stage.name,
        f"{cost.cpu_us_per_transaction:,.0f}",
        f"{cost.cpu_share:.0%}",
        f"{cost.rss_bytes / 1e6:,.0f}",
        f"{cost.written_bytes_per_transaction:,.0f}",
        f"{cost.sent_bytes_per_transaction:,.0f}",
        f"{stage.generator_share:.0%}",
        f"{stage.others_share:.0%}",
        f"{stage.bound_ratio_of_rest:.2f}" if stage.others_share <= OTHERS_MAX else "-",
    )


def figure(ms: float | None) -> str:
    """Return milliseconds, or a dash where there is nothing to tell."""
    return "-" if ms is None else f"{ms:,.0f}"
