"""node/shadow.py and `som shadow`: a stored chain executed anew agrees in all, or the first difference is named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from consensus.encoding import encode
from consensus.messages import NO_HASH, Block, Header, decode_block, make_block
from devnet.generate import Place, make_genesis, write_network
from devnet.processes import LOOPBACK
from node.batches import decode_payload
from node.cli.main import main
from node.home import read_genesis
from node.ledger.attest import Attest
from node.ledger.execute import genesis_changes
from node.ledger.pay import Pay
from node.ledger.versions import NEWEST, VERSIONS, Rules
from node.shadow import Difference, Replayed, replay
from node.storage import schema
from node.storage.scratch import scratch
from node.storage.store import Store
from tests.node_parts import START_MS
from tests.solo_chain import AUDITOR, BANK, GOLD_ISSUER, SoloChain, solo_chain

SOON_MS = 60_000
GOLD = 3


def shadow(chain: SoloChain, low: int = 0, signatures: bool = False) -> Replayed:
    with scratch(genesis_changes(chain.genesis)) as state:
        return replay(chain.store, chain.genesis, state, low, signatures, lambda height: None)


def differs(chain: SoloChain, low: int = 0, signatures: bool = False) -> Difference:
    with pytest.raises(Difference) as caught:
        shadow(chain, low, signatures)
    return caught.value


async def test_a_chain_that_this_software_made_agrees(tmp_path: Path) -> None:
    async with solo_chain(tmp_path, acting=True) as chain:
        done = shadow(chain, signatures=True)
        assert (done.height, done.root) == (chain.store.tip.height, chain.store.tip.root)
        assert done.transactions > 5
        heights: list[int] = []
        with scratch(genesis_changes(chain.genesis)) as state:
            replay(chain.store, chain.genesis, state, 0, False, heights.append)
        assert heights == list(range(1, done.height + 1))


async def issued_too_late(chain: SoloChain) -> bytes:
    """Issue gold when the attestation has run out; return the transaction's id: what versions 1 and 2 differ by."""
    word = Attest(AUDITOR, "gold", "USDKG", 1_000, chain.now_ms, chain.now_ms + SOON_MS, bytes(32), b"")
    await chain.execute([chain.sign([AUDITOR], [word], "auditor")])
    chain.now_ms += SOON_MS
    late = Pay(GOLD, GOLD_ISSUER, ((BANK, 1, b""),))
    issue = chain.sign([GOLD_ISSUER], [late], "gold-issuer")
    await chain.execute([chain.pay("bank", BANK, 1), issue])
    return issue.id


async def test_software_that_judges_otherwise_is_told_by_its_first_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with solo_chain(tmp_path) as chain:
        issue = await issued_too_late(chain)
        assert shadow(chain).height == chain.store.tip.height
        monkeypatch.setitem(VERSIONS, NEWEST, Rules(NEWEST, names_old_attestations=False))
        found = differs(chain)
        stored = chain.store.transaction(issue)
        assert stored is not None
        assert (found.height, found.transaction, found.what) == (stored.height, issue.hex(), "the receipt")
        assert found.stored.startswith("(614, 0, 0")
        assert found.ours.startswith("(602, 0, 0")
        assert str(found).startswith(f"height {stored.height}, transaction {issue.hex()}: the receipt: stored (614")
        below = differs(chain, low=stored.height + 1)
        assert (below.height, below.what) == (stored.height, "the root of the outcomes"), "roots are compared below too"


Spoil = Callable[[SoloChain], list[schema.Row]]


def header(change: Callable[[Header], Header]) -> Spoil:
    """Return what stores block 2 with another header."""

    def spoil(chain: SoloChain) -> list[schema.Row]:
        block = block_of(chain, 2)
        other = make_block(change(block.header), block.payload)
        row = encode((other.hash, other.header.parent_hash, other.header.timestamp_ms, other.encoded))
        return [(schema.block_key(2), row)]

    return spoil


def block_of(chain: SoloChain, height: int) -> Block:
    stored = chain.store.block(height)
    assert stored is not None
    return decode_block(stored.block_bytes)


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("the block", lambda chain: [(schema.block_key(2), None)]),
        ("the roots", lambda chain: [(schema.roots_key(2), None)]),
        ("the receipt", lambda chain: [(schema.outcomes_key(2), b"o" * 32)]),
        ("the parent", header(lambda each: replace(each, parent_hash=NO_HASH))),
        ("the epoch", header(lambda each: replace(each, epoch=1))),
        ("the committee", header(lambda each: replace(each, validators_hash=NO_HASH))),
        ("the next committee", header(lambda each: replace(each, next_validators_hash=each.validators_hash))),
        ("the root of height 1", header(lambda each: replace(each, state_root=NO_HASH))),
        ("the protocol version", header(lambda each: replace(each, version=NEWEST - 1))),
        ("the protocol version", header(lambda each: replace(each, version=NEWEST + 1))),
        ("the root of the state tree", lambda chain: [(schema.roots_key(2), roots(chain, 1, b"s" * 32))]),
        ("the root of the outcomes", lambda chain: [(schema.roots_key(2), roots(chain, 2, b"o" * 32))]),
        ("the root", lambda chain: [(schema.roots_key(2), roots(chain, 3, b"r" * 32))]),
        ("a batch", lambda chain: [(schema.batch_key(decode_payload(block_of(chain, 1).payload)[0]), None)]),
    ],
)
async def test_whatever_is_stored_otherwise_is_named(tmp_path: Path, what: str, spoil: Spoil) -> None:
    async with solo_chain(tmp_path) as chain:
        chain.store._write(spoil(chain))
        found = differs(chain)
        assert (found.what, found.height) == (what, 1 if what == "a batch" else 2)


def roots(chain: SoloChain, place: int, value: bytes) -> bytes:
    """Return the row of the roots of height 2 with another one at a place."""
    found = chain.store.roots(2)
    assert found is not None
    fields = [found.header, found.state_tree_root, found.outcomes_root, found.root]
    return encode(tuple(value if index == place else each for index, each in enumerate(fields)))


async def test_signatures_are_checked_if_asked_for(tmp_path: Path) -> None:
    async with solo_chain(tmp_path) as chain:
        other = chain.store.certificate(1)
        assert other is not None
        chain.store._write([(schema.certificate_key(2), other)])
        assert shadow(chain).height == chain.store.tip.height
        assert differs(chain, signatures=True).what == "the certificate"


# --- the command ---


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home of a lone validator that has never run."""
    genesis = replace(make_genesis(START_MS, ["nbkr"]), tree_depth=1)
    write_network(tmp_path, [Place("nbkr", LOOPBACK, LOOPBACK, 1, 2)], genesis)
    return tmp_path / "nbkr"


def test_the_command_says_what_agrees_and_leaves_nothing_behind(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    done = CliRunner().invoke(main, ["shadow", "--home", str(home), "--scratch", str(place), "--json"])
    assert (done.exit_code, '"agrees": true' in done.stdout) == (0, True), done.output
    assert list(place.iterdir()) == []


def test_the_command_ends_with_1_at_a_difference(home: Path) -> None:
    genesis_hash = read_genesis(home / "genesis.json").hash
    store = Store.open(home / "data" / "store", genesis_hash)
    store._write([(schema.roots_key(0), None)])
    store.close()
    done = CliRunner().invoke(main, ["shadow", "--home", str(home)])
    assert done.exit_code == 1
    assert "height 0: the root: stored None" in done.stderr


def test_the_command_refuses_a_home_that_is_not_there(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["shadow", "--home", str(tmp_path / "nowhere")]).exit_code == 7
