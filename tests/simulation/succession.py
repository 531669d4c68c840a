"""The central bank of a run: it changes who validates, with many lists in flight at once.

One rule: it looks at the roster as somebody has executed it, and asks only for what leaves those who are faulty below a
third, whoever of the newcomers is ready when. That roster may be old, and other lists under way: each list names the
roster that it was judged by, and the ledger refuses it under any other.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from node.ledger.param import Listed
from node.ledger.validators import Keys, Roster, Seat

WEIGHT_MAX: Final = 4
SIZE_MIN: Final = 4

Draft = dict[str, tuple[int, Keys]]  # name -> weight and keys
Act = Callable[[Draft], None]


class Registrar:
    """``keys`` are those of each node: 0, 1, ...; nobody of ``unwanted`` becomes a member."""

    def __init__(
        self,
        random: Random,
        keys: Sequence[Keys],
        faulty: Sequence[frozenset[int]],
        unwanted: frozenset[int],
        drafts: int,
    ) -> None:
        """Each set of ``faulty`` weighs less than a third in every committee; ``drafts`` are made to find one."""
        self._random = random
        self.keys = tuple(keys)
        self._nodes = {pair.node_key: node for node, pair in enumerate(keys)}
        self._faulty = faulty
        self._unwanted = unwanted
        self._drafts = drafts
        self._named = 0

    def next_list(self, roster: Roster) -> tuple[Listed, ...] | None:
        """Return a list of validators to appoint; None if nothing safe came to mind."""
        for _ in range(self._drafts):
            draft: Draft = {seat.name: (seat.weight, seat.next or _current(seat)) for seat in roster}
            for _ in range(self._random.choice((1, 1, 2))):
                acts = (self._admit, self._dismiss, self._weigh, self._replace, self._replace_all)
                act: Act = self._random.choice(acts)
                act(draft)
            if draft and self._safe(roster, draft):
                return tuple(Listed(name, weight, "", *keys) for name, (weight, keys) in sorted(draft.items()))
        return None

    def _safe(self, roster: Roster, draft: Draft) -> bool:
        """Return whether a draft bears its faulty: at once, when all are ready, and when none but the faulty is."""
        seated = {seat.name: seat.current for seat in roster if seat.current and seat.name in draft}
        at_once = [(draft[name][0], keys) for name, keys in seated.items()]
        return all(
            self._bears(members, faulty)
            for faulty in self._faulty
            for members in (at_once, [*draft.values()], self._worst(seated, draft, faulty))
        )

    def _bears(self, members: Sequence[tuple[int, Keys]], faulty: frozenset[int]) -> bool:
        total = sum(weight for weight, _ in members)
        bad = sum(weight for weight, keys in members if self._nodes[keys.node_key] in faulty)
        return len(members) >= SIZE_MIN and 3 * bad < total and 3 * max(weight for weight, _ in members) < total

    def _worst(self, seated: dict[str, Keys], draft: Draft, faulty: frozenset[int]) -> list[tuple[int, Keys]]:
        """Return the worst that may come of a draft: each faulty newcomer has its seat, and nobody else of them."""
        return [
            (weight, keys if self._nodes[keys.node_key] in faulty or name not in seated else seated[name])
            for name, (weight, keys) in draft.items()
            if self._nodes[keys.node_key] in faulty or name in seated
        ]

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
        free = [keys for node, keys in enumerate(self.keys) if keys not in taken and node not in self._unwanted]
        return self._random.choice(free) if free else None


def _current(seat: Seat) -> Keys:
    keys = seat.current or seat.next
    assert keys is not None
    return keys
