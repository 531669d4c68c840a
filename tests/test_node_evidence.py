"""node/evidence.py, node/evidence_pool.py: proofs that convince strangers, name nobody honest, and reach everybody."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

import node.evidence_pool
from consensus.committee import Committee
from consensus.crypto import SIGNATURE_BYTES, PublicKey, Signature
from consensus.encoding import DecodeError, encode
from consensus.events import Evidence, ProposalRefused
from consensus.evidence import InvalidBlock, make_evidence
from consensus.messages import NO_HASH, Block, Hash, Kind, Vote, vote_statement
from network.wire import PeerId
from node.batches import (
    Batch,
    BatchDigest,
    decode_transactions,
    encode_batch_message,
    encode_payload,
    make_batch,
    names_in,
)
from node.evidence import (
    Charge,
    InvalidBatch,
    InvalidPayload,
    Network,
    Proof,
    decode_proof,
    encode_proof,
    epoch_of,
    evidence_id,
    from_proposal,
    kind_of,
    transaction_good,
    verify_proof,
)
from node.evidence import Kind as Offence
from node.evidence_pool import (
    KIND_MAX,
    METHOD,
    TOLD_MAX,
    EvidencePool,
    Piece,
    decode_pieces,
    encode_pieces,
)
from node.storage.store import Store
from node.sync import RequestFailed
from tests.node_parts import (
    EPOCH_LENGTH,
    PEERS,
    batch_of,
    block_zero,
    child,
    committee,
    eventually,
    genesis,
    key_at,
    make_store,
    members,
    passes,
    pay,
    running,
)
from tests.test_node_checks import spoilt
from tests.test_node_dissemination import ME, Room, at_work

LIAR = 1
NETWORK = Network(genesis().hash, EPOCH_LENGTH, lambda epoch: committee(epoch) if epoch < 2 else None)
LIARS_KEY = committee().validators[LIAR].public_key
_sequences = count(1)


def vote(kind: Kind, named: Hash, view: int = 1, signer: int = LIAR, epoch: int = 0) -> Vote:
    statement = vote_statement(genesis().hash, kind, epoch, view, named)
    return Vote(kind, epoch, view, named, signer, Signature(key_at(signer).sign(statement)))


def twice(view: int = 1, signer: int = LIAR, epoch: int = 0) -> Evidence:
    """Return evidence of two NOTARIZE."""
    first, second = (vote(Kind.NOTARIZE, Hash(fill * 32), view, signer, epoch) for fill in (b"1", b"2"))
    return make_evidence(first, second)


def leads(signer: int = LIAR) -> int:
    """Return a view that a validator leads in epoch 0."""
    return next(view for view in range(1, 9) if committee().leader(view) == signer)


def refused(block: Block, parent: Block, view: int | None = None) -> ProposalRefused:
    """Return what a core says of its leader's block."""
    at = block.header.view if view is None else view
    return ProposalRefused(vote(Kind.NOTARIZE, block.hash, at, committee().leader(at)), block, parent)


def wrong_block(**fields: Any) -> Block:
    """Return a block of the liar on block 0, with some fields as given."""
    return child(block_zero(), **({"view": leads(), "proposer": LIAR} | fields))


def bad_batch(author: int = LIAR, base_height: int = 0, at: int = 1) -> Batch:
    """Return a batch of three transactions, one of which has a bad signature."""
    raws = [pay().raw for _ in range(3)]
    raws[at] = spoilt(pay()).raw
    return make_batch(genesis().hash, key_at(author), next(_sequences), base_height, raws)


def not_a_payload() -> bytes:
    name = BatchDigest(b"n" * 32)
    return encode_payload([name, name])


BAD_PAYLOAD = wrong_block(payload=not_a_payload())
GUILTY: dict[Offence, Proof] = {
    Offence.CONFLICTING_VOTES: twice(),
    Offence.INVALID_BLOCK: from_proposal(refused(wrong_block(height=2), block_zero()), NETWORK),  # type: ignore[dict-item]
    Offence.INVALID_PAYLOAD: from_proposal(refused(BAD_PAYLOAD, block_zero()), NETWORK),  # type: ignore[dict-item]
    Offence.INVALID_BATCH: InvalidBatch(bad_batch(), 1),
}


# --- proofs ---


@pytest.mark.parametrize("kind", Offence)
def test_each_kind_convicts_its_signer_and_comes_back_from_its_bytes(kind: Offence) -> None:
    """R45"""
    proof = GUILTY[kind]
    assert kind_of(proof) is kind
    assert verify_proof(proof, NETWORK) == Charge(kind, 0, LIARS_KEY)
    encoded = encode_proof(proof)
    assert encode_proof(decode_proof(encoded, genesis().hash)) == encoded
    assert verify_proof(decode_proof(encoded, genesis().hash), NETWORK) == Charge(kind, 0, LIARS_KEY)


@pytest.mark.parametrize("kind", Offence)
def test_every_single_byte_of_a_proof_counts(kind: Offence) -> None:
    """R45: whatever is changed, nobody is convicted. Of the long ones every byte of the head, and samples."""
    encoded = encode_proof(GUILTY[kind])
    places = [*range(min(len(encoded), 320)), *range(320, len(encoded), 7)]
    for place in places:
        for change in (1, 0x80):
            changed = bytearray(encoded)
            changed[place] ^= change
            try:
                proof = decode_proof(bytes(changed), genesis().hash)
            except DecodeError:
                continue
            assert verify_proof(proof, NETWORK) is None, place


@pytest.mark.parametrize("kind", Offence)
def test_proofs_of_another_network_or_of_strangers_convict_nobody(kind: Offence) -> None:
    """R2, R45"""
    proof = GUILTY[kind]
    others = Committee(0, [each for each in committee().validators if each.public_key != LIARS_KEY])
    for network in (
        Network(b"another network, another genesis", EPOCH_LENGTH, committee),
        Network(genesis().hash, EPOCH_LENGTH, lambda _: others),
        Network(genesis().hash, EPOCH_LENGTH, lambda _: None),
    ):
        assert verify_proof(proof, network) is None


@given(st.binary(max_size=200), st.sampled_from([*Offence, 9]))
def test_garbage_is_no_proof(data: bytes, kind: int) -> None:
    with pytest.raises(DecodeError):
        decode_proof(bytes((kind,)) + data, genesis().hash)


@given(st.data())
def test_changed_proofs_never_break_the_decoder(data: st.DataObject) -> None:
    encoded = bytearray(encode_proof(GUILTY[data.draw(st.sampled_from([*Offence]))]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(encoded) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                encoded[at] = data.draw(st.integers(0, 255))
            case 1:
                del encoded[at:]
            case _:
                encoded[at:at] = data.draw(st.binary(max_size=9))
        if not encoded:
            break
    try:
        proof = decode_proof(bytes(encoded), genesis().hash)
    except DecodeError:
        return
    assert encode_proof(proof) == bytes(encoded)
    if proof not in GUILTY.values():
        assert verify_proof(proof, NETWORK) is None


# --- what is proven, and what is not ---

WRONG = {
    "height": {"height": 2},
    "time": {"timestamp_ms": block_zero().header.timestamp_ms},
    "genesis": {"genesis_hash": Hash(b"g" * 32)},
    "epoch": {"epoch": 1},
    "proposer": {"proposer": 2},
    "parent's view": {"parent_view": 99},
    "committee": {"validators_hash": Hash(b"c" * 32)},
    "next committee": {"next_validators_hash": Hash(b"c" * 32)},
    "executed height": {"executed_height": 1},
}


@pytest.mark.parametrize("fields", WRONG.values(), ids=WRONG)
def test_a_header_that_no_honest_leader_makes_convicts(fields: dict[str, Any]) -> None:
    """R18, R45"""
    proof = from_proposal(refused(wrong_block(**fields), block_zero()), NETWORK)
    assert proof is not None
    assert verify_proof(proof, NETWORK) == Charge(Offence.INVALID_BLOCK, 0, LIARS_KEY)


HARMLESS = {
    "good": {},
    "a wrong root": {"state_root": Hash(b"r" * 32)},  # only who has the state can say
    "on another parent": {"parent_hash": Hash(b"p" * 32), "height": 5},  # whose header is not here
}


@pytest.mark.parametrize("fields", HARMLESS.values(), ids=HARMLESS)
def test_what_takes_more_than_bytes_to_see_is_no_evidence(fields: dict[str, Any]) -> None:
    """R45"""
    assert from_proposal(refused(wrong_block(**fields), block_zero()), NETWORK) is None


def test_an_epochs_last_block_that_is_proposed_again_is_no_evidence() -> None:
    """R45, R46: its header is of an earlier view, and its leader another."""
    old = wrong_block(height=2)
    later = old.header.view + len(committee())
    assert from_proposal(refused(old, block_zero(), later), NETWORK) is None
    assert verify_proof(replace(wrong_header(), vote=vote(Kind.NOTARIZE, old.hash, later)), NETWORK) is None


def test_only_the_leader_answers_for_a_block() -> None:
    """R45: who voted for it may have been misled; who led has made it."""
    proof = wrong_header()
    named = proof.vote.hash
    voter = next(index for index in range(4) if index != LIAR)
    assert verify_proof(replace(proof, vote=vote(Kind.NOTARIZE, named, leads(), voter)), NETWORK) is None
    assert verify_proof(replace(proof, vote=vote(Kind.FINALIZE, named, leads())), NETWORK) is None
    assert verify_proof(replace(proof, vote=vote(Kind.NULLIFY, NO_HASH, leads())), NETWORK) is None


def wrong_header() -> InvalidBlock:
    proof = GUILTY[Offence.INVALID_BLOCK]
    assert isinstance(proof, InvalidBlock)
    return proof


def test_a_good_payload_and_another_blocks_payload_convict_nobody() -> None:
    """R45"""
    proof = GUILTY[Offence.INVALID_PAYLOAD]
    assert isinstance(proof, InvalidPayload)
    assert verify_proof(replace(proof, payload=encode(("other",))), NETWORK) is None
    good = wrong_block(payload=encode_payload([BatchDigest(b"n" * 32)]))
    shown = InvalidPayload(vote(Kind.NOTARIZE, good.hash, leads()), good.header, good.payload)
    assert verify_proof(shown, NETWORK) is None


def test_only_a_bad_transaction_under_its_authors_signature_convicts() -> None:
    """R45"""
    batch = bad_batch()
    assert verify_proof(InvalidBatch(batch, 1), NETWORK) is not None
    assert verify_proof(InvalidBatch(batch, 0), NETWORK) is None, "that one is good"
    assert verify_proof(InvalidBatch(batch, 3), NETWORK) is None, "there is none"
    unsigned = replace(batch, signature=bytes(SIGNATURE_BYTES), encoded=bytes(64) + batch.encoded[64:])
    assert verify_proof(InvalidBatch(unsigned, 1), NETWORK) is None
    malformed = make_batch(genesis().hash, key_at(LIAR), 1, 0, [pay().raw, b"no transaction"])
    assert verify_proof(InvalidBatch(malformed, 1), NETWORK) is not None


def test_a_batch_is_judged_by_the_epoch_of_the_first_height_that_may_name_it() -> None:
    """R57"""
    heights = {0: 0, EPOCH_LENGTH - 1: 0, EPOCH_LENGTH: 1, 2 * EPOCH_LENGTH - 1: 1}
    for base_height, epoch in heights.items():
        proof = InvalidBatch(bad_batch(base_height=base_height), 1)
        assert epoch_of(proof, NETWORK) == epoch
        assert verify_proof(proof, NETWORK) == Charge(Offence.INVALID_BATCH, epoch, LIARS_KEY)
    assert verify_proof(InvalidBatch(bad_batch(base_height=2 * EPOCH_LENGTH), 1), NETWORK) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=1, max_size=8), st.integers(0, 9))
@settings(max_examples=50)
def test_no_batch_that_honest_code_makes_is_evidence(amounts: list[tuple[int, int]], index: int) -> None:
    """R45: also two with one sequence, which a clock that went back may cause."""
    for _ in range(2):
        raws = [pay(amount=1 + amount, salt=salt).raw for salt, amount in amounts]
        batch = make_batch(genesis().hash, key_at(LIAR), 7, 0, raws)
        assert verify_proof(InvalidBatch(batch, index), NETWORK) is None
        assert all(transaction_good(raw, genesis().hash) for raw in raws)


# --- the pool ---


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.evidence_pool, "TELL_SECONDS", 0.01)


class Ring:
    """Pools that are linked: what one sends is there at the next turn of the loop."""

    def __init__(self, directory: Path, size: int = 4) -> None:
        self.directory = directory
        self.pools: dict[PeerId, EvidencePool] = {}
        self.stores: dict[PeerId, Store] = {}
        self.blamed: list[tuple[PeerId, PeerId]] = []
        self.answers: dict[PeerId, Any] = {}  # instead of what its pool says
        self.sent = 0
        self.asked: list[tuple[PeerId, PeerId]] = []
        self.charges: dict[PeerId, list[Charge]] = {}
        self.accusations: list[Sequence[Vote]] = []
        self.peers = [PeerId(bytes([index]) * 32) for index in range(size)]
        self.known = 2  # epochs

    def open(self, peer: PeerId) -> EvidencePool:
        home = self.directory / peer.hex()[:2]
        fresh = not home.exists()
        self.stores[peer] = make_store(home) if fresh else Store.open(home / "data" / "store", genesis().hash)
        self.charges[peer] = []
        network = Network(genesis().hash, EPOCH_LENGTH, lambda epoch: committee(epoch) if epoch < self.known else None)
        me = committee().validators[0].public_key
        self.pools[peer] = EvidencePool(
            network, me, self.stores[peer], _End(self, peer), self.charges[peer].append, self.accusations.append
        )
        self.pools[peer].load()
        return self.pools[peer]

    def link(self, peer: PeerId) -> None:
        """Link a pool with all others."""
        for other in self.pools:
            if other != peer:
                self.pools[other].on_connected(peer)
                self.pools[peer].on_connected(other)

    def close(self, peer: PeerId) -> None:
        del self.pools[peer]
        for pool in self.pools.values():
            pool.on_disconnected(peer)
        self.stores[peer].close()

    def held(self, peer: PeerId) -> set[bytes]:
        return {key for key, _ in self.stores[peer].evidence()}


class _End:
    """One pool's end of the ring."""

    def __init__(self, ring: Ring, me: PeerId) -> None:
        self.ring, self.me = ring, me

    def send_evidence(self, peer: PeerId, payload: bytes) -> None:
        self.ring.sent += 1
        asyncio.get_running_loop().call_soon(self._arrive, peer, payload)

    def _arrive(self, peer: PeerId, payload: bytes) -> None:
        if peer in self.ring.pools:
            self.ring.pools[peer].on_message(self.me, payload)

    def broadcast_evidence(self, payload: bytes) -> None:
        for peer in self.ring.pools:
            if peer != self.me:
                self.send_evidence(peer, payload)

    async def request(self, peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        assert method == METHOD
        self.ring.asked.append((self.me, peer))
        await asyncio.sleep(0)
        if peer in self.ring.answers:
            return await self.ring.answers[peer](payload)  # type: ignore[no-any-return]
        if peer not in self.ring.pools:
            raise RequestFailed("disconnected")
        return self.ring.pools[peer].serve(payload)

    def blame(self, peer: PeerId, points: int, reason: str) -> None:
        self.ring.blamed.append((self.me, peer))


@asynccontextmanager
async def ring(directory: Path, size: int = 4) -> AsyncIterator[Ring]:
    made = Ring(directory, size)
    async with AsyncExitStack() as resources:
        for peer in made.peers:
            await resources.enter_async_context(running(made.open(peer).run()))
        for peer in made.peers:
            made.link(peer)
        yield made
    for peer in list(made.pools):
        made.close(peer)


async def test_what_one_finds_all_hold_and_none_asks_twice(tmp_path: Path) -> None:
    """R58"""
    async with ring(tmp_path) as made:
        first, *rest = made.peers
        pool = made.pools[first]
        pool.take(twice())
        pool.take(refused(wrong_block(height=2), block_zero()))
        pool.take(refused(BAD_PAYLOAD, block_zero()))
        pool.take_batch(bad_batch(), 1)
        names = made.held(first)
        assert len(names) == 4
        await eventually(lambda: all(made.held(peer) == names for peer in made.peers))
        await eventually(lambda: not any(each._untold for each in made.pools.values()))
        await passes()
        assert len(made.asked) == 4 * len(rest), "each piece went once to each"
        assert made.blamed == []
        assert pool.counts() == dict.fromkeys(Offence, 1)
        quiet = made.sent
        await passes()
        assert made.sent == quiet, "no echo"


async def test_who_catches_up_tells_in_few_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R58: however much it learns, its peers' limits on the channel are kept."""
    monkeypatch.setattr(node.evidence_pool, "KIND_MAX", 100)
    monkeypatch.setattr(node.evidence_pool, "PAUSE_SECONDS", 0.0)
    async with ring(tmp_path, 3) as made:
        first, second, late = made.peers
        made.close(late)
        for view in range(1, 61):
            made.pools[first].take(twice(view))
        await eventually(lambda: len(made.held(second)) == 60)
        await eventually(lambda: not any(each._untold for each in made.pools.values()))
        monkeypatch.setattr(node.evidence_pool, "TELL_SECONDS", 1.0)
        sent = made.sent
        async with running(made.open(late).run()):
            made.link(late)
            await eventually(lambda: len(made.held(late)) == 60)
            await eventually(lambda: not made.pools[late]._untold)
        assert made.sent - sent <= 2 + 2 * 20, "two that told it, and less than a third of its 60 pieces to each of two"


async def test_who_is_accused_itself_says_so_now_and_after_every_start(tmp_path: Path) -> None:
    """R58: its operator must act."""
    async with ring(tmp_path, 2) as made:
        first, second = made.peers
        with capture_logs() as lines:
            made.pools[first].take(twice(signer=ME))
        assert [line["event"] for line in lines] == ["accused", "evidence"]
        assert {line["log_level"] for line in lines} == {"error"}
        await eventually(lambda: made.held(second))
        made.close(first)
        with capture_logs() as lines:
            made.open(first)
        assert [line["event"] for line in lines] == ["accused"]


async def test_what_an_older_version_stored_is_passed_over(tmp_path: Path) -> None:
    made = Ring(tmp_path, 1)
    (me,) = made.peers
    made.open(me).take(twice())
    made.stores[me].put_evidence(b"x" * 32, b"of another form")
    made.close(me)
    assert made.open(me).counts().total() == 1
    made.close(me)


async def test_who_lied_since_an_epoch_is_remembered_by_kind(tmp_path: Path) -> None:
    """R59"""
    made = Ring(tmp_path, 1)
    pool = made.open(made.peers[0])
    pool.take_batch(bad_batch(base_height=EPOCH_LENGTH), 1)
    pool.take_batch(bad_batch(author=2), 1)
    pool.take(twice(signer=3, epoch=1))
    second = committee().validators[2].public_key
    assert set(pool.accused(Offence.INVALID_BATCH, 0)) == {LIARS_KEY, second}
    assert pool.accused(Offence.INVALID_BATCH, 1) == [LIARS_KEY]
    assert pool.accused(Offence.INVALID_BATCH, 2) == []
    made.close(made.peers[0])


async def test_what_proves_nothing_is_not_kept(tmp_path: Path) -> None:
    """R58: the pool believes not even its own node."""
    async with ring(tmp_path, 2) as made:
        pool = made.pools[made.peers[0]]
        pool.take(refused(wrong_block(), block_zero()))
        pool.take(Evidence(vote(Kind.NOTARIZE, Hash(b"1" * 32)), vote(Kind.NULLIFY, NO_HASH)))
        pool.take_batch(bad_batch(), 0)
        assert made.held(made.peers[0]) == set()
        assert made.sent == 0


async def test_who_comes_later_and_who_comes_back_hear_of_all(tmp_path: Path) -> None:
    """R58"""
    async with ring(tmp_path, 3) as made:
        first, second, late = made.peers
        made.close(late)
        made.pools[first].take(twice())
        await eventually(lambda: made.held(second))
        charges = made.charges[second]
        made.close(second)
        made.pools[first].take_batch(bad_batch(), 1)
        async with running(made.open(second).run(), made.open(late).run()):
            assert made.charges[second] == charges, "known again from its own disk"
            made.link(second)
            made.link(late)
            await eventually(lambda: made.held(first) == made.held(second) == made.held(late))
            assert len(made.held(first)) == 2
        assert made.blamed == []


async def test_one_liar_fills_neither_the_room_of_another_nor_of_another_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R58"""
    monkeypatch.setattr(node.evidence_pool, "SIGNER_MAX", KIND_MAX + 2)
    async with ring(tmp_path, 2) as made:
        first, second = made.peers
        pool = made.pools[first]
        for view in range(1, 30):
            pool.take(twice(view))
        assert pool.counts()[Offence.CONFLICTING_VOTES] == KIND_MAX
        for _ in range(5):
            pool.take_batch(bad_batch(), 1)
        assert pool.counts()[Offence.INVALID_BATCH] == 2
        pool.take(twice(1, epoch=1))
        assert pool.counts().total() == KIND_MAX + 2, "as many as against one validator"
        pool.take(twice(1, signer=2))
        assert pool.counts().total() == KIND_MAX + 3
        await eventually(lambda: made.held(second) == made.held(first))


async def test_a_full_store_is_said_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.storage.store.EVIDENCE_MAX", 1)
    async with ring(tmp_path, 2) as made:
        pool = made.pools[made.peers[0]]
        pool.take(twice(1))
        pool.take(twice(2))
        assert pool.counts().total() == len(made.held(made.peers[0])) == 1


async def test_who_tells_of_evidence_and_gives_something_else_is_blamed(tmp_path: Path) -> None:
    """R58: nothing, garbage, a proof of another, a forged one."""
    forged = twice()
    forged = Evidence(forged.first, replace(forged.second, signature=forged.first.signature))
    lies = [b"", b"garbage", encode_proof(twice(5)), encode_proof(forged)]
    async with ring(tmp_path, 2) as made:
        victim, liar = made.peers
        for told, lie in enumerate(lies, 1):
            name = evidence_id(lie) if told == 4 else evidence_id(encode_proof(twice(told)))
            made.answers[liar] = _always(lie)
            piece = Piece(name, Charge(Offence.CONFLICTING_VOTES, 0, LIARS_KEY))
            made.pools[victim].on_message(liar, encode_pieces([piece]))
            await eventually(lambda told=told: len(made.blamed) == told)  # type: ignore[misc]
        assert made.blamed == [(victim, liar)] * 4
        assert made.held(victim) == set()
        assert made.pools[victim].forged == 4


async def test_a_true_proof_under_a_false_name_is_blamed(tmp_path: Path) -> None:
    """R58: what is told of is what is given: kind, epoch and validator."""
    async with ring(tmp_path, 2) as made:
        victim, liar = made.peers
        encoded = encode_proof(twice())
        made.answers[liar] = _always(encoded)
        innocent = committee().validators[2].public_key
        piece = Piece(evidence_id(encoded), Charge(Offence.CONFLICTING_VOTES, 0, innocent))
        made.pools[victim].on_message(liar, encode_pieces([piece]))
        await eventually(lambda: made.blamed)
        assert made.held(victim) == set()


async def test_evidence_of_an_unknown_epoch_or_against_strangers_is_nobodys_fault(tmp_path: Path) -> None:
    """R58: it is not asked for; once the epoch is known it is taken at the next link."""
    async with ring(tmp_path, 2) as made:
        first, second = made.peers
        made.known = 3
        made.pools[first].take(twice(epoch=2))
        assert len(made.held(first)) == 1
        made.known = 2
        await passes()
        stranger = Charge(Offence.CONFLICTING_VOTES, 0, PublicKey(b"s" * 32))
        made.pools[second].on_message(first, encode_pieces([Piece(b"i" * 32, stranger)]))
        await passes()
        assert made.held(second) == set()
        assert made.asked == made.blamed == []
        made.known = 3
        made.link(second)
        await eventually(lambda: made.held(second) == made.held(first))


async def test_a_peer_that_never_answers_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R58"""
    monkeypatch.setattr(node.evidence_pool, "RETRY_SECONDS", 0.01)
    async with ring(tmp_path, 3) as made:
        first, silent, victim = made.peers
        asked = asyncio.Event()

        async def fail(payload: bytes) -> bytes:
            asked.set()
            await asyncio.sleep(0)
            raise RequestFailed("deadline")

        made.answers[silent] = fail
        encoded = encode_proof(twice())
        lies = [Piece(bytes([n]) * 32, Charge(Offence.CONFLICTING_VOTES, 0, LIARS_KEY)) for n in range(9)]
        true = Piece(evidence_id(encoded), Charge(Offence.CONFLICTING_VOTES, 0, LIARS_KEY))
        made.pools[victim].on_message(silent, encode_pieces([true, *lies]))
        await asked.wait()
        made.pools[first].take(twice())
        await eventually(lambda: made.held(victim))
        assert made.blamed == [], "silence is no lie"


async def test_what_a_peer_tells_of_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R58"""
    monkeypatch.setattr(node.evidence_pool, "OFFERED_MAX", 10)
    made = Ring(tmp_path, 1)
    pool = made.open(made.peers[0])
    charge = Charge(Offence.CONFLICTING_VOTES, 0, LIARS_KEY)
    pool.on_message(PeerId(b"x" * 32), encode_pieces([Piece(bytes([n]) * 32, charge) for n in range(200)]))
    assert len(pool._offered[PeerId(b"x" * 32)]) == 10
    pool.on_disconnected(PeerId(b"x" * 32))
    assert pool._offered == {}
    made.close(made.peers[0])


def test_what_is_told_of_comes_back_from_its_bytes() -> None:
    pieces = [Piece(bytes([n % 256]) * 32, Charge(Offence(n % 4), n, LIARS_KEY)) for n in range(TOLD_MAX)]
    assert decode_pieces(encode_pieces(pieces)) == pieces
    assert len(encode_pieces(pieces)) <= node.evidence_pool.MESSAGE_BYTES_MAX
    with pytest.raises(DecodeError):
        decode_pieces(encode_pieces([*pieces, pieces[0]]))


@given(st.binary(max_size=200))
def test_garbage_tells_of_nothing(data: bytes) -> None:
    try:
        assert encode_pieces(decode_pieces(data)) == data
    except DecodeError:
        pass


def _always(answer: bytes) -> Any:
    async def give(payload: bytes) -> bytes:
        await asyncio.sleep(0)
        return answer

    return give


# --- batches: who sees the lie, and what becomes of the liar's other batches ---


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("malformed", [False, True])
async def test_a_bad_batch_is_reported_with_the_place_of_its_fault(at: int, malformed: bool) -> None:
    """R45: as it arrives from its author."""
    raws = [pay().raw for _ in range(3)]
    raws[at] = b"no transaction" if malformed else spoilt(pay()).raw
    batch = make_batch(genesis().hash, key_at(LIAR), 1, 100, raws)
    async with at_work(Room()) as room:
        room.part.on_message(PEERS[LIAR], encode_batch_message(batch))
        await eventually(lambda: room.accused)
        assert room.accused == [(batch, at)]
        assert room.wire.guilty() == {PEERS[LIAR]}
        known = Network(genesis().hash, EPOCH_LENGTH, committee)
        assert verify_proof(InvalidBatch(*room.accused[0]), known) is not None


async def test_a_bad_batch_that_was_fetched_accuses_its_author_not_who_gave_it() -> None:
    """R45"""
    batch = bad_batch(base_height=100)
    async with at_work(Room()) as room:
        assert not await room.part.fetched(batch)
        assert room.accused == [(batch, 1)]
        assert room.wire.guilty() == {PEERS[LIAR]}


async def test_from_an_author_that_others_have_caught_nothing_more_is_taken_until_the_epoch_ends() -> None:
    """R59: but a batch that a block needs is."""
    async with at_work(Room()) as room:
        room.part.ignore(LIARS_KEY)
        batch = room.arrive(LIAR)
        await passes()
        assert batch.digest not in room.pool
        assert await room.part.fetched(batch)
        room.part.begin_epoch(members(1))
        later = room.arrive(LIAR)
        await eventually(lambda: later.digest in room.pool)


async def test_what_no_quorum_holds_of_a_caught_author_is_let_go_of() -> None:
    """R59: not what a quorum holds, a block names, another wrote, or we did."""
    async with at_work(Room()) as room:
        doomed, spread, named = (room.arrive(LIAR) for _ in range(3))
        others = room.arrive(2)
        ours = batch_of(ME, pay(), base_height=100)
        room.pool.add(ours, decode_transactions(genesis().hash, ours))
        batches = (doomed, spread, named, others, ours)
        await eventually(lambda: all(each.digest in room.pool for each in batches))
        for holder in (2, 3):
            room.pool.acknowledge(spread.digest, PEERS[holder])
        room.part.abandon(lambda: frozenset([named.digest]))
        assert all(each.digest in room.pool for each in batches), "nobody is caught"
        room.part.ignore(LIARS_KEY)
        room.part.ignore(key_at(ME).public)
        room.part.abandon(lambda: frozenset([named.digest]))
        assert [each.digest in room.pool for each in batches] == [False, True, True, True, True]
        room.pool.finalized([named.digest], 101)
        room.part.abandon(frozenset)
        assert named.digest in room.pool, "a final block names it"
        assert room.pool.has_room(LIARS_KEY, 0, 126), "the room of what went is free"


def test_a_payload_that_is_none_names_nothing() -> None:
    """R59: proposals that are not judged yet are asked too."""
    name = BatchDigest(b"n" * 32)
    good = child(block_zero(), encode_payload([name]))
    assert names_in([BAD_PAYLOAD, good]) == {name}
