"""The word of a new validator that it is ready: its node follows the chain and reaches the others.

One rule: the consensus key says so only while it is true. The ledger takes the word for the height and root that it
names (node/ledger/param.py), so what is signed here binds nobody to anything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consensus.crypto import SecretKey
from node.ledger.execute import Ledger
from node.ledger.validators import readiness_statement
from node.rpc.ports import Readiness

NOT_AWAITED = "no seat waits for the keys of this node"


@dataclass(frozen=True, slots=True)
class ReadinessSigner:
    """Signs with a node's consensus key; ``node_key`` is the public key of its links."""

    genesis_hash: bytes
    key: SecretKey
    node_key: bytes
    ledger: Ledger

    def sign(self, reasons: Sequence[str]) -> Readiness | tuple[str, ...]:
        """Return the signed word, or why there is none: ``reasons``, or that nobody waits for these keys."""
        keys = (self.key.public, self.node_key)
        name = next((seat.name for seat in self.ledger.roster if seat.next == keys), None)
        if name is None:
            return (NOT_AWAITED,)
        checkpoint = self.ledger.checkpoint
        if reasons or checkpoint is None:
            return tuple(reasons) or ("the chain is too short for a checkpoint",)
        height, root = checkpoint
        statement = readiness_statement(self.genesis_hash, name, self.node_key, height, root)
        return Readiness(name, self.node_key, height, root, self.key.sign(statement))
