"""The table of operations: number -> how its bytes are read, type -> how it is written and applied.

One rule: an operation is a file with a named tuple, a decoder and an apply, and one row in each table here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from consensus.encoding import as_int
from node.ledger.account_ops import (
    ACCOUNT,
    CLOSE,
    KEYS,
    OPEN,
    SET,
    AccountOperation,
    CloseAccount,
    OpenAccount,
    SetAccount,
    SetKeys,
    apply_close,
    apply_keys,
    apply_open,
    apply_set,
    decode_account_operation,
)
from node.ledger.asset import (
    ASSET,
    REGISTER,
    STATUS,
    AssetOperation,
    RegisterAsset,
    SetAssetStatus,
    apply_register,
    apply_status,
    decode_asset_operation,
)
from node.ledger.attest import (
    ATTEST,
    REVOKE,
    SAY,
    Attest,
    AttestOperation,
    RevokeAttestation,
    apply_attest,
    apply_revoke_attestation,
    decode_attest,
)
from node.ledger.errors import Code, Refused
from node.ledger.hold import HOLD, MakeHold, apply_make_hold, decode_make_hold
from node.ledger.order import (
    ORDER,
    Arrest,
    Freeze,
    OrderOperation,
    Release,
    Seize,
    Unfreeze,
    apply_arrest,
    apply_freeze,
    apply_release,
    apply_seize,
    apply_unfreeze,
    decode_order_operation,
)
from node.ledger.orders import ARREST, FREEZE, RELEASE, SEIZE, UNFREEZE
from node.ledger.param import (
    PARAM,
    READY,
    ParamOperation,
    ProveReady,
    SetParameter,
    apply_prove_ready,
    apply_set_parameter,
    decode_param,
)
from node.ledger.param import SET as SET_PARAMETER
from node.ledger.pay import PAY, Pay, apply_pay, decode_pay
from node.ledger.recovery import (
    CANCEL,
    MOVE,
    RECOVER,
    RECOVERED,
    CancelRecovery,
    FinishRecovery,
    MoveAccount,
    RecoverAccount,
    apply_cancel_recovery,
    apply_finish_recovery,
    apply_move,
    apply_recover,
)
from node.ledger.settle import SETTLE, SettleHold, apply_settle_hold, decode_settle_hold
from node.ledger.step import Step

Operation = (
    Pay | MakeHold | SettleHold | AccountOperation | AssetOperation | AttestOperation | OrderOperation | ParamOperation
)

DECODE: Final[Mapping[int, Callable[[tuple[object, ...]], Operation]]] = {
    PAY: decode_pay,
    HOLD: decode_make_hold,
    SETTLE: decode_settle_hold,
    ACCOUNT: decode_account_operation,
    ASSET: decode_asset_operation,
    ATTEST: decode_attest,
    ORDER: decode_order_operation,
    PARAM: decode_param,
}

# What stands before the fields on the wire: the operation's number, and its act if it has several.
PREFIX: Final[Mapping[type[Operation], tuple[int, ...]]] = {
    Pay: (PAY,),
    MakeHold: (HOLD,),
    SettleHold: (SETTLE,),
    OpenAccount: (ACCOUNT, OPEN),
    SetAccount: (ACCOUNT, SET),
    SetKeys: (ACCOUNT, KEYS),
    RecoverAccount: (ACCOUNT, RECOVER),
    FinishRecovery: (ACCOUNT, RECOVERED),
    CancelRecovery: (ACCOUNT, CANCEL),
    MoveAccount: (ACCOUNT, MOVE),
    CloseAccount: (ACCOUNT, CLOSE),
    RegisterAsset: (ASSET, REGISTER),
    SetAssetStatus: (ASSET, STATUS),
    Attest: (ATTEST, SAY),
    RevokeAttestation: (ATTEST, REVOKE),
    Freeze: (ORDER, FREEZE),
    Unfreeze: (ORDER, UNFREEZE),
    Arrest: (ORDER, ARREST),
    Release: (ORDER, RELEASE),
    Seize: (ORDER, SEIZE),
    SetParameter: (PARAM, SET_PARAMETER),
    ProveReady: (PARAM, READY),
}

APPLY: Final[Mapping[type[Operation], Callable[[Step, Any], None]]] = {
    Pay: apply_pay,
    MakeHold: apply_make_hold,
    SettleHold: apply_settle_hold,
    OpenAccount: apply_open,
    SetAccount: apply_set,
    SetKeys: apply_keys,
    RecoverAccount: apply_recover,
    FinishRecovery: apply_finish_recovery,
    CancelRecovery: apply_cancel_recovery,
    MoveAccount: apply_move,
    CloseAccount: apply_close,
    RegisterAsset: apply_register,
    SetAssetStatus: apply_status,
    Attest: apply_attest,
    RevokeAttestation: apply_revoke_attestation,
    Freeze: apply_freeze,
    Unfreeze: apply_unfreeze,
    Arrest: apply_arrest,
    Release: apply_release,
    Seize: apply_seize,
    SetParameter: apply_set_parameter,
    ProveReady: apply_prove_ready,
}

_WITH_LEGS: Final = (Pay, MakeHold)


def decode_operation(value: tuple[object, ...]) -> Operation:
    """Return the operation of [number, fields ...]. Raises Refused or DecodeError."""
    if not value:
        raise Refused(Code.MALFORMED)
    decode_fields = DECODE.get(as_int(value[0]))
    if decode_fields is None:
        raise Refused(Code.MALFORMED)
    return decode_fields(value[1:])


def operation_value(operation: Operation) -> tuple[object, ...]:
    """Return [number, fields ...] for encoding."""
    fields = operation.fields if type(operation) is RegisterAsset else operation
    return (*PREFIX[type(operation)], *fields)


def apply_operation(step: Step, operation: Operation) -> None:
    """Apply; the transaction's signatures and accounts are checked. Raises Refused, then the caller undoes."""
    APPLY[type(operation)](step, operation)


def legs_of(operation: Operation) -> int:
    """Return how many legs count against the bound of a transaction."""
    return len(operation.legs) if isinstance(operation, _WITH_LEGS) else 1
