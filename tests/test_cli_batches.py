"""`som batch`: a table of payments is checked whole, paid once whatever happens, and told line by line."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.batches import (
    FILE_BYTES_MAX,
    PROBLEMS_SHOWN_MAX,
    REF_CHARS_MAX,
    Malformed,
    Row,
    payments_of,
    read_rows,
    ref_of,
)
from node.iso20022.plan import plan
from node.ledger.account import AccountNumber, account_number, parse_account
from tests.cli_lab import Som, som_lab
from tests.solo_chain import ALICE, BANK, BOB, NOBODY, digits

PAYER = AccountNumber(account_number(11, 0))
HEAD = "account,amount,ref\n"


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path) as found:
        yield found


def table_of(som: Som, rows: Sequence[tuple[int | str, str, str]], name: str = "wages.csv") -> str:
    path = som.home / name
    shown = ((digits(account) if isinstance(account, int) else account, amount, ref) for account, amount, ref in rows)
    path.write_text(HEAD + "".join(f"{account},{amount},{ref}\n" for account, amount, ref in shown))
    return str(path)


def results(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(f"{path}.result.csv").read_text().splitlines()))


WAGES: list[tuple[int | str, str, str]] = [(ALICE, "10.00", "W-1"), (BOB, "20.5", "W-2")]


# --- what is paid ---


def test_a_table_is_planned_without_a_node_paid_and_told(som: Som) -> None:
    path = table_of(som, WAGES)
    planned = som.run("batch", "plan", path, "--from", "bank", "--json", url="http://127.0.0.1:1")
    assert planned.exit_code == 0, planned.output
    assert '"payments": 2, "total": "3050"' in planned.stdout
    before = som.balance(BOB)
    value = som.json("batch", "submit", path, "--from", "bank")
    assert (value["payments"], value["paid"], value["rejected"], value["pending"]) == (2, 2, 0, 0)
    assert som.balance(BOB) == before + 2_050
    told = [(row["account"], row["amount"], row["ref"], row["status"], row["code"]) for row in results(path)]
    assert told == [(digits(ALICE), "10.00", "W-1", "paid", ""), (digits(BOB), "20.50", "W-2", "paid", "")]
    found = som.json("rpc", "tx_getByRef", f"account={digits(BANK)}", f'refs=["{results(path)[1]["chain_ref"]}"]')
    assert [(each["to"], each["amount"]) for each in found["payments"]] == [(digits(BOB), "2050")]


def test_the_same_references_in_a_longer_table_are_paid_once(som: Som) -> None:
    before = som.balance(ALICE), som.balance(BOB)
    for rows in (WAGES, WAGES, [*WAGES, (BOB, "1", "W-3")]):
        value = som.json("batch", "submit", table_of(som, rows), "--from", "bank")
        assert (value["paid"], value["pending"]) == (len(rows), 0)
    assert (som.balance(ALICE), som.balance(BOB)) == (before[0] + 1_000, before[1] + 2_150)


def test_a_reference_that_was_paid_another_sum_is_rejected_and_moves_nothing(som: Som) -> None:
    som.json("batch", "submit", table_of(som, WAGES), "--from", "bank")
    before = som.balance(BOB)
    path = table_of(som, [(BOB, "99", "W-2"), (BOB, "1", "W-9")], "again.csv")
    assert som.run("batch", "submit", path, "--from", "bank").exit_code == 3
    assert [(row["status"], row["code"]) for row in results(path)] == [("rejected", "DUPLICATE_REF"), ("paid", "")]
    assert som.balance(BOB) == before + 100


def test_who_may_not_be_paid_is_left_out_and_named_and_status_tells_the_same(som: Som) -> None:
    path = table_of(som, [*WAGES, (NOBODY, "5", "W-4")])
    assert som.run("batch", "submit", path, "--from", "bank").exit_code == 3
    told = results(path)
    assert [row["status"] for row in told] == ["paid", "paid", "rejected"]
    assert told[2]["code"] == "NO_ACCOUNT"
    Path(f"{path}.result.csv").unlink()
    assert som.run("batch", "status", path, "--from", "bank").exit_code == 3
    assert results(path) == told


def test_before_anything_is_sent_all_is_pending(som: Som) -> None:
    path = table_of(som, WAGES)
    assert som.run("batch", "status", path, "--from", "bank").exit_code == 6
    assert {row["status"] for row in results(path)} == {"pending"}
    assert not (som.home / "imports").exists()


def test_a_bad_table_is_named_by_its_lines_and_sends_nothing(som: Som) -> None:
    path = table_of(som, [(ALICE, "1.234", "A"), ("0011000000010058", "1", "B"), (BOB, "1", "C"), (BOB, "2", "C")])
    before = som.balance(BOB)
    for command in ("plan", "submit", "status"):
        ended = som.run("batch", command, path, "--from", "bank", "--lang", "en")
        assert ended.exit_code == 4
        lines = [line.removeprefix(f"{path}:").split(":")[0] for line in ended.stderr.splitlines()[:-1]]
        assert lines == ["2", "3", "5"]
    assert som.balance(BOB) == before
    assert not Path(f"{path}.result.csv").exists()


# --- the table ---


def said(data: bytes) -> list[tuple[int, str]]:
    with pytest.raises(Malformed) as malformed:
        read_rows(data, parse_account)
    return [(line, name) for line, name, _ in malformed.value.problems]


def line(account: str = "0011000000010057", amount: str = "1", ref: str = "A") -> str:
    return f"{account},{amount},{ref}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", (1, "batch_columns")),
        ("account,amount\n1,2\n", (1, "batch_columns")),
        ("account,amount,ref,ref\n", (1, "batch_columns")),
        (HEAD, (0, "batch_empty")),
        (HEAD + "\n\n", (0, "batch_empty")),
        (HEAD + "0011000000010057,1\n", (2, "batch_cells")),
        (HEAD + line()[:-1] + ",more\n", (2, "batch_cells")),
        (HEAD + line(account="11"), (2, "bad_account")),
        (HEAD + line(amount="0"), (2, "bad_amount")),
        (HEAD + line(amount="-1"), (2, "bad_amount")),
        (HEAD + line(amount="1e3"), (2, "bad_amount")),
        (HEAD + line(ref=""), (2, "batch_ref")),
        (HEAD + line(ref="x" * (REF_CHARS_MAX + 1)), (2, "batch_ref")),
        (HEAD + line() + line(), (3, "batch_ref_twice")),
        (HEAD + '"' + line(), (2, "batch_no_table")),
        (HEAD + line(amount="92233720368547758.07") + line(ref="B"), (0, "bad_amount")),
    ],
)
def test_what_is_wrong_has_a_line_and_a_name(text: str, problem: tuple[int, str]) -> None:
    assert said(text.encode()) == [problem]


def test_bytes_that_are_no_table_are_refused() -> None:
    assert said(b"\xff\xfe") == [(0, "batch_not_utf8")]
    assert said(bytes(FILE_BYTES_MAX + 1)) == [(0, "batch_too_large")]
    assert len(said((HEAD + line(amount="x") * 100).encode())) == PROBLEMS_SHOWN_MAX


def test_a_spreadsheets_table_is_read_with_its_mark_semicolons_and_other_columns() -> None:
    text = "\ufeffName;Ref;Amount;Account\r\nЖапарова А.;зарплата 9/26;12.50;0011000000010057\r\n;;;\r\n"
    assert read_rows(text.encode(), parse_account) == [Row(AccountNumber(11000000010057), 12_50, "зарплата 9/26")]


def test_a_reference_is_the_payers_and_the_tables_other_lines_do_not_count() -> None:
    row = Row(AccountNumber(account_number(11, 101)), 100, "W-1")
    other = Row(AccountNumber(account_number(11, 102)), 100, "W-2")
    (pay,) = plan(payments_of(PAYER, [row, other], b"one")).pays
    assert [leg.ref for leg in pay.legs] == [ref_of(PAYER, row), ref_of(PAYER, other)]
    assert ref_of(PAYER, row) == ref_of(PAYER, Row(other.account, 5, "W-1"))
    assert ref_of(PAYER, row) != ref_of(AccountNumber(account_number(12, 0)), row)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_bytes_are_they_are_rows_or_malformed(data: bytes) -> None:
    for given_data in (data, HEAD.encode() + data):
        try:
            rows = read_rows(given_data, parse_account)
        except Malformed:
            continue
        assert 0 < len({row.ref for row in rows}) == len(rows)


rows_ = st.lists(
    st.tuples(
        st.integers(1, 500).map(lambda serial: account_number(11, serial)),
        st.integers(1, 10**12),
        st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=REF_CHARS_MAX),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda row: row[2],
)


@given(rows_)
def test_what_a_program_writes_as_csv_is_what_is_paid(rows: list[tuple[int, int, str]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("account", "amount", "ref"))
    for account, tyiyn, ref in rows:
        writer.writerow((digits(account), f"{tyiyn // 100}.{tyiyn % 100:02d}", ref))
    read = read_rows(out.getvalue().encode(), parse_account)
    assert [(row.account, row.amount, row.ref) for row in read] == rows
