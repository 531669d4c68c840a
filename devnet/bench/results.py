"""What a run of a scenario gave: the data, its JSON, and the medians of several runs.

One rule: what the documentation says is read from this JSON, and nothing else is.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from devnet.bench.measure import Machine
from devnet.bench.scenarios import Scenario

FORMAT: Final = 1
FILE_BYTES_MAX: Final = 16 * 2**20
PERMILLE: Final = 1_000


class ResultError(Exception):
    """A file that holds no result; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Latency:
    """From when a call was meant to go out to when its last transaction was known to be final, in ms.

    A figure is None where too few samples lie above it for it to say anything.
    """

    samples: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    p999_ms: float | None


@dataclass(frozen=True, slots=True)
class ValidatorCost:
    """One validator during a stage."""

    name: str
    cpu_us_per_transaction: float
    cpu_share: float  # of one core
    rss_bytes: int
    written_bytes_per_transaction: float
    sent_bytes_per_transaction: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One load of a run."""

    name: str
    offered_per_second: float | None  # None: closed loop
    seconds: float
    committed_per_second: float  # transactions
    payments_per_second: float
    bound_ratio: float
    bound_ratio_of_rest: float  # the bound ratio over the CPU that others left
    latency: Latency
    accepted: int
    refused: dict[str, int]
    outcomes: dict[str, int]
    failed_calls: dict[str, int]
    blocks_per_second: float
    block_ms: float  # mean time of a block, from its proposal to its being stored
    views_nullified: int  # in the window, as the validator that saw most of them counts
    validators: tuple[ValidatorCost, ...]  # those that are well
    generator_share: float  # CPU of the load generator, of all cores
    others_share: float  # CPU of processes that have nothing to do with this run
    cpu_parts: dict[str, float] = field(default_factory=dict)  # part -> share of the CPU samples, if profiled


@dataclass(frozen=True, slots=True)
class Run:
    """One run. The bound: cores * 10**6 / (validators that run * us of a check)."""

    started_ms: int  # Unix time
    seconds: float
    verify_us_before: float
    verify_us_after: float
    bound_per_second: float
    stages: tuple[Stage, ...]
    faults: tuple[str, ...]

    @property
    def verify_us(self) -> float:
        return (self.verify_us_before + self.verify_us_after) / 2


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of a scenario on one machine."""

    format: int
    machine: Machine
    commit: str
    scenario: Scenario
    runs: tuple[Run, ...]


def percentile_ms(ascending: Sequence[float], permille: int) -> float | None:
    """Return the smallest latency, of some in seconds, that at least this share of the samples does not exceed.

    None if the samples are too few for one of them to lie above it: of a hundred no p99.9 can be told.
    """
    if len(ascending) * (PERMILLE - permille) < PERMILLE:
        return None
    return ascending[-(-permille * len(ascending) // PERMILLE) - 1] * 1_000


def latency_of(seconds: Sequence[float]) -> Latency:
    """Return the figures of latencies in any order."""
    ascending = sorted(seconds)
    p50, p95, p99, p999 = (percentile_ms(ascending, permille) for permille in (500, 950, 990, 999))
    return Latency(len(ascending), p50, p95, p99, p999)


def median(values: Sequence[float | None]) -> float | None:
    """Return the median of what is there."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def median_stage(runs: Sequence[Run], name: str) -> Stage | None:
    """Return a stage whose figures are the medians over the runs that have it; counts are those of all together."""
    stages = [stage for run in runs for stage in run.stages if stage.name == name]
    if not stages:
        return None

    def of(value: Callable[[Stage], float]) -> float:
        return statistics.median(value(stage) for stage in stages)

    offered = median([stage.offered_per_second for stage in stages])
    latencies = [stage.latency for stage in stages]
    parts = sorted({part for stage in stages for part in stage.cpu_parts})
    return Stage(
        name=name,
        offered_per_second=offered,
        seconds=of(lambda each: each.seconds),
        committed_per_second=of(lambda each: each.committed_per_second),
        payments_per_second=of(lambda each: each.payments_per_second),
        bound_ratio=of(lambda each: each.bound_ratio),
        bound_ratio_of_rest=of(lambda each: each.bound_ratio_of_rest),
        latency=Latency(
            sum(each.samples for each in latencies),
            median([each.p50_ms for each in latencies]),
            median([each.p95_ms for each in latencies]),
            median([each.p99_ms for each in latencies]),
            median([each.p999_ms for each in latencies]),
        ),
        accepted=sum(stage.accepted for stage in stages),
        refused=_sum([stage.refused for stage in stages]),
        outcomes=_sum([stage.outcomes for stage in stages]),
        failed_calls=_sum([stage.failed_calls for stage in stages]),
        blocks_per_second=of(lambda each: each.blocks_per_second),
        block_ms=of(lambda each: each.block_ms),
        views_nullified=round(of(lambda each: each.views_nullified)),
        validators=(_mean_validator(stages),),
        generator_share=of(lambda each: each.generator_share),
        others_share=of(lambda each: each.others_share),
        cpu_parts={part: statistics.median(stage.cpu_parts.get(part, 0.0) for stage in stages) for part in parts},
    )


def mean_cost(stage: Stage) -> ValidatorCost:
    """Return the mean over a stage's validators."""

    def mean(value: Callable[[ValidatorCost], float]) -> float:
        return statistics.mean(value(each) for each in stage.validators)

    return ValidatorCost(
        "all",
        mean(lambda each: each.cpu_us_per_transaction),
        mean(lambda each: each.cpu_share),
        round(mean(lambda each: each.rss_bytes)),
        mean(lambda each: each.written_bytes_per_transaction),
        mean(lambda each: each.sent_bytes_per_transaction),
    )


def _mean_validator(stages: Sequence[Stage]) -> ValidatorCost:
    """Return the median over the runs of the mean over the validators."""
    means = [mean_cost(stage) for stage in stages]

    def of(value: Callable[[ValidatorCost], float]) -> float:
        return statistics.median(value(each) for each in means)

    return ValidatorCost(
        "all",
        of(lambda each: each.cpu_us_per_transaction),
        of(lambda each: each.cpu_share),
        round(of(lambda each: each.rss_bytes)),
        of(lambda each: each.written_bytes_per_transaction),
        of(lambda each: each.sent_bytes_per_transaction),
    )


def _sum(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    names = sorted({name for each in counts for name in each})
    return {name: sum(each.get(name, 0) for each in counts) for name in names}


def write_result(path: Path, result: Result) -> None:
    """Write the JSON, one value a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")


def read_result(path: Path) -> Result:
    """Return the result in a file. Raises ResultError."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ResultError(f"{path}: more than {FILE_BYTES_MAX} bytes")
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError) as error:
        raise ResultError(f"{path}: {error}") from None
    if result.format != FORMAT:
        raise ResultError(f"{path}: a result of format {result.format}, this reads {FORMAT}")
    return result
