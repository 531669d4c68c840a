"""The methods about validators and links: (ports, params) -> result."""

from collections.abc import Iterator
from typing import NamedTuple

from consensus.messages import Header, decode_block, encode_header
from node.ledger.validators import Keys, Roster, decode_roster, members, roster_hash
from node.rpc import validator_types as types
from node.rpc.errors import NOT_READY, RpcError
from node.rpc.ports import Ports
from node.storage.store import Snapshot


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
        epoch_ends=(committee.epoch + 1) * ports.network.epoch_length,
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
        for change in _changes(store, params.after, ports.network.epoch_length):
            if len(changes) == params.limit:
                return types.ListCommitteesResult(at_height=store.tip.height, changes=tuple(changes), more=True)
            changes.append(_change_view(store, change))
        return types.ListCommitteesResult(at_height=store.tip.height, changes=tuple(changes), more=False)


async def get_readiness(ports: Ports, params: types.GetReadinessParams) -> types.GetReadinessResult:
    """This node's signed word that it is ready to be a validator, if it is."""
    found = ports.readiness()
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


# --- the changes of the committee ---


class _Change(NamedTuple):
    epoch: int  # the first of the new committee
    header: Header  # of the last block of the epoch before
    header_bytes: bytes
    roster: Roster


def _changes(store: Snapshot, after: int, epoch_length: int) -> Iterator[_Change]:
    """Yield the changes of the committee after that of epoch ``after``, ascending.

    A roster counts from the first epoch whose boundary block had its height executed.
    """
    executed = 0
    if after:
        boundary = _header(store, after * epoch_length)
        if boundary is None:
            return
        executed = boundary[0].executed_height
    epoch = after
    for height in store.roster_heights(executed + 1):
        if height <= executed:
            continue  # the boundary that counted the one before counted this one too
        epoch = max(epoch + 1, -(-height // epoch_length))
        while (found := _header(store, epoch * epoch_length)) is not None and found[0].executed_height < height:
            epoch += 1
        if found is None:
            return
        header, encoded = found
        executed = header.executed_height
        if header.next_validators_hash != header.validators_hash:
            yield _Change(epoch, header, encoded, decode_roster(store.roster_at(executed)))


def _header(store: Snapshot, height: int) -> tuple[Header, bytes] | None:
    stored = store.block(height) if height <= store.tip.height else None
    if stored is None:
        return None
    header = decode_block(stored.block_bytes).header
    return header, encode_header(header)


def _change_view(store: Snapshot, change: _Change) -> types.CommitteeChange:
    certificate = store.certificate(change.header.height)
    assert certificate, "an epoch's last block has a certificate of its own"
    return types.CommitteeChange(
        epoch=change.epoch,
        validators=tuple(
            types.CommitteeMember(consensus_key=member.consensus_key.hex(), weight=member.weight)
            for member in members(change.roster)
        ),
        header=change.header_bytes.hex(),
        certificate=certificate.hex(),
    )


def _keys_view(keys: Keys | None) -> types.KeysView | None:
    return (
        None if keys is None else types.KeysView(consensus_key=keys.consensus_key.hex(), node_key=keys.node_key.hex())
    )
