"""A network whose validators change while it runs: newcomers, second homes, orders of the central bank."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

from consensus.crypto import SecretKey
from devnet.generate import CENTRAL_BANK, DISK, key_of, seed_of
from devnet.processes import LOOPBACK, free_ports
from node.config import Config, Listen, Peer, Rpc
from node.home import create_home
from node.ledger.param import Listed, ProveReady, SetParameter
from node.ledger.parameters import record_hash
from node.ledger.receipt import decode_receipt
from node.ledger.transaction import Transaction
from node.ledger.validators import Keys
from node.rpc.errors import NOT_A_VALIDATOR
from node.rpc.ports import Outcome, Readiness
from tests.node_lab import PATIENCE_SECONDS, Lab, make_lab

BOARD: Final = ("nbkr-board-1", "nbkr-board-2")


def keys_of(name: str) -> Keys:
    """Return the keys of a devnet's home; a second home of a validator has another name for them."""
    return Keys(*(SecretKey(seed_of(f"{name}-{use}")).public for use in ("consensus", "node")))


def listed(name: str, keys: str = "", weight: int = 1, address: str = "") -> Listed:
    """Return a validator as the central bank lists it, with the keys of the home ``keys``."""
    return Listed(name, weight, address, *keys_of(keys or name))


class Committees:
    """Changes the validators of a lab's network, and pays all the while."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.paid: list[Transaction] = []
        self.through = list(lab.names)  # nodes that take payments, in turn
        self.paying: asyncio.Task[None]
        self.calm = asyncio.Lock()  # held while a payment is under way

    # --- homes ---

    def add_home(self, home: str, name: str = "", peers: Sequence[Peer] = ()) -> str:
        """Make a home that the genesis does not know; return where it listens."""
        (port,) = free_ports(1)
        config = Config(
            name or home, listen=Listen(LOOPBACK, port), rpc=Rpc(LOOPBACK, 0), disk=DISK, peers=tuple(peers)
        )
        seeds = seed_of(f"{home}-consensus"), seed_of(f"{home}-node")
        create_home(self.lab.directory / home, config, self.lab.genesis, *seeds, None)
        return f"{LOOPBACK}:{port}"

    def peer(self, name: str, pinned: bool = False) -> Peer:
        """Return how to find a node of the lab."""
        listen = self.lab.nodes[name].config.listen
        return Peer(name, listen.host, listen.port, keys_of(name).node_key.hex() if pinned else "")

    # --- orders ---

    async def order(self, *rows: Listed) -> None:
        """Let the central bank list the validators, and wait until all that vote have heard of it."""
        by_name = tuple(sorted(rows, key=lambda row: row.name))
        store = self.lab.nodes[self.through[0]].store
        based_on = record_hash(store.roster_at(store.tip.height))
        await self._execute(SetParameter(CENTRAL_BANK, "validators", based_on, by_name))

    async def ready(self, home: str) -> None:
        """Carry the word of a node that it is ready."""
        service = self.lab.nodes[home].service
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not isinstance(word := await service.readiness(), Readiness):
            assert time.monotonic() < deadline, f"{home} is never ready: {word}"
            await asyncio.sleep(0.01)
            self.lab.alive()
        await self.lab.height(word.height, self.through[0])  # the newcomer may be ahead of who takes its word
        await self._execute(ProveReady(CENTRAL_BANK, word.name, word.height, word.root, word.signature))

    async def _execute(self, operation: SetParameter | ProveReady) -> None:
        transaction = self.lab.transaction([operation], [key_of(name) for name in BOARD], CENTRAL_BANK)
        await self.lab.accept(self.through[0], transaction)
        store = self.lab.nodes[self.through[0]].store
        await self.lab.until(lambda: store.transaction(transaction.id), "an order")
        stored = store.transaction(transaction.id)
        assert stored is not None
        receipt = decode_receipt(transaction.id, stored.receipt)
        assert receipt.applied, receipt

    # --- time ---

    def epoch(self, name: str = "") -> int:
        return self.lab.nodes[name or self.through[0]].driver.core.epoch

    def voters(self, name: str = "") -> set[str]:
        """Return the names of the committee as a node sees it."""
        return {row.name for row in self.lab.nodes[name or self.through[0]].driver.members.rows}

    async def next_epoch(self, *names: str) -> int:
        """Wait until these nodes are in a later epoch than the first one now."""
        epoch = self.epoch() + 1
        await self.begun(epoch, *names)
        return epoch

    async def begun(self, epoch: int, *names: str) -> None:
        """Wait until these nodes, or all that run, have begun an epoch."""
        chosen = names or tuple(self.lab.running)
        await self.lab.until(lambda: all(self.epoch(name) >= epoch for name in chosen), f"epoch {epoch}")

    async def first_to_begin(self, epoch: int) -> None:
        """Pay until one node has begun an epoch; return at once then."""
        while all(self.epoch(name) < epoch for name in self.lab.running):
            await self.lab.accept(self.through[0], self.lab.pension())
            await asyncio.sleep(0.01)

    async def pay(self) -> None:
        """Pay through one node after another, one payment at a time, until cancelled: it never stops for a change."""
        turns = count()
        while True:
            async with self.calm:
                one = self.lab.pension()
                while not await self._paid(one, self.through[next(turns) % len(self.through)]):
                    pass  # as a client does: the same bytes, to another
                self.paid.append(one)

    async def _paid(self, one: Transaction, name: str) -> bool:
        await asyncio.sleep(0.01)
        if name not in self.lab.nodes:
            return False
        (answer,) = await self.lab.submit(name, one)
        if answer.code == NOT_A_VALIDATOR.code:
            return False
        assert answer.code == 0, (name, answer)
        return await self.lab.outcome(name, one) is Outcome.EXECUTED

    async def payments(self, number: int) -> None:
        """Wait for so many more payments."""
        paid = len(self.paid) + number
        await self.lab.until(lambda: len(self.paid) > paid or self.paying.done(), f"{number} payments")
        if self.paying.done():
            self.paying.result()


@asynccontextmanager
async def committees(directory: Path, validators: int = 4, epoch_length: int = 10) -> AsyncIterator[Committees]:
    """Run a funded network that pays all the while; at the end no node may have failed and no payment be missing."""
    lab = make_lab(directory, validators, epoch_length)
    try:
        await lab.start(*lab.names)
        await lab.linked()
        await lab.fund()
        change = Committees(lab)
        paying = change.paying = asyncio.create_task(change.pay())
        try:
            yield change
        finally:
            paying.cancel()
            ended = (await asyncio.gather(paying, return_exceptions=True))[0]
        assert isinstance(ended, asyncio.CancelledError), ended
        await lab.settled(*change.paid)
        lab.same_chain()
        lab.alive()
    finally:
        await lab.stop(*lab.running)
