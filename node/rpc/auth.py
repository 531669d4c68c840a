"""What the owner of an account signs to be told about it (types.Auth): the same bytes for clients and for the node."""

from typing import Final

from consensus.crypto import SecretKey
from consensus.encoding import digest
from node.ledger.account import format_account
from node.rpc.types import Auth

AUTH_MS_MAX: Final = 10 * 60_000  # how far ahead a proof of ownership may expire: it can be copied until then
_TAG: Final = b"som-read-1"


def auth_statement(genesis_hash: bytes, account: int, expires_ms: int, namespace: str) -> bytes:
    """Return what is signed; ``namespace`` is the first part of a method's name."""
    return digest(_TAG, genesis_hash, account.to_bytes(8, "big"), expires_ms.to_bytes(8, "big"), namespace.encode())


def sign_auth(genesis_hash: bytes, account: int, expires_ms: int, namespace: str, key: SecretKey) -> Auth:
    """Return the proof that the signer has a key of the account."""
    signature = key.sign(auth_statement(genesis_hash, account, expires_ms, namespace))
    return Auth(
        account=format_account(account),
        expires_ms=expires_ms,
        key=key.public.hex(),
        signature=bytes(signature).hex(),
    )


def namespace_of(method: str) -> str:
    """Return the part of a method's name that permissions and metrics go by."""
    return method.partition("_")[0].partition(".")[0]
