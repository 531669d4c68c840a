"""The order of a set is not the same everywhere. Where could it be seen?

Types are not resolved: a set is what is written as one, annotated as one, or assigned from one in the same function; an
attribute counts in its whole file. What only counts, sorts or makes another set does not see the order.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.architecture.modules import Module, at, pure

SET_TYPES: Final = frozenset({"set", "frozenset", "Set", "MutableSet", "AbstractSet"})
SET_METHODS: Final = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
ORDER_FREE: Final = frozenset({"all", "any", "frozenset", "len", "max", "min", "set", "sorted", "sum"})
ORDERED: Final = frozenset("bytes deque dict encode enumerate filter iter list map reduce reversed tuple zip".split())
ORDERED_METHODS: Final = frozenset({"extend", "from_iterable", "fromkeys", "join"})


def set_iteration(modules: tuple[Module, ...]) -> list[str]:
    return [at(module, line, "the order of a set") for module in pure(modules) for line in ordered_uses(module.tree)]


def is_set_type(annotation: ast.expr | None) -> bool:
    match annotation:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in SET_TYPES
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return name in SET_TYPES or (name in {"Final", "ClassVar"} and is_set_type(inner))
        case ast.BinOp(left=left, right=right):
            return is_set_type(left) or is_set_type(right)
    return False


def holds_sets(annotation: ast.expr | None) -> bool:
    """Return whether the annotation is of a mapping or sequence of sets."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="Final"), slice=inner):
            return holds_sets(inner)
        case ast.Subscript(slice=ast.Tuple(elts=[*_, last])) | ast.Subscript(slice=last):
            return not is_set_type(annotation) and is_set_type(last)
    return False


@dataclass(slots=True)
class Sets:
    """What a scope knows to be a set, or to hold sets. Attributes are known by their name in the whole file."""

    names: set[str]
    holders: set[str]
    attributes: set[str]
    attribute_holders: set[str]

    def holds(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self.holders
            case ast.Attribute(attr=name):
                return name in self.attribute_holders
        return False

    def is_set(self, node: ast.expr) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name):
                return name in self.names
            case ast.Attribute(attr=name):
                return name in self.attributes
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in SET_METHODS:
                return self.is_set(value)
            case (
                ast.Call(func=ast.Attribute(value=value, attr="get" | "setdefault" | "pop"))
                | ast.Subscript(value=value)
            ):
                return self.holds(value)
            case ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.BitXor() | ast.Sub(), left=left, right=right):
                return any(self.is_set(side) or is_view(side) for side in (left, right))
            case ast.IfExp(body=body, orelse=orelse):
                return self.is_set(body) or self.is_set(orelse)
            case ast.NamedExpr(value=value):
                return self.is_set(value)
        return False

    def learn(self, target: ast.expr, annotation: ast.expr | None, value: ast.expr | None) -> None:
        is_set = is_set_type(annotation) or (value is not None and self.is_set(value))
        match target:
            case ast.Name(id=name):
                self.names.update([name] if is_set else [])
                self.holders.update([name] if holds_sets(annotation) else [])
            case ast.Attribute(attr=name):
                self.attributes.update([name] if is_set else [])
                self.attribute_holders.update([name] if holds_sets(annotation) else [])


def is_view(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"keys", "items"}


def ordered_uses(tree: ast.Module) -> Iterator[int]:
    """Yield the lines on which the order of a set can be seen."""
    known = Sets(set(), set(), set(), set())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    as_attribute = ast.Attribute(field.target, field.target.id, ast.Load())
                    known.learn(as_attribute, field.annotation, field.value)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Attribute):
                    known.learn(target, getattr(node, "annotation", None), node.value)
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    yield from sorted({line for scope in (tree, *scopes) for line in ordered_uses_in(scope, known)})


def in_scope(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, ast.FunctionDef):
            yield from in_scope(child)


def ordered_uses_in(scope: ast.AST, known: Sets) -> Iterator[int]:
    sets = Sets(set(), set(), known.attributes, known.attribute_holders)
    nodes = list(in_scope(scope))
    for node in nodes:
        if isinstance(node, ast.arg):
            sets.learn(ast.Name(node.arg, ast.Load()), node.annotation, None)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                sets.learn(target, None, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            sets.learn(node.target, getattr(node, "annotation", None), node.value)
    unseen = {id(argument) for node in nodes for argument in order_free_arguments(node)}
    for node in nodes:
        match node:
            case ast.For(iter=source) | ast.YieldFrom(value=source) | ast.Starred(value=source) if sets.is_set(source):
                yield node.lineno
            case ast.ListComp() | ast.GeneratorExp() | ast.DictComp() if id(node) not in unseen:
                yield from (node.lineno for generator in node.generators if sets.is_set(generator.iter))
            case ast.Call() if sees_order(node, sets):
                yield node.lineno


def order_free_arguments(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=keywords) if name in ORDER_FREE:
            return [] if name in {"min", "max"} and keywords else [argument]
        case ast.Call(func=ast.Attribute(attr="difference_update" | "issuperset" | "issubset"), args=arguments):
            return arguments
    return []


def sees_order(call: ast.Call, sets: Sets) -> bool:
    match call.func:
        case ast.Name(id="min" | "max"):  # the first of equals, if a key makes them equal
            return bool(call.keywords) and any(map(sets.is_set, call.args))
        case ast.Name(id=name) if name in ORDERED:
            return any(map(sets.is_set, call.args))
        case ast.Attribute(attr=name) if name in ORDERED_METHODS:
            return any(map(sets.is_set, call.args))
        case ast.Attribute(value=value, attr="pop"):
            return not call.args and sets.is_set(value)
    return False
