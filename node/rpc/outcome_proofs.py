"""The proof of one outcome of a block, made in turns: ``prove_outcome`` of node/ledger/commitment.py, level by level.

One rule: the tree of the largest block stops nobody.
"""

from hashlib import sha256
from typing import Final

from node.ledger.commitment import OUTCOME_NODE_TAG, OutcomeProof
from node.rpc.reading import HASH_BYTES
from node.rpc.turns import Turns

LEAVES_AT_ONCE: Final = 2_048  # of a level, in one turn: 1 ms


async def prove_outcome_in_turns(turns: Turns, leaves: bytes, index: int) -> OutcomeProof:
    """Return the proof of the outcome at ``index``; ``leaves`` are the leaf hashes, one behind the other."""
    level = [leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)]
    size, at, path = len(level), index, []
    while len(level) > 1:
        if at ^ 1 < len(level):
            path.append(level[at ^ 1])
        above: list[bytes] = []
        for begin in range(0, len(level), LEAVES_AT_ONCE):
            if begin:
                await turns.next()
            piece = level[begin : begin + LEAVES_AT_ONCE]
            above += (
                sha256(b"%b%b%b" % (OUTCOME_NODE_TAG, *pair)).digest()
                for pair in zip(piece[::2], piece[1::2], strict=False)
            )
            above += piece[-1:] if len(piece) % 2 else ()
        level, at = above, at // 2
    return OutcomeProof(index, size, tuple(path))
