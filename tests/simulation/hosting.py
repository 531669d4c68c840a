"""The application beside one validator: builds and checks blocks, executes final ones, keeps the batches.

One rule: it answers by inputs only, never inside a call, and it may take its time.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from consensus.events import BlockBuilt, BlockChecked, BuildBlock, CheckBlock, Finalize, Input, WorkChanged
from consensus.messages import Block, Certificate, Hash
from node.ledger.validators import Roster
from tests.simulation.application import (
    Batch,
    Executed,
    Surroundings,
    Verdict,
    build,
    check,
    make_batch,
    payload_refs,
)
from tests.simulation.disk import BATCH_RECORD, Disk, Stored, batch_fact
from tests.simulation.money import Readiness


class Ledger(Protocol):
    """What executes blocks and writes what they change."""

    def execute(self, height: int, timestamp_ms: int, version: int, transactions: list[bytes]) -> Executed: ...
    def roster(self) -> Roster: ...
    def awaited(self, node: int) -> Readiness | None: ...


class House(Protocol):
    """What the application needs of the validator around it."""

    disk: Disk
    epoch: int
    end_height: int
    version: int

    def feed(self, happened: Input) -> None: ...
    def later(self, delay_ms: int, action: Callable[..., None], *arguments: object) -> None: ...
    def clock_ms(self) -> int: ...
    def block(self, block_hash: Hash) -> Block | None: ...
    def keep(self, batch: Batch) -> None: ...
    def lack_batches(self, digests: Sequence[bytes], asked: int) -> None: ...
    def executed_one(self, executed: Executed) -> None: ...
    def committee_hash(self, executed_height: int) -> Hash: ...
    def committed(self) -> Block: ...


class Host:
    """One life of the application; a crash ends it, the disk carries over."""

    def __init__(
        self, house: House, ledger: Ledger, batches: dict[bytes, Batch], execute_ms: int, pace_ms: int, idle_ms: int
    ) -> None:
        """``batches`` are those that the journal kept."""
        self._house = house
        self._disk = house.disk
        self.ledger = ledger
        self._execute_ms = execute_ms
        self._pace_ms = pace_ms
        self._idle_ms = idle_ms
        self.batches: dict[bytes, Batch] = house.disk.batches | batches
        unstored = (batch for ref, batch in batches.items() if ref not in house.disk.batches)
        self.unstored = {
            batch_fact(batch.digest): (BATCH_RECORD, batch.encoded) for batch in unstored
        }  # for the journal
        self._included: set[bytes] = set()  # in executed or final blocks
        self._unexecuted: deque[tuple[Block, Certificate | None]] = deque()
        self._executing = False
        self._build: BuildBlock | None = None
        self._build_id = 0
        self._checks: dict[int, CheckBlock] = {}  # by view
        self._pending = False
        self._sequence = 0
        for stored in house.disk.heights:
            self._included.update(payload_refs(stored.block.payload))

    @property
    def idle(self) -> bool:
        """Whether all that is final is executed and stored."""
        return not self._unexecuted

    def tip(self) -> tuple[int, Hash]:
        """Return height and hash of the last final block that we know, executed or not."""
        last = self._unexecuted[-1][0] if self._unexecuted else self._disk.block(self._disk.height)
        return last.header.height, last.hash

    def waiting(self) -> Sequence[tuple[Block, Certificate | None]]:
        """Return what is final and not stored."""
        return tuple(self._unexecuted)

    def enter_epoch(self) -> None:
        """Forget what the last epoch's core asked."""
        self._build = None
        self._checks.clear()
        self._pending = False
        self.tell_work()

    # --- batches ---

    def submit(self, author: int, transactions: tuple[bytes, ...]) -> Batch:
        """Make a batch of our clients' transactions."""
        self._sequence += 1
        batch = make_batch(author, self._house.clock_ms() * 1000 + self._sequence, transactions)
        self.add_batch(batch)
        return batch

    def add_batch(self, batch: Batch) -> None:
        """Keep a batch; whoever waited for it goes on."""
        if batch.digest in self.batches:
            return
        self.batches[batch.digest] = batch
        self.unstored[batch_fact(batch.digest)] = (BATCH_RECORD, batch.encoded)
        self._house.keep(batch)
        self._recheck()
        self._execute_next()
        self.tell_work()

    def has_batches(self, block: Block) -> bool:
        """Whether the data of ``block`` is here."""
        return all(ref in self.batches for ref in payload_refs(block.payload))

    def tell_work(self) -> None:
        """Say whether there is something to order, or a root to certify."""
        uncertified = self._disk.height > 0 and any(
            payload_refs(self._disk.block(height).payload)
            for height in range(self._disk.block(self._disk.height).header.executed_height + 1, self._disk.height + 1)
        )
        pending = uncertified or any(ref not in self._included for _, ref in self.unstored)
        if pending != self._pending:
            self._pending = pending
            self._house.feed(WorkChanged(pending))
        if pending and self._build is not None:
            self._answer_build_after(self._pace_ms)

    # --- building and checking ---

    def build(self, wanted: BuildBlock) -> None:
        """Answer with a block's content when it is time."""
        self._build = wanted
        self._answer_build_after(self._pace_ms if self._worth_while(wanted) else self._idle_ms)

    def _worth_while(self, wanted: BuildBlock) -> bool:
        return self._pending or (wanted.waiting and self._house.committed().hash != wanted.parent.hash)

    def _answer_build_after(self, delay_ms: int) -> None:
        self._build_id += 1
        self._house.later(delay_ms, self._answer_build, self._build_id)

    def _answer_build(self, build_id: int) -> None:
        if self._build is None or build_id != self._build_id:
            return
        around = self._surroundings(self._build.parent)
        content = build(self._build.parent, around) if around is not None else None
        if content is None:
            return  # our execution is behind: we try again when it has caught up
        wanted, self._build = self._build, None
        self._house.feed(BlockBuilt(wanted.view, content))

    def check(self, wanted: CheckBlock) -> None:
        """Answer with whether a block may be voted for, once that is known."""
        self._checks = {view: held for view, held in self._checks.items() if view >= wanted.view}
        self._checks[wanted.view] = wanted
        self._house.later(0, self._answer_check, wanted)

    def _recheck(self) -> None:
        for wanted in self._checks.values():
            self._house.later(0, self._answer_check, wanted)

    def _answer_check(self, wanted: CheckBlock) -> None:
        if self._checks.get(wanted.view) is not wanted:
            return
        around = self._surroundings(wanted.parent)
        if around is None:
            return
        result = check(wanted.block, wanted.parent, around)
        if result.verdict is Verdict.WAIT:
            self._house.lack_batches(result.missing, wanted.block.header.proposer)
            if result.until_ms is not None:
                self._house.later(max(1, result.until_ms - around.clock_ms), self._answer_check, wanted)
            return
        del self._checks[wanted.view]
        self._house.feed(BlockChecked(wanted.view, wanted.block.hash, result.verdict is Verdict.VALID))

    def _surroundings(self, parent: Block) -> Surroundings | None:
        included = set(self._included)
        at: Block | None = parent
        while at is not None and at.header.height > self.tip()[0]:
            included.update(payload_refs(at.payload))
            at = self._house.block(at.header.parent_hash)
        if at is None:
            return None
        return Surroundings(
            clock_ms=self._house.clock_ms(),
            executed_height=self._disk.height,
            root=lambda height: self._disk.executed(height).root,
            available=self.batches,
            included=included,
            end_height=self._house.end_height,
            version=self._house.version,
            next_validators_hash=self._house.committee_hash,
        )

    # --- executing ---

    def finalize(self, final: Finalize) -> None:
        """Execute these blocks, in order, each with its certificate if it is the last."""
        for block in final.blocks:
            self._unexecuted.append((block, final.certificate if block.hash == final.certificate.hash else None))
            self._included.update(payload_refs(block.payload))
        self._execute_next()

    def _execute_next(self) -> None:
        while self._unexecuted and not self._executing:
            block = self._unexecuted[0][0]
            missing = [ref for ref in payload_refs(block.payload) if ref not in self.batches]
            if missing:
                self._house.lack_batches(missing, block.header.proposer)
                return
            if self._execute_ms:
                self._executing = True
                self._house.later(self._execute_ms, self._execution_done)
                return
            self._store()

    def _execution_done(self) -> None:
        self._executing = False
        self._store()
        self._execute_next()

    def _store(self) -> None:
        block, certificate = self._unexecuted[0]
        transactions = [item for ref in payload_refs(block.payload) for item in self.batches[ref].transactions]
        height = self._disk.height + 1
        executed = self.ledger.execute(height, block.header.timestamp_ms, block.header.version, transactions)
        self._unexecuted.popleft()
        self._disk.store(Stored(block, certificate, executed), self.batches)
        for ref in payload_refs(block.payload):
            self.unstored.pop(batch_fact(ref), None)
        self._house.executed_one(executed)
        self._recheck()
        if self._build is not None:
            self._answer_build_after(self._pace_ms)
        self.tell_work()
