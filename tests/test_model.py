"""The model of the rules (docs/model.md): R1, R3, R4, R6, R7, R10, R14 to R18, R22, R25 and R46, in every run."""

import pytest

from tests.model import plain
from tests.model.__main__ import main, placements
from tests.model.chain import GENESIS, Block, check, length
from tests.model.rules import AGREEMENT, MUTANTS, PROGRESS, PROTOCOL, SAFETY, STEPS, Rules
from tests.model.story import tell
from tests.model.view import Ballot, State, Step, explore

VIEWS = 3
SHORTEST_FORKS = {  # steps until two finalized blocks conflict
    "quorum-2f": 6,
    "two-liars": 6,
    "second-notarize": 13,
    "finalize-after-nullify": 13,
    "nullify-after-finalize": 13,
    "amnesia": 10,
    "gaps-unproven": 10,
    "parent-unproven": 10,
    "hashes-mixed": 11,
    "finalize-unseen": 7,
}


@pytest.mark.parametrize("honest", list(placements(VIEWS)), ids=lambda views: f"honest{sorted(views)}")
def test_no_run_of_three_views_breaks_a_property(honest: frozenset[int]) -> None:
    findings = check(PROTOCOL, VIEWS, honest)
    assert {name: tell(broken) for name, broken in findings.broken.items()} == {}
    assert findings.finalizing > 0
    assert findings.deepest == VIEWS


def test_the_size_of_the_search_is_known() -> None:
    """A change in these counts is a change of the model; docs/model.md states them."""
    findings = check(PROTOCOL, VIEWS)
    assert (findings.runs, findings.states) == (5_762, 1_161_475_224)


@pytest.mark.parametrize("end_height", [1, 2])
def test_no_run_breaks_a_property_when_the_last_block_is_proposed_again(end_height: int) -> None:
    findings = check(Rules(end_height=end_height), VIEWS)
    assert {name: tell(broken) for name, broken in findings.broken.items()} == {}
    assert findings.deepest == end_height


def test_four_honest_validators_break_nothing_either() -> None:
    assert check(Rules(liars=0), 2).broken == {}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_fault_breaks_what_it_must_and_nothing_else(name: str) -> None:
    mutant = MUTANTS[name]
    findings = check(mutant.rules, mutant.views, steps=STEPS if mutant.breaks else None)
    assert frozenset(findings.broken) == mutant.breaks
    for broken in findings.broken.values():
        assert tell(broken).startswith(f"{broken.broken}, after {length(broken.run)} steps")
    if AGREEMENT in mutant.breaks:
        assert length(findings.broken[AGREEMENT].run) == SHORTEST_FORKS[name]


def test_every_property_has_a_fault_that_breaks_it() -> None:
    assert frozenset().union(*(mutant.breaks for mutant in MUTANTS.values())) == {*SAFETY, *PROGRESS}


@pytest.mark.parametrize(("views", "variants"), [(1, "ab"), (2, "a")])
def test_the_search_by_views_stands_for_exactly_the_states_of_the_plain_one(views: int, variants: str) -> None:
    states = plain.reachable(views, variants)
    assert len(states) == check(Rules(variants=len(variants)), views).states
    for state in states:
        certificates = plain.certificates(state)
        final = {vote.view for vote in certificates if vote.kind == plain.FINALIZE}
        null = {vote.view for vote in certificates if vote.kind == plain.NULLIFY}
        assert not final & null


def test_a_counterexample_follows_the_rules_it_claims_to_follow() -> None:
    """Each step of a story is one that the search allows there, and the story ends where it says."""
    ballot = Ballot(PROTOCOL, 2, leader_is_honest=False)
    for outcome, steps in explore(ballot).steps.items():
        state: State = ((0, 0, 0), 0)
        for step in steps:
            state = dict(ballot.steps(state))[step]
        assert ballot.outcome(state) == outcome


def test_a_story_can_be_read() -> None:
    findings = check(MUTANTS["gaps-unproven"].rules, 2, steps=STEPS)
    story = tell(findings.broken[AGREEMENT])
    assert "    A NOTARIZE 1" in story
    assert "honest validators learn the notarization of 1" in story
    assert "=> view 2, with the liars' votes: notarized 2" in story


def test_descent_is_by_ancestors() -> None:
    first, other = Block(1, "a", GENESIS), Block(1, "b", GENESIS)
    second = Block(3, "a", first)
    assert second.descends_from(first)
    assert second.descends_from(GENESIS)
    assert second.descends_from(second)
    assert not second.descends_from(other)
    assert not first.descends_from(second)
    assert (second.height, str(second)) == (2, "3a(1a)")


def test_an_honest_leader_votes_first() -> None:
    ballot = Ballot(PROTOCOL, 1, leader_is_honest=True)
    first = {step for step, _ in ballot.steps(((0, 0, 0), 0))}
    assert Step(0, 1) in first
    assert not {Step(1, 1), Step(2, 1)} & first


def test_the_command_tells_by_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--views", "1"]) == 0
    assert "898 states" in capsys.readouterr().out
    assert main(["--mutant", "no-way-back"]) == 0
    assert "honest validators alone cannot leave their view" in capsys.readouterr().out
