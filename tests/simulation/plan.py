"""What one seed draws: who validates, who lies, how long things take, what the weather is, when things break.

One rule: everything that a run depends on is in its plan or in a generator named in the run's tree (Loop.random).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Final, TypeVar

from consensus.timing import Timing
from tests.simulation.bounds import BOUNDS
from tests.simulation.liars import FAMILIES
from tests.simulation.network import Weather, draw_weather

SIZES: Final = (1, 3, 4, 4, 4, 4, 5, 7, 7, 10)
DRAFTS: Final = 5  # that the central bank makes to find a committee that bears all its faulty
CHANGING: Final = 0.25  # the share of seeds of four, five or seven equals whose committee changes
DAMAGING: Final = 0.25  # the share of seeds in which disks cannot be read for a while, or bytes on them change
NARROWING: Final = 0.25  # the share of seeds that remember and keep as little as their bounds allow
MOVING: Final = 0.75  # the share of those seeds in which any fault may come into a committee and leave it
MOVABLE: Final = ("silent", "mute-leader", "withhold-votes", "withhold-blocks", "stale", "twins")
LARGE: Final = (21, 31)
LARGE_SHARE: Final = 0.007  # of all seeds: each costs as much as three others, where calm links are slow as fifty
HEIGHTS_OF_LARGE: Final = 4
LARGE_VIEWS: Final = 10  # the length of their storms
REAL_SIGNATURES_EVERY: Final = 20  # one seed in so many pays for Ed25519
HEIGHTS: Final = 30  # final ones in a storm
CALM_HEIGHTS: Final = 6  # to be final after the storm, so that the chain really moves
PACE_HEIGHTS: Final = 60  # and then of four validators so many more, at a pace that no storm slows any more
PACE_SIZE: Final = 4  # of more validators fewer heights by the square of their number, since all talk to all
CALM_HEIGHTS_OF_LARGE: Final = 2  # where calm links are as slow as a view each may take 19 views (R30)
# A seed takes 50,000, a slow one of ten validators 500,000; above this something answers itself for ever. All talk to
# all, so large committees have more, by the square of their size.
EVENTS_MAX: Final = 2_000_000
EVENTS_MAX_SIZE: Final = 10
HEIGHTS_OF_CHANGE: Final = 70  # newcomers prove that they are ready every 16 heights


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Breaks:
    """How often things break during the storm. Mean times in ms, 0 for never."""

    crash_ms: int
    blackout_ms: int  # everybody at once
    sleep_ms: int
    flap_ms: int  # links that go down and up again while messages pass or not
    down_ms: int  # the longest time that a crashed validator stays down
    full_ms: int = 0  # disks without room
    jump_ms: int = 0  # clocks on the wall that are set wrong
    unread_ms: int = 0  # disks of which nothing can be read for a while


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    weights: tuple[int, ...]
    liars: tuple[tuple[int, str], ...]
    epoch_heights: int
    real_signatures: bool
    timing: Timing
    pace_ms: int
    work_ms: int  # mean time between two batches of clients' transactions
    sync_ms: int
    execute_ms: int
    skew_ms: int
    rotate_bytes: int  # by which a journal grows until it is replaced
    weather: Weather
    breaks: Breaks
    storm_ms: int
    heights: int = HEIGHTS  # the storm ends when this height is final, or at its time
    calm_heights: int = CALM_HEIGHTS  # final ones for a quorum, and again for all
    observers: int = 0  # nodes without a seat, which follow
    drift: int = 0  # of monotonic clocks, at most, in thousandths
    jumping: tuple[int, ...] = ()  # nodes whose clocks may be set wrong, by seconds or an hour: less than a third
    wiped: tuple[tuple[int, bool], ...] = ()  # nodes that lose their data; True: and their guard. Fewer than may lie
    appoint_ms: int = 0  # mean time between two changes of the committee, 0 for never
    damaged: tuple[tuple[int, bool], ...] = ()  # nodes whose journal, or with True whose guard, changes on the disk
    bounds: tuple[str, ...] = ()  # those of the product that are narrow: tests/simulation/bounds.py
    absent: tuple[int, ...] = ()  # where it changes: who is left out when there is calm for a quorum
    readmits: bool = False  # whether the central bank admits those who lie, as long as all who lie are below a third

    @property
    def seats_equal(self) -> bool:
        """Whether all validators weigh the same."""
        return len(set(self.weights)) == 1

    @property
    def registry(self) -> tuple[tuple[frozenset[int], ...], frozenset[int], int]:
        """Who must stay below a third in each committee, who never comes into one, and how often it is tried."""
        liars = frozenset(node for node, _ in self.liars)
        if self.readmits:
            return (self.faulty, frozenset(self.jumping)), frozenset(), DRAFTS
        return (liars,), liars, 1

    @property
    def pace_heights(self) -> int:
        """How many heights must be final in the time that they take where no storm was; 0 where links are too slow."""
        slow = self.weather.calm_ms >= self.timing.leader_ms or len(self.weights) >= min(LARGE)
        return 0 if slow else PACE_HEIGHTS * PACE_SIZE**2 // max(PACE_SIZE, len(self.weights)) ** 2

    @property
    def events_max(self) -> int:
        """How many events no honest run has."""
        return EVENTS_MAX * max(EVENTS_MAX_SIZE, len(self.weights)) ** 2 // EVENTS_MAX_SIZE**2

    @property
    def faulty(self) -> frozenset[int]:
        """Who must weigh less than a third in every committee, all together, though it changes."""
        return frozenset((*(node for node, _ in (*self.liars, *self.wiped, *self.damaged)), *self.absent))

    def summary(self) -> str:
        """Return the plan in a line."""
        liars = ", ".join(f"n{index} {family}" for index, family in self.liars) or "no liars"
        lost = "".join(
            f"n{index} loses its {'guard' if guard_too else 'data'}, "
            for index, guard_too in (*self.wiped, *self.damaged)
        )
        return (
            f"{len(self.weights)} validators {self.weights}, {liars}, {lost}epochs of {self.epoch_heights}, "
            f"a change every {self.appoint_ms} ms, journals of {self.rotate_bytes} bytes, narrow: {self.bounds}, "
            f"views of {self.timing.view_ms} ms, {self.weather}, {self.breaks}"
        )


DRAWS: Final[dict[str, Callable[[Plan], bool]]] = {  # what a campaign may look for
    "committees": lambda plan: plan.readmits,
    "disks": lambda plan: bool(plan.damaged or plan.breaks.unread_ms),
    "bounds": lambda plan: bool(plan.bounds),
    "four": lambda plan: len(plan.weights) == 4,  # validators: what figures of speed are told of
}


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    random = Random(f"{seed}/plan")
    weights = _draw_weights(random)
    timing = _draw_timing(random)
    timeouts = (timing.share_ms, timing.leader_ms, timing.view_ms, timing.retry_ms)
    made = Plan(
        seed=seed,
        weights=weights,
        liars=_draw_liars(random, weights),
        epoch_heights=random.choice((2, 3, 5, 12, 1000, 1000, 1000)),
        real_signatures=seed % REAL_SIGNATURES_EVERY == 0,
        timing=timing,
        pace_ms=max(1, timing.leader_ms // random.choice((10, 20, 50))),
        work_ms=random.choice((timing.leader_ms // 5, timing.leader_ms, 4 * timing.view_ms)),
        sync_ms=random.choice((0, 0, 2, 20)),
        execute_ms=random.choice((0, 0, 3, 60)),
        skew_ms=random.choice((0, 100, 400, 3000)),
        rotate_bytes=random.choice((2_000, 4_000, 30_000, 200_000)),
        weather=draw_weather(random, timeouts),
        breaks=_draw_breaks(random, timing.view_ms),
        storm_ms=random.choice((10, 25, 60)) * timing.view_ms,
        observers=random.choice((0, 0, 0, 1, 2, 3)),
        drift=random.choice((0, 0, 1, 20)),
    )
    made = replace(made, jumping=_draw_part(random, weights, ()), wiped=_draw_wiped(random, made))
    if len(weights) == 1:  # it waits for nobody: else its chain outruns all who follow it over slow links
        return _with_more(replace(made, pace_ms=timing.leader_ms // 4))
    if len(weights) >= min(LARGE):
        return _with_more(_with_many(made))
    if made.seats_equal and len(weights) in (4, 5, 7) and random.random() < CHANGING:
        made = _with_changes(random, made)
    return _with_more(made)


def _with_more(made: Plan) -> Plan:
    """Return the plan with what is drawn from branches of its own, so that all before keeps its draws."""
    rosters, disks, bounds = (Random(f"{made.seed}/plan/{name}") for name in ("rosters", "disks", "bounds"))
    if made.appoint_ms and rosters.random() < MOVING:
        made = _with_faults_that_move(rosters, made)
    if disks.random() < DAMAGING:
        made = _with_bad_disks(disks, made)
    return _with_narrow_bounds(bounds, made) if bounds.random() < NARROWING else made


def _with_many(made: Plan) -> Plan:
    """Return the plan of a large committee: any weather and breaks, but few heights, for all talk to all."""
    return replace(
        made,
        heights=HEIGHTS_OF_LARGE,
        calm_heights=CALM_HEIGHTS_OF_LARGE,
        storm_ms=LARGE_VIEWS * made.timing.view_ms,
        observers=0,
    )


def _with_changes(random: Random, made: Plan) -> Plan:
    """Return the plan with a committee that changes, and liars who need not know where they sit."""
    return replace(
        made,
        liars=tuple((node, random.choice(MOVABLE)) for node, _ in made.liars),
        epoch_heights=random.choice((3, 5, 8, 12)),
        heights=HEIGHTS_OF_CHANGE,
        observers=random.randint(1, len(made.weights)),
        jumping=(),
        wiped=(),
        appoint_ms=random.choice((2, 5, 15)) * made.timing.view_ms,
        storm_ms=random.choice((60, 150)) * made.timing.view_ms,
    )


def _with_faults_that_move(random: Random, made: Plan) -> Plan:
    """Return the plan of a changing committee with every fault, at members as at newcomers.

    Of the first members those who lie, are wiped or absent are fewer than may be faulty. Of newcomers as many as chance
    wants: the central bank admits no more of them than a committee bears.
    """
    size = len(made.weights)
    first = random.sample(range(size), (size - 1) // 3)
    later = [node for node in range(size, size + made.observers) if random.random() < 0.6]
    faults = ("liar", "liar", "wiped", "damaged", "absent", "none")
    kinds = {node: random.choice(faults) for node in (*first, *later)}
    return replace(
        made,
        liars=_sorted((node, random.choice(FAMILIES)) for node, kind in kinds.items() if kind == "liar"),
        wiped=_sorted((node, random.random() < 0.4) for node, kind in kinds.items() if kind == "wiped"),
        damaged=_sorted((node, random.random() < 0.4) for node, kind in kinds.items() if kind == "damaged"),
        absent=_sorted(node for node, kind in kinds.items() if kind == "absent"),
        jumping=_sorted(
            (
                *random.sample(range(size), (size - 1) // 3),
                *(node for node in range(size, size + made.observers) if random.random() < 0.4),
            )
        ),
        breaks=replace(made.breaks, jump_ms=random.choice((0, 3)) * made.timing.view_ms),
        readmits=True,
    )


def _with_bad_disks(random: Random, made: Plan) -> Plan:
    """Return the plan with disks that cannot be read for a while, and members whose files change, if none is wiped."""
    part: tuple[int, ...] = ()
    if not made.wiped and not made.appoint_ms:
        part = _draw_part(random, made.weights, tuple(node for node, _ in made.liars))
    return replace(
        made,
        damaged=made.damaged or tuple((node, random.random() < 0.4) for node in part),
        breaks=replace(made.breaks, unread_ms=random.choice((0, 2, 6)) * made.timing.view_ms),
    )


def _with_narrow_bounds(random: Random, made: Plan) -> Plan:
    """Return the plan with a journal that is replaced as often as it may be, and narrow bounds."""
    return replace(
        made,
        rotate_bytes=random.choice((1, 200, 1_000, made.rotate_bytes)),
        bounds=tuple(name for name in BOUNDS if random.random() < 0.5),
    )


def _sorted(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(items))  # type: ignore[type-var]


def _draw_weights(random: Random) -> tuple[int, ...]:
    size = random.choice(LARGE) if random.random() < LARGE_SHARE else random.choice(SIZES)
    if size < 4 or random.random() < 0.8:
        return (1,) * size
    for _ in range(20):
        weights = tuple(random.randint(1, 5) for _ in range(size))
        if max(weights) <= (sum(weights) - 1) // 3:
            return weights
    return (1,) * size


def _draw_liars(random: Random, weights: tuple[int, ...]) -> tuple[tuple[int, str], ...]:
    left = (sum(weights) - 1) // 3
    if random.random() < 0.2:
        return ()
    liars = []
    for index in random.sample(range(len(weights)), len(weights)):
        if weights[index] <= left:
            left -= weights[index]
            liars.append((index, random.choice(FAMILIES)))
            if random.random() < 0.2:
                break
    return tuple(sorted(liars))


def _draw_part(random: Random, weights: tuple[int, ...], taken: tuple[int, ...]) -> tuple[int, ...]:
    """Return nodes that weigh, with those in ``taken``, less than a third."""
    left = (sum(weights) - 1) // 3 - sum(weights[node] for node in taken)
    part = []
    for node in random.sample(range(len(weights)), len(weights)):
        if node not in taken and weights[node] <= left:
            left -= weights[node]
            part.append(node)
    return tuple(sorted(part))


def _draw_wiped(random: Random, made: Plan) -> tuple[tuple[int, bool], ...]:
    """Return members that count as faulty, though they are honest: what was on their disks is gone."""
    if random.random() < 0.5:
        return ()
    part = _draw_part(random, made.weights, tuple(node for node, _ in made.liars))
    return tuple((node, random.random() < 0.4) for node in part)


def _draw_timing(random: Random) -> Timing:
    scale = random.choice((2, 4, 10, 10))  # in tenths
    return Timing(
        leader_ms=100 * scale,
        view_ms=250 * scale,
        retry_ms=100 * scale,
        share_ms=10 * scale,
        skip_ms=1500 * scale,
        idle_ms=random.choice((0, 400 * scale)),
        view_ms_max=random.choice((1000 * scale, 4000)) if scale < 10 else 10_000,
    )


def _draw_breaks(random: Random, view_ms: int) -> Breaks:
    return Breaks(
        crash_ms=random.choice((0, view_ms // 2, 2 * view_ms, 10 * view_ms)),
        blackout_ms=random.choice((0, 0, 0, 8 * view_ms)),
        sleep_ms=random.choice((0, 0, 4 * view_ms)),
        flap_ms=random.choice((0, 0, view_ms)),
        down_ms=random.choice((10, view_ms // 2, 5 * view_ms)),
        full_ms=random.choice((0, 0, 0, 6 * view_ms)),
        jump_ms=random.choice((0, 0, 3 * view_ms)),
    )
