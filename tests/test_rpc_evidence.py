"""evidence_list and evidence_get: pages, what is said, and what is not there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consensus.evidence import make_evidence
from consensus.messages import NO_HASH, Hash, Kind, Vote, vote_statement
from node.batches import make_batch
from node.evidence import InvalidBatch, Proof, decode_proof, encode_proof, evidence_id
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import key


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path) as found:
        yield found


def vote(lab: Lab, kind: Kind, named: Hash, view: int) -> Vote:
    statement = vote_statement(lab.chain.genesis.hash, kind, 0, view, named)
    return Vote(kind, 0, view, named, 0, key("consensus").sign(statement))


def store(lab: Lab, proof: Proof) -> str:
    encoded = encode_proof(proof)
    lab.chain.store.put_evidence(evidence_id(encoded), encoded)
    return evidence_id(encoded).hex()


async def test_pages_hold_all_evidence_once_in_one_order(lab: Lab) -> None:
    for view in range(1, 30):
        store(lab, make_evidence(*(vote(lab, Kind.FINALIZE, Hash(fill * 32), view) for fill in (b"a", b"b"))))
    seen: list[str] = []
    more = True
    while more:
        after = {"after": seen[-1]} if seen else {}
        page = await lab.call("evidence_list", limit=7, **after)
        seen += [row["id"] for row in page["evidence"]]
        more = page["more"]
    assert seen == sorted(seen)
    assert len(seen) == len(set(seen)) == 30
    assert len((await lab.call("evidence_list"))["evidence"]) == 20


async def test_each_kind_says_who_and_what(lab: Lab) -> None:
    named = Hash(b"h" * 32)
    both = store(lab, make_evidence(vote(lab, Kind.NULLIFY, NO_HASH, 9), vote(lab, Kind.FINALIZE, named, 9)))
    batch = make_batch(lab.chain.genesis.hash, key("consensus"), 1, 0, [b"no transaction"])
    bad = store(lab, InvalidBatch(batch, 0))
    shown = (await lab.call("evidence_get", id=both))["evidence"]
    assert (shown["kind"], shown["validator"], shown["view"]) == ("conflicting_votes", "solo", 9)
    assert shown["votes"] == [
        {"kind": "NULLIFY", "block_hash": None},
        {"kind": "FINALIZE", "block_hash": named.hex()},
    ]
    found = await lab.call("evidence_get", id=bad)
    shown = found["evidence"]
    assert (shown["kind"], shown["view"], shown["votes"]) == ("invalid_batch", None, [])
    assert (shown["batch"], shown["transaction"]) == (batch.digest.hex(), 0)
    assert decode_proof(bytes.fromhex(found["proof"]), lab.chain.genesis.hash) == InvalidBatch(batch, 0)
    assert shown["size"] == len(found["proof"]) // 2


async def test_what_is_not_there_and_what_says_nothing_is_an_error_or_left_out(lab: Lab) -> None:
    assert (await lab.error("evidence_get", id="00" * 32))["data"]["path"] == "id"
    lab.chain.store.put_evidence(b"\xff" * 32, b"of an older form")
    assert (await lab.error("evidence_get", id="ff" * 32))["data"]["path"] == "id"
    assert len((await lab.call("evidence_list"))["evidence"]) == 1


async def test_forms_and_bounds_are_kept(lab: Lab) -> None:
    for params in ({"after": "xy"}, {"after": "0" * 63}, {"limit": 0}, {"limit": 21}, {"cursor": "00"}):
        assert (await lab.error("evidence_list", **params))["code"] == -32602, params
