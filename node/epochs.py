"""Who validates in which epoch under which protocol version, as the chain itself says.

    last block of epoch e -> its executed height h -> roster after h -> those who count -> the committee of epoch e + 1
                                                   -> version demanded after h, never below e's -> that of epoch e + 1

One rule: a committee is read from state that we have executed ourselves, and it is the one that a quorum of the
committee before named in its last block. What is not known yet is None, never a guess and never a lie of a peer.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, Protocol

from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    Hash,
    Header,
    Message,
    Proposal,
    decode_block,
    decode_certificate,
)
from consensus.records import decode_record
from node.executor import Diverged
from node.ledger.genesis import Genesis
from node.ledger.validators import Roster, decode_roster, members
from node.members import Members
from node.storage.records import StoredBlock, Tip
from node.upgrades import VersionUnknown, told

KNOWN_MAX: Final = 4  # committees kept at hand: this epoch's, its neighbours'


class Store(Protocol):
    """What this room asks of the store."""

    @property
    def tip(self) -> Tip:
        """The highest stored block."""

    def block(self, height: int) -> StoredBlock | None:
        """Return the block at a height."""

    def certificate(self, height: int) -> bytes | None:
        """Return a block's own finalization."""

    def base(self) -> int:
        """Return the height at which the store begins."""

    def blocks_down_from(self, height: int) -> Iterator[StoredBlock]:
        """Yield the blocks that are here at a height and below, descending."""

    def roster_at(self, height: int) -> bytes:
        """Return the roster after a height."""

    def roster_heights(self, low: int) -> Iterator[int]:
        """Yield the heights from ``low`` on that changed the roster, ascending."""

    def version_at(self, height: int) -> int:
        """Return the protocol version demanded after a height."""

    def versions(self, low: int = 0) -> Iterator[tuple[int, int]]:
        """Yield (height, protocol version) of the heights from ``low`` on that changed it, ascending."""


class Epochs:
    """Committees by epoch, rosters by height."""

    def __init__(self, genesis: Genesis, store: Store) -> None:
        self.length = genesis.epoch_length
        self._allow_dominant = genesis.kind == "devnet"
        self._store = store
        self._known: OrderedDict[int, Members] = OrderedDict()

    def after_height(self, height: int) -> int:
        """Return the epoch of the block above ``height``."""
        return height // self.length

    def newest_roster(self) -> Roster:
        """Return the roster after the highest stored block."""
        return self._roster_at(self._store.tip.height)

    def members(self, epoch: int) -> Members | None:
        """Return the committee of an epoch; None until the last block of the epoch before is stored here."""
        known = self._known.get(epoch)
        if known is not None:
            return known
        boundary = self._boundary(epoch)
        if boundary is not None:
            return self.after(boundary)
        older = self._kept(epoch)
        if older is None:
            return None
        return self._remember(self._made(epoch, older.header.executed_height, self._version(older.header)))

    def at_start(self, supported: range) -> Members:
        """Return the committee that the block above the tip is for; where its version is unknown, that of the tip. R61

        Raises VersionUnknown if the tip itself is no block of a version in ``supported``.
        """
        height = self._store.tip.height
        epoch = self.after_height(height)
        members = self.members(epoch)
        assert members is not None, "the tip's epoch follows from what is stored"
        if members.version in supported:
            return members
        ended = self.members(epoch - 1) if height == epoch * self.length > 0 else None
        if ended is None or ended.version not in supported:
            raise VersionUnknown(
                f"height {height} needs protocol version {members.version}; known here: {told(supported)}"
            )
        return ended

    def after(self, boundary: Block) -> Members | None:
        """Return the committee that follows a final last block of an epoch (or block 0). R51

        None until the height is executed here of which the block speaks. Raises Diverged if the block names another
        committee than our state: a quorum signed it, so one of us has executed wrongly.
        """
        header = boundary.header
        assert header.height % self.length == 0, "not the last block of an epoch"
        epoch = self.after_height(header.height)
        known = self._known.get(epoch)
        if known is not None or header.executed_height > self._store.tip.height:
            return known
        found = self._made(epoch, header.executed_height, self._version(header))
        if found.committee.hash != header.next_validators_hash:
            raise Diverged(f"final block {header.height} names another committee of epoch {epoch} than our state has")
        return self._remember(found)

    def changes(self, after: int) -> Iterator[tuple[Block, Members]]:
        """Yield the committees after that of epoch ``after`` that differ from the one before, each with who named it.

        That is the stored last block of the epoch before. A roster counts from the first such block that has its height
        executed; blocks between which no roster changed are not read.
        """
        boundary = self._boundary(after) or self._kept(after)
        if boundary is None:
            return
        executed, epoch = boundary.header.executed_height, after
        for height in self._store.roster_heights(executed + 1):
            if height <= executed:
                continue  # the block that counted the one before counted this one too
            epoch = max(epoch + 1, -(-height // self.length))
            while (boundary := self._boundary(epoch)) is not None and boundary.header.executed_height < height:
                epoch += 1
            if boundary is None:
                return
            executed = boundary.header.executed_height
            if boundary.header.next_validators_hash != boundary.header.validators_hash:
                following = self.after(boundary)
                assert following is not None, "what a stored block names as executed is executed here"
                yield boundary, following

    def trail(self, last: int) -> list[int]:
        """Return the epochs, ascending, whose first committee follows from a block that must be kept.

        Between them neither committee nor version changes: with the last blocks before these, and the rosters, whoever
        has the genesis follows all committees up to that of epoch ``last``, and knows it and the one before.
        """
        found = {last - 1, last}
        executed = 0
        changed = {*self._store.roster_heights(1), *(height for height, _ in self._store.versions(1))}
        for height in sorted(changed):
            epoch = -(-height // self.length)
            while height > executed and epoch <= last:
                boundary = self._boundary(epoch)
                if boundary is None:
                    break
                found.add(epoch)
                executed = max(executed, boundary.header.executed_height)
                epoch += 1
        return sorted(epoch for epoch in found if epoch > 0)

    def settled(self, height: int) -> bool:
        """Return whether the committee of the block above ``height`` is that of the roster after it, seat by seat."""
        boundary = self._boundary(self.after_height(height))
        if boundary is None:
            return False
        low = boundary.header.executed_height + 1
        changed = next(self._store.roster_heights(low), height + 1), next(self._store.versions(low), (height + 1, 0))[0]
        return min(changed) > height

    def boundary(self, epoch: int) -> Block:
        """Return the stored last block before an epoch, of which ``trail`` speaks."""
        found = self._boundary(epoch)
        assert found is not None
        return found

    def next_validators_hash(self, height: int, executed_height: int) -> Hash | None:
        """Return what a header of these two heights must say of the next committee; None while we cannot know."""
        if height % self.length:
            return NO_HASH
        if executed_height > self._store.tip.height:
            return None
        version = self._store.version_at(executed_height)
        return Hash(self._made(self.after_height(height), executed_height, version).committee.hash)

    def ending(self, epoch: int) -> Certificate | None:
        """Return the stored finalization of an epoch's last block."""
        height = (epoch + 1) * self.length
        if not 0 < height <= self._store.tip.height:
            return None
        stored = self._store.certificate(height)
        return decode_certificate(stored) if stored else None

    def _boundary(self, epoch: int) -> Block | None:
        """Return the stored last block before an epoch."""
        height = epoch * self.length
        stored = self._store.block(height) if 0 <= height <= self._store.tip.height else None
        return None if stored is None else decode_block(stored.block_bytes)

    def _kept(self, epoch: int) -> Block | None:
        """Return the last block of an epoch before, if that before ``epoch`` is not kept: the committee is the same."""
        if not 0 < epoch * self.length < self._store.base():
            return None
        ends = (each for each in self._store.blocks_down_from(epoch * self.length) if each.height % self.length == 0)
        return decode_block(next(ends).block_bytes)

    def _remember(self, found: Members) -> Members:
        self._known[found.epoch] = found
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return found

    def _roster_at(self, height: int) -> Roster:
        return decode_roster(self._store.roster_at(height))

    def _version(self, boundary: Header) -> int:
        """Return the version that follows a boundary. A demand taken back too late lets it not fall. R60"""
        return max(boundary.version, self._store.version_at(boundary.executed_height))

    def _made(self, epoch: int, executed_height: int, version: int) -> Members:
        return Members(epoch, members(self._roster_at(executed_height)), self._allow_dominant, version)


def epoch_of_message(message: Message) -> int:
    """Return the epoch that a message says it is of."""
    return message.vote.epoch if isinstance(message, Proposal) else message.epoch


def epoch_of_record(record: bytes) -> int:
    """Return the epoch of a record of the journal."""
    fact = decode_record(record)
    return fact.header.epoch if isinstance(fact, Block) else fact.epoch
