import os
import subprocess
import sys
from pathlib import Path

import pytest

from consensus.crypto import SecretKey, Signature, verify
from node.storage.errors import AlreadyInitialised, GuardError, GuardRefused, InUse, StorageError, StorageFailed
from node.storage.files import Disk
from node.storage.guard import RECORD_BYTES, RECORDS_MAX, VIEWS_KEPT, Guard, Spoken
from tests.storage_crashes import Op, RecordingDisk, UnsyncedDisk, crash_states, lay_out

GENESIS = b"g" * 32
KEY = SecretKey(b"k" * 32)
NOTARIZE, NULLIFY, FINALIZE = 0, 1, 2
UNSYNCED = UnsyncedDisk()


def fresh(directory: Path, disk: Disk = UNSYNCED) -> Guard:
    Guard.create(directory / "guard", KEY.public, GENESIS, disk)
    return Guard.open(directory / "guard", KEY.public, GENESIS, disk)


def reopened(directory: Path) -> Guard:
    return Guard.open(directory / "guard", KEY.public, GENESIS, UNSYNCED)


def may(guard: Guard, kind: int, view: int, statement: bytes, epoch: int = 0) -> bool:
    try:
        signature = guard.sign(KEY, kind, epoch, view, statement)
    except GuardRefused:
        return False
    assert verify(KEY.public, statement, signature)
    return True


# What was said in a view, what is to be said, whether it may be.
RULES = [
    ((), (NOTARIZE, b"A"), True),
    ((), (NULLIFY, b"N"), True),
    ((), (FINALIZE, b"A"), True),
    (((NOTARIZE, b"A"),), (NOTARIZE, b"A"), True),
    (((NOTARIZE, b"A"),), (NOTARIZE, b"B"), False),
    (((NOTARIZE, b"A"),), (NULLIFY, b"N"), True),
    (((NOTARIZE, b"A"),), (FINALIZE, b"A"), True),
    (((NULLIFY, b"N"),), (NULLIFY, b"N"), True),
    (((NULLIFY, b"N"),), (NULLIFY, b"M"), False),
    (((NULLIFY, b"N"),), (NOTARIZE, b"A"), False),
    (((NULLIFY, b"N"),), (FINALIZE, b"A"), False),
    (((FINALIZE, b"A"),), (FINALIZE, b"A"), True),
    (((FINALIZE, b"A"),), (FINALIZE, b"B"), False),
    (((FINALIZE, b"A"),), (NULLIFY, b"N"), False),
    (((FINALIZE, b"A"),), (NOTARIZE, b"A"), True),
    (((NOTARIZE, b"A"), (FINALIZE, b"A")), (NULLIFY, b"N"), False),
    (((NOTARIZE, b"A"), (NULLIFY, b"N")), (FINALIZE, b"A"), False),
    (((NOTARIZE, b"A"), (NULLIFY, b"N")), (NOTARIZE, b"A"), True),
    (((NOTARIZE, b"A"), (NULLIFY, b"N")), (NOTARIZE, b"B"), False),
]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("said", "next_one", "allowed"), RULES)
def test_what_may_be_said_after_what(
    tmp_path: Path, said: tuple[tuple[int, bytes], ...], next_one: tuple[int, bytes], allowed: bool, restart: bool
) -> None:
    guard = fresh(tmp_path)
    for kind, statement in said:
        assert may(guard, kind, 5, statement)
    if restart:
        guard.close()
        guard = reopened(tmp_path)
    kind, statement = next_one
    assert may(guard, kind, 5, statement) is allowed
    assert may(guard, kind, 6, statement), "another view is another matter"
    assert may(guard, kind, 5, statement, epoch=1), "another epoch is another matter"
    guard.close()


def test_identical_bytes_give_the_identical_signature_without_a_record(tmp_path: Path) -> None:
    guard = fresh(tmp_path)
    first = guard.sign(KEY, NOTARIZE, 0, 1, b"A")
    size = (tmp_path / "guard").stat().st_size
    assert guard.sign(KEY, NOTARIZE, 0, 1, b"A") == first
    assert (tmp_path / "guard").stat().st_size == size
    guard.close()
    guard = reopened(tmp_path)
    assert guard.sign(KEY, NOTARIZE, 0, 1, b"A") == first
    guard.close()


def test_a_group_is_signed_whole_or_not_at_all(tmp_path: Path) -> None:
    disk = RecordingDisk()
    guard = fresh(tmp_path, disk)
    disk.ops.clear()
    signatures = guard.sign_many(KEY, [(FINALIZE, 0, 1, b"A"), (NOTARIZE, 0, 2, b"B"), (NOTARIZE, 0, 2, b"B")])
    assert [op.what for op in disk.ops] == ["write", "sync"]
    assert len(disk.ops[0].data) == 2 * RECORD_BYTES
    assert signatures[1] == signatures[2] == KEY.sign(b"B")
    with pytest.raises(GuardRefused):
        guard.sign_many(KEY, [(NOTARIZE, 0, 3, b"C"), (FINALIZE, 0, 4, b"D"), (NULLIFY, 0, 4, b"N")])
    assert len(disk.ops) == 2, "nothing was written"
    assert may(guard, NOTARIZE, 3, b"another"), "nothing of a refused group is remembered"
    guard.close()


class WatchedKey(SecretKey):
    """A key whose signing is recorded among the operations of the disk."""

    __slots__ = ("disk",)

    def __init__(self, seed: bytes, disk: RecordingDisk) -> None:
        super().__init__(seed)
        self.disk = disk

    def sign(self, message: bytes) -> Signature:
        self.disk.note("signed")
        return super().sign(message)


def test_a_statement_is_durable_before_it_is_signed(tmp_path: Path) -> None:
    disk = RecordingDisk()
    key = WatchedKey(b"k" * 32, disk)
    guard = fresh(tmp_path, disk)
    disk.ops.clear()
    guard.sign(key, NOTARIZE, 0, 1, b"A")
    guard.sign(key, FINALIZE, 0, 1, b"A")
    assert [op.what for op in disk.ops] == ["write", "sync", "note"] * 2
    guard.close()


def test_a_guard_that_cannot_write_does_not_sign(tmp_path: Path) -> None:
    class Full(UnsyncedDisk):
        full = False

        def sync(self, descriptor: int) -> None:
            if self.full:
                raise StorageFailed("fdatasync: No space left on device")

    disk = Full()
    key = WatchedKey(b"k" * 32, recorder := RecordingDisk())
    guard = fresh(tmp_path, disk)
    disk.full = True
    with pytest.raises(StorageFailed):
        guard.sign(key, NOTARIZE, 0, 1, b"A")
    disk.full = False
    with pytest.raises(StorageFailed):
        guard.sign(key, NOTARIZE, 0, 2, b"B")
    assert recorder.ops == []
    guard.close()


def test_the_last_views_are_kept_and_below_them_nothing_is_signed(tmp_path: Path) -> None:
    guard = fresh(tmp_path)
    views = RECORDS_MAX // 2 + 10
    for view in range(views):
        guard.sign_many(KEY, [(NOTARIZE, 0, view, b"A%d" % view), (FINALIZE, 0, view, b"A%d" % view)])
    assert (tmp_path / "guard").stat().st_size <= RECORD_BYTES * (RECORDS_MAX + 1)
    epoch, low = guard.watermark
    assert epoch == 0
    assert views - VIEWS_KEPT - 10 <= low < views
    for reopen in (False, True):
        if reopen:
            guard.close()
            guard = reopened(tmp_path)
            low = guard.watermark[1]
            assert low == views + 1 - VIEWS_KEPT
        for view in (0, low - 1):
            assert not may(guard, NOTARIZE, view, b"A%d" % view)
        for view in (low, views - 1):
            assert may(guard, NOTARIZE, view, b"A%d" % view)
            assert not may(guard, NOTARIZE, view, b"another")
            assert not may(guard, NULLIFY, view, b"N")
        assert may(guard, NULLIFY, views, b"N")
    guard.close()


def test_rebase_moves_the_watermark_up_only(tmp_path: Path) -> None:
    guard = fresh(tmp_path)
    assert may(guard, NOTARIZE, 40, b"A")
    guard.rebase(0, 30)
    assert not may(guard, NOTARIZE, 29, b"A")
    assert may(guard, NOTARIZE, 30, b"A")
    guard.rebase(1, 5)
    for epoch, view in ((1, 5), (1, 4), (0, 100)):
        with pytest.raises(GuardRefused):
            guard.rebase(epoch, view)
    guard.close()
    guard = reopened(tmp_path)
    assert guard.watermark == (1, 5)
    assert not may(guard, NOTARIZE, 10**9, b"A")
    assert not may(guard, NOTARIZE, 4, b"A", epoch=1)
    assert may(guard, NOTARIZE, 5, b"A", epoch=1)
    guard.close()


def test_what_the_guard_remembers(tmp_path: Path) -> None:
    guard = fresh(tmp_path)
    assert may(guard, NOTARIZE, 7, b"A")
    assert guard.remembers(NOTARIZE, 0, 7, b"A")
    assert not guard.remembers(NOTARIZE, 0, 7, b"B")
    assert not guard.remembers(FINALIZE, 0, 7, b"A")
    assert not guard.remembers(NULLIFY, 0, 8, b"N")
    guard.rebase(0, 8)
    assert not guard.remembers(NULLIFY, 0, 8, b"N")
    assert guard.remembers(NOTARIZE, 0, 7, b"B"), "below the watermark nothing can be contradicted"
    guard.close()


@pytest.mark.parametrize("kind", [-1, 3, 4, 255])
def test_an_unknown_kind_is_refused(tmp_path: Path, kind: int) -> None:
    guard = fresh(tmp_path)
    with pytest.raises(GuardRefused):
        guard.sign(KEY, kind, 0, 1, b"A")
    guard.close()


@pytest.mark.parametrize(("epoch", "view"), [(0, -1), (-1, 0), (0, 2**64), (2**64, 0)])
def test_numbers_outside_u64_are_refused(tmp_path: Path, epoch: int, view: int) -> None:
    guard = fresh(tmp_path)
    with pytest.raises(GuardRefused):
        guard.sign(KEY, NOTARIZE, epoch, view, b"A")
    with pytest.raises(GuardRefused):
        guard.rebase(epoch, view)
    assert may(guard, NOTARIZE, 2**64 - 1, b"A", epoch=2**64 - 1)
    guard.close()


def test_another_key_is_refused(tmp_path: Path) -> None:
    guard = fresh(tmp_path)
    with pytest.raises(GuardError):
        guard.sign(SecretKey(b"x" * 32), NOTARIZE, 0, 1, b"A")
    guard.close()


# --- a guard that cannot be trusted ---


def open_fails(directory: Path, public: bytes = KEY.public, genesis: bytes = GENESIS) -> bool:
    try:
        Guard.open(directory / "guard", public, genesis, UNSYNCED).close()
    except GuardError:
        return True
    return False


def test_a_missing_guard_is_refused_and_not_made(tmp_path: Path) -> None:
    assert open_fails(tmp_path)
    assert not (tmp_path / "guard").exists()


def test_create_refuses_an_existing_guard(tmp_path: Path) -> None:
    fresh(tmp_path).close()
    with pytest.raises(AlreadyInitialised):
        Guard.create(tmp_path / "guard", KEY.public, GENESIS)


def test_the_guard_of_another_key_or_network_is_refused(tmp_path: Path) -> None:
    fresh(tmp_path).close()
    assert open_fails(tmp_path, public=SecretKey(b"x" * 32).public)
    assert open_fails(tmp_path, genesis=b"h" * 32)
    assert not open_fails(tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o700])
def test_a_guard_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    fresh(tmp_path).close()
    (tmp_path / "guard").chmod(mode)
    assert open_fails(tmp_path)


def test_a_directory_that_others_can_reach_is_refused(tmp_path: Path) -> None:
    fresh(tmp_path).close()
    tmp_path.chmod(0o755)
    assert open_fails(tmp_path)


def test_a_link_is_no_guard(tmp_path: Path) -> None:
    fresh(tmp_path).close()
    (tmp_path / "guard").rename(tmp_path / "elsewhere")
    (tmp_path / "guard").symlink_to(tmp_path / "elsewhere")
    assert open_fails(tmp_path)
    (tmp_path / "guard").unlink()
    os.link(tmp_path / "elsewhere", tmp_path / "guard")
    assert open_fails(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_guard_of_another_owner_is_refused(tmp_path: Path) -> None:
    fresh(tmp_path).close()
    os.chown(tmp_path / "guard", 12_345, -1)
    assert open_fails(tmp_path)


def three_records(tmp_path: Path) -> bytes:
    guard = fresh(tmp_path)
    guard.sign_many(KEY, [(NOTARIZE, 0, 1, b"A"), (NULLIFY, 0, 1, b"N")])
    guard.sign(KEY, NOTARIZE, 0, 2, b"B")
    guard.close()
    return (tmp_path / "guard").read_bytes()


def test_a_flipped_bit_at_any_byte_is_refused(tmp_path: Path) -> None:
    whole = three_records(tmp_path)
    for offset in range(len(whole)):
        flipped = bytearray(whole)
        flipped[offset] ^= 1 << offset % 8
        (tmp_path / "guard").write_bytes(flipped)
        assert open_fails(tmp_path), offset


def test_a_zeroed_record_is_refused_unless_it_can_be_a_torn_tail(tmp_path: Path) -> None:
    whole = three_records(tmp_path)
    for slot, refused in ((0, True), (1, True), (2, True), (3, False)):
        start = slot * RECORD_BYTES
        (tmp_path / "guard").write_bytes(whole[:start] + bytes(RECORD_BYTES) + whole[start + RECORD_BYTES :])
        assert open_fails(tmp_path) is refused, slot


def test_a_cut_inside_what_was_copied_is_refused(tmp_path: Path) -> None:
    three_records(tmp_path)
    guard = reopened(tmp_path)  # copies the three forward
    guard.sign(KEY, NOTARIZE, 0, 3, b"C")
    guard.close()
    whole = (tmp_path / "guard").read_bytes()
    for size in range(len(whole) + 1):
        (tmp_path / "guard").write_bytes(whole[:size])
        assert open_fails(tmp_path) is (size < 4 * RECORD_BYTES), size


def test_records_of_an_older_file_do_not_count(tmp_path: Path) -> None:
    older = three_records(tmp_path)
    reopened(tmp_path).close()
    newer = (tmp_path / "guard").read_bytes()
    assert len(newer) == len(older)
    (tmp_path / "guard").write_bytes(newer[:RECORD_BYTES] + older[RECORD_BYTES:])
    assert open_fails(tmp_path)


def test_a_second_opener_is_refused(tmp_path: Path) -> None:
    guard = fresh(tmp_path)
    with pytest.raises(InUse):
        reopened(tmp_path)
    assert may(guard, NOTARIZE, 1, b"A"), "the first one goes on"
    guard.close()
    reopened(tmp_path).close()


OPEN_IN_CHILD = """
import sys
from pathlib import Path
from node.storage.errors import InUse
from node.storage.guard import Guard
try:
    Guard.open(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3]))
except InUse as error:
    print(f"refused: {error}")
    sys.exit(3)
"""


@pytest.mark.children
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN_IN_CHILD, str(tmp_path / "guard"), KEY.public.hex(), GENESIS.hex()]
    guard = fresh(tmp_path)
    held = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert held.returncode == 3
    assert "held by another process" in held.stdout
    guard.close()
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


# --- crashes ---


def live(directory: Path, disk: RecordingDisk) -> None:
    """A life of a guard; every signature that left it is noted as kind, view, statement."""
    directory.mkdir(mode=0o700)
    Guard.create(directory / "guard", KEY.public, GENESIS, disk)
    disk.note("created")
    for life in range(3):
        guard = Guard.open(directory / "guard", KEY.public, GENESIS, disk)
        view = 10 * life
        guard.sign(KEY, NOTARIZE, 0, view, b"A")
        disk.note(f"0 {view} A")
        group = [(FINALIZE, 0, view, b"A"), (NOTARIZE, 0, view + 1, b"B"), (NULLIFY, 0, view + 1, b"N")]
        group += [(NOTARIZE, 0, view + more, b"C") for more in range(2, 9)]  # over three sectors
        guard.sign_many(KEY, group)
        for kind, _, at, statement in group:
            disk.note(f"{kind} {at} {statement.decode()}")
        if life == 1:
            guard.rebase(0, 5)
            disk.note("rebased")
        guard.close()


def recover_all(tmp_path: Path, disk: RecordingDisk) -> int:
    count = 0
    seen = set()
    for notes, files in crash_states(disk.ops):
        state = (tuple(notes), tuple(sorted(files.items())))
        if state in seen:
            continue
        seen.add(state)
        directory = tmp_path / f"state-{count}"
        lay_out(directory, files)
        count += 1
        if "created" not in notes and "guard" not in files:
            continue
        guard = reopened(directory)  # a crash alone never makes it refuse
        assert guard.watermark >= ((0, 5) if "rebased" in notes else (0, 0))
        for note in notes:
            if note[0].isdigit():
                kind, view, statement = note.split()
                assert guard.remembers(int(kind), 0, int(view), statement.encode()), note
                assert not may(guard, int(kind), int(view), b"another"), note
        guard.close()
    return count


def test_no_crash_makes_the_guard_forget_a_signature(tmp_path: Path) -> None:
    disk = RecordingDisk()
    live(tmp_path / "life", disk)
    assert recover_all(tmp_path, disk) > 200


@pytest.mark.parametrize("forgetful", ["sync", "sync_directory"])
def test_the_crash_states_find_out_a_guard_that_does_not_sync(tmp_path: Path, forgetful: str) -> None:
    disk = RecordingDisk(forgetful)
    live(tmp_path / "life", disk)
    with pytest.raises((AssertionError, StorageError)):
        recover_all(tmp_path, disk)


def test_the_crash_states_find_out_a_guard_that_signs_first(tmp_path: Path) -> None:
    disk = RecordingDisk()
    live(tmp_path / "life", disk)
    signed_first = list(disk.ops)
    at = next(index for index, op in enumerate(signed_first) if op == Op("note", new="0 0 A"))
    note = signed_first.pop(at)
    signed_first.insert(at - 1, note)  # before the sync
    disk.ops = signed_first
    with pytest.raises(AssertionError):
        recover_all(tmp_path, disk)


# A decree: the guard is closed below its term, and signs one decree of it.

TERM = 10**12


def closed(directory: Path, epoch: int = TERM) -> Guard:
    guard = fresh(directory)
    assert may(guard, FINALIZE, 5, b"A", epoch=3)
    assert guard.close_below(epoch) == Spoken((3, 5), False)
    return guard


@pytest.mark.parametrize("restart", [False, True])
def test_a_closed_guard_signs_nothing_below_and_everything_above(tmp_path: Path, restart: bool) -> None:
    guard = closed(tmp_path)
    if restart:
        guard.close()
        guard = reopened(tmp_path)
    assert not may(guard, FINALIZE, 5, b"A", epoch=3), "not even what it had signed"
    assert not may(guard, NOTARIZE, 1, b"A", epoch=TERM - 1)
    assert may(guard, NOTARIZE, 1, b"A", epoch=TERM + 3)
    assert not guard.based, "what it has said above is all here"


@pytest.mark.parametrize("restart", [False, True])
def test_a_guard_that_is_closed_again_says_the_same(tmp_path: Path, restart: bool) -> None:
    guard = closed(tmp_path)
    for _ in range(2):
        if restart:
            guard.close()
            guard = reopened(tmp_path)
        assert guard.close_below(TERM) == Spoken((3, 5), False)
    assert guard.newest == (TERM, 0)


def test_a_guard_that_was_based_anew_does_not_know_what_was_said(tmp_path: Path) -> None:
    guard = fresh(tmp_path)
    guard.rebase(7, 0)
    assert guard.close_below(TERM) == Spoken((7, 0), True)


def test_a_guard_that_spoke_in_the_term_is_not_closed_below_it(tmp_path: Path) -> None:
    guard = fresh(tmp_path)
    assert may(guard, NOTARIZE, 1, b"A", epoch=TERM + 3)
    with pytest.raises(GuardRefused, match="may have spoken"):
        guard.close_below(TERM)
    assert may(guard, FINALIZE, 1, b"A", epoch=TERM + 3)


@pytest.mark.parametrize("restart", [False, True])
def test_one_decree_of_a_term_is_signed_and_no_other(tmp_path: Path, restart: bool) -> None:
    guard = closed(tmp_path)
    assert verify(KEY.public, b"decree", guard.sign_decree(KEY, TERM, b"decree"))
    if restart:
        guard.close()
        guard = reopened(tmp_path)
    assert verify(KEY.public, b"decree", guard.sign_decree(KEY, TERM, b"decree"))
    for other in (guard.remember_decree, lambda epoch, name: guard.sign_decree(KEY, epoch, name)):
        with pytest.raises(GuardRefused, match="another DECREE"):
            other(TERM, b"another decree")


def test_no_decree_is_signed_before_the_guard_is_closed_for_it(tmp_path: Path) -> None:
    guard = fresh(tmp_path)
    for epoch in (TERM, 2 * TERM):
        with pytest.raises(GuardRefused, match="before the guard is closed"):
            guard.sign_decree(KEY, epoch, b"decree")
        if epoch == TERM:
            guard.close_below(TERM)
    with pytest.raises(GuardError, match="another key"):
        guard.sign_decree(SecretKey(b"o" * 32), TERM, b"decree")


def test_a_decree_is_remembered_when_the_guard_is_copied_forward(tmp_path: Path) -> None:
    guard = closed(tmp_path)
    guard.remember_decree(TERM, b"decree")
    for view in range(1, RECORDS_MAX + 1):
        guard.sign_many(KEY, [(NOTARIZE, TERM + 1, view, b"A")])
    with pytest.raises(GuardRefused):
        guard.sign_decree(KEY, TERM, b"another decree")
    with pytest.raises(GuardRefused):
        guard.close_below(TERM)


def test_closing_is_durable_before_it_is_said(tmp_path: Path) -> None:
    disk = RecordingDisk()
    guard = fresh(tmp_path, disk)
    assert may(guard, NOTARIZE, 2, b"A", epoch=1)
    before = len(disk.ops)
    guard.close_below(TERM)
    disk.note("closed")
    guard.sign_decree(KEY, TERM, b"decree")
    assert [op.what for op in disk.ops[before:]] == ["write", "sync", "note", "write", "sync"]
