"""Who is at the other end: TLS 1.3 with both sides authenticated by 32-byte node keys, and nothing else to distribute.

One rule: a peer is who signed the leaf that it presents, checked twice. OpenSSL checks the leaf against trust anchors
that we make ourselves, one for each allowed key; `peer_of` then checks the leaf's signature directly under the key that
its issuer names. Each check alone would do; a mistake in one of them is not an impostor in the network.

The anchor of a key is a certificate with that key as subject. Its own signature is made with a key that is thrown away:
OpenSSL does not look at the signature of a trust anchor. ``path_length=0`` in it is the security of the first check:
without it an allowed peer could issue an intermediate that carries another peer's name (docs/network.md, "Identity").

The leaf and its key live in memory only; revocation is by allowlist, so a leaf holds long and is backdated: a jump of
a clock must not part the network.
"""

import os
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from consensus.crypto import verify
from network.wire import GENESIS_HASH_BYTES, ID_BYTES, PeerId

ALPN: Final = "som-p2p/1"
LEAF_BACKDATED: Final = timedelta(days=1)
LEAF_VALID: Final = timedelta(days=30)
ANCHOR_NOT_BEFORE: Final = datetime(2020, 1, 1, tzinfo=UTC)
ANCHOR_NOT_AFTER: Final = datetime(2120, 1, 1, tzinfo=UTC)
CHAIN_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")  # with 16 digits of the hash below X.509's 64 characters


class NotAPeer(Exception):
    """The other end is not one of the peers, whatever TLS said."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """TLS for new connections, both ways, with one allowlist and one leaf."""

    server: ssl.SSLContext
    client: ssl.SSLContext


class Identity:
    """Our node key on one chain. It never prints its secret."""

    __slots__ = ("_key", "chain", "genesis_hash", "peer")

    peer: PeerId

    def __init__(self, seed: bytes, chain: str, genesis_hash: bytes) -> None:
        """Take the 32-byte seed of the node key, the chain's name and the 32-byte hash of its genesis."""
        if CHAIN_NAME.fullmatch(chain) is None:
            raise ValueError("a chain's name has 1 to 32 of a-z, 0-9 and -")
        if len(genesis_hash) != GENESIS_HASH_BYTES:
            raise ValueError(f"a genesis hash has {GENESIS_HASH_BYTES} bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.chain = chain
        self.genesis_hash = genesis_hash
        self.peer = PeerId(self._key.public_key().public_bytes_raw())

    def contexts(self, allowed: Iterable[PeerId]) -> Contexts:
        """Return contexts that let in ``allowed`` and nobody else. Takes about 0.3 ms for each of them."""
        anchors = "".join(anchor_pem(self.chain, self.genesis_hash, peer) for peer in sorted(allowed))
        leaf_pem = self._leaf_pem()
        server = _context(ssl.PROTOCOL_TLS_SERVER, anchors, leaf_pem)
        server.num_tickets = 0  # each connection shows its certificate; nothing is resumed under an older allowlist
        return Contexts(server, _context(ssl.PROTOCOL_TLS_CLIENT, anchors, leaf_pem))

    def peer_of(self, tls: object) -> PeerId:
        """Return the key that signed the other end's leaf, checked directly. Raises NotAPeer."""
        if not isinstance(tls, ssl.SSLObject | ssl.SSLSocket):
            raise NotAPeer("no TLS")
        if tls.version() != "TLSv1.3" or tls.selected_alpn_protocol() != ALPN:
            raise NotAPeer("not TLS 1.3 with our protocol")
        certificate = tls.getpeercert(binary_form=True)
        if certificate is None:
            raise NotAPeer("no certificate")
        return signer_of(certificate, self.chain, self.genesis_hash)

    def _leaf_pem(self) -> bytes:
        key = Ed25519PrivateKey.generate()
        now = datetime.now(UTC)
        leaf = sign_leaf(
            self.chain, self.genesis_hash, self._key, key.public_key(), now - LEAF_BACKDATED, now + LEAF_VALID
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return secret + leaf.public_bytes(serialization.Encoding.PEM)

    def __repr__(self) -> str:
        return f"Identity({self.peer.hex()[:8]} on {self.chain})"


def peer_name(chain: str, genesis_hash: bytes, peer: bytes) -> x509.Name:
    """Return the distinguished name of a node key on a chain: another chain is another name, so another anchor."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{chain}/{genesis_hash.hex()[:16]}"),
            x509.NameAttribute(NameOID.COMMON_NAME, peer.hex()),
        ]
    )


def anchor_pem(chain: str, genesis_hash: bytes, peer: PeerId) -> str:
    """Return the synthetic trust anchor of ``peer``."""
    name = peer_name(chain, genesis_hash, peer)
    public = Ed25519PublicKey.from_public_bytes(peer)
    anchor = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(ANCHOR_NOT_BEFORE)
        .not_valid_after(ANCHOR_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)  # no intermediates, ever
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(_THROWAWAY, None)
    )
    return anchor.public_bytes(serialization.Encoding.PEM).decode()


def sign_leaf(
    chain: str,
    genesis_hash: bytes,
    node_key: Ed25519PrivateKey,
    leaf_public: CertificatePublicKeyTypes,
    not_before: datetime,
    not_after: datetime,
) -> x509.Certificate:
    """Return the certificate with which the owner of ``node_key`` vouches for a leaf key."""
    public = node_key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")]))
        .issuer_name(peer_name(chain, genesis_hash, public.public_bytes_raw()))
        .public_key(leaf_public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(node_key, None)
    )


def signer_of(certificate: bytes, chain: str, genesis_hash: bytes) -> PeerId:
    """Return the key that the leaf (DER) names as its issuer, if that key signed it. Raises NotAPeer."""
    try:
        leaf = x509.load_der_x509_certificate(certificate)
        names = leaf.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
        peer = bytes.fromhex(str(names[0].value))
        is_ours = leaf.issuer == peer_name(chain, genesis_hash, peer)
        signed_with = leaf.signature_algorithm_oid
    except (ValueError, IndexError, x509.UnsupportedGeneralNameType) as error:
        raise NotAPeer(f"not a leaf: {type(error).__name__}") from None
    if len(peer) != ID_BYTES or not is_ours or signed_with != SignatureAlgorithmOID.ED25519:
        raise NotAPeer("the issuer is not a node key of this chain")
    if not verify(peer, leaf.tbs_certificate_bytes, leaf.signature):
        raise NotAPeer("the issuer did not sign this leaf")
    return PeerId(peer)


def _context(protocol: int, anchors_pem: str, leaf_pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # keys name peers, hosts do not
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([ALPN])
    if anchors_pem:
        context.load_verify_locations(cadata=anchors_pem)
    _load_in_memory(context, leaf_pem)
    return context


def _load_in_memory(context: ssl.SSLContext, leaf_pem: bytes) -> None:
    """Give ``context`` its certificate and key. ssl wants a path; an anonymous file in memory has one."""
    descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, leaf_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


_THROWAWAY: Final = Ed25519PrivateKey.generate()  # signs the anchors; nobody checks it, nobody needs to keep it
