"""What one certificate finalizes and no range can hold: block by block, from its own block down to our tip. R40

One rule: a block is known by its hash before it is asked for, so whoever is likely to answer first is asked, and what
has come stays true whoever showed the certificate. Ranges go on beside it; of two certificates the lower one counts.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from consensus.events import BlocksSynced
from consensus.messages import Block, Certificate, Hash
from network.wire import PeerId

# Where one validator is slow and another withholds its votes, a chain goes on that nobody finalizes, four blocks a
# second without batches. So many are four hours of it, 30 MB.
DESCENT_BLOCKS_MAX: Final = 65_536
GAP_SECONDS: Final = 0.03  # between two questions to one peer: it answers 50 a second, and ranges are asked for as well
AGAIN_SECONDS: Final = 0.1  # until who did not give a block is asked again: it may have been busy
STALL_SECONDS: Final = 30.0  # without one more block nobody who showed the certificate is believed for a while
FADING: Final = 0.99  # of what is remembered of how long a peer took, with each question


class Descent:
    """The way down from one certified block, and who has shown its certificate."""

    def __init__(
        self,
        block_from: Callable[[PeerId, Hash], Awaitable[Block | None]],
        connected: Callable[[], Sequence[PeerId]],
        committed_height: Callable[[], int],
        has_room: Callable[[], bool],
        take: Callable[[BlocksSynced], Awaitable[bool]],
        trust: Callable[[PeerId], None],
        doubt: Callable[[PeerId], None],
    ) -> None:
        """``take`` returns whether the final height rose; ``trust`` and ``doubt`` judge those who showed it."""
        self._block_from = block_from
        self._connected = connected
        self._committed_height = committed_height
        self._has_room = has_room
        self._take = take
        self._trust = trust
        self._doubt = doubt
        self._certificate: Certificate | None = None
        self._blocks: deque[Block] = deque()  # ascending; the last one is the certificate's; kept when nobody goes on
        self._peers: dict[PeerId, tuple[float, float]] = {}  # from when to ask, and how long it is likely to take
        self._shown = asyncio.Event()
        self._grown_at = 0.0
        self.shown_by: set[PeerId] = set()  # while we descend: they have no range for us

    def joined(self, peer: PeerId, certificate: Certificate) -> bool:
        """Return whether a peer shows the certificate from which we descend; then it counts among those who did."""
        if self._certificate is None or certificate.hash != self._certificate.hash:
            return False
        self._go_on(peer)
        return True

    def show(self, peer: PeerId, certificate: Certificate, block: Block) -> None:
        """Descend from a block that a valid certificate finalizes, unless it is below our tip or too far above it."""
        height, committed = block.header.height, self._committed_height()
        if block.header.epoch != certificate.epoch or not committed < height <= committed + DESCENT_BLOCKS_MAX:
            return
        top = self._blocks[-1].header.height if self._blocks else 0
        if not committed < top <= height:
            kept = [each for each in self._blocks if committed < each.header.height < height]
            follows = kept and kept[-1].hash == block.header.parent_hash
            self._certificate, self._blocks = certificate, deque([*kept, block] if follows else [block])
        self._go_on(peer)

    async def run(self) -> None:
        """Descend whenever there is something to descend from, until cancelled."""
        while True:
            await self._shown.wait()
            self._shown.clear()
            while self.shown_by:
                await self._step()

    def _go_on(self, peer: PeerId) -> None:
        if not self.shown_by:
            self._grown_at = self._now()
        self.shown_by.add(peer)
        self._shown.set()

    async def _step(self) -> None:
        assert self._certificate is not None
        if not self._has_room():
            self._grown_at = self._now()
            await asyncio.sleep(AGAIN_SECONDS)
            return
        committed = self._committed_height()
        if self._blocks[-1].header.height <= committed:
            self._end(self._doubt)  # ranges were here first
        elif self._blocks[0].header.height > committed + 1:
            await self._fetch_next()
        else:
            above = tuple(block for block in self._blocks if block.header.height > committed)
            self._end(self._trust if await self._take(BlocksSynced(above, self._certificate)) else self._doubt)

    async def _fetch_next(self) -> None:
        """Fetch the block below the lowest one, or nothing this time."""
        peer = await self._next_peer()
        lowest, certificate, began = self._blocks[0], self._certificate, self._now()
        assert certificate is not None
        block = None if peer is None else await self._block_from(peer, lowest.header.parent_hash)
        now = self._now()
        if peer is not None:
            self._peers = {each: (since, FADING * took) for each, (since, took) in self._peers.items()}
            self._peers[peer] = now + AGAIN_SECONDS if block is None else began + GAP_SECONDS, now - began
        if block is None:
            if now - self._grown_at >= STALL_SECONDS:
                self._stop(self._doubt)
        elif self._blocks[0] is not lowest:
            pass  # a lower certificate was shown meanwhile
        elif (block.header.epoch, block.header.height) != (certificate.epoch, lowest.header.height - 1):
            self._end(self._doubt)
        else:
            self._blocks.appendleft(block)
            self._grown_at = now

    async def _next_peer(self) -> PeerId | None:
        """Return the peer that is likely to answer first, when it may be asked."""
        peers = self._connected()
        if not peers:
            await asyncio.sleep(AGAIN_SECONDS)
            return None
        now = self._now()
        self._peers = {peer: self._peers.get(peer, (0.0, 0.0)) for peer in peers}
        waits = {peer: max(0.0, since - now) for peer, (since, _) in self._peers.items()}
        best = min(peers, key=lambda peer: waits[peer] + self._peers[peer][1])
        await asyncio.sleep(waits[best])
        return best

    def _end(self, judge: Callable[[PeerId], None]) -> None:
        self._certificate = None
        self._blocks.clear()
        self._stop(judge)

    def _stop(self, judge: Callable[[PeerId], None]) -> None:
        for peer in self.shown_by:
            judge(peer)
        self.shown_by.clear()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
