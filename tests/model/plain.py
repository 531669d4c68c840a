"""The same rules once more and without any reduction, to check the search by views: every vote in every order.

It shares only the names of blocks with the rest of the model. Every state is kept, so it is slow and stays small.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from tests.model.chain import GENESIS, Block

NOTARIZE, NULLIFY, FINALIZE = "NOTARIZE", "NULLIFY", "FINALIZE"
HONEST, NEEDED = 3, 2  # of four; two honest votes and the liar's make a quorum of three


class Vote(NamedTuple):
    """A statement, without its signer; as a certificate, one for which enough votes exist."""

    kind: str
    view: int
    block: Block | None


class State(NamedTuple):
    """The votes of each honest validator, and the certificates that any of them holds."""

    votes: tuple[frozenset[Vote], ...]
    held: frozenset[Vote]


def reachable(views: int, variants: str) -> set[State]:
    """Return all states of so many views, with so many blocks on each parent."""
    start = State((frozenset(),) * HONEST, frozenset())
    seen, queue = {start}, deque([start])
    while queue:
        for state in _next(queue.popleft(), views, variants):
            if state not in seen:
                seen.add(state)
                queue.append(state)
    return seen


def certificates(state: State) -> frozenset[Vote]:
    """Return every certificate that the liar can complete."""
    cast = [vote for votes in state.votes for vote in votes]
    return frozenset(vote for vote in cast if cast.count(vote) >= NEEDED)


def _next(state: State, views: int, variants: str) -> Iterator[State]:
    for certificate in certificates(state) - state.held:
        yield state._replace(held=state.held | {certificate})
    for validator, own in enumerate(state.votes):
        for vote in _promises(own, state.held, views, variants):
            votes = (*state.votes[:validator], own | {vote}, *state.votes[validator + 1 :])
            yield state._replace(votes=votes)


def _promises(own: frozenset[Vote], held: frozenset[Vote], views: int, variants: str) -> Iterator[Vote]:
    """Give what a validator may promise that has promised this and may know what is held."""
    kinds = {(vote.kind, vote.view) for vote in own}
    for certificate in held:
        view = certificate.view
        if certificate.kind == NOTARIZE and not {(FINALIZE, view), (NULLIFY, view)} & kinds:
            yield Vote(FINALIZE, view, certificate.block)
    reached = max((vote.view + (vote.kind == FINALIZE) for vote in own), default=1)
    for view in range(reached, views + 1):  # a view is never gone back to (R4)
        if view > 1 and not any(certificate.view == view - 1 for certificate in held):
            continue
        if (NULLIFY, view) in kinds:
            continue
        yield Vote(NULLIFY, view, None)
        if (NOTARIZE, view) not in kinds:
            for parent in _parents(view, held):
                for variant in variants:
                    yield Vote(NOTARIZE, view, Block(view, variant, parent))


def _parents(view: int, held: frozenset[Vote]) -> set[Block]:
    """Return the blocks certified in a view of which all later views before this one are nullified."""
    parents: set[Block] = set()
    for parent_view in range(view):
        if all(Vote(NULLIFY, gap, None) in held for gap in range(parent_view + 1, view)):
            parents |= {vote.block for vote in held if vote.view == parent_view and vote.block is not None}
            parents |= {GENESIS} if parent_view == 0 else set()
    return parents
