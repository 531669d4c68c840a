"""Where a validator's CPU time goes: its stack a hundred times a second, folded into the parts of the node.

One rule: a sample counts for the innermost frame that is ours. A part's time is all that it calls and that is not ours:
libsodium, LevelDB and MessagePack count for the part that waits for them.

py-spy takes the samples, from outside. Where it is not installed or may not look into processes there is no profile.
"""

import asyncio
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

SAMPLES_PER_SECOND: Final = 100
STOP_SECONDS: Final = 20.0
OTHER: Final = "Python and the event loop"

# The longest name that a file begins with decides. Parts are those of docs/performance.md.
PARTS: Final[Mapping[str, str]] = {
    "consensus/crypto.py": "signature checks and signing",
    "consensus/encoding.py": "MessagePack and hashes",
    "consensus/": "consensus",
    "network/": "links: TLS, frames, queues",
    "node/checks.py": "signature checks and signing",
    "node/rpc/": "RPC: HTTP, JSON, answers",
    "node/service.py": "RPC: HTTP, JSON, answers",
    "node/outcomes.py": "RPC: HTTP, JSON, answers",
    "node/mempool.py": "mempool and batches",
    "node/batches.py": "mempool and batches",
    "node/dissemination.py": "mempool and batches",
    "node/ledger/transaction.py": "decoding transactions",
    "node/ledger/commitment.py": "state root",
    "node/ledger/": "execution",
    "node/executor.py": "execution",
    "node/references.py": "rows and the write",
    "node/storage/journal.py": "journal",
    "node/storage/guard.py": "journal",
    "node/storage/": "rows and the write",
    "node/": "consensus",
}
_FRAME: Final = re.compile(r"\((?P<file>[^()]+?)(?::\d+)?\)$")


class Profiler:
    """py-spy beside some processes, from ``start`` to ``stop``."""

    def __init__(self, pids: Mapping[str, int], directory: Path) -> None:
        """The samples go into files in ``directory``."""
        self._pids = pids
        self._directory = directory
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def start(self) -> None:
        """Begin to take samples."""
        program = spy()
        if program is None:
            return
        for name, pid in self._pids.items():
            self._running[name] = await asyncio.create_subprocess_exec(
                *(program, "record", "--pid", str(pid), "--rate", str(SAMPLES_PER_SECOND), "--nonblocking"),
                *("--duration", "unlimited", "--format", "raw", "--full-filenames", "--output", str(self._path(name))),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                process_group=0,
            )

    async def stop(self) -> dict[str, float]:
        """End it; return part -> share of the samples of all these processes, or nothing if there are none."""
        counts: Counter[str] = Counter()
        for name, process in self._running.items():
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
            path = self._path(name)
            counts.update(fold(path.read_text().splitlines()) if path.exists() else {})
        self._running.clear()
        total = counts.total()
        return {part: count / total for part, count in counts.most_common()}

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.stacks"


def spy() -> str | None:
    """Return the path of py-spy, or None if it is not installed."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def fold(lines: Iterable[str]) -> Counter[str]:
    """Return part -> samples of stacks as py-spy writes them: ``frame;frame;frame count``, the outermost first."""
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if count.isdigit():
            counts[part_of(stack.split(";"))] += int(count)
    return counts


def part_of(frames: Sequence[str]) -> str:
    """Return the part that a stack's innermost frame of ours belongs to."""
    for frame in reversed(frames):
        match = _FRAME.search(frame)
        ours = None if match is None else _ours(match["file"])
        if ours is not None:
            return PARTS[max((name for name in PARTS if ours.startswith(name)), key=len)]
    return OTHER


def _ours(file: str) -> str | None:
    """Return the path of a file of ours below the project's root."""
    root = f"{Path(__file__).parents[2]}/"
    inside = file.removeprefix(root)
    return inside if inside.startswith(("consensus/", "network/", "node/")) else None
