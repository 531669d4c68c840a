"""Random operations: drawn near what the model's state allows, and near where it says no.

Operations are the tuples of the wire. Nothing is drawn from sets, so a seed gives the same ones everywhere.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random
from typing import Any, TypeVar

from consensus.crypto import SecretKey
from consensus.encoding import encode
from node.ledger.account import account_number
from tests.ledger_model.acts import ARREST, FREEZE, present
from tests.ledger_model.state import (
    BANK,
    CENTRAL_BANK,
    CLOSED,
    DAY,
    DEVICE,
    DISTRIBUTOR,
    ENFORCER,
    ISSUER,
    MERCHANT,
    MINUTE,
    OUT,
    PERSON,
    RECOVERING,
    REGISTRAR,
    RESERVE,
    SOM,
    Account,
    Asset,
    Hold,
    State,
    h,
)
from tests.ledger_world import CENTRAL, NOBODY, listed, validator_key
from tests.ledger_world import ENFORCER as POLICE
from tests.ledger_world import REGISTRAR as OFFICE

T = TypeVar("T")
Operation = tuple[Any, ...]

AMOUNT_MAX = 2**63 - 1
LEGS_MAX = 4_096
SECRETS = {sha256(secret).digest(): secret for secret in (b"open sesame", b"x", b"k" * 64)}
CATEGORIES = (5411, 5812, 9999)
SUBJECTS = ("contract 1", "contract 2", "келишим 3")
BASIS = h(b"basis")
KINDS_BY_CENTRAL = (ISSUER, ISSUER, RESERVE, RESERVE, DISTRIBUTOR, ENFORCER, REGISTRAR, BANK, PERSON, CENTRAL_BANK)
KEYS_OF_VALIDATORS = {listed("", index)[3:]: index for index in range(10)}


def fresh_keys(number: int, turn: int, count: int = 1) -> tuple[tuple[bytes, int], ...]:
    """Return keys of weight 1, ascending. The ledger compares keys; who signs with them is the node's to check."""
    return tuple(sorted((h(b"key", b"%d %d %d" % (number, turn, place)), 1) for place in range(count)))


def actors(operation: Operation) -> tuple[int, ...]:
    """Return the accounts that an operation acts for."""
    match operation:
        case (1 | 2, _, payer, *_):
            return (payer,)
        case (3, by, *_):
            return (by,)
        case (4, 7, number, bank):
            return (number, bank)
        case (_, _, by, *_):
            return (by,)
        case _:
            raise AssertionError(operation)


class Operations:
    """Draws operations for one chain."""

    def __init__(self, seed: int, state: State) -> None:
        self.random = Random(seed)
        self.state = state
        self.turn = 0
        self.approved = False  # the central bank is to be listed too
        self.planned: list[Callable[[], Operation]] = []  # what comes next

    # --- words ---

    def of(self, *choices: T) -> T:
        return self.random.choice(choices)

    def pick(self, choices: Sequence[T], otherwise: T) -> T:
        return self.random.choice(choices) if choices else otherwise

    def odds(self, share: float) -> bool:
        return self.random.random() < share

    def mostly(self, good: T, *bad: T) -> T:
        return good if self.odds(0.94) else self.random.choice(bad)

    @property
    def accounts(self) -> dict[int, Account]:
        return self.state.tables["a"]

    def alive(self, *kinds: int) -> list[int]:
        """Return accounts that are not closed, of these kinds or of all."""
        return [
            number
            for number, account in self.accounts.items()
            if not account.flags & CLOSED and (not kinds or account.kind in kinds)
        ]

    def anybody(self) -> int:
        return self.pick([*self.accounts, NOBODY, 0], NOBODY)

    def one(self, *kinds: int) -> int:
        """Return an account of these kinds, seldom another one."""
        return self.pick(self.alive(*kinds), NOBODY) if self.odds(0.95) else self.anybody()

    def signer(self, *kinds: int) -> int:
        """Return an account that can be listed."""
        return self.pick(self.alive(*kinds), CENTRAL) if self.odds(0.95) else self.pick(list(self.accounts), CENTRAL)

    def wallet(self) -> int:
        return self.one(PERSON, MERCHANT, DEVICE, PERSON, MERCHANT)

    def asset(self) -> int:
        if self.odds(0.6):
            return SOM
        assets: list[int] = [
            number for number, asset in self.state.tables["s"].items() if asset.status == 1 or self.odds(0.1)
        ]
        return self.mostly(self.pick(assets, SOM), 77, 0)

    def owner(self, asset: int) -> int:
        """Return somebody with free money, mostly one who may pay."""
        blocked = 0 if self.odds(0.06) else OUT | CLOSED | RECOVERING
        rows = [
            number
            for (number, of), (balance, held) in self.state.tables["m"].items()
            if of == asset and balance > held and not self.accounts[number].flags & blocked
        ]
        record: Asset | None = self.state.get("s", asset)
        return self.pick(rows, record.issuer if record else CENTRAL) if self.odds(0.94) else self.signer()

    # --- money ---

    def amount(self, payer: int, asset: int, to: int) -> int:
        """Return an amount, small or near a bound."""
        state = self.state
        free = state.available(payer, asset)
        near = [free, free // 2, free // 3, AMOUNT_MAX if self.odds(0.1) else free]
        balance = state.balance(payer, asset)
        if balance > free and self.odds(0.3):
            return min(max(1, self.of(balance, free + 1, free + 1, free)), AMOUNT_MAX)
        account, payee = self.accounts.get(payer), self.accounts.get(to)
        if asset == SOM and account and account.limited:
            a_transaction, a_day, _ = state.tier(account)
            out = account.out if account.day == state.day else 0
            near += [a_transaction, a_transaction, a_day - out]
            if self.odds(0.4):
                return max(1, min(a_transaction, free, a_day - out + self.of(0, 1)))
        if asset == SOM and payee and payee.limited:
            near.append(state.tier(payee)[2] - state.balance(to, SOM))
        record: Asset | None = state.get("s", asset)
        if record and payer == record.issuer:
            room = self._issue_room(record, asset)
            near = [room, room // 2, record.maximum - state.supply(asset) if self.odds(0.05) else room // 3]
        if record:
            near += self._floors(payer, asset)
        if self.odds(0.75) or not near:
            top = max(1, min(free // 8 if free > 1 else 10**6, 10 ** self.random.randrange(1, 8)))
            return self.random.randint(1, top)
        return min(max(1, self.random.choice(near) + (1 if self.odds(0.15) else 0)), AMOUNT_MAX)

    def _issue_room(self, record: Asset, asset: int) -> int:
        state = self.state
        match record.backing:
            case (1, reserve, other):
                worth = state.balance(reserve, other) * 10**record.scale
                return int(worth // 10 ** state.tables["s"][other].scale - state.supply(asset))
            case (2, schema, ratio, _):
                word = state.valid(schema, record.code)
                return int(word.value * 10_000 // max(1, ratio) - state.supply(asset)) if word else 1_000
            case _:
                return 10**9

    def _floors(self, payer: int, asset: int) -> list[int]:
        state = self.state
        found = []
        for number, record in state.tables["s"].items():
            if record.backing[:1] == (1,) and record.backing[1:] == (payer, asset):
                needed = -(-state.supply(number) * 10 ** state.tables["s"][asset].scale // 10**record.scale)
                found += [state.balance(payer, asset) - needed] * 3
        return found

    def payee(self, payer: int, asset: int) -> int:
        record: Asset | None = self.state.get("s", asset)
        if record and payer == record.issuer and self.odds(0.9):
            kinds = [kind for kind in range(1, 13) if record.mint_to >> kind & 1]
            return self.pick(self.alive(*kinds), NOBODY) if kinds else NOBODY
        if record and self.odds(0.06):
            return record.issuer
        if self.odds(0.04):
            return self.of(payer, NOBODY, self.anybody())
        return self.one(PERSON, MERCHANT, BANK, RESERVE) if self.odds(0.9) else self.one()

    def pay(self) -> Operation:
        asset = self.asset()
        payer = self.owner(asset)
        if asset in self.state.tables["s"] and self.odds(0.25):
            payer = self.state.tables["s"][asset].issuer
        legs = []
        for count in range(self.of(1, 1, 1, 1, 2, 3, 5)):
            to = self.payee(payer, asset)
            amount = self.random.randint(1, 100) if count and self.odds(0.7) else self.amount(payer, asset, to)
            legs.append((to, amount, b"ref %d" % self.random.randrange(50)))
        if self.odds(0.03):
            chosen = sorted(dict.fromkeys(self.random.choices(self.alive(), k=60)))
            legs = [(to, self.random.randint(1, 50), b"r") for to in chosen]
        return (1, asset, payer, tuple(legs), self.odds(0.3), self.odds(0.25))

    def until(self) -> int:
        longest = self.state.parameters["hold_max_ms"]
        ahead = self.of(1_000, 20_000, MINUTE, 10 * MINUTE, DAY, self.random.randrange(1, 3 * DAY))
        return int(self.state.time + self.mostly(ahead, 0, -1, longest, longest + 1))

    def condition(self) -> tuple[Any, ...]:
        hashed = self.pick(list(SECRETS), b"") if self.odds(0.25) else b""
        categories = tuple(sorted(self.random.sample(CATEGORIES, self.of(1, 2)))) if self.odds(0.2) else ()
        not_before = self.state.time + self.of(-1, 0, 1_000, MINUTE, DAY) if self.odds(0.12) else 0
        schema = self.mostly("delivered", "none", "gold") if self.odds(0.2) else ""
        return (hashed, categories, not_before, schema, self.of(*SUBJECTS) if schema else "", self.odds(0.3))

    def hold(self) -> Operation:
        asset = self.asset() if self.odds(0.5) else SOM
        payer = self.owner(asset)
        if self.state.balance(payer, asset) < 1 and self.odds(0.9):
            asset, payer = SOM, self.owner(SOM)
        if asset in self.state.tables["s"] and self.odds(0.03):
            payer = self.state.tables["s"][asset].issuer
        condition = self.condition()
        to = self.mostly(self.payee(payer, asset), payer) if self.odds(0.5) else 0
        if to and condition[1] and self.odds(0.8):
            to = self.one(MERCHANT)
        if self.odds(0.002):
            return self.pile()
        made: list[tuple[int, int, bytes]] = []
        for _ in range(self.of(1, 1, 1, 2, 4)):
            nobody = condition[0] and to and self.odds(0.5)
            by = 0 if nobody else self.one(PERSON, MERCHANT, BANK, DEVICE, DEVICE) or NOBODY
            amount = self.random.randint(1, 100) if made and self.odds(0.7) else self.amount(payer, asset, 0)
            made.append((by, amount, b"hold %d" % self.random.randrange(30)))
        return (2, asset, payer, tuple(made), to, self.until(), condition)

    def pile(self) -> Operation:
        """Return a hold of many legs: more may end at once than a block releases, or than a seizure looks at."""
        count = self.of(600, 1_100, 4_000)
        if count == 4_000 and not self.planned:
            self.planned = [self.pile, self.break_pile]
        legs = ((BANKER, 1, b"many"),) * count
        return (2, SOM, BANKER, legs, 0, self.state.time + self.of(1_000, MINUTE), (b"", (), 0, "", "", True))

    def break_pile(self) -> Operation:
        by, number = self.enforcer(), self.order_number()
        amount = max(1, self.state.available(BANKER, SOM)) + self.of(4_095, 4_096, 4_097)
        return (7, 5, by, number, BANKER, BASIS, SOM, amount, self.one(BANK))

    def settle(self) -> Operation:
        if self.odds(0.02):
            return (3, self.signer(), h(b"no hold")[:16], 1, 0, b"", False)
        holds: list[tuple[bytes, Hold]] = list(self.state.tables["h"].items())[-100:]
        holds = [pair for pair in holds if pair[1].condition is not None or self.odds(0.03)]
        if not holds:
            return self.hold()
        key, hold = self.random.choice(holds)
        fit = [number for number in (hold.by, hold.to) if number in self.accounts] or [hold.payer]
        if self.odds(0.2):
            if hold.condition is not None and (hold.condition[5] or self.state.time >= hold.until or self.odds(0.1)):
                fit = [hold.payer]
            return (3, self.mostly(self.random.choice(fit), self.signer()), key, 0, 0, b"", True)
        by = hold.by if hold.by in self.accounts else self.signer()
        to = 0 if hold.to else self.payee(hold.payer, hold.asset)
        if hold.condition and hold.condition[1] and not hold.to and self.odds(0.85):
            to = self.one(MERCHANT)
        if self.odds(0.05):
            to = self.of(0, hold.to, hold.payer, self.anybody())
        left = hold.left
        amount = self.mostly(self.of(left, left, (left + 1) // 2, 1), min(left + 1, AMOUNT_MAX))
        secret = SECRETS.get(hold.condition[0], b"") if hold.condition else b""
        secret = self.mostly(secret, b"wrong", b"")
        return (3, self.mostly(by, self.signer()), key, amount, to, secret, self.odds(0.4))

    # --- accounts ---

    def keys(self, number: int) -> tuple[Any, int]:
        self.turn += 1
        count = self.of(1, 1, 1, 3)
        return fresh_keys(number, self.turn, count), self.of(1, 2) if count == 3 else 1

    def open(self) -> Operation:
        words = h(b"words", b"%d" % self.turn)
        if self.odds(0.2):
            institution = account_number(1, self.random.randrange(100, 400))
            kind = self.random.choice(KINDS_BY_CENTRAL)
            tier = 1 if kind == PERSON else 0
            return (4, 1, self.mostly(CENTRAL, BANKER), institution, kind, tier, 0, *self.keys(institution), words)
        by = self.one(BANK, BANK, DISTRIBUTOR)
        by = by if by in self.accounts else BANKER
        number: int = account_number(by // 10**12, self.random.randrange(50, 400))
        if self.odds(0.06):
            number = self.of(account_number(333, 1), self.random.choice(self.alive()))
        kind = self.of(PERSON, PERSON, MERCHANT, DEVICE, ISSUER if self.odds(0.2) else PERSON)
        category = self.random.choice(CATEGORIES) if kind == MERCHANT else 0
        category = self.mostly(category, 0, 5411)
        return (4, 1, by, number, kind, self.mostly(self.of(1, 2, 3), 99), category, *self.keys(number), words)

    def set(self) -> Operation:
        number = self.wallet()
        account = self.accounts.get(number)
        by = self.mostly(account.bank if account and account.bank else CENTRAL, CENTRAL, self.signer())
        category = self.random.choice(CATEGORIES) if account and account.kind == MERCHANT else 0
        return (4, 2, by, number, self.mostly(self.of(1, 2, 3), 99), self.mostly(category, 0, 5411), bytes(32))

    def set_keys(self) -> Operation:
        number = self.signer(*self.of((PERSON, MERCHANT, DEVICE), (PERSON,), (BANK, ENFORCER)))
        return (4, 3, number, *self.keys(number))

    def bank_of(self, number: int) -> int:
        account = self.accounts.get(number)
        return self.mostly(account.bank if account and account.bank else CENTRAL, self.signer(BANK))

    def recover(self) -> Operation:
        known = list(self.state.tables["y"])
        number = self.random.choice(known) if known and self.odds(0.4) else self.wallet()
        self.approved |= self.odds(0.3)
        return (4, 4, self.bank_of(number), number, *self.keys(number))

    def recovering(self) -> int:
        """Return an account that waits for new keys, or 0."""
        known = [number for number, account in self.accounts.items() if account.flags & RECOVERING]
        return self.mostly(self.pick(known, 0), self.signer())

    def recovered(self) -> Operation:
        number = self.recovering()
        return (4, 5, self.bank_of(number), number) if number else self.recover()

    def cancel(self) -> Operation:
        number = self.recovering()
        return (4, 6, number) if number else self.recover()

    def move(self) -> Operation:
        number = self.wallet()
        number = number if number in self.accounts else BANKER
        if self.odds(0.2):
            number = self.recovering() or number
        bank = self.signer(BANK)
        return (4, 7, number, bank) if number != bank else self.cancel()

    def close(self) -> Operation:
        rich = {number: None for number, _ in self.state.tables["m"]}
        empty = [number for number in self.alive(PERSON, MERCHANT, DEVICE) if number not in rich]
        if self.odds(0.2):
            empty = self.alive(DISTRIBUTOR, RESERVE, ISSUER, REGISTRAR, CENTRAL_BANK)
        number = self.pick(empty, BANKER) if self.odds(0.8) else self.one()
        account = self.accounts.get(number)
        by = account.bank if account and account.bank and self.odds(0.5) else number
        return (4, 8, self.mostly(by if by in self.accounts else BANKER, self.signer()), number)

    # --- assets and attestations ---

    def register(self) -> Operation:
        assets: dict[int, Asset] = self.state.tables["s"]
        number = self.mostly(max(assets) + 1, self.random.choice(list(assets)))
        code = self.mostly(f"A{number}", "KGST", f"A{number - 1}")
        used = {asset.issuer: None for asset in assets.values()}
        reserves = {asset.backing[1]: None for asset in assets.values() if asset.backing[0] == 1}
        issuer = self.pick([each for each in self.alive(ISSUER) if each not in used], NOBODY)
        issuer = self.mostly(issuer, self.one(ISSUER), self.anybody())
        reserve = self.pick([each for each in self.alive(RESERVE) if each not in reserves], NOBODY)
        reserve = (reserve if self.odds(0.7) else self.of(self.one(RESERVE), self.anybody())) or NOBODY
        backing: tuple[Any, ...] = self.of(
            (0,),
            (1, reserve, self.mostly(self.of(SOM, SOM, self.random.choice(list(assets))), number, 777)),
            (2, self.mostly("gold", "none"), self.of(10_000, 15_000, 9_999), self.of(DAY, MINUTE)),
        )
        kinds = self.of(8190, 8190, 1 << BANK | 1 << PERSON)
        by = self.signer(REGISTRAR)
        return (5, 1, by, number, code, self.of(0, 2, 6), issuer, 10**15, backing, kinds, kinds, BASIS)

    def status(self) -> Operation:
        number = self.asset() or 77
        record: Asset | None = self.state.get("s", number)
        status = self.mostly(2 if record and record.status == 1 else 1, 1, 2)
        if number > 6 and self.odds(0.1):
            status = 3
        by = CENTRAL if number == SOM else self.signer(REGISTRAR)
        if number == SOM and status == 2 and self.odds(0.8):
            number, by = 4, OFFICE
        return (5, 2, self.mostly(by, self.signer(), CENTRAL), number, status, BASIS)

    def attest(self) -> Operation:
        state = self.state
        schema = self.mostly(self.of("gold", "delivered", "gold", "delivered", "crypto-reserve"), "none")
        backed = [number for number, asset in state.tables["s"].items() if asset.backing[:2] == (2, schema)]
        value = self.of(0, 1, 10**6)
        subject = self.of(*SUBJECTS)
        if schema == "gold" and backed:
            number = self.random.choice(backed)
            record: Asset = state.tables["s"][number]
            subject = record.code
            needed = -(-state.supply(number) * record.backing[2] // 10_000)
            value = max(0, needed + self.of(0, 1, -1, 10**6, 10**9))
        current: bytes = state.get("t", (schema, subject)) or b""
        old = state.get("e", current)
        as_of = state.time - self.of(0, 0, 1, 1_000)
        if self.odds(0.1):
            as_of = self.of(state.time + 1, old.as_of if old else 0, max(0, old.as_of - 1) if old else 0)
        until = 0 if self.odds(0.5) else state.time + self.mostly(self.of(1_000, MINUTE, DAY), 0, -1)
        by = self.mostly(self.pick(state.attesters(schema) or (), CENTRAL), self.signer())
        revokes = self.mostly(current, b"", h(b"no")[:16])
        return (6, 1, by, schema, subject, value, as_of, until, h(b"evidence"), revokes)

    def revoke(self) -> Operation:
        state = self.state
        keys = list(state.tables["t"].values()) if self.odds(0.85) else list(state.tables["e"])
        key = self.mostly(self.pick(keys, bytes(16)), h(b"no")[:16])
        word = state.get("e", key)
        by = self.pick(state.attesters(word.schema) or (), CENTRAL) if word else CENTRAL
        return (6, 2, self.mostly(by, self.signer()), key)

    # --- orders ---

    def order_number(self) -> str:
        known: list[str] = [number for _, number in self.state.tables["r"]]
        self.turn += 1
        return self.mostly(f"№ {self.turn}", self.pick(known, "1"))

    def target(self) -> int:
        return self.mostly(self.wallet() if self.odds(0.7) else self.one(BANK), self.one(), self.one(ISSUER, RESERVE))

    def enforcer(self) -> int:
        self.approved |= self.odds(0.93)
        return self.signer(ENFORCER)

    def freeze(self) -> Operation:
        by = self.mostly(POLICE, self.signer(ENFORCER), self.signer())
        return (
            7,
            1,
            by,
            self.order_number(),
            self.wallet() if self.odds(0.9) else self.target(),
            BASIS,
            self.odds(0.5),
        )

    def lift(self, act: int) -> Operation:
        orders = [place for place, order in self.state.tables["r"].items() if order.act == act and not order.lifted]
        if not orders and self.odds(0.8):
            return self.freeze() if act == FREEZE else self.arrest()
        by, number = self.pick(orders, (POLICE, "none"))
        if self.odds(0.05):
            by, number = self.pick(list(self.state.tables["r"]), (POLICE, "none"))
        self.approved |= self.odds(0.93)
        return (7, act + 1, self.mostly(by, self.signer(ENFORCER)), number, BASIS)

    def arrest(self) -> Operation:
        by, asset = self.enforcer(), self.asset()
        target = self.owner(asset) if self.odds(0.8) else self.target()
        return (7, 3, by, self.order_number(), target, BASIS, asset, self.amount(target, asset, 0))

    def seize(self) -> Operation:
        by, asset = self.enforcer(), self.asset()
        held = [number for (number, of), (_, held) in self.state.tables["m"].items() if of == asset and held]
        target = self.pick(held, BANKER) if held and self.odds(0.6) else self.owner(asset)
        if len(self.state.tables["h"]) > 4_096:
            asset, target = SOM, BANKER
        balance = self.state.balance(target, asset)
        amount = self.of(balance, max(1, balance // 2), self.amount(target, asset, 0))
        to = self.mostly(self.one(BANK, DISTRIBUTOR), target, self.one(ISSUER), self.wallet(), self.anybody())
        return (7, 5, by, self.order_number(), target, BASIS, asset, min(max(1, amount), AMOUNT_MAX), to)

    # --- parameters ---

    def parameter(self) -> Operation:
        key = self.of("tiers", "tiers", "day_offset_ms", "window_person_ms", "window_institution_ms", "openers")
        key = self.of(key, key, "attesters", "recovery_delay_ms", "hold_max_ms", "protocol_version")
        by = self.mostly(CENTRAL, self.signer(CENTRAL_BANK), self.signer())
        return (8, 1, by, key, self.based_on(key), self.value(key))

    def based_on(self, key: str) -> bytes:
        return self.mostly(present(self.state, key), bytes(32))

    def value(self, key: str) -> Any:
        now = self.state.get("p", key)
        match key:
            case "tiers":
                rows = [(row[0], *(self.of(cap, cap, cap + 1, max(1, cap - 1)) for cap in row[1:])) for row in now]
                rows += [(row[0] + 1, *row[1:]) for row in rows[-1:] if len(rows) < 5 and self.odds(0.1)]
                return tuple(rows) if self.odds(0.9) else tuple(rows[1:])
            case "day_offset_ms":
                return self.of(6, 6, 6, 5, -14, 14) * 3_600_000
            case "window_person_ms":
                return self.of(10, 10, 1, 60) * MINUTE
            case "window_institution_ms":
                return self.of(72, 72, 1, 168) * 60 * MINUTE
            case "openers":
                wallets = 1 << PERSON | 1 << MERCHANT | 1 << DEVICE
                banks = self.of(wallets, wallets, wallets - (1 << DEVICE), wallets - (1 << MERCHANT))
                more = ((DISTRIBUTOR, 1 << MERCHANT),) if self.odds(0.5) else ()
                return ((CENTRAL_BANK, 8190), (BANK, banks), *more)
            case "attesters":
                start = [("crypto-reserve", (CENTRAL,)), ("delivered", (AUDIT, INSPECT)), ("gold", (AUDIT,))]
                rows = [(schema, self.of(who, who, who, tuple(sorted((*who, POLICE))))) for schema, who in start]
                return tuple(row for row in rows if self.odds(0.95))
            case "protocol_version":
                return self.of(now, self.state.version, self.state.version + 1, self.state.version + 2)
            case "recovery_delay_ms":
                return self.of(MINUTE, 60 * MINUTE, DAY, DAY)
            case _:
                return self.of(366 * DAY, 366 * DAY, 2 * DAY, 30 * MINUTE)

    def validators(self) -> Operation:
        """List the seats again, two of them changed."""
        seats = {seat[0]: (*seat[:3], *(seat[4] or seat[3])) for seat in self.state.get("p", "validators")}
        for place in self.random.sample(range(8), 2):
            name = f"v{place}"
            match self.random.randrange(5):
                case 0:
                    seats.pop(name, None)
                case 1 if name in seats:
                    seats[name] = (name, self.of(1, 1, 2, 3), self.of("", "h:1"), *seats[name][3:])
                case 2:
                    seats[name] = tuple(listed(name, self.random.randrange(10), self.of(1, 1, 2)))
                case _:
                    seats.setdefault(name, tuple(listed(name, place)))
        by = self.mostly(CENTRAL, self.signer())
        if not seats:
            return self.ready()
        return (8, 1, by, "validators", self.based_on("validators"), tuple(sorted(seats.values())))

    def ready(self) -> Operation:
        waiting = [
            (seat[0], KEYS_OF_VALIDATORS[seat[4]])
            for seat in self.state.get("p", "validators")
            if seat[4] in KEYS_OF_VALIDATORS
        ]
        name, index = self.pick(waiting, ("v1", 1))
        name = self.mostly(name, "v0", "nobody")
        height, root = self.pick(list(self.state.tables["c"].items()), (16, bytes(32)))
        if self.odds(0.1):
            height, root = self.of((height, bytes(32)), (self.state.height - 1, self.state.root), (0, root))
        said = h(b"som-ready-1", self.state.genesis_hash, encode((name, listed("", index)[4], height, root)))
        key: SecretKey = validator_key(self.mostly(index, 11))
        return (8, 2, self.signer(), name, height, root, key.sign(said))

    # --- any ---

    def operation(self) -> Operation:
        if self.state.tables["s"][SOM].status != 1 and self.odds(0.3):
            return (5, 2, CENTRAL, SOM, 1, BASIS)
        if self.planned:
            return self.planned.pop(0)()
        drawn = self.random.choices(
            (
                self.pay, self.hold, self.settle, self.open, self.set, self.set_keys, self.recover, self.recovered,
                self.cancel, self.move, self.close, self.register, self.status, self.attest, self.revoke, self.freeze,
                lambda: self.lift(FREEZE), self.arrest, lambda: self.lift(ARREST), self.seize, self.parameter,
                self.validators, self.ready,
            ),
            (300, 130, 180, 40, 15, 15, 25, 30, 12, 15, 30, 25, 18, 40, 12, 15, 20, 15, 15, 15, 10, 12, 12),
        )[0]  # fmt: skip
        return drawn()


BANKER = account_number(101, 0)
AUDIT = account_number(1, 12)
INSPECT = account_number(1, 13)
