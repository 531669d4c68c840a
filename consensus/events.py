"""The whole boundary of the core: everything that can happen to it, and everything that it can want.

``Core.step(now_ms, input) -> [effect]``. ``now_ms`` is a monotonic clock in milliseconds. The driver carries effects
out in order; whatever ``Persist`` holds is on stable storage before a later ``SignVote``, ``Send``, ``Broadcast`` or
``Finalize`` is (one sync for a list of effects). ``SignVote``, ``BuildBlock``, ``CheckBlock`` and ``FetchBlock`` are
answered by a later input; the core is never entered again before ``step`` returned.

A peer is a validator's index in the committee.
"""

from dataclasses import dataclass

from consensus.messages import Block, Certificate, Hash, Kind, Message, Proposal, Status, Vote

# --- inputs ---


@dataclass(frozen=True, slots=True)
class Replayed:
    """A record that ``Persist`` made in an earlier life. All of them come before Started, in any order."""

    record: bytes


@dataclass(frozen=True, slots=True)
class Started:
    """The journal is replayed: join the network."""


@dataclass(frozen=True, slots=True)
class VoteReceived:
    """A vote with a valid signature, from its signer's own link."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class CertificateReceived:
    """A certificate with a quorum of valid signatures."""

    sender: int
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class ProposalReceived:
    """A proposal with the leader's valid vote; its certificates are verified, those not wanted are left out."""

    sender: int
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class CertificatesRequested:
    """A peer lacks certificates of the views ``low`` to ``high``."""

    sender: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class StatusReceived:
    """A peer says where it is, perhaps in another epoch."""

    sender: int
    status: Status


@dataclass(frozen=True, slots=True)
class PeerHeard:
    """A peer sent something that is not wanted, so nobody checked its signatures; only its link says who speaks.

    It is in ``view`` of ``epoch`` or beyond; ``stuck`` says that it wants to leave that view and cannot.
    """

    peer: int
    epoch: int
    view: int
    stuck: bool


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A link to a validator is up."""

    peer: int


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The link to a validator is down: nothing can come from it until another is up."""

    peer: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The deadline of the last SetTimer has passed, and nothing that arrived before it is still queued."""


@dataclass(frozen=True, slots=True)
class VoteSigned:
    """The answer to SignVote. A signer that refuses does not answer."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class Content:
    """What a new block carries, chosen by the application. Shapes as in Header."""

    timestamp_ms: int
    executed_height: int
    state_root: Hash
    next_validators_hash: Hash
    payload: bytes
    version: int


@dataclass(frozen=True, slots=True)
class BlockBuilt:
    """The answer to BuildBlock; None gives the view up."""

    view: int
    content: Content | None


@dataclass(frozen=True, slots=True)
class BlockChecked:
    """The answer to CheckBlock. Silence means: not yet known."""

    view: int
    hash: Hash
    valid: bool


@dataclass(frozen=True, slots=True)
class BlockFetched:
    """A block that a peer sent; it counts only if its hash is wanted."""

    block: Block


@dataclass(frozen=True, slots=True)
class BlocksSynced:
    """A range of the final chain: blocks in ascending height, the last one finalized by a verified certificate."""

    blocks: tuple[Block, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class WorkChanged:
    """Whether the application has something to put in a block, or a state root to certify."""

    pending: bool


Input = (
    Replayed
    | Started
    | VoteReceived
    | CertificateReceived
    | ProposalReceived
    | CertificatesRequested
    | StatusReceived
    | PeerHeard
    | PeerConnected
    | PeerDisconnected
    | TimerFired
    | VoteSigned
    | BlockBuilt
    | BlockChecked
    | BlockFetched
    | BlocksSynced
    | WorkChanged
)

# --- effects ---


@dataclass(frozen=True, slots=True)
class Persist:
    """Keep ``record`` in the journal. ``block`` is set when the record is that block: its payload's data goes first."""

    record: bytes
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class SignVote:
    """Sign ``vote_statement`` of these under our key, past the double-sign guard; answer with VoteSigned."""

    kind: Kind
    epoch: int
    view: int
    hash: Hash


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one validator."""

    peer: int
    message: Message


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to all other validators."""

    message: Message


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Answer with TimerFired at ``at_ms``. Replaces the timer before."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class BuildBlock:
    """Choose the content of the block of ``view`` on ``parent``; answer with BlockBuilt, paced.

    ``waiting`` says that the parent was not final yet when this was asked: an empty block is worth its while as long as
    ``Core.committed`` is not the parent. It is asked once for each view.
    """

    view: int
    parent: Block
    waiting: bool


@dataclass(frozen=True, slots=True)
class CheckBlock:
    """Check what ``block`` carries, given its parent; answer with BlockChecked."""

    view: int
    block: Block
    parent: Block


@dataclass(frozen=True, slots=True)
class FetchBlock:
    """Get the block from one of ``holders`` or anyone; answer with BlockFetched. Asked again until it comes."""

    hash: Hash
    holders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finalize:
    """These blocks, in ascending height, are irreversible; ``certificate`` finalizes the last one."""

    blocks: tuple[Block, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two signed statements of one validator that an honest one never makes."""

    first: Vote
    second: Vote


@dataclass(frozen=True, slots=True)
class ProposalRefused:
    """The leader signed ``vote``, NOTARIZE, for a block that is invalid on ``parent``: perhaps its bytes prove it."""

    vote: Vote
    block: Block
    parent: Block


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """The epoch's last block is final: the next epoch starts from it."""

    block: Block
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Halt:
    """Safety is broken: two final blocks conflict, or a quorum certified what we found invalid.

    Keep all data, stop, alarm. The core does nothing after it.
    """

    reason: str


Effect = (
    Persist
    | SignVote
    | Send
    | Broadcast
    | SetTimer
    | BuildBlock
    | CheckBlock
    | FetchBlock
    | Finalize
    | Evidence
    | ProposalRefused
    | EpochEnded
    | Halt
)
