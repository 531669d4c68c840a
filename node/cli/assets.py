"""asset: the state register of digital assets."""

from typing import Any

import click

from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Session, SomGroup
from node.cli.show import format_time
from node.cli.signing import account_of
from node.cli.values import (
    BASIS,
    CURSOR,
    LIMIT,
    Unit,
    amount_of,
    document_hash,
    find_asset,
    kinds_of,
    span_of,
    tell_next,
    unit_of,
)
from node.client.client import Client
from node.ledger.account import ASSET_MAX
from node.ledger.asset import RegisterAsset, SetAssetStatus
from node.ledger.assets import RATIO_MAX, RATIO_UNIT, SCALE_MAX, AssetStatus, Attested, Backing, OnLedger
from node.rpc import ledger_types as types
from node.rpc.forms import LIMIT_MAX


@click.group(cls=SomGroup)
def asset() -> None:
    """Assets: the register, what is issued, what covers it."""


@asset.command("register", cls=SigningCommand)
@click.argument("number", type=click.IntRange(2, ASSET_MAX))
@click.argument("code")
@click.option("--by", "registrar", required=True, metavar="ACCOUNT", help="Who keeps the register, and signs.")
@click.option("--issuer", required=True, metavar="ACCOUNT", help="The issuer's account, without money.")
@click.option("--scale", type=click.IntRange(0, SCALE_MAX), default=2, show_default=True, help="Decimal places.")
@click.option("--max-supply", required=True, metavar="AMOUNT", help="The most that may be issued.")
@click.option("--reserve", metavar="ACCOUNT", help="Backed one to one by money on this reserve account,")
@click.option("--reserve-asset", default="1", show_default=True, metavar="ASSET", help="of this asset.")
@click.option("--schema", help="Backed by what is attested under this schema, with the code as its subject.")
@click.option(
    "--ratio", type=click.IntRange(1, RATIO_MAX), default=RATIO_UNIT, show_default=True, help="Basis points of it."
)
@click.option("--max-age", default="92d", show_default=True, metavar="SPAN", help="How old an attestation may be.")
@click.option(
    "--mint-to", default="all", show_default=True, metavar="KINDS", help="Who may be issued to: bank,treasury"
)
@click.option("--redeem-from", default="all", show_default=True, metavar="KINDS")
@BASIS
@click.pass_obj
def register(session: Session, /, number: int, code: str, registrar: str, **given: Any) -> None:
    """Register asset NUMBER under CODE: som asset register 4 GOLD --by registrar --issuer ..."""
    by = account_of(session, registrar)
    operation = RegisterAsset(
        by,
        number,
        code,
        given["scale"],
        account_of(session, given["issuer"]),
        amount_of(session, given["max_supply"], Unit(number, code, given["scale"])),
        _backing(session, given),
        kinds_of(given["mint_to"], "--mint-to"),
        kinds_of(given["redeem_from"], "--redeem-from"),
        document_hash(session, given["basis"], "--basis"),
    )
    sign_and_settle(session, by, operation, given)


@asset.command("status", cls=SigningCommand)
@click.argument("named", metavar="ASSET")
@click.argument("status", type=click.Choice([status.name.lower() for status in AssetStatus]))
@click.option("--by", "registrar", required=True, metavar="ACCOUNT", help="A registrar; of som the central bank.")
@BASIS
@click.pass_obj
def set_status(session: Session, /, named: str, status: str, registrar: str, basis: str, **signing: Any) -> None:
    """Suspend an asset, let it move again, or revoke it for ever. Holders can redeem all the same."""
    by = account_of(session, registrar)
    unit = unit_of(session, named)
    document = document_hash(session, basis, "--basis")
    sign_and_settle(session, by, SetAssetStatus(by, unit.asset, int(AssetStatus[status.upper()]), document), signing)


@asset.command("list")
@LIMIT
@CURSOR
@click.pass_obj
def list_assets(session: Session, limit: int, cursor: str | None) -> None:
    """List the register: status, supply, coverage."""
    params: dict[str, Any] = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}

    async def question(client: Client) -> types.ListAssetsResult:
        return await client.request("asset_list", params, types.ListAssetsResult)

    page = session.ask(question)
    say = session.say
    rows = [
        (
            each.asset,
            each.code,
            each.status,
            each.issuer,
            session.money(int(each.supply), each.scale, each.code),
            session.money(int(each.max_supply), each.scale, each.code),
            each.backing,
            _coverage(each),
        )
        for each in page.assets
    ]
    heads = ["#", *(say(name) for name in ("code", "status", "issuer", "supply", "max_supply", "backing", "coverage"))]
    session.data(page, lambda: session.rows(heads, rows, right=(0, 4, 5, 7)))
    tell_next(session, page.next_cursor)


@asset.command("show")
@click.argument("named", metavar="ASSET")
@click.pass_obj
def show(session: Session, named: str) -> None:
    """Show an asset: what is issued, what covers it, and the last changes of its status."""
    found = find_asset(session, named)

    async def question(client: Client) -> types.GetAssetHistoryResult:
        params = {"asset": found.asset, "limit": LIMIT_MAX}
        return await client.request("asset_getHistory", params, types.GetAssetHistoryResult)

    changes = session.ask(question).changes
    rows = _rows(session, found)
    rows += [
        (session.say("history"), f"{format_time(change.timestamp_ms)}  {change.status}  {change.by}  {change.basis}")
        for change in changes
    ]
    session.data({"asset": found, "changes": changes}, lambda: session.pairs(rows))


def _backing(session: Session, given: dict[str, Any]) -> Backing:
    if given["reserve"] and given["schema"]:
        raise click.UsageError("--reserve or --schema, not both")
    if given["reserve"]:
        return OnLedger(account_of(session, given["reserve"]), unit_of(session, given["reserve_asset"]).asset)
    if given["schema"]:
        return Attested(given["schema"], given["ratio"], span_of(session, given["max_age"], "--max-age"))
    return None


def _coverage(found: types.AssetView) -> str:
    basis_points = None if found.cover is None else found.cover.coverage_bp
    return "-" if basis_points is None else f"{basis_points // 100}.{basis_points % 100:02d} %"


def _rows(session: Session, found: types.AssetView) -> list[tuple[str, object]]:
    say = session.say
    rows: list[tuple[str, object]] = [
        (say("asset"), f"{found.asset} {found.code}"),
        (say("status"), found.status),
        (say("issuer"), found.issuer),
        (say("supply"), session.money(int(found.supply), found.scale, found.code)),
        (say("max_supply"), session.money(int(found.max_supply), found.scale, found.code)),
        (say("basis"), found.basis or "-"),
        (say("backing"), found.backing),
        (say("coverage"), _coverage(found)),
    ]
    attestation = None if found.cover is None else found.cover.attestation
    if attestation is not None:
        rows.append((say("attested"), f"{format_time(attestation.as_of_ms)}  {attestation.by}  {attestation.evidence}"))
    return rows
