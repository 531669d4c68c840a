import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import plyvel
import pytest

from node.build import is_native
from node.storage import schema
from node.storage import store as store_module
from node.storage.errors import (
    AlreadyInitialised,
    Damaged,
    InUse,
    NotInitialised,
    NotLinked,
    StorageError,
    WrongNetwork,
)
from node.storage.records import Placed
from node.storage.store import Store
from tests.storage_chain import (
    GENESIS,
    GENESIS_STATE,
    batch,
    block_hash,
    chain_root,
    grown,
    identify,
    record,
    require_whole,
    roots,
    roster,
    state,
    tx_id,
)
from tests.storage_crashes import RecordingDisk


def opened(path: Path) -> Store:
    return Store.open(path, GENESIS)


def test_what_was_committed_is_read_back(tmp_path: Path) -> None:
    grown(tmp_path / "db", 60)
    store = opened(tmp_path / "db")
    assert require_whole(store) == 60
    assert store.tip.block_hash == block_hash(60)
    assert store.tip.root == roots(60).root
    assert store.tip.certificate == b"certificate 60"
    store.close()


def test_a_roster_holds_from_its_block_to_the_next_one(tmp_path: Path) -> None:
    grown(tmp_path / "db", 20)
    store = opened(tmp_path / "db")
    found = [store.roster_at(height) for height in (0, 6, 7, 13, 14, 20, 10**9)]
    assert found == [b"roster 0", b"roster 0", b"roster 7", b"roster 7", *[b"roster 14"] * 3]
    with store.snapshot() as moment:
        assert moment.roster_at(8) == b"roster 7"
    store.close()


def test_a_demanded_version_holds_from_its_block_to_the_next_one(tmp_path: Path) -> None:
    grown(tmp_path / "db", 23)
    store = opened(tmp_path / "db")
    assert [store.version_at(height) for height in (0, 10, 11, 21, 22, 10**9)] == [1, 1, 12, 12, 23, 23]
    with store.snapshot() as moment:
        assert moment.version_at(11) == 12
    with store._db.write_batch() as rows:
        rows.delete(schema.version_key(0))
    with pytest.raises(Damaged):
        store.version_at(1)
    store.close()


def test_a_store_without_any_roster_is_damaged(tmp_path: Path) -> None:
    grown(tmp_path / "db", 1)
    store = opened(tmp_path / "db")
    with store._db.write_batch() as rows:
        rows.delete(schema.roster_key(0))
    with pytest.raises(Damaged):
        store.roster_at(1)
    store.close()


def test_a_new_store_stands_at_genesis(tmp_path: Path) -> None:
    Store.create(tmp_path / "db", GENESIS, GENESIS_STATE, block_hash=b"b" * 32, block_bytes=b"zero", roots=roots(0))
    store = opened(tmp_path / "db")
    assert (store.tip.height, store.tip.block_hash, store.tip.root) == (0, b"b" * 32, bytes(32))
    assert dict(store.scan_all()) == GENESIS_STATE
    block = store.block(0)
    assert block is not None
    assert block.block_bytes == b"zero"
    assert store.check(identify=identify, chain_root=chain_root) == 0
    store.close()


def test_reads_of_what_is_not_there_give_none(tmp_path: Path) -> None:
    grown(tmp_path / "db", 1)
    store = opened(tmp_path / "db")
    absent = (
        store.get(b"absent"),
        store.block(2),
        store.block_by_hash(bytes(32)),
        store.certificate(0),
        store.certificate_from(2),
        store.roots(2),
        store.outcome_leaves(2),
        store.batch(bytes(32)),
        store.transaction(bytes(32)),
    )
    assert absent == (None,) * 9
    assert store.entries(99) == ()
    assert store.blocks(2) == ()
    store.close()


def test_scans_take_low_and_leave_high_in_ascending_order(tmp_path: Path) -> None:
    rows = {bytes([a, b]): b"v" for a in (0, 7, 255) for b in (0, 9, 255)}
    Store.create(tmp_path / "db", GENESIS, rows)
    store = opened(tmp_path / "db")
    assert list(store.scan(b"\x00\x09", b"\x07\xff")) == [
        (key, b"v") for key in sorted(rows) if b"\x00\x09" <= key < b"\x07\xff"
    ]
    assert [key for key, _ in store.scan(b"", b"\xff\xff\xff")] == sorted(rows)
    assert list(store.scan(b"\x07", b"\x07")) == []
    store.close()


def test_keys_asked_for_in_ascending_order_have_what_get_gives(tmp_path: Path) -> None:
    """Near ones and far ones, absent ones among them and beyond both ends, in tables, in the log and twice written."""
    random = Random(5)
    numbers = sorted(random.sample(range(1, 20_000), 6_000))
    Store.create(tmp_path / "db", GENESIS, {b"a%08d" % number: b"old %d" % number for number in numbers})
    store = opened(tmp_path / "db")
    store.commit(replace(record(1), changes={b"a%08d" % number: b"new" for number in numbers[::7]}))
    store.commit(replace(record(2), changes={b"a%08d" % number: None for number in numbers[::11]}))
    for share in (1, 2, 50, 3_000):
        asked = sorted({0, 20_001, *random.sample(range(20_000), 20_000 // share)})
        keys = [b"a%08d" % number for number in asked]
        assert list(store.get_ascending(keys)) == [store.get(key) for key in keys]
    assert list(store.get_ascending([])) == []
    assert list(store.get_ascending([b"\xff" * 9])) == [None]
    store.close()


def test_a_row_that_is_damaged_is_not_given_among_others(tmp_path: Path) -> None:
    Store.create(tmp_path / "db", GENESIS, {b"a%d" % number: b"row" for number in range(9)})
    db = plyvel.DB(str(tmp_path / "db"))
    db.put(schema.state_key(b"a5"), b"row" + b"12345678")
    db.close()
    store = opened(tmp_path / "db")
    found = store.get_ascending([b"a3", b"a5", b"a7"])
    assert next(found) == b"row"
    with pytest.raises(Damaged):
        next(found)
    assert list(store.get_ascending([b"a3", b"a7"])) == [b"row", b"row"]  # passing by reads nothing of it
    store.close()


def test_entries_page_in_both_directions(tmp_path: Path) -> None:
    Store.create(tmp_path / "db", GENESIS, {})
    store = opened(tmp_path / "db")
    entries = [
        (account, at, b"%d/%d" % (account, at)) for account in (0, 7, 2**64 - 1) for at in (1, 2, 300, 2**64 - 1)
    ]
    store.commit(replace(record(1), entries=entries))
    for account in (0, 7, 2**64 - 1):
        numbers = [1, 2, 300, 2**64 - 1]
        assert [number for number, _ in store.entries(account)] == numbers
        assert [number for number, _ in store.entries(account, descending=True)] == numbers[::-1]
        assert [number for number, _ in store.entries(account, 2, 2)] == [2, 300]
        assert [number for number, _ in store.entries(account, 299, 2, descending=True)] == [2, 1]
        assert store.entries(account, 300, 1) == ((300, b"%d/300" % account),)
    assert store.entries(8) == ()
    store.close()


def test_block_ranges_are_bounded_by_count_and_bytes(tmp_path: Path) -> None:
    grown(tmp_path / "db", 20)
    store = opened(tmp_path / "db")
    size = len(record(10).block_bytes)
    assert [block.height for block in store.blocks(5, 3)] == [5, 6, 7]
    assert [block.height for block in store.blocks(10, 100, 3 * size)] == [10, 11, 12]
    assert [block.height for block in store.blocks(10, 100, 1)] == [10], "one block always comes"
    assert [block.height for block in store.blocks(19)] == [19, 20]
    assert store.blocks(2**64 - 1) == ()
    store.close()


def test_one_certificate_may_finalize_several_blocks(tmp_path: Path) -> None:
    Store.create(tmp_path / "db", GENESIS, GENESIS_STATE, roots=roots(0), roster=roster(0))
    store = opened(tmp_path / "db")
    store.commit(replace(record(1), certificate=b""))
    assert store.tip.certificate == b""
    store.commit(record(2))
    assert store.certificate(1) is None
    assert store.certificate_from(1) == (2, b"certificate 2")
    store.close()


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"height": 1},
        {"height": 3},
        {"parent_hash": bytes(32)},
        {"block_hash": b"short"},
        {"roots": replace(roots(2), root=b"")},
    ],
)
def test_a_block_that_does_not_follow_the_tip_writes_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    grown(tmp_path / "db", 1)
    store = opened(tmp_path / "db")
    with pytest.raises(NotLinked):
        store.commit(replace(record(2), **change))  # type: ignore[arg-type]
    assert require_whole(store) == 1
    store.commit(record(2))
    store.close()
    store = opened(tmp_path / "db")
    assert require_whole(store) == 2
    store.close()


def test_a_commit_that_cannot_be_built_writes_nothing(tmp_path: Path) -> None:
    grown(tmp_path / "db", 1)
    store = opened(tmp_path / "db")
    with pytest.raises(TypeError):
        store.commit(replace(record(2), changes={b"fine": b"1", b"wrong": "no bytes"}))  # type: ignore[dict-item]
    store.close()
    store = opened(tmp_path / "db")
    assert require_whole(store) == 1
    store.close()


def test_a_transaction_keeps_its_first_place_and_receipt(tmp_path: Path) -> None:
    grown(tmp_path / "db", 3)
    store = opened(tmp_path / "db")
    again = Placed(tx_id(1, 0), 0, batch(1)[0], 0, b"refused: expired")
    new = Placed(tx_id(4, 0), 1, batch(4)[0], 0, b"first")
    twice = Placed(tx_id(4, 0), 2, batch(4)[0], 1, b"refused: seen")
    store.commit(replace(record(4), transactions=[again, new, twice]))
    first = store.transaction(tx_id(1, 0))
    assert first is not None
    assert (first.height, first.receipt) == (1, b"receipt 1.0")
    found = store.transaction(tx_id(4, 0))
    assert found is not None
    assert (found.index, found.receipt) == (1, b"first")
    store.close()


def test_a_batch_is_written_once(tmp_path: Path) -> None:
    grown(tmp_path / "db", 1)
    store = opened(tmp_path / "db")
    name, content = batch(1)
    rows = store._rows_of(replace(record(2), batches={name: content, b"n" * 32: b"new"}))
    assert [key for key, _ in rows if key[:1] == schema.Table.BATCH] == [schema.batch_key(b"n" * 32)]
    store.close()


def test_the_name_of_a_new_log_is_durable_before_a_commit_returns(tmp_path: Path) -> None:
    grown(tmp_path / "db", 1)
    disk = RecordingDisk()
    store = Store.open(tmp_path / "db", GENESIS, disk)
    store.commit(record(2))
    assert [op.what for op in disk.ops] == ["sync_directory"]
    store.close()


class _Watched:
    """A LevelDB, and how it was written to."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.writes: list[dict[str, bool]] = []

    def write_batch(self, **how: bool) -> Any:
        self.writes.append(how)
        return self._db.write_batch(**how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def test_every_write_is_one_synced_transaction(tmp_path: Path) -> None:
    """No test cuts the power under LevelDB: so its own promise is asked for, each time."""
    grown(tmp_path / "db", 1)
    store = Store.open(tmp_path / "db", GENESIS)
    watched = store._db = _Watched(store._db)
    store.commit(record(2))
    store.put_evidence(b"key", b"proof")
    assert watched.writes == [{"transaction": True, "sync": True}] * 2
    store.close()


def test_payments_are_found_by_account_and_ref_latest_first(tmp_path: Path) -> None:
    Store.create(tmp_path / "db", GENESIS, GENESIS_STATE, roots=roots(0), roster=roster(0))
    store = opened(tmp_path / "db")
    store.commit(
        replace(record(1), references=[(7, b"ref", b"1"), (7, b"ref", b"2"), (7, b"ref2", b"x"), (8, b"ref", b"y")])
    )
    store.commit(replace(record(2), references=[(7, b"ref", b"3"), (7, b"", b"z"), (7, b"\xff" * 35, b"w")]))
    assert store.references(7, b"ref") == (b"3", b"2", b"1")
    assert store.references(7, b"ref", 2) == (b"3", b"2")
    assert store.references(7, b"") == (b"z",)
    assert store.references(7, b"\xff" * 35) == (b"w",)
    assert store.references(9, b"ref") == ()
    store.close()


@pytest.mark.skipif(is_native(), reason="what is compiled cannot be replaced")
def test_evidence_is_kept_once_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "EVIDENCE_MAX", 5)
    Store.create(tmp_path / "db", GENESIS, GENESIS_STATE, roots=roots(0), roster=roster(0))
    store = opened(tmp_path / "db")
    assert store.put_evidence(b"1", b"first")
    assert store.put_evidence(b"1", b"second")
    store.commit(replace(record(1), evidence={b"%d" % at: b"from a block" for at in range(1, 9)}))
    assert store.evidence() == ((b"1", b"first"), *((b"%d" % at, b"from a block") for at in (2, 3, 4, 5)))
    assert store.evidence(b"3", 1) == ((b"4", b"from a block"),)
    assert not store.put_evidence(b"9", b"no room")
    store.close()
    store = opened(tmp_path / "db")
    assert not store.put_evidence(b"9", b"no room")
    store.close()


def test_a_snapshot_stands_still_while_blocks_are_committed(tmp_path: Path) -> None:
    grown(tmp_path / "db", 3)
    store = opened(tmp_path / "db")
    with store.snapshot() as then:
        store.commit(record(4))
        assert (then.tip.height, then.get(b"height")) == (3, b"3")
        assert dict(then.scan_all()) == state(3)
        assert (store.tip.height, store.get(b"height")) == (4, b"4")
    store.close()


async def test_readers_see_whole_blocks_while_a_thread_commits(tmp_path: Path) -> None:
    grown(tmp_path / "db", 1)
    store = opened(tmp_path / "db")

    def commit() -> None:
        for height in range(2, 121):
            store.commit(record(height))

    writer = asyncio.create_task(asyncio.to_thread(commit))
    reads = 0
    while not writer.done():
        tip = store.tip
        assert store.block(tip.height) is not None, "the tip is visible only with its block"
        with store.snapshot() as now:
            assert now.get(b"height") == b"%d" % now.tip.height
            assert now.tip.height >= tip.height
        reads += 1
        await asyncio.sleep(0)
    await writer
    assert reads > 10
    assert require_whole(store) == 120
    store.close()


def test_stats_show_sizes(tmp_path: Path) -> None:
    grown(tmp_path / "db", 50)
    opened(tmp_path / "db").close()  # puts the log into a table
    store = opened(tmp_path / "db")
    stats = store.stats()
    assert stats.height == 50
    assert set(stats.table_bytes) == {table.name.lower() for table in schema.Table}
    assert stats.directory_bytes > 10_000
    assert 0 < stats.disk_free_bytes < stats.disk_total_bytes
    store.close()


def test_no_two_tables_share_a_prefix() -> None:
    prefixes = [table.value for table in schema.Table]
    assert len(set(prefixes)) == len(prefixes)
    assert all(len(prefix) == 1 for prefix in prefixes)


# --- opening what is not there, not ours, or damaged ---


def test_a_missing_store_is_never_made_by_opening_it(tmp_path: Path) -> None:
    with pytest.raises(NotInitialised):
        opened(tmp_path / "db")
    assert not (tmp_path / "db").exists()
    (tmp_path / "db").mkdir()
    for _ in range(2):
        with pytest.raises(NotInitialised):
            opened(tmp_path / "db")
    assert list((tmp_path / "db").iterdir()) == []


def test_create_refuses_whatever_is_there(tmp_path: Path) -> None:
    grown(tmp_path / "db", 2)
    with pytest.raises(AlreadyInitialised):
        Store.create(tmp_path / "db", GENESIS, {})
    (tmp_path / "file").touch()
    with pytest.raises(AlreadyInitialised):
        Store.create(tmp_path / "file", GENESIS, {})
    store = opened(tmp_path / "db")
    assert require_whole(store) == 2
    store.close()


def test_what_an_interrupted_create_left_is_replaced(tmp_path: Path) -> None:
    grown(tmp_path / "db.new", 7)  # never got its name
    with pytest.raises(NotInitialised):
        opened(tmp_path / "db")
    Store.create(tmp_path / "db", GENESIS, GENESIS_STATE, roots=roots(0), roster=roster(0))
    store = opened(tmp_path / "db")
    assert require_whole(store) == 0
    store.close()


def test_another_networks_store_is_refused(tmp_path: Path) -> None:
    grown(tmp_path / "db", 1)
    with pytest.raises(WrongNetwork):
        Store.open(tmp_path / "db", bytes(32))
    opened(tmp_path / "db").close()


def test_a_second_opener_is_refused(tmp_path: Path) -> None:
    grown(tmp_path / "db", 1)
    store = opened(tmp_path / "db")
    with pytest.raises(InUse):
        opened(tmp_path / "db")
    store.close()


def test_without_current_there_is_no_empty_database(tmp_path: Path) -> None:
    grown(tmp_path / "db", 5)
    (tmp_path / "db" / "CURRENT").unlink()
    for _ in range(2):
        with pytest.raises(Damaged):
            opened(tmp_path / "db")
    with pytest.raises(AlreadyInitialised):
        Store.create(tmp_path / "db", GENESIS, {})


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    plyvel.DB(str(tmp_path / "db"), create_if_missing=True).close()
    with pytest.raises(Damaged, match="genesis"):
        opened(tmp_path / "db")


def test_a_missing_table_is_damage(tmp_path: Path) -> None:
    grown(tmp_path / "db", 50)
    opened(tmp_path / "db").close()
    for table in (tmp_path / "db").glob("*.ldb"):
        table.unlink()
    with pytest.raises(Damaged):
        opened(tmp_path / "db")


def newest_log(path: Path) -> Path:
    return max(path.glob("*.log"), key=lambda log: log.stat().st_size)


def reread(path: Path) -> int | None:
    """Open and read everything; return the tip's height, None if it was refused. Anything else fails."""
    try:
        store = opened(path)
    except StorageError:
        return None
    try:
        return require_whole(store)
    except StorageError:
        return None
    finally:
        store.close()


def damaged_copies(
    tmp_path: Path, source: Path, file: str, damages: list[Callable[[bytearray], None]]
) -> list[int | None]:
    """Return what ``reread`` finds for each damage done to a file of a copy of the store."""
    found = []
    whole = {path.name: path.read_bytes() for path in source.iterdir()}
    for number, damage in enumerate(damages):
        copy = tmp_path / f"copy-{number}"
        copy.mkdir()
        for name, content in whole.items():
            changed = bytearray(content)
            if name == file:
                damage(changed)
            (copy / name).write_bytes(changed)
        found.append(reread(copy))
    return found


def flip(offset: int, bit: int) -> Callable[[bytearray], None]:
    def damage(content: bytearray) -> None:
        content[offset] ^= 1 << bit

    return damage


def cut(count: int) -> Callable[[bytearray], None]:
    def damage(content: bytearray) -> None:
        del content[-count:]

    return damage


def test_a_flipped_bit_in_the_log_never_leaves_a_hole(tmp_path: Path) -> None:
    grown(tmp_path / "db", 100)
    log = newest_log(tmp_path / "db")
    size = log.stat().st_size
    random = Random(1)
    offsets = [size * part // 40 for part in range(40)]
    found = damaged_copies(tmp_path, tmp_path / "db", log.name, [flip(at, random.randrange(8)) for at in offsets])
    assert found.count(None) >= 38, "a flip is refused"
    assert all(height is None or height >= 98 for height in found), "but in the last records, which read as a torn tail"


def test_a_torn_log_loses_whole_blocks_from_the_end_only(tmp_path: Path) -> None:
    grown(tmp_path / "db", 60)
    log = newest_log(tmp_path / "db")
    found = damaged_copies(tmp_path, tmp_path / "db", log.name, [cut(count) for count in (1, 100, 500, 3_000)])
    assert None not in found
    assert found == sorted((height for height in found if height is not None), reverse=True)
    assert found[0] == 59
    assert all(height is not None and height > 40 for height in found)


def test_zeros_or_garbage_behind_the_log_lose_nothing(tmp_path: Path) -> None:
    grown(tmp_path / "db", 30)
    log = newest_log(tmp_path / "db")
    found = damaged_copies(
        tmp_path, tmp_path / "db", log.name, [lambda log: log.extend(bytes(5_000)), lambda log: log.extend(b"\xa5" * 3)]
    )
    assert all(height in (30, None) for height in found)
    assert found[0] == 30


def test_a_flipped_bit_in_a_table_never_gives_a_wrong_value(tmp_path: Path) -> None:
    grown(tmp_path / "db", 60)
    opened(tmp_path / "db").close()
    table = max((tmp_path / "db").glob("*.ldb"), key=lambda path: path.stat().st_size)
    size = table.stat().st_size
    random = Random(2)
    offsets = [size * part // 60 for part in range(60)] + list(range(size - 48, size, 6))
    found = damaged_copies(tmp_path, tmp_path / "db", table.name, [flip(at, random.randrange(8)) for at in offsets])
    assert set(found) <= {None, 60}
    assert found.count(None) > 50


def test_a_row_changed_behind_leveldbs_back_is_found(tmp_path: Path) -> None:
    grown(tmp_path / "db", 5)
    db = plyvel.DB(str(tmp_path / "db"))
    key = schema.state_key(b"account 1")
    db.put(key, db.get(key).replace(b"at", b"At"))
    db.put(schema.state_key(b"account 2"), db.get(schema.state_key(b"account 3")))
    db.close()
    store = opened(tmp_path / "db")
    for name in (b"account 1", b"account 2"):
        with pytest.raises(Damaged):
            store.get(name)
    with pytest.raises(Damaged):
        list(store.scan_all())
    with pytest.raises(Damaged):
        store.scrub()
    store.close()


def spoil(path: Path, change: Callable[[plyvel.DB], None]) -> None:
    db = plyvel.DB(str(path))
    change(db)
    db.close()


def sealed(db: plyvel.DB, key: bytes, value: bytes) -> None:
    db.put(key, schema.seal(key, value))


def moved(db: plyvel.DB, source: bytes, target: bytes) -> None:
    sealed(db, target, schema.unseal(source, db.get(source)))


HOLES: list[tuple[str, Callable[[plyvel.DB], None]]] = [
    ("a block is missing", lambda db: db.delete(schema.block_key(4))),
    ("a hash is missing", lambda db: db.delete(schema.height_key(block_hash(4)))),
    ("a hash leads elsewhere", lambda db: sealed(db, schema.height_key(block_hash(4)), b"\x05")),
    ("another block", lambda db: moved(db, schema.block_key(3), schema.block_key(4))),
    ("roots are missing", lambda db: db.delete(schema.roots_key(4))),
    ("roots of another height", lambda db: moved(db, schema.roots_key(3), schema.roots_key(4))),
    (
        "the tip is behind",
        lambda db: sealed(db, schema.TIP_KEY, b"\x93\x07\xc4\x20" + block_hash(7) + b"\xc4\x20" + bytes(32)),
    ),
    (
        "the tip is another block",
        lambda db: sealed(db, schema.TIP_KEY, b"\x93\x08\xc4\x20" + bytes(32) + b"\xc4\x20" + bytes(32)),
    ),
]


@pytest.mark.parametrize(("name", "change"), HOLES, ids=[name for name, _ in HOLES])
def test_the_check_at_start_finds_a_broken_chain(
    tmp_path: Path, name: str, change: Callable[[plyvel.DB], None]
) -> None:
    grown(tmp_path / "db", 8)
    spoil(tmp_path / "db", change)
    store = opened(tmp_path / "db")
    with pytest.raises(Damaged):
        store.check(identify=identify, chain_root=chain_root)
    store.close()


def test_the_check_at_start_recomputes_hashes(tmp_path: Path) -> None:
    grown(tmp_path / "db", 8)
    other = (
        b"\x94\xc4\x20"
        + block_hash(4)
        + b"\xc4\x20"
        + block_hash(3)
        + b"\xcd\x0f\xa0\xc4\x29"
        + b"x" * 9
        + block_hash(3)
    )
    spoil(tmp_path / "db", lambda db: sealed(db, schema.block_key(4), other))
    store = opened(tmp_path / "db")
    assert store.check() == 8, "linked as it says, but"
    with pytest.raises(Damaged, match="another hash"):
        store.check(identify=identify)
    store.close()


def test_the_check_at_start_follows_the_parents(tmp_path: Path) -> None:
    grown(tmp_path / "db", 8)
    wrong = b"\x94\xc4\x20" + block_hash(4) + b"\xc4\x20" + bytes(32) + b"\xcd\x0f\xa0\xc4\x00"
    spoil(tmp_path / "db", lambda db: sealed(db, schema.block_key(4), wrong))
    store = opened(tmp_path / "db")
    with pytest.raises(Damaged, match="does not follow"):
        store.check()
    store.close()


@pytest.mark.parametrize(("depth", "checked"), [(0, 0), (1, 1), (2, 2), (7, 7), (8, 8), (9, 8)])
def test_the_check_at_start_is_as_deep_as_asked(tmp_path: Path, depth: int, checked: int) -> None:
    grown(tmp_path / "db", 8)
    store = opened(tmp_path / "db")
    assert store.check(depth) == checked
    store.close()


def test_a_scrub_goes_through_everything_in_steps(tmp_path: Path) -> None:
    grown(tmp_path / "db", 20)
    store = opened(tmp_path / "db")
    steps, after = 0, store.scrub(limit=10)
    while after is not None:
        steps, after = steps + 1, store.scrub(after, 10)
    assert steps > 15
    store.close()


# --- salvage ---


def sound(store: Store) -> None:
    require_whole(store)


def unsealed_tail(path: Path) -> None:
    """Zero the end of the log, as a late page of the kernel's may: no hole, but LevelDB refuses it."""
    log = newest_log(path)
    content = log.read_bytes()
    log.write_bytes(content[:-300] + bytes(300))


def test_a_store_with_a_damaged_tail_is_salvaged(tmp_path: Path) -> None:
    path = tmp_path / "db"
    grown(path, 40)
    unsealed_tail(path)
    with pytest.raises(Damaged):
        opened(path)
    height = Store.salvage(path, GENESIS, 35, sound)
    assert 35 <= height < 40
    store = opened(path)
    assert require_whole(store) == height
    store.commit(record(height + 1))
    store.close()
    assert (tmp_path / "db.damaged").is_dir()
    assert not (tmp_path / "db.salvage").exists()


def test_a_tail_below_what_was_promised_is_not_salvaged(tmp_path: Path) -> None:
    path = tmp_path / "db"
    grown(path, 40)
    unsealed_tail(path)
    with pytest.raises(Damaged, match="at least"):
        Store.salvage(path, GENESIS, 40, sound)
    with pytest.raises(Damaged):
        opened(path)


def test_a_hole_is_not_salvaged(tmp_path: Path) -> None:
    path = tmp_path / "db"
    grown(path, 100)
    log = newest_log(path)
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 4
    log.write_bytes(content)
    with pytest.raises(Damaged):
        Store.salvage(path, GENESIS, 1, lambda store: None)
    assert path.is_dir(), "what was there stays"
    assert log.read_bytes() == bytes(content)


def test_a_wrong_row_is_not_salvaged(tmp_path: Path) -> None:
    path = tmp_path / "db"
    grown(path, 5)
    spoil(path, lambda db: db.put(schema.state_key(b"account 1"), b"more than it has"))
    with pytest.raises(Damaged):
        Store.salvage(path, GENESIS, 1, lambda store: None)


def test_what_the_node_does_not_verify_is_not_salvaged(tmp_path: Path) -> None:
    path = tmp_path / "db"
    grown(path, 5)

    def verify(store: Store) -> None:
        raise Damaged("the state has another root")

    with pytest.raises(Damaged, match="another root"):
        Store.salvage(path, GENESIS, 1, verify)
    opened(path).close()


def test_a_store_that_was_set_aside_is_not_taken_for_a_new_network(tmp_path: Path) -> None:
    path = tmp_path / "db"
    grown(path, 5)
    assert Store.set_aside(path) == tmp_path / "db.damaged"
    with pytest.raises(Damaged):
        opened(path)
    assert Store.salvage(path, GENESIS, 5, sound) == 5, "a salvage that a crash interrupted is begun again"
    Store.set_aside(path)
    Store.create(path, GENESIS, GENESIS_STATE, roots=roots(0), roster=roster(0))
    store = opened(path)
    assert require_whole(store) == 0
    store.close()


# --- crashes of the process ---

COMMIT_LOOP = """
import sys
from pathlib import Path
from node.storage.store import Store
from tests.storage_chain import GENESIS, record
store = Store.open(Path(sys.argv[1]), GENESIS)
while True:
    height = store.tip.height + 1
    store.commit(record(height))
    print(height, flush=True)
"""

KILLS = 8


@pytest.mark.children
def test_kill_minus_nine_loses_no_block_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Store.create(path, GENESIS, GENESIS_STATE, roots=roots(0), roster=roster(0))
    random = Random(3)
    height = 0
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", COMMIT_LOOP, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(random.randrange(1, 25))]
            child.kill()
            lines += child.stdout.read().split()
        acknowledged = int(lines[-1])
        assert acknowledged > height
        store = opened(path)
        height = require_whole(store)
        store.close()
        assert height - acknowledged in (0, 1), "the block under way is there whole or not at all"


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from node.storage.errors import EXIT_STORAGE_FAILED, StorageFailed
from node.storage.store import Store
from tests.storage_chain import GENESIS, record
store = Store.open(Path(sys.argv[1]), GENESIS)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
try:
    while True:
        store.commit(record(store.tip.height + 1))
        print(store.tip.height, flush=True)
except StorageFailed:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
try:
    store.commit(record(store.tip.height + 1))
except StorageFailed:
    sys.exit(EXIT_STORAGE_FAILED)
"""


@pytest.mark.children
def test_after_a_failed_write_nothing_more_is_written(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Store.create(path, GENESIS, GENESIS_STATE, roots=roots(0), roster=roster(0))
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], stdout=subprocess.PIPE, timeout=60, check=False
    )
    assert child.returncode == 74
    acknowledged = [int(line) for line in child.stdout.split()]
    assert len(acknowledged) > 5
    store = opened(path)
    assert require_whole(store) == acknowledged[-1]
    store.close()
