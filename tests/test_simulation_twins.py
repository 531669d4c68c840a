"""Scripted Twins run clean, are counted once, and see what only two who hold one key can bring about."""

from itertools import islice

import pytest

from consensus.messages import Kind, Vote
from tests.simulation import keys, twins
from tests.simulation.campaign import Failure
from tests.simulation.judge import Judge
from tests.simulation.twins import (
    FIRST,
    HEARINGS,
    HONEST,
    PARTS,
    SECOND,
    TWIN,
    VIEWS_MAX,
    Pattern,
    Scenario,
    canonical,
    run_scenario,
    scenario,
    scenarios,
)

EVERY = 37  # of the scenarios of one pattern, one in so many runs here; a campaign runs all
SAMPLED = range(10_000, 10_024)


@pytest.mark.parametrize("number", range(0, 208, EVERY))
def test_a_pattern_of_one_view_breaks_no_invariant(number: int) -> None:
    assert run_scenario(scenario(number)).heights > 0


@pytest.mark.parametrize("number", SAMPLED)
def test_a_drawn_scenario_breaks_no_invariant(number: int) -> None:
    assert run_scenario(scenario(number)).heights > 0


def test_a_scenario_tells_the_same_story_twice() -> None:
    assert run_scenario(scenario(10_000)) == run_scenario(scenario(10_000))


def test_the_names_of_the_honest_and_of_the_twins_make_no_difference() -> None:
    one = Pattern(0, (FIRST, SECOND, 0), (0, 0, 1))
    same = (
        Pattern(0, (SECOND, FIRST, 0), (0, 0, 1)),  # the twins change names
        Pattern(2, (0, SECOND, FIRST), (1, 0, 0)),  # the honest do
    )
    other = (
        Pattern(TWIN, (FIRST, SECOND, 0), (0, 0, 1)),
        Pattern(0, (FIRST, FIRST, 0), (0, 0, 1)),
        Pattern(0, (FIRST, SECOND, 0), (0, 1, 0)),
    )
    assert {canonical((pattern,)) for pattern in (one, *same)} == {canonical((one,))}
    assert len({canonical((pattern,)) for pattern in (one, *other)}) == 1 + len(other)


def test_every_pattern_of_one_view_is_there_once() -> None:
    every = {canonical((Pattern(leader, h, p),)) for leader in range(HONEST + 1) for h in HEARINGS for p in PARTS}
    singles = [scenario(number).patterns for number in range(len(every))]
    assert set(singles) == every
    assert len(scenario(len(every)).patterns) == VIEWS_MAX, "then the same patterns, kept up"


def test_no_scenario_is_run_twice_and_long_ones_are_among_them() -> None:
    drawn = list(islice(scenarios(208, 500), 500))
    assert len({made.patterns for made in drawn}) == 500
    assert {len(made.patterns) for made in drawn} == set(range(2, VIEWS_MAX + 1))


def test_twins_that_lead_tell_their_hearers_different_blocks() -> None:
    """The script does what it says: with a leader that runs twice, two honest validators notarize two blocks."""
    split = Scenario(1, (Pattern(TWIN, (FIRST, FIRST, SECOND), (0, 0, 1)),))
    story = twins.Twins(split, False)
    notarized: dict[int, bytes] = {}
    signed = story.judge.signed

    def note(signer: int, vote: Vote) -> None:
        if vote.view == 1 and vote.kind is Kind.NOTARIZE:
            notarized[signer] = vote.hash
        signed(signer, vote)

    story.judge.signed = note  # type: ignore[method-assign]
    keys.use(False)
    try:
        story.run()
    finally:
        keys.use(True)
    assert notarized[0] == notarized[1] != notarized[2]


def test_a_failure_names_its_scenario_and_the_command_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # A judge that asks too much.
    monkeypatch.setattr(Judge, "_is_quorum", lambda self, epoch, signers: len(signers) > HONEST)
    with pytest.raises(Failure, match="--twins --first 10000 --scenarios 1"):
        run_scenario(scenario(10_000))
