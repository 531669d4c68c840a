"""One form for all that a process logs, its libraries too; and nothing in it that a stranger wrote."""

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import structlog
import uvloop
from aiohttp import ClientConnectionResetError, ClientSession, web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.test_utils import TestServer

from network.identity import Contexts, Identity
from node.log import LEVELS, THRESHOLD, Level, configure_log


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Give a function that returns what was written on standard error; leave no trace of the settings."""
    root, before = logging.getLogger(), THRESHOLD.level
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # those of pytest, which would be closed
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    THRESHOLD.level = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def events(told: str) -> list[dict[str, Any]]:
    """Return what was told, line by line; each line is an object."""
    return [json.loads(line) for line in told.splitlines()]


def fail(words: str) -> None:
    raise OSError(words)


def test_what_a_library_logs_is_an_event_of_ours_in_one_line(told: Callable[[], str]) -> None:
    configure_log("info", "json", "bank-1")
    library = logging.getLogger("some.library")
    library.warning("%d things\nwere odd", 3)
    try:
        fail("no such\ndevice")
    except OSError:
        library.exception("it failed")
    odd, failed = events(told())
    assert {key: odd[key] for key in ("event", "level", "library", "message", "node")} == {
        "event": "library",
        "level": "warning",
        "library": "some.library",
        "message": "3 things\nwere odd",
        "node": "bank-1",
    }
    assert "exception" not in odd
    assert failed["level"] == "error"
    assert "OSError: no such\ndevice" in failed["exception"]


def test_a_library_that_only_informs_is_not_told(told: Callable[[], str]) -> None:
    configure_log("debug", "json", "bank-1")
    logging.getLogger("some.library").info("all is well")
    assert events(told()) == []


@pytest.mark.parametrize("level", LEVELS)
def test_libraries_obey_the_level_of_the_log(told: Callable[[], str], level: Level) -> None:
    configure_log(level, "json", "bank-1")
    logging.getLogger("some.library").warning("odd")
    assert len(events(told())) == (LEVELS[level] <= logging.WARNING)


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_no_http_is_not_quoted(told: Callable[[], str], level: Level) -> None:
    configure_log(level, "json", "bank-1")
    try:
        raise BadHttpMessage("Invalid header value: b'Authorization: Bearer secret'")
    except BadHttpMessage as error:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "x", exc_info=error)
    lines = told()
    assert "secret" not in lines
    kinds = [(each["event"], each["kind"]) for each in events(lines)]
    assert kinds == [("not_http", "BadHttpMessage")] * (level == "debug")


def test_who_hangs_up_before_the_reply_is_no_mistake_of_ours(told: Callable[[], str]) -> None:
    configure_log("info", "json", "bank-1")
    try:
        raise ClientConnectionResetError("Cannot write to closing transport")
    except ClientConnectionResetError as error:
        logging.getLogger("aiohttp.server").exception("Unhandled exception", exc_info=error)
    assert events(told()) == []


@pytest.mark.parametrize("level", LEVELS)
async def test_the_protocols_that_a_stranger_offers_are_not_quoted(told: Callable[[], str], level: Level) -> None:
    configure_log(level, "json", "bank-1")

    async def upgrade(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("som-rpc",))
        await socket.prepare(request)
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/ws", upgrade)
    async with TestServer(app) as server, ClientSession() as session:
        offered = ("som-token.secret", "x" * 7_000)
        async with session.ws_connect(server.make_url("/ws"), protocols=offered) as socket:
            assert socket.protocol is None
    lines = told()
    assert "secret" not in lines
    assert "xxx" not in lines
    assert [(each["event"], each["kind"]) for each in events(lines)] == [("not_http", "websocket")] * (level == "debug")


@pytest.mark.parametrize("level", LEVELS)
def test_a_dial_given_up_between_tcp_and_tls_is_no_mistake_of_ours(told: Callable[[], str], level: Level) -> None:
    """uvloop closes TCP below a TLS that was agreed in the same turn, and then writes to it."""
    configure_log(level, "json", "bank-1")
    one, other = (Identity(bytes([seed]) * 32, "som-dev", bytes(32)) for seed in (1, 2))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answering = threading.Thread(target=answer, args=(listening, other.contexts([one.peer])))
        answering.start()
        uvloop.run(give_up_in_time(listening.getsockname(), one.contexts([other.peer])))
        answering.join()
    assert [each["event"] for each in events(told())] == ["dial_given_up"] * (level == "debug")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("Task exception was never retrieved", RuntimeError("the handler is closed")),
        ("Fatal error on SSL protocol", RuntimeError("cannot switch state")),
        ("Fatal error on SSL protocol", ValueError("the handler is closed")),
    ],
)
def test_what_only_looks_like_a_dial_given_up_is_told(told: Callable[[], str], words: str, error: Exception) -> None:
    configure_log("info", "json", "bank-1")
    logging.getLogger("asyncio").error(words, exc_info=error)
    assert [(each["event"], each["level"]) for each in events(told())] == [("library", "error")]


def answer(listening: socket.socket, contexts: Contexts) -> None:
    """Take one connection and see its end."""
    accepted, _ = listening.accept()
    with suppress(OSError), contexts.server.wrap_socket(accepted, server_side=True) as tls:
        tls.recv(1)


async def give_up_in_time(address: tuple[str, int], contexts: Contexts) -> None:
    """Dial; give up when TCP is there; let the rest of TLS come before the loop hears of it."""
    loop = asyncio.get_running_loop()
    dialled = socket.create_connection(address)
    dialled.setblocking(False)
    dial = loop.create_task(
        loop.create_connection(asyncio.Protocol, ssl=contexts.client, sock=dialled, server_hostname="")
    )

    def give_up() -> None:
        dial.cancel()
        time.sleep(0.2)  # the other end's part of the handshake is here when the loop looks

    loop.call_soon(loop.call_soon, give_up)
    with pytest.raises(asyncio.CancelledError):
        await dial
    await asyncio.sleep(0.05)
