"""A fresh observer joins a long chain, by a snapshot and by blocks. `make long-chain` does it with 100,000 blocks."""

import asyncio
import os
import shutil
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import pytest

import node.snapshot_fetch
from consensus.crypto import SecretKey
from devnet.generate import DISK, seed_of
from devnet.processes import LOOPBACK, free_ports
from node.config import Config, Listen, Peer, Rpc, Snapshot
from node.config_text import format_config
from node.home import create_home, read_config
from node.snapshot_fetch import SnapshotReady
from tests.long_chain import grow
from tests.node_lab import make_lab

HEIGHT: Final = int(os.environ.get("SOM_LONG_CHAIN", "2000"))
BEHIND: Final = 200  # worth a snapshot, in this test
SERVERS: Final = ("nbkr", "bank-1")  # two of four: the chain stands still meanwhile


@pytest.mark.slow
async def test_an_observer_joins_by_a_snapshot_and_another_one_by_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(node.snapshot_fetch, "LISTEN_SECONDS", 0.5)
    monkeypatch.setattr("tests.node_lab.PATIENCE_SECONDS", 90.0 + HEIGHT / 20)
    lab = make_lab(tmp_path, epoch_length=1_024)
    now_ms = time.time_ns() // 1_000_000
    lab.genesis = replace(lab.genesis, time_ms=now_ms - 2_000 * HEIGHT)
    said = []
    began, cpu = time.monotonic(), time.process_time()
    for name in SERVERS:
        shutil.rmtree(tmp_path / name / "data")
    _renew(tmp_path, lab.genesis, SERVERS)
    snapshot_at = HEIGHT - HEIGHT // 20
    deque(grow(tmp_path / SERVERS[0] / "data", lab.genesis, HEIGHT, snapshot_at), maxlen=0)
    shutil.rmtree(tmp_path / SERVERS[1] / "data")
    shutil.copytree(tmp_path / SERVERS[0] / "data", tmp_path / SERVERS[1] / "data")
    said.append(f"made {HEIGHT} blocks: {time.monotonic() - began:.1f} s, {time.process_time() - cpu:.1f} s of CPU")
    observers = ("by-snapshot", "by-blocks")
    ports = dict(zip(observers, free_ports(2), strict=True))
    for name in observers:
        peers = [_peer(tmp_path, server) for server in SERVERS]
        config = Config(name, listen=Listen(LOOPBACK, ports[name]), rpc=Rpc(LOOPBACK, 0), disk=DISK, peers=tuple(peers))
        behind = BEHIND if name == "by-snapshot" else 0
        config = msgspec.structs.replace(config, snapshot=Snapshot(every=0, fetch_behind=behind))
        create_home(tmp_path / name, config, lab.genesis, seed_of(f"{name}-consensus"), seed_of(f"{name}-node"), None)
    for server in SERVERS:
        _admit(tmp_path / server, ports)
    await lab.start(*SERVERS)
    for name in observers:
        began, cpu = time.monotonic(), time.process_time()
        await lab.start(name)
        if name == "by-snapshot":
            async with asyncio.timeout(90.0):
                error = await lab.gone(name)
            assert isinstance(error, ExceptionGroup)
            assert error.subgroup(SnapshotReady) is not None
            await lab.start(name)
            assert lab.nodes[name].store.base() == snapshot_at
        await lab.height(HEIGHT - 8, name)
        said.append(f"{name}: {time.monotonic() - began:.1f} s, {time.process_time() - cpu:.1f} s of CPU, both ends")
        store, theirs = lab.nodes[name].store, lab.nodes[SERVERS[0]].store
        assert store.roots(HEIGHT - 8) == theirs.roots(HEIGHT - 8)
        assert lab.nodes[name].driver.core.me is None
        await lab.stop(name)
    await lab.stop(*SERVERS)
    with capsys.disabled():
        print(*said, sep="\n")


def _renew(directory: Path, genesis: object, names: tuple[str, ...]) -> None:
    for name in names:
        home = directory / name
        shutil.rmtree(home / "keys")
        config = read_config(home)
        seeds = seed_of(f"{name}-consensus"), seed_of(f"{name}-node")
        for file in ("config.toml", "genesis.json"):
            (home / file).unlink()
        create_home(home, config, genesis, *seeds, None)  # type: ignore[arg-type]


def _peer(directory: Path, server: str) -> Peer:
    listen = read_config(directory / server).listen
    return Peer(server, listen.host, listen.port)


def _admit(home: Path, observers: dict[str, int]) -> None:
    """Let observers link: by their node keys, in this validator's own settings."""
    config = read_config(home)
    admitted = tuple(
        Peer(name, LOOPBACK, port, SecretKey(seed_of(f"{name}-node")).public.hex()) for name, port in observers.items()
    )
    (home / "config.toml").write_text(format_config(msgspec.structs.replace(config, peers=config.peers + admitted)))
