"""The route of a transaction up to the block: admitted, checked, batched, spread, held.

    client bytes -> admit -> checks (CLIENTS) -> mempool -> our batch  ─┐
    peer's batch -> author, quota, duplicates -> checks (VALIDATORS)   ─┴-> journal -> pool -> acknowledged to all

One rule: what enters the pool is verified whole, and is in the journal's buffer before anybody hears that we hold it.
"""

import asyncio
from collections.abc import Callable, Sequence, Set
from typing import Final, Protocol

import structlog

from consensus.encoding import DecodeError
from network.wire import PeerId
from node.batches import (
    AUTHOR_BYTES_MAX,
    BATCH_LIFE_HEIGHTS,
    BATCH_TRANSACTIONS_MAX,
    DIGESTS_ASKED_MAX,
    Batch,
    BatchDigest,
    BatchInvalid,
    BatchPool,
    Held,
    author_signed,
    batch_body,
    decode_batch_message,
    encode_acknowledgement,
    encode_batch_message,
    signed_batch,
)
from node.checks import QUEUED_CHECKS_MAX, Lane, SignatureChecks
from node.ledger.errors import Code, Refused
from node.ledger.transaction import Transaction, decode_transaction
from node.members import Members
from node.mempool import FULL, Full, Mempool
from node.signing.requests import SignBatch
from node.signing.signer import Signer, signature_of

BATCH_DELAY_SECONDS: Final = 0.01  # a batch waits this long for company
BATCH_ENOUGH_BYTES: Final = 8 * 1024  # and not at all when it has this much: half a call of a bulk sender
BATCH_FULL_BYTES: Final = 64 * 1024  # nor does it get more: one frame of about 128 kB or less
# Of our batches that are not executed: 3,000 payments, more than a quarter of a full block. What waits beyond it waits
# here, unseen by the others: if they checked all that clients bring, it would take the time from the blocks.
OWN_WAITING_BYTES_MAX: Final = 512 * 1024
ACKNOWLEDGE_SECONDS: Final = 0.02  # between two frames of acknowledgements
RESEND_SECONDS: Final = 1.0  # an unacknowledged batch goes again after this, then twice, four times as long ...
RESEND_SECONDS_MAX: Final = 16.0
AHEAD_HEIGHTS: Final = 64  # a batch based on a height this far above ours waits until its author sends it again
VERIFYING_MAX: Final = 256  # batches that are being checked or wait for it; more are dropped and come again
AUTHOR_VERIFYING_MIN: Final = 8  # of these are each author's, however many authors there are
SUBMIT_ROUNDS: Final = 3  # of waiting for another client's check of the same transaction

_OWN_ROOM: Final = AUTHOR_BYTES_MAX - OWN_WAITING_BYTES_MAX  # in the pool, when one more batch may be made

log = structlog.get_logger("dissemination")


class Observing(Exception):
    """This node is no member of the committee: nobody would take its batches."""


Submission = Transaction | Refused | Full | Observing  # the transaction that was taken, or why none was


class Links(Protocol):
    """What this room asks of the network."""

    def send_batch(self, peer: PeerId, payload: bytes) -> None:
        """Send to one peer; may be lost."""

    def broadcast_batch(self, payload: bytes) -> None:
        """Send to all that are linked, members or not; may be lost."""

    def blame(self, peer: PeerId, points: int, reason: str) -> None:
        """Score a peer for what it sent."""


class Ledger(Protocol):
    """What this room asks of the ledger."""

    def admit(self, transaction: Transaction, now_ms: int) -> None:
        """Raise Refused if the transaction can not be applied to the newest state."""


class Dissemination:
    """Owns the mempool's way into batches, and every batch's way into the pool."""

    def __init__(
        self,
        genesis_hash: bytes,
        members: Members,
        me: PeerId,
        signer: Signer,
        pool: BatchPool,
        mempool: Mempool,
        checks: SignatureChecks,
        ledger: Ledger,
        links: Links,
        keep: Callable[[Batch], None],
        on_batch: Callable[[], None],
        height: Callable[[], int],
        now_ms: Callable[[], int],
        first_sequence: int,
        accuse: Callable[[Batch, int], None],
    ) -> None:
        """``keep`` puts a batch in the journal's buffer; ``on_batch`` hears that one came, or that a quorum holds one.

        ``accuse`` hears of a batch that its author signed and which of its transactions is bad.
        """
        self._genesis_hash = genesis_hash
        self._members = members
        self._me = me
        self._signer = signer
        self._author_max = _author_max(members)
        self._pool = pool
        self._mempool = mempool
        self._checks = checks
        self._ledger = ledger
        self._links = links
        self._keep = keep
        self._on_batch = on_batch
        self._height = height
        self._now_ms = now_ms
        self._sequence = first_sequence
        self._report = accuse
        self._ready = asyncio.Event()
        self._checking: dict[bytes, asyncio.Future[bool]] = {}  # transactions of clients: whether they are good
        self._verifying: dict[BatchDigest, asyncio.Future[bool]] = {}
        self._arrived: dict[PeerId, dict[BatchDigest, int]] = {}  # by author: to be verified, or being so; bytes
        self._to_verify: asyncio.Queue[tuple[PeerId, Batch]] = asyncio.Queue()  # as many as ``_arrived``
        self._to_acknowledge: dict[BatchDigest, None] = {}
        self._unacknowledged = asyncio.Event()
        self._resend: dict[BatchDigest, tuple[float, float]] = {}  # ours: next time, and the wait after it
        self._ignored: set[bytes] = set()  # authors of a batch that can only be a lie, until the epoch ends
        self._stands_still = False  # what comes is perhaps of rules that we do not know
        self.batches_made = 0
        self.batches_invalid = 0

    # --- epochs ---

    def begin_epoch(self, members: Members) -> list[bytes]:
        """Go on with another committee. Return the transactions of clients that nobody will take from us any more.

        They may still execute: by another validator, to whom the client has brought them or will. So nothing is said of
        them here but that we do not have them. R55
        """
        was_member, self._members = self._is_member(), members
        self._author_max = _author_max(members)
        self._ignored.clear()
        for held in self._pool.begin_epoch(members):
            self._resend.pop(held.batch.digest, None)
        if not self._is_member():
            return self._let_go()
        if not was_member:
            for held in self._pool.held():  # what we held as an observer counts from now on
                self._note(held.batch.digest)
        return []

    def stand_still(self) -> list[bytes]:
        """Judge no batch any more and take no transaction; return those that wait, as ``begin_epoch`` does. R61"""
        self._stands_still = True
        return self._let_go()

    def _is_member(self) -> bool:
        return not self._stands_still and self._members.place(self._me, self._signer.public) is not None

    def _let_go(self) -> list[bytes]:
        named = frozenset(one.id for held in self._pool.held() for one in held.transactions)  # in final blocks
        gone = [each for each in self._mempool.waiting() if each not in named]
        self._mempool.forget(gone)
        return gone

    # --- transactions of our clients ---

    async def submit(self, raws: Sequence[bytes]) -> list[Submission]:
        """Admit transactions; return each, or why it was turned away. What is in the mempool already is admitted.

        Who sends what another client's call is checking just now waits for it. An id does not cover the signatures: if
        the other's were wrong, or the other has gone, this one's own count.
        """
        answers: list[Submission] = [FULL] * len(raws)
        open_places = list(range(len(raws)))
        for _ in range(SUBMIT_ROUNDS):
            if not open_places:
                break
            open_places = await self._submit_once(raws, open_places, answers)
        return answers if self._is_member() else [self._after_all(answer) for answer in answers]

    def _after_all(self, answer: Submission) -> Submission:
        """Take back the word that a transaction waits here, if an epoch began meanwhile without us."""
        return Observing() if isinstance(answer, Transaction) and answer.id not in self._mempool else answer

    async def _submit_once(self, raws: Sequence[bytes], places: Sequence[int], answers: list[Submission]) -> list[int]:
        """Fill in the answers of these places; return those that waited for another's check, in vain."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        admitted: dict[int, Transaction] = {}
        followed: dict[int, asyncio.Future[bool]] = {}
        for place in places:
            answers[place] = answer = self._decoded(raws[place])
            if not isinstance(answer, Transaction):
                continue
            running = self._checking.get(answer.id)
            if running is not None:
                followed[place] = running
            elif answer.id not in self._mempool:
                refusal = self._refusal(answer, now)
                if refusal is not None:
                    answers[place] = refusal
                    continue
                admitted[place] = answer
                self._checking[answer.id] = loop.create_future()
        wrong = await self._check(list(admitted.values()))
        for place, transaction in admitted.items():
            if transaction.id in wrong:
                answers[place] = Refused(Code.SIGNATURE)
        if followed:
            await asyncio.wait(frozenset(followed.values()))
        again = [place for place, running in followed.items() if not running.result()]
        for place in again:
            answers[place] = FULL
        return again

    def _decoded(self, raw: bytes) -> Submission:
        if not self._is_member():
            return Observing()
        if self._checks.queued(Lane.CLIENTS) >= QUEUED_CHECKS_MAX:
            return FULL
        try:
            return decode_transaction(raw, self._genesis_hash)
        except Refused as refusal:
            return refusal

    def _refusal(self, transaction: Transaction, now: float) -> Full | Refused | None:
        """Take a transaction into the mempool; return why not. Room is asked for first, for to judge costs more."""
        refusal = self._mempool.admit(transaction, now)
        if refusal is not None:
            return refusal
        try:
            self._ledger.admit(transaction, self._now_ms())
        except Refused as refused:
            self._mempool.forget((transaction.id,))
            return Refused(Code.DUPLICATE, original=transaction.id) if refused.code is Code.DUPLICATE else refused
        return None

    async def _check(self, transactions: Sequence[Transaction]) -> frozenset[bytes]:
        """Check what is noted in ``_checking``, let go of what is wrong, and of all of it if the caller has gone."""
        if not transactions:
            return frozenset()
        good: frozenset[bytes] = frozenset()
        try:
            valid = await self._checks.valid(transactions, Lane.CLIENTS)
            good = frozenset(transaction.id for transaction, true in zip(transactions, valid, strict=True) if true)
        finally:
            wrong = frozenset(transaction.id for transaction in transactions) - good
            self._mempool.forget(transaction.id for transaction in transactions if transaction.id in wrong)
            for transaction in transactions:
                self._mempool.checked(transaction.id)
                self._checking.pop(transaction.id).set_result(transaction.id in good)
        self._ready.set()
        return wrong

    # --- batches ---

    async def run(self) -> None:
        """Make, verify, acknowledge and send again, until cancelled."""
        now = asyncio.get_running_loop().time()
        for held in self._pool.held():  # ours of an earlier life: nobody else sends them again
            if held.batch.author == self._signer.public:
                self._resend[held.batch.digest] = (now + RESEND_SECONDS, RESEND_SECONDS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._make_batches())
            tasks.create_task(self._verify_batches())
            tasks.create_task(self._acknowledge())
            tasks.create_task(self._send_again())

    def on_message(self, sender: PeerId, data: bytes) -> None:
        """Take a batch or an acknowledgement from a peer. Raise BatchInvalid for what it should not have sent.

        Who is no member yet may be one in an epoch that we have not begun: its word is noted, its batches come again.
        """
        if self._stands_still:
            return
        try:
            message = decode_batch_message(self._genesis_hash, data)
        except DecodeError as error:
            raise BatchInvalid(str(error)) from None
        if not isinstance(message, Batch):
            work = [self._pool.acknowledge(name, sender) for name in message]
            for name in message:
                self._resend_settled(name)
            if any(work):
                self._on_batch()
            return
        if sender not in self._members:
            return
        if self._members.peer_of(message.author) != sender:
            raise BatchInvalid("a batch of another author")
        if message.digest in self._pool:  # it came before our acknowledgement arrived
            self._note(message.digest)
        elif self._wanted(sender, message):
            self._queue(sender, message)

    async def fetched(self, batch: Batch) -> bool:
        """Verify a batch that we asked for, by whoever it came; return whether it is held now.

        What a final block names is taken whoever wrote it: its author's last epoch may be over.
        """
        if batch.digest in self._pool or self._pool.is_executed(batch.digest):
            return True
        wanted = self._members.peer_of(batch.author) is not None or self._pool.is_final(batch.digest)
        return wanted and author_signed(batch) and await self._verify(batch)

    def on_connected(self, peer: PeerId) -> None:
        """Tell a peer that came (back) what we hold, and send it what is ours and it may lack."""
        if not self._is_member():
            return
        held = [held.batch.digest for held in self._pool.held()]
        for start in range(0, len(held), DIGESTS_ASKED_MAX):
            self._links.send_batch(peer, encode_acknowledgement(held[start : start + DIGESTS_ASKED_MAX]))
        for waiting in self._pool.held():
            if waiting.batch.author == self._signer.public and peer not in waiting.holders:
                self._links.send_batch(peer, encode_batch_message(waiting.batch))

    def expired(self, held: Sequence[Held]) -> None:
        """Take back the transactions of our own batches that no block named in time."""
        for each in held:
            self._resend.pop(each.batch.digest, None)
            if each.batch.author == self._signer.public:
                self._mempool.give_back(transaction.id for transaction in each.transactions)
                self._ready.set()

    def executed(self, batches: Sequence[Held]) -> None:
        """Let go of batches that are executed, whatever became of their transactions; there is room for new ones."""
        for held in batches:
            self._resend.pop(held.batch.digest, None)
            if held.batch.author == self._signer.public:
                self._mempool.forget(transaction.id for transaction in held.transactions)
        if self._mempool.has_ready():
            self._ready.set()

    def ignore(self, author: bytes) -> None:
        """Hear no more from an author in this epoch: there is evidence that it lies. R59"""
        self._ignored.add(author)

    def on_signer(self) -> None:
        """Hear that the signer came or went: what waits may go into batches."""
        if self._mempool.has_ready():
            self._ready.set()

    def abandon(self, named: Callable[[], Set[BatchDigest]]) -> None:
        """Let go of what ignored authors wrote and no quorum holds: nobody honest takes it any more. R59

        ``named`` gives what blocks that are not final may need.
        """
        liars = self._ignored - {self._signer.public}
        if liars:
            self._pool.abandon(liars, named)

    def _wanted(self, sender: PeerId, batch: Batch) -> bool:
        height = self._height()
        arrived = self._arrived.get(sender, {})
        return not (
            batch.author in self._ignored
            or batch.digest in arrived
            or len(arrived) >= self._author_max
            or self._pool.is_final(batch.digest)
            or not self._pool.has_room(batch.author, sum(arrived.values()) + len(batch.encoded), len(arrived) + 1)
            or batch.base_height > height + AHEAD_HEIGHTS
            or batch.base_height + BATCH_LIFE_HEIGHTS <= height
        )

    def _queue(self, sender: PeerId, batch: Batch) -> None:
        self._arrived.setdefault(sender, {})[batch.digest] = len(batch.encoded)
        self._to_verify.put_nowait((sender, batch))

    async def _verify_batches(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._verify_arrived(*await self._to_verify.get()))

    async def _verify_arrived(self, sender: PeerId, batch: Batch) -> None:
        try:
            if batch.author in self._ignored or batch.digest in self._pool or self._pool.is_executed(batch.digest):
                return
            if author_signed(batch):
                await self._verify(batch)
            else:
                self.batches_invalid += 1
                self._links.blame(sender, 100, "a batch that its author did not sign")
        finally:
            del self._arrived[sender][batch.digest]
            if not self._arrived[sender]:
                del self._arrived[sender]

    async def _verify(self, batch: Batch) -> bool:
        """Verify a batch that its author signed, once, however many wait for it; return whether it is held now."""
        running = self._verifying.get(batch.digest)
        if running is not None:
            await asyncio.wait((running,))
            return running.result()
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._verifying[batch.digest] = done
        held = False
        try:
            held = await self._verified(batch)
        finally:
            del self._verifying[batch.digest]
            done.set_result(held)
        return held

    async def _verified(self, batch: Batch) -> bool:
        transactions: list[Transaction] = []
        try:
            for raw in batch.raw_transactions:
                transactions.append(decode_transaction(raw, self._genesis_hash))
            good = await self._checks.valid(transactions, Lane.VALIDATORS)
            bad = None if all(good) else good.index(False)
        except Refused:
            bad = len(transactions)
        if bad is not None:
            self._accuse(batch, bad)
            return False
        if self._members.peer_of(batch.author) is None and not self._pool.is_final(batch.digest):
            return False  # its author's last epoch has ended meanwhile
        self._hold(batch, tuple(transactions))
        self._note(batch.digest)
        return True

    def _accuse(self, batch: Batch, index: int) -> None:
        """A batch with a bad transaction under its author's good signature is no accident: hear no more from it."""
        self.batches_invalid += 1
        self._ignored.add(batch.author)
        author = self._members.peer_of(batch.author)
        if author is not None:
            self._links.blame(author, 100, "a batch with an invalid transaction")
        log.error("batch_invalid", author=batch.author.hex(), batch=batch.digest.hex())
        self._report(batch, index)

    def _hold(self, batch: Batch, transactions: tuple[Transaction, ...]) -> None:
        self._keep(batch)
        self._pool.add(batch, transactions)
        self._on_batch()

    async def _make_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._ready.wait()
            self._ready.clear()
            if self._mempool.ready_bytes < BATCH_ENOUGH_BYTES:
                await asyncio.sleep(BATCH_DELAY_SECONDS)
            while self._mempool.has_ready() and self._pool.has_room(self._signer.public, _OWN_ROOM):
                if not await self._make_batch(loop.time()):
                    break
                await asyncio.sleep(0)

    async def _make_batch(self, now: float) -> bool:
        """Make a batch of what is ready; return False if nobody signs it now: ``on_signer`` brings us back."""
        transactions = self._mempool.take(BATCH_TRANSACTIONS_MAX, BATCH_FULL_BYTES)
        if not transactions:
            return True
        raws = [transaction.raw for transaction in transactions]
        body = batch_body(self._signer.public, self._sequence, self._height(), raws)
        self._sequence += 1
        signature = await signature_of(self._signer, SignBatch(body))
        if signature is None or not self._is_member():  # an epoch may have begun meanwhile
            self._mempool.give_back(transaction.id for transaction in transactions)
            return False
        batch = signed_batch(self._genesis_hash, body, signature)
        self.batches_made += 1
        self._hold(batch, tuple(transactions))
        self._resend[batch.digest] = (now + RESEND_SECONDS, RESEND_SECONDS)
        self._links.broadcast_batch(encode_batch_message(batch))
        self._note(batch.digest)
        return True

    def _note(self, name: BatchDigest) -> None:
        self._to_acknowledge[name] = None
        self._unacknowledged.set()

    async def _acknowledge(self) -> None:
        while True:
            await self._unacknowledged.wait()
            self._unacknowledged.clear()
            names = list(self._to_acknowledge)
            self._to_acknowledge.clear()
            if self._is_member():
                for start in range(0, len(names), DIGESTS_ASKED_MAX):
                    self._links.broadcast_batch(encode_acknowledgement(names[start : start + DIGESTS_ASKED_MAX]))
            await asyncio.sleep(ACKNOWLEDGE_SECONDS)

    async def _send_again(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(RESEND_SECONDS / 2)
            now = loop.time()
            for name, (at, wait) in list(self._resend.items()):
                held = self._pool.get(name)
                if held is None:
                    del self._resend[name]
                elif now >= at:
                    longer = min(2 * wait, RESEND_SECONDS_MAX)
                    self._resend[name] = (now + longer, longer)
                    self._send_to_who_lacks(held)

    def _send_to_who_lacks(self, held: Held) -> None:
        for peer in self._members.peers:
            if peer != self._me and peer not in held.holders:
                self._links.send_batch(peer, encode_batch_message(held.batch))

    def _resend_settled(self, name: BatchDigest) -> None:
        held = self._pool.get(name)
        if held is not None and all(peer in held.holders for peer in self._members.peers):
            self._resend.pop(name, None)


def _author_max(members: Members) -> int:
    return max(AUTHOR_VERIFYING_MIN, VERIFYING_MAX // len(members))
