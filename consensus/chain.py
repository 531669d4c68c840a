"""The committed tip and the blocks above it.

One rule: a block is here because it was certified or because we voted for it, so nobody can fill this with blocks of
their own; and what lies at or below the committed tip is gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final

from consensus.events import FetchBlock
from consensus.messages import Block, Hash

FETCHES_MAX: Final = 64  # blocks asked for in one retry
FETCH_HEIGHTS_MAX: Final = 64  # a final tip further above the committed one comes by range, not block by block


@dataclass(frozen=True, slots=True)
class Missing:
    """The first block that lacks on the way down from a tip, and the view that certified it."""

    hash: Hash
    view: int


@dataclass(frozen=True, slots=True)
class Path:
    """The way from the committed tip up to another: its blocks, ascending, above what is missing.

    ``forked`` means that it does not go through the committed tip.
    """

    blocks: tuple[Block, ...]
    missing: Missing | None
    forked: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """A block to fetch: the view that certified it or a descendant, and who signed that."""

    view: int
    holders: tuple[int, ...]


class Chain:
    """Blocks by hash, and those that we want."""

    __slots__ = ("_blocks", "committed", "wanted")

    def __init__(self, root: Block) -> None:
        self.committed = root
        self._blocks: dict[Hash, Block] = {root.hash: root}
        self.wanted: dict[Hash, Wanted] = {}

    def __iter__(self) -> Iterator[Block]:
        """Yield the uncommitted blocks, in the order in which they came."""
        return (block for block in self._blocks.values() if block is not self.committed)

    def get(self, block_hash: Hash) -> Block | None:
        """Return the block if it is here."""
        return self._blocks.get(block_hash)

    def add(self, block: Block) -> None:
        """Keep a certified block, or one that we vote for."""
        self.wanted.pop(block.hash, None)
        self._blocks.setdefault(block.hash, block)

    def want(
        self, missing: Missing, finalized_view: int, final_hash: Hash, holders: tuple[int, ...]
    ) -> list[FetchBlock]:
        """Want a block, unless it is wanted or will come in a range; return the request for it. R39.

        Below the final tip blocks are fetched by hash only if that tip is here and not far above the committed one.
        """
        if missing.hash in self.wanted:
            return []
        if missing.view < finalized_view:
            tip = self._blocks.get(final_hash)
            if tip is None or tip.header.height - self.committed.header.height > FETCH_HEIGHTS_MAX:
                return []
        self.wanted[missing.hash] = Wanted(missing.view, holders)
        return [FetchBlock(missing.hash, holders)]

    def requests(self) -> list[FetchBlock]:
        """Return the requests for what is wanted, longest wanted first. R39."""
        return [FetchBlock(name, wanted.holders) for name, wanted in islice(self.wanted.items(), FETCHES_MAX)]

    def continuation(self, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        """Return those above the committed height if they follow it and one another, else nothing. R40."""
        height = self.committed.header.height
        new = tuple(block for block in blocks if block.header.height > height)
        follows = all(block.header.height == height + step for step, block in enumerate(new, 1))
        linked = all(after.header.parent_hash == before.hash for before, after in pairwise(new))
        return new if follows and linked else ()

    def path(self, tip: Hash, view: int) -> Path:
        """Return the way from the committed tip to ``tip``, which ``view`` certified. R27."""
        blocks: list[Block] = []
        while tip != self.committed.hash:
            block = self._blocks.get(tip)
            if block is None:
                return Path(tuple(reversed(blocks)), Missing(tip, view), False)
            blocks.append(block)
            tip, view = block.header.parent_hash, block.header.parent_view
            if block.header.height <= self.committed.header.height + 1 and tip != self.committed.hash:
                return Path(tuple(reversed(blocks)), None, True)
        return Path(tuple(reversed(blocks)), None, False)

    def commit(self, tip: Block) -> None:
        """Move the committed tip; forget what can no longer be committed: what is not above it in height and view."""
        self.committed = tip
        self._blocks = {
            block.hash: block
            for block in self._blocks.values()
            if block.header.height > tip.header.height and block.header.view > tip.header.view
        }
        self._blocks[tip.hash] = tip
        self.wanted = {name: wanted for name, wanted in self.wanted.items() if wanted.view > tip.header.view}
