"""Errors that hide, assertions that act, files that others than storage touch, files that are too long."""

import ast
import re
from typing import Final

from tests.architecture.modules import Module, at, inside

FILE_OPENERS: Final = (
    "node.storage",
    "node.cli",
    "node.explorer",  # its own pages, once
    "node.client",  # its outbox; it runs in the process of a user
    "devnet",
    "node.archive_verify",  # a program of its own
)

LINES_MAX: Final = 600
LONG_FILES: Final[dict[str, str]] = {}  # module -> why its subject is one
MUTATORS: Final = frozenset(
    "add append appendleft apply clear close discard extend insert pop popitem popleft put remove send setdefault sort "
    "step update write".split()
)
PATH_METHODS: Final = frozenset(
    "hardlink_to mkdir read_bytes read_text rename rmdir symlink_to touch unlink write_bytes write_text".split()
)
OS_FILES: Final = frozenset(
    "fdopen fdatasync fsync ftruncate link listdir makedirs mkdir open remove removedirs rename replace rmdir scandir "
    "symlink truncate unlink walk".split()
)


def bare_excepts(modules: tuple[Module, ...]) -> list[str]:
    return [
        at(module, node.lineno, "except without a type")
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def asserts_with_effects(modules: tuple[Module, ...]) -> list[str]:
    return [
        at(module, node.lineno, "an assert that does something")
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assert) and any(map(has_effect, ast.walk(node.test)))
    ]


def has_effect(node: ast.AST) -> bool:
    match node:
        case ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom() | ast.Call(func=ast.Name(id="next")):
            return True
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in MUTATORS
    return False


def files_opened_outside_storage(modules: tuple[Module, ...]) -> list[str]:
    return [
        at(module, node.lineno, "touches a file")
        for module in modules
        if not inside(module.name, FILE_OPENERS)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and touches_file(node)
    ]


def touches_file(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id="open"):
            return True
        case ast.Attribute(value=ast.Name(id="os"), attr=name):
            return name in OS_FILES
        case ast.Attribute(value=ast.Name(id="io" | "shutil" | "tempfile" | "sqlite3")):
            return True
        case ast.Attribute(value=ast.Call(func=ast.Name(id="Path")), attr="open"):
            return True
        case ast.Attribute(attr="open"):
            modes = [argument.value for argument in call.args[:1] if isinstance(argument, ast.Constant)]
            return any(isinstance(mode, str) and re.fullmatch(r"[rwaxbt+]{1,3}", mode) for mode in modes)
        case ast.Attribute(attr=name):
            return name in PATH_METHODS
    return False


def files_too_long(modules: tuple[Module, ...]) -> list[str]:
    lengths = {module.name: module.source.count("\n") for module in modules}
    too_long = [f"{name} has {n} lines" for name, n in lengths.items() if n > LINES_MAX and name not in LONG_FILES]
    stale = [
        f"{name} is listed as long and is not" for name in LONG_FILES if lengths.get(name, LINES_MAX + 1) <= LINES_MAX
    ]
    return too_long + stale


def optimized_runs(text: str) -> list[str]:
    """Return the lines that would switch assertions off."""
    return [line for line in text.splitlines() if re.search(r"\bpython[\w.]*\b.*\s-[A-Za-z]*O\b|PYTHONOPTIMIZE", line)]
