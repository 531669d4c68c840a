"""Transactions at the edges of what their fields can hold, and beyond, given to a real ledger: one run for one seed."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from consensus.encoding import decode, encode
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, ASSET_MAX, Kind, account_number
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount, SetKeys
from node.ledger.asset import RegisterAsset, SetAssetStatus
from node.ledger.assets import Attested, OnLedger
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.attestations import current
from node.ledger.errors import Code, Refused
from node.ledger.operations import Operation
from node.ledger.order import Arrest, Freeze, Release, Seize, Unfreeze
from node.ledger.param import ProveReady, SetParameter
from node.ledger.parameters import DEFAULT
from node.ledger.pay import Pay
from node.ledger.receipt import decode_receipt
from node.ledger.records import Records
from node.ledger.recovery import CancelRecovery, FinishRecovery, MoveAccount, RecoverAccount
from node.ledger.transaction import Transaction, assemble, decode_transaction, sign_body
from tests.hostile.values import opened, twist
from tests.ledger_world import (
    ALICE,
    AUDITOR,
    BANK,
    BOB,
    CENTRAL,
    CENTS_ISSUER,
    ENFORCER,
    GOLD_ISSUER,
    INSPECTOR,
    ISSUER,
    KGST_ISSUER,
    KGST_RESERVE,
    NOBODY,
    OTHER_BANK,
    PARAMETERS,
    REGISTRAR,
    SHOP,
    SPARE_ISSUER,
    SPARE_RESERVE,
    TREASURY,
    World,
    keys_of,
    listed,
)

BLOCKS: Final = 40
TRANSACTIONS: Final = 6  # of a block

ACTORS: Final = (
    ALICE, BOB, SHOP, BANK, OTHER_BANK, CENTRAL, ISSUER, TREASURY, KGST_ISSUER, KGST_RESERVE, GOLD_ISSUER, CENTS_ISSUER,
    ENFORCER, REGISTRAR, AUDITOR, INSPECTOR, SPARE_ISSUER, SPARE_RESERVE,
)  # fmt: skip
NUMBERS: Final = (*ACTORS, *ACTORS, NOBODY, 0, 1, ACCOUNT_MAX)
AMOUNTS: Final = (1, 1, 2, 99, 1_000, 10**6, 10**7, 10**15, 10**15 + 1, AMOUNT_MAX - 1, AMOUNT_MAX)
ASSETS: Final = (1, 1, 1, 2, 3, 4, 5, 6, 7, 0, ASSET_MAX)
HEIGHTS: Final = (0, 1, 16, 2**53 - 1)


class Edges:
    """Draws operations whose every field is at an edge, or good."""

    def __init__(self, random: Random, world: World) -> None:
        self.random = random
        self.world = world

    def operation(self) -> Operation:
        match self.random.randrange(17):
            case 0 | 1 | 2:
                return self._pay()
            case 3:
                return OpenAccount(*self._opened())
            case 4:
                return SetAccount(self._actor(), self._number(), *self._fields(), self.random.randbytes(32))
            case 5:
                return SetKeys(self.random.choice((ALICE, NOBODY, 0)), self._keys(), self.random.choice((0, 1, 2, 99)))
            case 6:
                return CloseAccount(self._actor(), self._number())
            case 7:
                return self._parameter()
            case 8 | 9 | 10:
                return self._order()
            case 11:
                return self._recovery()
            case 12 | 13:
                return self._asset()
            case 14 | 15:
                return self._attestation()
            case _:
                root = self.random.choice((bytes(32), self.world.ledger.root))
                return ProveReady(
                    self._actor(), "v9", self.random.choice((self.world.ledger.height, *HEIGHTS)), root, bytes(64)
                )

    def _pay(self) -> Pay:
        count = self.random.choice((1, 1, 1, 2, 16, 40))
        chosen = (
            sorted({self._number() for _ in range(count)}) if count > 16 else [self._number() for _ in range(count)]
        )
        legs = tuple((to, self.random.choice(AMOUNTS), self._reference()) for to in chosen)
        return Pay(self.random.choice(ASSETS), self._actor(), legs, self._maybe(), self._maybe())

    def _opened(self) -> tuple[Any, ...]:
        number = self.random.choice((*NUMBERS, *(account_number(101, 1_000 + i) for i in range(20))))
        kind = self.random.choice(tuple(int(kind) for kind in Kind))
        return (self._actor(), number, kind, *self._fields(), self._keys(), self.random.choice((1, 2)), bytes(32))

    def _fields(self) -> tuple[int, int]:
        return self.random.choice((0, 1, 3, 9, 255)), self.random.choice((0, 0, 1, 5411, 9999))

    def _order(self) -> Operation:
        name = (self.random.choice((ENFORCER, ENFORCER, ENFORCER, BANK)), self.random.choice(("1", "2", "3", "ө" * 17)))
        target, basis = self._number(), bytes(32)
        money = (self.random.choice(ASSETS), self.random.choice(AMOUNTS))
        match self.random.randrange(5):
            case 0:
                return Freeze(*name, target, basis, self._maybe())
            case 1:
                return Unfreeze(*name, basis)
            case 2:
                return Arrest(*name, target, basis, *money)
            case 3:
                return Release(*name, basis)
            case _:
                return Seize(*name, target, basis, *money, self._number())

    def _recovery(self) -> Operation:
        by, number = self.random.choice((BANK, BANK, CENTRAL)), self.random.choice((ALICE, BOB, SHOP, ENFORCER, NOBODY))
        match self.random.randrange(4):
            case 0:
                return RecoverAccount(by, number, self._keys(), self.random.choice((1, 2, 99)))
            case 1:
                return FinishRecovery(by, number)
            case 2:
                return CancelRecovery(number)
            case _:
                return MoveAccount(number, self.random.choice((BANK, OTHER_BANK)))

    def _asset(self) -> Operation:
        by, asset = (
            self.random.choice((REGISTRAR, REGISTRAR, CENTRAL, BANK)),
            self.random.choice((*ASSETS[:9], ASSET_MAX)),
        )
        if self._maybe():
            return SetAssetStatus(by, asset, self.random.choice((1, 1, 2, 3)), bytes(32))
        backing = self.random.choice(
            (
                None,
                OnLedger(self.random.choice((SPARE_RESERVE, KGST_RESERVE, BANK)), self.random.choice((1, 3, 7))),
                Attested(self.random.choice(("gold", "silver")), self.random.choice((1, 100_000)), 2**53 - 1),
            )
        )
        issuer = self.random.choice((SPARE_ISSUER, SPARE_ISSUER, ISSUER, ALICE, NOBODY))
        code, scale = self.random.choice(("NEW", "SOM", "A" * 12)), self.random.choice((0, 12))
        kinds = self.random.choice((0, 2**13 - 2))
        return RegisterAsset(
            by, asset, code, scale, issuer, self.random.choice(AMOUNTS), backing, kinds, kinds, bytes(32)
        )

    def _attestation(self) -> Operation:
        by, schema = (
            self.random.choice((AUDITOR, AUDITOR, INSPECTOR, BANK)),
            self.random.choice(("gold", "delivered", "x")),
        )
        subject = self.random.choice(("USDKG", "USDKG", "NEW", "Ж" * 64))
        found = current(Records(self.world.reader), schema, subject)
        named = b"" if found is None or self.random.random() < 0.2 else found[0]
        if self.random.random() < 0.3:
            return RevokeAttestation(by, named or bytes(16))
        now_ms = self.world.time_ms
        times = self.random.choice((0, now_ms, now_ms, now_ms, 2**53 - 1)), self.random.choice((0, 0, 1, 2**53 - 1))
        return Attest(by, schema, subject, self.random.choice((0, *AMOUNTS)), *times, bytes(32), named)

    def _parameter(self) -> SetParameter:
        name = self.random.choice((*DEFAULT._fields, "validators"))
        if name == "validators":
            rows = [listed(f"v{index}", index, self.random.choice((1, 2**31, 2**32 - 1))) for index in range(4)]
            return self._setting(CENTRAL, name, tuple(rows[: self.random.randrange(5)]))
        value = getattr(DEFAULT, name)
        if isinstance(value, int):
            value = self.random.choice((value, 0, 1, value + 1, 2**31, 2**53 - 1))
        return self._setting(self.random.choice((CENTRAL, CENTRAL, ALICE)), name, value)

    def _setting(self, by: int, name: str, value: object) -> SetParameter:
        setting = self.world.setting(name, value, by)
        return self.random.choice((setting, setting, setting._replace(based_on=bytes(32))))

    def _keys(self) -> tuple[tuple[bytes, int], ...]:
        return tuple(sorted((bytes(key.public), self.random.choice((1, 1, 255))) for key in keys_of(self._actor())))

    def _reference(self) -> bytes:
        return self.random.choice((b"", b"r", b"x" * 35))

    def _actor(self) -> int:
        return self.random.choice((*ACTORS, ALICE, BOB, BANK, BANK, CENTRAL, ISSUER))

    def _number(self) -> int:
        return self.random.choice(NUMBERS)

    def _maybe(self) -> bool:
        return self.random.random() < 0.4


def signed_again(world: World, value: Any) -> bytes:
    """Return a transaction with this for a body, signed by all accounts that it seems to list."""
    body, signatures = encode(value), []
    match value:
        case [_, _, _, _, [*accounts], _]:
            known = [(index, number) for index, number in enumerate(accounts) if number in ACTORS]
            signatures = [
                sign_body(world.genesis.hash, body, index, key) for index, number in known for key in keys_of(number)
            ]
    return assemble(body, signatures[:32] or [sign_body(world.genesis.hash, body, 0, keys_of(ALICE)[0])])


def drawn(random: Random, world: World) -> Transaction | None:
    """Return a transaction if one can be made of what was drawn; only Refused says that it cannot."""
    edges = Edges(random, world)
    operations: Sequence[Operation] = [edges.operation() for _ in range(random.choice((1, 1, 1, 1, 2, 16)))]
    expires_ms = random.choice((*[world.time_ms + 60_000] * 9, 0, 2**53 - 1))
    approving = random.choice(((), (CENTRAL,)))
    accounts = tuple(dict.fromkeys((*(actor for each in operations for actor in each.actors), *approving)))
    try:
        transaction = world.transaction(operations, accounts, expires_ms=expires_ms)
        if random.random() < 0.8:
            return transaction
        value = twist(random, opened(decode(transaction.body)))
        return decode_transaction(signed_again(world, value), world.genesis.hash)
    except Refused:
        return None


def run(seed: int) -> Counter[Code]:
    """Run a seed; return what became of its transactions. Raise whatever goes wrong in it, with the seed."""
    try:
        return _run(Random(seed))
    except BaseException as error:
        error.add_note(f"python -m tests.hostile --only ledger --seed {seed}")
        raise


def _run(random: Random) -> Counter[Code]:
    world = World(parameters=PARAMETERS, accounts_in_memory=random.choice((8, 1_000)))
    world.fund(ALICE, BANK, BOB)
    codes: Counter[Code] = Counter()
    for _ in range(BLOCKS):
        transactions = [each for _ in range(TRANSACTIONS) if (each := drawn(random, world)) is not None]
        for transaction in transactions:
            world.ledger.simulate(transaction, world.time_ms)
            try:
                world.ledger.admit(transaction, world.time_ms)
            except Refused:
                pass
        executed = world.block(transactions, random.choice((0, 1, 1_000, 59_000)))
        assert len(executed.receipts) == len(transactions)
        for transaction, receipt in zip(transactions, executed.receipts, strict=True):
            assert decode_receipt(transaction.id, receipt.encoded) == receipt
            codes[Code(receipt.code)] += 1
    world.ledger.audit()
    return codes
