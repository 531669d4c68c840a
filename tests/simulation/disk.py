"""What survives a crash: the journal, the double-sign guard, the store of executed blocks and the batch log.

One rule: what was not synced may be lost from the end, and only from the end.
"""

from dataclasses import dataclass, field
from random import Random

from consensus.encoding import digest, encode
from consensus.messages import Block, Certificate, Hash, Kind
from tests.simulation.application import Batch, Executed, payload_refs
from tests.simulation.judge import Fact, fact_of
from tests.simulation.money import Rows


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the core, and the block that it is, if any."""

    data: bytes
    block: Hash | None


class Journal:
    """Records in order; ``sync`` makes all of them durable; a crash keeps a prefix of the rest.

    The last record that a crash keeps may be torn: recovery sees its checksum fail and drops it, so it is as good as
    lost. The real file format has tests of its own.
    """

    def __init__(self) -> None:
        self.durable: list[Record] = []
        self.facts: set[Fact] = set()  # what the durable records say
        self._buffer: list[Record] = []

    @property
    def dirty(self) -> bool:
        """Whether anything waits for a sync."""
        return bool(self._buffer)

    def append(self, record: Record) -> None:
        self._buffer.append(record)

    def sync(self) -> None:
        self._keep(len(self._buffer))

    def crash(self, random: Random) -> None:
        """Lose what was not synced, but for a random prefix of it."""
        self._keep(random.randint(0, len(self._buffer)))

    def rotate(self, records: list[bytes]) -> None:
        """Replace everything by ``records``, all or nothing."""
        assert not self._buffer
        blocks = {record.data: record.block for record in self.durable}
        self.durable = [Record(data, blocks.get(data)) for data in records]
        self.facts = {fact_of(record.data) for record in self.durable}

    def _keep(self, count: int) -> None:
        kept = self._buffer[:count]
        self.durable.extend(kept)
        self.facts.update(fact_of(record.data) for record in kept)
        self._buffer.clear()


class Refusal(Exception):
    """The guard was asked to sign against an earlier signature. An honest core never asks."""


class Guard:
    """The rules of the double-sign guard: one NOTARIZE and one FINALIZE a view, never FINALIZE and NULLIFY.

    It is synced before a signature is made, by contract, so it has no buffer.
    """

    def __init__(self) -> None:
        self._signed: dict[tuple[int, int], dict[Kind, Hash]] = {}

    def admit(self, kind: Kind, epoch: int, view: int, block_hash: Hash) -> None:
        """Remember this statement. Raises Refusal if it conflicts with an earlier one."""
        signed = self._signed.setdefault((epoch, view), {})
        if signed.get(kind, block_hash) != block_hash:
            raise Refusal(f"a second {kind.name} in view {view} of epoch {epoch}")
        other = {Kind.FINALIZE: Kind.NULLIFY, Kind.NULLIFY: Kind.FINALIZE}.get(kind)
        if other in signed:
            raise Refusal(f"{kind.name} after {other.name} in view {view} of epoch {epoch}")
        signed[kind] = block_hash


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
    rows: Rows  # the ledger's, as of the last stored height
    journal: Journal = field(default_factory=Journal)
    guard: Guard = field(default_factory=Guard)
    heights: list[Stored] = field(default_factory=list)  # height 1 first
    by_hash_height: dict[Hash, int] = field(default_factory=dict)
    batches: dict[bytes, Batch] = field(default_factory=dict)  # durable: of blocks in the journal or the store

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

    def store(self, stored: Stored) -> None:
        """Write one executed height, atomically."""
        self.heights.append(stored)
        self.by_hash_height[stored.block.hash] = self.height

    def keep_batches(self, block: Block, known: dict[bytes, Batch]) -> None:
        """Write a block's batches to the log that is synced before the journal."""
        for ref in payload_refs(block.payload):
            if ref in known:
                self.batches[ref] = known[ref]

    def summary(self) -> bytes:
        """Return a hash of the chain, to compare validators."""
        return digest(b"som-simulated-chain-1", encode([stored.block.hash for stored in self.heights]))
