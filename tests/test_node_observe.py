"""Each number of the metrics moves when what it tells of happens."""

import asyncio
import threading
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node.node import Node
from node.observe import Sizes
from node.presence import SETTLED
from node.storage.records import StoreStats
from tests.node_lab import network

DEAD: Final = "bank-3"
TIMED: Final = (
    "som_view_seconds",
    "som_quorum_seconds",
    "som_step_seconds",
    "som_journal_sync_seconds",
    "som_block_execution_seconds",
    "som_block_store_seconds",
)


def numbers(node: Node) -> dict[tuple[str, str], float]:
    """Return all samples by name and the value of their label, "" without one."""
    return {
        (sample.name, ",".join(value for name, value in sample.labels.items() if name != "le")): sample.value
        for family in text_string_to_metric_families(node.metrics.render().decode())
        for sample in family.samples
        if sample.labels.get("le") in (None, "+Inf")
    }


async def test_the_store_is_looked_at_seldom_and_off_the_loop_and_no_more_after_the_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []
    going = threading.Event()

    def look() -> StoreStats:
        if looks:
            going.wait(5)
        looks.append(threading.get_ident())
        return StoreStats(len(looks), {}, 0, 0, 0)

    sizes = Sizes(look)
    assert [sizes.now().height for _ in range(9)] == [1] * 9
    monkeypatch.setattr("node.observe.LOOK_SECONDS", 0.0)
    sizes._next = 0.0
    assert [sizes.now().height for _ in range(9)] == [1] * 9, "a look under way is not waited for"
    going.set()
    await sizes.stop()
    assert len(looks) == 2
    assert looks[0] == threading.get_ident() != looks[1]
    assert [sizes.now().height for _ in range(2)] == [2, 2]
    assert len(looks) == 2


async def test_what_went_wrong_with_a_look_is_told_and_it_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.observe.LOOK_SECONDS", 0.0)
    found: list[StoreStats | Exception] = [StoreStats(2, {}, 0, 0, 0), OSError("the disk"), StoreStats(1, {}, 0, 0, 0)]

    def look() -> StoreStats:
        match found.pop():
            case StoreStats() as stats:
                return stats
            case error:
                raise error

    sizes = Sizes(look)
    sizes.now()
    with pytest.raises(OSError, match="the disk"):
        await until_changed(sizes)
    assert await until_changed(sizes) == 2
    found.append(StoreStats(3, {}, 0, 0, 0))
    await sizes.stop()


async def until_changed(sizes: Sizes) -> int:
    async with asyncio.timeout(5):
        while sizes.now().height == 1:  # noqa: ASYNC110  a thread, which tells nobody
            await asyncio.sleep(0.01)
        return sizes.now().height


async def test_the_metrics_tell_of_a_validator_that_died_and_of_the_time_that_things_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.presence.SILENT_MS", 3_000)
    async with network(tmp_path) as lab:
        await lab.fund()
        before = numbers(lab.nodes["nbkr"])
        assert before["som_missing_validators", ""] == 0
        await lab.stop(DEAD)
        alive = [name for name in lab.names if name != DEAD]
        await lab.height(lab.nodes["nbkr"].store.tip.height + SETTLED + 3)
        node = lab.nodes["nbkr"]
        await lab.until(lambda: node.driver.presence.missing(node.driver.clock_ms()) == (DEAD,), "it is missing")
        expired = lab.pay(1, 1, 1, "aida", lifetime_ms=1)  # of no account: nobody executes it
        node.mempool.admit(expired, 0.0)
        await lab.height(node.store.tip.height + 2)
        now = numbers(node)
        tip = node.store.tip.height
    assert (now["som_missing_validators", ""], now["som_missing_weight", ""]) == (1, 1)
    assert (now["som_quorum_weight", ""], now["som_total_weight", ""]) == (3, 4)
    assert now["som_validator_missed_blocks_total", DEAD] >= 2
    assert all(now["som_validator_missed_blocks_total", name] == 0 for name in alive)
    assert now["som_validator_last_signed_height", DEAD] < now["som_validator_last_signed_height", "bank-1"] <= tip
    assert ("som_validator_late_votes_total", DEAD) in now
    assert before["som_invariant_height", ""] < now["som_invariant_height", ""] <= tip
    assert now["som_mempool_expired_total", ""] == 1
    assert 0 < now["som_peer_height", "bank-1"] <= tip + 2
    assert ("som_peer_height", DEAD) not in now
    assert 0 < now["som_disk_free_bytes", ""] < now["som_disk_total_bytes", ""]
    for name in TIMED:
        counts = {key: value for key, value in now.items() if key[0] == f"{name}_count"}
        assert counts, name
        label = max(counts, key=lambda key: counts[key])
        assert counts[label] > before[label], name
        assert 0 < now[f"{name}_sum", label[1]] < 60 * counts[label]
    assert now["som_quorum_seconds_count", "notarize"] > 0
    assert now["som_quorum_seconds_count", "finalize"] > 0
    assert now["som_view_seconds_count", "nullified"] >= 1, "views of the dead leader"
