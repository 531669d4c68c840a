"""When a decree stands, for nodes and clients alike; and what its bytes may be."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.committee import Committee
from consensus.crypto import SecretKey
from consensus.encoding import DecodeError, decode, encode
from consensus.messages import Hash, Kind, encode_certificate, encode_header
from node.client.errors import ProofInvalid
from node.client.trust import CommitteeUnknown, Trust
from node.decree import (
    DECREE_BYTES_MAX,
    Decree,
    DecreeInvalid,
    DecreeShort,
    DecreeUnknown,
    SignedDecree,
    Standing,
    decode_decree,
    merged,
    require_stands,
)
from node.rpc.validator_types import CommitteeChange
from node.terms import TERM_EPOCHS, begin_height, end_height, epoch_above, term_of
from tests.decree_lab import (
    AUTHORITY,
    BANK,
    FIRST_TERM,
    GENESIS,
    LENGTH,
    NEW,
    NEXT,
    OLD,
    certified,
    committee,
    decreed,
    header,
    seats_of,
    signed,
    sound,
)

OLD_COMMITTEE: Final = committee(OLD)


def known(epoch: int) -> Committee | None:
    return committee(OLD, epoch)


def stands(
    one: SignedDecree,
    before: Decree | None = None,
    of: Callable[[int], Committee | None] = known,
    short: bool = False,
) -> Standing:
    return require_stands(one, GENESIS, LENGTH, before, of, short)


@pytest.mark.parametrize("kind", [Kind.NOTARIZE, Kind.FINALIZE])
def test_a_decree_of_the_bank_and_of_more_weight_than_may_be_faulty_stands(kind: Kind) -> None:
    standing = stands(sound(kind=kind))
    assert standing == Standing(2, 2, ((2, 2),))
    assert standing.bank_signed
    assert standing.blocked


BASE = header(13)
UNSIGNED = decreed(BASE, certified(BASE))
SOUND = signed(UNSIGNED)

HEAVY: Final = list(zip(seats_of(NEW), (5, 1, 1, 1), strict=True))
REFUSED: Final = {
    "of another network": signed(decreed(BASE, certified(BASE), genesis_hash=b"x" * 32)),
    "one key of the bank": signed(UNSIGNED, bank=BANK[:1]),
    "nobody of the bank": signed(UNSIGNED, bank=()),
    "a key that is not the bank's": signed(UNSIGNED, bank=[*BANK[:2], NEXT[0]]),
    "a signature of another decree": replace(SOUND, bank=signed(decreed(BASE, reason="other")).bank),
    "a validator's signature of another decree": replace(
        SOUND, validators=signed(decreed(BASE, reason="other")).validators
    ),
    "the header of another block": replace(SOUND, header=header(13, view=14)),
    "another height": signed(decreed(BASE, certified(BASE), base_height=12)),
    "no certificate": signed(decreed(BASE)),
    "a certificate of less than a quorum": signed(decreed(BASE, certified(BASE, signing=2))),
    "a nullification": signed(decreed(BASE, replace(certified(BASE), kind=Kind.NULLIFY))),
    "a certificate of another block": signed(decreed(BASE, certified(header(12)))),
    "a certificate of another epoch": signed(decreed(BASE, replace(certified(BASE), epoch=2))),
    "a term too far": signed(decreed(BASE, certified(BASE), term=2)),
    "no validators": signed(decreed(BASE, certified(BASE), roster=())),
    "one validator that outweighs what may be faulty": signed(
        decreed(BASE, certified(BASE), roster=tuple(seat._replace(weight=weight) for seat, weight in HEAVY))
    ),
    "too many validators": signed(
        decreed(BASE, certified(BASE), roster=seats_of([SecretKey(bytes([n, 9]) * 16) for n in range(32)]))
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_decree_that_is_not_as_it_must_be_does_not_stand(name: str) -> None:
    for short in (False, True):  # what a person may accept is only that validators are missing
        with pytest.raises(DecreeInvalid) as refused:
            stands(REFUSED[name], short=short)
        assert not isinstance(refused.value, DecreeShort | DecreeUnknown)


@pytest.mark.parametrize("left", [OLD[:1], (), [OLD[0], NEXT[0], NEXT[1], NEW[0]]])
def test_fewer_validators_of_the_committee_before_take_a_person_who_accepts_it(left: list[SecretKey]) -> None:
    one = signed(UNSIGNED, left=left)
    with pytest.raises(DecreeShort):
        stands(one)
    assert not stands(one, short=True).blocked


def test_a_committee_that_is_not_known_says_nothing_of_the_decree() -> None:
    with pytest.raises(DecreeUnknown):
        stands(SOUND, of=lambda _: None)
    with pytest.raises(DecreeUnknown):
        stands(SOUND, of=lambda epoch: committee(NEXT, epoch))


# The last block of an epoch names the committee that goes on above it.
BOUNDARY = header(20, following=NEXT)


@pytest.mark.parametrize(
    ("kind", "left", "enough"),
    [
        (Kind.FINALIZE, NEXT[:2], True),
        (Kind.FINALIZE, OLD[:2], False),
        (Kind.NOTARIZE, NEXT[:2], False),
        (Kind.NOTARIZE, OLD[:2], False),
        (Kind.NOTARIZE, [*OLD[:2], *NEXT[:2]], True),
    ],
)
def test_at_the_end_of_an_epoch_every_committee_that_could_go_on_is_blocked(
    kind: Kind, left: list[SecretKey], enough: bool
) -> None:
    one = signed(decreed(BOUNDARY, certified(BOUNDARY, kind=kind), NEXT), left=left)
    if enough:
        stands(one)
    else:
        with pytest.raises(DecreeShort):
            stands(one)


def test_at_the_end_of_an_epoch_the_committee_that_follows_is_the_one_that_the_base_names() -> None:
    for following in ((), NEW):
        one = signed(decreed(BOUNDARY, certified(BOUNDARY, kind=Kind.FINALIZE), following), left=[*NEXT, *NEW])
        with pytest.raises(DecreeInvalid):
            stands(one)


def test_block_0_needs_no_certificate_and_no_other_block_goes_without() -> None:
    first = header(0, epoch=0, view=0, parent_view=0, executed_height=0, next_validators_hash=Hash(OLD_COMMITTEE.hash))
    stands(signed(decreed(first)))


def test_a_second_decree_stands_by_the_validators_of_the_first() -> None:
    first = SOUND.decree
    above = header(14, NEW, epoch=FIRST_TERM + 1)
    for head, certificate in ((above, certified(above, NEW)), (BASE, certified(BASE))):  # blocks since, or none
        second = decreed(head, certificate, term=2, roster=seats_of(NEXT))

        def of(epoch: int) -> Committee:
            return committee(NEW if term_of(epoch) else OLD, epoch)

        stands(signed(second, left=NEW[:2]), first, of)
        with pytest.raises(DecreeShort):
            stands(signed(second, left=OLD[:2]), first, of)
        with pytest.raises(DecreeInvalid, match="not the next"):
            stands(signed(second, left=NEW[:2]), None, of)


def test_a_second_decree_has_no_base_below_the_first_and_none_of_the_term_before() -> None:
    first = SOUND.decree
    for head in (header(12), header(14)):
        second = signed(decreed(head, certified(head), term=2), left=NEW[:2])
        with pytest.raises(DecreeInvalid):
            stands(second, first, lambda epoch: committee(NEW if term_of(epoch) else OLD, epoch))


def test_copies_are_merged_and_two_decrees_are_not() -> None:
    one, two = signed(UNSIGNED, BANK[:1], OLD[:1]), signed(UNSIGNED, BANK[1:2], OLD[1:2])
    assert merged(one, two) == merged(two, one) == SOUND
    with pytest.raises(DecreeInvalid, match="two decrees"):
        merged(one, signed(decreed(BASE, certified(BASE), reason="another")))


# --- clients ---

TRUST: Final = Trust(GENESIS, LENGTH, (OLD_COMMITTEE,))


def change(one: SignedDecree) -> CommitteeChange:
    certificate = b"" if one.certificate is None else encode_certificate(one.certificate)
    return CommitteeChange(
        epoch=FIRST_TERM + one.decree.base_height // LENGTH,
        validators=(),
        header=encode_header(one.header).hex(),
        certificate=certificate.hex(),
        decree=one.encoded.hex(),
    )


def test_a_client_with_nothing_but_the_genesis_follows_a_decree() -> None:
    trust = TRUST.after(change(SOUND))
    head = header(14, NEW, epoch=FIRST_TERM + 1, view=1)
    with pytest.raises(CommitteeUnknown):
        TRUST.require_final(head, certified(head, NEW, Kind.FINALIZE))
    trust.require_final(head, certified(head, NEW, Kind.FINALIZE))
    trust.require_final(header(12), certified(header(12), kind=Kind.FINALIZE))
    boundary = header(20, NEW, NEXT, epoch=FIRST_TERM + 1)
    after = trust.followed(boundary, certified(boundary, NEW, Kind.FINALIZE), committee(NEXT, FIRST_TERM + 2))
    assert after.epoch == FIRST_TERM + 2


def test_what_a_decree_has_left_out_is_not_final_for_a_client_that_knows_it() -> None:
    head = header(14)
    TRUST.require_final(head, certified(head, kind=Kind.FINALIZE))
    with pytest.raises(ProofInvalid, match="left out"):
        TRUST.decreed(SOUND).require_final(head, certified(head, kind=Kind.FINALIZE))


def test_a_client_refuses_the_second_of_two_decrees_and_one_below_what_is_final() -> None:
    trust = TRUST.decreed(SOUND)
    assert trust.decreed(SOUND) is trust
    other = signed(decreed(BASE, certified(BASE), roster=seats_of(NEXT)))
    with pytest.raises(ProofInvalid, match="two decrees of term 1"):
        trust.decreed(other)
    boundary = header(20, following=NEXT)
    later = TRUST.followed(boundary, certified(boundary, kind=Kind.FINALIZE), committee(NEXT, 2))
    with pytest.raises(ProofInvalid, match="below what is final"):
        later.decreed(SOUND)


def test_a_client_takes_a_short_decree_only_by_the_digest_that_a_person_gave_it() -> None:
    short = signed(UNSIGNED, left=())
    with pytest.raises(ProofInvalid, match="too little weight"):
        TRUST.decreed(short)
    assert replace(TRUST, accepted=frozenset((short.decree.digest,))).decreed(short).epoch == FIRST_TERM + 1
    with pytest.raises(ProofInvalid):
        replace(TRUST, accepted=frozenset((b"x" * 32,))).decreed(short)


# --- numbers and bytes ---


@given(st.integers(0, 1_000), st.integers(0, 10**9), st.integers(1, 10**6))
def test_an_epoch_says_its_term_and_its_heights(term: int, height: int, length: int) -> None:
    epoch = epoch_above(height, length, term)
    assert term_of(epoch) == term
    assert begin_height(epoch, length) <= height < end_height(epoch, length)
    assert epoch + TERM_EPOCHS == epoch_above(height, length, term + 1)
    assert epoch < 2**53


@pytest.mark.parametrize("one", [UNSIGNED, SOUND, signed(decreed(BOUNDARY, certified(BOUNDARY), NEXT))])
def test_a_decree_is_what_its_bytes_say(one: SignedDecree) -> None:
    read = decode_decree(one.encoded)
    assert read == one
    assert read.encoded == one.encoded
    assert read.decree.digest == one.decree.digest


def test_each_field_of_a_decree_is_signed() -> None:
    changed = [
        {"genesis_hash": b"x" * 32},
        {"term": 2},
        {"base_height": 14},
        {"base_hash": Hash(b"x" * 32)},
        {"authority": replace(AUTHORITY, threshold=1)},
        {"authority": replace(AUTHORITY, account=43)},
        {"roster": seats_of(NEXT)},
        {"reason": ""},
        {"time_ms": 1},
    ]
    digests = {decreed(BASE, **fields).decree.digest for fields in changed}  # type: ignore[arg-type]
    assert len(digests | {UNSIGNED.decree.digest}) == len(changed) + 1


@given(st.data())
def test_a_decree_that_is_cut_or_changed_decodes_to_another_or_not_at_all(data: st.DataObject) -> None:
    encoded = SOUND.encoded
    at = data.draw(st.integers(0, len(encoded) - 1))
    broken = data.draw(
        st.sampled_from([encoded[:at], encoded[:at] + bytes([encoded[at] ^ 1]) + encoded[at + 1 :], encoded + b"\0"])
    )
    try:
        read = decode_decree(broken)
    except DecodeError:
        return
    assert read.encoded == broken
    with pytest.raises(DecreeInvalid):
        stands(read)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_decree_or_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_decree(data)


def test_a_decree_has_a_size_and_its_parts_have_bounds() -> None:
    with pytest.raises(DecodeError, match="at most"):
        decode_decree(bytes(DECREE_BYTES_MAX + 1))
    whole: Any = decode(SOUND.encoded)
    form, decree, head, certificate, following, bank, validators = whole
    parts: Any = decode(decree)
    key = (b"k" * 32, b"s" * 64)

    def refused(*fields: object) -> None:
        with pytest.raises(DecodeError):
            decode_decree(encode(fields))

    refused(2, decree, head, certificate, following, bank, validators)
    refused(form, decree, head, certificate, ((b"k" * 31, 1),), bank, validators)
    refused(form, decree, head, certificate, ((b"k" * 32, 0),), bank, validators)
    refused(form, decree, head, certificate, following, bank[::-1], validators)
    refused(form, decree, head, certificate, following, (key, key), validators)
    refused(form, decree, head, certificate, following, bank, (key, key))
    for place, value in ((0, 2), (2, 0), (2, 1_001), (3, -1), (5, (42, (), 0)), (7, "x" * 1_001), (8, 2**53)):
        refused(
            form, encode((*parts[:place], value, *parts[place + 1 :])), head, certificate, following, bank, validators
        )
