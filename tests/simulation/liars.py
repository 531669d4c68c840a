"""Those who do not follow the protocol. Each holds its own key and no other.

One rule: a liar sees what its links bring and nothing else, and may send anything to anyone at any time; all liars of a
run together weigh no more than the committee tolerates.
"""

from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import Final

from consensus.messages import (
    NO_HASH,
    Hash,
    Kind,
    Message,
    Proposal,
    Vote,
    encode_message,
    vote_statement,
)
from consensus.timing import Timing
from tests.simulation.judge import Judge
from tests.simulation.keys import Signer
from tests.simulation.loop import Loop
from tests.simulation.members import Members
from tests.simulation.network import Network

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
    "nullify-only",
    "revoker",
    "wrong-epoch",
    "impersonator",
    "flooder",
    "false-source",
    "withhold-batches",
)
MEMORY: Final = 64  # messages or views that a liar remembers


def filter_of(
    family: str, random: Random, members: Callable[[int], Members], timing: Timing
) -> Callable[[int, Message], Iterable[int]]:
    """Return what a liar that runs the real core does with what it should send: the delays of each copy, in ms."""

    def mute_leader(_: int, message: Message) -> Iterable[int]:
        return () if isinstance(message, Proposal) else (0,)

    def withhold_votes(receiver: int, message: Message) -> Iterable[int]:
        if not isinstance(message, Vote):
            return (0,)
        seated = members(message.epoch)
        return (0,) if seated.place(receiver) == (message.view * 7 + 3) % len(seated.nodes) else ()

    def withhold_blocks(receiver: int, message: Message) -> Iterable[int]:
        if not isinstance(message, Proposal):
            return (0,)
        seated = members(message.vote.epoch)
        size = len(seated.nodes)
        return (0,) if (seated.place(receiver) + message.vote.view) % size <= (size - 1) // 3 + 1 else ()

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


def twin_filters(random: Random) -> list[Callable[[int, Message], Iterable[int]]]:
    """Return for each of two twins to whom its messages get: that splits the honest between the two, for a while."""
    heard: dict[int, int] = {}

    def split(twin: int, receiver: int, _: Message) -> Iterable[int]:
        if receiver not in heard or random.random() < 0.02:
            heard[receiver] = random.choice((0, 0, 1, 1, 2))
        return (0,) if heard[receiver] in (twin, 2) else ()

    return [partial(split, twin) for twin in (0, 1)]


class Mouth:
    """How a liar speaks: signs with its own key, tells the judge, sends to whom it likes, when it likes."""

    def __init__(
        self,
        loop: Loop,
        network: Network,
        judge: Judge,
        genesis_hash: Hash,
        index: int,
        members: Callable[[int], Members],
        hearers: int,
        signer: Signer,
    ) -> None:
        """``members`` are those of an epoch, as far as anybody knows them; ``hearers`` the nodes that it speaks to."""
        self.index = index
        self.random = loop.random(f"liar {index}")
        self._loop = loop
        self._network = network
        self._judge = judge
        self.genesis_hash = genesis_hash
        self._members = members
        self._hearers = hearers
        self._signer = signer

    def seat(self, epoch: int) -> int:
        """Return where it sits in an epoch; without a seat the name under which it speaks all the same."""
        return self._members(epoch).place(self.index)

    def size(self, epoch: int) -> int:
        """Return how many seats an epoch has."""
        return len(self._members(epoch).nodes)

    def vote(self, kind: Kind, epoch: int, view: int, block_hash: Hash) -> Vote:
        """Sign whatever it is."""
        named = NO_HASH if kind is Kind.NULLIFY else block_hash
        statement = vote_statement(self.genesis_hash, kind, epoch, view, named)
        return Vote(kind, epoch, view, named, self.seat(epoch), self._signer.sign(statement))

    def answer(self, receiver: int, data: bytes) -> None:
        """Answer a question for data."""
        self._network.send(self.index, receiver, "answer", data)

    def say(self, message: Message, share: float = 1.0, late_ms: int = 0) -> None:
        """Send to a random share of the others, each up to ``late_ms`` later."""
        self._judge.sent(self.index, False, message)
        self.say_bytes(encode_message(message), share, late_ms)

    def say_bytes(self, data: bytes, share: float = 1.0, late_ms: int = 0) -> None:
        """Send what may be no message."""
        for peer in range(self._hearers):
            if peer != self.index and self.random.random() < share:
                self._loop.after(
                    self.random.randint(0, late_ms), self._network.send, self.index, peer, "consensus", data
                )
