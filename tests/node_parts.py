"""What the tests of single parts of node/ share: a committee with its keys, transactions, blocks, a wire that notes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final

from consensus.committee import Committee
from consensus.crypto import SecretKey
from consensus.messages import (
    Block,
    Certificate,
    Hash,
    Header,
    Kind,
    encode_certificate,
    make_block,
    payload_hash,
    vote_statement,
)
from devnet.generate import ISSUER, TREASURY, VALIDATORS, bank_account, key_of, make_genesis
from network.wire import PeerId
from node.batches import EMPTY_PAYLOAD, Batch, make_batch
from node.config import Config
from node.home import Opened, committee_of, create_data, genesis_block
from node.ledger.account import SOM
from node.ledger.execute import META_KEY, genesis_changes, read_meta
from node.ledger.genesis import Genesis
from node.ledger.pay import Pay
from node.ledger.transaction import Transaction, make_transaction
from node.members import Members
from node.signing.signer import OwnSigner
from node.storage.guard import Guard
from node.storage.records import BlockRecord, Roots
from node.storage.store import Store
from node.storage.suspension import Suspension
from node.sync import RequestFailed
from tests.simulation.files import MemoryDisk

START_MS: Final = 1_800_000_000_000
PATIENCE_SECONDS: Final = 90.0
EPOCH_LENGTH: Final = 8

_salts = count(1)


@cache
def genesis() -> Genesis:
    """Return a genesis of four validators with short epochs."""
    return replace(make_genesis(START_MS, VALIDATORS), tree_depth=1, epoch_length=EPOCH_LENGTH)


@cache
def committee(epoch: int = 0) -> Committee:
    return committee_of(genesis(), epoch)


@cache
def members(epoch: int = 0) -> Members:
    """Return the committee of an epoch, none of whose predecessors has changed it."""
    return Members(epoch, genesis().validators, True, genesis().parameters.protocol_version)


PEERS: Final = members().peers  # node keys by place in the committee


@cache
def key_at(index: int) -> SecretKey:
    """Return the consensus key of a validator by its place in the committee."""
    keys = {key_of(f"{name}-consensus").public: key_of(f"{name}-consensus") for name in VALIDATORS}
    return keys[committee().validators[index].public_key]


def pay(
    payer: int = TREASURY,
    to: int = bank_account(1),
    amount: int = 100,
    *signers: str,
    ref: bytes = b"",
    expires_ms: int = START_MS + 60_000,
    salt: int | None = None,
) -> Transaction:
    """Return a payment of som, with a salt of its own."""
    keys = [(0, key_of(name)) for name in signers or ("treasury",)]
    operations = [Pay(SOM, payer, ((to, amount, ref),))]
    number = next(_salts) if salt is None else salt
    return make_transaction(genesis().network, genesis().hash, expires_ms, number, [payer], operations, keys)


def issue(amount: int = 1_000_000) -> Transaction:
    """Return an issue of som to the Treasury."""
    return pay(ISSUER, TREASURY, amount, "nbkr-board-1", "nbkr-board-2")


def batch_of(author: int, *transactions: Transaction, sequence: int | None = None, base_height: int = 0) -> Batch:
    """Return a batch of these transactions."""
    number = next(_salts) if sequence is None else sequence
    raws = [transaction.raw for transaction in transactions]
    return make_batch(genesis().hash, key_at(author), number, base_height, raws)


def child(parent: Block, payload: bytes = EMPTY_PAYLOAD, **fields: Any) -> Block:
    """Return a block on ``parent``, in the view after its; epochs are as in the genesis."""
    before = parent.header
    height = before.height + 1
    epoch = (height - 1) // EPOCH_LENGTH
    view = 1 if epoch != before.epoch or before.height == 0 else before.view + 1
    ends = height % EPOCH_LENGTH == 0
    values: dict[str, Any] = {
        "genesis_hash": Hash(genesis().hash),
        "epoch": epoch,
        "view": view,
        "height": height,
        "parent_view": 0 if view == 1 else before.view,
        "parent_hash": parent.hash,
        "proposer": committee(epoch).leader(view),
        "timestamp_ms": before.timestamp_ms + 50,
        "validators_hash": Hash(committee(epoch).hash),
        "next_validators_hash": Hash(committee(epoch + 1).hash if ends else bytes(32)),
        "executed_height": before.executed_height,
        "state_root": before.state_root,
        "payload_hash": payload_hash(payload),
        "version": before.version,
    }
    return make_block(Header(**(values | fields)), payload)


def certify(block: Block, kind: Kind = Kind.FINALIZE, signers: Sequence[int] = (0, 1, 2)) -> Certificate:
    """Return a certificate of a block."""
    header = block.header
    statement = vote_statement(genesis().hash, kind, header.epoch, header.view, block.hash)
    signatures = tuple((signer, key_at(signer).sign(statement)) for signer in signers)
    return Certificate(kind, header.epoch, header.view, block.hash, signatures)


class Wire:
    """The network as a part sees it: notes what is sent, and answers requests as a test says."""

    def __init__(self, peers: Sequence[PeerId] = PEERS[1:]) -> None:
        self.peers = list(peers)
        self.sent: list[tuple[PeerId | None, bytes]] = []  # None: to all
        self.blamed: list[tuple[PeerId, int, str]] = []
        self.asked: list[tuple[PeerId, int, bytes]] = []
        self.answers: dict[PeerId, Callable[[int, bytes], bytes | None]] = {}  # by peer; None: no answer

    def connected(self) -> Sequence[PeerId]:
        return list(self.peers)

    def send_batch(self, peer: PeerId, payload: bytes) -> None:
        self.sent.append((peer, payload))

    def broadcast_batch(self, payload: bytes) -> None:
        self.sent.append((None, payload))

    def send_consensus(self, peer: PeerId, payload: bytes) -> None:
        self.sent.append((peer, payload))

    def broadcast_consensus(self, payload: bytes) -> None:
        self.sent.append((None, payload))

    def blame(self, peer: PeerId, points: int, reason: str) -> None:
        self.blamed.append((peer, points, reason))

    def guilty(self) -> set[PeerId]:
        return {peer for peer, _, _ in self.blamed}

    async def request(self, peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        self.asked.append((peer, method, payload))
        await asyncio.sleep(0)
        answer = self.answers.get(peer)
        data = None if answer is None else answer(method, payload)
        if data is None:
            raise RequestFailed("deadline")
        return data


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until ``holds()`` is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


async def passes() -> None:
    """Let everything that is ready to run have its turn, some times over."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run parts; what they raise is raised here."""
    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(work) for work in works]
        try:
            yield
        finally:
            for run in runs:
                run.cancel()


def chain_of(count: int, first: Block | None = None) -> list[Block]:
    """Return block 0 and ``count`` empty blocks on it."""
    blocks = [first or block_zero()]
    for _ in range(count):
        blocks.append(child(blocks[-1]))
    return blocks


@cache
def block_zero() -> Block:
    return genesis_block(genesis(), read_meta(genesis_changes(genesis())[META_KEY], genesis()))


def make_store(
    directory: Path, blocks: Sequence[Block] = (), certified: Callable[[int], bool] = lambda _: True
) -> Store:
    """Return an open store that holds these blocks, each with a certificate of its own where ``certified(height)``."""
    create_data(directory, Config(name="nbkr"), genesis())
    store = Store.open(directory / "data" / "store", genesis().hash)
    for block in blocks:
        height = block.header.height
        if height:
            certificate = encode_certificate(certify(block)) if certified(height) else b""
            store.commit(
                BlockRecord(
                    height, block.hash, block.header.parent_hash, block.encoded, 0, certificate, Roots(*[bytes(32)] * 3)
                )
            )
    return store


# --- signers ---


def signer_at(index: int) -> OwnSigner:
    """Return the signer of a validator, its guard in memory."""
    disk, path, key = MemoryDisk(), Path("/keys/guard"), key_at(index)
    Guard.create(path, key.public, genesis().hash, disk)
    guard = Guard.open(path, key.public, genesis().hash, disk)
    return OwnSigner(key, guard, Suspension(path, disk), genesis().hash)


def guard_of(opened: Opened) -> Guard:
    """Return the guard of a home that has its own."""
    assert isinstance(opened.signer, OwnSigner)
    return opened.signer.guard


def key_in(opened: Opened) -> SecretKey:
    """Return the consensus key of a home that has its own: for who lies."""
    assert isinstance(opened.signer, OwnSigner)
    assert isinstance(opened.signer.key, SecretKey)
    return opened.signer.key
