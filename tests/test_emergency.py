"""Reports, the base that they lead to, and what each step of a ceremony refuses."""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey, SecretKey, Signature
from consensus.encoding import DecodeError
from consensus.messages import Certificate, Hash, Header, Kind, header_hash
from node.emergency import (
    REPORT_BYTES_MAX,
    Report,
    ReportInvalid,
    choose_base,
    decode_report,
    require_reports,
    share_of,
    without_stale,
)
from node.storage.guard import Spoken, View
from tests.decree_lab import GENESIS, NEXT, OLD, certified, committee, header

KEYS_BY_NAME: Final = {key.public: key for key in OLD}


def known(epoch: int) -> Committee | None:
    return committee(OLD, epoch)


def report(key: SecretKey = OLD[0], **fields: Any) -> Report:
    """Return a report, signed: the block of height 12 is stored and final, that of height 13 is notarized and here."""
    stored, above = header(12), header(13, parent_hash=header_hash(header(12)))
    made = Report(
        GENESIS,
        1,
        key.public,
        Spoken((1, 13), False),
        (1, 13),
        12,
        (certified(above), certified(stored, kind=Kind.FINALIZE)),
        (stored, above),
        1_900_000_000_000,
        Signature(bytes(64)),
    )
    made = replace(made, **fields)
    return replace(made, signature=key.sign(made.statement))


def test_a_report_is_what_its_bytes_say_and_its_key_signs_every_field() -> None:
    one = report()
    assert decode_report(one.encoded) == one
    require_reports([one, report(OLD[1])], GENESIS, 1, known)
    changed: list[dict[str, Any]] = [
        {"genesis_hash": b"x" * 32},
        {"term": 2},
        {"public": OLD[1].public},
        {"spoken": Spoken((1, 12), False)},
        {"spoken": Spoken((1, 13), True)},
        {"known": (1, 14)},
        {"tip_height": 11},
        {"certificates": ()},
        {"blocks": ()},
        {"time_ms": 0},
    ]
    assert len({replace(one, **fields).statement for fields in changed} | {one.statement}) == len(changed) + 1


@pytest.mark.parametrize(
    ("reports", "why"),
    [
        ([], "reports"),
        ([report(genesis_hash=b"x" * 32)], "another network"),
        ([report(term=2)], "for term 2"),
        ([report(), report(time_ms=1)], "two reports of one"),
        ([replace(report(), tip_height=11)], "signature"),
        ([replace(report(), signature=report(OLD[1]).signature)], "signature"),
        ([report(certificates=(certified(header(13), signing=2),))], "no quorum"),
        ([report(certificates=(replace(certified(header(13)), kind=Kind.NULLIFY),))], "no quorum"),
        ([report(certificates=(certified(header(13), NEXT),))], "no quorum"),
    ],
)
def test_reports_that_cannot_be_are_refused(reports: list[Report], why: str) -> None:
    with pytest.raises(ReportInvalid, match=why):
        require_reports(reports, GENESIS, 1, known)


def test_a_report_of_an_epoch_that_the_planner_does_not_know_is_refused() -> None:
    with pytest.raises(ReportInvalid, match="not known here yet"):
        require_reports([report()], GENESIS, 1, lambda _: None)


def test_a_home_that_has_less_than_its_key_has_said_is_closed_and_not_whole() -> None:
    seats = committee(OLD, 1)
    stale = report(OLD[1], spoken=Spoken((1, 14), False))  # its guard remembers more than its journal
    based = report(OLD[2], spoken=Spoken((1, 0), True))  # its guard was made anew
    share = share_of(seats, [report(), stale, based])
    assert (share.closed, share.whole) == (3, 1)
    assert share.blocked
    assert not share.certain
    assert share_of(seats, [report(), report(OLD[1])]).certain


def test_a_report_that_others_certificates_contradict_is_stale() -> None:
    """An old copy of a home, guard and all: the others hold votes of its key that it knows nothing of."""
    old = report(OLD[1], known=(1, 12), spoken=Spoken((1, 12), False), certificates=(), blocks=(header(12),))
    assert old.whole
    fresh, checked = without_stale([report(), old], known)
    assert fresh.whole
    assert not checked.whole


def below(height: int) -> Header | None:
    return header(height) if height <= 11 else None


def test_the_base_is_the_highest_certified_block_that_somebody_has() -> None:
    base = choose_base([report(), report(OLD[1], certificates=(), blocks=(header(12),))], below)
    assert base.header.height == 13
    assert base.certificate == certified(header(13, parent_hash=header_hash(header(12))))
    assert base.lost == ()


def test_a_certified_block_that_nobody_has_is_lost_and_named() -> None:
    gone = certified(header(14))
    base = choose_base([report(certificates=(gone, *report().certificates))], below)
    assert base.header.height == 13
    assert base.lost == (gone,)


def test_a_block_whose_parents_nobody_has_is_lost_too() -> None:
    far = header(15)  # upon a block that nobody has
    one = report(certificates=(certified(far), *report().certificates), blocks=(*report().blocks, far))
    assert choose_base([one], below).lost == (certified(far),)


def test_two_blocks_certified_in_one_view_or_two_final_chains_are_no_base() -> None:
    other = header(13, timestamp_ms=99)
    with pytest.raises(ReportInvalid, match="two blocks"):
        choose_base([report(), report(OLD[1], certificates=(certified(other),))], below)
    beside = header(13, view=11, timestamp_ms=99, parent_hash=header_hash(header(12)))
    conflicting = report(OLD[1], certificates=(certified(beside, kind=Kind.FINALIZE),), blocks=(header(12), beside))
    with pytest.raises(ReportInvalid, match="not below the base"):
        choose_base([report(), conflicting], below)


def test_what_is_final_on_the_planners_own_chain_is_below_the_base() -> None:
    for own in (12, 13):
        chain = {own: header(own, timestamp_ms=99)}
        with pytest.raises(ReportInvalid, match="final here"):
            choose_base([report()], chain.get)
    higher = report(certificates=(), blocks=(header(12),))
    with pytest.raises(ReportInvalid, match="above the base"):
        choose_base([higher], lambda height: header(height) if height <= 14 else None)


# --- the base is above everything that is final, if enough are left ---


@dataclass
class Story:
    """An epoch of votes by the rules of docs/protocol.md, seen by nobody whole."""

    random: Random
    weights: list[int]
    faulty: frozenset[int]
    blocks: list[Header] = field(default_factory=list)
    notarized: dict[int, Header] = field(default_factory=dict)  # by view: reached
    nullified: set[int] = field(default_factory=set)
    final: list[Header] = field(default_factory=list)
    holds: list[dict[Hash, Header]] = field(default_factory=list)
    learned: list[dict[int, Certificate]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seats = Committee(
            1,
            [Validator(PublicKey(bytes([at + 1]) * 32), weight) for at, weight in enumerate(self.weights)],
            True,
        )
        root = header(12)
        self.notarized[0] = root
        self.holds = [{header_hash(root): root} for _ in self.weights]
        self.learned = [{} for _ in self.weights]
        for view in range(1, self.random.randint(2, 9)):
            if not self.view(view):
                break

    def parents(self, view: int) -> list[tuple[int, Header]]:
        """Return what a block of a view may stand on: certified, all views between nullified. R10, R16."""
        found = []
        for earlier in range(view - 1, -1, -1):
            if earlier in self.notarized:
                found.append((earlier, self.notarized[earlier]))
            if earlier not in self.nullified:
                break
        return found

    def view(self, view: int) -> bool:
        """Play a view; return whether anything was certified, so that there is another one."""
        chance = self.random.random
        parent_view, parent = self.random.choice(self.parents(view))
        block = header(
            parent.height + 1, view=view, parent_view=parent_view, parent_hash=header_hash(parent), timestamp_ms=view
        )
        keen, willing, seen = chance(), chance(), chance()
        everybody = range(len(self.weights))
        name = header_hash(block)
        can = [index for index in everybody if header_hash(parent) in self.holds[index] or chance() < 0.5]
        notarize = [index for index in can if chance() < 0.3 + keen]
        for index in notarize:  # with all that it stands on: R17
            self.holds[index] |= {name: block} | self.ancestors(block)
        notarized = self.seats.weight(notarize) >= self.seats.quorum
        finalize: list[int] = []
        certificate = None
        if notarized:
            votes = tuple((each, Signature(bytes(64))) for each in notarize)
            certificate = Certificate(Kind.NOTARIZE, 1, view, name, votes)
            finalize = [index for index in everybody if chance() < seen]
            for index in finalize:
                self.learned[index][view] = certificate
            self.notarized[view] = block
        nullify = [
            index for index in everybody if (index not in finalize or index in self.faulty) and chance() < 0.2 + willing
        ]
        # Who learned of the notarization and had nullified before learns it, and casts no FINALIZE. R7
        for index in everybody:
            if certificate is not None and index not in finalize and chance() < 0.5:
                self.learned[index][view] = certificate
        if self.seats.weight(nullify) >= self.seats.quorum:
            self.nullified.add(view)
        if self.seats.weight(finalize) >= self.seats.quorum:
            self.final.append(block)
        return notarized or view in self.nullified

    def ancestors(self, block: Header) -> dict[Hash, Header]:
        found: dict[Hash, Header] = {}
        by_name = {header_hash(each): each for each in self.notarized.values()}
        while (parent := by_name.get(block.parent_hash)) is not None:
            found[block.parent_hash] = parent
            block = parent
        return found

    def report(self, index: int) -> Report:
        """Return what an honest validator holds; a faulty one hides everything."""
        learned = {} if index in self.faulty else self.learned[index]
        root = self.notarized[0]
        held = [each for each in self.holds[index].values() if each != root and index not in self.faulty]
        views: list[View] = [(1, view) for view in learned]
        return Report(
            GENESIS,
            1,
            self.seats.validators[index].public_key,
            Spoken(max(views, default=(0, 0)), False),
            max(views, default=(0, 0)),
            12,
            tuple(learned.values()),
            (root, *held),
            0,
            Signature(bytes(64)),
        )


def descends(story: Story, block: Header, other: Header) -> bool:
    return block == other or header_hash(other) in story.ancestors(block)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 3), min_size=1, max_size=7), st.data())
def test_no_block_that_was_final_is_lost_if_more_are_left_than_may_be_faulty(
    seed: int, weights: list[int], data: st.DataObject
) -> None:
    random = Random(seed)
    total = sum(weights)
    faulty_max, order = (total - 1) // 3, sorted(range(len(weights)), key=lambda _: random.random())
    faulty: list[int] = []
    for index in order:
        if sum(weights[each] for each in (*faulty, index)) <= faulty_max and random.random() < 0.6:
            faulty.append(index)
    story = Story(random, weights, frozenset(faulty))
    left: list[int] = []
    for index in sorted(range(len(weights)), key=lambda _: random.random()):
        left.append(index)
        if sum(weights[each] for each in left if each not in faulty) > faulty_max:
            break
    reports = [story.report(index) for index in left]
    base = choose_base(reports, lambda height: header(12) if height == 12 else None)
    for final in story.final:
        assert descends(story, base.header, final), (final.view, base.header.view)
    assert base.lost == () or faulty, "where nobody hides anything, nothing certified is lost"


def test_the_stories_have_what_makes_a_choice_hard() -> None:
    """Final blocks that few know of, notarized blocks that were skipped, views without anything."""
    stories = [Story(Random(seed), [1, 1, 1, 1], frozenset((0,))) for seed in range(300)]
    assert sum(1 for story in stories if story.final) > 50
    assert sum(1 for story in stories if story.nullified & story.notarized.keys()) > 20
    assert sum(1 for story in stories if len(story.final) > 1) > 10
    known_to_one = [
        story
        for story in stories
        for block in story.final
        if sum(block.view in story.learned[index] for index in range(4)) == 3
    ]
    assert known_to_one


def test_with_fewer_left_a_final_block_can_be_lost_and_the_share_says_so() -> None:
    """The control: the same stories with too few left lose blocks, so the test above can fail."""
    lost = 0
    for seed in range(300):
        story = Story(Random(seed), [1, 1, 1, 1], frozenset())
        reports = [story.report(0)]
        base = choose_base(reports, lambda height: header(12) if height == 12 else None)
        lost += any(not descends(story, base.header, final) for final in story.final)
        assert not share_of(story.seats, reports).certain
    assert lost > 0


# --- bytes ---


@given(st.data())
def test_a_report_that_is_cut_or_changed_decodes_to_another_or_not_at_all(data: st.DataObject) -> None:
    encoded = report().encoded
    at = data.draw(st.integers(0, len(encoded) - 1))
    broken = data.draw(st.sampled_from([encoded[:at], encoded[:at] + bytes([encoded[at] ^ 1]) + encoded[at + 1 :]]))
    try:
        read = decode_report(broken)
    except DecodeError:
        return
    assert read.encoded == broken
    with pytest.raises(ReportInvalid):
        require_reports([read], GENESIS, 1, known)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_report_or_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_report(data)


def test_a_report_has_a_size() -> None:
    with pytest.raises(DecodeError, match="at most"):
        decode_report(bytes(REPORT_BYTES_MAX + 1))
