"""Importing a file again pays nothing more: at once, later, elsewhere, at the same time, after a crash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.iso20022.plan import Leg, Pay, Plan, Ref, pay_salt, plan
from node.iso20022.resume import (
    EXPIRY_STEP_MS,
    LOOKUP_REFS_MAX,
    PENDING,
    Answer,
    Answers,
    Conflict,
    Known,
    Outcome,
    Rejected,
    Settled,
    confirm,
    due,
    expires_ms,
    look_up,
    outcome_of,
    pay_outcomes,
)
from node.ledger.account import AccountNumber
from node.ledger.errors import Code
from tests.iso20022_files import TREASURY, Batch, Message, Tx, read, wallet

WINDOW_MS = 72 * 3600 * 1000
PERSON_WINDOW_MS = 600_000


def small_plan(count: int = 3) -> Plan:
    return plan(read(Message([Batch([Tx(f"E{index}", f"{wallet(index):016d}") for index in range(count)])])))


@dataclass
class Ledger:
    """The rules of `once` and of expiry, as the ledger has them, for one debtor: the state that the proof rests on."""

    now_ms: int = 1_000_000_000_000
    paid: dict[Ref, Settled] = field(default_factory=dict)
    recent: dict[Ref, int] = field(default_factory=dict)  # until when `once` knows the reference
    seen: set[tuple[int, int, Pay]] = field(default_factory=set)
    transfers: list[Ref] = field(default_factory=list)
    closed: set[AccountNumber] = field(default_factory=set)

    def apply(self, pay: Pay, salt: int, expires: int) -> dict[int, Code] | None:
        """Return the skipped legs, or None if the transaction was not executed."""
        if expires <= self.now_ms or (salt, expires, pay) in self.seen:
            return None
        assert expires <= self.now_ms + WINDOW_MS
        self.seen.add((salt, expires, pay))
        skipped: dict[int, Code] = {}
        for index, leg in enumerate(pay.legs):
            if self.recent.get(leg.ref, 0) > self.now_ms:
                skipped[index] = Code.DUPLICATE_REF
            elif leg.creditor in self.closed:
                skipped[index] = Code.PAYEE_BLOCKED
            else:
                self.recent[leg.ref] = self.now_ms + WINDOW_MS
                self.paid[leg.ref] = Settled(leg.creditor, leg.amount)
                self.transfers.append(leg.ref)
        return skipped

    def known(self) -> Mapping[Ref, Known]:
        return dict(self.paid)


@dataclass
class LedgerLookup:
    ledger: Ledger
    asked: list[int] = field(default_factory=list)

    async def paid(self, debtor: AccountNumber, refs: Sequence[Ref]) -> Answer:
        assert debtor == TREASURY
        self.asked.append(len(refs))
        return Answer(self.ledger.now_ms, {ref: self.ledger.paid[ref] for ref in refs if ref in self.ledger.paid})


async def test_an_import_of_what_was_paid_has_nothing_due() -> None:
    found, ledger = small_plan(), Ledger()
    first = due(found, await look_up(found, LedgerLookup(ledger)))
    assert first.pays == found.pays
    for pay in first.pays:
        ledger.apply(pay, 0, ledger.now_ms + 1)
    ledger.now_ms += 400 * 24 * 3600 * 1000  # a year later
    again = due(found, await look_up(found, LedgerLookup(ledger)))
    assert again.pays == ()
    assert all(isinstance(outcome, Settled) for outcome in again.outcomes.values())
    assert len(again.outcomes) == found.legs


async def test_the_lookup_asks_for_every_reference_in_questions_of_bounded_size() -> None:
    found = small_plan(450)
    lookup = LedgerLookup(Ledger())
    await look_up(found, lookup)
    assert sum(lookup.asked) == 450
    assert max(lookup.asked) <= LOOKUP_REFS_MAX


async def test_the_earliest_answer_counts() -> None:
    class Growing:
        at_ms = 100

        async def paid(self, debtor: AccountNumber, refs: Sequence[Ref]) -> Answer:
            self.at_ms += 1
            return Answer(self.at_ms, {})

    assert (await look_up(small_plan(450), Growing())).at_ms == 101


async def test_without_an_answer_nothing_is_due() -> None:
    class Pruned:
        async def paid(self, debtor: AccountNumber, refs: Sequence[Ref]) -> Answer:
            raise LookupError("the history is pruned")

    with pytest.raises(LookupError):
        await look_up(small_plan(), Pruned())


def test_what_was_paid_is_taken_out_and_the_rest_keeps_its_pay() -> None:
    found = small_plan(3)
    (pay,) = found.pays
    paid = {pay.legs[1].ref: Settled(pay.legs[1].creditor, pay.legs[1].amount)}
    left = due(found, Answers(0, paid))
    assert left.pays == (Pay(0, pay.debtor, (pay.legs[0], pay.legs[2])),)
    assert left.outcomes == paid


def test_a_reference_that_paid_something_else_is_a_conflict_and_is_not_paid() -> None:
    found = small_plan(2)
    first, second = found.pays[0].legs
    known: dict[Ref, Known] = {
        first.ref: Settled(first.creditor, first.amount + 1),
        second.ref: Settled(wallet(99), second.amount),
    }
    left = due(found, Answers(0, known))
    assert left.pays == ()
    assert all(isinstance(outcome, Conflict) for outcome in left.outcomes.values())


def test_a_refusal_is_final_unless_a_retry_is_asked_for() -> None:
    found = small_plan(2)
    ref = found.pays[0].legs[0].ref
    refusal = Rejected(Code.PAYEE_BLOCKED)
    for answers, recorded in ((Answers(0, {ref: refusal}), {}), (Answers(0, {}), {ref: refusal})):
        once = due(found, answers, recorded)
        assert [len(pay.legs) for pay in once.pays] == [1]
        assert once.outcomes == {ref: refusal}
        again = due(found, answers, recorded, retry=True)
        assert (again.pays, again.outcomes) == (found.pays, {})


def test_the_chain_wins_over_our_own_record() -> None:
    found = small_plan(1)
    (leg,) = found.pays[0].legs
    settled = Settled(leg.creditor, leg.amount)
    left = due(found, Answers(0, {leg.ref: settled}), {leg.ref: Rejected(Code.INSUFFICIENT)}, retry=True)
    assert (left.pays, left.outcomes) == ((), {leg.ref: settled})


@given(st.integers(0, 2**45), st.sampled_from([PERSON_WINDOW_MS, WINDOW_MS]), st.sampled_from([EXPIRY_STEP_MS, 2**40]))
def test_an_expiry_is_ahead_of_the_answers_and_within_the_window(at_ms: int, window_ms: int, step_ms: int) -> None:
    expiry = expires_ms(at_ms, window_ms, step_ms)
    assert at_ms + min(step_ms, window_ms // 4) < expiry <= at_ms + window_ms


def test_imports_of_the_same_quarter_of_an_hour_sign_the_same_bytes() -> None:
    start = 1_800_000_000_000 // EXPIRY_STEP_MS * EXPIRY_STEP_MS
    assert len({expires_ms(start + offset, WINDOW_MS) for offset in range(0, EXPIRY_STEP_MS, 1000)}) == 1


def test_a_receipt_gives_every_leg_its_outcome() -> None:
    (pay,) = small_plan(3).pays
    outcomes = pay_outcomes(pay, {1: Code.PAYEE_BLOCKED, 2: Code.DUPLICATE_REF})
    first = pay.legs[0]
    assert [outcomes[leg.ref] for leg in pay.legs] == [
        Settled(first.creditor, first.amount),
        Rejected(Code.PAYEE_BLOCKED),
        PENDING,
    ]


def test_a_pay_that_failed_gives_its_code_to_every_leg_that_has_none() -> None:
    (pay,) = small_plan(2).pays
    outcomes = pay_outcomes(pay, {0: Code.INSUFFICIENT}, Code.ALL_LEGS_FAILED)
    assert list(outcomes.values()) == [Rejected(Code.INSUFFICIENT), Rejected(Code.ALL_LEGS_FAILED)]
    assert set(pay_outcomes(pay, {}, Code.PAYER_BLOCKED).values()) == {Rejected(Code.PAYER_BLOCKED)}


@pytest.mark.parametrize("code", [code for code in Code if code // 100 == 1])
def test_a_code_of_the_envelope_is_no_word_on_the_payments(code: Code) -> None:
    (pay,) = small_plan(2).pays
    assert set(pay_outcomes(pay, {}, code).values()) == {PENDING}


def test_what_the_chain_has_as_settled_is_never_reported_as_rejected() -> None:
    found = small_plan(3)
    legs = found.pays[0].legs
    settled = [Settled(leg.creditor, leg.amount) for leg in legs]
    outcomes: dict[Ref, Outcome] = {legs[0].ref: Rejected(Code.PAYEE_BLOCKED), legs[1].ref: Rejected(Code.INSUFFICIENT)}
    confirmed = confirm(found, outcomes, Answers(0, {legs[0].ref: settled[0], legs[2].ref: settled[2]}))
    assert [confirmed[leg.ref] for leg in legs] == [settled[0], Rejected(Code.INSUFFICIENT), settled[2]]


def test_an_unknown_reference_is_pending() -> None:
    leg = Leg(wallet(1), 1, Ref(bytes(16)))
    assert outcome_of(leg, None) is PENDING


# Steps of any number of imports: look up; sign and send; time passes; what was sent arrives, late or never.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("look up"), st.integers(0, 2)),
        st.tuples(st.just("send"), st.integers(0, 2)),
        st.tuples(st.just("arrive"), st.integers(0, 30)),
        st.tuples(
            st.just("wait"), st.sampled_from([1, 60_000, EXPIRY_STEP_MS, WINDOW_MS // 2, WINDOW_MS, 3 * WINDOW_MS])
        ),
    ),
    max_size=40,
)


@settings(max_examples=400)
@given(steps, st.booleans())
def test_no_interleaving_of_imports_pays_twice(script: list[tuple[str, int]], retry: bool) -> None:
    found, ledger = small_plan(3), Ledger()
    ledger.closed = {found.pays[0].legs[0].creditor}
    answers: dict[int, Answers] = {}
    sent: list[tuple[Pay, int, int]] = []
    attempt = 0
    for step, value in script:
        match step:
            case "look up":
                answers[value] = Answers(ledger.now_ms, ledger.known())
            case "send" if value in answers:
                attempt += 1
                for pay in due(found, answers[value], retry=retry).pays:
                    expires = expires_ms(answers[value].at_ms, WINDOW_MS, WINDOW_MS)
                    sent.append((pay, pay_salt(found.file_digest, pay.index, attempt), expires))
            case "arrive" if sent:
                pay, salt, expires = sent[value % len(sent)]
                if expires <= ledger.now_ms + WINDOW_MS:
                    ledger.apply(pay, salt, expires)
            case "wait":
                ledger.now_ms += value
                ledger.closed = set()
            case _:
                pass
    assert len(ledger.transfers) == len(set(ledger.transfers))
