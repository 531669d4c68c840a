"""A look at the explorer as a person has it: one language, one theme, one size of screen; and all that went wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

PAGES: Final = (
    "now",
    "validators",
    "consensus",
    "payment",
    "disbursement",
    "supply",
    "register",
    "account",
    "network",
    "governance",
    "lab",
)
LANGUAGES: Final = ("ky", "ru", "en")
DESK: Final = (1200, 900)
PHONE: Final = (360, 740)
PATIENCE_MS: Final = 30_000
# Chromium itself writes a line for each answer that is no success, and for a node that is dead: no fault of a page.
FAILED_TO_LOAD: Final = "Failed to load resource"

Theme = Literal["light", "dark"]


@dataclass(slots=True)
class Visit:
    """An open page, and what must be empty at its end: what the console said, and requests to other places."""

    page: Page
    url: str
    said: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Show a page of the explorer, and wait until it has something to show."""
        self.page.evaluate("path => { location.hash = '#/' + path }", path)
        self.page.wait_for_function(
            "path => document.querySelector(`#page[data-page='${path.split('/')[0]}']`)"
            " && !document.querySelector('#page [aria-busy]')",
            arg=path,
            timeout=PATIENCE_MS,
        )

    def height(self) -> int:
        """Return the height that the state line says, in whatever language."""
        text = self.page.locator("#state .height").inner_text()
        return int(re.sub(r"\D", "", text) or 0)


@contextmanager
def visit(
    browser: Browser,
    url: str,
    language: str = "en",
    theme: Theme = "light",
    size: tuple[int, int] = DESK,
    fragment: str = "#/now",
) -> Iterator[Visit]:
    """Open the explorer of the node at ``url``, and wait until it stands."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        visited = Visit(page, url)

        def hear(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not message.text.startswith(FAILED_TO_LOAD):
                visited.said.append(message.text)

        def watch(request: Request) -> None:
            if not re.match(r"(http|ws)://127\.0\.0\.1:\d+/", request.url):
                visited.foreign.append(request.url)

        page.on("console", hear)
        page.on("pageerror", lambda error: visited.said.append(str(error)))
        page.on("request", watch)
        page.on("websocket", lambda socket: None)
        page.goto(f"{url}/explorer/?lang={language}{fragment}")
        page.wait_for_selector("body[data-ready]")
        yield visited
    finally:
        context.close()
