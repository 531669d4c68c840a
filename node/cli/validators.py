"""validator: who validates, who will, and how that changes.

One rule: a change is a transaction of the central bank that names all validators, and the hash of the seats that it is
based on. These commands read the seats, change one row and sign. If others stand there when the change is executed, it
is refused (STALE) and nothing is lost: look at them again, and decide anew. The hash is made here, of the seats as they
were shown: if a node shows others than there are, its answer leads to a refusal and to nothing else.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Exit, Session, SomCommand, SomGroup
from node.cli.signing import account_of
from node.client.client import Client
from node.client.errors import RequestFailed
from node.ledger.param import Listed, ProveReady, SetParameter
from node.ledger.state import ROSTER
from node.ledger.validators import ADDRESS_CHARS_MAX, Keys, Seat, roster_hash
from node.rpc import validator_types as types

ASK_AGAIN_SECONDS: Final = 0.5  # of a node that is not ready yet

CENTRAL_BANK = click.option(
    "--from",
    "bank",
    required=True,
    metavar="ACCOUNT",
    help="The central bank's account: 16 digits, or a devnet's name.",
)


@click.group(cls=SomGroup)
def validator() -> None:
    """Who validates, who will, and how that changes."""


@validator.command("list", cls=SomCommand)
@click.pass_obj
def list_validators(session: Session) -> None:
    """The committee of this epoch, and the seats of which the next will be made."""
    found = session.ask(Client.validators)
    counting = {row.consensus_key for row in found.validators}
    say = session.say

    def table() -> Any:
        rows = [
            (
                seat.name,
                seat.weight,
                seat.address or "-",
                ", ".join(say(word) for word in _states(seat, counting)),
                _consensus_key(seat.current),
                _consensus_key(seat.next),
            )
            for seat in found.seats
        ]
        leaving = counting - {seat.current.consensus_key for seat in found.seats if seat.current is not None}
        rows += [
            (row.name, row.weight, "-", say("leaving"), row.consensus_key, "-")
            for row in found.validators
            if row.consensus_key in leaving
        ]
        columns = [say(name) for name in ("name", "weight", "address", "status", "key", "next_key")]
        return session.rows(columns, rows, right=(1,))

    session.data(found, table)
    if not session.as_json:
        session.words(f"{say('epoch')} {found.epoch}, {say('until_height')} {found.epoch_ends}")


@validator.command("set", cls=SigningCommand)
@CENTRAL_BANK
@click.option("--name", required=True, help="The validator: a new one is admitted, one that is there is changed.")
@click.option("--consensus-key", metavar="HEX", help="Public key of its votes, as `som init` shows it.")
@click.option("--node-key", metavar="HEX", help="Public key of its links.")
@click.option("--weight", type=click.IntRange(1), help="Its weight; a new one's is 1 unless said.")
@click.option("--address", metavar="HOST:PORT", help="Where others dial it.")
@click.pass_obj
def set_validator(session: Session, /, bank: str, name: str, **given: Any) -> None:
    """Admit a validator, or change its keys, weight or address.

    New keys count from the first epoch after they have proven ready (som validator ready); until then the old ones do.
    """
    address = given["address"]
    if address is not None and len(address) > ADDRESS_CHARS_MAX:
        raise click.BadParameter(address[:32], param_hint="--address")

    def change(rows: list[Listed]) -> list[Listed]:
        known = next((row for row in rows if row.name == name), None)
        keys = [_key(given[option], option) for option in ("consensus_key", "node_key")]
        if known is None:
            if None in keys:
                raise click.UsageError(session.say("new_needs_keys"))
            known = Listed(name, 1, "", b"", b"")
        row = Listed(
            name,
            given["weight"] or known.weight,
            known.address if address is None else address,
            keys[0] or known.consensus_key,
            keys[1] or known.node_key,
        )
        return [*(each for each in rows if each.name != name), row]

    _change(session, bank, change, given)


@validator.command("remove", cls=SigningCommand)
@CENTRAL_BANK
@click.option("--name", required=True)
@click.pass_obj
def remove_validator(session: Session, /, bank: str, name: str, **signing: Any) -> None:
    """Remove a validator: it counts until the epoch ends, then its links are closed."""

    def change(rows: list[Listed]) -> list[Listed]:
        left = [row for row in rows if row.name != name]
        if len(left) == len(rows):
            session.end(Exit.ERROR, f"{name}: {session.say('no_such_validator')}")
        return left

    _change(session, bank, change, signing)


@validator.command(cls=SigningCommand)
@click.option("--from", "carrier", required=True, metavar="ACCOUNT", help="Any account: it carries the word.")
@click.option("--candidate", metavar="URL", help="The new validator's own RPC; the --node that is asked by default.")
@click.pass_obj
def ready(session: Session, /, carrier: str, candidate: str | None, **signing: Any) -> None:
    """Tell the network that a new validator is ready: its node says so, signed by its consensus key."""
    number = account_of(session, carrier)
    asked = session if candidate is None else _asking(session, candidate)
    found = asked.ask(lambda client: _readiness(client, signing["timeout_seconds"]))
    operation = ProveReady(number, found.name, found.height, bytes.fromhex(found.root), bytes.fromhex(found.signature))
    sign_and_settle(session, number, operation, signing)


async def _readiness(client: Client, timeout_seconds: float) -> types.GetReadinessResult:
    """Return the word of the node that is asked, after waiting until it can give it. Raises RequestFailed."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while True:
        try:
            return await client.readiness()
        except RequestFailed as failed:
            if not failed.retryable or asyncio.get_running_loop().time() >= deadline:
                raise
        await asyncio.sleep(ASK_AGAIN_SECONDS)


def _change(
    session: Session, bank: str, change: Callable[[list[Listed]], list[Listed]], signing: dict[str, Any]
) -> None:
    number = account_of(session, bank)
    roster = tuple(_seat(shown) for shown in session.ask(Client.validators).seats)
    rows = tuple(sorted(change([_listed(seat) for seat in roster]), key=lambda row: row.name))
    sign_and_settle(session, number, SetParameter(number, ROSTER, roster_hash(roster), rows), signing)


def _seat(shown: types.SeatView) -> Seat:
    return Seat(shown.name, shown.weight, shown.address, _keys(shown.current), _keys(shown.next))


def _keys(shown: types.KeysView | None) -> Keys | None:
    return None if shown is None else Keys(bytes.fromhex(shown.consensus_key), bytes.fromhex(shown.node_key))


def _listed(seat: Seat) -> Listed:
    """Return the row that leaves a seat as it is."""
    keys = seat.next or seat.current
    assert keys is not None
    return Listed(seat.name, seat.weight, seat.address, *keys)


def _states(seat: types.SeatView, counting: Sequence[str] | set[str]) -> list[str]:
    words = []
    if seat.current is not None:
        words.append("validates" if seat.current.consensus_key in counting else "from_next_epoch")
    if seat.next is not None:
        words.append("awaits_ready")
    return words


def _consensus_key(keys: types.KeysView | None) -> str:
    return "-" if keys is None else keys.consensus_key


def _key(text: str | None, option: str) -> bytes | None:
    if text is None:
        return None
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32 or text != key.hex():
        raise click.BadParameter(text[:80], param_hint="--" + option.replace("_", "-"))
    return key


def _asking(session: Session, url: str) -> Session:
    return Session(session.as_json, session.language, (url,), session.outbox_path, session.accounts_path)
