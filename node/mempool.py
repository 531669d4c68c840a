"""Transactions of our own clients from the moment they are admitted until a block executes them or they expire.

One rule: nothing waits without a bound, and whoever is turned away learns why. Stages go one way, CHECKING, READY,
BATCHED, but for a batch that expires unused: its transactions are READY again.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from node.ledger.account import Account, Kind
from node.ledger.errors import Code, Refused
from node.ledger.transaction import Transaction

PAYER_TRANSACTIONS_MAX: Final = 4_096  # of one first account: a shop's till or a test, not a flood
BANK_SHARE: Final = 2  # one bank's customers take at most 1/2 of the room
RESERVED_SHARE: Final = 10  # the last 1/10 of the room is for the Treasury, the central bank and orders
PRIVILEGED_KINDS: Final = frozenset((Kind.CENTRAL_BANK, Kind.ISSUER, Kind.TREASURY, Kind.ENFORCER))
URGENT_KINDS: Final = frozenset((Kind.CENTRAL_BANK, Kind.ENFORCER))  # few, and a freeze must not wait behind payments
# Who comes when more waits than was executed in so many seconds would wait longer than that: he is told to come again.
# A queue that only grows serves nobody sooner, and takes from the blocks the time in which its newcomers are checked.
QUEUE_SECONDS_MAX: Final = 3.0
QUEUE_BYTES_MIN: Final = 192 * 1024  # about 1,100 payments may always wait
QUEUE_GRACE_SECONDS: Final = 1.0  # and as much as there is room for, for so long: until it shows how fast it goes
RETRY_AFTER_MS: Final = 500  # about two blocks under load
STALE_MAX: Final = 1_000  # ids of transactions that are gone, in a list: below that it is not worth cleaning


class Stage(IntEnum):
    """How far a transaction has come here."""

    CHECKING = 0
    READY = 1
    BATCHED = 2


@dataclass(frozen=True, slots=True)
class Full:
    """There is no room now; try again after RETRY_AFTER_MS. An answer: raising it for thousands costs as much again."""


FULL: Final = Full()
OVER_QUOTA: Final = Refused(Code.QUOTA)


@dataclass(slots=True)
class _Waiting:
    transaction: Transaction
    stage: Stage
    payer: int
    bank: int
    urgent: bool
    since: float  # seconds of the node's monotonic clock


class Mempool:
    """What waits, in order of arrival but for what is urgent, with quotas per payer and per bank."""

    def __init__(self, transactions_max: int, bytes_max: int, account: Callable[[int], Account | None]) -> None:
        self._transactions_max = transactions_max
        self._bytes_max = bytes_max
        self._account = account
        self._waiting: OrderedDict[bytes, _Waiting] = OrderedDict()  # in order of arrival; the first is found at once
        self._urgent: deque[bytes] = deque()  # ids that are ready, as in the next
        self._ready: deque[bytes] = deque()
        self._expiries: list[tuple[int, bytes]] = []
        self._payers: dict[int, int] = {}
        self._banks: dict[int, int] = {}
        self._executed: deque[tuple[float, int]] = deque()  # when, and how many bytes that had waited here
        self._executed_bytes = 0
        self.bytes = 0
        self.ready_bytes = 0
        self.refused = 0
        self.expired = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._waiting

    def admit(self, transaction: Transaction, now: float) -> Full | Refused | None:
        """Take a transaction that is still to be judged and checked; return why not: Full, or Refused(QUOTA).

        ``now`` is in seconds of a clock that never goes back.
        """
        assert transaction.id not in self._waiting
        payer = transaction.accounts[0]
        account = self._account(payer)
        kind = None if account is None else account.profile.kind
        privileged = kind in PRIVILEGED_KINDS
        bank = 0 if account is None else account.profile.bank or payer
        refusal = self._refusal(len(transaction.raw), payer, bank, privileged, now)
        if refusal is not None:
            self.refused += 1
            return refusal
        self._waiting[transaction.id] = _Waiting(transaction, Stage.CHECKING, payer, bank, kind in URGENT_KINDS, now)
        self.bytes += len(transaction.raw)
        _count(self._payers, payer, 1)
        _count(self._banks, bank, 1)
        heapq.heappush(self._expiries, (transaction.expires_ms, transaction.id))
        return None

    def checked(self, transaction_id: bytes) -> None:
        """Note that all signatures are valid: it may go into a batch."""
        self._make_ready(transaction_id, Stage.CHECKING)

    def take(self, transactions_max: int, bytes_max: int) -> list[Transaction]:
        """Return what goes into the next batch, at least one if any is ready; what is urgent first."""
        taken: list[Transaction] = []
        taken_bytes = 0
        for queue in (self._urgent, self._ready):
            while queue and len(taken) < transactions_max:
                waiting = self._waiting.get(queue[0])
                if waiting is None or waiting.stage is not Stage.READY:
                    queue.popleft()
                    continue
                size = len(waiting.transaction.raw)
                if taken and taken_bytes + size > bytes_max:
                    return taken
                queue.popleft()
                waiting.stage = Stage.BATCHED
                self.ready_bytes -= size
                taken_bytes += size
                taken.append(waiting.transaction)
        return taken

    def has_ready(self) -> bool:
        """Return whether a batch could be made."""
        return self.ready_bytes > 0

    def waiting(self) -> list[bytes]:
        """Return the ids of all that wait, in order of arrival."""
        return list(self._waiting)

    def give_back(self, transaction_ids: Iterable[bytes]) -> None:
        """Make the transactions of a batch that expired unused ready again."""
        for transaction_id in transaction_ids:
            self._make_ready(transaction_id, Stage.BATCHED)

    def executed(self, transaction_ids: Iterable[bytes], now: float) -> None:
        """Let go of what a block has executed, and note how fast it goes; ``now`` as for ``admit``."""
        before = self.bytes
        self.forget(transaction_ids)
        self._executed.append((now, before - self.bytes))
        self._executed_bytes += before - self.bytes
        self._executed_lately(now)

    def forget(self, transaction_ids: Iterable[bytes]) -> None:
        """Let go of transactions: found wrong, or nobody's any more."""
        for transaction_id in transaction_ids:
            waiting = self._waiting.pop(transaction_id, None)
            if waiting is None:
                continue
            size = len(waiting.transaction.raw)
            self.bytes -= size
            if waiting.stage is Stage.READY:
                self.ready_bytes -= size
            _count(self._payers, waiting.payer, -1)
            _count(self._banks, waiting.bank, -1)
        self._drop_stale()

    def expire(self, block_time_ms: int) -> Sequence[bytes]:
        """Let go of what no block from this time on may execute, and return the ids."""
        gone: list[bytes] = []
        while self._expiries and self._expiries[0][0] <= block_time_ms:
            _, transaction_id = heapq.heappop(self._expiries)
            if transaction_id in self._waiting:
                gone.append(transaction_id)
        self.expired += len(gone)
        self.forget(gone)
        return gone

    def _make_ready(self, transaction_id: bytes, before: Stage) -> None:
        waiting = self._waiting.get(transaction_id)
        if waiting is not None and waiting.stage is before:
            waiting.stage = Stage.READY
            (self._urgent if waiting.urgent else self._ready).append(transaction_id)
            self.ready_bytes += len(waiting.transaction.raw)

    def _drop_stale(self) -> None:
        """Keep the lists as short as what waits: they still name transactions that were let go of."""
        most = 2 * len(self._waiting) + STALE_MAX
        if len(self._expiries) > most:
            self._expiries = [pair for pair in self._expiries if pair[1] in self._waiting]
            heapq.heapify(self._expiries)
        if len(self._ready) > most:
            self._ready = self._still_ready(self._ready)
        if len(self._urgent) > most:
            self._urgent = self._still_ready(self._urgent)

    def _still_ready(self, queue: deque[bytes]) -> deque[bytes]:
        return deque(
            each for each in dict.fromkeys(queue) if each in self._waiting and self._waiting[each].stage is Stage.READY
        )

    def _refusal(self, size: int, payer: int, bank: int, privileged: bool, now: float) -> Full | Refused | None:
        share = 0 if privileged else RESERVED_SHARE
        if len(self._waiting) >= _part(self._transactions_max, share):
            return FULL
        if self.bytes + size > _part(self._bytes_max, share):
            return FULL
        if privileged:
            return None
        if self._queue_is_long(now):
            return FULL
        if self._payers.get(payer, 0) >= PAYER_TRANSACTIONS_MAX:
            return OVER_QUOTA
        if self._banks.get(bank, 0) >= self._transactions_max // BANK_SHARE:
            return OVER_QUOTA
        return None

    def _queue_is_long(self, now: float) -> bool:
        if self.bytes < QUEUE_BYTES_MIN or now - next(iter(self._waiting.values())).since < QUEUE_GRACE_SECONDS:
            return False
        return self.bytes > self._executed_lately(now)

    def _executed_lately(self, now: float) -> int:
        while self._executed and self._executed[0][0] <= now - QUEUE_SECONDS_MAX:
            self._executed_bytes -= self._executed.popleft()[1]
        return self._executed_bytes


def _part(whole: int, reserved_share: int) -> int:
    return whole - whole // reserved_share if reserved_share else whole


def _count(counts: dict[int, int], key: int, change: int) -> None:
    left = counts.get(key, 0) + change
    if left:
        counts[key] = left
    else:
        counts.pop(key, None)
