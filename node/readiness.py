"""The word of a new validator that it is ready: its node follows the chain and reaches the others.

One rule: the consensus key says so only while it is true. The ledger takes the word for the height and root that it
names (node/ledger/param.py), so what is signed here binds nobody to anything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from node.ledger.execute import Ledger
from node.rpc.ports import Readiness
from node.signing.requests import SignReadiness
from node.signing.signer import Signer, signature_of

NOT_AWAITED = "no seat waits for the keys of this node"
NOT_SIGNED = "the signer did not sign"


@dataclass(frozen=True, slots=True)
class ReadinessSigner:
    """Has it signed by a node's consensus key; ``node_key`` is the public key of its links."""

    signer: Signer
    node_key: bytes
    ledger: Ledger

    async def sign(self, reasons: Sequence[str]) -> Readiness | tuple[str, ...]:
        """Return the signed word, or why there is none: ``reasons``, or that nobody waits for these keys."""
        keys = (self.signer.public, self.node_key)
        name = next((seat.name for seat in self.ledger.roster if seat.next == keys), None)
        if name is None:
            return (NOT_AWAITED,)
        checkpoint = self.ledger.checkpoint
        if reasons or checkpoint is None:
            return tuple(reasons) or ("the chain is too short for a checkpoint",)
        height, root = checkpoint
        signature = await signature_of(self.signer, SignReadiness(name, self.node_key, height, root))
        if signature is None:
            return (NOT_SIGNED,)
        return Readiness(name, self.node_key, height, root, signature)
