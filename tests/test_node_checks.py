"""node/checks.py: every signature's verdict, by lanes, in line and in processes."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator

import pytest

from consensus.crypto import SecretKey
from devnet.generate import key_of
from node.checks import CHUNK_CHECKS, SLICE_CHECKS, Lane, SignatureChecks, check_all
from node.ledger.transaction import Transaction, assemble, decode_transaction, sign_body
from tests.node_parts import eventually, genesis, issue, passes, pay, running

WORKERS = pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.processes)])


def spoilt(transaction: Transaction, which: int = 0) -> Transaction:
    """Return the transaction with one signature that is another's."""
    other = sign_body(b"\1" * 32, transaction.body, 0, _key_of(transaction, which))
    signatures = [other if index == which else each for index, each in enumerate(transaction.signatures)]
    return decode_transaction(assemble(transaction.body, signatures), genesis().hash)


def _key_of(transaction: Transaction, which: int) -> SecretKey:
    names = ("treasury", "nbkr-board-1", "nbkr-board-2")
    return next(key_of(name) for name in names if key_of(name).public == transaction.signatures[which][1])


@pytest.fixture
async def in_line() -> AsyncIterator[SignatureChecks]:
    checks = SignatureChecks(0)
    async with running(checks.run()):
        yield checks


@WORKERS
async def test_the_verdicts_are_the_same_in_line_and_in_processes(workers: int) -> None:
    checks = SignatureChecks(workers)
    good = [pay() for _ in range(CHUNK_CHECKS + SLICE_CHECKS + 1)]
    bad = {0, 5, SLICE_CHECKS, CHUNK_CHECKS, len(good) - 1}
    mixed = [spoilt(each) if index in bad else each for index, each in enumerate(good)]
    async with running(checks.run()):
        verdicts = await checks.valid(mixed, Lane.VALIDATORS)
        assert [index for index, valid in enumerate(verdicts) if not valid] == sorted(bad)
        assert await checks.valid([], Lane.CLIENTS) == []
        assert checks.checked == len(mixed)
        assert checks.queued(Lane.VALIDATORS) == checks.queued(Lane.CLIENTS) == 0


async def test_all_signatures_of_a_transaction_must_be_good(in_line: SignatureChecks) -> None:
    two = issue()
    assert len(two.signatures) == 2
    verdicts = await in_line.valid([two, spoilt(two, 0), spoilt(two, 1), pay()], Lane.CLIENTS)
    assert verdicts == [True, False, False, True]


async def test_batches_of_validators_go_before_the_transactions_of_clients() -> None:
    checks = SignatureChecks(0)
    ended: list[str] = []

    async def ask(name: str, lane: Lane) -> None:
        await checks.valid([pay()], lane)
        ended.append(name)

    async with asyncio.TaskGroup() as tasks:
        for number in range(6):
            tasks.create_task(ask(f"client {number}", Lane.CLIENTS))
        await passes()
        for number in range(3):
            tasks.create_task(ask(f"validator {number}", Lane.VALIDATORS))
        await passes()
        async with running(checks.run()):
            await eventually(lambda: len(ended) == 9)
    assert ended == [f"validator {each}" for each in range(3)] + [f"client {each}" for each in range(6)]


async def test_a_batch_waits_for_no_more_than_a_slice_of_a_large_call(in_line: SignatureChecks) -> None:
    many = asyncio.create_task(in_line.valid([pay()] * SLICE_CHECKS * 5, Lane.CLIENTS))
    await asyncio.sleep(0)  # it has asked, and nothing is checked yet
    assert in_line.queued(Lane.CLIENTS) == SLICE_CHECKS * 5
    assert await in_line.valid([pay()], Lane.VALIDATORS) == [True]
    assert not many.done()
    assert await many == [True] * SLICE_CHECKS * 5


@pytest.mark.processes
async def test_a_batch_that_comes_while_clients_fill_the_workers_waits_for_one_of_them_only() -> None:
    """With no place free nobody is chosen: whoever comes until there is one is chosen by the lane."""
    checks = SignatureChecks(1)
    order: list[Lane] = []
    original = checks._next

    async def noted():  # type: ignore[no-untyped-def]
        job = await original()
        order.append(job.lane)
        return job

    checks._next = noted  # type: ignore[method-assign]
    clients = [asyncio.create_task(checks.valid([pay()] * CHUNK_CHECKS * 2, Lane.CLIENTS)) for _ in range(4)]
    async with running(checks.run()):
        await eventually(lambda: len(order) == 2)  # one worker, one chunk that waits for it
        batch = asyncio.create_task(checks.valid([pay()], Lane.VALIDATORS))
        await asyncio.wait([*clients, batch])
    assert order[2] is Lane.VALIDATORS


async def test_what_waits_is_counted_by_lane(in_line: SignatureChecks) -> None:
    checks = SignatureChecks(0)
    waiting = asyncio.create_task(checks.valid([pay(), issue()], Lane.CLIENTS))
    await passes()
    assert checks.queued(Lane.CLIENTS) == 3
    assert checks.queued(Lane.VALIDATORS) == 0
    async with running(checks.run()):
        assert await waiting == [True, True]
    assert checks.queued(Lane.CLIENTS) == 0


@WORKERS
async def test_who_has_gone_holds_up_nobody(workers: int) -> None:
    checks = SignatureChecks(workers)
    gone = asyncio.create_task(checks.valid([pay()] * 3, Lane.CLIENTS))
    await passes()
    gone.cancel()
    async with running(checks.run()):
        assert await checks.valid([pay()], Lane.CLIENTS) == [True]
        await eventually(lambda: checks.queued(Lane.CLIENTS) == 0)
    assert gone.cancelled()


async def test_the_event_loop_gets_its_turn_between_slices(in_line: SignatureChecks) -> None:
    turns = 0
    many = asyncio.create_task(in_line.valid([pay()] * SLICE_CHECKS * 5, Lane.CLIENTS))
    while not many.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 5


@pytest.mark.processes
async def test_no_process_is_left_behind() -> None:
    checks = SignatureChecks(2)
    async with running(checks.run()):
        assert await checks.valid([pay()], Lane.CLIENTS) == [True]
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()


def test_a_check_is_one_of_key_message_and_signature() -> None:
    one, two = pay(), pay()
    (_, public, signature) = one.signatures[0]
    assert check_all([(public, one.id, signature), (public, two.id, signature), (bytes(32), one.id, signature)]) == [
        True,
        False,
        False,
    ]
