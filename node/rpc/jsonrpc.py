"""JSON-RPC 2.0: bytes to requests, and results to reply bytes.

One rule: bytes are refused before they cost. A scan bounds depth and the number of parts before anything is parsed, and
what is parsed has one meaning: no duplicate names, no fractions, no integers beyond 2**53, no half characters.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgspec

from node.ledger.errors import Language
from node.rpc.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    OVERLOADED,
    PARSE_ERROR,
    RpcError,
    error_body,
)

BODY_BYTES_MAX: Final = 4 * 1024 * 1024  # 1,000 transactions of the common 300 bytes are 600 kB in hex
DEPTH_MAX: Final = 16  # json recurses: 400 levels overflow the stack of a busy task
PARTS_MAX: Final = 20_000  # strings, brackets and commas in a body: 50 calls or 1,000 transactions need below 3,000
BATCH_MAX: Final = 50  # calls in one body
REPLY_BYTES_MAX: Final = 4 * 1024 * 1024  # of a batch's replies together; that of a lone call its method bounds
REPLY_SMALL_BYTES: Final = 4 * 1024  # a reply up to this is told whatever the others have
ALWAYS_TOLD: Final = ("tx_submit", "tx_submitMany")  # an error invites paying again; as long as what was sent, about
RETRY_AFTER_MS: Final = 1_000  # when nothing better is known
ID_CHARS_MAX: Final = 64
METHOD_CHARS_MAX: Final = 64
INTEGER_MAX: Final = 2**53  # what JavaScript holds exactly
ECHO_CHARS_MAX: Final = 64  # of the caller's own words in an error

_MEMBERS: Final = frozenset(("jsonrpc", "method", "params", "id"))
# Strings whole, so that a bracket inside one does not count; a lone quote is a string without an end.
_PARTS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},]', re.DOTALL)

RequestId = str | int | None


@dataclass(frozen=True, slots=True)
class Request:
    """One call. ``params`` by name; a ``notification`` has no id and gets no reply."""

    id: RequestId
    method: str
    params: dict[str, Any]
    notification: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """A call that cannot be carried out: its id as far as it could be read, and why."""

    id: RequestId
    error: RpcError


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: ``body`` (None: only notifications came), and the error of a lone call or of the whole body."""

    body: bytes | None
    error: RpcError | None = None
    malformed: bool = False  # the whole body was no JSON-RPC


Call = Callable[[Request], Awaitable[msgspec.Raw]]
Crashed = Callable[[Request, Exception], None]
Keep = Callable[[int], bool]  # whether there is room to keep a reply of so many bytes until it is read

_encode = msgspec.json.Encoder().encode


async def answer(
    body: bytes, call: Call, crashed: Crashed, language: Language = "en", keep: Keep = lambda size: True
) -> Answer:
    """Carry out what ``body`` asks by ``call``, which returns JSON or raises RpcError; order is kept.

    The calls of a batch begin one by one, each in a pass of the event loop, and wait together. What was read and
    has no room in the reply is answered with an error. Any other exception of ``call`` is our error: ``crashed`` is
    told, the caller gets internal_error and no trace.
    """
    try:
        calls = parse(body)
    except RpcError as error:
        return Answer(failure(None, error, language), error, malformed=True)
    if not isinstance(calls, list):
        return _kept(calls, await _single(calls, call, crashed, language), keep, language)
    left = REPLY_BYTES_MAX

    async def one(item: Request | Rejected) -> Answer:
        nonlocal left
        reply = await _single(item, call, crashed, language)
        size = len(reply.body or b"")
        if size > left and not _is_always_told(item, size):
            error = RpcError(LIMIT_EXCEEDED, path="$", expected=f"replies of at most {REPLY_BYTES_MAX} bytes together")
            return Answer(failure(item.id, error, language), error)
        left -= size
        return _kept(item, reply, keep, language)

    replies = await _one_by_one([one(item) for item in calls])
    parts = [reply.body for reply in replies if reply.body is not None]
    return Answer(b"[" + b",".join(parts) + b"]" if parts else None)


async def _one_by_one(works: list[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Begin one in each pass of the loop, and return what all came to. Who is cancelled cancels them."""
    tasks: list[asyncio.Task[Answer]] = []
    try:
        for work in works:
            tasks.append(asyncio.create_task(work))
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        for work in works[len(tasks) :]:
            work.close()


def _kept(item: Request | Rejected, reply: Answer, keep: Keep, language: Language) -> Answer:
    """Return the reply, or an error in its place if there is no room for it."""
    size = len(reply.body or b"")
    if keep(size) or _is_always_told(item, size):
        return reply
    error = RpcError(OVERLOADED, retry_after_ms=RETRY_AFTER_MS)
    return Answer(failure(item.id, error, language), error)


def _is_always_told(item: Request | Rejected, size: int) -> bool:
    return size <= REPLY_SMALL_BYTES or (isinstance(item, Request) and item.method in ALWAYS_TOLD)


def parse(body: bytes) -> Request | Rejected | list[Request | Rejected]:
    """Return the call or the batch that ``body`` holds. Raises RpcError if it holds neither."""
    value = parse_json(body)
    if not isinstance(value, list):
        return _request(value)
    if not value:
        raise RpcError(INVALID_REQUEST, path="$", expected="at least one call", actual="0")
    if len(value) > BATCH_MAX:
        raise RpcError(LIMIT_EXCEEDED, path="$", expected=f"at most {BATCH_MAX} calls", actual=str(len(value)))
    return [_request(item) for item in value]


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text under the rules of this file. Raises RpcError (parse_error, limit_exceeded)."""
    _scan(body)
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_no_fraction,
            parse_constant=_no_constant,
            parse_int=_integer,
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # raises on half of a surrogate pair
    except (ValueError, RecursionError) as error:
        raise RpcError(PARSE_ERROR, actual=_short(str(error))) from None
    return value


def _scan(body: bytes) -> None:
    if len(body) > BODY_BYTES_MAX:
        raise RpcError(LIMIT_EXCEEDED, expected=f"at most {BODY_BYTES_MAX} bytes", actual=str(len(body)))
    depth = 0
    for count, match in enumerate(_PARTS.finditer(body)):
        if count >= PARTS_MAX:
            raise RpcError(LIMIT_EXCEEDED, expected=f"at most {PARTS_MAX} strings, brackets and commas")
        part = match.group()
        if part in (b"[", b"{"):
            depth += 1
        elif part in (b"]", b"}"):
            depth -= 1
        elif part == b'"':
            raise RpcError(PARSE_ERROR, actual="a string without an end")
        if depth > DEPTH_MAX:
            raise RpcError(LIMIT_EXCEEDED, expected=f"at most {DEPTH_MAX} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return value


def _no_fraction(text: str) -> NoReturn:
    raise ValueError(f"fractions and exponents are not accepted: {text[:ECHO_CHARS_MAX]}")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _integer(text: str) -> int:
    if len(text) > 17 or not -INTEGER_MAX <= int(text) <= INTEGER_MAX:
        raise ValueError("an integer beyond 2**53; money is a string")
    return int(text)


def _request(value: Any) -> Request | Rejected:
    if not isinstance(value, dict):
        return Rejected(None, RpcError(INVALID_REQUEST, path="$", expected="object", actual=_kind(value)))
    named = value.get("id")
    if not _is_id(named):
        return Rejected(None, RpcError(INVALID_REQUEST, path="$.id", expected="short string or integer"))
    try:
        return _checked(value, named)
    except RpcError as error:
        return Rejected(named, error)


def _checked(value: dict[str, Any], named: RequestId) -> Request:
    for name in value:
        if name not in _MEMBERS:
            raise RpcError(INVALID_REQUEST, path=f"$.{_short(name)}", expected="no such member")
    if value.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, path="$.jsonrpc", expected="2.0", actual=_short(str(value.get("jsonrpc"))))
    method = value.get("method")
    if not isinstance(method, str) or len(method) > METHOD_CHARS_MAX:
        raise RpcError(INVALID_REQUEST, path="$.method", expected="short string", actual=_kind(method))
    params = value.get("params", {})
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, path="$", expected="params by name, in an object", actual=_kind(params))
    return Request(named, method, params, "id" not in value)


def _is_id(value: object) -> bool:
    return value is None or type(value) is int or (type(value) is str and len(value) <= ID_CHARS_MAX)


async def _single(item: Request | Rejected, call: Call, crashed: Crashed, language: Language) -> Answer:
    if isinstance(item, Rejected):
        return Answer(failure(item.id, item.error, language), item.error)
    try:
        result = await call(item)
    except RpcError as error:
        return _answer(item, failure(item.id, error, language), error)
    except Exception as error:
        crashed(item, error)
        told = RpcError(INTERNAL_ERROR)
        return _answer(item, failure(item.id, told, language), told)
    return _answer(item, _encode({"jsonrpc": "2.0", "id": item.id, "result": result}), None)


def _answer(request: Request, body: bytes, error: RpcError | None) -> Answer:
    return Answer(None if request.notification else body, error)


def failure(named: RequestId, error: RpcError, language: Language) -> bytes:
    """Return the reply that carries an error."""
    return _encode({"jsonrpc": "2.0", "id": named, "error": error_body(error, language)})


def _kind(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", int: "integer", bool: "boolean", type(None): "null"}
    return names.get(type(value), "unknown")


def _short(text: str) -> str:
    return text if len(text) <= ECHO_CHARS_MAX else text[: ECHO_CHARS_MAX - 1] + "…"
