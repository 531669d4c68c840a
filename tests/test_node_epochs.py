"""Committees that change while the network runs and pays: in, out, other keys, other weights, away over a change.

Whole nodes in one process; the orders are the ledger's own, signed by the central bank (docs/protocol.md, section 15).
"""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from network.wire import CloseCode, PeerId, code_word
from node.config_text import format_config
from node.home import read_config
from node.ledger.param import Listed
from node.links import FAREWELL_HEIGHTS
from node.rpc.errors import NOT_A_VALIDATOR
from node.rpc.ports import Outcome
from tests.committee_lab import Committees, committees, keys_of, listed

FOUNDERS = ("nbkr", "bank-1", "bank-2", "bank-3")


def rows(*names: str) -> list[Listed]:
    return [listed(name) for name in names]


async def join(change: Committees, homes: dict[str, str], *others: str) -> None:
    """Admit newcomers (home: name), start them, let them follow, and see them take their seats."""
    lab = change.lab
    founder = [change.peer(change.through[0])]
    new = [listed(name, home, address=change.add_home(home, name, founder)) for home, name in homes.items()]
    await change.order(*rows(*others), *new)
    await lab.start(*homes)
    for home in homes:
        await change.ready(home)
    await lab.until(lambda: all(votes(change, home) for home in homes), "newcomers vote")


def votes(change: Committees, home: str) -> bool:
    return change.lab.nodes[home].driver.core.me is not None


async def test_a_validator_joins_and_then_another_leaves(tmp_path: Path) -> None:
    """R51, R53, R55, R56"""
    async with committees(tmp_path) as change:
        lab = change.lab
        await join(change, {"bank-4": "bank-4"}, *FOUNDERS)
        await lab.until(lambda: change.voters() == {*FOUNDERS, "bank-4"}, "five")
        newcomer = lab.nodes["bank-4"]
        views = newcomer.driver.core.view
        await lab.until(lambda: newcomer.driver.core.view > views + 6)  # it has led one of these
        change.through.append("bank-4")
        assert newcomer.driver.voting.votes.refused == 0

        change.through.remove("bank-3")
        waiting = lab.nodes["bank-3"]
        waiting.mempool.has_ready = lambda: False  # type: ignore[method-assign]  # what comes now goes into no batch
        late = lab.pension()
        await lab.accept("bank-3", late)
        told = asyncio.create_task(lab.outcome("bank-3", late))
        await change.order(*rows("nbkr", "bank-1", "bank-2", "bank-4"))
        await lab.until(lambda: change.voters() == {"nbkr", "bank-1", "bank-2", "bank-4"}, "three and the newcomer")
        await lab.until(lambda: not votes(change, "bank-3"))
        (refused,) = await lab.submit("bank-3", lab.pension())
        assert refused.code == NOT_A_VALIDATOR.code
        assert await told is Outcome.PENDING, "not settled here, and not expired"
        assert not waiting.service.pending(late.id)
        await lab.accept("nbkr", late)
        await lab.until(lambda: lab.nodes["nbkr"].store.transaction(late.id), "the same bytes, through another")
        removed = waiting.mesh.identity.peer
        others = [lab.nodes[name] for name in change.through]
        await lab.until(lambda: all(removed not in node.mesh.connected() for node in others), "links are closed")
        closed = others[0].mesh.counters.links_closed
        await lab.until(lambda: closed[code_word(CloseCode.REMOVED)] >= 1)
        boundary = waiting.driver.core.epoch * lab.genesis.epoch_length
        assert waiting.store.tip.height >= boundary + FAREWELL_HEIGHTS - 1, "it saw that its epoch is over"
        await lab.stop("bank-3")
        await change.payments(8)
        for node in others:
            assert node.driver.counters.invalid == node.driver.voting.votes.refused == 0


async def test_new_keys_take_over_from_a_second_home_and_the_first_only_follows(tmp_path: Path) -> None:
    async with committees(tmp_path) as change:
        lab = change.lab
        await join(change, {"bank-2-new": "bank-2"}, "nbkr", "bank-1", "bank-3")
        assert change.voters() == set(FOUNDERS)
        change.through.append("bank-2-new")
        assert PeerId(keys_of("bank-2").node_key) not in lab.nodes["nbkr"].driver.members
        await lab.until(lambda: not votes(change, "bank-2"), "the first home follows")
        (refused,) = await lab.submit("bank-2", lab.pension())
        assert refused.code == NOT_A_VALIDATOR.code
        async with change.calm:
            change.through.remove("bank-2")
            await lab.stop("bank-2")
        await change.next_epoch()


async def test_weights_change_and_nothing_else(tmp_path: Path) -> None:
    async with committees(tmp_path, epoch_length=6) as change:
        lab = change.lab
        await change.order(listed("nbkr", weight=3), *rows(*FOUNDERS[1:]))
        await lab.until(lambda: all(node.driver.core.committee.total == 6 for node in lab.nodes.values()))
        for node in lab.nodes.values():
            assert node.driver.core.committee.quorum == 5
            assert len(node.links.connected()) == 3
            assert node.mesh.counters.links_closed.total() == 0
        change.through.remove("bank-3")
        async with change.calm:
            await lab.stop("bank-3")  # five of six remain
        await change.payments(3)


async def test_one_validator_becomes_four_and_one_again(tmp_path: Path) -> None:
    async with committees(tmp_path, validators=1, epoch_length=8) as change:
        lab = change.lab
        homes = FOUNDERS[1:]
        await join(change, {home: home for home in homes}, "nbkr")
        await lab.until(lambda: change.voters() == set(FOUNDERS), "all four")
        await lab.linked()
        change.through += homes
        await change.payments(12)
        async with change.calm:
            del change.through[1:]
        await change.order(*rows("nbkr"))
        await lab.until(lambda: change.voters() == {"nbkr"}, "one again")
        await lab.until(lambda: not any(votes(change, home) for home in homes), "they know")
        await lab.stop(*homes)
        await change.payments(3)


async def test_who_was_removed_may_come_back(tmp_path: Path) -> None:
    async with committees(tmp_path) as change:
        lab = change.lab
        change.through.remove("bank-3")
        await change.order(*rows(*FOUNDERS[:3]))
        await lab.until(lambda: not votes(change, "bank-3"), "it follows")
        await change.order(*rows(*FOUNDERS))
        await change.ready("bank-3")
        await lab.until(lambda: votes(change, "bank-3"), "it votes again")
        change.through.append("bank-3")
        await change.next_epoch()
        assert lab.nodes["bank-3"].driver.voting.votes.refused == 0


async def test_all_restart_where_the_committee_changes(tmp_path: Path) -> None:
    async with committees(tmp_path, epoch_length=6) as change:
        lab = change.lab
        for weight in (2, 3, 1):
            before = change.epoch()
            await change.order(listed("bank-1", weight=weight), *rows("nbkr", "bank-2", "bank-3"))
            async with change.calm:
                await change.first_to_begin(before + 1)
                await lab.stop(*lab.names)  # some have begun the epoch, some have not
                await lab.start(*lab.names)
                await change.begun(before + 1)
            assert {node.driver.core.committee.total for node in lab.nodes.values()} == {3 + weight}
        assert all(node.driver.voting.votes.refused == 0 for node in lab.nodes.values())


async def test_who_was_away_while_all_others_got_new_keys_comes_back_by_one_pinned_peer(tmp_path: Path) -> None:
    """Its own committee has nobody left whom it could ask: it follows the chain over committees that it never knew."""
    async with committees(tmp_path, epoch_length=8) as change:
        lab = change.lab
        async with change.calm:
            change.through = ["nbkr", "nbkr-new"]
            await lab.stop("bank-3")
        olds = FOUNDERS[:3]
        await join(change, {f"{name}-new": name for name in olds}, "bank-3")
        async with change.calm:
            change.through = ["nbkr-new"]
            await lab.stop(*olds)
        await change.next_epoch("nbkr-new")
        await change.next_epoch("nbkr-new")
        where = change.peer("nbkr-new", pinned=True)
        file = lab.directory / "bank-3" / "config.toml"
        file.write_text(format_config(replace(read_config(file.parent), peers=(where,))))
        away = change.epoch("nbkr-new")
        await lab.start("bank-3")
        late = lab.nodes["bank-3"]
        assert late.driver.core.epoch < away
        await lab.until(lambda: late.driver.core.epoch > away, "it has caught up")
        change.through.append("bank-3")
        await change.payments(4)
        assert late.driver.counters.invalid == late.driver.voting.votes.refused == 0
