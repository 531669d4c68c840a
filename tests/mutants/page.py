"""docs/mutants.md, of two generated parts: what became of the planted mutants, and of a sample of random ones.

One rule: nobody writes figures there by hand. Each part is replaced as a whole by the run that it tells of. Rows of
mutants that were hunted alone since are younger, and the page names them.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.mutants.hunt import Kill
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.planted import ROOMS

PAGE: Final = ROOT / "docs" / "mutants.md"
_BEGIN, _END = "<!-- begin {} -->", "<!-- end {} -->"
_SURVIVOR: Final = "- **"  # begins the row of a mutant that nobody killed
_BY_STORM: Final = " | simulator | "
_ALONE: Final = "Hunted alone since the last run of all (`--only`), so that their rows are younger than the others: "


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who killed a mutant; None if it survived, or if ``trouble`` kept us from knowing."""

    mutant: Mutant
    kill: Kill | None
    trouble: str = ""

    @property
    def as_claimed(self) -> bool:
        """Whether a mutant with an argument survived, and one without died."""
        return not self.trouble and (self.kill is None) == bool(self.mutant.equivalent)


def write_planted(outcomes: Sequence[Outcome], whole: bool = True) -> None:
    """Replace the part of the planted mutants; unless ``whole``, the rows of these mutants alone."""
    rows = ({} if whole else rows_on_page()) | {outcome.mutant.name: _row(outcome) for outcome in outcomes}
    alone = set() if whole else {*alone_on_page(), *(outcome.mutant.name for outcome in outcomes)}
    write_part("planted", planted_part(rows, alone))


def planted_part(rows: Mapping[str, str], alone: Collection[str]) -> list[str]:
    """Return the part that has these rows, by name; those of mutants that are not in the list are left out."""
    told = [mutant.name for _, mutants in ROOMS for mutant in mutants if mutant.name in rows]
    survivors = [rows[name] for name in told if rows[name].startswith(_SURVIVOR)]
    by_storm = sum(_BY_STORM in rows[name] for name in told)
    by_test = len(told) - by_storm - len(survivors)
    lines = [f"{len(told)} mutants: the simulator kills {by_storm}, tests kill {by_test}, {len(survivors)} survive."]
    if alone:
        lines += ["", _ALONE + "; ".join(f"`{name}`" for name in told if name in alone) + "."]
    for room, mutants in ROOMS:
        found = [rows[mutant.name] for mutant in mutants if mutant.name in rows]
        lines += ["", f"### {room}", "", "| Mutant | Breaks | Killed by | Which saw | Seeds |", "|---|---|---|---|---|"]
        lines += [row for row in found if not row.startswith(_SURVIVOR)]
    return [*lines, "", "### Survivors", "", *(survivors or ["None."])]


def write_part(name: str, lines: Iterable[str]) -> None:
    """Replace what stands between the marks of a part."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = _BEGIN.format(name), _END.format(name)
    before, rest = page.split(begin)
    _, after = rest.split(end)
    PAGE.write_text("\n".join([f"{before}{begin}", *lines, f"{end}{after}"]), encoding="utf-8")


def named_on_page() -> list[str]:
    """Return the names of the planted mutants that the page tells of."""
    return [match[1] for match in _matches()]


def rows_on_page() -> dict[str, str]:
    """Return what the page tells of each planted mutant, by name."""
    return {match[1]: match[0] for match in _matches()}


def alone_on_page() -> list[str]:
    """Return the names of the mutants whose rows are younger than the last run of all."""
    found = re.search(rf"^{re.escape(_ALONE)}(.*)$", _planted_on_page(), flags=re.MULTILINE)
    return re.findall(r"`(.+?)`", found[1]) if found else []


def _planted_on_page() -> str:
    page = PAGE.read_text(encoding="utf-8")
    return page.split(_BEGIN.format("planted"))[1].split(_END.format("planted"))[0]


def _matches() -> list[re.Match[str]]:
    rows = re.finditer(r"^(?:\| (?!Mutant )|- \*\*)(.+?)(?: \||\*\* \().*$", _planted_on_page(), flags=re.MULTILINE)
    return list(rows)


def _row(outcome: Outcome) -> str:
    mutant, kill = outcome.mutant, outcome.kill
    if kill is None:
        return f"{_SURVIVOR}{mutant.name}** ({mutant.breaks}): {mutant.equivalent}."
    if kill.seeds:
        return f"| {mutant.name} | {mutant.breaks}{_BY_STORM}`{kill.saw}` | {kill.seeds} |"
    return f"| {mutant.name} | {mutant.breaks} | `{kill.killer}` |  |  |"
