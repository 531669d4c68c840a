"""Whole networks of real nodes in one process: payments, stops, restarts, partitions, liars, full pools.

Everything is real but the length of the timers: TLS on loopback, LevelDB, journals, guards.
"""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

import node.batches
import node.dissemination
import node.payloads
from consensus.encoding import encode
from consensus.messages import Kind, Status, Vote, encode_message
from consensus.timing import Timing
from devnet.generate import ISSUER, TREASURY, Place, bank_account, key_of, make_genesis, write_network
from devnet.processes import LOOPBACK, free_ports
from node.batches import encode_batch_message, make_batch
from node.ledger.account import SOM
from node.ledger.errors import Code
from node.ledger.transaction import Transaction, assemble, decode_transaction, sign_body
from node.links import BATCHES, CONSENSUS
from node.node import unix_ms
from node.rpc.errors import OVERLOADED
from node.rpc.ports import Outcome
from node.sync import RANGE, RequestFailed
from tests.node_lab import QUICK, Lab, make_lab, network
from tests.node_parts import key_in

BANK = bank_account(1)


async def pay_some(lab: Lab, count: int = 10, *names: str) -> list[Transaction]:
    """Pay pensions through these nodes, or all that run, in turn; wait until all have stored them."""
    chosen = names or tuple(lab.running)
    payments = [lab.pension() for _ in range(count)]
    for start, name in enumerate(chosen):
        mine = payments[start :: len(chosen)]
        if mine:
            await lab.accept(name, *mine)
    await lab.settled(*payments)
    return payments


async def grow(lab: Lab, height: int) -> None:
    """Let the chain reach a height quickly, with a payment for each block."""
    while min(lab.nodes[name].store.tip.height for name in lab.running) < height:
        await pay_some(lab, 1, lab.running[0])


def same_money(lab: Lab) -> None:
    """Assert that all that run agree on the chain, the accounts, and that no money was made or lost."""
    height = lab.same_chain()
    assert height > 0
    for name in lab.running:
        held = lab.balance(name, TREASURY) + lab.balance(name, BANK)
        assert held == lab.nodes[name].ledger.supply(SOM) == -lab.balance(name, ISSUER)


# --- payments ---


@pytest.mark.parametrize("validators", [1, 4, 7])
async def test_payments_become_final_with_the_same_root_everywhere(tmp_path: Path, validators: int) -> None:
    async with network(tmp_path, validators) as lab:
        await lab.fund()
        payments = await pay_some(lab, 40)
        same_money(lab)
        for name in lab.names:
            node = lab.nodes[name]
            assert lab.balance(name, BANK) == 40 * 1_00
            assert await lab.outcome(name, payments[0]) is Outcome.EXECUTED
            await lab.until(lambda node=node: len(node.mempool) == 0)  # type: ignore[misc]
            assert node.evidence.counts().total() == node.driver.counters.invalid == 0
        await lab.until(lambda: all(len(node.pool) == 0 for node in lab.nodes.values()), "pools are empty")


async def test_the_last_root_is_certified_soon_after_the_last_payment(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        await pay_some(lab, 3)
        node = lab.nodes["nbkr"]
        paid = node.executor.uncertified_height
        await lab.until(lambda: node.driver.core.committed.header.executed_height >= paid)
        assert node.driver.core.committed.header.height <= paid + 2


async def test_a_transaction_that_goes_to_two_nodes_executes_once(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        one = lab.pension()
        await asyncio.gather(*(lab.accept(name, one) for name in lab.names))
        await lab.settled(one)
        await lab.until(lambda: all(len(node.pool) == 0 for node in lab.nodes.values()))
        assert {lab.balance(name, BANK) for name in lab.names} == {1_00}
        for name in lab.names:
            (again,) = await lab.submit(name, one)
            assert (again.code, again.duplicate, again.tx_id) == (0, True, one.id)
        same_money(lab)


@pytest.mark.processes
async def test_signatures_are_checked_by_worker_processes_as_well(tmp_path: Path) -> None:
    async with network(tmp_path, 1, workers=1) as lab:
        await lab.fund()
        await pay_some(lab, 10)
        same_money(lab)


async def test_what_expires_in_the_mempool_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        node = lab.nodes["bank-1"]
        node.pool.has_room = lambda *_: False  # type: ignore[method-assign]  # no batch can be made
        soon = lab.pay(TREASURY, BANK, 1, "treasury", lifetime_ms=1_000)
        await lab.accept("bank-1", soon)
        assert await lab.outcome("bank-1", soon) is Outcome.EXPIRED
        assert len(node.mempool) == 0
        (late,) = await lab.submit("bank-1", soon)
        assert late.code == Code.EXPIRED
        assert lab.balance("nbkr", BANK) == 0


async def test_each_refusal_at_the_door_has_its_code(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        good = lab.pension()
        other = sign_body(b"\1" * 32, good.body, 0, key_of("treasury"))
        forged = decode_transaction(assemble(good.body, [other]), lab.genesis.hash)
        unsigned = lab.pay(TREASURY, BANK, 1, "aida")
        for transaction, code in (
            (forged, Code.SIGNATURE),
            (unsigned, Code.NOT_SIGNED),
            (lab.pay(TREASURY, BANK, 1_000_000_000_00, "treasury"), Code.INSUFFICIENT),
            (lab.pay(TREASURY, 12345, 1, "treasury"), Code.NO_ACCOUNT),
            (lab.pay(TREASURY, BANK, 1, "treasury", lifetime_ms=-1), Code.EXPIRED),
            (lab.pay(TREASURY, BANK, 1, "treasury", lifetime_ms=10**10), Code.EXPIRY_TOO_FAR),
        ):
            (refused,) = await lab.submit("nbkr", transaction)
            assert refused.code == code
        (refused,) = await lab.nodes["nbkr"].service.submit([b"nonsense"])
        assert refused.code == Code.MALFORMED
        assert len(lab.nodes["nbkr"].mempool) == 0


async def test_a_full_node_says_come_later_and_takes_all_when_it_is_not(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        node = lab.nodes["nbkr"]
        node.mempool._transactions_max = 20
        payments = [lab.pension() for _ in range(50)]
        waiting = list(payments)
        refusals = 0
        while waiting:
            answers = await lab.submit("nbkr", *waiting)
            full = [one for one, answer in zip(waiting, answers, strict=True) if answer.code]
            assert all(answer.code == OVERLOADED.code and answer.retry_after_ms for answer in answers if answer.code)
            refusals += len(full)
            waiting = full
            await asyncio.sleep(0)
        assert refusals
        await lab.settled(*payments)
        assert lab.balance("bank-1", BANK) == 50 * 1_00


# --- stops and restarts ---


async def test_a_node_that_was_stopped_catches_up_over_the_ends_of_epochs(tmp_path: Path) -> None:
    async with network(tmp_path, epoch_length=6) as lab:
        await lab.fund()
        await lab.stop("bank-3")
        await grow(lab, 20)
        await lab.start("bank-3")
        await lab.height(20)
        await pay_some(lab, 4)
        same_money(lab)
        late = lab.nodes["bank-3"]
        assert late.driver.core.epoch == lab.nodes["nbkr"].driver.core.epoch >= 3
        assert late.driver.voting.votes.refused == 0
        await lab.until(lambda: not late.sync.behind())


async def test_a_node_catches_up_when_more_has_happened_than_a_batch_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in (node.batches, node.payloads, node.dissemination):
        monkeypatch.setattr(part, "BATCH_LIFE_HEIGHTS", 5)
    monkeypatch.setattr(node.node, "BATCH_LIFE_HEIGHTS", 5)
    async with network(tmp_path) as lab:
        await lab.fund()
        await lab.stop("bank-3")
        await grow(lab, 16)
        await lab.start("bank-3")
        await lab.height(16)
        await pay_some(lab, 4)
        same_money(lab)


async def test_all_restarted_at_once_go_on(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        await pay_some(lab, 4)
        waiting = [lab.pension() for _ in range(20)]
        await lab.accept("bank-1", *waiting)
        heights = {name: lab.nodes[name].store.tip.height for name in lab.names}
        await lab.stop(*lab.names)
        await lab.start(*lab.names)
        assert all(lab.nodes[name].store.tip.height >= height for name, height in heights.items())
        await pay_some(lab, 4)
        same_money(lab)
        assert all(node.driver.voting.votes.refused == 0 for node in lab.nodes.values())


async def test_nothing_that_was_told_to_be_executed_is_lost_however_often_all_stop(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        told: list[Transaction] = []
        for _ in range(4):
            payments = [lab.pension() for _ in range(10)]
            await lab.accept("bank-2", *payments)
            assert await lab.outcome("bank-2", payments[0]) is Outcome.EXECUTED
            told.append(payments[0])
            await lab.stop(*lab.names)
            await lab.start(*lab.names)
        await lab.settled(*told)
        same_money(lab)


async def test_three_of_four_go_on_and_two_do_not(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        await lab.stop("bank-3")
        await pay_some(lab, 6)
        await lab.stop("bank-2")
        nbkr = lab.nodes["nbkr"]
        views = nbkr.driver.core.view
        one = lab.pension()
        await lab.accept("nbkr", one)
        await lab.until(lambda: nbkr.driver.core.counters.retries > 3)
        assert nbkr.store.transaction(one.id) is None
        assert nbkr.driver.core.view <= views + 1
        assert not nbkr.service.status().ready
        assert "no links to a quorum" in nbkr.service.status().reasons
        await lab.start("bank-2")
        await lab.settled(one)
        await lab.start("bank-3")
        await pay_some(lab, 4)
        same_money(lab)


async def test_a_node_that_stops_under_load_leaves_nothing_half_done(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        for name in ("bank-1", "bank-2", "bank-3"):
            payments = [lab.pension() for _ in range(30)]
            await lab.accept("nbkr", *payments)
            await lab.stop(name)
            await lab.start(name)
            await lab.settled(*payments)
        same_money(lab)


async def test_one_validator_alone_resumes_over_the_end_of_its_epochs(tmp_path: Path) -> None:
    async with network(tmp_path, 1, epoch_length=3) as lab:
        await lab.fund()
        for _ in range(5):
            await pay_some(lab, 2)
            await lab.stop("nbkr")
            await lab.start("nbkr")
        assert lab.nodes["nbkr"].driver.core.epoch >= 1
        same_money(lab)


# --- liars ---


@pytest.mark.parametrize("channel", ["consensus", "batches", "unknown", "request"])
async def test_a_peer_that_sends_garbage_is_dropped_and_counted_and_nothing_else_happens(
    tmp_path: Path, channel: str
) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        liar, victim = lab.nodes["bank-3"], lab.nodes["nbkr"]
        at = victim.mesh.identity.peer
        closed = victim.mesh.counters.penalties
        if channel == "request":
            with pytest.raises(RequestFailed):
                await liar.links.request(at, RANGE, b"\xc1garbage", 5.0)
        elif channel == "unknown":
            link = liar.mesh._link(at)
            assert link is not None
            link.send(CONSENSUS.number, b"\xee garbage on a channel that is none")
        else:
            liar.mesh.send(at, CONSENSUS.number if channel == "consensus" else BATCHES.number, b"\xc1 garbage")
        await lab.until(lambda: victim.mesh.counters.penalties + sum(victim.mesh.counters.violations.values()) > closed)
        status = next(each for each in victim.mesh.peers() if each.name == "bank-3")
        assert status.score > 0 or status.narrow
        payments = [lab.pension() for _ in range(4)]
        await lab.accept("nbkr", *payments)
        await lab.settled(*payments)
        same_money(lab)
        assert victim.evidence.counts().total() == 0


def _index(lab: Lab, name: str) -> int:
    return next(info.index for info in lab.nodes[name].service.committee().validators if info.name == name)


async def test_well_formed_lies_are_refused_one_by_one(tmp_path: Path) -> None:
    """Votes in another's name, unsigned votes, statuses with the largest heights."""
    async with network(tmp_path) as lab:
        await lab.fund()
        liar = lab.nodes["bank-3"]
        me, other = _index(lab, "bank-3"), _index(lab, "bank-1")
        view = liar.driver.core.view + 1
        lies = (
            Status(0, 2**63 - 1, 2**63 - 1, 2**63 - 1),
            Vote(Kind.NOTARIZE, 0, view, liar.driver.core.committed.hash, me, b"\1" * 64),  # type: ignore[arg-type]
            Vote(Kind.NULLIFY, 0, view, bytes(32), other, b"\1" * 64),  # type: ignore[arg-type]
        )
        for lie in lies:
            liar.links.broadcast_consensus(encode_message(lie))
        honest = [lab.nodes[name] for name in lab.names[:3]]
        await lab.until(lambda: all(node.driver.counters.invalid > 0 for node in honest))
        payments = [lab.pension() for _ in range(4)]
        await lab.accept("nbkr", *payments)
        await lab.until(lambda: all(node.store.transaction(one.id) for node in honest for one in payments))
        await lab.until(lambda: all(not node.sync.behind() for node in honest))


async def test_a_validator_that_signs_an_invalid_batch_is_heard_no_more_and_the_rest_goes_on(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        honest = [lab.nodes[name] for name in lab.names if name != "bank-3"]
        liar = lab.nodes["bank-3"]
        good = lab.pension()
        other = sign_body(b"\1" * 32, good.body, 0, key_of("treasury"))
        forged = assemble(good.body, [other])
        batch = make_batch(lab.genesis.hash, key_in(liar.opened), 1, liar.store.tip.height, [lab.pension().raw, forged])
        liar.links.broadcast_batch(encode_batch_message(batch))
        await lab.until(lambda: all(node.dissemination.batches_invalid == 1 for node in honest))
        payments = [lab.pension() for _ in range(4)]
        await lab.accept("bank-1", *payments)
        await lab.until(lambda: all(node.store.transaction(one.id) for node in honest for one in payments))
        assert all(node.store.batch(batch.digest) is None for node in honest)
        assert all(batch.digest not in node.pool for node in honest)


async def test_a_validator_that_names_batches_that_nobody_has_costs_its_own_views_only(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        liar = lab.nodes["bank-3"]
        payloads = liar.driver.blocks.payloads
        object.__setattr__(
            payloads, "pool", _Inventing(liar.pool)
        )  # its own check must pass: it believes that it holds what it names
        await grow(lab, liar.store.tip.height + 6)
        await pay_some(lab, 4, "nbkr", "bank-1")
        same_money(lab)


class _Inventing:
    """A pool that offers, beside what it holds, a batch that does not exist."""

    def __init__(self, pool: node.batches.BatchPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> object:
        return getattr(self._pool, name)

    def __contains__(self, name: node.batches.BatchDigest) -> bool:
        return name in self._pool

    def includable(self, height: int, excluded: object) -> list[object]:
        invented = replace(
            _held_of(), batch=make_batch(bytes(32), key_of("bank-3-consensus"), time.time_ns(), 0, [b"x"])
        )
        return [*self._pool.includable(height, excluded), invented]  # type: ignore[arg-type]


def _held_of() -> node.batches.Held:
    batch = make_batch(bytes(32), key_of("bank-3-consensus"), 1, 0, [b"x"])
    return node.batches.Held(batch, (), set(), 0)


# --- a whole node's own rules ---


async def test_a_busy_port_ends_the_start_with_the_address(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, 1)
    await lab.start("nbkr")
    port = lab.nodes["nbkr"].mesh.port
    second = make_lab(tmp_path / "second", 1)
    config = tmp_path / "second" / "nbkr" / "config.toml"
    text = config.read_text()
    own = next(line for line in text.splitlines() if line.startswith("port = ") and line != "port = 0")
    config.write_text(text.replace(own, f"port = {port}"))
    with pytest.raises((OSError, ExceptionGroup)) as failed:
        await second.start("nbkr")
    group = failed.value
    error = group.exceptions[0] if isinstance(group, ExceptionGroup) else group
    assert isinstance(error, OSError)
    assert str(port) in str(error)
    second._open.pop("nbkr").close()
    await lab.stop("nbkr")


async def test_metrics_and_status_of_a_running_node_say_where_it_is(tmp_path: Path) -> None:
    async with network(tmp_path) as lab:
        await lab.fund()
        node = lab.nodes["bank-2"]
        low = node.store.tip.height
        text = node.metrics.render().decode()
        status = node.service.status()
        heights = range(low, node.store.tip.height + 1)  # it may have risen meanwhile: blocks are stored in a thread
        assert any(f"som_height {float(height)}" in text for height in heights)
        assert "som_peers_connected 3.0" in text
        assert 'som_peer_connected{peer="nbkr"} 1.0' in text
        assert status.ready, status.reasons
        assert status.peers_connected == 3
        assert {peer.name for peer in node.service.peers()} == {"nbkr", "bank-1", "bank-3"}
        assert abs(unix_ms() - status.last_block_ms) < 10_000


async def test_an_idle_network_with_the_usual_timers_is_quiet(tmp_path: Path) -> None:
    usual = Timing()
    async with network(tmp_path, timing=usual) as lab:
        await lab.fund()
        await pay_some(lab, 2)
        node = lab.nodes["nbkr"]
        await lab.until(lambda: not node.driver.blocks.payloads.root_waits(node.driver.core.committed))
        height = node.driver.core.committed.header.height + 1  # which may be on its way
        await lab.height(height + 1)
        blocks = [node.store.block(each) for each in (height, height + 1)]
        assert blocks[0] is not None
        assert blocks[1] is not None
        assert blocks[1].timestamp_ms - blocks[0].timestamp_ms >= usual.idle_ms * 9 // 10
        assert QUICK.idle_ms < usual.idle_ms
        assert encode((RANGE,))


async def test_before_the_networks_first_moment_no_block_is_made_and_the_nodes_say_so(tmp_path: Path) -> None:
    """The leader proposes, and the clocks of the others forbid it; of a single validator nobody judges the clock."""
    names = ("nbkr", "bank-1", "bank-2", "bank-3")
    genesis = replace(make_genesis(unix_ms() + 3_600_000, names), tree_depth=2)
    places = [Place(name, LOOPBACK, LOOPBACK, port, 0) for name, port in zip(names, free_ports(4), strict=True)]
    write_network(tmp_path, places, genesis)
    lab = Lab(tmp_path, genesis, names)
    try:
        await lab.start(*names)
        await lab.linked()
        nodes = [lab.nodes[name] for name in names]
        await lab.until(lambda: all(node.driver.core.view > len(names) for node in nodes), "each has led a view")
        for node in nodes:
            assert node.service.status().reasons == ("the last block is of the future",)
            assert node.store.tip.height == 0
    finally:
        await lab.stop(*lab.running)
