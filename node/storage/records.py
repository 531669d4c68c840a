"""What the store takes and gives: plain bytes and numbers. It knows no block, vote or transaction.

One rule: whoever composes a BlockRecord (the node) has checked it; the store checks only that it follows the tip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ZERO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class Roots:
    """What commits to the state after a height; 32 bytes each."""

    state_tree_root: bytes
    outcomes_root: bytes
    root: bytes  # the chain of both over all heights, that block headers carry
    header: bytes = b""  # whatever else a proof of this height needs, e.g. the encoded block header


NO_ROOTS = Roots(ZERO_HASH, ZERO_HASH, ZERO_HASH)


@dataclass(frozen=True, slots=True)
class Placed:
    """A transaction of a block: its id, where its bytes are, and how it ended.

    ``fresh`` says that the ledger knows this to be its first execution, as it does of all that it did not refuse as
    seen or expired. Others are looked up, so that the first receipt stays.
    """

    tx_id: bytes
    index: int  # among all transactions of the block, those too that are not listed
    batch_digest: bytes
    position: int  # in the batch
    receipt: bytes
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """All that one finalized block leaves on disk, written as one synced batch."""

    height: int
    block_hash: bytes
    parent_hash: bytes
    block_bytes: bytes
    timestamp_ms: int
    certificate: bytes  # empty if a later block's certificate finalizes this one
    roots: Roots
    transactions: Sequence[Placed] = ()  # in the order of execution
    outcome_leaves: bytes = b""
    batches: Mapping[bytes, bytes] = field(default_factory=dict)  # digest -> bytes
    changes: Mapping[bytes, bytes | None] = field(default_factory=dict)  # ledger key -> value; None removes it
    entries: Sequence[tuple[int, int, bytes]] = ()  # account, entry number, value
    references: Sequence[tuple[int, bytes, bytes]] = ()  # account, ref, value: found by account and ref for ever
    evidence: Mapping[bytes, bytes] = field(default_factory=dict)
    roster: bytes | None = None  # of validators, if this block changed it
    version: int | None = None  # of the protocol, demanded of the next epoch, if this block changed it


@dataclass(frozen=True, slots=True)
class Tip:
    """The highest block that is stored. Height 0 is genesis."""

    height: int
    block_hash: bytes
    root: bytes
    certificate: bytes  # as in BlockRecord; empty at height 0


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as it was committed."""

    height: int
    block_hash: bytes
    parent_hash: bytes
    timestamp_ms: int
    block_bytes: bytes


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """The first place of a transaction in the chain. ``index`` counts within the block, ``position`` in the batch.

    Height 0, with an empty receipt, says only that it was executed before the snapshot at which the store begins.
    """

    height: int
    index: int
    batch_digest: bytes
    position: int
    receipt: bytes


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Sizes in bytes, as LevelDB and the file system estimate them, for metrics."""

    height: int
    table_bytes: Mapping[str, int]  # by lower-case name of the table
    directory_bytes: int
    disk_free_bytes: int
    disk_total_bytes: int
