"""The methods, one small function each: (ports, params) -> result.

One rule: an answer is what is on disk. Reads go to the store as of its tip, never to a block that is being executed, so
nothing that a caller was told can be undone by a crash.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from node.ledger.account import format_account
from node.ledger.commitment import encode_outcome_proof, outcome_leaf
from node.ledger.errors import Code
from node.ledger.pay import Pay
from node.ledger.statement import decode_entry
from node.ledger.transaction import Transaction
from node.references import Reference, decode_reference
from node.rpc import (
    admin,
    assets,
    attestations,
    chain,
    evidence_types,
    history,
    holds,
    orders,
    rules,
    state_proofs,
    subscriptions,
    types,
    validator_types,
)
from node.rpc.anchors import wait_for_anchor
from node.rpc.contents import transaction_id_of
from node.rpc.cursors import decode_cursor, encode_cursor
from node.rpc.errors import INVALID_PARAMS, NOT_FOUND, OVERLOADED, PRUNED, RpcError, fault_of
from node.rpc.evidence import get_evidence, list_evidence
from node.rpc.forms import LIMIT_MAX
from node.rpc.openrpc import document
from node.rpc.outcome_proofs import prove_outcome_in_turns
from node.rpc.ports import Outcome, Ports, Submitted
from node.rpc.reading import (
    HASH_BYTES,
    account_at,
    block_at,
    checked_number,
    consumed,
    outcome_of,
    receipt_of,
    transaction_at,
)
from node.rpc.registry import Method
from node.rpc.validators import get_peers, get_readiness, list_committees, list_validators
from node.rpc.views import account_view, entry_view, transaction_view
from node.storage.reads import Reads

REFERENCES_MAX: Final = LIMIT_MAX  # of one ref: the latest

_PENDING: Final = types.Outcome(status="pending", final=False)


# --- transactions ---


async def submit(ports: Ports, params: types.SubmitParams) -> types.SubmitResult:
    """Take a signed transaction. The same bytes again are a success with the first receipt."""
    raw = bytes.fromhex(params.tx)
    (submitted,) = await ports.submit([raw])
    tx_id = submitted.tx_id or transaction_id_of(raw, ports.network.genesis_hash)
    submitted = _in_view_of_the_store(ports, submitted, tx_id)
    if submitted.code:
        raise _refusal(submitted, tx_id)
    assert tx_id is not None
    (outcome,) = await _wait(ports, [tx_id], params.wait, params.timeout_ms)
    return types.SubmitResult(
        at_height=ports.store.tip.height, tx_id=tx_id.hex(), outcome=outcome, receipt=receipt_of(ports.store, tx_id)
    )


async def submit_many(ports: Ports, params: types.SubmitManyParams) -> types.SubmitManyResult:
    """Take up to 1,000 signed transactions; each is taken or refused for itself."""
    raws = [bytes.fromhex(tx) for tx in params.txs]
    submitted = await ports.submit(raws)
    genesis_hash = ports.network.genesis_hash
    ids = [one.tx_id or transaction_id_of(raw, genesis_hash) for one, raw in zip(submitted, raws, strict=True)]
    submitted = [_in_view_of_the_store(ports, one, tx_id) for one, tx_id in zip(submitted, ids, strict=True)]
    taken = [tx_id for one, tx_id in zip(submitted, ids, strict=True) if tx_id is not None and not one.code]
    outcomes = dict(zip(taken, await _wait(ports, taken, params.wait, params.timeout_ms), strict=True))
    items = [
        _item(one, tx_id, None if one.code or tx_id is None else outcomes[tx_id])
        for one, tx_id in zip(submitted, ids, strict=True)
    ]
    return types.SubmitManyResult(at_height=ports.store.tip.height, items=tuple(items))


async def get_transaction(ports: Ports, params: types.GetTransactionParams) -> types.GetTransactionResult:
    """What became of a transaction; with ``transaction`` also what it says."""
    tx_id = bytes.fromhex(params.tx_id)
    waits = ports.pending(tx_id)  # asked first: what leaves the mempool after this is in the store before it
    with ports.store.snapshot() as store:
        stored = consumed(store, tx_id) if params.transaction else None
        return types.GetTransactionResult(
            at_height=store.tip.height,
            block_time_ms=block_at(store, store.tip.height).timestamp_ms,
            tx_id=params.tx_id,
            outcome=outcome_of(store, tx_id, waits),
            receipt=receipt_of(store, tx_id),
            transaction=None if stored is None else transaction_view(transaction_at(ports, store, stored)),
        )


async def get_by_ref(ports: Ports, params: types.GetByRefParams) -> types.GetByRefResult:
    """What an account has paid under references, ever: how a payment file is imported twice and paid once."""
    payer = checked_number(params.account)
    with ports.store.snapshot() as store:
        base = store.base()
        if base and params.since_height <= base:
            raise RpcError(PRUNED, path="since_height", expected=f"above {base}", actual=str(params.since_height))
        found: list[types.Paid] = []
        decoded: dict[bytes, Transaction] = {}
        for ref in dict.fromkeys(params.refs):
            for row in store.references(payer, bytes.fromhex(ref), REFERENCES_MAX):
                found.append(_paid(ports, store, decoded, ref, decode_reference(row)))
        return types.GetByRefResult(
            at_height=store.tip.height,
            block_time_ms=block_at(store, store.tip.height).timestamp_ms,
            payments=tuple(found),
        )


async def get_transaction_proof(
    ports: Ports, params: types.GetTransactionProofParams
) -> types.GetTransactionProofResult:
    """A receipt, with everything that one who knows only the genesis needs to believe it."""
    tx_id = bytes.fromhex(params.tx_id)
    await ports.turns.next()
    stored = consumed(ports.store, tx_id)
    if stored is None:
        raise RpcError(NOT_FOUND, tx_id=params.tx_id, path="tx_id")
    leaves = ports.store.outcome_leaves(stored.height) or b""
    at = stored.index * HASH_BYTES
    if leaves[at : at + HASH_BYTES] != outcome_leaf(tx_id, stored.receipt):
        raise RpcError(PRUNED, tx_id=params.tx_id)
    proof = await prove_outcome_in_turns(ports.turns, leaves, stored.index)
    return types.GetTransactionProofResult(
        at_height=ports.store.tip.height,
        tx_id=params.tx_id,
        receipt=stored.receipt.hex(),
        path=encode_outcome_proof(proof).hex(),
        anchor=await wait_for_anchor(ports, stored.height),
    )


# --- accounts ---


async def get_account(ports: Ports, params: types.GetAccountParams) -> types.GetAccountResult:
    """An account: kind, keys, limits, balances."""
    with ports.store.snapshot() as store:
        account = account_at(store, params.account)
        return types.GetAccountResult(at_height=store.tip.height, account=account_view(account, ports.ledger.assets()))


async def get_history(ports: Ports, params: types.GetHistoryParams) -> types.GetHistoryResult:
    """A page of an account's statement, newest first unless asked otherwise."""
    with ports.store.snapshot() as store:
        account = account_at(store, params.account)
        of = ("account_getHistory", params.account, params.order)
        if params.cursor is not None and params.from_number is not None:
            raise RpcError(INVALID_PARAMS, path="from_number", expected="cursor or from_number, not both")
        start = decode_cursor(of, params.cursor) if params.from_number is None else params.from_number
        rows = store.entries(account.number, start, params.limit + 1, descending=params.order == "desc")
        page = _page(account.length, start, params)
        if page and (not rows or rows[0][0] != page[0]):
            raise RpcError(PRUNED, path="account", actual=params.account)
        following = page[min(len(rows), params.limit) :]  # one that is not kept has a page of its own, which says so
        return types.GetHistoryResult(
            at_height=store.tip.height,
            account=params.account,
            length=account.length,
            head=account.head.hex(),
            entries=tuple(entry_view(number, decode_entry(row)) for number, row in rows[: params.limit]),
            next_cursor=encode_cursor(of, following[0]) if following else None,
        )


def _page(length: int, start: int | None, params: types.GetHistoryParams) -> list[int]:
    """Return the numbers of the entries that belong on a page, and of the one after it if there is one."""
    if params.order == "asc":
        return list(range(start or 0, length)[: params.limit + 1])
    return list(range(length - 1 if start is None else min(start, length - 1), -1, -1)[: params.limit + 1])


# --- this document ---


async def discover(ports: Ports, params: types.DiscoverParams) -> msgspec.Raw:
    """This document: every method with its types and an example."""
    return _ENCODED


# --- steps ---


def _in_view_of_the_store(ports: Ports, submitted: Submitted, tx_id: bytes | None) -> Submitted:
    """Return the answer to a submission: a success if it was executed before, whatever was said of it now.

    What was taken just now is not looked for, nor who came to a full node: he comes again. LevelDB merges tables early
    that are searched often for what is absent.
    """
    is_new = not submitted.code and not submitted.duplicate
    if tx_id is None or is_new or submitted.code == OVERLOADED.code:
        return submitted
    try:
        stored = consumed(ports.store, tx_id)
    except RpcError as error:
        return Submitted(None, error.fault.code)
    return submitted if stored is None else Submitted(tx_id, 0, duplicate=True)


def _refusal(submitted: Submitted, tx_id: bytes | None) -> RpcError:
    return RpcError(
        fault_of(submitted.code),
        tx_id=None if tx_id is None else tx_id.hex(),
        retry_after_ms=submitted.retry_after_ms,
    )


def _item(submitted: Submitted, tx_id: bytes | None, outcome: types.Outcome | None) -> types.SubmittedItem:
    named = None if tx_id is None else tx_id.hex()
    if outcome is not None:
        return types.SubmittedItem(tx_id=named, outcome=outcome)
    fault = fault_of(submitted.code)
    return types.SubmittedItem(
        tx_id=named,
        outcome=types.Outcome(status="unknown", final=False),
        refused=types.Refusal(
            code=fault.code,
            name=fault.name,
            message=fault.en,
            retryable=fault.retryable,
            retry_after_ms=submitted.retry_after_ms,
        ),
    )


async def _wait(ports: Ports, ids: Sequence[bytes], wait: str, timeout_ms: int) -> list[types.Outcome]:
    """Return what is known of transactions that were taken, after waiting if asked to."""
    if wait != "final":
        return [_ended(ports, tx_id, Outcome.PENDING) for tx_id in ids]
    ended = await asyncio.gather(*(ports.outcome(tx_id, timeout_ms / 1_000) for tx_id in ids))
    return [_ended(ports, tx_id, how) for tx_id, how in zip(ids, ended, strict=True)]


def _ended(ports: Ports, tx_id: bytes, how: Outcome) -> types.Outcome:
    if how is Outcome.PENDING and ports.pending(tx_id):
        return _PENDING  # it leaves the mempool once its block is stored: until then the store need not be asked
    outcome = outcome_of(ports.store, tx_id, how is Outcome.PENDING or ports.pending(tx_id))
    if how is Outcome.EXPIRED and not outcome.final:
        return types.Outcome(status="expired", final=True, code=int(Code.EXPIRED), name=Code.EXPIRED.name)
    return outcome


def _paid(ports: Ports, store: Reads, decoded: dict[bytes, Transaction], ref: str, reference: Reference) -> types.Paid:
    stored = store.transaction(reference.transaction_id)
    if stored is None:
        raise RpcError(PRUNED, path="refs", tx_id=reference.transaction_id.hex())
    transaction = decoded.get(reference.transaction_id)
    if transaction is None:
        transaction = decoded[reference.transaction_id] = transaction_at(ports, store, stored)
    pay = transaction.operations[reference.op]
    assert isinstance(pay, Pay)  # or the index is wrong
    to, amount, _ = pay.legs[reference.leg]
    return types.Paid(
        ref=ref,
        tx_id=reference.transaction_id.hex(),
        op=reference.op,
        leg=reference.leg,
        height=stored.height,
        asset=pay.asset,
        to=format_account(to),
        amount=str(amount),
    )


_TABLE: Final = (
    Method("rpc.discover", types.DiscoverParams, types.DiscoverResult, discover, cost=10),
    *chain.METHODS,
    Method("tx_submit", types.SubmitParams, types.SubmitResult, submit),
    Method("tx_submitMany", types.SubmitManyParams, types.SubmitManyResult, submit_many, cost=10),
    Method("tx_get", types.GetTransactionParams, types.GetTransactionResult, get_transaction),
    Method("tx_getByRef", types.GetByRefParams, types.GetByRefResult, get_by_ref, cost=5),
    Method(
        "tx_getProof", types.GetTransactionProofParams, types.GetTransactionProofResult, get_transaction_proof, cost=50
    ),
    Method("account_get", types.GetAccountParams, types.GetAccountResult, get_account),
    Method("account_getHistory", types.GetHistoryParams, types.GetHistoryResult, get_history, cost=2),
    *history.METHODS,
    *state_proofs.METHODS,
    *assets.METHODS,
    *attestations.METHODS,
    *holds.METHODS,
    *orders.METHODS,
    *rules.METHODS,
    *subscriptions.METHODS,
    *admin.METHODS,
    Method(
        "validator_list", validator_types.ListValidatorsParams, validator_types.ListValidatorsResult, list_validators
    ),
    Method(
        "validator_listCommittees",
        validator_types.ListCommitteesParams,
        validator_types.ListCommitteesResult,
        list_committees,
        cost=5,
    ),
    Method(
        "validator_getReadiness", validator_types.GetReadinessParams, validator_types.GetReadinessResult, get_readiness
    ),
    Method(
        "evidence_list", evidence_types.ListEvidenceParams, evidence_types.ListEvidenceResult, list_evidence, cost=10
    ),
    Method("evidence_get", evidence_types.GetEvidenceParams, evidence_types.GetEvidenceResult, get_evidence, cost=2),
    Method("net_getPeers", validator_types.GetPeersParams, validator_types.GetPeersResult, get_peers),
)
METHODS: Final[dict[str, Method]] = {method.name: method for method in _TABLE}
DOCUMENT: Final = document(_TABLE)
_ENCODED: Final = msgspec.Raw(msgspec.json.encode(DOCUMENT))
