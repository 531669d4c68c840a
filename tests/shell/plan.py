"""What one seed draws: who validates, who lies how, how slow disks and lines are, the weather, what breaks when.

One rule: everything that a run depends on is in its plan, or in a generator named in its tree (VirtualLoop.random).
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from consensus.timing import Timing
from node.sync import DEADLINE_SECONDS
from tests.shell.liars import LIES
from tests.simulation.network import Weather, draw_weather

CALM_MS_MAX: Final = int(DEADLINE_SECONDS * 1_000) // 3
SIZES: Final = (1, 4, 4, 4, 4, 4, 4, 5, 7)


@dataclass(frozen=True, slots=True)
class Breaks:
    """How often things break during the storm: mean times in ms, 0 for never."""

    kill_ms: int
    blackout_ms: int  # everybody at once
    stop_ms: int  # ends as a service does, by cancellation
    cut_ms: int  # a connection breaks
    down_ms: int  # the longest time that a dead process stays down
    power_share: float  # of kills that are a host's power: nobody hears of it, and its files are torn


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    size: int
    liars: tuple[tuple[int, tuple[str, ...]], ...]
    epoch_heights: int
    timing: Timing
    weather: Weather
    bytes_per_second: tuple[float, ...]
    disk_ms: tuple[float, ...]  # the longest time that a write of each validator takes
    hiccup_ms: int
    skew_ms: int
    load_ms: int  # mean time between two submissions
    rotate_bytes: int  # of journal
    breaks: Breaks
    storm_seconds: int

    def summary(self) -> str:
        """Return the plan in a line."""
        liars = ", ".join(f"n{index} {' + '.join(lies)}" for index, lies in self.liars) or "no liars"
        return (
            f"{self.size} validators, {liars}, epochs of {self.epoch_heights}, views of {self.timing.view_ms} ms, "
            f"a storm of {self.storm_seconds} s, {self.weather}, {self.breaks}"
        )


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    random = Random(f"{seed}/shell plan")
    size = random.choice(SIZES)
    timing = _draw_timing(random)
    return Plan(
        seed=seed,
        size=size,
        liars=_draw_liars(random, size),
        epoch_heights=random.choice((4, 12, 1_000, 1_000)),
        timing=timing,
        weather=_draw_weather(random, timing),
        bytes_per_second=tuple(random.choice((1e8, 1e7, 1e7, 5e5)) for _ in range(size)),
        disk_ms=tuple(random.choice((0.0, 2.0, 20.0, 150.0)) for _ in range(size)),
        hiccup_ms=random.choice((0, 6, 20)),
        skew_ms=random.choice((0, 50, 400)),
        load_ms=random.choice((40, 150, 600)),
        rotate_bytes=random.choice((20_000, 200_000)),
        breaks=_draw_breaks(random, timing.view_ms),
        storm_seconds=random.choice((5, 10, 20)),
    )


def _draw_liars(random: Random, size: int) -> tuple[tuple[int, tuple[str, ...]], ...]:
    most = (size - 1) // 3
    if not most or random.random() < 0.3:
        return ()
    indices = sorted(random.sample(range(size), random.randint(1, most)))
    return tuple((index, tuple(sorted(random.sample(LIES, random.choice((1, 1, 2, 3)))))) for index in indices)


def _draw_timing(random: Random) -> Timing:
    scale = random.choice((4, 4, 10))  # in tenths
    return Timing(
        leader_ms=100 * scale,
        view_ms=250 * scale,
        retry_ms=60 * scale,
        share_ms=10 * scale,
        skip_ms=600 * scale,
        idle_ms=random.choice((0, 100 * scale)),
        view_ms_max=1_000 * scale,
    )


def _draw_weather(random: Random, timing: Timing) -> Weather:
    weather = draw_weather(random, (timing.share_ms, timing.leader_ms, timing.view_ms, timing.retry_ms))
    # Requests have a deadline: where a round trip takes as long, nobody ever gets what it lacks.
    return replace(
        weather,
        calm_low_ms=min(weather.calm_low_ms, CALM_MS_MAX // 2),
        calm_ms=min(weather.calm_ms, CALM_MS_MAX),
    )


def _draw_breaks(random: Random, view_ms: int) -> Breaks:
    return Breaks(
        kill_ms=random.choice((0, 2 * view_ms, 4 * view_ms)),
        blackout_ms=random.choice((0, 0, 0, 8 * view_ms)),
        stop_ms=random.choice((0, 5 * view_ms)),
        cut_ms=random.choice((0, 0, 2 * view_ms)),
        down_ms=random.choice((10, view_ms // 2, 5 * view_ms)),
        power_share=random.choice((0.0, 0.3, 0.7)),
    )
