"""`som iso statement` and `som iso notify`: what was booked, whole, once, and valid by the official schemas."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from msgspec import structs

from node.cli.notifications import Grouping, Outbox, groups
from node.cli.publishing import staged
from node.cli.show import BISHKEK
from node.client.client import Client
from node.client.errors import ProofInvalid
from node.client.history import Page, first_since, read_page
from node.client.proofs import ProvenAccount
from node.iso20022.camt import Line
from node.iso20022.plan import Ref
from node.iso20022.returns import return_ref
from node.ledger.account import SOM, account_number
from node.ledger.parameters import DAY_MS, DEFAULT
from node.rpc import types
from node.storage.files import lock
from tests.cli_lab import Som, prompt_left_open, som_lab
from tests.solo_chain import ALICE, BANK, BOB, START_MS, TREASURY, SoloChain, digits
from tests.test_cli_files import file_of
from tests.test_iso20022_camt import ENTRY, STATEMENT, entry, texts, valid

DAY = "2026-09-21"  # of START_MS, in Bishkek
NEXT = "2026-09-22"


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path) as found:
        yield found


def next_day(som: Som, *, lively: bool = False) -> None:
    """Let the day end; ``lively``: blocks go on being made, as they do on a real network."""

    async def later(chain: SoloChain) -> None:
        chain.now_ms = START_MS + DAY_MS
        for _ in range(2):
            await chain.add_block(())
        if lively:
            ticking.append(asyncio.create_task(tick(chain)))

    async def tick(chain: SoloChain) -> None:
        while True:
            await asyncio.sleep(0.05)
            await chain.add_block(())

    ticking: list[asyncio.Task[None]] = TICKING
    som.on_chain(later)


TICKING: list[asyncio.Task[None]] = []


def stop_ticking(som: Som) -> None:
    async def stop(chain: SoloChain) -> None:
        while TICKING:
            TICKING.pop().cancel()

    som.on_chain(stop)


def written(path: Path, message: str = "053") -> etree._Element:
    return valid(message, path.read_bytes())


def test_the_test_knows_its_day() -> None:
    assert datetime.fromtimestamp(START_MS / 1000, BISHKEK).date().isoformat() == DAY


def test_a_days_statement_has_what_the_day_booked(som: Som) -> None:
    out = som.home / "statement.xml"
    som.json("pay", "--from", "bank", "--to", digits(ALICE), "--ref", "INV-42", "12.50")
    next_day(som)
    som.json("pay", "--from", "bank", "--to", digits(ALICE), "7")
    som.on_chain(lambda chain: chain.add_block(()))
    value = som.json("iso", "statement", "alice", "--day", DAY, "--out", str(out))
    root = written(out)
    assert int(value["closing"]) == som.balance(ALICE) - 7_00
    assert (value["ended"], value["proven"]) == (True, None)
    assert texts(root, f"{STATEMENT}/Bal/Tp/CdOrPrtry/Cd") == ["OPBD", "CLBD"]
    assert texts(root, f"{ENTRY}/NtryDtls/TxDtls/Refs/EndToEndId")[-1] == "INV-42"
    assert int(value["credits"]["sum"]) - int(value["debits"]["sum"]) == int(value["closing"]) - int(value["opening"])
    assert out.stat().st_mode & 0o077 == 0
    assert [path.name for path in som.home.glob("*.new")] == []


def test_a_day_is_found_among_many_entries(som: Som) -> None:
    async def busy(chain: SoloChain) -> None:
        for day in range(3):
            chain.now_ms = max(chain.now_ms, START_MS + day * DAY_MS)
            for amount in range(1, 70):
                await chain.add_block([chain.pay("bank", BOB, amount)])

    som.on_chain(busy)
    before = som.balance(BOB) - 2 * sum(range(1, 70))
    out = som.home / "s.xml"
    value = som.json("iso", "statement", "bob", "--day", NEXT, "--out", str(out))
    assert value["credits"] == {"entries": 69, "sum": str(sum(range(1, 70)))}
    assert int(value["opening"]) == before
    assert texts(written(out), f"{ENTRY}/Amt") == [f"{amount / 100:.2f}" for amount in range(1, 70)]
    both = som.json("iso", "statement", "bob", "--day", DAY, "--to", NEXT, "--out", str(out))
    assert both["credits"]["entries"] == 138
    empty = som.json("iso", "statement", "bob", "--day", "2026-09-01", "--out", str(out))
    assert (empty["opening"], empty["closing"], empty["credits"]["entries"]) == ("0", "0", 0)


def test_a_statement_is_proven_from_the_genesis(som: Som) -> None:
    out, genesis = som.home / "s.xml", str(som.home / "genesis.json")
    next_day(som, lively=True)
    try:
        value = som.json("iso", "statement", "alice", "--day", DAY, "--out", str(out), "--genesis", genesis)
    finally:
        stop_ticking(som)
    assert value["proven"]["height"] > 0
    assert int(value["closing"]) == som.balance(ALICE)
    assert "proven from genesis" in str(texts(written(out), f"{STATEMENT}/AddtlStmtInf")[0])


def test_a_day_that_is_not_proven_to_have_ended_has_no_proven_statement(som: Som) -> None:
    out, genesis = som.home / "s.xml", str(som.home / "genesis.json")
    result = som.run("iso", "statement", "alice", "--day", DAY, "--out", str(out), "--genesis", genesis)
    assert (result.exit_code, out.exists()) == (4, False)


class Proving(Client):
    """A client whose node proves the account at heights that a test names: (height, certified by, then)."""

    def __init__(self, *proofs: tuple[int, int, int]) -> None:
        super().__init__(["http://127.0.0.1:1"])
        self.proofs = [ProvenAccount(ALICE, None, *proof) for proof in proofs]

    async def prove_account(self, number: int) -> ProvenAccount:
        return self.proofs.pop(0)


async def test_a_state_after_a_certified_header_of_the_next_day_is_waited_for() -> None:
    found = await Proving((5, 7, 1_000), (6, 8, 1_001), (7, 9, 1_002)).prove_account_after(ALICE, 1_000)
    assert found is not None
    assert (found.height, found.certified_by) == (7, 9)
    assert await Proving((5, 7, 999)).prove_account_after(ALICE, 1_000) is None


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
def test_a_day_that_has_not_ended_is_refused_or_interim(som: Som, language: str) -> None:
    out = som.home / "s.xml"
    command = ("iso", "statement", "alice", "--day", DAY, "--out", str(out), "--lang", language)
    result = som.run(*command)
    assert (result.exit_code, out.exists(), "--interim" in result.output) == (4, False, True)
    assert som.json(*command, "--interim")["ended"] is False
    assert texts(written(out), f"{STATEMENT}/Bal/Tp/CdOrPrtry/Cd") == ["OPBD", "ITBD"]


def test_a_bulk_entry_has_the_payments_that_were_made(som: Som) -> None:
    path = file_of(som, [("E-1", ALICE, "10.00"), ("E-2", BOB, "20.50"), ("E-3", account_number(11, 999), "5.00")])
    som.run("iso", "import", path)
    next_day(som)
    out = som.home / "s.xml"
    som.json("iso", "statement", "treasury", "--day", DAY, "--out", str(out))
    root = written(out)
    assert texts(root, f"{ENTRY}/NtryDtls/Btch/NbOfTxs") == ["2"]  # the third was refused
    report = etree.fromstring(Path(f"{path}.pain002.xml").read_bytes())
    refs = texts(report, "CstmrPmtStsRpt/OrgnlPmtInfAndSts/TxInfAndSts/AcctSvcrRef")
    assert set(texts(root, f"{ENTRY}/NtryDtls/TxDtls/Refs/AcctSvcrRef")) == set(refs[:2])
    assert texts(root, f"{ENTRY}/Amt")[-1] == "30.50"


@pytest.mark.parametrize("wrong", [("--day", "x"), ("--day", DAY, "--to", "2026-09-20"), ()])
def test_a_day_that_is_none_is_a_usage_error(som: Som, wrong: tuple[str, ...]) -> None:
    assert som.run("iso", "statement", "alice", *wrong).exit_code == 2


# Notifications


def notified(som: Som, *more: str) -> list[dict[str, object]]:
    result = som.run("iso", "notify", "alice", "--out-dir", str(som.home / "out"), "--once", "--json", *more)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def numbers(som: Som) -> list[int]:
    """The numbers of the entries of all notifications, in the order of the files' names."""
    found: list[int] = []
    for path in sorted((som.home / "out").glob("*.xml")):
        told = texts(written(path, "054"), "BkToCstmrDbtCdtNtfctn/Ntfctn/Ntry/NtryRef")
        found += [int(str(number)) for number in told]
    return found


def test_every_block_that_books_has_a_notification_and_none_is_told_twice(som: Som) -> None:
    for amount in ("1", "2"):
        som.json("pay", "--from", "bank", "--to", digits(ALICE), amount)
    first = notified(som)
    assert numbers(som) == list(range(len(numbers(som))))
    assert len(first) >= 2
    assert notified(som) == []
    som.json("pay", "--from", "alice", "--to", digits(BOB), "3")
    (last,) = notified(som)
    assert last["entries"] == 1
    assert numbers(som) == list(range(len(numbers(som))))


def test_one_process_follows_an_account_into_a_directory(som: Som) -> None:
    notified(som)
    held = lock(next((som.home / "out").glob("*.lock")))
    try:
        assert som.run("iso", "notify", "alice", "--out-dir", str(som.home / "out"), "--once").exit_code == 7
        assert som.run("iso", "notify", "bob", "--out-dir", str(som.home / "out"), "--once").exit_code == 0
    finally:
        os.close(held)


@pytest.mark.slow
@pytest.mark.processes
def test_who_is_killed_while_following_goes_on_where_it_was(som: Som) -> None:
    directory = som.home / "out"
    command = [sys.executable, "-m", "node.cli", "iso", "notify", "alice", "--json", "--out-dir", str(directory)]
    environment = {**os.environ, "SOM_NODE": som.url, "SOM_ACCOUNTS": str(som.home / "accounts.json")}
    told: set[int] = set()
    for end in (signal.SIGKILL, signal.SIGINT):
        som.json("pay", "--from", "bank", "--to", digits(ALICE), "1")
        wanted = len(som.json("account", "history", "alice")["entries"])
        # Where a shell has put us in the background, SIGINT is ignored, and by our children too.
        heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=heard) as process:
            assert process.stdout is not None
            while told != set(range(wanted)):
                assert process.stdout.readline()
                told.update(numbers(som))
            process.send_signal(end)
            assert process.wait(60) == (0 if end == signal.SIGINT else -signal.SIGKILL)
    assert numbers(som) == sorted(told)


def test_files_that_were_taken_away_are_not_written_again(som: Som) -> None:
    assert notified(som)
    for path in (som.home / "out").glob("*.xml"):
        path.unlink()
    assert notified(som) == []


def test_a_block_with_many_entries_is_told_in_files_of_a_bounded_size(som: Som) -> None:
    start = len(som.json("account", "history", "alice")["entries"])
    som.on_chain(lambda chain: chain.execute([chain.pay("bank", ALICE, amount) for amount in range(1, 8)]))
    told = notified(som, "--from", str(start), "--entries", "3")
    assert [each["entries"] for each in told] == [3, 3, 1]


def test_it_may_begin_at_the_end(som: Som) -> None:
    assert notified(som, "--from", "end") == []
    som.json("pay", "--from", "bank", "--to", digits(ALICE), "1")
    assert len(notified(som)) == 1


def test_a_cursor_of_another_network_or_a_damaged_one_is_refused(som: Som) -> None:
    notified(som)
    (path,) = (som.home / "out").glob("*.cursor")
    good = json.loads(path.read_text())
    for bad in ("no json", "[]", json.dumps({**good, "genesis": "00" * 32}), json.dumps({**good, "next_entry": -1})):
        path.write_text(bad)
        assert som.run("iso", "notify", "alice", "--out-dir", str(som.home / "out"), "--once").exit_code == 7
    assert som.run("iso", "notify", "alice", "--out-dir", str(som.home / "out"), "--from", "x").exit_code == 2


GENESIS = b"\7" * 32
ONE = [Line(0, entry(5, 5)), Line(1, entry(5, 10))]
TWO = [Line(2, entry(5, 15))]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".cursor")


def test_a_crash_before_the_cursor_leaves_nothing_and_it_is_told_by_the_next_start(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, BOB_, GENESIS)
    path = outbox.put(ONE, 2)
    assert path is not None
    cursor = next(tmp_path.glob("*.cursor"))
    before = cursor.read_bytes()
    second = outbox.put(TWO, 3)
    assert second is not None
    cursor.write_bytes(before)  # as the disk was after staging and before the cursor
    second.replace(staged(second))
    again = Outbox(tmp_path, BOB_, GENESIS)
    assert again.cursor is not None
    assert (again.cursor.next_entry, names(tmp_path)) == (2, [path.name])


def test_a_crash_after_the_cursor_is_finished_by_the_next_start(tmp_path: Path) -> None:
    path = Outbox(tmp_path, BOB_, GENESIS).put(ONE, 2)
    assert path is not None
    data = path.read_bytes()
    path.replace(staged(path))  # as the disk was after the cursor and before the name
    again = Outbox(tmp_path, BOB_, GENESIS)
    assert again.cursor is not None
    assert (again.cursor.next_entry, names(tmp_path), path.read_bytes()) == (2, [path.name], data)


def test_a_file_that_was_published_and_taken_is_not_published_again(tmp_path: Path) -> None:
    path = Outbox(tmp_path, BOB_, GENESIS).put(ONE, 2)
    assert path is not None
    path.unlink()
    Outbox(tmp_path, BOB_, GENESIS)
    assert names(tmp_path) == []


BOB_ = account_number(101, 1)


class Told:
    """Entries of heights that a test names, in pages that it names: a source, as a subscription could be one."""

    def __init__(self, *pages: tuple[list[int], bool]) -> None:
        self.pages = pages

    async def after(self, first: int) -> AsyncIterator[Page]:
        number = first
        for heights, more in self.pages:
            shown = []
            for height in heights:
                shown.append(
                    types.Entry(
                        number=number, height=height, timestamp_ms=0, tx_id="00" * 32, op=0, leg=0, asset=SOM,
                        amount="1", balance="1", other=digits(BANK), ref=None,
                    )
                )  # fmt: skip
                number += 1
            yield Page(tuple(shown), more)


async def grouped(source: Told, grouping: Grouping) -> list[list[int]]:
    return [[line.number for line in group] async for group in groups(source, 4, grouping, once=True)]


async def test_a_block_is_one_group_though_pages_cut_it() -> None:
    source = Told(([1, 1], True), ([1, 2], True), ([2, 3], False))
    assert await grouped(source, Grouping()) == [[4, 5, 6], [7, 8], [9]]
    assert await grouped(source, Grouping(entries_max=2)) == [[4, 5], [6], [7, 8], [9]]


async def test_what_came_within_some_seconds_is_one_group() -> None:
    source = Told(([1, 2], True), ([3], False))
    assert await grouped(source, Grouping(every_seconds=60)) == [[4, 5, 6]]


Change = Callable[[types.GetHistoryResult], types.GetHistoryResult]


class Lying(Client):
    """A client whose node changes every page."""

    def __init__(self, url: str, change: Change) -> None:
        super().__init__([url])
        self.change = change

    async def history_page(self, *args: Any, **options: Any) -> types.GetHistoryResult:
        return self.change(await super().history_page(*args, **options))


def later_by_one(found: types.GetHistoryResult) -> types.GetHistoryResult:
    return structs.replace(
        found, entries=tuple(structs.replace(shown, number=shown.number + 1) for shown in found.entries)
    )


def empty(found: types.GetHistoryResult) -> types.GetHistoryResult:
    return structs.replace(found, entries=(), next_cursor="00")


@pytest.mark.parametrize("change", [later_by_one, empty])
async def test_a_node_that_leaves_out_entries_is_found_out(som: Som, change: Change) -> None:
    async with Client([som.url]) as honest, Lying(som.url, change) as lying:
        assert await first_since(honest, ALICE, 0) == 0
        assert (await read_page(honest, ALICE, 0)).entries
        with pytest.raises(ProofInvalid):
            await read_page(lying, ALICE, 0)
        with pytest.raises(ProofInvalid):
            await first_since(lying, ALICE, 0)


# Returns


def test_a_payment_of_a_file_is_paid_back_once_and_both_statements_say_so(som: Som) -> None:
    path = file_of(som, [("E-1", ALICE, "10.00")])
    som.json("iso", "import", path)
    report = etree.fromstring(Path(f"{path}.pain002.xml").read_bytes())
    (ref,) = texts(report, "CstmrPmtStsRpt/OrgnlPmtInfAndSts/TxInfAndSts/AcctSvcrRef")
    before = som.balance(TREASURY)
    command = ("iso", "return", str(ref), "--of", "treasury", "--from", "alice")
    som.json(*command)
    assert som.balance(TREASURY) == before + 10_00
    again = som.run(*command, "--lang", "en")
    assert (again.exit_code, "before" in again.output) == (4, True)
    assert som.balance(TREASURY) == before + 10_00
    next_day(som)
    for name in ("treasury", "alice"):
        out = som.home / f"{name}.xml"
        som.json("iso", "statement", name, "--day", DAY, "--out", str(out))
        root = written(out)
        assert texts(root, f"{ENTRY}/BkTxCd/Domn/Fmly/SubFmlyCd")[-1] == "RRTN"
        uetr = str(ref)
        shown = texts(root, f"{ENTRY}/NtryDtls/TxDtls/Refs/UETR")[-1]
        assert str(shown).replace("-", "") == uetr


@pytest.mark.parametrize(
    ("reference", "code"), [("00" * 16, 4), ("8a562c67-ca16-4b75-b0fb-4e5a1ec5a95f", 4), ("INV-42", 2), ("x" * 32, 2)]
)
def test_what_was_not_paid_is_not_paid_back(som: Som, reference: str, code: int) -> None:
    assert som.run("iso", "return", reference, "--of", "treasury", "--from", "alice").exit_code == code
    assert som.chain.submissions == 0


def a_paid_reference(som: Som) -> bytes:
    path = file_of(som, [("E-1", ALICE, "10.00")])
    som.json("iso", "import", path)
    report = etree.fromstring(Path(f"{path}.pain002.xml").read_bytes())
    (ref,) = texts(report, "CstmrPmtStsRpt/OrgnlPmtInfAndSts/TxInfAndSts/AcctSvcrRef")
    return bytes.fromhex(str(ref))


def test_what_a_colleague_pays_back_while_the_passphrase_is_typed_is_not_paid_back_again(
    som: Som, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = a_paid_reference(som)
    before = som.balance(TREASURY)

    async def colleague(chain: SoloChain) -> None:
        await chain.execute([chain.pay("alice", TREASURY, 10_00, return_ref(Ref(ref)), once=True)])

    file = prompt_left_open(som, monkeypatch, colleague)
    late = som.run("iso", "return", ref.hex(), "--of", "treasury", "--from", "alice", "--key", file)
    assert (late.exit_code, "before" in late.stderr) == (4, True)
    assert som.balance(TREASURY) == before + 10_00


def test_a_return_expires_within_the_window_of_its_look_up_however_long_others_may_sign(som: Som) -> None:
    ref = a_paid_reference(som)
    block_ms = som.json("status")["info"]["block_time_ms"]
    command = ("iso", "return", ref.hex(), "--of", "treasury", "--from", "alice", "--expires-in", "4000")
    prepared = som.json(*command, "--prepare", str(som.home / "return.json"))
    assert prepared["expires_ms"] == block_ms + DEFAULT.window_person_ms
