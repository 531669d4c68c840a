"""A validator with a good key and no honesty: what it makes of the messages that it has seen."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final, Protocol

from consensus.committee import Committee
from consensus.crypto import SIGNATURE_BYTES, SecretKey, Signature
from consensus.encoding import decode, encode
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
    decode_header,
    encode_message,
    header_hash,
    make_block,
    payload_hash,
    vote_statement,
)
from tests.consensus_lab import GENESIS
from tests.hostile.values import EDGES, Value, opened, spoiled, twist

REMEMBERED: Final = 200  # messages, blocks and certificates each, the last ones
VIEWS_REMEMBERED: Final = 6  # of votes


class World(Protocol):
    """What a liar knows of its network from the beginning."""

    @property
    def epoch(self) -> int:
        """The epoch that it lies about."""

    @property
    def committee(self) -> Committee:
        """That of the epoch."""

    @property
    def keys(self) -> Sequence[SecretKey]:
        """By index in the committee; it uses its own only."""

    @property
    def root(self) -> Block:
        """The first block."""

    def block(self, view: int, parent: Block, parent_view: int, payload: bytes) -> Block:
        """Return a good block, as far as its header goes."""


class Liar:
    """Makes messages under its own key, of what it hears and of what it makes up."""

    def __init__(self, world: World, index: int, random: Random, genesis_hash: Hash = GENESIS) -> None:
        self.world = world
        self.index = index
        self.random = random
        self.genesis_hash = genesis_hash
        self.seen: list[Message] = []
        self.blocks: list[Block] = [world.root]
        self.certificates: list[Certificate] = []
        self._votes: dict[tuple[Kind, int, int, Hash], dict[int, Signature]] = {}
        self.view = 1  # about where the others are

    def hear(self, message: Message) -> None:
        """Learn from a message of anybody."""
        match message:
            case Vote():
                self._learn_vote(message)
            case Certificate():
                self._learn_certificate(message)
            case Proposal():
                self._learn_vote(message.vote)
                if message.block is not None:
                    self.blocks = [*self.blocks, message.block][-REMEMBERED:]
                for certificate in message.justification:
                    self._learn_certificate(certificate)
        self.seen = [*self.seen, message][-REMEMBERED:]

    def _learn_vote(self, vote: Vote) -> None:
        """Add up votes; with its own a liar has each certificate before anybody else."""
        self.view = max(self.view, vote.view)
        statement = (vote.kind, vote.epoch, vote.view, vote.hash)
        if statement not in self._votes:
            self._votes = {key: each for key, each in self._votes.items() if key[2] > self.view - VIEWS_REMEMBERED}
        signatures = self._votes.setdefault(statement, {})
        signatures[vote.signer] = vote.signature
        signatures[self.index] = self._signed(replace(vote, signer=self.index)).signature
        if self.world.committee.weight(signatures) >= self.world.committee.quorum or len(signatures) == 3:
            self._learn_certificate(Certificate(*statement, tuple(sorted(signatures.items()))))

    def _learn_certificate(self, certificate: Certificate) -> None:
        self.certificates = [*self.certificates, certificate][-REMEMBERED:]

    def lie(self) -> bytes:
        """Return the next message."""
        random = self.random
        match random.randrange(9):
            case 0 | 1:
                data = encode_message(self.vote())
            case 2:
                data = encode_message(self.proposal())
            case 3:
                data = encode_message(self.plausible_proposal())
            case 4 if self.certificates:
                data = self._twisted(self.certificate())
            case 8 if self.certificates:
                data = encode_message(random.choice((self.certificates[-1], self.certificate())))
            case 5:
                data = encode_message(self._hint())
            case _ if self.seen:
                data = self._twisted(random.choice(self.seen))
            case _:
                data = encode_message(self.vote())
        return spoiled(random, data) if random.random() < 0.05 else data

    def vote(self) -> Vote:
        """Return a vote that this validator signed."""
        kind = self.random.choice(tuple(Kind))
        named = NO_HASH if kind is Kind.NULLIFY else self._hash()
        return self._signed(Vote(kind, self.world.epoch, max(1, self._near()), named, self.index, Signature(b"")))

    def proposal(self) -> Proposal:
        """Return a proposal in a view that this validator leads, which passes all checks of form and signature."""
        random = self.random
        count = len(self.world.committee)
        view = max(1, self._near())
        view += (self.index - self.world.committee.leader(view)) % count
        parent = random.choice(self.blocks[-4:])
        parent_view = random.choice((parent.header.view, view - 1, 0, max(0, self._near())))
        block = self._block(view, min(parent_view, view - 1), parent)
        if random.random() < 0.1:
            block = random.choice(self.blocks)  # an old one, again
        named = block.hash
        carried: Block | None = block
        if random.random() < 0.1 or block.header.epoch != self.world.epoch:
            carried = None
        vote = Vote(Kind.NOTARIZE, self.world.epoch, view, named, self.index, Signature(b""))
        return Proposal(
            min(parent_view, view - 1),
            self._signed(vote),
            carried,
            tuple(random.sample(self.certificates, min(len(self.certificates), random.randrange(11)))),
            random.choice([None, *(each for each in self.certificates[-9:] if each.kind is Kind.FINALIZE)]),
        )

    def plausible_proposal(self) -> Proposal:
        """Return one that may well stand in the next view that this validator leads, but for what its content says.

        Its parent is the highest block with a certificate here, and all that is known of later views comes with it.
        """
        certified = {each.hash: each for each in self.certificates if each.kind is not Kind.NULLIFY}
        parent = max(
            (b for b in self.blocks if b.hash in certified), key=lambda b: b.header.view, default=self.blocks[0]
        )
        parent_view = parent.header.view if parent.header.epoch == self.world.epoch else 0
        view = max(self.view, parent_view + 1)
        view += (self.index - self.world.committee.leader(view)) % len(self.world.committee)
        block = self.world.block(view, parent, parent_view, self.random.choice((b"", b"x", b"y")))
        changes: dict[str, int] = self.random.choice(
            ({}, {"timestamp_ms": 2**63 - 1}, {"timestamp_ms": block.header.timestamp_ms + 1}, {"executed_height": 2})
        )
        block = make_block(replace(block.header, **changes), block.payload)  # type: ignore[arg-type]
        proof = {(each.kind, each.view): each for each in self.certificates if parent_view <= each.view < view}
        justification = [each for key, each in sorted(proof.items(), reverse=True) if key[0] is not Kind.FINALIZE][:10]
        vote = Vote(Kind.NOTARIZE, self.world.epoch, view, block.hash, self.index, Signature(b""))
        return Proposal(parent_view, self._signed(vote), block, tuple(justification), None)

    def _block(self, view: int, parent_view: int, parent: Block) -> Block:
        payload = self.random.choice((b"", b"x", self.random.randbytes(64 * 1024)))
        good = self.world.block(view, parent, parent_view, payload)
        header = good.header
        if self.random.random() < 0.6:
            name = self.random.choice(("height", "executed_height", "timestamp_ms", "proposer", "parent_view", "view"))
            value = self.random.choice((max(0, getattr(header, name) - 1), getattr(header, name) + 1, 2**63 - 1, 0))
            header = replace(header, **{name: min(value, 30) if name == "proposer" else value})  # type: ignore[arg-type]
        if self.random.random() < 0.3:
            name = self.random.choice(("genesis_hash", "parent_hash", "validators_hash", "next_validators_hash"))
            header = replace(header, **{name: self._hash()})  # type: ignore[arg-type]
        return make_block(header, good.payload)

    def certificate(self) -> Certificate:
        """Return a certificate whose parts are true and which may say what nobody signed."""
        random = self.random
        one, other = random.choice(self.certificates[-4:]), random.choice(self.certificates)
        own = self._signed(Vote(one.kind, one.epoch, one.view, one.hash, self.index, Signature(b"")))
        signatures = dict(one.signatures)
        match random.randrange(6):
            case 0:
                return replace(one, signatures=other.signatures)
            case 1:
                return replace(one, view=max(1, self._near()))
            case 2:
                return replace(one, signatures=((self.index, own.signature),))
            case 3:
                return replace(one, signatures=((self.index, own.signature),) * 3)
            case 4:
                return replace(one, signatures=tuple(sorted((signatures | {self.index: own.signature}).items())))
            case _:
                return replace(one, signatures=one.signatures[:-1])

    def _hint(self) -> Message:
        far = self.random.choice((self._near(), self.random.choice(EDGES[-9:-3])))
        epoch = self.random.choice((self.world.epoch, self.world.epoch + 1, 0, 2**63 - 1))
        if self.random.random() < 0.5:
            return Status(epoch, abs(far), abs(self._near()), self.random.choice((0, 5, 2**63 - 1)))
        low = max(0, far)
        return CertificateRequest(epoch, low, low + self.random.choice((0, 1, 63, 64, 2**62)))

    def _near(self) -> int:
        return self.view + self.random.choice((-40, -3, -2, -1, 0, 0, 0, 1, 1, 2, 3, 4, 8, 15, 16, 17, 18, 40, 2**40))

    def _hash(self) -> Hash:
        known = [block.hash for block in self.blocks[-6:]]
        return self.random.choice((*known, Hash(self.random.randbytes(32)), Hash(b"\x01" * 32)))

    def _signed(self, vote: Vote) -> Vote:
        statement = vote_statement(self.genesis_hash, vote.kind, vote.epoch, vote.view, vote.hash)
        return replace(vote, signature=self.world.keys[self.index].sign(statement))

    # --- the same, field by field ---

    def _twisted(self, message: Message) -> bytes:
        """Return a message with some of its fields changed, signed again as far as its form still allows it."""
        fields = opened(decode(encode_message(message)))
        if isinstance(message, Proposal) and message.block is not None:
            fields[3] = opened(decode(fields[3]))
        for _ in range(self.random.choice((1, 1, 2, 3))):
            fields = twist(self.random, fields)
        if isinstance(fields, list):
            if isinstance(message, Proposal) and len(fields) > 3:
                self._repair_block(fields)
            if self.random.random() < 0.8:
                self._sign_again(fields)
        return encode(fields)

    def _repair_block(self, fields: list[Value]) -> None:
        """Close an opened block again, with the payload's hash in its header and its own in the vote."""
        if not isinstance(fields[3], list):
            return
        match fields[3]:
            case [[*header], bytes(payload)] if len(header) == 14:
                header[13] = payload_hash(payload)
                fields[3] = encode((header, payload))
                try:
                    parsed: Header = decode_header(encode(header))
                except ValueError:
                    return
                if isinstance(fields[2], list) and len(fields[2]) == 6:
                    fields[2][3] = header_hash(parsed)
            case _:
                fields[3] = encode(fields[3])

    def _sign_again(self, fields: list[Value]) -> None:
        match fields:
            case [0, int(kind), int(epoch), int(view), bytes(named), _, _]:
                fields[5:] = [self.index, self._signature(kind, epoch, view, named)]
            case [2, _, [int(kind), int(epoch), int(view), bytes(named), _, _], *_]:
                fields[2][4:] = [self.index, self._signature(kind, epoch, view, named)]
            case _:
                pass

    def _signature(self, kind: int, epoch: int, view: int, named: bytes) -> bytes:
        if kind not in tuple(Kind):
            return bytes(SIGNATURE_BYTES)
        return self.world.keys[self.index].sign(vote_statement(self.genesis_hash, Kind(kind), epoch, view, named))
