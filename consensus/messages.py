"""What validators sign and send to agree on a chain, and its wire form.

One rule: no field says what another already determines. A block is named by the hash of its header, a vote commits to
everything through that hash, and lengths are never carried beside what they measure.

Every ``decode_*`` raises DecodeError and bounds its sizes; the caller has bounded the bytes.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NewType

from consensus.committee import VALIDATORS_MAX
from consensus.crypto import SIGNATURE_BYTES, Signature
from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, digest, encode

Hash = NewType("Hash", bytes)  # 32 bytes

HASH_BYTES: Final = 32
NO_HASH: Final = Hash(bytes(HASH_BYTES))
VERSION_MAX: Final = 2**16 - 1  # of the protocol; which one a block may have is its application's to say
PAYLOAD_BYTES_MAX: Final = 64 * 1024  # 256 batch references of at most 64 bytes, and room
JUSTIFICATIONS_MAX: Final = 10  # the parent's certificate and the nullifications of up to 9 skipped views
CERTIFICATES_ASKED_MAX: Final = 64  # views in one request; an answer stays below 200 kB at 31 validators


class Kind(IntEnum):
    """What a vote or a certificate says of a view."""

    NOTARIZE = 0
    NULLIFY = 1
    FINALIZE = 2


@dataclass(frozen=True, slots=True)
class Header:
    """A block's place in the chain and what it commits to.

    ``state_root`` is the root after executing the final height ``executed_height`` < ``height``.
    ``next_validators_hash`` is NO_HASH but at an epoch's last height. ``timestamp_ms`` is Unix time. ``version`` is the
    protocol's, the same for a whole epoch.
    """

    genesis_hash: Hash
    epoch: int
    view: int
    height: int
    parent_view: int
    parent_hash: Hash
    proposer: int
    timestamp_ms: int
    validators_hash: Hash
    next_validators_hash: Hash
    executed_height: int
    state_root: Hash
    payload_hash: Hash
    version: int


@dataclass(frozen=True, slots=True)
class Block:
    """A header and the payload that it commits to; ``hash`` names it, ``encoded`` is its wire form."""

    header: Header
    payload: bytes
    hash: Hash
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Vote:
    """One validator's signed statement on a view. ``hash`` is NO_HASH for NULLIFY."""

    kind: Kind
    epoch: int
    view: int
    hash: Hash
    signer: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class Certificate:
    """A quorum of equal votes. ``signatures`` pairs signer and signature, signers strictly ascending.

    Certificates of one (kind, epoch, view, hash) with different signers are interchangeable: never compare their bytes.
    """

    kind: Kind
    epoch: int
    view: int
    hash: Hash
    signatures: tuple[tuple[int, Signature], ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A leader's block for a view, with the proof that it may stand there.

    ``vote`` is the leader's own NOTARIZE and carries epoch, view and hash. ``block`` is None when an epoch's last block
    is proposed again. ``justification`` holds the parent's certificate and nullifications of skipped views.
    """

    parent_view: int
    vote: Vote
    block: Block | None
    justification: tuple[Certificate, ...]
    finalization: Certificate | None


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """Asks for certificates of the views ``low`` to ``high``, both included, CERTIFICATES_ASKED_MAX at the most."""

    epoch: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Status:
    """Where a validator is: a hint, never a proof."""

    epoch: int
    view: int
    finalized_view: int
    finalized_height: int


Message = Vote | Certificate | Proposal | CertificateRequest | Status

_VOTE, _CERTIFICATE, _PROPOSAL, _REQUEST, _STATUS = range(5)


def vote_statement(genesis_hash: bytes, kind: Kind, epoch: int, view: int, block_hash: bytes) -> bytes:
    """Return the bytes that a vote signs. The network and the epoch are inside, so no vote counts elsewhere. R2."""
    return b"som-vote-1" + encode((genesis_hash, int(kind), epoch, view, block_hash))


def view_after(vote: Vote) -> int:
    """Return the view in which the signer of ``vote`` is at least: who finalizes a view has left it."""
    return vote.view + 1 if vote.kind is Kind.FINALIZE else vote.view


def certified_votes(certificate: Certificate) -> list[Vote]:
    """Return the votes that a certificate is made of."""
    subject = (certificate.kind, certificate.epoch, certificate.view, certificate.hash)
    return [Vote(*subject, signer, signature) for signer, signature in certificate.signatures]


def make_block(header: Header, payload: bytes) -> Block:
    """Return the block of ``header`` and ``payload``. Asserts that the header commits to the payload."""
    assert header.payload_hash == payload_hash(payload)
    fields = _header_fields(header)
    return Block(header, payload, _header_hash(fields), encode((fields, payload)))


def payload_hash(payload: bytes) -> Hash:
    """Return what a header commits to for ``payload``."""
    return Hash(digest(b"som-payload-1", payload))


def header_hash(header: Header) -> Hash:
    """Return the hash that names the block with this header: all that a client needs to check a certificate."""
    return _header_hash(_header_fields(header))


def encode_header(header: Header) -> bytes:
    """Return the wire form of a header alone."""
    return encode(_header_fields(header))


def decode_header(data: bytes) -> Header:
    """Return the header that ``data`` encodes."""
    return _header(decode(data))


def decode_block(data: bytes) -> Block:
    """Return the block that ``data`` encodes; its payload is the one that its header commits to."""
    fields, payload = as_tuple(decode(data), 2)
    header = _header(fields)
    payload = as_bytes(payload, most=PAYLOAD_BYTES_MAX)
    if payload_hash(payload) != header.payload_hash:
        raise DecodeError("the payload is not the header's")
    return Block(header, payload, _header_hash(fields), data)


def encode_certificate(certificate: Certificate) -> bytes:
    """Return the wire form of a certificate alone, as stored beside the block that it finalizes."""
    return encode(_certificate_fields(certificate))


def decode_certificate(data: bytes) -> Certificate:
    """Return the certificate that ``data`` encodes. Its signatures and weight are not checked here."""
    return _certificate(decode(data))


def encode_message(message: Message) -> bytes:
    """Return the wire form of a message: an array that starts with its type."""
    match message:
        case Vote():
            return encode((_VOTE, *_vote_fields(message)))
        case Certificate():
            return encode((_CERTIFICATE, *_certificate_fields(message)))
        case Proposal():
            return encode((_PROPOSAL, *_proposal_fields(message)))
        case CertificateRequest():
            return encode((_REQUEST, message.epoch, message.low, message.high))
        case Status():
            return encode((_STATUS, message.epoch, message.view, message.finalized_view, message.finalized_height))


def decode_message(data: bytes) -> Message:
    """Return the message that ``data`` encodes. Nothing signed is checked here."""
    kind, *fields = as_tuple(decode(data), most=16) or (None,)
    match as_int(kind):  # True == 1, and would match
        case 0:
            return _vote(tuple(fields))
        case 1:
            return _certificate(tuple(fields))
        case 2:
            return _proposal(tuple(fields))
        case 3:
            return _request(tuple(fields))
        case 4:
            return Status(*(as_int(field) for field in as_tuple(tuple(fields), 4)))
        case _:
            raise DecodeError("unknown message")


def _header_fields(header: Header) -> tuple[object, ...]:
    return (
        header.version,
        header.genesis_hash,
        header.epoch,
        header.view,
        header.height,
        header.parent_view,
        header.parent_hash,
        header.proposer,
        header.timestamp_ms,
        header.validators_hash,
        header.next_validators_hash,
        header.executed_height,
        header.state_root,
        header.payload_hash,
    )


def _header_hash(fields: object) -> Hash:
    return Hash(digest(b"som-block-1", encode(fields)))


def _header(value: object) -> Header:
    (
        version,
        genesis,
        epoch,
        view,
        height,
        parent_view,
        parent,
        proposer,
        timestamp,
        validators,
        following,
        done,
        root,
        payload,
    ) = as_tuple(value, 14)
    return Header(
        _hash(genesis),
        as_int(epoch),
        as_int(view),
        as_int(height),
        as_int(parent_view),
        _hash(parent),
        as_int(proposer, 0, VALIDATORS_MAX - 1),
        as_int(timestamp),
        _hash(validators),
        _hash(following),
        as_int(done),
        _hash(root),
        _hash(payload),
        as_int(version, 1, VERSION_MAX),
    )


def _vote_fields(vote: Vote) -> tuple[object, ...]:
    return (int(vote.kind), vote.epoch, vote.view, vote.hash, vote.signer, vote.signature)


def _vote(value: object) -> Vote:
    kind, epoch, view, block_hash, signer, signature = as_tuple(value, 6)
    return Vote(
        *_subject(kind, epoch, view, block_hash),
        as_int(signer, 0, VALIDATORS_MAX - 1),
        Signature(as_bytes(signature, SIGNATURE_BYTES)),
    )


def _certificate_fields(certificate: Certificate) -> tuple[object, ...]:
    return (int(certificate.kind), certificate.epoch, certificate.view, certificate.hash, certificate.signatures)


def _certificate(value: object) -> Certificate:
    kind, epoch, view, block_hash, pairs = as_tuple(value, 5)
    signatures = []
    last = -1
    for pair in as_tuple(pairs, most=VALIDATORS_MAX):
        signer, signature = as_tuple(pair, 2)
        last = as_int(signer, last + 1, VALIDATORS_MAX - 1)
        signatures.append((last, Signature(as_bytes(signature, SIGNATURE_BYTES))))
    return Certificate(*_subject(kind, epoch, view, block_hash), tuple(signatures))


def _proposal_fields(proposal: Proposal) -> tuple[object, ...]:
    return (
        proposal.parent_view,
        _vote_fields(proposal.vote),
        None if proposal.block is None else proposal.block.encoded,
        tuple(_certificate_fields(certificate) for certificate in proposal.justification),
        None if proposal.finalization is None else _certificate_fields(proposal.finalization),
    )


def _proposal(value: object) -> Proposal:
    parent_view, vote, block, justification, finalization = as_tuple(value, 5)
    return Proposal(
        as_int(parent_view),
        _vote(vote),
        None if block is None else decode_block(as_bytes(block)),
        tuple(_certificate(item) for item in as_tuple(justification, most=JUSTIFICATIONS_MAX)),
        None if finalization is None else _certificate(finalization),
    )


def _request(value: object) -> CertificateRequest:
    epoch, low, high = as_tuple(value, 3)
    low = as_int(low)
    return CertificateRequest(as_int(epoch), low, as_int(high, low, low + CERTIFICATES_ASKED_MAX - 1))


def _subject(kind: object, epoch: object, view: object, block_hash: object) -> tuple[Kind, int, int, Hash]:
    what = Kind(as_int(kind, 0, 2))
    named = _hash(block_hash)
    if (named == NO_HASH) != (what is Kind.NULLIFY):
        raise DecodeError("a hash stands if and only if the vote is no NULLIFY")
    return what, as_int(epoch), as_int(view, 1), named


def _hash(value: object) -> Hash:
    return Hash(as_bytes(value, HASH_BYTES))
