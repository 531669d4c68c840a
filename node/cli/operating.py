"""admin why-stalled and drain: what an operator asks at night, and before a stop."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from node.cli.admin import ask_home
from node.cli.draining import Spare, spare
from node.cli.nodes import HomeCommand
from node.cli.session import Exit, Session
from node.cli.stall_texts import told
from node.cli.stalls import Cause, Facts, Voter, diagnose
from node.client.client import Client
from node.client.errors import ClientError
from node.rpc import admin_types

POLL_SECONDS: Final = 0.5
WAIT_SECONDS_DEFAULT: Final = 120
NODES_MAX: Final = 32  # asked at once: a committee and one more


# --- why-stalled ---


async def gather_facts(client: Client, local: bool) -> Facts:
    """Ask a node for all that ``diagnose`` judges; ``local``: by its own socket, which tells more."""
    info, consensus = await client.info(), await client.consensus()
    numbers: dict[str, int] = {}
    errors: dict[str, str] = {}
    if local:
        numbers = (await client.request("admin_getStatus", {}, admin_types.GetStatusResult)).numbers
        links = (await client.request("admin_listPeers", {}, admin_types.ListPeersResult)).peers
        errors = {link.name: link.last_error for link in links if not link.connected}
    return Facts(
        node=info.node,
        height=info.height,
        finalized_height=info.finalized_height,
        block_age_ms=info.now_ms - info.block_time_ms,
        epoch=info.epoch,
        view=info.view,
        leader=info.leader,
        quorum=consensus.quorum_weight,
        total=consensus.total_weight,
        voters=tuple(
            Voter(
                vote.name,
                vote.weight,
                vote.connected,
                vote.notarized,
                vote.nullified,
                vote.finalized,
                errors.get(vote.name, ""),
            )
            for vote in consensus.votes
        ),
        reasons=info.reasons,
        version_next=info.protocol_version_next,
        version_known=info.protocol_version_supported_max,
        numbers=numbers,
    )


@click.command("why-stalled", cls=HomeCommand)
@click.pass_context
def why_stalled(ctx: click.Context, home: Path) -> None:
    """Why the chain does not move: who is missing, what is awaited, what to do, and the page that goes on from there.

    Asks the node of --home by its socket, or with --node any node, which tells less. Ends with 0 if the chain moves.
    """
    session = ctx.find_object(Session)
    assert session is not None
    if session.nodes and ctx.get_parameter_source("home") is ParameterSource.DEFAULT:
        facts = session.ask(lambda client: gather_facts(client, local=False))
    else:
        facts = ask_home(session, home, lambda client: gather_facts(client, local=True))
    findings = diagnose(facts)
    shown: list[tuple[str, object]] = []
    for number, finding in enumerate(findings, 1):
        what, do = told(finding, session.language)
        shown += [(f"{number}.", what), ("  →", do), *([("", finding.runbook)] if finding.runbook else [])]
    session.data(
        {
            "node": facts.node,
            "height": facts.height,
            "findings": [
                {
                    "cause": finding.cause,
                    "names": finding.names,
                    "figures": finding.figures,
                    "what": told(finding, session.language)[0],
                    "do": told(finding, session.language)[1],
                    "runbook": finding.runbook,
                }
                for finding in findings
            ],
        },
        lambda: session.pairs(shown),
    )
    if findings[0].cause is not Cause.MOVES:
        raise click.exceptions.Exit(Exit.ERROR)


# --- drain ---


@click.command("drain", cls=HomeCommand)
@click.option("--stop", is_flag=True, help="End the node when nothing waits any more.")
@click.option("--undo", is_flag=True, help="Take clients again.")
@click.option("--wait", "wait_seconds", type=click.IntRange(0), default=WAIT_SECONDS_DEFAULT, show_default=True)
@click.pass_obj
def drain(session: Session, home: Path, stop: bool, undo: bool, wait_seconds: int) -> None:
    """Make a validator ready to be stopped, if the others have a quorum without it.

    Asks the validators whose RPC is given with --node whether they are ready; for the others counts whether they are
    linked and heard. Then the node turns clients away (they go to another), and goes on voting until what it took in is
    executed.
    """
    if undo:
        done = ask_home(session, home, lambda client: _set(client, on=False))
        session.data(done, lambda: session.pairs([(session.say("drain_undone"), session.say("yes"))]))
        return
    left, waiting = ask_home(session, home, lambda client: _drain(session, client, stop, wait_seconds))
    if not left.safe:
        away = ", ".join(left.away) or "-"
        session.end(Exit.ERROR, f"{session.say('drain_refused')}: {left.remaining} < {left.quorum}; {away}")
    session.data(
        {"remaining": left.remaining, "quorum": left.quorum, "away": left.away, "waiting": waiting, "stopped": stop},
        lambda: session.pairs(
            [
                (session.say("weight"), f"{left.remaining} ≥ {left.quorum}" if left.votes else "-"),
                (session.say("waiting"), waiting),
            ]
        ),
    )
    if waiting:
        session.end(Exit.PENDING, session.say("drain_waits"))
    session.words(session.say("drain_stops" if stop else "drained"))


async def _drain(session: Session, client: Client, stop: bool, wait_seconds: int) -> tuple[Spare, int]:
    """Return what is left without the node, and how many transactions still wait. Nothing is done if it is too little.

    What is left is asked again at the end: somebody else may have gone meanwhile.
    """
    left = await _without(client, session)
    if not left.safe:
        return left, 0
    waiting = (await _set(client, on=True)).waiting
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while waiting and loop.time() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        waiting = (await _set(client, on=True)).waiting
    left = await _without(client, session)
    if not left.safe:
        await _set(client, on=False)
    elif stop and not waiting:
        await client.request("admin_stop", {}, admin_types.StopResult)
    return left, waiting


async def _set(client: Client, on: bool) -> admin_types.DrainResult:
    return await client.request("admin_drain", {"on": on}, admin_types.DrainResult)


async def _without(client: Client, session: Session) -> Spare:
    """Return what is left without the node that ``client`` speaks with."""
    status = await client.request("admin_getStatus", {}, admin_types.GetStatusResult)
    info, committee, peers = await client.info(), await client.validators(), await client.peers()
    keys = {peer.node_key for peer in peers.peers if peer.connected}
    present = {row.name for row in committee.validators if row.node_key in keys and row.name not in status.missing}
    asked = await asyncio.gather(*(_state(session, url) for url in session.nodes[:NODES_MAX]))
    for url, found in zip(session.nodes, asked, strict=False):
        if found is None:  # perhaps its RPC is closed to us: then its link has to do
            session.words(f"{session.say('not_reachable')}: {url}")
            continue
        name, genesis_hash, ready = found
        if genesis_hash != info.genesis_hash:
            raise ClientError(f"{url}: {session.say('other_genesis')}")
        (present.add if ready else present.discard)(name)
    weights = {row.name: row.weight for row in committee.validators}
    return spare(status.node, weights, committee.quorum_weight, present)


async def _state(session: Session, url: str) -> tuple[str, str, bool] | None:
    try:
        async with Client((url,), language=session.language) as client:
            info = await client.info()
    except ClientError:
        return None
    return info.node, info.genesis_hash, info.ready


COMMANDS: Final[Sequence[Any]] = (why_stalled, drain)
