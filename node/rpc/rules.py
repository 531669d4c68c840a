"""The methods about what the ledger would do: its parameters, recoveries that wait, dry runs."""

from typing import Final

from consensus.encoding import decode
from node.ledger.errors import Code, Refused
from node.ledger.operations import legs_of
from node.ledger.order import Seize
from node.ledger.param import VERSION
from node.ledger.parameters import READERS, Attesters, Opener, Parameters, Tier, record_hash
from node.ledger.recovery import Recovery, find_recovery
from node.ledger.state import parameter_key
from node.ledger.transaction import decode_transaction
from node.rpc import ledger_types as types
from node.rpc.errors import LIMIT_EXCEEDED, RpcError, fault_of
from node.rpc.operation_views import attesters_view, key_views, opener_view, tier_view
from node.rpc.ports import Ports
from node.rpc.reading import account_at
from node.rpc.registry import Method
from node.rpc.views import skipped_views

SIMULATED_LEGS_MAX: Final = 256  # between two turns of the event loop, 2.3 ms as a hold


async def list_parameters(ports: Ports, params: types.ListParametersParams) -> types.ListParametersResult:
    """All that the central bank can set, but the validators, with the hash that a change names."""
    with ports.store.snapshot() as store:
        rows = [(name, store.get(parameter_key(name))) for name in Parameters._fields]
        return types.ListParametersResult(
            at_height=store.tip.height,
            parameters=tuple(_parameter_view(name, row) for name, row in rows if row is not None),
        )


async def get_recovery(ports: Ports, params: types.GetRecoveryParams) -> types.GetRecoveryResult:
    """Whether an account waits for new keys, and which; or when its owner last refused them."""
    with ports.store.snapshot() as store:
        account = account_at(store, params.account)
        recovery = find_recovery(store, account.number)
        return types.GetRecoveryResult(
            at_height=store.tip.height,
            account=params.account,
            recovery=None if recovery is None else _recovery_view(recovery),
        )


async def simulate(ports: Ports, params: types.SimulateParams) -> types.SimulateResult:
    """What would become of a transaction in a block now. Nothing is sent and nothing changes."""
    try:
        transaction = decode_transaction(bytes.fromhex(params.tx), ports.network.genesis_hash)
    except Refused as refused:
        raise RpcError(fault_of(int(refused.code)), path="tx") from None
    legs = sum(legs_of(operation) for operation in transaction.operations)
    if legs > SIMULATED_LEGS_MAX:
        raise RpcError(LIMIT_EXCEEDED, path="tx", expected=f"at most {SIMULATED_LEGS_MAX} legs", actual=str(legs))
    if any(isinstance(operation, Seize) for operation in transaction.operations):
        raise RpcError(LIMIT_EXCEEDED, path="tx", expected="no seizure: it may look at thousands of holds")
    receipt = ports.ledger.simulate(transaction, ports.now_ms())
    return types.SimulateResult(
        at_height=ports.store.tip.height,
        tx_id=transaction.id.hex(),
        code=receipt.code,
        name=Code(receipt.code).name,
        op=receipt.op,
        leg=receipt.leg,
        skipped=skipped_views(receipt.skipped),
        original=None if receipt.original is None else receipt.original.hex(),
    )


def _parameter_view(name: str, row: bytes) -> types.ParameterView:
    value = READERS[name](decode(row))
    rows = () if isinstance(value, int) else value
    tiers = tuple(tier_view(each) for each in rows if isinstance(each, Tier))
    openers = tuple(opener_view(each) for each in rows if isinstance(each, Opener))
    attesters = tuple(attesters_view(each) for each in rows if isinstance(each, Attesters))
    return types.ParameterView(
        name=name,
        hash=record_hash(row).hex(),
        milliseconds=value if isinstance(value, int) and name != VERSION else None,
        tiers=tiers if name == "tiers" else None,
        openers=openers if name == "openers" else None,
        attesters=attesters if name == "attesters" else None,
        version=value if isinstance(value, int) and name == VERSION else None,
    )


def _recovery_view(recovery: Recovery) -> types.RecoveryView:
    return types.RecoveryView(
        status="open" if recovery.open else "cancelled",
        keys=key_views(recovery.keys),
        threshold=recovery.threshold if recovery.open else None,
        ready_ms=recovery.ready_ms if recovery.open else None,
        cancelled_ms=recovery.cancelled_ms or None,
    )


METHODS: Final = (
    Method("parameter_list", types.ListParametersParams, types.ListParametersResult, list_parameters),
    Method("account_getRecovery", types.GetRecoveryParams, types.GetRecoveryResult, get_recovery),
    Method("tx_simulate", types.SimulateParams, types.SimulateResult, simulate, cost=50),
)
