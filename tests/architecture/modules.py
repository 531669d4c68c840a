"""The source of the rooms, parsed. A rule is a function from modules to violations, each with its place."""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
ROOMS: Final = ("consensus", "network", "node", "devnet")
PURE: Final = ("consensus", "node.ledger")


@dataclass(frozen=True, slots=True)
class Module:
    name: str  # dotted
    source: str
    tree: ast.Module
    known: frozenset[str]  # names of all modules, to tell `from package import module` from `import name`


Rule = Callable[[tuple[Module, ...]], list[str]]


def parse(sources: dict[str, str]) -> tuple[Module, ...]:
    known = frozenset(sources)
    return tuple(Module(name, source, ast.parse(source), known) for name, source in sorted(sources.items()))


def read_rooms() -> tuple[Module, ...]:
    sources = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return parse(sources)


def inside(name: str, rooms: Iterable[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def top(name: str) -> str:
    return name.partition(".")[0]


def ours(name: str) -> bool:
    return top(name) in (*ROOMS, "tests")


def at(module: Module, line: int, what: str) -> str:
    return f"{module.name}:{line} {what}"


def pure(modules: tuple[Module, ...]) -> Iterator[Module]:
    return (module for module in modules if inside(module.name, PURE))
