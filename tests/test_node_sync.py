"""node/sync.py: what is served, what is asked, and that a lying peer costs nothing but a few requests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import node.sync
import node.sync_descent
import tests.node_parts
from consensus.encoding import DecodeError, as_tuple, decode, encode
from consensus.events import BlockFetched, BlocksSynced
from consensus.messages import Block, Certificate, Hash, Kind, decode_block, decode_certificate, encode_certificate
from consensus.verify import certificate_valid
from network.wire import PeerId
from node.batches import DIGESTS_ASKED_MAX, Batch, BatchDigest, BatchPool, author_signed, decode_batch
from node.storage.store import Store
from node.sync import (
    BATCHES,
    BATCHES_BYTES_MAX,
    BEHIND_HEIGHTS,
    BLOCK,
    EXECUTING_MAX,
    RANGE,
    RANGE_BLOCKS_HARD_MAX,
    RANGE_BLOCKS_MAX,
    Sync,
)
from tests.node_parts import (
    EPOCH_LENGTH,
    PEERS,
    Wire,
    batch_of,
    certify,
    chain_of,
    child,
    committee,
    eventually,
    genesis,
    make_store,
    members,
    passes,
    pay,
    running,
)

GENESIS = genesis().hash
LONG = chain_of(40)
INT_MAX = 2**63 - 1
Answer = Callable[[int, bytes], bytes | None]


class Follower:
    """A Sync and, as far as it matters here, the core behind it: commits what follows."""

    def __init__(self, store: Store) -> None:
        self.wire = Wire()
        self.store = store
        self.pool = BatchPool(members(), PEERS[0])
        self.committed = LONG[0]
        self.executing = 0
        self.open = True
        self.fetched: list[Block] = []
        self.ranges: list[BlocksSynced] = []
        self.uncommitted: dict[Hash, Block] = {}
        self.sync = Sync(
            genesis_hash=GENESIS,
            store=store,
            pool=self.pool,
            links=self.wire,
            block_of=self.uncommitted.get,
            committed_height=lambda: self.height,
            executing=lambda: self.executing,
            epoch_is_open=lambda: self.open,
            certificate_valid=lambda each: certificate_valid(each, committee(each.epoch), GENESIS),
            take_batch=self._take,
            deliver=self._deliver,
        )

    @property
    def height(self) -> int:
        return self.committed.header.height

    async def _take(self, batch: Batch) -> bool:
        if not author_signed(batch):
            return False
        self.pool.add(batch, ())
        return True

    def _deliver(self, event: BlockFetched | BlocksSynced) -> None:
        if isinstance(event, BlockFetched):
            self.fetched.append(event.block)
            return
        self.ranges.append(event)
        if event.blocks[0].header.parent_hash == self.committed.hash:
            self.committed = event.blocks[-1]
        self.sync.committed()

    def asked(self, method: int) -> list[PeerId]:
        return [peer for peer, asked, _ in self.wire.asked if asked == method]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    store = make_store(tmp_path / "empty")
    yield store
    store.close()


@pytest.fixture
def follower(empty: Store) -> Follower:
    return Follower(empty)


@pytest.fixture
def server(tmp_path: Path, empty: Store) -> Iterator[Sync]:
    """Serve the long chain."""
    store = make_store(tmp_path / "long", LONG)
    yield Follower(store).sync
    store.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again after moments."""
    monkeypatch.setattr(node.sync, "AGAIN_SECONDS", 0.001)


@asynccontextmanager
async def at_work(follower: Follower) -> AsyncIterator[None]:
    async with running(follower.sync.run()):
        yield


def shown(data: bytes) -> tuple[int, list[Block], Certificate | None]:
    """Return what an answer to RANGE says."""
    height, _, items, certificate = as_tuple(decode(data), 4)
    blocks = [decode_block(item) for item in items]  # type: ignore[attr-defined]
    return height, blocks, decode_certificate(certificate) if certificate else None  # type: ignore[return-value,arg-type]


def ask_range(sync: Sync, low: int) -> tuple[int, list[Block], Certificate | None]:
    return shown(sync.serve(RANGE, encode((low,))))


def a_range(blocks: list[Block], certificate: Certificate, height: int = 40) -> bytes:
    return encode((height, 0, tuple(block.encoded for block in blocks), encode_certificate(certificate)))


# --- what is served ---


async def test_a_range_ends_within_its_epoch_on_a_block_with_a_certificate_of_its_own(server: Sync) -> None:
    for low in range(1, 41):
        tip, blocks, certificate = ask_range(server, low)
        assert tip == 40
        assert blocks[0].header.height == low
        assert certificate is not None
        assert (certificate.kind, certificate.hash) == (Kind.FINALIZE, blocks[-1].hash)
        assert {block.header.epoch for block in blocks} == {(low - 1) // EPOCH_LENGTH}
        assert certificate_valid(certificate, committee(certificate.epoch), GENESIS)
        left = EPOCH_LENGTH - (low - 1) % EPOCH_LENGTH
        assert len(blocks) > left // 2


async def test_a_range_reaches_a_certificate_however_rare_they_are(tmp_path: Path) -> None:
    store = make_store(tmp_path, chain_of(21), lambda height: height in (5, 8, 14, 16, 19))
    sync = Follower(store).sync
    certified = (5, 8, 14, 16, 19)
    for low in range(1, 20):
        _, blocks, certificate = ask_range(sync, low)
        end = blocks[-1].header.height
        assert low <= end in certified
        assert (end - 1) // EPOCH_LENGTH == (low - 1) // EPOCH_LENGTH
        assert certificate is not None
        assert certificate.hash == blocks[-1].hash
    for low in (20, 21, 22):
        assert ask_range(sync, low) == (21, [], None)
    store.close()


async def test_a_range_is_bounded_in_bytes_and_then_ends_earlier(server: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.sync, "RANGE_BYTES_MAX", 3 * len(LONG[1].encoded) + 10)
    _, blocks, certificate = ask_range(server, 1)
    assert [block.header.height for block in blocks] == [1, 2, 3]
    assert certificate is not None
    assert certificate.hash == blocks[-1].hash


async def test_who_asks_above_the_tip_hears_where_it_is(server: Sync) -> None:
    for low in (41, 1_000, INT_MAX):
        assert ask_range(server, low) == (40, [], None)


@pytest.mark.parametrize(
    ("method", "payload"),
    [
        (0, b""),
        (9, b""),
        (BLOCK, b""),
        (BLOCK, b"x" * 33),
        (RANGE, b""),
        (RANGE, encode((0,))),
        (RANGE, encode((-1,))),
        (RANGE, encode((2**63,))),
        (RANGE, encode((1, 2))),
        (BATCHES, b"\xc0"),
        (BATCHES, encode([b"x" * 31])),
        (BATCHES, encode([b"x" * 32] * (DIGESTS_ASKED_MAX + 1))),
    ],
)
async def test_a_request_that_no_honest_peer_makes_is_refused(server: Sync, method: int, payload: bytes) -> None:
    with pytest.raises(DecodeError):
        server.serve(method, payload)


async def test_blocks_are_served_from_the_store_and_from_above_it(follower: Follower, server: Sync) -> None:
    assert decode_block(server.serve(BLOCK, LONG[17].hash)) == LONG[17]
    assert follower.sync.serve(BLOCK, LONG[17].hash) == b""
    follower.uncommitted[LONG[1].hash] = LONG[1]
    assert decode_block(follower.sync.serve(BLOCK, LONG[1].hash)) == LONG[1]


async def test_batches_are_served_as_many_as_fit_and_one_at_least(follower: Follower) -> None:
    batches = [batch_of(1, *[pay(ref=b"r" * 35) for _ in range(1_000)]) for _ in range(4)]
    for batch in batches:
        follower.pool.add(batch, ())
    size = len(batches[0].encoded)
    unknown = BatchDigest(b"x" * 32)
    names = [unknown, *(batch.digest for batch in batches)]
    found = as_tuple(decode(follower.sync.serve(BATCHES, encode(names))))
    assert len(found) == BATCHES_BYTES_MAX // size
    assert found == tuple(batch.encoded for batch in batches[: len(found)])
    assert decode(follower.sync.serve(BATCHES, encode([unknown]))) == ()


# --- catching up ---


async def test_a_follower_catches_up_over_the_ends_of_epochs(follower: Follower, server: Sync) -> None:
    follower.wire.answers[PEERS[2]] = server.serve
    async with at_work(follower):
        follower.sync.heard(PEERS[2], 40)
        assert follower.sync.behind()
        await eventually(lambda: follower.height >= 40 - BEHIND_HEIGHTS)
        assert not follower.sync.behind()
    assert follower.wire.blamed == []
    assert [event.certificate.epoch for event in follower.ranges] == [0, 1, 2, 3]


async def test_who_is_a_few_blocks_behind_asks_for_no_range(follower: Follower) -> None:
    async with at_work(follower):
        follower.sync.heard(PEERS[2], BEHIND_HEIGHTS)
        await passes()
    assert follower.wire.asked == []


async def test_no_more_is_asked_while_much_waits_for_execution(follower: Follower, server: Sync) -> None:
    follower.wire.answers[PEERS[2]] = server.serve
    follower.executing = EXECUTING_MAX + 1
    async with at_work(follower):
        follower.sync.heard(PEERS[2], 40)
        await passes()
        assert follower.wire.asked == []
        follower.executing = EXECUTING_MAX
        await eventually(lambda: follower.height >= 40 - BEHIND_HEIGHTS)


async def test_a_claim_that_cannot_be_shown_never_keeps_us_from_being_ready(follower: Follower) -> None:
    """A peer that claims the largest height, again and again, and has nothing."""
    follower.wire.answers[PEERS[1]] = lambda method, payload: encode((INT_MAX, 0, (), b""))
    async with at_work(follower):
        for _ in range(3):
            follower.sync.heard(PEERS[1], INT_MAX)
            await eventually(lambda: not follower.sync.behind())
        assert len(follower.asked(RANGE)) == 1
    assert follower.wire.blamed == []


async def test_a_peer_that_never_answers_is_doubted_and_the_others_serve(follower: Follower, server: Sync) -> None:
    follower.wire.answers = {PEERS[2]: server.serve, PEERS[3]: server.serve}
    async with at_work(follower):
        for peer in PEERS[1:]:
            follower.sync.heard(peer, 40)
        await eventually(lambda: follower.height >= 40 - BEHIND_HEIGHTS)
    assert follower.asked(RANGE).count(PEERS[1]) <= 1
    assert follower.wire.blamed == []


async def test_a_doubted_peer_is_asked_again_later_and_less_and_less_often(
    follower: Follower, server: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.sync, "DOUBT_SECONDS", 0.005)
    monkeypatch.setattr(node.sync, "DOUBT_SECONDS_MAX", 0.02)
    async with at_work(follower):
        follower.sync.heard(PEERS[1], 40)
        await eventually(lambda: len(follower.asked(RANGE)) >= 4)
        assert follower.sync._doubts[PEERS[1]][1] == 0.02
        follower.wire.answers[PEERS[1]] = server.serve
        await eventually(lambda: follower.height >= 40 - BEHIND_HEIGHTS)
        assert follower.sync._doubts == {}


async def test_the_claim_of_a_peer_that_has_gone_is_forgotten(follower: Follower) -> None:
    follower.sync.heard(PEERS[3], 40)
    assert follower.sync.behind()
    assert follower.sync.height_of(PEERS[3]) == 40
    follower.sync.gone(PEERS[3])
    assert not follower.sync.behind()
    assert follower.sync.height_of(PEERS[3]) is None


def lies() -> dict[str, bytes]:
    """Answers to RANGE from 1 on that no honest peer gives."""
    first = LONG[1:9]
    good = certify(LONG[8])
    signer, signature = good.signatures[0]
    forged = Certificate(
        good.kind, good.epoch, good.view, good.hash, ((signer, good.signatures[1][1]), *good.signatures[1:])
    )
    few = certify(LONG[8], signers=(0, 1))
    other = child(LONG[4], timestamp_ms=LONG[4].header.timestamp_ms + 7)
    assert signature
    return {
        "not bytes": b"\xc1",
        "not a range": encode((1, 2)),
        "wrong heights": a_range(LONG[2:9], good),
        "a gap": a_range([*first[:3], *first[4:]], good),
        "no chain": a_range([*first[:4], other, *first[5:]], good),
        "forged": a_range(first, forged),
        "too few": a_range(first, few),
        "another block's certificate": a_range(first[:7], good),
        "a notarization": a_range(first, certify(LONG[8], Kind.NOTARIZE)),
        "a certificate of another epoch": a_range(first, replace(good, epoch=1)),
        "no certificate": encode((40, 0, tuple(block.encoded for block in first), b"")),
        "not blocks": encode((40, 0, (b"x",), encode_certificate(good))),
        "too many": encode((40, 0, (LONG[1].encoded,) * (RANGE_BLOCKS_HARD_MAX + 1), encode_certificate(good))),
    }


@pytest.mark.parametrize("lie", list(lies()))
async def test_a_lying_peer_is_blamed_and_moves_nobody(follower: Follower, server: Sync, lie: str) -> None:
    follower.wire.answers[PEERS[1]] = lambda method, payload: lies()[lie]
    async with at_work(follower):
        follower.sync.heard(PEERS[1], 40)
        await eventually(lambda: follower.wire.blamed)
        assert follower.ranges == []
        assert follower.height == 0
        follower.wire.answers[PEERS[2]] = server.serve
        follower.sync.heard(PEERS[2], 40)
        await eventually(lambda: follower.height >= 40 - BEHIND_HEIGHTS)
    assert follower.wire.guilty() == {PEERS[1]}


# --- a chain of which one certificate finalizes more than a range holds ---


@pytest.fixture
def rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sync]:
    """Serve a chain of which only the last block of each epoch has a certificate, out of a range's reach."""
    monkeypatch.setattr(node.sync, "RANGE_BLOCKS_HARD_MAX", 4)
    store = make_store(tmp_path / "rare", LONG, lambda height: height % EPOCH_LENGTH == 0)
    yield Follower(store).sync
    store.close()


async def test_a_certificate_out_of_reach_is_told_alone(rare: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask_range(rare, 5)[1][-1] == LONG[8]
    assert ask_range(rare, 4) == (40, [], certify(LONG[8]))
    monkeypatch.setattr(node.sync, "RANGE_BLOCKS_HARD_MAX", 100)
    monkeypatch.setattr(node.sync, "RANGE_BYTES_MAX", 3 * len(LONG[1].encoded) + 10)
    assert ask_range(rare, 6)[1][-1] == LONG[8]
    assert ask_range(rare, 5) == (40, [], certify(LONG[8]))


async def test_what_such_a_certificate_finalizes_is_fetched_from_its_block_down(follower: Follower, rare: Sync) -> None:
    follower.wire.answers = dict.fromkeys(PEERS[1:], rare.serve)
    async with at_work(follower):
        for peer in PEERS[1:]:
            follower.sync.heard(peer, 40)
        await eventually(lambda: follower.height >= 40 - BEHIND_HEIGHTS)
    assert follower.wire.blamed == []
    assert [block for event in follower.ranges for block in event.blocks] == LONG[1 : follower.height + 1]
    hashes = [payload for _, method, payload in follower.wire.asked if method == BLOCK]
    assert hashes[:EPOCH_LENGTH] == [LONG[height].hash for height in range(8, 0, -1)]
    assert len(hashes) == len(set(hashes))  # who was asked for what comes later fetches nothing


@pytest.mark.parametrize(
    "certificate",
    [
        replace(certify(LONG[8]), signatures=certify(LONG[7]).signatures),
        certify(LONG[8], signers=(0, 1)),
        certify(LONG[8], Kind.NOTARIZE),
    ],
    ids=["forged", "too few", "a notarization"],
)
async def test_a_certificate_alone_is_checked_before_anything_is_fetched(
    follower: Follower, server: Sync, certificate: Certificate
) -> None:
    lie = a_range([], certificate)
    follower.wire.answers[PEERS[1]] = lambda method, payload: lie if method == RANGE else server.serve(method, payload)
    async with at_work(follower):
        follower.sync.heard(PEERS[1], 40)
        await eventually(lambda: follower.wire.blamed)
    assert follower.asked(BLOCK) == []
    assert follower.ranges == []


@pytest.mark.parametrize(
    ("height", "kept", "asked"),
    [(2, {2}, 1), (8, {8, 7, 6}, 4), (30, set(range(1, 41)), 1)],
    ids=["what we have", "not to the end", "further than so many blocks"],
)
async def test_who_cannot_show_what_the_certificate_finalizes_is_doubted(
    follower: Follower, server: Sync, height: int, kept: set[int], asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.sync_descent, "DESCENT_BLOCKS_MAX", 10)
    monkeypatch.setattr(node.sync_descent, "STALL_SECONDS", 0.0)
    held = {LONG[each].hash for each in kept}
    follower.committed = LONG[3]
    follower.wire.peers = [PEERS[1]]

    def served(method: int, payload: bytes) -> bytes:
        if method == RANGE:
            return a_range([], certify(LONG[height]))
        return server.serve(method, payload) if payload in held else b""

    follower.wire.answers[PEERS[1]] = served
    async with at_work(follower):
        follower.sync.heard(PEERS[1], 40)
        await eventually(lambda: PEERS[1] in follower.sync._doubts)
    assert len(follower.asked(BLOCK)) == asked
    assert (follower.ranges, follower.wire.blamed) == ([], [])


class OneCertificate:
    """A chain of one epoch of which only the last block has a certificate, and peers who serve it as a test says."""

    def __init__(self, follower: Follower, monkeypatch: pytest.MonkeyPatch, blocks: int = 24) -> None:
        monkeypatch.setattr(tests.node_parts, "EPOCH_LENGTH", 1_000)
        self.follower = follower
        self.chain = chain_of(blocks)
        self.by_hash = {block.hash: block for block in self.chain}
        self.certificate = certify(self.chain[-1])
        self.given: list[tuple[PeerId, Hash]] = []  # blocks

    def tells_of_it(self, method: int, payload: bytes) -> bytes:
        """Answer as an honest peer."""
        if method == RANGE:
            return a_range([], self.certificate, len(self.chain) - 1)
        return self.by_hash[Hash(payload)].encoded

    def served_by(self, peer: PeerId, when: Callable[[Hash], bool]) -> Answer:
        """Answer as a peer that gives a block only ``when``."""

        def answer(method: int, payload: bytes) -> bytes | None:
            if method == BLOCK:
                if not when(Hash(payload)):
                    return None
                self.given.append((peer, Hash(payload)))
            return self.tells_of_it(method, payload)

        return answer

    async def caught_up(self) -> None:
        async with at_work(self.follower):
            for peer in self.follower.wire.answers:
                self.follower.sync.heard(peer, len(self.chain) - 1)
            await eventually(lambda: self.follower.height >= len(self.chain) - 1 - BEHIND_HEIGHTS)


async def test_a_peer_that_is_busy_costs_no_block_that_has_come(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R40: what a certificate finalizes is fetched once, however often who is asked has no time."""
    monkeypatch.setattr(node.sync_descent, "AGAIN_SECONDS", 0.001)
    one = OneCertificate(follower, monkeypatch)
    asked: list[Hash] = []

    def has_time(name: Hash) -> bool:
        asked.append(name)
        return len(asked) % 3 != 0

    follower.wire.peers = [PEERS[2]]
    follower.wire.answers[PEERS[2]] = one.served_by(PEERS[2], has_time)
    await one.caught_up()
    assert [name for _, name in one.given] == [block.hash for block in reversed(one.chain[1:])]
    assert follower.wire.blamed == []


async def test_a_descent_asks_no_peer_for_more_than_it_serves(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mesh answers 50 requests a second, and others of ours are among them (docs/network.md)."""
    one = OneCertificate(follower, monkeypatch)
    follower.wire.peers = [PEERS[2]]
    times: list[float] = []

    def note(_: Hash) -> bool:
        assert not follower.sync._doubts
        times.append(asyncio.get_running_loop().time())
        return True

    follower.wire.answers[PEERS[2]] = one.served_by(PEERS[2], note)
    await one.caught_up()
    assert len(times) == 24
    assert len(follower.asked(RANGE)) <= 2  # who has shown a certificate is asked for no range meanwhile
    assert (len(times) - 2) / (times[-1] - times[1]) <= 40


async def test_what_has_come_is_kept_for_who_shows_the_certificate_again(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("STALL_SECONDS", 0.0), ("AGAIN_SECONDS", 0.001)):
        monkeypatch.setattr(node.sync_descent, name, value)
    monkeypatch.setattr(node.sync, "DOUBT_SECONDS", 0.001)
    one = OneCertificate(follower, monkeypatch)
    follower.wire.peers = [PEERS[2]]
    refused: set[Hash] = set()

    def second_time(name: Hash) -> bool:
        again = name in refused or one.by_hash[name].header.height % 5 != 0
        refused.add(name)
        return again

    follower.wire.answers[PEERS[2]] = one.served_by(PEERS[2], second_time)
    await one.caught_up()
    assert follower.asked(RANGE).count(PEERS[2]) > 3  # it was doubted, and showed it again
    assert [name for _, name in one.given] == [block.hash for block in reversed(one.chain[1:])]


async def test_blocks_of_a_descent_come_from_whoever_answers_soon(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who shows a certificate and takes its time over each block is not the only one who is asked."""
    one = OneCertificate(follower, monkeypatch)
    follower.wire.answers = {peer: one.served_by(peer, lambda _: True) for peer in PEERS[1:]}
    quick = follower.wire.request

    async def request(peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        if peer == PEERS[1] and method == BLOCK:
            await asyncio.sleep(0.5)
        return await quick(peer, method, payload, deadline_seconds)

    monkeypatch.setattr(follower.wire, "request", request)
    await one.caught_up()
    givers = [peer for peer, _ in one.given]
    assert givers.count(PEERS[1]) <= 2  # the certified block itself, and one below
    assert {*givers} >= {*PEERS[2:]}
    assert follower.wire.blamed == []


async def test_a_certificate_alone_holds_up_no_range(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that shows a true one, and of all that it finalizes gives nothing but its own block."""
    monkeypatch.setattr(node.sync, "RANGE_BLOCKS_MAX", 2)
    one = OneCertificate(follower, monkeypatch)

    def honest(method: int, payload: bytes) -> bytes | None:
        if method != RANGE:
            return None
        (low,) = as_tuple(decode(payload))
        assert isinstance(low, int)
        return a_range(one.chain[low : low + 2], certify(one.chain[low : low + 2][-1]), 24)

    follower.wire.answers = dict.fromkeys(PEERS[2:], honest)
    follower.wire.answers[PEERS[1]] = one.tells_of_it
    quick, asked_of_the_liar = follower.wire.request, 0

    async def request(peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        if peer == PEERS[1] and method == BLOCK and payload != one.chain[-1].hash:
            nonlocal asked_of_the_liar
            asked_of_the_liar += 1
            await asyncio.Event().wait()
        return await quick(peer, method, payload, deadline_seconds)

    monkeypatch.setattr(follower.wire, "request", request)
    async with asyncio.timeout(20), at_work(follower):
        follower.sync.heard(PEERS[1], 24)
        await eventually(lambda: asked_of_the_liar)
        for peer in PEERS[2:]:
            follower.sync.heard(peer, 24)
        await eventually(lambda: follower.height >= 24 - BEHIND_HEIGHTS)
    assert asked_of_the_liar == 1
    assert {len(event.blocks) for event in follower.ranges} == {2}
    assert follower.wire.blamed == []


async def test_of_two_certificates_the_lower_one_counts(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that shows one far up makes us fetch no more than we need."""
    one = OneCertificate(follower, monkeypatch)
    lower = certify(one.chain[6])
    shown = False
    descent = follower.sync._descent
    follower.wire.peers = [PEERS[2]]
    follower.wire.answers[PEERS[2]] = one.served_by(PEERS[2], lambda _: shown or not one.given)
    async with at_work(follower):
        descent.show(PEERS[1], one.certificate, one.chain[-1])
        await eventually(lambda: one.given)
        descent.show(PEERS[2], lower, one.chain[6])
        descent.show(PEERS[3], one.certificate, one.chain[-1])
        shown = True
        await eventually(lambda: follower.height == 6)
        await passes()
    assert [one.by_hash[name].header.height for _, name in one.given] == [23, 5, 4, 3, 2, 1]
    assert [event.certificate for event in follower.ranges] == [lower]
    assert descent.shown_by == set()


# --- blocks and batches by name ---


async def test_a_certificate_of_a_committee_that_is_not_known_yet_is_no_lie(follower: Follower, server: Sync) -> None:
    """R52"""
    follower.sync._certificate_valid = lambda _: None
    follower.wire.answers[PEERS[2]] = server.serve
    async with running(follower.sync.run()):
        follower.sync.heard(PEERS[2], 40)
        await eventually(lambda: follower.asked(RANGE))
        await passes()
    assert follower.wire.blamed == []
    assert follower.ranges == []


async def test_between_two_epochs_nothing_is_asked_for(
    follower: Follower, server: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R52"""
    monkeypatch.setattr(node.sync, "QUIET_SECONDS", 0.02)
    follower.open = False
    follower.wire.answers[PEERS[2]] = server.serve
    async with running(follower.sync.run()):
        follower.sync.heard(PEERS[2], 40)
        await passes()
        assert follower.wire.asked == []
        follower.open = True
        await eventually(lambda: follower.height == 40)
    assert follower.wire.blamed == []


async def test_who_hears_nothing_asks_what_comes_next(
    follower: Follower, server: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R53: so few blocks that nobody's height tells, and nobody says anything to an observer."""
    monkeypatch.setattr(node.sync, "QUIET_SECONDS", 0.02)
    follower.committed = LONG[36]
    follower.wire.answers = dict.fromkeys(PEERS[1:], server.serve)
    async with running(follower.sync.run()):
        await eventually(lambda: follower.height == 40)
        asked = len(follower.asked(RANGE))
        await eventually(lambda: len(follower.asked(RANGE)) > asked + 2)  # there is no more, and that is no lie
    assert follower.wire.blamed == []
    assert not follower.sync._doubts


async def test_who_hears_of_a_later_epoch_asks_for_the_rest_of_its_own_however_little_that_is(
    follower: Follower, server: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R53, shell seed 5011: in epochs of three heights an observer was never at the tip."""
    monkeypatch.setattr(node.sync, "QUIET_SECONDS", 1e9)
    follower.committed = LONG[EPOCH_LENGTH - 2]
    follower.sync._epoch_end = lambda: -(-max(follower.height, 1) // EPOCH_LENGTH) * EPOCH_LENGTH
    follower.wire.answers = dict.fromkeys(PEERS[1:], server.serve)
    async with running(follower.sync.run()):
        follower.sync.heard(PEERS[1], EPOCH_LENGTH)
        await passes()
        assert follower.wire.asked == []  # the core gets it by itself
        follower.sync.heard(PEERS[2], EPOCH_LENGTH + 1)
        assert not follower.sync.behind()
        await eventually(lambda: follower.ranges)
    assert follower.ranges[0].blocks == tuple(LONG[EPOCH_LENGTH - 1 : EPOCH_LENGTH + 1])
    assert follower.wire.blamed == []


async def test_a_height_that_nobody_has_keeps_nobody_from_asking_what_comes_next(
    follower: Follower, server: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An observer and a liar, shell seed 4014: others are ahead by fewer blocks than a range is asked for."""
    monkeypatch.setattr(node.sync, "QUIET_SECONDS", 0.02)
    follower.committed = LONG[36]
    follower.wire.answers = dict.fromkeys(PEERS[2:], server.serve)
    follower.wire.answers[PEERS[1]] = lambda method, payload: encode((INT_MAX, 0, (), b""))
    async with running(follower.sync.run()):
        for peer, height in zip(PEERS[1:], (INT_MAX, 40, 40), strict=True):
            follower.sync.heard(peer, height)
        await eventually(lambda: follower.height == 40)
    assert follower.wire.blamed == []


async def test_what_is_noted_of_a_peer_outlives_an_epoch_but_not_its_right_to_link(follower: Follower) -> None:
    """R56"""
    for peer in PEERS[1:]:
        follower.sync.heard(peer, 40)
        follower.sync._doubt(peer)
        follower.sync._slow_until[peer] = 1.0
    follower.sync.keep_only(frozenset(PEERS[:3]))
    for notes in (follower.sync._heights, follower.sync._doubts, follower.sync._slow_until):
        assert set(notes) == set(PEERS[1:3])


async def test_a_block_is_asked_of_its_likely_holders_first(follower: Follower) -> None:
    follower.wire.answers[PEERS[3]] = lambda method, payload: LONG[5].encoded
    async with at_work(follower):
        follower.sync.fetch_block(LONG[5].hash, (PEERS[3],))
        await eventually(lambda: follower.fetched)
    assert follower.fetched == [LONG[5]]
    assert follower.asked(BLOCK) == [PEERS[3]]


async def test_another_block_than_asked_for_is_blamed_and_the_next_peer_asked(follower: Follower) -> None:
    follower.wire.answers = {
        PEERS[1]: lambda method, payload: LONG[6].encoded,
        PEERS[2]: lambda method, payload: b"nonsense",
        PEERS[3]: lambda method, payload: LONG[5].encoded,
    }
    async with at_work(follower):
        follower.sync.fetch_block(LONG[5].hash, (PEERS[1], PEERS[2]))
        await eventually(lambda: follower.fetched)
    assert follower.fetched == [LONG[5]]
    assert follower.wire.guilty() == set(PEERS[1:3])


async def test_a_block_that_nobody_has_may_be_asked_for_again(follower: Follower) -> None:
    follower.wire.answers = {peer: lambda method, payload: b"" for peer in PEERS[1:]}
    async with at_work(follower):
        follower.sync.fetch_block(LONG[5].hash, ())
        follower.sync.fetch_block(LONG[5].hash, ())
        await eventually(lambda: len(follower.asked(BLOCK)) == 3 and not follower.sync._fetching)
        follower.wire.answers[PEERS[1]] = lambda method, payload: LONG[5].encoded
        follower.sync.fetch_block(LONG[5].hash, ())
        await eventually(lambda: follower.fetched)
    assert follower.wire.blamed == []


async def test_no_block_is_asked_for_while_a_snapshot_is_on_its_way(follower: Follower) -> None:
    follower.wire.answers[PEERS[1]] = lambda method, payload: LONG[5].encoded
    coming = True
    follower.sync.held = lambda: coming
    async with at_work(follower):
        follower.sync.fetch_block(LONG[5].hash, (PEERS[1],))
        assert follower.sync._to_fetch.empty()
        coming = False
        follower.sync.fetch_block(LONG[5].hash, (PEERS[1],))
        await eventually(lambda: follower.fetched)
    assert follower.asked(BLOCK) == [PEERS[1]]


def serve_batches(*batches: Batch) -> Answer:
    def answer(method: int, payload: bytes) -> bytes:
        names = decode(payload)
        return encode([batch.encoded for batch in batches if batch.digest in names])  # type: ignore[operator]

    return answer


async def test_batches_come_from_whoever_has_them(follower: Follower) -> None:
    first, second = batch_of(1, pay()), batch_of(2, pay())
    follower.wire.answers = {PEERS[1]: serve_batches(first), PEERS[2]: serve_batches(), PEERS[3]: serve_batches(second)}
    await follower.sync.fetch_batches([first.digest, second.digest])
    assert first.digest in follower.pool
    assert second.digest in follower.pool
    assert follower.wire.blamed == []


async def test_more_batches_than_one_request_may_name_come_in_several(follower: Follower) -> None:
    batches = [batch_of(1, pay()) for _ in range(DIGESTS_ASKED_MAX + 5)]
    follower.wire.answers = {peer: serve_batches(*batches) for peer in PEERS[1:]}
    await follower.sync.fetch_batches([batch.digest for batch in batches])
    assert len(follower.pool) == len(batches)


@pytest.mark.parametrize("lie", ["nonsense", "another", "unsigned", "too many"])
async def test_who_sends_other_batches_than_asked_for_is_blamed(follower: Follower, lie: str) -> None:
    wanted, other = batch_of(1, pay()), batch_of(2, pay())
    unsigned = decode_batch(GENESIS, b"\1" * 64 + wanted.encoded[64:])
    answers: dict[str, Any] = {
        "nonsense": b"\xc1",
        "another": encode([other.encoded]),
        "unsigned": encode([unsigned.encoded]),
        "too many": encode([wanted.encoded, wanted.encoded]),
    }
    follower.wire.answers = {PEERS[2]: lambda method, payload: answers[lie], PEERS[3]: serve_batches(wanted)}
    follower.wire.peers = [PEERS[2]]
    await follower.sync.fetch_batches([wanted.digest], 1)
    assert follower.wire.guilty() == {PEERS[2]}
    assert len(follower.pool) == 0
    follower.wire.peers = list(PEERS[2:])
    await follower.sync.fetch_batches([wanted.digest])
    assert wanted.digest in follower.pool
    assert other.digest not in follower.pool


async def test_what_nobody_has_is_given_up_after_so_many_rounds(follower: Follower) -> None:
    follower.wire.answers = {peer: serve_batches() for peer in PEERS[1:]}
    await follower.sync.fetch_batches([BatchDigest(b"x" * 32)], rounds=3)
    assert len(follower.asked(BATCHES)) == 6


async def test_without_links_it_waits_for_one(follower: Follower) -> None:
    batch = batch_of(1, pay())
    follower.wire.peers = []
    fetching = asyncio.create_task(follower.sync.fetch_batches([batch.digest]))
    await passes()
    assert not fetching.done()
    follower.wire.peers = [PEERS[3]]
    follower.wire.answers[PEERS[3]] = serve_batches(batch)
    async with asyncio.timeout(5):
        await fetching


@pytest.mark.parametrize("at_last", [True, False], ids=["an answer", "none"])
async def test_who_takes_half_the_deadline_is_asked_after_the_others(
    follower: Follower, monkeypatch: pytest.MonkeyPatch, at_last: bool
) -> None:
    monkeypatch.setattr(node.sync, "DEADLINE_SECONDS", 0.5)
    follower.wire.answers = dict.fromkeys(PEERS[1:] if at_last else PEERS[2:], serve_batches())
    quick = follower.wire.request

    async def request(peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        await asyncio.sleep(0.3 if peer == PEERS[1] else 0)
        return await quick(peer, method, payload, deadline_seconds)

    monkeypatch.setattr(follower.wire, "request", request)
    await follower.sync.fetch_batches([BatchDigest(b"x" * 32)], rounds=12)
    assert follower.asked(BATCHES).count(PEERS[1]) == 1
    assert RANGE_BLOCKS_MAX < RANGE_BLOCKS_HARD_MAX


# --- several peers at once, and peers that do not have everything ---


async def test_ranges_come_from_several_peers_at_once_and_in_order(
    follower: Follower, server: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.sync, "RANGE_BLOCKS_MAX", 2)
    under_way: list[int] = []

    def served(method: int, payload: bytes) -> bytes:
        under_way.append(len(follower.ranges))
        return server.serve(method, payload)

    follower.wire.answers = dict.fromkeys(PEERS[1:], served)
    follower.sync._epoch_end = lambda: (follower.height // EPOCH_LENGTH + 1) * EPOCH_LENGTH
    async with at_work(follower):
        for peer in PEERS[1:]:
            follower.sync.heard(peer, 40)
        await eventually(lambda: follower.height >= 40 - BEHIND_HEIGHTS)
    heights = [event.blocks[0].header.height for event in follower.ranges]
    assert heights == list(range(1, heights[-1] + 1, 2))
    assert set(follower.asked(RANGE)) == set(PEERS[1:])
    assert under_way[:3] == [0, 0, 0]  # three were asked before the first was taken
    asked = [as_tuple(decode(payload))[0] for _, method, payload in follower.wire.asked if method == RANGE]
    assert len(asked) == len(set(asked))  # nothing beyond the end of an epoch, nothing twice
    assert follower.wire.blamed == []


async def test_a_liar_among_them_costs_its_own_range_only(
    follower: Follower, server: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.sync, "RANGE_BLOCKS_MAX", 2)
    forged = replace(certify(LONG[2]), signatures=certify(LONG[3]).signatures)
    follower.wire.answers = dict.fromkeys(PEERS[2:], server.serve)
    follower.wire.answers[PEERS[1]] = lambda method, payload: a_range(LONG[1:3], forged)
    async with at_work(follower):
        for peer in PEERS[1:]:
            follower.sync.heard(peer, 40)
        await eventually(lambda: follower.height >= 40 - BEHIND_HEIGHTS)
    assert follower.wire.guilty() == {PEERS[1]}


async def test_who_has_pruned_what_is_asked_says_so_and_is_neither_doubted_nor_asked_again(
    follower: Follower, server: Sync
) -> None:
    follower.wire.answers[PEERS[1]] = lambda method, payload: encode((40, 20, (), b""))
    follower.wire.peers = [PEERS[1]]
    async with at_work(follower):
        follower.sync.heard(PEERS[1], 40)
        await eventually(lambda: follower.asked(RANGE))
        await passes()
        assert follower.sync.behind()
        assert not follower.sync._doubts
        assert len(follower.asked(RANGE)) == 1
        follower.wire.answers[PEERS[2]] = server.serve
        follower.wire.peers.append(PEERS[2])
        follower.sync.heard(PEERS[2], 40)
        await eventually(lambda: follower.height >= 40 - BEHIND_HEIGHTS)
    assert follower.wire.blamed == []


async def test_a_height_below_which_its_peer_has_pruned_everything_is_believed_when_most_say_so(
    follower: Follower,
) -> None:
    """Who claims a height that nobody has, and to have nothing of what leads there, can show as little as others."""
    said = encode((INT_MAX, INT_MAX - 1, (), b""))
    follower.wire.answers = dict.fromkeys(PEERS[2:], lambda method, payload: encode((0, 0, (), b"")))
    follower.wire.answers[PEERS[1]] = lambda method, payload: said
    with capture_logs() as lines:
        async with at_work(follower):
            follower.sync.heard(PEERS[1], INT_MAX)
            await eventually(lambda: not follower.sync.behind())
            await passes()
            assert lines == []
            follower.wire.answers[PEERS[2]] = lambda method, payload: said
            follower.sync.heard(PEERS[2], INT_MAX)
            await eventually(lambda: lines)
            assert follower.sync.behind()
    assert [line["event"] for line in lines] == ["blocks_pruned"]
    assert follower.wire.blamed == []


async def test_it_is_said_that_nobody_has_a_block_any_more_only_when_who_is_linked_has_said_so(
    follower: Follower,
) -> None:
    said = encode((40, 20, (), b""))
    follower.wire.peers = []  # its hello is heard before its link is up
    with capture_logs() as lines:
        async with at_work(follower):
            follower.sync.heard(PEERS[1], 40)
            await passes()
            assert [line["event"] for line in lines] == []
            follower.wire.answers[PEERS[1]] = lambda method, payload: said
            follower.wire.peers.append(PEERS[1])
            await eventually(lambda: lines)
    assert [(line["event"], line["height"]) for line in lines] == [("blocks_pruned", 1)]


async def test_a_store_that_begins_later_serves_what_it_has_and_says_where_it_begins(tmp_path: Path) -> None:
    store = make_store(tmp_path, LONG)
    sync = Follower(store).sync
    store.prune((), 20)
    for low in (1, 20):
        assert decode(sync.serve(RANGE, encode((low,)))) == (40, 20, (), b"")
    _, base, blocks, _ = as_tuple(decode(sync.serve(RANGE, encode((21,)))))
    assert base == 20
    assert decode_block(blocks[0]).header.height == 21  # type: ignore[index]
    store.close()
