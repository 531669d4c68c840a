"""`som iso import`: a bank's file is paid once, whatever happens, and the report says what is final."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec import structs

from node.cli.importing import Record
from node.cli.texts import TEXTS
from node.client.client import Client
from node.iso20022.pain001 import read_payments
from node.iso20022.plan import plan
from node.ledger.account import account_number
from node.rpc.types import GetByRefResult, GetTransactionResult
from node.storage.keystore import write_key
from tests.cli_lab import Som, accounts, seed, som_lab
from tests.solo_chain import ALICE, BANK, BOB, NOBODY, TREASURY, SoloChain, digits

DAY = "2026-09-21"  # of START_MS, in Bishkek
Payment = tuple[str, int, str]  # end-to-end id, payee, amount in som


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path) as found:
        yield found


def file_of(
    som: Som,
    payments: Sequence[Payment],
    name: str = "pensions.xml",
    control_sum: str | None = None,
    debtors: Sequence[int] = (TREASURY,),
) -> str:
    """Write a pain.001.001.09 in which each debtor pays all of the payments; return its path."""
    tyiyn = sum(round(float(amount) * 100) for _, _, amount in payments)
    total = control_sum or f"{tyiyn / 100:.2f}"
    batches = "".join(batch_of(number, debtor, payments, total) for number, debtor in enumerate(debtors, 1))
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn>'
        f"<GrpHdr><MsgId>MSG-1</MsgId><CreDtTm>{DAY}T08:00:00+06:00</CreDtTm>"
        f"<NbOfTxs>{len(payments) * len(debtors)}</NbOfTxs>"
        f"<CtrlSum>{control_sum or f'{tyiyn * len(debtors) / 100:.2f}'}</CtrlSum>"
        f"<InitgPty><Nm>Fund</Nm></InitgPty></GrpHdr>{batches}</CstmrCdtTrfInitn></Document>"
    )
    path = som.home / name
    path.write_text(text)
    return str(path)


def batch_of(number: int, debtor: int, payments: Sequence[Payment], total: str) -> str:
    rows = "".join(
        f"<CdtTrfTxInf><PmtId><EndToEndId>{ref if number == 1 else f'{ref}-{number}'}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="KGS">{amount}</InstdAmt></Amt><Cdtr><Nm>Somebody</Nm></Cdtr>'
        f"<CdtrAcct><Id><Othr><Id>{digits(payee)}</Id></Othr></Id></CdtrAcct></CdtTrfTxInf>"
        for ref, payee, amount in payments
    )
    return (
        f"<PmtInf><PmtInfId>P-{number}</PmtInfId><PmtMtd>TRF</PmtMtd><NbOfTxs>{len(payments)}</NbOfTxs>"
        f"<CtrlSum>{total}</CtrlSum><ReqdExctnDt><Dt>{DAY}</Dt></ReqdExctnDt><Dbtr><Nm>Treasury</Nm></Dbtr>"
        f"<DbtrAcct><Id><Othr><Id>{digits(debtor)}</Id></Othr></Id></DbtrAcct>"
        f"<DbtrAgt><FinInstnId><Othr><Id>NBKR</Id></Othr></FinInstnId></DbtrAgt>{rows}</PmtInf>"
    )


TWO: list[Payment] = [("E-1", ALICE, "10.00"), ("E-2", BOB, "20.50")]


def ref_of(path: str) -> bytes:
    """Return the reference of a file's one payment."""
    with Path(path).open("rb") as source:
        ((leg,),) = (pay.legs for pay in plan(read_payments(source)).pays)
    return leg.ref


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


@pytest.mark.parametrize("other_first", [False, True])
def test_what_else_a_debtor_pays_under_a_reference_does_not_hide_the_payment(som: Som, other_first: bool) -> None:
    path = file_of(som, [("E-1", ALICE, "10.00")])
    ref = ref_of(path)

    async def other(chain: SoloChain) -> None:
        await chain.execute([chain.pay("treasury", BOB, 5_00, ref)])

    if other_first:
        som.on_chain(other)
        assert som.run("iso", "import", path).exit_code == 4  # the reference has paid something else
        assert "REF_CONFLICT" in report_of(path)

    async def the_payment(chain: SoloChain) -> None:
        await chain.execute([chain.pay("treasury", ALICE, 10_00, ref)])

    som.on_chain(the_payment)
    som.on_chain(other)
    for command in ("status", "import"):
        assert som.json("iso", command, path)["paid"] == 1
        assert "<TxSts>ACSC</TxSts>" in report_of(path)
    assert som.balance(ALICE) == 1_000_00 + 10_00


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


def test_a_damaged_record_ends_with_7_and_says_what_to_do(som: Som) -> None:
    path = file_of(som, TWO)
    som.json("iso", "import", path)
    (record,) = (som.home / "imports").glob("*.record")
    whole = record.read_bytes()
    record.write_bytes(b"x" + whole)
    for command in ("import", "status"):
        ended = som.run("iso", command, path)
        told = TEXTS["record_damaged"].en in ended.stderr and str(record) in ended.stderr
        assert (ended.exit_code, told) == (7, True)
    record.write_bytes(whole)
    assert som.json("iso", "import", path)["paid"] == 2


def test_a_receipt_that_another_node_does_not_have_yet_leaves_payments_open(
    som: Som, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(som, TWO)
    transaction, paid = Client.transaction, Client.paid

    async def no_receipt(self: Client, tx_id: bytes, decoded: bool = False) -> GetTransactionResult:
        return structs.replace(await transaction(self, tx_id, decoded), receipt=None)

    async def nothing_paid(self: Client, number: int, refs: Sequence[bytes]) -> GetByRefResult:
        return structs.replace(await paid(self, number, refs), payments=())

    monkeypatch.setattr(Client, "transaction", no_receipt)
    monkeypatch.setattr(Client, "paid", nothing_paid)
    result = som.run("--json", "iso", "import", path)
    assert (result.exit_code, json.loads(result.stdout)["pending"]) == (6, 2)
    monkeypatch.undo()
    assert som.json("iso", "import", path)["paid"] == 2
    assert som.balance(BOB) == 2_050


def key_files(som: Som, *names: str) -> list[str]:
    """Write key files of a devnet; return the options that name them."""
    options = []
    for name in names:
        path = som.home / "keys" / f"{name}.json"
        write_key(path, seed(name), "operator", "*", None, replace=True)
        options += ["--debtor-key", str(path)]
    return options


def test_each_debtor_of_a_file_is_signed_for_with_its_own_keys(som: Som) -> None:
    (som.home / "accounts.json").write_text('{"accounts": []}')
    path = file_of(som, [("E-1", BOB, "10.00")], debtors=(TREASURY, BANK))
    assert som.run("iso", "import", path, *key_files(som, "treasury")).exit_code == 7  # nobody signs for the bank
    assert som.run("iso", "import", path, *key_files(som, "treasury", "bank", "alice")).exit_code == 7
    assert som.chain.submissions == 0
    assert som.json("iso", "import", path, *key_files(som, "treasury", "bank"))["paid"] == 2
    assert som.balance(BOB) == 20_00


def sign_as(som: Som, name: str, owner: str) -> None:
    """Let an account of the devnet's file have somebody's keys: with another's, no node takes what they sign."""
    rows = accounts()["accounts"]
    keys = {row["name"]: row["keys"] for row in rows}
    for row in rows:
        row["keys"] = keys[owner if row["name"] == name else row["name"]]
    (som.home / "accounts.json").write_text(json.dumps({"accounts": rows}))


def test_what_no_node_took_is_told_as_not_sent_and_the_rest_as_paid(som: Som) -> None:
    path = file_of(som, [("E-1", BOB, "10.00")], debtors=(TREASURY, BANK))
    sign_as(som, "bank", "alice")
    result = som.run("--json", "iso", "import", path)
    value = json.loads(result.stdout)
    assert (result.exit_code, value["paid"], value["unsent"], value["pending"]) == (3, 1, 1, 0)
    assert "Not sent: NOT_SIGNED" in result.stderr
    report = report_of(path)
    assert (report.count("<TxSts>ACSC</TxSts>"), report.count("<TxSts>RCVD</TxSts>")) == (1, 1)
    assert "PDNG" not in report
    sign_as(som, "bank", "bank")
    assert som.json("iso", "import", path)["paid"] == 2  # the same transaction, with the right signature
    assert som.balance(BOB) == 20_00


def test_what_an_earlier_import_has_sent_is_open_though_no_node_takes_it_now(som: Som) -> None:
    """A node has the transaction of the first import; that of the second, a quarter of an hour later, none takes."""
    path = file_of(som, [("E-1", BOB, "10.00")])
    som.chain.hold = True
    assert som.run("iso", "import", path, "--timeout", "0.1").exit_code == 6
    assert len(som.chain.waiting) == 1
    som.chain.now_ms += 16 * 60_000
    som.on_chain(lambda chain: chain.add_block(()))
    sign_as(som, "treasury", "alice")
    result = som.run("--json", "iso", "import", path, "--timeout", "0.1")
    assert (result.exit_code, json.loads(result.stdout)["pending"]) == (6, 1)
    assert "NOT_SIGNED" not in result.stderr
    assert "<TxSts>PDNG</TxSts>" in report_of(path)
    assert len(som.chain.waiting) == 1


def test_too_little_money_is_told_per_payment(som: Som) -> None:
    path = file_of(som, [("E-1", ALICE, "1.00"), ("E-2", BOB, "5000000.00")])
    result = som.run("--json", "iso", "import", path)
    value = json.loads(result.stdout)
    assert (result.exit_code, value["paid"], value["rejected"]) == (3, 1, 1)
