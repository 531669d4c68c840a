"""Four drivers in one process, with real cores, journals, guards, stores and ledgers, over a wire of plain calls.

Below whole nodes (tests/node_lab.py): no TLS and no batches on the way, so a test sees and stops every step.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from consensus.crypto import Signature
from consensus.events import Evidence, ProposalRefused
from consensus.messages import Certificate, Hash, decode_block, decode_certificate
from consensus.timing import Timing
from consensus.verify import certificate_valid
from network.wire import PeerId
from node.batches import Batch, BatchDigest, BatchPool, decode_batch, decode_payload, decode_transactions, make_batch
from node.config import Config
from node.decree import SignedDecree
from node.driver import BATCH_RECORD, CONSENSUS_RECORD, Driver
from node.epochs import Epochs
from node.executor import Executor, Stored
from node.home import create_data
from node.ledger.execute import Ledger
from node.ledger.transaction import Transaction
from node.ledger.versions import NEWEST, OLDEST
from node.members import Members
from node.signing.signer import OwnSigner
from node.storage.errors import GuardRefused
from node.storage.files import DISK, Disk
from node.storage.guard import Guard, Key
from node.storage.journal import Journal, Record
from node.storage.store import Store
from node.storage.suspension import Suspension
from node.sync import RequestFailed, Sync
from tests.node_parts import PEERS, genesis, key_at

QUICK: Final = Timing(
    leader_ms=400, view_ms=900, retry_ms=150, share_ms=30, skip_ms=1_500, idle_ms=250, view_ms_max=2_000
)
PATIENCE_SECONDS: Final = 90.0


class NotedJournal(Journal):
    """The journal, which also notes what was done in which order."""

    notes: list[str]
    rotations: list[list[Record]]

    def note_in(self, notes: list[str]) -> None:
        self.notes, self.rotations = notes, []

    def append(self, record_type: int, payload: bytes) -> None:
        super().append(record_type, payload)
        self.notes.append("batch" if record_type == BATCH_RECORD else "record")

    def sync(self) -> None:
        super().sync()
        self.notes.append("sync")

    def rotate(self, records) -> None:  # type: ignore[no-untyped-def]
        records = list(records)
        super().rotate(records)
        if hasattr(self, "rotations"):  # opening rotates too
            self.rotations.append(records)


class NotedGuard(Guard):
    """The guard, which also notes, and refuses if a test says so."""

    notes: list[str]
    refusing = False

    def sign(self, secret: Key, kind: int, epoch: int, view: int, statement: bytes) -> Signature:
        if self.refusing:
            raise GuardRefused("as the test says")
        self.notes.append("sign")
        return super().sign(secret, kind, epoch, view, statement)


class Seat:
    """One validator: its directory, and while it runs its parts."""

    supported = range(OLDEST, NEWEST + 1)  # protocol versions
    decrees: tuple[SignedDecree, ...] = ()

    def __init__(self, cluster: "Cluster", index: int, directory: Path) -> None:
        self.cluster = cluster
        self.index = index
        self.directory = directory
        self.cut_off = False
        self.notes: list[str] = []
        self.disk: Disk = DISK  # of the journal and the guard
        self.run: asyncio.Task[None] | None = None
        create_data(directory, Config(name="nbkr"), genesis())
        Guard.create(directory / "keys" / "guard", key_at(index).public, genesis().hash)

    @property
    def peer(self) -> PeerId:
        return PEERS[self.index]

    # --- life and death ---

    def open(self) -> None:
        """Open what is on disk and wire the parts; nothing runs yet."""
        key, hash_ = key_at(self.index), genesis().hash
        self.evidence: list[Evidence | ProposalRefused] = []
        guard = NotedGuard.open(self.directory / "keys" / "guard", key.public, hash_, self.disk)
        self.store = Store.open(self.directory / "data" / "store", hash_)
        journal, records = NotedJournal.open(self.directory / "data" / "journal", self.disk)
        assert isinstance(journal, NotedJournal)
        assert isinstance(guard, NotedGuard)
        self.journal, self.guard = journal, guard
        journal.note_in(self.notes)
        self.guard.notes = self.notes
        self.ledger = Ledger(self.store, genesis())
        self.epochs = Epochs(genesis(), self.store, self.decrees)
        self.pool = BatchPool(self.epochs.at_start(self.supported), self.peer)
        self.executor = Executor(self.store, self.ledger, self.pool, self._fetch, self._on_stored)
        stored = self.store.block(self.store.tip.height)
        assert stored is not None
        certificate = self.store.tip.certificate
        self.driver = Driver(
            genesis_hash=Hash(hash_),
            epochs=self.epochs,
            timing=self.cluster.timing,
            me=self.peer,
            signer=OwnSigner(key, guard, Suspension(self.directory / "keys" / "guard", self.disk), hash_),
            journal=journal,
            store=self.store,
            root=decode_block(stored.block_bytes),
            floor=decode_certificate(certificate) if certificate else None,
            pool=self.pool,
            executor=self.executor,
            links=self,
            now_ms=lambda: time.time_ns() // 1_000_000 + self.cluster.clock_offset_ms,
            on_epoch=self._on_epoch,
            on_evidence=self.evidence.append,
            supported=self.supported,
            on_standstill=lambda: None,
        )
        self.driver.sync = self.sync = Sync(
            genesis_hash=hash_,
            store=self.store,
            pool=self.pool,
            links=self,
            block_of=lambda block_hash: self.driver.core.block(block_hash),
            committed_height=lambda: self.driver.core.committed.header.height,
            executing=self.executor.queued,
            epoch_is_open=lambda: not self.driver.core.ended,
            certificate_valid=self._certificate_valid,
            take_batch=self._take_batch,
            deliver=self.driver.deliver,
        )
        self._recover(records)

    def _recover(self, records: Sequence[Record]) -> None:
        for height in range(1, self.store.tip.height + 1):
            stored = self.store.block(height)
            assert stored is not None
            names = decode_payload(decode_block(stored.block_bytes).payload)
            self.pool.finalized(names, height)
            self.pool.forget(names)
        for kind, payload in records:
            if kind == BATCH_RECORD:
                batch = decode_batch(genesis().hash, payload)
                self.pool.add(batch, decode_transactions(genesis().hash, batch))
        self.driver.replay([payload for kind, payload in records if kind == CONSENSUS_RECORD])

    def close(self) -> None:
        """Let go of everything, as a crash does: what was not synced is lost."""
        self.journal.close()
        self.store.close()
        self.guard.close()

    def start(self) -> None:
        self.open()
        self.run = asyncio.create_task(self._work())
        for peer in self.connected():
            self.driver.on_connected(peer)
            self.cluster.at(peer).driver.on_connected(self.peer)

    async def stop(self) -> None:
        """End it; what it raised is raised here."""
        assert self.run is not None
        run, self.run = self.run, None
        run.cancel()
        try:
            await run
        except asyncio.CancelledError:
            pass
        finally:
            self.close()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.executor.run())
            tasks.create_task(self.sync.run())
            tasks.create_task(self.driver.run())

    # --- the wire ---

    def _on_epoch(self, members: Members) -> None:
        self.pool.begin_epoch(members)

    def _certificate_valid(self, certificate: Certificate) -> bool | None:
        members = self.epochs.members(certificate.epoch)
        return None if members is None else certificate_valid(certificate, members.committee, genesis().hash)

    def connected(self) -> Sequence[PeerId]:
        return [
            seat.peer
            for seat in self.cluster.seats
            if seat is not self and seat.run is not None and not seat.cut_off and not self.cut_off
        ]

    def send_consensus(self, peer: PeerId, payload: bytes) -> None:
        self._note_send()
        if peer in self.connected():
            asyncio.get_running_loop().call_soon(self._arrive, peer, payload)

    def broadcast_consensus(self, payload: bytes) -> None:
        self._note_send()
        for peer in self.connected():
            asyncio.get_running_loop().call_soon(self._arrive, peer, payload)

    def _arrive(self, peer: PeerId, payload: bytes) -> None:
        if peer in self.connected():
            self.cluster.at(peer).driver.on_message(self.peer, payload)

    def _note_send(self) -> None:
        assert not self.journal._pending, "sent before it was durable"
        self.notes.append("send")

    def blame(self, peer: PeerId, points: int, reason: str) -> None:
        self.cluster.blamed.append((self.index, self.cluster.at(peer).index, reason))

    async def request(self, peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        await asyncio.sleep(0)
        if peer not in self.connected():
            raise RequestFailed("not_connected")
        return self.cluster.at(peer).sync.serve(method, payload)

    # --- batches ---

    def hold(self, batch: Batch, holders: Sequence[int] = range(4)) -> None:
        """Hold a batch that these hold too."""
        if batch.digest not in self.pool:
            self.driver.keep(batch)
            self.pool.add(batch, decode_transactions(genesis().hash, batch))
        for holder in holders:
            self.pool.acknowledge(batch.digest, PEERS[holder])
        self.driver.on_batch()

    async def _take_batch(self, batch: Batch) -> bool:
        self.hold(batch, ())
        return True

    async def _fetch(self, names: Sequence[BatchDigest]) -> None:
        await self.sync.fetch_batches(names)

    def _on_stored(self, stored: Stored) -> None:
        self.driver.on_stored(stored)


class Cluster:
    """Four seats, those that run linked with one another."""

    def __init__(self, directory: Path, timing: Timing = QUICK) -> None:
        self.timing = timing
        self.clock_offset_ms = genesis().time_ms - time.time_ns() // 1_000_000 + 1_000
        self.blamed: list[tuple[int, int, str]] = []
        self.seats: list[Seat] = []
        self.seats.extend(Seat(self, index, directory / str(index)) for index in range(4))
        self._sequence = 0

    def at(self, peer: PeerId) -> Seat:
        """Return the seat with this node key."""
        return next(seat for seat in self.seats if seat.peer == peer)

    @property
    def running(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.run is not None]

    def batch(self, *transactions: Transaction, author: int = 0, base_height: int = 0) -> Batch:
        self._sequence += 1
        raws = [transaction.raw for transaction in transactions]
        return make_batch(genesis().hash, key_at(author), self._sequence, base_height, raws)

    def spread(self, *transactions: Transaction) -> Batch:
        """Let all that run hold a batch."""
        base = min(seat.driver.core.committed.header.height for seat in self.running)
        batch = self.batch(*transactions, base_height=base)
        for seat in self.running:
            seat.hold(batch)
        return batch

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until ``holds()``; fail at once if a seat ends by itself."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            for seat in self.running:
                assert seat.run is not None
                if seat.run.done():
                    seat.run.result()
                    raise AssertionError(f"seat {seat.index} has ended")
            assert time.monotonic() < deadline, [
                (seat.store.tip.height, seat.driver.core.epoch, seat.driver.core.view) for seat in self.running
            ]
            await asyncio.sleep(0.005)

    async def height(self, height: int, *seats: Seat) -> None:
        await self.until(lambda: all(seat.store.tip.height >= height for seat in seats or self.running))

    def same_chain(self) -> int:
        """Assert that all that run have one chain; return the lowest tip."""
        height = min(seat.store.tip.height for seat in self.running)
        for each in range(1, height + 1):
            assert len({seat.store.block(each) for seat in self.running}) == 1
            assert len({seat.store.roots(each) for seat in self.running}) == 1
        return height


@asynccontextmanager
async def cluster(directory: Path, timing: Timing = QUICK) -> AsyncIterator[Cluster]:
    """Run four seats; what one of them raised is raised at the end."""
    four = Cluster(directory, timing)
    try:
        for seat in four.seats:
            seat.start()
        yield four
        await four.until(lambda: True)
    finally:
        for seat in four.running:
            await seat.stop()
