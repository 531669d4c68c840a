"""What the journal holds: facts of one epoch, in any order, each of which may stand alone.

One rule: a record says what we promised or what is proven, never what to do next, so a journal that was cut anywhere
is a legal past.
"""

from dataclasses import dataclass
from typing import Final

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, encode
from consensus.messages import (
    HASH_BYTES,
    Block,
    Certificate,
    Hash,
    Kind,
    decode_block,
    decode_certificate,
    encode_certificate,
)

RECORD_BYTES_MAX: Final = 80 * 1024  # a block with the largest payload, and room

_INTENT, _CERTIFICATE, _BLOCK, _REPROPOSAL = range(4)


@dataclass(frozen=True, slots=True)
class Intent:
    """A vote that we are going to sign. The signature is not kept: signing again gives the same bytes."""

    kind: Kind
    epoch: int
    view: int
    hash: Hash


@dataclass(frozen=True, slots=True)
class Reproposal:
    """As leader of ``view`` we propose the epoch's last block again, certified in ``parent_view``."""

    epoch: int
    view: int
    parent_view: int


Record = Intent | Certificate | Block | Reproposal


def encode_record(record: Record) -> bytes:
    """Return the journal's form of a record."""
    match record:
        case Intent():
            return encode((_INTENT, int(record.kind), record.epoch, record.view, record.hash))
        case Certificate():
            return encode((_CERTIFICATE, encode_certificate(record)))
        case Block():
            return encode((_BLOCK, record.encoded))
        case Reproposal():
            return encode((_REPROPOSAL, record.epoch, record.view, record.parent_view))


def decode_record(data: bytes) -> Record:
    """Return the record that ``data`` encodes. DecodeError means that the journal is damaged."""
    kind, *fields = as_tuple(decode(data), most=8) or (None,)
    match as_int(kind):  # True == 1, and would match
        case 0:
            what, epoch, view, named = as_tuple(tuple(fields), 4)
            return Intent(Kind(as_int(what, 0, 2)), as_int(epoch), as_int(view, 1), Hash(as_bytes(named, HASH_BYTES)))
        case 1:
            return decode_certificate(as_bytes(as_tuple(tuple(fields), 1)[0]))
        case 2:
            return decode_block(as_bytes(as_tuple(tuple(fields), 1)[0]))
        case 3:
            return Reproposal(*(as_int(field) for field in as_tuple(tuple(fields), 3)))
        case _:
            raise DecodeError("unknown record")
