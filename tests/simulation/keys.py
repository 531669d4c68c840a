"""Signatures that cost a microsecond.

One rule: only the simulator may put these in the place of Ed25519. A signature is a MAC under the public key, so anyone
could forge it; our liars do not, and what they do forge is random bytes.
"""

import sys
from hashlib import blake2b, sha256
from typing import Final, Protocol

from consensus import crypto
from consensus.crypto import PublicKey, SecretKey, Signature


class Signer(Protocol):
    """What the simulator needs of a key."""

    public: PublicKey

    def sign(self, message: bytes) -> Signature: ...


class QuickKey:
    """Stands where SecretKey does."""

    def __init__(self, seed: bytes) -> None:
        self.public = PublicKey(sha256(b"som-simulated-key" + seed).digest())

    def sign(self, message: bytes) -> Signature:
        return Signature(blake2b(message, key=self.public, digest_size=64).digest())


def quick_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Stands where crypto.verify does."""
    return blake2b(message, key=public, digest_size=64).digest() == signature


real_verify = crypto.verify
CHECKING: Final = ("consensus.", "node.ledger.param")  # rooms that check signatures of consensus keys


def use(real: bool) -> None:
    """Make every room that checks consensus keys use Ed25519, or the quick stand-in, until the next call."""
    chosen = real_verify if real else quick_verify
    for name, module in sorted(sys.modules.items()):
        if name.startswith(CHECKING) and getattr(module, "verify", None) in (real_verify, quick_verify):
            module.verify = chosen  # type: ignore[attr-defined]


def make_key(real: bool, seed: bytes) -> Signer:
    """Return the key of a 32-byte seed."""
    return SecretKey(seed) if real else QuickKey(seed)
