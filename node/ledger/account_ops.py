"""The operation `account`: open, set, keys, close; recovery.py has its other acts.

One rule: the bank decides what an account is, its owner alone decides who signs.
"""

from typing import Final, NamedTuple

from consensus.encoding import as_bytes, as_int, as_tuple
from node.ledger.account import (
    ACCOUNT_MAX,
    CATEGORY_MAX,
    CLOSED,
    COMMITMENT_BYTES,
    KIND_MAX,
    LIMITED_KINDS,
    RECOVERING,
    TIER_MAX,
    Account,
    Key,
    Kind,
    Profile,
    is_account_number,
    kinds_mask,
    participant_of,
)
from node.ledger.errors import Code, Refused
from node.ledger.holds import named_by_a_hold
from node.ledger.orders import BLOCKED, standing
from node.ledger.recovery import RecoveryOperation, as_signers, decode_recovery_operation
from node.ledger.state import State
from node.ledger.step import Step

ACCOUNT: Final = 4  # operation number
OPEN, SET, KEYS, CLOSE = 1, 2, 3, 8  # acts

_STAYS: Final = kinds_mask((Kind.CENTRAL_BANK, Kind.ENFORCER))  # kinds that are never closed


class OpenAccount(NamedTuple):
    """``by``, a bank or the central bank, opens ``number``."""

    by: int
    number: int
    kind: int
    tier: int
    category: int
    keys: tuple[Key, ...]
    threshold: int
    commitment: bytes

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class SetAccount(NamedTuple):
    """The account's bank ``by`` sets what it is."""

    by: int
    number: int
    tier: int
    category: int
    commitment: bytes

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class SetKeys(NamedTuple):
    """The owner replaces the keys."""

    number: int
    keys: tuple[Key, ...]
    threshold: int

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.number,)


class CloseAccount(NamedTuple):
    """``by``, the account's bank or the account itself, closes it for ever."""

    by: int
    number: int

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


AccountOperation = OpenAccount | SetAccount | SetKeys | RecoveryOperation | CloseAccount


def decode_account_operation(fields: tuple[object, ...]) -> AccountOperation:
    """Return the act. Raises Refused (KEYS, FIELD, MALFORMED) or DecodeError."""
    if not fields:
        raise Refused(Code.MALFORMED)
    match as_int(fields[0]):
        case 1:
            return _decode_open(as_tuple(fields, 9))
        case 2:
            return _decode_set(as_tuple(fields, 6))
        case 3:
            return _decode_keys(as_tuple(fields, 4))
        case 4 | 5 | 6 | 7:
            return decode_recovery_operation(fields)
        case 8:
            _, by, number = as_tuple(fields, 3)
            return CloseAccount(_as_number(by), _as_number(number))
        case _:
            raise Refused(Code.MALFORMED)


def _decode_open(fields: tuple[object, ...]) -> OpenAccount:
    _, by, number, kind, tier, category, keys, threshold, commitment = fields
    if not is_account_number(_as_number(number)):
        raise Refused(Code.FIELD)
    return OpenAccount(
        _as_number(by),
        _as_number(number),
        as_int(kind, 1, KIND_MAX),
        as_int(tier, 0, TIER_MAX),
        as_int(category, 0, CATEGORY_MAX),
        *as_signers(keys, threshold),
        as_bytes(commitment, COMMITMENT_BYTES),
    )


def _decode_set(fields: tuple[object, ...]) -> SetAccount:
    _, by, number, tier, category, commitment = fields
    return SetAccount(
        _as_number(by),
        _as_number(number),
        as_int(tier, 0, TIER_MAX),
        as_int(category, 0, CATEGORY_MAX),
        as_bytes(commitment, COMMITMENT_BYTES),
    )


def _decode_keys(fields: tuple[object, ...]) -> SetKeys:
    _, number, keys, threshold = fields
    return SetKeys(_as_number(number), *as_signers(keys, threshold))


def _as_number(value: object) -> int:
    return as_int(value, 0, ACCOUNT_MAX)


# --- applying ---


def apply_open(step: Step, operation: OpenAccount) -> None:
    """Open. A bank opens only under its own participant number."""
    state = step.state
    by = state.require_active(operation.by)
    if not state.parameters.may_open(by.kind, operation.kind):
        raise Refused(Code.ROLE)
    if by.kind != Kind.CENTRAL_BANK and participant_of(operation.number) != participant_of(by.number):
        raise Refused(Code.FIELD)
    _require_fields(state, operation.kind, operation.tier, operation.category)
    if state.account(operation.number) is not None:
        raise Refused(Code.EXISTS)
    profile = Profile(
        kind=operation.kind,
        tier=operation.tier,
        flags=0,
        bank=operation.by,
        category=operation.category,
        keys=operation.keys,
        threshold=operation.threshold,
        commitment=operation.commitment,
    )
    state.create(Account(operation.number, profile))


def apply_set(step: Step, operation: SetAccount) -> None:
    """Set tier, category and commitment."""
    state = step.state
    by = state.require_active(operation.by)
    account = state.require_open(operation.number)
    if operation.by != account.profile.bank and by.kind != Kind.CENTRAL_BANK:
        raise Refused(Code.ROLE)
    _require_fields(state, account.kind, operation.tier, operation.category)
    state.edit(account)
    account.profile = account.profile._replace(
        tier=operation.tier, category=operation.category, commitment=operation.commitment
    )


def apply_keys(step: Step, operation: SetKeys) -> None:
    """Replace the keys; a running recovery must be cancelled first."""
    account = step.state.require_open(operation.number)
    if account.flags & RECOVERING:
        raise Refused(Code.RECOVERING)
    step.state.edit(account)
    account.profile = account.profile._replace(keys=operation.keys, threshold=operation.threshold)


def apply_close(step: Step, operation: CloseAccount) -> None:
    """Close an empty account for which nobody has a claim. An enforcer stays: only it can lift its orders."""
    state = step.state
    state.require_active(operation.by)
    account = state.require_open(operation.number)
    if operation.by not in (account.number, account.profile.bank) or _STAYS >> account.profile.kind & 1:
        raise Refused(Code.ROLE)
    if account.flags & BLOCKED or next(standing(state.records, account.number), None) is not None:
        raise Refused(Code.UNDER_ORDER)
    if account.flags & RECOVERING:
        raise Refused(Code.RECOVERING)
    if account.holdings or _is_named_by_an_asset(state, account.number):
        raise Refused(Code.NOT_EMPTY)
    if named_by_a_hold(state.records, account.number):
        raise Refused(Code.OPEN_HOLD)
    state.edit(account)
    account.profile = account.profile._replace(flags=account.flags | CLOSED)


def _require_fields(state: State, kind: int, tier: int, category: int) -> None:
    if LIMITED_KINDS >> kind & 1 and state.parameters.tier(tier) is None:
        raise Refused(Code.FIELD)
    if (category > 0) != (kind == Kind.MERCHANT):
        raise Refused(Code.FIELD)


def _is_named_by_an_asset(state: State, number: int) -> bool:
    return number in state.backed_by or any(asset.issuer == number for asset in state.assets.values())
