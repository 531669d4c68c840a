"""A devnet of real processes on this machine: makes the homes, starts, kills and stops validators.

One rule: no validator outlives who started it. The kernel kills them when their parent dies, however it dies.
"""

import asyncio
import ctypes
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.error import URLError
from urllib.request import urlopen

from devnet.generate import EPOCH_LENGTH, VALIDATORS, Place, make_genesis, write_network
from devnet.wan import READY, Delay, Link, format_links
from node.ledger.genesis import Genesis
from node.ledger.versions import NEWEST

LOOPBACK: Final = "127.0.0.1"
READY_SECONDS: Final = 60.0  # four interpreters on two busy cores start within ten
STOP_SECONDS: Final = 15.0
TABLE_SUFFIX: Final = ".ldb"
PORT_MIN: Final = 10_000
PORTS_TRIED_MAX: Final = 500  # sockets held at once
EPHEMERAL_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
EPHEMERAL_PORT_MIN: Final = 32_768
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h

_claimed: set[int] = set()  # the ports that this process has given out


class DevnetError(Exception):
    """The devnet can not be started, or a validator ended by itself; the text says which log to read."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that was made before: its genesis, and a store that nobody has open."""

    genesis: Genesis
    store: Path


class LocalNetwork:
    """Validators as processes, their homes and logs under ``directory``. Use it as an async context manager."""

    def __init__(
        self,
        directory: Path,
        names: Sequence[str] = VALIDATORS,
        signature_workers: int = 0,
        epoch_length: int = EPOCH_LENGTH,
        protocol_version: int = NEWEST,
        supported_max: int = 0,
        delay: Delay | None = None,
        chain: "Chain | None" = None,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        """Take a directory that is made anew: what an earlier run left there is removed.

        The network begins under ``protocol_version``; ``supported_max`` is the setting of all validators.
        With ``delay`` each validator dials each other through a proxy, as if it were so far away.
        With a ``chain`` the validators go on from it, and its genesis counts.
        """
        self.directory = directory
        self.names = tuple(names)
        self.genesis: Genesis
        self.places: dict[str, Place] = {}
        self._signature_workers = signature_workers
        self._epoch_length = epoch_length
        self._delay = delay
        self._ready_seconds = ready_seconds
        self._protocol_version = protocol_version
        self._supported_max = supported_max
        self._chain = chain
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._wan: subprocess.Popen[bytes] | None = None
        self._via: dict[tuple[str, str], int] = {}
        self._cut: set[str] = set()
        self._lock = -1

    async def __aenter__(self) -> Self:
        """Make it and start it; entered once more, it begins anew at the same addresses."""
        self._take_directory()
        if not self.places:
            ports = free_ports(2 * len(self.names))
            for index, name in enumerate(self.names):
                self.places[name] = Place(name, LOOPBACK, LOOPBACK, ports[2 * index], ports[2 * index + 1])
        self._cut.clear()
        self.genesis = self.make_genesis()
        try:
            places = list(self.places.values())
            write_network(
                self.directory, places, self.genesis, self._signature_workers, self._supported_max, self._start_wan()
            )
            self.prepare_homes()
            for name in self.names:
                self.start(name)
            await self.ready(self.names, self._ready_seconds)
        except BaseException:
            self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- what a special network does in another way ---

    def make_genesis(self) -> Genesis:
        """Return what all agree on: the devnet's accounts, and the time now."""
        if self._chain is not None:
            return self._chain.genesis
        genesis = make_genesis(time.time_ns() // 1_000_000, self.names)
        parameters = genesis.parameters._replace(protocol_version=self._protocol_version)
        return replace(genesis, epoch_length=self._epoch_length, parameters=parameters)

    def prepare_homes(self) -> None:
        """Put more into the homes before anything starts."""
        if self._chain is not None:
            for name in self.names:
                place_store(self._chain.store, self.directory / name / "data" / "store")

    def module(self, name: str) -> tuple[str, ...]:
        """Return the Python module, and its first arguments, that runs in a validator's home."""
        return ("node.cli", "start")

    # --- the validators ---

    def url(self, name: str) -> str:
        """Return a validator's RPC address."""
        return f"http://{LOOPBACK}:{self.places[name].rpc_port}"

    def urls(self) -> list[str]:
        """Return all RPC addresses."""
        return [self.url(name) for name in self.names]

    def pid(self, name: str) -> int:
        """Return a running validator's process id."""
        return self._processes[name].pid

    def log_path(self, name: str) -> Path:
        """Return where a validator's log goes."""
        return self.directory / f"{name}.log"

    def start(self, name: str) -> None:
        """Start a validator, or start it again."""
        running = self._processes.get(name)
        assert running is None or running.poll() is not None, f"{name} runs already"
        home = (self.directory / name).absolute()  # validators run in the project's root, we anywhere
        with self.log_path(name).open("ab") as log:
            self._processes[name] = _launch([*self.module(name), "--home", str(home)], stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """Kill a validator as a power cut would: SIGKILL."""
        self._processes[name].kill()
        self._processes[name].wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send any other signal."""
        self._processes[name].send_signal(number)

    def ended(self) -> list[str]:
        """Return the validators that do not run."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    async def ready(self, names: Sequence[str], timeout_seconds: float = READY_SECONDS) -> None:
        """Return when all of these are ready. Raise DevnetError if one ends, or is not ready in time."""
        deadline = time.monotonic() + timeout_seconds
        for name in names:
            while not await asyncio.to_thread(_answers, f"{self.url(name)}/readyz"):
                ended = [each for each in self.ended() if each in names]
                if ended:
                    raise DevnetError(f"{ended[0]} ended; see {self.log_path(ended[0])}")
                if time.monotonic() > deadline:
                    raise DevnetError(f"{name} is not ready after {timeout_seconds:.0f} s; see {self.log_path(name)}")
                await asyncio.sleep(0.1)

    def stop(self) -> None:
        """Stop all validators: SIGTERM, and SIGKILL for who does not hear."""
        if self._wan is not None:
            self._wan.kill()
            self._wan.wait()
            if self._wan.stdin is not None:
                self._wan.stdin.close()
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _start_wan(self) -> dict[tuple[str, str], int]:
        """Start the proxies if there is a distance; return (who dials, whom) -> their port. Raise DevnetError."""
        if self._delay is None:
            return {}
        pairs = [(dialler, other) for dialler in self.names for other in self.names if dialler != other]
        via = self._via or dict(zip(pairs, free_ports(len(pairs)), strict=True))
        links = [Link(port, self.places[other].p2p_port) for (_, other), port in via.items()]
        delays = ["--delay-ms", str(self._delay.ms), "--jitter-ms", str(self._delay.jitter_ms)]
        log_path = self.log_path("wan")
        with log_path.open("ab") as log:
            arguments = ["devnet.wan", *delays, "--links", format_links(links), "--commands"]
            self._wan = _launch(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        assert self._wan.stdout is not None
        with self._wan.stdout as said:
            if said.readline().strip() != READY.encode():
                raise DevnetError(f"the proxies between the validators did not start; see {log_path}")
        self._via = via
        return via

    @property
    def distant(self) -> bool:
        """Whether links go through proxies: then they can be cut."""
        return self._delay is not None

    def cut_off(self) -> list[str]:
        """Return the validators that are cut off."""
        return [name for name in self.names if name in self._cut]

    def partition(self, name: str) -> None:
        """Cut all links between this validator and the others; clients reach it as before."""
        self._cut.add(name)
        self._tell_wan("cut", {pair for pair in self._via if name in pair})

    def heal(self, name: str) -> None:
        """Let it reach all again that are not cut off themselves."""
        self._cut.discard(name)
        self._tell_wan("heal", {pair for pair in self._via if name in pair and self._cut.isdisjoint(pair)})

    def _tell_wan(self, word: str, pairs: set[tuple[str, str]]) -> None:
        assert self._wan is not None, "without proxies nothing can be cut"
        assert self._wan.stdin is not None
        if pairs:
            ports = ",".join(str(self._via[pair]) for pair in sorted(pairs))
            self._wan.stdin.write(f"{word} {ports}\n".encode())
            self._wan.stdin.flush()

    def wan_pid(self) -> int | None:
        """Return the process id of the proxies, if there are any."""
        return None if self._wan is None else self._wan.pid

    def _take_directory(self) -> None:
        """Lock the directory and empty it, if a devnet had it: then its lock lies beside it."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        lock_path = self.directory.with_name(self.directory.name + ".lock")
        if not lock_path.exists() and self.directory.exists() and any(self.directory.iterdir()):
            raise DevnetError(f"{self.directory} is not empty, and no devnet's: what is in it would be removed")
        self._lock = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = -1
            raise DevnetError(f"{self.directory} is in use by another devnet") from None
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)


def place_store(store: Path, home_store: Path) -> None:
    """Put a closed store in the place of a home's. LevelDB never changes a table: they are links, the rest is copied.

    But a table that it was writing when it was closed belongs to nobody, and is written anew, under the same number,
    over what other homes have mapped. Its number is above that of the newest log: such tables are copied too.
    """
    shutil.rmtree(home_store)
    home_store.mkdir(mode=0o700)
    newest_log = max((int(file.stem) for file in store.glob("*.log")), default=0)
    for file in sorted(store.iterdir()):
        for_ever = file.suffix == TABLE_SUFFIX and int(file.stem) < newest_log
        if not (for_ever and _linked(file, home_store / file.name)):
            shutil.copyfile(file, home_store / file.name)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # another file system
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Return TCP ports of the loopback interface that nobody uses now, and that no outgoing connection will take.

    Those that the kernel gives away itself would not do: while a validator is down, others' connections would get its.
    No other process of this user gets them from here while this one lives, listening or not.
    """
    candidates = range(PORT_MIN, _first_ephemeral_port())
    ports: list[int] = []
    with ExitStack() as held:
        for port in random.sample(candidates, PORTS_TRIED_MAX):
            trial = held.enter_context(socket.socket())
            try:
                _claim(port)
                trial.bind((LOOPBACK, port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise DevnetError(f"no {count} free ports from {candidates.start} to {candidates.stop - 1}")


def _claim(port: int) -> None:
    """Lock the port's byte of a file that all devnets of this user share, until this process ends. Raises OSError."""
    if port in _claimed:
        raise OSError(f"port {port} was given out before")
    fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    _claimed.add(port)


@cache
def _claims() -> int:
    """Return the descriptor of that file, which stays open: closing any would let go of all its locks."""
    path = Path(tempfile.gettempdir(), f"som-devnet-ports-{os.getuid()}")
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _first_ephemeral_port() -> int:
    """Return the lowest port that the kernel gives to outgoing connections, or Linux's default if that is of no use."""
    try:
        first = int(EPHEMERAL_PORTS.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return EPHEMERAL_PORT_MIN
    return first if first >= PORT_MIN + PORTS_TRIED_MAX else EPHEMERAL_PORT_MIN


def _launch(
    module: Sequence[str], *, stdin: int = subprocess.DEVNULL, stdout: IO[bytes] | int, stderr: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Run a Python module of this source as a process that Ctrl-C does not reach, and that dies with us."""
    launcher = os.getpid()
    return subprocess.Popen(
        [sys.executable, "-m", *module],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=Path(__file__).parents[1],
        process_group=0,  # Ctrl-C is for the launcher, which stops them in order
        preexec_fn=lambda: _die_with(launcher),
    )


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False


def worker_pool(workers: int) -> ProcessPoolExecutor:
    """Return processes that compute for us. They end when we do, however we do; Ctrl-C is for us alone."""
    return ProcessPoolExecutor(workers, mp_context=get_context("forkserver"), initializer=_begin_work)


def _begin_work() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of who gave us work: the server that forked us lives for as long as we do."""
    parent = parent_process()
    assert parent is not None, "runs in a worker"
    parent.join()
    os._exit(1)


def _die_with(parent: int) -> None:
    """Runs in the child before exec: a launcher that is killed leaves no validators behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)
