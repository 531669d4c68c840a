"""Each code of the ledger and its texts, as a client meets them: in an error of tx_submit, a receipt, or a dry run.

One rule: whoever adds a code adds here how a client can reach it; a code that nobody can reach is none.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import msgspec
import pytest

from consensus.encoding import encode
from devnet.generate import bank_account, key_of
from node.config import parse_config
from node.config_text import format_config
from node.ledger.account import SOM, Kind, account_number, kinds_mask
from node.ledger.account_ops import CloseAccount, OpenAccount, SetKeys
from node.ledger.asset import RegisterAsset, SetAssetStatus
from node.ledger.assets import AssetStatus, Backing, OnLedger
from node.ledger.attest import Attest
from node.ledger.errors import LANGUAGES, TEXTS, Code
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition, row_id
from node.ledger.operations import Operation
from node.ledger.order import Arrest, Freeze, Release
from node.ledger.param import Listed, ProveReady, SetParameter
from node.ledger.parameters import DAY_MS, record_hash
from node.ledger.pay import Pay
from node.ledger.recovery import FinishRecovery, RecoverAccount
from node.ledger.settle import SettleHold
from node.ledger.state import parameter_key
from node.ledger.transaction import (
    TRANSACTION_BYTES_MAX,
    Transaction,
    assemble,
    make_body,
    sign_body,
)
from node.ledger.validators import readiness_statement
from tests.node_lab import make_lab
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import (
    ALICE,
    AUDITOR,
    BANK,
    BOB,
    CENTRAL,
    DEVICE,
    ENFORCER,
    GOLD_ISSUER,
    ISSUER,
    KGST_ISSUER,
    LIFETIME_MS,
    NETWORK,
    NOBODY,
    NUMBERS,
    REGISTRAR,
    RESERVE,
    SHOP,
    SPARE_ISSUER,
    TREASURY,
    SoloChain,
    key,
)

Where = Literal["door", "receipt", "dry run"]
Act = Callable[[SoloChain], Awaitable[bytes]]

KGST, GOLD = 2, 3
BASIS: Final = sha256(b"basis").digest()
NAMES: Final[Mapping[int, str]] = {number: name for name, number in NUMBERS.items()}
ANYBODY: Final = kinds_mask(Kind)
SECRET: Final = b"secret"
QUOTA: Final = 50  # of one bank's customers where 100 may wait: node/mempool.py


@dataclass(frozen=True)
class Case:
    """``act`` brings the chain to where the transaction that it returns gets the code, ``where``."""

    where: Where
    act: Act


# --- words for acts ---


def transaction(
    chain: SoloChain, *operations: Operation, also: tuple[int, ...] = (), signers: tuple[str, ...] = ()
) -> Transaction:
    """Return a transaction that is signed by all who act, and by ``also``."""
    accounts = tuple(dict.fromkeys((*(actor for each in operations for actor in each.actors), *also)))
    return chain.sign(accounts, operations, *(signers or (NAMES[number] for number in accounts)))


def body_of(
    chain: SoloChain, *operations: Operation, expires_in_ms: int = LIFETIME_MS, network: int = NETWORK
) -> bytes:
    """Return the body of what Alice signs, which no decoder has seen."""
    return make_body(network, chain.now_ms + expires_in_ms, 1, [ALICE], operations)


def signed(chain: SoloChain, body: bytes, by: str = "alice") -> bytes:
    return assemble(body, [sign_body(chain.genesis.hash, body, 0, key(by))])


async def does(chain: SoloChain, *operations: Operation, also: tuple[int, ...] = ()) -> Transaction:
    """Execute what must be applied."""
    made = transaction(chain, *operations, also=also)
    (receipt,) = await chain.add_block([made])
    assert receipt.applied, receipt
    return made


def pay(payer: int, to: int, amount: int = 1, asset: int = SOM, ref: bytes = b"", once: bool = False) -> Pay:
    return Pay(asset, payer, ((to, amount, ref),), once=once)


def hold(
    chain: SoloChain,
    payer: int = ALICE,
    by: int = SHOP,
    to: int = 0,
    in_ms: int = DAY_MS,
    hash_: bytes = b"",
    categories: tuple[int, ...] = (),
    attested: tuple[str, str] = ("", ""),
) -> MakeHold:
    condition = Condition(hash_, categories, 0, *attested, revocable=False)
    return MakeHold(SOM, payer, ((by, 100, b""),), to, chain.now_ms + in_ms, condition)


async def settled(chain: SoloChain, made: MakeHold, amount: int = 1, to: int = SHOP, secret: bytes = b"") -> bytes:
    """Make the hold; return its settlement."""
    hold_id = row_id((await does(chain, made)).id, 0, 0)
    return transaction(chain, SettleHold(made.legs[0][0], hold_id, amount, to, secret, close=False)).raw


def registration(
    asset: int = 9, code: str = "NEW", issuer: int = SPARE_ISSUER, backing: Backing = None
) -> RegisterAsset:
    return RegisterAsset(REGISTRAR, asset, code, 2, issuer, 10**9, backing, ANYBODY, ANYBODY, BASIS)


def freeze(target: int, number: str = "1") -> Freeze:
    return Freeze(ENFORCER, number, target, BASIS, incoming=True)


def arrest(target: int = BANK, amount: int = 1) -> Arrest:
    return Arrest(ENFORCER, "2", target, BASIS, SOM, amount)


def recover(target: int = ALICE) -> RecoverAccount:
    return RecoverAccount(BANK, target, ((key("new").public, 1),), 1)


def status(asset: int, new: AssetStatus) -> SetAssetStatus:
    return SetAssetStatus(REGISTRAR, asset, int(new), BASIS)


def seats(chain: SoloChain, *more: Listed) -> SetParameter:
    """Return a list of the one validator and these."""
    row = chain.store.get(parameter_key("validators"))
    assert row is not None
    own = Listed("solo", 1, "", key("consensus").public, key("node").public)
    return SetParameter(CENTRAL, "validators", record_hash(row), (own, *more))


async def newcomer(chain: SoloChain) -> tuple[int, bytes]:
    """Let a validator wait for its proof; return the checkpoint."""
    await does(chain, seats(chain, Listed("third", 1, "", key("third").public, key("third node").public)))
    while chain.ledger.height < 17:
        await chain.add_block(())
    assert chain.ledger.checkpoint is not None
    return chain.ledger.checkpoint


# --- how each code is reached: what needs more than one transaction ---


async def wrong_network(chain: SoloChain) -> bytes:
    return signed(chain, body_of(chain, pay(ALICE, BOB), network=NETWORK + 1))


async def wrong_signature(chain: SoloChain) -> bytes:
    body = body_of(chain, pay(ALICE, BOB))
    index, public, signature = sign_body(chain.genesis.hash, body, 0, key("alice"))
    return assemble(body, [(index, public, signature[:-1] + bytes((signature[-1] ^ 1,)))])


async def executed_already(chain: SoloChain) -> bytes:
    return (await does(chain, pay(ALICE, BOB))).raw


async def paid_under_the_ref(chain: SoloChain) -> bytes:
    await does(chain, pay(ALICE, BOB, ref=b"INVOICE-1", once=True))
    return transaction(chain, pay(ALICE, BOB, ref=b"INVOICE-1", once=True)).raw


async def frozen_payer(chain: SoloChain) -> bytes:
    await does(chain, freeze(ALICE))
    return transaction(chain, pay(ALICE, BOB)).raw


async def frozen_payee(chain: SoloChain) -> bytes:
    await does(chain, freeze(BOB))
    return transaction(chain, pay(ALICE, BOB)).raw


async def lost_key(chain: SoloChain) -> bytes:
    await does(chain, recover())
    return transaction(chain, pay(ALICE, BOB)).raw


async def lost_twice(chain: SoloChain) -> bytes:
    await does(chain, recover())
    return transaction(chain, recover()).raw


async def found_at_once(chain: SoloChain) -> bytes:
    await does(chain, recover())
    return transaction(chain, FinishRecovery(BANK, ALICE)).raw


async def rich(chain: SoloChain) -> None:
    await does(chain, pay(BANK, ALICE, 50_000_000))


async def too_much_at_once(chain: SoloChain) -> bytes:
    await rich(chain)
    return transaction(chain, pay(ALICE, BANK, 10_000_001)).raw


async def too_much_in_a_day(chain: SoloChain) -> bytes:
    await rich(chain)
    for _ in range(3):
        await does(chain, pay(ALICE, BANK, 10_000_000))
    return transaction(chain, pay(ALICE, BANK)).raw


async def suspended(chain: SoloChain) -> bytes:
    await does(chain, status(KGST, AssetStatus.SUSPENDED))
    return transaction(chain, pay(KGST_ISSUER, ALICE, asset=KGST)).raw


async def revoked(chain: SoloChain) -> bytes:
    await does(chain, status(KGST, AssetStatus.REVOKED))
    return transaction(chain, pay(KGST_ISSUER, ALICE, asset=KGST)).raw


async def reserve_in_use(chain: SoloChain) -> bytes:
    await does(chain, pay(BANK, RESERVE, 100))
    await does(chain, pay(KGST_ISSUER, ALICE, 100, KGST))
    return transaction(chain, pay(RESERVE, BANK)).raw


async def named_by_a_hold(chain: SoloChain) -> bytes:
    await does(chain, hold(chain))
    return transaction(chain, CloseAccount(BANK, SHOP)).raw


async def ended_and_not_swept(chain: SoloChain) -> bytes:
    raw = await settled(chain, hold(chain, in_ms=60_000))
    chain.now_ms += 60_000
    return raw


async def settled_too_much(chain: SoloChain) -> bytes:
    return await settled(chain, hold(chain), amount=101)


async def without_the_secret(chain: SoloChain) -> bytes:
    return await settled(chain, hold(chain, hash_=sha256(SECRET).digest()), secret=b"guess")


async def to_another(chain: SoloChain) -> bytes:
    return await settled(chain, hold(chain, to=BOB))


async def for_another_purpose(chain: SoloChain) -> bytes:
    return await settled(chain, hold(chain, categories=(5_411,)), to=BOB)


async def not_delivered(chain: SoloChain) -> bytes:
    return await settled(chain, hold(chain, attested=("delivered", "contract 7")))


async def arrested(chain: SoloChain) -> bytes:
    hold_id = row_id((await does(chain, arrest(), also=(CENTRAL,))).id, 0, 0)
    return transaction(chain, SettleHold(BANK, hold_id, 1, BOB, b"", close=True)).raw


async def attested_long_ago(chain: SoloChain) -> bytes:
    await does(chain, Attest(AUDITOR, "gold", "USDKG", 1, chain.now_ms, chain.now_ms + 60_000, bytes(32), b""))
    chain.now_ms += 60_000
    return transaction(chain, pay(GOLD_ISSUER, BANK, asset=GOLD)).raw


async def ordered_twice(chain: SoloChain) -> bytes:
    await does(chain, freeze(ALICE))
    return transaction(chain, freeze(BOB)).raw


async def at_no_checkpoint(chain: SoloChain) -> bytes:
    height, root = await newcomer(chain)
    return transaction(chain, ProveReady(ALICE, "third", height + 1, root, bytes(64))).raw


async def by_another_key(chain: SoloChain) -> bytes:
    height, root = await newcomer(chain)
    statement = readiness_statement(chain.genesis.hash, "third", key("third node").public, height, root)
    return transaction(chain, ProveReady(ALICE, "third", height, root, key("alice").sign(statement))).raw


def door(made: Callable[[SoloChain], bytes]) -> Case:
    """Return the case of one transaction that tx_submit refuses."""
    return Case("door", _at_once(made))


def receipt(made: Callable[[SoloChain], Operation]) -> Case:
    """Return the case of one operation, signed by whom it needs, that fails in a block."""
    return Case("receipt", _at_once(lambda chain: transaction(chain, made(chain)).raw))


def turned_away(made: Callable[[SoloChain], Operation]) -> Case:
    """Return the case of one operation that is of the right shape and tx_submit refuses."""
    return Case("door", _at_once(lambda chain: transaction(chain, made(chain)).raw))


def misshapen(made: Callable[[SoloChain], Operation]) -> Case:
    """Return the case of one operation of Alice that can never be right."""
    return Case("door", _at_once(lambda chain: signed(chain, body_of(chain, made(chain)))))


def _at_once(made: Callable[[SoloChain], bytes]) -> Act:
    async def act(chain: SoloChain) -> bytes:
        return made(chain)

    return act


HOW: Final[Mapping[Code, Case]] = {
    Code.APPLIED: receipt(lambda _: pay(ALICE, BOB)),
    Code.MALFORMED: door(lambda _: b"\xc0"),
    Code.NETWORK: Case("door", wrong_network),
    Code.SIGNATURE: Case("door", wrong_signature),
    Code.NOT_SIGNED: door(lambda chain: signed(chain, body_of(chain, pay(ALICE, BOB)), by="bob")),
    Code.EXPIRED: door(lambda chain: signed(chain, body_of(chain, pay(ALICE, BOB), expires_in_ms=0))),
    Code.EXPIRY_TOO_FAR: door(lambda chain: signed(chain, body_of(chain, pay(ALICE, BOB), expires_in_ms=DAY_MS))),
    Code.DUPLICATE: Case("dry run", executed_already),  # sent again, it is a success with the first receipt
    Code.OPS: door(lambda chain: signed(chain, body_of(chain))),
    Code.LEGS: misshapen(lambda _: Pay(SOM, ALICE, ())),
    Code.TOO_LARGE: door(lambda _: bytes(TRANSACTION_BYTES_MAX + 1)),
    Code.DUPLICATE_REF: Case("receipt", paid_under_the_ref),
    Code.NO_ACCOUNT: turned_away(lambda _: pay(ALICE, NOBODY)),
    Code.EXISTS: receipt(
        lambda _: OpenAccount(BANK, BOB, int(Kind.PERSON), 1, 0, ((key("b").public, 1),), 1, bytes(32))
    ),
    Code.KEYS: misshapen(lambda _: SetKeys(ALICE, ((key("alice").public, 1),), 2)),
    Code.ROLE: turned_away(lambda _: Freeze(ALICE, "1", BOB, BASIS, incoming=False)),
    Code.PAYER_BLOCKED: Case("receipt", frozen_payer),
    Code.PAYEE_BLOCKED: Case("receipt", frozen_payee),
    Code.RECOVERING: Case("receipt", lost_key),
    Code.PENDING: Case("receipt", lost_twice),
    Code.TOO_EARLY: Case("receipt", found_at_once),
    Code.NOT_EMPTY: receipt(lambda _: CloseAccount(BANK, ALICE)),
    Code.SAME_ACCOUNT: receipt(lambda _: pay(ALICE, ALICE)),
    Code.FIELD: receipt(
        lambda _: OpenAccount(
            BANK, account_number(11, 500), int(Kind.PERSON), 99, 0, ((key("a").public, 1),), 1, bytes(32)
        )
    ),
    Code.NO_RECOVERY: receipt(lambda _: FinishRecovery(BANK, ALICE)),
    Code.AMOUNT: misshapen(lambda _: pay(ALICE, BOB, 0)),
    Code.INSUFFICIENT: turned_away(lambda _: pay(ALICE, BOB, 10**12)),
    Code.LIMIT_TX: Case("receipt", too_much_at_once),
    Code.LIMIT_DAY: Case("receipt", too_much_in_a_day),
    Code.LIMIT_BALANCE: receipt(lambda _: pay(BANK, DEVICE, 10_000_001)),
    Code.ALL_LEGS_FAILED: receipt(lambda _: Pay(SOM, ALICE, ((NOBODY, 1, b""),), partial=True)),
    Code.NO_ASSET: turned_away(lambda _: pay(ALICE, BOB, asset=99)),
    Code.ASSET_SUSPENDED: Case("receipt", suspended),
    Code.ASSET_REVOKED: Case("receipt", revoked),
    Code.STATUS: receipt(lambda _: status(KGST, AssetStatus.REGISTERED)),
    Code.MINT_PAYEE: receipt(lambda _: pay(ISSUER, ALICE)),
    Code.REDEEM_PAYER: receipt(lambda _: pay(ALICE, ISSUER)),
    Code.MAX_SUPPLY: receipt(lambda _: pay(ISSUER, TREASURY, 10**15)),
    Code.UNBACKED: receipt(lambda _: pay(KGST_ISSUER, ALICE, asset=KGST)),
    Code.RESERVE_FLOOR: Case("receipt", reserve_in_use),
    Code.ISSUER_TAKEN: receipt(lambda _: registration(issuer=GOLD_ISSUER)),
    Code.ASSET_EXISTS: receipt(lambda _: registration(code="KGST")),
    Code.RESERVE_TAKEN: receipt(lambda _: registration(backing=OnLedger(RESERVE, SOM))),
    Code.NO_HOLD: turned_away(lambda _: SettleHold(SHOP, bytes(16), 1, BOB, b"", close=True)),
    Code.OPEN_HOLD: Case("receipt", named_by_a_hold),
    Code.ISSUER_HOLD: turned_away(lambda chain: hold(chain, payer=ISSUER)),
    Code.UNTIL: receipt(lambda chain: hold(chain, in_ms=1_000 * DAY_MS)),
    Code.HOLD_EXPIRED: Case("door", ended_and_not_swept),
    Code.EXCEEDS_HOLD: Case("door", settled_too_much),
    Code.SECRET: Case("receipt", without_the_secret),
    Code.PAYEE: Case("receipt", to_another),
    Code.PURPOSE: Case("receipt", for_another_purpose),
    Code.NEEDS_ATTESTATION: Case("receipt", not_delivered),
    Code.UNDER_ORDER: Case("door", arrested),
    Code.ATTEST: receipt(lambda chain: Attest(AUDITOR, "gold", "USDKG", 1, chain.now_ms + DAY_MS, 0, bytes(32), b"")),
    Code.NO_ATTESTATION: receipt(lambda _: pay(GOLD_ISSUER, BANK, asset=GOLD)),
    Code.ATTESTATION_OLD: Case("receipt", attested_long_ago),
    Code.SECOND_APPROVAL: receipt(lambda _: arrest()),
    Code.BASIS: misshapen(lambda _: Freeze(ALICE, "1", BOB, b"", incoming=False)),
    Code.NO_ORDER: Case(
        "receipt", _at_once(lambda chain: transaction(chain, Release(ENFORCER, "9", BASIS), also=(CENTRAL,)).raw)
    ),
    Code.IMMUNE: receipt(lambda _: freeze(ISSUER)),
    Code.KEY: misshapen(lambda _: SetParameter(ALICE, "colour", bytes(32), 1)),
    Code.COMMITTEE: receipt(lambda chain: seats(chain)._replace(value=())),
    Code.NOT_AWAITED: turned_away(lambda _: ProveReady(ALICE, "solo", 0, bytes(32), bytes(64))),
    Code.CHECKPOINT: Case("door", at_no_checkpoint),
    Code.NOT_READY: Case("door", by_another_key),
    Code.STALE: receipt(lambda _: SetParameter(CENTRAL, "hold_max_ms", bytes(32), DAY_MS)),
    Code.ORDER_EXISTS: Case("receipt", ordered_twice),
}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path) as found:
        yield found


def test_there_is_a_way_to_every_code() -> None:
    assert {*HOW, Code.QUOTA} == set(Code)
    assert Code.QUOTA not in HOW  # it needs a mempool that is full: the last test


@pytest.mark.parametrize("code", HOW, ids=lambda code: code.name)
async def test_a_client_is_told_the_code(lab: Lab, code: Code) -> None:
    case = HOW[code]
    raw = (await case.act(lab.chain)).hex()
    match case.where:
        case "door":
            await require_refused(lab.session, f"{lab.url}/rpc", raw, code)
        case "receipt":
            await require_executed(lab, raw, code)
        case "dry run":
            told = await lab.call("tx_simulate", tx=raw)
            assert (told["code"], told["name"]) == (code, code.name)
            again = await lab.call("tx_submit", tx=raw, wait="final")
            assert (again["outcome"]["code"], again["receipt"]["code"]) == (0, 0)


async def require_executed(lab: Lab, raw: str, code: Code) -> None:
    """Assert that the transaction is executed with this code, and that all who ask are told so."""
    told = await lab.call("tx_submit", tx=raw, wait="final")
    found = await lab.call("tx_get", tx_id=told["tx_id"])
    for answer in (told, found):
        assert (answer["receipt"]["code"], answer["receipt"]["name"]) == (code, code.name)
        assert (answer["outcome"]["code"], answer["outcome"]["name"]) == (code, code.name)
        assert answer["outcome"]["status"] == ("applied" if code == Code.APPLIED else "failed")
        assert answer["outcome"]["final"]
    if code != Code.APPLIED:
        listed = (await lab.call("rpc.discover"))["components"]["errors"][code.name]
        assert (listed["code"], listed["x-texts"]) == (code, TEXTS[code]._asdict())


async def require_refused(session: aiohttp.ClientSession, url: str, raw: str, code: Code) -> dict[str, Any]:
    """Assert that tx_submit refuses the bytes with this code, in each language; return the last error."""
    error: dict[str, Any] = {}
    for language in LANGUAGES:
        sent = {"Content-Type": "application/json", "Accept-Language": language}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tx_submit", "params": {"tx": raw, "wait": "none"}}
        async with session.post(url, data=json.dumps(call), headers=sent) as reply:
            error = (await reply.json())["error"]
        assert (error["code"], error["data"]["name"]) == (code, code.name)
        assert error["message"] == getattr(TEXTS[code], language)
        assert error["data"]["retryable"] is (code == Code.QUOTA)
    return error


# --- what a real node alone refuses ---


@asynccontextmanager
async def alone(path: Path) -> AsyncIterator[tuple[Callable[[int], str], str]]:
    """Run one of four validators, whose mempool is small; give the n-th transaction of a bank, and the node's URL."""
    lab = make_lab(path, 4)
    home = path / "nbkr"
    config = parse_config((home / "config.toml").read_text())
    small = msgspec.structs.replace(config.mempool, transactions_max=2 * QUOTA)
    (home / "config.toml").write_text(format_config(msgspec.structs.replace(config, mempool=small)))
    bank = bank_account(1)

    def transfer(number: int) -> str:
        operation = Pay(SOM, bank, ((bank_account(2), 1, encode(number)),), partial=True)
        return lab.transaction([operation], [key_of("bank-1-treasurer")], bank).raw.hex()

    try:
        await lab.start("nbkr")
        yield transfer, f"http://127.0.0.1:{lab.nodes['nbkr'].rpc.port}/rpc"
        lab.alive()
    finally:
        await lab.stop(*lab.running)


async def test_who_has_too_much_waiting_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with alone(tmp_path) as (transfer, url), aiohttp.ClientSession() as session:
        sent = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tx_submitMany",
            "params": {"txs": [transfer(n) for n in range(QUOTA)]},
        }
        async with session.post(url, json=sent) as reply:
            items = (await reply.json())["result"]["items"]
        assert [item.get("refused") for item in items] == [None] * QUOTA
        error = await require_refused(session, url, transfer(QUOTA), Code.QUOTA)
        assert error["data"]["retry_after_ms"] > 0
