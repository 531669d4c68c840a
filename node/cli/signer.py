"""signer init, start, status, rebase, release: the consensus key in a process of its own, and its guard wherever it is.

One rule: what may make a key sign twice is asked for by name, and confirmed by typing the first digits of the key.
"""

import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from consensus.crypto import SEED_BYTES, PublicKey, SecretKey
from node.cli.nodes import HomeCommand
from node.cli.session import Exit, Session, SomGroup
from node.cli.signing import confirm, key_header, passphrase_of, read_passphrase
from node.config import ConfigError
from node.home import open_decrees, read_config, read_genesis
from node.ledger.genesis import Genesis, format_genesis
from node.signing.home import CONFIG_NAME, Hsm, SignerConfig, format_signer_config, is_signer_home, read_signer_config
from node.signing.hsm import Place, generate
from node.storage.errors import EXIT_STORAGE_FAILED, GuardRefused, InUse, StorageFailed
from node.storage.files import DISK, write_file
from node.storage.guard import Guard
from node.storage.keystore import forbid_core_dumps, write_key
from node.storage.suspension import Suspension
from node.terms import TERMS_MAX, epoch_above

SOCKET_HELP: Final = "Where the node reaches it; its directory is 0700 and ours."
_PASSPHRASE = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the key's passphrase, or the device's PIN, here instead of asking; /dev/fd/3 is a descriptor.",
)


@dataclass(frozen=True, slots=True)
class Papers:
    """A consensus key's public half, its network, and where its guard is."""

    public: PublicKey
    genesis: Genesis
    guard: Path


@click.group(cls=SomGroup)
def signer() -> None:
    """The consensus key and its guard: in a process of its own, or in a node's home."""


@signer.command("init", cls=HomeCommand)
@click.option("--genesis", "genesis_file", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--adopt", type=click.Path(path_type=Path, file_okay=False), help="Take key and guard out of this node.")
@click.option("--module", help="The PKCS#11 library of a device that is to make and hold the key.")
@click.option("--token", help="The label of the token in the device.")
@click.option("--label", default="som-consensus", show_default=True, help="The label of the key in the token.")
@click.option("--devnet", is_flag=True, help="A key without a passphrase, for a devnet only.")
@_PASSPHRASE
@click.pass_obj
def init(session: Session, /, home: Path, genesis_file: Path, adopt: Path | None, **given: Any) -> None:
    """Make a signer's home, with a new key or with the one of a node that stands still.

    It shows the public half, for `som init --signer SOCKET --consensus-key HEX` of the node and for the genesis.
    """
    genesis = read_genesis(genesis_file)
    if is_signer_home(home):
        raise ConfigError(f"{home / CONFIG_NAME} is there already")
    DISK.make_directory(home / "keys")
    config = SignerConfig()
    if adopt is not None:
        public = _adopt(home, config, adopt, genesis)
    elif given["module"]:
        place = Place(given["module"], given["token"] or "", given["label"])
        public = generate(place, read_passphrase(session, given["passphrase_file"], again=False))
        config = SignerConfig(hsm=Hsm(place.module, place.token, place.label, public.hex()))
        Guard.create(home / config.guard, public, genesis.hash)
    else:
        seed = secrets.token_bytes(SEED_BYTES)
        public = SecretKey(seed).public
        passphrase = None if given["devnet"] else read_passphrase(session, given["passphrase_file"], again=True)
        write_key(home / config.key, seed, "consensus", genesis.hash.hex()[:16], passphrase)
        Guard.create(home / config.guard, public, genesis.hash)
    write_file(home / config.genesis, format_genesis(genesis).encode())
    write_file(home / CONFIG_NAME, format_signer_config(config).encode())  # last: with it the home is whole
    session.data(
        {"home": str(home), "consensus_key": public.hex()},
        lambda: session.pairs([(session.say("created"), home), (session.say("key"), public.hex())]),
    )


@signer.command("start", cls=HomeCommand)
@click.option("--socket", "path", type=click.Path(path_type=Path), required=True, help=SOCKET_HELP)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_PASSPHRASE
@click.pass_obj
def start(session: Session, home: Path, path: Path, log_format: str, passphrase_file: Path | None) -> None:
    """Sign for one node at a time until told to stop.

    Exit code 7: key, guard or settings, no restart mends it; 74: the disk or the device failed.
    """
    config = read_signer_config(home)
    genesis = read_genesis(home / config.genesis)
    forbid_core_dumps()
    if config.hsm is not None:
        secret: bytes | None = read_passphrase(session, passphrase_file, again=False)
    else:
        secret = passphrase_of(session, home / config.key, passphrase_file)
    from node.signing.server import main as run_signer  # asyncio and the rest, which no other command should pay

    try:
        run_signer(home, genesis, path.absolute(), secret, log_format)
    except StorageFailed as error:  # of the disk or the device: another life may find it well
        session.words(f"{session.say('error')}: {error}")
        raise click.exceptions.Exit(EXIT_STORAGE_FAILED) from None


@signer.command("status", cls=HomeCommand)
@click.pass_obj
def status(session: Session, home: Path) -> None:
    """Show a key and what its guard remembers, of a signer or of a node with its own."""
    papers = _papers(home)
    foreign = Suspension(papers.guard).foreign
    value: dict[str, Any] = {
        "consensus_key": papers.public.hex(),
        "network": papers.genesis.name,
        "suspended": None if foreign is None else {"epoch": foreign.epoch, "view": foreign.view, "kind": foreign.kind},
        "runs": False,
    }
    try:
        guard = Guard.open(papers.guard, papers.public, papers.genesis.hash)
    except InUse:
        value["runs"] = True
    else:
        value |= {"watermark": guard.watermark, "newest": guard.newest, "based": guard.based}
        guard.close()
    say = session.say
    rows: list[tuple[str, object]] = [
        (say("key"), papers.public.hex()),
        (say("network"), papers.genesis.name),
        (say("runs"), say("yes" if value["runs"] else "no")),
        (say("suspended"), "-" if foreign is None else f"{say('epoch')} {foreign.epoch}, {say('view')} {foreign.view}"),
    ]
    if not value["runs"]:
        rows += [(say("signs_from"), _place(session, value["watermark"]))]
        rows += [(say("last_signed"), "-" if value["based"] else _place(session, value["newest"]))]
    session.data(value, lambda: session.pairs(rows))


@signer.command("rebase", cls=HomeCommand)
@click.option("--epoch", type=click.IntRange(min=1), help="Sign nothing before this epoch.")
@click.option("--height", type=click.IntRange(min=0), help="Or: nothing before the epoch after that of this height.")
@click.option(
    "--term",
    type=click.IntRange(0, TERMS_MAX),
    help="How many decrees there were, for --height. [default: those that this home follows]",
)
@click.pass_obj
def rebase(session: Session, home: Path, epoch: int | None, height: int | None, term: int | None) -> None:
    """Begin a new guard where the old one is lost, above everything that the key can have signed.

    No epoch that may have begun is safe: take the height that several other validators show, now. The key signs again
    from the epoch after it. Nothing may run with this key meanwhile, here or anywhere.

    A decree begins a new term, whose epochs have other numbers (docs/emergency.md). A signer's home follows none.
    """
    papers = _papers(home)
    if (epoch is None) == (height is None) or (height is None and term is not None):
        raise click.UsageError("--epoch | --height [--term]")
    if height is not None:
        epoch = epoch_above(height, papers.genesis.epoch_length, _term(session, home, papers, term)) + 1
    assert epoch is not None
    with ExitStack() as resources:
        guard = _opened(papers, resources) if DISK.exists(papers.guard) else None
        if guard is not None and (epoch, 0) <= guard.newest:
            session.end(Exit.USAGE, f"{_place(session, guard.newest)}: {session.say('epoch_not_over')}")
        session.words(f"{session.say('rebase')} {_place(session, (epoch, 0))}")
        confirm(session, "nothing_runs", papers.public)
        if guard is None:
            Guard.create(papers.guard, papers.public, papers.genesis.hash, watermark=(epoch, 0))
        else:
            guard.rebase(epoch, 0)
    _show_begin(session, papers, epoch)


@signer.command("release", cls=HomeCommand)
@click.option("--epoch", type=click.IntRange(min=1), help="Sign nothing before this epoch. [default: the next one]")
@click.pass_obj
def release(session: Session, home: Path, epoch: int | None) -> None:
    """Let a suspended key sign again, from the epoch after the foreign vote on.

    First find and end what signed with it. If that is not sure, make new keys instead (docs/operations.md).
    """
    papers = _papers(home)
    with ExitStack() as resources:
        guard = _opened(papers, resources)
        suspension = Suspension(papers.guard)
        foreign = suspension.foreign
        if foreign is None:
            session.end(Exit.USAGE, f"{papers.guard}: {session.say('not_suspended')}")
        lowest = max(foreign.epoch, guard.newest[0]) + 1
        if epoch is not None and epoch < lowest:
            session.end(Exit.USAGE, f"{epoch} < {lowest}: {session.say('epoch_not_over')}")
        epoch = epoch or lowest
        confirm(session, "release", papers.public)
        try:
            guard.rebase(epoch, 0)  # first: whatever happens then, nothing below is signed
        except GuardRefused as error:
            session.end(Exit.CONFIG, str(error))
        suspension.end()
    _show_begin(session, papers, epoch)


def _adopt(home: Path, config: SignerConfig, node_home: Path, genesis: Genesis) -> PublicKey:
    """Move key and guard out of a node's home, which must not run. The guard goes first: a key alone signs nothing."""
    found = read_config(node_home)
    key, guard = node_home / found.keys.consensus, node_home / found.keys.guard
    public = PublicKey(bytes.fromhex(key_header(key)["pub"]))
    opened = Guard.open(guard, public, genesis.hash)  # it is ours, and nobody signs with it
    try:
        for source, target in ((guard, home / config.guard), (key, home / config.key)):
            DISK.rename(source, target)
            DISK.sync_directory(target.parent)
            DISK.sync_directory(source.parent)
    finally:
        opened.close()
    return public


def _papers(home: Path) -> Papers:
    """Return what a signer's home or a node's own says. Raises ConfigError where a node has its key elsewhere."""
    if is_signer_home(home):
        config = read_signer_config(home)
        public = config.hsm.public_key if config.hsm is not None else key_header(home / config.key)["pub"]
        genesis, guard = read_genesis(home / config.genesis), home / config.guard
    else:
        found = read_config(home)
        if found.observer:
            raise ConfigError(f"{home}: an observer has no consensus key")
        if found.signer.socket:
            raise ConfigError(f"{home}: its key is with the signer at {found.signer.socket}")
        public = key_header(home / found.keys.consensus)["pub"]
        genesis, guard = read_genesis(home / found.genesis), home / found.keys.guard
    return Papers(PublicKey(bytes.fromhex(public)), genesis, guard)


def _term(session: Session, home: Path, papers: Papers, told: int | None) -> int:
    """Return the term that the chain is in: as told, never below the decrees that a node's home follows."""
    followed = None if is_signer_home(home) else len(open_decrees(home, papers.genesis))
    if told is None and followed is None:
        session.end(Exit.USAGE, session.say("term_unknown"))
    if told is not None and followed is not None and told < followed:
        raise click.UsageError(f"--term {told} < {followed}")
    return max(told or 0, followed or 0)


def _opened(papers: Papers, resources: ExitStack) -> Guard:
    guard = Guard.open(papers.guard, papers.public, papers.genesis.hash)
    resources.callback(guard.close)
    return guard


def _place(session: Session, at: tuple[int, int]) -> str:
    return f"{session.say('epoch')} {at[0]}, {session.say('view')} {at[1]}"


def _show_begin(session: Session, papers: Papers, epoch: int) -> None:
    value = {"consensus_key": papers.public.hex(), "watermark": (epoch, 0)}
    rows = [(session.say("key"), papers.public.hex()), (session.say("signs_from"), _place(session, (epoch, 0)))]
    session.data(value, lambda: session.pairs(rows))
