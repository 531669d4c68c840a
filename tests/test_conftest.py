"""What conftest.py promises of the suite itself."""

import os

import pytest


@pytest.mark.processes
def test_who_starts_processes_that_serve_shares_one_worker(request: pytest.FixtureRequest) -> None:
    """xdist reads a test's group from the end of its id, and without a word from nowhere else."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    assert alone or request.node.nodeid.endswith("@processes")
