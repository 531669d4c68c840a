"""The simulator runs clean, runs the same again, and sees what is planted. docs/simulator.md."""

import os
import subprocess
import sys
from hashlib import sha256

import pytest

from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    Hash,
    Header,
    Kind,
    Vote,
    make_block,
    payload_hash,
    vote_statement,
)
from tests.simulation import keys
from tests.simulation.application import Executed, encode_payload
from tests.simulation.cluster import Failure, run
from tests.simulation.files import MemoryDisk
from tests.simulation.judge import Judge, Violation
from tests.simulation.plan import draw
from tests.simulation.planted import FAULTS, ROOT, Fault, homes, hunt_apart

SEEDS = range(1_000, 1_024)
COMPARED_SEEDS = range(2_000, 2_004)  # under two hash seeds of Python
PLANTED_SEEDS_MAX = 12  # for a fault that a test hunts: each is seen within a third of these
REGRESSIONS = [
    int(line.split()[0])
    for line in (ROOT / "tests/simulation/regressions.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
QUICKLY_SEEN = (
    "quorum one too small",
    "finalize after nullify",
    "vote not persisted",
    "view skipped without nullification",
    "commit on notarization",
)


@pytest.mark.parametrize("seed", SEEDS)
def test_storms_and_liars_break_no_invariant(seed: int) -> None:
    assert run(seed).heights > 0


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_failed_stays_clean(seed: int) -> None:
    assert run(seed).heights > 0


def test_a_seed_tells_the_same_story_twice() -> None:
    assert run(1_003) == run(1_003)


@pytest.mark.processes
def test_a_story_does_not_depend_on_the_hash_seed_of_python() -> None:
    one, other = (_hashes_of(COMPARED_SEEDS, hash_seed) for hash_seed in ("1", "2"))
    assert one == other
    assert len(one) == len(COMPARED_SEEDS)


def test_seeds_draw_every_size_and_kind_of_liar() -> None:
    plans = [draw(seed) for seed in range(400)]
    assert {len(plan.weights) for plan in plans} == {1, 3, 4, 5, 7, 10}
    assert {family for plan in plans for _, family in plan.liars} == {
        *("silent", "mute-leader", "withhold-votes", "withhold-blocks", "stale", "slow-leader"),
        *("twins", "chaos", "replayer", "forger"),
    }
    for plan in plans:
        assert 3 * sum(plan.weights[index] for index, _ in plan.liars) < sum(plan.weights)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_has_its_place(fault: Fault) -> None:
    for edit in fault.edits:
        assert len(homes(edit)) == 1, f"the text has moved or changed: {edit.old}"
        assert edit.new != edit.old


@pytest.mark.processes
@pytest.mark.parametrize("name", QUICKLY_SEEN)
def test_a_planted_fault_is_seen(name: str) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    caught = hunt_apart(fault, 0, PLANTED_SEEDS_MAX)
    assert caught.invariant is not None


class _Forgetful(MemoryDisk):
    def sync(self, descriptor: int) -> None:
        for path, number in self._live.items():
            if number == self._open[descriptor]:
                self._on_synced(path)


def test_a_disk_that_lies_about_its_syncs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.disk.MemoryDisk", _Forgetful)
    with pytest.raises(Failure, match="durable"):
        _run_all(range(PLANTED_SEEDS_MAX))


# --- the judge is not blind: each invariant fires on a hand-made breach ---

KEYS = sorted((keys.QuickKey(sha256(b"%d" % index).digest()) for index in range(4)), key=lambda key: key.public)
GENESIS_HASH = Hash(sha256(b"judged").digest())
ALL = frozenset(range(4))


@pytest.fixture
def judge() -> Judge:
    judge = Judge(GENESIS_HASH, [key.public for key in KEYS], (1, 1, 1, 1), ALL, keys.quick_verify, GENESIS)
    judge.epoch_starts(0, GENESIS, 1000)
    return judge


def test_the_judge_sees_two_notarize_votes_in_one_view(judge: Judge) -> None:
    for block in (ONE, OTHER):
        judge.learn(block)
    judge.signed(0, _vote(Kind.NOTARIZE, 1, ONE.hash, 0))
    with pytest.raises(Violation, match="discipline"):
        judge.signed(0, _vote(Kind.NOTARIZE, 1, OTHER.hash, 0))


def test_the_judge_sees_finalize_after_nullify(judge: Judge) -> None:
    judge.learn(ONE)
    for signer in (0, 1, 2):
        judge.signed(signer, _vote(Kind.NOTARIZE, 1, ONE.hash, signer))
    judge.signed(0, _vote(Kind.NULLIFY, 1, NO_HASH, 0))
    with pytest.raises(Violation, match="discipline"):
        judge.signed(0, _vote(Kind.FINALIZE, 1, ONE.hash, 0))


def test_the_judge_sees_finalize_without_a_notarization(judge: Judge) -> None:
    judge.learn(ONE)
    with pytest.raises(Violation, match="justified"):
        judge.signed(0, _vote(Kind.FINALIZE, 1, ONE.hash, 0))


def test_the_judge_sees_a_skipped_view_that_nobody_nullified(judge: Judge) -> None:
    skipping = _block(3, GENESIS, 0, b"")
    judge.learn(skipping)
    with pytest.raises(Violation, match="justified"):
        judge.signed(0, _vote(Kind.NOTARIZE, 3, skipping.hash, 0))


def test_the_judge_sees_a_vote_that_was_not_on_disk(judge: Judge) -> None:
    judge.learn(ONE)
    with pytest.raises(Violation, match="durable"):
        judge.durable(0, _vote(Kind.NULLIFY, 1, NO_HASH, 0), set(), lambda _: True)


def test_the_judge_sees_a_vote_that_was_sent_but_not_signed(judge: Judge) -> None:
    with pytest.raises(Violation, match="discipline"):
        judge.sent(0, True, _vote(Kind.NULLIFY, 1, NO_HASH, 0))


@pytest.mark.parametrize("signers", [(), (0, 1), (0, 1, 1)])
def test_the_judge_sees_a_certificate_without_a_quorum(judge: Judge, signers: tuple[int, ...]) -> None:
    with pytest.raises(Violation, match="certificate"):
        judge.finalized(0, (0, GENESIS.hash), (ONE,), _certificate(Kind.FINALIZE, 1, ONE.hash, signers))


def test_the_judge_sees_a_certificate_of_another_kind(judge: Judge) -> None:
    with pytest.raises(Violation, match="certificate"):
        judge.finalized(0, (0, GENESIS.hash), (ONE,), _certificate(Kind.NOTARIZE, 1, ONE.hash, (0, 1, 2)))


def test_the_judge_sees_two_final_blocks_of_one_height(judge: Judge) -> None:
    judge.finalized(0, (0, GENESIS.hash), (ONE,), _certificate(Kind.FINALIZE, 1, ONE.hash, (0, 1, 2)))
    with pytest.raises(Violation, match="agreement"):
        judge.finalized(1, (0, GENESIS.hash), (OTHER,), _certificate(Kind.FINALIZE, 1, OTHER.hash, (0, 1, 2)))


def test_the_judge_sees_a_gap_in_a_chain(judge: Judge) -> None:
    two = _block(2, ONE, 1, b"")
    with pytest.raises(Violation, match="chain"):
        judge.finalized(0, (0, GENESIS.hash), (two,), _certificate(Kind.FINALIZE, 2, two.hash, (0, 1, 2)))


def test_the_judge_sees_a_final_view_that_a_notarized_block_skips() -> None:
    # Three liars: the judge then checks no promise of theirs, only what their votes reach together.
    judge = Judge(GENESIS_HASH, [k.public for k in KEYS], (1, 1, 1, 1), frozenset({3}), keys.quick_verify, GENESIS)
    judge.epoch_starts(0, GENESIS, 1000)
    beside = _block(2, GENESIS, 0, b"")
    for block in (ONE, beside):
        judge.learn(block)
    for kind in (Kind.NOTARIZE, Kind.FINALIZE):
        for signer in (0, 1, 2):
            judge.sent(signer, False, _vote(kind, 1, ONE.hash, signer))
    for signer in (0, 1):
        judge.sent(signer, False, _vote(Kind.NOTARIZE, 2, beside.hash, signer))
    with pytest.raises(Violation, match="descent"):
        judge.sent(2, False, _vote(Kind.NOTARIZE, 2, beside.hash, 2))


def test_the_judge_sees_evidence_against_the_honest(judge: Judge) -> None:
    with pytest.raises(Violation, match="evidence"):
        judge.evidence(0, _vote(Kind.NOTARIZE, 1, ONE.hash, 1), _vote(Kind.NOTARIZE, 1, OTHER.hash, 1))


def test_the_judge_sees_evidence_that_proves_nothing() -> None:
    judge = Judge(GENESIS_HASH, [k.public for k in KEYS], (1, 1, 1, 1), frozenset({0}), keys.quick_verify, GENESIS)
    with pytest.raises(Violation, match="proves nothing"):
        judge.evidence(0, _vote(Kind.NOTARIZE, 1, ONE.hash, 1), _vote(Kind.NULLIFY, 1, NO_HASH, 1))


def test_the_judge_sees_two_states_of_one_height(judge: Judge) -> None:
    judge.executed(0, Executed(1, Hash(bytes(32)), 5, 0, 0))
    with pytest.raises(Violation, match="execution"):
        judge.executed(1, Executed(1, Hash(bytes(32)), 6, 0, 0))


def test_the_judge_sees_money_from_nowhere(judge: Judge) -> None:
    with pytest.raises(Violation, match="execution"):
        judge.executed(0, Executed(1, Hash(bytes(32)), 5, 1, 0))


def _run_all(seeds: range) -> None:
    for seed in seeds:
        run(seed)


def _hashes_of(seeds: range, hash_seed: str) -> dict[int, str]:
    command = [sys.executable, "-m", "tests.simulation", "--first", str(seeds.start), "--seeds", str(len(seeds))]
    done = subprocess.run(
        [*command, "--hash"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    *hashes, _ = done.stdout.splitlines()
    return {int(seed): digest for seed, digest in (line.split() for line in hashes)}


def _block(view: int, parent: Block | None, parent_view: int, note: bytes) -> Block:
    payload = encode_payload([sha256(note).digest()] if note else [])
    header = Header(
        genesis_hash=GENESIS_HASH,
        epoch=0,
        view=view,
        height=parent.header.height + 1 if parent is not None else 0,
        parent_view=parent_view,
        parent_hash=parent.hash if parent is not None else NO_HASH,
        proposer=view % 4,
        timestamp_ms=view,
        validators_hash=NO_HASH,
        next_validators_hash=NO_HASH,
        executed_height=0,
        state_root=NO_HASH,
        payload_hash=payload_hash(payload),
    )
    return make_block(header, payload)


def _vote(kind: Kind, view: int, block_hash: Hash, signer: int) -> Vote:
    statement = vote_statement(GENESIS_HASH, kind, 0, view, block_hash)
    return Vote(kind, 0, view, block_hash, signer, KEYS[signer].sign(statement))


def _certificate(kind: Kind, view: int, block_hash: Hash, signers: tuple[int, ...]) -> Certificate:
    pairs = tuple((signer, _vote(kind, view, block_hash, signer).signature) for signer in signers)
    return Certificate(kind, 0, view, block_hash, pairs)


GENESIS = _block(0, None, 0, b"")
ONE = _block(1, GENESIS, 0, b"")
OTHER = _block(1, GENESIS, 0, b"other")
