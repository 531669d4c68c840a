"""What follows a group of tasks that has failed.

Until Python 3.11.3 a group whose member fails while its parent waits for the group's end leaves the parent marked as
cancelled: the next `asyncio.timeout` there raises CancelledError instead of TimeoutError, and whoever catches the one
lets the other through. So what is awaited behind a group is awaited in a task of its own, which nobody has marked.
"""

import ast
from collections.abc import Iterator

from tests.architecture.modules import Module, at

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Loop = ast.While | ast.For | ast.AsyncFor


def awaits_behind_groups(modules: tuple[Module, ...]) -> list[str]:
    return [
        at(module, line, "awaits in the task of a group that may have failed")
        for module in modules
        for function in ast.walk(module.tree)
        if isinstance(function, ast.AsyncFunctionDef)
        for line in sorted({node.lineno for statement in _behind(function) for node in _waits(statement)})
    ]


def _behind(function: ast.AsyncFunctionDef) -> Iterator[ast.stmt]:
    """Yield the statements that run after a group has failed: in handlers, in `finally`, after a catch."""
    parents = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
    for group in ast.walk(function):
        if not isinstance(group, ast.AsyncWith) or not any(_is_group(item.context_expr) for item in group.items):
            continue
        node: ast.AST = group
        caught = False
        while node is not function:
            above = parents[node]
            if isinstance(above, _Function) and above is not function:
                break  # a function inside: looked at by itself
            if isinstance(above, ast.Try | ast.TryStar) and node in above.body:
                yield from above.finalbody
                for handler in above.handlers:
                    yield from handler.body
                caught = caught or bool(above.handlers)
            if caught and isinstance(above, _Loop):
                yield from above.body
            elif caught:
                yield from _after(node, above)
            node = above


def _after(node: ast.AST, above: ast.AST) -> Iterator[ast.stmt]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(above, name, ())
        if node in block:
            yield from block[block.index(node) + 1 :]


def _waits(statement: ast.stmt) -> Iterator[ast.Await | ast.AsyncWith | ast.AsyncFor]:
    for node in _own(statement):
        if isinstance(node, ast.Await) and not _is_own_task(node.value):
            yield node
        if isinstance(node, ast.AsyncFor) or (
            isinstance(node, ast.AsyncWith) and not any(_is_group(item.context_expr) for item in node.items)
        ):
            yield node


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is below it, but for functions: those run elsewhere."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _Function | ast.Lambda):
            yield from _own(child)


def _is_group(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.TaskGroup"


def _is_own_task(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.create_task"
