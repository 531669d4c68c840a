"""The plugin of `make test-native`: tests of the compiled packages, which another folder has.

    pytest -p tests.native

One rule: nothing runs if what is imported is not compiled.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SITE: Final = ROOT / ".make" / "native"


def pytest_configure() -> None:
    """Put the compiled packages before all others, here and in the processes that tests start."""
    sys.path.insert(0, str(SITE))
    os.environ["PYTHONPATH"] = f"{SITE}{os.pathsep}{ROOT}"
    os.environ["PYTHONSAFEPATH"] = "1"
    for name in ("consensus", "devnet", "network", "node"):  # pytest will put the project's root before them
        package = importlib.import_module(name)
        if not str(package.__file__).startswith(str(SITE)):
            raise pytest.UsageError(f"{package.__file__} is not in {SITE}: make native")
    if not importlib.import_module("node.build").is_native():
        raise pytest.UsageError(f"what is in {SITE} is not compiled: make native")


def pytest_report_header() -> str:
    """Say whose code it is."""
    return f"compiled: {SITE}"
