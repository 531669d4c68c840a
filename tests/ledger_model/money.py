"""The model's pay, hold and settle: docs/ledger.md section 3, line by line."""

from hashlib import sha256
from typing import Any

from tests.ledger_model.state import (
    CLOSED,
    IN,
    MERCHANT,
    MINUTE,
    NOTHING,
    OUT,
    RECOVERING,
    SOM,
    Account,
    Asset,
    Fails,
    Hold,
    State,
    h,
    u,
)


def pay(state: State, asset: int, payer: int, legs: Any, partial: bool, once: bool) -> list[tuple[int, int, int]]:
    """Pay, and return the skipped legs."""
    if asset not in state.tables["s"]:
        raise Fails(401)
    _require_payer(state.tables["a"][payer])
    skipped: list[tuple[int, int, int]] = []
    paid = 0
    first: bytes | None = None  # what paid the first duplicate ref
    for leg, (to, amount, ref) in enumerate(legs):
        try:
            _check_leg(state, asset, payer, to, amount, ref if once else None)
        except Fails as fails:
            if not partial:
                raise Fails(fails.code, leg, first=fails.first) from None
            skipped.append((state.operation, leg, fails.code))
            first = first or fails.first
            continue
        state.add(payer, asset, -amount)
        state.add(to, asset, amount)
        _count(state, asset, payer, amount)
        if once:
            _take_ref(state, payer, ref)
        state.entry(to, leg, asset, payer, amount, ref)
        paid += amount
    if paid == 0:
        raise Fails(306, skipped=tuple(skipped), first=first)
    state.first = state.first or first
    if len(legs) == 1:
        state.entry(payer, 0, asset, legs[0][0], -paid, legs[0][2])
    else:
        state.entry(payer, None, asset, None, -paid, None)
    return skipped


def _require_payer(payer: Account) -> None:
    if payer.flags & (OUT | CLOSED):
        raise Fails(205)
    if payer.flags & RECOVERING:
        raise Fails(207)


def _check_leg(state: State, number: int, payer: int, to: int, amount: int, once: bytes | None) -> None:
    asset: Asset = state.tables["s"][number]
    payee: Account | None = state.get("a", to)
    if payee is None:
        raise Fails(201)
    if to == payer:
        raise Fails(211)
    _require_receiver(state, asset, state.tables["a"][payer], to, payee)
    issuing = payer == asset.issuer
    if issuing and not asset.mint_to >> payee.kind & 1:
        raise Fails(405)
    if once is not None:
        taken = state.get("R", (payer, once))
        if taken is not None and taken[0] >= state.time // MINUTE:
            raise Fails(112, first=taken[1])
    if issuing:
        _check_issue(state, asset, state.supply(number) + amount)
    else:
        if state.available(payer, number) < amount:
            raise Fails(302)
        _check_floor(state, number, payer, amount)
        _check_limits(state, number, payer, amount)
    _check_room(state, number, to, amount)


def _require_receiver(state: State, asset: Asset, payer: Account, to: int, payee: Account) -> None:
    if payee.flags & (IN | CLOSED):
        raise Fails(206)
    if to == asset.issuer:
        if not asset.redeem_from >> payer.kind & 1:
            raise Fails(406)
    else:
        _require_registered(asset)


def _require_registered(asset: Asset) -> None:
    if asset.status == 2:
        raise Fails(402)
    if asset.status == 3:
        raise Fails(403)


def _check_issue(state: State, asset: Asset, supply: int) -> None:
    if supply > asset.maximum:
        raise Fails(407)
    match asset.backing:
        case (1, reserve, other):
            if supply * 10 ** state.tables["s"][other].scale > state.balance(reserve, other) * 10**asset.scale:
                raise Fails(408)
        case (2, schema, ratio, age):
            word = state.valid(schema, asset.code)
            if word is None or state.time - word.as_of > age:
                there = state.get("t", (schema, asset.code)) is not None
                raise Fails(614 if there and state.version >= 2 else 602)
            if supply * ratio > word.value * 10_000:
                raise Fails(408)


def _check_floor(state: State, number: int, payer: int, amount: int) -> None:
    """A reserve keeps what it backs."""
    for other, asset in state.tables["s"].items():
        if asset.backing[:1] == (1,) and asset.backing[1:] == (payer, number):
            left = (state.balance(payer, number) - amount) * 10**asset.scale
            if state.supply(other) * 10 ** state.tables["s"][number].scale > left:
                raise Fails(409)


def _check_limits(state: State, number: int, payer: int, amount: int) -> None:
    account: Account = state.tables["a"][payer]
    if number != SOM or not account.limited:
        return
    a_transaction, a_day, _ = state.tier(account)
    if state.spent.get(payer, 0) + amount > a_transaction:
        raise Fails(303)
    if (account.out if account.day == state.day else 0) + amount > a_day:
        raise Fails(304)


def _check_room(state: State, number: int, to: int, amount: int) -> None:
    account: Account = state.tables["a"][to]
    if number == SOM and account.limited and state.balance(to, SOM) + amount > state.tier(account)[2]:
        raise Fails(305)


def _count(state: State, number: int, payer: int, amount: int) -> None:
    """Count what a limited account paid or promised."""
    account: Account = state.tables["a"][payer]
    if number == SOM and account.limited:
        state.spent[payer] = state.spent.get(payer, 0) + amount
        state.change(payer, day=state.day, out=(account.out if account.day == state.day else 0) + amount)


def _take_ref(state: State, payer: int, ref: bytes) -> None:
    minute = (state.time + state.window(state.tables["a"][payer])) // MINUTE
    count, chain = state.get("o", minute) or (0, NOTHING)
    state.put("o", minute, (count + 1, h(b"som-once-1", chain, state.id, u(payer, 8), ref)))
    state.put("R", (payer, ref), (minute, state.id))
    state.put("Q", (minute, count), (payer, ref))


def hold(state: State, number: int, payer: int, legs: Any, to: int, until: int, condition: Any) -> None:
    """Hold, one for each leg."""
    asset: Asset | None = state.get("s", number)
    if asset is None:
        raise Fails(401)
    if payer == asset.issuer:
        raise Fails(503)
    _require_payer(state.tables["a"][payer])
    _require_registered(asset)
    _, _, not_before, schema, _, _ = condition
    if not (state.time < until <= state.time + state.parameters["hold_max_ms"] and not_before < until):
        raise Fails(504)
    if to:
        state.account(to)
    if to == payer:
        raise Fails(211)
    if schema and state.attesters(schema) is None:
        raise Fails(212)
    promised = 0
    for leg, (by, amount, ref) in enumerate(legs):
        promised += amount
        try:
            if by:
                state.account(by)
            if state.available(payer, number) < amount:
                raise Fails(302)
            _check_floor(state, number, payer, promised)
            _check_limits(state, number, payer, amount)
        except Fails as fails:
            raise Fails(fails.code, leg) from None
        _count(state, number, payer, amount)
        state.add(payer, number, held=amount)
        made = Hold(number, payer, by, to, amount, ref, until, state.height, condition, "")
        state.put("h", state.row_id(leg), made)


def settle(state: State, by: int, key: bytes, amount: int, to: int, secret: bytes, close: bool) -> None:
    """Pay from a hold, or void it."""
    held: Hold | None = state.get("h", key)
    if held is None:
        raise Fails(501)
    state.actor(by)
    if held.condition is None:
        raise Fails(511)
    if amount == 0:
        by_payer = by == held.payer and (held.condition[5] or state.time >= held.until)
        if by not in (held.by, held.to) and not by_payer:
            raise Fails(204)
        state.reduce(key, held.left)
        return
    payee = _check_payment(state, held, by, amount, to, secret)
    state.reduce(key, held.left if close else amount)
    state.add(held.payer, held.asset, -amount)
    state.add(payee, held.asset, amount)
    state.entry(held.payer, None, held.asset, payee, -amount, held.ref)
    state.entry(payee, None, held.asset, held.payer, amount, held.ref)


def _check_payment(state: State, held: Hold, by: int, amount: int, to: int, secret: bytes) -> int:
    """Return the payee."""
    assert held.condition is not None
    hashed, categories, not_before, schema, subject, _ = held.condition
    if held.by not in (0, by):
        raise Fails(204)
    if state.time >= held.until:
        raise Fails(505)
    if state.time < not_before:
        raise Fails(209)
    if (secret or hashed) and (not hashed or not secret or sha256(secret).digest() != hashed):
        raise Fails(507)
    if schema and state.valid(schema, subject) is None:
        raise Fails(510)
    if amount > held.left:
        raise Fails(506)
    if not (held.to or to) or (held.to and to and held.to != to):
        raise Fails(508)
    number = held.to or to
    payee: Account | None = state.get("a", number)
    if payee is None:
        raise Fails(201)
    payer: Account = state.tables["a"][held.payer]
    asset: Asset = state.tables["s"][held.asset]
    _require_payer(payer)
    if number == held.payer:
        raise Fails(211)
    if payee.flags & (IN | CLOSED):
        raise Fails(206)
    if categories and (payee.kind != MERCHANT or payee.category not in categories):
        raise Fails(509)
    _require_receiver(state, asset, payer, number, payee)
    _check_floor(state, held.asset, held.payer, amount)
    _check_room(state, held.asset, number, amount)
    return number
