"""Runs of several views: every combination of what can happen in each, and what must hold of all."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import NamedTuple

from tests.model.rules import (
    AGREEMENT,
    DESCENT,
    EXCLUSION,
    FORK,
    FOUNDATION,
    NO_PARENT,
    ONE_NOTARIZATION,
    TRAP,
    Rules,
)
from tests.model.view import Ballot, Outcome, Step, WayOut, explore


class Block(NamedTuple):
    """A block is its view, its place among the leader's blocks there, and its parent."""

    view: int
    variant: str
    parent: "Block | None"

    @property
    def height(self) -> int:
        """Count the ancestors."""
        return 0 if self.parent is None else self.parent.height + 1

    def __str__(self) -> str:
        if self.parent is None:
            return "genesis"
        return f"{self.view}{self.variant}" if self.parent == GENESIS else f"{self.view}{self.variant}({self.parent})"

    def descends_from(self, other: "Block") -> bool:
        """Say whether the other block is this one or an ancestor."""
        block: Block | None = self
        while block is not None and block.height > other.height:
            block = block.parent
        return block == other


GENESIS = Block(0, "", None)


@dataclass(frozen=True)
class View:
    """One view of a run: what was proposed, and what came of it."""

    number: int
    blocks: tuple[Block, ...]
    leader_is_honest: bool
    outcome: Outcome
    steps: tuple[Step, ...]
    states: int  # how many states of this view show this outcome

    def _named(self, certificates: int, offset: int) -> tuple[Block, ...]:
        return tuple(block for i, block in enumerate(self.blocks) if certificates >> offset + i & 1)

    @cached_property
    def notarized(self) -> tuple[Block, ...]:
        """Blocks for which a notarization is reached."""
        return self._named(self.outcome.reached, 0)

    @cached_property
    def finalized(self) -> tuple[Block, ...]:
        """Blocks for which a finalization is reached."""
        return self._named(self.outcome.reached, len(self.blocks))

    @cached_property
    def nullified(self) -> bool:
        """Say whether a nullification is reached."""
        return bool(self.outcome.reached >> 2 * len(self.blocks))

    @cached_property
    def certified(self) -> tuple[Block, ...]:
        """Blocks that an honest validator can prove to be notarized or finalized."""
        held = self.outcome.held
        return self._named(held | held >> len(self.blocks), 0)

    @cached_property
    def passed_over(self) -> bool:
        """Say whether an honest validator can prove that the view is nullified."""
        return bool(self.outcome.held >> 2 * len(self.blocks))


Run = tuple[View, ...]


def length(run: Run) -> int:
    """Count the steps of a run."""
    return sum(len(view.steps) for view in run)


@dataclass(frozen=True)
class Broken:
    """A run that breaks a property."""

    broken: str
    run: Run


@dataclass
class Findings:
    """What an exhaustive search saw."""

    runs: int = 0  # runs that differ in something that a property can see
    states: int = 0  # states of votes and certificates that these stand for
    finalizing: int = 0  # runs that finalize a block
    deepest: int = 0  # the greatest height finalized
    broken: dict[str, Broken] = field(default_factory=dict)  # the shortest counterexample of each property

    def add(self, broken: Broken) -> None:
        """Keep a counterexample if it is the shortest of its property."""
        known = self.broken.get(broken.broken)
        if known is None or length(broken.run) < length(known.run):
            self.broken[broken.broken] = broken


def check(rules: Rules, views: int, honest_leaders: frozenset[int] = frozenset(), steps: int | None = None) -> Findings:
    """Visit every run of so many views, or those of at most so many steps; liars lead all views but those named."""
    findings = Findings()
    waiting: list[Run] = [()]
    while waiting:
        run = waiting.pop()
        if len(run) == views:
            _count(findings, run)
            for broken in _progress(rules, run):
                findings.add(Broken(broken, run))
            continue
        for view in _next_views(rules, run, honest_leaders, steps):
            longer = (*run, view)
            for broken in _safety(longer):
                findings.add(Broken(broken, longer))
            waiting.append(longer)
    return findings


def _count(findings: Findings, run: Run) -> None:
    findings.runs += 1
    findings.states += prod(view.states for view in run)
    heights = [block.height for view in run for block in view.finalized]
    findings.finalizing += bool(heights)
    findings.deepest = max(findings.deepest, *heights, 0)


# Who may propose what


def _next_views(rules: Rules, run: Run, honest_leaders: frozenset[int], steps: int | None) -> Iterator[View]:
    """Give every way in which the next view can go."""
    left = None if steps is None else steps - length(run)
    number = len(run) + 1
    honest = number in honest_leaders
    candidates = tuple(_candidates(rules, run))
    if not _entered(rules, run):
        yield View(number, (), honest, Outcome(0, 0, WayOut.NULLIFY), (), 1)
        return
    choices = [(block,) for block in candidates] if honest and candidates else [candidates]
    for blocks in choices:
        explored = explore(Ballot(rules, len(blocks), honest), left)
        for outcome, states in explored.states.items():
            yield View(number, blocks, honest, outcome, explored.steps[outcome], states)


def _entered(rules: Rules, run: Run) -> bool:
    """Say whether an honest validator can be in the view after this run (R4)."""
    return not run or rules.view_unproven or run[-1].outcome.held > 0


def _candidates(rules: Rules, run: Run) -> Iterator[Block]:
    """Give the blocks that an honest validator may notarize in the next view (R14 to R18, R46).

    Two blocks on each parent are enough for every lie: of three honest votes at most one pair agrees, and a vote for a
    block that is never certified does nothing but take the place of another.
    """
    seen: set[Block] = set()
    for parent in _parents(rules, run):
        if parent.height == rules.end_height:
            blocks = [parent]
        else:
            blocks = [Block(len(run) + 1, variant, parent) for variant in "ab"[: rules.variants]]
        for block in blocks:
            if block not in seen:
                seen.add(block)
                yield block


def _parents(rules: Rules, run: Run) -> Iterator[Block]:
    """Give the parents that can be proven: certified, with every view between nullified."""
    for view in reversed(run):
        yield from view.blocks if rules.parent_unproven else view.certified
        if not view.passed_over and not rules.gaps_unproven:
            return
    yield GENESIS


# What must hold


def _safety(run: Run) -> Iterator[str]:
    """Name what the last view of a run breaks (docs/protocol.md, 12)."""
    last = run[-1]
    if len(last.notarized) > 1:
        yield ONE_NOTARIZATION
    if last.nullified and last.finalized:
        yield EXCLUSION
    if not set(last.finalized) <= set(last.notarized):
        yield FOUNDATION
    below = [block for view in run for block in view.finalized]
    if any(not block.descends_from(final) for block in last.notarized for final in below):
        yield DESCENT
    if any(not block.descends_from(final) for block in last.finalized for final in below):
        yield AGREEMENT


def _progress(rules: Rules, run: Run) -> Iterator[str]:
    """Name what keeps honest validators from a final block, when all they hold is delivered and the liars are silent.

    They are in the view after the highest certificate, and leave it with a nullification of their own. The next
    leader is honest; it looks for a parent (R10), all notarize its block, and all finalize it.
    """
    top = max((view.number for view in run if view.outcome.held), default=0) + 1
    if rules.honest < rules.quorum or (top <= len(run) and run[top - 1].outcome.way_out is WayOut.NONE):
        yield TRAP
        return
    parent: Block | None = GENESIS
    for view in reversed(run[: top - 1]):
        if view.certified:
            parent = view.certified[0]
            break
        if not view.passed_over:
            parent = None
            break
    if top <= len(run) and run[top - 1].outcome.way_out is WayOut.CERTIFICATE:
        return
    if parent is None:
        yield NO_PARENT
    elif any(not parent.descends_from(block) for view in run for block in view.finalized):
        yield FORK
