"""som index against a real PostgreSQL: it has the chain, each block once, and proves that its sums are the chain's."""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import psycopg
import pytest
from click.testing import Result

from devnet.processes import free_ports
from node.cli.session import Exit
from node.client.chain import ChainBlock, ChainPlace
from node.client.client import Client
from node.client.errors import ProofInvalid
from node.client.trust import Trust
from node.indexer.books import rows_of
from node.indexer.database import Database, DatabaseError, Reading, Unavailable, read_place
from node.indexer.follow import Indexer
from node.indexer.proof import Verdict, verify
from node.indexer.records import KINDS
from node.indexer.rows import BalanceRow, Rows
from node.indexer.schema import STEPS, VERSION
from node.indexer.view import View
from node.ledger.attestations import ATTESTATION
from node.ledger.holds import HOLD
from node.ledger.orders import ORDER
from node.ledger.pay import Pay
from node.ledger.records import after
from node.ledger.settle import SettleHold
from node.rpc.server import RpcServer
from tests.cli_lab import Som, som_lab
from tests.devnet_lab import ROOT
from tests.postgres_lab import Cluster, cluster, needed
from tests.solo_chain import ALICE, BANK, BOB, DEVICE, NOBODY, SHOP, SoloChain, serving, solo_chain
from tests.test_indexer_books import blocks_of, compare, start

pytestmark = [needed(), pytest.mark.postgres, pytest.mark.slow]

PAGE: Final = (ROOT / "docs" / "indexer.md").read_text()
CHAIN_TRANSACTIONS: Final = 600


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster(durable=False) as found:
        yield found


@pytest.fixture
def dsn(server: Cluster) -> str:
    return server.dsn(server.create())


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory, server: Cluster) -> Iterator[tuple[Som, str, int]]:
    """A chain to which nothing is added, the name of its index, and the height of that."""
    with som_lab(tmp_path_factory.mktemp("quiet")) as som:
        som.on_chain(live)
        name = server.create()
        yield som, name, indexed(som, server.dsn(name))


@pytest.fixture
def copy(quiet: tuple[Som, str, int], server: Cluster) -> str:
    """A copy of the quiet chain's index."""
    return server.dsn(server.create(like=quiet[1]))


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    """A chain on which everything has happened that an index has a table for."""
    with som_lab(tmp_path) as found:
        found.on_chain(live)
        yield found


async def live(chain: SoloChain) -> None:
    await chain.act()
    hold = next(key[1:] for key, _ in chain.store.scan(b"h", b"i") if b"PURSE" in chain.store.get(key))  # type: ignore[operator]
    await chain.execute(
        [
            chain.sign([DEVICE], [SettleHold(DEVICE, hold, 50_00, SHOP, b"", False)], "device"),
            chain.sign([BANK], [Pay(1, BANK, ((BOB, 3, b"a"), (ALICE, 2, b"b"), (1, 1, b"")), partial=True)], "bank"),
            chain.pay("alice", BOB, 10**14),
            chain.open_wallet(500),
        ]
    )


def index(som: Som, dsn: str, *arguments: str) -> Result:
    return som.run("index", "--dsn", dsn, "--genesis", str(som.home / "genesis.json"), *arguments)


def indexed(som: Som, dsn: str) -> int:
    """Index all that is certain; return the height."""
    height = som.chain.store.tip.height - 1
    result = index(som, dsn, "--until", str(height))
    assert result.exit_code == 0, result.output
    return height


def verdict(som: Som, dsn: str) -> tuple[int, dict[str, Any]]:
    result = index(som, dsn, "--verify", "--sample", "0", "--json")
    found: dict[str, Any] = json.loads(result.stdout) if result.stdout else {}
    return result.exit_code, found


def query(dsn: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        done = connection.execute(text.encode())
        return done.fetchall() if done.description else []


# What is there


def test_the_index_has_every_block_and_proves_that_its_sums_are_the_chains(
    quiet: tuple[Som, str, int], copy: str
) -> None:
    som, dsn, height = quiet[0], copy, quiet[2]
    code, found = verdict(som, dsn)
    assert (code, found["equal"], found["faults"], found["height"]) == (0, True, [], height)
    assert found["accounts"] == len(som.chain.genesis.accounts) + 1
    assert found["records"] == 2 + 1 + 1
    assert {each["code"]: int(each["supply"]) for each in found["supplies"]} == {
        asset.code: som.chain.ledger.supply(number) for number, asset in som.chain.ledger.assets().items()
    }
    assert query(dsn, "SELECT count(*) FROM som.blocks") == [(height,)]
    assert query(dsn, f"SELECT balance - held FROM som.balances WHERE account = {ALICE} AND asset = 1") == [
        (som.balance(ALICE) - 150_00,)
    ]
    assert query(dsn, "SELECT what, change FROM som.hold_changes ORDER BY height, position") == [
        ("made", 200_00),
        ("made", 500_00),
        ("settled", -50_00),
    ]
    assert query(dsn, "SELECT code, skipped FROM som.transactions WHERE code <> 0 OR skipped > 0 ORDER BY code") == [
        (0, 1),
        (302, 0),
    ]
    assert query(dsn, "SELECT act, number, amount FROM som.orders") == [("arrest", "17/26", 500_00)]
    assert query(dsn, "SELECT status FROM som.assets ORDER BY number") == [(1,), (1,), (2,)]
    assert query(dsn, "SELECT schema, subject, value FROM som.attestations") == [("gold", "USDKG", 10**9)]


def test_it_goes_on_where_it_was_and_adds_nothing_twice(som: Som, dsn: str) -> None:
    indexed(som, dsn)
    before = query(dsn, "SELECT count(*) FROM som.entries")
    indexed(som, dsn)
    assert query(dsn, "SELECT count(*) FROM som.entries") == before
    som.on_chain(lambda chain: chain.execute([chain.pay("alice", BOB, 5)]))
    height = indexed(som, dsn)
    assert query(dsn, "SELECT height FROM som.chain") == [(height,)]
    assert verdict(som, dsn)[0] == 0


def test_its_reports_say_height_and_lag(som: Som, dsn: str) -> None:
    height = som.chain.store.tip.height - 1
    result = index(som, dsn, "--until", str(height), "--json")
    assert json.loads(result.stdout.splitlines()[-1])["height"] == height
    words = index(som, dsn, "--until", str(height), "--lang", "ky")
    assert words.exit_code == 0


# The proof finds what is wrong

FAKES: Final = {
    "an amount": "UPDATE som.entries SET amount = amount + 1 WHERE account = %(alice)d AND number = 0",
    "an entry and what follows from it": """
        UPDATE som.entries SET amount = amount + 1, balance = balance + 1 WHERE account = %(alice)d;
        UPDATE som.entries SET amount = amount - 1, balance = balance - 1 WHERE account = %(bob)d;
        UPDATE som.balances b SET balance = e.amount FROM
            (SELECT account, asset, sum(amount) AS amount FROM som.entries GROUP BY 1, 2) e
            WHERE b.account = e.account AND b.asset = e.asset""",
    "a reference": "UPDATE som.entries SET ref = 'x' WHERE account = %(alice)d AND number = 0",
    "another other side": "UPDATE som.entries SET counterparty = 1 WHERE account = %(alice)d AND number = 0",
    "an entry that is gone": "DELETE FROM som.entries WHERE account = %(alice)d AND number = 0",
    "a balance": "UPDATE som.balances SET balance = balance + 1 WHERE account = %(alice)d AND asset = 1",
    "what is held": "UPDATE som.balances SET held = held + 1 WHERE account = %(alice)d AND asset = 1",
    "what is held, and the hold": """
        UPDATE som.balances SET held = held + 1 WHERE account = %(alice)d AND asset = 1;
        UPDATE som.holds SET amount_left = amount_left + 1 WHERE payer = %(alice)d;
        UPDATE som.hold_changes SET change = change + 1 WHERE what = 'settled'""",
    "a hold that is gone": """
        UPDATE som.balances SET held = 0 WHERE account = %(alice)d;
        DELETE FROM som.hold_changes WHERE hold IN (SELECT id FROM som.holds WHERE payer = %(alice)d);
        DELETE FROM som.holds WHERE payer = %(alice)d""",
    "an account's bank": "UPDATE som.accounts SET bank = 1 WHERE number = %(alice)d",
    "an account that is gone": "DELETE FROM som.accounts WHERE number = %(bob)d",
    "an account that nobody opened": """
        INSERT INTO som.accounts SELECT %(nobody)d, name, kind, tier, bank, category, opened, closed, 0
        FROM som.accounts WHERE number = %(bob)d""",
    "a number of no account": "INSERT INTO som.accounts SELECT 17, name, kind, tier, bank, category, opened, closed, 0 "
    "FROM som.accounts WHERE number = %(bob)d",
    "an asset's limit": "UPDATE som.assets SET max_supply = max_supply - 1 WHERE number = 2",
    "an asset's reserve": "UPDATE som.assets SET reserve_account = issuer WHERE reserve_account IS NOT NULL",
    "whom a hold pays": "UPDATE som.holds SET settler = %(bob)d WHERE payer = %(alice)d",
    "what a hold is for": "UPDATE som.holds SET categories = '{5812}' WHERE payer = %(alice)d",
    "a hold that is over": "UPDATE som.holds SET ended = height WHERE payer = %(alice)d",
    "whom an order is against": "UPDATE som.orders SET target = %(alice)d",
    "an order that is lifted": "UPDATE som.orders SET lifted = height, lifted_basis = basis",
    "what was attested": "UPDATE som.attestations SET value = value + 1",
    "who attested": "UPDATE som.attestations SET author = %(alice)d",
    "a block that is gone": "DELETE FROM som.blocks WHERE height = 2",
    "a block's hash": "UPDATE som.blocks SET hash = 'x' WHERE height = 2",
    "the cursor": "UPDATE som.chain SET root = 'x'",
}


@pytest.mark.parametrize("fake", FAKES)
def test_the_proof_finds_a_row_that_is_not_the_chains(quiet: tuple[Som, str, int], server: Cluster, fake: str) -> None:
    som, name, _ = quiet
    genesis = som.chain.genesis

    async def compared(connection: "psycopg.Connection[tuple[Any, ...]]") -> Verdict:
        @contextmanager
        def looking() -> Iterator[View]:
            yield View(Reading(connection), read_place(connection, genesis))

        async with Client([som.url], trust=Trust.of(genesis)) as client:
            return await verify(client, looking, 0)

    with psycopg.connect(server.dsn(name)) as connection:  # what is faked here nobody else ever sees
        assert asyncio.run(compared(connection)).faults == ()
        connection.execute((FAKES[fake] % {"alice": ALICE, "bob": BOB, "nobody": NOBODY}).encode())
        assert asyncio.run(compared(connection)).faults
        connection.rollback()


def test_sums_that_differ_are_told_and_end_with_1(quiet: tuple[Som, str, int], copy: str) -> None:
    query(copy, f"UPDATE som.entries SET amount = amount + 1 WHERE account = {ALICE} AND number = 0")
    code, found = verdict(quiet[0], copy)
    assert code == Exit.ERROR
    assert not found["equal"]
    assert any(f"{ALICE:016d}" in fault for fault in found["faults"])


def test_a_proof_of_a_height_that_is_not_indexed_yet_is_no_proof(
    som: Som, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.indexer.proof.BEHIND_SECONDS", 0.0)
    indexed(som, dsn)
    som.on_chain(lambda chain: chain.execute([chain.pay("alice", BOB, 5)]))
    result = index(som, dsn, "--verify", "--sample", "0")
    assert result.exit_code == Exit.PENDING, result.output


# Refusals


def test_a_database_of_another_network_is_refused(quiet: tuple[Som, str, int], copy: str) -> None:
    query(copy, "UPDATE som.chain SET genesis_hash = 'x'")
    for arguments in (("--until", "1"), ("--verify",)):
        result = index(quiet[0], copy, *arguments)
        assert (result.exit_code, "another network" in result.output) == (Exit.CONFIG, True)


def test_a_database_of_older_software_grows_and_the_older_software_refuses_it_then(
    quiet: tuple[Som, str, int], copy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    som, _, height = quiet
    with monkeypatch.context() as newer:
        newer.setattr("node.indexer.database.STEPS", (*STEPS, "ALTER TABLE som.holds ADD COLUMN note text"))
        newer.setattr("node.indexer.database.VERSION", VERSION + 1)
        assert index(som, copy, "--until", str(height)).exit_code == 0
        assert index(som, copy, "--until", str(height)).exit_code == 0  # no step twice
    assert query(copy, "SELECT count(note) FROM som.holds") == [(0,)]
    result = index(som, copy, "--until", "1")
    assert (result.exit_code, "update it" in result.output) == (Exit.CONFIG, True)


def test_a_small_room_ahead_of_the_database_holds_nothing_up(
    som: Som, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("WAITING_BLOCKS", "WAITING_TRANSACTIONS", "BATCH_BLOCKS", "BATCH_TRANSACTIONS"):
        monkeypatch.setattr(f"node.indexer.follow.{bound}", 1)
    indexed(som, dsn)
    assert verdict(som, dsn)[0] == 0


def test_of_two_indexers_one_writes(som: Som, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.indexer.database.LEASE_SECONDS", 0.5)
    first = Database.open(dsn, som.chain.genesis)
    result = index(som, dsn, "--until", "1")
    assert (result.exit_code, "another indexer" in result.output) == (Exit.CONFIG, True)
    first.close()
    indexed(som, dsn)


def test_who_has_lost_the_lease_writes_nothing_more(som: Som, dsn: str) -> None:
    late = Database.open(dsn, som.chain.genesis)
    query(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'som index'")
    height = indexed(som, dsn)
    with pytest.raises(Unavailable):
        late.write(Rows(), ChainPlace(1, bytes(32), bytes(32)), "00")
    late.close()
    assert query(dsn, "SELECT height FROM som.chain") == [(height,)]


def test_the_writer_needs_no_more_than_to_own_the_schema(som: Som, server: Cluster) -> None:
    name = server.create()
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE writer_{name} LOGIN".encode())
        connection.execute(f"CREATE SCHEMA som AUTHORIZATION writer_{name}".encode())
    dsn = server.dsn(name).replace("//som@", f"//writer_{name}@")
    for _ in range(2):
        assert indexed(som, dsn) > 0


def test_rows_are_added_only_to_the_place_that_the_writer_knows(som: Som, dsn: str) -> None:
    with closing(Database.open(dsn, som.chain.genesis)) as database:
        query(dsn, "UPDATE som.chain SET height = 7")  # as another writer would have
        with pytest.raises(DatabaseError, match="another indexer"):
            database.write(Rows(), ChainPlace(1, bytes(32), bytes(32)), "00")
    assert query(dsn, "SELECT count(*) FROM som.blocks") == [(0,)]


def test_a_node_that_has_not_kept_the_beginning_is_told_apart_from_one_that_is_away(som: Som, dsn: str) -> None:
    som.chain.store.prune([], 3)
    result = index(som, dsn, "--until", "1")
    assert (result.exit_code, "archive" in result.output) == (Exit.ERROR, True)


def test_where_there_is_no_server_or_no_index_the_command_says_so(
    som: Som, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.indexer.follow.START_SECONDS", 0.3)
    assert index(som, f"postgresql:///x?host={tmp_path}").exit_code == Exit.NOT_REACHABLE
    result = index(som, dsn, "--verify")
    assert (result.exit_code, "no index" in result.output) == (Exit.CONFIG, True)


async def test_where_one_node_has_pruned_the_next_one_is_asked(tmp_path: Path, dsn: str) -> None:
    async with (
        solo_chain(tmp_path / "a") as pruned,
        serving(pruned) as one,
        solo_chain(tmp_path / "b", acting=True) as whole,
        serving(whole) as other,
    ):
        pruned.store.prune([], 3)
        trust, troubles = Trust.of(whole.genesis), list[str]()
        indexer = Indexer(
            dsn, whole.genesis, [one, other], lambda urls: Client(urls, trust=trust), lambda told: None, troubles.append
        )
        height = whole.store.tip.height - 1
        assert await indexer.run(height) == height
        assert "pruned" in troubles[0]


async def test_it_does_not_give_up_before_the_node_that_is_away_has_answered(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has pruned what it needs; the other has it, and is just starting."""
    monkeypatch.setattr("node.client.subscriptions.PATIENCE_SECONDS", 0.3)
    async with (
        solo_chain(tmp_path / "a") as pruned,
        serving(pruned) as one,
        solo_chain(tmp_path / "b", acting=True) as whole,
    ):
        pruned.store.prune([], 3)
        trust, (port,) = Trust.of(whole.genesis), free_ports(1)
        server, starts = RpcServer(whole.ports(), lambda: b""), list[asyncio.Task[None]]()
        troubles: list[str] = []

        def troubled(why: str) -> None:
            troubles.append(why)
            if len(troubles) == 3:
                starts.append(asyncio.create_task(server.start("127.0.0.1", port)))

        urls = [one, f"http://127.0.0.1:{port}"]
        indexer = Indexer(dsn, whole.genesis, urls, lambda urls: Client(urls, trust=trust), lambda told: None, troubled)
        height = whole.store.tip.height - 1
        try:
            assert await indexer.run(height) == height
        finally:
            await server.stop()
        assert len(starts) == 1


async def test_a_node_that_shows_another_chain_is_left_for_the_next_one(tmp_path: Path, dsn: str) -> None:
    troubles: list[str] = []
    async with solo_chain(tmp_path / "a") as chain, serving(chain) as url:
        await chain.execute([chain.pay("alice", BOB, 1)])
        trust = Trust.of(chain.genesis)

        def indexer(*urls: str) -> Indexer:
            def connect(asked: Sequence[str]) -> Client:
                return Client(asked, trust=trust)

            return Indexer(dsn, chain.genesis, urls, connect, lambda progress: None, troubles.append)

        first = await indexer(url).run(chain.store.tip.height - 1)
        await chain.execute([chain.pay("alice", BOB, 2)])
        async with solo_chain(tmp_path / "b", acting=True) as fork, serving(fork) as other:
            for _ in range(5):
                await fork.execute([fork.pay("bank", BOB, 3)])
            assert await indexer(other, url).run(chain.store.tip.height - 1) > first
            assert troubles
            assert all("does not follow" in trouble for trouble in troubles)
            with pytest.raises(ProofInvalid):
                await indexer(other).run(fork.store.tip.height - 1)


def test_a_database_that_lacks_rows_says_so_and_takes_nothing(som: Som, dsn: str) -> None:
    height = indexed(som, dsn)
    query(dsn, f"DELETE FROM som.accounts WHERE number = {BOB}")
    som.on_chain(lambda chain: chain.execute([chain.pay("alice", BOB, 5)]))
    result = index(som, dsn, "--until", str(som.chain.store.tip.height - 1))
    assert (result.exit_code, f"account {BOB} is missing" in result.output) == (Exit.CONFIG, True)
    assert query(dsn, f"SELECT count(*) FROM som.entries WHERE height > {height}") == [(0,)]


# Random chains through the real tables


@pytest.mark.parametrize("seed", [3, 4])
def test_random_chains_come_to_the_ledgers_rows_whatever_the_batches(dsn: str, seed: int) -> None:
    world, tables = start(seed)
    database = Database.open(dsn, world.genesis)
    money = [row for row in tables.all()["balances"] if isinstance(row, BalanceRow)]
    for row in money:  # this chain begins with money that nobody issued
        query(dsn, f"INSERT INTO som.balances VALUES {tuple(row)}")
    random, waiting = Random(seed), list[ChainBlock]()
    entries: dict[tuple[int, int], bytes] = {}
    for block, booked in blocks_of(world, seed, CHAIN_TRANSACTIONS):
        entries |= {(account, number): entry for account, number, entry in booked}
        waiting.append(block)
        if random.random() < 0.4:
            tables.index(waiting)
            database.write(rows_of(waiting, database), waiting[-1].place, waiting[-1].cursor)
            waiting = []
    if waiting:
        tables.index(waiting)
        database.write(rows_of(waiting, database), waiting[-1].place, waiting[-1].cursor)
    database.close()
    compare(world, tables, entries)
    for name, rows in tables.all().items():
        columns = ", ".join(type(rows[0])._fields)
        found = {tuple(map(_plain, row)) for row in query(dsn, f"SELECT {columns} FROM som.{name}")}
        assert found == {tuple(map(_plain, row)) for row in rows}, name
    with psycopg.connect(dsn) as connection:
        now = View(Reading(connection), read_place(connection, world.genesis))
        for kind, prefix in zip(KINDS, (HOLD, ORDER, ATTESTATION), strict=True):
            there = {record.key: record.row for record in now.records(kind, 0) if record.row is not None}
            assert there == dict(world.reader.scan(prefix, after(prefix))), kind.table
            assert all(now.record(kind, key) == row for key, row in there.items())
    assert query(dsn, "SELECT count(*), sum(amount) FROM som.entries") == [
        (len(entries), sum(row.amount for row in tables.entries.values()))
    ]


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


# The page


def test_every_question_of_the_page_is_answered_by_the_tables(copy: str) -> None:
    questions = re.findall(r"^```sql\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(questions) >= 8
    for text in questions:
        rows = query(copy, text.replace("0011000000010057", f"{ALICE:016d}"))
        assert rows, text


def test_every_table_of_the_schema_is_explained_on_the_page_and_in_the_database(copy: str) -> None:
    tables = query(
        copy,
        "SELECT relname, obj_description(oid) FROM pg_class "
        "WHERE relnamespace = 'som'::regnamespace AND relkind IN ('r', 'v')",
    )
    assert len(tables) >= 14
    assert [name for name, comment in tables if not comment or f"`{name}`" not in PAGE] == []


def test_a_report_sees_one_height_while_the_indexer_goes_on(som: Som, dsn: str) -> None:
    height = indexed(som, dsn)
    with psycopg.connect(dsn) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        before = reader.execute("SELECT height FROM som.chain").fetchone()
        som.on_chain(lambda chain: chain.execute([chain.pay("alice", BOB, 5)]))
        indexed(som, dsn)
        assert before == reader.execute("SELECT max(height) FROM som.blocks").fetchone() == (height,)
