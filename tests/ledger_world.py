"""A small country for tests of the ledger: a genesis with every kind of account and asset, and a reader over a dict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from consensus.crypto import SecretKey
from node.ledger.account import (
    SOM,
    Account,
    AccountNumber,
    Holding,
    Kind,
    Profile,
    account_number,
    decode_account,
    encode_account,
    kinds_mask,
)
from node.ledger.assets import Asset, AssetStatus, Attested, OnLedger
from node.ledger.execute import Executed, Ledger, genesis_changes, with_meta
from node.ledger.genesis import Genesis, GenesisAccount, NetworkKind, Validator
from node.ledger.operations import Operation
from node.ledger.param import Listed, ProveReady, SetParameter
from node.ledger.parameters import DEFAULT, Attesters, Parameters, record_hash
from node.ledger.pay import Pay
from node.ledger.receipt import Receipt
from node.ledger.state import ACCOUNTS_IN_MEMORY, account_key, parameter_key
from node.ledger.transaction import Transaction, assemble, decode_transaction, make_body, sign_body
from node.ledger.validators import Keys, Roster, Seat, readiness_statement

NETWORK: Final = 417
START_MS: Final = 1_767_204_000_000  # 2026-01-01 00:00 in Bishkek
MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS

CENTRAL: Final = account_number(1, 0)
ISSUER: Final = account_number(1, 1)
TREASURY: Final = account_number(1, 2)
ENFORCER: Final = account_number(1, 3)
KGST_ISSUER: Final = account_number(1, 4)
KGST_RESERVE: Final = account_number(1, 5)
GOLD_ISSUER: Final = account_number(1, 6)
HALTED_ISSUER: Final = account_number(1, 7)
DEAD_ISSUER: Final = account_number(1, 8)
REGISTRAR: Final = account_number(1, 11)
AUDITOR: Final = account_number(1, 12)
INSPECTOR: Final = account_number(1, 13)
SPARE_ISSUER: Final = account_number(1, 14)  # of no asset
SPARE_RESERVE: Final = account_number(1, 15)  # backs nothing
BANK: Final = account_number(101, 0)
OTHER_BANK: Final = account_number(102, 0)
ALICE: Final = account_number(101, 1)
BOB: Final = account_number(101, 2)
SHOP: Final = account_number(101, 3)
DEVICE: Final = account_number(101, 4)  # Alice's purse
CAROL: Final = account_number(102, 1)
NOBODY: Final = account_number(999, 999)

KGST: Final = 2
GOLD: Final = 3
HALTED: Final = 4
DEAD: Final = 5
CENTS: Final = 6  # like KGST, but of scale 0: one unit is 100 tyiyn
CENTS_ISSUER: Final = account_number(1, 9)
CENTS_RESERVE: Final = account_number(1, 10)

_ALL: Final = kinds_mask(Kind)
_NAMES: Final[Mapping[str, tuple[AccountNumber, Kind, int]]] = {
    "central bank": (CENTRAL, Kind.CENTRAL_BANK, 0),
    "issuer": (ISSUER, Kind.ISSUER, 0),
    "treasury": (TREASURY, Kind.TREASURY, 0),
    "enforcer": (ENFORCER, Kind.ENFORCER, 0),
    "kgst issuer": (KGST_ISSUER, Kind.ISSUER, 0),
    "kgst reserve": (KGST_RESERVE, Kind.RESERVE, 0),
    "gold issuer": (GOLD_ISSUER, Kind.ISSUER, 0),
    "halted issuer": (HALTED_ISSUER, Kind.ISSUER, 0),
    "dead issuer": (DEAD_ISSUER, Kind.ISSUER, 0),
    "cents issuer": (CENTS_ISSUER, Kind.ISSUER, 0),
    "cents reserve": (CENTS_RESERVE, Kind.RESERVE, 0),
    "registrar": (REGISTRAR, Kind.REGISTRAR, 0),
    "auditor": (AUDITOR, Kind.AUDITOR, 0),
    "inspector": (INSPECTOR, Kind.AUDITOR, 0),
    "spare issuer": (SPARE_ISSUER, Kind.ISSUER, 0),
    "spare reserve": (SPARE_RESERVE, Kind.RESERVE, 0),
    "bank": (BANK, Kind.BANK, 0),
    "other bank": (OTHER_BANK, Kind.BANK, 0),
    "alice": (ALICE, Kind.PERSON, 1),
    "bob": (BOB, Kind.PERSON, 1),
    "shop": (SHOP, Kind.MERCHANT, 2),
    "device": (DEVICE, Kind.DEVICE, 1),
    "carol": (CAROL, Kind.PERSON, 1),
}
PARAMETERS: Final = DEFAULT._replace(
    attesters=(
        Attesters("crypto-reserve", (CENTRAL,)),
        Attesters("delivered", (AUDITOR, INSPECTOR)),
        Attesters("gold", (AUDITOR,)),
    )
)
_BOARD: Final = (ISSUER, CENTRAL)  # these need two of three keys


@cache
def keys_of(number: int) -> tuple[SecretKey, ...]:
    """Return the account's secret keys, ascending by public key."""
    count = 3 if number in _BOARD else 1
    keys = [SecretKey(number.to_bytes(31, "big") + bytes((index,))) for index in range(count)]
    return tuple(sorted(keys, key=lambda key: key.public))


def profile_of(number: int, kind: int, tier: int = 0, bank: int = 0, category: int = 0) -> Profile:
    keys = tuple((bytes(key.public), 1) for key in keys_of(number))
    return Profile(kind, tier, 0, bank, category, keys, 2 if len(keys) == 3 else 1, number.to_bytes(32, "little"))


def _bank_of(number: int) -> int:
    return {101: int(BANK), 102: int(OTHER_BANK)}.get(number // 10**12, 0) if number % 10**12 >= 100 else 0


def validator_key(index: int) -> SecretKey:
    """Return the consensus key of a validator that is not of the genesis."""
    return SecretKey(bytes((200,)) * 31 + bytes((index,)))


def listed(name: str, index: int, weight: int = 1, address: str = "") -> Listed:
    """Return a row with keys of its own, of which we have the first."""
    return Listed(name, weight, address, validator_key(index).public, bytes((201,)) * 31 + bytes((index,)))


def listed_again(seat: Seat) -> Listed:
    """Return the row that leaves a seat as it is."""
    keys = seat.next or seat.current
    assert keys is not None
    return Listed(seat.name, seat.weight, seat.address, *keys)


def keys_at(index: int) -> Keys:
    return listed("", index).keys


def make_genesis(parameters: Parameters = PARAMETERS, tree_depth: int = 2, kind: NetworkKind = "devnet") -> Genesis:
    accounts = tuple(
        GenesisAccount(name, number, profile_of(number, role, tier, _bank_of(number), 5411 if name == "shop" else 0))
        for name, (number, role, tier) in _NAMES.items()
    )
    banks = kinds_mask((Kind.BANK, Kind.TREASURY))
    registered, maximum = int(AssetStatus.REGISTERED), 10**15
    assets = (
        (int(SOM), Asset("SOM", 2, ISSUER, registered, maximum, None, banks, banks, b"b" * 32)),
        (KGST, Asset("KGST", 2, KGST_ISSUER, registered, maximum, OnLedger(KGST_RESERVE, SOM), _ALL, _ALL, b"")),
        (GOLD, Asset("USDKG", 6, GOLD_ISSUER, registered, maximum, Attested("gold", 10_000, DAY_MS), _ALL, _ALL, b"")),
        (HALTED, Asset("HALT", 0, HALTED_ISSUER, int(AssetStatus.SUSPENDED), maximum, None, _ALL, _ALL, b"")),
        (DEAD, Asset("DEAD", 0, DEAD_ISSUER, int(AssetStatus.REVOKED), maximum, None, _ALL, _ALL, b"")),
        (CENTS, Asset("CENTS", 0, CENTS_ISSUER, registered, maximum, OnLedger(CENTS_RESERVE, SOM), _ALL, _ALL, b"")),
    )
    validators = tuple(Validator(f"v{i}", bytes((i,)) * 32, bytes((i + 8,)) * 32, 1) for i in range(4))
    return Genesis(NETWORK, "test", kind, START_MS, tree_depth, 100, validators, parameters, assets, accounts)


class Rows:
    """A reader over a dict, and what a store does with a block."""

    def __init__(self, rows: Mapping[bytes, bytes]) -> None:
        self.rows = dict(rows)

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def get_ascending(self, keys: Sequence[bytes]) -> Iterator[bytes | None]:
        return map(self.get, keys)

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted((key, value) for key, value in self.rows.items() if low <= key < high)

    def store(self, changes: Mapping[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


@dataclass(frozen=True)
class Override:
    """What an account has at the start, against the rules of genesis: money or flags."""

    flags: int = 0
    holdings: tuple[Holding, ...] = ()
    kind: int | None = None


class World:
    """A ledger, its rows, and short words to act in it."""

    def __init__(
        self,
        overrides: Mapping[int, Override] | None = None,
        parameters: Parameters = DEFAULT,
        accounts_in_memory: int = ACCOUNTS_IN_MEMORY,
        kind: NetworkKind = "devnet",
    ) -> None:
        self.genesis = make_genesis(parameters, kind=kind)
        rows = genesis_changes(self.genesis)
        for number, override in (overrides or {}).items():
            account = decode_account(number, rows[account_key(number)])
            account.profile = account.profile._replace(
                flags=override.flags, kind=account.profile.kind if override.kind is None else override.kind
            )
            account.holdings = override.holdings
            rows[account_key(number)] = encode_account(account)
        rows = with_meta(self.genesis, {key: row for key, row in rows.items() if key != b"M"})
        self.reader = Rows(rows)
        self.ledger = Ledger(self.reader, self.genesis, accounts_in_memory)
        self.entries: dict[int, list[bytes]] = {}
        self.time_ms = START_MS
        self.version = self.ledger.version  # of the blocks to come
        self._salt = 0

    def transaction(
        self,
        operations: Sequence[Operation],
        accounts: Sequence[int] | None = None,
        signers: Sequence[tuple[int, SecretKey]] | None = None,
        expires_ms: int | None = None,
        salt: int | None = None,
        network: int = NETWORK,
    ) -> Transaction:
        """Return a transaction that by default is signed by all whom it needs and expires in a minute."""
        if accounts is None:
            accounts = tuple(dict.fromkeys(actor for operation in operations for actor in operation.actors))
        if signers is None:
            signers = [(index, key) for index, number in enumerate(accounts) for key in keys_of(number)]
        if salt is None:
            salt = self._salt = self._salt + 1
        expires_ms = self.time_ms + MINUTE_MS if expires_ms is None else expires_ms
        body = make_body(network, expires_ms, salt, accounts, operations)
        signatures = [sign_body(self.genesis.hash, body, index, key) for index, key in signers]
        return decode_transaction(assemble(body, signatures), self.genesis.hash)

    def block(
        self, transactions: Sequence[Transaction], later_ms: int = 1_000, decreed: Roster | None = None
    ) -> Executed:
        """Execute and store the next block."""
        self.time_ms += later_ms
        executed = self.ledger.execute(self.ledger.height + 1, self.time_ms, self.version, transactions, decreed)
        self.store(executed)
        return executed

    def store(self, executed: Executed) -> None:
        self.reader.store(executed.changes)
        for number, index, entry in executed.entries:
            entries = self.entries.setdefault(number, [])
            assert index == len(entries)
            entries.append(entry)

    def run(self, *operations: Operation, later_ms: int = 1_000) -> Receipt:
        """Execute one transaction in a block of its own."""
        expires_ms = self.time_ms + later_ms + MINUTE_MS
        return self.block([self.transaction(operations, expires_ms=expires_ms)], later_ms).receipts[0]

    def pay(
        self,
        payer: int,
        to: int,
        amount: int,
        asset: int = SOM,
        ref: bytes = b"",
        partial: bool = False,
        once: bool = False,
    ) -> Receipt:
        return self.run(Pay(asset, payer, ((to, amount, ref),), partial, once))

    def setting(self, key: str, value: object, by: int = CENTRAL) -> SetParameter:
        """Return a change that is based on what the last block left."""
        record = self.reader.rows[parameter_key(key)]
        return SetParameter(by, key, record_hash(record), value)  # type: ignore[arg-type]

    def set(self, key: str, value: object) -> Receipt:
        """Let the central bank set a parameter."""
        return self.run(self.setting(key, value))

    def list_validators(self, *rows: Listed) -> Receipt:
        """List these beside all who have a seat, as they are."""
        names = {row.name for row in rows}
        kept = [listed_again(seat) for seat in self.ledger.roster if seat.name not in names]
        return self.set("validators", tuple(sorted([*kept, *rows])))

    def ready(self, name: str, index: int, at: tuple[int, bytes] | None = None, by: int = ALICE) -> ProveReady:
        """Return the proof of a validator's next keys, of which ``index`` names the secret one."""
        at = at or self.ledger.checkpoint
        assert at is not None
        statement = readiness_statement(self.genesis.hash, name, keys_at(index).node_key, *at)
        return ProveReady(by, name, *at, validator_key(index).sign(statement))

    def reach(self, height: int) -> None:
        """Execute empty blocks up to a height."""
        while self.ledger.height < height:
            self.block([])

    def fund(self, *numbers: int, amount: int = 1_000_000) -> None:
        """Issue som to the bank and pay it on."""
        assert self.pay(ISSUER, BANK, amount * len(numbers)).applied
        for number in numbers:
            assert number == BANK or self.pay(BANK, number, amount).applied

    def balance(self, number: int, asset: int = SOM) -> int:
        return self.account(number).balance(asset)

    def account(self, number: int) -> Account:
        account = self.ledger.account(number)
        assert account is not None
        return account

    def reopened(self, accounts_in_memory: int = ACCOUNTS_IN_MEMORY) -> Ledger:
        """Return a ledger that starts from the stored rows, as after a restart."""
        return Ledger(self.reader, self.genesis, accounts_in_memory)
