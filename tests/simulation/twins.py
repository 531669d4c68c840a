"""Scripted Twins (Bano and others, arXiv 2004.10617): one of four validators runs twice with one key.

One rule: a scenario is a number. It says, view by view, who leads, which of the honest hear which twin, and which of
the honest are cut off from one another; when its views are over all links are good, both twins go on, and the honest
must make progress. The judge looks on as in every run.

    python -m tests.simulation --twins [--scenarios N] [--first K] [--jobs J]

Scenarios that differ only by the names of the honest or of the twins count as one. The first numbers are all patterns
of a single view, once for one view and once kept up over seven views with leaders in turn; the rest are drawn, of two
to seven views, each view with a pattern of its own: of two views alone there are more than a hundred thousand.
"""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import permutations, product
from random import Random
from typing import Final

from consensus.committee import Committee
from consensus.committee import Validator as Member
from consensus.messages import CertificateRequest, Message, Proposal, decode_message
from consensus.timing import Timing
from tests.simulation import keys
from tests.simulation.campaign import Failure
from tests.simulation.cluster import Cluster, Result
from tests.simulation.judge import Violation
from tests.simulation.loop import Loop, Runaway
from tests.simulation.network import Network, Weather
from tests.simulation.plan import Breaks, Plan

HONEST: Final = 3
TWIN: Final = 3  # the index that runs twice; the honest are 0, 1 and 2
VIEWS_MAX: Final = 7
SHOWN_EVERY: Final = 1_000  # scenarios
FIRST, SECOND = 1, 2  # a twin, as a bit of Pattern.hearing
TIMING: Final = Timing(
    leader_ms=200, view_ms=500, retry_ms=200, share_ms=20, skip_ms=60_000, idle_ms=0, view_ms_max=1_000
)
SLICE_MS: Final = TIMING.view_ms + 2 * TIMING.retry_ms  # how long a view is scripted: all waits in it have ended
WEATHER: Final = Weather(
    low_ms=1,
    high_ms=15,
    near_timeout=0.0,
    timeouts_ms=(TIMING.view_ms,),
    loss=0.0,
    duplicate=0.0,
    partition_ms=0,
    calm_low_ms=1,
    calm_ms=15,
    calm_loss=0.0,
)


@dataclass(frozen=True, slots=True, order=True)
class Pattern:
    """One view. ``leader`` is an index, or None for whose turn it is; ``hearing`` says for each honest validator with
    which twins it exchanges messages, as a sum of FIRST and SECOND; ``parts`` numbers the parts of the honest.
    """

    leader: int | None
    hearing: tuple[int, int, int]
    parts: tuple[int, int, int]

    def __str__(self) -> str:
        names = "-1" if self.leader is None else ("0", "1", "2", "T")[self.leader]
        heard = "".join(".abB"[bits] for bits in self.hearing)
        return f"{names}:{heard}:{''.join(map(str, self.parts))}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """The patterns of views 1, 2, ... Its text is for people: leader, who hears a, b, both (B) or none, parts."""

    number: int
    patterns: tuple[Pattern, ...]

    def __str__(self) -> str:
        return f"scenario {self.number}: " + " ".join(map(str, self.patterns))


PARTS: Final = ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2))
HEARINGS: Final = tuple(product(range(4), range(4), range(4)))


def scenario(number: int) -> Scenario:
    """Return the scenario of a number, in its canonical form."""
    single = _all_of_one_view()
    if number < len(single):
        return Scenario(number, (single[number],))
    sustained = _all_sustained()
    if number < len(single) + len(sustained):
        return Scenario(number, (sustained[number - len(single)],) * VIEWS_MAX)
    random = Random(f"twins {number}")
    drawn = tuple(
        Pattern(random.randrange(HONEST + 1), random.choice(HEARINGS), random.choice(PARTS))
        for _ in range(random.randint(2, VIEWS_MAX))
    )
    return Scenario(number, canonical(drawn))


def scenarios(first: int, count: int) -> Iterator[Scenario]:
    """Yield ``count`` scenarios from ``first``, none of them twice."""
    seen: set[tuple[Pattern, ...]] = set()
    number = first
    while len(seen) < count:
        made = scenario(number)
        number += 1
        if made.patterns not in seen:
            seen.add(made.patterns)
            yield made


def canonical(patterns: tuple[Pattern, ...]) -> tuple[Pattern, ...]:
    """Return the least of all scenarios that say the same under other names."""
    return min(
        tuple(_renamed(pattern, names, swapped) for pattern in patterns)
        for names in permutations(range(HONEST))
        for swapped in (False, True)
    )


def _renamed(pattern: Pattern, names: tuple[int, ...], swapped: bool) -> Pattern:
    hearing, parts = [0] * HONEST, [0] * HONEST
    for old, new in enumerate(names):
        bits = pattern.hearing[old]
        hearing[new] = (bits >> 1) | ((bits & 1) << 1) if swapped else bits
        parts[new] = pattern.parts[old]
    leader = pattern.leader
    first_seen = {part: order for order, part in enumerate(dict.fromkeys(parts))}
    a, b, c = (first_seen[part] for part in parts)
    return Pattern(
        names[leader] if leader is not None and leader < HONEST else leader,
        (hearing[0], hearing[1], hearing[2]),
        (a, b, c),
    )


@cache
def _all_of_one_view() -> tuple[Pattern, ...]:
    return _distinct(tuple(range(HONEST + 1)))


@cache
def _all_sustained() -> tuple[Pattern, ...]:
    return _distinct((None,))


def _distinct(leaders: tuple[int | None, ...]) -> tuple[Pattern, ...]:
    every = (Pattern(leader, hearing, parts) for leader, hearing, parts in product(leaders, HEARINGS, PARTS))
    found = dict.fromkeys(canonical((pattern,))[0] for pattern in every)
    return tuple(sorted(found, key=lambda pattern: (pattern.leader or 0, pattern.hearing, pattern.parts)))


class ScriptedCommittee(Committee):
    """Whose first leaders are the scenario's."""

    __slots__ = ("leaders",)

    def __init__(self, epoch: int, members: list[Member], patterns: tuple[Pattern, ...]) -> None:
        super().__init__(epoch, members)
        self.leaders = [pattern.leader for pattern in patterns] if epoch == 0 else []

    def leader(self, view: int) -> int:
        scripted = self.leaders[view - 1] if 0 < view <= len(self.leaders) else None
        return super().leader(view) if scripted is None else scripted


class Script(Network):
    """Links that follow the scenario: a message of a scripted view passes as its pattern says while the view is new."""

    def __init__(self, loop: Loop, size: int, patterns: tuple[Pattern, ...]) -> None:
        super().__init__(loop, WEATHER, size, lambda: 0)
        self.over = False
        self._clock = loop
        self._patterns = patterns
        self._since_ms: dict[int, int] = {}  # when a view was first spoken of

    def pattern(self, view: int) -> Pattern | None:
        """Return what holds for messages of ``view`` now."""
        if self.over or not 0 < view <= len(self._patterns):
            return None
        since_ms = self._since_ms.setdefault(view, self._clock.now_ms)
        return self._patterns[view - 1] if self._clock.now_ms - since_ms <= SLICE_MS else None

    def send(self, sender: int, receiver: int, channel: str, data: bytes) -> None:
        if channel != "consensus" or TWIN in (sender, receiver):
            super().send(sender, receiver, channel, data)  # twins have filters of their own, see Twins
            return
        pattern = self.pattern(view_of(decode_message(data)))
        if pattern is None or pattern.parts[sender] == pattern.parts[receiver]:
            super().send(sender, receiver, channel, data)

    def _arrive(self, sender: int, receiver: int, channel: str, data: bytes) -> None:
        if receiver != TWIN or channel != "consensus":
            for endpoint in self._endpoints[receiver]:
                endpoint.deliver(sender, channel, data)
            return
        pattern = self.pattern(view_of(decode_message(data)))
        bits = FIRST | SECOND if pattern is None or sender == TWIN else pattern.hearing[sender]
        for bit, endpoint in zip((FIRST, SECOND), self._endpoints[TWIN], strict=True):
            if bits & bit:
                endpoint.deliver(sender, channel, data)


def view_of(message: Message) -> int:
    """Return the view that a message is about."""
    match message:
        case Proposal():
            return message.vote.view
        case CertificateRequest():
            return message.high
        case _:
            return message.view


class Twins(Cluster):
    """Three honest validators and a pair of twins, over a scenario."""

    def __init__(self, made: Scenario, trace: bool) -> None:
        self.scenario = made
        self.script: Script
        super().__init__(_plan(made.number), trace)
        self.judge.leader = lambda epoch, view: self._committee(epoch).leader(view)
        for bit, twin in zip((FIRST, SECOND), self._others, strict=True):
            twin.outgoing = lambda peer, message, bit=bit: self._heard(peer, message, bit)  # type: ignore[misc]

    def _make_committee(self, epoch: int, members: list[Member]) -> Committee:
        return ScriptedCommittee(epoch, members, self.scenario.patterns)

    def _make_network(self) -> Network:
        self.script = Script(self.loop, HONEST + 1, self.scenario.patterns)
        return self.script

    def _heard(self, peer: int, message: Message, bit: int) -> tuple[int, ...]:
        pattern = self.script.pattern(view_of(message))
        return (0,) if pattern is None or pattern.hearing[peer] & bit else ()

    def run(self) -> Result:
        """Let the scripted views pass, then demand progress of the honest."""
        for one in [*self.validators, *self._others]:
            one.ensure_up()
        self.loop.after(1, self._work)
        views = len(self.scenario.patterns)
        self.loop.run(views * 2 * SLICE_MS, lambda: all(one.core.view > views for one in self.validators))
        self._stormy = False
        self.script.over = True
        self._calm_for_all()
        return Result(
            self.scenario.number, self.judge.final_height, self.loop.events, self.loop.now_ms, self.loop.digest()
        )


def run_scenario(made: Scenario, trace: bool = False) -> Result:
    """Run one scenario. Raises Failure."""
    keys.use(False)
    twins = Twins(made, trace)
    try:
        return twins.run()
    except (Violation, Runaway) as wrong:
        invariant = wrong.invariant if isinstance(wrong, Violation) else "bounded"
        failure = Failure(made.number, twins.loop.now_ms, invariant, str(wrong))
        again = f"python -m tests.simulation --twins --first {made.number} --scenarios 1 --trace"
        failure.args = (f"{made}: {wrong} (at {twins.loop.now_ms} ms)\n  see it again: {again}",)
        raise failure from wrong
    finally:
        keys.use(True)


def report(first: int, count: int, jobs: int, trace: bool) -> int:
    """Run a campaign; print what failed. Return 1 if anything did."""
    started = time.monotonic()
    failures: list[Failure] = []
    heights = done = 0
    with ProcessPoolExecutor(jobs) as pool:
        runs = pool.map(partial(_attempt, trace=trace), scenarios(first, count), chunksize=20)
        for done, outcome in enumerate(runs, 1):
            if isinstance(outcome, Failure):
                failures.append(outcome)
                print(outcome, flush=True)
            else:
                heights += outcome.heights
            if done % SHOWN_EVERY == 0:
                print(f"{done} scenarios, {len(failures)} failed", file=sys.stderr, flush=True)
    seconds = time.monotonic() - started
    print(f"{done - len(failures)} scenarios clean, {len(failures)} failed; {heights} heights in {seconds:.1f} s")
    return 1 if failures else 0


def _attempt(made: Scenario, trace: bool) -> Result | Failure:
    try:
        return run_scenario(made, trace)
    except Failure as failure:
        return failure


def _plan(number: int) -> Plan:
    return Plan(
        seed=number,
        weights=(1,) * (HONEST + 1),
        liars=((TWIN, "twins"),),
        epoch_heights=1_000,
        real_signatures=False,
        timing=TIMING,
        pace_ms=10,
        work_ms=50,
        sync_ms=0,
        execute_ms=0,
        skew_ms=0,
        rotate_bytes=30_000,
        weather=WEATHER,
        breaks=Breaks(0, 0, 0, 0, 10),
        storm_ms=0,
    )
