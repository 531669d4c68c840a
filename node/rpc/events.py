"""Where events come from: for each topic, what the store holds from a position on.

One rule: what is live is read from the store as what is replayed is, so between the two there is no gap and no double.
Only the topic consensus has no past: it tells how things stand, not what is final.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from consensus.encoding import DecodeError, as_int, as_tuple, decode, digest, encode
from consensus.messages import decode_block
from node.batches import decode_payload
from node.ledger.account import decode_account
from node.ledger.commitment import outcome_leaf
from node.ledger.state import account_key
from node.ledger.statement import decode_entry
from node.rpc.chain import consensus_view
from node.rpc.cursors import List, decode_cursor_bytes, encode_cursor
from node.rpc.errors import INVALID_PARAMS, NOT_FOUND, PRUNED, RpcError
from node.rpc.event_types import Event, ExecutedBlock, SubscribeParams, TransactionEvent, ValidatorsEvent
from node.rpc.history import summary_view
from node.rpc.ports import Ports
from node.rpc.reading import HASH_BYTES, block_at, checked_number, consumed, outcome_of
from node.rpc.validator_types import ValidatorView
from node.rpc.views import entry_view
from node.storage.records import StoredBlock
from node.storage.store import Snapshot

EVENTS_AT_ONCE: Final = 32  # of one look at the store, between two turns of the event loop
RECEIPTS_AT_ONCE: Final = 64  # likewise, of a whole block; about 2 ms

Place = tuple[int, int]  # height, entry or epoch; and the index within a block
Told = tuple[Place, Event]  # where to go on after it, and what is told


class Source(Protocol):
    """One topic, narrowed as the subscriber asked."""

    @property
    def of(self) -> List:
        """What a cursor of it fits."""

    def begin(self, store: Snapshot) -> Place:
        """Return where one begins who has no cursor."""

    async def read(self, store: Snapshot, place: Place) -> tuple[list[Told], Place]:
        """Return what is told from ``place`` on, and where to go on: the same place if there is nothing new."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Every final block, in order."""

    ports: Ports
    number: int

    @property
    def of(self) -> List:
        return ("sub blocks", self.ports.network.genesis_hash)

    def begin(self, store: Snapshot) -> Place:
        return store.tip.height + 1, 0

    async def read(self, store: Snapshot, place: Place) -> tuple[list[Told], Place]:
        last = min(store.tip.height, place[0] + EVENTS_AT_ONCE - 1)
        told: list[Told] = []
        for height in range(place[0], last + 1):
            summary = summary_view(self.ports, store, block_at(store, height))
            told.append(((height + 1, 0), _event(self, self.number, "blocks", store, (height + 1, 0), block=summary)))
        return told, (max(place[0], last + 1), 0)


@dataclass(frozen=True, slots=True)
class Entries:
    """The statement of an account: an entry for each change of its balances."""

    ports: Ports
    number: int
    account: int

    @property
    def of(self) -> List:
        return ("sub account", self.ports.network.genesis_hash, self.account)

    def begin(self, store: Snapshot) -> Place:
        record = store.get(account_key(self.account))
        if record is None:
            raise RpcError(NOT_FOUND, path="account")
        return decode_account(self.account, record).length, 0

    async def read(self, store: Snapshot, place: Place) -> tuple[list[Told], Place]:
        told: list[Told] = []
        for number, row in store.entries(self.account, place[0], EVENTS_AT_ONCE):
            entry = entry_view(number, decode_entry(row))
            place = (number + 1, 0)
            told.append((place, _event(self, self.number, "account", store, place, entry=entry)))
        return told, place


@dataclass(frozen=True, slots=True)
class AllTransactions:
    """What became of every transaction, in the order of execution."""

    ports: Ports
    number: int

    @property
    def of(self) -> List:
        return ("sub transactions", self.ports.network.genesis_hash)

    def begin(self, store: Snapshot) -> Place:
        return store.tip.height + 1, 0

    async def read(self, store: Snapshot, place: Place) -> tuple[list[Told], Place]:
        height, first = place
        if height > store.tip.height:
            return [], place
        stored = block_at(store, height)
        if not stored.block_bytes:
            return [], (height + 1, 0)
        block = decode_block(stored.block_bytes)
        page = await self.ports.contents.ids(store, block, first, first + EVENTS_AT_ONCE)
        told: list[Told] = []
        for index, tx_id in enumerate(page, first):
            found = consumed(store, tx_id)
            if found is not None and (found.height, found.index) == (height, index):
                told.append(_transaction(self, self.number, store, (height, index), tx_id, (height, index + 1)))
        return told, (height, first + len(page)) if len(page) == EVENTS_AT_ONCE else (height + 1, 0)


@dataclass(frozen=True, slots=True)
class NamedTransactions:
    """What became of certain transactions, each told once: those that are final already at once."""

    ports: Ports
    number: int
    ids: tuple[bytes, ...]

    @property
    def of(self) -> List:
        return ("sub transactions", self.ports.network.genesis_hash, digest(b"", *sorted(self.ids)))

    def begin(self, store: Snapshot) -> Place:
        return 0, 0

    async def read(self, store: Snapshot, place: Place) -> tuple[list[Told], Place]:
        if place[0] > store.tip.height:
            return [], place
        found = [each for each in _placed(store, self.ids) if each[0] >= place][:EVENTS_AT_ONCE]
        told = [_transaction(self, self.number, store, at, tx_id, (at[0], at[1] + 1)) for at, tx_id in found]
        return told, told[-1][0] if len(found) == EVENTS_AT_ONCE else (store.tip.height + 1, 0)


@dataclass(frozen=True, slots=True)
class Epochs:
    """Every epoch as it begins, with its committee."""

    ports: Ports
    number: int

    @property
    def of(self) -> List:
        return ("sub validators", self.ports.network.genesis_hash)

    def begin(self, store: Snapshot) -> Place:
        return self.ports.epochs(store).after_height(store.tip.height) + 1, 0

    async def read(self, store: Snapshot, place: Place) -> tuple[list[Told], Place]:
        told: list[Told] = []
        epochs = self.ports.epochs(store)
        last = epochs.after_height(store.tip.height)  # of the block above the tip: its committee follows from the store
        while len(told) < EVENTS_AT_ONCE and (epoch := epochs.existing(place[0])) <= last:
            members = epochs.members(epoch)
            if members is None:
                break
            place = (epoch + 1, 0)
            views = tuple(
                ValidatorView(
                    index=index,
                    name=row.name,
                    consensus_key=row.consensus_key.hex(),
                    node_key=row.node_key.hex(),
                    weight=row.weight,
                )
                for index, row in enumerate(members.rows)
            )
            begun = ValidatorsEvent(epoch=epoch, first_height=epochs.first_height(epoch), validators=views)
            told.append((place, _event(self, self.number, "validators", store, place, validators=begun)))
        return told, place


@dataclass(slots=True)
class Consensus:
    """The view under way, whenever another validator is heard in it: told as often as its reader asks."""

    ports: Ports
    number: int
    last: object = None

    @property
    def of(self) -> List:
        return ("sub consensus", self.ports.network.genesis_hash)

    def begin(self, store: Snapshot) -> Place:
        return 0, 0

    async def read(self, store: Snapshot, place: Place) -> tuple[list[Told], Place]:
        seen = consensus_view(self.ports)
        if (seen.epoch, seen.view, seen.votes) == self.last:
            return [], place
        self.last = (seen.epoch, seen.view, seen.votes)
        return [(place, _event(self, self.number, "consensus", store, place, consensus=seen))], place


@dataclass(frozen=True, slots=True)
class Executed:
    """Every final block whole, with its transactions and their receipts."""

    ports: Ports
    number: int

    @property
    def of(self) -> List:
        return ("sub executed", self.ports.network.genesis_hash)

    def begin(self, store: Snapshot) -> Place:
        return store.tip.height + 1, 0

    async def read(self, store: Snapshot, place: Place) -> tuple[list[Told], Place]:
        height = place[0]
        if height > store.tip.height:
            return [], place
        following = (height + 1, 0)
        executed = await _executed(self.ports, store, block_at(store, height))
        return [(following, _event(self, self.number, "executed", store, following, executed=executed))], following


def source_of(ports: Ports, params: SubscribeParams, number: int) -> Source:
    """Return what a subscription asks for. Raises RpcError (invalid_params)."""
    for name, topic in (("account", "account"), ("tx_ids", "transactions")):
        if getattr(params, name) is not None and params.topic != topic:
            raise RpcError(INVALID_PARAMS, path=name, expected=f"topic {topic}", actual=params.topic)
    match params.topic:
        case "blocks":
            return Blocks(ports, number)
        case "account":
            if params.account is None:
                raise RpcError(INVALID_PARAMS, path="account", expected="a value")
            return Entries(ports, number, checked_number(params.account))
        case "transactions":
            if params.tx_ids is None:
                return AllTransactions(ports, number)
            return NamedTransactions(ports, number, tuple(dict.fromkeys(map(bytes.fromhex, params.tx_ids))))
        case "validators":
            return Epochs(ports, number)
        case "consensus":
            return Consensus(ports, number)
        case "executed":
            return Executed(ports, number)


def place_in(store: Snapshot, source: Source, params: SubscribeParams) -> Place:
    """Return where a subscription begins. Raises RpcError (invalid_params; pruned if the node has not kept that)."""
    begin = source.begin(store)
    if params.from_cursor is not None and params.from_height is not None:
        raise RpcError(INVALID_PARAMS, path="from_height", expected="from_cursor or from_height, not both")
    by_height = isinstance(source, Blocks | AllTransactions | Executed)
    if params.from_height is not None and not by_height:
        raise RpcError(INVALID_PARAMS, path="from_height", expected="topic blocks, transactions or executed")
    place = begin
    if params.from_cursor is not None:
        place = place_of(source, params.from_cursor)
    elif params.from_height is not None:
        place = (params.from_height, 0)
    first = store.base() + 1
    if by_height and place[0] < first:
        raise RpcError(PRUNED, path="from_height", expected=f"at least {first}", actual=str(place[0]))
    return place


def cursor_of(source: Source, place: Place) -> str:
    """Return the cursor to ``place``."""
    return encode_cursor(source.of, encode(place))


def place_of(source: Source, cursor: str) -> Place:
    """Return where a cursor points. Raises RpcError (invalid_params) for one of another topic, network or account."""
    try:
        first, second = as_tuple(decode(decode_cursor_bytes(source.of, cursor)), 2)
        return as_int(first), as_int(second)
    except DecodeError:
        raise RpcError(INVALID_PARAMS, path="from_cursor", expected="a cursor of this very subscription") from None


# --- steps ---


def _placed(store: Snapshot, ids: Sequence[bytes]) -> list[tuple[Place, bytes]]:
    """Return (height, index) and id of those that are final, in the order of execution."""
    found = []
    for tx_id in ids:
        stored = consumed(store, tx_id)
        if stored is not None:
            found.append(((stored.height, stored.index), tx_id))
    return sorted(found)


def _transaction(source: Source, number: int, store: Snapshot, at: Place, tx_id: bytes, following: Place) -> Told:
    event = TransactionEvent(tx_id=tx_id.hex(), height=at[0], index=at[1], outcome=outcome_of(store, tx_id, False))
    return following, _event(source, number, "transactions", store, following, transaction=event)


async def _executed(ports: Ports, store: Snapshot, stored: StoredBlock) -> ExecutedBlock:
    """Return a block whole, in turns with the node's other work. Raises RpcError (pruned)."""
    height, block, roots = stored.height, decode_block(stored.block_bytes), store.roots(stored.height)
    batches = [store.batch(name) for name in decode_payload(block.payload)]
    if roots is None or None in batches:
        raise RpcError(PRUNED, path="height", actual=str(height))
    receipts: list[str | None] = []
    leaves: list[str] = []
    data = store.outcome_leaves(height) or b""
    outcomes = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
    ids = await ports.contents.ids(store, block, 0, await ports.contents.count(store, block))
    for index, (tx_id, leaf) in enumerate(zip(ids, outcomes, strict=True)):
        found = store.transaction(tx_id)
        if found is not None and outcome_leaf(tx_id, found.receipt) == leaf:
            receipts.append(found.receipt.hex())
        else:  # of this id another place has the result, or none has
            receipts.append(None)
            leaves.append(leaf.hex())
        if index % RECEIPTS_AT_ONCE == RECEIPTS_AT_ONCE - 1:
            await ports.turns.next()
    certificate = store.certificate(height)
    return ExecutedBlock(
        height=height,
        block=stored.block_bytes.hex(),
        certificate=certificate.hex() if certificate else None,
        batches=tuple(data.hex() for data in batches if data is not None),
        receipts=tuple(receipts),
        leaves=tuple(leaves),
        state_tree_root=roots.state_tree_root.hex(),
    )


def _event(source: Source, number: int, topic: Any, store: Snapshot, following: Place, **told: Any) -> Event:
    return Event(
        subscription=number,
        topic=topic,
        at_height=store.tip.height,
        cursor=cursor_of(source, following),
        **told,
    )
