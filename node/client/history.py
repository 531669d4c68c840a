"""An account's entries as they become final, and where a day begins among them.

One rule: entries have consecutive numbers, so who has entry n asks for n + 1 and can miss none; a node that skips one
is found out.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from node.client.client import Client
from node.client.errors import ProofInvalid
from node.ledger.account import format_account
from node.rpc import types


@dataclass(frozen=True, slots=True)
class Page:
    """Entries that follow each other. ``more``: there were others when it was read; else all of its height are here."""

    entries: tuple[types.Entry, ...]
    more: bool


class EntrySource(Protocol):
    """Where an account's entries come from."""

    def after(self, first: int) -> AsyncIterator[Page]:
        """Yield entry ``first`` and all that follow it, in order, without end; a page may be empty."""
        ...


class SubscribedHistory:
    """The entries of an account: those that are there by asking, and others as soon as a node tells that they are.

    The subscription is a bell: it goes on from its cursor at whichever node answers, and what it tells of is read as a
    page, in which all that a block booked stands together. While nothing is booked, nothing is asked.
    """

    def __init__(self, client: Client, account: int, tick_seconds: float | None = None) -> None:
        """``tick_seconds``: yield an empty page so often, for who closes groups by the clock; no node is asked."""
        self._client = client
        self._account = account
        self._tick_seconds = tick_seconds

    async def after(self, first: int) -> AsyncIterator[Page]:
        """As EntrySource. Raises ProofInvalid if the node leaves out an entry, and what Client.subscribe raises."""
        bell = asyncio.Event()
        listening: asyncio.Task[None] | None = None
        try:
            while True:
                page = await read_page(self._client, self._account, first)
                first += len(page.entries)
                yield page
                if page.more:
                    continue
                if listening is None:  # its beginning rings: what was booked before that is read then
                    listening = asyncio.create_task(self._listen(bell))
                while not await _rings(bell, listening, self._tick_seconds):
                    yield Page((), False)
                bell.clear()
        finally:
            if listening is not None:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, bell: asyncio.Event) -> None:
        account = format_account(self._account)
        events = self._client.subscribe("account", account=account, begun=bell.set)
        async with contextlib.aclosing(events):
            async for _ in events:
                bell.set()


async def _rings(bell: asyncio.Event, listening: asyncio.Task[None], seconds: float | None) -> bool:
    """Return whether the bell rings within ``seconds``. Raises what ended the listening."""
    ringing = asyncio.create_task(bell.wait())
    try:
        await asyncio.wait((ringing, listening), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ringing.cancel()
    if listening.done():
        listening.result()
    return bell.is_set()


async def read_page(client: Client, account: int, first: int) -> Page:
    """Return the entries from ``first`` on, as many as fit. Raises ProofInvalid if one is left out."""
    found = await client.history_page(account, None, "asc", from_number=first)
    if [entry.number for entry in found.entries] != list(range(first, first + len(found.entries))):
        raise ProofInvalid("the node leaves out entries of the account")
    if not found.entries and found.next_cursor is not None:
        raise ProofInvalid("the node promises entries and shows none")
    return Page(found.entries, found.next_cursor is not None)


async def first_since(client: Client, account: int, time_ms: int) -> int:
    """Return the number of the first entry that was booked at ``time_ms`` or later; that of the next if there is none.

    Block times never fall, so halving finds it in a question for each doubling of the statement's length.
    """
    low, high = 0, (await client.history_page(account, limit=1)).length
    while low < high:
        middle = (low + high) // 2
        found = (await client.history_page(account, None, "asc", 1, from_number=middle)).entries
        if [entry.number for entry in found] != [middle]:
            raise ProofInvalid("the node leaves out entries of the account")
        low, high = (low, middle) if found[0].timestamp_ms >= time_ms else (middle + 1, high)
    return low


async def balance_before(client: Client, account: int, number: int, asset: int) -> types.Entry | None:
    """Return the last entry of an asset before entry ``number``; None if there is none."""
    while number > 0:
        page = await client.history_page(account, None, "desc", from_number=number - 1)
        for entry in page.entries:
            if entry.asset == asset:
                return entry
        number = min(number - 1, page.entries[-1].number) if page.entries else 0
    return None
