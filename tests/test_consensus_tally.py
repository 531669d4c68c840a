"""Votes of one view become certificates, and contradictions evidence."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.messages import NO_HASH, Certificate, Hash, Kind, Vote
from consensus.tally import Tally
from consensus.verify import certificate_valid
from tests.consensus_lab import FINALIZE, GENESIS, NOTARIZE, NULLIFY, World

ONE, OTHER = Hash(b"1" * 32), Hash(b"2" * 32)


def count(tally: Tally, votes: Iterable[Vote]) -> list[Certificate]:
    return [certificate for vote in votes if (certificate := tally.add(vote)) is not None]


def test_a_quorum_of_equal_votes_is_a_certificate() -> None:
    """R22"""
    world = World(4)
    tally = Tally(world.committee)
    assert count(tally, (world.vote(NOTARIZE, 5, ONE, signer) for signer in (3, 1))) == []
    (certificate,) = count(tally, [world.vote(NOTARIZE, 5, ONE, 0)])
    assert [signer for signer, _ in certificate.signatures] == [0, 1, 3]
    assert certificate_valid(certificate, world.committee, GENESIS)


def test_a_certificate_is_made_once() -> None:
    """R22"""
    world = World(4)
    tally = Tally(world.committee)
    (certificate,) = count(tally, (world.vote(NULLIFY, 5, signer=signer) for signer in range(3)))
    assert tally.certify(certificate)
    assert not tally.certify(certificate)
    assert count(tally, [world.vote(NULLIFY, 5, signer=3)]) == []


def test_a_signer_counts_once_however_often_it_votes() -> None:
    """R22"""
    world = World(4)
    tally = Tally(world.committee)
    assert count(tally, [world.vote(NOTARIZE, 5, ONE, signer) for signer in (1, 2, 1, 2, 1, 2)]) == []


def test_votes_for_different_blocks_are_not_summed() -> None:
    """R22"""
    world = World(4)
    tally = Tally(world.committee)
    votes = [world.vote(NOTARIZE, 5, ONE, 0), world.vote(NOTARIZE, 5, ONE, 1), world.vote(NOTARIZE, 5, OTHER, 2)]
    assert count(tally, votes) == []
    (certificate,) = count(tally, [world.vote(NOTARIZE, 5, ONE, 3)])
    assert [signer for signer, _ in certificate.signatures] == [0, 1, 3]


def test_kinds_are_not_summed() -> None:
    """R22"""
    world = World(4)
    tally = Tally(world.committee)
    votes = [world.vote(NOTARIZE, 5, ONE, 0), world.vote(FINALIZE, 5, ONE, 1), world.vote(NULLIFY, 5, NO_HASH, 2)]
    assert count(tally, votes) == []


def test_weights_count_and_not_heads() -> None:
    """R22: of weight 10, seven make a quorum."""
    world = World(4, weights=[1, 2, 3, 4])
    assert world.committee.quorum == 7
    light, heavy = Tally(world.committee), Tally(world.committee)
    assert count(light, (world.vote(NULLIFY, 5, signer=signer) for signer in (0, 1, 2))) == []
    assert len(count(heavy, (world.vote(NULLIFY, 5, signer=signer) for signer in (2, 3)))) == 1


def test_a_certificate_stops_at_the_quorum() -> None:
    """R3: more signatures prove nothing more."""
    world = World(4, weights=[1, 1, 1, 9])
    tally = Tally(world.committee)
    assert count(tally, [world.vote(NULLIFY, 5, signer=signer) for signer in (0, 1, 2)]) == []
    (certificate,) = count(tally, [world.vote(NULLIFY, 5, signer=3)])
    assert certificate_valid(certificate, world.committee, GENESIS)


@given(st.data())
def test_whatever_is_voted_only_true_quorums_are_certified(data: st.DataObject) -> None:
    """R22"""
    world = World(5, weights=data.draw(st.lists(st.integers(1, 5), min_size=5, max_size=5)))
    tally = Tally(world.committee)
    first: dict[tuple[Kind, int], Hash] = {}
    statements = st.tuples(st.sampled_from([NOTARIZE, FINALIZE]), st.sampled_from([ONE, OTHER]))
    for kind, named in data.draw(st.lists(statements, max_size=25)):
        vote = world.vote(kind, 5, named, data.draw(st.integers(0, 4)))
        first.setdefault((kind, vote.signer), named)
        certificate = tally.add(vote)
        weight = world.committee.weight(s for s in range(5) if first.get((kind, s)) == named)
        if certificate is not None:
            tally.certify(certificate)
            assert (certificate.kind, certificate.hash) == (kind, named)
            assert certificate_valid(certificate, world.committee, GENESIS)
        held = tally.certificates[kind]
        assert (held is not None and held.hash == named) == (weight >= world.committee.quorum)


def test_the_first_vote_of_a_signer_stands() -> None:
    """R21"""
    world = World(4)
    tally = Tally(world.committee)
    first, second = world.vote(NOTARIZE, 5, ONE, 2), world.vote(NOTARIZE, 5, OTHER, 2)
    tally.add(first)
    tally.add(second)
    assert tally.conflicts(second) == first
    assert count(tally, [world.vote(NOTARIZE, 5, OTHER, signer) for signer in (0, 1)]) == []
    assert len(count(tally, [world.vote(NOTARIZE, 5, ONE, 3)])) == 0, "2 votes for each"


def test_a_vote_is_wanted_until_it_is_here_or_certified() -> None:
    """R21"""
    world = World(4)
    tally = Tally(world.committee)
    vote = world.vote(NOTARIZE, 5, ONE, 2)
    assert tally.wants(vote)
    tally.add(vote)
    assert not tally.wants(vote)
    assert tally.wants(world.vote(NOTARIZE, 5, OTHER, 2)), "evidence"
    assert tally.wants(world.vote(NOTARIZE, 5, ONE, 1))
    tally.certify(world.certificate(NOTARIZE, 5, ONE))
    assert not tally.wants(world.vote(NOTARIZE, 5, ONE, 1))
    assert tally.wants(world.vote(FINALIZE, 5, ONE, 1))


@pytest.mark.parametrize("kind", [NOTARIZE, FINALIZE])
def test_a_contradiction_convicts_once(kind: Kind) -> None:
    """R45, and a flood of contradictions is not worth checking."""
    world = World(4)
    tally = Tally(world.committee)
    first = world.vote(kind, 5, ONE, 2)
    tally.add(first)
    assert tally.conflicts(first) is None
    assert tally.conflicts(world.vote(kind, 5, OTHER, 2)) == first
    third = world.vote(kind, 5, Hash(b"3" * 32), 2)
    assert not tally.wants(third)
    assert tally.conflicts(third) is None


def test_nullify_and_finalize_convict_in_either_order_and_count_both() -> None:
    """R45"""
    world = World(4)
    for first, second in ((NULLIFY, FINALIZE), (FINALIZE, NULLIFY)):
        tally = Tally(world.committee)
        votes = {kind: world.vote(kind, 5, ONE if kind is FINALIZE else NO_HASH, 2) for kind in (first, second)}
        tally.add(votes[first])
        assert tally.conflicts(votes[second]) == votes[first]
        tally.add(votes[second])
        assert tally.signers(first) == tally.signers(second) == (2,)
        assert tally.conflicts(votes[second]) is None


def test_notarize_with_nullify_or_with_finalize_of_another_block_is_no_contradiction() -> None:
    """R45"""
    world = World(4)
    tally = Tally(world.committee)
    for vote in (world.vote(NOTARIZE, 5, ONE, 2), world.vote(NULLIFY, 5, NO_HASH, 2)):
        assert tally.conflicts(vote) is None
        tally.add(vote)
    other = Tally(world.committee)
    other.add(world.vote(NOTARIZE, 5, ONE, 2))
    assert other.conflicts(world.vote(FINALIZE, 5, OTHER, 2)) is None
