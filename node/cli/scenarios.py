"""scenario: what the ledger is for, played on four validators and told in Kyrgyz, Russian or English."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.session import Exit, Session, SomCommand
from node.ledger.errors import text as ledger_text

if TYPE_CHECKING:
    from devnet.scenarios.rows import Scenario
    from devnet.scenarios.stage import Line

MARKS = {"applied": "✓", "refused": "✗", "fact": "="}


@click.command("scenario", cls=SomCommand)
@click.argument("row", required=False)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".devnet/scenario"),
    show_default=True,
    help="Of the validators that are started; made anew.",
)
@click.pass_obj
def scenario(session: Session, row: str | None, directory: Path) -> None:
    """Play ROW, a name or a number, or `all`; without ROW list them. Starts four validators, unless --node names a
    devnet that runs.
    """
    from devnet.money import DevnetRefused
    from devnet.processes import DevnetError
    from devnet.scenarios.play import play
    from devnet.scenarios.rows import SCENARIOS, find_scenario
    from devnet.scenarios.stage import Unexpected

    if row is None:
        _list(session, SCENARIOS)
        return
    found = find_scenario(row)
    if found is None and row != "all":
        raise click.BadParameter(f"{row!r}: {', '.join(each.name for each in SCENARIOS)}, all", param_hint="ROW")
    told = SCENARIOS if found is None else (found,)
    numbers = {each.name: number for number, each in enumerate(SCENARIOS, 1)}

    def hear(playing: "Scenario", line: "Line | None") -> None:
        if line is None:
            _begin(session, numbers[playing.name], playing)
        else:
            _tell(session, playing, line)

    try:
        asyncio.run(play(told, session.nodes, directory, hear))
    except (Unexpected, DevnetError, DevnetRefused) as error:
        session.end(Exit.ERROR, f"{session.say('error')}: {error}")


def _list(session: Session, scenarios: "tuple[Scenario, ...]") -> None:
    rows = [(number, each.name, getattr(each.title, session.language)) for number, each in enumerate(scenarios, 1)]
    value = [{"number": number, "name": name, "title": title} for number, name, title in rows]
    session.data(value, lambda: session.rows(("#", "som scenario", ""), rows))


def _begin(session: Session, number: int, playing: "Scenario") -> None:
    if not session.as_json:
        click.secho(f"\n{number}. {getattr(playing.title, session.language)}", bold=True)


def _tell(session: Session, playing: "Scenario", line: "Line") -> None:
    text = getattr(line.words, session.language)
    if session.as_json:
        code = None if line.code is None else int(line.code)
        told = {"scenario": playing.name, "kind": line.kind, "text": text, "tx_id": line.tx_id, "code": code}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    click.echo(f"  {MARKS[line.kind]} {text}")
    if line.code:
        click.secho(f"      {int(line.code)} {line.code.name}: {ledger_text(line.code, session.language)}", dim=True)
