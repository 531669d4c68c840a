"""docs/mutants.md, of two generated parts: what became of the planted mutants, and of a sample of random ones.

One rule: nobody writes figures there by hand; each part is replaced as a whole by the run that it tells of.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.mutants.hunt import Kill
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.planted import ROOMS

PAGE: Final = ROOT / "docs" / "mutants.md"
_BEGIN, _END = "<!-- begin {} -->", "<!-- end {} -->"


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


def write_planted(outcomes: Sequence[Outcome]) -> None:
    """Replace the part of the planted mutants."""
    by_name = {outcome.mutant.name: outcome for outcome in outcomes}
    by_storm = sum(outcome.kill is not None and outcome.kill.seeds > 0 for outcome in outcomes)
    survivors = [outcome for outcome in outcomes if outcome.kill is None]
    by_test = len(outcomes) - by_storm - len(survivors)
    lines = [
        f"{len(outcomes)} mutants: the simulator kills {by_storm}, tests kill {by_test}, {len(survivors)} survive."
    ]
    for room, mutants in ROOMS:
        lines += ["", f"### {room}", "", "| Mutant | Breaks | Killed by | Which saw | Seeds |", "|---|---|---|---|---|"]
        lines += [_row(by_name[mutant.name]) for mutant in mutants if by_name[mutant.name].kill is not None]
    lines += ["", "### Survivors", ""]
    lines += [f"- **{each.mutant.name}** ({each.mutant.breaks}): {each.mutant.equivalent}." for each in survivors]
    write_part("planted", lines if survivors else [*lines, "None."])


def write_part(name: str, lines: Iterable[str]) -> None:
    """Replace what stands between the marks of a part."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = _BEGIN.format(name), _END.format(name)
    before, rest = page.split(begin)
    _, after = rest.split(end)
    PAGE.write_text("\n".join([f"{before}{begin}", *lines, f"{end}{after}"]), encoding="utf-8")


def named_on_page() -> list[str]:
    """Return the names of the planted mutants that the page tells of."""
    page = PAGE.read_text(encoding="utf-8")
    part = page.split(_BEGIN.format("planted"))[1].split(_END.format("planted"))[0]
    rows = re.findall(r"^\| (.*?) \|", part, flags=re.MULTILINE)
    return [name for name in rows if name != "Mutant"] + re.findall(r"^- \*\*(.*?)\*\* \(", part, flags=re.MULTILINE)


def _row(outcome: Outcome) -> str:
    mutant, kill = outcome.mutant, outcome.kill
    assert kill is not None
    killer = kill.killer if kill.seeds else f"`{kill.killer}`"
    saw = f"`{kill.saw}`" if kill.seeds else ""
    return f"| {mutant.name} | {mutant.breaks} | {killer} | {saw} | {kill.seeds or ''} |"
