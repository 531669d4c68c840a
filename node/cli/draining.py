"""Whether a validator may be stopped: what is left without it, judged.

One rule: a pure function. Who is not known to be there counts as away.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spare:
    """What remains when ``leaving`` stops. Weights; ``away`` are the other validators that do not count."""

    leaving: str
    remaining: int
    quorum: int
    away: tuple[str, ...]
    votes: bool  # it is a validator at all: else nothing is lost

    @property
    def safe(self) -> bool:
        """Whether the others go on without it."""
        return not self.votes or self.remaining >= self.quorum


def spare(leaving: str, weights: Mapping[str, int], quorum: int, present: Collection[str]) -> Spare:
    """Return what is left of a committee when one of it stops."""
    remaining = sum(weight for name, weight in weights.items() if name != leaving and name in present)
    away = tuple(name for name in weights if name != leaving and name not in present)
    return Spare(leaving, remaining, quorum, away, leaving in weights)
