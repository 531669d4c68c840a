"""Params and results of subscriptions, and what events carry; node/rpc/types.py says what holds for all."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from node.rpc.forms import INTEGER_MAX, LIMIT_MAX, AccountNumber, Bytes, Count, Cursor, Hash, Height, OrderNumber
from node.rpc.history_types import BlockSummary
from node.rpc.types import Auth, Entry, GetConsensusResult, Outcome, Params, Result
from node.rpc.validator_types import ValidatorView

Topic = Literal["blocks", "account", "transactions", "validators", "consensus", "executed"]
SubscriptionId = Annotated[int, Meta(ge=1, le=2**53, description="of this connection")]

WATCHED_MAX: Final = LIMIT_MAX  # transactions of one subscription


class SubscribeParams(Params, frozen=True, kw_only=True):
    """``account`` belongs to the topic account, ``tx_ids`` to transactions (without it all of every block).

    Without ``from_cursor`` events begin now: with the next block or entry; transactions that are named and final
    already are told at once. Instead of a cursor ``from_height`` begins with that block, of the topics blocks,
    transactions and executed.
    """

    topic: Topic
    from_cursor: Cursor | None = None
    from_height: Annotated[int, Meta(ge=1, le=INTEGER_MAX)] | None = None
    account: AccountNumber | None = None
    tx_ids: Annotated[tuple[Hash, ...], Meta(min_length=1, max_length=WATCHED_MAX)] | None = None
    auth: Auth | None = None
    under_order: OrderNumber | None = None


class SubscribeResult(Result, frozen=True, kw_only=True):
    """``cursor`` is where events begin."""

    subscription: SubscriptionId
    cursor: Cursor


class UnsubscribeParams(Params, frozen=True, kw_only=True):
    subscription: SubscriptionId


class UnsubscribeResult(Result, frozen=True, kw_only=True):
    """``cursor`` is where events would have gone on."""

    cursor: Cursor


class TransactionEvent(Struct, frozen=True, kw_only=True):
    """What became of a transaction, finally."""

    tx_id: Hash
    height: Height
    index: Count
    outcome: Outcome


class ValidatorsEvent(Struct, frozen=True, kw_only=True):
    """An epoch that has begun, and its committee."""

    epoch: Count
    first_height: Height
    validators: tuple[ValidatorView, ...]


class ExecutedBlock(Struct, frozen=True, kw_only=True):
    """A final block whole, as who keeps a copy of the chain takes it: every byte of it can be verified.

    ``block`` is header and payload, ``batches`` those that the payload names, in its order. ``receipts`` has one for
    each transaction, in the order of execution; null for one whose envelope failed (it may come again, and has no
    result): then ``leaves`` has its outcome's leaf hash, in order. ``certificate`` is null if that of a later block
    finalizes this one. With the root of the block before, ``state_tree_root`` and the outcomes give the root that a
    later header names.
    """

    height: Height
    block: Bytes
    certificate: Bytes | None
    batches: tuple[Bytes, ...]
    receipts: tuple[Bytes | None, ...]
    leaves: tuple[Hash, ...]
    state_tree_root: Hash


class Event(Struct, frozen=True, kw_only=True):
    """The params of the notification ``sub_event``. ``cursor`` is where events go on after this one.

    One of the last six is there, as the topic says.
    """

    subscription: SubscriptionId
    topic: Topic
    at_height: Height
    cursor: Cursor
    block: BlockSummary | None = None
    entry: Entry | None = None
    transaction: TransactionEvent | None = None
    validators: ValidatorsEvent | None = None
    consensus: GetConsensusResult | None = None
    executed: ExecutedBlock | None = None


class Position(Struct, frozen=True, kw_only=True):
    """Where a subscription stands."""

    subscription: SubscriptionId
    cursor: Cursor


class Heartbeat(Struct, frozen=True, kw_only=True):
    """The params of the notification ``sub_heartbeat``: all is told up to these cursors."""

    at_height: Height
    subscriptions: tuple[Position, ...]


class Closing(Struct, frozen=True, kw_only=True):
    """The params of the notification ``sub_closed``: why the connection ends, and where to go on."""

    code: int
    name: str
    subscriptions: tuple[Position, ...]
