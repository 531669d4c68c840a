"""The explorer's files as a node serves them: the whole list and nothing else, with what keeps a page to itself.

The tests in JavaScript, of the client and of pages (tests/explorer/*.test.mjs), run here too, where there is Node.js.
"""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from typing import Final

import aiohttp
import pytest
from yarl import URL

from consensus.encoding import DecodeError, decode, encode
from node.explorer.pages import KINDS, STATIC, headers_of, load_pages
from node.ledger.errors import Refused
from node.ledger.pay import Pay
from node.ledger.transaction import decode_transaction, signatures_valid
from tests.client_vectors import GENESIS_HASH, vectors
from tests.rpc_lab import Lab, rpc_lab

HERE: Final = Path(__file__).parent / "explorer"
LANGUAGES: Final = ("ky", "ru", "en")
SOURCES: Final = {path.relative_to(STATIC).as_posix(): path.read_text() for path in sorted(STATIC.rglob("*.js"))}
CALL: Final = re.compile(r"""\bt\(\s*(?:[^"`()]*\?\s*"([^"]+)"\s*:\s*)?(?:"([^"]+)"|`([^`]+)`)""")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path) as found:
        yield found


def words(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / "i18n" / f"{language}.json").read_text())
    return found


# What is served


async def test_every_file_is_served_as_what_it_is(lab: Lab) -> None:
    names = [path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()]
    assert len(names) > 20
    for name in names:
        async with lab.get(f"/explorer/{name}") as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == KINDS[Path(name).suffix]
            assert await response.read() == (STATIC / name).read_bytes()


async def test_the_root_leads_to_the_explorer(lab: Lab) -> None:
    for path in ("/", "/explorer"):
        async with lab.session.get(f"{lab.url}{path}", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (302, "/explorer/")
    async with lab.get("/") as response:
        assert response.content_type == "text/html"
        assert "<!doctype html>" in await response.text()


async def test_what_has_not_changed_is_not_sent_again(lab: Lab) -> None:
    async with lab.get("/explorer/app.js") as response:
        tag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "no-cache"
    async with lab.session.get(f"{lab.url}/explorer/app.js", headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read(), response.headers["ETag"]) == (304, b"", tag)
    async with lab.session.get(f"{lab.url}/explorer/app.js", headers={"If-None-Match": '"old"'}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "../pages.py",
        "%2e%2e/pages.py",
        "..%2fpages.py",
        "no.js",
        "som",
        "som/",
        "/etc/passwd",
        "index.html/",
        "INDEX.HTML",
    ],
)
async def test_nothing_else_is_served(lab: Lab, path: str) -> None:
    async with lab.session.get(URL(f"{lab.url}/explorer/{path}", encoded=True)) as response:
        assert response.status == 404
        assert "no-store" in response.headers["Cache-Control"]


async def test_a_foreign_host_gets_no_page(lab: Lab) -> None:
    for path in ("/", "/explorer/", "/explorer/app.js"):
        async with lab.get(path, Host="evil.example") as response:
            assert response.status == 403


def policy(headers: Mapping[str, str]) -> dict[str, str]:
    parts = [part.strip().partition(" ") for part in headers["Content-Security-Policy"].split(";")]
    return {name: value for name, _, value in parts}


async def test_a_page_may_load_its_own_files_and_be_in_nobodys_frame(lab: Lab) -> None:
    async with lab.get("/explorer/") as response:
        told = policy(response.headers)
    assert told["default-src"] == "'none'"
    assert told["script-src"] == told["style-src"] == told["img-src"] == "'self'"
    assert told["frame-ancestors"] == told["base-uri"] == told["form-action"] == "'none'"


def test_only_a_devnets_page_may_speak_with_others_on_its_machine() -> None:
    page = load_pages()[""]
    assert policy(headers_of(page, devnet=False))["connect-src"] == "'self'"
    assert policy(headers_of(page, devnet=True))["connect-src"] == "'self' http://127.0.0.1:* http://localhost:*"


async def test_a_posted_call_at_the_root_is_still_a_call(lab: Lab) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "chain_getInfo"})
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session, session.post(f"{lab.url}/", data=body, headers=headers) as response:
        assert "result" in await response.json()


# What stands in the files


def test_no_file_names_another_place() -> None:
    for path in STATIC.rglob("*"):
        if path.is_file():
            found = re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}[^\s\"'`]*", path.read_text())
            assert [each for each in found if not each.startswith("http://www.w3.org/")] == [], path


def test_pages_have_no_markup_from_data_and_no_code_in_line() -> None:
    for name, source in SOURCES.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source), (
            name
        )
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=|\sstyle=|<style", (STATIC / "index.html").read_text())


def test_every_import_is_a_file() -> None:
    for name, source in SOURCES.items():
        for target in re.findall(r"from \"(\.[^\"]+)\"", source):
            assert ((STATIC / name).parent / target).resolve().is_file(), f"{name}: {target}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_all_words_and_no_other(language: str) -> None:
    mine, english = words(language), words("en")
    assert set(mine) == set(english)
    assert all(text.strip() for text in mine.values())
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", mine[key])) == sorted(re.findall(r"\{\w+\}", text)), key


def test_each_word_that_a_page_asks_for_is_there() -> None:
    known = set(words("en"))
    asked = {key for source in SOURCES.values() for found in CALL.findall(source) for key in found if key}
    assert len(asked) > 200
    exact = {key for key in asked if "${" not in key}
    assert sorted(exact - known - {"key"}) == []  # t("key") stands in a comment
    begun = [key.partition("${")[0] for key in asked if "${" in key]
    assert [prefix for prefix in begun if not any(key.startswith(prefix) for key in known)] == []
    used = {key for key in known if key in exact or key.startswith(tuple(begun))}
    assert sorted(known - used) == []


def test_kyrgyz_and_russian_are_written_in_their_letters() -> None:
    same = {"network.network"}
    for language in ("ky", "ru"):
        latin = {key for key, text in words(language).items() if not re.search(r"[а-яёңөү]", text, re.IGNORECASE)}
        assert latin <= same, latin
    assert re.search("[ңөү]", "".join(words("ky").values()))


# The client


def node_js(*arguments: str | Path, given: str = "") -> str:
    """Run Node.js; return what it writes."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("NO NODE.JS: the JavaScript client is not tested on this machine; install nodejs 18 or newer")
    done = subprocess.run([node, *map(str, arguments)], input=given, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_javascript_client_and_the_pages_keep_their_own_tests() -> None:
    assert re.search(r"# pass [1-9]", node_js("--test", *sorted(HERE.glob("*.test.mjs"))))


def judged_value(data: bytes) -> str:
    try:
        return encode(decode(data)).hex()
    except DecodeError:
        return "DecodeError"


def judged_transaction(raw: bytes) -> list[object]:
    try:
        read = decode_transaction(raw, GENESIS_HASH)
    except Refused as refused:
        return [refused.code.name, False]
    if not all(isinstance(operation, Pay) for operation in read.operations):
        return ["MALFORMED", False]  # the client has payments alone
    return [read.id.hex(), signatures_valid(read)]


def test_of_any_bytes_the_javascript_client_says_what_the_node_says() -> None:
    """Random bytes that are often a head of MessagePack, and transactions of which a few bytes were changed."""
    lot = Random(417)
    heads = bytes([0x80, 0x90, 0x91, 0x92, 0xA0, 0xA1, 0xC0, 0xC2, *range(0xC4, 0xE1), 0xFF, 0x00, 0x7F])
    values = [
        bytes(lot.choice(heads) if lot.random() < 0.6 else lot.randrange(256) for _ in range(lot.randrange(14)))
        for _ in range(8_000)
    ]
    whole = [bytes.fromhex(row["raw"]) for row in vectors()["transactions"] if len(row["raw"]) < 2_000]
    transactions = [*whole]
    for _ in range(4_000):
        changed = bytearray(lot.choice(whole))
        for _ in range(lot.randrange(1, 3)):
            changed[lot.randrange(len(changed))] = lot.choice(heads) if lot.random() < 0.5 else lot.randrange(256)
        transactions.append(bytes(changed))
    asked = {
        "values": [data.hex() for data in values],
        "transactions": [raw.hex() for raw in transactions],
        "genesis_hash": GENESIS_HASH.hex(),
    }
    said = json.loads(node_js(HERE / "verdicts.mjs", given=json.dumps(asked)))
    assert [value for value, its in zip(values, said["values"], strict=True) if judged_value(value) != its] == []
    judged = list(map(judged_transaction, transactions))
    assert {"AMOUNT", "LEGS", "MALFORMED", "NOT_SIGNED"} <= {str(verdict[0]) for verdict in judged}
    assert [valid for _, valid in judged] == [raw in whole for raw in transactions]  # some were not changed
    rows = zip(transactions, judged, said["transactions"], strict=True)
    assert [(raw.hex(), mine, its) for raw, mine, its in rows if mine != its] == []
