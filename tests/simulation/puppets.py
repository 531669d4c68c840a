"""Liars that run the real core and say more than it does, under their own key.

One rule: the core keeps them in step with the honest, so that what they add comes when it matters.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from consensus.crypto import Signature
from consensus.encoding import DecodeError
from consensus.messages import (
    CERTIFICATES_ASKED_MAX,
    NO_HASH,
    Certificate,
    CertificateRequest,
    Hash,
    Kind,
    Message,
    Proposal,
    Status,
    Vote,
    encode_message,
    make_block,
)
from tests.simulation.decoding import decode_once
from tests.simulation.liars import Mouth
from tests.simulation.validator import Validator


class Puppet(Validator):
    """Runs the real core, and has a mouth of its own besides. ``react`` is called after each message that it hears."""

    mouth: Mouth

    def deliver(self, sender: int, channel: str, data: bytes) -> None:
        super().deliver(sender, channel, data)
        if self.up and channel == "consensus":
            try:
                message = decode_once(data)
            except DecodeError:
                return  # of another liar
            self.react(message)

    def react(self, heard: Message) -> None:
        """Say something more, or nothing."""


class Replayer(Puppet):
    """Sends what it hears again, later: as it was, damaged, or with fields changed and signed by its own key."""

    rate = 0.05

    def react(self, heard: Message) -> None:
        random = self.mouth.random
        if random.random() > self.rate:
            return
        late_ms = random.choice((0, 100, 4000))
        if random.random() < 0.1:
            data = encode_message(heard)
            place = random.randrange(len(data))
            damaged = data[:place] + random.randbytes(random.choice((0, 1))) + data[place + 1 :]
            self.mouth.say_bytes(damaged, 0.5, late_ms)
            return
        self.mouth.say(self._change(heard) if random.random() < 0.7 else heard, 0.5, late_ms)

    def _change(self, message: Message) -> Message:
        random = self.mouth.random
        match message:
            case Vote():
                return random.choice(
                    (
                        replace(message, epoch=message.epoch + 1),
                        replace(message, view=message.view + 1),
                        replace(message, signer=self.mouth.seat(message.epoch)),
                        replace(message, signature=Signature(random.randbytes(64))),
                        replace(message, kind=Kind.FINALIZE) if message.kind is Kind.NOTARIZE else message,
                        *self._signed_anew(message),
                    )
                )
            case Certificate():
                return random.choice(
                    (
                        replace(message, epoch=message.epoch + 1),
                        replace(message, view=message.view + 1),
                        replace(message, hash=self._some_hash(message.hash)),
                        replace(message, signatures=message.signatures[:-1]),
                        replace(message, signatures=message.signatures[1:]),
                        replace(message, signatures=message.signatures[::-1]),
                        replace(message, signatures=(*message.signatures, *message.signatures[-1:])),
                    )
                )
            case Proposal():
                return self._change_proposal(message)
            case _:
                return message

    def _signed_anew(self, heard: Vote) -> list[Vote]:
        """Votes of its own like one that it heard: what a faulty validator may really sign."""
        vote, near = self.mouth.vote, max(1, heard.view + self.mouth.random.choice((-1, 1)))
        return [
            *(vote(kind, heard.epoch, heard.view, heard.hash) for kind in Kind),
            vote(heard.kind, heard.epoch, near, heard.hash),
            vote(heard.kind, heard.epoch, heard.view, self._some_hash(heard.hash)),
            vote(heard.kind, heard.epoch + 1, heard.view, heard.hash),
        ]

    def _some_hash(self, heard: Hash) -> Hash:
        random = self.mouth.random
        return Hash(random.choice((random.randbytes(32), self.core.committed.hash if self.up else heard)))

    def _change_proposal(self, heard: Proposal) -> Proposal:
        random, vote, block = self.mouth.random, heard.vote, heard.block
        again = self.mouth.vote(Kind.NOTARIZE, vote.epoch, vote.view, vote.hash)
        changed = [
            replace(heard, parent_view=max(0, heard.parent_view - 1)),
            replace(heard, block=None),
            replace(heard, justification=()),
            replace(heard, justification=heard.justification[1:]),
            replace(heard, finalization=None),
            replace(heard, vote=again),
        ]
        if block is not None:
            header = block.header
            fields: dict[str, object] = {
                "height": header.height + 1,
                "view": header.view + 1,
                "parent_view": max(0, header.parent_view - 1),
                "parent_hash": self._some_hash(header.parent_hash),
                "timestamp_ms": header.timestamp_ms + 1,
                "executed_height": max(0, header.executed_height - 1),
                "state_root": Hash(random.randbytes(32)),
                "validators_hash": NO_HASH,
                "next_validators_hash": header.validators_hash,
            }
            name = random.choice(sorted(fields))
            made = make_block(replace(header, **{name: fields[name]}), block.payload)  # type: ignore[arg-type]
            own = self.mouth.vote(Kind.NOTARIZE, vote.epoch, vote.view, made.hash)
            changed.append(replace(heard, block=made, vote=own))
        return random.choice(changed)


class Forger(Puppet):
    """Makes certificates of too few, wrong, doubled or mixed votes."""

    rate = 0.05

    def react(self, heard: Message) -> None:
        random = self.mouth.random
        if isinstance(heard, Vote) and random.random() < self.rate:
            self.mouth.say(self._forge(heard), 0.6, random.choice((0, 200)))

    def _forge(self, vote: Vote) -> Certificate:
        random, size = self.mouth.random, self.mouth.size(vote.epoch)
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
                signatures = sorted({(vote.signer, vote.signature), (own.signer, own.signature)})
            case _:  # signers that do not exist
                signatures = [(signer, own.signature) for signer in range(size, min(31, 2 * size))]
        return Certificate(vote.kind, vote.epoch, vote.view, vote.hash, tuple(signatures))


class Nullifier(Puppet):
    """Votes for no block, proposes none, and gives up every view as soon as it is in it."""

    _given_up = (0, 0)

    def start(self) -> None:
        self.outgoing = self._no_blocks
        super().start()

    def _no_blocks(self, _: int, message: Message) -> Iterable[int]:
        wanted = isinstance(message, Proposal) or (isinstance(message, Vote) and message.kind is not Kind.NULLIFY)
        return () if wanted else (0,)

    def react(self, heard: Message) -> None:
        if self._given_up < (self.epoch, self.core.view):
            self._given_up = (self.epoch, self.core.view)
            self.mouth.say(self.mouth.vote(Kind.NULLIFY, self.epoch, self.core.view, NO_HASH))


class Revoker(Puppet):
    """Leads well, and nullifies its own view when others have begun to vote for it: R23 lets all the rest follow."""

    _revoked = (0, 0)

    def react(self, heard: Message) -> None:
        if not isinstance(heard, Vote | Certificate) or heard.kind is Kind.NULLIFY or heard.epoch != self.epoch:
            return
        place, random = (heard.epoch, heard.view), self.mouth.random
        if self.committee.leader(heard.view) == self.seat and place > self._revoked and random.random() < 0.5:
            self._revoked = place
            nullify = self.mouth.vote(Kind.NULLIFY, heard.epoch, heard.view, NO_HASH)
            self.mouth.say(nullify, random.choice((0.3, 0.6, 1.0)), random.choice((0, 30)))


class Foreigner(Puppet):
    """Says everything again in another epoch, well signed."""

    rate = 0.1

    def react(self, heard: Message) -> None:
        random = self.mouth.random
        if random.random() < self.rate:
            self.mouth.say(self._abroad(heard), 0.5, random.choice((0, 300)))

    def _abroad(self, message: Message) -> Message:
        by = self.mouth.random.choice((-1, 1, 1, 1_000))
        match message:
            case Vote():
                return self.mouth.vote(message.kind, max(0, message.epoch + by), message.view, message.hash)
            case Proposal():
                epoch, view, block = max(0, message.vote.epoch + by), message.vote.view, message.block
                if block is not None and self.mouth.random.random() < 0.7:
                    block = make_block(
                        replace(block.header, epoch=epoch, proposer=self.mouth.seat(epoch)), block.payload
                    )
                named = message.vote.hash if block is None else block.hash
                return replace(message, vote=self.mouth.vote(Kind.NOTARIZE, epoch, view, named), block=block)
            case _:
                return replace(message, epoch=max(0, message.epoch + by))


class Impersonator(Puppet):
    """Speaks in the names of others, without their keys, or with what they signed for somebody else."""

    rate = 0.1

    def react(self, heard: Message) -> None:
        random = self.mouth.random
        if random.random() > self.rate:
            return
        other = random.randrange(self.mouth.size(self.epoch))
        match heard:
            case Vote():
                own = self.mouth.vote(heard.kind, heard.epoch, heard.view, heard.hash)
                self.mouth.say(random.choice((heard, replace(own, signer=other), replace(heard, signer=other))))
            case Proposal():
                block = heard.block
                if block is not None:
                    block = make_block(replace(block.header, timestamp_ms=block.header.timestamp_ms + 1), block.payload)
                named = heard.vote.hash if block is None else block.hash
                own = self.mouth.vote(Kind.NOTARIZE, heard.vote.epoch, heard.vote.view, named)
                vote = random.choice((own, replace(own, signer=heard.vote.signer)))
                self.mouth.say(replace(heard, vote=vote, block=block), 0.6)
            case _:
                pass


class Flooder(Puppet):
    """Bursts of what costs others memory and time: far views, many proposals of one view, long ranges, high claims."""

    pause_ms = 700  # what is answered to a burst makes no new one
    burst = 16
    _again_ms = 0

    def react(self, heard: Message) -> None:
        if self.now_ms() >= self._again_ms:
            self._again_ms = self.now_ms() + self.pause_ms
            for _ in range(self.burst):
                self.mouth.say(self._junk(heard), 0.4)

    def _junk(self, heard: Message) -> Message:
        random, view = self.mouth.random, max(1, self.core.view)
        match random.randrange(4):
            case 0:  # far, or just inside the window
                far = view + random.choice((random.randint(1, 20), 2 ** random.randint(5, 50)))
                return self.mouth.vote(random.choice(list(Kind)), self.epoch, far, Hash(random.randbytes(32)))
            case 1 if isinstance(heard, Proposal) and heard.block is not None:
                proposer = self.mouth.seat(self.epoch)
                header = replace(heard.block.header, timestamp_ms=random.getrandbits(40), view=view, proposer=proposer)
                block = make_block(header, heard.block.payload)
                vote = self.mouth.vote(Kind.NOTARIZE, self.epoch, view, block.hash)
                return Proposal(random.randrange(view), vote, block, heard.justification, heard.finalization)
            case 2:
                low = random.randint(1, view)
                return CertificateRequest(self.epoch, low, low + CERTIFICATES_ASKED_MAX - 1)
            case _:
                return Status(self.epoch, 2 ** random.randint(1, 50), 0, 2 ** random.randint(1, 50))


PUPPETS: Final[dict[str, type[Puppet]]] = {
    "replayer": Replayer,
    "forger": Forger,
    "nullify-only": Nullifier,
    "revoker": Revoker,
    "wrong-epoch": Foreigner,
    "impersonator": Impersonator,
    "flooder": Flooder,
}
