"""param: what the central bank sets without a new release.

One rule: a table is changed whole, in the form in which `som param list --json` shows it, and the change names what it
replaces: if another one came between, the ledger refuses it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from consensus.encoding import encode
from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Exit, Session, SomGroup
from node.cli.signing import account_of
from node.cli.validators import CENTRAL_BANK
from node.client.client import Client
from node.config import ConfigError
from node.ledger.account import Kind, kinds_mask, parse_account
from node.ledger.param import SetParameter, Value
from node.ledger.parameters import Attesters, Opener, Tier, record_hash
from node.rpc import ledger_types as types
from node.rpc.operation_types import AttestersView, OpenerView, TierView

FILE_BYTES_MAX: Final = 1 << 20

Rows = Sequence[TierView | OpenerView | AttestersView]
_TIERS: Final = tuple[TierView, ...]
_OPENERS: Final = tuple[OpenerView, ...]
_ATTESTERS: Final = tuple[AttestersView, ...]


@click.group(cls=SomGroup)
def param() -> None:
    """Parameters: windows, tiers, openers, attesters, the protocol's version."""


@param.command("list")
@click.pass_obj
def list_parameters(session: Session) -> None:
    """List all parameters; validators have a list of their own (som validator list)."""
    found = session.ask(_parameters)
    rows = [(each.name, _text(each)) for each in found.parameters]
    session.data(found, lambda: session.rows([session.say("parameter"), session.say("value")], rows))


@param.command("set", cls=SigningCommand)
@CENTRAL_BANK
@click.argument("name")
@click.argument("value", metavar="NUMBER|FILE")
@click.pass_obj
def set_parameter(session: Session, /, bank: str, name: str, value: str, **signing: Any) -> None:
    """Set a parameter from the next block on: a number, or a JSON file with the whole table.

    The protocol version is in force from the next epoch on (docs/operations.md, "Upgrade").
    """
    by = account_of(session, bank)
    before = next((each for each in session.ask(_parameters).parameters if each.name == name), None)
    if before is None:
        session.end(Exit.USAGE, f"{name}: {session.say('no_such_parameter')}")
    session.words(f"{session.say('replaces')} {_text(before)}")
    sign_and_settle(session, by, SetParameter(by, name, _hash(before), _value(before, value)), signing)


async def _parameters(client: Client) -> types.ListParametersResult:
    return await client.request("parameter_list", {}, types.ListParametersResult)


def _hash(shown: types.ParameterView) -> bytes:
    """Return the hash of the value as it was shown, whatever the node says that it is."""
    return record_hash(encode(_value_of(shown)))


def _text(shown: types.ParameterView) -> str:
    if shown.milliseconds is not None:
        return f"{shown.milliseconds} ms"
    if shown.version is not None:
        return str(shown.version)
    rows = shown.tiers or shown.openers or shown.attesters or ()
    return msgspec.json.encode(rows).decode()


def _value(before: types.ParameterView, text: str) -> Value:
    """Return the value, of the form that the one before has. Raises click.BadParameter, ConfigError."""
    if before.milliseconds is not None or before.version is not None:
        try:
            return int(text)
        except ValueError:
            wanted = "NUMBER" if before.milliseconds is None else "MILLISECONDS"
            raise click.BadParameter(f"{text!r}: {wanted}", param_hint="VALUE") from None
    path = Path(text)
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ConfigError(f"{path}: too large")
    form = _TIERS if before.tiers is not None else _OPENERS if before.openers is not None else _ATTESTERS
    try:
        return _table(msgspec.json.decode(path.read_bytes(), type=form))
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _value_of(shown: types.ParameterView) -> Value:
    if shown.milliseconds is not None:
        return shown.milliseconds
    if shown.version is not None:
        return shown.version
    return _table(shown.tiers or shown.openers or shown.attesters or ())


def _table(rows: Rows) -> Value:
    """Return the ledger's rows. Raises KeyError, ValueError."""
    return tuple(_row(row) for row in rows)  # type: ignore[return-value]  # all are of one kind


def _row(row: TierView | OpenerView | AttestersView) -> Tier | Opener | Attesters:
    match row:
        case TierView():
            return Tier(row.number, int(row.out_per_transaction), int(row.out_per_day), int(row.balance_max))
        case OpenerView():
            return Opener(int(_kind(row.kind)), kinds_mask(_kind(kind) for kind in row.kinds))
        case AttestersView():
            return Attesters(row.schema, tuple(sorted(parse_account(number) for number in row.accounts)))


def _kind(name: str) -> Kind:
    return Kind[name.upper()]
