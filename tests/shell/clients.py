"""Clients: they submit to nodes, much of it wrong, and remember every word that a node gave them.

One rule: what a node said is checked against what the chain holds, by code that shares nothing with mempool, pool,
executor or ledger: signatures by the library itself, balances by adding and subtracting.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from consensus.encoding import as_bytes, as_tuple, decode
from devnet.generate import CENTRAL_BANK, ISSUER, TREASURY, bank_account, demo_accounts, key_of
from node.batches import decode_batch, decode_payload, decode_transactions
from node.ledger.account import SOM, account_number
from node.ledger.genesis import Genesis
from node.ledger.operations import Operation
from node.ledger.pay import Pay
from node.ledger.receipt import decode_receipt
from node.ledger.transaction import Transaction, make_transaction
from node.node import Node
from node.rpc.ports import Outcome, Submitted
from node.storage.records import StoredBlock
from node.storage.store import Store
from tests.shell.liars import forged
from tests.shell.loop import Life, VirtualLoop
from tests.simulation.judge import Violation

ACCOUNTS: Final = tuple(demo.number for demo in demo_accounts())
NOBODY: Final = account_number(101, 123_456)
LIFETIMES_MS: Final = (1_500, 20_000, 60_000, 60_000)
ORDER_MS: Final = 30_000
ANSWER_SECONDS: Final = 20.0  # a submission that has no answer by then, in a life that goes on, never gets one
WAIT_SECONDS: Final = 15.0  # for a final result, before the client goes away
REMEMBERED: Final = 40  # raw transactions that are sent again, and that liars know
AMOUNT: Final = 5_000_000_00


@dataclass(slots=True)
class Promise:
    """What became of a transaction, as far as clients were told."""

    raw: bytes
    id: bytes
    expires_ms: int
    genuine: bool = True  # its signatures are right
    accepted: list[tuple[Life, int]] = field(default_factory=list)  # lives of honest nodes that said yes, in which term
    final: bytes | None = None  # the receipt, once a node said that it was executed
    expired: bool = False  # a node said that it never will be


@dataclass(frozen=True, slots=True)
class Door:
    """A node where clients come in. ``honest`` nodes keep their word."""

    index: int
    life: Life
    node: Node
    honest: bool


class Clients:
    """All clients of a run."""

    def __init__(
        self,
        loop: VirtualLoop,
        genesis: Genesis,
        load_ms: int,
        now_ms: Callable[[], int],
        doors: Callable[[], Sequence[Door]],
        fail: Callable[[Violation], None],
    ) -> None:
        self.promises: dict[bytes, Promise] = {}
        self.submitted = 0
        self.wrong = 0  # submissions that were meant to be refused
        self.busy = 0  # submissions and waits that are open
        self._loop = loop
        self._genesis = genesis
        self._load_ms = load_ms
        self._now_ms = now_ms
        self._doors = doors
        self._fail = fail
        self._random = loop.random("clients")
        self._salts = count(1)
        self._known: list[bytes] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Submit until cancelled."""
        first = True
        while True:
            doors = self._doors()
            if doors:
                raws = [self._issue()] if first or self._random.random() < 0.02 else self._some()
                first = False
                shops = self._random.sample(doors, min(len(doors), self._random.choice((1, 1, 1, 1, 2, len(doors)))))
                self.wrong += (len(shops) - 1) * len(raws)  # duplicates
                for door in shops:
                    self._tasks.append(asyncio.create_task(self._submit(door, raws)))
                self._tasks = [task for task in self._tasks if not task.done() or task.exception() is not None]
            await asyncio.sleep(self._random.uniform(0, 2 * self._load_ms) / 1e3)

    def order(self, operation: Operation) -> None:
        """Let the central bank sign an operation, and bring it to some nodes."""
        raw = self._signed(CENTRAL_BANK, operation, "nbkr-board-1", "nbkr-board-2", lifetime_ms=ORDER_MS)
        doors = self._doors()
        for door in self._random.sample(doors, min(len(doors), 3)):
            self._tasks.append(asyncio.create_task(self._submit(door, [raw])))

    async def gone(self) -> None:
        """Wait until every client has its answer."""
        await asyncio.gather(*self._tasks)

    def known(self) -> list[bytes]:
        """Return some transactions that clients have signed, for whoever wants to misuse them."""
        return self._random.sample(self._known, min(len(self._known), self._random.randint(1, 8)))

    # --- what they send ---

    def _some(self) -> list[bytes]:
        return [self._one() for _ in range(self._random.choice((1, 1, 2, 5)))]

    def _one(self) -> bytes:
        random = self._random
        kind = random.random()
        if kind < 0.1 and self._known:
            return self._wrong(random.choice(self._known))  # a replay
        if kind < 0.16:
            return self._wrong(self._forged())
        if kind < 0.22:
            return self._wrong(self._payment(TREASURY, NOBODY, 100, "treasury"))
        if kind < 0.28:
            return self._wrong(self._payment(TREASURY, bank_account(2), 100, "treasury", lifetime_ms=-1))
        if kind < 0.33:
            return self._wrong(self._payment(TREASURY, bank_account(1), 100, "aida"))  # another's key
        if kind < 0.37:
            return self._wrong(self._payment(TREASURY, bank_account(1), 10**15, "treasury"))
        if kind < 0.4:
            return self._wrong(random.randbytes(random.randint(1, 300)))
        raw = self._valid()
        self._known = [*self._known[1 - REMEMBERED :], raw]
        return raw

    def _forged(self) -> bytes:
        raw = forged(self._payment(TREASURY, bank_account(1), 100, "treasury"))
        promise = next(reversed(self.promises.values()))
        promise.raw, promise.genuine = raw, False
        return raw

    def _wrong(self, raw: bytes) -> bytes:
        self.wrong += 1
        return raw

    def _valid(self) -> bytes:
        random = self._random
        bank = random.randint(1, 3)
        amount = random.choice((1, 100, 2_500_00))
        match random.choice(("treasury", "treasury", "bank", "person")):
            case "treasury":
                return self._payment(TREASURY, bank_account(bank), 10 * amount, "treasury")
            case "bank":
                to = random.choice([demo.number for demo in demo_accounts() if demo.bank == bank_account(bank)])
                return self._payment(bank_account(bank), to, amount, f"bank-{bank}-treasurer")
            case _:
                payer, payee = random.sample([demo for demo in demo_accounts() if demo.tier], 2)
                return self._payment(payer.number, payee.number, amount, payer.name)

    def _issue(self) -> bytes:
        return self._payment(ISSUER, TREASURY, AMOUNT, "nbkr-board-1", "nbkr-board-2", lifetime_ms=60_000)

    def _payment(self, payer: int, to: int, amount: int, *signers: str, lifetime_ms: int | None = None) -> bytes:
        return self._signed(payer, Pay(SOM, payer, ((to, amount, b""),)), *signers, lifetime_ms=lifetime_ms)

    def _signed(self, payer: int, operation: Operation, *signers: str, lifetime_ms: int | None) -> bytes:
        genesis = self._genesis
        lifetime_ms = self._random.choice(LIFETIMES_MS) if lifetime_ms is None else lifetime_ms
        made = make_transaction(
            genesis.network,
            genesis.hash,
            self._now_ms() + lifetime_ms,
            next(self._salts),
            [payer],
            [operation],
            [(0, key_of(name)) for name in signers],
        )
        self.promises[made.id] = Promise(made.raw, made.id, made.expires_ms)
        return made.raw

    # --- what they are told ---

    async def _submit(self, door: Door, raws: Sequence[bytes]) -> None:
        if not door.life.lives_on():
            return
        self.submitted += len(raws)
        self.busy += 1
        try:
            handler = self._loop.create_task(door.node.service.submit(raws), context=door.life.context.copy())
            if self._random.random() < 0.05:  # a client that hangs up
                await asyncio.sleep(self._random.uniform(0, 0.02))
                handler.cancel()
                return
            await asyncio.wait((handler,), timeout=ANSWER_SECONDS)
            if not handler.done():
                if door.life.lives_on() and door.honest:
                    self._fail(Violation("answers", f"{door.life.name} does not answer a submission"))
                return
            if handler.cancelled() or not door.honest:
                return
            for raw, answer in zip(raws, handler.result(), strict=True):
                await self._hear(door, raw, answer)
        finally:
            self.busy -= 1

    async def _hear(self, door: Door, raw: bytes, answer: Submitted) -> None:
        if answer.tx_id is None or answer.code:
            return
        promise = self.promises.get(answer.tx_id)
        if promise is None or promise.raw != raw or not promise.genuine:
            self._fail(Violation("answers", f"{door.life.name} accepts what no client signed: {raw.hex()[:40]}"))
            return
        promise.accepted.append((door.life, door.life.terms))
        if self._random.random() < 0.5:
            await self._wait(door, promise)

    async def _wait(self, door: Door, promise: Promise) -> None:
        if not door.life.lives_on():
            return
        waiting = self._loop.create_task(
            door.node.outcomes.outcome(promise.id, WAIT_SECONDS), context=door.life.context.copy()
        )
        await asyncio.wait((waiting,), timeout=WAIT_SECONDS + 1.0)
        if not waiting.done() or waiting.cancelled():
            if door.life.alive:
                waiting.cancel()
            return
        if waiting.result() is Outcome.EXECUTED:
            self._hear_final(door, promise)
        elif waiting.result() is Outcome.EXPIRED:
            promise.expired = True

    def _hear_final(self, door: Door, promise: Promise) -> None:
        if not door.life.lives_on():
            return
        stored = door.node.store.transaction(promise.id)
        if stored is None:
            self._fail(Violation("durable", f"{door.life.name} calls final what it has not stored"))
            return
        receipt = bytes(stored.receipt)
        if promise.final not in (None, receipt):
            self._fail(Violation("answers", f"{door.life.name} gives another receipt than before"))
        promise.final = receipt


@dataclass(slots=True)
class Chain:
    """A chain as its store tells it, read and counted by code of our own."""

    executed: dict[bytes, bytes] = field(default_factory=dict)  # id -> receipt
    balances: dict[int, int] = field(default_factory=dict)
    time_ms: int = 0

    def check_promises(self, promises: Sequence[Promise], alive: Callable[[Life], bool]) -> None:
        """Compare what clients were told with what is. Raises Violation."""
        for promise in promises:
            name = promise.id.hex()[:8]
            receipt = self.executed.get(promise.id)
            if promise.final is not None and receipt != promise.final:
                raise Violation("promises", f"transaction {name} was called final, and is not what was said")
            if promise.expired and receipt is not None:
                raise Violation("promises", f"transaction {name} was called expired, and was executed")
            waits = receipt is None and promise.expires_ms > self.time_ms
            if waits and any(alive(life) and life.terms == term for life, term in promise.accepted):
                raise Violation("promises", f"transaction {name} was accepted, and nothing became of it")


def read_chain(store: Store, genesis: Genesis) -> Chain:
    """Return the chain, every signature checked and every payment done again. Raises Violation."""
    chain = Chain(balances=dict.fromkeys(ACCOUNTS, 0))
    for height in range(1, store.tip.height + 1):
        stored = store.block(height)
        assert stored is not None
        _add_block(chain, store, genesis, stored)
        chain.time_ms = stored.timestamp_ms
    return chain


def _add_block(chain: Chain, store: Store, genesis: Genesis, block: StoredBlock) -> None:
    _, payload = as_tuple(decode(block.block_bytes), 2)
    for digest in decode_payload(as_bytes(payload)):
        encoded = store.batch(digest)
        if encoded is None:
            raise Violation("chain", f"a batch of the chain is not stored: {digest.hex()[:8]}")
        for position, transaction in enumerate(decode_transactions(genesis.hash, decode_batch(genesis.hash, encoded))):
            _require_signed(transaction)
            placed = store.transaction(transaction.id)
            # Elsewhere it is the same transaction once more, or its envelope failed and the id was not consumed.
            if placed is not None and (placed.batch_digest, placed.position) == (digest, position):
                _add_transaction(chain, transaction, bytes(placed.receipt), block.timestamp_ms)


def _require_signed(transaction: Transaction) -> None:
    for _, public, signature in transaction.signatures:
        try:
            VerifyKey(public).verify(transaction.id, signature)
        except BadSignatureError:
            raise Violation("chain", f"the chain holds {transaction.id.hex()[:8]} with a wrong signature") from None


def _add_transaction(chain: Chain, transaction: Transaction, receipt: bytes, timestamp_ms: int) -> None:
    name = transaction.id.hex()[:8]
    if transaction.id in chain.executed:
        raise Violation("chain", f"transaction {name} stands in the chain twice")
    if transaction.expires_ms <= timestamp_ms:
        raise Violation("chain", f"transaction {name} was executed after it had expired")
    chain.executed[transaction.id] = receipt
    if decode_receipt(transaction.id, receipt).applied:
        (operation,) = transaction.operations
        if isinstance(operation, Pay):
            for to, amount, _ in operation.legs:
                chain.balances[operation.payer] -= amount
                chain.balances[to] += amount
