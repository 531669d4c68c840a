"""The operation `attest`: say what is so outside the ledger, in place of what was said before; revoke.

One rule: who attests names what is current. So two that attest at once cannot undo each other unseen.
"""

from typing import Final, NamedTuple

from consensus.encoding import as_bytes, as_int, as_tuple
from node.ledger.account import ACCOUNT_MAX, AMOUNT_MAX, TIME_MAX_MS
from node.ledger.assets import as_schema
from node.ledger.attestations import (
    ATTESTATION_ID_BYTES,
    EVIDENCE_BYTES,
    Attestation,
    add_attestation,
    current,
    find_attestation,
    revoke_attestation,
)
from node.ledger.errors import Code, Refused
from node.ledger.holds import row_id
from node.ledger.parameters import Parameters
from node.ledger.readable import as_subject
from node.ledger.step import Step

ATTEST: Final = 6  # operation number
SAY, REVOKE = 1, 2  # acts


class Attest(NamedTuple):
    """``by`` says that ``subject`` was ``value`` at ``as_of_ms``; ``revokes``: id of the current one, or empty."""

    by: int
    schema: str
    subject: str
    value: int
    as_of_ms: int
    until_ms: int  # 0 = no end
    evidence: bytes  # SHA-256 of a document
    revokes: bytes

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


class RevokeAttestation(NamedTuple):
    """``by`` takes back the current attestation of that id."""

    by: int
    attestation: bytes

    @property
    def actors(self) -> tuple[int, ...]:
        return (self.by,)


AttestOperation = Attest | RevokeAttestation


def decode_attest(fields: tuple[object, ...]) -> AttestOperation:
    """Return the act. Raises Refused(MALFORMED) or DecodeError."""
    if not fields:
        raise Refused(Code.MALFORMED)
    match as_int(fields[0]):
        case 1:
            return _decode_say(as_tuple(fields, 9))
        case 2:
            _, by, attestation = as_tuple(fields, 3)
            return RevokeAttestation(as_int(by, 0, ACCOUNT_MAX), as_bytes(attestation, ATTESTATION_ID_BYTES))
        case _:
            raise Refused(Code.MALFORMED)


def _decode_say(fields: tuple[object, ...]) -> Attest:
    _, by, schema, subject, value, as_of_ms, until_ms, evidence, revokes = fields
    return Attest(
        as_int(by, 0, ACCOUNT_MAX),
        as_schema(schema),
        as_subject(subject),
        as_int(value, 0, AMOUNT_MAX),
        as_int(as_of_ms, 0, TIME_MAX_MS),
        as_int(until_ms, 0, TIME_MAX_MS),
        as_bytes(evidence, EVIDENCE_BYTES),
        b"" if revokes == b"" else as_bytes(revokes, ATTESTATION_ID_BYTES),
    )


# --- applying ---


def apply_attest(step: Step, operation: Attest) -> None:
    """Attest in place of the current attestation of the same schema and subject, if there is one."""
    state, records = step.state, step.state.records
    state.require_active(operation.by)
    require_attester(state.parameters, operation.schema, operation.by)
    found = current(records, operation.schema, operation.subject)
    if (b"" if found is None else found[0]) != operation.revokes:
        raise Refused(Code.NO_ATTESTATION)
    _require_times(step, operation, None if found is None else found[1])
    if found is not None:
        revoke_attestation(records, *found, step.time_ms, operation.by)
    attestation = Attestation(
        operation.schema,
        operation.subject,
        operation.value,
        operation.as_of_ms,
        operation.until_ms,
        operation.evidence,
        operation.by,
        step.time_ms,
        step.height,
        step.transaction_id,
    )
    add_attestation(records, row_id(step.transaction_id, step.op, 0), attestation)


def apply_revoke_attestation(step: Step, operation: RevokeAttestation) -> None:
    """Take back the current attestation; it stays to be read."""
    state, records = step.state, step.state.records
    state.require_active(operation.by)
    attestation = find_attestation(records, operation.attestation)
    if attestation is None:
        raise Refused(Code.NO_ATTESTATION)
    if operation.by not in (state.parameters.attesters_of(attestation.schema) or ()):
        raise Refused(Code.ROLE)
    if attestation.revoked_by:
        raise Refused(Code.NO_ATTESTATION)
    revoke_attestation(records, operation.attestation, attestation, step.time_ms, operation.by)


def require_attester(parameters: Parameters, schema: str, by: int) -> None:
    """Raise Refused: ATTEST if nobody may use the schema, ROLE if others may."""
    attesters = parameters.attesters_of(schema)
    if attesters is None:
        raise Refused(Code.ATTEST)
    if by not in attesters:
        raise Refused(Code.ROLE)


def _require_times(step: Step, operation: Attest, before: Attestation | None) -> None:
    too_late = operation.as_of_ms > step.time_ms
    too_early = before is not None and operation.as_of_ms < before.as_of_ms
    ended = operation.until_ms and operation.until_ms <= max(step.time_ms, operation.as_of_ms)
    if too_late or too_early or ended:
        raise Refused(Code.ATTEST)
