"""The log: events with fields, on standard error, as text for people or JSON for machines."""

import logging
import sys
from typing import Any, Final, Literal

import structlog

Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[dict[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


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


def configure_log(level: Level, form: str, name: str) -> None:
    """Set up structlog for this process. Fields never hold keys or people's data."""
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
