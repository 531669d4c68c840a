"""Operations in words: every one has a form that clients can read, and nothing that it says is left out."""

from typing import Any, Final

import msgspec
import pytest

from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount, SetKeys
from node.ledger.asset import RegisterAsset, SetAssetStatus
from node.ledger.assets import Attested, OnLedger
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition
from node.ledger.operations import APPLY, Operation
from node.ledger.order import Arrest, Freeze, Release, Seize, Unfreeze
from node.ledger.param import ProveReady, SetParameter
from node.ledger.pay import Pay
from node.ledger.recovery import CancelRecovery, FinishRecovery, MoveAccount, RecoverAccount
from node.ledger.settle import SettleHold
from node.rpc.operation_types import OperationView
from node.rpc.operation_views import operation_view
from tests.ledger_world import ALICE, BANK, BOB, CENTRAL, OTHER_BANK, SPARE_ISSUER, SPARE_RESERVE

HASH, OTHER = b"h" * 32, b"o" * 32
ROW, OTHER_ROW = b"r" * 16, b"s" * 16
KEYS, OTHER_KEYS = ((b"k" * 32, 1),), ((b"l" * 32, 2),)
NOTHING, TERMS = Condition(b"", (), 0, "", "", False), Condition(HASH, (5411, 5912), 7, "delivered", "№ 7", True)

# Of each operation two, which differ in every field.
PAIRS: Final[tuple[tuple[Any, Any], ...]] = (
    (Pay(1, ALICE, ((BOB, 5, b""),)), Pay(2, BOB, ((ALICE, 5, b"r"),), True, True)),
    (MakeHold(1, ALICE, ((0, 5, b""),), 0, 9, NOTHING), MakeHold(2, BOB, ((BANK, 5, b"r"),), ALICE, 8, TERMS)),
    (SettleHold(ALICE, ROW, 0, 0, b"", True), SettleHold(BOB, OTHER_ROW, 5, ALICE, b"s", False)),
    (
        OpenAccount(BANK, ALICE, 10, 1, 5411, KEYS, 1, HASH),
        OpenAccount(OTHER_BANK, BOB, 11, 2, 0, OTHER_KEYS, 2, OTHER),
    ),
    (SetAccount(BANK, ALICE, 1, 0, HASH), SetAccount(OTHER_BANK, BOB, 2, 5411, OTHER)),
    (SetKeys(ALICE, KEYS, 1), SetKeys(BOB, OTHER_KEYS, 2)),
    (CloseAccount(BANK, ALICE), CloseAccount(OTHER_BANK, BOB)),
    (RecoverAccount(BANK, ALICE, KEYS, 1), RecoverAccount(OTHER_BANK, BOB, OTHER_KEYS, 2)),
    (FinishRecovery(BANK, ALICE), FinishRecovery(OTHER_BANK, BOB)),
    (CancelRecovery(ALICE), CancelRecovery(BOB)),
    (MoveAccount(ALICE, BANK), MoveAccount(BOB, OTHER_BANK)),
    (
        RegisterAsset(CENTRAL, 2, "A", 0, SPARE_ISSUER, 5, None, 2, 2, HASH),
        RegisterAsset(BANK, 3, "B", 1, ALICE, 6, OnLedger(SPARE_RESERVE, 1), 4, 4, OTHER),
    ),
    (
        RegisterAsset(CENTRAL, 2, "A", 0, SPARE_ISSUER, 5, OnLedger(ALICE, 2), 2, 2, HASH),
        RegisterAsset(BANK, 3, "B", 1, ALICE, 6, Attested("gold", 10_000, 5), 4, 4, OTHER),
    ),
    (SetAssetStatus(CENTRAL, 1, 1, HASH), SetAssetStatus(BANK, 2, 3, OTHER)),
    (Attest(BANK, "gold", "USDKG", 1, 2, 0, HASH, b""), Attest(BOB, "delivered", "№ 7", 2, 3, 4, OTHER, ROW)),
    (RevokeAttestation(BANK, ROW), RevokeAttestation(BOB, OTHER_ROW)),
    (Freeze(BANK, "1/26", ALICE, HASH, False), Freeze(BOB, "2/26", BANK, OTHER, True)),
    (Unfreeze(BANK, "1/26", HASH), Unfreeze(BOB, "2/26", OTHER)),
    (Arrest(BANK, "1/26", ALICE, HASH, 1, 5), Arrest(BOB, "2/26", BANK, OTHER, 2, 6)),
    (Release(BANK, "1/26", HASH), Release(BOB, "2/26", OTHER)),
    (Seize(BANK, "1/26", ALICE, HASH, 1, 5, CENTRAL), Seize(BOB, "2/26", BANK, OTHER, 2, 6, OTHER_BANK)),
    (SetParameter(CENTRAL, "hold_max_ms", HASH, 5), SetParameter(BANK, "day_offset_ms", OTHER, -5)),
    (ProveReady(ALICE, "n", 16, HASH, b"s" * 64), ProveReady(BOB, "m", 32, OTHER, b"t" * 64)),
)
ALL: Final = [operation for pair in PAIRS for operation in pair]


def read_back(operation: Operation) -> OperationView:
    """Return what a client reads: with the forms and bounds of every field."""
    return msgspec.json.decode(msgspec.json.encode(operation_view(operation)), type=OperationView)


def test_there_is_a_case_for_every_operation() -> None:
    assert {type(operation) for operation in ALL} == set(APPLY)
    for one, other in PAIRS:
        assert all(field != changed for field, changed in zip(one, other, strict=True)), one


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: type(operation).__name__)
def test_a_client_can_read_it(operation: Operation) -> None:
    assert read_back(operation) == operation_view(operation)


def test_each_has_a_type_of_its_own() -> None:
    types = {(type(operation), operation_view(operation).type) for operation in ALL}
    assert len(types) == len({name for _, name in types}) == len(APPLY)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: type(pair[0]).__name__)
def test_nothing_that_it_says_is_left_out(pair: tuple[Any, Any]) -> None:
    one, other = pair
    for field in one._fields:
        changed = one._replace(**{field: getattr(other, field)})
        assert operation_view(changed) != operation_view(one), field


@pytest.mark.parametrize("field", Condition._fields)
def test_nothing_of_a_condition_is_left_out(field: str) -> None:
    hold = PAIRS[1][0]
    changed = hold._replace(condition=NOTHING._replace(**{field: getattr(TERMS, field)}))
    assert operation_view(changed) != operation_view(hold)
    assert read_back(changed) == operation_view(changed)


def test_the_widest_values_fit_the_forms() -> None:
    latest, most = 2**53 - 1, 2**63 - 1
    read_back(Attest(BANK, "s" * 32, "Ж" * 64, most, latest, latest, HASH, ROW))
    read_back(RegisterAsset(BANK, 65_535, "A" * 12, 12, ALICE, most, Attested("s" * 32, 100_000, latest), 2, 2, HASH))
    terms = Condition(HASH, tuple(range(1, 17)), latest, "s" * 32, "Ж" * 64, True)
    read_back(MakeHold(65_535, ALICE, ((0, most, b"r" * 35),) * 16, BOB, latest, terms))
