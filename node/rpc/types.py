"""Params and results of the methods: the only description of what is on the wire, for server, client and documents.

One rule: no number that money or a hash could hide in. Money is a string of decimal minor units, bytes are lower-case
hex of an exact length, accounts are 16 digits; heights, times (Unix ms) and counts are numbers below 2**53.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from node.rpc.forms import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    SUBMIT_MANY_MAX,
    WAIT_MS_DEFAULT,
    WAIT_MS_MAX,
    AccountNumber,
    AssetId,
    Bytes,
    Count,
    Cursor,
    Hash,
    Height,
    Limit,
    Milliseconds,
    Money,
    Name,
    Order,
    OrderNumber,
    RawTransaction,
    Ref,
    Signature,
    SignedMoney,
    TransactionStatus,
)
from node.rpc.operation_types import KeyView, OperationView


class Params(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all params: by name only, unknown names refused."""


class Read(Params, frozen=True, kw_only=True):
    """A read: ``min_height`` asks for an answer that is no older."""

    min_height: Height = 0


class Auth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Proof that the caller has a key of ``account``: who may see what is the account's, or its customer's.

    ``signature`` by ``key`` over SHA-256("som-read-1", genesis hash, account as u64, expires_ms as u64, the namespace
    of the method); it holds until ``expires_ms``, 10 minutes ahead at the most.
    """

    account: AccountNumber
    expires_ms: Milliseconds
    key: Hash
    signature: Signature


class Personal(Read, frozen=True, kw_only=True):
    """A read about somebody, for which a node without open access wants a reason.

    ``auth`` is that of the owner or its bank; ``under_order`` the order that an enforcer or auditor acts on, logged.
    """

    auth: Auth | None = None
    under_order: OrderNumber | None = None


class Result(Struct, frozen=True, kw_only=True):
    """The base of all results: ``at_height`` is the executed height that the answer is of."""

    at_height: Height


# --- shared parts ---


class Outcome(Struct, frozen=True, kw_only=True):
    """What is known of a transaction. ``final`` never becomes false again; ``code`` and ``name`` are the ledger's."""

    status: TransactionStatus
    final: bool
    height: Height | None = None
    code: Annotated[int, Meta(ge=0, le=999)] | None = None
    name: Name | None = None


class SkippedLeg(Struct, frozen=True, kw_only=True):
    """A leg that a pay with ``partial`` left out."""

    op: Count
    leg: Count
    code: Annotated[int, Meta(ge=1, le=999)]
    name: Name


class Receipt(Struct, frozen=True, kw_only=True):
    """The result of an executed transaction. ``op`` and ``leg`` count from 0 and say where it failed."""

    height: Height
    index: Count
    timestamp_ms: Milliseconds
    code: Annotated[int, Meta(ge=0, le=999)]
    name: Name
    op: Count | None = None
    leg: Count | None = None
    skipped: tuple[SkippedLeg, ...] = ()
    original: Hash | None = None


class SignatureView(Struct, frozen=True, kw_only=True):
    """Who signed: an account of the list, by one of its keys."""

    account: AccountNumber
    key: Hash


class TransactionView(Struct, frozen=True, kw_only=True):
    """A transaction as its signers wrote it."""

    raw: Bytes
    network: Count
    expires_ms: Milliseconds
    salt: Annotated[str, Meta(pattern="^(0|[1-9][0-9]{0,19})$(?!\n)", description="an integer below 2**64, decimal")]
    accounts: tuple[AccountNumber, ...]
    operations: tuple[OperationView, ...]
    signatures: tuple[SignatureView, ...]


class HeaderView(Struct, frozen=True, kw_only=True):
    """A block's header; ``executed_height`` and ``state_root`` certify the state after that earlier height."""

    hash: Hash
    height: Height
    epoch: Count
    view: Count
    parent_hash: Hash
    proposer: Name
    timestamp_ms: Milliseconds
    executed_height: Height
    state_root: Hash
    payload_hash: Hash
    version: Count


# --- the chain ---


class GetInfoParams(Read, frozen=True, kw_only=True):
    pass


class GetInfoResult(Result, frozen=True, kw_only=True):
    """Which network this is and where the node stands in it. ``network`` is the number that transactions carry.

    Of blocks at ``first_height`` and below, if it is not 0, this node has not kept what they brought.
    ``access`` open: this node tells everybody about everybody, as a devnet does; else see ``x-scope`` of each method.

    ``protocol_version`` is that of the node's epoch, ``protocol_version_next`` what the state demands of the next one,
    ``protocol_version_supported_max`` the newest in which this node takes part; ``version`` is that of the program.
    """

    name: Name
    kind: Name
    network: Count
    genesis_hash: Hash
    node: Name
    version: Name
    height: Height
    finalized_height: Height
    first_height: Height
    block_hash: Hash
    state_root: Hash
    block_time_ms: Milliseconds
    now_ms: Milliseconds
    epoch: Count
    view: Count
    leader: Name
    syncing: bool
    ready: bool
    reasons: tuple[str, ...]
    validators: Count
    peers_connected: Count
    mempool_transactions: Count
    access: Literal["open", "tokens"]
    protocol_version: Count
    protocol_version_next: Count
    protocol_version_supported_max: Count


class GetBlockParams(Read, frozen=True, kw_only=True):
    """Name the block by ``height`` or by ``hash``; neither means the latest. ``limit`` transactions are listed."""

    height: Height | None = None
    hash: Hash | None = None
    cursor: Cursor | None = None
    order: Order = "asc"
    limit: Annotated[int, Meta(ge=0, le=LIMIT_MAX)] = LIMIT_DEFAULT


class BlockTransaction(Struct, frozen=True, kw_only=True):
    """A transaction of a block, in the order of execution."""

    index: Count
    tx_id: Hash
    outcome: Outcome


class GetBlockResult(Result, frozen=True, kw_only=True):
    """A final block. ``signers`` finalized it, or a block on top of it; the root after it is ``state_root_after``."""

    header: HeaderView | None
    block_hash: Hash
    height: Height
    timestamp_ms: Milliseconds
    state_root_after: Hash
    transaction_count: Count
    batches: tuple[Hash, ...]
    signers: tuple[Name, ...]
    certificate_height: Height | None
    transactions: tuple[BlockTransaction, ...]
    next_cursor: Cursor | None


class GetConsensusParams(Read, frozen=True, kw_only=True):
    pass


class ValidatorVote(Struct, frozen=True, kw_only=True):
    """What one validator has said in the view that is under way, as seen from here."""

    name: Name
    weight: Count
    notarized: bool
    nullified: bool
    finalized: bool
    connected: bool


class GetConsensusResult(Result, frozen=True, kw_only=True):
    """The view under way: who voted, and who is awaited (said nothing yet). Hints, not proofs."""

    epoch: Count
    view: Count
    leader: Name
    finalized_height: Height
    quorum_weight: Count
    total_weight: Count
    votes: tuple[ValidatorVote, ...]
    voted: tuple[Name, ...]
    awaited: tuple[Name, ...]


# --- transactions ---


class SubmitParams(Params, frozen=True, kw_only=True):
    """``wait`` "final" answers when the transaction is executed, or as pending when ``timeout_ms`` have passed."""

    tx: RawTransaction
    wait: Literal["none", "final"] = "none"
    timeout_ms: Annotated[int, Meta(ge=0, le=WAIT_MS_MAX)] = WAIT_MS_DEFAULT


class SubmitResult(Result, frozen=True, kw_only=True):
    """What is known now. A time-out is no error: ``outcome`` is pending and the transaction may still apply."""

    tx_id: Hash
    outcome: Outcome
    receipt: Receipt | None = None


class SubmitManyParams(Params, frozen=True, kw_only=True):
    """Up to 1,000 transactions; ``wait`` and ``timeout_ms`` as in tx_submit, for all of them together."""

    txs: Annotated[tuple[RawTransaction, ...], Meta(min_length=1, max_length=SUBMIT_MANY_MAX)]
    wait: Literal["none", "final"] = "none"
    timeout_ms: Annotated[int, Meta(ge=0, le=WAIT_MS_MAX)] = WAIT_MS_DEFAULT


class Refusal(Struct, frozen=True, kw_only=True):
    """Why one transaction of many was not taken: as the error of a lone call."""

    code: int
    name: Name
    message: str
    retryable: bool
    retry_after_ms: Milliseconds | None = None


class SubmittedItem(Struct, frozen=True, kw_only=True):
    """One transaction of many: ``refused`` is there if it was not taken, and then ``outcome`` is unknown."""

    tx_id: Hash | None
    outcome: Outcome
    refused: Refusal | None = None


class SubmitManyResult(Result, frozen=True, kw_only=True):
    """One item for each transaction, in the order given."""

    items: tuple[SubmittedItem, ...]


class GetTransactionParams(Personal, frozen=True, kw_only=True):
    """``transaction`` asks for the transaction itself beside its receipt."""

    tx_id: Hash
    transaction: bool = False


class GetTransactionResult(Result, frozen=True, kw_only=True):
    """What became of a transaction. ``unknown`` is an answer, not an error.

    Who knows that it expires at or before ``block_time_ms``, the time of the block at ``at_height``, then knows that it
    will never execute.
    """

    block_time_ms: Milliseconds
    tx_id: Hash
    outcome: Outcome
    receipt: Receipt | None = None
    transaction: TransactionView | None = None


class GetByRefParams(Personal, frozen=True, kw_only=True):
    """What ``account`` has paid under each of ``refs``, ever, or from ``since_height`` on.

    A node that does not keep all blocks answers only if ``since_height`` is above its ``first_height``: no answer is
    ever taken for "not paid" that means "not kept".
    """

    account: AccountNumber
    refs: Annotated[tuple[Ref, ...], Meta(min_length=1, max_length=LIMIT_MAX)]
    since_height: Height = 0


class Paid(Struct, frozen=True, kw_only=True):
    """A payment that was made: leg ``leg`` of operation ``op`` of the transaction."""

    ref: Ref
    tx_id: Hash
    op: Count
    leg: Count
    height: Height
    asset: AssetId
    to: AccountNumber
    amount: Money


class GetByRefResult(Result, frozen=True, kw_only=True):
    """All payments under the refs up to ``at_height``; of one ref the latest LIMIT. A ref not named was never paid."""

    block_time_ms: Milliseconds
    payments: tuple[Paid, ...]


# --- accounts ---


class GetAccountParams(Personal, frozen=True, kw_only=True):
    account: AccountNumber


class HoldingView(Struct, frozen=True, kw_only=True):
    """What an account has of one asset; ``available`` is balance without what holds reserve."""

    asset: AssetId
    code: Name
    scale: Count
    balance: SignedMoney
    held: Money
    available: SignedMoney


class AccountView(Struct, frozen=True, kw_only=True):
    """An account as the ledger has it."""

    account: AccountNumber
    kind: Name
    tier: Count
    flags: tuple[Literal["out_blocked", "in_blocked", "closed", "recovering"], ...]
    bank: AccountNumber | None
    category: Count
    keys: tuple[KeyView, ...]
    threshold: Count
    commitment: Hash
    out_today: Money
    statement_length: Count
    statement_head: Hash
    holdings: tuple[HoldingView, ...]


class GetAccountResult(Result, frozen=True, kw_only=True):
    """The account after ``at_height``."""

    account: AccountView


class GetHistoryParams(Personal, frozen=True, kw_only=True):
    """Statement entries, newest first unless ``order`` is asc; ``from_number`` begins at an entry, without a cursor."""

    account: AccountNumber
    cursor: Cursor | None = None
    from_number: Count | None = None
    order: Order = "desc"
    limit: Limit = LIMIT_DEFAULT


class Entry(Struct, frozen=True, kw_only=True):
    """One line of a statement: ``amount`` is what the balance changed by, ``balance`` what it was then.

    A pay of several legs is one entry of its payer, with ``other`` and ``leg`` null: the transaction has the details.
    """

    number: Count
    height: Height
    timestamp_ms: Milliseconds
    tx_id: Hash
    op: Count
    leg: Count | None
    asset: AssetId
    amount: SignedMoney
    balance: SignedMoney
    other: AccountNumber | None
    ref: Bytes | None


class GetHistoryResult(Result, frozen=True, kw_only=True):
    """A page of a statement. ``length`` and ``head`` are the account's own, to check a whole statement against."""

    account: AccountNumber
    length: Count
    head: Hash
    entries: tuple[Entry, ...]
    next_cursor: Cursor | None


# --- proofs ---


class RootLink(Struct, frozen=True, kw_only=True):
    """How one height's root follows from the one before: state tree root and outcomes root."""

    state_tree_root: Hash
    outcomes_root: Hash


class Anchor(Struct, frozen=True, kw_only=True):
    """Why the root of ``height`` is final, for one who knows only the genesis.

    ``headers`` ascend by parent hash: the first says (executed_height, state_root), the last is what ``certificate``
    finalizes. ``root_before`` and ``links`` lead from the root before ``height`` to that of executed_height, one link a
    height: root = SHA-256("som-root-1", root before, height u64, state_tree_root, outcomes_root).
    """

    height: Height
    root_before: Hash
    links: tuple[RootLink, ...]
    headers: tuple[Bytes, ...]
    certificate: Bytes


class GetTransactionProofParams(Read, frozen=True, kw_only=True):
    tx_id: Hash


class GetTransactionProofResult(Result, frozen=True, kw_only=True):
    """That ``receipt`` is the result of the transaction in the block at ``anchor.height``."""

    tx_id: Hash
    receipt: Bytes
    path: Bytes
    anchor: Anchor


class GetAccountProofParams(Personal, frozen=True, kw_only=True):
    account: AccountNumber


class GetAccountProofResult(Result, frozen=True, kw_only=True):
    """That ``record`` (null: no record) is the account's after ``anchor.height``."""

    account: AccountNumber
    record: Bytes | None
    path: Bytes
    anchor: Anchor


# --- assets, validators, peers ---


class GetSupplyParams(Read, frozen=True, kw_only=True):
    asset: AssetId = 1


class GetSupplyResult(Result, frozen=True, kw_only=True):
    """What is issued and not redeemed."""

    asset: AssetId
    code: Name
    scale: Count
    supply: Money
    max_supply: Money


class DiscoverParams(Params, frozen=True, kw_only=True):
    pass


class DiscoverResult(Struct, frozen=True, kw_only=True):
    """An OpenRPC document (spec.open-rpc.org)."""

    openrpc: str
    info: dict[str, str]
    methods: list[dict[str, Any]]
    components: dict[str, Any]
