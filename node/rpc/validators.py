"""The methods about validators and links: (ports, params) -> result."""

from consensus.messages import Header, encode_certificate, encode_header
from node.epochs import Boundary, Decreed
from node.ledger.validators import Keys, decode_roster, roster_hash
from node.rpc import validator_types as types
from node.rpc.errors import NOT_READY, RpcError
from node.rpc.ports import Ports
from node.storage.store import Snapshot
from node.terms import end_height


async def list_validators(ports: Ports, params: types.ListValidatorsParams) -> types.ListValidatorsResult:
    """The committee of this epoch, and who will be in the next one."""
    current = ports.committee()
    committee = current.committee
    with ports.store.snapshot() as store:
        height = store.tip.height
        seats = decode_roster(store.roster_at(height))
    return types.ListValidatorsResult(
        at_height=height,
        epoch=committee.epoch,
        epoch_ends=end_height(committee.epoch, ports.network.epoch_length),
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
            for member in current.validators
        ),
        seats=tuple(
            types.SeatView(
                name=seat.name,
                weight=seat.weight,
                address=seat.address,
                current=_keys_view(seat.current),
                next=_keys_view(seat.next),
            )
            for seat in seats
        ),
        seats_hash=roster_hash(seats).hex(),
    )


async def list_committees(ports: Ports, params: types.ListCommitteesParams) -> types.ListCommitteesResult:
    """The committees that followed that of an epoch, each with the proof that it did."""
    changes: list[types.CommitteeChange] = []
    with ports.store.snapshot() as store:
        for change in ports.epochs(store).changes(params.after):
            if len(changes) == params.limit:
                return types.ListCommitteesResult(at_height=store.tip.height, changes=tuple(changes), more=True)
            changes.append(_change_view(store, change))
        return types.ListCommitteesResult(at_height=store.tip.height, changes=tuple(changes), more=False)


async def get_readiness(ports: Ports, params: types.GetReadinessParams) -> types.GetReadinessResult:
    """This node's signed word that it is ready to be a validator, if it is."""
    found = await ports.readiness()
    if isinstance(found, tuple):
        raise RpcError(NOT_READY, actual="; ".join(found))
    return types.GetReadinessResult(
        at_height=ports.store.tip.height,
        name=found.name,
        node_key=found.node_key.hex(),
        height=found.height,
        root=found.root.hex(),
        signature=found.signature.hex(),
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


# --- steps ---


def _change_view(store: Snapshot, change: Boundary | Decreed) -> types.CommitteeChange:
    header: Header
    if isinstance(change, Decreed):
        signed = change.signed
        header, decree = signed.header, signed.encoded.hex()
        certificate = b"" if signed.certificate is None else encode_certificate(signed.certificate)
    else:
        header, decree = change.block.header, None
        certificate = store.certificate(header.height) or b""
        assert certificate, "an epoch's last block has a certificate of its own"
    return types.CommitteeChange(
        epoch=change.members.epoch,
        validators=tuple(
            types.CommitteeMember(consensus_key=row.consensus_key.hex(), weight=row.weight)
            for row in change.members.rows
        ),
        header=encode_header(header).hex(),
        certificate=certificate.hex(),
        decree=decree,
    )


def _keys_view(keys: Keys | None) -> types.KeysView | None:
    return (
        None if keys is None else types.KeysView(consensus_key=keys.consensus_key.hex(), node_key=keys.node_key.hex())
    )
