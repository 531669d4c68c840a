"""The OpenRPC document: it is the golden file, it is complete, and what the server says fits it."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.ledger.errors import Code
from node.rpc.access import Caller
from node.rpc.errors import FAULTS, RpcError, fault_of
from node.rpc.jsonrpc import REPLY_BYTES_MAX, REPLY_SMALL_BYTES
from node.rpc.methods import DOCUMENT, METHODS
from node.rpc.registry import call_method
from node.rpc.room import FREE_BYTES
from node.rpc.server import METRICS_COST, PAGE_COST, ServerLimits
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import SoloChain

GOLDEN: Final = Path(__file__).parent.parent / "docs" / "openrpc.json"
FUZZED_CALLS: Final = 300  # for each method, against the real handlers


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path, acting=True) as found:
        yield found


def test_the_document_in_docs_is_the_one_that_the_types_give() -> None:
    """After a change of a type: python -m node.rpc > docs/openrpc.json"""
    assert json.loads(GOLDEN.read_text()) == json.loads(msgspec.json.encode(DOCUMENT))


def test_every_method_is_described_with_its_params_and_an_example() -> None:
    described = {method["name"]: method for method in DOCUMENT["methods"]}
    assert set(described) == set(METHODS)
    for name, method in described.items():
        assert len(method["summary"]) > 20, name
        assert method["paramStructure"] == "by-name"
        names = {param["name"] for param in method["params"]}
        given_names = {param["name"] for param in method["examples"][0]["params"]}
        required = {param["name"] for param in method["params"] if param["required"]}
        assert required <= given_names <= names, name


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for reference in references(DOCUMENT):
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_every_error_is_listed_once_with_its_texts() -> None:
    errors = DOCUMENT["components"]["errors"]
    listed = {error["code"]: (name, error["x-texts"], error["x-retryable"]) for name, error in errors.items()}
    assert len(listed) == len(errors) == len(FAULTS) + len(Code) - 1
    for fault in (*FAULTS, *(fault_of(int(code)) for code in Code if code)):
        assert listed[fault.code] == (fault.name, {"ky": fault.ky, "ru": fault.ru, "en": fault.en}, fault.retryable)
    own = [code for code in listed if code < 0]
    assert all(-32019 <= code <= -32001 or code in (-32700, -32600, -32601, -32602, -32603) for code in own)


def test_what_a_call_counts_as_is_in_the_docs() -> None:
    page = (GOLDEN.parent / "rpc.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (`[^|]*) \|$", page, re.MULTILINE)
    told = {name: int(cost) for cost, names in rows for name in re.findall(r"`([^`]*)`", names)}
    assert told == {name: method.cost for name, method in METHODS.items() if method.cost > 1}
    assert f"`/metrics` {METRICS_COST}, others and the opening of `/ws` {PAGE_COST}, `/healthz` nothing" in page


def test_the_limits_of_one_address_are_in_the_docs() -> None:
    page = (GOLDEN.parent / "rpc.md").read_text()
    limits = ServerLimits()
    for told in (
        f"{limits.connections_max} connections",
        f"{limits.connections_per_address_max} of one address",
        f"{limits.bodies_bytes_max >> 20} MiB of bodies in all",
        f"and {limits.bodies_per_address_bytes_max >> 20} MiB of one address",
        f"{limits.calls_per_second:,} calls a second of one address, {limits.calls_burst:,} at once",
        f"the first {FREE_BYTES >> 10} KiB of each",
        f"come to {REPLY_BYTES_MAX >> 20} MiB, a further one above {REPLY_SMALL_BYTES >> 10} KiB",
    ):
        assert told in page, told
    assert (limits.replies_bytes_max, limits.replies_per_address_bytes_max) == (
        limits.bodies_bytes_max,
        limits.bodies_per_address_bytes_max,
    )


async def test_discover_gives_the_document(lab: Lab) -> None:
    assert await lab.call("rpc.discover") == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", sorted(METHODS))
async def test_what_is_answered_fits_the_schema(lab: Lab, name: str) -> None:
    result = await lab.call(name, **METHODS[name].example)
    assert fits(result, {"$ref": f"#/components/schemas/{METHODS[name].result.__name__}"}) is None


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in references(inner)]
    return [found for inner in value for found in references(inner)] if isinstance(value, list) else []


def fits(value: Any, schema: dict[str, Any]) -> str | None:
    """Return why a value does not fit a schema, None if it does. For the parts of JSON Schema that msgspec writes."""
    if "$ref" in schema:
        return fits(value, DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        reasons = [fits(value, part) for part in schema["anyOf"]]
        return None if None in reasons else f"{value!r}: {reasons}"
    if "enum" in schema:
        return None if value in schema["enum"] else f"{value!r} is not in {schema['enum']}"
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    if "type" in schema and type(value) is not kinds[schema["type"]]:
        return f"{value!r} is no {schema['type']}"
    return fits_parts(value, schema)


def fits_parts(value: Any, schema: dict[str, Any]) -> str | None:
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - set(value)
        if missing:
            return f"without {missing}"
        for name, part in schema.get("properties", {}).items():
            reason = fits(value[name], part) if name in value else None
            if reason:
                return f"{name}: {reason}"
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            reason = fits(item, schema["items"])
            if reason:
                return reason
    return None


# Fuzzing: whatever comes, no error of ours


NASTY: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(max_size=40),
    st.sampled_from(["", "0" * 16, "0011000000010057", "ab" * 32, "00", "\x00", "9" * 64, "f" * 128]),
    st.lists(st.sampled_from(["ab", "00" * 32, ""]), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=2),
)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that mostly fit the schema of a param."""
    if "anyOf" in schema:
        return st.one_of(*(values(part) for part in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "pattern" in schema:
        whole = schema["pattern"].replace("(?!\n)", "")
        return st.from_regex(whole, fullmatch=True).filter(lambda text: len(text) <= schema.get("maxLength", 10_000))
    match schema.get("type"):
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**53))
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(values(schema["items"]), min_size=1, max_size=3)
        case "null":
            return st.none()
    return NASTY


def params_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    described = next(method for method in DOCUMENT["methods"] if method["name"] == name)
    fitting = {param["name"]: values(param["schema"]) for param in described["params"]}
    mixed = {param: st.one_of(strategy, strategy, strategy, NASTY) for param, strategy in fitting.items()}
    required = {param["name"]: mixed[param["name"]] for param in described["params"] if param["required"]}
    optional = {param: strategy for param, strategy in mixed.items() if param not in required}
    # No waiting: a fuzzer has better things to do.
    for param in ("timeout_ms", "min_height"):
        if param in optional:
            optional[param] = st.sampled_from([0, -1, "x", None])
    return st.fixed_dictionaries(required, optional=optional)


@pytest.mark.parametrize("name", sorted(METHODS))
async def test_whatever_the_params_a_method_answers_or_refuses(
    lab: Lab, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.rpc.anchors.WAIT_SECONDS", 0.0)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, fuzz, lab.chain, name, loop)


def fuzz(chain: SoloChain, name: str, loop: asyncio.AbstractEventLoop) -> None:
    """Call a method with drawn params on the loop that owns the chain: any error but a refusal passes through."""
    ports, caller = chain.ports(), Caller("fuzz", local=True)

    @settings(max_examples=FUZZED_CALLS, suppress_health_check=list(HealthCheck), deadline=None)
    @given(params_of(name))
    def one(params: dict[str, Any]) -> None:
        try:
            raw = asyncio.run_coroutine_threadsafe(call_method(METHODS[name], ports, params, caller), loop).result(30)
        except RpcError:
            return
        msgspec.json.decode(raw, type=METHODS[name].result)

    one()


async def test_damaged_bytes_of_a_real_call_are_never_an_error_of_ours(lab: Lab) -> None:
    """Whole bodies over HTTP: bytes flipped, cut, doubled. No 5xx, no -32603."""
    chance = random.Random(20_261)
    for name in sorted(METHODS):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": name, "params": METHODS[name].example}).encode()
        for _ in range(25):
            async with lab.post(damaged(body, chance)) as response:
                assert response.status < 500, await response.text()
                assert b"-32603" not in await response.read()


def damaged(body: bytes, chance: random.Random) -> bytes:
    """Return the body with one to three faults."""
    changed = bytearray(body)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed))
        match chance.randrange(4):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at : at + chance.randint(1, 8)]
            case 2:
                changed[at:at] = changed[at : at + chance.randint(1, 40)]
            case _:
                changed[at:at] = bytes(chance.choices(b'{}[]",:0\\', k=3))
        if not changed:
            return b"{"
    return bytes(changed)
