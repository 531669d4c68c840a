"""Who signs under a consensus key. ``Signer`` is all that a node knows of it; ``OwnSigner`` has the key and its guard.

One rule: check, remember durably, sign, answer; and once a vote under our key is seen that this guard has not signed,
never sign again until a person says so. A node with a signer of its own process and the signer process
(node/signing/server.py) run this same code.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, assert_never

import structlog

from consensus.crypto import PublicKey, Signature, verify
from consensus.encoding import DecodeError
from consensus.events import SignVote
from consensus.messages import vote_statement
from node.batches import batch_digest, signed_batch
from node.ledger.validators import readiness_statement
from node.signing.requests import (
    Answer,
    Declined,
    Known,
    Memory,
    Request,
    Seen,
    SignBatch,
    Signed,
    SignReadiness,
    Suspended,
)
from node.storage.errors import GuardRefused
from node.storage.guard import Guard, Key, Spoken
from node.storage.suspension import Foreign, Suspension

NO_SIGNATURE: Final = bytes(64)

log = structlog.get_logger("signer")


class Signer(Protocol):
    """What a node asks of whoever has its consensus key."""

    @property
    def public(self) -> PublicKey:
        """The public half of the consensus key."""

    @property
    def memory(self) -> Memory | None:
        """What the guard remembers, as told when the link came up; None while nobody is there."""

    def ask(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        """Have ``request`` answered, at once or later, in the order of asking; never blocks on another process."""

    def on_change(self, listener: Callable[[], None]) -> None:
        """Tell ``listener`` whenever ``memory`` has changed: the signer came, or went."""

    async def run(self) -> None:
        """Keep in touch, until cancelled."""


class OwnSigner:
    """The key, the guard, and the suspension beside it. ``answer`` is the only way to a signature."""

    def __init__(self, key: Key, guard: Guard, suspension: Suspension, genesis_hash: bytes) -> None:
        """Take what is open; it belongs to this signer alone."""
        self.key = key
        self.guard = guard
        self.public = key.public
        self._suspension = suspension
        self._genesis_hash = genesis_hash

    @property
    def memory(self) -> Memory:
        """What the guard remembers now."""
        return Memory(self.public, self.guard.newest, self.guard.based, self.suspended)

    @property
    def suspended(self) -> str:
        """Why nothing is signed, or ""."""
        foreign = self._suspension.foreign
        return "" if foreign is None else f"a foreign vote in view {foreign.view} of epoch {foreign.epoch}"

    def ask(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        """Answer at once. Blocks for the guard's sync."""
        on_answer(self.answer(request))

    def on_change(self, listener: Callable[[], None]) -> None:
        """Never tell: it neither comes nor goes."""

    async def run(self) -> None:
        """There is nothing to keep in touch with."""

    def close_below(self, epoch: int) -> Spoken:
        """Close the guard for a decree; return up to where the key had spoken. Raises GuardRefused. R64"""
        self._require_released()
        return self.guard.close_below(epoch)

    def sign_report(self, epoch: int, statement: bytes) -> Signature:
        """Return the signature over what the home of a closed guard holds: 32 bytes of node/emergency.py."""
        self.close_below(epoch)
        return self.key.sign(statement)

    def sign_decree(self, epoch: int, statement: bytes) -> Signature:
        """Return the signature over a decree: 32 bytes of node/decree.py. Raises GuardRefused over a second one. R64"""
        self._require_released()
        return self.guard.sign_decree(self.key, epoch, statement)

    def answer(self, request: Request) -> Answer:
        """Return the signature, or why there is none. Raises StorageFailed: nothing may be signed after that."""
        if self._suspension.foreign is not None:
            return Suspended(self.suspended)
        match request:
            case SignVote():
                return self._vote(request)
            case SignBatch():
                return self._batch(request.body)
            case SignReadiness():
                fields = (request.name, request.node_key, request.height, request.root)
                return Signed(self.key.sign(readiness_statement(self._genesis_hash, *fields)))
            case Seen():
                return self._judge(request)
            case _:
                assert_never(request)

    def _require_released(self) -> None:
        if self._suspension.foreign is not None:
            raise GuardRefused(self.suspended)

    def _vote(self, vote: SignVote) -> Answer:
        try:
            at = (vote.kind, vote.epoch, vote.view)
            return Signed(self.guard.sign(self.key, *at, self._statement(vote)))
        except GuardRefused as error:
            return Declined(str(error))

    def _batch(self, body: bytes) -> Answer:
        try:
            batch = signed_batch(self._genesis_hash, body, NO_SIGNATURE)
        except DecodeError as error:
            return Declined(f"no batch: {error}")
        if batch.author != self.public:
            return Declined("a batch of another author")
        return Signed(self.key.sign(batch_digest(self._genesis_hash, body)))

    def _judge(self, seen: Seen) -> Answer:
        """Compare a vote that others hold with what we remember. R45: who finds another under its key stops."""
        statement = self._statement(seen)
        if not verify(self.public, statement, seen.signature):
            return Declined("not under this key")
        if self.guard.remembers(seen.kind, seen.epoch, seen.view, statement):
            return Known()
        foreign = Foreign(int(seen.kind), seen.epoch, seen.view, seen.hash.hex(), seen.signature.hex())
        log.error("signer_suspended", kind=seen.kind.name, epoch=seen.epoch, view=seen.view, hash=foreign.hash)
        self._suspension.begin(foreign)
        return Suspended(self.suspended)

    def _statement(self, vote: SignVote | Seen) -> bytes:
        return vote_statement(self._genesis_hash, vote.kind, vote.epoch, vote.view, vote.hash)


class NoSigner:
    """An observer's: there is no key, so that whatever the chain admits, nothing is signed here."""

    public: Final = PublicKey(bytes(32))  # no key: a seat is whose both keys it names
    memory: Final = Memory(public, (0, 0), False, "")

    def ask(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        """Decline."""
        on_answer(Declined("an observer signs nothing"))

    def on_change(self, listener: Callable[[], None]) -> None:
        """Never tell: nothing changes."""

    async def run(self) -> None:
        """There is nothing to keep in touch with."""


async def signature_of(signer: Signer, request: Request) -> Signature | None:
    """Return the signature that ``request`` asks for, or None if there is none now. At once where the key is here."""
    answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def take(answer: Answer) -> None:
        if not answered.done():
            answered.set_result(answer)

    signer.ask(request, take)
    answer = answered.result() if answered.done() else await answered
    return answer.signature if isinstance(answer, Signed) else None
