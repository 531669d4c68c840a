"""The bench of the ledger runs, measures every operation, and leaves a state that adds up (its audit is in the run)."""

import json
from pathlib import Path

import pytest

from devnet.bench.ledger import ACCOUNTS_MIN, Cost, Row, goals, main

OPERATIONS = ("pay", "hold", "settle", "account", "asset", "attest", "order", "param")


@pytest.mark.slow
def test_the_bench_measures_all_eight_operations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tmp_path / "costs.json"
    arguments = ["--rounds", "1", "--directory", str(tmp_path / "bench"), "--json", str(told)]
    assert main(["--accounts", str(ACCOUNTS_MIN), *arguments]) == 0
    rows = json.loads(told.read_text())[str(ACCOUNTS_MIN)]
    assert {name.split(":")[0] for name in rows} >= set(OPERATIONS)
    assert all(row[part] >= 0 for row in rows.values() for part in ("apply", "commit", "store"))
    assert "goal 25" in capsys.readouterr().out
    assert not (tmp_path / "bench").exists()


def test_a_goal_that_is_missed_is_said_to_be_missed() -> None:
    slow, quick = Row("leg", [Cost(30.0, 1, 1)]), Row("leg", [Cost(9.0, 1, 1)])
    told = goals({5: {"pay": slow, "pay, 1,000 legs far apart": quick}})
    assert [line.rpartition(" ")[2] for line in told] == ["MISSED", "met"]
