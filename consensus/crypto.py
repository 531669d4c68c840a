"""Ed25519 (RFC 8032) keys, signing and checking, and the sealing of key files; the only importer of nacl.

Which signatures are valid is a rule of consensus: libraries disagree on crafted keys, so there is one verifier,
libsodium's through PyNaCl, pinned (docs/decisions/0003-identity.md).
"""

from typing import Final, NewType

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import Aead

PublicKey = NewType("PublicKey", bytes)  # 32 bytes
Signature = NewType("Signature", bytes)  # 64 bytes

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SEED_BYTES: Final = 32


class SecretKey:
    """A signing key. It never prints itself; signatures are deterministic."""

    __slots__ = ("_secret", "public")

    public: PublicKey

    def __init__(self, seed: bytes) -> None:
        """Take the 32-byte seed of RFC 8032, section 5.1.5."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes")
        public, secret = crypto_sign_seed_keypair(seed)
        self._secret: bytes = secret
        self.public = PublicKey(public)

    def sign(self, message: bytes) -> Signature:
        """Return the detached signature over ``message``."""
        return Signature(crypto_sign(message, self._secret)[:SIGNATURE_BYTES])

    def __repr__(self) -> str:
        return f"SecretKey(public={self.public.hex()[:8]})"


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether ``signature`` over ``message`` is valid under ``public``. Lengths are the caller's to check."""
    try:
        crypto_sign_open(signature + message, public)
    except (CryptoError, ValueError):
        return False
    return True


# --- key files: a secret under a passphrase. Nothing here touches consensus, and nothing draws its own randomness. ---

SALT_BYTES: Final = 16
NONCE_BYTES: Final = 24


def seal(secret: bytes, header: bytes, passphrase: bytes, salt: bytes, nonce: bytes, ops: int, memory: int) -> bytes:
    """Return ``secret`` encrypted with XChaCha20-Poly1305 under a key from Argon2id (RFC 9106).

    ``header`` is authenticated with it. ``ops`` passes over ``memory`` bytes; salt and nonce are new for every call.
    """
    key = argon2id.kdf(Aead.KEY_SIZE, passphrase, salt, opslimit=ops, memlimit=memory)
    return bytes(Aead(key).encrypt(secret, header, nonce).ciphertext)


def unseal(
    sealed: bytes, header: bytes, passphrase: bytes, salt: bytes, nonce: bytes, ops: int, memory: int
) -> bytes | None:
    """Return what ``seal`` took, or None if passphrase, header or any byte differs. The caller bounds ``memory``."""
    key = argon2id.kdf(Aead.KEY_SIZE, passphrase, salt, opslimit=ops, memlimit=memory)
    try:
        return bytes(Aead(key).decrypt(sealed, header, nonce))
    except (CryptoError, ValueError):
        return None
