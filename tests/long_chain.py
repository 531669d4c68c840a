"""Long chains of four validators, made without a network: real keys, certificates, blocks, execution and storage."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey, SecretKey
from consensus.messages import (
    NO_HASH,
    Block,
    Certificate,
    Hash,
    Header,
    Kind,
    decode_block,
    make_block,
    payload_hash,
    vote_statement,
)
from devnet.generate import key_of
from node.batches import EMPTY_PAYLOAD
from node.epochs import Epochs
from node.executor import FinalBlock, record_of
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis
from node.snapshot_maker import making
from node.snapshot_proof import PROOF, make_proof
from node.storage.snapshot_files import Draft, Shelf
from node.storage.store import Store

BLOCK_MS: Final = 1_000
SIGNERS: Final = 3  # of four: a quorum


def grow(data: Path, genesis: Genesis, height: int, snapshot_at: int) -> Iterator[int]:
    """Grow the chain in a data directory with empty blocks; make a snapshot of one height. Yield each height."""
    store = Store.open(data / "store", genesis.hash)
    try:
        ledger, shelf = Ledger(store, genesis), Shelf(data / "snapshots")
        keys = {key_of(f"{row.name}-consensus").public: key_of(f"{row.name}-consensus") for row in genesis.validators}
        rows = [Validator(PublicKey(row.consensus_key), row.weight) for row in genesis.validators]
        stored = store.block(store.tip.height)
        assert stored is not None
        parent, draft = decode_block(stored.block_bytes), None
        while parent.header.height < height:
            committee = Committee(parent.header.height // genesis.epoch_length, rows, allow_dominant=True)
            block = _child(genesis, committee, parent, ledger.root)
            executed = ledger.execute(block.header.height, block.header.timestamp_ms, block.header.version, ())
            store.commit(record_of(FinalBlock(block, _final(genesis, committee, block, keys)), [], executed, []))
            parent = block
            if draft is not None:
                _publish(store, genesis, snapshot_at, draft)
                draft = None
            if block.header.height == snapshot_at:
                draft = shelf.begin(snapshot_at)
                with store.snapshot() as moment:
                    for _ in making(moment, genesis.hash, genesis.tree_depth, draft):
                        pass
            yield block.header.height
    finally:
        store.close()


def _child(genesis: Genesis, committee: Committee, parent: Block, root: bytes) -> Block:
    before = parent.header
    height = before.height + 1
    view = 1 if (height - 1) % genesis.epoch_length == 0 else before.view + 1
    return make_block(
        Header(
            version=genesis.parameters.protocol_version,
            genesis_hash=Hash(genesis.hash),
            epoch=committee.epoch,
            view=view,
            height=height,
            parent_view=view - 1,
            parent_hash=parent.hash,
            proposer=committee.leader(view),
            timestamp_ms=before.timestamp_ms + BLOCK_MS,
            validators_hash=Hash(committee.hash),
            next_validators_hash=NO_HASH if height % genesis.epoch_length else Hash(committee.hash),
            executed_height=before.height,
            state_root=Hash(root),
            payload_hash=payload_hash(EMPTY_PAYLOAD),
        ),
        EMPTY_PAYLOAD,
    )


def _final(genesis: Genesis, committee: Committee, block: Block, keys: dict[PublicKey, SecretKey]) -> Certificate:
    header = block.header
    statement = vote_statement(genesis.hash, Kind.FINALIZE, header.epoch, header.view, block.hash)
    signatures = tuple(
        (place, keys[committee.validators[place].public_key].sign(statement)) for place in range(SIGNERS)
    )
    return Certificate(Kind.FINALIZE, header.epoch, header.view, block.hash, signatures)


def _publish(store: Store, genesis: Genesis, height: int, draft: Draft) -> None:
    proof = make_proof(store, Epochs(genesis, store), height)
    assert proof is not None
    draft.put(PROOF, proof)
    draft.publish()
