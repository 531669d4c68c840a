"""python -m tests.mutants.sample [--sample 400] [--seed 1]: random mutants of consensus and ledger, by mutmut.

mutmut makes all mutants of all functions in a copy of the tree, and runs for each the tests that reach it. There are
thousands; a sample of them, drawn by the seed, tells the share that tests kill within a few percent. Not drawn are
mutants of nothing but wording: the text of an exception or an assertion. The outcome becomes a part of docs/mutants.md.

mutmut is no dependency of the project: `make mutation-sample` puts it into a venv of its own, with the locked packages.
"""

import argparse
import ast
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from math import sqrt
from pathlib import Path
from typing import Final

from tests.mutants.mutant import ROOT
from tests.mutants.page import write_part

ROOMS: Final = ("consensus", "node/ledger")
SUITES: Final = (
    "test_consensus_*.py",
    "test_ledger_*.py",
    "test_decoders.py",
    "test_formats.py",
    "test_storage_keys.py",
)
LEFT_OUT: Final = ("test_consensus_rules.py",)  # it reads the sources
TARGET: Final = 85  # percent
SPREAD: Final = 1.96  # standard deviations: 95 %
CONTEXT: Final = 40  # characters around a difference that are shown
WORDY: Final = ("ValueError", "DecodeError", "InvariantViolation", "Invalid", "Damaged")

_KILLED, _TIMED_OUT = (1, 3), (24, 36, 152, 255, -24)  # exit codes: a failed test, or no end (SIGXCPU)
_UNREACHED: Final = 33  # no test comes near

_CONFIG: Final = """\
[mutmut]
source_paths=
    consensus
    node
only_mutate=
{globs}
also_copy=
{rest}
pytest_add_cli_args=
    -n0
    -p
    no:cacheprovider
pytest_add_cli_args_test_selection=
{suites}
"""


def main(arguments: Sequence[str]) -> int:
    """Draw, run and write; return 1 if the tests kill less than the target."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.sample", description=__doc__)
    parser.add_argument("--sample", type=int, default=400, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1, help="of the drawing")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder) / "tree"
        _copy_tree(copy)
        _mutmut(copy, "consensus.committee.x__check__mutmut_1")  # any one: it makes all of them, and times the tests
        population = _meaning(copy)
        chosen = random.Random(options.seed).sample(sorted(population), min(options.sample, len(population)))
        _mutmut(copy, *chosen)
        codes = _exit_codes(copy)
        outcome = {name: codes[name] for name in chosen}
        lines = [*_told(outcome, len(population), options.seed), *_survivors(outcome, population)]
    print("\n".join(lines))
    write_part("sample", lines)
    return 0 if 100 * _killed(outcome) >= TARGET * len(outcome) else 1


def _copy_tree(copy: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0"):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    suites = sorted({path.name for pattern in SUITES for path in (copy / "tests").glob(pattern)} - set(LEFT_OUT))
    rest = sorted(path.name for path in copy.iterdir() if path.name not in ("consensus", "node"))
    lists = {
        "globs": [f"{room}/*.py" for room in ROOMS],
        "rest": rest,
        "suites": [f"tests/{name}" for name in suites],
    }
    config = _CONFIG.format(**{name: "\n".join(f"    {item}" for item in items) for name, items in lists.items()})
    (copy / "setup.cfg").write_text(config, encoding="utf-8")


def _mutmut(copy: Path, *names: str) -> None:
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mutmut: {done.stdout[-2_000:]}{done.stderr[-2_000:]}")


def _exit_codes(copy: Path) -> dict[str, int | None]:
    codes: dict[str, int | None] = {}
    for file in sorted((copy / "mutants").rglob("*.py.meta")):
        codes.update(json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"])
    return codes


# --- which mutants mean anything, and what they change ---


def _meaning(copy: Path) -> dict[str, str]:
    """Return what each mutant changes, by its name, without those that change only wording."""
    changes: dict[str, str] = {}
    for name, (before, after) in sorted(_pairs(copy / "mutants")):
        if ast.dump(_Silent().visit(before)) != ast.dump(_Silent().visit(after)):
            changes[name] = _difference(before, after)
    return changes


def _pairs(folder: Path) -> Iterator[tuple[str, tuple[ast.AST, ast.AST]]]:
    """Yield the name of each mutant with the function before and after: mutmut writes all of them side by side."""
    for room in ROOMS:
        for file in sorted((folder / room).glob("*.py")):
            module = file.relative_to(folder).with_suffix("").as_posix().replace("/", ".")
            tree = ast.parse(file.read_text(encoding="utf-8"))
            functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            for name, after in functions.items():
                base, mark, number = name.rpartition("__mutmut_")
                if mark and number.isdigit():
                    yield f"{module}.{name}", (_body(functions[f"{base}__mutmut_orig"]), _body(after))


def _body(function: ast.FunctionDef) -> ast.AST:
    """Return the function under no name, so that two of them compare."""
    return ast.parse(ast.unparse(function).replace(f"def {function.name}(", "def _(", 1))


class _Silent(ast.NodeTransformer):
    """Takes the wording out: arguments of exceptions for people, and what an assertion says."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in WORDY:
            node.args = []
        if ast.unparse(node.func) in ("_require", "self._require", "_unique"):
            node.args = [each for each in node.args if not isinstance(each, ast.Constant)]
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)


def _difference(before: ast.AST, after: ast.AST) -> str:
    """Return the first line that differs, before and after, without most of what is the same in both."""
    lines = zip_longest(ast.unparse(before).splitlines(), ast.unparse(after).splitlines(), fillvalue="")
    one, other = next((a, b) for a, b in lines if a != b)
    start = max(0, _alike(one, other) - CONTEXT)
    end = max(0, _alike(one[start:][::-1], other[start:][::-1]) - CONTEXT)
    return " → ".join(line[start : len(line) - end].strip() for line in (one, other))


def _alike(one: str, other: str) -> int:
    """Return how many characters are the same from the start."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


# --- the part of the page ---


def _told(outcome: Mapping[str, int | None], population: int, seed: int) -> list[str]:
    low, high = _interval(_killed(outcome), len(outcome))
    modules = Counter(name.rsplit(".", 1)[0] for name in outcome)
    killed = _killed(outcome)
    lines = [
        f"mutmut makes {population} mutants; {len(outcome)} were drawn (seed {seed}). Tests kill {killed} of these,",
        f"{_percent(killed, len(outcome))}; of all, with a confidence of 95 %, between {low:.1f} and {high:.1f} %.",
        "",
        "| Module | Mutants | Killed | |",
        "|---|---|---|---|",
    ]
    for room in ROOMS:
        prefix = room.replace("/", ".") + "."
        lines.append(_row(f"**{room}**", {name: code for name, code in outcome.items() if name.startswith(prefix)}))
    for module in sorted(modules):
        lines.append(_row(module, {name: code for name, code in outcome.items() if name.rsplit(".", 1)[0] == module}))
    return lines


def _row(module: str, outcome: Mapping[str, int | None]) -> str:
    killed = _killed(outcome)
    return f"| {module} | {len(outcome)} | {killed} | {_percent(killed, len(outcome))} |"


def _survivors(outcome: Mapping[str, int | None], changes: Mapping[str, str]) -> list[str]:
    lines = ["", "Survivors (a mutant that no test reaches is one too):", ""]
    for name in sorted(outcome):
        if not _is_killed(outcome[name]):
            module = name.rsplit(".", 1)[0]
            unreached = " (not reached)" if outcome[name] == _UNREACHED else ""
            lines.append(f"- {module}{unreached}: `{changes[name].replace('`', chr(39))}`")
    return lines


def _is_killed(code: int | None) -> bool:
    if code not in (0, _UNREACHED, *_KILLED, *_TIMED_OUT):
        raise RuntimeError(f"mutmut says {code}, which is no verdict")
    return code in _KILLED or code in _TIMED_OUT


def _killed(outcome: Mapping[str, int | None]) -> int:
    return sum(_is_killed(code) for code in outcome.values())


def _interval(killed: int, drawn: int) -> tuple[float, float]:
    """Return the bounds of the share in percent (Wilson 1927)."""
    share, square = killed / drawn, SPREAD**2
    middle = share + square / (2 * drawn)
    half = SPREAD * sqrt(share * (1 - share) / drawn + square / (4 * drawn**2))
    scale = 100 / (1 + square / drawn)
    return (middle - half) * scale, (middle + half) * scale


def _percent(killed: int, drawn: int) -> str:
    return f"{100 * killed / drawn:.1f} %" if drawn else "–"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
