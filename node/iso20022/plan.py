"""From a payment file to pays: who pays whom, in which transaction, under which reference.

One rule: a plan is a function of the file alone. Whoever imports the same file, wherever and whenever, gets the same
pays with the same references; what the chain already knows is taken out afterwards (resume.py).

A payment's reference on the chain is its UETR, or else 16 bytes derived from the three identifiers that name it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NewType

from consensus.encoding import digest, encode
from node.iso20022.errors import FileCode, FileRefused, Original, Problem, clipped
from node.iso20022.fields import format_som
from node.iso20022.pain001 import Payment, PaymentFile
from node.ledger.account import AccountNumber

Ref = NewType("Ref", bytes)  # 16 bytes, a UUID of version 4

REF_TAG: Final = b"som-iso-ref-1"
SALT_TAG: Final = b"som-iso-salt-1"
REF_BYTES: Final = 16

# A pay of 1,000 legs has about 40 KB of the 256 KiB that a transaction may have, and one signature.
PAY_LEGS_MAX: Final = 1_000
# Longer pays list their payees strictly ascending (docs/ledger.md), shorter ones may name a payee twice.
UNSORTED_LEGS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Leg:
    """One payment inside a pay."""

    creditor: AccountNumber
    amount: int  # tyiyn
    ref: Ref


@dataclass(frozen=True, slots=True)
class Pay:
    """One transaction: a pay with ``partial`` and ``once``, signed by the debtor. Legs ascend by creditor."""

    index: int  # in the plan, from 0; keeps its meaning when legs are taken out
    debtor: AccountNumber
    legs: tuple[Leg, ...]

    @property
    def total(self) -> int:
        """The sum of the amounts, in tyiyn."""
        return sum(leg.amount for leg in self.legs)


@dataclass(frozen=True, slots=True)
class Plan:
    """All pays of a file."""

    file_digest: bytes  # 32 bytes
    pays: tuple[Pay, ...]

    @property
    def legs(self) -> int:
        """How many payments there are."""
        return sum(len(pay.legs) for pay in self.pays)

    @property
    def total(self) -> int:
        """The sum of all amounts, in tyiyn."""
        return sum(pay.total for pay in self.pays)


def payment_ref(message_id: str, payment_information_id: str, payment: Payment) -> Ref:
    """Return the reference of a payment: what makes importing it again recognisable, anywhere and for ever."""
    if payment.uetr is not None:
        return Ref(payment.uetr)
    named = encode((message_id, payment_information_id, payment.end_to_end_id))
    derived = bytearray(digest(REF_TAG, named)[:REF_BYTES])
    derived[6] = 0x40 | derived[6] & 0x0F  # version 4 and variant 10 of RFC 9562, so that it can travel as a UETR
    derived[8] = 0x80 | derived[8] & 0x3F
    return Ref(bytes(derived))


def file_refs(file: PaymentFile) -> Iterator[tuple[int, Payment, Ref]]:
    """Yield each payment in the file's order with the index of its payment information and its reference."""
    for index, batch in enumerate(file.payment_informations):
        for payment in batch.payments:
            yield index, payment, payment_ref(file.message_id, batch.id, payment)


def plan(file: PaymentFile, legs_max: int = PAY_LEGS_MAX) -> Plan:
    """Return the pays, debtors in the order of the file. Raises FileRefused if two payments have one reference.

    ``legs_max`` (1 to PAY_LEGS_MAX) is how many payments share a transaction. References do not depend on it, so a file
    may be imported again with another number.
    """
    assert 1 <= legs_max <= PAY_LEGS_MAX
    by_debtor: dict[AccountNumber, list[Leg]] = {}
    seen: set[Ref] = set()
    for index, payment, ref in file_refs(file):
        if ref in seen:
            raise _same_ref(file, index, payment)
        seen.add(ref)
        debtor = file.payment_informations[index].debtor
        by_debtor.setdefault(debtor, []).append(Leg(payment.creditor, payment.amount, ref))
    pays: list[Pay] = []
    for debtor, legs in by_debtor.items():
        for chunk in _split(legs, legs_max):
            pays.append(Pay(len(pays), debtor, chunk))
    return Plan(file.digest, tuple(pays))


def pay_salt(file_digest: bytes, pay_index: int, attempt: int = 0) -> int:
    """Return the u64 salt of a pay's transaction.

    The same import gives the same bytes, and the same bytes are one transaction. A transaction that failed as a whole
    keeps its id and its result: who tries again after the reason is gone counts ``attempt`` up.
    """
    return int.from_bytes(digest(SALT_TAG, file_digest, encode((pay_index, attempt)))[:8], "big")


def _split(legs: Sequence[Leg], legs_max: int) -> Iterator[tuple[Leg, ...]]:
    """Yield the legs of each pay of one debtor.

    The n-th payment to a payee goes into the n-th layer, so a layer names no payee twice. Small layers would make many
    small pays: they are put together by sixteen.
    """
    small: list[Leg] = []
    for layer in _layers(legs):
        if len(layer) > UNSORTED_LEGS_MAX:
            yield from _chunks(layer, legs_max)
        else:
            small.extend(layer)
    small.sort(key=lambda leg: leg.creditor)  # stable: the order in the file decides between equals
    yield from _chunks(small, min(legs_max, UNSORTED_LEGS_MAX))


def _layers(legs: Sequence[Leg]) -> list[list[Leg]]:
    layers: list[list[Leg]] = []
    times: dict[AccountNumber, int] = {}
    for leg in legs:
        layer = times.get(leg.creditor, 0)
        times[leg.creditor] = layer + 1
        if layer == len(layers):
            layers.append([])
        layers[layer].append(leg)
    for layer_legs in layers:
        layer_legs.sort(key=lambda leg: leg.creditor)
    return layers


def _chunks(legs: Sequence[Leg], most: int) -> Iterator[tuple[Leg, ...]]:
    for start in range(0, len(legs), most):
        yield tuple(legs[start : start + most])


def _same_ref(file: PaymentFile, index: int, payment: Payment) -> FileRefused:
    """A UETR that equals another payment's derived reference: nobody meets it by chance."""
    problem = Problem(FileCode.DUPLICATE_UETR, f"PmtInf[{index + 1}]", 0, "", clipped(payment.end_to_end_id))
    return FileRefused((problem,), Original(file.message_id, file.created, file.payments, format_som(file.total)))
