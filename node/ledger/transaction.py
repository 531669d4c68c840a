"""The transaction envelope: bytes -> Transaction, signatures, and the making of transactions.

One rule: the id is the hash of the body's bytes as received, under the genesis hash. Signatures sign the id and are not
part of it. Nothing here reads the state: whether keys belong to accounts is decided at execution.

    raw  = [body bytes, [[account index, public key, signature] ...]]      signatures ascend, none twice
    body = [version, network, expires_ms, salt, [account ...], [operation ...]]
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from consensus.crypto import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SecretKey, verify
from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, digest, encode
from node.ledger.account import ACCOUNT_MAX
from node.ledger.errors import Code, Refused
from node.ledger.operations import Operation, decode_operation, legs_of, operation_value
from node.ledger.pay import LEGS_MAX

VERSION: Final = 1
TRANSACTION_BYTES_MAX: Final = 256 * 1024
OPERATIONS_MAX: Final = 16
ACCOUNTS_MAX: Final = 16  # accounts that one transaction acts for
SIGNATURES_MAX: Final = 32  # 2.2 ms of checking
NETWORK_MAX: Final = 2**32 - 1
SALT_MAX: Final = 2**64 - 1
EXPIRES_MAX_MS: Final = 2**53 - 1  # JSON numbers stay exact; the year 287,396
ID_BYTES: Final = 32

Signed = tuple[int, bytes, bytes]  # account index, public key, signature


class Transaction(NamedTuple):
    """One well-formed transaction; ``raw`` is canonical. A named tuple: a frozen dataclass costs 2 us more to make."""

    raw: bytes
    id: bytes  # 32 bytes
    body: bytes
    version: int
    network: int
    expires_ms: int
    salt: int
    accounts: tuple[int, ...]
    operations: tuple[Operation, ...]
    signatures: tuple[Signed, ...]


def decode_transaction(raw: bytes, genesis_hash: bytes) -> Transaction:
    """Return the transaction if its shape is right. Raises Refused with an envelope code, or the operation's own.

    Signatures are not checked (``signatures_valid``).
    """
    if len(raw) > TRANSACTION_BYTES_MAX:
        raise Refused(Code.TOO_LARGE)
    try:
        body, signatures = _decode_envelope(raw)
        version, network, expires_ms, salt, accounts, operations = as_tuple(decode(body), 6)
        as_int(version, VERSION, VERSION)
        listed = _as_accounts(accounts)
        return Transaction(
            raw,
            transaction_id(genesis_hash, body),
            body,
            VERSION,
            as_int(network, 0, NETWORK_MAX),
            as_int(expires_ms, 0, EXPIRES_MAX_MS),
            as_int(salt, 0, SALT_MAX),
            listed,
            _as_operations(operations, listed),
            _as_signatures(signatures, len(listed)),
        )
    except DecodeError:
        raise Refused(Code.MALFORMED) from None


def signatures_valid(transaction: Transaction) -> bool:
    """Return whether every signature signs the id. The expensive part: about 70 us a signature."""
    message = transaction.id
    return all(verify(public, message, signature) for _, public, signature in transaction.signatures)


def signature_checks(raw: bytes, genesis_hash: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Return (public key, message, signature) for each signature of raw bytes, for workers that check nothing else.

    Raises Refused if the envelope (not the body) is malformed. The bytes passed ``decode_transaction`` or will.
    """
    if len(raw) > TRANSACTION_BYTES_MAX:
        raise Refused(Code.TOO_LARGE)
    try:
        body, signatures = _decode_envelope(raw)
        message = transaction_id(genesis_hash, body)
        return [(public, message, signature) for _, public, signature in _as_signatures(signatures, ACCOUNTS_MAX)]
    except DecodeError:
        raise Refused(Code.MALFORMED) from None


def transaction_id(genesis_hash: bytes, body: bytes) -> bytes:
    """Return the 32 bytes that are signed."""
    return digest(b"som-tx-1", genesis_hash, body)


def make_body(
    network: int, expires_ms: int, salt: int, accounts: Sequence[int], operations: Sequence[Operation]
) -> bytes:
    """Return the body to be signed: first step of the making when several people sign."""
    values = tuple(operation_value(operation) for operation in operations)
    return encode((VERSION, network, expires_ms, salt, tuple(accounts), values))


def sign_body(genesis_hash: bytes, body: bytes, index: int, key: SecretKey) -> Signed:
    """Return one signature for the account at ``index`` of the body's list: what one signer does."""
    return (index, key.public, key.sign(transaction_id(genesis_hash, body)))


def assemble(body: bytes, signatures: Sequence[Signed]) -> bytes:
    """Return the raw transaction: the last step. The order of the signatures does not matter, doubles are dropped."""
    return encode((body, tuple(sorted(set(signatures)))))


def make_transaction(
    network: int,
    genesis_hash: bytes,
    expires_ms: int,
    salt: int,
    accounts: Sequence[int],
    operations: Sequence[Operation],
    signers: Sequence[tuple[int, SecretKey]],
) -> Transaction:
    """Return a signed transaction; signers are (index in ``accounts``, key). Raises Refused as decoding does."""
    body = make_body(network, expires_ms, salt, accounts, operations)
    raw = assemble(body, [sign_body(genesis_hash, body, index, key) for index, key in signers])
    return decode_transaction(raw, genesis_hash)


def add_signatures(transaction: Transaction, genesis_hash: bytes, signatures: Sequence[Signed]) -> Transaction:
    """Return the transaction with further signatures; its id stays."""
    return decode_transaction(assemble(transaction.body, [*transaction.signatures, *signatures]), genesis_hash)


def _decode_envelope(raw: bytes) -> tuple[bytes, object]:
    body, signatures = as_tuple(decode(raw), 2)
    return as_bytes(body), signatures


def _as_accounts(value: object) -> tuple[int, ...]:
    accounts = as_tuple(value, most=ACCOUNTS_MAX)
    for number in accounts:
        as_int(number, 0, ACCOUNT_MAX)
    if not accounts or len(set(accounts)) != len(accounts):
        raise DecodeError("accounts must be there, none twice")
    return accounts  # type: ignore[return-value]


def _as_operations(value: object, accounts: tuple[int, ...]) -> tuple[Operation, ...]:
    values = as_tuple(value)
    if not 1 <= len(values) <= OPERATIONS_MAX:
        raise Refused(Code.OPS)
    operations: list[Operation] = []
    legs = 0
    for index, item in enumerate(values):
        try:
            operation = decode_operation(as_tuple(item))
        except DecodeError:
            raise Refused(Code.MALFORMED, index) from None
        except Refused as refused:
            raise Refused(refused.code, index, refused.leg) from None
        legs += legs_of(operation)
        if legs > LEGS_MAX:
            raise Refused(Code.LEGS, index)
        for actor in operation.actors:
            if actor not in accounts:
                raise Refused(Code.NOT_SIGNED, index)
        operations.append(operation)
    return tuple(operations)


def _as_signatures(value: object, accounts: int) -> tuple[Signed, ...]:
    signatures = as_tuple(value, most=SIGNATURES_MAX)
    before: tuple[int, bytes] = (-1, b"")
    for item in signatures:
        index, public, signature = as_tuple(item, 3)
        signer = (as_int(index, 0, accounts - 1), as_bytes(public, PUBLIC_KEY_BYTES))
        as_bytes(signature, SIGNATURE_BYTES)
        if signer <= before:
            raise DecodeError("signatures must ascend, none twice")
        before = signer
    if not signatures:
        raise Refused(Code.NOT_SIGNED)
    return signatures  # type: ignore[return-value]
