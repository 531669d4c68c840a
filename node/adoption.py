"""Decrees that peers have and this node has not: asked for, verified, kept, followed from the next life on.

One rule: a decree is followed if it stands by what is stored here (node/decree.py), whoever shows it. One that fewer
validators signed than it takes is followed only where a person has put it (`som emergency apply`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import structlog

from consensus.committee import Committee
from consensus.encoding import DecodeError, as_int, as_tuple, decode, encode
from network.wire import PeerId
from node.decree import (
    DecreeConflict,
    DecreeInvalid,
    DecreeShort,
    DecreeUnknown,
    SignedDecree,
    TermBegins,
    decode_decree,
    require_stands,
)
from node.epochs import Epochs
from node.home import require_followed
from node.storage.decrees import keep_decree
from node.storage.errors import AlreadyInitialised
from node.storage.store import Store
from node.sync import RequestFailed
from node.terms import TERMS_MAX

METHOD: Final = 17  # of the request for the decree of a term; node/sync.py has the others
REQUEST_SECONDS: Final = 3.0
LINKED_MAX: Final = 64  # peers that wait to be compared with: as many as may link

log = structlog.get_logger("emergency")


class Links(Protocol):
    """What this room asks of the network."""

    async def request(self, peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        """Ask one peer. Raise RequestFailed."""

    def blame(self, peer: PeerId, points: int, reason: str) -> None:
        """Score a peer for what it sent."""


class Adoption:
    """The decrees of a home: shown to peers, and had from them."""

    def __init__(
        self,
        home: Path,
        genesis_hash: bytes,
        epochs: Epochs,
        store: Store,
        links: Links,
        committee_of: Callable[[int], Committee | None],
    ) -> None:
        self._home = home
        self._genesis_hash = genesis_hash
        self._epochs = epochs
        self._store = store
        self._links = links
        self._committee_of = committee_of
        self._linked: asyncio.Queue[PeerId] = asyncio.Queue(LINKED_MAX)

    def on_connected(self, peer: PeerId) -> None:
        """Hear that a link is up."""
        if self._epochs.decrees and not self._linked.full():
            self._linked.put_nowait(peer)

    async def run(self) -> None:
        """See whether peers follow another decree of our newest term. Raises DecreeConflict if both stand. R63"""
        while True:
            await self._ask(await self._linked.get(), len(self._epochs.decrees))

    def serve(self, payload: bytes) -> bytes:
        """Return the decree of a term, or nothing. Raise DecodeError for what a peer should not have asked."""
        (term,) = as_tuple(decode(payload), 1)
        found = self._of(as_int(term, 1, TERMS_MAX))
        return b"" if found is None else found.encoded

    async def on_later_term(self, peer: PeerId) -> None:
        """Ask who shows what is final in a later term for the decree that begins the next one. Raises TermBegins."""
        await self._ask(peer, len(self._epochs.decrees) + 1)

    async def _ask(self, peer: PeerId, term: int) -> None:
        try:
            data = await self._links.request(peer, METHOD, encode((term,)), REQUEST_SECONDS)
            if data:
                self._take(decode_decree(data), term)
        except RequestFailed:
            return
        except (DecreeShort, DecreeUnknown) as error:
            log.warning("decree_not_followed", term=term, why=str(error))
        except (DecodeError, DecreeInvalid) as error:
            self._links.blame(peer, 100, f"decree: {error}")

    def _take(self, signed: SignedDecree, term: int) -> None:
        known, decree = self._of(term), signed.decree
        if known is not None and known.decree.digest == decree.digest:
            return
        before = self._of(decree.term - 1)
        require_stands(
            signed,
            self._genesis_hash,
            self._epochs.length,
            None if before is None else before.decree,
            self._committee_of,
            allow_short=False,
        )
        if known is not None:
            raise DecreeConflict(f"two decrees of term {term}: {known.decree.digest.hex()}, {decree.digest.hex()}")
        if decree.term != term:
            raise DecreeInvalid("a decree of another term than asked for")
        require_followed(self._store, (signed,))
        with suppress(AlreadyInitialised):  # a snapshot has brought it meanwhile
            keep_decree(self._home, term, signed.encoded)
        log.warning("decree_adopted", term=term, base=decree.base_height, digest=decree.digest.hex())
        raise TermBegins(f"a decree of term {term} is followed")

    def _of(self, term: int) -> SignedDecree | None:
        decrees = self._epochs.decrees
        return decrees[term - 1] if 1 <= term <= len(decrees) else None
