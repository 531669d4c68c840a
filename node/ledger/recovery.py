"""Acts of the operation `account` for an owner who lost the keys, or leaves the bank: recover, recovered, cancel, move.

One rule: the bank may give an account new keys, but only after a delay in which the old keys can stop it. Meanwhile
money comes in and none goes out.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from consensus.encoding import DecodeError, as_int, as_tuple, decode, encode
from node.ledger.account import (
    ACCOUNT_MAX,
    CLOSED,
    KEYS_MAX,
    RECOVERING,
    WEIGHT_MAX,
    Account,
    Key,
    Kind,
    as_keys,
    keys_allowed,
)
from node.ledger.errors import Code, Refused
from node.ledger.orders import BLOCKED
from node.ledger.parameters import DAY_MS
from node.ledger.recent import Reader
from node.ledger.records import after
from node.ledger.state import State
from node.ledger.step import Step

RECOVERY: Final = b"y"  # account -> its recovery, open or cancelled                        in the tree

RECOVER, RECOVERED, CANCEL, MOVE = 4, 5, 6, 7  # acts
CANCELLED_MS: Final = 30 * DAY_MS  # so long after a cancelled recovery another one needs a second approval


class Recovery(NamedTuple):
    """An open one (``cancelled_ms`` 0) has the keys to come; a cancelled one only says when."""

    keys: tuple[Key, ...]
    threshold: int
    ready_ms: int  # block time from which it can be finished
    cancelled_ms: int = 0

    @property
    def open(self) -> bool:
        """Whether it waits to be finished or cancelled."""
        return not self.cancelled_ms


class RecoverAccount(NamedTuple):
    """The account's bank ``by`` says that the owner lost the keys; ``keys`` are the new ones."""

    by: int
    number: int
    keys: tuple[Key, ...]
    threshold: int

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class FinishRecovery(NamedTuple):
    """The account's bank ``by`` puts the new keys in force."""

    by: int
    number: int

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class CancelRecovery(NamedTuple):
    """The owner, by the keys that were said to be lost, stops the recovery."""

    number: int

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.number,)


class MoveAccount(NamedTuple):
    """The owner and the new ``bank`` agree that it keeps the account from now on."""

    number: int
    bank: int

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.number, self.bank)


RecoveryOperation = RecoverAccount | FinishRecovery | CancelRecovery | MoveAccount


def decode_recovery_operation(fields: tuple[object, ...]) -> RecoveryOperation:
    """Return the act. Raises Refused (KEYS, MALFORMED) or DecodeError."""
    match as_int(fields[0]):
        case 4:
            _, by, number, keys, threshold = as_tuple(fields, 5)
            return RecoverAccount(_as_number(by), _as_number(number), *as_signers(keys, threshold))
        case 5:
            _, by, number = as_tuple(fields, 3)
            return FinishRecovery(_as_number(by), _as_number(number))
        case 6:
            _, number = as_tuple(fields, 2)
            return CancelRecovery(_as_number(number))
        case 7:
            _, number, bank = as_tuple(fields, 3)
            return MoveAccount(_as_number(number), _as_number(bank))
        case _:
            raise Refused(Code.MALFORMED)


def as_signers(keys: object, threshold: object) -> tuple[tuple[Key, ...], int]:
    """Return keys that reach their threshold. Raises Refused(KEYS) or DecodeError."""
    signers = as_keys(keys), as_int(threshold, 0, KEYS_MAX * WEIGHT_MAX)
    if not keys_allowed(*signers):
        raise Refused(Code.KEYS)
    return signers


def _as_number(value: object) -> int:
    return as_int(value, 0, ACCOUNT_MAX)


# --- applying ---


def apply_recover(step: Step, operation: RecoverAccount) -> None:
    """Stop what goes out, and let the delay begin."""
    state = step.state
    account = _require_keeper(state, operation.by, operation.number)
    last = find_recovery(state.records, account.number)
    if last is not None:
        if last.open:
            raise Refused(Code.PENDING)
        if step.time_ms < last.cancelled_ms + CANCELLED_MS and not step.central_bank_signed():
            raise Refused(Code.SECOND_APPROVAL)
    ready_ms = step.time_ms + state.parameters.recovery_delay_ms
    _write(state, account, Recovery(operation.keys, operation.threshold, ready_ms))
    account.profile = account.profile._replace(flags=account.flags | RECOVERING)


def apply_finish_recovery(step: Step, operation: FinishRecovery) -> None:
    """Put the new keys in force."""
    account = _require_keeper(step.state, operation.by, operation.number)
    recovery = _require_recovery(step.state, account)
    if step.time_ms < recovery.ready_ms:
        raise Refused(Code.TOO_EARLY)
    _write(step.state, account, None)
    account.profile = account.profile._replace(
        keys=recovery.keys, threshold=recovery.threshold, flags=account.flags & ~RECOVERING
    )


def apply_cancel_recovery(step: Step, operation: CancelRecovery) -> None:
    """Keep the old keys, and remember that the owner objected."""
    account = step.state.require_open(operation.number)
    _require_recovery(step.state, account)
    _write(step.state, account, Recovery((), 0, 0, step.time_ms))
    account.profile = account.profile._replace(flags=account.flags & ~RECOVERING)


def apply_move(step: Step, operation: MoveAccount) -> None:
    """Give the account to another bank; its number stays."""
    state = step.state
    account = state.require_open(operation.number)
    bank = state.require_active(operation.bank)
    if bank.kind != Kind.BANK or not state.parameters.may_open(bank.kind, account.kind):
        raise Refused(Code.ROLE)
    if not account.limited or account.bank == bank.number:
        raise Refused(Code.FIELD)
    if account.flags & RECOVERING:
        raise Refused(Code.RECOVERING)
    if account.flags & BLOCKED:
        raise Refused(Code.UNDER_ORDER)
    state.edit(account)
    account.profile = account.profile._replace(bank=bank.number)


def _require_keeper(state: State, by: int, number: int) -> Account:
    """Return the account if ``by`` is its bank; the central bank stands in for one that is closed or never was."""
    actor, account = state.require_active(by), state.require_open(number)
    if by == account.bank:
        return account
    bank = state.account(account.bank)
    if actor.kind != Kind.CENTRAL_BANK or not (bank is None or bank.flags & CLOSED):
        raise Refused(Code.ROLE)
    return account


def _require_recovery(state: State, account: Account) -> Recovery:
    recovery = find_recovery(state.records, account.number)
    if recovery is None or not recovery.open:
        raise Refused(Code.NO_RECOVERY)
    return recovery


# --- rows ---


def recovery_key(number: int) -> bytes:
    """Return the key of an account's recovery."""
    return RECOVERY + number.to_bytes(8, "big")


def find_recovery(rows: Reader, number: int) -> Recovery | None:
    """Return the account's recovery, open or cancelled."""
    row = rows.get(recovery_key(number))
    return None if row is None else decode_recovery(row)


def find_recovering(rows: Reader) -> Iterator[int]:
    """Yield the accounts with an open recovery, ascending."""
    for key, row in rows.scan(RECOVERY, after(RECOVERY)):
        if decode_recovery(row).open:
            yield int.from_bytes(key[1:], "big")


def _write(state: State, account: Account, recovery: Recovery | None) -> None:
    state.edit(account)
    state.records.put(recovery_key(account.number), None if recovery is None else encode_recovery(recovery))


def encode_recovery(recovery: Recovery) -> bytes:
    """Return the row: the fields in order."""
    return encode(recovery)


def decode_recovery(row: bytes) -> Recovery:
    """Return the recovery of a row that may come from a stranger. Raises DecodeError."""
    keys, threshold, ready_ms, cancelled_ms = as_tuple(decode(row), 4)
    recovery = Recovery(
        as_keys(keys), as_int(threshold, 0, KEYS_MAX * WEIGHT_MAX), as_int(ready_ms), as_int(cancelled_ms)
    )
    if bool(recovery.keys) == bool(recovery.cancelled_ms):
        raise DecodeError("a recovery is open with keys or cancelled without")
    return recovery
