"""Who takes part, and how long things take: what metrics and operators are told."""

from typing import Final

from consensus.committee import Committee, Validator
from consensus.messages import Kind
from node.presence import SETTLED, SILENT_MS, VIEWS_MAX, Presence
from node.tempo import SECONDS, Durations
from tests.node_parts import key_at

NAMES: Final = ("a", "b", "c", "d")


def present(me: int | None = 0) -> Presence:
    presence = Presence()
    committee = Committee(3, [Validator(key_at(index).public, 1) for index in range(4)])
    presence.begin_epoch(committee, NAMES, me)
    return presence


def final_blocks(presence: Presence, first: int, count: int, voters: tuple[int, ...]) -> None:
    for number in range(first, first + count):
        for voter in voters:
            presence.voted(voter, Kind.NOTARIZE, number, late=False)
        presence.finalized(number, 100 + number)


def test_a_block_is_missed_by_who_did_not_vote_for_it_and_only_when_later_ones_are_final() -> None:
    presence = present()
    final_blocks(presence, 1, SETTLED, (0, 1, 2))
    assert presence.missed == {"a": 0, "b": 0, "c": 0, "d": 0}
    final_blocks(presence, SETTLED + 1, 2, (0, 1, 2))
    assert presence.missed == {"a": 0, "b": 0, "c": 0, "d": 2}
    assert presence.last_signed == {"a": 110, "b": 110, "c": 110, "d": 0}


def test_a_late_vote_is_counted_as_late_and_misses_nothing() -> None:
    presence = present()
    final_blocks(presence, 1, 1, (0, 1, 2))
    presence.voted(3, Kind.FINALIZE, 1, late=True)
    presence.voted(3, Kind.FINALIZE, 1, late=True)  # said again
    final_blocks(presence, 2, SETTLED, (0, 1, 2, 3))
    assert presence.missed["d"] == 0
    assert presence.late == {"a": 0, "b": 0, "c": 0, "d": 1}


def test_a_late_vote_moves_the_height_that_was_signed_last() -> None:
    presence = present()
    final_blocks(presence, 1, 1, (0, 1, 2))
    assert presence.last_signed["d"] == 0
    presence.voted(3, Kind.NOTARIZE, 1, late=True)
    assert presence.last_signed["d"] == 101


def test_nobody_misses_a_block_whose_quorum_we_have_not_seen() -> None:
    presence = present()
    final_blocks(presence, 1, 3 * SETTLED, (0, 1))  # fetched: their votes went by
    assert sum(presence.missed.values()) == 0


def test_a_vote_to_give_up_is_no_vote_for_a_block() -> None:
    presence = present()
    presence.voted(3, Kind.NULLIFY, 1, late=False)
    final_blocks(presence, 1, SETTLED + 1, (0, 1, 2))
    assert presence.missed["d"] == 1


def test_who_says_nothing_is_missing_and_we_never_are() -> None:
    presence = present(me=0)
    assert presence.missing(1_000) == ()
    presence.heard(1, 1_000 + SILENT_MS)
    assert presence.missing(1_001 + SILENT_MS) == ("c", "d")
    assert presence.missing_weight(1_001 + SILENT_MS) == 2
    presence.heard(2, 1_002 + SILENT_MS)
    assert presence.missing(1_002 + SILENT_MS) == ("d",)


def test_counts_stay_with_the_name_when_the_next_epoch_gives_it_another_index() -> None:
    presence = present()
    final_blocks(presence, 1, SETTLED + 1, (0, 1, 2))
    committee = Committee(4, [Validator(key_at(index).public, 1) for index in range(4)])
    presence.begin_epoch(committee, ("d", "e", "a", "b"), None)
    assert presence.missed == {"d": 1, "e": 0, "a": 0, "b": 0}
    assert presence.last_signed == {"d": 0, "e": 0, "a": 109, "b": 109}


def test_what_is_remembered_of_views_is_bounded() -> None:
    presence = present()
    for view in range(1, 10 * VIEWS_MAX):
        presence.voted(1, Kind.NOTARIZE, view, late=False)
    assert len(presence._voters) == VIEWS_MAX


def test_durations_are_counted_up_to_each_bound_and_above() -> None:
    durations = Durations()
    for seconds in (0.0005, 0.001, 0.2, 11.0):
        durations.add(seconds)
    found = dict(durations.cumulative())
    assert (found["0.001"], found["0.1"], found["0.25"], found["10.0"], found["+Inf"]) == (2, 2, 3, 3, 4)
    assert len(found) == len(SECONDS) + 1
    assert durations.count == 4
