"""A consensus key inside a device that speaks PKCS#11 (v3.0, CKM_EDDSA): it signs there, and never comes out.

One rule: a device is believed only as far as its answers are checked. What it signed must verify under the public key
with the one verifier of the network, or it is no signature. The only importer of pkcs11, which is the extra ``hsm``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from consensus.crypto import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, Signature, verify
from node.storage.errors import KeyFileError, StorageFailed

ED25519: Final = b"\x06\x03\x2b\x65\x70"  # CKA_EC_PARAMS: the object identifier 1.3.101.112, as RFC 8410 has it
POINT: Final = b"\x04\x20"  # CKA_EC_POINT: an octet string of 32 bytes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the key is: the vendor's library, the token's label, the label of the pair of keys."""

    module: str
    token: str
    label: str


class HsmKey:
    """A pair of keys in a token, under a session that stays open."""

    def __init__(self, place: Place, pin: bytes) -> None:
        """Log in and find the key. Raises KeyFileError: library, token, PIN or key are not what was said."""
        self.place = place
        self._session = _opened(place, pin, writes=False)
        try:
            self._private, self.public = _said(place, lambda: _find(self._session, place.label))
        except BaseException:
            self.close()
            raise

    def sign(self, message: bytes) -> Signature:
        """Return the signature, verified. Raises StorageFailed: the device is gone, or broken."""
        import pkcs11

        try:
            signature = bytes(self._private.sign(message, mechanism=pkcs11.Mechanism.EDDSA))
        except pkcs11.PKCS11Error as error:
            raise StorageFailed(f"{self.place.module}: {_name(error)}") from None
        if len(signature) != SIGNATURE_BYTES or not verify(self.public, message, signature):
            raise StorageFailed(f"{self.place.module}: a signature that does not verify")
        return Signature(signature)

    def close(self) -> None:
        """Log out."""
        self._session.close()

    def __repr__(self) -> str:
        return f"HsmKey(public={self.public.hex()[:8]})"


def generate(place: Place, pin: bytes) -> PublicKey:
    """Make a new pair of keys in the token; return the public half. Raises KeyFileError if the label is taken."""
    import pkcs11

    session = _opened(place, pin, writes=True)
    try:
        _said(place, lambda: _require_free(session, place.label))
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC_EDWARDS, {pkcs11.Attribute.EC_PARAMS: ED25519}, local=True
        )
        made = pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN
        _said(place, lambda: parameters.generate_keypair(mechanism=made, store=True, label=place.label))
        return _said(place, lambda: _find(session, place.label))[1]
    finally:
        session.close()


def _opened(place: Place, pin: bytes, writes: bool) -> Any:
    try:
        import pkcs11
    except ImportError:
        raise KeyFileError("python-pkcs11 is not installed: the extra `hsm` brings it") from None
    try:
        text = pin.decode()
    except UnicodeDecodeError:
        raise KeyFileError("the PIN is no UTF-8 text") from None
    return _said(
        place, lambda: pkcs11.lib(place.module).get_token(token_label=place.token).open(rw=writes, user_pin=text)
    )


def _said(place: Place, act: Callable[[], T]) -> T:
    """Do something with the device; whatever it complains of is an error of its setting up."""
    import pkcs11

    try:
        return act()
    except (pkcs11.PKCS11Error, RuntimeError) as error:  # RuntimeError: no such library
        raise KeyFileError(f"{place.module}, token {place.token!r}: {_name(error)}") from None


def _find(session: Any, label: str) -> tuple[Any, PublicKey]:
    import pkcs11

    kinds = pkcs11.ObjectClass
    private = session.get_key(object_class=kinds.PRIVATE_KEY, key_type=pkcs11.KeyType.EC_EDWARDS, label=label)
    public = session.get_key(object_class=kinds.PUBLIC_KEY, key_type=pkcs11.KeyType.EC_EDWARDS, label=label)
    if private[pkcs11.Attribute.EXTRACTABLE] or not private[pkcs11.Attribute.SENSITIVE]:
        raise KeyFileError(f"the key {label!r} can be taken out of the token; a consensus key must not")
    point = bytes(public[pkcs11.Attribute.EC_POINT])
    key = point.removeprefix(POINT)  # some devices leave the header away
    if len(key) != PUBLIC_KEY_BYTES:
        raise KeyFileError(f"the key {label!r} is no Ed25519 key")
    return private, PublicKey(key)


def _require_free(session: Any, label: str) -> None:
    import pkcs11

    if any(True for _ in session.get_objects({pkcs11.Attribute.LABEL: label})):
        raise KeyFileError(f"the token has a key {label!r} already; what it has signed nobody knows")


def _name(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
