"""All that can happen within one view: the votes of honest validators and the certificates that they come to hold.

A view is seen here without names: its k blocks are the numbers 0 to k - 1. A statement is a bit, and the same bit
stands for its certificate: NOTARIZE of block i is bit i, FINALIZE of block i is bit k + i, NULLIFY is bit 2k.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, cached_property
from math import factorial, prod
from typing import NamedTuple

from tests.model.rules import Rules

State = tuple[tuple[int, ...], int]  # the statements of each honest validator, and the certificates that are held


class Step(NamedTuple):
    """A validator casts a statement, or (validator is None) the honest ones come to hold its certificate."""

    validator: int | None
    statement: int


class WayOut(Enum):
    """How honest validators leave a view whose liars have fallen silent."""

    CERTIFICATE = auto()  # they hold one, or will when the votes cast so far arrive: another state, checked for itself
    NULLIFY = auto()
    NONE = auto()


class Outcome(NamedTuple):
    """What the rest of a run can see of a view."""

    reached: int  # certificates for which enough votes exist, the liars' included
    held: int  # those of them that an honest validator holds
    way_out: WayOut  # of honest validators who hold no certificate of this view


@dataclass(frozen=True)
class Explored:
    """Every outcome of a view: in how many states it shows, and a shortest way there."""

    states: dict[Outcome, int]
    steps: dict[Outcome, tuple[Step, ...]]


@dataclass(frozen=True)
class Ballot:
    """One view under given rules, with so many blocks proposed; an honest leader is validator 0."""

    rules: Rules
    blocks: int
    leader_is_honest: bool

    @cached_property
    def notarize(self) -> int:
        """All bits of NOTARIZE."""
        return (1 << self.blocks) - 1

    @cached_property
    def finalize(self) -> int:
        """All bits of FINALIZE."""
        return self.notarize << self.blocks

    @cached_property
    def nullify(self) -> int:
        """The bit of NULLIFY."""
        return 1 << 2 * self.blocks

    def statements(self) -> Iterator[int]:
        """Give every statement, which is every certificate."""
        return (1 << bit for bit in range(2 * self.blocks + 1))

    def may_cast(self, state: State, validator: int, statement: int) -> bool:
        """Say whether an honest validator may promise this now (R6, R7, R11, R25)."""
        votes, held = state
        own = votes[validator]
        if own & statement:
            return False
        if statement & self.notarize:
            return self._may_notarize(votes, validator, statement)
        if statement == self.nullify:
            if own & self.finalize and not self.rules.nullify_after_finalize:
                return False
            return not (own & self.notarize and self.rules.nullify_after_notarize_forbidden)
        if own & self.finalize and not self.rules.second_finalize:
            return False
        if own & self.nullify and not self.rules.finalize_after_nullify:
            return False
        return self._notarization_seen(votes, held, statement >> self.blocks)

    def _may_notarize(self, votes: tuple[int, ...], validator: int, statement: int) -> bool:
        own = votes[validator]
        if (own & self.notarize).bit_count() > self.rules.second_notarize:
            return False
        if own & self.nullify and not self.rules.notarize_after_nullify:
            return False
        if self.leader_is_honest and validator > 0:
            return bool(votes[0] & statement)  # an honest leader's proposal carries its own vote
        return True

    def _notarization_seen(self, votes: tuple[int, ...], held: int, notarization: int) -> bool:
        if self.rules.finalize_unseen:
            return True
        if self.rules.notarization_not_durable:
            return bool(self.reached(votes) & notarization)
        return bool(held & notarization)

    def reached(self, votes: tuple[int, ...], needed: int | None = None) -> int:
        """Return the certificates that these votes make, with all that the liars add."""
        needed = self.rules.needed if needed is None else needed
        reached = 0
        for statement in self.statements():
            if sum(1 for own in votes if own & statement) >= needed:
                reached |= statement
        if self.rules.hashes_mixed and sum(1 for own in votes if own & self.notarize) >= needed:
            reached |= self.notarize
        return reached

    def way_out(self, state: State) -> WayOut:
        """Say how honest validators get on from here, when each hears all others (R29, R37): who may, nullifies."""
        votes, held = state
        if held or self.reached(votes, needed=self.rules.quorum):
            return WayOut.CERTIFICATE
        willing = sum(
            1
            for validator, own in enumerate(votes)
            if own & self.nullify or self.may_cast(state, validator, self.nullify)
        )
        return WayOut.NULLIFY if willing >= self.rules.quorum else WayOut.NONE

    def outcome(self, state: State) -> Outcome:
        """Return what a state shows to other views."""
        return Outcome(self.reached(state[0]), state[1], self.way_out(state))

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Give each next step and where it leads."""
        votes, held = state
        for validator, own in enumerate(votes):
            for statement in self.statements():
                if self.may_cast(state, validator, statement):
                    cast = (*votes[:validator], own | statement, *votes[validator + 1 :])
                    yield Step(validator, statement), (cast, held)
        fresh = self.reached(votes) & ~held
        for statement in self.statements():
            if fresh & statement:
                yield Step(None, statement), (votes, held | statement)

    def canonical(self, state: State) -> State:
        """Sort the validators, who are alike but for an honest leader."""
        votes, held = state
        first = int(self.leader_is_honest)
        return (*votes[:first], *sorted(votes[first:])), held

    def alike(self, state: State) -> int:
        """Count the states that differ from this one by the names of validators only."""
        followers = state[0][int(self.leader_is_honest) :]
        return factorial(len(followers)) // prod(factorial(followers.count(own)) for own in set(followers))


@cache
def explore(ballot: Ballot, depth: int | None = None) -> Explored:
    """Visit every state of a view, or those so many steps deep, breadth first; of states that are alike only one."""
    start: State = ((0,) * ballot.rules.honest, 0)
    before: dict[State, State | None] = {start: None}
    states: dict[Outcome, int] = {}
    steps: dict[Outcome, tuple[Step, ...]] = {}
    queue = deque([(start, 0)])
    while queue:
        state, steps_here = queue.popleft()
        outcome = ballot.outcome(state)
        states[outcome] = states.get(outcome, 0) + ballot.alike(state)
        if outcome not in steps:
            steps[outcome] = _way_to(ballot, state, before)
        if steps_here == depth:
            continue
        for _, following in ballot.steps(state):
            following = ballot.canonical(following)
            if following not in before:
                before[following] = state
                queue.append((following, steps_here + 1))
    return Explored(states, steps)


def _way_to(ballot: Ballot, state: State, before: dict[State, State | None]) -> tuple[Step, ...]:
    """Return a shortest way to a state, with the names of validators kept apart on it."""
    stations = [state]
    while (previous := before[stations[-1]]) is not None:
        stations.append(previous)
    way: list[Step] = []
    here = stations.pop()
    while stations:
        target = stations.pop()
        step, here = next((step, there) for step, there in ballot.steps(here) if ballot.canonical(there) == target)
        way.append(step)
    return tuple(way)
