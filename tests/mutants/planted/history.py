"""Mutants of what a node keeps and gives to others: snapshots, pruning, the archive, ranges of the chain."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

SNAPSHOT: Final = "node/ledger/snapshot.py"
PROOF: Final = "node/snapshot_proof.py"
FETCH: Final = "node/snapshot_fetch.py"
PRUNING: Final = "node/pruning.py"
SYNC: Final = "node/sync.py"
ARCHIVE: Final = "node/archive.py"
VERIFY: Final = "node/archive_verify.py"

IN_SNAPSHOTS: Final = suite("node_snapshots")
IN_PRUNING: Final = suite("node_pruning")
IN_SYNC: Final = suite("node_sync")
IN_ARCHIVE: Final = suite("archive")
IN_EXECUTOR: Final = suite("node_executor")

MUTANTS: Final[tuple[Mutant, ...]] = (
    one(
        *("a minute of ids is not held against its chain", "snapshots: ids are those of the state", SNAPSHOT),
        *("if self._minute is not None and self._chains.pop(self._minute) != self._have:", "if False:"),
        IN_SNAPSHOTS,
    ),
    one(
        *("a minute may be missing", "snapshots: ids are those of the state", SNAPSHOT),
        *("        if self._chains:\n            raise", "        if False:\n            raise"),
        IN_SNAPSHOTS,
    ),
    one(
        *("rows of a snapshot are not held against their nodes", "snapshots: rows are those of the state", FETCH),
        *("if node_hashes(contents.nodes[run], rows, contents.depth) != list(contents.hashes[run]):", "if False:"),
        IN_SNAPSHOTS,
        equivalent="the ledger of the finished store builds the tree anew and compares its root: found later, not less",
    ),
    one(
        *("any contents go with a proof", "snapshots: contents are those of the height", PROOF),
        *("if meta.state_tree_root != contents.state_tree_root:", "if False:"),
        IN_SNAPSHOTS,
    ),
    one(
        *("nobody has to finalize a snapshot", "snapshots: a quorum stands behind it", PROOF),
        *("    trust.require_final(headers[-1], decode_certificate(as_bytes(certificate)))\n", ""),
        IN_SNAPSHOTS,
    ),
    one(
        *("a block of a snapshot may be missing", "snapshots: final batches are known", FETCH),
        *("if parent is None and blocks[0].header.height !=", "if False and blocks[0].header.height !="),
        IN_SNAPSHOTS,
    ),
    one(
        *("ids of a snapshot are taken for new", "snapshots: nothing is unknown that was executed", FETCH),
        *("                founding.add_executed_before(each)\n", ""),
        IN_SNAPSHOTS,
    ),
    one(
        *("a proof is made that nobody takes", "snapshots: what is shown is taken", PROOF),
        *("    if certified - height >= HEADERS_MAX:\n", "    if False:\n"),
        suite("node_snapshots", only="longer_than_others_take"),
    ),
    one(
        *("a piece may be a byte long", "snapshots: who takes its time is left", FETCH),
        *("if len(part) != min(PIECE_BYTES, size - have):", "if not part:"),
        suite("node_snapshots", only="as_long_as"),
    ),
    one(
        *("who could not prove a snapshot is asked first again", "snapshots: who fails comes last", FETCH),
        *("        except RequestFailed:\n            self._failures[peer] += 1\n", "        except RequestFailed:\n"),
        suite("node_snapshots", only="as_long_as"),
    ),
    one(
        *("a proof may take for ever", "snapshots: who takes its time is left", FETCH),
        *("asyncio.timeout(FILE_SECONDS)", "asyncio.timeout(None)"),
        suite("node_snapshots", only="deadline"),
    ),
    one(
        *("blocks are held back however long", "snapshots: who takes its time is left", FETCH),
        *(" and self._now() < self._hold_until\n", "\n"),
        suite("node_snapshots", only="held_back"),
    ),
    one(
        *("blocks are not held back for what comes", "snapshots: blocks wait for what comes", FETCH),
        *("            self._hold_until += file.size / HOLD_BYTES_PER_SECOND\n", ""),
        suite("node_snapshots", only="held_back"),
    ),
    one(
        *("false contents are chosen again", "snapshots: what is false is passed over", FETCH),
        *("            self._false.add(name)\n", ""),
        suite("node_snapshots", only="fetched_once"),
    ),
    one(
        *("who gave false contents is not blamed", "snapshots: what is false is passed over", FETCH),
        *('self._links.blame(peer, 100, "files of', 'str("files of'),
        suite("node_snapshots", only="false_contents"),
    ),
    one(
        *("pruning forgets the window", "pruning: the window stays", PRUNING),
        *("self._keep_ms = max(keep_days * DAY_MS, window_ms)", "self._keep_ms = keep_days * DAY_MS"),
        IN_PRUNING,
    ),
    one(
        *("pruning forgets the last blocks", "pruning: the last blocks stay", PRUNING),
        *("self._keep_blocks = max(keep_blocks, blocks_min)", "self._keep_blocks = keep_blocks"),
        IN_PRUNING,
    ),
    one(
        *("pruned blocks are served as if they were there", "sync: who has nothing says so", SYNC),
        *("last = self._last_of_range(low) if low > base else None", "last = self._last_of_range(low)"),
        IN_SYNC,
    ),
    one(
        *("who has pruned is doubted", "sync: who has nothing says so", SYNC),
        *("elif self._bases.get(peer, 0) < start and peer not", "elif peer not"),
        IN_SYNC,
    ),
    one(
        *("who says that it has pruned is believed", "sync: a claim is a hint", SYNC),
        *("or any(self._bases.get(peer, 0) < low for peer in far)", "or any(far)"),
        suite("node_sync", only="most_say_so"),
    ),
    one(
        *("one who says that it has pruned is enough", "sync: a claim is a hint", SYNC),
        *("if self._bases.get(peer, 0) >= low) > len(linked)", "if self._bases.get(peer, 0) >= low) > 0"),
        suite("node_sync", only="most_say_so"),
    ),
    one(
        *("an archive needs no quorum", "archive: what is not final is found", VERIFY),
        *('require(weight >= self.quorum, "less than a quorum")', "pass"),
        IN_ARCHIVE,
    ),
    one(
        *("an archive of unsigned transactions is valid", "archive: every signature is verified", VERIFY),
        *("require(signed(public, tx_id, sealed),", "require(True,"),
        IN_ARCHIVE,
    ),
    one(
        *("a receipt may be left out of an archive", "archive: each receipt is there", VERIFY),
        *("require(never_executed(tx_id, leaf),", "require(True,"),
        IN_ARCHIVE,
    ),
    one(
        *("receipts are counted, not transactions", "store: a transaction's place in its block", "node/executor.py"),
        *("Placed(receipt.transaction_id, index, name,", "Placed(receipt.transaction_id, 0, name,"),
        IN_EXECUTOR,
    ),
    one(
        *("an import believes the signatures", "archive: who imports believes nothing", ARCHIVE),
        *("if not author_signed(batch) or not all(map(signatures_valid, transactions)):", "if False:"),
        IN_ARCHIVE,
    ),
    one(
        *("who has only said hello is asked for pruned blocks", "sync: a complaint is of who is linked", SYNC),
        *("if linked and not able and self._left_behind(low):", "if ahead and not able:"),
        suite("node_sync", only="nobody_has"),
    ),
    one(
        *("a snapshot given up is not counted", "operations: what is made in vain is seen", "node/snapshot_maker.py"),
        *("self.unproven += 1", "pass"),
        suite("node_snapshots", only="certifies"),
    ),
    one(
        *("what is not pruned is not counted", "operations: a chain that is not pruned is seen", PRUNING),
        *("self.due = base - self._store.base()", "self.due = 0"),
        suite("node_pruning"),
    ),
)
