"""Our votes on their way to a signature, and what others hold under our key.

One rule: a vote leaves only as the signer gave it. What waits because nobody signs, or because the fence is up, is
asked for later: its promise stands, and the guard decides. What is above a finalization by then still counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from consensus.events import Finalize, SignVote, VoteSigned
from consensus.messages import Certificate, Hash, Kind, Vote
from consensus.records import Intent, decode_record
from node.fence import Fence
from node.signing.requests import Answer, Away, Declined, Known, Seen, Signed, Suspended
from node.signing.signer import Signer
from node.storage.guard import View

WAITING_MAX: Final = 1_024  # votes above the floor that nobody has signed; the oldest are given up
OWN_MAX: Final = 4_096  # votes of this life that need not be asked about when they come back in a certificate
UNSEEN_MAX: Final = 64  # votes under our key that nobody could judge yet

log = structlog.get_logger("voting")


@dataclass(slots=True)
class Votes:
    """What is counted; metrics read it."""

    refused: int = 0
    foreign: int = 0


class Voting:
    """Between the core, which promises, and the signer, which signs."""

    def __init__(self, signer: Signer, fence: Fence, known: View, take: Callable[[VoteSigned], None]) -> None:
        """``known`` is the latest view of which the store tells; ``take`` gets each signed vote."""
        self.fence = fence
        self.votes = Votes()
        self._signer = signer
        self._known = known
        self._take = take
        self._waiting: dict[SignVote, int] = {}  # and our index in the committee of its epoch
        self._own: dict[tuple[Kind, int, int], Hash] = {}
        self._unseen: dict[Seen, None] = {}
        signer.on_change(self.signer_changed)

    @property
    def known(self) -> View:
        """The latest view of which anything here tells what we said."""
        return self._known

    @property
    def fenced(self) -> bool:
        """Whether nothing is signed for now although the signer is well."""
        return self.fence.up or any(map(self._barred, self._waiting))

    @property
    def waiting(self) -> int:
        """How many votes wait for a signature."""
        return len(self._waiting)

    def replayed(self, records: Sequence[bytes]) -> None:
        """Learn from the journal what we know of our own votes."""
        for data in records:
            record = decode_record(data)
            if isinstance(record, Intent | Certificate):
                self._known = max(self._known, (record.epoch, record.view))

    def signer_changed(self) -> None:
        """The signer is there, or away, or suspended: see whether its guard knows more than we do."""
        memory = self._signer.memory
        if memory is None:
            return
        if memory.based or memory.newest > self._known:
            self.fence.forgot(memory.newest)
            log.warning("fenced", newest=memory.newest, known=self._known)
        unseen, self._unseen = list(self._unseen), {}
        for seen in unseen:
            self._judge(seen)
        self.ask_again()

    def sign(self, effect: SignVote, me: int) -> None:
        """Have a promised vote signed, now or when that may be."""
        self._known = max(self._known, (effect.epoch, effect.view))
        self._waiting[effect] = me
        if len(self._waiting) > WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        if not self.fence.up and not self._barred(effect):
            self._ask(effect)

    def ask_again(self) -> None:
        """Ask for what waits, the oldest promise first."""
        if not self.fence.up:
            for effect in list(self._waiting):
                if not self._barred(effect):
                    self._ask(effect)

    def overtaken(self, floor: tuple[int, int]) -> None:
        """Give up what a finalization has overtaken: the journal holds nothing of it any more. R44

        Its blocks may still be on their way; ``finalized`` hears of them.
        """
        self._waiting = {vote: me for vote, me in self._waiting.items() if (vote.epoch, vote.view) > floor}

    def finalized(self, effect: Finalize, now_ms: int) -> None:
        """Give up what a finalization has overtaken; perhaps the fence falls."""
        floor = (effect.certificate.epoch, effect.certificate.view)
        self.overtaken(floor)
        self._known = max(self._known, floor)
        was_up = self.fence.up
        self.fence.finalized(floor, now_ms)
        self._look(was_up)

    def listen(self, heights: Sequence[tuple[int, int]], faulty_max: int, ours: int, now_ms: int) -> None:
        """Hear where others are, and what time it is."""
        was_up = self.fence.up
        if was_up:
            self.fence.heard(heights, faulty_max, ours, self._known, now_ms)
            self.fence.stalled(now_ms)
            self._look(was_up)

    def observe(self, certificate: Certificate, me: int) -> None:
        """Look whether a verified certificate has a vote of ours that we did not make."""
        for signer, signature in certificate.signatures:
            subject = (certificate.kind, certificate.epoch, certificate.view)
            if signer == me and self._own.get(subject) != certificate.hash:
                self._judge(Seen(*subject, certificate.hash, signature))

    def accused(self, votes: Sequence[Vote]) -> None:
        """Look at verified evidence against our key."""
        for vote in votes:
            self._judge(Seen(vote.kind, vote.epoch, vote.view, vote.hash, vote.signature))

    def _barred(self, effect: SignVote) -> bool:
        """Whether a guard that was based anew is sure to refuse: R43 keeps the key silent until a later epoch."""
        memory = self._signer.memory
        return memory is not None and memory.based and (effect.epoch, effect.view) < memory.newest

    def _look(self, was_up: bool) -> None:
        if was_up and not self.fence.up:
            log.info("fence_down", known=self._known)
            self.ask_again()

    def _ask(self, effect: SignVote) -> None:
        self._signer.ask(effect, partial(self._on_signature, effect))

    def _on_signature(self, effect: SignVote, answer: Answer) -> None:
        me = self._waiting.get(effect)
        if me is None:
            return  # overtaken meanwhile
        match answer:
            case Signed():
                del self._waiting[effect]
                self._remember((effect.kind, effect.epoch, effect.view), effect.hash)
                vote = Vote(effect.kind, effect.epoch, effect.view, effect.hash, me, answer.signature)
                self._take(VoteSigned(vote))
            case Declined():
                del self._waiting[effect]
                self.votes.refused += 1
                at = {"kind": effect.kind.name, "epoch": effect.epoch, "view": effect.view}
                log.error("signature_refused", **at, why=answer.reason)
            case Away() | Suspended() | Known():
                pass  # it waits

    def _judge(self, seen: Seen) -> None:
        self._signer.ask(seen, partial(self._on_judgement, seen))

    def _on_judgement(self, seen: Seen, answer: Answer) -> None:
        match answer:
            case Known():
                self._remember((seen.kind, seen.epoch, seen.view), seen.hash)
            case Suspended():
                self.votes.foreign += 1
                if self.votes.foreign == 1:
                    log.error("foreign_vote", kind=seen.kind.name, epoch=seen.epoch, view=seen.view, why=answer.reason)
            case Away():
                if len(self._unseen) < UNSEEN_MAX:
                    self._unseen[seen] = None
            case Declined() | Signed():
                log.error("judgement_refused", answer=type(answer).__name__)

    def _remember(self, subject: tuple[Kind, int, int], block_hash: Hash) -> None:
        self._own[subject] = block_hash
        if len(self._own) > OWN_MAX:
            del self._own[next(iter(self._own))]
