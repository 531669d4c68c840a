"""Which rows some blocks touch, so that they are read at once and not one by one.

One rule: more than what is needed may be named, never less; books.py says so loudly where a row is missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from node.client.chain import ChainBlock
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount
from node.ledger.asset import SetAssetStatus
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.hold import MakeHold
from node.ledger.holds import ENDED_FACTOR, ENDED_MAX
from node.ledger.operations import Operation
from node.ledger.order import Arrest, Release, Seize, Unfreeze
from node.ledger.pay import Pay
from node.ledger.recovery import MoveAccount
from node.ledger.settle import SettleHold


@dataclass(slots=True)
class Needs:
    """Names of rows. ``payers``: all open holds of these; ``until_ms``: and the first ``ended_max`` others over then.

    Others, because what is named may be gone before the block looks for what has ended, and takes no place then.
    """

    accounts: set[int] = field(default_factory=set)
    holds: set[bytes] = field(default_factory=set)
    payers: set[int] = field(default_factory=set)
    orders: set[tuple[int, str]] = field(default_factory=set)
    assets: set[int] = field(default_factory=set)
    attestations: set[bytes] = field(default_factory=set)
    until_ms: int = 0
    ended_max: int = 0


def needs_of(blocks: Iterable[ChainBlock]) -> Needs:
    """Return what the blocks may touch of what was there before them."""
    needs = Needs()
    for block in blocks:
        needs.until_ms = max(needs.until_ms, block.header.timestamp_ms)
        needs.ended_max += ENDED_MAX
        for transaction, receipt in zip(block.transactions, block.receipts, strict=True):
            if receipt.applied:
                for operation in transaction.operations:
                    _add(needs, operation)
    return needs


def _add(needs: Needs, operation: Operation) -> None:
    match operation:
        case Pay(payer=payer, legs=legs):
            needs.accounts.add(payer)
            needs.accounts.update(to for to, _, _ in legs)
        case MakeHold(payer=payer, legs=legs, to=to):
            needs.accounts.update((payer, to))
            needs.ended_max += ENDED_FACTOR * len(legs)
        case SettleHold(hold=hold, to=to):
            needs.holds.add(hold)
            needs.accounts.add(to)
        case OpenAccount(number=number) | SetAccount(number=number) | CloseAccount(number=number):
            needs.accounts.add(number)
        case MoveAccount(number=number):
            needs.accounts.add(number)
        case SetAssetStatus(asset=asset):
            needs.assets.add(asset)
        case Attest(revokes=revokes):
            needs.attestations.add(revokes)
        case RevokeAttestation(attestation=attestation):
            needs.attestations.add(attestation)
        case Arrest(target=target):
            needs.accounts.add(target)
            needs.ended_max += ENDED_FACTOR
        case Unfreeze(by=by, number=number) | Release(by=by, number=number):
            needs.orders.add((by, number))
        case Seize(target=target, to=to):
            needs.accounts.update((target, to))
            needs.payers.add(target)
        case _:
            pass
