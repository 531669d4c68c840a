"""Batches, requests, answers, greetings and whole drivers, given what a valid validator can make of them.

Only the error that each door names may come out: DecodeError of what is served and decoded, BatchInvalid of batches,
Violation of frames; the driver raises nothing and blames. Asserts of node/ and network/ that look within reach:

- ``calls`` and ``mesh`` (payloads within their limits): of what we send. Answers to requests are bounded below.
- ``wire.hello_frame``, ``bundle_frame``, ``payload_table``: of what we say, and of settings.
- ``driver`` (a committee, a check, a task group is there; who signs is a member): order of our own calls.
- ``executor.begin`` (the next height) and ``epochs.after`` (an epoch's last block): final blocks, in the core's order.
- ``guard`` and ``journal`` (sizes of records): a record holds what passed the caps of ``consensus.verify``.
- ``mempool.admit`` (not there yet): dissemination asks first, in the same turn of the loop.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from consensus.committee import Committee
from consensus.encoding import DecodeError, decode, digest, encode
from consensus.events import BlockFetched, BlocksSynced
from consensus.messages import Block, Certificate, Hash, Kind, decode_message
from network.wire import (
    GENESIS_HASH_BYTES,
    NONCE_BYTES,
    Hello,
    PeerId,
    Violation,
    decode_hello,
    hello_frame,
)
from node.batches import (
    BATCH_BYTES_MAX,
    EMPTY_PAYLOAD,
    BatchDigest,
    BatchInvalid,
    encode_acknowledgement,
    encode_payload,
)
from node.evidence_pool import decode_pieces
from node.payloads import Verdict
from node.sync import BATCHES, BLOCK, RANGE
from tests.driver_lab import Cluster, Seat, cluster
from tests.hostile.liar import Liar
from tests.hostile.values import EDGES, opened, spoiled, twist
from tests.node_parts import (
    EPOCH_LENGTH,
    PEERS,
    batch_of,
    certify,
    chain_of,
    child,
    committee,
    eventually,
    genesis,
    key_at,
    make_store,
    passes,
    pay,
)
from tests.test_node_dissemination import Room, at_work
from tests.test_node_sync import Follower

LIAR: Final = 3
OUTSIDER: Final = PeerId(b"o" * len(PEERS[0]))  # a link, and no seat in any committee
ROUNDS: Final = 300
ANSWER_BYTES_MAX: Final = 2**20  # network.limits: the largest answer that a link carries
LONG: Final = chain_of(20)


def changed(random: Random, data: bytes) -> bytes:
    """Return an encoded value with fields changed, now and then no encoding at all."""
    if random.random() < 0.1:
        return spoiled(random, data)
    value = opened(decode(data))
    for _ in range(random.choice((1, 1, 2, 3))):
        value = twist(random, value)
    return encode(value)


# --- what peers ask ---


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Follower]:
    store = make_store(tmp_path, LONG)
    yield Follower(store)
    store.close()


@pytest.mark.parametrize("seed", [0, 1])
async def test_requests_get_a_bounded_answer_or_are_refused(server: Follower, seed: int) -> None:
    random = Random(seed)
    held = [batch_of(0, pay()) for _ in range(3)]
    for batch in held:
        server.pool.add(batch, ())
    good = {
        BLOCK: [LONG[3].hash, bytes(32), b""],
        BATCHES: [encode(tuple(batch.digest for batch in held)), encode((held[0].digest,) * 64), encode(())],
        RANGE: [encode((low,)) for low in (*EDGES, 20, 21)],
        9: [b"x"],
    }
    answered = 0
    for _ in range(ROUNDS):
        method = random.choice(tuple(good))
        payload = random.choice(good[method])
        if random.random() < 0.6 and method in (BATCHES, RANGE):
            payload = changed(random, payload)
        try:
            answer = server.sync.serve(method, payload)
        except DecodeError:
            continue
        answered += 1
        assert len(answer) <= ANSWER_BYTES_MAX
    assert answered > ROUNDS // 10


# --- what peers answer ---


def answers(random: Random, method: int, payload: bytes) -> bytes | None:
    """Answer as a liar does: with the truth about something else, changed."""
    block = random.choice(LONG[1:])
    match method:
        case 1:
            data = random.choice((block.encoded, LONG[random.randrange(1, 9)].encoded, b""))
            return data if random.random() < 0.4 or not data else changed(random, data)
        case 2:
            batch = batch_of(LIAR, pay())
            value = (random.choice((batch.encoded, changed(random, batch.encoded[64:]))),)
            return encode(value) if random.random() < 0.5 else changed(random, encode(value))
        case _:
            low = random.randrange(1, 12)
            blocks = LONG[low : low + random.randrange(4)]
            certificate = certify(block, random.choice(tuple(Kind)), random.choice(((0, 1, 2), (LIAR,), (0, 1, 2, 3))))
            fields: Any = [
                random.choice((20, 2**63 - 1, 0)),
                random.choice((0, 20, 2**63 - 1)),
                [each.encoded for each in blocks],
                encode(opened(_fields(certificate))),
            ]
            return changed(random, encode(fields)) if random.random() < 0.7 else encode(fields)


def _fields(certificate: Certificate) -> object:
    return (
        int(certificate.kind),
        certificate.epoch,
        certificate.view,
        certificate.hash,
        certificate.signatures,
    )


@pytest.mark.parametrize("seed", [0, 1])
async def test_answers_of_a_liar_deliver_nothing_that_was_not_asked_for(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    store = make_store(tmp_path)
    follower = Follower(store)
    peer = PEERS[LIAR]
    follower.wire.peers = [peer]
    follower.wire.answers[peer] = lambda method, payload: answers(random, method, payload)
    wanted = LONG[5].hash
    for _ in range(ROUNDS // 3):
        await follower.sync._block_from(peer, wanted)
        await follower.sync._fetch_batches_from(peer, [batch_of(0, pay()).digest])
        try:
            found = follower.sync._checked_range(peer, 1, answers(random, RANGE, b"") or b"")
        except DecodeError:
            continue
        assert found is None or isinstance(found, BlocksSynced)
        if found is not None:
            assert [block.hash for block in found.blocks] == [block.hash for block in LONG[1 : len(found.blocks) + 1]]
    assert all(isinstance(event, BlockFetched) is False for event in follower.ranges)
    assert [block.hash for block in follower.fetched] in ([], [wanted] * len(follower.fetched))
    assert follower.wire.guilty() == {peer}
    store.close()


# --- batches ---


@pytest.mark.parametrize("seed", [0, 1])
async def test_batches_of_a_liar_are_dropped_or_verified(seed: int) -> None:
    """The transactions are good, bad or none; the author's signature is always made anew."""
    random = Random(seed)
    room = Room()
    async with at_work(room):
        for _ in range(ROUNDS // 2):
            batch = batch_of(LIAR, pay(), pay(), base_height=random.choice((100, 101, 0, 2**63 - 1)))
            body = batch.encoded[64:]
            if random.random() < 0.6:
                body = changed(random, body)
            data = bytes((0,)) + _signed(body) + body
            if random.random() < 0.2:
                data = changed_acknowledgement(random)
            try:
                room.part.on_message(PEERS[LIAR], data[: BATCH_BYTES_MAX + 1])
            except BatchInvalid:
                continue
            await passes()
        good = room.arrive(1)
        await eventually(lambda: good.digest in room.pool)


def changed_acknowledgement(random: Random) -> bytes:
    message = encode_acknowledgement([BatchDigest(random.randbytes(32)) for _ in range(random.choice((0, 1, 64, 65)))])
    return message[:1] + (changed(random, message[1:]) if random.random() < 0.7 else message[1:])


def _signed(body: bytes) -> bytes:
    """Return the signature of the author over whatever this is."""
    return key_at(LIAR).sign(digest(b"som-batch-1", genesis().hash, body))


# --- greetings and what is told ---


def test_greetings_are_understood_or_a_violation() -> None:
    random = Random(3)
    hello = Hello(bytes(GENESIS_HASH_BYTES), PEERS[LIAR], bytes(NONCE_BYTES), 1_700_000_000_000, b"opaque")
    good = hello_frame(hello)
    assert decode_hello(good) == hello
    understood = 0
    for _ in range(4 * ROUNDS):
        try:
            decode_hello(good[:1] + changed(random, good[1:]))
            understood += 1
        except Violation:
            pass
    assert understood > 0


def test_what_is_told_of_evidence_is_understood_or_refused() -> None:
    random = Random(4)
    good = encode(((bytes(32), 3, 0, key_at(LIAR).public),) * 3)
    assert len(decode_pieces(good)) == 3
    for _ in range(ROUNDS):
        try:
            decode_pieces(changed(random, good))
        except DecodeError:
            pass


# --- whole drivers ---


class Epoch:
    """What the liar knows: the committee of all epochs, which is one, and the epoch that the others are in."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.keys = [key_at(index) for index in range(4)]
        self.root = LONG[0]

    @property
    def epoch(self) -> int:
        return self.seat.driver.core.epoch

    @property
    def committee(self) -> Committee:
        return committee(self.epoch)

    def block(self, view: int, parent: Block, parent_view: int, payload: bytes) -> Block:
        payload = {b"": EMPTY_PAYLOAD, b"x": encode_payload([BatchDigest(bytes(32))])}.get(payload, payload)
        place = {"epoch": self.epoch, "view": view, "parent_view": parent_view}
        return child(parent, payload, **place, proposer=self.committee.leader(view))


@pytest.mark.parametrize("seed", [0])
async def test_drivers_go_on_through_epochs_and_a_restart_while_a_validator_and_an_outsider_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """R21, R48, R49: real journals, guards, stores and ledgers; what a driver raises ends its seat and the test."""
    random = Random(seed)
    heard: list[bytes] = []
    blamed: set[PeerId] = set()
    arrive = Seat._arrive

    def noted(seat: Seat, peer: PeerId, payload: bytes) -> None:
        heard.append(payload)
        arrive(seat, peer, payload)

    monkeypatch.setattr(Seat, "_arrive", noted)
    monkeypatch.setattr(Seat, "blame", lambda _, peer, points, why: blamed.add(peer))
    async with cluster(tmp_path) as four:
        await four.seats[LIAR].stop()
        honest = [seat for seat in four.seats if seat.index != LIAR]
        liar = Liar(Epoch(honest[0]), LIAR, random, Hash(genesis().hash))
        until = 2 * EPOCH_LENGTH + 1
        lies = 0
        while min(seat.store.tip.height for seat in honest) < until and lies < 4_000:
            for payload in random.sample(heard, min(len(heard), 12)):
                liar.hear(decode_message(payload))
            heard.clear()
            for _ in range(10):
                data, lies = liar.lie(), lies + 1
                for seat in honest:
                    seat.driver.on_message(random.choice((PEERS[LIAR], PEERS[LIAR], OUTSIDER)), data)
            if lies == 300:
                await honest[1].stop()
                honest[1].start()
            await asyncio.sleep(0.02)
            await four.until(lambda: True)  # raises what a seat has ended with
        assert lies > 100
        await four.height(min(seat.store.tip.height for seat in honest) + 2)
        assert four.same_chain() > 2
        assert max(len(seat.driver.core.records()) for seat in honest) < 400
    assert blamed == {PEERS[LIAR], OUTSIDER}


def test_a_block_is_judged_whatever_its_payload_and_times(tmp_path: Path) -> None:
    """The verdict of a driver on blocks that only their leader's signature speaks for."""
    random = Random(5)
    seat = Cluster(tmp_path).seats[0]
    seat.open()
    seen: set[Verdict] = set()
    for _ in range(ROUNDS):
        payload = random.choice((EMPTY_PAYLOAD, changed(random, encode((bytes(32), bytes(31) + b"1")))))
        fields = {
            "timestamp_ms": random.choice((LONG[0].header.timestamp_ms + 1, 0, 2**63 - 1)),
            "executed_height": random.choice((0, 0, 1, 2**63 - 1)),
            "height": random.choice((1, 1, EPOCH_LENGTH, 2**63 - 1)),
        }
        block = child(LONG[0], payload, **fields)
        seen.add(seat.driver.blocks.payloads.verdict(block, LONG[0], LONG[0].header.timestamp_ms + 1_000))
        seat.driver.blocks.payloads.missing(block)
    assert seen == set(Verdict)
    seat.close()
