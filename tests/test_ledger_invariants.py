"""A ledger that broke its own rules stops: each invariant, broken on purpose."""

from collections.abc import Callable

import pytest

from consensus.encoding import encode
from node.ledger.account import SOM
from node.ledger.errors import InvariantViolation
from node.ledger.operations import APPLY
from node.ledger.pay import Pay
from node.ledger.state import parameter_key
from node.ledger.step import Step
from tests.ledger_world import (
    ALICE,
    BANK,
    BOB,
    GOLD,
    GOLD_ISSUER,
    ISSUER,
    KGST,
    KGST_ISSUER,
    KGST_RESERVE,
    Override,
    World,
)


def set_money(step: Step, number: int, asset: int, change: int, held: int = 0) -> None:
    account = step.state.require_account(number)
    step.state.edit(account)
    balance, held_before = account.holding(asset)
    account.set_holding(asset, balance + change, held_before + held)


def move(step: Step, payer: int, payee: int, asset: int, amount: int) -> None:
    set_money(step, payer, asset, -amount)
    set_money(step, payee, asset, amount)


def forget_an_entry(step: Step) -> None:
    step.state.edit(step.state.require_account(ALICE))
    step.state.require_account(ALICE).length += 1


def seat_nobody(step: Step) -> None:
    step.state.roster = tuple(seat._replace(current=None, next=seat.current) for seat in step.state.roster)


def seat_one_twice(step: Step) -> None:
    first, second, *others = step.state.roster
    step.state.roster = (first, second._replace(next=first.current), *others)


BUGS: dict[str, Callable[[Step], None]] = {
    "do not sum to 0": lambda step: set_money(step, ALICE, SOM, 1),
    "below 0": lambda step: move(step, ALICE, BOB, SOM, 10**6),
    "issuer's balance": lambda step: move(step, ISSUER, BANK, SOM, -(10**6)),
    "otherwise than its holds": lambda step: set_money(step, ALICE, SOM, 0, held=1),
    "rose above its maximum": lambda step: move(step, ISSUER, BANK, SOM, 10**15),
    "above what is attested": lambda step: move(step, GOLD_ISSUER, BANK, GOLD, 1),
    "below the supply": lambda step: move(step, KGST_RESERVE, BANK, SOM, 1),
    "a reserve is below": lambda step: move(step, KGST_ISSUER, BANK, KGST, 1),
    "does not match its entries": forget_an_entry,
    "no safe committee": seat_nobody,
    "the same key": seat_one_twice,
}


def start() -> World:
    return World(
        {
            ISSUER: Override(holdings=((SOM, -1_000, 0),)),
            ALICE: Override(holdings=((SOM, 100, 0),)),
            BANK: Override(holdings=((SOM, 850, 0), (KGST, 50, 0))),
            KGST_RESERVE: Override(holdings=((SOM, 50, 0),)),
            KGST_ISSUER: Override(holdings=((KGST, -50, 0),)),
        }
    )


@pytest.mark.parametrize("what", BUGS)
def test_a_broken_rule_stops_the_node(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = start()
    monkeypatch.setitem(APPLY, Pay, lambda step, _: BUGS[what](step))
    with pytest.raises(InvariantViolation, match=what):
        world.pay(BANK, ALICE, 1)


def test_a_sound_world_passes_the_audit() -> None:
    assert start().ledger.audit() == {1: 1_000, 2: 50, 3: 0, 4: 0, 5: 0, 6: 0}


@pytest.mark.parametrize(
    "overrides",
    [
        {ALICE: Override(holdings=((SOM, 1, 0),))},
        {ALICE: Override(holdings=((SOM, 5, 5),)), ISSUER: Override(holdings=((SOM, -5, 0),))},
        {ALICE: Override(holdings=((SOM, 5, 6),)), ISSUER: Override(holdings=((SOM, -5, 0),))},
        {ALICE: Override(holdings=((SOM, -5, 0),)), BOB: Override(holdings=((SOM, 5, 0),))},
        {ALICE: Override(holdings=((77, 5, 0),))},
        {ALICE: Override(holdings=((SOM, 10**15 + 1, 0),)), ISSUER: Override(holdings=((SOM, -(10**15) - 1, 0),))},
        {ALICE: Override(holdings=((KGST, 5, 0),)), KGST_ISSUER: Override(holdings=((KGST, -5, 0),))},
    ],
)
def test_an_audit_finds_what_is_wrong_in_the_whole_state(overrides: dict[int, Override]) -> None:
    world = World(overrides)
    with pytest.raises(InvariantViolation):
        world.ledger.audit()


@pytest.mark.parametrize("key", ["window_person_ms", "validators", "unknown"])
def test_an_audit_finds_a_stored_parameter_that_is_not_the_one_in_force(key: str) -> None:
    world = start()
    world.reader.rows[parameter_key(key)] = encode(())
    with pytest.raises(InvariantViolation, match="a stored parameter"):
        world.ledger.audit()
