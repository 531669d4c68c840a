"""Values on the command line that several commands take: ids, hashes, times, assets and their amounts.

One rule: a time is exact. What is relative counts from the node's clock, because the ledger judges by block times.
"""

import re
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from node.cli.amounts import SOM_SCALE, parse_units
from node.cli.session import Exit, Session
from node.cli.show import BISHKEK
from node.cli.texts import say
from node.client.client import Client
from node.client.errors import RequestFailed
from node.config import ConfigError
from node.ledger.account import SOM, Kind, kinds_mask
from node.rpc import ledger_types
from node.rpc.forms import LIMIT_MAX

LIMIT: Final = click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=50, show_default=True)
CURSOR: Final = click.option("--cursor", help="Go on where the last page ended.")
BASIS: Final = click.option(
    "--basis",
    required=True,
    metavar="FILE|HEX",
    help="The legal basis: a document, whose SHA-256 is kept, or that hash.",
)
ASSET: Final = click.option("--asset", default=str(SOM), show_default=True, help="Number or code of the asset.")
DOCUMENT_BYTES_MAX: Final = 1 << 30
_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN: Final = re.compile(r"\+?([1-9][0-9]{0,6})([smhd])", re.ASCII)


class Text(click.ParamType[str]):
    """What goes on the chain, into a code or a database: bytes of the command line that are not UTF-8 are refused."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            session = None if ctx is None else ctx.find_object(Session)
            self.fail(say("not_utf8", "en") if session is None else session.say("not_utf8"), param, ctx)
        return str(value)


TEXT: Final = Text()


class Unit(NamedTuple):
    """What an amount is of."""

    asset: int
    code: str
    scale: int


def unit_of(session: Session, text: str) -> Unit:
    """Return the asset that a number or a code names. Raises click.BadParameter."""
    if text == str(SOM):
        return Unit(SOM, "SOM", SOM_SCALE)
    view = find_asset(session, text)
    return Unit(view.asset, view.code, view.scale)


def find_asset(session: Session, text: str) -> ledger_types.AssetView:
    """Return the asset that a number or a code names. Raises click.BadParameter."""

    async def question(client: Client) -> ledger_types.AssetView | None:
        if text.isascii() and text.isdigit():
            try:
                params = {"asset": int(text)}
                return (await client.request("asset_get", params, ledger_types.GetAssetResult)).asset
            except RequestFailed as failed:
                if failed.name not in ("not_found", "invalid_params"):
                    raise
                return None
        return next((asset for asset in await all_assets(client) if asset.code == text.upper()), None)

    found = session.ask(question)
    if found is None:
        raise click.BadParameter(f"{text!r}: {session.say('no_such_asset')}", param_hint="ASSET")
    return found


async def all_assets(client: Client) -> list[ledger_types.AssetView]:
    """Return the whole register."""
    found: list[ledger_types.AssetView] = []
    params: dict[str, Any] = {"limit": LIMIT_MAX}
    while True:
        page = await client.request("asset_list", params, ledger_types.ListAssetsResult)
        found += page.assets
        if page.next_cursor is None:
            return found
        params["cursor"] = page.next_cursor


def amount_of(session: Session, text: str, unit: Unit) -> int:
    """Return minor units. Raises click.BadParameter."""
    try:
        return parse_units(text, unit.scale)
    except ValueError:
        expected = session.say("bad_amount") if unit.asset == SOM else f"{unit.code}, ≤ {unit.scale}"
        raise click.BadParameter(f"{text!r}: {expected}", param_hint="AMOUNT") from None


def bytes_of(session: Session, text: str, count: int, hint: str) -> bytes:
    """Return the ``count`` bytes that hex digits are. Raises click.BadParameter."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != count or value.hex() != text:
        raise click.BadParameter(f"{text[:80]!r}: {session.say('bad_hex')}, {2 * count}", param_hint=hint)
    return value


def document_hash(session: Session, text: str, hint: str) -> bytes:
    """Return the SHA-256 of the file of that name, or the hash itself. Raises click.BadParameter, ConfigError."""
    path = Path(text)
    if not path.is_file():
        return bytes_of(session, text, 32, hint)
    if path.stat().st_size > DOCUMENT_BYTES_MAX:
        raise ConfigError(f"{path}: too large")
    return sha256(path.read_bytes()).digest()


def moment_of(session: Session, text: str, hint: str) -> int:
    """Return Unix ms of a time in Bishkek, or of a span from the node's now. Raises click.BadParameter."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        return session.ask(Client.info).now_ms + _span_ms(span)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r}: {session.say('bad_time')}", param_hint=hint) from None
    return round((found if found.tzinfo else found.replace(tzinfo=BISHKEK)).timestamp() * 1_000)


def span_of(session: Session, text: str, hint: str) -> int:
    """Return the milliseconds of a span such as 24h. Raises click.BadParameter."""
    span = _SPAN.fullmatch(text)
    if span is None:
        raise click.BadParameter(f"{text!r}: {session.say('bad_time')}", param_hint=hint)
    return _span_ms(span)


def kinds_of(text: str, hint: str) -> int:
    """Return the bit set of kinds with commas between them; ``all`` is all. Raises click.BadParameter."""
    if text == "all":
        return kinds_mask(Kind)
    try:
        return kinds_mask(Kind[name.strip().upper()] for name in text.split(","))
    except KeyError:
        listed = ", ".join(kind.name.lower() for kind in Kind)
        raise click.BadParameter(f"{text!r}: {listed}", param_hint=hint) from None


def tell_next(session: Session, cursor: str | None) -> None:
    """Say how to go on with a list."""
    if cursor and not session.as_json:
        session.words(f"--cursor {cursor}")


def require(session: Session, found: object, text: str) -> None:
    """End the command with an error unless there is something."""
    if found is None:
        session.end(Exit.ERROR, text)


def _span_ms(span: "re.Match[str]") -> int:
    return int(span.group(1)) * _UNITS_MS[span.group(2)]
