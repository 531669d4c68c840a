"""Validators that lie about batches and about the chain: a whole node with its real keys, and a mouth of its own.

One rule: a liar says what it likes on its own links, in real frames; it can sign for nobody else.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from consensus.encoding import as_tuple, decode, encode
from consensus.messages import Status, encode_message
from network.wire import PeerId
from node.batches import (
    BatchDigest,
    decode_batch_message,
    encode_acknowledgement,
    encode_batch_message,
    make_batch,
)
from node.node import Node
from node.sync import BATCHES, BLOCK, RANGE
from tests.node_parts import key_in

PAUSE_SECONDS: Final = (0.05, 0.8)  # between two lies of one liar
FLOOD: Final = 40  # messages at a time

Lie = Callable[["Liar"], None]


class Liar:
    """One life of a lying validator. ``transactions`` gives some that clients have really signed."""

    def __init__(
        self,
        node: Node,
        peers: Sequence[PeerId],
        lies: Sequence[str],
        random: Random,
        transactions: Callable[[], list[bytes]],
    ) -> None:
        self._node = node
        self._others = [peer for peer in peers if peer != node.mesh.identity.peer]
        self._random = random
        self._transactions = transactions
        self._sequence = random.getrandbits(40)
        self._routine: list[Callable[[], None]] = []
        for lie in lies:
            _BEGIN[lie](self)

    async def run(self) -> None:
        """Lie on, in the life of its node."""
        await self._node.started.wait()
        while self._routine:
            await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))
            self._random.choice(self._routine)()

    # --- batches ---

    def few(self) -> None:
        """Send batches to one or two validators only."""
        links, random = self._node.links, self._random

        def broadcast(payload: bytes) -> None:
            for peer in random.sample(self._others, min(len(self._others), random.randint(0, 2))):
                links.send_batch(peer, payload)

        links.broadcast_batch = broadcast  # type: ignore[method-assign]
        self._routine.append(self._good_batch)

    def hoard(self) -> None:
        """Make batches and never give one to who asks."""
        serve = self._node.sync.serve
        self._node.sync.serve = lambda method, payload: encode(()) if method == BATCHES else serve(method, payload)  # type: ignore[method-assign]
        self.few()

    def bad_batches(self) -> None:
        """Sign batches with transactions that are wrong, on a height far away, or of nothing."""
        self._routine += [self._bad_batch, self._good_batch]

    def acknowledge_all(self) -> None:
        """Acknowledge what others make before it can be verified here, and what does not exist."""
        on_message, links = self._node.dissemination.on_message, self._node.links

        def hear(sender: PeerId, data: bytes) -> None:
            message = decode_batch_message(self._node.genesis.hash, data)
            name = message if isinstance(message, tuple) else (message.digest,)
            links.broadcast_batch(encode_acknowledgement(name))
            if self._random.random() < 0.5:  # and often throw it away
                on_message(sender, data)

        self._node.dissemination.on_message = hear  # type: ignore[method-assign]
        self._routine.append(self._invented_acknowledgement)

    def flood(self) -> None:
        """Send as much as fits, of everything."""
        self._routine.append(self._flood_once)

    def _good_batch(self) -> None:
        raws = self._transactions()
        if raws:
            self._send_batch(raws, self._node.store.tip.height, self._others)

    def _bad_batch(self) -> None:
        random, height = self._random, self._node.store.tip.height
        raws = self._transactions()
        if not raws:
            return
        match random.choice(("signature", "malformed", "future", "past", "author", "twice")):
            case "signature":
                raws[-1] = forged(raws[-1])
            case "malformed":
                raws[-1] = random.randbytes(100)
            case "future":
                height += random.choice((1, 5, 60, 10**6))
            case "past":
                height = max(0, height - random.choice((1, 1_024, 2_000)))
            case "author":
                self._unsigned_batch(raws, height)
                return
            case _:
                raws *= 2
        to = random.sample(self._others, random.randint(1, len(self._others)))
        self._send_batch(raws, height, to)

    def _unsigned_batch(self, raws: Sequence[bytes], height: int) -> None:
        batch = make_batch(self._node.genesis.hash, key_in(self._node.opened), self._next(), height, raws)
        message = bytearray(encode_batch_message(batch))
        message[5] ^= 1
        self._node.links.send_batch(self._random.choice(self._others), bytes(message))

    def _send_batch(self, raws: Sequence[bytes], height: int, to: Sequence[PeerId]) -> None:
        batch = make_batch(self._node.genesis.hash, key_in(self._node.opened), self._next(), height, raws)
        for peer in to:
            self._node.links.send_batch(peer, encode_batch_message(batch))

    def _invented_acknowledgement(self) -> None:
        names = [BatchDigest(self._random.randbytes(32)) for _ in range(64)]
        self._node.links.broadcast_batch(encode_acknowledgement(names))

    def _flood_once(self) -> None:
        random, links = self._random, self._node.links
        peer = random.choice(self._others)
        match random.choice(("batches", "acknowledgements", "junk", "votes", "statuses")):
            case "batches":
                raws = self._transactions()
                for _ in range(FLOOD if raws else 0):
                    self._send_batch(raws, self._node.store.tip.height + 50, [peer])
            case "acknowledgements":
                for _ in range(FLOOD):
                    self._invented_acknowledgement()
            case "junk":
                links.send_batch(peer, random.randbytes(random.randint(0, 2_000)))
                links.send_consensus(peer, random.randbytes(random.randint(0, 200)))
            case "votes":
                for _ in range(10 * FLOOD):
                    links.send_consensus(peer, random.randbytes(100))
            case _:
                for _ in range(10 * FLOOD):
                    links.send_consensus(peer, self._false_status())

    # --- the chain ---

    def false_heights(self) -> None:
        """Claim a chain that nobody has, and show other ranges of it than were asked for."""
        serve = self._node.sync.serve
        self._node.sync.serve = lambda method, payload: self._false_answer(method, serve(method, payload))  # type: ignore[method-assign]
        self._node.mesh._hello = lambda: encode((10**6,))
        self._routine.append(self._say_false_status)

    def slow_answers(self) -> None:
        """Answer every question a moment before or after its deadline."""

        async def answer(*_: Any) -> bytes:
            await asyncio.sleep(self._random.uniform(1.0, 4.0))
            return encode(())

        mesh = self._node.mesh
        mesh._rules = replace(mesh._rules, on_request=answer)

    def _say_false_status(self) -> None:
        self._node.links.send_consensus(self._random.choice(self._others), self._false_status())

    def _false_status(self) -> bytes:
        core = self._node.driver.core
        far = self._random.choice((1, 9, 100, 10**6))
        return encode_message(Status(core.epoch, core.view, core.finalized_view, core.committed.header.height + far))

    def _false_answer(self, method: int, answer: bytes) -> bytes:
        random = self._random
        if random.random() < 0.3:
            return answer
        if method == BLOCK:
            return random.choice((b"", random.randbytes(300), answer[:-1]))
        if method == RANGE:
            return self._false_range(answer)
        return random.choice((encode(()), b"", encode((random.randbytes(200),))))

    def _false_range(self, answer: bytes) -> bytes:
        height, blocks, certificate = as_tuple(decode(answer), 3)
        blocks = as_tuple(blocks, most=2_000)
        match self._random.choice(("nothing", "cut", "skip", "reverse", "height", "certificate")):
            case "cut":
                blocks = blocks[:-1]
            case "skip":
                blocks = blocks[1:]
            case "reverse":
                blocks = blocks[::-1]
            case "height":
                height = 10**9
            case "certificate":
                certificate = bytes(certificate)[:-1] + b"\0"  # type: ignore[call-overload]
            case _:
                blocks = ()
        return encode((height, tuple(blocks), certificate))

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence


def forged(raw: bytes) -> bytes:
    """Return a transaction whose last signature is wrong: it stands at the end of the bytes."""
    return raw[:-1] + bytes((raw[-1] ^ 1,))


_BEGIN: Final[dict[str, Lie]] = {
    "few": Liar.few,
    "hoard": Liar.hoard,
    "bad batches": Liar.bad_batches,
    "acknowledge all": Liar.acknowledge_all,
    "flood": Liar.flood,
    "false heights": Liar.false_heights,
    "slow answers": Liar.slow_answers,
}
LIES: Final = tuple(_BEGIN)
