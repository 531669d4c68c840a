"""Snapshots: what they hold is what the state commits to, who lies is found out, and a node begins at one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import node.snapshot_fetch
import node.snapshot_maker
import node.snapshot_proof
from consensus.encoding import DecodeError, as_int, as_tuple, decode, digest, encode
from network.wire import PeerId
from node.client.errors import ProofInvalid
from node.epochs import Epochs
from node.ledger.execute import Ledger
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition
from node.ledger.invariants import audit
from node.ledger.recent import EMPTY_CHAIN, SEEN_TAG
from node.ledger.snapshot import Minutes, Node, folded, frontier, placed, runs_of
from node.ledger.state import State
from node.snapshot_fetch import ATTEMPTS, LIST, PIECE
from node.snapshot_maker import Maker
from node.snapshot_proof import (
    CONTENTS,
    FIRST,
    PROOF,
    Contents,
    File,
    Kind,
    decode_contents,
    encode_contents,
    make_proof,
    name_of,
    verify_proof,
)
from node.snapshots import Snapshots
from node.storage.founding import install
from node.storage.snapshot_files import FILE_BYTES_MAX, Fetched, Shelf
from tests.node_parts import eventually, running
from tests.snapshot_lab import PEERS, Joiner, joins, made
from tests.solo_chain import ALICE, DEVICE, SHOP, SoloChain, solo_chain

Answer = Callable[[int, bytes], bytes | None]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask after moments, and make many small files."""
    monkeypatch.setattr(node.snapshot_fetch, "LISTEN_SECONDS", 0.001)
    monkeypatch.setattr(node.snapshot_fetch, "BLOCKS_SECONDS", 0.05)
    monkeypatch.setattr(node.snapshot_maker, "FILE_BYTES", 1_500)
    monkeypatch.setattr(node.snapshot_maker, "IDS_IN_FILE", 3)
    monkeypatch.setattr(node.snapshot_maker, "REFS_IN_FILE", 1)


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[SoloChain]:
    """Give a chain with everything that the ledger has in it, references paid once among it."""
    async with solo_chain(tmp_path / "chain", acting=True) as chain:
        hold = MakeHold(
            1, ALICE, ((DEVICE, 1_00, b"R"),), SHOP, chain.now_ms + 3_600_000, Condition(b"", (), 0, "", "", False)
        )
        await chain.execute([chain.sign([ALICE], [hold], "alice")])
        await chain.execute([chain.open_wallet(500 + serial * 9) for serial in range(40)])
        for minute in range(3):
            chain.now_ms += 40_000
            await chain.execute(
                [chain.pay("bank", SHOP, 1, b"x"), chain.pay("alice", SHOP, 1, b"once-%d" % minute, once=True)]
            )
        for _ in range(3):  # a checkpoint is a row from the block after it on
            await chain.add_block(())
        yield chain


@pytest.fixture
async def shelf(chain: SoloChain, tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "shelf")
    await made(chain, shelf)
    return shelf


def contents_of(shelf: Shelf) -> Contents:
    return decode_contents(shelf.read(shelf.heights()[-1], CONTENTS, 0, FILE_BYTES_MAX) or b"")


def proof_of(shelf: Shelf) -> bytes:
    return shelf.read(shelf.heights()[-1], PROOF, 0, FILE_BYTES_MAX) or b""


# --- pieces of the tree ---


def test_nodes_cover_the_tree_once_with_few_bytes_each() -> None:
    sizes = [0] * 256
    sizes[3], sizes[4], sizes[200] = 90, 50, 10
    found = frontier(sizes, 2, 100)
    nodes = [node for node, _ in found]
    assert placed([node.level for node in nodes], 2) == nodes
    assert {size for _, size in found} == {0, 10, 50, 90}
    assert len(nodes) == 16 + 15
    assert frontier(sizes, 2, 150) == [(Node(2, 0), 150)]
    assert runs_of(found, 100) == [4, 27]  # what has no rows costs nothing


@pytest.mark.parametrize("levels", [[], [2, 0], [1] * 15, [0, 1], [1] * 17])
def test_nodes_that_do_not_cover_the_tree_are_refused(levels: list[int]) -> None:
    with pytest.raises(DecodeError):
        placed(levels, 2)


async def test_nodes_fold_to_the_root_of_the_state(chain: SoloChain, shelf: Shelf) -> None:
    contents = contents_of(shelf)
    roots = chain.store.roots(contents.height)
    assert roots is not None
    assert contents.state_tree_root == roots.state_tree_root
    assert len(contents.nodes) > 20
    swapped = (contents.hashes[1], contents.hashes[0], *contents.hashes[2:])
    assert folded(tuple(zip(contents.nodes, swapped, strict=True)), contents.depth) != roots.state_tree_root


# --- joining ---


async def test_a_store_made_of_a_snapshot_has_the_same_state_row_by_row(chain: SoloChain, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    state = dict(chain.store.scan_all())
    height = await made(chain, shelf)
    joiner = Joiner(chain, tmp_path / "joiner", [shelf])
    await joins(joiner)
    store = joiner.opened()
    try:
        assert (store.tip.height, store.base()) == (height, height)
        joined = dict(store.scan_all())
        assert set(b"aspcherktywoMIRQPBEYFG") <= {key[0] for key in joined}
        assert joined.items() <= state.items()
        assert {key[:1] for key in state.keys() - joined.keys()} <= {b"I", b"R", b"Q"}  # of minutes that are over
        ledger = Ledger(store, chain.genesis)
        audit(chain.genesis, store, State(store))
        block, roots = chain.store.block(height + 1), chain.store.roots(height + 1)
        assert block is not None
        assert roots is not None
        assert ledger.execute(height + 1, block.timestamp_ms, ledger.version, ()).root == roots.root
    finally:
        store.close()


async def test_what_was_executed_before_is_known_and_not_taken_for_new(
    chain: SoloChain, shelf: Shelf, tmp_path: Path
) -> None:
    joiner = Joiner(chain, tmp_path / "joiner", [shelf])
    await joins(joiner)
    ids = [key[9:] for key, _ in chain.store.scan(b"I", b"J")]
    assert len(ids) > 40
    store = joiner.opened()
    try:
        for tx_id in ids:
            found = store.transaction(tx_id)
            assert found is not None
            assert (found.height, found.receipt) == (0, b"")
        assert {key for key, _ in store.scan(b"I", b"J")} == {key for key, _ in chain.store.scan(b"I", b"J")}
    finally:
        store.close()


async def test_files_come_from_several_peers_and_what_came_before_a_crash_is_not_asked_again(
    chain: SoloChain, shelf: Shelf, tmp_path: Path
) -> None:
    files = contents_of(shelf).files
    fetched = Fetched(tmp_path / "joiner" / "snapshot.fetch")
    height = shelf.heights()[-1]
    for number in (0, 1):
        fetched.put(shelf.read(height, FIRST + number, 0, FILE_BYTES_MAX) or b"")
    joiner = Joiner(chain, tmp_path / "joiner", [shelf, shelf, shelf])
    await joins(joiner)
    asked = [(peer, as_tuple(decode(payload))[1]) for peer, method, payload in joiner.wire.asked if method == PIECE]
    numbers = sorted(as_int(number) for _, number in asked if number >= FIRST)  # type: ignore[operator]
    assert numbers == list(range(FIRST + 2, FIRST + len(files)))
    assert {peer for peer, number in asked if number >= FIRST} == set(PEERS)  # type: ignore[operator]
    assert joiner.wire.blamed == []


async def test_a_peer_that_lies_about_files_is_blamed_and_replaced(
    chain: SoloChain, shelf: Shelf, tmp_path: Path
) -> None:
    honest = Snapshots(shelf)

    def lies(method: int, payload: bytes) -> bytes:
        answer = honest.serve(method, payload)
        if method == PIECE and as_tuple(decode(payload))[1] >= FIRST:  # type: ignore[operator]
            return bytes(len(answer))
        return answer

    joiner = Joiner(chain, tmp_path / "joiner", [shelf, shelf, shelf])
    joiner.wire.answers[PEERS[0]] = lies
    joiner.wire.answers[PEERS[1]] = lambda method, payload: None if method == PIECE else honest.serve(method, payload)
    await joins(joiner)
    assert joiner.wire.guilty() == {PEERS[0]}


async def test_nobody_is_believed_who_proves_nothing_and_the_node_goes_on_by_blocks(
    chain: SoloChain, shelf: Shelf, tmp_path: Path
) -> None:
    honest = Snapshots(shelf)

    def lies(method: int, payload: bytes) -> bytes:
        if method == LIST:
            (row,) = as_tuple(decode(honest.serve(method, payload)))
            height, *rest = as_tuple(row)
            return encode(((height + 1, *rest),))  # type: ignore[operator]
        height, number, offset = as_tuple(decode(payload))
        return honest.serve(method, encode((height - 1, number, offset)))  # type: ignore[operator]

    joiner = Joiner(chain, tmp_path / "joiner", [shelf])
    joiner.wire.answers[PEERS[0]] = lies
    running = asyncio.create_task(joiner.fetch.run())
    assert joiner.fetch.wanted
    await eventually(lambda: not joiner.fetch.wanted)
    assert joiner.wire.guilty() == {PEERS[0]}
    joiner.height = 1
    async with asyncio.timeout(60):
        await running
    assert not joiner.path.exists()


async def test_a_snapshot_that_was_replaced_meanwhile_is_given_up_for_the_one_that_is_there_now(
    chain: SoloChain, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.snapshot_fetch, "BLOCKS_SECONDS", 3_600.0)
    joiner = Joiner(chain, tmp_path / "joiner", [shelf])
    there = Snapshots(shelf)
    gone = {FIRST}  # pieces that cannot be had until the list is asked for again

    def serve(method: int, payload: bytes) -> bytes | None:
        if method == LIST:
            if len(joiner.wire.asked) > 1:
                gone.clear()
            return there.serve(method, payload)
        _, number, _ = as_tuple(decode(payload))
        return None if number in gone else there.serve(method, payload)

    joiner.wire.answers[PEERS[0]] = serve
    await joins(joiner)
    assert joiner.wire.blamed == []


async def test_who_is_not_far_behind_takes_no_snapshot(chain: SoloChain, shelf: Shelf, tmp_path: Path) -> None:
    joiner = Joiner(chain, tmp_path / "joiner", [shelf], claims=(0, 1))
    async with asyncio.timeout(60):
        await joiner.fetch.run()
    assert joiner.wire.asked == []
    assert not joiner.fetch.wanted


# --- a peer that takes its time ---


def shows(rows: int, honest: Snapshots) -> Callable[[], bytes]:
    """Return what a liar's list is: so many snapshots, all newer than that of who is honest."""

    def listed() -> bytes:
        (row,) = as_tuple(decode(honest.serve(LIST, b"")))
        height, _, *sizes = as_tuple(row)
        assert isinstance(height, int)
        return encode(tuple((height + 1 + number, bytes([number]) * 32, *sizes) for number in range(rows)))

    return listed


def pieces_asked_of(joiner: Joiner, peer: PeerId) -> int:
    return sum(1 for asked, method, _ in joiner.wire.asked if (asked, method) == (peer, PIECE))


async def test_a_piece_is_as_long_as_it_was_asked_for_and_who_fails_comes_after_the_others(
    chain: SoloChain, shelf: Shelf, tmp_path: Path
) -> None:
    """A peer that shows the newest snapshots, and gives a byte an answer."""
    joiner = Joiner(chain, tmp_path / "joiner", [shelf, shelf])
    listed = shows(8, Snapshots(shelf))
    joiner.wire.answers[PEERS[0]] = lambda method, _: listed() if method == LIST else b"x"
    await joins(joiner)
    assert pieces_asked_of(joiner, PEERS[0]) == 1
    assert joiner.wire.blamed == []


async def test_contents_and_proofs_have_a_deadline(
    chain: SoloChain, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.snapshot_fetch, "FILE_SECONDS", 0.2)
    joiner = Joiner(chain, tmp_path / "joiner", [shelf, shelf])
    listed = shows(1, Snapshots(shelf))
    joiner.wire.answers[PEERS[0]] = lambda method, _: listed() if method == LIST else b"x"
    silent_about_pieces(joiner, monkeypatch, lambda peer, _: peer == PEERS[0])
    await joins(joiner)


def silent_about_pieces(
    joiner: Joiner, monkeypatch: pytest.MonkeyPatch, silent: Callable[[PeerId, bytes], bool]
) -> None:
    """Let a question for a piece of some peers be answered never."""
    answered = joiner.wire.request

    async def request(peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        if method == PIECE and silent(peer, payload):
            await asyncio.Event().wait()
        return await answered(peer, method, payload, deadline_seconds)

    monkeypatch.setattr(joiner.wire, "request", request)


@pytest.mark.parametrize("files", [0, 1])
async def test_blocks_are_held_back_so_long_and_longer_only_for_files_that_have_come(
    chain: SoloChain, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    monkeypatch.setattr(node.snapshot_fetch, "HOLD_SECONDS", 0.3)
    monkeypatch.setattr(node.snapshot_fetch, "HOLD_BYTES_PER_SECOND", 0.1)
    joiner = Joiner(chain, tmp_path / "joiner", [shelf])
    silent_about_pieces(
        joiner, monkeypatch, lambda _, payload: as_tuple(decode(payload))[1] == (FIRST + 1 if files else CONTENTS)
    )
    fetching = asyncio.create_task(joiner.fetch.run())
    await eventually(lambda: joiner.wire.asked)
    assert joiner.fetch.holds()
    await asyncio.sleep(0.6)
    assert joiner.fetch.holds() is bool(files)
    assert joiner.fetch.wanted
    assert joiner.fetch.unusable == 0  # it is still under way
    fetching.cancel()


# --- a snapshot that lies somewhere ---


def forged(shelf: Shelf, folder: Path, change: Callable[[list[tuple[File, bytes]]], None]) -> Shelf:
    """Return a shelf with the snapshot, its files changed and its contents made to fit; the tree's nodes stay."""
    contents, height = contents_of(shelf), shelf.heights()[-1]
    files = [
        (file, shelf.read(height, FIRST + number, 0, FILE_BYTES_MAX) or b"")
        for number, file in enumerate(contents.files)
    ]
    change(files)
    fake = Shelf(folder)
    draft = fake.begin(height)
    made = [File(file.kind, name_of(data), len(data), file.count) for file, data in files]
    for number, (_, data) in enumerate(files):
        draft.put(FIRST + number, data)
    draft.put(CONTENTS, encode_contents(replace(contents, files=tuple(made))))
    draft.put(PROOF, proof_of(shelf))
    draft.publish()
    return fake


def changed(kind: Kind, how: Callable[[Any], object]) -> Callable[[list[tuple[File, bytes]]], None]:
    """Change the last file of a kind."""

    def change(files: list[tuple[File, bytes]]) -> None:
        at = max(number for number, (file, _) in enumerate(files) if file.kind is kind)
        file, data = files[at]
        new: Any = how(decode(data))
        files[at] = file if kind is Kind.STATE else replace(file, count=len(new)), encode(new)

    return change


def _other_row(rows: Any) -> object:
    (key, row), *rest = rows
    return ((key, row[:-1] + bytes((row[-1] ^ 1,))), *rest)


def _other_id(parts: Any) -> object:
    (minute, (_, *rest)), *others = parts
    return ((minute, (bytes(32), *rest)), *others)


def _less_ids(parts: Any) -> object:
    (minute, (_, *rest)), *others = parts
    return ((minute, tuple(rest)), *others)


def _other_ref(parts: Any) -> object:
    (minute, ((pair, _), *rest)), *others = parts
    return ((minute, ((pair, bytes(32)), *rest)), *others)


LIES: dict[str, Callable[[list[tuple[File, bytes]]], None]] = {
    "a balance": changed(Kind.STATE, _other_row),
    "a row less": changed(Kind.STATE, lambda rows: rows[1:]),
    "a row of an index": changed(Kind.STATE, lambda rows: (*rows, (b"Z", b""))),
    "an id": changed(Kind.IDS, _other_id),
    "an id less": changed(Kind.IDS, _less_ids),
    "a minute less": lambda files: files.pop(max(at for at, (file, _) in enumerate(files) if file.kind is Kind.IDS)),  # type: ignore[dict-item]
    "the transaction of a reference": changed(Kind.REFS, _other_ref),
    "a block less": changed(Kind.BLOCKS, lambda blocks: blocks[:-1]),
    "a block of another chain": changed(Kind.BLOCKS, lambda blocks: (*blocks[:-2], blocks[-1], blocks[-1])),
}


@pytest.mark.parametrize("lie", LIES)
async def test_no_store_is_made_of_a_snapshot_that_is_not_what_the_state_commits_to(
    chain: SoloChain, shelf: Shelf, tmp_path: Path, lie: str
) -> None:
    fake = forged(shelf, tmp_path / "fake", LIES[lie])
    joiner = Joiner(chain, tmp_path / "joiner", [fake])
    running = asyncio.create_task(joiner.fetch.run())
    await eventually(lambda: not joiner.fetch.wanted)
    assert not running.done()
    running.cancel()
    assert not install(joiner.path)


async def test_false_contents_are_fetched_once_also_when_nobody_shows_others(
    chain: SoloChain, shelf: Shelf, tmp_path: Path
) -> None:
    joiner = Joiner(chain, tmp_path / "joiner", [forged(shelf, tmp_path / "fake", LIES["an id"])])
    async with running(joiner.fetch.run()):
        await eventually(lambda: not joiner.fetch.wanted)
    assert joiner.fetch.unusable == ATTEMPTS
    asked = [payload for _, method, payload in joiner.wire.asked if method == PIECE]
    assert sum(number_of(payload) == CONTENTS for payload in asked) == 1


def number_of(payload: bytes) -> object:
    """Return the number of the file that is asked for."""
    return as_tuple(decode(payload))[1]


async def test_false_contents_are_passed_over_for_good_and_who_gave_them_is_blamed(
    chain: SoloChain, shelf: Shelf, tmp_path: Path
) -> None:
    """They are of the honest height and state, and their name comes first."""
    honest = Snapshots(shelf).serve(LIST, b"")

    def forgery(number: int) -> Shelf:
        def lie(parts: Any) -> object:
            (minute, (_, *rest)), *others = parts
            return ((minute, (number.to_bytes(32, "big"), *rest)), *others)

        return forged(shelf, tmp_path / f"fake-{number}", changed(Kind.IDS, lie))

    fake = next(fake for fake in map(forgery, range(1_000)) if Snapshots(fake).serve(LIST, b"") < honest)
    joiner = Joiner(chain, tmp_path / "joiner", [fake, shelf, shelf])
    await joins(joiner)
    assert joiner.fetch.unusable == 1
    assert joiner.wire.guilty() == {PEERS[0]}
    store = joiner.opened()
    store.close()


async def test_a_file_that_was_damaged_here_is_nobodys_fault(
    chain: SoloChain, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joiner = Joiner(chain, tmp_path / "joiner", [shelf])
    sound, damaged = Fetched.get, True

    def get(fetched: Fetched, name: bytes) -> bytes | None:
        nonlocal damaged
        before, damaged = damaged, False
        return None if before else sound(fetched, name)

    monkeypatch.setattr(Fetched, "get", get)
    await joins(joiner)
    assert joiner.fetch.unusable == 1
    assert joiner.wire.blamed == []


async def test_the_blocks_whose_batches_may_still_be_named_all_come(
    chain: SoloChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = 3  # blocks instead of a thousand: the chain is longer, so nothing but their own check misses the oldest
    monkeypatch.setattr(node.snapshot_maker, "BATCH_LIFE_HEIGHTS", life)
    monkeypatch.setattr(node.snapshot_fetch, "BATCH_LIFE_HEIGHTS", life)
    shelf = Shelf(tmp_path / "shelf")
    assert await made(chain, shelf) > life
    fake = forged(shelf, tmp_path / "fake", changed(Kind.BLOCKS, lambda blocks: blocks[1:]))
    for number, (each, whole) in enumerate(((fake, False), (shelf, True))):
        joiner = Joiner(chain, tmp_path / f"joiner-{number}", [each])
        running = asyncio.create_task(joiner.fetch.run())
        await eventually(lambda running=running, joiner=joiner: running.done() or not joiner.fetch.wanted)  # type: ignore[misc]
        running.cancel()
        assert install(joiner.path) == whole


async def test_a_changed_byte_of_contents_or_proof_proves_nothing(chain: SoloChain, shelf: Shelf) -> None:
    contents, proof = contents_of(shelf), proof_of(shelf)
    verify_proof(chain.genesis, contents, proof)
    for at in range(0, len(proof), 7):
        broken = proof[:at] + bytes((proof[at] ^ 1,)) + proof[at + 1 :]
        with pytest.raises((DecodeError, ProofInvalid)):
            verify_proof(chain.genesis, contents, broken)
    for at, value in enumerate(contents.hashes):
        hashes = (*contents.hashes[:at], bytes((value[0] ^ 1,)) + value[1:], *contents.hashes[at + 1 :])
        with pytest.raises(ProofInvalid):
            verify_proof(chain.genesis, replace(contents, hashes=hashes), proof)
    with pytest.raises(ProofInvalid):
        verify_proof(chain.genesis, replace(contents, height=contents.height + 1), proof)


async def test_no_proof_is_made_that_is_longer_than_others_take(
    chain: SoloChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A joiner would blame whoever shows it."""
    height, shelf = chain.store.tip.height, Shelf(tmp_path / "own")
    with chain.store.snapshot() as moment:
        draft = shelf.begin(height)
        for _ in node.snapshot_maker.making(moment, chain.genesis.hash, chain.genesis.tree_depth, draft):
            pass
        draft.publish()
    contents = contents_of(shelf)
    for _ in range(4):
        await chain.add_block(())
    made_at = []
    for most in range(1, 5):
        monkeypatch.setattr(node.snapshot_proof, "HEADERS_MAX", most)
        proof = make_proof(chain.store, Epochs(chain.genesis, chain.store), height)
        if proof is not None:
            made_at.append(most)
            verify_proof(chain.genesis, contents, proof)
    assert made_at == list(range(made_at[0], 5))


# --- what is served ---


@pytest.mark.parametrize(
    ("method", "payload"),
    [
        (1, b""),
        (LIST, b"\xc0"),
        (PIECE, b""),
        (PIECE, encode((0, 0, 0))),
        (PIECE, encode((1, -1, 0))),
        (PIECE, encode((1, 2**31, 0))),
        (PIECE, encode((1, 0, -1))),
        (PIECE, encode((1, 0, FILE_BYTES_MAX + 1))),
        (PIECE, encode((b"../..", 0, 0))),
    ],
)
def test_a_request_that_no_honest_peer_makes_is_refused(tmp_path: Path, method: int, payload: bytes) -> None:
    with pytest.raises(DecodeError):
        Snapshots(Shelf(tmp_path)).serve(method, payload)


async def test_old_snapshots_go_and_half_made_ones_too(chain: SoloChain, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    heights = [await made(chain, shelf) for _ in range(3)]
    shelf.keep(2)
    assert shelf.heights() == heights[1:]
    shelf.begin(heights[-1] + 1)
    assert shelf.heights() == heights[1:]
    assert Snapshots(shelf).serve(PIECE, encode((heights[0], 0, 0))) == b""


async def test_a_snapshot_whose_root_no_block_certifies_in_time_is_given_up_and_counted(
    chain: SoloChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.snapshot_maker, "PROOF_TRIES", 1)
    shelf, height = Shelf(tmp_path / "shelf"), chain.store.tip.height
    maker = Maker(chain.store, Epochs(chain.genesis, chain.store), chain.genesis, shelf, every=height, keep=2)
    async with running(maker.run()):
        maker.on_stored(height, behind=False)
        while maker.making is not None:
            await asyncio.sleep(0)
            maker.on_stored(height + 1, behind=False)  # a block came, and no certificate for what it names
    assert (maker.unproven, maker.made, shelf.heights(), shelf.sizes()) == (1, 0, [], {})


async def test_the_same_state_gives_the_same_files_on_every_node(chain: SoloChain, tmp_path: Path) -> None:
    first, second = Shelf(tmp_path / "first"), Shelf(tmp_path / "second")
    height = await made(chain, first)
    joiner = Joiner(chain, tmp_path / "joiner", [first])
    await joins(joiner)
    store = joiner.opened()
    try:
        with store.snapshot() as moment:
            draft = second.begin(height)
            for _ in node.snapshot_maker.making(moment, chain.genesis.hash, chain.genesis.tree_depth, draft):
                pass
            draft.publish()
        assert contents_of(first) == contents_of(second)
    finally:
        store.close()


def test_a_founded_store_replaces_the_old_one_whenever_the_crash_came(tmp_path: Path) -> None:
    for crash in ("founded", "renamed"):
        folder = tmp_path / crash
        (folder / "store.founded").mkdir(parents=True)
        (folder / "store.founded" / "new").touch()
        (folder / ("store" if crash == "founded" else "store.before")).mkdir()
        assert install(folder / "store")
        assert [path.name for path in folder.iterdir()] == ["store"]
        assert (folder / "store" / "new").exists()
        assert not install(folder / "store")


def test_a_minute_that_did_not_come_is_missed() -> None:
    whole = digest(SEEN_TAG, EMPTY_CHAIN, bytes(32))
    minutes = Minutes({5: (1, whole), 6: (1, whole)})
    assert len(list(minutes.ids(5, [bytes(32)]))) == 1
    with pytest.raises(DecodeError, match="missing"):
        minutes.close()
