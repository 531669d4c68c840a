"""key new, list, import, export: key files.

One rule: a secret is printed by `export` alone, and only after its passphrase was given.
"""

import secrets
from pathlib import Path
from typing import Final

import click

from consensus.crypto import SEED_BYTES, SecretKey
from node.cli.session import Exit, Session, SomGroup
from node.cli.signing import key_header, passphrase_of, read_passphrase
from node.config import ConfigError
from node.storage.keystore import ANY_CHAIN, USES, read_seed, write_key

KEY_SUFFIX: Final = ".json"
_PASSPHRASE = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the passphrase here instead of asking.",
)
_USE = click.option("--use", type=click.Choice(USES), default="operator", show_default=True)
_CHAIN = click.option("--chain", default=ANY_CHAIN, help="First 16 digits of the genesis hash; * is any network.")
_DEVNET = click.option("--devnet", is_flag=True, help="No passphrase; opens only where the network is a devnet.")


@click.group(cls=SomGroup)
def key() -> None:
    """Key files: one Ed25519 key each, under a passphrase."""


@key.command("new")
@click.argument("file", type=click.Path(path_type=Path))
@_USE
@_CHAIN
@_DEVNET
@_PASSPHRASE
@click.pass_obj
def new(session: Session, file: Path, use: str, chain: str, devnet: bool, passphrase_file: Path | None) -> None:
    """Make a key and write it to FILE; show the public half."""
    _write(session, file, secrets.token_bytes(SEED_BYTES), use, chain, devnet, passphrase_file)


@key.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--seed-file", type=click.Path(path_type=Path, dir_okay=False), required=True, help="64 hex digits.")
@_USE
@_CHAIN
@_DEVNET
@_PASSPHRASE
@click.pass_obj
def import_key(
    session: Session, file: Path, seed_file: Path, use: str, chain: str, devnet: bool, passphrase_file: Path | None
) -> None:
    """Write a key that exists already to FILE."""
    try:
        seed = bytes.fromhex(seed_file.read_text().strip())
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise ConfigError(f"{seed_file}: {session.say('bad_hex')}, {2 * SEED_BYTES}")
    _write(session, file, seed, use, chain, devnet, passphrase_file)


@key.command("list")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.pass_obj
def list_keys(session: Session, directory: Path) -> None:
    """List the key files of a directory, by what they say in clear."""
    found = []
    for path in sorted(directory.glob(f"*{KEY_SUFFIX}")):
        try:
            header = key_header(path)
        except ConfigError:
            continue  # another JSON file
        found.append({"file": str(path), "use": str(header.get("use", "")), "public": header["pub"]})
    rows = [(row["file"], row["use"], row["public"]) for row in found]
    session.data({"keys": found}, lambda: session.rows([session.say(n) for n in ("file", "use", "key")], rows))


@key.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_PASSPHRASE
@click.pass_obj
def export(session: Session, file: Path, passphrase_file: Path | None) -> None:
    """Print the secret seed of a key, for a backup on paper."""
    use = str(key_header(file).get("use", ""))
    if use not in USES:
        session.end(Exit.CONFIG, f"{file}: use {use!r}")
    seed = read_seed(file, use, passphrase_of(session, file, passphrase_file), devnet=True)
    session.data({"seed": seed.hex()}, lambda: session.pairs([("seed", seed.hex())]))


def _write(
    session: Session, file: Path, seed: bytes, use: str, chain: str, devnet: bool, passphrase_file: Path | None
) -> None:
    passphrase = None if devnet else read_passphrase(session, passphrase_file, again=True)
    write_key(file, seed, use, chain, passphrase)
    public = SecretKey(seed).public.hex()
    session.data(
        {"file": str(file), "use": use, "public": public},
        lambda: session.pairs([(session.say("created"), file), (session.say("key"), public)]),
    )
