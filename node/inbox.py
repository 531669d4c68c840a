"""What can happen to the core, in the order in which it is taken: what peers sent, links, answers of our own parts.

One rule: a peer is named by its node key here. Whose index in which committee that is, is asked when an event is taken,
for the committee may have changed since it was put in.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from consensus.events import Input, VoteSigned
from network.wire import PeerId

INBOX_MAX: Final = 8_192  # messages of peers; more are dropped, and consensus sends again what matters


@dataclass(frozen=True, slots=True)
class FromPeer:
    """Bytes of a peer on the consensus channel."""

    sender: PeerId
    data: bytes


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """A link to a peer came up or went down."""

    peer: PeerId
    up: bool


@dataclass(frozen=True, slots=True)
class Ours:
    """An input from our own parts, for the core of one epoch; another core asked for nothing of the kind."""

    epoch: int
    input: Input


Event = FromPeer | LinkChanged | Ours


class Inbox:
    """One queue. Our own votes go before everything else, in the order of their promises."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()  # something may have changed, in here or elsewhere
        self._events: deque[Event] = deque()
        self._signed: deque[VoteSigned] = deque()

    def __len__(self) -> int:
        return len(self._events) + len(self._signed)

    def put(self, event: Event) -> bool:
        """Take an event; return whether there was room. What our own parts say is little, and never dropped."""
        if isinstance(event, FromPeer) and len(self._events) >= INBOX_MAX:
            return False
        self._events.append(event)
        self.wake.set()
        return True

    def put_signed(self, vote: VoteSigned) -> None:
        """Take a vote of our own, for the step that counts and sends it."""
        self._signed.append(vote)
        self.wake.set()

    def take(self) -> Event | VoteSigned:
        """Return what is next; there is something."""
        return self._signed.popleft() if self._signed else self._events.popleft()
