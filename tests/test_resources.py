"""`make resources`: what its table says follows from what it has measured."""

from pathlib import Path

import pytest

from devnet.bench.measure import Machine
from devnet.bench.plots import PageError, put_between
from devnet.resources import BEGIN, END, START_SECONDS_MAX, Resources, Taken, main, memory_of, table

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
MACHINE = Machine("a processor", 2, 2**34, "6.1", "3.11.2", 0.25)
FEW = Taken(1_000, 0, 60_000_000, 27_000_000, 400_000, 2.0, 5.0)
MANY = Taken(501_000, 0, 90_000_000, 90_000_000, 130_400_000, 5.0, 15.0)
PAID = Taken(501_000, 100_000, 101_000_000, 95_000_000, 210_400_000, 5.5, 16.0)


def test_a_million_more_is_what_the_difference_says() -> None:
    rows = {
        cells[0].strip("* "): [cell.strip() for cell in cells[1:]]
        for line in table(Resources(MACHINE, 50.0, (FEW, MANY, PAID))).splitlines()
        if line.startswith("| ")
        for cells in [line.strip("|").split("|")]
    }
    assert rows["1,000 accounts"] == ["60", "27", "0", "2.0", "5.0"]
    assert rows["501,000 accounts, 100,000 payments"] == ["101", "95", "210", "5.5", "16.0"]
    assert rows["a million accounts more"] == ["60", "", "260", "", "20.0"]
    assert rows["a million payments more, within their window"] == ["110", "", "800", "", "10.0"]


def test_memory_of_its_own_is_told_from_what_the_kernel_can_take_back() -> None:
    assert memory_of("Name:\tsom\nVmRSS:\t  99 kB\nRssAnon:\t   60 kB\nRssFile:\t   38 kB\n") == (60 * 1024, 38 * 1024)


@pytest.mark.parametrize(("seconds", "faults"), [(START_SECONDS_MAX, 0), (START_SECONDS_MAX + 0.1, 1)])
def test_a_validator_with_a_million_accounts_that_starts_too_late_is_a_fault(seconds: float, faults: int) -> None:
    late = Taken(1_000_000, 0, 1, 1, 1, seconds, 60.0)
    larger = Taken(7_000_000, 0, 1, 1, 1, 99.0, 99.0)
    assert len(Resources(MACHINE, 50.0, (FEW, late, larger)).faults) == faults


def test_the_table_has_its_place_on_the_page() -> None:
    page = PAGE.read_text()
    assert "new" in put_between(page, "new", BEGIN, END)
    with pytest.raises(PageError, match="resources"):
        put_between(page.replace(END, ""), "new", BEGIN, END)


@pytest.mark.parametrize("arguments", [["--accounts", "1999"], ["--payments", "0"]])
def test_too_little_is_not_measured(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
