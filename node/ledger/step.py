"""One transaction while it is applied: what an operation gets beside its own fields.

One rule: operations reach the state and the block's time through this alone.
"""

from consensus.encoding import encode
from node.ledger.account import CLOSED, Account, Kind
from node.ledger.checkpoints import Checkpoints
from node.ledger.genesis import Genesis
from node.ledger.receipt import Skipped
from node.ledger.recent import OnceRefs
from node.ledger.state import State
from node.ledger.statement import next_head
from node.ledger.versions import Rules


class Step:
    """Mutable; made anew for each transaction."""

    __slots__ = (
        "accounts", "checkpoints", "day", "genesis", "height", "once", "op", "original", "rules", "skipped", "spent",
        "state", "time_ms", "transaction_id",
    )  # fmt: skip

    def __init__(
        self,
        genesis: Genesis,
        state: State,
        once: OnceRefs,
        checkpoints: Checkpoints,
        rules: Rules,
        height: int,
        time_ms: int,
        transaction_id: bytes,
        accounts: tuple[int, ...],
    ) -> None:
        self.genesis = genesis
        self.state = state
        self.once = once
        self.checkpoints = checkpoints
        self.rules = rules
        self.height = height
        self.time_ms = time_ms  # block time
        self.day = state.parameters.day(time_ms)
        self.transaction_id = transaction_id
        self.accounts = accounts  # all of them have signed
        self.op = 0  # index of the operation that is being applied
        self.spent: dict[int, int] = {}  # som that limited accounts paid in this transaction
        self.skipped: list[Skipped] = []
        self.original: bytes | None = None  # the transaction of the first duplicate ref among the skipped legs

    def central_bank_signed(self) -> bool:
        """Return whether an account of kind central bank, not closed, is among those that signed."""
        signers = (self.state.require_account(number) for number in self.accounts)
        return any(each.profile.kind == Kind.CENTRAL_BANK and not each.flags & CLOSED for each in signers)

    def book(
        self,
        account: Account,
        leg: int | None,
        asset: int,
        counterparty: int | None,
        amount: int,
        balance: int,
        ref: bytes | None,
    ) -> None:
        """Append an entry to the statement of a touched account; the fields are those of ``statement.Entry``."""
        entry = encode(
            (self.time_ms, self.height, self.transaction_id, self.op, leg, asset, counterparty, amount, balance, ref)
        )
        self.state.entries.append((account.number, account.length, entry))
        account.length += 1
        account.head = next_head(account.head, entry)
