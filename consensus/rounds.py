"""The views above the last finalized one: votes, certificates, and what we promised in each.

One rule: a promise (``notarized``, ``nullified``, ``finalized``) is made when a vote is decided, before it is signed,
and is never taken back; the floor, the last finalized view, never moves down.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from consensus.committee import Committee
from consensus.messages import (
    JUSTIFICATIONS_MAX,
    NO_HASH,
    Block,
    Certificate,
    Hash,
    Kind,
    Message,
    Proposal,
    Vote,
)
from consensus.records import Intent, Record, Reproposal
from consensus.tally import Tally

VIEW_WINDOW: Final = 16  # views ahead of ours whose votes and proposals are kept: more come with certificates
RESENT_MAX: Final = 64  # own votes in one retry


class Verdict(Enum):
    """How far the check of a view's proposal has come."""

    PENDING = auto()  # the structure is not checked yet: something that it rests on is missing
    CHECKING = auto()  # the application checks what the block carries
    VALID = auto()
    INVALID = auto()


@dataclass(slots=True)
class Round:
    """One view. ``proposal`` is the first that its leader sent; ``votes`` are our own signed ones."""

    tally: Tally
    proposal: Proposal | None = None
    verdict: Verdict = Verdict.PENDING
    notarized: Hash | None = None
    nullified: bool = False
    finalized: Hash | None = None
    votes: dict[Kind, Vote] = field(default_factory=dict)
    building_on: tuple[int, Block] | None = None  # the parent's view and the parent of the block that we asked for
    reproposed_from: int | None = None  # the parent's view of our re-proposal of the epoch's last block
    refused: Hash | None = None  # the block that the application found invalid

    def promised(self) -> list[tuple[Kind, Hash]]:
        """Return what we promised here."""
        named = (self.notarized, NO_HASH if self.nullified else None, self.finalized)
        return [(kind, block_hash) for kind in Kind if (block_hash := named[kind]) is not None]

    def proposed_block(self, block_hash: Hash) -> Block | None:
        """Return the proposal's block if it has this hash."""
        block = None if self.proposal is None else self.proposal.block
        return block if block is not None and block.hash == block_hash else None


class Rounds:
    """The floor and the views above it.

    The floor starts at ``view``, whose final block is ``block_hash``: view 0 and the epoch's first block, or later.
    """

    def __init__(self, committee: Committee, view: int, block_hash: Hash) -> None:
        self._committee = committee
        self._epoch = committee.epoch
        self._by_view: dict[int, Round] = {}
        self.closed = False  # the epoch is over
        self.finalized_view = view
        self.final_hash = block_hash
        self.finalization: Certificate | None = None
        self.certified_view = view  # the highest view with a certificate
        self.notarized_view = view  # the highest view with a notarization

    def __iter__(self) -> Iterator[tuple[int, Round]]:
        """Yield the views in ascending order."""
        return ((view, self._by_view[view]) for view in sorted(self._by_view))

    def __len__(self) -> int:
        return len(self._by_view)

    def at(self, view: int) -> Round:
        """Return the round of a view above the floor."""
        found = self._by_view.get(view)
        if found is None:
            found = self._by_view[view] = Round(Tally(self._committee))
        return found

    def get(self, view: int) -> Round | None:
        """Return the round of a view if anything is known of it."""
        return self._by_view.get(view)

    def certificate(self, kind: Kind, view: int) -> Certificate | None:
        """Return the certificate of a view above the floor, if it is here."""
        found = self._by_view.get(view)
        return None if found is None else found.tally.certificates[kind]

    def proposed_blocks(self) -> list[Block]:
        """Return the blocks that proposals above the floor brought."""
        proposals = [round.proposal for _, round in self if round.proposal is not None]
        return [proposal.block for proposal in proposals if proposal.block is not None]

    def proposed_block(self, block_hash: Hash) -> Block | None:
        """Return the block with this hash if a proposal above the floor brought it."""
        return next((block for block in self.proposed_blocks() if block.hash == block_hash), None)

    def voters(self, view: int) -> dict[Kind, tuple[int, ...]]:
        """Return who cast which vote in a view."""
        found = self._by_view.get(view)
        return {kind: found.tally.signers(kind) if found else () for kind in Kind}

    def settled(self, committed: Hash) -> bool:
        """Return whether no notarized block waits to be final and no final one to be committed."""
        return self.notarized_view <= self.finalized_view and self.final_hash == committed

    def certified_hash(self, view: int) -> Hash | None:
        """Return the hash certified in ``view``; view 0 has the epoch's first block."""
        if view == self.finalized_view:
            return self.final_hash
        notarization = self.certificate(Kind.NOTARIZE, view)
        return None if notarization is None else notarization.hash

    # --- what is worth checking ---

    def wants_vote(self, vote: Vote) -> bool:
        """Return whether a vote may still count or convict. R21."""
        if self.closed or vote.epoch != self._epoch or vote.view <= self.finalized_view:
            return False
        if vote.view > self.certified_view + 1 + VIEW_WINDOW:
            return False
        found = self._by_view.get(vote.view)
        return found is None or found.tally.wants(vote)

    def wants_certificate(self, certificate: Certificate) -> bool:
        """Return whether a certificate is new. R22: those of any later view are."""
        if self.closed or certificate.epoch != self._epoch or certificate.view <= self.finalized_view:
            return False
        return self.certificate(certificate.kind, certificate.view) is None

    def wants_proposal(self, proposal: Proposal) -> bool:
        """Return whether a proposal is its view's first, convicts its leader, or may come to be in reach. R13."""
        vote = proposal.vote
        if self.closed or vote.epoch != self._epoch or vote.view <= self.finalized_view:
            return False
        reach = max((certificate.view for certificate in carried_certificates(proposal)), default=0)
        if vote.view > max(self.certified_view, reach) + 1 + VIEW_WINDOW:
            return False
        found = self._by_view.get(vote.view)
        return found is None or found.proposal is None or found.tally.wants(vote)

    # --- what changes ---

    def certify(self, certificate: Certificate) -> None:
        """Store a certificate that is wanted. A finalization moves the floor. R24 to R26."""
        self.at(certificate.view).tally.certify(certificate)
        self.certified_view = max(self.certified_view, certificate.view)
        if certificate.kind is Kind.NOTARIZE:
            self.notarized_view = max(self.notarized_view, certificate.view)
        if certificate.kind is Kind.FINALIZE:
            self.raise_floor(certificate)

    def raise_floor(self, certificate: Certificate) -> None:
        """Forget all views up to a finalized one: nothing in them matters any more. R26, R42."""
        assert certificate.kind is Kind.FINALIZE
        assert certificate.view >= self.finalized_view
        self.finalized_view = certificate.view
        self.final_hash = certificate.hash
        self.finalization = certificate
        self.certified_view = max(self.certified_view, certificate.view)
        for view in [view for view in self._by_view if view <= certificate.view]:
            del self._by_view[view]

    def promise(self, kind: Kind, view: int, block_hash: Hash) -> bool:
        """Promise a vote; return False if the floor or an earlier promise forbids it. R5, R6, R7."""
        if self.closed or view <= self.finalized_view:
            return False
        mine = self.at(view)
        match kind:
            case Kind.NOTARIZE:
                if mine.notarized is not None or mine.nullified:
                    return False
                mine.notarized = block_hash
            case Kind.NULLIFY:
                if mine.nullified or mine.finalized is not None:
                    return False
                mine.nullified = True
            case Kind.FINALIZE:
                if mine.finalized is not None or mine.nullified:
                    return False
                mine.finalized = block_hash
        return True

    def replay(self, record: Intent | Reproposal | Certificate) -> None:
        """Take a fact of an earlier life, if it is of this epoch and above the floor. R41, R42."""
        if record.epoch != self._epoch or record.view <= self.finalized_view:
            return
        match record:
            case Intent():
                self._remember(record)
            case Reproposal():
                self.at(record.view).reproposed_from = record.parent_view
            case Certificate():
                if self.wants_certificate(record):
                    self.certify(record)

    def _remember(self, intent: Intent) -> None:
        mine = self.at(intent.view)
        match intent.kind:
            case Kind.NOTARIZE:
                assert mine.notarized in (None, intent.hash), "the journal holds two NOTARIZE of one view"
                mine.notarized = intent.hash
            case Kind.NULLIFY:
                mine.nullified = True
            case Kind.FINALIZE:
                assert mine.finalized in (None, intent.hash), "the journal holds two FINALIZE of one view"
                mine.finalized = intent.hash
        assert mine.finalized is None or not mine.nullified, "the journal holds NULLIFY and FINALIZE of one view"

    def close(self) -> None:
        """The epoch is over: want nothing, promise nothing. R47."""
        self.closed = True
        self._by_view.clear()

    # --- what goes out ---

    def entry(self, view: int) -> Certificate | None:
        """Return what let us leave the view before ``view``. R34."""
        if view - 1 <= self.finalized_view:
            return self.finalization
        return self.certificate(Kind.NOTARIZE, view - 1) or self.certificate(Kind.NULLIFY, view - 1)

    def justification(self, parent_view: int, view: int) -> tuple[Certificate, ...]:
        """Return the parent's certificate, unless it is the finalization, and nullifications, the newest first. R11."""
        proof = [self.certificate(Kind.NOTARIZE, parent_view)] if parent_view > self.finalized_view else []
        lowest = max(parent_view, view - JUSTIFICATIONS_MAX)
        proof.extend(self.certificate(Kind.NULLIFY, skipped) for skipped in range(view - 1, lowest, -1))
        return tuple(certificate for certificate in proof if certificate is not None)

    def both_certificates(self, low: int, high: int) -> list[Certificate]:
        """Return what is held of the views ``low`` to ``high`` above the floor, the newest first. R36."""
        found = []
        for view in range(high, max(low - 1, self.finalized_view), -1):
            found += [self.certificate(Kind.NOTARIZE, view), self.certificate(Kind.NULLIFY, view)]
        return [certificate for certificate in found if certificate is not None]

    def own_messages(self, current: int) -> list[Message]:
        """Return our signed votes, the newest first; the ``current`` view's own proposal carries its vote. R37.

        A NULLIFY whose nullification is here is left out: who is stuck below is sent a certificate, who has a gap asks.
        """
        messages: list[Message] = []
        for view in sorted(self._by_view, reverse=True):
            mine = self._by_view[view]
            for kind in (Kind.FINALIZE, Kind.NULLIFY, Kind.NOTARIZE):
                vote = mine.votes.get(kind)
                proven = kind is Kind.NULLIFY and mine.tally.certificates[kind] is not None
                if vote is not None and not proven and len(messages) < RESENT_MAX:
                    proposed = view == current and mine.proposal is not None and mine.proposal.vote is vote
                    messages.append(mine.proposal if proposed and mine.proposal is not None else vote)
        return messages

    def intents(self, view: int) -> list[Intent]:
        """Return what we promised in a view."""
        return [Intent(kind, self._epoch, view, block_hash) for kind, block_hash in self.at(view).promised()]

    def records(self) -> list[Record]:
        """Return what the journal must hold of all this. R44."""
        records: list[Record] = [] if self.finalization is None else [self.finalization]
        for view, mine in self:
            records.extend(certificate for certificate in mine.tally.certificates if certificate is not None)
            if mine.reproposed_from is not None:
                records.append(Reproposal(self._epoch, view, mine.reproposed_from))
            records.extend(self.intents(view))
        return records


def carried_certificates(proposal: Proposal) -> tuple[Certificate, ...]:
    """Return the certificates in a proposal, the finalization first."""
    return proposal.justification if proposal.finalization is None else (proposal.finalization, *proposal.justification)
