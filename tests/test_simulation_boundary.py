"""A crash before every single effect around an epoch's boundary where the committee really changes.

At one boundary a validator leaves, one joins, one goes on from a second home with other keys, and weights change
(docs/protocol.md, section 15). The simulator is calm and deterministic, so each effect that a node carries out, from a
few heights before the boundary until the new committee has made a few blocks final and everybody has stored the first,
is the same in every run, and in each run the power of one node fails at another of them: before the effect, between the
journal's sync and the effect, or when the guard has signed and nobody knows it yet. The node comes back at once, or
when the others are far in the new epoch, with what its journal, guard and store kept. The judge
(tests/simulation/judge.py) looks on as in every run.

SOM_BOUNDARY_CRASHES=all tries all, some two thousand; otherwise a share is drawn.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any, Final, NamedTuple

import pytest
from structlog.testing import capture_logs

from consensus.messages import Block
from node.ledger.param import Listed
from node.ledger.validators import Roster
from tests.simulation import keys
from tests.simulation.cluster import Cluster
from tests.simulation.judge import Violation
from tests.simulation.network import Weather
from tests.simulation.plan import Breaks, Plan, draw
from tests.simulation.succession import Registrar
from tests.simulation.validator import Validator

ALL: Final = os.environ.get("SOM_BOUNDARY_CRASHES") == "all"
SHARE: Final = 2  # cases of each node
BOUNDARY: Final = 28  # the first epoch's last height
CHECKPOINT: Final = 16  # the height at which newcomers can prove that they are ready
BEFORE: Final = 4  # heights before the boundary from which on the power may fail
AFTER: Final = 4  # heights of the new committee that are final when it fails no more
GOING_ON: Final = 6  # more heights that all must have then
PATIENCE_MS: Final = 60_000
EXECUTE_MS: Final = 46  # about as long as a height takes, so that an epoch begins before the last one is stored
NEVER_MS: Final = 10**9
POINTS: Final = ("effect", "synced", "sign", "finalize")  # as tests/simulation/validator.py names them
DOWN_MS: Final = (0, 1_000)  # back at once, or when the others are far in the new epoch

# Nodes 0 to 4 begin, with weights that let any one of them be away; so do those of the new committee.
OLD_WEIGHTS: Final = (2, 2, 2, 2, 1)
NEW_SEATS: Final = {"v00": (2, 0), "v02": (2, 6), "v03": (1, 3), "v04": (2, 4), "v05": (2, 5)}  # name: weight, node
ROLES: Final = {
    "stays": 0,
    "leaves": 1,
    "gives its seat to other keys": 2,
    "weighs less": 3,
    "weighs more": 4,
    "joins": 5,
    "takes the seat under other keys": 6,
}
SEATED: Final = frozenset(node for _, node in NEW_SEATS.values())

CALM: Final = Weather(
    low_ms=1,
    high_ms=12,
    near_timeout=0.0,
    timeouts_ms=(1_000,),
    loss=0.0,
    duplicate=0.0,
    partition_ms=0,
    calm_low_ms=1,
    calm_ms=12,
    calm_loss=0.0,
)


class Point(NamedTuple):
    """A moment at which the power may fail, and where the node is then."""

    where: str
    epoch: int
    stored: int

    @property
    def between(self) -> bool:
        """Whether the node has begun an epoch and not stored the last block of the one before."""
        return self.epoch * BOUNDARY > self.stored


class Case(NamedTuple):
    """A node that loses its power at one of its points, from 0, and for how long."""

    node: int
    at: int
    down_ms: int


class Witness(Validator):
    """A validator that notes each of its points from a moment on, and loses its power at one of them."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.points: list[Point] = []
        self.watching = False
        self.doomed_at: int | None = None
        self.crashes = 0

    def _trapped(self, where: str) -> bool:
        if not self.watching or where not in POINTS:
            return False
        self.points.append(Point(where, self.epoch, self.disk.height))
        if len(self.points) - 1 != self.doomed_at:
            return False
        self.crashes += 1
        self.crash(f"at its point {self.doomed_at}: {where}")
        return True


def plan() -> Plan:
    """Return a calm run."""
    return replace(
        draw(1_003),
        weights=OLD_WEIGHTS,
        liars=(),
        wiped=(),
        jumping=(),
        epoch_heights=BOUNDARY,
        real_signatures=False,
        pace_ms=20,
        work_ms=100,
        sync_ms=2,
        execute_ms=0,
        skew_ms=0,
        rotate_bytes=4_000,
        weather=CALM,
        breaks=Breaks(0, 0, 0, 0, 1_000),
        observers=2,
        drift=0,
        appoint_ms=NEVER_MS,
    )


class Appointment(Registrar):
    """The central bank, which wants one change and no other."""

    def next_list(self, roster: Roster) -> tuple[Listed, ...]:
        """Return the validators of the new committee."""
        return tuple(Listed(name, weight, "", *self.keys[node]) for name, (weight, node) in NEW_SEATS.items())


class Boundary(Cluster):
    """One run over the boundary."""

    def __init__(self, kind: type[Witness] = Witness) -> None:
        self._kind = kind
        self.witnesses: list[Witness] = []
        super().__init__(plan(), trace=False)
        self._registrar = Appointment(Random(), self._keys(), (), frozenset(), drafts=1)

    def _make_validator(
        self, index: int, name: str = "", kind: type[Validator] = Validator, honest: bool = True
    ) -> Validator:
        made = super()._make_validator(index, name, self._kind, honest)
        assert isinstance(made, Witness)
        made._temper = replace(made._temper, execute_ms=EXECUTE_MS)
        self.witnesses.append(made)
        return made

    def approach(self) -> None:
        """Let the central bank order the change, the newcomers prove that they are ready, the boundary come near."""
        for one in self.validators:
            one.start()
        self._work()
        self._until(lambda: self._height() >= 1)
        self._appoint()
        self._until(lambda: self._height() >= CHECKPOINT)
        self._announce()
        self._until(lambda: self.judge.final_height >= BOUNDARY - BEFORE)
        rosters = [one.app.ledger.roster() for one in self.validators]
        assert not any(seat.next for roster in rosters for seat in roster), "somebody still waits"

    def pass_over(self) -> None:
        """Let the new committee make a few heights final, and everybody store its first."""
        for one in self.witnesses:
            one.watching = True
        self._until(lambda: self.judge.final_height >= BOUNDARY + AFTER and self._height() > BOUNDARY)
        for one in self.witnesses:
            one.watching = False

    def go_on(self) -> None:
        """Demand that everybody has the same chain soon, some heights on, and that all members vote for it."""
        goal = self.judge.final_height + GOING_ON
        self._until(lambda: all(one.up and one.disk.height >= goal for one in self.validators))
        self._demand_equality()
        self.judge.inclusion()
        self._until(lambda: all(self._voted_since(node, goal) for node in SEATED))
        for one in self.validators:
            epochs = {epoch for _, epoch, _, _ in one.disk.signed}
            if one.index not in SEATED and max(epochs) > 0:
                raise Violation("discipline", f"{one.name} has no seat and signs")
            if one.index >= len(OLD_WEIGHTS) and min(epochs) == 0:
                raise Violation("discipline", f"{one.name} had no seat and signed")

    def _voted_since(self, node: int, height: int) -> bool:
        """Whether a node has signed something of a view above that of a block that all have."""
        header = self.validators[node].disk.block(height).header
        statements = self.validators[node].disk.signed
        return any((epoch, view) > (header.epoch, header.view) for _, epoch, view, _ in statements)

    def _height(self) -> int:
        return min(one.disk.height for one in self.validators)

    def _until(self, holds: Callable[[], bool]) -> None:
        if not self.loop.run(self.loop.now_ms + PATIENCE_MS, holds):
            heights = {one.name: (one.epoch, one.disk.height) for one in self.validators if one.up}
            raise Violation("liveness", f"it does not come to pass in {PATIENCE_MS} ms: {heights}")


@contextmanager
def quick() -> Iterator[None]:
    """Let signatures be quick and keep the log silent: journal and guard report each torn tail."""
    keys.use(real=False)
    try:
        with capture_logs():
            yield
    finally:
        keys.use(real=True)


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    with quick():
        yield


def points() -> list[list[Point]]:
    """Return the points of each node if nobody's power fails."""
    cluster = Boundary()
    cluster.approach()
    cluster.pass_over()
    return [one.points for one in cluster.witnesses]


@pytest.fixture(scope="module")
def all_points() -> list[list[Point]]:
    with quick():
        return points()


def cases(node: int, count: int) -> list[Case]:
    """Return the cases of a node that has so many points, or a drawn share of them."""
    every = [Case(node, at, down_ms) for at in range(count) for down_ms in DOWN_MS]
    return every if ALL else Random(node).sample(every, SHARE)


def crash(case: Case, kind: type[Witness] = Witness) -> None:
    """Let a node crash as the case says, and demand that all goes on."""
    cluster = Boundary(kind)
    cluster.approach()
    victim = cluster.witnesses[case.node]
    victim.restart_after = lambda: case.down_ms
    victim.doomed_at = case.at
    cluster.pass_over()
    assert victim.crashes == 1
    cluster.go_on()


def crash_all(chosen: list[Case], all_points: list[list[Point]], kind: type[Witness] = Witness) -> None:
    """Try cases. Raises Violation with the first that fails."""
    for case in chosen:
        try:
            crash(case, kind)
        except Violation as failed:
            failed.add_note(f"{case}, {all_points[case.node][case.at]}")
            raise


def test_at_the_boundary_the_committee_really_changes() -> None:
    cluster = Boundary()
    cluster.approach()
    assert max(cluster.rows) == 0
    cluster.pass_over()
    cluster.go_on()
    assert {row.name: row.weight for row in cluster.rows[1]} == {
        name: weight for name, (weight, _) in NEW_SEATS.items()
    }
    assert {cluster.validators[node].seat is not None for node in SEATED} == {True}
    assert set(cluster.rows) == {0, 1}


def test_there_is_much_to_enumerate(all_points: list[list[Point]]) -> None:
    for name, node in ROLES.items():
        found = all_points[node]
        assert {point.epoch for point in found} == {0, 1}, name
        assert {point.where for point in found} == set(POINTS), name
        assert {point.between for point in found if point.epoch == 1} == {True, False}, name
    assert sum(map(len, all_points)) > 500


class _Forgetful(Witness):
    """Begins an epoch without what its journal knows of it."""

    def _next_epoch(self, boundary: Block) -> None:
        self._later = []
        super()._next_epoch(boundary)


def test_who_forgets_what_it_did_in_the_new_epoch_is_found_out(all_points: list[list[Point]]) -> None:
    node = ROLES["stays"]
    late = [Case(node, at, 0) for at, point in enumerate(all_points[node]) if point.between][-5:]
    with pytest.raises(Violation, match="durable"):
        crash_all(late, all_points, _Forgetful)


@pytest.mark.timeout(3_600 if ALL else 300)
@pytest.mark.parametrize("role", ROLES)
def test_a_crash_before_any_effect_around_the_boundary_is_survived(role: str, all_points: list[list[Point]]) -> None:
    """R41, R43, R51, R52, R53"""
    node = ROLES[role]
    crash_all(cases(node, len(all_points[node])), all_points)
