"""`make bench-plots`: the tables and charts of docs/performance.md, from the JSON in docs/performance.

One rule: a figure on that page stands in a committed JSON; between the markers nobody writes by hand.

    python -m devnet.bench.plots [--results docs/performance] [--page docs/performance.md]
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from devnet.bench.results import Result, ResultError, Stage, read_result
from devnet.bench.scenarios import SCENARIOS
from devnet.bench.show import Cells, costs, cpu_parts, figure, loads, machine_line, medians
from devnet.svg import Chart, Line, draw

BEGIN: Final = "<!-- figures: written by `make bench-plots` -->"
END: Final = "<!-- end of figures -->"
NONE_YET: Final = "No results are committed yet: `make bench-all` writes them."
NOT_RESULTS: Final = ("baseline.json",)
SUMMARY: Final = (
    *("scenario", "committed tx/s", "payments/s", "bound ratio", "p50 ms at half", "p99", "CPU us/tx", "RSS MB"),
    *("written B/tx", "sent B/tx", "others"),
)

Results = dict[str, Result]


class PageError(Exception):
    """The page has no place for figures."""


def read_all(folder: Path) -> Results:
    """Return the results in a folder, in the order of the table of scenarios. Raises ResultError."""
    paths = [path for path in sorted(folder.glob("*.json")) if path.name not in NOT_RESULTS]
    found = {result.scenario.name: result for result in map(read_result, paths)}
    known = [name for name in SCENARIOS if name in found]
    return {name: found[name] for name in (*known, *sorted(found.keys() - set(known)))}


def figures(results: Results, folder: str) -> str:
    """Return the Markdown between the markers; charts are looked for in ``folder``, seen from the page."""
    return "\n".join(_lines(results, folder)) if results else NONE_YET


def charts(results: Results) -> dict[str, Chart]:
    """Return the charts that these results are enough for, by name."""
    found = {
        "latency": _latency_chart(results),
        "validators": _by_scenario(
            results, "validators-", "Validators that share the cores", "validators", lambda r: r.scenario.validators
        ),
        "accounts": _by_scenario(
            results, "accounts-", "Size of the state", "accounts", lambda r: r.scenario.accounts, log=True
        ),
    }
    return {name: chart for name, chart in found.items() if chart is not None}


def put_between(page: str, text: str, first: str = BEGIN, last: str = END) -> str:
    """Return the page with other text between the markers. Raises PageError."""
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise PageError(f"the markers are missing: {first} and {last}")
    return f"{before}{first}\n\n{text}\n\n{last}{after}"


def _lines(results: Results, folder: str) -> Iterator[str]:
    for machine in dict.fromkeys(machine_line(result.machine).partition(";")[0] for result in results.values()):
        yield f"Measured on {machine}."
    commits = ", ".join(sorted({result.commit or "unknown" for result in results.values()}))
    runs = sorted({len(result.runs) for result in results.values()})
    told = "One run of each" if runs == [1] else f"Medians of {' or '.join(map(str, runs))} runs"
    yield f"{told}; source {commits}."
    wrong = [f"{name}: {fault}" for name, result in results.items() for run in result.runs for fault in run.faults]
    yield from (f"**Wrong** in {each}" for each in wrong)
    yield from ("", *_summary(results).markdown(), "")
    for name in charts(results):
        yield from (f"![{name}]({folder}/{name}.svg)", "")
    for name, result in results.items():
        stages = medians(result)
        yield from (f"### `{name}`: {result.scenario.question}", "", *loads(stages).markdown(), "")
        yield from (*costs(stages).markdown(), "")
        if any(stage.cpu_parts for stage in stages):
            yield from (*cpu_parts(stages).markdown(), "")


def _summary(results: Results) -> Cells:
    return Cells(SUMMARY, tuple(_summary_row(name, medians(result)) for name, result in results.items()))


def _summary_row(name: str, stages: Sequence[Stage]) -> tuple[str, ...]:
    full = stages[0]
    half = next((stage for stage in stages if stage.name in ("half", "50 %")), None)
    cost = full.validators[0]
    return (
        name,
        f"{full.committed_per_second:,.0f}",
        f"{full.payments_per_second:,.0f}",
        f"{full.bound_ratio:.2f}",
        figure(half.latency.p50_ms if half else None),
        figure(half.latency.p99_ms if half else None),
        f"{cost.cpu_us_per_transaction:,.0f}",
        f"{cost.rss_bytes / 1e6:,.0f}",
        f"{cost.written_bytes_per_transaction:,.0f}",
        f"{cost.sent_bytes_per_transaction:,.0f}",
        f"{full.others_share:.0%}",
    )


def _latency_chart(results: Results) -> Chart | None:
    """Return latencies over the rate at which the network was loaded."""
    if "latency" not in results:
        return None
    stages = [stage for stage in medians(results["latency"]) if stage.offered_per_second is not None]
    curves: tuple[tuple[str, Callable[[Stage], float | None]], ...] = (
        ("p50", lambda stage: stage.latency.p50_ms),
        ("p95", lambda stage: stage.latency.p95_ms),
        ("p99", lambda stage: stage.latency.p99_ms),
        ("p99.9", lambda stage: stage.latency.p999_ms),
    )
    lines = [
        Line(name, tuple((stage.offered_per_second or 0.0, ms) for stage in stages if (ms := of(stage)) is not None))
        for name, of in curves
    ]
    lines = [line for line in lines if line.points]
    title = "From submit to final, as a client sees it"
    return Chart(title, "offered, transactions a second", "ms", tuple(lines), y_log=True) if lines else None


def _by_scenario(
    results: Results, prefix: str, title: str, x_name: str, x: Callable[[Result], float], log: bool = False
) -> Chart | None:
    """Return throughput at saturation over what a family of scenarios varies."""
    family = sorted((result for name, result in results.items() if name.startswith(prefix)), key=x)
    if len(family) < 2:
        return None
    points = tuple((x(result), medians(result)[0].committed_per_second) for result in family)
    lines = (Line("saturation", points),)
    return Chart(title, x_name, "committed transactions a second", lines, x_log=log)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write charts and page; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devnet.bench.plots", description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=Path("docs/performance"))
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    given = parser.parse_args(arguments)
    try:
        results = read_all(given.results)
        page = put_between(given.page.read_text(), figures(results, given.results.name))
    except (OSError, PageError, ResultError) as error:
        print(f"bench-plots: {error}", file=sys.stderr)
        return 1
    for name, chart in charts(results).items():
        (given.results / f"{name}.svg").write_text(draw(chart))
    given.page.write_text(page)
    print(f"{given.page}: {len(results)} results, {len(charts(results))} charts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
