"""One run: a storm, then calm for all, then silence of the clients; what was promised is compared with what is.

One rule: a run is a function of its seed. It ends with a Result or with a Failure that says how to see it again.
"""

import asyncio
import gc
import random as chance
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import structlog

import node.driver
from consensus.crypto import verify
from consensus.messages import Hash
from devnet.generate import CENTRAL_BANK, key_of, make_genesis
from network.wire import PeerId
from node.batches import Held
from node.home import genesis_block
from node.ledger.account import SOM
from node.ledger.execute import META_KEY, genesis_changes, read_meta
from node.ledger.genesis import Genesis
from node.ledger.param import ProveReady, SetParameter
from node.ledger.state import ROSTER
from node.ledger.validators import Keys, roster_hash
from node.members import Members
from node.node import Node
from node.rpc.ports import Readiness
from node.storage.errors import StorageError
from tests.shell.clients import ACCOUNTS, Clients, Door, read_chain
from tests.shell.host import Host
from tests.shell.liars import Liar
from tests.shell.loop import LIFE, Life, Runaway, Stalled, VirtualLoop
from tests.shell.plan import Plan, draw
from tests.shell.sockets import Network
from tests.shell.watch import Watch, payload_refs
from tests.simulation.bounds import narrowed
from tests.simulation.campaign import Failure
from tests.simulation.judge import Judge, Violation
from tests.simulation.plan import DRAFTS
from tests.simulation.succession import Registrar

ANNOUNCE_MS: Final = 700  # between two statements of those who are admitted and wait
SOON_MS: Final = 10  # in calm, until a node that has ended starts again
START_MS: Final = 1_800_000_000_000
NAMES: Final = ("nbkr", *(f"bank-{number}" for number in range(1, 10)))
TURNS_MAX: Final = 6_000_000
BURIAL_TURNS: Final = 1_000_000
CALM_HEIGHTS: Final = 4  # to be final after the storm, so that the chain really moves
LOAD_SECONDS: Final = 4.0  # of clients in calm
QUIET_SECONDS: Final = 8.0  # in which no honest leader is given up, when nobody lies
AGAIN: Final = "tests.shell"  # the module that shows a failing seed again
LINK_SECONDS: Final = 30.0  # until dead links are noticed (15 s), and new ones made (backoff 5 s)
BLOCKED_SECONDS: Final = 60.0
SLACK: Final = 3  # the bounds are for perfect timers; ours wait for queues and disks
ANSWERS_SECONDS: Final = 120.0  # until the most patient client has gone
MEMORY: Final = Path("/dev/shm")  # a file system in memory, where there is one


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    seed: int
    heights: int
    transactions: int
    wrong_share: float  # of what clients submitted
    lives: int
    turns: int
    virtual_ms: int
    digest: str
    committees: int = 1  # different ones that began an epoch


def run(seed: int, trace: bool = False) -> Result:
    """Run one seed. Raises Failure."""
    return run_plan(draw(seed), trace)


def run_plan(plan: Plan, trace: bool = False) -> Result:
    """Run a plan, perhaps one that no seed draws. Raises Failure."""
    loop = VirtualLoop(plan.seed, plan.hiccup_ms / 1e3, TURNS_MAX, trace)
    place = MEMORY if MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="shell-", dir=place) as directory,
        _closed_world(loop, plan),
        narrowed(plan.bounds),
    ):
        story = Story(loop, plan, Path(directory))
        try:
            return loop.run_until_complete(story.tell())
        except Violation as violation:
            raise Failure(plan.seed, int(loop.now() * 1e3), violation.invariant, str(violation), AGAIN) from violation
        except (Runaway, Stalled) as stuck:
            raise Failure(plan.seed, int(loop.now() * 1e3), "bounded", f"bounded: {stuck}", AGAIN) from stuck
        finally:
            loop.more_turns(BURIAL_TURNS)
            loop.run_until_complete(story.bury())
            loop.close()


@contextmanager
def _closed_world(loop: VirtualLoop, plan: Plan) -> Iterator[None]:
    """Nothing from outside gets in: no wall clock, no chance but the seed's; and the journal rotates early."""
    wall, state, rotate_bytes = time.time_ns, chance.getstate(), node.driver.ROTATE_BYTES
    logging, thresholds = structlog.get_config(), gc.get_threshold()
    time.time_ns = lambda: int(START_MS * 1_000_000 + loop.now() * 1e9)
    chance.seed(f"{plan.seed}/chance")
    node.driver.ROTATE_BYTES = plan.rotate_bytes  # type: ignore[misc]
    _log_to(loop)
    gc.set_threshold(50_000, 20, 100)
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        gc.set_threshold(*thresholds)
        structlog.configure(**logging)
        node.driver.ROTATE_BYTES = rotate_bytes  # type: ignore[misc]
        chance.setstate(state)
        time.time_ns = wall
        gc.unfreeze()  # what nodes froze


def _log_to(loop: VirtualLoop) -> None:
    """Let nodes log into the trace, or nowhere."""

    def tell(_: Any, level: str, event: Any) -> str:
        life = LIFE.get()
        fields = " ".join(f"{key}={value}" for key, value in sorted(event.items()) if key != "event")
        return f"{loop.now():10.4f} s  {life.name if life else '-'} {level} {event['event']} {fields}"

    least = 20 if loop.tracing else 50
    structlog.configure(
        processors=[tell],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )


class Story:
    """All that a plan names, and what happens to it."""

    def __init__(self, loop: VirtualLoop, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self.loop = loop
        self._random = loop.random("story")
        self._violation: Violation | None = None
        self._stormy = True
        self._drained_height = 0
        self._genesis = replace(
            make_genesis(START_MS - 60_000, NAMES[: plan.size]), tree_depth=1, epoch_length=plan.epoch_heights
        )
        rows = sorted(self._genesis.validators, key=lambda row: row.consensus_key)
        names = [*(row.name for row in rows), *NAMES[plan.size : plan.nodes]]
        self._keys = [_keys_of(name) for name in names]
        self._honest = frozenset(range(plan.nodes)) - {index for index, _ in plan.liars}
        self.network = Network(loop, plan.weather, plan.nodes, plan.bytes_per_second)
        self.judge = _make_judge(self._genesis, [row.consensus_key for row in rows], self._honest)
        self.watch = Watch(loop, self.judge, self._genesis.hash, self._honest, ACCOUNTS, self.fail)
        ids = [PeerId(pair.node_key) for pair in self._keys]
        self._ids = ids
        self.watch.know(ids, [pair.consensus_key for pair in self._keys])
        self._registrar = Registrar(loop.random("registrar"), self._keys, (plan.faulty,), frozenset(), DRAFTS)
        self._orders = loop.random("orders")
        self._disks = loop.random("disks")
        self.clients = Clients(loop, self._genesis, plan.load_ms, lambda: self._wall_ms(0), self._doors, self.fail)
        self.hosts = [self._make_host(index, directory, ids, names) for index in range(plan.nodes)]
        self.network.on_write = lambda index: self.hosts[index].on_write()

    def fail(self, violation: Violation) -> None:
        """Hear what must never be; the first counts."""
        if self._violation is None:
            self._violation = violation
            if self.loop.tracing:
                self.loop.trace(f"VIOLATION {violation}")

    # --- making ---

    def _make_host(self, index: int, directory: Path, ids: list[PeerId], names: list[str]) -> Host:
        plan = self.plan
        skew_ms = self._random.randint(-plan.skew_ms, plan.skew_ms)
        host = Host(
            self.loop,
            self.network,
            self.watch,
            index,
            names[index],
            directory / names[index],
            self._genesis,
            ids,
            names,
            plan.observers > 0,
            plan.timing,
            plan.disk_ms[index],
            lambda: self._wall_ms(skew_ms),
            index in self._honest,
        )
        host.on_end = self._on_end
        host.on_death = self._on_death
        lies = dict(plan.liars).get(index)
        if lies is not None:
            host.companion = self._companion(index, lies)
        return host

    def _companion(self, index: int, lies: tuple[str, ...]) -> Callable[[Node], Any]:
        def make(one: Node) -> Any:
            return Liar(one, self._ids, lies, self._random, self.clients.known).run()

        return make

    def _wall_ms(self, skew_ms: int) -> int:
        return START_MS + int(self.loop.now() * 1e3) + skew_ms

    def _doors(self) -> list[Door]:
        return [
            Door(host.index, host.life, host.node, host.honest)
            for host in self.hosts
            if host.life is not None and host.life.is_open and host.node is not None and host.node.started.is_set()
        ]

    # --- the story ---

    async def tell(self) -> Result:
        """Storm, calm, silence, the comparison, and the end of all nodes."""
        plan = self.plan
        breaking = self._begin_breaks()
        for host in self.hosts:
            self.loop.call_later(self._random.uniform(0, plan.timing.view_ms / 1e3), self._ensure_up, host)
        loading = asyncio.create_task(self.clients.run())
        announcing = self._begin((ANNOUNCE_MS if plan.appoint_ms else 0, self._announce, self._orders))
        self._plan_losses()
        await self._let_pass(plan.storm_seconds)
        for task in breaking:
            task.cancel()
        await self._calm()
        await self._let_pass(LOAD_SECONDS)
        loading.cancel()
        for task in announcing:
            task.cancel()
        await self._until(self._is_drained, self._drain_seconds(), "drained", self._undrained)
        await self._until(
            lambda: not self.clients.busy, ANSWERS_SECONDS, "answers", lambda: f"{self.clients.busy} wait"
        )
        await self.clients.gone()
        self._compare()
        await self._stay_quiet()
        await self._stop_all()
        return Result(
            plan.seed,
            self.judge.final_height,
            len(self.clients.promises),
            self.clients.wrong / max(1, self.clients.submitted),
            sum(len(host.lives) for host in self.hosts),
            self.loop.turns,
            int(self.loop.now() * 1e3),
            self.loop.digest(),
            self.judge.committees,
        )

    async def _calm(self) -> None:
        """All are up and hear each other: new heights are final within the bound."""
        if self.loop.tracing:
            self.loop.trace("calm")
        self._stormy = False
        self.network.heal(frozenset(range(self.plan.nodes)))
        for host in self.hosts:
            host.trap = None
            host.disk.full = host.disk.unreadable = False
            self._ensure_up(host)
        goal = self.judge.final_height + CALM_HEIGHTS
        await self._until(
            lambda: self._lowest() >= goal,
            self._bound_seconds(),
            "liveness",
            lambda: f"height {goal}: {self._heights()}",
        )

    async def _stay_quiet(self) -> None:
        """Without liars no honest validator gives a leader up, once all have links and links are quick."""
        before = dict(self.watch.nullified)
        await self._let_pass(QUIET_SECONDS)
        plan = self.plan
        slowness_ms = plan.weather.calm_ms + max(plan.disk_ms) + plan.hiccup_ms + 2 * plan.skew_ms
        quick = slowness_ms < plan.timing.leader_ms // 4
        mute = any(guard_too for _, guard_too in plan.wiped)  # who lost its guard, until another epoch begins
        if not plan.liars and not mute and quick and not plan.weather.calm_loss:
            votes = {index: count - before.get(index, 0) for index, count in sorted(self.watch.nullified.items())}
            if any(votes.values()):
                raise Violation("calm", f"NULLIFY votes in {QUIET_SECONDS} s of calm, by validator: {votes}")

    def _compare(self) -> None:
        """What clients were told, what the chain holds and what ledgers say is one and the same.

        A block may have come since all were at one height: each ledger is held to the chain up to its own.
        """
        nodes = [one for host in self.hosts if host.honest and (one := host.node) is not None]
        chains = {one.store.tip.height: one.store for one in nodes}
        read = {height: read_chain(store, self._genesis) for height, store in chains.items()}
        read[max(read)].check_promises(list(self.clients.promises.values()), Life.lives_on)
        for one in nodes:
            chain = read[one.store.tip.height]
            for number, balance in chain.balances.items():
                account = one.ledger.account(number)
                ours = 0 if account is None else account.balance(SOM)
                if ours != balance:
                    raise Violation("money", f"account {number} has {ours} in a ledger, {balance} by the chain")
            for transaction_id, receipt in chain.executed.items():
                stored = one.store.transaction(transaction_id)
                if stored is None or bytes(stored.receipt) != receipt:
                    raise Violation("money", f"{one.config.name} has another receipt of {transaction_id.hex()[:8]}")

    async def _stop_all(self) -> None:
        await asyncio.gather(*(host.stop() for host in self.hosts))
        self._check()
        for host in self.hosts:
            for life in host.lives:
                life.tasks = life.unfinished()  # what is over and was never asked tells so when it is collected
        gc.collect()
        if self.loop.unseen:
            raise Violation("unseen", self.loop.unseen[0])

    async def bury(self) -> None:
        """Unwind what is left of all lives, so that nothing of it is collected half way."""
        for host in self.hosts:
            host.kill(power_lost=False)
        await asyncio.sleep(0.001)
        lives = [life for host in self.hosts for life in host.lives]
        for life in lives:
            await self._unwind(life)
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        gc.collect()
        self.loop.unseen.clear()

    async def _unwind(self, life: Life) -> None:
        self.loop.revive(life)
        for _ in range(100):
            tasks = life.unfinished()
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)

    # --- waiting ---

    async def _let_pass(self, seconds: float) -> None:
        until = self.loop.now() + seconds
        while self.loop.now() < until:
            await asyncio.sleep(min(0.25, until - self.loop.now() + 1e-6))
            self._check()

    async def _until(
        self, holds: Callable[[], bool], seconds: float, invariant: str, detail: Callable[[], str]
    ) -> None:
        until = self.loop.now() + seconds
        while not holds():
            if self.loop.now() > until:
                raise Violation(invariant, f"not in {seconds:.0f} s: {detail()}")
            await asyncio.sleep(0.05)
            self._check()

    def _check(self) -> None:
        if self._violation is not None:
            raise self._violation
        for host in self.hosts:
            if host.honest and host.node is not None:
                self.watch.bounds(host.index, host.node)

    def _nodes(self) -> list[Node]:
        return [host.node for host in self.hosts if host.honest and host.node is not None]

    def _lowest(self) -> int:
        nodes = self._nodes()
        return min(one.store.tip.height for one in nodes) if len(nodes) == len(self._honest) else 0

    def _heights(self) -> dict[int, str]:
        return {
            host.index: "down" if host.node is None else f"{host.node.store.tip.height} v{host.node.driver.core.view}"
            for host in self.hosts
        }

    def _is_drained(self) -> bool:
        """Return whether nothing waits where the chain is longest, and all have come to where it first was so.

        Who follows epochs of three heights that come ten a second is never at their end.
        """
        nodes = self._nodes()
        height = max(one.store.tip.height for one in nodes)
        furthest = [one for one in nodes if one.store.tip.height == height]
        if any(len(one.mempool) or one.executor.queued() for one in furthest):
            return False
        if any(self._will_go(held, furthest[0].driver.members) for one in furthest for held in one.pool.held()):
            return False
        self._drained_height = self._drained_height or height
        return all(one.store.tip.height >= self._drained_height and not len(one.mempool) for one in nodes)

    def _will_go(self, held: Held, seated: Members) -> bool:
        """Return whether a batch must become part of the chain: its honest author spreads it, or enough have it.

        One that its author lost with its power, before a quorum had it, waits until it is too old. So may a liar's.
        """
        holders = [host for host in self.hosts if host.node is not None and held.batch.digest in host.node.pool]
        author = self.hosts[self.watch.index_of(held.batch.author)]
        if not author.honest or self._ids[author.index] not in seated:
            return False
        weight = sum(seated.weight(self._ids[host.index]) for host in holders)
        return author in holders or 3 * weight > 2 * seated.committee.total

    def _undrained(self) -> str:
        return "; ".join(
            f"{one.config.name}: height {one.store.tip.height}, mempool {len(one.mempool)}, pool {len(one.pool)}, "
            f"execution {one.executor.queued()}"
            for one in self._nodes()
        )

    def _bound_seconds(self) -> float:
        plan = self.plan
        view_ms = plan.timing.view_ms_max + plan.timing.idle_ms + plan.weather.calm_ms + 2 * max(plan.disk_ms)
        bad = len(plan.liars) + len(plan.wiped) + len(plan.damaged)
        rounds = (bad + 3) * view_ms + 4 * plan.timing.retry_ms + 2 * plan.skew_ms
        links = LINK_SECONDS + (BLOCKED_SECONDS if plan.liars else 0)
        return links + CALM_HEIGHTS * SLACK * rounds / 1e3

    def _drain_seconds(self) -> float:
        return self._bound_seconds() + 60.0  # the longest life of a transaction

    # --- what happens to them ---

    def _begin_breaks(self) -> list["asyncio.Task[None]"]:
        breaks, weather = self.plan.breaks, self.plan.weather
        return self._begin(
            (breaks.kill_ms, self._kill_one, self._random),
            (breaks.blackout_ms, self._kill_all, self._random),
            (breaks.stop_ms, self._stop_one, self._random),
            (breaks.cut_ms, lambda: self.network.break_one(range(self.plan.nodes)), self._random),
            (weather.partition_ms, self.network.change_partition, self._random),
            (breaks.full_ms, self._fill_disk, self._disks),
            (breaks.unread_ms, self._hide_disk, self._disks),
            (self.plan.appoint_ms, self._appoint, self._orders),
        )

    def _begin(self, *habits: tuple[int, Callable[[], object], Random]) -> list["asyncio.Task[None]"]:
        return [
            asyncio.create_task(self._every(mean_ms, action, random)) for mean_ms, action, random in habits if mean_ms
        ]

    async def _every(self, mean_ms: int, action: Callable[[], object], random: Random) -> None:
        while True:
            await asyncio.sleep(random.uniform(0.2, 1.8) * mean_ms / 1e3)
            action()

    # --- committees ---

    def _appoint(self) -> None:
        """The central bank looks at the roster as somebody has executed it, and asks for another."""
        informed = max(self._nodes(), key=lambda one: one.store.tip.height, default=None)
        if informed is not None:
            roster = informed.epochs.newest_roster()
            listed = self._registrar.next_list(roster)
            if listed is not None:
                self.clients.order(SetParameter(CENTRAL_BANK, ROSTER, roster_hash(roster), listed))

    def _announce(self) -> None:
        """Whoever is admitted and has executed the chain says so, honest or not."""
        for host in self.hosts:
            word = None if host.node is None else _at_once(host.node.service.readiness())
            if isinstance(word, Readiness):
                self.clients.order(ProveReady(CENTRAL_BANK, word.name, word.height, word.root, word.signature))

    # --- disks ---

    def _plan_losses(self) -> None:
        plan = self.plan
        for index, guard_too in plan.wiped:
            self._in_the_storm(self._wipe, self.hosts[index], guard_too)
        for index in plan.damaged:
            self._in_the_storm(self.hosts[index].damage)

    def _in_the_storm(self, action: Callable[..., None], *arguments: object) -> None:
        seconds = self._disks.uniform(0.1, 0.9) * self.plan.storm_seconds
        self.loop.call_later(seconds, action, *arguments, context=self.network.neutral)

    def _wipe(self, host: Host, guard_too: bool) -> None:
        """A machine loses its data. Who loses the guard too signs nothing in any epoch that may have begun. R43"""
        was_up = host.up
        host.wipe(max(self.judge.highest_view, default=0) + 1 if guard_too else None)
        if not was_up:
            self._on_death(host)

    def _fill_disk(self) -> None:
        host = self.hosts[self._disks.choice(sorted(self._honest))]
        host.fill_disk()
        seconds = self._disks.uniform(0.1, 4.0) * self.plan.timing.view_ms / 1e3
        self.loop.call_later(seconds, setattr, host.disk, "full", False, context=self.network.neutral)

    def _hide_disk(self) -> None:
        host = self.hosts[self._disks.choice(sorted(self._honest))]
        host.disk.unreadable = True
        host.kill(power_lost=False)
        seconds = self._disks.uniform(0.1, 4.0) * self.plan.timing.view_ms / 1e3
        self.loop.call_later(seconds, setattr, host.disk, "unreadable", False, context=self.network.neutral)

    def _kill_one(self) -> None:
        victim = self.hosts[self._random.choice(sorted(self._honest))]
        power_lost = self._random.random() < self.plan.breaks.power_share
        if self._random.random() < 0.3:
            victim.kill(power_lost)
        elif victim.trap is None:
            victim.set_trap(self._random.randint(1, 30), power_lost)

    def _kill_all(self) -> None:
        for host in self.hosts:
            if host.honest:
                host.kill(self._random.random() < self.plan.breaks.power_share)

    def _stop_one(self) -> None:
        victim = self.hosts[self._random.choice(sorted(self._honest))]
        if victim.node is not None and victim.node.started.is_set():
            stopping = asyncio.create_task(self._stop_and_start(victim))
            self._keep(stopping)

    async def _stop_and_start(self, host: Host) -> None:
        try:
            await host.stop()
        except Violation:
            return  # told already
        if host.life is None:
            self._on_death(host)

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._stopping = [one for one in getattr(self, "_stopping", []) if not one.done()] + [task]

    def _on_death(self, host: Host) -> None:
        down_ms = self._random.randint(5, self.plan.breaks.down_ms) if self._stormy else SOON_MS
        self.loop.call_later(down_ms / 1e3, self._ensure_up, host, context=self.network.neutral)

    def _ensure_up(self, host: Host) -> None:
        if host.life is None:
            try:
                host.start()
            except Violation:
                pass  # told already
            except StorageError as error:
                if not host.troubled:
                    self.fail(Violation("recovery", f"n{host.index} does not start: {error!r}"))
                self._on_failed_disk(host)

    def _on_failed_disk(self, host: Host) -> None:
        """A node has ended for what its disk said: it is started again, or its operator throws the chain away first."""
        if host.damaged:
            host.wipe(None)
        self._on_death(host)

    def _on_end(self, host: Host, error: BaseException | None) -> None:
        """A node has ended by itself: it may not, but for what its disk says."""
        if isinstance(error, BaseExceptionGroup):
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
        if isinstance(error, StorageError) and host.troubled:
            host.kill(power_lost=False)
            if host.damaged:
                host.wipe(None)
        elif host.honest:
            self.fail(Violation("well-behaved", f"n{host.index} ended by itself: {error!r}"))


def _keys_of(name: str) -> Keys:
    return Keys(*(bytes(key_of(f"{name}-{use}").public) for use in ("consensus", "node")))


def _make_judge(genesis: Genesis, keys: list[bytes], honest: frozenset[int]) -> Judge:
    block = genesis_block(genesis, read_meta(genesis_changes(genesis)[META_KEY], genesis))
    judge = Judge(Hash(genesis.hash), keys, [1] * len(keys), honest, verify, block)
    judge.refs = payload_refs
    return judge


def _at_once(answer: Coroutine[Any, Any, Readiness | tuple[str, ...]]) -> Readiness | tuple[str, ...]:
    """Return what a node with its own key answers: it waits for nobody."""
    try:
        answer.send(None)
    except StopIteration as ended:
        found: Readiness | tuple[str, ...] = ended.value
        return found
    raise AssertionError("it waited")
