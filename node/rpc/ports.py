"""What the RPC needs from the node: the only things its methods reach.

One rule: everything here is a value or a question. What could change the node is ``submit`` alone.
The composition root supplies a ``Ports``; tests supply one over a real store and a real ledger.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from consensus.committee import Committee
from node.epochs import Epochs
from node.ledger.execute import Ledger
from node.log import Level
from node.rpc.contents import Contents
from node.rpc.turns import Turns
from node.storage.store import Snapshot, Store


@dataclass(frozen=True, slots=True)
class ValidatorInfo:
    """A member of a committee. Keys are 32 bytes; ``index`` is its place in the committee."""

    name: str
    public_key: bytes
    node_key: bytes
    weight: int
    index: int


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """Which chain this is. ``kind`` is devnet, pilot or production; ``number`` is what transactions carry (u32).

    ``epoch_length`` is in blocks: that of height ``epoch * epoch_length`` is the last before the epoch.
    """

    name: str
    kind: str
    number: int
    genesis_hash: bytes
    epoch_length: int


@dataclass(frozen=True, slots=True)
class CommitteeInfo:
    """Who validates in the epoch under way; ``validators`` in committee order."""

    committee: Committee
    validators: tuple[ValidatorInfo, ...]


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Where this node is, in one consistent look. ``notarized`` and the rest hold validator names of the current view.

    ``name`` is this node's own. ``height`` is executed and synced; ``finalized_height`` may be ahead of it.
    ``last_block_ms`` is the block time of ``height`` (Unix ms). ``reasons`` say, in short English phrases, why
    ``ready`` is False. ``version`` is the protocol's in this epoch, ``next_version`` the state's demand of the
    next, ``supported_max`` the newest in which this node takes part.
    """

    name: str
    height: int
    finalized_height: int
    epoch: int
    view: int
    leader: str
    syncing: bool
    last_block_ms: int
    peers_connected: int
    mempool_transactions: int
    ready: bool
    reasons: tuple[str, ...]
    notarized: tuple[str, ...]
    nullified: tuple[str, ...]
    finalized: tuple[str, ...]
    version: int
    next_version: int
    supported_max: int


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A link to another node. ``height`` is what it last said, a hint; ``since_ms`` is Unix time, None when down."""

    name: str
    node_key: bytes
    connected: bool
    height: int | None
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a new validator's consensus key says: the node executed ``height`` and got ``root``. Keys are 32 bytes."""

    name: str
    node_key: bytes
    height: int
    root: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of one transaction's bytes at the door, in the order given.

    ``code`` 0 = in the mempool, or known already (``duplicate``: pending or executed); positive = a ledger code, never
    retryable as it is; negative = a server code (overloaded, rate_limited) with ``retry_after_ms``.
    ``tx_id`` is None if the bytes do not decode.
    """

    tx_id: bytes | None
    code: int
    duplicate: bool = False
    retry_after_ms: int | None = None


class Outcome(Enum):
    """How the wait for a transaction ended. EXECUTED: its receipt is in the store. EXPIRED: it can never execute."""

    EXECUTED = "executed"
    EXPIRED = "expired"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token grants. ``participant`` is the account of the bank or authority that holds it, 0 for none.

    Budgets are a second: ``calls`` and ``transactions`` of this token, the others of all tokens of the participant
    together.
    """

    name: str
    scopes: frozenset[str]
    participant: int
    calls: int
    transactions: int
    participant_calls: int
    participant_transactions: int


@dataclass(frozen=True, slots=True)
class Link:
    """A link as its operator sees it: PeerInfo, and what only the node knows."""

    name: str
    node_key: bytes
    address: str
    connected: bool
    dialled: bool
    height: int | None
    since_ms: int | None
    rtt_ms: int | None
    score: int
    narrow: bool
    blocked_ms: int
    last_error: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit log; hashes and signature are hex."""

    number: int
    time_ms: int
    caller: str
    method: str
    params: dict[str, str]
    allowed: bool
    before: str
    hash: str
    signature: str


@dataclass(frozen=True, slots=True)
class Admin:
    """What the operator of this node may do."""

    started_ms: int
    log_level: Callable[[], Level]
    set_log_level: Callable[[Level], None]
    links: Callable[[], list[Link]]
    disconnect: Callable[[str], bool]  # ends the link with the peer of this name; it is dialled anew
    drain: Callable[[bool], None]  # turns clients away, or takes them again
    stop: Callable[[], None]
    audit_log: Callable[[int, int], Sequence[AuditEntry]]  # after this number, at most so many
    numbers: Callable[[], dict[str, int]]  # queues and sizes, by name
    missing: Callable[[], tuple[str, ...]]  # validators of which nothing was heard for some time


@dataclass(frozen=True, slots=True)
class Ports:
    """All that methods may ask. Callables are called on the event loop; none of the plain ones may block or wait.

    Awaiting ones may be cancelled at any time: the caller has gone.
    """

    network: NetworkInfo
    committee: Callable[[], CommitteeInfo]
    epochs: Callable[[Snapshot], Epochs]  # who validates in which epoch, as of one moment of the store
    store: Store
    ledger: Ledger
    submit: Callable[[Sequence[bytes]], Awaitable[list[Submitted]]]
    # Waits until the transaction is executed here, has expired, or the seconds have passed; at once for 0 seconds.
    outcome: Callable[[bytes, float], Awaitable[Outcome]]
    # Waits until the executed height is at least this, or the seconds have passed; returns which.
    reached: Callable[[int, float], Awaitable[bool]]
    pending: Callable[[bytes], bool]  # whether a transaction id is in the mempool or in a block not yet executed
    status: Callable[[], NodeStatus]
    peers: Callable[[], list[PeerInfo]]
    readiness: Callable[[], Awaitable[Readiness | tuple[str, ...]]]  # signed, or why not
    now_ms: Callable[[], int]  # Unix time
    open_access: bool  # everybody may ask about everybody, as on a devnet
    grant_of: Callable[[str], Grant | None]  # what a token grants now; None for one that is unknown or over
    # Writes a call into the audit log before it is carried out: who, method, params, whether it was allowed.
    record: Callable[[str, str, dict[str, str], bool], Awaitable[None]]
    admin: Admin
    turns: Turns = field(default_factory=Turns)  # of all long reads of this node
    contents: Contents = field(init=False)

    def __post_init__(self) -> None:
        """Let what is remembered of blocks be read in the same turns."""
        object.__setattr__(self, "contents", Contents(self.turns))
