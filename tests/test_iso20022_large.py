"""A file of 100,000 payments: read, planned and reported within a bounded memory, and paid with its progress told."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from consensus.crypto import SecretKey
from devnet.pensions import Run, write_pensions
from node.cli.importing import LEGS_AT_ONCE, Imported, Record, import_file
from node.client.client import Client
from node.iso20022.pain001 import LIMITS, PaymentFile, read_payments
from node.iso20022.plan import Ref, plan
from node.iso20022.resume import Settled
from node.ledger.account import AccountNumber, account_number
from node.ledger.order import Freeze
from tests.cli_lab import Som, som_lab
from tests.solo_chain import ALICE, BOB, ENFORCER, key
from tests.test_cli_files import TWO, file_of

RSS_BYTES_MAX: Final = 300 * 10**6
PAYMENTS: Final = 3_000
WALLETS: Final = 1_500

# What an import holds in memory, in a process of its own: VmHWM is the most it ever had.
CHILD: Final = """
import asyncio, sys
from node.cli import main  # as the command does: its libraries count too
from node.cli.publishing import write_published
from pathlib import Path
from node.iso20022.pain001 import read_payments
from node.iso20022.pain002 import write_status
from node.iso20022.plan import plan
from node.iso20022.resume import Answer, confirm, due, look_up, pay_outcomes

class Nothing:
    async def paid(self, debtor, refs):
        return Answer(1_790_000_000_000, {})

with open(sys.argv[1], "rb") as source:
    file = read_payments(source)
planned = plan(file)
answers = asyncio.run(look_up(planned, Nothing()))
outcomes = dict(due(planned, answers).outcomes)
for pay in planned.pays:
    outcomes.update(pay_outcomes(pay, {}))
outcomes = confirm(planned, outcomes, answers)
write_published(Path(sys.argv[1] + ".pain002.xml"), lambda out: write_status(out, file, outcomes, 1_790_000_000_000))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(planned.legs, len(planned.pays), int(peak.split()[1]) * 1024)
"""


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path) as found:
        yield found


@pytest.mark.slow
@pytest.mark.children
def test_100_000_payments_are_planned_and_reported_within_300_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "pensions.xml"
    with path.open("wb") as out:
        write_pensions(out, Run(recipients=LIMITS.payments))
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, check=True, text=True)
    legs, pays, peak_bytes = map(int, done.stdout.split())
    assert (legs, pays) == (100_000, 100)
    assert peak_bytes < RSS_BYTES_MAX
    report = path.with_name(path.name + ".pain002.xml")
    assert report.stat().st_size > 50 * 10**6  # it is longer than the file, and was not held in memory


@pytest.mark.slow
def test_thousands_of_payments_are_paid_and_the_progress_is_told(som: Som) -> None:
    wallets = [account_number(11, 1_000 + index) for index in range(WALLETS)]

    async def opened(chain: object) -> None:
        for start in range(0, WALLETS, 500):
            await som.chain.execute([som.chain.open_wallet(1_000 + start + index) for index in range(500)])

    som.on_chain(opened)
    payments = [(f"E-{index}", wallets[index % WALLETS], "1.00") for index in range(PAYMENTS)]
    result = som.run("iso", "import", file_of(som, payments), "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert (value["paid"], value["pending"]) == (PAYMENTS, 0)
    assert {som.balance(wallet) for wallet in wallets} == {2_00}
    told = [json.loads(line) for line in result.stderr.splitlines()]
    for stage in ("looked_up", "settled"):
        done = [each["done"] for each in told if each["stage"] == stage]
        assert done == sorted(done)
        assert done[-1] == PAYMENTS
        assert {each["total"] for each in told} == {PAYMENTS}


def payment_file(som: Som, payments: Sequence[tuple[str, int, str]]) -> PaymentFile:
    with Path(file_of(som, payments)).open("rb") as source:
        return read_payments(source)


async def test_progress_is_told_after_a_bounded_number_of_payments(som: Som, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.cli.importing.LEGS_AT_ONCE", 2)
    payments = [(f"E-{index}", payee, "1.00") for index in range(3) for payee in (ALICE, BOB)]
    known: list[int] = []
    await imported(som, [(f"{ref}{payee}", payee, amount) for ref, payee, amount in payments], known, legs_max=1)
    assert known == [0, 2, 4, 6]
    assert LEGS_AT_ONCE >= 1_000  # a whole pay always fits


async def imported(
    som: Som, payments: Sequence[tuple[str, int, str]], known: list[int], legs_max: int = 1_000, between: object = None
) -> Imported:
    def keys(_: AccountNumber) -> Sequence[SecretKey]:
        if callable(between):
            between()
        return [key("treasury")]

    file = payment_file(som, payments)
    async with Client([som.url]) as client:
        with Record(som.home / "record") as record:
            return await import_file(
                client,
                file,
                record,
                keys,
                lambda done, total: known.append(done),
                timeout_seconds=30,
                legs_max=legs_max,
            )


async def test_what_another_import_has_paid_is_not_reported_as_refused(som: Som) -> None:
    """Between our look-up and our pay, another import pays the first payment, and then its payee is blocked."""
    (pay,) = plan(payment_file(som, TWO)).pays
    (leg,) = [leg for leg in pay.legs if leg.creditor == ALICE]
    done: list[bool] = []

    def another() -> None:
        if done:
            return
        done.append(True)
        freeze = Freeze(ENFORCER, "1/26", ALICE, b"\1" * 32, True)
        som.on_chain(
            lambda chain: chain.execute([chain.pay("treasury", leg.creditor, leg.amount, bytes(leg.ref), once=True)])
        )
        som.on_chain(lambda chain: chain.execute([chain.sign([ENFORCER], [freeze], "enforcer")]))

    found = await imported(som, TWO, [], between=another)
    assert done
    assert found.outcomes[Ref(leg.ref)] == Settled(leg.creditor, leg.amount)
    assert all(isinstance(outcome, Settled) for outcome in found.outcomes.values())
