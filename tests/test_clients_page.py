"""docs/clients.md does what it says: every command block is pasted into a shell, against a chain with the devnet's people.

What `make devnet` itself prints is pasted by tests/test_devnet.py.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from devnet.generate import seed_of
from node.storage.keystore import ANY_CHAIN, write_key
from tests.cli_lab import Som, som_lab
from tests.devnet_lab import ROOT, paste

PAGE: Final = (ROOT / "docs" / "clients.md").read_text()
EXAMPLE: Final = ROOT / "docs" / "examples" / "pay.py"
EXAMPLE_LINES_MAX: Final = 30


def blocks() -> list[str]:
    """Return the fenced blocks of commands, in their order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [block for language, block in found if not language]


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path, demo=True) as found:
        yield found


def lay_out(som: Som) -> None:
    """Make the user's folder what the page says that it is: the project's, after `make devnet`."""
    (som.home / ".devnet" / "local").mkdir(parents=True)
    shutil.copy(som.home / "genesis.json", som.home / ".devnet" / "local")
    shutil.copy(som.home / "accounts.json", som.home / ".devnet")
    (som.home / "docs").symlink_to(ROOT / "docs")
    (som.home / "bin").mkdir()
    python = som.home / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (som.home / "decision.pdf").write_bytes(b"a decision of a court")
    for file, name in (("enforcer", "enforcer"), ("board-1", "nbkr-board-1"), ("board-2", "nbkr-board-2")):
        write_key(som.home / f"{file}.json", seed_of(name), "operator", ANY_CHAIN, None)


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(900)  # some thirty programs, one after the other, on a machine that may have other work
def test_every_command_block_of_the_page_works_when_pasted(som: Som) -> None:
    lay_out(som)
    said = [paste([block], som.home, SOM_NODE=som.url) for block in blocks()]
    everything = "\n".join(said)
    assert len(said) == 7
    assert [text for text in ("applied", "12.50", "pending", '"jsonrpc"') if text not in everything] == []
    first, second = next(text for text in said if "which block" in text).splitlines()
    assert first == second  # run twice, paid once


def test_the_page_shows_commands_that_som_has_and_names_files_that_are_there() -> None:
    assert all(block.strip() for block in blocks())
    for name in re.findall(r"`((?:tests|node|docs)/[\w/]+\.(?:py|json|md))`", PAGE):
        assert (ROOT / name).exists(), name


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= EXAMPLE_LINES_MAX
