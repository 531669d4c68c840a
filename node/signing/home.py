"""A signer's home directory: a consensus key, its guard, and the network that they are for. Nothing else.

    signer.toml  genesis.json
    keys/        consensus.json (or a key in a device)  guard  guard.suspended

One rule: starting never creates. A guard that is not there is an error, never a new one.
"""

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from consensus.crypto import PublicKey
from node.config import ConfigError
from node.config_text import quote
from node.ledger.genesis import Genesis
from node.signing.hsm import HsmKey, Place
from node.signing.signer import OwnSigner
from node.storage.errors import StorageError
from node.storage.files import DISK, Disk
from node.storage.guard import Guard, Key
from node.storage.keystore import read_key
from node.storage.socket import private_socket
from node.storage.suspension import Suspension

CONFIG_NAME: Final = "signer.toml"
CONFIG_BYTES_MAX: Final = 64 * 1024


class Hsm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key in a device: the vendor's PKCS#11 library, the token's label, the key's label, its public half in hex."""

    module: str
    token: str
    label: str
    public_key: str

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.module, self.token, self.label)


class SignerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signer's settings. Paths start at its home directory."""

    genesis: str = "genesis.json"
    key: str = "keys/consensus.json"
    guard: str = "keys/guard"
    hsm: Hsm | None = None


def parse_signer_config(text: str) -> SignerConfig:
    """Return the settings that the TOML ``text`` describes; raise ConfigError."""
    try:
        return msgspec.toml.decode(text.encode(), type=SignerConfig)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(f"{CONFIG_NAME}: {error}") from None


def format_signer_config(config: SignerConfig) -> str:
    """Return the TOML text of a signer's settings."""
    lines = [f"{name} = {quote(getattr(config, name))}" for name in ("genesis", "key", "guard")]
    if config.hsm is not None:
        lines += ["", "[hsm]"]
        lines += [f"{name} = {quote(getattr(config.hsm, name))}" for name in config.hsm.__struct_fields__]
    return "\n".join(lines) + "\n"


def is_signer_home(home: Path) -> bool:
    """Return whether a signer's settings stand there."""
    return DISK.exists(home / CONFIG_NAME)


def read_signer_config(home: Path) -> SignerConfig:
    """Return a signer's settings. Raises ConfigError."""
    try:
        return parse_signer_config(DISK.read(home / CONFIG_NAME, CONFIG_BYTES_MAX, private=False).decode())
    except FileNotFoundError:
        raise ConfigError(f"{home / CONFIG_NAME} is not there: `som signer init` makes it") from None
    except (StorageError, UnicodeDecodeError) as error:
        raise ConfigError(f"{home / CONFIG_NAME}: {error}") from None


def open_signer(home: Path, genesis: Genesis, passphrase: bytes | None, resources: ExitStack) -> OwnSigner:
    """Open a signer's home; ``resources`` closes it. ``passphrase`` opens the key file, or is the device's PIN."""
    config = read_signer_config(home)
    if config.hsm is None:
        return open_own(home, config.key, config.guard, genesis, passphrase, resources)
    if passphrase is None:
        raise ConfigError("the device's PIN is needed")
    key = HsmKey(config.hsm.place, passphrase)
    resources.callback(key.close)
    if key.public.hex() != config.hsm.public_key:
        raise ConfigError(f"the device has the key {key.public.hex()}, not that of {CONFIG_NAME}")
    return _guarded(key, home / config.guard, genesis, resources)


def open_own(
    home: Path,
    key_path: str,
    guard_path: str,
    genesis: Genesis,
    passphrase: bytes | None,
    resources: ExitStack,
    disk: Disk = DISK,
) -> OwnSigner:
    """Open a key file and the guard beside it, of a node or of a signer."""
    devnet, chain = genesis.kind == "devnet", genesis.hash.hex()[:16]
    key = read_key(home / key_path, "consensus", passphrase, devnet=devnet, chain=chain)
    return _guarded(key, home / guard_path, genesis, resources, disk)


def listen(path: Path, resources: ExitStack) -> tuple[socket.socket, int]:
    """Return the socket of a signer, and the user whose processes may use it: our own."""
    return private_socket(path, resources), os.geteuid()


def _guarded(key: Key, path: Path, genesis: Genesis, resources: ExitStack, disk: Disk = DISK) -> OwnSigner:
    guard = Guard.open(path, PublicKey(key.public), genesis.hash, disk)
    resources.callback(guard.close)
    return OwnSigner(key, guard, Suspension(path, disk), genesis.hash)
