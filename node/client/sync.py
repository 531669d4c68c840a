"""The same client for programs that are not asynchronous: scripts, notebooks, batch jobs.

One rule: it does nothing of its own; every call runs the asynchronous one to its end. One thread at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from node.client.client import Client, Settled, Signer
from node.client.proofs import ProvenAccount, ProvenReceipt, ProvenStatement
from node.ledger.operations import Operation
from node.ledger.transaction import Transaction
from node.rpc import types
from node.rpc.event_types import Event, Topic

T = TypeVar("T")


class SyncClient:
    """Use it as a context manager; takes what ``Client`` takes. Not inside a running event loop."""

    def __init__(self, urls: Sequence[str], **options: Any) -> None:
        """Options as of ``Client``."""
        self._client = Client(urls, **options)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self.run(lambda client: client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(lambda client: client.__aexit__(kind, error, trace))
        self._runner.close()

    def run(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Return the answer to anything that ``Client`` can be asked."""

        async def ask() -> T:
            return await question(self._client)

        return self._runner.run(ask())

    def info(self) -> types.GetInfoResult:
        """As ``Client.info``."""
        return self.run(lambda client: client.info())

    def account(self, number: int) -> types.AccountView:
        """As ``Client.account``."""
        return self.run(lambda client: client.account(number))

    def history(self, number: int, order: str = "desc") -> list[types.Entry]:
        """As ``Client.history``, all at once."""

        async def collect(client: Client) -> list[types.Entry]:
            return [entry async for entry in client.history(number, order)]

        return self.run(collect)

    def transaction(self, tx_id: bytes, transaction: bool = False) -> types.GetTransactionResult:
        """As ``Client.transaction``."""
        return self.run(lambda client: client.transaction(tx_id, transaction))

    def subscribe(self, topic: Topic, **options: Any) -> Generator[Event, None, None]:
        """As ``Client.subscribe``: each event as it comes. Close the iterator (or end the loop over it) to stop."""
        events = self._client.subscribe(topic, **options)

        async def following() -> Event:
            return await anext(events)

        try:
            while True:
                yield self.run(lambda _: following())
        finally:
            self.run(lambda _: events.aclose())

    def execute(
        self, accounts: Sequence[int], operations: Sequence[Operation], signers: Sequence[Signer], **options: Any
    ) -> Settled:
        """As ``Client.execute``."""
        return self.run(lambda client: client.execute(accounts, operations, signers, **options))

    def submit(self, transaction: Transaction, **options: Any) -> Settled:
        """As ``Client.submit``."""
        return self.run(lambda client: client.submit(transaction, **options))

    def submit_many(self, transactions: Sequence[Transaction], **options: Any) -> list[Settled]:
        """As ``Client.submit_many``."""
        return self.run(lambda client: client.submit_many(transactions, **options))

    def wait(self, tx_id: bytes, timeout_seconds: float = 30.0) -> Settled:
        """As ``Client.wait``."""
        return self.run(lambda client: client.wait(tx_id, timeout_seconds))

    def resume(self, timeout_seconds: float = 30.0) -> list[Settled]:
        """As ``Client.resume``."""
        return self.run(lambda client: client.resume(timeout_seconds))

    def prove_transaction(self, tx_id: bytes) -> ProvenReceipt:
        """As ``Client.prove_transaction``."""
        return self.run(lambda client: client.prove_transaction(tx_id))

    def prove_account(self, number: int) -> ProvenAccount:
        """As ``Client.prove_account``."""
        return self.run(lambda client: client.prove_account(number))

    def statement(self, number: int) -> ProvenStatement:
        """As ``Client.statement``."""
        return self.run(lambda client: client.statement(number))
