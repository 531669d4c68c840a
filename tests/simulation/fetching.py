"""Asking others for what we lack: blocks, batches, ranges of the final chain; and answering those who ask.

One rule: an answer proves itself, by its hash or by a certificate; who does not answer is asked again, or another is.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Final, Protocol

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, encode
from consensus.events import BlockFetched, BlocksSynced, Input
from consensus.messages import (
    Block,
    Certificate,
    Hash,
    Kind,
    decode_block,
    decode_certificate,
    encode_certificate,
)
from tests.simulation.application import Batch, decode_batch
from tests.simulation.disk import Disk

RETRY_MS: Final = 300  # between two rounds of asking for the same
RANGE_MAX: Final = 32  # blocks in an answer
BEHIND_MIN: Final = 6  # heights behind a peer's claim before we ask it for a range

BLOCK, RANGE, BATCH = range(3)  # what is asked for, the first item of a question and of its answer


class House(Protocol):
    """What fetching needs of the validator around it."""

    index: int
    disk: Disk
    epoch: int

    def feed(self, happened: Input) -> None: ...
    def later(self, delay_ms: int, action: Callable[..., None], *arguments: object) -> None: ...
    def now_ms(self) -> int: ...
    def transmit(self, receiver: int, channel: str, data: bytes) -> None: ...
    def block(self, block_hash: Hash) -> Block | None: ...
    def batch(self, digest: bytes) -> Batch | None: ...
    def add_batch(self, batch: Batch) -> None: ...
    def genuine(self, certificate: Certificate) -> bool: ...


class Fetcher:
    """One life of asking and answering."""

    def __init__(self, house: House, nodes: int, random: Random) -> None:
        self._house = house
        self._random = random
        self._others = [index for index in range(nodes) if index != house.index]
        self._asked_ms: dict[object, int] = {}
        self._lacking: dict[bytes, int] = {}  # digest -> who named it

    def want_block(self, block_hash: Hash, holders: Sequence[int]) -> None:
        """Ask two holders and one other."""
        own = self._house.block(block_hash)
        if own is not None:
            self._house.feed(BlockFetched(own))
            return
        for peer in self._some(holders):
            self._house.transmit(peer, "ask", encode((BLOCK, block_hash)))

    def want_batches(self, digests: Sequence[bytes], named_by: int) -> None:
        """Ask who named them and another, until they come."""
        for digest in digests:
            if digest not in self._lacking:
                self._lacking[digest] = named_by
                self._ask_batch(digest)

    def claimed(self, peer: int, height: int, epoch: int) -> None:
        """A peer says how far it is: if that is far ahead, ask it for the final chain."""
        if epoch < self._house.epoch or (height < self._house.disk.height + BEHIND_MIN and epoch == self._house.epoch):
            return
        if self._house.now_ms() - self._asked_ms.get("range", -RETRY_MS) < RETRY_MS:
            return
        self._asked_ms["range"] = self._house.now_ms()
        self._house.transmit(peer, "ask", encode((RANGE, self._house.disk.height + 1)))

    def on_asked(self, peer: int, data: bytes) -> None:
        """Answer if we can."""
        try:
            kind, what = as_tuple(decode(data), 2)
            answer = self._answer(as_int(kind, 0, 2), what)
        except DecodeError:
            return
        if answer is not None:
            self._house.transmit(peer, "answer", encode((kind, answer)))

    def _answer(self, kind: int, what: object) -> object:
        if kind == BLOCK:
            block = self._house.block(Hash(as_bytes(what, 32)))
            return block.encoded if block is not None else None
        if kind == BATCH:
            batch = self._house.batch(as_bytes(what, 32))
            return batch.encoded if batch is not None else None
        return self._range(as_int(what, 1))

    def _range(self, start: int) -> object:
        heights = self._house.disk.heights
        found = heights[start - 1 : start - 1 + RANGE_MAX]
        while found and (found[-1].certificate is None or found[-1].block.header.epoch != found[0].block.header.epoch):
            found.pop()
        if not found or found[-1].certificate is None:
            return None
        return tuple(stored.block.encoded for stored in found), encode_certificate(found[-1].certificate)

    def on_answer(self, data: bytes) -> None:
        """Take what proves itself; raises DecodeError for the rest."""
        kind, what = as_tuple(decode(data), 2)
        match as_int(kind, 0, 2):
            case 0:
                self._house.feed(BlockFetched(decode_block(as_bytes(what))))
            case 1:
                self._take_range(what)
            case _:
                batch = decode_batch(as_bytes(what))
                if self._lacking.pop(batch.digest, None) is not None:
                    self._house.add_batch(batch)

    def _take_range(self, what: object) -> None:
        encoded, proof = as_tuple(what, 2)
        blocks = tuple(decode_block(as_bytes(item)) for item in as_tuple(encoded, most=RANGE_MAX))
        certificate = decode_certificate(as_bytes(proof))
        linked = all(after.header.parent_hash == before.hash for before, after in pairwise(blocks))
        if not blocks or not linked or certificate.kind is not Kind.FINALIZE or certificate.hash != blocks[-1].hash:
            return
        if certificate.epoch == self._house.epoch and self._house.genuine(certificate):
            self._house.feed(BlocksSynced(blocks, certificate))

    def _ask_batch(self, digest: bytes) -> None:
        if digest not in self._lacking:
            return
        if self._house.batch(digest) is not None:
            del self._lacking[digest]
            return
        for peer in self._some((self._lacking[digest],)):
            self._house.transmit(peer, "ask", encode((BATCH, digest)))
        self._house.later(RETRY_MS, self._ask_batch, digest)

    def _some(self, holders: Sequence[int]) -> list[int]:
        likely = [peer for peer in holders if peer != self._house.index]
        chosen = self._random.sample(likely, min(2, len(likely)))
        rest = [peer for peer in self._others if peer not in chosen]
        return chosen + self._random.sample(rest, min(1, len(rest)))
