from pathlib import Path

import pytest

from node.storage import journal as journal_module
from node.storage.errors import AlreadyInitialised, Damaged, InUse, NotInitialised, StorageError, StorageFailed
from node.storage.files import Disk
from node.storage.journal import PENDING_BYTES_MAX, RECORD_BYTES_MAX, Journal, Record
from tests.storage_crashes import RecordingDisk, UnsyncedDisk, crash_states, lay_out

GROUPS: tuple[tuple[Record, ...], ...] = (
    ((1, b"block one"), (2, b"vote one")),
    ((2, b"vote two"),),
    ((0, b""), (254, b"\x00\x00\x00\x08\xff" * 3), (2, b"vote three")),
)
ALL = [record for group in GROUPS for record in group]


def write_groups(directory: Path, disk: Disk | None = None) -> None:
    disk = disk or UnsyncedDisk()
    Journal.create(directory, disk)
    journal, records = Journal.open(directory, disk)
    assert records == []
    for group in GROUPS:
        for record in group:
            journal.append(*record)
        journal.sync()
    journal.close()


def segment(directory: Path) -> Path:
    (path,) = directory.glob("*.journal")
    return path


def reopened(directory: Path) -> list[Record]:
    journal, records = Journal.open(directory, UnsyncedDisk())
    journal.close()
    return records


def replayed(tmp_path: Path, name: str, content: bytes, number: int) -> list[Record] | None:
    """Return the records of a journal with this content, None if it is refused as damaged."""
    directory = tmp_path / f"case-{number}"
    lay_out(directory, {name: content})
    try:
        return reopened(directory)
    except Damaged:
        return None


def test_what_was_synced_is_replayed_in_order(tmp_path: Path) -> None:
    write_groups(tmp_path / "journal", Disk())
    assert reopened(tmp_path / "journal") == ALL
    assert reopened(tmp_path / "journal") == ALL


def test_what_was_not_synced_is_not_there_after_close(tmp_path: Path) -> None:
    Journal.create(tmp_path / "journal")
    journal, _ = Journal.open(tmp_path / "journal")
    journal.append(1, b"never synced")
    journal.close()
    assert reopened(tmp_path / "journal") == []


def test_many_appends_take_one_sync(tmp_path: Path) -> None:
    disk = RecordingDisk()
    Journal.create(tmp_path / "journal", disk)
    journal, _ = Journal.open(tmp_path / "journal", disk)
    disk.ops.clear()
    for number in range(50):
        journal.append(1, bytes([number]))
    journal.sync()
    assert [op.what for op in disk.ops] == ["write", "sync", "write"]  # the group, its sync, the mark
    journal.sync()
    assert len(disk.ops) == 3, "nothing new, nothing to sync"
    journal.close()


def test_rotate_keeps_the_given_records_and_drops_the_rest(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    Journal.create(directory)
    journal, _ = Journal.open(directory)
    for number in range(100):
        journal.append(1, bytes(1_000) + bytes([number]))
    journal.sync()
    before = journal.size_bytes
    journal.append(3, b"appended before, synced after")
    journal.rotate(iter([(2, b"kept")]))
    assert journal.size_bytes < before / 100
    journal.sync()
    journal.close()
    assert reopened(directory) == [(2, b"kept"), (3, b"appended before, synced after")]


def test_a_journal_that_was_never_made_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(NotInitialised):
        Journal.open(tmp_path / "journal")
    (tmp_path / "journal").mkdir()
    with pytest.raises(NotInitialised):
        Journal.open(tmp_path / "journal")


def test_create_refuses_an_existing_journal(tmp_path: Path) -> None:
    write_groups(tmp_path / "journal")
    with pytest.raises(AlreadyInitialised):
        Journal.create(tmp_path / "journal")
    assert reopened(tmp_path / "journal") == ALL


def test_a_second_opener_is_refused(tmp_path: Path) -> None:
    Journal.create(tmp_path / "journal")
    journal, _ = Journal.open(tmp_path / "journal")
    with pytest.raises(InUse):
        Journal.open(tmp_path / "journal")
    journal.close()
    assert reopened(tmp_path / "journal") == []


def test_bounds_of_a_record_and_of_a_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal.create(tmp_path / "journal")
    journal, _ = Journal.open(tmp_path / "journal")
    largest = bytes(RECORD_BYTES_MAX)
    journal.append(1, largest)
    for record_type, payload in ((1, largest + b"x"), (255, b"")):
        with pytest.raises(AssertionError):
            journal.append(record_type, payload)
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 3 << 20)
    journal.append(1, largest)
    with pytest.raises(StorageError, match="full"):
        journal.append(1, largest)
    journal.rotate([])
    journal.close()


def test_what_waits_is_bounded_by_a_sync(tmp_path: Path) -> None:
    disk = RecordingDisk()
    Journal.create(tmp_path / "journal", disk)
    journal, _ = Journal.open(tmp_path / "journal", disk)
    disk.ops.clear()
    for _ in range(PENDING_BYTES_MAX // RECORD_BYTES_MAX):
        journal.append(1, bytes(RECORD_BYTES_MAX))
    assert [op.what for op in disk.ops] == ["write", "sync", "write"]
    journal.close()
    assert len(reopened(tmp_path / "journal")) == PENDING_BYTES_MAX // RECORD_BYTES_MAX


def test_records_that_change_places_are_damage(tmp_path: Path) -> None:
    Journal.create(tmp_path / "journal")
    journal, _ = Journal.open(tmp_path / "journal")
    start = segment(tmp_path / "journal").stat().st_size
    for payload in (b"one", b"two"):
        journal.append(1, payload)
    journal.sync()
    journal.close()
    path = segment(tmp_path / "journal")
    content = path.read_bytes()
    size = 5 + 3 + 8
    swapped = content[start + size : start + 2 * size] + content[start : start + size]
    assert b"two" in swapped[:size]
    assert replayed(tmp_path, path.name, content[:start] + swapped + content[start + 2 * size :], 0) is None


def test_a_cut_at_any_byte_loses_only_whole_records_from_the_end(tmp_path: Path) -> None:
    write_groups(tmp_path / "journal")
    path = segment(tmp_path / "journal")
    whole = path.read_bytes()
    seen = set()
    for size in range(len(whole)):
        records = replayed(tmp_path, path.name, whole[:size], size)
        if size < 40:
            assert records is None, "a header is durable before it gets its name"
            continue
        assert records == ALL[: len(records or ())], size
        seen.add(len(records or ()))
    assert seen == set(range(len(ALL) + 1))


@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_at_any_byte_is_damage(tmp_path: Path, bit: int) -> None:
    write_groups(tmp_path / "journal")
    path = segment(tmp_path / "journal")
    whole = path.read_bytes()
    last_mark = len(whole) - 5 - 8 - 8
    for offset in range(len(whole)):
        flipped = bytearray(whole)
        flipped[offset] ^= 1 << bit
        expected = ALL if offset >= last_mark else None  # the last mark says nothing that is not there anyway
        assert replayed(tmp_path, path.name, bytes(flipped), offset) == expected, offset


def test_zeros_anywhere_are_damage_or_a_torn_tail(tmp_path: Path) -> None:
    write_groups(tmp_path / "journal")
    path = segment(tmp_path / "journal")
    whole = path.read_bytes()
    for offset in range(len(whole)):
        hole = whole[:offset] + bytes(min(16, len(whole) - offset)) + whole[offset + 16 :]
        records = replayed(tmp_path, path.name, hole, offset)
        assert records == ALL[: len(records)] if records is not None else hole != whole
        if offset < len(whole) - 40:  # the last record and its mark
            assert records is None
        tail = whole[:offset] + bytes(len(whole) - offset)
        records = replayed(tmp_path, path.name, tail, len(whole) + offset)
        assert offset < 40 if records is None else records == ALL[: len(records)]


def test_zeros_or_garbage_behind_the_end_lose_nothing(tmp_path: Path) -> None:
    write_groups(tmp_path / "journal")
    path = segment(tmp_path / "journal")
    for number, tail in enumerate((bytes(4_096), b"\xff" * 700, path.read_bytes())):
        assert replayed(tmp_path, path.name, path.read_bytes() + tail, number) == ALL


def test_a_torn_group_is_cut_even_if_its_later_records_reached_the_disk(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    write_groups(directory)
    journal, _ = Journal.open(directory, UnsyncedDisk())
    durable = len(segment(directory).read_bytes())
    for number in range(3):
        journal.append(1, b"%d" % number * 600)
    journal.sync()
    journal.close()
    path = segment(directory)
    content = bytearray(path.read_bytes())
    del content[-21:]  # the mark: the sync that it follows had not ended
    content[durable : durable + 512] = bytes(512)
    assert replayed(tmp_path, path.name, bytes(content), 0) == ALL


def test_a_mark_inside_a_payload_proves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    write_groups(directory)
    journal, _ = Journal.open(directory, UnsyncedDisk())
    path = segment(directory)
    before = path.read_bytes()
    journal.append(
        1, before + b"".join(b"\x00\x00\x00\x08\xff" + at.to_bytes(8, "big") + bytes(8) for at in range(900))
    )
    journal.sync()
    journal.close()
    torn = path.read_bytes()[:-60]
    assert replayed(tmp_path, path.name, torn, 0) == ALL


def test_after_a_torn_tail_the_journal_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    write_groups(directory)
    path = segment(directory)
    path.write_bytes(path.read_bytes()[:-25])
    journal, records = Journal.open(directory)
    assert records == ALL[:-1]
    assert journal.torn_bytes > 0
    journal.append(7, b"after")
    journal.sync()
    journal.close()
    assert reopened(directory) == [*ALL[:-1], (7, b"after")]


def test_a_segment_under_another_name_is_damage(tmp_path: Path) -> None:
    write_groups(tmp_path / "journal")
    content = segment(tmp_path / "journal").read_bytes()
    assert replayed(tmp_path, "0000000000000099.journal", content, 0) is None


class FailingDisk(Disk):
    """A disk whose n-th sync fails."""

    def __init__(self) -> None:
        self.good_syncs = 1_000

    def sync(self, descriptor: int) -> None:
        self.good_syncs -= 1
        if self.good_syncs < 0:
            raise StorageFailed("fdatasync: Input/output error")


def test_the_first_failed_sync_ends_the_journal(tmp_path: Path) -> None:
    disk = FailingDisk()
    Journal.create(tmp_path / "journal", disk)
    journal, _ = Journal.open(tmp_path / "journal", disk)
    journal.append(1, b"durable")
    journal.sync()
    disk.good_syncs = 0
    journal.append(1, b"unknown")
    with pytest.raises(StorageFailed):
        journal.sync()
    disk.good_syncs = 1_000
    with pytest.raises(StorageFailed):
        journal.append(1, b"more")
    with pytest.raises(StorageFailed):
        journal.sync()
    with pytest.raises(StorageFailed):
        journal.rotate([])
    journal.close()
    assert reopened(tmp_path / "journal")[0] == (1, b"durable")


def live(directory: Path, disk: RecordingDisk) -> None:
    """A life of a journal: what is noted is promised."""
    Journal.create(directory, disk)
    disk.note("created")
    journal, _ = Journal.open(directory, disk)
    for number, group in enumerate(((b"a", b"b" * 700), (b"c",), (b"d" * 1_500, b"e"))):
        for payload in group:
            journal.append(1, payload)
        journal.sync()
        disk.note(f"synced {number}")
    journal.rotate([(1, b"c"), (1, b"e")])
    disk.note("rotated")
    journal.append(1, b"f")
    journal.sync()
    disk.note("synced 3")
    journal.close()
    journal, _ = Journal.open(directory, disk)
    journal.append(1, b"g")
    journal.sync()
    disk.note("synced 4")
    journal.close()


SYNCED = {
    "synced 0": [b"a", b"b" * 700],
    "synced 1": [b"c"],
    "synced 2": [b"d" * 1_500, b"e"],
    "synced 3": [b"f"],
    "synced 4": [b"g"],
}
ROTATED = [b"c", b"e"]


def promised(notes: list[str]) -> list[list[bytes]]:
    """Return the beginnings that a journal may have after these notes."""
    before = [payload for note in list(SYNCED)[:3] if note in notes for payload in SYNCED[note]]
    after = [payload for note in list(SYNCED)[3:] if note in notes for payload in SYNCED[note]]
    if "rotated" in notes:
        return [ROTATED + after]
    return [before, ROTATED] if "synced 2" in notes else [before]


def recover_all(tmp_path: Path, disk: RecordingDisk) -> int:
    """Recover every state that a crash may leave, and check what was promised. Return how many."""
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
        try:
            payloads = [payload for _, payload in reopened(directory)]
        except NotInitialised:
            assert not notes, "a journal that was made is gone"
            continue
        assert any(payloads[: len(kept)] == kept for kept in promised(notes)), (notes, payloads)
        order = [payload[:1] for payload in payloads]
        assert order == sorted(order), "records changed places"
    return count


def test_every_crash_leaves_all_that_was_synced(tmp_path: Path) -> None:
    disk = RecordingDisk()
    live(tmp_path / "journal", disk)
    assert recover_all(tmp_path, disk) > 200


@pytest.mark.parametrize("forgetful", ["sync", "sync_directory"])
def test_the_crash_states_find_out_a_journal_that_does_not_sync(tmp_path: Path, forgetful: str) -> None:
    disk = RecordingDisk(forgetful)
    live(tmp_path / "journal", disk)
    with pytest.raises((AssertionError, Damaged)):
        recover_all(tmp_path, disk)
