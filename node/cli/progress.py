"""How far a long command is: a bar for people at a terminal, lines of JSON for programs. Both go to stderr.

One rule: progress is words, not data; whoever does not look at it misses nothing.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from node.cli.session import Session

Report = Callable[[str, int, int], None]  # the name of the stage in texts.py, how many are done, of how many


@contextmanager
def reported(session: Session) -> Iterator[Report]:
    """Yield what is told how far each stage is: ``{"stage": ..., "done": ..., "total": ...}`` under --json."""
    if session.as_json:
        yield lambda stage, done, total: click.echo(
            json.dumps({"stage": stage, "done": done, "total": total}), err=True
        )
        return
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(session.say(stage), total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield tell
