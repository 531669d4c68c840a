"""The committee of an epoch as the node's rooms see it: who they are called, and which keys their links prove.

One rule: only here does a committee index meet a network identity. Outside of the core a peer is its node key, for that
stays the same when an epoch begins and indices do not.
"""

from collections.abc import Sequence

from consensus.committee import Committee
from consensus.committee import Validator as Member
from consensus.crypto import PublicKey
from network.wire import PeerId
from node.ledger.genesis import Validator


class Members:
    """The committee of an epoch, its members in committee order, and the protocol version under which it works."""

    __slots__ = ("_indices", "_peers_by_author", "committee", "peers", "rows", "version")

    def __init__(self, epoch: int, rows: Sequence[Validator], allow_dominant: bool, version: int) -> None:
        """Take the rows in any order; raise ValueError if they make no committee."""
        self.version = version
        self.rows = tuple(sorted(rows, key=lambda row: row.consensus_key))  # in committee order
        self.committee = Committee(
            epoch, [Member(PublicKey(row.consensus_key), row.weight) for row in self.rows], allow_dominant
        )
        self.peers = tuple(PeerId(row.node_key) for row in self.rows)
        self._indices = {peer: index for index, peer in enumerate(self.peers)}
        self._peers_by_author = {row.consensus_key: PeerId(row.node_key) for row in self.rows}

    @property
    def epoch(self) -> int:
        """The epoch in which they validate."""
        return self.committee.epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._indices

    def index(self, peer: PeerId) -> int | None:
        """Return the place of a peer in the committee, or None."""
        return self._indices.get(peer)

    def place(self, peer: PeerId, key: bytes) -> int | None:
        """Return the place of a node with these two keys; None unless both are one member's."""
        return self._indices[peer] if self._peers_by_author.get(key) == peer else None

    def weight(self, peer: PeerId) -> int:
        """Return a peer's weight, 0 for one that is no member."""
        index = self._indices.get(peer)
        return 0 if index is None else self.rows[index].weight

    def peer_of(self, author: bytes) -> PeerId | None:
        """Return the node of a member, which its consensus key names."""
        return self._peers_by_author.get(author)
