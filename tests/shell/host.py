"""One validator's machine: its files, and the lives of the node on it.

One rule: a life ends as a process does, killed between two instructions, without power, or by cancellation; and the
next one begins as `som start` begins, from what is on disk.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from random import Random
from shutil import rmtree
from ssl import SSLContext
from typing import Any, Final

from consensus.crypto import SecretKey
from consensus.timing import Timing
from devnet.generate import DISK, seed_of
from network.wire import PeerId
from node.config import Config, Listen, Peer
from node.home import create_data, create_home, open_home
from node.ledger.genesis import Genesis
from node.node import Node, World
from node.rpc.server import RpcServer
from node.storage.errors import StorageError
from node.storage.guard import Guard
from node.storage.journal import Journal
from tests.shell.loop import Killed, Life, VirtualLoop
from tests.shell.sockets import FIRST_PORT, Network, ShellMesh
from tests.shell.watch import Watch
from tests.simulation.files import MemoryDisk

STOP_SECONDS: Final = 30.0  # a node that is asked to end has ended by then
THREAD_TURNS: Final = 1_000  # of 10 ms, until its blocking calls are over


class NoServer(RpcServer):
    """The RPC server without its socket: clients call the service."""

    async def start(
        self, host: str, port: int, tls: SSLContext | None = None, local: socket.socket | None = None
    ) -> None:
        pass

    @property
    def port(self) -> int:
        return 0

    async def stop(self) -> None:
        pass


class Host:
    """A machine. ``companion`` is what runs beside the node in its life: a liar's mouth."""

    def __init__(
        self,
        loop: VirtualLoop,
        network: Network,
        watch: Watch,
        index: int,
        name: str,
        home: Path,
        genesis: Genesis,
        ids: list[PeerId],
        names: list[str],
        pinned: bool,
        timing: Timing,
        disk_ms: float,
        now_ms: Callable[[], int],
        honest: bool,
    ) -> None:
        self.index = index
        self.honest = honest
        self.life: Life | None = None
        self.node: Node | None = None
        self.lives: list[Life] = []
        self.trap: int | None = None  # operations until it dies
        self.companion: Callable[[Node], Coroutine[Any, Any, None]] | None = None
        self.on_end: Callable[[Host, BaseException | None], None]
        self.on_death: Callable[[Host], None] = lambda _: None
        self._loop = loop
        self._network = network
        self._watch = watch
        self._name = name
        self._home = home
        self._genesis = genesis
        self._ids = ids
        self._timing = timing
        self._disk_ms = disk_ms
        self._now_ms = now_ms
        self._random: Random = loop.random(f"host {index}")
        self.disk = MemoryDisk(before=self._on_operation)
        self.damaged = False  # bytes of its chain changed
        self._was_full = False  # its disk, in this life
        self._resources = ExitStack()
        self._run: asyncio.Task[None] | None = None
        self._power_lost = False
        self._make(names, pinned)

    def _make(self, names: list[str], pinned: bool) -> None:
        """Make the home as `som init` does, journal and guard in memory. Who has no seat links if it is pinned."""
        peers = tuple(
            Peer(name, "127.0.0.1", FIRST_PORT + index, self._ids[index].hex() if pinned else "")
            for index, name in enumerate(names)
            if name != self._name
        )
        self._config = Config(
            name=self._name, listen=Listen("127.0.0.1", FIRST_PORT + self.index), disk=DISK, peers=peers
        )
        consensus, node = seed_of(f"{self._name}-consensus"), seed_of(f"{self._name}-node")
        create_home(self._home, self._config, self._genesis, consensus, node, None)
        self._public = SecretKey(consensus).public
        Guard.create(self._guard, self._public, self._genesis.hash, self.disk)
        Journal.create(self._data / "journal", self.disk)

    @property
    def _guard(self) -> Path:
        return self._home / self._config.keys.guard

    @property
    def _data(self) -> Path:
        return self._home / self._config.data

    @property
    def up(self) -> bool:
        return self.life is not None

    # --- begin ---

    def start(self) -> None:
        """Begin a life: open what is on disk, wire a node, run it."""
        assert self.life is None
        self._was_full = self.disk.full
        self._network.power_on(self.index)
        life = Life(f"n{self.index}.{len(self.lives)}", self.index, self._draw_disk_seconds)
        self.lives.append(life)
        self.life = life
        try:
            opened = open_home(self._home, self._config, None, self._resources, self.disk)
            self._watch.opened(self.index, opened)
            node = life.context.run(Node, self._config, opened, self._timing, self._world())
            self._watch.node(self.index, life, node)
        except Killed:
            return  # while it opened its files
        except StorageError:  # as a process that ends with an exit code
            life.end()
            self.life = None
            self._end_files(power_lost=False)
            self._network.cut_off(self.index, power_lost=False)
            raise
        self.node = node
        work = node.run() if self.companion is None else self._run_with_companion(node)
        self._run = self._loop.create_task(work, context=life.context)
        self._run.add_done_callback(lambda run: self._on_run_over(life, run), context=self._network.neutral)
        if self._loop.tracing:
            self._loop.trace(f"n{self.index} starts at height {node.store.tip.height}")

    async def _run_with_companion(self, node: Node) -> None:
        assert self.companion is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(node.run())
            tasks.create_task(self.companion(node))

    def _world(self) -> World:
        def mesh(*arguments: Any, **named: Any) -> ShellMesh:
            return ShellMesh(
                self._network,
                self.index,
                self._ids,
                lambda channel, payload: self._watch.sent(self.index, channel, payload),
                lambda peer, points, reason: self._watch.blamed(self.index, peer, points, reason),
                *arguments,
                **named,
            )

        return World(self._now_ms, mesh, NoServer, local=lambda path: None)

    def _draw_disk_seconds(self) -> tuple[float, float]:
        whole = self._random.uniform(0.0, self._disk_ms) / 1e3
        before = whole * self._random.random()
        return before, whole - before

    # --- end ---

    def kill(self, power_lost: bool) -> None:
        """End the life between two instructions. Called from outside of it."""
        if self.life is not None:
            self._die(power_lost)

    def set_trap(self, operations: int, power_lost: bool) -> None:
        """Let it die just before its n-th operation on disk or network from now."""
        self.trap = operations
        self._power_lost = power_lost

    async def stop(self) -> None:
        """End the life as a supervisor does; what it leaves behind is told."""
        life, run = self.life, self._run
        if life is None or run is None or not life.is_open:
            return
        if self._loop.tracing:
            self._loop.trace(f"n{self.index} is stopped")
        self._loop.record(b"%d stops" % self.index)
        life.is_open = False
        run.cancel()
        await asyncio.wait((run,), timeout=STOP_SECONDS)
        for task in life.unfinished():  # the RPC server ends what clients still wait for
            if _of_client(task):
                task.cancel()
        for _ in range(THREAD_TURNS):
            if not life.working or not life.alive:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.001)  # callbacks of what has ended
        if life.alive:  # not killed meanwhile
            left = life.unfinished()
            if left:
                self._watch.violated("clean stop", f"n{self.index} does not end or leaves tasks: {left}")
            self.life = self.node = self._run = None
            self._end_files(power_lost=False)
            self._network.cut_off(self.index, power_lost=False)

    def wipe(self, epoch: int | None) -> None:
        """Lose all data, to begin at height 0, and with ``epoch`` the guard too: it signs nothing before that epoch."""
        self.kill(power_lost=False)
        self._loop.call_soon(self._wipe_files, epoch, context=self._network.neutral)  # after they are let go of

    def _wipe_files(self, epoch: int | None) -> None:
        if self.up:
            self.wipe(epoch)
            return
        self.damaged = self.disk.full = self.disk.unreadable = False
        rmtree(self._data)
        create_data(self._home, self._config, self._genesis)
        self.disk.wipe(self._data)
        Journal.create(self._data / "journal", self.disk)
        if epoch is not None:
            self.disk.wipe(self._guard.parent)
            Guard.create(self._guard, self._public, self._genesis.hash, self.disk)
            guard = Guard.open(self._guard, self._public, self._genesis.hash, self.disk)
            guard.rebase(epoch, 0)
            guard.close()

    def damage(self) -> None:
        """Let bytes of the chain change on the disk, while nobody has it open."""
        self.kill(power_lost=False)
        self._loop.call_soon(self._damage_files, context=self._network.neutral)

    def _damage_files(self) -> None:
        if self.up:
            self.damage()
            return
        self.damaged = True
        store = self._data / "store"
        names = sorted(path.relative_to(store) for path in store.rglob("*") if path.is_file() and path.stat().st_size)
        path = store / self._random.choice(names)
        content = bytearray(path.read_bytes())
        for _ in range(self._random.choice((1, 1, 20))):
            content[self._random.randrange(len(content))] ^= self._random.randint(1, 255)
        path.write_bytes(content)

    def fill_disk(self) -> None:
        """Leave no room for another byte, until ``disk.full`` is taken back."""
        self.disk.full = self._was_full = True

    @property
    def troubled(self) -> bool:
        """Whether its disk is full, cannot be read or has changed: then it may not start, or ends.

        It takes a while to end, and a disk that was full in its life may have room by then.
        """
        return self.damaged or self._was_full or self.disk.full or self.disk.unreadable

    def on_write(self) -> None:
        """It is about to write to the network."""
        if self.trap is not None and self._count_down():
            self._die(self._power_lost)

    def _on_operation(self) -> None:
        """It is about to change a file."""
        if self.trap is not None and self.life is not None and self._count_down():
            self._die(self._power_lost)
            raise Killed

    def _count_down(self) -> bool:
        assert self.trap is not None
        self.trap -= 1
        if self.trap > 0:
            return False
        self.trap = None
        return True

    def _die(self, power_lost: bool) -> None:
        assert self.life is not None
        if self._loop.tracing:
            self._loop.trace(f"n{self.index} dies{', without power' if power_lost else ''}")
        self._loop.record(b"%d dies" % self.index)
        self.life.end()
        self.life = self.node = self._run = None
        self.trap = None
        self._network.cut_off(self.index, power_lost)
        # Its last instruction may be under way: its files are let go of after that.
        self._loop.call_soon(self._end_files, power_lost, context=self._network.neutral)
        self.on_death(self)

    def _end_files(self, power_lost: bool) -> None:
        self._resources.close()
        if power_lost:
            self.disk.lose_power(self._random)
        else:
            self.disk.end_process()

    def _on_run_over(self, life: Life, run: "asyncio.Task[None]") -> None:
        if self.life is life and not run.cancelled():
            self.on_end(self, run.exception())


def _of_client(task: "asyncio.Task[Any]") -> bool:
    return getattr(task.get_coro(), "__name__", "") in ("submit", "outcome")
