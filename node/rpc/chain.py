"""The methods about the chain as it stands: (ports, params) -> result."""

from typing import Final

from consensus.messages import Header, decode_block
from node.batches import decode_payload
from node.build import VERSION
from node.rpc import types
from node.rpc.ports import Ports
from node.rpc.reading import (
    HASH_BYTES,
    block_at,
    block_transactions,
    name_at,
    named_block,
    signers_of,
    validator_names,
)
from node.rpc.registry import Method
from node.rpc.views import header_view
from node.storage.store import Snapshot

# --- the chain ---


async def get_info(ports: Ports, params: types.GetInfoParams) -> types.GetInfoResult:
    """Which network this is, and where the node stands in it."""
    status, network = ports.status(), ports.network
    tip = ports.store.tip
    return types.GetInfoResult(
        at_height=tip.height,
        name=network.name,
        kind=network.kind,
        network=network.number,
        genesis_hash=network.genesis_hash.hex(),
        node=status.name,
        version=VERSION,
        height=tip.height,
        finalized_height=status.finalized_height,
        first_height=ports.store.base(),
        block_hash=tip.block_hash.hex(),
        state_root=tip.root.hex(),
        block_time_ms=block_at(ports.store, tip.height).timestamp_ms,
        now_ms=ports.now_ms(),
        epoch=status.epoch,
        view=status.view,
        leader=status.leader,
        syncing=status.syncing,
        ready=status.ready,
        reasons=status.reasons,
        validators=len(ports.committee().validators),
        peers_connected=status.peers_connected,
        mempool_transactions=status.mempool_transactions,
        access="open" if ports.open_access else "tokens",
        protocol_version=status.version,
        protocol_version_next=status.next_version,
        protocol_version_supported_max=status.supported_max,
    )


async def get_block(ports: Ports, params: types.GetBlockParams) -> types.GetBlockResult:
    """A final block: its header, who finalized it, and a page of its transactions."""
    with ports.store.snapshot() as store:
        stored = named_block(store, store.tip.height, params)
        roots = store.roots(stored.height)
        block = decode_block(stored.block_bytes) if stored.block_bytes else None
        certificate_height, signers = signers_of(ports, store, stored.height)
        transactions, next_cursor = await block_transactions(ports, store, block, stored.height, params)
        return types.GetBlockResult(
            at_height=store.tip.height,
            header=None
            if block is None
            else header_view(block.hash, block.header, _proposer(ports, store, block.header)),
            block_hash=stored.block_hash.hex(),
            height=stored.height,
            timestamp_ms=stored.timestamp_ms,
            state_root_after=(bytes(HASH_BYTES) if roots is None else roots.root).hex(),
            transaction_count=len(store.outcome_leaves(stored.height) or b"") // HASH_BYTES,
            batches=() if block is None else tuple(name.hex() for name in decode_payload(block.payload)),
            signers=signers,
            certificate_height=certificate_height,
            transactions=transactions,
            next_cursor=next_cursor,
        )


async def get_consensus(ports: Ports, params: types.GetConsensusParams) -> types.GetConsensusResult:
    """Who has voted in the view under way, and who is awaited."""
    return consensus_view(ports)


def consensus_view(ports: Ports) -> types.GetConsensusResult:
    """Return the view under way as this node sees it."""
    status, current = ports.status(), ports.committee()
    connected = {peer.node_key for peer in ports.peers() if peer.connected}
    spoken = {*status.notarized, *status.nullified, *status.finalized}
    names = [member.name for member in current.validators]
    return types.GetConsensusResult(
        at_height=ports.store.tip.height,
        epoch=status.epoch,
        view=status.view,
        leader=status.leader,
        finalized_height=status.finalized_height,
        quorum_weight=current.committee.quorum,
        total_weight=current.committee.total,
        votes=tuple(
            types.ValidatorVote(
                name=member.name,
                weight=member.weight,
                notarized=member.name in status.notarized,
                nullified=member.name in status.nullified,
                finalized=member.name in status.finalized,
                connected=member.node_key in connected or member.name == status.name,
            )
            for member in current.validators
        ),
        voted=tuple(name for name in names if name in spoken),
        awaited=tuple(name for name in names if name not in spoken),
    )


def _proposer(ports: Ports, store: Snapshot, header: Header) -> str:
    return name_at(validator_names(ports, store, header.epoch), header.proposer)


METHODS: Final = (
    Method("chain_getInfo", types.GetInfoParams, types.GetInfoResult, get_info),
    Method("chain_getBlock", types.GetBlockParams, types.GetBlockResult, get_block, cost=50),
    Method("chain_getConsensus", types.GetConsensusParams, types.GetConsensusResult, get_consensus),
)
