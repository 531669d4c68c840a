"""key new, list, import, export, passwd: key files.

One rule: a secret comes in through standard input, is printed by `export` alone, and that only for its passphrase.
"""

import secrets
from pathlib import Path
from typing import Any, Final

import click

from consensus.crypto import SEED_BYTES, SecretKey
from node.cli.session import Exit, Session, SomGroup
from node.cli.signing import confirm, key_header, passphrase_of, read_passphrase, read_seed_typed
from node.config import ConfigError
from node.storage.keystore import ANY_CHAIN, USES, forbid_core_dumps, read_seed, write_key

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
@_USE
@_CHAIN
@_DEVNET
@_PASSPHRASE
@click.pass_obj
def import_key(session: Session, file: Path, use: str, chain: str, devnet: bool, passphrase_file: Path | None) -> None:
    """Write a key that exists already to FILE: 64 hex digits on standard input, never an argument.

    A consensus key that has signed needs its guard beside it as well; without it: som signer rebase.
    """
    _write(session, file, read_seed_typed(session), use, chain, devnet, passphrase_file)


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
    """Print the secret seed of a key, for a backup on paper.

    For a consensus key the first digits of the public key must be typed: a second copy that runs signs twice.
    """
    header = key_header(file)
    use = _use_of(session, file, header)
    if use == "consensus":
        confirm(session, "export_consensus", bytes.fromhex(header["pub"]))
    forbid_core_dumps()
    seed = read_seed(file, use, passphrase_of(session, file, passphrase_file), devnet=True)
    session.data({"seed": seed.hex()}, lambda: session.pairs([("seed", seed.hex())]))


@key.command("passwd")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_PASSPHRASE
@click.option(
    "--new-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the new passphrase here instead of asking.",
)
@click.pass_obj
def passwd(session: Session, file: Path, passphrase_file: Path | None, new_passphrase_file: Path | None) -> None:
    """Put a key under another passphrase. Copies of the old file still open with the old one."""
    header = key_header(file)
    use = _use_of(session, file, header)
    if "devnet" in header:
        session.end(Exit.CONFIG, f"{file}: {session.say('no_passphrase')}")
    seed = read_seed(file, use, passphrase_of(session, file, passphrase_file), devnet=False)
    if new_passphrase_file is None:
        session.words(session.say("new_passphrase"))
    new_one = read_passphrase(session, new_passphrase_file, again=True)
    write_key(file, seed, use, str(header["chain"]), new_one, replace=True)
    session.data(
        {"file": str(file), "use": use, "public": header["pub"]},
        lambda: session.pairs([(session.say("changed"), file), (session.say("key"), header["pub"])]),
    )


def _use_of(session: Session, file: Path, header: dict[str, Any]) -> str:
    use = str(header.get("use", ""))
    if use not in USES:
        session.end(Exit.CONFIG, f"{file}: use {use!r}")
    return use


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
