"""The stage on which scenarios play: named actors send transactions to a devnet, and each sentence is checked.

One rule: a line is told after what it says has happened: a transaction that was applied, one that was refused with the
code foreseen, or a fact that was read back from the chain. Anything else is Unexpected, and the story ends there.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, TypeVar

from consensus.crypto import SecretKey
from devnet.generate import CENTRAL_BANK, bank_account, demo_accounts, key_of
from devnet.money import wallet_key
from node.cli.amounts import format_units
from node.cli.texts import Words
from node.client.client import Client
from node.client.errors import Refused
from node.ledger.account import SOM, AccountNumber, Kind, account_number, format_account
from node.ledger.account_ops import OpenAccount
from node.ledger.errors import Code
from node.ledger.holds import row_id
from node.ledger.operations import Operation
from node.ledger.pay import Pay
from node.ledger.transaction import Transaction
from node.rpc.ledger_types import (
    AssetView,
    AttestationView,
    GetAssetResult,
    GetCurrentAttestationResult,
    GetHoldResult,
    HoldView,
)
from node.rpc.types import Receipt, Result

SOON_MS: Final = 6_000  # what a story waits for comes so soon; on a slow machine its steps take longer than usual
SETTLE_SECONDS: Final = 120.0
WAIT_SECONDS: Final = 120.0  # beyond its time, for a block that says that the time has come
LOOK_SECONDS: Final = 0.2
INSTITUTIONS: Final = 900  # participant number of the institutions that stories open
SERIAL_MIN: Final = 1_000_000_000  # of accounts that stories open, out of the way of others

R = TypeVar("R", bound=Result)


class Unexpected(Exception):
    """The network did something else than the story says."""


LineKind = Literal["applied", "refused", "fact"]


class Network(NamedTuple):
    """What a purse must know of its network: the number, and the hash of the genesis."""

    network: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence in all languages, and what it rests on."""

    kind: LineKind
    words: Words
    tx_id: str | None = None
    code: Code | None = None


class Stage:
    """A devnet, the keys of its actors, and somebody who hears the lines."""

    def __init__(self, client: Client, hear: Callable[[Line], None], soon_ms: int = SOON_MS) -> None:
        """``soon_ms``: how far ahead a story sets the ends that it waits for."""
        self.client = client
        self._hear = hear
        self._soon_ms = soon_ms
        self._height = 0  # of the last transaction seen: what is read is no older
        self._keys = {
            int(demo.number): tuple(key_of(name) for name in demo.key_names[: demo.threshold])
            for demo in demo_accounts()
        }

    # --- telling ---

    async def applied(
        self,
        words: Words,
        /,
        *operations: Operation,
        also: Sequence[int] = (),
        keys: Mapping[int, Sequence[SecretKey]] | None = None,
        **values: object,
    ) -> bytes:
        """Send a transaction that must be applied; return its id. ``also`` names accounts that approve it.

        ``keys``: who signs for an account, where that is not as usual.
        """
        transaction = await self._signed(operations, also, keys)
        await self.settled(words, Code.APPLIED, transaction, **values)
        return transaction.id

    async def refused(
        self,
        words: Words,
        code: Code,
        /,
        *operations: Operation,
        also: Sequence[int] = (),
        keys: Mapping[int, Sequence[SecretKey]] | None = None,
        **values: object,
    ) -> None:
        """Send a transaction that must be refused with ``code``."""
        await self.settled(words, code, await self._signed(operations, also, keys), **values)

    async def settled(self, words: Words, code: Code, transaction: Transaction, /, **values: object) -> None:
        """Send a signed transaction, which must end with ``code``, in a block or at a node's door."""
        filled = _filled(words, values)
        found = await self._settle(transaction)
        if found is not code:
            raise Unexpected(f"{filled.en}: {found.name}, not {code.name}")
        kind: LineKind = "refused" if code else "applied"
        self._hear(Line(kind, filled, transaction.id.hex(), code))

    def fact(self, words: Words, found: object, expected: object, /, **values: object) -> None:
        """Tell what was read back from the chain, if it is as it must be."""
        filled = _filled(words, values)
        if found != expected:
            raise Unexpected(f"{filled.en}: found {found}, not {expected}")
        self._hear(Line("fact", filled))

    # --- actors ---

    async def open_wallet(
        self, bank: int = 1, tier: int = 1, *, kind: Kind = Kind.PERSON, category: int = 0, som: int = 0
    ) -> AccountNumber:
        """Let bank 1, 2 or 3 open a new account, and sell it som. Return its number."""
        number = account_number(100 + bank, new_serial())
        operations: list[Operation] = [self.opening(bank_account(bank), number, kind, tier, category)]
        if som:
            operations.append(Pay(SOM, bank_account(bank), ((number, som, b""),)))
        await self.do(*operations)
        return number

    async def open_institution(self, kind: Kind) -> AccountNumber:
        """Let the central bank open a new account of an institution. Return its number."""
        number = account_number(INSTITUTIONS, new_serial())
        await self.do(self.opening(CENTRAL_BANK, number, kind))
        return number

    def opening(self, by: int, number: int, kind: Kind, tier: int = 0, category: int = 0) -> OpenAccount:
        """Return the operation that opens an account under a key that the stage keeps."""
        key = wallet_key(number)
        self._keys[number] = (key,)
        commitment = sha256(b"scenario" + format_account(number).encode()).digest()
        return OpenAccount(by, number, kind, tier, category, ((bytes(key.public), 1),), 1, commitment)

    def give_key(self, number: int, key: SecretKey) -> None:
        """Let an account sign with another key from now on."""
        self._keys[number] = (key,)

    def keys_of(self, number: int) -> tuple[SecretKey, ...]:
        """Return the keys with which an account usually signs."""
        return self._keys[number]

    async def do(self, *operations: Operation, also: Sequence[int] = ()) -> bytes:
        """Send a transaction that no line tells of, and which must be applied. Return its id."""
        transaction = await self._signed(operations, also, None)
        code = await self._settle(transaction)
        if code is not Code.APPLIED:
            raise Unexpected(f"{operations}: {code.name}, not applied")
        return transaction.id

    async def _signed(
        self,
        operations: Sequence[Operation],
        also: Sequence[int],
        keys: Mapping[int, Sequence[SecretKey]] | None,
    ) -> Transaction:
        actors = (actor for operation in operations for actor in operation.actors)
        accounts = list(dict.fromkeys([*actors, *also]))
        signing: dict[int, Sequence[SecretKey]] = {**self._keys, **(keys or {})}
        signers = [(index, key) for index, number in enumerate(accounts) for key in signing[number]]
        return await self.client.sign(accounts, operations, signers)

    async def _settle(self, transaction: Transaction) -> Code:
        try:
            settled = await self.client.submit(transaction, timeout_seconds=SETTLE_SECONDS)
        except Refused as refused:
            return Code(refused.code)
        if settled.code is None:
            raise Unexpected(f"no result of {transaction.id.hex()} within {SETTLE_SECONDS:.0f} s")
        self._height = max(self._height, settled.height or 0)
        return Code(settled.code)

    # --- time ---

    async def now_ms(self) -> int:
        """Return the time of the last block."""
        return (await self.client.info()).block_time_ms

    async def soon_ms(self) -> int:
        """Return a time that the story will wait for."""
        info = await self.client.info()
        return max(info.now_ms, info.block_time_ms) + self._soon_ms

    async def passed(self, time_ms: int) -> None:
        """Wait until a block says that it is ``time_ms`` or later."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._soon_ms / 1_000 + WAIT_SECONDS
        while (info := await self.client.info()).block_time_ms < time_ms:
            if loop.time() > deadline:
                raise Unexpected(f"no block of {time_ms} or later; the last is of {info.block_time_ms}")
            await asyncio.sleep(LOOK_SECONDS)
        self._height = max(self._height, info.height)

    # --- reading ---

    async def network(self) -> Network:
        """Return which network this is."""
        info = await self.client.info()
        return Network(info.network, bytes.fromhex(info.genesis_hash))

    async def read(self, method: str, result: type[R], **params: Any) -> R:
        """Return what a method answers, no older than what the story has seen."""
        return await self.client.request(method, {**params, "min_height": self._height}, result)

    async def balance(self, number: int, asset: int = SOM) -> tuple[int, int]:
        """Return (balance, held)."""
        for holding in (await self.client.account(number)).holdings:
            if holding.asset == asset:
                return int(holding.balance), int(holding.held)
        return 0, 0

    async def receipt(self, tx_id: bytes) -> Receipt:
        """Return the receipt of an executed transaction."""
        receipt = (await self.client.transaction(tx_id)).receipt
        if receipt is None:
            raise Unexpected(f"no receipt of {tx_id.hex()}")
        return receipt

    async def asset(self, asset: int) -> AssetView:
        """Return an asset of the register, with what stands behind it."""
        return (await self.read("asset_get", GetAssetResult, asset=asset)).asset

    async def hold(self, hold_id: bytes) -> HoldView | None:
        """Return an open hold."""
        return (await self.read("hold_get", GetHoldResult, id=hold_id.hex())).hold

    async def attested(self, schema: str, subject: str) -> AttestationView | None:
        """Return what is attested of a subject now."""
        found = await self.read("attestation_getCurrent", GetCurrentAttestationResult, schema=schema, subject=subject)
        return found.attestation


def som(tyiyn: int) -> str:
    """Return an amount of som, or of another asset of two decimals, as people read it."""
    return format_units(tyiyn)


def units(amount: int, scale: int) -> str:
    """Return an amount of an asset with ``scale`` decimals."""
    return format_units(amount, scale)


def pay(payer: int, payee: int, amount: int, asset: int = SOM, ref: str = "") -> Pay:
    """Return a payment of one leg."""
    return Pay(asset, payer, ((payee, amount, ref.encode()),))


def hold_id(tx_id: bytes, operation: int = 0, leg: int = 0) -> bytes:
    """Return the name of what a transaction's operation made: a hold or an attestation."""
    return row_id(tx_id, operation, leg)


def document(text: str) -> bytes:
    """Return the SHA-256 of a document: a legal basis, a report, a diploma."""
    return sha256(text.encode()).digest()


def new_number(prefix: str) -> str:
    """Return a number for a document that no other run of the story has used."""
    return f"{prefix}-{secrets.randbelow(10**9):09d}"


def new_serial() -> int:
    """Return a serial for an account number that no other run has used."""
    return SERIAL_MIN + secrets.randbelow(8_000_000_000)


def _filled(words: Words, values: dict[str, object]) -> Words:
    return Words(*(text.format(**values) for text in words))
