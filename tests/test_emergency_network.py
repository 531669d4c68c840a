"""Real networks that lost half of their validators for good: a decree brings them back, and no payment is lost."""

import asyncio
import shutil
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

import node.snapshot_fetch
import node.sync
from consensus.crypto import SecretKey
from devnet.generate import bank_account, seed_of
from node.adoption import Adoption
from node.archive import export, restore
from node.archive_verify import Invalid
from node.archive_verify import verify as verify_archive
from node.client.client import Client
from node.client.trust import Trust
from node.config import Peer, Snapshot
from node.config_text import format_config
from node.decree import DecreeConflict, SignedDecree
from node.home import open_decrees, read_config
from node.ledger.execute import genesis_changes
from node.shadow import replay
from node.storage.decrees import keep_decree
from node.storage.scratch import scratch
from node.storage.store import Store
from node.terms import TERM_EPOCHS, term_of
from tests.committee_lab import Committees, keys_of
from tests.emergency_lab import Lives, applied, ceremony, lose, seat, signed_by_bank
from tests.node_lab import Lab, make_lab

FRESH = ("fresh-1", "fresh-2")


@dataclass(frozen=True, slots=True)
class Brought:
    """A network after its ceremony: who is left and who is new run, and validate."""

    lab: Lab
    lives: Lives
    change: Committees
    signed: SignedDecree
    names: tuple[str, ...]

    async def higher(self, heights: int, *names: str) -> None:
        """Wait for so many more blocks of these nodes, or of all validators."""
        tip = max(self.lab.nodes[name].store.tip.height for name in self.names if name in self.lab.nodes)
        chosen = names or self.names
        await self.lives.until(
            lambda: all(self.lab.nodes[name].store.tip.height >= tip + heights for name in chosen), f"{tip + heights}"
        )

    async def pay(self) -> None:
        """Pay once more, and wait until all validators have stored it."""
        one = self.lab.pension()
        await self.lab.accept(self.names[0], one)
        self.change.paid.append(one)
        await self.lives.until(
            lambda: all(self.lab.nodes[name].store.transaction(one.id) for name in self.names), "a payment"
        )

    def all_paid(self, *names: str) -> None:
        """Assert that nothing that was acknowledged is missing, on these nodes or on all validators."""
        for name in names or self.names:
            store = self.lab.nodes[name].store
            assert [each for each in self.change.paid if store.transaction(each.id) is None] == [], name


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.sync, "QUIET_SECONDS", 0.5)
    monkeypatch.setattr(node.snapshot_fetch, "LISTEN_SECONDS", 0.3)


@asynccontextmanager
async def brought_back(
    directory: Path, snapshots: Snapshot | None = None, keep: tuple[str, ...] = ()
) -> AsyncIterator[Brought]:
    """Run a network of four that pays; destroy two under load; hold the ceremony with the others and two new ones.

    ``keep``: whose home is set aside before it is destroyed, as `NAME.kept`.
    """
    lab = make_lab(directory, epoch_length=10)
    lives = Lives(lab)
    lost, left = lab.names[2:], lab.names[:2]
    try:
        await lab.start(*lab.names)
        await lab.linked()
        await lab.fund()
        change = Committees(lab)
        change.paying = asyncio.create_task(change.pay())
        await change.payments(20)
        await lab.stop(*lost)
        change.paying.cancel()
        with suppress(asyncio.CancelledError):
            await change.paying
        await lab.stop(*left)
        for name in keep:
            shutil.copytree(directory / name, directory / f"{name}.kept", ignore=shutil.ignore_patterns("*.sock"))
        lose(lab, *lost)
        addresses = {name: change.add_home(name) for name in FRESH}
        seats = [*(seat(name) for name in left), *(seat(name, address=addresses[name]) for name in FRESH)]
        signed = ceremony(lab, left, seats)
        for name in left:
            assert applied(lab, name, signed)
        for name in FRESH:
            assert applied(lab, name, signed, signed.decree.digest)
        if snapshots is not None:
            for name in (*left, *FRESH):
                settings(lab, name, snapshot=snapshots)
        change.through = list(left)
        await lives.start(*left, *FRESH)
        brought = Brought(lab, lives, change, signed, (*left, *FRESH))
        await lives.until(
            lambda: all(lab.nodes[name].store.tip.height >= signed.decree.base_height + 12 for name in brought.names),
            "the chain goes on",
        )
        yield brought
        lab.alive()
    finally:
        await lab.stop(*lab.running)


def settings(lab: Lab, name: str, **changes: object) -> None:
    home = lab.directory / name
    config = msgspec.structs.replace(read_config(home), **changes)
    (home / "config.toml").write_text(format_config(config))


async def test_with_two_of_four_lost_for_good_a_decree_brings_the_chain_back_and_no_payment_is_lost(
    tmp_path: Path,
) -> None:
    async with brought_back(tmp_path) as brought:
        lab, base = brought.lab, brought.signed.decree.base_height
        assert all(lab.nodes[name].driver.core.epoch > TERM_EPOCHS for name in brought.names)
        brought.all_paid()
        # All four are needed: three of four are a quorum, and one may go again.
        await brought.lives.until(lambda: not any(lab.nodes[name].driver.voting.fenced for name in brought.names), "")
        await brought.pay()
        await lab.stop(brought.names[0])
        await brought.higher(15, *brought.names[1:])
        await brought.lives.start(brought.names[0])
        await brought.higher(3)
        brought.all_paid()
        assert lab.same_chain() > base + 20
        # The state has the seats of the decree, and what a client asks says the same.
        names = [row.name for row in lab.nodes[brought.names[0]].ledger.roster]
        assert names == sorted(brought.names)


async def test_a_client_with_only_the_genesis_and_one_that_was_there_before_verify_what_is_proven_after_a_decree(
    tmp_path: Path,
) -> None:
    async with brought_back(tmp_path) as brought:
        await brought.pay()
        url = f"http://127.0.0.1:{brought.lab.nodes[brought.names[0]].rpc.port}"
        trust = Trust.of(brought.lab.genesis)
        async with Client([url], trust=trust) as client:
            for payment in (brought.change.paid[0], brought.change.paid[-1]):  # from before, and from after
                proven = await client.prove_transaction(payment.id)
                assert proven.receipt.applied
            account = await client.prove_account(bank_account(1))
            assert account.account is not None
            unheard = account.account.balance() - 1_00 * len(brought.change.paid)
            assert unheard in (0, 1_00), "what was under way when two burnt down is final or not"
            page = await client.committees(0)
            assert [change.decree is not None for change in page.changes] == [True]
            assert trust.after(page.changes[0]).decrees == (brought.signed.decree,)


async def test_a_node_that_is_new_joins_by_blocks_across_a_decree(tmp_path: Path) -> None:
    async with brought_back(tmp_path) as brought:
        lab, lives = brought.lab, brought.lives
        await joins(brought, "late", Snapshot(every=0, keep=1, fetch_behind=0))
        assert lives.begun["late"] >= 1, "it learned of the decree"
        assert lab.nodes["late"].store.base() == 0
        brought.all_paid("late")
        lab.same_chain()


async def test_a_node_that_is_new_joins_by_a_snapshot_made_after_a_decree(tmp_path: Path) -> None:
    async with brought_back(tmp_path, Snapshot(every=8, keep=2, fetch_behind=0)) as brought:
        lab = brought.lab
        await brought.lives.until(
            lambda: all(
                lab.nodes[name].snapshots.heights()[-1:] > [brought.signed.decree.base_height] for name in brought.names
            ),
            "snapshots",
        )
        await joins(brought, "late", Snapshot(every=0, keep=1, fetch_behind=8))
        late = lab.nodes["late"]
        assert late.store.base() > brought.signed.decree.base_height
        assert [each.decree for each in late.epochs.decrees] == [brought.signed.decree]
        height = late.store.tip.height
        for name in brought.names:
            await lab.height(height, name)
            assert lab.nodes[name].store.roots(height) == late.store.roots(height)


async def joins(brought: Brought, name: str, snapshot: Snapshot) -> None:
    """Start an observer at genesis, whom two validators let link, and wait until it is where they are."""
    lab, lives = brought.lab, brought.lives
    peers = [brought.change.peer(each, pinned=True) for each in brought.names[:2]]
    brought.change.add_home(name, peers=peers)
    settings(lab, name, snapshot=snapshot)
    await lab.stop(*brought.names[:2])
    for each in brought.names[:2]:
        config = read_config(lab.directory / each)
        settings(lab, each, peers=(*config.peers, pinned(lab, name)))
    await lives.start(*brought.names[:2])
    await lives.start(name)
    await brought.higher(5, *brought.names, name)


def pinned(lab: Lab, name: str) -> Peer:
    """Return how a validator lets an observer in."""
    listen = read_config(lab.directory / name).listen
    return Peer(name, listen.host, listen.port, keys_of(name).node_key.hex())


async def test_a_lost_validator_that_comes_back_with_its_old_data_follows_and_never_votes(tmp_path: Path) -> None:
    name = "bank-2"
    async with brought_back(tmp_path, keep=(name,)) as brought:
        lab, lives = brought.lab, brought.lives
        assert name in lab.names[2:]
        (tmp_path / f"{name}.kept").rename(tmp_path / name)
        settings(lab, name, peers=tuple(brought.change.peer(each, pinned=True) for each in brought.names[:2]))
        # Alone it stands: nobody lets it link, and its votes are of a term that is over.
        await lives.start(name)
        tip = lab.nodes[name].store.tip.height
        await brought.higher(10)
        assert lab.nodes[name].store.tip.height == tip
        assert tip <= brought.signed.decree.base_height
        await lab.stop(name)
        # Where its peers let it in as an observer, it follows them.
        await lab.stop(*brought.names[:2])
        for each in brought.names[:2]:
            config = read_config(lab.directory / each)
            others = tuple(peer for peer in config.peers if peer.name != name)
            settings(lab, each, peers=(*others, pinned(lab, name)))
        await lives.start(*brought.names[:2])
        await lives.start(name)
        await brought.higher(12, *brought.names, name)
        returned = lab.nodes[name]
        assert returned.driver.core.me is None
        assert term_of(returned.driver.core.epoch) == 1
        brought.all_paid(name)
        lab.same_chain()


async def test_an_archive_across_a_decree_is_verified_by_one_program_and_makes_a_home_and_can_be_shadowed(
    tmp_path: Path,
) -> None:
    async with brought_back(tmp_path) as brought:
        lab, base = brought.lab, brought.signed.decree.base_height
        await brought.higher(10)
        name = brought.names[0]
        await lab.stop(name)
        home, genesis = tmp_path / name, lab.genesis
        store = Store.open(home / "data" / "store", genesis.hash)
        decrees = open_decrees(home, genesis)
        with closing(store):
            last = 0
            for first in (1, base - 2, base + 1, base + 5):
                folder = tmp_path / f"archive-{first}"
                *_, last = export(store, genesis, folder, first, store.tip.height, 1_500, decrees)
                assert last > base + 10
                assert verify_archive(genesis.hash, str(folder)).height == last
            deque(export(store, genesis, tmp_path / "none", 1, store.tip.height), maxlen=0)
            with pytest.raises(Invalid):
                verify_archive(genesis.hash, str(tmp_path / "none"))
            without = {
                "too few validators": replace(decrees[0], validators=()),
                "the bank's threshold": replace(decrees[0], bank=()),
            }
            for why, few in without.items():
                deque(export(store, genesis, tmp_path / why, base - 2, store.tip.height, decrees=[few]), maxlen=0)
                with pytest.raises(Invalid, match=why):
                    verify_archive(genesis.hash, str(tmp_path / why))
            digest = frozenset((decrees[0].decree.digest,))
            assert verify_archive(genesis.hash, str(tmp_path / "too few validators"), digest).height == last
            with scratch(genesis_changes(genesis)) as state:
                assert replay(store, genesis, state, 1, True, lambda _: None, decrees).height == store.tip.height
        brought.change.add_home("anew")
        anew = Store.open(tmp_path / "anew" / "data" / "store", genesis.hash)
        with closing(anew):
            keep = partial(keep_decree, tmp_path / "anew")
            deque(restore(anew, genesis, tmp_path / "archive-1", (), keep), maxlen=0)
            assert anew.tip.height == last
            assert open_decrees(tmp_path / "anew", genesis) == decrees
        await brought.lives.start(name)


async def test_a_node_that_follows_another_decree_of_the_same_term_is_found_out(tmp_path: Path) -> None:
    async with brought_back(tmp_path) as brought:
        lab = brought.lab
        adoption: Adoption = lab.nodes[brought.names[0]].adoption
        with pytest.raises(DecreeConflict, match="two decrees of term 1"):
            adoption._take(await other_decree(brought), 1)


async def other_decree(brought: Brought) -> SignedDecree:
    """Return a second decree of the term that stands as well: more were faulty than may be."""
    other = replace(brought.signed, decree=replace(brought.signed.decree, reason="another"), bank=(), validators=())
    keys = [SecretKey(seed_of(f"{name}-consensus")) for name in brought.names[:2]]
    made = tuple(sorted((bytes(key.public), bytes(key.sign(other.decree.digest))) for key in keys))
    return replace(signed_by_bank(other), validators=made)
