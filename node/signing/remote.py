"""The node's side of a signer in another process: one link over a Unix socket, made again for ever.

One rule: nothing here waits. A request goes out at once or is answered ``Away``; the node follows the chain meanwhile.
"""

import asyncio
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

from consensus.crypto import PublicKey
from consensus.encoding import DecodeError
from node.signing.frames import peer_user, read_frame, write_frame
from node.signing.requests import (
    ANSWER_BYTES_MAX,
    Answer,
    Away,
    Memory,
    Request,
    Suspended,
    decode_answer,
    decode_welcome,
    encode_hello,
    encode_request,
)

LATE_SECONDS: Final = 0.05  # an answer after this is counted: the vote is then a twentieth of a view old
STUCK_SECONDS: Final = 1.0  # and after this the signer is taken for dead, and the link is made anew
WELCOME_SECONDS: Final = 5.0  # for the signer's first frame
RETRY_SECONDS: Final = 0.2  # between two attempts to reach it
ASKED_MAX: Final = 4_096  # requests under way; more mean that nobody answers

log = structlog.get_logger("signer")

Asked = tuple[float, Callable[[Answer], None]]


class WrongSigner(Exception):
    """Whoever listens there is not our signer, or does not take us."""


class RemoteSigner:
    """A ``Signer`` behind a socket. ``public`` is what the configuration says; another key is refused."""

    def __init__(self, path: str, public: PublicKey, genesis_hash: bytes, user: int) -> None:
        """Take where it listens and as which user; nothing is opened yet."""
        self.public = public
        self.memory: Memory | None = None
        self.late = 0  # answers that came after LATE_SECONDS, or not at all
        self._path = path
        self._genesis_hash = genesis_hash
        self._user = user
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._asked: OrderedDict[int, Asked] = OrderedDict()
        self._number = 0
        self._deadline: asyncio.TimerHandle | None = None  # of the oldest request under way
        self._listeners: list[Callable[[], None]] = []
        self._complaint = ""

    def on_change(self, listener: Callable[[], None]) -> None:
        """Tell ``listener`` when the signer came or went."""
        self._listeners.append(listener)

    def ask(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        """Send a request, or answer Away."""
        if self._writer is None or self._writer.is_closing() or len(self._asked) >= ASKED_MAX:
            on_answer(Away())
            return
        self._number += 1
        self._asked[self._number] = (asyncio.get_running_loop().time(), on_answer)
        self._set_deadline()
        write_frame(self._writer, encode_request(self._number, request))

    async def run(self) -> None:
        """Link, take answers, and link again, until cancelled."""
        while True:
            try:
                await self._converse()
            except (OSError, EOFError, TimeoutError, DecodeError, WrongSigner, struct.error) as error:
                self._complain(str(error) or type(error).__name__)
            finally:
                self._gone()
            await asyncio.sleep(RETRY_SECONDS)

    async def _converse(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=ANSWER_BYTES_MAX)
        try:
            link: socket.socket = writer.get_extra_info("socket")
            if peer_user(link) != self._user:
                raise WrongSigner(f"user {peer_user(link)} listens at {self._path}")
            write_frame(writer, encode_hello(self._genesis_hash))
            async with asyncio.timeout(WELCOME_SECONDS):
                welcome = decode_welcome(await read_frame(reader, ANSWER_BYTES_MAX))
            if isinstance(welcome, str):
                raise WrongSigner(welcome)
            if welcome.public != self.public:
                raise WrongSigner(f"it has the key {welcome.public.hex()[:16]}, not {self.public.hex()[:16]}")
            self._came(welcome, reader, writer)
            while True:
                self._take(decode_answer(await read_frame(reader, ANSWER_BYTES_MAX)))
        finally:
            self._reader = self._writer = None
            writer.transport.abort()  # what a signer that hangs has not taken is not sent any more

    def _take(self, numbered: tuple[int, Answer]) -> None:
        number, answer = numbered
        asked = self._asked.pop(number, None)
        if asked is None:
            raise DecodeError("an answer to nothing")
        since, on_answer = asked
        if asyncio.get_running_loop().time() - since > LATE_SECONDS:
            self.late += 1
        self._set_deadline()
        if isinstance(answer, Suspended) and self.memory is not None and not self.memory.suspended:
            self.memory = Memory(self.public, self.memory.newest, self.memory.based, answer.reason)
            log.error("signer_suspended", why=answer.reason)
            self._tell()
        on_answer(answer)

    def _set_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        oldest = next(iter(self._asked.values()), None)
        at = None if oldest is None else oldest[0] + STUCK_SECONDS
        self._deadline = None if at is None else asyncio.get_running_loop().call_at(at, self._stuck)

    def _stuck(self) -> None:
        """End the link: the reading task, when its turn comes, finds the error."""
        self._writer = None
        if self._reader is not None:
            self._reader.set_exception(TimeoutError("it does not answer"))

    def _came(self, memory: Memory, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self.memory, self._complaint = reader, writer, memory, ""
        log.info("signer_connected", newest=memory.newest, suspended=memory.suspended)
        self._tell()

    def _gone(self) -> None:
        """Answer all that waits: it is asked again when the signer is back, and the guard knows what it signed."""
        waiting, self._asked = list(self._asked.values()), OrderedDict()
        self._set_deadline()
        self.late += len(waiting)
        for _, on_answer in waiting:
            on_answer(Away())
        if self.memory is not None:
            self.memory = None
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _complain(self, why: str) -> None:
        if why != self._complaint:  # it is tried five times a second
            log.warning("signer_away", why=why)
        self._complaint = why
