"""The simulator runs clean and runs the same again. docs/simulator.md. (What it sees: test_mutants.)"""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from consensus.committee import VALIDATORS_MAX
from node.ledger.execute import Ledger
from node.ledger.param import Listed
from node.ledger.transaction import decode_transaction
from node.ledger.validators import Roster
from node.ledger.versions import NEWEST
from tests.simulation import keys
from tests.simulation.campaign import Failure
from tests.simulation.cluster import Cluster, run
from tests.simulation.files import MemoryDisk
from tests.simulation.liars import FAMILIES
from tests.simulation.money import Clients, genesis_rows, make_genesis
from tests.simulation.network import Weather
from tests.simulation.plan import Breaks, draw
from tests.simulation.succession import Registrar
from tests.simulation.validator import EPOCH_MS

ROOT = Path(__file__).parent.parent
SEEDS = range(1_000, 1_024)
LARGEST = [seed for seed in range(1_000) if len(draw(seed).weights) == VALIDATORS_MAX][:2]
COMPARED_SEEDS = range(2_000, 2_004)  # under two hash seeds of Python
LYING_SEEDS_MAX = 12  # with a disk that lies: it is seen within a third of these
CLEAR = Weather(
    low_ms=1,
    high_ms=20,
    near_timeout=0.0,
    timeouts_ms=(1_000,),
    loss=0.01,
    duplicate=0.0,
    partition_ms=0,
    calm_low_ms=1,
    calm_ms=20,
    calm_loss=0.0,
)
REGRESSIONS = [
    int(line.split()[0])
    for line in (ROOT / "tests/simulation/regressions.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("seed", SEEDS)
def test_storms_and_liars_break_no_invariant(seed: int) -> None:
    assert run(seed).heights > 0


@pytest.mark.parametrize("seed", LARGEST)
def test_a_storm_over_the_largest_committee_comes_to_its_end(seed: int) -> None:
    assert run(seed).heights > 0


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_failed_stays_clean(seed: int) -> None:
    assert run(seed).heights > 0


UPGRADED = (23, 72, 80, 105)  # seeds with old software in them, which end under the new version


@pytest.mark.parametrize("seed", UPGRADED)
def test_old_and_new_software_make_one_chain_and_end_under_the_new_version(seed: int) -> None:
    result = run(seed)
    assert result.old > 0
    assert result.version == NEWEST


def test_a_seed_tells_the_same_story_twice() -> None:
    assert run(1_003) == run(1_003)


@pytest.mark.processes
def test_a_story_does_not_depend_on_the_hash_seed_of_python() -> None:
    one, other = (_hashes_of(COMPARED_SEEDS, hash_seed) for hash_seed in ("1", "2"))
    assert one == other
    assert len(one) == len(COMPARED_SEEDS)


def test_seeds_draw_every_size_and_kind_of_liar() -> None:
    plans = [draw(seed) for seed in range(2_000)]
    assert {len(plan.weights) for plan in plans} == {1, 3, 4, 5, 7, 10, 21, 31}
    assert {family for plan in plans for _, family in plan.liars} == set(FAMILIES)
    for plan in plans:
        faulty = [node for node, _ in (*plan.liars, *plan.wiped)]
        assert len(set(faulty)) == len(faulty)
        assert 3 * sum(plan.weights[node] for node in faulty) < sum(plan.weights)
        assert 3 * sum(plan.weights[node] for node in plan.jumping) < sum(plan.weights)
    assert {plan.observers for plan in plans} >= {0, 1, 2, 3}
    assert {guard_too for plan in plans for _, guard_too in plan.wiped} == {True, False}
    assert any(plan.breaks.full_ms for plan in plans)
    assert any(plan.appoint_ms for plan in plans)


def test_a_committee_changes_until_nobody_of_the_first_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def four_others(self: Registrar, _: Roster) -> tuple[Listed, ...]:
        return tuple(Listed(f"v{node:02}", 1, "", *self.keys[node + 4]) for node in range(4))

    monkeypatch.setattr(Registrar, "next_list", four_others)
    plan = replace(
        draw(1_003),
        weights=(1,) * 4,
        liars=(),
        wiped=(),
        jumping=(),
        epoch_heights=5,
        heights=60,
        observers=4,
        appoint_ms=2_000,
        storm_ms=200_000,
        weather=CLEAR,
        breaks=Breaks(4_000, 0, 0, 0, 1_000),
    )
    keys.use(real=False)
    try:
        cluster = Cluster(plan, trace=False)
        result = cluster.run()
    finally:
        keys.use(real=True)
    assert result.committees > 1
    first, last = ({row.node_key for row in cluster.rows[epoch]} for epoch in (0, max(cluster.rows)))
    assert not first & last


def test_who_lost_its_guard_votes_again_in_a_later_epoch_and_not_before() -> None:
    plan = replace(
        draw(1_003),
        weights=(1,) * 7,
        liars=(),
        wiped=((1, True), (2, False)),
        jumping=(),
        epoch_heights=4,
        heights=40,
        observers=0,
        appoint_ms=0,
        storm_ms=10_000,
        weather=CLEAR,
        breaks=Breaks(0, 0, 0, 0, 1_000, full_ms=4_000),
    )
    keys.use(real=False)
    try:
        cluster = Cluster(plan, trace=False)
        cluster.run()
    finally:
        keys.use(real=True)
    for one in cluster.validators:
        assert one.disk.guard is not None
        epochs = {epoch for _, epoch, _, _ in one.disk.signed}
        assert min(epochs) >= one.disk.guard.watermark[0]
        assert max(epochs) >= cluster.judge.final_height // 4 - 1
    assert cluster.validators[1].disk.guard is not None
    assert cluster.validators[1].disk.guard.watermark[0] > 0


def test_clients_send_what_must_be_refused() -> None:
    genesis = make_genesis(EPOCH_MS, ())
    ledger = Ledger(genesis_rows(genesis), genesis)
    clients = Clients(Random("clients"), genesis)
    codes: Counter[int] = Counter()
    for height in range(1, 120):
        raws = clients.transactions(EPOCH_MS + height * 1_000)
        done = ledger.execute(
            height, EPOCH_MS + height * 1_000, 1, [decode_transaction(raw, genesis.hash) for raw in raws]
        )
        codes.update(receipt.code for receipt in done.receipts)
    refused = 1 - codes[0] / codes.total()
    assert 0.3 < refused < 0.7
    assert len(codes) > 4


class _Forgetful(MemoryDisk):
    def sync(self, descriptor: int) -> None:
        for path, number in self._live.items():
            if number == self._open[descriptor]:
                self._on_synced(path)


def test_a_disk_that_lies_about_its_syncs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.disk.MemoryDisk", _Forgetful)
    with pytest.raises(Failure, match="durable"):
        _run_all(range(LYING_SEEDS_MAX))


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
