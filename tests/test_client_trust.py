"""What a client trusts as committees change: each follows from the one before, by a quorum, at an epoch's end."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.committee import Committee, Validator
from consensus.crypto import SecretKey
from consensus.messages import (
    NO_HASH,
    Certificate,
    Hash,
    Header,
    Kind,
    encode_certificate,
    encode_header,
    header_hash,
    vote_statement,
)
from node.client.errors import ProofInvalid
from node.client.trust import CommitteeUnknown, Trust
from node.rpc.validator_types import CommitteeChange, CommitteeMember

GENESIS: Final = Hash(b"\5" * 32)
LENGTH: Final = 10
KEYS: Final = [SecretKey(bytes([number]) * 32) for number in range(1, 12)]
FIRST, SECOND, THIRD = KEYS[:4], KEYS[3:7], KEYS[6:7]


def committee(keys: list[SecretKey], epoch: int = 0) -> Committee:
    return Committee(epoch, [Validator(key.public, 1) for key in keys])


def header(height: int, keys: list[SecretKey], following: list[SecretKey] | None = None) -> Header:
    return Header(
        genesis_hash=GENESIS,
        epoch=(height - 1) // LENGTH,
        view=height,
        height=height,
        parent_view=height - 1,
        parent_hash=Hash(b"\1" * 32),
        proposer=0,
        timestamp_ms=height,
        validators_hash=Hash(committee(keys).hash),
        next_validators_hash=NO_HASH if following is None else Hash(committee(following).hash),
        executed_height=height - 1,
        state_root=Hash(b"\2" * 32),
        payload_hash=Hash(b"\3" * 32),
        version=1,
    )


def finalized(
    head: Header, keys: list[SecretKey], signing: int | None = None, kind: Kind = Kind.FINALIZE
) -> Certificate:
    block_hash = header_hash(head)
    statement = vote_statement(GENESIS, kind, head.epoch, head.view, block_hash)
    seats = committee(keys, head.epoch)
    secrets = {key.public: key for key in keys}
    signed = tuple((index, secrets[member.public_key].sign(statement)) for index, member in enumerate(seats.validators))
    return Certificate(kind, head.epoch, head.view, block_hash, signed[: seats.quorum if signing is None else signing])


def change(epoch: int, before: list[SecretKey], after: list[SecretKey], signing: int | None = None) -> CommitteeChange:
    head = header(epoch * LENGTH, before, after)
    return CommitteeChange(
        epoch=epoch,
        validators=tuple(
            CommitteeMember(consensus_key=member.public_key.hex(), weight=1) for member in committee(after).validators
        ),
        header=encode_header(head).hex(),
        certificate=encode_certificate(finalized(head, before, signing)).hex(),
    )


TRUST: Final = Trust(GENESIS, LENGTH, (committee(FIRST),))


def test_a_committee_follows_by_the_quorum_of_the_one_before() -> None:
    trust = TRUST.after(change(5, FIRST, SECOND)).after(change(6, SECOND, THIRD))
    assert [each.epoch for each in trust.committees] == [0, 5, 6]
    for height, keys in ((1, FIRST), (50, FIRST), (51, SECOND), (60, SECOND), (61, THIRD), (6_000, THIRD)):
        head = header(height, keys)
        trust.require_final(head, finalized(head, keys))


def test_votes_of_a_committee_are_worth_nothing_in_an_epoch_of_another() -> None:
    trust = TRUST.after(change(5, FIRST, SECOND))
    for height, keys in ((51, FIRST), (50, SECOND)):
        head = header(height, keys)
        with pytest.raises(CommitteeUnknown):
            trust.require_final(head, finalized(head, keys))
    head = header(51, SECOND)
    with pytest.raises(ProofInvalid, match="no quorum"):
        trust.require_final(head, replace(finalized(head, FIRST), hash=header_hash(head)))


def test_a_later_committee_is_unknown_until_it_is_learned() -> None:
    head = header(51, SECOND)
    with pytest.raises(CommitteeUnknown):
        TRUST.require_final(head, finalized(head, SECOND))
    TRUST.after(change(5, FIRST, SECOND)).require_final(head, finalized(head, SECOND))


def test_less_than_a_quorum_or_another_vote_makes_nothing_final() -> None:
    head = header(3, FIRST)
    with pytest.raises(ProofInvalid, match="no quorum"):
        TRUST.require_final(head, finalized(head, FIRST, signing=2))
    with pytest.raises(ProofInvalid, match="finalize"):
        TRUST.require_final(head, finalized(head, FIRST, kind=Kind.NOTARIZE))
    with pytest.raises(ProofInvalid, match="another network"):
        TRUST.require_final(replace(head, genesis_hash=Hash(b"\6" * 32)), finalized(head, FIRST))


def test_a_change_that_does_not_follow_is_refused() -> None:
    learned = TRUST.after(change(5, FIRST, SECOND))
    wrong = (
        (TRUST, change(5, SECOND, THIRD)),  # by a committee that is not known
        (TRUST, change(5, FIRST, SECOND, signing=2)),
        (learned, change(5, FIRST, SECOND)),  # once more
        (learned, change(4, FIRST, THIRD)),  # from before the last one known
        (learned, change(7, FIRST, THIRD)),
        (TRUST, altered(change(5, FIRST, SECOND), epoch=6)),
        (TRUST, altered(change(5, FIRST, SECOND), validators=change(5, FIRST, THIRD).validators)),
        (TRUST, altered(change(5, FIRST, SECOND), validators=())),
        (TRUST, altered(change(5, FIRST, SECOND), header="00")),
    )
    for trust, each in wrong:
        with pytest.raises(ProofInvalid):
            trust.after(each)


def test_a_change_in_the_middle_of_an_epoch_is_refused() -> None:
    head = header(45, FIRST, SECOND)
    early = altered(
        change(5, FIRST, SECOND),
        header=encode_header(head).hex(),
        certificate=encode_certificate(finalized(head, FIRST)).hex(),
    )
    with pytest.raises(ProofInvalid, match="middle"):
        TRUST.after(early)


_GOOD: Final = change(5, FIRST, SECOND)


@given(st.sampled_from(("header", "certificate")), st.integers(min_value=0), st.integers(1, 255))
def test_no_byte_of_a_change_can_be_another(field: str, at: int, flip: int) -> None:
    data = bytearray.fromhex(getattr(_GOOD, field))
    data[at % len(data)] ^= flip
    with pytest.raises(ProofInvalid):
        TRUST.after(altered(_GOOD, **{field: data.hex()}))


def altered(value: CommitteeChange, **fields: object) -> CommitteeChange:
    known = {name: getattr(value, name) for name in value.__struct_fields__}
    return CommitteeChange(**{**known, **fields})
