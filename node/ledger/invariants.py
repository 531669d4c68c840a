"""What must hold after every block, whatever came in (ledger design, section 7).

One rule: a violation raises and the node stops. Nothing is ever repaired here.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from node.ledger.account import RECOVERING, Account, decode_account
from node.ledger.asset import audit_register
from node.ledger.assets import Attested, OnLedger, reserve_needed
from node.ledger.attestations import attested_supply_of_block, audit_attestations
from node.ledger.errors import InvariantViolation
from node.ledger.genesis import Genesis
from node.ledger.holds import audit_holds, held_changes
from node.ledger.orders import BLOCKED, audit_orders, standing_flags
from node.ledger.parameters import encode_parameters
from node.ledger.recent import Reader
from node.ledger.recovery import find_recovering, find_recovery
from node.ledger.state import ACCOUNT_PREFIX, PARAMETER_PREFIX, ROSTER, Saved, State, parameter_key
from node.ledger.validators import Roster, all_keys, encode_roster, keys_distinct, roster_allowed

SLICE: Final = 64  # accounts between two yields, about 0.1 ms
_PROFILE: Final = 1  # places in Saved
_LENGTH: Final = 4
_HOLDINGS: Final = 6
_FREEZES: Final = "an account's flags are not those of its freezes"
_RECOVERY: Final = "an account is recovering without an open recovery, or the other way round"


def checking_block(
    genesis: Genesis, state: State, touched: Sequence[tuple[Saved | None, Account]], height: int, time_ms: int
) -> Iterator[None]:
    """Check the invariants over all that the open block touched, in slices. Raises InvariantViolation."""
    deltas: dict[int, int] = {}
    promised: dict[tuple[int, int], int] = {}  # (account, asset) -> change of held
    issuers = {asset.issuer: number for number, asset in state.assets.items()}
    entries = 0
    for done, (before, after) in enumerate(touched, 1):
        _require_sound(after, issuers)
        for asset, balance, held in after.holdings:
            deltas[asset] = deltas.get(asset, 0) + balance
            if held:
                promised[after.number, asset] = held
        entries += after.length
        if before is not None:
            if before[_PROFILE] is not after.profile:  # payments leave it alone
                _require_flags(state, after)
            for asset, balance, held in before[_HOLDINGS]:
                deltas[asset] = deltas.get(asset, 0) - balance
                if held:
                    promised[after.number, asset] = promised.get((after.number, asset), 0) - held
            entries -= before[_LENGTH]
        if done % SLICE == 0:
            yield
    for done, (promise, change) in enumerate(held_changes(state.records), 1):
        promised[promise] = promised.get(promise, 0) - change
        if done % SLICE == 0:
            yield
    for before, after in touched:
        if after.number in issuers:
            _require_supply(state, issuers[after.number], before, after, height, time_ms)
        if after.number in state.backed_by:
            _require_reserve(state, state.backed_by[after.number])
    _require(all(delta == 0 for delta in deltas.values()), "the deltas of an asset do not sum to 0")  # 1
    _require(not any(promised.values()), "what an account holds changed otherwise than its holds")  # 3
    _require(entries == len(state.entries), "a statement's length does not match its entries")
    if state.roster != state.finished_roster:
        _require_roster(genesis, state.roster)


def audit(genesis: Genesis, reader: Reader, state: State) -> dict[int, int]:
    """Check all stored accounts; return asset -> supply. Raises InvariantViolation."""
    totals = dict.fromkeys(sorted(state.assets), 0)
    supplies = dict.fromkeys(sorted(state.assets), 0)
    issuers = {asset.issuer: number for number, asset in state.assets.items()}
    promised = audit_holds(reader)
    audit_attestations(reader)
    audit_register(reader, state.assets)
    blocked, recovering = audit_orders(reader), set(find_recovering(reader))
    for account in _all_accounts(reader):
        _require_sound(account, issuers)
        _require(account.flags & BLOCKED == blocked.pop(account.number, 0), _FREEZES)  # 8
        _require(bool(account.flags & RECOVERING) == (account.number in recovering), _RECOVERY)  # 8
        recovering.discard(account.number)
        for asset, balance, held in account.holdings:
            _require(asset in totals, "an account holds an asset that does not exist")
            _require(held == promised.pop((account.number, asset), 0), "an account holds what no hold says")  # 3
            totals[asset] += balance
        issued = issuers.get(account.number)
        if issued is not None:
            supplies[issued] = -account.balance(issued)
    _require(not blocked and not recovering, "an order or a recovery is of no account")  # 8
    _require(not promised, "a hold is of no account")  # 3
    _require(all(total == 0 for total in totals.values()), "the balances of an asset do not sum to 0")  # 1
    _require_public(reader, state)
    _require_roster(genesis, state.finished_roster)
    for number, supply in supplies.items():
        _require(supply <= state.assets[number].max_supply, "supply above its maximum")  # 4
        _require_reserve(state, number)
    return supplies


def _all_accounts(reader: Reader) -> Iterator[Account]:
    for key, record in reader.scan(ACCOUNT_PREFIX, bytes((ACCOUNT_PREFIX[0] + 1,))):
        yield decode_account(int.from_bytes(key[1:], "big"), record)


def _require_sound(account: Account, issuers: dict[int, int]) -> None:
    issued = issuers.get(account.number)
    for asset, balance, held in account.holdings:
        if asset == issued:
            _require(balance <= 0 and held == 0, "an issuer's balance is above 0 or holds")  # 2
        else:
            _require(0 <= held <= balance, "a balance is below what it holds, or below 0")  # 2


def _require_flags(state: State, account: Account) -> None:
    _require(account.flags & BLOCKED == standing_flags(state.records, account.number), _FREEZES)  # 8
    recovery = find_recovery(state.records, account.number)
    _require(bool(account.flags & RECOVERING) == (recovery is not None and recovery.open), _RECOVERY)  # 8


def _require_supply(state: State, number: int, before: Saved | None, after: Account, height: int, time_ms: int) -> None:
    asset = state.assets[number]
    supply = -after.balance(number)
    supply_before = 0 if before is None else -sum(held[1] for held in before[_HOLDINGS] if held[0] == number)
    if supply <= supply_before:
        return
    _require(supply <= asset.max_supply, "supply rose above its maximum")  # 4
    if isinstance(asset.backing, Attested):
        backed = attested_supply_of_block(state.records, asset, height, time_ms)
        _require(backed is not None and supply <= backed, "supply rose above what is attested")  # 4
    _require_reserve(state, number)


def _require_reserve(state: State, number: int) -> None:
    asset = state.assets[number]
    if not isinstance(asset.backing, OnLedger):
        return
    reserve = state.account(asset.backing.reserve)
    kept = 0 if reserve is None else reserve.balance(asset.backing.asset)
    needed = reserve_needed(state.supply(number), asset, state.assets[asset.backing.asset])
    _require(kept >= needed, "a reserve is below the supply that it backs")  # 5


def _require_public(reader: Reader, state: State) -> None:
    rows = {**encode_parameters(state.parameters), ROSTER: encode_roster(state.finished_roster)}
    stored = dict(reader.scan(PARAMETER_PREFIX, bytes((PARAMETER_PREFIX[0] + 1,))))
    _require(stored == {parameter_key(name): row for name, row in rows.items()}, "a stored parameter is another one")


def _require_roster(genesis: Genesis, roster: Roster) -> None:
    _require(keys_distinct(all_keys(roster)), "two validators have the same key")  # 7
    _require(roster_allowed(roster, genesis), "the validators make no safe committee")  # 7


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise InvariantViolation(what)
