"""node/batches.py: the bytes of batches and payloads, and the pool's bounds and arithmetic."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.encoding import DecodeError, encode
from consensus.messages import Block, Hash
from network.wire import PeerId
from node.batches import (
    AUTHOR_BATCHES_MAX,
    AUTHOR_BYTES_MAX,
    BATCH_BYTES_MAX,
    BATCH_LIFE_HEIGHTS,
    BATCH_TRANSACTIONS_MAX,
    BLOCK_BATCHES_MAX,
    BLOCK_BYTES_MAX,
    BLOCK_TRANSACTIONS_MAX,
    DIGESTS_ASKED_MAX,
    EMPTY_PAYLOAD,
    Batch,
    BatchDigest,
    BatchPool,
    author_signed,
    decode_batch,
    decode_batch_message,
    decode_digests,
    decode_payload,
    decode_transactions,
    encode_acknowledgement,
    encode_batch_message,
    encode_payload,
    make_batch,
    named_in_ancestors,
)
from node.ledger.errors import Refused
from node.ledger.genesis import Validator as Row
from node.ledger.transaction import TRANSACTION_BYTES_MAX, Transaction
from node.ledger.versions import NEWEST
from node.members import Members
from tests.node_parts import PEERS, batch_of, block_zero, child, genesis, key_at, members, pay

GENESIS = genesis().hash
OBSERVER = PeerId(b"o" * 32)


def names(count: int, first: int = 0) -> list[BatchDigest]:
    return [BatchDigest((first + number).to_bytes(32, "big")) for number in range(count)]


def bare(
    author: int, size: int = 100, base_height: int = 0, transactions: int = 1
) -> tuple[Batch, tuple[Transaction, ...]]:
    """Return a batch and as many transactions as it claims to have; the pool does not look into either."""
    batch = batch_of(author, pay(), base_height=base_height)
    padded = Batch(
        batch.digest,
        batch.author,
        batch.sequence,
        batch.base_height,
        batch.raw_transactions,
        batch.signature,
        batch.encoded.ljust(size, b"\0"),
    )
    return padded, (pay(),) * transactions


def pool_with(
    *batches: tuple[Batch, tuple[Transaction, ...]], me: PeerId = PEERS[0], held_by: Sequence[PeerId] = PEERS
) -> BatchPool:
    pool = BatchPool(members(), me)
    for batch, transactions in batches:
        pool.add(batch, transactions)
        for holder in held_by:
            pool.acknowledge(batch.digest, holder)
    return pool


def nothing(_: BatchDigest) -> bool:
    return False


# --- bytes ---


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_a_batch_comes_back_as_it_was_made(sequence: int, base_height: int, raws: list[bytes]) -> None:
    made = make_batch(GENESIS, key_at(2), sequence, base_height, raws)
    assert decode_batch(GENESIS, made.encoded) == made
    assert decode_batch_message(GENESIS, encode_batch_message(made)) == made
    assert author_signed(made)


@given(st.data())
def test_a_changed_byte_makes_another_batch_that_nobody_signed(data: st.DataObject) -> None:
    made = batch_of(1, pay(salt=1), sequence=1)
    place = data.draw(st.integers(0, len(made.encoded) - 1))
    changed = bytearray(made.encoded)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        batch = decode_batch(GENESIS, bytes(changed))
    except DecodeError:
        return
    assert batch != made
    assert not author_signed(batch)


def test_a_batch_of_another_network_is_not_signed() -> None:
    made = batch_of(1, pay())
    elsewhere = decode_batch(b"\1" * 32, made.encoded)
    assert elsewhere.digest != made.digest
    assert not author_signed(elsewhere)


@pytest.mark.parametrize(
    "body",
    [
        (b"a" * 32, 0, 0, ()),
        (b"a" * 31, 0, 0, (b"x",)),
        (b"a" * 32, -1, 0, (b"x",)),
        (b"a" * 32, 0, 2**63, (b"x",)),
        (b"a" * 32, True, 0, (b"x",)),
        (b"a" * 32, 0, 0, ("x",)),
        (b"a" * 32, 0, 0, b"x"),
        (b"a" * 32, 0, 0, (b"x",), 0),
        (b"a" * 32, 0, 0, (b"",) * (BATCH_TRANSACTIONS_MAX + 1)),
        (b"a" * 32, 0, 0, (b"x" * (TRANSACTION_BYTES_MAX + 1),)),
    ],
)
def test_a_batch_of_another_shape_is_no_batch(body: object) -> None:
    with pytest.raises(DecodeError):
        decode_batch(GENESIS, b"s" * 64 + encode(body))


def test_a_batch_above_its_size_is_refused_before_it_is_read() -> None:
    with pytest.raises(DecodeError, match=str(BATCH_BYTES_MAX)):
        decode_batch(GENESIS, bytes(BATCH_BYTES_MAX + 1))
    with pytest.raises(DecodeError):
        decode_batch(GENESIS, bytes(64))


def test_the_largest_transaction_fits_into_a_batch() -> None:
    made = make_batch(GENESIS, key_at(0), 2**62, 2**62, [bytes(TRANSACTION_BYTES_MAX)])
    assert decode_batch(GENESIS, made.encoded) == made


def test_a_batch_that_is_not_canonical_is_no_batch() -> None:
    body = encode((key_at(0).public, 5, 0, (b"x",)))
    assert decode_batch(GENESIS, b"s" * 64 + body).sequence == 5
    with pytest.raises(DecodeError):
        decode_batch(GENESIS, b"s" * 64 + body.replace(b"\x05\x00\x91", b"\xcc\x05\x00\x91"))


@given(st.binary(max_size=400), st.sampled_from([b"", b"\0", b"\1", b"\2"]))
def test_whatever_a_peer_sends_only_a_decode_error_escapes(data: bytes, prefix: bytes) -> None:
    for decode in (decode_batch, decode_batch_message):
        try:
            decode(GENESIS, prefix + data)
        except DecodeError:
            pass
    for read in (decode_payload, decode_digests):
        try:
            read(prefix + data)
        except DecodeError:
            pass


def test_a_transaction_that_is_malformed_is_refused_by_its_batch() -> None:
    batch = make_batch(GENESIS, key_at(0), 1, 0, [pay().raw, b"nonsense"])
    with pytest.raises(Refused):
        decode_transactions(GENESIS, batch)


def test_a_payload_names_each_batch_once_and_not_too_many() -> None:
    most = names(BLOCK_BATCHES_MAX)
    assert decode_payload(encode_payload(most)) == tuple(most)
    assert decode_payload(EMPTY_PAYLOAD) == ()
    with pytest.raises(DecodeError):
        decode_payload(encode_payload(names(BLOCK_BATCHES_MAX + 1)))
    with pytest.raises(DecodeError, match="twice"):
        decode_payload(encode_payload([most[0], most[0]]))
    with pytest.raises(DecodeError):
        decode_payload(encode([b"x" * 31]))


def test_an_acknowledgement_names_no_more_than_may_be_asked() -> None:
    most = tuple(names(DIGESTS_ASKED_MAX))
    assert decode_batch_message(GENESIS, encode_acknowledgement(most)) == most
    with pytest.raises(DecodeError):
        decode_batch_message(GENESIS, encode_acknowledgement(names(DIGESTS_ASKED_MAX + 1)))


def test_a_message_of_unknown_type_is_refused() -> None:
    for data in (b"", b"\2", b"\xff" + batch_of(0, pay()).encoded):
        with pytest.raises(DecodeError):
            decode_batch_message(GENESIS, data)


# --- the pool ---


def test_an_author_has_room_for_so_many_batches_and_bytes() -> None:
    pool = BatchPool(members(), PEERS[0])
    author = key_at(1).public
    for _ in range(AUTHOR_BATCHES_MAX):
        assert pool.has_room(author, 100)
        pool.add(*bare(1))
    assert not pool.has_room(author, 100)
    assert pool.has_room(key_at(2).public, 100)
    assert pool.has_room(key_at(2).public, AUTHOR_BYTES_MAX)
    assert not pool.has_room(key_at(2).public, AUTHOR_BYTES_MAX + 1)
    assert pool.has_room(key_at(2).public, 100, AUTHOR_BATCHES_MAX)
    assert not pool.has_room(key_at(2).public, 100, AUTHOR_BATCHES_MAX + 1)


def test_letting_go_gives_the_room_back() -> None:
    pool = BatchPool(members(), PEERS[0])
    author = key_at(1).public
    big = bare(1, AUTHOR_BYTES_MAX)
    pool.add(*big)
    assert not pool.has_room(author, 1)
    pool.forget([big[0].digest])
    pool.forget([big[0].digest])
    assert pool.has_room(author, AUTHOR_BYTES_MAX, AUTHOR_BATCHES_MAX)
    assert len(pool) == 0


def test_a_batch_that_comes_twice_is_counted_once() -> None:
    pool = BatchPool(members(), PEERS[0])
    batch, transactions = bare(1, AUTHOR_BYTES_MAX // 2)
    pool.add(batch, transactions)
    pool.add(batch, transactions)
    assert len(pool) == 1
    assert pool.has_room(key_at(1).public, AUTHOR_BYTES_MAX // 2)


def test_a_batch_is_work_when_a_quorum_holds_it_and_not_before() -> None:
    batch, transactions = bare(1)
    pool = BatchPool(members(), PEERS[0])
    pool.add(batch, transactions)
    assert not pool.acknowledge(batch.digest, PEERS[1])
    assert not pool.acknowledge(batch.digest, PEERS[1])
    assert not pool.has_work(1)
    assert pool.includable(1, nothing) == []
    assert pool.acknowledge(batch.digest, PEERS[3])
    assert pool.has_work(1)
    assert not pool.acknowledge(batch.digest, PEERS[2]), "it was work before"
    assert [held.batch for held in pool.includable(1, nothing)] == [batch]


def test_acknowledgements_that_come_before_the_batch_count() -> None:
    batch, transactions = bare(1)
    pool = BatchPool(members(), PEERS[0])
    pool.acknowledge(batch.digest, PEERS[1])
    pool.acknowledge(batch.digest, PEERS[2])
    pool.add(batch, transactions)
    held = pool.get(batch.digest)
    assert held is not None
    assert held.holders == set(PEERS[:3])
    assert held.holders_weight == 3


def test_who_acknowledges_inventions_pushes_out_nobody_elses_word() -> None:
    batch, transactions = bare(1)
    pool = BatchPool(members(), PEERS[0])
    pool.acknowledge(batch.digest, PEERS[1])
    pool.acknowledge(batch.digest, PEERS[2])
    for name in names(10 * AUTHOR_BATCHES_MAX):
        pool.acknowledge(name, PEERS[3])
    pool.add(batch, transactions)
    assert pool.has_work(1)


@pytest.mark.parametrize(
    ("inventions", "counts"), [(4 * AUTHOR_BATCHES_MAX - 1, True), (4 * AUTHOR_BATCHES_MAX, False)]
)
def test_the_word_of_one_validator_for_batches_to_come_is_bounded(inventions: int, counts: bool) -> None:
    """Of four validators each may be far ahead with the batches of all; what it said first is let go of first."""
    batch, transactions = bare(1)
    pool = BatchPool(members(), PEERS[0])
    for name in (batch.digest, *names(inventions)):
        pool.acknowledge(name, PEERS[3])
    pool.add(batch, transactions)
    held = pool.get(batch.digest)
    assert held is not None
    assert held.holders == ({PEERS[0], PEERS[3]} if counts else {PEERS[0]})


def weighing(*weights: int, epoch: int = 0, absent: Sequence[int] = ()) -> Members:
    """Return the committee of validators 0, 1 ... with these weights, of which some are absent; a fifth is made up."""
    rows = [*members().rows, Row("fifth", b"5" * 32, OBSERVER, 1)]
    chosen = [replace(rows[index], weight=weight) for index, weight in enumerate(weights) if index not in absent]
    return Members(epoch, chosen, True, NEWEST)


def test_the_quorum_is_one_of_weight() -> None:
    light, heavy = OBSERVER, PEERS
    batch, transactions = bare(1)
    pool = BatchPool(weighing(5, 5, 5, 5, 1), PeerId(b"nobody".ljust(32)))
    pool.add(batch, transactions)
    for holder in (light, *heavy[:2]):
        pool.acknowledge(batch.digest, holder)
    assert not pool.has_work(1)  # 11 of 21, three of five
    pool.acknowledge(batch.digest, heavy[2])
    assert pool.has_work(1)


# --- epochs ---


def test_another_committee_weighs_the_same_holders_anew() -> None:
    """R54"""
    batch = bare(0)
    pool = pool_with(batch, held_by=PEERS[:2])
    pool.acknowledge(batch[0].digest, OBSERVER)
    assert not pool.has_work(1)  # two of four, and one who does not count
    assert pool.begin_epoch(weighing(1, 1, 1, 1, 1, epoch=1, absent=(3,))) == []
    assert pool.has_work(1)  # three of four
    pool.begin_epoch(weighing(1, 1, 5, 5, 1, epoch=2))
    assert not pool.has_work(1)
    assert pool.includable(1, nothing) == []


def test_an_acknowledgement_of_who_becomes_a_member_before_the_batch_comes_counts() -> None:
    batch = bare(0)
    pool = BatchPool(members(), PEERS[0])
    for holder in (OBSERVER, PEERS[1]):
        pool.acknowledge(batch[0].digest, holder)
    pool.begin_epoch(weighing(1, 1, 1, 1, 1, epoch=1, absent=(3,)))
    pool.add(*batch)
    assert pool.has_work(1)


def test_batches_of_a_removed_author_are_let_go_of_unless_a_final_block_names_them() -> None:
    """R54"""
    kept, named, dropped = bare(0), bare(3), bare(3)
    pool = pool_with(kept, named, dropped)
    pool.finalized([named[0].digest], 5)
    gone = pool.begin_epoch(weighing(1, 1, 1, 1, epoch=1, absent=(3,)))
    assert [held.batch for held in gone] == [dropped[0]]
    assert {held.batch.digest for held in pool.held()} == {kept[0].digest, named[0].digest}
    assert pool.has_room(key_at(3).public, AUTHOR_BYTES_MAX - len(named[0].encoded))
    assert [held.batch for held in pool.includable(6, nothing)] == [kept[0]]


def test_a_batch_of_an_author_who_is_not_known_yet_waits_and_is_no_work() -> None:
    """After a restart with a store that is behind: its author was a member in the last life, and will be again. R54"""
    batch = bare(3)
    pool = BatchPool(weighing(1, 1, 1, 1, absent=(3,)), PEERS[0])
    pool.add(*batch)
    for holder in PEERS:
        pool.acknowledge(batch[0].digest, holder)
    assert not pool.has_work(1)
    assert pool.includable(1, nothing) == []
    pool.begin_epoch(members(1))
    assert pool.has_work(1)


def test_the_oldest_batches_are_included_first_and_up_to_the_bounds_of_a_block() -> None:
    many = [bare(index % 4, 100) for index in range(BLOCK_BATCHES_MAX + 5)]
    chosen = pool_with(*many).includable(1, nothing)
    assert [held.batch for held in chosen] == [batch for batch, _ in many[:BLOCK_BATCHES_MAX]]

    large = [bare(index % 4, BLOCK_BYTES_MAX // 2) for index in range(3)]
    assert len(pool_with(*large).includable(1, nothing)) == 2

    full = [bare(index % 4, 100, transactions=BATCH_TRANSACTIONS_MAX) for index in range(9)]
    assert len(pool_with(*full).includable(1, nothing)) == BLOCK_TRANSACTIONS_MAX // BATCH_TRANSACTIONS_MAX


def test_what_an_ancestor_names_or_a_final_block_is_not_included_again() -> None:
    first, second, third = bare(0), bare(1), bare(2)
    pool = pool_with(first, second, third)
    pool.finalized([first[0].digest], 1)
    chosen = pool.includable(2, {second[0].digest}.__contains__)
    assert [held.batch for held in chosen] == [third[0]]


def test_a_batch_that_is_fetched_for_a_final_block_is_no_work() -> None:
    batch = bare(1)
    pool = BatchPool(members(), PEERS[0])
    pool.finalized([batch[0].digest], 1)
    pool.add(*batch)
    for holder in PEERS:
        pool.acknowledge(batch[0].digest, holder)
    assert batch[0].digest in pool
    assert not pool.has_work(2)
    assert pool.includable(2, nothing) == []


def test_what_is_let_go_of_is_no_work_any_more() -> None:
    executed, expired = bare(0), bare(1)
    pool = pool_with(executed, expired)
    pool.forget([executed[0].digest])
    assert [held.batch for held in pool.includable(1, nothing)] == [expired[0]]
    pool.expire(BATCH_LIFE_HEIGHTS)
    assert pool.includable(1, nothing) == []
    assert not pool.has_work(1)


def test_a_batch_lives_from_its_base_for_so_many_heights() -> None:
    batch = bare(1, base_height=10)
    pool = pool_with(batch)
    assert pool.includable(10, nothing) == []
    assert len(pool.includable(11, nothing)) == 1
    assert len(pool.includable(10 + BATCH_LIFE_HEIGHTS, nothing)) == 1
    assert pool.includable(11 + BATCH_LIFE_HEIGHTS, nothing) == []
    assert pool.expire(9 + BATCH_LIFE_HEIGHTS) == []
    assert [held.batch for held in pool.expire(10 + BATCH_LIFE_HEIGHTS)] == [batch[0]]
    assert len(pool) == 0
    assert pool.has_room(key_at(1).public, AUTHOR_BYTES_MAX)


def test_a_batch_based_on_a_height_to_come_is_no_work_yet() -> None:
    pool = pool_with(bare(1, base_height=60))
    assert not pool.has_work(1)
    assert not pool.has_work(60)
    assert pool.has_work(61)
    assert not pool.has_work(61 + BATCH_LIFE_HEIGHTS)


def test_what_is_final_is_known_as_long_as_a_block_could_name_it_again() -> None:
    pool = BatchPool(members(), PEERS[0])
    first, second = names(2)
    pool.finalized([first], 5)
    pool.finalized([second], 6)
    pool.finalized([], 4 + BATCH_LIFE_HEIGHTS)
    assert pool.is_final(first)
    pool.finalized([], 5 + BATCH_LIFE_HEIGHTS)  # its base is below 5: no later block may name it
    assert not pool.is_final(first)
    assert pool.is_final(second)


def test_a_batch_that_waits_for_execution_does_not_expire() -> None:
    batch = bare(1)
    pool = pool_with(batch)
    pool.finalized([batch[0].digest], BATCH_LIFE_HEIGHTS)
    assert pool.expire(BATCH_LIFE_HEIGHTS) == []
    assert batch[0].digest in pool


def test_a_batch_that_comes_after_its_block_was_executed_takes_no_room() -> None:
    batch = bare(1)
    pool = BatchPool(members(), PEERS[0])
    pool.finalized([batch[0].digest], 3)
    pool.add(*batch)  # fetched, because its block is to be executed
    assert batch[0].digest in pool
    pool.forget([batch[0].digest])
    pool.add(*batch)  # and now from its author, late
    assert len(pool) == 0
    other = bare(1)
    pool.finalized([other[0].digest], 4)
    pool.add(*other)
    assert other[0].digest in pool


def test_the_batches_of_ancestors_are_found_down_to_the_final_block() -> None:
    root = block_zero()
    first, second, third = names(3)
    one = child(root, encode_payload([first]))
    two = child(one, encode_payload([second]))
    three = child(two, encode_payload([third]))
    blocks = {block.hash: block for block in (root, one, two, three)}

    def block_of(block_hash: bytes) -> Block | None:
        return blocks.get(Hash(block_hash))

    assert named_in_ancestors(three, 1, block_of) == frozenset([second, third])
    assert named_in_ancestors(three, 0, block_of) == frozenset([first, second, third])
    assert named_in_ancestors(root, 0, block_of) == frozenset()
    del blocks[two.hash]
    assert named_in_ancestors(three, 0, block_of) is None
