"""What one seed draws: who validates, who lies how, how slow disks and lines are, the weather, what breaks when.

One rule: everything that a run depends on is in its plan, or in a generator named in its tree (VirtualLoop.random).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from consensus.timing import Timing
from node.sync import DEADLINE_SECONDS
from tests.shell.liars import LIES
from tests.simulation.bounds import NODE_BOUNDS
from tests.simulation.network import Weather, draw_weather

CALM_MS_MAX: Final = int(DEADLINE_SECONDS * 1_000) // 3
SIZES: Final = (1, 4, 4, 4, 4, 4, 4, 5, 7)
SIZE_MIN: Final = 4  # of a committee that changes
CHANGING: Final = 0.35  # the share of seeds whose committee may
DAMAGING: Final = 0.3  # the share of seeds whose disks fail
NARROWING: Final = 0.25  # the share of seeds that remember and keep as little as their bounds allow


@dataclass(frozen=True, slots=True)
class Breaks:
    """How often things break during the storm: mean times in ms, 0 for never."""

    kill_ms: int
    blackout_ms: int  # everybody at once
    stop_ms: int  # ends as a service does, by cancellation
    cut_ms: int  # a connection breaks
    down_ms: int  # the longest time that a dead process stays down
    power_share: float  # of kills that are a host's power: nobody hears of it, and its files are torn
    full_ms: int = 0  # disks without room
    unread_ms: int = 0  # disks of which nothing can be read for a while


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
    observers: int = 0  # nodes that the genesis does not know: size, size + 1, ...
    appoint_ms: int = 0  # mean time between two changes of the committee, 0 for never
    wiped: tuple[tuple[int, bool], ...] = ()  # nodes that lose their data; True: and their guard
    damaged: tuple[int, ...] = ()  # nodes whose chain changes on the disk
    bounds: tuple[str, ...] = ()  # those of the product that are narrow: tests/simulation/bounds.py

    @property
    def nodes(self) -> int:
        """All machines."""
        return self.size + self.observers

    @property
    def faulty(self) -> frozenset[int]:
        """Who must weigh less than a third in every committee, all together, though it changes."""
        return frozenset((*(node for node, _ in (*self.liars, *self.wiped)), *self.damaged))

    def summary(self) -> str:
        """Return the plan in a line."""
        liars = ", ".join(f"n{index} {' + '.join(lies)}" for index, lies in self.liars) or "no liars"
        return (
            f"{self.size} validators, {self.observers} newcomers, {liars}, {self.wiped} wiped, {self.damaged} damaged, "
            f"a change every {self.appoint_ms} ms, epochs of {self.epoch_heights}, views of {self.timing.view_ms} ms, "
            f"narrow: {self.bounds}, a storm of {self.storm_seconds} s, {self.weather}, {self.breaks}"
        )


DRAWS: Final[dict[str, Callable[[Plan], bool]]] = {  # what a campaign may look for
    "committees": lambda plan: bool(plan.appoint_ms),
    "disks": lambda plan: bool(plan.faulty - dict(plan.liars).keys() or plan.breaks.full_ms or plan.breaks.unread_ms),
    "bounds": lambda plan: bool(plan.bounds),
}


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    random = Random(f"{seed}/shell plan")
    size = random.choice(SIZES)
    timing = _draw_timing(random)
    made = Plan(
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
    # From branches of their own: the rest of a seed keeps its draws.
    rosters, disks, bounds = (Random(f"{seed}/shell plan/{name}") for name in ("rosters", "disks", "bounds"))
    if size >= SIZE_MIN and rosters.random() < CHANGING:
        made = _with_changes(rosters, made)
    if disks.random() < DAMAGING:
        made = _with_bad_disks(disks, made)
    if bounds.random() < NARROWING:
        made = replace(
            made,
            rotate_bytes=bounds.choice((500, 4_000, made.rotate_bytes)),
            bounds=tuple(name for name in NODE_BOUNDS if bounds.random() < 0.5),
        )
    return made


def _with_changes(random: Random, made: Plan) -> Plan:
    """Return the plan with a committee that changes at the boundaries of short epochs; newcomers may lie too."""
    observers = random.randint(1, 2)
    newcomers = range(made.size, made.size + observers)
    lies = tuple(
        (node, tuple(sorted(random.sample(LIES, random.choice((1, 2)))))) for node in newcomers if random.random() < 0.3
    )
    return replace(
        made,
        liars=(*made.liars, *lies),
        epoch_heights=random.choice((3, 4, 6, 12)),
        observers=observers,
        appoint_ms=random.choice((1_000, 3_000)),
        bytes_per_second=(*made.bytes_per_second, *(random.choice((1e8, 1e7)) for _ in newcomers)),
        disk_ms=(*made.disk_ms, *(random.choice((0.0, 2.0, 20.0)) for _ in newcomers)),
        storm_seconds=random.choice((12, 20)),
    )


def _with_bad_disks(random: Random, made: Plan) -> Plan:
    """Return the plan with disks that are full or cannot be read for a while, and members that lose what is on them."""
    left = [node for node in range(made.size) if node not in dict(made.liars)]
    lying = made.size - len(left)
    part = random.sample(left, (made.size - 1) // 3 - lying)
    fates = {node: random.choice(("wiped", "guard too", "damaged", "damaged")) for node in sorted(part)}
    view_ms = made.timing.view_ms
    return replace(
        made,
        wiped=tuple((node, fate == "guard too") for node, fate in fates.items() if fate != "damaged"),
        damaged=tuple(node for node, fate in fates.items() if fate == "damaged"),
        breaks=replace(made.breaks, full_ms=random.choice((0, 6)) * view_ms, unread_ms=random.choice((0, 6)) * view_ms),
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
