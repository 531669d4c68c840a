"""init, start, resync, audit, config: running validators.

One rule: a guard is made only for a key that has signed nothing. A key that `som init` makes has a file beside it that
says so, until the home is whole; a key that comes from elsewhere has none.
"""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, Final

import click

from consensus.crypto import SEED_BYTES, PublicKey, SecretKey
from node.cli.chain import COMMANDS as CHAIN_COMMANDS
from node.cli.session import Exit, Session, SomCommand, SomGroup
from node.cli.signing import key_header, passphrase_of, read_passphrase
from node.config import CONFIG_NAME, Config, ConfigError, Listen, Peer, Rpc, Signer, parse_config
from node.config_text import format_config
from node.home import create_data, read_config, read_genesis
from node.ledger.errors import InvariantViolation
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis, format_genesis
from node.storage.files import DISK, lock, write_file
from node.storage.guard import Guard
from node.storage.keystore import ANY_CHAIN, write_key
from node.storage.store import Store

HOME: Final = click.Option(
    ["--home"],
    type=click.Path(path_type=Path, file_okay=False),
    default="~/.som/node",
    show_default=True,
    callback=lambda ctx, param, value: value.expanduser(),
    help="The node's directory: configuration, keys, data.",
)
UNUSED_SUFFIX: Final = ".unused"  # of the file beside a consensus key that has signed nothing; its public half is in it
_PASSPHRASE = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the keys' passphrase here instead of asking.",
)


class HomeCommand(SomCommand):
    """A command about one node's directory."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.insert(0, HOME)


@click.command(cls=HomeCommand)
@click.option("--name", required=True, help="The validator's name in the genesis.")
@click.option(
    "--genesis", "genesis_file", type=click.Path(path_type=Path, dir_okay=False), help="The network's genesis."
)
@click.option("--listen", "listen", default="127.0.0.1:26600", show_default=True, metavar="HOST:PORT")
@click.option("--rpc", "rpc", default="127.0.0.1:26657", show_default=True, metavar="HOST:PORT")
@click.option("--peer", "peers", multiple=True, metavar="NAME=HOST:PORT", help="Where another validator listens.")
@click.option("--joins", is_flag=True, help="The genesis does not name it: it follows, and may be admitted later.")
@click.option("--observer", is_flag=True, help="No key to vote with: it follows, verifies and serves clients.")
@click.option("--devnet", is_flag=True, help="Keys without a passphrase, for a devnet only.")
@click.option("--signer", "socket", default="", metavar="SOCKET", help="Where a signer process has the consensus key.")
@click.option("--consensus-key", "public_key", default="", metavar="HEX", help="And its public half.")
@_PASSPHRASE
@click.pass_obj
def init(session: Session, /, home: Path, name: str, genesis_file: Path | None, **given: Any) -> None:
    """Make a validator's home directory, in two steps.

    Without --genesis: make the consensus key and the node key, and show their public halves, which the network's
    founders write into the genesis. With --genesis: check that it names these keys, and make the chain at height 0.
    A validator that joins a running network does both at once, with --joins (docs/operations.md). So does an observer,
    with --observer; validators let it link by the node key that is shown.
    """
    if given["observer"] and (given["joins"] or given["socket"]):
        raise click.UsageError("--observer: neither --joins nor --signer")
    config = Config(
        name=name,
        observer=given["observer"],
        listen=Listen(*_address(given["listen"])),
        rpc=Rpc(*_address(given["rpc"])),
        peers=tuple(_peer(text) for text in given["peers"]),
        signer=Signer(given["socket"], given["public_key"]),
    )
    parse_config(format_config(config))  # what it would be refused for is said now
    if genesis_file is not None and config.own_key:
        _require_unused(session, home, config)
    _make_keys(session, home, config, given["devnet"], given["passphrase_file"])
    keys: dict[str, Any] = {"name": name}
    if not config.observer:
        keys["consensus_key"] = config.signer.public_key or key_header(home / config.keys.consensus)["pub"]
    keys["node_key"] = key_header(home / config.keys.node)["pub"]
    if not config.observer:
        keys["weight"] = 1
    if genesis_file is not None:
        genesis = read_genesis(genesis_file)
        if not given["joins"] and not config.observer:
            _require_named(genesis, keys)
        _make_chain(home, config, genesis)
    session.data(keys, lambda: session.pairs([(session.say("created"), home), *keys.items()]))


@click.command(cls=HomeCommand)
@_PASSPHRASE
@click.pass_obj
def start(session: Session, home: Path, passphrase_file: Path | None) -> None:
    """Run the validator until it is told to stop."""
    config = read_config(home)
    passphrase = passphrase_of(session, home / config.keys.node, passphrase_file)
    from node.node import main as run_node  # the whole node: half a second that no other command should pay

    sys.exit(run_node(home, passphrase))


@click.command(cls=HomeCommand)
@click.option("--snapshot", is_flag=True, help="Take the state from a snapshot of the peers, and only newer blocks.")
@click.pass_obj
def resync(session: Session, home: Path, snapshot: bool) -> None:
    """Set a damaged chain aside and begin again at height 0: the blocks come from the peers.

    With --snapshot the node begins at the newest snapshot that its peers prove: sooner, but it then answers nothing
    about what was before. Keys and guard stay as they are, so that nothing is signed twice. The validator must not run.
    """
    found = read_config(home)
    genesis = read_genesis(home / found.genesis)
    data, aside = home / found.data, None
    with ExitStack() as resources:
        _stand_still(home, found, genesis, resources)
        if data.exists():
            aside = next(path for path in _numbered(data) if not path.exists())
            data.rename(aside)
        create_data(home, found, genesis, by_blocks=not snapshot)
    session.data(
        {"data": str(data), "aside": aside and str(aside)},
        lambda: session.pairs([(session.say("created"), data), (session.say("set_aside"), aside or "-")]),
    )


@click.command(cls=HomeCommand)
@click.pass_obj
def audit(session: Session, home: Path) -> None:
    """Check every invariant of the ledger over all that a node has stored. The validator must not run.

    The state's root is computed anew, all balances are added up, and holds, orders, recoveries and the register are
    compared with their indexes and with the accounts.
    """
    found = read_config(home)
    genesis = read_genesis(home / found.genesis)
    store = Store.open(home / found.data / "store", genesis.hash)
    try:
        ledger = Ledger(store, genesis)
        supplies = ledger.audit()
        assets = ledger.assets()
    except InvariantViolation as violation:
        session.end(Exit.ERROR, f"{session.say('error')}: {violation}")
    finally:
        store.close()
    value = {
        "height": ledger.height,
        "root": ledger.root.hex(),
        "supplies": {assets[number].code: str(supply) for number, supply in supplies.items()},
    }
    rows: list[tuple[str, object]] = [(session.say("height"), ledger.height), (session.say("sound"), ledger.root.hex())]
    rows += [
        (session.say("supply"), session.money(supply, assets[number].scale, assets[number].code))
        for number, supply in supplies.items()
    ]
    session.data(value, lambda: session.pairs(rows))


@click.group(cls=SomGroup)
def config() -> None:
    """A node's own settings."""


@config.command("check", cls=HomeCommand)
@click.pass_obj
def check(session: Session, home: Path) -> None:
    """Read the configuration and the genesis as the node would; say what is wrong."""
    found = read_config(home)
    genesis = read_genesis(home / found.genesis)
    known = {row.name for row in genesis.validators}
    if not found.observer and found.name not in known and _is_named(genesis, key_header(home / found.keys.node)["pub"]):
        session.end(Exit.CONFIG, f"{session.say('error')}: {found.name} ∉ {', '.join(sorted(known))}")
    strangers = [peer.name for peer in found.peers if peer.name not in known and not peer.node_key]
    if strangers:
        session.words(f"{', '.join(strangers)} ∉ {', '.join(sorted(known))}. {session.say('peers_not_in_genesis')}")
    session.data(
        {
            "name": found.name,
            "genesis_hash": genesis.hash.hex(),
            "peers": len(found.peers),
            "not_in_genesis": strangers,
        },
        lambda: session.pairs(
            [(session.say("valid"), home / CONFIG_NAME), (session.say("genesis"), genesis.hash.hex())]
        ),
    )


@config.command("show", cls=HomeCommand)
@click.pass_obj
def show(session: Session, home: Path) -> None:
    """Print the settings in force, defaults and environment included."""
    found = read_config(home)
    if session.as_json:
        session.data(found, lambda: session.pairs([]))
    else:
        click.echo(format_config(found), nl=False)


COMMANDS: Final = (init, start, resync, audit, config, *CHAIN_COMMANDS)


def _make_keys(session: Session, home: Path, config: Config, devnet: bool, passphrase_file: Path | None) -> None:
    paths = {"node": home / config.keys.node}
    if config.own_key:
        paths["consensus"] = home / config.keys.consensus
    missing = {use: path for use, path in paths.items() if not path.exists()}
    if not missing:
        return
    passphrase = None if devnet else read_passphrase(session, passphrase_file, again=True)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for use, path in missing.items():
        seed = secrets.token_bytes(SEED_BYTES)
        if use == "consensus":
            DISK.make_directory(path.parent)
            write_file(path.with_suffix(UNUSED_SUFFIX), SecretKey(seed).public.hex().encode())
        write_key(path, seed, use, ANY_CHAIN, passphrase)


def _require_unused(session: Session, home: Path, config: Config) -> None:
    """End unless the consensus key has a guard, or is still to be made, or was made here and has signed nothing."""
    key = home / config.keys.consensus
    if not key.exists() or (home / config.keys.guard).exists():
        return
    unused = key.with_suffix(UNUSED_SUFFIX)
    if not unused.exists() or unused.read_text() != key_header(key)["pub"]:
        session.end(Exit.CONFIG, f"{key}: {session.say('key_may_have_signed')}")


def _require_named(genesis: Genesis, keys: dict[str, Any]) -> None:
    for row in genesis.validators:
        if row.name == keys["name"]:
            for field in ("consensus_key", "node_key"):
                if getattr(row, field).hex() != keys[field]:
                    raise ConfigError(
                        f"the genesis names {field} {getattr(row, field).hex()}, the key file {keys[field]}"
                    )
            return
    raise ConfigError(f"the genesis has no validator named {keys['name']}")


def _is_named(genesis: Genesis, node_key: str) -> bool:
    return any(row.node_key.hex() == node_key for row in genesis.validators)


def _make_chain(home: Path, config: Config, genesis: Genesis) -> None:
    if config.own_key:
        consensus_key = PublicKey(bytes.fromhex(key_header(home / config.keys.consensus)["pub"]))
        Guard.create(home / config.keys.guard, consensus_key, genesis.hash)
    create_data(home, config, genesis)
    write_file(home / config.genesis, format_genesis(genesis).encode())
    write_file(home / CONFIG_NAME, format_config(config).encode())  # with it the home is whole, and the key may sign
    if config.own_key:
        DISK.remove((home / config.keys.consensus).with_suffix(UNUSED_SUFFIX))


def _stand_still(home: Path, config: Config, genesis: Genesis, resources: ExitStack) -> None:
    """Keep a node from starting meanwhile; raise InUse if it runs, GuardError if its own guard is not there."""
    if not config.own_key:
        held = home / config.data / "journal" / "lock"
        if held.exists():
            resources.callback(os.close, lock(held))
        return
    public = PublicKey(bytes.fromhex(key_header(home / config.keys.consensus)["pub"]))
    resources.callback(Guard.open(home / config.keys.guard, public, genesis.hash).close)


def _numbered(path: Path) -> Iterator[Path]:
    return (path.with_name(f"{path.name}.{number}") for number in count(1))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter(f"{text!r}: HOST:PORT")
    return host.strip("[]"), int(port)


def _peer(text: str) -> Peer:
    name, equals, address = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r}: NAME=HOST:PORT")
    return Peer(name, *_address(address))
