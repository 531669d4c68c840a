"""net: how nodes are linked, and how regularly validators sign."""

import click

from node.cli.session import Session, SomCommand, SomGroup
from node.cli.show import format_time
from node.client.client import Client
from node.rpc import history_types
from node.rpc.history_types import WINDOW_BLOCKS_DEFAULT, WINDOW_BLOCKS_MAX


@click.group(cls=SomGroup)
def net() -> None:
    """Links between nodes, and how regularly validators sign."""


@net.command("peers", cls=SomCommand)
@click.pass_obj
def peers(session: Session) -> None:
    """The nodes that this one has links to, or should have."""
    found = session.ask(Client.peers)
    say = session.say
    rows = [
        (
            peer.name,
            say("yes" if peer.connected else "no"),
            "-" if peer.height is None else peer.height,
            "-" if peer.since_ms is None else format_time(peer.since_ms),
            peer.node_key,
        )
        for peer in found.peers
    ]
    heads = (say("validator"), say("connected"), say("height"), say("since"), say("key"))
    session.data(found, lambda: session.rows(heads, rows, right=(2,)))


@net.command("uptime", cls=SomCommand)
@click.option(
    "--blocks",
    type=click.IntRange(1, WINDOW_BLOCKS_MAX),
    default=WINDOW_BLOCKS_DEFAULT,
    show_default=True,
    help="How many of the latest.",
)
@click.pass_obj
def uptime(session: Session, blocks: int) -> None:
    """How many of the latest blocks each validator signed and led.

    A certificate holds a quorum, seldom all: who is missing in some was late, who is missing in all is away.
    """

    async def question(client: Client) -> history_types.GetUptimeResult:
        return await client.request("validator_getUptime", {"blocks": blocks}, history_types.GetUptimeResult)

    found = session.ask(question)
    say = session.say
    rows = [(row.name, f"{row.signed}/{row.certificates}", row.led, row.passed) for row in found.validators]
    heads = (say("validator"), say("signed_blocks"), say("led"), say("passed"))
    session.data(found, lambda: session.rows(heads, rows, right=(1, 2, 3)))
