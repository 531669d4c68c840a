"""Liars about data: they vote by the protocol, and mislead whoever asks them for blocks, batches or certificates.

One rule: what they send instead is made of true pieces wherever possible, since those are the hardest to refuse.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from consensus.encoding import as_bytes, as_tuple, decode, encode
from consensus.messages import (
    Certificate,
    Hash,
    Kind,
    Message,
    Status,
    decode_block,
    decode_certificate,
    encode_certificate,
    make_block,
)
from tests.simulation.application import make_batch
from tests.simulation.fetching import BATCH, BLOCK, RANGE
from tests.simulation.puppets import Puppet

LATE_MS: Final = 4_000  # the longest that an answer is held back
BATCH_MS: Final = 2_000  # between two batches of one who withholds them
BATCHES_MAX: Final = 20  # each of them may cost every leader a view


class FalseSource(Puppet):
    """A peer to synchronize from that says false heights and answers everything in every wrong way."""

    def start(self) -> None:
        self.outgoing = self._one_of_two
        super().start()

    def _one_of_two(self, receiver: int, message: Message) -> Iterable[int]:
        """Of a view with two certificates give one, to each peer another."""
        if isinstance(message, Certificate) and message.kind is not Kind.FINALIZE:
            return (0,) if (message.view + receiver) % 2 == int(message.kind) else ()
        return (0,)

    def react(self, heard: Message) -> None:
        random = self.mouth.random
        if random.random() < 0.03:
            height = self.disk.height + random.choice((-5, 7, 1_000_000, 2**62))
            final = self.core.finalized_view + random.choice((-1, 0, 0, 10**6))
            epoch = self.epoch + random.choice((0, 0, 0, 1, 10**6))
            self.mouth.say(Status(epoch, max(1, final + 1), max(0, final), max(0, height)), 0.3)

    def transmit(self, receiver: int, channel: str, data: bytes) -> None:
        if channel != "answer":
            super().transmit(receiver, channel, data)
            return
        random = self.mouth.random
        late_ms = random.choice((0, 0, 0, random.randint(1, LATE_MS)))
        for answer in self._instead(data):
            self.later(late_ms, super().transmit, receiver, channel, answer)

    def _instead(self, data: bytes) -> list[bytes]:
        random = self.mouth.random
        kind, what = as_tuple(decode(data), 2)
        match random.randrange(6):
            case 0:
                return []
            case 1:
                return [data]
            case 2:
                return [data[: random.randrange(len(data))], data]
            case 3:
                return [random.randbytes(40)]
            case _ if kind == RANGE:
                return [encode((RANGE, self._false_range(what)))]
            case _ if kind == BLOCK:
                return [encode((BLOCK, self._false_block(as_bytes(what))))]
            case _:
                return [encode((BATCH, make_batch(self.index, random.getrandbits(40), ()).encoded))]

    def _false_block(self, asked: bytes) -> bytes:
        """Another true block, or one that differs from what was asked for in what its parent or height is."""
        random, block = self.mouth.random, decode_block(asked)
        other = self.disk.block(random.randint(0, self.disk.height))
        changed = random.choice(
            (
                replace(block.header, parent_hash=other.hash),
                replace(block.header, height=block.header.height + 1),
                replace(block.header, view=block.header.view + 1),
            )
        )
        return random.choice((other, make_block(changed, block.payload))).encoded

    def _false_range(self, what: object) -> object:
        """A range with a hole, in another order, with a block of another fork, or under another's certificate."""
        random = self.mouth.random
        encoded, proof = as_tuple(what, 2)
        blocks = [decode_block(as_bytes(item)) for item in as_tuple(encoded)]
        certificate = decode_certificate(as_bytes(proof))
        match random.randrange(7):
            case 0:
                del blocks[random.randrange(len(blocks))]
            case 1:
                blocks.reverse()
            case 2:
                place = random.randrange(len(blocks))
                fork = replace(blocks[place].header, timestamp_ms=blocks[place].header.timestamp_ms + 1)
                blocks[place] = make_block(fork, blocks[place].payload)
            case 3:  # a block of ours on top, under the certificate of the one below
                top = blocks[-1].header
                fork = replace(top, height=top.height + 1, view=top.view + 1, parent_hash=blocks[-1].hash)
                blocks.append(make_block(fork, blocks[-1].payload))
            case 4:
                certificate = replace(certificate, hash=blocks[0].hash)
            case 5:
                certificate = replace(certificate, signatures=certificate.signatures[1:])
            case _:
                certificate = replace(certificate, hash=Hash(random.randbytes(32)), view=certificate.view + 1)
        return tuple(block.encoded for block in blocks), encode_certificate(certificate)


class BatchWithholder(Puppet):
    """Gives each of its batches to F + 1 others, to one or to nobody, names them in its blocks, and serves none."""

    _made = 0

    def start(self) -> None:
        super().start()
        self.later(BATCH_MS, self._make_batches)

    def _make_batches(self) -> None:
        if self._made == BATCHES_MAX:
            return
        self._made += 1
        self.submit(())
        self.later(BATCH_MS, self._make_batches)

    def transmit(self, receiver: int, channel: str, data: bytes) -> None:
        size, faulty = len(self.committee), self.committee.faulty_max
        if channel == "answer" and as_tuple(decode(data), 2)[0] == BATCH:
            return
        if channel == "batch":
            few = (0, 1, faulty + 1)[self._made % 3]
            if (receiver - self.index - 1 + self._made) % size >= few:
                return
        super().transmit(receiver, channel, data)


SOURCES: Final[dict[str, type[Puppet]]] = {"false-source": FalseSource, "withhold-batches": BatchWithholder}
