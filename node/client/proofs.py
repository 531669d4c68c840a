"""Proofs, checked with nothing but the genesis: a final header, the roots between, and a path in a tree.

One rule: every byte of a proof is either hashed into what a quorum signed or refused. Nothing here trusts a node.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey
from consensus.encoding import DecodeError
from consensus.messages import (
    Certificate,
    Hash,
    Header,
    Kind,
    decode_certificate,
    decode_header,
    header_hash,
)
from consensus.verify import certificate_valid
from node.client.errors import ProofInvalid
from node.ledger.account import Account, decode_account
from node.ledger.commitment import (
    chain_root,
    decode_outcome_proof,
    decode_proof,
    verify_outcome,
    verify_proof,
)
from node.ledger.genesis import Genesis
from node.ledger.receipt import Receipt, decode_receipt
from node.ledger.state import account_key
from node.rpc.types import Anchor, GetAccountProofResult, GetTransactionProofResult

LINKS_MAX: Final = 100_000  # heights between what is proven and what certifies it; each costs a microsecond
HEADERS_MAX: Final = 2_048  # a node that caught up has one certificate for up to 1,024 blocks
EPOCH: Final = 0  # of the committee that genesis names


@dataclass(frozen=True, slots=True)
class Trust:
    """What a client knows for sure: which network, and who its validators are."""

    genesis_hash: bytes
    committee: Committee

    @classmethod
    def of(cls, genesis: Genesis) -> "Trust":
        """Return what a genesis says. Raises ValueError if its validators make no committee."""
        members = (Validator(PublicKey(row.consensus_key), row.weight) for row in genesis.validators)
        return cls(genesis.hash, Committee(EPOCH, members, allow_dominant=genesis.kind == "devnet"))

    def committee_of(self, epoch: int) -> Committee:
        """Return the committee of an epoch in which the validators are still those of genesis."""
        return Committee(epoch, self.committee.validators, allow_dominant=True)


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
    _require_certificate(certificate, headers[-1], trust)
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


def _require_certificate(certificate: Certificate, header: Header, trust: Trust) -> None:
    if certificate.kind is not Kind.FINALIZE or certificate.hash != header_hash(header):
        raise ProofInvalid("the certificate does not finalize the last header")
    if certificate.epoch != header.epoch or header.validators_hash != Hash(trust.committee.hash):
        raise ProofInvalid("the header is of a committee that the genesis does not name")
    committee = trust.committee_of(certificate.epoch)
    if not certificate_valid(certificate, committee, trust.genesis_hash):
        raise ProofInvalid("no quorum of valid signatures")


def _require_root(anchor: Anchor, header: Header) -> None:
    if len(anchor.links) != header.executed_height - anchor.height + 1:
        raise ProofInvalid("the links do not reach the height that the header certifies")
    root = bytes.fromhex(anchor.root_before)
    for height, link in enumerate(anchor.links, anchor.height):
        root = chain_root(root, height, bytes.fromhex(link.state_tree_root), bytes.fromhex(link.outcomes_root))
    if root != header.state_root:
        raise ProofInvalid("the links do not lead to the root that the header certifies")
