"""A signer as a process of its own, and a node's side of its socket, plain and blocking: what it says, it says."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from devnet.generate import key_of, make_genesis, seed_of
from node.ledger.genesis import Genesis, format_genesis
from node.signing.home import CONFIG_NAME, SignerConfig, format_signer_config
from node.signing.requests import (
    ANSWER_BYTES_MAX,
    LENGTH_BYTES,
    Answer,
    Memory,
    Request,
    decode_answer,
    decode_welcome,
    encode_hello,
    encode_request,
)
from node.storage.guard import Guard
from node.storage.keystore import write_key

PATIENCE_SECONDS: Final = 20.0
NAME: Final = "nbkr"
KEY: Final = key_of(f"{NAME}-consensus")
GENESIS: Final = make_genesis(1_800_000_000_000)


class Gone(Exception):
    """The signer closed the link."""


def make_signer(home: Path, genesis: Genesis = GENESIS, name: str = NAME) -> Path:
    """Make a signer's home with a devnet's key."""
    config, key = SignerConfig(), key_of(f"{name}-consensus")
    write_key(home / config.key, seed_of(f"{name}-consensus"), "consensus", "*", None)
    Guard.create(home / config.guard, key.public, genesis.hash)
    (home / config.genesis).write_text(format_genesis(genesis))
    (home / CONFIG_NAME).write_text(format_signer_config(config))
    return home


class SignerProcess:
    """`som signer start`, from its first word on."""

    def __init__(self, home: Path, path: Path, *options: str) -> None:
        self.path = path
        command = [sys.executable, "-m", "node.cli", "signer", "start", "--home", str(home), "--socket", str(path)]
        self.log = home / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, *options], stderr=log, stdout=log, stdin=subprocess.DEVNULL)

    def ready(self) -> Self:
        """Wait until it listens; fail if it ends instead."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                with socket.socket(socket.AF_UNIX) as link:
                    link.connect(str(self.path))
                return self
            except OSError:
                time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self.ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Link:
    """A link to a signer; ``memory`` is its welcome, or why there is none."""

    def __init__(self, path: Path, genesis_hash: bytes = GENESIS.hash, *, hello: bytes | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect(str(path))
        self.number = 0
        self.send(encode_hello(genesis_hash) if hello is None else hello)
        self.memory: Memory | str = decode_welcome(self.receive())

    def send(self, content: bytes) -> None:
        try:
            self.socket.sendall(len(content).to_bytes(LENGTH_BYTES, "big") + content)
        except ConnectionError:
            raise Gone from None

    def receive(self) -> bytes:
        length = int.from_bytes(self._read(LENGTH_BYTES), "big")
        assert length <= ANSWER_BYTES_MAX
        return self._read(length)

    def ask(self, request: Request) -> Answer:
        self.number += 1
        self.send(encode_request(self.number, request))
        number, answer = decode_answer(self.receive())
        assert number == self.number
        return answer

    def close(self) -> None:
        self.socket.close()

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            try:
                part = self.socket.recv(length - len(data))
            except ConnectionError:
                part = b""
            if not part:
                raise Gone
            data += part
        return data


def linked(path: Path) -> Link:
    """Return a link that the signer takes: the one before may only just have ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        link = Link(path)
        if isinstance(link.memory, Memory):
            return link
        link.close()
        assert time.monotonic() < deadline, link.memory
        time.sleep(0.01)


def private(directory: Path) -> Path:
    """Return a new directory that is closed to others."""
    directory.mkdir(mode=0o700)
    os.chmod(directory, 0o700)
    return directory
