"""The browser: the distribution's own Chromium, driven by playwright, with nothing that it would say to anybody else.

python -m tests.browser.chromium    says where it is; installs it first if that is ours to do
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, sync_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
INSTALL: Final = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core")
ARGUMENTS: Final = (
    "--no-sandbox",  # tests run as root in containers; the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    """Return the path of the browser, if there is one."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def install() -> str | None:
    """Return its path, after installing it if it is missing and we are root on a Debian."""
    if chromium() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update"], check=False, stdout=subprocess.DEVNULL)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(INSTALL, check=False, stdout=subprocess.DEVNULL, env=environment)
    return chromium()


@contextmanager
def browser() -> Iterator[Browser]:
    """Run the browser. Raises RuntimeError if there is none."""
    path = chromium()
    if path is None:
        raise RuntimeError(f"no browser: {' '.join(INSTALL)}")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield running
        finally:
            running.close()


if __name__ == "__main__":
    found = install()
    print(found or f"no browser: {' '.join(INSTALL)}")
    sys.exit(0 if found else 1)
