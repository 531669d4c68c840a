"""node/payloads.py: what a leader puts into a block, and what every validator demands of one.

X1 to X9 are the rules of execution, the others those of batches, as docs/protocol.md states them.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from consensus.encoding import encode
from consensus.messages import NO_HASH, Block, Hash
from node.batches import (
    BATCH_LIFE_HEIGHTS,
    BATCH_TRANSACTIONS_MAX,
    BLOCK_BYTES_MAX,
    BLOCK_TRANSACTIONS_MAX,
    EMPTY_PAYLOAD,
    Batch,
    BatchPool,
    decode_payload,
    encode_payload,
)
from node.ledger.versions import NEWEST
from node.payloads import CLOCK_AHEAD_MS_MAX, LAG_MAX, Payloads, Verdict
from tests.node_parts import PEERS, START_MS, batch_of, block_zero, child, committee, members, pay
from tests.test_node_batches import bare

NOW_MS = START_MS + 100_000


def root_of(height: int) -> Hash:
    return Hash(b"root".ljust(24) + height.to_bytes(8, "big"))


@dataclass
class Done:
    """The executor as this room sees it."""

    height: int = 0
    uncertified_height: int = 0
    forgotten: set[int] = field(default_factory=set)

    def root_at(self, height: int) -> Hash | None:
        return root_of(height) if height <= self.height and height not in self.forgotten else None


class Desk:
    """Payloads over a pool, an executor and a few uncommitted blocks."""

    def __init__(self) -> None:
        self.pool = BatchPool(members(), PEERS[0])
        self.done = Done()
        self.blocks: dict[bytes, Block] = {}
        self.final = 0
        self.tip = self.keep(block_zero())
        self.payloads = Payloads(
            self.pool,
            self.done,
            self.blocks.get,
            lambda: self.final,
            lambda height, executed: Hash(bytes(32)),
            lambda: NEWEST,
        )

    def keep(self, block: Block) -> Block:
        self.blocks[block.hash] = block
        return block

    def final_tip(self, height: int, executed: int | None = None) -> Block:
        """Return a committed block at ``height`` that names the root of the one before, or of ``executed``."""
        named = height - 1 if executed is None else executed
        fields: dict[str, Any] = {"height": height, "executed_height": named, "state_root": root_of(named)}
        self.tip = self.keep(child(self.tip, next_validators_hash=Hash(bytes(32)), **fields))
        self.final = height
        self.done.height = height
        return self.tip

    def held(self, *batches: Batch) -> list[Batch]:
        for batch in batches:
            self.pool.add(batch, (pay(),))
            for holder in PEERS:
                self.pool.acknowledge(batch.digest, holder)
        return list(batches)

    def verdict(self, block: Block, parent: Block | None = None, now_ms: int = NOW_MS) -> Verdict:
        return self.payloads.verdict(block, self.tip if parent is None else parent, now_ms)

    def proposal(self, *batches: Batch, parent: Block | None = None, **fields: object) -> Block:
        on = self.tip if parent is None else parent
        executed = min(self.done.height, on.header.height)
        values = {
            "executed_height": executed,
            "state_root": root_of(executed),
            "next_validators_hash": Hash(bytes(32)),
        }
        return child(on, encode_payload([batch.digest for batch in batches]), **(values | fields))


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.final_tip(5)
    return desk


# --- X1, X2: the state root ---


def test_x1_a_block_never_names_an_earlier_root_than_its_parent(desk: Desk) -> None:
    desk.final_tip(6)
    assert desk.verdict(desk.proposal(executed_height=5, state_root=root_of(5))) is Verdict.VALID
    assert desk.verdict(desk.proposal(executed_height=4, state_root=root_of(4))) is Verdict.INVALID


def test_x1_a_block_names_the_root_of_a_lower_height_than_its_own(desk: Desk) -> None:
    assert desk.verdict(desk.proposal(executed_height=6, state_root=root_of(6))) is Verdict.INVALID
    assert desk.verdict(desk.proposal(executed_height=7, state_root=root_of(7))) is Verdict.INVALID


def test_x2_a_voter_waits_until_it_has_executed_what_the_block_names(desk: Desk) -> None:
    desk.done.height = 4
    block = desk.proposal(executed_height=5, state_root=root_of(5))
    assert desk.verdict(block) is Verdict.UNKNOWN
    desk.done.height = 5
    assert desk.verdict(block) is Verdict.VALID


def test_x2_a_wrong_root_of_an_executed_height_is_invalid(desk: Desk) -> None:
    assert desk.verdict(desk.proposal(state_root=root_of(4))) is Verdict.INVALID
    desk.done.height = 4
    assert desk.verdict(desk.proposal(executed_height=4, state_root=root_of(5))) is Verdict.INVALID


def test_a_root_that_is_wrong_for_certain_is_not_waited_for_whatever_else_is_missing(desk: Desk) -> None:
    missing = batch_of(1, pay())
    block = desk.proposal(missing, state_root=root_of(4), timestamp_ms=NOW_MS + 10**6)
    assert desk.verdict(block) is Verdict.INVALID


# --- X3, X4: lag ---


def test_x3_a_block_far_above_the_root_that_it_names_carries_no_batches(desk: Desk) -> None:
    (batch,) = desk.held(batch_of(1, pay()))
    tip = desk.final_tip(5 + LAG_MAX, executed=5)
    desk.done.height = 5
    near = desk.proposal(batch, executed_height=6, state_root=root_of(6))
    desk.done.height = 6
    assert desk.verdict(near) is Verdict.VALID
    far = desk.proposal(batch, executed_height=5, state_root=root_of(5))
    assert far.header.height - far.header.executed_height == LAG_MAX + 1
    assert desk.verdict(far) is Verdict.INVALID
    empty = desk.proposal(executed_height=5, state_root=root_of(5))
    assert desk.verdict(empty) is Verdict.VALID
    assert tip.header.height == 5 + LAG_MAX


def test_x3_a_leader_whose_execution_lags_builds_without_batches(desk: Desk) -> None:
    (batch,) = desk.held(batch_of(1, pay()))
    tip = desk.final_tip(5 + LAG_MAX, executed=5)
    desk.done.height = 6
    assert desk.payloads.choose(tip) == (batch.digest,)
    desk.done.height = 5
    assert desk.payloads.choose(tip) == ()
    content = desk.payloads.content(tip, (), NOW_MS)
    assert content is not None
    assert content.executed_height == 5


def test_x4_a_leader_names_its_highest_executed_height(desk: Desk) -> None:
    content = desk.payloads.content(desk.tip, (), NOW_MS)
    assert content is not None
    assert (content.executed_height, content.state_root) == (5, root_of(5))
    assert content.payload == EMPTY_PAYLOAD


def test_x4_but_none_above_the_parent(desk: Desk) -> None:
    parent = desk.tip
    desk.done.height = 9
    content = desk.payloads.content(parent, (), NOW_MS)
    assert content is not None
    assert content.executed_height == parent.header.height


def test_a_leader_that_is_behind_the_root_of_the_parent_waits(desk: Desk) -> None:
    desk.done.height = 3
    assert desk.tip.header.executed_height == 4
    assert desk.payloads.content(desk.tip, (), NOW_MS) is None


# --- X9: time ---


def test_x9_a_block_from_the_future_waits_until_our_clock_agrees(desk: Desk) -> None:
    block = desk.proposal(timestamp_ms=NOW_MS + CLOCK_AHEAD_MS_MAX + 1)
    assert desk.verdict(block, now_ms=NOW_MS) is Verdict.UNKNOWN
    assert desk.verdict(block, now_ms=NOW_MS + 1) is Verdict.VALID


def test_x9_a_leader_with_a_slow_clock_stamps_later_than_the_parent(desk: Desk) -> None:
    content = desk.payloads.content(desk.tip, (), START_MS - 1_000)
    assert content is not None
    assert content.timestamp_ms == desk.tip.header.timestamp_ms + 1


def test_x9_a_block_from_the_past_is_no_reason_to_wait(desk: Desk) -> None:
    assert desk.verdict(desk.proposal(), now_ms=NOW_MS + 10**9) is Verdict.VALID


# --- the next committee ---


def test_a_block_names_the_committee_that_follows_where_an_epoch_ends() -> None:
    desk = Desk()
    boundary = Hash(committee().hash)
    desk.payloads = Payloads(
        desk.pool,
        desk.done,
        desk.blocks.get,
        lambda: desk.final,
        lambda height, executed: boundary if height == 6 else Hash(bytes(32)),
        lambda: NEWEST,
    )
    desk.final_tip(5)
    assert desk.verdict(desk.proposal(next_validators_hash=boundary)) is Verdict.VALID
    assert desk.verdict(desk.proposal(next_validators_hash=Hash(b"x" * 32))) is Verdict.INVALID
    assert desk.verdict(desk.proposal()) is Verdict.INVALID
    content = desk.payloads.content(desk.tip, (), NOW_MS)
    assert content is not None
    assert content.next_validators_hash == boundary


def test_the_next_committee_is_judged_at_the_height_that_the_block_itself_names_as_executed() -> None:
    """R51"""
    desk = Desk()
    known = {3: Hash(b"3" * 32), 4: Hash(b"4" * 32), 5: None}
    desk.payloads = replace(
        desk.payloads, next_validators_hash=lambda height, executed: known[executed] if height == 6 else NO_HASH
    )
    desk.final_tip(5, executed=3)
    for executed, verdicts in ((3, ("V", "I")), (4, ("I", "V")), (5, ("U", "U"))):
        for named, verdict in zip((known[3], known[4]), verdicts, strict=True):
            fields = {"next_validators_hash": named, "executed_height": executed, "state_root": root_of(executed)}
            assert desk.verdict(desk.proposal(**fields)).name[0] == verdict  # type: ignore[arg-type]


def test_no_last_block_is_built_while_its_committee_is_not_known() -> None:
    """R51"""
    desk = Desk()
    desk.payloads = replace(desk.payloads, next_validators_hash=lambda height, executed: None)
    assert desk.payloads.content(desk.final_tip(5), (), NOW_MS) is None


# --- batches ---


def test_a_voter_must_hold_every_batch_and_waits_for_it(desk: Desk) -> None:
    here, away = batch_of(1, pay()), batch_of(2, pay())
    desk.held(here)
    block = desk.proposal(here, away)
    assert desk.verdict(block) is Verdict.UNKNOWN
    assert desk.payloads.missing(block) == [away.digest]
    desk.held(away)
    assert desk.verdict(block) is Verdict.VALID
    assert desk.payloads.missing(block) == []


def test_a_voter_needs_nobodys_acknowledgement(desk: Desk) -> None:
    batch = batch_of(1, pay())
    desk.pool.add(batch, (pay(),))
    assert desk.verdict(desk.proposal(batch)) is Verdict.VALID


@pytest.mark.parametrize(
    "payload", [b"", b"\xc0", encode([b"x" * 31]), encode([b"x" * 32] * 2), encode([b"x" * 32] * 257)]
)
def test_a_payload_that_names_no_batches_properly_is_invalid(desk: Desk, payload: bytes) -> None:
    block = child(desk.tip, payload, executed_height=5, state_root=root_of(5))
    assert desk.verdict(block) is Verdict.INVALID
    assert desk.payloads.missing(block) == []


def test_a_batch_of_a_final_block_may_not_come_again(desk: Desk) -> None:
    (batch,) = desk.held(batch_of(1, pay()))
    desk.pool.finalized([batch.digest], 3)
    assert desk.verdict(desk.proposal(batch)) is Verdict.INVALID
    assert desk.payloads.choose(desk.tip) == ()


def test_a_batch_of_an_uncommitted_ancestor_may_not_come_again(desk: Desk) -> None:
    first, second = desk.held(batch_of(1, pay()), batch_of(2, pay()))
    parent = desk.keep(desk.proposal(first))
    grandparent_and_parent = desk.keep(desk.proposal(parent=parent))
    on = grandparent_and_parent
    assert desk.verdict(desk.proposal(first, parent=on), on) is Verdict.INVALID
    assert desk.verdict(desk.proposal(second, parent=on), on) is Verdict.VALID
    assert desk.payloads.choose(on) == (second.digest,)
    assert desk.payloads.choose(desk.tip) == (first.digest, second.digest)  # a block on another branch may


def test_a_missing_ancestor_makes_it_unknown_not_invalid(desk: Desk) -> None:
    (batch,) = desk.held(batch_of(1, pay()))
    parent = desk.keep(desk.proposal())
    on = desk.keep(desk.proposal(parent=parent))
    del desk.blocks[parent.hash]
    assert desk.verdict(desk.proposal(batch, parent=on), on) is Verdict.UNKNOWN
    assert desk.verdict(desk.proposal(parent=on), on) is Verdict.VALID
    assert desk.payloads.choose(on) == ()


@pytest.mark.parametrize(
    ("base_height", "verdict"),
    [
        (BATCH_LIFE_HEIGHTS + 4, Verdict.VALID),
        (BATCH_LIFE_HEIGHTS + 5, Verdict.VALID),
        (BATCH_LIFE_HEIGHTS + 6, Verdict.INVALID),
        (6, Verdict.VALID),
        (5, Verdict.INVALID),
    ],
)
def test_a_batch_is_included_after_its_base_and_within_its_life(base_height: int, verdict: Verdict) -> None:
    desk = Desk()
    desk.final_tip(BATCH_LIFE_HEIGHTS + 5)
    (batch,) = desk.held(batch_of(1, pay(), base_height=base_height))
    assert desk.verdict(desk.proposal(batch)) is verdict
    assert desk.payloads.choose(desk.tip) == ((batch.digest,) if verdict is Verdict.VALID else ())


def test_a_block_is_bounded_in_transactions(desk: Desk) -> None:
    full = [bare(index % 4, transactions=BATCH_TRANSACTIONS_MAX) for index in range(8)]
    for batch, transactions in full:
        desk.pool.add(batch, transactions)
    assert BLOCK_TRANSACTIONS_MAX == 8 * BATCH_TRANSACTIONS_MAX
    batches = [batch for batch, _ in full]
    assert desk.verdict(desk.proposal(*batches)) is Verdict.VALID
    (more,) = desk.held(batch_of(1, pay()))
    assert desk.verdict(desk.proposal(*batches, more)) is Verdict.INVALID


def test_a_block_is_bounded_in_bytes_and_too_much_is_too_much_whatever_is_missing(desk: Desk) -> None:
    large = [bare(index, BLOCK_BYTES_MAX // 2) for index in range(3)]
    for batch, transactions in large:
        desk.pool.add(batch, transactions)
    batches = [batch for batch, _ in large]
    assert desk.verdict(desk.proposal(*batches[:2])) is Verdict.VALID
    assert desk.verdict(desk.proposal(*batches)) is Verdict.INVALID
    assert desk.verdict(desk.proposal(*batches, batch_of(1, pay()))) is Verdict.INVALID


def test_what_a_leader_chooses_every_voter_that_holds_it_finds_valid(desk: Desk) -> None:
    desk.held(*(batch_of(index % 4, pay()) for index in range(300)))
    names = desk.payloads.choose(desk.tip)
    content = desk.payloads.content(desk.tip, names, NOW_MS)
    assert content is not None
    assert decode_payload(content.payload) == names
    block = child(
        desk.tip,
        content.payload,
        timestamp_ms=content.timestamp_ms,
        executed_height=content.executed_height,
        state_root=content.state_root,
        next_validators_hash=content.next_validators_hash,
    )
    assert len(names) == 256
    assert desk.verdict(block) is Verdict.VALID


def test_a_root_waits_until_a_header_names_it(desk: Desk) -> None:
    assert not desk.payloads.root_waits(desk.tip)
    desk.done.uncertified_height = 5
    assert desk.payloads.root_waits(desk.tip)
    certified = desk.final_tip(6)
    assert certified.header.executed_height == 5
    assert not desk.payloads.root_waits(certified)


# --- the protocol's version ---


def test_a_block_carries_the_version_of_its_epoch_and_no_other_is_valid(desk: Desk) -> None:
    """R60"""
    content = desk.payloads.content(desk.tip, (), NOW_MS)
    assert content is not None
    assert content.version == NEWEST
    assert desk.verdict(desk.proposal()) is Verdict.VALID
    for version in (NEWEST - 1, NEWEST + 1):
        assert desk.verdict(desk.proposal(version=version)) is Verdict.INVALID
