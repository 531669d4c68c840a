"""What blocks carry in the simulator: references to batches, whose transactions are executed after finalization.

One rule: the application never says that a block is invalid for something that may still come (consensus.md, section
5.5-7): it waits. It follows the rules X1 to X5 of execution.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, digest, encode
from consensus.events import Content
from consensus.messages import NO_HASH, Block, Hash, Header
from tests.simulation.members import Rows

REFS_MAX: Final = 16  # batches in a block
LAG_MAX: Final = 16  # heights between a block and the root that it carries, above which it must be empty
AHEAD_MS_MAX: Final = 500  # how far a block's time may lie ahead of our clock before we wait


@dataclass(frozen=True, slots=True)
class Batch:
    """Transactions of one author, and the digest that names them."""

    digest: bytes
    transactions: tuple[bytes, ...]
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Executed:
    """What executing a height left: the root of the state, what is in circulation, the sum and the least of balances.

    The issuer's balance is negative: it is in the sum, which is 0 for ever, and not in the least.
    """

    height: int
    root: Hash
    supply: int
    total: int
    least: int
    members: Rows = ()  # who counts in a committee that is taken from this height
    version: int = 1  # of the protocol, demanded of an epoch whose committee is taken from this height


class Verdict(Enum):
    """What the application says of a block."""

    VALID = "valid"
    INVALID = "invalid"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Check:
    """A verdict, what is missing for a better one, and when a clock alone settles it."""

    verdict: Verdict
    missing: tuple[bytes, ...] = ()
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a validator knows when it builds or checks: its own execution, its clock, its batches, the chain's."""

    clock_ms: int
    executed_height: int
    root: Callable[[int], Hash]  # of an executed height
    available: Mapping[bytes, Batch]
    included: Set[bytes]  # in the parent and its ancestors
    end_height: int
    version: int  # of the protocol in this epoch
    next_validators_hash: Callable[[int], Hash]  # the committee after an executed height


def make_batch(author: int, sequence: int, transactions: tuple[bytes, ...]) -> Batch:
    """Return the batch of these transactions."""
    encoded = encode((author, sequence, transactions))
    return Batch(digest(b"som-simulated-batch-1", encoded), transactions, encoded)


@lru_cache(maxsize=4096)  # pure, and everybody reads the same ones
def decode_batch(data: bytes) -> Batch:
    """Return the batch that ``data`` encodes. Raises DecodeError."""
    author, sequence, transactions = as_tuple(decode(data), 3)
    return make_batch(as_int(author), as_int(sequence), tuple(as_bytes(item) for item in as_tuple(transactions)))


def encode_payload(refs: list[bytes]) -> bytes:
    """Return the payload that names these batches."""
    return encode(tuple(refs))


@lru_cache(maxsize=4096)  # pure, and the same few payloads are read again and again
def payload_refs(payload: bytes) -> tuple[bytes, ...]:
    """Return the digests of the batches in a payload, none if it is malformed."""
    try:
        refs = tuple(as_bytes(ref, 32) for ref in as_tuple(decode(payload), most=REFS_MAX))
    except DecodeError:
        return ()
    return refs if list(refs) == sorted(set(refs)) else ()


def build(parent: Block, around: Surroundings) -> Content | None:
    """Return the content of a block on ``parent``; None while our execution is behind what the parent carries."""
    height = parent.header.height + 1
    if around.executed_height < parent.header.executed_height:
        return None
    executed = min(around.executed_height, height - 1)
    refs = [ref for ref in around.available if ref not in around.included]
    if height - executed > LAG_MAX:  # X3
        refs = []
    return Content(
        timestamp_ms=max(around.clock_ms, parent.header.timestamp_ms + 1),
        executed_height=executed,
        state_root=around.root(executed),
        next_validators_hash=around.next_validators_hash(executed) if height == around.end_height else NO_HASH,
        payload=encode_payload(sorted(refs[:REFS_MAX])),
        version=around.version,
    )


def check(block: Block, parent: Block, around: Surroundings) -> Check:
    """Return whether a validator may vote for ``block``."""
    header = block.header
    refs = payload_refs(block.payload)
    if not _well_formed(block, parent, refs, around):
        return Check(Verdict.INVALID)
    if header.executed_height <= around.executed_height and header.state_root != around.root(header.executed_height):
        return Check(Verdict.INVALID)  # X2
    if not _names_next_committee(header, around):
        return Check(Verdict.INVALID)
    if header.timestamp_ms > around.clock_ms + AHEAD_MS_MAX:  # X9
        return Check(Verdict.WAIT, until_ms=header.timestamp_ms - AHEAD_MS_MAX)
    missing = tuple(ref for ref in refs if ref not in around.available)
    if missing or header.executed_height > around.executed_height:
        return Check(Verdict.WAIT, missing)
    return Check(Verdict.VALID)


def _well_formed(block: Block, parent: Block, refs: tuple[bytes, ...], around: Surroundings) -> bool:
    header = block.header
    return (
        (bool(refs) or block.payload == encode_payload([]))
        and not any(ref in around.included for ref in refs)
        and parent.header.executed_height <= header.executed_height < header.height  # X1
        and (not refs or header.height - header.executed_height <= LAG_MAX)  # X3
        and header.timestamp_ms > parent.header.timestamp_ms
        and header.version == around.version
    )


def _names_next_committee(header: Header, around: Surroundings) -> bool:
    if header.height != around.end_height:
        return header.next_validators_hash == NO_HASH
    unknown = header.executed_height > around.executed_height  # we wait until it is known
    return unknown or header.next_validators_hash == around.next_validators_hash(header.executed_height)
