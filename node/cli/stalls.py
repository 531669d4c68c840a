"""Why a chain does not move: facts that a node gives, judged.

One rule: a pure function from facts to findings, the gravest first. What a finding says stands in stall_texts.py.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MOVES_MS: Final = 15_000  # a newer last block means that the chain moves: three heartbeats of an idle network


class Cause(StrEnum):
    """What is wrong. The name is the same in every language, and in --json."""

    MOVES = "moves"
    VERSION_UNKNOWN = "version-unknown"
    FUTURE = "future"
    DISK_FULL = "disk-full"
    SIGNER_AWAY = "signer-away"
    SIGNER_SUSPENDED = "signer-suspended"
    FENCED = "fenced"
    DRAINING = "draining"
    BEHIND = "behind"
    CUT_OFF = "cut-off"
    NO_QUORUM = "no-quorum"
    SOME_AWAY = "some-away"
    BATCHES_MISSING = "batches-missing"
    EXECUTION_BEHIND = "execution-behind"
    PROPOSAL_AWAITED = "proposal-awaited"
    VOTES_AWAITED = "votes-awaited"
    UNEXPLAINED = "unexplained"


# A reason of /readyz that is a cause by itself. The others follow from what the validators do.
OF_REASON: Final = {
    "the next protocol version is unknown to this node": Cause.VERSION_UNKNOWN,
    "the last block is of the future": Cause.FUTURE,
    "the disk is nearly full": Cause.DISK_FULL,
    "the signer is away": Cause.SIGNER_AWAY,
    "the signer is suspended": Cause.SIGNER_SUSPENDED,
    "fenced": Cause.FENCED,
    "draining": Cause.DRAINING,
    "behind the network": Cause.BEHIND,
}
RUNBOOK: Final = {  # cause -> page of docs/runbook/
    Cause.VERSION_UNKNOWN: "upgrade-needed",
    Cause.FUTURE: "clock-off",
    Cause.DISK_FULL: "disk-fills",
    Cause.SIGNER_AWAY: "signer-away",
    Cause.SIGNER_SUSPENDED: "key-used-elsewhere",
    Cause.FENCED: "fenced",
    Cause.DRAINING: "not-ready",
    Cause.BEHIND: "falls-behind",
    Cause.CUT_OFF: "validators-missing",
    Cause.NO_QUORUM: "chain-stands-still",
    Cause.SOME_AWAY: "validators-missing",
    Cause.BATCHES_MISSING: "chain-stands-still",
    Cause.EXECUTION_BEHIND: "slow-machine",
    Cause.PROPOSAL_AWAITED: "chain-stands-still",
    Cause.VOTES_AWAITED: "chain-stands-still",
    Cause.UNEXPLAINED: "chain-stands-still",
}


@dataclass(frozen=True, slots=True)
class Voter:
    """A validator as the node that was asked sees it; ``why`` is the last error of its link."""

    name: str
    weight: int
    connected: bool
    notarized: bool = False
    nullified: bool = False
    finalized: bool = False
    why: str = ""

    @property
    def spoke(self) -> bool:
        """Whether it has said anything in the view under way."""
        return self.notarized or self.nullified or self.finalized


@dataclass(frozen=True, slots=True)
class Facts:
    """What was asked. ``numbers`` are those of admin_getStatus, empty where only the public RPC was asked."""

    node: str
    height: int
    finalized_height: int
    block_age_ms: int
    epoch: int
    view: int
    leader: str
    quorum: int
    total: int
    voters: tuple[Voter, ...]
    reasons: tuple[str, ...] = ()
    version_next: int = 1
    version_known: int = 1
    numbers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, the validators that it names, and figures for its text."""

    cause: Cause
    names: tuple[str, ...] = ()
    figures: dict[str, int | str] = field(default_factory=dict)

    @property
    def runbook(self) -> str:
        """The page of docs/runbook/ that goes on from here, or nothing."""
        page = RUNBOOK.get(self.cause)
        return "" if page is None else f"docs/runbook/{page}.md"


def diagnose(facts: Facts) -> list[Finding]:
    """Return what is wrong, the gravest first; never nothing."""
    own = _own(facts)
    away = [voter for voter in facts.voters if not voter.connected and voter.name != facts.node]
    if abs(facts.block_age_ms) <= MOVES_MS:
        return [Finding(Cause.MOVES, figures={"height": facts.height}), *own, *_some_away(away)]
    return [*own, *_standstill(facts, away)] or [Finding(Cause.UNEXPLAINED)]


def _own(facts: Facts) -> list[Finding]:
    """Return what is wrong with the node itself, in the order of Cause."""
    found = {OF_REASON[reason] for reason in facts.reasons if reason in OF_REASON}
    figures: dict[str, int | str] = {
        "next": facts.version_next,
        "known": facts.version_known,
        "seconds": -facts.block_age_ms // 1_000,
    }
    return [Finding(cause, figures=figures) for cause in Cause if cause in found]


def _some_away(away: list[Voter]) -> list[Finding]:
    return [Finding(Cause.SOME_AWAY, _names(away), {"errors": _errors(away)})] if away else []


def _standstill(facts: Facts, away: list[Voter]) -> list[Finding]:
    present = facts.total - sum(voter.weight for voter in away)
    others = [voter for voter in facts.voters if voter.name != facts.node]
    if others and len(away) == len(others):
        return [Finding(Cause.CUT_OFF, _names(away), {"errors": _errors(away)})]
    if present < facts.quorum:
        figures: dict[str, int | str] = {
            "present": present,
            "quorum": facts.quorum,
            "lacking": facts.quorum - present,
            "errors": _errors(away),
        }
        return [Finding(Cause.NO_QUORUM, _names(away), figures)]
    return [*_local_work(facts), *_awaited(facts), *_some_away(away)]


def _local_work(facts: Facts) -> list[Finding]:
    missing, queued = facts.numbers.get("batches_missing", 0), facts.finalized_height - facts.height
    if missing:
        return [Finding(Cause.BATCHES_MISSING, figures={"batches": missing})]
    return [Finding(Cause.EXECUTION_BEHIND, figures={"blocks": queued})] if queued > 0 else []


def _awaited(facts: Facts) -> list[Finding]:
    """Return whose word the view under way waits for."""
    place: dict[str, int | str] = {"epoch": facts.epoch, "view": facts.view}
    if not any(voter.notarized for voter in facts.voters):
        return [Finding(Cause.PROPOSAL_AWAITED, (facts.leader,), place)]
    silent = [voter for voter in facts.voters if not voter.spoke]
    return [Finding(Cause.VOTES_AWAITED, _names(silent), place)] if silent else []


def _names(voters: list[Voter]) -> tuple[str, ...]:
    return tuple(voter.name for voter in voters)


def _errors(voters: list[Voter]) -> str:
    return "; ".join(f"{voter.name}: {voter.why}" for voter in voters if voter.why) or "-"
