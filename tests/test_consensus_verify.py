"""Nothing reaches the core that was not signed by who sent it, and nothing unwanted costs a signature check."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus import crypto, verify
from consensus.crypto import Signature
from consensus.encoding import encode
from consensus.events import (
    CertificateReceived,
    CertificatesRequested,
    Input,
    PeerHeard,
    ProposalReceived,
    StatusReceived,
    VoteReceived,
)
from consensus.messages import (
    Certificate,
    CertificateRequest,
    Hash,
    Message,
    Proposal,
    Status,
    decode_message,
    encode_message,
)
from consensus.verify import BYTES_MAX, Invalid, Verifier, certificate_valid
from tests.consensus_lab import EPOCH, FINALIZE, GENESIS, NOTARIZE, NULLIFY, Glass, World

ELSEWHERE = Hash(b"another network, another genesis")
WORLD = World(4)
LATER = World(4, epoch=EPOCH + 1)
BLOCK = WORLD.block(1)
LEADER = WORLD.committee.leader(1)
FORGED = WORLD.certificate(NULLIFY, 3, signers=())


def everything(_: Message) -> bool:
    return True


def nothing(_: Message) -> bool:
    return False


def take(
    message: Message, sender: int, wants: Callable[[Message], bool] = everything, verifier: Verifier | None = None
) -> Input:
    return (verifier or Verifier(WORLD.committee, GENESIS)).verify(encode_message(message), sender, wants)


@contextmanager
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The signatures that are checked meanwhile."""
    checked: list[bytes] = []

    def counted(public: bytes, message: bytes, signature: bytes) -> bool:
        checked.append(signature)
        return original(public, message, signature)

    original = crypto.verify
    with monkeypatch.context() as patch:
        patch.setattr(crypto, "verify", counted)
        yield checked


def test_a_good_message_becomes_the_input_that_it_means() -> None:
    """R21, R22, R13"""
    vote, certificate = WORLD.vote(NOTARIZE, 1, BLOCK.hash, 2), WORLD.notarization(BLOCK)
    proposal, status = WORLD.proposal(BLOCK), Status(EPOCH, 3, 2, 1)
    assert take(vote, 2) == VoteReceived(vote)
    assert take(certificate, 3) == CertificateReceived(3, certificate)
    assert take(proposal, LEADER) == ProposalReceived(LEADER, proposal)
    assert take(CertificateRequest(EPOCH, 4, 9), 1) == CertificatesRequested(1, 4, 9)
    assert take(status, 1) == StatusReceived(1, status)


def test_a_vote_counts_only_from_its_signers_own_link() -> None:
    """R21"""
    with pytest.raises(Invalid):
        take(WORLD.vote(NOTARIZE, 1, BLOCK.hash, 2), 3)


def test_a_signer_that_is_no_member_is_refused() -> None:
    """R21: an index beyond the committee once stopped whole networks."""
    vote = replace(WORLD.vote(NULLIFY, 1, signer=3), signer=4)
    for sender in (3, 0):
        with pytest.raises(Invalid):
            take(vote, sender)


@pytest.mark.parametrize(
    "change",
    [
        {"view": 2},
        {"hash": Hash(b"h" * 32)},
        {"kind": FINALIZE},
        {"signature": Signature(bytes(64))},
        {"signature": WORLD.vote(NOTARIZE, 1, BLOCK.hash, 1).signature},
    ],
)
def test_a_vote_that_was_not_signed_so_is_refused(change: dict[str, object]) -> None:
    """R2"""
    with pytest.raises(Invalid):
        take(replace(WORLD.vote(NOTARIZE, 1, BLOCK.hash, 2), **change), 2)  # type: ignore[arg-type]


def test_a_vote_of_another_network_is_refused() -> None:
    """R2"""
    with pytest.raises(Invalid):
        take(WORLD.vote(NULLIFY, 1, signer=2), 2, verifier=Verifier(WORLD.committee, ELSEWHERE))


@pytest.mark.parametrize(
    "message",
    [
        LATER.vote(NULLIFY, 1, signer=2),
        LATER.vote(NULLIFY, 1, signer=3),  # its index there; here the sender has another
        LATER.certificate(NULLIFY, 1),
        LATER.proposal(LATER.block(1)),
        CertificateRequest(EPOCH + 1, 1, 2),
    ],
)
def test_messages_of_another_epoch_are_only_heard(message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    """R48: before any signature check."""
    with checks(monkeypatch) as checked:
        heard = take(message, 2)
    assert isinstance(heard, PeerHeard)
    assert (heard.peer, heard.epoch) == (2, EPOCH + 1)
    assert checked == []


@pytest.mark.parametrize(
    ("message", "sender", "view", "stuck"),
    [
        (WORLD.vote(NOTARIZE, 7, BLOCK.hash, 2), 2, 7, False),
        (WORLD.vote(FINALIZE, 7, BLOCK.hash, 2), 2, 8, False),
        (WORLD.vote(NULLIFY, 7, signer=2), 2, 7, True),
        (WORLD.notarization(BLOCK, 7), 2, 8, False),
        (WORLD.proposal(BLOCK), LEADER, 1, False),
    ],
)
def test_what_is_not_wanted_costs_no_check_and_is_heard(
    message: Message, sender: int, view: int, stuck: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R21, R31: a validator whose votes always come last is alive."""
    with checks(monkeypatch) as checked:
        assert take(message, sender, nothing) == PeerHeard(sender, EPOCH, view, stuck)
    assert checked == []


@pytest.mark.parametrize(
    ("what", "certificate"),
    [
        ("too little weight", WORLD.certificate(NOTARIZE, 1, BLOCK.hash, (0, 1))),
        ("nobody", WORLD.certificate(NOTARIZE, 1, BLOCK.hash, ())),
        ("another block", replace(WORLD.notarization(BLOCK), hash=Hash(b"h" * 32))),
        ("another view", replace(WORLD.notarization(BLOCK), view=2)),
        ("another kind", replace(WORLD.notarization(BLOCK), kind=FINALIZE)),
        ("another epoch", LATER.certificate(NULLIFY, 1)),
        ("claimed for another epoch", replace(LATER.certificate(NULLIFY, 1), epoch=EPOCH)),
    ],
)
def test_a_certificate_without_a_quorum_of_signatures_is_invalid(what: str, certificate: Certificate) -> None:
    """R3"""
    assert not certificate_valid(certificate, WORLD.committee, GENESIS), what
    assert not Verifier(WORLD.committee, GENESIS).verify_certificate(certificate), what


def test_a_certificate_with_one_bad_signature_is_invalid() -> None:
    """R3"""
    good = WORLD.notarization(BLOCK)
    assert certificate_valid(good, WORLD.committee, GENESIS)
    for at in range(3):
        pairs = list(good.signatures)
        pairs[at] = (pairs[at][0], Signature(bytes(64)))
        assert not certificate_valid(replace(good, signatures=tuple(pairs)), WORLD.committee, GENESIS)
        with pytest.raises(Invalid):
            take(replace(good, signatures=tuple(pairs)), 1)


@pytest.mark.parametrize("order", [(0, 0, 1), (1, 0, 2), (0, 1, 2, 2), (0, 1, 4), (0, 1, -1)])
def test_signers_are_distinct_ascending_members(order: tuple[int, ...]) -> None:
    """R3, R22: also where no decoder has looked before."""
    pairs = tuple((s, WORLD.vote(NULLIFY, 1, signer=s % 4).signature) for s in order)
    certificate = replace(WORLD.certificate(NULLIFY, 1), signatures=pairs)
    assert not certificate_valid(certificate, WORLD.committee, GENESIS)
    with pytest.raises(Invalid):
        take(certificate, 1)


def test_a_certificate_counts_weights_and_not_heads() -> None:
    """R3"""
    world = World(4, weights=[1, 2, 3, 4])
    assert not certificate_valid(world.certificate(NULLIFY, 1, signers=(0, 1, 2)), world.committee, GENESIS)
    assert certificate_valid(world.certificate(NULLIFY, 1, signers=(2, 3)), world.committee, GENESIS)
    assert certificate_valid(world.certificate(NULLIFY, 1, signers=(0, 1, 2, 3)), world.committee, GENESIS)


def test_a_certificate_of_another_network_is_invalid() -> None:
    """R2"""
    assert not certificate_valid(WORLD.notarization(BLOCK), WORLD.committee, ELSEWHERE)


def test_every_byte_of_a_certificate_counts() -> None:
    """R3: whatever changes, it is another certificate that is invalid, or no certificate."""
    data = encode_message(WORLD.finalization(BLOCK))
    for at in range(2, len(data), 5):
        damaged = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        try:
            happened = Verifier(WORLD.committee, GENESIS).verify(damaged, 1, everything)
        except Invalid:
            continue
        assert isinstance(happened, PeerHeard), "the epoch was hit"
        assert happened.epoch != EPOCH


def test_a_certificate_of_votes_seen_before_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3: in the fault-free case each signature is checked once."""
    verifier = Verifier(WORLD.committee, GENESIS)
    for signer in (0, 1):
        take(WORLD.vote(NOTARIZE, 1, BLOCK.hash, signer), signer, verifier=verifier)
    verifier.learn(WORLD.vote(NOTARIZE, 1, BLOCK.hash, 2))
    with checks(monkeypatch) as checked:
        take(WORLD.notarization(BLOCK), 3, verifier=verifier)
        assert checked == []
        assert verifier.verify_certificate(WORLD.certificate(NOTARIZE, 1, BLOCK.hash, (0, 1, 3)))
        assert checked == [WORLD.vote(NOTARIZE, 1, BLOCK.hash, 3).signature]


def test_a_signature_seen_for_one_statement_proves_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3: a cache keyed by less than the statement once let forged votes through."""
    verifier = Verifier(WORLD.committee, GENESIS)
    vote = WORLD.vote(NOTARIZE, 1, BLOCK.hash, 2)
    take(vote, 2, verifier=verifier)
    for changed in (replace(vote, view=2), replace(vote, kind=FINALIZE), replace(vote, hash=Hash(b"h" * 32))):
        with pytest.raises(Invalid):
            take(changed, 2, verifier=verifier)
    with pytest.raises(Invalid):
        take(replace(vote, signer=1), 1, verifier=verifier)


def test_a_bad_signature_is_not_remembered_as_good_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """R49"""
    monkeypatch.setattr(verify, "SEEN_MAX", 3)
    verifier = Verifier(WORLD.committee, GENESIS)
    bad = replace(WORLD.vote(NULLIFY, 1, signer=2), signature=Signature(bytes(64)))
    for _ in range(2):
        with pytest.raises(Invalid):
            take(bad, 2, verifier=verifier)
    votes = [WORLD.vote(NULLIFY, view, signer=2) for view in range(1, 6)]
    for vote in votes:
        take(vote, 2, verifier=verifier)
    with checks(monkeypatch) as checked:
        for vote in reversed(votes):
            take(vote, 2, verifier=verifier)
    assert checked == [votes[1].signature, votes[0].signature]


@pytest.mark.parametrize(
    ("what", "proposal", "sender"),
    [
        ("relayed", WORLD.proposal(BLOCK), (LEADER + 1) % 4),
        ("not of the leader", replace(WORLD.proposal(BLOCK), vote=WORLD.vote(NOTARIZE, 1, BLOCK.hash, 0)), 0),
        ("of another block", replace(WORLD.proposal(BLOCK), block=WORLD.block(1, payload=b"y")), LEADER),
        ("before its parent", replace(WORLD.proposal(BLOCK), parent_view=1), LEADER),
        ("without NOTARIZE", replace(WORLD.proposal(BLOCK), vote=WORLD.vote(FINALIZE, 1, BLOCK.hash, LEADER)), LEADER),
        (
            "unsigned",
            replace(WORLD.proposal(BLOCK), vote=replace(WORLD.proposal(BLOCK).vote, signature=Signature(bytes(64)))),
            LEADER,
        ),
        ("of a block of another epoch", WORLD.proposal(LATER.block(1)), LEADER),
        (
            "with a forged certificate",
            WORLD.proposal(BLOCK, justification=[WORLD.certificate(NULLIFY, 9, signers=())]),
            LEADER,
        ),
        ("with a finalization that is none", WORLD.proposal(BLOCK, finalization=WORLD.nullification(1)), LEADER),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_proposal_that_its_leader_did_not_make_is_refused(what: str, proposal: Proposal, sender: int) -> None:
    """R13: nobody can spoil a leader's view with a twisted copy of its proposal."""
    with pytest.raises(Invalid):
        take(proposal, sender)


def test_a_proposal_without_its_block_may_be_a_re_proposal() -> None:
    """R13, R46: the core knows; its vote names the block."""
    leader = WORLD.committee.leader(2)
    proposal = WORLD.proposal(BLOCK, view=2, parent_view=1, justification=[WORLD.notarization(BLOCK)], bare=True)
    assert take(proposal, leader) == ProposalReceived(leader, proposal)


def test_certificates_in_a_proposal_that_are_not_wanted_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """R13, R22"""
    glass = Glass(WORLD)
    glass.certificates(WORLD.nullification(1))
    view = 2
    leader = WORLD.committee.leader(view)
    proposal = WORLD.proposal(WORLD.block(view), justification=[WORLD.nullification(1), FORGED])
    proposal = replace(proposal, justification=(*proposal.justification[:1], LATER.nullification(1)))
    with checks(monkeypatch) as checked:
        happened = take(proposal, leader, glass.core.wants)
    assert happened == ProposalReceived(leader, replace(proposal, justification=()))
    assert checked == [proposal.vote.signature]


def test_the_core_wants_nothing_twice() -> None:
    """R21, R22"""
    glass = Glass(WORLD)
    vote, certificate = WORLD.vote(NULLIFY, 1, signer=1), WORLD.nullification(2)
    assert glass.core.wants(vote)
    assert glass.core.wants(certificate)
    glass.votes(vote)
    glass.certificates(certificate)
    assert not glass.core.wants(vote)
    assert not glass.core.wants(certificate)
    assert not glass.core.wants(WORLD.vote(NULLIFY, 2, signer=1)), "that view's nullification is here"
    glass.certificates(WORLD.certificate(FINALIZE, 9, BLOCK.hash))
    for view in (1, 9):
        assert not glass.core.wants(WORLD.vote(FINALIZE, view, BLOCK.hash, 1))
        assert not glass.core.wants(WORLD.certificate(NOTARIZE, view, BLOCK.hash))
        assert not glass.core.wants(WORLD.proposal(WORLD.block(view, payload=b"y")))


@pytest.mark.parametrize(("views", "wanted"), [(16, True), (17, False)])
def test_votes_are_kept_for_sixteen_views_ahead(views: int, wanted: bool) -> None:
    """R21, R49"""
    glass = Glass(WORLD)
    view = glass.core.view + views
    assert glass.core.wants(WORLD.vote(NULLIFY, view, signer=1)) is wanted
    assert glass.core.wants(WORLD.proposal(WORLD.block(view))) is wanted
    assert glass.core.wants(WORLD.nullification(view)), "a certificate proves itself, however far ahead"
    justified = WORLD.proposal(WORLD.block(view), justification=[WORLD.nullification(view - 1)])
    assert glass.core.wants(justified), "and brings its proposal into reach"


def test_a_message_above_its_types_limit_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """R49"""

    def explode(_: bytes) -> Message:
        raise AssertionError("decoded")

    monkeypatch.setattr(verify, "decode_message", explode)
    verifier = Verifier(WORLD.committee, GENESIS)
    for kind, limit in BYTES_MAX.items():
        with pytest.raises(Invalid):
            verifier.verify(encode((kind, bytes(limit))), 1, everything)
    for data in (b"\x91", b"\x91\x05", b"\x91\xc0", b"\x91\xc3"):
        with pytest.raises(Invalid):
            verifier.verify(data, 1, everything)


@given(st.binary(max_size=300), st.sampled_from([None, 0, 1, 2, 3, 4]))
def test_only_invalid_comes_out_of_garbage(data: bytes, kind: int | None) -> None:
    shaped = data if kind is None else bytes([0x90 + len(data) % 16, kind]) + data
    try:
        happened = Verifier(WORLD.committee, GENESIS).verify(shaped, 1, everything)
    except Invalid:
        return
    assert isinstance(decode_message(shaped), CertificateRequest | Status)
    assert not isinstance(happened, VoteReceived | CertificateReceived | ProposalReceived)


GOOD = [
    encode_message(message)
    for message in (WORLD.vote(NOTARIZE, 1, BLOCK.hash, 2), WORLD.notarization(BLOCK), WORLD.proposal(BLOCK))
]


@given(st.sampled_from(GOOD), st.integers(0, 2_000), st.integers(1, 255))
def test_a_valid_validator_that_damages_its_messages_is_refused_or_only_heard(data: bytes, at: int, bits: int) -> None:
    """R2, R3: as sent by a member of the committee, on its own link."""
    damaged = bytearray(data)
    damaged[at % len(data)] ^= bits
    try:
        happened = Verifier(WORLD.committee, GENESIS).verify(bytes(damaged), 2, everything)
    except Invalid:
        return
    if isinstance(happened, ProposalReceived):
        assert happened.proposal.vote == WORLD.proposal(BLOCK).vote
        assert happened.proposal.block == BLOCK
    else:
        assert isinstance(happened, PeerHeard)
