"""Evidence convinces strangers, and names nobody honest."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.encoding import DecodeError, encode
from consensus.events import Evidence
from consensus.evidence import Offence, decode_evidence, encode_evidence, evidence_valid, make_evidence, offence
from consensus.messages import NO_HASH, Hash, Kind, Vote, encode_message
from tests.consensus_lab import EPOCH, FINALIZE, GENESIS, NOTARIZE, NULLIFY, World

ONE, OTHER = Hash(b"1" * 32), Hash(b"2" * 32)
WORLD = World(4)
LATER = World(4, epoch=EPOCH + 1)


def vote(kind: Kind, named: Hash = NO_HASH, signer: int = 1, view: int = 5) -> Vote:
    return WORLD.vote(kind, view, named, signer)


GUILTY = [
    (vote(NOTARIZE, ONE), vote(NOTARIZE, OTHER), Offence.CONFLICTING_NOTARIZE),
    (vote(FINALIZE, ONE), vote(FINALIZE, OTHER), Offence.CONFLICTING_FINALIZE),
    (vote(NULLIFY), vote(FINALIZE, ONE), Offence.NULLIFY_AND_FINALIZE),
]
INNOCENT = [
    (vote(NOTARIZE, ONE), vote(NOTARIZE, ONE)),
    (vote(NULLIFY), vote(NULLIFY)),
    (vote(NOTARIZE, ONE), vote(NULLIFY)),
    (vote(NOTARIZE, ONE), vote(FINALIZE, ONE)),
    (vote(NOTARIZE, ONE), vote(FINALIZE, OTHER)),
    (vote(NOTARIZE, ONE), vote(NOTARIZE, OTHER, signer=2)),
    (vote(NOTARIZE, ONE), vote(NOTARIZE, OTHER, view=6)),
    (vote(NULLIFY), vote(FINALIZE, ONE, view=6)),
    (vote(NOTARIZE, ONE), LATER.vote(NOTARIZE, 5, OTHER, 1)),
]


@pytest.mark.parametrize(("first", "second", "what"), GUILTY)
def test_each_offence_is_proven_by_its_two_votes_in_either_order(first: Vote, second: Vote, what: Offence) -> None:
    """R45"""
    assert offence(first, second) is offence(second, first) is what
    assert make_evidence(first, second) == make_evidence(second, first)
    evidence = make_evidence(first, second)
    assert evidence_valid(evidence, WORLD.committee, GENESIS)
    assert decode_evidence(encode_evidence(evidence)) == evidence


@pytest.mark.parametrize(("first", "second"), INNOCENT)
def test_what_an_honest_validator_may_sign_is_no_evidence(first: Vote, second: Vote) -> None:
    """R45: identical votes, another signer, view or epoch, and the mixed kinds."""
    assert offence(first, second) is None
    with pytest.raises(ValueError, match="nothing"):
        make_evidence(first, second)
    with pytest.raises(DecodeError):
        decode_evidence(encode((encode_message(first), encode_message(second))))
    assert not evidence_valid(Evidence(first, second), WORLD.committee, GENESIS)


@pytest.mark.parametrize(("first", "second", "what"), GUILTY)
def test_evidence_has_one_encoding(first: Vote, second: Vote, what: Offence) -> None:
    """R45: else one offence could be reported many times."""
    evidence = make_evidence(first, second)
    with pytest.raises(DecodeError, match="order"):
        decode_evidence(encode((encode_message(evidence.second), encode_message(evidence.first))))
    assert what in Offence


def test_forged_and_foreign_evidence_is_invalid() -> None:
    """R45, R2"""
    good = make_evidence(*GUILTY[0][:2])
    forged = replace(good.second, signature=good.first.signature)
    assert not evidence_valid(Evidence(good.first, forged), WORLD.committee, GENESIS)
    assert not evidence_valid(good, LATER.committee, GENESIS)
    assert not evidence_valid(good, WORLD.committee, Hash(b"another network, another genesis"))
    outside = Evidence(replace(good.first, signer=9), replace(good.second, signer=9))
    assert not evidence_valid(outside, WORLD.committee, GENESIS)


@given(st.binary(max_size=100))
def test_garbage_is_no_evidence(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_evidence(data)


def test_only_votes_are_evidence() -> None:
    certificate = encode_message(replace(WORLD.certificate(NULLIFY, 5), signatures=()))
    for first, second in product((certificate, encode_message(GUILTY[0][0])), (certificate,)):
        with pytest.raises(DecodeError):
            decode_evidence(encode((first, second)))
