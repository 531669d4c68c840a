"""Sees everything that every validator signs, sends, finalizes and executes, and says what must never be.

One rule: the judge shares no judgement with the code that it judges. It knows the shapes of messages, but counts
quorums, checks certificates, encodes signed statements and walks chains with code of its own.

Invariants (numbers as in consensus.md, section 16.2, and reliability.md, section 6.4):
    agreement       O1    one hash per height over all honest validators, for ever
    chain           O2    commits are contiguous, linked, in the epoch's range, proposed by their view's leader
    certificate     O3    whatever an honest validator sends or finalizes with carries a true quorum
    discipline      O4    one NOTARIZE and one FINALIZE a view, never FINALIZE and NULLIFY, across restarts
    exclusion       O5    reached: one notarization a view, never both finalization and nullification
    descent         O6    a reached notarization above a reached finalization descends from it
    justified       O14   who notarizes a block sees its parent notarized and every view between nullified
    inclusion       O14   a notarized view that is not nullified is below every later notarized block
    evidence        O7    evidence is sound and names no honest validator
    durable         O8    a vote leaves after its record, and its block's or its notarization's, is on disk
    liveness        O9    after the storm there is a new final block within the bound
    recovery        O10   a restarted validator does not go back, and catches up
    bounded         O11   rounds, blocks and the journal stay small
    execution       O13   one state per height; supply conserved
    batches         O15   no batch twice in a chain, no vote for a block without its batches
    well-behaved          no honest message is Invalid to an honest receiver; no honest core halts or crashes
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgpack

from consensus.messages import Block, Certificate, Hash, Header, Kind, Message, Proposal, Vote
from tests.simulation.application import Executed, payload_refs

Reached = dict[tuple[int, int], dict[bytes, None]]  # (epoch, view) -> hashes with a quorum, in order of arrival

Fact = tuple[object, ...]

NOTHING: Final = bytes(32)


class Violation(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class Bench:
    """Who sits in an epoch, by seat: keys, weights, and which nodes these are."""

    keys: tuple[bytes, ...]
    weights: tuple[int, ...]
    nodes: tuple[int, ...]


class Judge:
    """Over one run. ``weights`` and ``keys`` of the first committee, by seat; ``honest`` are nodes that never lie."""

    def __init__(
        self,
        genesis_hash: bytes,
        keys: Sequence[bytes],
        weights: Sequence[int],
        honest: frozenset[int],
        verify: Callable[[bytes, bytes, bytes], bool],
        genesis: Block,
    ) -> None:
        self._genesis_hash = genesis_hash
        self._bench = Bench(tuple(keys), tuple(weights), tuple(range(len(keys))))
        self._benches: dict[int, Bench] = {}  # of epochs that have begun somewhere
        self._early: dict[int, list[Vote]] = {}  # of liars, in epochs of which nobody knows yet who sits in them
        self._honest = honest
        self._verify = verify
        self._headers: dict[bytes, Header] = {}
        self._payloads: dict[bytes, bytes] = {}
        self._seen: set[tuple[int, int, int, bytes, int]] = set()
        self._pool: dict[tuple[int, int, int, bytes], set[int]] = {}
        self._reached: dict[Kind, Reached] = {kind: {} for kind in Kind}
        self._last_final: dict[int, tuple[int, bytes]] = {}  # epoch -> highest reached finalization
        self._discipline: dict[tuple[int, int, int], dict[Kind, bytes]] = {}
        self._roots: dict[int, bytes] = {0: genesis.hash}  # epoch -> the block that it starts from
        self._ends: dict[int, int] = {}  # epoch -> its last height
        self._chain: dict[int, bytes] = {0: genesis.hash}
        self._executed: dict[int, Executed] = {}
        self._good_certificates: set[Certificate] = set()
        self.highest_view: dict[int, int] = {}
        self.leader: Callable[[int, int], int] = lambda epoch, view: (epoch + view) % len(self._seats(epoch).keys)
        self.refs: Callable[[bytes], tuple[bytes, ...]] = payload_refs  # the batches that a payload names
        self.learn(genesis)

    @property
    def final_height(self) -> int:
        """The highest height that any honest validator has ever called final."""
        return len(self._chain) - 1

    @property
    def committees(self) -> int:
        """How many different ones have begun an epoch."""
        return len({(bench.keys, bench.weights) for bench in self._benches.values()})

    def epoch_starts(self, epoch: int, root: Block, end_height: int) -> None:
        """An epoch's genesis and last height, as every honest validator must see them."""
        if self._roots.setdefault(epoch, root.hash) != root.hash:
            raise Violation("agreement", f"epoch {epoch} starts from two blocks")
        if self._ends.setdefault(epoch, end_height) != end_height:
            raise Violation("agreement", f"epoch {epoch} ends at two heights")

    def convenes(self, epoch: int, root: Block, bench: Bench) -> None:
        """Who sits in an epoch, as an honest validator has it: those whom the state names of which ``root`` speaks."""
        if self._benches.setdefault(epoch, bench) != bench:
            raise Violation("agreement", f"epoch {epoch} has two committees")
        state = self._executed.get(root.header.executed_height)
        named = {row.consensus_key: row.weight for row in state.members} if state is not None else None
        if named is not None and named != dict(zip(bench.keys, bench.weights, strict=True)):
            raise Violation("agreement", f"epoch {epoch} has another committee than height {state} names")
        for vote in self._early.pop(epoch, ()):
            self._liar_signed(vote)

    def _seats(self, epoch: int) -> Bench:
        return self._benches.get(epoch, self._bench)

    def _node(self, vote: Vote) -> int | None:
        nodes = self._seats(vote.epoch).nodes
        return nodes[vote.signer] if vote.signer < len(nodes) else None

    def learn(self, block: Block) -> None:
        """A block that exists somewhere."""
        self._headers[block.hash] = block.header
        self._payloads[block.hash] = block.payload

    def finals(self) -> list[Header]:
        """The highest block of each epoch that the votes have made final, whether anybody has seen that or not."""
        return [self._header(block_hash) for _, block_hash in self._last_final.values()]

    def above(self, block_hash: bytes, ancestor: bytes) -> bool:
        """Return whether a block is another one, or stands above it."""
        return self._descends(block_hash, ancestor)

    # --- votes ---

    def signed(self, signer: int, vote: Vote) -> None:
        """An honest validator signed ``vote``."""
        if self._node(vote) != signer or not self._genuine(vote):
            raise Violation("discipline", f"n{signer} made an invalid vote {show(vote)}")
        self._check_discipline(signer, vote)
        self.highest_view[vote.epoch] = max(vote.view, self.highest_view.get(vote.epoch, 0))
        if vote.kind is Kind.NOTARIZE:
            self._check_justified(signer, vote)
        if vote.kind is Kind.FINALIZE and vote.hash not in self._reached[Kind.NOTARIZE].get(
            (vote.epoch, vote.view), ()
        ):
            raise Violation("justified", f"n{signer} finalizes without a notarization: {show(vote)}")
        self._count(vote)

    def sent(self, sender: int, honest: bool, message: Message) -> None:
        """Somebody put ``message`` on the wire."""
        match message:
            case Vote():
                self._vote_sent(sender, honest, message)
            case Proposal():
                if message.block is not None:
                    self.learn(message.block)
                if honest and self._node(message.vote) == sender:
                    self._vote_sent(sender, honest, message.vote)
                elif not honest:
                    self._liar_signed(message.vote)
                carried = (*message.justification, message.finalization)
                self._certificates_sent(sender, honest, [c for c in carried if c is not None])
            case Certificate():
                self._certificates_sent(sender, honest, [message])
            case _:
                pass

    def _vote_sent(self, sender: int, honest: bool, vote: Vote) -> None:
        if not honest:
            self._liar_signed(vote)
        elif self._node(vote) != sender or (vote.epoch, vote.view, vote.kind, vote.hash, vote.signer) not in self._seen:
            raise Violation("discipline", f"n{sender} sends a vote that it did not sign: {show(vote)}")

    def _liar_signed(self, vote: Vote) -> None:
        if self._benches and vote.epoch not in self._benches:
            self._early.setdefault(vote.epoch, []).append(vote)
        elif self._node(vote) not in self._honest and self._genuine(vote):
            self._count(vote)

    def _certificates_sent(self, sender: int, honest: bool, certificates: Sequence[Certificate]) -> None:
        if honest:
            for certificate in certificates:
                self._check_certificate(certificate, f"sent by n{sender}")

    def _check_discipline(self, signer: int, vote: Vote) -> None:
        signed = self._discipline.setdefault((signer, vote.epoch, vote.view), {})
        earlier = signed.setdefault(vote.kind, vote.hash)
        if earlier != vote.hash:
            raise Violation("discipline", f"n{signer} signs {show(vote)} after {earlier.hex()[:6]}")
        if Kind.FINALIZE in signed and Kind.NULLIFY in signed:
            raise Violation("discipline", f"n{signer} signs {show(vote)}: both FINALIZE and NULLIFY")

    def _check_justified(self, signer: int, vote: Vote) -> None:
        header = self._headers.get(vote.hash)
        if header is None:
            raise Violation("justified", f"n{signer} notarizes an unknown block: {show(vote)}")
        self._check_place(signer, vote, header)
        parent_view = header.parent_view
        if header.view != vote.view:
            # A boundary block again: it stands on its own latest notarization.
            parent_view = self._latest_notarization(vote.epoch, vote.hash, vote.view)
        elif not self._certified(vote.epoch, parent_view, header.parent_hash):
            raise Violation("justified", f"n{signer}: {show(vote)} on a parent that is not notarized in {parent_view}")
        for view in range(parent_view + 1, vote.view):
            if (vote.epoch, view) not in self._reached[Kind.NULLIFY]:
                raise Violation("justified", f"n{signer}: {show(vote)} skips view {view}, which is not nullified")

    def _check_place(self, signer: int, vote: Vote, header: Header) -> None:
        parent = self._headers.get(header.parent_hash)
        if (
            header.epoch != vote.epoch
            or header.view > vote.view
            or header.proposer != self.leader(header.epoch, header.view)
            or not self._ends.get(header.epoch - 1, 0) < header.height <= self._ends[header.epoch]
            or parent is None
            or header.height != parent.height + 1
        ):
            raise Violation("justified", f"n{signer} notarizes a block that stands in no place: {header}")

    def _certified(self, epoch: int, view: int, block_hash: bytes) -> bool:
        if view == 0:
            return self._roots.get(epoch) == block_hash
        place = (epoch, view)
        return block_hash in self._reached[Kind.NOTARIZE].get(place, ())

    def _latest_notarization(self, epoch: int, block_hash: bytes, below: int) -> int:
        header = self._headers[block_hash]
        if header.height != self._ends.get(epoch):
            raise Violation("justified", f"block {block_hash.hex()[:6]} again, but no last block of epoch {epoch}")
        for view in range(below - 1, header.view - 1, -1):
            if block_hash in self._reached[Kind.NOTARIZE].get((epoch, view), ()):
                return view
        raise Violation("justified", f"block {block_hash.hex()[:6]} again, but never notarized")

    def _count(self, vote: Vote) -> None:
        key = (vote.epoch, vote.view, vote.kind, vote.hash, vote.signer)
        if key in self._seen:
            return
        self._seen.add(key)
        signers = self._pool.setdefault((vote.epoch, vote.view, vote.kind, vote.hash), set())
        signers.add(vote.signer)
        place = (vote.epoch, vote.view)
        if self._is_quorum(vote.epoch, signers) and vote.hash not in self._reached[vote.kind].get(place, ()):
            self._reached[vote.kind].setdefault(place, {})[vote.hash] = None
            self._on_reached(vote.kind, vote.epoch, vote.view, vote.hash)

    def _is_quorum(self, epoch: int, signers: set[int]) -> bool:
        weights = self._seats(epoch).weights
        return 3 * sum(weights[signer] for signer in signers if signer < len(weights)) > 2 * sum(weights)

    def _on_reached(self, kind: Kind, epoch: int, view: int, block_hash: bytes) -> None:
        place = (epoch, view)
        if kind is not Kind.NULLIFY and len(self._reached[kind][place]) > 1:
            raise Violation("exclusion", f"two blocks reach {kind.name} in view {view} of epoch {epoch}")
        if place in self._reached[Kind.FINALIZE] and place in self._reached[Kind.NULLIFY]:
            raise Violation("exclusion", f"view {view} of epoch {epoch} is both finalized and nullified")
        if kind is Kind.NOTARIZE:
            self._check_descent(epoch, view, block_hash)
        elif kind is Kind.FINALIZE:
            self._on_final(epoch, view, block_hash)

    def _check_descent(self, epoch: int, view: int, block_hash: bytes) -> None:
        final = self._last_final.get(epoch)
        if final is not None and view > final[0] and not self._descends(block_hash, final[1]):
            raise Violation("descent", f"view {view} of epoch {epoch} is notarized beside final view {final[0]}")

    def _on_final(self, epoch: int, view: int, block_hash: bytes) -> None:
        before = self._last_final.get(epoch)
        if before is not None:
            low, high = sorted((before, (view, block_hash)))
            if not self._descends(high[1], low[1]):
                raise Violation("descent", f"views {low[0]} and {high[0]} of epoch {epoch} finalize two chains")
        if before is None or before[0] < view:
            self._last_final[epoch] = (view, block_hash)
        for (other_epoch, later), notarized in self._reached[Kind.NOTARIZE].items():
            for other in notarized if other_epoch == epoch and later > view else ():
                if not self._descends(other, block_hash):
                    raise Violation("descent", f"view {later} is notarized beside view {view}, which is final now")

    def inclusion(self) -> None:
        """At the end: a notarized view that nobody could nullify is below every later notarized block."""
        notarized = self._reached[Kind.NOTARIZE]
        kept = [place for place in notarized if place not in self._reached[Kind.NULLIFY]]
        for (epoch, later), others in notarized.items():
            below = [
                (view, block) for of, view in kept if of == epoch and view < later for block in notarized[of, view]
            ]
            for other in others if below else ():
                line = self._line(other, min(self._header(block).height for _, block in below))
                for view, block in below:
                    if line.get(self._header(block).height) != block:
                        raise Violation("inclusion", f"view {later} of epoch {epoch} passes view {view} over")

    def _line(self, block_hash: bytes, floor: int) -> dict[int, bytes]:
        """Return a block and its ancestors down to a height: height -> hash."""
        header = self._header(block_hash)
        line = {header.height: block_hash}
        while header.height > floor:
            block_hash = header.parent_hash
            header = self._header(block_hash)
            line[header.height] = block_hash
        return line

    def _descends(self, block_hash: bytes, ancestor: bytes) -> bool:
        floor = self._header(ancestor).height
        while self._header(block_hash).height > floor:
            block_hash = self._header(block_hash).parent_hash
        return block_hash == ancestor

    def _header(self, block_hash: bytes) -> Header:
        header = self._headers.get(block_hash)
        if header is None:
            raise Violation("descent", f"nobody ever showed block {block_hash.hex()[:6]}, but it has a certificate")
        return header

    def durable(self, signer: int, vote: Vote, facts: Set[Fact], holds_batch: Callable[[bytes], bool]) -> None:
        """An honest validator is about to sign ``vote``; ``facts`` and what ``holds_batch`` are surely on disk."""
        promise = ("vote", int(vote.kind), vote.epoch, vote.view, vote.hash)
        if promise not in facts:
            raise Violation("durable", f"n{signer} signs {show(vote)} before it is on disk")
        if vote.kind is Kind.NOTARIZE:
            if ("block", vote.hash) not in facts:
                raise Violation("durable", f"n{signer} signs {show(vote)}, but the block is not on disk")
            again = self._headers[vote.hash].view != vote.view  # its first notarization says that a quorum had them
            if not again and not all(holds_batch(ref) for ref in self.refs(self._payloads[vote.hash])):
                raise Violation("batches", f"n{signer} signs {show(vote)} without all batches on disk")
        if vote.kind is Kind.FINALIZE:
            if ("certificate", int(Kind.NOTARIZE), vote.epoch, vote.view, vote.hash) not in facts:
                raise Violation("durable", f"n{signer} signs {show(vote)}, but the notarization is not on disk")

    def rotated(self, index: int, before: Set[Fact], after: Set[Fact], epoch: int, floor: int) -> None:
        """A journal was replaced: it still holds every promise and certificate above the last finalized view."""
        for fact in sorted(before - after, key=repr):
            if fact[0] in ("vote", "certificate") and fact[2] == epoch and _as_view(fact[3]) > floor:
                raise Violation("durable", f"n{index} replaces its journal and loses {fact}")

    def invalid(self, sender: int, receiver: int, error: Exception) -> None:
        """An honest validator found a message of ``sender`` invalid."""
        if sender in self._honest:
            raise Violation("well-behaved", f"n{receiver} finds a message of honest n{sender} invalid: {error!r}")

    # --- certificates ---

    def _check_certificate(self, certificate: Certificate, where: str) -> None:
        if certificate in self._good_certificates:
            return
        signers = [signer for signer, _ in certificate.signatures]
        statement = self._statement(certificate.kind, certificate.epoch, certificate.view, certificate.hash)
        what = f"{certificate.kind.name} v{certificate.view} {where}"
        if len(set(signers)) != len(signers) or not self._is_quorum(certificate.epoch, set(signers)):
            raise Violation("certificate", f"{what} has no quorum: {signers}")
        if (certificate.hash == NOTHING) != (certificate.kind is Kind.NULLIFY):
            raise Violation("certificate", f"{what} names the wrong thing")
        keys = self._seats(certificate.epoch).keys
        for signer, signature in certificate.signatures:
            if signer >= len(keys) or not self._verify(keys[signer], statement, signature):
                raise Violation("certificate", f"{what}: n{signer} did not sign it")
        self._good_certificates.add(certificate)

    def _genuine(self, vote: Vote) -> bool:
        statement = self._statement(vote.kind, vote.epoch, vote.view, vote.hash)
        keys = self._seats(vote.epoch).keys
        return vote.signer < len(keys) and self._verify(keys[vote.signer], statement, vote.signature)

    def _statement(self, kind: Kind, epoch: int, view: int, block_hash: bytes) -> bytes:
        packed: bytes = msgpack.packb((self._genesis_hash, int(kind), epoch, view, block_hash))
        return b"som-vote-1" + packed

    # --- the chain ---

    def finalized(self, index: int, tip: tuple[int, bytes], blocks: Sequence[Block], certificate: Certificate) -> None:
        """An honest validator whose chain ended at ``tip`` (height, hash) calls ``blocks`` final."""
        height, parent = tip
        self._check_certificate(certificate, f"finalizes at n{index}")
        if certificate.kind is not Kind.FINALIZE or not blocks or certificate.hash != blocks[-1].hash:
            raise Violation("certificate", f"n{index} finalizes {len(blocks)} blocks with another certificate")
        for block in blocks:
            height += 1
            self._check_block(index, block, height, parent)
            parent = block.hash

    def _check_block(self, index: int, block: Block, height: int, parent: bytes) -> None:
        header = block.header
        named = f"n{index} height {height} block {block.hash.hex()[:6]}"
        if header.height != height or header.parent_hash != parent:
            raise Violation("chain", f"{named} does not follow {parent.hex()[:6]} (its height is {header.height})")
        if header.proposer != self.leader(header.epoch, header.view):
            raise Violation("chain", f"{named} is not by the leader of view {header.view}")
        if height > self._ends.get(header.epoch, height) or height <= self._ends.get(header.epoch - 1, 0):
            raise Violation("chain", f"{named} lies outside epoch {header.epoch}")
        agreed = self._chain.get(height)
        if agreed is None:
            self._check_new(named, block)
            self._chain[height] = block.hash
        elif agreed != block.hash:
            raise Violation("agreement", f"{named}, elsewhere {agreed.hex()[:6]}")

    def _check_new(self, named: str, block: Block) -> None:
        if self._hash_of(block) != block.hash:
            raise Violation("chain", f"{named} has another hash")
        self.learn(block)
        self._check_batches(block)

    def _hash_of(self, block: Block) -> bytes:
        fields = msgpack.unpackb(block.encoded, use_list=False)[0]
        return sha256(b"som-block-1" + msgpack.packb(fields)).digest()

    def _check_batches(self, block: Block) -> None:
        refs = self.refs(block.payload)
        if not refs:
            return
        at = block.header
        for _ in range(64):  # deep enough: the application looks at all ancestors, chance hits near ones
            if at.parent_hash not in self._payloads:
                return
            for ref in self.refs(self._payloads[at.parent_hash]):
                if ref in refs:
                    raise Violation(
                        "batches", f"batch {ref.hex()[:6]} twice, at {at.height - 1} and {block.header.height}"
                    )
            at = self._headers[at.parent_hash]

    def executed(self, index: int, executed: Executed) -> None:
        """An honest validator executed a height."""
        agreed = self._executed.setdefault(executed.height, executed)
        if agreed != executed:
            raise Violation("execution", f"n{index} has another state at height {executed.height}")
        if executed.total != 0 or executed.least < 0 or executed.supply < 0:
            raise Violation("execution", f"n{index} made or lost money at height {executed.height}: {executed}")

    def evidence(self, index: int, first: Vote, second: Vote) -> None:
        """An honest validator accuses."""
        same = (first.epoch, first.view, first.signer) == (second.epoch, second.view, second.signer)
        opposed = {first.kind, second.kind} == {Kind.FINALIZE, Kind.NULLIFY}
        double = first.kind is second.kind and first.kind is not Kind.NULLIFY and first.hash != second.hash
        if not same or not (opposed or double) or not self._genuine(first) or not self._genuine(second):
            raise Violation("evidence", f"n{index} accuses with {show(first)} and {show(second)}: proves nothing")
        if self._node(first) in self._honest:
            raise Violation("evidence", f"n{index} accuses honest n{first.signer}: {show(first)}, {show(second)}")

    def refused(self, index: int, vote: Vote) -> None:
        """An honest validator found a block invalid whose leader signed ``vote``."""
        if self._node(vote) in self._honest or not self._genuine(vote):
            raise Violation("evidence", f"n{index} refuses a block of honest n{vote.signer}: {show(vote)}")


def fact_of(record: bytes) -> Fact:
    """Return what a record of the journal says, read by code of our own."""
    kind, *fields = msgpack.unpackb(record, use_list=False)
    if kind == 0:
        return ("vote", *fields)
    if kind == 1:
        return ("certificate", *msgpack.unpackb(fields[0], use_list=False)[:4])
    if kind == 2:
        return ("block", sha256(b"som-block-1" + msgpack.packb(msgpack.unpackb(fields[0], use_list=False)[0])).digest())
    return ("other", *fields)


def _as_view(value: object) -> int:
    assert isinstance(value, int)
    return value


def show(vote: Vote) -> str:
    """Return a vote in a few words."""
    name = f" {vote.hash.hex()[:6]}" if vote.kind is not Kind.NULLIFY else ""
    return f"{vote.kind.name} e{vote.epoch} v{vote.view}{name} by n{vote.signer}"


def short(block_hash: Hash) -> str:
    """Return the first digits of a hash."""
    return block_hash.hex()[:6]
