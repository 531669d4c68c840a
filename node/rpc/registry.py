"""What a method is: a name, two types, a function, and an example that a test runs.

One rule: params are checked here, against the type, and then who calls, before the function sees them; a wrong one is
named by its path.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from node.rpc.access import Caller, Scope, require, scope_of
from node.rpc.errors import INVALID_PARAMS, SYNCING, RpcError
from node.rpc.examples import EXAMPLES
from node.rpc.jsonrpc import ECHO_CHARS_MAX
from node.rpc.ports import Ports
from node.rpc.types import Params, Read

MIN_HEIGHT_WAIT_SECONDS: Final = 2.0  # a client that comes from a node some blocks ahead of this one
RETRY_AFTER_MS: Final = 1_000

_MISSING: Final = re.compile(r"required field `([^`]*)`")
_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`$")


Run = Callable[[Ports, Any], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method. ``cost`` is what the limiter counts a call as; ``websocket``: over a WebSocket only."""

    name: str
    params: type[Params]
    result: type[msgspec.Struct]
    run: Run
    cost: int = 1
    websocket: bool = False

    @property
    def scope(self) -> Scope:
        """What it asks for."""
        return scope_of(self.name)

    @property
    def summary(self) -> str:
        """What the method answers, in a sentence."""
        return (self.run.__doc__ or "").strip()

    @property
    def example(self) -> dict[str, Any]:
        """Params of the example."""
        return EXAMPLES.get(self.name, {})


async def call_method(
    method: Method, ports: Ports, params: dict[str, Any], caller: Caller, run: Run | None = None
) -> msgspec.Raw:
    """Return the result as JSON, of ``run`` where the method is carried out elsewhere. Raises RpcError."""
    checked = check_params(method, params)
    await require(ports, caller, method.name, checked)
    if isinstance(checked, Read) and checked.min_height:
        await _require_height(ports, checked.min_height)
    return msgspec.Raw(msgspec.json.encode(await (run or method.run)(ports, checked)))


def check_params(method: Method, params: dict[str, Any]) -> Params:
    """Return params of the method's type. Raises RpcError (invalid_params) with path, expected and actual."""
    known = method.params.__struct_fields__
    for name in params:
        if name not in known:
            raise RpcError(
                INVALID_PARAMS, path=_short(name), expected=f"one of {', '.join(known)}" if known else "no params"
            )
    try:
        return msgspec.convert(params, method.params, strict=True)
    except msgspec.ValidationError as error:
        raise _named(str(error), params) from None


async def _require_height(ports: Ports, height: int) -> None:
    if ports.store.tip.height < height and not await ports.reached(height, MIN_HEIGHT_WAIT_SECONDS):
        raise RpcError(
            SYNCING,
            path="min_height",
            expected=str(height),
            actual=str(ports.store.tip.height),
            retry_after_ms=RETRY_AFTER_MS,
        )


def _named(message: str, params: dict[str, Any]) -> RpcError:
    found = _PATH.search(message)
    path = found.group(1) if found else ""
    expected, _, got = (message[: found.start()] if found else message).replace("`", "").partition(", got ")
    missing = _MISSING.search(message)
    if missing:
        path, expected = ".".join(part for part in (path, missing.group(1)) if part), "a value"
    value = params.get(path)
    told = _short(str(value)) if type(value) in (str, int) else got or None
    return RpcError(INVALID_PARAMS, path=path, expected=expected.removeprefix("Expected "), actual=told)


def _short(text: str) -> str:
    return text if len(text) <= ECHO_CHARS_MAX else text[: ECHO_CHARS_MAX - 1] + "…"
