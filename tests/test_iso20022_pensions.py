"""The example file: made by a seed, the same everywhere, paid to wallets of all three banks."""

from collections import Counter
from io import BytesIO
from subprocess import run
from sys import executable

import pytest

from devnet.pensions import HIGHEST_TYIYN, LOWEST_TYIYN, TREASURY, Run, main, wallet, write_pensions
from node.iso20022.pain001 import PaymentFile, read_payments
from node.ledger.account import account_number, participant_of, serial_of
from tests.iso20022_files import EXAMPLE


def written(wanted: Run) -> bytes:
    out = BytesIO()
    write_pensions(out, wanted)
    return out.getvalue()


def made(wanted: Run) -> PaymentFile:
    return read_payments(BytesIO(written(wanted)))


def test_the_example_in_the_repository_is_what_the_generator_makes() -> None:
    assert EXAMPLE.read_bytes() == written(Run())


def test_a_thousand_wallets_are_spread_over_three_banks() -> None:
    (batch,) = made(Run()).payment_informations
    accounts = [payment.creditor for payment in batch.payments]
    assert Counter(map(participant_of, accounts)) == {101: 334, 102: 333, 103: 333}
    assert len(set(accounts)) == 1000
    assert {serial_of(account) for account in accounts} == set(range(1, 335))
    assert [wallet(Run(), index) for index in range(3)] == [account_number(bank, 1) for bank in (101, 102, 103)]


def test_the_treasury_pays_between_six_and_fifteen_thousand_som() -> None:
    (batch,) = made(Run()).payment_informations
    assert batch.debtor == TREASURY == account_number(2, 1)
    assert all(LOWEST_TYIYN <= payment.amount <= HIGHEST_TYIYN for payment in batch.payments)
    assert len({payment.amount for payment in batch.payments}) > 500


def test_some_payments_bring_a_uetr_and_some_do_not() -> None:
    (batch,) = made(Run()).payment_informations
    assert {payment.uetr is None for payment in batch.payments} == {True, False}


def test_another_seed_makes_another_file() -> None:
    assert written(Run(recipients=5, seed=2)) != written(Run(recipients=5))


def test_the_command_writes_the_file_to_its_output() -> None:
    wanted = ["--recipients", "7", "--debtor", f"{account_number(2, 9):016d}", "--first-account", "50"]
    wanted += ["--banks", "104", "105", "--message-id", "М&1", "--day", "2026-10-01", "--seed", "3"]
    done = run([executable, "-m", "devnet.pensions", *wanted], capture_output=True, check=True)
    file = read_payments(BytesIO(done.stdout))
    (batch,) = file.payment_informations
    assert (file.message_id, file.payments, batch.debtor) == ("М&1", 7, account_number(2, 9))
    assert [payment.creditor for payment in batch.payments][:3] == [
        account_number(104, 50),
        account_number(105, 50),
        account_number(104, 51),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--recipients", "0"],
        ["--debtor", "123"],
        ["--message-id", "M" * 29],
        ["--banks", "101", "101"],
        ["--first-account", "9999999999"],
        ["--day", "soon"],
    ],
)
def test_the_command_refuses_what_makes_no_file(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(wrong)
    assert left.value.code == 2
    assert capsys.readouterr().err
