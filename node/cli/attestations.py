"""attest: what somebody with the right to say it says about a subject.

One rule: who attests sees what the new word replaces. If another one came between, the ledger refuses it.
"""

from typing import Any, Final

import click

from node.cli.payments import SigningCommand, sign_and_settle
from node.cli.session import Session, SomGroup
from node.cli.show import format_time
from node.cli.signing import account_of
from node.cli.values import CURSOR, LIMIT, bytes_of, document_hash, moment_of, tell_next
from node.client.client import Client
from node.ledger.account import AMOUNT_MAX
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.attestations import ATTESTATION_ID_BYTES
from node.ledger.holds import row_id
from node.rpc import ledger_types as types

BY: Final = click.option("--by", "attester", required=True, metavar="ACCOUNT", help="Whose word it is, and who signs.")


@click.group(cls=SomGroup)
def attest() -> None:
    """Attestations: reserves, deliveries, certificates."""


@attest.command("make", cls=SigningCommand)
@click.argument("schema")
@click.argument("subject")
@click.argument("value", type=click.IntRange(0, AMOUNT_MAX))
@BY
@click.option("--evidence", required=True, metavar="FILE|HEX", help="A document, whose hash is kept, or its SHA-256.")
@click.option("--as-of", metavar="TIME", help="When it was so; now unless said. 2026-12-31T18:00 in Bishkek.")
@click.option("--until", metavar="TIME", help="When it ends, if it does: +24h, or a time.")
@click.pass_obj
def make(session: Session, /, schema: str, subject: str, value: int, attester: str, **given: Any) -> None:
    """Say that SUBJECT is VALUE, a whole number; of a reserve in minor units. What was said before is replaced."""
    by = account_of(session, attester)
    evidence = document_hash(session, given["evidence"], "--evidence")

    async def question(client: Client) -> tuple[types.AttestationView | None, int]:
        params = {"schema": schema, "subject": subject}
        found = await client.request("attestation_getCurrent", params, types.GetCurrentAttestationResult)
        return found.attestation, (await client.info()).block_time_ms  # the ledger takes no later time than a block's

    before, now_ms = session.ask(question)
    if before is not None:
        said = f"{before.value}, {format_time(before.as_of_ms)}, {before.by}"
        session.words(f"{session.say('replaces')} {before.id}: {said}")
    operation = Attest(
        by,
        schema,
        subject,
        value,
        moment_of(session, given["as_of"], "--as-of") if given["as_of"] else now_ms,
        moment_of(session, given["until"], "--until") if given["until"] else 0,
        evidence,
        b"" if before is None else bytes.fromhex(before.id),
    )
    sign_and_settle(session, by, operation, given, lambda tx_id: {"attestation": row_id(tx_id, 0, 0).hex()})


@attest.command("revoke", cls=SigningCommand)
@click.argument("attestation_id", metavar="ATTESTATION")
@BY
@click.pass_obj
def revoke(session: Session, /, attestation_id: str, attester: str, **signing: Any) -> None:
    """Take back the current attestation of that id; it stays to be read."""
    by, name = account_of(session, attester), bytes_of(session, attestation_id, ATTESTATION_ID_BYTES, "ATTESTATION")
    sign_and_settle(session, by, RevokeAttestation(by, name), signing)


@attest.command("list")
@click.argument("schema")
@click.argument("subject", required=False)
@LIMIT
@CURSOR
@click.pass_obj
def list_attestations(session: Session, schema: str, subject: str | None, limit: int, cursor: str | None) -> None:
    """List the current attestations of a schema; with SUBJECT all that it ever had."""
    params: dict[str, Any] = {"schema": schema, "limit": limit}
    params |= {name: value for name, value in (("subject", subject), ("cursor", cursor)) if value is not None}

    async def question(client: Client) -> types.ListAttestationsResult:
        return await client.request("attestation_list", params, types.ListAttestationsResult)

    page = session.ask(question)
    say = session.say
    rows = [
        (each.id, each.subject, each.value, format_time(each.as_of_ms), _state(session, each), each.by)
        for each in page.attestations
    ]
    heads = [say(name) for name in ("attestation", "subject", "value", "as_of", "status", "by")]
    session.data(page, lambda: session.rows(heads, rows, right=(2,)))
    tell_next(session, page.next_cursor)


@attest.command("show")
@click.argument("attestation_id", metavar="ATTESTATION")
@click.pass_obj
def show(session: Session, attestation_id: str) -> None:
    """Show an attestation, in force or not."""
    name = bytes_of(session, attestation_id, ATTESTATION_ID_BYTES, "ATTESTATION")

    async def question(client: Client) -> types.AttestationView:
        found = await client.request("attestation_get", {"id": name.hex()}, types.GetAttestationResult)
        return found.attestation

    found = session.ask(question)
    say = session.say
    session.data(
        found,
        lambda: session.pairs(
            [
                (say("attestation"), found.id),
                (say("schema"), found.schema),
                (say("subject"), found.subject),
                (say("value"), found.value),
                (say("as_of"), format_time(found.as_of_ms)),
                (say("until"), format_time(found.until_ms) if found.until_ms else "-"),
                (say("evidence"), found.evidence),
                (say("by"), found.by),
                (say("status"), _state(session, found)),
                (say("transaction"), found.tx_id),
            ]
        ),
    )


def _state(session: Session, found: types.AttestationView) -> str:
    if found.revoked_ms:
        return f"{session.say('revoked')} {format_time(found.revoked_ms)}"
    return session.say("current" if found.valid else "expired")
