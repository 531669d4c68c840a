"""Where blocks stand: what a header must say in an epoch and on its parent.

One rule: who makes a block, who votes for it and who accuses its leader ask the same functions.
"""

from dataclasses import dataclass

from consensus.committee import Committee
from consensus.events import Content
from consensus.messages import (
    NO_HASH,
    PAYLOAD_BYTES_MAX,
    Block,
    Hash,
    Header,
    make_block,
    payload_hash,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where blocks stand: the same for a whole epoch."""

    committee: Committee
    genesis_hash: Hash
    end_height: int

    def next_block(self, view: int, parent_view: int, parent: Block, content: Content) -> Block:
        """Return the block of ``view`` on ``parent``, certified in ``parent_view``, that carries ``content``."""
        header = Header(
            genesis_hash=self.genesis_hash,
            epoch=self.committee.epoch,
            view=view,
            height=parent.header.height + 1,
            parent_view=parent_view,
            parent_hash=parent.hash,
            proposer=self.committee.leader(view),
            timestamp_ms=content.timestamp_ms,
            validators_hash=Hash(self.committee.hash),
            next_validators_hash=content.next_validators_hash,
            executed_height=content.executed_height,
            state_root=content.state_root,
            payload_hash=payload_hash(content.payload),
            version=content.version,
        )
        return make_block(header, content.payload)

    def fits(self, view: int, parent_view: int, parent: Block, block: Block) -> bool:
        """Return whether ``block`` may stand in ``view`` on ``parent``, as far as its header tells. R18."""
        header = block.header
        return (
            header.view == view
            and header.parent_view == parent_view
            and header.parent_hash == parent.hash
            and self.stands(header)
            and follows(header, parent.header)
            and len(block.payload) <= PAYLOAD_BYTES_MAX
        )

    def stands(self, header: Header) -> bool:
        """Return whether a header agrees with itself and with the epoch, whatever its parent is. R18."""
        return (
            header.genesis_hash == self.genesis_hash
            and header.epoch == self.committee.epoch
            and header.proposer == self.committee.leader(header.view)
            and header.parent_view < header.view
            and header.executed_height < header.height <= self.end_height
            and header.validators_hash == self.committee.hash
            and (header.next_validators_hash != NO_HASH) == (header.height == self.end_height)
        )


def follows(header: Header, before: Header) -> bool:
    """Return whether a header agrees with that of its parent. R18."""
    return (
        header.height == before.height + 1
        and header.timestamp_ms > before.timestamp_ms
        and header.executed_height >= before.executed_height
        and (header.version == before.version or (header.epoch > before.epoch and header.version > before.version))
    )
