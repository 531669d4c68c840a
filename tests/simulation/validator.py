"""One validator of the simulator: the driver around the real core, journal and guard, with a power that fails.

One rule: it keeps the driver's contract (consensus/events.py) to the letter, so that whatever goes wrong is the core's;
and it may lose its power before any effect, inside a broadcast, in every operation on a file, and while its disk syncs.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import consensus.core
import consensus.verify
from consensus.encoding import DecodeError
from consensus.events import (
    Broadcast,
    BuildBlock,
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
    ProposalRefused,
    Replayed,
    Send,
    SetTimer,
    SignVote,
    Started,
    StatusReceived,
    TimerFired,
    VoteSigned,
)
from consensus.messages import (
    Block,
    Certificate,
    Hash,
    Message,
    Proposal,
    Status,
    Vote,
    encode_message,
    vote_statement,
)
from consensus.records import decode_record, encode_record
from node.ledger.versions import NEWEST
from node.storage.errors import GuardRefused, StorageFailed
from tests.simulation.application import Batch, Executed, decode_batch
from tests.simulation.decoding import Verifier, decode_once
from tests.simulation.disk import BATCH_RECORD, CONSENSUS_RECORD, Disk, Unusable, batch_fact
from tests.simulation.fetching import BEHIND_MIN, Fetcher
from tests.simulation.files import PowerLost
from tests.simulation.hosting import Host, Ledger
from tests.simulation.judge import Bench, Judge, Violation, fact_of, show
from tests.simulation.keys import Signer
from tests.simulation.loop import Loop
from tests.simulation.members import Members, Rows
from tests.simulation.money import Table
from tests.simulation.network import Network
from tests.simulation.story import describe, mark

EPOCH_MS: Final = 1_800_000_000_000  # Unix time at the start of a run
RECORDS_PER_VIEW_MAX: Final = 8  # two certificates, two blocks, three promises, a re-proposal
VIEW_WINDOW: Final = 20  # views ahead of its own that a core may know something of
CHECKED_EVERY: Final = 8  # heights
CONNECT_MS: Final = 5  # from a start until links are up
POLL_MS: Final = 1_000  # between two questions of a node without a seat
HELP_MS: Final = 250  # between two answers to a peer that is stuck in an earlier epoch


@dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for all validators of a run. Times in ms."""

    genesis_hash: Hash
    members: Callable[[int, Rows], Members]  # of an epoch, from those who count in the state before it
    begins: Callable[[int, Rows], Rows]  # hears of an epoch and who counts in it
    nodes: int  # all machines: 0, 1, ...
    epoch_heights: int
    timing: consensus.core.Timing
    pace_ms: int  # the least time from a BuildBlock to its answer
    idle_ms: int  # the same when there is nothing to put into a block
    rotate_bytes: int  # by which a journal may grow until it is replaced


@dataclass(frozen=True, slots=True)
class Temper:
    """What differs from validator to validator. Times in ms."""

    skew_ms: int  # of the clock that stamps blocks
    drift: int  # by how much the monotonic clock is fast, in thousandths
    boot_ms: int  # what the monotonic clock showed at the start of the run
    sync_ms: int  # how long a sync of the disk takes
    execute_ms: int  # how long a block takes to execute


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes from a node."""

    sender: int
    channel: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a node came up, or is down."""

    node: int
    up: bool


@dataclass(frozen=True, slots=True)
class Ours:
    """An input from our own parts, for the core of an epoch."""

    epoch: int
    happened: Input


@dataclass
class Trap:
    """A crash to come: at the ``countdown``-th time that a validator is at this point."""

    where: str  # effect, unsynced, synced, broadcast, sign, finalize, file: see Validator
    countdown: int


class Validator:
    """A validator, honest unless a liar wraps it. ``outgoing`` lets a liar choose what is sent to whom, and when."""

    def __init__(
        self,
        loop: Loop,
        network: Network,
        judge: Judge,
        settings: Settings,
        temper: Temper,
        index: int,
        name: str,
        signer: Signer,
        disk: Disk,
        ledger: Callable[[Table], Ledger],
        honest: bool = True,
    ) -> None:
        self.index = index
        self.name = name
        self._mark = name.encode()
        self.honest = honest
        self.disk = disk
        self.traps: list[Trap] = []
        self.restart_after: Callable[[], int | None] = lambda: None
        self.outgoing: Callable[[int, Message], Iterable[int]] = _at_once
        self.reachable: Callable[[], Iterable[int]] = tuple  # whose links are up
        self.on_power: Callable[[int, bool], None] = lambda *_: None
        self.on_unusable: Callable[[Validator, bool], None] = lambda *_: None  # True: its guard is not to be trusted
        self.up = False
        self._loop = loop
        self._network = network
        self._judge = judge
        self._settings = settings
        self._temper = temper
        self._signer = signer
        self._ledger = ledger
        self._random = loop.random(f"validator {name}")
        self._life = 0
        self._asleep_until_ms = 0
        self._highest = 0  # stored height that this validator has ever had
        self._wiped = False
        self.jump_ms = 0  # by which the clock on the wall has been set wrong
        self.newest = NEWEST  # protocol version that its software knows
        network.attach(self)

    # --- life and death ---

    def start(self) -> None:
        """Power on: read the disk, replay the journal, join. A disk that is full or unreadable ends it at once."""
        self._life += 1
        self.up = True
        self._on_files(self._boot)

    def _boot(self) -> None:
        self.disk.open_guard(self._signer.public, self._settings.genesis_hash, self.name)
        entries = self.disk.records.open(self.name)
        self.on_power(self.index, True)
        self._inbox: deque[Arrived | Link | Ours] = deque()
        self._effects: deque[Effect] = deque()
        self._syncing = False
        self._working = False
        self._after_persist = False
        self._timer_ms: int | None = None
        self._timer_due = False
        self._ended: EpochEnded | None = None
        self._helped_ms: dict[int, int] = {}
        self._rotate_at = self._settings.rotate_bytes
        if self.disk.height < self._highest:
            raise Violation("recovery", f"{self.name} comes back at {self.disk.height}, it was at {self._highest}")
        if self._loop.tracing:
            self._loop.trace(f"{self.name} starts at height {self.disk.height}")
        epoch = self.disk.height // self._settings.epoch_heights
        boundary = self.disk.block(epoch * self._settings.epoch_heights)
        if self.disk.height == boundary.header.height > 0 and self._stands_before(boundary):
            epoch -= 1
            boundary = self.disk.block(epoch * self._settings.epoch_heights)
        tip = self.disk.heights[-1] if self.disk.height > epoch * self._settings.epoch_heights else None
        self._set_epoch(boundary, self.disk.block(self.disk.height), tip.certificate if tip is not None else None)
        batches = [decode_batch(payload) for kind, payload in entries if kind == BATCH_RECORD]
        self.app = Host(
            self,
            self._ledger(self.disk.rows),
            {batch.digest: batch for batch in batches},
            self._temper.execute_ms,
            self._settings.pace_ms,
            self._settings.idle_ms,
        )
        self.fetcher = Fetcher(self, self._settings.nodes, self._random)
        records = [payload for kind, payload in entries if kind == CONSENSUS_RECORD]
        self._later = [record for record in records if epoch_of_record(record) > self.epoch]
        self._begin(records)
        self.later(self._random.randint(1, POLL_MS), self._poll)

    def _poll(self) -> None:
        """Ask somebody for the chain if we have no seat: nobody sends us where they are."""
        if self.seat is None:
            peer = self._random.choice([node for node in range(self._settings.nodes) if node != self.index])
            self.fetcher.claimed(peer, self.disk.height + BEHIND_MIN, self.epoch)
        self.later(POLL_MS, self._poll)

    def _begin(self, kept: list[bytes]) -> None:
        records = self._random.sample(kept, len(kept))
        self._inbox.extendleft(Ours(self.epoch, Replayed(record)) for record in records)
        self._inbox.insert(len(records), Ours(self.epoch, Started()))
        self.app.enter_epoch()
        self.later(CONNECT_MS, self._connect)
        self._work()

    def _set_epoch(self, boundary: Block, root: Block, floor: Certificate | None) -> None:
        """Begin the epoch after ``boundary``, whose committee our own state names, at the final block ``root``."""
        settings = self._settings
        self.epoch = boundary.header.height // settings.epoch_heights
        self.end_height = (self.epoch + 1) * settings.epoch_heights
        rows = self.disk.executed(boundary.header.executed_height).members
        self.version = self._version_after(boundary)
        settings.begins(self.epoch, rows)
        self.members = settings.members(self.epoch, rows)
        self.committee = self.members.committee
        if self.committee.hash != boundary.header.next_validators_hash:
            raise Violation("agreement", f"block {boundary.header.height} names another committee than {self.name} has")
        self.seat = self.members.seat(self.index)
        self._judge.epoch_starts(self.epoch, boundary, self.end_height)
        by_seat = self.committee.validators
        bench = Bench(tuple(v.public_key for v in by_seat), tuple(v.weight for v in by_seat), self.members.nodes)
        self._judge.convenes(self.epoch, boundary, bench)
        self._verifier = Verifier(self.committee, settings.genesis_hash)
        self.core = consensus.core.Core(
            self.committee, settings.genesis_hash, self.seat, root, floor, self.end_height, settings.timing
        )

    def _version_after(self, boundary: Block) -> int:
        """Return the protocol version of the epoch after ``boundary``."""
        return max(boundary.header.version, self.disk.executed(boundary.header.executed_height).version)

    def _stands_before(self, boundary: Block) -> bool:
        """Whether the epoch after ``boundary``, whose state is executed here, is of a version that we do not know."""
        return self._version_after(boundary) > self.newest

    def upgrade(self) -> None:
        """Install newer software: the process ends, and another one starts."""
        if self.newest < NEWEST:
            self.newest = NEWEST
            self.crash("upgraded", power=False)

    def _connect(self) -> None:
        for node in self.reachable():
            if node != self.index:
                self.link(node, True)

    def link(self, node: int, up: bool) -> None:
        """A link to a node came up, or is down."""
        if self.up:
            self._inbox.append(Link(node, up))
            self._work()

    def crash(self, why: str, power: bool = True, restart: bool = True) -> None:
        """End now: the power fails, or only the process ends. ``restart`` says that nobody has to come and help."""
        if not self.up:
            return
        self._loop.record(b"crash %d" % self.index)
        if self._loop.tracing:
            self._loop.trace(f"{self.name} crashes ({why})")
        self._life += 1
        self.up = False
        self.on_power(self.index, False)
        if power:
            self.disk.lose_power(self._random)
        else:
            self.disk.end_process()
        again_ms = self.restart_after()
        if restart and again_ms is not None:
            self._loop.after(again_ms, self.ensure_up)

    def wipe(self, epoch: int | None) -> None:
        """Lose all data, and with ``epoch`` the guard too: it may vote again from that epoch on. R43."""
        self.crash("wiped", power=False, restart=False)
        self._wiped = True
        self._highest = 0
        self.disk.wipe(self._signer.public, self._settings.genesis_hash, epoch)

    def damage(self, guard_too: bool) -> None:
        """Lose the process and some bytes of the journal or of the guard: it may have forgotten what it said."""
        self.crash("damaged", power=self._random.random() < 0.5, restart=False)
        self._wiped = True
        self.disk.damage(guard_too, self._random)

    def ensure_up(self) -> None:
        """Power on if it is off."""
        if not self.up:
            self.start()

    def wake(self) -> None:
        """Power on, or end a sleep."""
        self.ensure_up()
        self._asleep_until_ms = 0
        self._work()

    def sleep(self, for_ms: int) -> None:
        """Stop the process for a while: messages queue, timers do not fire."""
        self._asleep_until_ms = max(self._asleep_until_ms, self._loop.now_ms + for_ms)
        self._loop.at(self._asleep_until_ms, self._wake)

    def _wake(self) -> None:
        if self.up:
            self._work()

    def later(self, delay_ms: int, action: Callable[..., None], *arguments: object) -> None:
        """Call ``action`` in this life, or never."""
        self._loop.after(delay_ms, self._if_alive, self._life, action, arguments)

    def _if_alive(self, life: int, action: Callable[..., None], arguments: tuple[object, ...]) -> None:
        if life == self._life:
            action(*arguments)

    # --- the one queue ---

    def deliver(self, sender: int, channel: str, data: bytes) -> None:
        """A message arrived."""
        if self.up:
            self._loop.record(data)
            self._inbox.append(Arrived(sender, channel, data))
            self._work()

    def feed(self, happened: Input) -> None:
        """Something else happened; if the epoch ends before it is taken, it is of no use."""
        self._inbox.append(Ours(self.epoch, happened))
        self._work()

    def _work(self) -> None:
        if self._working:
            return
        self._working = True
        self._on_files(self._work_off)
        self._working = False

    def _on_files(self, action: Callable[[], None]) -> None:
        """Do what touches files: the power may fail in the middle, or there is no room and the process ends."""
        try:
            action()
        except PowerLost:
            self.crash("trap: file")
        except Unusable as found:
            self.crash(str(found), power=False, restart=False)
            self.on_unusable(self, found.guard_too)
        except StorageFailed as failed:
            self.crash(str(failed), power=False, restart=False)

    def _work_off(self) -> None:
        while self.up and not self._syncing and self._loop.now_ms >= self._asleep_until_ms:
            if self._effects:
                self._next_effect()
            elif self._may_go_on():
                assert self._ended is not None
                self._next_epoch(self._ended.block)
            elif self._inbox:
                self._take(self._inbox.popleft())
            elif self._timer_due:  # nothing that arrived before it is still queued
                self._timer_due = False
                self._step(TimerFired())
            elif self.disk.records.size_bytes > self._rotate_at:
                self._rotate()
            else:
                break

    def _may_go_on(self) -> bool:
        """Whether the next epoch may begin: what names its committee is executed here, and we know its rules."""
        boundary = None if self._ended is None else self._ended.block
        executed = boundary is not None and self.disk.height >= boundary.header.executed_height
        return executed and boundary is not None and not self._stands_before(boundary)

    def _take(self, item: Arrived | Link | Ours) -> None:
        match item:
            case Ours():
                if item.epoch == self.epoch:
                    self._step(item.happened)
            case Link():
                seat = self.members.seat(item.node)
                if seat is not None:
                    self._step(PeerConnected(seat) if item.up else PeerDisconnected(seat))
            case Arrived(channel="consensus"):
                self._receive(item.sender, item.data)
            case Arrived(channel="ask"):
                self.fetcher.on_asked(item.sender, item.data)
            case Arrived():
                try:
                    if item.channel == "batch":
                        self.app.add_batch(decode_batch(item.data))
                    else:
                        self.fetcher.on_answer(item.data)
                except DecodeError as error:
                    self._on_invalid(item.sender, error)

    def _receive(self, sender: int, data: bytes) -> None:
        seat = self.members.seat(sender)
        try:
            if seat is None:
                self._hear_outsider(sender, decode_once(data))
                return
            happened = self._verifier.verify(data, seat, self.core.wants)
        except (consensus.verify.Invalid, DecodeError) as error:
            self._on_invalid(sender, error)
            return
        self._mind_the_epoch(sender, happened)
        if self._loop.tracing:
            self._loop.trace(f"{self.name} <- n{sender} {describe(decode_once(data))}")
        self._step(happened)

    def _hear_outsider(self, sender: int, message: Message) -> None:
        """Hear from a node without a seat in this epoch only where it is: in another it may have one."""
        if isinstance(message, Status):
            self.fetcher.claimed(sender, message.finalized_height, message.epoch)
        self._compare_epoch(sender, message.vote.epoch if isinstance(message, Proposal) else message.epoch)

    def _on_invalid(self, sender: int, error: Exception) -> None:
        if self.honest:
            self._judge.invalid(sender, self.index, error)

    def _mind_the_epoch(self, sender: int, happened: Input) -> None:
        match happened:
            case StatusReceived():
                self.fetcher.claimed(sender, happened.status.finalized_height, happened.status.epoch)
                self._compare_epoch(sender, happened.status.epoch)
            case PeerHeard():
                self._compare_epoch(sender, happened.epoch)
            case _:
                pass  # all else is of our epoch

    def _compare_epoch(self, sender: int, epoch: int) -> None:
        """Ask a node in a later epoch for what is final; help one in an earlier epoch."""
        if epoch > self.epoch:
            self.fetcher.claimed(sender, 0, epoch)
        if epoch == self.epoch:
            return
        if self._loop.now_ms - self._helped_ms.get(sender, -HELP_MS) < HELP_MS:
            return
        self._helped_ms[sender] = self._loop.now_ms
        if epoch < self.epoch:
            certificate = self._ending(epoch)
            if certificate is not None:
                self._send(sender, certificate)
        height, _ = self.app.tip()
        self._send(sender, Status(self.epoch, 1, 0, height))

    def _ending(self, epoch: int) -> Certificate | None:
        """Return the finalization of an epoch's last block."""
        height = (epoch + 1) * self._settings.epoch_heights
        if height <= self.disk.height:
            return self.disk.heights[height - 1].certificate
        waiting = (certificate for block, certificate in self.app.waiting() if block.header.height == height)
        return next(waiting, None)

    def _step(self, happened: Input) -> None:
        self._loop.count()
        self._loop.record(b"%b %b" % (self._mark, type(happened).__name__.encode()))
        try:
            self._effects.extend(self.core.step(self.now_ms(), happened))
        except Exception as error:
            raise Violation("well-behaved", f"the core of {self.name} fails: {error!r} on {happened}") from error
        self._after_persist = False

    # --- effects ---

    def _next_effect(self) -> None:
        effect = self._effects[0]
        if self._trapped("effect") or (self._after_persist and self._trapped("unsynced")):
            return
        if isinstance(effect, (SignVote, Send, Broadcast, Finalize, EpochEnded)) and self.disk.records.dirty:
            if self._temper.sync_ms:
                self._syncing = True
                self.later(self._random.randint(0, self._temper.sync_ms), self._synced)
                return
            self.disk.records.sync()
        if self._after_persist and not isinstance(effect, Persist):
            self._after_persist = False
            if self._trapped("synced"):
                return
        self._effects.popleft()
        self._carry_out(effect)

    def _synced(self) -> None:
        self._syncing = False
        self._on_files(self.disk.records.sync)
        self._work()

    def set_trap(self, trap: Trap) -> None:
        """Let the power fail at a point to come."""
        if trap.where == "file":
            self.disk.files.power_for = trap.countdown
        else:
            self.traps.append(trap)

    def mend(self) -> None:
        """Let the power fail no more, make room on a disk that can be read, and set the clock."""
        self.traps.clear()
        self.jump_ms = 0
        self.disk.files.full = self.disk.files.unreadable = False
        self.disk.files.power_for = None

    def _trapped(self, where: str) -> bool:
        for trap in self.traps:
            if trap.where == where:
                trap.countdown -= 1
                if trap.countdown <= 0:
                    self.traps.remove(trap)
                    self.crash(f"trap: {where}")
                    return True
        return False

    def _carry_out(self, effect: Effect) -> None:
        self._loop.record(mark(effect))
        match effect:
            case Persist():
                self._persist(effect)
            case SignVote():
                self._sign(effect)
            case Send():
                self._send(self.members.nodes[effect.peer], effect.message)
            case Broadcast():
                self._broadcast(effect.message)
            case SetTimer():
                self._timer_ms = effect.at_ms
                wait_ms = max(0, effect.at_ms - self.now_ms()) * 1000 // (1000 + self._temper.drift) + 1
                self.later(wait_ms if self._temper.drift else wait_ms - 1, self._timer, effect.at_ms)
            case BuildBlock():
                self.app.build(effect)
            case CheckBlock():
                self.app.check(effect)
            case FetchBlock():
                self.fetcher.want_block(effect.hash, [self.members.nodes[holder] for holder in effect.holders])
            case Finalize():
                self._finalize(effect)
            case Evidence():
                if self.honest:
                    self._judge.evidence(self.index, effect.first, effect.second)
            case ProposalRefused():
                if self.honest:
                    self._judge.refused(self.index, effect.vote)
            case EpochEnded():
                self._ended = effect
            case Halt():
                if self.honest:
                    raise Violation("well-behaved", f"{self.name} halts: {effect.reason}")
            case _:
                assert_never(effect)

    def _timer(self, at_ms: int) -> None:
        if self._timer_ms == at_ms:
            self._timer_ms = None
            self._timer_due = True
            self._work()

    def _persist(self, effect: Persist) -> None:
        self.disk.records.append(CONSENSUS_RECORD, effect.record, fact_of(effect.record))
        self._after_persist = True

    def _sign(self, effect: SignVote) -> None:
        if self.version > self.newest:
            raise Violation("versions", f"{self.name} signs in an epoch whose version it does not know")
        block = self.core.block(effect.hash)
        if block is not None:
            self._judge.learn(block)
        statement = vote_statement(self._settings.genesis_hash, effect.kind, effect.epoch, effect.view, effect.hash)
        try:
            signature = self.disk.sign(self._signer, effect.kind, effect.epoch, effect.view, statement)
        except GuardRefused as refused:
            if self._wiped:  # it has forgotten what it said; the guard has not
                return
            raise Violation("discipline", f"{self.name} wants to sign {effect}: {refused}") from None
        assert self.seat is not None
        vote = Vote(effect.kind, effect.epoch, effect.view, effect.hash, self.seat, signature)
        if self.honest:
            self._judge.signed(self.index, vote)
            self._judge.durable(self.index, vote, self.disk.records.facts, self.disk.holds_batch)
        if self._loop.tracing:
            self._loop.trace(f"{self.name} signs {show(vote)}")
        if not self._trapped("sign"):
            self.feed(VoteSigned(vote))

    def _send(self, peer: int, message: Message) -> None:
        self._judge.sent(self.index, self.honest, message)
        data = encode_message(message)
        self._loop.record(data)
        self._transmit_message(peer, message, data)

    def _broadcast(self, message: Message) -> None:
        self._judge.sent(self.index, self.honest, message)
        data = encode_message(message)
        self._loop.record(data)
        peers = [node for node in range(self._settings.nodes) if node != self.index]
        self._random.shuffle(peers)
        cut = self._random.randrange(len(peers) + 1) if self.traps else None
        for place, peer in enumerate(peers):
            if place == cut and self._trapped("broadcast"):
                return
            self._transmit_message(peer, message, data)

    def _transmit_message(self, peer: int, message: Message, data: bytes) -> None:
        for delay_ms in self.outgoing(peer, message):
            if delay_ms:
                self._loop.after(delay_ms, self._network.send, self.index, peer, "consensus", data)
            else:
                self._network.send(self.index, peer, "consensus", data)

    def _finalize(self, effect: Finalize) -> None:
        if self._trapped("finalize"):
            return
        if any(block.header.version != self.version or self.version > self.newest for block in effect.blocks):
            raise Violation("versions", f"{self.name} takes final blocks of a version that it does not know")
        if self.honest:
            self._judge.finalized(self.index, self.app.tip(), effect.blocks, effect.certificate)
        if self._loop.tracing:
            heights = ", ".join(str(block.header.height) for block in effect.blocks)
            self._loop.trace(f"{self.name} finalizes height {heights} {effect.blocks[-1].hash.hex()[:6]}")
        self.app.finalize(effect)

    def _next_epoch(self, boundary: Block) -> None:
        """Begin the next epoch: what names its committee is executed here."""
        self._ended = None
        self._set_epoch(boundary, boundary, None)
        self._begin(self._later)

    def _rotate(self) -> None:
        """Replace the journal by what is needed: batches, what is final and not stored, what the core names."""
        records = self.disk.records
        facts: dict[bytes, None] = {}
        for block, certificate in self.app.waiting():
            facts[encode_record(block)] = None
            if certificate is not None:
                facts[encode_record(certificate)] = None
        facts |= dict.fromkeys(self.core.records())
        facts |= dict.fromkeys(self._later)
        before, finalized_view = records.facts, self.core.finalized_view
        after = records.rotate(self.app.unstored, facts)
        # By a share of what stays at the least: else a journal of many waiting batches is all rotation.
        self._rotate_at = records.size_bytes + max(self._settings.rotate_bytes, records.size_bytes // 4)
        if self.honest and not self.core.ended:  # the next epoch needs nothing of this one
            self._judge.rotated(self.index, before, after, self.epoch, finalized_view)

    # --- what the application and fetching need ---

    def now_ms(self) -> int:
        """Return the monotonic clock."""
        return self._temper.boot_ms + self._loop.now_ms * (1000 + self._temper.drift) // 1000

    def clock_ms(self) -> int:
        """Return the clock on the wall: Unix time, skewed."""
        return EPOCH_MS + self._loop.now_ms + self._temper.skew_ms + self.jump_ms

    def committee_hash(self, executed_height: int) -> Hash:
        """Return what the last block of this epoch says of the next committee, if its state is of this height."""
        members = self.disk.executed(executed_height).members
        return Hash(self._settings.members(self.epoch + 1, members).committee.hash)

    def committed(self) -> Block:
        """Return the last block that the core has finalized."""
        return self.core.committed

    def block(self, block_hash: Hash) -> Block | None:
        """Return a block that we hold, in the core or the store."""
        held = self.core.block(block_hash)
        return held if held is not None else self.disk.by_hash(block_hash)

    def batch(self, digest: bytes) -> Batch | None:
        return self.app.batches.get(digest)

    def add_batch(self, batch: Batch) -> None:
        self.app.add_batch(batch)

    def keep(self, batch: Batch) -> None:
        """Put a batch in the journal's buffer: it is synced with the first vote that needs it."""
        self.disk.records.append(BATCH_RECORD, batch.encoded, batch_fact(batch.digest))

    def lack_batches(self, digests: Sequence[bytes], asked: int) -> None:
        nodes = self.members.nodes
        self.fetcher.want_batches(digests, nodes[asked % len(nodes)])  # the seat may be one of an earlier epoch

    def transmit(self, receiver: int, channel: str, data: bytes) -> None:
        self._network.send(self.index, receiver, channel, data)

    def genuine(self, certificate: Certificate) -> bool:
        """Return whether a certificate of this epoch holds."""
        try:
            return self._verifier.verify(encode_message(certificate), 0, lambda _: True) is not None
        except consensus.verify.Invalid:
            return False

    def submit(self, transactions: tuple[bytes, ...]) -> None:
        """Take transactions from clients."""
        if self.up:
            self._on_files(lambda: self._submit(transactions))

    def _submit(self, transactions: tuple[bytes, ...]) -> None:
        batch = self.app.submit(self.index, transactions)
        for node in range(self._settings.nodes):
            if node != self.index:
                self.transmit(node, "batch", batch.encoded)

    def executed_one(self, executed: Executed) -> None:
        """A height is executed and stored, atomically."""
        self._highest = executed.height
        if self.honest:
            self._judge.executed(self.index, executed)
        if executed.height % CHECKED_EVERY == 0:
            self.check_bounds()
        if self._ended is not None:
            self.later(0, self._work)  # perhaps the next epoch may begin

    def check_bounds(self) -> None:
        """Require that the core holds what the open views need, and little more: so does a journal after rotation."""
        if not self.up:
            return
        views = max(0, self.core.view - self.core.finalized_view) + VIEW_WINDOW  # its view is 0 until it has started
        behind = max(0, self._judge.final_height - self.core.committed.header.height)  # final blocks, not all here yet
        needed = len(self.core.records())
        if needed > RECORDS_PER_VIEW_MAX * views + behind:
            raise Violation("bounded", f"the core of {self.name} holds {needed} records in {views} views")


def _at_once(_: int, __: Message) -> Iterable[int]:
    return (0,)


def epoch_of_record(record: bytes) -> int:
    """Return the epoch of a record of the journal."""
    fact = decode_record(record)
    return fact.header.epoch if isinstance(fact, Block) else fact.epoch
