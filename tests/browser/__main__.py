"""`make screenshots`: a devnet with something to see, and pictures of it for the documents.

python -m tests.browser [--output docs/screenshots] [--all]
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from devnet.generate import bank_account, demo_accounts
from node.ledger.account import format_account
from tests.browser.chromium import browser, install
from tests.browser.visit import DESK, PHONE, Theme, visit
from tests.devnet_lab import lab_address, paste, program

SETTLE_MS: Final = 1_500  # for what comes over the WebSocket and every second
AIDA: Final = next(format_account(demo.number) for demo in demo_accounts() if demo.name == "aida")
BANK: Final = format_account(bank_account(1))
# What there is to see: payments, a load, a validator that dies under it.
SEEN: Final = (
    "for n in 1 2 3; do som pay --from aida --to bakyt $n.50 --ref coffee-$n; done",
    "som devnet load --rate 20 --seconds 10",
    "som devnet kill bank-2",
    "som devnet load --rate 40 --seconds 5",
)
Picture = tuple[str, str, Theme, tuple[int, int], str]  # page, language, theme, size, name of the file
# The documents show these: a validator was killed under load, and the network goes on.
SHOWN: Final[tuple[Picture, ...]] = (
    ("now", "en", "light", DESK, "now"),
    ("validators", "ru", "light", DESK, "validators"),
)
# With --all, for who wants to look: all four are back.
OTHERS: Final[tuple[Picture, ...]] = (
    ("consensus", "en", "dark", DESK, "consensus"),
    (f"disbursement/{BANK}/100/1000", "en", "light", DESK, "disbursement"),
    ("supply", "ru", "dark", DESK, "supply"),
    ("register", "ky", "light", DESK, "register"),
    (f"account/{AIDA}", "en", "light", DESK, "account"),
    ("network", "ky", "dark", DESK, "network"),
    ("governance", "en", "light", DESK, "governance"),
    ("lab", "en", "light", DESK, "lab"),
    ("now", "ky", "dark", PHONE, "now-phone"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pictures; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description="Pictures of the explorer.")
    parser.add_argument("--output", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--all", action="store_true", help="of every page, not only those that the documents show")
    given = parser.parse_args(arguments)
    if install() is None:
        print("There is no Chromium here, and it could not be installed.", file=sys.stderr)
        return 1
    given.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with program(place, "-m", "devnet.local", "--directory", place / "net") as devnet, browser() as chromium:
            devnet.says("Ctrl-C stops it.")
            address = lab_address(devnet)
            url = address.partition("/explorer/")[0]

            def take(pictures: Sequence[Picture]) -> None:
                for path, language, theme, size, name in pictures:
                    fragment = address[address.index("#") :] if path == "lab" else f"#/{path}"
                    with visit(chromium, url, language, theme, size, fragment) as visited:
                        visited.page.wait_for_timeout(SETTLE_MS)
                        visited.page.screenshot(path=given.output / f"{name}.png")
                    print(given.output / f"{name}.png")

            paste(SEEN, place, SOM_NODE=url)
            take(SHOWN)
            if given.all:
                paste(["som devnet restart bank-2"], place)
                take(OTHERS)
            devnet.interrupt()
    return 0


if __name__ == "__main__":
    sys.exit(main())
