"""Batches: signed bundles of transactions that travel ahead of the blocks that name them.

Their author checks every signature before it signs a batch, and every validator checks them once more when the batch
arrives; from then on a block is a list of digests, and checking it is a look-up. One rule: a batch is acknowledged,
and a block that names it voted for, only by who holds it, verified.

Body: ``encode((author, sequence, base_height, (transaction bytes, ...)))``; wire form: the author's signature
(64 bytes) and the body. The digest, which the author signs, is over the network's genesis hash and the body.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NewType

from consensus.crypto import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, SecretKey, verify
from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, digest, encode
from consensus.messages import Block
from network.wire import PeerId
from node.ledger.transaction import TRANSACTION_BYTES_MAX, Transaction, decode_transaction
from node.members import Members

BatchDigest = NewType("BatchDigest", bytes)  # 32 bytes

BATCH_TRANSACTIONS_MAX: Final = 1_024
BATCH_BYTES_MAX: Final = TRANSACTION_BYTES_MAX + 128 * 1024  # the largest transaction beside a usual batch
BATCH_LIFE_HEIGHTS: Final = 1_024  # heights after base_height in which a batch may be included; bounds ``included``
BLOCK_BATCHES_MAX: Final = 256
BLOCK_TRANSACTIONS_MAX: Final = 8_192  # about half a second of execution and one synced write
BLOCK_BYTES_MAX: Final = 4 * 1024 * 1024
AUTHOR_BATCHES_MAX: Final = 128  # batches of one author that wait here; more are dropped unread
AUTHOR_BYTES_MAX: Final = 16 * 1024 * 1024
DIGESTS_ASKED_MAX: Final = 64  # in one request or acknowledgement

_BATCH, _ACKNOWLEDGEMENT = 0, 1


class BatchInvalid(Exception):
    """A batch that its author, or whoever sent it, should not have sent."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded batch. ``encoded`` is its wire form; ``raw_transactions`` are not decoded yet."""

    digest: BatchDigest
    author: PublicKey
    sequence: int
    base_height: int
    raw_transactions: tuple[bytes, ...]
    signature: bytes
    encoded: bytes


def make_batch(
    genesis_hash: bytes, key: SecretKey, sequence: int, base_height: int, transactions: Sequence[bytes]
) -> Batch:
    """Return a batch signed by a key that is at hand."""
    body = batch_body(key.public, sequence, base_height, transactions)
    return signed_batch(genesis_hash, body, key.sign(batch_digest(genesis_hash, body)))


def batch_body(author: bytes, sequence: int, base_height: int, transactions: Sequence[bytes]) -> bytes:
    """Return what the author of a batch signs, through its digest."""
    return encode((author, sequence, base_height, tuple(transactions)))


def batch_digest(genesis_hash: bytes, body: bytes) -> BatchDigest:
    """Return what names a batch, and what its author signs."""
    return BatchDigest(digest(b"som-batch-1", genesis_hash, body))


def signed_batch(genesis_hash: bytes, body: bytes, signature: bytes) -> Batch:
    """Return the batch of a body and its author's signature; raise DecodeError."""
    return decode_batch(genesis_hash, signature + body)


def decode_batch(genesis_hash: bytes, data: bytes) -> Batch:
    """Return the batch that ``data`` encodes; raise DecodeError. No signature is checked here."""
    if not SIGNATURE_BYTES < len(data) <= BATCH_BYTES_MAX:
        raise DecodeError(f"a batch has at most {BATCH_BYTES_MAX} bytes")
    body = data[SIGNATURE_BYTES:]
    author, sequence, base_height, raw = as_tuple(decode(body), 4)
    transactions = as_tuple(raw, most=BATCH_TRANSACTIONS_MAX)
    if not transactions:
        raise DecodeError("an empty batch")
    return Batch(
        batch_digest(genesis_hash, body),
        PublicKey(as_bytes(author, PUBLIC_KEY_BYTES)),
        as_int(sequence),
        as_int(base_height),
        tuple(as_bytes(item, most=TRANSACTION_BYTES_MAX) for item in transactions),
        data[:SIGNATURE_BYTES],
        data,
    )


def author_signed(batch: Batch) -> bool:
    """Return whether the author's signature is valid."""
    return verify(batch.author, batch.digest, batch.signature)


def decode_transactions(genesis_hash: bytes, batch: Batch) -> tuple[Transaction, ...]:
    """Return the batch's transactions; raise Refused for the first that is malformed."""
    return tuple(decode_transaction(raw, genesis_hash) for raw in batch.raw_transactions)


def encode_payload(digests: Iterable[BatchDigest]) -> bytes:
    """Return a block's payload: the digests of its batches, in the order of execution."""
    return encode(tuple(digests))


def decode_payload(payload: bytes) -> tuple[BatchDigest, ...]:
    """Return the digests that a payload names; raise DecodeError if one repeats."""
    digests = tuple(BatchDigest(as_bytes(item, 32)) for item in as_tuple(decode(payload), most=BLOCK_BATCHES_MAX))
    if len(frozenset(digests)) != len(digests):
        raise DecodeError("a batch is named twice")
    return digests


EMPTY_PAYLOAD: Final = encode_payload(())


def encode_batch_message(batch: Batch) -> bytes:
    """Return the message that carries a batch."""
    return bytes((_BATCH,)) + batch.encoded


def encode_acknowledgement(digests: Sequence[BatchDigest]) -> bytes:
    """Return the message that says: these batches are here, verified."""
    return bytes((_ACKNOWLEDGEMENT,)) + encode(tuple(digests))


def decode_batch_message(genesis_hash: bytes, data: bytes) -> Batch | tuple[BatchDigest, ...]:
    """Return the batch, or the acknowledged digests, that a message carries; raise DecodeError."""
    if data[:1] == bytes((_BATCH,)):
        return decode_batch(genesis_hash, data[1:])
    if data[:1] == bytes((_ACKNOWLEDGEMENT,)):
        return decode_digests(data[1:])
    raise DecodeError("unknown batch message")


def decode_digests(data: bytes) -> tuple[BatchDigest, ...]:
    """Return the digests of a request or an acknowledgement; raise DecodeError."""
    return tuple(BatchDigest(as_bytes(item, 32)) for item in as_tuple(decode(data), most=DIGESTS_ASKED_MAX))


@dataclass(slots=True)
class Held:
    """A verified batch that waits to be executed, and who else has it."""

    batch: Batch
    transactions: tuple[Transaction, ...]
    holders: set[PeerId]
    holders_weight: int


class BatchPool:
    """Verified batches that no executed block contains yet, and the digests of those that final blocks contain.

    Bounded per author while a batch waits. Batches named by final blocks are always taken: they are those in execution.
    Holders are noted whether they are members or not, for they may become such; only members have weight.
    """

    def __init__(self, members: Members, me: PeerId) -> None:
        self._members = members
        self._me = me
        self._held: OrderedDict[BatchDigest, Held] = OrderedDict()
        self._open: OrderedDict[BatchDigest, Held] = OrderedDict()  # of these, those that no final block names
        # Acknowledged before the batch came, by holder: a liar's inventions push out nobody else's word.
        self._early: dict[PeerId, OrderedDict[BatchDigest, None]] = {}
        self._executed_height = 0
        self._final: OrderedDict[BatchDigest, int] = OrderedDict()  # digest -> height of the final block naming it
        self._author_batches: dict[PublicKey, int] = {}
        self._author_bytes: dict[PublicKey, int] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, name: BatchDigest) -> bool:
        return name in self._held

    def get(self, name: BatchDigest) -> Held | None:
        """Return a batch that waits here."""
        return self._held.get(name)

    def held(self) -> Iterator[Held]:
        """Yield what waits, oldest first."""
        return iter(tuple(self._held.values()))

    def has_room(self, author: PublicKey, payload_bytes: int, batches: int = 1) -> bool:
        """Return whether so many more batches of this author, of so many bytes together, may wait here."""
        return (
            self._author_batches.get(author, 0) + batches <= AUTHOR_BATCHES_MAX
            and self._author_bytes.get(author, 0) + payload_bytes <= AUTHOR_BYTES_MAX
        )

    def is_final(self, name: BatchDigest) -> bool:
        """Return whether a final block of the last BATCH_LIFE_HEIGHTS names this batch."""
        return name in self._final

    def begin_epoch(self, members: Members) -> list[Held]:
        """Weigh anew; let go of what authors wrote whom this epoch removes, unless a final block names it. R54

        Return what was let go of.
        """
        removed = frozenset(
            row.consensus_key for row in self._members.rows if members.peer_of(row.consensus_key) is None
        )
        self._members = members
        self._early = {peer: names for peer, names in self._early.items() if peer in members}
        gone = [held for held in self._open.values() if held.batch.author in removed]
        for held in gone:
            self._remove(held.batch.digest)
        for held in self._held.values():
            held.holders_weight = sum(members.weight(holder) for holder in held.holders)
        return gone

    def is_executed(self, name: BatchDigest) -> bool:
        """Return whether such a block is executed: the store has the batch."""
        return 0 < self._final.get(name, 0) <= self._executed_height

    def add(self, batch: Batch, transactions: tuple[Transaction, ...]) -> None:
        """Hold a verified batch, unless its block is executed: nobody would ever ask for it, or let it go."""
        if batch.digest in self._held or self.is_executed(batch.digest):
            return
        held = Held(batch, transactions, set(), 0)
        self._held[batch.digest] = held
        if batch.digest not in self._final:
            self._open[batch.digest] = held
        self._author_batches[batch.author] = self._author_batches.get(batch.author, 0) + 1
        self._author_bytes[batch.author] = self._author_bytes.get(batch.author, 0) + len(batch.encoded)
        for holder, early in self._early.items():
            if batch.digest in early:
                del early[batch.digest]
                self._count(held, holder)
        self._count(held, self._me)

    def acknowledge(self, name: BatchDigest, holder: PeerId) -> bool:
        """Note that a peer holds a batch; return whether by its word a quorum holds it now."""
        held = self._held.get(name)
        if held is not None:
            return self._count(held, holder)
        if name not in self._final:
            early = self._early.setdefault(holder, OrderedDict())
            early[name] = None
            if len(early) > AUTHOR_BATCHES_MAX * len(self._members):
                early.popitem(last=False)
        return False

    def finalized(self, names: Sequence[BatchDigest], height: int) -> None:
        """Note that the final block of ``height`` names these; forget heights too low for a new block to repeat."""
        for name in names:
            self._final[name] = height
            self._open.pop(name, None)
        while self._final and next(iter(self._final.values())) <= height - BATCH_LIFE_HEIGHTS:
            self._final.popitem(last=False)

    def forget(self, names: Sequence[BatchDigest]) -> None:
        """Let go of the batches of an executed block, which is noted as final: the store has them."""
        for name in names:
            self._remove(name)
            self._executed_height = max(self._executed_height, self._final.get(name, 0))

    def expire(self, height: int) -> list[Held]:
        """Let go of batches that no block above ``height`` may name any more, and return them."""
        stale = [held for held in self._open.values() if held.batch.base_height + BATCH_LIFE_HEIGHTS <= height]
        for held in stale:
            self._remove(held.batch.digest)
        return stale

    def abandon(self, authors: Set[bytes], named: Callable[[], Set[BatchDigest]]) -> list[Held]:
        """Let go of batches of these authors that no quorum holds, and return them; not of what ``named`` gives.

        Who would include one holds it, and gives it to whoever asks.
        """
        stale = [
            held
            for held in self._open.values()
            if held.batch.author in authors and held.holders_weight < self._members.committee.quorum
        ]
        kept = named() if stale else frozenset()
        gone = [held for held in stale if held.batch.digest not in kept]
        for held in gone:
            self._remove(held.batch.digest)
        return gone

    def includable(self, height: int, excluded: Callable[[BatchDigest], bool]) -> list[Held]:
        """Return the batches for a block at ``height``: oldest first, held by a quorum, in no ancestor, in bounds."""
        chosen: list[Held] = []
        transactions = payload_bytes = 0
        for name, held in self._open.items():
            if not self._ripe(held) or excluded(name):
                continue
            if not held.batch.base_height < height <= held.batch.base_height + BATCH_LIFE_HEIGHTS:
                continue
            transactions += len(held.transactions)
            payload_bytes += len(held.batch.encoded)
            if transactions > BLOCK_TRANSACTIONS_MAX or payload_bytes > BLOCK_BYTES_MAX:
                break
            chosen.append(held)
            if len(chosen) == BLOCK_BATCHES_MAX:
                break
        return chosen

    def has_work(self, height: int) -> bool:
        """Return whether a batch waits that a quorum holds, no final block names, and a block at ``height`` may name.

        One that is based on a height to come is no work: leaders that cannot include it would be timed out for it.
        """
        return any(
            self._ripe(held) and held.batch.base_height < height <= held.batch.base_height + BATCH_LIFE_HEIGHTS
            for held in self._open.values()
        )

    def _ripe(self, held: Held) -> bool:
        """Return whether a leader may name an open batch: held by a quorum, and of a member."""
        return (
            held.holders_weight >= self._members.committee.quorum
            and self._members.peer_of(held.batch.author) is not None
        )

    def _count(self, held: Held, holder: PeerId) -> bool:
        """Count a holder, once; return whether by it a quorum holds the batch now."""
        if holder in held.holders:
            return False
        held.holders.add(holder)
        before, quorum = held.holders_weight, self._members.committee.quorum
        held.holders_weight += self._members.weight(holder)
        return before < quorum <= held.holders_weight

    def _remove(self, name: BatchDigest) -> None:
        self._open.pop(name, None)
        held = self._held.pop(name, None)
        if held is not None:
            self._author_batches[held.batch.author] -= 1
            self._author_bytes[held.batch.author] -= len(held.batch.encoded)


def names_in(blocks: Iterable[Block]) -> frozenset[BatchDigest]:
    """Return the batches that blocks name; a proposal's payload may be none, and names nothing then."""
    names: set[BatchDigest] = set()
    for block in blocks:
        with suppress(DecodeError):
            names.update(decode_payload(block.payload))
    return frozenset(names)


def named_in_ancestors(
    parent: Block, final_height: int, block_of: Callable[[bytes], Block | None]
) -> frozenset[BatchDigest] | None:
    """Return the batches that ``parent`` and its ancestors above ``final_height`` name; None if one is not here."""
    names: set[BatchDigest] = set()
    block: Block | None = parent
    while block is not None and block.header.height > final_height:
        names.update(decode_payload(block.payload))
        block = block_of(block.header.parent_hash)
    return None if block is None else frozenset(names)
