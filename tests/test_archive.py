"""The archive: one program alone verifies it and finds every changed byte; a home made of it has the same roots."""

import json
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import node.archive
from consensus.crypto import SecretKey
from consensus.encoding import as_tuple, decode, encode
from node.archive import ArchiveError, export, restore
from node.archive_verify import FINALIZE, HEADER, Committee, Invalid, Verifier, verify
from node.batches import encode_payload, make_batch
from node.cli import main as som
from node.config import Config
from node.home import create_data
from node.ledger.account import SOM
from node.ledger.commitment import outcome_leaf
from node.ledger.pay import Pay
from node.ledger.transaction import assemble, make_body, sign_body
from node.storage.archive_files import frames, segments
from node.storage.store import Store
from tests.node_lab import network
from tests.solo_chain import ALICE, SHOP, SoloChain, solo_chain

SCRIPT = Path(node.archive.__file__).with_name("archive_verify.py")


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[SoloChain]:
    async with solo_chain(tmp_path / "chain", acting=True) as chain:
        yield chain


@pytest.fixture
def archive(chain: SoloChain, tmp_path: Path) -> Path:
    """Write the whole chain in small segments."""
    directory = tmp_path / "archive"
    deque(export(chain.store, chain.genesis, directory, 1, chain.store.tip.height, segment_bytes=1_500), maxlen=0)
    assert len(segments(directory)) > 2
    return directory


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program by itself: a copy of the one file, with nothing of ours to be imported."""
    copy = folder / "verify_alone.py"
    shutil.copy(SCRIPT, copy)
    return subprocess.run(
        [sys.executable, "-I", str(copy), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_program_alone_verifies_from_the_genesis_hash(chain: SoloChain, archive: Path, tmp_path: Path) -> None:
    done = alone(tmp_path, chain.genesis.hash.hex(), str(archive))
    assert done.returncode == 0, done.stderr
    tip = chain.store.tip
    assert f"heights 1 to {tip.height}" in done.stdout
    assert tip.block_hash.hex() in done.stdout
    before = chain.store.roots(tip.height - 1)
    assert before is not None
    assert f"up to height {tip.height - 1}, root {before.root.hex()}" in done.stdout
    assert alone(tmp_path, "00" * 32, str(archive)).returncode == 1
    assert alone(tmp_path).returncode == 2
    assert "node" not in {
        line.split()[1].split(".")[0] for line in SCRIPT.read_text().splitlines() if "import " in line
    }


def test_every_changed_byte_is_found(chain: SoloChain, archive: Path) -> None:
    verify(chain.genesis.hash, str(archive))
    last = chain.store.roots(chain.store.tip.height)
    assert last is not None
    for path in segments(archive):
        data = path.read_bytes()
        unproven = (
            data.rfind(last.state_tree_root) if path == segments(archive)[-1] else -1
        )  # what came of the last block no header names yet
        for at in range(3, len(data), 41):
            path.write_bytes(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
            if unproven <= at < unproven + 32 and unproven >= 0:
                assert verify(chain.genesis.hash, str(archive)).proven == chain.store.tip.height - 1
                continue
            with pytest.raises(Invalid):
                verify(chain.genesis.hash, str(archive))
        path.write_bytes(data)
    verify(chain.genesis.hash, str(archive))


def test_a_segment_that_is_missing_cut_doubled_or_out_of_order_is_found(chain: SoloChain, archive: Path) -> None:
    files = segments(archive)
    data = files[1].read_bytes()
    files[1].unlink()
    with pytest.raises(Invalid):
        verify(chain.genesis.hash, str(archive))
    for wrong in (data[:-1], data[: len(data) // 2], data + data[:4], files[0].read_bytes(), b""):
        files[1].write_bytes(wrong)
        with pytest.raises(Invalid):
            verify(chain.genesis.hash, str(archive))
    files[1].write_bytes(data)
    verify(chain.genesis.hash, str(archive))


async def test_what_failed_before_it_was_executed_moves_no_receipt_of_those_behind_it(
    chain: SoloChain, tmp_path: Path
) -> None:
    late = chain.sign([ALICE], [Pay(SOM, ALICE, ((SHOP, 1, b""),))], "alice", expires_ms=chain.now_ms)
    paid = [chain.pay("bank", SHOP, amount) for amount in (2, 3)]
    assert [receipt.consumed for receipt in await chain.add_block((late, *paid))] == [False, True, True]
    height = chain.store.tip.height
    assert [place and place.index for place in map(chain.store.transaction, (each.id for each in paid))] == [1, 2]
    for _ in range(3):
        await chain.add_block(())
    deque(export(chain.store, chain.genesis, tmp_path / "part", height, chain.store.tip.height), maxlen=0)
    _, block, *_ = [as_tuple(decode(frame)) for frame in frames(segments(tmp_path / "part")[0])]
    assert [bool(receipt) for receipt in as_tuple(block[5])] == [False, True, True]
    assert verify(chain.genesis.hash, str(tmp_path / "part")).transactions == 3


async def test_a_receipt_that_is_left_out_is_missed(chain: SoloChain, tmp_path: Path) -> None:
    (receipt,) = await chain.add_block((chain.pay("bank", SHOP, 2),))
    leaf = outcome_leaf(receipt.transaction_id, receipt.encoded)
    verifier = Verifier(chain.genesis.hash)
    verifier.roots[0] = bytes(32)
    verifier.outcomes(1, [receipt.transaction_id], leaf, (receipt.encoded,), bytes(32))
    with pytest.raises(Invalid, match="left out"):
        verifier.outcomes(1, [receipt.transaction_id], leaf, (b"",), bytes(32))


def test_an_archive_of_part_of_the_chain_is_verified_too(chain: SoloChain, tmp_path: Path) -> None:
    deque(export(chain.store, chain.genesis, tmp_path / "part", 3, 5), maxlen=0)
    done = verify(chain.genesis.hash, str(tmp_path / "part"))
    assert (done.first, done.height) == (3, 5)
    with pytest.raises(ArchiveError):
        deque(export(chain.store, chain.genesis, tmp_path / "part", 3, 5), maxlen=0)
    for first, last in ((0, 5), (6, 5), (100, 200)):
        with pytest.raises(ArchiveError):
            deque(export(chain.store, chain.genesis, tmp_path / "none", first, last), maxlen=0)


def test_a_home_made_of_an_archive_has_the_same_rows(chain: SoloChain, archive: Path, tmp_path: Path) -> None:
    create_data(tmp_path / "other", Config("solo"), chain.genesis)
    store = Store.open(tmp_path / "other" / "data" / "store", chain.genesis.hash)
    try:
        heights = list(restore(store, chain.genesis, archive))
        assert heights == list(range(1, chain.store.tip.height + 1))
        ours, theirs = (dict(each.rows(b"", None)) for each in (store, chain.store))
        assert {key for key in theirs.keys() ^ ours.keys() if key[:1] != b"v"} == set()
        assert ours.items() <= theirs.items()
        assert list(restore(store, chain.genesis, archive)) == []  # nothing is new
    finally:
        store.close()


def test_what_is_not_final_or_not_signed_makes_no_chain(chain: SoloChain, archive: Path, tmp_path: Path) -> None:
    path = segments(archive)[0]
    rows: list[Any] = [decode(frame) for frame in frames(path)]
    at = next(at for at, row in enumerate(rows) if row[0] != HEADER and row[3])
    kind, block, certificate, batches, *rest = rows[at]
    cut = (kind, block, certificate[:-1] + bytes((certificate[-1] ^ 1,)), batches, *rest)
    other = (kind, block, certificate, (batches[0][:10] + bytes((batches[0][10] ^ 1,)) + batches[0][11:],), *rest)
    for number, wrong in enumerate((cut, other)):
        fake = tmp_path / f"fake-{number}"
        fake.mkdir()
        encoded = [encode(wrong if place == at else row) for place, row in enumerate(rows)]
        (fake / path.name).write_bytes(b"".join(len(each).to_bytes(4, "big") + each for each in encoded))
        create_data(tmp_path / f"home-{number}", Config("solo"), chain.genesis)
        store = Store.open(tmp_path / f"home-{number}" / "data" / "store", chain.genesis.hash)
        with pytest.raises(ArchiveError):
            deque(restore(store, chain.genesis, fake), maxlen=0)
        assert store.tip.height < at
        store.close()
        with pytest.raises(Invalid):
            verify(chain.genesis.hash, str(fake))


async def test_the_commands_over_epochs_with_four_validators(tmp_path: Path) -> None:
    async with network(tmp_path, epoch_length=8) as lab:
        await lab.fund()
        await lab.accept(lab.names[0], *(lab.pension() for _ in range(5)))
        await lab.height(20)
    home, out = tmp_path / "bank-1", tmp_path / "out"
    run = CliRunner()

    def told(*arguments: object) -> dict[str, Any]:
        done = run.invoke(som, ["--json", *map(str, arguments)])
        assert done.exit_code == 0, done.output
        return json.loads(done.output)  # type: ignore[no-any-return]

    written = told("archive", "export", "--home", home, "--out", out)
    assert int(written["last"]) >= 16
    seen = told("archive", "verify", out, "--genesis", home / "genesis.json")
    assert (seen["last"], seen["transactions"]) == (written["last"], 6)
    assert alone(tmp_path, str(written["genesis_hash"]), str(out)).returncode == 0
    assert run.invoke(som, ["resync", "--home", str(home)]).exit_code == 0
    restored = told("archive", "import", "--home", home, out)
    assert restored["height"] == seen["last"]
    store = Store.open(home / "data" / "store", lab.genesis.hash)
    proven = store.roots(seen["proven_height"])
    store.close()
    assert proven is not None
    assert proven.root.hex() == seen["root"]
    later = told("archive", "export", "--home", home, "--out", tmp_path / "later", "--from", 11, "--to", 17)
    assert told("archive", "verify", tmp_path / "later", "--genesis-hash", later["genesis_hash"])["first"] == 11


def test_less_than_a_quorum_finalizes_nothing() -> None:
    keys = sorted((SecretKey(bytes((number,)) * 32) for number in range(1, 5)), key=lambda key: key.public)
    committee = Committee((key.public, 1) for key in keys)
    genesis_hash, block_hash = bytes(32), b"b" * 32
    statement = encode((genesis_hash, FINALIZE, 0, 7, block_hash))
    header = {"validators_hash": committee.hash, "epoch": 0}

    def certificate(signers: int) -> bytes:
        signatures = tuple((at, key.sign(b"som-vote-1" + statement)) for at, key in enumerate(keys[:signers]))
        return encode((FINALIZE, 0, 7, block_hash, signatures))

    committee.require_final(genesis_hash, header, block_hash, certificate(3))
    with pytest.raises(Invalid, match="quorum"):
        committee.require_final(genesis_hash, header, block_hash, certificate(2))


def test_a_signed_batch_of_transactions_with_other_signatures_is_found() -> None:
    genesis_hash, key = bytes(32), SecretKey(b"k" * 32)
    body = make_body(1, 1, 1, [1], [Pay(SOM, 1, ((2, 1, b""),))])
    good, bad = sign_body(genesis_hash, body, 0, key), (0, key.public, bytes(64))
    for signed, valid in ((good, True), (bad, False)):
        batch = make_batch(genesis_hash, key, 1, 1, [assemble(body, [signed])])
        payload, encoded = encode_payload([batch.digest]), (batch.encoded,)
        if valid:
            assert len(Verifier(genesis_hash).batches(payload, encoded)) == 1
        else:
            with pytest.raises(Invalid, match="transaction"):
                Verifier(genesis_hash).batches(payload, encoded)
