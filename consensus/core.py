"""Simplex for one validator and one epoch: what happened goes in, what is to be done comes out.

One rule: everything that affects agreement is in this file, and it is pure. It reads no clock, draws no random number
and does no I/O, so a recorded list of inputs gives the same list of effects for ever. R1 to R50 are the rules of
docs/protocol.md.

In a view its leader proposes a block; validators NOTARIZE it, or NULLIFY the view when nothing good came in time. A
quorum of either is a certificate, and on any certificate of view v a validator goes to v + 1. Who holds a notarization
and has not nullified the view casts FINALIZE; a quorum of these makes the block and its ancestors irreversible.
"""

from typing import Final, assert_never

from consensus.chain import Chain, Missing
from consensus.committee import Committee
from consensus.counters import Counters
from consensus.events import (
    BlockBuilt,
    BlockChecked,
    BlockFetched,
    BlocksSynced,
    Broadcast,
    BuildBlock,
    CertificateReceived,
    CertificatesRequested,
    CheckBlock,
    Content,
    Effect,
    EpochEnded,
    Evidence,
    Finalize,
    Halt,
    Input,
    PeerConnected,
    PeerDisconnected,
    PeerHeard,
    Persist,
    ProposalReceived,
    Replayed,
    SetTimer,
    SignVote,
    Started,
    StatusReceived,
    TimerFired,
    VoteReceived,
    VoteSigned,
    WorkChanged,
)
from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    CertificateRequest,
    Hash,
    Kind,
    Message,
    Proposal,
    Status,
    Vote,
    certified_votes,
    view_after,
)
from consensus.peers import Peers
from consensus.place import Place
from consensus.proposals import Needs, certified_block, choose_parent, judge, own_proposal, refusal
from consensus.records import Intent, Record, Reproposal, decode_record, encode_record
from consensus.rounds import VIEW_WINDOW, Round, Rounds, Verdict, carried_certificates
from consensus.timing import NEVER, Deadlines, Timing, backoff_steps

__all__ = ["Core", "Counters", "Timing"]

DISPUTED: Final = "a quorum certified a block that this node's application found invalid"


class Core:
    """The state machine. ``step`` is its only door; everything else reads.

    ``me`` is None for an observer, who follows and helps but never votes or proposes. ``root`` is the last block that
    the application has stored and ``floor`` the finalization stored with it; an epoch starts from the last block of
    the one before, without a floor. ``end_height`` is the height of the epoch's last block.
    """

    def __init__(
        self,
        committee: Committee,
        genesis_hash: Hash,
        me: int | None,
        root: Block,
        floor: Certificate | None,
        end_height: int,
        timing: Timing,
    ) -> None:
        assert me is None or 0 <= me < len(committee)
        self.committee = committee
        self.epoch = committee.epoch
        self.end_height = end_height
        self.me = me
        self.counters = Counters()
        self.view = 0  # before Started; afterwards 1 + the highest certified view
        self.ended = False
        self.halted = False
        self._place = Place(committee, genesis_hash, end_height)
        self._timing = timing
        inside = root.header.epoch == committee.epoch and root.header.height > 0
        self._chain = Chain(root)
        self._rounds = Rounds(committee, root.header.view if inside else 0, root.hash)
        if floor is not None and floor.epoch == self.epoch and floor.view >= self._rounds.finalized_view:
            self._rounds.raise_floor(floor)  # R42
        self._peers = Peers(committee, me, self._rounds, timing)
        self._deadlines = Deadlines(timing)
        self._timer_at = NEVER
        self._now = 0
        self._started = False
        self._pending = False  # the application has work
        self._unsettled = False  # a finalization or a block came: perhaps something can be committed
        self._effects: list[Effect] = []

    # --- what others may read ---

    @property
    def committed(self) -> Block:
        """The last block delivered by Finalize, or ``root``."""
        return self._chain.committed

    @property
    def finalized_view(self) -> int:
        """The highest finalized view known, 0 at an epoch's start."""
        return self._rounds.finalized_view

    @property
    def finalization(self) -> Certificate | None:
        """The certificate of ``finalized_view``."""
        return self._rounds.finalization

    @property
    def leader(self) -> int:
        """The leader of the current view."""
        return self.committee.leader(self.view)

    def votes(self) -> dict[Kind, tuple[int, ...]]:
        """Return who cast which vote in the current view: what it waits for."""
        return self._rounds.voters(self.view)

    def block(self, block_hash: Hash) -> Block | None:
        """Return any block that we hold above the committed tip, or the tip, to serve it. R39."""
        return self._chain.get(block_hash) or self._rounds.proposed_block(block_hash)

    def blocks(self) -> list[Block]:
        """Return the blocks above the committed tip: certified, voted for, or proposed."""
        return [*self._chain, *self._rounds.proposed_blocks()]

    def wants(self, message: Message) -> bool:
        """Return whether checking the signatures of ``message`` is worth its while. Pure. R13, R21, R22."""
        match message:
            case Vote():
                return self._rounds.wants_vote(message)
            case Certificate():
                return self._rounds.wants_certificate(message)
            case Proposal():
                return message.vote.hash in self._chain.wanted or self._rounds.wants_proposal(message)
            case CertificateRequest() | Status():
                return True

    def records(self) -> list[bytes]:
        """Return all that the journal must still hold, once the application has stored what was delivered. R44."""
        return [encode_record(record) for record in (*self._chain, *self._rounds.records())]

    # --- the one door ---

    def step(self, now_ms: int, event: Input) -> list[Effect]:
        """Take one input at ``now_ms``, a monotonic clock; return the effects in the order in which they happen."""
        self._now = now_ms
        effects = self._effects = []
        if not self.halted:
            self._on(event)
            if self._started:
                self._advance()
                self._arm()
        self._effects = []
        return effects

    def _on(self, event: Input) -> None:
        match event:
            case VoteReceived():
                self._on_vote(event.vote)
            case PeerHeard():
                self._effects += self._peers.hint(event, self._status(), self._now)
            case VoteSigned():
                self._on_signed(event.vote)
            case ProposalReceived():
                self._on_proposal(event.sender, event.proposal)
            case CertificateReceived():
                self._peers.heard(event.sender, event.certificate.view + 1, self._now)
                self._add_certificate(event.certificate)
            case BlockChecked():
                self._on_checked(event)
            case BlockBuilt():
                self._on_built(event.view, event.content)
            case TimerFired():
                self._on_timer()
            case BlockFetched():
                if event.block.hash in self._chain.wanted:  # R39
                    self._keep(event.block)
            case BlocksSynced():
                self._on_synced(event.blocks, event.certificate)
            case StatusReceived():
                self._effects += self._peers.compare(event.sender, event.status, self._status(), self._now)
            case CertificatesRequested():
                self._effects += self._peers.answer(event.sender, event.low, event.high)
            case PeerConnected():
                self._peers.heard(event.peer, 0, self._now)
                if self.me is not None:
                    self._effects += self._peers.greet(event.peer, self._status())
            case PeerDisconnected():
                self._peers.gone(event.peer)
                self._skip_silent_leader()
            case WorkChanged():
                self._pending = event.pending
            case Replayed():
                self._on_replayed(decode_record(event.record))
            case Started():
                self._on_started()
            case _:
                assert_never(event)

    def _advance(self) -> None:
        """Do what has become possible. Nothing here makes a certificate, so once is enough."""
        if self._unsettled:
            self._commit()
        if self.ended or self.halted:
            return
        if self._rounds.certified_view >= self.view:
            self._enter(self._rounds.certified_view + 1)
        if self.me is None:
            return
        round = self._rounds.at(self.view)
        if self.leader == self.me:
            self._propose(round)
        elif round.proposal is not None:
            self._judge(round, round.proposal)
        idle = self._idle()
        if idle != self._deadlines.idle:
            self._deadlines.pace(self._now, idle)

    def _arm(self) -> None:
        earliest = self._deadlines.earliest()
        if earliest not in (self._timer_at, NEVER):
            self._timer_at = earliest
            self._effects.append(SetTimer(earliest))

    # --- casting ---

    def _cast(self, kind: Kind, view: int, block_hash: Hash, *before: Record) -> bool:
        """Promise a vote and have it signed, the only place that does; ``before`` is durable before it. R5 to R8."""
        if self.me is None or self.halted or not self._rounds.promise(kind, view, block_hash):
            return False
        for record in (*before, Intent(kind, self.epoch, view, block_hash)):
            self._persist(record)
        self._effects.append(SignVote(kind, self.epoch, view, block_hash))
        return True

    def _persist(self, record: Record) -> None:
        self._effects.append(Persist(encode_record(record), record if isinstance(record, Block) else None))

    def _on_signed(self, vote: Vote) -> None:
        """Send a vote whose promise is durable, and count it. R8."""
        if vote.epoch != self.epoch:
            return  # of the epoch before, whose core is gone
        assert vote.signer == self.me
        message: Message = vote
        if vote.view > self.finalized_view and not self.ended:
            round = self._rounds.at(vote.view)
            assert (vote.kind, vote.hash) in round.promised()
            round.votes[vote.kind] = vote
            if vote.kind is Kind.NOTARIZE and self.committee.leader(vote.view) == self.me:
                round.proposal = own_proposal(self._rounds, self._chain, vote)
                message = round.proposal or vote
        self._effects.append(Broadcast(message))
        self._count(vote)

    def _nullify(self) -> bool:
        """Give the current view up."""
        if not self._cast(Kind.NULLIFY, self.view, NO_HASH):
            return False
        self._deadlines.give_up()
        return True

    # --- views and time ---

    def _enter(self, view: int) -> None:
        """Go to ``view``: the only way there. R4, R9."""
        self.view = view
        if self.me is None:
            return
        round, leader = self._rounds.at(view), self.leader
        waits = round.proposal is None and leader != self.me
        steps = backoff_steps(self.committee, view, self.finalized_view)
        self._deadlines.enter(self._now, steps, self._idle(), waits)
        if round.nullified:  # after a restart
            self._deadlines.give_up()
        elif round.tally.voted(Kind.NULLIFY, leader):  # R23
            self._nullify()
        else:
            self._skip_silent_leader()

    def _skip_silent_leader(self) -> None:
        """Give up a view whose leader cannot be heard and has proposed nothing here. R31."""
        if self.me is None or not self._started or self.ended or self._rounds.at(self.view).proposal is not None:
            return
        if self._peers.silent(self.leader, self._now) and self._nullify():
            self.counters.leaders_skipped += 1

    def _idle(self) -> bool:
        """Return whether nobody waits for a block: no work, the tip final, no proposal under way. R32."""
        return (
            not self._pending
            and self._timing.idle_ms > 0
            and self._rounds.settled(self._chain.committed.hash)
            and self._rounds.at(self.view).proposal is None
        )

    def _on_timer(self) -> None:
        self._timer_at = NEVER
        deadlines, now = self._deadlines, self._now
        if now >= deadlines.leader_at:  # R29
            deadlines.leader_at = NEVER
            if self._rounds.at(self.view).proposal is None and self._nullify():
                self.counters.leader_timeouts += 1
        if now >= deadlines.view_at:  # R29
            deadlines.view_at = NEVER
            if self._nullify():
                self.counters.view_timeouts += 1
        if now >= deadlines.share_at:
            deadlines.share_at = NEVER
            self._effects += self._peers.share(self.view)
        if now >= deadlines.retry_at:
            deadlines.retry_at = now + self._timing.retry_ms
            self._retry()

    def _retry(self) -> None:
        """Ask again, and if nothing has moved say everything again. Nothing new is promised. R37."""
        self._effects += self._chain.requests()
        stuck, behind = self._peers.retry(self.view), self.committed.hash != self._rounds.final_hash
        if self.me is not None and stuck:
            self.counters.retries += 1
            waiting = self._deadlines.idle and not self._rounds.at(self.view).nullified
            self._effects += self._peers.again(self._status(), waiting)
        elif self.me is not None and behind:  # the answers tell the driver who can send a range
            self._effects.append(Broadcast(self._status()))

    # --- proposing ---

    def _propose(self, round: Round) -> None:
        """Ask for a block once in each view that we lead, and never again after a restart. R11."""
        if round.building_on is not None or round.notarized is not None or round.nullified:
            return
        found, needs = choose_parent(self._rounds, self._chain, self.view)
        self._get(needs, self._peers.others())
        if found is None:
            return
        parent_view, parent = round.building_on = found
        if parent.header.height < self.end_height:
            waiting = parent.hash != self._chain.committed.hash
            self._effects.append(BuildBlock(self.view, parent, waiting))
            return
        round.reproposed_from = parent_view  # R46
        self._cast(Kind.NOTARIZE, self.view, parent.hash, parent, Reproposal(self.epoch, self.view, parent_view))

    def _on_built(self, view: int, content: Content | None) -> None:
        """Vote for our own block if it would pass as a peer's, else give the view up. R12."""
        round = self._rounds.get(view)
        if view != self.view or round is None or round.building_on is None or round.notarized is not None:
            return
        if content is None:
            self._nullify()
            return
        parent_view, parent = round.building_on
        block = self._place.next_block(view, parent_view, parent, content)
        if not self._place.fits(view, parent_view, parent, block):
            self.counters.own_blocks_unfit += 1
            self._nullify()
        elif self._cast(Kind.NOTARIZE, view, block.hash, block):
            self._keep(block)

    # --- proposals of others ---

    def _on_proposal(self, sender: int, proposal: Proposal) -> None:
        """Take what a proposal proves, then the proposal, if it is its view's first. R13."""
        vote, block = proposal.vote, proposal.block
        self._peers.heard(sender, vote.view, self._now)
        if self.ended or vote.epoch != self.epoch or vote.signer == self.me:
            return
        for certificate in carried_certificates(proposal):
            if certificate.view < vote.view or certificate.kind is Kind.FINALIZE:
                self._add_certificate(certificate)
        if block is not None and block.hash in self._chain.wanted:  # R39
            self._keep(block)
        if not self.finalized_view < vote.view <= self._rounds.certified_view + 1 + VIEW_WINDOW:
            return
        round = self._rounds.at(vote.view)
        if round.proposal is None:
            round.proposal = proposal
            if vote.view == self.view:
                self._deadlines.proposed()
        self._count(vote)

    def _judge(self, round: Round, proposal: Proposal) -> None:
        """Check the current view's proposal as far as possible now, and vote. R20."""
        if round.verdict is Verdict.PENDING:
            round.verdict, needs = judge(self._place, self._rounds, self._chain, proposal)
            self._get(needs, self._peers.some(self.leader))
            if round.verdict is Verdict.INVALID:
                self._effects += refusal(self._rounds, self._chain, proposal)
            if round.verdict is Verdict.CHECKING:
                parent = certified_block(self._rounds, self._chain, proposal.parent_view)
                assert proposal.block is not None
                assert parent is not None
                self._effects.append(CheckBlock(self.view, proposal.block, parent))
        if round.verdict is Verdict.INVALID and self._nullify():
            self.counters.proposals_invalid += 1
        if round.verdict is Verdict.VALID and round.notarized is None and not round.nullified:
            block = proposal.block or self._chain.get(proposal.vote.hash)
            if block is not None and self._cast(Kind.NOTARIZE, self.view, block.hash, block):
                self._keep(block)

    def _on_checked(self, event: BlockChecked) -> None:
        """Take the application's verdict, if it is on the proposal that waits for it. R19."""
        round = self._rounds.get(event.view)
        proposal = None if round is None or round.verdict is not Verdict.CHECKING else round.proposal
        if round is None or proposal is None or proposal.vote.hash != event.hash:
            return
        round.verdict = Verdict.VALID if event.valid else Verdict.INVALID
        if not event.valid:
            round.refused = event.hash
            self._effects += refusal(self._rounds, self._chain, proposal)
            if self._rounds.certified_hash(event.view) == event.hash:  # R28
                self._halt(DISPUTED)

    # --- votes and certificates ---

    def _on_vote(self, vote: Vote) -> None:
        self._peers.heard(vote.signer, view_after(vote), self._now)
        if vote.signer == self.me:
            return
        if vote.kind is Kind.NULLIFY and vote.view < self.view:
            self._effects += self._peers.help(vote.signer, vote.view, self._status(), self._now)
        self._count(vote)

    def _count(self, vote: Vote) -> None:
        """Add a verified vote, unless it is late, too early or its signer's second. R21."""
        if not self._rounds.wants_vote(vote):
            return
        tally = self._rounds.at(vote.view).tally
        self._accuse(tally.convict((vote,)))
        certificate = tally.add(vote)
        if vote.kind is Kind.NULLIFY and vote.view == self.view and vote.signer == self.leader:  # R23
            self._nullify()
        if certificate is not None:  # R22
            self._add_certificate(certificate)

    def _accuse(self, evidence: list[Evidence]) -> None:  # R45
        self.counters.evidence += len(evidence)
        self._effects += evidence

    def _add_certificate(self, certificate: Certificate) -> None:
        """Take a certificate, wherever it comes from. R24 to R26."""
        if self.halted or not self._rounds.wants_certificate(certificate):
            return
        round = self._rounds.at(certificate.view)
        if round.refused == certificate.hash:  # R28
            self._halt(DISPUTED)
            return
        block = round.proposed_block(certificate.hash)
        if block is not None:
            self._keep(block)
        self._accuse(round.tally.convict(certified_votes(certificate)))
        self._rounds.certify(certificate)
        self._persist(certificate)
        match certificate.kind:
            case Kind.NULLIFY:
                self.counters.views_nullified += 1
            case Kind.NOTARIZE:
                self.counters.views_notarized += 1
                self._finalize_notarized(certificate)
            case Kind.FINALIZE:
                self._unsettled = True

    def _finalize_notarized(self, certificate: Certificate) -> None:
        """Finalize what is notarized, in whatever view, whatever we notarized there, unless we nullified it. R25."""
        if self._chain.get(certificate.hash) is None:
            self._want(Missing(certificate.hash, certificate.view), certificate)
        self._cast(Kind.FINALIZE, certificate.view, certificate.hash)

    # --- blocks ---

    def _keep(self, block: Block) -> None:
        self._chain.add(block)
        self._unsettled = True

    def _commit(self) -> None:
        """Deliver the final chain as far as its blocks are here. R27."""
        self._unsettled = False
        if self._chain.committed.hash == self._rounds.final_hash:
            return
        certificate = self._rounds.finalization
        assert certificate is not None
        path = self._chain.path(certificate.hash, certificate.view)
        if path.forked:  # R28
            self._halt(f"the block finalized in view {certificate.view} is not above the committed one")
        elif path.missing is not None:
            self._want(path.missing, certificate)
        else:
            self._finalize(path.blocks, certificate)

    def _finalize(self, blocks: tuple[Block, ...], certificate: Certificate) -> None:
        if any(block.header.epoch != self.epoch or block.header.height > self.end_height for block in blocks):
            self._halt("a final block is outside of its epoch")  # R28
            return
        self._effects.append(Finalize(blocks, certificate))
        self._chain.commit(blocks[-1])
        self.counters.blocks_finalized += len(blocks)
        if self.committed.header.height == self.end_height:
            self._end()

    def _end(self) -> None:
        """The epoch's last block is final: from here on we only help. R47."""
        certificate = self._rounds.finalization
        assert certificate is not None
        assert certificate.hash == self.committed.hash
        self.ended = True
        self._deadlines.stop()
        self._rounds.close()
        self._chain.wanted.clear()
        self._effects.append(EpochEnded(self.committed, certificate))

    def _halt(self, reason: str) -> None:
        self.halted = True
        self._effects.append(Halt(reason))

    def _get(self, needs: Needs, peers: list[int]) -> None:
        """Ask for certificates and fetch blocks, with what they rest on. R15 to R17, R36, R39."""
        if needs.certificates is not None:
            self._effects += self._peers.ask(*needs.certificates, peers)
        for view in needs.blocks:
            certificate = self._rounds.certificate(Kind.NOTARIZE, view) or self._rounds.finalization
            assert certificate is not None
            missing = self._chain.path(certificate.hash, view).missing
            if missing is not None:
                self._want(missing, certificate)

    def _want(self, missing: Missing, certificate: Certificate) -> None:
        holders = tuple(signer for signer, _ in certificate.signatures if signer != self.me)
        self._effects += self._chain.want(missing, self._rounds.finalized_view, self._rounds.final_hash, holders)

    def _on_synced(self, blocks: tuple[Block, ...], certificate: Certificate) -> None:
        """Commit a range of the final chain, if it is whole and continues ours. R40."""
        new = self._chain.continuation(blocks)
        named = (certificate.kind, certificate.epoch, certificate.hash)
        if self.ended or not new or named != (Kind.FINALIZE, self.epoch, new[-1].hash):
            return
        if new[0].header.parent_hash != self.committed.hash:  # R28
            self._halt(f"the final block of height {new[0].header.height} is not above the committed one")
            return
        self._add_certificate(certificate)
        if not self.halted:
            self._finalize(new, certificate)
            self._unsettled = True

    def _status(self) -> Status:
        return Status(self.epoch, self.view, self.finalized_view, self.committed.header.height)

    # --- recovery ---

    def _on_replayed(self, record: Record) -> None:
        """Take a fact from an earlier life, in any order, without acting on it. R41, R42."""
        assert not self._started
        if not isinstance(record, Block):
            self._rounds.replay(record)
        elif record.header.epoch == self.epoch and record.header.height > self.committed.header.height:
            self._chain.add(record)

    def _on_started(self) -> None:
        """Join: sign our promises again, finalize what we may, enter the view with all its timers. R41."""
        assert not self._started
        self._started = True
        self._peers.start(self._now)
        if self.committed.header.height == self.end_height:
            self._end()
            return
        self._deadlines.retry_at = self._now + self._timing.retry_ms
        for view, round in list(self._rounds):
            if self.me is not None:
                self._effects += [SignVote(kind, self.epoch, view, named) for kind, named in round.promised()]
            notarization = round.tally.certificates[Kind.NOTARIZE]
            if notarization is not None:
                self._finalize_notarized(notarization)
        self._unsettled = True
        self._advance()
        if self.me is not None and not (self.ended or self.halted):
            self._effects += self._peers.again(self._status(), False)
