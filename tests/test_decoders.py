"""Every decoder of what is signed, sent or stored takes one shape: no item more or less, no byte, no value beyond."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest

from consensus.crypto import PublicKey, Signature
from consensus.encoding import DecodeError, as_bytes, as_tuple, decode, encode
from consensus.messages import (
    Block,
    Certificate,
    CertificateRequest,
    Hash,
    Header,
    Kind,
    Proposal,
    Status,
    Vote,
    decode_block,
    decode_certificate,
    decode_header,
    decode_message,
    encode_certificate,
    encode_header,
    encode_message,
    make_block,
    payload_hash,
)
from consensus.records import Intent, Record, Reproposal, decode_record, encode_record
from node.decree import Authority, Decree, SignedDecree, decode_decree
from node.emergency import Report, decode_report
from node.ledger.account import Account, Profile, account_number, decode_account, encode_account
from node.ledger.asset import StatusChange, decode_change, encode_change
from node.ledger.assets import Asset, Attested, OnLedger, decode_asset, encode_asset
from node.ledger.attestations import Attestation, decode_attestation, encode_attestation
from node.ledger.commitment import (
    OutcomeProof,
    Proof,
    decode_outcome_proof,
    decode_proof,
    encode_outcome_proof,
    encode_proof,
)
from node.ledger.errors import Code, Refused
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition, Hold, decode_hold, encode_hold
from node.ledger.orders import ARREST, Order, decode_order, encode_order
from node.ledger.parameters import DEFAULT, Attesters, decode_parameters, encode_parameters
from node.ledger.pay import Pay
from node.ledger.receipt import Receipt, decode_receipt, encode_receipt
from node.ledger.recovery import Recovery, decode_recovery, encode_recovery
from node.ledger.settle import SettleHold
from node.ledger.statement import Entry, decode_entry, encode_entry
from node.ledger.transaction import decode_transaction, make_body
from node.ledger.validators import Keys, Seat
from node.storage.guard import Spoken

HASH: Final = Hash(b"h" * 32)
SIGNATURE: Final = Signature(b"s" * 64)
VOTE: Final = Vote(Kind.NOTARIZE, 1, 2, HASH, 3, SIGNATURE)
CERTIFICATE: Final = Certificate(Kind.FINALIZE, 1, 2, HASH, ((0, SIGNATURE), (3, SIGNATURE)))
HEADER: Final = Header(HASH, 1, 2, 3, 1, HASH, 3, 4, HASH, HASH, 2, HASH, payload_hash(b"payload"), 1)
BLOCK: Final[Block] = make_block(HEADER, b"payload")
ALICE, BOB = account_number(101, 1), account_number(101, 2)
PROFILE: Final = Profile(11, 1, 1, account_number(101, 0), 0, ((b"k" * 32, 1), (b"l" * 32, 2)), 2, b"c" * 32)
ASSET: Final = Asset("KGST", 2, account_number(1, 4), 1, 10**9, None, 6, 6, b"")

Place = tuple[int, ...]  # the way down to a value: at each array, which item


def _transaction(raw: bytes) -> object:
    try:
        return decode_transaction(raw, HASH)
    except Refused:  # this decoder's error is a code for the client
        raise DecodeError("refused") from None


def _body(body: bytes) -> object:
    return _transaction(encode((body, ((0, b"k" * 32, SIGNATURE),))))


def _decree(body: bytes) -> object:
    return decode_decree(encode((1, body, encode_header(HEADER), b"", (), (), ())))


def _report(body: bytes) -> object:
    return decode_report(encode((1, body, SIGNATURE)))


def _parameter(name: str) -> Callable[[bytes], object]:
    records = encode_parameters(DEFAULT)
    return lambda record: decode_parameters({**records, name: record})


PARAMETERS: Final = DEFAULT._replace(attesters=(Attesters("delivered", (ALICE,)), Attesters("gold", (ALICE, BOB))))
BODY: Final = make_body(417, 1_000, 7, (ALICE,), (Pay(1, ALICE, ((BOB, 5, b"ref"), (ALICE, 6, b""))),))
CONDITION: Final = Condition(HASH, (5, 6), 7, "delivered", "contract", revocable=False)
HOLDING: Final = make_body(
    417,
    1_000,
    7,
    (ALICE,),
    (
        MakeHold(1, ALICE, ((BOB, 5, b"ref"),), BOB, 9, CONDITION),
        SettleHold(ALICE, b"i" * 16, 5, BOB, b"secret", False),
    ),
)
AUTHORITY: Final = Authority(ALICE, ((b"k" * 32, 1), (b"l" * 32, 2)), 2)
DECREE: Final = SignedDecree(
    Decree(
        HASH, 1, 3, HASH, AUTHORITY, (Seat("bank", 1, "", Keys(b"a" * 32, b"b" * 32), None),), "two banks burnt down", 4
    ),
    HEADER,
    CERTIFICATE,
    ((b"k" * 32, 1),),
    ((b"k" * 32, SIGNATURE),),
    ((b"a" * 32, SIGNATURE), (b"c" * 32, SIGNATURE)),
)
REPORT: Final = as_bytes(
    as_tuple(
        decode(
            Report(
                HASH,
                1,
                PublicKey(b"k" * 32),
                Spoken((1, 2), False),
                (1, 2),
                3,
                (CERTIFICATE,),
                (HEADER,),
                4,
                SIGNATURE,
            ).encoded
        )
    )[1]
)
RECORDS: Final[tuple[Record, ...]] = (
    Intent(Kind.FINALIZE, 1, 2, HASH),
    Reproposal(1, 2, 1),
    CERTIFICATE,
    BLOCK,
)

# Name, decoder, sound bytes, and the arrays in them that may have more or fewer items.
SHAPES: Final[dict[str, tuple[Callable[[bytes], object], bytes, Sequence[Place]]]] = {
    "vote": (decode_message, encode_message(VOTE), ()),
    "certificate message": (decode_message, encode_message(CERTIFICATE), ((5,),)),
    "proposal": (
        decode_message,
        encode_message(Proposal(1, VOTE, BLOCK, (CERTIFICATE,), CERTIFICATE)),
        ((4,), (4, 0, 4), (5, 4)),
    ),
    "request": (decode_message, encode_message(CertificateRequest(1, 2, 3)), ()),
    "status": (decode_message, encode_message(Status(1, 2, 3, 4)), ()),
    "certificate": (decode_certificate, encode_certificate(CERTIFICATE), ((4,),)),
    "header": (decode_header, encode_header(HEADER), ()),
    "block": (decode_block, BLOCK.encoded, ()),
    **{f"record {type(each).__name__}": (decode_record, encode_record(each), ()) for each in RECORDS},
    "account": (
        lambda data: decode_account(ALICE, data),
        encode_account(Account(ALICE, PROFILE, 1, 2, 3, HASH, ((1, 5, 0), (2, 6, 1)))),
        ((5,), (0, 5)),
    ),
    "asset": (decode_asset, encode_asset(ASSET), ()),
    "asset backed on the ledger": (decode_asset, encode_asset(ASSET._replace(backing=OnLedger(ALICE, 1))), ()),
    "asset with attestations": (decode_asset, encode_asset(ASSET._replace(backing=Attested("gold", 1, 2))), ()),
    "receipt": (
        lambda data: decode_receipt(HASH, data),
        encode_receipt(Receipt(HASH, int(Code.DUPLICATE_REF), 1, 0, ((0, 0, 207), (1, 2, 207)), HASH)),
        ((3,),),
    ),
    "entry": (decode_entry, encode_entry(Entry(1, 2, HASH, 3, 4, 5, ALICE, -6, 7, b"ref")), ()),
    "proof": (decode_proof, encode_proof(Proof(b"bucket", (b"p" * 480, b"q" * 480))), ((1,),)),
    "outcome proof": (decode_outcome_proof, encode_outcome_proof(OutcomeProof(1, 2, (HASH,))), ((2,),)),
    "tiers": (_parameter("tiers"), encode_parameters(DEFAULT)["tiers"], ((),)),
    "openers": (_parameter("openers"), encode_parameters(DEFAULT)["openers"], ((),)),
    "attesters": (_parameter("attesters"), encode(PARAMETERS.attesters), ((), (0, 1), (1, 1))),
    "change of status": (decode_change, encode_change(StatusChange(2, ALICE, HASH, 3, 4, HASH)), ()),
    "attestation": (
        decode_attestation,
        encode_attestation(Attestation("gold", "USDKG", 1, 2, 3, HASH, ALICE, 4, 5, HASH, 6, BOB)),
        (),
    ),
    "hold": (decode_hold, encode_hold(Hold(1, ALICE, BOB, ALICE, 5, b"ref", 6, 7, CONDITION)), ((8, 1),)),
    "hold of an arrest": (decode_hold, encode_hold(Hold(1, ALICE, BOB, 0, 5, b"", 0, 7, None, "12")), ()),
    "order": (
        decode_order,
        encode_order(Order(ARREST, ALICE, HASH, 1, 2, BOB, False, b"i" * 16, 3, 4, HASH, 5, HASH)),
        (),
    ),
    "open recovery": (decode_recovery, encode_recovery(Recovery(PROFILE.keys, 2, 3)), ((0,),)),
    "cancelled recovery": (decode_recovery, encode_recovery(Recovery((), 0, 0, 4)), ((0,),)),
    "transaction": (_transaction, encode((BODY, ((0, b"k" * 32, SIGNATURE),))), ((1,),)),
    "body of a transaction": (_body, BODY, ((4,), (5,), (5, 0, 3))),
    "body with holds": (_body, HOLDING, ((4,), (5,), (5, 0, 3), (5, 0, 6, 1))),
    "decree": (_decree, DECREE.decree.encoded, ((5, 1),)),
    "signed decree": (decode_decree, DECREE.encoded, ((4,), (5,), (6,))),
    "report": (_report, REPORT, ((7,), (8,))),
}
# Bytes of any length: a payload with its own commitment, texts with a bound, other encodings.
FREE: Final = {
    ("proof", (0,)),
    ("receipt", (4,)),
    ("entry", (9,)),
    ("asset", (8,)),
    ("body of a transaction", (5, 0, 3, 0, 2)),
    ("hold", (5,)),
    ("hold of an arrest", (5,)),
    ("body with holds", (5, 0, 3, 0, 2)),
}
FREE_TOO: Final = {
    ("asset backed on the ledger", (8,)),
    ("asset with attestations", (8,)),
    ("body of a transaction", (5, 0, 3, 1, 2)),
    ("body with holds", (5, 1, 5)),
}

# Numbers with a bound of their own: where, and the greatest.
BOUNDS: Final[tuple[tuple[str, Place, int], ...]] = (
    ("vote", (1,), 2),
    ("vote", (5,), 30),
    ("header", (7,), 30),
    ("account", (0, 0), 12),
    ("account", (0, 1), 255),
    ("account", (0, 2), 15),
    ("account", (0, 3), 10**16 - 1),
    ("account", (0, 4), 9_999),
    ("account", (0, 5, 1, 1), 1_000),
    ("account", (0, 6), 16_000),
    ("account", (5, 1, 0), 2**16 - 1),
    ("asset", (1,), 12),
    ("asset", (2,), 10**16 - 1),
    ("asset", (3,), 3),
    ("asset", (6,), 2**13 - 2),
    ("asset backed on the ledger", (5, 2), 2**16 - 1),
    ("asset with attestations", (5, 2), 100_000),
    ("receipt", (1,), 255),
    ("receipt", (2,), 65_535),
    ("receipt", (3, 0, 0), 255),
    ("receipt", (3, 0, 1), 65_535),
    ("entry", (3,), 255),
    ("entry", (4,), 65_535),
    ("entry", (5,), 2**16 - 1),
    ("entry", (6,), 10**16 - 1),
    ("outcome proof", (0,), 2**32 - 1),
    ("outcome proof", (1,), 2**32 - 1),
    ("tiers", (-1, 0), 255),
    ("openers", (-1, 0), 12),
    ("attesters", (-1, 1, -1), 10**16 - 1),
    ("change of status", (0,), 3),
    ("change of status", (1,), 10**16 - 1),
    ("attestation", (2,), 2**63 - 1),
    ("attestation", (6,), 10**16 - 1),
    ("attestation", (11,), 10**16 - 1),
    ("hold", (0,), 2**16 - 1),
    ("hold", (1,), 10**16 - 1),
    ("hold", (2,), 10**16 - 1),
    ("hold", (3,), 10**16 - 1),
    ("hold", (4,), 2**63 - 1),
    ("hold", (8, 1, 1), 9_999),
    ("hold", (8, 2), 2**53 - 1),
    ("order", (0,), 5),
    ("order", (1,), 10**16 - 1),
    ("order", (3,), 2**16 - 1),
    ("order", (4,), 2**63 - 1),
    ("order", (5,), 10**16 - 1),
    ("open recovery", (1,), 16_000),
    ("body of a transaction", (0,), 1),
    ("body of a transaction", (1,), 2**32 - 1),
    ("body of a transaction", (2,), 2**53 - 1),
    ("body of a transaction", (3,), 2**64 - 1),
    ("body of a transaction", (5, 0, 1), 2**16 - 1),
    ("body with holds", (5, 0, 1), 2**16 - 1),
    ("body with holds", (5, 0, 3, 0, 0), 10**16 - 1),
    ("body with holds", (5, 0, 3, 0, 1), 2**63 - 1),
    ("body with holds", (5, 0, 4), 10**16 - 1),
    ("body with holds", (5, 0, 5), 2**53 - 1),
    ("body with holds", (5, 1, 3), 2**63 - 1),
    ("body with holds", (5, 1, 4), 10**16 - 1),
    ("decree", (2,), 1_000),
    ("decree", (5, 0), 10**16 - 1),
    ("decree", (5, 1, 0, 1), 1_000),
    ("decree", (5, 2), 16_000),
    ("decree", (8,), 2**53 - 1),
    ("signed decree", (4, 0, 1), 2**32 - 1),
    ("report", (2,), 1_000),
    ("report", (9,), 2**53 - 1),
)


def walk(value: object, place: Place = ()) -> Iterator[tuple[Place, object]]:
    yield place, value
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from walk(item, (*place, index))


def changed(value: Any, place: Place, new: object) -> object:
    """Return ``value`` with ``new`` at the place."""
    if not place:
        return new
    items = list(value)
    items[place[0]] = changed(items[place[0]], place[1:], new)
    return tuple(items)


def refuses(name: str, value: object) -> bool:
    """Return whether the decoder refuses; any other exception than DecodeError fails the test."""
    try:
        SHAPES[name][0](encode(value))
    except DecodeError:
        return True
    return False


@pytest.mark.parametrize("name", SHAPES)
def test_a_sound_value_is_taken(name: str) -> None:
    assert not refuses(name, decode(SHAPES[name][1]))


@pytest.mark.parametrize("name", SHAPES)
def test_no_item_may_be_missing_or_too_many(name: str) -> None:
    whole = decode(SHAPES[name][1])
    for place, value in walk(whole):
        if isinstance(value, tuple) and place not in SHAPES[name][2]:
            for other in ((*value, 0), (*value, None), value[:-1], ()):
                assert refuses(name, changed(whole, place, other)), (place, other)


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_may_be_of_another_type(name: str) -> None:
    whole = decode(SHAPES[name][1])
    for place, value in walk(whole):
        for other in (True, "text", -(2**63), b"", (((),),), 2**64 - 1):
            if type(other) is not type(value) and not (isinstance(value, bool) or (other == b"" and value is None)):
                assert refuses(name, changed(whole, place, other)), (place, other)


@pytest.mark.parametrize("name", SHAPES)
def test_keys_hashes_and_signatures_have_their_length(name: str) -> None:
    whole = decode(SHAPES[name][1])
    for place, value in walk(whole):
        if isinstance(value, bytes) and (name, place) not in FREE | FREE_TOO:
            for other in (value + b"\0", value[:-1]):
                assert refuses(name, changed(whole, place, other)), (place, other)


@pytest.mark.parametrize(("name", "place", "most"), BOUNDS, ids=str)
def test_a_number_reaches_its_bound_and_not_further(name: str, place: Place, most: int) -> None:
    whole = decode(SHAPES[name][1])
    assert not refuses(name, changed(whole, place, most))
    assert most == 2**64 - 1 or refuses(name, changed(whole, place, most + 1))
