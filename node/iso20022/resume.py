"""What of a plan is still to be paid: nothing is paid twice, whoever imports a file, wherever and whenever.

One rule: the chain is the authority on what was paid. The argument, in full:

1. Before signing, every reference is looked up in the chain's state at some final height, whose block time is
   ``at_ms``. What was paid up to that block is found there, however long ago and by whichever node it was sent.
2. What is sent carries ``once``, and expires at most a window after ``at_ms``. The ledger keeps (payer, reference) for
   a window after a payment. So what was paid *after* that block, by another import that ran at the same time or by a
   transaction that was still under way, makes the ledger itself refuse: DUPLICATE_REF.
3. Together they leave no moment uncovered, and neither needs a clock of ours or a file of ours.

A refusal is final as well once a bank was told of it: it may have ordered the payment again under other identifiers.
So a payment that was refused is not tried again by importing the file again, unless that is asked for. Refusals leave
no trace in balances; they are known from the chain's index by reference and from our own record (record.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from node.iso20022.plan import Leg, Pay, Plan, Ref
from node.ledger.account import AccountNumber
from node.ledger.errors import Code

LOOKUP_REFS_MAX: Final = 200  # in one question: the limit of the RPC's lists
# Imports that look up the chain in the same quarter of an hour sign the same bytes, which are one transaction.
EXPIRY_STEP_MS: Final = 15 * 60 * 1000
STEPS_IN_WINDOW: Final = 4
ENVELOPE_FAMILY: Final = 1  # the ledger's codes 1xx


@dataclass(frozen=True, slots=True)
class Settled:
    """Paid, irreversibly."""

    creditor: AccountNumber
    amount: int  # tyiyn


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused by the ledger; nothing was paid. ``code`` says why."""

    code: Code


@dataclass(frozen=True, slots=True)
class Conflict:
    """The debtor has paid something else under this reference; this payment was not made."""

    paid: Settled


@dataclass(frozen=True, slots=True)
class Unsent:
    """No node took the transaction, so nothing is under way; the file can be imported again. ``code`` says why."""

    code: Code


@dataclass(frozen=True, slots=True)
class Pending:
    """Not known yet. It may still be paid."""


Known = Settled | Rejected  # what a chain or a record can say of a reference
Outcome = Settled | Rejected | Conflict | Unsent | Pending

PENDING: Final = Pending()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of some references at a final height. A reference that is not named was never paid."""

    at_ms: int  # block time of that height
    known: Mapping[Ref, Known]


class Lookup(Protocol):
    """The chain, as the import needs it; the caller supplies it over RPC."""

    async def paid(self, debtor: AccountNumber, refs: Sequence[Ref]) -> Answer:
        """Return what ``debtor`` has paid under ``refs`` (at most LOOKUP_REFS_MAX) in all of its history.

        ``Settled`` must be complete up to the answer's height, and wins over an earlier ``Rejected``, which is as far
        as the node still knows. Of several payments under a reference the ``deciding`` one is told. It raises if it
        cannot answer completely: a pruned or lagging node must not be taken for one that says no.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers for a whole plan; ``at_ms`` is the earliest of them, which is the safe one."""

    at_ms: int
    known: Mapping[Ref, Known]


async def look_up(plan: Plan, lookup: Lookup) -> Answers:
    """Ask for every reference of the plan. Errors of ``lookup`` pass through: without an answer nothing is sent."""
    at_ms: int | None = None
    known: dict[Ref, Known] = {}
    for debtor, refs in _questions(plan):
        answer = await lookup.paid(debtor, refs)
        at_ms = answer.at_ms if at_ms is None else min(at_ms, answer.at_ms)
        known.update((ref, answer.known[ref]) for ref in refs if ref in answer.known)
    assert at_ms is not None, "a plan has at least one pay"
    return Answers(at_ms, known)


@dataclass(frozen=True, slots=True)
class Due:
    """What is left to sign and send, and what of the rest is known. Together they are the whole plan."""

    pays: tuple[Pay, ...]
    outcomes: Mapping[Ref, Outcome] = field(default_factory=dict)


def due(plan: Plan, answers: Answers, recorded: Mapping[Ref, Rejected] | None = None, retry: bool = False) -> Due:
    """Take out of the plan what was paid, and what was refused unless ``retry``.

    ``recorded`` are the refusals of our own record; where the chain knows better, it wins.
    """
    known: dict[Ref, Known] = {**(recorded or {}), **answers.known}
    pays: list[Pay] = []
    outcomes: dict[Ref, Outcome] = {}
    for pay in plan.pays:
        left: list[Leg] = []
        for leg in pay.legs:
            outcome = outcome_of(leg, known.get(leg.ref))
            if isinstance(outcome, Pending) or (retry and isinstance(outcome, Rejected)):
                left.append(leg)
            else:
                outcomes[leg.ref] = outcome
        if left:
            pays.append(replace(pay, legs=tuple(left)))
    return Due(tuple(pays), outcomes)


def outcome_of(leg: Leg, known: Known | None) -> Outcome:
    """Return a leg's outcome. A reference that paid somebody else, or another amount, did not pay this leg."""
    match known:
        case None:
            return PENDING
        case Settled():
            return known if (known.creditor, known.amount) == (leg.creditor, leg.amount) else Conflict(known)
        case Rejected():
            return known


def deciding(leg: Leg, paid: Sequence[Settled]) -> Settled:
    """Return which of the payments under a leg's reference, the first one first, says what became of the leg.

    It is the leg's own payment, whatever else its debtor has paid under the reference before or after; else the first.
    """
    return next((each for each in paid if isinstance(outcome_of(leg, each), Settled)), paid[0])


def expires_ms(at_ms: int, window_ms: int, step_ms: int = EXPIRY_STEP_MS) -> int:
    """Return when a transaction that rests on answers of ``at_ms`` expires: one to two steps later.

    ``window_ms`` is the debtor's replay window (72 h for institutions, 10 min for merchants and persons). The result is
    within it, counted from ``at_ms``: point 2 above. Who gathers signatures for long passes a longer step.
    """
    step = min(step_ms, window_ms // STEPS_IN_WINDOW)
    assert step > 0
    expiry = (at_ms // step + 2) * step
    assert at_ms + step < expiry <= at_ms + window_ms
    return expiry


def pay_outcomes(pay: Pay, skipped: Mapping[int, Code], failed: Code | None = None) -> dict[Ref, Outcome]:
    """Return the outcome of each leg from a pay's receipt.

    ``skipped`` names the legs by their index in ``pay.legs``; ``failed`` is set if nothing was applied: then a leg that
    ``skipped`` does not name shares the pay's code. A code of the envelope (1xx) is no word on the payment: the
    transaction expired, waits, or is known already; or, DUPLICATE_REF, another import was faster. Such a leg is
    Pending here, and is to be looked up again.
    """
    outcomes: dict[Ref, Outcome] = {}
    for index, leg in enumerate(pay.legs):
        code = skipped.get(index, failed)
        if code is None:
            outcomes[leg.ref] = Settled(leg.creditor, leg.amount)
        else:
            outcomes[leg.ref] = PENDING if code // 100 == ENVELOPE_FAMILY else Rejected(code)
    return outcomes


def confirm(plan: Plan, outcomes: Mapping[Ref, Outcome], answers: Answers) -> dict[Ref, Outcome]:
    """Return the outcome of every leg, after answers of a later height than the receipts that ``outcomes`` come from.

    A leg may be refused for its payee although another import has paid it a moment before: what the chain has as
    settled is settled. A report is written from this and from nothing earlier.
    """
    confirmed: dict[Ref, Outcome] = {}
    for pay in plan.pays:
        for leg in pay.legs:
            known = answers.known.get(leg.ref)
            outcome = outcomes.get(leg.ref, PENDING)
            confirmed[leg.ref] = outcome_of(leg, known) if isinstance(known, Settled) else outcome
    return confirmed


def _questions(plan: Plan) -> Iterator[tuple[AccountNumber, list[Ref]]]:
    for pay in plan.pays:
        refs = [leg.ref for leg in pay.legs]
        for start in range(0, len(refs), LOOKUP_REFS_MAX):
            yield pay.debtor, refs[start : start + LOOKUP_REFS_MAX]
