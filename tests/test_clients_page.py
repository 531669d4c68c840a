"""docs/clients.md does what it says: its commands are pasted into a shell, against a chain with the devnet's people.

What `make devnet` itself prints is pasted by tests/test_devnet.py.
"""

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Final

import pytest

from devnet.generate import seed_of
from node.client.outbox import State
from node.storage.keystore import ANY_CHAIN, write_key
from tests.cli_lab import Som, som_lab
from tests.devnet_lab import ROOT, paste
from tests.solo_chain import ALICE, BOB, key, serving, solo_chain

PAGE: Final = (ROOT / "docs" / "clients.md").read_text()
EXAMPLE: Final = ROOT / "docs" / "examples" / "pay.py"
EXAMPLE_LINES_MAX: Final = 30


def blocks(language: str = "") -> list[str]:
    """Return the fenced blocks of a language, in their order; without one they are commands."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [block for said, block in found if said == language]


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
    assert [text for text in ("applied", "12.50", '"jsonrpc"') if text not in everything] == []
    first, second = next(text for text in said if "which block" in text).splitlines()
    assert first == second  # run twice, paid once
    # Whether the time-out was one depends on the machine. Whatever it was, it is one transaction, final, paid once.
    (late,) = [text for block, text in zip(blocks(), said, strict=True) if "--timeout 0" in block]
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", late))) == 1, late
    assert late.rpartition("Status")[2].split()[0] == "applied", late
    paid = [entry["amount"] for entry in som.json("account", "history", "bakyt", "--limit", "200")["entries"]]
    assert (paid.count("1250"), paid.count("300")) == (1, 1)


async def test_the_library_block_of_the_page_pays_and_proves(tmp_path: Path) -> None:
    (block,) = blocks("python")
    given = "urls, path, genesis, payer, payee, key"
    file = tmp_path / "block.py"
    file.write_text(f"async def run({given}):\n{textwrap.indent(block, '    ')}    return settled, proven\n")
    spec = spec_from_file_location("block", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    async with solo_chain(tmp_path / "chain") as chain, serving(chain) as url:
        settled, proven = await module.run([url], tmp_path / "outbox", chain.genesis, ALICE, BOB, key("alice"))
        paid = chain.ledger.account(BOB)
    assert (settled.state, proven.height, proven.receipt.applied) == (State.APPLIED, settled.height, True)
    assert paid is not None
    assert paid.balance() == 12_34


def test_the_files_that_the_page_names_are_there() -> None:
    for name in re.findall(r"`((?:tests|node|docs)/[\w/]+\.(?:py|json|md))`", PAGE):
        assert (ROOT / name).exists(), name


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= EXAMPLE_LINES_MAX
