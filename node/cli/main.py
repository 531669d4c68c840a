"""The tree of commands."""

from typing import Final

import click

from node.build import VERSION
from node.cli import (
    accounts,
    admin,
    archives,
    assets,
    attestations,
    bank_statements,
    batches,
    bundling,
    chain,
    devnets,
    doctor,
    emergency,
    evidence,
    files,
    holds,
    indexing,
    keys,
    networks,
    nodes,
    notifications,
    operating,
    orders,
    parameters,
    payments,
    qr,
    receipts,
    recoveries,
    returning,
    scenarios,
    shadowing,
    signer,
    statements,
    tokens,
    transactions,
    validators,
    watching,
)
from node.cli.session import Session, SomGroup

HELP: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=SomGroup, context_settings=HELP)
@click.version_option(VERSION, message="som %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """The digital som: run a validator, look at the chain, pay.

    Exit codes: 0 done, 1 error, 2 usage, 3 partly done, 4 refused by the ledger, 5 no node answered, 6 still pending
    (it may yet apply: wait, do not pay again), 7 configuration or key.
    """
    ctx.ensure_object(Session)


for _command in (
    *nodes.COMMANDS,
    archives.archive,
    *chain.COMMANDS,
    devnets.devnet,
    doctor.doctor,
    accounts.account,
    holds.hold,
    receipts.receipt,
    qr.qr,
    assets.asset,
    attestations.attest,
    orders.order,
    parameters.param,
    keys.key,
    signer.signer,
    *payments.COMMANDS,
    transactions.tx,
    files.iso,
    batches.batch,
    validators.validator,
    networks.net,
    evidence.evidence,
    emergency.emergency,
    watching.watch,
    tokens.token,
    admin.admin,
    scenarios.scenario,
    shadowing.shadow,
    indexing.index,
):
    main.add_command(_command)
for _command in (statements.statement, *recoveries.COMMANDS):
    accounts.account.add_command(_command)
for _command in (bank_statements.statement, notifications.notify, returning.return_command):
    files.iso.add_command(_command)
for _command in (*operating.COMMANDS, bundling.bundle):
    admin.admin.add_command(_command)
