"""Who may import whom, and which library has which owner."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.architecture.modules import Module, at, inside, ours, pure, top

PURE_STDLIB: Final = frozenset(
    "abc bisect collections contextlib dataclasses enum functools hashlib heapq itertools operator re struct types "
    "typing unicodedata".split()
)
# What one file of a pure room may import besides, and why.
PURE_EXCEPTIONS: Final = {
    "consensus.crypto": {"nacl"},  # the one verifier
    "consensus.encoding": {"msgpack"},  # the one encoding
    "node.ledger.genesis": {"json"},  # read once, before there is a chain; integers and strings only
}
BELOW: Final = ("consensus.encoding", "consensus.crypto")

# Third-party library -> the only modules that may import it.
OWNERS: Final = {
    "nacl": ("consensus.crypto", "node.archive_verify"),  # that one shares no code with the node, on purpose
    "msgpack": ("consensus.encoding", "node.archive_verify"),
    "plyvel": ("node.storage",),
    "pkcs11": ("node.signing.hsm",),
    "psycopg": ("node.indexer.database",),
    "aiohttp": ("network", "node.log", "node.rpc.server", "node.rpc.websocket", "node.client", "devnet.control"),
}
# Room -> all of ours that it may import. What is not listed here is bound by the other rules alone.
MAY_IMPORT: Final = {
    "consensus": ("consensus",),
    "network": ("network", *BELOW),
    "node.ledger": ("node.ledger", *BELOW),
    "node.storage": ("node.storage", "node.ledger", "consensus"),
    "node.client": ("node.client", "node.ledger", "node.rpc", "node.batches", "node.decree", "node.terms", "consensus"),
    "node.decree": ("node.decree", "node.terms", "node.ledger", "consensus"),  # nodes and clients check alike
    "node.terms": ("node.terms",),
    "node.indexer": ("node.indexer", "node.client", "node.ledger", "node.rpc", "consensus"),
    "node.iso20022": ("node.iso20022", "node.ledger", *BELOW),
    "node.qr": ("node.qr",),
    "node.explorer": ("node.explorer",),
}
# Room -> the only ones of ours that may import it.
MAY_BE_IMPORTED_BY: Final = {
    "tests": (),
    "devnet": ("devnet", "node.cli"),
    "node.cli": ("node.cli", "devnet"),
    "node.indexer": ("node.cli",),  # a program beside the node, which never needs it
    "node.node": ("node.cli", "devnet"),  # the composition root knows all parts; no part knows it
}


def imports(module: Module) -> Iterator[tuple[str, int]]:
    """Yield what is imported, anywhere in the file, as a dotted name, with its line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in module.known else node.module, node.lineno


def foreign_imports_of_pure_rooms(modules: tuple[Module, ...]) -> list[str]:
    return [
        at(module, line, f"imports {name}")
        for module in pure(modules)
        for name, line in imports(module)
        if not ours(name) and top(name) not in PURE_STDLIB | PURE_EXCEPTIONS.get(module.name, set())
    ]


def imports_beyond_the_room(modules: tuple[Module, ...]) -> list[str]:
    return [
        at(module, line, f"imports {name}")
        for module in modules
        for room, allowed in MAY_IMPORT.items()
        if inside(module.name, [room])
        for name, line in imports(module)
        if ours(name) and not inside(name, allowed)
    ]


def imports_from_above(modules: tuple[Module, ...]) -> list[str]:
    return [
        at(module, line, f"imports {name}")
        for module in modules
        for name, line in imports(module)
        for room, importers in MAY_BE_IMPORTED_BY.items()
        if inside(name, [room]) and not inside(module.name, (room, *importers))
    ]


def libraries_outside_their_owner(modules: tuple[Module, ...]) -> list[str]:
    return [
        at(module, line, f"imports {name}")
        for module in modules
        for name, line in imports(module)
        if top(name) in OWNERS and not inside(module.name, OWNERS[top(name)])
    ]


def relative_imports(modules: tuple[Module, ...]) -> list[str]:
    return [
        at(module, node.lineno, "relative import")
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def import_cycles(modules: tuple[Module, ...]) -> list[str]:
    graph = {
        module.name: sorted({name for name, _ in imports(module) if name in module.known} - {module.name})
        for module in modules
    }
    return [" -> ".join(component) for component in strongly_connected(graph) if len(component) > 1]


def strongly_connected(graph: dict[str, list[str]]) -> list[list[str]]:
    """Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            start = stack.index(node)
            components.append(sorted(stack[start:]))
            del stack[start:]

    for node in graph:
        if node not in index:
            visit(node)
    return components
