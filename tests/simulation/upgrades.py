"""Mixed versions: nodes of old software, the demand of a new version, and when each node is upgraded.

One rule: whoever is old stands still before an epoch that it does not know. All are upgraded before the calm at the
latest, as operators do who see what their node says; so the demands of the calm are the same as in every other run.
"""

from dataclasses import dataclass
from random import Random
from typing import Final

from node.ledger.versions import NEWEST
from tests.simulation.plan import LARGE, Plan

SHARE: Final = 0.5  # of the seeds with short epochs
EPOCH_HEIGHTS_MAX: Final = 12  # a demand is in force within a storm
OLD: Final = NEWEST - 1


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Who is of old software at the start and until when, and when the central bank demands the newest version."""

    until_ms: tuple[tuple[int, int], ...]  # node, time
    demand_ms: int


def draw_upgrade(random: Random, plan: Plan) -> Upgrade | None:
    """Return the upgrade of a run, of half of those in which several epochs begin."""
    if plan.epoch_heights > EPOCH_HEIGHTS_MAX or len(plan.weights) >= min(LARGE) or random.random() >= SHARE:
        return None
    nodes = range(len(plan.weights) + plan.observers)
    share = random.choice((0.3, 0.6, 1.0))
    demand_ms = random.randint(1, plan.storm_ms // 2)
    first, last = random.choice(((1, demand_ms), (1, plan.storm_ms), (demand_ms, plan.storm_ms)))
    return Upgrade(
        tuple((node, random.randint(first, last)) for node in nodes if random.random() < share),
        demand_ms,
    )
