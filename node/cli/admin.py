"""admin: the operator's word with a node that runs, by the socket in its home. Each call is in its audit log."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from node.audit_log import DIRECTORY, AuditBroken, verified
from node.cli.nodes import HomeCommand
from node.cli.session import Exit, Session, SomGroup
from node.cli.show import format_time
from node.cli.signing import key_header
from node.client.client import Client
from node.home import read_config
from node.log import LEVELS
from node.rpc import admin_types as types
from node.storage.sockets import reachable

T = TypeVar("T")
LOCAL = "http://localhost"


@click.group(cls=SomGroup)
def admin() -> None:
    """Speak with a running node by the socket in its home. Every call is written into its audit log."""


@admin.command("status", cls=HomeCommand)
@click.pass_obj
def status(session: Session, home: Path) -> None:
    """How the node does: readiness, queues, sizes."""
    found = ask_home(session, home, lambda client: client.request("admin_getStatus", {}, types.GetStatusResult))
    say = session.say
    session.data(
        found,
        lambda: session.pairs(
            [
                (say("validator"), found.node),
                ("som", found.version),
                (say("time"), format_time(found.started_ms)),
                (say("ready"), say("yes") if found.ready else f"{say('no')}: {'; '.join(found.reasons)}"),
                ("rpc.access", found.access),
                ("log.level", found.log_level),
                *found.numbers.items(),
            ]
        ),
    )


@admin.command("peers", cls=HomeCommand)
@click.pass_obj
def peers(session: Session, home: Path) -> None:
    """The links: addresses, round trips, scores, errors."""
    found = ask_home(session, home, lambda client: client.request("admin_listPeers", {}, types.ListPeersResult))
    say = session.say
    rows = [
        (
            link.name,
            link.address,
            say("yes") if link.connected else say("no"),
            "-" if link.height is None else link.height,
            "-" if link.rtt_ms is None else link.rtt_ms,
            link.score,
            link.last_error,
        )
        for link in found.peers
    ]
    columns = (say("validator"), say("address"), say("peers"), say("height"), "ms", "score", say("error"))
    session.data(found.peers, lambda: session.rows(columns, rows, right=(3, 4, 5)))


@admin.command("disconnect", cls=HomeCommand)
@click.argument("name")
@click.pass_obj
def disconnect(session: Session, home: Path, name: str) -> None:
    """End the link with a peer; it is dialled anew at once."""
    found = ask_home(
        session,
        home,
        lambda client: client.request("admin_disconnectPeer", {"name": name}, types.DisconnectPeerResult),
    )
    session.data(
        found, lambda: session.pairs([(name, session.say("yes") if found.disconnected else session.say("no"))])
    )


@admin.command("log-level", cls=HomeCommand)
@click.argument("level", type=click.Choice(tuple(LEVELS)))
@click.pass_obj
def log_level(session: Session, home: Path, level: str) -> None:
    """What the node logs from now on, until it ends."""
    found = ask_home(
        session, home, lambda client: client.request("admin_setLogLevel", {"level": level}, types.SetLogLevelResult)
    )
    session.data(found, lambda: session.pairs([("log.level", f"{found.before} → {found.level}")]))


@admin.command("stop", cls=HomeCommand)
@click.pass_obj
def stop(session: Session, home: Path) -> None:
    """End the node, cleanly. A supervisor may start it again."""
    found = ask_home(session, home, lambda client: client.request("admin_stop", {}, types.StopResult))
    session.data(found, lambda: session.pairs([(session.say("height"), found.at_height)]))


@admin.command("audit-log", cls=HomeCommand)
@click.option("--verify", is_flag=True, help="Check every hash and signature; the node need not run.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only entries after this number.")
@click.option(
    "--public-key", metavar="HEX", help="The node's key, to check a copy elsewhere. [default: of the home's key file]"
)
@click.pass_obj
def audit_log(session: Session, home: Path, verify: bool, after: int, public_key: str | None) -> None:
    """Who did what, and who read whose account under which order."""
    found = read_config(home)
    try:
        public = bytes.fromhex(public_key or key_header(home / found.keys.node)["pub"])
    except ValueError:
        raise click.BadParameter("--public-key: hex") from None
    try:
        entries = list(verified(home / DIRECTORY, public))
    except AuditBroken as broken:
        session.end(Exit.ERROR, f"{session.say('audit_broken')}: {broken}")
    if verify:
        first = entries[0].number if entries else 0
        session.words(f"{session.say('audit_sound')}: {first}–{entries[-1].number if entries else 0}")
    shown = [entry for entry in entries if entry.number > after]
    say = session.say
    rows = [
        (
            entry.number,
            format_time(entry.time_ms),
            entry.caller,
            entry.method,
            say("yes") if entry.allowed else say("no"),
            " ".join(f"{name}={value}" for name, value in entry.params.items()),
        )
        for entry in shown
    ]
    session.data(
        [msgspec.to_builtins(entry) for entry in shown],
        lambda: session.rows(("#", say("time"), say("by"), say("act"), say("allowed"), ""), rows, right=(0,)),
    )


def ask_home(session: Session, home: Path, question: Callable[[Client], Awaitable[T]]) -> T:
    """Run a conversation with the node of a home, by its socket."""

    async def talk() -> T:
        with reachable(home / read_config(home).rpc.admin_socket) as address:
            async with Client((LOCAL,), language=session.language, socket=address) as client:
                return await question(client)

    return asyncio.run(talk())
