"""doctor: is all that a validator needs as it should be? First what can be seen without the node, then the node."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import click
from prometheus_client.parser import text_string_to_metric_families

from node.cli import checks
from node.cli.admin import ask_home
from node.cli.checks import Check, Level
from node.cli.doctor_texts import DO
from node.cli.nodes import HomeCommand
from node.cli.session import Exit, Session
from node.client.client import Client
from node.client.errors import ClientError
from node.config import Config, ConfigError
from node.home import read_config, read_genesis
from node.ledger.genesis import Genesis
from node.rpc import admin_types, types

CLOCK_WARN_SECONDS: Final = 0.5  # between the clocks of two validators
CLOCK_FAIL_SECONDS: Final = 2.0  # beyond it nobody votes for a block of the other
METRICS_BYTES_MAX: Final = 4 * 1024 * 1024
OFFSET: Final = "som_peer_clock_offset_seconds"


@click.command(cls=HomeCommand)
@click.option("--offline", is_flag=True, help="Ask neither the node nor its peers.")
@click.pass_obj
def doctor(session: Session, home: Path, offline: bool) -> None:
    """Look at all that a validator needs: program, settings, keys, disk, ports, and if it runs, links and clock.

    With --node also whether those nodes serve the same network. Ends with 1 if anything is wrong; a warning is not.
    """
    found = list(examined(session, home, offline))
    levels = {level: session.say(f"check_{level}") for level in Level}
    rows = [
        (levels[each.level], each.name, each.detail, "" if each.level is Level.OK else _advice(session, each))
        for each in found
    ]
    session.data(
        [
            {"name": each.name, "level": each.level, "detail": each.detail, "do": _advice(session, each)}
            for each in found
        ],
        lambda: session.rows(("", "", "", ""), rows),
    )
    if any(each.level is Level.FAIL for each in found):
        raise click.exceptions.Exit(Exit.ERROR)


def _advice(session: Session, check: Check) -> str:
    return "" if check.level is Level.OK else str(getattr(DO[check.name], session.language))


def examined(session: Session, home: Path, offline: bool) -> Iterator[Check]:
    """Look at everything, one thing after the other."""
    yield from checks.program()
    try:
        config = read_config(home)
        genesis = read_genesis(home / config.genesis)
    except ConfigError as error:
        yield Check("home", Level.FAIL, str(error))
        return
    yield from checks.settings(config, genesis)
    yield from checks.permissions(home, config)
    yield from checks.identity(home, config, genesis)
    yield from checks.disk(home, config)
    node = None if offline else _node(session, home)
    yield from checks.ports(config, running=node is not None)
    if offline:
        return
    yield from checks.peers(config)
    yield from _running(config, genesis, node)
    for url in session.nodes:
        yield _network(session, url, genesis)


def _node(session: Session, home: Path) -> tuple[types.GetInfoResult, admin_types.ListPeersResult] | None:
    """Return what the node says by its socket; None if it does not run."""

    async def question(client: Client) -> tuple[types.GetInfoResult, admin_types.ListPeersResult]:
        return await client.info(), await client.request("admin_listPeers", {}, admin_types.ListPeersResult)

    try:
        return ask_home(session, home, question)
    except ClientError:
        return None


def _running(
    config: Config, genesis: Genesis, node: tuple[types.GetInfoResult, admin_types.ListPeersResult] | None
) -> Iterator[Check]:
    if node is None:
        yield Check("node", Level.WARN, "-")
        return
    info, links = node
    yield Check("node", Level.OK if info.ready else Level.WARN, "; ".join(info.reasons) or f"{info.height}")
    same = info.genesis_hash == genesis.hash.hex()
    yield Check("genesis", Level.OK if same else Level.FAIL, info.genesis_hash)
    down = [f"{link.name}: {link.last_error}" for link in links.peers if not link.connected]
    linked = len(links.peers) - len(down)
    yield Check("links", Level.WARN if down else Level.OK, f"{linked}/{len(links.peers)} {'; '.join(down)}".strip())
    metrics = read_metrics(config)
    yield from clock(offsets(metrics))
    if metrics:
        yield from checks.history(config, unlabelled(metrics))


def clock(offsets: dict[str, float]) -> Iterator[Check]:
    """Judge the clocks of the peers less ours: the median tells whose is wrong."""
    if not offsets:
        return
    middle = median(offsets.values())
    far = max(offsets.values(), key=abs)
    level = (
        Level.FAIL if abs(middle) > CLOCK_FAIL_SECONDS else Level.WARN if abs(far) > CLOCK_WARN_SECONDS else Level.OK
    )
    if abs(middle) > CLOCK_WARN_SECONDS:
        level = max(level, Level.WARN, key=list(Level).index)
    yield Check("clock", level, ", ".join(f"{name} {offset:+.3f} s" for name, offset in sorted(offsets.items())))


def offsets(metrics: str) -> dict[str, float]:
    """Return by how many seconds the clocks of linked peers are ahead, as the metrics say."""
    return {
        sample.labels["peer"]: sample.value
        for family in text_string_to_metric_families(metrics)
        if family.name == OFFSET
        for sample in family.samples
    }


def unlabelled(metrics: str) -> dict[str, float]:
    """Return the values that have no label, by name."""
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if not sample.labels
    }


def read_metrics(config: Config) -> str:
    """Return what the node of a home tells Prometheus; nothing if nobody answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.rpc.host, config.rpc.host)
    try:
        with urlopen(f"http://{f'[{host}]' if ':' in host else host}:{config.rpc.port}/metrics", timeout=5) as reply:
            return str(reply.read(METRICS_BYTES_MAX).decode())
    except (URLError, OSError, ValueError):
        return ""


def _network(session: Session, url: str, genesis: Genesis) -> Check:
    async def question() -> str:
        async with Client((url,), language=session.language) as client:
            return (await client.info()).genesis_hash

    try:
        found = asyncio.run(question())
    except ClientError as error:
        return Check("genesis", Level.WARN, f"{url}: {error}")
    return Check("genesis", Level.OK if found == genesis.hash.hex() else Level.FAIL, f"{url}: {found}")
