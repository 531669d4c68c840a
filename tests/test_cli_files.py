"""`som iso import`: a bank's file is paid once, whatever happens, and the report says what is final."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from node.cli.importing import Record
from node.ledger.account import account_number
from tests.cli_lab import Som, som_lab
from tests.solo_chain import ALICE, BOB, NOBODY, TREASURY, digits

DAY = "2026-09-21"  # of START_MS, in Bishkek
Payment = tuple[str, int, str]  # end-to-end id, payee, amount in som


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path) as found:
        yield found


def file_of(som: Som, payments: Sequence[Payment], name: str = "pensions.xml", control_sum: str | None = None) -> str:
    """Write a pain.001.001.09 of one debtor, the Treasury; return its path."""
    total = control_sum or f"{sum(round(float(amount) * 100) for _, _, amount in payments) / 100:.2f}"
    rows = "".join(
        f"<CdtTrfTxInf><PmtId><EndToEndId>{ref}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="KGS">{amount}</InstdAmt></Amt><Cdtr><Nm>Somebody</Nm></Cdtr>'
        f"<CdtrAcct><Id><Othr><Id>{digits(payee)}</Id></Othr></Id></CdtrAcct></CdtTrfTxInf>"
        for ref, payee, amount in payments
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn>'
        f"<GrpHdr><MsgId>MSG-1</MsgId><CreDtTm>{DAY}T08:00:00+06:00</CreDtTm><NbOfTxs>{len(payments)}</NbOfTxs>"
        f"<CtrlSum>{total}</CtrlSum><InitgPty><Nm>Fund</Nm></InitgPty></GrpHdr>"
        f"<PmtInf><PmtInfId>P-1</PmtInfId><PmtMtd>TRF</PmtMtd><NbOfTxs>{len(payments)}</NbOfTxs>"
        f"<CtrlSum>{total}</CtrlSum><ReqdExctnDt><Dt>{DAY}</Dt></ReqdExctnDt><Dbtr><Nm>Treasury</Nm></Dbtr>"
        f"<DbtrAcct><Id><Othr><Id>{digits(TREASURY)}</Id></Othr></Id></DbtrAcct>"
        f"<DbtrAgt><FinInstnId><Othr><Id>NBKR</Id></Othr></FinInstnId></DbtrAgt>{rows}</PmtInf>"
        "</CstmrCdtTrfInitn></Document>"
    )
    path = som.home / name
    path.write_text(text)
    return str(path)


TWO: list[Payment] = [("E-1", ALICE, "10.00"), ("E-2", BOB, "20.50")]


def report_of(path: str) -> str:
    return Path(f"{path}.pain002.xml").read_text()


def test_a_file_is_paid_and_the_report_says_so(som: Som) -> None:
    path = file_of(som, TWO)
    value = som.json("iso", "import", path)
    assert (value["payments"], value["paid"], value["rejected"], value["pending"]) == (2, 2, 0, 0)
    assert som.balance(BOB) == 2_050
    report = report_of(path)
    assert "pain.002.001.12" in report
    assert report.count("<TxSts>ACSC</TxSts>") == 2
    assert "<GrpSts>ACSC</GrpSts>" in report
    assert "Somebody" not in report


def test_the_same_file_again_pays_nothing_more(som: Som) -> None:
    path = file_of(som, TWO)
    for _ in range(3):
        assert som.json("iso", "import", path)["paid"] == 2
    assert som.balance(BOB) == 2_050


def test_it_pays_nothing_more_from_another_computer(som: Som) -> None:
    path = file_of(som, TWO)
    assert som.json("iso", "import", path)["paid"] == 2
    elsewhere = str(som.home / "elsewhere" / "outbox.sqlite3")
    assert som.json("iso", "import", path, "--outbox", elsewhere)["paid"] == 2
    assert som.balance(BOB) == 2_050


def test_it_pays_nothing_more_when_the_ledgers_own_memory_has_ended(som: Som) -> None:
    path = file_of(som, TWO)
    assert som.json("iso", "import", path)["paid"] == 2

    async def later(chain: object) -> None:
        som.chain.now_ms += 80 * 3_600_000  # past the window of `once`
        await som.chain.add_block(())
        await som.chain.add_block(())

    som.on_chain(later)
    elsewhere = str(som.home / "elsewhere" / "outbox.sqlite3")
    assert som.json("iso", "import", path, "--outbox", elsewhere)["paid"] == 2
    assert som.balance(BOB) == 2_050


def test_a_file_is_paid_within_the_window_that_the_central_bank_has_set(som: Som) -> None:
    assert som.run("param", "set", "window_institution_ms", "600000", "--from", "central").exit_code == 0
    assert som.json("iso", "import", file_of(som, TWO))["paid"] == 2


def test_one_import_of_a_file_runs_at_a_time_and_its_status_can_be_asked(som: Som) -> None:
    path = file_of(som, TWO)
    som.json("iso", "import", path)
    (record,) = (som.home / "imports").glob("*.record")
    before = record.read_bytes()
    with Record(record):
        assert som.run("iso", "import", path).exit_code == 7
        assert som.json("iso", "status", path)["paid"] == 2
    assert record.read_bytes() == before
    assert som.json("iso", "import", path)["paid"] == 2


def test_a_dry_run_sends_nothing(som: Som) -> None:
    path = file_of(som, TWO)
    value = som.json("iso", "import", path, "--dry-run")
    assert (value["payments"], value["total"], len(value["pays"])) == (2, "3050", 1)
    assert som.chain.submissions == 0
    assert not Path(f"{path}.pain002.xml").exists()


def test_one_payment_that_the_ledger_refuses_does_not_fail_the_rest(som: Som) -> None:
    path = file_of(som, [*TWO, ("E-3", NOBODY, "5.00")])
    result = som.run("--json", "iso", "import", path)
    assert result.exit_code == 3, result.output
    value = json.loads(result.stdout)
    assert (value["paid"], value["rejected"]) == (2, 1)
    report = report_of(path)
    assert "<GrpSts>PART</GrpSts>" in report
    assert "NO_ACCOUNT" in report


def test_a_refused_payment_stays_refused_until_it_is_tried_again(som: Som) -> None:
    wallet = account_number(11, 7)
    path = file_of(som, [*TWO, ("E-3", wallet, "5.00")])
    assert som.run("iso", "import", path).exit_code == 3
    som.on_chain(lambda chain: chain.execute([chain.open_wallet(7)]))
    assert som.run("iso", "import", path).exit_code == 3
    assert som.balance(wallet) == 0
    assert som.run("iso", "import", path, "--retry").exit_code == 0
    assert som.balance(wallet) == 500
    assert som.balance(BOB) == 2_050


def test_an_import_that_was_cut_off_is_finished_by_the_next(som: Som) -> None:
    path = file_of(som, TWO)
    som.chain.hold = True
    result = som.run("--json", "iso", "import", path, "--timeout", "0.2")
    assert result.exit_code == 6
    assert json.loads(result.stdout)["pending"] == 2
    assert "<TxSts>PDNG</TxSts>" in report_of(path)
    som.on_chain(lambda chain: chain.release())
    assert som.json("iso", "status", path)["paid"] == 2
    assert som.json("iso", "import", path)["paid"] == 2
    assert som.balance(BOB) == 2_050


def test_a_thousand_payments_are_one_transaction(som: Som) -> None:
    wallets = [account_number(11, 1_000 + index) for index in range(100)]

    async def opened(chain: object) -> None:
        await som.chain.execute([som.chain.open_wallet(1_000 + index) for index in range(100)])

    som.on_chain(opened)
    payments = [(f"E-{index}-{times}", wallet, "1.00") for index, wallet in enumerate(wallets) for times in range(3)]
    path = file_of(som, payments)
    assert len(som.json("iso", "import", path, "--dry-run")["pays"]) == 3  # no payee twice in one pay
    assert som.json("iso", "import", path)["paid"] == 300
    assert {som.balance(wallet) for wallet in wallets} == {300}


@pytest.mark.parametrize(
    ("payments", "control_sum", "code"),
    [
        (TWO, "31.00", "GROUP_SUM"),
        ([("E-1", ALICE, "1.001")], "1.001", "DECIMALS"),
        ([("E-1", ALICE, "1.00"), ("E-1", BOB, "1.00")], None, "DUPLICATE_END_TO_END"),
        ([("E-1", ALICE + 1, "1.00")], None, "ACCOUNT_CHECK_DIGITS"),
    ],
)
def test_a_wrong_file_is_refused_whole_with_a_report(
    som: Som, payments: list[Payment], control_sum: str | None, code: str
) -> None:
    path = file_of(som, payments, control_sum=control_sum)
    result = som.run("iso", "import", path)
    assert result.exit_code == 4
    assert code in result.stderr
    assert "<GrpSts>RJCT</GrpSts>" in report_of(path)
    assert som.chain.submissions == 0


def test_a_file_that_is_no_xml_is_refused(som: Som) -> None:
    path = som.home / "x.xml"
    path.write_text("no xml")
    assert som.run("iso", "import", str(path)).exit_code == 4


def test_without_the_debtors_key_nothing_is_sent(som: Som) -> None:
    (som.home / "accounts.json").write_text('{"accounts": []}')
    assert som.run("iso", "import", file_of(som, TWO)).exit_code == 7
    assert som.chain.submissions == 0


def test_too_little_money_is_told_per_payment(som: Som) -> None:
    path = file_of(som, [("E-1", ALICE, "1.00"), ("E-2", BOB, "5000000.00")])
    result = som.run("--json", "iso", "import", path)
    value = json.loads(result.stdout)
    assert (result.exit_code, value["paid"], value["rejected"]) == (3, 1, 1)
