"""The import record: what we were about to send and what became of it, one line each, written before the first send.

One rule: the record saves work and keeps refusals; that nothing is paid twice never rests on it (resume.py). It is a
text file of JSON lines, so that an operator can read it; the caller opens it, appends and syncs. A line carries a
checksum: what a crash tore is left out, and only the last line may be torn.

    ["begun",   file digest, message id, genesis hash, time ms]
    ["sent",    pay index, transaction id, expires ms, attempt]
    ["refused", reference, code]
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from consensus.encoding import DecodeError, as_bytes, as_int, as_str, digest, encode
from node.iso20022.plan import REF_BYTES, Ref
from node.iso20022.resume import Rejected
from node.ledger.errors import Code

LINE_TAG: Final = b"som-iso-record-1"
LINE_BYTES_MAX: Final = 1_024
CHECK_BYTES: Final = 8
HASH_BYTES: Final = 32
MESSAGE_ID_CHARS: Final = 35


class RecordDamaged(Exception):
    """A line before the last is not as it was written: somebody or the disk changed the record."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An import was begun."""

    file_digest: bytes
    message_id: str
    genesis_hash: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction is about to be sent."""

    pay_index: int
    transaction_id: bytes
    expires_ms: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The ledger refused a payment, in a final block."""

    ref: Ref
    code: Code


Entry = Begun | Sent | Refused


def encode_entry(entry: Entry) -> bytes:
    """Return the line, with its line feed."""
    fields = _fields(entry)
    line = json.dumps([*fields, _check(fields)], ensure_ascii=False, separators=(", ", ": ")).encode() + b"\n"
    assert len(line) <= LINE_BYTES_MAX
    return line


def read_entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries of a record. A torn last line is left out; RecordDamaged for any other that is not whole."""
    damaged: int | None = None
    for number, line in enumerate(lines, 1):
        if damaged is not None:
            raise RecordDamaged(f"line {damaged} of the import record is damaged")
        entry = _decode(line)
        if entry is None:
            damaged = number
        else:
            yield entry


def whole_bytes(lines: Iterable[bytes]) -> int:
    """Return the length of the record without a torn last line: cut it there before appending."""
    return sum(len(line) for line in lines if _decode(line) is not None)


def refusals(entries: Iterable[Entry], file_digest: bytes, genesis_hash: bytes) -> dict[Ref, Rejected]:
    """Return what was refused of this file on this network."""
    found: dict[Ref, Rejected] = {}
    ours = False
    for entry in entries:
        match entry:
            case Begun():
                ours = (entry.file_digest, entry.genesis_hash) == (file_digest, genesis_hash)
            case Refused() if ours:
                found[entry.ref] = Rejected(entry.code)
            case Sent() | Refused():
                pass
    return found


def _fields(entry: Entry) -> list[str | int]:
    match entry:
        case Begun():
            return ["begun", entry.file_digest.hex(), entry.message_id, entry.genesis_hash.hex(), entry.time_ms]
        case Sent():
            return ["sent", entry.pay_index, entry.transaction_id.hex(), entry.expires_ms, entry.attempt]
        case Refused():
            return ["refused", entry.ref.hex(), int(entry.code)]


def _check(fields: list[str | int]) -> str:
    return digest(LINE_TAG, encode(fields))[:CHECK_BYTES].hex()


def _decode(line: bytes) -> Entry | None:
    if len(line) > LINE_BYTES_MAX or not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
        if type(value) is not list or not value or value[-1] != _check(value[:-1]):
            return None
        return _entry(tuple(value[:-1]))
    except (ValueError, TypeError, OverflowError, RecursionError):  # DecodeError is a ValueError
        return None


def _entry(fields: tuple[object, ...]) -> Entry:
    match fields:
        case ("begun", file_digest, message_id, genesis_hash, time_ms):
            message = as_str(message_id, MESSAGE_ID_CHARS)
            return Begun(_hash(file_digest), message, _hash(genesis_hash), as_int(time_ms))
        case ("sent", pay_index, transaction_id, expires_ms, attempt):
            return Sent(as_int(pay_index), _hash(transaction_id), as_int(expires_ms), as_int(attempt))
        case ("refused", ref, code):
            return Refused(Ref(as_bytes(_hex(ref), REF_BYTES)), Code(as_int(code)))
        case _:
            raise DecodeError("no such entry")


def _hex(value: object) -> bytes:
    return bytes.fromhex(as_str(value, 2 * HASH_BYTES))


def _hash(value: object) -> bytes:
    return as_bytes(_hex(value), HASH_BYTES)
