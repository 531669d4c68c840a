"""node/outcomes.py: who waits for a transaction hears how it ended, once, and leaves nothing behind."""

import asyncio

import pytest

import node.outcomes
from node.outcomes import Outcomes
from node.rpc.ports import Outcome
from tests.node_parts import passes

LONG = 30.0


def outcomes(*executed: bytes) -> Outcomes:
    return Outcomes(set(executed).__contains__, 5)


async def test_what_is_stored_already_is_answered_at_once() -> None:
    assert await outcomes(b"a").outcome(b"a", 0) is Outcome.EXECUTED
    assert await outcomes(b"a").outcome(b"a", LONG) is Outcome.EXECUTED


async def test_who_does_not_wait_hears_that_it_is_open() -> None:
    assert await outcomes().outcome(b"a", 0) is Outcome.PENDING
    assert await outcomes().outcome(b"a", -1) is Outcome.PENDING


@pytest.mark.parametrize("how", [Outcome.EXECUTED, Outcome.EXPIRED])
async def test_all_who_wait_for_a_transaction_hear_how_it_ended(how: Outcome) -> None:
    part = outcomes()
    waiting = [asyncio.create_task(part.outcome(b"a", LONG)) for _ in range(3)]
    other = asyncio.create_task(part.outcome(b"b", LONG))
    await passes()
    part.ended([b"a", b"nobody waits for this"], how)
    part.ended([b"a"], Outcome.EXPIRED)  # the first word stands
    assert await asyncio.gather(*waiting) == [how] * 3
    assert not other.done()
    part.ended([b"b"], how)
    assert await other is how
    assert part._waiting == {}
    assert part._count == 0


async def test_who_waits_too_long_or_goes_leaves_nothing_behind() -> None:
    part = outcomes()
    assert await part.outcome(b"a", 0.01) is Outcome.PENDING
    gone = asyncio.create_task(part.outcome(b"a", LONG))
    await passes()
    gone.cancel()
    await asyncio.wait((gone,))
    assert part._waiting == {}
    assert part._count == 0


async def test_no_more_than_a_bound_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.outcomes, "WAITING_MAX", 1)
    part = outcomes()
    first = asyncio.create_task(part.outcome(b"a", LONG))
    await passes()
    assert await part.outcome(b"b", LONG) is Outcome.PENDING
    part.ended([b"a"], Outcome.EXECUTED)
    assert await first is Outcome.EXECUTED


async def test_a_height_is_waited_for_until_it_or_a_higher_one_is_stored() -> None:
    part = outcomes()
    assert await part.reached(5, 0)
    assert not await part.reached(6, 0)
    waiting = {height: asyncio.create_task(part.reached(height, LONG)) for height in (6, 7, 9)}
    await passes()
    part.stored(7)
    assert await waiting[6]
    assert await waiting[7]
    assert not waiting[9].done()
    waiting[9].cancel()
    await asyncio.wait((waiting[9],))
    assert part._heights == {}
