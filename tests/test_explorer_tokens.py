"""The explorer of a node that is not open, in a real Chromium: what is for all, what a token opens, what it does not.

Run by `make test-browser`. The node is one validator as a process, its tokens made by `som token new`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from devnet.generate import ENFORCER, bank_account, demo_accounts
from node.ledger.account import format_account
from tests.devnet_lab import environment, program

pytest.importorskip("playwright", reason="NO PLAYWRIGHT: the explorer is not looked at; make install")

from playwright.sync_api import Browser, expect

from tests.browser.chromium import INSTALL, browser, chromium
from tests.browser.visit import PAGES, PATIENCE_MS, Visit, visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.skipif(chromium() is None, reason=f"NO CHROMIUM: the explorer is not looked at; {' '.join(INSTALL)}"),
]

ORDER: Final = "17/26"
NUMBERS: Final = {demo.name: format_account(demo.number) for demo in demo_accounts()}
PUBLIC: Final = tuple(page for page in PAGES if page not in ("payment", "disbursement", "account"))


@dataclass(frozen=True, slots=True)
class Closed:
    """A node that wants tokens: its address, and tokens by who has them."""

    url: str
    home: Path
    tokens: dict[str, str]
    paid: str  # a payment of bank-1 to its customers, who are aida and others


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    folder = tmp_path_factory.mktemp("closed")
    network = folder / "net"
    with program(folder, "-m", "tests.browser.closed", network) as running:
        running.says("url ")
        url = running.said.split("url ")[1].split()[0]
        bank, authority = format_account(bank_account(1)), format_account(ENFORCER)
        tokens = {
            name: som(folder, "token", "new", name, "--home", network / "nbkr", *scopes)["token"]
            for name, scopes in {
                "sender": ("--scope", "submit"),
                "bank": ("--scope", "accounts", "--participant", bank),
                "authority": ("--scope", "orders", "--participant", authority),
            }.items()
        }
        (folder / "token").write_text(tokens["sender"])
        (folder / "basis").write_text("a decision of a court")
        shared = ("--node", url, "--token-file", folder / "token", "--accounts", network / "accounts.json")
        freezing = ("--by", "enforcer", "--number", ORDER, "--basis", folder / "basis")
        som(folder, "order", "freeze", NUMBERS["bakyt"], *freezing, *shared)
        (folder / "token").write_text(tokens["bank"])
        paid = som(folder, "account", "history", NUMBERS["aida"], *shared)["entries"][0]["tx_id"]
        yield Closed(url, network / "nbkr", tokens, paid)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as running:
        yield running


def som(folder: Path, *arguments: str | Path) -> Any:
    """Run a command that succeeds, in a process of its own: a browser's driver has this one's event loop."""
    command = [sys.executable, "-m", "node.cli", *map(str, arguments), "--json"]
    ended = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def enter(visited: Visit, token: str) -> None:
    """Type a token and use it; the page begins anew."""
    page = visited.page
    page.get_by_label("Token").fill(token)
    with page.expect_navigation():
        page.get_by_role("button", name="Use it").click()
    page.wait_for_selector("body[data-ready]")


def test_without_a_token_what_is_public_is_there_and_the_rest_says_what_it_takes(
    chrome: Browser, closed: Closed
) -> None:
    with visit(chrome, closed.url) as visited:
        problem = visited.page.locator("#page .problem")
        for path in PUBLIC:
            visited.go(path)
            expect(problem).to_have_count(0)
        expect(visited.page.locator("#state .mode")).to_have_text("live")
        for path in (f"account/{NUMBERS['aida']}", f"disbursement/{format_account(bank_account(1))}"):
            visited.go(path)
            expect(problem).to_contain_text("a token that this node knows is needed")
        visited.go(f"payment/{closed.paid}")
        expect(visited.page.locator(".trace li.done")).to_have_count(4, timeout=PATIENCE_MS)
        visited.page.get_by_role("button", name="Detailed").click()
        expect(problem).to_contain_text("a token that this node knows is needed")
        assert (visited.said, visited.foreign) == ([], [])


def test_a_banks_token_shows_its_customers_and_says_of_others_that_it_does_not(chrome: Browser, closed: Closed) -> None:
    with visit(chrome, closed.url) as visited:
        enter(visited, closed.tokens["bank"])
        expect(visited.page.locator("#access")).to_contain_text("A token is in use")
        problem = visited.page.locator("#page .problem")
        for path in PAGES:
            visited.go(path)
            expect(problem).to_have_count(0)
        visited.go(f"account/{NUMBERS['aida']}")
        expect(visited.page.locator("#page table").first).to_contain_text(
            "10 000.00".replace(" ", "\N{NO-BREAK SPACE}")
        )
        visited.go(f"payment/{closed.paid}")
        visited.page.get_by_role("button", name="Detailed").click()
        expect(visited.page.locator("#page")).to_contain_text("first money")
        visited.go(f"disbursement/{format_account(bank_account(1))}")
        expect(visited.page.locator(".tiles")).to_contain_text("000.00")
        for number in (NUMBERS["bakyt"], format_account(bank_account(2))):
            visited.go(f"account/{number}")
            expect(problem).to_contain_text("The token does not allow it")
        visited.go("governance")
        form = visited.page.locator("form", has=visited.page.get_by_label("Authority"))
        form.get_by_label("Authority").fill(format_account(ENFORCER))
        form.get_by_role("button").click()
        expect(problem).to_contain_text("The token does not allow it", timeout=PATIENCE_MS)
        expect(visited.page.locator("#state .mode")).to_have_text("live")
        assert (visited.said, visited.foreign) == ([], [])


def test_an_authority_sees_orders_and_accounts_under_an_order_that_it_names(chrome: Browser, closed: Closed) -> None:
    with visit(chrome, closed.url) as visited:
        page = visited.page
        enter(visited, closed.tokens["authority"])
        visited.go("governance")
        form = page.locator("form", has=page.get_by_label("Authority"))
        form.get_by_label("Authority").fill(format_account(ENFORCER))
        form.get_by_label("Under which order").fill(ORDER)
        form.get_by_role("button").click()
        expect(page.locator("#page table", has_text=ORDER)).to_contain_text("stands", timeout=PATIENCE_MS)
        visited.go(f"account/{NUMBERS['bakyt']}")
        expect(page.locator("#page .problem")).to_contain_text("The token does not allow it")
        page.get_by_label("Under which order").fill(ORDER)
        page.get_by_role("button", name="Find").click()
        expect(page.locator("#page table").first).to_contain_text("SOM", timeout=PATIENCE_MS)
        assert page.evaluate("location.hash") == f"#/account/{NUMBERS['bakyt']}/17%2F26"
        assert (visited.said, visited.foreign) == ([], [])


def test_a_token_that_the_node_does_not_know_is_said_to_be_one_and_can_be_forgotten(
    chrome: Browser, closed: Closed
) -> None:
    with visit(chrome, closed.url) as visited:
        enter(visited, "0" * 64)
        expect(visited.page.locator("#state")).to_contain_text("The node does not take the token")
        expect(visited.page.locator("#access")).to_contain_text("The node does not know this token")
        with visited.page.expect_navigation():
            visited.page.get_by_role("button", name="Forget the token").click()
        visited.page.wait_for_selector("body[data-ready]")
        expect(visited.page.locator("#state")).to_contain_text("The network runs")
        assert visited.foreign == []


def test_a_token_that_is_revoked_meanwhile_is_noticed(chrome: Browser, closed: Closed) -> None:
    folder = closed.home.parent
    fresh = som(folder, "token", "new", "short", "--home", closed.home, "--scope", "submit")["token"]
    with visit(chrome, closed.url) as visited:
        enter(visited, fresh)
        expect(visited.page.locator("#access")).to_contain_text("A token is in use")
        som(folder, "token", "revoke", "short", "--home", closed.home)
        expect(visited.page.locator("#access")).to_contain_text("does not know this token", timeout=PATIENCE_MS)
