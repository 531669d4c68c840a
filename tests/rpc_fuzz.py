"""Calls made from an OpenRPC document: valid, at the bounds, of wrong types, missing, extra, huge, deep, in batches.

Everything follows from a seed. Only what makes a node wait for nothing is left out: heights and times far ahead.
"""

import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final

WRONG: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    2**53,
    -(2**53),
    "",
    "\x00",
    "ы" * 40,
    "0" * 16,
    "f" * 64,
    "ab" * 600,
    [],
    {},
    [None],
    {"a": 1},
    [[[[[[[[1]]]]]]]],
)
HUGE: Final = 300_000  # characters; one per method is 1 MiB and more
WAITING: Final = frozenset(("min_height", "timeout_ms"))
DEPTHS: Final = (13, 14, 15, 16, 100)
NEVER: Final = frozenset(("admin_stop", "admin_drain", "admin_disconnectPeer"))  # what is asked of them, they do


class Fuzz:
    """Calls for the methods of a document."""

    def __init__(self, document: dict[str, Any], seed: int) -> None:
        self._schemas = document["components"]["schemas"]
        self._methods = [method for method in document["methods"] if method["name"] not in NEVER]
        self._random = Random(seed)
        self._count = 0

    def bodies(self, each: int) -> Iterator[bytes]:
        """Yield bodies: for each method ``each`` valid ones, and what is around them; then batches of all."""
        calls: list[dict[str, Any]] = []
        for method in self._methods:
            for params in self._params(method, each):
                calls.append(self._call(method["name"], params))
                yield json.dumps(calls[-1]).encode()
            yield from self._odd(method)
        for size in (1, 2, 49, 50, 51, 200):
            yield json.dumps(self._random.choices(calls, k=size)).encode()
        yield json.dumps([*self._random.choices(calls, k=8), 1, None, [], {}, "x"]).encode()

    def _call(self, name: str, params: Any) -> dict[str, Any]:
        self._count += 1
        return {"jsonrpc": "2.0", "id": self._count, "method": name, "params": params}

    def _params(self, method: dict[str, Any], each: int) -> Iterator[dict[str, Any]]:
        given = method["examples"][0]["params"]
        example = {param["name"]: param["value"] for param in given if param["name"] not in WAITING}
        yield example
        described = {param["name"]: param for param in method["params"]}
        for _ in range(each):
            yield {
                name: self._valid(param["schema"])
                for name, param in described.items()
                if param["required"] or (name not in WAITING and self._random.random() < 0.5)
            }
        for name, param in described.items():
            for value in (*self._bounds(param["schema"]), *self._random.sample(WRONG, 6)):
                if name not in WAITING or type(value) is not int or value <= 1:
                    yield {**example, name: value}
            yield {other: value for other, value in example.items() if other != name}
        yield {**example, "surprise": 1}
        yield {**example, "": ""}
        yield dict.fromkeys(described, "a" * HUGE)
        yield {name: ["ab"] * 3_000 for name in described}

    def _odd(self, method: dict[str, Any]) -> Iterator[bytes]:
        """Yield bodies that are no proper calls of the method."""
        name = method["name"]
        for wrong in (name + "x", name.upper(), name.partition("_")[0], "_" + name):
            yield json.dumps(self._call(wrong, {})).encode()
        for params in ([], [1], "x", 1, None, True):
            yield json.dumps(self._call(name, params)).encode()
        for depth in DEPTHS:
            yield json.dumps(self._call(name, {"a": 0})).replace("0}", "[" * depth + "]" * depth + "}").encode()
        yield json.dumps({**self._call(name, {}), "id": None}).encode()
        yield json.dumps({**self._call(name, {}), "id": "x" * 65}).encode()
        yield json.dumps({**self._call(name, {}), "jsonrpc": "1.0"}).encode()
        yield json.dumps({**self._call(name, {}), "more": 1}).encode()
        yield json.dumps(self._call(name, {"a": 1e3})).encode()
        yield json.dumps(self._call(name, {"x": "y"})).replace('"x": "y"', '"x": 1, "x": 2').encode()
        yield json.dumps(self._call(name, {"x": "y"})).replace('"y"', '"\\ud800"').encode()

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            found: dict[str, Any] = self._schemas[schema["$ref"].rpartition("/")[2]]
            return found
        return schema

    def _bounds(self, schema: dict[str, Any]) -> Iterator[Any]:
        """Yield values at the bounds of a schema, and one step beyond."""
        schema = self._resolved(schema)
        for part in schema.get("anyOf", ()):
            yield from self._bounds(part)
        if schema.get("type") == "integer":
            for bound, step in ((schema.get("minimum"), -1), (schema.get("maximum"), 1)):
                if bound is not None:
                    yield from (bound, max(-(2**53), min(2**53, bound + step)))
        if schema.get("type") == "string":
            for size in (schema.get("minLength", 1), schema.get("maxLength", 64)):
                for characters in ("0", "a", "ы"):
                    yield from (characters * max(0, size + step) for step in (-1, 0, 1))
            yield from ("a" * 64 + "\n", "0" * 16 + "\n", "00" * 255)
        if schema.get("type") == "array":
            item = self._valid(schema["items"])
            most = schema.get("maxItems", 8)
            yield from ([], [item], [item] * min(most, 200), [item] * min(most + 1, 1_001))

    def _valid(self, schema: dict[str, Any]) -> Any:
        """Return a value that fits, or nearly: patterns are met by their alphabet and length."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return self._valid(self._random.choice(schema["anyOf"]))
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        match schema.get("type"):
            case "integer":
                low, high = schema.get("minimum", 0), schema.get("maximum", 2**53)
                return self._random.choice((low, min(high, low + 1), self._random.randint(low, min(high, low + 500))))
            case "boolean":
                return self._random.random() < 0.5
            case "null":
                return None
            case "array":
                return [self._valid(schema["items"]) for _ in range(max(1, schema.get("minItems", 1)))]
            case "object":
                return {name: self._valid(part) for name, part in schema.get("properties", {}).items()}
        return self._text(schema)

    def _text(self, schema: dict[str, Any]) -> str:
        pattern = schema.get("pattern", "")
        alphabet = "0123456789abcdef" if "a-f" in pattern else "0123456789" if "0-9" in pattern else "abc-17/26"
        low, high = schema.get("minLength", 2), min(schema.get("maxLength", 32), 128)
        size = self._random.choice((low, high, self._random.randint(min(low, high), max(low, high))))
        return "".join(self._random.choices(alphabet, k=size))
