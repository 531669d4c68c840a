"""A node's side of the link with a signer that hangs or dies: it is left in time, and who asks hears of it as Away."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import pytest
import uvloop

import node.signing.remote as remote
from consensus.events import SignVote
from consensus.messages import Hash, Kind
from node.signing.frames import read_frame, write_frame
from node.signing.remote import ASKED_MAX, RemoteSigner
from node.signing.requests import (
    LENGTH_BYTES,
    REQUEST_BYTES_MAX,
    Answer,
    Away,
    Memory,
    encode_request,
    encode_welcome,
)
from tests.node_parts import eventually
from tests.signer_lab import GENESIS, KEY

STUCK_SECONDS: Final = 0.1
LOOPS: Final = pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
Run = Callable[[Coroutine[Any, Any, None]], None]
Then = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "STUCK_SECONDS", STUCK_SECONDS)


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take what comes, and answer nothing."""
    await reader.read()


@asynccontextmanager
async def linked(directory: Path, then: Then) -> AsyncIterator[tuple[RemoteSigner, list[Memory | None]]]:
    """Give a node's side that runs, and the changes that it tells of; its signer says welcome, and does ``then``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_frame(reader, REQUEST_BYTES_MAX)
        write_frame(writer, encode_welcome(Memory(KEY.public, (0, 0), False, "")))
        try:
            await then(reader, writer)
        except ConnectionError:
            pass  # it was left
        finally:
            writer.transport.abort()

    server = await asyncio.start_unix_server(serve, directory / "socket")
    node, changes = RemoteSigner(str(directory / "socket"), KEY.public, GENESIS.hash, os.geteuid()), list[Any]()
    node.on_change(lambda: changes.append(node.memory))
    running = asyncio.create_task(node.run())
    try:
        yield node, changes
    finally:
        running.cancel()
        await asyncio.wait([running])
        server.close()


def vote(view: int = 1) -> SignVote:
    return SignVote(Kind.NOTARIZE, 0, view, Hash(b"h" * 32))


@LOOPS
def test_who_asks_a_hung_signer_at_its_last_moment_is_answered_away(tmp_path: Path, run: Run) -> None:
    """The time is up while the loop is busy: other timers run before the task that reads."""

    async def main() -> None:
        async with linked(tmp_path, hangs) as (node, changes):
            await eventually(lambda: node.memory)
            loop, answers, errors = asyncio.get_running_loop(), list[Answer](), list[str]()
            loop.set_exception_handler(lambda _, context: errors.append(str(context.get("exception"))))
            began = loop.time()
            node.ask(vote(), answers.append)
            for ms in range(1, 9):
                loop.call_at(began + STUCK_SECONDS + ms / 1_000, node.ask, vote(1 + ms), answers.append)
            loop.call_at(began + STUCK_SECONDS - 0.01, time.sleep, 0.03)
            await eventually(lambda: len(answers) == 9)
            await eventually(lambda: len(changes) == 3)
            assert answers == [Away()] * 9
            assert errors == []
            assert [memory is None for memory in changes] == [False, True, False], "and the link is made anew"

    run(main())


@LOOPS
def test_a_signer_that_hangs_when_it_is_first_asked_is_left(tmp_path: Path, run: Run) -> None:
    """What waits is asked in the moment of the welcome, and nothing else may be asked for a long time."""

    async def main() -> None:
        async with linked(tmp_path, hangs) as (node, changes):
            answers = list[Answer]()
            node.on_change(lambda: node.ask(vote(), answers.append) if node.memory is not None else None)
            await eventually(lambda: len(changes) >= 3)
            assert [memory is None for memory in changes[:3]] == [False, True, False]
            assert answers[0] == Away()
            assert node.late >= 1

    run(main())


@LOOPS
def test_who_asks_a_signer_in_the_moment_of_its_death_is_answered_away(tmp_path: Path, run: Run) -> None:
    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)

    async def main() -> None:
        async with linked(tmp_path, dies) as (node, changes):
            loop, answers, asked = asyncio.get_running_loop(), list[Answer](), 0
            errors = list[str]()
            loop.set_exception_handler(lambda _, context: errors.append(str(context)))
            await eventually(lambda: node.memory)

            def ask() -> None:  # in each turn of the loop
                nonlocal asked
                if node.memory is not None and asked < ASKED_MAX:
                    loop.call_soon(ask)
                asked += 1
                node.ask(vote(), answers.append)

            ask()
            await eventually(lambda: node.memory is None and asked == len(answers))
            assert set(answers) == {Away()}
            assert errors == []
            assert len(changes) >= 2

    run(main())


@LOOPS
def test_what_a_hung_signer_has_not_taken_is_not_sent_any_more(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        wakes, taken = asyncio.Event(), list[int]()

        async def stands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = cast(asyncio.Transport, writer.transport)
            link.pause_reading()
            await wakes.wait()
            link.resume_reading()
            while data := await reader.read(1 << 16):
                taken.append(len(data))
            taken.append(0)

        async with linked(tmp_path, stands) as (node, _):
            await eventually(lambda: node.memory)
            answers = list[Answer]()
            for _ in range(ASKED_MAX):
                node.ask(vote(), answers.append)
            await eventually(lambda: len(answers) == ASKED_MAX)
            assert set(answers) == {Away()}
            wakes.set()
            await eventually(lambda: 0 in taken)
            asked = sum(LENGTH_BYTES + len(encode_request(number + 1, vote())) for number in range(ASKED_MAX))
            assert 0 < sum(taken) < asked

    run(main())
