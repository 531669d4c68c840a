"""Shadow replay: a stored chain executed anew by this software, from genesis, in a state of its own.

    stored blocks, batches -> this software -> roots, outcomes, committees, versions == those stored?

One rule: what is stored is compared and never believed. The gate before an upgrade is activated: software that gets
anything else from blocks that are final would stop as soon as it met one like them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from consensus.encoding import DecodeError
from consensus.messages import Block, Hash, Kind, decode_block, decode_certificate
from consensus.verify import certificate_valid
from node.batches import BatchDigest, author_signed, decode_batch, decode_payload, decode_transactions
from node.decree import SignedDecree
from node.epochs import Epochs
from node.executor import Diverged
from node.ledger.commitment import outcome_leaf
from node.ledger.errors import Refused
from node.ledger.execute import META_KEY, Executed, Ledger, genesis_changes, read_meta
from node.ledger.genesis import Genesis
from node.ledger.receipt import Receipt, decode_receipt
from node.ledger.transaction import Transaction, signatures_valid
from node.ledger.validators import encode_roster
from node.ledger.versions import VERSIONS
from node.members import Members
from node.storage.records import StoredBlock, Tip
from node.storage.scratch import Scratch
from node.storage.store import Store

LEAF_BYTES: Final = 32


@dataclass
class Difference(Exception):
    """The first place where this software and the stored chain part. ``transaction`` is an id, if it is at one."""

    height: int
    what: str
    stored: str
    ours: str
    transaction: str | None = None

    def __str__(self) -> str:
        where = f"height {self.height}" + (f", transaction {self.transaction}" if self.transaction else "")
        return f"{where}: {self.what}: stored {self.stored}, this software {self.ours}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far the chain was executed, and that all of it was the same."""

    height: int
    root: bytes
    transactions: int


def replay(
    store: Store,
    genesis: Genesis,
    state: Scratch,
    low: int,
    signatures: bool,
    heard: Callable[[int], None],
    decrees: Sequence[SignedDecree] = (),
) -> Replayed:
    """Execute the stored chain in ``state``, which has the rows of genesis; ``heard`` gets each height that is done.

    Roots are compared at every height, all else from ``low`` on; ``signatures`` checks those of transactions, batches
    and certificates too. Raises Difference.
    """
    shadow = _Shadow(store, genesis, state, decrees)
    transactions = 0
    for block in _blocks(store):
        transactions += shadow.execute(block, compare=block.header.height >= low, signatures=signatures)
        heard(block.header.height)
    return Replayed(shadow.ledger.height, shadow.ledger.root, transactions)


def _blocks(store: Store) -> Iterator[Block]:
    low, tip = 1, store.tip.height
    while low <= tip:
        found = store.blocks(low)
        if not found:
            raise Difference(low, "the block", "missing", "expected")
        for stored in found:
            if stored.height != low:
                raise Difference(low, "the block", "missing", "expected")
            yield decode_block(stored.block_bytes)
            low += 1


class _Shadow:
    """The ledger of this software, and the rosters and versions that it came by, in the form in which epochs ask."""

    def __init__(self, store: Store, genesis: Genesis, state: Scratch, decrees: Sequence[SignedDecree]) -> None:
        self._store = store
        self._genesis = genesis
        self._state = state
        self.ledger = Ledger(state, genesis)
        self._rosters = {0: encode_roster(self.ledger.roster)}
        self._versions = {0: self.ledger.parameters.protocol_version}
        self._epochs = Epochs(genesis, self, decrees)
        self._require(0, "the root", self._stored_root(0), read_meta(genesis_changes(genesis)[META_KEY], genesis).root)

    # --- what Epochs asks ---

    @property
    def tip(self) -> Tip:
        """The highest executed block."""
        return Tip(self.ledger.height, bytes(LEAF_BYTES), self.ledger.root, b"")

    def block(self, height: int) -> StoredBlock | None:
        """Return the block at a height."""
        return self._store.block(height)

    def certificate(self, height: int) -> bytes | None:
        """Return a block's own finalization."""
        return self._store.certificate(height)

    def roster_at(self, height: int) -> bytes:
        """Return the roster after a height, as executed here."""
        return self._rosters[max(each for each in self._rosters if each <= height)]

    def base(self) -> int:
        """Return the height at which the chain begins."""
        return self._store.base()

    def blocks_down_from(self, height: int) -> Iterator[StoredBlock]:
        """Yield the blocks that are here at a height and below, descending."""
        return self._store.blocks_down_from(height)

    def versions(self, low: int = 0) -> Iterator[tuple[int, int]]:
        """Yield (height, protocol version) of the heights from ``low`` on that changed it, ascending."""
        return ((height, version) for height, version in sorted(self._versions.items()) if height >= low)

    def roster_heights(self, low: int) -> Iterator[int]:
        """Yield the heights from ``low`` on that changed the roster, ascending."""
        return iter(sorted(height for height in self._rosters if height >= low))

    def version_at(self, height: int) -> int:
        """Return the protocol version demanded after a height, as executed here."""
        return self._versions[max(each for each in self._versions if each <= height)]

    # --- one block ---

    def execute(self, block: Block, compare: bool, signatures: bool) -> int:
        """Execute the next block and compare; return how many transactions it has. Raises Difference."""
        header = block.header
        members = self._members(header.height, header.epoch)
        if compare:
            self._compare_header(block, members)
        if header.version not in VERSIONS:
            known = f"{min(VERSIONS)} to {max(VERSIONS)}"
            raise Difference(header.height, "the protocol version", str(header.version), f"knows {known}")
        transactions = self._transactions(block, signatures)
        if signatures:
            self._check_certificate(block, members)
        decreed = self._epochs.decreed_roster(header.height)
        executed = self.ledger.execute(header.height, header.timestamp_ms, header.version, transactions, decreed)
        self._state.write(executed.changes)
        if executed.roster is not None:
            self._rosters[header.height] = executed.roster
        if executed.next_version is not None:
            self._versions[header.height] = executed.next_version
        if compare:
            self._compare_outcomes(executed, transactions)
        self._compare_roots(executed)
        return len(transactions)

    def _members(self, height: int, epoch: int) -> Members:
        if epoch != self._epochs.after_height(height - 1):
            raise Difference(height, "the epoch", str(epoch), str(self._epochs.after_height(height - 1)))
        try:
            members = self._epochs.members(epoch)
        except Diverged as diverged:
            raise Difference(height, "the committee", "another", str(diverged)) from None
        assert members is not None, "the blocks below are executed"
        return members

    def _compare_header(self, block: Block, members: Members) -> None:
        header = block.header
        before = self._store.block(header.height - 1)
        self._require(header.height, "the parent", header.parent_hash, b"" if before is None else before.block_hash)
        self._require(header.height, "the committee", header.validators_hash, members.committee.hash)
        self._require(header.height, "the protocol version", header.version, members.version)
        named = self._epochs.next_validators_hash(header.height, header.executed_height)
        self._require(header.height, "the next committee", header.next_validators_hash, named)
        executed = header.executed_height
        roots = self._store.roots(executed)
        self._require(header.height, f"the root of height {executed}", header.state_root, roots and roots.root)

    def _transactions(self, block: Block, signatures: bool) -> list[Transaction]:
        found: list[Transaction] = []
        for name in decode_payload(block.payload):
            found += self._batch(block.header.height, name, signatures)
        return found

    def _batch(self, height: int, name: BatchDigest, signatures: bool) -> tuple[Transaction, ...]:
        stored = self._store.batch(name)
        if stored is None:
            raise Difference(height, "a batch", "missing", name.hex())
        try:
            batch = decode_batch(self._genesis.hash, stored)
            transactions = decode_transactions(self._genesis.hash, batch)
        except (DecodeError, Refused) as error:
            raise Difference(height, f"the batch {name.hex()}", "well formed", str(error)) from None
        self._require(height, "the name of a batch", name, batch.digest)
        if signatures and not author_signed(batch):
            raise Difference(height, f"the signature of batch {name.hex()}", "there", "not valid")
        for transaction in transactions if signatures else ():
            if not signatures_valid(transaction):
                raise Difference(height, "a signature", "there", "not valid", transaction.id.hex())
        return transactions

    def _check_certificate(self, block: Block, members: Members) -> None:
        """Check the block's own certificate; one without is finalized by a block above, through the parents' hashes."""
        height = block.header.height
        stored = self._store.certificate(height)
        if stored is None:
            return
        certificate = decode_certificate(stored)
        named = certificate.kind is Kind.FINALIZE and certificate.hash == block.hash
        if not named or not certificate_valid(certificate, members.committee, Hash(self._genesis.hash)):
            raise Difference(height, "the certificate", "there", "not valid")

    def _compare_outcomes(self, executed: Executed, transactions: list[Transaction]) -> None:
        leaves = self._store.outcome_leaves(executed.height) or b""
        stored = [leaves[at : at + LEAF_BYTES] for at in range(0, len(leaves), LEAF_BYTES)]
        ours = [outcome_leaf(receipt.transaction_id, receipt.encoded) for receipt in executed.receipts]
        for place, (theirs, mine) in enumerate(zip_longest(stored, ours, fillvalue=b"")):
            if theirs != mine:
                name = transactions[place].id if place < len(transactions) else None
                told = self._told(name), _told(executed.receipts[place]) if place < len(ours) else "nothing"
                raise Difference(executed.height, "the receipt", *told, name.hex() if name else None)

    def _told(self, name: bytes | None) -> str:
        found = None if name is None else self._store.transaction(name)
        return "another" if name is None or found is None else _told(decode_receipt(name, found.receipt))

    def _compare_roots(self, executed: Executed) -> None:
        roots = self._store.roots(executed.height)
        if roots is None:
            raise Difference(executed.height, "the roots", "missing", executed.root.hex())
        self._require(executed.height, "the root of the outcomes", roots.outcomes_root, executed.outcomes_root)
        self._require(executed.height, "the root of the state tree", roots.state_tree_root, executed.state_tree_root)
        self._require(executed.height, "the root", roots.root, executed.root)

    def _stored_root(self, height: int) -> bytes | None:
        roots = self._store.roots(height)
        return None if roots is None else roots.root

    def _require(self, height: int, what: str, stored: object, ours: object) -> None:
        if stored != ours:
            raise Difference(height, what, _shown(stored), _shown(ours))


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _told(receipt: Receipt) -> str:
    return str(receipt[1:])
