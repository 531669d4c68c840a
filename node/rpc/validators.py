"""The methods about validators and links: (ports, params) -> result."""

from node.rpc import validator_types as types
from node.rpc.ports import Ports


async def list_validators(ports: Ports, params: types.ListValidatorsParams) -> types.ListValidatorsResult:
    """The committee of this epoch."""
    committee = ports.network.committee
    return types.ListValidatorsResult(
        at_height=ports.store.tip.height,
        epoch=committee.epoch,
        total_weight=committee.total,
        quorum_weight=committee.quorum,
        faulty_weight_max=committee.faulty_max,
        validators=tuple(
            types.ValidatorView(
                index=member.index,
                name=member.name,
                consensus_key=member.public_key.hex(),
                node_key=member.node_key.hex(),
                weight=member.weight,
            )
            for member in ports.network.validators
        ),
    )


async def get_peers(ports: Ports, params: types.GetPeersParams) -> types.GetPeersResult:
    """This node's links to other nodes."""
    return types.GetPeersResult(
        at_height=ports.store.tip.height,
        peers=tuple(
            types.PeerView(
                name=peer.name,
                node_key=peer.node_key.hex(),
                connected=peer.connected,
                height=peer.height,
                since_ms=peer.since_ms,
            )
            for peer in ports.peers()
        ),
    )
