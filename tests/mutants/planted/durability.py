"""Mutants of what must survive a power cut: journal, guard, store, and the order in which the driver uses them."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

JOURNAL: Final = "node/storage/journal.py"
GUARD: Final = "node/storage/guard.py"
STORE: Final = "node/storage/store.py"
SCHEMA: Final = "node/storage/schema.py"
FILES: Final = "node/storage/files.py"
DRIVER: Final = "node/driver.py"
EXECUTOR: Final = "node/executor.py"

_SIGN: Final = "tuple(secret.sign(statement) for _, _, _, statement in requests)"
_REMEMBER: Final = "self._append(records)\n            self._said.update(said)\n"
_WRITE: Final = "self._write(self._rows_of(record))"
_MOVE_TIP: Final = "self._tip = Tip(record.height, record.block_hash, record.roots.root, record.certificate)"
_WRITE_BATCH: Final = "with self._db.write_batch(transaction=True, sync=True) as batch:"
_COMMIT: Final = "loop = asyncio.get_running_loop()\n        began = loop.time()\n        await asyncio.to_thread"

IN_JOURNAL: Final = suite("storage_journal")
IN_GUARD: Final = suite("storage_guard")
IN_STORE: Final = suite("storage_store")
IN_DRIVER: Final = suite("node_driver")

OF_THE_JOURNAL: Final = (
    one(
        *("a sync does not sync", "journal: synced is replayed", JOURNAL),
        *("self._disk.sync(self._descriptor)\n                self._end += len(data)", "self._end += len(data)"),
        IN_JOURNAL,
    ),
    one(
        *("a new segment has its name before its bytes", "journal: a segment is whole", FILES),
        *("disk.sync(descriptor)\n        disk.rename(fresh, path)", "disk.rename(fresh, path)"),
        IN_JOURNAL,
    ),
    one(
        *("the name of a new segment is not durable", "journal: a segment is whole", FILES),
        *("disk.rename(fresh, path)\n        disk.sync_directory(path.parent)", "disk.rename(fresh, path)"),
        IN_JOURNAL,
    ),
    one(
        *("checksum of a record not compared", "journal: damage is found", JOURNAL),
        *("if data[end : end + SUM_BYTES] != _checksum(record_type, payload, salt, offset):", "if False:"),
        IN_JOURNAL,
    ),
    one(
        *("a record may stand at another place", "journal: damage is found", JOURNAL),
        *("blake2b(_OFFSET.pack(offset) + _RECORD.pack", "blake2b(_RECORD.pack"),
        IN_JOURNAL,
    ),
    one(
        *("damage passes as a torn tail", "journal: damage is found", JOURNAL),
        *("if _record_at(data, offset, salt) == (MARK, _OFFSET.pack(offset)):", "if False:"),
        IN_JOURNAL,
    ),
    one(
        *("no mark after a sync", "journal: damage is found", JOURNAL),
        *("self._end += len(data)\n                self._write_mark()", "self._end += len(data)"),
        IN_JOURNAL,
    ),
    one(
        *("a failed sync is tried again", "journal: a failed write is the last", JOURNAL),
        *("self._failed = True\n        yield", "yield"),
        IN_JOURNAL,
    ),
    one(
        *("a torn tail is appended to", "journal: opening rotates", JOURNAL),
        *("self.rotate(records)\n        for stale", "for stale"),
        IN_JOURNAL,
    ),
    one(
        *("what waits for a sync is unbounded", "journal: bounds", JOURNAL),
        *("if waiting > PENDING_BYTES_MAX:", "if False:"),
        IN_JOURNAL,
    ),
)

OF_THE_GUARD: Final = (
    one(
        *("guard not synced", "guard: durable before it is signed", GUARD),
        *("self._disk.sync(self._descriptor)\n        self._sequence", "pass\n        self._sequence"),
        IN_GUARD,
    ),
    one(
        *("guard signs first", "guard: durable before it is signed", GUARD),
        f"{_REMEMBER}            return {_SIGN}",
        f"signed = {_SIGN}\n            {_REMEMBER}            return signed",
        IN_GUARD,
    ),
    one(
        *("guard forgets at a restart", "guard: it remembers", GUARD),
        *("self._replay(record)\n            count", "count"),
        IN_GUARD,
    ),
    one(
        *("guard signs two blocks of a view", "guard: R6", GUARD),
        *(
            "if before is not None:\n        raise",
            "if before is not None and kind is not Kind.NOTARIZE:\n        raise",
        ),
        IN_GUARD,
    ),
    one(
        *("guard signs finalize after nullify", "guard: R7", GUARD),
        *(
            'if said.nullify is not None:\n        raise GuardRefused("FINALIZE',
            'if False:\n        raise GuardRefused("FINALIZE',
        ),
        IN_GUARD,
    ),
    one(
        *("guard signs nullify after finalize", "guard: R7", GUARD),
        *("if said.finalize is not None:", "if False:"),
        IN_GUARD,
    ),
    one(
        *("guard refuses the watermark itself", "guard: the watermark", GUARD),
        *("if at < self._watermark:", "if at <= self._watermark:"),
        IN_GUARD,
    ),
    one(
        *("guard signs below the watermark", "guard: the watermark", GUARD),
        *("if at < self._watermark:", "if False:"),
        IN_GUARD,
    ),
    one(
        *("watermark may fall", "guard: the watermark", GUARD),
        *("if (epoch, view) <= self._watermark:", "if False:"),
        IN_GUARD,
    ),
    one(
        *("checksum of the guard's records not compared", "guard: damage is found", GUARD),
        *("or self._checksum(slot[:-SUM_BYTES]) != slot[-SUM_BYTES:]", ""),
        IN_GUARD,
    ),
    one(
        *("records of an older guard count", "guard: one file", GUARD),
        *(
            "key = self._genesis_hash + self.public[:24] + self._generation",
            "key = self._genesis_hash + self.public[:24] + (0)",
        ),
        IN_GUARD,
    ),
    one(
        *("a guard that lost records opens", "guard: damage is found", GUARD),
        *("if count < copied:", "if False:"),
        IN_GUARD,
    ),
    one(
        *("a missing guard is made anew", "guard: nothing is signed without it", GUARD),
        'raise GuardError(f"{path}: the guard is missing; nothing is signed without it")',
        "cls.create(path, public, genesis_hash, disk)",
        IN_GUARD,
    ),
    one(
        *("a guard of another key opens", "guard: one key", GUARD),
        *("if public != self.public:", "if False:"),
        IN_GUARD,
        equivalent="the header's sum is keyed with the public key, so the guard is refused all the same, as damaged",
    ),
    one(
        *("a guard that failed to write signs on", "guard: a failed write is the last", GUARD),
        *("self._usable = False\n        yield", "yield"),
        IN_GUARD,
    ),
)

OF_THE_STORE: Final = (
    one(
        *("a commit is not synced", "store: one synced write", STORE),
        *(
            _WRITE_BATCH,
            "with self._db.write_batch(transaction=True) as batch:",
        ),
        IN_STORE,
    ),
    one(
        *("the name of a new log is not durable", "store: one synced write", STORE),
        *("self._disk.sync_directory(self._path)\n        self._failed", "self._failed"),
        IN_STORE,
    ),
    one(
        *("acknowledged before it is written", "store: the tip is on disk", STORE),
        f"{_WRITE}\n            {_MOVE_TIP}",
        f"{_MOVE_TIP}\n            {_WRITE}",
        IN_STORE,
    ),
    one(
        *("tip written first", "store: one write a block", STORE),
        _WRITE,
        "rows = sorted(self._rows_of(record), key=lambda row: row[0] != schema.TIP_KEY)\n"
        "            self._write(rows[:1])\n            self._write(rows[1:])",
        IN_STORE,
    ),
    one(
        *("a commit in two writes", "store: one write a block", STORE),
        _WRITE,
        "rows = self._rows_of(record)\n"
        "            self._write(rows[len(rows) // 2 :])\n            self._write(rows[: len(rows) // 2])",
        IN_STORE,
    ),
    one(
        *("half a batch is written", "store: one write a block", STORE),
        *(
            _WRITE_BATCH,
            "with self._db.write_batch(sync=True) as batch:",
        ),
        IN_STORE,
    ),
    one(
        *("checksum of a row not compared", "store: damage is found", SCHEMA),
        *("if blake2b(key + value, digest_size=SEAL_BYTES).digest() != stored[-SEAL_BYTES:]:", "if False:"),
        IN_STORE,
    ),
    one(
        *("a row may stand under another key", "store: damage is found", SCHEMA),
        "return value + blake2b(key + value, digest_size=SEAL_BYTES).digest()",
        "return value + blake2b(value, digest_size=SEAL_BYTES).digest()",
        IN_STORE,
    ),
    one(
        *("any height may be committed", "store: only the next block", STORE),
        *("if record.height != self._tip.height + 1:", "if False:"),
        IN_STORE,
    ),
    one(
        *("a block on another parent may be committed", "store: only the next block", STORE),
        *("if record.parent_hash != self._tip.block_hash:", "if False:"),
        IN_STORE,
    ),
    one(
        *("the check at start does not link blocks", "store: damage is found", STORE),
        *("if block.parent_hash != parent.block_hash:", "if False:"),
        IN_STORE,
    ),
    one(
        *("a later receipt replaces the first", "store: the first receipt stays", STORE),
        *("if not placed.fresh and (key in seen or self.row(key) is not None):", "if False:"),
        IN_STORE,
    ),
    one(
        *("a salvaged store may be below what was promised", "store: salvage loses nothing", STORE),
        *("if height < floor:", "if False:"),
        IN_STORE,
    ),
    one(
        *("another network's store opens", "store: one network", STORE),
        *("if network != genesis_hash:", "if False:"),
        IN_STORE,
    ),
    one(
        *("stored evidence is unbounded", "store: bounds", STORE),
        *("if self._evidence_count >= EVIDENCE_MAX:", "if False:"),
        IN_STORE,
    ),
)

OF_THE_DRIVER: Final = (
    one(
        *("a vote is signed before the journal is synced", "R8", DRIVER),
        "self._sync_journal()\n                    assert self._me is not None\n",
        "assert self._me is not None\n",
        IN_DRIVER,
    ),
    one(
        *("a broadcast does not wait for the journal", "R8", DRIVER),
        *(
            "self._sync_journal()\n                    self._links.broadcast_consensus",
            "self._links.broadcast_consensus",
        ),
        IN_DRIVER,
    ),
    one(
        *("batches are not in the journal", "R8", DRIVER),
        *("self._journal.append(BATCH_RECORD, batch.encoded)", "pass"),
        IN_DRIVER,
    ),
    one(
        *("rotation drops what is final and not stored", "R44", DRIVER),
        "facts |= dict.fromkeys(encode_record(fact) for fact in final.facts)",
        *("pass", IN_DRIVER),
    ),
    one(
        *("rotation drops batches that wait", "R44", DRIVER),
        "records = [(BATCH_RECORD, held.batch.encoded) for held in self._pool.held()]",
        "records: list[tuple[int, bytes]] = []",
        IN_DRIVER,
    ),
    one(
        *("rotation drops promises of the next epoch", "R44", DRIVER),
        *("facts |= dict.fromkeys(self._later)", "pass"),
        IN_DRIVER,
    ),
    one(
        *("the inbox is unbounded", "bounds", "node/inbox.py"),
        *("if isinstance(event, FromPeer) and len(self._events) >= INBOX_MAX:", "if False:"),
        IN_DRIVER,
    ),
    one(
        *("others hear of a block before it is stored", "executor: stored, then spoken of", EXECUTOR),
        _COMMIT,
        f"self._on_stored(Stored(block, executed, tuple(held)))\n        {_COMMIT}",
        suite("node_executor"),
    ),
    one(
        *("a final root that differs from ours is ignored", "X2", EXECUTOR),
        *("if ours is not None and ours != header.state_root:", "if False:"),
        suite("node_executor"),
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*OF_THE_JOURNAL, *OF_THE_GUARD, *OF_THE_STORE, *OF_THE_DRIVER)
