"""An independent model of the rules in plain dicts, and thousands of random transactions that must end alike in both.

The model shares nothing with the ledger but the numbers of its codes and what a transaction says.
"""

from dataclasses import dataclass, field
from random import Random

import pytest

from node.ledger.account import account_number
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount
from node.ledger.operations import Operation
from node.ledger.pay import Pay
from tests.ledger_world import (
    ALICE,
    BANK,
    BOB,
    CAROL,
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
)

SOM = 1
PERSONS = {ALICE, BOB, CAROL}
CAPS = {1: (1_500_000, 3_000_000, 10_000_000), 2: (10_000_000, 30_000_000, 100_000_000)}
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
class Model:
    money: dict[tuple[int, int], int] = field(default_factory=dict)  # (account, asset) -> balance
    tier: dict[int, int] = field(default_factory=dict)  # limited accounts
    owner: dict[int, int] = field(default_factory=dict)  # account -> bank
    closed: set[int] = field(default_factory=set)
    accounts: set[int] = field(default_factory=set)
    out: dict[tuple[int, int], int] = field(default_factory=dict)  # (account, day) -> paid
    paid: dict[tuple[int, bytes], int] = field(default_factory=dict)  # (payer, ref) -> minute until

    def copy(self) -> "Model":
        return Model(
            dict(self.money), dict(self.tier), dict(self.owner), set(self.closed), set(self.accounts), dict(self.out),
            dict(self.paid),
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
        per_transaction, per_day, _ = CAPS[model.tier[payer]]
        if spent.get(payer, 0) + amount > per_transaction:
            return 303
        if model.out.get((payer, (now_ms + 21_600_000) // 86_400_000), 0) + amount > per_day:
            return 304
    if asset == SOM and to in model.tier and model.of(to, SOM) + amount > CAPS[model.tier[to]][2]:
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
    if operation.number // 10**12 != operation.by // 10**12 or operation.tier not in CAPS:
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
    if operation.tier not in CAPS:
        raise Fails(212, None, [])
    model.tier[operation.number] = operation.tier


# --- the comparison ---

PEOPLE = (ALICE, BOB, CAROL, *(account_number(101, 50 + i) for i in range(3)))
PAYERS = (*PEOPLE, BANK, OTHER_BANK, TREASURY, *ISSUERS.values(), *RESERVES.values())
AMOUNTS = (1, 7, 99, 10_000, 1_400_000, 1_600_000, 9_000_000, 40_000_000, 10**14, 10**15)


def random_operation(random: Random) -> Operation:
    match random.randrange(20):
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
    world = World({account: Override(holdings=tuple(sorted(rows))) for account, rows in holdings.items()})
    model = Model(money, accounts={row.number for row in world.genesis.accounts})
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
        batches = [[random_operation(random) for _ in range(random.choice((1, 1, 1, 2, 3)))] for _ in range(25)]
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
    for number in model.accounts:
        account = world.account(number)
        assert {asset: balance for asset, balance, _ in account.holdings} == {
            asset: balance for (owner, asset), balance in model.money.items() if owner == number and balance
        }
    assert world.ledger.audit() == {asset: -model.of(issuer, asset) for asset, issuer in sorted(ISSUERS.items())}
    assert sum(count for code, count in seen.items() if code) > 0.3 * sum(seen.values())
    assert seen[0] > 100
