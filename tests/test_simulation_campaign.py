"""Many seeds: each runs once, in processes that do not live for long; a failure and Ctrl-C tell what has been run."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial

import pytest

from tests.simulation import campaign
from tests.simulation.campaign import Failure, outcomes

BAD = 5


def process_of(seed: int) -> tuple[int, int]:
    """Return who runs a seed; one of them fails."""
    if seed == BAD:
        raise Failure(seed, 7, "agreement", "agreement: two chains")
    return seed, os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_seed_runs_once_and_a_failure_says_which(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "SEEDS_PER_PROCESS", 2)
    ended = list(outcomes(process_of, range(9), jobs))
    (failure,) = [outcome for outcome in ended if isinstance(outcome, Failure)]
    assert (failure.seed, failure.invariant) == (BAD, "agreement")
    assert "--seed 5 --trace" in str(failure)
    assert sorted(outcome[0] for outcome in ended if not isinstance(outcome, Failure)) == [0, 1, 2, 3, 4, 6, 7, 8]


def test_processes_end_after_a_share_of_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "SEEDS_PER_PROCESS", 2)
    ran = dict(outcome for outcome in outcomes(process_of, range(10, 22), 2) if not isinstance(outcome, Failure))
    shares = [{ran[seed] for seed in range(start, start + 4)} for start in (10, 14, 18)]
    assert not shares[0] & shares[1]
    assert not shares[1] & shares[2]
    assert os.getpid() not in ran.values()


def never_ending(seed: int) -> int:
    """Return the seed; one of them is caught in a loop that no event ends, and that takes errors for its own."""
    while seed == BAD:
        with suppress(Exception):
            sum(range(1_000))
    return seed


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_seed_that_never_ends_is_given_up_and_named(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "CPU_SECONDS_MAX", 0.2)
    ended = list(outcomes(never_ending, range(4, 8), jobs))
    (failure,) = [outcome for outcome in ended if isinstance(outcome, Failure)]
    assert (failure.seed, failure.invariant) == (BAD, "endless")
    assert sorted(outcome for outcome in ended if not isinstance(outcome, Failure)) == [4, 6, 7]


def test_ctrl_c_prints_what_has_been_run() -> None:
    command = (
        sys.executable,
        "-u",
        "-m",
        "tests.simulation",
        "--first",
        "3014",
        "--seeds",
        "99999",
        "--jobs",
        "2",
        "--hash",
    )
    heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heard
    ) as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        os.killpg(running.pid, signal.SIGINT)
        rest = running.stdout.read()
    assert re.fullmatch(r"\d+ [0-9a-f]{64}\n", first)
    assert "interrupted before the end of 99999 seeds" in rest
    assert re.search(r"\d+ seeds clean, 0 failed; \d+ heights, \d+ events in .* core-seconds: \d+ heights per", rest)
    assert running.returncode == 130
