"""What `som doctor` looks at on the machine itself: a home, its files, its disk, its ports. The node need not run.

One rule: a check changes nothing; it says what it saw, and how bad that is.
"""

import errno
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from node.cli.signing import key_header
from node.config import Config, ConfigError
from node.ledger.genesis import Genesis
from node.storage.disk import Room, RoomLimits, room
from node.storage.errors import StorageError

PYTHONS: Final = ((3, 11), (3, 12))
LEVELDB: Final = ("plyvel", "plyvel-ci")  # distributions of one and the same module
SYNCS: Final = 16
SYNC_BYTES: Final = 4_096
SYNC_WARN_MS: Final = 20.0  # the slowest of SYNCS: each vote waits for one
SYNC_FAIL_MS: Final = 100.0
CONNECT_SECONDS: Final = 2.0
SNAPSHOTS_MISSED_MAX: Final = 3  # so many intervals without one: something is wrong
PRUNE_DUE_MAX: Final = 3_072  # blocks that may go and are still there: three steps of node/pruning.py
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
OTHERS: Final = 0o077
WRITERS: Final = 0o022  # of the home itself others may read: what is secret is closed by itself


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``name`` has a text on what to do in doctor_texts.py."""

    name: str
    level: Level
    detail: str


def program() -> Iterator[Check]:
    """Look at what runs this."""
    now = sys.version_info[:2]
    level = Level.OK if now in PYTHONS and __debug__ else Level.FAIL
    yield Check("python", level, f"{sys.version.split()[0]}{'' if __debug__ else ' -O'}, {sys.executable}")
    found = [f"{name} {number}" for name in LEVELDB if (number := _installed(name)) is not None]
    yield Check("leveldb", Level.OK if found else Level.FAIL, ", ".join(found) or "-")
    uvloop = _installed("uvloop")
    yield Check("uvloop", Level.OK if uvloop else Level.WARN, uvloop or "-")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def permissions(home: Path, config: Config) -> Iterator[Check]:
    """Look who may read what is secret."""
    keys = config.keys
    files = [home / keys.node, home / config.rpc.tokens_file]
    if config.own_key:
        files += [home / keys.consensus, home / keys.guard]
    directories = {path.parent for path in files} | {home}
    wrong = []
    for path in (*sorted(directories), *files):
        try:
            found = path.lstat()
        except FileNotFoundError:
            if path in (home / keys.node, home / keys.consensus, home / keys.guard):
                wrong.append(f"{path}: -")
            continue
        closed_to = WRITERS if path == home else OTHERS
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & closed_to:
            wrong.append(f"{path}: {stat.filemode(found.st_mode)} uid {found.st_uid}")
    yield Check("permissions", Level.FAIL if wrong else Level.OK, "; ".join(wrong) or str(home))


def identity(home: Path, config: Config, genesis: Genesis) -> Iterator[Check]:
    """Look whether the genesis knows these keys, or another seat has one of them."""
    try:
        node_key = str(key_header(home / config.keys.node)["pub"])
        if config.observer:
            yield _observing(node_key, config, genesis)
            return
        consensus_key = config.signer.public_key or str(key_header(home / config.keys.consensus)["pub"])
    except (ConfigError, StorageError, KeyError) as error:
        yield Check("keys", Level.FAIL, str(error))
        return
    for row in genesis.validators:
        matches = (row.consensus_key.hex() == consensus_key, row.node_key.hex() == node_key)
        if all(matches):
            yield Check("keys", Level.OK, f"{row.name}, {genesis.hash.hex()}")
            return
        if any(matches):
            yield Check("keys", Level.FAIL, f"{row.name}: {consensus_key} / {node_key}")
            return
    yield Check("keys", Level.WARN, f"∉ {genesis.hash.hex()}")  # it joined later, or not yet


def _observing(node_key: str, config: Config, genesis: Genesis) -> Check:
    seat = next((row.name for row in genesis.validators if row.node_key.hex() == node_key), None)
    if seat is not None:
        return Check("keys", Level.FAIL, f"observer, {seat}: {node_key}")
    return Check("keys", Level.OK, f"{config.name}: observer {node_key}, {genesis.hash.hex()}")


def settings(config: Config, genesis: Genesis) -> Iterator[Check]:
    """Look for settings that are allowed and seldom meant."""
    open_access = config.rpc.access == "open" or (config.rpc.access == "auto" and genesis.kind == "devnet")
    odd = []
    if open_access and config.rpc.host not in LOOPBACK:
        odd.append(f"rpc.access open, rpc.host {config.rpc.host}")
    if config.listen.host in LOOPBACK and any(peer.host not in LOOPBACK for peer in config.peers):
        odd.append(f"listen.host {config.listen.host}")
    if len(genesis.validators) > 1 and not config.peers:
        odd.append("peers []")
    known = {row.name for row in genesis.validators}
    odd += [f"peers: {peer.name}" for peer in config.peers if peer.name not in known and not peer.node_key]
    yield Check("config", Level.WARN if odd else Level.OK, "; ".join(odd) or config.name)


def disk(home: Path, config: Config) -> Iterator[Check]:
    """Look how much room there is, and how long a synced write takes."""
    data = home / config.data
    try:
        found = os.statvfs(f"{data}/")  # of a directory, or it is an error
    except OSError as error:
        yield Check("disk", Level.FAIL, str(error))
        return
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    limits = RoomLimits(config.disk.refuse_percent, config.disk.stop_percent, config.disk.stop_bytes)
    levels = {Room.ENOUGH: Level.OK, Room.ALARM: Level.WARN}
    detail = f"{free / 2**30:.1f} / {total / 2**30:.1f} GiB, {100 * free // max(total, 1)} %"
    yield Check("disk", levels.get(room(free, total, limits), Level.FAIL), detail)
    try:
        slowest = max(_sync_milliseconds(data))
    except OSError as error:
        # A file system may have no files without a name; what cannot be written to at all is what is wrong.
        level = Level.WARN if error.errno == errno.EOPNOTSUPP else Level.FAIL
        yield Check("sync", level, str(error))
        return
    level = Level.FAIL if slowest > SYNC_FAIL_MS else Level.WARN if slowest > SYNC_WARN_MS else Level.OK
    yield Check("sync", level, f"{slowest:.1f} ms")


def history(config: Config, numbers: Mapping[str, float]) -> Iterator[Check]:
    """Look whether a running node makes snapshots for newcomers, whether the next has room, and whether it prunes.

    ``numbers`` are its metrics that have no label.
    """
    height, newest = numbers.get("som_height", 0), numbers.get("som_snapshot_height", 0)
    every, size = config.snapshot.every, numbers.get("som_snapshot_bytes", 0)
    free = numbers.get("som_disk_free_bytes", 0)
    if every:
        old = height - newest > SNAPSHOTS_MISSED_MAX * every
        vain = numbers.get("som_snapshots_unproven_total", 0)
        level = Level.WARN if old or vain or size > free else Level.OK
        detail = f"{newest:.0f} / {height:.0f}, {size / 2**20:.1f} / {free / 2**20:.0f} MiB"
        yield Check("snapshots", level, detail + (f", unproven {vain:.0f}" if vain else ""))
    pruned, due = numbers.get("som_pruned_height", 0), numbers.get("som_prune_due_blocks", 0)
    level = Level.WARN if due > PRUNE_DUE_MAX else Level.OK
    yield Check("pruning", level, f"{pruned + 1:.0f} - {height:.0f}, {due:.0f}")


def _sync_milliseconds(directory: Path) -> list[float]:
    """Return how long synced writes take, to a file that has no name and is gone afterwards."""
    descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    times = []
    try:
        for _ in range(SYNCS):
            began = time.perf_counter()
            os.write(descriptor, bytes(SYNC_BYTES))
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - began) * 1_000)
    finally:
        os.close(descriptor)
    return times


def ports(config: Config, running: bool) -> Iterator[Check]:
    """Look whether both ports answer if the node runs, or are free if it does not."""
    for name, place in (("listen", config.listen), ("rpc", config.rpc)):
        if place.port == 0:
            yield Check(name, Level.OK, f"{place.host}:0")
            continue
        good = reaches(_dialled(place.host), place.port) if running else _free(place.host, place.port)
        yield Check(name, Level.OK if good else Level.FAIL, f"{place.host}:{place.port}")


def peers(config: Config) -> Iterator[Check]:
    """Look whether each peer's port can be reached from here."""
    lost = [peer for peer in config.peers if not reaches(peer.host, peer.port)]
    if config.peers:
        level = Level.OK if not lost else Level.FAIL if len(lost) == len(config.peers) else Level.WARN
        detail = ", ".join(f"{peer.name} {peer.host}:{peer.port}" for peer in lost)
        yield Check("peers", level, f"{len(config.peers) - len(lost)}/{len(config.peers)} {detail}".strip())


def reaches(host: str, port: int) -> bool:
    """Return whether somebody takes a connection there."""
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _free(host: str, port: int) -> bool:
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the node does
            tried.bind(address)
    except OSError:
        return False
    return True


def _dialled(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
