"""`make resources`: what a validator takes of memory, disk and time to start, by accounts and by payments.

One rule: every figure is a difference of two validators that differ in one thing. Three chains are made offline: one of
nearly nothing, the same with ACCOUNTS wallets, and that one with PAYMENTS payments more, none of them old enough to be
forgotten. On each, four validators start; then one is killed and starts again while the others go on, and what the
kernel says of it is read when it votes.

    python -m devnet.resources [--accounts N] [--payments N] [--page docs/performance.md]
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from devnet.banner import make_console
from devnet.bench import sign
from devnet.bench.measure import Machine, cpu_seconds, machine, verify_us
from devnet.bench.plots import PageError, put_between
from devnet.bench.sign import wallet
from devnet.country import Wrong, patience, restarted
from devnet.country_chain import ACCOUNTS_MAX, LIFETIME_MS, Country, prepare
from devnet.generate import TREASURY, key_of
from devnet.offline import making, signed
from devnet.processes import Chain, DevnetError, LocalNetwork
from node.ledger.account import SOM
from node.ledger.genesis import Genesis
from node.ledger.pay import Pay
from node.storage.disk import bytes_in

ACCOUNTS: Final = 1_000_000
PAYMENTS: Final = 200_000
PAYMENTS_MAX: Final = 100_000_000  # the Treasury has a tyiyn for each
FEW: Final = 1_000  # accounts of a chain of nearly nothing
MILLION: Final = 1_000_000
START_SECONDS_MAX: Final = 20.0  # of a validator with a million accounts, from its start until it votes
VICTIM: Final = "bank-3"
BEGIN: Final = "<!-- resources: written by `make resources` -->"
END: Final = "<!-- end of resources -->"

console = make_console()


class Taken(msgspec.Struct, frozen=True):
    """What a validator with so many accounts and payments takes."""

    accounts: int
    payments: int
    memory_bytes: int  # of its own: RssAnon
    tables_bytes: int  # mapped tables of LevelDB: the kernel's to take back
    disk_bytes: int  # of its store
    start_seconds: float  # of one, while the others go on, until it votes
    start_cpu_seconds: float  # of its process until then: what a busy machine does not change much


class Resources(msgspec.Struct, frozen=True):
    """A whole run; each of ``taken`` has more than the one before."""

    machine: Machine
    verify_us: float
    taken: tuple[Taken, ...]

    @property
    def faults(self) -> list[str]:
        """What takes longer than it may."""
        return [
            f"{each.accounts:,} accounts: {each.start_seconds:.1f} s to start, {START_SECONDS_MAX:.0f} at the most "
            f"(the load average was {self.machine.load_average})"
            for each in self.taken
            if each.accounts <= MILLION and each.start_seconds > START_SECONDS_MAX
        ]


def measure(directory: Path, accounts: int, payments: int) -> Resources:
    """Make the chains and measure validators on each."""
    before = machine()
    few = _opened(directory, FEW)
    taken = [_measured(directory, few, 0)]
    many = _opened(directory, accounts)
    taken.append(_measured(directory, many, 0))
    console.print(f"Paying {payments:,} times offline ...")
    asyncio.run(_pay(many, payments))
    taken.append(_measured(directory, many, payments))
    return Resources(before, verify_us(), tuple(taken))


def _opened(directory: Path, accounts: int) -> Country:
    console.print(f"Opening {accounts:,} wallets offline ...")
    return prepare(directory / "chain", accounts, lambda _: None)


async def _pay(country: Country, payments: int) -> None:
    """Put payments of the Treasury to the wallets in turn into the chain, each with a reference of its own."""
    async with making(country.chain.store, country.genesis) as maker:
        async for _ in maker.add_all(_payments(country.genesis, country.made.accounts, payments)):
            pass


def _payments(genesis: Genesis, accounts: int, payments: int) -> Iterator[bytes]:
    chain, keys = sign.Chain(genesis.network, genesis.hash), (key_of("treasury"),)
    for at in range(payments):
        pay = Pay(SOM, TREASURY, ((wallet(at % accounts).number, 1, b"R-%014d" % at),))
        yield signed(chain, genesis.time_ms + LIFETIME_MS, at, TREASURY, [pay], keys)


def _measured(directory: Path, country: Country, payments: int) -> Taken:
    taken = asyncio.run(_started(directory / "homes", country.chain, country.made.accounts, payments))
    console.print(f"  {_name(taken)}: {_cells(taken)}")
    return taken


async def _started(homes: Path, chain: Chain, accounts: int, payments: int) -> Taken:
    disk = bytes_in(chain.store)
    seconds = patience(accounts + payments)
    async with LocalNetwork(homes, chain=chain, ready_seconds=seconds) as network:
        start = await restarted(network, VICTIM, seconds)
        status, cpu = await asyncio.to_thread(_looked, network.pid(VICTIM))
    return Taken(accounts, payments, *memory_of(status), disk, start, cpu)


def _looked(pid: int) -> tuple[str, float]:
    """Return what the kernel says of a process, and its CPU seconds."""
    return Path(f"/proc/{pid}/status").read_text(), cpu_seconds(pid)


def memory_of(status: str) -> tuple[int, int]:
    """Return the bytes of a process that are its own, and those of files that it has mapped, as the kernel says."""
    rows = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    anonymous, files = (int(rows[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile"))
    return anonymous, files


def table(found: Resources) -> str:
    """Return the Markdown between the markers of the page."""
    where, (few, many, paid) = found.machine, found.taken
    accounts, payments = many.accounts - few.accounts, paid.payments - many.payments
    head = "| | memory of its own MB | mapped tables MB | store MB | seconds until it votes | CPU seconds |"
    measured = f"Measured on {where.cpu}, {where.cores} cores, Python {where.python}"
    noise = f"load average before {where.load_average}; a signature check took {found.verify_us:.0f} us."
    return "\n".join(
        (
            f"{measured}; {noise}",
            "",
            head,
            "|---|---|---|---|---|---|",
            *(f"| {_name(each)} | {_cells(each)} |" for each in found.taken),
            f"| **a million accounts more** | {_more(few, many, accounts)} |",
            f"| **a million payments more, within their window** | {_more(many, paid, payments)} |",
        )
    )


def _name(taken: Taken) -> str:
    return f"{taken.accounts:,} accounts" + (f", {taken.payments:,} payments" if taken.payments else "")


def _cells(taken: Taken) -> str:
    sizes = (f"{size / 1e6:,.0f}" for size in (taken.memory_bytes, taken.tables_bytes, taken.disk_bytes))
    return " | ".join((*sizes, f"{taken.start_seconds:.1f}", f"{taken.start_cpu_seconds:.1f}"))


def _more(less: Taken, more: Taken, count: int) -> str:
    factor = MILLION / count
    memory, disk = more.memory_bytes - less.memory_bytes, more.disk_bytes - less.disk_bytes
    cpu = (more.start_cpu_seconds - less.start_cpu_seconds) * factor
    return f"{memory * factor / 1e6:,.0f} | | {disk * factor / 1e6:,.0f} | | {cpu:.1f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 0, or 1 if anything is worse than it may be."""
    parser = argparse.ArgumentParser(prog="python -m devnet.resources", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=ACCOUNTS, help=f"wallets; {ACCOUNTS:,} if left out")
    parser.add_argument("--payments", type=int, default=PAYMENTS, help=f"payments; {PAYMENTS:,} if left out")
    parser.add_argument("--directory", type=Path, default=Path(".devnet/resources"), help="of the chain and the homes")
    parser.add_argument("--page", type=Path, help="whose table to write anew, such as docs/performance.md")
    given = parser.parse_args(arguments)
    if not 2 * FEW <= given.accounts <= ACCOUNTS_MAX or not FEW <= given.payments <= PAYMENTS_MAX:
        parser.error(f"--accounts: {2 * FEW:,} to {ACCOUNTS_MAX:,}; --payments: {FEW:,} to {PAYMENTS_MAX:,}")
    try:
        found = measure(given.directory, given.accounts, given.payments)
        if given.page:
            given.page.write_text(put_between(given.page.read_text(), table(found), BEGIN, END))
    except (Wrong, DevnetError, PageError, OSError) as error:
        print(f"resources: {error}", file=sys.stderr)
        return 1
    print(table(found))
    for fault in found.faults:
        console.print(f"[red]{fault}[/red]", soft_wrap=True)
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
