"""THE loop: one inbox -> core.step -> effects, carried out in order.

One rule: everything that can happen to the core passes this queue, and all that it wants leaves as one list. What a
list persists is on disk before anything later in it is signed, sent or finalized.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Protocol, assert_never

import structlog

from consensus.core import Core
from consensus.encoding import DecodeError
from consensus.events import (
    BlockFetched,
    BlocksSynced,
    Broadcast,
    BuildBlock,
    CertificateReceived,
    CheckBlock,
    Effect,
    EpochEnded,
    Evidence,
    FetchBlock,
    Finalize,
    Halt,
    Input,
    PeerConnected,
    PeerDisconnected,
    PeerHeard,
    Persist,
    ProposalReceived,
    ProposalRefused,
    Replayed,
    Send,
    SetTimer,
    SignVote,
    Started,
    StatusReceived,
    TimerFired,
    VoteReceived,
    VoteSigned,
    WorkChanged,
)
from consensus.messages import Block, Certificate, Hash, Status, Vote, decode_message, encode_message
from consensus.records import decode_record, encode_record
from consensus.rounds import carried_certificates
from consensus.timing import NEVER, Timing
from consensus.verify import Invalid, Verifier
from network.wire import PeerId
from node.batches import Batch, BatchDigest, BatchPool, decode_payload, names_in
from node.blocks import Blocks
from node.epochs import Epochs, epoch_of_message, epoch_of_record
from node.executor import Diverged, Executor, Stored
from node.fence import Fence
from node.following import Following
from node.inbox import INBOX_MAX, Event, FromPeer, Inbox, LinkChanged, Ours
from node.members import Members
from node.payloads import Payloads
from node.presence import Presence
from node.signing.signer import Signer
from node.storage.journal import Journal
from node.storage.store import Store
from node.sync import Sync
from node.tempo import Tempo
from node.upgrades import told
from node.voting import Voting

CONSENSUS_RECORD, BATCH_RECORD = 1, 2  # types in the journal

TURN_SECONDS: Final = 0.005  # of work before the event loop gets its turn
ROTATE_BYTES: Final = 64 * 1024 * 1024  # of journal beside what it must hold: read in less than a second at start
UNSYNCED_BYTES_MAX: Final = 8 * 1024 * 1024  # of batches that wait for the next vote's sync: an eighth of its buffer
LATE_MS: Final = 50  # a timer so late means that we stood still: messages go first
STATUS_MS: Final = 250  # between two answers to a peer in another epoch

log = structlog.get_logger("consensus")


class ConsensusHalted(Exception):
    """Two final blocks conflict: more than a third of the weight is faulty. Nothing may go on."""


class Links(Protocol):
    """What this room asks of the network."""

    def send_consensus(self, peer: PeerId, payload: bytes) -> None:
        """Send to one peer; may be lost."""

    def broadcast_consensus(self, payload: bytes) -> None:
        """Send to all that are linked, members or not; may be lost."""

    def connected(self) -> Sequence[PeerId]:
        """Return the peers with a link."""

    def blame(self, peer: PeerId, points: int, reason: str) -> None:
        """Score a peer for what it sent."""


@dataclass(slots=True)
class Counters:
    """What the driver counts; metrics read it."""

    invalid: int = 0
    dropped: int = 0
    late_timers: int = 0
    finalized_blocks: int = 0


class Driver:
    """Owns the core and the journal, and asks the signer for votes; nobody else calls them."""

    def __init__(
        self,
        genesis_hash: Hash,
        epochs: Epochs,
        timing: Timing,
        me: PeerId,
        signer: Signer,
        journal: Journal,
        store: Store,
        root: Block,
        floor: Certificate | None,
        pool: BatchPool,
        executor: Executor,
        links: Links,
        now_ms: Callable[[], int],
        on_epoch: Callable[[Members], None],
        supported: range,
        on_standstill: Callable[[], None],
        on_evidence: Callable[[Evidence | ProposalRefused], None],
    ) -> None:
        """``root`` and ``floor`` are the store's tip and its certificate; ``now_ms`` is Unix time, for blocks only.

        ``on_epoch`` hears of each later epoch before its core says a word, ``on_evidence`` of possible evidence,
        ``on_standstill`` that the next epoch's protocol version is none of ``supported``.
        """
        self._genesis_hash = genesis_hash
        self._epochs = epochs
        self._timing = timing
        self._own_peer = me
        self._signer = signer
        self._journal = journal
        self._store = store
        self._pool = pool
        self._executor = executor
        self._links = links
        self._now_ms = now_ms
        self._on_epoch = on_epoch
        self._supported = supported
        self._on_standstill = on_standstill
        self.unknown_version: int | None = None  # of the next epoch: we stand still before it
        self._on_evidence = on_evidence
        self._inbox = Inbox()
        self._timer_at: int | None = None
        self._unsynced = False
        self._unsynced_bytes = 0  # of batches
        self._rotate_at = ROTATE_BYTES
        self._pending_work = False
        self._tasks: asyncio.TaskGroup | None = None
        self._answered_at: dict[PeerId, int] = {}
        self._ended: EpochEnded | None = None  # the last epoch that ended here
        self._following = Following(epochs, store, pool, executor, lambda: self.sync, timing.retry_ms)
        self._later: list[bytes] = []  # records of epochs after the core's, until they begin
        self.counters = Counters()
        self.tempo = Tempo()
        self.presence = Presence()
        self.sync: Sync
        self.blocks = Blocks(
            Payloads(
                pool,
                executor,
                self._uncommitted,
                lambda: self.core.committed.header.height,
                epochs.next_validators_hash,
                lambda: self.members.version,
            ),
            lambda: executor.queued(),
            lambda: self.core.committed,
            timing.idle_ms,
            self.clock_ms,
            now_ms,
            self.deliver,
            lambda names, rounds: self.sync.fetch_batches(names, rounds),
            self._begin,
            self._inbox.wake.set,
        )
        members = epochs.at_start(supported)
        known = max((members.epoch, 0), (floor.epoch, floor.view) if floor else (0, 0))  # earlier epochs are over
        self.voting = Voting(signer, Fence(_stands_alone(members, me)), known, self._on_signed)
        self._begin_epoch(members, root, floor)

    # --- what others put in ---

    def on_message(self, sender: PeerId, data: bytes) -> None:
        """Take bytes from a peer."""
        if not self._inbox.put(FromPeer(sender, data)):
            self.counters.dropped += 1

    def deliver(self, event: Input) -> None:
        """Take an input from our own parts: few, so never dropped."""
        self._inbox.put(Ours(self.core.epoch, event))

    def on_connected(self, peer: PeerId) -> None:
        """Hear that a link is up."""
        self._inbox.put(LinkChanged(peer, True))

    def on_disconnected(self, peer: PeerId) -> None:
        """Hear that a link is down."""
        self._inbox.put(LinkChanged(peer, False))

    def on_batch(self) -> None:
        """Hear that the pool changed: a block may be built, checked, or be worth building."""
        self._inbox.wake.set()

    def on_stored(self, _: Stored) -> None:
        """Hear that a block was executed and stored."""
        self._inbox.wake.set()

    def keep(self, batch: Batch) -> None:
        """Put a batch in the journal's buffer: it is synced with the first vote that needs it."""
        self._journal.append(BATCH_RECORD, batch.encoded)
        self._unsynced = True
        self._unsynced_bytes += len(batch.encoded)
        if self._unsynced_bytes > UNSYNCED_BYTES_MAX:
            self._sync_journal()

    def journal_bytes(self) -> int:
        """Return the journal's size."""
        return self._journal.size_bytes

    def batches_missing(self) -> int:
        """Return how many batches the proposal under check, or the next final block, still lacks here."""
        return len({*self.blocks.missing(), *self._executor.missing()})

    def named_batches(self) -> frozenset[BatchDigest]:
        """Return the batches that blocks above the committed tip name, those of a later epoch included."""
        later = [fact for record in self._later if isinstance(fact := decode_record(record), Block)]
        return names_in([*self.core.blocks(), *later])

    # --- the loop ---

    def replay(self, records: Sequence[bytes]) -> None:
        """Give the core what the journal kept, in each epoch what is of it; before ``run``."""
        self._later = [record for record in records if epoch_of_record(record) > self.core.epoch]
        self.voting.replayed(records)
        for record in records:
            self._step(Replayed(record))

    async def run(self) -> None:
        """Join the network and go on until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            self.voting.signer_changed()
            self._step(Started())
            while True:
                await self._turn()

    async def _turn(self) -> None:
        """Take what has arrived, then the timer, then what may be built or checked; then wait for the next event."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(INBOX_MAX):  # a flood does not put off the timer for ever
            if not self._inbox:
                break
            self._take_next()
            if loop.time() - began > TURN_SECONDS:
                await asyncio.sleep(0)
                began = loop.time()
        await self._fire_timer()
        self._begin_next_epoch()
        self._following.step(self.core, self.clock_ms())
        self._listen()
        self._tell_of_work()
        self.blocks.try_check()
        next_build = self.blocks.try_build()
        self._rotate_journal()
        if not self._inbox:
            await self._sleep_until(next_build)
        else:
            await asyncio.sleep(0)

    async def _fire_timer(self) -> None:
        """Fire a deadline that has passed; after a stall of ours, only behind what peers sent before it."""
        if self.clock_ms() < self._deadline():
            return
        if self.clock_ms() - self._deadline() > LATE_MS:
            self.counters.late_timers += 1
            await asyncio.sleep(LATE_MS / 1_000)  # the links read what the kernel holds
            for _ in range(min(len(self._inbox), INBOX_MAX)):
                self._take_next()
            if self.clock_ms() < self._deadline():
                return
        self._timer_at = None
        self._step(TimerFired())

    def _deadline(self) -> int:
        return NEVER if self._timer_at is None else self._timer_at

    async def _sleep_until(self, next_build: int | None) -> None:
        deadlines = [at for at in (self._timer_at, next_build, self.blocks.next_check()) if at is not None]
        self._inbox.wake.clear()
        if self._inbox:
            return
        if not deadlines:
            await self._inbox.wake.wait()
            return
        wait_ms = min(deadlines) - self.clock_ms()
        if wait_ms <= 0:
            await asyncio.sleep(0)
            return
        timer = asyncio.get_running_loop().call_later(wait_ms / 1_000, self._inbox.wake.set)
        try:
            await self._inbox.wake.wait()
        finally:
            timer.cancel()

    def _take_next(self) -> None:
        event = self._inbox.take()
        if isinstance(event, VoteSigned):
            self._note_own(event)
            self._step(event)
        else:
            self._take(event)
        self._begin_next_epoch()

    def _take(self, event: Event) -> None:
        match event:
            case FromPeer():
                self._take_message(event.sender, event.data)
            case LinkChanged():
                index = self.members.index(event.peer)
                if index is not None:
                    self._step(PeerConnected(index) if event.up else PeerDisconnected(index))
            case Ours():
                if event.epoch == self.core.epoch:
                    if isinstance(event.input, BlocksSynced):
                        self._observe(event.input.certificate)
                    if isinstance(event.input, BlockFetched):
                        self._following.take(event.input.block, self.core)
                    self._step(event.input)
            case _:
                assert_never(event)

    def _take_message(self, peer: PeerId, data: bytes) -> None:
        sender = self.members.index(peer)
        try:
            if sender is None:
                self._take_from_outside(peer, data)
                return
            verified = self._verifier.verify(data, sender, self.core.wants)
        except (Invalid, DecodeError) as error:
            self.counters.invalid += 1
            if self.unknown_version is None:  # else perhaps it is we who cannot read it. R61
                self._links.blame(peer, 100, str(error))
            return
        self._note(sender, verified, data)
        epoch = self.core.epoch
        if isinstance(verified, StatusReceived):
            epoch = verified.status.epoch
            self.sync.heard(peer, verified.status.finalized_height)
        elif isinstance(verified, PeerHeard):
            epoch = verified.epoch
        elif isinstance(verified, CertificateReceived):
            self._observe(verified.certificate)
        elif isinstance(verified, ProposalReceived):
            self._observe(*carried_certificates(verified.proposal))
        if epoch < self.core.epoch:
            self._on_earlier_epoch(peer, epoch)
        self._step(verified)

    def _take_from_outside(self, peer: PeerId, data: bytes) -> None:
        """Hear from a peer outside this epoch's committee only where it is: in another epoch it may be a member. R53"""
        message = decode_message(data)
        if isinstance(message, Status):
            self.sync.heard(peer, message.finalized_height)
        epoch = epoch_of_message(message)
        if epoch < self.core.epoch:
            self._on_earlier_epoch(peer, epoch)

    def _on_earlier_epoch(self, peer: PeerId, epoch: int) -> None:
        """Prove to who is in an earlier epoch that it is over, and say where we are; not more often than STATUS_MS."""
        now = self.clock_ms()
        if now - self._answered_at.get(peer, -STATUS_MS) < STATUS_MS:
            return
        self._answered_at[peer] = now
        self._sync_journal()
        boundary = self._boundary_certificate(epoch)
        if boundary is not None:
            self._links.send_consensus(peer, encode_message(boundary))
        self._links.send_consensus(peer, encode_message(self._status()))

    def _status(self) -> Status:
        core = self.core
        return Status(core.epoch, core.view, core.finalized_view, core.committed.header.height)

    def _boundary_certificate(self, epoch: int) -> Certificate | None:
        if self._ended is not None and self._ended.certificate.epoch == epoch:
            return self._ended.certificate
        return self._epochs.ending(epoch)

    def _step(self, event: Input) -> None:
        now, began = self.clock_ms(), perf_counter()
        effects = self.core.step(now, event)
        self.tempo.stepped(self.core, now, perf_counter() - began)
        self.voting.overtaken((self.core.epoch, self.core.finalized_view))
        self._carry_out(effects)

    def _note(self, sender: int, verified: Input, data: bytes) -> None:
        """Note who spoke, and who voted: in time, or when nobody needed it any more."""
        self.presence.heard(sender, self.clock_ms())
        if isinstance(verified, VoteReceived | ProposalReceived):
            vote = verified.vote if isinstance(verified, VoteReceived) else verified.proposal.vote
            self.presence.voted(sender, vote.kind, vote.view, late=False)
        elif isinstance(verified, PeerHeard) and verified.epoch == self.core.epoch:
            message = decode_message(data)
            if isinstance(message, Vote):
                self.presence.voted(sender, message.kind, message.view, late=True)

    def _note_own(self, signed: VoteSigned) -> None:
        vote = signed.vote
        if vote.epoch == self.core.epoch:
            self.presence.voted(vote.signer, vote.kind, vote.view, late=False)

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        peers = self.members.peers
        for effect in effects:
            match effect:
                case Persist():
                    self._journal.append(CONSENSUS_RECORD, effect.record)
                    self._unsynced = True
                case SignVote():
                    self._sync_journal()
                    assert self._me is not None
                    self.tempo.asked(effect.kind, effect.view, self.clock_ms())
                    self.voting.sign(effect, self._me)
                case Send():
                    self._sync_journal()
                    self._links.send_consensus(peers[effect.peer], encode_message(effect.message))
                case Broadcast():
                    self._sync_journal()
                    self._links.broadcast_consensus(encode_message(effect.message))
                case SetTimer():
                    self._timer_at = effect.at_ms
                case BuildBlock():
                    self.blocks.build(effect)
                case CheckBlock():
                    self.blocks.check(effect)
                case FetchBlock():
                    self.sync.fetch_block(effect.hash, tuple(peers[holder] for holder in effect.holders))
                case Finalize():
                    self._sync_journal()
                    self._finalize(effect)
                case Evidence() | ProposalRefused():
                    self._on_evidence(effect)
                case EpochEnded():
                    self._sync_journal()
                    self._ended = effect
                case Halt():
                    raise ConsensusHalted(effect.reason)
                case _:
                    assert_never(effect)

    def _sync_journal(self) -> None:
        if self._unsynced:
            began = perf_counter()
            self._journal.sync()
            self.tempo.syncs.add(perf_counter() - began)
            self._unsynced = False
            self._unsynced_bytes = 0

    def _on_signed(self, signed: VoteSigned) -> None:
        self._inbox.put_signed(signed)

    def _observe(self, *certificates: Certificate) -> None:
        """Look at what is verified for votes under our key."""
        for certificate in certificates:
            if self._me is not None and certificate.epoch == self.core.epoch:
                self.voting.observe(certificate, self._me)

    def _listen(self) -> None:
        """While the fence is up: say what linked members have said of where they are."""
        if self.voting.fence.up:
            heights = [
                (height, self.members.weight(peer))
                for peer in self._links.connected()
                if (height := self.sync.height_of(peer)) is not None
            ]
            committee = self.members.committee
            faulty_max = min(committee.faulty_max, committee.total - self.members.weight(self._own_peer) - 1)
            self.voting.listen(heights, faulty_max, self.core.committed.header.height, self.clock_ms())

    def _finalize(self, effect: Finalize) -> None:
        for block in effect.blocks:
            self._following.require_within(block)
            if block.header.version != self.members.version:
                raise Diverged(f"final block {block.header.height} is of another protocol version than our state has")
            self._pool.finalized(decode_payload(block.payload), block.header.height)
            self.presence.finalized(block.header.view, block.header.height)
        self.counters.finalized_blocks += len(effect.blocks)
        self.voting.finalized(effect, self.clock_ms())
        self._executor.finalized(effect.blocks, effect.certificate)
        self.sync.committed()

    # --- epochs ---

    def _begin_epoch(self, members: Members, root: Block, floor: Certificate | None) -> None:
        self.members = members
        self._me = self._following.place(members, self._own_peer, self._signer.public)
        self._verifier = Verifier(members.committee, self._genesis_hash)
        end_height = self._epochs.end_height(members.epoch)
        self.core = Core(members.committee, self._genesis_hash, self._me, root, floor, end_height, self._timing)
        self.presence.begin_epoch(members.committee, [row.name for row in members.rows], self._me)
        self.blocks.begin_epoch()
        self._pending_work = False

    def _begin_next_epoch(self) -> None:
        """Begin the epoch after the one that has ended, if its committee is known: once, however often this is called.

        The state that names it may still have to be executed here. Until then the old core answers and helps. R52
        """
        while self._ended is not None and self._ended.block.header.epoch == self.core.epoch:
            root = self._ended.block
            members = None if self._following.ends(root) else self._epochs.after(root)
            if members is None:
                return
            if members.version not in self._supported:
                self._stand_still(members)
                return
            self._begin_epoch(members, root, None)
            self._on_epoch(members)
            place = {"epoch": members.epoch, "height": root.header.height, "version": members.version}
            log.info("epoch_begins", **place, votes=self._me is not None)
            self.replay(self._later)
            self._step(Started())
            for peer in self._links.connected():
                self._take(LinkChanged(peer, True))

    def _stand_still(self, members: Members) -> None:
        """Begin no epoch whose rules we do not know: the old core goes on to help, and nothing new is judged. R61"""
        if self.unknown_version is None:
            self.unknown_version = members.version
            place = {"epoch": members.epoch, "height": self.core.committed.header.height, "version": members.version}
            log.error("protocol_version_unknown", **place, known=told(self._supported))
            self._on_standstill()

    # --- blocks ---

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None
        self._tasks.create_task(work)

    def _uncommitted(self, block_hash: bytes) -> Block | None:
        return self.core.block(Hash(block_hash))

    def _tell_of_work(self) -> None:
        tip = self.core.committed
        pending = self._pool.has_work(tip.header.height + 1) or self.blocks.payloads.root_waits(tip)
        if pending != self._pending_work:
            self._pending_work = pending
            self._step(WorkChanged(pending))

    # --- housekeeping ---

    def _rotate_journal(self) -> None:
        """Begin a new journal when most of this one is history. What is needed may itself be large: it counts apart."""
        if self._journal.size_bytes > self._rotate_at:
            self._journal.rotate(self._needed_records())
            self._rotate_at = self._journal.size_bytes + ROTATE_BYTES

    def _needed_records(self) -> list[tuple[int, bytes]]:
        """Return all that a restart still needs: batches first, then what is final and not stored, then the core's own.

        What is not stored may be of an earlier epoch than the core: nothing but its own certificates proves it final.
        """
        records = [(BATCH_RECORD, held.batch.encoded) for held in self._pool.held()]
        facts: dict[bytes, None] = {}
        for final in self._executor.waiting():
            facts |= dict.fromkeys(encode_record(fact) for fact in final.facts)
        facts |= dict.fromkeys(self.core.records())
        facts |= dict.fromkeys(self._later)
        return records + [(CONSENSUS_RECORD, fact) for fact in facts]

    def clock_ms(self) -> int:
        """Return the monotonic time that the core goes by."""
        return int(asyncio.get_running_loop().time() * 1_000)


def _stands_alone(members: Members, peer: PeerId) -> bool:
    """Return whether a validator is a quorum by itself: then nothing goes on without it."""
    return members.weight(peer) >= members.committee.quorum
