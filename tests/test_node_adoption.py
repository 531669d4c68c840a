"""Decrees of peers: which are followed, which are not, whom one is blamed for; and a node in a term that is over."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consensus.crypto import SecretKey
from consensus.encoding import DecodeError, encode
from consensus.events import Finalize
from consensus.messages import Block, Hash
from network.wire import PeerId
from node.adoption import METHOD, Adoption
from node.decree import DecreeConflict, SignedDecree, TermBegins, decode_decree
from node.epochs import Epochs
from node.following import Following
from node.rpc.errors import NOT_A_VALIDATOR
from node.storage.decrees import keep_decree, read_decrees
from node.storage.store import Store
from tests.decree_lab import AUTHORITY, BANK, certified, decreed, header
from tests.driver_lab import Cluster, Seat
from tests.node_lab import make_lab
from tests.node_parts import PEERS, Wire, certify, chain_of, child, committee, genesis, key_at, make_store
from tests.test_node_members import grow
from tests.test_node_terms import BASE, chain_across, decree_at


def stands(block: Block, left: int = 2, bank: int = 2, **fields: object) -> SignedDecree:
    """Return a decree with a base, signed by so many founders and keys of the bank."""
    unsigned = decree_at(block, certificate=certify(block))
    decree = replace(unsigned.decree, authority=AUTHORITY, **fields)  # type: ignore[arg-type]

    def seals(keys: list[SecretKey]) -> tuple[tuple[bytes, bytes], ...]:
        return tuple(sorted((bytes(key.public), bytes(key.sign(decree.digest))) for key in keys))

    return replace(
        unsigned, decree=decree, bank=seals(BANK[:bank]), validators=seals([key_at(index) for index in range(left)])
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = make_store(tmp_path)
    yield store
    store.close()


class Home:
    """A node that has a chain up to the base of a decree, or not so far, and one peer."""

    def __init__(self, home: Path, store: Store, *followed: SignedDecree) -> None:
        self.home = home
        self.wire = Wire(PEERS[:1])
        epochs = Epochs(genesis(), store, followed)

        def known(epoch: int) -> object:
            members = epochs.members(epoch)
            return None if members is None else members.committee

        self.adoption = Adoption(home, genesis().hash, epochs, store, self.wire, known)  # type: ignore[arg-type]

    def shown(self, data: bytes) -> None:
        self.wire.answers[PEERS[0]] = lambda method, _: data if method == METHOD else b""

    async def ask(self) -> None:
        await self.adoption.on_later_term(PEERS[0])

    @property
    def kept(self) -> list[bytes]:
        return read_decrees(self.home)


async def test_a_decree_that_stands_is_kept_and_followed_from_the_next_life_on(tmp_path: Path, store: Store) -> None:
    """R65: whoever shows it."""
    blocks, _ = chain_across(BASE)
    for height in (BASE - 2, BASE):
        grow(store, blocks[: height + 1])
        home = Home(tmp_path / f"home-{height}", store)
        one = stands(blocks[BASE])
        home.shown(one.encoded)
        with pytest.raises(TermBegins):
            await home.ask()
        assert home.kept == [one.encoded]
        assert home.wire.blamed == []


async def test_a_short_decree_is_not_followed_and_nobody_is_blamed(tmp_path: Path, store: Store) -> None:
    """R63: a person has to accept it."""
    blocks, _ = chain_across(BASE)
    grow(store, blocks)
    home = Home(tmp_path, store)
    home.shown(stands(blocks[BASE], left=1).encoded)
    await home.ask()
    assert home.kept == []
    assert home.wire.blamed == []


async def test_a_decree_of_a_committee_that_is_not_known_yet_waits(tmp_path: Path, store: Store) -> None:
    home = Home(tmp_path, store)
    blocks, _ = chain_across(BASE)
    home.shown(stands(blocks[BASE]).encoded)
    await home.ask()
    assert home.kept == []
    assert home.wire.blamed == []


@pytest.mark.parametrize("what", ["junk", "bank", "signature", "term", "nothing"])
async def test_whoever_shows_what_is_no_decree_is_blamed(tmp_path: Path, store: Store, what: str) -> None:
    blocks, _ = chain_across(BASE)
    grow(store, blocks)
    home = Home(tmp_path, store)
    good = stands(blocks[BASE])
    shown = {
        "junk": b"junk",
        "bank": stands(blocks[BASE], bank=1).encoded,
        "signature": replace(good, validators=stands(blocks[BASE], reason="x").validators).encoded,
        "term": stands(blocks[BASE], term=2).encoded,
        "nothing": b"",
    }
    home.shown(shown[what])
    await home.ask()
    assert home.kept == []
    assert bool(home.wire.blamed) is (what != "nothing")


async def test_a_decree_that_leaves_out_what_is_final_here_ends_the_node(tmp_path: Path, store: Store) -> None:
    """R63: everything is kept, and people look."""
    blocks, _ = chain_across(BASE)
    grow(store, [*blocks, child(blocks[BASE])])
    home = Home(tmp_path, store)
    home.shown(stands(blocks[BASE]).encoded)
    with pytest.raises(DecreeConflict):
        await home.ask()
    assert home.kept == []


async def test_a_peer_with_another_decree_of_our_term_that_stands_ends_the_node(tmp_path: Path, store: Store) -> None:
    """R63: of two decrees nobody follows the second."""
    blocks, _ = chain_across(BASE)
    grow(store, blocks)
    ours, theirs = stands(blocks[BASE]), stands(blocks[BASE], reason="another")
    home = Home(tmp_path, store, ours)
    for shown in (ours, stands(blocks[BASE], left=1, reason="another")):
        home.shown(shown.encoded)
        await home.adoption._ask(PEERS[0], 1)
    home.shown(theirs.encoded)
    with pytest.raises(DecreeConflict, match="two decrees"):
        await home.adoption._ask(PEERS[0], 1)


def test_decrees_are_shown_by_their_term(tmp_path: Path, store: Store) -> None:
    blocks, _ = chain_across(BASE)
    one = stands(blocks[BASE])
    home = Home(tmp_path, store, one)
    assert decode_decree(home.adoption.serve(encode((1,)))) == one
    assert home.adoption.serve(encode((2,))) == b""
    for junk in (b"", b"x", encode((0,)), encode((1_001,)), encode((1, 1))):
        with pytest.raises(DecodeError):
            home.adoption.serve(junk)
    keep_decree(tmp_path, 1, one.encoded)


# --- in a term that is over ---


class Fetching:
    """Notes which blocks are asked for."""

    def __init__(self, asked: list[bytes]) -> None:
        self.asked = asked

    def fetch_block(self, block_hash: Hash, _: tuple[PeerId, ...]) -> None:
        self.asked.append(block_hash)

    def committed(self) -> None:
        pass


def seat(tmp_path: Path, decree: SignedDecree) -> Seat:
    cluster = Cluster(tmp_path)
    found = cluster.seats[0]
    found.decrees = (decree,)
    found.open()
    return found


def test_nobody_votes_in_a_term_that_a_decree_has_ended(tmp_path: Path) -> None:
    """R64: also a validator that has not closed its guard, and learned of the decree from a peer."""
    one = seat(tmp_path, stands(chain_of(BASE)[BASE]))
    assert one.driver.core.me is None
    assert committee(0).index(key_at(0).public) is not None
    one.close()


async def test_a_final_block_that_the_decree_leaves_out_ends_the_node(tmp_path: Path) -> None:
    blocks = chain_of(2)
    one = seat(tmp_path, stands(child(blocks[1], timestamp_ms=blocks[2].header.timestamp_ms + 1)))
    one.driver._finalize(Finalize((blocks[1],), certify(blocks[1])))
    with pytest.raises(DecreeConflict):
        one.driver._finalize(Finalize((blocks[2],), certify(blocks[2])))
    one.close()


def test_the_way_to_the_base_is_taken_once_whole_and_only_above_what_is_final(tmp_path: Path) -> None:
    """R65: block by block, down from the base, each known by the hash that the one above it names."""
    blocks = chain_of(4)
    one = seat(tmp_path, stands(blocks[4]))
    asked: list[bytes] = []
    following = Following(one.epochs, one.store, one.pool, one.executor, lambda: Fetching(asked), 100)
    core = one.driver.core
    assert following.way(core, 0) == []
    for number, block in enumerate(reversed(blocks[1:]), 1):
        following.take(child(blocks[0], timestamp_ms=10**12), core)  # nobody wants it
        following.take(block, core)
        found = following.way(core, number * 100)
        assert (found == blocks[1:]) is (number == 4)
    assert asked == [block.hash for block in reversed(blocks[1:])]
    assert following.way(core, 1_000) == [], "once"
    one.close()


def test_a_base_beside_what_is_final_here_ends_the_node(tmp_path: Path) -> None:
    blocks = chain_of(1)
    beside = child(replace(blocks[0], hash=blocks[1].hash))
    one = seat(tmp_path, stands(beside))
    following = Following(one.epochs, one.store, one.pool, one.executor, lambda: Fetching([]), 100)
    following.take(beside, one.driver.core)
    with pytest.raises(DecreeConflict, match="not above"):
        following.way(one.driver.core, 0)
    one.close()


async def test_a_validator_whose_term_is_over_makes_no_block_and_turns_transactions_away(tmp_path: Path) -> None:
    """R64: a client asks elsewhere, or again when the new term has begun."""
    lab = make_lab(tmp_path, 1)
    (name,) = lab.names
    head = header(50, genesis_hash=Hash(lab.genesis.hash))
    unsigned = decreed(head, certified(head))
    over = replace(unsigned, decree=replace(unsigned.decree, genesis_hash=lab.genesis.hash))
    keep_decree(lab.directory / name, 1, over.encoded)
    try:
        await lab.start(name)
        (answer,) = await lab.submit(name, lab.issue())
        assert answer.code == NOT_A_VALIDATOR.code
        assert lab.nodes[name].driver.core.me is None
        assert lab.nodes[name].store.tip.height == 0
    finally:
        await lab.stop(*lab.running)
