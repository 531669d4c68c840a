"""Quorum arithmetic, order and leaders."""

from itertools import combinations, pairwise, permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.committee import VALIDATORS_MAX, WEIGHT_MAX, Committee, Validator
from consensus.crypto import PublicKey

WEIGHTS = st.lists(st.integers(1, WEIGHT_MAX) | st.integers(1, 9), min_size=1, max_size=VALIDATORS_MAX)


def committee(weights: list[int], epoch: int = 0) -> Committee:
    keys = [PublicKey(bytes([i]) * 32) for i in range(len(weights))]
    return Committee(epoch, [Validator(key, weight) for key, weight in zip(keys, weights, strict=True)], True)


def arithmetic(total: int) -> tuple[int, int]:
    """The largest F with 3F < W, and Q = W - F."""
    faulty = -(-total // 3) - 1
    assert 3 * faulty < total <= 3 * (faulty + 1)
    return faulty, total - faulty


@pytest.mark.parametrize("total", range(1, 65))
def test_two_quorums_share_more_than_may_be_faulty(total: int) -> None:
    """R1, for each total weight, split at random: 2Q - W > F, and the honest ones are a quorum."""
    random = Random(total)
    for _ in range(20):
        size = random.randint(1, min(total, VALIDATORS_MAX))
        cuts = sorted(random.sample(range(1, total), size - 1))
        members = committee([high - low for low, high in pairwise([0, *cuts, total])])
        faulty, quorum = arithmetic(total)
        assert (members.total, members.faulty_max, members.quorum) == (total, faulty, quorum)
        assert quorum == 2 * total // 3 + 1
        assert 2 * quorum - total > faulty
        assert total - faulty >= quorum


@given(WEIGHTS)
def test_quorums_of_any_weights_share_an_honest_validator(weights: list[int]) -> None:
    """R1"""
    members = committee(weights)
    assert (members.faulty_max, members.quorum) == arithmetic(sum(weights))
    assert members.total == sum(weights)
    assert 2 * members.quorum - members.total >= members.faulty_max + 1
    assert members.total - members.faulty_max >= members.quorum


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_every_pair_of_quorums_overlaps_by_more_than_the_faulty_weight(weights: list[int]) -> None:
    """R1, counted out over all subsets."""
    members = committee(weights)
    subsets = [set(s) for size in range(len(weights) + 1) for s in combinations(range(len(weights)), size)]
    quorums = [s for s in subsets if members.weight(sorted(s)) >= members.quorum]
    assert all(members.weight(sorted(a & b)) > members.faulty_max for a in quorums for b in quorums)


@pytest.mark.parametrize(
    ("n", "faulty", "quorum"),
    [(1, 0, 1), (4, 1, 3), (5, 1, 4), (6, 1, 5), (7, 2, 5), (10, 3, 7), (13, 4, 9), (31, 10, 21)],
)
def test_the_table_of_the_protocol_holds(n: int, faulty: int, quorum: int) -> None:
    """R1"""
    members = committee([1] * n)
    assert (members.faulty_max, members.quorum) == (faulty, quorum)


def test_validators_are_sorted_by_key_however_they_are_given() -> None:
    """R1. An unsorted list gives each node other leaders."""
    validators = [Validator(PublicKey(bytes([i]) * 32), i + 1) for i in (3, 1, 2, 0)]
    committees = [Committee(0, order, True) for order in permutations(validators)]
    assert len({c.hash for c in committees}) == 1
    assert len({c.validators for c in committees}) == 1
    assert [committees[0].index(v.public_key) for v in validators] == [3, 1, 2, 0]
    assert committees[0].index(b"\xff" * 32) is None


def test_every_validator_leads_equally_often_whatever_its_weight() -> None:
    """R1"""
    members = committee([1, 50, 3, 9, 2], epoch=7)
    assert [members.leader(view) for view in range(1, 11)] == [(7 + view) % 5 for view in range(1, 11)]
    assert sorted(members.leader(view) for view in range(1, 6)) == [0, 1, 2, 3, 4]


@given(WEIGHTS, st.data())
def test_the_hash_of_a_committee_names_its_keys_and_weights(weights: list[int], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(weights) - 1))
    other = [*weights[:at], weights[at] % WEIGHT_MAX + 1, *weights[at + 1 :]]
    assert committee(weights).hash == committee(weights, epoch=5).hash
    assert (committee(weights).hash == committee(other).hash) == (weights == other)


def test_a_validator_that_outweighs_all_tolerance_must_be_allowed() -> None:
    """R1"""
    keys = [PublicKey(bytes([i]) * 32) for i in range(4)]
    heavy = [Validator(key, weight) for key, weight in zip(keys, (3, 1, 1, 1), strict=True)]
    with pytest.raises(ValueError, match="weighs more"):
        Committee(0, heavy)
    assert Committee(0, heavy, allow_dominant=True).quorum == 5
    assert Committee(0, [Validator(key, 2) for key in keys]).faulty_max == 2


@pytest.mark.parametrize("weights", [[], [1] * (VALIDATORS_MAX + 1), [0], [-1], [WEIGHT_MAX + 1]])
def test_sizes_and_weights_are_bounded(weights: list[int]) -> None:
    with pytest.raises(ValueError):
        committee(weights)


def test_a_key_is_a_key_and_occurs_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Committee(0, [Validator(PublicKey(bytes(32)), 1)] * 2)
    with pytest.raises(ValueError, match="32 bytes"):
        Committee(0, [Validator(PublicKey(bytes(31)), 1)])


def test_weight_counts_a_signer_once() -> None:
    """R22"""
    members = committee([1, 2, 4, 8])
    assert members.weight([0, 3]) == 9
    with pytest.raises(AssertionError):
        members.weight([1, 1])
