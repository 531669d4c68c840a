"""node/following.py: how far above its tip a node follows a decree, and how fast; a report tells of as much."""

from types import SimpleNamespace
from typing import Any

import pytest

import node.following
import tests.node_parts
from consensus.messages import Block, Hash
from consensus.records import encode_record
from node.emergency import HEADERS_MAX, decode_report, made_report
from node.following import Following
from node.storage.guard import Spoken
from node.sync_descent import DESCENT_BLOCKS_MAX
from tests.node_parts import chain_of, genesis, key_at


class Way:
    """A node at block 0, and a decree whose base is the last block of a chain that nobody finalized."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, blocks: int, held: bool) -> None:
        monkeypatch.setattr(tests.node_parts, "EPOCH_LENGTH", 100_000)
        self.chain = chain_of(blocks)
        base = self.chain[-1]
        self.asked: list[Hash] = []
        decree = SimpleNamespace(base_height=base.header.height, base_hash=base.hash, term=1)
        here: dict[Hash, Block] = {block.hash: block for block in self.chain} if held else {}
        self.core: Any = SimpleNamespace(epoch=0, committed=self.chain[0], block=here.get)
        no_part: Any = None
        epochs: Any = SimpleNamespace(decree_after=lambda _: SimpleNamespace(decree=decree))
        store: Any = SimpleNamespace(tip=SimpleNamespace(height=0, block_hash=self.chain[0].hash))
        sync: Any = SimpleNamespace(fetch_block=lambda name, _: self.asked.append(name))
        self.following = Following(epochs, store, no_part, no_part, lambda: sync, 100)


@pytest.mark.parametrize("held", [True, False], ids=["held", "fetched"])
def test_a_base_is_followed_as_far_above_the_tip_as_one_certificate_may_be(
    monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    monkeypatch.setattr(node.following, "DESCENT_BLOCKS_MAX", 1_500)
    assert DESCENT_BLOCKS_MAX >= 65_536
    for blocks in (1_500, 1_501):
        way = Way(monkeypatch, blocks, held)
        found = way.following.way(way.core, 0)
        for block in reversed(way.chain[1:]):
            way.following.take(block, way.core)
            found = found or way.following.way(way.core, 0)
        assert found == (way.chain[1:] if blocks == 1_500 else [])


def test_the_next_block_on_the_way_is_asked_for_as_soon_as_one_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """R65"""
    way = Way(monkeypatch, 5, held=False)
    for block in reversed(way.chain[1:]):
        for now_ms in (0, 99):
            assert way.following.way(way.core, now_ms) == []
        way.following.take(block, way.core)
    assert way.asked == [block.hash for block in reversed(way.chain[1:])]


def test_a_block_that_does_not_come_is_asked_for_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    way = Way(monkeypatch, 2, held=False)
    for now_ms in (0, 50, 100, 150, 200):
        way.following.way(way.core, now_ms)
    assert way.asked == [way.chain[2].hash] * 3


def test_a_report_tells_of_as_many_blocks_above_the_tip_as_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """R62: a base is chosen among the blocks that reports tell of."""
    way = Way(monkeypatch, 2_500, held=True)
    records = [encode_record(block) for block in way.chain[1:]]
    tip = (way.chain[0], None)
    report = made_report(
        genesis().hash, 1, key_at(0).public, Spoken((0, 0), False), tip, records, lambda _: True, 1_800_000_000_000
    )
    assert [header.height for header in decode_report(report.encoded).blocks] == list(range(2_501))
    assert HEADERS_MAX == DESCENT_BLOCKS_MAX + 1
