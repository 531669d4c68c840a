"""What we lack and others have, and what others lack and we have: blocks, batches, ranges of the final chain.

One rule: a height that a peer claims is a hint; only a certificate moves us. Catching up is always on: whenever a peer
says that it is ahead, we ask, and while we are behind the core has no parent to vote on, so we are mute.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Final, Protocol

import structlog

from consensus.encoding import INT_MAX, DecodeError, as_bytes, as_int, as_tuple, decode, encode
from consensus.events import BlockFetched, BlocksSynced
from consensus.messages import (
    HASH_BYTES,
    Block,
    Certificate,
    Hash,
    Kind,
    decode_block,
    decode_certificate,
)
from network.wire import PeerId
from node.batches import (
    BATCH_BYTES_MAX,
    DIGESTS_ASKED_MAX,
    Batch,
    BatchDigest,
    BatchPool,
    decode_batch,
    decode_digests,
)
from node.storage.store import Store
from node.sync_descent import Descent
from node.terms import term_of

BLOCK, BATCHES, RANGE = 1, 2, 3  # request methods on the wire

DEADLINE_SECONDS: Final = 3.0  # for one request; a healthy peer answers in milliseconds
AGAIN_SECONDS: Final = 0.1  # between two rounds of asking for the same batch
BEHIND_HEIGHTS: Final = 8  # fewer missing blocks come by their hashes through the core
RANGE_BLOCKS_MAX: Final = 256  # in one answer
RANGE_BLOCKS_HARD_MAX: Final = 1_024  # while looking for one that its own certificate finalizes
RANGE_BYTES_MAX: Final = 512 * 1024
BATCHES_BYTES_MAX: Final = 512 * 1024  # of one answer: at least one whole batch
EXECUTING_MAX: Final = 512  # final blocks that wait for execution; above it we ask for no more
FETCHES_MAX: Final = 64  # blocks being fetched by hash
DOUBT_SECONDS: Final = 1.0  # a height that its peer cannot show is not believed for so long, then twice as long ...
DOUBT_SECONDS_MAX: Final = 60.0
QUIET_SECONDS: Final = 6.0  # when nothing became final for so long, one peer is asked what comes next: an idle network
# makes a block in less. Who missed the end of an epoch, and is no member, is told it by nobody.
RANGES_AT_ONCE: Final = 3  # each from another peer; more would wait for execution
PRUNED_SECONDS: Final = 60.0  # between two complaints that nobody has what we need any more
SLOW_SECONDS: Final = 10.0  # who took half the deadline or more is asked after the others for so long

log = structlog.get_logger("sync")


class _LaterTerm(Exception):
    """A certificate of a term that has not begun here: a decree comes first."""


async def _nothing(_: PeerId) -> None:
    return None


class RequestFailed(Exception):
    """No answer, or a refusal."""


class Links(Protocol):
    """What this room asks of the network. Any peer may be asked, member or not: what it answers proves itself."""

    def connected(self) -> Sequence[PeerId]:
        """Return the peers with a link."""

    async def request(self, peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        """Ask one peer. Raise RequestFailed."""

    def blame(self, peer: PeerId, points: int, reason: str) -> None:
        """Score a peer for what it sent."""


class Sync:
    """Fetches and serves."""

    def __init__(
        self,
        genesis_hash: bytes,
        store: Store,
        pool: BatchPool,
        links: Links,
        block_of: Callable[[Hash], Block | None],
        committed_height: Callable[[], int],
        executing: Callable[[], int],
        epoch_is_open: Callable[[], bool],
        certificate_valid: Callable[[Certificate], bool | None],
        take_batch: Callable[[Batch], Awaitable[bool]],
        deliver: Callable[[BlockFetched | BlocksSynced], None],
        epoch_end: Callable[[], int] = lambda: INT_MAX,
    ) -> None:
        """``take_batch`` verifies and holds a batch; ``deliver`` puts an input in the driver's inbox.

        ``epoch_is_open`` is false between two epochs, when no block can be taken yet. ``certificate_valid`` returns
        None while the committee is not known that should have signed. ``epoch_end`` is the last height of the epoch.
        """
        self._genesis_hash = genesis_hash
        self._store = store
        self._pool = pool
        self._links = links
        self._block_of = block_of
        self._committed_height = committed_height
        self._executing = executing
        self._epoch_is_open = epoch_is_open
        self._certificate_valid = certificate_valid
        self._take_batch = take_batch
        self._deliver = deliver
        self._epoch_end = epoch_end
        self._bases: dict[PeerId, int] = {}  # heights up to which peers said that they have nothing any more
        self._complained_at = -PRUNED_SECONDS
        self._heights: dict[PeerId, int] = {}  # what peers claim
        self._doubts: dict[PeerId, tuple[float, float]] = {}  # until when a claim is not believed, and for how long
        self._slow_until: dict[PeerId, float] = {}
        self._fetching: set[Hash] = set()
        self._to_fetch: asyncio.Queue[tuple[Hash, tuple[PeerId, ...]]] = asyncio.Queue(FETCHES_MAX)
        self._moved = asyncio.Event()
        self._risen_at = 0.0  # when our tip rose, or somebody was asked what comes after it
        self._turn = 0
        self._descent = Descent(
            self._block_from,
            lambda: self._links.connected(),
            committed_height,
            self._has_room,
            self._took,
            self._trust,
            self._doubt,
        )
        self.held: Callable[[], bool] = lambda: False  # while true, no blocks are asked for: a snapshot is on its way
        self.term: Callable[[], int] = lambda: 0  # of the epoch under way here
        self.on_later_term: Callable[[PeerId], Awaitable[None]] = _nothing  # a peer shows what is final in a later term

    # --- what we lack ---

    def heard(self, peer: PeerId, height: int) -> None:
        """Note the final height that a peer claims."""
        self._heights[peer] = height
        if any(map(self._believed, self._beyond_reach())):
            self._moved.set()

    def gone(self, peer: PeerId) -> None:
        """Forget what a peer claimed: its link is down."""
        self._heights.pop(peer, None)
        self._bases.pop(peer, None)

    def keep_only(self, peers: Collection[PeerId]) -> None:
        """Forget all about those who may not link any more."""
        for notes in (self._heights, self._doubts, self._slow_until, self._bases):
            for peer in [peer for peer in notes if peer not in peers]:
                del notes[peer]

    def height_of(self, peer: PeerId) -> int | None:
        """Return the final height that a peer claims."""
        return self._heights.get(peer)

    def claims(self) -> list[int]:
        """Return the final heights that peers claim."""
        return list(self._heights.values())

    def behind(self) -> bool:
        """Return whether a peer that we believe claims to be so far ahead that we ask for ranges.

        Who has pruned what we lack can show nothing of it: it is believed when most of those who are linked say so.
        """
        low = self._committed_height() + 1
        far = [peer for peer in self._above(low - 1 + BEHIND_HEIGHTS) if self._believed(peer)]
        return self._left_behind(low) or any(self._bases.get(peer, 0) < low for peer in far)

    def _left_behind(self, low: int) -> bool:
        """Return whether most of those who are linked say that they have pruned this height."""
        linked = self._links.connected()
        return 2 * sum(1 for peer in linked if self._bases.get(peer, 0) >= low) > len(linked)

    def _beyond_reach(self) -> list[PeerId]:
        """Return the peers who have what comes to us in ranges only: much, or what ends our epoch. R53"""
        return self._above(min(self._committed_height() + BEHIND_HEIGHTS, self._epoch_end()))

    def _above(self, height: int) -> list[PeerId]:
        return [peer for peer, claimed in self._heights.items() if claimed > height]

    def _believed(self, peer: PeerId) -> bool:
        return self._now() >= self._doubts.get(peer, (0.0, 0.0))[0]

    def _doubt(self, peer: PeerId) -> None:
        """A peer could not show what it claimed: a liar, or slow. Longer each time, so that a lie costs us nothing."""
        _, before = self._doubts.get(peer, (0.0, 0.0))
        length = min(max(2 * before, DOUBT_SECONDS), DOUBT_SECONDS_MAX)
        self._doubts[peer] = (self._now() + length, length)

    def _trust(self, peer: PeerId) -> None:
        self._doubts.pop(peer, None)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def committed(self) -> None:
        """Hear that the final height of our own core rose."""
        self._risen_at = self._now()
        self._moved.set()

    def fetch_block(self, block_hash: Hash, holders: tuple[PeerId, ...]) -> None:
        """Ask for a block; whatever comes goes to the inbox. The core asks again while it wants it."""
        if block_hash not in self._fetching and not self._to_fetch.full() and not self.held():
            self._fetching.add(block_hash)
            self._to_fetch.put_nowait((block_hash, holders))

    async def fetch_batches(self, names: Sequence[BatchDigest], rounds: int | None = None) -> None:
        """Return when all these batches are in the pool, or nobody had them in so many rounds of asking everybody.

        Without ``rounds`` it asks for ever: a final block needs them.
        """
        missing = [name for name in names if name not in self._pool]
        done = 0
        while missing and (rounds is None or done < rounds):
            done += 1
            asked = missing[:DIGESTS_ASKED_MAX]
            for peer in self._in_turn()[:2]:
                await self._fetch_batches_from(peer, asked)
                asked = [name for name in asked if name not in self._pool]
                if not asked:
                    break
            if asked:
                await asyncio.sleep(AGAIN_SECONDS)
            missing = [name for name in missing if name not in self._pool]

    async def run(self) -> None:
        """Fetch and catch up until cancelled."""
        self._risen_at = self._now()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._catch_up())
            tasks.create_task(self._descent.run())
            while True:
                block_hash, holders = await self._to_fetch.get()
                tasks.create_task(self._fetch_block(block_hash, holders))

    async def _fetch_block(self, block_hash: Hash, holders: tuple[PeerId, ...]) -> None:
        connected = self._in_turn()
        likely = [peer for peer in connected if peer in holders]
        try:
            for peer in (likely + [peer for peer in connected if peer not in holders])[:3]:
                block = await self._block_from(peer, block_hash)
                if block is not None:
                    self._deliver(BlockFetched(block))
                    return
        finally:
            self._fetching.discard(block_hash)

    async def _block_from(self, peer: PeerId, block_hash: Hash) -> Block | None:
        try:
            data = await self._request(peer, BLOCK, block_hash)
            if not data:
                return None
            block = decode_block(data)
            if block.hash != block_hash:
                raise DecodeError("another block than asked for")
        except RequestFailed:
            return None
        except DecodeError as error:
            self._links.blame(peer, 100, f"block: {error}")
            return None
        return block

    async def _fetch_batches_from(self, peer: PeerId, names: Sequence[BatchDigest]) -> None:
        try:
            data = await self._request(peer, BATCHES, encode(tuple(names)))
            items = as_tuple(decode(data), most=len(names))
            batches = [decode_batch(self._genesis_hash, as_bytes(item, most=BATCH_BYTES_MAX)) for item in items]
            if any(batch.digest not in names for batch in batches):
                raise DecodeError("another batch than asked for")
        except RequestFailed:
            return
        except DecodeError as error:
            self._links.blame(peer, 100, f"batches: {error}")
            return
        for batch in batches:
            if not await self._take_batch(batch):  # honest validators hold, and so send, only what is valid
                self._links.blame(peer, 100, "a batch that is not valid")
                return

    async def _catch_up(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._moved.wait()
            self._moved.clear()
            await self._probe_if_quiet()
            while self._beyond_reach():  # also while none of them is believed: each is asked again some time
                if not self._has_room() or not await self._get_ranges():
                    await asyncio.sleep(AGAIN_SECONDS)
                    await self._probe_if_quiet()  # a liar is ahead for ever, and the others perhaps by a few blocks

    def _has_room(self) -> bool:
        return not self.held() and self._executing() <= EXECUTING_MAX and self._epoch_is_open()

    async def _probe_if_quiet(self) -> None:
        """Ask somebody what comes next if our tip has not risen for long. Perhaps nothing: no reason to doubt."""
        if self._now() < self._risen_at + QUIET_SECONDS:
            return
        self._risen_at = self._now()
        peers = self._in_turn()
        if peers and self._has_room():
            found = await self._range_from(peers[0], self._committed_height() + 1)
            if found is not None:
                await self._took(found)

    async def _get_ranges(self) -> bool:
        """Ask some peers for one range each, of those that come next; return whether the final height rose."""
        low = self._committed_height() + 1
        ahead = [peer for peer in self._beyond_reach() if self._believed(peer)]
        linked = [peer for peer in self._in_turn() if peer in ahead]  # who has said hello is not linked yet
        able = [peer for peer in linked if self._bases.get(peer, 0) < low]
        if linked and not able and self._left_behind(low):
            self._complain(low)
        last = self._epoch_end()
        starts = range(low, low + RANGES_AT_ONCE * RANGE_BLOCKS_MAX, RANGE_BLOCKS_MAX)
        asked = [
            (peer, start)
            for peer, start in zip((peer for peer in able if peer not in self._descent.shown_by), starts, strict=False)
            if start == low or start <= min(last, self._heights.get(peer, 0))
        ]
        ranges = await asyncio.gather(*(self._range_from(peer, start) for peer, start in asked))
        rose = False
        for (peer, start), found in zip(asked, ranges, strict=True):
            if start != self._committed_height() + 1:
                continue  # the range before ended earlier, or did not come: it is asked for again
            if found is not None and await self._took(found):
                self._trust(peer)
                rose = True
            elif self._bases.get(peer, 0) < start and peer not in self._descent.shown_by:
                self._doubt(peer)
        return rose

    async def _range_from(self, peer: PeerId, low: int) -> BlocksSynced | None:
        try:
            found = self._checked_range(peer, low, await self._request(peer, RANGE, encode((low,))))
            if found is None or found.blocks:
                return found
            if low == self._committed_height() + 1:  # else others are asked for what comes before
                await self._descend(peer, found.certificate)
            return None
        except RequestFailed:
            return None
        except _LaterTerm:
            await self.on_later_term(peer)
            return None
        except DecodeError as error:
            self._links.blame(peer, 100, f"range: {error}")
            return None

    async def _descend(self, peer: PeerId, certificate: Certificate) -> None:
        """Fetch what a certificate finalizes by hashes: more than a range holds. Who shows it shows its block first."""
        if not self._descent.joined(peer, certificate):
            block = await self._block_from(peer, certificate.hash)
            if block is not None:
                self._descent.show(peer, certificate, block)

    async def _took(self, synced: BlocksSynced) -> bool:
        self._deliver(synced)
        return await self._rises_to(synced.blocks[-1].header.height)

    def _complain(self, low: int) -> None:
        if self._now() - self._complained_at >= PRUNED_SECONDS:
            self._complained_at = self._now()
            log.error("blocks_pruned", height=low, why="no linked peer has it any more: som resync --snapshot")

    def _checked_range(self, peer: PeerId, low: int, data: bytes) -> BlocksSynced | None:
        height, base, items, certificate_bytes = as_tuple(decode(data), 4)
        self._heights[peer] = as_int(height)
        self._bases[peer] = as_int(base)
        blocks = tuple(decode_block(as_bytes(item)) for item in as_tuple(items, most=RANGE_BLOCKS_HARD_MAX))
        if not blocks and not certificate_bytes:
            return None
        certificate = decode_certificate(as_bytes(certificate_bytes))
        for offset, block in enumerate(blocks):
            if block.header.height != low + offset:
                raise DecodeError("not the heights asked for")
            if offset and block.header.parent_hash != blocks[offset - 1].hash:
                raise DecodeError("blocks that do not follow one another")
        if certificate.kind is not Kind.FINALIZE or (blocks and certificate.hash != blocks[-1].hash):
            raise DecodeError("the certificate does not finalize the last block")
        if blocks and certificate.epoch != blocks[-1].header.epoch:
            raise DecodeError("the certificate is of another epoch than the block")
        if term_of(certificate.epoch) > self.term():
            raise _LaterTerm
        valid = self._certificate_valid(certificate)
        if valid is False:
            raise DecodeError("the certificate is not valid")
        return BlocksSynced(blocks, certificate) if valid else None

    async def _rises_to(self, height: int) -> bool:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while self._committed_height() < height:
                    await self._moved.wait()
                    self._moved.clear()
        except TimeoutError:
            return False
        return True

    async def _request(self, peer: PeerId, method: int, payload: bytes) -> bytes:
        """Ask, and remember who takes long, or does not answer in time. Raises RequestFailed."""
        began = self._now()
        try:
            return await self._links.request(peer, method, payload, DEADLINE_SECONDS)
        finally:
            if self._now() - began >= DEADLINE_SECONDS / 2:
                self._slow_until[peer] = self._now() + SLOW_SECONDS

    def _in_turn(self) -> list[PeerId]:
        """Return the connected peers, beginning with another one each time, those that time out at the end."""
        peers = list(self._links.connected())
        self._turn += 1
        start = self._turn % len(peers) if peers else 0
        now = self._now()
        return sorted(peers[start:] + peers[:start], key=lambda peer: now < self._slow_until.get(peer, now))

    # --- what others lack ---

    def serve(self, method: int, payload: bytes) -> bytes:
        """Return the answer to a peer's request. Raise DecodeError for what it should not have asked."""
        if method == BLOCK:
            return self._serve_block(Hash(as_bytes(payload, HASH_BYTES)))
        if method == BATCHES:
            return self._serve_batches(decode_digests(payload))
        if method == RANGE:
            (low,) = as_tuple(decode(payload), 1)
            return self._serve_range(as_int(low, 1))
        raise DecodeError("unknown method")

    def _serve_block(self, block_hash: Hash) -> bytes:
        block = self._block_of(block_hash)
        if block is not None:
            return block.encoded
        stored = self._store.block_by_hash(block_hash)
        return b"" if stored is None else stored.block_bytes

    def _serve_batches(self, names: Sequence[BatchDigest]) -> bytes:
        found: list[bytes] = []
        room = BATCHES_BYTES_MAX
        for name in names:
            held = self._pool.get(name)
            data = held.batch.encoded if held is not None else self._store.batch(name)
            if data is None:
                continue
            if found and len(data) > room:
                break
            found.append(data)
            room -= len(data)
        return encode(tuple(found))

    def _serve_range(self, low: int) -> bytes:
        """Answer with blocks from ``low`` on that one certificate finalizes: in one epoch, the last by its own.

        Before them stand our tip and our base: at it and below we have nothing. Where these blocks are too many for an
        answer the certificate comes alone.
        """
        tip, base = self._store.tip.height, self._store.base()
        last = self._last_of_range(low) if low > base else None
        if last is None:
            return encode((tip, base, (), b""))
        high, certificate = last
        if high >= low + RANGE_BLOCKS_HARD_MAX:
            return encode((tip, base, (), certificate))
        blocks = self._store.blocks(low, high - low + 1, bytes_max=RANGE_BYTES_MAX)
        if blocks and blocks[-1].height == high:
            return encode((tip, base, tuple(block.block_bytes for block in blocks), certificate))
        # The bytes ran out below ``high``: end at the last block among these that has its own certificate.
        for count in range(len(blocks), 0, -1):
            own = self._store.certificate(blocks[count - 1].height)
            if own:
                return encode((tip, base, tuple(block.block_bytes for block in blocks[:count]), own))
        return encode((tip, base, (), certificate))

    def _last_of_range(self, low: int) -> tuple[int, bytes] | None:
        first = self._store.certificate_from(low)
        if first is None or first[0] >= low + RANGE_BLOCKS_HARD_MAX:
            return first
        best = first
        epoch = decode_certificate(first[1]).epoch
        step = RANGE_BLOCKS_MAX
        while step >= 1:  # the furthest in this epoch within RANGE_BLOCKS_MAX
            further = self._store.certificate_from(low + step - 1)
            if (
                further is not None
                and further[0] < low + RANGE_BLOCKS_MAX
                and decode_certificate(further[1]).epoch == epoch
            ):
                best = max(best, further)
                break
            step //= 2
        return best
