"""Mutants of the indexer: what it believes, what it books, and how often it is there."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

CHAIN: Final = "node/client/chain.py"
BOOKS: Final = "node/indexer/books.py"
NEEDS: Final = "node/indexer/needs.py"
DATABASE: Final = "node/indexer/database.py"
PROOF: Final = "node/indexer/proof.py"
EVENTS: Final = "node/rpc/events.py"
ACCESS: Final = "node/rpc/access.py"

IN_CHAIN: Final = suite("client_chain")
IN_BOOKS: Final = suite("indexer_books")
IN_ACCESS: Final = suite("rpc_executed")
IN_DATABASE: Final = suite("indexer", only="place_that_the_writer_knows")
IN_PROOF: Final = suite("indexer", only="proof_finds")

MUTANTS: Final[tuple[Mutant, ...]] = (
    one(
        *("a block without a certificate is handed on", "chain: certain only", CHAIN),
        *("self.trust.require_final(header, certificate)", "pass"),
        IN_CHAIN,
    ),
    one(
        *("a block comes before its root is certified", "chain: certain only", CHAIN),
        *(
            "self._waiting[0].header.height <= header.executed_height",
            "self._waiting[0].header.height <= header.height",
        ),
        IN_CHAIN,
    ),
    one(
        *("receipts need not lead to the root that is named", "chain: receipts", CHAIN),
        *("(known is not None and known != header.state_root)", "False"),
        IN_CHAIN,
    ),
    one(
        *("batches need not be those that a block names", "chain: transactions", CHAIN),
        *("if tuple(each.digest for each in batches) != decode_payload(block.payload):", "if False:"),
        IN_CHAIN,
    ),
    one(
        *("a block need not follow the one before", "chain: links", CHAIN),
        *("if self._last is not None and header.parent_hash != self._last.block_hash:", "if False:"),
        IN_CHAIN,
    ),
    one(
        *("any leaf is taken for that of a failed envelope", "chain: receipts", CHAIN),
        *("outcome_leaf(tx_id, receipt.encoded) == leaf:", "True:"),
        IN_CHAIN,
    ),
    one(
        *("heights that are pruned are asked for again and again", "events: pruned", EVENTS),
        *("if by_height and place[0] < first:", "if False:"),
        IN_CHAIN,
    ),
    one(
        *("a bank's token takes the whole chain", "access: the topic executed", ACCESS),
        *('allowed = caller.local or caller.has("index")', 'allowed = caller.local or caller.has("index", "accounts")'),
        IN_ACCESS,
    ),
    one(
        *("the start of an index is not written down", "access: the topic executed", ACCESS),
        *('await ports.record(caller.name, method, {"topic": params.topic, "from": begins}, allowed)', "pass"),
        IN_ACCESS,
    ),
    one(
        *("legs that were skipped are booked", "books: payments", BOOKS),
        *("if index not in skipped:", "if True:"),
        IN_BOOKS,
    ),
    one(
        *("a seizure breaks the oldest holds first", "books: holds", BOOKS),
        *("holds.sort(key=lambda hold: (hold.height, hold.id), reverse=True)", "holds.sort()"),
        IN_BOOKS,
    ),
    one(
        *("holds end one block late", "books: holds", BOOKS),
        *("self._ends[0][0] <= self._time_ms", "self._ends[0][0] < self._time_ms"),
        IN_BOOKS,
    ),
    one(
        *("what a settled hold leaves stays held", "books: holds", BOOKS),
        *("if settled.close and rest:", "if False:"),
        IN_BOOKS,
    ),
    one(
        *("the holds of who is seized are not read", "needs", NEEDS),
        *("needs.payers.add(target)", "pass"),
        IN_BOOKS,
    ),
    one(
        *("rows are added wherever the database is", "database: exactly once", DATABASE),
        *("if moved.rowcount != 1:", "if False:"),
        IN_DATABASE,
    ),
    one(
        *("the head of a statement is not compared", "proof", PROOF),
        *("if (length, head) != (account.length, account.head):", "if length != account.length:"),
        IN_PROOF,
    ),
    one(
        *("holds, orders and attestations are not compared", "proof", PROOF),
        *("if proven.value == there:", "if True:"),
        IN_PROOF,
    ),
    one(
        *("what is held is not compared", "proof", PROOF),
        *("if now.held(proven.number, proven.height) != {", "if False and {"),
        IN_PROOF,
    ),
)
