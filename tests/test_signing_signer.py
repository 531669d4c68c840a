"""The signer itself, and its words: what it signs, what it refuses, when it never signs again."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.crypto import PublicKey, SecretKey, Signature, verify
from consensus.encoding import DecodeError, encode
from consensus.events import SignVote
from consensus.messages import NO_HASH, Hash, Kind, vote_statement
from node.batches import author_signed, batch_body, signed_batch
from node.ledger.validators import readiness_statement
from node.signing.requests import (
    ANSWER_BYTES_MAX,
    REQUEST_BYTES_MAX,
    Answer,
    Declined,
    Known,
    Memory,
    Request,
    Seen,
    SignBatch,
    Signed,
    SignReadiness,
    Suspended,
    decode_answer,
    decode_hello,
    decode_request,
    decode_welcome,
    encode_answer,
    encode_hello,
    encode_request,
    encode_welcome,
)
from node.signing.signer import OwnSigner
from node.storage.errors import GuardError, StorageFailed
from node.storage.files import Disk
from node.storage.guard import Guard
from node.storage.suspension import Suspension
from tests.node_parts import genesis, pay
from tests.storage_crashes import UnsyncedDisk

KEY, OTHER = SecretKey(b"k" * 32), SecretKey(b"o" * 32)
A, B = Hash(b"a" * 32), Hash(b"b" * 32)
GENESIS = genesis().hash


def fresh(directory: Path, disk: Disk | None = None) -> OwnSigner:
    Guard.create(directory / "guard", KEY.public, GENESIS, disk or UnsyncedDisk())
    return opened(directory, disk)


def opened(directory: Path, disk: Disk | None = None) -> OwnSigner:
    path, disk = directory / "guard", disk or UnsyncedDisk()
    guard = Guard.open(path, KEY.public, GENESIS, disk)
    return OwnSigner(KEY, guard, Suspension(path, disk), GENESIS)


def seen(view: int, block: Hash = A, kind: Kind = Kind.NOTARIZE, epoch: int = 0, key: SecretKey = KEY) -> Seen:
    statement = vote_statement(GENESIS, kind, epoch, view, block)
    return Seen(kind, epoch, view, block, key.sign(statement))


def test_each_kind_is_signed_under_its_own_domain(tmp_path: Path) -> None:
    signer = fresh(tmp_path)
    vote = signer.answer(SignVote(Kind.NOTARIZE, 0, 5, A))
    assert isinstance(vote, Signed)
    assert verify(KEY.public, vote_statement(GENESIS, Kind.NOTARIZE, 0, 5, A), vote.signature)
    body = batch_body(KEY.public, 1, 2, [pay().raw])
    batch = signer.answer(SignBatch(body))
    assert isinstance(batch, Signed)
    assert author_signed(signed_batch(GENESIS, body, batch.signature))
    ready = signer.answer(SignReadiness("nbkr", bytes(32), 7, B))
    assert isinstance(ready, Signed)
    assert verify(KEY.public, readiness_statement(GENESIS, "nbkr", bytes(32), 7, B), ready.signature)
    signer.guard.close()


@pytest.mark.parametrize(
    "body", [b"", b"x" * 32, encode((1, 2)), batch_body(OTHER.public, 1, 2, [b"t"]), batch_body(KEY.public, 1, 2, [])]
)
def test_what_is_no_batch_of_this_key_is_not_signed(tmp_path: Path, body: bytes) -> None:
    signer = fresh(tmp_path)
    assert isinstance(signer.answer(SignBatch(body)), Declined)
    signer.guard.close()


def test_a_refusal_of_the_guard_is_an_answer_and_the_next_vote_is_signed(tmp_path: Path) -> None:
    signer = fresh(tmp_path)
    assert isinstance(signer.answer(SignVote(Kind.NOTARIZE, 0, 5, A)), Signed)
    assert isinstance(signer.answer(SignVote(Kind.NOTARIZE, 0, 5, B)), Declined)
    assert isinstance(signer.answer(SignVote(Kind.FINALIZE, 0, 5, A)), Signed)
    assert isinstance(signer.answer(SignVote(Kind.NULLIFY, 0, 5, NO_HASH)), Declined)
    assert signer.memory == Memory(KEY.public, (0, 5), False, "")
    signer.guard.close()


# --- a vote under our key that is not ours ---


def test_a_vote_that_we_made_or_can_never_make_again_is_no_alarm(tmp_path: Path) -> None:
    signer = fresh(tmp_path)
    assert isinstance(signer.answer(SignVote(Kind.NOTARIZE, 0, 5, A)), Signed)
    assert signer.answer(seen(5)) == Known()
    signer.guard.rebase(1, 0)
    assert signer.answer(seen(7, B)) == Known()
    assert isinstance(signer.answer(seen(9, key=OTHER, epoch=2)), Declined), "of another key, or of nobody"
    assert signer.memory.suspended == ""
    signer.guard.close()


@pytest.mark.parametrize(
    ("foreign", "what"),
    [
        (seen(5, B), "another block in a view where we voted"),
        (seen(6), "a vote in a view where we said nothing"),
        (seen(5, A, Kind.FINALIZE), "another kind"),
        (seen(5, A, epoch=1), "another epoch"),
    ],
)
def test_a_vote_that_we_did_not_make_silences_the_key_over_every_restart(
    tmp_path: Path, foreign: Seen, what: str
) -> None:
    signer = fresh(tmp_path)
    assert isinstance(signer.answer(SignVote(Kind.NOTARIZE, 0, 5, A)), Signed)
    assert isinstance(signer.answer(foreign), Suspended), what
    for life in range(3):
        for request in (SignVote(Kind.NOTARIZE, 0, 5, A), SignBatch(batch_body(KEY.public, 1, 2, [b"t"])), foreign):
            assert isinstance(signer.answer(request), Suspended), (what, life)
        assert signer.memory.suspended
        signer.guard.close()
        signer = opened(tmp_path)
    signer.guard.close()


def test_a_suspension_that_cannot_be_written_still_silences_this_process(tmp_path: Path) -> None:
    class Full(UnsyncedDisk):
        full = False

        def create(self, path: Path) -> int:
            if self.full:
                raise StorageFailed("create: No space left on device")
            return super().create(path)

    disk = Full()
    signer = fresh(tmp_path, disk)
    disk.full = True
    with pytest.raises(StorageFailed):
        signer.answer(seen(5))
    disk.full = False
    assert isinstance(signer.answer(SignVote(Kind.NOTARIZE, 0, 6, A)), Suspended)
    signer.guard.close()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": 0}', "x" * 5_000])
def test_a_suspension_that_cannot_be_read_opens_nothing(tmp_path: Path, text: str) -> None:
    fresh(tmp_path).guard.close()
    path = tmp_path / "guard.suspended"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(GuardError):
        opened(tmp_path)


def test_a_suspension_ends_by_taking_it_away(tmp_path: Path) -> None:
    signer = fresh(tmp_path)
    assert isinstance(signer.answer(seen(5)), Suspended)
    Suspension(tmp_path / "guard").end()
    signer.guard.close()
    signer = opened(tmp_path)
    assert isinstance(signer.answer(SignVote(Kind.NOTARIZE, 0, 6, A)), Signed)
    signer.guard.close()


# --- the wire form ---

hashes = st.binary(min_size=32, max_size=32).filter(any).map(Hash)
numbers = st.integers(0, 2**63 - 1)
views = st.integers(1, 2**63 - 1)
signatures = st.binary(min_size=64, max_size=64).map(Signature)
votes = st.one_of(
    st.builds(SignVote, st.sampled_from([Kind.NOTARIZE, Kind.FINALIZE]), numbers, views, hashes),
    st.builds(SignVote, st.just(Kind.NULLIFY), numbers, views, st.just(NO_HASH)),
)
requests = st.one_of(
    votes,
    st.builds(SignBatch, st.binary(max_size=200)),
    st.builds(SignReadiness, st.text(max_size=64), hashes, numbers, hashes),
    st.builds(lambda vote, proof: Seen(vote.kind, vote.epoch, vote.view, vote.hash, proof), votes, signatures),
)
reasons = st.text(max_size=200)
answers = st.one_of(
    st.builds(Signed, signatures), st.just(Known()), st.builds(Declined, reasons), st.builds(Suspended, reasons)
)
memories = st.builds(Memory, hashes.map(PublicKey), st.tuples(numbers, numbers), st.booleans(), reasons)


@given(numbers, requests)
def test_a_request_is_read_as_it_was_written(number: int, request: Request) -> None:
    data = encode_request(number, request)
    assert len(data) <= REQUEST_BYTES_MAX
    assert decode_request(data) == (number, request)


@given(numbers, answers)
def test_an_answer_is_read_as_it_was_written(number: int, answer: Answer) -> None:
    data = encode_answer(number, answer)
    assert len(data) <= ANSWER_BYTES_MAX
    assert decode_answer(data) == (number, answer)


@given(memories)
def test_a_welcome_is_read_as_it_was_written(memory: Memory) -> None:
    assert decode_welcome(encode_welcome(memory)) == memory
    assert decode_welcome(encode_welcome(None, "busy")) == "busy"


@given(st.one_of(st.binary(max_size=300), requests.map(lambda request: encode_request(1, request))), st.data())
def test_any_bytes_are_a_frame_or_a_decode_error(data: bytes, draw: st.DataObject) -> None:
    if data and draw.draw(st.booleans()):
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw.draw(st.binary(max_size=3)) + data[at + 1 :]
    for decoder in (decode_request, decode_answer, decode_hello, decode_welcome):
        try:
            decoder(data)
        except DecodeError:
            pass


@pytest.mark.parametrize(
    "fields",
    [
        (1, 0, 3, 0, 1, A),  # no kind of vote: REBASE is none
        (1, 0, 0, 0, 1, NO_HASH),
        (1, 0, 1, 0, 1, A),
        (1, 0, 0, 0, 0, A),
        (1, 0, 0, 0, 1, A[:31]),
        (1, 4, b"anything"),
        (1, True, b"body"),
        (1, 0),
        (1,),
        (),
    ],
)
def test_what_is_not_asked_in_the_one_form_is_refused(fields: tuple[object, ...]) -> None:
    with pytest.raises(DecodeError):
        decode_request(encode(fields))


def test_a_hello_of_another_version_is_refused() -> None:
    assert decode_hello(encode_hello(GENESIS)) == GENESIS
    with pytest.raises(DecodeError):
        decode_hello(encode((2, GENESIS)))


def test_a_memory_shows_no_secret(tmp_path: Path) -> None:
    signer = fresh(tmp_path)
    shown = f"{signer.memory!r} {signer.key!r} {replace(signer.memory, suspended='x')!r}"
    assert (b"k" * 32).hex() not in shown
    assert "k" * 32 not in shown
    assert os.path.lexists(tmp_path / "guard")
    signer.guard.close()
