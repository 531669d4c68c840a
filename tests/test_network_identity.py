"""Who is at the other end: each known way to pass for another peer is tried, over real sockets, from both ends.

The table is run again on every Python and OpenSSL. A row is what an attacker presents; whoever holds key B may pass
for B and for nobody else.
"""

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from network.identity import ALPN, Contexts, Identity, NotAPeer, peer_name, sign_leaf, signer_of
from network.wire import PeerId
from tests.network_lab import CHAIN, GENESIS, PATIENCE_SECONDS

Key = Ed25519PrivateKey | EllipticCurvePrivateKey
KEYS: Final[dict[str, Callable[[], Key]]] = {
    "ed25519": Ed25519PrivateKey.generate,
    "p256": lambda: generate_private_key(SECP256R1()),
}
DAY: Final = timedelta(days=1)

SEEDS: Final = {name: name.encode().ljust(32, b".") for name in "ABX"}
A, B, X = (Identity(SEEDS[name], CHAIN, GENESIS) for name in "ABX")  # A is attacked; B is allowed; X is a stranger


def node_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(SEEDS[name])


@dataclass(frozen=True, slots=True)
class Papers:
    """What one end presents: a key and its chain, leaf first; or nothing."""

    key: Key | None
    chain: tuple[x509.Certificate, ...] = ()
    newest_tls: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    alpn: str = ALPN


def papers(
    leaf_key: Key, signer: str = "B", chain: str = CHAIN, genesis: bytes = GENESIS, since: int = -1, until: int = 30
) -> Papers:
    now = datetime.now(UTC)
    leaf = sign_leaf(chain, genesis, node_key(signer), leaf_key.public_key(), now + since * DAY, now + until * DAY)
    return Papers(leaf_key, (leaf,))


def certificate(subject: x509.Name, issuer: x509.Name, public: Key, signer: Key, is_ca: bool) -> x509.Certificate:
    """Sign as one who knows how OpenSSL looks for issuers: with key identifiers, or it would stop at the first name."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public.public_key())
        .serial_number(7)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(signer, None if isinstance(signer, Ed25519PrivateKey) else hashes.SHA256())
    )


LEAF_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
A_NAME, B_NAME = (peer_name(CHAIN, GENESIS, one.peer) for one in (A, B))


def names_another_issuer(leaf_key: Key) -> Papers:
    """X signs a leaf that names B as its issuer."""
    return Papers(leaf_key, (certificate(LEAF_NAME, B_NAME, leaf_key, node_key("X"), is_ca=False),))


def mimics_the_anchor(leaf_key: Key) -> Papers:
    """A self-signed certificate with B's name, as if it were B's trust anchor."""
    return Papers(leaf_key, (certificate(B_NAME, B_NAME, leaf_key, leaf_key, is_ca=True),))


def mimics_the_anchor_above_a_leaf(leaf_key: Key) -> Papers:
    """A leaf under a self-signed certificate with B's name and a key of the attacker's."""
    forged = Ed25519PrivateKey.generate()
    return Papers(
        leaf_key,
        (
            certificate(LEAF_NAME, B_NAME, leaf_key, forged, is_ca=False),
            certificate(B_NAME, B_NAME, forged, forged, is_ca=True),
        ),
    )


def issues_an_intermediate(leaf_key: Key, name: x509.Name = A_NAME) -> Papers:
    """B, who is allowed, issues an intermediate that is named A, and a leaf under it."""
    middle = Ed25519PrivateKey.generate()
    return Papers(
        leaf_key,
        (
            certificate(LEAF_NAME, name, leaf_key, middle, is_ca=False),
            certificate(name, B_NAME, middle, node_key("B"), is_ca=True),
        ),
    )


def issues_an_intermediate_through_itself(leaf_key: Key) -> Papers:
    """As above, below a certificate of B for B: one that is issued by its subject does not count as a step."""
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    return Papers(
        leaf_key,
        (
            certificate(LEAF_NAME, A_NAME, leaf_key, second, is_ca=False),
            certificate(A_NAME, B_NAME, second, first, is_ca=True),
            certificate(B_NAME, B_NAME, first, node_key("B"), is_ca=True),
        ),
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row: what is presented, against which allowlist, and who may be believed."""

    name: str
    present: Callable[[Key], Papers]
    believed: PeerId | None = None
    allowed: tuple[Identity, ...] = (A, B)
    clients_only: bool = False  # a server always presents something
    tls_believes: PeerId | None = None  # where the second check is the stricter one


ATTEMPTS: Final = [
    Attempt("an allowed peer", papers, believed=B.peer),
    Attempt("an allowed peer whose clock is 20 h ahead", lambda key: papers(key, since=-1, until=31), believed=B.peer),
    Attempt("an unknown key", lambda key: papers(key, "X")),
    Attempt("no certificate", lambda key: Papers(None), clients_only=True),
    Attempt("TLS 1.2", lambda key: Papers(key, papers(key).chain, newest_tls=ssl.TLSVersion.TLSv1_2)),
    Attempt("an expired leaf", lambda key: papers(key, since=-31, until=-1)),
    Attempt("a leaf of the future", lambda key: papers(key, since=2, until=32)),
    Attempt("the same keys on a chain of another name", lambda key: papers(key, chain="som-other")),
    Attempt("the same keys on a chain with another genesis", lambda key: papers(key, genesis=bytes(32))),
    Attempt("a peer that was removed", papers, allowed=(A, X)),
    Attempt("an empty allowlist", papers, allowed=()),
    Attempt("X signs a leaf that names B", names_another_issuer),
    Attempt("a self-signed mimic of B", mimics_the_anchor),
    Attempt("a leaf under a mimic of B", mimics_the_anchor_above_a_leaf),
    Attempt("B issues an intermediate named A", issues_an_intermediate),
    Attempt("B issues an intermediate named A through itself", issues_an_intermediate_through_itself),
    # B says that B's own intermediate is B: true, and still more than a peer may do.
    Attempt("B issues one named B", lambda key: issues_an_intermediate(key, B_NAME), tls_believes=B.peer),
    Attempt(
        "B issues a leaf through an intermediate named X",
        lambda key: issues_an_intermediate(key, peer_name(CHAIN, GENESIS, X.peer)),
    ),
    Attempt("another protocol", lambda key: Papers(key, papers(key).chain, alpn="http/1.1")),
]


@pytest.mark.parametrize("leaf", KEYS)
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
async def test_a_server_believes_who_a_client_is_only_if_it_is(attempt: Attempt, leaf: str, tmp_path: Path) -> None:
    context = attacker(ssl.PROTOCOL_TLS_CLIENT, attempt.present(KEYS[leaf]()), tmp_path)
    assert (
        await meet(A.contexts(one.peer for one in attempt.allowed).server, context, believer="server")
        == attempt.believed
    )


@pytest.mark.parametrize("leaf", KEYS)
@pytest.mark.parametrize("attempt", [one for one in ATTEMPTS if not one.clients_only], ids=lambda attempt: attempt.name)
async def test_a_client_believes_who_a_server_is_only_if_it_is(attempt: Attempt, leaf: str, tmp_path: Path) -> None:
    context = attacker(ssl.PROTOCOL_TLS_SERVER, attempt.present(KEYS[leaf]()), tmp_path)
    assert (
        await meet(context, A.contexts(one.peer for one in attempt.allowed).client, believer="client")
        == attempt.believed
    )


def issuer_by_tls_alone(tls: object) -> PeerId:
    """Believe TLS and look no further."""
    assert isinstance(tls, ssl.SSLObject)
    shown = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    return PeerId(bytes.fromhex(str(shown.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)))


@pytest.mark.parametrize("leaf", KEYS)
@pytest.mark.parametrize("attempt", ATTEMPTS[1:-1], ids=lambda attempt: attempt.name)
async def test_tls_alone_would_refuse_every_impostor(attempt: Attempt, leaf: str, tmp_path: Path) -> None:
    context = attacker(ssl.PROTOCOL_TLS_CLIENT, attempt.present(KEYS[leaf]()), tmp_path)
    server = A.contexts(one.peer for one in attempt.allowed).server
    assert await meet(server, context, "server", issuer_by_tls_alone) == (attempt.believed or attempt.tls_believes)


@pytest.mark.parametrize("leaf", KEYS)
async def test_without_path_length_zero_tls_believes_an_impostor_and_the_direct_check_does_not(
    leaf: str, tmp_path: Path
) -> None:
    """The attack that our own first design let through: it shows that the row above is refused for the right reason."""
    impostor = issues_an_intermediate(KEYS[leaf]())
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.verify_mode = ssl.CERT_REQUIRED
    lax.set_alpn_protocols([ALPN])
    for name in ("A", "B"):
        subject = peer_name(CHAIN, GENESIS, node_key(name).public_key().public_bytes_raw())
        anchor = certificate(subject, subject, node_key(name), node_key(name), is_ca=True)
        lax.load_verify_locations(cadata=anchor.public_bytes(serialization.Encoding.PEM).decode())
    load(lax, papers(Ed25519PrivateKey.generate(), "A"), tmp_path)
    refused: list[str] = []

    def believe(tls: object) -> PeerId | None:
        assert isinstance(tls, ssl.SSLObject)
        shown = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
        assert shown.issuer == A_NAME  # TLS is content, and the leaf says that A issued it
        try:
            return A.peer_of(tls)
        except NotAPeer as error:
            refused.append(str(error))
            return None

    assert await meet(lax, attacker(ssl.PROTOCOL_TLS_CLIENT, impostor, tmp_path), "server", believe) is None
    assert refused == ["the issuer did not sign this leaf"]


@pytest.mark.parametrize(("chain", "genesis"), [("som-other", GENESIS), (CHAIN, bytes(32))], ids=["name", "genesis"])
def test_the_direct_check_alone_refuses_a_leaf_of_another_chain(chain: str, genesis: bytes) -> None:
    (leaf,) = papers(Ed25519PrivateKey.generate(), chain=chain, genesis=genesis).chain
    shown = leaf.public_bytes(serialization.Encoding.DER)
    assert signer_of(shown, chain, genesis) == B.peer
    with pytest.raises(NotAPeer, match="not a node key of this chain"):
        signer_of(shown, CHAIN, GENESIS)


async def test_two_peers_name_each_other() -> None:
    allowed = (A.peer, B.peer)
    for believer, name in (("server", B.peer), ("client", A.peer)):
        seen = await meet(
            A.contexts(allowed).server, B.contexts(allowed).client, believer, (A if believer == "server" else B).peer_of
        )
        assert seen == name


async def test_no_session_is_resumed_under_an_older_allowlist() -> None:
    contexts = A.contexts([B.peer])
    assert contexts.server.num_tickets == 0
    client = B.contexts([A.peer]).client
    sessions: list[bool] = []

    def note(tls: object) -> PeerId:
        assert isinstance(tls, ssl.SSLObject)
        sessions.append(bool(tls.session_reused))
        return A.peer_of(tls)

    for _ in range(2):
        assert await meet(contexts.server, client, "server", note) == B.peer
    assert sessions == [False, False]


def test_the_leaf_key_touches_no_file_and_leaves_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    contexts = A.contexts([B.peer])
    assert isinstance(contexts, Contexts)
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_each_start_has_a_leaf_of_its_own() -> None:
    first, second = (signed_leaf(A) for _ in range(2))
    assert first.public_key() != second.public_key()
    assert first.not_valid_before_utc < datetime.now(UTC) - DAY / 2
    assert first.not_valid_after_utc > datetime.now(UTC) + 29 * DAY


def test_an_identity_never_prints_its_secret() -> None:
    assert SEEDS["A"].hex() not in repr(A)
    assert repr(A) == f"Identity({A.peer.hex()[:8]} on {CHAIN})"


@pytest.mark.parametrize("chain", ["", "Som", "som/dev", "s" * 33, "-som", "som\n"])
def test_a_chain_name_that_could_read_as_another_is_refused(chain: str) -> None:
    with pytest.raises(ValueError):
        Identity(SEEDS["A"], chain, GENESIS)


def test_a_genesis_hash_and_a_seed_have_32_bytes() -> None:
    with pytest.raises(ValueError):
        Identity(SEEDS["A"], CHAIN, b"short")
    with pytest.raises(ValueError):
        Identity(b"short", CHAIN, GENESIS)


@pytest.mark.parametrize("damage", ["empty", "noise", "truncated", "flipped"])
def test_bytes_that_are_no_leaf_are_nobody(damage: str) -> None:
    good = papers(Ed25519PrivateKey.generate()).chain[0].public_bytes(serialization.Encoding.DER)
    assert signer_of(good, CHAIN, GENESIS) == B.peer
    bad = {
        "empty": b"",
        "noise": os.urandom(200),
        "truncated": good[:-1],
        "flipped": good[:-1] + bytes((good[-1] ^ 1,)),
    }
    with pytest.raises(NotAPeer):
        signer_of(bad[damage], CHAIN, GENESIS)


@pytest.mark.parametrize("name", ["zz" * 32, "ab" * 31, "ab" * 33, ""])
def test_an_issuer_that_is_no_key_is_nobody(name: str) -> None:
    key = Ed25519PrivateKey.generate()
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{CHAIN}/{GENESIS.hex()[:16]}")]
    if name and len(name) <= 64:
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    leaf = certificate(LEAF_NAME, x509.Name(names), key, node_key("B"), is_ca=False)
    with pytest.raises(NotAPeer):
        signer_of(leaf.public_bytes(serialization.Encoding.DER), CHAIN, GENESIS)


def test_plain_text_is_nobody() -> None:
    with pytest.raises(NotAPeer):
        A.peer_of(None)


def signed_leaf(who: Identity) -> x509.Certificate:
    """Return the leaf that fresh contexts of ``who`` present."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = who.contexts([B.peer]).server.wrap_bio(incoming, outgoing, server_side=True)
    client = B.contexts([who.peer]).client.wrap_bio(outgoing, incoming)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    return x509.load_der_x509_certificate(client.getpeercert(binary_form=True) or b"")


def attacker(protocol: int, presented: Papers, folder: Path) -> ssl.SSLContext:
    """Return the context of one who believes everybody and presents what it likes."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = presented.newest_tls
    context.set_alpn_protocols([presented.alpn])
    load(context, presented, folder)
    return context


def load(context: ssl.SSLContext, presented: Papers, folder: Path) -> None:
    if presented.key is None:
        return
    pem = presented.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem += b"".join(one.public_bytes(serialization.Encoding.PEM) for one in presented.chain)
    path = folder / "presented.pem"
    path.write_bytes(pem)
    context.load_cert_chain(path)


async def meet(
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    believer: str,
    believe: Callable[[object], PeerId | None] = A.peer_of,
) -> PeerId | None:
    """Let the two meet over a socket. Return whom the believer believes the other to be, None if it refuses."""
    seen: list[PeerId | None] = []

    def look(writer: asyncio.StreamWriter) -> None:
        try:
            seen.append(believe(writer.get_extra_info("ssl_object")))
        except NotAPeer:
            seen.append(None)

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if believer == "server":
            look(writer)
        writer.close()

    listener = await asyncio.start_server(receive, "127.0.0.1", 0, ssl=server)
    port = listener.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
            if believer == "client":
                look(writer)
            writer.write(b"hello")
            await reader.read()
            writer.close()
            await writer.wait_closed()
    except OSError:  # the refusal, as an alert or a reset
        pass
    finally:
        listener.close()
        await listener.wait_closed()
    return seen[0] if seen else None
