"""The ledger and its model (tests/ledger_model/, from docs/ledger.md alone) agree; `make ledger-campaign` for long."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from node.ledger.errors import Code
from tests.ledger_model import acts, model, money
from tests.ledger_model.__main__ import main
from tests.ledger_model.campaign import HASH_SEEDS, ROOT, Table, digests, run_and_replay
from tests.ledger_model.chain import Disagreement, Result, run

SEEDS = (2, 3, 4)
TRANSACTIONS = 1_500

# Too seldom for so short a run; the campaign fails without them.
SELDOM = {
    Code.EXISTS, Code.KEYS, Code.AMOUNT, Code.LIMIT_DAY, Code.ISSUER_TAKEN, Code.RESERVE_TAKEN, Code.PAYEE, Code.BASIS,
    Code.KEY, Code.COMMITTEE, Code.NOT_READY, Code.MAX_SUPPLY, Code.ATTESTATION_OLD,
}  # fmt: skip


@cache
def ran(seed: int) -> Result:
    return run_and_replay(seed, TRANSACTIONS)


@pytest.mark.parametrize("seed", SEEDS)
def test_thousands_of_random_transactions_end_as_in_the_model(seed: int) -> None:
    """And their blocks end alike after restarts and with one account in memory."""
    result = ran(seed)
    assert result.transactions >= TRANSACTIONS
    assert len(result.roots) > 20


def test_the_random_transactions_reach_the_rules() -> None:
    table = Table()
    for seed in SEEDS:
        table.add(ran(seed))
    assert 0.3 < table.failing < 0.8
    assert set(table.applied) == {(1,), (2,), (3,), *model.ACTS}
    assert {Code[name] for name in table.unseen()} <= SELDOM


@pytest.mark.children
def test_another_hash_of_strings_gives_the_same_roots() -> None:
    found = digests(SEEDS[0], 300)
    assert len(found) == len(HASH_SEEDS)
    assert set(found) == {run(SEEDS[0], 300).digest}


def nothing(*_: Any) -> None:
    """A rule left out."""


@pytest.mark.parametrize(
    ("room", "name", "other"),
    [
        (money, "_require_payer", nothing),
        (money, "_check_room", nothing),
        (money, "_require_registered", nothing),
        (money, "_take_ref", nothing),
        (acts, "_set_flags", nothing),
        (acts, "_note_status", nothing),
        (model, "SWEPT_MAX", 0),
        (model, "CHECKPOINT_EVERY", 17),
    ],
)
def test_a_rule_that_only_one_of_them_has_is_noticed(
    room: ModuleType, name: str, other: Callable[..., None] | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, name, other)
    with pytest.raises(Disagreement, match=r"see it again: python -m tests.ledger_model --chain 1$"):
        run(1, 3_000)


def test_a_campaign_fails_for_a_code_that_was_never_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--transactions", "60", "--seed", "5"]) == 1
    assert "never seen: " in capsys.readouterr().out


def test_a_chain_is_told_alone() -> None:
    command = [sys.executable, "-m", "tests.ledger_model", "--chain", "4", "--transactions", "100"]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "302 INSUFFICIENT" in told
    assert "operations applied, by number and act: 1: " in told
