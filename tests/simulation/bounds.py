"""Bounds that the product has as constants, and values at which they bite within a run.

One rule: a bound on which nodes must agree is none of these. What is here each node may set for itself: how much it
remembers, keeps, asks for or says again. A run may be slower for it, and never wrong.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Final, NamedTuple


class Narrow(NamedTuple):
    """A constant, in every module that has it, and the value for a run."""

    modules: tuple[str, ...]
    constant: str
    value: int
    room: tuple[str, int] | None = None  # another constant that must leave room for this one, and its value

    @property
    def settings(self) -> list[tuple[str, str, int]]:
        """Module, constant and value of each."""
        values = [(self.constant, self.value), *([self.room] if self.room else [])]
        return [(module, *setting) for module in self.modules for setting in values]


BOUNDS: Final[dict[str, Narrow]] = {
    "votes ahead": Narrow(("consensus.rounds", "consensus.core"), "VIEW_WINDOW", 1),
    "votes said again": Narrow(("consensus.rounds",), "RESENT_MAX", 6),
    "blocks fetched": Narrow(("consensus.chain",), "FETCHES_MAX", 1),
    "heights fetched": Narrow(("consensus.chain",), "FETCH_HEIGHTS_MAX", 6),  # further ones come in ranges
    "certificates answered": Narrow(("consensus.peers",), "ANSWERS_MAX", 4),
    "signatures remembered": Narrow(("consensus.verify",), "SEEN_MAX", 1),
    "views in the guard": Narrow(
        ("node.storage.guard",), "VIEWS_KEPT", 64, ("RECORDS_MAX", 200)
    ),  # three records a view, and some more
    "bytes before a sync": Narrow(("node.storage.journal",), "PENDING_BYTES_MAX", 512),
    "bytes in a write": Narrow(("node.storage.journal",), "CHUNK_BYTES", 300),
}
NODE_BOUNDS: Final[dict[str, Narrow]] = BOUNDS | {  # what the shell has besides
    "roots in memory": Narrow(("node.executor",), "ROOTS_KEPT", 1),
    "committees in memory": Narrow(("node.epochs",), "KNOWN_MAX", 1),
    "blocks in a range": Narrow(("node.sync",), "RANGE_BLOCKS_MAX", 2),
    "bytes in a range": Narrow(("node.sync",), "RANGE_BYTES_MAX", 1_000),
    "bytes of batches in an answer": Narrow(("node.sync",), "BATCHES_BYTES_MAX", 1),
    "blocks to execute": Narrow(("node.sync",), "EXECUTING_MAX", 2),
    "fetches": Narrow(("node.sync",), "FETCHES_MAX", 1),
    "proposals fetched": Narrow(("node.blocks",), "PROPOSALS_FETCHED_MAX", 1),
    "bytes of batches before a sync": Narrow(("node.driver",), "UNSYNCED_BYTES_MAX", 1),
    "gone ids in the mempool": Narrow(("node.mempool",), "STALE_MAX", 1),
    "blocks checked at the start": Narrow(("node.storage.store",), "CHECKED_BLOCKS", 1),
    "write buffer": Narrow(("node.storage.store",), "WRITE_BUFFER_BYTES", 64 << 10),
    "cache": Narrow(("node.storage.store",), "CACHE_BYTES", 4 << 10),
}


@contextmanager
def narrowed(names: Sequence[str]) -> Iterator[None]:
    """Let these bounds be narrow for a while."""
    settings = [setting for name in names for setting in NODE_BOUNDS[name].settings]
    chosen = [(import_module(module), constant, value) for module, constant, value in settings]
    before = [getattr(module, constant) for module, constant, _ in chosen]
    for module, constant, value in chosen:
        setattr(module, constant, value)
    try:
        yield
    finally:
        for (module, constant, _), value in zip(chosen, before, strict=True):
            setattr(module, constant, value)
