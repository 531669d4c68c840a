"""Many seeds at once, and what a seed that failed says: for both simulators."""

import gc
import os
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from itertools import count, islice
from types import FrameType
from typing import Final, NoReturn, TypeVar

SEEDS_PER_PROCESS: Final = 75  # then it ends, and what it has gathered in memory with it: seeds were a quarter slower
CPU_SECONDS_MAX: Final = 300.0  # of a seed, which takes two: one that never ends must say which it is
GC_ALLOCATIONS: Final = 5_000_000  # between two collections; a seed's garbage is collected after it: a tenth faster

Result = TypeVar("Result")
Plan = TypeVar("Plan")


class Failure(Exception):
    """A run broke an invariant. ``again`` is the module that tells the same story again."""

    def __init__(self, seed: int, at_ms: int, invariant: str, detail: str, again: str = "tests.simulation") -> None:
        super().__init__(
            f"seed {seed}: {detail} (at {at_ms} ms)\n  see it again: python -m {again} --seed {seed} --trace"
        )
        self.seed = seed
        self.at_ms = at_ms
        self.invariant = invariant

    def __reduce__(self) -> tuple[object, ...]:
        return _failure_again, (self.args[0], self.seed, self.at_ms, self.invariant)


def _failure_again(text: str, seed: int, at_ms: int, invariant: str) -> Failure:
    failure = Failure(seed, at_ms, invariant, "")
    failure.args = (text,)
    return failure


def outcomes(run: Callable[[int], Result], seeds: Sequence[int], jobs: int) -> Generator[Result | Failure, None, None]:
    """Yield what became of each seed, as they end; ``run`` is a function of a module, for it goes to processes."""
    if jobs == 1:
        yield from map(partial(_attempt, run), seeds)
        return
    share = jobs * SEEDS_PER_PROCESS
    for start in range(0, len(seeds), share):
        yield from _in_processes(run, seeds[start : start + share], jobs)


def seeds_that_draw(
    draw: Callable[[int], Plan], wanted: Callable[[Plan], bool] | None, first: int, number: int
) -> Sequence[int]:
    """Return so many seeds from ``first`` on, or of those the ones whose plan is wanted."""
    if wanted is None:
        return range(first, first + number)
    return list(islice((seed for seed in count(first) if wanted(draw(seed))), number))


def core_seconds() -> float:
    """Return what this process has used of processors, and those that it has waited for: all, between two seeds."""
    return sum(os.times()[:4])


def _in_processes(
    run: Callable[[int], Result], seeds: Sequence[int], jobs: int
) -> Generator[Result | Failure, None, None]:
    with ProcessPoolExecutor(jobs, initializer=_begin_worker) as pool:
        futures = [pool.submit(_attempt, run, seed) for seed in seeds]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    # Ctrl-C goes to all processes of a terminal: the workers end at once and say nothing, the parent says what ran.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(GC_ALLOCATIONS)


class _Endless(BaseException):
    """A seed is given up. Nothing that it runs may catch this as an error of its own."""


def _give_up(number: int, frame: FrameType | None) -> NoReturn:
    raise _Endless


def _attempt(run: Callable[[int], Result], seed: int) -> Result | Failure:
    signal.signal(signal.SIGVTALRM, _give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS_MAX)
    try:
        return run(seed)
    except _Endless:
        return Failure(seed, 0, "endless", f"endless: given up after {CPU_SECONDS_MAX:g} seconds of CPU time")
    except Failure as failure:
        return failure
    except Exception as error:  # the simulator itself is wrong: that seed failed too, and the others go on
        return Failure(seed, 0, "simulator", f"simulator: {error!r}")
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        gc.collect()
