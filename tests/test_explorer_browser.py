"""The explorer as a person sees it: a real Chromium on a real devnet, all pages, languages and themes; faults and keys.

Run by `make test-browser`, which installs Chromium where that is possible.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from devnet.generate import bank_account, demo_accounts, seed_of
from node.ledger.account import format_account
from tests.devnet_lab import ROOT, Program, lab_address, paste, program

pytest.importorskip("playwright", reason="NO PLAYWRIGHT: the explorer is not looked at; make install")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.browser.chromium import INSTALL, browser, chromium
from tests.browser.visit import DESK, LANGUAGES, PAGES, PATIENCE_MS, PHONE, Theme, Visit, visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.skipif(chromium() is None, reason=f"NO CHROMIUM: the explorer is not looked at; {' '.join(INSTALL)}"),
]

AIDA, BAKYT = (
    next(format_account(demo.number) for demo in demo_accounts() if demo.name == name) for name in ("aida", "bakyt")
)
BANK: Final = format_account(bank_account(1))
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
# Every page, and those that show what an argument names.
PATHS: Final = (*PAGES, f"account/{AIDA}", f"disbursement/{BANK}/40/400000", "block/1", "missing")
# What a theme can change is contrast alone, so names and roles are looked at in one of them.
RULES: Final[dict[Theme, dict[str, Any]]] = {
    "light": {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa"]}},
    "dark": {"runOnly": {"type": "rule", "values": ["color-contrast"]}},
}


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("devnet")
    with program(folder, "-m", "devnet.local", "--directory", folder / "net") as running:
        running.says("Ctrl-C stops it.")
        yield running
        running.interrupt()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def url(devnet: Program) -> str:
    return lab_address(devnet).partition("/explorer/")[0]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_stands_in_every_language_and_theme(chrome: Browser, url: str, language: str, theme: Theme) -> None:
    """No word missing, nothing in the console, nothing asked of another place, nothing wider than a phone."""
    with visit(chrome, url, language, theme, PHONE) as visited:
        assert visited.page.locator("html").get_attribute("lang") == language
        for path in PATHS:
            visited.go(path)
            expect(visited.page.locator("#page .problem")).to_have_count(0)
            assert visited.page.locator("h1").inner_text()
            assert visited.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], path
        assert (visited.said, visited.foreign) == ([], [])


def test_heights_rise_by_themselves(chrome: Browser, url: str) -> None:
    with visit(chrome, url) as visited:
        before = visited.height()
        assert before > 0
        expect(visited.page.locator("#state .mode")).to_have_text("live")
        rises(visited, before)


def test_without_a_websocket_the_page_asks_instead(chrome: Browser, url: str) -> None:
    with visit(chrome, url) as visited:
        visited.page.route_web_socket("**/ws", lambda socket: socket.close())
        visited.page.reload()
        visited.page.wait_for_selector("body[data-ready]")
        expect(visited.page.locator("#state .mode")).to_have_text("by polling")
        rises(visited, visited.height())


def test_without_a_websocket_statements_and_runs_of_payments_go_on(chrome: Browser, url: str) -> None:
    with visit(chrome, url) as visited:
        page = visited.page
        page.route_web_socket("**/ws", lambda socket: socket.close())
        page.reload()
        page.wait_for_selector("body[data-ready]")
        visited.go(f"account/{BAKYT}")
        expect(page.locator("#state .mode")).to_have_text("by polling")
        pay(visited, "3.21")
        expect(page.locator("#page")).to_contain_text("-3.21 som".replace(" ", NO_BREAK), timeout=PATIENCE_MS)
        visited.go(f"disbursement/{BAKYT}")
        pay(visited, "4.56")
        expect(page.locator("#page")).to_contain_text("-4.56 som".replace(" ", NO_BREAK), timeout=PATIENCE_MS)
        assert (visited.said, visited.foreign) == ([], [])


def test_an_address_that_names_no_page_is_said_to_be_so(chrome: Browser, url: str) -> None:
    with visit(chrome, url) as visited:
        for path in ("account/%", "toString", "nowhere"):
            visited.page.evaluate("path => { location.hash = '#/' + path }", path)
            expect(visited.page.locator("h1")).to_have_text("No such page")
            visited.go("now")
        assert visited.said == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_names_and_roles_are_as_wcag_demands(chrome: Browser, url: str, theme: Theme) -> None:
    with visit(chrome, url, "en", theme, DESK) as visited:
        for path in PATHS:
            visited.go(path)
            found = Axe().run(visited.page, options=RULES[theme]).response["violations"]
            assert [told(each) for each in found] == [], path


def test_everything_is_reached_by_keys_and_seen_to_be(chrome: Browser, url: str) -> None:
    with visit(chrome, url) as visited:
        page = visited.page
        page.keyboard.press("Tab")
        expect(page.locator("#skip")).to_be_focused()
        reached = []
        for _ in range(40):
            page.keyboard.press("Tab")
            name, outline = page.evaluate(
                "() => [document.activeElement.dataset.page ?? document.activeElement.id,"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            assert outline != "none", name
            reached.append(name)
            if set(PAGES) <= set(reached):
                break
        assert [name for name in reached if name in PAGES] == list(PAGES)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_be_focused()
        assert page.evaluate("location.hash") == "#/lab"


def test_the_language_of_the_browser_is_taken_and_another_is_remembered(chrome: Browser, url: str) -> None:
    context = chrome.new_context(locale="ru-RU")
    try:
        page = context.new_page()
        page.goto(f"{url}/")
        expect(page.locator("html")).to_have_attribute("lang", "ru", timeout=PATIENCE_MS)
        page.locator(".languages a[lang=ky]").click()
        expect(page.locator("#pages a").first).to_have_text("Азыр", timeout=PATIENCE_MS)
        page.goto(f"{url}/explorer/")
        expect(page.locator("html")).to_have_attribute("lang", "ky", timeout=PATIENCE_MS)
    finally:
        context.close()


def test_a_payment_is_followed_from_the_faucet_to_its_receipt(chrome: Browser, url: str, devnet: Program) -> None:
    with visit(chrome, url, fragment=fragment(devnet)) as visited:
        page = visited.page
        form = page.locator("form", has=page.get_by_role("button", name="Devnet money"))
        form.get_by_label("Account number").fill(AIDA)
        form.get_by_label("Amount, som").fill("12,50")
        form.get_by_role("button").click()
        page.locator("[role=status] a[href*='/payment/']").click(timeout=PATIENCE_MS)
        steps = page.locator(".trace li.done")
        expect(steps).to_have_count(4, timeout=PATIENCE_MS)
        expect(steps.nth(0)).to_contain_text("when this page saw it")
        expect(steps.nth(3)).to_contain_text("applied")
        page.get_by_role("button", name="Detailed").click()
        expect(page.locator("#page")).to_contain_text("faucet")
        visited.go(f"account/{AIDA}")
        expect(page.locator("table").last).to_contain_text("12.50")
        assert (visited.said, visited.foreign) == ([], [])


def test_the_javascript_client_computes_what_the_vectors_say(chrome: Browser, url: str) -> None:
    """The same checks as under Node.js (tests/explorer/vectors.test.mjs), by this browser's cryptography."""
    vectors = json.loads((ROOT / "tests" / "vectors" / "client.json").read_text())
    with visit(chrome, url) as visited:
        bring(visited, "vectors.mjs")
        failed, count = visited.page.evaluate(
            """async (vectors) => {
                const som = await import("/explorer/som/som.js");
                const checks = (await import("/explorer/vectors.mjs")).checksOf(som, vectors);
                const failed = [];
                for (const { name, run } of checks) await run().catch((error) => failed.push(`${name}: ${error}`));
                return [failed, checks.length];
            }""",
            vectors,
        )
        assert failed == []
        assert count == 1 + sum(len(part) for part in vectors.values() if isinstance(part, list))
        assert (visited.said, visited.foreign) == ([], [])


def test_a_payment_that_the_page_signs_becomes_final(chrome: Browser, url: str) -> None:
    with visit(chrome, url) as visited:
        paid = visited.page.evaluate(
            """async ([seed, payer, to]) => {
                const som = await import("/explorer/som/som.js");
                const rpc = new som.Rpc({ url: location.origin });
                const key = await som.Key.fromSeed(som.bytesOf(seed));
                const info = await rpc.call("chain_getInfo");
                const legs = [{ to, amount: som.parseSom("1.50") }];
                const signed = await som.signPayment(info, { payer, legs }, [key]);
                const send = () => rpc.call("tx_submit", { tx: signed.raw, wait: "final", timeout_ms: 8000 });
                const results = [await send(), await send()];
                while (!results[1].outcome.final) results[1] = await send();
                return [signed.tx_id, results[0].tx_id, results[1].tx_id, results[1].outcome.status];
            }""",
            [seed_of("aida").hex(), AIDA, BAKYT],
        )
        assert paid == [paid[0], paid[0], paid[0], "applied"]  # the same bytes again are the same payment


def test_a_method_is_called_from_the_form_that_its_types_make(chrome: Browser, url: str) -> None:
    with visit(chrome, url) as visited:
        visited.go("lab")
        visited.page.get_by_label("Method").select_option("chain_getBlocks")
        visited.page.get_by_label("limit").fill("3")
        visited.page.get_by_role("button", name="Call").click()
        expect(visited.page.locator("pre[data-result=chain_getBlocks]")).to_contain_text('"next_cursor"')
        assert visited.page.locator("pre").inner_text().count('"block_hash"') == 3


def test_one_that_is_killed_or_cut_off_is_seen_and_the_chain_goes_on(
    chrome: Browser, url: str, devnet: Program
) -> None:
    with visit(chrome, url, fragment=fragment(devnet)) as visited:
        page = visited.page
        row = page.locator("[data-lab=bank-2]")
        for act, seen, back in (("Kill", "dead", "Restart"), ("Cut off", "cut off", "Heal")):
            press(visited, act, "bank-2")
            expect(row).to_contain_text(seen)
            expect(page.locator("#state")).to_contain_text("without: bank-2", timeout=PATIENCE_MS)
            expect(page.locator("#state")).to_contain_text("If one more fails, the network stops")
            visited.go("validators")
            expect(page.locator("[data-validator=bank-2]")).to_have_attribute("data-connected", "false")
            rises(visited, visited.height())
            visited.go("lab")
            press(visited, back, "bank-2")
            expect(row).to_contain_text("runs", timeout=PATIENCE_MS)
            expect(page.locator("#state")).to_contain_text("The network runs", timeout=2 * PATIENCE_MS)
            expect(page.locator("#state")).to_contain_text("May still fail: 1", timeout=2 * PATIENCE_MS)
        assert (visited.said, visited.foreign) == ([], [])


def test_a_network_without_a_quorum_says_whom_it_waits_for(chrome: Browser, url: str, devnet: Program) -> None:
    with visit(chrome, url, fragment=fragment(devnet)) as visited:
        state = visited.page.locator("#state")
        for name in ("bank-1", "bank-3"):
            press(visited, "Cut off", name)
        expect(state).to_contain_text("Stalled: waiting for", timeout=PATIENCE_MS)
        for name in ("bank-1", "bank-3"):
            expect(state).to_contain_text(name)
        stood = visited.height()
        for name in ("bank-1", "bank-3"):
            press(visited, "Heal", name)
        rises(visited, stood)
        expect(state).to_contain_text("The network runs", timeout=2 * PATIENCE_MS)


def test_a_page_that_is_open_goes_on_with_the_devnet_that_was_reset(chrome: Browser, url: str, devnet: Program) -> None:
    with visit(chrome, url, fragment=fragment(devnet)) as visited:
        loaded, before = visited.page.evaluate("performance.timeOrigin"), visited.height()
        paste(["som devnet reset"], devnet.output.parent)
        visited.page.wait_for_function(
            "([loaded, height]) => performance.timeOrigin !== loaded && document.body.dataset.ready"
            " && Number(document.querySelector('#state .height').innerText.replace(/\\D/g, '')) < height",
            arg=[loaded, before],
            timeout=2 * PATIENCE_MS,
        )
        expect(visited.page.locator("[data-lab=bank-2]")).to_contain_text("runs", timeout=PATIENCE_MS)
        rises(visited, visited.height())


# --- steps ---


def bring(visited: Visit, name: str) -> None:
    """Put a file of tests/explorer beside the explorer's own, for this visit."""
    text = (ROOT / "tests" / "explorer" / name).read_text()
    kind = "text/javascript; charset=utf-8"
    visited.page.route(f"**/explorer/{name}", lambda route: route.fulfill(body=text, content_type=kind))


def fragment(devnet: Program) -> str:
    address = lab_address(devnet)
    return address[address.index("#") :]


def pay(visited: Visit, amount: str) -> None:
    """Pay from bakyt to aida by the page's own client, over HTTP."""
    visited.page.evaluate(
        """async ([seed, payer, to, amount]) => {
            const som = await import("/explorer/som/som.js");
            const rpc = new som.Rpc({ url: location.origin });
            const key = await som.Key.fromSeed(som.bytesOf(seed));
            const legs = [{ to, amount: som.parseSom(amount) }];
            const { raw } = await som.signPayment(await rpc.call("chain_getInfo"), { payer, legs }, [key]);
            await rpc.call("tx_submit", { tx: raw, wait: "final", timeout_ms: 8000 });
        }""",
        [seed_of("bakyt").hex(), BAKYT, AIDA, amount],
    )


def press(visited: Visit, act: str, name: str) -> None:
    visited.page.get_by_role("button", name=f"{act} {name}", exact=True).click(timeout=PATIENCE_MS)


def rises(visited: Visit, before: int) -> None:
    """Wait until the height on the page is two above ``before``."""
    visited.page.wait_for_function(
        "before => Number(document.querySelector('#state .height').innerText.replace(/\\D/g, '')) >= before + 2",
        arg=before,
        timeout=2 * PATIENCE_MS,
    )


def told(violation: dict[str, Any]) -> str:
    nodes = "; ".join(f"{node['target']} {node.get('failureSummary', '')}" for node in violation["nodes"][:4])
    return f"{violation['id']}: {nodes}"
