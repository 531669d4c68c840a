"""One word for one thing: the texts in Kyrgyz and in Russian say what docs/glossary.md says."""

import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parent.parent
CYRILLIC: Final = re.compile(r"[\u0400-\u04ff]")
ENDING: Final = 2  # letters of a word that its forms change


class Row(NamedTuple):
    """One thing: its words in each language, and beginnings of words that are not said."""

    english: str
    kyrgyz: list[str]
    russian: list[str]
    unsaid: list[str]


def rows() -> list[Row]:
    found = []
    for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and set(cells[0]) != {"-"} and cells[0] != "English":
            english, kyrgyz, russian, _, unsaid = cells
            found.append(Row(english, kyrgyz.split(", "), russian.split(", "), unsaid.split(", ") if unsaid else []))
    return found


def lines() -> list[tuple[str, str]]:
    """Return (place, line) of all lines of the program that people may read in another language."""
    files = [each for room in ("node", "devnet") for kind in ("*.py", "*.json") for each in (ROOT / room).rglob(kind)]
    return [
        (f"{path.relative_to(ROOT)}:{number}", line.lower())
        for path in sorted(files)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if CYRILLIC.search(line)
    ]


LINES: Final = lines()
ROWS: Final = rows()


def test_the_glossary_is_read_whole() -> None:
    assert len(ROWS) == 29
    assert len(LINES) > 2_000


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.english)
def test_a_thing_is_called_by_its_word_alone(row: Row) -> None:
    wrong = [
        f"{place}: {unsaid}"
        for unsaid in row.unsaid
        for place, line in LINES
        if re.search(rf"(?<!\w){re.escape(unsaid)}", line)
    ]
    assert wrong == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.english)
def test_each_word_of_the_glossary_is_used(row: Row) -> None:
    for words in (row.kyrgyz, row.russian):
        for word in words:
            stem = word[:-ENDING] if len(word) > 2 * ENDING else word
            assert any(re.search(rf"(?<!\w){re.escape(stem)}", line) for _, line in LINES), word
