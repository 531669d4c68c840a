"""Every rule of docs/protocol.md is cited by a test and by the code that keeps it, and no other is cited.

Up to R50 that is consensus/, above it node/.
"""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
RULE: Final = re.compile(r"\bR([1-9]\d?)\b")
CORE_LAST: Final = 50
DRIVER_RULES: Final = {33, 43, 49, 50}  # kept by who calls the core, or by the whole of it: no one line to cite


def stated() -> list[int]:
    text = (ROOT / "docs" / "protocol.md").read_text()
    return [int(number) for number in re.findall(r"\*\*R(\d+)\b", text)]


def cited(pattern: str) -> set[int]:
    texts = [path.read_text() for path in sorted(ROOT.glob(pattern)) if path != Path(__file__)]
    singles = {int(number) for text in texts for number in RULE.findall(text)}
    ranges = {
        number
        for text in texts
        for low, high in re.findall(r"\bR(\d+) to R(\d+)\b", text)
        for number in range(int(low), int(high) + 1)
        if (low, high) != ("1", "50")
    }
    return singles | ranges


def test_the_rules_are_numbered_without_a_gap() -> None:
    assert stated() == list(range(1, len(stated()) + 1))
    assert len(stated()) > CORE_LAST


def test_every_rule_is_cited_by_a_test() -> None:
    docstrings = {
        int(number)
        for path in sorted((*ROOT.glob("tests/test_consensus_*.py"), *ROOT.glob("tests/test_node_*.py")))
        if path != Path(__file__)
        for docstring in re.findall(r'\) -> None:\n    """(.*?)"""', path.read_text(), flags=re.DOTALL)
        for number in RULE.findall(docstring)
    }
    assert set(stated()) - docstrings == set()


def test_every_rule_is_cited_where_it_is_kept() -> None:
    core = set(range(1, CORE_LAST + 1))
    assert core - cited("consensus/*.py") - DRIVER_RULES == set()
    assert set(stated()) - core - cited("node/*.py") == set()


def test_no_rule_is_cited_that_is_not_stated() -> None:
    for pattern in ("tests/test_consensus_*.py", "tests/test_node_*.py", "consensus/*.py", "node/*.py"):
        assert cited(pattern) - set(stated()) == set()
