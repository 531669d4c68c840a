"""The methods that prove rows of the state tree: (ports, params) -> result.

One rule: a proof shows one row, or that it is not there, and leads to a root that a final block certifies.
"""

from typing import Final

from node.ledger.commitment import encode_proof
from node.ledger.state import account_key
from node.rpc import ledger_types, types
from node.rpc.anchors import certified_height, find_anchor, wait_for_anchor
from node.rpc.errors import PROOF_UNAVAILABLE, RpcError
from node.rpc.ports import Ports
from node.rpc.reading import checked_number
from node.rpc.registry import Method

PROOF_TRIES_MAX: Final = 8  # each waits for a block that is being written
PROOF_WAIT_SECONDS: Final = 2.0


async def get_account_proof(ports: Ports, params: types.GetAccountProofParams) -> types.GetAccountProofResult:
    """An account's record, or its absence, with everything that one who knows only the genesis needs to believe it."""
    height, record, path = await _provable(ports, account_key(checked_number(params.account)))
    return types.GetAccountProofResult(
        at_height=ports.store.tip.height,
        account=params.account,
        record=None if record is None else record.hex(),
        path=path.hex(),
        anchor=await _anchor(ports, height),
    )


async def get_state_proof(ports: Ports, params: ledger_types.GetStateProofParams) -> ledger_types.GetStateProofResult:
    """Any row of the state tree, or its absence, proven as an account is: a hold, an attestation, an asset."""
    key = bytes.fromhex(params.key)
    height, value, path = await _provable(ports, key)
    return ledger_types.GetStateProofResult(
        at_height=ports.store.tip.height,
        key=params.key,
        value=None if value is None else value.hex(),
        path=path.hex(),
        anchor=await _anchor(ports, height),
    )


async def _provable(ports: Ports, key: bytes) -> tuple[int, bytes | None, bytes]:
    """Return a height, the value of ``key`` then, and its path to that height's state tree root.

    The tree in memory is that of the last executed block. If the newest certified height has the same tree, as it has
    on an idle network, that one is named, and nobody waits.
    """
    ledger, store = ports.ledger, ports.store
    for _ in range(PROOF_TRIES_MAX):
        if ledger.height == store.tip.height:  # else a block is being written; no await from here on
            value, path = ledger.value(key), encode_proof(ledger.prove(key))
            certified = certified_height(store)
            roots = None if certified is None else store.roots(certified)
            same = roots is not None and roots.state_tree_root == ledger.state_tree_root
            return (certified if same and certified is not None else ledger.height), value, path
        await ports.reached(ledger.height, PROOF_WAIT_SECONDS)
    raise RpcError(PROOF_UNAVAILABLE)


async def _anchor(ports: Ports, height: int) -> types.Anchor:
    return find_anchor(ports.store, height) or await wait_for_anchor(ports, height)


METHODS: Final = (
    Method("account_getProof", types.GetAccountProofParams, types.GetAccountProofResult, get_account_proof, cost=5),
    Method(
        "state_getProof",
        ledger_types.GetStateProofParams,
        ledger_types.GetStateProofResult,
        get_state_proof,
        cost=5,
    ),
)
