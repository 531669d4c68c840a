"""The evidence that this node holds: verified, on disk, told to every peer and had from every peer, once.

    found here  ─┐
    from a peer ─┴-> verified -> room -> store -> told of to all -> whoever lacks it asks for it

One rule: what travels unasked is the name of evidence, not its bytes; so a piece is sent once to each peer that lacks
it, however many tell of it. Nothing is stored that we have not verified, and a peer whose bytes do not prove what it
said they do is to blame. Evidence of an epoch that we do not know yet is nobody's fault: it is told of again when the
link is made anew.

The room: of one validator SIGNER_MAX pieces, in one epoch KIND_MAX of each kind. The first ones prove enough, and no
liar fills the room of another's lies.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from consensus.crypto import PUBLIC_KEY_BYTES, PublicKey
from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, encode
from consensus.events import Evidence, ProposalRefused
from consensus.messages import Vote
from network.wire import PeerId
from node.batches import Batch
from node.evidence import (
    ID_BYTES,
    Charge,
    InvalidBatch,
    Kind,
    Network,
    Proof,
    decode_proof,
    encode_proof,
    evidence_id,
    from_proposal,
    verify_proof,
    votes_of,
)
from node.sync import RequestFailed

METHOD: Final = 16  # of the request for one piece; node/sync.py has the others
KIND_MAX: Final = 2  # pieces of one kind against one validator in one epoch
SIGNER_MAX: Final = 256  # pieces against one validator: 39 validators' fit into the store's room
TOLD_MAX: Final = 256  # pieces named in one message
MESSAGE_BYTES_MAX: Final = TOLD_MAX * 96
OFFERED_MAX: Final = 2_048  # pieces that one peer has told of and we have not asked for yet; more come at the next link
LOADED_MAX: Final = 16  # pieces read at once: 6 MB
REQUEST_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 5.0  # after a request that failed, while the link holds
TELL_SECONDS: Final = 0.5  # news of this long go in one message: below the channel's rate
PAUSE_SECONDS: Final = 0.05  # between two requests to one peer
FORGED_POINTS: Final = 100

log = structlog.get_logger("evidence")


class Store(Protocol):
    """What this room asks of the store."""

    def put_evidence(self, key: bytes, value: bytes) -> bool:
        """Keep a piece, durably; return whether there was room or it was known."""

    def evidence(self, after: bytes = b"", limit: int = 200) -> tuple[tuple[bytes, bytes], ...]:
        """Return (key, value) of the pieces with a key above ``after``, ascending."""

    def evidence_at(self, key: bytes) -> bytes | None:
        """Return one piece."""


class Links(Protocol):
    """What this room asks of the network."""

    def send_evidence(self, peer: PeerId, payload: bytes) -> None:
        """Send to one peer; may be lost."""

    def broadcast_evidence(self, payload: bytes) -> None:
        """Send to all that are linked; may be lost."""

    async def request(self, peer: PeerId, method: int, payload: bytes, deadline_seconds: float) -> bytes:
        """Ask one peer. Raise RequestFailed."""

    def blame(self, peer: PeerId, points: int, reason: str) -> None:
        """Score a peer for what it sent."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Evidence by name, and what it says."""

    id: bytes
    charge: Charge


class EvidencePool:
    """Owns the store's evidence. R58

    ``on_charge`` hears of each piece that is taken, and at the start of each held; ``on_accused`` of the votes in those
    that accuse ourselves.
    """

    def __init__(
        self,
        network: Network,
        me: PublicKey,
        store: Store,
        links: Links,
        on_charge: Callable[[Charge], None],
        on_accused: Callable[[Sequence[Vote]], None],
    ) -> None:
        """``me`` is our own consensus key."""
        self._network = network
        self._me = me
        self._store = store
        self._links = links
        self._on_charge = on_charge
        self._on_accused = on_accused
        self._held: dict[bytes, Charge] = {}
        self._by_charge: Counter[Charge] = Counter()
        self._by_validator: Counter[PublicKey] = Counter()
        self._offered: dict[PeerId, OrderedDict[bytes, Charge]] = {}
        self._asked: dict[bytes, asyncio.Event] = {}
        self._wake = asyncio.Event()
        self._untold: list[Piece] = []
        self._news = asyncio.Event()
        self.forged = 0  # pieces of peers that proved nothing

    def load(self) -> None:
        """Take up what is stored, before anything else is asked of this part."""
        for name, encoded in self._stored():
            try:
                charge = verify_proof(decode_proof(encoded, self._network.genesis_hash), self._network)
            except DecodeError:
                charge = None  # of an older version of this software
            if charge is None:
                log.warning("evidence_unproven", id=name.hex())
            else:
                self._note(Piece(name, charge), encoded)

    def accused(self, kind: Kind, since: int) -> list[PublicKey]:
        """Return who is accused of this in the epoch ``since`` or a later one."""
        return [charge.validator for charge in self._by_charge if charge.kind is kind and charge.epoch >= since]

    def counts(self) -> Counter[Kind]:
        """Return how many pieces of each kind are held, none of which is told by 0."""
        held = Counter(dict.fromkeys(Kind, 0))
        held.update(charge.kind for charge in self._held.values())
        return held

    # --- found here ---

    def take(self, found: Evidence | ProposalRefused) -> None:
        """Take what the core found out."""
        proof = from_proposal(found, self._network) if isinstance(found, ProposalRefused) else found
        if proof is not None:
            self._take(proof)

    def take_batch(self, batch: Batch, index: int) -> None:
        """Take a batch under its author's signature whose transaction ``index`` is bad."""
        self._take(InvalidBatch(batch, index))

    def _take(self, proof: Proof) -> None:
        encoded = encode_proof(proof)
        charge = verify_proof(proof, self._network)
        if charge is None:
            log.warning("evidence_unproven", id=evidence_id(encoded).hex())
        else:
            self._keep(Piece(evidence_id(encoded), charge), encoded)

    # --- the network's calls ---

    def on_connected(self, peer: PeerId) -> None:
        """Tell a peer that came (back) of all that we hold."""
        for payload in _messages([Piece(name, charge) for name, charge in self._held.items()]):
            self._links.send_evidence(peer, payload)

    def on_disconnected(self, peer: PeerId) -> None:
        """Forget what a peer told of: it will tell again."""
        self._offered.pop(peer, None)

    def on_message(self, peer: PeerId, data: bytes) -> None:
        """Hear of evidence that a peer holds. Raise DecodeError for what it should not have sent."""
        pieces = decode_pieces(data)
        self._offered.setdefault(peer, OrderedDict())
        for piece in pieces:
            self._offer(peer, piece)

    def serve(self, payload: bytes) -> bytes:
        """Return the piece that a peer asks for, nothing if it is not here. Raise DecodeError."""
        return self._store.evidence_at(as_bytes(payload, ID_BYTES)) or b""

    async def run(self) -> None:
        """Tell of what is new and ask for what peers tell of, one piece at a time of each peer, until cancelled."""
        busy: dict[PeerId, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell())
            while True:
                await self._wake.wait()
                self._wake.clear()
                busy = {peer: task for peer, task in busy.items() if not task.done()}
                for peer, offered in self._offered.items():
                    if offered and peer not in busy:
                        busy[peer] = tasks.create_task(self._ask_for_all(peer))

    async def _tell(self) -> None:
        """Tell all of what is new, in few messages: who catches up has much news, and every channel has its rate."""
        while True:
            await self._news.wait()
            await asyncio.sleep(TELL_SECONDS)
            self._news.clear()
            news, self._untold = self._untold, []
            for payload in _messages(news):
                self._links.broadcast_evidence(payload)

    async def _ask_for_all(self, peer: PeerId) -> None:
        while offered := self._offered.get(peer):
            name, charge = offered.popitem(last=False)
            piece = Piece(name, charge)
            while name in self._asked:  # of another, who may yet fail
                await self._asked[name].wait()
            if not self._wants(piece):
                continue
            try:
                await self._ask_for(peer, piece)
                await asyncio.sleep(PAUSE_SECONDS)
            except RequestFailed:
                await asyncio.sleep(RETRY_SECONDS)
                self._offer(peer, piece)
        self._wake.set()  # what came in the last moment finds nobody busy

    async def _ask_for(self, peer: PeerId, piece: Piece) -> None:
        done = self._asked[piece.id] = asyncio.Event()
        try:
            encoded = await self._links.request(peer, METHOD, piece.id, REQUEST_SECONDS)
            if self._proves(piece, encoded):
                self._keep(piece, encoded)
            else:
                self.forged += 1
                self._links.blame(peer, FORGED_POINTS, "evidence that proves nothing")
        finally:
            del self._asked[piece.id]
            done.set()

    def _proves(self, piece: Piece, encoded: bytes) -> bool:
        if evidence_id(encoded) != piece.id:
            return False
        try:
            proof = decode_proof(encoded, self._network.genesis_hash)
        except DecodeError:
            return False
        return verify_proof(proof, self._network) == piece.charge

    # --- what is held ---

    def _offer(self, peer: PeerId, piece: Piece) -> None:
        offered = self._offered.get(peer)  # None: the link is gone
        if offered is not None and len(offered) < OFFERED_MAX and self._wants(piece):
            offered[piece.id] = piece.charge
            self._wake.set()

    def _wants(self, piece: Piece) -> bool:
        """Return whether a piece is new, of an epoch and a validator that we know, and finds room."""
        charge = piece.charge
        if piece.id in self._held or not self._has_room(charge):
            return False
        committee = self._network.committee_of(charge.epoch)
        return committee is not None and committee.index(charge.validator) is not None

    def _has_room(self, charge: Charge) -> bool:
        return self._by_charge[charge] < KIND_MAX and self._by_validator[charge.validator] < SIGNER_MAX

    def _keep(self, piece: Piece, encoded: bytes) -> None:
        """Store a verified piece and tell of it, if it is new and finds room."""
        charge = piece.charge
        if piece.id in self._held or not self._has_room(charge):
            return
        if not self._store.put_evidence(piece.id, encoded):
            log.warning("evidence_full")
            return
        self._note(piece, encoded)
        log.error(
            "evidence",
            kind=charge.kind.name.lower(),
            validator=charge.validator.hex(),
            epoch=charge.epoch,
            id=piece.id.hex(),
        )
        self._untold.append(piece)
        self._news.set()

    def _note(self, piece: Piece, encoded: bytes) -> None:
        self._held[piece.id] = piece.charge
        self._by_charge[piece.charge] += 1
        self._by_validator[piece.charge.validator] += 1
        if piece.charge.validator == self._me:
            log.error("accused", kind=piece.charge.kind.name.lower(), epoch=piece.charge.epoch, id=piece.id.hex())
            self._on_accused(votes_of(decode_proof(encoded, self._network.genesis_hash)))
        self._on_charge(piece.charge)

    def _stored(self) -> Iterator[tuple[bytes, bytes]]:
        last = b""
        while rows := self._store.evidence(last, LOADED_MAX):
            yield from rows
            last = rows[-1][0]


def encode_pieces(pieces: Sequence[Piece]) -> bytes:
    """Return the message that tells of evidence."""
    return encode(
        tuple((piece.id, int(piece.charge.kind), piece.charge.epoch, piece.charge.validator) for piece in pieces)
    )


def decode_pieces(data: bytes) -> list[Piece]:
    """Return the evidence that a message tells of. Raise DecodeError."""
    pieces = []
    for item in as_tuple(decode(data), most=TOLD_MAX):
        name, kind, epoch, validator = as_tuple(item, 4)
        charge = Charge(
            Kind(as_int(kind, 0, max(Kind))), as_int(epoch), PublicKey(as_bytes(validator, PUBLIC_KEY_BYTES))
        )
        pieces.append(Piece(as_bytes(name, ID_BYTES), charge))
    return pieces


def _messages(pieces: Sequence[Piece]) -> Iterator[bytes]:
    for start in range(0, len(pieces), TOLD_MAX):
        yield encode_pieces(pieces[start : start + TOLD_MAX])
