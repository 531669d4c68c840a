"""The codec alone: what is refused before it is parsed, and what a reply looks like."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.rpc.errors import INVALID_PARAMS, RpcError
from node.rpc.jsonrpc import (
    BATCH_MAX,
    DEPTH_MAX,
    ID_CHARS_MAX,
    PARTS_MAX,
    REPLY_BYTES_MAX,
    REPLY_SMALL_BYTES,
    Request,
    answer,
    parse,
    parse_json,
)


async def echo(request: Request) -> msgspec.Raw:
    """The method under the codec: gives params back, or fails as asked."""
    if request.method == "refuse":
        raise RpcError(INVALID_PARAMS, path="x", expected="y", actual="z")
    if request.method == "crash":
        raise RuntimeError("a secret of ours")
    return msgspec.Raw(json.dumps(request.params).encode())


async def reply(body: bytes | str, language: Any = "en") -> Any:
    sent = body.encode() if isinstance(body, str) else body
    answered = await answer(sent, echo, lambda request, error: None, language)
    return None if answered.body is None else json.loads(answered.body)


async def error(body: bytes | str) -> dict[str, Any]:
    found: dict[str, Any] = (await reply(body))["error"]
    return found


def call(**members: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", **members})


async def test_a_call_is_answered_with_its_own_id() -> None:
    assert await reply(call(params={"a": "1"}, id="seven")) == {"jsonrpc": "2.0", "id": "seven", "result": {"a": "1"}}


async def test_a_notification_gets_no_reply() -> None:
    assert await reply('{"jsonrpc":"2.0","method":"echo"}') is None
    assert await reply('{"jsonrpc":"2.0","method":"refuse"}') is None


async def test_a_batch_is_answered_in_order_without_its_notifications() -> None:
    batch = f'[{call(id=1)},{{"jsonrpc":"2.0","method":"echo"}},{call(id=2, method="refuse")},{call(id=3)}]'
    replies = await reply(batch)
    assert [one["id"] for one in replies] == [1, 2, 3]
    assert replies[1]["error"]["data"]["name"] == "invalid_params"


async def test_the_calls_of_a_batch_begin_one_in_a_pass_of_the_loop_and_wait_together() -> None:
    now, begun, all_begun = 0, [], asyncio.Event()

    async def waiting(request: Request) -> msgspec.Raw:
        begun.append(now)
        if len(begun) == 5:
            all_begun.set()
        await all_begun.wait()
        return msgspec.Raw(b"{}")

    body = f"[{','.join(call(id=number) for number in range(5))}]".encode()
    answering = asyncio.ensure_future(answer(body, waiting, lambda request, error: None))
    while not answering.done():
        await asyncio.sleep(0)
        now += 1
    assert len(set(begun)) == 5
    assert [one["id"] for one in json.loads(answering.result().body or b"")] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("passes", [2, 20], ids=["while it begins", "while it waits"])
async def test_a_batch_that_nobody_waits_for_ends(passes: int) -> None:
    begun, ended = [], []

    async def waiting(request: Request) -> msgspec.Raw:
        begun.append(request.id)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(request.id)
        return msgspec.Raw(b"{}")

    body = f"[{','.join(call(id=number) for number in range(5))}]".encode()
    answering = asyncio.ensure_future(answer(body, waiting, lambda request, error: None))
    for _ in range(passes):
        await asyncio.sleep(0)
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    await asyncio.sleep(0)
    assert begun
    assert ended == begun


async def test_a_reply_for_which_there_is_no_room_is_an_error_and_a_small_one_always_has_room() -> None:
    async def told(size: int) -> tuple[Any, RpcError | None]:
        body = call(params={"a": "x" * size}).encode()
        answered = await answer(body, echo, lambda request, error: None, "en", lambda count: False)
        return json.loads(answered.body or b""), answered.error

    found, refused = await told(REPLY_SMALL_BYTES)
    assert found["id"] == 1
    assert found["error"]["data"] == {"name": "overloaded", "retryable": True, "retry_after_ms": 1_000}
    assert refused is not None
    found, refused = await told(REPLY_SMALL_BYTES - 100)
    assert "result" in found
    assert refused is None


async def test_what_became_of_payments_is_told_whatever_room_there_is() -> None:
    async def large(request: Request) -> msgspec.Raw:
        return msgspec.Raw(b'"' + b"x" * (REPLY_BYTES_MAX * 2 // 3) + b'"')

    methods = ("read", "read", "tx_submit", "tx_submitMany")
    body = f"[{','.join(call(method=method) for method in methods)}]".encode()
    answered = await answer(body, large, lambda request, error: None)
    replies = json.loads(answered.body or b"")
    assert ["result" in reply for reply in replies] == [True, False, True, True]
    assert replies[1]["error"]["data"]["name"] == "limit_exceeded"
    for method in methods:
        answered = await answer(
            call(method=method).encode(), large, lambda request, error: None, "en", lambda size: False
        )
        assert ("result" in json.loads(answered.body or b"")) == (method != "read")


async def test_a_batch_of_notifications_gets_no_reply() -> None:
    assert await reply('[{"jsonrpc":"2.0","method":"echo"}]') is None


async def test_an_empty_batch_is_an_invalid_request() -> None:
    assert (await error("[]"))["code"] == -32600


async def test_a_batch_has_at_most_fifty_calls() -> None:
    assert len(await reply("[" + ",".join([call()] * BATCH_MAX) + "]")) == BATCH_MAX
    told = await error("[" + ",".join([call()] * (BATCH_MAX + 1)) + "]")
    assert (told["code"], told["data"]["name"], told["data"]["actual"]) == (-32006, "limit_exceeded", "51")


async def test_params_by_position_are_refused() -> None:
    told = await error(call(params=["a"]))
    assert (told["code"], told["data"]["actual"]) == (-32602, "array")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ("1", "$"),
        ('"text"', "$"),
        ("null", "$"),
        ('{"jsonrpc":"1.0","id":1,"method":"echo"}', "$.jsonrpc"),
        ('{"id":1,"method":"echo"}', "$.jsonrpc"),
        ('{"jsonrpc":"2.0","id":1}', "$.method"),
        ('{"jsonrpc":"2.0","id":1,"method":7}', "$.method"),
        ('{"jsonrpc":"2.0","id":1,"method":"echo","extra":1}', "$.extra"),
        ('{"jsonrpc":"2.0","id":{},"method":"echo"}', "$.id"),
        ('{"jsonrpc":"2.0","id":true,"method":"echo"}', "$.id"),
        (json.dumps({"jsonrpc": "2.0", "id": "x" * (ID_CHARS_MAX + 1), "method": "echo"}), "$.id"),
    ],
)
async def test_what_is_no_request_is_refused_by_the_place(body: str, path: str) -> None:
    told = await error(body)
    assert (told["code"], told["data"]["path"]) == (-32600, path)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"a":1,}',
        b'{"jsonrpc":"2.0","id":1,"method":"echo"} x',
        b'"\\ud800"',  # half of a character
        b'"without an end',
        b"[01]",
    ],
)
async def test_what_is_no_json_is_a_parse_error(body: bytes) -> None:
    assert (await error(body))["code"] == -32700


@pytest.mark.parametrize("number", ["1.0", "1e3", "-0.5", "NaN", "Infinity", "-Infinity", "1E999"])
async def test_floats_and_nan_are_refused(number: str) -> None:
    assert (await error(f'{{"jsonrpc":"2.0","id":1,"method":"echo","params":{{"a":{number}}}}}'))["code"] == -32700


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 10**30])
async def test_integers_that_javascript_rounds_are_refused(number: int) -> None:
    assert (await error(call(params={"a": number})))["code"] == -32700
    assert (await reply(call(params={"a": 2**53})))["result"] == {"a": 2**53}


async def test_duplicate_names_are_refused() -> None:
    assert (await error('{"jsonrpc":"2.0","id":1,"id":2,"method":"echo"}'))["code"] == -32700
    assert (await error('{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":1,"a":2}}'))["code"] == -32700


async def test_depth_is_bounded_before_anything_is_parsed() -> None:
    deep = "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1)
    assert (await error(deep))["data"]["name"] == "limit_exceeded"
    assert (await error("[" * 4_000_000))["data"]["name"] == "limit_exceeded"
    assert parse_json(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX) is not None
    assert parse_json(b'"' + b"[" * 100 + b'"') == "[" * 100  # brackets in a string are text


async def test_the_number_of_parts_is_bounded() -> None:
    with pytest.raises(RpcError) as refused:
        parse_json(b"[" + b"1," * PARTS_MAX + b"1]")
    assert refused.value.fault.name == "limit_exceeded"


async def test_our_own_error_tells_nothing_of_us() -> None:
    seen: list[Exception] = []
    answered = await answer(call(method="crash").encode(), echo, lambda request, error: seen.append(error))
    assert answered.body is not None
    assert json.loads(answered.body)["error"] == {
        "code": -32603,
        "message": "The node failed to answer",
        "data": {"name": "internal_error", "retryable": True},
    }
    assert [str(error) for error in seen] == ["a secret of ours"]


async def test_errors_speak_the_callers_language() -> None:
    texts = {
        language: (await reply(call(method="refuse"), language))["error"]["message"] for language in ("ky", "ru", "en")
    }
    assert texts == {"ky": "Параметр туура эмес", "ru": "Неверный параметр", "en": "A parameter is wrong"}


async def test_an_error_says_where_what_and_instead_of_what() -> None:
    told = await error(call(method="refuse"))
    assert told["data"] == {"name": "invalid_params", "retryable": False, "path": "x", "expected": "y", "actual": "z"}


def outcome(body: bytes) -> int | None:
    """Return the code of the refusal, None if the body is a call or a batch."""
    try:
        parse(body)
    except RpcError as refused:
        return refused.fault.code
    return None


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_what_is_parsed_is_what_json_says(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    assert outcome(body) in (None, -32700, -32600, -32006)


@given(st.text(alphabet='{}[]",:\\ abc1', max_size=200))
def test_any_near_json_is_parsed_or_refused(body: str) -> None:
    assert outcome(body.encode()) in (None, -32700, -32600, -32006)
