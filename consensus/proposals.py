"""What may be proposed, and whether a proposal may stand.

One rule: a leader's own block passes the same functions as a peer's before it is voted for. Nothing is changed here;
what stands in the way of an answer comes back as Needs.
"""

from dataclasses import dataclass
from typing import Final

from consensus.chain import Chain
from consensus.events import ProposalRefused
from consensus.messages import CERTIFICATES_ASKED_MAX, Block, Kind, Proposal, Vote
from consensus.place import Place
from consensus.rounds import Rounds, Verdict


@dataclass(frozen=True, slots=True)
class Needs:
    """What to get: the certificates of the views ``certificates`` (low, high), the blocks certified in ``blocks``."""

    certificates: tuple[int, int] | None = None
    blocks: tuple[int, ...] = ()


NOTHING: Final = Needs()


def choose_parent(rounds: Rounds, chain: Chain, view: int) -> tuple[tuple[int, Block] | None, Needs]:
    """Return the highest certified block that is here, all views between it and ``view`` being nullified. R10."""
    away: tuple[int, ...] = ()
    for earlier in range(view - 1, rounds.finalized_view - 1, -1):
        certified = rounds.certified_hash(earlier) is not None
        block = certified_block(rounds, chain, earlier)
        if block is not None:
            return (earlier, block), Needs(None, away)
        if certified:
            away = (*away, earlier)
        nullified = earlier > rounds.finalized_view and rounds.certificate(Kind.NULLIFY, earlier) is not None
        if not nullified:
            return None, Needs(None if certified else (earlier, earlier), away)
    return None, Needs(None, away)


def judge(place: Place, rounds: Rounds, chain: Chain, proposal: Proposal) -> tuple[Verdict, Needs]:
    """Return how far a proposal can be judged without the application, and what that lacks. R14 to R18."""
    parent_view, view = proposal.parent_view, proposal.vote.view
    if parent_view < rounds.finalized_view:  # R14
        return Verdict.INVALID, NOTHING
    if rounds.certified_hash(parent_view) is None:  # R15
        return Verdict.PENDING, Needs((parent_view, parent_view))
    for skipped in range(view - 1, parent_view, -1):  # R16
        if rounds.certificate(Kind.NULLIFY, skipped) is None:
            return Verdict.PENDING, Needs((max(parent_view + 1, skipped - CERTIFICATES_ASKED_MAX + 1), skipped))
    parent = certified_block(rounds, chain, parent_view)
    if parent is None:  # R17
        return Verdict.PENDING, Needs(None, (parent_view,))
    if parent.header.height == place.end_height:  # R46
        return (Verdict.VALID if proposal.vote.hash == parent.hash else Verdict.INVALID), NOTHING
    block = proposal.block
    if block is None or not place.fits(view, parent_view, parent, block):  # R18
        return Verdict.INVALID, NOTHING
    return Verdict.CHECKING, NOTHING


def refusal(rounds: Rounds, chain: Chain, proposal: Proposal) -> list[ProposalRefused]:
    """Return what convicts the leader of an invalid proposal, if it holds a block and its parent is here. R45."""
    parent = certified_block(rounds, chain, proposal.parent_view)
    if proposal.block is None or parent is None:
        return []
    return [ProposalRefused(proposal.vote, proposal.block, parent)]


def certified_block(rounds: Rounds, chain: Chain, view: int) -> Block | None:
    """Return the block certified in ``view``, if it and all between it and the committed tip are here. R17."""
    block_hash = rounds.certified_hash(view)
    if block_hash is None:
        return None
    path = chain.path(block_hash, view)
    return None if path.missing is not None or path.forked else chain.get(block_hash)


def own_proposal(rounds: Rounds, chain: Chain, vote: Vote) -> Proposal | None:
    """Return the proposal that our ``vote`` is for, also after a restart; None if its block is lost. R11, R46."""
    block, reproposed_from = chain.get(vote.hash), rounds.at(vote.view).reproposed_from
    if block is None:
        return None
    if block.header.view == vote.view:
        parent_view, carried = block.header.parent_view, block
    elif reproposed_from is not None:
        parent_view, carried = reproposed_from, None
    else:
        return None
    return Proposal(parent_view, vote, carried, rounds.justification(parent_view, vote.view), rounds.finalization)
