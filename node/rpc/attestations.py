"""The methods about attestations: (ports, params) -> result."""

from typing import Final

from consensus.encoding import DecodeError
from node.ledger.account import format_account
from node.ledger.attestations import (
    ATTESTATION_ID_BYTES,
    BY_SUBJECT,
    CURRENT,
    Attestation,
    current,
    find_attestation,
    subject_key,
)
from node.ledger.readable import as_subject
from node.ledger.records import Records
from node.rpc import ledger_types as types
from node.rpc.cursors import page_of_rows
from node.rpc.errors import INVALID_PARAMS, NOT_FOUND, RpcError
from node.rpc.ports import Ports
from node.rpc.reading import time_of
from node.rpc.registry import Method
from node.storage.reads import Reads


async def get_attestation(ports: Ports, params: types.GetAttestationParams) -> types.GetAttestationResult:
    """One attestation by its id, current or not: none is ever deleted."""
    with ports.store.snapshot() as store:
        view = _view(store, bytes.fromhex(params.id), time_of(store))
        return types.GetAttestationResult(at_height=store.tip.height, attestation=view)


async def get_current(ports: Ports, params: types.GetCurrentAttestationParams) -> types.GetCurrentAttestationResult:
    """What is attested of a subject now, if anything is."""
    subject = _subject(params.subject)
    with ports.store.snapshot() as store:
        found = current(Records(store), params.schema, subject)
        view = None if found is None else attestation_view(*found, time_of(store))
        return types.GetCurrentAttestationResult(at_height=store.tip.height, attestation=view)


async def list_attestations(ports: Ports, params: types.ListAttestationsParams) -> types.ListAttestationsResult:
    """The current attestations of a schema, or all there ever were of one subject."""
    with ports.store.snapshot() as store:
        if params.subject is None:
            of: tuple[str, ...] = ("attestation_list", params.schema)
            prefix = CURRENT + subject_key(params.schema, "")
        else:
            subject = _subject(params.subject)
            of = ("attestation_list", params.schema, subject)
            prefix = BY_SUBJECT + subject_key(params.schema, subject) + b"\0"
        rows, next_cursor = page_of_rows(store, of, prefix, params.cursor, params.limit)
        ids = (row if params.subject is None else key[-ATTESTATION_ID_BYTES:] for key, row in rows)
        time_ms = time_of(store)
        return types.ListAttestationsResult(
            at_height=store.tip.height,
            attestations=tuple(_view(store, name, time_ms) for name in ids),
            next_cursor=next_cursor,
        )


def attestation_view(name: bytes, attestation: Attestation, time_ms: int) -> types.AttestationView:
    """Return an attestation in words, as of a block time."""
    stands = not attestation.revoked_by
    return types.AttestationView(
        id=name.hex(),
        schema=attestation.schema,
        subject=attestation.subject,
        value=str(attestation.value),
        as_of_ms=attestation.as_of_ms,
        until_ms=attestation.until_ms or None,
        evidence=attestation.evidence.hex(),
        by=format_account(attestation.by),
        timestamp_ms=attestation.time_ms,
        height=attestation.height,
        tx_id=attestation.transaction_id.hex(),
        revoked_ms=attestation.revoked_ms or None,
        revoked_by=format_account(attestation.revoked_by) if attestation.revoked_by else None,
        current=stands,
        valid=stands and (not attestation.until_ms or time_ms < attestation.until_ms),
    )


def _view(store: Reads, name: bytes, time_ms: int) -> types.AttestationView:
    attestation = find_attestation(Records(store), name)
    if attestation is None:
        raise RpcError(NOT_FOUND, path="id", actual=name.hex())
    return attestation_view(name, attestation, time_ms)


def _subject(text: str) -> str:
    """Return the subject. Raises RpcError: another text could be mistaken for the beginning of a longer key."""
    try:
        return as_subject(text)
    except DecodeError as error:
        raise RpcError(INVALID_PARAMS, path="subject", expected=str(error)) from None


METHODS: Final = (
    Method("attestation_get", types.GetAttestationParams, types.GetAttestationResult, get_attestation),
    Method("attestation_getCurrent", types.GetCurrentAttestationParams, types.GetCurrentAttestationResult, get_current),
    Method("attestation_list", types.ListAttestationsParams, types.ListAttestationsResult, list_attestations, cost=5),
)
