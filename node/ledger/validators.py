"""The roster of validators: who counts in the committee, and who is admitted and has not proven ready yet.

One rule: only keys that proved ready count, and those of a roster always make a safe committee. Consensus takes the
committee of its next epoch from here; the rule of a safe committee is that of consensus/committee.py, which this room
may not import (tests/test_ledger_validators.py holds the two together).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from consensus.crypto import PUBLIC_KEY_BYTES
from consensus.encoding import DecodeError, as_bytes, as_int, as_str, as_tuple, decode, digest, encode
from node.ledger.genesis import NAME_CHARS_MAX, VALIDATOR_WEIGHT_MAX, VALIDATORS_MAX, Genesis, Validator
from node.ledger.parameters import record_hash
from node.ledger.readable import as_readable

ADDRESS_CHARS_MAX: Final = 255
PORT_MAX: Final = 65_535
READY_TAG: Final = b"som-ready-1"


class Keys(NamedTuple):
    """The two keys of a validator, 32 bytes each: votes are signed by the first, links by the second."""

    consensus_key: bytes
    node_key: bytes


class Seat(NamedTuple):
    """A validator's place. ``current`` counts in the committee; ``next`` is admitted and takes its place when ready.

    At least one of them is there. ``address`` is a hint where to dial, "host:port", or "".
    """

    name: str
    weight: int
    address: str
    current: Keys | None
    next: Keys | None


Roster = tuple[Seat, ...]  # ascending by name


def roster_of(genesis: Genesis) -> Roster:
    """Return the roster at height 0: everybody counts."""
    seats = [Seat(row.name, row.weight, "", Keys(row.consensus_key, row.node_key), None) for row in genesis.validators]
    return tuple(sorted(seats, key=lambda seat: seat.name))


def members(roster: Roster) -> tuple[Validator, ...]:
    """Return who counts in the committee, sorted by consensus key as committees are."""
    rows = [
        Validator(seat.name, seat.current.consensus_key, seat.current.node_key, seat.weight)
        for seat in roster
        if seat.current is not None
    ]
    return tuple(sorted(rows, key=lambda row: row.consensus_key))


def readiness_statement(genesis_hash: bytes, name: str, node_key: bytes, height: int, root: bytes) -> bytes:
    """Return the 32 bytes that a new consensus key signs to say: my node has executed ``height`` and got ``root``."""
    return digest(READY_TAG, genesis_hash, encode((name, node_key, height, root)))


def encode_roster(roster: Roster) -> bytes:
    """Return the record: [[name, weight, address, [consensus key, node key] | nil, the same of next] ...]."""
    return encode(roster)


def roster_hash(roster: Roster) -> bytes:
    """Return the hash by which a change names the roster that it is based on: all of it, also who waits."""
    return record_hash(encode_roster(roster))


def decode_roster(data: bytes) -> Roster:
    """Return the roster of a record that may come from a stranger. Raises DecodeError."""
    roster = tuple(_as_seat(row) for row in as_tuple(decode(data), most=VALIDATORS_MAX))
    require_ascending([seat.name for seat in roster])
    if not keys_distinct(all_keys(roster)):
        raise DecodeError("a key stands twice")
    return roster


def all_keys(roster: Roster) -> list[Keys]:
    """Return every pair of keys that is named, those that count and those that wait."""
    return [keys for seat in roster for keys in (seat.current, seat.next) if keys is not None]


def keys_distinct(pairs: Iterable[Keys]) -> bool:
    """Return whether no key stands twice, in whichever of the two parts: one secret has one use."""
    keys = [key for pair in pairs for key in pair]
    return len(set(keys)) == len(keys)


def roster_allowed(roster: Roster, genesis: Genesis) -> bool:
    """Return whether those who count make a safe committee. On a devnet one may outweigh all others."""
    return safe_committee([member.weight for member in members(roster)], genesis.kind == "devnet")


def safe_committee(weights: Sequence[int], allow_dominant: bool) -> bool:
    """Return whether validators of these weights make a committee: 1 to 31, none heavier than may be faulty.

    Where nothing may be faulty (a total weight of 3 or less), or ``allow_dominant``, each may weigh what it likes.
    """
    if not 1 <= len(weights) <= VALIDATORS_MAX:
        return False
    faulty_max = (sum(weights) - 1) // 3
    return allow_dominant or faulty_max == 0 or max(weights) <= faulty_max


def as_name(value: object) -> str:
    """Return a validator's name: 1 to 64 characters that can be seen."""
    return as_readable(value, NAME_CHARS_MAX)


def as_weight(value: object) -> int:
    """Return a validator's weight."""
    return as_int(value, 1, VALIDATOR_WEIGHT_MAX)


def as_address(value: object) -> str:
    """Return "" or host:port. Whether the host can be resolved is for those to find out who dial."""
    address = as_str(value, ADDRESS_CHARS_MAX)
    if not address:
        return address
    host, _, port = address.rpartition(":")
    if not host or not all("!" <= char <= "~" for char in host):
        raise DecodeError("expected host:port")
    if not (port.isascii() and port.isdigit()) or not 1 <= len(port) <= 5 or port[0] == "0" or int(port) > PORT_MAX:
        raise DecodeError("expected a port")
    return address


def as_validator_keys(consensus_key: object, node_key: object) -> Keys:
    """Return two keys of 32 bytes."""
    return Keys(as_bytes(consensus_key, PUBLIC_KEY_BYTES), as_bytes(node_key, PUBLIC_KEY_BYTES))


def require_ascending(names: Sequence[str]) -> None:
    """Raise DecodeError unless names ascend strictly, by code point."""
    if any(high <= low for low, high in pairwise(names)):
        raise DecodeError("names do not ascend")


def _as_seat(value: object) -> Seat:
    name, weight, address, current, after = as_tuple(value, 5)
    seat = Seat(as_name(name), as_weight(weight), as_address(address), _as_pair(current), _as_pair(after))
    if seat.current is None and seat.next is None:
        raise DecodeError("a seat without keys")
    return seat


def _as_pair(value: object) -> Keys | None:
    return None if value is None else as_validator_keys(*as_tuple(value, 2))
