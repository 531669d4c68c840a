"""The model's account, asset, attest, order and param: docs/ledger.md section 3, line by line."""

from typing import Any

from consensus.crypto import verify
from consensus.encoding import encode
from tests.ledger_model.state import (
    BANK,
    CENTRAL_BANK,
    CLOSED,
    DAY,
    ENFORCER,
    IN,
    ISSUER,
    LIMITED,
    MERCHANT,
    OUT,
    RECOVERING,
    REGISTRAR,
    RESERVE,
    SOM,
    Account,
    Asset,
    Attestation,
    Fails,
    Hold,
    Order,
    Recovery,
    State,
    h,
)

FREEZE, UNFREEZE, ARREST, RELEASE, SEIZE = 1, 2, 3, 4, 5
ASSETS_MAX = 1_000
LOOKED_AT = 4_096  # holds of a seizure's target
AGAIN_AFTER = 30 * DAY  # a recovery that the owner cancelled


def _central_bank_listed(state: State) -> bool:
    accounts = [state.tables["a"][number] for number in state.listed]
    return any(account.kind == CENTRAL_BANK and not account.flags & CLOSED for account in accounts)


# --- account ---


def _require_fields(state: State, kind: int, tier: int, category: int) -> None:
    if kind in LIMITED and all(row[0] != tier for row in state.parameters["tiers"]):
        raise Fails(212)
    if (kind == MERCHANT) != (category > 0):
        raise Fails(212)


def open_account(
    state: State, by: int, number: int, kind: int, tier: int, category: int, keys: Any, threshold: int, words: bytes
) -> None:
    opener = state.actor(by)
    if not state.may_open(opener, kind):
        raise Fails(204)
    if opener.kind != CENTRAL_BANK and number // 10**12 != by // 10**12:
        raise Fails(212)
    _require_fields(state, kind, tier, category)
    if number in state.tables["a"]:
        raise Fails(202)
    state.put("a", number, Account(kind, tier, 0, by, category, keys, threshold, words))


def set_account(state: State, by: int, number: int, tier: int, category: int, words: bytes) -> None:
    actor, account = state.actor(by), state.account(number)
    if by != account.bank and actor.kind != CENTRAL_BANK:
        raise Fails(204)
    _require_fields(state, account.kind, tier, category)
    state.change(number, tier=tier, category=category, commitment=words)


def set_keys(state: State, number: int, keys: Any, threshold: int) -> None:
    if state.account(number).flags & RECOVERING:
        raise Fails(207)
    state.change(number, keys=keys, threshold=threshold)


def close(state: State, by: int, number: int) -> None:
    state.actor(by)
    account = state.account(number)
    if by not in (number, account.bank) or account.kind in (CENTRAL_BANK, ENFORCER):
        raise Fails(204)
    if account.flags & (OUT | IN) or state.standing(number):
        raise Fails(511)
    if account.flags & RECOVERING:
        raise Fails(207)
    assets = state.tables["s"].values()
    named = any(asset.issuer == number or asset.backing[:2] == (1, number) for asset in assets)
    if named or any(owner == number for owner, _ in state.tables["m"]):
        raise Fails(210)
    if any(number in (hold.by, hold.to) for hold in state.tables["h"].values()):
        raise Fails(502)
    state.change(number, flags=account.flags | CLOSED)


def recover(state: State, by: int, number: int, keys: Any, threshold: int) -> None:
    _require_bank(state, by, number)
    recovery: Recovery | None = state.get("y", number)
    if recovery is not None:
        if not recovery.cancelled:
            raise Fails(208)
        if state.time < recovery.cancelled + AGAIN_AFTER and not _central_bank_listed(state):
            raise Fails(603)
    ready = state.time + state.parameters["recovery_delay_ms"]
    state.put("y", number, Recovery(keys, threshold, ready, 0))
    state.change(number, flags=state.account(number).flags | RECOVERING)


def recovered(state: State, by: int, number: int) -> None:
    account = _require_bank(state, by, number)
    recovery = _open_recovery(state, number)
    if state.time < recovery.ready:
        raise Fails(209)
    state.put("y", number, None)
    flags = account.flags & ~RECOVERING
    state.change(number, flags=flags, keys=recovery.keys, threshold=recovery.threshold)


def cancel(state: State, number: int) -> None:
    account = state.account(number)
    _open_recovery(state, number)
    state.put("y", number, Recovery((), 0, 0, state.time))
    state.change(number, flags=account.flags & ~RECOVERING)


def move(state: State, number: int, bank: int) -> None:
    account = state.account(number)
    new: Account = state.tables["a"][bank]
    if new.kind != BANK or new.flags & CLOSED or not state.may_open(new, account.kind):
        raise Fails(204)
    if account.kind not in LIMITED or account.bank == bank:
        raise Fails(212)
    if account.flags & RECOVERING:
        raise Fails(207)
    if account.flags & (OUT | IN):
        raise Fails(511)
    state.change(number, bank=bank)


def _require_bank(state: State, by: int, number: int) -> Account:
    actor, account = state.actor(by), state.account(number)
    bank: Account | None = state.get("a", account.bank)
    gone = bank is None or bank.flags & CLOSED
    if by != account.bank and not (gone and actor.kind == CENTRAL_BANK):
        raise Fails(204)
    return account


def _open_recovery(state: State, number: int) -> Recovery:
    recovery: Recovery | None = state.get("y", number)
    if recovery is None or recovery.cancelled:
        raise Fails(213)
    return recovery


# --- asset ---


def register(state: State, by: int, number: int, *fields: Any) -> None:
    code, scale, issuer, maximum, backing, mint_to, redeem_from, basis = fields
    if state.actor(by).kind != (CENTRAL_BANK if number == SOM else REGISTRAR):
        raise Fails(204)
    assets: dict[int, Asset] = state.tables["s"]
    if number in assets or any(asset.code == code for asset in assets.values()):
        raise Fails(411)
    if len(assets) >= ASSETS_MAX:
        raise Fails(212)
    if state.account(issuer).kind != ISSUER:
        raise Fails(212)
    if any(asset.issuer == issuer for asset in assets.values()):
        raise Fails(410)
    if any(owner == issuer for owner, _ in state.tables["m"]):
        raise Fails(212)
    match backing:
        case (1, reserve, other):
            if other not in assets:
                raise Fails(401)
            if state.account(reserve).kind != RESERVE:
                raise Fails(212)
            if any(asset.backing[:2] == (1, reserve) for asset in assets.values()):
                raise Fails(412)
        case (2, schema, _, _):
            if state.attesters(schema) is None:
                raise Fails(212)
    state.put("s", number, Asset(code, scale, issuer, 1, maximum, backing, mint_to, redeem_from, basis))
    _note_status(state, by, number, 1, basis)


def set_status(state: State, by: int, number: int, status: int, basis: bytes) -> None:
    asset: Asset | None = state.get("s", number)
    if asset is None:
        raise Fails(401)
    if state.actor(by).kind != (CENTRAL_BANK if number == SOM else REGISTRAR):
        raise Fails(204)
    if (asset.status, status) not in ((1, 2), (2, 1), (1, 3), (2, 3)):
        raise Fails(404)
    state.put("s", number, asset._replace(status=status))
    _note_status(state, by, number, status, basis)


def _note_status(state: State, by: int, number: int, status: int, basis: bytes) -> None:
    count = sum(1 for asset, _ in state.tables["k"] if asset == number)
    state.put("k", (number, count), (status, by, basis, state.time, state.height, state.id))


# --- attest ---


def attest(state: State, by: int, schema: str, subject: str, *fields: Any) -> None:
    value, as_of, until, evidence, revokes = fields
    _require_attester(state, by, schema)
    current: bytes = state.get("t", (schema, subject)) or b""
    if revokes != current:
        raise Fails(602)
    if as_of > state.time or (until and not (until > state.time and until > as_of)):
        raise Fails(601)
    if current:
        old: Attestation = state.tables["e"][current]
        if as_of < old.as_of:
            raise Fails(601)
        state.put("e", current, old._replace(revoked=state.time, revoked_by=by))
    key = state.row_id(0)
    words = Attestation(
        schema, subject, value, as_of, until, evidence, by, state.time, state.height, state.id, 0, 0
    )  # fmt: skip
    state.put("e", key, words)
    state.put("t", (schema, subject), key)


def revoke(state: State, by: int, key: bytes) -> None:
    state.actor(by)
    word: Attestation | None = state.get("e", key)
    if word is None:
        raise Fails(602)
    if by not in (state.attesters(word.schema) or ()):
        raise Fails(204)
    if state.get("t", (word.schema, word.subject)) != key:
        raise Fails(602)
    state.put("t", (word.schema, word.subject), None)
    state.put("e", key, word._replace(revoked=state.time, revoked_by=by))


def _require_attester(state: State, by: int, schema: str) -> None:
    state.actor(by)
    attesters = state.attesters(schema)
    if attesters is None:
        raise Fails(601)
    if by not in attesters:
        raise Fails(204)


# --- order ---


def freeze(state: State, by: int, number: str, target: int, basis: bytes, incoming: bool) -> None:
    _require_order(state, FREEZE, by, number, target)
    _note_order(state, by, number, FREEZE, target, basis, incoming=incoming)
    _set_flags(state, target)


def unfreeze(state: State, by: int, number: str, basis: bytes) -> None:
    order = _standing(state, UNFREEZE, FREEZE, by, number)
    state.put("r", (by, number), order._replace(lifted=state.time, lifting=basis))
    _set_flags(state, order.target)


def arrest(state: State, by: int, number: str, target: int, basis: bytes, asset: int, amount: int) -> None:
    _require_order(state, ARREST, by, number, target)
    if asset not in state.tables["s"]:
        raise Fails(401)
    if state.available(target, asset) < amount:
        raise Fails(302)
    key = state.row_id(0)
    state.put("h", key, Hold(asset, target, by, 0, amount, b"", 0, state.height, None, number))
    state.add(target, asset, held=amount)
    _note_order(state, by, number, ARREST, target, basis, asset, amount, hold=key)


def release(state: State, by: int, number: str, basis: bytes) -> None:
    order = _standing(state, RELEASE, ARREST, by, number)
    held: Hold | None = state.get("h", order.hold)
    if held is not None:
        state.reduce(order.hold, held.left)
    state.put("r", (by, number), order._replace(lifted=state.time, lifting=basis))


def seize(state: State, by: int, number: str, target: int, basis: bytes, asset: int, amount: int, to: int) -> None:
    _require_order(state, SEIZE, by, number, target)
    if asset not in state.tables["s"]:
        raise Fails(401)
    payee = state.account(to)
    if to == target:
        raise Fails(211)
    if to == state.tables["s"][asset].issuer or payee.limited:
        raise Fails(212)
    if state.balance(target, asset) < amount:
        raise Fails(302)
    missing = amount - state.available(target, asset)
    holds = state.holds_of(target, asset)
    own = [pair for pair in holds[:LOOKED_AT] if pair[1].condition is not None]
    arrests = [pair for pair in holds if pair[1].condition is None]
    if len(holds) > LOOKED_AT and missing > sum(held.left for _, held in own):
        raise Fails(502)
    for key, held in own + arrests:
        if missing > 0:
            state.reduce(key, min(held.left, missing))
            missing -= held.left
    state.add(target, asset, -amount)
    state.add(to, asset, amount)
    state.entry(target, None, asset, to, -amount, number.encode())
    state.entry(to, None, asset, target, amount, number.encode())
    _note_order(state, by, number, SEIZE, target, basis, asset, amount, to)


def _require_authority(state: State, act: int, by: int) -> None:
    if state.actor(by).kind != ENFORCER:
        raise Fails(204)
    if act != FREEZE and not _central_bank_listed(state):
        raise Fails(603)


def _require_order(state: State, act: int, by: int, number: str, target: int) -> None:
    """Check what a new order needs."""
    _require_authority(state, act, by)
    if (by, number) in state.tables["r"]:
        raise Fails(613)
    if state.account(target).kind in (CENTRAL_BANK, ISSUER, RESERVE):
        raise Fails(606)


def _standing(state: State, act: int, lifted: int, by: int, number: str) -> Order:
    """Return the order that an act lifts."""
    _require_authority(state, act, by)
    order: Order | None = state.get("r", (by, number))
    if order is None or order.act != lifted or order.lifted:
        raise Fails(605)
    return order


def _note_order(
    state: State, by: int, number: str, act: int, target: int, basis: bytes,
    asset: int = 0, amount: int = 0, to: int = 0, incoming: bool = False, hold: bytes = b"",
) -> None:  # fmt: skip
    place = (state.time, state.height, state.id)
    order = Order(act, target, basis, asset, amount, to, incoming, hold, *place, 0, b"")
    state.put("r", (by, number), order)


def _set_flags(state: State, target: int) -> None:
    freezes = [order for order in state.standing(target) if order.act == FREEZE]
    blocked = (OUT if freezes else 0) | (IN if any(order.incoming for order in freezes) else 0)
    state.change(target, flags=state.tables["a"][target].flags & ~(OUT | IN) | blocked)


# --- param ---


def set_parameter(state: State, by: int, key: str, based_on: bytes, value: Any) -> None:
    if state.actor(by).kind != CENTRAL_BANK:
        raise Fails(204)
    if based_on != present(state, key):
        raise Fails(612)
    if key == "validators":
        value = _seats(state, value)
    if key == "tiers" and {row[0] for row in state.get("p", key)} - {row[0] for row in value}:
        raise Fails(212)
    if key == "protocol_version" and value not in (state.version, state.version + 1):
        raise Fails(212)
    state.put("p", key, value)


def present(state: State, key: str) -> bytes:
    """Return what a change of a parameter names as that which it replaces."""
    return h(b"som-parameter-1", encode(state.get("p", key)))


def _seats(state: State, rows: Any) -> Any:
    """Return the roster: (name, weight, address, current, next) of each."""
    current = {seat[0]: seat[3] for seat in state.get("p", "validators")}
    seats = []
    for name, weight, address, *keys in rows:
        old = current.get(name)
        seats.append((name, weight, address, old, None if old == tuple(keys) else tuple(keys)))
    used = [key for seat in seats for pair in seat[3:] if pair for key in pair]
    if len(used) > len(set(used)):
        raise Fails(203)
    _require_committee(state, [seat[1] for seat in seats if seat[3]])
    _require_committee(state, [seat[1] for seat in seats])
    return tuple(seats)


def _require_committee(state: State, weights: list[int]) -> None:
    faulty = (sum(weights) - 1) // 3
    if not 1 <= len(weights) <= 31 or (faulty > 0 and not state.devnet and max(weights) > faulty):
        raise Fails(608)


def prove_ready(state: State, by: int, name: str, height: int, root: bytes, signature: bytes) -> None:
    state.actor(by)
    seats = state.get("p", "validators")
    seat = next((seat for seat in seats if seat[0] == name), None)
    if seat is None or seat[4] is None:
        raise Fails(609)
    if state.get("c", height) != root:
        raise Fails(610)
    after = tuple((*one[:3], one[4], None) if one is seat else one for one in seats)
    _require_committee(state, [one[1] for one in after if one[3]])
    said = h(b"som-ready-1", state.genesis_hash, encode((name, seat[4][1], height, root)))
    if not verify(seat[4][0], said, signature):
        raise Fails(611)
    state.put("p", "validators", after)
