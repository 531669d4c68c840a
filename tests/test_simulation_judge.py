"""The judge of the simulator is not blind: each invariant fires on a breach made by hand, and on nothing less."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    CertificateRequest,
    Hash,
    Header,
    Kind,
    Message,
    Proposal,
    Vote,
    make_block,
    payload_hash,
    vote_statement,
)
from tests.simulation import keys
from tests.simulation.application import Executed, encode_payload
from tests.simulation.judge import Bench, Fact, Judge, Violation

KEYS = sorted((keys.QuickKey(sha256(b"%d" % index).digest()) for index in range(4)), key=lambda key: key.public)
GENESIS_HASH = Hash(sha256(b"judged").digest())
EQUAL = (1, 1, 1, 1)
ALL = frozenset(range(4))
THREE = (0, 1, 2)  # a quorum of equal weights
NOTE = sha256(b"a batch").digest()


def make_judge(honest: Sequence[int] = range(4), weights: Sequence[int] = EQUAL, end_height: int = 1_000) -> Judge:
    judge = Judge(GENESIS_HASH, [key.public for key in KEYS], weights, frozenset(honest), keys.quick_verify, GENESIS)
    judge.epoch_starts(0, GENESIS, end_height)
    return judge


@pytest.fixture
def judge() -> Judge:
    return make_judge()


def block_on(
    parent: Block, view: int, parent_view: int | None = None, refs: Sequence[bytes] = (), **fields: Any
) -> Block:
    """Return the block of ``view`` on ``parent``, with other ``fields`` in its header."""
    payload = encode_payload(list(refs))
    header = Header(
        genesis_hash=GENESIS_HASH,
        epoch=parent.header.epoch,
        view=view,
        height=parent.header.height + 1,
        parent_view=parent.header.view if parent_view is None else parent_view,
        parent_hash=parent.hash,
        proposer=(parent.header.epoch + view) % 4,
        timestamp_ms=view,
        validators_hash=NO_HASH,
        next_validators_hash=NO_HASH,
        executed_height=0,
        state_root=NO_HASH,
        payload_hash=payload_hash(payload),
        version=1,
    )
    return make_block(replace(header, **fields), payload)


def make_genesis() -> Block:
    payload = encode_payload([])
    header = Header(GENESIS_HASH, 0, 0, 0, 0, NO_HASH, 0, 0, NO_HASH, NO_HASH, 0, NO_HASH, payload_hash(payload), 1)
    return make_block(header, payload)


def vote(kind: Kind, view: int, block_hash: Hash, signer: int, epoch: int = 0, key: int | None = None) -> Vote:
    statement = vote_statement(GENESIS_HASH, kind, epoch, view, block_hash)
    return Vote(kind, epoch, view, block_hash, signer, KEYS[signer if key is None else key].sign(statement))


def certificate(kind: Kind, view: int, block_hash: Hash, signers: Sequence[int] = THREE, epoch: int = 0) -> Certificate:
    pairs = tuple((signer, vote(kind, view, block_hash, signer, epoch).signature) for signer in signers)
    return Certificate(kind, epoch, view, block_hash, pairs)


def all_sign(judge: Judge, kind: Kind, view: int, block_hash: Hash, signers: Sequence[int] = THREE) -> None:
    for signer in signers:
        judge.signed(signer, vote(kind, view, block_hash, signer))


def liars_send(judge: Judge, kind: Kind, view: int, block_hash: Hash, signers: Sequence[int] = THREE) -> None:
    for signer in signers:
        judge.sent(signer, False, vote(kind, view, block_hash, signer))


def finalize(judge: Judge, index: int, tip: Block, *blocks: Block) -> None:
    last = blocks[-1]
    proof = certificate(Kind.FINALIZE, last.header.view, last.hash, epoch=last.header.epoch)
    judge.finalized(index, (tip.header.height, tip.hash), blocks, proof)


def facts_of(*votes: Vote) -> set[Fact]:
    return {("vote", int(each.kind), each.epoch, each.view, each.hash) for each in votes}


def certified(each: Vote) -> Fact:
    return ("certificate", int(Kind.NOTARIZE), each.epoch, each.view, each.hash)


def nothing(_: bytes) -> bool:
    return False


GENESIS = make_genesis()
ONE = block_on(GENESIS, 1)
OTHER = block_on(GENESIS, 1, refs=(NOTE,))
TWO = block_on(ONE, 2)


# --- votes ---


def test_a_sound_story_is_no_breach(judge: Judge) -> None:
    for block in (ONE, TWO):
        view = block.header.view
        judge.sent(view, True, CertificateRequest(0, 1, 1))
        judge.learn(block)
        all_sign(judge, Kind.NOTARIZE, view, block.hash)
        judge.sent(0, True, vote(Kind.NOTARIZE, view, block.hash, 0))
        all_sign(judge, Kind.FINALIZE, view, block.hash)
    all_sign(judge, Kind.NULLIFY, 3, NO_HASH)
    four = block_on(TWO, 4)
    judge.learn(four)
    all_sign(judge, Kind.NOTARIZE, 4, four.hash)
    all_sign(judge, Kind.NULLIFY, 4, NO_HASH)
    judge.sent(0, True, certificate(Kind.NULLIFY, 3, NO_HASH))
    for index in range(2):
        finalize(judge, index, GENESIS, ONE, TWO)
        judge.executed(index, Executed(1, NO_HASH, 5, 0, 0))
    assert judge.final_height == 2


def test_two_notarize_votes_in_one_view(judge: Judge) -> None:
    for block in (ONE, OTHER):
        judge.learn(block)
    judge.signed(0, vote(Kind.NOTARIZE, 1, ONE.hash, 0))
    with pytest.raises(Violation, match="discipline"):
        judge.signed(0, vote(Kind.NOTARIZE, 1, OTHER.hash, 0))


def test_finalize_after_nullify(judge: Judge) -> None:
    judge.learn(ONE)
    all_sign(judge, Kind.NOTARIZE, 1, ONE.hash)
    judge.signed(0, vote(Kind.NULLIFY, 1, NO_HASH, 0))
    with pytest.raises(Violation, match="discipline"):
        judge.signed(0, vote(Kind.FINALIZE, 1, ONE.hash, 0))


@pytest.mark.parametrize(("signer", "key"), [(0, 1), (1, 1)], ids=["another key", "another signer"])
def test_a_vote_that_its_signer_did_not_sign(judge: Judge, signer: int, key: int) -> None:
    with pytest.raises(Violation, match="invalid vote"):
        judge.signed(0, vote(Kind.NULLIFY, 1, NO_HASH, signer, key=key))


def test_a_signer_who_is_nobody(judge: Judge) -> None:
    stranger = replace(vote(Kind.NULLIFY, 1, NO_HASH, 0), signer=4)
    with pytest.raises(Violation, match="invalid vote"):
        judge.signed(4, stranger)


def test_finalize_without_a_notarization(judge: Judge) -> None:
    judge.learn(ONE)
    all_sign(judge, Kind.NOTARIZE, 1, ONE.hash, (0, 1))
    with pytest.raises(Violation, match="justified"):
        judge.signed(0, vote(Kind.FINALIZE, 1, ONE.hash, 0))


def test_a_vote_that_was_sent_but_not_signed(judge: Judge) -> None:
    with pytest.raises(Violation, match="did not sign"):
        judge.sent(0, True, vote(Kind.NULLIFY, 1, NO_HASH, 0))


def test_the_vote_of_another_sent_as_ones_own(judge: Judge) -> None:
    judge.signed(1, vote(Kind.NULLIFY, 1, NO_HASH, 1))
    with pytest.raises(Violation, match="did not sign"):
        judge.sent(0, True, vote(Kind.NULLIFY, 1, NO_HASH, 1))


def test_an_unsigned_vote_in_a_proposal(judge: Judge) -> None:
    with pytest.raises(Violation, match="did not sign"):
        judge.sent(1, True, Proposal(0, vote(Kind.NOTARIZE, 1, ONE.hash, 1), ONE, (), None))


@pytest.mark.parametrize("carried", ["alone", "justification", "finalization"])
def test_a_certificate_without_a_quorum_that_is_sent(judge: Judge, carried: str) -> None:
    judge.learn(TWO)
    judge.learn(ONE)
    all_sign(judge, Kind.NOTARIZE, 1, ONE.hash)
    mine = vote(Kind.NOTARIZE, 2, TWO.hash, 2)
    judge.signed(2, mine)
    bad = certificate(Kind.FINALIZE, 1, ONE.hash, (0, 1))
    messages: dict[str, Message] = {
        "alone": bad,
        "justification": Proposal(1, mine, TWO, (bad,), None),
        "finalization": Proposal(1, mine, TWO, (), bad),
    }
    with pytest.raises(Violation, match="no quorum"):
        judge.sent(2, True, messages[carried])


def test_what_liars_send_together_is_counted() -> None:
    judge = make_judge(honest=(3,))
    liars_send(judge, Kind.NOTARIZE, 1, ONE.hash)
    judge.learn(ONE)
    judge.signed(3, vote(Kind.FINALIZE, 1, ONE.hash, 3))  # on a notarization that only liars made


def test_the_proposals_of_liars_are_counted() -> None:
    judge = make_judge(honest=(3,))
    liars_send(judge, Kind.NOTARIZE, 1, ONE.hash, (0, 2))
    judge.sent(1, False, Proposal(0, vote(Kind.NOTARIZE, 1, ONE.hash, 1), ONE, (), None))
    judge.signed(3, vote(Kind.FINALIZE, 1, ONE.hash, 3))


def test_votes_that_a_liar_forges_are_not_counted() -> None:
    judge = make_judge(honest=(3,))
    liars_send(judge, Kind.NOTARIZE, 1, ONE.hash, (0, 1))
    judge.learn(ONE)
    for forged in (vote(Kind.NOTARIZE, 1, ONE.hash, 2, key=0), vote(Kind.NOTARIZE, 1, ONE.hash, 3, key=0)):
        judge.sent(0, False, forged)
        judge.sent(0, False, Proposal(0, forged, ONE, (), None))
    with pytest.raises(Violation, match="justified"):
        judge.signed(3, vote(Kind.FINALIZE, 1, ONE.hash, 3))


def test_what_an_honest_validator_did_not_sign_is_not_counted_for_a_liar_who_has_it() -> None:
    judge = make_judge(honest=(2, 3))
    liars_send(judge, Kind.NOTARIZE, 1, ONE.hash, (0, 1))
    judge.learn(ONE)
    judge.sent(0, False, vote(Kind.NOTARIZE, 1, ONE.hash, 2))  # a relayed vote: it counts when its signer signs
    with pytest.raises(Violation, match="justified"):
        judge.signed(3, vote(Kind.FINALIZE, 1, ONE.hash, 3))


def test_two_notarized_blocks_of_a_view() -> None:
    judge = make_judge(honest=())
    for block in (ONE, OTHER):
        judge.learn(block)
    liars_send(judge, Kind.NOTARIZE, 1, ONE.hash)
    with pytest.raises(Violation, match="exclusion"):
        liars_send(judge, Kind.NOTARIZE, 1, OTHER.hash)


def test_a_view_both_finalized_and_nullified() -> None:
    judge = make_judge(honest=())
    judge.learn(ONE)
    liars_send(judge, Kind.FINALIZE, 1, ONE.hash)
    with pytest.raises(Violation, match="both finalized and nullified"):
        liars_send(judge, Kind.NULLIFY, 1, NO_HASH)


# --- blocks ---


def test_a_parent_that_is_not_notarized(judge: Judge) -> None:
    for block in (ONE, TWO):
        judge.learn(block)
    all_sign(judge, Kind.NOTARIZE, 1, ONE.hash, (0, 1))
    with pytest.raises(Violation, match="not notarized"):
        judge.signed(2, vote(Kind.NOTARIZE, 2, TWO.hash, 2))


def test_an_unknown_block(judge: Judge) -> None:
    with pytest.raises(Violation, match="unknown block"):
        judge.signed(0, vote(Kind.NOTARIZE, 1, ONE.hash, 0))


@pytest.mark.parametrize("nullified", [(), (1,), (2,)])
def test_a_skipped_view_that_nobody_nullified(judge: Judge, nullified: Sequence[int]) -> None:
    skipping = block_on(GENESIS, 3)
    judge.learn(skipping)
    for view in nullified:
        all_sign(judge, Kind.NULLIFY, view, NO_HASH)
    with pytest.raises(Violation, match="not nullified"):
        judge.signed(0, vote(Kind.NOTARIZE, 3, skipping.hash, 0))


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block_on(GENESIS, 1, epoch=1, proposer=2), id="epoch"),
        pytest.param(block_on(GENESIS, 1, proposer=2), id="leader"),
        pytest.param(block_on(GENESIS, 1, height=2), id="height"),
        pytest.param(block_on(GENESIS, 2, proposer=2), id="later view"),
        pytest.param(block_on(GENESIS, 1, height=0), id="below the epoch"),
    ],
)
def test_a_block_that_stands_in_no_place(judge: Judge, block: Block) -> None:
    judge.learn(block)
    judge.epoch_starts(1, ONE, 2_000)
    with pytest.raises(Violation, match="no place"):
        judge.signed(0, vote(Kind.NOTARIZE, 1, block.hash, 0))


def test_a_block_above_the_epochs_last_height() -> None:
    judge = make_judge(end_height=1)
    for block in (ONE, TWO):
        judge.learn(block)
    all_sign(judge, Kind.NOTARIZE, 1, ONE.hash)
    with pytest.raises(Violation, match="no place"):
        judge.signed(0, vote(Kind.NOTARIZE, 2, TWO.hash, 0))


def test_a_vote_in_another_epoch_than_the_blocks() -> None:
    judge = make_judge(end_height=1)
    judge.epoch_starts(1, ONE, 2)
    second = block_on(ONE, 2, epoch=1, proposer=3)
    for block in (ONE, second):
        judge.learn(block)
    all_sign(judge, Kind.NOTARIZE, 1, ONE.hash)
    with pytest.raises(Violation, match="no place"):
        judge.signed(0, vote(Kind.NOTARIZE, 2, second.hash, 0))


def test_a_block_on_another_root_than_its_epochs(judge: Judge) -> None:
    beside = block_on(OTHER, 2, parent_view=0)
    for block in (OTHER, beside):
        judge.learn(block)
    all_sign(judge, Kind.NULLIFY, 1, NO_HASH)
    with pytest.raises(Violation, match="not notarized in 0"):
        judge.signed(0, vote(Kind.NOTARIZE, 2, beside.hash, 0))


def test_only_an_epochs_last_block_may_come_again_and_only_if_it_was_notarized() -> None:
    judge = make_judge(end_height=1)
    judge.learn(ONE)
    with pytest.raises(Violation, match="never notarized"):
        judge.signed(0, vote(Kind.NOTARIZE, 2, ONE.hash, 0))
    all_sign(judge, Kind.NOTARIZE, 1, ONE.hash)
    judge.signed(1, vote(Kind.NOTARIZE, 2, ONE.hash, 1))
    middle = make_judge()
    middle.learn(ONE)
    all_sign(middle, Kind.NOTARIZE, 1, ONE.hash)
    with pytest.raises(Violation, match="no last block"):
        middle.signed(0, vote(Kind.NOTARIZE, 2, ONE.hash, 0))


def test_a_final_view_that_a_notarized_block_skips() -> None:
    judge = make_judge(honest=())
    beside = block_on(GENESIS, 2)
    for block in (ONE, beside):
        judge.learn(block)
    liars_send(judge, Kind.NOTARIZE, 1, ONE.hash)
    liars_send(judge, Kind.FINALIZE, 1, ONE.hash)
    with pytest.raises(Violation, match="notarized beside final view"):
        liars_send(judge, Kind.NOTARIZE, 2, beside.hash)


def test_a_final_view_that_was_skipped_before_it_was_final() -> None:
    judge = make_judge(honest=())
    beside = block_on(GENESIS, 2)
    for block in (ONE, beside):
        judge.learn(block)
    liars_send(judge, Kind.NOTARIZE, 2, beside.hash)
    with pytest.raises(Violation, match="which is final now"):
        liars_send(judge, Kind.FINALIZE, 1, ONE.hash)


@pytest.mark.parametrize("nullified", [True, False])
def test_a_notarized_view_that_is_passed_over_without_a_nullification(nullified: bool) -> None:
    judge = make_judge(honest=())
    beside = block_on(GENESIS, 2)
    for block in (ONE, beside):
        judge.learn(block)
        liars_send(judge, Kind.NOTARIZE, block.header.view, block.hash)
    if nullified:
        liars_send(judge, Kind.NULLIFY, 1, NO_HASH)
        judge.inclusion()
        return
    with pytest.raises(Violation, match="inclusion"):
        judge.inclusion()


@pytest.mark.parametrize("views", [(1, 2), (2, 1)])
def test_two_finalized_chains(views: tuple[int, int]) -> None:
    judge = make_judge(honest=())
    blocks = {1: ONE, 2: block_on(GENESIS, 2)}
    for block in blocks.values():
        judge.learn(block)
    first, second = views
    liars_send(judge, Kind.FINALIZE, first, blocks[first].hash)
    with pytest.raises(Violation, match="finalize two chains"):
        liars_send(judge, Kind.FINALIZE, second, blocks[second].hash)


def test_a_certified_block_that_nobody_ever_showed() -> None:
    judge = make_judge(honest=())
    judge.learn(ONE)
    liars_send(judge, Kind.FINALIZE, 1, ONE.hash)
    with pytest.raises(Violation, match="nobody ever showed"):
        liars_send(judge, Kind.NOTARIZE, 2, TWO.hash)


# --- disks ---


def test_a_vote_that_was_not_on_disk(judge: Judge) -> None:
    with pytest.raises(Violation, match="before it is on disk"):
        judge.durable(0, vote(Kind.NULLIFY, 1, NO_HASH, 0), set(), nothing)
    judge.durable(0, vote(Kind.NULLIFY, 1, NO_HASH, 0), facts_of(vote(Kind.NULLIFY, 1, NO_HASH, 0)), nothing)


def test_a_block_or_its_batches_that_were_not_on_disk(judge: Judge) -> None:
    judge.learn(OTHER)
    mine = vote(Kind.NOTARIZE, 1, OTHER.hash, 0)
    facts = facts_of(mine)
    with pytest.raises(Violation, match="the block is not on disk"):
        judge.durable(0, mine, facts, {NOTE}.__contains__)
    facts.add(("block", OTHER.hash))
    with pytest.raises(Violation, match="batches"):
        judge.durable(0, mine, facts, nothing)
    judge.durable(0, mine, facts, {NOTE}.__contains__)


def test_a_notarization_that_was_not_on_disk(judge: Judge) -> None:
    mine = vote(Kind.FINALIZE, 1, ONE.hash, 0)
    with pytest.raises(Violation, match="the notarization is not on disk"):
        judge.durable(0, mine, facts_of(mine), nothing)
    judge.durable(0, mine, {*facts_of(mine), certified(mine)}, nothing)


def test_a_new_journal_that_lost_a_promise_or_a_certificate(judge: Judge) -> None:
    mine = vote(Kind.NOTARIZE, 2, TWO.hash, 0)
    before = {*facts_of(mine), certified(mine), ("block", TWO.hash)}
    for lost in (*facts_of(mine), certified(mine)):
        with pytest.raises(Violation, match="loses"):
            judge.rotated(0, before, before - {lost}, 0, 1)
    judge.rotated(0, before, before - {("block", TWO.hash)}, 0, 1)
    judge.rotated(0, before, set(), 0, 2)  # at the floor nothing matters any more
    judge.rotated(0, before, set(), 1, 1)  # nor does an earlier epoch


# --- chains ---


@pytest.mark.parametrize("signers", [(), (0, 1), (0, 1, 1)])
def test_a_certificate_without_a_quorum(judge: Judge, signers: tuple[int, ...]) -> None:
    with pytest.raises(Violation, match="no quorum"):
        judge.finalized(0, (0, GENESIS.hash), (ONE,), certificate(Kind.FINALIZE, 1, ONE.hash, signers))


def test_a_certificate_in_which_one_signs_twice(judge: Judge) -> None:
    with pytest.raises(Violation, match="no quorum"):
        judge.finalized(0, (0, GENESIS.hash), (ONE,), certificate(Kind.FINALIZE, 1, ONE.hash, (0, 1, 2, 2)))


@pytest.mark.parametrize(
    ("weights", "signers"), [((1, 1, 1, 4), (0, 1, 2)), ((2, 2, 1, 1), (0, 1)), ((1, 1, 1, 3), (0, 3))]
)
def test_a_quorum_is_more_than_two_thirds_of_the_weight(weights: Sequence[int], signers: Sequence[int]) -> None:
    judge = make_judge(weights=weights)
    with pytest.raises(Violation, match="no quorum"):
        judge.finalized(0, (0, GENESIS.hash), (ONE,), certificate(Kind.FINALIZE, 1, ONE.hash, signers))
    judge.finalized(0, (0, GENESIS.hash), (ONE,), certificate(Kind.FINALIZE, 1, ONE.hash, (0, 1, 3)))


def test_a_signature_in_a_certificate_that_is_not_its_signers(judge: Judge) -> None:
    good = certificate(Kind.FINALIZE, 1, ONE.hash)
    forged = replace(good, signatures=(*good.signatures[:2], (3, good.signatures[2][1])))
    with pytest.raises(Violation, match="did not sign it"):
        judge.finalized(0, (0, GENESIS.hash), (ONE,), forged)


@pytest.mark.parametrize("made", [(Kind.NULLIFY, ONE.hash), (Kind.FINALIZE, NO_HASH)])
def test_a_certificate_that_names_the_wrong_thing(judge: Judge, made: tuple[Kind, Hash]) -> None:
    with pytest.raises(Violation, match="names the wrong thing"):
        judge.sent(0, True, certificate(made[0], 1, made[1]))


@pytest.mark.parametrize(
    "proof",
    [certificate(Kind.NOTARIZE, 1, ONE.hash), certificate(Kind.FINALIZE, 1, OTHER.hash)],
    ids=["of another kind", "of another block"],
)
def test_another_certificate_than_the_last_blocks(judge: Judge, proof: Certificate) -> None:
    for blocks in ((ONE,), ()):
        with pytest.raises(Violation, match="another certificate"):
            judge.finalized(0, (0, GENESIS.hash), blocks, proof)


def test_two_final_blocks_of_one_height(judge: Judge) -> None:
    finalize(judge, 0, GENESIS, ONE)
    with pytest.raises(Violation, match="agreement"):
        finalize(judge, 1, GENESIS, OTHER)


def test_a_gap_in_a_chain(judge: Judge) -> None:
    with pytest.raises(Violation, match="does not follow"):
        finalize(judge, 0, GENESIS, TWO)
    with pytest.raises(Violation, match="does not follow"):
        finalize(judge, 0, GENESIS, block_on(GENESIS, 1, height=2))


def test_a_chain_that_is_not_linked(judge: Judge) -> None:
    with pytest.raises(Violation, match="does not follow"):
        finalize(judge, 0, GENESIS, OTHER, TWO)


def test_a_final_block_of_another_than_its_leader(judge: Judge) -> None:
    with pytest.raises(Violation, match="not by the leader"):
        finalize(judge, 0, GENESIS, block_on(GENESIS, 1, proposer=2))


def test_a_final_block_outside_of_its_epoch() -> None:
    judge = make_judge(end_height=1)
    judge.epoch_starts(1, ONE, 2)
    with pytest.raises(Violation, match="outside epoch 0"):
        finalize(judge, 0, GENESIS, ONE, TWO)
    with pytest.raises(Violation, match="outside epoch 1"):
        finalize(judge, 0, GENESIS, block_on(GENESIS, 1, epoch=1, proposer=2))


def test_a_final_block_under_another_hash(judge: Judge) -> None:
    with pytest.raises(Violation, match="another hash"):
        finalize(judge, 0, GENESIS, replace(ONE, hash=OTHER.hash))


@pytest.mark.parametrize("between", [0, 1, 5])
def test_a_batch_that_comes_twice(judge: Judge, between: int) -> None:
    chain = [GENESIS, OTHER]
    for view in range(2, 2 + between):
        chain.append(block_on(chain[-1], view))
    chain.append(block_on(chain[-1], 2 + between, refs=(NOTE,)))
    with pytest.raises(Violation, match="batches"):
        finalize(judge, 0, *chain)


def test_epochs_that_start_or_end_differently(judge: Judge) -> None:
    judge.epoch_starts(1, ONE, 2_000)
    judge.epoch_starts(1, ONE, 2_000)
    with pytest.raises(Violation, match="starts from two blocks"):
        judge.epoch_starts(1, OTHER, 2_000)
    with pytest.raises(Violation, match="ends at two heights"):
        judge.epoch_starts(1, ONE, 2_001)


@pytest.mark.parametrize("other", [Executed(1, ONE.hash, 5, 0, 0), Executed(1, NO_HASH, 6, 0, 0)])
def test_two_states_of_one_height(judge: Judge, other: Executed) -> None:
    judge.executed(0, Executed(1, NO_HASH, 5, 0, 0))
    with pytest.raises(Violation, match="another state"):
        judge.executed(1, other)


@pytest.mark.parametrize(("supply", "total", "least"), [(5, 1, 0), (5, -1, 0), (5, 0, -1), (-1, 0, 0)])
def test_money_from_nowhere(judge: Judge, supply: int, total: int, least: int) -> None:
    with pytest.raises(Violation, match="made or lost money"):
        judge.executed(0, Executed(1, NO_HASH, supply, total, least))


# --- accusations ---


def test_evidence_against_the_honest(judge: Judge) -> None:
    with pytest.raises(Violation, match="accuses honest"):
        judge.evidence(0, vote(Kind.NOTARIZE, 1, ONE.hash, 1), vote(Kind.NOTARIZE, 1, OTHER.hash, 1))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (vote(Kind.NOTARIZE, 1, ONE.hash, 1), vote(Kind.NULLIFY, 1, NO_HASH, 1)),
        (vote(Kind.NOTARIZE, 1, ONE.hash, 1), vote(Kind.FINALIZE, 1, OTHER.hash, 1)),
        (vote(Kind.NOTARIZE, 1, ONE.hash, 1), vote(Kind.NOTARIZE, 1, ONE.hash, 1)),
        (vote(Kind.NOTARIZE, 1, ONE.hash, 1), vote(Kind.NOTARIZE, 2, OTHER.hash, 1)),
        (vote(Kind.NOTARIZE, 1, ONE.hash, 1), vote(Kind.NOTARIZE, 1, OTHER.hash, 2)),
        (vote(Kind.NOTARIZE, 1, ONE.hash, 1), vote(Kind.NOTARIZE, 1, OTHER.hash, 1, key=2)),
        (vote(Kind.NOTARIZE, 1, ONE.hash, 1, key=2), vote(Kind.NOTARIZE, 1, OTHER.hash, 1)),
    ],
    ids=["nullified", "misled", "same", "views", "signers", "second forged", "first forged"],
)
def test_evidence_that_proves_nothing(first: Vote, second: Vote) -> None:
    judge = make_judge(honest=(0,))
    with pytest.raises(Violation, match="proves nothing"):
        judge.evidence(0, first, second)


def test_sound_evidence_against_a_liar() -> None:
    judge = make_judge(honest=(0,))
    judge.evidence(0, vote(Kind.NOTARIZE, 1, ONE.hash, 1), vote(Kind.NOTARIZE, 1, OTHER.hash, 1))
    judge.evidence(0, vote(Kind.NULLIFY, 1, NO_HASH, 1), vote(Kind.FINALIZE, 1, ONE.hash, 1))


def test_a_message_of_the_honest_that_is_found_invalid() -> None:
    judge = make_judge(honest=(0,))
    judge.invalid(1, 0, ValueError("as liars do"))
    with pytest.raises(Violation, match="well-behaved"):
        judge.invalid(0, 1, ValueError("what"))


# --- committees that change ---


def judge_of_two_committees() -> Judge:
    """Nodes 0 to 3 sit in epoch 0 in this order, in epoch 1 node 3 comes first; node 3 lies."""
    judge = make_judge(honest=THREE)
    judge.convenes(0, GENESIS, bench(0, 1, 2, 3))
    return judge


def bench(*nodes: int) -> Bench:
    return Bench(tuple(KEYS[node].public for node in nodes), (1,) * len(nodes), nodes)


def test_what_a_liar_signed_before_its_epoch_began_counts_under_the_seat_that_it_has_there() -> None:
    judge = judge_of_two_committees()
    judge.sent(3, False, vote(Kind.NULLIFY, 1, NO_HASH, 0, epoch=1, key=3))
    judge.convenes(1, GENESIS, bench(3, 0, 1))
    for node, seat in ((0, 1), (1, 2)):
        judge.signed(node, vote(Kind.NULLIFY, 1, NO_HASH, seat, epoch=1, key=node))
    assert (1, 1) in judge._reached[Kind.NULLIFY]


def test_a_liars_early_vote_under_anothers_seat_counts_for_nobody() -> None:
    judge = judge_of_two_committees()
    judge.sent(3, False, vote(Kind.NULLIFY, 1, NO_HASH, 3, epoch=1))  # its seat of the epoch before
    judge.convenes(1, GENESIS, bench(3, 0, 1, 2))
    for node, seat in ((0, 1), (1, 2)):
        judge.signed(node, vote(Kind.NULLIFY, 1, NO_HASH, seat, epoch=1, key=node))
    assert (1, 1) not in judge._reached[Kind.NULLIFY]


def test_a_refused_block_is_its_leaders_whatever_seat_that_has() -> None:
    judge = judge_of_two_committees()
    judge.convenes(1, GENESIS, bench(3, 0, 1, 2))
    judge.refused(0, vote(Kind.NOTARIZE, 1, ONE.hash, 0, epoch=1, key=3))
    with pytest.raises(Violation, match="refuses a block of honest"):
        judge.refused(0, vote(Kind.NOTARIZE, 1, ONE.hash, 3, epoch=1, key=2))
