"""The log: events with fields, on standard error, as text for people or JSON for machines.

One rule: what libraries log is an event too, and nothing that a stranger sends is written out as it came.
"""

import logging
import sys
from typing import Any, Final, Literal

import structlog
from aiohttp.http import HttpProcessingError

Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[dict[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
WEBSOCKETS: Final = "aiohttp.websocket"  # warns of the protocols that a stranger offers, in the stranger's words
TLS_ERRED: Final = "Fatal error on SSL protocol"  # uvloop's words, both
CLOSED: Final = "the handler is closed"


class Threshold:
    """Lets events of a level and above pass. It may change while the process runs."""

    def __init__(self) -> None:
        self.level: Level = "info"

    def __call__(self, logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Return the event. Raises DropEvent."""
        if LEVELS.get(method, logging.ERROR) < LEVELS[self.level]:
            raise structlog.DropEvent
        return event


THRESHOLD: Final = Threshold()


class _Libraries(logging.Handler):
    """Tells what libraries log as events of ours.

    What breaks the grammar of HTTP, or offers odd protocols for a WebSocket, is told without the library's words: they
    quote it, and it may hold a token. To hang up is no mistake: a stranger's before our reply, or ours of a dial, for
    the peer's own came first. (Between TCP and TLS uvloop then writes to what it has closed itself.)
    """

    def __init__(self) -> None:
        super().__init__()
        self._log = structlog.get_logger("library")

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        try:
            if isinstance(error, HttpProcessingError | ConnectionResetError):
                self._log.debug("not_http", library=record.name, kind=type(error).__name__)
            elif record.name == WEBSOCKETS:
                self._log.debug("not_http", library=record.name, kind="websocket")
            elif isinstance(error, RuntimeError) and record.getMessage().startswith(TLS_ERRED) and CLOSED in str(error):
                self._log.debug("dial_given_up", library=record.name)
            else:
                told = {"library": record.name, "message": record.getMessage(), "exc_info": error}
                self._log.log(record.levelno, "library", **told)
        except Exception:  # a log that fails must not fail who logs; this says so on standard error
            self.handleError(record)


def configure_log(level: Level, form: str, name: str) -> None:
    """Set up the log of this process, of ours and of libraries. Fields never hold keys or people's data."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    THRESHOLD.level = level
    structlog.configure(
        processors=[
            THRESHOLD,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(node=name)
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)
