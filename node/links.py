"""The network as the node's rooms see it: who may link, peers by their node keys, channels by purpose.

One rule: who may link follows from the chain and our own configuration, and from nothing that a peer says. A peer that
is no member of the committee hears all that is sent to all, and may ask for what is final.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from network.limits import Channel, Limits
from network.mesh import Mesh, PeerAddress
from network.peer import RequestFailed as NetworkRequestFailed
from network.wire import PeerId
from node.batches import BATCH_BYTES_MAX
from node.config import Peer
from node.evidence_pool import MESSAGE_BYTES_MAX as EVIDENCE_MESSAGE_BYTES_MAX
from node.ledger.validators import Roster, Seat
from node.members import Members
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
EVIDENCE: Final = Channel(
    number=3,
    name="evidence",
    payload_bytes_max=EVIDENCE_MESSAGE_BYTES_MAX,
    outbox_bytes_max=2 * 2**20,
    priority=2,
    on_full="drop_new",  # it is told of again when the link is made anew
    messages_per_second=5,
    bytes_per_second=256 * 2**10,
    messages_burst=64,  # all that the store may hold, for a peer that comes
    bytes_burst=2 * 2**20,
)
CHANNELS: Final = (CONSENSUS, BATCHES, EVIDENCE)
# Blocks of an epoch after which the links of those are closed who are no longer members: until then they learn that
# their last epoch is over, and what became of their clients' transactions.
FAREWELL_HEIGHTS: Final = 8
PEERS_MAX: Final = Limits().peers_max


class MeshLinks:
    """Sends to peers, and lets in those who may link."""

    def __init__(self) -> None:
        """``mesh`` is set once by the composition root."""
        self.mesh: Mesh
        self._allowed: list[PeerAddress] = []
        self.versions: dict[PeerId, int] = {}  # the newest protocol version of each peer, as it said in HELLO

    def allow(self, addresses: list[PeerAddress]) -> bool:
        """Set who may link; return whether that is another list than before."""
        if addresses == self._allowed:
            return False
        self._allowed = addresses
        known = frozenset(address.peer for address in addresses)
        self.versions = {peer: version for peer, version in self.versions.items() if peer in known}
        self.mesh.set_addresses(addresses)
        return True

    def connected(self) -> Sequence[PeerId]:
        """Return the peers with a link."""
        return self.mesh.connected()

    def send_consensus(self, peer: PeerId, payload: bytes) -> None:
        """Send to one peer; may be lost."""
        self.mesh.send(peer, CONSENSUS.number, payload)

    def broadcast_consensus(self, payload: bytes) -> None:
        """Send to all that are linked; may be lost."""
        self.mesh.broadcast(CONSENSUS.number, payload)

    def send_batch(self, peer: PeerId, payload: bytes) -> None:
        """Send to one peer; may be lost."""
        self.mesh.send(peer, BATCHES.number, payload)

    def broadcast_batch(self, payload: bytes) -> None:
        """Send to all that are linked; may be lost."""
        self.mesh.broadcast(BATCHES.number, payload)

    def send_evidence(self, peer: PeerId, payload: bytes) -> None:
        """Send to one peer; may be lost."""
        self.mesh.send(peer, EVIDENCE.number, payload)

    def broadcast_evidence(self, payload: bytes) -> None:
        """Send to all that are linked; may be lost."""
        self.mesh.broadcast(EVIDENCE.number, payload)

    async def request(self, peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        """Ask one peer. Raise RequestFailed."""
        try:
            return await self.mesh.request(peer, method, payload, deadline_seconds)
        except NetworkRequestFailed as failed:
            raise RequestFailed(failed.reason) from None

    def blame(self, peer: PeerId, points: int, reason: str) -> None:
        """Score a peer for what it sent."""
        self.mesh.penalize(peer, points, reason)


def may_link(members: Members, before: Members | None, roster: Roster, peers: Sequence[Peer]) -> list[PeerAddress]:
    """Return who may link, the most important first, each once, and where each listens as far as we know. R56

    These are the members, those of the epoch ``before`` while they are told that it is over, all keys of the newest
    executed roster, and what our own configuration pins by key.
    """
    known = [*_of_members(members), *_of_roster(roster), *(_of_members(before) if before else ())]
    named = {peer.name: peer for peer in peers}
    pinned = {PeerId(bytes.fromhex(peer.node_key)): peer for peer in peers if peer.node_key}
    found: dict[PeerId, PeerAddress] = {}
    for key, name, address in (*known, *((key, peer.name, "") for key, peer in pinned.items())):
        ours = pinned.get(key) or named.get(name)
        host, _, port = address.rpartition(":")
        where = (ours.host, ours.port) if ours else (host, int(port or 0))
        if key not in found or not found[key].host:
            found[key] = PeerAddress(key, name, *where)
    return list(found.values())[:PEERS_MAX]


def _of_members(members: Members) -> Iterator[tuple[PeerId, str, str]]:
    return ((PeerId(row.node_key), row.name, "") for row in members.rows)


def _of_roster(roster: Roster) -> Iterator[tuple[PeerId, str, str]]:
    """Yield a seat's keys. Its address may be that of either: another key that answers there is no harm."""
    for seat in roster:
        if seat.current is not None:
            yield PeerId(seat.current.node_key), seat.name, seat.address
        if seat.next is not None:
            yield PeerId(seat.next.node_key), _next_name(seat), seat.address


def _next_name(seat: Seat) -> str:
    return f"{seat.name} (next)" if seat.current else seat.name
