"""Operations on the wire: what a transaction asks for, in words; node/rpc/types.py says what holds for all."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from node.ledger.validators import ADDRESS_CHARS_MAX
from node.rpc.forms import (
    INTEGER_MAX,
    AccountNumber,
    AssetId,
    Bytes,
    Count,
    Hash,
    Height,
    Money,
    Name,
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


class ListedValidator(Struct, frozen=True, kw_only=True):
    """A validator as the central bank wants it."""

    name: Name
    weight: Count
    address: Annotated[str, Meta(max_length=ADDRESS_CHARS_MAX, description="host:port, or empty")]
    consensus_key: Hash
    node_key: Hash


class OperationView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operation in words: ``type`` says which of the others are there.

    Of set_parameter, ``parameter`` names what is set, and one of ``milliseconds``, ``tiers``, ``openers`` and
    ``validators`` is the value; ``based_on`` is the hash of the record that it replaces (docs/ledger.md).
    """

    type: Literal["pay", "open_account", "set_account", "set_keys", "close_account", "set_parameter", "prove_ready"]
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
    validators: tuple[ListedValidator, ...] | None = None
    validator: Name | None = None
    height: Height | None = None
    root: Hash | None = None
    signature: Signature | None = None
