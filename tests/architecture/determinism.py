"""What a pure room may not say, because it is not the same everywhere: floats, builtins, waiting, files."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.architecture.modules import Module, at, pure

FORBIDDEN_NAMES: Final = frozenset(
    "breakpoint compile complex eval exec float globals hash id input locals open print repr vars __import__".split()
)


def nondeterminism(modules: tuple[Module, ...]) -> list[str]:
    return [at(module, line, what) for module in pure(modules) for line, what in nondeterministic(module.tree)]


def nondeterministic(tree: ast.Module) -> Iterator[tuple[int, str]]:
    bound = set(bound_names(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float() | complex()):
                yield node.lineno, "float literal"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield node.lineno, "true division gives a float"
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_NAMES:
                yield node.lineno, f"{name}() is not the same everywhere"
            case ast.Call(args=arguments, keywords=keywords):
                for argument in (*arguments, *(keyword.value for keyword in keywords)):
                    if isinstance(argument, ast.Name) and argument.id in FORBIDDEN_NAMES - bound:
                        yield node.lineno, f"{argument.id} is not the same everywhere"
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield node.lineno, "a pure room does not wait"
            case ast.Global():
                yield node.lineno, "global state"


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that the file gives a value of its own, such as a parameter called ``hash``."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.MatchAs(name=str(name)):
                yield name
