"""The simulator runs clean and runs the same again. docs/simulator.md. (What it sees: test_mutants.)"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.cluster import Failure, run
from tests.simulation.files import MemoryDisk
from tests.simulation.liars import FAMILIES
from tests.simulation.plan import draw

ROOT = Path(__file__).parent.parent
SEEDS = range(1_000, 1_024)
COMPARED_SEEDS = range(2_000, 2_004)  # under two hash seeds of Python
LYING_SEEDS_MAX = 12  # with a disk that lies: it is seen within a third of these
REGRESSIONS = [
    int(line.split()[0])
    for line in (ROOT / "tests/simulation/regressions.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


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
    assert {family for plan in plans for _, family in plan.liars} == set(FAMILIES)
    for plan in plans:
        assert 3 * sum(plan.weights[index] for index, _ in plan.liars) < sum(plan.weights)


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
