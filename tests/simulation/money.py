"""The money of a simulated network: a small genesis, the real ledger on a simulated store, and its clients.

One rule: what a height left in the store is written at once with the height, so a restarted ledger finds exactly the
state of the last stored height.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from hashlib import sha256
from random import Random
from typing import Final, NamedTuple

from consensus.crypto import SecretKey
from consensus.encoding import encode
from consensus.messages import Hash
from node.ledger.account import Kind, Profile, account_number, kinds_mask
from node.ledger.assets import Asset, AssetStatus
from node.ledger.execute import Ledger, genesis_changes
from node.ledger.genesis import Genesis, GenesisAccount
from node.ledger.operations import Operation
from node.ledger.param import VERSION, Listed, ProveReady, SetParameter
from node.ledger.parameters import DEFAULT, record_hash
from node.ledger.pay import Pay
from node.ledger.state import ACCOUNTS_IN_MEMORY, ROSTER
from node.ledger.transaction import Transaction, decode_transaction, make_transaction
from node.ledger.validators import Roster, members, readiness_statement, roster_hash
from node.ledger.versions import NEWEST
from tests.simulation.application import Executed
from tests.simulation.keys import Signer
from tests.simulation.members import Rows, node_key

NETWORK: Final = 7
SOM: Final = 1
PERSONS: Final = 6
EXPIRES_MS: Final = 300_000  # from when a client signs
TAKEN_BACK: Final = 12  # raw transactions that clients remember and send again
FLAWED: Final = 0.4  # the share of transactions with a flaw; others fail because their payer is poor
FLAWS: Final = ("again", "too much", "nobody", "expired", "another's key")
NOBODY: Final = 999  # an account that there is not


def _number(serial: int) -> int:
    return int(account_number(1, serial))


@cache
def _key(serial: int) -> SecretKey:
    return SecretKey(sha256(b"som-simulated-client %d" % serial).digest())


def _row(serial: int, kind: Kind) -> GenesisAccount:
    profile = Profile(
        kind=kind,
        tier=3 if kind is Kind.PERSON else 0,
        flags=0,
        bank=_number(1) if kind is Kind.PERSON else 0,
        category=0,
        keys=((bytes(_key(serial).public), 1),),
        threshold=1,
        commitment=sha256(b"som-simulated-person %d" % serial).digest(),
    )
    return GenesisAccount(f"account {serial}", _number(serial), profile)


ISSUER: Final = 0
BANK: Final = 1
CENTRAL_BANK: Final = 2 + PERSONS
PAYERS: Final = range(2 + PERSONS)
ACCOUNTS: Final = range(2 + PERSONS + 1)


def make_genesis(time_ms: int, validators: Rows, version: int = NEWEST) -> Genesis:
    """Return an issuer, a bank, some persons, with no money yet, and the central bank."""
    kinds = [Kind.ISSUER, Kind.BANK] + [Kind.PERSON] * PERSONS + [Kind.CENTRAL_BANK]
    som = Asset(
        code="SOM",
        scale=2,
        issuer=_number(ISSUER),
        status=AssetStatus.REGISTERED,
        max_supply=10**15,
        backing=None,
        mint_to=kinds_mask([Kind.BANK]),
        redeem_from=kinds_mask([Kind.BANK]),
        basis=b"",
    )
    return Genesis(
        network=NETWORK,
        name="simulated",
        kind="pilot",
        time_ms=time_ms,
        tree_depth=1,
        epoch_length=1_000,
        validators=validators,
        parameters=DEFAULT._replace(protocol_version=version),
        assets=((SOM, som),),
        accounts=tuple(_row(serial, kind) for serial, kind in zip(ACCOUNTS, kinds, strict=True)),
    )


class Table:
    """A store of rows in memory: the ledger's Reader, and what a height changes."""

    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self._rows = dict(rows)
        self._keys = sorted(rows)

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def get_ascending(self, keys: Sequence[bytes]) -> Iterator[bytes | None]:
        return map(self.get, keys)

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in self._keys[bisect_left(self._keys, low) : bisect_left(self._keys, high)]:
            yield key, self._rows[key]

    def rows(self) -> dict[bytes, bytes]:
        """Return all rows."""
        return dict(self._rows)

    def write(self, changes: dict[bytes, bytes | None]) -> None:
        """Apply the changes of a height, all at once."""
        for key, value in changes.items():
            if value is None:
                if self._rows.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
                continue
            if key not in self._rows:
                insort(self._keys, key)
            self._rows[key] = value


class Readiness(NamedTuple):
    """A seat, and the height and root that prove that its next node has executed the chain."""

    name: str
    height: int
    root: bytes


class Money:
    """The real ledger of one life of a validator."""

    def __init__(self, rows: Table, genesis: Genesis, accounts_in_memory: int = ACCOUNTS_IN_MEMORY) -> None:
        self._rows = rows
        self._genesis = genesis
        self._ledger = Ledger(rows, genesis, accounts_in_memory)

    def executed(self) -> Executed:
        """Return what the last height left."""
        ledger = self._ledger
        balances = [self._balance(serial) for serial in ACCOUNTS]
        return Executed(
            ledger.height,
            Hash(ledger.root),
            -balances[ISSUER],
            sum(balances),
            min(balances[BANK:]),
            _members(ledger.roster),
            ledger.parameters.protocol_version,
        )

    def roster(self) -> Roster:
        """Return the validators, those who count and those who wait."""
        return self._ledger.roster

    def awaited(self, node: int) -> Readiness | None:
        """Return what a node must sign to take the seat for which it is admitted; None if it is not, or not yet."""
        named = next((seat for seat in self._ledger.roster if seat.next and seat.next.node_key == node_key(node)), None)
        if named is None or self._ledger.checkpoint is None:
            return None
        return Readiness(named.name, *self._ledger.checkpoint)

    def execute(self, height: int, timestamp_ms: int, version: int, transactions: list[bytes]) -> Executed:
        """Execute a height and write it."""
        decoded = [_decode(raw, self._genesis.hash) for raw in transactions]
        self._rows.write(self._ledger.execute(height, timestamp_ms, version, decoded).changes)
        return self.executed()

    def _balance(self, serial: int) -> int:
        account = self._ledger.account(_number(serial))
        return 0 if account is None else account.balance(SOM)


class Clients:
    """Make transactions: issue, pay, redeem; more than a third must be refused."""

    def __init__(self, random: Random, genesis: Genesis) -> None:
        self._random = random
        self._genesis = genesis
        self._sent: list[bytes] = []

    def transactions(self, clock_ms: int) -> tuple[bytes, ...]:
        """Return what some clients send to a validator now."""
        return tuple(self._one(clock_ms) for _ in range(self._random.randint(1, 4)))

    def _one(self, clock_ms: int) -> bytes:
        random = self._random
        flaw = random.choice(FLAWS) if random.random() < FLAWED else ""
        if flaw == "again" and self._sent:
            return random.choice(self._sent)
        payer = random.choice((ISSUER, ISSUER, BANK, BANK, BANK, *PAYERS))
        payee = BANK if payer == ISSUER else random.choice([one for one in PAYERS if one != payer])
        amount = 10**12 if flaw == "too much" else random.choice((1, 100, 10_000))
        if payer == ISSUER:
            amount *= 100
        legs = ((_number(NOBODY if flaw == "nobody" else payee), amount, b"ref"),)
        expires_ms = clock_ms + (1 if flaw == "expired" else EXPIRES_MS)
        actor = random.choice([one for one in PAYERS if one != payer]) if flaw == "another's key" else payer
        raw = self._signed(payer, Pay(SOM, _number(payer), legs), expires_ms, random.getrandbits(63), actor)
        self._sent = [*self._sent[-TAKEN_BACK:], raw]
        return raw

    def appoint(self, listed: tuple[Listed, ...], seen: Roster, clock_ms: int) -> bytes:
        """Return the central bank's word on who validates, based on the roster that it has seen."""
        operation = SetParameter(_number(CENTRAL_BANK), ROSTER, roster_hash(seen), listed)
        salt = self._random.getrandbits(63)
        return self._signed(CENTRAL_BANK, operation, clock_ms + EXPIRES_MS, salt, CENTRAL_BANK)

    def demand(self, version: int, seen: int, clock_ms: int) -> bytes:
        """Return the central bank's demand of a protocol version, in place of what it has seen."""
        operation = SetParameter(_number(CENTRAL_BANK), VERSION, record_hash(encode(seen)), version)
        salt = self._random.getrandbits(63)
        return self._signed(CENTRAL_BANK, operation, clock_ms + EXPIRES_MS, salt, CENTRAL_BANK)

    def ready(self, readiness: Readiness, node: int, signer: Signer, clock_ms: int) -> bytes:
        """Return a node's proof that it has executed the chain."""
        name, height, root = readiness
        statement = readiness_statement(self._genesis.hash, name, node_key(node), height, root)
        operation = ProveReady(_number(BANK), name, height, root, signer.sign(statement))
        return self._signed(BANK, operation, clock_ms + EXPIRES_MS, self._random.getrandbits(63), BANK)

    def _signed(self, by: int, operation: Operation, expires_ms: int, salt: int, actor: int) -> bytes:
        accounts, keys = (_number(by),), ((0, _key(actor)),)
        return make_transaction(NETWORK, self._genesis.hash, expires_ms, salt, accounts, (operation,), keys).raw


def genesis_rows(genesis: Genesis) -> Table:
    """Return the store at height 0."""
    return Table(genesis_changes(genesis))


@lru_cache(maxsize=64)
def _members(roster: Roster) -> Rows:
    return members(roster)


@lru_cache(maxsize=1024)
def _decode(raw: bytes, genesis_hash: bytes) -> Transaction:
    # Pure, and every validator of a run decodes the same bytes.
    return decode_transaction(raw, genesis_hash)
