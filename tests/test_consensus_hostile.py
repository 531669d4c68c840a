"""Peers with a good key that send what they like: nothing but Invalid escapes, nothing grows, the chain goes on. R49

Which asserts of consensus/ look as if bytes could reach them, and why they cannot:

- ``Committee.weight`` (distinct signers): the verifier refuses signers out of order first, and so does the decoder.
- ``make_block`` (payload of the header): only for our own block; a peer's passes ``decode_block``, which raises.
- ``Core._on_signed``, ``_on_replayed``, ``_on_started``: inputs of our own driver, never of a peer.
- ``Core._judge`` (block and parent are there): follows from the verdict CHECKING that the line before has set.
- ``Core._commit``, ``_end``, ``_get`` (a certificate is there): a view above the start is certified only by one.
- ``Rounds.raise_floor`` (kind and view): called for a wanted FINALIZE, which lies above the floor.
- ``Rounds._remember``: our own journal.
- ``Core.__init__`` and ``Committee.__init__``: of genesis and chain. A lone validator (n = 1) has outsiders for peers,
  whose bytes the driver decodes and never gives to the core.

The runs below hold that as far as they reach: an AssertionError is not Invalid and ends them.
"""

import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Final

import pytest

from consensus import rounds
from consensus.core import Timing
from consensus.messages import NO_HASH, Certificate, Hash, Kind, Message, Proposal, Vote
from consensus.verify import Invalid, Verifier
from tests.consensus_lab import FINALIZE, GENESIS, NOTARIZE, NULLIFY, Cluster, Glass, World
from tests.hostile import campaign
from tests.hostile.liar import Liar

QUICK_SEEDS: Final = (
    1,
    2,
    6,
    13,
)  # of 4, 31 and 7 validators, two with short epochs, one of silent liars; `make fuzz` has more
LIES: Final = 250
MEMORY_FACTOR: Final = 16  # of a message's bytes: what decoding may cost
MEMORY_BYTES: Final = 64 * 1024  # and what any message may: the interpreter's own, answers to a request


@pytest.mark.parametrize("seed", QUICK_SEEDS)
def test_a_network_with_liars_goes_on(seed: int) -> None:
    """R21, R22, R49: the worst that they can do is to waste the views that they lead."""
    result = campaign.run(seed)
    assert result.believed > 100, "lies that no check lets through test nothing"


def test_a_window_without_end_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """R49: the runs above see a core that keeps votes and proposals of any view."""
    monkeypatch.setattr(rounds, "VIEW_WINDOW", 2**50)
    with pytest.raises(AssertionError, match="something is kept of view"):
        campaign.run(1)


def talk(world: World) -> list[Message]:
    """Return what honest validators say in the first ten blocks."""
    cluster = Cluster(world, Timing(idle_ms=0))
    cluster.boot()
    cluster.run(10_000, lambda: min(cluster.heights()) >= 10)
    return [message for sender, receiver, message in cluster.sent if sender + 1 == receiver]


def certified(world: World, kind: Kind, view: int, block_hash: Hash = NO_HASH) -> Certificate:
    """Return a certificate that all have signed: a quorum by any weights."""
    return world.certificate(kind, view, block_hash, range(len(world.committee)))


def fresh(world: World) -> Glass:
    return Glass(world)


def observer(world: World) -> Glass:
    return Glass(world, None)


def in_mid_view(world: World) -> Glass:
    """A proposal is being checked, votes have come, the view before was nullified."""
    glass = Glass(world)
    nullification = certified(world, NULLIFY, 1)
    glass.certificates(nullification)
    leader = world.committee.leader(2)
    glass.proposed(world.proposal(world.block(2, parent_view=0), justification=[nullification]))
    glass.votes(*(world.vote(NULLIFY, 2, signer=signer) for signer in range(2) if signer != leader))
    return glass


def restarted(world: World) -> Glass:
    return in_mid_view(world).restarted()


def lacking_blocks(world: World) -> Glass:
    """Three views are notarized and one is final; none of the blocks is here."""
    glass = Glass(world)
    blocks = world.chain((1, 2, 3))
    glass.certificates(*(certified(world, NOTARIZE, block.header.view, block.hash) for block in blocks))
    glass.certificates(certified(world, FINALIZE, 2, blocks[1].hash))
    return glass


def after_the_end(world: World) -> Glass:
    """The epoch is over."""
    glass = Glass(world, end_height=1)
    block = world.block(1, end=1)
    glass.accept(block)
    glass.certificates(certified(world, FINALIZE, 1, block.hash))
    assert glass.core.ended
    return glass


STATES: Final = (fresh, observer, in_mid_view, restarted, lacking_blocks, after_the_end)


def lies(world: World, seed: int, count: int) -> list[tuple[int, bytes]]:
    """Return what the last two validators say, and who."""
    random = Random(seed)
    liars = [Liar(world, len(world.committee) - 1 - place, random) for place in range(2)]
    for message in talk(world):
        vote = message.vote if isinstance(message, Proposal) else message
        if isinstance(vote, Vote) and vote.view <= 4:  # the states below are in the first views
            for liar in liars:
                liar.hear(message)
    return [(liar.index, liar.lie()) for _ in range(count // 2) for liar in liars]


@pytest.mark.parametrize("world", [World(4), World(7, (5, 5, 5, 4, 4, 3, 1))], ids=["equal", "weighted"])
@pytest.mark.parametrize("state", STATES)
def test_in_no_state_does_anything_but_invalid_escape(state: Callable[[World], Glass], world: World) -> None:
    """R49: here with two liars, of whom four validators tolerate one; even so nothing breaks but progress."""
    glass, verifier = state(world), Verifier(world.committee, GENESIS)
    believed = 0
    for sender, data in lies(world, 7, LIES):
        if sender == glass.me:
            continue
        try:
            event = verifier.verify(data, sender, glass.core.wants)
        except Invalid:
            continue
        glass.feed(event)
        glass.until(glass.now + 20)
        believed += 1
    assert believed > LIES // 20
    assert len(glass.core.records()) < 400


def test_no_message_takes_more_memory_than_a_few_times_its_size() -> None:
    world = World(4)
    glass, verifier = in_mid_view(world), Verifier(world.committee, GENESIS)
    messages = lies(world, 11, LIES)
    worst: list[str] = []
    tracemalloc.start()
    try:
        for sender, data in messages:
            if sender == glass.me:
                continue
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                glass.core.step(glass.now, verifier.verify(data, sender, glass.core.wants))
            except Invalid:
                pass
            taken = tracemalloc.get_traced_memory()[1] - before
            if taken > MEMORY_FACTOR * len(data) + MEMORY_BYTES:
                worst.append(f"{len(data)} bytes took {taken}: {data[:40].hex()}")
    finally:
        tracemalloc.stop()
    assert worst == []
