"""What goes over the wire: there and back, one form only, sizes bounded, every field counts."""

from dataclasses import fields, replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.committee import VALIDATORS_MAX
from consensus.crypto import SIGNATURE_BYTES, Signature
from consensus.encoding import DecodeError, decode, encode
from consensus.messages import (
    CERTIFICATES_ASKED_MAX,
    HASH_BYTES,
    JUSTIFICATIONS_MAX,
    NO_HASH,
    PAYLOAD_BYTES_MAX,
    VERSION_MAX,
    Block,
    Certificate,
    CertificateRequest,
    Hash,
    Header,
    Kind,
    Message,
    Proposal,
    Status,
    Vote,
    decode_block,
    decode_certificate,
    decode_header,
    decode_message,
    encode_certificate,
    encode_header,
    encode_message,
    header_hash,
    make_block,
    payload_hash,
    view_after,
    vote_statement,
)
from consensus.records import Intent, Reproposal, decode_record, encode_record
from consensus.verify import BYTES_MAX, MESSAGE_BYTES_MAX

NUMBERS: Final = st.integers(0, 300) | st.integers(0, 2**63 - 1)
VIEWS: Final = st.integers(1, 300) | st.integers(1, 2**63 - 1)
HASHES: Final = st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES).filter(any).map(Hash)
ANY_HASHES: Final = HASHES | st.just(NO_HASH)
SIGNATURES: Final = st.binary(min_size=SIGNATURE_BYTES, max_size=SIGNATURE_BYTES).map(Signature)
SIGNERS: Final = st.integers(0, VALIDATORS_MAX - 1)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    payload = draw(st.binary(max_size=100))
    header = Header(
        draw(ANY_HASHES),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(ANY_HASHES),
        draw(SIGNERS),
        draw(NUMBERS),
        draw(ANY_HASHES),
        draw(ANY_HASHES),
        draw(NUMBERS),
        draw(ANY_HASHES),
        payload_hash(payload),
        draw(st.integers(1, VERSION_MAX)),
    )
    return make_block(header, payload)


@st.composite
def votes(draw: st.DrawFn) -> Vote:
    kind = draw(st.sampled_from(Kind))
    named = NO_HASH if kind is Kind.NULLIFY else draw(HASHES)
    return Vote(kind, draw(NUMBERS), draw(VIEWS), named, draw(SIGNERS), draw(SIGNATURES))


@st.composite
def certificates(draw: st.DrawFn) -> Certificate:
    vote = draw(votes())
    signers = sorted(draw(st.sets(SIGNERS, max_size=VALIDATORS_MAX)))
    pairs = tuple((signer, Signature(bytes([signer]) * SIGNATURE_BYTES)) for signer in signers)
    return Certificate(vote.kind, vote.epoch, vote.view, vote.hash, pairs)


PROPOSALS: Final = st.builds(
    Proposal,
    NUMBERS,
    votes(),
    st.none() | blocks(),
    st.lists(certificates(), max_size=JUSTIFICATIONS_MAX).map(tuple),
    st.none() | certificates(),
)
REQUESTS: Final = st.builds(
    lambda epoch, low, span: CertificateRequest(epoch, low, low + span),
    NUMBERS,
    st.integers(0, 2**62),
    st.integers(0, CERTIFICATES_ASKED_MAX - 1),
)
STATUSES: Final = st.builds(Status, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
MESSAGES: Final = votes() | certificates() | PROPOSALS | REQUESTS | STATUSES


@given(MESSAGES)
def test_a_message_survives_the_wire(message: Message) -> None:
    data = encode_message(message)
    assert decode_message(data) == message
    assert encode_message(decode_message(data)) == data


@given(blocks())
def test_a_block_survives_the_wire_with_its_hash(block: Block) -> None:
    assert decode_block(block.encoded) == block
    assert decode_header(encode_header(block.header)) == block.header
    assert header_hash(block.header) == block.hash


@given(certificates())
def test_a_certificate_survives_the_store(certificate: Certificate) -> None:
    assert decode_certificate(encode_certificate(certificate)) == certificate


@given(
    certificates()
    | blocks()
    | st.builds(Reproposal, NUMBERS, NUMBERS, NUMBERS)
    | st.builds(Intent, st.sampled_from(Kind), NUMBERS, VIEWS, ANY_HASHES)
)
def test_a_record_survives_the_journal(record: Certificate | Block | Reproposal | Intent) -> None:
    """R41"""
    assert decode_record(encode_record(record)) == record


@given(blocks(), st.data())
def test_every_field_of_a_header_is_in_its_hash(block: Block, data: st.DataObject) -> None:
    """R2: a vote for the hash is a vote for all of it."""
    name = data.draw(st.sampled_from([field.name for field in fields(Header)]))
    before = getattr(block.header, name)
    if isinstance(before, int):
        after: object = (before + 1) % (VALIDATORS_MAX if name == "proposer" else 2**63)
    else:
        after = Hash(bytes([before[0] ^ 1]) + before[1:])
    assert header_hash(replace(block.header, **{name: after})) != block.hash  # type: ignore[arg-type]


@given(votes(), votes())
def test_votes_that_say_different_things_sign_different_bytes(first: Vote, second: Vote) -> None:
    """R2"""

    def statement(vote: Vote, genesis: bytes = bytes(32)) -> bytes:
        return vote_statement(genesis, vote.kind, vote.epoch, vote.view, vote.hash)

    said = [(vote.kind, vote.epoch, vote.view, vote.hash) for vote in (first, second)]
    assert (statement(first) == statement(second)) == (said[0] == said[1])
    assert statement(first) != statement(first, b"another network, another genesis")


def mutations(value: object) -> list[object]:
    """Each value that differs from this one in one place: another number, byte, type, length."""
    if isinstance(value, tuple):
        inner = [(*value[:i], changed, *value[i + 1 :]) for i, item in enumerate(value) for changed in mutations(item)]
        return [*inner, value[:-1], (*value, 0)]
    if isinstance(value, bool) or value is None:
        return [0, b""]
    if isinstance(value, int):
        return [value + 1, -1, True, None, b"\x01", 2**63]
    assert isinstance(value, bytes)
    return [value[:-1], value + b"\x00", bytes([value[0] ^ 1]) + value[1:] if value else b"x", None, 5]


@given(MESSAGES)
def test_a_message_changed_in_one_field_is_another_message_or_none(message: Message) -> None:
    """No field says what another already says, so none can contradict it unnoticed."""
    original = encode_message(message)
    for changed in mutations(decode(original))[:400]:
        try:
            data = encode(changed)
            if data == original:
                continue
            other = decode_message(data)
        except (DecodeError, OverflowError):
            continue
        assert other != message
        assert encode_message(other) == data


@given(st.binary(max_size=200))
def test_only_decode_error_comes_out_of_garbage(data: bytes) -> None:
    for decoder in (decode_message, decode_block, decode_certificate, decode_header, decode_record):
        with pytest.raises(DecodeError):
            decoder(data)


@given(MESSAGES, st.data())
def test_only_decode_error_comes_out_of_damage(message: Message, data: st.DataObject) -> None:
    damaged = bytearray(encode_message(message))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged)[: data.draw(st.integers(0, len(damaged)))]
    for candidate in (bytes(damaged), cut):
        try:
            assert encode_message(decode_message(candidate)) == candidate
        except DecodeError:
            pass


@given(votes())
def test_a_hash_stands_if_and_only_if_the_vote_is_no_nullify(vote: Vote) -> None:
    """R2"""
    wrong = Hash(b"h" * HASH_BYTES) if vote.kind is Kind.NULLIFY else NO_HASH
    with pytest.raises(DecodeError, match="NULLIFY"):
        decode_message(encode_message(replace(vote, hash=wrong)))


@pytest.mark.parametrize("signers", [(1, 0), (0, 0), (0, 2, 1), (VALIDATORS_MAX,), (-1,)])
def test_the_signers_of_a_certificate_ascend(signers: tuple[int, ...]) -> None:
    """R3"""
    pairs = tuple((signer, Signature(bytes(SIGNATURE_BYTES))) for signer in signers)
    with pytest.raises(DecodeError):
        decode_message(encode_message(Certificate(Kind.NULLIFY, 0, 1, NO_HASH, pairs)))


def test_a_block_whose_payload_is_not_its_headers_is_refused() -> None:
    header = Header(NO_HASH, 1, 1, 1, 0, NO_HASH, 0, 1, NO_HASH, NO_HASH, 0, NO_HASH, payload_hash(b"this"), 1)
    with pytest.raises(DecodeError, match="payload"):
        decode_block(encode((decode(encode_header(header)), b"that")))


def test_lists_and_payloads_are_bounded() -> None:
    """R49"""
    header = Header(NO_HASH, 1, 1, 1, 0, NO_HASH, 0, 1, NO_HASH, NO_HASH, 0, NO_HASH, NO_HASH, 1)
    fat = bytes(PAYLOAD_BYTES_MAX + 1)
    with pytest.raises(DecodeError):
        decode_block(encode((decode(encode_header(replace(header, payload_hash=payload_hash(fat)))), fat)))
    vote = Vote(Kind.NOTARIZE, 0, 5, Hash(b"h" * 32), 0, Signature(bytes(64)))
    small = Certificate(Kind.NULLIFY, 0, 1, NO_HASH, ())
    with pytest.raises(DecodeError):
        decode_message(encode_message(Proposal(0, vote, None, (small,) * (JUSTIFICATIONS_MAX + 1), None)))
    with pytest.raises(DecodeError):
        decode_message(encode_message(CertificateRequest(0, 5, 5 + CERTIFICATES_ASKED_MAX)))
    with pytest.raises(DecodeError):
        decode_message(encode_message(CertificateRequest(0, 5, 4)))
    for view in (0, -1, 2**63):
        with pytest.raises(DecodeError):
            decode_message(encode_message(replace(vote, view=view)))


def test_the_largest_message_of_each_type_is_within_its_limit() -> None:
    """R49: a limit that honest messages break would stop the network."""
    most, named = 2**63 - 1, Hash(b"\xff" * 32)
    signature = Signature(b"\xff" * 64)
    vote = Vote(Kind.FINALIZE, most, most, named, VALIDATORS_MAX - 1, signature)
    full = tuple((signer, signature) for signer in range(VALIDATORS_MAX))
    certificate = Certificate(Kind.FINALIZE, most, most, named, full)
    payload = bytes(PAYLOAD_BYTES_MAX)
    header = Header(
        *(named, most, most, most, most, named, VALIDATORS_MAX - 1, most, named, named, most, named),
        payload_hash(payload),
        VERSION_MAX,
    )
    proposal = Proposal(most, vote, make_block(header, payload), (certificate,) * JUSTIFICATIONS_MAX, certificate)
    request, status = CertificateRequest(most, most - 63, most), Status(most, most, most, most)
    for message in (vote, certificate, proposal, request, status):
        data = encode_message(message)
        assert len(data) <= BYTES_MAX[data[1]] <= MESSAGE_BYTES_MAX
        assert BYTES_MAX[data[1]] <= 2 * len(data), "a limit that limits"


def test_a_finalize_vote_says_that_its_signer_is_in_the_next_view() -> None:
    """R34"""
    vote = Vote(Kind.FINALIZE, 0, 5, Hash(b"h" * 32), 0, Signature(bytes(64)))
    assert view_after(vote) == 6
    assert view_after(replace(vote, kind=Kind.NOTARIZE)) == 5
