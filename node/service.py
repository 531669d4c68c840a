"""The node as the RPC sees it: answers from the parts, in the RPC's own terms.

One rule: nothing is decided here.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from consensus.messages import Kind
from network.mesh import Mesh
from network.wire import PeerId
from node.audit_log import AuditLog
from node.config import Config
from node.decree import SignedDecree
from node.disk_watch import DiskWatch
from node.dissemination import Dissemination, Observing, Submission
from node.driver import Driver
from node.epochs import Epochs
from node.executor import Executor
from node.ledger.errors import Code, Refused
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis
from node.links import MeshLinks
from node.log import THRESHOLD
from node.members import Members
from node.mempool import FULL, RETRY_AFTER_MS, Full, Mempool
from node.outcomes import Outcomes
from node.readiness import ReadinessSigner
from node.rpc.errors import NOT_A_VALIDATOR, OVERLOADED
from node.rpc.ports import (
    Admin,
    CommitteeInfo,
    Link,
    NetworkInfo,
    NodeStatus,
    PeerInfo,
    Ports,
    Readiness,
    Submitted,
    ValidatorInfo,
)
from node.storage.store import Store
from node.sync import Sync
from node.tokens import Tokens

FRESH_MS: Final = 15_000  # a ready node's last block is no older: three heartbeats of an idle network


class Service:
    """Makes the Ports of a node."""

    def __init__(
        self,
        config: Config,
        genesis: Genesis,
        store: Store,
        ledger: Ledger,
        mempool: Mempool,
        dissemination: Dissemination,
        outcomes: Outcomes,
        driver: Driver,
        executor: Executor,
        sync: Sync,
        links: MeshLinks,
        mesh: Mesh,
        disk: DiskWatch,
        now_ms: Callable[[], int],
        readiness: ReadinessSigner,
        tokens: Tokens,
        audit: AuditLog,
        stop: Callable[[], None],
        supported: range,
        decrees: Sequence[SignedDecree],
    ) -> None:
        self._config = config
        self._decrees = decrees
        self._store = store
        self._ledger = ledger
        self._mempool = mempool
        self._dissemination = dissemination
        self._outcomes = outcomes
        self._driver = driver
        self._executor = executor
        self._sync = sync
        self._links = links
        self._mesh = mesh
        self._disk = disk
        self._now_ms = now_ms
        self._genesis = genesis
        self._readiness = readiness
        self._tokens = tokens
        self._audit = audit
        self._stop = stop
        self._started_ms = now_ms()
        self._supported = supported
        self._draining = False

    def ports(self) -> Ports:
        """Return what the RPC may ask."""
        genesis = self._genesis
        return Ports(
            network=NetworkInfo(genesis.name, genesis.kind, genesis.network, genesis.hash, genesis.epoch_length),
            committee=self.committee,
            epochs=partial(Epochs, genesis, decrees=self._decrees),
            store=self._store,
            ledger=self._ledger,
            submit=self.submit,
            outcome=self._outcomes.outcome,
            reached=self._outcomes.reached,
            pending=self.pending,
            status=self.status,
            peers=self.peers,
            readiness=self.readiness,
            now_ms=self._now_ms,
            open_access=self.open_access,
            grant_of=self._tokens.grant,
            record=self._audit.record,
            admin=Admin(
                started_ms=self._started_ms,
                log_level=lambda: THRESHOLD.level,
                set_log_level=partial(setattr, THRESHOLD, "level"),
                links=self.links,
                disconnect=self.disconnect,
                drain=self.drain,
                stop=self._stop,
                audit_log=self._audit.entries,
                numbers=self.numbers,
                missing=lambda: self._driver.presence.missing(self._driver.clock_ms()),
            ),
        )

    @property
    def open_access(self) -> bool:
        """Whether everybody may ask about everybody."""
        access = self._config.rpc.access
        return access == "open" or (access == "auto" and self._genesis.kind == "devnet")

    async def submit(self, raws: Sequence[bytes]) -> list[Submitted]:
        """Admit transactions. Whatever was executed or waits already is a success."""
        if self._draining:
            return [self._submitted(Observing()) for _ in raws]
        if not self._disk.accepts() or not self._signs():
            return [self._submitted(FULL) for _ in raws]
        answers = await self._dissemination.submit(raws)
        return [self._submitted(answer) for answer in answers]

    def _signs(self) -> bool:
        """Return whether what is taken in can go into a batch: without a signer it would wait here, unseen."""
        memory = self._readiness.signer.memory
        return memory is not None and not memory.suspended

    def _submitted(self, answer: Submission) -> Submitted:
        match answer:
            case Observing():
                return Submitted(None, NOT_A_VALIDATOR.code)
            case Full():
                return Submitted(None, OVERLOADED.code, retry_after_ms=RETRY_AFTER_MS)
            case Refused() if answer.code is Code.QUOTA:
                return Submitted(None, int(answer.code), retry_after_ms=RETRY_AFTER_MS)
            case Refused() if answer.code is Code.DUPLICATE:
                return Submitted(answer.original, 0, duplicate=True)
            case Refused():
                return Submitted(None, int(answer.code))
            case _:
                return Submitted(answer.id, 0)

    def pending(self, transaction_id: bytes) -> bool:
        """Return whether a transaction waits in the mempool or in a batch that is not executed."""
        return transaction_id in self._mempool

    def committee(self) -> CommitteeInfo:
        """Return who validates in the epoch under way."""
        return committee_info(self._driver.members)

    def status(self) -> NodeStatus:
        """Return where this node is."""
        core = self._driver.core
        stored = self._store.block(self._store.tip.height)
        last_block_ms = 0 if stored is None else stored.timestamp_ms
        connected = sum(peer in self._driver.members for peer in self._links.connected())
        syncing = self._sync.behind()
        reasons = self._reasons(last_block_ms, syncing)
        votes = core.votes()
        return NodeStatus(
            name=self._config.name,
            height=self._store.tip.height,
            finalized_height=core.committed.header.height,
            epoch=core.epoch,
            view=core.view,
            leader=self._name(core.leader),
            syncing=syncing,
            last_block_ms=last_block_ms,
            peers_connected=connected,
            mempool_transactions=len(self._mempool),
            ready=not reasons,
            reasons=reasons,
            notarized=self._names(votes[Kind.NOTARIZE]),
            nullified=self._names(votes[Kind.NULLIFY]),
            finalized=self._names(votes[Kind.FINALIZE]),
            version=self._driver.members.version,
            next_version=max(self._driver.members.version, self._ledger.parameters.protocol_version),
            supported_max=self._supported[-1],
        )

    def _reasons(self, last_block_ms: int, syncing: bool) -> tuple[str, ...]:
        members = self._driver.members
        reasons = []
        if self._driver.unknown_version is not None:
            reasons.append("the next protocol version is unknown to this node")
        if syncing:
            reasons.append("behind the network")
        if self._now_ms() - last_block_ms > FRESH_MS:
            reasons.append("no block for 15 seconds")
        if last_block_ms - self._now_ms() > FRESH_MS:
            reasons.append("the last block is of the future")
        here = frozenset((*self._links.connected(), self._mesh.identity.peer))
        if not self._config.observer and sum(map(members.weight, here)) < members.committee.quorum:
            reasons.append("no links to a quorum")
        if not self._disk.accepts():
            reasons.append("the disk is nearly full")
        if self._draining:
            reasons.append("draining")
        memory = self._readiness.signer.memory
        if memory is None:
            reasons.append("the signer is away")
        elif memory.suspended:
            reasons.append("the signer is suspended")
        elif self._driver.voting.fenced and self._driver.core.me is not None:
            reasons.append("fenced")
        return tuple(reasons)

    async def readiness(self) -> Readiness | tuple[str, ...]:
        """Return this node's signed word that it is ready to be a validator, or why it is not."""
        return await self._readiness.sign(self.status().reasons)

    def peers(self) -> list[PeerInfo]:
        """Return the links."""
        return [
            PeerInfo(status.name, status.peer, status.connected, self.height_of(status.peer), status.since_ms)
            for status in self._mesh.peers()
        ]

    def links(self) -> list[Link]:
        """Return the links as the operator sees them."""
        return [
            Link(
                name=status.name,
                node_key=status.peer,
                address=f"{status.host}:{status.port}",
                connected=status.connected,
                dialled=status.dialled,
                height=self.height_of(status.peer),
                since_ms=status.since_ms,
                rtt_ms=None if status.rtt_ms is None else round(status.rtt_ms),
                score=round(status.score),
                narrow=status.narrow,
                blocked_ms=round(status.blocked_seconds * 1_000),
                last_error=status.last_error,
            )
            for status in self._mesh.peers()
        ]

    def disconnect(self, name: str) -> bool:
        """End the link with the peer of this name."""
        peers = [status.peer for status in self._mesh.peers() if status.name == name]
        return bool(peers) and self._mesh.disconnect(peers[0])

    def drain(self, on: bool) -> None:
        """Turn clients away from now on, or take them again; what was taken in goes its way."""
        self._draining = on

    def numbers(self) -> dict[str, int]:
        """Return queues and sizes."""
        stats = self._store.stats()
        return {
            "height": self._store.tip.height,
            "finalized_height": self._driver.core.committed.header.height,
            "execution_queue_blocks": self._executor.queued(),
            "batches_missing": self._driver.batches_missing(),
            "votes_waiting": self._driver.voting.waiting,
            "mempool_transactions": len(self._mempool),
            "mempool_bytes": self._mempool.bytes,
            "mempool_refused": self._mempool.refused,
            "store_bytes": stats.directory_bytes,
            "disk_free_bytes": stats.disk_free_bytes,
            "tokens": len(self._tokens),
        }

    def newest_version(self, peer: PeerId) -> int | None:
        """Return the newest protocol version in which a peer takes part, as it said when it linked."""
        return self._links.versions.get(peer)

    def height_of(self, node_key: bytes) -> int | None:
        """Return the final height that a peer claims."""
        return self._sync.height_of(PeerId(node_key))

    def _name(self, index: int) -> str:
        return self._driver.members.rows[index].name

    def _names(self, indices: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._name(index) for index in indices)


def committee_info(members: Members) -> CommitteeInfo:
    """Return a committee as the RPC shows it."""
    return CommitteeInfo(
        members.committee,
        tuple(
            ValidatorInfo(row.name, row.consensus_key, row.node_key, row.weight, index)
            for index, row in enumerate(members.rows)
        ),
    )
