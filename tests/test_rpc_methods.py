"""Each method over the real server: its example, and the rules that all of them keep."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from node.ledger.errors import Code
from node.ledger.pay import Pay
from node.ledger.validators import roster_hash, roster_of
from node.rpc.methods import METHODS
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import ALICE, BANK, BOB, NOBODY, TREASURY, digits, key

HEX = set("0123456789abcdef")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path) as found:
        yield found


@pytest.fixture
async def acting(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path, acting=True) as found:
        yield found


# Every method


@pytest.mark.parametrize("name", sorted(METHODS))
async def test_the_example_of_each_method_works(acting: Lab, name: str) -> None:
    method = METHODS[name]
    result = await acting.call(name, **method.example)
    assert msgspec.convert(result, method.result) is not None
    assert set(result) <= set(method.result.__struct_fields__)


@pytest.mark.parametrize("name", sorted(METHODS))
async def test_unknown_params_are_refused_with_the_name(lab: Lab, name: str) -> None:
    told = await lab.error(name, **METHODS[name].example, surprise=1)
    assert (told["code"], told["data"]["path"]) == (-32602, "surprise")


@pytest.mark.parametrize("name", sorted(name for name in METHODS if name != "rpc.discover"))
async def test_every_reply_says_the_height_that_it_is_of(acting: Lab, name: str) -> None:
    assert (await acting.call(name, **METHODS[name].example))["at_height"] >= 4


def test_names_are_a_namespace_a_verb_and_a_noun() -> None:
    namespaces = {"chain", "tx", "account", "state", "supply", "asset", "hold", "attestation", "order", "parameter"}
    namespaces |= {"validator", "evidence", "net", "sub", "admin"}
    for name in METHODS.keys() - {"rpc.discover"}:
        namespace, _, verb = name.partition("_")
        assert namespace in namespaces, name
        assert verb[0].islower(), name
        assert verb.isalnum(), name


async def test_an_unknown_method_is_named(lab: Lab) -> None:
    told = await lab.error("account_steal")
    assert (told["code"], told["data"]["actual"]) == (-32601, "account_steal")


# Forms


async def test_money_is_a_string_of_tyiyn(lab: Lab) -> None:
    account = (await lab.call("account_get", account=digits(ALICE)))["account"]
    assert account["holdings"][0]["balance"] == "100000"
    supply = await lab.call("supply_get")
    assert supply["supply"] == "200000000"


async def test_an_issuers_balance_is_negative_and_the_supply_is_its_mirror(lab: Lab) -> None:
    asset = (await lab.call("asset_list"))["assets"][0]
    issuer = (await lab.call("account_get", account=asset["issuer"]))["account"]
    assert issuer["holdings"][0]["balance"] == "-" + asset["supply"]


async def test_bytes_are_lower_case_hex_of_exact_length(lab: Lab) -> None:
    info = await lab.call("chain_getInfo")
    for name in ("genesis_hash", "block_hash", "state_root"):
        assert len(info[name]) == 64
        assert set(info[name]) <= HEX


WRONG_IDS = ["", "0x" + "a" * 64, "A" * 64, "a" * 63, "a" * 65, "a" * 62 + "zz", "a" * 64 + "\n"]


@pytest.mark.parametrize("tx_id", WRONG_IDS)
async def test_a_hash_of_another_form_is_refused_and_not_looked_up(lab: Lab, tx_id: str) -> None:
    told = await lab.error("tx_get", tx_id=tx_id)
    assert (told["code"], told["data"]["path"]) == (-32602, "tx_id")


@pytest.mark.parametrize("account", ["", "11", "001100000001005", "00110000000100570", "0011000000010058", "x" * 16])
async def test_an_account_number_has_sixteen_digits_that_check(lab: Lab, account: str) -> None:
    told = await lab.error("account_get", account=account)
    assert (told["code"], told["data"]["path"]) == (-32602, "account")


@pytest.mark.parametrize("value", [1, True, None, ["a"], {"a": 1}])
async def test_a_param_of_another_type_is_refused_by_its_path(lab: Lab, value: Any) -> None:
    told = await lab.error("tx_get", tx_id=value)
    assert (told["code"], told["data"]["path"], told["data"]["expected"]) == (-32602, "tx_id", "str")


async def test_a_missing_param_is_named(lab: Lab) -> None:
    told = await lab.error("tx_get")
    assert (told["data"]["path"], told["data"]["expected"]) == ("tx_id", "a value")


async def test_a_boolean_is_no_number(lab: Lab) -> None:
    assert (await lab.error("chain_getBlock", height=True))["data"]["path"] == "height"


# Heights


async def test_a_read_waits_for_min_height_and_then_answers(lab: Lab) -> None:
    async def later() -> None:
        await lab.chain.add_block(())

    height = lab.chain.store.tip.height
    asked = asyncio.create_task(lab.call("account_get", account=digits(ALICE), min_height=height + 1))
    await asyncio.gather(asked, later())
    assert asked.result()["at_height"] == height + 1


async def test_a_read_never_answers_below_min_height(lab: Lab) -> None:
    told = await lab.error("account_get", account=digits(ALICE), min_height=1_000)
    assert (told["code"], told["data"]["name"], told["data"]["retryable"]) == (-32005, "syncing", True)
    assert told["data"]["path"] == "min_height"


# Submitting


async def test_a_payment_is_applied_and_says_so_everywhere(lab: Lab) -> None:
    tx = lab.chain.pay("alice", BOB, 1_234, b"LUNCH")
    result = await lab.call("tx_submit", tx=tx.raw.hex(), wait="final", timeout_ms=5_000)
    assert result["outcome"] == {"status": "applied", "final": True, "height": 5, "code": 0, "name": "APPLIED"}
    assert result["tx_id"] == tx.id.hex()
    assert result["receipt"]["code"] == 0
    found = await lab.call("tx_get", tx_id=tx.id.hex(), transaction=True)
    assert found["outcome"] == result["outcome"]
    assert found["transaction"]["operations"][0]["legs"] == [
        {"to": digits(BOB), "amount": "1234", "ref": b"LUNCH".hex()}
    ]
    block = await lab.call("chain_getBlock", height=5)
    assert block["transactions"] == [{"index": 0, "tx_id": tx.id.hex(), "outcome": result["outcome"]}]


async def test_the_same_bytes_again_are_a_success_with_the_first_receipt(lab: Lab) -> None:
    tx = lab.chain.pay("alice", BOB, 100)
    first = await lab.call("tx_submit", tx=tx.raw.hex(), wait="final")
    lab.chain.now_ms = tx.expires_ms + 1
    await lab.chain.add_block(())  # even when it would be refused as expired
    again = await lab.call("tx_submit", tx=tx.raw.hex(), wait="final")
    assert (again["outcome"], again["receipt"]) == (first["outcome"], first["receipt"])
    assert (await lab.call("account_get", account=digits(BOB)))["account"]["holdings"][0]["balance"] == "100"


async def test_a_time_out_is_a_result_and_never_an_error(lab: Lab) -> None:
    lab.chain.hold = True
    tx = lab.chain.pay("alice", BOB, 100)
    waiting = await lab.call("tx_submit", tx=tx.raw.hex(), wait="final", timeout_ms=10)
    assert waiting["outcome"] == {"status": "pending", "final": False, "height": None, "code": None, "name": None}
    assert (await lab.call("tx_get", tx_id=tx.id.hex()))["outcome"]["status"] == "pending"
    again = asyncio.create_task(lab.call("tx_submit", tx=tx.raw.hex(), wait="final", timeout_ms=5_000))
    await lab.chain.release()
    assert (await again)["outcome"]["status"] == "applied"


async def test_a_failed_payment_is_a_result_with_the_ledgers_code(lab: Lab) -> None:
    lab.chain.hold = True  # both are plausible when they come in
    first, second = lab.chain.pay("alice", BOB, 90_000), lab.chain.pay("alice", BOB, 90_000)
    for tx in (first, second):
        await lab.call("tx_submit", tx=tx.raw.hex())
    await lab.chain.release()
    outcome = (await lab.call("tx_get", tx_id=second.id.hex()))["outcome"]
    assert outcome == {"status": "failed", "final": True, "height": 5, "code": 301 + 1, "name": "INSUFFICIENT"}


async def test_an_expired_transaction_says_so_to_who_waits(lab: Lab) -> None:
    lab.chain.hold = True
    tx = lab.chain.pay("alice", BOB, 100)
    waiting = asyncio.create_task(lab.call("tx_submit", tx=tx.raw.hex(), wait="final", timeout_ms=5_000))
    await lab.chain.waited.wait()
    lab.chain.now_ms = tx.expires_ms
    await lab.chain.add_block(())
    assert (await waiting)["outcome"]["status"] == "expired"
    assert (await waiting)["outcome"]["final"] is True


async def test_an_unknown_transaction_is_an_answer_with_the_block_time(lab: Lab) -> None:
    found = await lab.call("tx_get", tx_id="ab" * 32)
    assert found["outcome"] == {"status": "unknown", "final": False, "height": None, "code": None, "name": None}
    assert found["block_time_ms"] == lab.chain.now_ms


def broken(lab: Lab, what: str) -> bytes:
    """Return a transaction that a node refuses at the door."""
    tx = lab.chain.pay("alice", BOB, 100)
    match what:
        case "MALFORMED":
            return tx.raw + b"\0"
        case "SIGNATURE":
            return tx.raw[:-1] + bytes((tx.raw[-1] ^ 1,))
        case "NOT_SIGNED":
            return lab.chain.sign([ALICE], [Pay(1, ALICE, ((BOB, 100, b""),))], "bob").raw
        case "EXPIRED":
            return lab.chain.sign(
                [ALICE], [Pay(1, ALICE, ((BOB, 100, b""),))], "alice", expires_ms=lab.chain.now_ms
            ).raw
        case "EXPIRY_TOO_FAR":
            far = lab.chain.now_ms + 86_400_000
            return lab.chain.sign([ALICE], [Pay(1, ALICE, ((BOB, 100, b""),))], "alice", expires_ms=far).raw
        case "NO_ACCOUNT":
            return lab.chain.pay("alice", NOBODY, 100).raw
        case "INSUFFICIENT":
            return lab.chain.pay("alice", BOB, 10**9).raw
    raise AssertionError(what)


REFUSED = ["MALFORMED", "SIGNATURE", "NOT_SIGNED", "EXPIRED", "EXPIRY_TOO_FAR", "NO_ACCOUNT", "INSUFFICIENT"]


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_has_the_ledgers_code_and_name(lab: Lab, name: str) -> None:
    told = await lab.error("tx_submit", tx=broken(lab, name).hex())
    assert (told["code"], told["data"]["name"]) == (int(Code[name]), name)
    assert told["data"]["retryable"] is False


async def test_a_full_node_says_when_to_try_again(lab: Lab) -> None:
    lab.chain.full = True
    told = await lab.error("tx_submit", tx=lab.chain.pay("alice", BOB, 100).raw.hex())
    assert (told["code"], told["data"]["name"], told["data"]["retryable"]) == (-32004, "overloaded", True)
    assert told["data"]["retry_after_ms"] == 1_500


async def test_a_full_node_looks_nothing_up_not_even_what_it_has_executed(lab: Lab) -> None:
    raw = lab.chain.pay("alice", BOB, 100).raw.hex()
    first = await lab.call("tx_submit", tx=raw, wait="final")
    lab.chain.full = True
    assert (await lab.error("tx_submit", tx=raw))["data"]["name"] == "overloaded"
    lab.chain.full = False
    again = await lab.call("tx_submit", tx=raw)
    assert again["receipt"] == first["receipt"]


async def test_many_are_taken_or_refused_each_for_itself(lab: Lab) -> None:
    good = [lab.chain.pay("bank", BOB, amount) for amount in (1, 2, 3)]
    raws = [good[0].raw, broken(lab, "SIGNATURE"), good[1].raw, b"\x01", good[2].raw, good[0].raw]
    result = await lab.call("tx_submitMany", txs=[raw.hex() for raw in raws], wait="final", timeout_ms=5_000)
    items = result["items"]
    assert [item["outcome"]["status"] for item in items] == [
        "applied",
        "unknown",
        "applied",
        "unknown",
        "applied",
        "applied",
    ]
    assert [item["refused"] and item["refused"]["name"] for item in items] == [
        None,
        "SIGNATURE",
        None,
        "MALFORMED",
        None,
        None,
    ]
    assert (await lab.call("account_get", account=digits(BOB)))["account"]["holdings"][0]["balance"] == "6"


async def test_more_than_a_thousand_at_once_are_refused(lab: Lab) -> None:
    raw = lab.chain.pay("bank", BOB, 1).raw.hex()
    told = await lab.error("tx_submitMany", txs=[raw] * 1_001)
    assert (told["code"], told["data"]["path"]) == (-32602, "txs")
    assert (await lab.error("tx_submitMany", txs=[]))["data"]["path"] == "txs"


# Blocks


async def test_a_block_is_found_by_height_by_hash_and_as_the_latest(lab: Lab) -> None:
    by_height = await lab.call("chain_getBlock", height=3)
    assert await lab.call("chain_getBlock", hash=by_height["block_hash"]) == by_height
    assert (await lab.call("chain_getBlock"))["height"] == 4
    assert by_height["header"]["executed_height"] == 2
    assert by_height["signers"] == ["solo"]


async def test_genesis_is_block_0(lab: Lab) -> None:
    block = await lab.call("chain_getBlock", height=0)
    assert (block["transactions"], block["signers"], block["transaction_count"]) == ([], [], 0)
    assert block["timestamp_ms"] == lab.chain.genesis.time_ms


async def test_a_block_that_is_not_there_is_not_found(lab: Lab) -> None:
    assert (await lab.error("chain_getBlock", height=99))["data"]["name"] == "not_found"
    assert (await lab.error("chain_getBlock", hash="ab" * 32))["data"]["name"] == "not_found"
    assert (await lab.error("chain_getBlock", height=1, hash="ab" * 32))["code"] == -32602


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_blocks_transactions_come_in_pages(lab: Lab, order: str) -> None:
    transactions = [lab.chain.pay("bank", BOB, amount) for amount in range(1, 8)]
    await lab.chain.execute(transactions)
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = await lab.call("chain_getBlock", height=5, limit=3, order=order, **cursor)
        seen += [row["index"] for row in page["transactions"]]
        assert page["transaction_count"] == 7
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == (list(range(7)) if order == "asc" else list(reversed(range(7))))


# Lists


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_statement_comes_in_pages_and_none_is_lost_or_twice(lab: Lab, order: str) -> None:
    await lab.chain.execute([lab.chain.pay("bank", ALICE, amount) for amount in range(1, 12)])
    numbers: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = await lab.call("account_getHistory", account=digits(ALICE), limit=5, order=order, **cursor)
        numbers += [entry["number"] for entry in page["entries"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert numbers == (list(range(12)) if order == "asc" else list(reversed(range(12))))
    assert page["length"] == 12


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_statement_of_one_entry_is_read_in_both_directions(lab: Lab, order: str) -> None:
    await lab.chain.execute([lab.chain.pay("bank", BOB, 1)])
    page = await lab.call("account_getHistory", account=digits(BOB), order=order)
    assert ([entry["number"] for entry in page["entries"]], page["next_cursor"]) == ([0], None)


async def test_a_cursor_goes_on_where_it_was_though_new_entries_came(lab: Lab) -> None:
    await lab.chain.execute([lab.chain.pay("bank", ALICE, amount) for amount in (1, 2, 3)])
    first = await lab.call("account_getHistory", account=digits(ALICE), limit=2)
    await lab.chain.execute([lab.chain.pay("bank", ALICE, 4)])
    second = await lab.call("account_getHistory", account=digits(ALICE), limit=2, cursor=first["next_cursor"])
    assert [entry["number"] for entry in (*first["entries"], *second["entries"])] == [3, 2, 1, 0]


async def test_a_cursor_of_another_list_is_refused(lab: Lab) -> None:
    await lab.chain.execute([lab.chain.pay("bank", ALICE, 1), lab.chain.pay("bank", BOB, 1)])
    page = await lab.call("account_getHistory", account=digits(ALICE), limit=1)
    for params in (
        {"account": digits(BOB), "cursor": page["next_cursor"]},
        {"account": digits(ALICE), "order": "asc", "cursor": page["next_cursor"]},
        {"account": digits(ALICE), "cursor": "abcd"},
        {"account": digits(ALICE), "cursor": "abc"},
    ):
        assert (await lab.error("account_getHistory", **params))["data"]["path"] == "cursor"


async def test_a_page_may_begin_at_the_number_of_an_entry(lab: Lab) -> None:
    await lab.chain.execute([lab.chain.pay("bank", ALICE, amount) for amount in (1, 2, 3)])
    for order, first, numbers in (("asc", 2, [2, 3]), ("desc", 1, [1, 0]), ("asc", 4, []), ("desc", 9, [3, 2, 1, 0])):
        page = await lab.call("account_getHistory", account=digits(ALICE), order=order, from_number=first)
        assert [entry["number"] for entry in page["entries"]] == numbers
    page = await lab.call("account_getHistory", account=digits(ALICE), limit=1)
    both = {"account": digits(ALICE), "cursor": page["next_cursor"], "from_number": 1}
    assert (await lab.error("account_getHistory", **both))["data"]["path"] == "from_number"


@pytest.mark.parametrize("limit", [0, 201, -1, 2**53])
async def test_a_limit_is_one_to_two_hundred(lab: Lab, limit: int) -> None:
    assert (await lab.error("account_getHistory", account=digits(ALICE), limit=limit))["data"]["path"] == "limit"


async def test_an_account_that_is_not_there_is_not_found(lab: Lab) -> None:
    for method in ("account_get", "account_getHistory"):
        told = await lab.error(method, account=digits(NOBODY))
        assert (told["code"], told["data"]["path"]) == (-32007, "account")
    assert (await lab.error("supply_get", asset=9))["data"]["name"] == "not_found"


# References


async def test_a_reference_finds_every_payment_made_under_it_and_no_other(lab: Lab) -> None:
    chain = lab.chain
    legs = tuple(sorted([(ALICE, 5, b"A"), (BOB, 6, b"B"), (NOBODY, 7, b"C")]))
    bulk = chain.sign([BANK], [Pay(1, BANK, legs, partial=True)], "bank")
    await chain.execute([bulk, chain.pay("bank", BOB, 8, b"B"), chain.pay("treasury", BOB, 9, b"A")])
    refs = [ref.hex() for ref in (b"A", b"B", b"C", b"D")]
    found = await lab.call("tx_getByRef", account=digits(BANK), refs=refs)
    assert [(bytes.fromhex(one["ref"]), one["amount"], one["to"]) for one in found["payments"]] == [
        (b"A", "5", digits(ALICE)),
        (b"B", "8", digits(BOB)),  # the latest first
        (b"B", "6", digits(BOB)),
    ]  # C was skipped, and the Treasury's A is not the bank's
    assert found["payments"][0]["tx_id"] == bulk.id.hex()
    assert found["block_time_ms"] == chain.now_ms


async def test_a_failed_payment_leaves_no_reference(lab: Lab) -> None:
    lab.chain.hold = True
    first, second = lab.chain.pay("alice", BOB, 90_000, b"ONE"), lab.chain.pay("alice", BOB, 90_000, b"TWO")
    for tx in (first, second):
        await lab.call("tx_submit", tx=tx.raw.hex())
    await lab.chain.release()
    found = await lab.call("tx_getByRef", account=digits(ALICE), refs=[b"ONE".hex(), b"TWO".hex()])
    assert [one["tx_id"] for one in found["payments"]] == [first.id.hex()]


# The network


async def test_who_voted_and_who_is_awaited_is_told_by_name(lab: Lab) -> None:
    found = await lab.call("chain_getConsensus")
    assert (found["voted"], found["awaited"], found["leader"]) == (["solo"], [], "solo")
    assert found["quorum_weight"] == found["total_weight"] == 1


async def test_validators_and_peers_are_listed_with_their_keys(lab: Lab) -> None:
    members = (await lab.call("validator_list"))["validators"]
    assert [(row["name"], row["weight"], len(row["consensus_key"])) for row in members] == [("solo", 1, 64)]
    peers = (await lab.call("net_getPeers"))["peers"]
    assert [(row["name"], row["connected"], row["height"]) for row in peers] == [("observer", False, None)]


async def test_an_account_says_whom_it_belongs_to_and_what_it_may(lab: Lab) -> None:
    account = (await lab.call("account_get", account=digits(ALICE)))["account"]
    assert (account["kind"], account["tier"], account["bank"], account["flags"]) == ("person", 2, digits(BANK), [])
    assert account["threshold"] == 1
    treasury = (await lab.call("account_get", account=digits(TREASURY)))["account"]
    assert (treasury["kind"], treasury["bank"]) == ("treasury", None)


async def test_the_seats_of_the_next_committee_are_listed(lab: Lab) -> None:
    found = await lab.call("validator_list")
    (seat,) = found["seats"]
    assert (seat["name"], seat["weight"], seat["address"], seat["next"]) == ("solo", 1, "", None)
    assert seat["current"]["consensus_key"] == key("consensus").public.hex()
    assert found["seats_hash"] == roster_hash(roster_of(lab.chain.genesis)).hex()
    assert found["epoch_ends"] == lab.chain.genesis.epoch_length
    assert (await lab.call("validator_listCommittees", after=0))["changes"] == []


async def test_a_node_that_is_not_ready_says_why(lab: Lab) -> None:
    assert (await lab.call("validator_getReadiness"))["name"] == "solo"
    lab.chain.readiness = ("behind the network", "no links to a quorum")
    error = await lab.error("validator_getReadiness")
    assert error["data"]["name"] == "not_ready"
    assert error["data"]["actual"] == "behind the network; no links to a quorum"
