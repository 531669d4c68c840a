"""The bench: what it can run, what it signs, how it counts, what it writes, and one run of everything, briefly."""

import asyncio
import json
import math
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final, get_args

import plyvel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.messages import Hash, decode_block, decode_certificate
from consensus.verify import certificate_valid
from devnet.bench import prepare
from devnet.bench.__main__ import parse
from devnet.bench.check import faults
from devnet.bench.load import APPLIED, Nodes, Tally, open_loop
from devnet.bench.measure import Machine, family
from devnet.bench.network import BenchNetwork, names_of
from devnet.bench.plots import BEGIN, END, NONE_YET, PageError, charts, figures, put_between, read_all
from devnet.bench.plots import main as plots_main
from devnet.bench.prepare import Prepared, bench_genesis, link_data, prepared, wallet_tyiyn
from devnet.bench.profile import OTHER, PARTS, fold
from devnet.bench.quick import BASELINE, BaselineError, Figures, compare, read_baseline
from devnet.bench.results import (
    FORMAT,
    Latency,
    Result,
    ResultError,
    Run,
    Stage,
    ValidatorCost,
    latency_of,
    median_stage,
    percentile_ms,
    read_result,
    write_result,
)
from devnet.bench.run import run
from devnet.bench.scenarios import PAYLOADS, SATURATION, SCENARIOS, Draw, Fault, PayloadName, Scenario
from devnet.bench.sign import (
    ACCOUNTS_MIN,
    BANKS,
    Call,
    Chain,
    HttpRequest,
    Job,
    Mix,
    merchant,
    request_of,
    spread,
    transactions_of,
    wallet,
    zipf_rank,
)
from devnet.generate import VALIDATORS
from devnet.money import BANK_TYIYN
from devnet.offline import Maker
from devnet.processes import LOOPBACK, place_store
from devnet.svg import draw
from node.config import Config
from node.epochs import Epochs
from node.home import create_data
from node.ledger.execute import Ledger
from node.ledger.pay import Pay
from node.ledger.transaction import decode_transaction, signatures_valid
from node.storage.store import Store
from tests.devnet_lab import ROOT, program, runs, until

CHAIN: Final = Chain(7, bytes(32))
EXPIRES_MS: Final = 1_790_000_000_000


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Return a chain with as few wallets as the bench takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "PREPARED", tmp_path_factory.mktemp("prepared"))
        return asyncio.run(prepared(VALIDATORS, ACCOUNTS_MIN, 1, print))


# --- scenarios ---


def test_the_table_has_every_size_fault_payload_draw_and_distance() -> None:
    rows = SCENARIOS.values()
    assert {row.validators for row in rows} == {1, 4, 7, 10, 16, 31}
    assert {row.signature_workers for row in rows if row.validators == 1} == {0, 1, 2}
    assert {10**3, 10**5, 10**6, 7 * 10**6} <= {row.accounts for row in rows}
    assert {row.fault for row in rows} == {*get_args(Fault)}
    assert {row.payload for row in rows} == {*get_args(PayloadName)} == {*PAYLOADS}
    assert {row.draw for row in rows} == {*get_args(Draw)}
    assert {row.delay_ms for row in rows} == {0, 10, 80}
    assert any(row.profile for row in rows)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_scenario_is_within_bounds_and_measures_saturation_before_its_shares(scenario: Scenario) -> None:
    assert parse(["--scenario", scenario.name])[1] == [scenario]
    assert scenario.loads[0].closed
    assert len({load.name for load in scenario.loads}) == len(scenario.loads)
    assert all(load.closed or load.share for load in scenario.loads)


def test_the_command_line_chooses_scenarios_and_changes_them() -> None:
    assert parse([])[1] == [SCENARIOS["usual"]]
    assert parse(["--all"])[1] == list(SCENARIOS.values())
    _, (dead, slow) = parse(["--scenario", "dead", "--scenario", "slow", "--accounts", "5000", "--seconds", "7"])
    assert (dead, slow) == tuple(replace(SCENARIOS[name], accounts=5_000, seconds=7.0) for name in ("dead", "slow"))
    _, (rated,) = parse(["--rate", "500", "--rate", "1000"])
    assert [load.rate for load in rated.loads] == [500, 1_000]


@pytest.mark.parametrize(
    "words",
    [
        "--scenario nobody",
        "--accounts 10",
        "--accounts 100000000",
        "--validators 0",
        "--validators 32",
        "--runs 0",
        "--seconds 0",
        "--batch 1",
        "--rate 0",
        "--in-flight 1",
        "--json x --scenario dead --scenario slow",
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(words: str) -> None:
    with pytest.raises(SystemExit):
        parse(words.split())


# --- what is signed ---


@given(st.integers(3, 5_000), st.integers(0, 10**6))
def test_everybody_pays_in_turn_and_neighbours_do_not_follow_each_other(accounts: int, first: int) -> None:
    order = [spread(number, accounts) for number in range(first, first + accounts)]
    assert sorted(order) == list(range(accounts))
    if accounts > 10:
        assert all(abs(one - other) > 1 for one, other in pairwise(order))


def test_a_zipf_draw_halves_with_each_doubling_of_the_rank() -> None:
    lot = Random(3)
    ranks = Counter(zipf_rank(lot, 1_000) for _ in range(40_000))
    assert set(ranks) <= set(range(1_000))
    for low in (1, 2, 4, 8, 16, 32):
        octave = sum(ranks[rank - 1] for rank in range(low, 2 * low))
        assert 0.8 < octave / (40_000 * math.log(2) / math.log(1_001)) < 1.2


def test_the_merchant_gets_half() -> None:
    job = Job(CHAIN, EXPIRES_MS, Mix(ACCOUNTS_MIN, draw="merchant", batch=400), 0, 1)
    (raws,) = transactions_of(job, 0)
    operations = [decode_transaction(raw, CHAIN.genesis_hash).operations[0] for raw in raws]
    payees = [operation.legs[0][0] for operation in operations if isinstance(operation, Pay)]
    assert 150 < payees.count(merchant()) < 250


@pytest.mark.parametrize("draw", get_args(Draw))
@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_ledger_applies_all_that_a_call_holds(made: Prepared, payload: PayloadName, draw: Draw) -> None:
    genesis = made.genesis
    store = Store.open(made.data / "store", genesis.hash)
    try:
        ledger = Ledger(store, genesis)
        mix = Mix(ACCOUNTS_MIN, payload, draw, PAYLOADS[payload].batch)
        job = Job(Chain(genesis.network, genesis.hash), ledger.timestamp_ms + 500_000, mix, 0, 2)
        requests = [raws for call in range(job.calls) for raws in transactions_of(job, call)]
        transactions = [decode_transaction(raw, genesis.hash) for raws in requests for raw in raws]
        assert len({transaction.id for transaction in transactions}) == len(transactions) == job.calls * mix.batch
        assert all(map(signatures_valid, transactions))
        executed = ledger.execute(ledger.height + 1, ledger.timestamp_ms + 1, ledger.version, transactions)
        assert [receipt for receipt in executed.receipts if not receipt.applied] == []
    finally:
        store.close()


# --- the prepared chain ---


def test_a_prepared_store_adds_up(made: Prepared) -> None:
    assert faults({"one": made.data.parent}, made.genesis) == []
    store = Store.open(made.data / "store", made.genesis.hash)
    try:
        ledger = Ledger(store, made.genesis)
        for index in (0, 1, ACCOUNTS_MIN // 2, ACCOUNTS_MIN - 1):
            account = ledger.account(wallet(index).number)
            assert account is not None
            assert account.balance(1) == wallet_tyiyn(ACCOUNTS_MIN)
        assert ledger.account(wallet(ACCOUNTS_MIN).number) is None
    finally:
        store.close()


@pytest.mark.parametrize("accounts", [10**3, 10**5, 7 * 10**6])
def test_the_banks_money_is_enough_for_all_wallets_and_for_what_is_paid(accounts: int) -> None:
    assert wallet_tyiyn(accounts) * accounts <= BANKS * BANK_TYIYN // 2
    assert wallet_tyiyn(accounts) >= 1_000


async def test_a_prepared_chain_is_certified_through_all_its_epochs(tmp_path: Path) -> None:
    genesis = replace(bench_genesis(VALIDATORS, ACCOUNTS_MIN), epoch_length=2)
    create_data(tmp_path, Config("one"), genesis)
    store = Store.open(tmp_path / "data" / "store", genesis.hash)
    maker = Maker(genesis, store)
    executing = asyncio.create_task(maker.executor.run())
    try:
        for _ in range(5):
            await maker.add_block([])
        assert store.check() == 5
        epochs = Epochs(genesis, store)
        for height in range(1, 6):
            stored, certificate = store.block(height), store.certificate(height)
            assert stored is not None
            assert certificate is not None
            header, read = decode_block(stored.block_bytes).header, decode_certificate(certificate)
            members = epochs.members(header.epoch)
            assert members is not None
            assert header.epoch == (height - 1) // 2
            assert header.proposer == members.committee.leader(header.view)
            assert read.hash == stored.block_hash
            assert certificate_valid(read, members.committee, Hash(genesis.hash))
    finally:
        executing.cancel()
        await asyncio.gather(executing, return_exceptions=True)
        store.close()


async def test_a_chain_is_made_once_and_again_when_its_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Prepared
) -> None:
    monkeypatch.setattr(prepare, "PREPARED", made.data.parents[1])
    before = made.data.stat().st_ino
    assert (await prepared(VALIDATORS, ACCOUNTS_MIN, 1, print)).data.stat().st_ino == before
    name = prepare._source_digest()
    monkeypatch.setattr(prepare, "SOURCES", (*prepare.SOURCES, "devnet/svg.py"))
    assert prepare._source_digest() != name


def test_a_home_that_goes_on_from_a_prepared_chain_leaves_it_as_it_was(made: Prepared, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in (made.data / "store").iterdir()}
    (tmp_path / "data").mkdir()
    link_data(made, tmp_path / "data")
    for _ in range(3):  # LevelDB turns its log into tables, and begins new ones
        store = Store.open(tmp_path / "data" / "store", made.genesis.hash)
        ledger = Ledger(store, made.genesis)
        assert store.tip.height == ledger.height > 0
        assert store.put_evidence(os.urandom(32), bytes(100_000))
        store.close()
    assert {path.name: path.read_bytes() for path in (made.data / "store").iterdir()} == before


def test_a_table_that_was_not_finished_when_its_store_was_closed_is_no_two_homes_own(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with closing(plyvel.DB(str(store), create_if_missing=True)) as rows:
        rows.put(b"key", b"value")
    (log,) = store.glob("*.log")
    unfinished = f"{int(log.stem) + 2:06}.ldb"  # after a new manifest: what LevelDB will write the log's rows to
    (store / unfinished).write_bytes(b"half")
    homes = [tmp_path / name for name in ("one", "other")]
    for home in homes:
        home.mkdir()
        place_store(store, home)
    with closing(plyvel.DB(str(homes[0]))) as rows:
        assert rows.get(b"key") == b"value"
        assert (homes[0] / unfinished).read_bytes() != b"half"
    assert (homes[1] / unfinished).read_bytes() == (store / unfinished).read_bytes() == b"half"


# --- counting ---


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=300), st.sampled_from([500, 950, 990, 999]))
def test_a_percentile_is_the_smallest_sample_that_the_share_does_not_exceed(
    samples: list[float], permille: int
) -> None:
    ascending = sorted(samples)
    found = percentile_ms(ascending, permille)
    if len(samples) < 1_000 / (1_000 - permille):
        assert found is None
        return
    assert found is not None
    enough = [each for each in ascending if sum(one <= each for one in samples) * 1_000 >= permille * len(samples)]
    assert found == enough[0] * 1_000


def test_of_too_few_samples_no_tail_is_told() -> None:
    assert latency_of([0.001 * number for number in range(1, 101)]) == Latency(100, 50.0, 95.0, 99.0, None)
    assert latency_of([]) == Latency(0, None, None, None, None)
    assert latency_of([0.001 * number for number in range(1_000, 0, -1)]).p999_ms == 999.0


def test_a_call_counts_by_when_it_was_meant_to_go_out_however_late_it_ended() -> None:
    tally = Tally(samples=[(10.0, 5.0), (30.0, 15.0), (21.0, 0.5)])  # meant at 5, 15 and 20.5
    assert tally.latencies(10.0, 20.0) == [15.0]


def reply(*names: str, status: str = APPLIED) -> bytes:
    """Return the answer to a request whose first transactions are taken, or refused under a name."""
    items = [{"refused": {"name": name}} if name else {} for name in names]
    return json.dumps([{"result": {"items": items}}, {"result": {"outcome": {"status": status}}}]).encode()


def test_refusals_and_outcomes_are_counted_by_name() -> None:
    tally = Tally()
    assert tally.take(reply("", "overloaded", ""), 4)
    assert not tally.take(reply("", status="expired"), 2)
    assert not tally.take(b'[{"error":{"message":"m","data":{"name":"overloaded"}}},{"error":{"message":"m"}}]', 3)
    assert not tally.take(b"<html>", 2)
    assert tally.accepted == 2 + 1 + 1 + 1
    assert tally.refused == {"overloaded": 1 + 2, "unnamed": 1}
    assert tally.outcomes == {APPLIED: 1, "expired": 1}
    assert tally.failed_calls == {"<html>": 1}
    assert tally.samples == []


@asynccontextmanager
async def stalled_node(calls: int, answer: bytes) -> AsyncIterator[str]:
    """Give the address of a node that answers nobody before so many requests are there."""
    all_here, come = asyncio.Event(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal come
        with suppress(asyncio.IncompleteReadError):  # the end
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.rpartition(b" ")[2]))
                come += 1
                if come == calls:
                    all_here.set()
                await all_here.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        writer.close()
        closed.release()

    closed = asyncio.Semaphore(0)
    async with await asyncio.start_server(serve, LOOPBACK, 0) as server:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        await closed.acquire()


async def test_an_open_loop_goes_on_while_a_node_stands_still_and_counts_the_whole_wait() -> None:
    calls: list[Call] = [(HttpRequest(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 2),)] * 8
    tally = Tally()
    async with stalled_node(len(calls), reply("")) as url:
        nodes = Nodes([url])
        await open_loop(nodes, iter(calls), 200.0, tally, asyncio.Event())
        nodes.close()
    assert tally.accepted == 2 * len(calls)
    meant = sorted(at - latency for at, latency in tally.samples)
    ended = min(at for at, _ in tally.samples)
    assert all(at - latency < ended for at, latency in tally.samples)  # all went out before the first answer
    assert max(latency for _, latency in tally.samples) >= meant[-1] - meant[0]


async def test_requests_of_one_call_follow_each_other_and_make_one_latency() -> None:
    request = HttpRequest(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 2)
    tally = Tally()
    async with stalled_node(1, reply("")) as url:
        nodes = Nodes([url])
        await open_loop(nodes, iter([(request, request)]), 1_000.0, tally, asyncio.Event())
        nodes.close()
    assert (tally.accepted, len(tally.samples)) == (4, 1)


def test_a_request_says_how_long_it_is() -> None:
    head, _, body = request_of([b"\x01" * 50, b"\x02" * 60]).data.partition(b"\r\n\r\n")
    assert int(head.rpartition(b" ")[2]) == len(body)


# --- results ---

machines = st.builds(Machine, cpu=st.text(max_size=10), kernel=st.just("6"), python=st.just("3"))
costs = st.builds(ValidatorCost, rss_bytes=st.integers(0, 10**9))
latencies = st.builds(Latency, samples=st.integers(0, 10**6))
counts = st.dictionaries(st.text(max_size=5), st.integers(0, 10**6), max_size=2)
stages = st.builds(
    Stage,
    name=st.sampled_from(["saturation", "half"]),
    validators=st.lists(costs, min_size=1, max_size=4).map(tuple),
    latency=latencies,
    refused=counts,
    outcomes=counts,
    failed_calls=counts,
    cpu_parts=st.dictionaries(st.sampled_from(sorted({*PARTS.values()})), st.floats(0, 1), max_size=3),
)
a_run = st.builds(Run, stages=st.lists(stages, max_size=3).map(tuple), faults=st.just(()))
results = st.builds(
    Result,
    format=st.just(FORMAT),
    machine=machines,
    scenario=st.sampled_from(list(SCENARIOS.values())),
    runs=st.lists(a_run, max_size=3).map(tuple),
)


def finite(result: Result) -> bool:
    """Return whether the result has only numbers that JSON has."""
    return "nan" not in repr(result) and "inf" not in repr(result)


@given(results.filter(finite))
def test_a_result_is_read_as_written(tmp_path_factory: pytest.TempPathFactory, result: Result) -> None:
    path = tmp_path_factory.getbasetemp() / "result.json"
    write_result(path, result)
    assert read_result(path) == result


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 1}', '{"format":1,"machine":{},"commit":"","scenario":{},"runs":[]}']
)
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=r"result\.json"):
        read_result(path)


def test_a_result_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_result(path, replace(a_result("usual"), format=FORMAT + 1))
    with pytest.raises(ResultError, match="format 2"):
        read_result(path)


def a_stage(name: str, committed: float, p50_ms: float | None = 100.0, offered: float | None = None) -> Stage:
    """Return a stage with figures of its own."""
    cost = ValidatorCost("nbkr", 100.0 + committed, 0.5, 10**8, 2_000.0, 140.0)
    return Stage(
        name=name,
        offered_per_second=offered,
        seconds=20.0,
        committed_per_second=committed,
        payments_per_second=committed,
        bound_ratio=committed / 10_000,
        bound_ratio_of_rest=committed / 10_000,
        latency=Latency(1_000, p50_ms, 200.0, 300.0, 400.0),
        accepted=1_000,
        refused={"overloaded": 1},
        outcomes={APPLIED: 10},
        failed_calls={},
        blocks_per_second=5.0,
        block_ms=250.0,
        views_nullified=2,
        validators=(cost, replace(cost, name="bank-1")),
        generator_share=0.01,
        others_share=0.02,
    )


def a_result(name: str, *committed: float) -> Result:
    """Return a result with a run for each figure."""
    done = [
        Run(0, 60.0, 45.0, 47.0, 10_000.0, (a_stage("saturation", one), a_stage("half", one / 2, offered=one / 2)), ())
        for one in committed or (3_000.0,)
    ]
    where = Machine("A processor", 2, 2**34, "6.1", "3.11", 0.1)
    return Result(FORMAT, where, "abc1234", SCENARIOS[name], tuple(done))


def test_medians_are_of_runs_and_counts_of_all_together() -> None:
    stage = median_stage(a_result("usual", 1_000.0, 3_000.0, 2_000.0).runs, "saturation")
    assert stage is not None
    assert stage.committed_per_second == 2_000
    assert stage.latency == Latency(3_000, 100.0, 200.0, 300.0, 400.0)
    assert stage.accepted == 3_000
    assert stage.refused == {"overloaded": 3}
    assert stage.validators[0].cpu_us_per_transaction == 2_100
    assert median_stage(a_result("usual").runs, "nothing") is None


# --- the page ---


def test_figures_stand_between_the_markers_and_nothing_else_changes(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "performance"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for name in ("usual", "validators-4", "validators-7"):
        write_result(folder / f"{name}.json", a_result(name))
    assert plots_main(["--results", str(folder), "--page", str(page)]) == 0
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| usual | 3,000 | 3,000 | 0.30 |" in text
    assert "![validators](performance/validators.svg)" in text
    assert [path.name for path in folder.glob("*.svg")] == ["validators.svg"]
    assert plots_main(["--results", str(folder), "--page", str(page)]) == 0
    assert page.read_text() == text


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("by hand\n")
    with pytest.raises(PageError):
        put_between("by hand\n", "x")
    assert plots_main(["--results", str(tmp_path), "--page", str(page)]) == 1
    assert page.read_text() == "by hand\n"


def test_latency_curves_leave_out_what_was_not_measured() -> None:
    stages = tuple(a_stage(str(rate), rate, ms, offered=rate) for rate, ms in ((100.0, 50.0), (200.0, None)))
    result = a_result("latency")
    (chart,) = charts({"latency": replace(result, runs=(replace(result.runs[0], stages=stages),))}).values()
    assert [(line.name, len(line.points)) for line in chart.lines] == [("p50", 1), ("p95", 2), ("p99", 2), ("p99.9", 2)]


def test_the_page_says_what_the_committed_results_say() -> None:
    folder = ROOT / "docs" / "performance"
    committed = read_all(folder)
    page = (ROOT / "docs" / "performance.md").read_text()
    assert put_between(page, figures(committed, folder.name)) == page, "run `make bench-plots`"
    drawn = {f"{name}.svg": draw(chart) for name, chart in charts(committed).items()}
    assert {path.name: path.read_text() for path in folder.glob("*.svg")} == drawn
    assert figures({}, folder.name) == NONE_YET


# --- profile and guard ---


def test_a_sample_counts_for_the_innermost_frame_that_is_ours() -> None:
    top = f"run ({ROOT}/node/driver.py:10)"
    assert fold(
        [
            f"main (/usr/lib/python3.11/asyncio/runners.py:1);{top};verify ({ROOT}/consensus/crypto.py:9) 5",
            f"{top};_execute ({ROOT}/node/executor.py:3);apply ({ROOT}/node/ledger/execute.py:4);x (/usr/a.py:1) 3",
            f"{top};commit ({ROOT}/node/storage/store.py:4) 2",
            "select (/usr/lib/python3.11/selectors.py:468) 7",
            "no count here",
        ]
    ) == {
        PARTS["consensus/crypto.py"]: 5,
        PARTS["node/ledger/"]: 3,
        PARTS["node/storage/"]: 2,
        OTHER: 7,
    }


def test_every_part_names_a_file_or_a_folder_that_is_there() -> None:
    assert [name for name in PARTS if not (ROOT / name).exists()] == []


def quick(parts: dict[str, float], ratio: float | None = 0.3, checks: float | None = 3.0) -> Figures:
    """Return what bench-quick compares."""
    return Figures(1, Machine("A processor", 2, 2**34, "6.1", "3.11", 0.1), parts, ratio, checks)


def test_the_guard_marks_what_became_slower_and_only_that() -> None:
    before = quick({"execute": 10.0, "decode": 10.0})
    rows = compare(before, quick({"execute": 12.0, "decode": 9.0, "new": 1.0}, ratio=0.2)).rows
    assert [(row[0], row[-1]) for row in rows] == [
        ("execute", "slower"),
        ("decode", ""),
        ("new", ""),
        ("CPU of a transaction", ""),
        ("bound ratio", "slower"),
    ]


def test_the_guard_compares_what_there_is() -> None:
    for before, now in ((None, quick({"a": 1.0})), (quick({"a": 1.0}), quick({"a": 1.0}, None, None))):
        assert all(row[-1] == "" for row in compare(before, now).rows)


def test_a_baseline_that_is_not_there_is_none_and_a_broken_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert read_baseline(path) is None
    path.write_text("{")
    with pytest.raises(BaselineError, match=r"baseline\.json"):
        read_baseline(path)
    assert read_baseline(ROOT / BASELINE) is None or (ROOT / BASELINE).exists()


# --- the whole of it ---


def test_a_network_has_its_names_and_one_that_is_not_well(made: Prepared, tmp_path: Path) -> None:
    assert names_of(6) == ("nbkr", "bank-1", "bank-2", "bank-3", "bank-4", "bank-5")
    usual, dead, slow = (BenchNetwork(tmp_path, SCENARIOS[name], made) for name in ("usual", "dead", "slow"))
    assert (usual.well, usual.running) == (usual.names, usual.names)
    assert dead.well == dead.running == dead.names[:-1]
    assert (slow.well, slow.running) == (slow.names[:-1], slow.names)


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(("fault", "delay_ms"), [("lying", 5.0), ("slow", 0.0)])
async def test_a_short_run_finds_every_store_whole(
    made: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, delay_ms: float
) -> None:
    monkeypatch.setattr(prepare, "PREPARED", made.data.parents[1])
    brief = replace(SCENARIOS["usual"], accounts=ACCOUNTS_MIN, seconds=1.0, loads=(SATURATION,), in_flight=200)
    done = await run(replace(brief, fault=fault, delay_ms=delay_ms), tmp_path / "net", 1, print)
    assert done.faults == ()
    (stage,) = done.stages
    assert stage.committed_per_second > 0
    assert stage.outcomes == {APPLIED: sum(stage.outcomes.values())}
    assert len(stage.validators) == 3


@pytest.mark.processes
def test_what_a_validator_costs_is_what_its_workers_cost_too() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert list(family(parent.pid)) == [parent.pid, child]
        os.kill(child, signal.SIGKILL)


def in_session(leader: int) -> list[int]:
    """Return the processes that a program has started, and theirs, whatever their groups and parents are now."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and runs(int(entry.name)):
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader:
                    found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_nothing_runs_on_when_a_bench_is_stopped_or_killed(tmp_path: Path, sign: signal.Signals) -> None:
    arguments = ("--accounts", "1000", "--seconds", "60", "--directory", tmp_path / "net")
    with program(tmp_path, "-m", "devnet.bench", *arguments) as bench:
        leader = bench.process.pid
        bench.says("Signing")
        # The bench, four validators, and who signs: two, and the server that forks them.
        until(lambda: len(in_session(leader)) >= 8, lambda: f"all have started: {in_session(leader)}")
        if sign is signal.SIGINT:
            assert bench.interrupt() == 130
            assert "Traceback" not in bench.said
        else:
            bench.process.kill()
        until(lambda: not in_session(leader), lambda: f"nothing left of {leader}: {in_session(leader)}")
