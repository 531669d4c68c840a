"""Faults planted on purpose: a simulator is as good as what it catches.

One rule: a fault is a change of a line or two in the source of consensus, applied in a process of its own before
anything is imported; a text that no longer occurs exactly once fails the tests, so the list cannot rot.

    python -m tests.simulation --planted [--only NAME] [--seeds N]
"""

import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS_MAX: Final = 600  # for one fault


@dataclass(frozen=True, slots=True)
class Edit:
    """The text ``old``, which occurs in one place of consensus, becomes ``new``."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault; ``blind`` turns off the judge's look at the disk, so that the consequence must show."""

    name: str
    edits: tuple[Edit, ...]
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Caught:
    """How many seeds a fault took and the invariant that fired; None if all seeds were clean."""

    name: str
    seeds: int
    invariant: str | None
    detail: str


_PERSISTED: Final = "for record in (*before, Intent(kind, self.epoch, view, block_hash)):"
_VOTE_NOT_PERSISTED: Final = Edit(_PERSISTED, "for record in before:")
_BLOCK_NOT_PERSISTED: Final = Edit(_PERSISTED, _PERSISTED.replace("*before", "*before[1:]"))
_CERTIFICATE_NOT_PERSISTED: Final = Edit("self._persist(certificate)", "pass")
_SIGN: Final = "self._effects.append(SignVote(kind, self.epoch, view, block_hash))"
_SKIPPED: Final = Edit("if rounds.certificate(Kind.NULLIFY, skipped) is None:", "if False:")

FAULTS: Final = (
    Fault("quorum one too small", (Edit("assert self.quorum == 2 * self.total // 3 + 1", "self.quorum -= 1"),)),
    Fault(
        "duplicate votes counted",
        (
            Edit("if vote.signer in votes:\n            return None", "pass"),
            Edit("return first is None or (first.hash", "return True or (first.hash"),
        ),
    ),
    Fault(
        "votes for different blocks summed",
        (Edit("statement = (vote.kind, vote.hash)", "statement = (vote.kind, Hash(b''))"),),
    ),
    Fault(
        "members counted instead of weights",
        (Edit("self._committee.validators[vote.signer].weight\n        self._weights", "1\n        self._weights"),),
    ),
    Fault(
        "finalize after nullify",
        (Edit("if mine.finalized is not None or mine.nullified:", "if mine.finalized is not None:"),),
    ),
    Fault(
        "notarize every proposal of a view",
        (
            Edit("if mine.notarized is not None or mine.nullified:", "if mine.nullified:"),
            Edit("round.notarized is None and not round.nullified:", "round.notarized != proposal.vote.hash:"),
            Edit(
                "if round.proposal is None:\n            round.proposal = proposal",
                "if True:\n            round.proposal, round.verdict = proposal, Verdict.PENDING",
            ),
        ),
    ),
    Fault("vote not persisted", (_VOTE_NOT_PERSISTED,)),
    Fault("vote not persisted, judge blind", (_VOTE_NOT_PERSISTED,), blind=True),
    Fault("block not persisted", (_BLOCK_NOT_PERSISTED,)),
    Fault("block not persisted, judge blind", (_BLOCK_NOT_PERSISTED,), blind=True),
    Fault("certificate not persisted", (_CERTIFICATE_NOT_PERSISTED,)),
    Fault(
        "votes and certificates not persisted, judge blind",
        (_VOTE_NOT_PERSISTED, _CERTIFICATE_NOT_PERSISTED),
        blind=True,
    ),
    Fault(
        "signed before persisted",
        (
            Edit(_PERSISTED, f"{_SIGN}\n        {_PERSISTED}"),
            Edit(f"{_SIGN}\n        return True", "return True"),
        ),
    ),
    Fault("rotation forgets our votes", (Edit("records.extend(self.intents(view))", "pass"),)),
    Fault(
        "rotation forgets certificates",
        (
            Edit(
                "records.extend(certificate for certificate in mine.tally.certificates if certificate is not None)",
                "pass",
            ),
        ),
    ),
    Fault("parent hash not compared", (Edit("and header.parent_hash == parent.hash", ""),)),
    Fault("view skipped without nullification", (_SKIPPED,)),
    Fault(
        "parent below the finalized view, skipped views unchecked",
        (_SKIPPED, Edit("if parent_view < rounds.finalized_view:  # R14", "if False:")),
    ),
    Fault(
        "proposals of anyone accepted",
        (
            Edit("vote.signer == sender == self._committee.leader(vote.view)", "vote.signer == sender"),
            Edit("and header.proposer == self.committee.leader(view)", ""),
        ),
    ),
    Fault(
        "commit on notarization",
        (
            Edit(
                "if certificate.kind is Kind.FINALIZE:\n            self.raise_floor",
                "if certificate.kind is not Kind.NULLIFY:\n            self.raise_floor",
            ),
            Edit("assert certificate.kind is Kind.FINALIZE", "pass"),
            Edit("self._finalize_notarized(certificate)\n            case", "self._unsettled = True\n            case"),
        ),
    ),
    Fault(
        "epoch missing in what is signed",
        (
            Edit(
                "encode((genesis_hash, int(kind), epoch, view, block_hash))",
                "encode((genesis_hash, int(kind), view, block_hash))",
            ),
        ),
    ),
    Fault(
        "block beyond the epoch accepted",
        (
            Edit("before.height + 1 <= self.end_height", "before.height + 1"),
            Edit(
                "if parent.header.height == place.end_height:  # R46",
                "if parent.header.height == place.end_height and proposal.block is None:",
            ),
        ),
    ),
    Fault(
        "no retransmission",
        (
            Edit(
                "return [Broadcast(message) for message in ([status] if waiting else [*messages, status])]",
                "return []",
            ),
        ),
    ),
    Fault(
        "missing blocks not fetched",
        (
            Edit("self._effects.append(FetchBlock(missing.hash, holders))", "pass"),
            Edit("self._effects.append(FetchBlock(block_hash, wanted.holders))", "pass"),
        ),
    ),
    Fault("no back-off", (Edit("grown, base = _POWERS[min(steps, _STEPS_MAX)]", "grown, base = 1, 1"),)),
    Fault(
        "no retry after a restart",
        (Edit("self._deadlines.retry_at = self._now + self._timing.retry_ms\n        for", "for"),),
    ),
    Fault(
        "own votes forgotten in the count after a restart",
        (
            Edit(
                "self._effects += [SignVote(kind, self.epoch, view, named) for kind, named in round.promised()]",
                "pass",
            ),
        ),
    ),
    Fault(
        "a later view's certificate is not followed",
        (
            Edit(
                "if self._rounds.certified_view >= self.view:",
                "if not self.view or self._rounds.certified_view == self.view:",
            ),
        ),
    ),
    Fault(
        "no certificate is sent unasked",
        (
            Edit("messages: list[Message] = [] if final is None else [final]", "messages: list[Message] = []"),
            Edit(
                "if entry is not None and entry is not final:\n            messages", "if False:\n            messages"
            ),
            Edit("if not helpful or not self._may_answer(peer, now_ms):", "if True:"),
            Edit("return [] if entry is None else [Send(peer, entry) for peer in behind]", "return []"),
            Edit("carried, rounds.justification(parent_view, vote.view), rounds", "carried, (), rounds"),
        ),
    ),
    Fault(
        "weight of a certificate not checked",
        (Edit("if committee.weight(signers) < committee.quorum:", "if False:"),),
    ),
    Fault(
        "signatures of a certificate not checked",
        (Edit("return all(check(keys[signer]", "return True or all(check(keys[signer]"),),
    ),
    Fault("signature of a vote not checked", (Edit('self._require(self._signed(vote), "vote")', "pass"),)),
)

# What others import comes first, so that nobody has imported the sound one.
_ORDER: Final = (
    "messages", "committee", "timing", "tally", "rounds", "chain", "proposals", "peers", "verify", "core",
)  # fmt: skip


def report(only: str | None, first: int, seeds: int, jobs: int) -> int:
    """Plant every fault, or one; print who was caught by what. Return 1 if one was not."""
    chosen = [fault for fault in FAULTS if only in (None, fault.name)]
    width = max(len(fault.name) for fault in chosen)
    print(f"{'fault':{width}}  seeds  invariant")
    missed = 0
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(lambda fault: hunt_apart(fault, first, seeds), chosen):
            missed += outcome.invariant is None
            print(f"{outcome.name:{width}}  {outcome.seeds:5}  {outcome.invariant or 'not seen'}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} seen")
    return 1 if missed else 0


def homes(edit: Edit) -> list[str]:
    """Return the modules of consensus in which the text of ``edit`` occurs, once for each time."""
    return [module for module in _ORDER for _ in range(_source(module).count(edit.old))]


def _source(module: str) -> str:
    return (ROOT / "consensus" / f"{module}.py").read_text(encoding="utf-8")


def hunt_apart(fault: Fault, first: int, seeds: int) -> Caught:
    command = [sys.executable, "-m", "tests.simulation.planted", fault.name, str(first), str(seeds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if done.returncode:
        raise RuntimeError(f"{fault.name}: {done.stderr}")
    return Caught(fault.name, *json.loads(done.stdout.splitlines()[-1]))


def _plant(fault: Fault) -> None:
    sources: dict[str, str] = {}
    for edit in fault.edits:
        (module,) = homes(edit)
        sources[module] = sources.get(module, _source(module)).replace(edit.old, edit.new)
    for module in sorted(sources, key=_ORDER.index):
        name = f"consensus.{module}"
        assert name not in sys.modules, f"{name} is imported already"
        spec = importlib.util.find_spec(name)
        assert spec is not None
        planted = importlib.util.module_from_spec(spec)
        sys.modules[name] = planted
        exec(compile(sources[module], name, "exec"), planted.__dict__)  # noqa: S102
        setattr(sys.modules["consensus"], module, planted)


def _hunt(fault: Fault, first: int, seeds: int) -> tuple[int, str | None, str]:
    _plant(fault)
    from tests.simulation.cluster import Failure, run
    from tests.simulation.judge import Judge

    if fault.blind:
        Judge.durable = lambda *_: None  # type: ignore[method-assign]
    for count, seed in enumerate(range(first, first + seeds), 1):
        try:
            run(seed)
        except Failure as failure:
            return count, failure.invariant, str(failure).splitlines()[0][:160]
    return seeds, None, ""


if __name__ == "__main__":
    wanted = next(fault for fault in FAULTS if fault.name == sys.argv[1])
    print(json.dumps(_hunt(wanted, int(sys.argv[2]), int(sys.argv[3]))))
