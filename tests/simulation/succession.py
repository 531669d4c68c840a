"""The central bank of a run: it changes who validates, with many lists in flight at once.

One rule: it looks at the roster as somebody has executed it, and asks only for what leaves those who lie below a third,
now and when all newcomers are ready. That roster may be old, and other lists under way: each list names the roster that
it was judged by, and the ledger refuses it under any other.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Final

from node.ledger.param import Listed
from node.ledger.validators import Keys, Roster, Seat
from tests.simulation.members import node_key, node_of

WEIGHT_MAX: Final = 4
SIZE_MIN: Final = 4

Draft = dict[str, tuple[int, Keys]]  # name -> weight and keys
Act = Callable[[Draft], None]


class Registrar:
    """``keys`` are the consensus keys by node; ``liars`` never become members again once they are out."""

    def __init__(self, random: Random, keys: Sequence[bytes], liars: frozenset[int]) -> None:
        self._random = random
        self.keys = [Keys(key, node_key(node)) for node, key in enumerate(keys)]
        self._liars = liars
        self._named = 0

    def next_list(self, roster: Roster) -> tuple[Listed, ...] | None:
        """Return a list of validators to appoint; None if nothing safe came to mind."""
        draft: Draft = {seat.name: (seat.weight, seat.next or _current(seat)) for seat in roster}
        for _ in range(self._random.choice((1, 1, 2))):
            act: Act = self._random.choice((self._admit, self._dismiss, self._weigh, self._replace, self._replace_all))
            act(draft)
        seated = [(draft[seat.name][0], _current(seat)) for seat in roster if seat.current and seat.name in draft]
        if draft and self._safe(seated) and self._safe(draft.values()):
            return tuple(Listed(name, weight, "", *keys) for name, (weight, keys) in sorted(draft.items()))
        return None

    def _safe(self, members: Iterable[tuple[int, Keys]]) -> bool:
        weights = [(weight, node_of(keys.node_key) in self._liars) for weight, keys in members]
        total, lying = sum(weight for weight, _ in weights), sum(weight for weight, lies in weights if lies)
        return len(weights) >= SIZE_MIN and 3 * lying < total and 3 * max(weight for weight, _ in weights) < total

    def _admit(self, draft: Draft) -> None:
        keys = self._outsider(draft)
        if keys is not None:
            self._named += 1
            draft[f"w{self._named:03}"] = (1, keys)

    def _dismiss(self, draft: Draft) -> None:
        del draft[self._random.choice(sorted(draft))]

    def _weigh(self, draft: Draft) -> None:
        name = self._random.choice(sorted(draft))
        draft[name] = (self._random.randint(1, WEIGHT_MAX), draft[name][1])

    def _replace(self, draft: Draft) -> None:
        self._give_new_keys(draft, self._random.choice(sorted(draft)))

    def _replace_all(self, draft: Draft) -> None:
        for name in sorted(draft):
            self._give_new_keys(draft, name)

    def _give_new_keys(self, draft: Draft, name: str) -> None:
        keys = self._outsider(draft)
        if keys is not None:
            draft[name] = (draft[name][0], keys)

    def _outsider(self, draft: Draft) -> Keys | None:
        taken = {keys for _, keys in draft.values()}
        free = [keys for node, keys in enumerate(self.keys) if keys not in taken and node not in self._liars]
        return self._random.choice(free) if free else None


def _current(seat: Seat) -> Keys:
    keys = seat.current or seat.next
    assert keys is not None
    return keys
