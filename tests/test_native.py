"""A compiled node is the same node (setup.py). `make test-native` runs this on it; here is said what it must be."""

import importlib
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import pytest

from node.build import VERSION, is_native
from tests.native import ROOT

MODULES: Final[tuple[str, ...]] = runpy.run_path(str(ROOT / "setup.py"))["MODULES"]

compiled = pytest.mark.skipif(not is_native(), reason="nothing is compiled here: make test-native")


def said(arguments: Sequence[str], *, native: bool) -> str:
    """Return what a program of ours prints under the compiled packages, or under the source as it is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") or native}
    done = subprocess.run(
        (sys.executable, "-m", *arguments), env=environment, cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_what_is_compiled_is_there() -> None:
    assert len(set(MODULES)) == len(MODULES)
    assert [name for name in MODULES if not (ROOT / name).is_file()] == []


def test_the_version_says_whether_a_node_is_compiled() -> None:
    assert VERSION.endswith("+native") == is_native()


@compiled
@pytest.mark.parametrize("name", MODULES)
def test_a_compiled_node_runs_no_module_of_the_list_from_its_source(name: str) -> None:
    module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
    assert str(module.__file__).endswith(".so")


@compiled
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_blocks_have_the_same_receipts_and_roots_compiled_or_not(seed: int) -> None:
    arguments = ("tests.ledger_model", "--chain", str(seed), "--transactions", "1000", "--hash")
    assert said(arguments, native=True) == said(arguments, native=False) != ""


@compiled
def test_simulated_clusters_do_the_same_compiled_or_not() -> None:
    arguments = ("tests.simulation", "--seeds", "5", "--first", "90", "--hash")
    hashes = [said(arguments, native=native).splitlines()[:5] for native in (True, False)]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 5
