"""The audit log: what is in it is on disk first, and no change of it goes unseen."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import node.audit_log as audit_log
from consensus.crypto import SecretKey
from node.audit_log import AuditBroken, AuditLog, segments, verified
from node.storage.errors import StorageFailed
from node.storage.files import Disk
from tests.storage_crashes import RecordingDisk, UnsyncedDisk

KEY = SecretKey(bytes(31) + b"a")
OTHER = SecretKey(bytes(31) + b"b")


def opened(directory: Path, **options: Any) -> AuditLog:
    return AuditLog(directory, KEY, lambda: 1_700_000_000_000, **options)


async def written(directory: Path, count: int = 6) -> list[Path]:
    """Write entries in two lives of a node; return the files."""
    for life in range(2):
        log = opened(directory)
        for number in range(count // 2):
            await log.record("operator", "admin_setLogLevel", {"level": f"{life}.{number}", "ü": "ы"}, number % 2 == 0)
        log.close()
    return segments(directory)


async def test_entries_follow_one_another_over_lives_and_are_signed(tmp_path: Path) -> None:
    files = await written(tmp_path / "audit")
    assert [path.name for path in files] == ["audit.000001", "audit.000002"]
    entries = list(verified(tmp_path / "audit", KEY.public))
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.allowed for entry in entries] == [True, False, True] * 2
    assert entries[3].params == {"level": "1.0", "ü": "ы"}
    with pytest.raises(AuditBroken, match="signed"):
        list(verified(tmp_path / "audit", OTHER.public))
    log = opened(tmp_path / "audit")
    assert [entry.number for entry in log.entries(0, 4)] == [1, 2, 3, 4]
    assert [entry.number for entry in log.entries(4, 9)] == [5, 6]
    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


async def test_nothing_is_on_disk_before_there_is_something_to_tell(tmp_path: Path) -> None:
    opened(tmp_path / "audit").close()
    assert not (tmp_path / "audit").exists()
    assert list(verified(tmp_path / "audit", KEY.public)) == []


async def test_an_entry_is_synced_before_record_returns(tmp_path: Path) -> None:
    disk = RecordingDisk()
    log = opened(tmp_path / "audit", disk=disk)
    await log.record("local", "admin_stop", {}, True)
    log.close()
    kinds = [op.what for op in disk.ops]
    assert kinds.index("write") < kinds.index("sync")


def whole(directory: Path) -> list[int]:
    """Return the numbers of all entries of a log that holds together."""
    return [entry.number for entry in verified(directory, KEY.public)]


class SlowDisk(Disk):
    """Ends no write before it may; says how many threads were in one at a time."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.begun = threading.Event()
        self.inside = self.most = 0

    def write(self, descriptor: int, data: bytes) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.begun.set()
        assert self.may.wait(30)
        super().write(descriptor, data)
        self.inside -= 1


async def hung_up(log: AuditLog, disk: SlowDisk) -> None:
    """Record, and go away while it is being written."""
    calling = asyncio.create_task(log.record("shop", "admin_stop", {}, False))
    assert await asyncio.to_thread(disk.begun.wait, 30)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_a_caller_that_hangs_up_breaks_no_log(tmp_path: Path) -> None:
    disk = SlowDisk()
    log = opened(tmp_path / "audit", disk=disk)
    await hung_up(log, disk)
    more = [asyncio.create_task(log.record("local", "admin_getStatus", {}, True)) for _ in range(8)]
    await asyncio.sleep(0.05)
    assert not any(call.done() for call in more)
    disk.may.set()
    await asyncio.gather(*more)
    log.close()
    assert disk.most == 1, "one writes at a time"
    assert whole(tmp_path / "audit") == [*range(1, 10)]


async def test_what_is_being_written_when_the_log_is_closed_is_written_to_its_end(tmp_path: Path) -> None:
    disk = SlowDisk()
    log = opened(tmp_path / "audit", disk=disk)
    await hung_up(log, disk)
    threading.Timer(0.05, disk.may.set).start()
    log.close()
    assert whole(tmp_path / "audit") == [1]


class FailingDisk(Disk):
    """Fails as it is told: at a write, of which half is done, at a sync, or at making a file."""

    def __init__(self) -> None:
        self.fails = ""

    def _fail(self, what: str) -> None:
        if self.fails == what:
            raise StorageFailed(what)

    def create(self, path: Path) -> int:
        self._fail("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        super().write(descriptor, data[: len(data) // 2] if self.fails == "write" else data)
        self._fail("write")

    def sync(self, descriptor: int) -> None:
        self._fail("sync")
        super().sync(descriptor)


@pytest.mark.parametrize("before", [0, 1, 9])
@pytest.mark.parametrize("fault", ["write", "sync", "create"])
async def test_the_log_goes_on_after_a_disk_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, before: int
) -> None:
    monkeypatch.setattr(audit_log, "SEGMENT_BYTES_MAX", 1_500)
    monkeypatch.setattr(audit_log, "SEGMENTS_MAX", 4)
    disk = FailingDisk()
    log = opened(tmp_path / "audit", disk=disk)
    for _ in range(before):
        await log.record("local", "admin_getStatus", {}, True)
    for _ in range(5):
        disk.fails = fault
        failed = 0
        for _ in range(9):
            try:
                await log.record("local", "admin_stop", {}, True)
            except StorageFailed:
                failed += 1
        assert failed >= (4 if fault == "create" else 9)
        disk.fails = ""
        await log.record("local", "admin_getStatus", {}, True)
    entries = [entry.number for entry in log.entries(0, 99)]
    log.close()
    told = whole(tmp_path / "audit")
    assert told == entries
    assert told == [*range(told[0], told[-1] + 1)]
    assert len(segments(tmp_path / "audit")) <= 4


async def test_a_failing_disk_costs_no_entry_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "SEGMENTS_MAX", 3)
    await written(tmp_path / "audit")
    disk = FailingDisk()
    log = opened(tmp_path / "audit", disk=disk)
    for fault in ("write", "sync", "create") * 3:
        disk.fails = fault
        with pytest.raises(StorageFailed):
            await log.record("local", "admin_stop", {}, True)
    log.close()
    assert whole(tmp_path / "audit")[:6] == [1, 2, 3, 4, 5, 6]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def put(path: Path, entries: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def changed(name: str, value: object) -> Callable[[list[Path]], None]:
    def change(files: list[Path]) -> None:
        entries = lines(files[0])
        entries[1][name] = value
        put(files[0], entries)

    return change


def dropped(files: list[Path]) -> None:
    put(files[0], lines(files[0])[:1] + lines(files[0])[2:])


def cut_between(files: list[Path]) -> None:
    put(files[0], lines(files[0])[:-1])


def swapped(files: list[Path]) -> None:
    one, two, *rest = lines(files[0])
    put(files[0], [two, one, *rest])


def doubled(files: list[Path]) -> None:
    put(files[0], [*lines(files[0]), lines(files[0])[-1]])


def first_gone(files: list[Path]) -> None:
    files[1].rename(files[0])
    put(files[0], [{**lines(files[0])[0], "number": 1}, *lines(files[0])[1:]])


def no_json(files: list[Path]) -> None:
    files[0].write_text("{\n")


CHANGES: dict[str, Callable[[list[Path]], None]] = {
    **{
        name: changed(name, value)
        for name, value in {
            "number": 3,
            "time_ms": 1,
            "caller": "nobody",
            "method": "admin_stop",
            "params": {"level": "x"},
            "allowed": True,
            "before": "00" * 32,
            "hash": "00" * 32,
            "signature": "00" * 64,
        }.items()
    },
    "a type": changed("number", "2"),
    "a name": changed("more", 1),
    "an entry left out": dropped,
    "the end of a file": cut_between,
    "the order": swapped,
    "an entry twice": doubled,
    "the first file": first_gone,
    "no JSON": no_json,
}


@pytest.mark.parametrize("name", CHANGES)
async def test_no_change_goes_unseen(tmp_path: Path, name: str) -> None:
    files = await written(tmp_path / "audit")
    CHANGES[name](files)
    with pytest.raises(AuditBroken):
        list(verified(tmp_path / "audit", KEY.public))


async def test_a_write_that_a_crash_cut_short_is_no_entry_and_the_log_goes_on(tmp_path: Path) -> None:
    files = await written(tmp_path / "audit")
    with files[-1].open("ab") as file:
        file.write(b'{"number":7,"ti')
    log = opened(tmp_path / "audit")
    await log.record("local", "admin_stop", {}, True)
    log.close()
    assert [entry.number for entry in verified(tmp_path / "audit", KEY.public)][-2:] == [6, 7]


async def test_a_damaged_log_keeps_no_node_from_its_work_and_shows_for_ever(tmp_path: Path) -> None:
    files = await written(tmp_path / "audit")
    files[-1].write_bytes(b"\xff\n\x00\n")
    log = opened(tmp_path / "audit")
    await log.record("local", "admin_stop", {}, True)
    log.close()
    with pytest.raises(AuditBroken, match="000002"):
        list(verified(tmp_path / "audit", KEY.public))


async def test_the_log_is_bounded_and_what_is_kept_is_still_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "SEGMENT_BYTES_MAX", 1_500)
    monkeypatch.setattr(audit_log, "SEGMENTS_MAX", 3)
    log = opened(tmp_path / "audit")
    for number in range(40):
        await log.record("local", "admin_setLogLevel", {"level": str(number) * 9_999}, True)
    log.close()
    assert len(segments(tmp_path / "audit")) == 3
    entries = list(verified(tmp_path / "audit", KEY.public))
    assert 3 <= len(entries) < 10
    assert entries[-1].number == 40


async def test_a_page_costs_no_more_when_the_log_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "SEGMENT_BYTES_MAX", 16 * 1024)
    monkeypatch.setattr(audit_log, "SEGMENTS_MAX", 32)
    log = opened(tmp_path / "audit", disk=UnsyncedDisk())
    for _ in range(1_600):
        await log.record("local", "admin_getStatus", {}, True)
    log.close()
    assert len(segments(tmp_path / "audit")) == 32
    kept = whole(tmp_path / "audit")
    parsed = 0

    def counting(value: Any, parse: Callable[[Any], Any] = audit_log._entry) -> Any:
        nonlocal parsed
        parsed += 1
        return parse(value)

    monkeypatch.setattr(audit_log, "_entry", counting)
    for after in (0, kept[0] - 1, kept[0], kept[0] + 40, kept[len(kept) // 2], kept[-52], kept[-1] - 1, kept[-1]):
        parsed = 0
        assert [entry.number for entry in log.entries(after, 51)] == [n for n in kept if n > after][:51]
        assert parsed < 51 + 40


async def test_a_page_of_a_damaged_log_has_what_is_left(tmp_path: Path) -> None:
    files = [path for _ in range(4) for path in (await written(tmp_path / "audit"))[-2:]]
    files[3].write_bytes(b"{\n" + files[3].read_bytes())
    files[5].write_bytes(b"")
    left = [n for n in range(1, 25) if n not in (16, 17, 18)]
    log = opened(tmp_path / "audit")
    for after in range(25):
        assert [entry.number for entry in log.entries(after, 99)] == [n for n in left if n > after]


async def test_a_param_that_is_cut_says_how_much_is_missing(tmp_path: Path) -> None:
    log = opened(tmp_path / "audit")
    await log.record("local", "x", {"short": "s" * 512, "long": "l" * 1_000}, True)
    log.close()
    (entry,) = verified(tmp_path / "audit", KEY.public)
    assert entry.params == {"short": "s" * 512, "long": "l" * 512 + "… and 488 characters more"}


def told(directory: Path) -> list[tuple[str, str, dict[str, str], bool]]:
    return [(entry.caller, entry.method, entry.params, entry.allowed) for entry in verified(directory, KEY.public)]


async def test_who_is_refused_again_and_again_is_written_so_often_a_minute_and_then_summed_up(tmp_path: Path) -> None:
    now = [1_700_000_000_000]
    log = AuditLog(tmp_path / "audit", KEY, lambda: now[0])
    refused: tuple[str, str, dict[str, str], bool] = ("shop", "admin_stop", {}, False)
    for _ in range(100):
        await log.record(*refused)
    await log.record("shop", "admin_getStatus", {}, True)
    await log.record("bank", "admin_stop", {}, False)
    assert told(tmp_path / "audit") == [
        *[refused] * 5,
        ("shop", "admin_getStatus", {}, True),
        ("bank", "admin_stop", {}, False),
    ]
    now[0] += 59_999
    await log.record(*refused)
    now[0] += 1
    await log.record("local", "admin_getStatus", {}, True)
    for _ in range(6):
        await log.record(*refused)
    log.close()
    assert told(tmp_path / "audit")[7:] == [
        ("shop", "refused", {"more": "96"}, False),
        ("local", "admin_getStatus", {}, True),
        *[refused] * 5,
        ("shop", "refused", {"more": "1"}, False),
    ]


async def test_a_clock_that_is_set_back_hides_no_refusals(tmp_path: Path) -> None:
    now = [1_700_000_000_000]
    log = AuditLog(tmp_path / "audit", KEY, lambda: now[0])
    for _ in range(7):
        await log.record("shop", "admin_stop", {}, False)
    now[0] -= 3_600_000
    await log.record("shop", "admin_stop", {}, False)
    log.close()
    assert [each[1:3] for each in told(tmp_path / "audit")[5:]] == [
        ("refused", {"more": "2"}),
        ("admin_stop", {}),
    ]
