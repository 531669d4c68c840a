"""token: who may ask a node that is not open to everybody, and how much. A node's own file; a change counts at once."""

from pathlib import Path

import click
import msgspec

from node.cli.nodes import HomeCommand
from node.cli.session import Exit, Session, SomGroup
from node.cli.show import format_time, unix_ms
from node.home import read_config
from node.ledger.account import format_account, parse_account
from node.tokens import RATE_MAX, SCOPES, Scope, Token, hash_of, new_secret, read_tokens, with_new, write_tokens

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_RATE = click.IntRange(0, RATE_MAX)


@click.group(cls=SomGroup)
def token() -> None:
    """Tokens of a node's RPC. The file has their hashes: a token is shown once, when it is made."""


@token.command("new", cls=HomeCommand)
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="What it allows.")
@click.option("--participant", metavar="ACCOUNT", help="The account of the bank or authority that holds it.")
@click.option("--days", type=click.IntRange(1, 3_650), default=365, show_default=True, help="How long it holds.")
@click.option("--calls", type=_RATE, default=0, help="Calls a second. [default: no bound of its own]")
@click.option("--transactions", type=_RATE, default=0, help="Transactions a second. [default: no bound of its own]")
@click.option(
    "--overlap",
    type=click.IntRange(0, 24 * 365),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="How long an earlier token of this name still holds.",
)
@click.pass_obj
def new(
    session: Session,
    home: Path,
    name: str,
    scopes: tuple[Scope, ...],
    participant: str | None,
    days: int,
    calls: int,
    transactions: int,
    overlap: int,
) -> None:
    """Make a token and print it, once. An earlier one of this name ends after --overlap hours."""
    path = _path(home)
    secret, now_ms = new_secret(), unix_ms()
    try:
        number = "" if participant is None else format_account(parse_account(participant))
    except ValueError:
        raise click.BadParameter(f"{participant!r}: {session.say('bad_account')}") from None
    if "accounts" in scopes and not number:
        raise click.UsageError("--scope accounts needs --participant, whose customers they are")
    row = {
        "name": name,
        "hash": hash_of(secret),
        "scopes": tuple(dict.fromkeys(scopes)),
        "expires_ms": now_ms + days * DAY_MS,
        "participant": number,
        "calls_per_second": calls,
        "transactions_per_second": transactions,
    }
    try:
        fresh = msgspec.convert(row, Token)
    except msgspec.ValidationError as error:
        raise click.BadParameter(str(error)) from None
    kept = [each for each in read_tokens(path) if each.expires_ms > now_ms]
    write_tokens(path, with_new(kept, fresh, now_ms + overlap * HOUR_MS))
    session.words(session.say("token_once"))
    session.data(
        {"name": name, "token": secret, "expires_ms": fresh.expires_ms}, lambda: session.pairs([(name, secret)])
    )


@token.command("list", cls=HomeCommand)
@click.pass_obj
def list_(session: Session, home: Path) -> None:
    """List tokens: names, what they allow, until when. Never the tokens."""
    found = read_tokens(_path(home))
    now_ms = unix_ms()
    say = session.say
    rows = [
        (
            each.name,
            each.hash[:8],
            ", ".join(each.scopes),
            each.participant or "-",
            f"{each.calls_per_second or '-'} / {each.transactions_per_second or '-'}",
            format_time(each.expires_ms) if each.expires_ms > now_ms else say("expired"),
        )
        for each in found
    ]
    columns = (say("name"), say("id"), say("allows"), say("account"), say("per_second"), say("expires"))
    session.data([_shown(each) for each in found], lambda: session.rows(columns, rows))


@token.command("revoke", cls=HomeCommand)
@click.argument("name")
@click.option("--id", "hash_begins", help="Only the one whose hash begins so; see list.")
@click.pass_obj
def revoke(session: Session, home: Path, name: str, hash_begins: str | None) -> None:
    """End all tokens of a name, at once."""
    path = _path(home)
    found = read_tokens(path)
    gone = [each for each in found if each.name == name and each.hash.startswith(hash_begins or "")]
    if not gone:
        session.end(Exit.ERROR, f"{session.say('error')}: {session.say('no_such_token')}: {name}")
    write_tokens(path, [each for each in found if each not in gone])
    session.data({"revoked": len(gone)}, lambda: session.pairs([(session.say("revoked"), f"{name} ({len(gone)})")]))


def _path(home: Path) -> Path:
    return home / read_config(home).rpc.tokens_file


def _shown(each: Token) -> dict[str, object]:
    return {name: getattr(each, name) for name in each.__struct_fields__ if name != "hash"} | {"id": each.hash[:8]}
