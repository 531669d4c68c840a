"""A small network of real cores with liars in it, for one seed: what must never happen, and what must go on."""

from dataclasses import dataclass
from random import Random
from typing import Final

from consensus.core import Timing
from consensus.events import BlockChecked, CheckBlock, Effect, Evidence, ProposalRefused
from consensus.messages import NO_HASH, Block, Kind, Message
from consensus.rounds import VIEW_WINDOW
from consensus.verify import SEEN_MAX, Invalid
from tests.consensus_lab import DELAY_MS, Cluster, Node, World
from tests.hostile.liar import Liar

BURST_MS: Final = 15  # between two bursts of lies
STORM_MS: Final = 2_000
CALM_MS: Final = 60_000
HEIGHTS: Final = 3  # new ones that calm must bring

QUICK: Final = Timing(
    leader_ms=150, view_ms=400, view_ms_max=2_000, retry_ms=150, share_ms=20, skip_ms=1_500, idle_ms=0
)
SIZES: Final = (
    (4, None),
    (4, None),
    (7, None),
    (7, (5, 5, 5, 4, 4, 3, 1)),
    (31, tuple(range(10, 41))),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a seed did."""

    lies: int
    believed: int  # passed every check and reached a core
    heights: int


class Storm(Cluster):
    """A cluster some of whose validators run no core: liars speak for them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        count, weights = self.random.choice(SIZES)
        world = World(count, weights)
        end_height = self.random.choice((5, 1_000, 1_000))
        super().__init__(world, QUICK, end_height)
        self.silence = self.random.choice((0.0, 0.0, 0.9))  # how often the liars miss a burst, so that views time out
        self.liars = self._chosen(world)
        self.speakers = [Liar(world, index, self.random) for index in sorted(self.liars)]
        self.honest = [node for node in self.nodes if node.index not in self.liars]
        self.lies = self.believed = 0

    def _chosen(self, world: World) -> frozenset[int]:
        chosen: list[int] = []
        for index in self.random.sample(range(len(world.committee)), len(world.committee)):
            if world.committee.weight([*chosen, index]) <= world.committee.faulty_max and len(chosen) < 4:
                chosen.append(index)
        return frozenset(chosen)

    def carry_out(self, node: Node, effect: Effect) -> None:
        match effect:
            case CheckBlock():
                valid = honest_content(effect.block, effect.parent)
                answer = BlockChecked(effect.view, effect.block.hash, valid)
                self.later(1, node, lambda: node.step(answer))
            case ProposalRefused() if effect.vote.signer in self.liars:
                pass
            case Evidence() if effect.first.signer in self.liars:
                pass
            case _:
                super().carry_out(node, effect)

    def storm(self, until_ms: int) -> None:
        """Let time pass while the liars speak and honest validators lose power now and then."""
        while self.now < until_ms:
            if self.random.random() >= self.silence:
                for liar in self.speakers:
                    for _ in range(self.random.choice((1, 2, 8))):
                        self._send(liar.index, liar.lie())
            if self.random.random() < 0.01:
                self._restart(self.random.choice(self.honest))
            heard = len(self.sent)
            self.run(self.now + BURST_MS)
            self._listen([message for _, _, message in self.sent[heard:]])
            del self.sent[:]
            for node in self.honest:
                check_bounds(node)

    def _listen(self, messages: list[Message]) -> None:
        for message in dict.fromkeys(messages):
            for liar in self.speakers:
                liar.hear(message)

    def _send(self, index: int, data: bytes) -> None:
        self.lies += 1
        targets = self.honest if self.random.random() < 0.5 else [self.random.choice(self.honest)]
        for node in targets:
            if node.up:
                self.later(DELAY_MS, node, lambda node=node: self._take(node, index, data))  # type: ignore[misc]

    def _take(self, node: Node, sender: int, data: bytes) -> None:
        """Give a core what passes the checks, as the driver does. Only Invalid is a judgement; all else is a fault."""
        try:
            event = node.verifier.verify(data, sender, node.core.wants)
        except Invalid:
            return
        self.believed += 1
        node.step(event)

    def _restart(self, node: Node) -> None:
        node.crash()
        node.boot()


def honest_content(block: Block, parent: Block) -> bool:
    """Say what the lab's application thinks of a block: it carries exactly what an honest leader of the lab puts in."""
    header, before = block.header, parent.header
    return (header.timestamp_ms, header.executed_height, header.state_root) == (before.timestamp_ms + 1, 0, NO_HASH)


def check_bounds(node: Node) -> None:
    """R49: nothing grows by what liars send. Views that are certified and not final are honest work, and count."""
    core, count = node.core, len(node.cluster.world.committee)
    open_views = core.view - core.finalized_view + VIEW_WINDOW + 2
    rounds = len(core._rounds)
    blocks, records = len(core.blocks()), len(core.records())
    wanted, asked = len(core._chain.wanted), len(core._peers._asked)
    seen = len(node.verifier._seen)
    votes = max((len(round.tally.signers(kind)) for _, round in core._rounds for kind in Kind), default=0)
    told = f"{rounds=} {blocks=} {records=} {wanted=} {asked=} {seen=} {votes=} {open_views=}"
    farthest = max((view for view, _ in core._rounds), default=0)
    assert farthest <= core.view + VIEW_WINDOW, f"something is kept of view {farthest}, seen from view {core.view}"
    assert rounds <= open_views, told
    assert blocks <= 3 * open_views, told
    assert records <= 10 * open_views, told
    assert wanted <= open_views, told
    assert asked <= 4 * open_views + 64, told
    assert seen <= SEEN_MAX, told
    assert len(node.journal) <= 12 * core.view + 50, f"{len(node.journal)} records in {core.view} views"
    assert votes <= count, told


def run(seed: int) -> Result:
    """Run a seed; raise whatever goes wrong in it, with the seed."""
    try:
        return _run(seed)
    except BaseException as error:
        error.add_note(f"python -m tests.hostile --only network --seed {seed}")
        raise


def _run(seed: int) -> Result:
    storm = Storm(seed)
    storm.boot(*(node.index for node in storm.honest))
    storm.storm(STORM_MS if len(storm.nodes) < 31 else STORM_MS // 20)
    reached = max(len(node.stored) - 1 for node in storm.honest)
    target = min(reached + HEIGHTS, storm.end_height)

    def enough() -> bool:
        return all(len(node.stored) - 1 >= target for node in storm.honest)

    storm.run(storm.now + CALM_MS, enough)
    assert enough(), (
        f"{[len(node.stored) - 1 for node in storm.honest]} of {target} heights: the lies stopped the chain"
    )
    assert all(node.ended is not None for node in storm.honest) or target < storm.end_height
    return Result(storm.lies, storm.believed, target)
