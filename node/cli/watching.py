"""watch: what happens, as it happens, and from a cursor on without a gap."""

from typing import Any

import click
import msgspec

from node.cli.session import Session, SomCommand, SomGroup
from node.cli.show import format_ref, format_time
from node.cli.signing import account_of
from node.client.client import Client
from node.rpc.event_types import Event, Topic

_FROM = click.option("--from", "cursor", help="Go on after the event that printed this cursor.")
_COUNT = click.option("--count", type=click.IntRange(1), help="End after so many events. [default: never]")


@click.group(cls=SomGroup)
def watch() -> None:
    """Print what happens, each event with the cursor to go on from (--from)."""


@watch.command("blocks", cls=SomCommand)
@_FROM
@_COUNT
@click.pass_obj
def blocks(session: Session, cursor: str | None, count: int | None) -> None:
    """Final blocks."""
    _follow(session, "blocks", cursor, count)


@watch.command("payments", cls=SomCommand)
@_FROM
@_COUNT
@click.option("--id", "ids", multiple=True, metavar="TX_ID", help="Only this transaction; several may be named.")
@click.pass_obj
def payments(session: Session, cursor: str | None, count: int | None, ids: tuple[str, ...]) -> None:
    """What became of transactions, finally."""
    _follow(session, "transactions", cursor, count, **({"tx_ids": list(ids)} if ids else {}))


@watch.command("account", cls=SomCommand)
@click.argument("number", metavar="ACCOUNT")
@_FROM
@_COUNT
@click.pass_obj
def account(session: Session, number: str, cursor: str | None, count: int | None) -> None:
    """Entries of an account's statement."""
    _follow(session, "account", cursor, count, account=f"{account_of(session, number):016d}")


@watch.command("validators", cls=SomCommand)
@_FROM
@_COUNT
@click.pass_obj
def validators(session: Session, cursor: str | None, count: int | None) -> None:
    """Epochs as they begin, with their committees."""
    _follow(session, "validators", cursor, count)


@watch.command("consensus", cls=SomCommand)
@_COUNT
@click.pass_obj
def consensus(session: Session, count: int | None) -> None:
    """The view under way: who leads, who has voted, who is awaited."""
    _follow(session, "consensus", None, count)


def _follow(session: Session, topic: Topic, cursor: str | None, count: int | None, **options: Any) -> None:
    async def question(client: Client) -> None:
        seen = 0
        async for event in client.subscribe(topic, from_cursor=cursor, **options):
            _print(session, event)
            seen += 1
            if seen == count:
                return

    try:
        session.ask(question)
    except KeyboardInterrupt:
        return


def _print(session: Session, event: Event) -> None:
    if session.as_json:
        click.echo(msgspec.json.encode(event).decode())
        return
    click.echo(f"{_words(session, event)}  {event.cursor}")


def _words(session: Session, event: Event) -> str:
    say = session.say
    if event.block is not None:
        block = event.block
        leader = block.header.proposer if block.header else "-"
        return f"{block.height}  {format_time(block.timestamp_ms)}  {leader}  {block.transaction_count}"
    if event.entry is not None:
        entry = event.entry
        amount = session.money(int(entry.amount)) if entry.asset == 1 else f"{entry.amount} #{entry.asset}"
        return (
            f"{entry.number}  {format_time(entry.timestamp_ms)}  {amount}  {entry.other or '-'} {format_ref(entry.ref)}"
        )
    if event.transaction is not None:
        told = event.transaction
        reason = f" {told.outcome.name}" if told.outcome.code else ""
        return f"{told.height}/{told.index}  {told.tx_id}  {say(told.outcome.status)}{reason}"
    if event.validators is not None:
        names = ", ".join(member.name for member in event.validators.validators)
        return f"{say('epoch')} {event.validators.epoch}  {names}"
    assert event.consensus is not None
    seen = event.consensus
    return f"{seen.epoch}/{seen.view}  {seen.leader}  {say('awaited')}: {', '.join(seen.awaited) or '-'}"
