"""The strongest liar: it votes for everything, and leads with blocks of every kind of wrong.

One rule: chance decides, and nothing that a signature allows is left out (consensus.md, section 16.3).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from consensus.committee import Committee
from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, encode
from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    CertificateRequest,
    Hash,
    Header,
    Kind,
    Message,
    Proposal,
    Status,
    Vote,
    make_block,
    payload_hash,
)
from tests.simulation.application import REFS_MAX, encode_payload, payload_refs
from tests.simulation.decoding import decode_once
from tests.simulation.fetching import BLOCK
from tests.simulation.liars import Mouth
from tests.simulation.members import Members

VIEWS_AHEAD: Final = 3  # of the last certificate that it knows: how far it believes others
PARENT_VIEWS: Final = 12  # how far below its view a block's parent may be taken from


class Chaos:
    """Votes for everything, in every way, to random subsets; leads with several blocks on whatever parent it has."""

    def __init__(
        self,
        mouth: Mouth,
        members: Callable[[int], Members],
        genesis: Block,
        end_height: Callable[[int], int],
        rate: float,
    ) -> None:
        self.index = mouth.index
        self._mouth = mouth
        self._random = mouth.random
        self._members = members
        self._end_height = end_height
        self._rate = rate  # how likely it reacts to what it sees
        self._epoch = 0
        self._ahead: dict[int, set[int]] = {}  # epochs to come, and who spoke of them
        self._blocks: dict[bytes, Block] = {genesis.hash: genesis}
        self._votes: dict[tuple[Kind, int, Hash], dict[int, Vote]] = {}
        self._certificates: dict[tuple[Kind, int], Certificate] = {}
        self._done: set[tuple[Kind, int, bytes]] = set()
        self._led: set[int] = set()
        self._view = 0

    def _committee(self, epoch: int) -> Committee:
        return self._members(epoch).committee

    def deliver(self, sender: int, channel: str, data: bytes) -> None:
        """See a message, and perhaps react."""
        try:
            if channel == "ask":
                self._perhaps_answer(sender, data)
            if channel != "consensus":
                return
            message = decode_once(data)
        except DecodeError:
            return
        match message:
            case Vote():
                self._move(sender, message.epoch, message.view)
                self._see_vote(message)
            case Certificate():
                self._move(sender, message.epoch, message.view)
                self._see_certificate(message)
            case Proposal():
                self._move(sender, message.vote.epoch, message.vote.view)
                self._see_proposal(message)
            case _:
                return
        self._perhaps_lead()
        if self._random.random() < 0.01 * self._rate:
            self._make_noise()

    def _perhaps_answer(self, sender: int, data: bytes) -> None:
        kind, what = as_tuple(decode(data), 2)
        if as_int(kind) != BLOCK or self._random.random() < 0.5:
            return
        block = self._blocks.get(as_bytes(what, 32))
        if block is not None:
            self._mouth.answer(sender, encode((BLOCK, block.encoded)))

    def _move(self, sender: int, epoch: int, view: int) -> None:
        if epoch > self._epoch:  # other liars speak of epochs that are not: believe more of them than may lie
            voices = self._ahead.setdefault(epoch, set())
            voices.add(sender)
            members = self._members(epoch)
            seats = [members.seat(voice) for voice in voices]
            weight = members.committee.weight(seat for seat in seats if seat is not None)
            if weight <= members.committee.faulty_max:
                return
            self._epoch = epoch
            self._view = 0
            for forgotten in (self._votes, self._certificates, self._done, self._led, self._ahead):
                forgotten.clear()
        if epoch == self._epoch:  # a flooder speaks of views that nobody will ever see
            certified = max((certified for _, certified in self._certificates), default=0)
            self._view = max(self._view, min(view, certified + VIEWS_AHEAD))

    def _see_vote(self, vote: Vote) -> None:
        committee = self._committee(self._epoch)
        if vote.epoch != self._epoch or vote.signer >= len(committee):
            return
        votes = self._votes.setdefault((vote.kind, vote.view, vote.hash), {})
        votes[vote.signer] = vote
        if committee.weight(votes) >= committee.quorum and (vote.kind, vote.view) not in self._certificates:
            pairs = tuple((signer, votes[signer].signature) for signer in sorted(votes))
            self._certificates[vote.kind, vote.view] = Certificate(vote.kind, vote.epoch, vote.view, vote.hash, pairs)
        if vote.kind is not Kind.NULLIFY:
            self._vote_for(vote.view, vote.hash)

    def _see_certificate(self, certificate: Certificate) -> None:
        if certificate.epoch == self._epoch:
            self._certificates.setdefault((certificate.kind, certificate.view), certificate)

    def _see_proposal(self, proposal: Proposal) -> None:
        if proposal.block is not None:
            self._blocks[proposal.block.hash] = proposal.block
        for certificate in proposal.justification:
            self._see_certificate(certificate)
        self._see_vote(proposal.vote)

    def _vote_for(self, view: int, block_hash: Hash) -> None:
        for kind in Kind:
            place = (kind, view, block_hash if kind is not Kind.NULLIFY else b"")
            if place in self._done or self._random.random() > self._rate:
                continue
            self._done.add(place)
            vote = self._mouth.vote(kind, self._epoch, view, block_hash)
            self._mouth.say(vote, self._random.choice((0.3, 0.5, 1.0)), self._random.choice((0, 50, 800)))

    def _perhaps_lead(self) -> None:
        for view in (self._view, self._view + 1):
            leading = self._committee(self._epoch).leader(view) == self._mouth.seat(self._epoch)
            if view in self._led or self._random.random() > self._urge(view, leading):
                continue
            self._led.add(view)
            for _ in range(self._random.choice((1, 1, 2, 3))):
                self._propose(view)

    def _urge(self, view: int, leading: bool) -> float:
        # A proposal on the view before is the one that others take seriously; one that comes too early is noise.
        ready = view == 1 or any((kind, view - 1) in self._certificates for kind in (Kind.NOTARIZE, Kind.NULLIFY))
        return (1.0 if ready else 0.02) if leading else 0.005

    def _propose(self, view: int) -> None:
        parent_view, parent = self._some_parent(view)
        if parent is None:
            return
        if parent.header.height == self._end_height(self._epoch) and self._random.random() < 0.3:
            self._say_proposal(view, parent_view, None, parent.hash)
            return
        block = self._some_block(view, parent_view, parent)
        self._blocks[block.hash] = block
        self._say_proposal(view, parent_view, block, block.hash)

    def _some_parent(self, view: int) -> tuple[int, Block | None]:
        known = [
            (certified, self._blocks[certificate.hash])
            for (kind, certified), certificate in self._certificates.items()
            if kind is not Kind.NULLIFY and view - PARENT_VIEWS < certified < view and certificate.hash in self._blocks
        ]
        if not known:
            roots = [
                block for block in self._blocks.values() if block.header.height == self._end_height(self._epoch - 1)
            ]
            return 0, roots[-1] if roots else None
        known.sort(key=lambda pair: pair[0])
        return known[-1] if self._random.random() < 0.5 else self._random.choice(known)

    def _some_block(self, view: int, parent_view: int, parent: Block) -> Block:
        header, random = parent.header, self._random
        payload = self._some_payload(parent)
        height = header.height + 1
        wrong_parent = random.random() < 0.1
        twins = [block for block in self._blocks.values() if block.header.height == header.height]
        last = height == self._end_height(self._epoch)
        committee = self._committee(self._epoch)
        made = Header(
            genesis_hash=self._mouth.genesis_hash,
            epoch=self._epoch,
            view=view,
            height=height,
            parent_view=parent_view if random.random() < 0.95 else max(0, parent_view - 1),
            parent_hash=random.choice(twins).hash if wrong_parent else parent.hash,
            proposer=self._mouth.seat(self._epoch),
            timestamp_ms=header.timestamp_ms + (self._rarely((-1, 3_600_000)) or random.randint(1, 40)),
            validators_hash=Hash(committee.hash),
            next_validators_hash=Hash(self._committee(self._epoch + 1).hash) if last else NO_HASH,
            executed_height=header.executed_height
            + random.choice((-1, 1, 50)) * (random.random() < 0.03 and height > 60),
            state_root=header.state_root if random.random() < 0.95 else NO_HASH,
            payload_hash=payload_hash(payload),
            version=header.version + self._rarely((1,)),
        )
        return make_block(made, payload)

    def _rarely(self, values: tuple[int, ...]) -> int:
        return self._random.choice(values) if self._random.random() < 0.05 else 0

    def _some_payload(self, parent: Block) -> bytes:
        random = self._random
        if random.random() < 0.8:
            return encode_payload([])
        again = list(payload_refs(parent.payload))  # in an ancestor already
        unknown = [random.randbytes(32)]  # nobody has it: voters wait for ever
        many = [random.randbytes(32) for _ in range(REFS_MAX + 1)]
        return random.choice((encode_payload(again), encode_payload(unknown), encode_payload(sorted(many)), b"\xc1"))

    def _say_proposal(self, view: int, parent_view: int, block: Block | None, block_hash: Hash) -> None:
        random = self._random
        places = {place for _, place in self._certificates if parent_view <= place < view}
        proofs = [
            self._certificates[kind, place]
            for place in sorted(places, reverse=True)
            for kind in (Kind.NULLIFY if place > parent_view else Kind.NOTARIZE,)
            if (kind, place) in self._certificates and random.random() < 0.8
        ][:9]
        vote = self._mouth.vote(Kind.NOTARIZE, self._epoch, view, block_hash)
        self._mouth.say(
            Proposal(parent_view, vote, block, tuple(proofs), None),
            random.choice((0.4, 0.6, 1.0)),
            random.choice((0, 20, 500)),
        )

    def _make_noise(self) -> None:
        random = self._random
        view = self._view + random.choice((-3, -1, 0, 1, 2, 40, 10**6))
        certificates = list(self._certificates.values())[-3:]
        noise: tuple[Message, ...] = (
            Status(self._epoch + random.choice((-1, 0, 0, 1)) * (self._epoch > 0), max(view, 1), 0, 10**9),
            CertificateRequest(self._epoch, max(view, 1), max(view, 1) + 20),
            self._mouth.vote(Kind.NULLIFY, self._epoch, max(view, 1), NO_HASH),
            *certificates,
            *(replace(certificate, epoch=self._epoch + 1) for certificate in certificates),
        )
        self._mouth.say(random.choice(noise), 0.5)
