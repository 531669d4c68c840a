"""Who may call what: on a node that is not open, each answer about somebody has its reason, and the rest is public."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import pytest

from node.client.access import PERSONAL_METHODS
from node.client.client import Client
from node.client.errors import RequestFailed
from node.ledger.orders import order_key
from node.ledger.pay import Pay
from node.ledger.recovery import RECOVERY
from node.ledger.state import account_key, asset_key
from node.ledger.transaction import assemble
from node.rpc.access import PERMISSIONS, Scope, scope_of
from node.rpc.auth import AUTH_MS_MAX, namespace_of, sign_auth
from node.rpc.methods import DOCUMENT, METHODS
from node.rpc.ports import Grant
from node.rpc.types import Personal
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import ALICE, BANK, BOB, DEVICE, ENFORCER, OTHER_BANK, SHOP, TREASURY, digits, key

BANKS, OTHERS, ENFORCERS, PAYING, OPERATOR, AUDITORS = (letter * 64 for letter in "abcdef")
ABOUT_SOMEBODY: Final = sorted(name for name in METHODS if scope_of(name) is Scope.PERSONAL)


def grant(name: str, *scopes: str, participant: int = 0, **rates: int) -> Grant:
    limits = {"calls": 0, "transactions": 0, "participant_calls": 0, "participant_transactions": 0}
    return Grant(name, frozenset(scopes), participant, **{**limits, **rates})


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path, acting=True, open_access=False) as found:
        found.chain.tokens |= {
            BANKS: grant("bank", "accounts", participant=BANK),
            OTHERS: grant("other-bank", "accounts", participant=OTHER_BANK),
            ENFORCERS: grant("enforcer", "orders", participant=ENFORCER),
            PAYING: grant("paying", "submit"),
            OPERATOR: grant("operator", "admin"),
            AUDITORS: grant("auditor", "audit"),
        }
        yield found


def params_of(name: str) -> dict[str, Any]:
    example = dict(METHODS[name].example)
    return {"tx_id": "0" * 64, **example} if name == "tx_get" else example


async def told(lab: Lab, method: str, token: str | None = None, **params: Any) -> tuple[int, str]:
    """Return the status line and the error's name, or "ok"."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    async with lab.post(body, **headers) as response:
        found = await response.json()
        return response.status, found["error"]["data"]["name"] if "error" in found else "ok"


def auth(lab: Lab, account: int, signer: str, namespace: str = "account", ahead_ms: int = 60_000) -> dict[str, Any]:
    expires_ms = lab.chain.now_ms + ahead_ms
    made = sign_auth(lab.chain.genesis.hash, account, expires_ms, namespace, key(signer))
    found: dict[str, Any] = msgspec.to_builtins(made)
    return found


# The table


def test_every_method_has_a_scope_and_every_row_of_the_table_a_method() -> None:
    for name in METHODS:
        assert scope_of(name) in Scope
    used = {name if name in PERMISSIONS else namespace_of(name) for name in METHODS}
    assert set(PERMISSIONS) == used | {"account", "admin", "order"} & set(PERMISSIONS)
    with pytest.raises(KeyError):
        scope_of("treasure_list")


def test_the_document_says_what_each_method_asks_for() -> None:
    assert {method["name"]: method["x-scope"] for method in DOCUMENT["methods"]} == {
        name: str(scope_of(name)) for name in METHODS
    }


def test_what_is_about_somebody_takes_a_reason_and_the_client_gives_it() -> None:
    takes = {name for name, method in METHODS.items() if issubclass(method.params, Personal)}
    asks = {name for name in METHODS if scope_of(name) in (Scope.PERSONAL, Scope.ORDERS)} - {"sub_unsubscribe"}
    assert takes | {"sub_subscribe"} == asks == PERSONAL_METHODS


async def test_a_stranger_is_told_what_is_public_and_nothing_else(lab: Lab) -> None:
    for name, method in METHODS.items():
        if method.websocket:
            continue
        status, error = await told(lab, name, **params_of(name))
        if scope_of(name) is Scope.PUBLIC or name == "attestation_get":
            assert (status, error) == (200, "ok"), name
        else:
            assert (status, error) == (401, "unauthorized"), name


async def test_on_an_open_node_everybody_is_told_all_but_the_operators_matters(tmp_path: Path) -> None:
    async with rpc_lab(tmp_path, acting=True) as lab:
        for name, method in METHODS.items():
            if not method.websocket:
                status, _ = await told(lab, name, **params_of(name))
                assert status == (401 if name.startswith("admin_") else 200), name
        assert (await lab.call("chain_getInfo"))["access"] == "open"


async def test_the_node_says_that_it_is_not_open(lab: Lab) -> None:
    assert (await lab.call("chain_getInfo"))["access"] == "tokens"


# Owners


async def test_an_owner_is_told_about_its_own_account_and_no_other(lab: Lab) -> None:
    for name in ("account_get", "account_getHistory", "account_getProof", "account_getRecovery"):
        assert await told(lab, name, account=digits(ALICE), auth=auth(lab, ALICE, "alice")) == (200, "ok"), name
        assert await told(lab, name, account=digits(BOB), auth=auth(lab, ALICE, "alice")) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("account", "signer", "namespace", "ahead_ms"),
    [
        (ALICE, "bob", "account", 60_000),  # another's key
        (ALICE, "alice", "hold", 60_000),  # for another namespace
        (ALICE, "alice", "account", 0),  # over
        (ALICE, "alice", "account", AUTH_MS_MAX + 1),  # for longer than is allowed
        (BOB, "alice", "account", 60_000),  # another's account
    ],
)
async def test_a_proof_that_does_not_hold_opens_nothing(
    lab: Lab, account: int, signer: str, namespace: str, ahead_ms: int
) -> None:
    given = auth(lab, account, signer, namespace, ahead_ms)
    assert await told(lab, "account_get", account=digits(ALICE), auth=given) == (401, "unauthorized")


async def test_a_proof_is_of_one_network_and_one_moment(lab: Lab) -> None:
    good = auth(lab, ALICE, "alice")
    foreign = msgspec.to_builtins(sign_auth(bytes(32), ALICE, lab.chain.now_ms + 60_000, "account", key("alice")))
    later = {**good, "expires_ms": good["expires_ms"] + 1}
    other = {**good, "account": digits(BOB)}
    for wrong in (foreign, later, other):
        assert (await told(lab, "account_get", account=digits(ALICE), auth=wrong))[0] == 401
    lab.chain.now_ms += AUTH_MS_MAX
    assert (await told(lab, "account_get", account=digits(ALICE), auth=good))[0] == 401


async def test_a_bank_is_told_about_itself_and_its_customers(lab: Lab) -> None:
    by_key: dict[str, Any] = {"auth": auth(lab, BANK, "bank")}
    for number in (BANK, ALICE, SHOP, DEVICE):
        assert await told(lab, "account_get", BANKS, account=digits(number)) == (200, "ok")
        assert await told(lab, "account_get", account=digits(number), **by_key) == (200, "ok")
        assert (await told(lab, "account_get", OTHERS, account=digits(number))) == (403, "forbidden")
    for number in (TREASURY, OTHER_BANK):
        assert await told(lab, "account_get", BANKS, account=digits(number)) == (403, "forbidden")


async def test_a_customer_is_not_told_about_its_bank(lab: Lab) -> None:
    assert (await told(lab, "account_get", account=digits(BANK), auth=auth(lab, ALICE, "alice")))[0] == 401


# Transactions, holds, rows


async def test_what_a_transaction_says_is_for_those_that_it_lists_and_what_became_of_it_for_all(lab: Lab) -> None:
    paid = lab.chain.pay("alice", BOB, 5)
    await lab.chain.execute([paid])
    tx_id = paid.id.hex()
    assert await told(lab, "tx_get", tx_id=tx_id) == (200, "ok")
    assert await told(lab, "tx_getProof", tx_id=tx_id) == (200, "ok")
    assert (await told(lab, "tx_get", tx_id=tx_id, transaction=True))[0] == 401
    for name, status in (("alice", 200), ("treasury", 401)):
        number = ALICE if name == "alice" else TREASURY
        given = auth(lab, number, name, "tx")
        assert (await told(lab, "tx_get", tx_id=tx_id, transaction=True, auth=given))[0] == status
    assert (await told(lab, "tx_get", BANKS, tx_id=tx_id, transaction=True))[0] == 200
    assert (await told(lab, "tx_get", OTHERS, tx_id=tx_id, transaction=True))[0] == 403


async def test_a_dry_run_wants_every_account_that_it_lists(lab: Lab) -> None:
    probing = lab.chain.sign([BANK, ALICE], [Pay(1, BANK, ((ALICE, 1, b""),))], "bank", "alice")
    blank = assemble(probing.body, tuple((index, public, bytes(64)) for index, public, _ in probing.signatures)).hex()
    assert (await told(lab, "tx_simulate", tx=blank, auth=auth(lab, ALICE, "alice", "tx")))[0] == 401
    assert (await told(lab, "tx_simulate", tx=blank, auth=auth(lab, BANK, "bank", "tx")))[0] == 200


async def test_a_hold_is_for_its_parties(lab: Lab) -> None:
    example = METHODS["hold_get"].example
    assert (await told(lab, "hold_get", **example, auth=auth(lab, ALICE, "alice", "hold")))[0] == 200
    assert (await told(lab, "hold_get", **example, auth=auth(lab, DEVICE, "device", "hold")))[0] == 200
    assert (await told(lab, "hold_get", **example, auth=auth(lab, TREASURY, "treasury", "hold")))[0] == 401


async def test_rows_about_nobody_are_public_and_the_others_are_for_whom_they_name(lab: Lab) -> None:
    owner: dict[str, Any] = {"auth": auth(lab, ALICE, "alice", "state")}
    assert await told(lab, "state_getProof", key=asset_key(2).hex()) == (200, "ok")
    for row in (account_key(ALICE), RECOVERY + ALICE.to_bytes(8, "big")):
        assert (await told(lab, "state_getProof", key=row.hex()))[0] == 401
        assert (await told(lab, "state_getProof", key=row.hex(), **owner))[0] == 200
    for row in (account_key(BOB), order_key(ENFORCER, "17/26"), b"z", b"a", b"y"):
        assert (await told(lab, "state_getProof", key=row.hex(), **owner))[0] == 401


# Orders


async def test_an_enforcer_names_its_order_and_is_written_down_first(lab: Lab) -> None:
    assert await told(lab, "account_get", ENFORCERS, account=digits(ALICE)) == (403, "forbidden")
    assert lab.chain.recorded == []
    for name in ("account_get", "account_getHistory"):
        assert await told(lab, name, ENFORCERS, account=digits(ALICE), under_order="18/26") == (200, "ok")
        caller, method, recorded, allowed = lab.chain.recorded[-1]
        assert (caller, method, allowed) == ("enforcer", name, True)
        assert (recorded["under_order"], recorded["accounts"]) == ("18/26", digits(ALICE))
    order = METHODS["order_get"].example
    assert await told(lab, "order_get", ENFORCERS, **order) == (403, "forbidden")
    assert await told(lab, "order_get", ENFORCERS, **order, under_order="18/26") == (200, "ok")
    for token in (BANKS, PAYING, OPERATOR, AUDITORS):
        assert await told(lab, "order_get", token, **order, under_order="18/26") == (403, "forbidden")
    assert len(lab.chain.recorded) == 3


async def test_what_the_operator_reads_by_its_socket_is_written_down_too(lab: Lab) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "account_get", "params": {"account": digits(ALICE)}})
    async with lab.local.post("http://localhost/rpc", data=body, headers={"Content-Type": "application/json"}) as reply:
        assert "result" in await reply.json()
    ((caller, method, recorded, allowed),) = lab.chain.recorded
    assert (caller, method, allowed) == ("local", "account_get", True)
    assert (recorded["account"], recorded["accounts"]) == (digits(ALICE), digits(ALICE))
    assert "under_order" not in recorded


async def test_the_audit_log_says_what_was_read_under_an_order(lab: Lab) -> None:
    paid = lab.chain.pay("alice", BOB, 5)
    await lab.chain.execute([paid])
    order, tx_id = METHODS["order_get"].example, paid.id.hex()
    row = account_key(BOB).hex()
    for name, params, accounts in (
        ("order_get", order, ()),
        ("order_list", {"target": digits(BOB), "limit": 7}, ()),
        ("tx_get", {"tx_id": tx_id, "transaction": True}, (ALICE,)),
        ("account_getHistory", {"account": digits(BOB), "limit": 3}, (BOB,)),
        ("state_getProof", {"key": row}, (BOB,)),
        ("state_getProof", {"key": order_key(ENFORCER, "17/26").hex()}, ()),
    ):
        assert await told(lab, name, ENFORCERS, **params, under_order="18/26") == (200, "ok"), name
        caller, method, recorded, allowed = lab.chain.recorded[-1]
        assert (caller, method, allowed) == ("enforcer", name, True)
        said = {field: str(value) for field, value in params.items()}
        assert recorded.items() >= {**said, "under_order": "18/26"}.items()
        assert sorted(filter(None, recorded["accounts"].split(","))) == sorted(map(digits, accounts))
        assert "None" not in recorded.values()


async def test_the_audit_log_has_no_proof_of_ownership(lab: Lab) -> None:
    given = auth(lab, ALICE, "alice")
    params = {"account": digits(ALICE), "auth": given, "under_order": "18/26"}
    assert await told(lab, "account_get", ENFORCERS, **params) == (200, "ok")
    assert given["signature"] not in str(lab.chain.recorded)
    assert "auth" not in lab.chain.recorded[-1][2]


async def test_naming_an_order_opens_nothing_to_others(lab: Lab) -> None:
    assert (await told(lab, "account_get", account=digits(ALICE), under_order="18/26"))[0] == 401
    assert (await told(lab, "account_get", OTHERS, account=digits(ALICE), under_order="18/26"))[0] == 403


# Tokens


async def test_a_token_meters_payments_and_does_not_make_them(lab: Lab) -> None:
    paid = lab.chain.pay("alice", BOB, 5)
    assert await told(lab, "tx_submit", tx=paid.raw.hex()) == (401, "unauthorized")
    assert await told(lab, "tx_submit", BANKS, tx=paid.raw.hex()) == (403, "forbidden")
    assert await told(lab, "tx_submit", PAYING, tx=paid.raw.hex()) == (200, "ok")


async def test_a_token_that_grants_nothing_is_refused_whatever_it_is_used_for(lab: Lab) -> None:
    for wrong in ("0" * 64, "", "x", "a" * 63):
        assert await told(lab, "chain_getInfo", wrong) == (401, "unauthorized")
    async with lab.post('{"jsonrpc":"2.0","id":1,"method":"chain_getInfo"}', Authorization="Basic YTpi") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert lab.server.denied["unauthorized"] >= 5


async def test_a_page_presents_its_token_as_a_protocol_and_loses_the_socket_with_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.rpc.websocket.HEARTBEAT_SECONDS", 0.05)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await lab.session.ws_connect(f"{lab.url}/ws", protocols=("som-rpc", f"som-token.{'0' * 64}"))
    assert refused.value.status == 401
    async with lab.session.ws_connect(f"{lab.url}/ws", protocols=("som-rpc", f"som-token.{BANKS}")) as ws:
        assert ws.protocol == "som-rpc"
        params = {"topic": "account", "account": digits(ALICE)}
        await ws.send_json({"jsonrpc": "2.0", "id": 1, "method": "sub_subscribe", "params": params})
        assert (await ws.receive_json())["result"]["subscription"] == 1
        params["account"] = digits(TREASURY)
        await ws.send_json({"jsonrpc": "2.0", "id": 2, "method": "sub_subscribe", "params": params})
        while "id" not in (reply := await ws.receive_json()):
            pass
        assert reply["error"]["code"] == -32002
        del lab.chain.tokens[BANKS]
        messages = [message async for message in ws]
        assert json.loads(messages[-1].data)["params"]["name"] == "unauthorized"
        assert ws.close_code == 4001


# Quotas


async def test_a_token_and_all_of_its_participant_have_so_many_calls_a_second(lab: Lab) -> None:
    rates = {"participant_calls": 2, "participant": BANK}
    lab.chain.tokens |= {"1" * 64: grant("one", calls=1, **rates), "2" * 64: grant("two", calls=2, **rates)}
    one = [(await told(lab, "chain_getInfo", "1" * 64))[0] for _ in range(3)]
    assert one == [200, 200, 429]  # two seconds of one
    two = [(await told(lab, "chain_getInfo", "2" * 64))[0] for _ in range(3)]
    assert two[-1] == 429  # its own four, of which the first token has had a share
    assert (await told(lab, "chain_getInfo"))[0] == 200
    assert lab.server.denied["rate_limited"] >= 2


async def test_transactions_are_counted_by_number_not_by_call(lab: Lab) -> None:
    lab.chain.tokens["1" * 64] = grant("one", "submit", transactions=3, participant_transactions=3)
    txs = [lab.chain.pay("alice", BOB, 1).raw.hex() for _ in range(6)]
    assert (await told(lab, "tx_submitMany", "1" * 64, txs=txs))[0] == 200
    async with lab.post(
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tx_submit", "params": {"tx": txs[0]}}),
        Authorization=f"Bearer {'1' * 64}",
    ) as response:
        assert response.status == 429
        assert (await response.json())["error"]["data"]["retry_after_ms"] > 0
    assert (await told(lab, "chain_getInfo", "1" * 64))[0] == 200


# The operator


async def test_the_operators_methods_are_for_its_socket_and_its_tokens_and_all_are_written_down(lab: Lab) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        (name, METHODS[name].example) for name in METHODS if name.startswith("admin_")
    ]
    for name, params in calls:
        assert await told(lab, name, **params) == (401, "unauthorized")
    assert lab.chain.recorded == []  # a stranger does not fill the log
    for name, params in calls:
        await lab.call(name, **params)
        assert lab.chain.recorded[-1][:2] == ("local", name)
        assert await told(lab, name, OPERATOR, **params) == (200, "ok")
        assert lab.chain.recorded[-1] == ("operator", name, lab.chain.recorded[-1][2], True)
        allowed = scope_of(name) is Scope.AUDIT
        assert await told(lab, name, AUDITORS, **params) == ((200, "ok") if allowed else (403, "forbidden"))
        assert lab.chain.recorded[-1][::3] == ("auditor", allowed)
        assert await told(lab, name, BANKS, **params) == (403, "forbidden")
        assert lab.chain.recorded[-1][::3] == ("bank", False)
    assert lab.chain.stopped
    assert lab.chain.log_level == "debug"


# The client


async def test_the_client_proves_by_itself_whose_account_it_asks_about(lab: Lab) -> None:

    def now_ms() -> int:
        return lab.chain.now_ms

    async with Client([lab.url], reader=(ALICE, key("alice")), now_ms=now_ms) as client:
        assert (await client.account(ALICE)).account == digits(ALICE)
        assert [entry async for entry in client.history(ALICE)]
        lab.chain.now_ms += AUTH_MS_MAX  # a new proof in time
        assert (await client.account(ALICE)).account == digits(ALICE)
        with pytest.raises(RequestFailed, match="unauthorized"):
            await client.account(BOB)
    async with Client([lab.url], token=BANKS, now_ms=now_ms) as client:
        assert (await client.account(ALICE)).account == digits(ALICE)
    async with Client([lab.url], token=ENFORCERS, under_order="19/26", now_ms=now_ms) as client:
        assert (await client.account(ALICE)).account == digits(ALICE)
        assert lab.chain.recorded[-1][2]["under_order"] == "19/26"
