"""One run of a scenario: a network is started, loaded, measured, stopped, and its stores are checked.

One rule: a figure is what a client sees, or what the kernel counts, never what a validator hopes.
"""

import asyncio
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from devnet.bench.check import faults
from devnet.bench.load import APPLIED, Nodes, Tally, closed_loop, open_loop
from devnet.bench.measure import Moment, Reading, cores, look, verify_us
from devnet.bench.network import BenchNetwork, names_of
from devnet.bench.prepare import prepared
from devnet.bench.profile import Profiler, spy
from devnet.bench.results import Run, Stage, ValidatorCost, latency_of
from devnet.bench.scenarios import PAYLOADS, Load, Scenario
from devnet.bench.sign import Call, Chain, Mix, Signers
from node.client.client import Client
from node.ledger.genesis import Genesis

LIFETIME_MS: Final = 9 * 60_000  # persons may sign for ten minutes ahead
PROBE_SHARE: Final = 2  # a first closed loop of so many times what is in flight: it tells how much to sign
RESERVE: Final = 1.8  # the probe starts and ends empty, so it is slower
WARM_SECONDS: Final = 3.0  # of each stage, before its window
WHOLE_SHARE: Final = 0.9  # of its seconds that a closed loop has to have lasted to be a figure
OVERLOAD_SECONDS: Final = 15.0  # of a stage beyond saturation: what it leaves queued is awaited too
SETTLE_SECONDS: Final = 90.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted in the measured part of a stage."""

    load: Load
    offered: float | None
    before: Moment
    after: Moment
    tally: Tally
    cpu_parts: dict[str, float]

    @property
    def seconds(self) -> float:
        return self.after.at - self.before.at

    @property
    def committed_per_second(self) -> float:
        """Executed and stored transactions a second, the mean over the validators."""
        counts = [self.after.readings[name].executed - first.executed for name, first in self.before.readings.items()]
        return statistics.mean(counts) / self.seconds

    def stage(self, scenario: Scenario, running: int, check_us: float) -> Stage:
        """Return the figures."""
        own = self.after.own_cpu_seconds - self.before.own_cpu_seconds
        theirs = self.after.other_cpu_seconds - self.before.other_cpu_seconds
        theirs += sum(
            self.after.readings[each].cpu_seconds - self.before.readings[each].cpu_seconds
            for each in self.before.readings
        )
        busy = self.after.busy_cpu_seconds - self.before.busy_cpu_seconds
        whole = self.seconds * cores()
        others = min(1.0, max(0.0, busy - own - theirs) / whole)
        ratio = self.committed_per_second * running * check_us / (cores() * 1e6)
        payments = 0.5 if scenario.payload == "holds" else PAYLOADS[scenario.payload].legs
        return Stage(
            name=self.load.name,
            offered_per_second=self.offered,
            seconds=self.seconds,
            committed_per_second=self.committed_per_second,
            payments_per_second=self.committed_per_second * payments,
            bound_ratio=ratio,
            bound_ratio_of_rest=ratio / max(0.01, 1 - others),
            latency=latency_of(self.tally.latencies(self.before.at, self.after.at)),
            accepted=self.tally.accepted,
            refused=dict(self.tally.refused),
            outcomes=dict(self.tally.outcomes),
            failed_calls=dict(self.tally.failed_calls),
            blocks_per_second=self._grown(lambda each: each.height) / self.seconds,
            block_ms=self._block_ms(),
            views_nullified=int(self._grown(lambda each: each.nullified)),
            validators=tuple(self._cost(each) for each in self.before.readings),
            generator_share=own / whole,
            others_share=others,
            cpu_parts=self.cpu_parts,
        )

    def _block_ms(self) -> float:
        seconds = self._grown(lambda each: each.finality_seconds)
        return seconds / max(1.0, self._grown(lambda each: each.height)) * 1_000

    def _grown(self, count: Callable[[Reading], float]) -> float:
        return max(count(self.after.readings[name]) - count(first) for name, first in self.before.readings.items())

    def _cost(self, name: str) -> ValidatorCost:
        first, last = self.before.readings[name], self.after.readings[name]
        executed = max(1, last.executed - first.executed)
        cpu = last.cpu_seconds - first.cpu_seconds
        return ValidatorCost(
            name,
            cpu / executed * 1e6,
            cpu / self.seconds,
            last.rss_bytes,
            (last.written_bytes - first.written_bytes) / executed,
            (last.sent_bytes - first.sent_bytes) / executed,
        )


class Bench:
    """Loads a network that is up."""

    def __init__(self, scenario: Scenario, network: BenchNetwork, client: Client, signers: Signers) -> None:
        self._scenario = scenario
        self._network = network
        self._client = client
        self._signers = signers
        payload = PAYLOADS[scenario.payload]
        self._batch = scenario.batch or payload.batch
        self._calls_in_flight = max(1, (scenario.in_flight or payload.in_flight) // self._batch)
        self._urls = {name: network.url(name) for name in network.well}
        self._nodes = Nodes(list(self._urls.values()))
        self.accepted = 0

    def close(self) -> None:
        """Close the connections."""
        self._nodes.close()

    async def all_loads(self, tell: Tell) -> list[Window]:
        """Take the network through all loads."""
        windows: list[Window] = []
        saturation = 0.0
        for load in self._scenario.loads:
            if load.closed:
                tell("Signing for a first try ...")
                probe = await self._probe()
                tell(f"About {probe:,.0f} tx/s. Signing, then {load.name}, closed loop ...")
                windows.append(await self._saturation(load, probe, tell))
                saturation = windows[-1].committed_per_second
                continue
            rate = load.rate if load.share is None else load.share * saturation
            assert rate, "a share is of the saturation that was measured before"
            tell(f"Open loop, {load.name}: {rate:,.0f} tx/s ...")
            windows.append(await self._at_rate(load, rate))
        return windows

    async def settled(self) -> list[str]:
        """Wait until every validator has executed all that was accepted; return what is wrong, if it has not."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            executed = {name: reading.executed for name, reading in (await self._look()).readings.items()}
            if all(count == self.accepted for count in executed.values()):
                return []
            if time.monotonic() > deadline:
                return [f"{name}: {count} executed, {self.accepted} accepted" for name, count in executed.items()]
            await asyncio.sleep(0.5)

    async def _probe(self) -> float:
        """Return about how many transactions a second get final, in a short closed loop."""
        calls = iter(await self._signed(PROBE_SHARE * self._calls_in_flight * self._batch))
        tally, began = Tally(), time.monotonic()
        await closed_loop(self._nodes, calls, self._calls_in_flight, tally, asyncio.Event())
        self.accepted += tally.accepted
        return tally.accepted / (time.monotonic() - began)

    async def _saturation(self, load: Load, probe: float, tell: Tell) -> Window:
        """Load as fast as answers come; ``probe`` says how much to sign, and is doubled until that lasts."""
        seconds = self._scenario.seconds
        while True:
            count = RESERVE * probe * (WARM_SECONDS + seconds) + self._calls_in_flight * self._batch
            calls = iter(await self._signed(count))
            window = await self._stage(
                *(load, None, seconds),
                partial(closed_loop, self._nodes, calls, self._calls_in_flight),
            )
            if window.seconds >= WHOLE_SHARE * seconds:
                return window
            probe *= 2
            tell(f"What was signed lasted {window.seconds:.1f} s of {seconds:g}. Signing for {probe:,.0f} tx/s ...")

    async def _at_rate(self, load: Load, rate: float) -> Window:
        """Load at a given rate of transactions."""
        seconds = self._scenario.seconds
        if load.share is not None and load.share > 1:
            seconds = min(seconds, OVERLOAD_SECONDS)
        calls = iter(await self._signed(rate * (WARM_SECONDS + seconds) * 1.2))
        per_second = rate / self._batch
        return await self._stage(
            load, rate, seconds, lambda tally, stop: open_loop(self._nodes, calls, per_second, tally, stop)
        )

    async def _signed(self, transactions: float) -> list[Call]:
        info = await self._client.info()
        return await asyncio.to_thread(self._signers.calls, int(transactions) + 1, info.now_ms + LIFETIME_MS)

    async def _stage(
        self,
        load: Load,
        offered: float | None,
        seconds: float,
        make: Callable[[Tally, asyncio.Event], Awaitable[None]],
    ) -> Window:
        tally, stop = Tally(), asyncio.Event()
        profiler = Profiler(
            {name: self._network.pid(name) for name in self._urls} if self._scenario.profile else {},
            self._network.directory,
        )
        self._nodes.close()  # what has been idle since the last stage may be closed any moment
        loading = asyncio.ensure_future(make(tally, stop))
        try:
            await _sleep(WARM_SECONDS, stop)
            await profiler.start()
            before = await self._look()
            await _sleep(seconds, stop)
            after = await self._look()
            parts = await profiler.stop()
            stop.set()
            await loading
        finally:
            loading.cancel()
            await profiler.stop()
        self.accepted += tally.accepted
        return Window(load, offered, before, after, tally, parts)

    async def _look(self) -> Moment:
        """Read all counters."""
        network, now = self._network, asyncio.get_running_loop().time()
        pids = {name: network.pid(name) for name in self._urls}
        return await asyncio.to_thread(look, now, pids, self._urls, network.other_pids())


async def run(scenario: Scenario, directory: Path, workers: int, tell: Tell) -> Run:
    """Run everything once; what is wrong stands in ``faults``. ``workers`` processes sign."""
    started_ms, began = time.time_ns() // 1_000_000, time.monotonic()
    before_us = verify_us()
    payload = PAYLOADS[scenario.payload]
    mix = Mix(scenario.accounts, scenario.payload, scenario.draw, scenario.batch or payload.batch)
    tell(f"{scenario.accounts:,} wallets ...")
    made = await prepared(names_of(scenario.validators), scenario.accounts, workers, tell)
    if scenario.profile and spy() is None:
        tell("py-spy is not installed: no profile.")
    network = BenchNetwork(directory, scenario, made)
    found: list[str] = []
    tell(f"Starting {scenario.validators} validators ...")
    async with network, Client([network.url(name) for name in network.well]) as client:
        chain = Chain(made.genesis.network, made.genesis.hash)
        with Signers(workers, chain, mix) as signers:
            bench = Bench(scenario, network, client, signers)
            try:
                async with network.trouble():
                    windows = await bench.all_loads(tell)
                found += await bench.settled()
            finally:
                bench.close()
        ended = [name for name in network.ended() if name in network.running]
        found += [f"{name} ended by itself; see {network.log_path(name)}" for name in ended]
    tell("Checking the stores ...")
    homes = {name: directory / name for name in network.names}
    found += await _checked(homes, network.genesis)
    after_us = verify_us()
    check_us = (before_us + after_us) / 2
    stages = tuple(window.stage(scenario, len(network.running), check_us) for window in windows)
    return Run(
        started_ms=started_ms,
        seconds=time.monotonic() - began,
        verify_us_before=before_us,
        verify_us_after=after_us,
        bound_per_second=cores() * 1e6 / (len(network.running) * check_us),
        stages=stages,
        faults=(*found, *_wrong(stages)),
    )


async def _checked(homes: Mapping[str, Path], genesis: Genesis) -> list[str]:
    """Return what is wrong with the stores; who is cancelled waits for no more than the one that is being read."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(faults, homes, genesis, stop.is_set)
    finally:
        stop.set()


def _wrong(stages: Iterable[Stage]) -> list[str]:
    """Return what no load should lead to."""
    found = []
    for stage in stages:
        found += [f"{stage.name}: a call failed: {why}, {count} times" for why, count in stage.failed_calls.items()]
        bad = {status: count for status, count in stage.outcomes.items() if status != APPLIED}
        found += [f"{stage.name}: {count} payments waited for are {status}" for status, count in bad.items()]
    return found


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, or until there is nothing left to send."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
