"""A file imported into the real ledger, again and again: what a careless operator does."""

from collections.abc import Sequence
from io import BytesIO

from node.iso20022.pain001 import PaymentFile
from node.iso20022.pain002 import tally, write_status
from node.iso20022.plan import Pay, Plan, Ref, pay_salt, plan
from node.iso20022.resume import (
    Answer,
    Answers,
    Outcome,
    Rejected,
    Settled,
    confirm,
    due,
    expires_ms,
    look_up,
    pay_outcomes,
)
from node.ledger import pay as ledger_pay
from node.ledger.account import CLOSED, SOM, AccountNumber, format_account
from node.ledger.errors import Code
from node.ledger.parameters import DEFAULT
from node.ledger.receipt import Receipt
from node.ledger.transaction import Transaction
from node.references import Reference, decode_reference, references
from tests.iso20022_files import Batch, Message, Tx, read
from tests.ledger_world import ALICE, BANK, BOB, CAROL, DAY_MS, ISSUER, TREASURY, Override, World

WINDOW_MS = DEFAULT.window_institution_ms
MONEY = 100_000


class Chain:
    """The ledger and the index of references beside it, as a node has them."""

    def __init__(self, closed: Sequence[AccountNumber] = ()) -> None:
        self.world = World({number: Override(flags=CLOSED) for number in closed})
        assert self.world.pay(ISSUER, TREASURY, MONEY).applied
        self.index: dict[tuple[int, bytes], Reference] = {}
        self.transactions: dict[bytes, Transaction] = {}

    def run(self, pay: Pay, file_digest: bytes, answers: Answers, attempt: int = 0) -> Receipt:
        legs = tuple((int(leg.creditor), leg.amount, bytes(leg.ref)) for leg in pay.legs)
        operation = ledger_pay.Pay(SOM, pay.debtor, legs, partial=True, once=True)
        transaction = self.world.transaction(
            [operation],
            expires_ms=expires_ms(answers.at_ms, WINDOW_MS),
            salt=pay_salt(file_digest, pay.index, attempt),
        )
        receipt = self.world.block([transaction]).receipts[0]
        self.transactions[transaction.id] = transaction
        for payer, ref, row in references(transaction, receipt):
            self.index[payer, ref] = decode_reference(row)
        return receipt

    async def paid(self, debtor: AccountNumber, refs: Sequence[Ref]) -> Answer:
        found = {ref: self._settled(self.index[debtor, ref]) for ref in refs if (debtor, ref) in self.index}
        return Answer(self.world.time_ms, found)

    def _settled(self, reference: Reference) -> Settled:
        operation = self.transactions[reference.transaction_id].operations[reference.op]
        assert isinstance(operation, ledger_pay.Pay)
        creditor, amount, _ = operation.legs[reference.leg]
        return Settled(AccountNumber(creditor), amount)

    @property
    def left(self) -> int:
        return self.world.balance(TREASURY)


def pensions(alice: str = "100.00") -> PaymentFile:
    payments = [
        Tx("E1", format_account(ALICE), alice),
        Tx("E2", format_account(BOB), "200.00"),
        Tx("E3", format_account(CAROL), "300.00"),
    ]
    return read(Message([Batch(payments, debtor=format_account(TREASURY))]))


def outcomes_of(pay: Pay, receipt: Receipt) -> dict[Ref, Outcome]:
    skipped = {leg: Code(code) for _, leg, code in receipt.skipped}
    return pay_outcomes(pay, skipped, None if receipt.applied else Code(receipt.code))


async def imported(chain: Chain, found: Plan, answers: Answers | None = None, attempt: int = 0) -> dict[Ref, Outcome]:
    answers = answers or await look_up(found, chain)
    left = due(found, answers)
    outcomes = dict(left.outcomes)
    for pay in left.pays:
        outcomes |= outcomes_of(pay, chain.run(pay, found.file_digest, answers, attempt))
    return confirm(found, outcomes, await look_up(found, chain))


async def test_a_file_is_paid_and_a_second_import_at_any_time_pays_nothing_more() -> None:
    chain, found = Chain(), plan(pensions())
    first = await imported(chain, found)
    assert chain.left == MONEY - 60_000
    assert [chain.world.balance(account) for account in (ALICE, BOB, CAROL)] == [10_000, 20_000, 30_000]
    for later_ms in (1_000, DAY_MS, WINDOW_MS, 400 * DAY_MS):
        chain.world.block([], later_ms)
        assert await imported(chain, found) == first
        assert chain.left == MONEY - 60_000


async def test_an_import_that_began_before_another_had_paid_pays_nothing_more() -> None:
    chain, found = Chain(), plan(pensions())
    stale = await look_up(found, chain)
    first = await imported(chain, found)
    same_bytes = chain.run(found.pays[0], found.file_digest, stale)
    assert Code(same_bytes.code) is Code.DUPLICATE
    other_bytes = await imported(chain, found, stale, attempt=1)
    assert other_bytes == first
    assert chain.left == MONEY - 60_000


async def test_a_file_paid_in_part_is_completed_by_the_next_import() -> None:
    chain, found = Chain(), plan(pensions())
    answers = await look_up(found, chain)
    (pay,) = found.pays
    chain.run(Pay(0, pay.debtor, pay.legs[1:2]), found.file_digest, answers)
    await imported(chain, found)
    assert chain.left == MONEY - 60_000


async def test_a_closed_wallet_does_not_fail_the_run_and_is_reported_alone() -> None:
    chain, file = Chain(closed=[BOB]), pensions()
    outcomes = await imported(chain, plan(file))
    assert chain.left == MONEY - 40_000
    assert [outcome for outcome in outcomes.values() if isinstance(outcome, Rejected)] == [Rejected(Code.PAYEE_BLOCKED)]
    tallies = tally(file.payment_informations, file.message_id, outcomes)
    assert {name: found.total for name, found in tallies.items()} == {"ACSC": 40_000, "RJCT": 20_000}
    out = BytesIO()
    write_status(out, file, outcomes, chain.world.time_ms)
    assert b"AC06" in out.getvalue()


async def test_a_payer_without_money_is_told_so_for_each_payment_and_can_retry() -> None:
    chain, found = Chain(), plan(pensions())
    assert chain.world.pay(TREASURY, BANK, MONEY).applied
    answers = await look_up(found, chain)
    outcomes = await imported(chain, found, answers)
    assert set(outcomes.values()) == {Rejected(Code.INSUFFICIENT)}
    assert chain.world.pay(ISSUER, TREASURY, MONEY).applied
    refused = {ref: outcome for ref, outcome in outcomes.items() if isinstance(outcome, Rejected)}
    assert due(found, answers, refused).pays == ()
    again = due(found, answers, refused, retry=True)
    same_id = chain.run(again.pays[0], found.file_digest, answers)
    assert Code(same_id.code) is Code.DUPLICATE  # a failed transaction keeps its result
    assert chain.run(again.pays[0], found.file_digest, answers, attempt=1).applied
    assert chain.left == MONEY - 60_000


async def test_another_file_under_the_same_identifiers_is_a_conflict_and_not_paid() -> None:
    chain = Chain()
    await imported(chain, plan(pensions()))
    before = chain.left
    outcomes = await imported(chain, plan(pensions(alice="100.01")))
    assert chain.left == before
    assert sorted(type(outcome).__name__ for outcome in outcomes.values()) == ["Conflict", "Settled", "Settled"]
