"""Params and results of the methods about assets, holds, attestations, orders, recoveries, parameters and single rows.

node/rpc/types.py says what holds for all. What is none (an account 0, a time 0) is null here.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from node.ledger.assets import SCHEMA_CHARS_MAX
from node.ledger.commitment import KEY_BYTES_MAX
from node.ledger.readable import SUBJECT_CHARS_MAX
from node.ledger.versions import VERSION_MAX
from node.rpc.forms import (
    INTEGER_MAX,
    LIMIT_DEFAULT,
    AccountNumber,
    AssetId,
    Bytes,
    Count,
    Cursor,
    Hash,
    Height,
    Limit,
    Milliseconds,
    Money,
    Name,
    Order,
    OrderNumber,
    RawTransaction,
    RowId,
)
from node.rpc.operation_types import (
    AttestersView,
    BackingView,
    ConditionView,
    KeyView,
    OpenerView,
    TierView,
)
from node.rpc.types import Anchor, Personal, Read, Result, SkippedLeg

Schema = Annotated[
    str, Meta(pattern="^[a-z0-9-]+$(?!\n)", max_length=SCHEMA_CHARS_MAX, description="a kind of attestation")
]
Subject = Annotated[
    str, Meta(min_length=1, max_length=SUBJECT_CHARS_MAX, description="what an attestation is about; exactly as it is")
]
StateKey = Annotated[
    str,
    Meta(
        pattern="^([0-9a-f]{2})+$(?!\n)",
        max_length=2 * KEY_BYTES_MAX,
        description="the key of a row of the state tree, hex (docs/ledger.md, section 5)",
    ),
]
Status = Literal["registered", "suspended", "revoked"]
Act = Literal["freeze", "arrest", "seize"]


class Page(Read, frozen=True, kw_only=True):
    """The base of the params of lists."""

    cursor: Cursor | None = None
    limit: Limit = LIMIT_DEFAULT


class PersonalPage(Personal, frozen=True, kw_only=True):
    """The base of the params of lists about somebody."""

    cursor: Cursor | None = None
    limit: Limit = LIMIT_DEFAULT


# --- attestations ---


class AttestationView(Struct, frozen=True, kw_only=True):
    """``by`` said that ``subject`` was ``value`` at ``as_of_ms``; ``evidence`` is the SHA-256 of a document.

    ``current``: the last of its schema and subject, and not revoked. ``valid``: current and not ended, by block time.
    """

    id: RowId
    schema: Schema
    subject: Subject
    value: Money
    as_of_ms: Milliseconds
    until_ms: Milliseconds | None
    evidence: Hash
    by: AccountNumber
    timestamp_ms: Milliseconds
    height: Height
    tx_id: Hash
    revoked_ms: Milliseconds | None
    revoked_by: AccountNumber | None
    current: bool
    valid: bool


class GetAttestationParams(Read, frozen=True, kw_only=True):
    id: RowId


class GetAttestationResult(Result, frozen=True, kw_only=True):
    attestation: AttestationView


class GetCurrentAttestationParams(Read, frozen=True, kw_only=True):
    schema: Schema
    subject: Subject


class GetCurrentAttestationResult(Result, frozen=True, kw_only=True):
    """``attestation`` is null if none is current: there never was one, or the last one is revoked."""

    attestation: AttestationView | None


class ListAttestationsParams(Page, frozen=True, kw_only=True):
    """The current ones of ``schema``, by subject; with ``subject`` all that it ever had, the oldest block first."""

    schema: Schema
    subject: Subject | None = None


class ListAttestationsResult(Result, frozen=True, kw_only=True):
    attestations: tuple[AttestationView, ...]
    next_cursor: Cursor | None


# --- assets ---


class CoverView(Struct, frozen=True, kw_only=True):
    """What stands behind an asset now.

    ``value``: of a reserve its balance, in minor units of its own asset; of an attested one what the current
    attestation says. ``supply_max`` is the greatest supply that it allows, ``max_supply`` at the most; null: no
    attestation counts now. ``coverage_bp`` is how much the backing alone allows for 10,000 issued; null while nothing
    is issued.
    """

    value: Money | None
    supply_max: Money | None
    coverage_bp: Count | None
    attestation: AttestationView | None


class AssetView(Struct, frozen=True, kw_only=True):
    """A registered asset. ``terms`` say what must back it, ``cover`` what does."""

    asset: AssetId
    code: Name
    scale: Count
    issuer: AccountNumber
    status: Status
    supply: Money
    max_supply: Money
    backing: Literal["none", "on_ledger", "attested"]
    terms: BackingView | None
    cover: CoverView | None
    mint_to: tuple[Name, ...]
    redeem_from: tuple[Name, ...]
    basis: Bytes


class ListAssetsParams(Page, frozen=True, kw_only=True):
    order: Order = "asc"


class ListAssetsResult(Result, frozen=True, kw_only=True):
    """A page of the register, by asset number."""

    assets: tuple[AssetView, ...]
    next_cursor: Cursor | None


class GetAssetParams(Read, frozen=True, kw_only=True):
    asset: AssetId


class GetAssetResult(Result, frozen=True, kw_only=True):
    asset: AssetView


class GetAssetHistoryParams(Page, frozen=True, kw_only=True):
    asset: AssetId
    order: Order = "desc"


class StatusChangeView(Struct, frozen=True, kw_only=True):
    """A change of an asset's status since genesis; ``number`` counts from 0. A registration is the asset's first."""

    number: Count
    status: Status
    by: AccountNumber
    basis: Bytes
    timestamp_ms: Milliseconds
    height: Height
    tx_id: Hash


class GetAssetHistoryResult(Result, frozen=True, kw_only=True):
    """All changes since genesis, the latest first unless ``order`` is asc."""

    changes: tuple[StatusChangeView, ...]
    next_cursor: Cursor | None


# --- holds ---


class HoldView(Struct, frozen=True, kw_only=True):
    """Money that waits in the payer's balance. ``by`` null: whoever has the secret; ``to`` null: who settles says whom.

    An arrest has ``order``, its number; ``by`` is the authority; it has no end and no condition.
    """

    id: RowId
    asset: AssetId
    payer: AccountNumber
    by: AccountNumber | None
    to: AccountNumber | None
    left: Money
    ref: Bytes
    until_ms: Milliseconds | None
    height: Height
    condition: ConditionView | None
    order: OrderNumber | None


class GetHoldParams(Personal, frozen=True, kw_only=True):
    id: RowId


class GetHoldResult(Result, frozen=True, kw_only=True):
    """``hold`` is null if none of that id is open: it was settled, voided or released, or never made."""

    hold: HoldView | None


class ListHoldsParams(PersonalPage, frozen=True, kw_only=True):
    """Open holds of an account as ``role``; ``asset`` narrows those of a payer, which come the newest block first."""

    account: AccountNumber
    role: Literal["payer", "settler", "payee"] = "payer"
    asset: AssetId | None = None


class ListHoldsResult(Result, frozen=True, kw_only=True):
    holds: tuple[HoldView, ...]
    next_cursor: Cursor | None


# --- orders ---


class OrderView(Struct, frozen=True, kw_only=True):
    """What an authority ordered; ``stands``: it binds its target now. ``asset``, ``amount``, ``to``, ``incoming`` and
    ``hold`` are there as far as the act has them.
    """

    authority: AccountNumber
    number: OrderNumber
    act: Act
    target: AccountNumber
    basis: Hash
    asset: AssetId | None
    amount: Money | None
    to: AccountNumber | None
    incoming: bool | None
    hold: RowId | None
    timestamp_ms: Milliseconds
    height: Height
    tx_id: Hash
    stands: bool
    lifted_ms: Milliseconds | None
    lifted_basis: Hash | None


class CountOrdersParams(Read, frozen=True, kw_only=True):
    pass


class OrderCount(Struct, frozen=True, kw_only=True):
    """How many orders of an act an authority has given ever, and how many stand."""

    authority: AccountNumber
    act: Act
    given: Count
    standing: Count


class CountOrdersResult(Result, frozen=True, kw_only=True):
    """By authority and act; what is not listed has never been ordered."""

    counts: tuple[OrderCount, ...]


class GetOrderParams(Personal, frozen=True, kw_only=True):
    authority: AccountNumber
    number: OrderNumber


class GetOrderResult(Result, frozen=True, kw_only=True):
    order: OrderView


class ListOrdersParams(PersonalPage, frozen=True, kw_only=True):
    """All orders of ``authority``, by number, or those that stand against ``target``: one of the two."""

    authority: AccountNumber | None = None
    target: AccountNumber | None = None


class ListOrdersResult(Result, frozen=True, kw_only=True):
    orders: tuple[OrderView, ...]
    next_cursor: Cursor | None


# --- recoveries ---


class GetRecoveryParams(Personal, frozen=True, kw_only=True):
    account: AccountNumber


class RecoveryView(Struct, frozen=True, kw_only=True):
    """``open``: ``keys`` take effect at ``ready_ms`` or later. Cancelled: only ``cancelled_ms`` is known."""

    status: Literal["open", "cancelled"]
    keys: tuple[KeyView, ...]
    threshold: Count | None
    ready_ms: Milliseconds | None
    cancelled_ms: Milliseconds | None


class GetRecoveryResult(Result, frozen=True, kw_only=True):
    """``recovery`` is null if none was ever begun, or the last one is finished."""

    account: AccountNumber
    recovery: RecoveryView | None


# --- parameters ---


class ListParametersParams(Read, frozen=True, kw_only=True):
    pass


class ParameterView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A parameter, with one of ``milliseconds``, ``tiers``, ``openers``, ``attesters`` and ``version``.

    ``hash`` is what a change of it names as the ``based_on`` of set_parameter.
    """

    name: Name
    hash: Hash
    milliseconds: Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)] | None = None
    tiers: tuple[TierView, ...] | None = None
    openers: tuple[OpenerView, ...] | None = None
    attesters: tuple[AttestersView, ...] | None = None
    version: Annotated[int, Meta(ge=1, le=VERSION_MAX)] | None = None


class ListParametersResult(Result, frozen=True, kw_only=True):
    """All parameters but the validators, of whom validator_list tells, as they judge the next block."""

    parameters: tuple[ParameterView, ...]


# --- single rows, dry runs ---


class GetStateProofParams(Personal, frozen=True, kw_only=True):
    key: StateKey


class GetStateProofResult(Result, frozen=True, kw_only=True):
    """That ``value`` (null: no row) is what the state tree has under ``key`` after ``anchor.height``."""

    key: StateKey
    value: Bytes | None
    path: Bytes
    anchor: Anchor


class SimulateParams(Personal, frozen=True, kw_only=True):
    """``tx``: a whole transaction, whose signatures need not be valid: only who would sign counts."""

    tx: RawTransaction


class SimulateResult(Result, frozen=True, kw_only=True):
    """What the receipt would be in a block now; nothing has changed, and others may come first."""

    tx_id: Hash
    code: Annotated[int, Meta(ge=0, le=999)]
    name: Name
    op: Count | None = None
    leg: Count | None = None
    skipped: tuple[SkippedLeg, ...] = ()
    original: Hash | None = None
