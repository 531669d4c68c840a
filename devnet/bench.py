"""`make bench`: signed payments over the real JSON-RPC against four local validators, and what came of them.

One rule: a figure is what a client sees, or what the kernel counts, never what a validator hopes. At the end the stores
are opened and every balance is added up. docs/performance.md says how to read the figures.

    python -m devnet.bench [--quick] [--accounts N] [--seconds S] [--rate TX_PER_SECOND] [--json FILE]
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from devnet.bench_check import faults
from devnet.bench_load import Nodes, Tally, closed_loop, open_loop
from devnet.bench_measure import Machine, Moment, Reading, cores, look, machine, verify_us
from devnet.bench_sign import ACCOUNTS_MAX, BANKS, Chain, Signers, wallet
from devnet.generate import VALIDATORS, bank_account
from devnet.money import DevnetRefused, Wallet, bank_key, issue, open_wallets, require
from devnet.processes import DevnetError, LocalNetwork
from node.client.client import Client
from node.client.errors import ClientError
from node.ledger.account import SOM
from node.ledger.pay import Pay

WALLET_TYIYN: Final = 1_000_00
FUNDING_LEGS: Final = 2_000  # of one pay: half of what a transaction may carry
WALLETS_AT_ONCE: Final = 8_000  # opened between two messages to the user
LIFETIME_MS: Final = 9 * 60_000  # persons may sign for ten minutes ahead
PROBE_SHARE: Final = 2  # a first closed loop of so many times what is in flight: it tells how much to sign
RESERVE: Final = 1.8  # the probe starts and ends empty, so it is slower
WARM_SECONDS: Final = 3.0  # of each stage, before its window
SHARES: Final = (("quarter", 0.25), ("half", 0.5), ("double", 2.0))  # of saturation, open loop
OVERLOAD_SECONDS: Final = 8.0  # of the stage beyond saturation: what it leaves queued is awaited too
SETTLE_SECONDS: Final = 60.0
CALL_MIN: Final = 2

console = Console(highlight=False, width=120)


@dataclass(frozen=True, slots=True)
class Options:
    """What to run."""

    accounts: int = 10_000
    seconds: float = 20.0
    rates: tuple[float, ...] = ()
    validators: int = 4
    workers: int = 2
    batch: int = 100
    in_flight: int = 2_500
    signature_workers: int = 0
    directory: Path = Path(".devnet/bench")


@dataclass(frozen=True, slots=True)
class Validator:
    """One validator during a stage."""

    name: str
    cpu_us_per_transaction: float
    cpu_share: float  # of one core
    rss_bytes: int
    written_bytes_per_transaction: float
    sent_bytes_per_transaction: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One load. Latencies are from submit to final, as the client sees it, of the last transaction of each call."""

    name: str
    offered_per_second: float | None  # None: closed loop
    seconds: float
    committed_per_second: float
    bound_ratio: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    samples: int
    accepted: int
    refused: dict[str, int]
    outcomes: dict[str, int]
    failed_calls: dict[str, int]
    blocks_per_second: float
    block_ms: float  # mean time of a block, from its proposal to its being stored
    views_nullified: int  # in the window, as the validator that saw most of them counts
    validators: tuple[Validator, ...]
    generator_share: float  # CPU of the load generator, of all cores
    others_share: float  # CPU of processes that have nothing to do with this run
    bound_ratio_of_rest: float  # the bound ratio over the CPU that those left


@dataclass(slots=True)
class Report:
    """All of a run. The bound: cores * 10**6 / (validators * verify_us)."""

    machine: Machine
    options: Options
    verify_us_before: float
    verify_us_after: float = 0.0
    bound_per_second: float = 0.0
    stages: list[Stage] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Bench:
    """A run against a network that is up."""

    def __init__(self, options: Options, network: LocalNetwork, client: Client, signers: Signers) -> None:
        self._options = options
        self._network = network
        self._client = client
        self._signers = signers
        self._nodes = Nodes(network.urls())
        self._pids = {name: network.pid(name) for name in network.names}
        self._urls = {name: network.url(name) for name in network.names}
        self.accepted = 0

    async def probe(self) -> float:
        """Return about how many transactions a second get final, in a short closed loop."""
        calls = iter(await self._signed(PROBE_SHARE * self._options.in_flight))
        tally, began = Tally(self._options.batch), time.monotonic()
        await closed_loop(self._nodes, calls, self._calls_in_flight, tally, asyncio.Event())
        self.accepted += tally.accepted
        return tally.accepted / (time.monotonic() - began)

    async def saturation(self, seconds: float, rate: float) -> "Window":
        """Load as fast as answers come; ``rate`` says how much to sign."""
        calls = iter(await self._signed(rate * (WARM_SECONDS + seconds) + self._options.in_flight))
        return await self._stage(
            None, seconds, lambda tally, stop: closed_loop(self._nodes, calls, self._calls_in_flight, tally, stop)
        )

    async def at_rate(self, seconds: float, rate: float) -> "Window":
        """Load at a given rate of transactions."""
        calls = iter(await self._signed(rate * (WARM_SECONDS + seconds) * 1.2))
        per_second = rate / self._options.batch
        return await self._stage(
            rate, seconds, lambda tally, stop: open_loop(self._nodes, calls, per_second, tally, stop)
        )

    async def settled(self) -> list[str]:
        """Wait until every validator has executed all that was accepted; return what is wrong, if it has not."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            executed = {name: reading.executed for name, reading in (await self.look()).readings.items()}
            if all(count == self.accepted for count in executed.values()):
                return []
            if time.monotonic() > deadline:
                return [f"{name}: {count} executed, {self.accepted} accepted" for name, count in executed.items()]
            await asyncio.sleep(0.5)

    async def look(self) -> Moment:
        """Read all counters."""
        return await asyncio.to_thread(look, asyncio.get_running_loop().time(), self._pids, self._urls)

    @property
    def _calls_in_flight(self) -> int:
        return max(1, self._options.in_flight // self._options.batch)

    def close(self) -> None:
        """Close the connections."""
        self._nodes.close()

    async def _signed(self, transactions: float) -> list[bytes]:
        info = await self._client.info()
        return await asyncio.to_thread(self._signers.calls, int(transactions) + 1, info.now_ms + LIFETIME_MS)

    async def _stage(
        self,
        offered: float | None,
        seconds: float,
        load: Callable[[Tally, asyncio.Event], Awaitable[None]],
    ) -> "Window":
        tally, stop = Tally(self._options.batch), asyncio.Event()
        self._nodes.close()  # what has been idle since the last stage may be closed any moment
        loading = asyncio.ensure_future(load(tally, stop))
        await _sleep(WARM_SECONDS, stop)
        before = await self.look()
        await _sleep(seconds, stop)
        after = await self.look()
        stop.set()
        await loading
        self.accepted += tally.accepted
        return Window(offered, before, after, tally)


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted in the measured part of a stage."""

    offered: float | None
    before: Moment
    after: Moment
    tally: Tally

    @property
    def seconds(self) -> float:
        return self.after.at - self.before.at

    @property
    def committed_per_second(self) -> float:
        """Executed and stored transactions a second, the mean over the validators."""
        counts = [self.after.readings[name].executed - first.executed for name, first in self.before.readings.items()]
        return statistics.mean(counts) / self.seconds

    def stage(self, name: str, validators: int, check_us: float) -> Stage:
        """Return the figures."""
        latencies = self.tally.latencies(self.before.at, self.after.at)
        own = self.after.own_cpu_seconds - self.before.own_cpu_seconds
        theirs = sum(
            self.after.readings[each].cpu_seconds - self.before.readings[each].cpu_seconds
            for each in self.before.readings
        )
        busy = self.after.busy_cpu_seconds - self.before.busy_cpu_seconds
        whole = self.seconds * cores()
        others = max(0.0, busy - own - theirs) / whole
        ratio = self.committed_per_second * validators * check_us / (cores() * 1e6)
        return Stage(
            name=name,
            offered_per_second=self.offered,
            seconds=self.seconds,
            committed_per_second=self.committed_per_second,
            bound_ratio=ratio,
            p50_ms=percentile_ms(latencies, 0.50),
            p95_ms=percentile_ms(latencies, 0.95),
            p99_ms=percentile_ms(latencies, 0.99),
            samples=len(latencies),
            accepted=self.tally.accepted,
            refused=dict(self.tally.refused),
            outcomes=dict(self.tally.outcomes),
            failed_calls=dict(self.tally.failed_calls),
            blocks_per_second=self._grown(lambda each: each.height) / self.seconds,
            block_ms=self._block_ms(),
            views_nullified=int(self._grown(lambda each: each.nullified)),
            validators=tuple(self._validator(each) for each in self.before.readings),
            generator_share=own / whole,
            others_share=others,
            bound_ratio_of_rest=ratio / max(0.01, 1 - others),
        )

    def _block_ms(self) -> float:
        seconds = self._grown(lambda each: each.finality_seconds)
        return seconds / max(1.0, self._grown(lambda each: each.height)) * 1_000

    def _grown(self, count: Callable[[Reading], float]) -> float:
        return max(count(self.after.readings[name]) - count(first) for name, first in self.before.readings.items())

    def _validator(self, name: str) -> Validator:
        first, last = self.before.readings[name], self.after.readings[name]
        executed = max(1, last.executed - first.executed)
        cpu = last.cpu_seconds - first.cpu_seconds
        return Validator(
            name,
            cpu / executed * 1e6,
            cpu / self.seconds,
            last.rss_bytes,
            (last.written_bytes - first.written_bytes) / executed,
            (last.sent_bytes - first.sent_bytes) / executed,
        )


def percentile_ms(ascending: Sequence[float], share: float) -> float | None:
    """Return the smallest latency that at least this share of the samples does not exceed; None without samples."""
    if not ascending:
        return None
    return ascending[max(0, -int(-share * len(ascending) // 1) - 1)] * 1_000


async def run(options: Options) -> Report:
    """Run everything; the report lists what is wrong in ``faults``."""
    began = time.monotonic()
    report = Report(machine(), options, verify_us())
    names = [*VALIDATORS, *(f"bank-{number}" for number in range(len(VALIDATORS), options.validators))]
    network = LocalNetwork(options.directory, names[: options.validators], options.signature_workers)
    console.print(f"Starting {options.validators} validators ...")
    windows: list[tuple[str, Window]] = []
    async with network:
        async with Client(network.urls()) as client:
            await _prepare(client, options.accounts)
            info = await client.info()
            chain = Chain(info.network, bytes.fromhex(info.genesis_hash))
            with Signers(options.workers, chain, options.accounts, options.batch) as signers:
                bench = Bench(options, network, client, signers)
                first = {name: reading.executed for name, reading in (await bench.look()).readings.items()}
                bench.accepted = next(iter(first.values()))
                try:
                    windows = await _load(bench, options)
                    report.faults += await bench.settled()
                finally:
                    bench.close()
        report.faults += [f"{name} ended by itself; see {network.log_path(name)}" for name in network.ended()]
    console.print("Checking the stores ...")
    report.faults += faults({name: options.directory / name for name in network.names}, network.genesis)
    report.verify_us_after = verify_us()
    check_us = (report.verify_us_before + report.verify_us_after) / 2
    report.bound_per_second = cores() * 1e6 / (options.validators * check_us)
    report.stages = [window.stage(name, options.validators, check_us) for name, window in windows]
    for stage in report.stages:
        report.faults += [
            f"{stage.name}: a call failed: {why}, {count} times" for why, count in stage.failed_calls.items()
        ]
        bad = {status: count for status, count in stage.outcomes.items() if status != "applied"}
        report.faults += [f"{stage.name}: {count} payments waited for are {status}" for status, count in bad.items()]
    report.seconds = time.monotonic() - began
    return report


async def _load(bench: Bench, options: Options) -> list[tuple[str, Window]]:
    windows: list[tuple[str, Window]] = []
    if options.rates:
        for rate in options.rates:
            console.print(f"Open loop, {rate:,.0f} tx/s ...")
            windows.append((f"{rate:,.0f} tx/s", await bench.at_rate(options.seconds, rate)))
        return windows
    console.print("Signing for a first try ...")
    probe = await bench.probe()
    console.print(f"About {probe:,.0f} tx/s. Signing, then saturation, closed loop ...")
    full = await bench.saturation(options.seconds, RESERVE * probe)
    windows.append(("saturation", full))
    for name, share in SHARES:
        rate = share * full.committed_per_second
        console.print(f"Open loop, {name} of that: {rate:,.0f} tx/s ...")
        seconds = min(options.seconds, OVERLOAD_SECONDS) if share > 1 else options.seconds
        windows.append((name, await bench.at_rate(seconds, rate)))
    return windows


async def _prepare(client: Client, accounts: int) -> None:
    """Issue money, open the wallets and fill them."""
    console.print(f"Opening {accounts:,} wallets ...")
    await issue(client)
    wallets = [wallet(index) for index in range(accounts)]
    for low in range(0, accounts, WALLETS_AT_ONCE):
        await open_wallets(client, wallets[low : low + WALLETS_AT_ONCE], lambda _: None)
    await _fund(client, wallets)


async def _fund(client: Client, wallets: Sequence[Wallet]) -> None:
    transactions = []
    for bank in range(1, BANKS + 1):
        numbers = sorted(each.number for each in wallets if each.bank == bank)
        payer = bank_account(bank)
        for low in range(0, len(numbers), FUNDING_LEGS):
            legs = tuple((number, WALLET_TYIYN, b"") for number in numbers[low : low + FUNDING_LEGS])
            transactions.append(await client.sign([payer], [Pay(SOM, payer, legs)], [(0, bank_key(bank))]))
    await require(client, transactions)


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, or until there is nothing left to send."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


# --- the report ---


def show(report: Report) -> None:
    """Print it."""
    where = report.machine
    console.print(
        f"\n{where.cpu}, {where.cores} cores, {where.memory_bytes / 2**30:.0f} GiB, Linux {where.kernel}, "
        f"Python {where.python}; load average before the run {where.load_average}"
    )
    console.print(
        f"One signature check: {report.verify_us_before:.1f} us before, {report.verify_us_after:.1f} us after; "
        f"the bound for {report.options.validators} validators on these cores: {report.bound_per_second:,.0f} tx/s\n"
    )
    loads = Table(
        "load",
        "offered",
        "committed tx/s",
        "bound ratio",
        "p50 ms",
        "p95",
        "p99",
        "blocks/s",
        "block ms",
        "nullified",
        "refused",
        box=None,
    )
    costs = Table(
        "load",
        "CPU us/tx",
        "of a core",
        "RSS MB",
        "written B/tx",
        "sent B/tx",
        "generator",
        "others",
        "ratio of rest",
        box=None,
    )
    for table in (loads, costs):
        for column in table.columns[1:]:
            column.justify = "right"
    for stage in report.stages:
        loads.add_row(*_load_row(stage))
        costs.add_row(*_cost_row(stage))
    console.print(loads)
    console.print("\nA validator (the mean of all), and who else used the cores:\n")
    console.print(costs)
    for fault in report.faults:
        console.print(f"[red]{fault}[/red]")
    if not report.faults:
        console.print("\nAll stores: whole, the same roots, the supply is what was issued, nothing accepted was lost.")
    console.print(f"{report.seconds:.0f} s in all.")


def _load_row(stage: Stage) -> list[str]:
    offered = "closed loop" if stage.offered_per_second is None else f"{stage.offered_per_second:,.0f}"
    refused = ", ".join(f"{count:,} {name}" for name, count in stage.refused.items()) or "0"
    times = [f"{ms:,.0f}" if ms is not None else "-" for ms in (stage.p50_ms, stage.p95_ms, stage.p99_ms)]
    chain = [f"{stage.blocks_per_second:.1f}", f"{stage.block_ms:,.0f}", str(stage.views_nullified)]
    return [
        stage.name,
        offered,
        f"{stage.committed_per_second:,.0f}",
        f"{stage.bound_ratio:.2f}",
        *times,
        *chain,
        refused,
    ]


def _cost_row(stage: Stage) -> list[str]:
    def mean(value: Callable[[Validator], float]) -> float:
        return statistics.mean(value(each) for each in stage.validators)

    return [
        stage.name,
        f"{mean(lambda each: each.cpu_us_per_transaction):,.0f}",
        f"{mean(lambda each: each.cpu_share):.0%}",
        f"{mean(lambda each: each.rss_bytes) / 1e6:,.0f}",
        f"{mean(lambda each: each.written_bytes_per_transaction):,.0f}",
        f"{mean(lambda each: each.sent_bytes_per_transaction):,.0f}",
        f"{stage.generator_share:.0%}",
        f"{stage.others_share:.0%}",
        f"{stage.bound_ratio_of_rest:.2f}",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 0, or 1 if anything is wrong."""
    parser, usual = (
        argparse.ArgumentParser(prog="python -m devnet.bench", description=__doc__.split("\n")[0]),
        Options(),
    )
    parser.add_argument("--quick", action="store_true", help="2,000 accounts, windows of 5 s: under a minute")
    parser.add_argument("--accounts", type=int, help=f"wallets that pay each other, up to {ACCOUNTS_MAX:,}")
    parser.add_argument("--seconds", type=float, help="of each measured window")
    parser.add_argument("--rate", type=float, action="append", default=[], help="only an open loop at so many tx/s")
    parser.add_argument("--validators", type=int, default=usual.validators)
    parser.add_argument("--workers", type=int, default=usual.workers, help="processes that sign before the load")
    parser.add_argument("--batch", type=int, default=usual.batch, help="transactions in one call")
    parser.add_argument("--in-flight", type=int, default=usual.in_flight, help="transactions not final, closed loop")
    parser.add_argument("--signature-workers", type=int, default=usual.signature_workers, help="of each validator")
    parser.add_argument("--directory", type=Path, default=usual.directory, help="made anew")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    given = parser.parse_args(arguments)
    options = Options(
        accounts=given.accounts or (2_000 if given.quick else usual.accounts),
        seconds=given.seconds or (5.0 if given.quick else usual.seconds),
        rates=tuple(given.rate),
        validators=given.validators,
        workers=given.workers,
        batch=given.batch,
        in_flight=given.in_flight,
        signature_workers=given.signature_workers,
        directory=given.directory,
    )
    _require(parser, options)
    try:
        report = asyncio.run(run(options))
    except (DevnetError, DevnetRefused, ClientError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    show(report)
    if given.json:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(report, enc_hook=str)) + b"\n")
    return 1 if report.faults else 0


def _require(parser: argparse.ArgumentParser, options: Options) -> None:
    bounds: tuple[tuple[str, float, float, float], ...] = (
        ("--accounts", options.accounts, 100, ACCOUNTS_MAX),
        ("--seconds", options.seconds, 1, 120),
        ("--validators", options.validators, 4, 16),
        ("--workers", options.workers, 1, 64),
        ("--batch", options.batch, CALL_MIN, 1_000),
        ("--in-flight", options.in_flight, options.batch, 40_000),
        ("--signature-workers", options.signature_workers, 0, 64),
        *(("--rate", rate, 1, 20_000) for rate in options.rates),
    )
    for name, value, low, high in bounds:
        if not low <= value <= high:
            parser.error(f"{name}: {low:,} to {high:,}")


if __name__ == "__main__":
    sys.exit(main())
