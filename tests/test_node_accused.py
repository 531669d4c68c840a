"""Whole nodes and one that lies with its real key: all honest ones end with the same evidence, and with none against
each other, also who was down meanwhile and who starts again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from consensus.events import Content
from consensus.messages import Block, Hash, Kind, Vote, encode_message, make_block, vote_statement
from consensus.place import Place
from node.batches import Batch, BatchDigest, encode_batch_message, encode_payload, make_batch
from node.evidence import Network, decode_proof, verify_proof
from node.links import BATCHES, CONSENSUS
from node.node import Node
from node.payloads import Payloads
from tests.node_lab import Lab, network
from tests.node_parts import key_in
from tests.test_node_checks import spoilt


def key_of(node: Node) -> bytes:
    return key_in(node.opened).public


def votes_twice(lab: Lab, liar: str, victim: str) -> None:
    """Send two FINALIZE of a view to come to one validator only."""
    node = lab.nodes[liar]
    core, me = node.driver.core, node.driver.core.me
    assert me is not None
    view = core.view + 3
    for fill in (b"1", b"2"):
        statement = vote_statement(lab.genesis.hash, Kind.FINALIZE, core.epoch, view, fill * 32)
        vote = Vote(Kind.FINALIZE, core.epoch, view, Hash(fill * 32), me, key_in(node.opened).sign(statement))
        node.mesh.send(lab.nodes[victim].mesh.identity.peer, CONSENSUS.number, encode_message(vote))


def batch_of(lab: Lab, liar: str, good: bool) -> Batch:
    node = lab.nodes[liar]
    raws = [lab.pension().raw, lab.pension().raw if good else spoilt(lab.pension()).raw]
    return make_batch(lab.genesis.hash, key_in(node.opened), 1, node.store.tip.height, raws)


def send_batch(lab: Lab, liar: str, victim: str, batch: Batch) -> None:
    lab.nodes[liar].mesh.send(lab.nodes[victim].mesh.identity.peer, BATCHES.number, encode_batch_message(batch))


def held(node: Node) -> dict[bytes, bytes]:
    return dict(node.store.evidence())


def kinds(node: Node) -> dict[str, int]:
    return {kind.name.lower(): count for kind, count in node.evidence.counts().items() if count}


def accused(lab: Lab, node: Node) -> set[bytes]:
    """Return whom a node's evidence convicts, verified anew."""
    network = Network(lab.genesis.hash, lab.genesis.epoch_length, node._committee_of)
    charges = [verify_proof(decode_proof(encoded, lab.genesis.hash), network) for encoded in held(node).values()]
    return {charge.validator for charge in charges if charge is not None}


async def test_a_liar_is_known_to_all_also_to_who_was_away_and_who_starts_again(tmp_path: Path) -> None:
    """R58, R59: told to one, held by all; a caught author stays ignored after a restart."""
    async with network(tmp_path) as lab:
        liar, first, second, away = lab.names
        liars_key = key_of(lab.nodes[liar])
        await lab.stop(away)
        votes_twice(lab, liar, first)
        send_batch(lab, liar, second, batch_of(lab, liar, good=False))
        both = {"conflicting_votes": 1, "invalid_batch": 1}
        await lab.until(lambda: kinds(lab.nodes[first]) == kinds(lab.nodes[second]) == both, "evidence at both")
        await lab.start(away)
        await lab.until(lambda: kinds(lab.nodes[away]) == both, "evidence at who was away")
        await lab.stop(first)
        await lab.start(first)
        honest = [lab.nodes[name] for name in (first, second, away)]
        assert held(honest[0]) == held(honest[1]) == held(honest[2])
        assert kinds(honest[0]) == both, "known again from its own disk"
        for node in honest:
            assert accused(lab, node) == {liars_key}
            assert node.evidence.forged == 0
            assert liars_key in node.dissemination._ignored
            assert b'som_evidence_total{kind="invalid_batch"} 1.0' in node.metrics.render()
        await lab.until(lambda: kinds(lab.nodes[liar]) == both, "the accused hears of it too")
        await lab.linked(first, second, away)
        height = max(node.store.tip.height for node in honest)
        await lab.height(height + 2, first, second, away)


async def test_what_a_liar_wrote_before_it_was_caught_and_nobody_includes_is_let_go_of(tmp_path: Path) -> None:
    """R59: its good batch at one validator only, which no quorum will ever hold."""
    async with network(tmp_path) as lab:
        liar, first, second, third = lab.names
        await lab.stop(third)
        good = batch_of(lab, liar, good=True)
        send_batch(lab, liar, first, good)
        node = lab.nodes[first]
        await lab.until(lambda: good.digest in node.pool, "held")
        send_batch(lab, liar, second, batch_of(lab, liar, good=False))
        await lab.until(lambda: kinds(node) == {"invalid_batch": 1}, "evidence")
        await lab.start(third)
        await lab.until(lambda: good.digest not in node.pool, "let go of")
        assert not any(_named(lab, name, good.digest) for name in lab.running)


def _named(lab: Lab, name: str, digest: BatchDigest) -> bool:
    return lab.nodes[name].store.batch(digest) is not None


class LyingPayloads(Payloads):
    """Chooses what is no list of batches."""

    def content(self, parent: Block, names: Sequence[BatchDigest], now_ms: int) -> Content | None:
        content = super().content(parent, names, now_ms)
        twice = encode_payload([BatchDigest(b"n" * 32)] * 2)
        return None if content is None else replace(content, payload=twice)


class LyingPlace(Place):
    """Makes blocks in which time stands still, and finds them good."""

    def next_block(self, view: int, parent_view: int, parent: Block, content: Content) -> Block:
        honest = super().next_block(view, parent_view, parent, content)
        return make_block(replace(honest.header, timestamp_ms=parent.header.timestamp_ms), honest.payload)

    def fits(self, view: int, parent_view: int, parent: Block, block: Block) -> bool:
        return True


async def test_a_leader_of_invalid_blocks_is_known_to_all(tmp_path: Path) -> None:
    """R45, R58: its header is wrong beside its parent's, and then its payload; the others go on."""
    async with network(tmp_path) as lab:
        liar, *others = lab.names
        honest = [lab.nodes[name] for name in others]
        driver = lab.nodes[liar].driver
        core, payloads = driver.core, driver.blocks.payloads
        honest_place = core._place
        core._place = LyingPlace(honest_place.committee, honest_place.genesis_hash, honest_place.end_height)
        await lab.until(lambda: all(kinds(node).get("invalid_block") for node in honest), "a wrong header")
        core._place = honest_place
        driver.blocks.payloads = LyingPayloads(
            payloads.pool,
            payloads.executed,
            payloads.block_of,
            payloads.final_height,
            payloads.next_validators_hash,
            payloads.version,
        )
        await lab.until(lambda: all(kinds(node).get("invalid_payload") for node in honest), "a wrong payload")
        driver.blocks.payloads = payloads
        assert all(accused(lab, node) == {key_of(lab.nodes[liar])} for node in honest)
        await lab.height(max(node.store.tip.height for node in honest) + 2)
        lab.same_chain()
