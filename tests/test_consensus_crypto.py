"""Which signatures are valid is a rule of consensus, so it is pinned."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from consensus.crypto import SEED_BYTES, SecretKey, verify

VECTORS: Final = json.loads((Path(__file__).parent / "vectors" / "ed25519_speccheck.json").read_text())["vectors"]
ORDER: Final = 2**252 + 27742317777372353535851937790883648493

# RFC 8032, section 7.1: secret key, public key, message, signature
RFC_8032: Final = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
)


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_signing_follows_the_rfc(seed: str, public: str, message: str, signature: str) -> None:
    key = SecretKey(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert verify(key.public, bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["what"] for vector in VECTORS])
def test_crafted_keys_and_signatures_are_judged_as_libsodium_does(vector: dict[str, Any]) -> None:
    """R2. Libraries disagree on these; another verdict here would split the chain."""
    message, public, signature = (bytes.fromhex(vector[part]) for part in ("message", "public_key", "signature"))
    assert verify(public, message, signature) is vector["valid"]


def test_a_signature_with_s_plus_the_group_order_is_refused() -> None:
    """R2. Else whoever relays a signature could change it."""
    key = SecretKey(b"\x07" * SEED_BYTES)
    good = key.sign(b"message")
    s = int.from_bytes(good[32:], "little")
    assert s < ORDER
    assert verify(key.public, b"message", good)
    assert not verify(key.public, b"message", good[:32] + (s + ORDER).to_bytes(32, "little"))


@pytest.mark.parametrize(
    "public",
    ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "ed" + "ff" * 30 + "7f", "ee" + "ff" * 30 + "7f"],
)
def test_a_key_of_small_order_signs_nothing(public: str) -> None:
    """R2. With the identity as key and as R, S = 0 would be valid for every message."""
    for r in (public, "01" + "00" * 31):
        assert not verify(bytes.fromhex(public), b"any message", bytes.fromhex(r + "00" * 32))


def test_every_bit_of_key_message_and_signature_counts() -> None:
    key = SecretKey(b"\x08" * SEED_BYTES)
    good = (key.public, b"message", key.sign(b"message"))
    for part, value in enumerate(good):
        for bit in range(0, 8 * len(value), 7):
            damaged = bytearray(value)
            damaged[bit // 8] ^= 1 << bit % 8
            assert not verify(*(bytes(damaged) if i == part else original for i, original in enumerate(good)))


@pytest.mark.parametrize(("public", "signature"), [(b"", bytes(64)), (bytes(31), bytes(64)), (bytes(32), b"")])
def test_wrong_lengths_are_no_valid_signatures(public: bytes, signature: bytes) -> None:
    assert not verify(public, b"message", signature)


def test_signatures_are_deterministic_and_keys_do_not_print_themselves() -> None:
    """R8: a vote signed again after a restart is the same vote."""
    seed = b"\x09" * SEED_BYTES
    assert SecretKey(seed).sign(b"message") == SecretKey(seed).sign(b"message")
    assert seed.hex() not in repr(SecretKey(seed))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError):
        SecretKey(bytes(length))
