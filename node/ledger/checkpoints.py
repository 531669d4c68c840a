"""Roots of recent heights, one of which a new validator signs to say that its node has executed the chain so far.

One rule: the root of a finished height is known to the next block, and is a row of the state from that block on, so
that all nodes know the same ones, also after a restart. Height 0 is none: whoever has the genesis knows its root.
"""

from typing import Final

from consensus.encoding import as_bytes, decode, encode
from node.ledger.recent import Changes, Reader

CHECKPOINT: Final = b"c"  # height -> root        in the tree

CHECKPOINT_HEIGHTS: Final = 16  # a few seconds apart, and within an epoch also where epochs are short
CHECKPOINTS_MAX: Final = 256  # 4,096 heights: four epochs of 1,024, time for an institution to sign and submit


class Checkpoints:
    """Height -> root (32 bytes) of the last 256 heights that are multiples of 16."""

    def __init__(self, reader: Reader, height: int, root: bytes) -> None:
        """Read the rows of the state, whose last finished block has this height and root. Raises DecodeError."""
        rows = reader.scan(CHECKPOINT, bytes((CHECKPOINT[0] + 1,)))
        self._roots = {int.from_bytes(key[1:], "big"): as_bytes(decode(row), 32) for key, row in rows}
        self.take(height, root)

    @property
    def newest(self) -> tuple[int, bytes] | None:
        """The newest height and root, or None."""
        return next(reversed(self._roots.items()), None)

    def root(self, height: int) -> bytes | None:
        """Return the root of a height that is a recent checkpoint."""
        return self._roots.get(height)

    def take(self, height: int, root: bytes) -> None:
        """Take note of a finished block, the last."""
        if height and height % CHECKPOINT_HEIGHTS == 0:
            self._roots[height] = root

    def finish(self, height: int, changes: Changes) -> None:
        """Add the changes of the block at ``height``: the row of the height before, and the oldest one's end."""
        before = height - 1
        root = self._roots.get(before)
        if root is None:
            return
        changes[_key(before)] = encode(root)
        dropped = before - CHECKPOINT_HEIGHTS * CHECKPOINTS_MAX
        if self._roots.pop(dropped, None) is not None:
            changes[_key(dropped)] = None


def _key(height: int) -> bytes:
    return CHECKPOINT + height.to_bytes(8, "big")
