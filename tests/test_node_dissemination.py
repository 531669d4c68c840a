"""node/dissemination.py: transactions of clients into batches, batches of validators into the pool."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

import node.dissemination
from consensus.crypto import SecretKey
from network.wire import PeerId
from node.batches import (
    AUTHOR_BATCHES_MAX,
    AUTHOR_BYTES_MAX,
    BATCH_LIFE_HEIGHTS,
    DIGESTS_ASKED_MAX,
    Batch,
    BatchDigest,
    BatchInvalid,
    BatchPool,
    decode_batch,
    decode_batch_message,
    encode_acknowledgement,
    encode_batch_message,
    make_batch,
)
from node.checks import Lane, SignatureChecks
from node.dissemination import AHEAD_HEIGHTS, AUTHOR_VERIFYING_MIN, VERIFYING_MAX, Dissemination, Observing, Submission
from node.ledger.errors import Code, Refused
from node.ledger.transaction import Transaction, assemble, decode_transaction, sign_body
from node.ledger.versions import NEWEST
from node.members import Members
from node.mempool import Full, Mempool, Stage
from tests.node_parts import (
    PEERS,
    START_MS,
    Wire,
    batch_of,
    eventually,
    genesis,
    key_at,
    members,
    passes,
    pay,
    running,
    signer_at,
)
from tests.test_node_checks import spoilt

ME = 0


@dataclass
class Book:
    """The ledger as this room sees it: refuses what a test says."""

    refused: dict[bytes, Refused] = field(default_factory=dict)

    def admit(self, transaction: Transaction, now_ms: int) -> None:
        if transaction.expires_ms <= now_ms:
            raise Refused(Code.EXPIRED)
        if transaction.id in self.refused:
            raise self.refused[transaction.id]


class Room:
    """A Dissemination with all that it needs. Its checks run when a test says so."""

    def __init__(self, transactions_max: int = 1_000, workers: int = 0) -> None:
        self.wire = Wire()
        self.pool = BatchPool(members(), PEERS[ME])
        self.mempool = Mempool(transactions_max, 10_000_000, lambda number: None)
        self.checks = SignatureChecks(workers)
        self.book = Book()
        self.kept: list[Batch] = []
        self.accused: list[tuple[Batch, int]] = []
        self.changes = 0
        self.height = 100
        self.now_ms = START_MS
        self.part = Dissemination(
            genesis_hash=genesis().hash,
            members=members(),
            me=PEERS[ME],
            signer=signer_at(ME),
            pool=self.pool,
            mempool=self.mempool,
            checks=self.checks,
            ledger=self.book,
            links=self.wire,
            keep=self._keep,
            on_batch=self._changed,
            height=lambda: self.height,
            now_ms=lambda: self.now_ms,
            first_sequence=7,
            accuse=lambda batch, index: self.accused.append((batch, index)),
        )

    def _keep(self, batch: Batch) -> None:
        assert batch.digest not in self.pool, "held before it was kept"
        self.kept.append(batch)

    def _changed(self) -> None:
        self.changes += 1

    def arrive(self, author: int, *transactions: Transaction, base_height: int = 100) -> Batch:
        batch = batch_of(author, *(transactions or (pay(),)), base_height=base_height)
        self.part.on_message(PEERS[author], encode_batch_message(batch))
        return batch

    def messages(self, to: PeerId | None = None) -> list[Batch | tuple[BatchDigest, ...]]:
        return [decode_batch_message(genesis().hash, data) for peer, data in self.wire.sent if peer == to]

    def acknowledged(self, to: PeerId | None = None) -> list[BatchDigest]:
        return [name for message in self.messages(to) if not isinstance(message, Batch) for name in message]

    def batches(self, to: PeerId | None = None) -> list[Batch]:
        return [message for message in self.messages(to) if isinstance(message, Batch)]

    async def submit(self, *transactions: Transaction) -> Sequence[Submission]:
        return await self.part.submit([transaction.raw for transaction in transactions])


@asynccontextmanager
async def at_work(room: Room) -> AsyncIterator[Room]:
    async with running(room.part.run(), room.checks.run()):
        yield room


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with at_work(Room()) as room:
        yield room


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send again after moments."""
    monkeypatch.setattr(node.dissemination, "RESEND_SECONDS", 0.02)
    monkeypatch.setattr(node.dissemination, "RESEND_SECONDS_MAX", 0.08)


def codes(answers: Sequence[Submission]) -> list[Code | str]:
    return [
        answer.code if isinstance(answer, Refused) else "full" if isinstance(answer, Full) else "taken"
        for answer in answers
    ]


# --- transactions of clients ---


async def test_what_a_client_submits_is_batched_signed_kept_and_sent_to_all(room: Room) -> None:
    first, second = pay(), pay()
    assert codes(await room.submit(first, second)) == ["taken", "taken"]
    await eventually(room.batches)
    (batch,) = room.batches()
    assert batch.raw_transactions == (first.raw, second.raw)
    assert (batch.author, batch.sequence, batch.base_height) == (key_at(ME).public, 7, 100)
    assert room.kept == [batch]
    assert batch.digest in room.pool
    await eventually(room.acknowledged)
    assert room.acknowledged() == [batch.digest]


async def test_each_refusal_says_why(room: Room) -> None:
    unknown, again, late = pay(), pay(), pay(expires_ms=START_MS)
    room.book.refused = {unknown.id: Refused(Code.NO_ACCOUNT), again.id: Refused(Code.DUPLICATE)}
    answers = await room.part.submit([unknown.raw, again.raw, late.raw, spoilt(pay()).raw, b"nonsense", pay().raw])
    assert codes(answers) == [
        Code.NO_ACCOUNT,
        Code.DUPLICATE,
        Code.EXPIRED,
        Code.SIGNATURE,
        Code.MALFORMED,
        "taken",
    ]
    assert len(room.mempool) == 1


async def test_a_duplicate_is_named(room: Room) -> None:
    again = pay()
    room.book.refused = {again.id: Refused(Code.DUPLICATE)}
    (answer,) = await room.submit(again)
    assert isinstance(answer, Refused)
    assert answer.original == again.id


async def test_a_full_mempool_says_come_later() -> None:
    async with at_work(Room(transactions_max=100)) as room:
        answers = await room.submit(*(pay() for _ in range(101)))
        # Half of the room is one unknown bank's; the ledger would have refused it as unknown.
        assert codes(answers) == ["taken"] * 50 + [Code.QUOTA] * 51


async def test_what_has_no_room_is_not_judged() -> None:
    async with at_work(Room(transactions_max=100)) as room:
        await room.submit(*(pay() for _ in range(50)))
        unknown = pay()
        room.book.refused = {unknown.id: Refused(Code.NO_ACCOUNT)}
        assert codes(await room.submit(unknown)) == [Code.QUOTA]
        assert len(room.mempool) == 50


async def test_what_is_refused_takes_no_room(room: Room) -> None:
    unknown = pay()
    room.book.refused = {unknown.id: Refused(Code.NO_ACCOUNT)}
    assert codes(await room.submit(unknown)) == [Code.NO_ACCOUNT]
    assert len(room.mempool) == 0
    assert room.mempool.bytes == 0


async def test_who_submits_while_the_checks_are_full_is_told_to_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.dissemination, "QUEUED_CHECKS_MAX", 3)
    room = Room()
    three = [pay() for _ in range(3)]
    waiting = asyncio.create_task(room.submit(*three))
    await passes()
    assert codes(await room.submit(pay())) == ["full"]
    async with at_work(room):
        assert codes(await waiting) == ["taken"] * 3
        assert codes(await room.submit(pay())) == ["taken"]


async def test_what_is_in_the_mempool_already_is_taken_and_batched_once(room: Room) -> None:
    one = pay()
    assert codes(await room.submit(one, one)) == ["taken", "taken"]
    assert codes(await room.submit(one)) == ["taken"]
    await eventually(room.batches)
    assert codes(await room.submit(one)) == ["taken"]
    await eventually(lambda: not room.mempool.has_ready())
    assert [batch.raw_transactions for batch in room.batches()] == [(one.raw,)]


async def test_a_transaction_with_spoilt_signatures_does_not_shadow_the_true_one() -> None:
    """An id does not cover the signatures: a stranger who sees a body could send it first, badly signed."""
    room = Room()
    true = pay()
    false = spoilt(true)
    assert true.id == false.id
    first = asyncio.create_task(room.submit(false))
    await passes()
    second = asyncio.create_task(room.submit(true))
    await passes()
    async with at_work(room):
        assert codes(await first) == [Code.SIGNATURE]
        assert codes(await second) == ["taken"]
        await eventually(room.batches)
        assert room.batches()[0].raw_transactions == (true.raw,)


async def test_the_same_transaction_badly_signed_twice_is_refused_twice(room: Room) -> None:
    false = spoilt(pay())
    assert codes(await room.submit(false, false)) == [Code.SIGNATURE, Code.SIGNATURE]
    assert len(room.mempool) == 0


async def test_a_cancelled_submit_leaves_nothing_behind() -> None:
    room = Room()
    one, two = pay(), pay()
    gone = asyncio.create_task(room.submit(one, two))
    await passes()
    assert len(room.mempool) == 2
    gone.cancel()
    await asyncio.wait((gone,))
    assert len(room.mempool) == 0
    assert room.mempool.bytes == 0
    async with at_work(room):
        await eventually(lambda: room.checks.queued(Lane.CLIENTS) == 0)
        assert room.batches() == []
        assert codes(await room.submit(one)) == ["taken"]


async def test_who_submits_the_same_as_one_who_has_gone_is_not_forgotten_with_it() -> None:
    room = Room()
    one = pay()
    first = asyncio.create_task(room.submit(one))
    await passes()
    second = asyncio.create_task(room.submit(one))
    await passes()
    first.cancel()
    async with at_work(room):
        assert codes(await second) == ["taken"]
        await eventually(room.batches)
    assert one.id in room.mempool


async def test_a_client_that_follows_anothers_check_and_goes_disturbs_nobody() -> None:
    room = Room()
    one = pay()
    first = asyncio.create_task(room.submit(one))
    await passes()
    second = asyncio.create_task(room.submit(one))
    await passes()
    second.cancel()
    async with at_work(room):
        assert codes(await first) == ["taken"]
        await eventually(room.batches)


async def test_the_transactions_of_a_batch_that_expires_unused_go_into_another(room: Room) -> None:
    one = pay()
    await room.submit(one)
    await eventually(room.batches)
    room.height += BATCH_LIFE_HEIGHTS
    stale = room.pool.expire(room.height)
    room.part.expired(stale)
    await eventually(lambda: len(room.batches()) == 2)
    assert room.batches()[1].raw_transactions == (one.raw,)
    assert room.batches()[1].base_height == room.height


async def test_an_executed_batch_frees_the_mempool_whatever_became_of_it(room: Room) -> None:
    await room.submit(pay(), pay())
    await eventually(room.batches)
    held = list(room.pool.held())
    room.pool.forget([each.batch.digest for each in held])
    room.part.executed(held)
    assert len(room.mempool) == 0


async def test_our_own_batches_are_bounded_too_and_go_on_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.dissemination, "BATCH_TRANSACTIONS_MAX", 1)
    async with at_work(Room()) as room:
        transactions = [pay() for _ in range(AUTHOR_BATCHES_MAX + 3)]
        await room.submit(*transactions)
        await eventually(lambda: not room.pool.has_room(key_at(ME).public, 1))
        await passes()
        assert len(room.pool) <= AUTHOR_BATCHES_MAX
        held = list(room.pool.held())
        room.pool.forget([each.batch.digest for each in held])
        room.part.executed(held)
        await eventually(lambda: not room.mempool.has_ready())
        assert room.part.batches_made == len(transactions)


async def test_a_flood_waits_here_and_not_at_all_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.dissemination, "BATCH_TRANSACTIONS_MAX", 1)
    monkeypatch.setattr(node.dissemination, "_OWN_ROOM", AUTHOR_BYTES_MAX - 1_000)
    async with at_work(Room()) as room:
        transactions = [pay() for _ in range(20)]

        def sizes() -> list[int]:
            return [len(held.batch.encoded) for held in room.pool.held()]

        await room.submit(*transactions)
        await eventually(lambda: sum(sizes()) > 1_000)
        await passes()
        assert sum(sizes()[:-1]) <= 1_000
        assert room.mempool.has_ready()
        while room.mempool.has_ready():
            held = list(room.pool.held())
            room.pool.forget([each.batch.digest for each in held])
            room.part.executed(held)
            await eventually(lambda: sum(sizes()) > 1_000 or not room.mempool.has_ready())
        assert room.part.batches_made == len(transactions)


# --- batches of validators ---


async def test_a_good_batch_is_kept_held_and_acknowledged_to_all(room: Room) -> None:
    batch = room.arrive(2)
    await eventually(room.acknowledged)
    assert room.kept == [batch]
    assert batch.digest in room.pool
    assert room.acknowledged() == [batch.digest]
    assert room.changes > 0
    assert room.wire.blamed == []


async def test_a_batch_of_another_author_than_its_sender_is_refused(room: Room) -> None:
    for sender, batch in ((1, batch_of(2, pay())), (1, batch_of(ME, pay()))):
        with pytest.raises(BatchInvalid):
            room.part.on_message(PEERS[sender], encode_batch_message(batch))
    stranger = make_batch(genesis().hash, SecretKey(b"nobody".ljust(32)), 1, 100, [pay().raw])
    with pytest.raises(BatchInvalid):
        room.part.on_message(PEERS[1], encode_batch_message(stranger))


async def test_a_batch_that_its_author_did_not_sign_is_blamed_on_who_sent_it(room: Room) -> None:
    batch = batch_of(3, pay())
    forged = bytearray(batch.encoded)
    forged[0] ^= 1
    room.part.on_message(PEERS[3], b"\0" + bytes(forged))
    await eventually(lambda: room.wire.blamed)
    assert room.wire.guilty() == {PEERS[3]}
    assert len(room.pool) == 0
    assert room.acknowledged() == []
    room.part.on_message(PEERS[3], encode_batch_message(batch))  # the true one is still welcome
    await eventually(lambda: batch.digest in room.pool)


@pytest.mark.parametrize("bad", ["signature", "malformed"])
async def test_an_invalid_transaction_under_a_good_author_signature_is_blamed_on_the_author(
    room: Room, bad: str
) -> None:
    raws = [pay().raw, spoilt(pay()).raw if bad == "signature" else b"nonsense"]
    lie = make_batch(genesis().hash, key_at(2), 1, 100, raws)
    room.part.on_message(PEERS[2], encode_batch_message(lie))
    await eventually(lambda: room.wire.blamed)
    assert room.wire.guilty() == {PEERS[2]}
    assert room.part.batches_invalid == 1
    room.arrive(2)
    honest = room.arrive(1)
    await eventually(lambda: honest.digest in room.pool)
    assert [held.batch for held in room.pool.held()] == [honest]  # the liar is heard no more
    assert room.kept == [honest]


async def test_what_a_liar_sent_before_it_was_caught_is_not_even_checked() -> None:
    room = Room()
    lie = make_batch(genesis().hash, key_at(2), 1, 100, [b"nonsense"])
    room.part.on_message(PEERS[2], encode_batch_message(lie))
    for _ in range(20):
        room.arrive(2)
    async with at_work(room):
        await eventually(lambda: PEERS[2] not in room.part._arrived)
    assert room.checks.checked == 0
    assert len(room.pool) == 0


async def test_malformed_bytes_are_refused(room: Room) -> None:
    for data in (b"", b"\0", b"\0" + b"x" * 100, b"\1\xc0", b"\2"):
        with pytest.raises(BatchInvalid):
            room.part.on_message(PEERS[1], data)


async def test_the_same_batch_twice_at_once_is_verified_once() -> None:
    """Two copies in one read of the network: the second comes before anybody looked at the first."""
    room = Room()
    batch = batch_of(1, pay(), base_height=100)
    for _ in range(3):
        room.part.on_message(PEERS[1], encode_batch_message(batch))
    async with at_work(room):
        await eventually(lambda: batch.digest in room.pool)
        await passes()
    assert room.checks.checked == 1
    assert room.kept == [batch]


async def test_a_batch_that_is_fetched_while_it_arrives_is_verified_once() -> None:
    room = Room()
    batch = batch_of(1, pay(), base_height=100)
    room.part.on_message(PEERS[1], encode_batch_message(batch))
    both = [asyncio.create_task(room.part.fetched(batch)) for _ in range(2)]
    await passes()
    async with at_work(room):
        assert await asyncio.gather(*both) == [True, True]
        await passes()
    assert room.checks.checked == 1
    assert room.kept == [batch]


async def test_a_batch_that_comes_again_when_its_block_is_executed_is_not_verified_again() -> None:
    room = Room()
    batch = batch_of(1, pay(), base_height=100)
    room.part.on_message(PEERS[1], encode_batch_message(batch))  # it waits while a fetch of the same is quicker
    room.pool.finalized([batch.digest], 101)
    room.pool.forget([batch.digest])
    async with at_work(room):
        await passes()
        assert await room.part.fetched(batch), "who gave it is not to blame"
    assert room.checks.checked == 0
    assert room.kept == []


async def test_a_batch_that_is_sent_again_is_acknowledged_again(room: Room) -> None:
    batch = room.arrive(1)
    await eventually(room.acknowledged)
    room.part.on_message(PEERS[1], encode_batch_message(batch))
    room.part.on_message(PEERS[1], encode_batch_message(batch))
    await eventually(lambda: len(room.acknowledged()) == 2)  # once more, however often it came in between
    assert room.kept == [batch]


async def test_acknowledgements_make_a_batch_work(room: Room) -> None:
    batch = room.arrive(1)
    await eventually(lambda: batch.digest in room.pool)
    before = room.changes
    room.part.on_message(PEERS[1], encode_acknowledgement([batch.digest]))
    assert room.changes == before, "no quorum holds it yet"
    room.part.on_message(PEERS[3], encode_acknowledgement([batch.digest]))
    assert room.pool.has_work(101)
    assert room.changes == before + 1
    room.part.on_message(PEERS[2], encode_acknowledgement([batch.digest]))
    assert room.changes == before + 1, "it was work before"


async def test_acknowledgements_go_at_once_and_then_together(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.dissemination, "ACKNOWLEDGE_SECONDS", 0.5)
    first = room.arrive(1)
    await eventually(lambda: room.acknowledged() == [first.digest])
    several = [room.arrive(1, pay(index)) for index in range(3)]
    await eventually(lambda: all(each.digest in room.pool for each in several))
    await eventually(lambda: len(room.acknowledged()) == 4)
    frames = [message for message in room.messages() if not isinstance(message, Batch)]
    assert frames == [(first.digest,), tuple(each.digest for each in several)]


async def test_a_batch_too_old_or_too_far_ahead_is_dropped_unread(room: Room) -> None:
    room.height = 2_000
    room.arrive(1, base_height=2_000 - BATCH_LIFE_HEIGHTS)
    room.arrive(1, base_height=2_001 + AHEAD_HEIGHTS)
    edges = [
        room.arrive(1, base_height=2_001 - BATCH_LIFE_HEIGHTS),
        room.arrive(1, base_height=2_000 + AHEAD_HEIGHTS),
    ]
    await eventually(lambda: all(batch.digest in room.pool for batch in edges))
    assert room.checks.checked == 2
    assert room.wire.blamed == []


async def test_a_batch_of_a_final_block_is_not_wanted_any_more(room: Room) -> None:
    batch = batch_of(1, pay(), base_height=100)
    room.pool.finalized([batch.digest], 101)
    room.part.on_message(PEERS[1], encode_batch_message(batch))
    other = room.arrive(2)
    await eventually(lambda: other.digest in room.pool)
    assert room.checks.checked == 1


async def test_a_flooding_author_has_its_quota_and_takes_nobody_elses() -> None:
    room = Room()
    most = VERIFYING_MAX // len(members())
    for _ in range(3 * most):
        room.arrive(1)
    honest = room.arrive(2)
    async with at_work(room):
        await eventually(lambda: honest.digest in room.pool and PEERS[1] not in room.part._arrived)
        assert len(room.pool) == most + 1
        while len(room.pool) < AUTHOR_BATCHES_MAX + 1:
            room.arrive(1)
            await passes()
        for _ in range(20):
            room.arrive(1)
        await eventually(lambda: PEERS[1] not in room.part._arrived)
        assert len(room.pool) == AUTHOR_BATCHES_MAX + 1
    assert room.wire.blamed == []
    assert most > AUTHOR_VERIFYING_MIN


# --- fetching, sending again, coming back ---


async def test_a_fetched_batch_with_a_wrong_signature_is_not_taken_and_blames_not_its_author(room: Room) -> None:
    batch = batch_of(2, pay())
    forged = decode_batch(genesis().hash, b"\1" * 64 + batch.encoded[64:])
    assert forged.digest == batch.digest
    assert not await room.part.fetched(forged)
    assert room.wire.blamed == []
    assert len(room.pool) == 0
    assert await room.part.fetched(batch)


async def test_a_fetched_batch_is_taken_whatever_the_bounds(room: Room) -> None:
    room.height = 5_000
    old = batch_of(2, pay(), base_height=1)
    for _ in range(AUTHOR_BATCHES_MAX):
        room.pool.add(batch_of(2, pay()), ())
    assert await room.part.fetched(old)
    assert old.digest in room.pool


async def test_a_fetched_batch_with_an_invalid_transaction_convicts_its_author(room: Room) -> None:
    lie = make_batch(genesis().hash, key_at(2), 1, 100, [spoilt(pay()).raw])
    assert not await room.part.fetched(lie)
    assert room.wire.guilty() == {PEERS[2]}


async def test_a_batch_goes_again_to_who_has_not_acknowledged_it_less_and_less_often(soon: None) -> None:
    async with at_work(Room()) as room:
        await room.submit(pay())
        await eventually(room.batches)
        (batch,) = room.batches()
        room.part.on_message(PEERS[1], encode_acknowledgement([batch.digest]))
        await eventually(lambda: len(room.batches(PEERS[2])) >= 3 and len(room.batches(PEERS[3])) >= 3)
        assert room.batches(PEERS[1]) == []
        assert room.part._resend[batch.digest][1] == 0.08
        room.part.on_message(PEERS[2], encode_acknowledgement([batch.digest]))
        room.part.on_message(PEERS[3], encode_acknowledgement([batch.digest]))
        assert room.part._resend == {}


async def test_a_batch_of_an_earlier_life_is_sent_again(soon: None) -> None:
    room = Room()
    ours, theirs = batch_of(ME, pay()), batch_of(1, pay())
    for batch in (ours, theirs):
        room.pool.add(batch, ())
    async with at_work(room):
        await eventually(lambda: room.batches(PEERS[1]) and room.batches(PEERS[2]) and room.batches(PEERS[3]))
    assert {batch.digest for peer in PEERS[1:] for batch in room.batches(peer)} == {ours.digest}


async def test_who_comes_back_hears_what_we_hold_and_gets_what_is_ours(room: Room) -> None:
    theirs = [batch_of(1, pay()) for _ in range(DIGESTS_ASKED_MAX + 1)]
    ours, known = batch_of(ME, pay()), batch_of(ME, pay())
    for batch in (*theirs, ours, known):
        room.pool.add(batch, ())
    room.pool.acknowledge(known.digest, PEERS[2])
    room.part.on_connected(PEERS[2])
    assert set(room.acknowledged(PEERS[2])) == {batch.digest for batch in (*theirs, ours, known)}
    assert room.batches(PEERS[2]) == [ours]
    assert room.wire.blamed == []


async def test_a_transaction_waits_in_the_mempool_until_its_fate_is_known(room: Room) -> None:
    one = pay()
    await room.submit(one)
    await eventually(room.batches)
    assert room.mempool._waiting[one.id].stage is Stage.BATCHED


async def test_more_signatures_than_needed_are_all_checked(room: Room) -> None:
    one = pay()
    signatures = [*one.signatures, sign_body(b"\1" * 32, one.body, 0, key_at(1))]
    extra = decode_transaction(assemble(one.body, signatures), genesis().hash)
    assert codes(await room.submit(extra)) == [Code.SIGNATURE]


# --- epochs ---


def without(*indices: int) -> Members:
    """Return the committee of epoch 1, in which some of the first one are missing."""
    rows = [row for index, row in enumerate(members().rows) if index not in indices]
    return Members(1, rows, True, NEWEST)


async def test_an_observer_takes_nothing_from_clients_and_says_so(room: Room) -> None:
    """R53, R55"""
    room.part.begin_epoch(without(ME))
    (answer,) = await room.submit(pay())
    assert isinstance(answer, Observing)
    assert len(room.mempool) == 0
    assert room.wire.sent == []


async def test_what_waits_at_who_is_removed_is_let_go_of_but_for_what_is_final() -> None:
    """R55"""
    room = Room()
    async with at_work(room):
        waiting, batched, final = pay(), pay(), pay()
        await room.submit(batched)
        await eventually(lambda: room.batches())
        await room.submit(final)
        await eventually(lambda: len(room.batches()) == 2)
        named = room.batches()[1]
        room.pool.finalized([named.digest], 101)
        room.pool.has_room = lambda *_: False  # type: ignore[method-assign]
        await room.submit(waiting)
        gone = room.part.begin_epoch(without(ME))
        assert set(gone) == {waiting.id, batched.id}
        assert room.mempool.waiting() == [final.id]
        assert [held.batch for held in room.pool.held()] == [named]
        assert set(room.part._resend) == {named.digest}
    room.part.executed(list(room.pool.held()))
    assert len(room.mempool) == 0


async def test_a_check_that_ends_after_the_last_epoch_is_not_told_as_taken() -> None:
    """R55"""
    room = Room()
    asking = asyncio.create_task(room.submit(pay()))
    await passes()
    room.part.begin_epoch(without(ME))
    async with at_work(room):
        (answer,) = await asking
    assert isinstance(answer, Observing)
    assert len(room.mempool) == 0


async def test_an_observer_holds_batches_and_acknowledges_them_when_it_counts() -> None:
    """R53, R54"""
    room = Room()
    room.part.begin_epoch(without(ME))
    async with at_work(room):
        batch = room.arrive(2)
        await eventually(lambda: batch.digest in room.pool)
        await asyncio.sleep(3 * node.dissemination.ACKNOWLEDGE_SECONDS)
        room.part.on_connected(PEERS[1])
        assert room.wire.sent == []
        room.part.begin_epoch(members(2))
        await eventually(lambda: room.acknowledged() == [batch.digest])
    assert room.kept == [batch]


async def test_batches_of_who_is_no_member_are_left_alone_and_nobody_is_blamed() -> None:
    """R53: it may be in an epoch that we have not begun."""
    room = Room()
    room.part.begin_epoch(without(3))
    async with at_work(room):
        batch = room.arrive(3)
        room.part.on_message(PEERS[3], encode_acknowledgement([batch.digest]))
        await passes()
    assert batch.digest not in room.pool
    assert room.wire.blamed == []
    with pytest.raises(BatchInvalid):
        room.part.on_message(PEERS[2], encode_batch_message(batch))  # a member sends its own


async def test_a_final_blocks_batch_is_taken_though_its_author_is_gone() -> None:
    """R54"""
    room = Room()
    room.part.begin_epoch(without(3))
    named, other = batch_of(3, pay()), batch_of(3, pay())
    room.pool.finalized([named.digest], 90)
    async with at_work(room):
        assert await room.part.fetched(named)
        assert not await room.part.fetched(other)
    assert named.digest in room.pool
    assert other.digest not in room.pool


async def test_a_batch_that_is_checked_while_its_authors_last_epoch_ends_is_dropped() -> None:
    """R54"""
    room = Room()
    batch = batch_of(3, pay())
    fetching = asyncio.create_task(room.part.fetched(batch))
    await passes()
    room.part.begin_epoch(without(3))
    async with at_work(room):
        assert not await fetching
    assert batch.digest not in room.pool


async def test_our_batches_are_sent_again_until_the_members_of_this_epoch_hold_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room()
    monkeypatch.setattr(node.dissemination, "RESEND_SECONDS", 0.02)
    async with at_work(room):
        await room.submit(pay())
        await eventually(lambda: room.batches())
        (ours,) = room.batches()
        room.part.begin_epoch(without(3))
        await eventually(lambda: room.batches(PEERS[1]) and room.batches(PEERS[2]))
        assert room.batches(PEERS[3]) == []
        for peer in PEERS[1:3]:
            room.part.on_message(peer, encode_acknowledgement([ours.digest]))
        assert ours.digest not in room.part._resend
