"""Every known bug of others has its rule and a test here that would catch it: tests/known_bugs.toml."""

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from tests.test_consensus_rules import RULE, stated

TESTS: Final = Path(__file__).parent
BUGS: Final[dict[str, dict[str, Any]]] = tomllib.loads((TESTS / "known_bugs.toml").read_text(encoding="utf-8"))


@cache
def names(file: str) -> frozenset[str]:
    """The tests of a file, empty if there is none such."""
    path = TESTS / f"test_{file}.py"
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return name in names(file) if name else bool(names(file))


def test_every_bug_of_the_lists_is_there() -> None:
    ids = [f"C{n}" for n in range(1, 29)] + [f"A{n}" for n in range(1, 22)] + ["T1", "T2", "H1", "L1"]
    assert list(BUGS) == ids + [f"I{n}" for n in range(1, 56)]


@pytest.mark.parametrize("name", BUGS)
def test_a_known_bug_has_a_rule_and_tests_that_exist(name: str) -> None:
    bug = BUGS[name]
    assert sorted(bug) == ["bug", "rule", "tests", "where"]
    assert all(bug.values())
    assert [test for test in bug["tests"] if not exists(test)] == []
    assert {int(number) for number in RULE.findall(bug["rule"])} <= set(stated())


def test_a_test_that_is_not_there_is_missed() -> None:
    assert exists("known_bugs::test_a_test_that_is_not_there_is_missed")
    assert exists("known_bugs")
    assert not exists("known_bugs::test_that_never_was")
    assert not exists("no_such_file")
