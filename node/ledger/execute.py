"""The state machine: blocks of transactions in, receipts, changes and roots out.

One rule: what a block does depends on the state, its height, its time, its version, its transactions and, where a
decree begins a term, its validators, and on nothing else. Bad input becomes a receipt and never an exception; an
exception from here means that we are wrong, and stops the node.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from consensus.encoding import as_bytes, as_int, as_tuple, decode, encode
from node.ledger.account import Account, encode_account
from node.ledger.admission import require_plausible, require_role
from node.ledger.assets import Asset, encode_asset
from node.ledger.checkpoints import Checkpoints
from node.ledger.commitment import EMPTY, Proof, chain_root, outcome_leaf, outcomes_root
from node.ledger.errors import Code, InvariantViolation, Refused
from node.ledger.genesis import Genesis
from node.ledger.holds import EndedHolds
from node.ledger.invariants import audit, checking_block
from node.ledger.operations import apply_operation
from node.ledger.parameters import Parameters, encode_parameters
from node.ledger.receipt import Receipt
from node.ledger.recent import Changes, OnceRefs, SeenIds
from node.ledger.state import (
    ACCOUNTS_IN_MEMORY,
    ROSTER,
    TREE_HIGH,
    TREE_LOW,
    EntryRow,
    State,
    StateReader,
    account_key,
    asset_key,
    parameter_key,
)
from node.ledger.step import Step
from node.ledger.transaction import Transaction
from node.ledger.tree import Tree
from node.ledger.validators import Roster, encode_roster, roster_of
from node.ledger.versions import Rules, rules_of

META_KEY: Final = b"M"  # -> (genesis hash, height, time, root, root before, state tree root, outcomes root)
SLICE: Final = 64  # accounts between two yields, about 0.1 ms

Find = Callable[[int], Account | None]


@dataclass(frozen=True, slots=True)
class Executed:
    """What a block did. ``changes`` (None removes) and ``entries`` go to disk in one write before the next block."""

    height: int
    timestamp_ms: int
    receipts: tuple[Receipt, ...]  # one for each transaction, in order
    changes: Changes
    entries: list[EntryRow]  # account, entry number, encoded entry
    outcomes: tuple[bytes, ...]  # leaf hashes, in the order of the receipts
    outcomes_root: bytes
    state_tree_root: bytes
    root_before: bytes
    root: bytes
    roster: bytes | None  # the new roster, encoded, if the block changed it
    next_version: int | None  # the protocol version demanded of the next epoch, if the block changed it


@dataclass(frozen=True, slots=True)
class Meta:
    """What the ledger restarts from; 32 bytes each root. ``version`` is that of the block."""

    genesis_hash: bytes
    height: int
    timestamp_ms: int
    root: bytes
    root_before: bytes
    state_tree_root: bytes
    outcomes_root: bytes
    version: int


def genesis_changes(genesis: Genesis) -> dict[bytes, bytes]:
    """Return the rows of the state at height 0, to be written once before the first Ledger is made."""
    rows = {parameter_key(name): row for name, row in encode_parameters(genesis.parameters).items()}
    rows[parameter_key(ROSTER)] = encode_roster(roster_of(genesis))
    rows |= {asset_key(number): encode_asset(asset) for number, asset in genesis.assets}
    rows |= {account_key(row.number): encode_account(row.account()) for row in genesis.accounts}
    return with_meta(genesis, rows)


def with_meta(genesis: Genesis, rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return rows of the state tree with what a Ledger starts from at height 0."""
    tree_root = Tree(genesis.tree_depth, rows.items()).root
    outcomes = outcomes_root(())
    root = chain_root(EMPTY, 0, tree_root, outcomes)
    version = genesis.parameters.protocol_version
    meta = Meta(genesis.hash, 0, genesis.time_ms, root, EMPTY, tree_root, outcomes, version)
    return {**rows, META_KEY: encode_meta(meta)}


class Ledger:
    """The state after the last finished block, and the block that is open, if one is.

    The reader must show the changes of each finished block before the next one begins. ``begin``, ``apply`` for each
    transaction, ``finishing`` and ``finish`` may be called in slices of time; all reads in between, but ``admit`` and
    ``simulate``, see the last finished block.
    """

    def __init__(self, reader: StateReader, genesis: Genesis, accounts_in_memory: int = ACCOUNTS_IN_MEMORY) -> None:
        """Read the state of ``genesis_changes`` or later; the whole state tree is built: 3 us an account.

        As many accounts as stay in memory are brought there: 3 us each.

        Raises InvariantViolation if the state is of another genesis or does not have its own root.
        """
        self._genesis = genesis
        self._reader = reader
        self._meta = read_meta(reader.get(META_KEY), genesis)
        self._state = State(reader, accounts_in_memory)
        self._seen = SeenIds(reader)
        self._once = OnceRefs(reader)
        self._ended = EndedHolds(reader)
        self._checkpoints = Checkpoints(reader, self._meta.height, self._meta.root)
        self._tree = Tree(genesis.tree_depth, reader.scan(TREE_LOW, TREE_HIGH))
        if self._tree.root != self._meta.state_tree_root:
            raise InvariantViolation("the stored state does not have the root of its height")
        self._state.warm()
        self._open: _Block | None = None

    # --- the last finished block ---

    @property
    def genesis(self) -> Genesis:
        return self._genesis

    @property
    def height(self) -> int:
        """The height of the last finished block, 0 for genesis."""
        return self._meta.height

    @property
    def timestamp_ms(self) -> int:
        return self._meta.timestamp_ms

    @property
    def root(self) -> bytes:
        """What a later header carries for this height."""
        return self._meta.root

    @property
    def root_before(self) -> bytes:
        """The root of the height before; for height 0, 32 zero bytes."""
        return self._meta.root_before

    @property
    def state_tree_root(self) -> bytes:
        return self._meta.state_tree_root

    @property
    def outcomes_root(self) -> bytes:
        return self._meta.outcomes_root

    @property
    def parameters(self) -> Parameters:
        return self._state.parameters

    @property
    def version(self) -> int:
        """The protocol version of the last finished block; ``parameters`` has what is demanded of the next epoch."""
        return self._meta.version

    @property
    def roster(self) -> Roster:
        """The validators, those who count and those who wait (validators.members has the committee)."""
        return self._state.finished_roster

    @property
    def checkpoint(self) -> tuple[int, bytes] | None:
        """The newest (height, root) for a statement of readiness; None below height 16."""
        return self._checkpoints.newest

    def account(self, number: int) -> Account | None:
        """Return a copy of the account."""
        return self._state.account_before(number)

    def asset(self, number: int) -> Asset | None:
        """Return the asset."""
        return self._state.finished_assets.get(number)

    def assets(self) -> dict[int, Asset]:
        """Return all assets by id, ascending."""
        return dict(sorted(self._state.finished_assets.items()))

    def supply(self, asset: int) -> int:
        """Return what is in circulation, in minor units; 0 for an unknown asset."""
        record = self._state.finished_assets.get(asset)
        issuer = None if record is None else self.account(record.issuer)
        return 0 if issuer is None else -issuer.balance(asset)

    def value(self, key: bytes) -> bytes | None:
        """Return the record of an account (``state.account_key``), an asset or a parameter, as the tree has it."""
        if key[:1] == b"a" and len(key) == 9:
            account = self.account(int.from_bytes(key[1:], "big"))
            return None if account is None else encode_account(account)
        return self._state.records.before(key)

    def prove(self, key: bytes) -> Proof:
        """Return the proof that ``key`` has its value, or none, under ``state_tree_root``."""
        return self._tree.prove(key)

    # --- executing ---

    def execute(
        self,
        height: int,
        timestamp_ms: int,
        version: int,
        transactions: Sequence[Transaction],
        decreed: Roster | None = None,
    ) -> Executed:
        """Execute a whole block."""
        self.begin(height, timestamp_ms, version, decreed)
        for transaction in transactions:
            self.apply(transaction)
        return self.finish()

    def begin(self, height: int, timestamp_ms: int, version: int, decreed: Roster | None = None) -> None:
        """Open the next block, which stands under a protocol version. Neither time nor version ever fall.

        ``decreed`` are the validators of a decree whose term the block begins: they take the roster's place. R65
        """
        assert self._open is None, "a block is open"
        assert height == self.height + 1, f"block {height} after {self.height}"
        assert timestamp_ms >= self.timestamp_ms, "block time fell"
        assert version >= self.version, "the protocol version fell"
        self._state.begin_block()
        if decreed is not None:
            self._state.roster = decreed
        self._seen.begin()
        self._once.begin()
        self._open = _Block(height, timestamp_ms, rules_of(version))

    def apply(self, transaction: Transaction) -> Receipt:
        """Apply the next transaction of the open block, whose signatures are valid. All or nothing of it happens."""
        block = self._open
        assert block is not None, "no block is open"
        assert not block.closing, "the block is being finished"
        receipt = self._apply(block.rules, block.height, block.timestamp_ms, transaction)
        if receipt.consumed:
            self._seen.remember(transaction.id, transaction.expires_ms)
        block.receipts.append(receipt)
        block.outcomes.append(outcome_leaf(transaction.id, receipt.encoded))
        return receipt

    def finishing(self) -> Iterator[None]:
        """Do the work of ``finish`` in slices of well under a millisecond; after it ``finish`` only returns.

        Nothing may be applied any more. Readers still see the block before. Raises InvariantViolation.
        """
        block = self._open
        assert block is not None, "no block is open"
        assert not block.closing, "the block is being finished"
        block.closing = True
        yield from self._ended.releasing(self._state, block.timestamp_ms)
        block.changes = changes = self._state.seal()
        touched = self._state.touched()
        yield from checking_block(self._genesis, self._state, touched, block.height, block.timestamp_ms)
        for done, (_, account) in enumerate(touched, 1):
            changes[account_key(account.number)] = encode_account(account)
            if done % SLICE == 0:
                yield
        self._checkpoints.finish(block.height, changes)
        yield from self._seen.finishing(block.timestamp_ms, changes)
        yield from self._once.finishing(block.timestamp_ms, changes)
        yield from self._tree.updating((key, row) for key, row in changes.items() if TREE_LOW <= key < TREE_HIGH)
        block.closed = True

    def finish(self) -> Executed:
        """Close the open block: check the invariants, update the tree, return what it did."""
        block = self._open
        assert block is not None, "no block is open"
        if not block.closed:
            for _ in self.finishing():
                pass
        meta = self._next_meta(block)
        block.changes[META_KEY] = encode_meta(meta)
        executed = Executed(
            height=block.height,
            timestamp_ms=block.timestamp_ms,
            receipts=tuple(block.receipts),
            changes=block.changes,
            entries=self._state.entries,
            outcomes=tuple(block.outcomes),
            outcomes_root=meta.outcomes_root,
            state_tree_root=meta.state_tree_root,
            root_before=meta.root_before,
            root=meta.root,
            roster=block.changes.get(parameter_key(ROSTER)),
            next_version=self._state.changed_version(),
        )
        self._meta = meta
        self._state.close_block()
        self._checkpoints.take(meta.height, meta.root)
        self._open = None
        return executed

    def simulate(self, transaction: Transaction, now_ms: int) -> Receipt:
        """Return the receipt that the transaction would get now, and change nothing. Signatures are not checked."""
        now_ms = max(now_ms, self.timestamp_ms)
        receipt = self._apply(rules_of(self.version), self.height + 1, now_ms, transaction, keep=False)
        self._state.forget_loaded()
        return receipt

    def admit(self, transaction: Transaction, now_ms: int) -> None:
        """Raise Refused if the transaction cannot succeed as things stand. Cheap: junk should not reach a block."""
        self._require_envelope(transaction, now_ms, self._state.peek)
        for index, operation in enumerate(transaction.operations):
            try:
                require_role(self._state, operation)
                if index == 0:
                    require_plausible(self._state, self._checkpoints, self._genesis, operation, now_ms)
            except Refused as refused:
                raise Refused(refused.code, index, refused.leg) from None

    def audit(self) -> dict[int, int]:
        """Scan all stored accounts and check every invariant that needs no history. Return asset -> supply.

        Between blocks only, when the last block is stored. Raises InvariantViolation.
        """
        assert self._open is None, "a block is open"
        return audit(self._genesis, self._reader, self._state)

    def _next_meta(self, block: "_Block") -> Meta:
        tree_root, outcomes = self._tree.root, outcomes_root(block.outcomes)
        root = chain_root(self.root, block.height, tree_root, outcomes)
        version = block.rules.version
        return Meta(self._genesis.hash, block.height, block.timestamp_ms, root, self.root, tree_root, outcomes, version)

    # --- one transaction ---

    def _apply(self, rules: Rules, height: int, time_ms: int, transaction: Transaction, keep: bool = True) -> Receipt:
        state, once = self._state, self._once
        state.begin_transaction()
        try:
            self._require_envelope(transaction, time_ms, self._state.account)
        except Refused as refused:
            return Receipt(transaction.id, int(refused.code))
        step = Step(
            self._genesis, state, once, self._checkpoints, rules, height, time_ms, transaction.id, transaction.accounts
        )
        mark = once.mark()
        try:
            for step.op, operation in enumerate(transaction.operations):
                apply_operation(step, operation)
        except Refused as refused:
            state.undo()
            once.undo(mark)
            return Receipt(transaction.id, int(refused.code), step.op, refused.leg, refused.skipped, refused.original)
        if not keep:
            state.undo()
            once.undo(mark)
        return Receipt(transaction.id, 0, None, None, tuple(step.skipped), step.original)

    def _require_envelope(self, transaction: Transaction, time_ms: int, find: Find) -> None:
        """Raise Refused unless the transaction is its accounts' word, at this time, for the first time."""
        if transaction.network != self._genesis.network:
            raise Refused(Code.NETWORK)
        if transaction.expires_ms <= time_ms:
            raise Refused(Code.EXPIRED)
        if self._seen.known(transaction.id, transaction.expires_ms):
            raise Refused(Code.DUPLICATE)
        accounts = [_found(find, number) for number in transaction.accounts]
        parameters = self._state.parameters
        for account in accounts:
            if transaction.expires_ms > time_ms + parameters.window_ms(account.profile.kind):
                raise Refused(Code.EXPIRY_TOO_FAR)
        if not _signed_enough(transaction, accounts):
            raise Refused(Code.NOT_SIGNED)


class _Block:
    """The block that is open."""

    __slots__ = ("changes", "closed", "closing", "height", "outcomes", "receipts", "rules", "timestamp_ms")

    def __init__(self, height: int, timestamp_ms: int, rules: Rules) -> None:
        self.height = height
        self.timestamp_ms = timestamp_ms
        self.rules = rules
        self.receipts: list[Receipt] = []
        self.outcomes: list[bytes] = []
        self.closing = False
        self.closed = False
        self.changes: Changes = {}


def _found(find: Find, number: int) -> Account:
    account = find(number)
    if account is None:
        raise Refused(Code.NO_ACCOUNT)
    return account


def _signed_enough(transaction: Transaction, accounts: Sequence[Account]) -> bool:
    """Return whether each listed account reaches its threshold and no signature is by a foreign key."""
    missing = [account.profile.threshold for account in accounts]
    for index, public, _ in transaction.signatures:
        for key, weight in accounts[index].profile.keys:
            if key == public:
                missing[index] -= weight
                break
        else:
            return False
    return max(missing) <= 0


def encode_meta(meta: Meta) -> bytes:
    """Return META_KEY's row."""
    return encode(
        (
            meta.genesis_hash,
            meta.height,
            meta.timestamp_ms,
            meta.root,
            meta.root_before,
            meta.state_tree_root,
            meta.outcomes_root,
            meta.version,
        )
    )


def read_meta(row: bytes | None, genesis: Genesis) -> Meta:
    """Return what META_KEY's row says, of which a node makes block 0. Raises InvariantViolation."""
    if row is None:
        raise InvariantViolation("there is no state: genesis was not written")
    genesis_hash, height, time_ms, *roots, version = as_tuple(decode(row), 8)
    root, before, tree_root, outcomes = (as_bytes(each, 32) for each in roots)
    if genesis_hash != genesis.hash:
        raise InvariantViolation("the stored state is of another genesis")
    return Meta(genesis.hash, as_int(height), as_int(time_ms), root, before, tree_root, outcomes, as_int(version))
