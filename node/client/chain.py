"""The whole chain as it becomes final, block by block, checked with nothing but the genesis.

One rule: a block is handed on only when all of it is certain: a quorum finalized it or a descendant, its batches are
those that it names, and a later final header names the root that its receipts lead to.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from consensus.encoding import DecodeError
from consensus.messages import Certificate, Header, decode_block, decode_certificate
from node.batches import decode_batch, decode_payload, decode_transactions
from node.client.errors import ProofInvalid
from node.client.trust import Trust
from node.ledger.commitment import chain_root, outcome_leaf, outcomes_root
from node.ledger.errors import Code, Refused
from node.ledger.receipt import Receipt, decode_receipt
from node.ledger.transaction import Transaction
from node.rpc.event_types import ExecutedBlock

WAITING_MAX: Final = 2_048  # blocks that are not certain yet: a node that caught up has one certificate for 1,024


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """A block from which the check goes on, and the root after it."""

    height: int
    block_hash: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class ChainBlock:
    """A final block and what became of its transactions, in the order of execution.

    ``root`` is the root after it. ``cursor`` is where events go on; ``tip`` the height that the node had then.
    """

    header: Header
    block_hash: bytes
    root: bytes
    transactions: tuple[Transaction, ...]
    receipts: tuple[Receipt, ...]
    cursor: str
    tip: int

    @property
    def place(self) -> ChainPlace:
        """Where to go on after this block."""
        return ChainPlace(self.header.height, self.block_hash, self.root)


class ChainCheck:
    """Takes blocks in ascending order and gives back those that have become certain."""

    def __init__(self, trust: Trust, place: ChainPlace | None = None) -> None:
        """``place`` None: from the genesis on. The root after it is what the first header names."""
        self.trust = trust
        self._last = place  # the last block that was taken, certain or not
        self._waiting: deque[ChainBlock] = deque()
        self._uncertified: deque[tuple[Header, Certificate]] = deque()  # whose certificates are not checked yet
        self._roots: dict[int, bytes] = {} if place is None else {place.height: place.root}

    @property
    def height(self) -> int:
        """The last block that was taken."""
        return 0 if self._last is None else self._last.height

    def add(self, shown: ExecutedBlock, cursor: str, tip: int) -> list[ChainBlock]:
        """Take the next block; return those that are certain now. Raises ProofInvalid.

        After CommitteeUnknown the block is taken all the same: set ``trust`` and ask ``certified``.
        """
        if len(self._waiting) == WAITING_MAX:
            raise ProofInvalid(f"no certificate for {WAITING_MAX} blocks")
        try:
            block, certificate = self._decoded(shown, cursor, tip)
        except (DecodeError, Refused, ValueError) as error:
            raise ProofInvalid(f"block {shown.height}: {error}") from None
        self._roots[block.header.height] = block.root
        self._last = block.place
        self._waiting.append(block)
        if certificate is not None:
            self._uncertified.append((block.header, certificate))
        return self.certified()

    def certified(self) -> list[ChainBlock]:
        """Return the blocks that have become certain. Raises ProofInvalid, CommitteeUnknown."""
        certain: list[ChainBlock] = []
        while self._uncertified:
            header, certificate = self._uncertified[0]
            self.trust.require_final(header, certificate)
            self._uncertified.popleft()
            while self._waiting and self._waiting[0].header.height <= header.executed_height:
                certain.append(self._waiting.popleft())
            for height in [each for each in self._roots if each < header.executed_height]:
                del self._roots[height]
        return certain

    def _decoded(self, shown: ExecutedBlock, cursor: str, tip: int) -> tuple[ChainBlock, Certificate | None]:
        block = decode_block(bytes.fromhex(shown.block))
        header, genesis_hash = block.header, self.trust.genesis_hash
        if header.genesis_hash != genesis_hash:
            raise ProofInvalid("a block of another network")
        if header.height != self.height + 1:
            raise ProofInvalid(f"block {header.height} after {self.height}")
        if self._last is not None and header.parent_hash != self._last.block_hash:
            raise ProofInvalid(f"block {header.height} does not follow block {self.height}")
        self._require_root(header)
        batches = [decode_batch(genesis_hash, bytes.fromhex(data)) for data in shown.batches]
        if tuple(each.digest for each in batches) != decode_payload(block.payload):
            raise ProofInvalid(f"block {header.height}: other batches than it names")
        transactions = tuple(each for batch in batches for each in decode_transactions(genesis_hash, batch))
        receipts = _receipts(transactions, shown)
        leaves = [outcome_leaf(receipt.transaction_id, receipt.encoded) for receipt in receipts]
        before = self._roots[header.height - 1]
        root = chain_root(before, header.height, bytes.fromhex(shown.state_tree_root), outcomes_root(leaves))
        certificate = None if shown.certificate is None else decode_certificate(bytes.fromhex(shown.certificate))
        return ChainBlock(header, block.hash, root, transactions, receipts, cursor, tip), certificate

    def _require_root(self, header: Header) -> None:
        """Compare what a header says of an earlier state with the roots that the receipts lead to."""
        if self._last is None:  # block 1 names the root of the genesis, and a quorum has signed that
            if header.executed_height != 0:
                raise ProofInvalid("block 1 names another root than that of the genesis")
            self._roots[0] = header.state_root
        known = self._roots.get(header.executed_height)
        if header.executed_height >= header.height or (known is not None and known != header.state_root):
            raise ProofInvalid(f"the receipts do not lead to the root that block {header.height} names")


def _receipts(transactions: tuple[Transaction, ...], shown: ExecutedBlock) -> tuple[Receipt, ...]:
    if len(shown.receipts) != len(transactions) or len(shown.leaves) != shown.receipts.count(None):
        raise ProofInvalid(f"block {shown.height}: not as many receipts as transactions")
    leaves = iter(shown.leaves)
    return tuple(
        decode_receipt(transaction.id, bytes.fromhex(encoded))
        if encoded is not None
        else envelope_receipt(transaction.id, bytes.fromhex(next(leaves)))
        for transaction, encoded in zip(transactions, shown.receipts, strict=True)
    )


def envelope_receipt(tx_id: bytes, leaf: bytes) -> Receipt:
    """Return the receipt of an envelope that failed, which nodes do not keep: only its code is in it.

    Raises ProofInvalid if the leaf is of another receipt: nothing that was executed can be passed off as this.
    """
    for code in Code:
        receipt = Receipt(tx_id, int(code))
        if not receipt.consumed and outcome_leaf(tx_id, receipt.encoded) == leaf:
            return receipt
    raise ProofInvalid("the receipt of an executed transaction is left out")
