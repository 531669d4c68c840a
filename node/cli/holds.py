"""hold: money that is promised and paid later, under conditions.

One rule: a secret comes from a file, never from an argument.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import msgspec

from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Session, SomGroup
from node.cli.show import format_ref, format_time
from node.cli.signing import account_of
from node.cli.values import (
    ASSET,
    CURSOR,
    LIMIT,
    TEXT,
    Unit,
    all_assets,
    amount_of,
    bytes_of,
    moment_of,
    require,
    tell_next,
    unit_of,
)
from node.client.client import Client
from node.client.proofs import ProvenRow
from node.client.trust import Trust
from node.home import read_genesis
from node.ledger.account import ASSET_MAX, CATEGORY_MAX, SOM, format_account
from node.ledger.hold import MakeHold
from node.ledger.holds import HOLD, REF_BYTES_MAX, ROW_ID_BYTES, Condition, decode_hold, row_id
from node.ledger.settle import SECRET_BYTES_MAX, SettleHold
from node.rpc import ledger_types as types
from node.rpc.holds import hold_view

_FILE = click.Path(path_type=Path, dir_okay=False)
_SECRET = click.option("--secret-file", type=_FILE, help=f"The secret, {SECRET_BYTES_MAX} bytes at most, as they are.")


@click.group(cls=SomGroup)
def hold() -> None:
    """Holds: promise money, pay from it later, give it back."""


@hold.command("make", cls=SigningCommand)
@click.option("--from", "payer", required=True, metavar="ACCOUNT", help="16 digits, or a devnet's name.")
@click.option("--by", "settler", metavar="ACCOUNT", help="Who may pay from it; without, who has the secret.")
@click.option("--to", "payee", metavar="ACCOUNT", help="Who is paid; without, whom the settler names.")
@click.option("--until", required=True, metavar="TIME", help="When it ends: +24h, or 2026-12-31T18:00 in Bishkek.")
@click.option("--ref", type=TEXT, default="", help=f"What it is for, {REF_BYTES_MAX} bytes at most.")
@click.option("--lock", metavar="HEX", help="SHA-256 of a secret that the settler must show.")
@_SECRET
@click.option(
    "--category", "categories", multiple=True, type=click.IntRange(1, CATEGORY_MAX), help="Only merchants of these."
)
@click.option("--not-before", metavar="TIME")
@click.option("--needs", nargs=2, metavar="SCHEMA SUBJECT", help="An attestation that must be valid.")
@click.option("--revocable", is_flag=True, help="The payer may void it before its end.")
@ASSET
@click.argument("amount")
@click.pass_obj
def make(session: Session, /, payer: str, amount: str, asset: str, **given: Any) -> None:
    """Hold AMOUNT: som hold make --from alice --by device --until +24h --revocable 200"""
    number, unit = account_of(session, payer), unit_of(session, asset)
    reference = given["ref"].encode()
    if len(reference) > REF_BYTES_MAX:
        raise click.BadParameter(f"{len(reference)} > {REF_BYTES_MAX} bytes", param_hint="--ref")
    settler = account_of(session, given["settler"]) if given["settler"] else 0
    payee = account_of(session, given["payee"]) if given["payee"] else 0
    if not settler and not (payee and (given["lock"] or given["secret_file"])):
        raise click.UsageError("--by, or --to with --lock or --secret-file: else it is anybody's money")
    units = amount_of(session, amount, unit)
    operation = MakeHold(
        unit.asset,
        number,
        ((settler, units, reference),),
        payee,
        moment_of(session, given["until"], "--until"),
        _condition(session, given),
    )
    session.words(f"{format_account(number)}: {session.money(units, unit.scale, unit.code)}")
    sign_and_settle(session, number, operation, given, lambda tx_id: {"hold": row_id(tx_id, 0, 0).hex()})


@hold.command("settle", cls=SigningCommand)
@click.argument("hold_id", metavar="HOLD")
@click.option("--by", "settler", required=True, metavar="ACCOUNT", help="Who may pay from it, and signs.")
@click.option("--to", "payee", metavar="ACCOUNT", help="Who is paid, if the hold does not say.")
@_SECRET
@click.option("--close", is_flag=True, help="Give the rest back.")
@click.argument("amount")
@click.pass_obj
def settle(session: Session, /, hold_id: str, settler: str, amount: str, **given: Any) -> None:
    """Pay AMOUNT from a hold."""
    by, name = account_of(session, settler), bytes_of(session, hold_id, ROW_ID_BYTES, "HOLD")
    unit = _unit_of_hold(session, name)
    payee = account_of(session, given["payee"]) if given["payee"] else 0
    units = amount_of(session, amount, unit)
    operation = SettleHold(by, name, units, payee, _secret(given["secret_file"]), given["close"])
    session.words(f"{hold_id}: {session.money(units, unit.scale, unit.code)}")
    sign_and_settle(session, by, operation, given)


@hold.command("void", cls=SigningCommand)
@click.argument("hold_id", metavar="HOLD")
@click.option("--by", "actor", required=True, metavar="ACCOUNT", help="Its settler or payee; its payer if revocable.")
@click.pass_obj
def void(session: Session, /, hold_id: str, actor: str, **signing: Any) -> None:
    """Give all that a hold has left back to its payer."""
    by, name = account_of(session, actor), bytes_of(session, hold_id, ROW_ID_BYTES, "HOLD")
    sign_and_settle(session, by, SettleHold(by, name, 0, 0, b"", True), signing)


@hold.command("list")
@click.argument("number", metavar="ACCOUNT")
@click.option("--role", type=click.Choice(["payer", "settler", "payee"]), default="payer", show_default=True)
@click.option("--asset", type=click.IntRange(1, ASSET_MAX), help="Only of this asset; of a payer.")
@LIMIT
@CURSOR
@click.pass_obj
def list_holds(session: Session, number: str, role: str, asset: int | None, limit: int, cursor: str | None) -> None:
    """List the open holds that an account made, may settle, or is to be paid from."""
    params: dict[str, Any] = {"account": format_account(account_of(session, number)), "role": role, "limit": limit}
    params |= {name: value for name, value in (("asset", asset), ("cursor", cursor)) if value is not None}

    async def question(client: Client) -> tuple[types.ListHoldsResult, dict[int, Unit]]:
        page = await client.request("hold_list", params, types.ListHoldsResult)
        return page, await _units(client, {each.asset for each in page.holds})

    page, units = session.ask(question)
    say = session.say
    rows = [
        (
            each.id,
            each.payer,
            each.by or say("anybody"),
            each.to or "*",
            _money(session, each, units),
            format_time(each.until_ms) if each.until_ms else each.order or "-",
            format_ref(each.ref),
        )
        for each in page.holds
    ]
    heads = [say(name) for name in ("hold", "payer", "settler", "payee", "left", "until", "ref")]
    session.data(page, lambda: session.rows(heads, rows, right=(4,)))
    tell_next(session, page.next_cursor)


@hold.command("show")
@click.argument("hold_id", metavar="HOLD")
@click.option("--genesis", "genesis_file", type=_FILE, help="Verify the answer from this genesis.")
@click.pass_obj
def show(session: Session, hold_id: str, genesis_file: Path | None) -> None:
    """Show an open hold; with --genesis, proven."""
    name = bytes_of(session, hold_id, ROW_ID_BYTES, "HOLD")
    trust = None if genesis_file is None else Trust.of(read_genesis(genesis_file))

    async def question(client: Client) -> tuple[types.HoldView | None, ProvenRow | None, dict[int, Unit]]:
        proven = None if trust is None else await client.prove_row(HOLD + name)
        if proven is None:
            found = (await client.request("hold_get", {"id": name.hex()}, types.GetHoldResult)).hold
        else:  # what is proven is what is shown
            found = None if proven.value is None else hold_view(name, decode_hold(proven.value))
        return found, proven, await _units(client, set() if found is None else {found.asset})

    found, proven, units = session.ask(question, trust=trust)
    if proven is not None:
        session.words(f"{session.say('verified')}: {proven.height} ≤ {proven.certified_by}")
    require(session, found, session.say("no_hold"))
    assert found is not None
    session.data(found, lambda: session.pairs(_rows(session, found, units)))


def _condition(session: Session, given: dict[str, Any]) -> Condition:
    lock = b"" if given["lock"] is None else bytes_of(session, given["lock"], 32, "--lock")
    secret = _secret(given["secret_file"])
    if lock and secret:
        raise click.UsageError("--lock or --secret-file, not both")
    schema, subject = given["needs"] or ("", "")
    return Condition(
        sha256(secret).digest() if secret else lock,
        tuple(sorted(set(given["categories"]))),
        moment_of(session, given["not_before"], "--not-before") if given["not_before"] else 0,
        schema,
        subject,
        given["revocable"],
    )


def _secret(path: Path | None) -> bytes:
    if path is None:
        return b""
    secret = path.read_bytes()
    if not 1 <= len(secret) <= SECRET_BYTES_MAX:
        raise click.BadParameter(f"{len(secret)} bytes; 1 to {SECRET_BYTES_MAX}", param_hint="--secret-file")
    return secret


def _unit_of_hold(session: Session, name: bytes) -> Unit:
    async def question(client: Client) -> int | None:
        found = (await client.request("hold_get", {"id": name.hex()}, types.GetHoldResult)).hold
        return None if found is None else found.asset

    asset = session.ask(question)
    require(session, asset, session.say("no_hold"))
    return unit_of(session, str(asset))


async def _units(client: Client, assets: set[int]) -> dict[int, Unit]:
    """Return how amounts of these assets are written; only som needs no question."""
    if assets <= {SOM}:
        return {}
    return {each.asset: Unit(each.asset, each.code, each.scale) for each in await all_assets(client)}


def _money(session: Session, found: types.HoldView, units: dict[int, Unit]) -> str:
    unit = units.get(found.asset)
    return session.money(int(found.left)) if unit is None else session.money(int(found.left), unit.scale, unit.code)


def _rows(session: Session, found: types.HoldView, units: dict[int, Unit]) -> list[tuple[str, object]]:
    say = session.say
    rows: list[tuple[str, object]] = [
        (say("hold"), found.id),
        (say("payer"), found.payer),
        (say("settler"), found.by or say("anybody")),
        (say("payee"), found.to or say("settler_says")),
        (say("left"), _money(session, found, units)),
        (say("ref"), format_ref(found.ref) or "-"),
        (say("until"), format_time(found.until_ms) if found.until_ms else "-"),
        (say("height"), found.height),
    ]
    if found.order is not None:
        rows.append((say("order"), found.order))
    if found.condition is not None:
        terms = msgspec.to_builtins(found.condition)
        rows.append((say("condition"), ", ".join(f"{name} {value}" for name, value in terms.items()) or "-"))
    return rows
