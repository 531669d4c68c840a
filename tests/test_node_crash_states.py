"""A validator's journal, guard and store together, after a crash at any moment: every legal state of its files.

A validator lives through payments, epochs, rotations of its journal and a restart, on a disk that records every write,
sync and rename (tests/storage_crashes.py). Each state that a crash may leave is laid out and opened as a start does.
The store is LevelDB, whose blocks are whole or not there: it is copied after each one.

SOM_CRASH_STATES=all tries all states, some thousands; otherwise a share is drawn.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import pytest

import node.driver
from consensus.crypto import Signature
from consensus.events import Started
from consensus.messages import Hash, Kind, Vote, decode_message
from network.wire import PeerId
from node.batches import decode_payload
from node.storage.errors import GuardRefused, NotInitialised, StorageError
from node.storage.guard import Guard, Key
from node.storage.journal import Journal
from tests.driver_lab import Cluster, Seat, cluster
from tests.node_parts import genesis, issue, key_at
from tests.storage_crashes import Op, RecordingDisk, State, crash_states, lay_out

STATES: Final = None if os.environ.get("SOM_CRASH_STATES") == "all" else 150
HEIGHTS: Final = 14  # an epoch has 8
GUARD, JOURNAL, STORE = "keys/guard", "data/journal", "data/store"


@dataclass
class Life:
    """What a validator did, and what it has told others by the time of each note of its disk."""

    disk: RecordingDisk
    stores: list[Path] = field(default_factory=list)  # by height
    statements: dict[str, tuple[Vote, bytes]] = field(default_factory=dict)  # by note


class Witness(Seat):
    """A seat whose disk records, and which notes there what has left it."""

    life: Life

    def open(self) -> None:
        super().open()
        signed = self.guard.sign

        def sign(secret: Key, kind: int, epoch: int, view: int, statement: bytes) -> Signature:
            self.signed[(Kind(kind), epoch, view)] = statement
            return signed(secret, kind, epoch, view, statement)

        self.signed: dict[tuple[Kind, int, int], bytes] = {}
        self.guard.sign = sign  # type: ignore[method-assign]
        stored = self.executor._on_stored

        def on_stored(what: node.executor.Stored) -> None:
            self._copy_store()
            stored(what)

        self.executor._on_stored = on_stored

    def send_consensus(self, peer: PeerId, payload: bytes) -> None:
        self._note_vote(payload)
        super().send_consensus(peer, payload)

    def broadcast_consensus(self, payload: bytes) -> None:
        self._note_vote(payload)
        super().broadcast_consensus(payload)

    def _note_vote(self, payload: bytes) -> None:
        message = decode_message(payload)
        vote = message if isinstance(message, Vote) else getattr(message, "vote", None)
        if vote is None or vote.signer != self.index:
            return
        note = f"vote {vote.kind.name} {vote.epoch} {vote.view}"
        if note not in self.life.statements:
            self.life.statements[note] = vote, self.signed[(vote.kind, vote.epoch, vote.view)]
            self.life.disk.note(note)

    def _copy_store(self) -> None:
        height = self.store.tip.height
        path = self.directory / "copies" / str(height)
        shutil.copytree(self.directory / STORE, path, ignore=shutil.ignore_patterns("LOCK"))
        self.life.stores.append(path)
        self.life.disk.note(f"stored {height}")


async def live(directory: Path, forgetful: str = "") -> Life:
    """Let four validators pay over two epochs, the first of them under observation and restarted in the middle."""
    async with cluster(directory / "cluster") as four:
        first = four.seats[0]
        await first.stop()
        witness, life = _witness(four, directory, forgetful)
        witness.start()
        for height in range(2, HEIGHTS, 2):
            four.spread(issue(1))
            await four.height(height)
            if height == 6:
                await witness.stop()
                witness.start()
        await four.until(lambda: witness.store.tip.height >= HEIGHTS)
        assert witness.journal.rotations
    return life


def _witness(four: Cluster, directory: Path, forgetful: str) -> tuple[Witness, Life]:
    """Return a witness in the place of the first seat, with nothing on its disk."""
    home = directory / "witness"
    witness = Witness(four, 0, home)
    disk = RecordingDisk(forgetful, home)
    witness.disk, witness.life = disk, Life(disk)
    four.seats[0] = witness
    (home / GUARD).unlink()
    shutil.rmtree(home / JOURNAL)
    shutil.copytree(home / STORE, home / "copies" / "0")
    witness.life.stores.append(home / "copies" / "0")
    Guard.create(home / GUARD, key_at(0).public, genesis().hash, disk)
    Journal.create(home / JOURNAL, disk)
    disk.note("initialised")
    return witness, witness.life


def states(life: Life, seed: int) -> Iterator[tuple[list[str], dict[str, bytes]]]:
    """Yield the different states that a crash may leave, or a drawn share of them."""
    seen = set()
    unlike = []
    for notes, files in crash_states(life.disk.ops, seed):
        state = (len(notes), tuple(sorted(files.items())))
        if "initialised" in notes and state not in seen:
            seen.add(state)
            unlike.append((notes, files))
    yield from unlike if STATES is None else Random(seed).sample(unlike, min(STATES, len(unlike)))


def recover(four: Cluster, directory: Path, life: Life, notes: list[str], files: dict[str, bytes]) -> None:
    """Open one state as a start does, and check all that was told to others before the crash."""
    lay_out(directory, files)
    (directory / JOURNAL).mkdir(parents=True, exist_ok=True)
    height = max((int(note.split()[1]) for note in notes if note.startswith("stored ")), default=0)
    shutil.copytree(life.stores[height], directory / STORE)
    seat = Seat.__new__(Seat)
    seat.cluster, seat.index, seat.directory, seat.cut_off = four, 0, directory, False
    seat.notes, seat.disk, seat.run = [], life.disk.__class__(root=directory), None
    seat.open()
    try:
        assert seat.store.tip.height == height, "an acknowledged block is gone"
        _require_votes(seat, life, notes)
        seat.driver._step(Started())
        assert seat.driver.voting.votes.refused == 0, "the journal forgot what the guard remembers"
    finally:
        seat.close()


def _require_votes(seat: Seat, life: Life, notes: list[str]) -> None:
    for note in notes:
        if not note.startswith("vote "):
            continue
        vote, statement = life.statements[note]
        assert seat.guard.remembers(vote.kind, vote.epoch, vote.view, statement), note
        with pytest.raises(GuardRefused):
            seat.guard.sign(key_at(0), vote.kind, vote.epoch, vote.view, statement + b"another")
        core = seat.driver.core
        if vote.kind is Kind.NOTARIZE and (vote.epoch, vote.view) > (core.epoch, core.finalized_view):
            _require_block(seat, vote.hash)


def _require_block(seat: Seat, block_hash: Hash) -> None:
    """Whoever notarizes a block holds it on disk, with all its batches."""
    block = seat.driver.core.block(block_hash)
    assert block is not None, "a notarized block is gone"
    for name in decode_payload(block.payload):
        assert name in seat.pool or seat.store.batch(name) is not None, "a batch of a notarized block is gone"


async def recover_all(directory: Path, life: Life, seed: int = 0) -> int:
    """Recover the states; return how many."""
    four = Cluster(directory / "others")
    count = 0
    for notes, files in states(life, seed):
        at = directory / f"state-{count}"
        recover(four, at, life, notes, files)
        shutil.rmtree(at)
        count += 1
        await asyncio.sleep(0)
    return count


@pytest.fixture(autouse=True)
def small_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.driver, "ROTATE_BYTES", 4_096)


def test_after_a_crash_a_name_leads_to_no_file_that_was_never_given_it() -> None:
    """A file that a full disk cut short is removed; another one of its name is made and takes the old one's place."""
    ops = [
        *(Op("create", 1, new="guard"), Op("write", 1, b"old"), Op("sync", 1), Op("sync_directory")),
        *(Op("create", 2, new="guard.new"), Op("write", 2, b"cut")),
        Op("remove", old="guard.new"),
        *(Op("create", 3, new="guard.new"), Op("write", 3, b"new"), Op("sync", 3)),
        Op("rename", old="guard.new", new="guard"),
    ]
    left = {files.get("guard") for _, files in crash_states(ops) if "guard" in files}
    assert left >= {b"old", b"new"}
    assert b"cut" not in left
    state = State()
    for op in ops:
        state.do(op)
    random = Random(1)
    drawn = [state.drawn(random, lambda name: False) for _ in range(500)]
    assert {files["guard"] for files in drawn} == {b"old", b"new"}
    assert any(files.get("guard.new") for files in drawn)
    assert state.names == {"guard": 1}
    state.do(Op("sync_directory"))
    assert state.names == {"guard": 3}


async def test_no_crash_makes_a_validator_contradict_itself_or_forget_a_block(tmp_path: Path) -> None:
    life = await live(tmp_path)
    kinds = {vote.kind for vote, _ in life.statements.values()}
    assert {Kind.NOTARIZE, Kind.FINALIZE} <= kinds
    assert {vote.epoch for vote, _ in life.statements.values()} >= {0, 1}
    assert await recover_all(tmp_path, life) >= 100


@pytest.mark.parametrize("forgetful", ["sync", "sync_directory"])
async def test_a_validator_whose_disk_does_not_sync_is_found_out(tmp_path: Path, forgetful: str) -> None:
    life = await live(tmp_path, forgetful)
    with pytest.raises((AssertionError, StorageError, NotInitialised)):
        await recover_all(tmp_path, life)


async def test_a_vote_that_leaves_before_its_sync_is_found_out(tmp_path: Path) -> None:
    life = await live(tmp_path)
    ops = life.disk.ops
    for at in [index for index, op in enumerate(ops) if op.new.startswith("vote ")]:
        syncs = [index for index in range(at) if ops[index].what == "sync"]
        ops.insert(syncs[-1], ops.pop(at))  # before the guard's sync
    assert isinstance(ops[0], Op)
    with pytest.raises(AssertionError):
        await recover_all(tmp_path, life)
