"""A committee with its keys, one core under glass, and a small cluster whose messages a test may drop.

Keys and signatures are real. ``Glass`` answers SignVote by itself, as a driver does, and steps time only when told.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from consensus.chain import FETCH_HEIGHTS_MAX
from consensus.committee import Committee, Validator
from consensus.core import Core, Timing
from consensus.crypto import SecretKey
from consensus.events import (
    BlockBuilt,
    BlockChecked,
    BlockFetched,
    BlocksSynced,
    Broadcast,
    BuildBlock,
    CertificateReceived,
    CheckBlock,
    Content,
    Effect,
    EpochEnded,
    Evidence,
    FetchBlock,
    Finalize,
    Halt,
    Input,
    PeerConnected,
    Persist,
    ProposalReceived,
    Replayed,
    Send,
    SetTimer,
    SignVote,
    Started,
    StatusReceived,
    TimerFired,
    VoteReceived,
    VoteSigned,
)
from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    Hash,
    Header,
    Kind,
    Message,
    Proposal,
    Vote,
    encode_message,
    make_block,
    payload_hash,
    vote_statement,
)
from consensus.place import Place
from consensus.records import Record, decode_record
from consensus.verify import Verifier

GENESIS: Final = Hash(b"genesis-hash-of-a-test-network--")
EPOCH: Final = 1
NOTARIZE, NULLIFY, FINALIZE = Kind
DELAY_MS: Final = 5

SomeEffect = TypeVar("SomeEffect")


class World:
    """A committee of ``n`` with keys, and makers of all that its members may say."""

    def __init__(self, n: int = 4, weights: Sequence[int] | None = None, epoch: int = EPOCH) -> None:
        keys = sorted((SecretKey(bytes([i + 1]) * 32) for i in range(n)), key=lambda key: key.public)
        self.keys = keys
        self.committee = Committee(
            epoch,
            [Validator(key.public, weight) for key, weight in zip(keys, weights or [1] * n, strict=True)],
            allow_dominant=True,
        )
        self.epoch = epoch
        self.root = make_block(
            Header(GENESIS, 0, 0, 0, 0, NO_HASH, 0, 0, NO_HASH, NO_HASH, 0, NO_HASH, payload_hash(b""), 1), b""
        )

    def vote(self, kind: Kind, view: int, block_hash: Hash = NO_HASH, signer: int = 0) -> Vote:
        statement = vote_statement(GENESIS, kind, self.epoch, view, block_hash)
        return Vote(kind, self.epoch, view, block_hash, signer, self.keys[signer].sign(statement))

    def certificate(
        self, kind: Kind, view: int, block_hash: Hash = NO_HASH, signers: Iterable[int] | None = None
    ) -> Certificate:
        chosen = range(self.committee.quorum) if signers is None else signers
        pairs = tuple((signer, self.vote(kind, view, block_hash, signer).signature) for signer in chosen)
        return Certificate(kind, self.epoch, view, block_hash, pairs)

    def notarization(self, block: Block, view: int | None = None) -> Certificate:
        return self.certificate(NOTARIZE, block.header.view if view is None else view, block.hash)

    def finalization(self, block: Block, view: int | None = None) -> Certificate:
        return self.certificate(FINALIZE, block.header.view if view is None else view, block.hash)

    def nullification(self, view: int) -> Certificate:
        return self.certificate(NULLIFY, view)

    def block(
        self,
        view: int,
        parent: Block | None = None,
        parent_view: int | None = None,
        payload: bytes = b"x",
        end: int = 0,
    ) -> Block:
        """A good block of ``view``; ``end`` is its epoch's last height, if that matters."""
        on = parent or self.root
        above = parent_view if parent_view is not None else (on.header.view if on.header.epoch == self.epoch else 0)
        last = on.header.height + 1 == end
        content = Content(on.header.timestamp_ms + 1, 0, NO_HASH, Hash(b"n" * 32) if last else NO_HASH, payload, 1)
        return Place(self.committee, GENESIS, 2**62).next_block(view, above, on, content)

    def changed(self, block: Block, **fields: object) -> Block:
        """The block with other fields in its header."""
        return make_block(replace(block.header, **fields), block.payload)  # type: ignore[arg-type]

    def proposal(
        self,
        block: Block,
        view: int | None = None,
        parent_view: int | None = None,
        justification: Iterable[Certificate] = (),
        finalization: Certificate | None = None,
        bare: bool = False,
    ) -> Proposal:
        """Its leader's proposal of ``block``; ``bare`` leaves the block out."""
        in_view = block.header.view if view is None else view
        vote = self.vote(NOTARIZE, in_view, block.hash, self.committee.leader(in_view))
        on = block.header.parent_view if parent_view is None else parent_view
        return Proposal(on, vote, None if bare else block, tuple(justification), finalization)

    def chain(self, views: Iterable[int]) -> list[Block]:
        """Blocks of these views, each on the one before."""
        blocks: list[Block] = []
        for view in views:
            blocks.append(self.block(view, blocks[-1] if blocks else None))
        return blocks


class Glass:
    """One core: what goes in, what comes out, and the journal that it leaves."""

    def __init__(
        self,
        world: World,
        me: int | None = 0,
        *,
        root: Block | None = None,
        floor: Certificate | None = None,
        end_height: int = 1_000,
        timing: Timing | None = None,
        records: Iterable[bytes] = (),
        signs: bool = True,
        start: bool = True,
    ) -> None:
        self.world = world
        self.me = me
        self.timing = timing or Timing(idle_ms=0)
        self.core = Core(world.committee, GENESIS, me, root or world.root, floor, end_height, self.timing)
        self.now = 0
        self.signs = signs
        self.journal: list[bytes] = list(records)
        self.effects: list[Effect] = []
        self.timer_at: int | None = None
        for record in list(self.journal):
            self.feed(Replayed(record))
        if start:
            self.feed(Started())

    def feed(self, *events: Input) -> list[Effect]:
        """Step through the events and the votes that they make us sign; return what came out."""
        out: list[Effect] = []
        waiting = list(events)
        while waiting:
            effects = self.core.step(self.now, waiting.pop(0))
            out += effects
            for effect in effects:
                if isinstance(effect, Persist):
                    self.journal.append(effect.record)
                if isinstance(effect, SetTimer):
                    self.timer_at = effect.at_ms
            if self.signs:
                waiting[:0] = [VoteSigned(self.sign(effect)) for effect in of(effects, SignVote)]
        self.effects += out
        return out

    def sign(self, effect: SignVote) -> Vote:
        assert self.me is not None
        return self.world.vote(effect.kind, effect.view, effect.hash, self.me)

    def until(self, now_ms: int) -> list[Effect]:
        """Let time pass, firing the timer whenever it is due."""
        out: list[Effect] = []
        while self.timer_at is not None and self.timer_at <= now_ms:
            self.now, self.timer_at = max(self.now, self.timer_at), None
            out += self.feed(TimerFired())
        self.now = now_ms
        return out

    def votes(self, *votes: Vote) -> list[Effect]:
        return self.feed(*(VoteReceived(vote) for vote in votes))

    def certificates(self, *certificates: Certificate) -> list[Effect]:
        return self.feed(*(CertificateReceived(3, certificate) for certificate in certificates))

    def proposed(self, proposal: Proposal) -> list[Effect]:
        return self.feed(ProposalReceived(proposal.vote.signer, proposal))

    def accept(self, block: Block, **how: object) -> list[Effect]:
        """Its leader proposes ``block``, and the application finds it valid."""
        out = self.proposed(self.world.proposal(block, **how))  # type: ignore[arg-type]
        return out + self.feed(BlockChecked(block.header.view, block.hash, True))

    def restarted(self, **changes: object) -> "Glass":
        """Another life from the same journal."""
        kept: dict[str, object] = {"timing": self.timing, "records": self.journal, "end_height": self.core.end_height}
        return Glass(self.world, self.me, **(kept | changes))  # type: ignore[arg-type]


def of(effects: Iterable[Effect], kind: type[SomeEffect]) -> list[SomeEffect]:
    """The effects of one type."""
    return [effect for effect in effects if isinstance(effect, kind)]


def cast(effects: Iterable[Effect]) -> list[tuple[Kind, int]]:
    """What was promised: kind and view."""
    return [(effect.kind, effect.view) for effect in of(effects, SignVote)]


def sent(effects: Iterable[Effect], peer: int | None = None) -> list[Message]:
    """The messages to all, or with ``peer`` those to it alone."""
    if peer is None:
        return [effect.message for effect in of(effects, Broadcast)]
    return [effect.message for effect in of(effects, Send) if effect.peer == peer]


def facts(records: Iterable[bytes]) -> list[Record]:
    """The decoded records of a journal."""
    return [decode_record(record) for record in records]


class Node:
    """A member of the cluster: a core, its verifier, and a disk that keeps what was persisted."""

    def __init__(self, cluster: "Cluster", index: int) -> None:
        self.cluster = cluster
        self.index = index
        self.journal: list[bytes] = []
        self.stored: list[Block] = [cluster.world.root]
        self.floor: Certificate | None = None
        self.ended: EpochEnded | None = None
        self.up = False
        self.life = 0
        self.timers = 0  # the last one set is the only one that fires
        self.core: Core

    def boot(self) -> None:
        world = self.cluster.world
        self.up, self.life = True, self.life + 1
        self.core = Core(
            world.committee,
            GENESIS,
            self.index,
            self.stored[-1],
            self.floor,
            self.cluster.end_height,
            self.cluster.timing,
        )
        self.verifier = Verifier(world.committee, GENESIS)
        for record in list(self.journal):
            self.step(Replayed(record))
        self.step(Started())
        for peer in self.cluster.nodes:
            if peer.up and peer is not self:
                self.step(PeerConnected(peer.index))
                peer.step(PeerConnected(self.index))

    def crash(self) -> None:
        self.up, self.life = False, self.life + 1

    def receive(self, sender: int, data: bytes) -> None:
        event = self.verifier.verify(data, sender, self.core.wants)
        self.step(event)
        if isinstance(event, StatusReceived):
            self.sync(self.cluster.nodes[sender], event.status.finalized_height)

    def sync(self, peer: "Node", height: int) -> None:
        """Take a range from who says that it is far ahead, as a driver does."""
        have = len(self.stored)
        if height - have > FETCH_HEIGHTS_MAX and peer.floor is not None:
            self.step(BlocksSynced(tuple(peer.stored[have:]), peer.floor))

    def step(self, event: Input) -> None:
        for effect in self.core.step(self.cluster.now, event):
            self.cluster.carry_out(self, effect)


class Cluster:
    """Cores that talk over a scripted network.

    ``lose(sender, receiver, message)`` says what is lost; ``rewrite`` changes what is sent.
    """

    def __init__(self, world: World, timing: Timing | None = None, end_height: int = 1_000, pace_ms: int = 20) -> None:
        self.world = world
        self.timing = timing or Timing(idle_ms=0)
        self.end_height = end_height
        self.pace_ms = pace_ms
        self.now = 0
        self.lose: Callable[[int, int, Message], bool] = lambda *_: False
        self.rewrite: Callable[[Message], Message] = lambda message: message
        self.sent: list[tuple[int, int, Message]] = []
        self.final: dict[int, Hash] = {}
        self.liars: frozenset[int] = frozenset()  # who may be accused; evidence against another is a failure
        self.evidence: list[tuple[int, Evidence]] = []
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self.nodes: list[Node] = [Node(self, index) for index in range(len(world.committee))]

    def boot(self, *indices: int) -> None:
        for node in self.nodes:
            if not indices or node.index in indices:
                node.boot()

    def later(self, delay_ms: int, node: Node, action: Callable[[], None]) -> None:
        life = node.life
        self._order += 1
        self._queue.append((self.now + delay_ms, self._order, lambda: action() if node.life == life else None))

    def run(self, until_ms: int, enough: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until then or until it is enough."""
        while self._queue and not enough():
            self._queue.sort(key=lambda item: item[:2])
            if self._queue[0][0] > until_ms:
                break
            self.now, _, action = self._queue.pop(0)
            action()
        if not enough():
            self.now = until_ms

    def heights(self) -> list[int]:
        return [node.stored[-1].header.height for node in self.nodes]

    def carry_out(self, node: Node, effect: Effect) -> None:
        match effect:
            case Persist():
                node.journal.append(effect.record)
            case SignVote():
                vote = self.world.vote(effect.kind, effect.view, effect.hash, node.index)
                self.later(0, node, lambda: node.step(VoteSigned(vote)))
            case Send() | Broadcast():
                to = [effect.peer] if isinstance(effect, Send) else range(len(self.nodes))
                for peer in to:
                    if peer != node.index:
                        self._transmit(node.index, peer, effect.message)
            case SetTimer():
                node.timers += 1
                mine = node.timers
                wait_ms = max(0, effect.at_ms - self.now)
                self.later(wait_ms, node, lambda: node.step(TimerFired()) if node.timers == mine else None)
            case BuildBlock():
                self.later(self.pace_ms, node, lambda: node.step(BlockBuilt(effect.view, self._content(effect))))
            case CheckBlock():
                self.later(1, node, lambda: node.step(BlockChecked(effect.view, effect.block.hash, True)))
            case FetchBlock():
                self.later(2 * DELAY_MS, node, lambda: self._fetch(node, effect.hash))
            case Finalize():
                self._store(node, effect)
            case EpochEnded():
                node.ended = effect
            case Evidence() if effect.first.signer in self.liars:
                self.evidence.append((node.index, effect))
            case Halt():
                raise AssertionError(f"node {node.index} halts: {effect.reason}")
            case _:
                raise AssertionError(f"node {node.index}: {effect}")

    def _transmit(self, sender: int, receiver: int, message: Message) -> None:
        message = self.rewrite(message)
        self.sent.append((sender, receiver, message))
        node, data = self.nodes[receiver], encode_message(message)
        if node.up and not self.lose(sender, receiver, message):
            self.later(DELAY_MS, node, lambda: node.receive(sender, data))

    def _content(self, effect: BuildBlock) -> Content:
        parent = effect.parent.header
        last = parent.height + 1 == self.end_height
        return Content(
            parent.timestamp_ms + 1, 0, NO_HASH, Hash(b"n" * 32) if last else NO_HASH, b"v%d" % effect.view, 1
        )

    def _fetch(self, node: Node, wanted: Hash) -> None:
        for peer in self.nodes:
            if peer.up and peer is not node and not self.lose(peer.index, node.index, self.world.vote(NULLIFY, 1)):
                stored = {block.hash: block for block in peer.stored}
                block = peer.core.block(wanted) or stored.get(wanted)
                if block is not None:
                    node.step(BlockFetched(block))
                    return

    def _store(self, node: Node, effect: Finalize) -> None:
        for block in effect.blocks:
            height = block.header.height
            assert height == node.stored[-1].header.height + 1, "committed in order"
            assert self.final.setdefault(height, block.hash) == block.hash, f"two final blocks at height {height}"
            node.stored.append(block)
        node.floor = effect.certificate
