"""Our votes on their way to a signature: what waits, what is asked again, and what comes back under our key."""

from collections.abc import Callable

from consensus.events import Finalize, SignVote, VoteSigned
from consensus.messages import NO_HASH, Certificate, Hash, Kind, vote_statement
from consensus.records import Intent, encode_record
from node.fence import Fence
from node.signing.requests import Answer, Away, Memory, Request
from node.signing.signer import OwnSigner
from node.voting import WAITING_MAX, Voting
from tests.node_parts import genesis, key_at, signer_at

A, B = Hash(b"a" * 32), Hash(b"b" * 32)


class Fickle:
    """A real signer that comes and goes."""

    def __init__(self, there: bool = True) -> None:
        self.own: OwnSigner = signer_at(0)
        self.public = self.own.public
        self.there = there
        self.listeners: list[Callable[[], None]] = []

    @property
    def memory(self) -> Memory | None:
        return self.own.memory if self.there else None

    def ask(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        on_answer(self.own.answer(request) if self.there else Away())

    def on_change(self, listener: Callable[[], None]) -> None:
        self.listeners.append(listener)

    async def run(self) -> None:
        """It needs nobody to run it."""

    def comes(self, there: bool = True) -> None:
        self.there = there
        for listener in self.listeners:
            listener()


def voting(signer: Fickle, fence: Fence | None = None) -> tuple[Voting, list[VoteSigned]]:
    signed: list[VoteSigned] = []
    return Voting(signer, fence or Fence(alone=True), (0, 0), signed.append), signed


def notarize(view: int, block: Hash = A) -> SignVote:
    return SignVote(Kind.NOTARIZE, 0, view, block)


def certificate(kind: Kind, view: int, block: Hash, signer: int = 0) -> Certificate:
    statement = vote_statement(genesis().hash, kind, 0, view, block)
    return Certificate(kind, 0, view, block, ((signer, key_at(signer).sign(statement)),))


def views(signed: list[VoteSigned]) -> list[int]:
    return [each.vote.view for each in signed]


def test_what_nobody_signs_waits_and_is_signed_in_its_order_when_somebody_does() -> None:
    signer = Fickle(there=False)
    votes, signed = voting(signer)
    for view in (1, 2, 3):
        votes.sign(notarize(view), 0)
    assert (signed, votes.waiting) == ([], 3)
    signer.comes()
    assert (views(signed), votes.waiting) == ([1, 2, 3], 0)
    assert [each.vote.signer for each in signed] == [0, 0, 0]


def test_behind_the_fence_nothing_is_asked_for() -> None:
    fence = Fence(alone=False)
    votes, signed = voting(Fickle(), fence)
    votes.sign(notarize(1), 0)
    votes.ask_again()
    assert signed == []
    assert votes.fenced
    votes.listen(((0, 2),), 1, 0, 0)
    assert views(signed) == [1]


def test_a_refusal_is_counted_and_not_asked_again() -> None:
    signer = Fickle()
    votes, signed = voting(signer)
    votes.sign(notarize(1), 0)
    votes.sign(notarize(1, B), 0)
    assert (votes.votes.refused, votes.waiting, views(signed)) == (1, 0, [1])
    signer.comes()
    assert votes.votes.refused == 1


def test_what_a_finalization_overtakes_is_given_up_and_what_waits_is_bounded() -> None:
    votes, _ = voting(Fickle(there=False))
    for view in range(1, WAITING_MAX + 10):
        votes.sign(notarize(view), 0)
    assert votes.waiting == WAITING_MAX
    votes.finalized(Finalize((), certificate(Kind.FINALIZE, WAITING_MAX, A)), 0)
    assert votes.waiting == 9


def test_what_is_overtaken_is_given_up_before_the_blocks_that_do_it_are_here() -> None:
    """A fence that fell then had votes signed of which the journal held nothing any more (shell, seed 21)."""
    signer = Fickle(there=False)
    votes, signed = voting(signer)
    for view in (1, 2, 3):
        votes.sign(notarize(view), 0)
    votes.overtaken((0, 2))
    signer.comes()
    assert views(signed) == [3]


def test_who_knows_less_than_the_guard_is_fenced() -> None:
    signer = Fickle()
    signer.own.answer(notarize(9))
    for known, fenced in (((9, A), False), ((8, A), True)):
        votes, signed = voting(signer)
        votes.replayed([encode_record(Intent(Kind.NOTARIZE, 0, *known))])
        votes.signer_changed()
        votes.sign(notarize(10), 0)
        assert (votes.fenced, bool(signed)) == (fenced, not fenced)


def test_a_guard_that_is_based_anew_is_asked_nothing_that_it_must_refuse() -> None:
    signer = Fickle()
    signer.own.guard.rebase(1, 0)
    votes, signed = voting(signer)
    votes.sign(notarize(5), 0)
    assert (signed, votes.votes.refused, votes.fenced) == ([], 0, True)


def test_our_own_votes_come_back_in_certificates_without_alarm() -> None:
    signer = Fickle()
    votes, _ = voting(signer)
    votes.sign(notarize(1), 0)
    votes.observe(certificate(Kind.NOTARIZE, 1, A), 0)
    votes.observe(certificate(Kind.NOTARIZE, 1, B, signer=1), 0)
    assert (votes.votes.foreign, signer.own.memory.suspended) == (0, "")


def test_a_foreign_vote_in_a_certificate_suspends_also_if_the_signer_was_away() -> None:
    for there in (True, False):
        signer = Fickle(there)
        votes, signed = voting(signer)
        votes.observe(certificate(Kind.NULLIFY, 7, NO_HASH), 0)
        signer.comes()
        assert votes.votes.foreign >= 1
        votes.sign(notarize(8), 0)
        assert signed == []
        assert signer.own.memory.suspended
