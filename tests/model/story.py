"""Counterexamples as text that a person can follow."""

from collections.abc import Iterator

from tests.model.chain import Block, Broken, View, length
from tests.model.view import Step

NAMES = "ABCDEFG"


def tell(broken: Broken) -> str:
    """Tell a run that breaks a property, step by step."""
    lines = [f"{broken.broken}, after {length(broken.run)} steps"]
    for view in broken.run:
        if view.steps:
            lines += _tell_view(view)
    lines += [f"  {line}" for line in _results(broken)]
    return "\n".join(lines)


def _tell_view(view: View) -> Iterator[str]:
    leader = "honest A" if view.leader_is_honest else "a liar"
    yield f"  view {view.number}, led by {leader}; blocks that may be voted for: {_listed(view.blocks) or 'none'}"
    for step in view.steps:
        yield f"    {_tell_step(view, step)}"


def _tell_step(view: View, step: Step) -> str:
    count = len(view.blocks)
    bit = step.statement.bit_length() - 1
    if step.validator is None:
        certificate = (
            "the nullification" if bit == 2 * count else f"the {_kind(bit, count)} of {view.blocks[bit % count]}"
        )
        return f"honest validators learn {certificate} of view {view.number}"
    if bit == 2 * count:
        return f"{NAMES[step.validator]} NULLIFY"
    return f"{NAMES[step.validator]} {'FINALIZE' if bit >= count else 'NOTARIZE'} {view.blocks[bit % count]}"


def _kind(bit: int, count: int) -> str:
    return "finalization" if bit >= count else "notarization"


def _results(broken: Broken) -> Iterator[str]:
    for view in broken.run:
        parts = [
            f"notarized {_listed(view.notarized)}" if view.notarized else "",
            "nullified" if view.nullified else "",
            f"finalized {_listed(view.finalized)}" if view.finalized else "",
        ]
        yield f"=> view {view.number}, with the liars' votes: {'; '.join(filter(None, parts)) or 'no certificate'}"


def _listed(blocks: tuple[Block, ...]) -> str:
    return ", ".join(map(str, blocks))
