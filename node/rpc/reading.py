"""What methods read: blocks, transactions and accounts of a store, or of one moment of it.

One rule: everything here comes from disk, and what is not there is an error with a name, never an empty answer.
"""

from collections.abc import Sequence
from typing import Final

from consensus.messages import Block, decode_certificate
from node.batches import decode_batch
from node.ledger.account import Account, decode_account, is_account_number
from node.ledger.errors import Code
from node.ledger.receipt import decode_receipt
from node.ledger.state import account_key
from node.ledger.transaction import Transaction, decode_transaction
from node.rpc import types
from node.rpc.cursors import decode_cursor, encode_cursor
from node.rpc.errors import INVALID_PARAMS, NOT_FOUND, PRUNED, RpcError
from node.rpc.ports import Ports
from node.rpc.views import receipt_view
from node.storage.reads import Reads
from node.storage.records import StoredBlock, StoredTransaction
from node.storage.store import Snapshot

HASH_BYTES: Final = 32
OUTCOMES_AT_ONCE: Final = 32  # looked up in one turn: 2 ms


def block_at(store: Reads, height: int) -> StoredBlock:
    """Return the block. Raises RpcError (pruned)."""
    block = store.block(height)
    if block is None:
        raise RpcError(PRUNED, path="height", actual=str(height))
    return block


def time_of(store: Snapshot) -> int:
    """Return the block time of a moment of the store, Unix ms."""
    return block_at(store, store.tip.height).timestamp_ms


def named_block(store: Reads, tip: int, params: types.GetBlockParams) -> StoredBlock:
    """Return the block that params name, the latest if none. Raises RpcError."""
    if params.hash is not None and params.height is not None:
        raise RpcError(INVALID_PARAMS, path="hash", expected="height or hash, not both")
    if params.hash is not None:
        found = store.block_by_hash(bytes.fromhex(params.hash))
        if found is None:
            raise RpcError(NOT_FOUND, path="hash")
        return found
    height = tip if params.height is None else params.height
    if height > tip:
        raise RpcError(NOT_FOUND, path="height", expected=f"at most {tip}", actual=str(height))
    return block_at(store, height)


def signers_of(ports: Ports, store: Snapshot, height: int) -> tuple[int | None, tuple[str, ...]]:
    """Return the height of the certificate that finalizes a block, and who signed it."""
    found = store.certificate_from(height) if height else None
    if found is None:
        return None, ()
    certificate_height, data = found
    certificate = decode_certificate(data)
    names = validator_names(ports, store, certificate.epoch)
    return certificate_height, tuple(name_at(names, signer) for signer, _ in certificate.signatures)


def validator_names(ports: Ports, store: Snapshot, epoch: int) -> tuple[str, ...]:
    """Return the names of an epoch's committee, in its order; none if its first block is not here."""
    members = ports.epochs(store).members(epoch)
    return () if members is None else tuple(row.name for row in members.rows)


def name_at(names: Sequence[str], index: int) -> str:
    """Return a validator's name, or its index where the names are not known."""
    return names[index] if index < len(names) else str(index)


async def block_transactions(
    ports: Ports, store: Reads, block: Block | None, height: int, params: types.GetBlockParams
) -> tuple[tuple[types.BlockTransaction, ...], str | None]:
    """Return a page of a block's transactions, and the cursor to the next."""
    if params.limit == 0 or block is None:
        return (), None
    of = ("chain_getBlock", height, params.order)
    start = decode_cursor(of, params.cursor) or 0
    count = await ports.contents.count(store, block)
    page = range(count)[start : start + params.limit]
    following = start + len(page)
    if params.order == "desc":
        page = range(count - following, count - start)
    ids = await ports.contents.ids(store, block, page.start, page.stop)
    shown = []
    for number, (index, tx_id) in enumerate(zip(page, ids, strict=True), 1):
        outcome = outcome_of(store, tx_id, False)
        shown.append(types.BlockTransaction(index=index, tx_id=tx_id.hex(), outcome=outcome))
        if number % OUTCOMES_AT_ONCE == 0:
            await ports.turns.next()
    if params.order == "desc":
        shown.reverse()
    return tuple(shown), encode_cursor(of, following) if following < count else None


def outcome_of(store: Reads, tx_id: bytes, waits: bool) -> types.Outcome:
    """Return what is known of a transaction; ``waits`` says that it is in the mempool."""
    stored = consumed(store, tx_id)
    if stored is None:
        return types.Outcome(status="pending" if waits else "unknown", final=False)
    receipt = decode_receipt(tx_id, stored.receipt)
    return types.Outcome(
        status="applied" if receipt.applied else "failed",
        final=True,
        height=stored.height,
        code=receipt.code,
        name=Code(receipt.code).name,
    )


def consumed(store: Reads, tx_id: bytes) -> StoredTransaction | None:
    """Return the one result of an id. A receipt for a failed envelope is none: anyone can cause it.

    Raises RpcError (pruned) if it is not kept here.
    """
    stored = store.transaction(tx_id)
    if stored is not None and not stored.receipt:
        raise RpcError(PRUNED, tx_id=tx_id.hex())
    return stored if stored is not None and decode_receipt(tx_id, stored.receipt).consumed else None


def receipt_of(store: Reads, tx_id: bytes) -> types.Receipt | None:
    """Return the receipt of a transaction, and where it is."""
    stored = consumed(store, tx_id)
    if stored is None:
        return None
    receipt = decode_receipt(tx_id, stored.receipt)
    return receipt_view(receipt, stored.height, stored.index, block_at(store, stored.height).timestamp_ms)


def transaction_at(ports: Ports, store: Reads, stored: StoredTransaction) -> Transaction:
    """Return a transaction from the batch that brought it. Raises RpcError (pruned)."""
    data = store.batch(stored.batch_digest)
    if data is None:
        raise RpcError(PRUNED, path="transaction")
    genesis_hash = ports.network.genesis_hash
    return decode_transaction(decode_batch(genesis_hash, data).raw_transactions[stored.position], genesis_hash)


def checked_number(text: str, path: str = "account") -> int:
    """Return an account's number. Raises RpcError unless its check digits hold."""
    number = int(text)
    if not is_account_number(number):
        raise RpcError(INVALID_PARAMS, path=path, expected="check digits that hold", actual=text)
    return number


def account_at(store: Reads, text: str) -> Account:
    """Return an account. Raises RpcError (not_found)."""
    number = checked_number(text)
    record = store.get(account_key(number))
    if record is None:
        raise RpcError(NOT_FOUND, path="account", actual=text)
    return decode_account(number, record)


def supply_at(store: Reads, issuer: int, asset: int) -> int:
    """Return what is issued of an asset: what its issuer lacks."""
    return -balance_at(store, issuer, asset)


def balance_at(store: Reads, number: int, asset: int) -> int:
    """Return what an account has of an asset."""
    record = store.get(account_key(number))
    return 0 if record is None else decode_account(number, record).balance(asset)
