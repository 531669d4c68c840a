"""`som evidence`: from a node, into a file, and checked offline by one who has the genesis."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from consensus.committee import Committee, Validator
from consensus.crypto import SecretKey
from consensus.evidence import make_evidence
from consensus.messages import (
    Certificate,
    Hash,
    Header,
    Kind,
    Vote,
    encode_certificate,
    encode_header,
    header_hash,
    payload_hash,
    vote_statement,
)
from node.cli.evidence import EvidenceFile
from node.evidence import encode_proof, evidence_id
from node.ledger.genesis import Genesis, format_genesis
from node.rpc.validator_types import CommitteeChange, CommitteeMember
from tests.cli_lab import Som, som_lab
from tests.solo_chain import key, solo_genesis


@pytest.fixture(scope="module")
def som(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Som]:
    with som_lab(tmp_path_factory.mktemp("som")) as found:
        yield found


@pytest.fixture
def genesis_file(tmp_path: Path) -> Path:
    path = tmp_path / "genesis.json"
    path.write_text(format_genesis(solo_genesis()))
    return path


@pytest.fixture
def evidence_file(som: Som, tmp_path: Path) -> Path:
    path = tmp_path / "evidence.json"
    (row,) = som.json("evidence", "list")["evidence"]
    assert som.run("evidence", "show", row["id"], "--out", str(path)).exit_code == 0
    return path


def test_a_list_and_a_piece_say_who_did_what(som: Som) -> None:
    (row,) = som.json("evidence", "list")["evidence"]
    assert row["id"] == evidence_id(encode_proof(som.chain.evidence)).hex()
    assert (row["kind"], row["validator"], row["epoch"], row["view"]) == ("conflicting_votes", "solo", 0, 7)
    assert row["leads"], "a lone validator leads every view: it made two proposals"
    shown = som.json("evidence", "show", row["id"])
    assert shown["evidence"] == row
    assert {vote["block_hash"] for vote in row["votes"]} == {(b"1" * 32).hex(), (b"2" * 32).hex()}
    for language in ("ky", "ru", "en"):
        told = som.run("evidence", "show", row["id"], "--lang", language)
        assert row["consensus_key"] in told.stdout
        assert "NOTARIZE" in told.stdout


def test_a_file_convinces_one_who_has_the_genesis_and_no_network(
    som: Som, evidence_file: Path, genesis_file: Path
) -> None:
    """R45"""
    told = som.run(
        "evidence", "verify", str(evidence_file), "--genesis", str(genesis_file), "--json", url="http://127.0.0.1:1"
    )
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["validator"], found["kind"], found["epoch"]) == ("solo", "conflicting_votes", 0)
    assert found["consensus_key"] == key("consensus").public.hex()


def test_a_changed_file_and_another_genesis_convince_nobody(
    som: Som, evidence_file: Path, genesis_file: Path, tmp_path: Path
) -> None:
    """R45"""
    good = json.loads(evidence_file.read_text())
    proof = bytearray.fromhex(good["proof"])
    proof[-1] ^= 1
    lies = {
        "changed": good | {"proof": proof.hex()},
        "empty": good | {"proof": ""},
        "no hex": good | {"proof": "xyz"},
        "other network": good | {"genesis_hash": "00" * 32},
    }
    for name, lie in lies.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(lie))
        told = som.run("evidence", "verify", str(path), "--genesis", str(genesis_file))
        assert told.exit_code == 1, name
    other = tmp_path / "other.json"
    other.write_text(format_genesis(replace(solo_genesis(), name="other")))
    assert som.run("evidence", "verify", str(evidence_file), "--genesis", str(other)).exit_code == 1


def test_what_is_no_file_of_evidence_is_named(som: Som, genesis_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(b"\xff{}")
    told = som.run("evidence", "verify", str(path), "--genesis", str(genesis_file))
    assert told.exit_code == 7
    assert "no file of evidence" in told.stderr


def test_a_file_is_never_overwritten(som: Som, evidence_file: Path) -> None:
    (row,) = som.json("evidence", "list")["evidence"]
    before = evidence_file.read_bytes()
    assert som.run("evidence", "show", row["id"], "--out", str(evidence_file)).exit_code == 7
    assert evidence_file.read_bytes() == before


def test_an_unknown_id_and_a_wrong_one_are_refused(som: Som) -> None:
    assert som.run("evidence", "show", "00" * 32).exit_code == 1
    assert som.run("evidence", "show", "XY").exit_code == 2


LENGTH = 10


def two_votes(genesis: Genesis, epoch: int, signer: SecretKey) -> bytes:
    """Return the evidence that the only member of a committee voted twice."""
    votes = []
    for fill in (b"1", b"2"):
        statement = vote_statement(genesis.hash, Kind.NOTARIZE, epoch, 7, fill * 32)
        votes.append(Vote(Kind.NOTARIZE, epoch, 7, Hash(fill * 32), 0, signer.sign(statement)))
    return encode_proof(make_evidence(*votes))


def change(genesis: Genesis, before: SecretKey, after: SecretKey) -> CommitteeChange:
    """Return what shows that one lone validator followed another in epoch 1."""
    old, new = (Committee(epoch, [Validator(key.public, 1)]) for epoch, key in ((0, before), (1, after)))
    zero, payload = Hash(bytes(32)), payload_hash(b"")
    hashes = (Hash(old.hash), Hash(new.hash))
    header = Header(Hash(genesis.hash), 0, LENGTH, LENGTH, LENGTH - 1, zero, 0, 1, *hashes, 0, zero, payload, 1)
    name = header_hash(header)
    signature = before.sign(vote_statement(genesis.hash, Kind.FINALIZE, 0, LENGTH, name))
    certificate = Certificate(Kind.FINALIZE, 0, LENGTH, name, ((0, signature),))
    return CommitteeChange(
        epoch=1,
        validators=(CommitteeMember(consensus_key=after.public.hex(), weight=1),),
        header=encode_header(header).hex(),
        certificate=encode_certificate(certificate).hex(),
    )


def test_a_file_carries_the_proof_of_later_committees(som: Som, tmp_path: Path) -> None:
    """R45, R51: evidence of epoch 1, whose one validator the genesis does not know."""
    genesis = replace(solo_genesis(), epoch_length=LENGTH)
    genesis_file = tmp_path / "short.json"
    genesis_file.write_text(format_genesis(genesis))
    proof = two_votes(genesis, 1, key("newcomer"))
    good = change(genesis, key("consensus"), key("newcomer"))
    forged = change(genesis, key("newcomer"), key("newcomer"))
    for changes, code in (((good,), 0), ((), 1), ((forged,), 1), ((good, good), 1)):
        path = tmp_path / "file.json"
        path.write_bytes(msgspec.json.encode(EvidenceFile(genesis.hash.hex(), proof.hex(), changes)))
        told = som.run("evidence", "verify", str(path), "--genesis", str(genesis_file), "--json")
        assert told.exit_code == code, told.output
        assert code or json.loads(told.stdout)["consensus_key"] == key("newcomer").public.hex()
