"""Evidence convinces strangers, and names nobody honest."""

from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.encoding import DecodeError, encode
from consensus.events import BlockChecked, Evidence, ProposalRefused
from consensus.evidence import (
    Offence,
    accuse,
    decode_evidence,
    decode_invalid_block,
    encode_evidence,
    encode_invalid_block,
    evidence_valid,
    invalid_block_valid,
    make_evidence,
    offence,
)
from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    Hash,
    Kind,
    Proposal,
    Vote,
    certified_votes,
    encode_message,
)
from consensus.place import Place
from tests.consensus_lab import EPOCH, FINALIZE, GENESIS, NOTARIZE, NULLIFY, Cluster, Glass, World, of

ONE, OTHER = Hash(b"1" * 32), Hash(b"2" * 32)
WORLD = World(4)
LATER = World(4, epoch=EPOCH + 1)


def vote(kind: Kind, named: Hash = NO_HASH, signer: int = 1, view: int = 5) -> Vote:
    return WORLD.vote(kind, view, named, signer)


GUILTY = [
    (vote(NOTARIZE, ONE), vote(NOTARIZE, OTHER), Offence.CONFLICTING_NOTARIZE),
    (vote(FINALIZE, ONE), vote(FINALIZE, OTHER), Offence.CONFLICTING_FINALIZE),
    (vote(NULLIFY), vote(FINALIZE, ONE), Offence.NULLIFY_AND_FINALIZE),
]
INNOCENT = [
    (vote(NOTARIZE, ONE), vote(NOTARIZE, ONE)),
    (vote(NULLIFY), vote(NULLIFY)),
    (vote(NOTARIZE, ONE), vote(NULLIFY)),
    (vote(NOTARIZE, ONE), vote(FINALIZE, ONE)),
    (vote(NOTARIZE, ONE), vote(FINALIZE, OTHER)),
    (vote(NOTARIZE, ONE), vote(NOTARIZE, OTHER, signer=2)),
    (vote(NOTARIZE, ONE), vote(NOTARIZE, OTHER, view=6)),
    (vote(NULLIFY), vote(FINALIZE, ONE, view=6)),
    (vote(NOTARIZE, ONE), LATER.vote(NOTARIZE, 5, OTHER, 1)),
]


@pytest.mark.parametrize(("first", "second", "what"), GUILTY)
def test_each_offence_is_proven_by_its_two_votes_in_either_order(first: Vote, second: Vote, what: Offence) -> None:
    """R45"""
    assert offence(first, second) is offence(second, first) is what
    assert make_evidence(first, second) == make_evidence(second, first)
    evidence = make_evidence(first, second)
    assert evidence_valid(evidence, WORLD.committee, GENESIS)
    assert decode_evidence(encode_evidence(evidence)) == evidence


@pytest.mark.parametrize(("first", "second"), INNOCENT)
def test_what_an_honest_validator_may_sign_is_no_evidence(first: Vote, second: Vote) -> None:
    """R45: identical votes, another signer, view or epoch, and the mixed kinds."""
    assert offence(first, second) is None
    with pytest.raises(ValueError, match="nothing"):
        make_evidence(first, second)
    with pytest.raises(DecodeError):
        decode_evidence(encode((encode_message(first), encode_message(second))))
    assert not evidence_valid(Evidence(first, second), WORLD.committee, GENESIS)


@pytest.mark.parametrize(("first", "second", "what"), GUILTY)
def test_evidence_has_one_encoding(first: Vote, second: Vote, what: Offence) -> None:
    """R45: else one offence could be reported many times."""
    evidence = make_evidence(first, second)
    with pytest.raises(DecodeError, match="order"):
        decode_evidence(encode((encode_message(evidence.second), encode_message(evidence.first))))
    assert what in Offence


def test_forged_and_foreign_evidence_is_invalid() -> None:
    """R45, R2"""
    good = make_evidence(*GUILTY[0][:2])
    forged = replace(good.second, signature=good.first.signature)
    assert not evidence_valid(Evidence(good.first, forged), WORLD.committee, GENESIS)
    assert not evidence_valid(good, LATER.committee, GENESIS)
    assert not evidence_valid(good, WORLD.committee, Hash(b"another network, another genesis"))
    outside = Evidence(replace(good.first, signer=9), replace(good.second, signer=9))
    assert not evidence_valid(outside, WORLD.committee, GENESIS)


@given(st.binary(max_size=100))
def test_garbage_is_no_evidence(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_evidence(data)


def test_only_votes_are_evidence() -> None:
    certificate = encode_message(replace(WORLD.certificate(NULLIFY, 5), signatures=()))
    for first, second in product((certificate, encode_message(GUILTY[0][0])), (certificate,)):
        with pytest.raises(DecodeError):
            decode_evidence(encode((first, second)))


# --- what honest cores say in all their lives ---


def stormy(seed: int, end_height: int) -> Cluster:
    """Return honest cores that lost messages and power for a while, and then went on."""
    random = Random(seed)
    cluster = Cluster(WORLD, end_height=end_height)
    cluster.lose = lambda *_: cluster.now < 12_000 and random.random() < 0.3
    cluster.boot()
    for _ in range(6):
        cluster.run(cluster.now + random.randrange(100, 2_500))
        victim = cluster.nodes[random.randrange(4)]
        if victim.up:
            victim.crash()
        cluster.run(cluster.now + random.randrange(1, 800))
        for node in cluster.nodes:
            if not node.up:
                node.boot()
    cluster.run(cluster.now + 6_000)
    return cluster


@given(st.integers(0, 10_000), st.sampled_from([4, 1_000]))
@settings(max_examples=12, deadline=None)
def test_nothing_that_honest_cores_ever_say_is_evidence(seed: int, end_height: int) -> None:
    """R45, over losses, crashes and an epoch's end that is proposed again and again."""
    cluster = stormy(seed, end_height)
    place = Place(WORLD.committee, GENESIS, end_height)
    blocks = {block.hash: block for node in cluster.nodes for block in node.stored}
    votes: list[Vote] = []
    proposals: list[Proposal] = []
    for _, _, message in cluster.sent:
        match message:
            case Vote():
                votes.append(message)
            case Certificate():
                votes += certified_votes(message)
            case Proposal():
                proposals.append(message)
                votes.append(message.vote)
                if message.block is not None:
                    blocks[message.block.hash] = message.block
    assert proposals
    by_signer: dict[tuple[int, int], set[Vote]] = {}
    for vote in votes:
        by_signer.setdefault((vote.signer, vote.view), set()).add(vote)
    for said in by_signer.values():
        assert all(offence(first, second) is None for first, second in product(said, said))
    for proposal in proposals:
        block = blocks.get(proposal.vote.hash)
        if block is not None:
            for parent in blocks.values():
                assert accuse(ProposalRefused(proposal.vote, block, parent), place) is None


def test_the_end_of_an_epoch_is_among_what_was_tried() -> None:
    cluster = stormy(3, 4)
    assert any(isinstance(message, Proposal) and message.block is None for _, _, message in cluster.sent)


# --- invalid blocks ---

END: int = 1_000
PLACE = Place(WORLD.committee, GENESIS, END)


def seen(block: Block) -> list[ProposalRefused]:
    """Return what a core says of a proposal of view 1."""
    glass = Glass(WORLD, end_height=END)
    proposal = WORLD.proposal(block, view=1, parent_view=0)
    return of(glass.proposed(proposal), ProposalRefused)


WRONG: list[dict[str, object]] = [
    {"height": 2},
    {"timestamp_ms": 0},
    {"executed_height": 1},
    {"proposer": 0},
    {"genesis_hash": Hash(b"g" * 32)},
    {"validators_hash": Hash(b"v" * 32)},
    {"next_validators_hash": Hash(b"v" * 32)},
]


@pytest.mark.parametrize("fields", WRONG, ids=[next(iter(fields)) for fields in WRONG])
def test_the_leader_of_an_invalid_block_is_convicted_by_those_who_saw_it(fields: dict[str, object]) -> None:
    """R18, R45"""
    (refused,) = seen(WORLD.changed(WORLD.block(1), **fields))
    proof = accuse(refused, PLACE)
    assert proof is not None
    assert invalid_block_valid(proof, PLACE)
    assert decode_invalid_block(encode_invalid_block(proof)) == proof
    for place in (Place(LATER.committee, GENESIS, END), Place(WORLD.committee, Hash(b"o" * 32), END)):
        assert not invalid_block_valid(proof, place)


def test_a_block_that_only_the_application_refuses_convicts_nobody() -> None:
    """R19, R45: the state is not in the bytes."""
    glass, block = Glass(WORLD, end_height=END), WORLD.block(1)
    assert of(glass.proposed(WORLD.proposal(block)), ProposalRefused) == []
    (refused,) = of(glass.feed(BlockChecked(1, block.hash, False)), ProposalRefused)
    assert accuse(refused, PLACE) is None


def test_a_header_has_one_proof() -> None:
    """R45: a parent is shown only if it is needed, and only the true one."""
    alone = accuse(seen(WORLD.changed(WORLD.block(1), proposer=0))[0], PLACE)
    beside = accuse(seen(WORLD.changed(WORLD.block(1), height=2))[0], PLACE)
    assert alone is not None
    assert beside is not None
    assert (alone.parent, beside.parent) == (None, WORLD.root.header)
    assert not invalid_block_valid(replace(alone, parent=WORLD.root.header), PLACE)
    assert not invalid_block_valid(replace(beside, parent=None), PLACE)
    other = replace(WORLD.root.header, height=7)
    assert not invalid_block_valid(replace(beside, parent=other), PLACE)


def test_proposals_of_one_view_are_conflicting_votes() -> None:
    """R45"""
    glass = Glass(WORLD)
    glass.proposed(WORLD.proposal(WORLD.block(1)))
    (evidence,) = of(glass.proposed(WORLD.proposal(WORLD.block(1, payload=b"y"))), Evidence)
    assert offence(evidence.first, evidence.second) is Offence.CONFLICTING_NOTARIZE
    assert evidence.first.signer == WORLD.committee.leader(1)


# --- where contradictions are seen ---


def test_a_certificate_convicts_who_told_us_something_else() -> None:
    """R45: its signatures are votes."""
    glass = Glass(WORLD)
    one, other = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass.votes(WORLD.vote(NOTARIZE, 1, one.hash, 3))
    evidence = of(glass.certificates(WORLD.certificate(NOTARIZE, 1, other.hash, (1, 2, 3))), Evidence)
    assert [each.first.signer for each in evidence] == [3]
    assert evidence_valid(evidence[0], WORLD.committee, GENESIS)


@pytest.mark.parametrize("restart", [False, True])
def test_a_vote_after_the_certificate_convicts(restart: bool) -> None:
    """R21, R45: also one that is remembered from the journal."""
    glass = Glass(WORLD)
    one, other = WORLD.block(1), WORLD.block(1, payload=b"y")
    glass.certificates(WORLD.certificate(NOTARIZE, 1, one.hash, (1, 2, 3)))
    if restart:
        glass = glass.restarted()
    late = WORLD.vote(NOTARIZE, 1, other.hash, 3)
    assert glass.core.wants(late)
    assert not glass.core.wants(WORLD.vote(NOTARIZE, 1, one.hash, 3)), "known"
    (evidence,) = of(glass.votes(late), Evidence)
    assert evidence.first.signer == 3
    assert not glass.core.wants(late), "convicted once"
    assert of(glass.votes(late), Evidence) == []


def test_finalize_and_a_certificate_of_nullify_convict() -> None:
    """R7, R45"""
    glass = Glass(WORLD)
    glass.votes(WORLD.vote(FINALIZE, 1, ONE, 3))
    (evidence,) = of(glass.certificates(WORLD.certificate(NULLIFY, 1, signers=(1, 2, 3))), Evidence)
    assert offence(evidence.first, evidence.second) is Offence.NULLIFY_AND_FINALIZE
