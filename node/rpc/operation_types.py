"""Operations on the wire: what a transaction asks for, in words; node/rpc/types.py says what holds for all."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from node.ledger.validators import ADDRESS_CHARS_MAX
from node.ledger.versions import VERSION_MAX
from node.rpc.forms import (
    INTEGER_MAX,
    AccountNumber,
    AssetId,
    Bytes,
    Count,
    Hash,
    Height,
    Milliseconds,
    Money,
    Name,
    RowId,
    Signature,
)


class LegView(Struct, frozen=True, kw_only=True):
    """One payment of a pay."""

    to: AccountNumber
    amount: Money
    ref: Bytes


class KeyView(Struct, frozen=True, kw_only=True):
    """A public key of an account and its weight."""

    key: Hash
    weight: Count


class TierView(Struct, frozen=True, kw_only=True):
    """What a wallet of a tier may do in som."""

    number: Count
    out_per_transaction: Money
    out_per_day: Money
    balance_max: Money


class OpenerView(Struct, frozen=True, kw_only=True):
    """Accounts of ``kind`` may open accounts of ``kinds``."""

    kind: Name
    kinds: tuple[Name, ...]


class AttestersView(Struct, frozen=True, kw_only=True):
    """The ``accounts`` whose word counts under ``schema``."""

    schema: Name
    accounts: tuple[AccountNumber, ...]


class HoldLegView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One hold: without ``by``, whoever has the secret may settle it."""

    by: AccountNumber | None = None
    amount: Money
    ref: Bytes


class ConditionView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What must be so before a hold is settled; what is not there asks for nothing."""

    hash: Hash | None = None
    categories: tuple[Count, ...] = ()
    not_before_ms: Milliseconds = 0
    schema: Name | None = None
    subject: Name | None = None
    revocable: bool = False


class BackingView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What backs an asset: a ``reserve`` of another ``asset``, or attestations of a ``schema``."""

    reserve: AccountNumber | None = None
    asset: AssetId | None = None
    schema: Name | None = None
    ratio_bp: Count | None = None
    max_age_ms: Milliseconds | None = None


class ListedValidator(Struct, frozen=True, kw_only=True):
    """A validator as the central bank wants it."""

    name: Name
    weight: Count
    address: Annotated[str, Meta(max_length=ADDRESS_CHARS_MAX, description="host:port, or empty")]
    consensus_key: Hash
    node_key: Hash


class OperationView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operation in words: ``type`` says which of the others are there.

    Of set_parameter, ``parameter`` names what is set, one of ``milliseconds``, ``tiers``, ``openers``, ``attesters``,
    ``version`` and ``validators`` is the value, and ``based_on`` the hash of the record that it replaces
    (docs/ledger.md). An account, a category or an attestation that is none is not there.
    """

    type: Literal[
        "pay", "make_hold", "settle_hold", "open_account", "set_account", "set_keys", "close_account",
        "recover_account", "finish_recovery", "cancel_recovery", "move_account", "register_asset", "set_asset_status",
        "attest", "revoke_attestation", "freeze", "unfreeze", "arrest", "release", "seize", "set_parameter",
        "prove_ready",
    ]  # fmt: skip
    asset: AssetId | None = None
    payer: AccountNumber | None = None
    legs: tuple[LegView, ...] | None = None
    partial: bool | None = None
    once: bool | None = None
    account: AccountNumber | None = None
    by: AccountNumber | None = None
    kind: Name | None = None
    tier: Count | None = None
    category: Count | None = None
    keys: tuple[KeyView, ...] | None = None
    threshold: Count | None = None
    commitment: Hash | None = None
    parameter: Name | None = None
    based_on: Hash | None = None
    milliseconds: Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)] | None = None
    tiers: tuple[TierView, ...] | None = None
    openers: tuple[OpenerView, ...] | None = None
    attesters: tuple[AttestersView, ...] | None = None
    validators: tuple[ListedValidator, ...] | None = None
    version: Annotated[int, Meta(ge=1, le=VERSION_MAX)] | None = None
    validator: Name | None = None
    height: Height | None = None
    root: Hash | None = None
    signature: Signature | None = None
    holds: tuple[HoldLegView, ...] | None = None
    to: AccountNumber | None = None
    until_ms: Milliseconds | None = None
    condition: ConditionView | None = None
    hold: RowId | None = None
    amount: Money | None = None
    secret: Bytes | None = None
    close: bool | None = None
    bank: AccountNumber | None = None
    code: Name | None = None
    scale: Count | None = None
    issuer: AccountNumber | None = None
    max_supply: Money | None = None
    backing: BackingView | None = None
    mint_to: tuple[Name, ...] | None = None
    redeem_from: tuple[Name, ...] | None = None
    basis: Hash | None = None
    status: Name | None = None
    schema: Name | None = None
    subject: Name | None = None
    value: Money | None = None
    as_of_ms: Milliseconds | None = None
    evidence: Hash | None = None
    revokes: RowId | None = None
    attestation: RowId | None = None
    number: Name | None = None
    target: AccountNumber | None = None
    incoming: bool | None = None
