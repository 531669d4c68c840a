"""A plan is a function of the file: the same pays and references for everybody."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.iso20022.errors import FileCode, FileRefused
from node.iso20022.pain001 import Payment, PaymentFile, read_payments
from node.iso20022.plan import (
    PAY_LEGS_MAX,
    UNSORTED_LEGS_MAX,
    Plan,
    file_refs,
    pay_salt,
    payment_ref,
    plan,
)
from node.ledger import pay as ledger_pay
from node.ledger.account import SOM, account_number, format_account
from tests.iso20022_files import EXAMPLE, TREASURY, Batch, Message, Tx, read, wallet

UETR = "c386bbc4-cd61-4e30-98f1-6adf91b7584a"


def planned(creditors: list[int], debtor: int = TREASURY) -> Plan:
    payments = [Tx(f"E{index}", format_account(wallet(serial))) for index, serial in enumerate(creditors)]
    return plan(read(Message([Batch(payments, debtor=format_account(debtor))])))


def sizes(found: Plan) -> list[int]:
    return [len(pay.legs) for pay in found.pays]


def test_a_thousand_pensions_are_one_pay() -> None:
    with EXAMPLE.open("rb") as source:
        found = plan(read_payments(source))
    assert sizes(found) == [1000]
    assert found.pays[0].debtor == TREASURY


def test_a_pay_has_a_thousand_legs_at_the_most() -> None:
    assert sizes(planned(list(range(1, 2502)))) == [1000, 1000, 501]


def test_each_debtor_has_pays_of_its_own() -> None:
    other = account_number(2, 2)
    batches = [
        Batch([Tx("E1")]),
        Batch([Tx("E2")], id="P2", debtor=format_account(other)),
        Batch([Tx("E3", format_account(wallet(2)))], id="P3"),
    ]
    found = plan(read(Message(batches)))
    assert [(pay.index, pay.debtor, len(pay.legs)) for pay in found.pays] == [(0, TREASURY, 2), (1, other, 1)]


def test_the_same_payee_twice_goes_into_a_further_pay() -> None:
    found = planned([*range(1, 101), *range(1, 31)])
    assert sizes(found) == [100, 30]


def test_many_payments_to_one_payee_are_put_together_by_sixteen() -> None:
    assert sizes(planned([7] * 40)) == [16, 16, 8]


def test_a_ref_is_the_uetr_of_the_payment() -> None:
    (leg,) = plan(read(Message([Batch([Tx(uetr=UETR)])]))).pays[0].legs
    assert leg.ref == bytes.fromhex(UETR.replace("-", ""))


def test_a_derived_ref_is_known_for_ever() -> None:
    payment = Payment("E1", None, None, wallet(1), 1)
    assert payment_ref("M1", "P1", payment).hex() == "308689f3f23b4c3f8b2eb817bc7ae97e"


def test_a_derived_ref_is_a_uuid_of_version_4() -> None:
    for _, _, ref in file_refs(read(Message([Batch([Tx(f"E{index}") for index in range(200)])]))):
        assert (len(ref), ref[6] >> 4, ref[8] >> 6) == (16, 4, 2)


def test_a_derived_ref_depends_on_each_of_the_three_identifiers_and_on_nothing_else() -> None:
    refs = {
        payment_ref(message, batch, Payment(end, None, None, wallet(1), 1))
        for message, batch, end in [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("x", "b", "c"), ("a", "b", "y")]
    }
    assert len(refs) == 5
    assert payment_ref("a", "b", Payment("c", "i", None, wallet(2), 7)) in refs


def test_a_file_written_differently_with_the_same_payments_has_the_same_refs() -> None:
    batch = Batch([Tx("E1"), Tx("E2")])
    turned = Batch([Tx("E2"), Tx("E1", extra="<RmtInf><Ustrd>x</Ustrd></RmtInf>")])
    first, second = (plan(read(Message([b]))) for b in (batch, turned))
    assert first.file_digest != second.file_digest
    assert {leg.ref for leg in first.pays[0].legs} == {leg.ref for leg in second.pays[0].legs}


def test_a_uetr_that_equals_a_derived_ref_is_refused() -> None:
    ref = payment_ref("M1", "P1", Payment("E1", None, None, wallet(1), 1)).hex()
    uetr = "-".join((ref[:8], ref[8:12], ref[12:16], ref[16:20], ref[20:]))
    with pytest.raises(FileRefused) as caught:
        plan(read(Message([Batch([Tx("E1"), Tx("E2", uetr=uetr)])])))
    assert caught.value.code is FileCode.DUPLICATE_UETR


def test_the_salt_depends_on_the_file_the_pay_and_the_attempt() -> None:
    salts = {pay_salt(bytes([f]) * 32, pay, attempt) for f in range(3) for pay in range(3) for attempt in range(3)}
    assert len(salts) == 27
    assert all(0 <= salt < 2**64 for salt in salts)
    assert pay_salt(bytes(32), 0) == pay_salt(bytes(32), 0, 0)


creditors = st.lists(st.integers(1, 40), min_size=1, max_size=120)


@given(creditors)
def test_a_plan_holds_every_payment_once_and_keeps_the_sum(serials: list[int]) -> None:
    payments = [
        Tx(f"E{index}", format_account(wallet(serial)), f"{index + 1}.{serial:02d}")
        for index, serial in enumerate(serials)
    ]
    file = read(Message([Batch(payments[::2]), Batch(payments[1::2], id="P2")] if payments[1:] else [Batch(payments)]))
    found = plan(file)
    assert found.total == file.total
    assert found.legs == file.payments
    assert _legs(found) == _payments(file)
    assert [pay.index for pay in found.pays] == list(range(len(found.pays)))


@given(creditors)
def test_the_ledger_takes_every_pay_of_a_plan(serials: list[int]) -> None:
    for pay in planned(serials).pays:
        legs = tuple((int(leg.creditor), leg.amount, bytes(leg.ref)) for leg in pay.legs)
        assert len(ledger_pay.decode_pay((SOM, int(pay.debtor), legs, True, True)).legs) == len(legs)


def test_limits_are_those_of_the_ledger() -> None:
    assert UNSORTED_LEGS_MAX == ledger_pay.UNSORTED_LEGS_MAX
    assert PAY_LEGS_MAX <= ledger_pay.LEGS_MAX


def _legs(found: Plan) -> Counter[tuple[int, int, int, bytes]]:
    return Counter((pay.debtor, leg.creditor, leg.amount, leg.ref) for pay in found.pays for leg in pay.legs)


def _payments(file: PaymentFile) -> Counter[tuple[int, int, int, bytes]]:
    return Counter(
        (file.payment_informations[index].debtor, payment.creditor, payment.amount, ref)
        for index, payment, ref in file_refs(file)
    )
