"""The OpenRPC document: what every method takes and gives, derived from the types that the methods use.

One rule: nothing here is written twice. A method's schema is its msgspec type, its words are its docstring, and its
example is the one that a test runs; docs/openrpc.json is this, kept in the repository.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from node.ledger.errors import LANGUAGES, Code
from node.rpc.errors import FAULTS, Fault, fault_of
from node.rpc.registry import Method

OPENRPC: Final = "1.3.2"
API_VERSION: Final = "1.0.0"
_REFERENCE: Final = "#/components/schemas/{name}"


def document(methods: Iterable[Method]) -> dict[str, Any]:
    """Return the document for ``methods``, as JSON values."""
    listed = sorted(methods, key=lambda method: method.name)
    types: list[type] = []
    for method in listed:
        types += (method.params, method.result)
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    used = {method.params.__name__ for method in listed}
    return {
        "openrpc": OPENRPC,
        "info": {
            "title": "digital som node",
            "version": API_VERSION,
            "description": "JSON-RPC 2.0 over POST /rpc and WebSocket /ws. Params by name. Money is a string of tyiyn.",
        },
        "methods": [_method(method, components) for method in listed],
        "components": {
            "schemas": {name: schema for name, schema in sorted(components.items()) if name not in used},
            "errors": {fault.name: _error(fault) for fault in _faults()},
        },
    }


def _faults() -> list[Fault]:
    """Return the server's errors and the ledger's, of which receipts have only the number and the name."""
    refusals = (fault_of(int(code)) for code in Code if code != Code.APPLIED)
    return sorted((*FAULTS, *refusals), key=lambda fault: abs(fault.code))


def _error(fault: Fault) -> dict[str, Any]:
    texts = {language: fault.text(language) for language in LANGUAGES}
    return {"code": fault.code, "message": fault.en, "x-texts": texts, "x-retryable": fault.retryable}


def _method(method: Method, components: dict[str, Any]) -> dict[str, Any]:
    schema = components[method.params.__name__]
    required = set(schema.get("required", ()))
    return {
        "name": method.name,
        "tags": [{"name": method.name.partition("_")[0].partition(".")[0]}],
        "summary": method.summary,
        "x-scope": str(method.scope),
        "x-websocket": method.websocket,
        "paramStructure": "by-name",
        "params": [
            {"name": name, "required": name in required, "schema": part} for name, part in schema["properties"].items()
        ],
        "result": {
            "name": method.result.__name__,
            "schema": {"$ref": f"#/components/schemas/{method.result.__name__}"},
        },
        "examples": [
            {
                "name": f"{method.name} example",
                "params": [{"name": name, "value": value} for name, value in method.example.items()],
            }
        ],
    }
