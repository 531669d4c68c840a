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
from node.ledger.account import AMOUNT_MAX, EMPTY_HEAD, Account, decode_account
from node.ledger.commitment import (
    chain_root,
    decode_outcome_proof,
    decode_proof,
    verify_outcome,
    verify_proof,
)
from node.ledger.receipt import Receipt, decode_receipt
from node.ledger.state import account_key
from node.ledger.statement import Entry, encode_entry, next_head
from node.rpc import types
from node.rpc.ledger_types import GetStateProofResult
from node.rpc.types import Anchor, GetAccountProofResult, GetTransactionProofResult

LINKS_MAX: Final = 100_000  # heights between what is proven and what certifies it; each costs a microsecond
TIME_MAX_MS: Final = 253_402_214_400_000  # the last day of year 9999, UTC
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

    number: int
    account: Account | None
    height: int
    certified_by: int
    certified_ms: int  # the certifying header's time: all blocks below have none later


@dataclass(frozen=True, slots=True)
class ProvenRow:
    """A row of the state tree after a height; None: there was none."""

    value: bytes | None
    height: int
    certified_by: int
    certified_ms: int


@dataclass(frozen=True, slots=True)
class ProvenStatement:
    """All that an account ever booked up to a height, the oldest first: nothing is missing, added or changed."""

    account: Account | None
    entries: tuple[Entry, ...]
    height: int
    certified_by: int


@dataclass(frozen=True, slots=True)
class _Roots:
    state_tree_root: bytes
    outcomes_root: bytes
    certified_by: int
    certified_ms: int


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
    number = int(found.account)
    row = _verify_row(account_key(number), found.record, found.path, found.anchor, trust)
    try:
        account = None if row.value is None else decode_account(number, row.value)
    except DecodeError as error:
        raise ProofInvalid(f"the record: {error}") from None
    return ProvenAccount(number, account, row.height, row.certified_by, row.certified_ms)


def verify_row(found: GetStateProofResult, trust: Trust) -> ProvenRow:
    """Return the row of the state tree that the proof proves, or its absence. Raises ProofInvalid."""
    return _verify_row(bytes.fromhex(found.key), found.value, found.path, found.anchor, trust)


class StatementCheck:
    """Checks the entries of a proven account as they come, the oldest first.

    The account's record has the number of its entries and the head of their chain; both must be those of what is shown.
    The sums are checked too: a statement begins at nothing and ends at the proven balances. Nothing is proven before
    ``finish``.
    """

    def __init__(self, proven: ProvenAccount) -> None:
        self._account = proven.account
        self.length = 0 if proven.account is None else proven.account.length
        self.seen = 0
        self._head = EMPTY_HEAD
        self._balances: dict[int, int] = {}

    def add(self, shown: types.Entry) -> Entry:
        """Return the next entry. Raises ProofInvalid."""
        if shown.number != self.seen or self.seen == self.length:
            raise ProofInvalid(f"the statement does not have the account's {self.length} entries")
        entry = entry_of(shown)
        self.seen += 1
        self._head = next_head(self._head, encode_entry(entry))
        balance = self._balances.get(entry.asset, 0) + entry.amount
        if balance != entry.balance:
            raise ProofInvalid("an entry's balance is not the sum of those before it")
        self._balances[entry.asset] = balance
        return entry

    def finish(self) -> None:
        """Raise ProofInvalid unless what was added is all."""
        if self.seen != self.length:
            raise ProofInvalid(f"the statement does not have the account's {self.length} entries")
        if self._account is None:
            return
        if self._head != self._account.head:
            raise ProofInvalid("the entries do not lead to the account's statement head")
        ended = {asset: balance for asset, balance in self._balances.items() if balance}
        if ended != {asset: balance for asset, balance, _ in self._account.holdings if balance}:
            raise ProofInvalid("the statement does not end at the account's balances")


def entry_of(shown: types.Entry) -> Entry:
    """Return the ledger's entry that a node shows. Raises ProofInvalid."""
    if max(abs(int(shown.amount)), abs(int(shown.balance))) > AMOUNT_MAX:
        raise ProofInvalid("an amount that no ledger books")
    if shown.timestamp_ms > TIME_MAX_MS:
        raise ProofInvalid("a time that no calendar has")
    return Entry(
        shown.timestamp_ms,
        shown.height,
        bytes.fromhex(shown.tx_id),
        shown.op,
        shown.leg,
        shown.asset,
        None if shown.other is None else int(shown.other),
        int(shown.amount),
        int(shown.balance),
        None if shown.ref is None else bytes.fromhex(shown.ref),
    )


def _verify_row(key: bytes, value: str | None, path: str, anchor: Anchor, trust: Trust) -> ProvenRow:
    roots = verify_anchor(anchor, trust)
    row = None if value is None else bytes.fromhex(value)
    try:
        proof = decode_proof(bytes.fromhex(path))
    except DecodeError as error:
        raise ProofInvalid(f"the path: {error}") from None
    if not verify_proof(roots.state_tree_root, key, row, proof):
        raise ProofInvalid("the path does not lead to the state tree root")
    return ProvenRow(row, anchor.height, roots.certified_by, roots.certified_ms)


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
    last = headers[-1]
    return _Roots(
        bytes.fromhex(first.state_tree_root), bytes.fromhex(first.outcomes_root), last.height, last.timestamp_ms
    )


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
