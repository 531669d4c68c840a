"""admin bundle: what whoever helps an operator has to see, in one file, without a secret.

One rule: what is put in is named here, one by one; a home is never copied. Keys, tokens, the guard and what is about
people's accounts stay where they are.
"""

import io
import json
import os
import platform
import re
import sys
import tarfile
import time
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from node.build import VERSION
from node.cli.admin import ask_home
from node.cli.doctor import examined, read_metrics
from node.cli.nodes import HomeCommand
from node.cli.operating import gather_facts
from node.cli.session import Session
from node.cli.stalls import diagnose
from node.client.client import Client
from node.client.errors import ClientError
from node.config import ConfigError
from node.config_text import format_config
from node.home import read_config, read_genesis
from node.rpc import admin_types
from node.storage.files import write_file

LOG_BYTES_MAX: Final = 1024 * 1024  # the end of the log: half a day of a node that is well, minutes of one that is not
FILES_MAX: Final = 10_000  # of the data directory, by name and size
_CREDENTIAL: Final = re.compile(rb"(?i)(bearer\s+|som-token\.)\S+")  # no log of ours has one; a proxy's may


@click.command("bundle", cls=HomeCommand)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="[default: som-NAME-TIME.tar.gz]")
@click.option("--log", "log_file", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The node's log.")
@click.pass_obj
def bundle(session: Session, home: Path, out: Path | None, log_file: Path | None) -> None:
    """Put together what somebody needs who helps: settings, state, links, metrics, checks, the end of the log.

    The node need not run. There is no key, passphrase or token in it, and nothing about anybody's account.
    """
    files = _offline(session, home)
    files |= _asked(session, home)
    if log_file is not None:
        files["log.txt"] = _CREDENTIAL.sub(rb"\1***", _tail(log_file))
    name = json.loads(files["versions.json"])["node"]
    path = out or Path(f"som-{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.tar.gz")
    if path.exists():
        raise ConfigError(f"{path} exists")
    write_file(path, _packed(files))
    session.words(session.say("bundle_private"))
    session.data(
        {"file": str(path), "files": sorted(files)},
        lambda: session.pairs(
            [(session.say("file"), path), *((name, len(data)) for name, data in sorted(files.items()))]
        ),
    )


def _offline(session: Session, home: Path) -> dict[str, bytes]:
    config = read_config(home)
    genesis = read_genesis(home / config.genesis)
    return {
        "config.toml": format_config(config).encode(),
        "versions.json": _json(
            {
                "node": config.name,
                "som": VERSION,
                "genesis_hash": genesis.hash.hex(),
                "network": genesis.name,
                "python": sys.version,
                "system": platform.platform(),
                "packages": {each.name: each.version for each in distributions()},
            }
        ),
        "doctor.json": _json([msgspec.to_builtins(check) for check in examined(session, home, offline=False)]),
        "files.json": _json(_sizes(home / config.data)),
        "metrics.txt": read_metrics(config).encode(),
    }


def _asked(session: Session, home: Path) -> dict[str, bytes]:
    async def question(client: Client) -> dict[str, Any]:
        facts = await gather_facts(client, local=True)
        return {
            "status.json": await client.request("admin_getStatus", {}, admin_types.GetStatusResult),
            "peers.json": await client.request("admin_listPeers", {}, admin_types.ListPeersResult),
            "info.json": await client.info(),
            "consensus.json": await client.consensus(),
            "validators.json": await client.validators(),
            "why-stalled.json": diagnose(facts),
        }

    try:
        return {name: _json(msgspec.to_builtins(found)) for name, found in ask_home(session, home, question).items()}
    except ClientError as error:
        return {"status.json": _json({"error": str(error)})}


def _sizes(directory: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for folder, _, names in os.walk(directory):
        for name in sorted(names)[: FILES_MAX - len(found)]:
            path = Path(folder, name)
            found[str(path.relative_to(directory))] = path.lstat().st_size
    return found


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_BYTES_MAX))
        return file.read(LOG_BYTES_MAX)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str).encode() + b"\n"


def _packed(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(f"som/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
