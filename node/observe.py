"""Which numbers of which part are published under which name. docs/operations.md explains each."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from network.mesh import Mesh
from node.batches import BatchPool
from node.checks import Lane, SignatureChecks
from node.dissemination import Dissemination
from node.driver import Driver
from node.evidence_pool import EvidencePool
from node.executor import Executor
from node.ledger.account import SOM
from node.ledger.execute import Ledger
from node.mempool import Mempool
from node.metrics import Labelled, Metrics, Sample, Timed
from node.pruning import Pruner
from node.rpc.server import RpcServer
from node.service import Service
from node.signing.remote import RemoteSigner
from node.signing.signer import Signer
from node.snapshot_fetch import Fetch
from node.snapshot_maker import Maker
from node.snapshots import Snapshots
from node.storage.records import StoreStats
from node.storage.store import Store

LOOK_SECONDS: Final = 5.0  # between two looks at the store's directory: of 1,000 files one takes 15 ms


def publish(
    metrics: Metrics,
    service: Service,
    driver: Driver,
    executor: Executor,
    pool: BatchPool,
    mempool: Mempool,
    dissemination: Dissemination,
    evidence: EvidencePool,
    checks: SignatureChecks,
    store: Store,
    ledger: Ledger,
    mesh: Mesh,
    signer: Signer,
    rpc: RpcServer,
    snapshots: Snapshots,
    maker: Maker,
    fetch: Fetch,
    pruner: Pruner,
) -> None:
    """Register every part's numbers."""
    sizes = Sizes(store.stats)
    rpc.at_stop(sizes.stop)  # before the store is closed

    def consensus() -> Iterator[Sample]:
        status, core, counters = service.status(), driver.core, driver.counters
        yield "gauge", "som_height", "Height executed and stored", status.height
        yield "gauge", "som_finalized_height", "Height finalized", status.finalized_height
        yield "gauge", "som_epoch", "Epoch", status.epoch
        yield "gauge", "som_view", "View of the epoch", status.view
        yield "gauge", "som_protocol_version", "Protocol version of this node's epoch", status.version
        yield "gauge", "som_protocol_version_next", "Demanded of the next epoch", status.next_version
        yield "gauge", "som_protocol_version_supported_max", "The newest this node knows", status.supported_max
        yield "gauge", "som_member", "1 if this node is a member of the committee", int(core.me is not None)
        yield "gauge", "som_ready", "1 if synced, linked to a quorum and the last block is fresh", int(status.ready)
        yield "gauge", "som_syncing", "1 while fetching ranges of the chain", int(status.syncing)
        yield "gauge", "som_last_block_time_seconds", "Time of the last stored block", status.last_block_ms / 1_000
        yield "gauge", "som_peers_connected", "Links to validators", status.peers_connected
        yield "counter", "som_views_notarized", "Views notarized", core.counters.views_notarized
        yield "counter", "som_views_nullified", "Views nullified", core.counters.views_nullified
        yield "counter", "som_leader_timeouts", "Views without a proposal in time", core.counters.leader_timeouts
        yield "counter", "som_view_timeouts", "Views that ended by their timer", core.counters.view_timeouts
        yield "counter", "som_leaders_skipped", "Views of silent leaders", core.counters.leaders_skipped
        yield "counter", "som_proposals_invalid", "Proposals found invalid", core.counters.proposals_invalid
        yield "counter", "som_retries", "Retransmissions while nothing moved", core.counters.retries
        yield "counter", "som_messages_invalid", "Consensus messages refused", counters.invalid
        yield "counter", "som_inbox_dropped", "Consensus messages dropped, the inbox was full", counters.dropped
        yield (
            "counter",
            "som_signatures_refused",
            "Votes that the double-sign guard refused",
            driver.voting.votes.refused,
        )
        presence, now_ms = driver.presence, driver.clock_ms()
        yield "gauge", "som_missing_validators", "Validators that say nothing", len(presence.missing(now_ms))
        yield "gauge", "som_missing_weight", "And their weight", presence.missing_weight(now_ms)
        yield "gauge", "som_quorum_weight", "Weight that must agree", driver.members.committee.quorum
        yield "gauge", "som_total_weight", "Weight of all validators", driver.members.committee.total
        yield (
            "counter",
            "som_late_timers",
            "Timers late by 50 ms or more: this process stood still",
            counters.late_timers,
        )

    def keys() -> Iterator[Sample]:
        memory, voting = signer.memory, driver.voting
        yield "gauge", "som_signer_connected", "1 if the signer is there", int(memory is not None)
        suspended = int(memory is not None and bool(memory.suspended))
        yield "gauge", "som_signer_suspended", "1 if the signer signs nothing until it is released", suspended
        late = signer.late if isinstance(signer, RemoteSigner) else 0
        yield "counter", "som_signer_late", "Answers of the signer process after 50 ms, or none", late
        yield "gauge", "som_fenced", "1 while this validator keeps silent and listens", int(voting.fenced)
        yield "gauge", "som_votes_waiting", "Votes that nobody has signed yet", voting.waiting
        yield "counter", "som_foreign_votes", "Votes under our key that our guard does not know", voting.votes.foreign

    def transactions() -> Iterator[Sample]:
        yield "gauge", "som_mempool_transactions", "Transactions that wait here", len(mempool)
        yield "gauge", "som_mempool_bytes", "Bytes that wait here", mempool.bytes
        yield "counter", "som_mempool_refused", "Transactions turned away: no room or a long queue", mempool.refused
        yield "counter", "som_mempool_expired", "Transactions that no block executed in time", mempool.expired
        yield "gauge", "som_batches_waiting", "Batches held and not executed", len(pool)
        yield "counter", "som_batches_made", "Batches of our own", dissemination.batches_made
        yield "counter", "som_batches_invalid", "Batches refused", dissemination.batches_invalid
        yield "counter", "som_signatures_checked", "Signatures of transactions checked", checks.checked
        yield "gauge", "som_execution_queue_blocks", "Final blocks not executed yet", executor.queued()
        yield "counter", "som_transactions_executed", "Transactions executed, by this process", executor.transactions

    def money() -> Iterator[Sample]:
        yield "gauge", "som_supply_tyiyn", "Digital som in circulation", ledger.supply(SOM)
        yield "gauge", "som_invariant_height", "The last height at which all sums were found right", ledger.height

    def clients() -> Iterator[Sample]:
        sockets = rpc.websockets
        yield "gauge", "som_rpc_websocket_clients", "WebSockets that are open", len(sockets)
        yield "gauge", "som_rpc_subscriptions", "Subscriptions of all WebSockets", sockets.subscriptions
        yield "counter", "som_rpc_events", "Events told", sockets.events
        yield "counter", "som_rpc_slow_consumers", "Clients closed because they did not read", sockets.slow

    def denied() -> Iterator[Labelled]:
        reasons = {name: float(count) for name, count in rpc.denied.items()}
        yield "counter", "som_rpc_denied", "Calls refused at the door, by reason", "reason", reasons

    def disk() -> Iterator[Sample]:
        stats = sizes.now()
        yield "gauge", "som_store_bytes", "Size of the store's directory", stats.directory_bytes
        yield "gauge", "som_disk_free_bytes", "Free on its file system", stats.disk_free_bytes
        yield "gauge", "som_disk_total_bytes", "Size of its file system", stats.disk_total_bytes
        yield "gauge", "som_journal_bytes", "Size of the consensus journal", driver.journal_bytes()

    def history() -> Iterator[Sample]:
        kept = snapshots.sizes()
        newest = max(kept, default=0)
        yield "gauge", "som_snapshot_every", "Heights between two snapshots, 0: none is made", maker.every
        yield "gauge", "som_snapshot_height", "Height of the newest snapshot here, 0: there is none", newest
        yield "gauge", "som_snapshot_bytes", "Size of the newest snapshot", kept.get(newest, 0)
        yield "gauge", "som_snapshots_bytes", "Size of all snapshots that are kept", sum(kept.values())
        yield "gauge", "som_snapshot_seconds", "What making the last one took, 0 before the first", maker.seconds
        yield "counter", "som_snapshots_made", "Snapshots made", maker.made
        yield "counter", "som_snapshots_skipped", "Not made, validators had just changed", maker.skipped
        yield "counter", "som_snapshots_unproven", "Made in vain, no certified root came", maker.unproven
        yield "counter", "som_snapshot_sent_bytes", "Bytes of our snapshots that peers had", snapshots.sent_bytes
        yield "counter", "som_snapshot_received_bytes", "Bytes of peers' snapshots that came", fetch.received_bytes
        yield "counter", "som_snapshot_unusable", "Attempts to begin at a peer's snapshot in vain", fetch.unusable
        yield "gauge", "som_pruned_height", "Blocks up to here are not kept, 0: all are", store.base()
        yield "counter", "som_pruned_blocks", "Blocks given up", pruner.blocks
        yield "gauge", "som_prune_due_blocks", "Blocks that may go and are still here", pruner.due

    def tables() -> Iterator[Labelled]:
        tables = {name: float(size) for name, size in sizes.now().table_bytes.items()}
        yield "gauge", "som_store_table_bytes", "Size of the store's tables, as LevelDB estimates it", "table", tables

    def durations() -> Iterator[Timed]:
        tempo = driver.tempo
        yield "som_view_seconds", "From a view's begin to its end", "outcome", tempo.views
        quorums = {kind.name.lower(): each for kind, each in tempo.quorums.items()}
        yield "som_quorum_seconds", "From our vote for a block to a quorum's, by kind", "kind", quorums
        yield "som_step_seconds", "Steps of the consensus core", "", {"": tempo.steps}
        yield "som_journal_sync_seconds", "Synced writes of the consensus journal", "", {"": tempo.syncs}
        yield "som_block_execution_seconds", "Executing a block", "", {"": executor.execution}
        yield "som_block_store_seconds", "Storing a block, synced", "", {"": executor.storing}

    def validators() -> Iterator[Labelled]:
        presence = driver.presence
        signed = {name: float(height) for name, height in presence.last_signed.items()}
        yield "gauge", "som_validator_last_signed_height", "Newest final block it voted for", "validator", signed
        missed = {name: float(count) for name, count in presence.missed.items()}
        yield "counter", "som_validator_missed_blocks", "Final blocks it did not vote for", "validator", missed
        late = {name: float(count) for name, count in presence.late.items()}
        yield "counter", "som_validator_late_votes", "Its votes after their quorum", "validator", late

    def lanes() -> Iterator[Labelled]:
        waiting = {lane.name.lower(): float(checks.queued(lane)) for lane in Lane}
        yield "gauge", "som_checks_queued", "Signature checks that wait, by lane", "lane", waiting

    def proofs() -> Iterator[Labelled]:
        held = {kind.name.lower(): float(count) for kind, count in evidence.counts().items()}
        yield "counter", "som_evidence", "Proofs of misbehaviour held, by kind", "kind", held

    def network() -> Iterator[Labelled]:
        peers = mesh.peers()
        yield "gauge", "som_peer_connected", "1 if linked", "peer", {peer.name: float(peer.connected) for peer in peers}
        heights = {peer.name: float(height) for peer in peers if (height := service.height_of(peer.peer)) is not None}
        yield "gauge", "som_peer_height", "Final height, by its own word", "peer", heights
        rtts = {peer.name: peer.rtt_ms / 1_000 for peer in peers if peer.rtt_ms is not None}
        yield "gauge", "som_peer_rtt_seconds", "Round trip of the last ping", "peer", rtts
        yield "gauge", "som_peer_score", "Points for misbehaviour", "peer", {peer.name: peer.score for peer in peers}
        newest = {peer.name: float(service.newest_version(peer.peer) or 0) for peer in peers}
        yield "gauge", "som_peer_protocol_version_supported_max", "The newest it knows, 0 unheard", "peer", newest
        offsets = {p.name: p.clock_offset_ms / 1_000 for p in peers if p.clock_offset_ms is not None}
        yield "gauge", "som_peer_clock_offset_seconds", "Their clock less ours", "peer", offsets
        sent = {str(number): float(count.bytes_out) for number, count in mesh.channel_counters.items()}
        yield "counter", "som_network_sent_bytes", "Bytes sent by channel", "channel", sent
        received = {str(number): float(count.bytes_in) for number, count in mesh.channel_counters.items()}
        yield "counter", "som_network_received_bytes", "Bytes received by channel", "channel", received
        dropped = {str(number): float(count.dropped) for number, count in mesh.channel_counters.items()}
        yield "counter", "som_network_dropped", "Messages dropped, an outbox was full", "channel", dropped

    for source in (consensus, keys, transactions, money, clients, disk, history):
        metrics.add(source)
    for labelled in (lanes, proofs, denied, network, validators, tables):
        metrics.add_labelled(labelled)
    metrics.add_timed(durations)


class Sizes:
    """The sizes of the store as they were at the last look. A look is taken in a thread, never twice at once."""

    def __init__(self, look: Callable[[], StoreStats]) -> None:
        """Look once, here."""
        self._look = look
        self._found = look()
        self._next = time.monotonic() + LOOK_SECONDS
        self._thread = ThreadPoolExecutor(1, "sizes")
        self._looking: Future[StoreStats] | None = None
        self._stopped = False

    def now(self) -> StoreStats:
        """Return what was found last, and begin to look again if that was LOOK_SECONDS ago. Raises StorageError."""
        looked, at = self._looking, time.monotonic()
        if looked is not None and looked.done():
            self._looking = None
            self._found = looked.result()
        if self._looking is None and at >= self._next and not self._stopped:
            self._next = at + LOOK_SECONDS
            self._looking = self._thread.submit(self._look)
        return self._found

    async def stop(self) -> None:
        """Look no more, and wait for the look under way."""
        self._stopped = True
        await asyncio.to_thread(self._thread.shutdown)
