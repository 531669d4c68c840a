"""Many seeds at once, and what a seed that failed says: for both simulators."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")


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


def outcomes(run: Callable[[int], Result], seeds: Iterable[int], jobs: int) -> Iterator[Result | Failure]:
    """Yield what became of each seed, as they end; ``run`` is a function of a module, for it goes to processes."""
    if jobs == 1:
        yield from map(partial(_attempt, run), seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(_attempt, run, seed) for seed in seeds]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _attempt(run: Callable[[int], Result], seed: int) -> Result | Failure:
    try:
        return run(seed)
    except Failure as failure:
        return failure
