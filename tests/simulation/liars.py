"""Those who do not follow the protocol. Each holds its own key and no other.

One rule: a liar sees what its links bring and nothing else, and may send anything to anyone at any time; all liars of a
run together weigh no more than the committee tolerates.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Final

from consensus.committee import Committee
from consensus.crypto import Signature
from consensus.encoding import DecodeError
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
    decode_message,
    encode_message,
    make_block,
    payload_hash,
    vote_statement,
)
from consensus.timing import Timing
from tests.simulation.application import encode_payload
from tests.simulation.judge import Judge
from tests.simulation.keys import Signer
from tests.simulation.loop import Loop
from tests.simulation.network import Network
from tests.simulation.validator import Validator

FAMILIES: Final = (
    "silent",
    "mute-leader",
    "withhold-votes",
    "withhold-blocks",
    "stale",
    "slow-leader",
    "twins",
    "chaos",
    "chaos",  # the strongest comes more often
    "chaos",
    "replayer",
    "forger",
)
MEMORY: Final = 64  # messages or views that a liar remembers


def filter_of(family: str, random: Random, size: int, timing: Timing) -> Callable[[int, Message], Iterable[int]]:
    """Return what a liar that runs the real core does with what it should send: the delays of each copy, in ms."""

    def mute_leader(_: int, message: Message) -> Iterable[int]:
        return () if isinstance(message, Proposal) else (0,)

    def withhold_votes(receiver: int, message: Message) -> Iterable[int]:
        return (0,) if not isinstance(message, Vote) or receiver == (message.view * 7 + 3) % size else ()

    def withhold_blocks(receiver: int, message: Message) -> Iterable[int]:
        if not isinstance(message, Proposal):
            return (0,)
        return (0,) if (receiver + message.vote.view) % size <= (size - 1) // 3 + 1 else ()

    def stale(_: int, __: Message) -> Iterable[int]:
        return (random.randint(200, 3000),)

    def slow_leader(_: int, message: Message) -> Iterable[int]:
        # Just before, or just after, the others give up: some notarize it and some have nullified.
        if not isinstance(message, Proposal):
            return (0,)
        return (int(random.choice((timing.leader_ms, timing.view_ms)) * random.uniform(0.75, 1.05)),)

    chosen: dict[str, Callable[[int, Message], Iterable[int]]] = {
        "mute-leader": mute_leader,
        "withhold-votes": withhold_votes,
        "withhold-blocks": withhold_blocks,
        "stale": stale,
        "slow-leader": slow_leader,
    }
    return chosen.get(family, lambda _, __: (0,))


class Mouth:
    """How a liar speaks: signs with its own key, tells the judge, sends to whom it likes, when it likes."""

    def __init__(
        self, loop: Loop, network: Network, judge: Judge, genesis_hash: Hash, index: int, size: int, signer: Signer
    ) -> None:
        self.index = index
        self.size = size
        self.random = loop.random(f"liar {index}")
        self._loop = loop
        self._network = network
        self._judge = judge
        self._genesis_hash = genesis_hash
        self._signer = signer

    def vote(self, kind: Kind, epoch: int, view: int, block_hash: Hash) -> Vote:
        """Sign whatever it is."""
        named = NO_HASH if kind is Kind.NULLIFY else block_hash
        statement = vote_statement(self._genesis_hash, kind, epoch, view, named)
        return Vote(kind, epoch, view, named, self.index, self._signer.sign(statement))

    def say(self, message: Message, share: float = 1.0, late_ms: int = 0) -> None:
        """Send to a random share of the others, each up to ``late_ms`` later."""
        self._judge.sent(self.index, False, message)
        data = encode_message(message)
        for peer in range(self.size):
            if peer != self.index and self.random.random() < share:
                self._loop.after(
                    self.random.randint(0, late_ms), self._network.send, self.index, peer, "consensus", data
                )


class Chaos:
    """Votes for everything, in every way, to random subsets; leads with several blocks on whatever parent it has."""

    def __init__(
        self,
        mouth: Mouth,
        committee: Callable[[int], Committee],
        genesis: Block,
        end_height: Callable[[int], int],
        rate: float,
    ) -> None:
        self.index = mouth.index
        self._mouth = mouth
        self._random = mouth.random
        self._committee = committee
        self._end_height = end_height
        self._rate = rate  # how likely it reacts to what it sees
        self._genesis_hash = genesis.hash
        self._epoch = 0
        self._blocks: dict[bytes, Block] = {genesis.hash: genesis}
        self._votes: dict[tuple[Kind, int, Hash], dict[int, Vote]] = {}
        self._certificates: dict[tuple[Kind, int], Certificate] = {}
        self._done: set[tuple[Kind, int, bytes]] = set()
        self._led: set[int] = set()
        self._view = 0

    def deliver(self, sender: int, channel: str, data: bytes) -> None:
        """See a message, and perhaps react."""
        if channel != "consensus":
            return
        try:
            message = decode_message(data)
        except DecodeError:
            return
        match message:
            case Vote():
                self._see_vote(message)
            case Certificate():
                self._see_certificate(message)
            case Proposal():
                self._see_proposal(message)
            case _:
                return
        self._perhaps_lead()
        if self._random.random() < 0.01 * self._rate:
            self._make_noise()

    def _move(self, epoch: int, view: int) -> None:
        if epoch > self._epoch:
            self._epoch = epoch
            self._view = 0
            for forgotten in (self._votes, self._certificates, self._done, self._led):
                forgotten.clear()
        self._view = max(self._view, view)

    def _see_vote(self, vote: Vote) -> None:
        self._move(vote.epoch, vote.view)
        if vote.epoch != self._epoch:
            return
        votes = self._votes.setdefault((vote.kind, vote.view, vote.hash), {})
        votes[vote.signer] = vote
        committee = self._committee(self._epoch)
        if committee.weight(votes) >= committee.quorum and (vote.kind, vote.view) not in self._certificates:
            pairs = tuple((signer, votes[signer].signature) for signer in sorted(votes))
            self._certificates[vote.kind, vote.view] = Certificate(vote.kind, vote.epoch, vote.view, vote.hash, pairs)
        if vote.kind is not Kind.NULLIFY:
            self._vote_for(vote.view, vote.hash)

    def _see_certificate(self, certificate: Certificate) -> None:
        self._move(certificate.epoch, certificate.view)
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
            leading = self._committee(self._epoch).leader(view) == self.index
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
            if kind is not Kind.NULLIFY and view - 12 < certified < view and certificate.hash in self._blocks
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
        payload = encode_payload([])
        height = header.height + 1
        wrong_parent = random.random() < 0.1
        twins = [block for block in self._blocks.values() if block.header.height == header.height]
        last = height == self._end_height(self._epoch)
        committee = self._committee(self._epoch)
        made = Header(
            genesis_hash=self._blocks_genesis(header),
            epoch=self._epoch,
            view=view,
            height=height,
            parent_view=parent_view if random.random() < 0.95 else max(0, parent_view - 1),
            parent_hash=random.choice(twins).hash if wrong_parent else parent.hash,
            proposer=self.index,
            timestamp_ms=header.timestamp_ms + random.randint(1, 40),
            validators_hash=Hash(committee.hash),
            next_validators_hash=Hash(self._committee(self._epoch + 1).hash) if last else NO_HASH,
            executed_height=header.executed_height,
            state_root=header.state_root if random.random() < 0.95 else NO_HASH,
            payload_hash=payload_hash(payload),
        )
        return make_block(made, payload)

    def _blocks_genesis(self, header: Header) -> Hash:
        return self._mouth._genesis_hash

    def _say_proposal(self, view: int, parent_view: int, block: Block | None, block_hash: Hash) -> None:
        random = self._random
        proofs = [
            self._certificates[kind, place]
            for place in range(view - 1, parent_view - 1, -1)
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
        noise: tuple[Message, ...] = (
            Status(self._epoch + random.choice((-1, 0, 0, 1)) * (self._epoch > 0), max(view, 1), 0, 10**9),
            CertificateRequest(self._epoch, max(view, 1), max(view, 1) + 20),
            self._mouth.vote(Kind.NULLIFY, self._epoch, max(view, 1), NO_HASH),
            *list(self._certificates.values())[-3:],
        )
        self._mouth.say(random.choice(noise), 0.5)


class Puppet(Validator):
    """Runs the real core, and has a mouth of its own besides."""

    mouth: Mouth


class Replayer(Puppet):
    """Sends copies of what it hears, later, some of them changed."""

    rate = 0.05

    def deliver(self, sender: int, channel: str, data: bytes) -> None:
        super().deliver(sender, channel, data)
        random = self.mouth.random
        if channel != "consensus" or random.random() > self.rate:
            return
        message = decode_message(data)
        if random.random() < 0.7:
            message = self._change(message)
        self.mouth.say(message, 0.5, random.choice((0, 100, 4000)))

    def _change(self, message: Message) -> Message:
        random = self.mouth.random
        match message:
            case Vote():
                return random.choice(
                    (
                        replace(message, epoch=message.epoch + 1),
                        replace(message, view=message.view + 1),
                        replace(message, signer=self.index),
                        replace(message, signature=Signature(random.randbytes(64))),
                        replace(message, kind=Kind.FINALIZE) if message.kind is Kind.NOTARIZE else message,
                        self.mouth.vote(message.kind, message.epoch + 1, message.view, message.hash),
                    )
                )
            case Certificate():
                return random.choice(
                    (
                        replace(message, epoch=message.epoch + 1),
                        replace(message, view=message.view + 1),
                        replace(message, signatures=message.signatures[:-1]),
                        replace(message, signatures=message.signatures[1:]),
                    )
                )
            case Proposal():
                return random.choice(
                    (
                        replace(message, parent_view=max(0, message.parent_view - 1)),
                        replace(message, block=None),
                        replace(message, justification=()),
                        replace(
                            message,
                            vote=self.mouth.vote(
                                Kind.NOTARIZE, message.vote.epoch, message.vote.view, message.vote.hash
                            ),
                        ),
                    )
                )
            case _:
                return message


class Forger(Puppet):
    """Makes certificates of too few, wrong, doubled or mixed votes."""

    rate = 0.05

    def deliver(self, sender: int, channel: str, data: bytes) -> None:
        super().deliver(sender, channel, data)
        random = self.mouth.random
        if channel != "consensus" or random.random() > self.rate:
            return
        message = decode_message(data)
        if isinstance(message, Vote):
            self.mouth.say(self._forge(message), 0.6, random.choice((0, 200)))

    def _forge(self, vote: Vote) -> Certificate:
        random, size = self.mouth.random, self.mouth.size
        own = self.mouth.vote(vote.kind, vote.epoch, vote.view, vote.hash)
        everyone = range(size)
        signatures: list[tuple[int, Signature]]
        match random.randrange(4):
            case 0:  # its own signature under every name
                signatures = [(signer, own.signature) for signer in everyone]
            case 1:  # one true vote, random bytes for the rest
                signatures = [
                    (signer, vote.signature if signer == vote.signer else Signature(random.randbytes(64)))
                    for signer in everyone
                ]
            case 2:  # true, but too few
                signatures = sorted({(vote.signer, vote.signature), (self.index, own.signature)})
            case _:  # signers that do not exist
                signatures = [(signer, own.signature) for signer in range(size, min(31, 2 * size))]
        return Certificate(vote.kind, vote.epoch, vote.view, vote.hash, tuple(signatures))


PUPPETS: Final[dict[str, type[Puppet]]] = {"replayer": Replayer, "forger": Forger}
