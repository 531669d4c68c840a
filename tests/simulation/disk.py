"""What survives a crash: the real journal and guard on files in memory, and a store of executed blocks.

One rule: the store is written height by height, atomically and durably; all else is as durable as its syncs made it.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Final, cast

from consensus.crypto import SecretKey, Signature
from consensus.messages import Block, Certificate, Hash, Kind
from node.storage.errors import GuardError, StorageError, StorageFailed
from node.storage.guard import Guard
from node.storage.journal import Journal
from tests.simulation.application import Batch, Executed, decode_batch, payload_refs
from tests.simulation.files import DATA, KEYS, MemoryDisk
from tests.simulation.judge import Fact, Violation, fact_of
from tests.simulation.keys import Signer
from tests.simulation.money import Table

CONSENSUS_RECORD, BATCH_RECORD = 1, 2  # types in the journal
JOURNAL: Final = DATA / "journal"
GUARD: Final = KEYS / "guard"

REMEMBERED: Final = 64  # statements that the guard is asked for after each crash

Entry = tuple[int, bytes]  # type, payload
Statement = tuple[int, int, int, bytes]  # kind, epoch, view, what was signed


class Unusable(Exception):
    """A file whose bytes changed was found out: the node does not start until its operator has seen to it."""

    def __init__(self, guard_too: bool, error: Exception) -> None:
        super().__init__(str(error))
        self.guard_too = guard_too


class Records:
    """The journal over all lives of a validator, and which facts it has surely made durable."""

    def __init__(self) -> None:
        self.files = MemoryDisk(self._on_synced)
        self.facts: set[Fact] = set()  # durable, as the files have it
        self._appended: list[Fact] = []  # and not durable yet
        self._replacing: set[Fact] | None = None  # what a rotation under way will leave, perhaps nothing
        self.damaged = False  # bytes of it changed since it was closed
        self._journal: Journal

    def create(self) -> None:
        """Make an empty journal."""
        self.facts.clear()
        self.damaged = False
        Journal.create(JOURNAL, self.files)

    def open(self, name: str) -> list[Entry]:
        """Return what the journal kept: all that was durable, and nothing that was never written.

        A damaged one may have lost what was at its end, where it looks like what a crash left. Raises Unusable.
        """
        try:
            self._journal, entries = Journal.open(JOURNAL, self.files)
        except StorageFailed:
            raise
        except StorageError as error:
            if self.damaged:
                raise Unusable(False, error) from error
            raise Violation("durable", f"{name}: {error}") from error
        found = {_fact_of(*entry) for entry in entries}
        kept = self.facts <= found or (self._replacing is not None and self._replacing <= found)
        if not (kept or self.damaged):
            raise Violation("durable", f"the journal of {name} has lost {sorted(self.facts - found, key=repr)}")
        if not found <= self.facts.union(self._appended, self._replacing or ()):
            raise Violation("durable", f"the journal of {name} holds what was never written to it")
        self.facts, self._appended, self._replacing, self.damaged = found, [], None, False
        return entries

    @property
    def size_bytes(self) -> int:
        return self._journal.size_bytes

    @property
    def dirty(self) -> bool:
        """Whether something waits for a sync."""
        return bool(self._appended)

    def append(self, kind: int, payload: bytes, fact: Fact) -> None:
        """Take a record for the next sync."""
        self._appended.append(fact)
        self._journal.append(kind, payload)  # which syncs by itself if much waits

    def sync(self) -> None:
        """Make all that was appended durable."""
        self._journal.sync()

    def rotate(self, batches: dict[Fact, Entry], records: Iterable[bytes]) -> set[Fact]:
        """Replace everything by batches, each under what it says, and records; return what is durable then."""
        entries = [(CONSENSUS_RECORD, record) for record in records]
        self._replacing = {*batches, *(_fact_of(*entry) for entry in entries)}
        self._journal.rotate([*batches.values(), *entries])
        self.facts, self._replacing = self._replacing, None
        return self.facts

    def _on_synced(self, path: Path) -> None:
        if path.suffix == ".journal":
            self.facts.update(self._appended)
            self._appended.clear()


def batch_fact(ref: bytes) -> Fact:
    """Return what a record of a batch says."""
    return ("batch", ref)


@lru_cache(maxsize=8192)  # pure, and each rotation keeps most of what the last one kept
def _fact_of(kind: int, payload: bytes) -> Fact:
    return fact_of(payload) if kind == CONSENSUS_RECORD else batch_fact(decode_batch(payload).digest)


@dataclass(frozen=True, slots=True)
class Stored:
    """One executed height: what one atomic write of the real store holds. The certificate may finalize a later one."""

    block: Block
    certificate: Certificate | None
    executed: Executed


@dataclass
class Disk:
    """All that one validator finds again after a crash."""

    genesis: Block
    genesis_executed: Executed
    fresh: Callable[[], Table]  # the ledger's rows at height 0
    rows: Table = field(init=False)  # the ledger's, as of the last stored height
    records: Records = field(default_factory=Records)
    heights: list[Stored] = field(default_factory=list)  # height 1 first
    by_hash_height: dict[Hash, int] = field(default_factory=dict)
    batches: dict[bytes, Batch] = field(default_factory=dict)  # of stored blocks
    guard: Guard | None = None  # while the power is on
    signed: deque[Statement] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    guard_damaged: bool = False  # bytes of it changed since it was closed

    def __post_init__(self) -> None:
        self.rows = self.fresh()
        self.records.create()

    @property
    def files(self) -> MemoryDisk:
        return self.records.files

    @property
    def height(self) -> int:
        return len(self.heights)

    def block(self, height: int) -> Block:
        return self.heights[height - 1].block if height else self.genesis

    def executed(self, height: int) -> Executed:
        return self.heights[height - 1].executed if height else self.genesis_executed

    def by_hash(self, block_hash: Hash) -> Block | None:
        """Return a stored block."""
        height = self.by_hash_height.get(block_hash)
        return None if height is None else self.block(height)

    def store(self, stored: Stored, known: dict[bytes, Batch]) -> None:
        """Write one executed height with its batches, atomically."""
        self.heights.append(stored)
        self.by_hash_height[stored.block.hash] = self.height
        self.batches.update((ref, known[ref]) for ref in payload_refs(stored.block.payload))

    def holds_batch(self, ref: bytes) -> bool:
        """Return whether a batch is durable."""
        return ref in self.batches or batch_fact(ref) in self.records.facts

    # --- the guard ---

    def open_guard(self, public: bytes, genesis_hash: Hash, name: str) -> None:
        """Open the guard, made if this key has never signed. It remembers what it signed. Raises Unusable."""
        if not self.files.exists(GUARD):
            Guard.create(GUARD, public, genesis_hash, self.files)
        try:
            self.guard = Guard.open(GUARD, public, genesis_hash, self.files)
        except GuardError as error:
            if self.guard_damaged:
                raise Unusable(True, error) from error
            raise Violation("durable", f"{name}: {error}") from error
        for statement in self.signed:
            if not self.guard.remembers(*statement):
                if self.guard_damaged:  # cut between two records; the journal has the votes that matter
                    raise Unusable(True, GuardError(f"forgot {statement}"))
                raise Violation("durable", f"the guard of {name} has forgotten {statement}")
        self.guard_damaged = False

    def sign(self, signer: Signer, kind: Kind, epoch: int, view: int, statement: bytes) -> Signature:
        """Sign past the guard. Raises GuardRefused."""
        assert self.guard is not None
        signature = self.guard.sign(cast(SecretKey, signer), kind, epoch, view, statement)
        self.signed.append((kind, epoch, view, statement))
        return signature

    # --- ends ---

    def damage(self, guard_too: bool, random: Random) -> None:
        """Let bytes of the journal change, or of the guard, while nobody has them open."""
        self.files.damage(KEYS if guard_too else DATA, random)
        if guard_too:
            self.guard_damaged = True
        else:
            self.records.damaged = True

    def wipe(self, public: bytes, genesis_hash: Hash, epoch: int | None) -> None:
        """Lose all data; with ``epoch`` also the guard, and begin one that signs nothing before that epoch."""
        self.end_process()
        self.files.full = self.files.unreadable = False
        self.files.wipe(DATA)
        self.rows = self.fresh()
        for lost in (self.heights, self.by_hash_height, self.batches):
            lost.clear()
        self.records.create()
        if epoch is not None:
            self.files.wipe(KEYS)
            self.guard_damaged = False
            self.signed.clear()
            Guard.create(GUARD, public, genesis_hash, self.files)
            guard = Guard.open(GUARD, public, genesis_hash, self.files)
            guard.rebase(epoch, 0)
            guard.close()

    def lose_power(self, random: Random) -> None:
        """Lose what was not synced, or a part of it."""
        self.guard = None
        self.files.lose_power(random)

    def end_process(self) -> None:
        """Lose what was not written."""
        self.guard = None
        self.files.end_process()
