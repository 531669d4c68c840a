"""Who validates in which epoch under which protocol version, as the chain itself says.

    last block of epoch e -> its executed height h -> roster after h -> those who count -> the committee of epoch e + 1
                                                   -> version demanded after h, never below e's -> that of epoch e + 1

One rule: a committee is read from state that we have executed ourselves, and it is the one that a quorum of the
committee before named in its last block. What is not known yet is None, never a guess and never a lie of a peer.
"""

from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
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
from node.decree import SignedDecree, epoch_of
from node.executor import Diverged
from node.ledger.genesis import Genesis
from node.ledger.validators import Roster, decode_roster, members
from node.members import Members
from node.storage.records import StoredBlock, Tip
from node.terms import begin_height, end_height, epoch_above, term_of
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


@dataclass(frozen=True, slots=True)
class Boundary:
    """A stored last block of an epoch, and the committee that it names."""

    block: Block
    members: Members


@dataclass(frozen=True, slots=True)
class Decreed:
    """A decree, and the committee that it names."""

    signed: SignedDecree
    members: Members


class Epochs:
    """Committees by epoch, rosters by height. ``decrees`` are those of this chain, by term."""

    def __init__(self, genesis: Genesis, store: Store, decrees: Sequence[SignedDecree] = ()) -> None:
        self.length = genesis.epoch_length
        self.decrees = tuple(decrees)
        self._allow_dominant = genesis.kind == "devnet"
        self._store = store
        self._known: OrderedDict[int, Members] = OrderedDict()

    def after_height(self, height: int) -> int:
        """Return the epoch of the block above ``height``."""
        return epoch_above(height, self.length, self.term_above(height))

    def newest_roster(self) -> Roster:
        """Return the roster after the highest stored block."""
        height = self._store.tip.height
        return self._roster_at(height, self.term_above(height))

    def decree_after(self, epoch: int) -> SignedDecree | None:
        """Return the decree that ends the term of an epoch, if it is known here."""
        term = term_of(epoch)
        return self.decrees[term] if term < len(self.decrees) else None

    def existing(self, epoch: int) -> int:
        """Return an epoch, or the first one of the next term if a decree ended its term before it began."""
        while (ended := self.decree_after(epoch)) and ended.decree.base_height <= begin_height(epoch, self.length):
            epoch = epoch_of(ended.decree, self.length)
        return epoch

    def end_height(self, epoch: int) -> int:
        """Return the last height of an epoch, unless a decree ends it earlier."""
        return end_height(epoch, self.length)

    def first_height(self, epoch: int) -> int:
        """Return the first height of an epoch."""
        return max(begin_height(epoch, self.length), self._begun_above(term_of(epoch))) + 1

    def decreed_roster(self, height: int) -> Roster | None:
        """Return the roster that the block at ``height`` begins with: that of the decree whose term it begins. R65"""
        term = self.term_above(height - 1)
        if not term or self.decrees[term - 1].decree.base_height != height - 1:
            return None
        return self.decrees[term - 1].decree.roster

    def members(self, epoch: int) -> Members | None:
        """Return the committee of an epoch; None until the last block of the epoch before is stored here."""
        known = self._known.get(epoch)
        if known is not None:
            return known
        begun = self._begun_by(epoch)
        if begun is not None:
            return self._remember(self._decreed(begun, epoch))
        boundary = self._boundary(epoch)
        if boundary is not None:
            return self.after(boundary)
        older = self._kept(epoch)
        if older is None:
            return None
        if isinstance(older, SignedDecree):
            return self._remember(self._decreed(older, epoch))
        return self._remember(self._named_by(older.header, epoch))

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
        ended = self.members(epoch - 1) if self._boundary(epoch) is not None and height % self.length == 0 else None
        if height == 0 or ended is None or ended.version not in supported:
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
        epoch = epoch_above(header.height, self.length, self.term_above(header.height - 1))
        known = self._known.get(epoch)
        if known is not None or header.executed_height > self._store.tip.height:
            return known
        found = self._named_by(header, epoch)
        if found.committee.hash != header.next_validators_hash:
            raise Diverged(f"final block {header.height} names another committee of epoch {epoch} than our state has")
        return self._remember(found)

    def named_by(self, boundary: Header) -> Members | None:
        """Return the committee that a last block of an epoch names, final or not; None while that is not known here."""
        if boundary.executed_height > self._store.tip.height:
            return None
        term = self.term_above(boundary.height - 1)
        return self._named_by(boundary, epoch_above(boundary.height, self.length, term))

    def changes(self, after: int) -> Iterator[Boundary | Decreed]:
        """Yield the committees after that of epoch ``after`` that differ from the one before, and those of decrees.

        That is the stored last block of the epoch before. A roster counts from the first such block that has its height
        executed; blocks between which no roster changed are not read.
        """
        for term in range(term_of(after), len(self.decrees) + 1):
            if term == term_of(after):
                epoch, executed = after, self._counted_for(after)
            else:
                signed = self.decrees[term - 1]
                epoch = epoch_of(signed.decree, self.length)
                executed = self._counted_for(epoch)
                if executed is not None:
                    yield Decreed(signed, self._decreed(signed, epoch))
            if executed is None or not (yield from self._changes(term, epoch, executed)):
                return

    def _changes(self, term: int, epoch: int, executed: int) -> Generator[Boundary, None, bool]:
        """Yield the changes at the ends of epochs of one term; return whether it may be followed by another term."""
        last = self.decrees[term].decree.base_height if term < len(self.decrees) else None
        for height in self._store.roster_heights(executed + 1):
            if height <= executed:
                continue  # the block that counted the one before counted this one too
            epoch = max(epoch + 1, epoch_above(height + self.length - 1, self.length, term))
            while (boundary := self._boundary(epoch)) is not None and boundary.header.executed_height < height:
                epoch += 1
            if boundary is None:
                return last is not None and begin_height(epoch, self.length) >= last
            executed = self._counted(boundary.header)
            if boundary.header.next_validators_hash != boundary.header.validators_hash:
                following = self.after(boundary)
                assert following is not None, "what a stored block names as executed is executed here"
                yield Boundary(boundary, following)
        return True

    def trail(self, last: int) -> list[int]:
        """Return the epochs, ascending, whose first committee follows from a block that must be kept.

        Between them neither committee nor version changes: with the last blocks before these, the decrees, and the
        rosters, whoever has the genesis follows all committees up to that of epoch ``last``, and knows it and the one
        before.
        """
        found = {last - 1, last}
        executed = 0
        changed = {*self._store.roster_heights(1), *(height for height, _ in self._store.versions(1))}
        for height in sorted(changed):
            for term in range(self.term_above(height - 1), term_of(last) + 1):
                epoch = epoch_above(height + self.length - 1, self.length, term)
                while height > executed and epoch <= last:
                    boundary = self._boundary(epoch)
                    if boundary is None:
                        break
                    found.add(epoch)
                    executed = max(executed, boundary.header.executed_height)
                    epoch += 1
        return sorted(epoch for epoch in found if epoch > 0 and self._boundary(epoch) is not None)

    def settled(self, height: int) -> bool:
        """Return whether the committee of the block above ``height`` is that of the roster after it, seat by seat."""
        epoch = self.after_height(height)
        begun = self._begun_by(epoch)
        if begun is not None:
            return height > begun.decree.base_height  # its seats are signed
        boundary = self._boundary(epoch)
        if boundary is None:
            return False
        counted, executed = self._counted(boundary.header), boundary.header.executed_height
        low = counted + (1 if self.decreed_roster(counted + 1) is None else 2)  # the state has a decree's a block later
        changed = next(self._store.roster_heights(low), height + 1)
        return min(changed, next(self._store.versions(executed + 1), (height + 1, 0))[0]) > height

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
        term = self.term_above(height - 1)
        counted = max(executed_height, self._begun_above(term))
        return Hash(self._made(epoch_above(height, self.length, term), counted, version).committee.hash)

    def ending(self, epoch: int) -> Certificate | None:
        """Return the stored finalization of an epoch's last block."""
        height = end_height(epoch, self.length)
        if not 0 < height <= self._store.tip.height or self.after_height(height - 1) != epoch:
            return None
        stored = self._store.certificate(height)
        return decode_certificate(stored) if stored else None

    def term_above(self, height: int) -> int:
        """Return the term of the block above ``height``."""
        return sum(1 for signed in self.decrees if signed.decree.base_height <= height)

    # --- terms ---

    def _begun_above(self, term: int) -> int:
        """Return the height above which a term's blocks stand; -1 for the first, which has block 0."""
        return self.decrees[term - 1].decree.base_height if term else -1

    def _begun_by(self, epoch: int) -> SignedDecree | None:
        """Return the decree that begins this very epoch."""
        term = term_of(epoch)
        if not 0 < term <= len(self.decrees):
            return None
        signed = self.decrees[term - 1]
        return signed if epoch == epoch_of(signed.decree, self.length) else None

    def _decreed(self, signed: SignedDecree, epoch: int) -> Members:
        """Return the committee of a decree in an epoch of its term, under the version of its base. R65"""
        return Members(epoch, members(signed.decree.roster), self._allow_dominant, signed.header.version)

    def _counted_for(self, epoch: int) -> int | None:
        """Return the height whose roster makes an epoch's committee; None while that is not here."""
        found = self._begun_by(epoch) or self._boundary(epoch) or self._kept(epoch)
        if found is None:
            return None
        if isinstance(found, Block):
            return self._counted(found.header)
        return found.decree.base_height if found.decree.base_height <= self._store.tip.height else None

    # --- blocks ---

    def _boundary(self, epoch: int) -> Block | None:
        """Return the stored last block before an epoch, both of the same term."""
        height = begin_height(epoch, self.length)
        if height > self._store.tip.height or not self._within(epoch, height):
            return None
        stored = self._store.block(height)
        return None if stored is None else decode_block(stored.block_bytes)

    def _within(self, epoch: int, height: int) -> bool:
        """Return whether the block at ``height`` and the one above it are both of an epoch's term."""
        if height == 0:
            return epoch == 0
        return self.term_above(height - 1) == self.term_above(height) == term_of(epoch)

    def _kept(self, epoch: int) -> Block | SignedDecree | None:
        """Return what an epoch's committee follows from, if the block before it is not kept: nothing changed since."""
        height, term = begin_height(epoch, self.length), term_of(epoch)
        if not 0 < height < self._store.base() or not self._within(epoch, height):
            return None
        low = self._begun_above(term)
        for each in self._store.blocks_down_from(height):
            if each.height <= low:
                break
            if each.height % self.length == 0:
                return decode_block(each.block_bytes)
        return self.decrees[term - 1] if term else None

    def _remember(self, found: Members) -> Members:
        self._known[found.epoch] = found
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return found

    def _counted(self, header: Header) -> int:
        """Return the height whose roster a last block of an epoch names."""
        return max(header.executed_height, self._begun_above(self.term_above(header.height - 1)))

    def _roster_at(self, height: int, term: int) -> Roster:
        """Return the roster after a height; at a term's base that of its decree, one block before the state has it."""
        if term and height == self._begun_above(term):
            return self.decrees[term - 1].decree.roster
        return decode_roster(self._store.roster_at(height))

    def _version(self, boundary: Header) -> int:
        """Return the version that follows a boundary. A demand taken back too late lets it not fall. R60"""
        return max(boundary.version, self._store.version_at(boundary.executed_height))

    def _named_by(self, boundary: Header, epoch: int) -> Members:
        return self._made(epoch, self._counted(boundary), self._version(boundary))

    def _made(self, epoch: int, executed_height: int, version: int) -> Members:
        return Members(epoch, members(self._roster_at(executed_height, term_of(epoch))), self._allow_dominant, version)


def epoch_of_message(message: Message) -> int:
    """Return the epoch that a message says it is of."""
    return message.vote.epoch if isinstance(message, Proposal) else message.epoch


def epoch_of_record(record: bytes) -> int:
    """Return the epoch of a record of the journal."""
    fact = decode_record(record)
    return fact.header.epoch if isinstance(fact, Block) else fact.epoch
