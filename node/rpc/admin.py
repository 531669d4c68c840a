"""The methods for the operator of this node: (ports, params) -> result.

One rule: each call, let in or refused, is in the audit log before it is carried out; access.py sees to that.
"""

from typing import Final

from node.build import VERSION
from node.rpc import admin_types as types
from node.rpc.errors import NOT_FOUND, RpcError
from node.rpc.ports import Ports
from node.rpc.registry import Method


async def get_status(ports: Ports, params: types.GetStatusParams) -> types.GetStatusResult:
    """How this node does: readiness, queues and sizes. For its operator and its auditor."""
    status = ports.status()
    return types.GetStatusResult(
        at_height=ports.store.tip.height,
        node=status.name,
        version=VERSION,
        started_ms=ports.admin.started_ms,
        now_ms=ports.now_ms(),
        ready=status.ready,
        reasons=status.reasons,
        log_level=ports.admin.log_level(),
        access="open" if ports.open_access else "tokens",
        numbers=ports.admin.numbers(),
        missing=ports.admin.missing(),
    )


async def set_log_level(ports: Ports, params: types.SetLogLevelParams) -> types.SetLogLevelResult:
    """What is logged from now on, until the node ends."""
    before = ports.admin.log_level()
    ports.admin.set_log_level(params.level)
    return types.SetLogLevelResult(at_height=ports.store.tip.height, before=before, level=params.level)


async def list_peers(ports: Ports, params: types.ListPeersParams) -> types.ListPeersResult:
    """The links as only this node knows them: addresses, scores, errors."""
    return types.ListPeersResult(
        at_height=ports.store.tip.height,
        peers=tuple(
            types.LinkView(
                name=link.name,
                node_key=link.node_key.hex(),
                address=link.address,
                connected=link.connected,
                dialled=link.dialled,
                height=link.height,
                since_ms=link.since_ms,
                rtt_ms=link.rtt_ms,
                score=link.score,
                narrow=link.narrow,
                blocked_ms=link.blocked_ms,
                last_error=link.last_error,
            )
            for link in ports.admin.links()
        ),
    )


async def disconnect_peer(ports: Ports, params: types.DisconnectPeerParams) -> types.DisconnectPeerResult:
    """End the link with a peer; it is dialled anew at once. For a link that hangs."""
    if params.name not in {link.name for link in ports.admin.links()}:
        raise RpcError(NOT_FOUND, path="name")
    return types.DisconnectPeerResult(
        at_height=ports.store.tip.height, disconnected=ports.admin.disconnect(params.name)
    )


async def drain(ports: Ports, params: types.DrainParams) -> types.DrainResult:
    """Turn clients away before a stop, and say how many of their transactions still wait. It votes on."""
    ports.admin.drain(params.on)
    return types.DrainResult(
        at_height=ports.store.tip.height, on=params.on, waiting=ports.status().mempool_transactions
    )


async def stop(ports: Ports, params: types.StopParams) -> types.StopResult:
    """End the node, cleanly, as SIGTERM does. A supervisor may start it again."""
    ports.admin.stop()
    return types.StopResult(at_height=ports.store.tip.height)


async def get_audit_log(ports: Ports, params: types.GetAuditLogParams) -> types.GetAuditLogResult:
    """A page of the audit log, oldest first. `som admin audit-log --verify` checks hashes and signatures."""
    found = ports.admin.audit_log(params.after, params.limit + 1)
    return types.GetAuditLogResult(
        at_height=ports.store.tip.height,
        entries=tuple(
            types.AuditEntryView(
                number=entry.number,
                time_ms=entry.time_ms,
                caller=entry.caller,
                method=entry.method,
                params=entry.params,
                allowed=entry.allowed,
                before=entry.before,
                hash=entry.hash,
                signature=entry.signature,
            )
            for entry in found[: params.limit]
        ),
        more=len(found) > params.limit,
    )


METHODS: Final = (
    Method("admin_getStatus", types.GetStatusParams, types.GetStatusResult, get_status),
    Method("admin_setLogLevel", types.SetLogLevelParams, types.SetLogLevelResult, set_log_level),
    Method("admin_listPeers", types.ListPeersParams, types.ListPeersResult, list_peers),
    Method("admin_disconnectPeer", types.DisconnectPeerParams, types.DisconnectPeerResult, disconnect_peer),
    Method("admin_drain", types.DrainParams, types.DrainResult, drain),
    Method("admin_stop", types.StopParams, types.StopResult, stop),
    Method("admin_getAuditLog", types.GetAuditLogParams, types.GetAuditLogResult, get_audit_log, cost=20),
)
