"""Which protocol version an epoch has, and who does not know it stands still: node/epochs.py, node/upgrades.py."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from consensus.events import BlocksSynced, Started
from consensus.messages import Certificate, Hash, Kind
from devnet.generate import CENTRAL_BANK, key_of
from node.config import Config, ConfigError, Protocol
from node.config_text import format_config
from node.epochs import Epochs
from node.executor import Diverged
from node.home import read_config
from node.ledger.execute import genesis_changes
from node.ledger.param import SetParameter
from node.ledger.parameters import record_hash
from node.ledger.state import parameter_key
from node.ledger.versions import NEWEST, OLDEST
from node.rpc.errors import NOT_A_VALIDATOR
from node.shadow import replay
from node.storage import schema
from node.storage.scratch import scratch
from node.storage.store import Store
from node.upgrades import VersionUnknown, supported_versions
from tests.driver_lab import Cluster, Seat
from tests.node_lab import Lab, make_lab
from tests.node_parts import EPOCH_LENGTH, block_zero, certify, chain_of, child, genesis, make_store

OLD, NEW = 1, 2
HELD_BACK = ("bank-2", "bank-3")


def config(supported_max: int) -> Config:
    return Config(name="nbkr", protocol=Protocol(supported_max))


def test_a_node_takes_part_in_all_versions_that_its_software_knows_unless_it_is_held_back() -> None:
    assert supported_versions(config(0)) == range(OLDEST, NEWEST + 1)
    assert supported_versions(config(OLD)) == range(OLDEST, OLD + 1)
    with pytest.raises(ConfigError, match=f"knows versions {OLDEST} to {NEWEST}"):
        supported_versions(config(NEWEST + 1))


# --- which version an epoch has ---


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = make_store(tmp_path, chain_of(2 * EPOCH_LENGTH)[1:])
    yield store
    store.close()


def demanded(store: Store, **versions: int) -> None:
    """Write which versions heights demand, as ``h0=1, h3=2``."""
    store._write([(schema.version_key(int(name[1:])), schema.number(each)) for name, each in versions.items()])


def version_of(store: Store, epoch: int) -> int:
    members = Epochs(genesis(), store).members(epoch)
    assert members is not None
    return members.version


def test_an_epoch_has_the_version_demanded_at_the_height_that_the_last_block_before_names(store: Store) -> None:
    """R60: as its committee. All blocks of ``chain_of`` name height 0 as executed."""
    assert (version_of(store, 1), version_of(store, 2)) == (NEWEST, NEWEST)
    demanded(store, h0=NEWEST + 1)
    assert (version_of(store, 1), version_of(store, 2)) == (NEWEST + 1, NEWEST + 1)
    demanded(store, h0=NEWEST, h1=NEWEST + 1)
    assert (version_of(store, 1), version_of(store, 2)) == (NEWEST, NEWEST)


def test_a_demand_that_was_taken_back_too_late_lets_no_version_fall(store: Store) -> None:
    """R60"""
    demanded(store, h0=NEWEST - 1)
    assert version_of(store, 1) == NEWEST, "the blocks before are of that version"


def test_a_start_between_two_epochs_begins_the_one_that_it_knows(store: Store) -> None:
    """R61"""
    epochs = Epochs(genesis(), store)
    assert (epochs.at_start(range(1, NEWEST + 1)).epoch, epochs.after_height(store.tip.height)) == (2, 2)
    demanded(store, h0=NEWEST + 1)
    epochs = Epochs(genesis(), store)
    assert epochs.at_start(range(1, NEWEST + 2)).epoch == 2
    with pytest.raises(VersionUnknown, match=f"needs protocol version {NEWEST + 1}"):
        epochs.at_start(range(1, NEWEST + 1))  # epoch 1 would have it too


def test_a_start_in_the_middle_of_an_epoch_of_an_unknown_version_is_refused(tmp_path: Path) -> None:
    for heights in (0, 1, EPOCH_LENGTH + 1):
        store = make_store(tmp_path / str(heights), chain_of(heights)[1:])
        with pytest.raises(VersionUnknown, match=f"height {heights} needs protocol version {NEWEST}"):
            Epochs(genesis(), store).at_start(range(1, NEWEST))
        store.close()


# --- one driver ---


@pytest.fixture
async def seat(tmp_path: Path) -> AsyncIterator[Seat]:
    seat = Cluster(tmp_path).seats[1]
    seat.open()
    seat.driver._step(Started())
    yield seat
    seat.close()


async def test_a_final_block_of_another_version_than_our_state_has_stops_the_node(seat: Seat) -> None:
    """R60: a quorum signed it, so one of us has executed wrongly."""
    block = child(block_zero(), version=NEWEST + 1)
    with pytest.raises(Diverged, match="another protocol version"):
        seat.driver._step(BlocksSynced((block,), certify(block)))


async def test_who_does_not_know_the_next_version_stands_still_and_blames_nobody(seat: Seat) -> None:
    """R61: it sees that the epoch is over, begins no other, and reads what it cannot judge as nobody's fault."""
    stood: list[int] = []
    driver = seat.driver
    driver._on_standstill = lambda: stood.append(1)
    demanded(seat.store, h0=NEWEST + 1)
    peer = seat.cluster.seats[2].peer
    driver.on_message(peer, b"\x93future")
    take_all(seat)
    assert len(seat.cluster.blamed) == 1, "as long as it goes on, bytes that nobody can read are a fault"
    blocks = chain_of(EPOCH_LENGTH)
    driver._step(BlocksSynced(tuple(blocks[1:]), certify(blocks[-1])))
    for _ in range(3):
        driver._begin_next_epoch()
    assert (driver.unknown_version, driver.core.epoch, driver.core.ended, stood) == (NEWEST + 1, 0, True, [1])
    driver.on_message(peer, b"\x93future")
    take_all(seat)
    assert (len(seat.cluster.blamed), driver.counters.invalid) == (1, 2)


def take_all(seat: Seat) -> None:
    while seat.driver._inbox:
        seat.driver._take_next()


# --- a network ---


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Run four nodes under version 1, of which two know no more."""
    lab = make_lab(tmp_path, epoch_length=8, version=OLD)
    for name in HELD_BACK:
        hold_back(lab, name, OLD)
    try:
        await lab.start(*lab.names)
        await lab.linked()
        await lab.fund()
        yield lab
        lab.alive()
    finally:
        await lab.stop(*lab.running)


def hold_back(lab: Lab, name: str, version: int) -> None:
    home = lab.directory / name
    (home / "config.toml").write_text(format_config(replace(read_config(home), protocol=Protocol(version))))


async def upgrade(lab: Lab, name: str) -> None:
    await lab.stop(name)
    hold_back(lab, name, 0)
    await lab.start(name)


async def demand(lab: Lab, version: int) -> None:
    row = lab.nodes["nbkr"].ledger.value(parameter_key("protocol_version"))
    assert row is not None
    operation = SetParameter(CENTRAL_BANK, "protocol_version", record_hash(row), version)
    board = [key_of("nbkr-board-1"), key_of("nbkr-board-2")]
    transaction = lab.transaction([operation], board, CENTRAL_BANK)
    await lab.accept("nbkr", transaction)
    await lab.until(lambda: lab.nodes["nbkr"].store.transaction(transaction.id), "the demand")
    assert lab.nodes["nbkr"].ledger.parameters.protocol_version == version


async def pay(lab: Lab) -> None:
    while True:
        (answer,) = await lab.submit("nbkr", lab.pension())
        assert answer.code == 0
        await asyncio.sleep(0.02)


async def test_old_nodes_stand_still_at_the_boundary_and_go_on_when_they_are_upgraded(lab: Lab) -> None:
    """R60, R61: with two of four the chain waits, with one it goes on."""
    await demand(lab, NEW)
    paying = asyncio.create_task(pay(lab))
    old = [lab.nodes[name] for name in HELD_BACK]
    await lab.until(lambda: all(node.driver.unknown_version == NEW for node in old), "they stand")
    boundary = old[0].driver.core.committed.header.height
    await lab.height(boundary)
    assert boundary % 8 == 0
    await lab.until(lambda: {lab.nodes[name].driver.members.version for name in ("nbkr", "bank-1")} == {NEW})
    later = lab.nodes["nbkr"].driver.core.epoch

    for node in old:
        status = node.service.status()
        assert (status.version, status.next_version, status.supported_max, status.ready) == (OLD, NEW, OLD, False)
        assert status.reasons[0] == "the next protocol version is unknown to this node"
        assert node.driver.core.ended
        assert node._committee_of(later) is None, "no evidence of that epoch is judged"
        certificate = Certificate(Kind.NULLIFY, later, 1, Hash(bytes(32)), ())
        assert node._certificate_valid(certificate) is None, "and no certificate"
        node.dissemination.on_message(lab.nodes["nbkr"].mesh.identity.peer, b"of the future")  # and no batch
        (answer,) = await lab.submit(node.config.name, lab.pension())
        assert answer.code == NOT_A_VALIDATOR.code
        assert not [peer for peer in node.mesh.peers() if peer.score]
    assert {node.store.tip.height for node in lab.nodes.values()} == {boundary}, "the chain waits for a quorum"
    known = {node.config.name: node.links.versions for node in lab.nodes.values()}
    peers = {name: lab.nodes[name].mesh.identity.peer for name in lab.names}
    assert [known["nbkr"][peers[name]] for name in ("bank-1", *HELD_BACK)] == [NEW, OLD, OLD]

    await upgrade(lab, "bank-2")
    await lab.height(boundary + 10, "nbkr", "bank-1", "bank-2")
    await upgrade(lab, "bank-3")
    await lab.height(boundary + 12)
    paying.cancel()
    await asyncio.wait((paying,))
    assert {node.driver.members.version for node in lab.nodes.values()} == {NEW}
    lab.same_chain()
    with scratch(genesis_changes(lab.genesis)) as state:  # over epochs of both versions
        done = replay(lab.nodes["bank-3"].store, lab.genesis, state, 0, True, lambda height: None)
    assert done.height >= boundary + 12


async def test_an_old_node_that_restarts_stands_where_it_stood(lab: Lab) -> None:
    """R61"""
    await upgrade(lab, "bank-2")
    await demand(lab, NEW)
    paying = asyncio.create_task(pay(lab))
    await lab.until(lambda: lab.nodes["bank-3"].driver.unknown_version == NEW, "it stands")
    await lab.until(lambda: lab.nodes["bank-3"].executor.queued() == 0)
    height = lab.nodes["bank-3"].store.tip.height
    await lab.stop("bank-3")
    await lab.start("bank-3")
    await lab.until(lambda: lab.nodes["bank-3"].driver.unknown_version == NEW, "it stands again")
    await lab.height(height + 10, "nbkr")
    assert (lab.nodes["bank-3"].store.tip.height, lab.nodes["bank-3"].driver.core.ended) == (height, True)
    paying.cancel()
    await asyncio.wait((paying,))
