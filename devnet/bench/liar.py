"""A validator that lies: the node itself with its real keys, and another mouth. For benches of the devnet.

One rule: it does what costs the others most and what nobody can be disconnected for. A proposal goes to one validator
alone, so that the others time its view out; and it signs batches whose last transaction has a false signature.

    python -m devnet.bench.liar --home .devnet/bench/bank-3
"""

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final

from consensus.encoding import DecodeError
from consensus.messages import Proposal, decode_message
from devnet.generate import key_of
from network.mesh import Mesh
from node.batches import encode_batch_message, make_batch
from node.config import ConfigError
from node.home import open_home, read_config
from node.links import CONSENSUS
from node.log import configure_log
from node.node import GARBAGE_THRESHOLDS, Node, World
from node.storage.errors import StorageError

LIE_SECONDS: Final = 0.2  # between two false batches
SEQUENCE_FROM: Final = 1 << 62  # of them: no honest batch has such a number


class TwoTongues(Mesh):
    """Links on which a proposal goes to one peer, another each time."""

    _proposals = 0

    def broadcast(self, channel: int, payload: bytes) -> None:
        """Queue for every connected peer; a proposal for one of them."""
        peers = sorted(self.connected())
        if peers and channel == CONSENSUS.number and _is_proposal(payload):
            self._proposals += 1
            self.send(peers[self._proposals % len(peers)], channel, payload)
        else:
            super().broadcast(channel, payload)


class Liar:
    """Batches that are lies."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._sequence = count(SEQUENCE_FROM)

    async def run(self) -> None:
        """Lie on."""
        await self._node.started.wait()
        while True:
            await asyncio.sleep(LIE_SECONDS)
            self._send_false_batch()

    def _send_false_batch(self) -> None:
        """Sign what clients have really signed, but for the last signature."""
        held = next(self._node.pool.held(), None)
        if held is None:
            return
        raws = [*held.batch.raw_transactions[:-1], forged(held.batch.raw_transactions[-1])]
        node = self._node
        batch = make_batch(
            node.genesis.hash,
            key_of(f"{node.config.name}-consensus"),
            next(self._sequence),
            node.store.tip.height,
            raws,
        )
        node.links.broadcast_batch(encode_batch_message(batch))


def forged(raw: bytes) -> bytes:
    """Return a transaction whose last signature is wrong: it stands at the end of the bytes."""
    return raw[:-1] + bytes((raw[-1] ^ 1,))


def _is_proposal(payload: bytes) -> bool:
    try:
        return isinstance(decode_message(payload), Proposal)
    except DecodeError:
        return False


async def _serve(home: Path) -> None:
    """Run the node and lie, until a signal comes or the node ends."""
    config = read_config(home)
    configure_log(config.log.level, config.log.format, config.name)
    with ExitStack() as resources:
        opened = open_home(home, config, None, resources)
        if opened.genesis.kind != "devnet":
            raise ConfigError("only a devnet may have a liar")
        node = Node(config, opened, world=World(mesh=TwoTongues))
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(node.run()), tasks.create_task(Liar(node).run())]
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, lambda: [each.cancel() for each in work])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devnet.bench.liar", description="A devnet's validator that lies.")
    parser.add_argument("--home", type=Path, required=True)
    given = parser.parse_args(arguments)
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        asyncio.run(_serve(given.home))
    except (ConfigError, StorageError) as error:
        print(f"liar: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
