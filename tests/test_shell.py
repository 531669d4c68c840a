"""Whole nodes on virtual time run clean, run the same again, and what is planted is seen. docs/simulator.md."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from consensus.timing import Timing
from node.dissemination import Dissemination
from node.driver import Driver
from node.mempool import Mempool
from node.node import Node
from node.outcomes import Outcomes
from node.rpc.ports import Outcome
from node.storage.errors import InUse
from node.storage.guard import Guard
from node.storage.journal import Journal
from node.storage.store import Store
from tests.shell.liars import LIES
from tests.shell.loop import LIFE, Life, Runaway, Stalled, VirtualLoop
from tests.shell.plan import Breaks, Plan, draw
from tests.shell.story import run, run_plan
from tests.simulation.bounds import NODE_BOUNDS
from tests.simulation.campaign import Failure
from tests.simulation.files import MemoryDisk
from tests.simulation.network import Weather

ROOT = Path(__file__).parent.parent
SEEDS = (201, 204, 208)
REGRESSIONS = [
    int(line.split()[0])
    for line in (ROOT / "tests/shell/regressions.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
CALM = Plan(
    seed=1,
    size=4,
    liars=(),
    epoch_heights=1_000,
    timing=Timing(
        leader_ms=400, view_ms=1_000, retry_ms=240, share_ms=40, skip_ms=2_400, idle_ms=400, view_ms_max=4_000
    ),
    weather=Weather(1, 5, 0.0, (400,), 0.0, 0.0, 0, 1, 5, 0.0),
    bytes_per_second=(1e8,) * 4,
    disk_ms=(1.0,) * 4,
    hiccup_ms=0,
    skew_ms=0,
    load_ms=100,
    rotate_bytes=20_000,
    breaks=Breaks(0, 0, 0, 0, 100, 0.0),
    storm_seconds=1,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_storms_and_liars_break_no_promise(seed: int) -> None:
    assert run(seed).heights > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_failed_stays_clean(seed: int) -> None:
    assert run(seed).heights > 0


def test_a_calm_network_with_clients_tells_the_same_story_twice() -> None:
    first = run_plan(CALM)
    assert first.heights > 5
    assert first.wrong_share > 0.3
    assert first.lives == 4
    assert run_plan(CALM) == first


@pytest.mark.children
def test_a_story_does_not_depend_on_the_hash_seed_of_python() -> None:
    stories = {_story_of(SEEDS[0], hash_seed) for hash_seed in ("1", "2")}
    assert len(stories) == 1
    assert run(SEEDS[0]).digest in stories.pop()


def test_seeds_draw_every_size_and_lie_and_leave_a_quorum() -> None:
    plans = [draw(seed) for seed in range(300)]
    assert {plan.size for plan in plans} == {1, 4, 5, 7}
    assert {lie for plan in plans for _, lies in plan.liars for lie in lies} == set(LIES)
    for plan in plans:
        assert 3 * len([node for node in plan.faulty if node < plan.size]) < plan.size
        assert len(plan.disk_ms) == len(plan.bytes_per_second) == plan.nodes
    changing = [plan for plan in plans if plan.appoint_ms]
    assert {node < plan.size for plan in changing for node, _ in plan.liars} == {True, False}
    assert {guard_too for plan in plans for _, guard_too in plan.wiped} == {True, False}
    assert any(plan.damaged for plan in plans)
    assert any(plan.breaks.full_ms for plan in plans)
    assert any(plan.breaks.unread_ms for plan in plans)
    assert {bound for plan in plans for bound in plan.bounds} == set(NODE_BOUNDS)


def test_a_committee_changes_by_orders_and_proofs() -> None:
    changing = replace(
        CALM,
        epoch_heights=3,
        observers=1,
        appoint_ms=600,
        bytes_per_second=(1e8,) * 5,
        disk_ms=(1.0,) * 5,
        storm_seconds=12,
    )
    result = run_plan(changing)
    assert result.committees > 1


def test_who_loses_its_chain_and_its_guard_is_back_at_the_end() -> None:
    assert run_plan(replace(CALM, epoch_heights=4, wiped=((2, True),), storm_seconds=4)).lives == 5


def test_bytes_that_change_in_a_chain_fork_nobody() -> None:
    assert run_plan(replace(CALM, damaged=(1,), storm_seconds=4)).lives > 4


def test_a_disk_that_is_full_or_cannot_be_read_ends_the_node_and_no_more() -> None:
    result = run_plan(replace(CALM, breaks=replace(CALM.breaks, full_ms=1_500, unread_ms=1_500), storm_seconds=6))
    assert result.lives > 4


# --- what is planted is seen ---


def _seen(plan: Plan = CALM) -> str:
    with pytest.raises(Failure) as caught:
        run_plan(plan)
    return caught.value.invariant


def test_a_check_that_lets_wrong_signatures_in_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.checks.check_all", lambda checks: [True for _ in checks])
    assert _seen() in ("answers", "chain")


def test_a_vote_that_leaves_before_its_record_is_on_disk_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Driver, "_sync_journal", lambda self: None)
    assert _seen() == "durable"


def test_a_guard_that_is_not_synced_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sync = MemoryDisk.sync

    def forgetful(self: MemoryDisk, descriptor: int) -> None:
        if sys._getframe(1).f_code is not Guard._append.__code__:
            sync(self, descriptor)

    monkeypatch.setattr(MemoryDisk, "sync", forgetful)
    blackouts = Breaks(0, 700, 0, 0, 10, 1.0)
    assert _seen(replace(CALM, breaks=blackouts, storm_seconds=5)) in ("recovery", "discipline", "well-behaved")


def test_an_answer_before_the_block_is_stored_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "commit", lambda self, record: None)
    assert _seen() == "durable"


def test_an_expiry_that_was_none_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Outcomes.ended
    monkeypatch.setattr(Outcomes, "ended", lambda self, ids, _: ended(self, ids, Outcome.EXPIRED))
    assert _seen() == "promises"


def test_a_mempool_that_forgets_what_waits_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mempool, "checked", lambda self, transaction_id: self.forget([transaction_id]))
    assert _seen() == "promises"


def test_a_batch_that_is_checked_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def verify(self: Any, *arguments: Any) -> bool:
        await self._verified(*arguments)
        held: bool = await self._verified(*arguments)
        return held

    monkeypatch.setattr(Dissemination, "_verify", verify)
    assert _seen() == "checks"


def test_a_task_that_outlives_its_node_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    recover = Node._recover
    kept: list[asyncio.Task[Any]] = []

    def leak(self: Node) -> None:
        kept.append(asyncio.get_running_loop().create_task(asyncio.sleep(10_000)))
        recover(self)

    monkeypatch.setattr(Node, "_recover", leak)
    assert _seen() == "clean stop"


def test_an_error_that_nobody_takes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    recover = Node._recover

    async def fails() -> None:
        raise ValueError("unseen")

    def stumble(self: Node) -> None:
        asyncio.get_running_loop().create_task(fails())
        recover(self)

    monkeypatch.setattr(Node, "_recover", stumble)
    assert _seen() == "unseen"


# --- the loop ---


def _run_virtual(work: Any, turns: int = 10_000) -> VirtualLoop:
    loop = VirtualLoop(1, 0.0, turns)
    try:
        loop.run_until_complete(work(loop))
    finally:
        loop.more_turns(1_000)
        loop.close()
    return loop


def test_an_hour_passes_at_once_and_timers_fire_in_order() -> None:
    heard: list[tuple[str, float]] = []

    async def wait(loop: VirtualLoop) -> None:
        for name, seconds in (("late", 3_600.0), ("soon", 0.5)):
            loop.call_later(seconds, lambda name=name: heard.append((name, loop.now())))  # type: ignore[misc]
        await asyncio.sleep(3_601.0)

    assert _run_virtual(wait).now() == 3_601.0
    assert heard == [("soon", 0.5), ("late", 3_600.0)]


def test_a_life_that_has_ended_runs_nothing_until_it_is_unwound() -> None:
    ticks: list[float] = []

    async def tick() -> None:
        try:
            while True:
                ticks.append(asyncio.get_running_loop().time())
                await asyncio.sleep(1.0)
        finally:
            ticks.append(-1.0)

    async def story(loop: VirtualLoop) -> None:
        life = Life("a", 0, lambda: (0.0, 0.0))
        task = loop.create_task(tick(), context=life.context)
        await asyncio.sleep(2.5)
        life.end()
        await asyncio.sleep(10.0)
        assert ticks == [0.0, 1.0, 2.0]
        assert life.unfinished() == [task]
        loop.revive(life)
        task.cancel()
        await asyncio.wait((task,))

    _run_virtual(story)
    assert ticks[-1] == -1.0


def test_blocking_work_takes_virtual_time_and_a_death_parts_the_deed_from_the_word() -> None:
    deeds: list[float] = []

    async def story(loop: VirtualLoop) -> None:
        life = Life("a", 0, lambda: (1.0, 2.0))
        words: list[float] = []

        async def work() -> None:
            await asyncio.to_thread(lambda: deeds.append(loop.now()))
            words.append(loop.now())

        await asyncio.wait((loop.create_task(work(), context=life.context.copy()),))
        assert (deeds, words) == ([1.0], [3.0])
        task = loop.create_task(work(), context=life.context.copy())
        await asyncio.sleep(1.5)
        life.end()
        await asyncio.sleep(5.0)
        assert (deeds, words) == ([1.0, 4.0], [3.0])
        loop.revive(life)
        await asyncio.wait((task,))

    _run_virtual(story)


def test_the_order_of_a_set_of_tasks_is_the_seeds() -> None:
    orders: set[tuple[int, ...]] = set()

    async def story(loop: VirtualLoop) -> None:
        tasks = [loop.create_task(asyncio.sleep(0)) for _ in range(8)]
        orders.add(tuple(tasks.index(task) for task in set(tasks)))
        await asyncio.wait(tasks)

    for _ in range(3):
        _run_virtual(story)
    assert len(orders) == 1
    assert orders != {tuple(range(8))}


def test_who_waits_for_nothing_and_who_never_ends_is_told() -> None:
    async def wait_for_ever(loop: VirtualLoop) -> None:
        await loop.create_future()

    async def spin(loop: VirtualLoop) -> None:
        def again() -> None:
            loop.call_soon(again)

        again()
        await loop.create_future()

    for work, error in ((wait_for_ever, Stalled), (spin, Runaway)):
        loop = VirtualLoop(1, 0.0, 100)
        task = loop.create_task(work(loop))
        with pytest.raises(error):
            loop.run_until_complete(task)
        loop.more_turns(100)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()
    assert LIFE.get() is None


# --- files in memory ---


def test_a_journal_in_memory_keeps_what_was_synced_through_any_loss_of_power(tmp_path: Path) -> None:
    for seed in range(40):
        random = Random(seed)
        disk = MemoryDisk()
        Journal.create(tmp_path, disk)
        synced: list[bytes] = []
        for life in range(4):
            journal, records = Journal.open(tmp_path, disk)
            known = [payload for _, payload in records]
            assert known[: len(synced)] == synced
            synced = list(known)
            for number in range(random.randint(1, 8)):
                known.append(bytes((life, number)) * random.randint(1, 400))
                journal.append(1, known[-1])
                if random.random() < 0.5:
                    journal.sync()
                    synced = list(known)
            disk.lose_power(random)


def test_a_file_is_locked_for_one_process_at_a_time(tmp_path: Path) -> None:
    disk = MemoryDisk()
    disk.lock(tmp_path / "lock")
    with pytest.raises(InUse):
        disk.lock(tmp_path / "lock")
    disk.end_process()
    disk.lock(tmp_path / "lock")


def _story_of(seed: int, hash_seed: str) -> str:
    command = [sys.executable, "-m", "tests.shell", "--seed", str(seed)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
