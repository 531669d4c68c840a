"""In the middle of a storm all power fails, and more validators than may be faulty never come back.

One rule: those who are left report as `som emergency report` does, from the journal and the guard that the power cut
has left them; the judge, who has seen every vote, says which blocks were final.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from structlog.testing import capture_logs

from consensus.crypto import PublicKey
from consensus.messages import Block, Header, Kind, header_hash
from node.emergency import Base, Report, choose_base, made_report, share_of, without_stale
from node.storage.guard import Guard
from node.terms import first_epoch
from tests.simulation import keys
from tests.simulation.application import decode_batch, payload_refs
from tests.simulation.bounds import narrowed
from tests.simulation.campaign import Failure
from tests.simulation.cluster import GENESIS_HASH, Cluster
from tests.simulation.disk import BATCH_RECORD, CONSENSUS_RECORD, GUARD
from tests.simulation.judge import Violation
from tests.simulation.plan import Plan, draw
from tests.simulation.validator import Validator

TERM: Final = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What those who were left made of it. ``unseen``: some final block was called final by nobody of them."""

    certain: bool
    kept: bool  # the base stands above all that was final
    base_height: int
    final_height: int  # by the votes
    unseen: bool


def can(plan: Plan) -> bool:
    """Return whether a plan is one of a committee that stays, of which somebody can be lost."""
    return plan.appoint_ms == 0 and len(plan.weights) >= 3


def play(seed: int, enough: bool = True) -> Outcome:
    """Run a seed up to a moment of its storm, and choose the base. Raises Failure if a final block is lost.

    Those who are left weigh more than may be faulty; with ``enough`` unset only one of them is.
    """
    plan = draw(seed)
    keys.use(plan.real_signatures)
    cluster = Cluster(plan, False)
    random = Random(seed)
    try:
        with narrowed(plan.bounds), capture_logs():
            cluster.storm(random.randint(1, plan.storm_ms))
            return _after(cluster, plan, random, enough)
    except Violation as violation:
        raise Failure(seed, cluster.loop.now_ms, violation.invariant, str(violation)) from violation
    finally:
        keys.use(True)


def _after(cluster: Cluster, plan: Plan, random: Random, enough: bool) -> Outcome:
    for one in cluster.validators:
        one.crash("the disaster", power=random.random() < 0.7, restart=False)
        one.mend()
    committee = cluster._committee(max(cluster.rows))
    hurt = {node for node, _ in (*plan.wiped, *plan.damaged)}
    sound = [one for one in cluster.validators if one.index < len(plan.weights) and one.index not in hurt]
    left: list[Validator] = []
    for one in random.sample(sound, len(sound)):
        left.append(one)
        if not enough or sum(plan.weights[each.index] for each in left) > committee.faulty_max:
            break
    reports = without_stale([_report(one) for one in left], lambda _: committee)
    share = share_of(committee, reports)
    base = choose_base(reports, _below(left[0]))
    return _judged(cluster, reports, base, share.certain)


def _report(one: Validator) -> Report:
    public = PublicKey(one._signer.public)
    entries = one.disk.records.open(one.name)
    if one.disk.files.exists(GUARD):
        guard = Guard.open(GUARD, public, GENESIS_HASH, one.disk.files)
    else:  # it never ran
        Guard.create(GUARD, public, GENESIS_HASH, one.disk.files)
        guard = Guard.open(GUARD, public, GENESIS_HASH, one.disk.files)
    spoken = guard.close_below(first_epoch(TERM))
    guard.close()
    batches = {decode_batch(payload).digest for kind, payload in entries if kind == BATCH_RECORD}
    stored = one.disk.heights[-1] if one.disk.heights else None
    own = stored.certificate if stored is not None else None
    tip = one.disk.block(one.disk.height)

    def whole(block: Block) -> bool:
        return all(ref in batches or ref in one.disk.batches for ref in payload_refs(block.payload))

    return made_report(
        GENESIS_HASH,
        TERM,
        public,
        spoken,
        (tip, own if own is not None and own.hash == tip.hash else None),
        [payload for kind, payload in entries if kind == CONSENSUS_RECORD],
        whole,
        0,
    )


def _below(one: Validator) -> Callable[[int], Header | None]:
    """Return the final headers of a validator's own chain."""
    return lambda height: one.disk.block(height).header if height <= one.disk.height else None


def _judged(cluster: Cluster, reports: list[Report], base: Base, certain: bool) -> Outcome:
    """Look whether the base stands above every block that the votes made final."""
    finals = cluster.judge.finals()
    for final in finals:
        if certain and not cluster.judge.above(header_hash(base.header), header_hash(final)):
            raise Violation("decree", f"height {final.height} was final, and base {base.header.height} is beside it")
    if certain and base.lost:
        raise Violation("decree", f"a certified block is lost: view {base.lost[0].view}")
    highest = max((final.height for final in finals), default=0)
    kept = all(cluster.judge.above(header_hash(base.header), header_hash(final)) for final in finals)
    seen = {each.hash for report in reports for each in report.certificates if each.kind is Kind.FINALIZE}
    unseen = any(final.height == highest and header_hash(final) not in seen for final in finals)
    unseen = unseen and highest > max(report.tip_height for report in reports)
    return Outcome(certain, kept, base.header.height, highest, unseen)
