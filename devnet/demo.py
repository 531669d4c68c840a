"""`make demo`: a month's pensions on four validators, one of which dies midway.

The National Bank issues som, banks open 1,000 wallets, the Treasury pays a bank file (pain.001), a validator is killed
and comes back, and in the end every balance on every validator is compared with the file. Exit code 0: all agreed.

    python -m devnet.demo [--file FILE] [--directory .devnet/demo]
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from devnet.banner import make_console
from devnet.generate import TREASURY, key_of
from devnet.money import BANK_TYIYN, TREASURY_TYIYN, DevnetRefused, Wallet, issue, open_wallets
from devnet.processes import DevnetError, LocalNetwork
from node.cli.importing import Imported, Record, import_file
from node.client.client import Client
from node.client.errors import ClientError
from node.client.trust import Trust
from node.iso20022.errors import FileRefused
from node.iso20022.fields import format_som
from node.iso20022.pain001 import PaymentFile, read_payments
from node.iso20022.pain002 import write_status
from node.iso20022.resume import Pending, Settled
from node.ledger.account import format_account, participant_of

FILE: Final = Path(__file__).with_name("pensions-1000.xml")
VICTIM: Final = "bank-2"
LEGS_MAX: Final = 50  # payments in a transaction: small, so that there is a midway
TRANSACTIONS: Final = 20  # of a short file, for the same reason
QUESTIONS_MAX: Final = 32  # balances asked for at once
CATCH_UP_SECONDS: Final = 60.0
PAYMENTS_SECONDS: Final = 60.0

INTERRUPTED: Final = 130  # as a shell says that Ctrl-C ended a program

console = make_console()


class Mismatch(Exception):
    """What a validator says is not what the file says; the text says which and where."""


@dataclass(slots=True)
class Figures:
    """What the summary shows."""

    started: float = field(default_factory=time.monotonic)
    pays: list[tuple[str, float]] = field(default_factory=list)  # phase, seconds from sending to final
    caught_up_seconds: float = 0.0
    missed_heights: int = 0
    height: int = 0
    root: str = ""
    proven_at: int = 0


async def run(directory: Path, file: Path, status_file: Path) -> None:
    """Run the whole demo. Raise Mismatch, DevnetError, DevnetRefused or ClientError if anything is wrong."""
    figures = Figures()
    payments = _read(file)
    with _progress() as progress:
        start = progress.add_task("Four validators start", total=1)
        async with LocalNetwork(directory) as network, Client(network.urls()) as client:
            progress.advance(start)
            await _prepare(progress, client, payments)
            imported = await _pay(progress, network, client, payments, figures)
            _write_status(status_file, payments, imported)
            await _catch_up(progress, network, figures)
            await _check_all(progress, network, payments, figures)
            await _import_again(progress, client, payments, directory)
            await _prove(network, client, payments, figures)
    _summary(payments, imported, figures, status_file)


def _read(file: Path) -> PaymentFile:
    with file.open("rb") as source:
        return read_payments(source)


async def _prepare(progress: Progress, client: Client, payments: PaymentFile) -> None:
    """Issue som to the Treasury and the banks; open the wallet of each recipient at its bank."""
    task = progress.add_task("The National Bank issues som", total=1)
    await issue(client)
    progress.advance(task)
    numbers = sorted({payment.creditor for batch in payments.payment_informations for payment in batch.payments})
    wallets = [Wallet(participant_of(number) - 100, number) for number in numbers]
    task = progress.add_task("Banks open wallets", total=len(wallets))
    await open_wallets(client, wallets, lambda count: progress.advance(task, count))


async def _pay(
    progress: Progress, network: LocalNetwork, client: Client, payments: PaymentFile, figures: Figures
) -> Imported:
    """Import the file; kill a validator when half of it is paid, and start it again when three quarters are."""
    task = progress.add_task("The Treasury pays pensions", total=payments.payments)
    half, later = payments.payments // 2, payments.payments * 3 // 4
    phase = "four validators"
    last = time.monotonic()

    def paid(known: int, total: int) -> None:
        nonlocal phase, last
        progress.update(task, completed=known, total=total)
        now = time.monotonic()
        if known:
            figures.pays.append((phase, now - last))
        if phase == "four validators" and known >= half:
            network.kill(VICTIM)
            progress.console.print(f"  [red]kill -9 {VICTIM}[/red]: three validators go on")
            phase = "three validators"
        elif phase == "three validators" and known >= later:
            network.start(VICTIM)
            progress.console.print(f"  {VICTIM} starts again, and catches up while payments go on")
            phase = "one catching up"
        last = time.monotonic()

    with Record(network.directory / "import.jsonl") as record:
        imported = await import_file(
            client,
            payments,
            record,
            lambda debtor: [key_of("treasury")],
            paid,
            timeout_seconds=PAYMENTS_SECONDS,
            legs_max=max(1, min(LEGS_MAX, payments.payments // TRANSACTIONS)),
            at_once=1,
        )
    if phase == "three validators":  # so few payments that three quarters were all
        network.start(VICTIM)
    unpaid = [ref for ref, outcome in imported.outcomes.items() if not isinstance(outcome, Settled)]
    if unpaid:
        pending = sum(isinstance(imported.outcomes[ref], Pending) for ref in unpaid)
        raise Mismatch(f"{len(unpaid)} of {payments.payments} payments were not made, {pending} of them pending")
    return imported


async def _catch_up(progress: Progress, network: LocalNetwork, figures: Figures) -> None:
    """Wait until the validator that was killed has every block that the others have."""
    task = progress.add_task(f"{VICTIM} catches up", total=1)
    began = time.monotonic()
    async with Client([network.url("nbkr")]) as client:
        figures.height = (await client.info()).height
    await network.ready([VICTIM], CATCH_UP_SECONDS)
    for name in network.names:
        async with Client([network.url(name)]) as client:
            while (await client.info()).height < figures.height:
                if time.monotonic() - began > CATCH_UP_SECONDS:
                    raise Mismatch(f"{name} did not reach height {figures.height} in {CATCH_UP_SECONDS:.0f} s")
                await asyncio.sleep(0.05)
    figures.caught_up_seconds = time.monotonic() - began
    progress.advance(task)


async def _check_all(progress: Progress, network: LocalNetwork, payments: PaymentFile, figures: Figures) -> None:
    """Compare every balance on every validator, the supply and the state root with the file and with each other."""
    expected: dict[int, int] = {}
    for batch in payments.payment_informations:
        for payment in batch.payments:
            expected[payment.creditor] = expected.get(payment.creditor, 0) + payment.amount
    expected[TREASURY] = TREASURY_TYIYN - payments.total
    task = progress.add_task("Every balance is checked", total=len(expected) * len(network.names))
    roots: dict[str, str] = {}
    for name in network.names:
        async with Client([network.url(name)]) as client:
            room = asyncio.Semaphore(QUESTIONS_MAX)

            async def check(
                number: int, client: Client = client, name: str = name, room: asyncio.Semaphore = room
            ) -> None:
                async with room:
                    await check_balance(client, name, number, expected[number])
                    progress.advance(task)

            await asyncio.gather(*(check(number) for number in sorted(expected)))
            supply = int((await client.supply()).supply)
            issued = TREASURY_TYIYN + 3 * BANK_TYIYN
            if supply != issued:
                raise Mismatch(f"{name}: the supply is {format_som(supply)} som, issued were {format_som(issued)}")
            roots[name] = (await client.block(figures.height)).state_root_after
    if len(set(roots.values())) != 1:
        raise Mismatch(f"state roots of height {figures.height} differ: {roots}")
    figures.root = roots["nbkr"]


async def check_balance(client: Client, name: str, number: int, expected: int) -> None:
    holdings = (await client.account(number)).holdings
    balance = int(holdings[0].balance) if holdings else 0
    if balance != expected:
        raise Mismatch(
            f"{name}: account {format_account(number)} has {format_som(balance)} som, expected {format_som(expected)}"
        )


async def _import_again(progress: Progress, client: Client, payments: PaymentFile, directory: Path) -> None:
    """Import the same file once more, as if the record of the first time were lost: nothing may be paid twice."""
    task = progress.add_task("The same file again pays nothing", total=1)
    before = (await client.account(TREASURY)).statement_length
    with Record(directory / "import-again.jsonl") as record:
        await import_file(
            client,
            payments,
            record,
            lambda debtor: [key_of("treasury")],
            lambda known, total: None,
            timeout_seconds=PAYMENTS_SECONDS,
        )
    if (await client.account(TREASURY)).statement_length != before:
        raise Mismatch("importing the same file twice paid something twice")
    progress.advance(task)


async def _prove(network: LocalNetwork, client: Client, payments: PaymentFile, figures: Figures) -> None:
    """Verify one pensioner's balance from the genesis alone: no node's word is taken for it."""
    number = payments.payment_informations[0].payments[0].creditor
    async with Client([network.url(VICTIM)], trust=Trust.of(network.genesis)) as careful:
        proven = await careful.prove_account(number)
    figures.proven_at = proven.height


def _write_status(status_file: Path, payments: PaymentFile, imported: Imported) -> None:
    status_file.parent.mkdir(parents=True, exist_ok=True)
    with status_file.open("wb") as out:
        write_status(out, payments, imported.outcomes, time.time_ns() // 1_000_000)


def _summary(payments: PaymentFile, imported: Imported, figures: Figures, status_file: Path) -> None:
    table = Table("", "", show_header=False, box=None, pad_edge=False)
    table.add_row("pensions paid", f"{payments.payments} in {len(imported.plan.pays)} transactions")
    table.add_row("amount", f"{format_som(payments.total)} som")
    for phase in dict.fromkeys(phase for phase, _ in figures.pays):
        seconds = sorted(taken for each, taken in figures.pays if each == phase)
        table.add_row(
            f"final, {phase}",
            f"{statistics.median(seconds) * 1_000:.0f} ms median, {seconds[-1] * 1_000:.0f} ms slowest, "
            f"of {len(seconds)} transactions",
        )
    table.add_row(f"{VICTIM} caught up", f"{figures.caught_up_seconds:.1f} s after the last payment")
    table.add_row(
        "checked", f"every balance and the supply, 4 validators; root {figures.root[:16]}… at {figures.height}"
    )
    table.add_row("proven", f"a pensioner's balance at height {figures.proven_at}, from the genesis alone")
    table.add_row("status file", str(status_file))
    table.add_row("time", f"{time.monotonic() - figures.started:.0f} s")
    console.print(table)
    console.print("[green]All agree.[/green]")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devnet.demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--file", type=Path, default=FILE, help="pain.001.001.09, debtor the devnet's Treasury")
    parser.add_argument("--directory", type=Path, default=Path(".devnet/demo"), help="made anew at each start")
    parser.add_argument("--status", type=Path, default=Path(".devnet/pensions.pain002.xml"))
    given = parser.parse_args(arguments)
    try:
        asyncio.run(run(given.directory, given.file, given.status))
    except (Mismatch, DevnetError, DevnetRefused, ClientError, FileRefused, OSError) as error:
        console.print(f"[red]demo failed:[/red] {escape(str(error))}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
