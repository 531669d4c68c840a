"""Proofs, checked with nothing but the genesis: a final header, the roots between, and a path in a tree.

One rule: every byte of a proof is either hashed into what a quorum signed or refused. Nothing here trusts a node.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from consensus.encoding import DecodeError
from consensus.messages import Header, decode_certificate, decode_header, header_hash
from node.client.errors import ProofInvalid
from node.client.trust import Trust
from node.ledger.account import Account, decode_account
from node.ledger.commitment import (
    chain_root,
    decode_outcome_proof,
    decode_proof,
    verify_outcome,
    verify_proof,
)
from node.ledger.receipt import Receipt, decode_receipt
from node.ledger.state import account_key
from node.rpc.types import Anchor, GetAccountProofResult, GetTransactionProofResult

LINKS_MAX: Final = 100_000  # heights between what is proven and what certifies it; each costs a microsecond
HEADERS_MAX: Final = 2_048  # a node that caught up has one certificate for up to 1,024 blocks


@dataclass(frozen=True, slots=True)
class ProvenReceipt:
    """A receipt, and the final block that gave it."""

    receipt: Receipt
    height: int
    certified_by: int  # height of the final block whose header certifies it


@dataclass(frozen=True, slots=True)
class ProvenAccount:
    """An account after a height; None: there was none."""

    account: Account | None
    height: int
    certified_by: int


@dataclass(frozen=True, slots=True)
class _Roots:
    state_tree_root: bytes
    outcomes_root: bytes
    certified_by: int


def verify_transaction(found: GetTransactionProofResult, trust: Trust) -> ProvenReceipt:
    """Return the receipt that the proof proves. Raises ProofInvalid."""
    roots = verify_anchor(found.anchor, trust)
    tx_id, encoded = bytes.fromhex(found.tx_id), bytes.fromhex(found.receipt)
    try:
        proof = decode_outcome_proof(bytes.fromhex(found.path))
        receipt = decode_receipt(tx_id, encoded)
    except DecodeError as error:
        raise ProofInvalid(f"the receipt or its path: {error}") from None
    if not verify_outcome(roots.outcomes_root, tx_id, encoded, proof):
        raise ProofInvalid("the path does not lead to the block's outcomes root")
    return ProvenReceipt(receipt, found.anchor.height, roots.certified_by)


def verify_account(found: GetAccountProofResult, trust: Trust) -> ProvenAccount:
    """Return the account that the proof proves, or its absence. Raises ProofInvalid."""
    roots = verify_anchor(found.anchor, trust)
    number = int(found.account)
    record = None if found.record is None else bytes.fromhex(found.record)
    try:
        proof = decode_proof(bytes.fromhex(found.path))
        account = None if record is None else decode_account(number, record)
    except DecodeError as error:
        raise ProofInvalid(f"the record or its path: {error}") from None
    if not verify_proof(roots.state_tree_root, account_key(number), record, proof):
        raise ProofInvalid("the path does not lead to the state tree root")
    return ProvenAccount(account, found.anchor.height, roots.certified_by)


def verify_anchor(anchor: Anchor, trust: Trust) -> _Roots:
    """Return the roots of the anchor's height if a quorum stands behind them. Raises ProofInvalid."""
    if not 1 <= len(anchor.headers) <= HEADERS_MAX or not 1 <= len(anchor.links) <= LINKS_MAX:
        raise ProofInvalid("too few or too many headers or links")
    try:
        headers = [decode_header(bytes.fromhex(text)) for text in anchor.headers]
        certificate = decode_certificate(bytes.fromhex(anchor.certificate))
    except DecodeError as error:
        raise ProofInvalid(f"a header or the certificate: {error}") from None
    _require_chain(headers, trust)
    trust.require_final(headers[-1], certificate)
    _require_root(anchor, headers[0])
    first = anchor.links[0]
    return _Roots(bytes.fromhex(first.state_tree_root), bytes.fromhex(first.outcomes_root), headers[-1].height)


def _require_chain(headers: list[Header], trust: Trust) -> None:
    for header in headers:
        if header.genesis_hash != trust.genesis_hash:
            raise ProofInvalid("a header of another network")
    for parent, child in pairwise(headers):
        if child.parent_hash != header_hash(parent) or child.height != parent.height + 1:
            raise ProofInvalid("the headers do not follow each other")


def _require_root(anchor: Anchor, header: Header) -> None:
    if len(anchor.links) != header.executed_height - anchor.height + 1:
        raise ProofInvalid("the links do not reach the height that the header certifies")
    root = bytes.fromhex(anchor.root_before)
    for height, link in enumerate(anchor.links, anchor.height):
        root = chain_root(root, height, bytes.fromhex(link.state_tree_root), bytes.fromhex(link.outcomes_root))
    if root != header.state_root:
        raise ProofInvalid("the links do not lead to the root that the header certifies")
