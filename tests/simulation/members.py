"""Nodes and seats: a node is a machine on the network, a seat is an index in an epoch's committee.

One rule: the network, the disks and the liars know nodes; the core and its messages know seats; only here do the two
meet, by the key that a roster names.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from consensus.committee import Committee
from consensus.committee import Validator as Member
from consensus.crypto import PublicKey
from node.ledger.genesis import Validator as Row

NODES_MAX: Final = 64

_NODES: Final = {sha256(b"som-simulated-node %d" % node).digest(): node for node in range(NODES_MAX)}
_NODE_KEYS: Final = tuple(_NODES)

Rows = tuple[Row, ...]  # those who count in a committee


def node_key(node: int) -> bytes:
    """Return the key of a node's links."""
    return _NODE_KEYS[node]


def node_of(key: bytes) -> int:
    """Return the node whose links have this key."""
    return _NODES[key]


def as_members(rows: Sequence[Row]) -> list[Member]:
    """Return the rows as consensus has them."""
    return [Member(PublicKey(row.consensus_key), row.weight) for row in rows]


class Members:
    """The committee of an epoch, and which node has which seat."""

    def __init__(self, committee: Committee, rows: Rows) -> None:
        self.committee = committee
        self.rows = rows
        by_key = {row.consensus_key: node_of(row.node_key) for row in rows}
        self.nodes = tuple(by_key[member.public_key] for member in committee.validators)  # by seat
        self._seats = {node: seat for seat, node in enumerate(self.nodes)}

    def seat(self, node: int) -> int | None:
        """Return the seat of a node, None for one that only looks on."""
        return self._seats.get(node)

    def place(self, node: int) -> int:
        """Return the seat of a node, or a number for one that only looks on: liars divide the others by it."""
        return self._seats.get(node, node)
