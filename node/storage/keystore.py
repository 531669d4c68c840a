"""Key files: one Ed25519 key each, as JSON, encrypted under a passphrase.

One rule: every byte of the file is either authenticated or checked. The header is associated data of the encryption,
so a file with a swapped name, use, network or cost does not open; the key must be the one that the file says.

A devnet's keys are public anyway: their files hold the bare seed, and open only where the network is a devnet.
"""

import base64
import binascii
import ctypes
import json
import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from consensus.crypto import NONCE_BYTES, PUBLIC_KEY_BYTES, SALT_BYTES, SEED_BYTES, SecretKey, seal, unseal
from consensus.encoding import encode
from node.storage.errors import AlreadyInitialised, KeyFileError, StorageError, StorageFailed
from node.storage.files import DIRECTORY_MODE, DISK, Disk, failed, require_private_directory, write_whole

VERSION: Final = 1
USES: Final = ("consensus", "node", "operator")
ANY_CHAIN: Final = "*"
CHAIN_CHARACTERS: Final = 16  # of the genesis hash in hex
FILE_BYTES_MAX: Final = 4_096  # a key file has about 500
TEXT_CHARACTERS_MAX: Final = 128
OPS_MIN: Final = 3  # below these a stolen file could be guessed through: no downgrade
OPS_MAX: Final = 16  # above these opening a file would exhaust the machine: no bomb
MEMORY_BYTES_MIN: Final = 64 << 20
MEMORY_BYTES_MAX: Final = 1 << 30
PASSPHRASE_BYTES_MIN: Final = 8
PASSPHRASE_BYTES_MAX: Final = 1_024
KDF: Final = "argon2id13"
AEAD: Final = "xchacha20poly1305"
SEALED_BYTES: Final = SEED_BYTES + 16  # the seed and Poly1305's tag

PR_SET_DUMPABLE: Final = 4  # linux/prctl.h

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at the passphrase costs: passes over so many bytes."""

    ops: int = OPS_MIN
    memory_bytes: int = 256 << 20  # 0.6 s on a common core


COST: Final = Cost()


@dataclass(frozen=True, slots=True)
class _Header:
    """All of an encrypted file but the ciphertext. The values as they stand in the file."""

    use: str
    pub: str
    chain: str
    created: str
    ops: int
    memory: int
    salt: bytes
    nonce: bytes

    def authenticated(self) -> bytes:
        """Return what the encryption authenticates."""
        kdf = (KDF, self.ops, self.memory, self.salt)
        return b"som-key-1" + encode((VERSION, self.use, self.pub, self.chain, self.created, kdf, (AEAD, self.nonce)))


def write_key(
    path: Path,
    seed: bytes,
    use: str,
    chain: str,
    passphrase: bytes | None,
    *,
    cost: Cost = COST,
    replace: bool = False,
    disk: Disk = DISK,
) -> None:
    """Write the key of ``seed`` to ``path``, durably and 0600, in a directory made 0700 if it is not there.

    ``use`` is one of USES; ``chain`` the first 16 hex digits of the genesis hash, or "*". Without a passphrase it is a
    devnet's key file. Raises AlreadyInitialised unless ``replace``; KeyFileError; StorageFailed.
    """
    path = Path(path)
    _require_use(use)
    _require_chain(chain)
    if passphrase is None:
        content: Json = {
            "v": VERSION,
            "use": use,
            "pub": SecretKey(seed).public.hex(),
            "seed": seed.hex(),
            "devnet": True,
        }
    else:
        content = _sealed(seed, use, chain, passphrase, cost)
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        require_private_directory(path.parent)
    except OSError as error:
        raise failed("mkdir", path.parent, error) from error
    if os.path.lexists(path) and not replace:
        raise AlreadyInitialised(f"{path}: there is a key already")
    os.close(write_whole(disk, path, (json.dumps(content, indent=1).encode() + b"\n",)))


def read_seed(
    path: Path, use: str, passphrase: bytes | None, *, devnet: bool, chain: str | None = None, disk: Disk = DISK
) -> bytes:
    """Return the 32-byte seed. ``chain``, if given, is the network that the key must be for (or for any).

    Raises KeyFileError whatever is wrong with the file or the passphrase; StorageFailed. Takes a second of CPU.
    """
    path = Path(path)
    content = _parsed(path, disk)
    try:
        seed = _bare(content, devnet) if "devnet" in content else _opened(content, passphrase, chain)
        if content["use"] != use:
            raise KeyFileError(f"it is a key for {content['use']}, not for {use}")
        if SecretKey(seed).public.hex() != content["pub"]:
            raise KeyFileError("the key is not the one that the file names")
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error}") from None
    return seed


def read_key(
    path: Path, use: str, passphrase: bytes | None, *, devnet: bool, chain: str | None = None, disk: Disk = DISK
) -> SecretKey:
    """Return the signing key; as ``read_seed``."""
    return SecretKey(read_seed(path, use, passphrase, devnet=devnet, chain=chain, disk=disk))


def read_public(path: Path, disk: Disk = DISK) -> bytes:
    """Return the public key that the file names, unauthenticated: for display."""
    content = _parsed(Path(path), disk)
    if "pub" not in content:
        raise KeyFileError(f"{path}: not a key file")
    return bytes.fromhex(_hex(content, "pub", PUBLIC_KEY_BYTES))


def is_bare(path: Path, disk: Disk = DISK) -> bool:
    """Return whether the file holds a devnet's key, which needs no passphrase. Raises KeyFileError."""
    return "devnet" in _parsed(Path(path), disk)


def forbid_core_dumps() -> None:
    """Keep this process's memory, keys included, out of core files and from other processes of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise StorageFailed(f"prctl: {os.strerror(ctypes.get_errno())}")


# --- the two forms ---


def _sealed(seed: bytes, use: str, chain: str, passphrase: bytes, cost: Cost) -> Json:
    _require_cost(cost.ops, cost.memory_bytes)
    _require_passphrase(passphrase)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    public = SecretKey(seed).public.hex()
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    header = _Header(use, public, chain, created, cost.ops, cost.memory_bytes, salt, nonce)
    sealed = seal(seed, header.authenticated(), passphrase, salt, nonce, header.ops, header.memory)
    return {
        "v": VERSION,
        "use": use,
        "pub": public,
        "chain": chain,
        "created": created,
        "kdf": {"alg": KDF, "ops": header.ops, "mem": header.memory, "salt": _base64(salt)},
        "aead": {"alg": AEAD, "nonce": _base64(nonce)},
        "ct": _base64(sealed),
    }


def _opened(content: Json, passphrase: bytes | None, chain: str | None) -> bytes:
    header = _header(content)
    if chain is not None and header.chain not in (chain, ANY_CHAIN):
        raise KeyFileError(f"it is a key for the network {header.chain}, not {chain}")
    if passphrase is None:
        raise KeyFileError("it is encrypted and no passphrase was given")
    _require_passphrase(passphrase)
    sealed = _bytes(content, "ct", SEALED_BYTES)
    seed = unseal(sealed, header.authenticated(), passphrase, header.salt, header.nonce, header.ops, header.memory)
    if seed is None:
        raise KeyFileError("wrong passphrase, or the file was changed")
    return seed


def _header(content: Json) -> _Header:
    _require_fields(content, ("v", "use", "pub", "chain", "created", "kdf", "aead", "ct"))
    kdf, aead = _object(content, "kdf"), _object(content, "aead")
    _require_fields(kdf, ("alg", "ops", "mem", "salt"))
    _require_fields(aead, ("alg", "nonce"))
    _require_equal(content, "v", VERSION)
    _require_equal(kdf, "alg", KDF)
    _require_equal(aead, "alg", AEAD)
    ops, memory = _integer(kdf, "ops"), _integer(kdf, "mem")
    _require_cost(ops, memory)
    use, chain = _text(content, "use"), _text(content, "chain")
    _require_use(use)
    _require_chain(chain)
    public = _hex(content, "pub", PUBLIC_KEY_BYTES)
    salt, nonce = _bytes(kdf, "salt", SALT_BYTES), _bytes(aead, "nonce", NONCE_BYTES)
    return _Header(use, public, chain, _text(content, "created"), ops, memory, salt, nonce)


def _bare(content: Json, devnet: bool) -> bytes:
    _require_fields(content, ("v", "use", "pub", "seed", "devnet"))
    _require_equal(content, "v", VERSION)
    _require_equal(content, "devnet", True)
    _require_use(_text(content, "use"))
    _hex(content, "pub", PUBLIC_KEY_BYTES)
    if not devnet:
        raise KeyFileError("it is a devnet's key, public to all; this network is no devnet")
    return bytes.fromhex(_hex(content, "seed", SEED_BYTES))


# --- reading JSON strictly ---


def _parsed(path: Path, disk: Disk) -> Json:
    try:
        require_private_directory(path.parent)
        data = disk.read(path, FILE_BYTES_MAX)
        content = json.loads(data.decode("ascii"), object_pairs_hook=_unique)
    except StorageFailed:
        raise
    except (StorageError, OSError) as error:
        raise KeyFileError(str(error)) from None
    except (ValueError, RecursionError):
        raise KeyFileError(f"{path}: not a key file") from None
    if type(content) is not dict:
        raise KeyFileError(f"{path}: not a key file")
    return content


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name twice")
    return fields


def _require_fields(content: Json, names: tuple[str, ...]) -> None:
    if set(content) != set(names):
        raise KeyFileError(f"fields {sorted(content)}; expected {sorted(names)}")


def _require_equal(content: Json, name: str, expected: object) -> None:
    if type(content[name]) is not type(expected) or content[name] != expected:
        raise KeyFileError(f"{name} is {content[name]!r}; expected {expected!r}")


def _require_use(use: str) -> None:
    if use not in USES:
        raise KeyFileError(f"use {use!r}; expected one of {', '.join(USES)}")


def _require_chain(chain: str) -> None:
    if chain != ANY_CHAIN and not (len(chain) == CHAIN_CHARACTERS and _is_hex(chain)):
        raise KeyFileError(f"chain {chain!r}; expected {CHAIN_CHARACTERS} hex digits or {ANY_CHAIN}")


def _require_cost(ops: int, memory: int) -> None:
    if not (OPS_MIN <= ops <= OPS_MAX and MEMORY_BYTES_MIN <= memory <= MEMORY_BYTES_MAX):
        raise KeyFileError(f"a passphrase cost of {ops} passes over {memory} bytes is refused")


def _require_passphrase(passphrase: bytes) -> None:
    if not PASSPHRASE_BYTES_MIN <= len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise KeyFileError(f"a passphrase has {PASSPHRASE_BYTES_MIN} to {PASSPHRASE_BYTES_MAX} bytes")


def _object(content: Json, name: str) -> Json:
    value = content[name]
    if type(value) is not dict:
        raise KeyFileError(f"{name} is not an object")
    return value


def _integer(content: Json, name: str) -> int:
    value = content[name]
    if type(value) is not int:
        raise KeyFileError(f"{name} is not an integer")
    return value


def _text(content: Json, name: str) -> str:
    value = content[name]
    if type(value) is not str or len(value) > TEXT_CHARACTERS_MAX or not value.isascii():
        raise KeyFileError(f"{name} is not text")
    return value


def _hex(content: Json, name: str, length: int) -> str:
    value = _text(content, name)
    if len(value) != 2 * length or not _is_hex(value):
        raise KeyFileError(f"{name} is not {length} bytes in lower-case hex")
    return value


def _is_hex(value: str) -> bool:
    return all(character in "0123456789abcdef" for character in value)


def _bytes(content: Json, name: str, length: int) -> bytes:
    text = _text(content, name)
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileError(f"{name} is not base64") from None
    if len(value) != length or _base64(value) != text:
        raise KeyFileError(f"{name} is not {length} bytes in base64")
    return value


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
