"""The operation `param`: the central bank sets a parameter or the validators; a new validator proves that it is ready.

One rule: what is set here judges from the next block on, so that all transactions of a block stand under the same
parameters. The roster is read by consensus between blocks; operations on it see what earlier ones left. And no change
is lost: each names the record that it is based on, and is refused if another one stands there.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from consensus.crypto import SIGNATURE_BYTES, verify
from consensus.encoding import DecodeError, as_bytes, as_int, as_str, as_tuple, encode
from node.ledger.account import ACCOUNT_MAX, Account, Kind
from node.ledger.checkpoints import Checkpoints
from node.ledger.errors import Code, Refused
from node.ledger.genesis import VALIDATORS_MAX, Genesis
from node.ledger.parameters import READERS, Parameters, Table, record_hash
from node.ledger.state import ROSTER, State
from node.ledger.step import Step
from node.ledger.validators import (
    Keys,
    Roster,
    Seat,
    all_keys,
    as_address,
    as_name,
    as_validator_keys,
    as_weight,
    encode_roster,
    keys_distinct,
    readiness_statement,
    require_ascending,
    roster_allowed,
)
from node.ledger.versions import may_follow

PARAM: Final = 8  # operation number
SET, READY = 1, 2  # acts
KEY_CHARS_MAX: Final = 64
VERSION: Final = "protocol_version"
HEIGHT_MAX: Final = 2**53 - 1
HASH_BYTES: Final = 32


class Listed(NamedTuple):
    """A validator as the central bank wants it: a row of the value of `validators`."""

    name: str
    weight: int
    address: str
    consensus_key: bytes
    node_key: bytes

    @property
    def keys(self) -> Keys:
        return Keys(self.consensus_key, self.node_key)


Value = int | Table | tuple[Listed, ...]


class SetParameter(NamedTuple):
    """The central bank ``by`` sets ``key``, a field of Parameters or "validators", in place of what it has seen."""

    by: int
    key: str
    based_on: bytes  # parameters.record_hash of what it replaces
    value: Value

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class ProveReady(NamedTuple):
    """Any account ``by`` carries the word of ``name``'s next consensus key: my node got ``root`` at ``height``."""

    by: int
    name: str
    height: int
    root: bytes
    signature: bytes  # over validators.readiness_statement

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


ParamOperation = SetParameter | ProveReady


def decode_param(fields: tuple[object, ...]) -> ParamOperation:
    """Return the act. Raises Refused (KEY, FIELD, MALFORMED) or DecodeError."""
    if not fields:
        raise Refused(Code.MALFORMED)
    match as_int(fields[0]):
        case 1:
            _, by, key, based_on, value = as_tuple(fields, 5)
            named, seen = as_str(key, KEY_CHARS_MAX), as_bytes(based_on, HASH_BYTES)
            return SetParameter(_as_number(by), named, seen, _as_value(named, value))
        case 2:
            _, by, name, height, root, signature = as_tuple(fields, 6)
            return ProveReady(
                _as_number(by),
                as_name(name),
                as_int(height, 0, HEIGHT_MAX),
                as_bytes(root, HASH_BYTES),
                as_bytes(signature, SIGNATURE_BYTES),
            )
        case _:
            raise Refused(Code.MALFORMED)


def _as_value(key: str, value: object) -> Value:
    read = _VALUES.get(key)
    if read is None:
        raise Refused(Code.KEY)
    try:
        return read(value)
    except DecodeError:
        raise Refused(Code.FIELD) from None


def _as_listed(value: object) -> tuple[Listed, ...]:
    rows: list[Listed] = []
    for row in as_tuple(value, most=VALIDATORS_MAX):
        name, weight, address, consensus_key, node_key = as_tuple(row, 5)
        keys = as_validator_keys(consensus_key, node_key)
        rows.append(Listed(as_name(name), as_weight(weight), as_address(address), *keys))
    require_ascending([row.name for row in rows])
    return tuple(rows)


def _as_number(value: object) -> int:
    return as_int(value, 0, ACCOUNT_MAX)


_VALUES: Final[Mapping[str, Callable[[object], Value]]] = {**READERS, ROSTER: _as_listed}


# --- applying ---


def apply_set_parameter(step: Step, operation: SetParameter) -> None:
    """Set a parameter from the next block on, or the roster at once."""
    state = step.state
    require_central_bank(state.require_active(operation.by))
    if operation.based_on != record_hash(_record(state, operation.key)):
        raise Refused(Code.STALE)
    if operation.key == ROSTER:
        state.roster = _listed_roster(state.roster, operation.value, step.genesis)  # type: ignore[arg-type]
    else:
        state.next_parameters = _changed_parameters(state.next_parameters, operation, step.rules.version)


def apply_prove_ready(step: Step, operation: ProveReady) -> None:
    """Seat the next keys, which from here on count in the committee."""
    step.state.require_active(operation.by)
    step.state.roster = ready_roster(step.state.roster, operation, step.checkpoints, step.genesis)


def ready_roster(roster: Roster, operation: ProveReady, checkpoints: Checkpoints, genesis: Genesis) -> Roster:
    """Return the roster after the proof. Raises Refused; the signature, the only dear check (60 us), comes last."""
    seat = next((seat for seat in roster if seat.name == operation.name), None)
    if seat is None or seat.next is None:
        raise Refused(Code.NOT_AWAITED)
    if checkpoints.root(operation.height) != operation.root:
        raise Refused(Code.CHECKPOINT)
    seated = tuple(each._replace(current=each.next, next=None) if each is seat else each for each in roster)
    if not roster_allowed(seated, genesis):
        raise Refused(Code.COMMITTEE)  # a heavy newcomer waits for others; the central bank may also weigh it anew
    statement = readiness_statement(genesis.hash, seat.name, seat.next.node_key, operation.height, operation.root)
    if not verify(seat.next.consensus_key, statement, operation.signature):
        raise Refused(Code.NOT_READY)
    return seated


def require_central_bank(account: Account) -> None:
    """Raise Refused(ROLE) unless it is the central bank's."""
    if account.kind != Kind.CENTRAL_BANK:
        raise Refused(Code.ROLE)


def _record(state: State, key: str) -> bytes:
    """Return the record that a change of ``key`` would replace now: as the operations before left it."""
    return encode_roster(state.roster) if key == ROSTER else encode(getattr(state.next_parameters, key))


def _listed_roster(roster: Roster, rows: tuple[Listed, ...], genesis: Genesis) -> Roster:
    """Return the roster of those listed. Who is listed with other keys than those that count waits with them."""
    current = {seat.name: seat.current for seat in roster}
    seats = tuple(_seat(row, current.get(row.name)) for row in rows)
    if not keys_distinct(all_keys(seats)):
        raise Refused(Code.KEYS)
    if not roster_allowed(seats, genesis) or not roster_allowed(_all_ready(seats), genesis):
        raise Refused(Code.COMMITTEE)
    return seats


def _seat(row: Listed, current: Keys | None) -> Seat:
    return Seat(row.name, row.weight, row.address, current, None if row.keys == current else row.keys)


def _all_ready(roster: Roster) -> Roster:
    return tuple(seat._replace(current=seat.next or seat.current, next=None) for seat in roster)


def _changed_parameters(parameters: Parameters, operation: SetParameter, version: int) -> Parameters:
    changed = parameters._replace(**{operation.key: operation.value})  # type: ignore[arg-type]  # READERS gave the type
    if operation.key == VERSION and not may_follow(version, changed.protocol_version):
        raise Refused(Code.FIELD)  # a slip of the hand would demand what nobody has written
    if any(changed.tier(tier.number) is None for tier in parameters.tiers):
        raise Refused(Code.FIELD)  # wallets of a tier that is gone could neither pay nor be paid
    return changed
