"""`make country`: the pensions of a whole country on four local validators, and what that took.

One rule: what is prepared and what is measured are kept apart. Prepared, once, and kept: a chain in whose blocks every
wallet is opened (country_chain.py). Measured: validators starting on it, the Treasury paying every wallet over
the JSON-RPC in pays of 1,000 legs, banks opening more wallets, a validator starting again. Then every wallet of
every validator is read and compared. docs/performance.md says how to read the figures.

    python -m devnet.country [--accounts N] [--fresh] [--json FILE]
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from devnet.banner import make_console
from devnet.bench import sign
from devnet.bench.measure import Machine, Moment, cores, look, machine, verify_us
from devnet.bench.sign import wallet
from devnet.country_chain import ACCOUNTS_MAX, Country, kept, prepare, recipients, serials, supply
from devnet.country_check import Expected, check
from devnet.generate import TREASURY, bank_account, key_of
from devnet.money import BANKS, DevnetRefused, bank_key, require
from devnet.offline import Openings, openings
from devnet.processes import READY_SECONDS, DevnetError, LocalNetwork
from node.client.client import Client
from node.client.errors import ClientError
from node.client.outbox import State
from node.ledger.account import SOM
from node.ledger.account_ops import CloseAccount
from node.ledger.pay import Pay
from node.ledger.transaction import Transaction, decode_transaction
from node.rpc.types import GetInfoResult
from node.storage.disk import bytes_in

ACCOUNTS: Final = 7_000_000
ACCOUNTS_MIN: Final = 1_000
LEGS: Final = 1_000  # of a pay; with a reference of 16 bytes each, 42 kB
CALL: Final = 8  # pays sent together and awaited
CALLS_AT_ONCE: Final = 2  # at each validator
CLOSED: Final = 7  # wallets closed before the run: their pensions must be skipped, and fail nothing
OPENED: Final = 3_200  # wallets opened over the RPC, to learn what that takes
START_US: Final = 300  # an account, of patience: four validators start at once, and others may use the cores
PAY_SECONDS: Final = 3_600.0
SETTLE_SECONDS: Final = 120.0
VICTIM: Final = "bank-3"
LIFETIME_MS: Final = 60 * 60_000

console = make_console()


class Wrong(Exception):
    """A pay did not do what it should; the text says which."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One measured part; a validator's figures are the mean of all, but memory: that of the greediest."""

    name: str
    count: int  # pensions, or wallets
    seconds: float
    cpu_us: float  # of one validator, for each
    written_bytes: float  # likewise, to the disk
    generator_share: float  # of all cores
    others_share: float  # of all cores: processes that have nothing to do with this


@dataclass(slots=True)
class Report:
    """All of a run."""

    machine: Machine
    accounts: int
    prepared_seconds: float
    verify_us: float
    started_seconds: float = 0.0  # all validators at once, from their start to the last one's readiness
    restarted_seconds: float = 0.0  # one, killed, while the others go on
    phases: list[Phase] = field(default_factory=list)
    rss_max_bytes: int = 0
    of_which_tables_bytes: int = 0  # mapped tables of LevelDB: the kernel's to take back
    store_bytes: int = 0
    heights: int = 0
    faults: list[str] = field(default_factory=list)


class Run:
    """A run against a network that is up."""

    def __init__(self, network: LocalNetwork, country: Country, report: Report) -> None:
        self._network = network
        self._genesis = country.genesis
        self._accounts = country.made.accounts
        self._report = report
        self._pids = {name: network.pid(name) for name in network.names}
        self._urls = {name: network.url(name) for name in network.names}
        self.closed = frozenset(wallet(at).number for at in _spread(self._accounts, CLOSED))

    async def close_wallets(self) -> None:
        """Let banks close a few wallets."""
        async with Client(self._network.urls()) as client:
            transactions = []
            for number in sorted(self.closed):
                bank = number // 10**12 - 100
                operation = CloseAccount(bank_account(bank), number)
                transactions.append(await client.sign([bank_account(bank)], [operation], [(0, bank_key(bank))]))
            await require(client, transactions)

    async def pay(self) -> None:
        """Pay every wallet; return when all four validators have executed and stored all of it."""
        async with self._phase("pensions", self._accounts):
            calls = _calls(self._accounts)
            with _progress() as progress:
                task = progress.add_task("pensions", total=self._accounts)
                heights: list[int] = []

                async def work(url: str) -> None:
                    for call in calls:
                        heights.append(await self._pay_call(url, call))
                        progress.advance(task, sum(len(pay.legs) for pay in call))

                await asyncio.gather(*(work(url) for url in self._urls.values() for _ in range(CALLS_AT_ONCE)))
            await self._reached(max(heights))

    async def open(self, count: int) -> None:
        """Let banks open more wallets over the RPC."""
        info = await self._info(next(iter(self._urls.values())))
        raws: list[bytes] = []
        chain = sign.Chain(self._genesis.network, self._genesis.hash)
        for bank in BANKS:
            first, stop = serials(bank, self._accounts).stop, serials(bank, self._accounts + count).stop
            raws += openings(Openings(chain, info.now_ms + LIFETIME_MS, bank, first, stop))
        transactions = [decode_transaction(raw, self._genesis.hash) for raw in raws]
        async with self._phase("openings", count):
            async with Client(self._network.urls()) as client:
                settled = await client.submit_many(transactions, timeout_seconds=PAY_SECONDS)
            bad = [each for each in settled if each.state is not State.APPLIED]
            if bad:
                raise Wrong(f"opening {bad[0].tx_id.hex()[:16]}: {bad[0].state.value} {bad[0].name}")
            await self._reached(max(each.height or 0 for each in settled))

    async def restart(self) -> None:
        """Kill one validator as a power cut would, and see how long it takes to be back among those that vote."""
        self._report.restarted_seconds = await restarted(self._network, VICTIM, patience(self._accounts))

    def note_memory(self) -> None:
        """Read what validators have used at most until now."""
        for pid in self._pids.values():
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            peak = int(status["VmHWM"].split()[0]) * 1024
            if peak > self._report.rss_max_bytes:
                self._report.rss_max_bytes = peak
                self._report.of_which_tables_bytes = int(status["RssFile"].split()[0]) * 1024

    async def _pay_call(self, url: str, pays: Sequence[Pay]) -> int:
        """Send pays in one call, wait until they are final, and return the highest block."""
        async with Client([url]) as client:
            transactions = [await self._signed(client, pay) for pay in pays]
            settled = await client.submit_many(transactions, timeout_seconds=PAY_SECONDS)
        for each in settled:
            if each.state is not State.APPLIED:
                raise Wrong(f"pay {each.tx_id.hex()[:16]}: {each.state.value} {each.message or each.name}")
        return max(each.height or 0 for each in settled)

    async def _signed(self, client: Client, pay: Pay) -> Transaction:
        return await client.sign([TREASURY], [pay], [(0, key_of("treasury"))])

    async def _reached(self, height: int) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        for url in self._urls.values():
            while (await self._info(url)).height < height:
                if time.monotonic() > deadline:
                    raise Wrong(f"{url} is not at height {height} after {SETTLE_SECONDS:.0f} s")
                await asyncio.sleep(0.05)

    async def _info(self, url: str) -> GetInfoResult:
        async with Client([url]) as client:
            return await client.info()

    @asynccontextmanager
    async def _phase(self, name: str, count: int) -> AsyncIterator[None]:
        before = await self._look()
        yield
        self._report.phases.append(_phase(name, count, before, await self._look()))

    async def _look(self) -> Moment:
        return await asyncio.to_thread(look, time.monotonic(), self._pids, self._urls, ())


async def restarted(network: LocalNetwork, name: str, timeout_seconds: float) -> float:
    """Kill a validator and start it again; return the seconds from its start until it is among those that vote."""
    network.kill(name)
    began = time.monotonic()
    network.start(name)
    await network.ready([name], timeout_seconds)
    return time.monotonic() - began


def _phase(name: str, count: int, before: Moment, after: Moment) -> Phase:
    seconds = after.at - before.at
    grown = [(after.readings[each], first) for each, first in before.readings.items()]
    cpu = sum(last.cpu_seconds - first.cpu_seconds for last, first in grown)
    written = sum(last.written_bytes - first.written_bytes for last, first in grown)
    own = after.own_cpu_seconds - before.own_cpu_seconds
    busy = after.busy_cpu_seconds - before.busy_cpu_seconds
    whole = seconds * cores()
    return Phase(
        name,
        count,
        seconds,
        cpu / len(grown) / count * 1e6,
        written / len(grown) / count,
        own / whole,
        max(0.0, busy - own - cpu) / whole,
    )


def _calls(accounts: int) -> Iterator[tuple[Pay, ...]]:
    """Yield the pays of one call after the other, the wallets ascending: several may draw from it in turn."""
    legs = ((number, amount, b"P-26-09-%08d" % at) for at, (number, amount) in enumerate(recipients(accounts), 1))
    pays = (Pay(SOM, TREASURY, each, partial=True) for each in iter(lambda: tuple(islice(legs, LEGS)), ()))
    return iter(lambda: tuple(islice(pays, CALL)), ())


def _spread(accounts: int, count: int) -> list[int]:
    return [accounts * (2 * at + 1) // (2 * count) for at in range(count)]


def patience(accounts: int) -> float:
    """Return the seconds within which validators with so many accounts have started, on a machine that others use."""
    return 2 * READY_SECONDS + accounts * START_US / 1e6


async def run(country: Country, directory: Path, report: Report, opened: int) -> Expected:
    """Run everything against new homes; return what their stores must hold afterwards."""
    accounts = country.made.accounts
    network = LocalNetwork(directory, chain=country.chain, ready_seconds=patience(accounts))
    began = time.monotonic()
    async with network:
        report.started_seconds = time.monotonic() - began
        console.print(f"Four validators vote, {report.started_seconds:.1f} s after the first was started.")
        measured = Run(network, country, report)
        await measured.close_wallets()
        await measured.pay()
        measured.note_memory()
        if opened:
            await measured.open(opened)
        await measured.restart()
        report.faults += [f"{name} ended by itself; see {network.log_path(name)}" for name in network.ended()]
    return Expected(accounts, opened, measured.closed, supply(accounts))


def get_country(directory: Path, accounts: int, fresh: bool) -> Country:
    """Return the kept chain, or make it."""
    found = None if fresh else kept(directory, accounts)
    if found is not None:
        console.print(f"{accounts:,} wallets are open already, in {found.made.height} blocks, in {directory}.")
        return found
    with _progress() as progress:
        task = progress.add_task("wallets opened", total=accounts)
        return prepare(directory, accounts, lambda done: progress.update(task, completed=done))


def show(report: Report) -> None:
    """Print it."""
    where = report.machine
    console.print(
        f"\n{where.cpu}, {where.cores} cores, {where.memory_bytes / 2**30:.0f} GiB, Linux {where.kernel}, "
        f"Python {where.python}; load average before the run {where.load_average}; "
        f"a signature check took {report.verify_us:.1f} us"
    )
    table = Table("", "count", "minutes", "a second", "CPU us each", "written B each", "generator", "others", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for phase in report.phases:
        table.add_row(
            phase.name,
            f"{phase.count:,}",
            f"{phase.seconds / 60:.2f}",
            f"{phase.count / phase.seconds:,.0f}",
            f"{phase.cpu_us:.1f}",
            f"{phase.written_bytes:,.0f}",
            f"{phase.generator_share:.0%}",
            f"{phase.others_share:.0%}",
        )
    console.print(table)
    facts = Table("", "", show_header=False, box=None, pad_edge=False)
    facts.add_row("wallets opened before, offline", f"{report.prepared_seconds:.0f} s")
    facts.add_row("four validators start at once", f"{report.started_seconds:.1f} s until all vote")
    facts.add_row("one is killed and starts again", f"{report.restarted_seconds:.1f} s until it votes")
    facts.add_row(
        "memory of a validator at most",
        f"{report.rss_max_bytes / 1e6:,.0f} MB, of which {report.of_which_tables_bytes / 1e6:,.0f} MB mapped tables",
    )
    facts.add_row("a validator's store", f"{report.store_bytes / 1e6:,.0f} MB")
    console.print(facts)
    for fault in report.faults:
        console.print(f"[red]{fault}[/red]", soft_wrap=True)
    if not report.faults:
        console.print(
            f"[green]On four validators: {report.heights:,} equal roots, every wallet has what is due to it, "
            "and the supply is what was issued.[/green]"
        )


def measure(accounts: int, directory: Path, fresh: bool, opened: int) -> Report:
    """Prepare, run and check."""
    country = get_country(directory / str(accounts), accounts, fresh)
    report = Report(machine(), accounts, country.made.seconds, verify_us())
    homes = directory / "homes"
    expected = asyncio.run(run(country, homes, report, opened))
    console.print("Reading every wallet of every validator ...")
    places = {each.name: homes / each.name for each in country.genesis.validators}
    found, faults = check(places, country.genesis, expected, workers=min(cores(), len(places)))
    report.faults += faults
    report.heights = min(each.height for each in found) + 1
    report.store_bytes = max(bytes_in(home / "data" / "store") for home in places.values())
    return report


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 0, or 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m devnet.country", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=ACCOUNTS, help=f"wallets; {ACCOUNTS:,} if left out")
    parser.add_argument("--opened", type=int, default=OPENED, help="wallets that banks open over the RPC in the end")
    parser.add_argument("--fresh", action="store_true", help="open the wallets anew even if a chain is kept")
    parser.add_argument("--directory", type=Path, default=Path(".devnet/country"), help="of the chain and the homes")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    given = parser.parse_args(arguments)
    if not ACCOUNTS_MIN <= given.accounts <= ACCOUNTS_MAX:
        parser.error(f"--accounts: {ACCOUNTS_MIN:,} to {ACCOUNTS_MAX:,}")
    if not 0 <= given.opened <= ACCOUNTS_MAX:
        parser.error(f"--opened: 0 to {ACCOUNTS_MAX:,}")
    try:
        report = measure(given.accounts, given.directory, given.fresh, given.opened)
    except (Wrong, DevnetError, DevnetRefused, ClientError, OSError) as error:
        print(f"country: {error}", file=sys.stderr)
        return 1
    show(report)
    if given.json:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
