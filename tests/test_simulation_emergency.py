"""A ceremony loses no block that was final, however the power failed, if enough are left. docs/emergency.md."""

from itertools import count, islice
from typing import Final

from tests.simulation.disaster import can, play
from tests.simulation.plan import draw

SEEDS: Final = 24
FEW: Final = (0, 15, 18, 21, 36, 38)  # with one left of these, final blocks are lost


def seeds(number: int) -> list[int]:
    return list(islice((seed for seed in count() if can(draw(seed))), number))


def test_the_base_stands_above_every_block_that_votes_have_made_final() -> None:
    """Liars, crashes, cut power and storms as ever; those who are left read what their disks have kept."""
    outcomes = [play(seed) for seed in seeds(SEEDS)]
    assert all(outcome.certain and outcome.kept for outcome in outcomes)
    assert sum(outcome.final_height > 3 for outcome in outcomes) > SEEDS // 4
    assert any(outcome.unseen for outcome in outcomes), "what was final, and nobody who is left had called so"


def test_with_too_few_left_final_blocks_are_lost_and_nobody_says_that_it_is_certain() -> None:
    outcomes = [play(seed, enough=False) for seed in FEW]
    assert not any(outcome.certain for outcome in outcomes)
    assert not all(outcome.kept for outcome in outcomes)
