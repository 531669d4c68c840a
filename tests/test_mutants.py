"""Planted faults are noticed; the list of them cannot rot, and docs/mutants.md tells of all. docs/mutants.md."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutants.__main__ import hunt_apart
from tests.mutants.hunt import Kill
from tests.mutants.mutant import ROOT, Edit, Mutant, Suite, mutated, plant
from tests.mutants.page import (
    PAGE,
    Outcome,
    alone_on_page,
    named_on_page,
    planted_part,
    rows_on_page,
    write_planted,
)
from tests.mutants.planted import MUTANTS, SOUND

QUICKLY_KILLED = (
    "finalize after nullify",
    "vote not persisted",
    "commit on notarization",
    "guard not synced",
    "no balance check",
    "blind to skipped views",
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_has_its_place_and_is_code(mutant: Mutant) -> None:
    for file, source in mutated(mutant.edits).items():
        compile(source, file, "exec")
    assert all(edit.old != edit.new for edit in mutant.edits)
    assert mutant.killers


def test_no_two_mutants_are_the_same() -> None:
    assert [name for name, times in Counter(mutant.name for mutant in MUTANTS).items() if times > 1] == []
    assert [edits for edits, times in Counter(mutant.edits for mutant in MUTANTS).items() if times > 1] == []


def test_every_named_test_file_is_there() -> None:
    paths = {path for killer in SOUND.killers if isinstance(killer, Suite) for path in killer.paths}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_a_text_that_occurs_not_once_is_no_place() -> None:
    for text in ("no such text", "self"):
        with pytest.raises(ValueError, match="times"):
            mutated((Edit("consensus/core.py", text, ""),))


def test_what_is_imported_already_can_not_be_changed() -> None:
    with pytest.raises(ValueError, match="imported already"):
        plant((Edit("tests/mutants/mutant.py", "class Mutant:", "class Mutant: #"),))


@pytest.mark.children
@pytest.mark.parametrize("name", QUICKLY_KILLED)
def test_a_planted_fault_is_noticed(name: str) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    assert hunt_apart(mutant) is not None


@pytest.mark.children
def test_the_changed_source_is_what_runs_and_the_tree_is_not_touched() -> None:
    file = "consensus/committee.py"
    before = (ROOT / file).read_bytes()
    program = (
        "from tests.mutants.mutant import Edit, plant\n"
        f"plant((Edit({file!r}, 'VALIDATORS_MAX: Final = 31', 'VALIDATORS_MAX: Final = 7'),))\n"
        "import consensus.messages\n"
        "print(consensus.messages.VALIDATORS_MAX)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"
    assert (ROOT / file).read_bytes() == before


@pytest.mark.parametrize(
    ("equivalent", "kill", "trouble", "as_claimed"),
    [
        ("", Kill("test_x.py::test_y", "assert 1 == 2", 0), "", True),
        ("", None, "", False),
        ("the same for everyone", None, "", True),
        ("the same for everyone", Kill("simulator", "agreement", 3), "", False),
        ("the same for everyone", None, "the tests did not run", False),
    ],
)
def test_a_survivor_needs_an_argument_and_a_dead_one_has_none(
    equivalent: str, kill: Kill | None, trouble: str, as_claimed: bool
) -> None:
    mutant = Mutant("x", "R1", (), (), equivalent)
    assert Outcome(mutant, kill, trouble).as_claimed is as_claimed


def test_the_page_tells_of_every_mutant_and_of_no_other() -> None:
    assert sorted(named_on_page()) == sorted(mutant.name for mutant in MUTANTS)


def test_the_page_is_what_its_rows_make_of_it() -> None:
    rows = rows_on_page()
    part = planted_part(rows, alone_on_page())
    page = PAGE.read_text(encoding="utf-8")
    assert "\n".join(["<!-- begin planted -->", *part, "<!-- end planted -->"]) in page
    assert part[0].startswith(f"{len(rows)} mutants: ")


def test_a_run_of_some_renews_their_rows_and_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "mutants.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr("tests.mutants.page.PAGE", page)
    before = rows_on_page()
    killed, stormed, survivor, *_ = MUTANTS
    outcomes = [
        Outcome(killed, Kill("test_x.py::test_y", "assert 1 == 2", 0)),
        Outcome(stormed, Kill("simulator", "agreement", 3)),
        Outcome(replace(survivor, equivalent="the same for everyone"), None),
    ]
    write_planted(outcomes, whole=False)
    after = rows_on_page()
    assert {name for name, row in after.items() if row != before[name]} == {each.mutant.name for each in outcomes}
    assert after[killed.name] == f"| {killed.name} | {killed.breaks} | `test_x.py::test_y` |  |  |"
    assert after[stormed.name] == f"| {stormed.name} | {stormed.breaks} | simulator | `agreement` | 3 |"
    assert after[survivor.name] == f"- **{survivor.name}** ({survivor.breaks}): the same for everyone."
    assert {killed.name, stormed.name, survivor.name} <= set(alone_on_page())
    write_planted([Outcome(mutant, Kill("test_x.py::test_y", "", 0)) for mutant in MUTANTS])
    assert alone_on_page() == []
    assert len(rows_on_page()) == len(MUTANTS)
