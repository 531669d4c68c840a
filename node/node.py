"""The composition root: the only place that constructs, and that knows every part; it starts and stops everything.

One rule: a part that fails stops the node. A supervisor starts it again, and it resumes from its journal.
"""

import asyncio
import gc
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from consensus.committee import Committee
from consensus.crypto import SecretKey
from consensus.encoding import as_int, as_tuple, decode, encode
from consensus.messages import Certificate, Hash, decode_block, decode_certificate
from consensus.timing import Timing
from consensus.verify import certificate_valid
from network.identity import Identity
from network.mesh import Mesh
from network.peer import PeerError
from network.wire import PeerId
from node.adoption import METHOD as DECREE_METHOD
from node.adoption import Adoption
from node.audit_log import DIRECTORY as AUDIT_DIRECTORY
from node.audit_log import AuditLog
from node.batches import BATCH_LIFE_HEIGHTS, BatchInvalid, BatchPool, decode_batch, decode_payload, decode_transactions
from node.build import VERSION
from node.checks import SignatureChecks
from node.config import Config, ConfigError
from node.decree import DecreeConflict, TermBegins
from node.disk_watch import DiskWatch
from node.dissemination import Dissemination
from node.driver import BATCH_RECORD, CONSENSUS_RECORD, ConsensusHalted, Driver
from node.epochs import Epochs
from node.evidence import Charge
from node.evidence import Kind as EvidenceKind
from node.evidence import Network as EvidenceNetwork
from node.evidence_pool import METHOD as EVIDENCE_METHOD
from node.evidence_pool import EvidencePool
from node.executor import Diverged, Executor, Stored
from node.home import Opened, open_home, read_config
from node.ledger.errors import InvariantViolation
from node.ledger.execute import Ledger
from node.ledger.versions import VERSION_MAX
from node.links import BATCHES, CHANNELS, CONSENSUS, EVIDENCE, FAREWELL_HEIGHTS, MeshLinks, may_link
from node.log import configure_log
from node.members import Members
from node.mempool import Mempool
from node.metrics import Metrics
from node.observe import publish
from node.outcomes import Outcomes
from node.pruning import Pruner
from node.readiness import ReadinessSigner
from node.rpc.ports import Outcome
from node.rpc.server import RpcServer
from node.service import Service
from node.snapshot_fetch import Fetch, SnapshotReady
from node.snapshot_maker import Maker
from node.snapshots import METHODS as SNAPSHOT_METHODS
from node.snapshots import Snapshots
from node.storage.decrees import keep_decree
from node.storage.disk import RoomLimits
from node.storage.errors import GuardError, KeyFileError, NotInitialised, StorageError, WrongNetwork
from node.storage.files import Unsafe
from node.storage.keystore import forbid_core_dumps
from node.storage.snapshot_files import Fetched, Shelf
from node.storage.sockets import listen_locally
from node.storage.store import Store
from node.sync import Sync
from node.terms import end_height, term_of
from node.tokens import Tokens
from node.upgrades import VersionUnknown, supported_versions, told

EXIT_OK: Final = 0
EXIT_CODES: Final[tuple[tuple[tuple[type[Exception], ...], int], ...]] = (
    (
        (Diverged, ConsensusHalted, DecreeConflict, InvariantViolation),
        70,
    ),  # keep everything, call for help: docs/operations.md
    # What no restart mends: somebody has to put a file right, or in its place.
    ((ConfigError, VersionUnknown, KeyFileError, GuardError, Unsafe, NotInitialised, WrongNetwork), 7),
    ((StorageError, OSError), 74),
)
TIMING: Final = Timing()
# Allocations between two collections, and collections of one generation between two of the next. Transactions make
# no cycles; with Python's own 700, looking for some took 3 % of a busy node's time.
GARBAGE_THRESHOLDS: Final = (200_000, 20, 100)  # payments make no cycles: look for garbage seldom
# After which a thread that runs gives way to one that waits. Each signature check lets the thread that commits have the
# interpreter; with Python's own 5 ms the event loop waits as long to get it back. Half of one: 7 % more payments.
SWITCH_SECONDS: Final = 0.0005
HELLO_FIELDS_MAX: Final = 16
SEQUENCE_SHIFT: Final = 20  # batch sequences start at the time of the start, so that two lives never share one

log = structlog.get_logger("node")


def unix_ms() -> int:
    """Return the wall clock: for block times, expiry and nothing else."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class World:
    """What lies outside the process: the wall clock and whatever opens sockets. A simulator has its own."""

    now_ms: Callable[[], int] = unix_ms
    mesh: Callable[..., Mesh] = Mesh
    rpc: Callable[..., RpcServer] = RpcServer
    local: Callable[[Path], socket.socket | None] = listen_locally


WORLD: Final = World()


class Node:
    """One validator. ``run`` goes on until cancelled; ``rpc_port`` and ``listen_port`` are known once ``started``."""

    def __init__(self, config: Config, opened: Opened, timing: Timing = TIMING, world: World = WORLD) -> None:
        """Wire every part to those it needs. Nothing runs yet."""
        genesis = opened.genesis
        now_ms = self._now_ms = world.now_ms
        self._local = world.local
        self.config = config
        self.opened = opened
        self.genesis = genesis
        self.started = asyncio.Event()
        self.stopping = asyncio.Event()  # the operator wants it to end
        self.store = opened.store
        self.epochs = Epochs(genesis, opened.store, opened.decrees)
        self.supported = supported_versions(config)
        identity = Identity(opened.node_seed, genesis.name, genesis.hash)
        self.metrics = Metrics(
            {"node": config.name, "network": genesis.name, "genesis": genesis.hash.hex()[:16], "version": VERSION}
        )
        self.ledger = Ledger(opened.store, genesis, config.ledger.accounts_in_memory)
        _require_same_state(self.store, self.ledger)
        members = self.epochs.at_start(self.supported)
        self.links = MeshLinks()
        self.pool = BatchPool(members, identity.peer)
        self.mempool = Mempool(config.mempool.transactions_max, config.mempool.bytes_max, self.ledger.account)
        self.checks = SignatureChecks(config.signature_workers)
        self.outcomes = Outcomes(
            lambda transaction_id: self.store.transaction(transaction_id) is not None, self.store.tip.height
        )
        self.executor = Executor(
            self.store, self.ledger, self.pool, self._fetch_batches, self._on_stored, self.epochs.decreed_roster
        )
        tip = self.store.tip
        stored = self.store.block(tip.height)
        assert stored is not None
        self.evidence = EvidencePool(
            EvidenceNetwork(genesis.hash, genesis.epoch_length, self._committee_of, self.epochs.term_above),
            opened.signer.public,
            self.store,
            self.links,
            self._on_charge,
            lambda votes: self.driver.voting.accused(votes),
        )
        self.driver = Driver(
            genesis_hash=Hash(genesis.hash),
            epochs=self.epochs,
            timing=timing,
            me=identity.peer,
            signer=opened.signer,
            journal=opened.journal,
            store=self.store,
            root=decode_block(stored.block_bytes),
            floor=decode_certificate(tip.certificate) if tip.certificate else None,
            pool=self.pool,
            executor=self.executor,
            links=self.links,
            now_ms=now_ms,
            on_epoch=self._on_epoch,
            supported=self.supported,
            on_standstill=self._on_standstill,
            on_evidence=self.evidence.take,
        )
        self.dissemination = Dissemination(
            genesis_hash=genesis.hash,
            members=members,
            me=identity.peer,
            signer=opened.signer,
            pool=self.pool,
            mempool=self.mempool,
            checks=self.checks,
            ledger=self.ledger,
            links=self.links,
            keep=self.driver.keep,
            on_batch=self.driver.on_batch,
            height=lambda: self.driver.core.committed.header.height,
            now_ms=now_ms,
            first_sequence=now_ms() << SEQUENCE_SHIFT,
            accuse=self.evidence.take_batch,
        )
        self.sync = Sync(
            genesis_hash=genesis.hash,
            store=self.store,
            pool=self.pool,
            links=self.links,
            block_of=lambda block_hash: self.driver.core.block(block_hash),
            committed_height=lambda: self.driver.core.committed.header.height,
            executing=self.executor.queued,
            epoch_is_open=lambda: not self.driver.core.ended,
            certificate_valid=self._certificate_valid,
            take_batch=self.dissemination.fetched,
            deliver=self.driver.deliver,
            epoch_end=lambda: end_height(self.driver.core.epoch, self.epochs.length),
        )
        self.driver.sync = self.sync
        self.adoption = Adoption(opened.home, genesis.hash, self.epochs, self.store, self.links, self._committee_of)
        if self.epochs.decree_after(members.epoch) is not None:
            self.dissemination.stand_still()  # what is taken in a term that is over comes into no block
        self.sync.term = lambda: term_of(self.driver.core.epoch)
        self.sync.on_later_term = self.adoption.on_later_term
        opened.signer.on_change(self.dissemination.on_signer)
        shelf = Shelf(opened.data / "snapshots")
        self.snapshots = Snapshots(shelf)
        self.maker = Maker(self.store, self.epochs, genesis, shelf, config.snapshot.every, config.snapshot.keep)
        self.pruner = Pruner(
            self.store,
            Epochs(genesis, self.store, opened.decrees),  # of its own: it works in a thread
            genesis.hash,
            config.prune.keep_blocks,
            config.prune.keep_days,
            lambda: self.maker.making,
        )
        self.fetch = Fetch(
            genesis,
            opened.data / "store",
            Fetched(opened.data / "snapshot.fetch"),
            self.links,
            lambda: self.driver.core.committed.header.height,
            self.sync.claims,
            config.snapshot.fetch_behind,
            opened.decrees,
            partial(keep_decree, opened.home),
        )
        self.fetch.wanted = tip.height < config.snapshot.fetch_behind and not opened.by_blocks
        self.sync.held = self.fetch.holds
        self.mesh = world.mesh(
            identity,
            (),
            config.listen.host,
            config.listen.port,
            CHANNELS,
            hello=lambda: encode((self.store.tip.height, self.supported[-1])),
            on_hello=self._on_hello,
            on_message=self._on_message,
            on_request=self._on_request,
            on_connected=self._on_connected,
            on_disconnected=self._on_disconnected,
        )
        self.links.mesh = self.mesh
        self._let_link()
        disk = config.disk
        self.audit = AuditLog(opened.home / AUDIT_DIRECTORY, SecretKey(opened.node_seed), now_ms, opened.disk)
        self.disk = DiskWatch(
            self.store.disk_usage, RoomLimits(disk.refuse_percent, disk.stop_percent, disk.stop_bytes)
        )
        self.service = Service(
            config,
            genesis,
            self.store,
            self.ledger,
            self.mempool,
            self.dissemination,
            self.outcomes,
            self.driver,
            self.executor,
            self.sync,
            self.links,
            self.mesh,
            self.disk,
            now_ms,
            ReadinessSigner(opened.signer, identity.peer, self.ledger),
            Tokens(opened.home / config.rpc.tokens_file, now_ms),
            self.audit,
            self.stopping.set,
            self.supported,
            opened.decrees,
        )
        self.rpc = world.rpc(
            self.service.ports(),
            self.metrics.render,
            allowed_hosts=config.rpc.allowed_hosts,
            observe=self.metrics.observe_rpc,
        )
        publish(
            self.metrics,
            self.service,
            self.driver,
            self.executor,
            self.pool,
            self.mempool,
            self.dissemination,
            self.evidence,
            self.checks,
            self.store,
            self.ledger,
            self.mesh,
            opened.signer,
            self.rpc,
            self.snapshots,
            self.maker,
            self.fetch,
            self.pruner,
        )

    async def run(self) -> None:
        """Replay the journal, join the network, serve clients."""
        self._recover()
        gc.collect()
        gc.freeze()  # what is here now stays: full collections need not visit it
        local = self._local(self.opened.home / self.config.rpc.admin_socket)
        await self.rpc.start(self.config.rpc.host, self.config.rpc.port, local=local)
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in self._work():
                    tasks.create_task(work)
                await self.mesh.started.wait()
                self._log_start()
                self.started.set()
        finally:
            await asyncio.create_task(self.rpc.stop())  # a group that failed leaves us marked (network/peer.py)
            self.audit.close()

    def _log_start(self) -> None:
        votes = self.driver.core.me is not None
        log.info("started", height=self.store.tip.height, listen=self.mesh.port, rpc=self.rpc.port, votes=votes)
        if self.service.open_access:
            log.warning("access_open", why="everybody who reaches the RPC may ask about every account")
        seats = {seat.name for seat in self.epochs.newest_roster()}
        for peer in self.config.peers:
            if not peer.node_key and peer.name not in seats:
                log.warning("peer_unknown", peer=peer.name)  # not yet, or no longer: or misspelt
        self._warn_of_version()

    def _work(self) -> Sequence[Coroutine[Any, Any, None]]:
        return (
            self.opened.signer.run(),
            self.checks.run(),
            self.mesh.run(),
            self.sync.run(),
            self.executor.run(),
            self.dissemination.run(),
            self.evidence.run(),
            self.adoption.run(),
            self.driver.run(),
            self.disk.run(),
            self.maker.run(),
            self.pruner.run(),
            *((self.fetch.run(),) if self.fetch.wanted else ()),
        )

    def _recover(self) -> None:
        """Bring back what was in memory: recent final digests, batches that wait, what the core said and saw."""
        tip = self.store.tip.height
        low = max(1, tip - BATCH_LIFE_HEIGHTS + 1)
        while low <= tip:
            for stored in self.store.blocks(low):
                names = decode_payload(decode_block(stored.block_bytes).payload)
                self.pool.finalized(names, stored.height)
                self.pool.forget(names)
                low = stored.height + 1
        for kind, payload in self.opened.records:
            if kind == BATCH_RECORD:
                batch = decode_batch(self.genesis.hash, payload)
                if self.store.batch(batch.digest) is None:
                    self.pool.add(batch, decode_transactions(self.genesis.hash, batch))
        self.driver.replay([payload for kind, payload in self.opened.records if kind == CONSENSUS_RECORD])
        self.opened.records.clear()
        self.evidence.load()

    # --- the network's calls ---

    def _on_hello(self, peer: PeerId, data: bytes) -> None:
        height, version, *_ = (*as_tuple(decode(data), most=HELLO_FIELDS_MAX), None, None)  # newer software says more
        self.sync.heard(peer, as_int(height))
        self.links.versions[peer] = as_int(version, 1, VERSION_MAX)

    def _on_message(self, peer: PeerId, channel: int, data: bytes) -> None:
        if channel == CONSENSUS.number:
            self.driver.on_message(peer, data)
        elif channel == BATCHES.number:
            try:
                self.dissemination.on_message(peer, data)
            except BatchInvalid as error:
                raise PeerError(str(error), 100) from None
        elif channel == EVIDENCE.number:
            self.evidence.on_message(peer, data)

    async def _on_request(self, peer: PeerId, method: int, payload: bytes) -> bytes:
        if method == EVIDENCE_METHOD:
            return self.evidence.serve(payload)
        if method == DECREE_METHOD:
            return self.adoption.serve(payload)
        if method in SNAPSHOT_METHODS:
            answer = await asyncio.to_thread(self.snapshots.serve, method, payload)
            self.snapshots.sent_bytes += len(answer)
            return answer
        return self.sync.serve(method, payload)

    def _on_connected(self, peer: PeerId) -> None:
        self.driver.on_connected(peer)
        self.dissemination.on_connected(peer)
        self.evidence.on_connected(peer)
        self.adoption.on_connected(peer)

    def _on_disconnected(self, peer: PeerId) -> None:
        self.sync.gone(peer)
        self.evidence.on_disconnected(peer)
        self.driver.on_disconnected(peer)

    # --- what parts ask of each other ---

    async def _fetch_batches(self, names: Sequence[Any]) -> None:
        await self.sync.fetch_batches(names)

    def _certificate_valid(self, certificate: Certificate) -> bool | None:
        committee = self._committee_of(certificate.epoch)
        return None if committee is None else certificate_valid(certificate, committee, Hash(self.genesis.hash))

    def _on_epoch(self, members: Members) -> None:
        """A new committee: who waits here for what nobody will take from us any more is told to ask elsewhere."""
        self.outcomes.ended(self.dissemination.begin_epoch(members), Outcome.PENDING)
        for author in self.evidence.accused(EvidenceKind.INVALID_BATCH, self._lies_count_since()):
            self.dissemination.ignore(author)
        self._let_link()

    def _on_standstill(self) -> None:
        self.outcomes.ended(self.dissemination.stand_still(), Outcome.PENDING)

    def _warn_of_version(self) -> None:
        """Say early that an epoch comes of whose version we know nothing: there is time to install newer software."""
        demanded = self.ledger.parameters.protocol_version
        if demanded not in self.supported and self.driver.unknown_version is None:
            earliest = end_height(self.epochs.after_height(self.store.tip.height), self.epochs.length)
            log.warning("protocol_version_ahead", version=demanded, known=told(self.supported), after_height=earliest)

    def _committee_of(self, epoch: int) -> Committee | None:
        """Return the committee of an epoch of which we can judge something. R61"""
        members = self.epochs.members(epoch)
        return None if members is None or members.version not in self.supported else members.committee

    def _on_charge(self, charge: Charge) -> None:
        if charge.kind is EvidenceKind.INVALID_BATCH and charge.epoch >= self._lies_count_since():
            self.dissemination.ignore(charge.validator)

    def _lies_count_since(self) -> int:
        """Return the epoch of the oldest batch that this epoch could have named: older lies are over. R59"""
        begin = self.epochs.first_height(self.driver.members.epoch) - 1
        return self.epochs.after_height(max(0, begin - BATCH_LIFE_HEIGHTS))

    def _let_link(self) -> None:
        """Let those link who may now, and nobody else."""
        members = self.driver.members
        farewell = self.store.tip.height < self.epochs.first_height(members.epoch) - 1 + FAREWELL_HEIGHTS
        before = self.epochs.members(members.epoch - 1) if farewell else None
        decree = self.epochs.decree_after(members.epoch)
        roster = (*self.epochs.newest_roster(), *(decree.decree.roster if decree else ()))
        addresses = may_link(members, before, roster, self.config.peers)
        if self.links.allow(addresses):
            self.sync.keep_only(frozenset(address.peer for address in addresses))

    def _on_stored(self, stored: Stored) -> None:
        """A block is on disk: let go of what it settles, tell who waits, go on."""
        header = stored.block.header
        executed = [receipt.transaction_id for receipt in stored.executed.receipts if receipt.consumed]
        self.mempool.executed(executed, asyncio.get_running_loop().time())
        self.outcomes.stored(header.height)
        self.outcomes.ended(executed, Outcome.EXECUTED)
        self.outcomes.ended(self.mempool.expire(header.timestamp_ms), Outcome.EXPIRED)
        self.dissemination.expired(self.pool.expire(header.height))
        self.dissemination.executed(stored.batches)
        self.dissemination.abandon(self.driver.named_batches)
        self.metrics.block_finality.observe(max(0, self._now_ms() - header.timestamp_ms) / 1_000)
        self.driver.on_stored(stored)
        self.maker.on_stored(header.height, self.sync.behind())
        farewell = self.epochs.first_height(self.driver.core.epoch) - 1 + FAREWELL_HEIGHTS
        if stored.executed.roster is not None or header.height == farewell:
            self._let_link()
        if stored.executed.next_version is not None:
            self._warn_of_version()


def _require_same_state(store: Store, ledger: Ledger) -> None:
    tip = store.tip
    if (ledger.height, ledger.root) != (tip.height, tip.root):
        raise StorageError(f"the state does not give the root of height {tip.height}: restore or sync anew")


def main(home: Path, passphrase: bytes | None = None) -> int:
    """Run the node in ``home`` until a signal; return the exit code, having said why on standard error."""
    try:
        config = read_config(home)
        configure_log(config.log.level, config.log.format, config.name)
        forbid_core_dumps()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        sys.setswitchinterval(SWITCH_SECONDS)
        while _lives(home, config, passphrase):
            log.info("begins_again")
    except Exception as error:  # the outermost frame: whatever ended us becomes an exit code and a sentence
        return _exit_code(error)
    return EXIT_OK


def _lives(home: Path, config: Config, passphrase: bytes | None) -> bool:
    """Run the node once; return whether it begins again, with the store that it has made of a snapshot."""
    again = False
    gc.unfreeze()
    with ExitStack() as resources:
        opened = open_home(home, config, passphrase, resources)
        try:
            _run(_serve(config, opened))
        except* (SnapshotReady, TermBegins):
            again = True
    return again


async def _serve(config: Config, opened: Opened) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    node = Node(config, opened)
    running = asyncio.create_task(node.run())
    stopping = [asyncio.create_task(event.wait()) for event in (stop, node.stopping)]
    done, _ = await asyncio.wait((running, *stopping), return_when=asyncio.FIRST_COMPLETED)
    for task in (running, *stopping):
        task.cancel()
    await asyncio.gather(running, *stopping, return_exceptions=running not in done)
    log.info("stopped")


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is installed: a third less time in sockets."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


def _exit_code(error: Exception) -> int:
    causes = _causes(error)
    for kinds, code in EXIT_CODES:
        for cause in causes:
            if isinstance(cause, kinds):
                log.error("ended", kind=type(cause).__name__, why=str(cause))
                return code
    raise error


def _causes(error: BaseException) -> list[BaseException]:
    """Return the errors inside groups, which tasks that fail together make."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for inner in error.exceptions for cause in _causes(inner)]
    return [error]
