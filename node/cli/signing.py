"""Names, numbers and keys on the command line: who is meant, and what signs for them.

One rule: a secret comes from a file or a terminal, never from an argument or the environment, and is never printed
unless that is the command.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from consensus.crypto import SEED_BYTES, SecretKey
from node.cli.session import Exit, Session
from node.config import ConfigError
from node.ledger.account import parse_account
from node.storage.keystore import forbid_core_dumps, read_key

DEVNET_ACCOUNTS: Final = Path(".devnet/accounts.json")
FILE_BYTES_MAX: Final = 4 * 1024 * 1024
SEED_CHARACTERS_MAX: Final = 256  # read from standard input at the most
CONFIRMED_CHARACTERS: Final = 8  # of a public key, to be typed
DEVNET: Final = "devnet"


@dataclass(frozen=True, slots=True)
class Demo:
    """A devnet's account, with keys that everybody knows."""

    name: str
    number: int
    threshold: int
    keys: tuple[SecretKey, ...]


def demo_accounts(session: Session) -> dict[str, Demo]:
    """Return the devnet's accounts by name; none if there is no file. Raises ConfigError if it is damaged."""
    path = session.accounts_path or DEVNET_ACCOUNTS
    if session.accounts_path is None and not path.exists():
        return {}
    try:
        value = json.loads(_text(path))
        found = [_demo(row) for row in value["accounts"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from None
    return {demo.name: demo for demo in found}


def account_of(session: Session, text: str) -> int:
    """Return the account that 16 digits or a devnet's name mean. Raises click.BadParameter."""
    demo = demo_accounts(session).get(text)
    if demo is not None:
        return demo.number
    try:
        return parse_account(text)
    except ValueError:
        raise click.BadParameter(f"{text!r}: {session.say('bad_account')}") from None


def keys_for(
    session: Session, number: int, files: Sequence[Path], passphrase_file: Path | None, network_kind: str
) -> list[SecretKey]:
    """Return the keys that sign for an account: those of the files, else a devnet's public ones."""
    devnet = network_kind == DEVNET
    if files:
        return [open_key(session, path, "operator", passphrase_file, devnet) for path in files]
    for demo in demo_accounts(session).values():
        if demo.number == number:
            if not devnet:
                session.end(Exit.CONFIG, session.say("devnet_only"))
            return list(demo.keys[: demo.threshold])
    session.end(Exit.CONFIG, session.say("no_key"))


def open_key(session: Session, path: Path, use: str, passphrase_file: Path | None, devnet: bool) -> SecretKey:
    """Return the key in a file, asking for the passphrase if it needs one."""
    return read_key(path, use, passphrase_of(session, path, passphrase_file), devnet=devnet)


def passphrase_of(session: Session, path: Path, passphrase_file: Path | None) -> bytes | None:
    """Return the passphrase of a key file; None if the file is a devnet's and has none."""
    if "devnet" in key_header(path):
        return None
    return read_passphrase(session, passphrase_file, again=False)


def read_passphrase(session: Session, passphrase_file: Path | None, again: bool) -> bytes:
    """Return the first line of a file (/dev/fd/N is a descriptor), or what is typed; ``again`` asks twice."""
    forbid_core_dumps()  # from here on this process holds secrets
    if passphrase_file is not None:
        return _text(passphrase_file).split("\n", 1)[0].encode()
    prompt = session.say("passphrase_again") if again else False
    typed = click.prompt(session.say("passphrase"), hide_input=True, err=True, confirmation_prompt=prompt)
    return str(typed).encode()


def confirm(session: Session, question: str, public: bytes) -> None:
    """Go on only if the first digits of a public key are typed: what follows is not done by mistake or by habit."""
    digits = public.hex()[:CONFIRMED_CHARACTERS]
    typed = click.prompt(f"{session.say(question)} {session.say('type_key')} {digits}", prompt_suffix=": ", err=True)
    if str(typed).strip().lower() != digits:
        session.end(Exit.USAGE, session.say("not_confirmed"))


def read_seed_typed(session: Session) -> bytes:
    """Return a secret seed from standard input, hidden if that is a terminal. Raises ConfigError."""
    if sys.stdin.isatty():
        text = str(click.prompt(session.say("seed"), hide_input=True, err=True))
    else:
        text = sys.stdin.readline(SEED_CHARACTERS_MAX)
    try:
        seed = bytes.fromhex(text.strip())
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise ConfigError(f"{session.say('bad_hex')}, {2 * SEED_BYTES}")
    return seed


def key_header(path: Path) -> dict[str, Any]:
    """Return what a key file says in clear. Raises ConfigError."""
    try:
        value = json.loads(_text(path))
    except ValueError:
        raise ConfigError(f"{path}: no key file") from None
    if not isinstance(value, dict) or not isinstance(value.get("pub"), str):
        raise ConfigError(f"{path}: no key file")
    return value


def _demo(row: dict[str, Any]) -> Demo:
    keys = tuple(SecretKey(bytes.fromhex(key["seed"])) for key in row["keys"])
    return Demo(str(row["name"]), parse_account(row["number"]), int(row["threshold"]), keys)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{path}: too large")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: no text") from None
