"""The audit log: what is in it is on disk first, and no change of it goes unseen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import node.audit_log as audit_log
from consensus.crypto import SecretKey
from node.audit_log import AuditBroken, AuditLog, segments, verified
from tests.storage_crashes import RecordingDisk

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
    assert len(entries[-1].params["level"]) == audit_log.TEXT_CHARS_MAX
