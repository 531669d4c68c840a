"""archive: the chain in files that anybody can verify offline, and a node's data made of them."""

from collections import deque
from functools import partial
from pathlib import Path

import click

from node.archive import ArchiveError, export, restore
from node.archive_verify import Invalid, verify
from node.cli.nodes import HomeCommand
from node.cli.session import Exit, Session, SomCommand, SomGroup
from node.home import open_decrees, read_config, read_genesis
from node.storage.archive_files import segments
from node.storage.decrees import keep_decree
from node.storage.store import Store

_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.group(cls=SomGroup)
def archive() -> None:
    """The chain in files that anybody can verify without a node."""


@archive.command("export", cls=HomeCommand)
@click.option("--from", "first", type=click.IntRange(1), default=1, show_default=True, help="The first height.")
@click.option("--to", "last", type=click.IntRange(1), help="The last height; all there are if left out.")
@click.option("--out", "directory", required=True, type=_DIRECTORY, help="A directory without an archive.")
@click.pass_obj
def write(session: Session, home: Path, first: int, last: int | None, directory: Path) -> None:
    """Write heights of a node's chain into segments, a day or 64 MiB each. The node must not run.

    Each segment names the hash of the one before. The last height is the last one that has a certificate of its own.
    """
    found = read_config(home)
    genesis = read_genesis(home / found.genesis)
    store = Store.open(home / found.data / "store", genesis.hash)
    try:
        heights = export(
            store, genesis, directory, first, last or store.tip.height, decrees=open_decrees(home, genesis)
        )
        written = deque(heights, maxlen=1)
    except ArchiveError as error:
        session.end(Exit.ERROR, f"{session.say('error')}: {error}")
    finally:
        store.close()
    files = [path.name for path in segments(directory)]
    session.data(
        {"first": first, "last": written[0], "segments": files, "genesis_hash": genesis.hash.hex()},
        lambda: session.pairs(
            [
                (session.say("archived"), directory),
                (session.say("heights"), f"{first} – {written[0]}"),
                (session.say("segments"), len(files)),
                (session.say("genesis"), genesis.hash.hex()),
            ]
        ),
    )


@archive.command("verify", cls=SomCommand)
@click.argument("directory", type=_DIRECTORY)
@click.option(
    "--genesis", "genesis_file", type=click.Path(path_type=Path, dir_okay=False), help="The network's genesis."
)
@click.option("--genesis-hash", metavar="HEX", help="Its hash, instead of the file.")
@click.pass_obj
def check(session: Session, directory: Path, genesis_file: Path | None, genesis_hash: str | None) -> None:
    """Verify an archive from the genesis: committees, certificates, headers, payloads, signatures, receipts, roots.

    node/archive_verify.py does it, a program of its own, which runs without this one, too.
    """
    if (genesis_file is None) == (genesis_hash is None):
        raise click.UsageError("--genesis or --genesis-hash")
    try:
        anchor = read_genesis(genesis_file).hash if genesis_file else bytes.fromhex(genesis_hash or "")
        done = verify(anchor, str(directory))
    except (Invalid, ValueError, OSError) as error:
        session.end(Exit.ERROR, f"{session.say('error')}: {error}")
    assert done.parent is not None
    value = {
        "first": done.first,
        "last": done.height,
        "segments": done.number,
        "transactions": done.transactions,
        "signatures": done.signatures,
        "block_hash": done.parent.hex(),
        "proven_height": done.proven,
        "root": done.roots[done.proven].hex(),
    }
    session.data(
        value,
        lambda: session.pairs(
            [(session.say("archive_valid"), directory), (session.say("heights"), f"{done.first} – {done.height}")]
        ),
    )


@archive.command("import", cls=HomeCommand)
@click.argument("directory", type=_DIRECTORY)
@click.pass_obj
def read(session: Session, home: Path, directory: Path) -> None:
    """Execute an archive upon a node's chain, which is at height 0 (`som init`, `som resync`) or part of the archive.

    Every certificate and signature is verified and every root computed again. The node must not run.
    """
    found = read_config(home)
    genesis = read_genesis(home / found.genesis)
    store = Store.open(home / found.data / "store", genesis.hash)
    try:
        deque(restore(store, genesis, directory, open_decrees(home, genesis), partial(keep_decree, home)), maxlen=0)
        height, root = store.tip.height, store.tip.root.hex()
    except ArchiveError as error:
        session.end(Exit.ERROR, f"{session.say('error')}: {error}")
    finally:
        store.close()
    session.data(
        {"height": height, "root": root},
        lambda: session.pairs([(session.say("height"), height), (session.say("created"), home / found.data)]),
    )
