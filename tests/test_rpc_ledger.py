"""The methods about holds, assets, attestations, orders, recoveries, parameters, and proofs of any row."""

from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from node.client.client import Client
from node.client.errors import ProofInvalid, RequestFailed
from node.client.proofs import ProvenAccount, StatementCheck, verify_row
from node.client.trust import Trust
from node.ledger.asset import SetAssetStatus
from node.ledger.assets import AssetStatus
from node.ledger.attest import Attest
from node.ledger.attestations import current
from node.ledger.errors import Code
from node.ledger.execute import Executed
from node.ledger.hold import MakeHold
from node.ledger.holds import HOLD, Condition, decode_hold, holds_of_payer
from node.ledger.order import Arrest, Freeze, Seize, Unfreeze
from node.ledger.orders import order_key
from node.ledger.parameters import DAY_MS, Parameters, record_hash
from node.ledger.pay import Pay
from node.ledger.recent import Reader
from node.ledger.records import Records
from node.ledger.settle import SettleHold
from node.ledger.state import parameter_key
from node.ledger.transaction import assemble
from node.rpc.ledger_types import GetStateProofResult
from node.rpc.types import Entry
from tests import ledger_world
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import (
    ALICE,
    AUDITOR,
    BANK,
    BOB,
    CENTRAL,
    DEVICE,
    ENFORCER,
    NOBODY,
    REGISTRAR,
    SHOP,
    TREASURY,
    SoloChain,
    digits,
    key,
    serving,
    solo_chain,
)

BASIS = sha256(b"basis").digest()
OPEN = Condition(b"", (), 0, "", "", True)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path, acting=True) as found:
        yield found


async def run(lab: Lab, *operations: Any, by: tuple[str, ...]) -> None:
    """Execute one transaction, which must be applied."""
    numbers = list(dict.fromkeys(actor for operation in operations for actor in operation.actors))
    numbers += [CENTRAL] if "central" in by and CENTRAL not in numbers else []
    (receipt,) = await lab.chain.add_block([lab.chain.sign(numbers, operations, *by)])
    assert receipt.applied, receipt
    await lab.chain.add_block(())


async def pages(lab: Lab, method: str, rows: str, limit: int, **params: Any) -> list[Any]:
    """Return all rows of a list, page by page; none but the last page is short."""
    found: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await lab.call(method, limit=limit, **params, **cursor)
        found += page[rows]
        if page["next_cursor"] is None:
            return found
        assert len(page[rows]) == limit
        cursor = {"cursor": page["next_cursor"]}


# Holds


async def make_holds(lab: Lab, count: int) -> None:
    until_ms = lab.chain.now_ms + DAY_MS
    legs = tuple((DEVICE, 100 + index, b"%d" % index) for index in range(count))
    await run(lab, MakeHold(1, ALICE, legs, SHOP, until_ms, OPEN), by=("alice",))


@pytest.mark.parametrize("limit", [1, 3, 7, 200])
async def test_holds_are_listed_whole_by_payer_settler_and_payee(lab: Lab, limit: int) -> None:
    await make_holds(lab, 7)
    for role, number in (("payer", ALICE), ("settler", DEVICE), ("payee", SHOP)):
        found = await pages(lab, "hold_list", "holds", limit, account=digits(number), role=role)
        amounts = sorted(int(each["left"]) for each in found)
        assert amounts == [*range(100, 107), *([] if role == "payee" else [200_00])]
        assert len({each["id"] for each in found}) == len(found)


async def test_the_newest_holds_of_a_payer_come_first_and_an_asset_narrows_them(lab: Lab) -> None:
    await make_holds(lab, 2)
    found = (await lab.call("hold_list", account=digits(ALICE)))["holds"]
    heights = [each["height"] for each in found]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] > heights[-1]
    assert len((await lab.call("hold_list", account=digits(ALICE), asset=1))["holds"]) == 3
    assert (await lab.call("hold_list", account=digits(ALICE), asset=2))["holds"] == []
    told = await lab.error("hold_list", account=digits(ALICE), asset=1, role="payee")
    assert told["data"]["path"] == "asset"


async def test_a_hold_that_is_used_up_is_gone(lab: Lab) -> None:
    ((name, _),) = holds_of_payer(Records(lab.chain.store), ALICE, 1)
    assert (await lab.call("hold_get", id=name.hex()))["hold"]["left"] == "20000"
    await run(lab, SettleHold(DEVICE, name, 200_00, SHOP, b"", False), by=("device",))
    assert (await lab.call("hold_get", id=name.hex()))["hold"] is None
    assert (await lab.call("hold_list", account=digits(ALICE)))["holds"] == []


async def test_a_cursor_of_another_list_is_refused(lab: Lab) -> None:
    await make_holds(lab, 2)
    cursor = (await lab.call("hold_list", account=digits(ALICE), limit=1))["next_cursor"]
    for params in ({"role": "settler"}, {"asset": 1}, {"account": digits(BOB)}):
        told = await lab.error("hold_list", cursor=cursor, **{"account": digits(ALICE), **params})
        assert told["data"]["path"] == "cursor"
    assert (await lab.error("asset_list", cursor=cursor))["data"]["path"] == "cursor"


# Assets, attestations


async def test_what_covers_an_asset_is_of_the_same_moment_as_its_supply(lab: Lab) -> None:
    listed = {each["code"]: each for each in (await lab.call("asset_list"))["assets"]}
    assert (listed["SOM"]["terms"], listed["SOM"]["cover"]) == (None, None)
    assert listed["KGST"]["cover"] == {
        "value": "300000", "supply_max": "300000", "coverage_bp": 15_000, "attestation": None
    }  # fmt: skip
    gold = listed["USDKG"]["cover"]
    assert (gold["value"], gold["supply_max"], gold["coverage_bp"]) == ("1000000000", "1000000000", 20_000)
    assert (gold["attestation"]["by"], gold["attestation"]["valid"]) == (digits(AUDITOR), True)


async def test_an_attestation_that_is_too_old_covers_nothing(lab: Lab) -> None:
    lab.chain.now_ms += DAY_MS
    await lab.chain.add_block(())
    cover = (await lab.call("asset_get", asset=3))["asset"]["cover"]
    assert (cover["value"], cover["supply_max"], cover["coverage_bp"]) == ("1000000000", None, 0)


async def test_the_history_of_an_asset_in_both_orders(lab: Lab) -> None:
    for status in (AssetStatus.REGISTERED, AssetStatus.SUSPENDED, AssetStatus.REVOKED):
        await run(lab, SetAssetStatus(REGISTRAR, 3, int(status), BASIS), by=("registrar",))
    for limit in (1, 3, 4, 200):
        up = await pages(lab, "asset_getHistory", "changes", limit, asset=3, order="asc")
        down = await pages(lab, "asset_getHistory", "changes", limit, asset=3)
        assert [each["status"] for each in up] == ["suspended", "registered", "suspended", "revoked"]
        assert [each["number"] for each in up] == [0, 1, 2, 3]
        assert down == up[::-1]
    assert (await lab.call("asset_getHistory", asset=2))["changes"] == []
    assert (await lab.error("asset_getHistory", asset=77))["data"]["name"] == "not_found"


async def test_all_there_ever_was_of_a_subject_and_what_is_current(lab: Lab) -> None:
    subjects = ("№ 1", "№ 10", "№ 2", "🏛" * 32)  # the last fills a key
    for value in range(3):
        for subject in subjects:
            found = current(Records(lab.chain.store), "delivered", subject)
            said = Attest(
                AUDITOR, "delivered", subject, value, lab.chain.now_ms, 0, BASIS, b"" if found is None else found[0]
            )
            await run(lab, said, by=("auditor",))
    for limit in (1, 2, 200):
        now = await pages(lab, "attestation_list", "attestations", limit, schema="delivered")
        assert sorted(each["subject"] for each in now) == sorted(subjects)
        assert all(each["value"] == "2" and each["current"] for each in now)
        for subject in subjects:
            ever = await pages(lab, "attestation_list", "attestations", limit, schema="delivered", subject=subject)
            assert [each["value"] for each in ever] == ["0", "1", "2"]
            assert [each["current"] for each in ever] == [False, False, True]
    one = await lab.call("attestation_getCurrent", schema="delivered", subject="№ 1")
    assert await lab.call("attestation_get", id=one["attestation"]["id"]) == {
        "at_height": one["at_height"], "attestation": one["attestation"]
    }  # fmt: skip
    assert (await lab.call("attestation_getCurrent", schema="delivered", subject="№"))["attestation"] is None


async def test_an_attestation_that_has_ended_is_current_and_not_valid(lab: Lab) -> None:
    ends_ms = lab.chain.now_ms + 60_000
    await run(lab, Attest(AUDITOR, "delivered", "x", 1, lab.chain.now_ms, ends_ms, BASIS, b""), by=("auditor",))
    lab.chain.now_ms = ends_ms
    await lab.chain.add_block(())
    found = (await lab.call("attestation_getCurrent", schema="delivered", subject="x"))["attestation"]
    assert (found["current"], found["valid"], found["until_ms"]) == (True, False, ends_ms)


@pytest.mark.parametrize("subject", ["USDKG\0", "\0", "a\nb", "\u200b", "ы" * 64 + "\0"])
async def test_a_subject_that_nobody_could_attest_is_refused_and_not_looked_up(lab: Lab, subject: str) -> None:
    for method in ("attestation_list", "attestation_getCurrent"):
        assert (await lab.error(method, schema="gold", subject=subject))["data"]["path"] == "subject"


# Orders


async def test_orders_by_authority_and_those_that_stand_against_an_account(lab: Lab) -> None:
    for number in ("1/26", "2/26", "3/26"):
        await run(lab, Freeze(ENFORCER, number, ALICE, BASIS, number == "2/26"), by=("enforcer",))
    await run(lab, Unfreeze(ENFORCER, "1/26", BASIS), by=("enforcer", "central"))
    for limit in (1, 2, 200):
        given = await pages(lab, "order_list", "orders", limit, authority=digits(ENFORCER))
        assert [each["number"] for each in given] == ["1/26", "17/26", "2/26", "3/26"]
        assert [each["stands"] for each in given] == [False, True, True, True]
        standing = await pages(lab, "order_list", "orders", limit, target=digits(ALICE))
        assert [(each["number"], each["incoming"]) for each in standing] == [("2/26", True), ("3/26", False)]
    one = (await lab.call("order_get", authority=digits(ENFORCER), number="17/26"))["order"]
    assert (one["act"], one["target"], one["amount"], one["basis"]) == ("arrest", digits(BANK), "50000", BASIS.hex())
    assert (await lab.call("hold_get", id=one["hold"]))["hold"]["order"] == "17/26"
    assert (await lab.call("order_getCounts"))["counts"] == [
        {"authority": digits(ENFORCER), "act": "freeze", "given": 3, "standing": 2},
        {"authority": digits(ENFORCER), "act": "arrest", "given": 1, "standing": 1},
    ]
    for params in ({}, {"authority": digits(ENFORCER), "target": digits(ALICE)}):
        assert (await lab.error("order_list", **params))["data"]["path"] == "authority"
    assert (await lab.error("order_get", authority=digits(ENFORCER), number="17"))["data"]["name"] == "not_found"


async def test_many_orders_are_counted_in_turns(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.rpc.orders.COUNTED_AT_ONCE", 2)
    for number in range(5):
        await run(lab, Freeze(ENFORCER, str(number), ALICE, BASIS, False), by=("enforcer",))
    counts = (await lab.call("order_getCounts"))["counts"]
    assert [(each["act"], each["given"]) for each in counts] == [("freeze", 5), ("arrest", 1)]


async def test_where_orders_are_not_shown_their_number_is_public_and_no_more(tmp_path: Path) -> None:
    async with solo_chain(tmp_path, acting=True) as chain:
        chain.open_access = False
        async with serving(chain) as url, Client([url]) as client:
            assert (await client.raw("order_getCounts", {})) is not None
            secret = order_key(ENFORCER, "17/26").hex()
            for method, params in (
                ("order_list", {"authority": digits(ENFORCER)}),
                ("order_get", {"authority": digits(ENFORCER), "number": "17/26"}),
                ("state_getProof", {"key": secret}),
            ):
                with pytest.raises(RequestFailed, match="unauthorized"):
                    await client.raw(method, params)


# Recoveries, parameters


async def test_a_recovery_is_told_with_the_keys_to_come(lab: Lab) -> None:
    found = (await lab.call("account_getRecovery", account=digits(BOB)))["recovery"]
    assert (found["status"], found["threshold"]) == ("open", 1)
    assert found["keys"] == [{"key": key("bob's new").public.hex(), "weight": 1}]
    assert (await lab.call("account_getRecovery", account=digits(ALICE)))["recovery"] is None
    assert (await lab.error("account_getRecovery", account=digits(NOBODY)))["data"]["name"] == "not_found"


async def test_every_parameter_is_listed_with_the_hash_that_a_change_names(lab: Lab) -> None:
    listed = (await lab.call("parameter_list"))["parameters"]
    assert [each["name"] for each in listed] == list(Parameters._fields)
    for each in listed:
        row = lab.chain.store.get(parameter_key(each["name"]))
        assert row is not None
        assert each["hash"] == record_hash(row).hex()
        assert len(each) == 3  # and one value


# Dry runs


async def simulated(lab: Lab, *operations: Any, by: str) -> dict[str, Any]:
    transaction = lab.chain.sign([operations[0].actors[0]], operations, by)
    blank = tuple((index, public, bytes(64)) for index, public, _ in transaction.signatures)
    return await lab.call("tx_simulate", tx=assemble(transaction.body, blank).hex())


async def test_a_dry_run_says_what_the_receipt_would_be_and_changes_nothing(lab: Lab) -> None:
    root, tip = lab.chain.ledger.state_tree_root, lab.chain.store.tip
    for amount, code in ((1, Code.APPLIED), (10**6, Code.INSUFFICIENT)):
        found = await simulated(lab, Pay(1, ALICE, ((SHOP, 1, b""), (TREASURY, amount, b""))), by="alice")
        assert (found["code"], found["name"]) == (code, code.name)
        assert (found["op"], found["leg"]) == ((0, 1) if code else (None, None))
    skipped = await simulated(lab, Pay(1, ALICE, ((SHOP, 1, b""), (NOBODY, 1, b"")), partial=True), by="alice")
    assert [(each["leg"], each["name"]) for each in skipped["skipped"]] == [(1, "NO_ACCOUNT")]
    assert (lab.chain.ledger.state_tree_root, lab.chain.store.tip) == (root, tip)
    assert not lab.chain.waiting


async def test_a_dry_run_is_bounded(lab: Lab) -> None:
    many = lab.chain.sign([BANK], [Pay(1, BANK, tuple((BOB, 1, b"") for _ in range(16)))] * 16, "bank")
    assert (await lab.call("tx_simulate", tx=many.raw.hex()))["name"] == "APPLIED"
    holds = MakeHold(1, BANK, tuple((BOB, 1, b"") for _ in range(257)), 0, lab.chain.now_ms + DAY_MS, OPEN)
    seizure = Seize(ENFORCER, "9", ALICE, BASIS, 1, 1, TREASURY)
    for number, operation, name in ((BANK, holds, "bank"), (ENFORCER, seizure, "enforcer")):
        told = await lab.error("tx_simulate", tx=lab.chain.sign([number], [operation], name).raw.hex())
        assert told["data"]["name"] == "limit_exceeded"
    assert (await lab.error("tx_simulate", tx="00"))["data"]["name"] == "MALFORMED"


def test_dry_runs_at_any_moment_of_a_block_leave_no_trace() -> None:
    """Two ledgers execute the same blocks; one is asked between every two steps."""
    quiet, asked = ledger_world.World(), ledger_world.World()
    for world in (quiet, asked):
        world.fund(ledger_world.ALICE, ledger_world.BOB, ledger_world.BANK)
    questions = [
        asked.transaction([Pay(1, ledger_world.ALICE, ((ledger_world.CAROL, 5, b"q"),), once=True)], salt=10**6),
        asked.transaction([hold_of(ledger_world.BOB, asked.time_ms, 7)], salt=10**6 + 1),
        asked.transaction([Arrest(ledger_world.ENFORCER, "q", ledger_world.ALICE, BASIS, 1, 9)],
                          [ledger_world.ENFORCER, ledger_world.CENTRAL], salt=10**6 + 2),
    ]  # fmt: skip
    for height in range(4):
        block = [
            asked.transaction([hold_of(ledger_world.ALICE, asked.time_ms, 2 if height < 2 else 60)], salt=10 * height),
            asked.transaction([Pay(1, ledger_world.BOB, ((ledger_world.CAROL, 3, b""),))], salt=10 * height + 1),
        ]
        outcomes: list[Executed] = []
        for world in (quiet, asked):
            world.time_ms += 1_500
            ledger = world.ledger

            def ask(world: ledger_world.World = world) -> None:
                for question in questions if world is asked else ():
                    assert world.ledger.simulate(question, world.time_ms).applied

            ledger.begin(ledger.height + 1, world.time_ms, world.version)
            ask()
            for transaction in block:
                assert ledger.apply(transaction).applied
                ask()
            for _ in ledger.finishing():
                ask()
            outcomes.append(ledger.finish())
            ask()
            world.store(outcomes[-1])
        assert outcomes[0] == outcomes[1]
    assert asked.ledger.audit() == quiet.ledger.audit()


def hold_of(payer: int, time_ms: int, seconds: int) -> MakeHold:
    return MakeHold(1, payer, ((ledger_world.DEVICE, 11, b""),), 0, time_ms + 1_500 + 1_000 * seconds, OPEN)


# Proofs


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[SoloChain]:
    async with solo_chain(tmp_path / "chain", acting=True) as found:
        yield found


@pytest.fixture
async def client(chain: SoloChain) -> AsyncIterator[Client]:
    async with serving(chain) as url, Client([url], trust=Trust.of(chain.genesis)) as found:
        yield found


async def test_any_row_is_proven_and_so_is_its_absence(chain: SoloChain, client: Client) -> None:
    ((name, hold),) = holds_of_payer(Records(chain.store), ALICE, 1)
    proven = await client.prove_row(HOLD + name)
    assert proven.value is not None
    assert decode_hold(proven.value) == hold
    assert (await client.prove_row(HOLD + bytes(16))).value is None
    reader: Reader = chain.store
    rows = [row for row in reader.scan(b"a", b"{") if row[0][:1] != b"a"]
    assert {bytes(row[:1]) for row, _ in rows} >= {b"s", b"p", b"h", b"k", b"e", b"t", b"r", b"y"}
    for row, value in rows:
        assert (await client.prove_row(row)).value == value


async def test_no_part_of_the_proof_of_a_row_can_be_changed(chain: SoloChain, client: Client) -> None:
    ((name, _),) = holds_of_payer(Records(chain.store), ALICE, 1)
    found = await client.request("state_getProof", {"key": (HOLD + name).hex()}, GetStateProofResult)
    trust = Trust.of(chain.genesis)
    assert verify_row(found, trust).value is not None
    changes: list[dict[str, Any]] = [{"key": (HOLD + bytes(16)).hex()}, {"value": None}]
    for field in ("value", "path"):
        text = getattr(found, field)
        for at in range(0, len(text), max(2, len(text) // 80 * 2)):
            flipped = f"{int(text[at : at + 2], 16) ^ 1:02x}"
            changes.append({field: text[:at] + flipped + text[at + 2 :]})
    for change in changes:
        with pytest.raises(ProofInvalid):
            verify_row(msgspec.structs.replace(found, **change), trust)


async def test_a_whole_statement_is_proven_over_many_pages(
    chain: SoloChain, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client.history_page, "__defaults__", (None, "desc", 2))
    for amount in range(1, 6):
        await chain.execute([chain.pay("alice", SHOP, amount)])
    proven = await client.statement(ALICE)
    assert [entry.amount for entry in proven.entries] == [1_000_00, 2_000_00, -1, -2, -3, -4, -5]
    assert proven.account is not None
    assert proven.account.balance(1) == 1_000_00 - 15
    for number in (BANK, TREASURY, SHOP, BOB, NOBODY):
        await client.statement(number)


def checked(account: ProvenAccount, entries: list[Entry]) -> None:
    check = StatementCheck(account)
    for entry in entries:
        check.add(entry)
    check.finish()


def without(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Yield statements in which one thing is not as it was."""
    yield entries[:-1]
    yield entries[1:]
    yield [*entries, msgspec.structs.replace(entries[-1], number=len(entries))]
    yield [*entries[:-2], entries[-1], entries[-2]]
    other: dict[str, Any] = {
        "number": 77, "height": 77, "timestamp_ms": 77, "tx_id": "77" * 32, "op": 77, "leg": 77, "asset": 77,
        "amount": "77", "balance": "77", "other": digits(BANK), "ref": "77",
    }  # fmt: skip
    assert set(other) == set(Entry.__struct_fields__)
    for at, entry in enumerate(entries):
        for field, value in other.items():
            if getattr(entry, field) != value:
                yield [*entries[:at], msgspec.structs.replace(entry, **{field: value}), *entries[at + 1 :]]
    yield [msgspec.structs.replace(entries[0], amount="9" * 19), *entries[1:]]


async def test_a_statement_that_lacks_adds_or_changes_anything_is_refused(chain: SoloChain, client: Client) -> None:
    await chain.execute([chain.pay("alice", SHOP, 5, b"ref"), chain.pay("alice", SHOP, 6)])
    account: ProvenAccount = await client.prove_account(ALICE)
    entries = [entry async for entry in client.history(ALICE, "asc")]
    checked(account, entries)
    assert len(entries) == 4
    tried = 0
    for changed in without(entries):
        with pytest.raises(ProofInvalid):
            checked(account, changed)
        tried += 1
    assert tried > 40
