"""Attestations: what somebody with the right to say it says about a subject, and since when it counts no more.

One rule: of a schema and a subject at most one attestation is current, and none is ever deleted. Rows and their index
are written here alone; who may attest is the business of attest.py.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from consensus.encoding import as_bytes, as_int, as_tuple, decode, encode
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX
from node.ledger.assets import RATIO_UNIT, Asset, Attested, as_schema
from node.ledger.errors import InvariantViolation
from node.ledger.readable import as_subject
from node.ledger.recent import Reader
from node.ledger.records import Records, after

ATTESTATION: Final = b"e"  # id -> the attestation                                      in the tree
CURRENT: Final = b"t"  # schema, subject -> id of the current attestation               in the tree
BY_SUBJECT: Final = b"F"  # schema, subject, 0, height, id: all there ever were         beside it

ATTESTATION_ID_BYTES: Final = 16
EVIDENCE_BYTES: Final = 32
TRANSACTION_ID_BYTES: Final = 32


class Attestation(NamedTuple):
    """``by`` says that ``subject`` was ``value`` at ``as_of_ms``. ``until_ms`` 0 = no end; ``revoked_ms`` 0 = not."""

    schema: str
    subject: str
    value: int
    as_of_ms: int
    until_ms: int
    evidence: bytes  # SHA-256 of a document
    by: int
    time_ms: int  # of the block that has it
    height: int
    transaction_id: bytes
    revoked_ms: int = 0
    revoked_by: int = 0


def find_attestation(records: Records, attestation_id: bytes) -> Attestation | None:
    """Return the attestation of that id, revoked or not."""
    row = records.get(ATTESTATION + attestation_id)
    return None if row is None else decode_attestation(row)


def current(records: Records, schema: str, subject: str) -> tuple[bytes, Attestation] | None:
    """Return the one that is not revoked, with its id. It may be out of date: see ``valid``."""
    return _named(records, records.get(CURRENT + subject_key(schema, subject)))


def valid(records: Records, schema: str, subject: str, time_ms: int) -> Attestation | None:
    """Return the current one if it has not ended."""
    found = current(records, schema, subject)
    return found[1] if found is not None and _runs(found[1], time_ms) else None


def add_attestation(records: Records, attestation_id: bytes, attestation: Attestation) -> None:
    """Add an attestation and make it the current one."""
    subject = subject_key(attestation.schema, attestation.subject)
    records.put(ATTESTATION + attestation_id, encode_attestation(attestation))
    records.put(CURRENT + subject, attestation_id)
    records.put(_history_key(subject, attestation.height) + attestation_id, b"")


def revoke_attestation(
    records: Records, attestation_id: bytes, attestation: Attestation, time_ms: int, by: int
) -> None:
    """Mark the current one as revoked; none is current then."""
    revoked = attestation._replace(revoked_ms=time_ms, revoked_by=by)
    records.put(ATTESTATION + attestation_id, encode_attestation(revoked))
    records.put(CURRENT + subject_key(attestation.schema, attestation.subject), None)


def attestations_of(records: Records, schema: str, subject: str) -> Iterator[tuple[bytes, Attestation]]:
    """Yield (id, attestation) of all there ever were, the oldest block first."""
    prefix = subject_key(schema, subject)
    return _listed(records, BY_SUBJECT + prefix + b"\0")


# --- what an attestation backs ---


def attested_supply(records: Records, asset: Asset, time_ms: int) -> int | None:
    """Return the greatest supply that the attestation of an asset's backing allows, or None if none counts now."""
    found = current(records, _backing(asset).schema, asset.code)
    return None if found is None else _supply_allowed(asset, found[1], time_ms)


def attested_supply_of_block(records: Records, asset: Asset, height: int, time_ms: int) -> int | None:
    """Return the greatest supply that was allowed at any moment of the open block, which may have revoked since."""
    subject = subject_key(_backing(asset).schema, asset.code)
    counted = [attestation for _, attestation in _listed(records, _history_key(subject, height))]
    before = _named(records, records.before(CURRENT + subject))
    if before is not None:
        counted.append(before[1])
    allowed = [_supply_allowed(asset, attestation, time_ms) for attestation in counted]
    return max((supply for supply in allowed if supply is not None), default=None)


def _supply_allowed(asset: Asset, attestation: Attestation, time_ms: int) -> int | None:
    backing = _backing(asset)
    if not _runs(attestation, time_ms) or time_ms - attestation.as_of_ms > backing.max_age_ms:
        return None
    return attestation.value * RATIO_UNIT // backing.ratio_bp


def _backing(asset: Asset) -> Attested:
    assert isinstance(asset.backing, Attested)
    return asset.backing


def audit_attestations(rows: Reader) -> None:
    """Check all attestations against what is current and what is listed. Raises InvariantViolation."""
    standing: dict[bytes, bytes] = {}
    listed: set[bytes] = set()
    for key, row in rows.scan(ATTESTATION, after(ATTESTATION)):
        attestation_id, attestation = key[1:], decode_attestation(row)
        subject = subject_key(attestation.schema, attestation.subject)
        listed.add(_history_key(subject, attestation.height) + attestation_id)
        if attestation.revoked_by:
            continue
        if CURRENT + subject in standing:
            raise InvariantViolation("two attestations of a subject are current")
        standing[CURRENT + subject] = attestation_id
    if standing != dict(rows.scan(CURRENT, after(CURRENT))):
        raise InvariantViolation("what is said to be current is not what is not revoked")
    if listed != {key for key, _ in rows.scan(BY_SUBJECT, after(BY_SUBJECT))}:
        raise InvariantViolation("the index of attestations is not theirs")


# --- rows ---


def _runs(attestation: Attestation, time_ms: int) -> bool:
    return not attestation.until_ms or time_ms < attestation.until_ms


def _named(records: Records, attestation_id: bytes | None) -> tuple[bytes, Attestation] | None:
    if attestation_id is None:
        return None
    attestation = find_attestation(records, attestation_id)
    assert attestation is not None, "a row names an attestation that is not there"
    return attestation_id, attestation


def _listed(records: Records, prefix: bytes) -> Iterator[tuple[bytes, Attestation]]:
    for key, _ in records.scan(prefix, after(prefix)):
        found = _named(records, key[-ATTESTATION_ID_BYTES:])
        assert found is not None
        yield found


def subject_key(schema: str, subject: str) -> bytes:
    """Return what stands for a subject in keys; with an empty one, the beginning of those of a schema."""
    return bytes((len(schema),)) + schema.encode() + subject.encode()


def _history_key(subject: bytes, height: int) -> bytes:
    return BY_SUBJECT + subject + b"\0" + height.to_bytes(8, "big")


def attestation_index(key: bytes, row: bytes) -> list[tuple[bytes, bytes]]:
    """Return the index row of a stored attestation. Raises DecodeError."""
    attestation = decode_attestation(row)
    subject = subject_key(attestation.schema, attestation.subject)
    return [(_history_key(subject, attestation.height) + key[1:], b"")]


def encode_attestation(attestation: Attestation) -> bytes:
    """Return the row: the fields in order."""
    return encode(attestation)


def decode_attestation(row: bytes) -> Attestation:
    """Return the attestation of a row that may come from a stranger. Raises DecodeError."""
    fields = as_tuple(decode(row), 12)
    return Attestation(
        as_schema(fields[0]),
        as_subject(fields[1]),
        as_int(fields[2], 0, AMOUNT_MAX),
        as_int(fields[3]),
        as_int(fields[4]),
        as_bytes(fields[5], EVIDENCE_BYTES),
        as_int(fields[6], 1, ACCOUNT_MAX),
        as_int(fields[7]),
        as_int(fields[8]),
        as_bytes(fields[9], TRANSACTION_ID_BYTES),
        as_int(fields[10]),
        as_int(fields[11], 0, ACCOUNT_MAX),
    )
