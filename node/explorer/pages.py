"""The explorer's files, as they are served: read once when the node starts, never again.

One rule: what is served is this list. A request names a key of it or gets nothing, so no path leads out of the folder.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).with_name("static")
INDEX: Final = "index.html"
KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
# Own scripts, styles and calls, nothing from elsewhere, and in nobody's frame.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{more}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# On a devnet the page also speaks with the other validators of this machine, and with who starts and kills them.
LOOPBACK: Final = " http://127.0.0.1:* http://localhost:*"


@dataclass(frozen=True, slots=True)
class Page:
    """A file: its bytes, Content-Type, and an ETag of its content."""

    body: bytes
    kind: str
    tag: str


def load_pages(folder: Path = STATIC) -> Mapping[str, Page]:
    """Return every file by its path below the folder; the index under "" too. Other kinds of file are left out."""
    pages = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in KINDS:
            body = path.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            pages[path.relative_to(folder).as_posix()] = Page(body, KINDS[path.suffix], tag)
    return {**pages, "": pages[INDEX]}


def headers_of(page: Page, devnet: bool) -> dict[str, str]:
    """Return what goes with a page. It is asked for anew each time, and sent anew only if it has changed."""
    return {
        "Content-Type": page.kind,
        "ETag": page.tag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY.format(more=LOOPBACK if devnet else ""),
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    }
