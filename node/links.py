"""The network as the node's rooms see it: validators by committee index, channels by purpose.

One rule: only here does an index meet a network identity.
"""

from collections.abc import Sequence
from typing import Final

from consensus.committee import Committee
from network.limits import Channel
from network.mesh import Mesh
from network.peer import RequestFailed as NetworkRequestFailed
from network.wire import PeerId
from node.batches import BATCH_BYTES_MAX
from node.sync import RequestFailed

CONSENSUS: Final = Channel(
    number=1,
    name="consensus",
    payload_bytes_max=192 * 1024,  # a proposal: 64 kB of payload, eleven certificates of 31 signatures
    outbox_bytes_max=4 * 2**20,
    priority=0,
    on_full="disconnect",  # a validator that lost votes must notice; it reconnects and is helped
    messages_per_second=2_000,
    bytes_per_second=8 * 2**20,
    narrow_messages_per_second=20,
)
BATCHES: Final = Channel(
    number=2,
    name="batches",
    payload_bytes_max=BATCH_BYTES_MAX + 1,
    outbox_bytes_max=32 * 2**20,
    priority=1,
    on_full="drop_new",  # its author sends it again, and who lacks it asks
    messages_per_second=2_000,
    bytes_per_second=32 * 2**20,
)
CHANNELS: Final = (CONSENSUS, BATCHES)


class MeshLinks:
    """Sends to validators. Peers that are no validators (observers) hear nothing from here."""

    def __init__(self, committee: Committee, node_keys: dict[bytes, bytes]) -> None:
        """``node_keys`` maps consensus keys to node keys. ``mesh`` is set once by the composition root."""
        self.mesh: Mesh
        self._peers = [PeerId(node_keys[validator.public_key]) for validator in committee.validators]
        self._indices = {peer: index for index, peer in enumerate(self._peers)}

    def index_of(self, peer: PeerId) -> int | None:
        """Return the validator's index, None for another peer."""
        return self._indices.get(peer)

    def connected(self) -> Sequence[int]:
        """Return the validators with a link."""
        return [self._indices[peer] for peer in self.mesh.connected() if peer in self._indices]

    def send_consensus(self, peer: int, payload: bytes) -> None:
        """Send to one validator; may be lost."""
        self.mesh.send(self._peers[peer], CONSENSUS.number, payload)

    def broadcast_consensus(self, payload: bytes) -> None:
        """Send to all; may be lost."""
        self.mesh.broadcast(CONSENSUS.number, payload)

    def send_batch(self, peer: int, payload: bytes) -> None:
        """Send to one validator; may be lost."""
        self.mesh.send(self._peers[peer], BATCHES.number, payload)

    def broadcast_batch(self, payload: bytes) -> None:
        """Send to all; may be lost."""
        self.mesh.broadcast(BATCHES.number, payload)

    async def request(self, peer: int, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        """Ask one validator. Raise RequestFailed."""
        try:
            return await self.mesh.request(self._peers[peer], method, payload, deadline_seconds)
        except NetworkRequestFailed as failed:
            raise RequestFailed(failed.reason) from None

    def blame(self, peer: int, points: int, reason: str) -> None:
        """Score a validator for what it sent."""
        self.mesh.penalize(self._peers[peer], points, reason)
