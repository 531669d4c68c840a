"""An asyncio loop on virtual time: when nothing is ready, the time of the next timer has come.

One rule: what happens, and in which order, depends on the seed alone. There is no socket, no thread and no clock here,
and no order of a set: tasks and futures hash to numbers that the seed draws, so that a set of them (in a TaskGroup that
is cancelled, say) has an order that differs from seed to seed and never between two runs of one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from hashlib import sha256
from heapq import heappush
from random import Random
from typing import Any, Final

HICCUP_EVERY: Final = 4_096  # readings of the clock, on average, between two hiccups


class Stalled(Exception):
    """Nothing is ready and no timer is set: nothing would ever happen again."""


class Runaway(Exception):
    """More turns than any honest run takes: something answers itself for ever."""


class Killed(BaseException):
    """The process is gone: unwinds the stack of the instruction that was its last."""


class Life:
    """One life of a process. What runs in its context stops, between two callbacks, when it ends."""

    def __init__(self, name: str, index: int, disk_seconds: Callable[[], tuple[float, float]]) -> None:
        """``disk_seconds`` draws how long a blocking call waits before it is done, and then until its caller hears."""
        self.name = name
        self.index = index
        self.alive = True
        self.is_open = True  # to clients
        self.terms = 0  # seats that it has lost: what it had accepted by then is for others to bring
        self.disk_seconds = disk_seconds
        self.working = 0  # blocking calls that are not over
        self.tasks: list[asyncio.Task[Any]] = []
        self.parked: list[asyncio.Handle] = []  # what would have run after its end
        self.context = copy_context()
        self.context.run(LIFE.set, self)

    def end(self) -> None:
        """Nothing of it runs any more: as when a process is killed, no code of it sees that."""
        self.alive = self.is_open = False

    def lives_on(self) -> bool:
        """Return whether it has neither died nor been asked to stop."""
        return self.is_open

    def unfinished(self) -> list[asyncio.Task[Any]]:
        return [task for task in self.tasks if not task.done()]

    def note(self, task: "asyncio.Task[Any]") -> None:
        if len(self.tasks) > 2_000:
            self.tasks = self.unfinished()
        self.tasks.append(task)


LIFE: Final[ContextVar[Life | None]] = ContextVar("life", default=None)


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of a run. Times are seconds from 0."""

    def __init__(self, seed: int, hiccup_seconds: float, turns_max: int, trace: bool = False) -> None:
        """A hiccup is time that passes while code runs, so that whoever watches the clock at work gives way."""
        super().__init__()
        self._now = 0.0
        self._seed = seed
        self._order = self.random("order")
        self._hiccups = self.random("hiccups")
        self._hiccup_seconds = hiccup_seconds
        self._until_hiccup = HICCUP_EVERY
        self._turns_max = turns_max
        self._selector = _Selector(self)
        self._clock_resolution = 1e-9
        self._hash = sha256()
        self.tracing = trace
        self.turns = 0
        self.unseen: list[str] = []  # errors that nobody took
        self.set_exception_handler(self._on_unseen)
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]
        self._ready: Any
        self._scheduled: Any

    def random(self, name: str) -> Random:
        """Return the generator of one part: what one part draws does not shift what another draws."""
        return Random(f"{self._seed}/{name}")

    def record(self, what: bytes) -> None:
        """Fold an event into the hash of the run."""
        self._hash.update(b"%d %d " % (int(self._now * 1e6), len(what)))
        self._hash.update(what)

    def digest(self) -> str:
        """Return the hash of all that happened."""
        return self._hash.hexdigest()

    def trace(self, text: str) -> None:
        """Print a line of the story. The caller asks ``tracing`` first."""
        print(f"{self._now:10.4f} s  {text}")

    # --- time ---

    def time(self) -> float:
        if self._hiccup_seconds:
            self._until_hiccup -= 1
            if self._until_hiccup <= 0:
                self._until_hiccup = self._hiccups.randint(1, 2 * HICCUP_EVERY)
                self._now += self._hiccup_seconds
        return self._now

    def now(self) -> float:
        """Return the time without taking any."""
        return self._now

    def pass_time(self, seconds: float | None) -> None:
        """Let the time come at which the next timer is due."""
        if seconds is None:
            raise Stalled("nothing will ever happen again")
        self._now += seconds

    # --- what runs ---

    def _call_soon(self, callback: Any, args: Any, context: Context | None) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def create_future(self) -> "asyncio.Future[Any]":
        return _Future(self._order.getrandbits(60), self)

    def _make_task(
        self, _: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> "asyncio.Task[Any]":
        task = _Task(self._order.getrandbits(60), work, self, context)
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            life.note(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, function: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Do blocking work at one moment of virtual time, and tell of it at a later one. A process may end between."""
        assert executor is None, "no pools here"
        life = LIFE.get()
        assert life is not None
        before, after = life.disk_seconds()
        told = self.create_future()
        life.working += 1

        def work() -> None:
            try:
                outcome: Any = function(*args)
                tell = told.set_result
            except Exception as error:
                outcome, tell = error, told.set_exception
            self.call_later(after, finish, tell, outcome)

        def finish(tell: Callable[[Any], None], outcome: Any) -> None:
            life.working -= 1
            if not told.done():
                tell(outcome)

        self.call_later(before, work)
        return told

    def revive(self, life: Life) -> None:
        """Let what a life left behind run again, so that it can be unwound."""
        life.alive = True
        self._ready.extend(life.parked)
        life.parked.clear()

    def count(self) -> None:
        """Count a turn. Raises Runaway."""
        self.turns += 1
        if self.turns > self._turns_max:
            raise Runaway(f"{self._turns_max} turns")

    def more_turns(self, count: int) -> None:
        """Allow so many more turns from now."""
        self._turns_max = self.turns + count

    def _on_unseen(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Killed):
            return
        self.unseen.append(f"{context['message']}: {error!r}" if error is not None else context["message"])

    # --- what BaseEventLoop leaves to who has sockets ---

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class _Selector:
    """Stands where a selector waits for sockets."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout != 0:
            self._loop.pass_time(timeout)
        self._loop.count()
        return []


class _Handle(asyncio.Handle):
    """A callback that runs only while its life lasts."""

    def _run(self) -> None:
        _run_alive(self)


class _Timer(asyncio.TimerHandle):
    """The same, later."""

    def _run(self) -> None:
        _run_alive(self)


def _run_alive(handle: Any) -> None:
    life = handle._context.get(LIFE)
    if life is None or life.alive:
        asyncio.Handle._run(handle)
    else:
        life.parked.append(handle)


class _Future(asyncio.Future):  # type: ignore[type-arg]
    def __init__(self, order: int, loop: asyncio.AbstractEventLoop) -> None:
        self._place = order
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._place


class _Task(asyncio.Task):  # type: ignore[type-arg]
    def __init__(self, order: int, work: Any, loop: asyncio.AbstractEventLoop, context: Context | None) -> None:
        self._place = order
        super().__init__(work, loop=loop, context=context)

    def __hash__(self) -> int:
        return self._place
