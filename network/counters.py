"""What a mesh counts: plain integers that only grow, for whoever publishes metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class ChannelCounters:
    """One channel over all peers; requests, responses and failures together are a channel of their own."""

    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    dropped: int = 0  # ours, because the outbox of a peer was full
    over_rate: int = 0  # theirs, dropped because the peer sent more than it may
    invalid: int = 0  # theirs, that the node refused to read


@dataclass(slots=True)
class MeshCounters:
    """A whole mesh. The keys of each Counter are a small closed set of words, fit for labels."""

    dialled: int = 0
    dials_failed: Counter[str] = field(default_factory=Counter)  # unreachable, not_the_peer, refused
    accepted: int = 0
    arrivals_refused: Counter[str] = field(default_factory=Counter)  # full, tls, deadline, not_a_peer
    handshakes_refused: Counter[str] = field(default_factory=Counter)  # by name of the close code
    links_opened: int = 0
    links_closed: Counter[str] = field(default_factory=Counter)  # by name of the close code
    violations: Counter[str] = field(default_factory=Counter)  # malformed, oversize, unknown, unsolicited
    penalties: int = 0  # times a peer reached the score at which it is disconnected
    requests_sent: int = 0
    requests_failed: Counter[str] = field(default_factory=Counter)  # by reason of RequestFailed
    requests_served: int = 0
    requests_refused: Counter[str] = field(default_factory=Counter)  # by name of the failure code
    responses_late: int = 0
