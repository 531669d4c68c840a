"""Looks at everything that the validators sign, send, finalize, execute and check, and shows it to the judge.

One rule: nothing here changes what a node does. What must never be is told to ``fail`` at once, whoever sees it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgpack

from consensus.encoding import DecodeError
from consensus.events import Evidence
from consensus.messages import Block, Kind, Vote, decode_block, decode_message
from consensus.records import decode_record
from devnet.generate import ISSUER
from network.wire import PeerId
from node.batches import (
    AUTHOR_BATCHES_MAX,
    AUTHOR_BYTES_MAX,
    BLOCK_BATCHES_MAX,
    BLOCK_BYTES_MAX,
    Batch,
    decode_batch,
    decode_payload,
)
from node.checks import QUEUED_CHECKS_MAX, Lane
from node.driver import BATCH_RECORD, CONSENSUS_RECORD
from node.evidence import Charge
from node.executor import Stored
from node.home import Opened
from node.inbox import INBOX_MAX
from node.ledger.account import SOM
from node.ledger.transaction import Transaction
from node.ledger.validators import members
from node.links import CONSENSUS
from node.members import Members
from node.node import Node
from node.storage.journal import Record
from node.sync import EXECUTING_MAX, FETCHES_MAX
from tests.node_parts import guard_of
from tests.shell.loop import Life, VirtualLoop
from tests.simulation.application import Executed
from tests.simulation.judge import Bench, Fact, Judge, Violation, fact_of

INBOX_SLACK: Final = 256  # our own parts' inputs are never dropped: few
EXECUTING_SLACK: Final = 1_024  # one more range, and what the core commits by itself
BLAME_MAX: Final = 5  # points: being late or over a rate may happen to the honest, no other slip


def tap(owner: Any, name: str, before: Callable[..., None]) -> None:
    """Call ``before`` with the same arguments whenever ``owner.name`` is called, first."""
    method = getattr(owner, name)

    def tapped(*arguments: Any, **named: Any) -> Any:
        before(*arguments, **named)
        return method(*arguments, **named)

    setattr(owner, name, tapped)


class Watch:
    """Over one run. ``fail`` hears of the first thing that must never be."""

    def __init__(
        self,
        loop: VirtualLoop,
        judge: Judge,
        genesis_hash: bytes,
        honest: frozenset[int],
        accounts: Sequence[int],
        fail: Callable[[Violation], None],
    ) -> None:
        self.loop = loop
        self.judge = judge
        self.genesis_hash = genesis_hash
        self.honest = honest
        self.nullified: Counter[int] = Counter()  # NULLIFY votes by validator
        self._accounts = accounts
        self._fail = fail
        self._sent: dict[bytes, None] = {}
        self._indices: dict[PeerId, int] = {}
        self._authors: dict[bytes, int] = {}
        self._papers: dict[int, _Papers] = {}

    def know(self, peers: Sequence[PeerId], authors: Sequence[bytes]) -> None:
        """Learn the nodes' keys, of links and of votes, by index."""
        self._indices = {peer: index for index, peer in enumerate(peers)}
        self._authors = {author: index for index, author in enumerate(authors)}

    def index_of(self, author: bytes) -> int:
        """Return the node that signs with this key."""
        return self._authors[author]

    def convenes(self, boundary: Block, members: Members) -> None:
        """A node begins the epoch after ``boundary`` with these members."""
        rows = members.rows
        nodes = tuple(self._indices[PeerId(row.node_key)] for row in rows)
        bench = Bench(tuple(row.consensus_key for row in rows), tuple(row.weight for row in rows), nodes)
        self.ask(self.judge.convenes, members.epoch, boundary, bench)

    def opened(self, index: int, opened: Opened) -> None:
        """A validator's files are open. Liars may write and sign what they like."""
        if index in self.honest:
            self._papers[index] = _Papers(self, index, opened)

    def node(self, index: int, life: Life, node: Node) -> None:
        """A validator is about to run."""
        if index in self.honest:
            self._papers[index].node = node
            _Deeds(self, index, life, node)

    def sent(self, index: int, channel: int, payload: bytes) -> None:
        """A validator put a message into outboxes."""
        if channel != CONSENSUS.number or payload in self._sent:
            return
        if len(self._sent) > 4_096:
            self._sent.clear()
        self._sent[payload] = None
        try:
            message = decode_message(payload)
        except DecodeError:
            return
        self.ask(self.judge.sent, index, index in self.honest, message)

    def blamed(self, index: int, peer: PeerId, points: int, reason: str) -> None:
        """A validator blames another for what it sent."""
        other = self._indices[peer]
        if self.loop.tracing:
            self.loop.trace(f"n{index} blames n{other} for {points}: {reason}")
        if index in self.honest and other in self.honest and points > BLAME_MAX:
            self.violated("well-behaved", f"n{index} blames honest n{other} for {points} points: {reason}")

    def ask(self, question: Callable[..., None], *arguments: object) -> None:
        """Show something to the judge."""
        try:
            question(*arguments)
        except Violation as violation:
            self._fail(violation)
            raise

    def violated(self, invariant: str, detail: str) -> None:
        """Say what must never be."""
        violation = Violation(invariant, detail)
        self._fail(violation)
        raise violation

    def money(self, node: Node, stored: Stored) -> Executed:
        """Return what a height left of the money."""
        accounts = [node.ledger.account(number) for number in self._accounts]
        balances = {
            number: 0 if account is None else account.balance(SOM)
            for number, account in zip(self._accounts, accounts, strict=True)
        }
        others = [balance for number, balance in balances.items() if number != ISSUER]
        header = stored.block.header
        root = stored.executed.root
        rows = members(node.ledger.roster)
        return Executed(header.height, root, -balances[ISSUER], sum(balances.values()), min(others), rows)  # type: ignore[arg-type]

    def bounds(self, index: int, node: Node) -> None:
        """Compare every queue with its cap."""
        most_early = AUTHOR_BATCHES_MAX * len(self._indices)
        sizes = (
            ("inbox", len(node.driver._inbox), INBOX_MAX + INBOX_SLACK),
            ("execution", node.executor.queued(), EXECUTING_MAX + EXECUTING_SLACK),
            ("mempool", len(node.mempool), node.config.mempool.transactions_max),
            ("mempool bytes", node.mempool.bytes, node.config.mempool.bytes_max),
            ("checks of clients", node.checks.queued(Lane.CLIENTS), QUEUED_CHECKS_MAX + 4_096),
            ("fetches", len(node.sync._fetching), FETCHES_MAX + 1),
            ("early acknowledgements", max(map(len, node.pool._early.values()), default=0), most_early),
            ("outboxes", node.mesh.queue_bytes(), 64 * 2**20 * len(self._indices)),  # type: ignore[attr-defined]
        )
        for what, size, most in sizes:
            if size > most:
                self.violated("bounded", f"n{index} has {size} in {what}, {most} at the most")
        for row in node.driver.members.rows:
            waiting = [held for held in node.pool.held() if held.batch.author == row.consensus_key]
            here = [held for held in waiting if not node.pool.is_final(held.batch.digest)]
            size = sum(len(held.batch.encoded) for held in here)
            # What a proposal names is fetched whatever waits already.
            if len(here) > AUTHOR_BATCHES_MAX + BLOCK_BATCHES_MAX or size > AUTHOR_BYTES_MAX + BLOCK_BYTES_MAX:
                self.violated("bounded", f"n{index} holds {len(here)} batches of one author")


class _Papers:
    """The journal and the guard of one life: what is on disk before what is signed."""

    def __init__(self, watch: Watch, index: int, opened: Opened) -> None:
        self._watch = watch
        self._index = index
        self.node: Node
        self._store = opened.store
        self._durable: set[Fact] = set()
        self._batches: set[bytes] = set()
        self._pending: list[Record] = list(opened.records)
        self._on_sync()
        tap(opened.journal, "append", self._on_append)
        self._tap_after(opened.journal, "sync", self._on_sync)
        tap(opened.journal, "rotate", self._on_rotate)
        self._guard = guard_of(opened)
        self._sign = self._guard.sign
        self._guard.sign = self._on_sign  # type: ignore[method-assign,assignment]

    def holds_batch(self, digest: bytes) -> bool:
        """Return whether a batch is surely on disk."""
        return digest in self._batches or self._store.batch(digest) is not None

    def _tap_after(self, owner: Any, name: str, after: Callable[[], None]) -> None:
        method = getattr(owner, name)

        def tapped() -> None:
            method()
            after()

        setattr(owner, name, tapped)

    def _on_append(self, kind: int, payload: bytes) -> None:
        self._pending.append((kind, payload))
        if kind == CONSENSUS_RECORD:
            record = decode_record(payload)
            if isinstance(record, Block):
                self._watch.judge.learn(record)

    def _on_sync(self) -> None:
        self._note(self._pending)
        self._pending = []

    def _on_rotate(self, records: Sequence[Record]) -> None:
        before, core = self._durable, self.node.driver.core
        self._durable, self._batches = set(), set()
        self._note(records)
        if not core.ended:  # the next epoch needs nothing of this one
            judge = self._watch.judge
            self._watch.ask(judge.rotated, self._index, before, self._durable, core.epoch, core.finalized_view)

    def _note(self, records: Sequence[Record]) -> None:
        for kind, payload in records:
            if kind == CONSENSUS_RECORD:
                self._durable.add(fact_of(payload))
            elif kind == BATCH_RECORD:
                self._batches.add(decode_batch(self._watch.genesis_hash, payload).digest)

    def _on_sign(self, key: Any, kind: int, epoch: int, view: int, statement: bytes) -> Any:
        watch = self._watch
        block_hash = msgpack.unpackb(statement[len(b"som-vote-1") :], use_list=False)[4]
        seat = self.node.driver.core.me
        assert seat is not None, "who has no seat signs nothing"
        vote = Vote(Kind(kind), epoch, view, block_hash, seat, b"")  # type: ignore[arg-type]
        watch.ask(watch.judge.durable, self._index, vote, self._durable, self.holds_batch)
        signature = self._sign(key, kind, epoch, view, statement)
        vote = Vote(Kind(kind), epoch, view, block_hash, seat, signature)
        watch.loop.record(b"%d signs %d %d %d" % (self._index, kind, epoch, view) + block_hash)
        if kind == Kind.NULLIFY:
            watch.nullified[self._index] += 1
        watch.ask(watch.judge.signed, self._index, vote)
        return signature


class _Deeds:
    """What one life finalizes, executes, accuses of and checks."""

    def __init__(self, watch: Watch, index: int, life: Life, node: Node) -> None:
        self._watch = watch
        self._index = index
        self._life = life
        self._node = node
        tip = node.store.tip
        self._tip = (tip.height, tip.block_hash)
        self._verified: set[bytes] = set()  # batches
        self._checked: set[bytes] = set()  # transactions of clients
        self._epoch_begins()
        tap(node.executor, "finalized", self._on_final)
        self._tap_stored(node)
        tap(node.driver, "_on_evidence", self._on_evidence)
        tap(node.evidence, "_on_charge", self._on_charge)
        self._tap_epoch(node)
        self._tap_checks(node)

    def _epoch_begins(self) -> None:
        core = self._node.driver.core
        length = self._node.genesis.epoch_length
        boundary = core.committed
        if boundary.header.height % length:
            stored = self._node.store.block(core.epoch * length)
            assert stored is not None
            boundary = decode_block(stored.block_bytes)
        self._watch.ask(self._watch.judge.epoch_starts, core.epoch, boundary, (core.epoch + 1) * length)
        self._watch.convenes(boundary, self._node.driver.members)
        self._life.terms += core.me is None

    def _tap_epoch(self, node: Node) -> None:
        begin = node.driver._begin_epoch

        def tapped(*arguments: Any, **named: Any) -> None:
            begin(*arguments, **named)
            self._epoch_begins()

        node.driver._begin_epoch = tapped  # type: ignore[method-assign]

    def _tap_stored(self, node: Node) -> None:
        on_stored = node.executor._on_stored

        def tapped(stored: Stored) -> None:
            watch, height = self._watch, stored.block.header.height
            watch.loop.record(b"%d executes %d " % (self._index, height) + stored.executed.root)
            if watch.loop.tracing:
                watch.loop.trace(f"n{self._index} stores {height} with {len(stored.executed.receipts)} transactions")
            watch.ask(watch.judge.executed, self._index, watch.money(node, stored))
            on_stored(stored)

        node.executor._on_stored = tapped

    def _tap_checks(self, node: Node) -> None:
        valid = node.checks.valid

        async def tapped(transactions: Sequence[Transaction], lane: Lane) -> list[bool]:
            verdicts = await valid(transactions, lane)
            for each, is_valid in zip(transactions, verdicts, strict=True):
                if is_valid and lane is Lane.CLIENTS:
                    self._once(self._checked, each.id, "a client's transaction")
            return verdicts

        verified = node.dissemination._verified

        async def tapped_batch(batch: Batch) -> bool:
            held = await verified(batch)
            # What is wrong is checked whenever a liar serves it, and costs the liar its link; and what a known liar
            # wrote is let go of, and checked again if a block names it.
            if held and self._watch.index_of(batch.author) in self._watch.honest:
                self._once(self._verified, batch.digest, "a batch")
            return held

        node.checks.valid = tapped  # type: ignore[method-assign]
        node.dissemination._verified = tapped_batch  # type: ignore[method-assign]

    def _once(self, seen: set[bytes], name: bytes, what: str) -> None:
        if name in seen:
            self._watch.violated("checks", f"n{self._index} checks the signatures of {what} a second time")
        seen.add(name)

    def _on_final(self, blocks: Sequence[Block], certificate: Any) -> None:
        watch = self._watch
        watch.ask(watch.judge.finalized, self._index, self._tip, blocks, certificate)
        for block in blocks:
            watch.loop.record(b"%d finalizes " % self._index + block.hash)
        self._tip = (blocks[-1].header.height, blocks[-1].hash)

    def _on_evidence(self, effect: Any) -> None:
        if isinstance(effect, Evidence):
            self._watch.ask(self._watch.judge.evidence, self._index, effect.first, effect.second)

    def _on_charge(self, charge: Charge) -> None:
        accused = self._watch.index_of(charge.validator)
        if accused in self._watch.honest:
            self._watch.violated("evidence", f"n{self._index} believes that n{accused} lied: {charge}")


def payload_refs(payload: bytes) -> tuple[bytes, ...]:
    """Return the batches that a block names, as the judge asks."""
    try:
        return decode_payload(payload)
    except DecodeError:
        return ()
