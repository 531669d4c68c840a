"""What a block carries, chosen by its leader and checked by everyone: batches, the state root, the time.

One rule: what may still arrive or become true is never called invalid. A verdict is UNKNOWN until it is certain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from consensus.encoding import DecodeError
from consensus.events import Content
from consensus.messages import Block, Hash
from node.batches import (
    BATCH_LIFE_HEIGHTS,
    BLOCK_BYTES_MAX,
    BLOCK_TRANSACTIONS_MAX,
    EMPTY_PAYLOAD,
    BatchDigest,
    BatchPool,
    decode_payload,
    encode_payload,
    named_in_ancestors,
)

LAG_MAX: Final = 16  # heights between a block and the state root it names; beyond it a block carries no batches
CLOCK_AHEAD_MS_MAX: Final = 500  # a block from further in the future waits until our clock agrees


class Verdict(Enum):
    """What is known of a proposed block."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


class Executed(Protocol):
    """What this room asks of the executor."""

    height: int
    uncertified_height: int

    def root_at(self, height: int) -> Hash | None:
        """Return the state root after a height, or None if it is not executed here."""


@dataclass(frozen=True, slots=True)
class Payloads:
    """Chooses and checks. ``block_of`` gives uncommitted blocks.

    ``next_validators_hash`` gives what a block of a height must name, by the height that it says is executed; None
    while that is not executed here. ``version`` gives the protocol version of the epoch.
    """

    pool: BatchPool
    executed: Executed
    block_of: Callable[[bytes], Block | None]
    final_height: Callable[[], int]
    next_validators_hash: Callable[[int, int], Hash | None]
    version: Callable[[], int]

    def choose(self, parent: Block) -> tuple[BatchDigest, ...]:
        """Return the batches for a block on ``parent``, perhaps none."""
        if parent.header.height + 1 - self.executed.height > LAG_MAX:
            return ()
        named = named_in_ancestors(parent, self.final_height(), self.block_of)
        if named is None:
            return ()
        chosen = self.pool.includable(parent.header.height + 1, named.__contains__)
        return tuple(held.batch.digest for held in chosen)

    def content(self, parent: Block, names: Sequence[BatchDigest], now_ms: int) -> Content | None:
        """Return what the block on ``parent`` carries, or None while our state is behind the parent's root."""
        height = min(self.executed.height, parent.header.height)
        root = self.executed.root_at(height)
        if height < parent.header.executed_height or root is None:
            return None
        named = self.next_validators_hash(parent.header.height + 1, height)
        if named is None:
            return None
        return Content(
            timestamp_ms=max(now_ms, parent.header.timestamp_ms + 1),
            executed_height=height,
            state_root=root,
            next_validators_hash=named,
            payload=encode_payload(names) if names else EMPTY_PAYLOAD,
            version=self.version(),
        )

    def root_waits(self, parent: Block) -> bool:
        """Return whether a block on ``parent`` would certify results that no header names yet."""
        return self.executed.uncertified_height > parent.header.executed_height

    def missing(self, block: Block) -> list[BatchDigest]:
        """Return the batches of ``block`` that are not here."""
        try:
            return [name for name in decode_payload(block.payload) if name not in self.pool]
        except DecodeError:
            return []

    def verdict(self, block: Block, parent: Block, now_ms: int) -> Verdict:
        """Return what is known of ``block``; its place and its parent the core has checked."""
        header = block.header
        if not parent.header.executed_height <= header.executed_height < header.height:
            return Verdict.INVALID
        if header.version != self.version():  # R60
            return Verdict.INVALID
        named = self.next_validators_hash(header.height, header.executed_height)
        if named is not None and named != header.next_validators_hash:  # R51
            return Verdict.INVALID
        root = self.executed.root_at(header.executed_height)
        if root is not None and root != header.state_root:
            return Verdict.INVALID
        batches = self._batches_verdict(block, parent)
        if batches is Verdict.INVALID:
            return batches
        if root is None or named is None or header.timestamp_ms > now_ms + CLOCK_AHEAD_MS_MAX:
            return Verdict.UNKNOWN
        return batches

    def _batches_verdict(self, block: Block, parent: Block) -> Verdict:
        try:
            names = decode_payload(block.payload)
        except DecodeError:
            return Verdict.INVALID
        if not names:
            return Verdict.VALID
        if block.header.height - block.header.executed_height > LAG_MAX:
            return Verdict.INVALID
        named = named_in_ancestors(parent, self.final_height(), self.block_of)
        if named is None:
            return Verdict.UNKNOWN
        if any(name in named or self.pool.is_final(name) for name in names):
            return Verdict.INVALID
        return self._bounds_verdict(block.header.height, names)

    def _bounds_verdict(self, height: int, names: Sequence[BatchDigest]) -> Verdict:
        held = [self.pool.get(name) for name in names]
        here = [each for each in held if each is not None]
        if any(not each.batch.base_height < height <= each.batch.base_height + BATCH_LIFE_HEIGHTS for each in here):
            return Verdict.INVALID
        if sum(len(each.transactions) for each in here) > BLOCK_TRANSACTIONS_MAX:
            return Verdict.INVALID
        if sum(len(each.batch.encoded) for each in here) > BLOCK_BYTES_MAX:
            return Verdict.INVALID
        return Verdict.VALID if len(here) == len(held) else Verdict.UNKNOWN
