"""An independent model of the rules in plain dicts, and thousands of random transactions that must end alike in both.

The model shares nothing with the ledger but the numbers of its codes and what a transaction says.
"""

from dataclasses import astuple, dataclass, field
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey, verify
from consensus.encoding import encode
from node.ledger.account import account_number
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount
from node.ledger.operations import Operation
from node.ledger.param import ProveReady, SetParameter
from node.ledger.parameters import Tier
from node.ledger.pay import Pay
from tests.ledger_world import (
    ALICE,
    BANK,
    BOB,
    CAROL,
    CENTRAL,
    CENTS,
    CENTS_ISSUER,
    CENTS_RESERVE,
    DEAD,
    DEAD_ISSUER,
    GOLD,
    GOLD_ISSUER,
    HALTED,
    HALTED_ISSUER,
    ISSUER,
    KGST,
    KGST_ISSUER,
    KGST_RESERVE,
    MINUTE_MS,
    NOBODY,
    OTHER_BANK,
    SHOP,
    TREASURY,
    Override,
    World,
    keys_of,
    listed,
    listed_again,
)

SOM = 1
PERSONS = {ALICE, BOB, CAROL}
CAPS = {
    1: (1_500_000, 3_000_000, 10_000_000),
    2: (10_000_000, 30_000_000, 100_000_000),
    3: (100_000_000, 300_000_000, 1_000_000_000),
}
ISSUERS = {
    SOM: ISSUER,
    KGST: KGST_ISSUER,
    GOLD: GOLD_ISSUER,
    HALTED: HALTED_ISSUER,
    DEAD: DEAD_ISSUER,
    CENTS: CENTS_ISSUER,
}
WORTH = {KGST: 1, CENTS: 100}  # tyiyn that back one unit
RESERVES = {KGST: KGST_RESERVE, CENTS: CENTS_RESERVE}
MAXIMUM = 10**15


class Fails(Exception):
    """Carries the code's number and the leg."""


@dataclass
class Chair:
    """A validator; keys are (consensus key, node key)."""

    weight: int
    address: str
    current: tuple[bytes, bytes] | None
    next: tuple[bytes, bytes] | None


@dataclass
class Model:
    money: dict[tuple[int, int], int] = field(default_factory=dict)  # (account, asset) -> balance
    tier: dict[int, int] = field(default_factory=dict)  # limited accounts
    owner: dict[int, int] = field(default_factory=dict)  # account -> bank
    closed: set[int] = field(default_factory=set)
    accounts: set[int] = field(default_factory=set)
    out: dict[tuple[int, int], int] = field(default_factory=dict)  # (account, day) -> paid
    paid: dict[tuple[int, bytes], int] = field(default_factory=dict)  # (payer, ref) -> minute until
    caps: dict[int, tuple[int, int, int]] = field(default_factory=lambda: dict(CAPS))  # by tier, in this block
    caps_later: dict[int, tuple[int, int, int]] = field(default_factory=lambda: dict(CAPS))  # from the next on
    chairs: dict[str, Chair] = field(default_factory=dict)
    roots: dict[int, bytes] = field(default_factory=dict)  # of heights that are multiples of 16
    genesis_hash: bytes = b""

    def copy(self) -> "Model":
        return Model(
            dict(self.money), dict(self.tier), dict(self.owner), set(self.closed), set(self.accounts), dict(self.out),
            dict(self.paid), self.caps, self.caps_later, dict(self.chairs), self.roots, self.genesis_hash,
        )  # fmt: skip

    def of(self, account: int, asset: int) -> int:
        return self.money.get((account, asset), 0)


Result = tuple[Model, int, int | None, list[tuple[int, int]]]  # model after, code, leg, skipped


def run(model: Model, operations: list[Operation], now_ms: int) -> Result:
    """Return what becomes of a transaction whose accounts exist and signed."""
    trial = model.copy()
    spent: dict[int, int] = {}
    skipped: list[tuple[int, int]] = []
    for operation in operations:
        try:
            match operation:
                case Pay():
                    skipped += pay(trial, operation, now_ms, spent)
                case CloseAccount():
                    close(trial, operation)
                case OpenAccount():
                    open_wallet(trial, operation)
                case SetAccount():
                    set_wallet(trial, operation)
                case SetParameter():
                    set_parameter(trial, operation)
                case ProveReady():
                    prove_ready(trial, operation)
                case _:
                    raise NotImplementedError
        except Fails as fails:
            return model, fails.args[0], fails.args[1], fails.args[2]
    return trial, 0, None, skipped


def pay(model: Model, pay: Pay, now_ms: int, spent: dict[int, int]) -> list[tuple[int, int]]:
    payer, asset = pay.payer, pay.asset
    if asset not in ISSUERS:
        raise Fails(401, None, [])
    if payer in model.closed:
        raise Fails(205, None, [])
    bad = []
    total = 0
    for index, (to, amount, ref) in enumerate(pay.legs):
        code = why_not(model, pay, to, amount, ref, now_ms, spent)
        if code and not pay.partial:
            raise Fails(code, index, [])
        if code:
            bad.append((index, code))
            continue
        model.money[payer, asset] = model.of(payer, asset) - amount
        model.money[to, asset] = model.of(to, asset) + amount
        total += amount
        if asset == SOM and payer in model.tier:
            day = (now_ms + 6 * 3_600_000) // 86_400_000
            model.out[payer, day] = model.out.get((payer, day), 0) + amount
            spent[payer] = spent.get(payer, 0) + amount
        if pay.once:
            window = 10 if payer in model.tier else 72 * 60
            model.paid[payer, ref] = (now_ms + window * 60_000) // 60_000
    if total == 0:
        raise Fails(306, None, bad)
    return bad


def why_not(model: Model, pay: Pay, to: int, amount: int, ref: bytes, now_ms: int, spent: dict[int, int]) -> int:
    payer, asset = pay.payer, pay.asset
    issuing, redeeming = payer == ISSUERS[asset], to == ISSUERS[asset]
    institutions = {BANK, OTHER_BANK, TREASURY}
    if to not in model.accounts:
        return 201
    if to == payer:
        return 211
    if to in model.closed:
        return 206
    if redeeming and asset == SOM and payer not in institutions:
        return 406
    if not redeeming and asset in (HALTED, DEAD):
        return 402 if asset == HALTED else 403
    if issuing and asset == SOM and to not in institutions:
        return 405
    if pay.once and model.paid.get((payer, ref), -1) >= now_ms // 60_000:
        return 112
    if issuing:
        supply = -model.of(payer, asset) + amount
        if supply > MAXIMUM:
            return 407
        if asset == GOLD:
            return 602
        if asset in WORTH and supply * WORTH[asset] > model.of(RESERVES[asset], SOM):
            return 408
    else:
        left = model.of(payer, asset) - amount
        if left < 0:
            return 302
        for backed, reserve in RESERVES.items():
            if payer == reserve and asset == SOM and left < -model.of(ISSUERS[backed], backed) * WORTH[backed]:
                return 409
    if asset == SOM and payer in model.tier:
        per_transaction, per_day, _ = model.caps[model.tier[payer]]
        if spent.get(payer, 0) + amount > per_transaction:
            return 303
        if model.out.get((payer, (now_ms + 21_600_000) // 86_400_000), 0) + amount > per_day:
            return 304
    if asset == SOM and to in model.tier and model.of(to, SOM) + amount > model.caps[model.tier[to]][2]:
        return 305
    return 0


def close(model: Model, operation: CloseAccount) -> None:
    if operation.by in model.closed:
        raise Fails(204, None, [])
    if operation.number not in model.accounts or operation.number in model.closed:
        raise Fails(201, None, [])
    if operation.by not in (operation.number, model.owner.get(operation.number)):
        raise Fails(204, None, [])
    if any(balance for (account, _), balance in model.money.items() if account == operation.number):
        raise Fails(210, None, [])
    if operation.number in ISSUERS.values() or operation.number in RESERVES.values():
        raise Fails(210, None, [])
    model.closed.add(operation.number)


def open_wallet(model: Model, operation: OpenAccount) -> None:
    if operation.by in model.closed or operation.by not in (BANK, OTHER_BANK):
        raise Fails(204, None, [])
    if operation.number // 10**12 != operation.by // 10**12 or operation.tier not in model.caps:
        raise Fails(212, None, [])
    if operation.number in model.accounts:
        raise Fails(202, None, [])
    model.accounts.add(operation.number)
    model.owner[operation.number] = operation.by
    model.tier[operation.number] = operation.tier


def set_wallet(model: Model, operation: SetAccount) -> None:
    if operation.by in model.closed:
        raise Fails(204, None, [])
    if operation.number not in model.accounts or operation.number in model.closed:
        raise Fails(201, None, [])
    if model.owner.get(operation.number) != operation.by:
        raise Fails(204, None, [])
    if operation.tier not in model.caps:
        raise Fails(212, None, [])
    model.tier[operation.number] = operation.tier


def set_parameter(model: Model, operation: SetParameter) -> None:
    if operation.by != CENTRAL:
        raise Fails(204, None, [])
    rows: tuple[tuple[object, ...], ...] = operation.value  # type: ignore[assignment]
    tables: dict[str, dict[Any, Any]] = {
        "tiers": model.caps_later,
        "validators": {name: astuple(chair) for name, chair in model.chairs.items()},
    }
    there = tuple((name, *row) for name, row in sorted(tables[operation.key].items()))
    if operation.based_on != sha256(b"som-parameter-1" + encode(there)).digest():
        raise Fails(612, None, [])
    if operation.key == "tiers":
        caps = {row[0]: tuple(row[1:]) for row in rows}
        if set(model.caps_later) - set(caps):
            raise Fails(212, None, [])
        model.caps_later = caps  # type: ignore[assignment]
        return
    chairs: dict[str, Chair] = {}
    for name, weight, address, *keys in rows:
        known = model.chairs.get(name)  # type: ignore[call-overload]
        current = known.current if known else None
        chairs[name] = Chair(weight, address, current, None if current == tuple(keys) else tuple(keys))  # type: ignore[index, arg-type]
    seen = [key for chair in chairs.values() for pair in (chair.current, chair.next) if pair for key in pair]
    if len(seen) > len(set(seen)):
        raise Fails(203, None, [])
    require_committee([(chair.current, chair.weight) for chair in chairs.values() if chair.current])
    require_committee([(chair.next or chair.current, chair.weight) for chair in chairs.values()])
    model.chairs = chairs


def require_committee(members: list[tuple[tuple[bytes, bytes] | None, int]]) -> None:
    try:
        Committee(1, [Validator(PublicKey(keys[0]), weight) for keys, weight in members if keys])
    except ValueError:
        raise Fails(608, None, []) from None


def prove_ready(model: Model, operation: ProveReady) -> None:
    if operation.by in model.closed:
        raise Fails(204, None, [])
    chair = model.chairs.get(operation.name)
    if chair is None or chair.next is None:
        raise Fails(609, None, [])
    if model.roots.get(operation.height) != operation.root:
        raise Fails(610, None, [])
    chairs = model.chairs | {operation.name: Chair(chair.weight, chair.address, chair.next, None)}
    require_committee([(each.current, each.weight) for each in chairs.values() if each.current])
    words = encode([operation.name, chair.next[1], operation.height, operation.root])
    said = sha256(b"som-ready-1" + model.genesis_hash + words).digest()
    if not verify(chair.next[0], said, operation.signature):
        raise Fails(611, None, [])
    model.chairs = chairs


# --- the comparison ---

PEOPLE = (ALICE, BOB, CAROL, *(account_number(101, 50 + i) for i in range(3)))
PAYERS = (*PEOPLE, BANK, OTHER_BANK, TREASURY, *ISSUERS.values(), *RESERVES.values())
AMOUNTS = (1, 7, 99, 10_000, 1_400_000, 1_600_000, 9_000_000, 40_000_000, 10**14, 10**15)


def random_setting(random: Random, world: World, by: int, key: str, value: object) -> SetParameter:
    setting = world.setting(key, value, by)  # on what the last block left: others of this block may be faster
    return setting if random.random() < 0.9 else setting._replace(based_on=random.randbytes(32))


def random_tiers(random: Random, world: World) -> SetParameter:
    numbers = [number for number in (1, 2, 3) if random.random() < 0.95] + random.choice(([], [9]))
    tiers = tuple(Tier(n, *(cap * random.choice((1, 1, 2)) for cap in CAPS.get(n, (1, 2, 3)))) for n in numbers)
    return random_setting(random, world, random.choice((CENTRAL, CENTRAL, BANK)), "tiers", tiers)


def random_list(random: Random, world: World) -> SetParameter:
    rows = {seat.name: listed_again(seat) for seat in world.ledger.roster}
    for place in random.sample(range(8), 2):
        name = f"v{place}"
        match random.randrange(5):
            case 0:
                rows.pop(name, None)
            case 1 if name in rows:
                rows[name] = rows[name]._replace(weight=random.choice((1, 1, 2, 3)), address=random.choice(("", "h:1")))
            case 2:
                rows[name] = listed(name, random.randrange(10), random.choice((1, 1, 2)))
            case _:
                rows.setdefault(name, listed(name, place))
    by = random.choice((CENTRAL,) * 5 + (ISSUER,))
    return random_setting(random, world, by, "validators", tuple(sorted(rows.values())))


def random_proof(random: Random, world: World) -> ProveReady:
    secrets = {listed("", index).keys: index for index in range(10)}
    awaited = [(seat.name, secrets[seat.next]) for seat in world.ledger.roster if seat.next in secrets]
    name, index = random.choice(awaited or [("v1", 1)])
    at = world.ledger.checkpoint or (0, bytes(32))
    match random.randrange(8):
        case 0 | 1:
            index = 11
        case 2:
            at = (at[0], bytes(32))
        case 3:
            at = (world.ledger.height, world.ledger.root)
        case 4:
            name = random.choice(("v0", "nobody"))
    return world.ready(name, index, at, random.choice((ALICE, BOB, BANK, CENTRAL)))


def random_operation(random: Random, world: World) -> Operation:
    match random.randrange(26):
        case 20:
            return random_tiers(random, world)
        case 21 | 22:
            return random_list(random, world)
        case 23 | 24 | 25:
            return random_proof(random, world)
        case 0:
            return CloseAccount(random.choice((*PEOPLE, BANK, OTHER_BANK)), random.choice((*PAYERS, NOBODY)))
        case 1:
            number = random.choice((*PEOPLE, account_number(102, 60)))
            keys = tuple((bytes(key.public), 1) for key in keys_of(number))
            by = random.choice((BANK, BANK, OTHER_BANK, ALICE))
            return OpenAccount(by, number, 11, random.choice((1, 2, 9)), 0, keys, 1, bytes(32))
        case 2:
            return SetAccount(
                random.choice((BANK, OTHER_BANK)), random.choice(PEOPLE), random.choice((1, 2, 9)), 0, bytes(32)
            )
        case _:
            asset = random.choice((SOM,) * 12 + (KGST, KGST, CENTS, GOLD, HALTED, DEAD, 77))
            payer = random.choice(PAYERS)
            if asset in ISSUERS and random.random() < 0.3:
                payer = ISSUERS[asset]
            legs = tuple(
                (
                    random.choice((*PAYERS, *PEOPLE, NOBODY, SHOP)),
                    random.choice(AMOUNTS),
                    b"ref %d" % random.randrange(40),
                )
                for _ in range(random.choice((1, 1, 1, 2, 3, 5)))
            )
            return Pay(asset, payer, legs, random.random() < 0.3, random.random() < 0.3)


def start() -> tuple[World, Model]:
    money: dict[tuple[int, int], int] = {
        (ISSUER, SOM): -(10**14),
        (BANK, SOM): 10**14 - 2 * 10**6,
        (ALICE, SOM): 2 * 10**6,
        (HALTED_ISSUER, HALTED): -500,
        (BANK, HALTED): 500,
        (DEAD_ISSUER, DEAD): -(10**15),
        (BOB, DEAD): 10**15,
    }
    holdings: dict[int, list[tuple[int, int, int]]] = {}
    for (account, asset), balance in money.items():
        holdings.setdefault(account, []).append((asset, balance, 0))
    overrides = {account: Override(holdings=tuple(sorted(rows))) for account, rows in holdings.items()}
    world = World(overrides, kind="pilot")
    model = Model(money, accounts={row.number for row in world.genesis.accounts}, genesis_hash=world.genesis.hash)
    for validator in world.genesis.validators:
        keys = (validator.consensus_key, validator.node_key)
        model.chairs[validator.name] = Chair(validator.weight, "", keys, None)
    for row in world.genesis.accounts:
        if row.profile.bank:
            model.owner[row.number] = row.profile.bank
        if row.account().limited:
            model.tier[row.number] = row.profile.tier
    return world, model


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_thousands_of_random_transactions_end_as_in_the_model(seed: int) -> None:
    random = Random(seed)
    world, model = start()
    seen: dict[int, int] = {}
    for _ in range(60):
        later_ms = random.choice((1, 900, 20_000, 20_000, 5 * MINUTE_MS, 7 * 60 * MINUTE_MS))
        now_ms = world.time_ms + later_ms
        batches = [[random_operation(random, world) for _ in range(random.choice((1, 1, 1, 2, 3)))] for _ in range(25)]
        transactions = [world.transaction(batch, expires_ms=now_ms + MINUTE_MS) for batch in batches]
        executed = world.block(transactions, later_ms)
        for batch, receipt in zip(batches, executed.receipts, strict=True):
            actors = [actor for operation in batch for actor in operation.actors]
            if any(actor not in model.accounts for actor in actors):
                result: Result = (model, 201, None, [])
            else:
                result = run(model, batch, now_ms)
            model, code, leg, skipped = result
            assert (receipt.code, receipt.leg) == (code, leg), (batch, receipt)
            assert [each[1:] for each in receipt.skipped] == skipped
            seen[code] = seen.get(code, 0) + 1
        model.caps = model.caps_later
        if executed.height % 16 == 0:
            model.roots[executed.height] = executed.root
        assert {seat[0]: Chair(*seat[1:]) for seat in world.ledger.roster} == model.chairs
        assert {tier[0]: tier[1:] for tier in world.ledger.parameters.tiers} == model.caps
        if executed.height % 20 == 0:
            world.ledger = world.reopened()
    for number in model.accounts:
        account = world.account(number)
        assert {asset: balance for asset, balance, _ in account.holdings} == {
            asset: balance for (owner, asset), balance in model.money.items() if owner == number and balance
        }
    assert world.ledger.audit() == {asset: -model.of(issuer, asset) for asset, issuer in sorted(ISSUERS.items())}
    assert sum(count for code, count in seen.items() if code) > 0.3 * sum(seen.values())
    assert seen[0] > 100
    assert {204, 212, 608, 609, 610, 611, 612} <= set(seen)
    assert any(seat.current == listed(seat.name, place).keys for seat in world.ledger.roster for place in range(10))
