"""Who may call what: the table of permissions, and the one place where a call is let in or refused.

One rule: what is not in the table is not served, and what is about somebody is told to its owner, to its bank, and to
who names the order that it acts on, which is logged. A payment needs no permission but its own signature.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from consensus.crypto import verify
from node.ledger.account import Account, decode_account, is_account_number
from node.ledger.asset import CHANGE
from node.ledger.attestations import ATTESTATION, CURRENT
from node.ledger.checkpoints import CHECKPOINT
from node.ledger.errors import Refused
from node.ledger.holds import HOLD, decode_hold
from node.ledger.recent import ONCE, SEEN
from node.ledger.recovery import RECOVERY
from node.ledger.state import ACCOUNT_PREFIX, ASSET_PREFIX, PARAMETER_PREFIX, account_key
from node.ledger.transaction import decode_transaction
from node.rpc import event_types, ledger_types, types
from node.rpc.auth import AUTH_MS_MAX, auth_statement, namespace_of
from node.rpc.errors import FORBIDDEN, UNAUTHORIZED, RpcError
from node.rpc.ports import Grant, Ports
from node.rpc.reading import consumed, transaction_at

_ROWS_ABOUT_NOBODY: Final = (ASSET_PREFIX, PARAMETER_PREFIX, ATTESTATION, CURRENT, CHANGE, SEEN, ONCE, CHECKPOINT)


class Scope(StrEnum):
    """What a method asks for, as ``x-scope`` of the OpenRPC document tells."""

    PUBLIC = "public"  # anybody
    SUBMIT = "submit"  # a token that meters; the transaction itself says who pays
    # The owner's signature, a token of its bank, one with `orders` and an order's number, or one with `index`
    PERSONAL = "personal"
    ORDERS = "orders"  # a token with `orders`, and an order's number
    AUDIT = "audit"  # a token with `audit` or `admin`, or the socket in the node's home
    ADMIN = "admin"  # a token with `admin`, or the socket in the node's home


# Namespace, or one method of it -> what it asks for.
PERMISSIONS: Final[dict[str, Scope]] = {
    "rpc": Scope.PUBLIC,
    "chain": Scope.PUBLIC,
    "tx_submit": Scope.SUBMIT,
    "tx_submitMany": Scope.SUBMIT,
    "tx_simulate": Scope.PERSONAL,  # an account's balance can be found by trying
    "tx_get": Scope.PERSONAL,  # with `transaction`; what became of one is public
    "tx_getByRef": Scope.PERSONAL,
    "tx_getProof": Scope.PUBLIC,  # a receipt names nobody
    "account": Scope.PERSONAL,
    "state": Scope.PERSONAL,  # rows about somebody; the others are public
    "supply": Scope.PUBLIC,
    "asset": Scope.PUBLIC,
    "hold": Scope.PERSONAL,
    "attestation": Scope.PUBLIC,
    "order": Scope.ORDERS,
    "order_getCounts": Scope.PUBLIC,
    "parameter": Scope.PUBLIC,
    "validator": Scope.PUBLIC,
    "evidence": Scope.PUBLIC,
    "net": Scope.PUBLIC,
    "sub": Scope.PERSONAL,  # the topic `account`; `executed` wants a token with `index`; the others are public
    "admin": Scope.ADMIN,
    "admin_getStatus": Scope.AUDIT,
    "admin_getAuditLog": Scope.AUDIT,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an address, what its token grants, and whether it came by the socket in the node's home."""

    address: str
    grant: Grant | None = None
    local: bool = False

    @property
    def name(self) -> str:
        """What the audit log calls it."""
        return "local" if self.local else self.address if self.grant is None else self.grant.name

    def has(self, *scopes: str) -> bool:
        """Return whether its token has one of these scopes."""
        return self.grant is not None and not self.grant.scopes.isdisjoint(scopes)


@dataclass(frozen=True, slots=True)
class Subjects:
    """The accounts that a call is about. Who may see ``accounts`` may see any of them, or must see ``all`` of them."""

    accounts: Sequence[int]
    all: bool = False


NOBODY: Final = None  # the call is about nobody: public


def scope_of(method: str) -> Scope:
    """Return what a method asks for. Raises KeyError for one that nobody has thought about."""
    return PERMISSIONS[method] if method in PERMISSIONS else PERMISSIONS[namespace_of(method)]


async def require(ports: Ports, caller: Caller, method: str, params: types.Params) -> None:
    """Raise RpcError (unauthorized, forbidden) unless ``caller`` may make this call. What must be logged is logged."""
    scope = scope_of(method)
    if scope in (Scope.ADMIN, Scope.AUDIT):
        await _require_admin(ports, caller, method, scope, params)
        return
    if ports.open_access or scope is Scope.PUBLIC:
        return
    if scope is Scope.SUBMIT:
        if not caller.local and not caller.has("submit"):
            raise _refusal(caller, "a token with the scope submit")
        return
    if isinstance(params, event_types.SubscribeParams) and params.topic == "executed":
        await _require_index(ports, caller, method, params)
        return
    subjects = Subjects(()) if scope is Scope.ORDERS else _subjects(ports, params)
    if subjects is NOBODY or (scope is Scope.PERSONAL and caller.has("index")):
        return
    under_order = getattr(params, "under_order", None)
    if caller.local or (caller.has("orders") and under_order is not None):
        named = ",".join(f"{number:016d}" for number in subjects.accounts)
        await ports.record(caller.name, method, {**_told(params), "accounts": named}, True)
        return
    if scope is Scope.PERSONAL and _sees(ports, caller, method, params, subjects):
        return
    raise _refusal(
        caller,
        "a token with the scope orders, and under_order"
        if scope is Scope.ORDERS or caller.has("orders")
        else "auth of the owner or its bank, or a token of its bank",
    )


# --- steps ---


async def _require_admin(ports: Ports, caller: Caller, method: str, scope: Scope, params: types.Params) -> None:
    allowed = caller.local or caller.has("admin", *(("audit",) if scope is Scope.AUDIT else ()))
    if allowed or caller.grant is not None:  # a stranger's tries are counted, not written down: the log is bounded
        await ports.record(caller.name, method, _told(params), allowed)
    if not allowed:
        raise _refusal(caller, f"a token with the scope {scope}, or the socket in the node's home")


def _told(params: types.Params) -> dict[str, str]:
    """Return what the audit log has of a call: the params that it has but ``auth``, of which a copy opens accounts."""
    given = {name: getattr(params, name) for name in params.__struct_fields__ if name != "auth"}
    return {name: str(value) for name, value in given.items() if value is not None}


async def _require_index(ports: Ports, caller: Caller, method: str, params: event_types.SubscribeParams) -> None:
    """Who takes the whole chain is written down each time that it begins, not for every block."""
    allowed = caller.local or caller.has("index")
    begins = str(params.from_height or params.from_cursor or "")
    if caller.local or caller.grant is not None:  # a stranger's tries are counted, not written down
        await ports.record(caller.name, method, {"topic": params.topic, "from": begins}, allowed)
    if not allowed:
        raise _refusal(caller, "a token with the scope index")


def _sees(ports: Ports, caller: Caller, method: str, params: types.Params, subjects: Subjects) -> bool:
    parties = []
    if caller.has("accounts") and caller.grant is not None and caller.grant.participant:
        parties.append(caller.grant.participant)
    auth = getattr(params, "auth", None)
    if auth is not None:
        parties.append(_proven(ports, namespace_of(method), auth))
    for party in parties:
        seen = [_is_of(ports, number, party) for number in subjects.accounts]
        if seen and (all(seen) if subjects.all else any(seen)):
            return True
    return False


def _proven(ports: Ports, namespace: str, auth: types.Auth) -> int:
    """Return the account whose key signed. Raises RpcError (unauthorized)."""
    number, now_ms = int(auth.account), ports.now_ms()
    if not now_ms < auth.expires_ms <= now_ms + AUTH_MS_MAX:
        raise RpcError(UNAUTHORIZED, path="auth.expires_ms", expected=f"within {AUTH_MS_MAX} ms of {now_ms}")
    account = _account(ports, number)
    key = bytes.fromhex(auth.key)
    statement = auth_statement(ports.network.genesis_hash, number, auth.expires_ms, namespace)
    known = account is not None and key in (public for public, _ in account.keys)
    if not known or not verify(key, statement, bytes.fromhex(auth.signature)):
        raise RpcError(UNAUTHORIZED, path="auth", expected="a signature by a key of the account")
    return number


def _is_of(ports: Ports, number: int, party: int) -> bool:
    """Return whether an account is the party's own, or was opened by it."""
    if number == party:
        return True
    account = _account(ports, number)
    return account is not None and account.bank == party


def _account(ports: Ports, number: int) -> Account | None:
    record = ports.store.get(account_key(number)) if is_account_number(number) else None
    return None if record is None else decode_account(number, record)


def _refusal(caller: Caller, expected: str) -> RpcError:
    return RpcError(UNAUTHORIZED if caller.grant is None else FORBIDDEN, expected=expected)


# --- whom a call is about ---


def _subjects(ports: Ports, params: types.Params) -> Subjects | None:
    of = _OF.get(type(params))
    if of is not None:
        return of(ports, params)
    account = getattr(params, "account", NOBODY)
    return NOBODY if account is None else Subjects((int(account),))


def _of_transaction(ports: Ports, params: types.GetTransactionParams) -> Subjects | None:
    stored = consumed(ports.store, bytes.fromhex(params.tx_id)) if params.transaction else None
    return NOBODY if stored is None else Subjects(transaction_at(ports, ports.store, stored).accounts)


def _of_simulation(ports: Ports, params: ledger_types.SimulateParams) -> Subjects | None:
    try:
        transaction = decode_transaction(bytes.fromhex(params.tx), ports.network.genesis_hash)
    except Refused:
        return NOBODY  # the method says why
    return Subjects(transaction.accounts, all=True)


def _of_hold(ports: Ports, params: ledger_types.GetHoldParams) -> Subjects:
    return _parties(ports, bytes.fromhex(params.id))


def _of_row(ports: Ports, params: ledger_types.GetStateProofParams) -> Subjects | None:
    key = bytes.fromhex(params.key)
    if key.startswith(_ROWS_ABOUT_NOBODY):
        return NOBODY
    if key.startswith(HOLD):
        return _parties(ports, key[len(HOLD) :])
    if key.startswith((ACCOUNT_PREFIX, RECOVERY)):
        return Subjects((int.from_bytes(key[1:9], "big"),))
    return Subjects(())  # orders, and whatever is new: with the scope orders only


def _parties(ports: Ports, name: bytes) -> Subjects:
    row = ports.store.get(HOLD + name)
    if row is None:
        return Subjects(())
    hold = decode_hold(row)
    return Subjects(tuple(number for number in (hold.payer, hold.by, hold.to) if number))


_OF: Final[dict[type[types.Params], Callable[[Ports, Any], Subjects | None]]] = {
    types.GetTransactionParams: _of_transaction,
    ledger_types.SimulateParams: _of_simulation,
    ledger_types.GetHoldParams: _of_hold,
    ledger_types.GetStateProofParams: _of_row,
}
