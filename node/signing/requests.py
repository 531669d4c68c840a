"""What may be asked of a consensus key, what it answers, and the wire form of both.

One rule: nobody asks for a signature over bytes. A request names what is to be said; who has the key builds the bytes,
each kind under a domain of its own, so that nothing that is signed here can be taken for anything else.

A frame is its length (u32, big-endian) and a canonical MessagePack array. Requests and answers carry a number.
"""

from dataclasses import dataclass
from typing import Final

from consensus.crypto import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, Signature
from consensus.encoding import DecodeError, as_bool, as_bytes, as_int, as_str, as_tuple, decode, encode
from consensus.events import SignVote
from consensus.messages import HASH_BYTES, NO_HASH, Hash, Kind
from node.batches import BATCH_BYTES_MAX
from node.storage.guard import View

VERSION: Final = 1
LENGTH_BYTES: Final = 4
REQUEST_BYTES_MAX: Final = BATCH_BYTES_MAX + 64  # a batch's body, and room for its place in the frame
ANSWER_BYTES_MAX: Final = 1_024
REASON_CHARACTERS_MAX: Final = 200
NAME_CHARACTERS_MAX: Final = 64  # of a seat


@dataclass(frozen=True, slots=True)
class SignBatch:
    """Sign the batch with this body; its author is the key."""

    body: bytes


@dataclass(frozen=True, slots=True)
class SignReadiness:
    """Sign the word of a new validator that its node is ready (node/readiness.py)."""

    name: str
    node_key: bytes
    height: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """Others hold this vote under our key: is it one that we made?"""

    kind: Kind
    epoch: int
    view: int
    hash: Hash
    signature: Signature


Request = SignVote | SignBatch | SignReadiness | Seen


@dataclass(frozen=True, slots=True)
class Signed:
    """Here is the signature."""

    signature: Signature


@dataclass(frozen=True, slots=True)
class Known:
    """The vote that was seen is ours, or lies where we can never sign again."""


@dataclass(frozen=True, slots=True)
class Declined:
    """This one not: it contradicts what was signed, or is malformed. The next one perhaps."""

    reason: str


@dataclass(frozen=True, slots=True)
class Suspended:
    """Nothing at all until a person releases the key: somebody else signs with it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Away:
    """Nobody is there to answer; ask again when somebody is. Never on the wire."""


Answer = Signed | Known | Declined | Suspended | Away


@dataclass(frozen=True, slots=True)
class Memory:
    """What a signer says of itself before anything else: its key, and how much its guard remembers."""

    public: PublicKey
    newest: View
    based: bool
    suspended: str  # why, or ""


def encode_request(number: int, request: Request) -> bytes:
    """Return the frame's content."""
    match request:
        case SignVote():
            return encode((number, 0, int(request.kind), request.epoch, request.view, request.hash))
        case SignBatch():
            return encode((number, 1, request.body))
        case SignReadiness():
            return encode((number, 2, request.name, request.node_key, request.height, request.root))
        case Seen():
            vote = (int(request.kind), request.epoch, request.view, request.hash)
            return encode((number, 3, *vote, request.signature))


def decode_request(data: bytes) -> tuple[int, Request]:
    """Return a request and its number; raise DecodeError. The caller has bounded ``data``."""
    fields = as_tuple(decode(data), most=8)
    if len(fields) < 2:
        raise DecodeError("no request")
    number, rest = as_int(fields[0]), fields[2:]
    match as_int(fields[1]):  # True == 1, and would match
        case 0:
            return number, SignVote(*_vote(*as_tuple(rest, 4)))
        case 1:
            (body,) = as_tuple(rest, 1)
            return number, SignBatch(as_bytes(body, most=BATCH_BYTES_MAX))
        case 2:
            name, node_key, height, root = as_tuple(rest, 4)
            text = as_str(name, NAME_CHARACTERS_MAX)
            key = as_bytes(node_key, PUBLIC_KEY_BYTES)
            return number, SignReadiness(text, key, as_int(height), as_bytes(root, HASH_BYTES))
        case 3:
            *vote, signature = as_tuple(rest, 5)
            return number, Seen(*_vote(*vote), Signature(as_bytes(signature, SIGNATURE_BYTES)))
        case _:
            raise DecodeError("unknown request")


def encode_answer(number: int, answer: Answer) -> bytes:
    """Return the frame's content."""
    match answer:
        case Signed():
            return encode((number, 0, answer.signature))
        case Known():
            return encode((number, 1, None))
        case Declined():
            return encode((number, 2, answer.reason[:REASON_CHARACTERS_MAX]))
        case Suspended():
            return encode((number, 3, answer.reason[:REASON_CHARACTERS_MAX]))
        case Away():
            raise AssertionError("who is away says nothing")


def decode_answer(data: bytes) -> tuple[int, Answer]:
    """Return an answer and the number of its request; raise DecodeError."""
    number, kind, value = as_tuple(decode(data), 3)
    match as_int(kind):
        case 0:
            return as_int(number), Signed(Signature(as_bytes(value, SIGNATURE_BYTES)))
        case 1:
            if value is not None:
                raise DecodeError("expected nothing")
            return as_int(number), Known()
        case 2:
            return as_int(number), Declined(as_str(value, REASON_CHARACTERS_MAX))
        case 3:
            return as_int(number), Suspended(as_str(value, REASON_CHARACTERS_MAX))
        case _:
            raise DecodeError("unknown answer")


def encode_hello(genesis_hash: bytes) -> bytes:
    """Return the first frame of a node: which network its requests are of."""
    return encode((VERSION, genesis_hash))


def decode_hello(data: bytes) -> bytes:
    """Return the genesis hash that a node names; raise DecodeError."""
    version, genesis_hash = as_tuple(decode(data), 2)
    as_int(version, VERSION, VERSION)
    return as_bytes(genesis_hash, HASH_BYTES)


def encode_welcome(memory: Memory | None, refusal: str = "") -> bytes:
    """Return the first frame of a signer: what it remembers, or why this node gets nothing from it."""
    if memory is None:
        return encode((VERSION, refusal[:REASON_CHARACTERS_MAX]))
    return encode((VERSION, memory.public, *memory.newest, memory.based, memory.suspended[:REASON_CHARACTERS_MAX]))


def decode_welcome(data: bytes) -> Memory | str:
    """Return what the signer remembers, or why it refuses; raise DecodeError."""
    fields = as_tuple(decode(data), most=6)
    if len(fields) == 2:
        as_int(fields[0], VERSION, VERSION)
        return as_str(fields[1], REASON_CHARACTERS_MAX)
    version, public, epoch, view, based, suspended = as_tuple(fields, 6)
    as_int(version, VERSION, VERSION)
    key = PublicKey(as_bytes(public, PUBLIC_KEY_BYTES))
    return Memory(key, (as_int(epoch), as_int(view)), as_bool(based), as_str(suspended, REASON_CHARACTERS_MAX))


def _vote(number: object, epoch: object, view: object, named: object) -> tuple[Kind, int, int, Hash]:
    kind = Kind(as_int(number, 0, 2))
    block_hash = Hash(as_bytes(named, HASH_BYTES))
    if (block_hash == NO_HASH) != (kind is Kind.NULLIFY):
        raise DecodeError("a hash stands if and only if the vote is no NULLIFY")
    return kind, as_int(epoch), as_int(view, 1), block_hash
